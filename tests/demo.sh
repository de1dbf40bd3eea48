#!/bin/sh
# Goal: show autossh at work, on one machine and in less than a minute.
#
# usage: sh tests/demo.sh
#
# Installs what is missing, builds (in build/, or BUILD_DIR), starts a private
# sshd on loopback, brings a monitored tunnel up, breaks it in three ways and
# shows how it heals.  AUTOSSH names a program that is to be shown instead of
# building one.  Everything lives in a temporary directory that is removed.

set -eu
source_dir=$(cd "$(dirname "$0")/.." && pwd)
build_dir=${BUILD_DIR:-$source_dir/build}
work=$(mktemp -d "${TMPDIR:-/tmp}/autossh-demo.XXXXXX")
sshd_pid=
sshd_run_made=
shown=0

# shellcheck source=tests/need.sh
. "$source_dir/tests/need.sh"

# ---- what is said

if [ -t 1 ]; then
	bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m')
else
	bold='' dim='' plain=''
fi

title() {
	printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

say() {
	printf '  %s\n' "$*"
}

# show prints a command as a user would type it, and runs it.
show() {
	printf '  $ %s\n' "$*"
	eval "$*" 2>&1 | sed 's/^/  /'
}

# The same for a command that changes this shell.
show_here() {
	printf '  $ %s\n' "$*"
	eval "$*"
}

# What has been added to autossh's log, a line each.
show_log() {
	[ -f "${AUTOSSH_LOGFILE-}" ] || return 0
	sed -n "$((shown + 1)),\$p" "$AUTOSSH_LOGFILE" |
	    sed "s/^[0-9/]* \\(.*\\)/    $dim\\1$plain/"
	shown=$(wc -l <"$AUTOSSH_LOGFILE")
}

die() {
	show_log
	echo "demo.sh: $*" >&2
	exit 1
}

# ---- time, in tenths of a second

now() {
	if [ -r /proc/uptime ]; then
		awk '{ printf "%d\n", $1 * 10 }' /proc/uptime
	else
		echo "$(date +%s)0"
	fi
}

# since TIME: how long ago that was.
since() {
	awk -v t="$(($(now) - $1))" 'BEGIN { printf "%.1f s", t / 10 }'
}

# wait_until SECONDS COMMAND...: polls, and shows the log meanwhile.
wait_until() {
	limit=$(($(now) + $1 * 10))
	shift
	until "$@"; do
		show_log
		[ "$(now)" -lt "$limit" ] || die "this took too long: $*"
		sleep 0.1
	done
	show_log
}

# ---- the server

# free_ports COUNT: sets $port to the first of so many that lie side by side.
free_ports() {
	port=$(($$ % 9000 + 20000))
	found=0
	while [ "$found" -lt "$1" ]; do
		if grep -qi "$(printf ':%04X 0' $((port + found)))" \
		    /proc/net/tcp /proc/net/tcp6 2>/dev/null; then
			port=$((port + found + 1))
			found=0
		else
			found=$((found + 1))
		fi
	done
}

server_start() {
	"$sshd" -D -e -f "$work/sshd_config" </dev/null >/dev/null \
	    2>>"$work/sshd.log" &
	sshd_pid=$!
	limit=$(($(now) + 100))
	until ssh-keyscan -t ed25519 -T 2 -p "$sshd_port" 127.0.0.1 2>/dev/null | grep -q .; do
		if ! kill -0 "$sshd_pid" 2>/dev/null || [ "$(now)" -gt "$limit" ]
		then
			die "sshd does not start: $(tail -n 1 "$work/sshd.log")"
		fi
		sleep 0.1
	done
}

# The server's processes for the sessions that are open: all that descend from
# the sshd that listens.
server_sessions() {
	ps -A -o pid= -o ppid= | awk -v listener="$sshd_pid" '
	{ parent[$1] = $2 }
	END {
		for (pid in parent)
			for (p = parent[pid]; p in parent; p = parent[p])
				if (p == listener)
					print pid
	}'
}

# signal_sessions SIGNAL
signal_sessions() {
	sessions=$(server_sessions)
	[ -n "$sessions" ] || die "the server has no session"
	for session in $sessions; do
		kill "-$1" "$session" 2>/dev/null || :
	done
}

server_stop() {
	stopping=$(server_sessions)
	kill "$sshd_pid"
	wait "$sshd_pid" || :
	sshd_pid=
	for session in $stopping; do
		kill -KILL "$session" 2>/dev/null || :
	done
}

# ---- the tunnel

# Whoever is at the far end of the tunnel answers as an ssh server.
tunnel_passes() {
	ssh-keyscan -t ed25519 -T 1 -p "$tunnel_port" 127.0.0.1 2>/dev/null | grep -q .
}

# lines TEXT: how many lines of the log hold it.
lines() {
	grep -c "$1" "$AUTOSSH_LOGFILE" || :
}

more_lines() {
	[ "$(lines "$1")" -gt "$2" ]
}

# autossh gives its pidfile the time of each test that passes.
test_passed() {
	[ -n "$(find "$AUTOSSH_PIDFILE" -newer "$work/mark")" ]
}

# healed TIME: the tunnel passes again; how long has it been since TIME?
healed() {
	wait_until 40 tunnel_passes
	say "${bold}The tunnel is back after $(since "$1").$plain"
}

autossh_gone() {
	! kill -0 "$autossh_pid" 2>/dev/null
}

cleanup() {
	set +e
	trap '' HUP INT PIPE TERM
	if [ -s "$work/autossh.pid" ]; then
		autossh_pid=$(cat "$work/autossh.pid")
		kill "$autossh_pid" 2>/dev/null
		tries=0
		until autossh_gone || [ $((tries += 1)) -gt 50 ]; do
			sleep 0.1
		done
	fi
	[ -z "$sshd_pid" ] || server_stop
	[ -z "$sshd_run_made" ] || rmdir /run/sshd 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT PIPE TERM

# ---- build

need ssh:openssh-client ssh-keygen:openssh-client sshd:openssh-server ps:procps
if [ -z "${AUTOSSH-}" ]; then
	need_build
	# A tree that is configured itself cannot be built elsewhere.
	if [ -z "${BUILD_DIR-}" ] && [ -f "$source_dir/config.status" ]; then
		build_dir=$source_dir
	fi
	title "Building autossh"
	mkdir -p "$build_dir"
	cd "$source_dir"
	{
		[ -f configure ] || autoreconf -fi
		cd "$build_dir"
		[ -f Makefile ] || "$source_dir/configure"
		make autossh
	} >"$work/build.log" 2>&1 || {
		cat "$work/build.log"
		die "the build failed"
	}
	AUTOSSH=$build_dir/autossh
fi

# ---- prepare the two ends

sshd=$(command -v sshd)
free_ports 2
tunnel_port=$port
sshd_port=$((port + 1))

ssh-keygen -q -t ed25519 -N '' -f "$work/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
echo "server $(cat "$work/host_key.pub")" >"$work/known_hosts"

# sshd wants PAM for a user whose password is locked, as root's may be.
pam=no
if [ "$(id -u)" -eq 0 ]; then
	[ -d /run/sshd ] || {
		mkdir -m 755 /run/sshd
		sshd_run_made=yes
	}
	grep -q '^root:!' /etc/shadow && pam=yes
fi
cat >"$work/sshd_config" <<CONFIG
ListenAddress 127.0.0.1:$sshd_port
HostKey $work/host_key
AuthorizedKeysFile $work/key.pub
StrictModes no
PermitRootLogin yes
PidFile none
UsePAM $pam
CONFIG
cat >"$work/ssh_config" <<CONFIG
Host server
	HostName 127.0.0.1
	Port $sshd_port
	HostKeyAlias server
	User $(id -un)
	IdentityFile $work/key
	IdentitiesOnly yes
	UserKnownHostsFile $work/known_hosts
	ExitOnForwardFailure yes
	LogLevel ERROR
CONFIG

# The commands that are shown find these.
mkdir "$work/bin"
ln -s "$AUTOSSH" "$work/bin/autossh"
cat >"$work/bin/ssh" <<SCRIPT
#!/bin/sh
exec "$(command -v ssh)" -F "$work/ssh_config" "\$@"
SCRIPT
chmod 700 "$work/bin/ssh"
unset SSH_AUTH_SOCK AUTOSSH_DEBUG AUTOSSH_GATETIME AUTOSSH_LOGLEVEL \
    AUTOSSH_MAXLIFETIME AUTOSSH_MAXSTART AUTOSSH_MESSAGE AUTOSSH_NTSERVICE \
    AUTOSSH_PASSPHRASE AUTOSSH_PORT AUTOSSH_STATUSFILE NOTIFY_SOCKET

# ---- the show

title "A monitored tunnel"
say "A private sshd on port $sshd_port plays the server.  A test of the connection"
say "is made every 6 seconds here; by default it is every 600.  In bin are autossh"
say "and an ssh that reads ssh_config here, where this server stands."
echo
show_here "cd $work"
show_here "export PATH=$work/bin:\$PATH AUTOSSH_PATH=ssh"
show_here "export AUTOSSH_LOGFILE=log AUTOSSH_PIDFILE=autossh.pid"
show_here "export AUTOSSH_POLL=6 AUTOSSH_FIRST_POLL=2"
server_start
ssh -o BatchMode=yes server true </dev/null ||
    die "sshd refuses $(id -un): $(tail -n 1 "$work/sshd.log")"
begin=$(now)
show "autossh -f -N -L $tunnel_port:127.0.0.1:$sshd_port server"
wait_until 20 tunnel_passes
autossh_pid=$(cat "$work/autossh.pid")
say "${bold}The tunnel is up after $(since "$begin").$plain  Port $tunnel_port leads to the server:"
show "ssh-keyscan -p $tunnel_port -t ed25519 127.0.0.1 2>/dev/null | cut -c 1-60"

title "1. The session is killed on the server"
begin=$(now)
signal_sessions KILL
wait_until 20 more_lines ": starting ssh" 1
healed "$begin"

title "2. Traffic stops without a word"
say "The server's process is stopped (SIGSTOP).  ssh notices nothing: the"
say "connection stands.  The monitor does."
touch "$work/mark"
wait_until 20 test_passed
failures=$(lines "port down")
begin=$(now)
signal_sessions STOP
wait_until 40 more_lines "port down" "$failures"
say "Noticed after $(since "$begin")."
healed "$begin"
for session in $sessions; do
	kill -KILL "$session" 2>/dev/null || :
done

title "3. The server is away for 8 seconds"
say "autossh goes on trying, with growing pauses."
starts=$(lines ": starting ssh")
server_stop
begin=$(now)
while [ "$(now)" -lt $((begin + 80)) ]; do
	sleep 0.2
done
shown=$(wc -l <"$AUTOSSH_LOGFILE")
say "$(($(lines ": starting ssh") - starts)) starts of ssh have failed.  The server comes back."
begin=$(now)
server_start
healed "$begin"

title "The end"
show "kill \$(cat autossh.pid)"
wait_until 10 autossh_gone
say "autossh and ssh are gone."
