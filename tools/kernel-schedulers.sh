#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernel-schedulers.sh DEST [VERSION...]   (default: 7.2 7.3)
# Builds the kernel tree's own schedulers and sched_ext selftests, unmodified,
# with the kernel tree's own makefiles:
#   DEST/VERSION/scx_simple.bpf.o ...    compiled schedulers, linked by bpftool
#   DEST/VERSION/scx_simple ...          their loaders
#   DEST/VERSION/selftests/*.bpf.o       likewise, of the selftests
#   DEST/VERSION/selftests/runner        every selftest
# from Debian's linux-source-VERSION and linux-bpf-dev (vmlinux.h) packages.
# What is fetched and what is built is kept in the cache, by version.
set -e -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/debian.sh"
. "$here/kernel-source.sh"
dest=$1
[ -n "$dest" ] || die "usage: kernel-schedulers.sh DEST [VERSION...]"
shift
[ $# -gt 0 ] || set -- 7.2 7.3

# Counted up when this script changes what it makes.
recipe=1

run_make() {	# LOG ARGS...
	local log=$1
	shift
	env -u MAKEFLAGS -u MFLAGS make -j"$(nproc)" "$@" > "$log" 2>&1 < /dev/null || {
		tail -n 30 "$log" >&2
		die "make $* failed (whole log: $log)"
	}
}

build() {	# VERSION
	local root=$USCX_CACHE/kernel/$1 clang work out object
	[ "$(cat "$root/out/recipe" 2>/dev/null)" != "$recipe" ] || return 0
	clang=$("$here/fetch-bpf-clang.sh")
	need_source "$1"
	work=$root/work
	out=$root/out.new
	rm -rf "$work" "$out"
	mkdir -p "$work/tools" "$work/selftests" "$out/selftests"
	say "building the schedulers and selftests of Linux $(cat "$root/version")"
	# bpftool is only wanted as a linker and for skeletons.
	run_make "$root/tools.log" -C "$root/src/tools/sched_ext" CLANG="$clang" \
		VMLINUX_BTF="$root/vmlinux.h" VMLINUX_H="$root/vmlinux.h" O="$work/tools" \
		SKIP_LLVM=1 SKIP_LIBBFD=1 SKIP_CRYPTO=1 LLVM_STRIP=llvm-strip-19
	run_make "$root/selftests.log" -C "$root/src/tools/testing/selftests/sched_ext" \
		CLANG="$clang" VMLINUX_BTF="$root/vmlinux.h" VMLINUX_H="$root/vmlinux.h" \
		BPFTOOL="$work/tools/build/sbin/bpftool" OUTPUT="$work/selftests"
	# What the skeletons carry is the object linked for the third time, where
	# linking has reached its fixed point.
	for object in "$work"/tools/build/obj/sched_ext/*.bpf.linked3.o; do
		cp "$object" "$out/$(basename "$object" .linked3.o).o"
	done
	cp "$work"/tools/build/bin/scx_* "$out/"
	for object in "$work"/selftests/build/obj/sched_ext/*.bpf.linked3.o; do
		cp "$object" "$out/selftests/$(basename "$object" .linked3.o).o"
	done
	cp "$work/selftests/runner" "$out/selftests/"
	cp "$root/version" "$out/"
	echo "$recipe" > "$out/recipe"
	rm -rf "$root/out" "$work"
	mv "$out" "$root/out"
}

for version in "$@"; do
	with_lock "kernel-$version" build "$version"
	mkdir -p "$dest/$version"
	cp -a --update "$USCX_CACHE/kernel/$version/out/." "$dest/$version/"
done
