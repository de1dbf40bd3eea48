/*
 * fakessh: plays ssh by a plan, and writes down how it was started.
 *
 * FAKESSH_DIR names a directory.  Each start appends or makes there
 *
 *	starts		"N PID MS PPID", one line for each start; N counts from
 *			1, MS is CLOCK_MONOTONIC in ms at the start of main
 *	argv		one line for each start, each word (less argv[0]) as
 *			<word>, one space between; in a word, newline, '<', '>'
 *			and '\' are \n, \{, \} and \\
 *	fds.N		"FD TARGET" of each open descriptor
 *	signals.N	"blocked: ...", "ignored: ...": signal names, sorted by
 *			number
 *	env.N		the environment, one variable a line
 *	askpass		SSH_ASKPASS, a line each, where it is set
 *	info.N		"pid P ppid P pgid P sid P cwd DIR"
 *	got		"N SIGNAL MS" for each signal that it was sent, of TERM
 *			HUP INT QUIT USR1 USR2 CONT
 *	ends		"N MS" as it exits by itself (not: killed)
 *	asked		"N (PROMPT) STATUS (ANSWER)" for each question
 *	connects	"N MS" for each connection to a local forwarding
 *	wire		what came on these, as it came
 *
 * The plan is $FAKESSH_DIR/plan, else FAKESSH_PLAN; none: hang.  Its steps
 * are parted by newlines or ';', one for each start, the last one repeats.
 * The words of a step are carried out in order ('quotes' keep blanks and ;
 * together); what is set by a word holds for those behind it:
 *
 *	exit STATUS	at the end of a step: exit 0
 *	signal NAME	die by that signal, no core
 *	sleep MS
 *	hang		until a signal ends it, or life is over
 *	life MS		hang and forward end after MS, the next word follows
 *	ignore NAME	that signal is recorded, and nothing else
 *	term STATUS	on TERM, HUP and INT exit with STATUS as ssh does (255)
 *	stop NAME	stop itself by STOP, TSTP, TTIN or TTOU; then go on
 *	outlive FILE	Linux: no signal is delivered, and killed it stays for
 *			its parent as if it ran, until FILE is there
 *	say TEXT	a line to stderr; print TEXT: a line to stdout
 *	flood N		N bytes of lines to stderr; junk N: without any newline
 *	copy		stdin to stdout until its end
 *	touch FILE	make the file; await FILE: until it is there
 *	ask PROMPT	asks by SSH_ASKPASS as OpenSSH from 8.4 on does, or as
 *			before it (askold): there only with DISPLAY set and no
 *			terminal.  Not asked: status -1
 *	hint TEXT	SSH_ASKPASS_PROMPT for the questions that follow
 *	need ANSWER	exit 255 unless the last answer was this
 *	forward		play the -L and -R in the command line: listen where
 *			-L says (127.0.0.1, ::1, or a socket's path), and take
 *			each connection to where the -R for the same port says,
 *			without one to the port itself; until killed or life is
 *			over.  Before it:
 *	  echo		connections are answered here by an echo
 *	  pass N	N connections pass in order before a fault shows
 *	  swallow	fault: accepted and read, nothing comes out
 *	  half		fault: the other end is reached, but no byte of it
 *	  garble	fault: one bit is flipped
 *	  cut N		fault: only the first N bytes of a connection pass
 *	  close		fault: closed at once; reset: with a reset
 *	  delay MS	each piece is passed on after MS
 *	  trickle MS	one byte each MS
 */

#include "config.h"

#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#include <sys/ptrace.h>
#endif

#include "common.h"

#define MAX_FD 256 /* the highest descriptor looked at */
#define MAX_RELAYS 200
#define MAX_FORWARDS 16

#if !HAVE_DECL_ENVIRON
extern char **environ;
#endif

static const char *dir; /* FAKESSH_DIR, NULL: nothing is recorded */
static int start_number = 1;

/* What the signal handler needs. */
static int got_fd = -1;
static volatile sig_atomic_t term_status = -1;
static volatile sig_atomic_t ignored[128];

/* -- recording -- */

static FILE *
record_open(const char *name, const char *mode)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if ((f = fopen(path, mode)) == NULL)
		fail("%s: %s", path, strerror(errno));
	return f;
}

static FILE *
record_numbered(const char *name)
{
	char file[64];

	snprintf(file, sizeof(file), "%s.%d", name, start_number);
	return record_open(file, "w");
}

/* The descriptors are looked at first, before this program opens any. */
static void
record_fds(const char *open_fds)
{
	char link[64], target[4096];
	ssize_t n;
	FILE *f = record_numbered("fds");
	int fd;

	for (fd = 0; fd < MAX_FD; fd++) {
		if (!open_fds[fd])
			continue;
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		fprintf(f, "%d %s\n", fd, n > 0 ? target : "?");
	}
	fclose(f);
}

static void
record_signals(void)
{
	struct sigaction sa;
	sigset_t mask;
	FILE *f = record_numbered("signals");
	size_t i;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	fprintf(f, "blocked:");
	for (i = 0; i < nsignals; i++)
		if (sigismember(&mask, signal_names[i].number) == 1)
			fprintf(f, " %s", signal_names[i].name);
	fprintf(f, "\nignored:");
	for (i = 0; i < nsignals; i++)
		if (sigaction(signal_names[i].number, NULL, &sa) == 0 &&
		    sa.sa_handler == SIG_IGN)
			fprintf(f, " %s", signal_names[i].name);
	fprintf(f, "\n");
	fclose(f);
}

static void
record_argv(char **argv)
{
	FILE *f = record_open("argv", "a");
	const char *p;
	int i;

	for (i = 1; argv[i] != NULL; i++) {
		fprintf(f, i > 1 ? " <" : "<");
		for (p = argv[i]; *p != '\0'; p++) {
			if (*p == '\n')
				fputs("\\n", f);
			else if (*p == '<')
				fputs("\\{", f);
			else if (*p == '>')
				fputs("\\}", f);
			else if (*p == '\\')
				fputs("\\\\", f);
			else
				fputc(*p, f);
		}
		fputc('>', f);
	}
	fputc('\n', f);
	fclose(f);
	if (getenv("SSH_ASKPASS") != NULL) {
		f = record_open("askpass", "a");
		fprintf(f, "%s\n", getenv("SSH_ASKPASS"));
		fclose(f);
	}
}

static FILE *starts; /* open, and locked, until record_started() */

/* Writes all records but "starts". */
static void
record_start(char **argv, const char *open_fds)
{
	char path[4096], cwd[4096];
	FILE *f;
	int c, i;

	starts = record_open("starts", "a+");
	if (flock(fileno(starts), LOCK_EX) == -1)
		fail("flock: %s", strerror(errno));
	if (fseek(starts, 0, SEEK_SET) == -1)
		fail("fseek: %s", strerror(errno));
	while ((c = getc(starts)) != EOF)
		if (c == '\n')
			start_number++;
	record_fds(open_fds);
	record_signals();
	record_argv(argv);
	f = record_numbered("env");
	for (i = 0; environ[i] != NULL; i++)
		fprintf(f, "%s\n", environ[i]);
	fclose(f);
	f = record_numbered("info");
	fprintf(f, "pid %ld ppid %ld pgid %ld sid %ld cwd %s\n", (long)getpid(),
	    (long)getppid(), (long)getpgrp(), (long)getsid(0),
	    getcwd(cwd, sizeof(cwd)) != NULL ? cwd : "?");
	fclose(f);
	snprintf(path, sizeof(path), "%s/got", dir);
	got_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

/*
 * Whoever sees the line in "starts" finds the rest complete, and may send the
 * signals that the plan begins with.
 */
static void
record_started(int64_t ms)
{
	fseek(starts, 0, SEEK_END);
	fprintf(starts, "%d %ld %lld %ld\n", start_number, (long)getpid(),
	    (long long)ms, (long)getppid());
	fclose(starts);
}

/* Appends "N MS" to a record. */
static void
record_line(const char *name, int64_t ms)
{
	FILE *f;

	if (dir == NULL)
		return;
	f = record_open(name, "a");
	fprintf(f, "%d %lld\n", start_number, (long long)ms);
	fclose(f);
}

static void
record_bytes(const char *data, size_t n)
{
	FILE *f;

	if (dir == NULL)
		return;
	f = record_open("wire", "a");
	fwrite(data, 1, n, f);
	fclose(f);
}

static void
finish(int status)
{
	record_line("ends", now_ms());
	exit(status);
}

/* -- signals -- */

/* snprintf is not safe in a handler by the letter; nothing here runs beside. */
static void
on_signal(int sig)
{
	int saved = errno;
	char line[64];
	const char *name = "?";
	size_t i;
	int n;

	for (i = 0; i < nsignals; i++)
		if (signal_names[i].number == sig)
			name = signal_names[i].name;
	n = snprintf(line, sizeof(line), "%d %s %lld\n", start_number, name,
	    (long long)now_ms());
	if (got_fd != -1 && write(got_fd, line, (size_t)n) == -1)
		_exit(98);
	errno = saved;
	if (sig == SIGCONT || ignored[sig])
		return;
	if (term_status != -1 &&
	    (sig == SIGTERM || sig == SIGHUP || sig == SIGINT))
		_exit(term_status);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void
catch_signals(void)
{
	static const int caught[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1,
		SIGUSR2, SIGCONT };
	struct sigaction sa;
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
		if (sigaction(caught[i], NULL, &sa) == -1 ||
		    sa.sa_handler == SIG_IGN)
			continue;
		memset(&sa, 0, sizeof(sa));
		sa.sa_handler = on_signal;
		/* One at a time, or a CONT is recorded before its TERM. */
		sigfillset(&sa.sa_mask);
		sigaction(caught[i], &sa, NULL);
	}
}

static void
die_by(int sig)
{
	struct rlimit none = { 0, 0 };
	sigset_t set;

	setrlimit(RLIMIT_CORE, &none);
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	kill(getpid(), sig);
	sleep_ms(1000);
	fail("signal %d does not kill", sig);
}

/* -- forwarding -- */

/* [bind:]port:host:hostport, [bind:]port:path, path:host:hostport */
struct forward {
	char listen_host[256]; /* or a path, listen_port is 0 */
	int listen_port;
	char to_host[256]; /* or a path, to_port is 0 */
	int to_port;
	int fd;
};

enum fault { NONE, SWALLOW, HALF, GARBLE, CUT, CLOSE, RESET };

struct direction {
	char data[65536];
	size_t len, off;
	int64_t due;  /* when what is held may go */
	int from, to; /* descriptors */
	int over;     /* end of file has come and was passed on */
	long passed;
};

struct relay {
	int used;
	enum fault fault;
	struct direction way[2];
};

struct player {
	struct forward local[MAX_FORWARDS], remote[MAX_FORWARDS];
	int nlocal, nremote;
	struct relay relays[MAX_RELAYS];
	enum fault fault;
	long pass, cut;
	int echo;
	int64_t delay, trickle;
	int64_t life; /* -1: no end */
};

/* The next field of a forwarding: [address], or up to a colon. */
static char *
field(char **rest)
{
	char *start = *rest, *end;

	if (start == NULL)
		return NULL;
	if (*start == '[' && (end = strchr(start, ']')) != NULL) {
		*end++ = '\0';
		*rest = *end == ':' ? end + 1 : NULL;
		return start + 1;
	}
	if ((end = strchr(start, ':')) != NULL)
		*end++ = '\0';
	*rest = end;
	return start;
}

static void
set_end(char *host, int *port, const char *h, const char *p)
{
	snprintf(host, 256, "%.255s", h);
	*port = p != NULL ? (int)number(p) : 0;
}

/* Returns 0 for one that is not played: a word too few, or a foreign host. */
static int
forward_parse(struct forward *f, const char *spec)
{
	char text[4096], *rest = text, *w[5];
	int n = 0, i = 0;

	snprintf(text, sizeof(text), "%s", spec);
	while (n < 5 && (w[n] = field(&rest)) != NULL)
		n++;
	if (n < 2)
		return 0;
	if (w[0][0] == '/')
		set_end(f->listen_host, &f->listen_port, w[i++], NULL);
	else if (n == 4 || (n == 3 && w[2][0] == '/')) {
		set_end(f->listen_host, &f->listen_port, w[0], w[1]);
		i = 2;
	} else
		set_end(f->listen_host, &f->listen_port, "", w[i++]);
	if (i >= n)
		return 0;
	if (w[i][0] == '/')
		set_end(f->to_host, &f->to_port, w[i], NULL);
	else if (i + 1 < n)
		set_end(f->to_host, &f->to_port, w[i], w[i + 1]);
	else
		return 0;
	return f->to_host[0] == '/' || strcmp(f->to_host, "127.0.0.1") == 0 ||
	       strcmp(f->to_host, "::1") == 0;
}

static void
forwards_read(struct player *p, char **argv)
{
	const char *spec;
	int i;

	for (i = 1; argv[i] != NULL; i++) {
		if (argv[i][0] != '-' || strchr("LR", argv[i][1]) == NULL ||
		    argv[i][1] == '\0')
			continue;
		spec = argv[i][2] != '\0' ? argv[i] + 2 : argv[i + 1];
		if (spec == NULL)
			break;
		if (argv[i][1] == 'L' && p->nlocal < MAX_FORWARDS)
			p->nlocal += forward_parse(&p->local[p->nlocal], spec);
		if (argv[i][1] == 'R' && p->nremote < MAX_FORWARDS)
			p->nremote +=
			    forward_parse(&p->remote[p->nremote], spec);
	}
	for (i = 0; i < p->nlocal; i++) {
		struct forward *f = &p->local[i];

		if (f->listen_host[0] == '\0')
			memcpy(
			    f->listen_host, f->to_host, sizeof(f->listen_host));
		f->fd = listen_at(f->listen_host, f->listen_port);
		if (f->fd == -1)
			fail("cannot listen at %s:%d: %s", f->listen_host,
			    f->listen_port, strerror(errno));
	}
}

static void
relay_close(struct relay *r)
{
	close(r->way[0].from);
	if (r->way[0].to != -1 && r->way[0].to != r->way[0].from)
		close(r->way[0].to);
	r->used = 0;
}

/* Where a connection to a local forwarding goes: a socket, or -1. */
static int
far_end(const struct player *p, const struct forward *f)
{
	int i;

	for (i = 0; i < p->nremote; i++)
		if (p->remote[i].listen_port == f->to_port)
			return connect_to(
			    p->remote[i].to_host, p->remote[i].to_port);
	return connect_to(f->to_host, f->to_port);
}

static void
relay_open(struct player *p, const struct forward *f)
{
	struct relay *r = NULL;
	enum fault fault = NONE;
	int i, in, out = -1;

	if ((in = accept(f->fd, NULL, NULL)) == -1)
		return;
	fcntl(in, F_SETFD, FD_CLOEXEC);
	record_line("connects", now_ms());
	if (p->pass > 0)
		p->pass--;
	else
		fault = p->fault;
	for (i = 0; i < MAX_RELAYS && r == NULL; i++)
		if (!p->relays[i].used)
			r = &p->relays[i];
	if (fault == RESET) {
		close_by_reset(in);
		return;
	}
	if (r == NULL || fault == CLOSE ||
	    (fault != SWALLOW && !p->echo && (out = far_end(p, f)) == -1)) {
		close(in);
		return;
	}
	if (p->echo)
		out = in;
	memset(r, 0, sizeof(*r));
	r->used = 1;
	r->fault = fault;
	r->way[0].from = r->way[1].to = in;
	r->way[0].to = r->way[1].from = out;
	/* An echo and a swallowed connection have one way only. */
	r->way[1].over = p->echo || fault == SWALLOW;
}

static void
way_read(const struct player *p, const struct relay *r, struct direction *d)
{
	ssize_t n = read(d->from, d->data, sizeof(d->data));

	if (n <= 0) {
		d->over = 1;
		if (d->to != -1)
			shutdown(d->to, SHUT_WR);
		return;
	}
	if (d == &r->way[0])
		record_bytes(d->data, (size_t)n);
	if (r->fault == SWALLOW || r->fault == HALF)
		return;
	if (r->fault == GARBLE)
		d->data[n / 2] ^= 1;
	if (r->fault == CUT && d->passed + n > p->cut)
		n = d->passed < p->cut ? p->cut - d->passed : 0;
	d->passed += n;
	d->len = (size_t)n;
	d->off = 0;
	d->due = now_ms() + p->delay;
}

static void
way_write(const struct player *p, struct direction *d)
{
	size_t n = p->trickle > 0 ? 1 : d->len - d->off;
	ssize_t done = send(d->to, d->data + d->off, n, 0);

	if (done == -1) {
		d->len = d->off = 0;
		d->over = 1;
		return;
	}
	d->off += (size_t)done;
	if (d->off == d->len)
		d->len = d->off = 0;
	else
		d->due = now_ms() + p->trickle;
}

/* One turn of poll for all forwardings; ends at the time end (-1: never). */
static void
forward_turn(struct player *p, int64_t end)
{
	static struct pollfd set[MAX_FORWARDS + 2 * MAX_RELAYS];
	static struct direction *who[MAX_FORWARDS + 2 * MAX_RELAYS];
	static struct relay *whose[MAX_FORWARDS + 2 * MAX_RELAYS];
	int64_t next = end, now = now_ms();
	int i, j, n = 0;

	for (i = 0; i < p->nlocal; i++, n++) {
		set[n].fd = p->local[i].fd;
		set[n].events = POLLIN;
	}
	for (i = 0; i < MAX_RELAYS; i++)
		for (j = 0; p->relays[i].used && j < 2; j++) {
			struct direction *d = &p->relays[i].way[j];

			if (d->over)
				continue;
			if (d->len > 0 && d->due > now) {
				if (next == -1 || d->due < next)
					next = d->due;
				continue;
			}
			set[n].fd = d->len > 0 ? d->to : d->from;
			set[n].events = d->len > 0 ? POLLOUT : POLLIN;
			whose[n] = &p->relays[i];
			who[n++] = d;
		}
	if (next != -1)
		next = next > now ? next - now : 0;
	if (poll(set, (nfds_t)n, (int)next) <= 0)
		return;
	for (i = 0; i < n; i++) {
		if (set[i].revents == 0)
			continue;
		if (i < p->nlocal)
			relay_open(p, &p->local[i]);
		else if (set[i].events == POLLOUT)
			way_write(p, who[i]);
		else
			way_read(p, whose[i], who[i]);
	}
	for (i = 0; i < MAX_RELAYS; i++)
		if (p->relays[i].used && p->relays[i].way[0].over &&
		    p->relays[i].way[1].over)
			relay_close(&p->relays[i]);
}

static void
forward_play(struct player *p, char **argv)
{
	int64_t end = p->life == -1 ? -1 : now_ms() + p->life;
	int i;

	forwards_read(p, argv);
	while (end == -1 || now_ms() < end)
		forward_turn(p, end);
	for (i = 0; i < p->nlocal; i++)
		close(p->local[i].fd);
	for (i = 0; i < MAX_RELAYS; i++)
		if (p->relays[i].used)
			relay_close(&p->relays[i]);
}

/* -- questions -- */

static char last_answer[1024];

/* ssh's rule for when the helper is run and not the terminal used. */
static int
helper_wanted(int old)
{
	const char *need = getenv("SSH_ASKPASS_REQUIRE");
	int tty;

	if (!old && need != NULL && strcmp(need, "never") == 0)
		return 0;
	if (!old && need != NULL && strcmp(need, "force") == 0)
		return 1;
	if (getenv("DISPLAY") == NULL)
		return 0;
	if (!old && need != NULL && strcmp(need, "prefer") == 0)
		return 1;
	if ((tty = open("/dev/tty", O_RDWR)) != -1)
		close(tty);
	return tty == -1;
}

/* The helper's exit status, its first line in last_answer. */
static int
helper_run(const char *helper, const char *prompt, const char *hint)
{
	size_t len = 0;
	ssize_t n;
	pid_t pid;
	int p[2], status;

	if (pipe(p) == -1)
		fail("pipe: %s", strerror(errno));
	if ((pid = fork()) == -1)
		fail("fork: %s", strerror(errno));
	if (pid == 0) {
		dup2(p[1], 1);
		close(p[0]);
		close(p[1]);
		if (hint != NULL)
			setenv("SSH_ASKPASS_PROMPT", hint, 1);
		execlp(helper, helper, prompt, (char *)NULL);
		_exit(97);
	}
	close(p[1]);
	while (len < sizeof(last_answer) - 1 &&
	       ((n = read(p[0], last_answer + len,
		     sizeof(last_answer) - 1 - len)) > 0 ||
		   (n == -1 && errno == EINTR)))
		len += n > 0 ? (size_t)n : 0;
	close(p[0]);
	last_answer[len] = '\0';
	last_answer[strcspn(last_answer, "\r\n")] = '\0';
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
ask(const char *prompt, const char *hint, int old)
{
	const char *helper = getenv("SSH_ASKPASS");
	int status = -1;
	FILE *f;

	last_answer[0] = '\0';
	if (helper != NULL && helper_wanted(old))
		status = helper_run(helper, prompt, hint);
	if (dir == NULL)
		return;
	f = record_open("asked", "a");
	fprintf(
	    f, "%d (%s) %d (%s)\n", start_number, prompt, status, last_answer);
	fclose(f);
}

/* -- a death that does not show -- */

#ifdef __linux__
/* The parent lets itself be traced by us, where that has to be allowed. */
static int
trace_parent(int tries)
{
	while (tries-- > 0) {
		if (ptrace(PTRACE_SEIZE, getppid(), NULL, NULL) == 0)
			return 0;
		sleep_ms(10);
	}
	return -1;
}

static void
trace_allow(pid_t tracer)
{
	prctl(PR_SET_PTRACER, (unsigned long)tracer, 0UL, 0UL, 0UL);
}
#else
static int
trace_parent(int tries)
{
	(void)tries;
	errno = ENOSYS;
	return -1;
}

static void
trace_allow(pid_t tracer)
{
	(void)tracer;
}
#endif

/*
 * A zombie that is traced is shown to its tracer first: until that ends, it is
 * to its parent what a process that waits for a dead disk is.
 */
static void
outlive(const char *file)
{
	struct stat st;
	char byte;
	pid_t tracer;
	int p[2];

	if (pipe(p) == -1)
		fail("pipe: %s", strerror(errno));
	if ((tracer = fork()) == -1)
		fail("fork: %s", strerror(errno));
	if (tracer == 0) {
		/* cppcheck-suppress knownConditionTrueFalse */
		if (trace_parent(100) == -1)
			fail("cannot trace: %s", strerror(errno));
		if (write(p[1], "", 1) != 1)
			_exit(98);
		close(p[0]);
		close(p[1]);
		/* The directory goes when the test ends in whatever way. */
		while (stat(file, &st) == -1 && stat(dir, &st) == 0)
			sleep_ms(20);
		_exit(0);
	}
	trace_allow(tracer);
	close(p[1]);
	if (read(p[0], &byte, 1) != 1)
		finish(99);
	close(p[0]);
}

/* -- the plan -- */

static char *
plan_read(void)
{
	static char text[65536];
	const char *env = getenv("FAKESSH_PLAN");

	if (dir != NULL) {
		char path[4096];
		FILE *f;

		snprintf(path, sizeof(path), "%s/plan", dir);
		if ((f = fopen(path, "r")) != NULL) {
			size_t n = fread(text, 1, sizeof(text) - 1, f);

			text[n] = '\0';
			fclose(f);
			return text;
		}
	}
	snprintf(text, sizeof(text), "%s", env != NULL ? env : "hang");
	return text;
}

/*
 * Cuts the plan's step for this start into words.  The list ends in two NULLs,
 * so that a word may look for its argument.
 */
static char **
plan_step(const char *p)
{
	static char *words[1024], text[65536];
	char *out = text;
	int n = 0, step = 1, quoted;

	for (;;) {
		p += strspn(p, " \t");
		if (*p == '\n' || *p == ';' || *p == '\0') {
			p += strspn(p, " \t\n;");
			if (*p == '\0' || step == start_number)
				break;
			step++;
			n = 0;
			out = text;
			continue;
		}
		if (n > 1000)
			fail("plan too long");
		quoted = 0;
		words[n++] = out;
		for (; *p != '\0'; p++) {
			if (*p == '\'')
				quoted = !quoted;
			else if (!quoted && strchr(" \t;\n", *p) != NULL)
				break;
			else
				*out++ = *p;
		}
		*out++ = '\0';
	}
	words[n] = words[n + 1] = NULL;
	return words;
}

static void
write_much(long n, int lines)
{
	char block[1000];
	size_t piece;

	memset(block, 'x', sizeof(block));
	if (lines)
		for (piece = 99; piece < sizeof(block); piece += 100)
			block[piece] = '\n';
	for (; n > 0; n -= (long)piece) {
		piece = n < (long)sizeof(block) ? (size_t)n : sizeof(block);
		if (write(2, block, piece) == -1 && errno != EINTR)
			return;
	}
}

static void
write_line(int fd, const char *text)
{
	char line[4096];
	int n = snprintf(line, sizeof(line), "%s\n", text);

	if (write(fd, line, (size_t)n) == -1)
		finish(98);
}

static void
copy(void)
{
	char block[4096];
	ssize_t n;

	while ((n = read(0, block, sizeof(block))) > 0 ||
	       (n == -1 && errno == EINTR))
		if (n > 0 && write(1, block, (size_t)n) == -1)
			return;
}

static void
await(const char *file)
{
	struct stat st;

	while (stat(file, &st) == -1)
		sleep_ms(5);
}

static void
hang(int64_t life)
{
	if (life != -1) {
		sleep_ms(life);
		return;
	}
	for (;;)
		poll(NULL, 0, -1);
}

/* The words that set up forward.  Returns the number of words used. */
static int
play_fault(struct player *p, char **w)
{
	static const struct {
		const char *name;
		enum fault fault;
	} faults[] = { { "swallow", SWALLOW }, { "half", HALF },
		{ "garble", GARBLE }, { "close", CLOSE }, { "reset", RESET } };
	size_t i;

	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (strcmp(w[0], faults[i].name) == 0) {
			p->fault = faults[i].fault;
			return 1;
		}
	if (strcmp(w[0], "echo") == 0) {
		p->echo = 1;
		return 1;
	}
	if (strcmp(w[0], "pass") == 0)
		p->pass = number(w[1]);
	else if (strcmp(w[0], "delay") == 0)
		p->delay = number(w[1]);
	else if (strcmp(w[0], "trickle") == 0)
		p->trickle = number(w[1]);
	else if (strcmp(w[0], "cut") == 0) {
		p->fault = CUT;
		p->cut = number(w[1]);
	} else
		return 0;
	return 2;
}

/* One word without an argument; 0: it is none of these. */
static int
play_plain(struct player *p, const char *word, char **argv)
{
	if (strcmp(word, "hang") == 0)
		hang(p->life);
	else if (strcmp(word, "forward") == 0)
		forward_play(p, argv);
	else if (strcmp(word, "copy") == 0)
		copy();
	else
		return 0;
	return 1;
}

/* One word with its argument. */
static void
play_word(struct player *p, const char *word, const char *arg)
{
	static const char *hint;

	if (arg == NULL)
		fail("plan: %s: unknown, or its argument is missing", word);
	if (strcmp(word, "exit") == 0)
		finish((int)number(arg));
	else if (strcmp(word, "signal") == 0)
		die_by(signal_number(arg));
	else if (strcmp(word, "sleep") == 0)
		sleep_ms(number(arg));
	else if (strcmp(word, "life") == 0)
		p->life = number(arg);
	else if (strcmp(word, "ignore") == 0)
		ignored[signal_number(arg)] = 1;
	else if (strcmp(word, "term") == 0)
		term_status = (int)number(arg);
	else if (strcmp(word, "stop") == 0)
		raise(signal_number(arg));
	else if (strcmp(word, "outlive") == 0)
		outlive(arg);
	else if (strcmp(word, "say") == 0)
		write_line(2, arg);
	else if (strcmp(word, "print") == 0)
		write_line(1, arg);
	else if (strcmp(word, "flood") == 0)
		write_much(number(arg), 1);
	else if (strcmp(word, "junk") == 0)
		write_much(number(arg), 0);
	else if (strcmp(word, "touch") == 0)
		close(open(arg, O_WRONLY | O_CREAT, 0666));
	else if (strcmp(word, "await") == 0)
		await(arg);
	else if (strcmp(word, "ask") == 0)
		ask(arg, hint, 0);
	else if (strcmp(word, "askold") == 0)
		ask(arg, hint, 1);
	else if (strcmp(word, "hint") == 0)
		hint = arg;
	else if (strcmp(word, "need") == 0) {
		if (strcmp(last_answer, arg) != 0)
			finish(255);
	} else
		fail("plan: unknown word %s", word);
}

/* The words at the beginning that are about signals.  Returns the others. */
static char **
play_signals(char **w)
{
	static struct player p;

	while (w[0] != NULL &&
	       (strcmp(w[0], "ignore") == 0 || strcmp(w[0], "term") == 0)) {
		play_word(&p, w[0], w[1]);
		w += 2;
	}
	return w;
}

static void
play(char **w, char **argv)
{
	static struct player p;

	p.life = -1;
	while (*w != NULL) {
		int used;

		if ((used = play_fault(&p, w)) > 0)
			w += used;
		else if (play_plain(&p, w[0], argv))
			w++;
		else {
			play_word(&p, w[0], w[1]);
			w += 2;
		}
	}
	finish(0);
}

int
main(int argc, char **argv)
{
	int64_t ms = now_ms();
	char open_fds[MAX_FD];
	char **words;
	int fd;

	(void)argc;
	program = "fakessh";
	for (fd = 0; fd < MAX_FD; fd++)
		open_fds[fd] = (char)(fcntl(fd, F_GETFD) != -1);
	dir = getenv("FAKESSH_DIR");
	if (dir != NULL)
		record_start(argv, open_fds);
	catch_signals();
	words = play_signals(plan_step(plan_read()));
	if (dir != NULL)
		record_started(ms);
	play(words, argv);
	return 0;
}
