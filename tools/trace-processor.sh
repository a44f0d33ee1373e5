#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# trace-processor.sh SOURCE DEST
# Builds Perfetto's trace processor from its unmodified source (github.com/google/perfetto, tried
# with v58.2), for tests/infra/trace_sql.py:
#   DEST/trace_processor_shell
# Debian's perfetto does not have it. Needs clang, mold, gn (generate-ninja), ninja, libprotobuf-dev,
# protobuf-compiler, zlib1g-dev and SQLite 3.41.2 (libsqlite3-dev of Debian 13; elsewhere name a
# directory with sqlite3.c and sqlite3.h in $SQLITE). 1,700 steps: an hour of one core.
#
# By these options the processor of docs/progress.md was built, by hand on Debian 12; this script
# itself has been run to step 1,105 only.
set -e -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/debian.sh"
source=$1 dest=$2
[ -f "$source/gn/perfetto.gni" ] && [ -n "$dest" ] || die "usage: trace-processor.sh SOURCE DEST"
mkdir -p "$dest"
dest=$(cd "$dest" && pwd)

header=${SQLITE:-/usr/include}/sqlite3.h
version=$(sed -n 's/^#define SQLITE_VERSION_NUMBER *//p' "$header")
[ "${version:-0}" -ge 3041002 ] || die "$header is of SQLite ${version:-?}: name a directory with
sqlite3.c and sqlite3.h of 3.41.2 or later in \$SQLITE"
if [ -n "$SQLITE" ]; then
	mkdir -p "$dest/lib"
	cc -O1 -w -DSQLITE_THREADSAFE=0 -DSQLITE_ENABLE_MATH_FUNCTIONS -DSQLITE_OMIT_LOAD_EXTENSION \
		-fPIC -c "$SQLITE/sqlite3.c" -o "$dest/lib/sqlite3.o"
	ar rcs "$dest/lib/libsqlite3.a" "$dest/lib/sqlite3.o"
	export CPATH=$SQLITE LIBRARY_PATH=$dest/lib
fi

clang=$(basename "$(ls /usr/bin/clang++-[0-9]* | sort -V | tail -n 1)")
wrapper=$(command -v ccache || true)
# What a trace of ours does not need is off.
off() { printf 'enable_perfetto_%s = false\n' "$@"; }
cat > "$dest/args.gn" <<EOF
is_debug = false
is_clang = true
is_hermetic_clang = false
non_hermetic_clang_stdlib = "libstdc++"
cc = "${clang/++/}"
cxx = "$clang"
linker = "mold"
cc_wrapper = "$(basename "$wrapper")"
perfetto_use_system_protobuf = true
perfetto_use_system_sqlite = true
perfetto_use_system_zlib = true
skip_buildtools_check = true
perfetto_force_dcheck = "off"
extra_cflags = "-O0 -w"
$(off trace_processor_{linenoise,httpd,json,mac_instruments,percentile} unittests integration_tests \
	benchmarks fuzzers ui heapprofd traced_perf llvm_demangle zstd re2 etm_importer winscope)
EOF
gn gen "$dest" --root="$source" --script-executable=python3
ninja -C "$dest" trace_processor_shell
say "built $dest/trace_processor_shell"
