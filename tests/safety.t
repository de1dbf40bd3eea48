#!/bin/sh
# Goal: show that another user, in a directory of theirs that root's pidfile, log
# or status file is in, cannot make root's autossh write anywhere else.
#
# shellcheck disable=SC2016,SC2086,SC2119,SC2120

. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

other="setpriv --reuid=65534 --regid=65534 --clear-groups"
if [ "$(id -u)" -ne 0 ] || ! $other true; then
	skip_all "root alone can be another user"
fi
chmod 755 "$tmp"

# theirs: a case with $there, the other user's directory, and $victim, a file of
# root's in one of root's.
theirs() {
	fresh "$@"
	there=$dir/theirs
	mkdir "$there" "$dir/ours"
	chown 65534 "$there"
	victim=$dir/ours/victim
	echo precious >"$victim"
}

# as_other COMMAND...
as_other() {
	(cd / && exec $other "$@")
}

untouched() {
	is "$(cat "$victim")$(find "$dir/ours" -mindepth 1)" "precious$victim" \
	    "$1: root's file is as it was"
}

# restarts N: ssh is started N times more; each start writes to all files.
restarts() {
	restarts_left=$1
	while [ "$restarts_left" -gt 0 ]; do
		restarts_left=$((restarts_left - 1))
		restarts_seen=$(starts)
		kill -USR1 "$pid"
		wait_starts $((restarts_seen + 1)) || return
	done
}

# link_to KIND: in $there, name "file" as KIND leads to the victim.
link_to() {
	case $1 in
	"a symbolic link") as_other ln -s "$victim" "$there/file" ;;
	"a link to a new file") as_other ln -s "$dir/ours/new" "$there/file" ;;
	"a hard link") ln "$victim" "$there/file" ;;
	esac
}

theirs
link_to "a symbolic link"
run AUTOSSH_LOGFILE="$there/file" -M 0 host
is "$status $(starts) $(cat "$dir/err")" "1 0 autossh: cannot open log file \"$there/file\": Too many levels of symbolic links" \
    "LOGFILE is a symbolic link: refused"
untouched "LOGFILE is a symbolic link"
theirs
link_to "a hard link"
run AUTOSSH_LOGFILE="$there/file" -M 0 host
like "$status $(cat "$dir/err")" "^1 autossh: cannot open log .*: Too many links" \
    "LOGFILE is a hard link: refused"
untouched "LOGFILE is a hard link"

for kind in "a symbolic link" "a link to a new file" "a hard link"; do
	for name in PIDFILE STATUSFILE; do
		theirs
		link_to "$kind"
		start "AUTOSSH_$name=$there/file" -M 0 host
		wait_starts 1
		untouched "$name is $kind"
		is "$(find "$there" -name file -type f -links 1)" \
		    "$there/file" "$name is $kind: replaced by a file"
		stop
		untouched "$name is $kind, at the end"
	done
	theirs
	start "AUTOSSH_LOGFILE=$there/log" -M 0 host
	wait_for 10 'grep -qs "starting ssh (count 1)" "$there/log"'
	as_other mv "$there/log" "$there/old"
	link_to "$kind"
	as_other mv "$there/file" "$there/log"
	restarts 2
	stop
	untouched "the log becomes $kind"
	like "$(cat "$there/old")" "starting ssh \(count 3\)" \
	    "the log becomes $kind: the old file is written"
done

# The same in a directory of root's that all may write to.
sticky() {
	chown 0 "$there"
	chmod 1777 "$there"
}
for name in PIDFILE STATUSFILE; do
	theirs
	sticky
	link_to "a symbolic link"
	start "AUTOSSH_$name=$there/file" -M 0 host
	wait_starts 1
	stop
	untouched "$name is another user's link in a sticky directory"
	theirs
	sticky
	ln -s "$victim" "$there/file"
	start "AUTOSSH_$name=$there/file" -M 0 host
	wait_starts 1
	unlike "$(cat "$victim")" "precious" \
	    "$name is root's link there: it is followed"
	stop
done

# Where the file cannot be replaced either.
us="setpriv --reuid=65533 --regid=65533 --clear-groups"
if $us test -x "$AUTOSSH"; then
	for kind in "a symbolic link" "a hard link"; do
		for name in PIDFILE STATUSFILE; do
			theirs
			link_to "$kind"
			chown 65533 "$dir" "$dir/ours" "$victim"
			start "AUTOSSH_$name=$there/file" AUTOSSH_MAXLIFETIME=2 \
			    "exec:$(command -v setpriv)" ${us#setpriv} "$AUTOSSH" \
			    -M 0 host
			wait_exit
			untouched "$name of an ordinary user is $kind"
			like "$(cat "$dir/err")" "cannot write .* file" \
			    "$name of an ordinary user is $kind: refused"
		done
	done
else
	skip "an ordinary user's files" "nobody may run $AUTOSSH"
fi

theirs
ln -s /dev/full "$there/file"
chown -h 65534 "$there/file"
start AUTOSSH_STATUSFILE="$there/file" -M 0 host
wait_starts 1
check "STATUSFILE is a link to a device: it is replaced" [ -f "$there/file" ]
stop

# Now a FIFO, now a link, as fast as it goes.  The FIFO has a reader, so that it
# can be opened.
cat >"$tmp/swap" <<'END'
#!/bin/sh
cd "$1" || exit
mkfifo -m 666 fifo
sleep 1000 <>fifo &
reader=$!
while [ ! -e stop ]; do
	ln fifo new && mv -f new file
	ln -s "$2" new && mv -f new file
done
kill "$reader"
END
for name in PIDFILE STATUSFILE LOGFILE; do
	theirs
	as_other sh "$tmp/swap" "$there" "$victim" 2>/dev/null &
	swapper=$!
	started_pids="$started_pids $swapper"
	wait_for 10 '[ -h "$there/file" ]'
	case $name in
	LOGFILE) first=$there/log ;;
	*) first=$there/file ;;
	esac
	start "AUTOSSH_$name=$first" AUTOSSH_GATETIME=0 -M 0 host
	wait_starts 1
	[ "$name" != LOGFILE ] || as_other ln -sf file "$there/log"
	check "$name is swapped: ssh is started 50 times" restarts 50
	stop
	as_other touch "$there/stop"
	wait "$swapper"
	forget "$swapper"
	untouched "$name is swapped"
done

done_testing
