#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# lint.sh format            formats every C++ file in place
# lint.sh check BUILD_DIR   clang-format and clang-tidy, changing nothing
set -e -o pipefail
cd "$(dirname "$0")/.."
# (BPF programs and the ABI headers are C, laid out by hand.)
mapfile -t files < <(find src tests -name '*.cc' -o -name '*.h' | sort)

case $1 in
format) clang-format-19 -i "${files[@]}" ;;
check)
	clang-format-19 --dry-run -Werror "${files[@]}"
	printf '%s\n' "${files[@]}" | grep '^src/.*\.cc$' |
		xargs -P "$(nproc)" -n 4 clang-tidy-19 --quiet -p "$2"
	;;
*) echo "usage: lint.sh format | check BUILD_DIR" >&2; exit 1 ;;
esac
