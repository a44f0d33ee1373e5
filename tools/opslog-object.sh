#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# opslog-object.sh DEST [VERSION...]   (default: 7.2 7.3)
# Compiles opslog.bpf.c, the scheduler that records its callbacks, unmodified from
# ../shared/real-kernel/opslog, as the kernel tree compiles its own schedulers:
#   DEST/VERSION/opslog.bpf.o
# and the same with other policies, tests/conformance/opslog-policies/policies.patch:
#   DEST/VERSION/opslog-policies.bpf.o
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
patch=$here/../tests/conformance/opslog-policies/policies.patch
clang=$("$here/fetch-bpf-clang.sh")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$source"/* "$work"
chmod u+w "$work"/*
patch -s -p1 -d "$work" < "$patch"

# compile VERSION SOURCE OBJECT
compile() {
	local tree=$USCX_CACHE/kernel/$1 include header
	local tools=$tree/src/tools
	include=$(mktemp -d -p "$work")
	ln -s "$tree/vmlinux.h" "$include/vmlinux.h"
	# libbpf's headers for programs, where the kernel's build installs them.
	mkdir "$include/bpf"
	for header in bpf_helpers.h bpf_tracing.h bpf_core_read.h bpf_endian.h usdt.bpf.h; do
		ln -s "$tools/lib/bpf/$header" "$include/bpf/$header"
	done
	python3 "$tree/src/scripts/bpf_doc.py" --header \
		--file "$tools/include/uapi/linux/bpf.h" > "$include/bpf/bpf_helper_defs.h"
	"$clang" -g -D__TARGET_ARCH_x86 -mlittle-endian -I"$source" -I"$tools/sched_ext/include" \
		-I"$tools/sched_ext/include/bpf-compat" -I"$include" -I"$tools/include/uapi" \
		-I"$tree/src/include" -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include \
		-Wno-compare-distinct-pointer-types -Wno-microsoft-anon-tag -fms-extensions -O2 \
		-mcpu=v3 -target bpf -c "$2" -o "$3"
	say "built $3"
}

for version in "$@"; do
	[ -s "$USCX_CACHE/kernel/$version/vmlinux.h" ] \
		|| die "no vmlinux.h of $version: run tools/kernel-schedulers.sh first"
	mkdir -p "$dest/$version"
	object=$dest/$version/opslog.bpf.o
	[ "$object" -nt "$source/opslog.bpf.c" ] || compile "$version" "$source/opslog.bpf.c" "$object"
	object=$dest/$version/opslog-policies.bpf.o
	[ "$object" -nt "$patch" ] || compile "$version" "$work/opslog.bpf.c" "$object"
done
