#!/bin/sh
# Goal: show that autossh asks once for a passphrase or password and keeps real
# sessions up with it: from every source, on a real terminal, without ever
# trying a wrong one twice or letting the secret out.
#
# Conditions are evaluated by wait_for, functions called by check, and the
# scripts of cases expand their variables themselves:
# shellcheck disable=SC2016,SC2034,SC2317

: "${TEST_LIMIT=900}"
. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

if ! sshd_start; then
	skip_all "$sshd_reason"
fi

# Awkward for shells, terminals and formats; no other text is like it.
SECRET='Ux7 "staple" $PATH %s \n `q`'
OTHER='Wr0ng-a5-can-be'

# Two keys with that passphrase, and a third with another.
for key in one two; do
	ssh-keygen -q -t ed25519 -a 1 -N "$SECRET" -f "$SSHD_DIR/$key"
done
ssh-keygen -q -t ed25519 -a 1 -N "$OTHER" -f "$SSHD_DIR/three"
cat "$SSHD_DIR/one.pub" "$SSHD_DIR/two.pub" "$SSHD_DIR/three.pub" \
    >>"$SSHD_DIR/authorized_keys"

# config NAME KEY [KEY of "jump"]: a configuration with these keys.
config() {
	{
		echo "Host jump"
		echo "IdentityFile $SSHD_DIR/${3-$2}"
		echo "Host *"
		echo "IdentityFile $SSHD_DIR/$2"
		grep -v IdentityFile "$SSH_CONFIG"
	} >"$SSHD_DIR/$1"
	chmod 600 "$SSHD_DIR/$1"
}
config config one
config config_two_keys one two
config config_two_secrets one three

# begin: a case with the real ssh.
# A new sshd, where the last one has begun to count failed logins against us.
begin() {
	if grep -q penalt "$SSHD_DIR/log"; then
		sshd_down
		sshd_up
	fi
	fresh
	AUTOSSH_PATH=$SSH
	AUTOSSH_GATETIME=0
	# The backoff is short; no test on a slow machine ends an ssh early.
	AUTOSSH_FIRST_POLL=600
	AUTOSSH_POLL=10
	export AUTOSSH_PATH AUTOSSH_GATETIME AUTOSSH_FIRST_POLL AUTOSSH_POLL
	free_port
	tunnel=$port
	conf=$SSHD_DIR/config
	auth=$(sshd_log "Accepted")
	failed=$(sshd_log "Failed")
}

sshd_log() {
	grep -c "$1" "$SSHD_DIR/log"
}

# accepted COUNT: whether so many logins were accepted in this case.
accepted() {
	[ $(($(sshd_log "Accepted") - auth)) -ge "$1" ]
}

# tunnel_up [WORD]... [ARGUMENT]...: starts a tunnel.
tunnel_up() {
	start "$@" -F "$conf" -N -L "$tunnel:127.0.0.1:$SSHD_PORT" server
}

leads_to_sshd() {
	ssh-keyscan -T 5 -t ed25519 -p "$1" 127.0.0.1 2>/dev/null |
	    grep -q "ssh-"
}

passes() {
	wait_for 60 'leads_to_sshd "$tunnel"'
}

# The pid of the last ssh; of the autossh that started it.
last_ssh() {
	log_text | sed -n 's/^ssh child pid is //p' | tail -n 1
}

last_autossh() {
	sed -n 's/.* autossh\[\([0-9]*\)\]: ssh child pid is .*/\1/p' \
	    "$dir/log" | tail -n 1
}

# killed COUNT: whether the tunnel is back after each of so many deaths of ssh,
# by the client's and by the server's side in turn.
killed() {
	for kill_count in $(seq "$1"); do
		kill_ssh=$(last_ssh)
		if [ $((kill_count % 2)) -eq 0 ]; then
			kill -KILL "$kill_ssh"
		else
			for kill_session in $(sshd_sessions); do
				kill -KILL "$kill_session" 2>/dev/null
			done
		fi
		wait_for 60 '! alive "$kill_ssh" &&
		    [ "$(last_ssh)" != "$kill_ssh" ]' && passes || return 1
	done
}

# The path of the private directory, "" for none.
private() {
	private_dirs
}

# ends NAME: TERM ends autossh and ssh; the private directory is gone.
ends() {
	ends_ssh=$(last_ssh)
	if [ -n "$pid" ]; then
		stop
		is "$status" 1 "$1: TERM ends autossh"
	else
		ends_autossh=$(last_autossh)
		kill "$ends_autossh"
		check "$1: TERM ends autossh" \
		    wait_for 60 '! alive "$ends_autossh"'
	fi
	check "$1: and ssh" wait_for 60 '! alive "$ends_ssh"'
	is "$(private)" "" "$1: the private directory is gone"
}

# ---- a terminal

# tty_start: an interactive shell on a terminal of its own.  tty_stop ends it.
TERMINAL=$(command -v tmux)
tty_start() {
	tty_socket=$dir/tty
	echo "PS1='prompt: '" >"$dir/rc"
	(cd "$dir" && env -u TMUX ENV="$dir/rc" TERM=xterm "$TERMINAL" \
	    -S "$tty_socket" -f /dev/null \
	    new-session -d -x 160 -y 50 "exec sh -i")
	tty_server=$(tty display-message -p '#{pid}')
	started_pids="$started_pids $tty_server"
	tty_line=$(tty display-message -p '#{pane_tty}')
	wait_for 60 'tty_prompts'
	tty_modes=$(stty -g <"$tty_line")
}

tty() {
	"$TERMINAL" -S "$tty_socket" "$@"
}

tty_screen() {
	tty capture-pane -p -J -S - | sed 's/ *$//'
}

tty_shows() {
	tty_screen | grep -Eq -e "$1"
}

tty_count() {
	tty_screen | grep -Ec -e "$1"
}

# The shell waits for a command (^C and ^D may be shown before its prompt).
tty_prompts() {
	tty_screen | sed '/^$/d' | tail -n 1 | grep -q "prompt:$"
}

tty_type() {
	tty send-keys -l "$1" && tty send-keys Enter
}

tty_echoes() {
	stty -a <"$tty_line" | grep -q '[^-]echo '
}

# autossh asks, for the time COUNT, and what is typed is not shown.
tty_asked() {
	tty_times=${1-1}
	wait_for 60 '! tty_echoes &&
	    [ "0$(tty_count "^Passphrase .* ssh to server:")" -ge "$tty_times" ]'
}

# The shell has its terminal back as it was.
tty_back() {
	wait_for 60 tty_prompts &&
	    [ "$(stty -g <"$tty_line")" = "$tty_modes" ]
}

# The status of the last command.
tty_status() {
	tty_statuses=$(tty_count "^status: ")
	tty_type 'echo st""atus: $?'
	wait_for 60 '[ "0$(tty_count "^status: ")" -gt "$tty_statuses" ]'
	tty_screen | sed -n 's/^status: //p' | tail -n 1
}

# The process that the shell has started.
tty_child() {
	children_of "$(tty display-message -p '#{pane_pid}')"
}

tty_stop() {
	tty kill-server
	wait_for 60 '! alive "$tty_server"'
	forget "$tty_server"
}

# tty_runs ARGUMENT...: the shell runs autossh.  LeakSanitizer can search no
# process that hides itself, and waits for ever where a hangup ends its helper.
tty_runs() {
	cat >"$dir/go" <<-GO
	ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0
	export ASAN_OPTIONS
	AUTOSSH_PASSPHRASE=ask
	export AUTOSSH_PASSPHRASE
	exec "$AUTOSSH" -F "$conf" $*
	GO
	tty_type "sh go"
}

if [ -n "$TERMINAL" ]; then
	begin
	tty_start
	tty_runs -f -N -L "$tunnel:127.0.0.1:$SSHD_PORT" server
	check "ask, -f: the question stands, without echo" tty_asked
	is "$(log_count "starting ssh (count 1)")" 0 \
	    "ask, -f: ssh is not started yet"
	tty_type "$SECRET"
	check "ask, -f: the shell is back" tty_back
	is "$(tty_status)" 0 "ask, -f: status 0"
	check "ask, -f: the tunnel passes" passes
	check "ask, -f: and comes back after each of three deaths" killed 3
	is "$(tty_count "Passphrase")" 1 "ask, -f: one question in all"
	is "$(tty_count staple)" 0 \
	    "ask, -f: the passphrase is not on the screen"
	check "ask, -f: each login used the key" accepted 4
	ends "ask, -f"
	tty_stop

	begin
	tty_start
	tty_runs -N -L "$tunnel:127.0.0.1:$SSHD_PORT" server
	tty_asked
	tty_type "$SECRET"
	check "ask, foreground: the tunnel passes" passes
	check "ask, foreground: and comes back after each of three deaths" \
	    killed 3
	is "$(tty_count "Passphrase")" 1 "ask, foreground: one question in all"
	ssh=$(last_ssh)
	tty send-keys C-c
	check "ask, foreground: ^C ends it, the terminal is as it was" tty_back
	check "ask, foreground: ^C ends ssh" wait_for 60 '! alive "$ssh"'
	is "$(private)" "" "ask, foreground: the private directory is gone"
	tty_stop

	# An ordinary user's sshd cannot have a terminal everywhere.
	if "$SSH" -F "$SSH_CONFIG" -tt server true </dev/null >/dev/null 2>&1
	then
		begin
		tty_start
		tty_runs -t server sh
		tty_asked
		tty_type "$SECRET"
		check "ask, -t: a remote shell" wait_for 60 'tty_shows "^[#$]$"'
		tty_type 'tty >/dev/null && echo on a ter""minal'
		check "ask, -t: which is interactive" \
		    wait_for 60 'tty_shows "^on a terminal"'
		tty send-keys Enter '~' C-z
		check "ask, -t: ~^Z gives the shell back" tty_back
		tty_type fg
		wait_for 60 '! tty_echoes'
		tty_type 'echo he""re'
		check "ask, -t: fg continues the session" \
		    wait_for 60 'tty_shows "^here"'
		tty_type exit
		check "ask, -t: exit ends it, the terminal is as it was" \
		    tty_back
		is "$(tty_status)" 0 "ask, -t: status 0"
		is "$(tty_count "Passphrase")" 1 "ask, -t: one question in all"
		is "$(private)" "" "ask, -t: the private directory is gone"
		tty_stop

		begin
		tty_start
		tty_runs -t server sh
		tty_asked
		tty_type "$SECRET"
		wait_for 60 'tty_shows "^[#$]$"'
		autossh=$(last_autossh)
		ssh=$(last_ssh)
		tty_stop
		check "ask, -t, the terminal is closed: autossh and ssh end" \
		    wait_for 60 '! alive "$autossh" && ! alive "$ssh"'
		is "$(private)" "" "ask, -t: the private directory is gone"
	else
		skip "ask, -t" "sshd gets no terminal here"
	fi

	# The question is given up.
	begin
	tty_start
	asked=0
	for key in C-c:1 'C-\:1' C-d:1 TERM:1; do
		asked=$((asked + 1))
		tty_runs -f -N server
		tty_asked "$asked"
		case $key in
		TERM:*)
			kill "$(tty_child)"
			;;
		C-d:*)
			tty send-keys C-d
			;;
		*)
			tty send-keys -l "half of it"
			tty send-keys "${key%:*}"
			;;
		esac
		check "${key%:*} at the question: the terminal is as it was" \
		    tty_back
		is "$(tty_status)" "${key#*:}" \
		    "${key%:*} at the question: status ${key#*:}"
	done
	check "^D at the question: the reason" \
	    tty_shows "^autossh: .*empty"
	is "$(log_count "starting ssh (count 1)")" 0 \
	    "the question given up: ssh is not started"

	# What ends nothing elsewhere ends no question either; but TERM does,
	# whatever was typed before.
	asked=$((asked + 1))
	tty_runs -f -N server
	tty_asked "$asked"
	autossh=$(tty_child)
	for name in USR1 USR2 CHLD CONT ALRM; do
		kill "-$name" "$autossh"
	done
	sleep 0.3
	stty echo <"$tty_line" # shows that it has come: the shell shall not get it
	tty send-keys -l "some of"
	tty send-keys C-d
	tty send-keys -l "the words"
	check "half an answer is typed" wait_for 60 'tty_shows "some ofthe words"'
	check "other signals at the question: it stands" alive "$autossh"
	kill "$autossh"
	check "TERM at half an answer: the terminal is as it was" tty_back
	is "$(tty_status)" 1 "TERM at half an answer: status 1"

	# Stopped there, and not wanted any more.
	asked=$((asked + 1))
	tty_runs -f -N server
	tty_asked "$asked"
	autossh=$(tty_child)
	tty send-keys C-z
	check "^Z and TERM at the question: the terminal is as it was" tty_back
	kill -TERM "$autossh"
	kill -CONT "$autossh"
	check "^Z and TERM at the question: autossh ends" \
	    wait_for 60 '! alive "$autossh"'

	# In the background, where SIGTTOU is ignored, nothing stops autossh.
	asked=$((asked + 1))
	cat >"$dir/behind" <<-BEHIND
	trap '' TTOU
	set -m
	sh go &
	wait
	BEHIND
	tty_type 'sh behind'
	wait_for 60 '[ "0$(tty_count "^Passphrase")" -ge "$asked" ]'
	autossh=$(children_of "$(tty_child)")
	check "in the background: the question stands" alive "$autossh"
	kill -TERM "$autossh"
	check "in the background: TERM ends it" \
	    wait_for 60 '! alive "$autossh"'
	check "in the background: the terminal is as it was" tty_back

	tty_runs -f -N -L "$tunnel:127.0.0.1:$SSHD_PORT" server
	tty_asked $((asked + 1))
	tty send-keys -l "half of it"
	tty send-keys C-z
	check "^Z at the question: the terminal is as it was" tty_back
	tty_type fg
	check "^Z at the question: fg asks again" tty_asked $((asked + 2))
	tty_type "$SECRET"
	check "^Z at the question: the shell is back" tty_back
	check "^Z at the question: the tunnel passes" passes
	is "$(tty_count "half of it")" 0 \
	    "the question given up: what was typed is not on the screen"
	pid=
	ends "^Z at the question"

	tty_runs -f -N server
	tty_asked $((asked + 3))
	autossh=$(tty_child)
	tty_stop
	check "the terminal is closed at the question: autossh ends" \
	    wait_for 60 '! alive "$autossh"'
else
	skip "ask" "no tmux"
fi

begin
run run:session AUTOSSH_PASSPHRASE=ask -F "$conf" -N server
is "$status" 1 "ask, no terminal: status 1"
like "$(cat "$dir/err")" "^autossh: .*no terminal" \
    "ask, no terminal: the reason"
is "$(starts) $(log_count "starting ssh (count 1)")" "0 0" \
    "ask, no terminal: ssh is not started"

# ---- the other sources

# secret_nowhere NAME: in nothing that others can see of what runs and was
# written.
secret_nowhere() {
	nowhere=
	for seen in "$(last_autossh)" $(children_of "$(last_autossh)"); do
		for part in cmdline environ; do
			grep -aqF staple "/proc/$seen/$part" &&
			    nowhere="$nowhere $(comm_of "$seen")'s $part"
		done
	done
	nowhere="$nowhere$(find "$dir" -type f ! -name 'secret*' \
	    -exec grep -alF staple {} +)"
	is "$nowhere" "" \
	    "$1: the secret is in no argument, environment, log or file"
}

# up NAME: the tunnel passes, also after ssh has died at either side.
up() {
	check "$1: the tunnel passes" passes
	check "$1: and comes back after each of two deaths" killed 2
	[ ! -d "/proc/$$" ] || secret_nowhere "$1"
	is "$(log_count "passphrase rejected")" 0 "$1: nothing is rejected"
}

# script: makes $dir/go of standard input; its first line is of the program.
script() {
	{
		echo "#!/bin/sh"
		cat
	} >"$dir/go"
	chmod 700 "$dir/go"
}

begin
printf '%s\nmore\n' "$SECRET" >"$dir/secret"
script <<GO
exec env AUTOSSH_PASSPHRASE=fd:7 "$AUTOSSH" "\$@" 7<"$dir/secret"
GO
tunnel_up exec:"$dir/go"
up "fd:7"
for process in autossh ssh; do
	if [ -d "/proc/$$/fd" ]; then
		unlike "$(ls -l "/proc/$(last_$process)/fd")" /secret \
		    "fd:7: $process does not have it open"
	else
		skip "fd:7: $process does not have it open" "no /proc"
	fi
done
ends "fd:7"

begin
script <<GO
printf '%s\n' '$SECRET' |
    env AUTOSSH_PASSPHRASE=fd:0 "$AUTOSSH" -f "\$@"
GO
tunnel_up exec:"$dir/go"
wait_exit
is "$status" 0 "fd:0 from a pipe, -f: status 0"
rm "$dir/go"
up "fd:0 from a pipe, -f"
pid=
ends "fd:0 from a pipe, -f"

begin
(umask 077 && printf '%s' "$SECRET" >"$dir/secret")
ln -s secret "$dir/secret-link"
tunnel_up AUTOSSH_PASSPHRASE=file:"$dir/secret-link" -f
wait_exit
is "$status" 0 "file, -f: status 0"
up "file, -f"
pid=
ends "file, -f"

# The command is told which key is asked for.
begin
printf '%s\n' "$SECRET" >"$dir/secret-one"
printf '%s\n' "$OTHER" >"$dir/secret-three"
conf=$SSHD_DIR/config_two_secrets
tunnel_up AUTOSSH_PASSPHRASE='exec:case $1 in
    */one*) cat "$SECRETS-one" ;; */three*) cat "$SECRETS-three" ;; esac' \
    SECRETS="$dir/secret" -J jump
up "exec, jump host with a secret of its own"
ends "exec, jump host with a secret of its own"

for conf in "$SSHD_DIR/config_two_keys" "$SSHD_DIR/config"; do
	begin_conf=$conf
	begin
	conf=$begin_conf
	(umask 077 && printf '%s\n' "$SECRET" >"$dir/secret")
	tunnel_up AUTOSSH_PASSPHRASE=file:"$dir/secret" -J jump
	up "jump host, ${conf##*config}"
	ends "jump host, ${conf##*config}"
done

# ---- wrong answers

# rejected NAME: autossh has ended since the answer was wrong.
rejected() {
	wait_exit 60
	is "$status" 1 "$1: status 1"
	is "$(log_text | grep -c "passphrase rejected")" 1 "$1: the log says so"
	like "$(cat "$dir/err")" "^autossh: .*passphrase rejected" \
	    "$1: and so does stderr"
	check "$1: ssh is gone" wait_for 60 '! alive "$(last_ssh)"'
	is "$(private)" "" "$1: the private directory is gone"
}

begin
(umask 077 && printf '%s\n' "$OTHER" >"$dir/secret")
tunnel_up AUTOSSH_PASSPHRASE=file:"$dir/secret"
rejected "wrong passphrase"
is "$(log_count "starting ssh (count 2)")" 0 "wrong passphrase: one start"

begin
(umask 077 && printf '%s\n' "$SECRET" >"$dir/secret")
tunnel_up AUTOSSH_PASSPHRASE=file:"$dir/secret"
passes
printf '%s\n' "$OTHER" >"$dir/secret"
kill -KILL "$(last_ssh)"
rejected "wrong passphrase at a later start"
is "$(log_count "starting ssh (count 3)")" 0 \
    "wrong passphrase at a later start: no third one"

# ---- an unknown host key

asks_for_host='^ssh asks "The authenticity of host .*": not answered: .*by hand'

begin
conf=$SSHD_DIR/config_unknown
sed 's/^StrictHostKeyChecking.*/StrictHostKeyChecking ask/
    s/^UserKnownHostsFile.*/UserKnownHostsFile \/dev\/null/' \
    "$SSHD_DIR/config" >"$conf"
printf '%s\n' "$SECRET" >"$dir/secret"
chmod 600 "$dir/secret"
tunnel_up unset:AUTOSSH_GATETIME AUTOSSH_PASSPHRASE=file:"$dir/secret"
wait_exit
is "$status" 1 "unknown host key: status 1"
is "$(log_text | grep -cE "$asks_for_host")" 1 \
    "unknown host key: one question, refused, with what to do"
like "$(cat "$dir/err")" "^autossh: ssh asks .*authenticity" \
    "unknown host key: stderr shows it"
check "unknown host key: no login" wait_for 1 '! accepted 1'

begin
conf=$SSHD_DIR/config_unknown
(umask 077 && printf '%s\n' "$SECRET" >"$dir/secret")
tunnel_up AUTOSSH_PASSPHRASE=file:"$dir/secret"
wait_log "starting ssh (count 4)"
stop
is "$(log_text | grep -cE "$asks_for_host")" \
    "$(log_text | grep -c "error status 255; restarting")" \
    "unknown host key, gate 0: one question for each start"

# ---- a password

# Root can give sshd a password file of its own, that nobody else sees.
password_server() {
	[ "$(id -u)" -eq 0 ] || return 1
	hash=$(printf '%s\n' "$SECRET" |
	    perl -ne 'chomp; print crypt($_, q($6$autosshtest))') || return 1
	awk -F : -v hash="$hash" 'BEGIN { OFS = ":" }
	    $1 == "root" { $2 = hash } { print }' /etc/shadow >"$tmp/shadow"
	mkdir "$tmp/pam.d"
	cat >"$tmp/pam.d/sshd" <<-PAM
	auth required pam_unix.so nodelay
	account required pam_permit.so
	session required pam_permit.so
	PAM
	cat >"$tmp/sshd-password" <<-SERVER
	#!/bin/sh
	exec unshare -m --propagation private sh -c '
	    mount --bind "$tmp/shadow" /etc/shadow &&
	    mount --bind "$tmp/pam.d" /etc/pam.d &&
	    exec "$sshd_program" "\$@"' sh "\$@"
	SERVER
	chmod 700 "$tmp/sshd-password"
	sshd_down
	sshd_program=$tmp/sshd-password
	sshd_up
}

# password_method LINE...: sshd takes passwords in this way alone.
password_method() {
	sshd_down
	[ -f "$tmp/sshd_config" ] ||
	    cp "$SSHD_DIR/sshd_config" "$tmp/sshd_config"
	{
		printf '%s\n' "$@"
		cat "$tmp/sshd_config"
	} >"$SSHD_DIR/sshd_config"
	sshd_up
	sed 's/^IdentityFile.*/PubkeyAuthentication no/' "$SSH_CONFIG" \
	    >"$SSHD_DIR/config_password"
}

# password_cases NAME
password_cases() {
	begin
	conf=$SSHD_DIR/config_password
	(umask 077 && printf '%s\n' "$SECRET" >"$dir/secret")
	tunnel_up AUTOSSH_PASSPHRASE=file:"$dir/secret"
	up "$1"
	printf '%s\n' "$OTHER" >"$dir/secret"
	failed=$(sshd_log "^Failed")
	kill -KILL "$(last_ssh)"
	rejected "$1, wrong at a later start"
	is "$(($(sshd_log "^Failed") - failed))" 1 \
	    "$1, wrong at a later start: one attempt failed"

	begin
	conf=$SSHD_DIR/config_password
	failed=$(sshd_log "^Failed")
	(umask 077 && printf '%s\n' "$OTHER" >"$dir/secret")
	tunnel_up AUTOSSH_PASSPHRASE=file:"$dir/secret"
	rejected "$1, wrong"
	is "$(($(sshd_log "^Failed") - failed))" 1 \
	    "$1, wrong: one attempt failed"

	[ -n "$TERMINAL" ] || return
	begin
	conf=$SSHD_DIR/config_password
	tty_start
	tty_runs -f -N -L "$tunnel:127.0.0.1:$SSHD_PORT" server
	tty_asked
	tty_type "$SECRET"
	check "$1, ask, -f: the shell is back" tty_back
	check "$1, ask, -f: the tunnel passes" passes
	check "$1, ask, -f: and comes back after each of three deaths" killed 3
	is "$(tty_count "Passphrase")" 1 "$1, ask, -f: one question in all"
	ends "$1, ask, -f"
	tty_stop
}

# once_cases: ssh asks once only, or the server allows one attempt.
once_cases() {
	begin
	conf=$SSHD_DIR/config_password
	failed=$(sshd_log "^Failed")
	(umask 077 && printf '%s\n' "$OTHER" >"$dir/secret")
	tunnel_up AUTOSSH_PASSPHRASE=file:"$dir/secret" -f \
	    -o NumberOfPasswordPrompts=1
	wait_exit
	check "wrong password, asked once, -f: the log says so" \
	    wait_match "^passphrase rejected" 1 60
	autossh=$(last_autossh)
	check "wrong password, asked once, -f: autossh ends" \
	    wait_for 60 '! alive "$autossh"'
	is "$(($(sshd_log "^Failed") - failed))" 1 \
	    "wrong password, asked once, -f: one attempt failed"

	# No answer is sent where none is to be had.
	begin
	conf=$SSHD_DIR/config_password
	failed=$(sshd_log "^Failed")
	tunnel_up AUTOSSH_PASSPHRASE="exec:exit 3" -f
	wait_exit
	wait_log "starting ssh (count 2)" 1 60
	wait_for 60 '[ "$(log_text | grep -c "exit status 3")" -ge 2 ]'
	pid=
	ends "no password to be had"
	is "$(($(sshd_log "^Failed") - failed))" 0 \
	    "no password to be had: no empty one was sent"
}

# goes_on NAME [WORD]... [ARGUMENT]...: the server closes the connection after
# an answer, which rejects nothing.
goes_on() {
	goes_on_name=$1
	shift
	begin
	conf=$SSHD_DIR/config_password
	(umask 077 && printf '%s\n' "${goes_on_secret-$SECRET}" >"$dir/secret")
	tunnel_up AUTOSSH_PASSPHRASE=file:"$dir/secret" "$@"
	check "$goes_on_name: goes on" wait_log "starting ssh (count 3)" 1 60
	is "$(log_text | grep -c "^passphrase rejected")" 0 \
	    "$goes_on_name: nothing is rejected"
	case " $* " in
	*" -f "*) pid= ;;
	esac
	ends "$goes_on_name"
}

closed_cases() {
	goes_on "a remote command that prints a denial, -f" -f -M 0 \
	    -o "RemoteCommand=echo 'root@server: Permission denied (x).' >&2; \
exit 255" -o SessionType=default
	password_method "MaxAuthTries 1" "PasswordAuthentication yes" \
	    "KbdInteractiveAuthentication no"
	goes_on_secret=$OTHER
	goes_on "MaxAuthTries 1"
	unset goes_on_secret
	printf 'root@server: Permission denied (banner).\r\n' >"$tmp/banner"
	password_method "Banner $tmp/banner" "PasswordAuthentication yes" \
	    "KbdInteractiveAuthentication no" "ForceCommand exit 255"
	goes_on "a banner like a denial, -f" -f -M 0 -o SessionType=default
	# As pam_nologin does to all but root before a reboot.
	sed -i.bak 's/^account.*/account required pam_deny.so/' \
	    "$tmp/pam.d/sshd"
	password_method "UsePAM yes" "PasswordAuthentication yes" \
	    "KbdInteractiveAuthentication no"
	goes_on "no login before a reboot (nologin)"
	mv "$tmp/pam.d/sshd.bak" "$tmp/pam.d/sshd"
}

# destination_down: the jump host takes the password, what is behind is away.
destination_down() {
	begin
	conf=$SSHD_DIR/config_down
	(
		printf 'Host jump\nPort %s\n' "$SSHD_PORT"
		sed 's/^Port .*/Port 1/' "$SSHD_DIR/config_password"
	) >"$conf"
	(umask 077 && printf '%s\n' "$SECRET" >"$dir/secret")
	tunnel_up AUTOSSH_PASSPHRASE=file:"$dir/secret" "$@" -J jump
	check "jump host's password right, the destination down $*: goes on" \
	    wait_log "starting ssh (count 7)" 1 60
	check "the jump host $*: accepted it" accepted 6
	is "$(log_text | grep -c "^passphrase rejected")" 0 \
	    "the jump host $*: nothing is rejected"
	[ "${1-}" != -f ] || pid=
	ends "the jump host $*"
}

if password_server; then
	password_method "PasswordAuthentication yes" \
	    "KbdInteractiveAuthentication no"
	password_cases "password"
	once_cases
	closed_cases
	password_method "PasswordAuthentication yes" \
	    "KbdInteractiveAuthentication no"
	destination_down
	destination_down -f
	password_method "UsePAM yes" "PasswordAuthentication no" \
	    "KbdInteractiveAuthentication yes"
	password_cases "keyboard-interactive"
else
	skip "password" "only root can give sshd a password file"
fi

done_testing
