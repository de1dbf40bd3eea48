#!/bin/sh
# Goal: show that a tunnel of the real ssh survives every fault that people meet,
# and measure for each how long the tunnel stays down after its cause is gone.
#
# Each fault has a client, a router and a server in networks of their own, and
# all run side by side.  They live in namespaces that root and most ordinary
# users may make; nothing in them outlives this test.
#
# Conditions are evaluated by wait_for, faults called by their name, and some
# lists are words:
# shellcheck disable=SC2016,SC2034,SC2086,SC2154,SC2317

TEST_LIMIT=${TEST_LIMIT:-900}
. "${srcdir:-$(dirname "$0")/..}/tests/networks.sh"

# ---- three networks, and a tunnel through them

# client 10.1.0.2 -- 10.1.0.1 router 10.2.0.1 -- 10.2.0.2 server
networks() {
	network_new
	client=$network
	network_new
	router=$network
	network_new
	server=$network
	in_net "$router" ip link add c type veth peer name eth netns "$client"
	in_net "$router" ip link add s type veth peer name eth netns "$server"
	in_net "$router" sh -c 'ip addr add 10.1.0.1/24 dev c
	    ip addr add 10.2.0.1/24 dev s
	    ip link set c up; ip link set s up'
	in_net "$client" sh -c 'ip addr add 10.1.0.2/24 dev eth
	    ip link set eth up; ip route add default via 10.1.0.1'
	in_net "$server" sh -c 'ip addr add 10.2.0.2/24 dev eth
	    ip link set eth up; ip route add default via 10.2.0.1'
	traffic 1
}

# traffic 0: the router drops everything without a word; 1: it passes.
traffic() {
	in_net "$router" sh -c "echo $1 >/proc/sys/net/ipv4/ip_forward"
}

# All processes below process $1.
below() {
	ps -A -o pid= -o ppid= | awk -v root="$1" '
	{ parent[$1] = $2 }
	END {
		for (pid in parent)
			for (p = pid; p in parent; p = parent[p])
				if (parent[p] == root) {
					print pid
					break
				}
	}'
}

# signal_sessions SIGNAL: to the processes that serve a connection.
signal_sessions() {
	for session in $(below "$sshd"); do
		kill "-$1" "$session" 2>/dev/null
	done
}

server_up() {
	server_start "$server" 10.2.0.2
}

server_down() {
	sessions=$(below "$sshd")
	kill -KILL "$sshd"
	for session in $sessions; do
		kill -KILL "$session" 2>/dev/null
	done
}

as_user=
monitor=20000
ssh_program=$SSH

# tunnel [WORD]...: networks, a server, and autossh with its ssh as $pid; words
# as for start.  The tests come soon, so that the faults end soon.
tunnel() {
	networks
	server_up
	AUTOSSH_PATH=$ssh_program
	export AUTOSSH_PATH
	start AUTOSSH_GATETIME=0 AUTOSSH_POLL=8 AUTOSSH_FIRST_POLL=8 "$@" \
	    exec:nsenter -n -t "$client" $as_user "$AUTOSSH" \
	    -M "$monitor" -F "$dir/ssh_config" -N \
	    -L 8022:10.2.0.2:22 server
	until_passes 40 || give_up "the tunnel does not come up"
}

# The ssh that runs.
ssh_now() {
	ps -o pid= --ppid "$pid" | tail -n 1 | tr -d ' '
}

# ---- what came of a fault

# outcome RESULT TEXT: writes it for the table, and ends this fault.
outcome() {
	[ ! -d "$dir/small" ] || umount -l "$dir/small"
	printf '%s\n' "$@" >"$dir/outcome"
	exit
}

give_up() {
	outcome "not ok" "$*"
}

# down: the fault shows.
down() {
	wait_for 10 '! passes' || give_up "the fault does not show"
}

# healed TIME [TEXT]: the tunnel is back, TIME is when the cause was gone; then
# autossh ends as ever.
healed() {
	until_passes 60 || give_up "the tunnel stays down"
	seconds=$(($(now) - $1))
	alive "$pid" || give_up "autossh has ended"
	ssh=$(ssh_now)
	stop
	[ "$status" -eq 1 ] || give_up "TERM to autossh: status $status"
	wait_for 10 '! alive "$ssh"' || give_up "ssh outlives autossh"
	outcome ok "$seconds" "${2-}"
}

# ---- the faults

session_killed() {
	tunnel
	signal_sessions KILL
	healed "$(now)"
}

server_restarted() {
	tunnel
	server_down
	server_up
	healed "$(now)"
}

server_away() {
	tunnel
	server_down
	down
	sleep 4
	server_up
	healed "$(now)"
}

traffic_dropped() {
	tunnel
	traffic 0
	down
	sleep 40
	traffic 1
	healed "$(now)"
}

address_changed() {
	tunnel
	in_net "$client" sh -c 'ip addr del 10.1.0.2/24 dev eth
	    ip addr add 10.1.0.77/24 dev eth
	    ip route replace default via 10.1.0.1'
	down
	healed "$(now)"
}

# The same without a test that comes by itself: only the change tells.
rare_tests() {
	monitor=auto
	tunnel AUTOSSH_POLL=600 AUTOSSH_FIRST_POLL=600 \
	    AUTOSSH_STATUSFILE="$dir/status"
	wait_log "connection ok" || give_up "no test passes"
}

address_changed_at_poll_600() {
	rare_tests
	in_net "$client" sh -c 'ip addr del 10.1.0.2/24 dev eth
	    ip addr add 10.1.0.77/24 dev eth
	    ip route replace default via 10.1.0.1'
	down
	healed "$(now)"
}

link_down_at_poll_600() {
	rare_tests
	in_net "$router" ip link set c down
	down
	sleep 20
	in_net "$router" ip link set c up
	healed "$(now)"
}

link_down() {
	tunnel
	in_net "$router" ip link set c down
	down
	sleep 20
	in_net "$router" ip link set c up
	healed "$(now)"
}

ssh_stopped() {
	tunnel
	kill -STOP "$(ssh_now)"
	down
	healed "$(now)"
}

# Without a word from the server, ssh must be ended, and will not.
ssh_ignoring_term() {
	cat >"$dir/stubborn" <<-STUBBORN
	#!/bin/sh
	trap '' TERM
	exec $SSH "\$@"
	STUBBORN
	chmod 755 "$dir/stubborn"
	ssh_program=$dir/stubborn
	tunnel
	signal_sessions STOP
	down
	wait_log "ssh does not end, sending SIGKILL" 1 90 ||
	    give_up "ssh is not killed"
	healed "$(now)"
}

sshd_silent() {
	tunnel
	kill -STOP "$sshd"
	signal_sessions KILL
	down
	sleep 10
	kill -CONT "$sshd"
	healed "$(now)"
}

# fill DIRECTORY: leaves no room there.
fill() {
	dd if=/dev/zero of="$1/fill" bs=1k 2>/dev/null
	[ -s "$1/fill" ]
}

log_disk_full() {
	mkdir -m 777 "$dir/small"
	mount -t tmpfs -o size=64k t "$dir/small"
	tunnel "AUTOSSH_LOGFILE=$dir/small/log"
	fill "$dir/small"
	cat "$dir/small/log" >"$dir/log"
	signal_sessions KILL
	down
	until_passes 60 || give_up "the tunnel stays down"
	rm "$dir/small/fill"
	signal_sessions KILL
	wait_for 30 'grep -q "restarting ssh" "$dir/small/log"' ||
	    give_up "the log does not go on"
	healed "$(now)" "the log went on"
}

# A /dev of its own, with a log socket that a process serves, or none does.
syslog_away() {
	mkdir "$dir/dev"
	cat >"$dir/enter" <<-ENTER
	mount -t tmpfs t $dir/dev
	for name in null zero urandom random tty; do
		: >$dir/dev/\$name
		mount --bind /dev/\$name $dir/dev/\$name
	done
	ln -s $dir/syslog $dir/dev/log
	mount --bind $dir/dev /dev
	exec "\$@"
	ENTER
	socat -u "UNIX-RECV:$dir/syslog" "CREATE:$dir/messages" &
	daemon=$!
	AUTOSSH=$dir/autossh
	cat >"$AUTOSSH" <<-WRAPPER
	#!/bin/sh
	exec unshare -m sh $dir/enter $program "\$@"
	WRAPPER
	chmod 755 "$AUTOSSH"
	tunnel unset:AUTOSSH_LOGFILE
	wait_for 10 'grep -q "starting ssh (count 1)" "$dir/messages"' ||
	    give_up "nothing comes to syslog"
	kill "$daemon"
	signal_sessions KILL
	down
	until_passes 60 || give_up "the tunnel stays down"
	rm -f "$dir/syslog"
	socat -u "UNIX-RECV:$dir/syslog" "CREATE:$dir/again" &
	wait_for 10 '[ -S "$dir/syslog" ]'
	signal_sessions KILL
	wait_for 30 'grep -q "restarting ssh" "$dir/again"' ||
	    give_up "the new syslog gets nothing"
	healed "$(now)" "the new syslog was found"
}

# cpu: the processor time of autossh, in ticks.
cpu() {
	sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }'
}

# limited NAME VALUE REASON: autossh under a limit cannot start ssh, says why,
# and goes on when the limit is gone.
limited() {
	$as_user prlimit --pid "$pid" "--$1=$2:" || give_up "prlimit does not work"
	signal_sessions KILL
	wait_for 30 'grep -q "cannot run ssh.*: $3" "$dir/log"' ||
	    give_up "the log does not say why ssh cannot be started"
	ticks=$(cpu)
	sleep 6
	ticks=$(($(cpu) - ticks))
	[ "$ticks" -lt 200 ] || give_up "autossh is busy: $ticks ticks in 6 s"
	$as_user prlimit --pid "$pid" "--$1=1000:" || give_up "prlimit does not work"
}

no_descriptors() {
	tunnel
	next=$(find "/proc/$pid/fd" -name '[0-9]*' |
	    sed 's/.*\///' | sort -n | tail -n 1)
	limited nofile $((next + 1)) "Too many open files"
	healed "$(now)"
}

# At its start too: an error, or all goes well.
few_descriptors() {
	free_port
	for files in 4 5 6 7 8 9 10 11 12 14 16; do
		case_count=$((case_count + 100))
		outcome_dir=$dir
		fresh "exit 0"
		run "run:files=$files" AUTOSSH_GATETIME=0 -M "$port" host
		err=$(cat "$dir/err")
		result=$status
		dir=$outcome_dir
		case $result in
		0) ;;
		1)
			[ -n "$err" ] ||
			    give_up "$files descriptors: no word of why" ;;
		*) give_up "$files descriptors: status $result" ;;
		esac
	done
	[ "$result" = 0 ] || give_up "$files descriptors are not enough"
	outcome ok - "an error, or all goes well"
}

# Root is not held by this limit, so it takes another user.
no_processes() {
	if [ "$(id -u)" -eq 0 ]; then
		as_user="setpriv --reuid=65534 --regid=65534 --clear-groups"
		cp "$SSHD_DIR/key" "$dir/key"
		chown 65534 "$dir/key" "$dir"
		SSH_CONFIG=$dir/config
		sed "s|^IdentityFile .*|IdentityFile $dir/key|" \
		    "$SSHD_DIR/ssh_config" >"$SSH_CONFIG"
		chmod 644 "$SSH_CONFIG"
		chmod 755 "$SSHD_DIR"
		$as_user test -x "$AUTOSSH" ||
		    outcome skip "nobody may not run $AUTOSSH"
	fi
	tunnel
	limited nproc 1 "Resource temporarily unavailable"
	healed "$(now)"
}

# The next ssh cannot make its socket, and what the old one leaves of its own
# must not serve for it.
tmp_read_only() {
	mkdir "$dir/small"
	mount -t tmpfs t "$dir/small"
	cat >"$dir/without_tmp" <<-'END'
	mount --rbind /tmp /tmp && mount -o remount,bind,ro /tmp && exec "$@"
	END
	as_user="unshare -m sh $dir/without_tmp"
	$as_user true || outcome skip "/tmp cannot be made read-only here"
	monitor=auto
	tunnel "TMPDIR=$dir/small"
	grep -q " $dir/small/autossh-" "$dir/log" ||
	    give_up "its directory is another"
	mount -o remount,ro "$dir/small"
	signal_sessions KILL
	wait_log "port down, restarting ssh" 1 60 ||
	    give_up "the monitor notices nothing"
	mount -o remount,rw "$dir/small"
	healed "$(now)"
}

autossh_killed() {
	tunnel
	ssh=$(ssh_now)
	killed=$(now)
	kill -KILL "$pid"
	wait_for 20 '! alive "$ssh"' || give_up "ssh stays"
	outcome ok $(($(now) - killed)) "until ssh had ended"
}

# ---- all of them at once

faults="session_killed server_restarted server_away traffic_dropped
    address_changed address_changed_at_poll_600 link_down
    link_down_at_poll_600 ssh_stopped ssh_ignoring_term sshd_silent
    log_disk_full syslog_away no_descriptors few_descriptors no_processes
    tmp_read_only autossh_killed"
program=$AUTOSSH
built_with HAVE_PRCTL || faults=$(echo "$faults" | sed 's/autossh_killed//')
built_with HAVE_LINUX_RTNETLINK_H ||
    faults=$(echo "$faults" | sed 's/[a-z_]*_at_poll_600//g')
! sanitized || faults=$(echo "$faults" | sed 's/few_descriptors//')
pids=
for fault in ${FAULTS:-$faults}; do
	fresh
	(
		"$fault"
		give_up "it has no outcome"
	) &
	pids="$pids $!"
	eval "dir_$fault=\$dir"
done
wait $pids

note "fault                         down after its cause was gone, in seconds"
for fault in ${FAULTS:-$faults}; do
	eval "dir=\$dir_$fault"
	result=''
	ms="no outcome"
	text=''
	[ ! -f "$dir/outcome" ] || {
		read -r result
		read -r ms
		read -r text
	} <"$dir/outcome"
	name=$(echo "$fault" | tr _ ' ')
	case $result in
	ok)
		case $ms in
		-) seconds=- ;;
		*) seconds=$(echo "$ms" | awk '{ printf "%.1f", $1 / 1000 }') ;;
		esac
		note "$(printf '%-28s %6s  %s' "$name" "$seconds" "$text")"
		ok "$name" ;;
	skip)
		skip "$name" "$ms" ;;
	*)
		not_ok "$name" "$ms"
		[ ! -s "$dir/sshd.log" ] || tail -n 5 "$dir/sshd.log" |
		    sed 's/^/# sshd: /' ;;
	esac
done
done_testing
