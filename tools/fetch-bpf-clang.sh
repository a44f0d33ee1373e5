#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Puts a clang 22 for BPF, with the libraries and the loader it was built
# against, at $USCX_CACHE/clang-22, unpacked and not installed, so that it runs
# on older systems too. Prints the path of the command that runs it.
#
# The kernel's schedulers want it: clang 19 drops an address space cast from
# scx_qmap, whose arena accesses the verifier then refuses.
set -e -o pipefail
. "$(dirname "$0")/debian.sh"
version=22
suite=trixie

fetch() {
	local dest=$USCX_CACHE/clang-$version tmp=$USCX_CACHE/clang-$version.new deb package
	[ ! -x "$dest/bpf-clang" ] || return 0
	private_apt_init binary deb trixie trixie-backports sid experimental
	private_apt binary apt-cache show "clang-$version" > /dev/null 2>&1 ||
		die "the archive has no clang-$version"
	rm -rf "$tmp"
	mkdir -p "$tmp/debs/partial"
	say "fetching clang-$version"
	private_apt binary apt-get install -qq -y --download-only --no-install-recommends -t "$suite" \
		-o "Dir::Cache::archives=$tmp/debs/" "libclang-cpp$version" > /dev/null
	for package in "clang-$version" "libclang-common-$version-dev"; do
		(cd "$tmp/debs" && private_apt binary apt-get download -qq "$package/$suite" >&2)
	done
	for deb in "$tmp"/debs/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar x -C "$tmp" --wildcards \
			--exclude './usr/share/*' --exclude '*.a' './usr/*' './lib*' 2> /dev/null || true
	done
	rm -rf "$tmp/debs"
	cat > "$tmp/bpf-clang" <<WRAPPER
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")
llvm=\$here/usr/lib/llvm-$version
exec "\$here/usr/lib64/ld-linux-x86-64.so.2" \\
	--library-path "\$here/usr/lib/x86_64-linux-gnu:\$llvm/lib" \\
	"\$llvm/bin/clang" -resource-dir "\$llvm/lib/clang/$version" "\$@"
WRAPPER
	chmod +x "$tmp/bpf-clang"
	"$tmp/bpf-clang" --version > /dev/null || die "the unpacked clang-$version does not run"
	rm -rf "$dest"
	mv "$tmp" "$dest"
}

with_lock clang fetch
printf '%s\n' "$USCX_CACHE/clang-$version/bpf-clang"
