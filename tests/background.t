#!/bin/sh
# background.t: -f returns when all is set up and leaves nothing of the caller's
# behind, and the pidfile is there just as long as the process it names.

# shellcheck source=tests/lib.sh disable=SC2016,SC2034
. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

linux=
[ "$(uname -s)" = Linux ] && linux=1

# over: ends what is in the background, by its pidfile.
over() {
	kill -TERM "$(cat "$dir/pid")"
	wait_for 10 '[ -z "$(left)" ]'
}

# in_dir ARG...: run, there.
in_dir() {
	run exec:sh -c 'cd "$0" && exec "$@"' "$dir" "$AUTOSSH" "$@"
}

# ---- -f

free_port
fresh hang
run AUTOSSH_PIDFILE="$dir/pid" -M "$port" -f host
ready="$(wc -l <"$dir/pid") $(log_count 'starting ssh (count 1)')"
ready="$ready $("$TOOL" connects $((port + 1)) && echo bound)"
is "$status $ready" "0 1 1 bound" \
    "-f returns 0 once pidfile and log are written and the port is bound"
is "$(cat "$dir/out" "$dir/err")" "" "without a word"
check "ssh is executed" wait_starts 1
background=$(supervisor)
is "$(cat "$dir/pid")" "$background" "the pidfile names the one in the background"
check "the foreground process is another" [ "$background" != "$pid" ]
is "$(ps -o sid= -p "$background" | tr -d ' ')" "$(
    sed 's/.*sid \([0-9]*\).*/\1/' "$dir/info.1")" "ssh is in its session"
check "which is none of the caller's" \
    [ "$(ps -o sid= -p "$background")" != "$(ps -o sid= -p $$)" ]
if [ -n "$linux" ]; then
	is "$(for fd in 0 1 2; do
		readlink "/proc/$background/fd/$fd"
	done | tr '\n' ' ')" "/dev/null /dev/null /dev/null " \
	    "its 0, 1 and 2 are /dev/null"
	is "$(head -n 2 "$dir/fds.1")" "0 /dev/null
1 /dev/null" "and so are those of ssh"
else
	skip "its 0, 1 and 2 are /dev/null" "no /proc"
	skip "and so are those of ssh" "no /proc"
fi
is "$(wc -l <"$dir/fds.1" | tr -d ' ')" 3 "ssh has these three alone"
over
is "$(left)" "" "TERM ends both"
check "the pidfile is gone" [ ! -e "$dir/pid" ]
is "$(log_text | tail -n 1)" "received signal to exit (15)" "the log goes on"

# A signal that comes when the word of the child has come too.
hold_port
fresh hang
start -M "$port" -f host
wait_for 10 '[ -n "$(children_of "$pid")" ]'
kill -STOP "$pid"
kill "$holder"
wait_starts 1
kill -USR2 "$(supervisor)" # handled after the word is given
wait_match "^status: "
kill -TERM "$pid"
kill -CONT "$pid"
wait_exit
is "$status" 0 "-f, TERM once all is set up: status 0"
kill -TERM "$(supervisor)"
wait_for 10 '[ -z "$(left)" ]'
hold_port
fresh hang
start -M "$port" -f host
wait_for 10 '[ -n "$(children_of "$pid")" ]'
kill -TERM "$pid"
wait_exit
is "$status" 143 "-f, TERM before: the signal's status"
check "-f, TERM before: nothing is left" wait_for 10 '[ -z "$(left)" ]'
is "$(starts)" 0 "-f, TERM before: no start"
kill "$holder"

for gate in unset:AUTOSSH_GATETIME AUTOSSH_GATETIME=30; do
	fresh "exit 255; hang"
	run AUTOSSH_PIDFILE="$dir/pid" $gate -M 0 -f host
	check "-f, $gate: the gate is 0" wait_starts 2
	over
done

fresh "exit 0"
run AUTOSSH_PIDFILE="$dir/pid" -M 0 -f host
check "the pidfile is gone when ssh has ended" \
    wait_for 10 '[ "$(starts)" = 1 ] && [ -z "$(left)" ] && [ ! -e "$dir/pid" ]'

fresh hang
run AUTOSSH_PIDFILE="$dir/pid" exec:sh -c '"$0" -M 0 -f host | cat; echo end' \
    "$AUTOSSH"
is "$status $(cat "$dir/out")" "0 end" "the caller's pipe is not held open"
over

fresh hang
mkdir "$dir/bin"
ln -s "$FAKESSH" "$dir/bin/ssh"
AUTOSSH_PIDFILE=pid.here AUTOSSH_LOGFILE=log.here AUTOSSH_PATH=bin/ssh
export AUTOSSH_PIDFILE
in_dir -M 0 -f host
unset AUTOSSH_PIDFILE
name="1.4g: relative paths under -f mean /"
is "$status" 0 "$name: exit status"
check "$name: pidfile" [ -s "$dir/pid.here" ]
check "$name: log" [ -s "$dir/log.here" ]
check "$name: ssh" wait_starts 1
is "$(sed 's/.* cwd //' "$dir/info.1")" "$dir" "$name: ssh's directory"
cp "$dir/pid.here" "$dir/pid"
kill -USR1 "$(cat "$dir/pid")"
check "$name: ssh at a restart" wait_starts 2
over
check "$name: the pidfile is gone" [ ! -e "$dir/pid.here" ]

fresh hang
run exec:env -i PATH=/usr/bin:/bin AUTOSSH_PATH="$FAKESSH" FAKESSH_DIR="$dir" \
    AUTOSSH_LOGFILE="$dir/log" AUTOSSH_PIDFILE="$dir/pid" "$AUTOSSH" -M 0 -f host
check "-f with next to no environment, as at boot" wait_starts 1
is "$status" 0 "its exit status"
over

# The other failures: see settings.t.
fresh hang
run AUTOSSH_PATH=/nowhere/ssh AUTOSSH_PIDFILE="$dir/pid" -M 0 -f host
is "$status $(ls "$dir/pid" 2>/dev/null)" "1 " "-f without ssh: status 1"
like "$(cat "$dir/err")" '^autossh: .*/nowhere/ssh' "-f without ssh: the reason"

# Children of a caller that ignores SIGCHLD leave no status by themselves.
fresh hang
run run:ignore=CHLD AUTOSSH_PATH=/nowhere/ssh -M 0 -f host
is "$status" 1 "-f without ssh, SIGCHLD ignored: status 1"
fresh "exit 255; hang"
run run:ignore=CHLD AUTOSSH_PIDFILE="$dir/pid" -M 0 -f host
check "-f, SIGCHLD ignored: ssh is started again" wait_starts 2
is "$status $(cat "$dir/signals.2")" "0 blocked:
ignored: CHLD" "-f, SIGCHLD ignored: so it is for ssh"
over

# Wherever the descriptors give out, something is said.
silent=
for files in 3 4 5 6 7 8 9 10 12 14 16 20; do
	fresh
	run "run:files=$files" AUTOSSH_PATH="$(command -v true)" -M 0 -f host
	[ "$status" = 0 ] || [ -s "$dir/err" ] ||
	    silent="$silent $files: $status"
done
is "$silent" "" "-f with too few descriptors: the reason"
is "$status" 0 "-f with 20 descriptors"

# ---- without 0, 1 or 2

# Nothing of ours may be taken for them: neither by us nor by ssh.
free_port
for closed in 0 1 2 "0 1" "0 2" "1 2" "0 1 2"; do
	for mode in -N -f; do
		words=
		for fd in $closed; do
			words="$words run:close=$fd"
		done
		fresh hang
		name="started without $closed, $mode"
		# shellcheck disable=SC2086 # words
		start $words AUTOSSH_PIDFILE="$dir/pid" -M "$port" $mode host
		wait_starts 1
		[ $mode = -f ] && wait_exit && is "$status" 0 "$name: status"
		if [ -n "$linux" ]; then
			bad=$(grep -cvE '^[012] (/dev/null|pipe:.*|.*/out|.*/err)$' \
			    "$dir/fds.1")
			is "$bad" 0 "$name: ssh has nothing of ours"
		else
			skip "$name: ssh has nothing of ours" "no /proc"
		fi
		wait_for 10 '[ -s "$dir/pid" ]'
		is "$(wc -l <"$dir/pid" | tr -d ' ') $(cat "$dir/out")" "1 " \
		    "$name: pidfile and output are clean"
		kill -TERM "$(cat "$dir/pid")"
		wait_for 10 '[ -z "$(left)" ]'
		[ $mode = -f ] || wait_exit
		is "$(left)" "" "$name: it ends"
	done
done

# In a place without /dev/null, as a chroot, it is not missed.
if [ "$(id -u)" -eq 0 ]; then
	empty_dev="-m"
else
	empty_dev="-U -r -m"
fi
# without_dev ARG...: autossh with an empty /dev.
without_dev() {
	# shellcheck disable=SC2086 # words
	run AUTOSSH_GATETIME=0 exec:unshare $empty_dev sh \
	    -c 'mount -t tmpfs none /dev && exec "$@"' sh "$@"
}
fresh "exit 0"
without_dev true
if [ "$status" = 0 ]; then
	without_dev "$AUTOSSH" -V
	is "$status $(cat "$dir/err")" "0 " "without /dev/null: -V"
	without_dev "$AUTOSSH" -M 0 host
	is "$status $(starts) $(cat "$dir/err")" "0 1 " "without /dev/null: ssh"
else
	skip "without /dev/null: -V" "no mount namespaces here"
	skip "without /dev/null: ssh" "no mount namespaces here"
fi

# ---- the pidfile

# lives NAME STATUS WORD...: there is one while ssh runs, and none afterwards.
lives() {
	lives_name=$1
	lives_status=$2
	shift 2
	start AUTOSSH_PIDFILE="$dir/pid" "$@" -M 0 host
	wait_starts 1
	lives_seen=
	[ "$(cat "$dir/pid")" = "$pid" ] && lives_seen=yes
	: >"$tmp/go"
	wait_exit
	rm "$tmp/go"
	is "$lives_seen $status $(find "$dir" -name 'pid*' -o -name '.*')" \
	    "yes $lives_status " "$lives_name: a pidfile while it lives"
}

fresh "await $tmp/go exit 0"
lives "ssh ends" 0 AUTOSSH_GATETIME=0
fresh "await $tmp/go exit 5"
lives "ssh fails" 1
fresh "sleep 300 exit 255"
lives "the last start" 0 AUTOSSH_GATETIME=0 AUTOSSH_MAXSTART=2
fresh hang
lives "the end of the lifetime" 0 AUTOSSH_MAXLIFETIME=4

umask 027
fresh hang
start AUTOSSH_PIDFILE="$dir/pid" -M 0 host
wait_starts 1
is "$(find "$dir/pid" -perm 640)" "$dir/pid" "the umask holds for the pidfile"
is "$(od -An -c "$dir/pid" | tr -d ' \n')" "$pid\\n" "its content: pid, newline"
is "$(find "$dir" -name 'pid*' -o -name '.*')" "$dir/pid" "no temporary is left beside it"
umask 022
kill -USR1 "$pid"
wait_starts 2
is "$(cat "$dir/pid")" "$pid" "it stays when ssh is started again"
echo 99999 >"$dir/pid"
stop
is "$(cat "$dir/pid")" 99999 "one that names another is left alone"

fresh hang
echo 99999 >"$dir/pid"
start AUTOSSH_PIDFILE="$dir/pid" -M 0 host
wait_starts 1
is "$(cat "$dir/pid")" "$pid" "an old one is replaced"
rm "$dir/pid"
stop
is "$status" 1 "one that was removed does no harm"

# What is no file is written to: a device must never be replaced or removed.
fresh hang
ln -s /dev/null "$dir/pid"
start AUTOSSH_PIDFILE="$dir/pid" -M 0 host
wait_starts 1
stop
is "$status $(readlink "$dir/pid")" "1 /dev/null" "a pidfile of /dev/null"
fresh hang
mkfifo "$dir/pid"
cat "$dir/pid" >"$dir/read" &
reader=$!
started_pids="$started_pids $reader"
# Opens when the reader has.
exec 9>"$dir/pid"
start AUTOSSH_PIDFILE="$dir/pid" -M 0 host
wait_starts 1
exec 9>&-
stop
wait_for 10 '! alive "$reader"'
kill "$reader" 2>/dev/null
wait "$reader"
forget "$reader"
is "$(cat "$dir/read") $([ -p "$dir/pid" ] && echo pipe)" "$pid pipe" \
    "a pidfile that is a pipe"
fresh hang
start exec:sh -c 'exec 9<>"$1" && rm "$1" && export AUTOSSH_PIDFILE=/dev/fd/9 &&
    exec "$2" -M 0 host' sh "$dir/gone" "$AUTOSSH"
check "a pidfile that is an open file without a name" wait_starts 1
stop

# link_case NAME MODE WANTED [LEFT]: a pidfile that is a link in a directory of
# that mode; WANTED: is what it leads to replaced?
link_case() {
	fresh hang
	mkdir "$dir/with" "$dir/to"
	chmod "$2" "$dir/with"
	echo 99999 >"$dir/to/file"
	ln -s ../to/file "$dir/with/link"
	start AUTOSSH_PIDFILE="$dir/with/link" -M 0 host
	wait_starts 1
	wanted="99999 $pid"
	[ "$3" = no ] || wanted="$pid $pid"
	is "$(cat "$dir/to/file") $(cat "$dir/with/link")" "$wanted" "$1"
	stop
	is "$(cd "$dir" && find with to ! -type d)" "$4" "$1: at the end"
}
link_case "a pidfile that is a link: the file it names is replaced" 755 yes \
    with/link
# Whoever is not autossh's user or root could have made the link.
link_case "a link that others can make is replaced" 777 no to/file

# No permission to read it, and no descriptor to read it by.
fresh hang
start run:umask=0777 AUTOSSH_PIDFILE="$dir/pid" AUTOSSH_LOGFILE=/dev/null \
    unset:FAKESSH_DIR -M 0 host
wait_for 10 '[ -e "$dir/pid" ]'
stop
is "$(ls "$dir/pid" 2>/dev/null)" "" "umask 0777: the pidfile is removed"
fresh hang
start AUTOSSH_PIDFILE="$dir/pid" -M 0 host
wait_starts 1
if prlimit --pid "$pid" --nofile=1: 2>/dev/null; then
	stop
	is "$(ls "$dir/pid" 2>/dev/null)" "" \
	    "no descriptors: the pidfile is removed"
else
	stop
	skip "no descriptors: the pidfile is removed" "no prlimit"
fi

# A signal that is none of autossh's ends neither of the two processes.
fresh hang
mkfifo "$dir/fifo"
start FIFO="$dir/fifo" AUTOSSH_PIDFILE="$dir/pid" AUTOSSH_PASSPHRASE=fd:7 \
    exec:sh -c 'exec "$0" "$@" 7<>"$FIFO"' "$AUTOSSH" -M 0 -f host
wait_for 10 'ps -o blocked= -p "$pid" | grep -q "[2367abef]...\$"'
kill -ALRM "$pid"
echo secret >"$dir/fifo"
wait_exit
is "$status" 0 "-f, SIGALRM while a passphrase is read: status 0"
over

# A pidfile is not lost where there is no room for a new one.
fresh hang
echo 99999 >"$dir/pid"
run AUTOSSH_PIDFILE="$dir/pid" exec:sh -c 'ulimit -f 0; exec "$0" "$@"' \
    "$AUTOSSH" -M 0 host
is "$(cat "$dir/pid")" 99999 "no room for a pidfile: another's stays"

# in_place FILE NAME [MODE OF ITS DIRECTORY]: one that is there, with no room for another beside it.
in_place() {
	echo 99999 >"$1"
	[ $# -lt 3 ] || chmod "$3" "${1%/*}"
	start AUTOSSH_PIDFILE="$1" -M 0 host
	wait_starts 1
	is "$(cat "$1")" "$pid" "$2"
	stop
}
fresh hang
in_place "$dir/$(printf %0255d 0)" "a pidfile with the longest of names"
if [ "$(id -u)" -eq 0 ]; then
	skip "one in another's directory" "root may write everything"
else
	fresh hang
	mkdir "$dir/closed"
	in_place "$dir/closed/pid" "one in another's directory" 555
	chmod 755 "$dir/closed"
fi

name="1.4g: a second autossh with the same pidfile"
fresh hang
start AUTOSSH_PIDFILE="$dir/pid" -M 0 host
first=$pid
wait_starts 1
start AUTOSSH_PIDFILE="$dir/pid" -M 0 host
second=$pid
wait_starts 2
if [ -r /proc/self/comm ]; then
	check "$name: a warning" wait_for 10 \
	    'log_text | grep -q "another running autossh, pid $first"'
else
	skip "$name: a warning" "no /proc"
fi
pid=$first
stop
is "$(cat "$dir/pid")" "$second" "$name: the first removes it not"
pid=$second
stop
check "$name: but the second does" [ ! -e "$dir/pid" ]

fresh hang
start AUTOSSH_PIDFILE= -M 0 host
wait_starts 1
stop
is "$status $(cat "$dir/err")" "1 " "an empty AUTOSSH_PIDFILE is none"

done_testing
