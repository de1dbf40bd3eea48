#!/bin/sh
# Goal: show that a clock that is set, forth or back or again and again, changes
# nothing; that suspended time counts; and that no time since boot is too long.
#
# The wall clock and the time since boot are moved for autossh alone, by a library
# put before the C library.  All cases run side by side, each under several
# clocks.
#
# Conditions are evaluated by wait_for, cases called by their name:
# shellcheck disable=SC2016,SC2034,SC2086,SC2154,SC2317

. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

years=400000000

# clock_start PLAN WORD...: start, on a clock that is right at first.
clock_start() {
	echo "$1" >"$dir/plan"
	shift
	clock_set 0
	begin=$(now)
	start "$CLOCK_PRELOAD" CLOCK_FILE="$dir/clock" "$@"
	wait_starts 1 || give_up "ssh is not started"
}

# Moves the wall clock as $clock says.
clock_move() {
	case $clock in
	ahead) clock_set $years ;;
	back) clock_set -$years ;;
	jumping) clock_set jumping ;;
	esac
}

# ---- cases: each under each clock

# Within the gate a death is premature; after it, none is.
gate() {
	clock_start "await $dir/go exit 255; exit 0" -M 0 host
	clock_move
	: >"$dir/go"
	wait_exit
	must "status $status, $(starts) starts" \
	    [ "$status $(starts)" = "1 1" ]
}

gate_passed() {
	clock_start "await $dir/go exit 255; hang" AUTOSSH_GATETIME=1 -M 0 host
	sleep 1.2
	clock_move
	: >"$dir/go"
	must "no second start" wait_starts 2
	stop
}

# An ssh that died young counts, whatever the clock says.
tries() {
	clock_start "exit 255; await $dir/go exit 255; exit 0" \
	    AUTOSSH_GATETIME=0 -M 0 host
	must "no second start" wait_starts 2
	clock_move
	: >"$dir/go"
	wait_exit
	must "the tries are not counted" log_has \
	    "checking for grace period, tries = 2"
}

# One that lived for 10 s does not.
tries_forgotten() {
	clock_start "exit 255; await $dir/go exit 255; hang" \
	    AUTOSSH_GATETIME=0 AUTOSSH_POLL=100 -M 0 host
	must "no second start" wait_starts 2
	clock_move
	sleep 10.2
	: >"$dir/go"
	must "no third start" wait_starts 3
	stop
	must "the tries are not forgotten" \
	    [ "$(log_count "checking for grace period, tries = 0")" -eq 2 ]
}

# The pause before the third start is a second or two.
backoff() {
	clock_start "exit 255" AUTOSSH_GATETIME=0 AUTOSSH_POLL=100 \
	    AUTOSSH_MAXSTART=3 -M 0 host
	wait_pause || give_up "no pause"
	clock_move
	wait_exit
	must "$(starts) starts, status $status" \
	    [ "$(starts) $status" = "3 0" ]
	gap=$(($(started_at 3) - $(started_at 2)))
	must "the wait took $gap ms" [ "$gap" -ge 1000 ]
}

# Tests come when they are due, and pass.
tests() {
	clock_start "forward" AUTOSSH_GATETIME=0 AUTOSSH_FIRST_POLL=1 \
	    AUTOSSH_POLL=2 -M "$port" host
	clock_move
	must "a test is missing" wait_log "connection ok" 3 60
	took=$(($(now) - begin))
	must "three tests in $took ms" [ "$took" -ge 5000 ]
	stop
	must "a clock that is set counts as a suspend" \
	    [ "$(log_text | grep -c "^resumed")" -eq 0 ]
	must "a test has failed" [ "$(starts)" -eq 1 ]
}

# A test waits for a timeout of a second, then it has failed.
test_timeout() {
	clock_start "swallow forward" AUTOSSH_GATETIME=0 AUTOSSH_FIRST_POLL=1 \
	    AUTOSSH_POLL=2 -M "$port" host
	clock_move
	must "the test does not fail" wait_log "port down, restarting ssh" 1 60
	took=$(($(now) - begin))
	must "it has failed after $took ms" [ "$took" -ge 2000 ]
	stop
}

lifetime() {
	clock_start hang AUTOSSH_MAXLIFETIME=2 -M 0 host
	clock_move
	kill -USR2 "$pid"
	wait_exit
	took=$(($(now) - begin))
	must "status $status" [ "$status" = 0 ]
	must "it lived for $took ms" [ "$took" -ge 2000 ]
}

# An ssh that ignores TERM has three seconds.
grace() {
	clock_start "ignore TERM hang" -M 0 host
	clock_move
	killed=$(now)
	stop
	took=$(($(now) - killed))
	must "status $status" [ "$status" = 1 ]
	must "SIGKILL came after $took ms" [ "$took" -ge 3000 ]
}

# ---- suspended time counts: of each, an hour has passed when all go on

sleep_an_hour() {
	clock_set 3600 3600
	kill -USR2 "$pid" # the kernel's timer would do it
}

suspended_backoff() {
	clock_start "exit 255" AUTOSSH_GATETIME=0 AUTOSSH_POLL=100000 \
	    AUTOSSH_MAXSTART=4 -M 0 host
	wait_pause 2 || give_up "no long pause"
	sleep_an_hour
	wait_exit
	must "status $status, $(starts) starts" \
	    [ "$status $(starts)" = "0 4" ]
}

# A pause that is not yet over ends.
suspended_pause() {
	clock_start "exit 255" AUTOSSH_GATETIME=0 AUTOSSH_POLL=1000000 -M 0 host
	wait_match "sleeping for grace time [1-9][0-9][0-9][0-9] secs" 1 30 ||
	    give_up "no long pause"
	before=$(starts)
	clock_set 60 60
	kill -USR2 "$pid"
	must "no start" wait_starts $((before + 1))
	must "the log does not say why" \
	    log_has "resumed after 60 s, starting ssh"
	stop
}

suspended_test() {
	clock_start "forward" AUTOSSH_GATETIME=0 AUTOSSH_POLL=3000 \
	    -M "$port" host
	sleep_an_hour
	must "no test" wait_log "connection ok" 1 30
	must "the log does not say why" \
	    log_has "resumed after 3600 s, testing the connection"
	stop
}

suspended_lifetime() {
	clock_start hang AUTOSSH_MAXLIFETIME=3000 -M 0 host
	sleep_an_hour
	wait_exit
	must "status $status" [ "$status" = 0 ]
}

suspended_gate() {
	clock_start "await $dir/go exit 255; hang" -M 0 host
	sleep_an_hour
	: >"$dir/go"
	must "no second start" wait_starts 2
	stop
}

# ---- a command that prints no passphrase has 60 s

secret_command() {
	clock_start "ask 'Enter passphrase for /k: ' hang" AUTOSSH_GATETIME=0 \
	    AUTOSSH_PASSPHRASE="exec:echo \$\$ >$dir/command; sleep 1000" \
	    -M 0 host
	wait_for 20 '[ -s "$dir/command" ]' || give_up "the command does not run"
	clock_set 0 50 50
	kill -USR2 "$pid"
	must "no status" wait_match "^status: "
	must "it is ended too early" alive "$(cat "$dir/command")"
	clock_set 0 70 70
	kill -USR2 "$pid"
	must "no refusal" wait_match \
	    "not answered: the command took longer than 60 s"
	must "it is still there" wait_for 20 '! alive "$(cat "$dir/command")"'
	stop
}

# ---- the time since boot: nearly 2^32 ms, 2^31 s, a century

up() {
	echo forward >"$dir/plan"
	run AUTOSSH_MAXLIFETIME=4 AUTOSSH_POLL=1 AUTOSSH_GATETIME=0 \
	    exec:unshare $timens --boottime "$1" --monotonic "$1" \
	    "$AUTOSSH" -M "$port" host
	must "status $status" [ "$status" = 0 ]
	must "no test has passed" log_has "connection ok"
	must "a test has failed" [ "$(starts)" -eq 1 ]
	fresh "exit 255"
	start AUTOSSH_GATETIME=0 AUTOSSH_POLL=100 AUTOSSH_MAXSTART=4 \
	    exec:unshare $timens --boottime "$1" --monotonic "$1" \
	    "$AUTOSSH" -M 0 host
	wait_exit 60
	gap=$(($(started_at 4) - $(started_at 3)))
	dir=$first
	must "the backoff took $gap ms" [ "$gap" -ge 1000 ]
}

# seconds_up SECONDS: what is to be added to be so long up.
seconds_up() {
	awk -v want="$1" '{ printf "%d", want - $1 }' /proc/uptime
}

up_2_32_ms() { up "$(seconds_up 4294965)"; }
up_2_31_s() { up "$(seconds_up 2147483646)"; }
up_a_century() { up "$(seconds_up 3155760000)"; }

# ---- all of them

# side_by_side NAME FUNCTION: in the background; collect prints what came of it.
cases=
side_by_side() {
	fresh
	first=$dir
	free_port
	(
		case_count=${case_count}000 # for more directories
		"$2"
		outcome ok
	) &
	cases="$cases $!:$dir"
	echo "$1" >"$dir/name"
}

collect() {
	for case in $cases; do
		wait "${case%%:*}"
		dir=${case#*:}
		name=$(cat "$dir/name")
		result=$(cat "$dir/outcome" 2>/dev/null)
		case $result in
		ok) ok "$name" ;;
		*) not_ok "$name" "${result#not ok }" ;;
		esac
	done
	cases=
}

if clock_library; then
	for clock in ahead back jumping; do
		for name in gate gate_passed tries tries_forgotten backoff \
		    tests test_timeout lifetime grace; do
			side_by_side "clock $clock: $(echo $name | tr _ ' ')" \
			    "$name"
		done
	done
	if built_with HAVE_DECL_CLOCK_BOOTTIME; then
		for name in backoff pause test lifetime gate; do
			side_by_side "suspended: $name" "suspended_$name"
		done
	else
		skip "suspended" "built without CLOCK_BOOTTIME"
	fi
	side_by_side "a command that hangs" secret_command
	collect
else
	skip "the clock is set" "no way to move the clock for this program"
fi

if [ "$(id -u)" -eq 0 ]; then
	timens="-T --fork"
else
	timens="-U --map-current-user -T --fork"
fi
if unshare $timens --boottime 1000 --monotonic 1000 true 2>/dev/null; then
	for name in up_2_32_ms up_2_31_s up_a_century; do
		side_by_side "$(echo $name | tr _ ' ')" "$name"
	done
	collect
else
	skip "long times since boot" "no time namespaces here"
fi
done_testing
