#!/bin/sh
# Goal: install what is missing, build, run every test, and sum up.
#
# usage: sh tests/all.sh [CONFIGURE-OPTION ...]
#
# Builds in build/ (BUILD_DIR names another directory), where the logs of the
# tests stay; TESTS names some of them, as for make check.  The tests wait as much
# as they compute, so twice as many run at a time as there are processors (JOBS).
# Shows a line for each test as it ends, with what was skipped and what failed,
# and closes with "N passed, N failed, N skipped"; status 0 if none failed.

set -eu
source_dir=$(cd "$(dirname "$0")/.." && pwd)
build_dir=${BUILD_DIR:-$source_dir/build}
jobs=${JOBS:-$(($(getconf _NPROCESSORS_ONLN) * 2))}

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

# Each test shows its line as it ends (driver.sh); the sum of the lines is ours.
echo "Running the tests"
{
	make -j "$jobs" check ${TESTS+"TESTS=$TESTS"} 2>&1 || echo "make failed"
} | tee check.log | grep --line-buffered -E '^tests/|^    ' || true
awk '
/^tests\/.* passed, .* failed, .* skipped/ {
	passed += $2
	failed += $4
	skipped += $6
}
{
	line[NR] = $0
}
END {
	if (failed == 0 && (line[NR] == "make failed" || passed == 0)) {
		for (i = 1; i <= NR; i++)
			print "    " line[i]
		failed = 1
	}
	printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
	exit failed > 0
}' check.log
