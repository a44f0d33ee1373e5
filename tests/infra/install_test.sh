#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# install_test.sh SOURCE_DIR BUILD_DIR
# What is installed is enough to build a scheduler outside the tree and to run
# it, also after the installation was moved.
set -e -o pipefail
source_dir=$1 build_dir=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "FAIL: $*" >&2; exit 1; }

cmake --install "$build_dir" --prefix "$scratch/first" > /dev/null
mv "$scratch/first" "$scratch/prefix"
prefix=$scratch/prefix
cp -r "$prefix/share/uscx/examples/out-of-tree" "$scratch/mine"
cd "$scratch/mine"
make -s PREFIX="$prefix" greedy.bpf.o

# Nothing of the tree it was built from was read.
clang-19 -target bpf -M $(PKG_CONFIG_PATH=$prefix/share/pkgconfig pkg-config --cflags uscx) \
	greedy.bpf.c > deps
! grep -F -e "$source_dir/" -e "$build_dir/" deps || fail "reads the source tree"
! grep -rIlF -e "$source_dir/" -e "$build_dir/" "$prefix" || fail "installed files name the source tree"

status=0
make -s PREFIX="$prefix" run ARGS="--duration 200ms --json out.json" > output 2>&1 || status=$?
[ "$status" -eq 0 ] || { cat output; fail "make run: status $status"; }
grep -q greedy output || { cat output; fail "the report does not name the scheduler"; }
python3 - <<'PYTHON' || fail "out.json"
import json
report = json.load(open("out.json"))
assert report["virtual_ns"] >= 200_000_000, report["virtual_ns"]
assert sum(cpu["tasks_run"] for cpu in report["cpus"]) > 0
PYTHON
echo "PASS"
