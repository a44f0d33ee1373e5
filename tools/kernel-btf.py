#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""kernel-btf.py VMLINUZ OUT: the BTF of an x86 kernel image.

The image's setup header says where the compressed kernel lies in it; that is an
ELF file with a section .BTF.
"""
import struct
import subprocess
import sys

DECOMPRESS = {b"\x28\xb5\x2f\xfd": ["zstd", "-dc", "--memory=2048MB"],
              b"\xfd7zXZ\x00": ["xz", "-dc"],
              b"\x1f\x8b": ["gzip", "-dc"],
              b"\x02\x21\x4c\x18": ["lz4", "-dc"]}


def payload(image):
    if image[0x202:0x206] != b"HdrS":
        sys.exit("not an x86 kernel image")
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    return image[start:start + length]


def decompress(data):
    for magic, command in DECOMPRESS.items():
        if data.startswith(magic):
            # What follows the stream (its size) makes some of them complain at the end.
            run = subprocess.run(command, input=data[:-4], stdout=subprocess.PIPE, check=False)
            return run.stdout
    return data


def section(elf, wanted):
    table, = struct.unpack_from("<Q", elf, 0x28)
    entry, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQIIQQ", elf, table + i * entry) for i in range(count)]
    strings = elf[headers[names][4]:headers[names][4] + headers[names][5]]
    for header in headers:
        if strings[header[0]:strings.index(b"\0", header[0])] == wanted:
            return elf[header[4]:header[4] + header[5]]
    sys.exit(f"no section {wanted.decode()}")


def main():
    with open(sys.argv[1], "rb") as image:
        elf = decompress(payload(image.read()))
    if not elf.startswith(b"\x7fELF"):
        sys.exit("cannot decompress the kernel")
    with open(sys.argv[2], "wb") as out:
        out.write(section(elf, b".BTF"))


if __name__ == "__main__":
    main()
