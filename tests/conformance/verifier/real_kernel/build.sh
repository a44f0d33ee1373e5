#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# build.sh BUILD DEST: DEST/real_kernel_verdicts and DEST/random_verdicts, static, to be run in a
# virtual machine. BUILD is a build directory (its libbpf).
set -e
source=$(cd "$(dirname "$0")/../../../.." && pwd)
build=$1 dest=$2
verifier=$source/tests/conformance/verifier
mkdir -p "$dest"
make() {	# NAME SOURCES...
	local name=$1
	shift
	g++ -std=c++23 -O1 -static -DFMT_HEADER_ONLY -I"$source/src" -I"$source" -I"$source/tests" \
		-isystem "$build/libbpf/include" "$@" "$build/libuscx_libbpf.a" -lelf -lz -lzstd -o "$dest/$name"
}
make real_kernel_verdicts "$verifier"/real_kernel/verdicts.cc \
	"$verifier"/real_kernel/release.cc "$verifier"/{elsewhere,expectations,messages,subject}.cc \
	"$source/src/cli/struct_ops_mask.cc" -Wl,--wrap=uname
make random_verdicts "$verifier"/real_kernel/random_verdicts.cc \
	"$verifier"/random/{batch,generate,generate_flow,generate_memory,generate_calls,generate_more,refusal}.cc
