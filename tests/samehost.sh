#!/bin/sh
# ssh for a machine that is both ends of the connection: tests run this in its
# place.
#
# autossh's loop uses the port P at both ends: ssh listens on it here, sshd on it
# there.  On one machine the two would collide, so the far end gets FAR_PORT.
# Nothing else changes; SSH_CONFIG names ssh's configuration file.

left=$#
option=
loop_port=
while [ "$left" -gt 0 ]; do
	word=$1
	shift
	left=$((left - 1))
	port=${word%%:*}
	case $option$word in
	-L"$port":127.0.0.1:"$port" | -L"$port:[::1]:$port")
		word=${word%:*}:$FAR_PORT
		loop_port=$port
		;;
	-R"$loop_port":127.0.0.1:* | -R"$loop_port:[::1]:"*)
		word=$FAR_PORT:${word#*:}
		;;
	esac
	option=$word
	set -- "$@" "$word"
done
exec "${REAL_SSH:-/usr/bin/ssh}" -F "$SSH_CONFIG" "$@"
