#!/bin/sh
# cmdline.t: every command line reaches ssh word for word, less autossh's own.

# shellcheck source=tests/lib.sh disable=SC2016,SC2034
. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

free_port
p=$port
q=$((p + 1))
# What is put in: two or four words, hence unquoted where they are used.
# shellcheck disable=SC2086
loop="-L $p:127.0.0.1:$p -R $p:127.0.0.1:$q"

# given [NAME=VALUE]... ARG...: runs autossh to the end of an ssh that exits 0.
# What differs from 1.4g is said by $differs in the test's name.
differs=
given() {
	fresh 'exit 0'
	case_name="${differs:+1.4g: $differs: }autossh"
	for word do
		case $word in
		'' | *[!A-Za-z0-9@%+=:,./_-]*)
			word="'$(printf '%s' "$word" | tr '\n' ' ')'" ;;
		esac
		case_name="$case_name $word"
	done
	run AUTOSSH_GATETIME=0 "$@"
	# With -f there is one more of it.
	wait_for 10 '[ -z "$(left)" ]'
}

# gets WORD...: what ssh got then.
gets() {
	if [ "$status" = 0 ]; then
		is "$(argv 1)" "$(words "$@")" "$case_name"
	else
		not_ok "$case_name" "exit status $status"
	fi
}

# refused ERE ARG...: no ssh, status 1, and a line on stderr that matches.
refused() {
	refused_line=$1
	shift
	given "$@"
	case_name="refused: $case_name"
	if [ "$status" = 1 ] && [ "$(starts)" = 0 ] && [ ! -s "$dir/out" ]; then
		like "$(cat "$dir/err")" "$refused_line" "$case_name"
	else
		not_ok "$case_name" "exit status $status"
	fi
}

# ---- recipes from the wild

# shellcheck disable=SC2086 # $loop is words
recipes() {
	given -M 0 -N -o "ServerAliveInterval 30" -o "ServerAliveCountMax 3" \
	    -R 2222:localhost:22 u@h
	gets -N -o "ServerAliveInterval 30" -o "ServerAliveCountMax 3" \
	    -R 2222:localhost:22 u@h

	given -M "$p" -f -N h -R 1234:localhost:22 -C
	gets $loop -N h -R 1234:localhost:22 -C

	given -M "$p" -L 8443:x:443 root@h -N -f
	gets $loop -L 8443:x:443 root@h -N

	given -2 -fN -M "$p" -R 2200:localhost:22 u@h
	gets -2 -N $loop -R 2200:localhost:22 u@h

	given -M "$p" -qfTnN -D 7777 h
	gets $loop -qTnN -D 7777 h

	given -f -N -M "$p" -L 1:x:2 -f u@h -p 4444
	gets -N $loop -L 1:x:2 u@h -p 4444

	given -M 0 -NR '*:2222:localhost:22' u@h -p 22 -i key
	gets -NR '*:2222:localhost:22' u@h -p 22 -i key

	given -M 0 -N -D '[::1]:1080' u@2001:db8::1
	gets -N -D '[::1]:1080' u@2001:db8::1

	given -M 0 -t h "tmux new-session -A -s main"
	gets -t h "tmux new-session -A -s main"

	given -M 0 -t h tmux new -As main
	gets -t h tmux new -As main

	given -M 0 -J jump -N h
	gets -J jump -N h

	given -M 0 -Jjump h
	gets -Jjump h

	given -M 0 h git --version
	gets h git --version

	given -M 0 h printf %s ''
	gets h printf %s ''

	given -NfM"$p" h
	gets -N $loop h

	given -ff -M 0 h
	gets h

	given -M 0 -- -M h
	gets -M h

	given AUTOSSH_PORT=0 -vv -- -i k -L 1:x:2 u@h -N
	gets -vv -i k -L 1:x:2 u@h -N

	given AUTOSSH_PORT="$p" -M 0 -N h
	gets $loop -N h

	differs="a remote command's words are ssh's"
	given -M 0 h ls -l
	gets h ls -l
	given -M 0 h tail -f log
	gets h tail -f log
	given -M 0 h sh -c 'echo -f'
	gets h sh -c 'echo -f'
	given -M 0 -N h ls -M 0 -f -V
	gets -N h ls -M 0 -f -V
	differs="--word in a remote command and empty words stay"
	given -M 0 -o '' h cmd --all '' -- '' -f
	gets -o '' h cmd --all '' -- '' -f
	differs="-fNM 0"
	given -fNM 0 h
	gets -N h
	differs="-B, -J, -P take an argument"
	given -M 0 -B lo h
	gets -B lo h
	given -J x -M 0 h
	gets -J x h
	given -P tag -M 0 h
	gets -P tag h
	differs=
}

note "as the C library's getopt would be by default"
recipes
note "and with POSIXLY_CORRECT, which makes it stop at the destination"
POSIXLY_CORRECT=1
export POSIXLY_CORRECT
recipes
unset POSIXLY_CORRECT

# ---- every letter

for letter in B b c D E e F I i J L l m O o p P Q R S W w; do
	given -M 0 -$letter -f h
	gets -$letter -f h
	given -M 0 -N$letter-Mf h -$letter -M
	gets -N$letter-Mf h -$letter -M
done
for letter in 1 2 4 6 A a C G g K k N n q s T t v X x Y y Z 9; do
	given -$letter -M 0 -${letter}f h -f$letter cmd
	gets -$letter -$letter h -$letter cmd
done

# ---- where it ends

given -M 0 -N h -v -- -f -M
gets -N h -v -f -M
given -M 0 -f -- -f h
gets -f h
given -M 0 -- -- h
gets -- h
given -M 0 h -- --
gets h --
given -M 0 h cmd -- --
gets h cmd -- --
given -M 0 h -L8808:foo:80 -oForwardX11=no -f -v
gets h -L8808:foo:80 -oForwardX11=no -v
given -NfL 8808:foo:80 -M 0 h
gets -NL 8808:foo:80 h
given -M 0 -L -- -N h
gets -L -- -N h
given -M 0 -N h -f -L 1:x:2 cmd -f
gets -N h -L 1:x:2 cmd -f
given -M 0 h 'two words' '	tab' "new
line" "it's" '<&>' '*' 'back\slash'
gets h 'two words' '	tab' "new
line" "it's" '<&>' '*' 'back\slash'
given -M 0 '' -N '' -f
gets '' -N '' -f

# ---- the title

# title WANT ARG...: what /proc/PID/cmdline then holds, with a dot for each 0.
title() {
	title_want=$1
	shift
	fresh
	case " $* " in
	*" -f "* | *" -fN "* | *" -NfL "* | *" -fM "*)
		run AUTOSSH_PIDFILE="$dir/pidfile" "$@"
		pid=$(cat "$dir/pidfile") ;;
	*)	start "$@" ;;
	esac
	wait_starts 1
	title_got=$(tr '\0' '.' <"/proc/$pid/cmdline" | sed 's|^.*/autossh\.||')
	kill "$pid"
	wait_for 10 '[ -z "$(left)" ]'
	is "$title_got" "$title_want" "title of autossh $*"
}

if emulated; then
	skip "the title of the process" "emulated"
elif [ -r /proc/self/cmdline ]; then
	# As the title of 1.4g is: pgrep -f "autossh -M 0 *-N" finds it.
	title -M.0....-N.h. -M 0 -f -N h
	title -N..-M.0.h. -fN -M 0 h
	title -M..0.h. -fM 0 h
	title -M.0.-NL..1:x:2.h. -M 0 -NfL 1:x:2 h
	title -M.0.h.ls.-x. -M 0 h ls -x
else
	skip "the title of the process" "no /proc/PID/cmdline"
fi

# ---- questions to ssh

# asked [NAME=VALUE]... ARG...: autossh becomes the ssh that answers.
asked() {
	fresh 'exit 7'
	case_name="autossh $*"
	run "$@"
	is "$status $(supervisor)" "7 $(awk '$1 == 1 { print $4 }' "$dir/starts")" \
	    "$case_name: ssh's own status"
}
for option in -G "-O check"; do
	# shellcheck disable=SC2086 # $option is words
	{
		asked $option h
		is "$(argv 1)" "$(words $option h)" "$case_name: ssh's words"
		asked -M "$p" -f $option -N h cmd
		is "$(argv 1)" "$(words $option -N h cmd)" \
		    "$case_name: less autossh's own"
	}
done
asked AUTOSSH_NTSERVICE=yes -Q cipher
is "$(argv 1)" "$(words -Q cipher)" "$case_name: without a destination"
is "$(cat "$dir/log" 2>/dev/null)" "" "$case_name: nothing to log"

ssh=$(command -v ssh)
if [ -n "$ssh" ]; then
	# What git and completions ask the real ssh.
	fresh
	"$ssh" -G -p 1234 somewhere >"$dir/want" 2>/dev/null
	run AUTOSSH_PATH="$ssh" -M 0 -G -p 1234 somewhere
	is "$status $(cat "$dir/out")" "0 $(cat "$dir/want")" "ssh -G answers"
	like "$(cat "$dir/out")" '^port 1234$' "ssh -G has the port"
	run AUTOSSH_PATH="$ssh" -Q cipher
	is "$status $(cat "$dir/out")" "0 $("$ssh" -Q cipher)" "ssh -Q answers"

	# ssh reads -o as autossh does: the same spellings, the first value.
	for words in "AddressFamily=inet6" "addressfamily inet6" \
	    " ADDRESSFAMILY = INET6 " 'AddressFamily="inet6"' \
	    "AddressFamily='inet6'"; do
		run AUTOSSH_PATH="$ssh" -G -o "$words" -o AddressFamily=inet h
		like "$(cat "$dir/out")" '^addressfamily inet6$' \
		    "ssh -o '$words' is -6"
	done
	run AUTOSSH_PATH="$ssh" -G -4 -o AddressFamily=inet6 h
	like "$(cat "$dir/out")" '^addressfamily inet$' "-4 wins before -o"
	run AUTOSSH_PATH="$ssh" -G -o AddressFamily=inet6 -4 h
	like "$(cat "$dir/out")" '^addressfamily inet$' "-4 wins after -o"
else
	skip "the real ssh answers" "no ssh"
fi

# ---- --dry-run

fresh
run AUTOSSH_GATETIME=7 AUTOSSH_POLL=60 AUTOSSH_MAXLIFETIME=20 \
    AUTOSSH_MESSAGE="it's" AUTOSSH_PASSPHRASE="exec:echo secret" \
    AUTOSSH_PIDFILE="$dir/pidfile" --dry-run -M "$p" -N h 'a b' "it's" ''
is "$status $(starts) $(cat "$dir/err")" "0 0 " "--dry-run starts nothing"
check "--dry-run makes nothing" [ ! -e "$dir/pidfile" ] && [ ! -e "$dir/log" ]
# shellcheck disable=SC2086 # $loop is words
is "$(sed -n 's/^command: //p' "$dir/out")" \
    "$FAKESSH $loop -N h 'a b' 'it'\\''s' ''" "--dry-run: the command"
for line in "AUTOSSH_GATETIME=7 (environment)" "AUTOSSH_POLL=20 (lowered)" \
    "AUTOSSH_FIRST_POLL=20 (lowered)" "AUTOSSH_MAXSTART=-1 (default)" \
    "AUTOSSH_PORT=$p (command line)" "AUTOSSH_LOGFILE=$dir/log (environment)" \
    "AUTOSSH_MESSAGE='it'\\''s' (environment)" \
    "AUTOSSH_PASSPHRASE=exec (environment)" \
    "AUTOSSH_STATUSFILE=unset (default)"; do
	check "--dry-run: $line" grep -qxF -e "$line" "$dir/out"
done
unlike "$(cat "$dir/out")" 'secret' "--dry-run: no passphrase"
run AUTOSSH_PORT=0 AUTOSSH_GATE_TIME=3 AUTOSSH_NTSERVICE=1 -M "$p" \
    --dry-run -f h
like "$(cat "$dir/out")" '^AUTOSSH_PORT=0 \(environment\)$' "--dry-run: PORT"
like "$(cat "$dir/out")" '^AUTOSSH_GATETIME=0 \(command line\)$' \
    "--dry-run: -f makes the gate time 0"
is "$(grep -c '^warning: ' "$dir/out")" 3 "--dry-run: warnings"
run --dry-run -N h
like "$(cat "$dir/out")" \
    '^command: .* -L /[^ ]*/autossh-XXXXXX/w:127.0.0.1:PORT -R ' \
    "--dry-run: what is chosen at the start"
refused '^autossh: cannot run ssh "/nowhere/ssh": No such file' \
    AUTOSSH_PATH=/nowhere/ssh --dry-run h
mkdir "$tmp/bin"
ln -s "$FAKESSH" "$tmp/bin/own-ssh"
run PATH="/nowhere:$PATH::$tmp/bin" AUTOSSH_PATH=own-ssh --dry-run -M 0 h
is "$status $(sed -n '/^command: /p' "$dir/out")" "0 command: own-ssh h" \
    "--dry-run: ssh is looked up in PATH"
refused '^autossh: cannot run ssh "own-ssh": No such file' \
    AUTOSSH_PATH=own-ssh --dry-run -M 0 h
refused "^autossh: AUTOSSH_PASSPHRASE=file:/nowhere/file: No such file" \
    AUTOSSH_PASSPHRASE=file:/nowhere/file --dry-run h
# A pipe of another user's, which may not be opened anew.
other=
[ "$(id -u)" -ne 0 ] ||
    other="setpriv --reuid=65534 --regid=65534 --clear-groups"
if $other test -x "$AUTOSSH" && $other test -x "$FAKESSH"; then
	fresh
	# shellcheck disable=SC2086 # words
	run exec:sh -c 'AUTOSSH_LOGFILE=/dev/stdout "$@" 2>&1 | cat' sh $other \
	    "$AUTOSSH" --dry-run -M 0 h
	is "$(grep -c '^command: ' "$dir/out")" 1 \
	    "--dry-run: /dev/stdout is a log like any"
else
	skip "--dry-run: /dev/stdout is a log like any" "nobody may run it"
fi

# ssh makes no forwardings then, and no test could pass.
for words in "-W host:22" "-oClearAllForwardings=yes" \
    "-o ClearAllForwardings=yes -M 20000"; do
	# shellcheck disable=SC2086 # words
	given $words h
	# shellcheck disable=SC2086 # words
	gets ${words% -M 20000} h
	check "$words: the log says so" log_has "ssh makes no forwardings (-W or \
ClearAllForwardings), monitoring disabled"
done

hold_port
refused "^autossh: cannot use 127.0.0.1 ports $port and $((port + 1)): " \
    --dry-run -M "$port" h
run AUTOSSH_LOGFILE=/nowhere/f --dry-run -G -M "$port" h
is "$status $(sed -n '/^command: /p' "$dir/out")" "0 command: $FAKESSH -G h" \
    "--dry-run: a question needs ssh alone"
kill "$holder"
mkdir -m 777 "$tmp/open"
run TMPDIR="$tmp/open" --dry-run -N h
unlike "$(cat "$dir/out")" " -L $tmp/open" "--dry-run: no unsafe directory"
for file in LOGFILE PIDFILE; do
	refused 'nowhere/f": No such file' "AUTOSSH_$file=/nowhere/f" \
	    --dry-run -M 0 h
	refused "$tmp\": Is a directory" "AUTOSSH_$file=$tmp" --dry-run -M 0 h
done
refused "^autossh: cannot run ssh \"$tmp\": Permission denied" \
    AUTOSSH_PATH="$tmp" --dry-run -M 0 h
mkdir "$tmp/path"
: >"$tmp/path/no-program"
refused '^autossh: cannot run ssh "no-program": Permission denied' \
    PATH="$PATH:$tmp/path" AUTOSSH_PATH=no-program --dry-run -M 0 h
refused '^autossh: .*no terminal to ask on' \
    run:session AUTOSSH_PASSPHRASE=ask --dry-run -M 0 h
ln -s nowhere/target "$tmp/dangling"
refused '/dangling": No such file' \
    AUTOSSH_LOGFILE="$tmp/dangling" --dry-run -M 0 h
"$TOOL" run -- socat "UNIX-LISTEN:$tmp/socket" - </dev/null >/dev/null 2>&1 &
started_pids="$started_pids $!"
wait_for 10 '[ -S "$tmp/socket" ]'
refused '/socket": No such device' \
    AUTOSSH_LOGFILE="$tmp/socket" --dry-run -M 0 h
refused '/fd/77": No such file' AUTOSSH_LOGFILE=/dev/fd/77 --dry-run -M 0 h
run AUTOSSH_DEBUG=1 --dry-run -M 0 h
like "$(cat "$dir/out")" '^AUTOSSH_LOGLEVEL=7 \(environment\)$' \
    "--dry-run: the level that DEBUG sets"
# a file that may not be written is replaced
if [ "$(id -u)" -eq 0 ]; then
	skip "--dry-run: a pidfile that is replaced" "root may write everything"
else
	: >"$tmp/readonly"
	chmod 444 "$tmp/readonly"
	run AUTOSSH_PIDFILE="$tmp/readonly" --dry-run -M 0 h
	is "$status" 0 "--dry-run: a pidfile that is replaced"
fi
refused '^autossh: .*AUTOSSH_POLL' AUTOSSH_POLL=x --dry-run h
refused '^autossh: .*-M' --dry-run -M x h
refused '^autossh: .*destination' --dry-run

# ---- -M and the port

# shellcheck disable=SC2086 # $loop is words
{
	given -N -M "$p" -v -M 0 h
	gets -N -v h
	given -N -M 0 -v -M "$p" -q h
	gets -N $loop -v -q h
	given -M 0 -N -M"$p" h
	gets $loop -N h
	given -vNM "$p" -q h
	gets -vN $loop -q h
	given -N h -M "$p" -v cmd
	gets -N h $loop -v cmd
	given -M "$p" -f h
	gets $loop h
	given AUTOSSH_PORT="$p" -v -M 1 -N h
	gets $loop -v -N h
	given AUTOSSH_PORT="$p" -N h
	gets $loop -N h
	given AUTOSSH_PORT= -N -M "$p" h
	gets -N $loop h
	given AUTOSSH_PORT=0 -N -M "$p" h
	gets -N h
	given AUTOSSH_PORT="$p:7" -N h
	gets -L "$p:127.0.0.1:7" -N h
	given -N -M "$p:65535" h
	gets -N -L "$p:127.0.0.1:65535" h
	given -fNM "$p:7" h
	gets -N -L "$p:127.0.0.1:7" h
}

if "$TOOL" ipv6; then
	differs="-6 makes the loop unreachable"
	given -M "$p" -NT -o ControlMaster=no -6 h
	gets -L "$p:[::1]:$p" -R "$p:[::1]:$q" -NT -o ControlMaster=no -6 h
	differs=
	given -N6fv -M "$p:7" h
	gets -N6v -L "$p:[::1]:7" h
	given -M "$p" -N -o "addressfamily inet6" h
	gets -L "$p:[::1]:$p" -R "$p:[::1]:$q" -N -o "addressfamily inet6" h
	given -M "$p" -N -4 -oAddressFamily=inet6 h
	# shellcheck disable=SC2086 # $loop is words
	gets $loop -N -4 -oAddressFamily=inet6 h
	given -M "$p" -N h -6
	gets -L "$p:[::1]:$p" -R "$p:[::1]:$q" -N h -6
else
	skip "1.4g: -6 makes the loop unreachable" "no IPv6"
fi
given -M "$p" -o -6 -N h cmd -6
# shellcheck disable=SC2086 # $loop is words
gets $loop -o -6 -N h cmd -6

for value in '' x -1 +1 1x 0x4e20 ' 1' '1 ' 65535 65536 99999 4294967296 \
    18446744073709551616 "$p:" "$p:0" "$p:65536" "$p:70000" "$p:x" \
    "$p:7:7" :7 : 1.5 "$p,7"; do
	differs=
	case $value in
	0x* | 4294967296 | *:70000) differs="wrong numbers pass" ;;
	esac
	refused '^autossh: .*port' -M "$value" -N h
	if [ -n "$value" ]; then
		refused '^autossh: .*AUTOSSH_PORT' \
		    AUTOSSH_PORT="$value" -M 0 -N h
	fi
done
differs=

# ---- what autossh answers itself

run AUTOSSH_POLL=junk AUTOSSH_PORT=junk AUTOSSH_LOGLEVEL=9 -V
like "$status $(cat "$dir/out")" '^0 autossh [0-9]+\.[0-9]+[0-9a-z.]*$' "-V"
is "$(wc -l <"$dir/out" | tr -d ' ') $(cat "$dir/err")" "1 " "-V: one line"
version=$(cat "$dir/out")
if [ -c /dev/full ]; then
	run exec:sh -c 'exec "$0" -V >/dev/full' "$AUTOSSH"
	like "$status $(cat "$dir/err")" '^1 autossh: .*No space left' \
	    "-V that cannot be written"
else
	skip "-V that cannot be written" "no /dev/full"
fi
for args in --version "-NV h" "-M 0 -V h" "-M junk -V"; do
	fresh
	# shellcheck disable=SC2086 # words
	run $args
	is "$status $(cat "$dir/out")" "0 $version" "autossh $args"
done
fresh
run AUTOSSH_POLL=junk --help
is "$status $(cat "$dir/err")" "0 " "--help: status 0, nothing on stderr"
like "$(cat "$dir/out")" 'autossh .*-M' "--help: the usage"
for name in DEBUG FIRST_POLL GATETIME LOGFILE LOGLEVEL MAXLIFETIME MAXSTART \
    MESSAGE NTSERVICE PATH PIDFILE POLL PORT; do
	like "$(cat "$dir/out")" "AUTOSSH_$name" "--help: AUTOSSH_$name"
done
like "$(grep -A 2 AUTOSSH_POLL "$dir/out")" 600 "--help: POLL's default"
like "$(grep -A 2 AUTOSSH_GATETIME "$dir/out")" 30 "--help: GATETIME's default"

refused '^[Uu]sage: *autossh'
refused '^[Uu]sage: *autossh' -M 0
refused '^autossh: .*destination' -M 0
refused '^autossh: .*destination' -M 0 -N -o
refused '^autossh: .*destination' -M 0 -N --
refused '^autossh: .*destination' -M 0 -fN
refused '^autossh: .*-M' -N -M
refused '^autossh: .*--foo' --foo
refused '^autossh: .*--foo' -M 0 -N --foo h
refused '^[Uu]sage: *autossh' -M 0 --foo=bar h
refused '^autossh: .*--vers' -M 0 --vers h

done_testing
