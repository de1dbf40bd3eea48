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
exec "$builddir/tests/soak" $((minutes * 60)) "$@"
