#!/bin/sh
# status.t: how the tunnel stands can be seen at any time, by people and by
# Prometheus, and why it fell is in the log, whatever ssh writes.

# shellcheck disable=SC2016,SC2034,SC2317 # conditions are evaluated later
: "${TEST_LIMIT=900}"
. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

# How much autossh may grow, in KiB, while tens of megabytes pass through it.
room=2048
! sanitized || room=16384

# Several instances run at once: keep NAME remembers this one, look NAME turns
# to it again.
keep() {
	eval "dir_$1=\$dir pid_$1=\$pid background_$1=\$background"
}
look() {
	eval "dir=\$dir_$1 pid=\$pid_$1 background=\$background_$1"
}

# background PLAN WORD...: autossh -f; sets $background
background=
background() {
	fresh "$1"
	shift
	start "$@"
	wait_exit
	wait_starts 1
	background=$(supervisor)
}
background_stop() {
	kill -TERM "$background" 2>/dev/null
	wait_for 10 '[ -z "$(left)" ]'
}

# The value of a metric; "-" if there is none.
metric() {
	awk -v m="^autossh_$1{" '$0 ~ m { v = $NF } END { print (v != "") ? v : "-" }' \
	    "$dir/status" 2>/dev/null
}
wait_metric() {
	wait_name=$1
	wait_value=$2
	wait_for "${3:-20}" '[ "$(metric "$wait_name")" = "$wait_value" ]'
}
more_than() {
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a > b) }'
}
# ask_status: the answer to USR2
ask_status() {
	asked=$(log_text | grep -c '^status: ')
	kill -USR2 "$pid"
	wait_for 10 '[ "$(log_text | grep -c "^status: ")" -gt "$asked" ]'
	log_text | grep '^status: ' | tail -n 1
}
rss() {
	awk '$1 == "VmRSS:" { print $2 }' "/proc/$1/status" 2>/dev/null
}
# What ssh said, as the log has it.
said() {
	log_text | grep '^ssh: '
}

# ---- all that take a minute are started here, and looked at below

# 10000 lines of 99 bytes.
background "flood 1000000 touch $tmp/flooded hang" -f -M 0 -N host
keep flood
# The same, with nothing behind it that could end the minute.
background "flood 20000 exit 255; hang" -f -M 0 -N host
keep burst

# ---- USR2

fresh hang
start AUTOSSH_FIRST_POLL=500 AUTOSSH_GATETIME=0 -N host
wait_starts 1
like "$(ask_status)" \
    "^status: started [0-9]+s, ssh pid $(ssh_pid 1) \\(start 1\\), no test has passed yet, next in [0-9]+ s\$" \
    "USR2 before a test"
stop
fresh "forward; exit 255"
start AUTOSSH_FIRST_POLL=500 AUTOSSH_GATETIME=0 -N host
wait_log "connection ok"
like "$(ask_status)" \
    "^status: up ([0-9]+m)?[0-9]+s, ssh pid $(ssh_pid 1) \\(start 1\\), last test [0-9]+ ms at [0-9][0-9]:[0-9][0-9]:[0-9][0-9], next in (500|4[0-9][0-9]) s\$" \
    "USR2 while it is up"
kill -KILL "$(ssh_pid 1)"
# The third quick start waits for some seconds.
wait_pause 2
like "$(ask_status)" '^status: down, start [0-9]+ in [0-9]+ s' \
    "USR2 while it is down"
is "$(alive "$pid"; echo $?)" 0 "USR2 ends nothing"
stop

fresh hang
start AUTOSSH_LOGLEVEL=6 -M 0 -N host
wait_starts 1
like "$(ask_status)" "^status: started [0-9]+s, ssh pid $(ssh_pid 1) \\(start 1\\), not monitored\$" \
    "USR2 without a monitor"
stop
fresh "swallow forward"
start AUTOSSH_FIRST_POLL=1 -N host
wait_for 20 '[ -s "$dir/connects" ]'
like "$(ask_status)" "no test has passed yet, testing now\$" "USR2 during a test"
stop
fresh "ignore TERM hang"
start AUTOSSH_GATETIME=0 -M 0 -N host
wait_starts 1
kill -USR1 "$pid"
wait_log "signalled to kill and restart ssh"
like "$(ask_status)" "^status: ending, ssh pid $(ssh_pid 1) \\(start 1\\)\$" \
    "USR2 while ssh is being ended"
kill -TERM "$pid"
stop

# ---- the status file

fresh "sleep 3000 forward; exit 255"
cat >"$dir/status" <<OLD
autossh_up{destination="old"} 1
OLD
began=$(date +%s)
start AUTOSSH_FIRST_POLL=60 AUTOSSH_GATETIME=0 AUTOSSH_STATUSFILE="$dir/status" \
    -N host
wait_metric starts_total 1
up=$(metric up)
[ "$(log_count 'connection ok')" -eq 0 ] || up="seen too late"
is "$up" 0 "up: 0 before a test has passed"
check "up: 1 after it" wait_metric up 1
check "up: not without a test" log_has "connection ok"
is "$(metric tests_total) $(metric test_failures_total)" "1 0" "tests are counted"
check "the round trip is measured" more_than "$(metric last_test_seconds)" -0.001
check "and is seconds" more_than 60 "$(metric last_test_seconds)"
check "the time of the test" \
    more_than "$(metric last_test_timestamp_seconds)" "$((began - 1))"
check "the time of the start" \
    more_than "$(metric start_timestamp_seconds)" "$((began - 1))"
check "both are of now" more_than "$(($(date +%s) + 1))" \
    "$(metric last_test_timestamp_seconds)"
is "$(metric next_start_timestamp_seconds)" 0.000 "no start is due"
cp "$dir/status" "$tmp/up.prom"
kill -KILL "$(ssh_pid 1)"
check "up: 0 when ssh is gone" wait_metric up 0
wait_pause
check "a start is due" wait_for 10 \
    'more_than "$(metric next_start_timestamp_seconds)" "$(date +%s)"'
check "starts are counted" [ "$(metric starts_total)" -ge 2 ]
cp "$dir/status" "$tmp/down.prom"
kill -TERM "$pid"
wait_exit
is "$(metric up) $(metric next_start_timestamp_seconds)" "0 0.000" \
    "after the end the file stays, with up 0"
cp "$dir/status" "$tmp/over.prom"
is "$(cd "$dir" && echo status*)" status "and nothing beside it"

fresh "forward; hang"
start AUTOSSH_FIRST_POLL=6 AUTOSSH_STATUSFILE="$dir/status" AUTOSSH_GATETIME=0 \
    -N host
wait_metric up 1
kill -USR1 "$pid"
wait_starts 2
check "up: 0 for an ssh through which nothing comes" wait_metric up 0
wait_log "port down, restarting ssh"
check "a failed test is counted" wait_metric test_failures_total 1
is "$(metric up)" 0 "up: 0 after it"
stop

fresh "ignore TERM forward; forward"
start AUTOSSH_FIRST_POLL=20 AUTOSSH_STATUSFILE="$dir/status" -N host
wait_metric up 1
kill -USR1 "$pid"
check "up: 0 while ssh is being ended" wait_metric up 0 2
check "up: 1 with the next ssh" wait_metric up 1
stop

fresh hang
start AUTOSSH_STATUSFILE="$dir/status" AUTOSSH_GATETIME=2 -M 0 -N host
wait_metric starts_total 1
check "no monitor: up after the gate time" wait_metric up 1
is "$(metric last_test_seconds)" NaN "no monitor: no round trip"
cp "$dir/status" "$tmp/unmonitored.prom"
stop

background forward AUTOSSH_STATUSFILE=status exec:/bin/sh -c \
    'cd "$FAKESSH_DIR" && exec "$0" "$@"' "$AUTOSSH" -f -N host
check "-f: a relative path means what it says" wait_metric up 1
background_stop
is "$(metric up)" 0 "-f: up 0 after the end"

# What is no file is written to: a device must never be replaced.
fresh hang
ln -s /dev/null "$dir/status"
start AUTOSSH_STATUSFILE="$dir/status" -M 0 -N host
wait_starts 1
stop
is "$status $(readlink "$dir/status")" "1 /dev/null" "a status file of /dev/null"

# Destinations that a label must escape.
n=0
for destination in 'user@host' 'a"b' 'c\d' 'ssh://u@h:22' "$(printf 'e\377\tf')" \
    "$(printf '%0300d' 0)" "$(printf 'b\303\274ro')"; do
	n=$((n + 1))
	fresh hang
	start AUTOSSH_STATUSFILE="$dir/status" -M 0 -N "$destination"
	wait_metric starts_total 1
	cp "$dir/status" "$tmp/label.$n.prom"
	stop
done
label() {
	sed -n 's/^autossh_up{destination="\(.*\)"} 0$/\1/p' "$tmp/label.$1.prom"
}
is "$(label 1) $(label 2) $(label 3) $(label 4)" \
    'user@host a\"b c\\d ssh://u@h:22' "the label destination"
is "$(label 5)" 'e\\377\\tf' "the label: what is neither printable nor UTF-8"
is "$(label 7)" "$(printf 'b\303\274ro')" "the label: UTF-8"

if command -v promtool >/dev/null; then
	for file in "$tmp"/*.prom; do
		is "$(promtool check metrics <"$file" 2>&1)" "" \
		    "promtool check metrics: ${file##*/}"
	done
else
	skip "promtool check metrics" "no promtool here"
fi
for name in up starts_total start_timestamp_seconds tests_total \
    test_failures_total last_test_seconds last_test_timestamp_seconds \
    next_start_timestamp_seconds; do
	is "$(awk -v m="autossh_$name" '($1 == "#" && $3 == m) || $1 ~ "^" m "{" {
	    printf "%s ", ($1 == "#") ? $2 : "VALUE" }' "$tmp/up.prom")" \
	    "HELP TYPE VALUE " "autossh_$name: HELP, TYPE, value"
done

# ---- served by a real node_exporter

exporter=$(command -v prometheus-node-exporter || command -v node_exporter)
if [ -n "$exporter" ] && command -v curl >/dev/null; then
	mkdir "$tmp/textfile"
	free_port
	"$TOOL" run -- "$exporter" --collector.disable-defaults \
	    --collector.textfile --collector.textfile.directory="$tmp/textfile" \
	    --web.listen-address="127.0.0.1:$port" >"$tmp/exporter.log" 2>&1 &
	exporter_pid=$!
	started_pids="$started_pids $exporter_pid"
	wait_for 20 '"$TOOL" connects "$port"'
	served() {
		curl -s --noproxy '*' "http://127.0.0.1:$port/metrics" |
		    sed -n "s/^autossh_$1{destination=\"$2\"} //p"
	}
	fresh forward
	start AUTOSSH_STATUSFILE="$tmp/textfile/one.prom" AUTOSSH_FIRST_POLL=1 \
	    -N one
	keep one
	fresh hang
	start AUTOSSH_STATUSFILE="$tmp/textfile/two.prom" AUTOSSH_FIRST_POLL=60 \
	    -N two
	keep two
	check "node_exporter serves a tunnel that is up" \
	    wait_for 20 '[ "$(served up one)" = 1 ]'
	check "and one that is not, beside it" \
	    wait_for 20 '[ "$(served up two)" = 0 ]'
	is "$(curl -s --noproxy '*' "http://127.0.0.1:$port/metrics" |
	    sed -n 's/^node_textfile_scrape_error //p')" 0 "without an error"
	is "$(served starts_total one)" 1 "and its starts"
	look one
	stop
	check "the end is served" [ "$(served up one)" = 0 ]
	look two
	stop
	kill "$exporter_pid"
	wait "$exporter_pid"
	forget "$exporter_pid"
else
	skip "node_exporter serves a tunnel that is up" "no node_exporter here"
fi

# ---- nobody sees half a file

fresh forward
start AUTOSSH_FIRST_POLL=1 AUTOSSH_POLL=1 AUTOSSH_STATUSFILE="$dir/status" \
    AUTOSSH_LOGLEVEL=3 -N host
wait_metric up 1
whole=$(wc -l <"$dir/status")
exec 7<"$dir/status"
before=$(metric tests_total)
halves=0
reads=0
while [ "$reads" -lt 400 ]; do
	reads=$((reads + 1))
	kill -HUP "$pid"
	lines=$(wc -l <"$dir/status") || lines=0
	[ "$lines" -eq "$whole" ] || halves=$((halves + 1))
done
is "$halves" 0 "read 400 times while it changes: always whole"
check "it did change" \
    wait_for 20 '[ "$(metric tests_total)" -gt $((before + 2)) ]'
cat <&7 >"$dir/held"
is "$(wc -l <"$dir/held") $(wc -l <"$dir/status")" "$whole $whole" \
    "a reader who holds the old file reads it to its end"
check "and it is the old one" \
    [ "$(sed -n 's/^autossh_tests_total{.*} //p' "$dir/held")" -le "$before" ]
exec 7<&-
stop

# ---- it cannot be written: the tunnel stays

fresh forward
mkdir "$dir/gone"
start AUTOSSH_FIRST_POLL=1 AUTOSSH_POLL=1 AUTOSSH_STATUSFILE="$dir/gone/status" \
    -N host
wait_log "connection ok"
rm -r "$dir/gone"
tests=$(log_count "connection ok")
check "the directory is removed: tests pass" \
    wait_log "connection ok" $((tests + 4))
is "$(starts)" 1 "the directory is removed: ssh is left alone"
said_so=$(log_text | grep -c "^cannot write status file .*/gone/status")
is "$said_so" 1 "the directory is removed: the log says so, once"
kill -USR1 "$pid"
check "the directory is removed: USR1 works" wait_starts 2
mkdir "$dir/gone"
check "the directory is back: so is the file" \
    wait_for 20 '[ -s "$dir/gone/status" ]'
stop
is "$status" 1 "the directory was removed: the end is as ever"

for bad in /dev/full/status /proc/status-of-autossh "$tmp"; do
	fresh forward
	start AUTOSSH_FIRST_POLL=1 AUTOSSH_STATUSFILE="$bad" -N host
	check "status file $bad: a test passes" wait_log "connection ok"
	like "$(cat "$dir/err")" "^autossh: cannot write status file \"$bad\": ." \
	    "status file $bad: it says so"
	stop
done
check "a directory in its place stays" test -d "$tmp"

fresh
run AUTOSSH_STATUSFILE="/$(printf '%05000d' 0)" -N host
is "$status $(starts)" "1 0" "a path too long: an error"
like "$(cat "$dir/err")" "^autossh: AUTOSSH_STATUSFILE: " "that says so"

# A full disk, in a mount of our own.
if [ "$(id -u)" -eq 0 ]; then
	unshare="unshare -m"
else
	unshare="unshare -rm"
fi
fresh forward
mkdir "$dir/full"
if $unshare mount -t tmpfs -o size=16k tmpfs "$dir/full" 2>/dev/null; then
	# shellcheck disable=SC2086 # words
	start FULL="$dir/full" AUTOSSH_FIRST_POLL=1 AUTOSSH_POLL=1 \
	    AUTOSSH_STATUSFILE="$dir/full/status" exec:/usr/bin/env $unshare \
	    sh -c 'mount -t tmpfs -o size=16k tmpfs "$FULL" &&
		{ cat /dev/zero >"$FULL/zero" 2>/dev/null; exec "$@"; }' sh \
	    "$AUTOSSH" -N host
	check "a full disk: tests pass" wait_log "connection ok" 4
	is "$(starts)" 1 "a full disk: ssh is left alone"
	is "$(log_text | grep -c '^cannot write status file .*No space')" 1 \
	    "a full disk: the log says so, once"
	if [ -d "/proc/$pid/root/$dir/full" ]; then
		is "$(ls "/proc/$pid/root$dir/full")" zero \
		    "a full disk: nothing half is left"
		rm -f "/proc/$pid/root$dir/full/zero"
		check "there is room again: so is the file" \
		    wait_for 20 '[ -s "/proc/$pid/root$dir/full/status" ]'
	fi
	stop
	is "$status" 1 "a full disk: the end is as ever"
else
	skip "a full disk" "no mounts of our own here"
fi

# ---- what ssh says: where it goes

fresh "say foreground hang"
start -M 0 -N host
check "in the foreground: to the caller's stderr" \
    wait_for 10 '[ "$(cat "$dir/err")" = foreground ]'
is "$(said)" "" "and not to the log"
stop

background "say one say 'two words' say last exit 255; exit 255; exit 3" \
    AUTOSSH_LOGLEVEL=6 -f -M 0 -N host
check "-f: the end" wait_for 10 '! alive "$background"'
is "$(said | tr '\n' '|')" "ssh: one|ssh: two words|ssh: last|" \
    "-f: to the log, a line each"
is "$(log_count 'ssh exited with error status 255; restarting ssh')" 2 \
    "and nothing is appended to a kept line"

# gives_reason NAME REASON: what USR2 says of why the tunnel is down
gives_reason() {
	pid=$background
	check "$1" wait_for 20 \
	    'ask_status | grep -qF "(ssh: '"$2"')"'
}
background "say 'bad luck' exit 255" AUTOSSH_STATUSFILE="$tmp/words.prom" \
    -f -M 0 -N host
wait_pause 2
pid=$background
like "$(ask_status)" '^status: down, start [0-9]+ in [0-9]+ s \(ssh: bad luck\)$' \
    "what ssh said before it ended is the reason"
background_stop
background "say 'I am dying' signal KILL; hang" -f -M auto -N host
gives_reason "also where ssh was killed" "I am dying"
background_stop
# The last words have no newline.
background "junk 30 exit 255" -f -M 0 -N host
wait_pause
gives_reason "last words without a newline" "$(printf '%030d' 0 | tr 0 x)"
background_stop

# ---- what ssh says: too much of it

# The stand-ins below are scripts: what they write is no line of a plan.
script() {
	printf '#!/bin/sh\n%s\n' "$1" >"$dir/ssh"
	chmod 755 "$dir/ssh"
}
# writes NAME SCRIPT: -f with this ssh; sets $background, $ssh
writes() {
	fresh
	script "$2"
	start AUTOSSH_PATH="$dir/ssh" -f -M 0 -N host
	wait_exit
	is "$status" 0 "$1: -f"
	background=$(sed -n 's/.* autossh\[\([0-9]*\)\]: starting ssh .*/\1/p' \
	    "$dir/log") # its pidfile may have gone
	ssh=$(log_text | sed -n 's/^ssh child pid is //p')
	started_pids="$started_pids $ssh"
	pid=$background
}
# written NAME: all the same the log is text, and autossh is itself
written() {
	is "$(tr -d '\012\040-\176\200-\377' <"$dir/log" | wc -c)" 0 \
	    "$1: no control characters in the log"
	if command -v iconv >/dev/null; then
		check "$1: the log is UTF-8" \
		    eval 'iconv -f UTF-8 -t UTF-8 <"$dir/log" >/dev/null'
	else
		skip "$1: the log is UTF-8" "no iconv"
	fi
	check "$1: no line is long" \
	    [ "$(awk '{ if (length > n) n = length } END { print n }' \
	    "$dir/log")" -lt 1200 ]
	check "$1: no more than 50 lines in the log" \
	    [ "$(said | wc -l)" -le 50 ]
	like "$(ask_status)" "^status: up " "$1: autossh answers"
	if [ -r "/proc/$background/status" ]; then
		grown=$(($(rss "$background") - rss_before))
		note "$1: RSS $rss_before KiB, $grown more"
		check "$1: autossh does not grow" [ "$grown" -le "$room" ]
	else
		skip "$1: autossh does not grow" "no /proc"
	fi
	kill -TERM "$background"
	check "$1: TERM ends it" wait_for 15 '! alive "$background"'
	check "$1: and ssh" wait_for 15 '! alive "$ssh"'
	forget "$ssh"
	rm -f "$dir/log"
}
rss_before=
go='until [ -e "$FAKESSH_DIR/go" ]; do sleep 0.05; done'
# go_on: measured first, then ssh writes
go_on() {
	rss_before=$(rss "$background")
	touch "$dir/go"
}

writes "32 MB of junk" "$go
head -c 32000000 /dev/urandom >&2; touch \"\$FAKESSH_DIR/done\"; exec sleep 600"
go_on
check "32 MB of junk: ssh is not held up" wait_for 60 '[ -e "$dir/done" ]'
written "32 MB of junk"

writes "a line of 32 MB" "$go
head -c 32000000 /dev/zero | tr '\\000' x >&2
touch \"\$FAKESSH_DIR/done\"; echo >&2; exec sleep 600"
go_on
check "a line of 32 MB: ssh is not held up" wait_for 60 '[ -e "$dir/done" ]'
check "a line of 32 MB: its beginning is in the log" wait_for 10 \
    'said | grep -q "^ssh: x\{400,\}"'
written "a line of 32 MB"

writes "a line without end" "exec tr '\\000' x </dev/zero >&2"
go_on
wait_for 10 '[ "$(awk "\$1 == \"wchar:\" { print \$2 }" \
    "/proc/$ssh/io" 2>/dev/null || echo 9999999999)" -gt 20000000 ]'
written "a line without end"

writes "lines without end" "exec yes 'the server is on fire' >&2"
go_on
check "lines without end: 50 are logged" \
    wait_for 10 '[ "$(said | wc -l)" -ge 50 ]'
first=$(awk '$1 == "wchar:" { print $2 }' "/proc/$ssh/io" 2>/dev/null || echo 0)
check "lines without end: ssh is not held up" wait_for 20 \
    '[ "$(awk "\$1 == \"wchar:\" { print \$2 }" \
    "/proc/$ssh/io" 2>/dev/null || echo 99999999)" -gt $((first + 10000000)) ]'
written "lines without end"

# What another process keeps of ssh's stderr holds nobody up either.
writes "ssh leaves a child" "sleep 3 & exit 0"
check "ssh leaves a child with its stderr: its death is seen" \
    wait_log "ssh exited with status 0; autossh exiting" 1 2
check "and autossh ends" wait_for 2 '! alive "$background"'

# ---- a real ssh and a real server

if sshd_start "MaxSessions 20"; then
	# real WORD...: -f with the real ssh
	real() {
		fresh
		start AUTOSSH_PIDFILE="$dir/pid" AUTOSSH_PATH="$SSH" \
		    AUTOSSH_STATUSFILE="$dir/status" AUTOSSH_LOGLEVEL=6 -f -F \
		    "$SSH_CONFIG" "$@"
		wait_exit
		read -r background <"$dir/pid"
		pid=$background
	}
	real -M auto -N server
	check "real ssh: up" wait_metric up 1 40
	for session in $(sshd_sessions); do
		kill -STOP "$session"
		stopped="${stopped-} $session"
	done
	kill -HUP "$background"
	check "real ssh: not up when nothing comes through" wait_metric up 0 60
	check "real ssh: up again" wait_metric up 1 40
	for session in ${stopped-}; do
		kill -KILL "$session" 2>/dev/null
	done
	sshd_down
	for session in $(sshd_sessions); do
		kill -KILL "$session" 2>/dev/null
	done
	for session in $(ps -A -o pid= -o ppid= |
	    awk -v p="$background" '$2 == p { print $1 }'); do
		kill -KILL "$session" 2>/dev/null
	done
	check "server away: not up" wait_metric up 0 40
	pid=$background
	check "server away: ssh's words are the reason" wait_for 40 \
	    'ask_status | grep -q "(ssh: connect to host .*Connection refused)$"'
	background_stop
	sshd_up || bail_out "$sshd_reason"

	ssh-keygen -q -t ed25519 -N '' -f "$tmp/wrong"
	sed "s|^IdentityFile .*|IdentityFile $tmp/wrong|" "$SSH_CONFIG" \
	    >"$tmp/wrong_config"
	real -M 0 -F "$tmp/wrong_config" -N server
	pid=$background
	check "a key that is refused: ssh's words are the reason" wait_for 40 \
	    'ask_status | grep -q "(ssh: .*Permission denied (publickey"'
	like "$(said)" "^ssh: .*Permission denied \\(publickey" "and in the log"
	background_stop

	real -M auto -o ExitOnForwardFailure=yes \
	    -R "127.0.0.1:$SSHD_PORT:127.0.0.1:22" -N server
	words="remote port forwarding failed for listen port $SSHD_PORT"
	pid=$background
	check "a port that is taken there: ssh's words are the reason" \
	    wait_for 40 'ask_status | grep -q "(ssh: .*$words)"'
	background_stop

	real -M auto server 'exec yes "the server is on fire" >&2'
	check "a remote command that writes for ever: 50 lines" \
	    wait_for 40 '[ "$(said | wc -l)" -ge 50 ]'
	rss_before=$(rss "$background")
	check "a remote command that writes for ever: up" wait_metric up 1 40
	ssh=$(log_text | sed -n 's/^ssh child pid is //p' | tail -n 1)
	sleep 2
	is "$(said | wc -l)" 50 "a remote command that writes for ever: no more"
	if [ -n "$rss_before" ]; then
		check "a remote command that writes for ever: autossh does not grow" \
		    [ $(($(rss "$background") - rss_before)) -le "$room" ]
	fi
	kill -TERM "$background"
	check "a remote command that writes for ever: TERM ends all" \
	    wait_for 20 '! alive "$background" && ! alive "$ssh"'
else
	skip "a real ssh and a real server" "$sshd_reason"
fi

# ---- a minute has passed

look flood
check "a flood: ssh is not held up" wait_for 10 '[ -e "$tmp/flooded" ]'
check "a flood: one line counts what was suppressed" \
    wait_log "ssh: 9950 more lines suppressed" 1 90
is "$(said | wc -l)" 51 "a flood: after 50 lines"
background_stop
look burst
check "a flood before a death: counted too" \
    wait_log "ssh: 150 more lines suppressed" 1 90
is "$(said | wc -l)" 51 "a flood before a death: after 50 lines"
background_stop
background "flood 20000 exit 3" -f -M 0 -N host
check "a flood before the end: counted at the end" \
    wait_log "ssh: 150 more lines suppressed" 1 10

done_testing
