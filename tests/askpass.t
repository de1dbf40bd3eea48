#!/bin/sh
# Goal: show that ssh's questions are answered or refused as they should be,
# that nobody else gets an answer, that no one who connects can hold autossh up,
# and that nothing of the secret stays anywhere.
#
# Conditions are evaluated by wait_for, functions called by check, and scripts
# of cases expand their variables themselves; every sh here has these options of
# ulimit:
# shellcheck disable=SC2016,SC2034,SC2317,SC3045

: "${TEST_LIMIT=900}"
. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

SECRET='Ux7 "staple" $PATH %s \n `q`'
KEY="Enter passphrase for /k: "
PASSWORD="(u@h) Password: "

# begin PLAN: a case with a secret.
begin() {
	fresh "$1"
	AUTOSSH_PASSPHRASE=file:$dir/secret
	AUTOSSH_GATETIME=0
	export AUTOSSH_PASSPHRASE AUTOSSH_GATETIME
	(umask 077 && printf '%s\n' "$SECRET" >"$dir/secret")
}

# What came of question N: its status and answer.
asked() {
	sed -n "$1"'s/^.*) \(-*[0-9]* (.*)\)$/\1/p' "$dir/asked" 2>/dev/null
}

wait_asked() {
	wait_for 60 '[ "$(asked '"$1"')" ]'
}

private() {
	private_dirs
}

# How many descriptors autossh has open, where that can be known; to be counted
# first when a question is answered, since the start of ssh is over then.
descriptors() {
	find "/proc/$pid/fd" -mindepth 1 2>/dev/null | grep -c .
}

# helper QUESTION: what ssh would do; prints the answer.
helper() {
	"$(private)/autossh-askpass" "$1" </dev/null
}

# up PLAN-LESS ARGUMENT...: starts autossh and waits for its first ssh.
up() {
	start "$@" -M 0 h
	wait_starts 1
}

answered="0 ($SECRET)"
refused="1 ()"

# ---- which questions

begin "ask '$KEY' ask 'Enter PIN for /k: ' ask 'Enter passphrase for /l: ' hang"
up
wait_asked 3
is "$(asked 1)" "$answered" "passphrase: answered"
is "$(asked 2)" "$answered" "PIN: answered"
is "$(asked 3)" "$answered" "passphrase of another key: answered"
is "$(log_text | grep -c "not answered")" 0 "nothing is refused"
stop
is "$(private)" "" "TERM: the private directory is gone"

begin "ask '$PASSWORD' exit 255; ask '$PASSWORD' hang"
up
wait_asked 2
is "$(asked 1) $(asked 2)" "$answered $answered" \
    "password: answered, to each ssh"
stop

begin "ask 'Are you sure you want to continue connecting (yes/no)? ' \
hint confirm ask 'Enter passphrase for /k?' \
ask 'Allow forwarding?' hint none ask 'Confirm user presence for key /k' hang"
up
wait_asked 4
is "$(asked 1)" "$refused" "host key: refused"
is "$(asked 2)" "$refused" "confirm: refused, whatever is asked"
is "$(asked 3)" "$refused" "confirm: refused"
is "$(asked 4)" "0 ()" "notice: no answer, no error"
is "$(log_text | grep -c "^ssh asks .*: not answered: ")" 3 \
    "refused: each is logged"
is "$(log_text | grep -c "^ssh says: Confirm user presence for key /k$")" 1 \
    "notice: logged"
is "$(grep -c "^autossh: ssh asks" "$dir/err")" 3 "refused: stderr says so"
stop

begin "ask '$(printf 'Evil\033]0;x\007 \001 line') ? ' hang"
up
wait_asked 1
is "$(LC_ALL=C tr -d '\n\40-\176' <"$dir/log")" "" \
    "a question cannot write control characters to the log"
stop

# ---- what a server asks and is not told

# ended NAME [ANSWERS]: the last question was left open and ssh was ended, which
# counts as an exit with 255; so many questions before it were answered.
ended() {
	is "$(asked 1) $(asked 2)" "${2:+$answered} " "$1: left open"
	is "$(log_text | grep -c "^ssh asks .*: not answered: .*; ending ssh$")" \
	    1 "$1: the log says why"
	is "$(log_count "ssh exited with error status 255; restarting ssh")" 1 \
	    "$1: ssh is ended, as if it had failed"
	is "$(left)" "" "$1: nothing is left"
}

begin "ask '(u@h) Verification code: ' hang"
run AUTOSSH_MAXSTART=1 -M 0 h
ended "verification code"

begin "ask '(u@h) Verification code: ' hang"
run unset:AUTOSSH_GATETIME -M 0 h
is "$status" 1 "verification code, gate: status 1"
is "$(log_count "ssh exited prematurely with status 255; autossh exiting")" 1 \
    "verification code, gate: the log says why"

# A key's passphrase is for no server, however it asks.
while read -r wording; do
	begin "ask '$KEY' ask '$wording ' hang"
	run AUTOSSH_MAXSTART=1 -M 0 h
	ended "after a key, $wording" 1
done <<'WORDINGS'
(u@h) Password:
(u@h) password for u@h:
(u@h) u@h"s password:
(u@h) Passphrase:
(u@h) PIN:
(u@h) Enter PIN for key:
(u@h) Enter passphrase for key "/k":
(u@h) LDAP Password:
(u@h) UNIX password:
(u@h) Kerberos password for u:
(u@h) System password:
(u@h) Please type your key password:
(u@h) Enter PASSWORD
(u@h) Token PIN
u@h's password:
u@j's password:
Password:
password:
PASSWORD:
Password for u@h:
Passphrase:
PIN:
WORDINGS

# Nor is a server's password for a key or for another server.
begin "ask '(u@h) Password: ' ask '$KEY' hang"
up
wait_asked 2
is "$(asked 1) $(asked 2)" "$answered $refused" \
    "after a server, a key: not answered"
check "after a server, a key: ssh goes on" alive "$(ssh_pid 1)"
stop
begin "ask '(u@h) Password: ' ask '(u@j) Password: ' hang"
run AUTOSSH_MAXSTART=1 -M 0 h
ended "after a server, another one" 1
begin "ask '(u@h) Password: ' ask '(v@h) Password: ' hang"
run AUTOSSH_MAXSTART=1 -M 0 h
ended "after a server, another user there" 1
begin "ask '(u@h) Password: ' exit 255; ask '(u@j) Password: ' hang; hang"
up
wait_starts 3 30
is "$(asked 1) $(asked 2)" "$answered " \
    "after a server, another one in another life of ssh: left open"
stop

# The ssh to a jump host is another process.  jump PROMPT: asks as one.
jump() {
	"$TOOL" run -- sh -c '"$1" "$2"; echo "status $?"' sh \
	    "$(private)/autossh-askpass" "$1" </dev/null
}
begin "ask '(u@h) Password: ' hang"
up
wait_asked 1
is "$(jump "(u@h) Password: ")" "" \
    "a jump host that calls itself the destination: left open, and ended"
check "a jump host that calls itself the destination: ssh is ended" \
    wait_log "ssh exited with error status 255; restarting ssh"
stop

# ---- the answer is wrong

begin "ask '$KEY' ask '$KEY' hang"
run -M 0 h
is "$status" 1 "the same question again: status 1"
is "$(log_text | grep -c "^passphrase rejected")" 1 \
    "the same question again: the log says so"
is "$(asked 1) $(asked 2)" "$answered " \
    "the same question again: the second is not answered"
is "$(private)" "" "the same question again: the private directory is gone"

begin "ask '$KEY' exit 255; ask '$KEY' hang"
up
wait_starts 2
wait_for 60 'grep -q "^2 " "$dir/asked"'
is "$(asked 2)" "$answered" "the same question of another ssh: answered"
stop

# Many questions are no way to log in, but the next ssh may ask anew.
# questions FIRST LAST: steps of a plan that ask different ones.
questions() {
	awk -v n="$1" -v last="$2" 'BEGIN {
		for (; n <= last; n++)
			printf "ask %cEnter passphrase for /k%d: %c ", 39, n, 39
	}'
}
begin "$(questions 1 20) exit 255; $(questions 1 20) hang"
up
wait_asked 40
is "$(asked 20) $(asked 40)" "$answered $answered" \
    "many questions of two: answered"
stop
begin "$(questions 1 50) hang"
run -M 0 h
is "$status" 1 "many questions of one: status 1"
is "$(log_text | grep -c "^passphrase rejected")" 1 \
    "many questions of one: the log says so"

# One server is answered three times, whatever it asks.
begin "ask '(u@h) Password: ' ask '(u@h) UNIX password: ' \
ask '(u@h) LDAP password: ' ask '(u@h) PIN: ' hang"
run -M 0 h
is "$status" 1 "a server asks a fourth time: status 1"
is "$(log_text | grep -c "^passphrase rejected")" 1 \
    "a server asks a fourth time: the log says so"
is "$(asked 1) $(asked 2) $(asked 3) $(asked 4)" \
    "$answered $answered $answered " \
    "a server asks a fourth time: not answered"

# ---- ssh before 8.4

begin "askold '$KEY' hang"
start -M 0 -f h
wait_exit
wait_asked 1
is "$(asked 1)" "$answered" "old ssh in the background: answered"
like "$(cat "$dir/env.1")" "^DISPLAY=." "old ssh: a DISPLAY is there"
kill "$(supervisor)"
check "old ssh in the background: TERM ends it" wait_for 60 '[ -z "$(left)" ]'
is "$(private)" "" "old ssh in the background: the private directory is gone"

begin "ask '$KEY' hang"
up DISPLAY=there:7 SSH_ASKPASS=/nonexistent SSH_ASKPASS_REQUIRE=never
wait_asked 1
is "$(asked 1)" "$answered" "SSH_ASKPASS of the caller: ours counts"
is "$(grep -c "^SSH_ASKPASS=" "$dir/env.1")$(grep "^DISPLAY=" "$dir/env.1")" \
    "1DISPLAY=there:7" "DISPLAY of the caller: stays"
stop

begin "ask '$KEY' hang"
up unset:AUTOSSH_PASSPHRASE
wait_asked 1
is "$(asked 1)" "-1 ()" "without AUTOSSH_PASSPHRASE: no helper"
is "$(private)" "" "without AUTOSSH_PASSPHRASE: no private directory"
stop

# ---- values of AUTOSSH_PASSPHRASE

for value in hunter2 "" ASK "ask " askme fd: fd:x fd:-1 fd:1x fd:99999999999 \
    file: exec: pass:hunter2; do
	begin hang
	run AUTOSSH_PASSPHRASE="$value" -M 0 h
	is "$status $(starts)" "1 0" "AUTOSSH_PASSPHRASE='$value': an error"
	like "$(cat "$dir/err")" "^autossh: AUTOSSH_PASSPHRASE.*exec:COMMAND" \
	    "AUTOSSH_PASSPHRASE='$value': says what is allowed"
	case $value in
	*hunter2*)
		unlike "$(cat "$dir/err" "$dir/log" 2>/dev/null)" hunter2 \
		    "AUTOSSH_PASSPHRASE='$value': the value is not repeated"
		;;
	esac
done

# ---- fd

begin hang
run AUTOSSH_PASSPHRASE=fd:9 -M 0 h
is "$status $(starts)" "1 0" "fd that is not open: status 1"
like "$(cat "$dir/err")" "^autossh: .*fd:9: Bad file" \
    "fd that is not open: the reason"

# by_fd TEXT: runs autossh with this on descriptor 5.
by_fd() {
	printf '%b' "$1" >"$dir/secret"
	cat >"$dir/go" <<-'GO'
	exec "$AUTOSSH" -M 0 h 5<"$FAKESSH_DIR/secret"
	GO
	start AUTOSSH_PASSPHRASE=fd:5 AUTOSSH="$AUTOSSH" exec:sh "$dir/go"
}
begin "ask '$KEY' hang"
by_fd 'one\r\ntwo\n'
wait_asked 1
is "$(asked 1)" "0 (one)" "fd: the first line"
is "$(awk '$1 > 2' "$dir/fds.1")" "" "fd: ssh does not get it"
stop
begin hang
by_fd ""
wait_exit
is "$status $(starts)" "1 0" "fd, nothing there: status 1"
like "$(cat "$dir/err")" "^autossh: .*empty" "fd, nothing there: the reason"
begin hang
by_fd "$(printf '%02000d' 7)"
wait_exit
is "$status $(starts)" "1 0" "fd, a line too long: status 1"
like "$(cat "$dir/err")" "^autossh: .*too long" \
    "fd, a line too long: the reason"
begin hang
by_fd 'one\0two\n'
wait_exit
is "$status $(starts)" "1 0" "fd, a NUL byte: status 1"
like "$(cat "$dir/err")" "^autossh: .*holds a NUL byte" \
    "fd, a NUL byte: the reason"

# ---- file

# file_refused NAME: AUTOSSH_PASSPHRASE names what must not be used.
file_refused() {
	run -M 0 h
	is "$status $(starts)" "1 0" "file, $1: status 1"
	like "$(cat "$dir/err")" "^autossh: AUTOSSH_PASSPHRASE=$(
	    printf %s "$AUTOSSH_PASSPHRASE"): " "file, $1: the path and reason"
	unlike "$(cat "$dir/err" "$dir/log" 2>/dev/null)" staple \
	    "file, $1: not the content"
}
begin hang
rm "$dir/secret"
file_refused "not there"
begin hang
rm "$dir/secret"
mkdir -m 700 "$dir/secret"
file_refused directory
begin hang
rm "$dir/secret"
mkfifo -m 600 "$dir/secret"
exec 4<>"$dir/secret"
printf 'from a pipe\n' >&4
file_refused FIFO
exec 4>&-
begin hang
: >"$dir/secret"
file_refused empty
for mode in 604 640 606 660 610 601 644; do
	begin hang
	chmod "$mode" "$dir/secret"
	file_refused "mode $mode"
done
begin hang
AUTOSSH_PASSPHRASE=file:/dev/zero
file_refused device
begin hang
chmod 640 "$dir/secret"
ln -s secret "$dir/link"
AUTOSSH_PASSPHRASE=file:$dir/link
file_refused "link to one that others read"

for mode in 400 600 700; do
	begin "ask '$KEY' hang"
	chmod "$mode" "$dir/secret"
	up
	wait_asked 1
	is "$(asked 1)" "$answered" "file, mode $mode: used"
	stop
done

# It is read at each use; what is wrong with it later refuses the answer.
begin "ask '$KEY' exit 255; ask '$KEY' exit 255; ask '$KEY' exit 255"
AUTOSSH_PASSPHRASE=file:secret
cat >"$dir/plan" <<PLAN
ask '$KEY' touch $dir/1 await $dir/2 exit 255
ask '$KEY' touch $dir/3 await $dir/4 exit 255
ask '$KEY' hang
PLAN
start exec:sh -c 'cd "$1" && exec "$2" -M 0 -f h' sh "$dir" "$AUTOSSH"
wait_exit
wait_for 60 '[ -e "$dir/1" ]'
echo second >"$dir/secret"
touch "$dir/2"
wait_for 60 '[ -e "$dir/3" ]'
chmod 644 "$dir/secret"
touch "$dir/4"
wait_asked 3
is "$(asked 1) $(asked 2) $(asked 3)" "$answered 0 (second) 1 ()" \
    "file: a relative path with -f, read at each use, and checked"
is "$(log_text | grep -c \
    "^ssh asks .*not answered: AUTOSSH_PASSPHRASE=file:secret: .*chmod 600")" 1 \
    "file: refused later: the log says why"
kill "$(supervisor)"
wait_for 60 '[ -z "$(left)" ]'

# as_nobody WORD...: for start, an ordinary user that is not the caller; with
# the group root, as the stand-in of an access list.
if [ "$(id -u)" -eq 0 ] && setpriv --reuid 65534 --clear-groups true; then
	nobody="setpriv --reuid 65534 --regid 65534 --clear-groups"
	mkdir -m 755 "$tmp/bin"
	cp "$AUTOSSH" "$FAKESSH" "$TOOL" "$tmp/bin"
	chmod 755 "$tmp"
else
	nobody=
fi
# open_case: what nobody needs to run a case.
open_case() {
	AUTOSSH_PATH=$tmp/bin/fakessh
	chmod 777 "$dir"
}
if [ -n "$nobody" ]; then
	begin "ask '$KEY' hang"
	open_case
	chown 0:0 "$dir/secret"
	chmod 440 "$dir/secret"
	start exec:setpriv --reuid 65534 --regid 0 --clear-groups \
	    "$tmp/bin/autossh" -M 0 h
	wait_asked 1
	is "$(asked 1)" "$answered" \
	    "file, a credential of systemd's for a user: used"
	stop

	for owner in 0:65534:440 65534:0:440 1:65534:400 0:0:444 0:0:460; do
		begin hang
		open_case
		chown "${owner%:*}" "$dir/secret"
		chmod "${owner##*:}" "$dir/secret"
		start exec:setpriv --reuid 65534 --regid 0 --groups 65534 \
		    "$tmp/bin/autossh" -M 0 h
		wait_exit
		is "$status $(starts)" "1 0" "file, $owner for a user: status 1"
	done

	begin hang
	chown 65534 "$dir/secret"
	file_refused "another user's"
	begin hang
	chmod 440 "$dir/secret"
	file_refused "root's for root, mode 440"
else
	skip "file of other owners" "needs root"
fi

# ---- exec

begin "ask '$KEY' ask '$PASSWORD' hang"
AUTOSSH_PASSPHRASE='exec:env >"$FAKESSH_DIR/env"
    printf "%s\n" "$1" "$#" "$AUTOSSH_PROMPT" >>"$FAKESSH_DIR/told"
    cat "$FAKESSH_DIR/secret"; echo more'
up NOTIFY_SOCKET="$dir/notify" WATCHDOG_USEC=60000000
wait_asked 2
is "$(asked 1) $(asked 2)" "$answered $answered" "exec: its first line"
is "$(cat "$dir/told")" "$KEY
1
$KEY
$PASSWORD
1
$PASSWORD" "exec: the question is \$1 and AUTOSSH_PROMPT"
is "$(grep -cE '^(NOTIFY_SOCKET|WATCHDOG_USEC|WATCHDOG_PID)=' "$dir/env")" 0 \
    "exec: the service manager's variables are not passed on"
stop

# exec_refused NAME COMMAND REASON: no answer, and autossh goes on.
exec_refused() {
	begin "ask '$KEY' hang"
	up AUTOSSH_PASSPHRASE="exec:$2"
	wait_asked 1
	is "$(asked 1)" "$refused" "exec, $1: no answer"
	is "$(log_text | grep -c "^ssh asks .*: not answered: $3")" 1 \
	    "exec, $1: the reason"
	check "exec, $1: autossh lives" alive "$pid"
	stop
}
exec_refused "prints nothing" "true" "the command printed nothing: exit status 0"
exec_refused "prints an empty line" "echo; echo more" \
    "the command's first line is empty"
exec_refused "prints a NUL byte" "printf 'one\\000two\\n'" \
    "the command's first line holds a NUL byte"
exec_refused "fails" "exit 3" "the command printed nothing: exit status 3"
exec_refused "closes its output" "exec >&-; sleep 0.3; exit 4" \
    "the command printed nothing: exit status 4"
exec_refused "dies" 'kill -KILL $$' "the command printed nothing: signal 9"
exec_refused "not there" "/nonexistent" \
    "the command printed nothing: exit status 127"
exec_refused "prints too much" "head -c 100000 /dev/zero | tr '\\0' x" \
    "the command's first line is too long"

# A server gets no empty password in place of an answer.
begin "ask '$PASSWORD' hang"
run AUTOSSH_MAXSTART=1 AUTOSSH_PASSPHRASE="exec:exit 3" -M 0 h
ended "exec fails, a server asks"
begin
echo "ask '$PASSWORD' touch $dir/1 await $dir/2 exit 255; ask '$PASSWORD' hang" \
    >"$dir/plan"
start AUTOSSH_MAXSTART=2 -M 0 h
wait_for 60 '[ -e "$dir/1" ]'
rm "$dir/secret"
touch "$dir/2"
wait_exit 60
is "$(asked 1) $(asked 2)" "$answered " "no file, a server asks: left open"
is "$(log_text | grep -cF "not answered: AUTOSSH_PASSPHRASE=file:$dir/secret: \
No such file")" 1 "no file, a server asks: the log names it"

# What the command does behind its first line is its own business.
begin "ask '$KEY' hang"
AUTOSSH_PASSPHRASE='exec:cat "$FAKESSH_DIR/secret"; sleep 0.3;
    echo done >"$FAKESSH_DIR/after"'
up
wait_asked 1
is "$(asked 1)" "$answered" "exec: the answer comes before the command's end"
check "exec: the command may come to its end" wait_for 60 '[ -s "$dir/after" ]'
stop

# A command that hangs holds up nothing but its own question.
begin "ask '$KEY' hang"
AUTOSSH_PASSPHRASE='exec:echo $$ >"$FAKESSH_DIR/command"; exec sleep 1000'
up
wait_for 60 '[ -s "$dir/command" ]'
command=$(cat "$dir/command")
started_pids="$started_pids $command"
kill -USR2 "$pid"
check "exec hangs: USR2 is answered" wait_match "^status:" 1 60
kill -USR1 "$pid"
check "exec hangs: USR1 starts another ssh" wait_starts 2
check "exec hangs: the command of the first is ended" \
    wait_for 60 '! alive "$command"'
wait_for 60 '[ "$(cat "$dir/command")" != "$command" ]'
command=$(cat "$dir/command")
stop
is "$status" 1 "exec hangs: TERM ends autossh"
check "exec hangs: and the command" wait_for 60 '! alive "$command"'
is "$(private)" "" "exec hangs: the private directory is gone"

# Where no terminal is, its children end with it, at the latest when ssh ends.
begin "ask '$KEY' hang"
AUTOSSH_PASSPHRASE='exec:(trap "" TERM; exec sleep 1000) &
    echo $! >"$FAKESSH_DIR/deaf"
    sleep 1000 & echo $! >"$FAKESSH_DIR/child"
    wait'
start run:session -M 0 h
wait_for 60 '[ -s "$dir/child" ]'
child=$(cat "$dir/child")
deaf=$(cat "$dir/deaf")
started_pids="$started_pids $child $deaf"
kill -KILL "$(ssh_pid 1)"
check "exec, ssh dies: the command's children are ended" \
    wait_for 60 '! alive "$child"'
check "exec, ssh dies: even those that ignore SIGTERM" \
    wait_for 60 '! alive "$deaf"'
check "exec, ssh dies: autossh goes on" alive "$pid"
wait_for 60 '[ "$(cat "$dir/child")" != "$child" ]'
child=$(cat "$dir/child")
deaf=$(cat "$dir/deaf")
started_pids="$started_pids $child $deaf"
stop
check "exec, TERM: the command's children are ended" \
    wait_for 60 '! alive "$child" && ! alive "$deaf"'

begin "ask '$KEY' hang"
AUTOSSH_PASSPHRASE='exec:sleep 1000 & echo $! >"$FAKESSH_DIR/child"
    cat "$FAKESSH_DIR/secret"'
start run:session -M 0 h
wait_asked 1
child=$(cat "$dir/child")
started_pids="$started_pids $child"
is "$(asked 1)" "$answered" "exec leaves a child: answered"
kill -KILL "$(ssh_pid 1)"
check "exec leaves a child: it ends with ssh" wait_for 60 '! alive "$child"'
stop

begin hang
AUTOSSH_PASSPHRASE='exec:cat "$FAKESSH_DIR/secret"'
up
helper "Enter passphrase for /first: " >/dev/null
before=$(descriptors)
for count in 1 2 3 4 5; do
	helper "Enter passphrase for /$count: " >>"$dir/answers"
done
is "$(sort -u "$dir/answers")" "$SECRET" "exec, five times: each is answered"
check "exec, five times: no descriptor is left open" \
    wait_for 60 '[ "$(descriptors)" = "$before" ]'
stop

# The first command prints nothing and ends when the second has printed half.
begin hang
AUTOSSH_PASSPHRASE='exec:case $1 in
    *first*)
	exec >&-
	touch "$FAKESSH_DIR/closed"
	until [ -e "$FAKESSH_DIR/half" ]; do sleep 0.1; done
	exit 7 ;;
    *)
	head -c 3 "$FAKESSH_DIR/secret"
	touch "$FAKESSH_DIR/half"
	until [ -e "$FAKESSH_DIR/go" ]; do sleep 0.1; done
	tail -c +4 "$FAKESSH_DIR/secret" ;;
    esac'
up
helper "Enter passphrase for /first: " >/dev/null &
asking=$!
wait_for 60 '[ -e "$dir/closed" ]'
helper "Enter passphrase for /second: " >"$dir/answer" &
second=$!
check "exec, two at once: the first is refused" \
    wait_match "the command printed nothing: exit status 7$" 1 60
touch "$dir/go"
wait "$asking" "$second"
is "$(cat "$dir/answer")" "$SECRET" "exec, two at once: the second is answered"
stop

# Tests of the monitor go on as well.
begin "forward"
AUTOSSH_PASSPHRASE='exec:echo $$ >"$FAKESSH_DIR/command"; exec sleep 1000'
free_port
start AUTOSSH_FIRST_POLL=1 AUTOSSH_POLL=1 -M "$port" -N h
wait_log "connection ok"
helper "$KEY" >"$dir/answer" &
asking=$!
wait_for 60 '[ -s "$dir/command" ]'
passed=$(log_count "connection ok")
check "exec hangs: tests pass meanwhile" \
    wait_log "connection ok" $((passed + 2))
is "$(log_count "port down, restarting ssh")" 0 "exec hangs: none fails"
stop
wait "$asking"
is "$(cat "$dir/answer")" "" "exec hangs: the helper ends with autossh"

# ---- who may ask

# Whoever connects and does not ask as ssh does must not hold anything up.  The
# monitor's tests go on meanwhile, and ssh gets its answers.  Peers that wait
# read from a pipe that this shell alone holds open.
hold=$tmp/hold
mkfifo "$hold"
exec 3<>"$hold"

# say KIND: what a peer of that kind sends.
say() {
	case $1 in
	silent) cat "$hold" ;;
	garbage)
		printf 'GET / HTTP/1.0\r\n\r\n\000\377\n\n\n'
		cat "$hold"
		;;
	megabyte) head -c 1048576 /dev/zero ;;
	line) printf '%01048576d\n' 0 ;;
	half) printf '1\n\nEnter passphrase' && cat "$hold" ;;
	closes) ;;
	esac
}

# peer KIND: connects to the helper's socket until it is hung up on.
peer() {
	peer_socket=$(private)/a
	{
		say "$1" | socat -t 60 - "UNIX-CONNECT:$peer_socket"
	} 3>&- >/dev/null 2>&1 &
}

# never_reads: hands in a question and does not take its answer.
never_reads() {
	printf '1\n\nEnter passphrase for /%s: ' "$1" |
	    socat -u -t 60 - "UNIX-CONNECT:$(private)/a" 3>&- >/dev/null 2>&1 &
}

if command -v socat >/dev/null; then
	begin "ask '$KEY' forward"
	free_port
	start AUTOSSH_FIRST_POLL=1 AUTOSSH_POLL=1 -M "$port" -N h
	wait_log "connection ok"
	for kind in silent garbage megabyte line half closes; do
		for count in 1 2 3; do
			peer "$kind"
		done
		passed=$(log_count "connection ok")
		check "peers that are $kind: a test passes" \
		    wait_log "connection ok" $((passed + 1))
		is "$(helper "Enter passphrase for /$kind: ")" "$SECRET" \
		    "peers that are $kind: a question is answered"
	done
	for count in 1 2 3; do
		never_reads "$count"
	done
	is "$(helper "Enter passphrase for /reads: ")" "$SECRET" \
	    "peers that do not read: a question is answered"
	many=0
	while [ "$many" -lt 60 ]; do
		many=$((many + 1))
		peer silent
	done
	is "$(helper "Enter passphrase for /many: ")" "$SECRET" \
	    "many peers: a question is answered"
	passed=$(log_count "connection ok")
	check "many peers: a test passes" \
	    wait_log "connection ok" $((passed + 1))
	kill -KILL "$(ssh_pid 1)"
	check "many peers: ssh is started again" wait_starts 2
	wait_asked 2
	is "$(asked 1) $(asked 2)" "$answered $answered" \
	    "many peers: and gets its answer"
	is "$(log_count "port down, restarting ssh")" 0 \
	    "many peers: no test failed"
	is "$(log_count "starting ssh (count 3)")" 0 "many peers: one restart"
	stop
	is "$status" 1 "many peers: TERM ends autossh"
	is "$(private)" "" "many peers: the private directory is gone"

	begin hang
	up
	helper "Enter passphrase for /first: " >/dev/null
	before=$(descriptors)
	for kind in silent half garbage closes; do
		peer "$kind"
	done
	is "$(helper "$KEY")" "$SECRET" \
	    "peers of all kinds: a question is answered"
	check "peers of all kinds: each is hung up on in the end" \
	    wait_for 60 '[ "$(descriptors)" = "$before" ]'
	stop

	# Those who say nothing do not take the place of one who waits.
	begin "ask '$KEY' hang"
	AUTOSSH_PASSPHRASE='exec:touch "$FAKESSH_DIR/asked-for"
	    until [ -e "$FAKESSH_DIR/go-on" ]; do sleep 0.02; done
	    cat "$FAKESSH_DIR/secret"'
	up
	wait_for 60 '[ -e "$dir/asked-for" ]'
	many=0
	while [ "$many" -lt 20 ]; do
		many=$((many + 1))
		peer silent
	done
	wait_for 60 '[ "$(ps -A -o args= | grep -cF "$(private)/a")" -ge 20 ]'
	touch "$dir/go-on"
	wait_asked 1
	is "$(asked 1)" "$answered" \
	    "silent peers, while a command runs: ssh gets its answer"
	stop
else
	skip "peers that do not ask as ssh does" "no socat"
fi

begin hang
up
# One process asks twice, as ssh does.
"$TOOL" run -- sh -c '"$1" "$2"; "$1" "$2"; :' sh \
    "$(private)/autossh-askpass" "$KEY" >"$dir/answers" &
asking=$!
wait_exit
wait "$asking"
is "$(cat "$dir/answers")" "$SECRET" \
    "the helper, run by the same user: answered, and not twice"
is "$status" 1 "the helper, the same question again: autossh ends"
is "$(private)" "" "the helper, the same question again: nothing is left"

begin hang
up
where=$(private)
if [ "$(uname)" = Linux ]; then
	is "$(stat -c %a "$where")" 700 "the private directory: mode 700"
else
	skip "the private directory: mode 700" "Linux only"
fi
if [ -n "$nobody" ]; then
	chmod 711 "$dir"
	ln -sf "$tmp/bin/autossh" "$where/autossh-askpass"
	check "another user does not reach the socket" \
	    sh -c "! $nobody $tmp/bin/tool connects $where/a"
	# Even if the directory let others in.
	chmod 777 "$where" "$where/a"
	# shellcheck disable=SC2086 # words
	check "the directory laid open: another user reaches the socket" \
	    $nobody "$tmp/bin/tool" connects "$where/a"
	is "$($nobody "$where/autossh-askpass" "$KEY")" "" \
	    "the directory laid open: another user gets no answer"
	is "$("$where/autossh-askpass" "$KEY")" "$SECRET" \
	    "the directory laid open: its owner does"
	chmod 700 "$where"
else
	skip "another user" "needs root"
fi
stop
is "$(private)" "" "the private directory: TERM removes it"

# ---- what is left

# gone NAME: nothing is left of the case.
gone() {
	is "$(private)" "" "$1: the private directory is gone"
	is "$(left)" "" "$1: no process is left"
}

for end in "0 exit 0" "1 exit 3" "1 signal SEGV exit 3"; do
	begin "ask '$KEY' ${end#* }; exit 3"
	run -M 0 h
	is "$status" "${end%% *}" "ssh ends with ${end#* }: status ${end%% *}"
	is "$(asked 1)" "$answered" "ssh ends with ${end#* }: it was answered"
	gone "ssh ends with ${end#* }"
done

for signal in TERM INT QUIT ABRT; do
	begin hang
	up
	check "$signal: before, there is a private directory" [ "$(private)" ]
	kill "-$signal" "$pid"
	wait_exit
	is "$status" 1 "$signal: status 1"
	gone "$signal"
done

begin hang
run AUTOSSH_PATH=/nonexistent/ssh -M 0 h
is "$status" 1 "no ssh: status 1"
gone "no ssh"
begin hang
run AUTOSSH_PIDFILE=/nonexistent/pidfile -M 0 -f h
is "$status" 1 "no pidfile, -f: status 1"
gone "no pidfile, -f"
begin "exit 255"
run AUTOSSH_MAXSTART=2 -M 0 h
is "$status" 0 "number of starts over: status 0"
gone "number of starts over"
begin hang
run AUTOSSH_MAXLIFETIME=1 -M 0 h
is "$status" 0 "lifetime over: status 0"
gone "lifetime over"
begin "ignore TERM hang"
up
kill "$pid"
wait_log "received signal to exit (15)"
kill "$pid"
wait_exit
is "$status" 1 "a second TERM: status 1"
gone "a second TERM"

# What SIGKILL leaves is harmless: the next one makes its own.
begin "ask '$KEY' hang"
up
wait_asked 1
first=$(private)
kill -KILL "$pid"
wait_exit
wait_for 60 '[ -z "$(left)" ]'
rm "$dir/asked"
up
wait_asked 1
is "$(private | grep -cvxF "$first")" 1 "after SIGKILL: another directory"
is "$(asked 1)" "$answered" "after SIGKILL: the answer comes"
stop
is "$(private)" "$first" "after SIGKILL: TERM removes its own alone"

# A cleaner of temporary files.
begin "ask '$KEY' hang"
up
wait_asked 1
first=$(private)
rm -r "$first"
kill -KILL "$(ssh_pid 1)"
wait_asked 2
is "$(asked 2)" "$answered" "the directory is removed: the next ssh is answered"
second=$(private)
rm "$second/autossh-askpass"
kill -KILL "$(ssh_pid 2)"
wait_asked 3
is "$(asked 3)" "$answered" "the link is removed: the next ssh is answered"
rm "$(private)/a"
kill -KILL "$(ssh_pid 3)"
wait_asked 4
is "$(asked 4)" "$answered" "the socket is removed: the next ssh is answered"
stop
gone "after removals"

# Somebody takes the place of a directory that is gone.
begin "ask '$KEY' hang"
up
wait_asked 1
first=$(private)
rm -r "$first"
mkdir -m 777 "$first"
printf '#!/bin/sh\necho taken >"%s"\n' "$dir/taken" >"$first/autossh-askpass"
chmod 755 "$first/autossh-askpass"
: >"$first/a"
: >"$first/w"
kill -KILL "$(ssh_pid 1)"
wait_asked 2
check "another directory of that name: its program is not run" \
    [ ! -e "$dir/taken" ]
is "$(asked 2)" "$answered" "another directory of that name: one of our own"
stop
is "$(private) $(cd "$first" && echo *)" "$first a autossh-askpass w" \
    "another directory of that name: is left alone"

# ---- the secret

# memory_locked PID
memory_locked() {
	awk '$1 == "VmLck:" { kept = $2 } END { exit !(kept >= 4) }' \
	    "/proc/$1/status"
}

# secret_case [ARGUMENT]...: has the secret in memory.
secret_case() {
	begin "ask '$KEY' hang"
	AUTOSSH_PASSPHRASE=fd:5
	cat >"$dir/go" <<-'GO'
	ulimit -c unlimited
	exec "$AUTOSSH" -M 0 "$@" h 5<"$FAKESSH_DIR/secret"
	GO
	start AUTOSSH="$AUTOSSH" exec:sh "$dir/go" "$@"
	wait_asked 1
	pid=$(supervisor)
	rm "$dir/secret"
}

# Memory is another thing under a sanitizer: more is mapped than disks hold,
# and nothing is locked.
if sanitized; then
	memory=
else
	memory=ours
fi

if [ -z "$memory" ]; then
	skip "memory" "built with a sanitizer"
elif [ -r "/proc/$$/status" ]; then
	for flag in "" -f; do
		# shellcheck disable=SC2086 # one word or none
		secret_case $flag
		check "memory $flag: a page is locked" memory_locked "$pid"
		kill "$pid"
		wait_for 60 '[ -z "$(left)" ]'
	done
	case $(ulimit -l) in
	unlimited) limit= ;;
	*) limit=1 ;;
	esac
	[ "$(id -u)" -ne 0 ] || limit="$(command -v setpriv)"
	if [ -n "$limit" ]; then
		begin "ask '$KEY' hang"
		set --
		[ "$(id -u)" -ne 0 ] || set -- setpriv \
		    --inh-caps -ipc_lock --bounding-set -ipc_lock
		start exec:sh -c 'ulimit -l 0; exec "$@"' sh "$@" \
		    "$AUTOSSH" -M 0 h
		wait_asked 1
		is "$(asked 1)" "$answered" \
		    "memory that cannot be locked: answered"
		is "$(log_text | grep -c "^cannot lock the passphrase")" 1 \
		    "memory that cannot be locked: the log says so"
		stop
	else
		skip "memory that cannot be locked" "no limit to set"
	fi
else
	skip "memory" "no /proc"
fi

# A core file: the kernel makes none.
case $(cat /proc/sys/kernel/core_pattern 2>/dev/null) in
'' | /* | '|'*) cores= ;;
*) cores=$(ulimit -H -c) ;;
esac
# dumps COMMAND...: whether a process leaves a core file when it is killed so.
mkdir "$tmp/core"
dumps() {
	(cd "$tmp/core" && rm -f ./* && ulimit -c unlimited && exec sleep 600) &
	dumps_pid=$!
	started_pids="$started_pids $dumps_pid"
	wait_for 60 '[ "$(comm_of "$dumps_pid")" = sleep ]'
	kill -SEGV "$dumps_pid"
	wait "$dumps_pid"
	forget "$dumps_pid"
	[ "$(ls "$tmp/core")" ]
}
if ! built_with HAVE_PRCTL; then
	skip "SEGV: no core file" "built without prctl"
elif [ "$cores" = unlimited ] && dumps 2>/dev/null; then
	rm "$tmp/core"/*
	cd "$tmp/core" || exit
	secret_case
	kill -SEGV "$pid"
	wait_for 60 '! alive "$pid"'
	is "$(ls "$tmp/core")" "" "SEGV: no core file"
	cd - >/dev/null || exit
else
	skip "SEGV: no core file" "no process leaves one here"
fi

# dump: makes a core file of $pid, of 50 MB at the most.
dump() {
	(ulimit -f 100000 && gcore -o "$dir/core" "$pid") >/dev/null 2>&1
}

# A debugger that may do everything finds it nowhere else.
if [ -z "$memory" ]; then
	skip "core by a debugger" "built with a sanitizer"
elif ! built_with HAVE_DECL_MADV_DONTDUMP; then
	skip "core by a debugger" "built without madvise"
elif [ "$(id -u)" -eq 0 ] && command -v gcore >/dev/null; then
	secret_case
	is "$(asked 1)" "$answered" \
	    "core by a debugger: before, the answer came"
	# A signal's frame saves what the registers hold.
	kill -USR2 "$pid"
	wait_match "^status:" 1 60
	dump
	check "core by a debugger: it is there" \
	    grep -aqF AUTOSSH_PASSPHRASE= "$dir/core.$pid"
	is "$(grep -acF staple "$dir/core.$pid")" 0 \
	    "core by a debugger: without the secret"
	kill "$pid"
	wait_for 60 '[ -z "$(left)" ]'

	begin "ask '$KEY' hang"
	AUTOSSH_PASSPHRASE='exec:cat "$FAKESSH_DIR/secret"'
	up
	wait_asked 1
	wait_for 60 '[ "$(ps -A -o ppid= | grep -cx " *$pid")" -eq 1 ]'
	dump
	check "core by a debugger, exec: it is there" \
	    grep -aqF AUTOSSH_PASSPHRASE= "$dir/core.$pid"
	is "$(grep -acF staple "$dir/core.$pid")" 0 \
	    "core by a debugger, exec: without the secret"
	stop
else
	skip "core by a debugger" "needs root and gdb"
fi

# What another process of the same user could read.
secret_case
seen=
for place in "/proc/$pid/cmdline" "/proc/$pid/environ" \
    "/proc/$(ssh_pid 1)/cmdline" "/proc/$(ssh_pid 1)/environ" \
    $(find "$dir" -type f ! -name asked); do
	[ ! -e "$place" ] || ! grep -aqF staple "$place" || seen="$seen $place"
done
is "$seen" "" "the secret is in no argument, environment, log or file"
is "$(awk '$1 > 2' "$dir/fds.1")" "" "ssh has no descriptor of ours"
kill "$pid"
wait_for 60 '[ -z "$(left)" ]'

done_testing
