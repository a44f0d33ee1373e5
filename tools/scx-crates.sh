#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# scx-crates.sh DEST BPF_LINK
# Compiles the BPF half of the published Rust schedulers (crates scx_lavd,
# scx_layered, ...), which are not of this project, against the vmlinux.h of
# Linux 7.3: DEST/scx-crates/NAME.bpf.o, and DEST/scx-crates/versions. Their
# sources come from the crates registry by cargo and stay in its cache; the
# objects are kept in ours. BPF_LINK is the build's program of that name.
set -e -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/debian.sh"
. "$here/kernel-source.sh"
dest=$1
link=$2
[ -x "$link" ] || die "usage: scx-crates.sh DEST BPF_LINK"
# scx_rustland and scx_rlfifo have no BPF of their own: theirs is scx_rustland_core's. scx_mitosis and
# scx_wd40 are not in the registry.
schedulers="scx_lavd scx_layered scx_rusty scx_bpfland scx_flash scx_p2dq scx_chaos scx_cosmos
	scx_beerland scx_tickless scx_cake scx_pandemonium scx_rustland_core"

# Counted up when this script changes what it makes.
recipe=2

# crate_dir NAME: where cargo has unpacked the newest version, fetched if need be.
crate_dir() {
	local home=${CARGO_HOME:-$HOME/.cargo}
	cargo info "$1" > /dev/null 2>&1 || true
	find "$home"/registry/src/*/ -maxdepth 1 -name "$1-[0-9]*" | sort -V | tail -n 1
}

# compile SOURCE OBJECT INCLUDES...
compile() {
	local source=$1 object=$2
	shift 2
	"$clang" -g -O2 -w -target bpf -mcpu=v3 -mlittle-endian -D__TARGET_ARCH_x86 \
		-D__SCX_TARGET_ARCH_x86 "$@" -c "$source" -o "$object"
}

build_one() {	# NAME OUT
	local dir main sources source objects= bpf_h includes
	dir=$(crate_dir "$1")
	[ -n "$dir" ] || { say "$1: not in the registry"; return 0; }
	main=$(sed -n 's/.*enable_skel("\([^"]*\)".*/\1/p' "$dir/build.rs" 2> /dev/null || true)
	[ -n "$main" ] || main=assets/bpf/main.bpf.c
	bpf_h=$(crate_dir scx_cargo)/bpf_h
	includes="-I$(dirname "$dir/$main") -I$bpf_h -I$bpf_h/bpf-compat -I$headers -I$root
		-idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include"
	sources="$main $(sed -n 's/.*add_source("\([^"]*\)").*/\1/p' "$dir/build.rs" 2> /dev/null || true)"
	mkdir -p "$2/parts"
	for source in $sources; do
		compile "$dir/$source" "$2/parts/$(basename "$source").o" $includes 2> "$2/parts/log" || {
			say "$1: $source does not compile: $(grep -m 1 error: "$2/parts/log")"
			rm -rf "$2/parts"
			return 0
		}
		objects="$objects $2/parts/$(basename "$source").o"
	done
	# As bpftool and libbpf-rs do; linking once more changes nothing after the third time.
	"$link" "$2/$1.bpf.o" $objects
	rm -rf "$2/parts"
	echo "$(basename "$dir")" >> "$2/versions"
}

build() {
	local out=$USCX_CACHE/scx-crates name
	[ "$(cat "$out/recipe" 2>/dev/null)" != "$recipe" ] || return 0
	command -v cargo > /dev/null || die "cargo is missing (package cargo)"
	clang=$("$here/fetch-bpf-clang.sh")
	root=$USCX_CACHE/kernel/7.3
	need_source 7.3
	rm -rf "$out.new"
	mkdir -p "$out.new/include/bpf"
	headers=$out.new/include
	python3 "$root/src/scripts/bpf_doc.py" --header \
		--file "$root/src/tools/include/uapi/linux/bpf.h" > "$headers/bpf/bpf_helper_defs.h"
	cp "$root"/src/tools/lib/bpf/{bpf_helpers.h,bpf_tracing.h,bpf_core_read.h,bpf_endian.h} "$headers/bpf/"
	for name in $schedulers; do
		build_one "$name" "$out.new"
	done
	rm -rf "$headers" "$out"
	echo "$recipe" > "$out.new/recipe"
	mv "$out.new" "$out"
}

with_lock scx-crates build
mkdir -p "$dest/scx-crates"
cp -a --update "$USCX_CACHE/scx-crates/." "$dest/scx-crates/"
