#!/bin/sh
# Goal: show that the programs which call ssh for their user work with autossh
# in its place: git, rsync, scp, sftp, sshfs, ansible and shell completion.
#
# Conditions are evaluated by wait_for, functions called by check:
# shellcheck disable=SC2016,SC2317

. "${srcdir:-$(dirname "$0")/..}/tests/lib.sh"

if ! sshd_start "Subsystem sftp internal-sftp"; then
	skip_all "$sshd_reason"
fi

# Programs find autossh by its name, and autossh an ssh that knows the server.
# The port of the server is known only to that: $tmp/port/ssh has to be told.
mkdir "$tmp/bin" "$tmp/port"
ln -s "$AUTOSSH" "$tmp/bin/autossh"
sed '/^Port/d' "$SSH_CONFIG" >"$SSHD_DIR/ssh_config.port"
for ssh in bin:ssh_config port:ssh_config.port; do
	cat >"$tmp/${ssh%:*}/ssh" <<-SCRIPT
	#!/bin/sh
	exec "$SSH" -F "$SSHD_DIR/${ssh#*:}" "\$@"
	SCRIPT
	chmod 700 "$tmp/${ssh%:*}/ssh"
done
PATH=$tmp/bin:$PATH
HOME=$tmp
GIT_CONFIG_NOSYSTEM=1
GIT_AUTHOR_NAME=nobody
GIT_AUTHOR_EMAIL=test@example.com
GIT_COMMITTER_NAME=nobody
GIT_COMMITTER_EMAIL=test@example.com
export PATH HOME GIT_CONFIG_NOSYSTEM GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL \
    GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL

begin() {
	fresh
	AUTOSSH_PATH=$tmp/bin/ssh
	export AUTOSSH_PATH
}

missing() {
	! command -v "$1" >/dev/null
}

# client [NAME=VALUE]... PROGRAM ARG...: runs it to its end, and succeeds if it
# ends with status 0 without a word from autossh.
client() {
	start "$@"
	wait_exit 60
	[ "$status" = 0 ] && ! grep '^autossh:' "$dir/err"
}

# same FILE FILE
same() {
	cmp -s "$1" "$2"
}

# A file that takes more than one read, with bytes of every value.
make_file() {
	dd if=/dev/urandom of="$1" bs=1000 count=300 2>/dev/null
}

# ---- git

# repository: a bare one, $dir/repo.git, with one commit.
repository() {
	git init -q --bare "$dir/repo.git" &&
	    git init -q "$dir/first" &&
	    git -C "$dir/first" commit -q --allow-empty -m one &&
	    git -C "$dir/first" push -q "$dir/repo.git" HEAD
}

# git_works NAME WORD...: clone and push, with these settings.
git_works() {
	git_name=$1
	shift
	begin
	repository
	check "$git_name: clone" client "$@" \
	    exec:git clone -q "server:$dir/repo.git" "$dir/clone"
	git -C "$dir/clone" commit -q --allow-empty -m two
	check "$git_name: push" client "$@" \
	    exec:git -C "$dir/clone" push -q origin HEAD
	is "$(git -C "$dir/repo.git" log --format=%s | tr '\n' ' ')" \
	    "two one " "$git_name: the server has both commits"
	is "$(log_count "starting ssh (count 2)")" 0 \
	    "$git_name: no ssh was started again"
}

if missing git; then
	skip "git" "no git here"
else
	git_works "git by GIT_SSH" AUTOSSH_GATETIME=0 GIT_SSH=autossh
	git_works "git by GIT_SSH_COMMAND" AUTOSSH_GATETIME=0 \
	    "GIT_SSH_COMMAND=autossh -M 0"
	git_works "git by core.sshCommand" AUTOSSH_GATETIME=0 \
	    GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.sshCommand \
	    "GIT_CONFIG_VALUE_0=autossh -M 0"

	# Only of what answers -G as ssh does git thinks that it knows ports.
	begin
	repository
	check "git: a port in the URL" client AUTOSSH_GATETIME=0 \
	    AUTOSSH_PATH="$tmp/port/ssh" GIT_SSH=autossh exec:git clone -q \
	    "ssh://server:$SSHD_PORT$dir/repo.git" "$dir/clone"
fi

# ---- rsync

if missing rsync; then
	skip "rsync" "no rsync here"
else
	begin
	mkdir "$dir/src"
	make_file "$dir/src/a file"
	check "rsync: to the server" client AUTOSSH_GATETIME=0 \
	    exec:rsync -a -e "autossh -M 0" "$dir/src/" "server:$dir/there/"
	check "rsync: from the server" client AUTOSSH_GATETIME=0 \
	    RSYNC_RSH=autossh exec:rsync -a "server:$dir/there/" "$dir/back/"
	check "rsync: what comes back is what went" \
	    same "$dir/src/a file" "$dir/back/a file"
fi

# ---- scp and sftp

begin
make_file "$dir/file"
check "scp -S: to the server" client AUTOSSH_GATETIME=0 \
    exec:scp -q -S "$tmp/bin/autossh" "$dir/file" "server:$dir/there"
check "scp -S: from the server" client AUTOSSH_GATETIME=0 \
    exec:scp -q -S "$tmp/bin/autossh" "server:$dir/there" "$dir/back"
check "scp -S: what comes back is what went" same "$dir/file" "$dir/back"
printf 'get %s %s\n' "$dir/there" "$dir/got" >"$dir/batch"
check "sftp -S: a batch" client AUTOSSH_GATETIME=0 AUTOSSH_PORT=0 \
    exec:sftp -q -S "$tmp/bin/autossh" -b "$dir/batch" server
check "sftp -S: the file has come" same "$dir/file" "$dir/got"

# ---- sshfs

unmount() {
	if missing fusermount3; then
		fusermount -u "$1"
	else
		fusermount3 -u "$1"
	fi 2>/dev/null
}

# A mount that stays would keep the directory from being removed.
clean_mount() {
	unmount "$tmp/mnt"
	cleanup
}

mounted() {
	grep -q " $tmp/mnt " /proc/self/mounts
}

# Mounts the server's $dir/there at $tmp/mnt by the ssh that is named.
mount_by() {
	start AUTOSSH_GATETIME=30 exec:sshfs -f -o "ssh_command=$1" \
	    "server:$dir/there" "$tmp/mnt"
	wait_for 20 'mounted || ! alive "$pid"'
	mounted
}

mkdir "$tmp/mnt"
begin
mkdir "$dir/there"
echo text >"$dir/there/file"
if missing sshfs; then
	skip "sshfs" "no sshfs here"
elif ! [ -w /dev/fuse ]; then
	skip "sshfs" "no mounting by FUSE here"
else
	trap clean_mount EXIT
	if ! mount_by "$tmp/bin/ssh"; then
		note "$(cat "$dir/err")"
		skip "sshfs" "no mounting by FUSE here"
	else
		unmount "$tmp/mnt"
		wait_exit
		check "sshfs: mounts" mount_by "$tmp/bin/autossh -M 0"
		is "$(cat "$tmp/mnt/file")" text "sshfs: a file is read"
		unmount "$tmp/mnt"
		wait_exit
		is "$status" 0 "sshfs: ends when unmounted"
	fi
fi

# ---- ansible

# ansible WORD...: as ansible's ssh connection calls it, with a master that
# stays for the next call.
ansible() {
	client AUTOSSH_GATETIME=0 AUTOSSH_PORT=0 -C -o ControlMaster=auto \
	    -o ControlPersist=60s -o StrictHostKeyChecking=yes \
	    -o KbdInteractiveAuthentication=no \
	    -o PreferredAuthentications=gssapi-with-mic,publickey \
	    -o PasswordAuthentication=no -o ConnectTimeout=10 \
	    -o "ControlPath=\"$dir/cp\"" "$@"
}

begin
check "ansible: finds its directory" \
    ansible server '/bin/sh -c '"'"'echo "it is  here" && sleep 0'"'"''
is "$(cat "$dir/out")" "it is  here" "ansible: the quotes reach the server"
check "ansible: its master stays" "$AUTOSSH_PATH" -o "ControlPath=$dir/cp" \
    -O check server 2>/dev/null
check "ansible: a module, on a terminal" ansible -tt server \
    '/bin/sh -c '"'"'test -t 0 && printf "%s" "{\"changed\": false}"'"'"''
is "$(cat "$dir/out")" '{"changed": false}' "ansible: a module's answer"
client AUTOSSH_GATETIME=0 AUTOSSH_PORT=0 -o "ControlPath=\"$dir/cp\"" server \
    '/bin/sh -c '"'"'exit 7'"'"''
is "$status" 1 "ansible: a module that fails"
"$AUTOSSH_PATH" -o "ControlPath=$dir/cp" -O exit server 2>/dev/null

# ---- shell completion

completion=/usr/share/bash-completion
if missing bash || ! [ -f $completion/completions/autossh ]; then
	skip "completion" "no bash-completion here"
else
	begin
	# What bash does at TAB behind "autossh -c ": COMP_* are its own names.
	cat >"$dir/complete" <<-'SCRIPT'
	. $1/bash_completion
	. $1/completions/autossh
	COMP_WORDS=(autossh -c '')
	COMP_CWORD=2
	COMP_LINE='autossh -c '
	COMP_POINT=${#COMP_LINE}
	$(complete -p autossh | sed 's/.*-F \([^ ]*\) .*/\1/') autossh '' -c
	printf '%s\n' "${COMPREPLY[@]}"
	SCRIPT
	run exec:bash "$dir/complete" "$completion"
	is "$(sort "$dir/out")" "$("$SSH" -Q cipher | sort)" \
	    "completion: offers ssh's ciphers"
fi

done_testing
