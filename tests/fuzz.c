/*
 * Goal: show that no input, however hostile, makes autossh do what it must not.
 *
 * libFuzzer calls one target, which FUZZ_TARGET names; without it the names are
 * printed.  A target turns bytes into input for functions of autossh.c and
 * compares what comes of it with a simple model, or with what must always be
 * true.  A new one gets a function fuzz_X() and a line in the table at the end.
 *
 * Built where configure was given --enable-fuzzing; fuzz.sh runs all targets.
 */

#include "config.h"

#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

/* ---- what stands between autossh.c and the system ---------------------- */

static void *fuzz_calloc(size_t n, size_t size);
static void fuzz_free(void *memory);
static char *fuzz_getenv(const char *name);
static ssize_t fuzz_writev(int fd, const struct iovec *parts, int n);
__attribute__((noreturn)) static void fuzz_exit(int status);

#define main autossh_main
#define calloc fuzz_calloc
#define free fuzz_free
#define getenv fuzz_getenv
#define writev fuzz_writev
#define exit fuzz_exit
int autossh_main(int argc, char **argv);
#include "../autossh.c" /* NOLINT: static functions are to be reached */
#undef main
#undef calloc
#undef free
#undef getenv
#undef writev
#undef exit

#define INPUT_MAX 8192

/* The time until which PART waits, as its PREPARE function says. */
static struct waitset prepared;
#define UNTIL(prepare, part)                                                   \
	(waitset_clear(&prepared), prepare(part, &prepared), prepared.until)

/* Ends the run: a property does not hold. */
__attribute__((noreturn, format(printf, 1, 2))) static void
broken(const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "broken: ");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	abort();
}

#define must(condition)                                                        \
	do {                                                                   \
		if (!(condition))                                              \
			broken("line %d: %s", __LINE__, #condition);           \
	} while (0)

/* autossh ends with what it had; so does every input. */
struct allocation {
	struct allocation *next;
	void *memory;
};
static struct allocation *allocations;

static void *
fuzz_calloc(size_t n, size_t size)
{
	struct allocation *a = malloc(sizeof(*a));

	must(a != NULL);
	a->memory = calloc(n, size);
	must(a->memory != NULL);
	a->next = allocations;
	allocations = a;
	return a->memory;
}

static void
fuzz_free(void *memory)
{
	struct allocation **a = &allocations, *found;

	while (*a != NULL && (*a)->memory != memory)
		a = &(*a)->next;
	free(memory);
	if (*a == NULL)
		return;
	found = *a;
	*a = found->next;
	free(found);
}

/* The one variable that is set, if any. */
static const char *variable_name;
static char *variable_value;

static char *
fuzz_getenv(const char *name)
{
	if (variable_name != NULL && strcmp(name, variable_name) == 0)
		return variable_value;
	return NULL;
}

/* Where exit() leads to. */
static jmp_buf at_exit;

__attribute__((noreturn)) static void
fuzz_exit(int status)
{
	longjmp(at_exit, status == 0 ? -1 : status);
}

/* What went to the log, less date and pid, line by line. */
static struct {
	bool off; /* it goes to a file */
	char text[64 * 1024];
	size_t len;
	int lines;
} said;

static ssize_t
fuzz_writev(int fd, const struct iovec *parts, int n)
{
	const char *text = parts[1].iov_base;

	if (said.off)
		return writev(fd, parts, n);
	must(n == 3);
	if (said.len + parts[1].iov_len + 2 > sizeof(said.text))
		said.len = 0;
	memcpy(said.text + said.len, text, parts[1].iov_len);
	said.len += parts[1].iov_len;
	said.text[said.len++] = '\n';
	said.text[said.len] = '\0';
	said.lines++;
	return (ssize_t)(parts[0].iov_len + parts[1].iov_len + 1);
}

static void
said_nothing(void)
{
	said.len = 0;
	said.lines = 0;
	said.text[0] = '\0';
}

/* Whether TEXT can do nothing to a terminal or a log. */
static bool
harmless(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	}
	return true;
}

/* ---- reading the input -------------------------------------------------- */

struct input {
	const uint8_t *data;
	size_t left;
};

static unsigned int
input_byte(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->data++;
}

/* Takes up to N bytes.  Returns how many. */
static size_t
input_bytes(struct input *in, char *buf, size_t n)
{
	if (n > in->left)
		n = in->left;
	memcpy(buf, in->data, n);
	in->data += n;
	in->left -= n;
	return n;
}

/* Takes a text, up to a byte 0 or the end. */
static char *
input_text(struct input *in, char *buf, size_t size)
{
	size_t n = 0, all = 0;

	while (all < in->left && in->data[all] != 0)
		all++;
	n = all < size ? all : size - 1;
	memcpy(buf, in->data, n);
	buf[n] = '\0';
	in->data += all;
	in->left -= all;
	(void)input_byte(in);
	return buf;
}

/* ---- the command line --------------------------------------------------- */

#define WORDS_MAX 24
#define WORD_MAX 64

/* ssh's options, as ssh gives them to getopt(). */
#define SSH_GETOPT                                                             \
	"1246ab:c:e:fgi:kl:m:no:p:qstvxAB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVw:W:"   \
	"XYyd"

/* What ssh's own loop makes of its command line. */
struct seen {
	bool unknown; /* an option that ssh does not know: it ends there */
	bool no_command, ipv6;
	int destination; /* index of the word, or 0 */
};

static void
seen_by_ssh(struct seen *seen, int argc, char **argv)
{
	int option, pass, at = 0;
	bool ended = false; /* by a "--" */

	memset(seen, 0, sizeof(*seen));
	for (pass = 0; pass < 2 && at < argc && !ended; pass++) {
		opterr = 0;
		optind = 0; /* glibc: begin anew, also inside a cluster */
		while ((option = getopt(
			    argc - at, argv + at, "+" SSH_GETOPT)) != -1) {
			seen->unknown = seen->unknown || option == '?';
			seen->no_command = seen->no_command || option == 'N';
			if (option == '4' || option == '6')
				seen->ipv6 = option == '6';
			/* ssh takes it for the end of its options */
			if (optarg != NULL && strcmp(optarg, "--") == 0)
				seen->unknown = true;
		}
		at += optind;
		ended = strcmp(argv[at - 1], "--") == 0;
		if (pass == 0)
			seen->destination = at < argc ? at : 0;
	}
}

/* Cuts the input into words: parted by a byte 0 or a newline. */
static int
words_read(struct input *in, char words[][WORD_MAX], char **argv)
{
	static char name[] = "autossh";
	int argc = 0;
	size_t n;

	argv[argc++] = name;
	while (in->left > 0 && argc < WORDS_MAX - 1) {
		for (n = 0; n < WORD_MAX - 1 && in->left > 0; n++) {
			words[argc][n] = (char)input_byte(in);
			if (words[argc][n] == '\0' || words[argc][n] == '\n')
				break;
		}
		words[argc][n] = '\0';
		argv[argc] = words[argc];
		argc++;
	}
	argv[argc] = NULL;
	return argc;
}

/* ssh gets the program, the words, and in their place what autossh adds. */
static void
check_ssh_argv(const struct cmdline *c, bool first, bool ntservice)
{
	struct settings set = { .path = "ssh", .ntservice = ntservice };
	struct forwards f = {
		.enabled = true, .local = "1:a:1", .remote = "1:a:2"
	};
	char *argv[WORDS_MAX + SSH_WORDS_ADDED];
	struct seen seen;
	int at = first ? 0 : c->forwards_at;
	int i, n = 1;

	set.port_from = first ? FROM_ENVIRONMENT : FROM_DEFAULT;
	ssh_set_argv(argv, &set, c, &f);
	must(argv[0] == set.path);
	for (i = 0; i <= c->nwords; i++) {
		if (i == at) {
			must(strcmp(argv[n++], "-L") == 0);
			must(argv[n++] == f.local);
			must(strcmp(argv[n++], "-R") == 0);
			must(argv[n++] == f.remote);
		}
		if (i == 0 && ntservice && !c->no_command)
			must(strcmp(argv[n++], "-N") == 0);
		if (i < c->nwords)
			must(argv[n++] == c->words[i]);
	}
	must(argv[n] == NULL);
	seen_by_ssh(&seen, n, argv);
	if (seen.unknown)
		return;
	/* a word "--" alone stands before the destination or command */
	must(seen.destination != 0);
	must(strcmp(argv[seen.destination], c->destination) == 0);
	must(seen.no_command == (c->no_command || ntservice));
	must(seen.ipv6 == c->ipv6);
}

/* Whether a word may be or hold an -o, of which autossh reads some. */
static bool
has_config(const struct cmdline *c)
{
	int i;

	for (i = 0; i < c->nwords; i++)
		if (c->words[i][0] == '-' && strchr(c->words[i], 'o') != NULL)
			return true;
	return false;
}

/* Behind "--", each word is ssh's: the words of C are read as they stand. */
static void
check_words_again(const struct cmdline *c, char *name)
{
	static char end[] = "--";
	char *argv[WORDS_MAX + 3], *copies[WORDS_MAX + 1];
	struct cmdline again;
	int i;

	argv[0] = name;
	argv[1] = end;
	for (i = 0; i < c->nwords; i++)
		argv[i + 2] = copies[i] = strdup(c->words[i]);
	argv[c->nwords + 2] = NULL;
	cmdline_parse(&again, c->nwords + 2, argv);
	must(again.action == CMDLINE_RUN);
	must(!again.background && again.monitor == NULL);
	must(strcmp(again.destination, c->destination) == 0);
	must(again.no_command == c->no_command && again.ipv6 == c->ipv6);
	must(again.command == c->command && again.tty == c->tty);
	must(again.nwords == c->nwords);
	for (i = 0; i < c->nwords; i++) {
		must(strcmp(again.words[i], c->words[i]) == 0);
		free(copies[i]);
	}
}

/*
 * ssh's own getopt() finds in what autossh gives it what autossh has found in
 * the command line; nothing of it is lost but what is autossh's own.
 */
static void
fuzz_cmdline(const uint8_t *data, size_t size)
{
	static char words[WORDS_MAX][WORD_MAX];
	struct input in = { data, size };
	char *argv[WORDS_MAX];
	struct cmdline c;
	unsigned int how = input_byte(&in);
	int argc = words_read(&in, words, argv);
	size_t given = 0, kept = 0;
	const char *last;
	int i;

	for (i = 1; i < argc; i++)
		given += strlen(argv[i]);
	cmdline_parse(&c, argc, argv);
	must((c.action == CMDLINE_ERROR) == (c.error != NULL));
	if (c.action != CMDLINE_RUN)
		return;
	must(c.forwards_at <= c.nwords && c.nwords < WORDS_MAX);
	for (i = 0; i < c.nwords; i++)
		kept += strlen(c.words[i]);
	must(kept <= given);
	check_words_again(&c, argv[0]);
	last = c.words[c.nwords - 1];
	/* a value that is missing would be what is added */
	if ((last[0] != '-' || last[1] == '\0') && !has_config(&c))
		check_ssh_argv(&c, how & 1, how & 2);
}

/* ---- settings and numbers ----------------------------------------------- */

/*
 * What decimal digits with an optional '-' are (where MIN is below zero), told
 * in another way: without leading zeros, compared as text with the limits.
 */
static bool
model_digits(const char *text, int64_t min, int64_t max, int64_t *number)
{
	char limit[2][32];
	const char *digits = text + (min < 0 && text[0] == '-');
	size_t n = strspn(digits, "0123456789");

	if (n == 0 || digits[n] != '\0')
		return false;
	while (n > 1 && *digits == '0') {
		digits++;
		n--;
	}
	if (text[0] == '-' && strcmp(digits, "0") != 0) {
		*number = -1;
		return true;
	}
	snprintf(limit[0], 32, "%" PRId64, min < 0 ? 0 : min);
	snprintf(limit[1], 32, "%" PRId64, max);
	if (n < strlen(limit[0]) ||
	    (n == strlen(limit[0]) && strcmp(digits, limit[0]) < 0) ||
	    n > strlen(limit[1]) ||
	    (n == strlen(limit[1]) && strcmp(digits, limit[1]) > 0))
		return false;
	*number = strtoll(digits, NULL, 10);
	return true;
}

/* The same with blanks and a '+' before it. */
static bool
model_number(const char *text, int64_t min, int64_t max, int64_t *number)
{
	while (*text == ' ' || (*text >= '\t' && *text <= '\r'))
		text++;
	if (*text == '+' && text[1] == '-')
		return false;
	return model_digits(text + (*text == '+'), min, max, number);
}

/* Whether VALUE is a monitor port. */
static bool
model_port(const char *value, int64_t *port, int64_t *echo)
{
	char text[INPUT_MAX];
	char *colon;

	snprintf(text, sizeof(text), "%s", value);
	colon = strchr(text, ':');
	if (colon != NULL)
		*colon = '\0';
	return model_digits(text, colon == NULL ? 0 : 1, 65534, port) &&
	       (colon == NULL || model_digits(colon + 1, 1, 65535, echo)) &&
	       strlen(text) <= VALUE_SHOWN;
}

/* Whether VALUE is allowed for S, and with NUMBER what it comes to. */
static bool
model_setting(const struct setting *s, const char *value, int64_t *number)
{
	int64_t len = (int64_t)strlen(value), echo;

	switch (s->kind) {
	case SETTING_FLAG:
		*number = 1;
		return true;
	case SETTING_YES:
		*number = strcasecmp(value, "yes") == 0;
		return true;
	case SETTING_NUMBER:
		return model_number(value, s->min, s->max, number);
	case SETTING_PORT:
		return len == 0 || strcmp(value, "auto") == 0 ||
		       model_port(value, number, &echo);
	case SETTING_PASSPHRASE:
		if (strncmp(value, "fd:", 3) == 0)
			return model_digits(value + 3, 0, INT_MAX, number);
		return strcmp(value, "ask") == 0 ||
		       ((strncmp(value, "file:", 5) == 0 ||
			    strncmp(value, "exec:", 5) == 0) &&
			   len > 5);
	case SETTING_TEXT:
		return len >= s->min && len <= s->max;
	}
	return false;
}

/*
 * A text for a number of LEAST..MOST: what the input holds, or a number about
 * one of the limits, which no fuzzer would guess.
 */
static char *
input_number(struct input *in, int64_t min, int64_t max, char *buf, size_t size)
{
	unsigned int how = input_byte(in);

	if (how % 4 != 3)
		return input_text(in, buf, size);
	snprintf(buf, size, "%" PRId64,
	    ((how & 4) ? min : max) + (int64_t)(how / 8 % 4) - 1);
	return buf;
}

/* Runs settings_read().  Returns whether it came back. */
static bool
settings_taken(struct settings *set)
{
	said_nothing();
	if (setjmp(at_exit) != 0)
		return false;
	settings_read(set, NULL);
	return true;
}

static void
fuzz_settings(const uint8_t *data, size_t size)
{
	static char value[INPUT_MAX], other[INPUT_MAX], refusal[1024];
	static struct settings set;
	static struct timing t;
	struct input in = { data, size };
	const struct setting *s =
	    &settings_table[input_byte(&in) % COUNT(settings_table)];
	int64_t number = 0, got;
	bool good;

	variable_name = s->name;
	variable_value =
	    input_number(&in, s->min, s->max, value, sizeof(value));
	good = model_setting(s, value, &number);
	must(settings_taken(&set) == good);
	must(good == (said.lines == 0));
	if (good) {
		memcpy(&got, (char *)&set + s->offset, sizeof(got));
		if (s->kind == SETTING_FLAG || s->kind == SETTING_YES ||
		    s->kind == SETTING_NUMBER)
			must(got == number);
		timing_derive(&t, &set, false);
		must(t.timeout_ms >= 500 && t.timeout_ms <= NET_TIMEOUT_MS);
		must(t.timeout_ms * 2 <= t.poll_ms);
		must(set.maxlifetime == 0 ||
		     (t.poll_ms <= set.maxlifetime * 1000 &&
			 t.first_ms <= set.maxlifetime * 1000));
		return;
	}
	/* the message names the variable, and is bounded and harmless */
	must(said.lines == 1);
	must(strstr(said.text, s->name) == said.text);
	must(said.len < 320);
	said.text[said.len - 1] = '\0';
	must(harmless(said.text));
	if (s->kind != SETTING_PASSPHRASE)
		return;
	/* and tells nothing of what may be the secret: it is always the same */
	memcpy(refusal, said.text, said.len);
	memset(other, 'x', 20);
	variable_value = other;
	must(!settings_taken(&set));
	said.text[said.len - 1] = '\0';
	must(strcmp(refusal, said.text) == 0);
}

#define PORT_TEXT_MAX 512

static void
fuzz_port(const uint8_t *data, size_t size)
{
	static char value[2 * PORT_TEXT_MAX];
	static char first[PORT_TEXT_MAX], second[PORT_TEXT_MAX];
	struct input in = { data, size };
	struct monitor_port mp;
	int64_t p = 0, e = 0;
	bool good;

	input_number(&in, 1, 65534, first, PORT_TEXT_MAX);
	input_number(&in, 1, 65535, second, PORT_TEXT_MAX - 1);
	snprintf(value, sizeof(value), "%s%s%s", first,
	    input_byte(&in) % 2 ? ":" : "", second);
	if (strcmp(value, "auto") == 0) {
		must(monitor_port_parse(value, &mp) && mp.auto_port);
		return;
	}
	good = model_port(value, &p, &e);
	must(monitor_port_parse(value, &mp) == good);
	if (good)
		must(!mp.auto_port && mp.port == p && mp.echo_port == e);
}

/* ---- policy ------------------------------------------------------------- */

static void
fuzz_policy(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	int64_t poll_s = 0, since = 0, wait, next;
	int tries = 0, status = 0;
	unsigned int flags;

	input_bytes(&in, (char *)&poll_s, 4);
	input_bytes(&in, (char *)&tries, sizeof(tries));
	input_bytes(&in, (char *)&since, 6);
	input_bytes(&in, (char *)&status, 2);
	flags = input_byte(&in);
	poll_s = poll_s % SECONDS_MAX + 1;
	tries &= INT_MAX;

	wait = policy_pause_ms(tries, poll_s);
	next = policy_pause_ms(tries == INT_MAX ? tries : tries + 1, poll_s);
	must(wait >= 0 && wait <= poll_s * 1000 && wait <= next);
	must((tries <= 1) == (wait == 0));
	must(tries < 20 || wait == poll_s * 1000);

	tries = policy_tries(tries, since, flags & 8, poll_s);
	must(tries >= 0);
	must((tries == 0) ==
	     (since >= 10000 && ((flags & 8) || since >= poll_s / 10 * 1000)));

	if (!WIFEXITED(status) && !WIFSIGNALED(status))
		return;
	switch (policy_death(
	    status, (flags & 2) ? 30000 : 0, since, flags & 16, flags & 4)) {
	case VERDICT_RESTART:
		must(!WIFEXITED(status) || WEXITSTATUS(status) <= 2 ||
		     WEXITSTATUS(status) == 255);
		break;
	case VERDICT_EXIT:
		must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		must(!(flags & 4));
		break;
	case VERDICT_EXIT_STATUS:
		must(WIFEXITED(status) && WEXITSTATUS(status) != 0);
		break;
	case VERDICT_PREMATURE:
		must(WIFEXITED(status) && (flags & 2));
		must(since <= 30000);
		break;
	}
}

/* ---- what comes back to a test ------------------------------------------ */

#define CLIENTS_MAX 12
#define STREAM_MAX 1024

/* Somebody who connects to the monitor. */
struct client {
	int fd;
	bool heard;  /* it came while a test listened */
	int64_t due; /* until when it is heard */
	char stream[STREAM_MAX];
	size_t sent;
	int64_t whole_at; /* when it had sent the line; NEVER */
};

struct wire {
	struct monitor m;
	int ssh; /* listens where ssh would */
	struct client clients[CLIENTS_MAX];
	int nclients;
	int64_t now;
};

/* A socket that listens under an abstract name of ours. */
static int
abstract_listen(struct address *a, char kind)
{
	int n, fd;

	memset(a, 0, sizeof(*a));
	a->sa.un.sun_family = AF_UNIX;
	n = snprintf(a->sa.un.sun_path + 1, 64, "autossh-fuzz-%c-%ld", kind,
	    (long)getpid());
	a->len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	fd = address_listen(a);
	must(fd != -1);
	return fd;
}

/* Connects to it. */
static int
abstract_connect(const struct address *a)
{
	int fd = fd_cloexec_nonblock(socket(AF_UNIX, SOCK_STREAM, 0));

	must(fd != -1);
	if (connect(fd, &a->sa.any, a->len) == -1)
		fd_close(&fd);
	return fd;
}

/* Empties a listener's queue. */
static void
abstract_drain(int fd)
{
	int stranger;

	while ((stranger = accept(fd, NULL, NULL)) != -1)
		close(stranger);
}

static void
wire_send(const struct wire *w, struct client *c, const char *bytes, size_t n)
{
	if (c->fd == -1)
		return;
	if (n > sizeof(c->stream) - c->sent)
		n = sizeof(c->stream) - c->sent;
	if (n == 0 || send(c->fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
		return;
	memcpy(c->stream + c->sent, bytes, n);
	c->sent += n;
	if (c->whole_at == NEVER && c->sent >= w->m.test.len &&
	    memcmp(c->stream, w->m.test.line, w->m.test.len) == 0)
		c->whole_at = w->now;
}

static void
wire_connect(struct wire *w, int fd)
{
	struct client *c = &w->clients[w->nclients];

	if (fd == -1)
		return;
	if (w->nclients == CLIENTS_MAX) {
		close(fd);
		return;
	}
	w->nclients++;
	c->fd = fd;
	c->heard =
	    w->m.test.phase != TEST_NONE && w->m.test.phase != TEST_AWAIT_LINE;
	c->due = w->m.forwards.echo ? w->m.test.deadline
				    : w->now + w->m.test.timeout_ms;
	c->sent = 0;
	c->whole_at = NEVER;
}

static void
wire_leave(struct wire *w)
{
	while (w->nclients > 0)
		fd_close(&w->clients[--w->nclients].fd);
}

/* A test has ended so: was that right? */
static void
wire_judge(struct wire *w, enum event r)
{
	const struct client *c;
	bool whole = false;
	int i;

	for (i = 0; i < w->nclients; i++) {
		c = &w->clients[i];
		if (c->whole_at != NEVER)
			whole = true;
		/* the line came in time: it must count */
		if (r != EV_TEST_PASSED && c->heard && c->whole_at < c->due)
			broken("a test has failed whose line came in time");
	}
	if (r == EV_TEST_PASSED && !whole)
		broken("a test has passed whose line did not come");
	wire_leave(w);
}

/* Lets the monitor do what it can at this time. */
static void
wire_run(struct wire *w)
{
	struct monitor *m = &w->m;
	struct waitset set;
	char line[sizeof(m->test.line)];
	enum test_phase before;
	enum event r;
	int turn;

	for (turn = 0; turn < 4; turn++) {
		waitset_clear(&set);
		monitor_prepare(m, &set);
		must(set.n < WAITSET_MAX);
		(void)poll(set.fds, set.n, 0);
		before = m->test.phase;
		memcpy(line, m->test.line, sizeof(line));
		r = monitor_run(m, &set, w->now);
		if (before != TEST_NONE &&
		    (m->test.phase == TEST_NONE ||
			memcmp(line, m->test.line, m->test.len) != 0))
			wire_judge(w, r); /* by the line that was sent */
		if (r == EV_TEST_FAILED) {
			monitor_reset(m);
			monitor_start(m, w->now);
		}
		if (m->forwards.echo && m->test.phase == TEST_AWAIT_LINE &&
		    w->nclients == 0)
			wire_connect(w, accept(w->ssh, NULL, NULL));
	}
	/* it neither spins nor sleeps for ever */
	must(UNTIL(monitor_prepare, m) > w->now);
	must(UNTIL(monitor_prepare, m) != NEVER);
	if (m->test.phase != TEST_NONE)
		must(w->now < m->test.begun + 2 * m->test.timeout_ms);
}

/* Something happens on the wire. */
static void
wire_step(struct wire *w, struct input *in)
{
	unsigned int what = input_byte(in), n = input_byte(in);
	struct client *c = &w->clients[w->nclients == 0 ? 0 : n % w->nclients];
	char bytes[256];
	size_t left;

	switch (what % 8) {
	case 0:
		w->now += (int64_t)n * n;
		break;
	case 1:
		if (!w->m.forwards.echo)
			wire_connect(
			    w, abstract_connect(&w->m.forwards.back_at));
		break;
	case 2: /* a piece of the line */
	case 3: /* all that is missing */
		if (w->nclients == 0 || c->sent >= w->m.test.len)
			break;
		left = w->m.test.len - c->sent;
		if (what % 8 == 2 && left > what / 8)
			left = what / 8;
		wire_send(w, c, w->m.test.line + c->sent, left);
		break;
	case 4:
		if (w->nclients > 0)
			wire_send(
			    w, c, bytes, input_bytes(in, bytes, what / 8 + 1));
		break;
	case 5:
		if (w->nclients > 0)
			fd_close(&c->fd);
		break;
	case 6:
		monitor_test_now(&w->m, w->now);
		break;
	case 7: /* the line, but for one bit */
		if (w->nclients == 0 || c->sent >= w->m.test.len)
			break;
		bytes[0] =
		    (char)(w->m.test.line[c->sent] ^ (1 << (what / 8 % 8)));
		wire_send(w, c, bytes, 1);
		break;
	}
	wire_run(w);
}

static void
fuzz_wire(const uint8_t *data, size_t size)
{
	static const struct timing t = {
		.first_ms = 20000, .poll_ms = 20000, .timeout_ms = 10000
	};
	static struct wire w;
	static struct address send, back;
	static int ssh = -1, listener = -1;
	struct input in = { data, size };
	struct monitor_port mp = { .port = 1 };
	unsigned int how = input_byte(&in);
	int steps;

	if (ssh == -1) {
		ssh = abstract_listen(&send, 's');
		listener = abstract_listen(&back, 'b');
	}
	mp.echo_port = (how & 1) != 0;
	monitor_init(&w.m, &mp, false, &t, (how & 4) ? "message" : "");
	w.m.forwards.send_to = send;
	w.m.forwards.back_at = back;
	w.m.listener.fd = mp.echo_port ? -1 : listener;
	w.m.schedule.probing = (how & 2) != 0;
	w.ssh = ssh;
	w.now = 1000;
	monitor_start(&w.m, w.now);
	wire_run(&w);
	for (steps = 0; in.left > 0 && steps < 200; steps++) {
		wire_step(&w, &in);
		if (!w.m.forwards.echo)
			abstract_drain(ssh);
	}
	monitor_reset(&w.m);
	wire_leave(&w);
	abstract_drain(ssh);
	abstract_drain(listener);
}

/* ---- ssh's questions ---------------------------------------------------- */

/* Whether WORD is in TEXT, in any case. */
static bool
has(const char *text, const char *word)
{
	return strcasestr(text, word) != NULL;
}

static void
check_question(const char *hint, const char *question)
{
	enum prompt_kind kind = prompt_classify(hint, question);
	const char *end = strstr(question, ") ");
	const char *at = strchr(question, '@');

	must((kind == PROMPT_NOTICE) == (strcmp(hint, "none") == 0));
	if (kind != PROMPT_KEY && kind != PROMPT_PASSWORD)
		return;
	must(strcmp(hint, "confirm") != 0);
	must(has(question, "password") || has(question, "passphrase") ||
	     has(question, "pin"));
	must(kind != PROMPT_KEY || question[0] == 'E');
	/* by a server: never for what opens the user's key */
	if (question[0] == '(' && end != NULL && at != NULL && at < end) {
		must(kind == PROMPT_PASSWORD);
		must(!text_has(end, "passphrase", isalnum));
		must(strchr(end, '?') == NULL);
	}
}

static void
fuzz_question(const uint8_t *data, size_t size)
{
	static const char *const hints[] = { "", "none", "confirm", "x" };
	static const struct {
		const char *before, *after;
		enum prompt_kind want;
	} forms[] = {
		{ "Enter passphrase for key '", "': ", PROMPT_KEY },
		{ "Enter PIN for ECDSA-SK key ", ": ", PROMPT_KEY },
		{ "Enter PIN for '", "': ", PROMPT_KEY },
		{ "The authenticity of host '",
		    "' can't be established.\n"
		    "Are you sure you want to continue connecting "
		    "(yes/no/[fingerprint])? ",
		    PROMPT_LOCAL },
		{ "(u@h) Enter passphrase for key '", "': ", PROMPT_SERVER },
		{ "(u@h) ",
		    "\nEnter passphrase for key '/k': ", PROMPT_SERVER },
		{ "(u@h) New password:", "", PROMPT_SERVER },
		{ "(u@h) Retype ", " password: ", PROMPT_SERVER },
		{ "Allow use of key ", "?", PROMPT_LOCAL },
	};
	static char text[INPUT_MAX], question[INPUT_MAX + 256];
	struct input in = { data, size };
	unsigned int how = input_byte(&in);
	size_t form = how / 8 % (COUNT(forms) + 1);

	input_text(&in, text, REQUEST_MAX);
	if (form == COUNT(forms)) {
		check_question(hints[how % 4], text);
		return;
	}
	snprintf(question, sizeof(question), "%s%s%s", forms[form].before, text,
	    forms[form].after);
	check_question(hints[how % 4], question);
	if (strlen(question) <= PROMPT_MAX)
		must(prompt_classify("", question) == forms[form].want);
}

/* A peer on its way to the supervisor. */
struct peer {
	int fd;
	char stream[3 * REQUEST_MAX];
	size_t sent;
	bool complete;
	int answered; /* in which life of ssh; 0: not */
};

/* What the peers of one life of ssh have in common. */
struct asking {
	struct askpass_server a;
	struct address where;
	struct peer peers[16];
	int nrequests;
	int64_t now;
	int life; /* of ssh, from 1 */
};

/* What a complete peer says, read in another way. */
struct question {
	char text[3 * REQUEST_MAX + 1];
	long asked_by;
	const char *hint, *question;
};

static bool
question_parse(struct question *q, const struct peer *r)
{
	char *hint, *end;

	memcpy(q->text, r->stream, r->sent);
	q->text[r->sent] = '\0';
	hint = strchr(q->text, '\n');
	end = hint == NULL ? NULL : strchr(hint + 1, '\n');
	if (end == NULL)
		return false;
	*hint = *end = '\0';
	q->asked_by = strtol(q->text, NULL, 10);
	q->hint = hint + 1;
	q->question = end + 1;
	return true;
}

/* No ssh may be told twice: it would log in with a wrong password again. */
static void
check_told_once(
    const struct asking *k, const struct peer *r, const struct question *q)
{
	static struct question other;
	int i;

	for (i = 0; i < k->nrequests; i++) {
		const struct peer *o = &k->peers[i];

		if (o == r || o->answered != k->life ||
		    !question_parse(&other, o))
			continue;
		must(other.asked_by != q->asked_by ||
		     strcmp(other.question, q->question) != 0);
	}
}

/* Sees what the supervisor has said to R. */
static void
request_hear(const struct asking *k, struct peer *r)
{
	static struct question q;
	char got[64];
	ssize_t len = recv(r->fd, got, sizeof(got), MSG_DONTWAIT);

	if (len <= 0)
		return;
	must(len == 6 && memcmp(got, "SECRET", 6) == 0);
	must(r->answered == 0);
	must(r->complete && r->sent < REQUEST_MAX);
	must(question_parse(&q, r));
	must(prompt_classify(q.hint, q.question) == PROMPT_KEY ||
	     prompt_classify(q.hint, q.question) == PROMPT_PASSWORD);
	check_told_once(k, r, &q);
	r->answered = k->life;
}

/* ssh has died. */
static void
asking_stop(struct asking *k)
{
	askpass_reset(&k->a, k->now);
	k->life++;
}

static void
asking_run(struct asking *k)
{
	struct waitset set;
	enum event event = EV_NONE;
	int i, turn, before = k->a.nanswers;

	for (turn = 0; turn < 4; turn++) {
		waitset_clear(&set);
		askpass_prepare(&k->a, &set);
		must(set.n < WAITSET_MAX);
		(void)poll(set.fds, set.n, 0);
		event = askpass_run(&k->a, &set, k->now);
		if (event != EV_NONE)
			break;
	}
	for (i = 0; i < k->nrequests; i++) {
		if (k->peers[i].fd != -1)
			request_hear(k, &k->peers[i]);
	}
	must(k->a.nanswers >= before);
	must(k->a.nanswers <= ANSWERS_MAX);
	must(k->a.nrequests <= REQUESTS_MAX);
	must(UNTIL(askpass_prepare, &k->a) > k->now);
	if (event != EV_NONE) { /* the supervisor ends ssh */
		must(event == EV_UNANSWERED || k->a.nanswers > 0);
		asking_stop(k);
	}
}

static void
asking_write(struct peer *r, const char *bytes, size_t n)
{
	if (r->complete || n > sizeof(r->stream) - r->sent ||
	    send(r->fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
		return;
	memcpy(r->stream + r->sent, bytes, n);
	r->sent += n;
}

static void
asking_step(struct asking *k, struct input *in)
{
	static const char whole[] =
	    "17\n\nEnter passphrase for key '/home/u/.ssh/id_ed25519': ";
	unsigned int what = input_byte(in), n = input_byte(in);
	struct peer *r =
	    &k->peers[k->nrequests == 0 ? 0 : n % (unsigned)k->nrequests];
	char bytes[1024];

	switch (what % 8) {
	case 0:
		k->now += (int64_t)n * n;
		break;
	case 1:
		if (k->nrequests == (int)COUNT(k->peers))
			break;
		r = &k->peers[k->nrequests++];
		memset(r, 0, sizeof(*r));
		r->fd = abstract_connect(&k->where);
		break;
	case 2:
	case 3:
		if (k->nrequests > 0)
			asking_write(
			    r, bytes, input_bytes(in, bytes, what / 8 + 1));
		break;
	case 4:
		memset(bytes, 'x', sizeof(bytes));
		if (k->nrequests > 0)
			asking_write(r, bytes, (size_t)what * 4);
		break;
	case 5:
		if (k->nrequests > 0 && r->sent < sizeof(whole) - 1)
			asking_write(
			    r, whole + r->sent, sizeof(whole) - 1 - r->sent);
		break;
	case 6:
		if (k->nrequests == 0)
			break;
		(void)shutdown(r->fd, SHUT_WR);
		r->complete = true;
		break;
	case 7:
		if (n < 250 && k->nrequests > 0)
			fd_close(&r->fd);
		else
			asking_stop(k);
		break;
	}
	asking_run(k);
}

static void
fuzz_request(const uint8_t *data, size_t size)
{
	static const struct passphrase_source from = { .source =
							   PASSPHRASE_ASK };
	static struct secrets page = { .kept = "SECRET" };
	static struct asking k;
	static int listener = -1;
	struct input in = { data, size };
	int i, steps;

	if (listener == -1)
		listener = abstract_listen(&k.where, 'a');
	secrets = &page;
	k.a.from = &from;
	k.a.listener.fd = listener;
	k.nrequests = 0;
	k.now = 1000;
	k.life = 1;
	for (steps = 0; in.left > 0 && steps < 200; steps++)
		asking_step(&k, &in);
	asking_stop(&k);
	for (i = 0; i < k.nrequests; i++)
		fd_close(&k.peers[i].fd);
	abstract_drain(listener);
}

/* ---- what ssh says, and what autossh says of it ------------------------- */

/* Counts the lines of what was said that begin so. */
static int
said_count(const char *begin)
{
	const char *p = said.text;
	int n = 0;

	while (p != NULL && *p != '\0') {
		n += strncmp(p, begin, strlen(begin)) == 0;
		p = strchr(p, '\n');
		p = p == NULL ? NULL : p + 1;
	}
	return n;
}

static void
fuzz_ssh_stderr(const uint8_t *data, size_t size)
{
	static struct ssh_stderr y, whole;
	static char all[INPUT_MAX], once[sizeof(said.text)];
	struct input in = { data, size };
	size_t cut = input_byte(&in) % 64 + 1;
	size_t len = input_bytes(&in, all, sizeof(all));
	size_t at, n;
	int lines, suppressed;

	ssh_stderr_init(&y);
	ssh_stderr_init(&whole);

	said_nothing();
	ssh_stderr_take(&whole, all, len, 1000);
	ssh_stderr_reset(&whole, 1000);
	memcpy(once, said.text, said.len + 1);

	/* however it is cut into pieces, the same is said */
	said_nothing();
	for (at = 0; at < len; at += n) {
		n = len - at < cut ? len - at : cut;
		ssh_stderr_take(&y, all + at, n, 1000);
		must(y.len < sizeof(y.line));
	}
	ssh_stderr_reset(&y, 1000);
	must(strcmp(once, said.text) == 0);
	must(strcmp(whole.last, y.last) == 0);

	/* a bounded number of bounded lines, and the rest is counted */
	lines = said.lines;
	suppressed = y.counts[0].suppressed + y.counts[1].suppressed;
	must(lines <= 2 * STDERR_LINES_MAX && lines == said_count("ssh: "));
	must(lines >= STDERR_LINES_MAX || suppressed == 0);
	must(said.len <= (size_t)lines * (STDERR_LINE_MAX + 8));
	must(strlen(y.last) < STDERR_LINE_MAX && harmless(y.last));
	must((suppressed > 0) == (UNTIL(ssh_stderr_prepare, &y) != NEVER));
	ssh_stderr_run(&y, 1000 + STDERR_WINDOW_MS);
	must(said.lines == lines + (suppressed > 0));
	must(UNTIL(ssh_stderr_prepare, &y) == NEVER);
}

/* Reads a label back.  Returns false if it is not well-formed. */
static bool
label_read(const char *label, size_t *n)
{
	for (*n = 0; *label != '\0'; label++, (*n)++) {
		if (*label == '"' || (*label == '\\' && *++label == '\0'))
			return false;
	}
	return true;
}

static void
fuzz_text(const uint8_t *data, size_t size)
{
	static char text[INPUT_MAX], buf[INPUT_MAX], again[INPUT_MAX];
	static char metric[METRICS_MAX];
	static char shown[VALUE_SHOWN + 4];
	static struct metrics st;
	struct input in = { data, size };
	size_t room, n, i;
	const char *p;

	input_bytes(&in, (char *)&st, sizeof(st));
	room = input_byte(&in) + 4;
	input_text(&in, text, sizeof(text));

	memset(buf, 'B', sizeof(buf));
	must(escape(text, buf, room) == buf);
	must(strlen(buf) < room && buf[room] == 'B' && harmless(buf));
	must(strcmp(escape(buf, again, sizeof(again)), buf) == 0);
	must(strlen(quote(text, shown)) <= VALUE_SHOWN + 3);

	label_text(text, buf);
	must(strlen(buf) < 2 * (size_t)LABEL_MAX && harmless(buf));
	must(label_read(buf, &n));

	metrics_text(&st, text, metric, sizeof(metric));
	n = strlen(metric);
	must(n + 1 < sizeof(metric) && metric[n - 1] == '\n');
	for (i = 0, p = metric; *p != '\0'; i++)
		p = strchr(p, '\n') + 1;
	must(i == 3 * COUNT(metrics_table));
	must(strstr(metric, "\n\n") == NULL);
	must(strlen(span_text(st.up, shown)) < 32);
}

/* ---- the log file, and what happens to it ------------------------------- */

#define LOGS_MAX 8

/* A line of the log that must be in the file with this inode. */
static struct {
	char path[PATH_MAX];
	char dir[64];
	int renamed;
} rotation;

/* Reads the last line of PATH.  Returns false if there is no such file. */
static bool
last_line(const char *path, char *line, size_t size)
{
	static char text[INPUT_MAX * 2];
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	ssize_t n;
	char *p;

	line[0] = '\0';
	if (fd == -1)
		return false;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		close(fd);
		return false;
	}
	n = pread(fd, text, sizeof(text) - 1,
	    st.st_size > (off_t)sizeof(text) - 1
		? st.st_size - (off_t)sizeof(text) + 1
		: 0);
	close(fd);
	if (n <= 0)
		return true;
	must(text[n - 1] == '\n'); /* each line is written whole */
	text[n - 1] = '\0';
	p = strrchr(text, '\n');
	snprintf(line, size, "%.*s", (int)size - 1, p == NULL ? text : p + 1);
	return true;
}

static void
rotation_name(char *path, size_t size, int n)
{
	snprintf(path, size, "%s/old.%d", rotation.dir, n);
}

/* Removes what a run has made. */
static void
rotation_clean(void)
{
	char path[128];
	int i;

	for (i = 0; i < LOGS_MAX; i++) {
		rotation_name(path, sizeof(path), i);
		if (unlink(path) == -1)
			(void)rmdir(path);
	}
	if (unlink(rotation.path) == -1)
		(void)rmdir(rotation.path);
}

/* Logs TEXT and sees where it went. */
static void
rotation_log(const char *text)
{
	char line[INPUT_MAX], cut[TEXT_MAX], want[4 * TEXT_MAX + 4];
	struct stat st;
	bool file = lstat(rotation.path, &st) == -1 || S_ISREG(st.st_mode);

	snprintf(cut, sizeof(cut), "%.*s", TEXT_MAX - 1, text);
	escape(cut, want, sizeof(want));
	log_msg(LOG_INFO, "%s", text);
	must(logger.fd != -1);
	if (!file)
		return; /* something else is there: it must only go on */
	must(last_line(rotation.path, line, sizeof(line)));
	must(strlen(line) >= strlen(want));
	must(strcmp(line + strlen(line) - strlen(want), want) == 0);
	must(strstr(line, " autossh[") == line + 19);
}

static void
rotation_step(unsigned int what)
{
	char old[128];
	int fd;

	rotation_name(old, sizeof(old), rotation.renamed % LOGS_MAX);
	switch (what % 8) {
	case 0:
		if (rename(rotation.path, old) == 0)
			rotation.renamed++;
		break;
	case 1:
		if (unlink(rotation.path) == -1)
			(void)rmdir(rotation.path);
		break;
	case 2:
		(void)!truncate(rotation.path, 0);
		break;
	case 3:
		(void)mkdir(rotation.path, 0700);
		break;
	case 4:
		(void)mkfifo(rotation.path, 0600);
		break;
	case 5:
		(void)symlink(rotation.path, rotation.path); /* to itself */
		break;
	case 6: /* another file in its place */
		fd = open(old, O_WRONLY | O_CREAT, 0600);
		if (fd != -1)
			close(fd);
		(void)rename(old, rotation.path);
		break;
	default:
		break;
	}
}

static void
fuzz_log(const uint8_t *data, size_t size)
{
	static char name[NAME_MAX + 1], text[INPUT_MAX];
	struct settings set = { .loglevel = LOG_INFO,
		.logfile = rotation.path };
	struct input in = { data, size };
	const char *shm = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	int steps, log_fd = logger.fd;
	char *p;

	input_text(&in, name, sizeof(name) - 32);
	while ((p = strchr(name, '/')) != NULL)
		*p = '_';
	snprintf(rotation.dir, sizeof(rotation.dir), "%s/autossh-fuzz-%ld", shm,
	    (long)getpid());
	(void)mkdir(rotation.dir, 0700);
	snprintf(rotation.path, sizeof(rotation.path), "%s/log-%s",
	    rotation.dir, name);
	rotation_clean();
	said.off = true;
	log_open(&set, false);
	must(logger.fd != -1);
	for (steps = 0; in.left > 0 && steps < 40; steps++) {
		rotation_step(input_byte(&in));
		input_text(&in, text, (size_t)2 * TEXT_MAX);
		rotation_log(text);
	}
	close(logger.fd);
	logger.path = NULL;
	logger.fd = log_fd;
	said.off = false;
	rotation_clean();
	(void)rmdir(rotation.dir);
}

/* ---- libFuzzer's doors -------------------------------------------------- */

static const struct target {
	const char *name;
	void (*run)(const uint8_t *data, size_t size);
} targets[] = {
	{ "request", fuzz_request },
	{ "cmdline", fuzz_cmdline },
	{ "log", fuzz_log },
	{ "policy", fuzz_policy },
	{ "port", fuzz_port },
	{ "question", fuzz_question },
	{ "ssh_stderr", fuzz_ssh_stderr },
	{ "settings", fuzz_settings },
	{ "text", fuzz_text },
	{ "wire", fuzz_wire },
};

static const struct target *target;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *name = getenv("FUZZ_TARGET");
	size_t i;

	(void)argc;
	(void)argv;
	for (i = 0; i < COUNT(targets); i++) {
		if (name == NULL)
			printf("%s\n", targets[i].name);
		else if (strcmp(name, targets[i].name) == 0)
			target = &targets[i];
	}
	if (target == NULL)
		exit(name != NULL);
	logger.level = LOG_DEBUG;
	logger.stderr_fd = -1;
	logger.fd = open("/dev/null", O_WRONLY);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	said_nothing();
	variable_name = NULL;
	if (size <= INPUT_MAX)
		target->run(data, size);
	while (allocations != NULL)
		fuzz_free(allocations->memory);
	return 0;
}
