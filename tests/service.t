#!/bin/sh
# service.t: a service manager is told the truth about the tunnel in time, and
# systemd keeps one up with autossh@.service.

# shellcheck disable=SC2016,SC2034,SC2317 # conditions are evaluated later
: "${TEST_LIMIT=900}"
. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

# Several instances run at once: keep NAME remembers this one, look NAME turns
# to it again.
keep() {
	eval "dir_$1=\$dir pid_$1=\$pid told_$1=\$told"
}
look() {
	eval "dir=\$dir_$1 pid=\$pid_$1 told=\$told_$1"
}

# service PLAN WORD...: autossh, told of a service manager, which listens at
# $NOTIFY_SOCKET if that is set, else at a path.
service() {
	fresh "$1"
	shift
	export NOTIFY_SOCKET="${NOTIFY_SOCKET:-$dir/notify}"
	"$TOOL" datagrams "$NOTIFY_SOCKET" >"$dir/told" &
	told=$!
	started_pids="$started_pids $told"
	case $NOTIFY_SOCKET in
	@*) wait_for 5 'grep -qF "$NOTIFY_SOCKET" /proc/net/unix' ;;
	*) wait_for 5 '[ -S "$NOTIFY_SOCKET" ]' ;;
	esac
	start "$@" host
	unset NOTIFY_SOCKET
}
# What it was told, and when (ms).
told() {
	sed 's/^[0-9]* //' "$dir/told"
}
told_count() {
	told | grep -Ecx -e "$1"
}
wait_told() {
	wait_ere=$1
	wait_count=${2:-1}
	wait_for "${3:-20}" '[ "$(told_count "$wait_ere")" -ge "$wait_count" ]'
}
told_at() {
	awk -v ere="^$1\$" '{ at = $1; sub(/^[0-9]* /, "") }
	    $0 ~ ere { print at; exit }' "$dir/told"
}
# The longest time (ms) between two signs of life.
longest_gap() {
	awk '$2 == "WATCHDOG=1" {
		if (last && $1 - last > gap)
			gap = $1 - last
		last = $1
	} END { print gap + 0 }' "$dir/told"
}
# ended NAME: all that belongs to the case
ended() {
	kill -TERM "$pid" 2>/dev/null
	wait_exit
	kill -KILL "$told" && wait "$told" 2>/dev/null
	forget "$told"
	check "$1: nothing is left" wait_for 10 '[ -z "$(left)" ]'
}

# ---- all that take their time are started here, and looked at below

# Early tests that fail, until FIRST_POLL.
service "swallow forward; forward" AUTOSSH_FIRST_POLL=20 \
    AUTOSSH_STATUSFILE="$tmp/status" -N
keep early

# ssh dies as soon as it starts: after 5 restarts come waits of 2 and 8 s.
service "exit 255" AUTOSSH_GATETIME=0 WATCHDOG_USEC=15000000 -M 0 -N
keep watched

# Without a monitor: dies within the gate time, once, then lives.
service "signal KILL; hang" AUTOSSH_GATETIME=3 -M 0 -N
keep gated

# A test that gets no answer, 15 s, and an ssh that does not end.
service "ignore TERM swallow forward; hang" AUTOSSH_FIRST_POLL=1 \
    AUTOSSH_GATETIME=0 WATCHDOG_USEC=15000000 -M auto -N
keep stuck

# ---- up

# ssh accepts its own forwardings only when the test makes a file.
service "await $tmp/go forward; hang" -N
wait_starts 1
check "started: told so" wait_told 'STATUS=started, ssh pid [0-9]+ \(start 1\)'
wait_for 10 '[ "$(awk -v s="$(started_at 1)" -v n="$(now)" \
    "BEGIN { print n - s > 3000 }")" = 1 ]'
is "$(told_count READY=1)" 0 "no READY before a test has passed"
touch "$tmp/go"
check "READY after a test has passed" wait_told READY=1 1 40
check "and the log knows of that test" log_has "connection ok"
check "the state is up" wait_told 'STATUS=up, ssh pid [0-9]+ \(start 1\)'
is "$(starts) $(log_count 'port down, restarting ssh')" "1 0" \
    "early tests that failed had no consequence"
for name in NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID; do
	is "$(grep -c "^$name=" "$dir/env.1")" 0 "ssh has no $name"
done
is "$(told_count 'STOPPING=1')" 0 "no STOPPING before the end"
kill -TERM "$pid"
wait_exit
is "$status" 0 "TERM by a service manager: status 0"
check "STOPPING at the end" wait_told STOPPING=1
check "the state is stopped" wait_told STATUS=stopped
is "$(told | grep -v '^WATCHDOG' | sed 's/[0-9]\{2,\}/N/g' | tr '\n' '|')" \
    "STATUS=starting ssh (start 1)|STATUS=started, ssh pid N (start 1)|\
READY=1|STATUS=up, ssh pid N (start 1)|STOPPING=1|\
STATUS=ending, ssh pid N (start 1)|STATUS=stopped|" \
    "all that it was told, in order"
ended "TERM"

service forward -N
wait_told READY=1
kill -KILL "$(ssh_pid 1)"
check "ssh dies: told that it is started anew" \
    wait_told 'STATUS=starting ssh \(start 2\)'
check "and that it is up again" \
    wait_told 'STATUS=up, ssh pid [0-9]+ \(start 2\)'
is "$(told_count READY=1)" 1 "READY is said once"
kill -USR1 "$pid"
check "told that ssh is being ended" \
    wait_told 'STATUS=ending, ssh pid [0-9]+ \(start 2\)'
check "up a third time" wait_told 'STATUS=up, ssh pid [0-9]+ \(start 3\)'
kill -INT "$pid"
wait_exit
is "$status" 1 "INT is no service manager's: status 1"
ended "up and down"

# ---- where the service manager listens

if [ -r /proc/net/unix ]; then
	NOTIFY_SOCKET=@autossh-test.$$
	service forward -N
	check "an abstract name: READY" wait_told READY=1
	ended "an abstract name"
else
	skip "an abstract name: READY" "Linux alone has them"
fi

fresh forward
start NOTIFY_SOCKET="$dir/nobody" WATCHDOG_USEC=300000 AUTOSSH_FIRST_POLL=20 \
    -N host
check "nobody listens: a test passes" wait_log "connection ok"
kill -TERM "$pid"
wait_exit
is "$status $(cat "$dir/err")" "0 " "nobody listens: no word of it"

# An autossh that is just being ended may still hold the port.
hold_port
fresh forward
start AUTOSSH_NTSERVICE=yes -M "$port" host
sleep 1
kill -TERM "$pid"
wait_exit
is "$status $(starts) $(cat "$dir/err")" "0 0 " "TERM while it waits for its port"
kill "$holder"

for where in relative/path vsock:2:1 "/$(printf '%0200d' 0)" ""; do
	fresh forward
	start NOTIFY_SOCKET="$where" AUTOSSH_FIRST_POLL=20 -N host
	name="NOTIFY_SOCKET=$(printf %.20s "$where")"
	check "$name: a test passes" wait_log "connection ok"
	is "$(grep -c ^NOTIFY_SOCKET= "$dir/env.1")" 0 "$name: not ssh's"
	stop
	is "$status" 1 "$name: none that could be told"
done

# Its queue is full: that is nothing to wait for.
service "exit 255" AUTOSSH_GATETIME=0 AUTOSSH_POLL=1 AUTOSSH_MAXSTART=40 \
    WATCHDOG_USEC=30000 -M 0 -N
kill -STOP "$told"
wait_exit 200
is "$status $(starts)" "0 40" "it does not read: autossh goes on"
kill -CONT "$told"
check "what it was told before is there" wait_told 'STATUS=.*'
ended "it does not read"

# READY comes when its queue is full of signs of life, and must not be lost.
service hang AUTOSSH_GATETIME=3 WATCHDOG_USEC=3000 -M 0 -N
wait_starts 1
kill -STOP "$told"
wait_for 20 'kill -USR2 "$pid"; log_text | grep -q "^status: up"'
kill -CONT "$told"
check "it reads again: READY is told" wait_told READY=1
is "$(told_count READY=1)" 1 "it reads again: once"
ended "it reads again"

# ---- without a monitor

service hang AUTOSSH_GATETIME=0 -M 0 -N
check "no monitor, no gate: READY once ssh is executed" wait_told READY=1
ended "no monitor, no gate"

look gated
check "no monitor: READY after the gate time" wait_told READY=1
check "no monitor: not for an ssh that died in it" \
    [ "$(told_at READY=1)" -ge $(($(started_at 2) + 1000)) ]
is "$(told_count READY=1)" 1 "no monitor: once"
ended "no monitor"

fresh
run NOTIFY_SOCKET="$dir/none" AUTOSSH_GATETIME=0 AUTOSSH_PATH="$dir/no-ssh" \
    -M 0 -N host
is "$status" 1 "an ssh that cannot be executed"
service hang AUTOSSH_GATETIME=0 AUTOSSH_PATH="$tmp/no-ssh" -M 0 -N
wait_exit
check "is not READY, and STOPPING is said" wait_told STOPPING=1
is "$(told_count READY=1)" 0 "is never READY"
ended "no ssh"

# ---- in the background

service forward -fN
wait_exit
is "$status" 0 "-f: the caller goes on"
check "-f: MAINPID is told" wait_told 'MAINPID=[0-9]+'
wait_starts 1
is "$(told | grep ^MAINPID=)" "MAINPID=$(supervisor)" \
    "-f: it is the background process"
check "-f: READY after a test" wait_told READY=1
check "-f: MAINPID came first" [ "$(told_at 'MAINPID=.*')" -le "$(told_at READY=1)" ]
background=$(supervisor)
kill -TERM "$background"
check "-f: STOPPING" wait_told STOPPING=1
check "-f: it ends" wait_for 10 '! alive "$background"'
ended "-f"

service hang -f -M 0 -N
wait_exit
check "-f without a monitor: READY once ssh is executed" wait_told READY=1
wait_starts 1
is "$(told | grep -c ^MAINPID=)" 1 "-f without a monitor: MAINPID"
kill -TERM "$(supervisor)"
wait_told STATUS=stopped
ended "-f without a monitor"

# ---- watchdog

# watched WORD...: how often it is seen to live while 3 seconds pass
watched() {
	service hang WATCHDOG_USEC=1500000 "$@" -M 0 -N
	wait_starts 1
	sleep 3
	seen=$(told_count WATCHDOG=1)
}
watched
check "WATCHDOG=1 in time: every half of it" [ "$seen" -ge 4 ]
ended "watchdog"
watched WATCHDOG_PID=1
is "$seen" 0 "WATCHDOG_PID is another's: none"
ended "watchdog of another"
watched AUTOSSH="$AUTOSSH" exec:/bin/sh -c \
    'WATCHDOG_PID=$$ exec "$AUTOSSH" "$@"' sh
check "WATCHDOG_PID is ours: in time" [ "$seen" -ge 4 ]
ended "watchdog of ours"
service hang WATCHDOG_USEC=1500000 AUTOSSH="$AUTOSSH" exec:/bin/sh -c \
    'WATCHDOG_PID=$$ exec "$AUTOSSH" "$@"' sh -f -M 0 -N
wait_exit
check "-f: WATCHDOG_PID was the caller's: in time" wait_told WATCHDOG=1 4
wait_starts 1
kill -TERM "$(supervisor)"
wait_told STATUS=stopped
ended "-f: watchdog"
for wrong in 0 -1 x "" 9223372036854775809 99999999999999999999; do
	service hang WATCHDOG_USEC="$wrong" AUTOSSH_GATETIME=0 -M 0 -N
	check "WATCHDOG_USEC=\"$wrong\": READY all the same" wait_told READY=1
	is "$(told_count WATCHDOG=1)" 0 "WATCHDOG_USEC=\"$wrong\": nobody watches"
	ended "WATCHDOG_USEC=\"$wrong\""
done

look watched
check "ssh is down: the wait is told" \
    wait_told 'STATUS=down, start [0-9]+ in [0-9]+ s.*' 1 40
seen=$(told_count WATCHDOG=1)
check "ssh is down: signs of life go on" \
    wait_told WATCHDOG=1 $((seen + 3)) 60
check "ssh is down: none came later than half of WATCHDOG_USEC" \
    [ "$(longest_gap)" -le 7500 ]
kill -TERM "$pid"
wait_exit
is "$status" 0 "TERM while ssh is down: status 0"
ended "ssh is down"

look stuck
check "a test hangs, then ssh: it is restarted" wait_starts 2 60
check "a test hangs, then ssh: signs of life all the time" \
    [ "$(told_count WATCHDOG=1)" -ge 3 ]
check "a test hangs, then ssh: none came late" [ "$(longest_gap)" -le 7500 ]
ended "a test hangs, then ssh"

# ---- early tests

look early
check "early tests: a restart at FIRST_POLL" \
    wait_log "port down, restarting ssh" 1 60
check "early tests: the next ssh is up" wait_log "connection ok"
is "$(log_count "port down, restarting ssh")" 1 "early tests: one restart alone"
at=$(awk -v s="$(started_at 1)" '$1 == 1 { printf "%d ", $2 - s }' \
    "$dir/connects")
note "early tests: at $at ms"
# Each waits for twice its interval, and the interval grows by half.
is "$(echo "$at" | awk '{ print ($1 < 10000),
    ($3 - $2 > $2 - $1), ($4 - $3 > $3 - $2) }')" "1 1 1" \
    "early tests: from the first seconds on, at growing intervals"
# By autossh's own clock: FIRST_POLL and a timeout of 15 s, less a part of a
# second; an early test that counted would have failed before.
check "early tests: the one that counts is at FIRST_POLL" \
    [ "$(log_seconds "starting ssh (count 1)" "port down, restarting ssh")" \
    -ge 34 ]
is "$(sed -n 's/^autossh_test_failures_total{.*} //p' "$tmp/status")" 1 \
    "early tests: only the one at FIRST_POLL is counted"
ended "early tests"

fresh "forward"
free_port
start AUTOSSH_FIRST_POLL=4 -M "$port" -N host
check "a port, and nobody waits: no probe" wait_log "connection ok"
check "a port, and nobody waits: the first test is at FIRST_POLL" \
    [ "$(log_seconds "starting ssh (count 1)" "connection ok")" -ge 3 ]
stop
fresh "forward"
start AUTOSSH_FIRST_POLL=60 AUTOSSH_STATUSFILE="$dir/status" -N host
check "somebody reads a status file: an early test" wait_log "connection ok"
stop

# ---- the unit

unit=$srcdir/autossh@.service
units=$tmp/units
mkdir "$units"
# As "make install" does, and where another mount of /tmp does not hide it.
run_dir=/run/autossh-test
sed "s|^ExecStart=autossh |ExecStart=$AUTOSSH |" "$unit" \
    >"$units/autossh@.service"
if ! command -v systemd-analyze >/dev/null; then
	for name in verify security "end to end"; do
		skip "autossh@.service: $name" "no systemd here"
	done
	done_testing
fi
is "$(systemd-analyze verify --man=no "$units/autossh@.service" 2>&1)" "" \
    "autossh@.service: systemd-analyze verify"
if systemd-analyze security --help | grep -q -e --threshold; then
	exposure() {
		systemd-analyze security --no-pager --offline=yes \
		    --threshold=20 "$units/autossh@.service" >"$tmp/security"
	}
	check "autossh@.service: exposure is 2.0 or less" exposure
	note "$(tail -n 1 "$tmp/security")"
else
	skip "autossh@.service: exposure is 2.0 or less" "an older systemd"
fi

# ---- a systemd of our own, in namespaces of its own

no_systemd() {
	skip "autossh@.service: end to end" "$1"
	done_testing
}
systemd=
for name in /usr/lib/systemd/systemd /lib/systemd/systemd; do
	[ -x "$name" ] && systemd=$name
done
[ -n "$systemd" ] || no_systemd "no systemd that could be started"
[ "$(id -u)" -eq 0 ] || no_systemd "root alone can start a systemd"
sshd_start || no_systemd "$sshd_reason"
sshd_down

cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
cgroup=$cgroups/autossh-test-$$
mkdir "$cgroup" 2>/dev/null || no_systemd "no cgroup that we may use"
remove_cgroup() {
	kill -KILL "$systemd_pid" 2>/dev/null
	wait_for 10 '! grep -q "populated 1" "$cgroup/cgroup.events"'
	find "$cgroup" -depth -type d -exec rmdir {} +
}
trap 'remove_cgroup; cleanup' EXIT

for name in basic default multi-user network-online shutdown sysinit; do
	printf '[Unit]\nDescription=%s\n' "$name" >"$units/$name.target"
done
cat >"$units/sshd.service" <<UNIT
[Service]
ExecStart=$sshd_program -D -e -f $SSHD_DIR/sshd_config
StandardError=append:$SSHD_DIR/log
UNIT
sed -i "s|^ExecStart=[^ ]*|ExecStart=$run_dir/autossh|" \
    "$units/autossh@.service"

# The user "tunnel" has a key with a passphrase.
ssh-keygen -q -t ed25519 -N "open sesame" -f "$SSHD_DIR/locked"
cat "$SSHD_DIR/locked.pub" >>"$SSHD_DIR/authorized_keys"
echo "open sesame" >"$SSHD_DIR/passphrase"
chmod 600 "$SSHD_DIR/passphrase"
sed "s|$SSHD_DIR|~/.ssh|" "$SSH_CONFIG" >"$SSHD_DIR/config"
cat >"$tmp/boot" <<BOOT
set -e
mount --make-rprivate /
mount --make-rshared /
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=700 tmpfs /root
: >$tmp/console
mount --bind $tmp/console /dev/console
mkdir -p /run/sshd /run/systemd/system /run/tunnel/.ssh $run_dir /root/.ssh
cp $AUTOSSH $run_dir/autossh
cp $SSHD_DIR/config $SSHD_DIR/known_hosts /root/.ssh
cp $SSHD_DIR/config $SSHD_DIR/known_hosts /run/tunnel/.ssh
cp $SSHD_DIR/key /root/.ssh/key
cp $SSHD_DIR/locked /run/tunnel/.ssh/key
chown -R 64999:64999 /run/tunnel
cp /etc/passwd /etc/group /run
echo tunnel:x:64999:64999::/run/tunnel:/bin/sh >>/run/passwd
echo tunnel:x:64999: >>/run/group
mount --bind /run/passwd /etc/passwd
mount --bind /run/group /etc/group
exec env -i container=autossh-test PATH="$PATH" SYSTEMD_UNIT_PATH=$units \
    SYSTEMD_GENERATOR_PATH=/nonexistent SYSTEMD_LOG_TARGET=console \
    $systemd --system --show-status=no --unit=default.target
BOOT
sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' sh "$cgroup" \
    unshare -f -p -m -C -i -u -n --kill-child --mount-proc sh "$tmp/boot" \
    </dev/null >"$tmp/boot.log" 2>&1 &
unshared=$!
started_pids="$started_pids $unshared"
systemd_pid=
inside() {
	nsenter -t "$systemd_pid" -a -- "$@"
}
systemd_up() {
	systemd_pid=$(ps -o pid= --ppid "$unshared" | tr -d ' ')
	[ -n "$systemd_pid" ] && inside systemctl is-active default.target \
	    >/dev/null 2>&1
}
wait_for 20 'systemd_up || ! alive "$unshared"'
systemd_up || no_systemd \
    "systemd does not start: $(cat "$tmp/boot.log" "$tmp/console" | tail -n 1)"

fresh # for the log
service=autossh@server
log=$dir/log
shows() {
	inside systemctl show --value -p "$1" $service
}
ssh_inside() {
	inside ps -C ssh -o pid= | tr -d ' '
}
# drop_in LINE...: what an administrator adds with systemctl edit
drop_in() {
	inside mkdir -p "$units/$service.service.d"
	{
		echo "[Service]"
		echo "StandardOutput=append:$log"
		echo "Environment=AUTOSSH_LOGLEVEL=7"
		# A sanitizer, if there is one, cannot look for leaks there.
		echo "Environment=ASAN_OPTIONS=detect_leaks=0"
		printf '%s\n' "$@"
	} >"$units/$service.service.d/test.conf"
	inside systemctl daemon-reload
}
is_up() {
	wait_for 30 'shows StatusText | grep -q "^up,"'
}

# The server is away: start does not wait.
drop_in RestartSec=1
inside systemctl start $service
is "$?/$(shows ActiveState)" 0/active \
    "systemd: the server is away: systemctl start does not wait"
check "systemd: and the state is down" \
    wait_for 20 'shows StatusText | grep -Eq "^down"'
inside systemctl stop $service
is "$(shows Result)" success "systemd: and it stops"
# ... unless a drop-in says so.
drop_in RestartSec=1 Type=notify TimeoutStartSec=infinity
: >"$log"
inside systemctl start $service &
starting=$!
started_pids="$started_pids $starting"
check "systemd: ssh is tried, and tried again" \
    wait_log "starting ssh (count 3)" 1 30
is "$(shows ActiveState)" activating "systemd: meanwhile the unit is activating"
check "systemd: systemctl start waits" alive "$starting"
check "systemd: the state is shown" \
    wait_for 20 'shows StatusText | grep -Eq "^(down|starting|started)"'
inside systemctl start sshd
inside systemctl kill --kill-whom=main -s HUP $service
wait "$starting"
is "$?" 0 "systemd: the server is there: systemctl start succeeds"
forget "$starting"
is "$(shows ActiveState)" active "systemd: the unit is active"
like "$(shows StatusText)" "^up, ssh pid [0-9]+" "systemd: the state is up"
check "systemd: a test has passed" log_has "connection ok"
main=$(shows MainPID)
is "$(inside ps -o comm= -p "$main")" autossh "systemd: its main process"

inside systemctl stop $service
drop_in RestartSec=1
inside systemctl start $service
check "systemd: the unit as it is: up" is_up
main=$(shows MainPID)

# AUTOSSH_GATETIME, EnvironmentFile, and another ssh on reload.
ssh=$(ssh_inside)
inside systemctl reload $service
check "systemd: reload starts a new ssh" \
    wait_for 20 '[ -n "$(ssh_inside)" ] && [ "$(ssh_inside)" != "$ssh" ]'
is "$(shows MainPID)" "$main" "systemd: under the same autossh"

# A plain kill of ssh.
is_up
ssh=$(ssh_inside)
inside kill "$ssh"
check "systemd: ssh gets a TERM, and ends with status 0" \
    wait_log "ssh exited with error status 0; restarting ssh"
check "systemd: there is a new ssh" \
    wait_for 20 '[ -n "$(ssh_inside)" ] && [ "$(ssh_inside)" != "$ssh" ]'
is "$(shows MainPID)" "$main" "systemd: under the same autossh, too"

inside kill -KILL "$main"
check "systemd: autossh killed: it is restarted" wait_for 30 \
    '[ "$(shows NRestarts)" -ge 1 ] && [ "$(shows ActiveState)" = active ]'
is "$(shows NRestarts)" 1 "systemd: once"
unlike "$(shows MainPID)" "^$main\$" "systemd: it is another process"
is_up
is "$(ssh_inside | wc -l)" 1 "systemd: with one ssh"

inside systemctl stop $service
is "$(shows ActiveState)/$(shows Result)/$(shows ExecMainStatus)" \
    inactive/success/0 "systemd: stop is clean"
is "$(ssh_inside)" "" "systemd: and leaves no ssh"

# The watchdog.
drop_in RestartSec=1 WatchdogSec=4
inside systemctl start $service
main=$(shows MainPID)
sleep 5
is "$(shows MainPID)" "$main" "systemd: the watchdog is content"
inside kill -STOP "$main"
check "systemd: an autossh that hangs is replaced" wait_for 30 \
    '[ "$(shows NRestarts)" -ge 1 ] && [ "$(shows ActiveState)" = active ]'
inside systemctl stop $service
is "$(ssh_inside)" "" "systemd: no ssh is left"

# An ordinary user whose key has a passphrase.
drop_in User=tunnel "LoadCredential=passphrase:$SSHD_DIR/passphrase" \
    "Environment=AUTOSSH_PASSPHRASE=file:%d/passphrase"
inside systemctl start $service
check "systemd: a user's key with a passphrase, from LoadCredential" is_up
is "$(inside ps -o user= -p "$(shows MainPID)")" tunnel \
    "systemd: it runs as that user"
inside systemctl stop $service
is "$(shows Result)" success "systemd: and stops"

# Settings from EnvironmentFile.
drop_in "EnvironmentFile=$dir/%i"
cat >"$dir/server" <<SETTINGS
SSH_OPTIONS=-L 2000:127.0.0.1:$SSHD_PORT -o "ServerAliveInterval 15"
AUTOSSH_MESSAGE=hello
SETTINGS
inside systemctl start $service
check "systemd: settings and options from a file" is_up
like "$(log_text | grep ^command: | tail -n 1)" \
    "ControlPath=none -o ExitOnForwardFailure=yes -L \
2000:127.0.0.1:$SSHD_PORT -o 'ServerAliveInterval 15' server" \
    "systemd: reach ssh"
check "systemd: the forwarding is there" inside "$TOOL" connects 2000
inside systemctl stop $service

done_testing
