#!/bin/sh
# Goal: show that autossh can be forgotten: a long time of random faults, at any
# microsecond, breaks nothing (soak.c says what is done and what is checked).
#
# usage: tests/soak.sh [MINUTES [SEED [RESTARTS]]]
#
# Run it in a build directory, after "make autossh tests/soak".  It takes two
# minutes, or MINUTES, and as long as it needs for RESTARTS of ssh if given.  It
# prints its seed, which makes the same events again though never at the same
# microsecond, and a summary; status 1 after a violation.

set -eu
builddir=${abs_top_builddir:-$PWD}
AUTOSSH=${AUTOSSH:-$builddir/autossh}
export AUTOSSH
for program in "$AUTOSSH" "$builddir/tests/soak"; do
	[ -x "$program" ] || {
		echo "$program is not there: make autossh tests/soak" >&2
		exit 1
	}
done
minutes=${1:-2}
[ $# -eq 0 ] || shift
set -- "$builddir/tests/soak" $((minutes * 60)) "$@"

# The network changes as well, where there may be one of its own.
own='--map-current-user --keep-caps'
[ "$(id -u)" -ne 0 ] || own=
network='ip link set lo up && ip link add soak0 type veth peer name soak1 &&
    ip link set soak0 up && ip link set soak1 up'
# shellcheck disable=SC2086 # words
if unshare $own --net sh -c "$network" >/dev/null 2>&1; then
	SOAK_LINK=soak0 exec unshare $own --net sh -c "$network"' && exec "$@"' \
	    sh "$@"
fi
echo "no network of its own here: none of its changes"
exec "$@"
