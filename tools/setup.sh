#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Installs the Debian packages that building (and, with the argument "test" or
# "bench", testing or measuring) needs and that are missing; does nothing where none is. The system's
# sources list is not touched. Debian 12 and 13.
set -e -o pipefail
. "$(dirname "$0")/debian.sh"

build="g++ cmake ninja-build pkgconf clang-19 llvm-19 libelf-dev zlib1g-dev libfmt-dev
	nlohmann-json3-dev libcli11-dev libgtest-dev libgmock-dev libprotozero-dev debian-archive-keyring
	python3 xz-utils"
# The JIT's assembler, where there is a JIT.
[ "$(uname -m)" != x86_64 ] || build="$build libasmjit-dev"
# What the kernel's own build of tools/sched_ext and bpftool wants, and patch for the docs' diffs.
test="gcc libc6-dev libzstd-dev git patch zstd"
bench="libbenchmark-dev"
format="clang-format-19 clang-tidy-19"

case ${1:-build} in
build) wanted=$build ;;
test) wanted="$build $test" ;;
bench) wanted="$build $test $bench" ;;
lint) wanted="$build $format" ;;
*) die "usage: setup.sh [build|test|bench|lint]" ;;
esac

command -v dpkg-query > /dev/null ||
	die "this is not Debian; install the like of: $(echo $wanted)"

missing=
for package in $wanted; do
	dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
		missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo > /dev/null ||
		die "needs, as root: apt-get install$missing"
	as_root=sudo
fi
say "installing$missing"
$as_root apt-get update -qq >&2 || say "apt-get update failed; trying with the lists there are"
$as_root env DEBIAN_FRONTEND=noninteractive \
	apt-get install -y -qq --no-install-recommends $missing > /dev/null ||
	die "could not install$missing"
