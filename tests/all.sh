#!/bin/sh
# Goal: install what is missing, build, run every test, and sum up.
#
# usage: sh tests/all.sh [CONFIGURE-OPTION ...]
#
# Builds in build/ (BUILD_DIR names another directory), where the logs of the
# tests stay; TESTS names some of them, as for make check.  The tests wait more
# than they compute, so 8 of them run at a time (JOBS).  Closes with
# "N passed, N failed, N skipped"; status 0 if none failed.

set -eu
source_dir=$(cd "$(dirname "$0")/.." && pwd)
build_dir=${BUILD_DIR:-$source_dir/build}
jobs=${JOBS:-8}

# shellcheck source=tests/need.sh
. "$source_dir/tests/need.sh"
need_build ssh:openssh-client sshd:openssh-server ssh-keygen:openssh-client \
    socat:socat tmux:tmux ip:iproute2 unshare:util-linux ps:procps

# A tree that is configured itself cannot be built elsewhere.
if [ -z "${BUILD_DIR-}" ] && [ -f "$source_dir/config.status" ]; then
	build_dir=$source_dir
fi
mkdir -p "$build_dir"

# Runs a command, and shows what it wrote only if it fails.
quietly() {
	if ! "$@" >"$build_dir/step.log" 2>&1; then
		cat "$build_dir/step.log"
		echo "failed: $*"
		exit 1
	fi
}

cd "$source_dir"
# Once they are there, make brings them up to date.
if ! [ -f configure ] || ! [ -f Makefile.in ]; then
	quietly autoreconf -fi
fi
cd "$build_dir"
echo "Building in $build_dir"
quietly "$source_dir/configure" "$@"
quietly make -j "$jobs"
quietly make -j "$jobs" check TESTS=

# What an earlier run left must not be counted.
rm -f tests/*.trs
echo "Running the tests"
status=0
make -j "$jobs" check ${TESTS+"TESTS=$TESTS"} >check.log 2>&1 || status=1

# Counts the results of each test in $@; shows what was skipped, and the whole
# log of a test that failed.  That it exits with an error too is no further
# failure.
summary() {
	awk '
	function close_test() {
		if (test == "")
			return
		lines = ended = 0
		while ((getline line < (test ".log")) > 0) {
			log_line[++lines] = line
			if (line ~ /^ERROR: .* - exited with status/)
				ended = 1
		}
		close(test ".log")
		if (failed > 1 && ended)
			failed--
		printf "%s: %d passed, %d failed, %d skipped\n", test,
		    passed, failed, skipped
		for (i = 1; i <= lines; i++) {
			if (failed > 0 && log_line[i] !~ /^PASS: /)
				print "    " log_line[i]
			else if (log_line[i] ~ /^(ok|1\.\.0).*# SKIP/)
				print "    " log_line[i]
		}
		all_passed += passed
		all_failed += failed
		all_skipped += skipped
	}
	FNR == 1 {
		close_test()
		test = FILENAME
		sub(/\.trs$/, "", test)
		passed = failed = skipped = 0
	}
	/^:test-result: *(PASS|XFAIL)/ { passed++ }
	/^:test-result: *SKIP/ { skipped++ }
	/^:test-result: *(FAIL|XPASS|ERROR)/ { failed++ }
	END {
		close_test()
		if (all_failed == 0 && (status != 0 || all_passed == 0)) {
			while ((getline line < "check.log") > 0)
				print "    " line
			all_failed = 1
		}
		printf "%d passed, %d failed, %d skipped\n", all_passed,
		    all_failed, all_skipped
		exit all_failed > 0
	}' status="$status" "$@"
}
summary tests/*.trs
