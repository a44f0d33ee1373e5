# SPDX-License-Identifier: GPL-2.0-only
# Sourced by the scripts here: where downloads are kept, and a private apt root.
#
# Everything fetched or unpacked lives under $USCX_CACHE, once, so that build
# directories can be deleted freely. Debian's ordinary client fetches it, with
# signatures checked as always, from suites the system itself need not know:
# the lists, the state and the cache are ours, the system's stay untouched.

USCX_CACHE=${USCX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/uscx}
export USCX_CACHE

say() { printf '%s\n' "uscx: $*" >&2; }
die() { say "$*"; exit 1; }

# The Debian archive this machine's own apt is set up with.
debian_mirror() {
	if [ -n "${USCX_MIRROR:-}" ]; then
		printf '%s\n' "$USCX_MIRROR"
		return
	fi
	# A site whose release file says so is Debian's main archive; without
	# downloaded lists only its name tells.
	{
		apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(SITE)' 'Created-By: Packages' 2>/dev/null |
			sed -n 's/^Debian|Debian|//p'
		apt-get indextargets --no-release-info --format '$(SITE)' 'Created-By: Packages' 2>/dev/null |
			grep debian | grep -v security
	} | sed -e 's,/$,,' -e '/^cdrom:/d' | head -n 1
}

# private_apt ROOT COMMAND ARGS...: an apt command on the private root ROOT.
private_apt() {
	local root=$USCX_CACHE/apt/$1 command=$2
	shift 2
	"$command" \
		-o "Dir::Etc::sourcelist=$root/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
		-o "Dir::State=$root/state" -o "Dir::State::status=$root/status" \
		-o "Dir::Cache=$root/cache" -o Acquire::Languages=none \
		-o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
		-o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false \
		-o APT::Update::Post-Invoke-Success= -o APT::Sandbox::User= \
		-o Acquire::Retries=3 "$@"
}

# private_apt_init ROOT deb|deb-src SUITES...: makes the private root ROOT and
# fetches its lists, unless they are there already.
private_apt_init() {
	local name=$1 type=$2 root=$USCX_CACHE/apt/$1 mirror suite
	shift 2
	[ ! -e "$root/complete" ] || return 0
	mirror=$(debian_mirror)
	[ -n "$mirror" ] || die "this machine's apt knows no Debian archive; set USCX_MIRROR to one"
	local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -e "$keyring" ] || die "$keyring is missing (package debian-archive-keyring)"
	mkdir -p "$root/state/lists/partial" "$root/cache/archives/partial"
	: > "$root/status"
	for suite in "$@"; do
		echo "$type [signed-by=$keyring] $mirror $suite main"
	done > "$root/sources.list"
	say "fetching Debian's package lists ($*)"
	private_apt "$name" apt-get update -qq >&2 || die "cannot fetch the package lists"
	: > "$root/complete"
}

# deb_fetch ROOT PACKAGE[=VERSION|/SUITE]: the path of its .deb, fetched if need be.
deb_fetch() {
	local dir=$USCX_CACHE/downloads name
	mkdir -p "$dir" "$dir/empty"
	# (--print-uris is silent about what lies in the current directory already)
	name=$(cd "$dir/empty" && private_apt "$1" apt-get download -qq --print-uris "$2" 2>/dev/null |
		sed -n "s/^'[^']*' \([^ ]*\) .*/\1/p")
	[ -n "$name" ] || die "Debian has no package $2"
	if [ ! -s "$dir/$name" ]; then
		say "fetching $name"
		(cd "$dir" && private_apt "$1" apt-get download -qq "$2" >&2) || die "cannot fetch $2"
	fi
	printf '%s\n' "$dir/$name"
}

# with_lock NAME COMMAND ARGS...: one process at a time for one cached thing.
with_lock() {
	mkdir -p "$USCX_CACHE/locks"
	(
		flock 9
		shift
		"$@"
	) 9> "$USCX_CACHE/locks/$1"
}
