#!/bin/sh
# signals.t: each signal does in each state what it should; none is lost, ends
# autossh by its default action, or leaves ssh or the pidfile behind.

# shellcheck source=tests/lib.sh disable=SC2016,SC2034
. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

# running WORD...: autossh, with a pidfile, and ssh that has come up.
running() {
	fresh "$plan"
	start AUTOSSH_PIDFILE="$dir/pid" "$@" host
	wait_starts 1
	wait_match "^ssh child pid is" 1 10
}

# waiting WORD...: autossh that has started ssh three times, and waits 50 s or
# more before it does so again.
waiting() {
	fresh "exit 255; exit 255; exit 255; hang"
	start AUTOSSH_PIDFILE="$dir/pid" AUTOSSH_GATETIME=0 AUTOSSH_POLL=30000 \
	    "$@" host
	wait_pause 2
}

# gone NAME: it has ended with status 1, and nothing is left.
gone() {
	wait_exit
	[ -e "$dir/pid" ] && status="$status pidfile"
	is "$status $(left)" "1 " "$1"
}

# still NAME: it is there, and has not restarted ssh ($1 starts until now);
# USR2 makes sure that it has seen all that was sent before.
still() {
	kill -USR2 "$pid"
	wait_match "^status: " 1 10
	is "$(starts) $(alive "$pid" && echo alive)" "$1 alive" "$2"
}

plan=hang

# ---- to exit

for signal in TERM.15 INT.2 QUIT.3 ABRT.6; do
	name=${signal%.*}
	case $name in
	QUIT | ABRT) differs="1.4g: QUIT and ABRT leave ssh running: " ;;
	*) differs= ;;
	esac
	running -M 0
	kill "-$name" "$pid"
	gone "$differs$name, ssh runs: it is ended, exit 1"
	check "$name: the line" log_has "received signal to exit (${signal#*.})"
	is "$(got | cut -d ' ' -f 1)" 1:TERM "$name: ssh gets TERM"

	waiting -M 0
	kill "-$name" "$pid"
	gone "$differs$name, waiting to restart: exit 1"
	is "$(starts)" 3 "$name, waiting to restart: no start"
done
# While ssh is being ended: see life.t.

free_port
running -M "$port"
kill -TERM "$pid"
gone "TERM, monitored"

# ---- USR1

running -M 0
kill -USR1 "$pid"
check "USR1, ssh runs: a new one" wait_starts 2
is "$(got | cut -d ' ' -f 1)" 1:TERM "USR1: the old one gets TERM"
check "USR1: the line" log_has "signalled to kill and restart ssh"
check "USR1: at once, in spite of the gate" alive "$pid"
like "$(log_text | grep '^checking' | tail -n 1)" 'tries = 0$' \
    "USR1 is no try"
stop

# Two ssh must never be there at once.
plan="ignore TERM hang; hang"
running -M 0
kill -USR1 "$pid"
wait_starts 2
check "USR1: the old one is gone before the new one comes" \
    eval '! alive "$(ssh_pid 1)"'
stop
plan=hang

waiting -M 0
kill -USR1 "$pid"
check "1.4g: HUP, USR1 kill autossh in the backoff: USR1 starts ssh" \
    wait_starts 4
stop

# ---- HUP

free_port
fresh "forward"
start AUTOSSH_POLL=600 -M "$port" host
wait_for 10 '"$TOOL" connects $port'
kill -HUP "$pid"
check "HUP, ssh runs, monitored: tests now" wait_log "connection ok"
kill -HUP "$pid"
check "HUP again: tests again" wait_log "connection ok" 2
is "$(starts)" 1 "HUP: no restart"
stop
fresh "swallow forward; hang"
start AUTOSSH_POLL=4 AUTOSSH_FIRST_POLL=600 -M "$port" host
wait_for 10 '"$TOOL" connects $port'
kill -HUP "$pid"
check "HUP: a test that fails is one" wait_log "port down, restarting ssh"
stop
fresh
echo "await $dir/go forward; hang" >"$dir/plan"
start AUTOSSH_POLL=600 host
wait_starts 1
for count in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	kill -HUP "$pid"
	kill -USR2 "$pid"
	wait_match "^status: " "$count"
done
touch "$dir/go"
check "HUP, ssh is logging in: it does so" wait_log "connection ok"
is "$(starts)" 1 "HUP, ssh is logging in: no restart"
stop

running -M 0
kill -HUP "$pid"
still 1 "HUP, ssh runs, no monitor: nothing"
is "$(got)" "" "HUP: nothing for ssh either"
stop

waiting -M 0
kill -HUP "$pid"
check "1.4g: HUP, USR1 kill autossh in the backoff: HUP starts ssh" \
    wait_starts 4
stop

# The count of tries goes on from there.
fresh "exit 255"
start AUTOSSH_GATETIME=0 AUTOSSH_POLL=30000 -M 0 host
for pause in 2 3 4; do
	wait_pause "$pause"
	kill -HUP "$pid"
done
wait_pause 5
# tries 3 to 6: each pause is in the upper half of POLL * (tries - 2)^2 / 300
is "$(log_text | sed -n 's/^waiting \([0-9]*\) s before.*/\1/p' | awk '
    NR > 1 { w = 100 * (NR - 1) ^ 2; print ($1 >= w / 2 && $1 <= w) }' |
    head -n 4 | tr '\n' ' ')" "1 1 1 1 " \
    "a start that was prodded does not make the tries forgotten"
stop

# ---- USR2, and signals that are for others

for state in running waiting; do
	plan=hang
	differs=
	[ $state = waiting ] && differs="1.4g: USR2, ALRM kill autossh in the backoff: "
	$state -M 0
	n=$(starts)
	kill -USR2 "$pid"
	check "${differs}USR2, $state: one line of status" \
	    wait_match "^status: " 1 10
	is "$(log_text | grep -c '^status: ') $(starts)" "1 $n" \
	    "USR2, $state: and nothing else"
	stop
	for name in ALRM PIPE CHLD; do
		$state -M 0
		kill "-$name" "$pid"
		still "$n" "$differs$name, $state: nothing"
		is "$(got)" "" "$name, $state: nothing for ssh"
		stop
	done
done

# While ssh is being ended: what is not to exit waits, or is nothing.
for name in HUP USR1 USR2 ALRM PIPE CHLD; do
	plan="ignore TERM hang; hang"
	running -M 0
	kill -TERM "$pid"
	wait_for 10 '[ -n "$(got)" ]'
	kill "-$name" "$pid"
	gone "$name while ssh is being ended to exit: exit 1"
	is "$(starts)" 1 "$name: no start"
done

# ---- those that come together

# ^C reaches both: ssh dies by it too.
for try in 1 2 3 4 5 6 7 8; do
	plan="term 255 hang"
	[ $((try % 2)) -eq 0 ] && plan=hang
	fresh "$plan"
	start run:group -M 0 host
	wait_starts 1
	kill -INT "-$pid"
	wait_exit
	is "$status $(starts) $(log_text | grep -c 'prematurely\|restarting')" \
	    "1 1 0" "^C to both: exit 1, no restart, no \"prematurely\": $try"
done

for others in HUP USR1 USR2 "HUP USR1 USR2 ALRM CHLD"; do
	plan="exit 255; hang"
	fresh hang
	start run:group AUTOSSH_GATETIME=0 -M 0 host
	wait_starts 1
	kill -STOP "$pid"
	for name in $others; do
		kill "-$name" "$pid"
	done
	kill -TERM "$pid"
	kill -KILL "$(ssh_pid 1)"
	kill -CONT "$pid"
	wait_exit
	is "$status $(starts) $(log_text | grep -c 'restart\|prematurely')" \
	    "1 1 0" "TERM beats what came with it: $others, the death of ssh"
done
fresh hang
start AUTOSSH_MAXLIFETIME=1 -M 0 host
wait_starts 1
kill -STOP "$pid"
sleep 1.1
kill -TERM "$pid"
kill -CONT "$pid"
wait_exit
is "$status" 1 "TERM beats the end of the lifetime"

# ---- at any moment

# The signal comes while autossh starts, or ssh does, or dies.
lost=0
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	fresh "exit 255"
	start AUTOSSH_PIDFILE="$dir/pid" AUTOSSH_GATETIME=0 AUTOSSH_POLL=1 \
	    -M 0 host
	wait_starts $((try % 4 + 1))
	kill -TERM "$pid"
	wait_exit
	[ "$status $(left)" = "1 " ] && [ ! -e "$dir/pid" ] && continue
	note "lost: try $try, exit status $status"
	lost=$((lost + 1))
done
is "$lost" 0 "1.4g: a signal in the gap goes unnoticed: TERM among starts"

# Two that are found at once are two.
fresh "ignore TERM hang"
start -M 0 host
wait_starts 1
for name in STOP TERM INT CONT; do
	kill "-$name" "$pid"
done
wait_exit
is "$status $(left)" "1 " "two signals to exit at once: exit 1"
is "$(log_seconds "received signal to exit (2)" \
    "ssh does not end, sending SIGKILL" | sed 's/^[01]$/at once/')" "at once" \
    "two signals to exit at once: SIGKILL at once"

# A child from before exec has died before anybody looked.
fresh hang
start run:child -M 0 host
wait_starts 1
check "a child from before exec is reaped" \
    wait_for 10 '[ "$(children_of "$pid" | wc -w)" -eq 1 ]'
stop

# Nor before there is anything to end: here it waits for a passphrase.  That ALRM
# is blocked, which is done last, shows that the handlers are there.
for name in TERM INT QUIT ABRT; do
	fresh hang
	mkfifo "$dir/fifo"
	start FIFO="$dir/fifo" AUTOSSH_PASSPHRASE=fd:7 exec:sh \
	    -c 'exec "$0" "$@" 7<>"$FIFO"' "$AUTOSSH" -M 0 host
	wait_for 10 'ps -o blocked= -p "$pid" | grep -q "[2367abef]...\$"'
	for other in HUP USR1 USR2 ALRM; do
		kill "-$other" "$pid"
	done
	kill "-$name" "$pid"
	gone "$name while a passphrase is read: exit 1"
done

# Twenty new ones, each asked for as soon as the last has come.
fresh hang
start AUTOSSH_POLL=1 AUTOSSH_FIRST_POLL=600 -M 0 host
n=1
while [ "$n" -le 20 ] && wait_starts $n; do
	kill -USR1 "$pid"
	n=$((n + 1))
done
check "1.4g: a signal in the gap goes unnoticed: USR1 among starts" wait_starts 21
stop
is "$(starts) $(left)" "21 " "no ssh more than asked for, none left"

# A storm of all of them neither kills nor confuses it.
free_port
fresh forward
start AUTOSSH_PIDFILE="$dir/pid" AUTOSSH_POLL=1 -M "$port" host
wait_starts 1
n=0
while [ "$n" -lt 60 ]; do
	for name in HUP USR2 ALRM PIPE CHLD USR1; do
		kill "-$name" "$pid"
	done
	n=$((n + 1))
done
wait_for 10 '[ "$(starts)" -ge 2 ]'
kill -HUP "$pid"
check "a storm of signals: a test passes afterwards" \
    wait_for 15 'log_text | tail -n 40 | grep -q "connection ok"'
is "$(survivors "$dir" | wc -l | tr -d ' ')" 2 "one autossh, one ssh"
kill -TERM "$pid"
gone "and it ends on TERM"

# ---- process 1 of a container

if [ "$(id -u)" -eq 0 ]; then
	pidns="unshare -p"
else
	pidns="unshare -U -r -p"
fi
pidns_children=$pidns
pidns="$pidns -f --mount-proc"
zombies() {
	ps -A -o pid= -o ppid= -o stat= |
	    awk -v p="$first" '$2 == p && $3 ~ /^Z/ { print $1 }'
}
if $pidns true 2>/dev/null; then
	# A process 1 gets the orphans of all others: this ssh leaves some.
	fresh hang
	cat >"$dir/ssh" <<-END
	#!/bin/sh
	(sleep 0.1 & sleep 0.1 & sleep 0.1 &)
	exec "$FAKESSH" "\$@"
	END
	chmod 755 "$dir/ssh"
	# shellcheck disable=SC2086 # words
	start AUTOSSH_PATH="$dir/ssh" exec:unshare ${pidns#unshare} \
	    "$AUTOSSH" -M 0 host
	wait_starts 1
	is "$(supervisor)" 1 "autossh is process 1"
	first=$(ps -A -o pid= -o ppid= | awk -v p="$pid" '$2 == p { print $1 }')
	sleep 0.3
	wait_for 10 '[ -z "$(zombies)" ]'
	is "$(zombies)" "" \
	    "it reaps every child"
	kill -TERM "$first"
	wait_exit
	is "$status" 1 "and ends on TERM"

	# unshare -p alone: autossh stays outside, its first child is process 1.
	if emulated; then
		skip "a namespace for its children alone" "emulated"
	else
		fresh "exit 5"
		# shellcheck disable=SC2086 # words
		run AUTOSSH_GATETIME=0 AUTOSSH_MAXSTART=1 \
		    exec:unshare ${pidns_children#unshare} "$AUTOSSH" -M 0 host
		is "$status $(starts)" "1 1" \
		    "a namespace for its children alone"
	fi
else
	skip "as process 1 it reaps every child" "no pid namespaces here"
	skip "a namespace for its children alone" "no pid namespaces here"
fi

done_testing
