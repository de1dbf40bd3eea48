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
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

#define MAX_FD 256 /* the highest descriptor that run closes */
#define MAX_ECHOES 100

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
	struct pollfd set[MAX_ECHOES + 1];
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
	char text[4096], *line, *rest;
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
		for (rest = text; (line = strtok(rest, "\n")) != NULL;
		     rest = NULL)
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

	arg = arg != NULL ? arg + 1 : "";
	if (strncmp(word, "ignore=", 7) == 0)
		signal(signal_number(arg), SIG_IGN);
	else if (strncmp(word, "block=", 6) == 0) {
		sigemptyset(&set);
		sigaddset(&set, signal_number(arg));
		sigprocmask(SIG_BLOCK, &set, NULL);
	} else if (strncmp(word, "close=", 6) == 0)
		close((int)number(arg));
	else if (strncmp(word, "open=", 5) == 0)
		dup2(open("/dev/null", O_RDWR | O_CLOEXEC), (int)number(arg));
	else if (strncmp(word, "umask=", 6) == 0)
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
