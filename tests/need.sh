# shellcheck shell=sh
#
# need installs what is missing: sourced by the scripts that work on a fresh
# machine after nothing but a clone.
#
# usage: need COMMAND:PACKAGE ...
#	need_build COMMAND:PACKAGE ...	these, and what builds a clone
#
# Where a COMMAND (or a file, by its path) is missing, its PACKAGE (Debian's
# name) is installed with apt-get, as root or through sudo.  Where that is not
# possible, need says what is missing and how to get it, and ends the script
# with status 1.

need() {
	# Debian keeps sshd where an ordinary user's PATH does not look.
	PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
	need_packages=
	need_commands=
	for need_pair in "$@"; do
		command -v "${need_pair%%:*}" >/dev/null && continue
		[ -f "${need_pair%%:*}" ] && continue
		need_commands="$need_commands ${need_pair%%:*}"
		need_packages="$need_packages ${need_pair#*:}"
	done
	[ -n "$need_packages" ] || return 0

	if ! command -v apt-get >/dev/null; then
		echo "Missing:$need_commands" >&2
		echo "Install them with your system's package manager" \
		    "(on Debian they are in:$need_packages)." >&2
		exit 1
	fi
	need_root=
	if [ "$(id -u)" -ne 0 ]; then
		if ! command -v sudo >/dev/null; then
			echo "Missing:$need_commands" >&2
			echo "As root, run: apt-get install$need_packages" >&2
			exit 1
		fi
		need_root=sudo
	fi
	echo "Installing what is missing:$need_packages"
	# shellcheck disable=SC2086 # words are meant to be split
	if ! $need_root apt-get update -q >/dev/null ||
	    ! $need_root env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -q -y --no-install-recommends \
	    $need_packages >/dev/null; then
		echo "apt-get could not install:$need_packages" >&2
		exit 1
	fi
}

# Debian's gcc only recommends the C library's headers; where other systems keep
# theirs is not known here.
need_build() {
	if command -v apt-get >/dev/null; then
		set -- /usr/include/stdio.h:libc6-dev "$@"
	fi
	need gcc:gcc make:make autoconf:autoconf automake:automake "$@"
}
