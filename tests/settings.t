#!/bin/sh
# settings.t: each AUTOSSH_* variable does what it says, and each wrong value
# or useless file ends in one clear line and status 1, with nothing left.

# shellcheck source=tests/lib.sh disable=SC2016,SC2034
. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

free_port
p=$port

# refused ERE [WORD]... ARG...: in the foreground, and with -f (where 1.4g said
# nothing and exited 0), autossh says why in one line that matches, exits 1, and
# leaves nothing.
refused() {
	refused_line=$1
	shift
	for mode in -N -f; do
		fresh 'exit 0'
		run AUTOSSH_PIDFILE="$dir/pidfile" "$@" $mode host
		refused_name="1.4g: nothing on the terminal: $* $mode"
		wait_for 5 '[ -z "$(left)" ]'
		refused_rest=$(cd "$dir" && find . ! -name log ! -name plan \
		    ! -name out ! -name err ! -name .)
		if [ "$status" != 1 ]; then
			not_ok "$refused_name" "exit status $status"
		elif [ "$(wc -l <"$dir/err")" -ne 1 ] || [ -s "$dir/out" ]; then
			not_ok "$refused_name" "not one line: $(cat "$dir/err")"
		elif [ -n "$refused_rest$(left)" ]; then
			not_ok "$refused_name" "left: $refused_rest $(left)"
		else
			like "$(cat "$dir/err")" "^autossh: .*$refused_line" \
			    "$refused_name"
		fi
	done
}

# ---- numbers

for name in FIRST_POLL GATETIME LOGLEVEL MAXLIFETIME MAXSTART POLL; do
	values="x 1x 0x10 1e3 1.5 1,5 - 99999999999999999999"
	case $name in
	FIRST_POLL | POLL) values="$values 0 -1" ;;
	GATETIME | MAXLIFETIME) values="$values -1" ;;
	LOGLEVEL) values="$values -1 8" ;;
	esac
	for value in $values; do
		refused "AUTOSSH_$name.*$value" "AUTOSSH_$name=$value" -M 0
	done
	for value in '' ' ' '1 ' '+ 1' '++1'; do
		refused "AUTOSSH_$name.*$value" "AUTOSSH_$name=$value" -M 0
	done
done

refused 'AUTOSSH_POLL: "60\\r" is not allowed' \
    AUTOSSH_POLL="$(printf '60\r')" -M 0

# Blanks and a plus sign before a number are skipped, as in 1.4g.
for value in ' 29' '+29' ' 	+29'; do
	fresh 'exit 0'
	run AUTOSSH_POLL="$value" AUTOSSH_GATETIME="$value" -M 0 -N host
	check "POLL='$value' is 29" \
	    log_has "short poll time: adjusting net timeouts to 14500"
done

fresh 'exit 0'
run AUTOSSH_POLL=010 -M 0 -N host
unlike "$(log_text)" 'timeouts to 4000' "1.4g: numbers in octal: POLL=010"

# A poll time of 68 years is one: nothing overflows.
fresh forward
start AUTOSSH_POLL=2147483647 AUTOSSH_GATETIME=2147483647 \
    AUTOSSH_MAXLIFETIME=2147483647 -M "$p" -N host
wait_starts 1
wait_for 10 '"$TOOL" connects "$p"'
kill -USR2 "$pid"
check "times of 68 years: status" wait_match "^status: " 1 10
like "$(log_text)" 'next in 21474836[0-9]{2} s' "times of 68 years: next test"
stop

# lines TEXT WORD...: autossh with these settings logs TEXT, at info.
lines() {
	lines_text=$1
	shift
	fresh 'exit 0'
	run AUTOSSH_LOGLEVEL=6 "$@" -N host
	check "$*: $lines_text" log_has "$lines_text"
}

lines "short poll time: adjusting net timeouts to 5000" AUTOSSH_POLL=10 -M 0
lines "short poll time: adjusting net timeouts to 14500" \
    AUTOSSH_POLL=29 -M "$p"
lines "short poll time: adjusting net timeouts to 500" AUTOSSH_POLL=1 -M 0
fresh 'exit 0'
run AUTOSSH_POLL=30 -M 0 -N host
unlike "$(log_text)" 'short poll time' "POLL=30: the timeout is 15 s"
lines "poll time is greater than lifetime, dropping poll time to 20" \
    AUTOSSH_MAXLIFETIME=20 -M 0
lines "first poll time is greater than lifetime, dropping first poll time to 20" \
    AUTOSSH_MAXLIFETIME=20 AUTOSSH_POLL=10 AUTOSSH_FIRST_POLL=21 -M 0
fresh 'exit 0'
run AUTOSSH_MAXLIFETIME=20 AUTOSSH_POLL=20 AUTOSSH_FIRST_POLL=20 -M 0 -N host
unlike "$(log_text)" 'greater than lifetime' "a poll time of the whole lifetime"
lines "port set to 0, monitoring disabled" -M 0

# ---- what has no effect

fresh 'exit 0'
run AUTOSSH_GATE_TIME=3 AUTOSSH_PROMPT=x AUTOSSH_NTSERVICE=1 \
    AUTOSSH_PORT="$p" -M 0 -N host
is "$(log_text | grep 'ignored\|overrides')" \
"AUTOSSH_GATE_TIME is ignored: autossh has no such variable
AUTOSSH_NTSERVICE=\"1\" is ignored: only yes has an effect
AUTOSSH_PORT=$p overrides -M 0" "each is worth one warning"
fresh 'exit 0'
run AUTOSSH_NTSERVICE=yes AUTOSSH_PORT=0 AUTOSSH_MAXSTART=1 -M 00 -N host
unlike "$(log_text)" 'ignored' "no warning without a reason"

# ---- MAXSTART

for max in 1 3; do
	fresh 'exit 255'
	run AUTOSSH_GATETIME=0 AUTOSSH_MAXSTART=$max -M 0 -N host
	is "$status $(starts)" "0 $max" "MAXSTART=$max: status and starts"
	check "MAXSTART=$max: the count" \
	    log_has "starting ssh (count $max of $max)"
	check "MAXSTART=$max: the end" \
	    log_has "max start count reached; exiting"
done
fresh 'exit 255'
run AUTOSSH_GATETIME=0 AUTOSSH_MAXSTART=0 -M 0 -N host
is "$status $(starts)" "0 0" "MAXSTART=0: never"
check "MAXSTART=0: the end" log_has "max start count reached; exiting"
for max in -1 -2 -1000000; do
	fresh 'exit 255; exit 255; exit 0'
	run AUTOSSH_GATETIME=0 AUTOSSH_MAXSTART=$max -M 0 -N host
	is "$status $(starts)" "0 3" "MAXSTART=$max: no limit"
	check "MAXSTART=$max: the count" log_has "starting ssh (count 3)"
done

# ---- MAXLIFETIME

fresh 'hang'
begin=$(now)
run AUTOSSH_MAXLIFETIME=1 -M 0 -N host
took=$(($(now) - begin))
is "$status" 0 "MAXLIFETIME: status 0"
check "MAXLIFETIME: not before ($took ms)" [ "$took" -ge 1000 ]
check "MAXLIFETIME: the line" \
    log_has "exceeded maximum time to live, shutting down"
is "$(got | cut -d ' ' -f 1) $(left)" "1:TERM " "MAXLIFETIME: ssh is ended"
fresh 'exit 255'
run AUTOSSH_GATETIME=0 AUTOSSH_MAXLIFETIME=1 -M 0 -N host
is "$status" 0 "MAXLIFETIME: among restarts"
fresh 'exit 255'
run AUTOSSH_GATETIME=0 AUTOSSH_MAXLIFETIME=1 AUTOSSH_POLL=10000 \
    AUTOSSH_FIRST_POLL=10000 -M 0 -N host
is "$status" 0 "MAXLIFETIME: with a poll time above it"
fresh 'hang'
run AUTOSSH_MAXLIFETIME=1 -M "$p" -N host
is "$status $(starts)" "0 1" "MAXLIFETIME: with a monitor"

# In the last second of its life each of these is acted upon, and it ends.
for name in HUP USR1 USR2 ALRM CHLD; do
	fresh 'hang'
	start AUTOSSH_MAXLIFETIME=2 -M 0 -N host
	wait_starts 1
	sleep 1.2
	kill -$name "$pid"
	wait_exit 10
	is "$status $(left)" "0 " \
	    "1.4g: a signal in the last second of the lifetime: $name"
done

# ---- GATETIME

fresh 'exit 255'
run AUTOSSH_GATETIME=10 -M 0 -N host
is "$status $(starts)" "1 1" "GATETIME=10: a death within"
fresh 'sleep 1300 exit 255; exit 0'
run AUTOSSH_GATETIME=1 -M 0 -N host
is "$status $(starts)" "0 2" "GATETIME=1: a death behind"

# ---- MESSAGE

message=1234567890123456789012345678901234567890123456789012345678901234
fresh 'exit 0'
run AUTOSSH_MESSAGE=$message -M 0 -N host
is "$status $(starts)" "1 1" "MESSAGE of 64 bytes"
refused AUTOSSH_MESSAGE AUTOSSH_MESSAGE=${message}5 -M 0

# ---- NTSERVICE

for value in yes YES yEs; do
	fresh 'exit 0; exit 0; exit 5'
	run AUTOSSH_GATETIME=0 AUTOSSH_NTSERVICE=$value unset:AUTOSSH_LOGFILE \
	    -M 0 host cmd
	is "$status $(starts)" "1 3" "NTSERVICE=$value: restart after status 0"
	like "$(argv 1)" '^<-N> <host> <cmd>$|^<host> <-N> <cmd>$' \
	    "NTSERVICE=$value: adds -N"
	like "$(cat "$dir/out")" 'autossh\[[0-9]+\]: starting ssh \(count 3\)' \
	    "NTSERVICE=$value: logs to stdout"
done
fresh 'exit 5'
run AUTOSSH_GATETIME=0 AUTOSSH_NTSERVICE=yes -M 0 -tN host
is "$(argv 1)" "$(words -tN host)" "NTSERVICE: -N is there"
is "$(cat "$dir/out")" "" "NTSERVICE: a LOGFILE wins"
check "NTSERVICE: a LOGFILE wins over stdout" log_has "starting ssh (count 1)"

# ---- PATH

fresh 'exit 0'
ln -s "$FAKESSH" "$dir/some-ssh"
run AUTOSSH_GATETIME=0 AUTOSSH_PATH=some-ssh PATH="/nowhere:$dir:$PATH" \
    -M 0 host
is "$status $(starts)" "0 1" "AUTOSSH_PATH without a slash is found in PATH"
fresh 'exit 0'
ln -s "$FAKESSH" "$dir/some-ssh"
printf 'exec %s "$@"\n' "$FAKESSH" >"$dir/script"
chmod 755 "$dir/script"
if grep -q '^CC = musl-gcc' "$builddir/Makefile" 2>/dev/null; then
	skip "AUTOSSH_PATH: a script without #!" "musl's execvp starts none"
else
	run AUTOSSH_GATETIME=0 AUTOSSH_PATH="$dir/script" -M 0 host ls -l
	is "$status $(argv 1)" "0 $(words host ls -l)" \
	    "AUTOSSH_PATH: a script without #!"
fi

: >"$tmp/no-program"
refused 'nowhere/ssh.*No such file' AUTOSSH_PATH=/nowhere/ssh -M 0
refused "no-program.*denied" AUTOSSH_PATH="$tmp/no-program" -M 0
refused "$tmp" AUTOSSH_PATH="$tmp" -M 0
refused 'no-such-ssh' AUTOSSH_PATH=no-such-ssh -M 0
refused 'AUTOSSH_PATH' AUTOSSH_PATH= -M 0
refused 'nowhere/ssh.*No such file' AUTOSSH_PATH=/nowhere/ssh -M "$p"
refused 'nowhere/ssh.*No such file' AUTOSSH_GATETIME=0 \
    AUTOSSH_PATH=/nowhere/ssh -M 0

# ---- files and ports

refused "/nowhere/log.*No such file" AUTOSSH_LOGFILE=/nowhere/log -M 0
refused "$tmp.*[Dd]irectory" AUTOSSH_LOGFILE="$tmp" -M 0
refused "/nowhere/pid.*No such file" AUTOSSH_PIDFILE=/nowhere/pid -M 0
refused "$tmp.*[Dd]irectory" AUTOSSH_PIDFILE="$tmp" -M 0
# There is no room for the temporary's name: the first reason counts.
refused "name too long" AUTOSSH_PIDFILE="$tmp/$(printf %0256d 0)" -M 0
if [ "$(id -u)" -eq 0 ]; then
	skip "a file that may not be written" "root may write everything"
else
	mkdir "$tmp/closed"
	: >"$tmp/closed/log"
	chmod 444 "$tmp/closed/log"
	chmod 555 "$tmp/closed"
	refused "closed/log.*denied" AUTOSSH_LOGFILE="$tmp/closed/log" -M 0
	refused "closed/pid.*denied" AUTOSSH_PIDFILE="$tmp/closed/pid" -M 0
	chmod 755 "$tmp/closed"
fi

free_port
"$TOOL" echo $((port + 1)) &
holder=$!
started_pids="$started_pids $holder"
wait_for 10 '"$TOOL" connects $((port + 1))'
refused "$port and $((port + 1)).*in use.*without -M" -M "$port"
# So is one that ssh needs.
refused "$((port + 1)) and $((port + 2)).*in use.*without -M" \
    -M $((port + 1))
# One that is let go within 5 s is waited for.
fresh hang
start -M "$port" host
sleep 0.5
is "$(starts)" 0 "a port that is taken: waited for"
kill "$holder"
wait "$holder" 2>/dev/null
forget "$holder"
check "a port that is taken and let go: ssh is started" wait_starts 1
stop
fresh hang
"$TOOL" echo $((port + 1)) &
holder=$!
started_pids="$started_pids $holder"
wait_for 10 '"$TOOL" connects $((port + 1))'
start -M "$port" host
sleep 0.5
kill -TERM "$pid"
wait_exit 4
is "$status $(starts)" "1 0" "a port that is taken: TERM ends the wait"
kill "$holder"
wait "$holder" 2>/dev/null
forget "$holder"

done_testing
