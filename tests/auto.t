#!/bin/sh
# auto.t: with "-M auto", or without -M, nobody has to choose a port: the
# monitor's ends here are private sockets, and the port between its ends on the
# server is another one at every start.

# shellcheck disable=SC2016,SC2034,SC2317 # conditions are evaluated later
: "${TEST_LIMIT=900}"
. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

chmod 755 "$tmp"

# What ssh N was given: the private directory, the port on the server.
auto_dir() {
	argv "${1:-1}" | sed -n 's|.*<-L> <\(/[^>]*\)/w:.*|\1|p'
}
auto_port() {
	argv "${1:-1}" | sed -n 's/.*<-R> <127\.0\.0\.1:\([0-9]*\):.*/\1/p'
}

# The command line of ssh 1 with what differs from run to run as DIR and R.
argv_plain() {
	argv 1 | sed "s|$(auto_dir 1)/|DIR/|g" |
	    sed 's/:\(2[0-9]\|3[0-2]\)[0-9][0-9][0-9]\([:>]\)/:R\2/g'
}

# ---- the command line

forwards="<-L> <DIR/w:127.0.0.1:R> <-R> <127.0.0.1:R:DIR/r>"
forwards6="<-L> <DIR/w:[::1]:R> <-R> <[::1]:R:DIR/r>"

# gives NAME WANTED WORD...: ssh's command line
gives() {
	given_name=$1
	given=$2
	shift 2
	fresh "exit 1"
	start AUTOSSH_MAXSTART=1 "$@"
	wait_starts 1
	is "$(argv_plain)" "$given" "$given_name"
	for background in $(survivors "$dir"); do
		kill -TERM "$background" 2>/dev/null
	done
	wait_exit
	wait_for 10 '[ -z "$(left)" ]'
}
gives "no -M: the forwardings stand first" "$forwards <-N> <host>" -N host
gives "-M auto: where it stood" "<-N> $forwards <host>" -N -M auto host
gives "-Mauto behind the destination" "<host> $forwards <-N>" host -Mauto -N
gives "-fNMauto" "<-N> $forwards <host>" -fNMauto host
gives "-NM auto" "<-N> $forwards <host>" -NM auto host
gives "-fM auto -N" "$forwards <-N> <host>" -fM auto -N host
gives "AUTOSSH_PORT=auto: first of all" "$forwards <-N> <host>" \
    AUTOSSH_PORT=auto -N host
gives "AUTOSSH_PORT=auto beats -M" "$forwards <-N> <host>" \
    AUTOSSH_PORT=auto -N -M 20000 host
gives "AUTOSSH_PORT beats -M auto" "<-N> <host>" AUTOSSH_PORT=0 -N -M auto host
gives "the last -M counts" "$forwards <-N> <host>" -M 20000 -N -M auto host
gives "the last -M counts: 0" "<-N> <host>" -M auto -N -M 0 host
gives "-6: ::1 on the server" "$forwards6 <-6> <-N> <host>" -6 -N host
gives "-M auto in a remote command is not ours" \
    "$forwards <host> <cmd> <-M> <auto>" host cmd -M auto

for wrong in AUTO Auto auto: auto:7 autos " auto"; do
	fresh
	run -M "$wrong" -N host
	is "$status $(starts)" "1 0" "-M \"$wrong\" is an error"
	like "$(cat "$dir/err")" "^autossh: -M: .*$wrong" "and says so"
done

# ---- the private sockets

fresh forward
start AUTOSSH_FIRST_POLL=6 AUTOSSH_POLL=4 -N host
check "tests pass" wait_log "connection ok" 3
is "$(starts)" 1 "and ssh is left alone"
place=$(auto_dir)
is "$(find "$place" -prune -perm 700 -type d)" "$place" \
    "the directory is for its owner alone"
is "$(cd "$place" && echo *)" "r w" "and holds two sockets"
if [ -r /proc/net/tcp ] && [ -d "/proc/$pid/fd" ]; then
	sockets=$(find "/proc/$pid/fd" -type l -exec readlink {} + |
	    sed -n 's/^socket:\[\([0-9]*\)\]$/\1/p')
	listening=
	for socket in $sockets; do
		listening=$listening$(awk -v i="$socket" '$10 == i && $4 == "0A"' \
		    /proc/net/tcp /proc/net/tcp6 2>/dev/null)
	done
	like "$sockets" "[0-9]" "it listens somewhere"
	is "$listening" "" "but on no port"
else
	skip "it listens somewhere" "no /proc/net/tcp"
	skip "but on no port" "no /proc/net/tcp"
fi

# Another user, where we may be one.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	cp "$TOOL" "$tmp/tool"
	chmod 755 "$tmp/tool"
	other() {
		(cd / && setpriv --reuid 65534 --regid 65534 --clear-groups -- \
		    "$@")
	}
	check "another user can run the tool" \
	    eval 'other "$tmp/tool" now >/dev/null'
	check "but not into it" eval '! other ls "$place" 2>/dev/null'
	for name in w r; do
		check "we reach the socket $name" \
		    "$tmp/tool" connects "$place/$name"
		check "another user does not reach the socket $name" \
		    eval '! other "$tmp/tool" connects "$place/$name"'
	done
else
	skip "another user reaches nothing" "root alone can be another user"
fi
stop
is "$status" 1 "TERM ends it"
is "$(private_dirs)" "" "and nothing is left"

# Root may enter every directory, so this takes another user.
fresh
cp "$AUTOSSH" "$dir/autossh"
cp "$FAKESSH" "$dir/ssh"
chmod 755 "$dir/autossh" "$dir/ssh"
as="env"
if [ "$(id -u)" -eq 0 ]; then
	as="setpriv --reuid 65534 --regid 65534 --clear-groups"
fi
# shellcheck disable=SC2086 # words
if $as true 2>/dev/null; then
	start run:umask=0377 unset:FAKESSH_DIR FAKESSH_PLAN=forward \
	    AUTOSSH_PATH="$dir/ssh" AUTOSSH_LOGFILE=/dev/stdout \
	    AUTOSSH_FIRST_POLL=20 \
	    exec:${as%% *} ${as#"${as%% *}"} "$dir/autossh" -N host
	check "a umask that takes the owner's rights: a test passes" \
	    wait_for 15 'grep -q "connection ok" "$dir/out"'
	stop
	cp "$dir/out" "$dir/log.out"
	is "$status $(private_dirs)" "1 " "and nothing is left"
else
	skip "a umask that takes the owner's rights: a test passes" "no setpriv"
	skip "and nothing is left" "no setpriv"
fi

# SIGKILL leaves the directory, which harms nobody.
fresh forward
start AUTOSSH_FIRST_POLL=20 -N host
wait_starts 1
first=$(auto_dir)
kill -KILL "$pid"
wait_exit
ssh=$(ssh_pid 1)
if built_with HAVE_PRCTL || built_with HAVE_PROCCTL; then
	check "SIGKILL: ssh ends too" wait_for 10 '! alive "$ssh"'
else
	kill "$ssh"
	skip "SIGKILL: ssh ends too" "built without prctl"
fi
check "SIGKILL: the directory stays" test -d "$first"
start AUTOSSH_FIRST_POLL=20 -N host
check "SIGKILL: the next one comes up" wait_log "connection ok"
unlike "$(auto_dir 2)" "^$first\$" "SIGKILL: in a directory of its own"
stop
rm -rf "$first"

# ---- every start

fresh "exit 255"
start AUTOSSH_GATETIME=0 AUTOSSH_POLL=1 AUTOSSH_MAXSTART=12 -N host
wait_exit
ports=$(sed -n 's/.*<-L> <[^>]*:127\.0\.0\.1:\([0-9]*\)>.*/\1/p' "$dir/argv")
is "$(echo "$ports" | awk '$1 >= 20000 && $1 <= 32767' | wc -l)" 12 \
    "12 starts: the port on the server is one of 20000 to 32767"
check "12 starts: nearly always another one" \
    [ "$(echo "$ports" | sort -u | wc -l)" -ge 10 ]
is "$(sed -n 's/.*:\([0-9]*\)> <-R> <127\.0\.0\.1:\([0-9]*\):.*/\1 \2/p' \
    "$dir/argv" | awk '$1 == $2' | wc -l)" 12 \
    "12 starts: both forwardings name the same one"

# The stand-in, as ssh, cannot listen where a socket is left.
fresh "forward"
start AUTOSSH_GATETIME=0 AUTOSSH_FIRST_POLL=20 -N host
wait_log "connection ok"
kill -KILL "$(ssh_pid 1)"
check "a socket left by ssh is no obstacle" wait_log "connection ok" 2
is "$(auto_dir 2)" "$(auto_dir 1)" "the directory stays the same"

rm -rf "$(auto_dir)"
kill -KILL "$(ssh_pid 2)"
check "the directory vanished: the next ssh has a new one" \
    wait_log "connection ok" 3
unlike "$(auto_dir 3)" "^$(auto_dir 1)\$" "it has a new name"

rm -rf "$(auto_dir 3)"
kill -HUP "$pid"
check "it vanished under a sound ssh: the log says so" wait_for 15 \
    'log_text | grep -q "^the private sockets in .* have been removed"'
sleep 2
is "$(starts) $(log_count "port down, restarting ssh")" "3 0" \
    "and ssh is left alone"
is "$(log_text | grep -c "have been removed")" 1 "which is said once"
kill -USR1 "$pid"
check "the next ssh has new sockets" wait_log "connection ok" 4
rm -f "$(auto_dir 4)/r"
kill -USR1 "$pid"
check "our socket alone vanished: a new one" wait_log "connection ok" 5
check "and still for its owner alone" \
    test -n "$(find "$(auto_dir 5)" -prune -perm 700 -type d)"
# No socket can be made: the lowest that there is now is beyond the limit.
socket=
for fd in 3 4 5 6 7 8 9; do
	case $socket$(readlink "/proc/$pid/fd/$fd" 2>/dev/null) in
	socket:*) socket=$fd ;;
	esac
done
if [ -n "$socket" ] && prlimit --pid "$pid" "--nofile=$socket:" 2>/dev/null; then
	rm -rf "$(auto_dir 5)"
	kill -USR1 "$pid"
	check "no descriptors are left: the log says so" \
	    wait_log "cannot make private sockets: Too many open files"
	unlike "$(log_text)" "^cannot run" "and nothing else"
	prlimit --pid "$pid" "--nofile=1000:"
	check "there are some again: a test passes" wait_log "connection ok" 6
else
	skip "no descriptors are left: the log says so" "no prlimit or /proc"
	skip "and nothing else" "no prlimit or /proc"
	skip "there are some again: a test passes" "no prlimit or /proc"
fi
stop
is "$status $(left)" "1 " "it ends as ever"
is "$(private_dirs)" "" "nothing is left"

# ---- where the directory is

# layout MODE VARTMP COMMAND...: with a /tmp of that mode, and a /var/tmp that is
# "ro" or "rw", in a mount namespace; $tmp stays where it is, and is /mnt too.
cat >"$tmp/layout" <<'END'
#!/bin/sh
top=$(dirname "$0")
mode=$1
var=$2
shift 2
mkdir -p "$top/new" && mount -t tmpfs -o "mode=$mode" none "$top/new" || exit 77
case $top in
/tmp/*)
	mkdir -p "$top/new/${top#/tmp/}" &&
	    mount --bind "$top" "$top/new/${top#/tmp/}" || exit 77 ;;
esac
mount --bind "$top" /mnt &&
    mount -t tmpfs -o "mode=1777,$var" none /var/tmp &&
    mount --rbind "$top/new" /tmp || exit 77
exec "$@"
END
cp "$AUTOSSH" "$tmp/autossh"
cp "$FAKESSH" "$tmp/fakessh"
chmod 755 "$tmp/layout" "$tmp/autossh" "$tmp/fakessh"
if [ "$(id -u)" -eq 0 ]; then
	own="unshare -m"
else
	own="unshare -U -r -m"
fi

# places NAME MODE VARTMP WANTED WORD...: WANTED begins the directory's path
places() {
	place_name=$1
	place_wanted=$4
	place_layout="$2 $3"
	shift 4
	fresh forward
	# shellcheck disable=SC2086 # words
	start AUTOSSH_PATH="$tmp/fakessh" AUTOSSH_FIRST_POLL=20 "$@" \
	    exec:unshare ${own#unshare} "$tmp/layout" $place_layout \
	    "$tmp/autossh" -N host
	check "$place_name: a test passes" wait_log "connection ok"
	like "$(auto_dir)" "^$place_wanted/[^/]*\$" "$place_name: where"
	kill -TERM "$(supervisor)"
	wait_exit
}

# nowhere NAME WORD...: no place is left; the error names each
nowhere() {
	nowhere_name=$1
	shift
	for flag in -N -fN --dry-run; do
		fresh forward
		# shellcheck disable=SC2086 # words
		run AUTOSSH_PATH="$tmp/fakessh" "$@" exec:unshare \
		    ${own#unshare} sh -c 'mount -t tmpfs -o ro none /dev/shm &&
		    exec "$@"' sh "$tmp/layout" 777 ro "$tmp/autossh" "$flag" host
		is "$status $(starts)" "1 0" "$nowhere_name, $flag: status 1"
	done
}

# An owner whom our user namespace cannot name, as root here, counts as root.
fresh
# shellcheck disable=SC2086 # words
if $as unshare -U -r true 2>/dev/null; then
	run AUTOSSH_PATH="$tmp/fakessh" unset:TMPDIR unset:AUTOSSH_LOGFILE \
	    exec:${as%% *} ${as#"${as%% *}"} unshare -U -r "$tmp/autossh" \
	    --dry-run -N host
	is "$status" 0 "/tmp of an owner who has no number here: it is safe"
	like "$(cat "$dir/out")" "/tmp/autossh-XXXXXX/w:" "and comes first"
else
	skip "/tmp of an owner who has no number here" "no user namespaces here"
	skip "and comes first" "no user namespaces here"
fi

fresh
# shellcheck disable=SC2086 # words
if $own "$tmp/layout" 1777 rw true 2>/dev/null; then
	mkdir "$tmp/second" "$tmp/second/dir"
	places "/tmp comes first" 1777 rw /tmp TMPDIR="$tmp/second" \
	    XDG_RUNTIME_DIR="$tmp/second"
	places "/tmp without its sticky bit: TMPDIR" 777 rw /mnt/second \
	    TMPDIR=/mnt/second
	places "then /var/tmp" 777 rw /var/tmp unset:TMPDIR
	places "a pod whose /tmp is an emptyDir, read-only else: /dev/shm" \
	    777 ro /dev/shm unset:TMPDIR
	places "TMPDIR is relative: /var/tmp" 777 rw /var/tmp TMPDIR=second
	places "TMPDIR is not there: /var/tmp" 777 rw /var/tmp TMPDIR=/mnt/none
	# Others could put a directory of theirs in the place of ours.
	mkdir "$tmp/open" "$tmp/open/dir" "$tmp/group" "$tmp/sticky" \
	    "$tmp/sticky/dir"
	chmod 777 "$tmp/open"
	chmod 770 "$tmp/group"
	chmod 1777 "$tmp/sticky"
	places "others may write to TMPDIR: /var/tmp" 777 rw /var/tmp \
	    TMPDIR=/mnt/open
	places "others may write above TMPDIR: /var/tmp" 777 rw /var/tmp \
	    TMPDIR=/mnt/open/dir
	places "a group may write to TMPDIR: /var/tmp" 777 rw /var/tmp \
	    TMPDIR=/mnt/group
	places "the sticky bit protects TMPDIR" 777 rw /mnt/sticky \
	    TMPDIR=/mnt/sticky
	places "and what is above it" 777 rw /mnt/sticky/dir \
	    TMPDIR=/mnt/sticky/dir
	# What ssh reads in a path: "%" begins a token, ":" ends it, "${" is a
	# variable.
	for odd in 'per%cent' 'co:lon' 'dol$lar' 'back\slash'; do
		mkdir "$tmp/$odd"
		places "a TMPDIR named $odd: /var/tmp" 777 rw /var/tmp \
		    TMPDIR="/mnt/$odd"
	done
	ln -s second/dir "$tmp/link"
	places "TMPDIR is a link: where it leads" 777 rw /mnt/second/dir \
	    TMPDIR=/mnt/link
	long=$(printf '%0100d' 0)
	mkdir "$tmp/$long"
	places "a TMPDIR of more than 100 bytes: /tmp" 1777 rw /tmp TMPDIR="/mnt/$long"
	places "a TMPDIR of more than 100 bytes: /var/tmp" 777 rw /var/tmp \
	    TMPDIR="/mnt/$long"
	nowhere "a long TMPDIR is all there is" TMPDIR="/mnt/$long"
	like "$(cat "$dir/err")" \
	    '^autossh: cannot make private sockets: /tmp: other users could' \
	    "nowhere: what is wrong with /tmp"
	like "$(cat "$dir/err")" '; /[^;]*: its path is too long' \
	    "nowhere: what is wrong with TMPDIR"
	like "$(cat "$dir/err")" '; /var/tmp: Read-only file system; /dev/shm: ' \
	    "nowhere: what is wrong with the others"
	is "$(ls -A "$tmp/$long")" "" "nowhere: nothing is left"
	if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
		mkdir "$tmp/another"
		chown 65534 "$tmp/another"
		places "TMPDIR is another user's: /var/tmp" 777 rw /var/tmp \
		    TMPDIR=/mnt/another
		mkdir "$tmp/another/root"
		places "TMPDIR is in another user's: /var/tmp" 777 rw /var/tmp \
		    TMPDIR=/mnt/another/root
		# It leads to a safe place now, and to the other user's then.
		mkdir -m 755 "$tmp/another/trap"
		chown 65534 "$tmp/another/trap"
		cat >"$tmp/swap" <<'END'
#!/bin/sh
cd "$1" || exit
while [ ! -e stop ]; do
	ln -s "$2" new && mv -T new link
	ln -s trap new && mv -T new link
done
END
		fresh "exit 255"
		(cd / && exec setpriv --reuid 65534 --regid 65534 \
		    --clear-groups sh "$tmp/swap" "$tmp/another" \
		    /mnt/second) &
		swapper=$!
		started_pids="$started_pids $swapper"
		wait_for 10 '[ -h "$tmp/another/link" ]'
		# shellcheck disable=SC2016,SC2086 # words; expanded there
		start AUTOSSH_PATH="$tmp/fakessh" TMPDIR=/mnt/another/link \
		    AUTOSSH_MAXSTART=1 exec:unshare ${own#unshare} \
		    "$tmp/layout" 777 rw sh -c 'n=30
		    while [ $((n -= 1)) -ge 0 ]; do
		    "$0" -N host
		    done' "$tmp/autossh"
		wait_exit 300
		: >"$tmp/another/stop"
		wait "$swapper"
		forget "$swapper"
		is "$(starts)" 30 "a TMPDIR that is swapped: 30 starts"
		is "$(grep -c "/another/" "$dir/argv") $(find \
		    "$tmp/another/trap" -mindepth 1)" "0 " \
		    "a TMPDIR that is swapped: never in the other user's"
	else
		skip "another user's TMPDIR" "root alone can be another user"
	fi
else
	skip "where the directory is" "no mount namespaces here"
fi

# ---- many on one machine

fresh
export FAKESSH_PLAN=forward
many=200
pids=
n=0
while [ "$n" -lt "$many" ]; do
	n=$((n + 1))
	mkdir "$dir/$n"
	FAKESSH_DIR=$dir/$n AUTOSSH_LOGFILE=$dir/$n/log \
	    AUTOSSH_FIRST_POLL=20 "$TOOL" run -- "$AUTOSSH" -N host \
	    </dev/null >/dev/null 2>>"$dir/err" &
	pids="$pids $!"
	started_pids="$started_pids $!"
done
passed() {
	grep -l "connection ok" "$dir"/*/log 2>/dev/null | wc -l
}
wait_for 90 '[ "$(passed)" -eq "$many" ]'
is "$(passed)" "$many" "$many at once: a test of each passes"
is "$(cat "$dir"/*/starts | wc -l)" "$many" "$many at once: at the first start"
is "$(cat "$dir"/*/argv | sed -n 's|.*<-L> <\(/[^>]*\)/w:.*|\1|p' | sort -u |
    wc -l)" "$many" "$many at once: each in a directory of its own"
# shellcheck disable=SC2086 # words
kill -TERM $pids
for n in $pids; do
	wait "$n"
	forget "$n"
done
check "$many at once: all ssh are gone" wait_for 20 \
    '[ -z "$(survivors "$dir"/*/)" ]'
is "$(private_dirs "$dir"/*/)" "" "$many at once: nothing is left"
is "$(cat "$dir/err")" "" "$many at once: without a word"
unset FAKESSH_PLAN

# ---- a real server

if ! sshd_start; then
	skip "with a real sshd" "$sshd_reason"
	done_testing
fi

# What the real ssh is started with is in the log, on level 7.
command_of() {
	log_text | grep '^command: ' | sed -n "${1}p"
}
real_port() {
	command_of "$1" | sed -n "s/.* -R 127\.0\.0\.1:\([0-9]*\):.*/\1/p"
}
last_ssh() {
	log_text | sed -n 's/^ssh child pid is //p' | tail -n 1
}
leads_to_sshd() {
	ssh-keyscan -t ed25519 -T 2 -p "$1" 127.0.0.1 2>/dev/null | grep -q "ssh-"
}
real() {
	fresh
	free_port
	tunnel=$port
	start AUTOSSH_PATH="$SSH" AUTOSSH_GATETIME=0 AUTOSSH_FIRST_POLL=6 \
	    AUTOSSH_POLL=4 "$@" -F "$SSH_CONFIG" -N \
	    -L "$tunnel:127.0.0.1:$SSHD_PORT" server
}

real
check "real ssh: the tunnel passes" wait_for 30 'leads_to_sshd "$tunnel"'
check "real ssh: a test passes" wait_log "connection ok" 1 30
is "$(log_count "port down, restarting ssh")" 0 "real ssh: none has failed"

# The server does not see that its client is gone: the session there is
# stopped, and holds its port.
held=
for session in $(sshd_sessions); do
	kill -STOP "$session"
	held="$held $session"
done
started_pids="$started_pids $held"
kill -KILL "$(last_ssh)"
passed=$(log_count "connection ok")
check "the server holds the old session: the next ssh comes up" \
    wait_log "starting ssh (count 2)"
check "the server holds the old session: its test passes" \
    wait_log "connection ok" $((passed + 1)) 30
check "the server holds the old session: the tunnel is back" \
    wait_for 30 'leads_to_sshd "$tunnel"'
check "the server holds the old session: the old port is still taken" \
    "$TOOL" connects "$(real_port 1)"
is "$(log_count "starting ssh (count 3)")" 0 \
    "the server holds the old session: one restart was enough"

# The same, noticed by a test: ssh lives, and nothing comes through.
more=
for session in $(sshd_sessions); do
	case "$held " in *" $session "*) continue ;; esac
	kill -STOP "$session"
	more="$more $session"
done
started_pids="$started_pids $more"
check "the session is silent: a test notices" \
    wait_log "port down, restarting ssh" 1 40
passed=$(log_count "connection ok")
check "the session is silent: the next ssh's test passes" \
    wait_log "connection ok" $((passed + 1)) 30
check "the session is silent: the old port is still taken" \
    "$TOOL" connects "$(real_port 2)"
for session in $held $more; do
	kill -KILL "$session" 2>/dev/null
	forget "$session"
done
stop
is "$status" 1 "real ssh: TERM ends it"
is "$(private_dirs)" "" "real ssh: nothing is left"

# Sockets on this side alone: nothing new is asked of the server.
real -o ExitOnForwardFailure=yes
check "ExitOnForwardFailure=yes: a test passes" wait_log "connection ok" 1 30
stop

if "$TOOL" ipv6; then
	sed -i.bak "1i\\
ListenAddress ::1" "$SSHD_DIR/sshd_config"
	sshd_down
	sshd_up || bail_out "$sshd_reason"
	real -6 -o HostName=::1
	check "-6: a test passes" wait_log "connection ok" 1 30
	like "$(command_of 1)" "\\[::1\\]:[0-9]*' -R '\\[::1\\]:" \
	    "-6: through ::1"
	stop
else
	skip "-6: a test passes" "no IPv6"
	skip "-6: through ::1" "no IPv6"
fi

# Many with a real server: they share its ports.  Two that choose the same, which
# happens once in 70 runs, count as one: the second sees refusals.
fresh
many=20
pids=
n=0
while [ "$n" -lt "$many" ]; do
	n=$((n + 1))
	mkdir "$dir/$n"
	AUTOSSH_LOGFILE=$dir/$n/log AUTOSSH_PATH=$SSH AUTOSSH_GATETIME=0 \
	    AUTOSSH_FIRST_POLL=20 AUTOSSH_STATUSFILE=$dir/$n/status \
	    "$TOOL" run -- "$AUTOSSH" -F "$SSH_CONFIG" -N server \
	    </dev/null >/dev/null 2>>"$dir/$n/err" &
	pids="$pids $!"
	started_pids="$started_pids $!"
done
# The last port of each.
ports() {
	awk 'match($0, / -R 127[.]0[.]0[.]1:[0-9]*/) {
		port[FILENAME] = substr($0, RSTART, RLENGTH) }
	    END { for (file in port) print port[file] }' "$dir"/*/log | sort -u
}
wait_for 240 '[ "$(ports | wc -l)" -ge 2 ] &&
    [ "$(passed)" -ge "$(ports | wc -l)" ]'
is "$(passed)" "$(ports | wc -l)" "$many real ones at once: a test of each passes"
check "$many real ones at once: with ports of their own" \
    [ "$(ports | wc -l)" -ge $((many - 2)) ]
# shellcheck disable=SC2086 # words
kill -TERM $pids
for n in $pids; do
	wait "$n"
	forget "$n"
done
is "$(private_dirs "$dir"/*/)" "" "$many real ones at once: nothing is left"

done_testing
