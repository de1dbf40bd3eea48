/*
 * Loaded before the C library (LD_PRELOAD): moves the clocks of one program.
 *
 * CLOCK_FILE names a file that holds "WALL BOOT MONOTONIC", seconds to add to
 * each; with WALL "jumping" each look at the wall clock finds it years away
 * from the last.  (libfaketime moves timers on other clocks too.)
 */

#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier,cert-dcl*) */

#include <sys/syscall.h>
#include <sys/time.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define YEARS 400000000 /* s */

static void
offsets(long *wall, long *boot, long *monotonic)
{
	static unsigned int looks;
	char text[64] = "";
	char *end;
	const char *file = getenv("CLOCK_FILE");
	int fd = file != NULL ? open(file, O_RDONLY | O_CLOEXEC) : -1;

	if (fd == -1)
		_exit(97);
	if (read(fd, text, sizeof(text) - 1) < 1)
		_exit(97);
	close(fd);
	*wall = strtol(text, &end, 10);
	if (end == text)
		*wall = looks++ % 2 ? YEARS : -YEARS;
	*boot = strtol(end + strcspn(end, " "), &end, 10);
	*monotonic = strtol(end, NULL, 10);
}

int
clock_gettime(clockid_t id, struct timespec *t)
{
	int result = (int)syscall(SYS_clock_gettime, id, t);
	long wall, boot, monotonic;

	offsets(&wall, &boot, &monotonic);
	if (id == CLOCK_REALTIME)
		t->tv_sec += wall;
	else if (id == CLOCK_BOOTTIME)
		t->tv_sec += boot;
	else if (id == CLOCK_MONOTONIC)
		t->tv_sec += monotonic;
	return result;
}

time_t
time(time_t *t)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (t != NULL)
		*t = now.tv_sec;
	return now.tv_sec;
}

int
gettimeofday(struct timeval *t, void *zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	t->tv_sec = now.tv_sec;
	t->tv_usec = now.tv_nsec / 1000;
	return 0;
}
