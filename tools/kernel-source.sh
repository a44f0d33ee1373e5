# SPDX-License-Identifier: GPL-2.0-only
# Sourced by scripts that build from the kernel's tree, after debian.sh: where
# that tree is, in $USCX_CACHE/kernel/VERSION/{src,vmlinux.h,vmlinux.btf}.

# newest PACKAGE PREFIX: the newest version of PACKAGE that belongs to the
# kernel version PREFIX.
newest() {
	private_apt binary apt-cache madison "$1" | cut -d '|' -f 2 | tr -d ' ' |
		grep -E "^${2//./\\.}[.~-]" | sort -V -u | tail -n 1
}

fetch_source() {	# VERSION DIR
	local name=linux-source-$1 version deb
	private_apt_init binary deb trixie trixie-backports sid experimental
	version=$(newest "$name" "$1")
	[ -n "$version" ] || die "the archive has no $name"
	deb=$(deb_fetch binary "$name=$version")
	mkdir -p "$2/src" "$2/bpf-dev"
	say "unpacking $name $version"
	dpkg-deb --fsys-tarfile "$deb" | tar xO "./usr/src/$name.tar.xz" |
		tar xJ -C "$2/src" --strip-components=1 "$name/Makefile" "$name/tools" \
			"$name/scripts" "$name/include" "$name/kernel/bpf" "$name/arch/x86/include"
	local bpf_version
	bpf_version=$(private_apt binary apt-cache madison linux-bpf-dev | cut -d '|' -f 2 |
		tr -d ' ' | grep -Fx "$version" | head -n 1) || true
	[ -n "$bpf_version" ] || bpf_version=$(newest linux-bpf-dev "$1")
	[ -n "$bpf_version" ] || die "the archive has no linux-bpf-dev of $1"
	deb=$(deb_fetch binary "linux-bpf-dev=$bpf_version")
	dpkg-deb -x "$deb" "$2/bpf-dev"
	find "$2/bpf-dev" -name vmlinux.h -exec mv {} "$2/vmlinux.h" \;
	[ -s "$2/vmlinux.h" ] || die "$deb has no vmlinux.h"
	rm -rf "$2/bpf-dev"
	echo "$version" > "$2/version"
}

# need_source VERSION: the tree is there. Under the lock kernel-VERSION.
need_source() {
	local root=$USCX_CACHE/kernel/$1
	[ ! -s "$root/version" ] || return 0
	rm -rf "$root"
	mkdir -p "$root"
	fetch_source "$1" "$root"
}

# kernel_package VERSION KIND: Debian's package of that kind (binary, modules) of its own kernel,
# as PACKAGE=VERSION: the source's own version where there is one, else the newest.
kernel_package() {
	local package version newer found= last=
	private_apt_init binary deb trixie trixie-backports sid experimental
	version=$(cat "$USCX_CACHE/kernel/$1/version")
	for package in $(private_apt binary apt-cache search --names-only \
		"^linux-$2-${1//./\\.}[^ ]*cloud-amd64\$" |
		cut -d ' ' -f 1 | sort -V); do
		newer=$(private_apt binary apt-cache madison "$package" | cut -d '|' -f 2 | tr -d ' ')
		grep -qFx "$version" <<< "$newer" && found=$package
		last=$package
	done
	package=${found:-$last}
	[ -n "$package" ] || die "the archive has no linux-$2 of $1"
	[ -n "$found" ] || version=$(newest "$package" "$1")
	printf '%s\n' "$package=$version"
}

# module_types VERSION MODULE OUT: the BTF of a module of that kernel, split from need_btf's.
module_types() {
	local dir=$USCX_CACHE/kernel/$1/module package deb
	package=$(kernel_package "$1" modules)
	deb=$(deb_fetch binary "$package")
	rm -rf "$dir"
	mkdir -p "$dir"
	say "taking the types of $2 out of $package"
	dpkg-deb --fsys-tarfile "$deb" | tar x -C "$dir" --wildcards "*/$2.ko.xz"
	xz -dc "$(find "$dir" -name "$2.ko.xz")" > "$dir/$2.ko"
	llvm-objcopy-19 --dump-section ".BTF=$3" "$dir/$2.ko" /dev/null
	rm -rf "$dir"
}

# need_btf VERSION: the types of Debian's own kernel of that version.
need_btf() {
	local root=$USCX_CACHE/kernel/$1 package deb
	[ ! -s "$root/vmlinux.btf" ] || return 0
	package=$(kernel_package "$1" binary)
	deb=$(deb_fetch binary "$package")
	rm -rf "$root/image"
	mkdir -p "$root/image"
	say "taking the types out of $package"
	dpkg-deb -x "$deb" "$root/image"
	"$(dirname "${BASH_SOURCE[0]}")/kernel-btf.py" "$(find "$root/image" -name 'vmlinuz*' -type f | head -n 1)" \
		"$root/vmlinux.btf.new"
	mv "$root/vmlinux.btf.new" "$root/vmlinux.btf"
	rm -rf "$root/image"
}
