#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# clean_test.sh SOURCE_DIR
# make clean removes everything that was built and no file that anybody wrote,
# wherever it lies: in a copy of the tree, with build outputs and with files of
# ours strewn about.
set -e -o pipefail
source_dir=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tree=$scratch/tree
mkdir "$tree"

if git -C "$source_dir" rev-parse --git-dir > /dev/null 2>&1; then
	git -C "$source_dir" ls-files -z | (cd "$source_dir" && xargs -0 tar c --ignore-failed-read) |
		tar x -C "$tree"
else
	(cd "$source_dir" && tar c --exclude './build*' .) | tar x -C "$tree"
fi
cd "$tree"
git init -q
git -c user.name=t -c user.email=t@t add -A
git -c user.name=t -c user.email=t@t commit -q -m tree

write() {	# FILES...
	local file
	for file in "$@"; do
		mkdir -p "$(dirname "$file")"
		echo "written by hand: $file" > "$file"
	done
}
# What somebody wrote and has not committed.
write notes.txt src/sched/idea.cc src/new/layer.h tests/unit/base/mine_test.cc \
	examples/schedulers/mine.bpf.c examples/workloads/mine.json tools/mine.sh \
	src/build/inner.cc builder/main.cc build-notes/plan.md buildings.txt \
	build/mine.bpf.c build/sub/deep.cc build/examples/mine.bpf.c build/kernel/7.2/why.md \
	.hidden/thing scratch.o examples/schedulers/kept.bpf.o
# A build of another tree, in a directory with one of our names.
write build-clang/CMakeCache.txt build-clang/precious.bin
find . -path ./.git -prune -o -type f -print | sort > "$scratch/before"

# A build directory as CMake makes it, and what a build puts there.
cmake_dir() {	# DIR
	mkdir -p "$1"
	echo "CMAKE_HOME_DIRECTORY:INTERNAL=$(pwd -P)" > "$1/CMakeCache.txt"
	write "$1"/{uscx,libuscx_base.a,test_base,.ninja_log,cmake_install.cmake,compile_commands.json} \
		"$1"/CMakeFiles/3.25.1/CompilerIdC/CMakeCCompilerId.c "$1"/libbpf/include/bpf/bpf.h \
		"$1"/examples/fifo.bpf.o "$1"/examples/fifo.bpf.o.d "$1"/kernel/7.2/scx_simple.bpf.o \
		"$1"/kernel/7.2/selftests/runner "$1"/Testing/Temporary/LastTest.log
}
cmake_dir build
cmake_dir build-debug
cmake_dir build-asan

make -s clean > "$scratch/output"

find . -path ./.git -prune -o -type f -print | sort > "$scratch/after"
if ! diff "$scratch/before" "$scratch/after"; then
	echo "FAIL: make clean removed (<) or left (>) the above" >&2
	exit 1
fi
while read -r file; do
	git ls-files --error-unmatch "$file" > /dev/null 2>&1 && continue
	grep -qx "written by hand: $file" "$file" || [ "$(head -c 16 "$file")" = "written by hand:" ] || {
		echo "FAIL: $file was changed" >&2
		exit 1
	}
done < "$scratch/after"
git diff --exit-code > /dev/null || { echo "FAIL: a tracked file was changed" >&2; exit 1; }
grep -q 'build/mine.bpf.c' "$scratch/output" || { echo "FAIL: what is left is not named" >&2; exit 1; }
for dir in build-debug build-asan; do
	[ ! -e "$dir" ] || { echo "FAIL: $dir is still there" >&2; exit 1; }
done
make -s clean > /dev/null
find . -path ./.git -prune -o -type f -print | sort | diff "$scratch/before" - ||
	{ echo "FAIL: a second make clean did more" >&2; exit 1; }

# A build directory somebody keeps files of in git is not touched at all.
write build/tracked.bin
git -c user.name=t -c user.email=t@t add -f build/tracked.bin
cmake_dir build
make -s clean > /dev/null
[ -e build/tracked.bin ] && [ -e build/uscx ] || { echo "FAIL: tracked files in build" >&2; exit 1; }
echo "PASS"
