/*
 * bench: the clock of tests/bench.sh.  Played as ssh it writes down when it
 * was started and when it ended; as a tool it starts others and counts.
 *
 * As ssh (BENCH_RECORD names a file): appends "S NS PID" as main begins, then
 * "E NS PID" and exits with status BENCH_EXIT, or, without that, hangs.  NS is
 * CLOCK_MONOTONIC in nanoseconds.
 *
 * As a tool:
 *
 *	--launch N PROGRAM ARG...	N times, one after the other: appends
 *			"L NS PID", starts the program, waits for its end
 *	--loop N PROGRAM	the bare loop: fork, exec, wait, N times (0: for
 *			ever); what a supervisor costs at the least
 *	--herd N PROGRAM ARG...	starts N of it at once; prints their pids, a
 *			line each, and ends when its standard input does:
 *			then they are ended, too
 *	--strike	kills every process that the record names at once, by
 *			SIGKILL; prints when, as NS
 */

#include "config.h"

#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HERD_MAX 4096

static void
fail(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(99);
}

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* One write, so that the lines of many stay whole. */
static void
record(const char *path, char what, int64_t ns)
{
	char line[64];
	int fd, n;

	n = snprintf(line, sizeof(line), "%c %lld %ld\n", what, (long long)ns,
	    (long)getpid());
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd == -1 || write(fd, line, (size_t)n) != n)
		fail(path);
	close(fd);
}

static void
play_ssh(const char *path, int64_t started_ns)
{
	const char *status = getenv("BENCH_EXIT");

	record(path, 'S', started_ns);
	while (status == NULL)
		poll(NULL, 0, -1);
	record(path, 'E', now_ns());
	_exit((int)strtol(status, NULL, 10));
}

static pid_t
spawn(char **command)
{
	pid_t pid = fork();

	if (pid == -1)
		fail("fork");
	if (pid == 0) {
		execv(command[0], command);
		_exit(99);
	}
	return pid;
}

static void
wait_for(pid_t pid)
{
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		;
}

static void
launch(const char *path, int n, char **command)
{
	while (n-- > 0) {
		record(path, 'L', now_ns());
		wait_for(spawn(command));
	}
}

static void
loop(int n, char **command)
{
	int i;

	for (i = 0; n == 0 || i < n; i++)
		wait_for(spawn(command));
}

static void
herd(int n, char **command)
{
	static pid_t pids[HERD_MAX];
	char c;
	int i;

	for (i = 0; i < n && i < HERD_MAX; i++) {
		pids[i] = spawn(command);
		printf("%ld\n", (long)pids[i]);
	}
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	while (i-- > 0) {
		kill(pids[i], SIGTERM);
		wait_for(pids[i]);
	}
}

static void
strike(const char *path)
{
	static pid_t pids[HERD_MAX];
	char line[64];
	const char *pid;
	FILE *f = fopen(path, "r");
	int n = 0;

	if (f == NULL)
		fail(path);
	while (n < HERD_MAX && fgets(line, sizeof(line), f) != NULL)
		if (line[0] == 'S' && (pid = strrchr(line, ' ')) != NULL)
			pids[n++] = (pid_t)strtol(pid, NULL, 10);
	fclose(f);
	printf("%lld\n", (long long)now_ns());
	while (n-- > 0)
		kill(pids[n], SIGKILL);
}

int
main(int argc, char **argv)
{
	int64_t started_ns = now_ns();
	const char *path = getenv("BENCH_RECORD");
	int n = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;

	if (path == NULL) {
		fprintf(stderr, "bench: BENCH_RECORD is not set\n");
		return 99;
	}
	if (argc > 3 && strcmp(argv[1], "--launch") == 0)
		launch(path, n, argv + 3);
	else if (argc > 3 && strcmp(argv[1], "--loop") == 0)
		loop(n, argv + 3);
	else if (argc > 3 && strcmp(argv[1], "--herd") == 0)
		herd(n, argv + 3);
	else if (argc > 1 && strcmp(argv[1], "--strike") == 0)
		strike(path);
	else
		play_ssh(path, started_ns);
	return 0;
}
