/*
 * Goal: show that autossh can be forgotten: whatever happens to it and to its
 * ssh, at any microsecond, what must always be true stays true.
 *
 * usage: soak SECONDS [SEED [RESTARTS]]; soak.sh runs it.
 *
 * The driver starts one autossh after another, each with other settings, and
 * this program as its ssh; what ssh is to do, and what became of it, stands in
 * memory that both share.  The driver then picks one event after the other by a
 * pseudo-random number: ssh dies or hangs, signals come, tests fail, strangers
 * call, the address of link SOAK_LINK changes, the log is rotated, autossh is
 * ended or killed.  It checks that
 *
 *	never more than one ssh is alive,
 *	autossh lives until it is told to end, and ends as it should,
 *	the next ssh comes no earlier and not much later than the backoff says,
 *	a test passes where ssh forwards,
 *	no descriptor and no memory is lost,
 *	nothing is left behind: no ssh, pidfile, private directory,
 *	each line of the log follows from the last, and the counts add up.
 *
 * The first violation ends it, with the events that led there and status 1.
 */

#include "config.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define SECOND INT64_C(1000000) /* times are in microseconds */
#define MS INT64_C(1000)
#define PATIENCE (30 * SECOND) /* nothing that must come comes later */
#define STARTS_MAX 65536       /* of one autossh */
#define STRANGERS_MAX 120
#define HISTORY 40

/* What ssh's forwardings do. */
enum traffic { TRAFFIC_PASS, TRAFFIC_REFUSE, TRAFFIC_SWALLOW, TRAFFIC_GARBLE };

/* What the driver and its sshs share. */
struct shared {
	pid_t driver;

	/* what ssh is to do */
	volatile int traffic;
	volatile int ignore_term;
	volatile int die;           /* exit status, or signal + 1000 */
	volatile int die_until;     /* the last start that is to die so, */
	volatile int64_t die_after; /* so long after its start */

	/* what became of it */
	volatile int starts;
	volatile int listens; /* the last start whose forwardings are there */
	volatile pid_t pid;
	volatile int64_t started_at;
	volatile int two_at_once;
	volatile int loops; /* it has all forwardings that a test needs */
	char back[128];     /* where the monitor listens */
	char private[128];  /* autossh's directory, if it has made one */
	pid_t pids[STARTS_MAX];
};

static struct shared *shared;
static int my_number; /* in place of ssh: which start this is */

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec / 1000;
}

static void
sleep_us(int64_t us)
{
	struct timespec ts = { us / SECOND, us % SECOND * 1000 };

	if (us > 0)
		nanosleep(&ts, NULL);
}

/* The number at the beginning of TEXT. */
static long
number(const char *text)
{
	return strtol(text, NULL, 10);
}

/* ---- in place of ssh ---------------------------------------------------- */

#define RELAYS_MAX 32

/* A connection through ssh: from its end here to autossh's listener. */
struct relay {
	int in, out;
};

/* A socket for TEXT: a port on loopback or a path.  LISTENING or connected. */
static int
socket_at(const char *text, bool listening)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_un un;
	} a;
	socklen_t len;
	int fd, on = 1;

	memset(&a, 0, sizeof(a));
	if (text[0] == '/') {
		a.un.sun_family = AF_UNIX;
		snprintf(a.un.sun_path, sizeof(a.un.sun_path), "%s", text);
		len = sizeof(a.un);
	} else {
		a.in.sin_family = AF_INET;
		a.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		a.in.sin_port = htons((uint16_t)number(text));
		len = sizeof(a.in);
	}
	fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (listening)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (listening ? bind(fd, &a.any, len) == -1 || listen(fd, 64) == -1
		      : connect(fd, &a.any, len) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Passes on what has come, as the driver wants it.  Returns false at an end. */
static bool
relay_run(struct relay *r)
{
	char bytes[1024];
	ssize_t n = read(r->in, bytes, sizeof(bytes));

	if (n <= 0)
		return false;
	if (shared->traffic == TRAFFIC_SWALLOW)
		return true;
	if (shared->traffic == TRAFFIC_GARBLE)
		bytes[n / 2] ^= 4;
	return write(r->out, bytes, (size_t)n) == n;
}

static void
relay_accept(struct relay *relays, int *n, int listener, const char *target)
{
	struct relay *r = &relays[*n];

	r->in = accept(listener, NULL, NULL);
	if (r->in == -1)
		return;
	if (*n == RELAYS_MAX || shared->traffic == TRAFFIC_REFUSE ||
	    !shared->loops) {
		close(r->in);
		return;
	}
	/* without a remote forwarding it is an echo service */
	r->out = target[0] == '\0' ? dup(r->in) : socket_at(target, false);
	(*n)++;
}

static void
relay_close(struct relay *relays, int *n, int i)
{
	close(relays[i].in);
	close(relays[i].out);
	relays[i] = relays[--*n];
}

/* Dies as told, if it is time. */
static void
die_as_told(void)
{
	int die = shared->die;

	if (my_number > shared->die_until ||
	    now_us() < shared->started_at + shared->die_after)
		return;
	if (die < 1000)
		_exit(die);
	signal(die - 1000, SIG_DFL);
	raise(die - 1000);
}

static void
forward(const char *listen_at, const char *target)
{
	struct relay relays[RELAYS_MAX + 1] = { { -1, -1 } };
	struct pollfd set[RELAYS_MAX + 1];
	int n = 0, i, listener = -1, wait;

	if (listen_at[0] != '\0')
		listener = socket_at(listen_at, true);
	shared->listens = my_number;
	for (;;) {
		set[0].fd = listener;
		set[0].events = POLLIN;
		for (i = 0; i < n; i++) {
			set[i + 1].fd = relays[i].in;
			set[i + 1].events = POLLIN;
		}
		wait = my_number <= shared->die_until ? 1 : 50;
		if (poll(set, (nfds_t)n + 1, wait) == -1)
			continue;
		die_as_told();
		if (kill(shared->driver, 0) == -1)
			_exit(3); /* which ends autossh too */
		for (i = n - 1; i >= 0; i--) {
			if (set[i + 1].revents && !relay_run(&relays[i]))
				relay_close(relays, &n, i);
		}
		if (listener != -1 && set[0].revents)
			relay_accept(relays, &n, listener, target);
	}
}

/* Plays ssh. */
__attribute__((noreturn)) static void
ssh_main(int argc, char **argv)
{
	char listen_at[128] = "", target[128] = "";
	int64_t now = now_us();
	pid_t before = shared->pid;
	const char *p;
	int i;

	/* autossh has taken in the death of the last one */
	if (before != 0 && before != getpid() && kill(before, 0) == 0)
		shared->two_at_once = 1;
	if (shared->ignore_term)
		signal(SIGTERM, SIG_IGN);
	for (i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "-L") == 0) {
			snprintf(listen_at, sizeof(listen_at), "%.*s",
			    (int)strcspn(argv[i + 1], ":"), argv[i + 1]);
		} else if (strcmp(argv[i], "-R") == 0) {
			p = strrchr(argv[i + 1], ':');
			snprintf(target, sizeof(target), "%s", p + 1);
		}
	}
	memcpy(shared->back, target, sizeof(target));
	if (listen_at[0] == '/') {
		snprintf(shared->private, sizeof(shared->private), "%.*s",
		    (int)(strrchr(listen_at, '/') - listen_at), listen_at);
	}
	/* autossh may leave its -R out, and then no test can pass */
	shared->loops = listen_at[0] != '/' || target[0] != '\0';
	shared->pid = getpid();
	shared->started_at = now;
	shared->pids[shared->starts % STARTS_MAX] = getpid();
	my_number = shared->starts + 1;
	__sync_synchronize();
	shared->starts = my_number;
	forward(listen_at, target);
	_exit(1);
}

/* ---- the driver --------------------------------------------------------- */

/* One autossh, from its start to its end. */
struct life {
	pid_t pid;
	char monitor[32];
	bool private, echo, monitored;
	int poll;
	int maxstart; /* 0: no limit */
	int tries;    /* as autossh must count them */
	bool tries_known;
	int fds;     /* open when nothing goes on; 0: not known yet */
	long memory; /* in KiB, after the first starts; 0: not known yet */
	int least;   /* starts before its end may come */
	int rotated; /* logs that were renamed */
};

static struct {
	char dir[64], log[96], pidfile[96], status[96], memory[96];
	char self[PATH_MAX];
	const char *autossh;
	uint64_t seed, state;

	char history[HISTORY][96];
	int nhistory;

	/* for the summary */
	int64_t begun;
	int lives, restarts, events, checked_waits, prods, tests, settled;
	int ends[8];
	int64_t longest_late, lateness;
	long memory_most, memory_growth; /* in KiB */
	int strangers, addresses, most_starts;
} soak;

static struct life life;
static int strangers[STRANGERS_MAX];
static int nstrangers;

/* xorshift64*: a number below N. */
static unsigned int
pick(unsigned int n)
{
	soak.state ^= soak.state >> 12;
	soak.state ^= soak.state << 25;
	soak.state ^= soak.state >> 27;
	return (unsigned int)((soak.state * UINT64_C(2685821657736338717)) >>
			      33) %
	       n;
}

/* Runs a command of the shell, with one word behind it. */
static void
shell(const char *command, const char *word)
{
	char line[256];

	snprintf(line, sizeof(line), "%s '%s'", command, word);
	fflush(stdout);
	if (system(line) != 0) /* NOLINT(cert-env33-c): our own words */
		printf("failed: %s\n", line);
}

/* Notes what is done next, for the case that it goes wrong. */
__attribute__((format(printf, 1, 2))) static void
event(const char *format, ...)
{
	char *line = soak.history[soak.nhistory++ % HISTORY];
	va_list ap;
	int n;

	n = snprintf(line, 96, "%10.3f s  start %d  ",
	    (double)(now_us() - soak.begun) / SECOND, shared->starts);
	va_start(ap, format);
	vsnprintf(line + n, 96 - (size_t)n, format, ap);
	va_end(ap);
	soak.events++;
}

static void
strangers_leave(void)
{
	while (nstrangers > 0)
		close(strangers[--nstrangers]);
}

/* Sends SIG to ssh; its pid may have been given to a stranger since it died. */
static void
signal_ssh(int sig)
{
	char path[64], program[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%ld/exe", (long)shared->pid);
	n = readlink(path, program, sizeof(program) - 1);
	if (n <= 0)
		return;
	program[n] = '\0';
	if (strcmp(program, soak.self) == 0)
		kill(shared->pid, sig);
}

/* Ends everything that was started, by its pid. */
static void
end_all(void)
{
	if (life.pid > 0) {
		kill(life.pid, SIGKILL);
		waitpid(life.pid, NULL, 0);
	}
	signal_ssh(SIGKILL);
	unlink(soak.memory);
}

/* Something is not as it must be: says what, and what led there. */
__attribute__((noreturn, format(printf, 1, 2))) static void
violation(const char *format, ...)
{
	va_list ap;
	int i;

	printf("VIOLATION (seed %" PRIu64 "): ", soak.seed);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\nautossh -M %s, AUTOSSH_POLL=%d; the last events:\n",
	    life.monitor, life.poll);
	i = soak.nhistory > HISTORY ? soak.nhistory - HISTORY : 0;
	for (; i < soak.nhistory; i++)
		printf("  %s\n", soak.history[i % HISTORY]);
	printf("the end of %s:\n", soak.log);
	shell("tail -n 30", soak.log);
	end_all();
	printf("all logs stay in %s\n", soak.dir);
	exit(1);
}

/* Waits for CONDITION, which must come true, and for autossh to live. */
#define AWAIT(condition, ...)                                                  \
	do {                                                                   \
		int64_t await_end = now_us() + PATIENCE;                       \
		while (!(condition)) {                                         \
			if (now_us() > await_end)                              \
				violation(__VA_ARGS__);                        \
			sleep_us(200);                                         \
		}                                                              \
	} while (0)

/* Whether autossh has ended; *STATUS is its wait status then. */
static bool
autossh_ended(int *status)
{
	if (waitpid(life.pid, status, WNOHANG) != life.pid)
		return false;
	life.pid = 0;
	return true;
}

static void
must_live(void)
{
	int status;

	if (autossh_ended(&status))
		violation("autossh has ended by itself, wait status %#x",
		    (unsigned int)status);
	if (shared->two_at_once)
		violation("two sshs were alive at once");
}

static bool
process_alive(pid_t pid)
{
	char path[64], text[256];
	const char *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	p = strrchr(text, ')');
	return p != NULL && p[2] != 'Z' && p[2] != 'X';
}

/* How many descriptors autossh has open. */
static int
autossh_fds(void)
{
	char path[64];
	struct dirent *e;
	DIR *d;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%ld/fd", (long)life.pid);
	d = opendir(path);
	if (d == NULL)
		return 0;
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/*
 * How much memory of its own it has in use, in KiB.  (What it has of programs
 * and libraries comes and goes as the kernel likes.)
 */
static long
autossh_memory(void)
{
	static const char name[] = "RssAnon:";
	char path[64], line[128];
	long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/status", (long)life.pid);
	f = fopen(path, "r");
	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0)
			kib = number(line + strlen(name));
	}
	fclose(f);
	return kib;
}

/* ---- the log ------------------------------------------------------------ */

/* What the log must say next. */
struct story {
	enum { STORY_WAITING, STORY_STARTING, STORY_RUNNING, STORY_DOWN } at;
	int starts, deaths, known;
	bool ended;
};

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Whether TEXT says that ssh is gone, or is being ended. */
static bool
says_death(const char *text)
{
	return begins(text, "ssh exited ") ||
	       begins(text, "port down, restarting ssh") ||
	       begins(text, "signalled to kill and restart ssh");
}

/* Reads one line of the log, less date and pid. */
static void
story_line(struct story *st, const char *text)
{
	static const char start[] = "starting ssh (count ",
			  child[] = "ssh child pid is ";
	int n;

	if (begins(text, start)) {
		n = (int)number(text + strlen(start));
		if (st->at != STORY_WAITING || n != st->starts + 1)
			violation("the log says \"%s\" after %d starts", text,
			    st->starts);
		st->at = STORY_STARTING;
		st->starts++;
	} else if (begins(text, child)) {
		n = (int)number(text + strlen(child));
		if (st->at != STORY_STARTING)
			violation("the log says \"%s\" without a start", text);
		st->at = STORY_RUNNING;
		if (st->known < shared->starts && shared->pids[st->known] == n)
			st->known++;
	} else if (says_death(text)) {
		if (st->at == STORY_RUNNING) {
			st->at = STORY_DOWN;
			st->deaths++;
		} else if (!begins(text, "signalled")) {
			violation("the log says \"%s\" without an ssh", text);
		}
	} else if (begins(text, "checking for grace period")) {
		if (st->starts > 0 && st->at != STORY_DOWN)
			violation("the log says \"%s\" while ssh runs", text);
		st->at = STORY_WAITING;
	} else if (begins(text, "received signal to exit")) {
		st->ended = true;
	}
}

static void
story_file(struct story *st, const char *path)
{
	char line[2048];
	char *text;
	FILE *f = fopen(path, "r");

	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		text = strstr(line, "]: ");
		if (text == NULL)
			violation("a line without a head in the log: %s", line);
		text[strcspn(text, "\n")] = '\0';
		story_line(st, text + 3);
	}
	fclose(f);
	unlink(path);
}

/*
 * Checks the whole log of an autossh that has ended, and forgets it.  Returns
 * the number of starts.
 */
static int
story_check(void)
{
	struct story st;
	char path[128];
	int i, seen = shared->starts;

	memset(&st, 0, sizeof(st));
	for (i = 0; i < life.rotated; i++) {
		snprintf(path, sizeof(path), "%s.%d", soak.log, i);
		story_file(&st, path);
	}
	story_file(&st, soak.log);
	/* each ssh that came to life is in the log, in order */
	if (st.known != seen || st.starts < seen)
		violation("%d sshs have started, the log knows %d, in order %d",
		    seen, st.starts, st.known);
	if (st.starts > 0 && st.deaths != st.starts &&
	    st.deaths != st.starts - 1)
		violation("the log has %d starts, but %d deaths", st.starts,
		    st.deaths);
	if (st.starts > soak.most_starts)
		soak.most_starts = st.starts;
	soak.restarts += st.starts > 0 ? st.starts - 1 : 0;
	return st.starts;
}

/* The value of METRIC in the status file, or -1. */
static long
metric(const char *name)
{
	char line[256];
	long value = -1;
	FILE *f = fopen(soak.status, "r");

	if (f == NULL)
		return -1;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (begins(line, name))
			value = number(line + strcspn(line, " "));
	}
	fclose(f);
	return value;
}

/* How often TEXT is at the end of a line of the log that is written now. */
static int
log_count(const char *text)
{
	char line[2048];
	int n = 0;
	FILE *f = fopen(soak.log, "r");

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, text) != NULL;
	fclose(f);
	return n;
}

/* ---- the beginning of an autossh, and its end --------------------------- */

/* A port that is free with the next one; below those that systems hand out. */
static int
free_port(void)
{
	char text[16];
	int port, fd, next;

	for (;;) {
		port = 10000 + (int)pick(20000);
		snprintf(text, sizeof(text), "%d", port);
		fd = socket_at(text, true);
		snprintf(text, sizeof(text), "%d", port + 1);
		next = socket_at(text, true);
		if (fd != -1)
			close(fd);
		if (next != -1)
			close(next);
		if (fd != -1 && next != -1)
			return port;
	}
}

static void
plan_healthy(void)
{
	shared->traffic = TRAFFIC_PASS;
	shared->ignore_term = 0;
	shared->die_until = 0;
	shared->die_after = 0;
}

static void
set_number(const char *name, int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", n);
	setenv(name, text, 1);
}

/* In the child: becomes autossh. */
__attribute__((noreturn)) static void
autossh_exec(void)
{
	int null = open("/dev/null", O_RDWR);
	int sig;

	setsid();
	for (sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL); /* a shell's "&" ignores INT */
	dup2(null, 0);
	dup2(null, 1);
	if (getenv("SOAK_STDERR") == NULL)
		dup2(null, 2);
	close(null);
	setenv("AUTOSSH_PATH", soak.self, 1);
	setenv("AUTOSSH_LOGFILE", soak.log, 1);
	setenv("AUTOSSH_LOGLEVEL", "7", 1);
	setenv("AUTOSSH_PIDFILE", soak.pidfile, 1);
	setenv("AUTOSSH_GATETIME", "0", 1);
	setenv("SOAK_MEMORY", soak.memory, 1);
	set_number("AUTOSSH_POLL", life.poll);
	if (life.maxstart > 0)
		set_number("AUTOSSH_MAXSTART", life.maxstart);
	if (life.poll % 2)
		setenv("AUTOSSH_STATUSFILE", soak.status, 1);
	execl(soak.autossh, "autossh", "-M", life.monitor, "-N", "host",
	    (char *)NULL);
	_exit(127);
}

static void
life_begin(void)
{
	int port = free_port();

	memset(&life, 0, sizeof(life));
	plan_healthy();
	shared->starts = 0;
	shared->listens = 0;
	shared->pid = 0;
	shared->private[0] = '\0';
	life.poll = 1 + (int)pick(3);
	life.maxstart = pick(6) == 0 ? 2 + (int)pick(60) : 0;
	if (life.maxstart == 0 && pick(8) == 0)
		life.least = pick(6) == 0 ? 1500 : 300;
	life.tries_known = true;
	life.monitored = true;
	switch (pick(5)) {
	case 0:
		life.private = true;
		snprintf(life.monitor, sizeof(life.monitor), "auto");
		break;
	case 1:
		life.echo = true;
		snprintf(life.monitor, sizeof(life.monitor), "%d:7", port);
		break;
	case 2:
		life.monitored = false;
		snprintf(life.monitor, sizeof(life.monitor), "0");
		break;
	default:
		snprintf(life.monitor, sizeof(life.monitor), "%d", port);
		break;
	}
	fflush(stdout);
	life.pid = fork();
	if (life.pid == 0)
		autossh_exec();
	event("autossh -M %s, poll %d, maxstart %d", life.monitor, life.poll,
	    life.maxstart);
	soak.lives++;
}

/* After a SIGKILL: removes what autossh could not. */
static void
sweep(void)
{
	if (shared->private[0] != '\0')
		shell("rm -rf", shared->private);
	unlink(soak.pidfile);
}

/*
 * Waits for the end of autossh; its exit status must be ONE or OTHER.  If OTHER
 * is negative, that signal may have killed it before it had set itself up.
 */
static void
life_end(int one, int other)
{
	int status = 0, starts;
	pid_t pid = life.pid, ssh;

	AWAIT(autossh_ended(&status), "autossh does not end");
	ssh = shared->pid;
	if (!(WIFSIGNALED(status) && WTERMSIG(status) == -other) &&
	    !(WIFEXITED(status) &&
		(WEXITSTATUS(status) == one || WEXITSTATUS(status) == other)))
		violation("autossh has ended with wait status %#x, not %d",
		    (unsigned int)status, one);
	if (ssh != 0 && process_alive(ssh))
		violation("ssh %ld is left", (long)ssh);
	if (access(soak.pidfile, F_OK) == 0)
		violation("the pidfile is left");
	if (shared->private[0] != '\0' && access(shared->private, F_OK) == 0)
		violation("the directory %s is left", shared->private);
	if (shared->two_at_once)
		violation("two sshs were alive at once");
	event("autossh %ld has ended", (long)pid);
	strangers_leave();
	starts = story_check();
	if (starts > 0 && life.poll % 2 == 1 &&
	    (metric("autossh_starts_total{") != starts ||
		metric("autossh_up{") != 0))
		violation("%d starts, but the status file says %ld, up %ld",
		    starts, metric("autossh_starts_total{"),
		    metric("autossh_up{"));
	unlink(soak.status);
}

/* ---- events ------------------------------------------------------------- */

/* When ssh's next start must come, if nothing hastens it. */
struct expected {
	int starts;
	pid_t ssh;           /* which dies */
	int64_t least, most; /* times of the next start */
	bool known;
};

/* The nominal pause by the count of tries, as the manual has it. */
static int64_t
pause_nominal(void)
{
	int64_t t = life.tries - 2, poll = life.poll * SECOND, pause;

	if (life.tries <= 1)
		return 0;
	pause = life.tries == 2 ? 2 * SECOND : poll * t * t / 300;
	if (life.tries > 2 && pause < 10 * SECOND)
		pause = 10 * SECOND;
	return pause < poll ? pause : poll;
}

/* ssh is about to die: when must the next start come? */
static void
expect(struct expected *x)
{
	int64_t lived = now_us() - shared->started_at;

	x->starts = shared->starts;
	x->ssh = shared->pid;
	/* autossh counts from before the exec: near the limit both are right */
	if (lived > 9 * SECOND && lived < 10 * SECOND + 100 * MS)
		life.tries_known = false;
	if (lived >= 10 * SECOND + 100 * MS) {
		life.tries = 0;
		life.tries_known = true;
	} else {
		life.tries++;
	}
	x->most = now_us() + pause_nominal();
	x->least = x->most - pause_nominal() / 2;
	x->known = life.tries_known;
}

/* The next start is asked for: it comes at once, and is not counted. */
static void
expect_now(struct expected *x)
{
	x->starts = shared->starts;
	x->ssh = shared->pid;
	x->least = x->most = now_us();
	x->known = life.tries_known;
}

/* Learns from the log how many tries autossh has counted. */
static void
learn_tries(void)
{
	char line[2048];
	const char *p;
	FILE *f = fopen(soak.log, "r");

	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		p = strstr(line, "tries = ");
		if (p != NULL) {
			life.tries = (int)number(p + 8);
			life.tries_known = true;
		}
	}
	fclose(f);
}

/* Waits for ssh's next start.  HASTE: may prod it. */
static void
await_start(const struct expected *x, bool haste)
{
	bool prodded = false;
	int64_t late, end = now_us() + PATIENCE;

	while (shared->starts == x->starts) {
		must_live();
		if (now_us() > end)
			violation("ssh is not started again");
		/* before its end is known, HUP would ask for a test */
		if (haste && !prodded && x->most > now_us() + 20 * MS &&
		    kill(x->ssh, 0) == -1) {
			sleep_us(2 * MS);
			prodded = true;
			kill(life.pid, SIGHUP);
			soak.prods++;
		}
		sleep_us(100);
	}
	if (!x->known)
		learn_tries();
	if (prodded || !x->known)
		return;
	soak.checked_waits++;
	if (shared->started_at < x->least - 2 * MS)
		violation("ssh was started %" PRId64
			  " us before the pause was over",
		    x->least - shared->started_at);
	late = shared->started_at - x->most;
	if (late < 0)
		late = 0;
	soak.lateness += late;
	if (late > soak.longest_late)
		soak.longest_late = late;
}

/* After a death: the next start, or the end. */
static void
await_next(const struct expected *x, bool haste)
{
	if (life.maxstart > 0 && x->starts >= life.maxstart) {
		life_end(0, 0);
		soak.ends[0]++;
	} else {
		await_start(x, haste);
	}
}

/* A time within what happens around a start or a death. */
static void
wait_a_moment(void)
{
	switch (pick(4)) {
	case 0:
		break;
	case 1:
		sleep_us(pick(300));
		break;
	case 2:
		sleep_us(pick(4000));
		break;
	case 3:
		sleep_us(pick(20) == 0 ? pick(1200000) : pick(30000));
		break;
	}
}

/* ssh is killed from outside. */
static void
do_kill(void)
{
	static const int sigs[] = { SIGKILL, SIGTERM, SIGSEGV, SIGHUP, SIGINT,
		SIGPIPE };
	int sig = sigs[pick(COUNT(sigs))];
	struct expected x;

	event("ssh gets signal %d", sig);
	expect(&x);
	signal_ssh(sig);
	await_next(&x, pick(64) != 0);
}

/* ssh exits by itself, with a status that means another try. */
static void
do_exit(void)
{
	static const int statuses[] = { 255, 255, 1, 2 };
	struct expected x;

	event("ssh exits");
	expect(&x);
	shared->die = statuses[pick(COUNT(statuses))];
	shared->die_after = 0;
	shared->die_until = shared->starts;
	await_next(&x, pick(64) != 0);
}

/* The next few sshs die young. */
static void
do_burst(void)
{
	int until = shared->starts + 1 + (int)pick(8);
	int64_t end = now_us() + PATIENCE;

	if (life.maxstart > 0)
		return;
	shared->die = pick(2) ? 255 : 1000 + SIGKILL;
	shared->die_after = pick(3) == 0 ? 0 : pick(3000);
	shared->die_until = until;
	event("ssh dies up to start %d, after %d us", until,
	    (int)shared->die_after);
	while (shared->starts <= until) {
		int before = shared->starts;

		must_live();
		if (now_us() > end)
			violation("ssh is not started again");
		sleep_us(5000);
		if (shared->starts == before) {
			kill(life.pid, SIGHUP);
			soak.prods++;
		}
	}
	life.tries_known = false;
}

/* USR1: ssh is ended, whatever it does, and started again. */
static void
do_usr1(void)
{
	struct expected x;
	bool stopped = pick(8) == 0;

	event("autossh gets USR1%s", stopped ? ", ssh is stopped" : "");
	if (stopped)
		signal_ssh(SIGSTOP);
	expect_now(&x);
	kill(life.pid, SIGUSR1);
	await_next(&x, pick(64) != 0);
}

/* Several things at once; each alone means another start. */
static void
do_at_once(void)
{
	int i, n = 2 + (int)pick(4), before = shared->starts;
	int64_t end = now_us() + PATIENCE;

	if (life.maxstart > 0)
		return;
	event("USR1, HUP and deaths at once");
	for (i = 0; i < n; i++) {
		switch (pick(4)) {
		case 0:
			signal_ssh(SIGKILL);
			break;
		case 1:
			kill(life.pid, SIGUSR1);
			break;
		case 2:
			kill(life.pid, SIGHUP);
			break;
		case 3:
			kill(life.pid, SIGUSR2);
			break;
		}
		sleep_us(pick(2000));
	}
	kill(life.pid, SIGUSR1);
	life.tries_known = false;
	while (shared->starts == before || !process_alive(shared->pid)) {
		must_live();
		if (now_us() > end)
			violation("ssh is not started again");
		sleep_us(2000);
		kill(life.pid, SIGHUP);
	}
	/* a start may be under way that USR1 is about to end */
	sleep_us(20 * MS);
	AWAIT(process_alive(shared->pid) || kill(life.pid, SIGHUP) == -1,
	    "ssh is not started again");
	learn_tries();
	life.tries_known = false;
}

/* Signals that must change nothing. */
static void
do_noise(void)
{
	static const int sigs[] = { SIGALRM, SIGPIPE, SIGCHLD, SIGUSR2, SIGHUP,
		SIGCONT };
	int i, before = shared->starts, n = 1 + (int)pick(20);

	/* a test of a port that nobody listens on fails */
	AWAIT(shared->listens == before, "ssh does not listen");
	event("%d signals that change nothing", n);
	for (i = 0; i < n; i++) {
		kill(life.pid, sigs[pick(COUNT(sigs))]);
		sleep_us(pick(300));
	}
	life.tries_known = false; /* a HUP may yet shorten the next wait */
	must_live();
	if (shared->starts != before && shared->traffic == TRAFFIC_PASS &&
	    !process_alive(shared->pid))
		violation("a signal that means nothing has ended ssh");
}

/* autossh is stopped for a moment, as by a debugger or a shell. */
static void
do_stop(void)
{
	event("autossh is stopped for a moment");
	kill(life.pid, SIGSTOP);
	sleep_us(pick(20000));
	kill(life.pid, SIGCONT);
}

/* Strangers call the monitor's port, and talk, or do not. */
static void
do_strangers(void)
{
	static const char talk[] = "GET / HTTP/1.0\r\n\r\nautossh autossh\r\n";
	int i, fd, n = 1 + (int)pick(pick(4) == 0 ? 80 : 8);
	struct linger reset = { 1, 0 };

	if (!life.monitored || life.echo || shared->back[0] == '\0')
		return;
	event("%d strangers", n);
	for (i = 0; i < n; i++) {
		if (nstrangers == STRANGERS_MAX)
			strangers_leave();
		fd = socket_at(shared->back, false);
		if (fd == -1)
			continue;
		soak.strangers++;
		(void)fcntl(fd, F_SETFL, O_NONBLOCK);
		if (pick(2))
			(void)!write(fd, talk, pick(sizeof(talk)));
		if (pick(3) == 0)
			setsockopt(
			    fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		if (pick(2))
			close(fd);
		else
			strangers[nstrangers++] = fd;
	}
}

/* The log is rotated: renamed, or copied away and removed. */
static void
do_rotate(void)
{
	char path[128];

	if (life.rotated >= 1000)
		return;
	event("log rotation");
	snprintf(path, sizeof(path), "%s.%d", soak.log, life.rotated);
	if (pick(2) == 0) {
		if (rename(soak.log, path) == 0)
			life.rotated++;
	} else if (link(soak.log, path) == 0) {
		life.rotated++;
		unlink(soak.log);
	}
}

/* Traffic stops or is garbled: a test must notice. */
static void
do_bad_traffic(void)
{
	struct expected x;
	int64_t end = now_us() + PATIENCE;

	if (!life.monitored || !shared->loops || life.maxstart > 0)
		return;
	/* a private monitor takes a refusal for a sign of life */
	shared->traffic = TRAFFIC_SWALLOW + (int)pick(2);
	if (!life.private && pick(3) == 0)
		shared->traffic = TRAFFIC_REFUSE;
	event("traffic fault %d", shared->traffic);
	expect(&x);
	x.known = false;
	life.tries_known = false;
	kill(life.pid, SIGHUP);
	while (shared->starts == x.starts) {
		must_live();
		if (now_us() > end)
			violation("a test does not notice that traffic stops");
		sleep_us(1000);
	}
	shared->traffic = TRAFFIC_PASS;
	learn_tries();
	life.tries_known = false;
}

/* ssh ignores TERM: after 3 s it is killed. */
static void
do_stubborn(void)
{
	struct expected x;

	if (life.maxstart > 0)
		return;
	event("ssh that ignores TERM");
	shared->ignore_term = 1;
	expect(&x);
	signal_ssh(SIGKILL);
	await_start(&x, true);
	shared->ignore_term = 0;
	event("USR1 to it");
	expect_now(&x);
	kill(life.pid, SIGUSR1);
	x.least += 3 * SECOND;
	x.most += 3 * SECOND;
	x.known = false;
	await_start(&x, true);
}

/* A private directory is removed, as cleaners of /tmp do. */
static void
do_clean_tmp(void)
{
	if (!life.private)
		return;
	event("the private directory is removed");
	shell("rm -rf", shared->private);
	do_kill();
}

/* Another address: a test begins, and ends nothing. */
static void
do_network(void)
{
	static const char noticed[] = "]: network has changed, testing";
	const char *link = getenv("SOAK_LINK");
	int before = shared->starts, tests = log_count(noticed);
	char command[128];

	if (link == NULL || life.maxstart > 0)
		return;
	AWAIT(shared->listens == before, "ssh does not listen");
	soak.addresses++;
	snprintf(command, sizeof(command),
	    "ip address flush dev %s && ip address add 192.0.2.%d/32 dev", link,
	    1 + soak.addresses % 250);
	event("another address");
	shell(command, link);
	if (life.monitored)
		AWAIT(log_count(noticed) > tests,
		    "no test begins though the network has changed");
	else
		sleep_us(1500 * MS);
	must_live();
	if (shared->starts != before || !process_alive(shared->pid))
		violation("a change of the network has ended ssh");
}

/* When all is quiet: a test passes, and nothing is lost. */
static void
do_settle(void)
{
	int64_t end = now_us() + PATIENCE;
	int passed, fds;
	long memory;

	event("all is quiet");
	strangers_leave();
	if (life.monitored && shared->loops) {
		passed = log_count("]: connection ok");
		do {
			kill(life.pid, SIGHUP);
			sleep_us(20 * MS);
			must_live();
			if (now_us() > end)
				violation("no test passes");
		} while (log_count("]: connection ok") <= passed);
		soak.tests++;
	}
	soak.settled++;
	while ((fds = autossh_fds()) > life.fds && life.fds != 0) {
		must_live();
		if (now_us() > end)
			violation(
			    "%d descriptors are open, %d were", fds, life.fds);
		sleep_us(20 * MS);
	}
	if (life.fds == 0) {
		sleep_us(700 * MS); /* the end of a test's timeouts */
		life.fds = autossh_fds();
	}
	memory = autossh_memory();
	if (life.memory == 0 && shared->starts > 20)
		life.memory = memory;
	if (memory > soak.memory_most)
		soak.memory_most = memory;
	if (life.memory != 0 && memory - life.memory > soak.memory_growth)
		soak.memory_growth = memory - life.memory;
	/* sanitizers keep what was freed */
	if (life.memory != 0 && life.memory < 4096 && memory > life.memory + 32)
		violation("%ld KiB of memory are in use, %ld were", memory,
		    life.memory);
}

/* ---- events that end autossh -------------------------------------------- */

static void
end_by_signal(void)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGQUIT, SIGABRT };
	int sig = sigs[pick(COUNT(sigs))];

	event("autossh gets signal %d", sig);
	switch (pick(4)) {
	case 0:
		signal_ssh(SIGKILL); /* at ^C ssh dies too */
		sleep_us(pick(500));
		break;
	case 1:
		kill(life.pid, SIGUSR1);
		sleep_us(pick(500));
		break;
	}
	kill(life.pid, sig);
	if (pick(2)) {
		sleep_us(pick(1000));
		kill(life.pid, SIGTERM);
	}
	life_end(1, life.maxstart > 0 ? 0 : 1);
	soak.ends[1]++;
}

/* ssh ends in a way that autossh does not restart. */
static void
end_by_ssh(void)
{
	event("ssh exits for good");
	shared->die = pick(2) ? 0 : 3 + (int)pick(250);
	shared->die_after = 0;
	shared->die_until = INT_MAX;
	if (shared->die == 0)
		life_end(0, 0);
	else
		life_end(1, 1);
	soak.ends[2]++;
}

static void
end_by_kill(void)
{
	int status;
	pid_t ssh;

	event("autossh is killed");
	wait_a_moment();
	kill(life.pid, SIGKILL);
	AWAIT(autossh_ended(&status), "SIGKILL does not end autossh");
	/* one that was about to be executed may come yet, but must not stay */
	do {
		ssh = shared->pid;
		AWAIT(!process_alive(ssh), "ssh outlives a killed autossh");
		sleep_us(5 * MS);
	} while (shared->pid != ssh);
	sweep();
	strangers_leave();
	(void)story_check();
	soak.ends[3]++;
}

/* A signal while autossh sets itself up. */
static void
end_early(void)
{
	life_begin();
	sleep_us(pick(6000));
	event("autossh gets TERM at its beginning");
	kill(life.pid, SIGTERM);
	/* it may have been too early for a handler; then nothing is there */
	life_end(1, -SIGTERM);
	soak.ends[4]++;
}

/* ---- the whole ---------------------------------------------------------- */

static const struct {
	void (*run)(void);
	unsigned int weight;
	bool ends; /* autossh */
} happenings[] = {
	{ do_kill, 400, false },
	{ do_exit, 200, false },
	{ do_usr1, 200, false },
	{ do_burst, 60, false },
	{ do_at_once, 60, false },
	{ do_noise, 60, false },
	{ do_stop, 30, false },
	{ do_strangers, 60, false },
	{ do_rotate, 30, false },
	{ do_clean_tmp, 10, false },
	{ do_settle, 20, false },
	{ do_bad_traffic, 4, false },
	{ do_network, 6, false },
	{ do_stubborn, 1, false },
	{ end_by_signal, 10, true },
	{ end_by_ssh, 6, true },
	{ end_by_kill, 6, true },
};

static void
happen(void)
{
	unsigned int all = 0, n;
	size_t i;

	for (i = 0; i < COUNT(happenings); i++)
		all += happenings[i].weight;
	n = pick(all);
	for (i = 0; n >= happenings[i].weight; i++)
		n -= happenings[i].weight;
	if (shared->starts >= life.least || !happenings[i].ends)
		happenings[i].run();
}

/* One autossh, until something ends it or the time is over. */
static void
live(int64_t end)
{
	life_begin();
	AWAIT(shared->starts > 0, "the first ssh is not started");
	while (life.pid != 0) {
		wait_a_moment();
		must_live();
		if (now_us() > end)
			end_by_signal();
		else
			happen();
	}
}

static void
set_up(const char *self)
{
	int fd;

	if (realpath(self, soak.self) == NULL) {
		printf("cannot find %s\n", self);
		exit(1);
	}
	snprintf(soak.dir, sizeof(soak.dir), "/tmp/autossh-soak.XXXXXX");
	if (mkdtemp(soak.dir) == NULL) {
		perror(soak.dir);
		exit(1);
	}
	snprintf(soak.log, sizeof(soak.log), "%s/log", soak.dir);
	snprintf(soak.pidfile, sizeof(soak.pidfile), "%s/pid", soak.dir);
	snprintf(soak.status, sizeof(soak.status), "%s/status", soak.dir);
	snprintf(soak.memory, sizeof(soak.memory), "%s/memory", soak.dir);
	fd = open(soak.memory, O_RDWR | O_CREAT, 0600);
	if (fd == -1 || ftruncate(fd, sizeof(*shared)) == -1) {
		perror(soak.dir);
		exit(1);
	}
	close(fd);
}

/* Maps the memory that the driver and its sshs share. */
static void
share(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd == -1)
		_exit(98);
	shared = mmap(
	    NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		_exit(98);
	close(fd);
}

static void
summary(void)
{
	double seconds = (double)(now_us() - soak.begun) / SECOND;

	printf("%d restarts of ssh in %.0f s, by %d autosshs, %d events, "
	       "seed %" PRIu64 "\n",
	    soak.restarts, seconds, soak.lives, soak.events, soak.seed);
	printf("pauses: %d checked, starts late by %.1f ms on the mean, "
	       "%.1f ms at most; %d ended by HUP\n",
	    soak.checked_waits,
	    soak.checked_waits == 0
		? 0.0
		: (double)soak.lateness / soak.checked_waits / MS,
	    (double)soak.longest_late / MS, soak.prods);
	printf("monitor: %d tests on demand passed, %d strangers, %d changes "
	       "of the network\n",
	    soak.tests, soak.strangers, soak.addresses);
	printf("memory: %ld KiB at most, growth %ld KiB, in %d looks; most "
	       "starts of one autossh: %d\n",
	    soak.memory_most, soak.memory_growth, soak.settled,
	    soak.most_starts);
	printf("ends: %d by the number of starts, %d by a signal, %d by ssh, "
	       "%d killed, %d at their beginning\n",
	    soak.ends[0], soak.ends[1], soak.ends[2], soak.ends[3],
	    soak.ends[4]);
	printf("no violation\n");
}

int
main(int argc, char **argv)
{
	const char *memory = getenv("SOAK_MEMORY");
	int64_t end;
	int restarts;

	if (memory != NULL) {
		share(memory);
		ssh_main(argc, argv);
	}
	soak.autossh = getenv("AUTOSSH");
	if (argc < 2 || soak.autossh == NULL) {
		fprintf(stderr, "usage: AUTOSSH=PROGRAM soak SECONDS [SEED "
				"[RESTARTS]]\n");
		return 2;
	}
	soak.seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	if (soak.seed == 0)
		soak.seed = (uint64_t)now_us() % 1000000 + 1;
	soak.state = soak.seed * UINT64_C(0x9E3779B97F4A7C15);
	restarts = argc > 3 ? (int)number(argv[3]) : 0;
	signal(SIGPIPE, SIG_IGN);
	set_up(argv[0]);
	share(soak.memory);
	shared->driver = getpid();
	soak.begun = now_us();
	end = soak.begun + number(argv[1]) * SECOND;
	printf("seed %" PRIu64 "\n", soak.seed);
	while (now_us() < end || soak.restarts < restarts) {
		if (pick(5) == 0)
			end_early();
		else
			live(soak.restarts < restarts ? INT64_MAX : end);
	}
	summary();
	shell("rm -rf", soak.dir);
	return 0;
}
