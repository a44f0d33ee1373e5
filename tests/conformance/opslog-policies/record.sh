#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# record.sh REAL-KERNEL LABEL [MODES [SCENARIOS [RUNS]]]   (default: 012356789 all 5)
# Boots the real kernel LABEL with policies.patch's policies and records what is stable in the
# situations of opslog: $OUT/LABEL/SCENARIO.MODE.txt. REAL-KERNEL is the directory with boot.sh, set
# up as its README says, and opslog/.
set -e -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
real=${1:?REAL-KERNEL} label=${2:?LABEL}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$real"/*.sh "$work"
cp -r "$real/opslog" "$work"
chmod -R u+w "$work/opslog"
patch -s -p1 -d "$work/opslog" < "$here/policies.patch"
"$work/opslog/run.sh" "$label" "${3:-012356789}" "${4:-all}" "${5:-5}"
