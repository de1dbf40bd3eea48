#!/bin/sh
# Goal: run every fuzz target for a while, two at a time, and say what they found.
#
# usage: tests/fuzz.sh [SECONDS [TARGET ...]]
#
# Run it in a build directory that was configured with --enable-fuzzing (and
# CC=clang), after "make tests/fuzz".  SECONDS, for each target, is 60 unless
# given.  FUZZ_CORPUS names a directory that keeps the inputs that reached
# something new, one directory for each target; without it they are forgotten.
# An input that breaks a property stays as fuzz-TARGET-... here, and
# FUZZ_TARGET=TARGET tests/fuzz FILE runs it again.  Status 1 if there is one.

set -eu
seconds=${1:-60}
[ $# -eq 0 ] || shift
fuzz=${abs_top_builddir:-$PWD}/tests/fuzz
[ -x "$fuzz" ] || {
	echo "$fuzz is not there: configure --enable-fuzzing CC=clang," \
	    "make tests/fuzz" >&2
	exit 1
}
[ $# -gt 0 ] || {
	# shellcheck disable=SC2046 # the list is words
	set -- $(env -u FUZZ_TARGET "$fuzz")
}

tmp=$(mktemp -d "${TMPDIR:-/tmp}/autossh-fuzz.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
corpus=${FUZZ_CORPUS:-$tmp/corpus}

run_target() {
	mkdir -p "$corpus/$1"
	if FUZZ_TARGET=$1 nice "$fuzz" -max_total_time="$seconds" -timeout=10 \
	    -print_final_stats=1 -artifact_prefix="fuzz-$1-" "$corpus/$1" \
	    >"$tmp/$1.log" 2>&1; then
		awk -v name="$1" -v seconds="$seconds" '
		/number_of_executed_units/ { inputs = $2 }
		END {
			printf "%s: %d inputs in %d s\n", name, inputs, seconds
		}' "$tmp/$1.log"
	else
		echo "$1: FAILED"
		tail -n 40 "$tmp/$1.log"
		: >"$tmp/failed"
	fi
}

# Of two workers each takes every other target.
worker() {
	turn=$1
	shift
	for name do
		turn=$((1 - turn))
		[ "$turn" -eq 0 ] || run_target "$name"
	done
}
worker 0 "$@" &
worker 1 "$@"
wait
[ ! -e "$tmp/failed" ]
