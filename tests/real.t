#!/bin/sh
# Goal: show that autossh keeps real tunnels up, with the real ssh and a real
# sshd: sessions killed, traffic that stops silently, a server that is away, and
# the ways in which people start it.
#
# Conditions are evaluated by wait_for, functions called by check:
# shellcheck disable=SC2016,SC2317

: "${TEST_LIMIT=900}"
. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

if ! sshd_start "ListenAddress ::1"; then
	skip_all "$sshd_reason"
fi

# Both ends are this machine.
REAL_SSH=$SSH
free_port
FAR_PORT=$port
export REAL_SSH SSH_CONFIG FAR_PORT

# begin: a case of its own, with the ports $loop (and the next) and $tunnel.
begin() {
	fresh
	AUTOSSH_PATH=$(cd "$srcdir" && pwd)/tests/samehost.sh
	# What a test does to the first ssh comes sooner than 30 seconds.
	AUTOSSH_GATETIME=0
	export AUTOSSH_PATH AUTOSSH_GATETIME
	free_port
	tunnel=$port
	free_port
	loop=$port
}

# leads_to_sshd PORT [HOST]
leads_to_sshd() {
	ssh-keyscan -t ed25519 -T 2 -p "$1" "${2-127.0.0.1}" 2>/dev/null | grep -q "ssh-"
}

passes() {
	wait_for 30 'leads_to_sshd "$tunnel"'
}

# A test that the monitor makes now passes.
monitor_passes() {
	passed=$(log_count "connection ok")
	kill -HUP "$pid"
	wait_log "connection ok" $((passed + 1)) 30
}

signal_sessions() {
	for session in $(sshd_sessions); do
		kill "-$1" "$session" 2>/dev/null
	done
}

# The pid of the last ssh.
last_ssh() {
	log_text | sed -n 's/^ssh child pid is //p' | tail -n 1
}

# ends NAME: TERM to autossh ends it and ssh.
ends() {
	ssh=$(last_ssh)
	stop
	is "$status" 1 "$1: TERM ends autossh"
	check "$1: and ssh" wait_for 10 '! alive "$ssh"'
}

# ---- the loop

begin
start AUTOSSH_POLL=4 \
    -M "$loop" -N -L "$tunnel:127.0.0.1:$SSHD_PORT" server
check "loop: the tunnel passes" passes
check "loop: a test passes" wait_log "connection ok" 1 30
check "loop: so does one on demand" monitor_passes
is "$(log_count "port down, restarting ssh")" 0 "loop: none has failed"

signal_sessions KILL
check "session killed on the server: ssh is started again" \
    wait_log "starting ssh (count 2)"
check "session killed on the server: the tunnel is back" passes
check "session killed on the server: a test passes" monitor_passes

signal_sessions STOP
check "traffic stops silently: the monitor notices" \
    wait_log "port down, restarting ssh" 1 60
signal_sessions CONT
check "traffic stops silently: the tunnel is back" passes
check "traffic stops silently: a test passes" \
    wait_for 60 'log_text | tail -n 1 | grep -q "connection ok"'

ssh=$(last_ssh)
kill -KILL "$ssh"
check "ssh killed: the tunnel is back" \
    wait_for 30 '[ "$(last_ssh)" != "$ssh" ] && leads_to_sshd "$tunnel"'
ssh=$(last_ssh)
kill -USR1 "$pid"
check "USR1: a new ssh" wait_for 30 '[ "$(last_ssh)" != "$ssh" ] && ! alive "$ssh"'
check "USR1: the tunnel is back" passes
ssh=$(last_ssh)
kill -STOP "$ssh"
check "ssh stopped: it is killed and the tunnel is back" \
    wait_for 60 '! alive "$ssh" && leads_to_sshd "$tunnel"'
ends loop

# ---- the server is away

begin
start AUTOSSH_POLL=100 \
    -M "$loop" -N -L "$tunnel:127.0.0.1:$SSHD_PORT" server
check "server away: before, the tunnel passes" passes
sessions=$(sshd_sessions)
sshd_down
for session in $sessions; do
	kill -KILL "$session" 2>/dev/null
done
check "server away: a pause" wait_pause 1 60
check "server away: another one" wait_pause 2 60
check "server away: autossh goes on trying" alive "$pid"
sshd_up
check "server back: the tunnel is back" passes
check "server back: a test passes" monitor_passes
ends "server away"

# ---- an echo service

begin
free_port
echo_port=$port
start_echo() {
	socat "TCP-LISTEN:$echo_port,bind=127.0.0.1,fork,reuseaddr" PIPE \
	    </dev/null >/dev/null 2>&1 &
	echo_pid=$!
	started_pids="$started_pids $echo_pid"
	wait_for 10 '"$TOOL" connects "$echo_port"'
}
if command -v socat >/dev/null; then
	start_echo
	start AUTOSSH_POLL=4 \
	    -M "$loop:$echo_port" -N -L "$tunnel:127.0.0.1:$SSHD_PORT" server
	check "echo: the tunnel passes" passes
	check "echo: a test passes" wait_log "connection ok" 1 30
	check "echo: so does one on demand" monitor_passes
	kill "$echo_pid"
	forget "$echo_pid"
	check "echo: without the service a test fails" \
	    wait_log "port down, restarting ssh" 1 60
	start_echo
	check "echo: with it a test passes again" \
	    wait_for 60 'log_text | tail -n 1 | grep -q "connection ok"'
	ends echo
else
	skip "echo" "no socat"
fi

# ---- IPv6

begin
if "$SSH" -F "$SSH_CONFIG" -6 -o HostName=::1 server true </dev/null \
    2>/dev/null; then
	start AUTOSSH_POLL=10 -M "$loop" -6 -N \
	    -o HostName=::1 -L "$tunnel:[::1]:$SSHD_PORT" server
	check "-6: the tunnel passes" wait_for 30 'leads_to_sshd "$tunnel" ::1'
	check "-6: a test passes" monitor_passes
	is "$(log_count "port down, restarting ssh")" 0 "-6: none has failed"
	ends "-6"
else
	skip "-6" "no ::1"
fi

# ---- at boot

sshd_down
begin
run unset:AUTOSSH_GATETIME -M 0 -N server
is "$status" 1 "no server at the first start: status 1"
like "$(cat "$dir/err")" "^autossh: .*prematurely" \
    "no server at the first start: the reason is on stderr"

# rc does what a boot script does; it returns while there is no server.
begin
cat >"$dir/rc" <<RC
#!/bin/sh
AUTOSSH_GATETIME=0
AUTOSSH_PIDFILE=pidfile
export AUTOSSH_GATETIME AUTOSSH_PIDFILE
cd "$dir"
"$AUTOSSH" -f -M $loop -N -R $tunnel:127.0.0.1:$SSHD_PORT server
RC
start exec:sh "$dir/rc"
wait_exit
is "$status" 0 "boot script, no server yet: it returns with status 0"
is "$(cat "$dir/out" "$dir/err")" "" "boot script, no server yet: in silence"
pid=$(cat "$dir/pidfile")
check "boot script, no server yet: autossh tries" \
    wait_log "starting ssh (count 3)"
sshd_up
check "boot script, server there: the tunnel passes" passes
check "boot script, server there: a test passes" monitor_passes
ssh=$(last_ssh)
kill "$pid"
check "boot script: TERM to the pidfile's process ends everything" wait_for 20 \
    '! alive "$pid" && ! alive "$ssh" && [ ! -e "$dir/pidfile" ]'

begin
sshd_down
start -M 0 -N -L "$tunnel:127.0.0.1:$SSHD_PORT" server
check "AUTOSSH_GATETIME=0 in the foreground, no server yet: autossh tries" \
    wait_log "starting ssh (count 3)"
sshd_up
check "AUTOSSH_GATETIME=0 in the foreground, server there: the tunnel passes" \
    passes
ends "AUTOSSH_GATETIME=0 in the foreground"

# ---- nohup

begin
start exec:nohup "$AUTOSSH" -M 0 -N -L "$tunnel:127.0.0.1:$SSHD_PORT" server
check "nohup: the tunnel passes" passes
first=$(last_ssh)
kill -HUP "$pid" "$first"
kill -USR1 "$pid"
check "nohup: a second ssh takes over" \
    wait_for 20 '[ "$(last_ssh)" != "$first" ] && leads_to_sshd "$tunnel"'
second=$(last_ssh)
kill -HUP "$pid" "$second"
check "nohup: the tunnel passes after HUP" passes
is "$(last_ssh)" "$second" "nohup: HUP has not ended the second ssh"
is "$(log_count "ssh exited on signal 1, restarting ssh")" 0 \
    "nohup: nor the first"
ends nohup

# ---- recipes

# reply COMMAND...: what the command writes to stdout; $status is its status.
reply() {
	status=0
	"$@" 2>"$dir/err" </dev/null || status=$?
}

begin
start -M 0 -f -N -T -o ServerAliveInterval=15 -o "ServerAliveCountMax 3" \
    -o ExitOnForwardFailure=yes -R "$tunnel:localhost:$SSHD_PORT" server -C
wait_exit
is "$status" 0 "reverse tunnel with -f: status 0"
check "reverse tunnel with -f: it passes" passes
pid=$(log_text | sed -n 's/^ssh child pid is //p' | tail -n 1 |
    xargs ps -o ppid= -p)
ssh=$(last_ssh)
kill "$pid"
check "reverse tunnel with -f: TERM ends it" \
    wait_for 20 '! alive "$ssh"'

begin
start -M "$loop" -qfTnN -D "$tunnel" server
wait_exit
is "$status" 0 "SOCKS with -qfTnN: status 0"
if command -v socat >/dev/null; then
	check "SOCKS with -qfTnN: it leads to sshd" wait_for 30 \
	    'socat -t 5 - \
	    SOCKS4A:127.0.0.1:localhost:$SSHD_PORT,socksport=$tunnel \
	    </dev/null 2>/dev/null | head -c 3 | grep -q SSH'
else
	skip "SOCKS with -qfTnN: it leads to sshd" "no socat"
fi
ssh=$(last_ssh)
kill "$(ps -o ppid= -p "$ssh" | tr -d ' ')"
check "SOCKS with -qfTnN: TERM ends it" wait_for 20 '! alive "$ssh"'

begin
start -M "$loop" -J jump -N \
    -L "$tunnel:127.0.0.1:$SSHD_PORT" server
check "jump host: the tunnel passes" passes
check "jump host: a test passes" monitor_passes
signal_sessions KILL
check "jump host: after its sessions were killed, the tunnel is back" \
    wait_for 30 'log_has "starting ssh (count 2)" && leads_to_sshd "$tunnel"'
ends "jump host"

begin
is "$(reply "$AUTOSSH" -M 0 server ls -d -- /)" / "remote command with options"
is "$(reply "$AUTOSSH" -M 0 server "sh -c 'echo -f \$0' -M")" "-f -M" \
    "remote command with words of autossh's"
is "$(echo in | "$AUTOSSH" -M 0 server cat)" in \
    "stdin and stdout of a remote command"
reply "$AUTOSSH" -M 0 server exit 0
is "$status" 0 "remote command with status 0: status 0"
reply "$AUTOSSH" -M 0 server exit 7
is "$status" 1 "remote command with status 7: status 1"
check "remote command with status 7: logged" \
    log_has "ssh exited with status 7; autossh exiting"

begin
reply env -u AUTOSSH_GATETIME "$AUTOSSH" -M 0 server -o BatchMode=yes \
    -o PubkeyAuthentication=no
is "$status" 1 "login refused: status 1"
like "$(cat "$dir/err")" "Permission denied" "login refused: ssh's reason is seen"

begin
start AUTOSSH_MAXLIFETIME=2 -M "$loop" -N server
wait_for 15 '[ -n "$(last_ssh)" ]'
ssh=$(last_ssh)
wait_exit 30
is "$status" 0 "end of the lifetime: status 0"
check "end of the lifetime: ssh is gone" wait_for 10 '! alive "$ssh"'

# ---- SIGKILL

begin
start -M "$loop" -N -L "$tunnel:127.0.0.1:$SSHD_PORT" server
passes
ssh=$(last_ssh)
kill -KILL "$pid"
if built_with HAVE_PRCTL || built_with HAVE_PROCCTL; then
	check "autossh killed: ssh ends" wait_for 20 '! alive "$ssh"'
else
	kill "$ssh"
	skip "autossh killed: ssh ends" "built without prctl"
fi
wait "$pid" 2>/dev/null
forget "$pid"

# ---- a server on another network, reached by unchanged words

begin
if sshd_netns; then
	cat >"$tmp/ssh" <<-SCRIPT
	#!/bin/sh
	exec "$SSH" -F "$SSH_CONFIG" "\$@"
	SCRIPT
	chmod 700 "$tmp/ssh"
	start AUTOSSH_PATH="$tmp/ssh" AUTOSSH_FIRST_POLL=4 AUTOSSH_POLL=10 \
	    -M "$loop" -N server
	check "another network: a test passes" wait_log "connection ok" 1 30
	is "$(log_count "port down, restarting ssh")" 0 \
	    "another network: none has failed"
	signal_sessions KILL
	check "another network: after the session was killed, ssh is back" \
	    wait_log "starting ssh (count 2)"
	check "another network: and a test passes" \
	    wait_log "connection ok" 2 30
	ends "another network"
else
	skip "another network" "$sshd_reason"
fi

done_testing
