#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""docs_code.py USCX CLANG LIBBPF_INCLUDE

Code in the documentation compiles and runs: every ```c block of docs/*.md with a table of callbacks in it
is compiled as a scheduler and run for 200 ms; the other ```c blocks are bits of the tree, each line of which
must be there.
"""
import glob
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def blocks(path):
    with open(path) as file:
        text = file.read()
    for m in re.finditer(r"^```c\n(.*?)^```", text, re.S | re.M):
        yield f"{os.path.relpath(path, ROOT)}:{text.count(chr(10), 0, m.start()) + 1}", m.group(1)


def run(code, uscx, clang, libbpf):
    """None, or how it fails."""
    with tempfile.TemporaryDirectory() as directory:
        source, program = os.path.join(directory, "x.bpf.c"), os.path.join(directory, "x.bpf.o")
        with open(source, "w") as file:
            file.write(code)
        flags = ["-target", "bpf", "-mcpu=v3", "-g", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
                 "-fno-stack-protector", f"-I{ROOT}/examples/schedulers/include", f"-I{ROOT}/abi", f"-I{ROOT}",
                 "-isystem", libbpf]
        for command in ([clang, *flags, "-c", source, "-o", program], [uscx, "run", program, "--duration", "200ms"]):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                return done.stderr.strip()[-400:]
    return None


def missing_lines(code):
    tree = ""
    for pattern in ("abi/**/*.h", "src/**/*.h", "src/**/*.cc", "tests/**/*.cc", "examples/**/*.c"):
        for path in glob.glob(os.path.join(ROOT, pattern), recursive=True):
            with open(path, errors="replace") as file:
                tree += file.read()
    known = {re.sub(r"\s+", " ", line.strip()) for line in tree.splitlines()}
    code = re.sub(r"/\*.*?\*/", "", code, flags=re.S)
    lines = [re.sub(r"\s+", " ", line.split("//")[0].strip()) for line in code.splitlines()]
    return [line for line in lines if line and "..." not in line and line not in known and not any(line in k for k in known)]


def main():
    uscx, clang, libbpf = sys.argv[1:]
    failed = count = 0
    for path in sorted(glob.glob(os.path.join(ROOT, "docs/*.md"))) + [os.path.join(ROOT, "README.md")]:
        for place, code in blocks(path):
            count += 1
            if "SCX_OPS_DEFINE" in code:
                problem = run(code, uscx, clang, libbpf)
            else:
                missing = missing_lines(code)
                problem = f"not in the tree: {missing}" if missing else None
            print(("FAIL " if problem else "PASS ") + place + (f": {problem}" if problem else ""))
            failed += problem is not None
    print(f"{count - failed} blocks hold, {failed} do not")
    sys.exit(1 if failed or not count else 0)


if __name__ == "__main__":
    main()
