#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# prove-debootstrap.sh SUITE [MAKE_TARGETS...]   (default: run test)
# The README's commands as a newcomer types them: in a fresh debootstrap of the
# Debian release SUITE (bookworm or trixie) with a clean clone of this tree.
# Needs root and debootstrap. PROVE_DIR is where (a fresh directory under
# $TMPDIR by default, removed afterwards); a system bootstrapped there before is
# kept, and copied for each proof.
set -e -o pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/tools/debian.sh"
suite=$1
[ -n "$suite" ] || die "usage: prove-debootstrap.sh SUITE [MAKE_TARGETS...]"
shift
[ $# -gt 0 ] || set -- run test
[ "$(id -u)" -eq 0 ] || die "chroot needs root"
command -v debootstrap > /dev/null || die "needs debootstrap"

base=${PROVE_DIR:-$(mktemp -d)}
mkdir -p "$base"
pristine=$base/$suite.pristine root=$base/$suite
unmount() {
	umount -l "$root/proc" "$root/dev" 2> /dev/null || true
}
cleanup() {
	unmount
	[ -n "${PROVE_DIR:-}" ] || rm -rf --one-file-system "$base"
}
trap cleanup EXIT

if [ ! -e "$pristine/etc/debian_version" ]; then
	say "debootstrap $suite"
	rm -rf "$pristine" "$pristine.new"
	# git to clone with and make are all a newcomer is supposed to have.
	debootstrap --variant=minbase --include=git,make,ca-certificates \
		"$suite" "$pristine.new" "$(debian_mirror)" > "$base/debootstrap.log" 2>&1 ||
		{ tail -n 20 "$base/debootstrap.log" >&2; die "debootstrap failed"; }
	mv "$pristine.new" "$pristine"
fi
unmount
rm -rf --one-file-system "$root"
cp -a "$pristine" "$root"
cp /etc/resolv.conf "$root/etc/resolv.conf"
# How to reach the archive, and how old it may be, as this machine's apt is told.
apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date|https?::Proxy) ' \
	> "$root/etc/apt/apt.conf.d/90host" || true
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --make-rslave "$root/dev"
git clone -q --no-hardlinks "$here" "$root/root/uscx"

sources() {
	(cd "$root/etc/apt" && find . -type f ! -path './apt.conf.d/*' -exec sha256sum {} + | sort)
}
sources_before=$(sources)

for target in "$@"; do
	say "$suite: make $target"
	begin=$SECONDS
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8 \
		chroot "$root" make -C /root/uscx "$target" || die "$suite: make $target failed"
	say "$suite: make $target succeeded in $((SECONDS - begin)) s"
done
[ "$(sources)" = "$sources_before" ] || die "$suite: the system's sources list was changed"
