#!/bin/sh
# Goal: show that no wording of a real server's prompt gets the passphrase of a
# key, neither from the first server nor from a jump host.
#
# shellcheck disable=SC2016

: "${TEST_LIMIT=600}"
. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

for python in python3 /usr/bin/python3 ""; do
	if [ -n "$python" ] && "$python" -c 'import paramiko' 2>/dev/null; then
		break
	fi
done
[ -n "$python" ] || skip_all "no python3 with paramiko here"
sshd_start || skip_all "$sshd_reason"
"$SSH" -V 2>&1 |
    sed -n 's/^OpenSSH_\([0-9]*\)\.\([0-9]*\).*/\1 \2/p' |
    awk '{ exit !($1 > 8 || ($1 == 8 && $2 >= 5)) }' ||
    skip_all "ssh before 8.5 does not mark a server's prompts"

SECRET='The passphrase of a key'
ssh-keygen -q -t ed25519 -a 1 -N "$SECRET" -f "$tmp/secret_key"
(umask 077 && printf '%s\n' "$SECRET" >"$tmp/secret")
cat >"$tmp/prompts" <<PROMPTS
Password:
password:
PASSWORD
Password for root:
UNIX password:
LDAP Password:
Kerberos password for root:
root@server's password:
(root@server) Password:
Please type your key password:
Passphrase:
passphrase
PIN:
Enter PIN for key:
Enter passphrase:
Enter passphrase for key:
Enter passphrase for key '$tmp/secret_key':
Enter passphrase for ED25519 key
Enter passphrase for $tmp/secret_key:
Enter PIN for ED25519-SK key $tmp/secret_key:
Load key "$tmp/secret_key": passphrase
One-time password for your passphrase:
PROMPTS
prompts=$(wc -l <"$tmp/prompts")

"$TOOL" run -- "$python" "${srcdir:-$(dirname "$0")/..}/tests/prompts.py" \
    "$SSHD_DIR/host_key" "$tmp/record" "$tmp/prompts" >"$tmp/port" &
server=$!
started_pids="$started_pids $server"
wait_for 20 '[ -s "$tmp/port" ] || ! alive "$server"'
alive "$server" || bail_out "prompts.py does not run"

# The host "other" is this server, "server" is sshd.
{
	printf 'Host other\nPort %s\nIdentityFile %s\n' "$(cat "$tmp/port")" \
	    "$tmp/secret_key"
	cat "$SSH_CONFIG"
} >"$tmp/config"
sed -i.bak "s/^User .*//" "$tmp/config"

# asked ARGUMENT...: autossh's ssh is asked by the server.
asked() {
	fresh
	AUTOSSH_PATH=$SSH run AUTOSSH_PASSPHRASE=file:"$tmp/secret" \
	    AUTOSSH_MAXSTART=1 AUTOSSH_GATETIME=0 -M 0 -F "$tmp/config" \
	    -o PreferredAuthentications=publickey,keyboard-interactive \
	    "$@" true
}

record() {
	sed -n "s/^$1 //p" "$tmp/record"
}

for n in $(seq "$prompts"); do
	asked "p$n@other"
	is "$(record "p$n")" "asked" "a server: $(sed -n "${n}p" "$tmp/prompts")"
done
like "$(log_text)" "^ssh asks .*: not answered: .*; ending ssh$" \
    "a server: the log says why"

# The ssh to the jump host is another process.
for n in 1 8 17; do
	asked -J "p$n@other" server
	is "$(record "p$n")" "asked
asked" "a jump host: $(sed -n "${n}p" "$tmp/prompts")"
done

# A secret that is for the server, and wrong: what is recorded then.
asked -o PubkeyAuthentication=no q1@other
is "$(record q1)" "asked
answered $SECRET
asked" "a password for this server: sent once"

done_testing
