#!/bin/sh
# Goal: show what autossh costs, side by side with the original and with what
# people use in its place, in one run on one machine.
#
# usage: sh tests/bench.sh
#
# Builds (in build/, or BUILD_DIR) unless AUTOSSH and FAKESSH name programs that
# are there.  AUTOSSH_REFERENCE is the original, by default 1.4g as Debian
# packages it; without it, its column stays empty.  BENCH_ROUNDS (10) is how
# often the short measurements are repeated, BENCH_HERD (400) how many instances
# lose their ssh at once.  Numbers are medians.  Keep the machine quiet.
#
# shellcheck disable=SC2016,SC2086,SC2317

set -u
source_dir=$(cd "$(dirname "$0")/.." && pwd)
build_dir=${BUILD_DIR:-$source_dir/build}
rounds=${BENCH_ROUNDS:-10}
herd=${BENCH_HERD:-400}
TEST_LIMIT=900

if [ -z "${AUTOSSH-}" ] || [ -z "${FAKESSH-}" ]; then
	# shellcheck source=tests/need.sh
	. "$source_dir/tests/need.sh"
	need_build strace:strace
	mkdir -p "$build_dir"
	[ -x "$source_dir/configure" ] || (cd "$source_dir" && autoreconf -fi) \
	    >"$build_dir/bench.log" 2>&1 || exit
	(cd "$build_dir" && "$source_dir/configure" && make &&
	    make tests/fakessh tests/tool) >"$build_dir/bench.log" 2>&1 ||
	    { cat "$build_dir/bench.log"; exit 1; }
	AUTOSSH=$build_dir/autossh
	FAKESSH=$build_dir/tests/fakessh
	TOOL=$build_dir/tests/tool
fi
srcdir=$source_dir
# shellcheck source=tests/lib.sh
. "$source_dir/tests/lib.sh"

reference=${AUTOSSH_REFERENCE:-/usr/lib/autossh/autossh}
contenders=autossh
[ ! -x "$reference" ] || contenders='autossh original'
bench=$tmp/bench
${CC:-cc} -std=c99 -O2 -I"$(dirname "$FAKESSH")/.." -o "$bench" \
    "$source_dir/tests/bench.c" ||
    bail_out "no C compiler"

# The program of a contender.
program_of() {
	case $1 in
	autossh) echo "$AUTOSSH" ;;
	original) echo "$reference" ;;
	esac
}

# Of the numbers on standard input.
median() {
	sort -n | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'
}

say() {
	echo "$*" >&2
}

# measured NAME WHO VALUE: the table's cells, a file each.
measured() {
	printf '%s\n' "$3" >>"$tmp/$1-$2"
}

cell() {
	[ -f "$tmp/$1-$2" ] && median <"$tmp/$1-$2"
}

# ---- starting ssh, and starting it again

# The loop that people write.  $0 is ssh.
shell_loop='while :; do "$0" host; sleep 1; done'

# A fresh record, and settings under which neither program ever waits.
plain_start() {
	fresh
	BENCH_RECORD=$dir/record
	AUTOSSH_PATH=$bench
	AUTOSSH_LOGFILE=/dev/null
	AUTOSSH_LOGLEVEL=6
	AUTOSSH_GATETIME=0
	AUTOSSH_POLL=1
	export BENCH_RECORD AUTOSSH_GATETIME AUTOSSH_POLL
}

# launched WHO COMMAND...: microseconds from the exec of a supervisor to ssh's.
launched() {
	launched_who=$1
	shift
	plain_start
	BENCH_EXIT=0 "$bench" --launch 20 "$@"
	awk '$1 == "L" { l = $2 } $1 == "S" { print ($2 - l) / 1000 }' \
	    "$BENCH_RECORD" >>"$tmp/launch-$launched_who"
}

# restarted WHO COMMAND...: microseconds from the death of an ssh to the next.
# Only the second start comes at once.
restarted() {
	restarted_who=$1
	shift
	plain_start
	for _ in 1 2 3 4 5 6; do
		AUTOSSH_MAXSTART=2 BENCH_EXIT=255 "$@"
		echo next >>"$BENCH_RECORD"
	done
	awk '$1 == "S" && e { print ($2 - e) / 1000 }
	    $1 == "E" { e = $2 }
	    $1 == "next" { e = 0 }' \
	    "$BENCH_RECORD" >>"$tmp/restart-$restarted_who"
}

say "starting ssh, and starting it again"
round=0
while [ "$round" -lt "$rounds" ]; do
	round=$((round + 1))
	for who in $contenders; do
		launched "$who" "$(program_of "$who")" -M 0 host
		restarted "$who" "$(program_of "$who")" -M 0 host
	done
	launched bare "$bench" host
	launched shell /bin/sh -c '"$0" host; exit' "$bench"
	restarted bare "$bench" --loop 2 "$bench"
done
restarted shell /bin/sh -c '"$0" host; sleep 1; "$0" host' "$bench"
unset BENCH_RECORD AUTOSSH_GATETIME AUTOSSH_POLL

# ---- at rest

# One line of /proc/PID/status or smaps_rollup.
proc_value() {
	awk -v name="$2:" '$1 == name { n += $2 } END { print n + 0 }' \
	    "/proc/$pid/$1" 2>/dev/null
}

memory() {
	measured rss "$1" "$(proc_value smaps_rollup Rss)"
	measured own "$1" "$(proc_value smaps_rollup Anonymous)"
}

wakeups() {
	proc_value status voluntary_ctxt_switches
}

say "at rest, with a monitor"
for round in 1 2 3; do
	for who in $contenders; do
		fresh forward
		free_port
		start "exec:$(program_of "$who")" AUTOSSH_FIRST_POLL=1 \
		    -M "$port" host
		wait_log 'connection ok'
		memory "$who"
		before=$(wakeups)
		sleep 5
		measured idle "$who" "$(($(wakeups) - before))"
		stop
	done
	fresh hang
	AUTOSSH_LOGFILE=/dev/null
	start exec:/bin/sh -c "$shell_loop" "$FAKESSH"
	wait_starts 1
	memory shell
	before=$(wakeups)
	sleep 5
	measured idle shell "$(($(wakeups) - before))"
	kill -KILL "$pid" "$(ssh_pid 1)"
	wait_exit
done

say "in a test"

# tests_traced WHO N: sets $calls to the system calls of a life with N tests.
tests_traced() {
	fresh forward
	free_port
	start exec:strace -o "$dir/trace" "$(program_of "$1")" -M "$port" host
	wait_log 'connection ok' "$2"
	traced=$(sed -n 's/.* autossh\[\([0-9]*\)\]:.*/\1/p' "$dir/log" |
	    head -n 1)
	kill -TERM "$traced"
	wait_exit
	calls=$(grep -c '^[a-z]' "$dir/trace")
}

AUTOSSH_FIRST_POLL=1
AUTOSSH_POLL=1
export AUTOSSH_FIRST_POLL AUTOSSH_POLL
for who in $contenders; do
	fresh forward
	free_port
	start "exec:$(program_of "$who")" -M "$port" host
	wait_log 'connection ok' 2
	before=$(wakeups)
	wait_log 'connection ok' 6
	measured wakeups "$who" "$((($(wakeups) - before + 2) / 4))"
	stop
	if strace -o /dev/null true 2>/dev/null; then
		tests_traced "$who" 2
		few=$calls
		tests_traced "$who" 6
		measured calls "$who" "$(((calls - few + 2) / 4))"
	fi
done
unset AUTOSSH_FIRST_POLL AUTOSSH_POLL

# What an hour of POLL=600 comes to: what happens at rest, and six tests.
for who in $contenders; do
	measured hour "$who" \
	    "$(($(cell idle "$who") * 720 + $(cell wakeups "$who") * 6))"
done
measured hour shell "$(($(cell idle shell) * 720))"

say "a tunnel that swallows"
for round in 1 2 3; do
	for who in $contenders; do
		fresh swallow\ forward
		free_port
		start "exec:$(program_of "$who")" AUTOSSH_FIRST_POLL=2 \
		    AUTOSSH_POLL=2 -M "$port" host
		wait_starts 2
		measured detect "$who" "$(($(started_at 2) - $(started_at 1)))"
		stop
	done
done

# ---- many at once

# herd_sum FILE NAME: the sum of what /proc/PID/FILE says of NAME, or of its
# first field where NAME is empty.
herd_sum() {
	# shellcheck disable=SC2046 # a list of files
	awk -v name="${2:+$2:}" 'name == "" { n += $1 } $1 == name { n += $2 }
	    END { printf "%.0f", n }' \
	    $(sed "s,.*,/proc/&/$1," "$dir/herd")
}

record_starts() {
	[ ! -f "$BENCH_RECORD" ] || awk '$1 == "S" { n++ } END { print n + 0 }' \
	    "$BENCH_RECORD"
}

# herded WHO COMMAND...: so many of them, whose sshs are killed at once.
herded() {
	herded_who=$1
	shift
	plain_start
	mkfifo "$dir/hold"
	"$bench" --herd "$herd" "$@" <"$dir/hold" >"$dir/herd" 2>/dev/null &
	shepherd=$!
	started_pids="$started_pids $shepherd"
	exec 9>"$dir/hold"
	wait_for 60 '[ "$(record_starts)" = "$herd" ]'
	sleep 1
	measured herdpss "$herded_who" "$(($(herd_sum smaps_rollup Pss) / herd))"
	cpu=$(herd_sum schedstat '')
	struck=$("$bench" --strike)
	wait_for 60 '[ "$(record_starts)" = $((herd * 2)) ]'
	sleep 0.2
	cpu=$(($(herd_sum schedstat '') - cpu))
	measured herdcpu "$herded_who" "$((cpu / herd / 1000))"
	measured herd "$herded_who" "$(awk -v t="$struck" \
	    '$1 == "S" { last = $2 } END { printf "%d", (last - t) / 1000000 }' \
	    "$BENCH_RECORD")"
	exec 9>&-
	wait "$shepherd"
	# A loop in sh leaves its ssh behind.
	"$bench" --strike >/dev/null
}

say "$herd whose sshs die at once"
for round in 1 2 3; do
	for who in $contenders; do
		herded "$who" "$(program_of "$who")" -M 0 host
	done
	herded bare "$bench" --loop 0 "$bench"
	herded shell /bin/sh -c "$shell_loop" "$bench"
done
unset BENCH_RECORD AUTOSSH_GATETIME AUTOSSH_POLL

# ---- a real server that is away, or does not know the key

fleet=40
fleet_limit=150 # seconds to be back in

# fleet_up: how many of the clients have logged in: they listen then.
fleet_up() {
	awk -v path="$dir/s" '$4 == "00010000" && index($8, path) == 1 { n++ }
	    END { print n + 0 }' /proc/net/unix
}

# supervised WORD...: one more supervisor of the real ssh, $who, which
# supervised_end ends.
supervised() {
	case $who in
	shell)
		set -- /bin/sh -c 'while :; do "$0" "$@"; sleep 1; done' \
		    "$SSH" "$@" ;;
	*)
		set -- "$(program_of "$who")" -M 0 "$@" ;;
	esac
	AUTOSSH_PATH=$SSH AUTOSSH_LOGFILE=/dev/null AUTOSSH_GATETIME=0 \
	    "$TOOL" run -- "$@" </dev/null >/dev/null 2>&1 &
	supervised_pids="$supervised_pids $!"
	started_pids="$started_pids $!"
}

# The sshs of a loop in sh end with the server.
supervised_end() {
	kill -TERM $supervised_pids
	server_gone
	for pid in $supervised_pids; do
		wait "$pid"
		forget "$pid"
	done 2>/dev/null
}

server_gone() {
	sessions=$(sshd_sessions)
	sshd_down
	kill -KILL $sessions 2>/dev/null
}

# The fleet loses its server for 15 s, which then takes few logins at a time.
fleet_back() {
	fresh
	supervised_pids=
	sshd_up || bail_out "$sshd_reason"
	n=0
	while [ "$n" -lt "$fleet" ]; do
		n=$((n + 1))
		supervised -N -F "$SSH_CONFIG" \
		    -o StreamLocalBindUnlink=yes \
		    -L "$dir/s$n:127.0.0.1:$SSHD_PORT" server
	done
	wait_for 120 '[ "$(fleet_up)" = "$fleet" ]' ||
	    bail_out "only $(fleet_up) of $fleet clients log in"
	sleep 12
	server_gone
	sleep 15
	sed 's/^MaxStartups .*/MaxStartups 2:50:6/' "$SSHD_DIR/sshd_config" \
	    >"$dir/sshd_config"
	"$sshd_program" -D -f "$dir/sshd_config" </dev/null >/dev/null 2>&1 &
	SSHD_PID=$!
	started_pids="$started_pids $SSHD_PID"
	begin=$(now)
	half=
	while back=$(fleet_up)
	    [ "$back" -lt "$fleet" ] &&
	    [ $(($(now) - begin)) -lt $((fleet_limit * 1000)) ]; do
		[ -n "$half" ] || [ "$back" -lt $((fleet / 2)) ] ||
		    half=$(($(now) - begin))
		sleep 0.2
	done
	took=$(($(now) - begin))
	measured half "$who" "${half:-$took}"
	measured all "$who" "$took"
	supervised_end
}

# A wrong key for 40 s, and 13 logins with a good one from the same address.
wrong_key() {
	fresh
	supervised_pids=
	sshd_up || bail_out "$sshd_reason"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/wrong"
	sed "s|^IdentityFile .*|IdentityFile $dir/wrong|" "$SSH_CONFIG" \
	    >"$dir/config"
	: >"$SSHD_DIR/log"
	supervised -N -o BatchMode=yes -F "$dir/config" server
	refused=0
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13; do
		sleep 3
		"$SSH" -F "$SSH_CONFIG" -o BatchMode=yes server true \
		    </dev/null >/dev/null 2>&1 || refused=$((refused + 1))
	done
	measured wrong "$who" \
	    "$(grep -c '^Connection closed by authenticating user' \
		"$SSHD_DIR/log")"
	measured refused "$who" "$refused"
	supervised_end
}

if sshd_start; then
	sshd_down
	say "a real server that is away"
	for who in $contenders shell; do
		fleet_back
	done
	if "$sshd_program" -T -f "$SSHD_DIR/sshd_config" |
	    grep -q '^persourcepenalties crash'; then
		say "a real server that does not know the key"
		for who in $contenders shell; do
			wrong_key
		done
	fi
else
	say "$sshd_reason"
fi

# ---- size

stripped() {
	strip -s -o "$tmp/stripped" "$1" && wc -c <"$tmp/stripped"
}

for who in $contenders; do
	measured size "$who" "$(stripped "$(program_of "$who")")"
done
if command -v musl-gcc >/dev/null; then
	say "a static program"
	mkdir "$tmp/musl"
	if (cd "$tmp/musl" && "$source_dir/configure" CC=musl-gcc \
	    LDFLAGS=-static && make autossh) >"$tmp/musl/out" 2>&1; then
		measured static autossh "$(stripped "$tmp/musl/autossh")"
	fi
fi

# ---- the table

# row NAME DIVISOR FORMAT TEXT: one measurement of all that have it.
row() {
	for who in autossh original bare shell; do
		cell "$1" "$who" || echo -
	done | awk -v divisor="$2" -v format="$3" -v text="$4" '
	{ v[NR] = $1 }
	END {
		printf "%-48s", text
		for (i = 1; i <= 4; i++)
			if (v[i] == "-")
				printf "%10s", "-"
			else
				printf "%10s", sprintf(format, v[i] / divisor)
		if (v[1] == "-" || v[2] == "-" || v[2] == 0)
			printf "%8s\n", v[1] == v[2] ? "1.00" : "-"
		else
			printf "%8.2f\n", v[1] / v[2]
	}'
}

cat <<END
$(date +%Y-%m-%d), $(uname -sm), $(getconf _NPROCESSORS_ONLN) processors, $(
    sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
$("$AUTOSSH" -V), $([ ! -x "$reference" ] || "$reference" -V), medians

END
printf '%-48s%10s%10s%10s%10s%8s\n' '' autossh original 'bare loop' 'sh loop' ratio
row launch 1 %.0f 'exec to exec of ssh, us'
row restart 1 %.0f 'death of ssh to exec of the next, us'
row detect 1000 %.2f 'POLL=2: a swallowing tunnel is found, s'
row rss 1 %d 'memory at rest, resident, KiB'
row own 1 %d '  written to, and so its alone, KiB'
row herdpss 1 %d "  share of each of $herd, KiB"
row calls 1 %d 'system calls in a test'
row wakeups 1 %d 'wake-ups in a test'
row hour 1 %d 'wake-ups in an hour of rest (POLL=600)'
row herd 1 %d "$herd lose their ssh: all are back, ms"
row herdcpu 1 %d '  processor time of each, us'
row half 1000 %.0f "$fleet real clients, server away 15 s: half back, s"
row all 1000 %.0f "  all back, s ($fleet_limit: they are not)"
row wrong 1 %d 'wrong key for 40 s (from OpenSSH 9.8): logins'
row refused 1 %d '  of 13 logins with a good key, refused'
row size 1024 %.0f 'size of the program, KiB'
row static 1024 %.0f '  static, with musl, KiB'
cat <<END

ratio: autossh to the original, less is better.  bare loop: fork, exec, wait.
sh loop: while :; do ssh; sleep 1; done; it finds no tunnel that swallows.
END
