# Sourced by tests that make networks of their own, before all else.  Runs the
# test again in namespaces that root and most ordinary users may make, so that
# nothing outlives it; skips it where they cannot be made.
#
# Comes back with lib.sh and a real sshd set up (see sshd_start); it does not run.
#
# shellcheck shell=sh disable=SC2016,SC2034,SC2086,SC2154

if [ -z "${NETWORKS_DIR-}" ]; then
	if [ "$(id -u)" -eq 0 ]; then
		own=
	else
		own="-U --map-current-user --keep-caps"
	fi
	own="unshare $own -n -m -p --fork --kill-child --mount-proc"
	NETWORKS_DIR=$(mktemp -d "${TMPDIR:-/tmp}/autossh-test.XXXXXX")
	export NETWORKS_DIR
	trap 'rmdir "$NETWORKS_DIR"' EXIT
	if ! $own sh -c 'ip link set lo up && mount -t tmpfs t "$0" &&
	    ip link add name two type veth peer name three &&
	    setpriv --version && socat -V' "$NETWORKS_DIR" >/dev/null 2>&1
	then
		echo "1..0 # SKIP no namespaces, ip, socat or setpriv here"
		exit 0
	fi
	$own sh -c 'mount -t tmpfs t "$NETWORKS_DIR" && ip link set lo up &&
	    TMPDIR=$NETWORKS_DIR sh "$0"' "$0"
	exit
fi

. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"
unset XDG_RUNTIME_DIR
chmod 755 "$tmp"

sshd_start || skip_all "$sshd_reason"
sshd_down

# network_new: makes a network; sets $network to the process that holds it.
network_new() {
	unshare -n sleep 1000 </dev/null >/dev/null 2>&1 &
	network=$!
	wait_for 20 '[ "$(readlink "/proc/$network/ns/net")" != \
	    "$(readlink /proc/self/ns/net)" ]' || give_up "no network"
	in_net "$network" ip link set lo up
}

# in_net NETWORK COMMAND...
in_net() {
	nsenter -n -t "$@"
}

# answers NETWORK ADDRESS PORT: whether an sshd answers there.
answers() {
	[ "$(in_net "$1" timeout 3 socat -u \
	    "TCP:$2:$3,connect-timeout=2,readbytes=4" - 2>/dev/null)" = SSH- ]
}

# server_start NETWORK ADDRESS: an sshd for $dir, as process $sshd, and a
# configuration of ssh, $dir/ssh_config, that leads to it.
server_start() {
	sed "s/^ListenAddress.*/ListenAddress $2/; s/^Port .*/Port 22/" \
	    "$SSHD_DIR/sshd_config" >"$dir/sshd_config"
	sed "s/^HostName .*/HostName $2/; s/^Port .*/Port 22/" \
	    "$SSH_CONFIG" >"$dir/ssh_config"
	nsenter -n -t "$1" "$sshd_program" -D -e -f "$dir/sshd_config" \
	    </dev/null >/dev/null 2>>"$dir/sshd.log" &
	sshd=$!
	wait_for 20 "answers $1 $2 22" || give_up "sshd does not come up"
}

# passes: whether the tunnel of network $client does, from its port 8022.
passes() {
	answers "$client" 127.0.0.1 8022
}

# until_passes SECONDS: a look at a tunnel that hangs takes a while itself.
until_passes() {
	until_end=$(($(now) + $1 * 1000))
	until passes; do
		[ "$(now)" -lt "$until_end" ] || return 1
		sleep 0.1
	done
}
