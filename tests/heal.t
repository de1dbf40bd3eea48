#!/bin/sh
# Goal: show that what is no failure is left alone, and that a login which hangs
# is not: a server that refuses the tests, and every stage of a login.
#
# Conditions are evaluated by wait_for, functions called by their names:
# shellcheck disable=SC2016,SC2034,SC2154,SC2317

. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

sshd_start || skip_all "$sshd_reason"

alive_line="the server refuses the test, so the connection is alive"

metric() {
	sed -n "s/^$1{[^}]*} //p" "$dir/status" 2>/dev/null
}

# server_has LINE...: a server with these lines, and no others of the kind
server_has() {
	sed -i.bak '/^AllowTcpForwarding/d; /^AllowStream/d; /^PermitListen/d
	    /^PermitOpen/d; /^DisableForwarding/d' "$SSHD_DIR/sshd_config"
	[ $# -eq 0 ] || printf '%s\n' "$@" >>"$SSHD_DIR/sshd_config"
	sshd_down
	sshd_up || bail_out "$sshd_reason"
}

# real WORD... ARG...: a real ssh to this server; tests every 4 s
real() {
	start AUTOSSH_PATH="$SSH" AUTOSSH_GATETIME=0 AUTOSSH_FIRST_POLL=20 \
	    AUTOSSH_POLL=4 AUTOSSH_STATUSFILE="$dir/status" "$@"
}

stop_sessions() {
	for session in $(sshd_sessions); do
		kill -STOP "$session"
		started_pids="$started_pids $session"
	done
}

end_sessions() {
	for session in $(sshd_sessions); do
		kill -KILL "$session"
		forget "$session"
	done
}

# ---- a server that refuses the tests

# refused NAME: no failure, until the server is silent
refused() {
	fresh
	"$TOOL" datagrams "$dir/notify" >"$dir/told" &
	listener=$!
	started_pids="$started_pids $listener"
	wait_for 10 '[ -S "$dir/notify" ]'
	real NOTIFY_SOCKET="$dir/notify" -F "$SSH_CONFIG" -N server
	check "$1: tests are refused" wait_log "$alive_line" 2
	is "$(log_text | grep -c '^starting ssh')" 1 "$1: one start"
	is "$(log_text | grep -c AllowTcpForwarding)" 1 "$1: one warning"
	is "$(metric autossh_up)" 1 "$1: autossh_up 1"
	check "$1: READY" grep -q ' READY=1$' "$dir/told"
	stop_sessions
	check "$1: silence is noticed" \
	    wait_log "port down, restarting ssh" 1 60
	stop
	end_sessions
	kill "$listener"
	wait "$listener" 2>/dev/null
	forget "$listener"
}

# Where it can be, the server is in a network of its own: on this one the port
# that the monitor's -R could not listen on may be that of another test's -R.
sshd_netns || sshd_netns_end

for forbidden in "AllowTcpForwarding no" "AllowTcpForwarding local" \
    "PermitListen none" "DisableForwarding yes" "PermitOpen none"; do
	server_has "$forbidden"
	refused "$forbidden"
done

server_has
sed -i.bak 's/^/restrict /' "$SSHD_DIR/authorized_keys"
refused "restrict in authorized_keys"

# ExitOnForwardFailure is the user's, and meant for his forwardings.
fresh
real -F "$SSH_CONFIG" -o ExitOnForwardFailure=yes -N server
check "ExitOnForwardFailure: up without the monitor's -R" \
    wait_log "$alive_line" 2 60
is "$(log_text | grep -c '^starting ssh (count')" 2 \
    "ExitOnForwardFailure: at the second start"
is "$(metric autossh_up)" 1 "ExitOnForwardFailure: autossh_up 1"
end_sessions
check "ExitOnForwardFailure: after its death a fourth is started" \
    wait_log "starting ssh (count 4)" 1 60
is "$(log_text | grep -c '^command: .* -R 127')" 2 \
    "ExitOnForwardFailure: the third had the monitor's -R again"
stop
mv "$SSHD_DIR/authorized_keys.bak" "$SSHD_DIR/authorized_keys"
sshd_netns_end

# A forwarding of the user's fails: the monitor's is not to blame.
hold_port
fresh
real AUTOSSH_NTSERVICE=yes -F "$SSH_CONFIG" -o ExitOnForwardFailure=yes \
    -R "127.0.0.1:$((port + 1)):127.0.0.1:1" -N server
check "a port that is held there: ssh is started again" \
    wait_log "starting ssh (count 3)" 1 60
kill "$holder"
check "a port that was held there: a test passes" \
    wait_log "connection ok" 1 60
is "$(log_text | grep -c '^command: .* -R [^ ]*/r ')" \
    "$(log_text | grep -c '^command: ')" \
    "a port that is held there: the monitor keeps its -R"
stop

# at_terminal WORD... -- ARG...: real, on a terminal of its own; sets $autossh
script=
! script -qec true /dev/null </dev/null >/dev/null 2>&1 || script=script
at_terminal() {
	at_words=
	while [ "$1" != -- ]; do
		at_words="$at_words $1"
		shift
	done
	shift
	{
		echo 'echo $$ >"$FAKESSH_DIR/autossh"'
		printf 'exec "$AUTOSSH"'
		printf " '%s'" "$@"
	} >"$dir/session"
	# shellcheck disable=SC2086 # words
	real AUTOSSH="$AUTOSSH" SHELL=/bin/sh $at_words \
	    exec:script -qec "exec sh $dir/session" /dev/null
	wait_for 20 '[ -s "$dir/autossh" ]'
	read -r autossh <"$dir/autossh"
}

if [ -n "$script" ]; then
	fresh
	echo "await $dir/go forward" >"$dir/plan"
	at_terminal AUTOSSH_PATH="$FAKESSH" AUTOSSH_FIRST_POLL=1 \
	    AUTOSSH_POLL=2 -- -N host
	check "a person types: a test is due" \
	    wait_log "ssh has not logged in yet" 3 30
	: >"$dir/go"
	check "a person has typed: a test passes" wait_log "connection ok"
	is "$(starts)" 1 "a person types: no restart"
	stop
else
	skip "a person types" "no script(1)"
fi

# At a terminal ssh itself writes a line for each test that is refused.
if [ -n "$script" ]; then
	server_has "AllowTcpForwarding no"
	fresh
	at_terminal -- -F "$SSH_CONFIG" -t server "exec sleep 100"
	check "at a terminal: the test is refused" wait_log "$alive_line"
	sleep 10 # two more tests, if there were any
	is "$(grep -c 'open failed' "$dir/out")" 1 \
	    "at a terminal: one line of ssh's"
	kill "$autossh"
	wait_exit
else
	skip "at a terminal: one line of ssh's" "no script(1) here"
fi

server_has "AllowStreamLocalForwarding no"
fresh
real -F "$SSH_CONFIG" -N server
check "AllowStreamLocalForwarding no: a test passes" wait_log "connection ok"
unlike "$(log_text)" "AllowTcpForwarding" "no advice where none is needed"
stop_sessions
check "AllowStreamLocalForwarding no: silence is noticed" \
    wait_log "port down, restarting ssh" 1 60
unlike "$(log_text)" "AllowTcpForwarding" \
    "nor where a test has passed before"
stop
end_sessions
server_has

# ---- a login that hangs

if ! clock_library; then
	skip "a login that hangs" "no way to move the clock for this program"
	done_testing
fi

# server_stalls N: what the server sends ends after N bytes
server_stalls() {
	cat >"$dir/stalls" <<-END
	#!/bin/sh
	socat STDIO "TCP:127.0.0.1:$SSHD_PORT" 2>/dev/null |
	    { dd bs=1 count=$1 2>/dev/null; exec sleep 300; }
	END
	chmod 700 "$dir/stalls"
	sed '/^ProxyCommand/d' "$SSH_CONFIG" >"$dir/config"
	printf '%s\n' "ProxyCommand sh $dir/stalls" >>"$dir/config"
}

# hangs NAME STAGE [ARG]...: ssh -v has come to STAGE; then time passes
hangs() {
	hangs_name=$1
	hangs_stage=$2
	shift 2
	clock_set 0
	real "$CLOCK_PRELOAD" CLOCK_FILE="$dir/clock" \
	    AUTOSSH_FIRST_POLL=600 AUTOSSH_PIDFILE="$dir/pidfile" -f -F "$dir/config" -v -N "$@" server
	wait_exit
	pid=$(cat "$dir/pidfile")
	check "$hangs_name: as far as that" wait_match "$hangs_stage"
	clock_set 0 80 80
	kill -USR2 "$pid"
	wait_match "^status: "
	is "$(log_text | grep -c '^starting ssh')" 1 \
	    "$hangs_name: 80 s are not too long"
	clock_set 0 95 95
	kill -USR2 "$pid"
	check "$hangs_name: ended after 90 s" \
	    wait_log "ssh has not logged in after 90 s, restarting ssh"
	check "$hangs_name: and started again" wait_log "starting ssh (count 2)"
	kill "$pid"
	wait_for 20 '! alive "$pid"'
}

fresh
server_stalls 0
hangs "a silent server" '^ssh: debug1: (Local version string|Executing proxy)'

fresh
server_stalls 100
hangs "silence after the banner" '^ssh: debug1: Remote protocol version'

fresh
server_stalls 1500
hangs "silence in the key exchange" '^ssh: debug1: expecting SSH2_MSG_KEX'

fresh
server_stalls 2850
hangs "silence behind the key exchange" \
    '^ssh: debug1: (SSH2_MSG_NEWKEYS|SSH2_MSG_SERVICE_ACCEPT|Offering)'

fresh
server_stalls 0
cp "$SSH_CONFIG" "$dir/direct"
sed -i "1i\\
Host jump\\
ProxyCommand sh $dir/stalls\\
" "$dir/direct"
cp "$dir/direct" "$dir/config"
hangs "a jump host that is silent" '^ssh: debug1: Executing proxy' -J jump

# At a terminal somebody may sit at a prompt.
if [ -n "$script" ]; then
	fresh
	server_stalls 0
	clock_set 0
	at_terminal "$CLOCK_PRELOAD" CLOCK_FILE="$dir/clock" \
	    AUTOSSH_FIRST_POLL=100000 -- -F "$dir/config" server
	wait_match "^ssh child pid"
	clock_set 0 10000 10000
	kill -USR2 "$autossh"
	check "at a prompt: time passes" wait_match "^status: started 2h"
	sleep 1
	is "$(log_text | grep -c '^starting ssh')" 1 "at a prompt: no end"
	kill "$autossh"
	wait_exit
else
	skip "at a prompt: no end" "no script(1) here"
fi

done_testing
