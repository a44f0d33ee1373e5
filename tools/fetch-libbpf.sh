#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Puts libbpf's source, from Debian's source package, at $USCX_CACHE/libbpf and
# prints that path. The newest 1.7 is taken, or what is newer where none is left.
set -e -o pipefail
. "$(dirname "$0")/debian.sh"

fetch() {
	local dest=$USCX_CACHE/libbpf tmp=$USCX_CACHE/libbpf.new version tarball
	[ ! -e "$dest/src/libbpf.c" ] || return 0
	private_apt_init source deb-src sid
	version=$(private_apt source apt-cache showsrc libbpf | sed -n 's/^Version: //p' | sort -V -u |
		awk '/^1\.7/ { seven = $0 } { last = $0 } END { print seven ? seven : last }')
	[ -n "$version" ] || die "the archive has no source package libbpf"
	dpkg --compare-versions "$version" ge 1.7~ || die "the archive's libbpf $version is older than 1.7"
	say "fetching libbpf $version"
	mkdir -p "$USCX_CACHE/downloads/libbpf"
	(cd "$USCX_CACHE/downloads/libbpf" &&
		private_apt source apt-get source -qq --download-only "libbpf=$version" >&2)
	tarball=$(ls -t "$USCX_CACHE"/downloads/libbpf/libbpf_*.orig.tar.* | grep -v '\.asc$' | head -n 1)
	rm -rf "$tmp"
	mkdir -p "$tmp"
	tar xf "$tarball" -C "$tmp" --strip-components=1
	echo "$version" > "$tmp/.debian-version"
	rm -rf "$dest"
	mv "$tmp" "$dest"
}

with_lock libbpf fetch
printf '%s\n' "$USCX_CACHE/libbpf"
