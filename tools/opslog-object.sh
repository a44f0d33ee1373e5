#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# opslog-object.sh DEST [VERSION...]   (default: 7.2 7.3)
# Compiles opslog.bpf.c, the scheduler that records its callbacks, unmodified from
# ../shared/real-kernel/opslog, as the kernel tree compiles its own schedulers:
#   DEST/VERSION/opslog.bpf.o
# Needs what tools/kernel-schedulers.sh has fetched. Where ../shared is not there, it
# says so and builds nothing.
set -e -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/debian.sh"
dest=$1
[ -n "$dest" ] || die "usage: opslog-object.sh DEST [VERSION...]"
shift
[ $# -gt 0 ] || set -- 7.2 7.3
source=$here/../../shared/real-kernel/opslog
[ -f "$source/opslog.bpf.c" ] || { say "no $source: opslog.bpf.o is not built"; exit 0; }
clang=$("$here/fetch-bpf-clang.sh")

for version in "$@"; do
	tree=$USCX_CACHE/kernel/$version
	object=$dest/$version/opslog.bpf.o
	[ -s "$tree/vmlinux.h" ] || die "$tree has no vmlinux.h: run tools/kernel-schedulers.sh first"
	[ ! "$object" -nt "$source/opslog.bpf.c" ] || continue
	mkdir -p "$dest/$version"
	include=$(mktemp -d)
	ln -s "$tree/vmlinux.h" "$include/vmlinux.h"
	# libbpf's headers for programs, where the kernel's build installs them.
	mkdir "$include/bpf"
	for header in bpf_helpers.h bpf_tracing.h bpf_core_read.h bpf_endian.h usdt.bpf.h; do
		ln -s "$tree/src/tools/lib/bpf/$header" "$include/bpf/$header"
	done
	python3 "$tree/src/scripts/bpf_doc.py" --header \
		--file "$tree/src/tools/include/uapi/linux/bpf.h" > "$include/bpf/bpf_helper_defs.h"
	tools=$tree/src/tools
	"$clang" -g -D__TARGET_ARCH_x86 -mlittle-endian -I"$source" -I"$tools/sched_ext/include" \
		-I"$tools/sched_ext/include/bpf-compat" -I"$include" -I"$tools/include/uapi" \
		-I"$tree/src/include" -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include \
		-Wno-compare-distinct-pointer-types -Wno-microsoft-anon-tag -fms-extensions -O2 \
		-mcpu=v3 -target bpf -c "$source/opslog.bpf.c" -o "$object"
	rm -rf "$include"
	say "built $object"
done
