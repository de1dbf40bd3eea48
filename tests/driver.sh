#!/bin/sh
# Goal: show how one test ended, in one line.
#
# usage: driver.sh TAP-DRIVER... --test-name NAME --log-file LOG ... (automake)
#
# Runs automake's TAP driver, and in place of its line for each result prints
# "NAME: N passed, N failed, N skipped (N s)".  The skipped results follow, and
# the failed ones with what the test says of each, and how to run it alone.

previous=
began=$(date +%s)
for word do
	case $previous in
	--test-name) name=$word ;;
	--log-file) log=$word ;;
	esac
	previous=$word
done
"$@" >/dev/null || exit

# A failed result is followed by its evidence, in comments.  Where a test ended
# in another way (its status, its plan), the end of its log is the evidence.
lines=$(awk -v name="$name" -v seconds="$(($(date +%s) - began))" \
    -v builddir="$(pwd)" '
{
	tail[NR] = $0
}
/^(not )?ok|^Bail out!/ {
	evidence = /^not ok/ && !/# TODO/
}
/^(ok|1\.\.0).*# SKIP/ || evidence && /^(not ok|#)/ {
	shown[++nshown] = $0
}
/^(PASS|XFAIL): / {
	passed++
}
/^SKIP: / {
	skipped++
}
/^(FAIL|XPASS): / {
	failed++
}
/^ERROR: / {
	error = $0
}
END {
	# A test with failures exits with an error: that is no further one.
	if (error != "" && !(failed && error ~ /- exited with status/)) {
		failed++
		for (i = NR > 30 ? NR - 30 : 1; i <= NR; i++)
			if (tail[i] !~ /^PASS: /)
				shown[++nshown] = tail[i]
	}
	printf "%s: %d passed, %d failed, %d skipped (%d s)\n", name, passed,
	    failed, skipped, seconds
	for (i = 1; i <= nshown; i++)
		print "    " shown[i]
	if (failed)
		printf "    alone: cd %s && make check TESTS=%s\n", builddir,
		    name
}' "$log")
printf '%s\n' "$lines"
