#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernel-bpf-tests.sh DEST [VERSION]   (default: 7.3)
# Compiles the kernel's BPF selftests that say themselves what is expected of
# them (__success, __failure, __msg ...), unmodified, as the kernel's makefile
# does for test_progs:
#   DEST/VERSION/bpf/*.bpf.o       one object a file of progs/
#   DEST/VERSION/bpf/vmlinux.btf   the types of Debian's kernel of that version
#   DEST/VERSION/bpf/bpf_testmod.{o,tsv}   those of the module the tests use, and its kfuncs
#   DEST/VERSION/bpf/nf_conntrack.btf      those of another, of Debian's kernel
#   DEST/VERSION/bpf/btf__*.o      types that single tests want (__btf_path)
#   DEST/VERSION/bpf/clang19/scx_qmap.bpf.o   a scheduler that the kernel refuses
# from the same packages as kernel-schedulers.sh and kept in the same cache.
set -e -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/debian.sh"
. "$here/kernel-source.sh"
dest=$1
version=${2:-7.3}
[ -n "$dest" ] || die "usage: kernel-bpf-tests.sh DEST [VERSION]"

# Counted up when this script changes what it makes.
recipe=1
types_recipe=2

# compile SOURCE: into $OUT; its complaints into $OUT/log.
compile() {
	local name
	name=$(basename "$1" .c)
	"$CLANG" -g -O2 --target=bpfel -mcpu=v3 -std=gnu11 -w -fms-extensions \
		-fno-strict-aliasing -D__TARGET_ARCH_x86 -DENABLE_ATOMICS_TESTS -mlittle-endian \
		-I"$INCLUDE" -I"$TESTS" -I"$TOOLS/include/uapi" -I"$TOOLS/include" \
		-I"$TESTS/libarena/include" \
		-idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include \
		-c "$1" -o "$OUT/$name.bpf.o" 2> "$OUT/log/$name" || {
		echo "uscx: progs/$name.c does not compile; see $OUT/log/$name" >&2
		rm -f "$OUT/$name.bpf.o"
	}
}
export -f compile

# scx_qmap by clang 19, which drops an address space cast: the kernel refuses it.
build_qmap() {	# VERSION
	local root=$USCX_CACHE/kernel/$1 scx=$USCX_CACHE/kernel/$1/src/tools/sched_ext
	local object=$root/bpf/clang19/scx_qmap.bpf.o
	[ ! -s "$object" ] || return 0
	mkdir -p "$root/bpf/clang19/include/bpf"
	python3 "$root/src/scripts/bpf_doc.py" --header --file "$root/src/tools/include/uapi/linux/bpf.h" \
		> "$root/bpf/clang19/include/bpf/bpf_helper_defs.h"
	cp "$root"/src/tools/lib/bpf/{bpf_helpers.h,bpf_tracing.h,bpf_core_read.h,bpf_endian.h} \
		"$root/bpf/clang19/include/bpf/"
	clang-19 -g -O2 -target bpf -mcpu=v3 -mlittle-endian -w -fms-extensions -D__TARGET_ARCH_x86 \
		-I"$scx/include" -I"$scx/include/bpf-compat" -I"$root" -I"$root/bpf/clang19/include" \
		-I"$root/src/tools/include/uapi" -I"$root/src/include" \
		-idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include \
		-c "$scx/scx_qmap.bpf.c" -o "$object"
	llvm-strip-19 -g "$object"
	rm -rf "$root/bpf/clang19/include"
}

# The headers of libbpf and of the kernel's types: into $INCLUDE.
make_headers() {	# VERSION
	local root=$USCX_CACHE/kernel/$1
	rm -rf "$INCLUDE"
	mkdir -p "$INCLUDE/bpf"
	python3 "$root/src/scripts/bpf_doc.py" --header --file "$TOOLS/include/uapi/linux/bpf.h" \
		> "$INCLUDE/bpf/bpf_helper_defs.h"
	cp "$TOOLS"/lib/bpf/{bpf_helpers.h,bpf_tracing.h,bpf_core_read.h,bpf_endian.h,usdt.bpf.h} \
		"$INCLUDE/bpf/"
	cp "$root/vmlinux.h" "$INCLUDE/"
}

build() {	# VERSION
	local root=$USCX_CACHE/kernel/$1
	[ "$(cat "$root/bpf/recipe" 2>/dev/null)" != "$recipe" ] || return 0
	CLANG=$("$here/fetch-bpf-clang.sh")
	need_source "$1"
	need_btf "$1"
	TOOLS=$root/src/tools
	TESTS=$TOOLS/testing/selftests/bpf
	OUT=$root/bpf.new
	INCLUDE=$OUT/include
	export CLANG TOOLS TESTS OUT INCLUDE
	rm -rf "$OUT"
	mkdir -p "$OUT/log"
	make_headers "$1"
	say "compiling the annotated BPF selftests of Linux $(cat "$root/version")"
	grep -lE '__(success|failure)\b' "$TESTS"/progs/*.c |
		xargs -n 1 -P "$(nproc)" bash -c 'compile "$1"' compile
	llvm-strip-19 -g "$OUT"/*.o
	cp "$root/vmlinux.btf" "$root/version" "$OUT/"
	rm -rf "$INCLUDE"
	echo "$recipe" > "$OUT/recipe"
	rm -rf "$root/bpf"
	mv "$OUT" "$root/bpf"
}

# Tests that say elsewhere what is expected, and the types that stand beside the objects.
build_types() {	# VERSION
	local root=$USCX_CACHE/kernel/$1 name
	[ "$(cat "$root/bpf/types.recipe" 2>/dev/null)" != "$types_recipe" ] || return 0
	CLANG=$("$here/fetch-bpf-clang.sh")
	TOOLS=$root/src/tools
	TESTS=$TOOLS/testing/selftests/bpf
	OUT=$root/bpf
	INCLUDE=$root/bpf.include
	make_headers "$1"
	mkdir -p "$INCLUDE/linux" "$INCLUDE/log"
	for name in $(sed -n 's/.*__btf_path("\(.*\)\.bpf\.o").*/\1/p' "$TESTS"/progs/*.c | sort -u); do
		# (not as .bpf.o: these are no tests)
		(OUT=$INCLUDE; compile "$TESTS/progs/$name.c")
		mv "$INCLUDE/$name.bpf.o" "$OUT/$name.o"
	done
	compile "$TESTS/progs/exceptions.c"
	: > "$INCLUDE/linux/types.h"
	"$here/kernel-testmod.py" "$TESTS/test_kmods" "$INCLUDE/testmod.c" "$OUT/bpf_testmod.tsv"
	"$CLANG" -g -O2 --target=bpfel -std=gnu11 -w -fms-extensions -I"$INCLUDE" \
		-I"$TESTS/test_kmods" -c "$INCLUDE/testmod.c" -o "$OUT/bpf_testmod.o"
	module_types "$1" nf_conntrack "$OUT/nf_conntrack.btf"
	llvm-strip-19 -g "$OUT"/bpf_testmod.o "$OUT"/btf__*.o "$OUT"/exceptions.bpf.o
	rm -rf "$INCLUDE"
	echo "$types_recipe" > "$OUT/types.recipe"
}

with_lock "kernel-$version" build "$version"
with_lock "kernel-$version" build_types "$version"
for v in 7.2 7.3; do
	[ -d "$USCX_CACHE/kernel/$v/src" ] || continue
	with_lock "kernel-$v" build_qmap "$v"
	mkdir -p "$dest/$v/bpf"
	cp -a --update "$USCX_CACHE/kernel/$v/bpf/clang19" "$dest/$v/bpf/"
done
mkdir -p "$dest/$version/bpf"
cp -a --update "$USCX_CACHE/kernel/$version/bpf/." "$dest/$version/bpf/"
