# shellcheck shell=sh disable=SC2016,SC2034,SC2119,SC2120
#
# lib.sh: what every test needs; read by "." as the first thing in each *.t.
#
# Settings, all optional: AUTOSSH (the program under test), FAKESSH (the stand-in
# for ssh) and TOOL (what a shell cannot do), by default those of the build
# directory.
#
# Results (TAP; a test closes with done_testing):
#	ok NAME, not_ok NAME [DETAIL], note TEXT
#	check NAME COMMAND...	ok if the command succeeds
#	is GOT WANT NAME, like GOT ERE NAME, unlike GOT ERE NAME
#	skip NAME REASON, skip_all REASON (before the first result)
#
# Running autossh.  Each case begins with "fresh [PLAN]", which makes a new
# directory $dir, with the plan for fakessh (see there), and exports
# AUTOSSH_PATH, AUTOSSH_LOGFILE=$dir/log, AUTOSSH_LOGLEVEL=7, FAKESSH_DIR.
#	start [WORD]... ARG...	in the background: sets $pid; output in
#				$dir/out and $dir/err.  Words before the
#				arguments: NAME=VALUE (environment), unset:NAME,
#				run:WORD (see tool run), exec:PROGRAM (in
#				place of autossh)
#	wait_exit [SECONDS]	waits for it: sets $status ("timeout": killed)
#	run ...			start and wait_exit
#	stop			TERM and wait_exit
# What happened (N: which start of ssh, from 1):
#	wait_for SECONDS CONDITION	a shell condition, polled; status 1 if
#				it does not come true
#	wait_log TEXT [COUNT] [SECONDS]	a line of the log that is TEXT, date
#				and name left out; the COUNTth
#	wait_match ERE [COUNT] [SECONDS]	the same for a line that matches
#	wait_pause [COUNT] [SECONDS]	it waits before a start
#	log_count TEXT, log_has TEXT, log_text (the log less dates and pids)
#	log_seconds TEXT TEXT	from the first such line to the first such, s
#	wait_starts N [SECONDS], starts, started_at N (ms), ssh_pid N, argv N,
#	words WORD... (as argv prints them), supervisor (autossh's pid, as the
#	last ssh saw it), alive PID, children_of PID, now (ms), got (the
#	signals that ssh got)
#	left			what is still alive of this case, "" for nothing
#	private_dirs [DIR]...	the private directories of this case's (or these
#				cases') autosshs that are there, as far as an
#				ssh or a log of level 7 was told of them
# Ports:	free_port sets $port; $port and $port+1 are free, and no test that
#	runs beside this one gets them
# A clock that is moved:	clock_library, clock_set
# A server:	sshd_start, see there
#
# To shellcheck: conditions are text that is evaluated later, and much of what
# is set here is for the tests.

tmp=
test_count=0
test_failed=0
case_count=0
SSHD_PID=
started_pids=
port_locks=
pid=
status=
dir=
port=

srcdir=${srcdir:-$(dirname "$0")/..}
builddir=${abs_top_builddir:-$PWD}
AUTOSSH=${AUTOSSH:-$builddir/autossh}
FAKESSH=${FAKESSH:-$builddir/tests/fakessh}
TOOL=${TOOL:-$builddir/tests/tool}

bail_out() {
	echo "Bail out! $*"
	exit 99
}

for needed in "$FAKESSH" "$TOOL"; do
	[ -x "$needed" ] || bail_out "$needed is not there: make check builds it"
done
[ -x "$AUTOSSH" ] || bail_out "$AUTOSSH is not there"

# Nothing of the caller's settings may reach a test.
unset AUTOSSH_DEBUG AUTOSSH_FIRST_POLL AUTOSSH_GATETIME AUTOSSH_LOGFILE \
    AUTOSSH_LOGLEVEL AUTOSSH_MAXLIFETIME AUTOSSH_MAXSTART AUTOSSH_MESSAGE \
    AUTOSSH_NTSERVICE AUTOSSH_PATH AUTOSSH_PIDFILE AUTOSSH_POLL AUTOSSH_PORT \
    AUTOSSH_PASSPHRASE AUTOSSH_STATUSFILE AUTOSSH_PROMPT NOTIFY_SOCKET \
    WATCHDOG_USEC WATCHDOG_PID SSH_ASKPASS SSH_ASKPASS_REQUIRE \
    SSH_ASKPASS_PROMPT SSH_AUTH_SOCK FAKESSH_DIR FAKESSH_PLAN
unset DISPLAY CDPATH
LC_ALL=C
export LC_ALL
umask 022

# The command name of a process.
comm_of() {
	ps -o comm= -p "$1" 2>/dev/null | sed 's/.*\///'
}

# Alive, and not a zombie that waits for its parent.
alive() {
	kill -0 "$1" 2>/dev/null || return 1
	if [ -r "/proc/$$/stat" ]; then
		{ read -r alive_state <"/proc/$1/stat"; } 2>/dev/null || return 1
		alive_state=${alive_state##*) }
	else
		alive_state=$(ps -o stat= -p "$1" 2>/dev/null)
	fi
	case $alive_state in
	'' | Z* | X*) return 1 ;;
	esac
}

# survivors [DIR]: the pids of this case's, or of all cases', processes that are
# still alive: those that the logs and fakessh's records know.
survivors() {
	[ $# -gt 0 ] || set -- "$tmp"/*
	"$TOOL" left "$tmp" "$@"
}

children_of() {
	ps -A -o pid= -o ppid= | awk -v p="$1" '$2 == p { print $1 }'
}

left() {
	survivors "$dir" | tr '\n' ' '
}

private_dirs() {
	[ $# -gt 0 ] || set -- "$dir"
	for private_case do
		cat "$private_case"/log* "$private_case/argv" \
		    "$private_case/askpass"
	done 2>/dev/null | tr " '<>:" '[\n*]' |
	    sed -n 's|^\(/.*/autossh-[A-Za-z0-9]\{6\}\)/[^/]*$|\1|p' | sort -u |
	    while read -r private_found; do
		    [ ! -d "$private_found" ] || echo "$private_found"
	    done
}

cleanup() {
	trap '' HUP INT TERM
	cleanup_sessions=
	[ -n "$SSHD_PID" ] && cleanup_sessions=$(sshd_sessions)
	for cleanup_pid in $started_pids $(survivors) $cleanup_sessions; do
		kill -KILL "$cleanup_pid" 2>/dev/null
		kill -CONT "$cleanup_pid" 2>/dev/null
	done
	# ssh started meanwhile by one of those that were killed.
	for cleanup_pid in $(survivors); do
		kill -KILL "$cleanup_pid" 2>/dev/null
	done
	for cleanup_lock in $port_locks; do
		rm -f "$cleanup_lock"
	done
	[ -n "$tmp" ] || return 0
	private_dirs "$tmp"/* | while read -r cleanup_dir; do
		rm -rf "$cleanup_dir"
	done
	rm -rf "$tmp"
}

tmp=$(mktemp -d "${TMPDIR:-/tmp}/autossh-test.XXXXXX") || bail_out "no mktemp"
trap cleanup EXIT
trap 'exit 1' HUP INT PIPE
trap 'bail_out "this test took too long"' TERM

# A test that hangs ends here, and cleans up.
"$TOOL" watchdog "${TEST_LIMIT:-900}" $$ >/dev/null 2>&1 &
started_pids=$!

# ---- results

note() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

ok() {
	test_count=$((test_count + 1))
	echo "ok $test_count - $1"
}

# not_ok NAME [DETAIL]: with what the program wrote, to see why.
not_ok() {
	test_count=$((test_count + 1))
	test_failed=$((test_failed + 1))
	echo "not ok $test_count - $1"
	[ -n "${2-}" ] && note "$2"
	for shown in log err starts argv; do
		[ -s "$dir/$shown" ] || continue
		note "$shown:"
		tail -n 15 "$dir/$shown" | sed 's/^/#   /'
	done
	return 0
}

check() {
	check_name=$1
	shift
	if "$@"; then ok "$check_name"; else not_ok "$check_name" "failed: $*"; fi
}

is() {
	if [ "$1" = "$2" ]; then
		ok "$3"
	else
		not_ok "$3" "got:    $1
wanted: $2"
	fi
}

like() {
	if printf '%s\n' "$1" | grep -Eq -e "$2"; then
		ok "$3"
	else
		not_ok "$3" "got:    $1
wanted a match of: $2"
	fi
}

unlike() {
	if printf '%s\n' "$1" | grep -Eq -e "$2"; then
		not_ok "$3" "got:    $1
wanted no match of: $2"
	else
		ok "$3"
	fi
}

skip() {
	test_count=$((test_count + 1))
	echo "ok $test_count - $1 # SKIP $2"
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

done_testing() {
	echo "1..$test_count"
	[ "$test_failed" -eq 0 ]
	exit
}

# ---- time

now() {
	"$TOOL" now
}

# A long wait polls less often: every poll is some processes, and other tests run
# beside this one.
wait_for() {
	wait_left=$(($1 * 1000))
	wait_polls=0
	until eval "$2"; do
		[ "$wait_left" -gt 0 ] || return 1
		wait_polls=$((wait_polls + 1))
		if [ "$wait_polls" -le 15 ]; then
			wait_left=$((wait_left - 20))
			sleep 0.02
		elif [ "$wait_polls" -le 30 ]; then
			wait_left=$((wait_left - 50))
			sleep 0.05
		else
			wait_left=$((wait_left - 200))
			sleep 0.2
		fi
	done
}

# ---- ports

# Ports lie below those that the system gives out itself.  Each test takes
# whole slots of 40; a slot is held by a link that names its holder.
port_slot=
port_next=0
take_slot() {
	slot=$(($$ % 250))
	slots_tried=0
	while [ "$slots_tried" -lt 250 ]; do
		slots_tried=$((slots_tried + 1))
		slot=$(((slot + 1) % 250))
		lock=${TMPDIR:-/tmp}/autossh-test-ports.$slot
		holder=$(readlink "$lock") && ! ps -p "$holder" >/dev/null 2>&1 &&
		    rm -f "$lock" 2>/dev/null
		if ln -s $$ "$lock" 2>/dev/null; then
			port_locks="$port_locks $lock"
			port_slot=$slot
			port_next=0
			return 0
		fi
	done
	bail_out "no ports left"
}

free_port() {
	while :; do
		if [ -z "$port_slot" ] || [ "$port_next" -ge 40 ]; then
			take_slot
		fi
		port=$((10000 + port_slot * 40 + port_next))
		port_next=$((port_next + 2))
		"$TOOL" free "$port" && return 0
	done
}

# hold_port: another process, $holder, listens on port + 1 of a free $port.  To
# look by binding it would be in its way.
hold_port() {
	free_port
	"$TOOL" echo "$((port + 1))" </dev/null >/dev/null 2>&1 &
	holder=$!
	started_pids="$started_pids $holder"
	wait_for 10 '"$TOOL" connects "$((port + 1))"' ||
	    bail_out "nothing holds port $((port + 1))"
}

# built_with NAME: whether configure has found it, as in HAVE_PRCTL.
built_with() {
	! [ -f "$builddir/config.h" ] ||
	    grep -q "^#define $1 1$" "$builddir/config.h"
}

# emulated: whether an emulator runs autossh, which has a command line and an
# environment of its own.
emulated() {
	case $AUTOSSH in
	*/emulated/*) ;;
	*) return 1 ;;
	esac
}

# ---- running autossh

fresh() {
	case_count=$((case_count + 1))
	dir=$tmp/$case_count
	mkdir "$dir"
	printf '%s\n' "${1:-hang}" >"$dir/plan"
	AUTOSSH_PATH=$FAKESSH
	AUTOSSH_LOGFILE=$dir/log
	AUTOSSH_LOGLEVEL=7
	FAKESSH_DIR=$dir
	export AUTOSSH_PATH AUTOSSH_LOGFILE AUTOSSH_LOGLEVEL FAKESSH_DIR
	pid=
	status=
}

start() {
	start_run=
	start_unset=
	start_program=$AUTOSSH
	start_placed=
	for start_word do
		shift
		if [ -z "$start_placed" ]; then
			case $start_word in
			run:*)
				start_run="$start_run ${start_word#run:}"
				continue ;;
			unset:*)
				start_unset="$start_unset -u ${start_word#unset:}"
				continue ;;
			exec:*)
				start_program=${start_word#exec:}
				continue ;;
			[A-Z_]*=*) ;;
			*)
				set -- "$@" "$start_program"
				start_placed=1 ;;
			esac
		fi
		set -- "$@" "$start_word"
	done
	[ -n "$start_placed" ] || set -- "$@" "$start_program"
	# shellcheck disable=SC2086 # the lists are words
	"$TOOL" run $start_run -- env $start_unset "$@" </dev/null \
	    >"$dir/out" 2>"$dir/err" &
	pid=$!
	started_pids="$started_pids $pid"
}

wait_exit() {
	if "$TOOL" gone "${1:-60}" "$pid"; then
		wait "$pid"
		status=$?
	else
		status=timeout
		kill -KILL "$pid"
		wait "$pid" 2>/dev/null
	fi
	forget "$pid"
}

# A pid that is waited for may be given to a stranger: it is not ours any more.
forget() {
	kept=
	for kept_pid in $started_pids; do
		[ "$kept_pid" = "$1" ] || kept="$kept $kept_pid"
	done
	started_pids=$kept
}

run() {
	start "$@"
	wait_exit
}

stop() {
	kill -TERM "$pid" 2>/dev/null
	wait_exit
}

# ---- what happened

log_text() {
	sed 's/^[0-9/]* [0-9:]* autossh\[[0-9]*\]: //' "$dir/log" 2>/dev/null
}

log_count() {
	log_text | grep -cxF -e "$1"
}

log_has() {
	[ "$(log_count "$1")" -gt 0 ]
}

wait_log() {
	"$TOOL" wait_log "$dir/log" "${2:-1}" "${3:-40}" "$1"
}

wait_match() {
	"$TOOL" wait_match "$dir/log" "${2:-1}" "${3:-40}" "$1"
}

wait_pause() {
	wait_match '^waiting [0-9]* s before' "${1:-1}" "${2:-30}"
}

log_seconds() {
	awk -v from="$1" -v to="$2" '{
		split($2, t, ":")
		at = (t[1] * 60 + t[2]) * 60 + t[3]
		text = substr($0, index($0, "]: ") + 3)
		if (text == from && begin == "")
			begin = at
		if (text == to && end == "")
			end = at
	}
	END { print (end - begin + 86400) % 86400 }' "$dir/log"
}

starts() {
	if [ -f "$dir/starts" ]; then
		awk 'END { print NR }' "$dir/starts"
	else
		echo 0
	fi
}

wait_starts() {
	"$TOOL" wait_match "$dir/starts" "$1" "${2:-40}" .
}

ssh_pid() {
	awk -v n="$1" '$1 == n { print $2 }' "$dir/starts"
}

started_at() {
	awk -v n="$1" '$1 == n { print $3 }' "$dir/starts"
}

supervisor() {
	awk '{ p = $4 } END { print p }' "$dir/starts"
}

argv() {
	sed -n "$1p" "$dir/argv" 2>/dev/null
}

words() {
	words_line=
	for word do
		case $word in
		*[\\\<\>]* | *"
"*)
			word=$(printf '%s' "$word" | sed 's/\\/\\\\/g
			    s/</\\{/g; s/>/\\}/g; $!s/$/\\n/' | tr -d '\n') ;;
		esac
		words_line="$words_line${words_line:+ }<$word>"
	done
	printf '%s\n' "$words_line"
}

got() {
	[ -f "$dir/got" ] && awk '{ printf "%s%s:%s", s, $1, $2; s = " " }' \
	    "$dir/got"
}

# Whether the program under test was built with a sanitizer, which has memory
# and descriptors of its own.
sanitized() {
	grep -aqE '__(asan|msan|tsan)_init' "$AUTOSSH"
}

# ---- a clock that a test moves

# clock_library: makes the library that moves the clocks of one program (clock.c),
# and sets CLOCK_PRELOAD, a word for start.  Status 1 where none is moved.
clock_library() {
	CLOCK_PRELOAD=LD_PRELOAD=$tmp/clock.so
	"${CC:-cc}" -shared -fPIC -o "$tmp/clock.so" \
	    "$srcdir/tests/clock.c" 2>/dev/null || return 1
	fresh hang
	clock_set -400000000
	start "$CLOCK_PRELOAD" CLOCK_FILE="$dir/clock" -M 0 host
	wait_for 5 'grep -q "^20[01]" "$dir/log" 2>/dev/null'
	clock_moved=$?
	stop
	return "$clock_moved"
}

# clock_set WALL [BOOT [MONOTONIC]]: adds so many s to the clocks of this case; the
# system was suspended by as much as BOOT is more than MONOTONIC
clock_set() {
	echo "$1 ${2-0} ${3-0}" >"$dir/clock.new"
	mv "$dir/clock.new" "$dir/clock"
}

# ---- cases that run side by side, each in a subshell with a $dir of its own

# outcome "ok"|"skip"|"not ok" TEXT...: ends this case.
outcome() {
	[ -z "$pid" ] || ! alive "$pid" || stop
	echo "$*" >"$dir/outcome"
	exit
}

give_up() {
	outcome "not ok $*"
}

# must NAME COMMAND...: COMMAND succeeds, or the case ends.
must() {
	must_name=$1
	shift
	"$@" || give_up "$must_name"
}

# ---- a real server

# sshd_start [LINE]...: a private sshd on 127.0.0.1, run as whoever runs the
# test, with keys of its own; the lines are added to its configuration.  A session
# has an empty HOME and no history: what the user's shell runs at a login may
# take a minute.
# Status 1, and the reason in $sshd_reason, if that cannot be had here.  Sets
#	SSH		the real ssh
#	SSH_CONFIG	for ssh -F; any host name reaches this sshd
#	SSHD_DIR	holds log, sshd_config, host_key, key (the user's, also
#			for an agent), known_hosts, authorized_keys
#	SSHD_PORT	where it listens
#	SSHD_PID	the process that listens
# sshd_down and sshd_up stop and start the listening sshd; sshd_sessions prints
# the pids of all processes that serve connections.
#
# One loopback has room for one end of the monitor's port only, so "-M P" in a
# loop needs a server on another network: sshd_netns (after sshd_start) gives
# every connection such a one, and makes SSH_CONFIG use it.
SSH=
SSH_CONFIG=
SSHD_DIR=
SSHD_PORT=
SSHD_PID=
sshd_reason=
sshd_start() {
	SSH=$(command -v ssh)
	sshd_program=$(PATH=$PATH:/usr/sbin:/usr/local/sbin:/sbin command -v sshd)
	if [ -z "$SSH" ] || [ -z "$sshd_program" ]; then
		sshd_reason="no ssh or sshd here"
		return 1
	fi
	# sshd started by root wants its empty directory; its package's service
	# makes it too.  It stays: another test's sshd may need it.
	[ "$(id -u)" -ne 0 ] || [ -d /run/sshd ] || mkdir -m 755 /run/sshd
	SSHD_DIR=$tmp/sshd
	SSH_CONFIG=$SSHD_DIR/ssh_config
	free_port
	SSHD_PORT=$port
	mkdir -m 700 "$SSHD_DIR" "$SSHD_DIR/home"
	ssh-keygen -q -t ed25519 -N '' -f "$SSHD_DIR/host_key" &&
	    ssh-keygen -q -t ed25519 -N '' -f "$SSHD_DIR/key" || return 1
	cp "$SSHD_DIR/key.pub" "$SSHD_DIR/authorized_keys"
	sed 's/^/* /' "$SSHD_DIR/host_key.pub" >"$SSHD_DIR/known_hosts"
	{
		printf '%s\n' "$@"
		cat <<-CONFIG
		ListenAddress 127.0.0.1
		Port $SSHD_PORT
		HostKey $SSHD_DIR/host_key
		AuthorizedKeysFile $SSHD_DIR/authorized_keys
		PidFile none
		UsePAM no
		StrictModes no
		PermitRootLogin yes
		LogLevel VERBOSE
		MaxStartups 100
		PrintMotd no
		PrintLastLog no
		SetEnv HOME=$SSHD_DIR/home HISTFILE=/dev/null
		CONFIG
	} >"$SSHD_DIR/sshd_config"
	cat >"$SSH_CONFIG" <<-CONFIG
	Host *
	HostName 127.0.0.1
	Port $SSHD_PORT
	User $(id -un)
	IdentityFile $SSHD_DIR/key
	IdentitiesOnly yes
	UserKnownHostsFile $SSHD_DIR/known_hosts
	GlobalKnownHostsFile /dev/null
	HostKeyAlias server
	StrictHostKeyChecking yes
	CONFIG
	chmod 600 "$SSH_CONFIG"
	sshd_up
}

sshd_up() {
	# sshd starts itself anew for each connection, hence its full path.
	"$TOOL" run -- "$sshd_program" -D -e -f "$SSHD_DIR/sshd_config" \
	    </dev/null >/dev/null 2>>"$SSHD_DIR/log" &
	SSHD_PID=$!
	started_pids="$started_pids $SSHD_PID"
	wait_for 10 '"$TOOL" connects "$SSHD_PORT" || ! alive "$SSHD_PID"'
	if ! alive "$SSHD_PID" || ! "$SSH" -F "$SSH_CONFIG" -o BatchMode=yes \
	    server true </dev/null 2>>"$SSHD_DIR/log"; then
		sshd_reason="sshd does not work here: $(tail -n 1 "$SSHD_DIR/log")"
		return 1
	fi
}

sshd_down() {
	kill -TERM "$SSHD_PID" && wait "$SSHD_PID"
	forget "$SSHD_PID"
}

sshd_sessions() {
	sessions_root=$SSHD_PID
	if [ -f "$SSHD_DIR/sessions" ]; then
		sessions_root=$(tr '\n' ' ' <"$SSHD_DIR/sessions")
	fi
	# Run by root a session is two processes: both count.  An sshd of
	# sshd_netns is a session itself.
	ps -A -o pid= -o ppid= -o stat= | awk -v roots="$sessions_root" \
	    -v listener="$SSHD_PID" '
	$3 !~ /^Z/ { parent[$1] = $2 }
	END {
		n = split(roots, root, " ")
		for (i = 1; i <= n; i++)
			is_root[root[i]] = 1
		for (pid in parent) {
			if (pid in is_root && pid != listener)
				print pid
			for (p = parent[pid]; p in parent; p = parent[p])
				if (p in is_root) {
					print pid
					break
				}
		}
	}'
}

# sshd_netns: each connection is served by an sshd of its own in a network of
# its own, with nothing but a loopback.  Status 1 where that is not allowed.
sshd_netns() {
	if [ "$(id -u)" -eq 0 ]; then
		netns="unshare -n"
	else
		netns="unshare -n --map-current-user --keep-caps"
	fi
	if ! $netns ip link set lo up 2>/dev/null; then
		sshd_reason="no network namespaces here"
		return 1
	fi
	cat >"$SSHD_DIR/serve" <<-SERVE
	#!/bin/sh
	echo \$\$ >>$SSHD_DIR/sessions
	exec $netns sh -c 'ip link set lo up &&
	    exec $sshd_program -i -e -f $SSHD_DIR/sshd_config 2>>$SSHD_DIR/log'
	SERVE
	chmod 700 "$SSHD_DIR/serve"
	echo "ProxyCommand $SSHD_DIR/serve" >>"$SSH_CONFIG"
	"$SSH" -F "$SSH_CONFIG" -o BatchMode=yes server true </dev/null \
	    2>>"$SSHD_DIR/log"
}

# sshd_netns_end: connections go to the sshd of sshd_start again.
sshd_netns_end() {
	sed -i '/^ProxyCommand/d' "$SSH_CONFIG"
	rm -f "$SSHD_DIR/sessions"
}
