#!/bin/sh
# Goal: show that a script that works with the original autossh works with this
# one: the same scenarios are run with both, what is observable is compared,
# and every difference is either none or one that is intended.
#
# AUTOSSH_REFERENCE is the original's program, by default 1.4g as Debian
# packages it.  COMPAT_ONLY, an ERE, picks the scenarios by name; COMPAT_JOBS
# is how many of them run at once.
#
# A scenario is
#
#	scenario NAME PLAN SETTINGS ARGUMENTS [STEPS [BEFORE]]
#
# with PLAN for fakessh; SETTINGS, where NAME=VALUE stands for
# AUTOSSH_NAME=VALUE, -NAME for AUTOSSH_NAME unset and run:WORD is for tool's
# run; ARGUMENTS of autossh; STEPS, what is done beside it (by default:
# "finish"), and BEFORE, what is done before it.  All but NAME and PLAN are shell
# text, and may use $P and $E, where P, P+1 and E are free ports, and $dir, the
# run's directory, which is the working directory too.  What came of a run is a list of facts, "FIELD: VALUE"; those
# of the two runs are compared field by field.  A scenario that fails is run
# once more, alone: what only a busy machine brings about is no finding.
#
# Much here is text that is evaluated later, or in a subshell for each run:
# shellcheck disable=SC2012,SC2016,SC2030,SC2031,SC2034,SC2120,SC2317

TEST_LIMIT=${TEST_LIMIT:-900}
# shellcheck source=tests/lib.sh
. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

reference=${AUTOSSH_REFERENCE:-/usr/lib/autossh/autossh}
unset AUTOSSH_REFERENCE # autossh would warn of it
[ -x "$reference" ] || skip_all "no reference: $reference is not there"

# ---- intended differences
#
# An ERE of scenario names | the fields | the reason.  In each scenario whose
# whole name matches, each of the fields must differ; no other field may.

cat >"$tmp/intended" <<'END'
words: (-M \$P -f -N h -R 1234:localhost:22 -C|-M \$P -L 8443:x:443 root@h -N -f|-M 0 -NR '.*' u@h -p 22 -i key|-M 0 h -v|-M 0 -N u@h -p 22) | words | options behind the destination stay there
words: (-2 -fN -M \$P -R 2200:localhost:22 u@h|-L 1:x:2 -M \$P h) | words | the forwards stand where -M stood; Debian's program puts them first
words: -f -N -M \$P -L 1:x:2 -f u@h -p 4444 | words | the forwards stand where -M stood, options behind the destination stay there
words: -M 0 (-t h tmux new -As main|h sh -c 'echo -f'|h tail -f log) | words | the words of a remote command are not autossh's
words: -M 0 h (ls -l|git --version) | status starts words log stderr | the words of a remote command are not autossh's
words: -M 0 h printf %s '' | words | an empty word is a word
words: -M 0 -- h -f | words | everything behind -- is ssh's
words: (-NM0 h|-NM 0 h|-fNM 0 h|-ff -M 0 h) | words | -M and -f count inside clusters too, and are taken out
words: -NfM\$P h | words | the forwards stand where -M stood, in a cluster too
words: -M \$P -NT -o ControlMaster=no -6 h | words | ssh -6 reaches no IPv4 address
words: -M 0 -J jump -N h | words | -J takes an argument
words: -M 0 (-Jjump|-B lo) h | status starts words log stderr | -J and -B take an argument
words: -M 0 .*(-Q cipher|-O check).* h | log | a question is for ssh to answer
words: -M 0 -Z h | status starts words log stderr | ssh judges the letters that are unknown here
words: (-M 0 -N h \(PORT=\$P\)|-M \$P -N h \(PORT=0\)) | words log | AUTOSSH_PORT beats -M; Debian's program has it the other way
early: .*exit 0 | status log | a session may end within the gate time
early: (.*exit [1-9].*|pidfile gone .*) | stderr | no failure is silent
pacing: (POLL 600, 4 starts|signals count as deaths do) | gaps | a pause comes before the third start and the fourth; 1.4g has none up to the sixth
testing: (TERM|INT) | log | a signal does not fail the test that is under way
testing: (USR2|HUP|ALRM|CHLD) | log starts gaps | a signal does not fail the test that is under way
testing: (PIPE|CONT|USR1) | log | a signal does not fail the test that is under way
ending: (TERM|INT) | status log left | an ssh that ignores TERM is killed; 1.4g hangs, deaf to signals
(running|testing|ending): (QUIT|ABRT) | status log left | QUIT and ABRT end ssh, too
waiting: (QUIT|ABRT) | status | QUIT and ABRT end autossh in good order
waiting: (USR2|ALRM|PIPE) | alive status | no signal kills autossh by default action
waiting: (HUP|USR1) | alive status | they start ssh at once; 1.4g is killed
running: KILL | left | no ssh outlives autossh
ssh: (stopped|ignores TERM), then TERM | status left | it is killed after 3 s; 1.4g waits for ever
ssh: ignores TERM, (then USR1|a test fails) | status starts log left | it is killed after 3 s; 1.4g waits for ever
life: (2 s, ssh runs|3 s, ssh .*) | log | that times are lowered stands in the log file too; 1.4g opens it later
life: 2 s, ssh ignores TERM | status log left | it is killed after 3 s; 1.4g waits for ever
life: a signal in its last second | status log left | the lifetime ends all the same; 1.4g lives on
(lifetime: .*|pidfile: gone after the lifetime) | log | that times are lowered stands in the log file too; 1.4g opens it later
monitor: (loop|echo), cut 5 | status starts gaps left | a line cut short fails the test; 1.4g waits for ever
monitor: ssh dies in a test | log | its status is told; 1.4g takes its death for a failed test
strangers: (eight at a time, .*|one at a time, (close|reset)) | passed failed | strangers do not fail a test
count: MAXSTART=-2 | status starts words log gaps | any negative number is no limit
pidfile: gone after HUP while waiting | alive status pidfile | HUP starts ssh at once; 1.4g is killed and leaves it
pidfile: gone after QUIT | status log left pidfile | QUIT ends autossh in good order
pidfile: another has it at the end | pidfile | what is another's is left alone
pidfile: (in no|is a) directory | stderr | no failure is silent
log: (in no directory|is a directory|empty) | stderr | no failure is silent
log: renamed | both | a rotated log is opened anew
background: a relative (ssh|pidfile) | starts words | relative paths mean what they say; 1.4g goes to / first
background: a relative pidfile | pid | relative paths mean what they say; 1.4g goes to / first
background: (no ssh|no pidfile|P\+1 is taken) | status stderr | the caller learns that it failed
background: no ssh | log | a reason is logged, not a signal
background: (no log|a wrong variable) | stderr | the caller learns why it failed
background: its descriptors | fds | what ssh says is logged; the log is closed in ssh
background: its working directory | cwd | the caller's stays
ssh: its descriptors.* | fds | the log is closed in ssh
ssh: (HUP is ignored, as under nohup|PIPE is ignored) | second | each ssh gets it as autossh did, not the first alone
value: (POLL|FIRST_POLL|GATETIME|MAXSTART|MAXLIFETIME) '(0x20|9+)' | status starts words stderr | decimal digits in range, and nothing else
value: (POLL|FIRST_POLL|MAXLIFETIME) '-[12]' | status starts words stderr | negative times make no sense
value: (POLL|FIRST_POLL|GATETIME|MAXSTART|MAXLIFETIME) '(x|5x|7 |1[.]5)?' | stderr | no failure is silent
value: (POLL|FIRST_POLL) '0' | stderr | no failure is silent
value: GATETIME '-[12]' | stderr | no failure is silent
value: LOGLEVEL '(-1|-2|x|5x|0x20|010|7 |1[.]5|9+)?' | stderr | no failure is silent
value: MAXSTART '-2' | status starts words | any negative number is no limit
level: 3, and an error | stderr | no failure is silent
debug: '[a-z0-9]*' | stderr | the log goes to stderr as well as to the file
message: 65 bytes | stderr | no failure is silent
service: '(yes|YES)' | starts words log gaps | it works on each platform, not on Cygwin alone
program: (not in PATH|not executable|a directory) | log stderr | the reason is logged and told, not a signal
program: (not there|not there, gate 0|empty) | stderr | no failure is silent
program: goes away | status stderr | it may come back: a failed start
port: P\+1 is taken | stderr | no failure is silent
port: P is taken | status starts words log stderr | ssh could not listen there, and no test would pass
port: -M '(x|65535|65536|-1|0:|:7|1:0|1:x|1:|1:7:7|[$]P |[$][{]P[}]x|[$]P:)?' | stderr | no failure is silent
port: -M '(0:7|1:65536|1:70000|1:0x50| \$P|\+\$P|4294967296)' | status starts words stderr | decimal digits in range, and nothing else
port: -M '1:017' | words | numbers are decimal
port: AUTOSSH_PORT='' | status starts words stderr | without a port, autossh chooses its own
port: AUTOSSH_PORT='(x|65535|70000)' | stderr | no failure is silent
port: AUTOSSH_PORT='(x|65535|70000)', -M 0 | status starts words stderr | AUTOSSH_PORT beats -M; Debian's program has it the other way
port: AUTOSSH_PORT='0x5000'(, -M 0)? | status starts words stderr | numbers are decimal
usage: no -M | status starts words stderr | without a port, autossh chooses its own
usage: -V with a wrong variable | status | -V needs no variable
usage: --(version|help) | status stderr | GNU's long options for these two
END
built_with HAVE_PRCTL || sed -i '/^running: KILL /d' "$tmp/intended"

# ---- the engine

fact() {
	printf '%s: %s\n' "$1" "$2" >>"$dir/facts"
}

# without FIELD...: these facts are not compared, for they depend on luck.
without() {
	unwanted="$unwanted $* "
}

finish() {
	wait_exit "${1:-30}"
}

stop() {
	sig TERM
	finish 7
}

# running [N]: the Nth ssh is there, and autossh has said so.
running() {
	wait_starts "${1:-1}"
	wait_match '^ssh child pid is' "${1:-1}"
}

sig() {
	kill -s "$1" "${2:-$pid}" 2>/dev/null
}

# Lines as one, less what differs from run to run; the same one after the other
# counts once.
plain() {
	awk -v dir="$dir" -v p="$P" '
	$0 == last { next }
	{
		last = $0
		gsub(dir, "DIR")
		gsub(p + 1, "P+1")
		gsub(p + 2, "E")
		gsub(p, "P")
		printf "%s%s", sep, $0
		sep = "|"
	}'
}

# The lines of a log that scripts match, and no others, as one; but for the
# lengths of pauses, which are drawn, and the count of tries, which paces them.
kept_lines() {
	awk '
	BEGIN {
		pattern = "^(" \
		    "starting ssh \\(count [0-9]+( of [0-9]+)?\\)" \
		    "|ssh child pid is [0-9]+" \
		    "|port set to 0, monitoring disabled" \
		    "|ssh exited with status [0-9]+; autossh exiting" \
		    "|ssh exited with error status [0-9]+; restarting ssh" \
		    "|ssh exited on signal [0-9]+, restarting ssh" \
		    "|ssh exited prematurely with status [0-9]+; " \
		    "autossh exiting" \
		    "|received signal to exit \\([0-9]+\\)" \
		    "|signalled to kill and restart ssh" \
		    "|port down, restarting ssh" \
		    "|timeout polling to accept read connection" \
		    "|max start count reached; exiting" \
		    "|exceeded maximum time to live, shutting down" \
		    "|short poll time: adjusting net timeouts to [0-9]+" \
		    "|(first )?poll time is greater than lifetime, " \
		    "dropping (first )?poll time to [0-9]+" \
		    "|connection ok" \
		    "|checking for grace period, tries = [0-9]+" \
		    ")$"
	}
	{
		sub(/^[0-9\/]* [0-9:]* /, "")
		sub(/^autossh\[[0-9]*\]: /, "")
	}
	$0 ~ pattern {
		sub(/pid is .*/, "pid is PID")
		sub(/tries = .*/, "tries = N")
		printf "%s%s", sep, $0
		sep = "|"
	}'
}

report() {
	fact status "${status:-running}"
	fact starts "$(starts)"
	# Seconds from each start to the next.
	fact gaps "$(awk 'NR > 1 { printf "%.1f ", ($3 - last) / 1000 }
	    { last = $3 }' "$dir/starts" 2>/dev/null)"
	fact words "$([ ! -f argv ] || plain <argv)"
	fact log "$([ ! -f log ] || kept_lines <log)"
	fact stderr "$([ ! -s "$dir/err" ] || echo said)"
	fact left "$(for survivor in $(survivors "$dir"); do
		comm_of "$survivor"
		kill -KILL "$survivor"
	done | plain)"
}

# one WHICH PROGRAM NUMBER PLAN SETTINGS ARGUMENTS STEPS BEFORE: one run, in a
# subshell; its facts go to $tmp/NUMBER-WHICH/kept.
one() {
	which=$1
	program=$2
	dir=$tmp/$3-$1
	unwanted=
	status=
	mkdir "$dir" && cd "$dir" || return
	printf '%s\n' "$4" >plan
	AUTOSSH_GATETIME=0
	AUTOSSH_PATH=$FAKESSH
	AUTOSSH_LOGFILE=$dir/log
	AUTOSSH_LOGLEVEL=7
	FAKESSH_DIR=$dir
	export AUTOSSH_GATETIME AUTOSSH_PATH AUTOSSH_LOGFILE AUTOSSH_LOGLEVEL \
	    FAKESSH_DIR
	arguments=$6
	steps=$7
	before=$8
	eval "set -- $5"
	for setting do
		shift
		case $setting in
		run:*) ;;
		-*) setting=unset:AUTOSSH_${setting#-} ;;
		*) setting=AUTOSSH_$setting ;;
		esac
		set -- "$@" "$setting"
	done
	eval "set -- \"\$@\" \"exec:\$program\" $arguments"
	eval "$before"
	start "$@"
	eval "$steps"
	report
	awk -v unwanted="$unwanted" '{ field = " " substr($1, 1,
	    length($1) - 1) " " } !index(unwanted, field)' facts >kept
}

# Both runs of scenario NUMBER.
both() {
	one ours "$AUTOSSH" "$@" &
	both_ours=$!
	P=$((P + 4))
	E=$((E + 4))
	one reference "$reference" "$@"
	wait "$both_ours"
}

# Compares field by field: a line for each difference, and for each intended
# one that does not show.  A busy machine may hold a start up, and ours pauses
# for 2 s before the third quick start: what is less than four seconds apart is
# the same.
cat >"$tmp/compare.awk" <<'EOF'
BEGIN {
	FS = " [|] "
}
function same(field, a, b,    n, i, x, y) {
	if (field != "gaps")
		return a == b
	n = split(a, x, " ")
	if (split(b, y, " ") != n)
		return 0
	for (i = 1; i <= n; i++)
		if (x[i] - y[i] >= 4 || y[i] - x[i] >= 4)
			return 0
	return 1
}
FILENAME == ARGV[1] {
	if (name ~ "^(" $1 ")$") {
		n = split($2, list, " ")
		for (i = 1; i <= n; i++)
			reason[list[i]] = $3
	}
	next
}
{
	field = $0
	sub(/: .*/, "", field)
	value = substr($0, length(field) + 3)
	fields[field] = 1
	if (FILENAME == ARGV[2])
		ours[field] = ours[field] value
	else
		theirs[field] = theirs[field] value
}
END {
	for (field in fields) {
		if (same(field, ours[field], theirs[field]))
			continue
		if (field in reason)
			print "intended " field ": " reason[field]
		else
			print "unexpected " field
		print "  ours:      " ours[field]
		print "  reference: " theirs[field]
		shown[field] = 1
	}
	for (field in reason)
		if (!(field in shown))
			print "missing " field ": " reason[field] \
			    "\n  both:      " ours[field]
}
EOF

compare() {
	awk -v name="$2" -f "$tmp/compare.awk" "$tmp/intended" \
	    "$tmp/$1-ours/kept" "$tmp/$1-reference/kept" >"$tmp/$1-result"
	! grep -q '^unexpected\|^missing' "$tmp/$1-result" &&
	    [ -s "$tmp/$1-ours/kept" ] && [ -s "$tmp/$1-reference/kept" ]
}

# Without $only, every scenario is started, so many at a time; with it, a list
# of numbers, these are run again, one at a time.
jobs=${COMPAT_JOBS:-20}
only=
number=0
window=
scenario() {
	number=$((number + 1))
	[ -z "${COMPAT_ONLY-}" ] ||
	    printf '%s\n' "$1" | grep -Eq -e "$COMPAT_ONLY" || return 0
	case "$only" in
	'') printf '%s\n' "$1" >"$tmp/$number-name" ;;
	*" $number "*) rm -rf "$tmp/$number-ours" "$tmp/$number-reference" ;;
	*) return 0 ;;
	esac
	P=99990	# no port, and nothing that is found in a fact
	case "$3$4${5-}${6-}" in *'$'[PE]*) four_ports ;; esac
	E=$((P + 2))
	case "$only" in
	'')
		(both "$number" "$2" "$3" "$4" "${5:-finish}" "${6-}") &
		window="$window $!"
		# shellcheck disable=SC2086 # a list
		set -- $window
		if [ $# -ge "$jobs" ]; then
			wait "$1"
			shift
			window=$*
		fi ;;
	*)
		(both "$number" "$2" "$3" "$4" "${5:-finish}" "${6-}") ;;
	esac
}

# P such that P to P+7 are free.
four_ports() {
	while :; do
		free_port
		P=$port
		free_port
		free_port
		free_port
		[ "$port" -eq $((P + 6)) ] && return
	done
}

# ---- the scenarios

# words ARGUMENTS [SETTINGS]: what ssh gets.
words() {
	scenario "words: $1${2:+ ($2)}" 'exit 0' "${2-}" "$1" 'words_seen'
}

# With -f the end is in the log alone.
words_seen() {
	finish
	[ "$status" -eq 0 ] || return 0
	wait_for 2 '[ -s starts ]' && wait_for 5 'grep -q "autossh exiting" log'
}

table_words() {
	words '-M 0 h'
	words '-M0 h'
	words '-M 0 -N h'
	words '-N -M 0 h'
	words '-NM0 h'
	words '-NM 0 h'
	words '-M 0 -N -o "ServerAliveInterval 30" -R 2222:localhost:22 u@h'
	words '-M 0 -N -o "ServerAliveCountMax 3" -oTCPKeepAlive=no u@h'
	words '-M $P -f -N h -R 1234:localhost:22 -C'
	words '-M $P -L 8443:x:443 root@h -N -f'
	words '-2 -fN -M $P -R 2200:localhost:22 u@h'
	words '-M $P -qfTnN -D 7777 h'
	words '-f -N -M $P -L 1:x:2 -f u@h -p 4444'
	words "-M 0 -NR '*:2222:localhost:22' u@h -p 22 -i key"
	words '-M 0 -N -D "[::1]:1080" u@2001:db8::1'
	words '-M $P -NT -o ControlMaster=no -6 h'
	words '-M 0 -t h "tmux new-session -A -s main"'
	words '-M 0 -t h tmux new -As main'
	words '-M 0 -J jump -N h'
	words '-M 0 -Jjump h'
	words '-J x -M 0 h'
	words '-M 0 -B lo h'
	words '-M 0 -P tag h'
	words '-M 0 h ls -l'
	words '-M 0 h tail -f log'
	words "-M 0 h sh -c 'echo -f'"
	words '-M 0 h git --version'
	words "-M 0 h printf %s ''"
	words '-fNM 0 h'
	words '-NfM$P h'
	words '-ff -M 0 h'
	words '-M 0 -- -M h'
	words '-M 0 -- h -f'
	words '-vv -N -i k -L 1:x:2 u@h' PORT=0
	words '-vv -- -i k -L 1:x:2 u@h -N' PORT=0
	words '-N h' 'PORT=$P'
	words '-M 0 -N h' 'PORT=$P'
	words '-M $P -N h' PORT=0
	words '-M $P:$E -N h'
	words '-M $P:7 -L 1:x:2 h'
	words '-L 1:x:2 -M $P h'
	words '-M 0 -M $P h'
	words '-M $P -M 0 h'
	words '-M 0 -L8808:foo:80 h'
	words '-M 0 -NfL 8808:foo:80 h'
	words '-M 0 -o ForwardX11=no h'
	words '-M 0 -oForwardX11=no h'
	words '-M 0 -D 7777 -e none -F cfg -S none -w any -W x:1 -Q cipher h'
	words '-M 0 -c aes -m mac -b 1 -I lib -E log -O check -l u h'
	words '-M 0 -1 h'
	words '-M 0 -46AaCGgKkNnqsTtVvXxYy h'
	words '-M 0 -4 -6 -A -a -C -g -K -k -N -n -q -s -T -t -v -X -x -Y -y h'
	words '-M 0 -Z h'
	words '-M 0 h -v'
	words '-M 0 -N u@h -p 22'
	words 'h -M 0'
	words '-f -M 0 -N h'
}

# What the death of ssh means.
table_deaths() {
	for e in 0 1 2 3 127 254 255; do
		scenario "early: gate 30, exit $e" "exit $e" GATETIME=30 '-M 0 h'
		scenario "first: gate 0, exit $e" "exit $e; exit 0" \
		    MAXSTART=3 '-M 0 h'
		scenario "later: gate 30, signal, then exit $e" \
		    "signal KILL; exit $e; exit 0" \
		    'GATETIME=30 MAXSTART=4' '-M 0 h'
		scenario "later: gate 0, exit 255, then $e" \
		    "exit 255; exit $e; exit 0" MAXSTART=4 '-M 0 h'
		scenario "grown: gate 1, lived 2.4 s, exit $e" \
		    "sleep 2400 exit $e; exit 0" 'GATETIME=1 MAXSTART=3' \
		    '-M 0 h'
	done
	for s in HUP INT QUIT KILL TERM SEGV PIPE ALRM USR1 USR2 ABRT; do
		scenario "signal: gate 30, $s" "signal $s; signal $s; exit 0" \
		    GATETIME=30 '-M 0 h'
	done
	scenario "signal: gate 0, TERM" "signal TERM; exit 0" '' '-M 0 h'
	scenario "grown: gate 1, lived 2.4 s, signal" \
	    'sleep 2400 signal TERM; exit 0' GATETIME=1 '-M 0 h'
	scenario "early: default gate, exit 255" 'exit 255' -GATETIME '-M 0 h'
	scenario "early: default gate, exit 0" 'exit 0' -GATETIME '-M 0 h'
	scenario "early: gate 3, lived 1 s, exit 255" 'sleep 1000 exit 255' \
	    GATETIME=3 '-M 0 h'
	scenario "early: gate 3, lived 1 s, exit 0" 'sleep 1000 exit 0' \
	    GATETIME=3 '-M 0 h'
	for n in 0 1 2 3 5; do
		scenario "count: MAXSTART=$n, exit 255" 'exit 255' \
		    "MAXSTART=$n POLL=1" '-M 0 h' 'finish; without log'
	done
	scenario "count: MAXSTART=-1" 'exit 255; exit 255; exit 255; exit 0' \
	    'MAXSTART=-1 POLL=1' '-M 0 h'
	scenario "count: MAXSTART=-2" 'exit 255; exit 0' MAXSTART=-2 '-M 0 h'
	scenario "count: MAXSTART=2, signals" 'signal KILL' \
	    'MAXSTART=2 GATETIME=30' '-M 0 h'
	scenario "early: gate 30, MAXSTART=1, exit 1" 'exit 1' \
	    'MAXSTART=1 GATETIME=30' '-M 0 h'
	scenario "count: not limited" 'exit 255; exit 1; exit 2; exit 0' \
	    POLL=1 '-M 0 h' 'finish; without log'
	scenario "count: MAXSTART=2, USR1 is a start" 'hang' MAXSTART=2 \
	    '-M 0 h' 'running 1; sig USR1; running 2; sig USR1; finish'
}

# How long the starts are apart.
table_pacing() {
	scenario 'pacing: POLL 600, 4 starts' 'exit 255' \
	    'POLL=600 MAXSTART=4' '-M 0 h'
	scenario 'pacing: signals count as deaths do' 'signal KILL' \
	    'POLL=600 MAXSTART=4' '-M 0 h'
	scenario 'pacing: a life of 11 s begins anew' \
	    'exit 255; sleep 11000 exit 255; exit 255; exit 0' \
	    POLL=10 '-M 0 h' 'finish; without log'
}

# The test, its faults and how long it takes to find them.  P+1 is not listened
# at where an echo port is named.
table_monitor() {
	for ends in '$P' '$P:$E'; do
		case $ends in *:*) kind=echo play=echo ;; *) kind=loop play= ;; esac
		scenario "monitor: $kind passes" "$play forward" \
		    'FIRST_POLL=1 POLL=2' "-M $ends -N h" \
		    'wait_log "connection ok" 2; stop'
		scenario "monitor: $kind, MESSAGE" "$play forward" \
		    'FIRST_POLL=1 MESSAGE="to whom it may concern"' \
		    "-M $ends h" 'wait_log "connection ok"; stop'
		scenario "monitor: $kind, delayed by 0.3 s" \
		    "$play delay 300 forward" 'FIRST_POLL=1 POLL=4' \
		    "-M $ends h" 'wait_log "connection ok"; stop'
		scenario "monitor: $kind, byte by byte" \
		    "$play trickle 5 forward" 'FIRST_POLL=1 POLL=8' \
		    "-M $ends h" 'wait_log "connection ok"; stop'
		for fault in hang 'swallow forward' 'half forward' \
		    'garble forward' 'cut 5 forward' 'close forward' \
		    'reset forward' 'delay 9000 forward'; do
			[ "$kind$fault" != 'echohalf forward' ] || continue
			# 1.4g waits for ever for the rest of a line.
			case $fault in
			cut*) luck=log ;;
			*) luck= ;;
			esac
			scenario "monitor: $kind, ${fault% forward}" \
			    "$play $fault" \
			    'FIRST_POLL=1 POLL=6 MAXSTART=2' "-M $ends h" \
			    "finish 20; without $luck"
		done
		scenario "monitor: $kind, the third test fails" \
		    "$play pass 2 swallow forward" \
		    'FIRST_POLL=1 POLL=2 MAXSTART=1' "-M $ends h"
	done
	scenario 'monitor: the first test comes after FIRST_POLL' 'hang' \
	    'FIRST_POLL=4 POLL=2 MAXSTART=2' '-M $P h'
	scenario 'monitor: the first test comes after POLL' 'hang' \
	    'POLL=3 MAXSTART=2' '-M $P h'
	scenario 'monitor: off' 'life 3000 hang exit 0' 'POLL=1' '-M 0 h'
	scenario 'monitor: ssh dies in a test' \
	    'life 1500 swallow forward exit 255; exit 0' \
	    'FIRST_POLL=1 POLL=30' '-M $P h'
	scenario 'monitor: tests go on with the next ssh' \
	    'signal KILL; forward' 'FIRST_POLL=1 POLL=2' '-M $P h' \
	    'wait_log "connection ok" 2; stop'
	for kind in silent talk close reset; do
		scenario "strangers: one at a time, $kind" forward \
		    'FIRST_POLL=2 POLL=4' '-M $P h' "a_stranger 1 $kind"
		scenario "strangers: eight at a time, $kind" forward \
		    'FIRST_POLL=2 POLL=4' '-M $P h' "a_stranger 8 $kind"
	done
	for message in '' 'MESSAGE=hello' 'MESSAGE="two  words "'; do
		scenario "line: echo${message:+, $message}" 'echo forward' \
		    "FIRST_POLL=1 $message" '-M $P:$E h' seen_line
		scenario "line: loop${message:+, $message}" forward \
		    "FIRST_POLL=1 $message" '-M $P h' seen_line
	done
}

# The first test meets strangers at P+1; which it is after that.
a_stranger() {
	running
	# They hang on to whom does not accept them: that must not hold us up.
	"$TOOL" strangers $((P + 1)) "$1" "$2" 4000 >/dev/null &
	strangers=$!
	sleep 4.5
	kill "$strangers" 2>/dev/null
	wait "$strangers" 2>/dev/null
	fact passed "$(log_has 'connection ok' && echo yes)"
	fact failed "$(log_has 'port down, restarting ssh' && echo yes)"
	stop
	without gaps log starts words
}

# The bytes of the line, with what differs by nature named.
seen_line() {
	wait_log 'connection ok'
	stop
	fact line "$(sed -e "s/^$(uname -n) /HOST /" -e "s/ $pid / PID /" \
	    -e 's/ [0-9][0-9]* /  NUMBER /' wire | od -c |
	    sed 's/^[0-9]*//' | tr -s ' \n' ' ')"
}

# Every signal in every state.
table_signals() {
	for s in TERM INT QUIT ABRT; do
		scenario "running: $s" hang '' '-M 0 h' "running; sig $s; finish"
		scenario "waiting: $s" 'exit 255' POLL=3000 '-M 0 h' \
		    "waiting; sig $s; finish; without starts gaps log"
		scenario "testing: $s" 'swallow forward' \
		    'FIRST_POLL=1 POLL=30' '-M $P h' \
		    "running; sleep 2; sig $s; finish"
		scenario "ending: $s" 'ignore TERM hang' '' '-M 0 h' \
		    "running; sig USR1; sleep 1; sig $s; finish 8"
	done
	for s in USR2 HUP ALRM PIPE CHLD CONT; do
		scenario "running: $s" hang '' '-M 0 h' \
		    "running; sig $s; still 0.5; stop"
		scenario "waiting: $s" 'exit 255' POLL=3000 '-M 0 h' \
		    "waiting; sig $s; still 1; stop; without starts gaps log"
		scenario "testing: $s" 'swallow forward' \
		    'FIRST_POLL=1 POLL=30' '-M $P h' \
		    "running; sleep 2; sig $s; still 0.5; stop"
	done
	scenario 'running: USR1' hang '' '-M 0 h' \
	    'running; sig USR1; running 2; stop'
	scenario 'running: USR1, and again' hang '' '-M 0 h' \
	    'running; sig USR1; running 2; sig USR1; running 3; stop'
	scenario 'running: USR1, gate 30' hang GATETIME=30 '-M 0 h' \
	    'running; sig USR1; running 2; stop'
	scenario 'waiting: USR1' 'exit 255' POLL=3000 '-M 0 h' \
	    'waiting; sig USR1; still 1; stop; without starts gaps log'
	scenario 'testing: USR1' 'swallow forward; hang' \
	    'FIRST_POLL=1 POLL=30' '-M $P h' \
	    'running; sleep 2; sig USR1; wait_starts 2 5; stop; without gaps'
	scenario 'running: TERM with a monitor' forward POLL=60 '-M $P h' \
	    'running; sig TERM; finish'
	scenario 'running: INT with a monitor' forward POLL=60 '-M $P h' \
	    'running; sig INT; finish'
	scenario 'running: TERM in the second ssh' 'exit 255; hang' '' '-M 0 h' \
	    'running 2; sig TERM; finish'
	scenario 'running: TERM, ssh exits 255 upon it' 'term 255 hang' '' \
	    '-M 0 h' 'running; sig TERM; finish'
	scenario 'running: USR1, ssh exits 255 upon it' 'term 255 hang; hang' '' \
	    '-M 0 h' 'running; sig USR1; running 2; stop'
	scenario 'running: USR1, ssh exits 0 upon it' 'term 0 hang; hang' '' \
	    '-M 0 h' 'running; sig USR1; running 2; stop'
	scenario 'running: TSTP and CONT' hang '' '-M 0 h' \
	    'running; sig TSTP; sleep 0.3; sig CONT; still 0.3; stop'
	scenario 'running: KILL' hang '' '-M 0 h' \
	    'running; sig KILL; finish; sleep 0.5'
	for s in TERM KILL INT HUP USR1; do
		scenario "ssh: killed by $s from elsewhere" 'hang; exit 0' '' \
		    '-M 0 h' "running; sig $s \$(ssh_pid 1); finish"
	done
	scenario 'ssh: stopped, then TERM' hang '' '-M 0 h' \
	    'running; sig STOP $(ssh_pid 1); sleep 0.3; sig TERM; finish 8'
	scenario 'ssh: ignores TERM, then TERM' 'ignore TERM hang' '' '-M 0 h' \
	    'running; sig TERM; finish 8'
	scenario 'ssh: ignores TERM, then USR1' 'ignore TERM hang; hang' '' \
	    '-M 0 h' 'running; sig USR1; wait_starts 2 6; stop; without gaps'
	scenario 'ssh: ignores TERM, a test fails' 'ignore TERM hang; hang' \
	    'FIRST_POLL=1 POLL=60' '-M $P h' \
	    'running; wait_starts 2 8; stop; without gaps'
	scenario 'life: 2 s, ssh runs' hang MAXLIFETIME=2 '-M 0 h'
	scenario 'life: 4 s, ssh runs and is tested' forward \
	    'MAXLIFETIME=4 FIRST_POLL=1 POLL=2' '-M $P h'
	scenario 'life: 2 s, in a test' 'swallow forward' \
	    'MAXLIFETIME=2 FIRST_POLL=1 POLL=30' '-M $P h' \
	    'finish; without log'
	scenario 'life: 3 s, ssh ends before' 'exit 0' MAXLIFETIME=3 '-M 0 h'
	scenario 'life: 3 s, ssh fails and comes back' \
	    'exit 255; exit 255; hang' MAXLIFETIME=3 '-M 0 h'
	scenario 'life: 4 s, between two starts' 'exit 255' \
	    'MAXLIFETIME=4' '-M 0 h' 'finish; without log gaps starts'
	scenario 'life: 2 s, ssh ignores TERM' 'ignore TERM hang' \
	    MAXLIFETIME=2 '-M 0 h' 'finish 9'
	# 1.4g counts by the clock's seconds: start in the middle of one.
	scenario 'life: a signal in its last second' hang MAXLIFETIME=3 \
	    '-M 0 h' 'last_second; finish 5' \
	    mid_second
	scenario 'life: 0 is no end' 'life 1200 hang exit 0' MAXLIFETIME=0 \
	    '-M 0 h'
}

mid_second() {
	second=$(date +%S)
	while [ "$second" = "$(date +%S)" ]; do
		sleep 0.1
	done
	sleep 0.5
}

last_second() {
	sleep 2.4
	for i in 1 2 3 4 5 6; do
		sleep 0.08
		sig HUP
	done
}

# autossh waits to start ssh, for 5 s or more: 1.4g after six starts.
waiting() {
	wait_match '^sleeping for grace time ([5-9]|[1-9][0-9]+) secs' 1 30
}

# After so many seconds: is it still there, has it started another ssh?
still() {
	sleep "$1"
	fact alive "$(alive "$pid" && echo yes)"
}

# What is not in range, and what each variable does.
table_variables() {
	for v in POLL FIRST_POLL GATETIME MAXSTART MAXLIFETIME LOGLEVEL; do
		for x in '' 0 1 7 -1 -2 x 5x 0x20 010 ' 7' '7 ' +7 1.5 \
		    99999999999999999999; do
			scenario "value: $v '$x'" 'signal KILL; exit 0' \
			    "$v='$x'" '-M 0 h' 'finish; without log gaps'
		done
	done
	for x in 0 3 5 6 7; do
		scenario "level: $x" 'signal KILL; exit 255; exit 0' \
		    "LOGLEVEL=$x" '-M 0 h'
	done
	scenario 'level: as it is by default' 'signal KILL; exit 255; exit 0' \
	    '-LOGLEVEL' '-M 0 h'
	scenario 'level: 3, and an error' 'exit 255' 'LOGLEVEL=3 GATETIME=30' \
	    '-M 0 h'
	for x in 1 '' 0 no; do
		scenario "debug: '$x'" 'exit 255; exit 0' \
		    "LOGLEVEL=3 DEBUG='$x'" '-M 0 h'
		scenario "debug: '$x', no file" 'exit 255; exit 0' \
		    "LOGLEVEL=3 DEBUG='$x' -LOGFILE" '-M 0 h' \
		    'finish; fact terminal "$(kept_lines <err)"'
	done
	for p in 1 7 10 29 30 31; do
		scenario "poll: $p" 'exit 0' "POLL=$p" '-M 0 h'
	done
	scenario 'poll: 100, first 3' 'exit 0' 'POLL=100 FIRST_POLL=3' '-M 0 h'
	scenario 'poll: 3, first 100' 'exit 0' 'POLL=3 FIRST_POLL=100' '-M 0 h'
	scenario 'lifetime: 20' 'exit 0' 'MAXLIFETIME=20' '-M 0 h'
	scenario 'lifetime: 20, POLL 100' 'exit 0' 'POLL=100 MAXLIFETIME=20' \
	    '-M 0 h'
	scenario 'lifetime: 20, POLL 10, FIRST_POLL 50' 'exit 0' \
	    'FIRST_POLL=50 MAXLIFETIME=20 POLL=10' '-M 0 h'
	scenario 'poll: lifetime 40, POLL 40, FIRST_POLL 40' 'exit 0' \
	    'FIRST_POLL=40 MAXLIFETIME=40 POLL=40' '-M 0 h'
	scenario 'poll: lifetime 1000' 'exit 0' MAXLIFETIME=1000 '-M 0 h'
	scenario 'message: 64 bytes' 'exit 0' "MESSAGE=$(printf %064d 0)" '-M 0 h'
	scenario 'message: 65 bytes' 'exit 0' "MESSAGE=$(printf %065d 0)" '-M 0 h'
	scenario 'message: empty' 'exit 0' 'MESSAGE=' '-M 0 h'
	for x in '' no 1 yes YES; do
		scenario "service: '$x'" 'exit 0; exit 0; exit 255' \
		    "NTSERVICE='$x' MAXSTART=3" '-M 0 h'
	done
	scenario 'program: looked up in PATH' 'exit 0' 'PATH=found' '-M 0 h' \
	    finish 'ln -s "$FAKESSH" found; PATH=$dir:$PATH'
	scenario 'program: not in PATH' 'exit 0' 'PATH=no-such-program' '-M 0 h'
	scenario 'program: relative' 'exit 0' 'PATH=./found' '-M 0 h' \
	    finish 'ln -s "$FAKESSH" found'
	scenario 'program: not there' 'exit 0' 'PATH=$dir/none GATETIME=30' \
	    '-M 0 h' 'finish; without log'
	scenario 'program: not there, gate 0' 'exit 0' \
	    'PATH=$dir/none MAXSTART=3' '-M 0 h' 'finish; without log'
	scenario 'program: goes away' 'exit 255' 'PATH=$dir/found MAXSTART=3' \
	    '-M 0 h' 'finish; without log' \
	    'printf "%s\n" "#!/bin/sh" "rm found; exit 255" >found; chmod +x found'
	scenario 'program: not executable' 'exit 0' 'PATH=$dir/plan' '-M 0 h'
	scenario 'program: a directory' 'exit 0' 'PATH=$dir' '-M 0 h'
	scenario 'program: without #!' 'exit 0' 'PATH=$dir/script' '-M 0 -v h w' \
	    'finish; fact out "$(plain <out)"' \
	    'echo "echo \$0 \$*" >script; chmod +x script'
	scenario 'program: its name is argv[0]' 'exit 0' 'PATH=./script' \
	    '-M 0 -v h w' 'finish; fact out "$(plain <out)"' \
	    'printf "%s\n" "#!/bin/sh" "echo \$0 \$*" >script; chmod +x script'
	scenario 'program: empty' 'exit 0' 'PATH=' '-M 0 h' \
	    'finish; without log'
}

table_ports() {
	for x in x 65535 65536 -1 '' 0: 0:7 :7 1:0 1:x 1: 1:7:7 1:65535 1:65536 \
	    1:70000 1:0x50 1:017 ' $P' '$P ' '+$P' '${P}x' '$P:' 4294967296; do
		scenario "port: -M '$x'" 'exit 0' '' "-M \"$x\" h" \
		    'finish; without log gaps'
	done
	for x in '' x 0 65535 70000 0x5000; do
		scenario "port: AUTOSSH_PORT='$x'" 'exit 0' "PORT='$x'" 'h' \
		    'finish; without log gaps'
		scenario "port: AUTOSSH_PORT='$x', -M 0" 'exit 0' "PORT='$x'" \
		    '-M 0 h' 'finish; without log gaps'
	done
	scenario 'port: P+1 is taken' hang '' '-M $P h' \
	    'finish; kill "$taker"' 'take $((P + 1))'
	scenario 'port: P is taken' 'exit 0' '' '-M $P h' \
	    'finish; kill "$taker"' 'take "$P"'
	scenario 'port: with an echo port P+1 may be taken' 'exit 0' '' \
	    '-M $P:$E h' 'finish; kill "$taker"' 'take $((P + 1))'
	scenario 'port: is bound to 127.0.0.1' hang '' '-M $P h' \
	    'running; "$TOOL" connects $((P + 1)); fact refused $?; stop'
	scenario 'usage: nothing' '' '' '' 'finish; without log'
	scenario 'usage: -M 0 and no host' 'exit 0' '' '-M 0'
	scenario 'usage: -M without its value' 'exit 0' '' 'h -M'
	scenario 'usage: no -M' 'exit 0' '' '-N h' 'finish; without log'
	scenario 'usage: -V' '' '' '-V' 'finish; fact out "$(sed "s/ .*//" out)"'
	scenario 'usage: -V with a wrong variable' '' 'POLL=x' '-V'
	scenario 'usage: -V among others' '' '' '-M 0 -V h'
	scenario 'usage: --version' '' '' '--version'
	scenario 'usage: --help' '' '' '--help'
	scenario 'usage: --word' 'exit 0' '' '-M 0 --word h'
}

take() {
	"$TOOL" echo "$1" &
	taker=$!
	started_pids="$started_pids $taker"
	wait_for 5 "\"\$TOOL\" connects $1"
}

# Pidfile, log, background, and what ssh inherits.
table_files() {
	scenario 'pidfile: its content' hang 'PIDFILE=pid' '-M 0 h' \
	    'running; own_pidfile; stop; gone_pidfile'
	scenario 'pidfile: umask 077' hang 'run:umask=077 PIDFILE=pid' '-M 0 h' \
	    'running; own_pidfile; stop; gone_pidfile'
	scenario 'pidfile: gone after a normal end' 'exit 0' 'PIDFILE=pid' \
	    '-M 0 h' 'finish; gone_pidfile'
	scenario 'pidfile: gone after an error' 'exit 5' 'PIDFILE=pid' \
	    '-M 0 h' 'finish; gone_pidfile'
	scenario 'early: pidfile gone after a premature end' 'exit 255' \
	    'PIDFILE=pid GATETIME=30' '-M 0 h' 'finish; gone_pidfile'
	scenario 'pidfile: gone after the last start' 'exit 255' \
	    'PIDFILE=pid MAXSTART=2' '-M 0 h' 'finish; gone_pidfile'
	scenario 'pidfile: gone after the lifetime' hang \
	    'PIDFILE=pid MAXLIFETIME=2' '-M 0 h' 'finish; gone_pidfile'
	scenario 'pidfile: gone after HUP while waiting' 'exit 255' \
	    'PIDFILE=pid POLL=3000' '-M 0 h' \
	    'waiting; sig HUP; still 1; stop; gone_pidfile; without starts gaps log'
	scenario 'pidfile: gone after QUIT' hang PIDFILE=pid '-M 0 h' \
	    'running; sig QUIT; finish; gone_pidfile'
	scenario 'pidfile: a stale one' hang 'PIDFILE=pid' '-M 0 h' \
	    'running; own_pidfile; stop; gone_pidfile' 'echo 1 >pid'
	scenario 'pidfile: empty' 'exit 0' 'PIDFILE=' '-M 0 h'
	scenario 'pidfile: in no directory' 'exit 0' 'PIDFILE=none/pid' '-M 0 h'
	scenario 'pidfile: is a directory' 'exit 0' 'PIDFILE=$dir' '-M 0 h'
	scenario 'pidfile: another has it at the end' hang 'PIDFILE=pid' \
	    '-M 0 h' 'running; echo 1 >pid; stop; gone_pidfile'
	scenario 'log: is appended to' 'exit 0' '' '-M 0 h' \
	    'finish; fact first "$(head -n 1 log)"' 'echo before >log'
	scenario 'log: its format' 'exit 0' LOGLEVEL=6 '-M 0 h' \
	    'finish; log_format'
	scenario 'log: umask 077' 'exit 0' 'run:umask=077' '-M 0 h' \
	    'finish; fact mode "$(ls -l log | cut -c 1-10)"'
	scenario 'log: to stdout' 'exit 0' 'LOGFILE=/dev/stdout' '-M 0 h' \
	    'finish; fact out "$(kept_lines <out)"'
	scenario 'log: relative' 'exit 0' 'LOGFILE=here' '-M 0 h' \
	    'finish; fact here "$(kept_lines <here)"'
	scenario 'log: in no directory' 'exit 0' 'LOGFILE=none/log' '-M 0 h'
	scenario 'log: is a directory' 'exit 0' 'LOGFILE=$dir' '-M 0 h'
	scenario 'log: empty' 'exit 0' 'LOGFILE=' '-M 0 h'
	scenario 'log: none' 'exit 255; exit 0' '-LOGFILE' '-M 0 h'
	scenario 'log: renamed' hang '' '-M 0 h' \
	    'running; mv log old; sig USR1; wait_starts 2; stop; logs_there'
	for e in 0 5; do
		scenario "background: ssh exits $e" "exit $e" '' '-f -M 0 h' \
		    'background_end'
		scenario "background: gate 5, ssh exits $e" "exit $e" \
		    GATETIME=5 '-f -M 0 h' background_end
	done
	scenario 'background: gate 5, ssh exits 255' 'exit 255; exit 0' \
	    GATETIME=5 '-f -M 0 h' background_end
	scenario 'background: default gate, ssh exits 1' 'exit 1; exit 0' \
	    -GATETIME '-f -M 0 h' background_end
	scenario 'background: a session of its own' hang PIDFILE='$dir/pid' \
	    '-f -M 0 h' 'background; family; background_stop'
	scenario 'background: its descriptors' hang PIDFILE='$dir/pid' \
	    '-f -M 0 h' 'background; descriptors; background_stop'
	scenario 'background: its working directory' hang PIDFILE='$dir/pid' \
	    '-f -M 0 h' 'background; directory; background_stop'
	scenario 'background: its pidfile' hang PIDFILE='$dir/pid' '-f -M 0 h' \
	    'background; own_pidfile; background_stop; gone_pidfile'
	scenario 'background: a relative pidfile' hang PIDFILE=sub/pid \
	    '-f -M 0 h' 'relative; fact pid "$(ls sub)"; background_stop' \
	    'mkdir sub'
	scenario 'background: a relative ssh' hang 'PATH=./found' '-f -M 0 h' \
	    'relative; background_stop' \
	    'ln -s "$FAKESSH" found'
	scenario 'background: USR1' 'hang' '' '-f -M 0 h' \
	    'background; sig USR1 "$(supervisor)"; running 2; background_stop'
	scenario 'background: no ssh' 'exit 0' 'PATH=$dir/none' '-f -M 0 h' \
	    'finish; sleep 0.5'
	scenario 'background: no pidfile' 'exit 0' 'PIDFILE=none/pid' \
	    '-f -M 0 h' 'finish; sleep 0.5'
	scenario 'background: no log' 'exit 0' 'LOGFILE=none/log' '-f -M 0 h' \
	    'finish; sleep 0.5'
	scenario 'background: P+1 is taken' 'exit 0' '' '-f -M $P h' \
	    'finish; sleep 0.5; kill "$taker"' 'take $((P + 1))'
	scenario 'background: a wrong variable' 'exit 0' 'POLL=x' '-f -M 0 h' \
	    'finish; sleep 0.5'
	scenario 'ssh: its descriptors' 'exit 0' '' '-M 0 h' \
	    'finish; descriptors'
	scenario 'ssh: its descriptors with a monitor' 'exit 0' '' '-M $P h' \
	    'finish; descriptors'
	scenario 'ssh: signals as at login' 'exit 255; exit 0' '' '-M 0 h' \
	    'finish; dispositions'
	scenario 'ssh: HUP is ignored, as under nohup' 'exit 255; exit 0' \
	    'run:ignore=HUP' '-M 0 h' \
	    'finish; dispositions'
	scenario 'ssh: PIPE is ignored' 'exit 255; exit 0' \
	    'run:ignore=PIPE' '-M 0 h' \
	    'finish; dispositions'
	scenario 'ssh: USR2 is blocked' 'exit 255; exit 0' \
	    'run:block=USR2' '-M 0 h' \
	    'finish; dispositions'
	scenario 'ssh: its environment' 'exit 0' 'MESSAGE=m PORT=0' '-M 0 h' \
	    'finish; fact env "$(grep "^AUTOSSH_\|^THIS" env.1 | sort | plain)"' \
	    'THIS=that; export THIS'
	scenario 'ssh: its parent, group, session' 'exit 0' 'run:group' \
	    '-M 0 h' 'finish; family'
	scenario 'ssh: its working directory' 'exit 0' '' '-M 0 h' \
	    'finish; directory'
	scenario 'ssh: its stdout and stderr' 'print out say err exit 0' '' \
	    '-M 0 h' 'finish; fact out "$(plain <out)"; fact err "$(plain <err)"'
}

# ssh's descriptors above 2, and 0 to 2 unless they are the test's.
descriptors() {
	fact fds "$(sed -e '/ \/dev\/null$/!s/^\([012]\) .*/\1/' fds.1 | plain)"
}

directory() {
	fact cwd "$(sed 's/.*cwd //' info.1 | plain)"
}

dispositions() {
	fact first "$(plain <signals.1)"
	fact second "$(plain <signals.2)"
}

# Whether ssh's parent leads its process group, and its session.
family() {
	fact family "$(awk '{ print $6 == $4, $8 == $4 }' info.1)"
}

log_format() {
	fact lines "$(sed -e 's/[0-9]/9/g' -e 's/\[9*\]/[9]/' -e 's/is 9*/is 9/' \
	    log | plain)"
}

logs_there() {
	fact both "$(find old log 2>/dev/null | plain)"
	without log
}

own_pidfile() {
	fact pid "$([ "$(cat pid)" = "$(supervisor)" ] && echo own)"
	fact mode "$(ls -l pid | cut -c 1-10), $(wc -l <pid | tr -d ' ') line"
}

gone_pidfile() {
	fact pidfile "$([ ! -e "$dir/pid" ] || echo left)"
}

# The caller has its prompt, and ssh runs.
background() {
	finish
	running
}

# Whether ssh was started behind the caller's back.
relative() {
	finish
	wait_for 3 '[ -s starts ]'
	without log
}

background_stop() {
	[ ! -s starts ] || sig TERM "$(supervisor)"
	wait_for 10 '[ -z "$(survivors "$dir")" ]'
}

background_end() {
	finish
	wait_for 10 '[ -s starts ] && [ -z "$(survivors "$dir")" ]'
	wait_for 3 'grep -q exiting log'
}

# Those that take longest come first.
table() {
	table_pacing
	table_signals
	table_monitor
	table_deaths
	table_files
	table_words
	table_variables
	table_ports
}

table
for scenario_pid in $window; do
	wait "$scenario_pid"
done

last=$number

# What failed is run again, alone, twice at most; so many cannot be the
# machine's fault.
failing() {
	only=
	failures=0
	for name in "$tmp"/*-name; do
		[ -f "$name" ] || continue
		number=${name##*/}
		number=${number%-name}
		compare "$number" "$(cat "$name")" && continue
		only="$only $number "
		failures=$((failures + 1))
	done
	[ "$failures" -gt 0 ] && [ "$failures" -le 15 ]
}

for round in 1 2; do
	failing || break
	note "again, alone:$only"
	number=0
	table
done

# ---- the results

number=0
while [ "$number" -lt "$last" ]; do
	number=$((number + 1))
	[ -f "$tmp/$number-name" ] || continue
	name=$(cat "$tmp/$number-name")
	dir=$tmp/$number-ours
	if compare "$number" "$name"; then
		ok "$name"
		sed -n 's/^intended/# intended:/p' "$tmp/$number-result"
	else
		not_ok "$name" "$(cat "$tmp/$number-result")"
	fi
done

# A row that covers no scenario says nothing.
if [ -z "${COMPAT_ONLY-}" ]; then
	cat "$tmp"/*-name >"$tmp/names"
	while read -r row; do
		row=${row%% | *}
		check "there is a scenario for the row \"$row\"" \
		    grep -q -E -x -e "$row" "$tmp/names"
	done <"$tmp/intended"
fi
done_testing
