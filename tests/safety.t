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

# sticky: it becomes a directory of root's that all may write to.
sticky() {
	chown 0 "$there"
	chmod 1777 "$there"
}

# link_to KIND: in $there, name "file" as KIND leads to the victim.
link_to() {
	case $1 in
	"a symbolic link") as_other ln -s "$victim" "$there/file" ;;
	"a link to a new file") as_other ln -s "$dir/ours/new" "$there/file" ;;
	"a hard link") ln "$victim" "$there/file" ;;
	esac
}

# log_refused NAME REASON: the log $there/file is, with --dry-run too
log_refused() {
	for dry in "" --dry-run; do
		run AUTOSSH_LOGFILE="$there/file" $dry -M 0 host
		is "$status $(starts) $(cat "$dir/err")" \
		    "1 0 autossh: cannot open log file \"$there/file\": $2" \
		    "LOGFILE is $1: refused${dry:+, $dry}"
	done
	untouched "LOGFILE is $1"
}

theirs
link_to "a symbolic link"
log_refused "a symbolic link" "Too many levels of symbolic links"
theirs
link_to "a hard link"
log_refused "a hard link" "Too many links"
sticky
log_refused "a hard link in a sticky directory" "Too many links"
theirs
ln -s "$victim" "$dir/tool"
ln -P "$dir/tool" "$there/file"
ln -s "$dir/ours" "$dir/tools"
ln -P "$dir/tools" "$there/run"
sticky
run AUTOSSH_LOGFILE="$there/file" -M 0 host
like "$status $(cat "$dir/err")" "^1 .*Too many levels" \
    "LOGFILE is a hard link to a link of root's: refused"
run AUTOSSH_LOGFILE="$there/run/victim" -M 0 host
like "$status $(cat "$dir/err")" "^1 .*Permission denied" \
    "LOGFILE in a hard link to a link of root's: refused"
untouched "LOGFILE and hard links to links of root's"

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

# The same in a sticky directory.
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
	# as_user VARIABLE=VALUE: runs an ordinary user's autossh for 2 s.
	as_user() {
		run "$1" AUTOSSH_MAXLIFETIME=2 "exec:$(command -v setpriv)" \
		    ${us#setpriv} "$AUTOSSH" -M 0 host
	}
	theirs
	chown 65533 "$dir"
	as_user "AUTOSSH_PIDFILE=$dir/ours/pid"
	like "$(cat "$dir/err")" "cannot write pid file .*: Permission denied" \
	    "an ordinary user: a directory of root's: the error says why"
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

# The same with the directory that the file is in.  link_dir TARGET: "run", in
# $there, as their link to TARGET.
link_dir() {
	as_other ln -sfn "$1" "$there/run"
}
for name in PIDFILE LOGFILE; do
	theirs
	link_dir "$dir/ours"
	run "AUTOSSH_$name=$there/run/victim" -M 0 host
	like "$status $(starts) $(cat "$dir/err")" \
	    "^1 0 autossh: cannot .* file .*: Permission denied$" \
	    "$name in a directory that is their link to ours: refused"
	untouched "$name in a directory that is their link to ours"
done
theirs
link_dir "$dir/ours"
start "AUTOSSH_STATUSFILE=$there/run/victim" -M 0 host
wait_starts 1
stop
like "$(cat "$dir/err")" "cannot write status file .*: Permission denied" \
    "STATUSFILE in a directory that is their link to ours: refused"
untouched "STATUSFILE in a directory that is their link to ours"

theirs
sticky
link_dir "$dir/ours"
run "AUTOSSH_PIDFILE=$there/run/victim" -M 0 host
like "$status $(cat "$dir/err")" "^1 .*Permission denied" \
    "a directory that is their link in a sticky directory: refused"
if unshare -m mount -t tmpfs tmpfs /proc/sys 2>/dev/null; then
	run "AUTOSSH_PIDFILE=$there/run/victim" exec:unshare -m sh -c \
	    'mount -t tmpfs tmpfs /proc/sys && exec "$0" -M 0 host' "$AUTOSSH"
	like "$status $(cat "$dir/err")" "^1 .*Permission denied" \
	    "the same without /proc/sys: the message is the same"
else
	skip "the same without /proc/sys: the message is the same" \
	    "no mount namespaces here"
fi
untouched "a directory that is their link in a sticky directory"
theirs
as_other mkdir "$there/real"
ln -s "$there/real" "$there/run"
run "AUTOSSH_PIDFILE=$there/run/pid" -M 0 host
like "$status $(cat "$dir/err")" "^1 .*Permission denied" \
    "a directory that is our link to theirs, in theirs: refused"

theirs
as_other ln -s "$dir/mine" "$there/run"
ln -s "$dir/ours" "$dir/mine"
run "AUTOSSH_PIDFILE=$there/run/victim" -M 0 host
like "$status $(cat "$dir/err")" "^1 .*Permission denied" \
    "their link to our link: refused"
untouched "their link to our link"
theirs
ln -s "$there/run" "$dir/ours/out"
link_dir "$dir/ours"
run "AUTOSSH_PIDFILE=$dir/ours/out/victim" -M 0 host
like "$status $(cat "$dir/err")" "^1 .*Permission denied" \
    "our link to their link: refused"
rm "$dir/ours/out"
untouched "our link to their link"

# One of root's that they move there.
theirs
mkdir "$dir/ours/notes"
ln -s "$dir/ours" "$there/notes"
run "AUTOSSH_PIDFILE=$there/notes/victim" -M 0 host
like "$status $(cat "$dir/err")" "^1 .*Permission denied" \
    "a directory that is our link to ours, in theirs: refused"
rmdir "$dir/ours/notes"
untouched "a directory that is our link to ours, in theirs"

# A working directory that they can move elsewhere.
theirs
as_other mkdir "$there/run"
run AUTOSSH_PIDFILE=../../ours/victim \
    exec:sh -c 'cd "$1" && exec "$2" -M 0 host' sh "$there/run" "$AUTOSSH"
like "$status $(cat "$dir/err")" "^1 .*Permission denied" \
    "a path upwards from a directory of theirs: refused"
untouched "a path upwards from a directory of theirs"

# What is not refused.
followed() {
	theirs
	as_other mkdir "$there/real"
	link_dir "$there/real"
	start "AUTOSSH_PIDFILE=$there/run/pid" "AUTOSSH_LOGFILE=$there/run/log" \
	    "AUTOSSH_STATUSFILE=$there/run/status" -M 0 host
	wait_starts 1
	is "$(cd "$there/real" && echo *)" "log pid status" \
	    "a directory that is their link to theirs: files are made there"
	stop
	is "$(cd "$there/real" && echo *)" "log status" \
	    "a directory that is their link to theirs: the pidfile is removed"

	# Group members could change the link.
	theirs
	mkdir "$dir/group" "$dir/ours/real"
	chmod 775 "$dir/group"
	ln -s "$dir/ours/real" "$dir/group/run"
	start "AUTOSSH_PIDFILE=$dir/group/run/pid" -M 0 host
	wait_starts 1
	check "our link in a directory that others can write to: followed" \
	    [ -f "$dir/ours/real/pid" ]
	stop

	$us test -x "$AUTOSSH" || return
	theirs
	chown 65533 "$dir"
	mkdir -m 775 "$dir/shared"
	mkdir "$dir/disk"
	chown 65533 "$dir/disk"
	ln -s "$dir/disk" "$dir/shared/disk"
	as_user "AUTOSSH_STATUSFILE=$dir/shared/disk/status"
	check "an ordinary user: root's link in a group's directory: followed" \
	    [ -f "$dir/disk/status" ]
}
if built_with HAVE_DECL_O_PATH; then
	followed
else
	skip "links that are not safe" "built without O_PATH"
fi

# While autossh runs, the directory becomes a link.
theirs
as_other mkdir "$there/run"
start "AUTOSSH_PIDFILE=$there/run/victim" "AUTOSSH_LOGFILE=$there/run/log" \
    "AUTOSSH_STATUSFILE=$there/run/status" -M 0 host
wait_starts 1
as_other mv "$there/run" "$there/old"
link_dir "$dir/ours"
restarts 2
stop
untouched "the directory becomes a link"
is "$(cd "$there/old" && echo *)" "log status" \
    "the directory becomes a link: the pidfile is removed where it is now"
like "$(cat "$there/old/log")" "starting ssh \(count 3\)" \
    "the directory becomes a link: the old log is written"

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

# Now a directory, now a link to one, as fast as it goes.
cat >"$tmp/swap_dir" <<'END'
#!/bin/sh
cd "$1" || exit
mkdir real
while [ ! -e stop ]; do
	mv -T real run
	mv -T run real
	ln -s "$2" run
	rm run
done
END
theirs
as_other sh "$tmp/swap_dir" "$there" "$dir/ours" 2>/dev/null &
swapper=$!
started_pids="$started_pids $swapper"
wait_for 10 '[ -d "$there/run" ] || [ -d "$there/real" ]'
start "AUTOSSH_STATUSFILE=$there/run/victim" "AUTOSSH_LOGFILE=$dir/log" \
    AUTOSSH_GATETIME=0 -M 0 host
wait_starts 1
check "the directory is swapped: ssh is started 50 times" restarts 50
check "the directory is swapped: to the end" alive "$swapper"
stop
as_other touch "$there/stop"
wait "$swapper"
forget "$swapper"
untouched "the directory is swapped"

done_testing
