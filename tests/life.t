#!/bin/sh
# life.t: ssh is started, ended and started again as the contract says.

# shellcheck source=tests/lib.sh disable=SC2016,SC2034
. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

linux=
[ "$(uname -s)" = Linux ] && linux=1

# ---- what follows the death of ssh

# after NAME PLAN GATETIME STATUS STARTS LINE: autossh ends with that status
# after so many starts, and has logged LINE.
after() {
	fresh "$2"
	run AUTOSSH_GATETIME="$3" -M 0 host
	if ! log_has "$6"; then
		not_ok "$1" "exit status $status, and no line: $6"
	else
		is "exit status $status, $(starts) starts" \
		    "exit status $4, $5 starts" "$1"
	fi
}

after "first start, within the gate: exit 0 of a session" "exit 0; exit 5" \
    30 0 1 "ssh exited with status 0; autossh exiting"
for s in 1 2 3 127 254 255; do
	after "first start, within the gate: exit $s" "exit $s; exit 0" 30 1 1 \
	    "ssh exited prematurely with status $s; autossh exiting"
done
# The advice reaches whoever reads the error.
like "$(cat "$dir/err")" "AUTOSSH_GATETIME=0 keeps trying" \
    "what would help is said on the terminal, too"
fresh "exit 0"
run -M 0 -N host
is "$status $(starts)" "1 1" "first start, within the gate: exit 0 of ssh -N"
check "and it is said" \
    log_has "ssh exited prematurely with status 0; autossh exiting"
like "$(cat "$dir/err")" "ControlPath=none" "with what may have caused it"
for s in 1 2 255; do
	after "first start, no gate: exit $s" "exit $s; exit 0" 0 0 2 \
	    "ssh exited with error status $s; restarting ssh"
	after "second start: exit $s" "signal KILL; exit $s; exit 0" 30 0 3 \
	    "ssh exited with error status $s; restarting ssh"
done
for s in 3 127 254; do
	after "first start, no gate: exit $s" "exit $s; exit 0" 0 1 1 \
	    "ssh exited with status $s; autossh exiting"
	after "second start: exit $s" "signal KILL; exit $s; exit 0" 30 1 2 \
	    "ssh exited with status $s; autossh exiting"
done
after "first start, no gate: exit 0" "exit 0; exit 5" 0 0 1 \
    "ssh exited with status 0; autossh exiting"
after "second start: exit 0" "signal KILL; exit 0; exit 5" 30 0 2 \
    "ssh exited with status 0; autossh exiting"
after "first start, behind the gate: exit 0" "sleep 1200 exit 0; exit 5" \
    1 0 1 "ssh exited with status 0; autossh exiting"
after "first start, behind the gate: exit 1" "sleep 1200 exit 1; exit 0" \
    1 1 1 "ssh exited with status 1; autossh exiting"
after "first start, behind the gate: exit 2" "sleep 1200 exit 2; exit 0" \
    1 1 1 "ssh exited with status 2; autossh exiting"
after "first start, behind the gate: exit 5" "sleep 1200 exit 5; exit 0" \
    1 1 1 "ssh exited with status 5; autossh exiting"
after "first start, behind the gate: exit 255" "sleep 1200 exit 255; exit 0" \
    1 0 2 "ssh exited with error status 255; restarting ssh"
for name in HUP.1 INT.2 QUIT.3 KILL.9 SEGV.11 PIPE.13 TERM.15; do
	after "first start, within the gate: SIG${name%.*}" \
	    "signal ${name%.*}; exit 0" 30 0 2 \
	    "ssh exited on signal ${name#*.}, restarting ssh"
done
after "second start: SIGTERM" "signal KILL; signal TERM; exit 0" 30 0 3 \
    "ssh exited on signal 15, restarting ssh"

# ---- ssh that cannot be executed

# On the first start: see settings.t.  Later it is a failed start.
fresh 'await go exit 255; exit 0'
ln -s "$FAKESSH" "$dir/ssh"
start run:group AUTOSSH_GATETIME=0 AUTOSSH_POLL=1 AUTOSSH_PATH="$dir/ssh" \
    exec:sh -c 'cd "$0" && exec "$@"' "$dir" "$AUTOSSH" -M 0 host
wait_starts 1
rm "$dir/ssh"
: >"$dir/go"
check "ssh is gone at a restart: autossh tries again" \
    wait_log "starting ssh (count 4)"
ln -s "$FAKESSH" "$dir/ssh"
wait_exit
is "$status $(starts)" "0 2" "ssh is back at the same path: it is started"
like "$(log_text)" "$dir/ssh.*No such file" "the reason is in the log"

# ---- pacing

# All at once, as they take seconds.
pacing_polls="1 20 600 3000"
for poll in $pacing_polls; do
	fresh 'exit 255'
	start AUTOSSH_GATETIME=0 AUTOSSH_POLL="$poll" -M 0 host
	eval "dir_$poll=\$dir pid_$poll=\$pid"
done
fresh 'exit 255; exit 255; sleep 10100 exit 255; hang'
start AUTOSSH_GATETIME=0 AUTOSSH_POLL=1 -M 0 host
dir_min=$dir
pid_min=$pid

# tries: the tries of each restart
tries() {
	log_text | sed -n 's/^checking for grace period, tries = //p' |
	    tr '\n' ' '
}

# paused N: the milliseconds between the end of ssh N and the next start, which
# the stand-in has noted; N counts from 1.
paused() {
	echo $(($(started_at $(($1 + 1))) - $(started_at "$1")))
}

# A pause is drawn from the upper half of its nominal length; a slow machine
# adds to it.
pace() {
	check "POLL $poll: pause $1 is $2 ms at least ($(paused "$1") ms)" \
	    [ "$(paused "$1")" -ge "$2" ]
	check "POLL $poll: pause $1 is less than $3 ms and a slow start" \
	    [ "$(paused "$1")" -le $(($3 + 6000)) ]
}
for poll in $pacing_polls; do
	eval "dir=\$dir_$poll pid=\$pid_$poll"
	case $poll in
	1) nominal=1000 third=1000 ;;
	*) nominal=2000 third=10000 ;;
	esac
	wait_starts 4 30
	like "$(tries)" '^0 1 2 3 ' "POLL $poll: each quick start counts"
	is "$(log_text | sed '/count 2/q' | grep -c "sleeping")" 0 \
	    "POLL $poll: the first quick start comes at once"
	pace 2 $((nominal / 2)) $nominal
	pace 3 $((third / 2)) $third
	# a pause of less than a second is no news
	[ "$poll" -eq 1 ] || like "$(log_text)" \
	    "^waiting ([1-9]|10) s before the next start\$" \
	    "POLL $poll: the log says how long"
	stop
	is "$status" 1 "POLL $poll: TERM ends a pause"
done

# ---- status 0 of a service

fresh 'exit 0'
start AUTOSSH_GATETIME=0 AUTOSSH_NTSERVICE=yes AUTOSSH_POLL=1 -M 0 host
wait_starts 3
is "$(log_text | grep -c "ControlPath=none")" 1 \
    "status 0 of a service, again and again: one line of advice"
stop
is "$status" 0 "TERM to a service: exit 0"

# ---- the end of ssh

# An ssh that is not gone a second after SIGKILL, as in the system's
# uninterruptible sleep; both take seconds, and are looked at below.
over=$tmp/over
for end in signal lifetime; do
	fresh "outlive $over touch $tmp/held.$end hang; hang"
	[ $end = signal ] && life=0 || life=6
	start AUTOSSH_PIDFILE="$dir/pid" AUTOSSH_MAXLIFETIME="$life" -M 0 host
	wait_for 15 '[ -e "$tmp/held.$end" ] || ! alive "$pid"'
	kill -USR1 "$pid" 2>/dev/null
	eval "dir_$end=\$dir pid_$end=\$pid"
done

fresh 'hang'
start -M 0 host
wait_starts 1
stop
is "$status $(got | cut -d ' ' -f 1) $(left)" "1 1:TERM " "ssh is sent TERM"
unlike "$(log_text)" 'sending SIGKILL' "ssh that ends on TERM gets no KILL"

fresh 'ignore TERM hang'
start -M 0 host
wait_starts 1
ssh=$(ssh_pid 1)
begin=$(now)
kill -TERM "$pid"
check "TERM: ssh ignores it" wait_for 10 '[ -n "$(got)" ]'
wait_exit
took=$(($(now) - begin))
name="1.4g: ssh that ignores TERM"
is "$status $(got)" "1 1:TERM 1:CONT" "$name: then CONT, exit 1"
like "$(log_text)" 'sending SIGKILL' "$name: is killed"
check "$name: and not before 3 s ($took ms)" [ "$took" -ge 3000 ]
check "$name: it is gone" eval '! alive $ssh'

fresh 'stop STOP hang'
start -M 0 host
wait_starts 1
wait_for 10 'ps -o stat= -p "$(ssh_pid 1)" | grep -q T'
stop
is "$status $(left)" "1 " "1.4g: ssh that is stopped: exit 1"
unlike "$(log_text)" 'sending SIGKILL' "a stopped ssh can end by TERM"

fresh 'ignore TERM hang'
run AUTOSSH_MAXLIFETIME=1 -M 0 host
is "$status $(got | cut -d ' ' -f 1) $(left)" "0 1:TERM " \
    "the end of the lifetime, with an ssh that ignores TERM"

if [ ! -e "$tmp/held.signal" ] || [ ! -e "$tmp/held.lifetime" ]; then
	skip "TERM, and an ssh that outlives SIGKILL" "nothing may be traced here"
	skip "the end of the lifetime, and an ssh that does" "nor here"
else
	eval "dir=\$dir_signal pid=\$pid_signal"
	wait_log "ssh does not end, sending SIGKILL"
	# By now it has given up waiting for ssh, and nothing else is due.
	sleep 1.5
	stop
	is "$status $(starts) $(ls "$dir/pid" 2>/dev/null)" "1 1 " \
	    "TERM, and an ssh that outlives SIGKILL"
	eval "dir=\$dir_lifetime pid=\$pid_lifetime"
	wait_exit
	is "$status $(starts) $(ls "$dir/pid" 2>/dev/null)" "0 1 " \
	    "the end of the lifetime, and an ssh that does"
fi
: >"$over"

# ends_at_once NAME: the second signal spares the 3 s; a slow machine may
# have three tries.
ends_at_once() {
	for try in 1 2 3; do
		fresh 'ignore TERM hang'
		start AUTOSSH_PIDFILE="$dir/pid" -M 0 host
		wait_starts 1
		begin=$(now)
		kill -TERM "$pid"
		wait_for 10 '[ -n "$(got)" ]'
		kill "-$1" "$pid"
		wait_exit
		took=$(($(now) - begin))
		[ "$took" -lt 2900 ] && break
		note "try $try: $took ms"
	done
	is "$([ "$took" -lt 2900 ] && echo soon) $status $(left)" "soon 1 " \
	    "a second signal while ssh is ended: $1"
	check "a second signal, no pidfile left: $1" [ ! -e "$dir/pid" ]
}
for name in TERM INT QUIT ABRT; do
	ends_at_once $name
done

# ---- what ssh inherits

free_port
fresh 'await go signal KILL; hang'
start run:ignore=HUP run:ignore=USR2 run:block=WINCH run:block=USR1 \
    AUTOSSH_DEBUG=1 AUTOSSH_PIDFILE="$dir/pid" exec:sh \
    -c 'cd "$0" && exec "$@"' "$dir" "$AUTOSSH" -M "$port" host
wait_starts 1
: >"$dir/go"
wait_starts 2
for n in 1 2; do
	is "$(cat "$dir/signals.$n")" "blocked: USR1 WINCH
ignored: HUP USR2" "1.4g: under nohup only the first ssh ignores HUP: start $n"
	if [ -n "$linux" ]; then
		is "$(cat "$dir/fds.$n")" "0 /dev/null
1 $dir/out
2 $dir/err" "1.4g: the log's descriptor in ssh: start $n"
	else
		is "$(wc -l <"$dir/fds.$n" | tr -d ' ')" 3 \
		    "1.4g: the log's descriptor in ssh: start $n"
	fi
done
stop
fresh 'signal KILL; hang'
start -M 0 host
wait_starts 2
is "$(cat "$dir/signals.1" "$dir/signals.2")" "blocked:
ignored:
blocked:
ignored:" "no signal is blocked or ignored for ssh that was not for autossh"
is "$(sed 's/.*pgid \([0-9]*\) sid \([0-9]*\) cwd/\1 \2/' "$dir/info.2")" \
    "$(ps -o pgid= -o sid= -p "$pid" | sed 's/^ *//; s/  */ /g') $PWD" \
    "ssh stays in the process group, the session and the directory"
stop

fresh 'exit 0'
start AUTOSSH_GATETIME=0 SOME="two words" OTHER= "exec:$FAKESSH" host
wait_exit
start AUTOSSH_GATETIME=0 SOME="two words" OTHER= -M 0 host
wait_exit
if emulated; then
	skip "ssh has the environment of autossh" "emulated"
else
	check "ssh has the environment of autossh" \
	    cmp -s "$dir/env.1" "$dir/env.2"
fi

# ---- ssh does not outlive autossh

if built_with HAVE_PRCTL || built_with HAVE_PROCCTL; then
	for mode in -N -f; do
		fresh 'ignore HUP hang'
		start AUTOSSH_PIDFILE="$dir/pid" -M 0 $mode host
		wait_starts 1
		ssh=$(ssh_pid 1)
		wait_for 5 '[ -s "$dir/pid" ]'
		kill -KILL "$(cat "$dir/pid")"
		check "1.4g: SIGKILL leaves ssh running: $mode" \
		    wait_for 10 '! alive "$ssh"'
		wait_exit
	done
else
	skip "1.4g: SIGKILL leaves ssh running" "built without prctl"
fi

# ---- nothing goes unnoticed

# Each death would be worth POLL seconds, if it were.  At POLL 1 a pause is one
# second at most.
lost=0
rounds="1 2 3 4 5 6 7 8 9 10"
for round in $rounds; do
	fresh 'exit 255'
	start AUTOSSH_GATETIME=0 AUTOSSH_POLL=1 AUTOSSH_FIRST_POLL=600 \
	    AUTOSSH_MAXSTART=8 -M 0 host
	eval "dir_$round=\$dir pid_$round=\$pid"
done
for round in $rounds; do
	eval "dir=\$dir_$round pid=\$pid_$round"
	wait_exit 60
	[ "$status $(starts)" = "0 8" ] || lost=$((lost + 1))
done
is "$lost" 0 "1.4g: a death of ssh in the gap goes unnoticed: 80 deaths"

# ---- the tries are forgotten when ssh has lived for 10 s

dir=$dir_min
pid=$pid_min
wait_starts 4 40
is "$(tries)" "0 1 2 0 " "an ssh that lived for 10 s starts the tries anew"
stop

done_testing
