#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Removes what the presets of CMakePresets.json build, and no file that anybody
# wrote: a build directory must be one of theirs and made from this very tree,
# and what looks like a source file in it and was not put there by the build
# stays, and is named.
set -e -o pipefail
root=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$root"

# Directories within a build directory that only the build writes to.
made_by_build="CMakeFiles Testing libbpf generated abi"
sources='.*\.\(c\|cc\|cpp\|cxx\|h\|hh\|hpp\|inc\|s\|S\|py\|sh\|rs\|md\|txt\|json\|patch\|diff\|mk\)'

clean_build_dir() {	# DIR
	local dir=$1 name
	if [ ! -e "$dir/CMakeCache.txt" ]; then
		# Never configured: only make kernel-schedulers can have been here.
		[ ! -d "$dir/kernel" ] || find "$dir/kernel" ! -type d ! -regex "$sources" -delete
		[ ! -d "$dir/kernel" ] || find "$dir" -depth -type d -empty -delete
		return 0
	fi
	grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$dir/CMakeCache.txt" || {
		echo "$dir is a build of another tree: left alone"
		return 0
	}
	if [ -e "$dir/build.ninja" ] && command -v ninja > /dev/null; then
		ninja -C "$dir" -t clean > /dev/null 2>&1 || true
	fi
	rm -f "$dir"/{CMakeCache.txt,compile_commands.json,install_manifest.txt}
	for name in $made_by_build; do
		rm -rf "${dir:?}/$name"
	done
	find "$dir" -mindepth 1 ! -type d ! -regex "$sources" -delete
	find "$dir" -depth -type d -empty -delete
	[ ! -e "$dir" ] || find "$dir" ! -type d -printf 'left alone: %p\n'
}

if command -v git > /dev/null && git rev-parse --git-dir > /dev/null 2>&1; then
	tracked=$(git ls-files -- 'build' 'build-*/')
fi
for dir in build build-debug build-asan build-clang build-clang-debug build-clang-asan; do
	[ -d "$dir" ] && [ ! -L "$dir" ] || continue
	case $'\n'$tracked in *$'\n'"$dir"/*) echo "$dir has tracked files: left alone"; continue ;; esac
	clean_build_dir "$dir"
done
