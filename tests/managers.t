#!/bin/sh
# Goal: show that what starts, watches and stops services does so with autossh:
# s6, runit, supervisord, monit, start-stop-daemon, and scripts in the shapes
# that people use.
#
# Conditions are evaluated by wait_for, functions called by check:
# shellcheck disable=SC2016,SC2034,SC2317

. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

if ! sshd_start; then
	skip_all "$sshd_reason"
fi

# As a service knows them: by name, in PATH.
mkdir "$tmp/bin"
ln -s "$AUTOSSH" "$tmp/bin/autossh"
cat >"$tmp/bin/ssh" <<SCRIPT
#!/bin/sh
exec "$SSH" -F "$SSH_CONFIG" "\$@"
SCRIPT
chmod 700 "$tmp/bin/ssh"
PATH=$tmp/bin:$PATH:/usr/sbin:/sbin

begin() {
	fresh
	AUTOSSH_PATH=$tmp/bin/ssh
	AUTOSSH_PIDFILE=$dir/pid
	AUTOSSH_GATETIME=0
	export AUTOSSH_PATH AUTOSSH_PIDFILE AUTOSSH_GATETIME
	free_port
	tunnel=$port
}

missing() {
	! command -v "$1" >/dev/null
}

# script FILE: what comes on stdin, to be run.
script() {
	{
		echo "#!/bin/sh"
		cat
	} >"$1"
	chmod 700 "$1"
}

# foreground FILE: the script that a supervisor runs.
foreground() {
	script "$1" <<-SCRIPT
	exec autossh -M 0 -N -L $tunnel:127.0.0.1:$SSHD_PORT server
	SCRIPT
}

leads_to_sshd() {
	ssh-keyscan -t ed25519 -T 2 -p "$tunnel" 127.0.0.1 2>/dev/null |
	    grep -q "ssh-"
}

passes() {
	wait_for 30 'leads_to_sshd'
}

last_ssh() {
	log_text | sed -n 's/^ssh child pid is //p' | tail -n 1
}

# The tunnel, and the pid that its pidfile names: sets $autossh and $ssh.
comes_up() {
	passes || return 1
	autossh=$(cat "$dir/pid")
	ssh=$(last_ssh)
	alive "$autossh"
}

# Another autossh has taken over.
comes_back() {
	old=$autossh
	wait_for 30 '[ -s "$dir/pid" ] && [ "$(cat "$dir/pid")" != "$old" ]' &&
	    comes_up
}

gone() {
	wait_for 20 '! alive "$autossh" && ! alive "$ssh"' &&
	    ! [ -e "$dir/pid" ]
}

# ---- s6

if missing s6-supervise; then
	skip "s6" "no s6 here"
else
	begin
	mkdir "$dir/tunnel"
	foreground "$dir/tunnel/run"
	start exec:s6-supervise "$dir/tunnel"
	check "s6: the tunnel comes up" comes_up
	is "$(s6-svstat -o pid "$dir/tunnel")" "$autossh" "s6: knows autossh"
	kill -KILL "$autossh"
	check "s6: autossh killed, it is started again" comes_back
	s6-svc -d "$dir/tunnel"
	check "s6: stopped, all is gone" gone
	s6-svc -u "$dir/tunnel"
	check "s6: started again" comes_up
	s6-svc -xd "$dir/tunnel"
	wait_exit
	is "$status" 0 "s6: ends"
	check "s6: ended, all is gone" gone
fi

# ---- runit

# sv's own lines look like results.
tell_sv() {
	sv "$1" "$dir/tunnel" >"$dir/said"
}

if missing runsv; then
	skip "runit" "no runit here"
else
	begin
	mkdir "$dir/tunnel"
	foreground "$dir/tunnel/run"
	start exec:runsv "$dir/tunnel"
	check "runit: the tunnel comes up" comes_up
	like "$(sv status "$dir/tunnel")" "^run: .*\(pid $autossh\)" \
	    "runit: knows autossh"
	kill -KILL "$autossh"
	check "runit: autossh killed, it is started again" comes_back
	check "runit: stops within its 7 seconds" tell_sv stop
	check "runit: stopped, all is gone" gone
	check "runit: starts" tell_sv start
	check "runit: started, the tunnel comes up" comes_up
	check "runit: ends" tell_sv exit
	wait_exit
	check "runit: ended, all is gone" gone
fi

# ---- supervisord

supervisor_says() {
	supervisorctl -c "$dir/conf" "$@"
}

if missing supervisord; then
	skip "supervisord" "no supervisord here"
else
	begin
	foreground "$dir/run"
	cat >"$dir/conf" <<-CONF
	[supervisord]
	logfile=$dir/supervisord
	pidfile=$dir/supervisord.pid
	childlogdir=$dir
	[unix_http_server]
	file=$dir/socket
	[rpcinterface:supervisor]
	supervisor.rpcinterface_factory =
	    supervisor.rpcinterface:make_main_rpcinterface
	[supervisorctl]
	serverurl=unix://$dir/socket
	[program:tunnel]
	command=$dir/run
	autorestart=true
	CONF
	start exec:supervisord -n -c "$dir/conf"
	check "supervisord: the tunnel comes up" comes_up
	is "$(supervisor_says pid tunnel)" "$autossh" \
	    "supervisord: knows autossh"
	kill -KILL "$autossh"
	check "supervisord: autossh killed, it is started again" comes_back
	supervisor_says stop tunnel >"$dir/said"
	check "supervisord: stopped, all is gone" gone
	like "$(supervisor_says status tunnel)" STOPPED \
	    "supervisord: takes it for stopped"
	supervisor_says start tunnel >"$dir/said"
	check "supervisord: started, the tunnel comes up" comes_up
	stop
	check "supervisord: ended, all is gone" gone
fi

# ---- an init script

# init FILE: as people write it, with a pidfile.
init() {
	script "$1" <<-SCRIPT
	export AUTOSSH_PIDFILE=$dir/pid AUTOSSH_PATH=$AUTOSSH_PATH
	export AUTOSSH_LOGFILE=$AUTOSSH_LOGFILE PATH=$PATH
	case \$1 in
	start)
		autossh -f -M 0 -N -L $tunnel:127.0.0.1:$SSHD_PORT server ;;
	stop)
		pkill -F $dir/pid ;;
	status)
		kill -0 \$(cat $dir/pid) ;;
	esac
	SCRIPT
}

if missing pkill; then
	skip "init script" "no pkill here"
else
	begin
	init "$dir/init"
	run exec:"$dir/init" start
	is "$status" 0 "init script: starts"
	is "$(cat "$dir/out" "$dir/err")" "" "init script: starts silently"
	check "init script: the tunnel comes up" comes_up
	check "init script: status" "$dir/init" status
	check "init script: stops" "$dir/init" stop
	check "init script: stopped, all is gone" gone
fi

# ---- monit

if missing monit || missing pkill; then
	skip "monit" "no monit here"
else
	begin
	init "$dir/init"
	cat >"$dir/monitrc" <<-CONF
	set daemon 1
	set logfile $dir/monit
	set pidfile $dir/monit.pid
	set idfile $dir/monit.id
	set statefile $dir/monit.state
	check process tunnel with pidfile $dir/pid
		start program = "$dir/init start"
		stop program = "$dir/init stop"
	CONF
	chmod 600 "$dir/monitrc"
	start exec:monit -I -c "$dir/monitrc"
	check "monit: starts what does not run" comes_up
	kill -KILL "$autossh"
	check "monit: autossh killed, it is started again" comes_back
	stop
	"$dir/init" stop
	check "monit: stopped, all is gone" gone
fi

# ---- start-stop-daemon

if missing start-stop-daemon; then
	skip "start-stop-daemon" "no start-stop-daemon here"
else
	begin
	daemon_start() {
		run exec:start-stop-daemon --start --quiet \
		    --pidfile "$dir/pid" --exec "$tmp/bin/autossh" "$@"
	}
	daemon_start -- -M 0 -f -N -L "$tunnel:127.0.0.1:$SSHD_PORT" server
	is "$status" 0 "start-stop-daemon: starts"
	check "start-stop-daemon: the tunnel comes up" comes_up
	daemon_start -- -M 0 -f -N -L "$tunnel:127.0.0.1:$SSHD_PORT" server
	is "$status" 1 "start-stop-daemon: it runs already"
	is "$(log_count "starting ssh (count 1)")" 1 \
	    "start-stop-daemon: there is one"
	run exec:start-stop-daemon --stop --quiet --pidfile "$dir/pid" \
	    --retry TERM/10
	is "$status" 0 "start-stop-daemon: stops"
	check "start-stop-daemon: stopped, all is gone" gone
fi

# ---- Debian's wrapper

wrapper=${AUTOSSH_WRAPPER:-/usr/bin/autossh}
if ! grep -q '^exec /usr/lib/autossh/autossh ' "$wrapper" 2>/dev/null; then
	skip "Debian's wrapper" "Debian's autossh is not here"
else
	sed "s|/usr/lib/autossh/autossh|$tmp/bin/autossh|" "$wrapper" \
	    >"$tmp/wrapper"
	begin
	start exec:sh "$tmp/wrapper" -M 0 -N \
	    -L "$tunnel:127.0.0.1:$SSHD_PORT" server
	check "Debian's wrapper, -M 0: the tunnel comes up" comes_up
	stop
	check "Debian's wrapper, -M 0: all is gone" gone

	fresh forward
	start AUTOSSH_FIRST_POLL=1 exec:sh "$tmp/wrapper" -N server
	check "Debian's wrapper, no -M: a test passes by the port that it finds" \
	    wait_log "connection ok"
	like "$(argv 1)" \
	    "^<-L> <([3-6][0-9]{4}):127.0.0.1:\\1> <-R> .* <-N> <server>" \
	    "Debian's wrapper, no -M: a port of its choice"
	stop
fi

# ---- a script that looks for its tunnel by the title

# guard FILE: starts the tunnel unless it runs; as a login profile does.
guard() {
	script "$1" <<-SCRIPT
	pgrep -f 'autossh -N  -L $tunnel:127.0.0.1:$SSHD_PORT' >$dir/found ||
	    autossh -fN -L $tunnel:127.0.0.1:$SSHD_PORT server
	SCRIPT
}

if missing pgrep; then
	skip "guard by pgrep -f" "no pgrep here"
else
	begin
	guard "$dir/guard"
	run AUTOSSH_PORT=0 exec:"$dir/guard"
	check "guard by pgrep -f: the tunnel comes up" comes_up
	run AUTOSSH_PORT=0 exec:"$dir/guard"
	is "$(cat "$dir/found")" "$autossh" "guard by pgrep -f: finds autossh"
	is "$(log_count "starting ssh (count 1)")" 1 \
	    "guard by pgrep -f: there is one"
	kill "$autossh"
	check "guard by pgrep -f: what it found can be stopped" gone
fi

# ---- a script that ends the old and starts the new

# The old one has its ports until its ssh is dead, which takes 3 s here.
fresh "ignore TERM hang; hang"
free_port
start AUTOSSH_PIDFILE="$dir/pid1" -M "$port" -N server
wait_starts 1
kill -TERM "$pid"
old=$pid
run AUTOSSH_PIDFILE="$dir/pid2" -M "$port" -f -N server
is "$status" 0 "ended and started at once: the new one waits for the port"
check "ended and started at once: it runs" wait_starts 2
check "ended and started at once: the old one has ended" \
    wait_for 10 '! alive "$old"'
kill "$(cat "$dir/pid2")"
check "ended and started at once: all is gone" wait_for 10 '[ -z "$(left)" ]'

# ---- cron

begin
run AUTOSSH_DEBUG=1 AUTOSSH_PORT=0 \
    -f -N -L "$tunnel:127.0.0.1:$SSHD_PORT" server
is "$status" 0 "cron: starts"
is "$(cat "$dir/out" "$dir/err")" "" "cron: has nothing to mail"
check "cron: the tunnel comes up" comes_up
kill "$autossh"
check "cron: all is gone" gone

# ---- a tunnel for as long as a remote command runs

begin
start run:session -M 0 \
    -L "$tunnel:127.0.0.1:$SSHD_PORT" server "sleep 600"
check "remote sleep: the tunnel comes up" comes_up
for session in $(sshd_sessions); do
	kill -KILL "$session" 2>/dev/null
done
check "remote sleep: its session killed, another is started" \
    wait_log "starting ssh (count 2)"
check "remote sleep: the tunnel is back" passes
kill -HUP "$pid"
check "remote sleep: stays when its terminal is gone" sleep 1
check "remote sleep: and passes" passes
stop
is "$status" 1 "remote sleep: TERM ends it"
check "remote sleep: all is gone" wait_for 10 '! alive "$(last_ssh)"'

done_testing
