#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

const char *program = "?";

const struct signal_name signal_names[] = {
	{ "HUP", SIGHUP },
	{ "INT", SIGINT },
	{ "QUIT", SIGQUIT },
	{ "ILL", SIGILL },
	{ "TRAP", SIGTRAP },
	{ "ABRT", SIGABRT },
	{ "BUS", SIGBUS },
	{ "FPE", SIGFPE },
	{ "KILL", SIGKILL },
	{ "USR1", SIGUSR1 },
	{ "SEGV", SIGSEGV },
	{ "USR2", SIGUSR2 },
	{ "PIPE", SIGPIPE },
	{ "ALRM", SIGALRM },
	{ "TERM", SIGTERM },
	{ "CHLD", SIGCHLD },
	{ "CONT", SIGCONT },
	{ "STOP", SIGSTOP },
	{ "TSTP", SIGTSTP },
	{ "TTIN", SIGTTIN },
	{ "TTOU", SIGTTOU },
	{ "URG", SIGURG },
	{ "WINCH", SIGWINCH },
};

const size_t nsignals = sizeof(signal_names) / sizeof(signal_names[0]);

void
fail(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	exit(99);
}

int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void
sleep_ms(int64_t ms)
{
	int64_t end = now_ms() + ms, left;

	while ((left = end - now_ms()) > 0)
		poll(NULL, 0, left > 100000 ? 100000 : (int)left);
}

long
number(const char *word)
{
	char *end;
	long n;

	if (word == NULL)
		fail("a number is missing");
	n = strtol(word, &end, 10);
	if (end == word || *end != '\0')
		fail("not a number: %s", word);
	return n;
}

int
signal_number(const char *name)
{
	size_t i;

	if (name == NULL)
		fail("a signal is missing");
	for (i = 0; i < nsignals; i++)
		if (strcmp(signal_names[i].name, name) == 0)
			return signal_names[i].number;
	return (int)number(name);
}

socklen_t
address(union address *a, const char *host, int port)
{
	memset(a, 0, sizeof(*a));
	if (host[0] == '/') {
		a->un.sun_family = AF_UNIX;
		if (strlen(host) >= sizeof(a->un.sun_path))
			fail("path too long: %s", host);
		memcpy(a->un.sun_path, host, strlen(host) + 1);
		return sizeof(a->un);
	}
	if (strchr(host, ':') != NULL) {
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_port = htons((uint16_t)port);
		if (inet_pton(AF_INET6, host, &a->in6.sin6_addr) != 1)
			fail("address: %s", host);
		return sizeof(a->in6);
	}
	a->in.sin_family = AF_INET;
	a->in.sin_port = htons((uint16_t)port);
	if (inet_pton(AF_INET, host, &a->in.sin_addr) != 1)
		fail("address: %s", host);
	return sizeof(a->in);
}

/* A listening socket, or -1. */
int
listen_at(const char *host, int port)
{
	union address a;
	socklen_t len = address(&a, host, port);
	int fd, bound, on = 1;
	mode_t mask;

	if ((fd = socket(a.sa.sa_family, SOCK_STREAM, 0)) == -1)
		return -1;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	mask = umask(0177); /* as ssh does */
	bound = bind(fd, &a.sa, len);
	umask(mask);
	if (bound == -1 || listen(fd, 128) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A connected socket, or -1; loopback answers at once, so this may block. */
int
connect_to(const char *host, int port)
{
	union address a;
	socklen_t len = address(&a, host, port);
	int fd;

	if ((fd = socket(a.sa.sa_family, SOCK_STREAM, 0)) == -1)
		return -1;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (connect(fd, &a.sa, len) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

void
close_by_reset(int fd)
{
	struct linger hard = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
}
