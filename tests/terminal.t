#!/bin/sh
# Goal: show that autossh at a real terminal behaves like ssh: an interactive
# session, ~^Z and fg, ^Z, ^C, the terminal's modes, and a terminal that goes
# away.
#
# Conditions are evaluated by wait_for, functions called by check:
# shellcheck disable=SC2016,SC2034,SC2317

: "${TEST_LIMIT=900}"
. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

command -v tmux >/dev/null || skip_all "no tmux"
if ! sshd_start; then
	skip_all "$sshd_reason"
fi
REAL_SSH=$SSH
free_port
FAR_PORT=$port
export REAL_SSH SSH_CONFIG FAR_PORT AUTOSSH
unset TMUX ENV

# ---- the terminal: tmux, one server for each case

in_tmux() {
	LC_ALL=C.UTF-8 tmux -S "$dir/tmux" -f /dev/null "$@" 2>>"$dir/err"
}

# terminal [COMMAND]: a case of its own at a new terminal that runs the command,
# by default a shell; what it runs finds $AUTOSSH, $P (the monitor's port) and
# $T (the tunnel's).  Sets $tmux_pid.
terminal() {
	fresh
	AUTOSSH_PATH=$(cd "$srcdir" && pwd)/tests/samehost.sh
	AUTOSSH_GATETIME=0
	free_port
	P=$port
	free_port
	T=$port
	SSHD=$SSHD_PORT
	PS1='local> '
	export AUTOSSH_PATH AUTOSSH_GATETIME P T SSHD PS1 dir
	in_tmux new-session -d -x 100 -y 30 "${1-exec sh -i}"
	tmux_pid=$(in_tmux display-message -p '#{pid}')
	started_pids="$started_pids $tmux_pid"
}

# The terminal goes away, as when its window is closed.
terminal_gone() {
	in_tmux kill-server
	wait_for 10 '! alive "$tmux_pid"'
	forget "$tmux_pid"
}

# types TEXT: a line.  key NAME...: as tmux names them.
types() {
	in_tmux send-keys -l -- "$1"
	in_tmux send-keys Enter
}

key() {
	in_tmux send-keys "$@"
}

screen() {
	in_tmux capture-pane -p 2>/dev/null
}

# shows ERE: waits for a line of the screen that matches.
shows() {
	shows_ere=$1
	wait_for 30 'screen | grep -Eq -e "$shows_ere"' && return
	note "the screen:" "$(screen)"
	return 1
}

# answers SHELL N: the shell that has the terminal now says its name and N.
# (What is typed does not match what it prints, and the prompt may stand before
# either.)
answers() {
	types "echo \$NAME'='$2"
	shows "$1=$2\$"
}

# ended STATUS: autossh has ended with STATUS, and the local shell has the
# terminal.
ended() {
	gone || return
	types 'echo "ended with" $?'
	shows "ended with $1\$"
}

# autossh and the last ssh, by the log.
autossh_pid() {
	sed -n 's/.* autossh\[\([0-9]*\)\]: starting ssh .*/\1/p' "$dir/log" |
	    tail -n 1
}

ssh_pid() {
	log_text | sed -n 's/^ssh child pid is //p' | tail -n 1
}

# pids: waits for both; sets $pid and $ssh.
pids() {
	wait_for 20 '[ -n "$(ssh_pid)" ]'
	pid=$(autossh_pid)
	ssh=$(ssh_pid)
}

# is_stopped PID
is_stopped() {
	case $(ps -o stat= -p "$1") in
	T*) ;;
	*) return 1 ;;
	esac
}

# The processes that have the terminal now are those of $pid's group.
has_terminal() {
	case $(ps -o stat= -p "$pid") in
	*+*) ;;
	*) return 1 ;;
	esac
}

leads_to_sshd() {
	ssh-keyscan -t ed25519 -T 2 -p "$T" 127.0.0.1 2>/dev/null | grep -q "ssh-"
}

gone() {
	wait_for 20 '! alive "$pid" && ! alive "$ssh"'
}

# A remote shell that is told from the local one by $NAME.
remote='NAME=remote PS1="remote> " exec sh -i'

# ---- ssh -N in the foreground

terminal
types 'NAME=local'
types '"$AUTOSSH" -M $P -N -L $T:127.0.0.1:$SSHD server'
pids
check "-N: the tunnel passes" wait_for 30 leads_to_sshd
for round in 1 2; do
	key C-z
	wait_for 10 'is_stopped "$ssh" && is_stopped "$pid"'
	check "-N, ^Z, round $round: the local shell answers" \
	    answers local "2$round"
	check "-N, ^Z, round $round: ssh is stopped" is_stopped "$ssh"
	check "-N, ^Z, round $round: so is autossh" is_stopped "$pid"
	types 'fg'
	wait_for 10 has_terminal
	check "-N, fg, round $round: both go on" \
	    wait_for 10 '! is_stopped "$ssh" && ! is_stopped "$pid"'
	check "-N, fg, round $round: the tunnel passes" \
	    wait_for 30 leads_to_sshd
done
key C-z
wait_for 10 'is_stopped "$ssh" && is_stopped "$pid"'
answers local 31
types 'bg'
check "-N, ^Z and bg: the tunnel passes" wait_for 30 leads_to_sshd
check "-N, ^Z and bg: the local shell answers" answers local 32
types 'fg'
wait_for 10 has_terminal
key C-c
check "-N, ^C: autossh ends with status 1" ended 1
check "-N, ^C: nothing is left" gone
is "$(log_text | grep -c '^starting ssh')" 1 "-N, ^C: ssh was not started again"
unlike "$(log_text)" prematurely "-N, ^C: nor is anything called premature"
terminal_gone

# ---- the terminal goes away from ssh -N

terminal 'exec "$AUTOSSH" -M $P -N -L $T:127.0.0.1:$SSHD server'
pids
wait_for 30 leads_to_sshd
terminal_gone
check "terminal gone: with -N autossh tests the connection" \
    wait_log "connection ok"
check "terminal gone: with -N the tunnel is kept up" \
    wait_for 30 leads_to_sshd
check "terminal gone: with -N it is the same autossh" alive "$pid"
# ssh may have been hung up as well.
ssh=$(ssh_pid)
kill -TERM "$pid"
check "terminal gone: TERM ends it" gone

terminal
types 'NAME=local'
types '"$AUTOSSH" -M $P -N -L $T:127.0.0.1:$SSHD server &'
pids
wait_for 30 leads_to_sshd
terminal_gone
check "terminal gone: with -N in the shell's background it is kept up" \
    wait_for 30 leads_to_sshd
ssh=$(ssh_pid)
kill -TERM "$pid"
gone

if ! "$SSH" -F "$SSH_CONFIG" -tt server true </dev/null >/dev/null 2>&1; then
	skip "sessions" "sshd cannot give a terminal here"
	done_testing
fi

# ---- an interactive session

terminal
types 'NAME=local'
types '"$AUTOSSH" -M $P -t server'
pids
types 'echo tty is `tty`'
check "login: the remote shell has a terminal" shows 'tty is /dev/'
types 'echo size is `stty size`'
check "login: with the size of this one" shows 'size is 30 100$'
in_tmux resize-window -x 90 -y 25
check "login: it follows a change of size" wait_for 20 \
    'types "echo now \`stty size\`"; screen |
	grep -q "now 25 90$"'
types 'exit'
check "login: exit ends autossh with status 0" ended 0
check "login: nothing is left" gone
is "$(log_count "ssh exited with status 0; autossh exiting")" 1 \
    "login: the log says so"
terminal_gone

terminal
types 'NAME=local'
types "\"\$AUTOSSH\" -M \$P -t server '$remote'"
check "session: the remote shell answers" shows 'remote>$'
pids
check "session: it is the remote one" answers remote 1
types 'sh -c "echo run""ning; exec sleep 1000"'
shows '^running$'
key C-c
check "session: ^C reaches the remote command" answers remote 2
check "session: and not autossh" alive "$pid"

for round in 1 2 3; do
	key Enter '~' C-z
	wait_for 10 'is_stopped "$ssh" && is_stopped "$pid"'
	check "~^Z, round $round: the local shell answers" \
	    answers local "$round"
	check "~^Z, round $round: ssh is stopped" is_stopped "$ssh"
	check "~^Z, round $round: so is autossh" is_stopped "$pid"
	types 'fg'
	wait_for 10 has_terminal
	check "fg, round $round: the remote shell answers" \
	    answers remote "1$round"
	check "fg, round $round: autossh goes on" \
	    wait_for 10 '! is_stopped "$pid"'
done
is "$(log_count "starting ssh (count 1)")/$(ssh_pid)" "1/$ssh" \
    "~^Z and fg: it is the same ssh"

kill -STOP "$ssh"
wait_for 10 'is_stopped "$ssh"'
kill -HUP "$pid"	# something to do, so that it shows if it is stopped
kill -USR2 "$pid"
check "SIGSTOP to ssh alone: autossh still listens" \
    wait_match "^status: " 1 10
check "SIGSTOP to ssh alone: autossh is not stopped" \
    eval '! is_stopped "$pid"'
terminal_gone
kill -KILL "$ssh" 2>/dev/null
gone

# ---- the terminal's modes

for signal in KILL TERM SEGV; do
	terminal 'stty -g >"$dir/before"
	    AUTOSSH_MAXSTART=1 "$AUTOSSH" -M 0 -t server \
		"NAME=remote exec sh -i"
	    echo $? >"$dir/exit"
	    stty -g >"$dir/after.new"
	    mv "$dir/after.new" "$dir/after"
	    exec sleep 1000'
	pids
	answers remote 1
	tty=$(in_tmux display-message -p '#{pane_tty}')
	check "ssh killed by $signal: its terminal was raw" \
	    test "$(stty -g <"$tty")" != "$(cat "$dir/before")"
	kill "-$signal" "$ssh"
	wait_for 20 '[ -e "$dir/after" ]'
	if [ "$signal" = TERM ]; then
		# ssh handles this one itself: 255.
		is "$(log_count "ssh exited with error status 255; restarting ssh")" \
		    1 "ssh killed by $signal: it exited by itself"
	fi
	is "$(cat "$dir/after")" "$(cat "$dir/before")" \
	    "ssh killed by $signal: the modes are as before"
	terminal_gone
done

terminal
types 'NAME=local'
types "\"\$AUTOSSH\" -M 0 -t server '$remote'"
shows 'remote>$'
pids
kill -KILL "$ssh"
wait_log "starting ssh (count 2)"
check "ssh killed and started again: the new session answers" answers remote 3
pids
types 'exit'
check "ssh killed and started again: exit ends it" ended 0
terminal_gone

# ---- the terminal goes away from a session

terminal 'exec "$AUTOSSH" -M $P -t server "NAME=remote exec sh -i"'
pids
answers remote 1
terminal_gone
check "terminal gone: without -N autossh and ssh end" gone
is "$(log_text | grep -c '^starting ssh')" 1 \
    "terminal gone: without -N ssh is not started again"

# A terminal that cannot be opened just now is not gone.
terminal 'exec "$AUTOSSH" -M 0 -t server "NAME=remote exec sh -i"'
pids
answers remote 1
if prlimit --pid "$pid" --nofile=3: 2>/dev/null; then
	kill -HUP "$pid"
	kill -USR2 "$pid"
	wait_match "^status: " 1 10
	check "HUP without descriptors: the session goes on" answers remote 2
	prlimit --pid "$pid" --nofile=1000:
else
	skip "HUP without descriptors: the session goes on" "no prlimit"
fi
terminal_gone
gone

# ---- a session that comes back

terminal
cat >"$dir/shell" <<SHELL
#!/bin/sh
NAME=remote
PS1="remote> "
export NAME PS1
exec sh -i
SHELL
cat >"$dir/attach" <<ATTACH
#!/bin/sh
LC_ALL=C.UTF-8 exec tmux -S $dir/inner -f /dev/null \\
    new-session -A -s main "$dir/shell"
ATTACH
chmod 700 "$dir/shell" "$dir/attach"
types 'NAME=local'
types '"$AUTOSSH" -M $P -t server "$dir/attach"'
shows 'remote>$'
pids
check "tmux on the server: the remote shell answers" answers remote 1
inner_pid=$(LC_ALL=C.UTF-8 tmux -S "$dir/inner" display-message -p '#{pid}')
started_pids="$started_pids $inner_pid"
types 'kept=yes'
answers remote 2 # it has read that
for session in $(sshd_sessions); do
	kill -KILL "$session" 2>/dev/null
done
check "tmux on the server: after the session was killed, ssh is back" \
    wait_log "starting ssh (count 2)"
pids
check "tmux on the server: the shell is the same" wait_for 30 \
    'types "echo kept is \$kept"; screen | grep -q "kept is yes$"'
types 'exit'
check "tmux on the server: exit ends it" ended 0
forget "$inner_pid"
terminal_gone

done_testing
