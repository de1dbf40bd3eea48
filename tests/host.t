#!/bin/sh
# Goal: show that the wrapper autossh.host brings a tunnel up to a real sshd,
# with the ssh-agent that is there or with one of its own.
#
# Conditions are evaluated by wait_for, functions called by check:
# shellcheck disable=SC2016,SC2317

. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

wrapper=$srcdir/autossh.host
if ! sshd_start; then
	skip_all "$sshd_reason"
fi

# ssh by way of the private configuration, less its key: what ssh has must come
# from the wrapper.  Writes down its words and its agent.
sed '/^Identit/d' "$SSH_CONFIG" >"$tmp/ssh_config"
cat >"$tmp/ssh" <<SCRIPT
#!/bin/sh
for word do
	printf '<%s>' "\$word"
done >"\$HOME/words.new"
mv "\$HOME/words.new" "\$HOME/words"
printf '%s %s\n' "\${SSH_AUTH_SOCK-none}" "\${SSH_AGENT_PID-0}" >"\$HOME/agent"
exec "$SSH" -F "$tmp/ssh_config" "\$@"
SCRIPT
chmod 700 "$tmp/ssh"

# begin [NAME=VALUE]...: a case of its own, with the wrapper in the background
# and a home directory where ssh and ssh-add find nothing.
begin() {
	fresh
	free_port
	tunnel=$port
	HOME=$dir
	AUTOSSH_PATH=$tmp/ssh
	export HOME AUTOSSH AUTOSSH_PATH
	start AUTOSSH_GATETIME=0 TUNNEL_HOST=server TUNNEL_MONITOR=0 \
	    "TUNNEL_FORWARDS=-L $tunnel:127.0.0.1:$SSHD_PORT" "$@" \
	    exec:sh "$wrapper" -4
}

# The tunnel leads to sshd.
passes() {
	wait_for 20 'ssh-keyscan -t ed25519 -T 1 -p "$tunnel" 127.0.0.1 2>/dev/null |
	    grep -q "ssh-"'
}

# Kills the server's side, and waits for the tunnel to pass by a new ssh.
comes_back() {
	for session in $(sshd_sessions); do
		kill -KILL "$session"
	done
	wait_log "starting ssh (count 2)" && passes
}

agent_pid() {
	cut -d ' ' -f 2 "$dir/agent"
}

# ---- an agent is there

eval "$(ssh-agent -s -a "$tmp/agent")" >/dev/null
started_pids="$started_pids $SSH_AGENT_PID"
ssh-add -q "$SSHD_DIR/key"

begin
check "an agent that is there is used" passes
is "$(cut -d ' ' -f 1 "$dir/agent")" "$tmp/agent" "and ssh has that one"
is "$(cat "$dir/words")" \
    "<-N><-L><$tunnel:127.0.0.1:$SSHD_PORT><-4><server>" \
    "forwardings, arguments and destination reach ssh in this order"
check "the tunnel comes back after the session was killed" comes_back
stop
is "$status" 1 "TERM to the wrapper's process ends autossh"

ssh-add -q -D
begin TUNNEL_KEY="$SSHD_DIR/key"
check "a key that the agent lacks is added to it" passes
is "$(ssh-add -l | awk 'END { print NR }')" 1 "and is held there"
stop
begin TUNNEL_KEY="$SSHD_DIR/key"
check "a key that the agent holds is used" passes
unlike "$(cat "$dir/err")" "Identity added" "and is not added again"
stop

begin TUNNEL_FORWARDS="-L /[e]tc"
wait_for 20 '[ -s "$dir/words" ]'
is "$(cat "$dir/words")" "<-N><-L></[e]tc><-4><server>" \
    "forwardings are no patterns of file names"
stop

# ---- no agent

unset SSH_AUTH_SOCK SSH_AGENT_PID

cp "$SSHD_DIR/key" "$tmp/key"
begin TUNNEL_KEY="$tmp/key"
check "without an agent one is started, with the key" passes
agent=$(agent_pid)
check "that agent is alive" alive "$agent"
rm "$tmp/key"
check "the tunnel comes back with the agent's key alone" comes_back
stop
is "$status" 1 "TERM to the wrapper's process ends autossh again"
check "its agent ends soon after it" wait_for 60 '! alive "$agent"'

begin TUNNEL_KEY="$SSHD_DIR/key" TUNNEL_BACKGROUND=yes \
    AUTOSSH_PIDFILE="$tmp/pidfile"
wait_exit
is "$status" 0 "in the background, the wrapper returns with status 0"
check "and the tunnel passes" passes
agent=$(agent_pid)
started_pids="$started_pids $agent"
check "the agent stays for it" alive "$agent"
pid=$(cat "$tmp/pidfile")
kill "$pid"
check "TERM to the process of the pidfile ends it" \
    wait_for 20 '! alive "$pid" && [ ! -e "$tmp/pidfile" ]'
kill "$agent"

# ---- what can go wrong

begin TUNNEL_KEY="$tmp/no_such_key"
wait_exit
is "$status" 1 "a key that cannot be added: status 1"
like "$(cat "$dir/err")" "cannot add the key $tmp/no_such_key" "and the reason"
check "ssh is not started" test ! -e "$dir/words"

begin TUNNEL_HOST=
wait_exit
is "$status" 1 "no destination: status 1"
like "$(cat "$dir/err")" "set TUNNEL_HOST" "and the reason"

begin TUNNEL_KEY="$SSHD_DIR/key" TUNNEL_BACKGROUND=yes AUTOSSH_POLL=x
wait_exit
is "$status" 1 "autossh refuses to start in the background: status 1"
like "$(cat "$dir/err")" "AUTOSSH_POLL" "and the reason"

done_testing
