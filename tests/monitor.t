#!/bin/sh
# monitor.t: what does not come back through ssh is noticed, whatever comes
# back is taken for it only if it is, and nothing else is held up meanwhile.

# shellcheck source=tests/lib.sh disable=SC2016,SC2034
. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

linux=
[ "$(uname -s)" = Linux ] && linux=1

# Several instances run at once: keep NAME remembers this one, look NAME turns
# to it again.
keep() {
	eval "dir_$1=\$dir pid_$1=\$pid port_$1=\$port"
}
look() {
	eval "dir=\$dir_$1 pid=\$pid_$1 port=\$port_$1"
}

# monitor NAME PLAN WORD...: a loop on a port of its own; @ in a word is P.
monitor() {
	fresh "$2"
	free_port
	monitor_name=$1
	shift 2
	for word do
		shift
		case $word in
		@*) word=$port${word#@} ;;
		esac
		set -- "$@" "$word"
	done
	start "$@" -N host
	keep "$monitor_name"
}

# ---- all that take their time are started here, and looked at below

# Faults of the first ssh; the second is sound.  The timeout is 0.5 s.
faults="hang swallow half garble cut close reset delay stopped deaf"
for fault in $faults; do
	case $fault in
	hang) plan="hang; forward" ;;
	cut) plan="cut 12 forward; forward" ;;
	delay) plan="delay 2500 forward; forward" ;;
	stopped) plan="stop STOP forward; forward" ;;
	deaf) plan="ignore TERM swallow forward; forward" ;;
	*) plan="$fault forward; forward" ;;
	esac
	monitor "$fault" "$plan" AUTOSSH_POLL=1 -M @
done
echo_faults="hang swallow garble cut close reset delay"
for fault in $echo_faults; do
	case $fault in
	hang) plan="hang; echo forward" ;;
	cut) plan="echo cut 12 forward; echo forward" ;;
	delay) plan="echo delay 2500 forward; echo forward" ;;
	*) plan="echo $fault forward; echo forward" ;;
	esac
	monitor "echo_$fault" "$plan" AUTOSSH_POLL=1 -M @:7
done
# The line in pieces of one byte: 30 and more of them.
monitor slow "trickle 5 forward" AUTOSSH_POLL=8 AUTOSSH_FIRST_POLL=1 -M @
monitor slower "trickle 100 forward; forward" AUTOSSH_POLL=2 -M @
# The timeout is 4 s: the loop has it for the connection and again for the
# line, the echo twice for the line.
monitor late "delay 5000 forward; forward" AUTOSSH_POLL=8 \
    AUTOSSH_FIRST_POLL=1 -M @
monitor echo_late "echo delay 5000 forward; echo forward" AUTOSSH_POLL=8 \
    AUTOSSH_FIRST_POLL=1 -M @:7
sound_begin=$(now)
monitor sound "forward" AUTOSSH_POLL=1 AUTOSSH_FIRST_POLL=2 \
    AUTOSSH_PIDFILE="$tmp/pidfile" AUTOSSH_MESSAGE="two words" -M @
monitor later "pass 2 swallow forward; forward" AUTOSSH_POLL=4 AUTOSSH_FIRST_POLL=1 -M @
# Descriptors: from too few for a start on.
few="10 11 12 13 14 15"
! sanitized || few=
for files in $few; do
	monitor "few_$files" forward "run:files=$files" AUTOSSH_GATETIME=0 \
	    AUTOSSH_POLL=30 AUTOSSH_FIRST_POLL=1 -M @
done

# ---- a sound loop

look sound
wait_for 10 '[ -s "$tmp/pidfile" ]'
touch -t 200102030405 "$tmp/pidfile"
check "tests pass" wait_log "connection ok" 3
is "$(starts)" 1 "and ssh is left alone"
check "the pidfile's time is touched" \
    test -z "$(find "$tmp/pidfile" ! -newer "$dir/starts")"
is "$(cat "$tmp/pidfile")" "$pid" "and its content stays"
cr=$(printf '\r')
line="^$(uname -n) autossh $pid [0-9]+ two words$cr\$"
is "$(grep -Ecv "$line" "$dir/wire")" 0 "the line: host, name, pid, random, message"
check "each line has a number of its own" \
    [ "$(sort -u "$dir/wire" | wc -l)" -eq "$(wc -l <"$dir/wire")" ]
like "$(cat "$dir/wire")" ' [0-9]{15,19} two' "the number has 62 bits or more"
at=$(awk -v s="$sound_begin" '{ printf "%d ", $2 - s }' "$dir/connects")
like "$(echo "$at" | awk '{ if ($1 >= 2000 && $2 - $1 >= 500 &&
    $3 - $2 >= 500) print "yes" }')" yes \
    "FIRST_POLL from the start, POLL from test to test ($at)"
wait_for 5 '"$TOOL" connects $((port + 1))'
check "it listens on P+1" "$TOOL" connects $((port + 1))
if [ -r /proc/net/tcp ]; then
	is "$(awk -v p=":$(printf %04X $((port + 1)))\$" \
	    '$2 ~ p && $4 == "0A" { print $2 }' /proc/net/tcp /proc/net/tcp6)" \
	    "0100007F:$(printf %04X $((port + 1)))" "and on 127.0.0.1 alone"
else
	skip "and on 127.0.0.1 alone" "no /proc/net/tcp"
fi
stop
is "$status" 1 "TERM between tests"
check "P+1 is free then" eval '! "$TOOL" connects $((port + 1))'
fresh forward
start AUTOSSH_POLL=1 -M "$port" -N host
check "the same ports may be had again at once" wait_log "connection ok"
is "$(cat "$dir/err")" "" "without a word"
like "$(cat "$dir/wire")" " autossh $pid [0-9]+ $cr\$" \
    "an empty message leaves the space before it"
stop

# ---- faults

for fault in $faults; do
	look "$fault"
	name="loop, fault of ssh: $fault"
	check "$name: port down" wait_log "port down, restarting ssh"
	check "$name: sound again" wait_log "connection ok"
	is "$(starts) $(got | cut -d ' ' -f 1)" "2 1:TERM" "$name: one restart"
	stop
	is "$status $(left)" "1 " "$name: the end"
done
# The last descriptor serves as well as any other.
down=
for files in $few; do
	look "few_$files"
	wait_for 30 'log_text | grep -q "^connection ok\|^port down" ||
	    ! alive "$pid"'
	log_has "connection ok" || ! alive "$pid" || down="$down $files"
	stop
done
if [ -n "$few" ]; then
	is "$down" "" "few descriptors: a test passes, or there is no start"
	like "$(log_text)" "^connection ok\$" "few descriptors: these do"
else
	skip "few descriptors" "built with a sanitizer"
fi
# None for a stranger, for a time: those who come later are heard again.
if [ -z "$few" ]; then
	skip "no descriptors for a time" "built with a sanitizer"
elif [ -d "/proc/$$/fd" ] && prlimit --pid $$ >/dev/null 2>&1; then
	fresh forward
	free_port
	start AUTOSSH_FIRST_POLL=6 -M "$port" host
	wait_starts 1
	files=$(find "/proc/$pid/fd" -mindepth 1 | sed 's/.*\///' | sort -n |
	    tail -n 1)
	prlimit --pid "$pid" --nofile="$((files + 1)):"
	"$TOOL" connects $((port + 1))
	wait_for 10 'kill -USR2 "$pid"; log_text | grep -q "^status: "'
	prlimit --pid "$pid" --nofile=64:
	check "no descriptors for a time: then a test passes" \
	    wait_log "connection ok"
	is "$(awk '{ print ($14 + $15 < 100) }' "/proc/$pid/stat")" 1 \
	    "no descriptors for a time: it rests"
	stop
else
	skip "no descriptors for a time" "no prlimit or /proc"
fi
look swallow
check "no connection comes back" \
    log_has "timeout polling to accept read connection"
for fault in $echo_faults; do
	look "echo_$fault"
	name="echo, fault of ssh: $fault"
	check "$name: port down" wait_log "port down, restarting ssh"
	check "$name: sound again" wait_log "connection ok"
	is "$(starts) $(got | cut -d ' ' -f 1)" "2 1:TERM" "$name: one restart"
	check "$name: nobody listens on P+1" \
	    eval '! "$TOOL" connects $((port + 1))'
	stop
	is "$status $(left)" "1 " "$name: the end"
done

look echo_close
check "an echo that closes: the log says so" \
    log_has "the connection was closed before the test message"

look later
check "two tests pass, the third fails" wait_log "port down, restarting ssh"
is "$(log_text | grep -nE '^(connection ok|port down.*)$' | head -n 3 |
    sed 's/.*://; s/,.*//' | tr '\n' ' ')" \
    "connection ok connection ok port down " "the order of it"
stop

look slow
check "a slow line is a line" wait_log "connection ok"
is "$(starts)" 1 "and no restart for it"
stop
look slower
check "a line that takes longer than the timeout" \
    wait_log "port down, restarting ssh"
stop
look late
check "a line that is later than the timeout: the loop fails" \
    wait_log "port down, restarting ssh"
stop
look echo_late
check "a line that is later than the timeout: the echo has two" \
    wait_log "connection ok"
is "$(starts)" 1 "and no restart for it"
stop

# ---- IPv6

if "$TOOL" ipv6; then
	monitor six "forward; hang" AUTOSSH_POLL=1 -M @ -6
	check "1.4g: -6 makes the loop unreachable: passed" \
	    wait_log "connection ok"
	stop
	monitor six "echo forward; hang" AUTOSSH_POLL=1 -M @:7 -6
	check "-6 with an echo: passed" wait_log "connection ok"
	stop
else
	skip "1.4g: -6 makes the loop unreachable: passed" "no IPv6"
	skip "-6 with an echo: passed" "no IPv6"
fi

# ---- a test that hangs holds up nothing: its timeout is 15 s

testing="AUTOSSH_POLL=600 AUTOSSH_FIRST_POLL=1"
test_runs() {
	wait_for 10 '[ -s "$dir/wire" ] || [ -s "$dir/connects" ]'
}
for name in TERM INT QUIT ABRT; do
	# shellcheck disable=SC2086 # words
	monitor busy "half forward" $testing -M @
	test_runs
	kill -$name "$pid"
	wait_exit 12
	is "$status $(left)" "1 " "SIG$name during a test"
done
# shellcheck disable=SC2086 # words
monitor busy "swallow forward; hang" $testing -M @
test_runs
kill -USR1 "$pid"
check "SIGUSR1 during a test" wait_starts 2 12
is "$(log_count 'port down, restarting ssh')" 0 "is no failure of it"
stop
# shellcheck disable=SC2086 # words
monitor busy "life 1500 swallow forward exit 255; hang" AUTOSSH_GATETIME=0 \
    $testing -M @
check "the death of ssh during a test" wait_starts 2 12
check "is told as such" log_has "ssh exited with error status 255; restarting ssh"
stop
# shellcheck disable=SC2086 # words
monitor busy "swallow forward; hang" AUTOSSH_MAXLIFETIME=2 \
    AUTOSSH_FIRST_POLL=1 -M @
wait_exit 12
is "$status $(starts)" "0 1" "the lifetime's end during a test"
# shellcheck disable=SC2086 # words
monitor busy "swallow forward" $testing -M @:7
test_runs
stop
is "$status $(left)" "1 " "SIGTERM during a test, echo"

# ---- strangers

fd_count() {
	find "/proc/$pid/fd" -type l 2>/dev/null | wc -l
}

# strangers KIND [WORD]: 64 of them at a time, from before the first test on,
# for two tests; strangers_seen KIND: what came of it.  The timeout is 2 s.
strangers() {
	monitor "$1" "forward; exit 1" ${2:+"$2"} AUTOSSH_FIRST_POLL=1 \
	    AUTOSSH_POLL=4 -M @
	wait_starts 1
	wait_for 5 '"$TOOL" connects $((port + 1))'
	eval "fds_$1=\$(fd_count)"
	"$TOOL" strangers $((port + 1)) 64 "${1#few_}" 6000 \
	    >"$dir/made" &
	eval "mob_$1=\$!"
	started_pids="$started_pids $!"
}
strangers_seen() {
	name="1.4g: strangers on P+1 kill a healthy tunnel: $1"
	look "$1"
	fds=
	mob=
	eval "fds=\$fds_$1 mob=\$mob_$1"
	wait "$mob"
	is "$?" 0 "$name: there are some"
	forget "$mob"
	note "$(cat "$dir/made") connections"
	is "$(log_count 'port down, restarting ssh') $(starts)" "0 1" \
	    "$name: no restart"
	check "$name: tests pass" wait_log "connection ok" 2
	if [ -n "$linux" ]; then
		wait_for 10 '[ "$(fd_count)" -le "$fds" ]'
		check "$name: no descriptor is left" [ "$(fd_count)" -le "$fds" ]
	else
		skip "$name: no descriptor is left" "no /proc"
	fi
	stop
	is "$status" 1 "$name: the end"
}
mobs="silent talk reset close flood"
for kind in $mobs; do
	strangers "$kind"
done
strangers few_talk run:files=48
for kind in $mobs few_talk; do
	strangers_seen "$kind"
done

# Another user's, faster than a round trip to the server, as far as the kernel
# tells whose they are.  Neither silence nor the begin of the line, which is no
# secret, makes them pass for ssh.
other="setpriv --reuid=65534 --regid=65534 --clear-groups"
crowd() {
	monitor "crowd_$1" "delay 300 forward; exit 1" AUTOSSH_FIRST_POLL=1 \
	    AUTOSSH_POLL=4 -M @
	wait_starts 1
	wait_for 5 '"$TOOL" connects $((port + 1))'
	# shellcheck disable=SC2086 # words
	$other "$TOOL" strangers $((port + 1)) 1000 "$1" 8000 >"$dir/made" &
	started_pids="$started_pids $!"
	wait "$!"
	note "$(cat "$dir/made") connections"
	check "another user's crowd, $1: more than are kept" \
	    [ "$(cat "$dir/made")" -gt 1000 ]
	is "$(log_count 'port down, restarting ssh') $(starts)" "0 1" \
	    "another user's crowd, $1: no restart"
	check "another user's crowd, $1: tests pass" wait_log "connection ok" 2
	stop
}
if ! built_with HAVE_LINUX_INET_DIAG_H; then
	skip "another user's crowd" "built without HAVE_LINUX_INET_DIAG_H"
elif [ "$(id -u)" -ne 0 ] || ! $other test -x "$TOOL" 2>/dev/null; then
	skip "another user's crowd" "root alone can be another user"
else
	crowd silent
	crowd talk
fi

# Nothing of it is worth a line above debug.
monitor stranger forward AUTOSSH_LOGLEVEL=6 AUTOSSH_POLL=1 \
    AUTOSSH_PIDFILE="$tmp/pidfile" -M @
wait_match "^tunnel is up" 1 10
before=$(log_text | wc -l)
touch -t 200102030405 "$tmp/pidfile"
for kind in silent talk reset close flood; do
	"$TOOL" strangers $((port + 1)) 8 "$kind" 200 >/dev/null
done
wait_for 10 '[ -n "$(find "$tmp/pidfile" -newer "$dir/starts")" ]'
is "$(log_text | tail -n "+$((before + 1))" | grep -v 'child pid')" "" \
    "strangers do not reach the log"
stop

# One who holds on while nobody is tested is there when ssh is not, too.
monitor waiting "exit 255" AUTOSSH_GATETIME=0 -M @
wait_pause 2
check "strangers may come while ssh is away" \
    "$TOOL" strangers $((port + 1)) 64 silent 300
alive "$pid"
is "$?" 0 "and change nothing"
stop

done_testing
