#!/bin/sh
# Goal: show that a change of the network makes the next test or start come at
# once, that it never ends an ssh which works, and that nothing else counts.
#
# Each case has a client and a server in networks of their own, with a real sshd,
# and all run side by side.  AUTOSSH_POLL is 600, so that no test comes by itself
# after the first that passes.
#
# Conditions are evaluated by wait_for, cases called by their name, and some
# lists are words:
# shellcheck disable=SC2016,SC2034,SC2086,SC2154,SC2317

. "${srcdir:-$(dirname "$0")/..}/tests/networks.sh"

built_with HAVE_LINUX_RTNETLINK_H || skip_all "built without netlink"

testing="network has changed, testing the connection"
starting="network has changed, starting ssh"

# ---- two networks, and a tunnel from one to the other

# client eth 10.1.0.2 -- 10.1.0.1 eth server.  That a link is up is known up to a
# second later.
networks() {
	network_new
	client=$network
	network_new
	server=$network
	on_server ip link add eth type veth peer name eth netns "$client"
	on_server sh -c 'ip addr add 10.1.0.1/24 dev eth; ip link set eth up'
	on_client sh -c 'ip addr add 10.1.0.2/24 dev eth; ip link set eth up'
	on_client ip route add default via 10.1.0.1
	wait_for 20 'on_client ip -br link show eth | grep -q " UP "' ||
	    give_up "the link does not come up"
}

on_client() {
	in_net "$client" "$@"
}

on_server() {
	in_net "$server" "$@"
}

wrapper=
settings=

# tunnel WORD...: networks, a server, and autossh with its ssh as $pid, up;
# started with $settings, by $wrapper; the words are ssh's.
tunnel() {
	networks
	server_start "$server" 10.1.0.1
	AUTOSSH_PATH=$SSH
	export AUTOSSH_PATH
	# the status file makes the first test come early
	start AUTOSSH_GATETIME=0 AUTOSSH_STATUSFILE="$dir/status" $settings \
	    exec:nsenter -n -t "$client" $wrapper "$AUTOSSH" \
	    -F "$dir/ssh_config" -L 8022:10.1.0.1:22 "$@"
	wait_for 40 '[ "$(log_count "connection ok")" -ge 1 ]' ||
	    give_up "the tunnel does not come up"
}

# The number of ssh that were started.
ssh_starts() {
	log_text | grep -c "^starting ssh (count "
}

# another_address: a change that counts; its test passes.
another_address() {
	before=$(log_count "connection ok")
	on_client ip addr add 10.1.0.99/24 dev eth
	wait_log "connection ok" $((before + 1)) ||
	    give_up "no test passes after a new address"
}

one_ssh() {
	must "ssh was started $(ssh_starts) times" [ "$(ssh_starts)" -eq 1 ]
	must "the tunnel does not pass" passes
}

# ---- cases

# The connection is dead with the old address: a test fails and ssh is restarted.
address_changed() {
	tunnel -N server
	changed=$(now)
	on_client sh -c 'ip addr del 10.1.0.2/24 dev eth
	    ip addr add 10.1.0.77/24 dev eth'
	must "the tunnel stays down" until_passes 60
	took=$(($(now) - changed))
	must "no line says that the network has changed" log_has "$testing"
	must "the test has not failed" log_has "port down, restarting ssh"
	must "it took $took ms" [ "$took" -lt 20000 ]
	outcome "ok $took"
}

# ssh and its connection outlive a link that is down for a while.
link_down() {
	tunnel -N server
	on_client ip link set eth down
	wait_log "an address is no longer usable" ||
	    give_up "that the link is down goes unnoticed"
	sleep 3
	changed=$(now)
	on_client ip link set eth up
	must "no test" wait_log "$testing"
	must "no test passes" wait_log "connection ok" 2
	took=$(($(now) - changed))
	one_ssh
	outcome "ok $took"
}

# The cable is out: no carrier.  ssh has given up meanwhile, and waits.
cable_out() {
	settings="AUTOSSH_POLL=100000 AUTOSSH_FIRST_POLL=600"
	tunnel -o ServerAliveInterval=1 -o ServerAliveCountMax=1 \
	    -o ConnectTimeout=1 -N server
	on_server ip link set eth down
	wait_match "sleeping for grace time [1-9][0-9][0-9]+ secs" 1 60 ||
	    give_up "no long pause"
	must "a link that is down has started ssh" [ \
	    "$(log_count "$starting")" -eq 0 ]
	changed=$(now)
	on_server ip link set eth up
	must "the tunnel stays down" until_passes 60
	took=$(($(now) - changed))
	must "no line says why" log_has "$starting"
	must "it took $took ms" [ "$took" -lt 20000 ]
	outcome "ok $took"
}

# A start that waits comes at once; if it fails, the next comes soon.
waiting() {
	networks
	echo "exit 255" >"$dir/plan"
	[ -z "$wrapper" ] || chown 65534 "$dir"
	start AUTOSSH_GATETIME=0 AUTOSSH_POLL=100000 \
	    exec:nsenter -n -t "$client" $wrapper "$AUTOSSH" -M 0 host
	wait_match "sleeping for grace time [1-9][0-9][0-9]+ secs" 1 60 ||
	    give_up "no long pause"
	before=$(starts)
	on_client ip addr add 10.1.0.99/24 dev eth
	must "no start" wait_starts $((before + 1))
	must "no line says why" log_has "$starting"
	must "no other start soon" wait_starts $((before + 2))
	outcome ok
}

waiting_as_nobody() {
	if [ "$(id -u)" -ne 0 ]; then
		outcome "skip this is no root"
	fi
	wrapper="setpriv --reuid=65534 --regid=65534 --clear-groups"
	$wrapper test -x "$AUTOSSH" ||
	    outcome "skip nobody may not run $AUTOSSH"
	waiting
}

# Routes, link-local addresses, a renewed lease, an interface without an address
# and one that is down are no change.
no_change() {
	tunnel -N server
	before=$(log_count "connection ok")
	on_client sh -c 'ip route replace default via 10.1.0.1 metric 5
	    ip route add 192.0.2.0/24 via 10.1.0.1
	    ip addr add 169.254.7.7/16 dev eth
	    ip addr change 10.1.0.2/24 dev eth valid_lft 600 preferred_lft 300
	    ip addr add 10.8.8.8/8 dev lo
	    ip link add two type veth peer name three
	    ip addr add 10.7.0.1/24 dev two
	    ip link set three up; ip link del three'
	sleep 1.5
	must "something else counts as a change" [ \
	    "$(log_count "$testing")" -eq 0 ]
	another_address
	must "not one test, but more" [ "$(log_count "$testing")" -eq 1 ]
	one_ssh
	outcome ok
}

# A second interface causes a test, which passes.
second_interface() {
	tunnel -N server
	on_client sh -c 'ip link add two type veth peer name three
	    ip link set three up; ip addr add 10.7.0.1/24 dev two
	    ip link set two up'
	must "no test" wait_log "$testing"
	must "it does not pass" wait_log "connection ok" 2
	on_client ip link del two
	must "that it has gone is not noticed" \
	    wait_log "an address is no longer usable"
	sleep 1
	one_ssh
	must "$(log_count "$testing") tests" [ "$(log_count "$testing")" -eq 1 ]
	outcome ok
}

# An address of IPv6 counts when no other host turns out to have it.
tentative() {
	networks
	on_client sysctl -qw net.ipv6.conf.eth.dad_transmits=3 2>/dev/null ||
	    outcome "skip no IPv6 here"
	echo hang >"$dir/plan"
	start AUTOSSH_GATETIME=0 \
	    exec:nsenter -n -t "$client" "$AUTOSSH" -M 0 host
	wait_starts 1 || give_up "ssh is not started"
	on_client ip addr add 2001:db8::2/64 dev eth
	sleep 1.5
	on_client ip -6 addr show dev eth tentative | grep -q 2001:db8::2 ||
	    outcome "skip too slow to see it"
	must "it counts too early" [ \
	    "$(log_count "an address has become usable")" -eq 0 ]
	must "it does not count" wait_log "an address has become usable"
	on_client ip -6 addr show dev eth tentative | grep -q 2001:db8::2 &&
	    give_up "it is still tentative"
	outcome ok
}

# A link that comes and goes: a test every two seconds, not more.
flapping() {
	tunnel -N server
	begin=$(now)
	flaps=0
	while [ "$flaps" -lt 20 ]; do
		flaps=$((flaps + 1))
		on_client ip link set eth down
		sleep 0.2
		on_client ip link set eth up
		sleep 0.3
	done
	must "no test" wait_log "$testing"
	sleep 2.5
	took=$(($(now) - begin))
	tests=$(log_text | grep -c "^network has changed, ")
	must "$tests tests in $took ms" [ "$tests" -le $((took / 2000 + 1)) ]
	must "the tunnel stays down" until_passes 60
	outcome ok
}

# A session in which someone works is tested, and not ended.
session() {
	tunnel server sleep 1000
	another_address
	one_ssh
	outcome ok
}

# Without a monitor nothing follows.
unmonitored() {
	networks
	echo hang >"$dir/plan"
	start AUTOSSH_GATETIME=0 \
	    exec:nsenter -n -t "$client" "$AUTOSSH" -M 0 host
	wait_starts 1 || give_up "ssh is not started"
	on_client sh -c 'ip addr del 10.1.0.2/24 dev eth
	    ip addr add 10.1.0.77/24 dev eth'
	must "it is not noticed" wait_log "an address has become usable"
	kill -USR2 "$pid"
	wait_match "^status: " 1 15 || give_up "no status"
	must "something follows" [ \
	    "$(log_text | grep -c "^network has changed")" -eq 0 ]
	must "ssh was started $(starts) times" [ "$(starts)" -eq 1 ]
	outcome ok
}

# While ssh is logging in a change does not end it.
logging_in() {
	networks
	echo "sleep 4000 forward" >"$dir/plan"
	start AUTOSSH_GATETIME=0 AUTOSSH_FIRST_POLL=600 \
	    exec:nsenter -n -t "$client" "$AUTOSSH" -M "$port" host
	wait_starts 1 || give_up "ssh is not started"
	on_client sh -c 'ip addr del 10.1.0.2/24 dev eth
	    ip addr add 10.1.0.77/24 dev eth'
	must "no test" wait_log "$testing"
	must "no test passes" wait_log "connection ok" 1 30
	must "ssh was started $(starts) times" [ "$(starts)" -eq 1 ]
	outcome ok
}

# For a shell on the client: makes $1 pairs of interfaces; sets $n.
interfaces='n=0
    while [ "$n" -lt "$1" ]; do
	n=$((n + 1))
	ip link add "a$n" type veth peer name "b$n"
	ip link set "a$n" up; ip link set "b$n" up
    done'

# Interfaces of containers, with link-local addresses alone.
containers() {
	tunnel -N server
	on_client sh -c "$interfaces"'
	    while [ "$n" -gt 0 ]; do
		ip link del "a$n"
		n=$((n - 1))
	    done' sh 50
	sleep 1.5
	must "they count as a change" [ "$(log_count "$testing")" -eq 0 ]
	another_address
	one_ssh
	outcome ok
}

# The same with addresses of their own: few tests, all of which pass.
bridges() {
	tunnel -N server
	begin=$(now)
	on_client sh -c 'n=0
	    while [ "$n" -lt 50 ]; do
		n=$((n + 1))
		ip link add "a$n" type veth peer name "b$n"
		ip addr add "10.9.$n.1/24" dev "a$n"
		ip link set "a$n" up; ip link set "b$n" up
	    done
	    while [ "$n" -gt 0 ]; do
		ip link del "a$n"
		n=$((n - 1))
	    done'
	must "no test" wait_log "$testing"
	sleep 2.5
	took=$(($(now) - begin))
	tests=$(log_count "$testing")
	must "$tests tests in $took ms" [ "$tests" -le $((took / 2000 + 1)) ]
	one_ssh
	outcome ok
}

# Messages of the kernel that are lost are as good as read.
overflow() {
	tunnel -N server
	kill -STOP "$pid"
	on_client sh -c "$interfaces"'
	    ip addr add 10.1.0.99/24 dev eth' sh 100
	on_client awk '$2 == 0 && $9 > 0 { lost = 1 } END { exit !lost }' \
	    /proc/net/netlink || outcome "skip no message is lost"
	kill -CONT "$pid"
	must "no test" wait_log "$testing"
	must "it does not pass" wait_log "connection ok" 2
	on_client ip addr add 10.1.0.98/24 dev eth
	must "no other change is noticed" wait_log "connection ok" 3
	one_ssh
	outcome ok
}

# Where the kernel refuses the socket, all else is as before.
refused() {
	"${CC:-cc}" -o "$dir/refuse" "$tmp/refuse.c" 2>/dev/null ||
	    outcome "skip no C compiler"
	"$dir/refuse" true || outcome "skip no seccomp"
	wrapper=$dir/refuse
	settings=AUTOSSH_POLL=2
	tunnel -N server
	text="network changes will not be noticed: Address family not supported"
	must "it is not said" log_has "$text by protocol"
	must "no more tests" wait_log "connection ok" 3
	one_ssh
	outcome ok
}

# Nothing wakes autossh while nothing happens.
idle() {
	tunnel -N server
	sleep 2
	before=$(grep ctxt "/proc/$pid/status")
	sleep 3
	must "autossh was woken" [ "$(grep ctxt "/proc/$pid/status")" = \
	    "$before" ]
	outcome ok
}

cat >"$tmp/refuse.c" <<'END_OF_C'
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <errno.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (argc < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return 1;
	execvp(argv[1], argv + 1);
	return 1;
}
END_OF_C

# ---- all of them, side by side

cases="address_changed link_down cable_out waiting waiting_as_nobody no_change
    second_interface tentative flapping session unmonitored logging_in
    containers bridges overflow refused idle"
for name in ${CASES:-$cases}; do
	fresh
	free_port
	(
		"$name"
		outcome "not ok it has no outcome"
	) &
	eval "dir_$name=\$dir job_$name=\$!"
done
for name in ${CASES:-$cases}; do
	eval "dir=\$dir_$name; wait \$job_$name"
	text=$(echo "$name" | tr _ ' ')
	result=$(cat "$dir/outcome" 2>/dev/null)
	case $result in
	ok) ok "$text" ;;
	"ok "*) ok "$text (${result#ok } ms)" ;;
	"skip "*) skip "$text" "${result#skip }" ;;
	*) not_ok "$text" "${result#not ok }" ;;
	esac
done
done_testing
