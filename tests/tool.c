/*
 * tool: what the tests do that a shell cannot.
 *
 * usage: tool COMMAND [ARG]...
 *
 *	now		prints CLOCK_MONOTONIC in ms
 *	free P		exit 0 if P and P+1 are free on 127.0.0.1 and ::1
 *	ipv6		exit 0 if there is a ::1
 *	connects P	exit 0 if 127.0.0.1:P (or a socket's path) accepts a
 *			connection
 *	echo P [swallow]
 *			an echo service on 127.0.0.1:P; swallow: it reads, and
 *			answers nothing
 *	datagrams PATH	takes datagrams there (@NAME: an abstract name); prints
 *			"MS TEXT" for each line of them
 *	syslog PATH FILE
 *			takes datagrams at the socket PATH, a line each to FILE,
 *			while its parent lives
 *	strangers P N KIND MS
 *			keeps N strangers connected to 127.0.0.1:P for MS:
 *			silent, talk, reset, close or flood; prints the number
 *			of connections made; exit 1 for none
 *	watchdog SECONDS PID
 *			TERM to PID then; ends when PID is gone
 *	gone SECONDS PID
 *			waits until PID has ended; exit 1 if it has not by then
 *	wait_log FILE COUNT SECONDS TEXT
 *			waits until COUNT lines of autossh's log FILE are TEXT,
 *			date and name left out; exit 1 if they are not by then
 *	wait_match FILE COUNT SECONDS ERE
 *			the same for lines that match
 *	left ROOT DIR...
 *			prints the pids of the processes that the records in
 *			these directories of cases name (log*, *.log, pid*,
 *			starts) and that are alive; ROOT holds all cases
 *	run [WORD]... -- CMD
 *			signals as at login, no descriptor above 2; then of each
 *			WORD: ignore=NAME, block=NAME, close=FD, open=FD (on
 *			/dev/null), umask=OCTAL, group (a process group of its
 *			own), session, files=N (RLIMIT_NOFILE), child (one that
 *			has died and was not waited for); then CMD
 */

#include "config.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

#define MAX_FD 256 /* the highest descriptor that run closes */
#define MAX_ECHOES 100
#define POLL_MS 10
#define MAX_LEFT 4096 /* processes that left looks at */

/* With SO_REUSEADDR: what is only in TIME_WAIT is free. */
static int
tool_free(char **arg)
{
	int port = (int)number(arg[0]);
	static const char *hosts[] = { "127.0.0.1", "::1" };
	union address a;
	socklen_t len;
	int fd, i, j, on = 1;

	for (i = 0; i < 2; i++)
		for (j = 0; j < 2; j++) {
			len = address(&a, hosts[i], port + j);
			fd = socket(a.sa.sa_family, SOCK_STREAM, 0);
			if (fd == -1)
				continue; /* no IPv6 here */
			setsockopt(
			    fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
			if (bind(fd, &a.sa, len) == -1 && errno == EADDRINUSE)
				return 1;
			close(fd);
		}
	return 0;
}

static int
tool_now(char **arg)
{
	(void)arg;
	printf("%lld\n", (long long)now_ms());
	return 0;
}

static int
tool_ipv6(char **arg)
{
	(void)arg;
	return listen_at("::1", 0) == -1;
}

static int
tool_connects(char **arg)
{
	if (arg[0][0] == '/')
		return connect_to(arg[0], 0) == -1;
	return connect_to("127.0.0.1", (int)number(arg[0])) == -1;
}

/* Sends back what has come.  Returns 0 at the end of the connection. */
static int
echo(int fd, int swallow)
{
	char block[4096];
	ssize_t n = read(fd, block, sizeof(block));

	if (n <= 0)
		return 0;
	return swallow || send(fd, block, (size_t)n, 0) == n;
}

static int
tool_echo(char **arg)
{
	struct pollfd set[MAX_ECHOES + 1] = { { -1, 0, 0 } };
	int port = (int)number(arg[0]), swallow = arg[1] != NULL;
	int i, n = 1;

	signal(SIGPIPE, SIG_IGN);
	if ((set[0].fd = listen_at("127.0.0.1", port)) == -1)
		fail("cannot listen at %d: %s", port, strerror(errno));
	for (;;) {
		set[0].events = n <= MAX_ECHOES ? POLLIN : 0;
		if (poll(set, (nfds_t)n, -1) == -1)
			continue;
		for (i = n - 1; i > 0; i--)
			if (set[i].revents != 0 && !echo(set[i].fd, swallow)) {
				close(set[i].fd);
				set[i] = set[--n];
			}
		if (set[0].revents == 0)
			continue;
		set[n].events = POLLIN;
		if ((set[n].fd = accept(set[0].fd, NULL, NULL)) != -1)
			n++;
	}
}

static int
tool_syslog(char **arg)
{
	const char *path = arg[0], *file = arg[1];
	char text[8192];
	union address a;
	socklen_t len = address(&a, path, 0);
	struct timeval second = { 1, 0 };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	FILE *f = fopen(file, "a");
	pid_t parent = getppid();

	if (fd == -1 || f == NULL || bind(fd, &a.sa, len) == -1)
		fail("%s, %s: %s", path, file, strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	while (getppid() == parent) {
		ssize_t n = recv(fd, text, sizeof(text), 0);

		if (n == -1)
			continue;
		fprintf(f, "%.*s\n", (int)n, text);
		fflush(f);
	}
	fclose(f);
	close(fd);
	return 0;
}

/* Plays the service manager that listens to sd_notify(3). */
static int
tool_datagrams(char **arg)
{
	const char *path = arg[0];
	struct sockaddr_un un;
	socklen_t len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	char text[4096];
	const char *line;
	ssize_t n;
	int fd;

	memset(&un, 0, sizeof(un));
	un.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(un.sun_path))
		fail("path too long: %s", path);
	memcpy(un.sun_path, path, strlen(path));
	if (path[0] == '@')
		un.sun_path[0] = '\0';
	if ((fd = socket(AF_UNIX, SOCK_DGRAM, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)&un, len) == -1)
		fail("%s: %s", path, strerror(errno));
	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((n = read(fd, text, sizeof(text) - 1)) != -1 || errno == EINTR) {
		text[n > 0 ? n : 0] = '\0';
		line = strtok(text, "\n");
		for (; line != NULL; line = strtok(NULL, "\n"))
			printf("%lld %s\n", (long long)now_ms(), line);
	}
	return 1;
}

/* One thing that a stranger does; returns 0 when he has hung up. */
static int
stranger_act(int fd, const char *kind)
{
	static char text[65536];
	char answer[512];

	if (strcmp(kind, "reset") == 0) {
		close_by_reset(fd);
		return 0;
	}
	if (strcmp(kind, "close") == 0) {
		close(fd);
		return 0;
	}
	if (strcmp(kind, "talk") == 0) {
		(void)snprintf(text, sizeof(text), "GET / HTTP/1.0\r\n\r\n");
		if (send(fd, text, strlen(text), MSG_DONTWAIT) == -1 &&
		    errno != EAGAIN) {
			close(fd);
			return 0;
		}
	}
	if (strcmp(kind, "flood") == 0) {
		memset(text, 'x', sizeof(text));
		if (send(fd, text, sizeof(text), MSG_DONTWAIT) == -1 &&
		    errno != EAGAIN) {
			close(fd);
			return 0;
		}
	}
	if (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) == 0) {
		close(fd);
		return 0;
	}
	return 1;
}

static int
tool_strangers(char **arg)
{
	int port = (int)number(arg[0]), n = (int)number(arg[1]);
	const char *kind = arg[2];
	int64_t end = now_ms() + number(arg[3]);
	long made = 0;
	int fds[1024], i;

	if (n > 1024)
		n = 1024;
	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < n; i++)
		fds[i] = -1;
	while (now_ms() < end) {
		for (i = 0; i < n; i++) {
			if (fds[i] == -1 &&
			    (fds[i] = connect_to("127.0.0.1", port)) != -1)
				made++;
			if (fds[i] != -1 && !stranger_act(fds[i], kind))
				fds[i] = -1;
		}
		sleep_ms(50);
	}
	printf("%ld\n", made);
	return made == 0;
}

static int
tool_watchdog(char **arg)
{
	int64_t end = now_ms() + number(arg[0]) * 1000;
	pid_t pid = (pid_t)number(arg[1]);

	while (now_ms() < end) {
		if (kill(pid, 0) == -1)
			return 0;
		sleep_ms(200);
	}
	kill(pid, SIGTERM);
	return 0;
}

/* ---- processes ---------------------------------------------------------- */

/* The first block of a file or of what a command writes, "" if there is none.
 */
static const char *
first_block(FILE *f, bool command)
{
	static char text[4096];
	size_t n = f != NULL ? fread(text, 1, sizeof(text) - 1, f) : 0;

	text[n] = '\0';
	if (f != NULL)
		(void)(command ? pclose(f) : fclose(f));
	return text;
}

/*
 * Reads the state (a letter) and the command's name of a process: proc(5), or
 * ps(1) where there is none.  Returns whether it is alive: there, and no zombie
 * that waits for its parent.
 */
static bool
process_alive(pid_t pid, char *name, size_t size)
{
	char path[64];
	const char *text, *p;
	char state = 'X';

	if (kill(pid, 0) == -1 && errno == ESRCH)
		return false;
	name[0] = '\0';
	if (access("/proc/self/stat", R_OK) == 0) {
		(void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
		text = first_block(fopen(path, "re"), false);
		if ((p = strrchr(text, ')')) != NULL && p[1] == ' ') {
			state = p[2];
			text = strchr(text, '(') + 1;
			(void)snprintf(
			    name, size, "%.*s", (int)(p - text), text);
		}
	} else {
		(void)snprintf(path, sizeof(path),
		    "ps -o stat= -o comm= -p %ld", (long)pid);
		/* NOLINTNEXTLINE(cert-env33-c): our own words */
		text = first_block(popen(path, "r"), true);
		state = text[0] != '\0' ? text[0] : 'X';
		if ((p = strrchr(text, '/')) == NULL)
			p = strrchr(text, ' ');
		if (p != NULL)
			(void)snprintf(name, size, "%.*s",
			    (int)strcspn(p + 1, "\n"), p + 1);
	}
	return strchr("ZX", state) == NULL;
}

static int
tool_gone(char **arg)
{
	int64_t end = now_ms() + number(arg[0]) * 1000;
	pid_t pid = (pid_t)number(arg[1]);
	char name[64];

	while (process_alive(pid, name, sizeof(name))) {
		if (now_ms() > end)
			return 1;
		sleep_ms(POLL_MS);
	}
	return 0;
}

/*
 * Whether process PID is NAME and of a case below ROOT: its pid may have been
 * given to a stranger since.  Where its environment can be read, that tells.
 */
static bool
process_is(pid_t pid, const char *name, const char *root)
{
	static char environ_text[65536];
	char is[64], path[64], want[512];
	FILE *f;
	size_t n, len;
	char *p;

	if (!process_alive(pid, is, sizeof(is)) || strcmp(is, name) != 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%ld/environ", (long)pid);
	if ((f = fopen(path, "re")) == NULL)
		return true;
	n = fread(environ_text, 1, sizeof(environ_text) - 1, f);
	fclose(f);
	environ_text[n] = '\0';
	(void)snprintf(want, sizeof(want), "FAKESSH_DIR=%s/", root);
	len = strlen(want);
	for (p = environ_text; p < environ_text + n; p += strlen(p) + 1)
		if (strncmp(p, want, len) == 0)
			return true;
	return false;
}

static struct {
	const char *root;
	pid_t pids[MAX_LEFT];
	size_t n;
} left;

static void
left_add(long pid, const char *name)
{
	size_t i;

	if (pid <= 1 || left.n == MAX_LEFT)
		return;
	for (i = 0; i < left.n; i++)
		if (left.pids[i] == (pid_t)pid)
			return;
	if (process_is((pid_t)pid, name, left.root)) {
		left.pids[left.n++] = (pid_t)pid;
		printf("%ld\n", pid);
	}
}

/* A line of a log: "DATE TIME autossh[PID]: TEXT". */
static void
left_log(const char *line)
{
	const char *p = strstr(line, " autossh[");
	char *end;
	long pid;

	if (p == NULL)
		return;
	pid = strtol(p + 9, &end, 10);
	if (strncmp(end, "]:", 2) == 0)
		left_add(pid, "autossh");
}

static void
left_pidfile(const char *line)
{
	left_add(strtol(line, NULL, 10), "autossh");
}

/* A line of fakessh's record: "N PID MS PARENT". */
static void
left_starts(const char *line)
{
	char *field;
	long pid;

	(void)strtol(line, &field, 10);
	pid = strtol(field, &field, 10);
	(void)strtol(field, &field, 10);
	left_add(pid, "fakessh");
	left_add(strtol(field, NULL, 10), "autossh");
}

static void
left_read(const char *dir, const char *names, void (*read_line)(const char *))
{
	char pattern[512];
	char *line = NULL;
	size_t size = 0, i;
	glob_t found;
	struct stat st;
	FILE *f;

	(void)snprintf(pattern, sizeof(pattern), "%s/%s", dir, names);
	if (glob(pattern, 0, NULL, &found) != 0)
		return;
	for (i = 0; i < found.gl_pathc; i++) {
		if (stat(found.gl_pathv[i], &st) == -1 ||
		    !S_ISREG(st.st_mode) ||
		    (f = fopen(found.gl_pathv[i], "re")) == NULL)
			continue;
		while (getline(&line, &size, f) != -1)
			read_line(line);
		fclose(f);
	}
	free(line);
	globfree(&found);
}

static int
tool_left(char **arg)
{
	left.root = arg[0];
	for (arg++; *arg != NULL; arg++) {
		left_read(*arg, "log*", left_log);
		left_read(*arg, "*.log", left_log);
		left_read(*arg, "pid*", left_pidfile);
		left_read(*arg, "starts", left_starts);
	}
	return 0;
}

/* ---- the log ------------------------------------------------------------ */

/* A line less "DATE TIME autossh[PID]: ", if it opens with that. */
static const char *
log_line_text(const char *line)
{
	size_t date = strspn(line, "0123456789/"), time, name, digits;

	if (line[date] != ' ')
		return line;
	time = date + 1 + strspn(line + date + 1, "0123456789:");
	name = time + strlen(" autossh[");
	if (strncmp(line + time, " autossh[", name - time) != 0)
		return line;
	digits = name + strspn(line + name, "0123456789");
	return strncmp(line + digits, "]: ", 3) == 0 ? line + digits + 3 : line;
}

/* Waits as wait_log and wait_match do: for a match of ERE, else for TEXT. */
static int
log_wait(char **arg, const regex_t *ere)
{
	int64_t end = now_ms() + number(arg[2]) * 1000;
	long want = number(arg[1]), count;
	off_t looked_at = -1;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	struct stat st;
	FILE *f;

	for (;;) {
		bool late = now_ms() > end;

		count = 0;
		if (stat(arg[0], &st) == 0 && st.st_size != looked_at &&
		    (f = fopen(arg[0], "re")) != NULL) {
			looked_at = st.st_size;
			while ((n = getline(&line, &size, f)) > 0) {
				if (line[n - 1] == '\n')
					line[n - 1] = '\0';
				if (ere != NULL
					? regexec(ere, log_line_text(line), 0,
					      NULL, 0) == 0
					: strcmp(log_line_text(line), arg[3]) ==
					      0)
					count++;
			}
			fclose(f);
		}
		if (count >= want || late)
			break;
		sleep_ms(POLL_MS);
	}
	free(line);
	return count < want;
}

static int
tool_wait_log(char **arg)
{
	return log_wait(arg, NULL);
}

static int
tool_wait_match(char **arg)
{
	regex_t ere;
	int status;

	if (regcomp(&ere, arg[3], REG_EXTENDED | REG_NOSUB) != 0)
		fail("not a regular expression: %s", arg[3]);
	status = log_wait(arg, &ere);
	regfree(&ere);
	return status;
}

/* ---- run ---------------------------------------------------------------- */

/*
 * As a login shell's child is started: sh ignores INT and QUIT for &, and
 * dash lets its own descriptors through.
 */
static void
run_reset(void)
{
	sigset_t none;
	size_t i;
	int fd;

	for (fd = 3; fd < MAX_FD; fd++)
		close(fd);

	for (i = 0; i < nsignals; i++)
		signal(signal_names[i].number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
run_word(const char *word)
{
	const char *arg = strchr(word, '=');
	struct rlimit limit;
	siginfo_t dead;
	sigset_t set;
	int fd;

	arg = arg != NULL ? arg + 1 : "";
	if (strncmp(word, "ignore=", 7) == 0)
		signal(signal_number(arg), SIG_IGN);
	else if (strncmp(word, "block=", 6) == 0) {
		sigemptyset(&set);
		sigaddset(&set, signal_number(arg));
		sigprocmask(SIG_BLOCK, &set, NULL);
	} else if (strncmp(word, "close=", 6) == 0)
		close((int)number(arg));
	else if (strncmp(word, "open=", 5) == 0) {
		fd = open("/dev/null", O_RDWR);
		if (fd == -1 || dup2(fd, (int)number(arg)) == -1)
			fail("cannot open descriptor %s", arg);
		if (fd != (int)number(arg))
			close(fd);
	} else if (strncmp(word, "umask=", 6) == 0)
		umask((mode_t)strtol(arg, NULL, 8));
	else if (strncmp(word, "files=", 6) == 0) {
		limit.rlim_cur = limit.rlim_max = (rlim_t)number(arg);
		setrlimit(RLIMIT_NOFILE, &limit);
	} else if (strcmp(word, "group") == 0)
		setpgid(0, 0);
	else if (strcmp(word, "session") == 0)
		setsid();
	else if (strcmp(word, "child") == 0) {
		if (fork() == 0)
			_exit(0);
		waitid(P_ALL, 0, &dead, WEXITED | WNOWAIT);
	} else
		fail("run: unknown word %s", word);
}

static int
tool_run(char **w)
{
	run_reset();
	for (; *w != NULL && strcmp(*w, "--") != 0; w++)
		run_word(*w);
	if (*w == NULL || w[1] == NULL)
		fail("run: no command");
	execvp(w[1], w + 1);
	fail("%s: %s", w[1], strerror(errno));
	return 99;
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args; /* at the least */
		int (*run)(char **);
	} commands[] = {
		{ "now", 0, tool_now },
		{ "free", 1, tool_free },
		{ "ipv6", 0, tool_ipv6 },
		{ "connects", 1, tool_connects },
		{ "echo", 1, tool_echo },
		{ "datagrams", 1, tool_datagrams },
		{ "syslog", 2, tool_syslog },
		{ "strangers", 4, tool_strangers },
		{ "watchdog", 2, tool_watchdog },
		{ "gone", 2, tool_gone },
		{ "wait_log", 4, tool_wait_log },
		{ "wait_match", 4, tool_wait_match },
		{ "left", 1, tool_left },
		{ "run", 1, tool_run },
	};
	size_t i;

	program = "tool";
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (argc > 1 && strcmp(argv[1], commands[i].name) == 0 &&
		    argc - 2 >= commands[i].args)
			return commands[i].run(argv + 2);
	fail("no such command, or too few arguments: %s",
	    argc > 1 ? argv[1] : "");
}
