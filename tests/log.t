#!/bin/sh
# log.t: what happens is logged in the words, at the levels and to the places
# that the contract names, and a log that fails stops nothing.

# shellcheck source=tests/lib.sh disable=SC2016,SC2034,SC2317
. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

# ---- the lines, letter for letter, and their levels

# Each scene ends by itself, or by the steps of its function; it is played at
# the level of each of its lines, and at the level below.
scene_restarts() {
	fresh "exit 255; signal KILL"
	run "AUTOSSH_LOGLEVEL=$1" AUTOSSH_GATETIME=0 AUTOSSH_MAXSTART=2 -M 0 host
}
scene_end() {
	fresh "exit 5"
	run "AUTOSSH_LOGLEVEL=$1" AUTOSSH_GATETIME=0 -M 0 host
}
scene_early() {
	fresh "exit 5"
	run "AUTOSSH_LOGLEVEL=$1" -M 0 host
}
scene_signals() {
	fresh hang
	start "AUTOSSH_LOGLEVEL=$1" AUTOSSH_POLL=20 -M 0 host
	wait_starts 1
	kill -USR1 "$pid"
	wait_starts 2
	stop
}
scene_monitor() {
	fresh "pass 1 swallow forward; exit 5"
	free_port
	run "AUTOSSH_LOGLEVEL=$1" AUTOSSH_POLL=1 -M "$port" host
}
scene_life() {
	fresh hang
	run "AUTOSSH_LOGLEVEL=$1" AUTOSSH_MAXLIFETIME=1 AUTOSSH_FIRST_POLL=2 \
	    -M 0 host
}
scene_wait() {
	fresh "exit 255"
	start "AUTOSSH_LOGLEVEL=$1" AUTOSSH_GATETIME=0 AUTOSSH_POLL=10000 -M 0 host
	wait_starts 3
	# It is on its way to the pause, or in it.
	kill -USR2 "$pid"
	[ "$1" -lt 6 ] || wait_match "^status: " 1 10
	[ "$1" -lt 6 ] || wait_pause 2
	# the pause is drawn: its length is no part of the line here
	sed 's/time [0-9]* secs/time N secs/; s/waiting [0-9]* s/waiting N s/' \
	    "$dir/log" >"$dir/log.new" && cat "$dir/log.new" >"$dir/log"
	stop
}

# A table: level, scene, line; PID is that of the first ssh.
while read -r level scene line; do
	for at in "$level" $((level - 1)); do
		eval "played=\$played_${scene}_$at"
		if [ -n "$played" ]; then
			dir=$played
		else
			"scene_$scene" "$at"
			eval "played_${scene}_$at=\$dir"
		fi
		[ -f "$dir/starts" ] && first=$(ssh_pid 1)
		case $line in
		*PID) want=${line%PID}$first ;;
		*) want=$line ;;
		esac
		if [ "$at" -eq "$level" ]; then
			check "level $at: $line" log_has "$want"
		else
			check "not at level $at: $line" eval '! log_has "$want"'
		fi
	done
done <<'END'
6 end starting ssh (count 1)
6 signals starting ssh (count 2)
6 restarts starting ssh (count 1 of 2)
6 restarts starting ssh (count 2 of 2)
6 end ssh child pid is PID
6 end port set to 0, monitoring disabled
6 end ssh exited with status 5; autossh exiting
6 restarts ssh exited with error status 255; restarting ssh
6 restarts ssh exited on signal 9, restarting ssh
3 early ssh exited prematurely with status 5; autossh exiting
6 signals received signal to exit (15)
6 signals signalled to kill and restart ssh
6 monitor port down, restarting ssh
6 monitor timeout polling to accept read connection
6 restarts max start count reached; exiting
6 life exceeded maximum time to live, shutting down
6 signals short poll time: adjusting net timeouts to 10000
6 life poll time is greater than lifetime, dropping poll time to 1
6 life first poll time is greater than lifetime, dropping first poll time to 1
7 monitor connection ok
7 wait checking for grace period, tries = 0
7 wait checking for grace period, tries = 3
7 wait sleeping for grace time N secs
6 wait waiting N s before the next start
END

fresh "exit 5"
run AUTOSSH_GATETIME=0 -M 0 -o "Some Option" host 'a  b'
like "$(log_text)" "Some Option.*host.*a  b" "level 7: the command of a start"
run AUTOSSH_GATETIME=0 AUTOSSH_LOGLEVEL=6 AUTOSSH_LOGFILE="$dir/log6" \
    -M 0 -o "Some Option" host
unlike "$(cat "$dir/log6")" "Some Option" "level 6: not the command"

# ---- control characters and UTF-8

fresh "exit 5"
run AUTOSSH_GATETIME=0 -M 0 'gr\374\303\274\302\233' "$(printf \
    'a\nb\rc\td\033[2J\177 gr\303\274\303\237e \342\202\254 \374\302\233')"
is "$(log_text | grep "^command: ")" \
    "command: $FAKESSH 'gr\374\303\274\302\233' $(printf \
    "'a\\\\nb\\\\rc\\\\td\\\\033[2J\\\\177 gr\303\274\303\237e \342\202\254 \\\\374\\\\302\\\\233'")" \
    "control characters are escaped, UTF-8 is left as it is"
is "$(grep -cv ' autossh\[' "$dir/log")" 0 "a line is one line"

fresh
run AUTOSSH_POLL="$(printf '60\r')" -M 0 host
like "$(cat "$dir/err")" '^autossh: AUTOSSH_POLL: "60\\r" ' \
    "a wrong value is shown escaped on stderr"

fresh "exit 5"
run AUTOSSH_GATETIME=0 -M 0 host "$(printf '%03000d\033end' 0)"
like "$(log_text | grep "^command: ")" '0\\033end.$' \
    "a long line is escaped whole"

# ---- AUTOSSH_DEBUG

for value in 1 0 ''; do
	fresh "exit 5"
	run AUTOSSH_GATETIME=0 AUTOSSH_DEBUG=$value AUTOSSH_LOGLEVEL=0 -M 0 host
	check "AUTOSSH_DEBUG='$value' beats the level" \
	    log_has "checking for grace period, tries = 0"
	like "$(cat "$dir/err")" 'checking for grace period, tries = 0' \
	    "AUTOSSH_DEBUG='$value': on stderr as well"
done

fresh hang
run AUTOSSH_DEBUG=1 AUTOSSH_PIDFILE="$dir/pid" -M 0 -f host
is "$status $(cat "$dir/out" "$dir/err")" "0 " \
    "AUTOSSH_DEBUG with -f: nothing on the caller's stderr"
check "AUTOSSH_DEBUG with -f: all in the log" \
    log_has "checking for grace period, tries = 0"
kill -TERM "$(cat "$dir/pid")"
wait_for 10 '[ -z "$(left)" ]'
fresh hang
run AUTOSSH_DEBUG=1 AUTOSSH_PATH=/nowhere/ssh -M 0 -f host
like "$(cat "$dir/err")" '^autossh: cannot run ssh' \
    "AUTOSSH_DEBUG with -f: errors are"
is "$(wc -l <"$dir/err" | tr -d ' ')" 1 "AUTOSSH_DEBUG with -f: errors alone"

# ---- errors on stderr

fresh "exit 5"
run -M 0 host
like "$(cat "$dir/err")" \
    '^autossh: ssh exited prematurely with status 5; autossh exiting$' \
    "errors go to stderr too"
is "$(grep -cv '^autossh: ' "$dir/err")" 0 "each line of it with our name"
fresh "exit 255; exit 5"
run AUTOSSH_GATETIME=0 -M 0 host
is "$(cat "$dir/err")" "" "what is none does not"
fresh "exit 5"
run AUTOSSH_LOGLEVEL=0 -M 0 host
like "$(cat "$dir/err")" 'prematurely' "errors do, whatever the level"

# ---- the file

fresh "exit 255; exit 5"
echo "what was there" >"$dir/log"
run AUTOSSH_GATETIME=0 -M 0 host
is "$(head -n 1 "$dir/log")" "what was there" "the log is appended to"
date='[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}'
is "$(tail -n +2 "$dir/log" | grep -cvE "^$date autossh\[$pid\]: [^ ]")" 0 \
    "each line: date, time, name, pid, text"
today=$(date +%Y/%m/%d)
like "$(tail -n 1 "$dir/log")" "^$today |^$(date +%Y/%m/%d) " "the date is today"
fresh "exit 5"
umask 027
run AUTOSSH_GATETIME=0 -M 0 host
umask 022
is "$(find "$dir/log" -perm 640)" "$dir/log" "the umask holds for the log"

# Two that write to one log do not mix their lines.
fresh "exit 255"
start AUTOSSH_GATETIME=0 AUTOSSH_MAXSTART=20 AUTOSSH_POLL=1 -M 0 host
other=$pid
run AUTOSSH_GATETIME=0 AUTOSSH_MAXSTART=20 AUTOSSH_POLL=1 -M 0 host
pid=$other
wait_exit
is "$(grep -cvE "^$date autossh\[[0-9]+\]: [^ ]" "$dir/log") $(
    log_count 'ssh exited with error status 255; restarting ssh')" "0 40" \
    "two write to one log, line by line"

name="1.4g: a rotated log is written for ever"
fresh hang
start -M 0 host
wait_starts 1
wait_log "ssh child pid is $(ssh_pid 1)"
mv "$dir/log" "$dir/log.1"
kill -USR2 "$pid"
check "$name: renamed" wait_for 10 'grep -q "status: " "$dir/log" 2>/dev/null'
is "$(grep -c 'status: ' "$dir/log.1")" 0 "$name: nothing goes to the old one"
rm "$dir/log"
kill -USR2 "$pid"
check "$name: removed" wait_for 10 'grep -q "status: " "$dir/log" 2>/dev/null'
: >"$dir/log"
kill -USR2 "$pid"
check "a log that is emptied goes on" \
    wait_for 10 '[ "$(grep -c "status: " "$dir/log")" = 1 ]'
is "$(wc -l <"$dir/log" | tr -d ' ')" 1 "from its beginning"
stop

fresh hang
mkdir "$dir/logs"
start AUTOSSH_LOGFILE="$dir/logs/log" -M 0 host
wait_starts 1
rm -r "$dir/logs"
kill -USR1 "$pid"
check "a log whose directory is gone stops nothing" wait_starts 2
mkdir "$dir/logs"
kill -USR2 "$pid"
check "and is there again with it" wait_for 10 '[ -s "$dir/logs/log" ]'
stop

# A size of more than 31 bits and a time of more than 32.  (It is no $dir/log*,
# which would be searched for lines.)
fresh "exit 5"
if dd if=/dev/null of="$dir/big" bs=1048576 seek=3072 2>/dev/null &&
    touch -t 204001010000 "$dir/big"; then
	run AUTOSSH_LOGFILE="$dir/big" AUTOSSH_GATETIME=0 -M 0 host
	like "$(tail -c 200 "$dir/big" | tr -d '\0')" ': ssh exited with status 5' \
	    "a log of 3 GiB that was last written in 2040"
	rm "$dir/big"
else
	skip "a log of 3 GiB that was last written in 2040" \
	    "the file system has no such file"
fi

# ---- devices and pipes

fresh "exit 5"
run AUTOSSH_GATETIME=0 AUTOSSH_LOGFILE=/dev/stdout -M 0 host
like "$(cat "$dir/out")" "autossh\[$pid\]: starting ssh \(count 1\)" \
    "/dev/stdout, a file"
like "$(tail -n 1 "$dir/out")" 'ssh exited with status 5; autossh exiting' \
    "/dev/stdout, to the end"
fresh "exit 5"
run exec:sh -c 'AUTOSSH_GATETIME=0 AUTOSSH_LOGFILE=/dev/stdout "$0" -M 0 host |
    cat' "$AUTOSSH"
like "$(cat "$dir/out")" 'autossh\[[0-9]+\]: starting ssh \(count 1\)' \
    "/dev/stdout, a pipe"
fresh "exit 5"
ln -s /dev/stdout "$dir/link"
run exec:sh -c 'for file in /dev/fd/1 "$1"; do
	AUTOSSH_GATETIME=0 AUTOSSH_LOGFILE=$file "$0" -M 0 host | cat
    done' "$AUTOSSH" "$dir/link"
is "$(grep -cE 'autossh\[[0-9]+\]: starting ssh \(count 1\)' "$dir/out")" 2 \
    "/dev/fd/1 and a link to /dev/stdout, a pipe"
# A pipe that ssh fills, and nobody reads.
fresh "hang"
mkfifo "$dir/fifo"
start FIFO="$dir/fifo" AUTOSSH_LOGFILE=/dev/stdout exec:sh -c 'exec 8<>"$FIFO"
    dd if=/dev/zero of="$FIFO" bs=1 count=1000000 oflag=nonblock
    exec "$0" "$@" >"$FIFO"' "$AUTOSSH" -M 0 host
wait_starts 1
kill -USR2 "$pid"
stop
is "$status $(left)" "1 " "/dev/stdout, a pipe that is full: nothing waits"
fresh "exit 5"
run AUTOSSH_GATETIME=0 AUTOSSH_LOGFILE=/dev/stderr -M 0 host
like "$(cat "$dir/err")" 'autossh\[[0-9]+\]: starting ssh \(count 1\)' \
    "/dev/stderr"
# The caller's, not the /dev/null that the background has.
for place in AUTOSSH_LOGFILE=/dev/stdout AUTOSSH_LOGFILE=/dev/stderr \
    AUTOSSH_LOGFILE=/dev/fd/1 "unset:AUTOSSH_LOGFILE AUTOSSH_NTSERVICE=yes"; do
	fresh "exit 255; exit 5"
	# shellcheck disable=SC2086 # words
	run $place -M 0 -f host
	wait_for 10 'grep -q "status 5; autossh exiting" "$dir/out" "$dir/err"'
	is "$(cat "$dir/out" "$dir/err" | sed 's/.*autossh\[[0-9]*\]: //' |
	    grep '^ssh exited')" "ssh exited with error status 255; restarting ssh
ssh exited with status 5; autossh exiting" "with -f: $place"
done
fresh "exit 255; exit 0"
run AUTOSSH_GATETIME=0 AUTOSSH_LOGFILE=/dev/null -M 0 host
is "$status $(starts)" "0 2" "/dev/null"

if [ -c /dev/full ]; then
	fresh "exit 255; exit 0"
	run AUTOSSH_GATETIME=0 AUTOSSH_LOGFILE=/dev/full -M 0 host
	is "$status $(starts)" "0 2" "a full disk stops nothing"
else
	skip "a full disk stops nothing" "no /dev/full"
fi

fresh "exit 255; hang"
mkfifo "$dir/fifo"
cat "$dir/fifo" >"$dir/read" &
reader=$!
started_pids="$started_pids $reader"
# Opens when the reader has.
exec 9>"$dir/fifo"
start AUTOSSH_GATETIME=0 AUTOSSH_LOGFILE="$dir/fifo" -M 0 host
wait_starts 2
exec 9>&-
check "a named pipe" \
    wait_for 10 'grep -q "starting ssh (count 2)" "$dir/read"'
kill "$reader"
wait "$reader" 2>/dev/null
forget "$reader"
kill -USR1 "$pid"
check "a pipe that nobody reads any more stops nothing" wait_starts 3
stop
is "$status $(left)" "1 " "nor the end"

fresh hang
mkfifo "$dir/fifo"
start AUTOSSH_LOGFILE="$dir/fifo" -M 0 host
check "a pipe that nobody reads yet stops nothing" wait_starts 1
cat "$dir/fifo" >"$dir/read" &
reader=$!
started_pids="$started_pids $reader"
check "a reader that comes later gets what is logged then" wait_for 10 \
    'kill -USR2 "$pid"; grep -q "status: " "$dir/read"'
unlike "$(cat "$dir/read")" "starting ssh" "but not what was before"
stop
wait "$reader"
forget "$reader"
is "$status $(cat "$dir/err")" "1 " "without a word on stderr"

# In a directory where others may make links, one is not followed: neither when
# the log is opened again nor at any other line.
fresh hang
mkdir -m 777 "$dir/open"
chmod 777 "$dir/open"
start AUTOSSH_LOGFILE="$dir/open/log" -M 0 host
wait_starts 1
wait_for 10 'grep -q "child pid" "$dir/open/log"'
mv "$dir/open/log" "$dir/open/log.1"
ln -s "$dir/victim" "$dir/open/log"
kill -USR1 "$pid"
wait_starts 2
stop
is "$(ls "$dir/victim" 2>/dev/null)" "" \
    "a log that is a link in an unsafe directory: no file is made"
like "$(cat "$dir/open/log.1")" "received signal to exit" \
    "a log that is a link in an unsafe directory: the old one goes on"
fresh hang
mkdir "$dir/logs"
ln -s logs/log "$dir/link"
start AUTOSSH_LOGFILE="$dir/link" -M 0 host
wait_starts 1
mv "$dir/logs/log" "$dir/logs/log.1"
kill -USR2 "$pid"
check "a log that is a safe link: rotated where it leads" \
    wait_for 10 'grep -q "status: " "$dir/logs/log"'
stop

# open_error FILE WANTED: FILE, in a directory with a file and links.
fresh hang
mkdir "$dir/d"
: >"$dir/file"
ln -s loop "$dir/loop"
ln -s d "$dir/to-d"
long=$(printf '%0300d' 0)
open_error() {
	(
		cd "$dir" || exit
		run AUTOSSH_LOGFILE="$1" AUTOSSH_MAXSTART=0 -M 0 host
		sed -n 's/.*": //p' "$dir/err"
	)
}
for row in "loop:Too many levels of symbolic links" \
    "loop/log:Too many levels of symbolic links" \
    "$long:File name too long" "$long/log:File name too long" \
    "file/:Not a directory" "file/log:Not a directory" \
    "d/:Is a directory" "/:Is a directory" "to-d:Is a directory" \
    "none/log:No such file or directory" \
    "d/../to-d/..//./to-d/made:" "$dir//to-d/made2:"; do
	is "$(open_error "${row%:*}")" "${row##*:}" \
	    "a log at $(printf '%.30s' "${row%:*}")"
done
is "$(ls "$dir/d")" "made
made2" "a log by way of links to directories"

# A reader that does not read: the pipe is full before autossh comes.
fresh "exit 255; hang"
mkfifo "$dir/fifo"
tail -f /dev/null <"$dir/fifo" &
reader=$!
dd if=/dev/zero of="$dir/fifo" bs=65536 count=2 2>/dev/null &
writer=$!
started_pids="$started_pids $reader $writer"
exec 9>"$dir/fifo"
# It fills the pipe and then is in the way of nobody.
wait_for 5 'ps -o stat= -p "$writer" | grep -q S'
sleep 0.2
start AUTOSSH_GATETIME=0 AUTOSSH_LOGFILE="$dir/fifo" -M 0 host
check "a full pipe stops nothing" wait_starts 2
stop
is "$status" 1 "nor the end"
exec 9>&-
kill "$reader" "$writer"
wait "$reader" "$writer" 2>/dev/null
forget "$reader"
forget "$writer"

# A line that does not go into a pipe at once, for a reader that comes late.
fresh hang
mkfifo "$dir/fifo"
# Waits for no other end, as this is both.
exec 9<>"$dir/fifo"
start AUTOSSH_DEBUG=1 FIFO="$dir/fifo" exec:sh \
    -c 'exec "$0" "$@" 2>"$FIFO"' "$AUTOSSH" -M 0 host "$(printf %0100000d 0)"
check "a line longer than a pipe stops nothing" wait_starts 1
stop
is "$status" 1 "nor the end, and it is cut"
exec 8<"$dir/fifo" 9>&-
is "$(grep -cv '^autossh\(\[[0-9]*\]\)\{0,1\}: ' <&8)" 0 "but it is a line still"
exec 8<&-

# A terminal that nobody reads: script is stopped.  The last line finds room for
# a part of itself.
if script -qec true /dev/null </dev/null >/dev/null 2>&1 &&
    ! grep -qx 0 "/proc/$$/wchan" 2>/dev/null && [ -r "/proc/$$/wchan" ]; then
	fresh hang
	start AUTOSSH_DEBUG=1 exec:script -qec "exec $AUTOSSH -M 0 host" \
	    /dev/null
	wait_starts 1
	logging=$(sed -n 's/.*autossh\[\([0-9]*\)\].*/\1/p;q' "$dir/log")
	kill -STOP "$pid"
	# autossh_waits: whether it waits for the terminal, twice in half a second
	autossh_waits() {
		case $(cat "/proc/$logging/wchan") in
		*tty* | wait_woken)
			sleep 0.5
			grep -qE 'tty|wait_woken' "/proc/$logging/wchan" ;;
		*) return 1 ;;
		esac
	}
	line=0
	waits=no
	while [ "$line" -lt 800 ] && [ "$waits" = no ]; do
		kill -USR2 "$logging"
		line=$((line + 1))
		autossh_waits && waits=yes
	done
	is "$waits" no "a terminal that nobody reads: autossh does not wait for it"
	kill -CONT "$pid"
	kill -TERM "$logging"
	wait_exit
	shown=$(grep -c "status: " "$dir/out")
	check "and shows the lines that went in" [ "$shown" -gt 0 ]
	check "it was full: the others are lost" \
	    [ "$shown" -lt "$(grep -c "status: " "$dir/log")" ]
else
	skip "a terminal that nobody reads" "no script(1) or /proc/PID/wchan here"
fi

fresh "exit 255; exit 255; exit 5"
run unset:AUTOSSH_LOGFILE AUTOSSH_GATETIME=0 -M 0 host
is "$status $(starts) $(cat "$dir/out" "$dir/err")" "1 3 " \
    "without a log file nothing is on the terminal"

# ---- syslog

# A /dev of the test's own, with a log that writes down what it gets.
if [ "$(id -u)" -eq 0 ]; then
	own_dev="unshare -m"
else
	own_dev="unshare -U -r -m"
fi
cat >"$tmp/own-dev" <<'END'
#!/bin/sh
# own-dev DIR COMMAND...: with a /dev whose log goes to the file DIR/syslog.
dir=$1
shift
mkdir "$dir/dev"
mount -t tmpfs none "$dir/dev" || exit 77
for node in null zero full random urandom tty; do
	: >"$dir/dev/$node"
	mount --bind "/dev/$node" "$dir/dev/$node" || exit 77
done
mount --move "$dir/dev" /dev || exit 77
[ "$1" = true ] && exit 0
if [ -n "$SYSLOG" ]; then
	"$TOOL" syslog /dev/log "$dir/syslog" &
	until [ -S /dev/log ]; do sleep 0.02; done
fi
"$@"
status=$?
tries=100
while [ -n "$SYSLOG" ] && [ $((tries -= 1)) -gt 0 ] &&
    ! grep -q 'autossh exiting' "$dir/syslog"; do
	sleep 0.05
done
[ -z "$SYSLOG" ] || kill $!
exit $status
END
fresh "exit 255; exit 5"
# shellcheck disable=SC2086 # words
run TOOL="$TOOL" exec:unshare ${own_dev#unshare} sh "$tmp/own-dev" "$dir" true
if [ "$status" = 0 ]; then
	rmdir "$dir/dev"
	# shellcheck disable=SC2086 # words
	run SYSLOG=1 TOOL="$TOOL" unset:AUTOSSH_LOGFILE \
	    AUTOSSH_GATETIME=0 exec:unshare ${own_dev#unshare} \
	    sh "$tmp/own-dev" "$dir" "$AUTOSSH" -M 0 host
	is "$status $(starts)" "1 2" "syslog: it runs"
	like "$(cat "$dir/syslog")" \
	    '^<14>.* autossh\[[0-9]+\]: starting ssh \(count 1\)$' \
	    "syslog: facility user, level info, name, pid"
	like "$(cat "$dir/syslog")" '^<15>.* autossh\[[0-9]+\]: checking for' \
	    "syslog: debug"
	like "$(tail -n 1 "$dir/syslog")" \
	    'ssh exited with status 5; autossh exiting$' "syslog: to the end"
	fresh "exit 5"
	# shellcheck disable=SC2086 # words
	run SYSLOG=1 TOOL="$TOOL" unset:AUTOSSH_LOGFILE \
	    AUTOSSH_LOGLEVEL=3 exec:unshare ${own_dev#unshare} \
	    sh "$tmp/own-dev" "$dir" "$AUTOSSH" -M 0 host
	like "$(cat "$dir/syslog")" '^<11>.*: ssh exited prematurely' \
	    "syslog: an error"
	unlike "$(cat "$dir/syslog")" 'starting ssh' "syslog: the level holds"
	fresh "exit 255; exit 5"
	# shellcheck disable=SC2086 # words
	run SYSLOG= TOOL="$TOOL" unset:AUTOSSH_LOGFILE \
	    AUTOSSH_GATETIME=0 exec:unshare ${own_dev#unshare} \
	    sh "$tmp/own-dev" "$dir" "$AUTOSSH" -M 0 host
	is "$status $(starts)" "1 2" "no syslog stops nothing"
	fresh "exit 5"
	# shellcheck disable=SC2086 # words
	run SYSLOG= TOOL="$TOOL" unset:AUTOSSH_LOGFILE \
	    exec:unshare ${own_dev#unshare} \
	    sh "$tmp/own-dev" "$dir" "$AUTOSSH" -M 0 host
	is "$status $(grep -c '^autossh: .*prematurely' "$dir/err")" "1 1" \
	    "no syslog: errors are on stderr all the same"
else
	note "$(cat "$dir/err")"
	skip "syslog" "no mount namespaces here"
fi

done_testing
