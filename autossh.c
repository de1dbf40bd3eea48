/* SPDX-License-Identifier: ISC */

/*
 * autossh: start ssh, watch it, and start it again when it dies or stops
 * passing traffic.
 *
 * The life of one ssh:
 *
 *  1. The supervisor waits until a start is due.  A start soon after the last
 *     one is delayed (policy_pause_ms).
 *  2. It forks and executes ssh with the caller's words, less autossh's own,
 *     plus the two forwardings of the monitor.
 *  3. While ssh runs, the monitor sends a line through it every POLL seconds,
 *     and expects the same line back.
 *  4. ssh exits; or autossh ends it, after a failed test or a signal, say:
 *     SIGTERM, 3 s, SIGKILL.
 *  5. If it exited by itself, its wait status decides whether to go on
 *     (policy_death); if autossh ended it, the reason does (enum want).
 *  6. If so, step 1; else autossh removes what it made, and exits 0 or 1.
 *
 * There is one loop, supervisor_loop(), and one place that waits,
 * waitset_wait().  Each source of events is a part: X_prepare() adds its
 * descriptors and its deadline to the waitset, X_run() does what can be done
 * now, and returns an event if the part can have one.  supervisor_event() looks
 * the event up in actions[state][event]; enter() alone sets the supervisor's
 * state and its deadline.  Signal handlers write one byte to a pipe.
 *
 * What blocks: waitset_wait(); before the loop, signals_wait(), which waits for
 * the passphrase (line_read) and for a port that is still taken; syslog(3), and
 * any file on a file system that hangs.  The askpass client and the caller of
 * -f block, too, but are processes of their own.
 *
 * A new part needs a section, a field in struct supervisor that main_plan() or
 * main_open() initialises, two lines in supervisor_loop(), where the order
 * matters, and room in WAITSET_MAX.  What belongs to one ssh begins in
 * start_ssh() and ends in child_reaped().  A new event needs a row in
 * event_table[], and an entry in actions[] for each state in which it matters.
 * Functions that decide (policy_, prompt_, line_match, network_compare,
 * stderr_classify, ...) make no system call.
 *
 * Sections, bottom up: types; systems; helpers, waitset; numbers and text;
 * files; log; settings; command line; policy; signals; terminal; processes;
 * private directory; sockets; network, suspend; monitor; passphrase sources;
 * prompt policy; askpass server; askpass client; ssh's stderr; service manager;
 * status text, metrics; pidfile and background; ssh process; supervisor; usage
 * and main.
 */

#include "config.h"

#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <net/if.h>
#include <netinet/in.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_SYS_RANDOM_H
#include <sys/random.h> /* getentropy, on macOS */
#endif
#ifdef HAVE_TIMERFD_CREATE
#include <sys/timerfd.h>
#endif
#ifdef HAVE_PRCTL
#include <sys/prctl.h>
#endif
#ifdef HAVE_PROCCTL
#include <sys/procctl.h>
#endif
#ifdef HAVE_GETIFADDRS
#include <ifaddrs.h>
#endif
#ifdef HAVE_LINUX_INET_DIAG_H
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#endif
#ifdef HAVE_LINUX_RTNETLINK_H
#include <linux/rtnetlink.h>
#endif

/* ---- types ------------------------------------------------------------- */

#ifndef _PATH_LOG
#define _PATH_LOG "/dev/log"
#endif

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/*
 * Times are in ms, as now_ms() has them: X_due is when something is to begin, a
 * deadline when it must have ended, X_at when it happened.
 */
#define NEVER INT64_MAX

#define CONNS_MAX 480  /* connections kept during one test */
#define REQUESTS_MAX 8 /* prompts of ssh that are handled at a time */
/* the above, a command for each request, one or two for each other part */
#define WAITSET_MAX (CONNS_MAX + 2 * REQUESTS_MAX + 16)
#define TEXT_MAX 1024              /* bytes of a formatted message */
#define SSHD_LOGIN_GRACE_MS 120000 /* LoginGraceTime of sshd_config(5) */

/* What the main loop waits for: descriptors, and a time. */
struct waitset {
	struct pollfd fds[WAITSET_MAX];
	nfds_t n;
	int64_t until; /* ms, or NEVER */
};

/* An address to connect to or to listen on. */
struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} sa;
	socklen_t len;
};

/* An address of this host, without padding: compared by memcmp(3). */
struct ifaddress {
	uint8_t family;
	uint8_t bytes[sizeof(struct in6_addr)];
};

/* What the supervisor is doing. */
enum state {
	WAITING,  /* for the next start of ssh */
	RUNNING,  /* ssh runs */
	STOPPING, /* ssh has been told to end */
	DONE,     /* autossh exits */
	NSTATES
};

/*
 * What can happen.  X_run() of a part returns one of these; where two come at
 * once in the askpass server, the later in this list counts.
 */
enum event {
	EV_NONE,
	EV_EXIT,          /* a signal to exit */
	EV_RESTART,       /* SIGUSR1 */
	EV_PROD,          /* SIGHUP */
	EV_TERMINAL_GONE, /* SIGHUP, and the session has lost its terminal */
	EV_CALLER_GONE,   /* a signal ended the caller of -f */
	EV_LIFETIME,      /* AUTOSSH_MAXLIFETIME is over */
	EV_DEADLINE,      /* the deadline of the state has come */
	EV_EXECUTED,      /* exec(2) of ssh has succeeded */
	EV_CHILD_GONE,    /* ssh has been reaped */
	EV_TEST_PASSED,
	EV_TEST_FAILED,
	EV_TEST_REFUSED,    /* the server refused it, so it is alive */
	EV_NO_LOGIN,        /* ssh has not logged in in time */
	EV_UNANSWERED,      /* a server's prompt cannot be answered */
	EV_REJECTED,        /* the answer was wrong */
	EV_NETWORK_CHANGED, /* an address has become usable */
	EV_RESUMED,         /* the system was suspended */
	NEVENTS
};

/* Where the answer to ssh's questions comes from: AUTOSSH_PASSPHRASE. */
struct passphrase_source {
	enum {
		PASSPHRASE_NONE,
		PASSPHRASE_ASK,
		PASSPHRASE_FD,
		PASSPHRASE_FILE,
		PASSPHRASE_EXEC
	} source;
	int fd;
	const char *argument; /* path or command */
};

/* The ports of the monitor: AUTOSSH_PORT or -M. */
struct monitor_port {
	bool auto_port; /* no local port, and a random one on the server */
	int port;       /* 0: no monitor */
	int echo_port;  /* 0: none, autossh listens on port + 1 itself */
};

enum setting_origin { FROM_DEFAULT, FROM_ENVIRONMENT, FROM_COMMAND_LINE };

/* The AUTOSSH_ variables; see settings_table.  Constant once read. */
struct settings {
	int64_t debug;
	int64_t first_poll; /* seconds; -1: as poll */
	int64_t gatetime;   /* seconds */
	int64_t loglevel;
	int64_t maxlifetime; /* seconds; 0: no end */
	int64_t maxstart;    /* -1: no limit */
	int64_t ntservice;
	int64_t poll; /* seconds */
	const char *logfile;
	const char *message;
	const char *path;
	const char *pidfile;
	const char *statusfile;
	struct passphrase_source passphrase;
	struct monitor_port port;
	enum setting_origin port_from;
};

/* What ssh is there for. */
enum session_kind {
	SESSION_NONE,    /* forwardings only: ssh -N */
	SESSION_COMMAND, /* a remote command that needs no terminal */
	SESSION_TERMINAL /* a login, or -t */
};

/* The command line, parsed. */
struct cmdline {
	enum cmdline_action {
		CMDLINE_RUN,
		CMDLINE_QUESTION, /* -G, -O or -Q: for ssh to answer */
		CMDLINE_VERSION,
		CMDLINE_HELP,
		CMDLINE_ERROR
	} action;
	const char *error;     /* CMDLINE_ERROR: the message, and */
	const char *error_arg; /* the word it is about, or "" */
	const char *monitor;   /* value of the last -M, or NULL */
	bool dry_run;          /* --dry-run */
	bool background;       /* -f */
	bool no_command;       /* -N: ssh runs no remote command */
	bool subsystem;        /* -s: the command is a subsystem */
	bool command;          /* a remote command is given, or -W */
	bool no_forwardings;   /* ssh makes none: -W, ClearAllForwardings */
	bool tty;              /* -t, and no -T after it; RequestTTY */
	bool ipv6;             /* -6, and no -4 after it */
	bool batch_mode;       /* ssh asks nothing */
	/* -o: the first one counts */
	bool family_known, session_known, batch_known, clear_known, tty_known;
	char question; /* -G, -O or -Q; '\0' */
	const char *destination;
	char **words; /* what is ssh's */
	int nwords;
	int forwards_at; /* index in words where the first -M stood */
};

/* ---- systems ------------------------------------------------------------- */

#if HAVE_DECL_CLOCK_BOOTTIME
#define CLOCK_STEADY CLOCK_BOOTTIME /* counts suspended time too */
#else
#define CLOCK_STEADY CLOCK_MONOTONIC
#endif

/* Makes FD close-on-exec and non-blocking.  Returns FD; -1 stays -1. */
static int
fd_cloexec_nonblock(int fd)
{
	if (fd != -1) {
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	}
	return fd;
}

/* Closes *FD if it is open, and marks it closed.  Keeps errno. */
static void
fd_close(int *fd)
{
	int saved = errno;

	if (*fd != -1)
		close(*fd);
	*fd = -1;
	errno = saved;
}

/*
 * pipe_open(), socket_open() and socket_accept() are pipe(2), socket(2) and
 * accept(2) with descriptors that are close-on-exec and non-blocking.
 */
#ifdef HAVE_PIPE2
static int
pipe_open(int fds[2])
{
	return pipe2(fds, O_CLOEXEC | O_NONBLOCK);
}
#else
static int
pipe_open(int fds[2])
{
	if (pipe(fds) == -1)
		return -1;
	fd_cloexec_nonblock(fds[0]);
	fd_cloexec_nonblock(fds[1]);
	return 0;
}
#endif

#if HAVE_DECL_SOCK_CLOEXEC && HAVE_DECL_SOCK_NONBLOCK
static int
socket_open(int family, int type)
{
	return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}
#else
static int
socket_open(int family, int type)
{
	return fd_cloexec_nonblock(socket(family, type, 0));
}
#endif

#ifdef HAVE_ACCEPT4
static int
socket_accept(int fd)
{
	return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}
#else
static int
socket_accept(int fd)
{
	return fd_cloexec_nonblock(accept(fd, NULL, NULL));
}
#endif

/*
 * A timer that wakes poll() at a time on CLOCK_STEADY; the timeout of poll()
 * itself stands still while the system is suspended.  timer_open() returns a
 * descriptor to wait for, or -1 if the system has no such timer.  timer_set()
 * sets it to expire at DUE (ms) and returns false if it cannot.
 */
#ifdef HAVE_TIMERFD_CREATE
static int
timer_open(void)
{
	return timerfd_create(CLOCK_STEADY, TFD_CLOEXEC | TFD_NONBLOCK);
}

static bool
timer_set(int fd, int64_t due)
{
	struct itimerspec when = { { 0, 0 }, { 0, 0 } };

	if (fd == -1)
		return false;
	if (due != NEVER) {
		when.it_value.tv_sec = (time_t)(due / 1000);
		/* zero would disarm it */
		when.it_value.tv_nsec = (long)(due % 1000) * 1000000 + 1;
	}
	return timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL) == 0;
}
#else
static int
timer_open(void)
{
	return -1;
}

static bool
timer_set(int fd, int64_t due)
{
	(void)fd;
	(void)due;
	return false;
}
#endif

/*
 * clock_watch_open() returns a descriptor that becomes readable when the time
 * of day jumps, as it does at the end of a suspend; -1 if the system has none.
 * clock_watch_rearm() makes it wait for the next time.
 */
#if defined(HAVE_TIMERFD_CREATE) && HAVE_DECL_TFD_TIMER_CANCEL_ON_SET
static void
clock_watch_rearm(int fd)
{
	struct itimerspec when = { { 0, 0 }, { 0, 0 } };
	uint64_t expired;

	(void)!read(fd, &expired, sizeof(expired)); /* ECANCELED */
	/* never expires, but is cancelled by a jump */
	when.it_value.tv_sec =
	    sizeof(time_t) < sizeof(int64_t) ? INT32_MAX : INT64_MAX;
	(void)timerfd_settime(
	    fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL);
}

static int
clock_watch_open(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd != -1)
		clock_watch_rearm(fd);
	return fd;
}
#else
static int
clock_watch_open(void)
{
	errno = ENOSYS;
	return -1;
}

static void
clock_watch_rearm(int fd)
{
	(void)fd;
}
#endif

/*
 * route_open() returns a socket that becomes readable when an address or an
 * interface changes; -1 with errno set if the system has none or refuses it.
 */
#ifdef HAVE_LINUX_RTNETLINK_H
static int
route_open(void)
{
	struct sockaddr_nl groups;
	int fd = socket_open(AF_NETLINK, SOCK_RAW);

	if (fd == -1)
		return -1;
	memset(&groups, 0, sizeof(groups));
	groups.nl_family = AF_NETLINK;
	groups.nl_groups =
	    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
	if (bind(fd, (struct sockaddr *)&groups, sizeof(groups)) == -1)
		fd_close(&fd);
	return fd;
}

#else
static int
route_open(void)
{
	errno = ENOSYS;
	return -1;
}

#endif

/*
 * diag_open() returns a socket to ask the kernel about sockets, or -1.
 * diag_uid() sets *UID to the user of the TCP socket that has the address HERE
 * and is connected to THERE, both of this host.  Returns false if the system
 * does not tell.
 */
#ifdef HAVE_LINUX_INET_DIAG_H
static int
diag_open(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
}

/* The port of A, in network byte order; its address goes to WORDS. */
static uint16_t
diag_address(const struct address *a, uint32_t words[4])
{
	if (a->sa.any.sa_family == AF_INET6) {
		memcpy(words, &a->sa.in6.sin6_addr, 16);
		return a->sa.in6.sin6_port;
	}
	memcpy(words, &a->sa.in.sin_addr, 4);
	return a->sa.in.sin_port;
}

static bool
diag_uid(
    int fd, const struct address *here, const struct address *there, uid_t *uid)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 req;
	} request;
	struct {
		struct nlmsghdr header;
		struct inet_diag_msg msg;
	} reply;
	struct inet_diag_sockid *id = &request.req.id;

	memset(&request, 0, sizeof(request));
	request.header.nlmsg_len = sizeof(request);
	request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	request.header.nlmsg_flags = NLM_F_REQUEST;
	request.req.sdiag_family = (uint8_t)here->sa.any.sa_family;
	request.req.sdiag_protocol = IPPROTO_TCP;
	id->idiag_sport = diag_address(here, id->idiag_src);
	id->idiag_dport = diag_address(there, id->idiag_dst);
	id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	/* the kernel answers before send(2) returns */
	if (send(fd, &request, sizeof(request), 0) !=
		(ssize_t)sizeof(request) ||
	    recv(fd, &reply, sizeof(reply), MSG_DONTWAIT) <
		(ssize_t)sizeof(reply) ||
	    reply.header.nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return false;
	*uid = reply.msg.idiag_uid;
	return true;
}
#else
static int
diag_open(void)
{
	return -1;
}

static bool
diag_uid(
    int fd, const struct address *here, const struct address *there, uid_t *uid)
{
	(void)fd;
	(void)here;
	(void)there;
	(void)uid;
	return false;
}
#endif

#ifndef HAVE_GETIFADDRS
struct ifaddrs {
	struct ifaddrs *ifa_next;
	struct sockaddr *ifa_addr;
	unsigned int ifa_flags;
};

static int
getifaddrs(struct ifaddrs **all)
{
	*all = NULL;
	errno = ENOSYS;
	return -1;
}

static void
freeifaddrs(struct ifaddrs *all)
{
	(void)all;
}
#endif

/*
 * set_pdeathsig() makes the kernel send SIGTERM to this process when its parent
 * dies; the child calls it before exec.  disable_tracing() protects this
 * process from ptrace(2) and core dumps.
 */
#if defined(HAVE_PRCTL)
static void
set_pdeathsig(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static void
disable_tracing(void)
{
	(void)prctl(PR_SET_DUMPABLE, 0);
}
#elif defined(HAVE_PROCCTL)
static void
set_pdeathsig(void)
{
	int sig = SIGTERM;

	(void)procctl(P_PID, 0, PROC_PDEATHSIG_CTL, &sig);
}

static void
disable_tracing(void)
{
	int how = PROC_TRACE_CTL_DISABLE;

	(void)procctl(P_PID, 0, PROC_TRACE_CTL, &how);
}
#else
static void
set_pdeathsig(void)
{
}

static void
disable_tracing(void)
{
}
#endif

/* Sets *UID to the user id of the peer of FD, a local socket. */
#ifdef HAVE_GETPEEREID
static bool
peer_uid(int fd, uid_t *uid)
{
	gid_t gid;

	return getpeereid(fd, uid, &gid) == 0;
}
#else
static bool
peer_uid(int fd, uid_t *uid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1)
		return false;
	*uid = peer.uid;
	return true;
}
#endif

/*
 * link_read() reads the symbolic link NAME in the directory DIRFD into TARGET,
 * and what lstat(2) says of it into ST.  LINK_READ_IS_ATOMIC: both are of one
 * link, even if it is swapped meanwhile.  Returns the length, or -1: it is no
 * link.  DIR_PATH opens a directory to search it only.
 */
#if HAVE_DECL_O_PATH
#define LINK_READ_IS_ATOMIC true
#define DIR_PATH (O_PATH | O_DIRECTORY)

static ssize_t
link_read(int dirfd, const char *name, char target[PATH_MAX], struct stat *st)
{
	int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = -1;

	if (fd == -1)
		return -1;
	if (fstat(fd, st) == 0)
		n = readlinkat(fd, "", target, PATH_MAX - 1);
	close(fd);
	if (n != -1)
		target[n] = '\0';
	return n;
}
#else
#ifndef O_SEARCH
#define O_SEARCH O_RDONLY
#endif
#define LINK_READ_IS_ATOMIC false
#define DIR_PATH (O_SEARCH | O_DIRECTORY)

static ssize_t
link_read(int dirfd, const char *name, char target[PATH_MAX], struct stat *st)
{
	ssize_t n = -1;

	if (fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(st->st_mode))
		n = readlinkat(dirfd, name, target, PATH_MAX - 1);
	if (n != -1)
		target[n] = '\0';
	return n;
}
#endif

#ifndef HAVE_GETENTROPY
/* getentropy(3) from /dev/urandom, whose small reads are never short. */
static int
getentropy_urandom(void *buffer, size_t size)
{
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd != -1) {
		n = read(fd, buffer, size);
		close(fd);
	}
	return n == (ssize_t)size ? 0 : -1;
}
#define getentropy getentropy_urandom
#endif

#ifndef HAVE_EXPLICIT_BZERO
/* explicit_bzero(3): the compiler may not drop writes to volatile memory. */
static void
explicit_bzero_volatile(void *memory, size_t size)
{
	volatile unsigned char *p = memory;

	while (size-- > 0)
		*p++ = 0;
}
#define explicit_bzero explicit_bzero_volatile
#endif

/* madvise(2): leave this memory out of core dumps. */
#if HAVE_DECL_MADV_DONTDUMP
#define MADV_NO_DUMP MADV_DONTDUMP
#elif HAVE_DECL_MADV_NOCORE
#define MADV_NO_DUMP MADV_NOCORE
#else
#define MADV_NO_DUMP MADV_NORMAL
#endif

/* ---- helpers, waitset --------------------------------------------------- */

#define POLL_ERROR_MS 100 /* pause after poll(2) has failed */

/* The time of day in ms: shown, and never used for a deadline. */
static int64_t
wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The time in ms on a clock that cannot be set. */
static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_STEADY, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/*
 * The time in ms that the system has been suspended since it was booted.
 * About 0 where there is no clock that counts it.
 */
static int64_t
suspended_ms(void)
{
	struct timespec with, without;

	clock_gettime(CLOCK_STEADY, &with);
	clock_gettime(CLOCK_MONOTONIC, &without);
	return ((int64_t)with.tv_sec - without.tv_sec) * 1000 +
	       (with.tv_nsec - without.tv_nsec) / 1000000;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/*
 * Opens the terminal or pipe FD again, to write without waiting, where the
 * system can (Linux): ssh shares FD, and would be affected by O_NONBLOCK on it.
 * Returns a descriptor or -1.
 */
static int
reopen_nonblock(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/*
 * Writes PREFIX, TEXT and a newline to FD in one call, if they are taken at
 * once: a terminal that is held by ^S and a pipe that nobody reads are not
 * worth waiting for.  A pipe that can be written takes PIPE_BUF bytes (POSIX),
 * so at most that many are written to anything but a regular file; a terminal
 * may take only one, and ssh may fill either after we looked.
 */
static void
write_line(int fd, const char *prefix, const char *text)
{
	struct pollfd p = { fd, POLLOUT, 0 };
	static char newline[] = "\n";
	struct iovec line[3];
	struct stat st;
	size_t len = strlen(text);
	int own = -1;

	if (fstat(fd, &st) == -1)
		return;
	if (!S_ISREG(st.st_mode)) {
		if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
			return;
		if (len > PIPE_BUF - strlen(prefix) - 1)
			len = PIPE_BUF - strlen(prefix) - 1;
	}
	line[0].iov_base = (void *)(uintptr_t)prefix;
	line[0].iov_len = strlen(prefix);
	line[1].iov_base = (void *)(uintptr_t)text;
	line[1].iov_len = len;
	line[2].iov_base = newline;
	line[2].iov_len = 1;
	if (S_ISFIFO(st.st_mode) || isatty(fd))
		own = reopen_nonblock(fd);
	(void)!writev(own != -1 ? own : fd, line, 3);
	fd_close(&own);
}

static void
waitset_clear(struct waitset *set)
{
	set->n = 0;
	set->until = NEVER;
}

/* Waits for EVENTS (poll(2)) on FD; -1 is left out. */
static void
waitset_fd(struct waitset *set, int fd, short events)
{
	if (fd == -1 || set->n == WAITSET_MAX)
		return;
	set->fds[set->n].fd = fd;
	set->fds[set->n].events = events;
	set->fds[set->n].revents = 0;
	set->n++;
}

/* Waits until DEADLINE (ms) at the latest. */
static void
waitset_until(struct waitset *set, int64_t deadline)
{
	set->until = earlier(set->until, deadline);
}

/* What poll() reported for FD; 0 if it was not in the set. */
static short
waitset_ready(const struct waitset *set, int fd)
{
	nfds_t i;

	for (i = 0; i < set->n; i++) {
		if (set->fds[i].fd == fd)
			return set->fds[i].revents;
	}
	return 0;
}

/*
 * Waits until a descriptor is ready or the time has come.  TIMER_FD is of
 * timer_open().  Nothing else in autossh waits while ssh runs.
 */
static void
waitset_wait(struct waitset *set, int timer_fd)
{
	int timeout = -1;
	int64_t left;

	if (timer_set(timer_fd, set->until)) {
		waitset_fd(set, timer_fd, POLLIN);
	} else if (set->until != NEVER) {
		left = set->until - now_ms();
		timeout = left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
	}
	if (poll(set->fds, set->n, timeout) == -1) {
		/* EINVAL: a lowered RLIMIT_NOFILE; without a wait this spins */
		if (errno != EINTR)
			(void)poll(NULL, 0, POLL_ERROR_MS);
		set->n = 0; /* nothing is known to be ready */
	}
}

/* ---- numbers and text ---------------------------------------------------- */

#define VALUE_SHOWN 64 /* bytes of a bad value that a message repeats */

/*
 * The value of TEXT, which is decimal digits and nothing else; -1 if it is not.
 * A value above MAX (which is below INT64_MAX / 10) is returned as some value
 * above MAX.
 */
static int64_t
digits_value(const char *text, int64_t max)
{
	int64_t n = 0;

	if (*text == '\0')
		return -1;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		if (n <= max)
			n = n * 10 + (*text - '0');
	}
	return n;
}

/*
 * Reads a decimal number of MIN..MAX.  Blanks and one sign may stand before it,
 * as for strtol() in 1.4g, and nothing after it.  With MIN below zero, every
 * negative number counts as -1.  Returns false if TEXT is anything else.
 */
static bool
number_parse(const char *text, int64_t min, int64_t max, int64_t *number)
{
	const char *digits = text + strspn(text, " \t\n\v\f\r");
	bool negative = min < 0 && *digits == '-';
	int64_t n;

	if (negative || *digits == '+')
		digits++;
	n = digits_value(digits, max);
	if (n == -1)
		return false;
	if (negative && n > 0)
		n = -1;
	if (n < min || n > max)
		return false;
	*number = n;
	return true;
}

/*
 * The length of the UTF-8 character that TEXT begins with.  0: it begins with a
 * control character, or with a byte that is not UTF-8.
 */
static size_t
printable_length(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	static const uint32_t min[] = { 0xa0, 0x800, 0x10000 };
	uint32_t c = p[0];
	size_t i, n;

	if (c < 0x80)
		return c >= ' ' && c != 0x7f;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	c &= 0x7fU >> n;
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	/* overlong forms, surrogates, and what is above U+10FFFF */
	if (c < min[n - 2] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	return n;
}

/*
 * Copies TEXT to BUF and escapes, as C does, what could break a log line or
 * control a terminal: control characters and bytes that are not UTF-8.  What
 * exceeds SIZE - 4 bytes is replaced by "...".  Escaping twice changes nothing.
 * Returns BUF.
 */
static const char *
escape(const char *text, char *buf, size_t size)
{
	char piece[8];
	size_t n, used = 0;

	for (; *text != '\0'; text += n == 0 ? 1 : n) {
		n = printable_length(text);
		if (n > 0)
			snprintf(piece, sizeof(piece), "%.*s", (int)n, text);
		else if (*text == '\n' || *text == '\r' || *text == '\t')
			snprintf(piece, sizeof(piece), "\\%c",
			    *text == '\n'   ? 'n'
			    : *text == '\r' ? 'r'
					    : 't');
		else
			snprintf(piece, sizeof(piece), "\\%03o",
			    (unsigned char)*text);
		if (used + strlen(piece) + 4 > size)
			break;
		used += (size_t)snprintf(buf + used, size - used, "%s", piece);
	}
	snprintf(buf + used, size - used, "%s", *text == '\0' ? "" : "...");
	return buf;
}

/* Escapes TEXT for a message, and cuts it after VALUE_SHOWN bytes. */
static const char *
quote(const char *text, char buf[VALUE_SHOWN + 4])
{
	return escape(text, buf, VALUE_SHOWN + 4);
}

/* ---- files --------------------------------------------------------------- */

#define LINKS_MAX 40            /* symbolic links in a path, as for Linux */
#define WALK_MAX (2 * PATH_MAX) /* a link's target and the rest of a path */

/*
 * A file by the directory that it is in and its name there.  What others do to
 * the path afterwards changes nothing.
 */
struct entry {
	int dirfd; /* or -1 */
	struct stat dir;
	char name[NAME_MAX + 1];
	bool safe;        /* no one but root and us controls the path so far */
	bool procfs;      /* a safe link in procfs: the kernel follows it */
	int links;        /* that were followed */
	bool controlled;  /* a user decided which directory this is, */
	uid_t controller; /* by an unsafe link or by moving one */
};

/*
 * Whether UID is the overflow uid: an owner that is not mapped into our user
 * namespace, such as root outside of a container (user_namespaces(7)).
 */
static bool
uid_is_unmapped(uid_t uid)
{
	char line[128] = "", *end;
	unsigned long first, count;
	bool unmapped;
	FILE *f = fopen("/proc/sys/kernel/overflowuid", "re");

	unmapped = f != NULL && fgets(line, sizeof(line), f) != NULL &&
		   strtoul(line, NULL, 10) == uid;
	if (f != NULL)
		fclose(f);
	f = unmapped ? fopen("/proc/self/uid_map", "re") : NULL;
	if (f == NULL)
		return false;
	/* three numbers a line: first id here, first id outside, how many */
	while (fgets(line, sizeof(line), f) != NULL) {
		first = strtoul(line, &end, 10);
		(void)strtoul(end, &end, 10);
		count = strtoul(end, NULL, 10);
		if (uid >= first && uid - first < count)
			unmapped = false;
	}
	fclose(f);
	return unmapped;
}

static bool
owner_is_trusted(uid_t owner)
{
	return owner == 0 || owner == geteuid() || uid_is_unmapped(owner);
}

static bool
owners_match(uid_t a, uid_t b)
{
	return a == b || (owner_is_trusted(a) && owner_is_trusted(b));
}

/*
 * Whether MODE lets only the owner change a file or, for a directory, replace
 * what others have in it.
 */
static bool
mode_is_safe(mode_t mode)
{
	if (S_ISDIR(mode) && (mode & S_ISVTX) != 0)
		return true;
	return !S_ISLNK(mode) && (mode & (S_IWGRP | S_IWOTH)) == 0;
}

/*
 * Whether nobody but root and we can change what PATH leads to.  PATH is
 * resolved (realpath(3)), and each of its components is checked, from the root
 * directory on.
 */
static bool
path_is_safe(const char *path)
{
	char part[PATH_MAX];
	struct stat st;
	size_t len = 1;

	for (;;) {
		snprintf(part, sizeof(part), "%.*s", (int)len, path);
		if (lstat(part, &st) == -1 || !owner_is_trusted(st.st_uid) ||
		    !mode_is_safe(st.st_mode))
			return false;
		if (path[len] == '\0')
			return true;
		len += path[len] == '/';
		len += strcspn(path + len, "/");
	}
}

/*
 * Moves the walk to the directory FD, and takes FD over.  Returns false with
 * errno set; so does an FD of -1, as open(2) returns it.
 */
static bool
entry_chdir(struct entry *e, int fd)
{
	if (fd == -1 || fstat(fd, &e->dir) == -1) {
		fd_close(&fd);
		return false;
	}
	fd_close(&e->dirfd);
	e->dirfd = fd;
	e->safe = e->safe && owner_is_trusted(e->dir.st_uid) &&
		  mode_is_safe(e->dir.st_mode);
	return true;
}

/* Begins the walk at the root directory, or at the working directory. */
static bool
entry_begin(struct entry *e, bool absolute)
{
	char dir[PATH_MAX];

	memset(e, 0, sizeof(*e));
	e->dirfd = -1;
	e->safe =
	    absolute || (getcwd(dir, sizeof(dir)) != NULL && path_is_safe(dir));
	return entry_chdir(e, open(absolute ? "/" : ".", DIR_PATH | O_CLOEXEC));
}

/*
 * Moves the first component of *PATH to NAME; "." if there is none.  Returns
 * false with errno set if it is too long.
 */
static bool
component_next(const char **path, char name[NAME_MAX + 1])
{
	size_t len;

	*path += strspn(*path, "/");
	len = strcspn(*path, "/");
	errno = ENAMETOOLONG;
	if (len > NAME_MAX)
		return false;
	snprintf(name, NAME_MAX + 1, "%.*s", len == 0 ? 1 : (int)len,
	    len == 0 ? "." : *path);
	*path += len;
	return true;
}

/*
 * Notes that UID controls where the rest of the path leads, by a link that is
 * not safe or by moving a directory.  Returns false with errno set if another
 * user controls it, too.
 */
static bool
entry_controlled_by(struct entry *e, uid_t uid)
{
	if (e->controlled && !owners_match(e->controller, uid)) {
		errno = EACCES; /* after owners_match(), which reads files */
		return false;
	}
	e->safe = false;
	e->controlled = true;
	e->controller = uid;
	return true;
}

/* Whether others can make files in DIR; a sticky bit does not keep them. */
static bool
dir_is_shared(const struct stat *dir)
{
	return (dir->st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

/*
 * Whether nobody but root and we can make or change the link ST of the present
 * directory.  A second hard link may be another user's work.
 */
static bool
entry_link_is_safe(const struct entry *e, const struct stat *st)
{
	return e->safe && owner_is_trusted(st->st_uid) &&
	       (st->st_nlink == 1 || !dir_is_shared(&e->dir));
}

/*
 * Follows the link ST: PATH becomes TARGET and REST.  In a directory that
 * another user controls, only links of that user are followed: a link of root's
 * could have been moved there.  Returns false with errno set.
 */
static bool
entry_follow(struct entry *e, const struct stat *st, const char *target,
    const char *rest, char path[WALK_MAX])
{
	char joined[WALK_MAX];

	errno = ELOOP;
	if (++e->links > LINKS_MAX)
		return false;
	if (!entry_link_is_safe(e, st) &&
	    (!LINK_READ_IS_ATOMIC || st->st_nlink > 1 ||
		!owners_match(st->st_uid, e->dir.st_uid) ||
		!entry_controlled_by(e, st->st_uid))) {
		errno = EACCES;
		return false;
	}
	errno = ENAMETOOLONG;
	if (snprintf(joined, sizeof(joined), "%s%s", target, rest) >=
	    (int)sizeof(joined))
		return false;
	memcpy(path, joined, sizeof(joined));
	return path[0] != '/' ||
	       entry_chdir(e, open("/", DIR_PATH | O_CLOEXEC));
}

/* Whether ST is of procfs, some of whose links only the kernel can follow. */
static bool
stat_is_procfs(const struct stat *st)
{
	struct stat proc;

	return stat("/proc/self/fd", &proc) == 0 && proc.st_dev == st->st_dev;
}

/*
 * Walks to the directory of the last component of PATH, and overwrites PATH.
 * Returns false with errno set if it cannot.
 */
static bool
entry_walk(struct entry *e, char path[WALK_MAX])
{
	char linkname[PATH_MAX];
	const char *rest = path;
	struct stat st;
	bool is_link, safe;

	while (component_next(&rest, e->name)) {
		is_link = link_read(e->dirfd, e->name, linkname, &st) != -1;
		safe = is_link && entry_link_is_safe(e, &st);
		e->procfs = safe && stat_is_procfs(&st);
		if (*rest == '\0' && (!safe || e->procfs))
			return true;
		if (is_link) {
			if (!entry_follow(e, &st, linkname, rest, path))
				return false;
			rest = path;
			continue;
		}
		/* whoever owns a directory could have moved it */
		if (strcmp(e->name, "..") == 0 && !e->safe &&
		    !entry_controlled_by(e, e->dir.st_uid))
			return false;
		if (!entry_chdir(e, openat(e->dirfd, e->name,
					DIR_PATH | O_NOFOLLOW | O_CLOEXEC)))
			return false;
	}
	return false;
}

/*
 * Finds PATH, which need not exist.  A symbolic link in place of the file is
 * followed if nobody but root and we can make or change it; else the entry is
 * the link.  In place of a directory, a link that is not safe is followed only
 * if its owner also owns the directory that it is in and the one that the path
 * ends in (as with Apache's SymLinksIfOwnerMatch).  Returns false with errno
 * set.
 */
static bool
entry_open(struct entry *e, const char *path)
{
	char buf[WALK_MAX];

	snprintf(buf, sizeof(buf), "%s", path);
	if (entry_begin(e, buf[0] == '/') && entry_walk(e, buf)) {
		if (!e->controlled ||
		    owners_match(e->controller, e->dir.st_uid))
			return true;
		errno = EACCES;
	}
	fd_close(&e->dirfd);
	return false;
}

/* Opens the file itself, not what another user's link leads to; see open(2). */
static int
entry_open_file(const struct entry *e, int flags)
{
	if (!e->procfs)
		flags |= O_NOFOLLOW;
	return openat(
	    e->dirfd, e->name, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
}

/*
 * Whether ST, a file that is not to be replaced, may be a hard link that
 * another user has made to a file of ours elsewhere.
 */
static bool
entry_link_is_suspect(const struct entry *e, const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink > 1 &&
	       (!e->safe || dir_is_shared(&e->dir));
}

/*
 * The errno with which the file could not be written or created or, with
 * REPLACE, replaced; 0 if it could.  Advisory: it only asks faccessat(2).
 */
static int
entry_write_error(const struct entry *e, bool replace)
{
	int follow = e->procfs ? 0 : AT_SYMLINK_NOFOLLOW;
	struct stat st;
	int error;

	if (fstatat(e->dirfd, e->name, &st, follow) == -1) {
		error = errno;
		if (error != ENOENT || stat_is_procfs(&e->dir))
			return error;
	} else if (!replace && entry_link_is_suspect(e, &st)) {
		return EMLINK;
	} else if (S_ISDIR(st.st_mode)) {
		return EISDIR;
	} else if (S_ISSOCK(st.st_mode)) {
		return ENXIO;
	} else if (S_ISLNK(st.st_mode)) {
		if (!replace)
			return ELOOP;
	} else if (faccessat(e->dirfd, e->name, W_OK, 0) == 0) {
		return 0;
	} else if (!replace || !S_ISREG(st.st_mode)) {
		return errno;
	}
	return faccessat(e->dirfd, ".", W_OK | X_OK, 0) == 0 ? 0 : errno;
}

/* The same for PATH. */
static int
path_write_error(const char *path, bool replace)
{
	struct entry e;
	int error;

	if (!entry_open(&e, path))
		return errno;
	error = entry_write_error(&e, replace);
	fd_close(&e.dirfd);
	return error;
}

/* Writes all of TEXT to FD.  Returns false with errno set. */
static bool
write_all(int fd, const char *text)
{
	size_t len = strlen(text);

	errno = ENOSPC; /* a short write sets none */
	return write(fd, text, len) == (ssize_t)len;
}

/*
 * Overwrites the file, FIFO or device E with TEXT.  Its type is checked
 * after open(2), as another user may swap it; a file with several hard links
 * may be anyone's.  Returns a descriptor of it, or -1 with errno set.
 */
static int
overwrite(const struct entry *e, const char *text)
{
	struct stat st;
	int fd = entry_open_file(e, O_WRONLY);

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1 ||
	    (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode) &&
		(!S_ISREG(st.st_mode) || st.st_nlink > 1)))
		errno = EOPNOTSUPP;
	else if (write_all(fd, text) &&
		 (!S_ISREG(st.st_mode) ||
		     ftruncate(fd, (off_t)strlen(text)) == 0))
		return fd;
	fd_close(&fd);
	return -1;
}

/*
 * Writes TEXT to a temporary file beside E, with a name that nobody can
 * guess, and renames it, so that nobody sees half a file.  Returns a descriptor
 * of it, or -1 with errno set and nothing left behind.
 */
static int
write_rename(const struct entry *e, const char *text)
{
	char temporary[32];
	uint64_t number;
	int fd, saved;

	if (getentropy(&number, sizeof(number)) == -1)
		return -1;
	snprintf(temporary, sizeof(temporary), ".autossh-%016" PRIx64, number);
	fd = openat(e->dirfd, temporary,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd == -1)
		return -1;
	if (write_all(fd, text) &&
	    renameat(e->dirfd, temporary, e->dirfd, e->name) == 0)
		return fd;
	saved = errno;
	(void)unlinkat(e->dirfd, temporary, 0);
	errno = saved;
	fd_close(&fd);
	return -1;
}

/*
 * Replaces the file E by one that holds TEXT.  A FIFO or device is written
 * to; so is a file that cannot be replaced, because its directory is not ours
 * or it is mounted.  Returns a descriptor of it, or -1 with errno set.
 */
static int
write_atomic(const struct entry *e, const char *text)
{
	struct stat st;
	int fd, error;

	if (e->procfs ||
	    (fstatat(e->dirfd, e->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)))
		return overwrite(e, text);
	fd = write_rename(e, text);
	error = errno;
	if (fd == -1 && (error == EACCES || error == EPERM || error == EROFS ||
			    error == EBUSY))
		fd = overwrite(e, text);
	if (fd == -1 && errno == ENOENT)
		errno = error; /* why it cannot be made */
	return fd;
}

/*
 * Reads the first line of the regular file NAME in DIRFD, as for openat(2), as
 * much as BUF holds.  Returns false if there is none.
 */
static bool
read_line(int dirfd, const char *name, char *buf, size_t size)
{
	struct stat st;
	ssize_t n = -1;
	int fd;

	/* to open and close a FIFO would send SIGPIPE to its writer */
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(st.st_mode))
		return false;
	fd = openat(dirfd, name,
	    O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	if (fd != -1)
		n = read(fd, buf, size - 1);
	fd_close(&fd);
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return n > 0;
}

/* ---- log ----------------------------------------------------------------- */

/* Global: every section writes to the log. */
static struct {
	int level;     /* the least important that is written */
	bool debug;    /* all levels go to standard error as well */
	int stderr_fd; /* the caller's standard error; -1: no longer */
	bool syslog;
	int syslog_fd;    /* or -1 */
	int fd;           /* of the file, or -1 */
	const char *path; /* of the file, or NULL */
	struct stat st;   /* which file it is, if it was opened by path */
} logger = { .level = LOG_INFO, .stderr_fd = 2, .fd = -1, .syslog_fd = -1 };

/*
 * Opens the log file.  A user who can write to its directory must not be able
 * to redirect our writes, by a symbolic or hard link.  Returns a descriptor, or
 * -1 with errno set; ENXIO: it is a FIFO that nobody reads yet.
 */
static int
log_file_open(const char *path)
{
	struct entry e;
	struct stat st;
	int fd;

	if (!entry_open(&e, path))
		return -1;
	fd = entry_open_file(&e, O_WRONLY | O_APPEND | O_CREAT);
	fd_close(&e.dirfd);
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1 ||
	    (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) &&
		!S_ISCHR(st.st_mode))) {
		errno = EOPNOTSUPP;
		fd_close(&fd);
	} else if (entry_link_is_suspect(&e, &st)) {
		errno = EMLINK;
		fd_close(&fd);
	} else {
		logger.st = st;
	}
	return fd;
}

/*
 * Opens the log again if it was renamed or removed, or if it is a FIFO that
 * nobody read before.
 */
static void
log_file_follow(void)
{
	struct stat st;
	int fd;

	/* /dev/fd/1, say, is /dev/null after -f: that is no rotation */
	if (logger.fd != -1 && stat(logger.path, &st) == 0 &&
	    (!S_ISREG(st.st_mode) || (st.st_dev == logger.st.st_dev &&
					 st.st_ino == logger.st.st_ino)))
		return;
	fd = log_file_open(logger.path);
	if (fd == -1)
		return;
	fd_close(&logger.fd);
	logger.fd = fd;
}

/* Writes one line to the log file; what would block is lost. */
static void
log_file_write(const char *text)
{
	char prefix[64];
	time_t now = time(NULL);
	struct tm tm;
	size_t n;

	if (S_ISREG(logger.st.st_mode) || logger.fd == -1)
		log_file_follow();
	if (logger.fd == -1)
		return;
	if (localtime_r(&now, &tm) == NULL)
		return;
	n = strftime(prefix, sizeof(prefix), "%Y/%m/%d %H:%M:%S ", &tm);
	snprintf(
	    prefix + n, sizeof(prefix) - n, "autossh[%ld]: ", (long)getpid());
	write_line(logger.fd, prefix, text);
}

/* Connects to the system's log socket.  Returns false if there is none. */
static bool
log_syslog_connect(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX,
		.sun_path = _PATH_LOG };
	int fd = socket_open(AF_UNIX, SOCK_DGRAM);

	if (fd != -1 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		fd_close(&fd);
	logger.syslog_fd = fd;
	return fd != -1;
}

/*
 * Sends one line to syslog, in the form of RFC 3164.  syslog(3) may block, so
 * it is used only where we cannot connect to the log socket.  The second
 * attempt reaches a syslogd that was restarted.
 */
static void
log_syslog_write(int level, const char *text)
{
	char line[TEXT_MAX + 64], stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	int attempt;

	if (localtime_r(&now, &tm) == NULL)
		return;
	strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm);
	snprintf(line, sizeof(line), "<%d>%s autossh[%ld]: %s",
	    LOG_USER | level, stamp, (long)getpid(), text);
	for (attempt = 0; attempt < 2; attempt++) {
		if (logger.syslog_fd == -1 && !log_syslog_connect()) {
			syslog(LOG_USER | level, "%s", text);
			return;
		}
		if (send(logger.syslog_fd, line, strlen(line), MSG_NOSIGNAL) !=
			-1 ||
		    errno == EAGAIN || errno == ENOBUFS)
			return;
		fd_close(&logger.syslog_fd);
	}
}

/* Writes a line to standard error, as long as it is the caller's. */
static void
log_stderr_write(int level, const char *text)
{
	char prefix[32] = "autossh: ";

	if (logger.stderr_fd == -1 || (level > LOG_ERR && !logger.debug))
		return;
	if (level > LOG_ERR)
		snprintf(
		    prefix, sizeof(prefix), "autossh[%ld]: ", (long)getpid());
	write_line(logger.stderr_fd, prefix, text);
}

/*
 * Writes TEXT, of any length, as one line to the log.  All log lines are
 * escaped here.  Never fails; blocks only as syslog(3) or a file may.  Without
 * memory, a long line is cut.
 */
static void
log_text(int level, const char *text)
{
	char buf[2 * TEXT_MAX];
	size_t size = 4 * strlen(text) + 4;
	char *line = NULL;

	/* errors go to standard error at any log level */
	if (level > logger.level && level > LOG_ERR)
		return;
	if (size > sizeof(buf))
		line = malloc(size);
	text = line != NULL ? escape(text, line, size)
			    : escape(text, buf, sizeof(buf));
	log_stderr_write(level, text);
	if (level <= logger.level && (logger.fd != -1 || logger.path != NULL))
		log_file_write(text);
	else if (level <= logger.level && logger.syslog)
		log_syslog_write(level, text);
	free(line);
}

__attribute__((format(printf, 2, 0))) static void
log_vmsg(int level, const char *format, va_list ap)
{
	char text[TEXT_MAX];

	vsnprintf(text, sizeof(text), format, ap);
	log_text(level, text);
}

/* Writes a line to the log, as printf does. */
__attribute__((format(printf, 2, 3))) static void
log_msg(int level, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	log_vmsg(level, format, ap);
	va_end(ap);
}

static void
log_warning(const char *text)
{
	log_text(LOG_WARNING, text);
}

/* Ends autossh with an error.  Only until the first ssh is started. */
__attribute__((noreturn, format(printf, 1, 2))) static void
die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	log_vmsg(LOG_ERR, format, ap);
	va_end(ap);
	exit(1);
}

/* Zeroed memory.  Ends autossh if there is none: for its start only. */
static void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (p == NULL)
		die("out of memory");
	return p;
}

/*
 * The descriptor of our own output that FILE names, or -1.  Opened by name, a
 * socket (as systemd's) or a file of another user's would be refused.
 */
static int
log_standard_fd(const char *file)
{
	if (strcmp(file, "/dev/stdout") == 0)
		return 1;
	return strcmp(file, "/dev/stderr") == 0 ? 2 : -1;
}

/* Sets up the log as the settings have it; a log file must be writable. */
static void
log_open(const struct settings *set, bool background)
{
	const char *file = set->logfile;
	char shown[VALUE_SHOWN + 4];
	struct stat st;
	int standard = -1;

	logger.level = set->debug ? LOG_DEBUG : (int)set->loglevel;
	logger.debug = set->debug && !background;
	if (file != NULL)
		standard = log_standard_fd(file);
	else if (set->ntservice)
		standard = 1;
	if (standard != -1) {
		logger.fd = fcntl(standard, F_DUPFD_CLOEXEC, 3);
		if (logger.fd == -1)
			die("cannot log to descriptor %d: %s", standard,
			    strerror(errno));
	} else if (file == NULL) {
		openlog("autossh", LOG_PID, LOG_USER);
		logger.syslog = true;
	} else {
		logger.fd = log_file_open(file);
		if (logger.fd == -1 &&
		    !(errno == ENXIO && stat(file, &st) == 0 &&
			S_ISFIFO(st.st_mode)))
			die("cannot open log file \"%s\": %s",
			    quote(file, shown), strerror(errno));
		logger.path = file;
	}
}

/* ---- settings ------------------------------------------------------------ */

#define NET_TIMEOUT_MS 15000 /* for each half of a test */
#define SECONDS_MAX 2147483647
#define PORT_MAX 65535

enum setting_kind {
	SETTING_FLAG,       /* true if set, to anything */
	SETTING_YES,        /* true if yes, in any case; else false */
	SETTING_NUMBER,     /* MIN..MAX */
	SETTING_TEXT,       /* MIN..MAX bytes; with MIN 0, empty is unset */
	SETTING_PORT,       /* see monitor_port_parse(); empty is unset */
	SETTING_PASSPHRASE, /* see passphrase_parse(); is never shown */
};

static const struct setting {
	const char *name;
	enum setting_kind kind;
	int64_t min, max;
	const char *text; /* the default, or NULL */
	size_t offset;    /* in struct settings, of the type of its kind */
	const char *default_text; /* the default, for people */
	const char *help;
} settings_table[] = {
#define AT(member) offsetof(struct settings, member)
	{ "AUTOSSH_DEBUG", SETTING_FLAG, 0, 0, NULL, AT(debug), "unset",
	    "if set: log level 7, and log to stderr as well" },
	{ "AUTOSSH_FIRST_POLL", SETTING_NUMBER, 1, SECONDS_MAX, NULL,
	    AT(first_poll), "AUTOSSH_POLL",
	    "seconds from the start of ssh to its first regular test" },
	{ "AUTOSSH_GATETIME", SETTING_NUMBER, 0, SECONDS_MAX, "30",
	    AT(gatetime), "30; with -f always 0",
	    "give up if the first ssh fails within this many seconds; 0: "
	    "never" },
	{ "AUTOSSH_LOGFILE", SETTING_TEXT, 1, PATH_MAX - 1, NULL, AT(logfile),
	    "unset: syslog", "file to append the log to" },
	{ "AUTOSSH_LOGLEVEL", SETTING_NUMBER, LOG_EMERG, LOG_DEBUG, "6",
	    AT(loglevel), "6", "log level, as syslog's" },
	{ "AUTOSSH_MAXLIFETIME", SETTING_NUMBER, 0, SECONDS_MAX, "0",
	    AT(maxlifetime), "0: no end",
	    "seconds after which autossh ends ssh and exits" },
	{ "AUTOSSH_MAXSTART", SETTING_NUMBER, -1, SECONDS_MAX, "-1",
	    AT(maxstart), "-1: no limit",
	    "start ssh at most this many times; -1: no limit" },
	{ "AUTOSSH_MESSAGE", SETTING_TEXT, 0, 64, "", AT(message), "empty",
	    "text to append to the test line" },
	{ "AUTOSSH_NTSERVICE", SETTING_YES, 0, 0, NULL, AT(ntservice), "unset",
	    "yes: run as a service: ssh -N, log to stdout, restart after "
	    "status 0 too" },
	{ "AUTOSSH_PASSPHRASE", SETTING_PASSPHRASE, 0, 0, NULL, AT(passphrase),
	    "unset: ssh asks",
	    "where to get the answer when ssh asks: ask, fd:N, file:PATH, "
	    "exec:COMMAND" },
	{ "AUTOSSH_PATH", SETTING_TEXT, 1, PATH_MAX - 1, PATH_SSH, AT(path),
	    PATH_SSH, "the ssh to run; without a slash looked up in PATH" },
	{ "AUTOSSH_PIDFILE", SETTING_TEXT, 0, PATH_MAX - 1, NULL, AT(pidfile),
	    "unset", "file to write the process id to" },
	{ "AUTOSSH_POLL", SETTING_NUMBER, 1, SECONDS_MAX, "600", AT(poll),
	    "600",
	    "seconds between tests, and scale of the pauses between starts" },
	{ "AUTOSSH_PORT", SETTING_PORT, 0, 0, "auto", AT(port), "unset",
	    "like the value of -M, which it overrides" },
	{ "AUTOSSH_STATUSFILE", SETTING_TEXT, 0, PATH_MAX - 1, NULL,
	    AT(statusfile), "unset",
	    "file to write metrics to, for Prometheus" },
#undef AT
};

/*
 * Reads VALUE of -M or AUTOSSH_PORT: PORT[:ECHO_PORT] in decimal digits, or 0,
 * or auto.  Returns false if it is none of them.
 */
static bool
monitor_port_parse(const char *value, struct monitor_port *mp)
{
	const char *colon = strchr(value, ':');
	char text[VALUE_SHOWN + 1];
	int64_t port, echo = 0;
	size_t len = colon == NULL ? strlen(value) : (size_t)(colon - value);

	memset(mp, 0, sizeof(*mp));
	mp->auto_port = strcmp(value, "auto") == 0;
	if (mp->auto_port)
		return true;
	if (len >= sizeof(text))
		return false;
	memcpy(text, value, len);
	text[len] = '\0';
	port = digits_value(text, PORT_MAX - 1);
	if (colon != NULL)
		echo = digits_value(colon + 1, PORT_MAX);
	mp->port = (int)port;
	mp->echo_port = (int)echo;
	if (port < 0 || port > PORT_MAX - 1)
		return false;
	return colon == NULL || (port > 0 && echo > 0 && echo <= PORT_MAX);
}

/* Reads VALUE of AUTOSSH_PASSPHRASE.  Returns false if it is not allowed. */
static bool
passphrase_parse(const char *value, struct passphrase_source *from)
{
	int64_t fd;

	memset(from, 0, sizeof(*from));
	if (strcmp(value, "ask") == 0) {
		from->source = PASSPHRASE_ASK;
	} else if (strncmp(value, "fd:", 3) == 0) {
		from->source = PASSPHRASE_FD;
		fd = digits_value(value + 3, INT_MAX);
		if (fd < 0 || fd > INT_MAX)
			return false;
		from->fd = (int)fd;
	} else if (strncmp(value, "file:", 5) == 0) {
		from->source = PASSPHRASE_FILE;
		from->argument = value + 5;
	} else if (strncmp(value, "exec:", 5) == 0) {
		from->source = PASSPHRASE_EXEC;
		from->argument = value + 5;
	} else {
		return false;
	}
	return from->argument == NULL || from->argument[0] != '\0';
}

/* Writes into BUF which values the variable S takes. */
static void
setting_allowed(const struct setting *s, char *buf, size_t size)
{
	switch (s->kind) {
	case SETTING_FLAG:
		snprintf(buf, size, "anything");
		break;
	case SETTING_YES:
		snprintf(buf, size, "yes");
		break;
	case SETTING_NUMBER:
		snprintf(buf, size,
		    "a whole number from %" PRId64 " to %" PRId64 "%s",
		    s->min < 0 ? 0 : s->min, s->max,
		    s->min < 0 ? ", or negative for no limit" : "");
		break;
	case SETTING_TEXT:
		snprintf(buf, size, "%s%" PRId64 " bytes",
		    s->min == 0 ? "at most " : "1 to ", s->max);
		break;
	case SETTING_PORT:
		snprintf(buf, size,
		    "a port (1 to %d), port:echo_port (to %d), auto, or 0 for "
		    "no monitor",
		    PORT_MAX - 1, PORT_MAX);
		break;
	case SETTING_PASSPHRASE:
		snprintf(buf, size, "ask, fd:N, file:PATH or exec:COMMAND");
		break;
	}
}

/*
 * Where the value of S comes from.  MONITOR is the value of -M, or NULL.
 * Stores the value, NULL if there is no default.
 */
static enum setting_origin
setting_value(const struct setting *s, const char *monitor, const char **value)
{
	bool empty_is_unset =
	    s->kind == SETTING_PORT || (s->kind == SETTING_TEXT && s->min == 0);

	*value = getenv(s->name);
	if (*value != NULL && !(empty_is_unset && **value == '\0'))
		return FROM_ENVIRONMENT;
	*value = s->text;
	if (s->kind != SETTING_PORT || monitor == NULL)
		return FROM_DEFAULT;
	*value = monitor;
	return FROM_COMMAND_LINE;
}

/*
 * Stores VALUE of variable S (NULL: none, a number is -1 then) in SET.  Returns
 * false if it is not allowed.
 */
static bool
setting_store(struct settings *set, const struct setting *s, const char *value)
{
	void *member = (char *)set + s->offset;
	int64_t *number = member;
	struct monitor_port *port = member;
	struct passphrase_source *from = member;

	switch (s->kind) {
	case SETTING_FLAG:
		*number = value != NULL;
		return true;
	case SETTING_YES:
		*number = value != NULL && strcasecmp(value, "yes") == 0;
		return true;
	case SETTING_NUMBER:
		*number = -1;
		return value == NULL ||
		       number_parse(value, s->min, s->max, number);
	case SETTING_TEXT:
		*(const char **)member = value;
		return value == NULL || ((int64_t)strlen(value) >= s->min &&
					    (int64_t)strlen(value) <= s->max);
	case SETTING_PORT:
		return monitor_port_parse(value, port);
	case SETTING_PASSPHRASE:
		from->source = PASSPHRASE_NONE;
		return value == NULL || passphrase_parse(value, from);
	}
	return false;
}

/*
 * Reads all variables, or ends autossh at the first that is wrong.  MONITOR is
 * the value of -M, or NULL.
 */
static void
settings_read(struct settings *set, const char *monitor)
{
	char shown[VALUE_SHOWN + 4], allowed[128];
	const struct setting *s;
	enum setting_origin from;
	const char *value;
	size_t i;

	memset(set, 0, sizeof(*set));
	for (i = 0; i < COUNT(settings_table); i++) {
		s = &settings_table[i];
		from = setting_value(s, monitor, &value);
		if (s->kind == SETTING_PORT)
			set->port_from = from;
		if (setting_store(set, s, value))
			continue;
		setting_allowed(s, allowed, sizeof(allowed));
		/* the value may be the passphrase itself */
		if (s->kind == SETTING_PASSPHRASE)
			die("%s: its value is not allowed; it takes %s",
			    s->name, allowed);
		die("%s: \"%s\" is not allowed; it takes %s",
		    from == FROM_COMMAND_LINE ? "-M" : s->name,
		    quote(value, shown), allowed);
	}
}

/* Whether ENTRY ("NAME=value") has the name of a variable of autossh's. */
static bool
setting_known(const char *entry)
{
	static const char prompt[] = "AUTOSSH_PROMPT"; /* see command_start() */
	size_t len = strcspn(entry, "=");
	size_t i;

	for (i = 0; i < COUNT(settings_table); i++) {
		if (strlen(settings_table[i].name) == len &&
		    strncmp(entry, settings_table[i].name, len) == 0)
			return true;
	}
	return strlen(prompt) == len && strncmp(entry, prompt, len) == 0;
}

/*
 * Calls WARN for each variable that has no effect, most likely since it is
 * misspelt, and where AUTOSSH_PORT overrides another value of -M (MONITOR).
 */
static void
settings_check(const struct settings *set, const char *monitor,
    void (*warn)(const char *text))
{
	static const char prefix[] = "AUTOSSH_";
	char text[3 * VALUE_SHOWN + 64], name[VALUE_SHOWN], a[VALUE_SHOWN + 4],
	    b[VALUE_SHOWN + 4];
	const char *value = getenv("AUTOSSH_NTSERVICE");
	struct monitor_port other;
	size_t i;

	for (i = 0; environ[i] != NULL; i++) {
		if (strncmp(environ[i], prefix, strlen(prefix)) != 0 ||
		    setting_known(environ[i]))
			continue;
		snprintf(name, sizeof(name), "%.*s",
		    (int)strcspn(environ[i], "="), environ[i]);
		snprintf(text, sizeof(text),
		    "%s is ignored: autossh has no such variable",
		    quote(name, a));
		warn(text);
	}
	if (value != NULL && !set->ntservice) {
		snprintf(text, sizeof(text),
		    "AUTOSSH_NTSERVICE=\"%s\" is ignored: only yes has an "
		    "effect",
		    quote(value, a));
		warn(text);
	}
	if (set->port_from != FROM_ENVIRONMENT || monitor == NULL ||
	    (monitor_port_parse(monitor, &other) &&
		other.auto_port == set->port.auto_port &&
		other.port == set->port.port &&
		other.echo_port == set->port.echo_port))
		return;
	value = getenv("AUTOSSH_PORT");
	snprintf(text, sizeof(text), "AUTOSSH_PORT=%s overrides -M %s",
	    quote(value != NULL ? value : "", a), quote(monitor, b));
	warn(text);
}

/* The times that follow from the settings, and which were lowered. */
struct timing {
	int64_t first_ms;   /* from the start of ssh to the first test */
	int64_t poll_ms;    /* from the end of a test to the next */
	int64_t timeout_ms; /* for each half of a test */
	int64_t gate_ms;    /* 0: the gate is open */
	bool poll_lowered, first_lowered;
};

/* Derives the times from SET.  BACKGROUND: -f, which opens the gate. */
static void
timing_derive(struct timing *t, const struct settings *set, bool background)
{
	int64_t end_s = set->maxlifetime > 0 ? set->maxlifetime : NEVER;
	int64_t first_s = set->first_poll == -1 ? set->poll : set->first_poll;

	t->poll_lowered = set->poll > end_s;
	t->first_lowered = first_s > end_s;
	t->first_ms = earlier(first_s, end_s) * 1000;
	t->poll_ms = earlier(set->poll, end_s) * 1000;
	t->timeout_ms = earlier(t->poll_ms / 2, NET_TIMEOUT_MS);
	t->gate_ms = background ? 0 : set->gatetime * 1000;
}

static void
timing_report(const struct timing *t)
{
	if (t->poll_lowered)
		log_msg(LOG_INFO,
		    "poll time is greater than lifetime, "
		    "dropping poll time to %" PRId64,
		    t->poll_ms / 1000);
	if (t->first_lowered)
		log_msg(LOG_INFO,
		    "first poll time is greater than lifetime, "
		    "dropping first poll time to %" PRId64,
		    t->first_ms / 1000);
	if (t->timeout_ms < NET_TIMEOUT_MS)
		log_msg(LOG_INFO,
		    "short poll time: adjusting net timeouts to %" PRId64,
		    t->timeout_ms);
}

/* ---- command line -------------------------------------------------------- */

/* ssh's options as its getopt() has them (OpenSSH 10); ":" takes an argument */
static const char ssh_options[] =
    "1246AaB:b:Cc:D:E:e:F:fGgI:i:J:KkL:l:Mm:NnO:o:P:p:Q:qR:S:sTtVvW:w:XxYy";

/* Whether LETTER takes an argument.  OURS: autossh's -M counts, not ssh's. */
static bool
option_takes_argument(char letter, bool ours)
{
	const char *p = letter == ':' ? NULL : strchr(ssh_options, letter);

	return (ours && letter == 'M') || (p != NULL && p[1] == ':');
}

/*
 * Whether TEXT, the argument of ssh's -o, sets KEYWORD: "KEYWORD=VALUE" or
 * "KEYWORD VALUE", which may be quoted.  Copies the beginning of the value.
 */
static bool
option_sets(const char *text, const char *keyword, char value[16])
{
	size_t len = strlen(keyword);

	text += strspn(text, " \t");
	if (strncasecmp(text, keyword, len) != 0)
		return false;
	text += len;
	if (*text == '\0' || strchr(" \t=\"'", *text) == NULL)
		return false;
	text += strspn(text, " \t");
	text += *text == '=';
	text += strspn(text, " \t");
	text += *text == '"' || *text == '\'';
	snprintf(value, 16, "%.*s", (int)strcspn(text, " \t\"'"), text);
	return true;
}

static void
cmdline_push(struct cmdline *c, char *word)
{
	c->words[c->nwords++] = word;
}

static void
cmdline_fail(struct cmdline *c, const char *error, const char *error_arg)
{
	c->action = CMDLINE_ERROR;
	c->error = error;
	c->error_arg = error_arg;
}

static bool
option_is_yes(const char *value)
{
	return strcasecmp(value, "yes") == 0 || strcasecmp(value, "true") == 0;
}

/* Notes what -o TEXT means to autossh.  The first value counts, as in ssh. */
static void
cmdline_note_config(struct cmdline *c, const char *text)
{
	char value[16];

	if (option_sets(text, "AddressFamily", value) && !c->family_known) {
		c->family_known = true;
		c->ipv6 = strcasecmp(value, "inet6") == 0;
	} else if (option_sets(text, "SessionType", value) &&
		   !c->session_known) {
		c->session_known = true;
		c->no_command |= strcasecmp(value, "none") == 0;
		c->subsystem |= strcasecmp(value, "subsystem") == 0;
	} else if (option_sets(text, "BatchMode", value) && !c->batch_known) {
		c->batch_known = true;
		c->batch_mode = option_is_yes(value);
	} else if (option_sets(text, "ClearAllForwardings", value) &&
		   !c->clear_known) {
		c->clear_known = true;
		c->no_forwardings = option_is_yes(value);
	} else if (option_sets(text, "RequestTTY", value) && !c->tty_known) {
		c->tty_known = true;
		c->tty =
		    option_is_yes(value) || strcasecmp(value, "force") == 0;
	}
}

/* Notes what an option of ssh's means to autossh. */
static void
cmdline_note(struct cmdline *c, char letter, const char *argument)
{
	switch (letter) {
	case 'N':
		c->no_command = true;
		break;
	case 's':
		c->subsystem = true;
		break;
	case 'T':
	case 't':
		c->tty = letter == 't'; /* the last one counts, */
		c->tty_known = true;    /* whatever -o says */
		break;
	case '4':
	case '6':
		c->ipv6 = letter == '6'; /* likewise */
		c->family_known = true;
		break;
	case 'W': /* implies ClearAllForwardings, see ssh(1) */
		c->command = true;
		if (!c->clear_known)
			c->no_forwardings = true;
		break;
	case 'G':
	case 'O':
	case 'Q':
		if (c->question != 'Q')
			c->question = letter;
		break;
	case 'o':
		if (argument != NULL)
			cmdline_note_config(c, argument);
		break;
	}
}

/* Takes in the value of an -M; NULL: there is none. */
static void
cmdline_monitor(struct cmdline *c, const char *value)
{
	if (value == NULL)
		cmdline_fail(c, "option -M needs a port", "");
	if (c->monitor == NULL)
		c->forwards_at = c->nwords;
	c->monitor = value;
}

/*
 * Takes each -f out of WORD, in place, as 1.4g does: init scripts find the
 * process by the title that results (pgrep -f).  A word that only held -f
 * becomes empty.
 */
static void
cmdline_take_f(struct cmdline *c, char *word)
{
	char *from = word + 1, *to = from;

	for (; *from != '\0' && !option_takes_argument(*from, true); from++) {
		if (*from == 'f')
			c->background = true;
		else
			*to++ = *from;
	}
	if (*from == '\0' && to == word + 1)
		to = word;
	while (*from != '\0')
		*to++ = *from++;
	memset(to, 0, (size_t)(from - to));
}

/*
 * Reads one word of options, argv[I] ("-fNL", say).  OURS: -M, -f and -V are
 * autossh's and are taken out.  What is left goes to ssh.  The argument of the
 * last letter is the rest of the word or else the next word.  Returns the index
 * of the last word that was used.
 */
static int
cmdline_cluster(struct cmdline *c, int argc, char **argv, int i, bool ours)
{
	char *word = argv[i];
	char *p, *letters, *argument = NULL;
	bool takes = false; /* the letter before p takes an argument */

	if (ours && word[1 + strspn(word + 1, "f")] == '-') {
		/* what is left would end ssh's options */
		cmdline_fail(c, "unknown option ", word);
		return i;
	}
	if (ours)
		cmdline_take_f(c, word);
	if (word[0] == '\0')
		return i;
	for (p = word + 1; *p != '\0' && !takes; p++) {
		takes = option_takes_argument(*p, ours);
		if (!takes)
			cmdline_note(c, *p, NULL);
		if (ours && *p == 'V') {
			c->action = CMDLINE_VERSION;
			return i;
		}
	}
	if (takes)
		argument = *p != '\0' ? p : i + 1 < argc ? argv[++i] : NULL;
	if (takes && ours && p[-1] == 'M') {
		if (p - 1 > word + 1) {
			/* a copy: the title keeps the whole word */
			letters = xcalloc((size_t)(p - word), 1);
			memcpy(letters, word, (size_t)(p - 1 - word));
			cmdline_push(c, letters);
		}
		cmdline_monitor(c, argument);
		return i;
	}
	cmdline_push(c, word);
	if (argument != NULL && argument != p)
		cmdline_push(c, argument);
	if (takes)
		cmdline_note(c, p[-1], argument);
	return i;
}

/* Reads --word, where autossh's own options stand. */
static void
cmdline_long(struct cmdline *c, const char *word)
{
	if (strcmp(word, "--version") == 0)
		c->action = CMDLINE_VERSION;
	else if (strcmp(word, "--help") == 0)
		c->action = CMDLINE_HELP;
	else if (strcmp(word, "--dry-run") == 0)
		c->dry_run = true;
	else
		cmdline_fail(c, "unknown option ", word);
}

/*
 * Cuts up the command line by ssh's grammar:
 *	option* destination option* [command word*]
 * autossh's own options count up to the first "--", which is autossh's too, and
 * up to the command.  From there on every word is ssh's as it stands.
 */
static void
cmdline_parse(struct cmdline *c, int argc, char **argv)
{
	bool ours = true;    /* autossh's options count */
	bool options = true; /* ssh's options count */
	char *word;
	int i;

	memset(c, 0, sizeof(*c));
	c->words = xcalloc((size_t)argc + 1, sizeof(*c->words));
	for (i = 1; i < argc && c->action == CMDLINE_RUN; i++) {
		word = argv[i];
		if (options && ours && strcmp(word, "--") == 0) {
			ours = false;
		} else if (options && strcmp(word, "--") == 0) {
			options = false;
			cmdline_push(c, word);
		} else if (!options || word[0] != '-' || word[1] == '\0') {
			options = options && c->destination == NULL;
			if (c->destination == NULL)
				c->destination = word;
			else
				c->command = true;
			cmdline_push(c, word);
		} else if (word[1] != '-') {
			i = cmdline_cluster(c, argc, argv, i, ours);
		} else if (ours && c->destination == NULL) {
			cmdline_long(c, word);
		} else {
			cmdline_push(c, word);
		}
	}
	if (c->action != CMDLINE_RUN)
		return;
	if (c->destination == NULL && c->question != 'Q')
		cmdline_fail(c, "no destination", "");
	else if (c->question != '\0')
		c->action = CMDLINE_QUESTION;
}

/* What ssh is there for; SERVICE: AUTOSSH_NTSERVICE adds -N. */
static enum session_kind
cmdline_session(const struct cmdline *c, bool service)
{
	if (c->no_command || service)
		return SESSION_NONE;
	if (c->tty || !(c->command || c->subsystem))
		return SESSION_TERMINAL;
	return SESSION_COMMAND;
}

/* Writes WORD so that a shell reads it as one word. */
static void
word_quote(FILE *out, const char *word)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz"
				    "0123456789@%+=:,./_-";

	if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
		fputs(word, out);
		return;
	}
	putc('\'', out);
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			fputs("'\\''", out);
		else
			putc(*word, out);
	}
	putc('\'', out);
}

/* "command:" and the words of ARGV, to be freed; NULL: no memory. */
static char *
command_text(char *const *argv)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	fputs("command:", out);
	for (; *argv != NULL; argv++) {
		putc(' ', out);
		word_quote(out, *argv);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* ---- policy -------------------------------------------------------------- */

#define CHANGED_TIMEOUT_MIN_MS 3000
#define CHANGED_TIMEOUT_MAX_MS 5000
#define PROBE_GAP_MIN_MS 1000 /* also from the start of ssh to the first */

enum verdict {
	VERDICT_RESTART,
	VERDICT_EXIT,        /* ssh is done, and so is autossh: status 0 */
	VERDICT_EXIT_STATUS, /* ssh's status is a reason to end: status 1 */
	VERDICT_PREMATURE    /* the first ssh did not live long: status 1 */
};

/*
 * What follows the death of ssh with wait status STATUS after LIVED_MS.
 * GATE_MS: the gate time, if it applies to this start, else 0.  NO_SESSION: ssh
 * -N, which never ends by itself.  ALWAYS: restart after status 0 too.  Status
 * 255 is a failure of ssh, 1 and 2 may be one or come from the remote command,
 * all others come from it (ssh(1), EXIT STATUS).
 */
static enum verdict
policy_death(
    int status, int64_t gate_ms, int64_t lived_ms, bool no_session, bool always)
{
	int code = WEXITSTATUS(status);

	if (WIFSIGNALED(status))
		return VERDICT_RESTART;
	if (gate_ms > 0 && lived_ms <= gate_ms && (code != 0 || no_session))
		return VERDICT_PREMATURE;
	switch (code) {
	case 0:
		return always ? VERDICT_RESTART : VERDICT_EXIT;
	case 1:
	case 2:
		return gate_ms > 0 ? VERDICT_EXIT_STATUS : VERDICT_RESTART;
	case 255:
		return VERDICT_RESTART;
	default:
		return VERDICT_EXIT_STATUS;
	}
}

/*
 * Counts quick starts in a row.  A start is quick if the one before it was
 * SINCE_MS ago, less than 10 s or, unless that ssh has answered a test, a tenth
 * of POLL_S.  Returns the new number of tries.
 */
static int
policy_tries(int tries, int64_t since_ms, bool tested, int64_t poll_s)
{
	int64_t min_s = !tested && poll_s / 10 > 10 ? poll_s / 10 : 10;

	if (since_ms >= min_s * 1000)
		return 0;
	return tries < INT_MAX ? tries + 1 : tries;
}

/*
 * The nominal pause before a start in ms.  The first quick start comes at once,
 * for a connection that has just broken; the next after 2 s; then by 1.4g's
 * quadratic rule, but after 10 s at least, since sshd (PerSourcePenalties, from
 * 9.8 on) refuses an address that fails to log in four times in 20 s.
 */
static int64_t
policy_pause_ms(int tries, int64_t poll_s)
{
	int64_t poll_ms = poll_s * 1000;
	int64_t t = tries - INT64_C(2);
	int64_t pause_ms;

	if (tries <= 1)
		return 0;
	if (tries == 2)
		return earlier(2000, poll_ms);
	pause_ms = t * t < 300 ? poll_ms * t * t / 300 : poll_ms;
	return earlier(pause_ms < 10000 ? 10000 : pause_ms, poll_ms);
}

/*
 * A value in [PAUSE_MS / 2, PAUSE_MS], by the random NUMBER, so that the
 * clients of one server do not reconnect in lockstep.
 */
static int64_t
policy_spread_ms(int64_t pause_ms, uint64_t number)
{
	uint64_t half = (uint64_t)pause_ms / 2;

	return pause_ms - (int64_t)(number % (half + 1));
}

/*
 * The wait before the next probe of an ssh of AGE_MS, after one of GAP_MS: they
 * grow rarer, but not by many that are made out of turn.
 */
static int64_t
policy_probe_gap(int64_t gap_ms, int64_t age_ms)
{
	gap_ms = earlier(gap_ms + gap_ms / 2, age_ms / 2);
	return gap_ms < PROBE_GAP_MIN_MS ? PROBE_GAP_MIN_MS : gap_ms;
}

/*
 * The timeout of a test that is made because the network has changed.  GONE: an
 * address has gone since the last answer, so that the connection is most likely
 * dead.  ROUND_TRIP_MS: of the last test that passed; -1: none has.
 */
static int64_t
policy_changed_timeout(int64_t usual_ms, bool gone, int64_t round_trip_ms)
{
	int64_t ms = earlier(4 * round_trip_ms, CHANGED_TIMEOUT_MAX_MS);

	if (!gone)
		return usual_ms;
	if (round_trip_ms == -1)
		ms = CHANGED_TIMEOUT_MAX_MS;
	if (ms < CHANGED_TIMEOUT_MIN_MS)
		ms = CHANGED_TIMEOUT_MIN_MS;
	return earlier(ms, usual_ms);
}

/* ---- signals ------------------------------------------------------------- */

/* A handler has no argument to pass the pipe in. */
static int signal_pipe[2] = { -1, -1 };
static bool is_service; /* a service manager has started autossh */

/* The signals that end autossh or tell it something. */
static const int signals_caught[] = { SIGTERM, SIGINT, SIGQUIT, SIGABRT, SIGHUP,
	SIGUSR1, SIGUSR2, SIGCHLD, SIGCONT };

/* The signals of job control, which stop autossh as any other program. */
static const int signals_jobctl[] = { SIGTSTP, SIGTTIN, SIGTTOU };

/* Signals of our own faults: not blocked, and fatal. */
static const int signals_defect[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP,
	SIGSYS };

/* The signal state that autossh inherited, and that ssh is to inherit. */
struct signals {
	sigset_t ignored; /* of signals_caught */
	sigset_t mask;
};

static void
signal_note(int sig)
{
	int saved = errno;
	unsigned char byte = (unsigned char)sig;

	(void)!write(signal_pipe[1], &byte, 1);
	errno = saved;
}

/* Installs HANDLER for SIG.  Returns whether it was ignored before. */
static bool
signal_set(int sig, void (*handler)(int))
{
	struct sigaction act, old;

	memset(&act, 0, sizeof(act));
	act.sa_handler = handler;
	sigfillset(&act.sa_mask);
	return sigaction(sig, &act, &old) == 0 && old.sa_handler == SIG_IGN;
}

/*
 * Installs the handlers, once and for all.  All other signals are blocked, so
 * that none ends autossh; a child does not inherit what is pending (fork(2)).
 */
static void
signals_open(struct signals *s)
{
	sigset_t blocked;
	size_t i;

	if (pipe_open(signal_pipe) == -1)
		die("cannot make a pipe: %s", strerror(errno));
	sigemptyset(&s->ignored);
	sigfillset(&blocked);
	for (i = 0; i < COUNT(signals_caught); i++) {
		if (signal_set(signals_caught[i], signal_note))
			sigaddset(&s->ignored, signals_caught[i]);
		sigdelset(&blocked, signals_caught[i]);
	}
	for (i = 0; i < COUNT(signals_jobctl); i++)
		sigdelset(&blocked, signals_jobctl[i]);
	for (i = 0; i < COUNT(signals_defect); i++)
		sigdelset(&blocked, signals_defect[i]);
	sigprocmask(SIG_SETMASK, &blocked, &s->mask);
}

/* In the child, before exec: restores the inherited signal state. */
static void
signals_restore(const struct signals *s)
{
	size_t i;
	int sig;

	for (i = 0; i < COUNT(signals_caught); i++) {
		sig = signals_caught[i];
		signal_set(
		    sig, sigismember(&s->ignored, sig) ? SIG_IGN : SIG_DFL);
	}
	sigprocmask(SIG_SETMASK, &s->mask, NULL);
}

static void
signals_prepare(struct waitset *set)
{
	waitset_fd(set, signal_pipe[0], POLLIN);
}

/* Moves what has arrived into CAUGHT. */
static void
signals_run(sigset_t *caught)
{
	unsigned char bytes[256];
	ssize_t n, i;
	int round;

	sigemptyset(caught);
	/* bounded, or a flood of signals could keep us here */
	for (round = 0; round < 256; round++) {
		n = read(signal_pipe[0], bytes, sizeof(bytes));
		if (n == -1 && errno != EINTR)
			break;
		for (i = 0; i < n; i++)
			sigaddset(caught, bytes[i]);
	}
}

/* The signal to exit among CAUGHT, or 0. */
static int
signals_exit(const sigset_t *caught)
{
	static const int exits[] = { SIGTERM, SIGINT, SIGQUIT, SIGABRT };
	size_t i;

	for (i = 0; i < COUNT(exits); i++) {
		if (sigismember(caught, exits[i]))
			return exits[i];
	}
	return 0;
}

/*
 * Before the main loop: a signal that has come, to exit or, where
 * signals_catch_jobctl() has it caught, to stop.  0: none.
 */
static int
signals_take(void)
{
	sigset_t caught;
	size_t i;
	int sig;

	signals_run(&caught);
	sig = signals_exit(&caught);
	for (i = 0; sig == 0 && i < COUNT(signals_jobctl); i++) {
		if (sigismember(&caught, signals_jobctl[i]))
			sig = signals_jobctl[i];
	}
	return sig;
}

/* Catches the signals of job control while ON, unless they are ignored. */
static void
signals_catch_jobctl(bool on)
{
	struct sigaction now;
	size_t i;

	for (i = 0; i < COUNT(signals_jobctl); i++) {
		if (sigaction(signals_jobctl[i], NULL, &now) == 0 &&
		    now.sa_handler != SIG_IGN)
			signal_set(
			    signals_jobctl[i], on ? signal_note : SIG_DFL);
	}
}

/*
 * Before the main loop: waits until FD (-1: none) can be read, a signal of
 * signals_take() has come, or nothing has come for TIMEOUT_MS (-1: no limit).
 * Returns the signal, or 0.
 */
static int
signals_wait(int fd, int timeout_ms)
{
	struct pollfd fds[] = { { fd, POLLIN, 0 },
		{ signal_pipe[0], POLLIN, 0 } };
	int sig, n;

	do {
		n = poll(fds, 2, timeout_ms);
		sig = signals_take();
	} while (sig == 0 && n != 0 && fds[0].revents == 0);
	return sig;
}

/* Whether SIG is a service manager's request to stop, which is no failure. */
static bool
signal_is_service_stop(int sig)
{
	return sig == SIGTERM && is_service;
}

/* Exits, or stops, as SIG of signals_take() demands; 0: nothing. */
static void
signals_act(int sig)
{
	if (sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU) {
		(void)raise(sig);
	} else if (signal_is_service_stop(sig)) {
		log_msg(LOG_INFO, "received signal to exit (%d)", sig);
		exit(0);
	} else if (sig != 0) {
		die("received signal to exit (%d)", sig);
	}
}

/* ---- terminal ------------------------------------------------------------ */

struct terminal {
	bool controlling; /* autossh was started with one */
	bool saved;       /* these were its modes: */
	struct termios modes;
};

/* Opens the controlling terminal.  -1: there is none, or it has gone. */
static int
terminal_open(void)
{
	return open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
}

static void
terminal_save(struct terminal *t)
{
	int fd = terminal_open();

	t->controlling = fd != -1;
	t->saved = tcgetattr(fd, &t->modes) == 0;
	fd_close(&fd);
}

/* Puts the modes back, if the terminal is ours to change. */
static void
terminal_restore(const struct terminal *t)
{
	int fd = t->saved ? terminal_open() : -1;

	/* TCSADRAIN would wait for a terminal that is held by ^S */
	if (fd != -1 && tcgetpgrp(fd) == getpgrp())
		(void)tcsetattr(fd, TCSANOW, &t->modes);
	fd_close(&fd);
}

/* Whether the terminal that autossh was started on has gone. */
static bool
terminal_gone(const struct terminal *t)
{
	int fd = t->controlling ? terminal_open() : -1;
	bool gone = t->controlling && fd == -1 && errno != EMFILE &&
		    errno != ENFILE && errno != ENOMEM && errno != EINTR;

	fd_close(&fd);
	return gone;
}

/* ---- processes ----------------------------------------------------------- */

/*
 * Opens /dev/null as each of 0, 1 and 2 that is closed, so that no file or
 * socket of ours gets such a number.
 */
static void
descriptors_fill(void)
{
	int fd;

	for (fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) == -1 &&
		    open("/dev/null", O_RDWR | O_NOCTTY) != fd)
			die("cannot open /dev/null: %s", strerror(errno));
	}
}

/* Whether PATH may be executed; else errno is set. */
static bool
program_is_executable(const char *path)
{
	struct stat st;

	if (access(path, X_OK) == -1 || stat(path, &st) == -1)
		return false;
	errno = EACCES;
	return S_ISREG(st.st_mode);
}

/*
 * Finds PROGRAM as execvp(3) does: in PATH, if it has no slash.  Returns false
 * with errno set if there is none that may be executed.
 */
static bool
program_find(const char *program, char path[PATH_MAX])
{
	const char *dirs = getenv("PATH");
	int error = ENOENT;
	size_t len;

	if (strchr(program, '/') != NULL) {
		snprintf(path, PATH_MAX, "%s", program);
		return program_is_executable(path);
	}
	if (dirs == NULL)
		dirs = "/usr/bin:/bin";
	for (; dirs != NULL; dirs = dirs[len] == ':' ? dirs + len + 1 : NULL) {
		len = strcspn(dirs, ":");
		snprintf(path, PATH_MAX, "%.*s/%s", len == 0 ? 1 : (int)len,
		    len == 0 ? "." : dirs, program);
		if (program_is_executable(path))
			return true;
		if (errno == EACCES)
			error = EACCES;
	}
	errno = error;
	return false;
}

/* Finds the program file of autossh, which was started as NAME. */
static bool
program_self(const char *name, char path[PATH_MAX])
{
	char file[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (n > 0) {
		path[n] = '\0';
		return true;
	}
	return program_find(name, file) && realpath(file, path) != NULL;
}

/*
 * Sends SIG to process PID, or to process group PGID.  kill(2) takes 0 and
 * negative numbers for groups or for every process; 1 is never ours.
 */
static void
process_signal(pid_t pid, int sig)
{
	if (pid > 1)
		(void)kill(pid, sig);
}

static void
group_signal(pid_t pgid, int sig)
{
	if (pgid > 1)
		(void)killpg(pgid, sig);
}

/*
 * Forks a child that has the signal mask and dispositions and the environment
 * that autossh was started with, less what the service manager meant for
 * autossh alone.  It gets SIGTERM when autossh dies, where the system offers
 * that.  The child may call anything: autossh has one thread.  Returns as
 * fork(2) does.
 */
static pid_t
process_fork(const struct signals *signals)
{
	pid_t parent = getpid();
	sigset_t all, mask;
	pid_t pid;

	/* a signal to the child must not reach our handlers */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &mask);
	pid = fork();
	if (pid != 0) {
		sigprocmask(SIG_SETMASK, &mask, NULL);
		return pid;
	}
	set_pdeathsig();
	/* it has died already; 0: it is in another pid namespace */
	if (getppid() != parent && getppid() != 0)
		_exit(1);
	signals_restore(signals);
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	return 0;
}

/* ---- private directory --------------------------------------------------- */

#define PRIVATE_CONNECT "w"            /* socket that ssh listens on */
#define PRIVATE_LISTEN "r"             /* socket that autossh listens on */
#define PRIVATE_SOCKET "a"             /* socket that the helper asks on */
#define PRIVATE_LINK "autossh-askpass" /* link to ourselves */
#define PRIVATE_PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path)
#define PRIVATE_MAX (PRIVATE_PATH_MAX - 20) /* leaves room for a name */

/* The exit handler removes it, and has no argument. */
static struct {
	char path[PRIVATE_MAX + 1];
	int fd; /* of the directory; -1: there is none */
} private_dir = { .fd = -1 };

/* Everything that may be in it. */
static const char *const private_names[] = { PRIVATE_CONNECT, PRIVATE_LISTEN,
	PRIVATE_SOCKET, PRIVATE_LINK };

/*
 * Whether the path still leads to our directory.  Something that cleans /tmp
 * may have removed it, and another user may have made one of the same name.
 */
static bool
private_is_intact(void)
{
	struct stat st, own;

	return private_dir.fd != -1 && fstat(private_dir.fd, &own) == 0 &&
	       lstat(private_dir.path, &st) == 0 && st.st_dev == own.st_dev &&
	       st.st_ino == own.st_ino;
}

/* Writes the path of NAME in the private directory into PATH. */
static void
private_name(const char *name, char path[PRIVATE_PATH_MAX])
{
	snprintf(path, PRIVATE_PATH_MAX, "%s/%s", private_dir.path, name);
}

static void
private_remove(void)
{
	size_t i;

	if (private_dir.fd == -1)
		return;
	for (i = 0; i < COUNT(private_names); i++)
		(void)unlinkat(private_dir.fd, private_names[i], 0);
	if (private_is_intact())
		(void)rmdir(private_dir.path);
	fd_close(&private_dir.fd);
}

/*
 * Makes the private directory in BASE.  DRY_RUN: only sees whether it could be
 * made.  Returns NULL, or what is wrong.
 */
static const char *
private_make(const char *base, bool dry_run)
{
	const char *error = NULL;
	char dir[PATH_MAX];

	if (base[0] != '/')
		return "not an absolute path";
	if (realpath(base, dir) == NULL)
		return strerror(errno);
	if (snprintf(private_dir.path, sizeof(private_dir.path),
		"%s/autossh-XXXXXX", dir) >= (int)sizeof(private_dir.path))
		return "its path is too long for a socket";
	/* ssh expands or ends a forwarding's path at these */
	if (strpbrk(dir, "%:$\\") != NULL)
		return "its path contains %, :, $ or \\";
	if (!path_is_safe(dir))
		return "other users could replace what is in it";
	if (dry_run)
		return access(dir, W_OK | X_OK) == 0 ? NULL : strerror(errno);
	if (mkdtemp(private_dir.path) == NULL)
		return strerror(errno);
	if (chmod(private_dir.path, S_IRWXU) == 0) /* despite the umask */
		private_dir.fd = open(private_dir.path,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (private_dir.fd == -1) {
		error = strerror(errno);
		(void)rmdir(private_dir.path);
	}
	return error;
}

/*
 * Makes the private directory in the first of some directories that is safe
 * and allows it.  Returns false, with WHY not for each of them.
 */
static bool
private_find(bool dry_run, char *why, size_t size)
{
	/* not XDG_RUNTIME_DIR, which is removed when its user logs out */
	const char *bases[] = { "/tmp", getenv("TMPDIR"), "/var/tmp",
		"/dev/shm" };
	char shown[VALUE_SHOWN + 4];
	const char *error;
	size_t i, len = 0;

	why[0] = '\0';
	for (i = 0; i < COUNT(bases) && len < size; i++) {
		if (bases[i] == NULL)
			continue;
		error = private_make(bases[i], dry_run);
		if (error == NULL)
			return true;
		len += (size_t)snprintf(why + len, size - len, "%s%s: %s",
		    len == 0 ? "" : "; ", quote(bases[i], shown), error);
	}
	return false;
}

/* Whether NAME in the private directory is still there. */
static bool
private_has(const char *name)
{
	struct stat st;

	return private_is_intact() &&
	       fstatat(private_dir.fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Keeps what removes old files from /tmp from removing ours. */
static void
private_touch(void)
{
	size_t i;

	if (private_dir.fd == -1)
		return;
	(void)futimens(private_dir.fd, NULL);
	for (i = 0; i < COUNT(private_names); i++)
		(void)utimensat(private_dir.fd, private_names[i], NULL,
		    AT_SYMLINK_NOFOLLOW);
}

/* ---- sockets ------------------------------------------------------------- */

#define BACKLOG 1024         /* connections that the kernel keeps for us */
#define ACCEPTS_MAX 4096     /* connections that are accepted in one go */
#define ACCEPT_PAUSE_MS 1000 /* without descriptors, before accepting again */
#define PORT_WAIT_MS 5000    /* for a port that is taken at the start */
#define PORT_RETRY_MS 100

/* The loopback address with PORT, of IPv6 or IPv4. */
static void
address_loopback(struct address *a, bool ipv6, int port)
{
	memset(a, 0, sizeof(*a));
	if (ipv6) {
		a->sa.in6.sin6_family = AF_INET6;
		a->sa.in6.sin6_addr = in6addr_loopback;
		a->sa.in6.sin6_port = htons((uint16_t)port);
		a->len = sizeof(a->sa.in6);
	} else {
		a->sa.in.sin_family = AF_INET;
		a->sa.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		a->sa.in.sin_port = htons((uint16_t)port);
		a->len = sizeof(a->sa.in);
	}
}

/* Opens a socket that listens on A.  -1: see errno. */
static int
address_listen(const struct address *a)
{
	int on = 1;
	int fd = socket_open(a->sa.any.sa_family, SOCK_STREAM);

	if (fd == -1)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &a->sa.any, a->len) == -1 || listen(fd, BACKLOG) == -1)
		fd_close(&fd);
	return fd;
}

/* Whether nobody listens on A.  False: errno is EADDRINUSE. */
static bool
address_is_free(const struct address *a)
{
	int on = 1;
	int fd = socket_open(a->sa.any.sa_family, SOCK_STREAM);
	bool taken;

	if (fd == -1)
		return true; /* it is not known to be taken */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	taken = bind(fd, &a->sa.any, a->len) == -1 && errno == EADDRINUSE;
	fd_close(&fd);
	return !taken;
}

/*
 * Before the main loop: opens a socket that listens on A, and makes sure that
 * OTHER is free too.  While one of them is taken, most likely by an autossh
 * that is just being ended, it tries again, but not for ever.  -1: see errno.
 */
static int
address_listen_wait(const struct address *a, const struct address *other)
{
	int64_t end = now_ms() + PORT_WAIT_MS;
	int fd;

	for (;;) {
		fd = address_is_free(other) ? address_listen(a) : -1;
		if (fd != -1 || errno != EADDRINUSE || now_ms() >= end)
			return fd;
		signals_act(signals_wait(-1, PORT_RETRY_MS));
	}
}

/* The address of the socket NAME in the private directory. */
static void
private_address(struct address *a, const char *name)
{
	memset(a, 0, sizeof(*a));
	a->sa.un.sun_family = AF_UNIX;
	private_name(name, a->sa.un.sun_path);
	a->len = sizeof(a->sa.un);
}

/*
 * Opens a socket that listens as NAME in the private directory.  *A becomes its
 * address.  -1: see errno.
 */
static int
private_listen(struct address *a, const char *name)
{
	int fd;

	private_address(a, name);
	fd = address_listen(a);
	/* ssh must be able to write to it, whatever the umask is */
	if (fd != -1 && chmod(a->sa.un.sun_path, S_IRUSR | S_IWUSR) == -1)
		fd_close(&fd);
	return fd;
}

/*
 * A listening socket.  After EMFILE it is not polled until resume_due, or
 * poll() would report the pending connections without end.
 */
struct listener {
	int fd;             /* -1: it does not listen */
	int64_t resume_due; /* when it is polled again; 0: now */
};

static void
listener_prepare(const struct listener *l, struct waitset *set)
{
	if (l->resume_due == 0)
		waitset_fd(set, l->fd, POLLIN);
	else
		waitset_until(set, l->resume_due);
}

/* Whether a connection may wait: poll(2) says so, or a pause is over. */
static bool
listener_ready(struct listener *l, const struct waitset *set, int64_t now)
{
	if (l->resume_due != 0 && now >= l->resume_due) {
		l->resume_due = 0;
		return true;
	}
	return waitset_ready(set, l->fd);
}

/* Accepts a connection.  Returns -1 if there is none, or none can be had. */
static int
listener_accept(struct listener *l, int64_t now)
{
	int fd = socket_accept(l->fd);

	if (fd == -1 && (errno == EMFILE || errno == ENFILE ||
			    errno == ENOBUFS || errno == ENOMEM))
		l->resume_due = now + ACCEPT_PAUSE_MS;
	return fd;
}

/* ---- network, suspend ---------------------------------------------------- */

#define NETWORK_PAUSE_MS 250  /* addresses are compared after this pause */
#define NETWORK_BURST_MS 1000 /* or, without a pause, after this time */
#define NETWORK_GAP_MS 2000   /* from one event to the next, at least */
#define RESUME_MIN_MS 1000    /* shorter suspends are ignored */

/* What has happened to a set of addresses: a bit each. */
enum network_change {
	NETWORK_CAME = 1, /* there is an address that was not */
	NETWORK_GONE = 2  /* there was an address that is not */
};

struct network {
	int route_fd; /* of route_open(); -1: network changes go unnoticed */
	int clock_fd; /* of clock_watch_open(), or -1 */
	struct ifaddress *list; /* the usable addresses, sorted */
	size_t nlist;
	int64_t burst_end;    /* of the messages that come now */
	int64_t compare_due;  /* NEVER: no message has come */
	int64_t gone_at;      /* when an address was last missed; 0: never */
	int64_t suspended_ms; /* of suspended_ms() when we last looked */
	int64_t resumed_ms;   /* of suspends that no event has reported */
	enum event pending;   /* the next event; EV_NONE */
	int64_t next_event;   /* not before this time */
	enum event event;     /* the last event, and */
	int64_t event_ms;     /* EV_RESUMED: how long the suspend was */
};

/* Sets *A to the address SA.  Returns false if it is none of IP, or NULL. */
static bool
ifaddress_set(struct ifaddress *a, const struct sockaddr *sa)
{
	size_t at = offsetof(struct sockaddr_in, sin_addr);
	size_t len = sizeof(struct in_addr);

	if (sa == NULL ||
	    (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
		return false;
	if (sa->sa_family == AF_INET6) {
		at = offsetof(struct sockaddr_in6, sin6_addr);
		len = sizeof(struct in6_addr);
	}
	memset(a, 0, sizeof(*a));
	a->family = (uint8_t)sa->sa_family;
	memcpy(a->bytes, (const char *)sa + at, len);
	return true;
}

/*
 * Whether A, of an interface with FLAGS (IFF_), connects this host to others:
 * neither loopback nor link-local, of an interface that is up and has a link.
 */
static bool
ifaddress_usable(const struct ifaddress *a, unsigned int flags)
{
	const unsigned int up = IFF_UP | IFF_RUNNING;
	const uint8_t *b = a->bytes;

	if ((flags & (up | IFF_LOOPBACK)) != up)
		return false;
	if (a->family == AF_INET)
		return b[0] != 169 || b[1] != 254;
	return b[0] != 0xfe || (b[1] & 0xc0) != 0x80; /* fe80::/10 */
}

/*
 * Whether the kernel has finished duplicate address detection for SA, if it is
 * of IPv6.  getifaddrs(3) does not tell, but a socket can be bound only then.
 */
static bool
ifaddress_checked(const struct sockaddr *sa)
{
	bool tentative;
	int fd;

	if (sa->sa_family != AF_INET6)
		return true;
	fd = socket_open(AF_INET6, SOCK_DGRAM);
	if (fd == -1)
		return true;
	tentative = bind(fd, sa, sizeof(struct sockaddr_in6)) == -1 &&
		    errno == EADDRNOTAVAIL;
	close(fd);
	return !tentative;
}

/*
 * Sets *LIST, to be freed, to the usable addresses.  Returns their number, or
 * -1 with errno set.
 */
static ssize_t
ifaddress_list(struct ifaddress **list)
{
	struct ifaddrs *all;
	const struct ifaddrs *i;
	size_t n = 1; /* calloc(0) may return NULL */

	if (getifaddrs(&all) == -1)
		return -1;
	for (i = all; i != NULL; i = i->ifa_next)
		n++;
	*list = calloc(n, sizeof(**list));
	n = 0;
	for (i = all; i != NULL && *list != NULL; i = i->ifa_next) {
		if (ifaddress_set(*list + n, i->ifa_addr) &&
		    ifaddress_usable(*list + n, i->ifa_flags) &&
		    ifaddress_checked(i->ifa_addr))
			n++;
	}
	freeifaddrs(all);
	return *list == NULL ? -1 : (ssize_t)n;
}

static int
ifaddress_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct ifaddress));
}

/*
 * What has changed between two sorted lists of addresses.  A list may hold an
 * address more than once, if several interfaces have it.
 */
static int
network_compare(const struct ifaddress *was, size_t nwas,
    const struct ifaddress *is, size_t nis)
{
	int change = 0;
	size_t i = 0, k = 0;

	while (i < nwas || k < nis) {
		int order = i == nwas  ? 1
			    : k == nis ? -1
				       : ifaddress_compare(was + i, is + k);
		const struct ifaddress *next = order < 0 ? was + i : is + k;

		if (order < 0)
			change |= NETWORK_GONE;
		else if (order > 0)
			change |= NETWORK_CAME;
		/* skip it in both, with its repetitions */
		while (i < nwas && ifaddress_compare(was + i, next) == 0)
			i++;
		while (k < nis && ifaddress_compare(is + k, next) == 0)
			k++;
	}
	return change;
}

/* Reads the usable addresses.  Returns what has changed, as network_change. */
static int
network_read(struct network *n)
{
	struct ifaddress *list = NULL;
	ssize_t nlist = ifaddress_list(&list);
	int change;

	if (nlist == -1) {
		log_msg(
		    LOG_DEBUG, "cannot list addresses: %s", strerror(errno));
		return 0;
	}
	qsort(list, (size_t)nlist, sizeof(*list), ifaddress_compare);
	change = network_compare(n->list, n->nlist, list, (size_t)nlist);
	free(n->list);
	n->list = list;
	n->nlist = (size_t)nlist;
	return change;
}

static void
network_open(struct network *n)
{
	memset(n, 0, sizeof(*n));
	n->compare_due = NEVER;
	n->suspended_ms = suspended_ms();
	n->clock_fd = clock_watch_open();
	if (n->clock_fd == -1)
		log_msg(LOG_DEBUG, "a resume will not be noticed: %s",
		    strerror(errno));
	n->route_fd = route_open();
	if (n->route_fd == -1)
		log_msg(LOG_DEBUG, "network changes will not be noticed: %s",
		    strerror(errno));
	else
		(void)network_read(n);
}

static void
network_prepare(const struct network *n, struct waitset *set)
{
	waitset_fd(set, n->route_fd, POLLIN);
	waitset_fd(set, n->clock_fd, POLLIN);
	waitset_until(set, n->compare_due);
	if (n->pending != EV_NONE)
		waitset_until(set, n->next_event);
}

/*
 * Reads the netlink socket until it is empty.  The messages only wake us, so a
 * lost one (ENOBUFS) does no harm.
 */
static void
network_drain(struct network *n, int64_t now)
{
	char byte;

	/* the rest of each message is cut off */
	while (recv(n->route_fd, &byte, sizeof(byte), 0) != -1 ||
	       errno == EINTR || errno == ENOBUFS)
		;
	if (errno != EAGAIN) {
		log_msg(LOG_DEBUG,
		    "network changes will no longer be noticed: %s",
		    strerror(errno));
		fd_close(&n->route_fd);
	}
	if (n->compare_due == NEVER)
		n->burst_end = now + NETWORK_BURST_MS;
	n->compare_due = earlier(now + NETWORK_PAUSE_MS, n->burst_end);
}

/* Compares the addresses with those of the last time. */
static void
network_look(struct network *n, int64_t now)
{
	int change = network_read(n);

	n->compare_due = NEVER;
	if (change & NETWORK_GONE) {
		log_msg(LOG_DEBUG, "an address is no longer usable");
		n->gone_at = now;
	}
	if (change & NETWORK_CAME) {
		log_msg(LOG_DEBUG, "an address has become usable");
		if (n->pending == EV_NONE)
			n->pending = EV_NETWORK_CHANGED;
	}
}

/*
 * Returns EV_NETWORK_CHANGED, EV_RESUMED or EV_NONE.  What happens within
 * NETWORK_GAP_MS of the last event becomes one event at the end of that time.
 */
static enum event
network_run(struct network *n, const struct waitset *set, int64_t now)
{
	int64_t suspended = suspended_ms();

	if (waitset_ready(set, n->clock_fd))
		clock_watch_rearm(n->clock_fd);
	if (suspended - n->suspended_ms >= RESUME_MIN_MS) {
		n->pending = EV_RESUMED;
		n->resumed_ms += suspended - n->suspended_ms;
	}
	n->suspended_ms = suspended;
	if (waitset_ready(set, n->route_fd))
		network_drain(n, now);
	if (now >= n->compare_due)
		network_look(n, now);
	if (n->pending == EV_NONE || now < n->next_event)
		return EV_NONE;
	n->event = n->pending;
	n->event_ms = n->resumed_ms;
	n->next_event = now + NETWORK_GAP_MS;
	n->pending = EV_NONE;
	n->resumed_ms = 0;
	return n->event;
}

/* Logs the last event, and WHAT follows: "testing the connection", say. */
static void
network_log(const struct network *n, const char *what)
{
	if (n->event == EV_RESUMED)
		log_msg(LOG_INFO, "resumed after %" PRId64 " s, %s",
		    n->event_ms / 1000, what);
	else
		log_msg(LOG_INFO, "network has changed, %s", what);
}

/* ---- monitor: forwardings ---------------------------------------------- */

#define AUTO_PORT_MIN 20000 /* below the ports that systems hand out */
#define AUTO_PORT_MAX 32767
#define FORWARD_MAX (PRIVATE_PATH_MAX + 32)

/* The two forwardings through which the test line goes and comes back. */
struct forwards {
	bool enabled;   /* there is a monitor */
	bool echo;      /* an echo service returns the line */
	bool auto_port; /* both ends here are private sockets */
	bool ipv6;
	bool no_remote;           /* auto_port: this ssh is given no -R */
	char server_port[8];      /* auto_port: where both meet on the server */
	struct address send_to;   /* where ssh listens */
	struct address back_at;   /* where we listen */
	char local[FORWARD_MAX];  /* argument of -L */
	char remote[FORWARD_MAX]; /* argument of -R */
};

/* Derives the forwardings from -M and -6. */
static void
forwards_init(struct forwards *f, const struct monitor_port *mp, bool ipv6)
{
	const char *host = ipv6 ? "[::1]" : "127.0.0.1";

	memset(f, 0, sizeof(*f));
	f->enabled = mp->auto_port || mp->port != 0;
	f->echo = mp->echo_port != 0;
	f->auto_port = mp->auto_port;
	f->ipv6 = ipv6;
	if (mp->port == 0)
		return;
	address_loopback(&f->send_to, ipv6, mp->port);
	snprintf(f->local, sizeof(f->local), "%d:%s:%d", mp->port, host,
	    f->echo ? mp->echo_port : mp->port);
	if (f->echo)
		return;
	address_loopback(&f->back_at, ipv6, mp->port + 1);
	snprintf(f->remote, sizeof(f->remote), "%d:%s:%d", mp->port, host,
	    mp->port + 1);
}

/* Sets the server's port of private forwardings. */
static void
forwards_set_port(struct forwards *f, const char *port)
{
	const char *host = f->ipv6 ? "[::1]" : "127.0.0.1";

	snprintf(f->server_port, sizeof(f->server_port), "%s", port);
	snprintf(f->local, sizeof(f->local), "%s:%s:%s",
	    f->send_to.sa.un.sun_path, host, port);
	snprintf(f->remote, sizeof(f->remote), "%s:%s:%s", host, port,
	    f->back_at.sa.un.sun_path);
}

/*
 * Writes the words that ssh is given for them to WORDS; the argument of each
 * option is a word of its own.  Returns their number.
 */
static int
forwards_words(struct forwards *f, char *words[4])
{
	static char opt_local[] = "-L", opt_remote[] = "-R";
	int n = 0;

	if (f->enabled) {
		words[n++] = opt_local;
		words[n++] = f->local;
	}
	if (f->enabled && !f->echo && !f->no_remote) {
		words[n++] = opt_remote;
		words[n++] = f->remote;
	}
	return n;
}

/* ---- monitor: the test ------------------------------------------------- */

#define REFUSAL_GAP_MS 1000 /* from a refusal to the test that confirms it */

/* A connection to our listener: ssh's, as long as what it sends matches. */
struct conn {
	int fd;
	size_t matched;   /* bytes of the line that have come */
	int64_t deadline; /* for the rest of it */
};

/* One test.  Until first_due of the schedule it is a probe. */
struct test {
	enum test_phase {
		TEST_NONE,
		TEST_CONNECT,    /* to ssh */
		TEST_SEND,       /* the line */
		TEST_AWAIT_CONN, /* a connection on which it may come back */
		TEST_AWAIT_LINE  /* the line; no new connection counts */
	} phase;
	bool probe;
	bool asked;   /* an event asked for it */
	bool foreign; /* the far end is no sshd: it sent something */
	int64_t begun;
	int64_t timeout_ms; /* for each half */
	int64_t deadline;   /* to come to AWAIT_LINE; of an echo, to end */
	int fd;             /* to ssh */
	char line[512];
	size_t len, sent;
	size_t guessable; /* bytes at its beginning that anyone can know */
	int nconns;
	struct conn conns[CONNS_MAX]; /* of an echo, [0] is the one to ssh */
};

/* When tests begin, in ms. */
struct schedule {
	bool probing;             /* probes come before the first test */
	int64_t first_due;        /* the first test that has consequences */
	int64_t next_due;         /* NEVER: no test comes */
	int64_t probe_gap;        /* from the end of a probe to the next */
	int64_t asked_timeout_ms; /* of the next, if an event asked; else 0 */
	int64_t again_due;        /* one more after that under way; NEVER */
};

struct monitor {
	const struct timing *timing;
	const char *message;
	bool ssh_on_terminal; /* ssh prints a line there for each refusal */
	bool attended;        /* ssh may be asking a person */
	struct forwards forwards;
	struct listener listener;
	struct schedule schedule;
	struct test test;

	/* of this ssh */
	bool logged_in;  /* its private socket has been seen */
	bool removed;    /* something has removed the private sockets */
	bool answered;   /* a test has passed or been refused */
	bool passed;     /* a test has passed */
	bool refused;    /* the last test was refused */
	int64_t good_at; /* the last answer; before one, the start of ssh */

	/* of all */
	bool warned_refused, warned_removed;
	int64_t tests, failures;
	int64_t round_trip_ms; /* of the last test that passed; -1: none */
	int64_t passed_wall;   /* its end, in ms; 0: none */
};

static void
monitor_init(struct monitor *m, const struct monitor_port *mp, bool ipv6,
    const struct timing *timing, const char *message)
{
	memset(m, 0, sizeof(*m));
	forwards_init(&m->forwards, mp, ipv6);
	m->timing = timing;
	m->message = message;
	m->listener.fd = m->test.fd = -1;
	m->schedule.next_due = m->schedule.again_due = NEVER;
	m->schedule.probing = mp->auto_port;
	m->round_trip_ms = -1;
}

/* Listens in the private directory.  Returns false with errno set. */
static bool
monitor_bind(struct monitor *m)
{
	fd_close(&m->listener.fd);
	private_address(&m->forwards.send_to, PRIVATE_CONNECT);
	m->listener.fd = private_listen(&m->forwards.back_at, PRIVATE_LISTEN);
	return m->listener.fd != -1;
}

/*
 * Prepares the private forwardings of the next ssh, with a new random port:
 * the server's old session may still hold the last one.  Returns false with
 * errno set.
 */
static bool
monitor_new_port(struct monitor *m)
{
	uint32_t number;
	char port[16];

	if (getentropy(&number, sizeof(number)) == -1)
		return false;
	/* ssh does not replace a leftover */
	(void)unlinkat(private_dir.fd, PRIVATE_CONNECT, 0);
	snprintf(port, sizeof(port), "%d",
	    AUTO_PORT_MIN +
		(int)(number % (AUTO_PORT_MAX - AUTO_PORT_MIN + 1)));
	forwards_set_port(&m->forwards, port);
	return true;
}

/* Ends autossh since one of two ports is taken, or as errno says. */
__attribute__((noreturn)) static void
monitor_port_error(const struct forwards *f, int port)
{
	die("cannot use %s ports %d and %d: %s; without -M no port is needed",
	    f->ipv6 ? "::1" : "127.0.0.1", port, port + 1, strerror(errno));
}

/* Listens from now on, if it is on a port; one that is taken ends autossh. */
static void
monitor_listen(struct monitor *m, const struct monitor_port *mp)
{
	struct forwards *f = &m->forwards;

	if (!f->enabled || f->echo || f->auto_port)
		return;
	m->listener.fd = address_listen_wait(&f->back_at, &f->send_to);
	if (m->listener.fd == -1)
		monitor_port_error(f, mp->port);
}

/* Plans the first test of a new ssh. */
static void
monitor_start(struct monitor *m, int64_t now)
{
	struct schedule *sc = &m->schedule;

	m->logged_in = m->removed = false;
	m->answered = m->passed = m->refused = false;
	m->good_at = now;
	sc->next_due = sc->again_due = NEVER;
	sc->asked_timeout_ms = 0;
	if (!m->forwards.enabled)
		return;
	sc->first_due = now + m->timing->first_ms;
	sc->probe_gap = PROBE_GAP_MIN_MS;
	sc->next_due = sc->probing ? earlier(now + sc->probe_gap, sc->first_due)
				   : sc->first_due;
}

/* Closes what the test under way has open. */
static void
test_close(struct test *t)
{
	while (t->nconns > 0)
		fd_close(&t->conns[--t->nconns].fd);
	fd_close(&t->fd);
	t->phase = TEST_NONE;
}

/* ssh is gone or going: there is nothing to test. */
static void
monitor_reset(struct monitor *m)
{
	test_close(&m->test);
	m->schedule.next_due = NEVER;
}

/*
 * Starts a test with timeout TIMEOUT_MS now, since the network has changed.
 * Unlike that of monitor_test_now(), it remains a probe where one is due.
 * A test under way goes on, since TCP may yet recover by retransmission, but
 * with that timeout; then another one begins.  Returns false if there is
 * nothing to test.
 */
static bool
monitor_test_event(struct monitor *m, int64_t timeout_ms, int64_t now)
{
	struct schedule *sc = &m->schedule;
	struct test *t = &m->test;
	int i;

	if (sc->next_due == NEVER && t->phase == TEST_NONE)
		return false;
	sc->asked_timeout_ms = timeout_ms;
	if (t->phase == TEST_NONE) {
		sc->next_due = now;
		return true;
	}
	sc->again_due =
	    now > t->begun + NETWORK_GAP_MS ? now : t->begun + NETWORK_GAP_MS;
	t->timeout_ms = earlier(t->timeout_ms, timeout_ms);
	t->deadline = earlier(t->deadline, now + timeout_ms);
	for (i = 0; i < t->nconns; i++)
		t->conns[i].deadline =
		    earlier(t->conns[i].deadline, now + timeout_ms);
	return true;
}

/* Begins the test under way again: the time that it took does not count. */
static void
monitor_repeat(struct monitor *m, int64_t now)
{
	if (m->test.phase == TEST_NONE)
		return;
	if (m->test.asked)
		m->schedule.asked_timeout_ms = m->test.timeout_ms;
	test_close(&m->test);
	m->schedule.next_due = now;
}

/*
 * Writes the line of a new test: host, program, pid, a number that nobody can
 * guess, message.  Returns false with errno set if there is no random number.
 */
static bool
test_make_line(struct test *t, const char *message)
{
	char host[256];
	uint64_t number;

	if (getentropy(&number, sizeof(number)) == -1)
		return false;
	if (gethostname(host, sizeof(host)) == -1)
		snprintf(host, sizeof(host), "localhost");
	host[sizeof(host) - 1] = '\0';
	/* fits: host and message are bounded */
	t->guessable = (size_t)snprintf(
	    t->line, sizeof(t->line), "%s autossh %ld ", host, (long)getpid());
	t->len = t->guessable + (size_t)snprintf(t->line + t->guessable,
				    sizeof(t->line) - t->guessable,
				    "%" PRIu64 " %s\r\n", number >> 1, message);
	t->sent = 0;
	return true;
}

/*
 * Compares N bytes that came with what is missing of the line.  Returns how
 * many bytes of the line have come, or -1: it is not the line.  Bytes after
 * its end are ignored.
 */
static ssize_t
line_match(
    const char *line, size_t len, size_t matched, const char *bytes, size_t n)
{
	if (n > len - matched)
		n = len - matched;
	if (memcmp(line + matched, bytes, n) != 0)
		return -1;
	return (ssize_t)(matched + n);
}

/*
 * Whether a failure of the test under way has no consequence.  One that an
 * event asked for has one, except that ssh may still be logging in.
 */
static bool
test_is_harmless(const struct test *t)
{
	return t->probe && (!t->asked || t->phase <= TEST_CONNECT);
}

/* The reason of a failed test is of interest only if the failure counts. */
static int
test_log_level(const struct test *t)
{
	return test_is_harmless(t) ? LOG_DEBUG : LOG_INFO;
}

/* Logs WHAT failed and why (an errno).  Returns EV_TEST_FAILED. */
static enum event
test_fail(const struct test *t, const char *what, int error)
{
	log_msg(test_log_level(t), "%s: %s", what, strerror(error));
	return EV_TEST_FAILED;
}

/* Begins a test.  EV_TEST_FAILED: it could not even begin. */
static enum event
test_begin(struct test *t, const struct forwards *f, const char *message)
{
	t->foreign = false;
	if (!test_make_line(t, message))
		return test_fail(t, "cannot get a random number", errno);
	t->fd = socket_open(f->send_to.sa.any.sa_family, SOCK_STREAM);
	if (t->fd == -1)
		return test_fail(t, "cannot make a socket for the test", errno);
	t->phase = TEST_CONNECT;
	if (connect(t->fd, &f->send_to.sa.any, f->send_to.len) == -1 &&
	    errno != EINPROGRESS && errno != EINTR)
		return test_fail(t, "cannot connect to ssh", errno);
	return EV_NONE;
}

/* Sets HERE and THERE to the ends of the connection FD. */
static bool
fd_ends(int fd, struct address *here, struct address *there)
{
	memset(here, 0, sizeof(*here));
	memset(there, 0, sizeof(*there));
	here->len = there->len = sizeof(here->sa);
	return getsockname(fd, &here->sa.any, &here->len) == 0 &&
	       getpeername(fd, &there->sa.any, &there->len) == 0;
}

/*
 * Whether FD is connected to itself, as TCP allows when nothing listens on a
 * port and the kernel chooses the same one for this end.
 */
static bool
fd_is_own_peer(int fd)
{
	struct address here, there;

	return fd_ends(fd, &here, &there) && here.len == there.len &&
	       memcmp(&here.sa, &there.sa, here.len) == 0;
}

/* Sees whether the connection to ssh has been made. */
static enum event
test_connect(struct test *t, const struct waitset *set)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (!waitset_ready(set, t->fd))
		return EV_NONE;
	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error == 0 && fd_is_own_peer(t->fd))
		error = ECONNREFUSED;
	if (error != 0)
		return test_fail(t, "cannot connect to ssh", error);
	t->phase = TEST_SEND;
	return EV_NONE;
}

/* Sends what the connection takes of the line. */
static enum event
test_send(struct test *t, const struct forwards *f)
{
	ssize_t n =
	    send(t->fd, t->line + t->sent, t->len - t->sent, MSG_NOSIGNAL);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return EV_NONE;
	if (n == -1 && f->auto_port && (errno == EPIPE || errno == ECONNRESET))
		return EV_TEST_REFUSED;
	if (n == -1)
		return test_fail(t, "cannot send to ssh", errno);
	t->sent += (size_t)n;
	if (t->sent < t->len)
		return EV_NONE;
	t->phase = TEST_AWAIT_CONN;
	if (f->echo) {
		t->conns[0] = (struct conn){ t->fd, 0, t->deadline };
		t->nconns = 1;
		t->fd = -1;
		t->phase = TEST_AWAIT_LINE;
	}
	return EV_NONE;
}

/*
 * Reads the connection to ssh, on which nothing is to come.  With private
 * sockets only sshd ends it, since it refuses the forwarding, or ssh, since it
 * exits.
 */
static enum event
test_read_refusal(struct test *t, const struct waitset *set)
{
	char bytes[sizeof(t->line)];
	ssize_t n;

	if (!waitset_ready(set, t->fd))
		return EV_NONE;
	n = read(t->fd, bytes, sizeof(bytes));
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return EV_NONE;
	if (n > 0) {
		t->foreign = true;
		return EV_NONE;
	}
	if (!t->foreign)
		return EV_TEST_REFUSED;
	log_msg(test_log_level(t),
	    "received something other than the test message");
	return EV_TEST_FAILED;
}

/* Reads connection C.  Returns NULL, or why it cannot bring the line. */
static const char *
conn_read(const struct test *t, struct conn *c)
{
	char bytes[sizeof(t->line)];
	ssize_t n = read(c->fd, bytes, sizeof(bytes));

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return NULL;
	if (n <= 0)
		return "the connection was closed before the test message";
	n = line_match(t->line, t->len, c->matched, bytes, (size_t)n);
	if (n == -1)
		return "received something other than the test message";
	c->matched = (size_t)n;
	return NULL;
}

/*
 * Reads all connections, and drops strangers'.  ECHO: there is only our own,
 * and if it is a stranger's, the test has failed.  Returns EV_TEST_PASSED,
 * EV_TEST_FAILED or EV_NONE.
 */
static enum event
conns_read(struct test *t, const struct waitset *set, bool echo, int64_t now)
{
	const char *wrong;
	struct conn *c;
	int i;

	for (i = t->nconns - 1; i >= 0; i--) {
		c = &t->conns[i];
		/* what has come counts, even if we are late to see it */
		wrong = waitset_ready(set, c->fd) ? conn_read(t, c) : NULL;
		if (c->matched == t->len)
			return EV_TEST_PASSED;
		if (wrong == NULL && now < c->deadline)
			continue;
		log_msg(echo ? test_log_level(t) : LOG_DEBUG, "%s",
		    wrong != NULL ? wrong
				  : "timeout waiting for the test message");
		fd_close(&c->fd);
		t->nconns--;
		memmove(c, c + 1, /* by age */
		    (size_t)(t->nconns - i) * sizeof(*c));
		if (echo)
			return EV_TEST_FAILED;
	}
	return EV_NONE;
}

/* How little a connection looks like the one that ssh makes. */
enum conn_rank {
	CONN_KNOWS,   /* it has sent what nobody can guess, perhaps unread */
	CONN_SILENT,  /* as ssh's is for one round trip to the server */
	CONN_FOREIGN, /* at its end, or not ssh's: it sent other bytes, or
			 another user of this host has made it */
	NRANKS
};

static enum conn_rank
conn_rank(const struct test *t, const struct conn *c, int diag_fd)
{
	struct address here, there;
	char bytes[sizeof(t->line)];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	ssize_t matched = (ssize_t)c->matched;
	uid_t uid;

	if (n > 0)
		matched =
		    line_match(t->line, t->len, c->matched, bytes, (size_t)n);
	if (n == 0 || matched == -1)
		return CONN_FOREIGN;
	if (matched > (ssize_t)t->guessable)
		return CONN_KNOWS;
	if (fd_ends(c->fd, &here, &there) &&
	    diag_uid(diag_fd, &there, &here, &uid) && uid != geteuid())
		return CONN_FOREIGN;
	return CONN_SILENT;
}

/*
 * Makes room for new connections.  The foreign ones go; if there is none, the
 * older half of the silent ones, or of all if none is silent.
 */
static void
conns_make_room(struct test *t)
{
	enum conn_rank rank[CONNS_MAX], worst = CONN_KNOWS;
	int i, drop, count[NRANKS] = { 0 }, n = t->nconns;
	int diag_fd = diag_open();

	for (i = 0; i < n; i++) {
		rank[i] = conn_rank(t, &t->conns[i], diag_fd);
		worst = rank[i] > worst ? rank[i] : worst;
		count[rank[i]]++;
	}
	fd_close(&diag_fd);
	drop = worst == CONN_FOREIGN ? count[worst] : (count[worst] + 1) / 2;
	t->nconns = 0;
	for (i = 0; i < n; i++) {
		if (rank[i] == worst && drop-- > 0)
			fd_close(&t->conns[i].fd);
		else
			t->conns[t->nconns++] = t->conns[i];
	}
}

/*
 * Accepts all that wait, or the kernel's queue could overflow and delay ssh by
 * seconds.  They are kept while a test awaits a connection, else closed.
 */
static void
monitor_accept(struct monitor *m, const struct waitset *set, int64_t now)
{
	struct test *t = &m->test;
	bool keep = t->phase != TEST_NONE && t->phase != TEST_AWAIT_LINE;
	int i, fd;

	if (!listener_ready(&m->listener, set, now))
		return;
	for (i = 0; i < ACCEPTS_MAX; i++) {
		if (keep && t->nconns == CONNS_MAX)
			conns_make_room(t);
		fd = listener_accept(&m->listener, now);
		if (fd == -1)
			break;
		if (!keep)
			close(fd);
		else
			t->conns[t->nconns++] =
			    (struct conn){ fd, 0, now + t->timeout_ms };
	}
	if (m->listener.resume_due != 0 && keep && t->nconns > 1) {
		/* out of descriptors: close some */
		if (i == 0)
			conns_make_room(t);
		m->listener.resume_due = 0;
	}
}

static void
monitor_prepare(const struct monitor *m, struct waitset *set)
{
	const struct test *t = &m->test;
	int i;

	listener_prepare(&m->listener, set);
	for (i = 0; i < t->nconns; i++) {
		waitset_fd(set, t->conns[i].fd, POLLIN);
		waitset_until(set, t->conns[i].deadline);
	}
	if (t->phase == TEST_NONE)
		waitset_until(set, m->schedule.next_due);
	else if (t->phase == TEST_CONNECT || t->phase == TEST_SEND)
		waitset_fd(set, t->fd, POLLOUT);
	else if (m->forwards.auto_port)
		waitset_fd(set, t->fd, POLLIN);
	if (t->phase != TEST_NONE && t->phase != TEST_AWAIT_LINE)
		waitset_until(set, t->deadline);
	if (t->phase != TEST_NONE && t->probe)
		waitset_until(set, m->schedule.first_due);
}

/* Advances the test.  Returns EV_NONE while it goes on, else its result. */
static enum event
test_run(struct test *t, const struct forwards *f, const struct waitset *set,
    int64_t now)
{
	enum event event = EV_NONE;

	if (t->phase == TEST_CONNECT)
		event = test_connect(t, set);
	if (event == EV_NONE && t->phase == TEST_SEND)
		event = test_send(t, f);
	if (event == EV_NONE)
		event = conns_read(t, set, f->echo, now);
	if (event == EV_NONE && f->auto_port && t->phase > TEST_SEND)
		event = test_read_refusal(t, set);
	if (event != EV_NONE)
		return event;
	if (t->phase <= TEST_SEND && now >= t->deadline)
		return test_fail(
		    t, "no test line could be sent to ssh", ETIMEDOUT);
	if (t->phase != TEST_AWAIT_LINE && now >= t->deadline)
		t->phase = TEST_AWAIT_LINE; /* of those accepted so far */
	if (t->phase != TEST_AWAIT_LINE || t->nconns > 0)
		return EV_NONE;
	log_msg(test_log_level(t), "timeout polling to accept read connection");
	return EV_TEST_FAILED;
}

/*
 * Whether ssh has logged in: with private sockets, ssh makes its own only then.
 * Looks, and remembers.
 */
static bool
monitor_sees_login(struct monitor *m)
{
	if (!m->logged_in && m->forwards.auto_port)
		m->logged_in = private_has(PRIVATE_CONNECT);
	return m->logged_in;
}

/* Whether ssh is known to be logging in still. */
static bool
monitor_awaits_login(struct monitor *m)
{
	return m->forwards.auto_port && !m->removed && !monitor_sees_login(m);
}

/*
 * Starts a test now that is no probe; a probe under way is begun again as a
 * test.  While ssh is logging in, it stays a probe.
 */
static void
monitor_test_now(struct monitor *m, int64_t now)
{
	struct schedule *sc = &m->schedule;

	if (sc->next_due == NEVER && m->test.phase == TEST_NONE)
		return;
	if (!monitor_awaits_login(m))
		sc->first_due = earlier(sc->first_due, now);
	if (m->test.phase == TEST_NONE)
		sc->next_due = now;
}

/*
 * With private sockets, sees whether a test can tell anything: not if ssh has
 * not logged in (EV_TEST_FAILED), or if the sockets have been removed.
 */
static enum event
monitor_check_sockets(struct monitor *m)
{
	bool there = private_has(PRIVATE_LISTEN);

	if (there && !monitor_sees_login(m)) {
		log_msg(test_log_level(&m->test), "ssh has not logged in yet");
		return EV_TEST_FAILED;
	}
	if (there && private_has(PRIVATE_CONNECT))
		return EV_NONE;
	if (!m->warned_removed)
		log_msg(LOG_WARNING,
		    "the private sockets in \"%s\" have been removed: no more "
		    "tests of this ssh",
		    private_dir.path);
	m->removed = m->warned_removed = true;
	return EV_NONE;
}

static enum event
monitor_begin(struct monitor *m, int64_t now)
{
	struct schedule *sc = &m->schedule;
	struct test *t = &m->test;
	enum event event = EV_NONE;
	int64_t login_end;

	/* until then a person may be logging in, so tests are probes */
	login_end = m->good_at + SSHD_LOGIN_GRACE_MS;
	if (m->attended && monitor_awaits_login(m) && sc->first_due < login_end)
		sc->first_due = login_end;
	sc->next_due = NEVER;
	t->begun = now;
	t->probe = now < sc->first_due;
	t->asked = sc->asked_timeout_ms != 0;
	t->timeout_ms = m->timing->timeout_ms;
	if (t->asked)
		t->timeout_ms = sc->asked_timeout_ms;
	else if (t->probe)
		t->timeout_ms = earlier(t->timeout_ms, 2 * sc->probe_gap);
	sc->asked_timeout_ms = 0;
	t->deadline = now + t->timeout_ms * (m->forwards.echo ? 2 : 1);
	if (m->forwards.auto_port)
		event = monitor_check_sockets(m);
	if (event == EV_NONE && !m->removed)
		event = test_begin(t, &m->forwards, m->message);
	return event;
}

static void
monitor_passed(struct monitor *m, int64_t now)
{
	m->good_at = now;
	m->round_trip_ms = now - m->test.begun;
	m->passed_wall = wall_ms();
	if (!m->passed)
		log_msg(LOG_INFO, "tunnel is up (test took %" PRId64 " ms)",
		    m->round_trip_ms);
	m->answered = m->passed = true;
	m->refused = false;
	m->tests++;
}

/*
 * The server has refused the test.  A single refusal may be caused by the exit
 * of ssh, or by an -R that is not set up yet just after login: two in a row are
 * needed, unless this ssh has been answered before, or is on a terminal, where
 * ssh prints a line for each and no second follows.  Returns whether the
 * refusal stands.
 */
static bool
monitor_refused(struct monitor *m, int64_t now)
{
	bool sure = m->refused || m->ssh_on_terminal;

	m->refused = true;
	if (!sure && !m->answered) {
		m->schedule.next_due = now + REFUSAL_GAP_MS;
		return false;
	}
	if (sure && !m->warned_refused) {
		m->warned_refused = true;
		log_msg(LOG_WARNING,
		    "the server refuses the monitor's forwarding "
		    "(AllowTcpForwarding, PermitListen, PermitOpen), so tests "
		    "show only that it answers; -M 0 runs without a monitor");
	}
	m->answered = true;
	m->good_at = now;
	m->tests++;
	if (m->ssh_on_terminal)
		m->schedule.next_due = m->schedule.again_due = NEVER;
	return true;
}

/* Ends the test with EVENT and plans the next.  Returns what follows. */
static enum event
monitor_end(struct monitor *m, enum event event, int64_t now)
{
	struct schedule *sc = &m->schedule;

	sc->next_due = m->test.probe ? sc->first_due : now + m->timing->poll_ms;
	if (event == EV_TEST_PASSED) {
		monitor_passed(m, now);
	} else if (event == EV_TEST_REFUSED) {
		event = monitor_refused(m, now) ? event : EV_NONE;
	} else if (test_is_harmless(&m->test)) {
		m->refused = false;
		sc->probe_gap =
		    policy_probe_gap(sc->probe_gap, now - m->good_at);
		sc->next_due = earlier(now + sc->probe_gap, sc->first_due);
		event = EV_NONE;
	} else {
		m->refused = false;
		m->tests++;
		m->failures++;
	}
	sc->next_due = earlier(sc->next_due, sc->again_due);
	sc->again_due = NEVER;
	test_close(&m->test);
	return event;
}

/* Returns the result if a test has ended, else EV_NONE. */
static enum event
monitor_run(struct monitor *m, const struct waitset *set, int64_t now)
{
	struct test *t = &m->test;
	enum event event = EV_NONE;

	if (t->phase != TEST_NONE && t->probe && now >= m->schedule.first_due)
		monitor_repeat(m, now);
	if (t->phase == TEST_NONE && now >= m->schedule.next_due)
		event = monitor_begin(m, now);
	if (event == EV_NONE && t->phase != TEST_NONE)
		event = test_run(t, &m->forwards, set, now);
	monitor_accept(m, set, now);
	return event == EV_NONE ? event : monitor_end(m, event, now);
}

/* ---- passphrase sources -------------------------------------------------- */

#define SECRET_MAX 1023 /* bytes; ssh takes no more */

/*
 * The one page that holds secrets: locked, left out of dumps, wiped at exit.
 * The exit handler has no argument.
 */
struct secrets {
	char kept[SECRET_MAX + 1]; /* asked for or read at the start */
	char used[SECRET_MAX + 1]; /* fetched for one question */
	size_t nused;
};
static struct secrets *secrets;

static void
secrets_wipe(void)
{
	if (secrets != NULL)
		explicit_bzero(secrets, sizeof(*secrets));
}

/* Makes the page and keeps others from looking into this process. */
static void
secrets_open(void)
{
	void *page = mmap(NULL, sizeof(*secrets), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		die("out of memory");
	(void)madvise(page, sizeof(*secrets), MADV_NO_DUMP);
	disable_tracing();
	secrets = page;
}

/* Locks the page.  A lock does not survive the fork to the background. */
static void
secrets_lock(void)
{
	if (mlock(secrets, sizeof(*secrets)) == -1)
		log_msg(LOG_WARNING,
		    "cannot lock the passphrase in memory, it may be swapped "
		    "out: %s",
		    strerror(errno));
}

/*
 * The length of the first line of a secret.  The C library's string functions
 * would leave it in vector registers, which the kernel saves on the stack, for
 * anyone to find, when the next signal comes.
 */
static size_t
secret_length(const char *secret)
{
	size_t n = 0;

	while (secret[n] != '\0' && secret[n] != '\n' && secret[n] != '\r')
		n++;
	return n;
}

/*
 * Reads the first line of FD into LINE.  SIG: NULL, or where to tell the signal
 * that came before the line was complete (signals_wait()).  Returns NULL, or
 * what is wrong.
 */
static const char *
line_read(int fd, char line[SECRET_MAX + 1], int *sig)
{
	size_t len, n = 0;
	ssize_t got = 1;

	while (n < SECRET_MAX && got != 0) {
		if (sig != NULL && (*sig = signals_wait(fd, -1)) != 0)
			return NULL;
		/* byte by byte: a terminal or pipe may hold more than ours */
		got = read(fd, line + n, 1);
		if (got == -1 && errno != EINTR && errno != EAGAIN)
			return strerror(errno);
		if (got == 1 && line[n++] == '\n')
			break;
	}
	line[n] = '\0';
	if (n == SECRET_MAX && line[n - 1] != '\n')
		return "the first line is too long";
	len = secret_length(line);
	if (len < n && line[len] == '\0')
		return "the first line holds a NUL byte";
	line[len] = '\0';
	return len == 0 ? "the first line is empty" : NULL;
}

/*
 * Asks once on TTY, without echo.  *SIG becomes the signal that came instead of
 * an answer, after the modes of the terminal were put back, or 0.  Returns
 * NULL, or what is wrong.
 */
static const char *
ask_once(int tty, const char *question, int *sig)
{
	struct termios modes, silent;
	const char *wrong = "cannot set the terminal's modes";

	signals_catch_jobctl(true);
	if (tcgetattr(tty, &modes) == 0) {
		silent = modes;
		silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
		if (tcsetattr(tty, TCSAFLUSH, &silent) == 0) {
			(void)!write(tty, question, strlen(question));
			wrong = line_read(tty, secrets->kept, sig);
			(void)!write(tty, "\n", 1);
		}
		(void)tcsetattr(tty, TCSAFLUSH, &modes);
	}
	if (*sig == 0)
		*sig = signals_take();
	signals_catch_jobctl(false);
	return wrong;
}

/* Opens the terminal to ask on; ends autossh if there is none. */
static int
passphrase_terminal(void)
{
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (tty == -1)
		die("AUTOSSH_PASSPHRASE=ask: no terminal to ask on: %s",
		    strerror(errno));
	return tty;
}

/* Asks on the terminal, again after each signal that did not end autossh. */
static void
passphrase_ask(const char *destination)
{
	char question[VALUE_SHOWN + 64], shown[VALUE_SHOWN + 4];
	const char *wrong;
	int tty = passphrase_terminal();
	int sig;

	snprintf(question, sizeof(question),
	    "Passphrase or password for ssh to %s: ",
	    quote(destination, shown));
	do {
		signals_act(signals_take());
		sig = 0;
		wrong = ask_once(tty, question, &sig);
		signals_act(sig);
	} while (sig != 0);
	close(tty);
	if (wrong != NULL)
		die("AUTOSSH_PASSPHRASE=ask: %s", wrong);
}

/* Reads the first line from descriptor FD and closes it. */
static void
passphrase_fd(int fd)
{
	int sig;
	const char *wrong = line_read(fd, secrets->kept, &sig);

	signals_act(sig);
	if (wrong != NULL)
		die("AUTOSSH_PASSPHRASE=fd:%d: %s", fd, wrong);
	close(fd);
	descriptors_fill();
}

/*
 * Whether a file may be trusted with a passphrase: ours (UID) or root's, and
 * nobody else reads it.  systemd hands a credential to a service that is not
 * root's as a file of root's with an access list, whose mask shows as the
 * permission of the group root.
 */
static bool
passphrase_file_private(uid_t uid, uid_t owner, gid_t group, mode_t mode)
{
	if (!S_ISREG(mode) || (owner != uid && owner != 0))
		return false;
	if (uid != 0 && owner == 0 && group == 0)
		mode &= ~(mode_t)S_IRGRP;
	return (mode & (S_IRWXG | S_IRWXO)) == 0;
}

/* Reads the passphrase from a file.  Returns NULL, or what is wrong. */
static const char *
passphrase_file(const char *path)
{
	const char *wrong = NULL;
	struct stat st;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd == -1)
		return strerror(errno);
	if (fstat(fd, &st) == -1)
		wrong = strerror(errno);
	else if (!passphrase_file_private(
		     geteuid(), st.st_uid, st.st_gid, st.st_mode))
		wrong = "not a regular file that is yours or root's and that "
			"no one else can read (chmod 600)";
	else
		wrong = line_read(fd, secrets->used, NULL);
	fd_close(&fd);
	return wrong;
}

/* Checks fd:N before autossh opens a descriptor that could be N. */
static void
passphrase_check(const struct passphrase_source *from)
{
	if (from->source == PASSPHRASE_FD && fcntl(from->fd, F_GETFD) == -1)
		die("AUTOSSH_PASSPHRASE=fd:%d: %s", from->fd, strerror(errno));
}

/* Ends autossh if the file holds no passphrase that may be used. */
static void
passphrase_check_file(const char *path)
{
	const char *wrong = passphrase_file(path);

	explicit_bzero(secrets->used, sizeof(secrets->used));
	if (wrong != NULL)
		die("AUTOSSH_PASSPHRASE=file:%s: %s", path, wrong);
}

/* Reads the secret now (ask, fd:), or checks that it can be read (file:). */
static void
passphrase_open(const struct passphrase_source *from, const char *destination)
{
	if (from->source == PASSPHRASE_NONE)
		return;
	secrets_open();
	if (from->source == PASSPHRASE_ASK)
		passphrase_ask(destination);
	else if (from->source == PASSPHRASE_FD)
		passphrase_fd(from->fd);
	else if (from->source == PASSPHRASE_FILE)
		passphrase_check_file(from->argument);
}

/* ---- prompt policy ------------------------------------------------------- */

#define PROMPT_MAX 1800 /* bytes; ssh's own prompts are shorter */
#define SERVER_MAX 319  /* bytes of user@host */

enum prompt_kind {
	PROMPT_NOTICE,   /* no answer is expected */
	PROMPT_LOCAL,    /* ssh's own, for anything but a secret */
	PROMPT_KEY,      /* ssh's own, for what unlocks a key */
	PROMPT_PASSWORD, /* the server's, for a password or PIN */
	PROMPT_SERVER    /* the server's, for anything else */
};

/* Whether the answer to a prompt goes to the server. */
static bool
prompt_is_remote(enum prompt_kind kind)
{
	return kind == PROMPT_PASSWORD || kind == PROMPT_SERVER;
}

/*
 * Whether TEXT has WORD, and no character beside it that IS_PART (isalnum(3),
 * say) of a longer one.  The empty word is nowhere.
 */
static bool
text_has(const char *text, const char *word, int (*is_part)(int))
{
	size_t len = strlen(word);
	const char *p = text;

	while (len > 0 && (p = strstr(p, word)) != NULL) {
		if ((p == text || !is_part((unsigned char)p[-1])) &&
		    !is_part((unsigned char)p[len]))
			return true;
		p++;
	}
	return false;
}

static bool
text_has_any(const char *text, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (text_has(text, *words, isalnum))
			return true;
	}
	return false;
}

static bool
text_begins_with_any(const char *text, const char *const *beginnings)
{
	for (; *beginnings != NULL; beginnings++) {
		if (strncmp(text, *beginnings, strlen(*beginnings)) == 0)
			return true;
	}
	return false;
}

/*
 * Writes into SERVER the "user@host" that PROMPT names: "(user@host) ..." since
 * OpenSSH 8.5, and "user@host's password: " always; "" if it names none.
 * Returns what the server has ssh ask: PROMPT less "(user@host) ".
 */
static const char *
prompt_server(const char *prompt, char server[SERVER_MAX + 1])
{
	bool marked = prompt[0] == '(';
	const char *name = prompt + marked;
	const char *end = strstr(name, marked ? ") " : "'s password");
	size_t len = end == NULL ? 0 : (size_t)(end - name);

	server[0] = '\0';
	if (len == 0 || len > SERVER_MAX || memchr(name, '@', len) == NULL ||
	    memchr(name, ' ', len) != NULL)
		return prompt;
	memcpy(server, name, len);
	server[len] = '\0';
	return marked ? end + 2 : prompt;
}

/*
 * Whether a server's prompt, in lower case and less "(user@host) ", asks for a
 * password or PIN that stays the same.  A server has no use for a passphrase.
 */
static bool
prompt_wants_password(const char *text)
{
	static const char *const secret[] = { "password", "pin", NULL };
	/* to set one, and what is used once */
	static const char *const other[] = { "new", "old", "current", "retype",
		"re-enter", "reenter", "repeat", "again", "change", "changed",
		"expired", "set a", "choose", "confirm", "temporary",
		"one-time", "one time", "onetime", "otp", "verification",
		"tokencode", "token code", NULL };
	static const char asked_by_ssh[] = "'s password";
	const char *end = strstr(text, asked_by_ssh);

	if (text_has(text, "passphrase", isalnum) || strchr(text, '?') != NULL)
		return false;
	/* user and host may be called "new" or "old", below too */
	if (end != NULL && end[strlen(asked_by_ssh)] == '\0' &&
	    memchr(text, ' ', (size_t)(end - text)) == NULL)
		return true;
	if (strncmp(text, "password for ", 13) == 0)
		return true;
	return text_has_any(text, secret) && !text_has_any(text, other) &&
	       strpbrk(text, "+&") == NULL; /* "PIN + token" */
}

/*
 * Tells what PROMPT asks for; HINT is SSH_ASKPASS_PROMPT.  ssh's own prompts
 * are known by their beginning (sshconnect.c, sshconnect2.c, ssh-pkcs11.c,
 * clientloop.c) or end in a question mark; any other one is from the server.
 * Before OpenSSH 8.5 nothing keeps a server from imitating one of ssh's own.
 */
static enum prompt_kind
prompt_classify(const char *hint, const char *prompt)
{
	static const char *const key[] = { "Enter passphrase for ",
		"Enter PIN for ", "Enter PIN and confirm user presence for ",
		NULL };
	static const char *const local[] = { "The authenticity of host ",
		"Please type 'yes'", "Accept updated hostkeys?", NULL };
	char server[SERVER_MAX + 1], text[PROMPT_MAX + 1];
	const char *rest = prompt_server(prompt, server);
	bool marked = rest != prompt;
	size_t len;

	if (strcmp(hint, "none") == 0)
		return PROMPT_NOTICE;
	if (strcmp(hint, "confirm") == 0 || text_begins_with_any(prompt, local))
		return PROMPT_LOCAL;
	if (strlen(prompt) > PROMPT_MAX)
		return PROMPT_SERVER;
	if (text_begins_with_any(prompt, key))
		return PROMPT_KEY;
	for (len = 0; rest[len] != '\0'; len++)
		text[len] = rest[len] == '\n'
				? ' '
				: (char)tolower((unsigned char)rest[len]);
	while (len > 0 && strchr(": ", text[len - 1]) != NULL)
		len--;
	text[len] = '\0';
	if (!marked && len > 0 && text[len - 1] == '?')
		return PROMPT_LOCAL;
	return prompt_wants_password(text) ? PROMPT_PASSWORD : PROMPT_SERVER;
}

/* What the secret is for, which its first answer decides. */
struct secret_use {
	enum { USE_UNDECIDED, USE_KEYS, USE_SERVER } kind;
	char server[SERVER_MAX + 1]; /* user@host; "": ssh did not name it */
	bool jump;                   /* a jump host's ssh asked, not ours */
};

#define EXEC_CAN "; exec:COMMAND can answer for both"

/*
 * Whether the secret may be given to a prompt of KIND, of SERVER ("": ssh does
 * not name it); JUMP: another ssh asks than the one that autossh started.
 * Returns NULL, or why not.
 */
static const char *
secret_use_refusal(const struct secret_use *use, enum prompt_kind kind,
    const char *server, bool jump)
{
	if (kind == PROMPT_PASSWORD && server[0] == '\0' && jump)
		return "this ssh does not name the server that asks; OpenSSH "
		       "8.5 or later does";
	if (use->kind == USE_KEYS && kind != PROMPT_KEY)
		return "the passphrase of a key is never sent to a "
		       "server" EXEC_CAN;
	if (use->kind == USE_SERVER && kind == PROMPT_KEY)
		return "the password of a server unlocks no key" EXEC_CAN;
	if (use->kind == USE_SERVER &&
	    (strcmp(use->server, server) != 0 || use->jump != jump))
		return "the password of one server is never sent to "
		       "another" EXEC_CAN;
	return NULL;
}

/*
 * Whether LINE is how ssh ends when a server has refused all answers:
 * "user@host: Permission denied (publickey,password)."  SERVER is the user@host
 * that was answered.  ANY_HOST: the user alone must be the same, since prompts
 * name HostKeyAlias where this line names the host.
 */
static bool
denial_matches(const char *line, const char *server, bool any_host)
{
	const char *end = strstr(line, ": Permission denied (");
	size_t len = end == NULL ? 0 : (size_t)(end - line);

	if (end == NULL || memchr(line, ' ', len) != NULL ||
	    strchr(end, ')') == NULL)
		return false;
	if (strlen(server) == len && memcmp(line, server, len) == 0)
		return true;
	len = strcspn(line, "@") + 1;
	return any_host &&
	       (server[0] == '\0' || strncmp(line, server, len) == 0);
}

/* ---- askpass server ------------------------------------------------------ */

#define PROMPT_SHOWN 200 /* bytes of a prompt in a log line */
#define REQUEST_MAX (PROMPT_MAX + 200)
#define REQUEST_WAIT_MS 10000 /* for a whole request */
#define COMMANDS_MAX REQUESTS_MAX
#define COMMAND_WAIT_MS 60000 /* for what AUTOSSH_PASSPHRASE=exec: prints */
#define COMMAND_GRACE_MS 3000 /* from SIGTERM to SIGKILL */
#define ANSWERS_MAX 32        /* in one life of ssh */
#define SERVER_ANSWERS_MAX 3  /* the same, to one server */
#define REFUSALS_LOGGED 32    /* the same, as errors */

/* A command that is to print a secret, and what it leaves running. */
struct secret_command {
	pid_t pid;   /* 0: this entry is free */
	bool group;  /* it leads a process group of its own */
	bool ended;  /* SIGTERM was sent */
	bool exited; /* with this wait status: */
	int status;
	int fd;           /* what it prints; -1: closed */
	int64_t deadline; /* when to send SIGTERM, then SIGKILL */
};

/* A helper that has connected with a prompt of ssh's. */
struct request {
	enum {
		REQUEST_READING,  /* only fd, deadline, text and len are set */
		REQUEST_COMPLETE, /* to be answered or refused */
		REQUEST_COMMAND,  /* its answer comes from command */
		REQUEST_HELD      /* open until ssh has been ended */
	} phase;
	int fd;
	int64_t deadline; /* REQUEST_READING: the end of the request */
	char text[REQUEST_MAX + 1]; /* as askpass_client_main() writes it; */
	size_t len;                 /* once it is complete, the prompt alone */
	pid_t asked_by;             /* the ssh that asks */
	enum prompt_kind kind;
	char server[SERVER_MAX + 1]; /* user@host, or "" */
	struct secret_command *command;
};

/* What was answered, as hashes that include the pid of the ssh that asked. */
struct answer {
	uint64_t prompt;
	uint64_t server; /* 0: none, it was for a key */
};

/* The part that answers ssh's prompts. */
struct askpass_server {
	const struct passphrase_source *from;
	const struct signals *signals;
	struct listener listener;
	pid_t ssh; /* the one that autossh started */
	struct secret_use use;
	/* in this life of ssh: */
	struct answer answers[ANSWERS_MAX];
	int nanswers;
	int64_t answered_at;         /* the last answer, in ms; 0: none yet */
	int64_t server_answered_at;  /* the last that ssh sent to its server */
	char server[SERVER_MAX + 1]; /* user@host of that one, or "" */
	int refusals;
	int nrequests;
	struct request requests[REQUESTS_MAX];
	struct secret_command commands[COMMANDS_MAX];
};

static bool
askpass_enabled(const struct askpass_server *a)
{
	return a->from->source != PASSPHRASE_NONE;
}

static void
askpass_init(struct askpass_server *a, const struct passphrase_source *from,
    const struct signals *signals)
{
	a->from = from;
	a->signals = signals;
	a->listener.fd = -1;
}

/* Makes the helper's socket and link in the private directory. */
static bool
askpass_bind(struct askpass_server *a, const char *self)
{
	struct address where;
	char link[PRIVATE_PATH_MAX];

	fd_close(&a->listener.fd);
	a->listener.fd = private_listen(&where, PRIVATE_SOCKET);
	private_name(PRIVATE_LINK, link);
	return a->listener.fd != -1 && symlink(self, link) == 0;
}

static void
command_signal(const struct secret_command *c, int sig)
{
	if (c->group)
		group_signal(c->pid, sig);
	else if (!c->exited)
		process_signal(c->pid, sig);
}

/* Ends the command, and its process group if it has one. */
static void
command_end(struct secret_command *c, int64_t now)
{
	if (c->pid == 0 || c->ended)
		return;
	command_signal(c, SIGTERM);
	c->ended = true;
	c->deadline = now + COMMAND_GRACE_MS;
}

/* Frees the entries of commands that have come to an end. */
static void
commands_run(struct askpass_server *a, int64_t now)
{
	struct secret_command *c;

	for (c = a->commands; c < a->commands + COMMANDS_MAX; c++) {
		if (c->pid == 0 || c->fd != -1)
			continue;
		/* what a shell leaves behind keeps its group's id in use */
		if (c->exited && !(c->group && killpg(c->pid, 0) == 0)) {
			c->pid = 0;
		} else if (now >= c->deadline && c->ended) {
			command_signal(c, SIGKILL);
			c->pid = 0;
		} else if (now >= c->deadline) {
			command_end(c, now);
		}
	}
}

/* What its command still prints is not read. */
static void
request_end_command(struct request *request)
{
	/* once closed, the buffer is the next command's */
	if (request->phase == REQUEST_COMMAND && request->command->fd != -1) {
		fd_close(&request->command->fd);
		explicit_bzero(secrets->used, sizeof(secrets->used));
	}
}

static void
request_drop(struct askpass_server *a, struct request *request)
{
	const struct request *end = a->requests + a->nrequests--;

	request_end_command(request);
	fd_close(&request->fd);
	memmove(request, request + 1,
	    (size_t)(end - request - 1) * sizeof(*request));
}

/* Child PID has been reaped with wait status STATUS. */
static void
askpass_reaped(struct askpass_server *a, pid_t pid, int status)
{
	struct secret_command *c;

	for (c = a->commands; c < a->commands + COMMANDS_MAX; c++) {
		if (c->pid == pid && !c->exited) {
			c->exited = true;
			c->status = status;
		}
	}
}

/*
 * ssh has gone: its prompts are void.  A jump host's ssh is its child and may
 * still wait for an answer; without one it would send an empty password, so it
 * is ended.
 */
static void
askpass_reset(struct askpass_server *a, int64_t now)
{
	struct request *request;
	int i;

	for (i = 0; i < COMMANDS_MAX; i++)
		command_end(&a->commands[i], now);
	while (a->nrequests > 0) {
		request = &a->requests[a->nrequests - 1];
		if (request->phase != REQUEST_READING &&
		    prompt_is_remote(request->kind) &&
		    request->asked_by != a->ssh)
			process_signal(request->asked_by, SIGTERM);
		request_drop(a, request);
	}
	a->nanswers = 0;
	a->answered_at = a->server_answered_at = 0;
	a->refusals = 0;
}

/* autossh exits: no command outlives it. */
static void
askpass_close(struct askpass_server *a)
{
	struct secret_command *c;

	for (c = a->commands; c < a->commands + COMMANDS_MAX; c++) {
		if (c->pid != 0)
			command_signal(c, SIGKILL);
	}
}

/*
 * Makes room for one more request: the oldest that is not complete goes.
 * Returns false if all are complete.
 */
static bool
askpass_room(struct askpass_server *a)
{
	int i;

	if (a->nrequests < REQUESTS_MAX)
		return true;
	for (i = 0; i < a->nrequests; i++) {
		if (a->requests[i].phase == REQUEST_READING) {
			request_drop(a, &a->requests[i]);
			return true;
		}
	}
	return false;
}

/* Accepts helpers of our own user. */
static void
askpass_accept(struct askpass_server *a, const struct waitset *set, int64_t now)
{
	struct request *request;
	uid_t uid;
	int i, fd;

	if (!listener_ready(&a->listener, set, now))
		return;
	for (i = 0; i < ACCEPTS_MAX; i++) {
		fd = listener_accept(&a->listener, now);
		if (fd == -1)
			return;
		if (!peer_uid(fd, &uid) || uid != geteuid() ||
		    !askpass_room(a)) {
			close(fd);
			continue;
		}
		request = &a->requests[a->nrequests++];
		memset(request, 0, sizeof(*request));
		request->fd = fd;
		request->deadline = now + REQUEST_WAIT_MS;
	}
}

/*
 * Reads more of what the helper sends: the pid of its ssh, SSH_ASKPASS_PROMPT
 * and the prompt, a line each; the prompt is all the rest.  Returns false if
 * the request is to be dropped.
 */
static bool
request_read(struct request *request)
{
	char *hint, *prompt;
	int64_t pid;
	ssize_t n = read(request->fd, request->text + request->len,
	    REQUEST_MAX - request->len);

	if (n == -1)
		return errno == EAGAIN || errno == EINTR;
	request->len += (size_t)n;
	if (n > 0)
		return request->len < REQUEST_MAX;
	request->text[request->len] = '\0';
	hint = strchr(request->text, '\n');
	prompt = hint == NULL ? NULL : strchr(hint + 1, '\n');
	if (prompt == NULL)
		return false;
	*hint++ = *prompt++ = '\0';
	if (!number_parse(request->text, 1, INT_MAX, &pid))
		return false;
	request->asked_by = (pid_t)pid;
	request->kind = prompt_classify(hint, prompt);
	(void)prompt_server(prompt, request->server);
	memmove(request->text, prompt, strlen(prompt) + 1);
	request->phase = REQUEST_COMPLETE;
	return true;
}

/* A number for TEXT in a prompt of the ssh PID (FNV-1a). */
static uint64_t
prompt_hash(pid_t pid, const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037) ^ (uint64_t)pid;

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return hash;
}

/* Hashes that tell the prompt and the server of REQUEST from others. */
static struct answer
request_hash(const struct request *request)
{
	struct answer mark = { 0, 0 };

	mark.prompt = prompt_hash(request->asked_by, request->text);
	if (request->kind == PROMPT_PASSWORD)
		mark.server = prompt_hash(request->asked_by, request->server);
	return mark;
}

/*
 * Whether earlier answers to this ssh have been wrong: it asks the same again,
 * or its server asks once more than any login takes.
 */
static bool
request_shows_rejection(
    const struct askpass_server *a, const struct request *request)
{
	struct answer mark = request_hash(request);
	int i, count = 0;

	for (i = 0; i < a->nanswers; i++) {
		if (a->answers[i].prompt == mark.prompt)
			return true;
		count +=
		    mark.server != 0 && a->answers[i].server == mark.server;
	}
	return count >= SERVER_ANSWERS_MAX || a->nanswers == ANSWERS_MAX;
}

/* Sends ANSWER and remembers that it was given. */
static void
request_answer(struct askpass_server *a, struct request *request,
    const char *answer, int64_t now)
{
	bool remote = request->kind == PROMPT_PASSWORD;

	a->answers[a->nanswers++] = request_hash(request);
	a->answered_at = now;
	if (remote && request->asked_by == a->ssh) {
		a->server_answered_at = now;
		memcpy(a->server, request->server, sizeof(a->server));
	}
	a->use.kind = remote ? USE_SERVER : USE_KEYS;
	a->use.jump = request->asked_by != a->ssh;
	memcpy(a->use.server, request->server, sizeof(a->use.server));
	(void)send(request->fd, answer, secret_length(answer), MSG_NOSIGNAL);
	request_drop(a, request);
}

/*
 * Logs why a prompt gets no answer.  ssh would send an empty password to the
 * server: such a prompt stays open until ssh has been ended.
 */
__attribute__((format(printf, 3, 4))) static enum event
request_refuse(
    struct askpass_server *a, struct request *request, const char *format, ...)
{
	bool remote = prompt_is_remote(request->kind);
	char why[TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, sizeof(why), format, ap);
	va_end(ap);
	/* a peer that asks and asks must not fill the log */
	log_msg(a->refusals++ < REFUSALS_LOGGED ? LOG_ERR : LOG_DEBUG,
	    "ssh asks \"%.*s\": not answered: %s%s", PROMPT_SHOWN,
	    request->text, why, remote ? "; ending ssh" : "");
	if (!remote) {
		request_drop(a, request);
		return EV_NONE;
	}
	request_end_command(request);
	request->phase = REQUEST_HELD;
	return EV_UNANSWERED;
}

/*
 * Starts the command that prints the secret.  Returns NULL, or what is wrong.
 * Where there is no terminal that it might use, the command gets a process
 * group of its own, so that its children can be ended with it.
 */
static const char *
command_start(struct askpass_server *a, struct request *request, int64_t now)
{
	struct secret_command *c = a->commands;
	int fds[2], tty;

	while (c < a->commands + COMMANDS_MAX && c->pid != 0)
		c++;
	if (c == a->commands + COMMANDS_MAX)
		return "too many earlier commands still run";
	if (pipe_open(fds) == -1)
		return strerror(errno);
	tty = terminal_open();
	memset(c, 0, sizeof(*c));
	c->group = tty == -1;
	fd_close(&tty);
	c->pid = process_fork(a->signals);
	if (c->pid == 0) {
		if (c->group)
			(void)setpgid(0, 0);
		if (setenv("AUTOSSH_PROMPT", request->text, 1) == 0 &&
		    dup2(fds[1], 1) != -1)
			execl("/bin/sh", "sh", "-c", a->from->argument,
			    "autossh", request->text, (char *)NULL);
		_exit(127);
	}
	fd_close(&fds[1]);
	if (c->pid == -1) {
		c->pid = 0;
		fd_close(&fds[0]);
		return strerror(errno);
	}
	if (c->group)
		(void)setpgid(c->pid, c->pid); /* whoever is first */
	c->fd = fds[0];
	c->deadline = now + COMMAND_WAIT_MS;
	request->command = c;
	request->phase = REQUEST_COMMAND;
	secrets->nused = 0;
	return NULL;
}

/* Refuses the request of a command that printed nothing, once it has exited. */
static enum event
command_failed(struct askpass_server *a, struct request *request)
{
	const struct secret_command *c = request->command;
	bool killed = WIFSIGNALED(c->status);

	if (!c->exited)
		return EV_NONE;
	return request_refuse(a, request, "the command printed nothing: %s %d",
	    killed ? "signal" : "exit status",
	    killed ? WTERMSIG(c->status) : WEXITSTATUS(c->status));
}

/* Reads what the command prints, up to the end of its first line. */
static enum event
command_read(struct askpass_server *a, struct request *request, int64_t now)
{
	struct secret_command *c = request->command;
	ssize_t n = read(
	    c->fd, secrets->used + secrets->nused, SECRET_MAX - secrets->nused);
	size_t len;

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return EV_NONE;
	if (n > 0)
		secrets->nused += (size_t)n;
	secrets->used[secrets->nused] = '\0';
	len = secret_length(secrets->used);
	if (len == SECRET_MAX)
		return request_refuse(
		    a, request, "the command's first line is too long");
	if (n > 0 && len == secrets->nused)
		return EV_NONE; /* there is more to come */
	if (n > 0 && secrets->used[len] == '\0')
		return request_refuse(
		    a, request, "the command's first line holds a NUL byte");
	if (n > 0 && len == 0)
		return request_refuse(
		    a, request, "the command's first line is empty");
	if (len == 0) {
		fd_close(&c->fd);
		return command_failed(a, request);
	}
	request_answer(a, request, secrets->used, now);
	return EV_NONE;
}

/* Follows the command that is to answer a request. */
static enum event
command_run(struct askpass_server *a, const struct waitset *set,
    struct request *request, int64_t now)
{
	struct secret_command *c = request->command;

	if (c->fd != -1 && waitset_ready(set, c->fd))
		return command_read(a, request, now);
	if (c->fd == -1 && c->exited)
		return command_failed(a, request);
	if (now < c->deadline)
		return EV_NONE;
	command_end(c, now);
	return request_refuse(a, request, "the command took longer than %d s",
	    COMMAND_WAIT_MS / 1000);
}

/* Whether a command may still print.  The next one waits: it has one buffer. */
static bool
command_prints(const struct askpass_server *a)
{
	int i;

	for (i = 0; i < COMMANDS_MAX; i++) {
		if (a->commands[i].pid != 0 && a->commands[i].fd != -1)
			return true;
	}
	return false;
}

/* Answers a prompt that may be answered, now or when a command has done so. */
static enum event
askpass_get(struct askpass_server *a, struct request *request, int64_t now)
{
	const char *wrong = NULL;

	switch (a->from->source) {
	case PASSPHRASE_NONE:
		break;
	case PASSPHRASE_ASK:
	case PASSPHRASE_FD:
		request_answer(a, request, secrets->kept, now);
		break;
	case PASSPHRASE_FILE:
		wrong = passphrase_file(a->from->argument);
		if (wrong == NULL)
			request_answer(a, request, secrets->used, now);
		explicit_bzero(secrets->used, sizeof(secrets->used));
		if (wrong != NULL)
			return request_refuse(a, request,
			    "AUTOSSH_PASSPHRASE=file:%s: %s", a->from->argument,
			    wrong);
		break;
	case PASSPHRASE_EXEC:
		if (!command_prints(a))
			wrong = command_start(a, request, now);
		if (wrong != NULL)
			return request_refuse(
			    a, request, "cannot run the command: %s", wrong);
		break;
	}
	return EV_NONE;
}

/* Answers or refuses a complete request. */
static enum event
request_handle(struct askpass_server *a, struct request *request, int64_t now)
{
	bool jump = request->asked_by != a->ssh;
	const char *wrong = NULL;

	if (request->kind == PROMPT_NOTICE) {
		log_msg(
		    LOG_INFO, "ssh says: %.*s", PROMPT_SHOWN, request->text);
		request_drop(a, request);
		return EV_NONE;
	}
	if (request->kind == PROMPT_LOCAL)
		return request_refuse(a, request,
		    "autossh answers only for a passphrase, password or PIN; "
		    "run ssh once by hand, without autossh");
	if (request->kind == PROMPT_SERVER)
		return request_refuse(
		    a, request, "only passwords and PINs are sent to a server");
	/* a command is told the prompt, and decides for itself */
	if (a->from->source != PASSPHRASE_EXEC)
		wrong = secret_use_refusal(
		    &a->use, request->kind, request->server, jump);
	if (wrong != NULL)
		return request_refuse(a, request, "%s", wrong);
	if (request_shows_rejection(a, request)) {
		request->phase = REQUEST_HELD;
		return EV_REJECTED;
	}
	return askpass_get(a, request, now);
}

/* Handles what a client or its command sends, its end, and its timeout. */
static enum event
request_run(struct askpass_server *a, const struct waitset *set,
    struct request *request, int64_t now)
{
	short ready = waitset_ready(set, request->fd);

	if (request->phase == REQUEST_READING) {
		if ((ready && !request_read(request)) ||
		    now >= request->deadline)
			request_drop(a, request);
	} else if (ready) { /* its ssh has gone */
		if (request->phase == REQUEST_COMMAND)
			command_end(request->command, now);
		request_drop(a, request);
	} else if (request->phase == REQUEST_COMMAND) {
		return command_run(a, set, request, now);
	}
	return EV_NONE;
}

static void
askpass_prepare(const struct askpass_server *a, struct waitset *set)
{
	const struct secret_command *c;
	int i;

	listener_prepare(&a->listener, set);
	for (i = 0; i < a->nrequests; i++) {
		if (a->requests[i].phase == REQUEST_READING) {
			waitset_fd(set, a->requests[i].fd, POLLIN);
			waitset_until(set, a->requests[i].deadline);
		} else { /* it can only hang up */
			waitset_fd(set, a->requests[i].fd, 0);
		}
	}
	for (c = a->commands; c < a->commands + COMMANDS_MAX; c++) {
		if (c->pid == 0)
			continue;
		waitset_fd(set, c->fd, POLLIN);
		waitset_until(set, c->deadline);
	}
}

/*
 * EV_REJECTED: a prompt shows that the last answer was wrong, and it must not
 * be given again.  EV_UNANSWERED: a server's prompt cannot be answered.  In
 * both cases the prompt stays open until ssh has been ended.
 */
static enum event
askpass_run(struct askpass_server *a, const struct waitset *set, int64_t now)
{
	enum event ev, event = EV_NONE;
	int i;

	for (i = a->nrequests - 1; i >= 0; i--) {
		ev = request_run(a, set, &a->requests[i], now);
		event = ev > event ? ev : event;
	}
	for (i = a->nrequests - 1; i >= 0; i--) {
		if (a->requests[i].phase != REQUEST_COMPLETE)
			continue;
		ev = request_handle(a, &a->requests[i], now);
		event = ev > event ? ev : event;
	}
	commands_run(a, now);
	askpass_accept(a, set, now);
	return event;
}

/* ---- askpass client ------------------------------------------------------ */

/* Whether autossh was started as the helper, under the name NAME. */
static bool
askpass_client_called(const char *name)
{
	const char *slash = name == NULL ? NULL : strrchr(name, '/');

	return slash != NULL && strcmp(slash + 1, PRIVATE_LINK) == 0;
}

/* Connects to the socket beside the link that autossh was started by. */
static int
askpass_client_connect(const char *name)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%.*s%s",
	    (int)(strlen(name) - strlen(PRIVATE_LINK)), name, PRIVATE_SOCKET);

	if (fd == -1 || n >= (int)sizeof(sun.sun_path) ||
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		return -1;
	return fd;
}

/*
 * Sends ssh's prompt to the supervisor and prints the answer.  This is a
 * process of its own, which ssh waits for: it may block.  It dies with its ssh,
 * so that the supervisor notices.  Returns the exit status.
 */
static int
askpass_client_main(const char *name, const char *prompt)
{
	const char *hint = getenv("SSH_ASKPASS_PROMPT");
	char text[REQUEST_MAX], answer[SECRET_MAX + 2];
	size_t n = 0;
	ssize_t got = 0;
	int len, fd;

	disable_tracing();
	set_pdeathsig();
	(void)signal(SIGPIPE, SIG_IGN);
	fd = askpass_client_connect(name);
	/* one byte more than may be answered */
	len = snprintf(text, sizeof(text), "%ld\n%.20s\n%.*s", (long)getppid(),
	    hint != NULL ? hint : "", PROMPT_MAX + 1,
	    prompt != NULL ? prompt : "");
	if (fd == -1 || write(fd, text, (size_t)len) != len ||
	    shutdown(fd, SHUT_WR) == -1)
		return 1;
	while (
	    n < SECRET_MAX && (got = read(fd, answer + n, SECRET_MAX - n)) > 0)
		n += (size_t)got;
	if (n == 0)
		return hint != NULL && strcmp(hint, "none") == 0 ? 0 : 1;
	answer[n++] = '\n';
	got = write(1, answer, n);
	explicit_bzero(answer, sizeof(answer));
	return got == (ssize_t)n ? 0 : 1;
}

/* ---- ssh's stderr -------------------------------------------------------- */

#define STDERR_LINE_MAX 512 /* bytes of a line of ssh's that are kept */
#define STDERR_LINES_MAX 50 /* lines of each kind that are logged, in */
#define STDERR_WINDOW_MS 60000
#define STDERR_RECENT_MS 2000 /* what ssh says before it ends is why */

enum stderr_kind {
	STDERR_OTHER,
	STDERR_VERBOSE, /* of -v */
	STDERR_NOTICE,  /* no reason for anything */
	STDERR_FORWARD, /* a forwarding could not be set up */
	STDERR_TELLING, /* names a cause that can be fixed */
	STDERR_CLOSED   /* the server hung up before the login */
};

/* ssh's standard error.  One pipe serves every ssh. */
struct ssh_stderr {
	int read_fd, write_fd; /* -1: ssh has the caller's */
	char line[STDERR_LINE_MAX];
	size_t len;

	/* of this ssh */
	char monitor_port[8];       /* on the server, or "" */
	char last[STDERR_LINE_MAX]; /* the last line, but for -v's */
	bool last_own;   /* it ends in CR LF, as what ssh itself says does */
	int64_t last_at; /* when it came, in ms */
	char words[STDERR_LINE_MAX]; /* the last line that may be a reason */
	int64_t words_at;
	bool forward_failed; /* ssh could not set up a forwarding */

	/* why the tunnel is down; until an ssh has logged in */
	char reason[STDERR_LINE_MAX];

	bool advised_closed, advised_forward;
	int64_t window; /* end of the minute that is counted; 0: none */
	struct {
		int written, suppressed; /* lines in this minute */
	} counts[2];                     /* [1]: of -v */
};

static void
ssh_stderr_init(struct ssh_stderr *y)
{
	memset(y, 0, sizeof(*y));
	y->read_fd = y->write_fd = -1;
}

static void
ssh_stderr_open(struct ssh_stderr *y)
{
	int fds[2];

	if (pipe_open(fds) == -1)
		die("cannot make a pipe: %s", strerror(errno));
	/* ssh's end blocks, or ssh would lose what it says in a rush */
	(void)fcntl(fds[1], F_SETFL, 0);
	y->read_fd = fds[0];
	y->write_fd = fds[1];
}

/* What a line of ssh's says (ssh.c, sshconnect.c, sshconnect2.c, kex.c). */
static enum stderr_kind
stderr_classify(const char *line)
{
	static const struct {
		const char *text;
		bool begins; /* the line; else it may stand anywhere */
		enum stderr_kind kind;
	} table[] = {
		{ "debug1: ", true, STDERR_VERBOSE },
		{ "debug2: ", true, STDERR_VERBOSE },
		{ "debug3: ", true, STDERR_VERBOSE },
		{ "Warning: Permanently added ", true, STDERR_NOTICE },
		{ "** ", true, STDERR_NOTICE }, /* key exchange, OpenSSH 10 */
		{ "remote port forwarding failed for listen", false,
		    STDERR_FORWARD },
		{ "Could not request local forwarding", false, STDERR_FORWARD },
		{ "Permission denied (", false, STDERR_TELLING },
		{ "Too many authentication failures", false, STDERR_TELLING },
		{ "Host key verification failed", false, STDERR_TELLING },
		{ "Could not resolve hostname", false, STDERR_TELLING },
		{ "Unable to negotiate with", false, STDERR_TELLING },
		{ "Connection closed by ", true, STDERR_CLOSED },
		{ "Connection reset by ", true, STDERR_CLOSED },
		{ "kex_exchange_identification: ", true, STDERR_CLOSED },
		{ "banner exchange: ", true, STDERR_CLOSED },
	};
	const char *found;
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		found = strstr(line, table[i].text);
		if (found == line || (found != NULL && !table[i].begins))
			return table[i].kind;
	}
	return STDERR_OTHER;
}

/* Begins to count anew, and logs how many lines were too many. */
static void
ssh_stderr_new_window(struct ssh_stderr *y)
{
	int suppressed = y->counts[0].suppressed + y->counts[1].suppressed;

	if (suppressed > 0)
		log_msg(LOG_INFO, "ssh: %d more lines suppressed", suppressed);
	y->window = 0;
	memset(y->counts, 0, sizeof(y->counts));
}

/* Logs LINE, unless there are too many.  OF_MONITOR: it names our own port. */
static void
ssh_stderr_log(struct ssh_stderr *y, const char *line, bool verbose,
    bool of_monitor, int64_t now)
{
	if (y->window == 0)
		y->window = now + STDERR_WINDOW_MS;
	if (y->counts[verbose].written == STDERR_LINES_MAX) {
		y->counts[verbose].suppressed++;
		return;
	}
	y->counts[verbose].written++;
	log_msg(LOG_INFO, "%s%s%s",
	    strncmp(line, "ssh: ", 5) == 0 ? "" : "ssh: ", line,
	    of_monitor ? " (the monitor's own port)" : "");
}

static void
ssh_stderr_end_line(struct ssh_stderr *y, int64_t now)
{
	char line[STDERR_LINE_MAX];
	bool own = y->len > 0 && y->line[y->len - 1] == '\r';
	bool of_monitor;
	enum stderr_kind kind;

	while (y->len > 0 && strchr("\r ", y->line[y->len - 1]) != NULL)
		y->len--;
	y->line[y->len] = '\0';
	if (y->len == 0)
		return;
	y->len = 0;
	escape(y->line, line, sizeof(line));
	kind = stderr_classify(line);
	of_monitor = text_has(line, y->monitor_port, isdigit);
	ssh_stderr_log(y, line, kind == STDERR_VERBOSE, of_monitor, now);
	if (kind == STDERR_VERBOSE)
		return;
	memcpy(y->last, line, sizeof(y->last));
	y->last_own = own;
	y->last_at = now;
	if (kind == STDERR_FORWARD && !of_monitor)
		y->forward_failed = true;
	/* the reason, not the end of the connection that followed from it */
	if (kind == STDERR_NOTICE ||
	    (kind == STDERR_CLOSED &&
		stderr_classify(y->words) == STDERR_TELLING &&
		now - y->words_at <= STDERR_RECENT_MS))
		return;
	memcpy(y->words, line, sizeof(y->words));
	y->words_at = now;
}

static void
ssh_stderr_take(struct ssh_stderr *y, const char *bytes, size_t n, int64_t now)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (bytes[i] == '\n')
			ssh_stderr_end_line(y, now);
		else if (y->len < sizeof(y->line) - 1) /* or it is cut */
			y->line[y->len++] = bytes[i] == '\0' ? '?' : bytes[i];
	}
}

static void
ssh_stderr_prepare(const struct ssh_stderr *y, struct waitset *set)
{
	waitset_fd(set, y->read_fd, POLLIN);
	if (y->counts[0].suppressed > 0 || y->counts[1].suppressed > 0)
		waitset_until(set, y->window);
}

/* Reads what ssh has said, but no more than a pipe holds: others wait too. */
static void
ssh_stderr_run(struct ssh_stderr *y, int64_t now)
{
	char bytes[1024];
	ssize_t n;
	int i;

	if (y->window != 0 && now >= y->window)
		ssh_stderr_new_window(y);
	if (y->read_fd == -1)
		return;
	for (i = 0; i < 64; i++) {
		n = read(y->read_fd, bytes, sizeof(bytes));
		if (n <= 0)
			return;
		ssh_stderr_take(y, bytes, (size_t)n, now);
	}
}

/* A new ssh has said nothing yet.  MONITOR_PORT: on the server, or "". */
static void
ssh_stderr_start(struct ssh_stderr *y, const char *monitor_port)
{
	snprintf(y->monitor_port, sizeof(y->monitor_port), "%s", monitor_port);
	y->last[0] = y->words[0] = '\0';
	y->forward_failed = false;
}

/* Reads the rest of what a dead ssh has written. */
static void
ssh_stderr_reset(struct ssh_stderr *y, int64_t now)
{
	ssh_stderr_run(y, now);
	ssh_stderr_end_line(y, now);
}

/*
 * The tunnel is down: records ssh's last message as the reason, unless it is
 * older than SINCE (ms).  A telling reason is kept if the connection was merely
 * closed, since sshd's penalties then hide the cause.
 */
static void
ssh_stderr_explain(struct ssh_stderr *y, int64_t since)
{
	bool fresh = y->words[0] != '\0' && y->words_at >= since;
	bool closed = fresh && stderr_classify(y->words) == STDERR_CLOSED;

	if (closed && !y->advised_closed) {
		log_msg(LOG_INFO,
		    "the server may be refusing this address for a while: see "
		    "PerSourcePenalties and MaxStartups in sshd_config(5)");
		y->advised_closed = true;
	}
	if (stderr_classify(y->reason) == STDERR_TELLING && (closed || !fresh))
		return;
	snprintf(y->reason, sizeof(y->reason), "%s", fresh ? y->words : "");
}

/* The tunnel is up: says, once, that ssh went on without a forwarding. */
static void
ssh_stderr_advise_forward(struct ssh_stderr *y)
{
	if (!y->forward_failed || y->advised_forward)
		return;
	log_msg(LOG_INFO, "ssh goes on without that forwarding; with "
			  "-o ExitOnForwardFailure=yes it would exit and be "
			  "started again");
	y->advised_forward = true;
}

/* ---- service manager ---------------------------------------------------- */

#define NOTIFY_RETRY_MS 1000 /* without room, before telling again */

/* The service manager (sd_notify(3)). */
struct notify {
	int fd; /* -1: nobody is to be told */
	struct sockaddr_un where;
	socklen_t len;
	int64_t watchdog_ms; /* 0: nobody watches */
	int64_t watchdog_due;
	bool ready;          /* it was told that the tunnel is up */
	bool stopping;       /* it was told that the end has come */
	char pending[64];    /* a message that must not be lost; "": none */
	int64_t pending_due; /* when to send it again */
};

/*
 * Tells the service manager.  Returns false if its queue is full; other errors
 * are ignored.
 */
__attribute__((format(printf, 2, 3))) static bool
notify_send(const struct notify *n, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	if (n->fd == -1)
		return true;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return sendto(n->fd, text, strlen(text), MSG_NOSIGNAL,
		   (const struct sockaddr *)&n->where, n->len) != -1 ||
	       (errno != EAGAIN && errno != ENOBUFS);
}

/* Tells it what must not be lost: TEXT, later if there is no room now. */
static void
notify_queue(struct notify *n, const char *text)
{
	size_t len = strlen(n->pending);

	if (len == 0 && notify_send(n, "%s", text))
		return;
	snprintf(n->pending + len, sizeof(n->pending) - len, "%s%s",
	    len > 0 ? "\n" : "", text);
}

/*
 * Reads where to report.  WATCHDOG_PID names whom the watchdog watches: us, or
 * with -f the process that the service manager started, MAIN_PID.
 */
static void
notify_open(struct notify *n, pid_t main_pid)
{
	const char *path = getenv("NOTIFY_SOCKET");
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	int64_t number;

	n->fd = -1;
	if (path == NULL || (path[0] != '/' && path[0] != '@') ||
	    strlen(path) >= sizeof(n->where.sun_path))
		return;
	n->where.sun_family = AF_UNIX;
	memcpy(n->where.sun_path, path, strlen(path));
	n->len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@')
		n->where.sun_path[0] = '\0'; /* an abstract name (Linux) */
	n->fd = socket_open(AF_UNIX, SOCK_DGRAM);
	if (usec == NULL || !number_parse(usec, 1, INT64_MAX / 100, &number))
		return;
	/* at least every half of it (sd_notify(3)); a third leaves room */
	n->watchdog_ms = number < 3000 ? 1 : number / 3000;
	if (pid != NULL && number_parse(pid, 1, INT_MAX, &number) &&
	    number != main_pid)
		n->watchdog_ms = 0;
}

static void
notify_prepare(const struct notify *n, struct waitset *set)
{
	if (n->watchdog_ms > 0)
		waitset_until(set, n->watchdog_due);
	if (n->pending[0] != '\0')
		waitset_until(set, n->pending_due);
}

/* Sends WATCHDOG=1 when it is due, and what is pending. */
static void
notify_run(struct notify *n, int64_t now)
{
	if (n->pending[0] != '\0' && now >= n->pending_due) {
		if (notify_send(n, "%s", n->pending))
			n->pending[0] = '\0';
		n->pending_due = now + NOTIFY_RETRY_MS;
	}
	if (n->watchdog_ms == 0 || now < n->watchdog_due)
		return;
	(void)notify_send(n, "WATCHDOG=1");
	n->watchdog_due = now + n->watchdog_ms;
}

static void
notify_ready(struct notify *n)
{
	if (!n->ready)
		notify_queue(n, "READY=1");
	n->ready = true;
}

static void
notify_stopping(struct notify *n)
{
	if (!n->stopping)
		(void)notify_send(n, "STOPPING=1");
	n->stopping = true;
}

/* ---- status text, metrics ------------------------------------------------ */

#define LABEL_MAX 256
#define METRICS_MAX (9 * (2 * LABEL_MAX + 256))

/* A snapshot of the supervisor.  Times of the wall clock, in ms. */
struct status {
	enum state state;
	bool testing; /* a test is under way */
	bool passed;  /* a test of this ssh has passed */
	bool refused; /* the last test was refused */
	pid_t pid;
	int64_t since_ms;    /* how long this ssh has run */
	int64_t start_in_ms; /* WAITING: until the next start */
	int64_t test_in_ms;  /* until the next test; NEVER */
	const char *reason;  /* what ssh said of why it is down, or "" */
	struct metrics {
		int64_t up;
		int64_t monitored;
		int64_t starts;
		int64_t started_wall; /* 0: never */
		int64_t tests;
		int64_t failures;
		int64_t round_trip_ms;   /* -1: no test has passed */
		int64_t passed_wall;     /* 0: no test has passed */
		int64_t next_start_wall; /* 0: none is due */
	} metrics;
};

static const struct metric {
	const char *name, *type, *help;
	bool seconds; /* is kept in ms */
	size_t offset;
} metrics_table[] = {
#define AT(member) offsetof(struct metrics, member)
	{ "autossh_up", "gauge", "Whether the tunnel is known to be up.", false,
	    AT(up) },
	{ "autossh_monitored", "gauge",
	    "1 if autossh_up is the result of tests, 0 if it only means that "
	    "ssh runs.",
	    false, AT(monitored) },
	{ "autossh_starts_total", "counter", "Starts of ssh.", false,
	    AT(starts) },
	{ "autossh_start_timestamp_seconds", "gauge",
	    "When ssh was last started.", true, AT(started_wall) },
	{ "autossh_tests_total", "counter", "Completed tests.", false,
	    AT(tests) },
	{ "autossh_test_failures_total", "counter", "Failed tests.", false,
	    AT(failures) },
	{ "autossh_last_test_seconds", "gauge",
	    "Round trip of the last test that passed.", true,
	    AT(round_trip_ms) },
	{ "autossh_last_test_timestamp_seconds", "gauge",
	    "When a test last passed.", true, AT(passed_wall) },
	{ "autossh_next_start_timestamp_seconds", "gauge",
	    "When ssh is due to be started; 0: no start is due.", true,
	    AT(next_start_wall) },
#undef AT
};

/*
 * Writes DESTINATION as the value of a label.  Prometheus takes any UTF-8 and
 * rejects the whole file for a byte that is not.
 */
static void
label_text(const char *destination, char buf[2 * LABEL_MAX])
{
	char text[LABEL_MAX];
	const char *p;
	size_t n = 0;

	for (p = escape(destination, text, sizeof(text)); *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			buf[n++] = '\\';
		buf[n++] = *p;
	}
	buf[n] = '\0';
}

/* Writes all metrics in the Prometheus text format. */
static void
metrics_text(
    const struct metrics *st, const char *destination, char *buf, size_t size)
{
	char label[2 * LABEL_MAX];
	const struct metric *m;
	int64_t value;
	size_t i, n = 0;

	label_text(destination, label);
	for (i = 0; i < COUNT(metrics_table); i++) {
		m = &metrics_table[i];
		memcpy(&value, (const char *)st + m->offset, sizeof(value));
		n += (size_t)snprintf(buf + n, size - n,
		    "# HELP %s %s\n# TYPE %s %s\n%s{destination=\"%s\"} ",
		    m->name, m->help, m->name, m->type, m->name, label);
		if (value < 0)
			n += (size_t)snprintf(buf + n, size - n, "NaN\n");
		else if (m->seconds)
			n += (size_t)snprintf(buf + n, size - n,
			    "%" PRId64 ".%03d\n", value / 1000,
			    (int)(value % 1000));
		else
			n += (size_t)snprintf(
			    buf + n, size - n, "%" PRId64 "\n", value);
	}
}

/* Writes a length of time for people: 3d04h, 2h05m, 1m30s, 7s. */
static const char *
span_text(int64_t ms, char buf[32])
{
	int64_t s = ms < 0 ? 0 : ms / 1000;

	if (s >= 86400)
		snprintf(buf, 32, "%" PRId64 "d%02dh", s / 86400,
		    (int)(s % 86400 / 3600));
	else if (s >= 3600)
		snprintf(
		    buf, 32, "%dh%02dm", (int)(s / 3600), (int)(s % 3600 / 60));
	else if (s >= 60)
		snprintf(buf, 32, "%dm%02ds", (int)(s / 60), (int)(s % 60));
	else
		snprintf(buf, 32, "%ds", (int)s);
	return buf;
}

/* Writes REASON to BUF as " (ssh: REASON)", or nothing if it is empty. */
static const char *
reason_text(const char *reason, char buf[STDERR_LINE_MAX + 16])
{
	buf[0] = '\0';
	if (reason[0] != '\0')
		snprintf(buf, STDERR_LINE_MAX + 16, " (%s%s)",
		    strncmp(reason, "ssh: ", 5) == 0 ? "" : "ssh: ", reason);
	return buf;
}

/* One line for the service manager: nothing that changes by itself. */
static void
status_summary(const struct status *st, char *buf, size_t size)
{
	char why[STDERR_LINE_MAX + 16];

	reason_text(st->reason, why);
	if (st->state == DONE)
		snprintf(buf, size, "stopped");
	else if (st->state == WAITING && st->start_in_ms <= 0)
		snprintf(buf, size, "starting ssh (start %" PRId64 ")%s",
		    st->metrics.starts + 1, why);
	else if (st->state == WAITING)
		snprintf(buf, size,
		    "down, start %" PRId64 " in %" PRId64 " s%s",
		    st->metrics.starts + 1, (st->start_in_ms + 999) / 1000,
		    why);
	else
		snprintf(buf, size, "%s, ssh pid %ld (start %" PRId64 ")%s",
		    st->state == STOPPING ? "ending"
		    : st->metrics.up      ? "up"
					  : "started",
		    (long)st->pid, st->metrics.starts, why);
}

/* The answer to SIGUSR2. */
static void
status_text(const struct status *st, char *buf, size_t size)
{
	time_t passed_wall = (time_t)(st->metrics.passed_wall / 1000);
	char span[32], test[64] = "", next[64] = "", clock[16];
	char why[STDERR_LINE_MAX + 16];
	struct tm tm;

	if (st->state != RUNNING) {
		status_summary(st, buf, size);
		return;
	}
	if (!st->metrics.monitored)
		snprintf(test, sizeof(test), ", not monitored");
	else if (st->refused)
		snprintf(test, sizeof(test), ", the server refuses tests");
	else if (!st->passed)
		snprintf(test, sizeof(test), ", no test has passed yet");
	else if (localtime_r(&passed_wall, &tm) != NULL &&
		 strftime(clock, sizeof(clock), "%H:%M:%S", &tm) > 0)
		snprintf(test, sizeof(test), ", last test %" PRId64 " ms at %s",
		    st->metrics.round_trip_ms, clock);
	if (st->testing)
		snprintf(next, sizeof(next), ", testing now");
	else if (st->test_in_ms != NEVER)
		snprintf(next, sizeof(next), ", next in %" PRId64 " s",
		    (st->test_in_ms + 999) / 1000);
	snprintf(buf, size, "%s %s, ssh pid %ld (start %" PRId64 ")%s%s%s",
	    st->metrics.up ? "up" : "started", span_text(st->since_ms, span),
	    (long)st->pid, st->metrics.starts, test, next,
	    reason_text(st->reason, why));
}

/* ---- pidfile and background -------------------------------------------- */

/* The exit handler removes it, and has no argument. */
static struct {
	struct entry entry;
	int fd; /* keeps its inode from being given to another file; or -1 */
} pidfile = { .entry.dirfd = -1, .fd = -1 };

/*
 * Whether the pidfile is still the one that was written, and not written over
 * by another program.  Opens nothing, and needs no permission to read it.
 */
static bool
pidfile_ours(void)
{
	char text[24], mine[24];
	struct stat st, own;
	ssize_t n;

	if (pidfile.fd == -1 || fstat(pidfile.fd, &own) == -1 ||
	    fstatat(pidfile.entry.dirfd, pidfile.entry.name, &st,
		AT_SYMLINK_NOFOLLOW) == -1 ||
	    st.st_dev != own.st_dev || st.st_ino != own.st_ino)
		return false;
	n = pread(pidfile.fd, text, sizeof(text) - 1, 0);
	if (n == -1)
		return true; /* open for writing only */
	text[n] = '\0';
	snprintf(mine, sizeof(mine), "%ld\n", (long)getpid());
	return strcmp(text, mine) == 0;
}

static void
pidfile_remove(void)
{
	if (pidfile_ours())
		(void)unlinkat(pidfile.entry.dirfd, pidfile.entry.name, 0);
	fd_close(&pidfile.fd);
	fd_close(&pidfile.entry.dirfd);
}

/* Updates the pidfile's time, for whoever watches it. */
static void
pidfile_touch(void)
{
	if (pidfile_ours())
		(void)futimens(pidfile.fd, NULL);
}

/* Warns if the pidfile has the number of another autossh that runs. */
static void
pidfile_check(const char *path)
{
	char text[24], comm[48], name[32], own[32], shown[VALUE_SHOWN + 4];
	int64_t pid;

	if (!read_line(
		pidfile.entry.dirfd, pidfile.entry.name, text, sizeof(text)) ||
	    !number_parse(text, 2, INT_MAX, &pid) || pid == getpid())
		return;
	snprintf(comm, sizeof(comm), "/proc/%" PRId64 "/comm", pid);
	if (read_line(AT_FDCWD, comm, name, sizeof(name)) &&
	    read_line(AT_FDCWD, "/proc/self/comm", own, sizeof(own)) &&
	    strcmp(name, own) == 0)
		log_msg(LOG_WARNING,
		    "pid file \"%s\" belongs to another running autossh, "
		    "pid %" PRId64 "; it is replaced",
		    quote(path, shown), pid);
}

static void
pidfile_write(const char *path)
{
	char text[24], shown[VALUE_SHOWN + 4];
	struct stat st;

	snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (entry_open(&pidfile.entry, path)) {
		pidfile_check(path);
		pidfile.fd = write_atomic(&pidfile.entry, text);
	}
	if (pidfile.fd == -1)
		die("cannot write pid file \"%s\": %s", quote(path, shown),
		    strerror(errno));
	/* a FIFO or device is not ours to remove */
	if (fstat(pidfile.fd, &st) == -1 || !S_ISREG(st.st_mode))
		fd_close(&pidfile.fd);
}

static volatile sig_atomic_t background_signal; /* that was caught, or 0 */

static void
background_note(int sig)
{
	background_signal = sig;
}

/*
 * Waits for the background process CHILD to say on descriptor 0 that it is set
 * up, or to end, and exits with its status.  A signal that would kill this
 * process ends the child first, unless it is set up: where the status is not 0,
 * no tunnel is left.  Signals are blocked except during the wait, which uses
 * MASK.
 */
__attribute__((noreturn)) static void
background_await(
    pid_t child, const struct signals *restored, const sigset_t *mask)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGQUIT, SIGABRT, SIGHUP,
		SIGUSR1, SIGUSR2 };
	fd_set set;
	char byte;
	size_t i;
	int status = 0;

	for (i = 0; i < COUNT(sigs); i++) {
		if (!sigismember(&restored->ignored, sigs[i]))
			signal_set(sigs[i], background_note);
	}
	(void)fcntl(0, F_SETFL, O_NONBLOCK);
	do {
		FD_ZERO(&set);
		FD_SET(0, &set);
	} while (pselect(1, &set, NULL, NULL, NULL, mask) == -1 &&
		 background_signal == 0);
	if (read(0, &byte, 1) == 1)
		exit(0);
	if (background_signal != 0)
		process_signal(child, SIGTERM);
	while (waitpid(child, &status, 0) == -1 && errno == EINTR)
		;
	if (background_signal != 0) {
		signal_set(background_signal, SIG_DFL);
		sigprocmask(SIG_SETMASK, mask, NULL);
		(void)raise(background_signal);
	}
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/*
 * Goes on in a background process with a session of its own.  The caller's
 * standard error stays known to the log until background_ready().  Returns the
 * descriptor to pass to that.
 */
static int
background_start(const struct signals *signals)
{
	struct signals restored = *signals;
	sigset_t mask;
	int fds[2], null, stderr_fd;
	pid_t child;

	if (pipe(fds) == -1 || (null = open("/dev/null", O_RDWR)) == -1 ||
	    (stderr_fd = fcntl(2, F_DUPFD_CLOEXEC, 3)) == -1 ||
	    (child = fork()) == -1)
		die("cannot go to the background: %s", strerror(errno));
	if (child > 0) {
		secrets_wipe();
		close(fds[1]);
		dup2(fds[0], 0); /* below FD_SETSIZE, for pselect(2) */
		/* what is pending stays so: it was sent to autossh */
		sigprocmask(SIG_SETMASK, NULL, &mask);
		sigfillset(&restored.mask);
		/* where it is ignored, a child leaves no status */
		sigdelset(&restored.ignored, SIGCHLD);
		signals_restore(&restored);
		background_await(child, &restored, &mask);
	}
	logger.stderr_fd = stderr_fd;
	close(fds[0]);
	(void)setsid();
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	close(null);
	return fd_cloexec_nonblock(fds[1]);
}

/*
 * Lets the caller go, and leaves its standard error.  Returns false if it has
 * gone already, ended by a signal.
 */
static bool
background_ready(int *fd)
{
	bool there = write(*fd, "", 1) == 1;

	fd_close(fd);
	fd_close(&logger.stderr_fd);
	return there;
}

/* ---- ssh process --------------------------------------------------------- */

/* The most words that ssh_set_argv() adds: program, -N, forwardings, NULL. */
#define SSH_WORDS_ADDED 7

/* The present ssh.  Reset when it has been reaped. */
struct ssh {
	pid_t pid;           /* -1: none */
	int64_t started;     /* ms */
	int status;          /* of waitpid(2), once it is gone */
	int exec_fd;         /* reports exec(2); -1: it has */
	int exec_error;      /* errno of a failed exec(2), else 0 */
	bool up;             /* the tunnel is known to be up */
	bool killed;         /* SIGKILL was sent */
	int64_t suspend_due; /* when to stop, as ssh has stopped; NEVER */
};

/* Says why PROGRAM could not be executed: ERROR is an errno. */
static void
ssh_log_error(const char *program, int error)
{
	char shown[VALUE_SHOWN + 4];

	log_msg(LOG_ERR, "cannot run ssh \"%s\": %s", quote(program, shown),
	    strerror(error));
}

static void
ssh_reset(struct ssh *ssh)
{
	memset(ssh, 0, sizeof(*ssh));
	ssh->pid = ssh->exec_fd = -1;
	ssh->suspend_due = NEVER;
}

static void
ssh_prepare(const struct ssh *ssh, struct waitset *set)
{
	waitset_fd(set, ssh->exec_fd, POLLIN);
	waitset_until(set, ssh->suspend_due);
}

/* Reads what became of exec(2).  EV_EXECUTED: ssh runs. */
static enum event
ssh_run(struct ssh *ssh, int64_t now)
{
	ssize_t n;

	if (now >= ssh->suspend_due) {
		ssh->suspend_due = NEVER;
		(void)raise(SIGTSTP);
	}
	if (ssh->exec_fd == -1)
		return EV_NONE;
	n = read(ssh->exec_fd, &ssh->exec_error, sizeof(ssh->exec_error));
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return EV_NONE;
	fd_close(&ssh->exec_fd);
	return n == 0 ? EV_EXECUTED : EV_NONE;
}

/*
 * Puts ssh's arguments together in ARGV, which has room for the words of C and
 * SSH_WORDS_ADDED.  The forwardings stand where -M stood; first, if the port
 * comes from the environment.
 */
static void
ssh_set_argv(char **argv, const struct settings *set, const struct cmdline *c,
    struct forwards *f)
{
	static char no_command[] = "-N";
	bool question = c->action == CMDLINE_QUESTION;
	int at = set->port_from == FROM_ENVIRONMENT ? 0 : c->forwards_at;
	int i, n = 0;

	argv[n++] = (char *)(uintptr_t)set->path;
	for (i = 0; i <= c->nwords; i++) {
		if (i == at && !question)
			n += forwards_words(f, argv + n);
		if (i == 0 && set->ntservice && !c->no_command && !question)
			argv[n++] = no_command;
		if (i < c->nwords)
			argv[n++] = c->words[i];
	}
	argv[n] = NULL;
}

/*
 * In the child: executes ssh with STDERR_FD as its standard error (-1: the
 * caller's) and, unless HELPER is NULL, that program to answer its questions.
 * Writes errno to ERROR_FD if it cannot.
 */
__attribute__((noreturn)) static void
ssh_exec(char **argv, const char *helper, int stderr_fd, int error_fd)
{
	int error;

	if (stderr_fd != -1)
		(void)dup2(stderr_fd, 2);
	/* OpenSSH before 8.4 needs DISPLAY to run the helper at all */
	if (helper == NULL ||
	    (setenv("SSH_ASKPASS", helper, 1) == 0 &&
		setenv("SSH_ASKPASS_REQUIRE", "force", 1) == 0 &&
		setenv("DISPLAY", ":0", 0) == 0))
		execvp(argv[0], argv);
	error = errno;
	(void)!write(error_fd, &error, sizeof(error));
	_exit(1);
}

/*
 * Starts ssh; ARGV, HELPER and STDERR_FD as for ssh_exec().  *EXEC_FD becomes
 * readable when ssh has been executed (end of file) or could not be (an errno).
 * Returns its pid, or -1 with errno set.
 */
static pid_t
ssh_spawn(char **argv, const char *helper, const struct signals *signals,
    int stderr_fd, int *exec_fd)
{
	pid_t pid;
	int fds[2];

	if (pipe_open(fds) == -1)
		return -1;
	pid = process_fork(signals);
	if (pid == 0)
		ssh_exec(argv, helper, stderr_fd, fds[1]);
	fd_close(&fds[1]);
	if (pid == -1)
		fd_close(&fds[0]);
	*exec_fd = fds[0];
	return pid;
}

/* ---- supervisor ---------------------------------------------------------- */

#define STOP_DELAY_MS 50       /* from ssh's stop to our own */
#define LOGIN_TIMEOUT_MS 90000 /* less than sshd's LoginGraceTime, 120 s */
#define END_GRACE_MS 3000      /* from SIGTERM to SIGKILL */
#define KILL_WAIT_MS 1000      /* from SIGKILL until autossh exits anyway */

/* What follows when ssh has gone. */
enum want {
	WANT_NONE,        /* its wait status decides */
	WANT_RESTART,     /* start it again, after a pause if one is due */
	WANT_RESTART_NOW, /* start it again at once */
	WANT_AS_FAILED,   /* what follows its exit with 255 */
	WANT_EXIT         /* exit with status */
};

struct supervisor {
	/* set up once; the words in argv change with each start */
	const struct settings *settings;
	const struct cmdline *cmd;
	const struct timing *timing;
	struct signals signals;
	char **argv; /* ssh's */
	enum session_kind session;
	int64_t lifetime; /* its end, in ms; NEVER */
	struct terminal terminal;

	enum state state;
	int64_t deadline; /* of the state; see enter() */
	enum want want;
	int status; /* WANT_EXIT: the exit status */
	int exit_signal;
	int starts;
	int gated_start; /* the gate time applies to it: 1, or a retry of 1 */
	bool exited_ok;  /* the last ssh exited with status 0 */
	int tries;       /* quick starts in a row */
	int tries_since_change; /* the same since the network has changed */
	int64_t started_wall;   /* the last start, in ms; 0: none yet */
	struct ssh ssh;

	struct ssh_stderr ssh_stderr;
	struct notify notify;
	struct network network;
	bool status_failed; /* the status file could not be written */
	int ready_fd;       /* of background_start() */
	bool caller_gone;   /* a signal ended it before it could be told */
	int timer_fd;

	/* large; last, so that their pages stay untouched */
	struct monitor monitor;
	struct askpass_server askpass_server;
	char self[PATH_MAX]; /* the program file of autossh */
};

static void
supervisor_status(const struct supervisor *s, struct status *st, int64_t now)
{
	const struct monitor *m = &s->monitor;

	memset(st, 0, sizeof(*st));
	st->state = s->state;
	st->testing = m->test.phase != TEST_NONE;
	st->passed = m->passed;
	st->refused = m->answered && m->refused;
	st->pid = s->ssh.pid;
	st->since_ms = now - s->ssh.started;
	st->start_in_ms = s->state == WAITING ? s->deadline - now : 0;
	st->test_in_ms =
	    m->schedule.next_due == NEVER ? NEVER : m->schedule.next_due - now;
	st->reason = s->ssh_stderr.reason;
	st->metrics.up = s->ssh.up;
	st->metrics.monitored = m->forwards.enabled;
	st->metrics.starts = s->starts;
	st->metrics.started_wall = s->started_wall;
	st->metrics.tests = m->tests;
	st->metrics.failures = m->failures;
	st->metrics.round_trip_ms = m->round_trip_ms;
	st->metrics.passed_wall = m->passed_wall;
	if (s->state == WAITING)
		st->metrics.next_start_wall = wall_ms() + st->start_in_ms;
}

/* Writes the status file.  Of failures in a row the first is logged. */
static void
supervisor_write_metrics(struct supervisor *s, int64_t now)
{
	char text[METRICS_MAX], shown[VALUE_SHOWN + 4];
	struct status st;
	struct entry e;
	int fd = -1;

	if (s->settings->statusfile == NULL)
		return;
	supervisor_status(s, &st, now);
	metrics_text(&st.metrics, s->cmd->destination, text, sizeof(text));
	if (entry_open(&e, s->settings->statusfile)) {
		fd = write_atomic(&e, text);
		fd_close(&e.dirfd);
	}
	if (fd == -1 && !s->status_failed)
		log_msg(LOG_ERR, "cannot write status file \"%s\": %s",
		    quote(s->settings->statusfile, shown), strerror(errno));
	s->status_failed = fd == -1;
	fd_close(&fd);
}

/* Tells the service manager and the status file that something has changed. */
static void
supervisor_report(struct supervisor *s, int64_t now)
{
	char text[TEXT_MAX];
	struct status st;

	if (s->notify.fd != -1) {
		supervisor_status(s, &st, now);
		status_summary(&st, text, sizeof(text));
		(void)notify_send(&s->notify, "STATUS=%s", text);
	}
	supervisor_write_metrics(s, now);
}

/*
 * Enters STATE.  EV_DEADLINE comes at DEADLINE (ms):
 *	WAITING	ssh is to be started
 *	RUNNING	without a monitor, ssh counts as up; with a private one, it must
 *		have logged in
 *	STOPPING	SIGKILL, then no more waiting
 * Nothing else writes state and deadline.
 */
static void
enter(struct supervisor *s, enum state state, int64_t deadline, int64_t now)
{
	s->state = state;
	s->deadline = deadline;
	supervisor_report(s, now);
}

static void
enter_done(struct supervisor *s, int64_t now)
{
	ssh_stderr_new_window(&s->ssh_stderr);
	notify_stopping(&s->notify);
	enter(s, DONE, NEVER, now);
}

static void
request_exit(struct supervisor *s, int status, int64_t now)
{
	s->want = WANT_EXIT;
	s->status = status;
	enter_done(s, now);
}

/*
 * Counts the next start, and returns the pause before it in ms.  A start that
 * somebody asked for comes at once and is not counted.  After a change of the
 * network the pauses grow from the first again: an address is there before its
 * route and the name servers are, so that the start which the change caused
 * often fails.
 */
static int64_t
supervisor_pause_ms(struct supervisor *s, int64_t now)
{
	int64_t poll_s = s->timing->poll_ms / 1000;
	int64_t since_ms = now - s->ssh.started;
	bool tested = s->monitor.answered;
	uint64_t number = 0;
	int tries;

	if (s->starts > 0 && s->want != WANT_RESTART_NOW) {
		s->tries = policy_tries(s->tries, since_ms, tested, poll_s);
		s->tries_since_change = policy_tries(
		    s->tries_since_change, since_ms, tested, poll_s);
	}
	tries =
	    s->tries < s->tries_since_change ? s->tries : s->tries_since_change;
	log_msg(LOG_DEBUG, "checking for grace period, tries = %d", s->tries);
	if (s->starts == 0 || s->want == WANT_RESTART_NOW)
		return 0;
	if (getentropy(&number, sizeof(number)) == -1)
		number = 0; /* the whole pause */
	return policy_spread_ms(policy_pause_ms(tries, poll_s), number);
}

/* Enters WAITING, or DONE if ssh has been started often enough. */
static void
enter_waiting(struct supervisor *s, int64_t now)
{
	int64_t pause_ms, pause_s;

	if (s->settings->maxstart >= 0 && s->starts >= s->settings->maxstart) {
		log_msg(LOG_INFO, "max start count reached; exiting");
		request_exit(s, 0, now);
		return;
	}
	pause_ms = supervisor_pause_ms(s, now);
	pause_s = (pause_ms + 500) / 1000;
	if (pause_ms > 0)
		log_msg(LOG_DEBUG, "sleeping for grace time %" PRId64 " secs",
		    pause_s);
	if (pause_ms >= 1000)
		log_msg(LOG_INFO, "waiting %" PRId64 " s before the next start",
		    pause_s);
	enter(s, WAITING, now + pause_ms, now);
}

/* Ends ssh: SIGTERM now, SIGKILL at the deadline. */
static void
enter_stopping(struct supervisor *s, int64_t now)
{
	s->ssh.up = false;
	s->ssh.suspend_due = NEVER;
	monitor_reset(&s->monitor);
	process_signal(s->ssh.pid, SIGTERM);
	process_signal(
	    s->ssh.pid, SIGCONT); /* a stopped ssh must be able to die */
	enter(s, STOPPING, now + END_GRACE_MS, now);
}

/*
 * Makes the private directory and what is to be in it, if it is needed and not
 * there: at first, or when something has removed it.  Returns false, with WHY.
 */
static bool
private_setup(struct supervisor *s, char *why, size_t size)
{
	struct monitor *m = &s->monitor;
	struct askpass_server *a = &s->askpass_server;

	if ((!m->forwards.auto_port || private_has(PRIVATE_LISTEN)) &&
	    (!askpass_enabled(a) ||
		(private_has(PRIVATE_SOCKET) && private_has(PRIVATE_LINK))))
		return true;
	private_remove();
	if (!private_find(false, why, size))
		return false;
	if ((!m->forwards.auto_port || monitor_bind(m)) &&
	    (!askpass_enabled(a) || askpass_bind(a, s->self)))
		return true;
	snprintf(why, size, "%s", strerror(errno));
	return false;
}

/* Starts the ssh process.  Returns false after a failure, which is logged. */
static bool
supervisor_spawn(struct supervisor *s)
{
	char helper[PRIVATE_PATH_MAX], why[TEXT_MAX / 2], *text;
	bool answers = askpass_enabled(&s->askpass_server);

	if (!private_setup(s, why, sizeof(why))) {
		log_msg(LOG_ERR, "cannot make private sockets: %s", why);
		return false;
	}
	if (s->monitor.forwards.auto_port && !monitor_new_port(&s->monitor)) {
		log_msg(LOG_ERR, "cannot choose a port: %s", strerror(errno));
		return false;
	}
	private_name(PRIVATE_LINK, helper);
	ssh_set_argv(s->argv, s->settings, s->cmd, &s->monitor.forwards);
	text = command_text(s->argv);
	if (text != NULL)
		log_text(LOG_DEBUG, text);
	free(text);
	s->ssh.pid = ssh_spawn(s->argv, answers ? helper : NULL, &s->signals,
	    s->ssh_stderr.write_fd, &s->ssh.exec_fd);
	if (s->ssh.pid == -1)
		ssh_log_error(s->argv[0], errno);
	s->askpass_server.ssh = s->ssh.pid;
	return s->ssh.pid != -1;
}

/* ssh could not be started, as has been logged. */
static void
start_failed(struct supervisor *s, int64_t now)
{
	if (s->starts == 1)
		request_exit(s, 1, now);
	else
		enter_waiting(s, now);
}

/*
 * The deadline of RUNNING: without a monitor, when ssh counts as up; with a
 * private one, which sees the login, when ssh must have logged in unless a
 * person may still be typing.
 */
static int64_t
running_deadline(const struct supervisor *s)
{
	const struct forwards *f = &s->monitor.forwards;
	int64_t from = s->ssh.started;

	if (!f->enabled && s->timing->gate_ms > 0)
		return from + s->timing->gate_ms + 1;
	if (!f->auto_port || s->monitor.attended)
		return NEVER;
	if (s->askpass_server.answered_at > from)
		from = s->askpass_server.answered_at;
	return from + LOGIN_TIMEOUT_MS;
}

/* Starts ssh: enters RUNNING. */
static void
start_ssh(struct supervisor *s, int64_t now)
{
	s->want = WANT_NONE;
	s->starts++;
	s->ssh.started = now;
	s->started_wall = wall_ms();
	if (s->settings->maxstart > 0)
		log_msg(LOG_INFO, "starting ssh (count %d of %" PRId64 ")",
		    s->starts, s->settings->maxstart);
	else
		log_msg(LOG_INFO, "starting ssh (count %d)", s->starts);
	if (!supervisor_spawn(s)) {
		start_failed(s, now);
		return;
	}
	log_msg(LOG_INFO, "ssh child pid is %ld", (long)s->ssh.pid);
	ssh_stderr_start(&s->ssh_stderr, s->monitor.forwards.server_port);
	monitor_start(&s->monitor, now);
	enter(s, RUNNING, running_deadline(s), now);
}

static void
start_now(struct supervisor *s, int64_t now)
{
	enter(s, WAITING, now, now);
}

static void
test_now(struct supervisor *s, int64_t now)
{
	monitor_test_now(&s->monitor, now);
}

/* The network has changed: a start that waits comes now. */
static void
start_after_change(struct supervisor *s, int64_t now)
{
	s->tries_since_change = 1;
	if (s->deadline <= now)
		return;
	network_log(&s->network, "starting ssh");
	start_now(s, now);
}

/* The network has changed: the next start comes at once. */
static void
restart_now_after_change(struct supervisor *s, int64_t now)
{
	(void)now;
	if (s->want == WANT_RESTART) {
		s->want = WANT_RESTART_NOW;
		s->tries_since_change = 1;
	}
}

/* The network has changed: a test begins now. */
static void
test_after_change(struct supervisor *s, int64_t now)
{
	struct monitor *m = &s->monitor;
	int64_t timeout_ms = policy_changed_timeout(m->timing->timeout_ms,
	    s->network.gone_at > m->good_at, m->round_trip_ms);

	/* no answer could come while the system was suspended */
	if (s->network.event == EV_RESUMED)
		monitor_repeat(m, now);
	if (monitor_test_event(m, timeout_ms, now))
		network_log(&s->network, "testing the connection");
}

/* The tunnel is known to be up. */
static void
tunnel_up(struct supervisor *s, int64_t now)
{
	if (!s->ssh.up) {
		s->ssh.up = true;
		s->ssh_stderr.reason[0] = '\0';
		notify_ready(&s->notify);
		enter(s, RUNNING, NEVER, now);
	} else {
		supervisor_write_metrics(s, now);
	}
}

static void
test_answered(struct supervisor *s, int64_t now)
{
	pidfile_touch();
	private_touch();
	tunnel_up(s, now);
}

static void
test_failed(struct supervisor *s, int64_t now)
{
	const struct monitor *m = &s->monitor;

	ssh_stderr_explain(&s->ssh_stderr, m->test.begun);
	if (!m->passed && !m->forwards.auto_port)
		log_msg(LOG_INFO,
		    "no test of this ssh has passed: does the server allow "
		    "forwarding (AllowTcpForwarding, PermitListen, "
		    "PermitOpen)? -M 0 runs without a monitor");
	enter_stopping(s, now);
}

/* Whether ssh must have logged in by NOW, and has not. */
static bool
login_overdue(struct supervisor *s, int64_t now)
{
	return s->state == RUNNING && now >= running_deadline(s) &&
	       monitor_awaits_login(&s->monitor);
}

/* The deadline of RUNNING: ssh counts as up, or has logged in, or may yet. */
static void
running_overdue(struct supervisor *s, int64_t now)
{
	if (!s->monitor.forwards.enabled)
		tunnel_up(s, now);
	else if (!monitor_awaits_login(&s->monitor))
		enter(s, RUNNING, NEVER, now);
	else
		enter(s, RUNNING, running_deadline(s), now);
}

/* Once ssh has been executed, a start in the background is complete. */
static void
background_complete(struct supervisor *s, int64_t now)
{
	char text[32];

	(void)now;
	if (s->ready_fd != -1) {
		snprintf(text, sizeof(text), "MAINPID=%ld", (long)getpid());
		notify_queue(&s->notify, text);
		s->caller_gone = !background_ready(&s->ready_fd);
	}
}

static void
ssh_executed(struct supervisor *s, int64_t now)
{
	background_complete(s, now);
	if (!s->monitor.forwards.enabled && s->timing->gate_ms == 0)
		tunnel_up(s, now);
}

/*
 * Sends SIGKILL.  If autossh is to exit, it waits KILL_WAIT_MS for ssh, else
 * until ssh is gone: stop_overdue().
 */
static void
kill_ssh(struct supervisor *s, int64_t now)
{
	if (s->ssh.killed)
		return;
	log_msg(LOG_INFO, "ssh does not end, sending SIGKILL");
	process_signal(s->ssh.pid, SIGKILL);
	s->ssh.killed = true;
	enter(s, STOPPING, now + KILL_WAIT_MS, now);
}

/* ssh has outlived SIGTERM, or SIGKILL. */
static void
stop_overdue(struct supervisor *s, int64_t now)
{
	if (!s->ssh.killed)
		kill_ssh(s, now);
	else if (s->want == WANT_EXIT)
		enter_done(s, now);
	else
		enter(
		    s, STOPPING, NEVER, now); /* no start beside the old ssh */
}

/* An exit is wanted; an ssh that outlived SIGKILL gets KILL_WAIT_MS more. */
static void
stop_to_exit(struct supervisor *s, int64_t now)
{
	if (s->deadline == NEVER)
		enter(s, STOPPING, now + KILL_WAIT_MS, now);
}

/* A signal to exit that comes while ssh is being ended does not wait for it. */
static void
stop_at_once(struct supervisor *s, int64_t now)
{
	stop_to_exit(s, now);
	kill_ssh(s, now);
}

/* Logs how ssh has ended and what follows, and what may help then. */
static void
supervisor_log_death(struct supervisor *s, enum verdict v)
{
	int status = s->ssh.status;
	bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	bool no_session = s->session == SESSION_NONE;
	int level = v == VERDICT_PREMATURE ? LOG_ERR : LOG_INFO;

	if (WIFSIGNALED(status))
		log_msg(level, "ssh exited on signal %d, restarting ssh",
		    WTERMSIG(status));
	else if (v == VERDICT_RESTART)
		log_msg(level,
		    "ssh exited with error status %d; restarting ssh",
		    WEXITSTATUS(status));
	else
		log_msg(level, "ssh exited %swith status %d; autossh exiting",
		    v == VERDICT_PREMATURE ? "prematurely " : "",
		    WEXITSTATUS(status));
	if (v == VERDICT_PREMATURE &&
	    policy_death(status, 0, 0, no_session, s->settings->ntservice) ==
		VERDICT_RESTART)
		log_msg(level, "AUTOSSH_GATETIME=0 keeps trying");
	if (done && no_session && !s->exited_ok)
		log_msg(level,
		    "ssh -N exits with status 0 if a ControlMaster has taken "
		    "the session over (-o ControlPath=none), with "
		    "ForkAfterAuthentication, or on a SIGTERM");
	s->exited_ok = done;
}

/*
 * Whether ssh, which has ended, says that its server rejected our answer.  If
 * ssh had logged in, a remote command may have printed the line: it does not
 * count.  Where that is not known (-M 0 or a port), the line must name the
 * server that was answered, within LoginGraceTime of the answer.
 */
static bool
supervisor_denied(struct supervisor *s, int64_t now)
{
	int status = s->ssh.status;
	const struct ssh_stderr *y = &s->ssh_stderr;
	const struct askpass_server *a = &s->askpass_server;
	bool not_logged_in = monitor_awaits_login(&s->monitor);

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 255 ||
	    y->read_fd == -1 || !y->last_own || a->server_answered_at == 0 ||
	    y->last_at < a->server_answered_at)
		return false;
	if (!not_logged_in &&
	    (s->monitor.forwards.auto_port || s->monitor.passed ||
		now - a->server_answered_at > SSHD_LOGIN_GRACE_MS))
		return false;
	return denial_matches(y->last, a->server, not_logged_in);
}

/*
 * Whether ssh may have ended because the server refused the monitor's -R, as it
 * does under ExitOnForwardFailure: it had logged in, no test was answered, and
 * it named no forwarding of the user's.
 */
static bool
remote_forward_suspect(struct supervisor *s)
{
	return WIFEXITED(s->ssh.status) && WEXITSTATUS(s->ssh.status) == 255 &&
	       monitor_sees_login(&s->monitor) && !s->monitor.answered &&
	       !s->ssh_stderr.forward_failed;
}

/* ssh has gone by itself, or counts as such: its wait status decides. */
static void
child_exited(struct supervisor *s, int64_t now)
{
	struct forwards *f = &s->monitor.forwards;
	enum verdict v;

	if (s->ssh.exec_error != 0) {
		ssh_log_error(s->argv[0], s->ssh.exec_error);
		start_failed(s, now);
		return;
	}
	v = policy_death(s->ssh.status,
	    s->starts == s->gated_start ? s->timing->gate_ms : 0,
	    now - s->ssh.started, s->session == SESSION_NONE,
	    s->settings->ntservice);
	f->no_remote = !f->no_remote && remote_forward_suspect(s);
	if (f->no_remote && v == VERDICT_PREMATURE) {
		s->gated_start++;
		v = VERDICT_RESTART;
	}
	ssh_stderr_explain(&s->ssh_stderr, now - STDERR_RECENT_MS);
	supervisor_log_death(s, v);
	if (f->no_remote && v == VERDICT_RESTART)
		log_msg(LOG_INFO, "the server may have refused the monitor's "
				  "forwarding: starting ssh without its -R");
	if (v == VERDICT_RESTART && supervisor_denied(s, now)) {
		log_msg(LOG_ERR, "passphrase rejected: the server refused "
				 "the login; autossh exiting");
		request_exit(s, 1, now);
	} else if (v == VERDICT_RESTART) {
		enter_waiting(s, now);
	} else {
		request_exit(s, v == VERDICT_EXIT ? 0 : 1, now);
	}
}

/* ssh has gone as it was told to. */
static void
ssh_stopped(struct supervisor *s, int64_t now)
{
	if (s->want == WANT_EXIT) {
		enter_done(s, now);
	} else if (s->want == WANT_AS_FAILED) {
		s->ssh.status = 255 << 8; /* as waitpid(2) reports exit(255) */
		child_exited(s, now);
	} else {
		enter_waiting(s, now);
	}
}

/* What is done about an event in a state.  No entry: nothing. */
typedef void action_fn(struct supervisor *s, int64_t now);
static action_fn *const actions[NSTATES][NEVENTS] = {
	[WAITING] = {
		[EV_EXIT] = enter_done,
		[EV_TERMINAL_GONE] = enter_done,
		[EV_CALLER_GONE] = enter_done,
		[EV_LIFETIME] = enter_done,
		[EV_RESTART] = start_now,
		[EV_PROD] = start_now,
		[EV_DEADLINE] = start_ssh,
		[EV_NETWORK_CHANGED] = start_after_change,
		[EV_RESUMED] = start_after_change,
	},
	[RUNNING] = {
		[EV_EXIT] = enter_stopping,
		[EV_TERMINAL_GONE] = enter_stopping,
		[EV_CALLER_GONE] = enter_stopping,
		[EV_LIFETIME] = enter_stopping,
		[EV_RESTART] = enter_stopping,
		[EV_PROD] = test_now,
		[EV_DEADLINE] = running_overdue,
		[EV_EXECUTED] = ssh_executed,
		[EV_CHILD_GONE] = child_exited,
		[EV_TEST_PASSED] = test_answered,
		[EV_TEST_FAILED] = test_failed,
		[EV_TEST_REFUSED] = test_answered,
		[EV_NO_LOGIN] = enter_stopping,
		[EV_UNANSWERED] = enter_stopping,
		[EV_REJECTED] = enter_stopping,
		[EV_NETWORK_CHANGED] = test_after_change,
		[EV_RESUMED] = test_after_change,
	},
	[STOPPING] = {
		[EV_EXIT] = stop_at_once,
		[EV_TERMINAL_GONE] = stop_to_exit,
		[EV_CALLER_GONE] = stop_to_exit,
		[EV_LIFETIME] = stop_to_exit,
		[EV_DEADLINE] = stop_overdue,
		[EV_NETWORK_CHANGED] = restart_now_after_change,
		[EV_RESUMED] = restart_now_after_change,
		[EV_EXECUTED] = background_complete,
		[EV_CHILD_GONE] = ssh_stopped,
	},
};

/* What an event asks for, and the line that it writes to the log. */
static const struct {
	enum want want;
	int status; /* WANT_EXIT */
	int level;
	const char *line; /* NULL: none; supervisor_event() logs EV_EXIT */
} event_table[NEVENTS] = {
	[EV_EXIT] = { WANT_EXIT, 1, LOG_INFO, NULL },
	[EV_RESTART] = { WANT_RESTART_NOW, 0, LOG_INFO,
	    "signalled to kill and restart ssh" },
	[EV_TERMINAL_GONE] = { WANT_EXIT, 1, LOG_INFO,
	    "the terminal is gone; autossh exiting" },
	[EV_CALLER_GONE] = { WANT_EXIT, 1, LOG_INFO,
	    "the caller was interrupted; autossh exiting" },
	[EV_LIFETIME] = { WANT_EXIT, 0, LOG_INFO,
	    "exceeded maximum time to live, shutting down" },
	[EV_TEST_PASSED] = { WANT_NONE, 0, LOG_DEBUG, "connection ok" },
	[EV_TEST_FAILED] = { WANT_RESTART, 0, LOG_INFO,
	    "port down, restarting ssh" },
	[EV_UNANSWERED] = { WANT_AS_FAILED, 0, 0, NULL },
	[EV_TEST_REFUSED] = { WANT_NONE, 0, LOG_DEBUG,
	    "the server refuses the test, so the connection is alive" },
	[EV_NO_LOGIN] = { WANT_RESTART, 0, LOG_INFO,
	    "ssh has not logged in after 90 s, restarting ssh" },
	[EV_REJECTED] = { WANT_EXIT, 1, LOG_ERR,
	    "passphrase rejected: ssh asks for it again; autossh exiting" },
};

/*
 * Logs EVENT, records what it asks for, and does what it calls for.  An event
 * without an entry in actions[] is ignored.
 */
static void
supervisor_event(struct supervisor *s, enum event event, int64_t now)
{
	enum want want = event_table[event].want;

	if (actions[s->state][event] == NULL)
		return;
	if (event == EV_EXIT)
		log_msg(
		    LOG_INFO, "received signal to exit (%d)", s->exit_signal);
	if (event_table[event].line != NULL)
		log_msg(
		    event_table[event].level, "%s", event_table[event].line);
	/* a signal to exit overrides all, nothing else overrides an exit */
	if (want != WANT_NONE && (s->want != WANT_EXIT || event == EV_EXIT)) {
		s->want = want;
		s->status = event_table[event].status;
	}
	if (event == EV_EXIT && signal_is_service_stop(s->exit_signal))
		s->status = 0;
	if (s->want == WANT_EXIT)
		notify_stopping(&s->notify);
	actions[s->state][event](s, now);
}

static void
child_reaped(struct supervisor *s, int status, int64_t now)
{
	supervisor_event(s, ssh_run(&s->ssh, now), now); /* exec before death */
	fd_close(&s->ssh.exec_fd);
	ssh_stderr_reset(&s->ssh_stderr, now);
	monitor_reset(&s->monitor);
	if (WIFSIGNALED(status))
		terminal_restore(&s->terminal);
	s->ssh.pid = -1;
	s->ssh.status = status;
	s->ssh.up = false;
	supervisor_event(s, EV_CHILD_GONE, now);
	ssh_reset(&s->ssh);
	askpass_reset(&s->askpass_server, now);
}

/* Reaps our children and, as process 1, those of others. */
static void
supervisor_reap(struct supervisor *s, int64_t now)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) >
	       0) {
		if (pid != s->ssh.pid) {
			if (!WIFSTOPPED(status) && !WIFCONTINUED(status))
				askpass_reaped(&s->askpass_server, pid, status);
			continue;
		}
		if (WIFSTOPPED(status))
			s->ssh.suspend_due =
			    s->state == RUNNING && WSTOPSIG(status) == SIGTSTP
				? now + STOP_DELAY_MS
				: NEVER;
		else if (WIFCONTINUED(status))
			s->ssh.suspend_due = NEVER;
		else
			child_reaped(s, status, now);
	}
}

/* SIGHUP: without a terminal, a session has no user. */
static enum event
hangup_event(const struct supervisor *s)
{
	if (s->session == SESSION_TERMINAL &&
	    !sigismember(&s->signals.ignored, SIGHUP) &&
	    terminal_gone(&s->terminal))
		return EV_TERMINAL_GONE;
	return EV_PROD;
}

/* Acts on the signals that have come: those to exit before all others. */
static void
supervisor_signals(struct supervisor *s, int64_t now)
{
	char text[STDERR_LINE_MAX + 256];
	struct status st;
	sigset_t caught;

	signals_run(&caught);
	while ((s->exit_signal = signals_exit(&caught)) != 0) {
		sigdelset(&caught, s->exit_signal);
		supervisor_event(s, EV_EXIT, now);
	}
	if (sigismember(&caught, SIGCONT)) {
		/* we were stopped, and ssh with us; no answer came meanwhile */
		process_signal(s->ssh.pid, SIGCONT);
		s->ssh.suspend_due = NEVER;
		monitor_repeat(&s->monitor, now);
	}
	if (sigismember(&caught, SIGCHLD))
		supervisor_reap(s, now);
	if (sigismember(&caught, SIGUSR1))
		supervisor_event(s, EV_RESTART, now);
	if (sigismember(&caught, SIGHUP))
		supervisor_event(s, hangup_event(s), now);
	if (sigismember(&caught, SIGUSR2) && s->state != DONE) {
		supervisor_status(s, &st, now);
		status_text(&st, text, sizeof(text));
		log_msg(LOG_INFO, "status: %s", text);
	}
}

static void
supervisor_prepare(const struct supervisor *s, struct waitset *set)
{
	waitset_until(set, s->lifetime);
	waitset_until(set, s->deadline);
}

static void
supervisor_run(struct supervisor *s, int64_t now)
{
	if (s->caller_gone) {
		s->caller_gone = false;
		supervisor_event(s, EV_CALLER_GONE, now);
	}
	if (s->ssh.up)
		ssh_stderr_advise_forward(&s->ssh_stderr);
	if (now >= s->lifetime) {
		s->lifetime = NEVER;
		supervisor_event(s, EV_LIFETIME, now);
	}
	if (now >= s->deadline)
		supervisor_event(
		    s, login_overdue(s, now) ? EV_NO_LOGIN : EV_DEADLINE, now);
}

/* The main loop.  Returns the exit status. */
static int
supervisor_loop(struct supervisor *s)
{
	struct waitset set;
	int64_t now = now_ms();

	/* children that died before SIGCHLD was caught */
	supervisor_reap(s, now);
	enter_waiting(s, now);
	while (s->state != DONE) {
		waitset_clear(&set);
		signals_prepare(&set);
		supervisor_prepare(s, &set);
		ssh_prepare(&s->ssh, &set);
		monitor_prepare(&s->monitor, &set);
		askpass_prepare(&s->askpass_server, &set);
		ssh_stderr_prepare(&s->ssh_stderr, &set);
		notify_prepare(&s->notify, &set);
		network_prepare(&s->network, &set);
		waitset_wait(&set, s->timer_fd);

		now = now_ms();
		/* ssh's last words before the death that they explain */
		ssh_stderr_run(&s->ssh_stderr, now);
		supervisor_event(s, ssh_run(&s->ssh, now), now);
		now = now_ms(); /* ~^Z may have stopped us for hours */
		/* signals to exit before all that happened meanwhile */
		supervisor_signals(s, now);
		supervisor_event(
		    s, askpass_run(&s->askpass_server, &set, now), now);
		/* before a test fails that a suspend has interrupted */
		supervisor_event(s, network_run(&s->network, &set, now), now);
		supervisor_event(s, monitor_run(&s->monitor, &set, now), now);
		supervisor_run(s, now);
		notify_run(&s->notify, now);
	}
	askpass_close(&s->askpass_server);
	return s->status;
}

/* ---- usage and main ---------------------------------------------------- */

static void
usage(FILE *out)
{
	fprintf(out,
	    "usage: autossh [-V] [-M port[:echo_port]] [-f] [SSH_OPTIONS] "
	    "destination [command ...]\n");
}

static void
usage_long(FILE *out)
{
	size_t i;

	usage(out);
	fprintf(out,
	    "\n"
	    "  -M port       monitor the connection through local ports PORT "
	    "and PORT+1\n"
	    "                (1 to 65534); 0: no monitor; auto, as without "
	    "-M: no local port\n"
	    "  -M port:echo  monitor through PORT and the echo service on "
	    "remote port ECHO\n"
	    "  -f            go to the background once ssh has been executed\n"
	    "  --dry-run     print the command of ssh and each setting, as "
	    "NAME=VALUE\n"
	    "                (ORIGIN); start nothing\n"
	    "  -V, --version print the version; --help prints this\n"
	    "\n"
	    "Environment (default):\n");
	for (i = 0; i < COUNT(settings_table); i++)
		fprintf(out, "  %s (%s)\n      %s\n", settings_table[i].name,
		    settings_table[i].default_text, settings_table[i].help);
}

/* Flushes standard output.  Returns the exit status. */
static int
main_flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	log_msg(LOG_ERR, "cannot write: %s", strerror(errno));
	return 1;
}

/* Prints what --help or -V asked for.  Returns the exit status. */
static int
main_print(enum cmdline_action action)
{
	if (action == CMDLINE_HELP)
		usage_long(stdout);
	else
		printf("autossh %s\n", VERSION);
	return main_flush();
}

/* Prints what is wrong with the command line, and the usage. */
static int
main_cmdline_error(const struct cmdline *c)
{
	char shown[VALUE_SHOWN + 4];

	log_msg(LOG_ERR, "%s%s", c->error, quote(c->error_arg, shown));
	usage(stderr);
	fprintf(stderr, "autossh --help explains all options and variables\n");
	return 1;
}

/* Prints the value of variable S and where it comes from. */
static void
main_print_setting(const struct setting *s, const struct settings *set,
    const struct timing *t, const struct cmdline *c)
{
	static const char *const origins[] = { "default", "environment",
		"command line" };
	static const char *const sources[] = { "unset", "ask", "fd", "file",
		"exec" };
	const void *member = (const char *)set + s->offset;
	const char *value;
	const char *origin = origins[setting_value(s, c->monitor, &value)];
	int64_t number;

	memcpy(&number, member, sizeof(number));
	if (member == &set->gatetime && c->background) {
		number = 0;
		origin = "command line";
	} else if (member == &set->loglevel && set->debug) {
		number = LOG_DEBUG;
		origin = "environment";
	} else if (member == &set->poll) {
		number = t->poll_ms / 1000;
		origin = t->poll_lowered ? "lowered" : origin;
	} else if (member == &set->first_poll) {
		number = t->first_ms / 1000;
		origin = t->first_lowered ? "lowered" : origin;
	}
	printf("%s=", s->name);
	if (s->kind == SETTING_NUMBER)
		printf("%" PRId64, number);
	else if (s->kind == SETTING_PASSPHRASE)
		fputs(sources[set->passphrase.source], stdout);
	else if (value == NULL)
		fputs("unset", stdout);
	else
		word_quote(stdout, value);
	printf(" (%s)\n", origin);
}

static void
main_print_warning(const char *text)
{
	printf("warning: %s\n", text);
}

/* Ends autossh with the error that a start would give, if there is one. */
static void
main_check_start(const struct supervisor *s)
{
	const char *ssh = s->settings->path;
	const char *log = s->settings->logfile, *pid = s->settings->pidfile;
	const struct passphrase_source *from = &s->settings->passphrase;
	const struct forwards *f = &s->monitor.forwards;
	char path[PATH_MAX], shown[VALUE_SHOWN + 4], why[TEXT_MAX / 2];
	int error;

	if (!program_find(ssh, path)) {
		ssh_log_error(ssh, errno);
		exit(1);
	}
	if (s->cmd->action == CMDLINE_QUESTION)
		return;
	if (log != NULL && log_standard_fd(log) == -1 &&
	    (error = path_write_error(log, false)) != 0)
		die("cannot open log file \"%s\": %s", quote(log, shown),
		    strerror(error));
	if (from->source == PASSPHRASE_FILE) {
		secrets_open();
		passphrase_check_file(from->argument);
	} else if (from->source == PASSPHRASE_ASK) {
		close(passphrase_terminal());
	}
	if (pid != NULL && (error = path_write_error(pid, true)) != 0)
		die("cannot write pid file \"%s\": %s", quote(pid, shown),
		    strerror(error));
	if (f->enabled && !f->auto_port && !f->echo &&
	    !(address_is_free(&f->send_to) && address_is_free(&f->back_at)))
		monitor_port_error(f, s->settings->port.port);
	if ((f->auto_port || askpass_enabled(&s->askpass_server)) &&
	    !private_find(true, why, sizeof(why)))
		die("cannot make private sockets: %s", why);
}

/*
 * Says what a start would do, and starts and makes nothing.  Returns the exit
 * status.
 */
static int
main_dry_run(struct supervisor *s)
{
	struct forwards *f = &s->monitor.forwards;
	char *text;
	size_t i;

	main_check_start(s);
	if (f->auto_port) {
		private_address(&f->send_to, PRIVATE_CONNECT);
		private_address(&f->back_at, PRIVATE_LISTEN);
		forwards_set_port(f, "PORT");
	}
	text = command_text(s->argv);
	if (text == NULL)
		die("out of memory");
	puts(text);
	free(text);
	for (i = 0; i < COUNT(settings_table); i++)
		main_print_setting(
		    &settings_table[i], s->settings, s->timing, s->cmd);
	settings_check(s->settings, s->cmd->monitor, main_print_warning);
	return main_flush();
}

/* The exit handler: removes what was made. */
static void
main_clean(void)
{
	pidfile_remove();
	private_remove();
	secrets_wipe();
}

/* Puts the supervisor together from what is to be done.  Opens nothing. */
static void
main_plan(struct supervisor *s, const struct settings *set,
    const struct cmdline *cmd, const struct timing *timing)
{
	static const struct monitor_port off;

	monitor_init(&s->monitor, cmd->no_forwardings ? &off : &set->port,
	    cmd->ipv6, timing, set->message);
	s->settings = set;
	s->cmd = cmd;
	s->timing = timing;
	s->session = cmdline_session(cmd, set->ntservice);
	s->argv =
	    xcalloc((size_t)cmd->nwords + SSH_WORDS_ADDED, sizeof(*s->argv));
	ssh_set_argv(s->argv, set, cmd, &s->monitor.forwards);
	s->gated_start = 1;
	askpass_init(&s->askpass_server, &set->passphrase, &s->signals);
	ssh_stderr_init(&s->ssh_stderr);
	s->ready_fd = s->timer_fd = -1;
	s->lifetime = NEVER;
	ssh_reset(&s->ssh);
}

/* Opens what autossh needs for as long as it lives, or ends it. */
static void
main_open(struct supervisor *s)
{
	char why[TEXT_MAX / 2];
	pid_t main_pid = getpid();

	log_open(s->settings,
	    s->cmd->background); /* /dev/stdout is the caller's, with -f too */
	if (s->cmd->background)
		s->ready_fd = background_start(&s->signals);
	if (s->settings->maxlifetime > 0)
		s->lifetime = now_ms() + s->settings->maxlifetime * 1000;
	settings_check(s->settings, s->cmd->monitor, log_warning);
	if (s->cmd->no_forwardings)
		log_msg(LOG_INFO, "ssh makes no forwardings (-W or "
				  "ClearAllForwardings), monitoring disabled");
	else if (!s->monitor.forwards.enabled)
		log_msg(LOG_INFO, "port set to 0, monitoring disabled");
	timing_report(s->timing);
	terminal_save(&s->terminal);
	notify_open(&s->notify, main_pid);
	is_service = s->notify.fd != -1 || s->settings->ntservice;
	if (s->cmd->background || is_service)
		ssh_stderr_open(&s->ssh_stderr);
	if (s->notify.fd != -1 || s->settings->statusfile != NULL)
		s->monitor.schedule.probing = true;
	s->monitor.ssh_on_terminal =
	    s->ssh_stderr.read_fd == -1 && isatty(2) == 1;
	s->monitor.attended = s->terminal.controlling && !s->cmd->background &&
			      !s->cmd->batch_mode &&
			      !askpass_enabled(&s->askpass_server);
	monitor_listen(&s->monitor, &s->settings->port);
	if (askpass_enabled(&s->askpass_server))
		secrets_lock();
	if (!private_setup(s, why, sizeof(why)))
		die("cannot make private sockets: %s", why);
	if (s->settings->pidfile != NULL)
		pidfile_write(s->settings->pidfile);
	s->timer_fd = timer_open();
	network_open(&s->network);
}

int
main(int argc, char **argv)
{
	struct settings set;
	static struct cmdline cmd;
	struct timing timing;
	static struct supervisor s;

	descriptors_fill();
	if (askpass_client_called(argv[0]))
		return askpass_client_main(argv[0], argv[1]);
	cmdline_parse(&cmd, argc, argv);
	if (cmd.action == CMDLINE_VERSION || cmd.action == CMDLINE_HELP)
		return main_print(cmd.action);
	if (cmd.action == CMDLINE_ERROR)
		return main_cmdline_error(&cmd);
	settings_read(&set, cmd.monitor);
	timing_derive(&timing, &set, cmd.background);
	main_plan(&s, &set, &cmd, &timing);
	if (cmd.action == CMDLINE_QUESTION && !cmd.dry_run) {
		execvp(s.argv[0], s.argv); /* for git, completions, scripts */
		ssh_log_error(s.argv[0], errno);
		return 1;
	}
	passphrase_check(&set.passphrase);
	if (cmd.dry_run)
		return main_dry_run(&s);
	signals_open(&s.signals);
	if (atexit(main_clean) != 0)
		die("out of memory");
	passphrase_open(&set.passphrase, cmd.destination);
	if (askpass_enabled(&s.askpass_server) &&
	    !program_self(argv[0], s.self))
		die("cannot find the program file of autossh: %s",
		    strerror(errno));
	main_open(&s);
	return supervisor_loop(&s);
}
