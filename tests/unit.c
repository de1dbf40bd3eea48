/*
 * Goal: show that the functions of autossh.c that decide, which take facts and
 * return a verdict, do so as the tables here say.
 *
 * A table has one row for each case; a new function gets a table, a function
 * test_X() that goes through it, and a line in main().
 */

#define main autossh_main
int autossh_main(int argc, char **argv);
#include "../autossh.c" /* NOLINT: static functions are to be reached */
#undef main

#include <sys/resource.h>

#include <arpa/inet.h>

#define WORDS_MAX 32

static int tests, failures;

/* The time until which PART waits, as its PREPARE function says. */
static struct waitset prepared;
#define UNTIL(prepare, part)                                                   \
	(waitset_clear(&prepared), prepare(part, &prepared), prepared.until)

/* Prints one line of TAP for the test that FORMAT names. */
__attribute__((format(printf, 2, 3))) static void
ok(bool passed, const char *format, ...)
{
	char name[512], *p;
	va_list ap;

	va_start(ap, format);
	vsnprintf(name, sizeof(name), format, ap);
	va_end(ap);
	for (p = name; *p != '\0'; p++) {
		if (*p < ' ' || *p > '~' || *p == '#')
			*p = '?';
	}
	printf("%sok %d - %s\n", passed ? "" : "not ", ++tests, name);
	failures += !passed;
}

/* Compares two numbers, and shows both where they differ. */
static void
is_int(int64_t got, int64_t want, const char *name)
{
	ok(got == want, "%s", name);
	if (got != want)
		printf("# got  %" PRId64 "\n# want %" PRId64 "\n", got, want);
}

/* The same for two strings, either of which may be NULL. */
static void
is_text(const char *got, const char *want, const char *name)
{
	bool same = got == want ||
		    (got != NULL && want != NULL && strcmp(got, want) == 0);

	ok(same, "%s", name);
	if (!same)
		printf("# got  %s\n# want %s\n", got ? got : "(null)",
		    want ? want : "(null)");
}

/* ---- small helpers ----------------------------------------------------- */

static void
test_number_parse(void)
{
	static const struct {
		const char *text;
		int64_t min, max, want;
		bool good;
	} table[] = {
		{ "0", 0, 10, 0, true },
		{ "10", 0, 10, 10, true },
		{ "11", 0, 10, 0, false },
		{ "0", 1, 10, 0, false },
		{ "010", 0, 10, 10, true },
		{ "00000000000000000000000001", 0, 10, 1, true },
		{ "2147483647", 0, SECONDS_MAX, SECONDS_MAX, true },
		{ "2147483648", 0, SECONDS_MAX, 0, false },
		{ "4294967296", 0, 65534, 0, false },
		{ "18446744073709551616", 0, 65534, 0, false },
		{ "99999999999999999999999999999", 0, SECONDS_MAX, 0, false },
		{ "", 0, 10, 0, false },
		{ "-", 0, 10, 0, false },
		{ "-1", 0, 10, 0, false },
		{ "+1", 0, 10, 1, true },
		{ " 1", 0, 10, 1, true },
		{ " \t\n\v\f\r+1", 0, 10, 1, true },
		{ "+", 0, 10, 0, false },
		{ " ", 0, 10, 0, false },
		{ "+ 1", 0, 10, 0, false },
		{ "++1", 0, 10, 0, false },
		{ "+-1", -1, 10, 0, false },
		{ "-+1", -1, 10, 0, false },
		{ " -1", -1, 10, -1, true },
		{ "+11", 0, 10, 0, false },
		{ "1 ", 0, 10, 0, false },
		{ "1\r", 0, 10, 0, false },
		{ "1x", 0, 10, 0, false },
		{ "0x1", 0, 10, 0, false },
		{ "1.0", 0, 10, 0, false },
		{ "1e1", 0, 10, 0, false },
		{ "1\n", 0, 10, 0, false },
		{ "/", 0, 10, 0, false },
		{ ":", 0, 10, 0, false },
		{ "\xb2", 0, 10, 0, false },
		{ "5", -1, 10, 5, true },
		{ "-1", -1, 10, -1, true },
		{ "-7", -1, 10, -1, true },
		{ "-99999999999999999999", -1, SECONDS_MAX, -1, true },
		{ "-0", -1, 10, 0, true },
		{ "-", -1, 10, 0, false },
		{ "--1", -1, 10, 0, false },
		{ "-1x", -1, 10, 0, false },
	};
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		int64_t got = 4711;
		bool good = number_parse(
		    table[i].text, table[i].min, table[i].max, &got);

		ok(good == table[i].good &&
			got == (good ? table[i].want : 4711),
		    "number \"%s\" of %" PRId64 "..%" PRId64, table[i].text,
		    table[i].min, table[i].max);
	}
}

#define TEN "0123456789"
#define SIXTY TEN TEN TEN TEN TEN TEN

static void
test_text_shown(void)
{
	static const struct {
		const char *text, *want;
	} table[] = {
		{ "", "" },
		{ "a value ~!", "a value ~!" },
		{ "60\r", "60\\r" },
		{ "a\nb\tc\033[31m\177", "a\\nb\\tc\\033[31m\\177" },
		{ "a\\r", "a\\r" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "\xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf",
		    "\xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf" },
		/* control characters of ISO 6429, as CSI */
		{ "\xc2\x9b"
		  "31m \xc2\xa0",
		    "\\302\\23331m \xc2\xa0" },
		/* Latin-1, overlong, surrogate, beyond Unicode, cut off */
		{ "gr\xfc\xdf", "gr\\374\\337" },
		{ "\xc0\xaf\xe0\x80\xaf", "\\300\\257\\340\\200\\257" },
		{ "\xf0\x80\x80\xaf", "\\360\\200\\200\\257" },
		{ "\xed\xa0\x80", "\\355\\240\\200" },
		{ "\xf4\x90\x80\x80", "\\364\\220\\200\\200" },
		{ "\xf5\xff\x80", "\\365\\377\\200" },
		{ "\xe2\x82", "\\342\\202" },
		{ "\xe2\x82"
		  "a",
		    "\\342\\202a" },
		{ SIXTY "123\xc3\xbc", SIXTY "123..." },
		{ SIXTY "12\xc3\xbc", SIXTY "12\xc3\xbc" },
		{ SIXTY "123\r4", SIXTY "123..." },
		{ SIXTY "1234", SIXTY "1234" },
		{ SIXTY "12345", SIXTY "1234..." },
		{ SIXTY SIXTY SIXTY, SIXTY "0123..." },
	};
	char buf[VALUE_SHOWN + 4];
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		memset(buf, 'x', sizeof(buf));
		is_text(quote(table[i].text, buf), table[i].want,
		    "what a message repeats of a value");
	}
}

static void
test_mode_is_safe(void)
{
	static const struct {
		mode_t mode;
		bool want;
	} table[] = {
		{ S_IFDIR | 0755, true },
		{ S_IFDIR | 0700, true },
		{ S_IFDIR | 0777, false },
		{ S_IFDIR | 0775, false },
		{ S_IFDIR | 0757, false },
		{ S_IFDIR | 02775, false },
		{ S_IFDIR | 01777, true },
		{ S_IFDIR | 01770, true },
		{ S_IFREG | 0644, true },
		{ S_IFREG | 0664, false },
		{ S_IFREG | 01666, false },
		{ S_IFLNK | 0777, false },
		{ S_IFLNK | 0755, false },
	};
	size_t i;

	for (i = 0; i < COUNT(table); i++)
		ok(mode_is_safe(table[i].mode) == table[i].want,
		    "mode %o is %ssafe", (unsigned)table[i].mode,
		    table[i].want ? "" : "not ");
	ok(path_is_safe("/"), "the root directory is safe");
	ok(!path_is_safe("/nowhere/at/all"), "what is not there is not safe");
	ok(owner_is_trusted(0), "root is trusted");
	ok(owner_is_trusted(geteuid()), "we are trusted");
	ok(!owner_is_trusted(geteuid() + 4711), "another user is not");
}

static void
test_earlier(void)
{
	is_int(earlier(1, 2), 1, "the first of two times is earlier");
	is_int(earlier(2, 1), 1, "the second of two times is earlier");
	is_int(earlier(NEVER, 1), 1, "never is later");
	is_int(earlier(NEVER, NEVER), NEVER, "never and never is never");
}

static void
test_pollset(void)
{
	struct waitset set = { .until = NEVER };
	int i;

	waitset_fd(&set, -1, POLLIN);
	is_int((int64_t)set.n, 0, "what is not open is not waited for");
	waitset_fd(&set, 7, POLLIN);
	waitset_fd(&set, 8, POLLOUT);
	set.fds[1].revents = POLLHUP;
	is_int((int64_t)set.n, 2, "two descriptors are waited for");
	is_int(set.fds[0].events, POLLIN, "the first for input");
	is_int(set.fds[1].events, POLLOUT, "the second for output");
	is_int(waitset_ready(&set, 7), 0, "nothing came of the first");
	is_int(waitset_ready(&set, 8), POLLHUP, "the second hung up");
	is_int(waitset_ready(&set, 9), 0, "nothing came of a third");
	for (i = 0; i < WAITSET_MAX + 5; i++)
		waitset_fd(&set, 100 + i, POLLIN);
	is_int((int64_t)set.n, WAITSET_MAX, "the set has an end");
}

/* ---- settings ---------------------------------------------------------- */

static const struct setting *
setting_find(const char *name)
{
	size_t i;

	for (i = 0; i < COUNT(settings_table); i++) {
		if (strcmp(settings_table[i].name, name) == 0)
			return &settings_table[i];
	}
	printf("Bail out! There is no setting %s\n", name);
	exit(1);
}

static void
test_settings_numbers(void)
{
	static const struct {
		const char *name, *value;
		int64_t want;
		bool good;
	} table[] = {
		{ "AUTOSSH_DEBUG", NULL, 0, true },
		{ "AUTOSSH_DEBUG", "", 1, true },
		{ "AUTOSSH_DEBUG", "0", 1, true },
		{ "AUTOSSH_DEBUG", "yes", 1, true },
		{ "AUTOSSH_FIRST_POLL", NULL, -1, true },
		{ "AUTOSSH_FIRST_POLL", "1", 1, true },
		{ "AUTOSSH_FIRST_POLL", "2147483647", 2147483647, true },
		{ "AUTOSSH_FIRST_POLL", "0", 0, false },
		{ "AUTOSSH_FIRST_POLL", "-1", 0, false },
		{ "AUTOSSH_FIRST_POLL", "", 0, false },
		{ "AUTOSSH_FIRST_POLL", "1.5", 0, false },
		{ "AUTOSSH_GATETIME", NULL, 30, true },
		{ "AUTOSSH_GATETIME", "0", 0, true },
		{ "AUTOSSH_GATETIME", "90", 90, true },
		{ "AUTOSSH_GATETIME", "-1", 0, false },
		{ "AUTOSSH_GATETIME", "", 0, false },
		{ "AUTOSSH_GATETIME", "30s", 0, false },
		{ "AUTOSSH_LOGLEVEL", NULL, 6, true },
		{ "AUTOSSH_LOGLEVEL", "0", 0, true },
		{ "AUTOSSH_LOGLEVEL", "7", 7, true },
		{ "AUTOSSH_LOGLEVEL", "8", 0, false },
		{ "AUTOSSH_LOGLEVEL", "-1", 0, false },
		{ "AUTOSSH_LOGLEVEL", "debug", 0, false },
		{ "AUTOSSH_MAXLIFETIME", NULL, 0, true },
		{ "AUTOSSH_MAXLIFETIME", "0", 0, true },
		{ "AUTOSSH_MAXLIFETIME", "3600", 3600, true },
		{ "AUTOSSH_MAXLIFETIME", "2147483648", 0, false },
		{ "AUTOSSH_MAXLIFETIME", "-1", 0, false },
		{ "AUTOSSH_MAXSTART", NULL, -1, true },
		{ "AUTOSSH_MAXSTART", "-1", -1, true },
		{ "AUTOSSH_MAXSTART", "-12", -1, true },
		{ "AUTOSSH_MAXSTART", "0", 0, true },
		{ "AUTOSSH_MAXSTART", "12", 12, true },
		{ "AUTOSSH_MAXSTART", "", 0, false },
		{ "AUTOSSH_MAXSTART", "many", 0, false },
		{ "AUTOSSH_NTSERVICE", NULL, 0, true },
		{ "AUTOSSH_NTSERVICE", "yes", 1, true },
		{ "AUTOSSH_NTSERVICE", "YES", 1, true },
		{ "AUTOSSH_NTSERVICE", "Yes", 1, true },
		{ "AUTOSSH_POLL", NULL, 600, true },
		{ "AUTOSSH_POLL", "1", 1, true },
		{ "AUTOSSH_POLL", "010", 10, true },
		{ "AUTOSSH_POLL", " 60", 60, true },
		{ "AUTOSSH_POLL", "+60", 60, true },
		{ "AUTOSSH_POLL", "60\r", 0, false },
		{ "AUTOSSH_POLL", "0", 0, false },
		{ "AUTOSSH_POLL", "0x10", 0, false },
		{ "AUTOSSH_POLL", "", 0, false },
	};
	struct settings set;
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		const struct setting *s = setting_find(table[i].name);
		bool good;
		const int64_t *number = (void *)((char *)&set + s->offset);

		memset(&set, 0x55, sizeof(set));
		good = setting_store(
		    &set, s, table[i].value != NULL ? table[i].value : s->text);
		ok(good == table[i].good && (!good || *number == table[i].want),
		    "%s=%s", s->name,
		    table[i].value ? table[i].value : "(unset)");
	}
}

static void
setting_setenv(const char *name, const char *value)
{
	if (value == NULL)
		unsetenv(name);
	else
		setenv(name, value, 1);
}

static void
test_settings_texts(void)
{
	static char longest_path[PATH_MAX], longer_path[PATH_MAX + 1];
	static const struct {
		const char *name, *value, *want;
		bool good;
	} table[] = {
		{ "AUTOSSH_LOGFILE", NULL, NULL, true },
		{ "AUTOSSH_LOGFILE", "x", "x", true },
		{ "AUTOSSH_LOGFILE", "", NULL, false },
		{ "AUTOSSH_LOGFILE", longest_path, longest_path, true },
		{ "AUTOSSH_LOGFILE", longer_path, NULL, false },
		{ "AUTOSSH_MESSAGE", NULL, "", true },
		{ "AUTOSSH_MESSAGE", "", "", true },
		{ "AUTOSSH_MESSAGE", SIXTY "1234", SIXTY "1234", true },
		{ "AUTOSSH_MESSAGE", SIXTY "12345", NULL, false },
		{ "AUTOSSH_PATH", NULL, PATH_SSH, true },
		{ "AUTOSSH_PATH", "ssh", "ssh", true },
		{ "AUTOSSH_PATH", "", NULL, false },
		{ "AUTOSSH_PIDFILE", NULL, NULL, true },
		{ "AUTOSSH_PIDFILE", "", NULL, true },
		{ "AUTOSSH_PIDFILE", "p", "p", true },
	};
	static struct settings set;
	size_t i;

	memset(longest_path, 'p', sizeof(longest_path) - 1);
	memset(longer_path, 'p', sizeof(longer_path) - 1);
	for (i = 0; i < COUNT(table); i++) {
		const struct setting *s = setting_find(table[i].name);
		const char **text = (void *)((char *)&set + s->offset);
		const char *value;
		bool good;

		memset(&set, 0x55, sizeof(set));
		setting_setenv(s->name, table[i].value);
		(void)setting_value(s, NULL, &value);
		good = setting_store(&set, s, value);
		if (good)
			is_text(*text, table[i].want, s->name);
		else
			ok(!table[i].good, "%s is refused", s->name);
		unsetenv(s->name);
	}
}

static void
test_setting_allowed(void)
{
	static const struct {
		const char *name, *want;
	} table[] = {
		{ "AUTOSSH_DEBUG", "anything" },
		{ "AUTOSSH_GATETIME", "a whole number from 0 to 2147483647" },
		{ "AUTOSSH_LOGLEVEL", "a whole number from 0 to 7" },
		{ "AUTOSSH_MAXSTART", "a whole number from 0 to 2147483647, "
				      "or negative for no limit" },
		{ "AUTOSSH_MESSAGE", "at most 64 bytes" },
		{ "AUTOSSH_PASSPHRASE",
		    "ask, fd:N, file:PATH or exec:COMMAND" },
		{ "AUTOSSH_NTSERVICE", "yes" },
		{ "AUTOSSH_POLL", "a whole number from 1 to 2147483647" },
		{ "AUTOSSH_PORT",
		    "a port (1 to 65534), port:echo_port (to 65535), auto, "
		    "or 0 for no monitor" },
	};
	char buf[128];
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		setting_allowed(setting_find(table[i].name), buf, sizeof(buf));
		is_text(buf, table[i].want, table[i].name);
	}
}

/* settings_read() takes each variable from where it comes. */
static void
test_settings_read(void)
{
	static const struct {
		const char *env, *option; /* AUTOSSH_PORT and -M */
		enum setting_origin from;
		int port;
	} table[] = {
		{ NULL, NULL, FROM_DEFAULT, 0 },
		{ "", NULL, FROM_DEFAULT, 0 },
		{ "20000", NULL, FROM_ENVIRONMENT, 20000 },
		{ "20000", "30000", FROM_ENVIRONMENT, 20000 },
		{ "", "30000", FROM_COMMAND_LINE, 30000 },
		{ NULL, "30000", FROM_COMMAND_LINE, 30000 },
		{ "20000", "junk", FROM_ENVIRONMENT, 20000 },
	};
	struct settings set;
	size_t i;

	for (i = 0; i < COUNT(settings_table); i++)
		unsetenv(settings_table[i].name);
	settings_read(&set, NULL);
	is_int(set.poll, 600, "a setting has its default");
	is_int(set.passphrase.source, PASSPHRASE_NONE, "no passphrase");
	setenv("AUTOSSH_POLL", "7", 1);
	setenv("AUTOSSH_MESSAGE", "hello", 1);
	setenv("AUTOSSH_PASSPHRASE", "fd:7", 1);
	settings_read(&set, NULL);
	is_int(set.poll, 7, "a number is read from the environment");
	is_text(set.message, "hello", "a text is read from the environment");
	is_int(set.passphrase.fd, 7, "and where the passphrase comes from");
	unsetenv("AUTOSSH_POLL");
	unsetenv("AUTOSSH_MESSAGE");
	unsetenv("AUTOSSH_PASSPHRASE");
	for (i = 0; i < COUNT(table); i++) {
		setting_setenv("AUTOSSH_PORT", table[i].env);
		settings_read(&set, table[i].option);
		is_int(set.port_from, table[i].from, "where the port is from");
		is_int(set.port.port, table[i].port, "and its value");
		is_int(set.port.auto_port, table[i].port == 0, "or auto");
	}
	unsetenv("AUTOSSH_PORT");
}

static void
test_monitor_port_parse(void)
{
	static const struct {
		const char *value;
		bool good;
		int port, echo_port;
		bool auto_port;
	} table[] = {
		{ "auto", true, 0, 0, true },
		{ "AUTO", false, 0, 0, false },
		{ "auto:7", false, 0, 0, false },
		{ "automatic", false, 0, 0, false },
		{ "0", true, 0, 0, false },
		{ "1", true, 1, 0, false },
		{ "010", true, 10, 0, false },
		{ "20000", true, 20000, 0, false },
		{ "65534", true, 65534, 0, false },
		{ "20000:7", true, 20000, 7, false },
		{ "65534:65535", true, 65534, 65535, false },
		{ "1:1", true, 1, 1, false },
		{ "65535", false, 0, 0, false },
		{ "65536", false, 0, 0, false },
		{ "65535:7", false, 0, 0, false },
		{ "4294967296", false, 0, 0, false },
		{ "18446744073709551616", false, 0, 0, false },
		{ "20000:65536", false, 0, 0, false },
		{ "20000:70000", false, 0, 0, false },
		{ "20000:0", false, 0, 0, false },
		{ "0:7", false, 0, 0, false },
		{ "0:", false, 0, 0, false },
		{ "", false, 0, 0, false },
		{ ":", false, 0, 0, false },
		{ ":7", false, 0, 0, false },
		{ "7:", false, 0, 0, false },
		{ "1:2:3", false, 0, 0, false },
		{ "-1", false, 0, 0, false },
		{ "+1", false, 0, 0, false },
		{ " 1", false, 0, 0, false },
		{ "1 ", false, 0, 0, false },
		{ "0x4e20", false, 0, 0, false },
		{ "2e4", false, 0, 0, false },
		{ "20000:echo", false, 0, 0, false },
		{ "ssh", false, 0, 0, false },
		{ SIXTY "12345", false, 0, 0, false },
	};
	struct monitor_port mp;
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		bool good = monitor_port_parse(table[i].value, &mp);

		ok(good == table[i].good &&
			(!good || (mp.auto_port == table[i].auto_port &&
				      mp.port == table[i].port &&
				      mp.echo_port == table[i].echo_port)),
		    "monitor port \"%s\"", table[i].value);
	}
}

static void
test_timing_derive(void)
{
	static const struct {
		const char *name;
		struct settings set;
		bool background;
		struct timing want;
	} table[] = {
		{ "the defaults",
		    { .poll = 600, .first_poll = -1, .gatetime = 30 }, false,
		    { 600000, 600000, 15000, 30000, false, false } },
		{ "in the background the gate is open",
		    { .poll = 600, .first_poll = -1, .gatetime = 30 }, true,
		    { 600000, 600000, 15000, 0, false, false } },
		{ "an early first test", { .poll = 600, .first_poll = 5 },
		    false, { 5000, 600000, 15000, 0, false, false } },
		{ "a late first test", { .poll = 60, .first_poll = 90 }, false,
		    { 90000, 60000, 15000, 0, false, false } },
		{ "poll time of twice the timeout",
		    { .poll = 30, .first_poll = -1 }, false,
		    { 30000, 30000, 15000, 0, false, false } },
		{ "poll time below that", { .poll = 29, .first_poll = -1 },
		    false, { 29000, 29000, 14500, 0, false, false } },
		{ "the shortest poll time", { .poll = 1, .first_poll = -1 },
		    false, { 1000, 1000, 500, 0, false, false } },
		{ "a lifetime of one poll",
		    { .poll = 60, .first_poll = -1, .maxlifetime = 60 }, false,
		    { 60000, 60000, 15000, 0, false, false } },
		{ "a shorter lifetime",
		    { .poll = 60, .first_poll = -1, .maxlifetime = 59 }, false,
		    { 59000, 59000, 15000, 0, true, true } },
		{ "a lifetime below the first poll too",
		    { .poll = 60, .first_poll = 90, .maxlifetime = 20 }, false,
		    { 20000, 20000, 10000, 0, true, true } },
		{ "a lifetime below the first poll only",
		    { .poll = 60, .first_poll = 90, .maxlifetime = 70 }, false,
		    { 70000, 60000, 15000, 0, false, true } },
		{ "an early first test within a short lifetime",
		    { .poll = 60, .first_poll = 5, .maxlifetime = 40 }, false,
		    { 5000, 40000, 15000, 0, true, false } },
		{ "the greatest of all",
		    { .poll = SECONDS_MAX,
			.first_poll = SECONDS_MAX,
			.gatetime = SECONDS_MAX,
			.maxlifetime = SECONDS_MAX },
		    false,
		    { 2147483647000, 2147483647000, 15000, 2147483647000, false,
			false } },
	};
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		const struct timing *w = &table[i].want;
		struct timing t;

		timing_derive(&t, &table[i].set, table[i].background);
		ok(t.first_ms == w->first_ms && t.poll_ms == w->poll_ms &&
			t.timeout_ms == w->timeout_ms &&
			t.gate_ms == w->gate_ms &&
			t.poll_lowered == w->poll_lowered &&
			t.first_lowered == w->first_lowered,
		    "times: %s", table[i].name);
	}
}

/* ---- command line ------------------------------------------------------ */

/*
 * Splits LINE at its spaces into words; what stands between single quotes is
 * one word.  The words live in BUF.  Returns their number.
 */
static int
words_split(const char *line, char *buf, char **words)
{
	bool quoted = false;
	int n = 0;

	words[n++] = buf;
	for (; *line != '\0'; line++) {
		if (*line == '\'') {
			quoted = !quoted;
		} else if (*line == ' ' && !quoted) {
			*buf++ = '\0';
			words[n++] = buf;
		} else {
			*buf++ = *line;
		}
	}
	*buf = '\0';
	words[n] = NULL;
	return n;
}

/* Puts WORDS together in BUF so that words_split() would find them. */
static const char *
words_join(char *const *words, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (; *words != NULL && n < size; words++) {
		bool plain = **words != '\0' && strchr(*words, ' ') == NULL;

		n += (size_t)snprintf(buf + n, size - n,
		    plain ? "%s%s" : "%s'%s'", n > 0 ? " " : "", *words);
	}
	return buf;
}

/*
 * Cuts up LINE, the words behind "autossh"; they live in BUF.  What it came to
 * is kept, since autossh never frees it.
 */
static void
cmdline_read(struct cmdline *c, const char *line, char *buf)
{
	static struct cmdline kept[256];
	static size_t nkept;
	static char program[] = "autossh";
	char *argv[WORDS_MAX] = { program };
	int argc = 1;

	if (line[0] != '\0')
		argc += words_split(line, buf, argv + 1);
	cmdline_parse(c, argc, argv);
	kept[nkept++ % COUNT(kept)] = *c;
}

/* What ssh is given: the loop with port P, and P in IPv6. */
#define LOOP(p, p1) "-L " p ":127.0.0.1:" p " -R " p ":127.0.0.1:" p1
#define LOOP6(p, p1) "-L " p ":[::1]:" p " -R " p ":[::1]:" p1
#define L20000 LOOP("20000", "20001")

static const struct command {
	const char *port; /* AUTOSSH_PORT */
	const char *line; /* what autossh is given */
	const char *want; /* what ssh is given */
	bool background;
} commands[] = {
	/* recipes from the wild */
	{ NULL,
	    "-M 0 -N -o 'ServerAliveInterval 30' -o 'ServerAliveCountMax 3' "
	    "-R 2222:localhost:22 u@h",
	    "-N -o 'ServerAliveInterval 30' -o 'ServerAliveCountMax 3' "
	    "-R 2222:localhost:22 u@h",
	    false },
	{ NULL, "-M 20000 -f -N h -R 1234:localhost:22 -C",
	    L20000 " -N h -R 1234:localhost:22 -C", true },
	{ NULL, "-M 20000 -L 8443:x:443 root@h -N -f",
	    L20000 " -L 8443:x:443 root@h -N", true },
	{ NULL, "-2 -fN -M 20000 -R 2200:localhost:22 u@h",
	    "-2 -N " L20000 " -R 2200:localhost:22 u@h", true },
	{ NULL, "-M 4444 -qfTnN -D 7777 h",
	    LOOP("4444", "4445") " -qTnN -D 7777 h", true },
	{ NULL, "-f -N -M 40000 -L 1:x:2 -f u@h -p 4444",
	    "-N " LOOP("40000", "40001") " -L 1:x:2 u@h -p 4444", true },
	{ NULL, "-M 0 -NR '*:2222:localhost:22' u@h -p 22 -i key",
	    "-NR *:2222:localhost:22 u@h -p 22 -i key", false },
	{ NULL, "-M 0 -N -D '[::1]:1080' u@2001:db8::1",
	    "-N -D [::1]:1080 u@2001:db8::1", false },
	{ NULL, "-M 13000 -NT -o ControlMaster=no -6 h",
	    LOOP6("13000", "13001") " -NT -o ControlMaster=no -6 h", false },
	{ NULL, "-M 0 -t h 'tmux new-session -A -s main'",
	    "-t h 'tmux new-session -A -s main'", false },
	{ NULL, "-M 0 -t h tmux new -As main", "-t h tmux new -As main",
	    false },
	{ NULL, "-M 0 -J jump -N h", "-J jump -N h", false },
	{ NULL, "-M 0 -Jjump h", "-Jjump h", false },
	{ NULL, "-M 0 -B lo h", "-B lo h", false },
	{ NULL, "-M 0 h ls -l", "h ls -l", false },
	{ NULL, "-M 0 h tail -f log", "h tail -f log", false },
	{ NULL, "-M 0 h sh -c 'echo -f'", "h sh -c 'echo -f'", false },
	{ NULL, "-M 0 h git --version", "h git --version", false },
	{ NULL, "-M 0 h printf %s ''", "h printf %s ''", false },
	{ NULL, "-fNM 0 h", "-N h", true },
	{ NULL, "-NfM20000 h", "-N " L20000 " h", true },
	{ NULL, "-ff -M 0 h", "h", true },
	{ NULL, "-M 0 -- -M h", "-M h", false },
	{ "0", "-vv -- -i k -L 1:x:2 u@h -N", "-vv -i k -L 1:x:2 u@h -N",
	    false },
	{ "20000", "-M 0 -N h", L20000 " -N h", false },

	/* a port that is chosen later */
	{ NULL, "-N h", "-L '' -R '' -N h", false },
	{ NULL, "h ls -M 0", "-L '' -R '' h ls -M 0", false },
	{ NULL, "-N -M auto h", "-N -L '' -R '' h", false },
	{ NULL, "-fNMauto h", "-N -L '' -R '' h", true },
	{ "auto", "-N -M 0 h", "-L '' -R '' -N h", false },
	{ NULL, "-M auto -N -M 0 h", "-N h", false },

	/* the monitor port */
	{ NULL, "-M 20000 h", L20000 " h", false },
	{ NULL, "-M20000 h", L20000 " h", false },
	{ NULL, "-M 20000:7 h", "-L 20000:127.0.0.1:7 h", false },
	{ NULL, "-6 -M 20000:7 h", "-6 -L 20000:[::1]:7 h", false },
	{ NULL, "h -M 20000", "h " L20000, false },
	{ NULL, "h -M 20000 ls", "h " L20000 " ls", false },
	{ NULL, "h -NM20000", "h -N " L20000, false },
	{ NULL, "-M 1 -N -M 20000 h", L20000 " -N h", false },
	{ NULL, "-M 20000 -N -M 0 h", "-N h", false },
	{ NULL, "-M x -M 0 h", "h", false },
	{ NULL, "-M 65534 h", LOOP("65534", "65535") " h", false },
	{ "20000", "-N h", L20000 " -N h", false },
	{ "20000", "-N -M 30000 h -M 40000", L20000 " -N h", false },
	{ "20000:7", "-N h", "-L 20000:127.0.0.1:7 -N h", false },
	{ "0", "-NM 30000 h", "-N h", false },
	{ NULL, "-4 -M 20000 -6 h", "-4 " LOOP6("20000", "20001") " -6 h",
	    false },
	{ NULL, "-6 -M 20000 -4 h", "-6 " L20000 " -4 h", false },
	{ NULL, "-M 20000 h -N6", LOOP6("20000", "20001") " h -N6", false },
	{ NULL, "-M 20000 h ls -6", L20000 " h ls -6", false },
	{ NULL, "-M 20000 -- -6 h", LOOP6("20000", "20001") " -6 h", false },

	/* -f, and what looks like it */
	{ NULL, "-f -M 0 h", "h", true },
	{ NULL, "-fM0 h", "h", true },
	{ NULL, "-M 0 h -f", "h", true },
	{ NULL, "-M 0 -vfv h", "-vv h", true },
	{ NULL, "-M 0 -fL 8808:foo:80 h", "-L 8808:foo:80 h", true },
	{ NULL, "-M 0 -NfL 8808:foo:80 h", "-NL 8808:foo:80 h", true },
	{ NULL, "-M 0 -L8808:foo:80 h", "-L8808:foo:80 h", false },
	{ NULL, "-M 0 -o ForwardX11=no h", "-o ForwardX11=no h", false },
	{ NULL, "-M 0 -oForwardX11=no h", "-oForwardX11=no h", false },
	{ NULL, "-M 0 -F -f h", "-F -f h", false },
	{ NULL, "-M 0 h f -f", "h f -f", false },
	{ NULL, "-M 0 f", "f", false },
	{ NULL, "-M 0 -- -f h", "-f h", false },
	{ NULL, "-M 0 h -- -f", "h -f", false },
	{ NULL, "-M 0 h ls -- -f", "h ls -- -f", false },

	/* every letter that takes an argument takes -f and -M 1 as one */
	{ NULL, "-M 0 -B -f -b -f -c -f -D -f -E -f -e -f -F -f -I -f -i -f h",
	    "-B -f -b -f -c -f -D -f -E -f -e -f -F -f -I -f -i -f h", false },
	{ NULL, "-M 0 -J -f -L -f -l -f -m -f -o -f -P -f -p -f h",
	    "-J -f -L -f -l -f -m -f -o -f -P -f -p -f h", false },
	{ NULL, "-M 0 -R -f -S -f -W -f -w -f h", "-R -f -S -f -W -f -w -f h",
	    false },
	/* and none that takes none */
	{ NULL, "-M 0 -1246AaCgkKnNqsTtvXxYy -f h", "-1246AaCgkKnNqsTtvXxYy h",
	    true },
	{ NULL, "-M 0 -d -f -u9 -f h", "-d -u9 h", true },

	/* words that are easily lost or rewritten */
	{ NULL, "-M 0 '' h", "'' h", false },
	{ NULL, "-M 0 h ''", "h ''", false },
	{ NULL, "-M 0 -i '' h", "-i '' h", false },
	{ NULL, "-M 0 - ls", "- ls", false },
	{ NULL, "-M 0 h - -f", "h - -f", false },
	{ NULL, "-M 0 h --version", "h --version", false },
	{ NULL, "-M 0 h ls --version", "h ls --version", false },
	{ NULL, "-M 0 -- --version h", "--version h", false },
	{ NULL, "-M 0 -- h -- -V", "h -- -V", false },
	{ NULL, "-M 0 -- -- -f", "-- -f", false },
	{ NULL, "-M 0 -- -i k h -V", "-i k h -V", false },
	{ NULL, "-M 0 -i -- h", "-i -- h", false },
	{ NULL, "-M 0 -o a=b\\ c h", "-o a=b\\ c h", false },
	{ NULL, "-M 0 h -o", "h -o", false },
	{ NULL, "-M 0 h cmd -M 1 -f -V", "h cmd -M 1 -f -V", false },
};

/*
 * What ssh is given for LINE, with PORT in AUTOSSH_PORT.  *C holds what the
 * line came to.  The words live in BUF.
 */
static char **
ssh_argv_read(struct cmdline *c, const char *line, const char *port,
    bool ntservice, char *buf)
{
	static struct forwards f;
	struct settings set;
	char **argv;

	cmdline_read(c, line, buf);
	if (c->action != CMDLINE_RUN)
		return NULL;
	setting_setenv("AUTOSSH_PORT", port);
	setting_setenv("AUTOSSH_NTSERVICE", ntservice ? "yes" : NULL);
	setting_setenv("AUTOSSH_PATH", "ssh");
	settings_read(&set, c->monitor);
	setting_setenv("AUTOSSH_PORT", NULL);
	setting_setenv("AUTOSSH_NTSERVICE", NULL);
	setting_setenv("AUTOSSH_PATH", NULL);
	forwards_init(&f, &set.port, c->ipv6);
	argv = xcalloc((size_t)c->nwords + SSH_WORDS_ADDED, sizeof(*argv));
	ssh_set_argv(argv, &set, c, &f);
	return argv;
}

static void
test_commands(void)
{
	char buf[1024], text[1024], name[1024];
	struct cmdline c;
	char **argv;
	size_t i;

	for (i = 0; i < COUNT(commands); i++) {
		const struct command *cmd = &commands[i];

		snprintf(name, sizeof(name), "%s%s%sautossh %s",
		    cmd->port ? "AUTOSSH_PORT=" : "",
		    cmd->port ? cmd->port : "", cmd->port ? " " : "",
		    cmd->line);
		argv = ssh_argv_read(&c, cmd->line, cmd->port, false, buf);
		if (argv == NULL) {
			ok(false, "%s", name);
			continue;
		}
		is_text(argv[0], "ssh", "ssh's own name comes first");
		is_text(
		    words_join(argv + 1, text, sizeof(text)), cmd->want, name);
		is_int(c.background, cmd->background,
		    cmd->background ? "and in the background"
				    : "and in the foreground");
		free(argv);
	}
}

static void
test_commands_ended(void)
{
	static const struct {
		const char *line;
		enum cmdline_action want;
		const char *error, *error_arg;
	} table[] = {
		{ "-V", CMDLINE_VERSION, NULL, NULL },
		{ "--version", CMDLINE_VERSION, NULL, NULL },
		{ "-NV", CMDLINE_VERSION, NULL, NULL },
		{ "-fVN", CMDLINE_VERSION, NULL, NULL },
		{ "-M 0 -V --bad", CMDLINE_VERSION, NULL, NULL },
		{ "h -V", CMDLINE_VERSION, NULL, NULL },
		{ "--help", CMDLINE_HELP, NULL, NULL },
		{ "-M 0 --help h", CMDLINE_HELP, NULL, NULL },
		{ "--bad", CMDLINE_ERROR, "unknown option ", "--bad" },
		{ "-M 0 --bad h", CMDLINE_ERROR, "unknown option ", "--bad" },
		{ "--vers h", CMDLINE_ERROR, "unknown option ", "--vers" },
		{ "", CMDLINE_ERROR, "no destination", "" },
		{ "-M 0", CMDLINE_ERROR, "no destination", "" },
		{ "-M 0 -N", CMDLINE_ERROR, "no destination", "" },
		{ "-M 0 --", CMDLINE_ERROR, "no destination", "" },
		{ "-M 0 -i", CMDLINE_ERROR, "no destination", "" },
		{ "-M 0 -i h", CMDLINE_ERROR, "no destination", "" },
		{ "-M 0 -f- h", CMDLINE_ERROR, "unknown option ", "-f-" },
		{ "-ff- h", CMDLINE_ERROR, "unknown option ", "-ff-" },
		{ "-G h", CMDLINE_QUESTION, NULL, NULL },
		{ "-M 0 -vG h", CMDLINE_QUESTION, NULL, NULL },
		{ "h -G", CMDLINE_QUESTION, NULL, NULL },
		{ "-- -G h", CMDLINE_QUESTION, NULL, NULL },
		{ "-O check h", CMDLINE_QUESTION, NULL, NULL },
		{ "-Q cipher", CMDLINE_QUESTION, NULL, NULL },
		{ "-Qcipher -G", CMDLINE_QUESTION, NULL, NULL },
		{ "-G -Q cipher", CMDLINE_QUESTION, NULL, NULL },
		{ "-G", CMDLINE_ERROR, "no destination", "" },
		{ "-O check", CMDLINE_ERROR, "no destination", "" },
		{ "-o -G h", CMDLINE_RUN, NULL, NULL },
		{ "h ls -G", CMDLINE_RUN, NULL, NULL },
		{ "-M", CMDLINE_ERROR, "option -M needs a port", "" },
		{ "h -NM", CMDLINE_ERROR, "option -M needs a port", "" },
	};
	char buf[1024];
	struct cmdline c;
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		cmdline_read(&c, table[i].line, buf);
		is_int(c.action, table[i].want, table[i].line);
		is_text(c.error, table[i].error, "and what is wrong");
		is_text(c.error_arg, table[i].error_arg, "and with what");
	}
}

/* What the supervisor wants to know of the command line beside the words. */
static void
test_commands_noted(void)
{
	static const struct {
		const char *line, *destination;
		bool no_command;
	} table[] = {
		{ "-M 0 -N h", "h", true },
		{ "-M 0 -vNf h", "h", true },
		{ "-M 0 u@h -N", "u@h", true },
		{ "-M 0 -- -N h", "h", true },
		{ "-M 0 -o -N h", "h", false },
		{ "-M 0 -LN h", "h", false },
		{ "-M 0 h ls -N", "h", false },
		{ "-M 0 -- -- -N", "-N", false },
		{ "-M 0 '' h", "", false },
		{ "-M 0 -p 22 ssh://h:22 x", "ssh://h:22", false },
	};
	char buf[1024];
	struct cmdline c;
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		cmdline_read(&c, table[i].line, buf);
		is_text(c.destination, table[i].destination, table[i].line);
		is_int(c.no_command, table[i].no_command,
		    table[i].no_command ? "has -N" : "has no -N");
	}
}

/* What the options of ssh mean to autossh, those of -o among them. */
static void
test_commands_options(void)
{
	static const struct {
		const char *line;
		const char *want; /* 6: ipv6, N: no_command, s: subsystem,
				     t: tty, c: command, b: batch_mode */
		enum session_kind session;
	} table[] = {
		{ "h", "", SESSION_TERMINAL },
		{ "-t h ls", "tc", SESSION_TERMINAL },
		{ "-tT h ls", "c", SESSION_COMMAND },
		{ "-T h", "", SESSION_TERMINAL },
		{ "h ls", "c", SESSION_COMMAND },
		{ "h -- ls", "c", SESSION_COMMAND },
		{ "-- h ls", "c", SESSION_COMMAND },
		{ "-s h sftp", "sc", SESSION_COMMAND },
		{ "-N h", "N", SESSION_NONE },
		{ "-tN h", "Nt", SESSION_NONE },
		{ "-6 h", "6", SESSION_TERMINAL },
		{ "-64 h", "", SESSION_TERMINAL },
		{ "-46 h", "6", SESSION_TERMINAL },
		{ "-o AddressFamily=inet6 h", "6", SESSION_TERMINAL },
		{ "-oAddressFamily=inet6 h", "6", SESSION_TERMINAL },
		{ "-o 'AddressFamily inet6' h", "6", SESSION_TERMINAL },
		{ "'-oaddressfamily INET6' h", "6", SESSION_TERMINAL },
		{ "-No 'ADDRESSFAMILY = inet6' h", "6N", SESSION_NONE },
		{ "-o ' addressfamily=\"inet6\" ' h", "6", SESSION_TERMINAL },
		{ "h -o AddressFamily=inet6", "6", SESSION_TERMINAL },
		{ "-- -o AddressFamily=inet6 h", "6", SESSION_TERMINAL },
		{ "h ls -o AddressFamily=inet6", "c", SESSION_COMMAND },
		{ "-o AddressFamily=inet h", "", SESSION_TERMINAL },
		{ "-o AddressFamily=any -o AddressFamily=inet6 h", "",
		    SESSION_TERMINAL },
		{ "-o AddressFamily=inet6 -o AddressFamily=inet h", "6",
		    SESSION_TERMINAL },
		{ "-4 -o AddressFamily=inet6 h", "", SESSION_TERMINAL },
		{ "-o AddressFamily=inet6 -4 h", "", SESSION_TERMINAL },
		{ "-o AddressFamily=inet -6 h", "6", SESSION_TERMINAL },
		{ "-o AddressFamilyx=inet6 h", "", SESSION_TERMINAL },
		{ "-o AddressFamily h", "", SESSION_TERMINAL },
		{ "-o XAddressFamily=inet6 h", "", SESSION_TERMINAL },
		{ "-o SessionType=none h", "N", SESSION_NONE },
		{ "-o 'sessiontype none' h", "N", SESSION_NONE },
		{ "-o SessionType=subsystem h sftp", "sc", SESSION_COMMAND },
		{ "-o SessionType=default h ls", "c", SESSION_COMMAND },
		{ "-o SessionType=default -o SessionType=none h ls", "c",
		    SESSION_COMMAND },
		{ "-o SessionType=nonesuch h", "", SESSION_TERMINAL },
		{ "-o RequestTTY=force h tmux", "tc", SESSION_TERMINAL },
		{ "-o 'requesttty yes' h tmux", "tc", SESSION_TERMINAL },
		{ "-o RequestTTY=auto h ls", "c", SESSION_COMMAND },
		{ "-o RequestTTY=no -o RequestTTY=force h ls", "c",
		    SESSION_COMMAND },
		{ "-T -o RequestTTY=force h ls", "c", SESSION_COMMAND },
		{ "-o RequestTTY=force -T h ls", "c", SESSION_COMMAND },
		{ "-o RequestTTY=no -t h ls", "tc", SESSION_TERMINAL },
		{ "-o BatchMode=yes h", "b", SESSION_TERMINAL },
		{ "-o 'batchmode YES' h", "b", SESSION_TERMINAL },
		{ "-o BatchMode=true h", "b", SESSION_TERMINAL },
		{ "-o BatchMode=no h", "", SESSION_TERMINAL },
		{ "-o BatchMode=no -o BatchMode=yes h", "", SESSION_TERMINAL },
		{ "-o BatchMode=yes -o BatchMode=no h", "b", SESSION_TERMINAL },
		{ "-W host:22 gate", "cw", SESSION_COMMAND },
		{ "-W host:22 -o ClearAllForwardings=no gate", "c",
		    SESSION_COMMAND },
		{ "-o ClearAllForwardings=no -W host:22 gate", "c",
		    SESSION_COMMAND },
		{ "-o ClearAllForwardings=yes h ls", "cw", SESSION_COMMAND },
		{ "-o 'clearallforwardings true' -N h", "Nw", SESSION_NONE },
		{ "-o ClearAllForwardings=no -o ClearAllForwardings=yes h", "",
		    SESSION_TERMINAL },
	};
	char buf[1024], got[16];
	struct cmdline c;
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		cmdline_read(&c, table[i].line, buf);
		snprintf(got, sizeof(got), "%s%s%s%s%s%s%s", c.ipv6 ? "6" : "",
		    c.no_command ? "N" : "", c.subsystem ? "s" : "",
		    c.tty ? "t" : "", c.command ? "c" : "",
		    c.batch_mode ? "b" : "", c.no_forwardings ? "w" : "");
		is_text(got, table[i].want, table[i].line);
		is_int(cmdline_session(&c, false), table[i].session,
		    "and its kind of session");
		is_int(cmdline_session(&c, true), SESSION_NONE,
		    "and as a service");
	}
}

/* The title that is left when autossh has taken its letters. */
static void
test_commands_title(void)
{
	static const struct {
		const char *line, *want; /* '.': a byte 0 */
	} table[] = {
		{ "-M 0 -f -N h", "-M.0....-N.h." },
		{ "-fN h", "-N..h." },
		{ "-fM 0 h", "-M..0.h." },
		{ "-ff h", "....h." },
		{ "-fNfL 1:x:2 h", "-NL...1:x:2.h." },
		{ "-NvfM 0 h", "-NvM..0.h." },
		{ "-NfM0 h", "-NM0..h." },
		{ "-vf -f -vvf h", "-v.....-vv..h." },
		{ "h -f", "h...." },
		{ "h -Nf", "h.-N.." },
		{ "-o a=f -f h", "-o.a=f....h." },
		{ "-Lf h", "-Lf.h." },
		{ "-- -f h", "--.-f.h." },
		{ "h ls -f", "h.ls.-f." },
		{ "-NM 0 h", "-NM.0.h." },
	};
	char buf[128] = "";
	struct cmdline c;
	size_t i, n;

	for (i = 0; i < COUNT(table); i++) {
		cmdline_read(&c, table[i].line, buf);
		n = strlen(table[i].line) + 1;
		buf[n] = '\0';
		while (n-- > 0) {
			if (buf[n] == '\0')
				buf[n] = '.';
		}
		is_text(buf, table[i].want, table[i].line);
	}
}

static void
test_ntservice(void)
{
	static const struct {
		const char *line, *want;
	} table[] = {
		{ "-M 0 h", "-N h" },
		{ "-M 0 -N h", "-N h" },
		{ "-M 0 h -vN", "h -vN" },
		{ "-M 0 h ls -N", "-N h ls -N" },
		{ "-v -M 20000 h", "-N -v " L20000 " h" },
	};
	char buf[1024], text[1024];
	struct cmdline c;
	char **argv;
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		argv = ssh_argv_read(&c, table[i].line, NULL, true, buf);
		is_text(words_join(argv + 1, text, sizeof(text)), table[i].want,
		    "AUTOSSH_NTSERVICE=yes adds -N once");
		free(argv);
	}
}

/* ---- policy ------------------------------------------------------------ */

/* A wait status, as waitpid() has it on every system that we know. */
#define EXITED(status) ((status) << 8)
#define KILLED(sig) (sig)
#define DUMPED(sig) ((sig) | 0x80)

static void
test_policy_death(void)
{
	/* the verdict on the first start within the gate, on the first start
	 * after it, and on the first start without a gate or a later start */
	static const struct {
		int status;
		enum verdict early, gated, other;
	} table[] = {
		{ EXITED(0), VERDICT_PREMATURE, VERDICT_EXIT, VERDICT_EXIT },
		{ EXITED(1), VERDICT_PREMATURE, VERDICT_EXIT_STATUS,
		    VERDICT_RESTART },
		{ EXITED(2), VERDICT_PREMATURE, VERDICT_EXIT_STATUS,
		    VERDICT_RESTART },
		{ EXITED(3), VERDICT_PREMATURE, VERDICT_EXIT_STATUS,
		    VERDICT_EXIT_STATUS },
		{ EXITED(127), VERDICT_PREMATURE, VERDICT_EXIT_STATUS,
		    VERDICT_EXIT_STATUS },
		{ EXITED(254), VERDICT_PREMATURE, VERDICT_EXIT_STATUS,
		    VERDICT_EXIT_STATUS },
		{ EXITED(255), VERDICT_PREMATURE, VERDICT_RESTART,
		    VERDICT_RESTART },
		{ KILLED(SIGTERM), VERDICT_RESTART, VERDICT_RESTART,
		    VERDICT_RESTART },
		{ KILLED(SIGKILL), VERDICT_RESTART, VERDICT_RESTART,
		    VERDICT_RESTART },
		{ DUMPED(SIGSEGV), VERDICT_RESTART, VERDICT_RESTART,
		    VERDICT_RESTART },
	};
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		int status = table[i].status;

		is_int(policy_death(status, 30000, 0, true, false),
		    table[i].early, "first start, dead at once");
		is_int(policy_death(status, 30000, 30000, true, false),
		    table[i].early, "first start, lived the gate time");
		is_int(policy_death(status, 30000, 30001, true, false),
		    table[i].gated, "first start, lived longer");
		is_int(policy_death(status, 0, 0, true, false), table[i].other,
		    "no gate, dead at once");
		is_int(policy_death(status, 0, 90000, true, false),
		    table[i].other, "no gate, lived longer");
	}
	is_int(policy_death(EXITED(0), 0, 90000, true, true), VERDICT_RESTART,
	    "a service: restart after status 0");
	is_int(policy_death(EXITED(0), 30000, 100, true, true),
	    VERDICT_PREMATURE, "a service: the gate all the same");
	is_int(policy_death(EXITED(3), 0, 90000, true, true),
	    VERDICT_EXIT_STATUS, "a service: a remote command's own status");
	is_int(policy_death(EXITED(0), 30000, 100, false, false), VERDICT_EXIT,
	    "a session may end at once");
	is_int(policy_death(EXITED(1), 30000, 100, false, false),
	    VERDICT_PREMATURE, "but not with an error");
}

static void
test_policy_tries(void)
{
	static const struct {
		int tries;
		int64_t since_ms, poll_s;
		int want, want_tested;
	} table[] = {
		{ 0, 0, 600, 1, 1 },
		{ 3, 0, 600, 4, 4 },
		{ 3, 9999, 600, 4, 4 },
		{ 3, 10000, 600, 4, 0 },
		{ 3, 59999, 600, 4, 0 },
		{ 3, 60000, 600, 0, 0 },
		{ 3, 9999, 1, 4, 4 },
		{ 3, 10000, 1, 0, 0 },
		{ 3, 9999, 100, 4, 4 },
		{ 3, 10000, 109, 0, 0 },
		{ 3, 10999, 110, 4, 0 },
		{ 3, 11000, 119, 0, 0 },
		{ 3, INT64_MAX, SECONDS_MAX, 0, 0 },
		{ INT_MAX - 1, 0, 600, INT_MAX, INT_MAX },
		{ INT_MAX, 0, 600, INT_MAX, INT_MAX },
	};
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		ok(policy_tries(table[i].tries, table[i].since_ms, false,
		       table[i].poll_s) == table[i].want,
		    "tries: %d, %" PRId64 " ms after a start, poll %" PRId64,
		    table[i].tries, table[i].since_ms, table[i].poll_s);
		ok(policy_tries(table[i].tries, table[i].since_ms, true,
		       table[i].poll_s) == table[i].want_tested,
		    "tries: %d, %" PRId64 " ms after the start of an ssh that "
		    "was up, poll %" PRId64,
		    table[i].tries, table[i].since_ms, table[i].poll_s);
	}
}

static void
test_policy_pause(void)
{
	static const struct {
		int64_t poll_s;
		int pauses_ms[8]; /* from try 0 on */
	} schedules[] = {
		{ 600, { 0, 0, 2000, 10000, 10000, 18000, 32000, 50000 } },
		{ 3000, { 0, 0, 2000, 10000, 40000, 90000, 160000, 250000 } },
		{ 100, { 0, 0, 2000, 10000, 10000, 10000, 10000, 10000 } },
		{ 10, { 0, 0, 2000, 10000, 10000, 10000, 10000, 10000 } },
		{ 5, { 0, 0, 2000, 5000, 5000, 5000, 5000, 5000 } },
		{ 1, { 0, 0, 1000, 1000, 1000, 1000, 1000, 1000 } },
	};
	static const int64_t polls[] = { 1, 2, 59, 600, 86400, SECONDS_MAX };
	size_t i;
	int t;

	for (i = 0; i < COUNT(schedules); i++) {
		for (t = 0; t < 8; t++)
			ok(policy_pause_ms(t, schedules[i].poll_s) ==
				schedules[i].pauses_ms[t],
			    "pause: poll %" PRId64 ", try %d",
			    schedules[i].poll_s, t);
	}
	for (i = 0; i < COUNT(polls); i++) {
		int64_t max = polls[i] * 1000, last = 0, pause;
		bool rises = true, bounded = true;

		for (t = 0; t < 100000; t++) {
			pause = policy_pause_ms(t, polls[i]);
			rises = rises && pause >= last;
			bounded = bounded && pause >= 0 && pause <= max;
			last = pause;
		}
		ok(rises, "pause: poll %" PRId64 " never falls", polls[i]);
		ok(bounded, "pause: never more than poll %" PRId64, polls[i]);
		is_int(policy_pause_ms(19, polls[i]),
		    max * 289 / 300 > 10000 ? max * 289 / 300
					    : earlier(10000, max),
		    "the last pause below POLL");
		is_int(policy_pause_ms(20, polls[i]), max, "POLL");
		is_int(policy_pause_ms(INT_MAX, polls[i]), max,
		    "the greatest number of tries");
	}
}

/* Draws fill the upper half of a pause evenly. */
static void
test_policy_spread(void)
{
	enum { DRAWS = 100000, BUCKETS = 10 };
	static const int64_t pauses[] = { 2000, 10000, 600000,
		SECONDS_MAX * INT64_C(1000) };
	uint64_t number;
	size_t i;
	int n;

	is_int(policy_spread_ms(0, 12345), 0, "no pause stays none");
	is_int(policy_spread_ms(1, 1), 1, "a pause of 1 ms stays so");
	is_int(policy_spread_ms(2000, 0), 2000, "the longest draw");
	is_int(policy_spread_ms(2000, 1000), 1000, "the shortest draw");
	is_int(policy_spread_ms(2000, 1001), 2000, "then again the longest");
	for (i = 0; i < COUNT(pauses); i++) {
		int64_t low = pauses[i] / 2, width = pauses[i] - low + 1;
		int buckets[BUCKETS] = { 0 };
		bool inside = true, even = true;

		for (n = 0; n < DRAWS; n++) {
			int64_t draw;

			if (getentropy(&number, sizeof(number)) == -1)
				exit(1);
			draw = policy_spread_ms(pauses[i], number);
			inside = inside && draw >= low && draw <= pauses[i];
			if (inside)
				buckets[(draw - low) * BUCKETS / width]++;
		}
		/* six standard deviations of a bucket are 570 */
		for (n = 0; n < BUCKETS; n++)
			even = even && buckets[n] > DRAWS / BUCKETS - 600 &&
			       buckets[n] < DRAWS / BUCKETS + 600;
		ok(inside, "draws of %" PRId64 " ms are in its upper half",
		    pauses[i]);
		ok(even, "draws of %" PRId64 " ms fill it evenly", pauses[i]);
	}
}

/* ---- signals ----------------------------------------------------------- */

static void
test_signals_exit(void)
{
	static const int exits[] = { SIGTERM, SIGINT, SIGQUIT, SIGABRT };
	static const int others[] = { SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD,
		SIGCONT, SIGALRM, SIGPIPE };
	sigset_t caught;
	size_t i;

	sigemptyset(&caught);
	is_int(signals_exit(&caught), 0, "no signal is none to exit");
	for (i = 0; i < COUNT(others); i++)
		sigaddset(&caught, others[i]);
	is_int(signals_exit(&caught), 0, "nor are these");
	for (i = 0; i < COUNT(exits); i++) {
		sigaddset(&caught, exits[i]);
		is_int(signals_exit(&caught), exits[i],
		    "a signal to exit is found among others");
		sigdelset(&caught, exits[i]);
	}
}

/* ---- network ----------------------------------------------------------- */

static struct sockaddr *
sockaddr_of(const char *text, struct address *a)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, &a->sa.in.sin_addr) == 1)
		a->sa.any.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &a->sa.in6.sin6_addr) == 1)
		a->sa.any.sa_family = AF_INET6;
	else
		a->sa.any.sa_family = AF_UNIX;
	return &a->sa.any;
}

static void
test_ifaddress_usable(void)
{
	static const struct {
		const char *text;
		unsigned int flags;
		bool want;
	} table[] = {
		{ "192.0.2.1", IFF_UP | IFF_RUNNING, true },
		{ "10.0.0.1", IFF_UP | IFF_RUNNING | IFF_BROADCAST, true },
		{ "10.0.0.1", IFF_UP | IFF_RUNNING | IFF_POINTOPOINT, true },
		{ "169.253.255.255", IFF_UP | IFF_RUNNING, true },
		{ "169.255.0.0", IFF_UP | IFF_RUNNING, true },
		{ "2001:db8::1", IFF_UP | IFF_RUNNING, true },
		{ "fd00::1", IFF_UP | IFF_RUNNING, true },
		{ "fec0::1", IFF_UP | IFF_RUNNING, true },
		/* down, or without a link */
		{ "192.0.2.1", 0, false },
		{ "192.0.2.1", IFF_UP, false },
		{ "192.0.2.1", IFF_RUNNING, false },
		{ "2001:db8::1", IFF_UP, false },
		/* loopback */
		{ "127.0.0.1", IFF_UP | IFF_RUNNING | IFF_LOOPBACK, false },
		{ "10.0.0.1", IFF_UP | IFF_RUNNING | IFF_LOOPBACK, false },
		{ "::1", IFF_UP | IFF_RUNNING | IFF_LOOPBACK, false },
		/* link-local */
		{ "169.254.0.0", IFF_UP | IFF_RUNNING, false },
		{ "169.254.255.255", IFF_UP | IFF_RUNNING, false },
		{ "fe80::1", IFF_UP | IFF_RUNNING, false },
		{ "febf::1", IFF_UP | IFF_RUNNING, false },
		/* no address of a network, as AF_PACKET */
		{ "other", IFF_UP | IFF_RUNNING, false },
	};
	struct ifaddress ifa;
	struct address a;
	size_t i;

	for (i = 0; i < COUNT(table); i++)
		is_int(ifaddress_set(&ifa, sockaddr_of(table[i].text, &a)) &&
			   ifaddress_usable(&ifa, table[i].flags),
		    table[i].want, table[i].text);
	is_int(ifaddress_set(&ifa, NULL), false,
	    "an interface without an address");
}

/* The addresses in TEXT, each followed by a blank, sorted.  Returns how many.
 */
static size_t
ifaddresses_of(const char *text, struct ifaddress *list)
{
	struct address a;
	char word[64];
	size_t n = 0;

	for (; *text != '\0'; text += strcspn(text, " ") + 1, n++) {
		snprintf(
		    word, sizeof(word), "%.*s", (int)strcspn(text, " "), text);
		ifaddress_set(&list[n], sockaddr_of(word, &a));
	}
	qsort(list, n, sizeof(*list), ifaddress_compare);
	return n;
}

static void
test_network_compare(void)
{
	static const struct {
		const char *was, *is;
		int want;
		const char *name;
	} table[] = {
		{ "", "", 0, "no network" },
		{ "192.0.2.1 ", "192.0.2.1 ", 0, "a renewed lease" },
		{ "", "192.0.2.1 ", NETWORK_CAME, "the first address" },
		{ "192.0.2.1 ", "", NETWORK_GONE, "the last address" },
		{ "192.0.2.1 ", "192.0.2.2 ", NETWORK_CAME | NETWORK_GONE,
		    "another address" },
		{ "192.0.2.2 ", "192.0.2.1 ", NETWORK_CAME | NETWORK_GONE,
		    "another address, of a smaller number" },
		{ "192.0.2.1 ", "192.0.2.1 2001:db8::1 ", NETWORK_CAME,
		    "IPv6 comes later" },
		{ "192.0.2.1 2001:db8::1 ", "192.0.2.1 2001:db8::2 ",
		    NETWORK_CAME | NETWORK_GONE, "another temporary address" },
		{ "192.0.2.1 2001:db8::1 ", "2001:db8::1 192.0.2.1 ", 0,
		    "another order" },
		{ "192.0.2.1 10.0.0.1 ", "10.0.0.1 192.0.2.1 192.0.2.1 ", 0,
		    "a second interface with the same address" },
		{ "192.0.2.1 192.0.2.1 10.0.0.1 ", "192.0.2.1 10.0.0.1 ", 0,
		    "one of two interfaces with the same address goes" },
		{ "192.0.2.1 192.0.2.1 ", "10.0.0.1 10.0.0.1 ",
		    NETWORK_CAME | NETWORK_GONE, "both get another one" },
		{ "10.0.0.1 192.0.2.1 203.0.113.1 ", "10.0.0.1 203.0.113.1 ",
		    NETWORK_GONE, "one in the middle goes" },
		/* the same four bytes are another address in IPv6 */
		{ "32.1.13.184 ", "2001:db8:: ", NETWORK_CAME | NETWORK_GONE,
		    "the same bytes in another family" },
	};
	static struct ifaddress was[1000], is[1000];
	size_t i, nwas, nis;

	for (i = 0; i < COUNT(table); i++) {
		nwas = ifaddresses_of(table[i].was, was);
		nis = ifaddresses_of(table[i].is, is);
		is_int(network_compare(was, nwas, is, nis), table[i].want,
		    table[i].name);
	}
	memset(was, 0, sizeof(was));
	for (i = 0; i < COUNT(was); i++) {
		was[i].family = AF_INET;
		was[i].bytes[0] = (uint8_t)(i / 256);
		was[i].bytes[1] = (uint8_t)(i % 256);
	}
	memcpy(is, was, sizeof(is));
	is_int(network_compare(was, 1000, is, 1000), 0, "a thousand");
	is_int(network_compare(was, 999, is, 1000), NETWORK_CAME,
	    "one more than 999");
	is_int(network_compare(was, 1000, is + 1, 999), NETWORK_GONE,
	    "one less than a thousand");
	is[500].bytes[2] = 1;
	is_int(network_compare(was, 1000, is, 1000),
	    NETWORK_CAME | NETWORK_GONE, "another one of a thousand");
}

/* An event at most every 2 s, and none is lost. */
static void
test_network_run(void)
{
	struct waitset set = { .until = NEVER };
	struct network n = {
		.route_fd = -1, .clock_fd = -1, .compare_due = NEVER
	};

	n.suspended_ms = suspended_ms();
	network_prepare(&n, &set);
	is_int(set.until, NEVER, "nothing wakes while nothing happens");
	is_int(network_run(&n, &set, 1000), EV_NONE, "and nothing follows");
	n.pending = EV_NETWORK_CHANGED;
	is_int(network_run(&n, &set, 2000), EV_NETWORK_CHANGED, "a change");
	is_int(network_run(&n, &set, 2001), EV_NONE, "is reported once");
	n.pending = EV_NETWORK_CHANGED;
	is_int(network_run(&n, &set, 3999), EV_NONE, "another one waits");
	network_prepare(&n, &set);
	is_int(set.until, 4000, "for the end of two seconds");
	is_int(network_run(&n, &set, 4000), EV_NETWORK_CHANGED,
	    "and is not forgotten");
	n.suspended_ms -= 5700;
	is_int(network_run(&n, &set, 4500), EV_NONE, "a resume waits as well");
	n.suspended_ms -= 2000;
	is_int(network_run(&n, &set, 6000), EV_RESUMED, "then comes");
	is_int(n.event_ms, 7700, "with all the time of the suspends");
	n.suspended_ms -= 999;
	is_int(network_run(&n, &set, 9000), EV_NONE, "a moment is no suspend");
	n.suspended_ms -= 1000;
	is_int(network_run(&n, &set, 9000), EV_RESUMED, "but a second is");
	is_int(n.event_ms, 1000, "and no more than that");
}

#if defined(HAVE_TIMERFD_CREATE) && HAVE_DECL_TFD_TIMER_CANCEL_ON_SET
/* A jump of the clock wakes autossh once. */
static void
test_network_clock(void)
{
	struct waitset set = { .until = NEVER };
	struct network n = { .route_fd = -1, .compare_due = NEVER };
	uint64_t expired = 1;
	int fds[2];

	if (pipe_open(fds) == -1 ||
	    write(fds[1], &expired, sizeof(expired)) != sizeof(expired))
		exit(1);
	n.suspended_ms = suspended_ms();
	n.clock_fd = fds[0];
	network_prepare(&n, &set);
	set.fds[0].revents = POLLIN;
	is_int(network_run(&n, &set, 1000), EV_NONE, "that is no resume");
	is_int(read(fds[0], &expired, sizeof(expired)), -1,
	    "and it does not wake us again");
	close(fds[0]);
	close(fds[1]);
}
#else
static void
test_network_clock(void)
{
}
#endif

/* When messages come, addresses are compared after a pause, or a second. */
static void
test_network_messages(void)
{
	struct waitset set = { .until = NEVER };
	struct network n = { .clock_fd = -1, .compare_due = NEVER };
	int64_t now;
	int fds[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) == -1)
		exit(1);
	n.suspended_ms = suspended_ms();
	n.route_fd = fd_cloexec_nonblock(fds[0]);
	network_prepare(&n, &set);
	(void)network_read(&n);
	for (now = 1000; now < 1900; now += 200) {
		set.fds[0].revents = POLLIN;
		is_int(send(fds[1], "message", 7, 0), 7, "a message");
		is_int(send(fds[1], "message", 7, 0), 7, "and one more");
		is_int(network_run(&n, &set, now), EV_NONE, "is read");
		ok(n.route_fd != -1 &&
			recv(n.route_fd, &byte, 1, MSG_DONTWAIT) == -1,
		    "none is left");
		waitset_clear(&set);
		network_prepare(&n, &set);
		is_int(set.until, now + 250 < 2000 ? now + 250 : 2000,
		    "it waits for a pause, or the end of a second");
	}
	is_int(network_run(&n, &set, 2000), EV_NONE, "no address has changed");
	is_int(n.compare_due, NEVER, "they have been compared");
	if (n.nlist > 0)
		n.list[0].family ^= 0x80; /* another one */
	n.compare_due = 3000;
	is_int(network_run(&n, &set, 3000),
	    n.nlist > 0 ? EV_NETWORK_CHANGED : EV_NONE, "one has changed");
	is_int(n.gone_at, n.nlist > 0 ? 3000 : 0, "and one has gone");
	close(fds[1]);
	fd_close(&n.route_fd);
	n.route_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	network_drain(&n, 4000);
	is_int(n.route_fd, -1, "a socket that fails is closed");
	free(n.list);
}

static void
test_policy_changed_timeout(void)
{
	static const struct {
		int64_t usual;
		bool gone;
		int64_t round_trip, want;
	} table[] = {
		{ 15000, false, 23, 15000 },
		{ 15000, false, -1, 15000 },
		{ 15000, true, 23, 3000 },
		{ 15000, true, 0, 3000 },
		{ 15000, true, 750, 3000 },
		{ 15000, true, 751, 3004 },
		{ 15000, true, 1250, 5000 },
		{ 15000, true, 1251, 5000 },
		{ 15000, true, 14000, 5000 },
		{ 15000, true, -1, 5000 },
		{ 2500, true, 23, 2500 },
		{ 2500, true, -1, 2500 },
	};
	size_t i;

	for (i = 0; i < COUNT(table); i++)
		is_int(policy_changed_timeout(
			   table[i].usual, table[i].gone, table[i].round_trip),
		    table[i].want, "timeout of a test after a change");
}

static void
test_policy_probe_gap(void)
{
	static const struct {
		int64_t gap, age, want;
	} table[] = {
		{ 1000, 1000, 1000 },
		{ 1000, 3000, 1500 },
		{ 1500, 7500, 2250 },
		{ 2250, 3000, 1500 }, /* made out of turn */
		{ 9000, 1000, 1000 },
		{ 200000, 900000, 300000 },
	};
	size_t i;

	for (i = 0; i < COUNT(table); i++)
		is_int(policy_probe_gap(table[i].gap, table[i].age),
		    table[i].want, "the gap to the next probe");
}

/* ---- monitor ----------------------------------------------------------- */

static void
test_line_match(void)
{
	static const struct {
		size_t matched;
		const char *bytes;
		ssize_t want;
	} table[] = {
		{ 0, "host autossh 1 2 \r\n", 19 },
		{ 0, "h", 1 },
		{ 1, "ost autossh", 12 },
		{ 17, "\r", 18 },
		{ 18, "\n", 19 },
		{ 0, "host autossh 1 2 \r\nmore", 19 },
		{ 0, "", 0 },
		{ 7, "", 7 },
		{ 0, "Host autossh 1 2 \r\n", -1 },
		{ 0, "host autossh 1 3 \r\n", -1 },
		{ 0, "host autossh 1 2 \n", -1 },
		{ 0, "x", -1 },
		{ 1, "host", -1 },
		{ 18, "\r", -1 },
	};
	static const char line[] = "host autossh 1 2 \r\n";
	size_t i;

	for (i = 0; i < COUNT(table); i++)
		ok(line_match(line, sizeof(line) - 1, table[i].matched,
		       table[i].bytes, strlen(table[i].bytes)) == table[i].want,
		    "\"%s\" after %zu bytes of the line", table[i].bytes,
		    table[i].matched);
	is_int(line_match(line, sizeof(line) - 1, 4, "\0autossh", 8), -1,
	    "a zero byte is no space");
}

static void
test_address_loopback(void)
{
	struct address a;

	address_loopback(&a, false, 20000);
	is_int(a.sa.any.sa_family, AF_INET, "IPv4");
	is_int(ntohl(a.sa.in.sin_addr.s_addr), 0x7f000001, "its loopback");
	is_int(ntohs(a.sa.in.sin_port), 20000, "its port");
	is_int((int64_t)a.len, sizeof(a.sa.in), "its length");
	address_loopback(&a, true, 65535);
	is_int(a.sa.any.sa_family, AF_INET6, "IPv6");
	ok(IN6_IS_ADDR_LOOPBACK(&a.sa.in6.sin6_addr), "its loopback");
	is_int(ntohs(a.sa.in6.sin6_port), 65535, "its port");
	is_int((int64_t)a.len, sizeof(a.sa.in6), "its length");
}

static void
test_forwards(void)
{
	static const struct {
		struct monitor_port port;
		bool ipv6, no_remote;
		const char *local, *remote; /* NULL: no such word */
	} table[] = {
		{ { false, 0, 0 }, false, false, NULL, NULL },
		{ { false, 20000, 0 }, false, false, "20000:127.0.0.1:20000",
		    "20000:127.0.0.1:20001" },
		{ { false, 20000, 0 }, true, false, "20000:[::1]:20000",
		    "20000:[::1]:20001" },
		{ { false, 20000, 7 }, false, false, "20000:127.0.0.1:7",
		    NULL },
		{ { false, 20000, 7 }, true, false, "20000:[::1]:7", NULL },
		{ { true, 0, 0 }, false, false, "/d/w:127.0.0.1:20123",
		    "127.0.0.1:20123:/d/r" },
		{ { true, 0, 0 }, true, false, "/d/w:[::1]:20123",
		    "[::1]:20123:/d/r" },
		{ { true, 0, 0 }, false, true, "/d/w:127.0.0.1:20123", NULL },
	};
	struct forwards f;
	char *words[5];
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		forwards_init(&f, &table[i].port, table[i].ipv6);
		f.no_remote = table[i].no_remote;
		if (f.auto_port) {
			memcpy(f.send_to.sa.un.sun_path, "/d/w", 5);
			memcpy(f.back_at.sa.un.sun_path, "/d/r", 5);
			forwards_set_port(&f, "20123");
		}
		words[forwards_words(&f, words)] = NULL;
		is_text(words[0], table[i].local ? "-L" : NULL, "-L");
		if (words[0] == NULL)
			continue;
		is_text(words[1], table[i].local, "its argument");
		is_text(words[2], table[i].remote ? "-R" : NULL, "-R");
		if (words[2] != NULL)
			is_text(words[3], table[i].remote, "its argument");
	}
	forwards_init(&f, &table[1].port, false);
	is_int(ntohs(f.send_to.sa.in.sin_port), 20000, "we connect to P");
	is_int(ntohs(f.back_at.sa.in.sin_port), 20001, "and listen on P+1");
}

static const struct timing monitor_timing = {
	.first_ms = 50000, .poll_ms = 60000, .timeout_ms = 15000
};

/* A monitor whose ssh starts at 1000; nothing is open. */
static void
monitor_example(struct monitor *m, bool auto_port)
{
	struct monitor_port mp = { auto_port, auto_port ? 0 : 20000, 0 };

	monitor_init(m, &mp, false, &monitor_timing, "");
	monitor_start(m, 1000);
}

static void
test_monitor_prepare(void)
{
	static const struct monitor_port off = { false, 0, 0 };
	struct monitor m;

	monitor_example(&m, false);
	is_int(UNTIL(monitor_prepare, &m), 51000, "the first test");
	m.listener.resume_due = 9000;
	is_int(UNTIL(monitor_prepare, &m), 9000, "accepting again");
	m.listener.resume_due = 0;
	m.test.phase = TEST_AWAIT_CONN;
	m.test.deadline = 70000;
	is_int(UNTIL(monitor_prepare, &m), 70000, "the end of a test");
	m.test.probe = true;
	is_int(UNTIL(monitor_prepare, &m), 51000, "a probe makes room");
	m.test.probe = false;
	m.test.nconns = 2;
	m.test.conns[0].deadline = 65000;
	m.test.conns[1].deadline = 66000;
	is_int(UNTIL(monitor_prepare, &m), 65000, "a silent connection");
	monitor_init(&m, &off, false, &monitor_timing, "");
	monitor_start(&m, 1000);
	is_int(UNTIL(monitor_prepare, &m), NEVER, "no test without a monitor");
}

/* How each end of a test is judged, and when the next is due. */
static void
test_monitor_end(void)
{
	static const struct {
		const char *name;
		bool auto_port, terminal, probe, answered, refused;
		enum event end, want;
		int64_t next_due;
		int tests, failures;
	} table[] = {
		{ "a test passes", false, false, false, false, false,
		    EV_TEST_PASSED, EV_TEST_PASSED, 130000, 1, 0 },
		{ "a test fails", false, false, false, false, false,
		    EV_TEST_FAILED, EV_TEST_FAILED, 130000, 1, 1 },
		{ "a probe passes", true, false, true, false, false,
		    EV_TEST_PASSED, EV_TEST_PASSED, 90000, 1, 0 },
		{ "a probe fails", true, false, true, false, false,
		    EV_TEST_FAILED, EV_NONE, 71500, 0, 0 },
		{ "a first refusal", true, false, true, false, false,
		    EV_TEST_REFUSED, EV_NONE, 71000, 0, 0 },
		{ "a second refusal", true, false, true, false, true,
		    EV_TEST_REFUSED, EV_TEST_REFUSED, 90000, 1, 0 },
		{ "a first refusal when the test is due", true, false, false,
		    false, false, EV_TEST_REFUSED, EV_NONE, 71000, 0, 0 },
		{ "a refusal of an ssh that was answered", true, false, false,
		    true, false, EV_TEST_REFUSED, EV_TEST_REFUSED, 130000, 1,
		    0 },
		{ "a refusal with a terminal", true, true, true, false, false,
		    EV_TEST_REFUSED, EV_TEST_REFUSED, NEVER, 1, 0 },
	};
	struct monitor m;
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		monitor_example(&m, table[i].auto_port);
		m.ssh_on_terminal = table[i].terminal;
		m.schedule.first_due = 90000;
		m.answered = table[i].answered;
		m.refused = table[i].refused;
		m.test.phase = TEST_AWAIT_CONN;
		m.good_at = 67000;
		m.test.probe = table[i].probe;
		m.test.begun = 69977;
		is_int(monitor_end(&m, table[i].end, 70000), table[i].want,
		    table[i].name);
		is_int(m.schedule.next_due, table[i].next_due,
		    "the next test is due");
		is_int(m.tests, table[i].tests, "tests that count");
		is_int(m.failures, table[i].failures, "failures");
		is_int(m.test.phase, TEST_NONE, "it is over");
		/* one refusal may come from an ssh that is just ending */
		is_int(m.warned_refused,
		    table[i].end == EV_TEST_REFUSED &&
			(table[i].refused || table[i].terminal),
		    "a warning about the server");
		if (table[i].end == EV_TEST_PASSED)
			is_int(m.round_trip_ms, 23, "its round trip");
	}
	monitor_example(&m, true);
	m.schedule.first_due = 70200;
	m.test.probe = true;
	(void)monitor_end(&m, EV_TEST_FAILED, 70000);
	is_int(m.schedule.next_due, 70200, "no probe is due after FIRST_POLL");
}

static void
test_monitor_start(void)
{
	struct monitor m;

	monitor_example(&m, false);
	is_int(m.schedule.next_due, 51000, "with a port: FIRST_POLL");
	m.schedule.probing = true;
	monitor_start(&m, 2000);
	is_int(m.schedule.next_due, 3000, "somebody waits: a probe");
	monitor_example(&m, true);
	is_int(m.schedule.next_due, 2000, "private sockets: a probe");
	m.answered = m.refused = m.logged_in = m.passed = true;
	monitor_start(&m, 2000);
	ok(!m.answered && !m.refused && !m.logged_in && !m.passed,
	    "nothing is known of a new ssh");
}

static void
test_monitor_test_now(void)
{
	struct monitor m;

	monitor_example(&m, false);
	monitor_reset(&m);
	monitor_test_now(&m, 1000);
	is_int(m.schedule.next_due, NEVER, "no test without ssh");
	monitor_start(&m, 1000);
	monitor_test_now(&m, 2000);
	is_int(m.schedule.next_due, 2000, "a planned test begins now");
	is_int(m.schedule.first_due, 2000, "and is no probe");
	m.test.phase = TEST_AWAIT_CONN;
	m.schedule.next_due = NEVER;
	monitor_test_now(&m, 3000);
	is_int(m.test.phase, TEST_AWAIT_CONN, "a test under way goes on");
	is_int(m.schedule.next_due, NEVER, "and no other is planned");
	monitor_repeat(&m, 4000);
	is_int(m.test.phase, TEST_NONE, "a test is begun again");
	is_int(m.schedule.next_due, 4000, "at once");
	is_int(m.schedule.asked_timeout_ms, 0, "with the usual timeout");
	m.test.phase = TEST_AWAIT_CONN;
	m.test.asked = true;
	m.test.timeout_ms = 3000;
	monitor_repeat(&m, 4100);
	is_int(m.schedule.asked_timeout_ms, 3000, "or with that of its event");
	monitor_start(&m, 5000);
	monitor_repeat(&m, 6000);
	is_int(m.schedule.next_due, 55000, "a planned test stays planned");
}

/* Without descriptors, the only connection is kept: it may be ssh's. */
static void
test_monitor_accept_limit(void)
{
	struct waitset set = { .until = NEVER };
	struct rlimit old, few;
	struct address a;
	struct monitor m;
	int client, free_fd;

	monitor_example(&m, false);
	address_loopback(&a, false, 0);
	m.listener.fd = address_listen(&a);
	client = socket(AF_INET, SOCK_STREAM, 0);
	if (m.listener.fd == -1 ||
	    getsockname(m.listener.fd, &a.sa.any, &a.len) == -1 ||
	    connect(client, &a.sa.any, a.len) == -1 ||
	    getrlimit(RLIMIT_NOFILE, &old) == -1)
		exit(1);
	m.test.phase = TEST_AWAIT_CONN;
	m.test.nconns = 1;
	m.test.conns[0].fd = -1;
	free_fd = dup(client);
	close(free_fd);
	few = old;
	few.rlim_cur = (rlim_t)free_fd;
	listener_prepare(&m.listener, &set);
	set.fds[0].revents = POLLIN;
	(void)setrlimit(RLIMIT_NOFILE, &few);
	monitor_accept(&m, &set, 1000);
	(void)setrlimit(RLIMIT_NOFILE, &old);
	is_int(m.test.nconns, 1, "the only connection stays");
	is_int(m.listener.resume_due, 1000 + ACCEPT_PAUSE_MS,
	    "the others are accepted later");
	m.listener.resume_due = 0;
	monitor_accept(&m, &set, 3000);
	is_int(m.test.nconns, 2, "which they are");
	test_close(&m.test);
	close(client);
	close(m.listener.fd);
}

/* TCP connects a socket to itself if both ends have one address. */
static void
test_fd_is_own_peer(void)
{
	struct address a;
	int fd = socket(AF_INET, SOCK_STREAM, 0), listener, client;

	address_loopback(&a, false, 0);
	listener = address_listen(&a);
	if (bind(fd, &a.sa.any, a.len) == -1 ||
	    getsockname(fd, &a.sa.any, &a.len) == -1 ||
	    connect(fd, &a.sa.any, a.len) == -1)
		exit(1);
	ok(fd_is_own_peer(fd), "a connection to itself");
	close(fd);
	client = socket(AF_INET, SOCK_STREAM, 0);
	if (getsockname(listener, &a.sa.any, &a.len) == -1 ||
	    connect(client, &a.sa.any, a.len) == -1)
		exit(1);
	ok(!fd_is_own_peer(client), "a connection to a listener");
	close(client);
	close(listener);
}

/* Without the private sockets nobody knows whether ssh has logged in. */
static void
test_monitor_removed(void)
{
	struct monitor m;

	logger.level = LOG_ERR;
	monitor_example(&m, true);
	ok(monitor_awaits_login(&m), "ssh has not logged in yet");
	m.schedule.next_due = 70000;
	is_int(monitor_begin(&m, 70000), EV_NONE, "no sockets, no result");
	is_int(m.test.phase, TEST_NONE, "and no test");
	is_int(m.schedule.next_due, NEVER, "nor any other");
	ok(!monitor_awaits_login(&m), "whether ssh has logged in is unknown");
	monitor_start(&m, 2000);
	ok(monitor_awaits_login(&m), "the next ssh has to log in");
	logger.level = LOG_INFO;
}

/* On a terminal, ssh prints a line for each refusal. */
static void
test_monitor_refused_once(void)
{
	struct monitor m;

	logger.level = LOG_ERR;
	monitor_example(&m, true);
	m.ssh_on_terminal = true;
	m.test.phase = TEST_AWAIT_CONN;
	m.schedule.again_due = 7000;
	(void)monitor_end(&m, EV_TEST_REFUSED, 5200);
	is_int(m.schedule.next_due, NEVER, "no other test after a refusal");
	logger.level = LOG_INFO;
}

/* A test that ssh never accepts. */
static void
test_monitor_connect_timeout(void)
{
	struct waitset set = { .until = NEVER };
	struct monitor m;

	monitor_example(&m, false);
	m.test.fd = -1;
	m.test.phase = TEST_CONNECT;
	m.test.probe = m.test.asked = true;
	m.test.deadline = 3000;
	is_int(test_run(&m.test, &m.forwards, &set, 2999), EV_NONE,
	    "ssh has not accepted yet");
	is_int(test_run(&m.test, &m.forwards, &set, 3000), EV_TEST_FAILED,
	    "ssh has not accepted in time");
	ok(test_is_harmless(&m.test), "it may still be logging in");
}

/* An event asks for a test. */
static void
test_monitor_test_event(void)
{
	struct monitor m;

	monitor_example(&m, false);
	monitor_reset(&m);
	is_int(monitor_test_event(&m, 3000, 1000), false,
	    "there is no ssh to test");
	monitor_start(&m, 1000);
	is_int(m.good_at, 1000, "ssh is good when it is started");
	is_int(monitor_test_event(&m, 3000, 2000), true, "there is one");
	is_int(m.schedule.next_due, 2000, "the test begins now");
	is_int(m.schedule.first_due, 51000, "ssh may still be logging in");
	(void)monitor_begin(&m, 2000);
	m.test.phase = TEST_CONNECT;
	is_int(m.test.timeout_ms, 3000, "it has the time that was asked for");
	is_int(monitor_end(&m, EV_TEST_FAILED, 2001), EV_NONE,
	    "one that ssh has not accepted has no consequence");

	is_int(monitor_test_event(&m, 3000, 5000), true, "a test is asked for");
	(void)monitor_begin(&m, 5000);
	m.test.phase = TEST_AWAIT_CONN;
	is_int(monitor_end(&m, EV_TEST_FAILED, 8000), EV_TEST_FAILED,
	    "one that ssh has accepted has a consequence");

	monitor_start(&m, 10000);
	(void)monitor_begin(&m, 70000);
	m.test.phase = TEST_AWAIT_CONN;
	m.test.nconns = 1;
	m.test.conns[0].fd = -1;
	m.test.conns[0].deadline = 85000;
	is_int(m.test.timeout_ms, 15000, "a usual test");
	is_int(monitor_test_event(&m, 3000, 71000), true,
	    "during it one is asked for");
	is_int(m.test.phase, TEST_AWAIT_CONN, "it goes on");
	is_int(m.test.deadline, 74000, "for as long as the other may take");
	is_int(m.test.conns[0].deadline, 74000, "and so do its connections");
	is_int(m.test.timeout_ms, 3000, "and those that come later");
	is_int(monitor_end(&m, EV_TEST_PASSED, 71100), EV_TEST_PASSED,
	    "it passes");
	is_int(m.good_at, 71100, "which is noted");
	is_int(m.schedule.next_due, 72000,
	    "the next follows, 2 s after its begin");
	(void)monitor_begin(&m, 72000);
	is_int(m.test.timeout_ms, 3000, "with the time that was asked for");
	(void)monitor_end(&m, EV_TEST_PASSED, 72100);
	is_int(m.schedule.next_due, 132100, "and then no other");

	(void)monitor_begin(&m, 140000);
	m.test.phase = TEST_AWAIT_CONN;
	(void)monitor_test_event(&m, 3000, 143000);
	is_int(m.test.deadline, 146000, "a long one goes on as well");
	(void)monitor_end(&m, EV_TEST_PASSED, 145000);
	is_int(m.schedule.next_due, 143000, "the next follows at once");
}

/* Who goes when there is no room for another connection. */
static void
test_conns_make_room(void)
{
	static struct test t;
	int i;

	t.fd = -1;
	for (i = 0; i < 6; i++)
		t.conns[i] = (struct conn){ -1, i == 0, 100 + i };
	t.nconns = 6;
	conns_make_room(&t);
	is_int(t.nconns, 3, "half of the silent ones go");
	is_int(t.conns[0].deadline, 100, "one that has sent something stays");
	is_int(t.conns[1].deadline, 104, "the older silent ones go");
	for (i = 0; i < 4; i++)
		t.conns[i] = (struct conn){ -1, 1, 100 + i };
	t.nconns = 4;
	conns_make_room(&t);
	is_int(t.nconns, 2, "where all have sent something, half go too");
	is_int(t.conns[0].deadline, 102, "the older ones");
	t.nconns = 1;
	conns_make_room(&t);
	is_int(t.nconns, 0, "a single one makes room");
}

/* Which connections make room first, by what they have sent but we not read. */
static void
test_conn_rank(void)
{
	static const struct {
		const char *name, *sent;
		bool closed;
		enum conn_rank want;
	} table[] = {
		{ "it has sent nothing", "", false, CONN_SILENT },
		{ "what anyone can know", "h autossh 1 ", false, CONN_SILENT },
		{ "a part of the number", "h autossh 1 7", false, CONN_KNOWS },
		{ "the line", "h autossh 1 77 \r\n", true, CONN_KNOWS },
		{ "more than the line", "h autossh 1 77 \r\nx", false,
		    CONN_KNOWS },
		{ "another number", "h autossh 1 8", false, CONN_FOREIGN },
		{ "it is closed", "", true, CONN_FOREIGN },
	};
	static struct test t;
	struct conn c;
	int ends[2];
	size_t i;

	t.guessable = strlen("h autossh 1 ");
	t.len = (size_t)snprintf(t.line, sizeof(t.line), "h autossh 1 77 \r\n");
	for (i = 0; i < COUNT(table); i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == -1)
			exit(1);
		c = (struct conn){ ends[0], 0, 0 };
		(void)!write(ends[1], table[i].sent, strlen(table[i].sent));
		if (table[i].closed)
			shutdown(ends[1], SHUT_WR);
		is_int(conn_rank(&t, &c, -1), table[i].want, table[i].name);
		close(ends[0]);
		close(ends[1]);
	}
	c = (struct conn){ -1, t.guessable + 1, 0 };
	is_int(conn_rank(&t, &c, -1), CONN_KNOWS, "what was read counts too");
}

/* ---- passphrase -------------------------------------------------------- */

static void
test_passphrase_parse(void)
{
	static const struct {
		const char *value;
		bool good;
		int source, fd;
		const char *argument;
	} table[] = {
		{ "ask", true, PASSPHRASE_ASK, 0, NULL },
		{ "fd:0", true, PASSPHRASE_FD, 0, NULL },
		{ "fd:9", true, PASSPHRASE_FD, 9, NULL },
		{ "file:/run/key", true, PASSPHRASE_FILE, 0, "/run/key" },
		{ "file:a:b", true, PASSPHRASE_FILE, 0, "a:b" },
		{ "exec:pass ssh", true, PASSPHRASE_EXEC, 0, "pass ssh" },
		{ "", false, 0, 0, NULL },
		{ "secret", false, 0, 0, NULL },
		{ "ASK", false, 0, 0, NULL },
		{ "ask ", false, 0, 0, NULL },
		{ "ask:", false, 0, 0, NULL },
		{ "fd", false, 0, 0, NULL },
		{ "fd:", false, 0, 0, NULL },
		{ "fd:-1", false, 0, 0, NULL },
		{ "fd: 9", false, 0, 0, NULL },
		{ "fd:+9", false, 0, 0, NULL },
		{ "fd:9x", false, 0, 0, NULL },
		{ "fd:2147483648", false, 0, 0, NULL },
		{ "file:", false, 0, 0, NULL },
		{ "file", false, 0, 0, NULL },
		{ "exec:", false, 0, 0, NULL },
		{ " exec:x", false, 0, 0, NULL },
	};
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		struct passphrase_source from;
		const char *value = table[i].value;
		bool good = passphrase_parse(value, &from);

		is_int(good, table[i].good, value);
		if (!good || !table[i].good)
			continue;
		is_int((int64_t)from.source, table[i].source, "its source");
		is_int(from.fd, table[i].fd, "its descriptor");
		is_text(from.argument, table[i].argument, "its argument");
	}
}

static void
test_passphrase_file_private(void)
{
	static const struct {
		uid_t uid, owner;
		gid_t group;
		mode_t mode;
		bool want;
	} table[] = {
		{ 1000, 1000, 1000, S_IFREG | 0600, true },
		{ 1000, 1000, 1000, S_IFREG | 0400, true },
		{ 1000, 0, 0, S_IFREG | 0600, true },
		{ 0, 0, 0, S_IFREG | 0600, true },
		{ 1000, 0, 0, S_IFREG | 0440, true }, /* systemd's credential */
		{ 1000, 0, 0, S_IFREG | 0460, false },
		{ 1000, 0, 1, S_IFREG | 0440, false },
		{ 1000, 1000, 0, S_IFREG | 0440, false },
		{ 0, 0, 0, S_IFREG | 0440, false },
		{ 1000, 1001, 1000, S_IFREG | 0600, false },
		{ 0, 1000, 1000, S_IFREG | 0600, false },
		{ 1000, 1000, 1000, S_IFREG | 0640, false },
		{ 1000, 1000, 1000, S_IFREG | 0604, false },
		{ 1000, 1000, 1000, S_IFREG | 0620, false },
		{ 1000, 1000, 1000, S_IFREG | 0610, false },
		{ 1000, 1000, 1000, S_IFREG | 0601, false },
		{ 1000, 1000, 1000, S_IFREG | 0777, false },
		{ 1000, 1000, 1000, S_IFIFO | 0600, false },
		{ 1000, 1000, 1000, S_IFDIR | 0600, false },
		{ 1000, 1000, 1000, S_IFCHR | 0600, false },
	};
	size_t i;

	for (i = 0; i < COUNT(table); i++)
		ok(passphrase_file_private(table[i].uid, table[i].owner,
		       table[i].group, table[i].mode) == table[i].want,
		    "a file of %d:%d with mode %o is %sprivate to %d",
		    (int)table[i].owner, (int)table[i].group,
		    (unsigned int)table[i].mode, table[i].want ? "" : "not ",
		    (int)table[i].uid);
}

/* Prompts as ssh writes them, or as a server has ssh write them. */
static void
test_prompt_classify(void)
{
	static char long_prompt[PROMPT_MAX + 64], long_marked[PROMPT_MAX + 64],
	    long_host_key[PROMPT_MAX + 64];
	static const struct {
		enum prompt_kind want;
		const char *hint, *prompt;
	} table[] = {
		/* a key */
		{ PROMPT_KEY, "",
		    "Enter passphrase for key '/home/u/.ssh/id_ed25519': " },
		{ PROMPT_KEY, "",
		    "Enter passphrase for key 'my new key (old)?': " },
		{ PROMPT_KEY, "",
		    "Enter passphrase for key '(u@h) /home/u/key': " },
		{ PROMPT_KEY, "", "Enter passphrase for /home/u/key: " },
		/* a security key or a token */
		{ PROMPT_KEY, "",
		    "Enter PIN for ED25519-SK key /home/u/id_ed25519_sk: " },
		{ PROMPT_KEY, "",
		    "Enter PIN and confirm user presence for ECDSA-SK key "
		    "/home/u/id_ecdsa_sk: " },
		{ PROMPT_KEY, "", "Enter PIN for 'PIV_II (PIN)': " },
		/* a password */
		{ PROMPT_PASSWORD, "", "u@h's password: " },
		{ PROMPT_PASSWORD, "", "new@old.example.com's password: " },
		{ PROMPT_PASSWORD, "", "u@2001:db8::1's password: " },
		/* keyboard-interactive, before and since OpenSSH 8.5 */
		{ PROMPT_PASSWORD, "", "Password: " },
		{ PROMPT_PASSWORD, "", "Password:" },
		{ PROMPT_PASSWORD, "", "password for u@h: " },
		{ PROMPT_PASSWORD, "", "Password for u on new.example.com: " },
		{ PROMPT_PASSWORD, "", "u+new@h's password: " },
		{ PROMPT_PASSWORD, "", "(u@h) PIN code: " },
		{ PROMPT_PASSWORD, "", "(u@h) Enter your token PIN: " },
		{ PROMPT_PASSWORD, "", "LDAP Password: " },
		{ PROMPT_PASSWORD, "", "(u@h) Password: " },
		{ PROMPT_PASSWORD, "", "(u@h) Password for u@h:" },
		{ PROMPT_PASSWORD, "", "(u@h) PIN: " },
		{ PROMPT_PASSWORD, "", "(u@h)password: " },
		{ PROMPT_PASSWORD, "", "(u@h) v@i's password: " },
		{ PROMPT_PASSWORD, "",
		    "(u@h) Your account ends soon.\nPassword: " },
		/* the host key */
		{ PROMPT_LOCAL, "",
		    "The authenticity of host 'h (192.0.2.1)' can't be "
		    "established.\nED25519 key fingerprint is SHA256:x.\n"
		    "This key is not known by any other names.\n"
		    "Are you sure you want to continue connecting "
		    "(yes/no/[fingerprint])? " },
		{ PROMPT_LOCAL, "",
		    "The authenticity of host 'password (192.0.2.1)' can't be "
		    "established.\nAre you sure you want to continue "
		    "connecting (yes/no)? " },
		{ PROMPT_LOCAL, "", "Please type 'yes' or 'no': " },
		{ PROMPT_LOCAL, "",
		    "Please type 'yes', 'no' or the fingerprint: " },
		{ PROMPT_LOCAL, "", "Accept updated hostkeys? (yes/no): " },
		{ PROMPT_LOCAL, "", long_host_key },
		/* a confirmation, a notice */
		{ PROMPT_LOCAL, "confirm", "Allow shared connection to h? " },
		{ PROMPT_LOCAL, "", "Allow shared connection to h? " },
		{ PROMPT_LOCAL, "confirm",
		    "Add key /home/u/key (password) to agent?" },
		{ PROMPT_LOCAL, "confirm",
		    "Enter passphrase for key '/home/u/key': " },
		{ PROMPT_NOTICE, "none",
		    "Confirm user presence for key ED25519-SK SHA256:x" },
		{ PROMPT_NOTICE, "none", "u@h's password: " },
		/* another password than the one we hold */
		{ PROMPT_SERVER, "", "Enter u@h's old password: " },
		{ PROMPT_SERVER, "", "Enter u@h's new password: " },
		{ PROMPT_SERVER, "", "Retype u@h's new password: " },
		{ PROMPT_SERVER, "", "New password: " },
		{ PROMPT_SERVER, "", "Retype new password: " },
		{ PROMPT_SERVER, "", "(current) UNIX password: " },
		{ PROMPT_SERVER, "", "Current Password: " },
		{ PROMPT_SERVER, "", "(u@h) (current) UNIX password: " },
		{ PROMPT_SERVER, "", "(u@h) New password: " },
		{ PROMPT_SERVER, "", "(u@h) Set a password: " },
		{ PROMPT_SERVER, "", "(u@h) Choose a password: " },
		{ PROMPT_SERVER, "", "(u@h) Repeat password: " },
		{ PROMPT_SERVER, "", "(u@h) Re-enter password: " },
		{ PROMPT_SERVER, "", "(u@h) Reenter password: " },
		{ PROMPT_SERVER, "", "(u@h) Retype new password: " },
		{ PROMPT_SERVER, "",
		    "(u@h) Your password has expired.\nNew password: " },
		/* something that is used once */
		{ PROMPT_SERVER, "", "Verification code: " },
		{ PROMPT_SERVER, "", "(u@h) Verification code: " },
		{ PROMPT_SERVER, "",
		    "(u@h) One-time password (OATH) for `u': " },
		{ PROMPT_SERVER, "", "(u@h) One time password: " },
		{ PROMPT_SERVER, "", "(u@h) Password & verification code: " },
		{ PROMPT_SERVER, "", "(u@h) Enter PIN + token: " },
		{ PROMPT_SERVER, "", "(u@h) PIN+tokencode: " },
		{ PROMPT_SERVER, "", "(u@h) Temporary password: " },
		{ PROMPT_SERVER, "", "(u@h) Passcode or option (1-3): " },
		{ PROMPT_SERVER, "", "Enter PASSCODE: " },
		{ PROMPT_SERVER, "", "(u@h) YubiKey for `u': " },
		/* a server that asks for what is none of its business */
		{ PROMPT_SERVER, "",
		    "(u@h) Enter passphrase for key '/home/u/key': " },
		{ PROMPT_SERVER, "",
		    "(u@h) \nEnter passphrase for key '/home/u/key': " },
		{ PROMPT_SERVER, "",
		    "(u@h) Passphrase\nEnter PIN for 'token': \n" },
		{ PROMPT_SERVER, "", "(u@h) Change your password now?" },
		{ PROMPT_SERVER, "", "(u@h) passphrase-of-u@h's password: " },
		{ PROMPT_SERVER, "", "(u@h) passphrase?u@h's password: " },
		{ PROMPT_SERVER, "",
		    "(u@h) The authenticity of host 'h' can't be established" },
		{ PROMPT_SERVER, "", "(u@h) Please type 'yes' or 'no'?" },
		{ PROMPT_SERVER, "", "Passphrase: " },
		{ PROMPT_SERVER, "", "enter passphrase for key '/k': " },
		/* anything else */
		{ PROMPT_SERVER, "", "" },
		{ PROMPT_SERVER, "", "(u@h) " },
		{ PROMPT_SERVER, "", "\n" },
		{ PROMPT_SERVER, "", ": " },
		{ PROMPT_SERVER, "", "login: " },
		{ PROMPT_SERVER, "", "Spinning: " },
		{ PROMPT_LOCAL, "", "Do you know your password? " },
		{ PROMPT_SERVER, "", "passwords: " },
		{ PROMPT_SERVER, "", "my u@h's passwords: " },
		{ PROMPT_SERVER, "", "the new u@h's password: " },
		{ PROMPT_SERVER, "", "new@h's password is old: " },
		{ PROMPT_SERVER, "", long_prompt },
		{ PROMPT_SERVER, "", long_marked },
	};
	size_t i;

	snprintf(long_prompt, sizeof(long_prompt), "%*s", PROMPT_MAX + 1,
	    "Password: ");
	/* what it must not ask for is at the end */
	snprintf(long_marked, sizeof(long_marked), "(u@h) Password %*s",
	    PROMPT_MAX, "Enter passphrase for key '/k': ");
	snprintf(long_host_key, sizeof(long_host_key),
	    "The authenticity of host %*s", PROMPT_MAX, "(yes/no)? ");
	for (i = 0; i < COUNT(table); i++)
		is_int(prompt_classify(table[i].hint, table[i].prompt),
		    table[i].want, table[i].prompt);
}

static void
test_prompt_server(void)
{
	static char long_name[SERVER_MAX + 32];
	static const struct {
		const char *prompt, *server, *rest;
	} table[] = {
		{ "(u@h) Password: ", "u@h", "Password: " },
		{ "(u@h) (current) password: ", "u@h", "(current) password: " },
		{ "(u@h) v@i's password: ", "u@h", "v@i's password: " },
		{ "u@h's password: ", "u@h", "u@h's password: " },
		{ "Password: ", "", "Password: " },
		{ "(current) UNIX password: ", "",
		    "(current) UNIX password: " },
		{ "my u@h's password: ", "", "my u@h's password: " },
		{ "(u@h)Password: ", "", "(u@h)Password: " },
		{ "(", "", "(" },
		{ "", "", "" },
		{ long_name, "", long_name },
	};
	char server[SERVER_MAX + 1];
	size_t i;

	memset(long_name, 'u', sizeof(long_name) - 1);
	memcpy(long_name + SERVER_MAX, "@h's password: ", 16);
	for (i = 0; i < COUNT(table); i++) {
		is_text(prompt_server(table[i].prompt, server), table[i].rest,
		    "what is asked");
		is_text(server, table[i].server, "who asks");
	}
}

/* The first answer decides what the secret is for. */
static void
test_secret_use(void)
{
	static const struct {
		struct secret_use use;
		enum prompt_kind kind;
		const char *server;
		bool jump, refused;
	} table[] = {
		{ { USE_UNDECIDED, "", false }, PROMPT_KEY, "", false, false },
		{ { USE_UNDECIDED, "", false }, PROMPT_KEY, "", true, false },
		{ { USE_UNDECIDED, "", false }, PROMPT_PASSWORD, "u@h", false,
		    false },
		{ { USE_UNDECIDED, "", false }, PROMPT_PASSWORD, "u@j", true,
		    false },
		/* OpenSSH before 8.5 does not name the server */
		{ { USE_UNDECIDED, "", false }, PROMPT_PASSWORD, "", false,
		    false },
		{ { USE_UNDECIDED, "", false }, PROMPT_PASSWORD, "", true,
		    true },
		{ { USE_SERVER, "", false }, PROMPT_PASSWORD, "", false,
		    false },
		{ { USE_SERVER, "", false }, PROMPT_PASSWORD, "", true, true },
		{ { USE_SERVER, "", false }, PROMPT_PASSWORD, "u@h", false,
		    true },
		{ { USE_KEYS, "", false }, PROMPT_KEY, "", false, false },
		{ { USE_KEYS, "", false }, PROMPT_KEY, "", true, false },
		{ { USE_KEYS, "", false }, PROMPT_PASSWORD, "u@h", false,
		    true },
		{ { USE_KEYS, "", false }, PROMPT_PASSWORD, "", false, true },
		{ { USE_SERVER, "u@h", false }, PROMPT_PASSWORD, "u@h", false,
		    false },
		{ { USE_SERVER, "u@h", false }, PROMPT_PASSWORD, "v@h", false,
		    true },
		{ { USE_SERVER, "u@h", false }, PROMPT_PASSWORD, "u@hh", false,
		    true },
		{ { USE_SERVER, "u@h", false }, PROMPT_KEY, "", false, true },
		/* a jump host that calls itself the destination */
		{ { USE_SERVER, "u@h", false }, PROMPT_PASSWORD, "u@h", true,
		    true },
		{ { USE_SERVER, "u@j", true }, PROMPT_PASSWORD, "u@j", true,
		    false },
		{ { USE_SERVER, "u@j", true }, PROMPT_PASSWORD, "u@j", false,
		    true },
	};
	size_t i;

	for (i = 0; i < COUNT(table); i++)
		ok((secret_use_refusal(&table[i].use, table[i].kind,
			table[i].server, table[i].jump) != NULL) ==
			table[i].refused,
		    "the secret of %d \"%s\"%s is %sgiven to %d \"%s\"%s",
		    (int)table[i].use.kind, table[i].use.server,
		    table[i].use.jump ? " (jump)" : "",
		    table[i].refused ? "not " : "", (int)table[i].kind,
		    table[i].server, table[i].jump ? " (jump)" : "");
}

static void
test_denial_matches(void)
{
	static const struct {
		const char *line, *server;
		bool exact, any_host;
	} table[] = {
		{ "u@h: Permission denied (publickey,password).", "u@h", true,
		    true },
		{ "u@10.1.1.1: Permission denied (password).", "u@h", false,
		    true },
		{ "v@h: Permission denied (password).", "u@h", false, false },
		{ "uu@h: Permission denied (password).", "u@h", false, false },
		{ "u@h: Permission denied (password).", "", false, true },
		{ "u@h: Permission denied", "u@h", false, false },
		{ "u@h: Permission denied (", "u@h", false, false },
		{ "u@h: /etc/x: Permission denied (no)", "u@h", false, false },
		{ "Permission denied (password).", "u@h", false, false },
		{ "Permission denied, please try again.", "u@h", false, false },
		{ "no u@h: Permission denied (password).", "u@h", false,
		    false },
		{ "", "u@h", false, false },
		{ "", "", false, false },
	};
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		is_int(denial_matches(table[i].line, table[i].server, false),
		    table[i].exact, table[i].line);
		is_int(denial_matches(table[i].line, table[i].server, true),
		    table[i].any_host, table[i].line);
	}
}

/* The caller of -f may have gone before it is told. */
static void
test_background_ready(void)
{
	int there[2], gone[2];
	char byte;

	(void)signal(SIGPIPE, SIG_IGN);
	if (pipe(there) == -1 || pipe(gone) == -1)
		die("pipe");
	logger.stderr_fd = -1;
	close(gone[0]);
	ok(background_ready(&there[1]), "a caller that waits is told");
	ok(read(there[0], &byte, 1) == 1, "by a byte");
	is_int(there[1], -1, "then there is nothing more to tell");
	ok(!background_ready(&gone[1]), "one that has gone is not");
	close(there[0]);
	logger.stderr_fd = 2;
	(void)signal(SIGPIPE, SIG_DFL);
}

static void
test_askpass_prepare(void)
{
	static struct askpass_server a;

	is_int(UNTIL(askpass_prepare, &a), NEVER, "nobody asks");
	a.nrequests = 2;
	a.requests[0].deadline = NEVER;
	a.requests[1].deadline = 2000;
	is_int(UNTIL(askpass_prepare, &a), 2000, "who asks has to be quick");
	a.requests[0].deadline = 1000;
	is_int(UNTIL(askpass_prepare, &a), 1000, "each of them");
	a.listener.resume_due = 500;
	is_int(UNTIL(askpass_prepare, &a), 500,
	    "accepting again is due before it");
	a.commands[3].pid = 4711;
	a.commands[3].fd = -1;
	a.commands[3].deadline = 200;
	is_int(UNTIL(askpass_prepare, &a), 200, "a command has to end");
}

static void
test_secret_length(void)
{
	static const struct {
		const char *text, *want;
	} table[] = {
		{ "secret", "secret" },
		{ "secret\n", "secret" },
		{ "secret\r\n", "secret" },
		{ "two words\nmore\n", "two words" },
		{ " spaces stay \n", " spaces stay " },
		{ "\nsecond", "" },
		{ "", "" },
	};
	char text[64];
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		snprintf(text, sizeof(text), "%s", table[i].text);
		text[secret_length(text)] = '\0';
		is_text(text, table[i].want, "the first line of a secret");
	}
}

/* What shows that an answer was wrong. */
static void
test_request_shows_rejection(void)
{
	static struct askpass_server a;
	static struct request one, two;
	int i;

	snprintf(one.text, sizeof(one.text), "u@h's password: ");
	snprintf(two.text, sizeof(two.text), "u@h's password: ");
	one.kind = two.kind = PROMPT_KEY;
	one.asked_by = two.asked_by = 100;
	ok(!request_shows_rejection(&a, &one), "a prompt is new");
	a.answers[a.nanswers++] = request_hash(&one);
	ok(request_shows_rejection(&a, &two), "the same again");
	two.asked_by = 101;
	ok(!request_shows_rejection(&a, &two), "that of another ssh (-J)");
	two.asked_by = 100;
	snprintf(two.text, sizeof(two.text), "u@j's password: ");
	ok(!request_shows_rejection(&a, &two), "that for another host");

	/* one server has so many answers, whatever it asks */
	a.nanswers = 0;
	one.kind = two.kind = PROMPT_PASSWORD;
	snprintf(one.server, sizeof(one.server), "u@h");
	snprintf(two.server, sizeof(two.server), "u@h");
	for (i = 0; i < SERVER_ANSWERS_MAX; i++) {
		ok(!request_shows_rejection(&a, &two), "answer %d", i + 1);
		snprintf(one.text, sizeof(one.text), "Password %d: ", i);
		a.answers[a.nanswers++] = request_hash(&one);
	}
	ok(request_shows_rejection(&a, &two), "one answer more to a server");
	snprintf(two.server, sizeof(two.server), "u@j");
	ok(!request_shows_rejection(&a, &two), "but not of another server");
	two.kind = PROMPT_KEY;
	ok(!request_shows_rejection(&a, &two), "nor for a key");
	a.nanswers = ANSWERS_MAX;
	ok(request_shows_rejection(&a, &two), "there is an end to all");
}

static void
test_helper_called(void)
{
	ok(askpass_client_called("/tmp/d/" PRIVATE_LINK), "the helper's name");
	ok(!askpass_client_called(PRIVATE_LINK), "not without its directory");
	ok(!askpass_client_called("/usr/bin/autossh"), "not autossh's");
	ok(!askpass_client_called("/tmp/" PRIVATE_LINK "/x"),
	    "not as a directory");
	ok(!askpass_client_called(NULL), "not without a name");
}

/* ---- what ssh says, and reports ---------------------------------------- */

/* What ssh says reaches the log in lines; the last one is kept. */
static void
test_ssh_stderr(void)
{
	static struct ssh_stderr y;
	static char much[2 * STDERR_LINE_MAX];
	size_t i;

	logger.level = LOG_ERR;
	y.window = 0;
	is_int(UNTIL(ssh_stderr_prepare, &y), NEVER,
	    "nothing is due before ssh speaks");
	ssh_stderr_take(&y, "Permission ", 11, 1000);
	is_text(y.last, "", "half a line is none");
	ssh_stderr_take(&y, "denied.\r\n", 9, 1000);
	is_text(y.last, "Permission denied.", "a line is put together");
	ssh_stderr_take(&y, "\n  \n\r\n", 6, 1000);
	is_text(y.last, "Permission denied.", "an empty line is none");
	is_int(y.counts[0].written, 1, "nor does it count");
	ok(y.last_own, "CR LF ends a line of ssh's own");
	is_int(y.last_at, 1000, "it is known when it came");
	ssh_stderr_take(&y, "Permission denied.\n", 19, 2000);
	ok(!y.last_own, "LF alone may end anyone's");
	ssh_stderr_take(&y, "a\0b\033[2J\xff\n", 9, 1000);
	is_text(
	    y.last, "a?b\\033[2J\\377", "nothing moves a terminal's cursor");
	memset(much, 'x', sizeof(much));
	ssh_stderr_take(&y, much, sizeof(much), 1000);
	ssh_stderr_take(&y, "\nshort\n", 7, 1000);
	is_text(y.last, "short", "a line without end is cut");
	is_int(y.counts[0].written, 5, "and is one line");
	for (i = 0; i < STDERR_LINES_MAX; i++)
		ssh_stderr_take(&y, "flood\n", 6, 2000);
	is_int(y.counts[0].written, STDERR_LINES_MAX,
	    "so many lines a minute, no more");
	is_int(y.counts[0].suppressed, 5, "the others are counted");
	is_int(UNTIL(ssh_stderr_prepare, &y), 1000 + STDERR_WINDOW_MS,
	    "their count is due when the minute is over");
	for (i = 0; i < STDERR_LINES_MAX + 2; i++)
		ssh_stderr_take(&y, "debug1: much\n", 13, 2000);
	is_int(y.counts[1].written, STDERR_LINES_MAX,
	    "lines of -v are counted by themselves");
	is_int(y.counts[1].suppressed, 2, "and suppressed by themselves");
	is_text(y.last, "flood", "none of them is the last line");
	logger.level = LOG_INFO;
}

static void
test_stderr_classify(void)
{
	static const struct {
		const char *line;
		enum stderr_kind want;
	} table[] = {
		{ "debug1: Connecting to h port 22.", STDERR_VERBOSE },
		{ "debug3: x", STDERR_VERBOSE },
		{ "my debug1: x", STDERR_OTHER },
		{ "Warning: Permanently added 'h' (ED25519) to the list of "
		  "known hosts.",
		    STDERR_NOTICE },
		{ "** WARNING: connection is not using a post-quantum key "
		  "exchange algorithm.",
		    STDERR_NOTICE },
		{ "u@h: Permission denied (publickey,password).",
		    STDERR_TELLING },
		{ "Received disconnect from ::1 port 22:2: Too many "
		  "authentication failures",
		    STDERR_TELLING },
		{ "Host key verification failed.", STDERR_TELLING },
		{ "ssh: Could not resolve hostname h: Name or service not "
		  "known",
		    STDERR_TELLING },
		{ "Connection closed by 127.0.0.1 port 22", STDERR_CLOSED },
		{ "Connection reset by 127.0.0.1 port 22", STDERR_CLOSED },
		{ "kex_exchange_identification: read: Connection reset by "
		  "peer",
		    STDERR_CLOSED },
		{ "Connection to h closed by remote host.", STDERR_OTHER },
		{ "ssh: connect to host h port 22: Connection refused",
		    STDERR_OTHER },
		{ "Welcome!", STDERR_OTHER },
	};
	size_t i;

	for (i = 0; i < COUNT(table); i++)
		is_int(stderr_classify(table[i].line), table[i].want,
		    table[i].line);
}

static void
test_text_has(void)
{
	ok(text_has("listen port 20123", "20123", isdigit), "at the end");
	ok(text_has("20123 is taken", "20123", isdigit), "at the begin");
	ok(text_has("120123, then 20123.", "20123", isdigit), "the second");
	ok(!text_has("listen port 120123", "20123", isdigit), "a longer one");
	ok(!text_has("listen port 201234", "20123", isdigit), "another longer");
	ok(!text_has("listen port 20123", "", isdigit), "no number");
	ok(text_has("a Password:", "Password", isalnum), "a word");
	ok(!text_has("Passwords", "Password", isalnum), "a longer word");
}

/* Which of ssh's words are given as the reason that the tunnel is down. */
static void
test_ssh_stderr_explain(void)
{
	static const struct {
		const char *name;
		const char *before; /* the reason until now */
		const char *said;   /* at 1000 */
		int64_t since;
		const char *want;
	} table[] = {
		{ "nothing was said", "", "", 0, "" },
		{ "the last line", "", "One\nTwo\n", 0, "Two" },
		{ "what was said long ago is none", "", "One\n", 1001, "" },
		{ "nor does it stay", "Old", "One\n", 1001, "" },
		{ "a notice is none", "",
		    "Warning: Permanently added 'h' to known hosts.\n"
		    "** WARNING: x\n** y\n",
		    0, "" },
		{ "the cause, not what it led to", "",
		    "Host key verification failed.\n"
		    "Connection closed by ::1 port 22\n",
		    0, "Host key verification failed." },
		{ "a closed connection, for want of better", "",
		    "Connection reset by ::1 port 22\n", 0,
		    "Connection reset by ::1 port 22" },
		{ "a telling reason stays", "u@h: Permission denied (x).",
		    "Connection closed by ::1 port 22\n", 0,
		    "u@h: Permission denied (x)." },
		{ "also when nothing is said", "u@h: Permission denied (x).",
		    "", 0, "u@h: Permission denied (x)." },
		{ "another reason replaces it", "u@h: Permission denied (x).",
		    "ssh: connect to host h port 22: No route to host\n", 0,
		    "ssh: connect to host h port 22: No route to host" },
	};
	static struct ssh_stderr y;
	size_t i;

	logger.level = LOG_ERR;
	for (i = 0; i < COUNT(table); i++) {
		ssh_stderr_init(&y);
		snprintf(y.reason, sizeof(y.reason), "%s", table[i].before);
		ssh_stderr_start(&y, "");
		ssh_stderr_take(&y, table[i].said, strlen(table[i].said), 1000);
		ssh_stderr_explain(&y, table[i].since);
		is_text(y.reason, table[i].want, table[i].name);
	}
	logger.level = LOG_INFO;
}

/* Which lines say that ssh goes on without a forwarding of the user's. */
static void
test_ssh_stderr_forward(void)
{
	static const struct {
		const char *line;
		bool want;
	} table[] = {
		{ "Warning: remote port forwarding failed for listen port "
		  "8080\n",
		    true },
		{ "Warning: remote port forwarding failed for listen port "
		  "20123\n",
		    false },
		{ "Could not request local forwarding.\n", true },
		{ "bind [127.0.0.1]:8080: Address already in use\n", false },
	};
	static struct ssh_stderr y;
	size_t i;

	logger.level = LOG_ERR;
	for (i = 0; i < COUNT(table); i++) {
		ssh_stderr_init(&y);
		ssh_stderr_start(&y, "20123");
		ssh_stderr_take(&y, table[i].line, strlen(table[i].line), 1000);
		is_int(y.forward_failed, table[i].want, table[i].line);
		ssh_stderr_advise_forward(&y);
		is_int(y.advised_forward, table[i].want, "advice");
	}
	logger.level = LOG_INFO;
}

static void
test_label_text(void)
{
	static const struct {
		const char *destination, *want;
	} table[] = {
		{ "u@h", "u@h" },
		{ "ssh://h:22", "ssh://h:22" },
		{ "a\"b\\c", "a\\\"b\\\\c" },
		{ "a\nb\177", "a\\\\nb\\\\177" },
		{ "b\xc3\xbc"
		  "ro",
		    "b\xc3\xbc"
		    "ro" },
		{ "b\xfcro", "b\\\\374ro" },
		{ "", "" },
	};
	char buf[2 * LABEL_MAX];
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		label_text(table[i].destination, buf);
		is_text(buf, table[i].want, "the label of a destination");
	}
}

static void
test_standing_text(void)
{
	static const struct {
		const char *name, *type, *value, *none;
	} table[] = {
		{ "autossh_up", "gauge", "1", "0" },
		{ "autossh_monitored", "gauge", "1", "0" },
		{ "autossh_starts_total", "counter", "5", "0" },
		{ "autossh_start_timestamp_seconds", "gauge", "1700000000.007",
		    "0.000" },
		{ "autossh_tests_total", "counter", "12", "0" },
		{ "autossh_test_failures_total", "counter", "2", "0" },
		{ "autossh_last_test_seconds", "gauge", "0.023", "NaN" },
		{ "autossh_last_test_timestamp_seconds", "gauge",
		    "1700000600.000", "0.000" },
		{ "autossh_next_start_timestamp_seconds", "gauge",
		    "1700000700.500", "0.000" },
	};
	static const struct metrics full = { 1, 1, 5, 1700000000007, 12, 2, 23,
		1700000600000, 1700000700500 };
	static const struct metrics none = { .round_trip_ms = -1 };
	char text[METRICS_MAX], line[2 * LABEL_MAX];
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		metrics_text(&full, "u@h", text, sizeof(text));
		snprintf(line, sizeof(line), "# HELP %s ", table[i].name);
		ok(strstr(text, line) != NULL, "help of %s", table[i].name);
		snprintf(line, sizeof(line), "\n# TYPE %s %s\n", table[i].name,
		    table[i].type);
		ok(strstr(text, line) != NULL, "type of %s", table[i].name);
		snprintf(line, sizeof(line), "\n%s{destination=\"u@h\"} %s\n",
		    table[i].name, table[i].value);
		ok(strstr(text, line) != NULL, "value of %s", table[i].name);
		metrics_text(&none, "u@h", text, sizeof(text));
		snprintf(line, sizeof(line), "\n%s{destination=\"u@h\"} %s\n",
		    table[i].name, table[i].none);
		ok(strstr(text, line) != NULL, "no value of %s", table[i].name);
	}
	memset(line, '"', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	metrics_text(&full, line, text, sizeof(text));
	ok(strlen(text) < sizeof(text) - 1 && text[strlen(text) - 1] == '\n',
	    "the longest label leaves the text whole");
}

static void
test_notify_open(void)
{
	static const struct {
		const char *socket, *usec, *pid;
		bool on;
		int64_t watchdog_ms;
	} table[] = {
		{ NULL, "3000000", NULL, false, 0 },
		{ "", NULL, NULL, false, 0 },
		{ "relative", NULL, NULL, false, 0 },
		{ "/run/" SIXTY SIXTY, NULL, NULL, false, 0 },
		{ "/run/notify", NULL, NULL, true, 0 },
		{ "@abstract", NULL, NULL, true, 0 },
		{ "/run/notify", "3000000", NULL, true, 1000 },
		{ "/run/notify", "3000000", "4711", true, 1000 },
		{ "/run/notify", "3000000", "4712", true, 0 },
		{ "/run/notify", "3000000", "x", true, 1000 },
		{ "/run/notify", "2999", NULL, true, 1 },
		{ "/run/notify", "0", NULL, true, 0 },
		{ "/run/notify", "soon", NULL, true, 0 },
	};
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		struct notify n = { .fd = -1 };

		unsetenv("NOTIFY_SOCKET");
		unsetenv("WATCHDOG_USEC");
		unsetenv("WATCHDOG_PID");
		if (table[i].socket != NULL)
			setenv("NOTIFY_SOCKET", table[i].socket, 1);
		if (table[i].usec != NULL)
			setenv("WATCHDOG_USEC", table[i].usec, 1);
		if (table[i].pid != NULL)
			setenv("WATCHDOG_PID", table[i].pid, 1);
		notify_open(&n, 4711);
		ok((n.fd != -1) == table[i].on, "NOTIFY_SOCKET=%s",
		    table[i].socket ? table[i].socket : "(unset)");
		is_int(n.watchdog_ms, table[i].watchdog_ms,
		    table[i].usec ? table[i].usec : "no watchdog");
		n.watchdog_due = 77;
		is_int(UNTIL(notify_prepare, &n),
		    n.watchdog_ms > 0 ? 77 : NEVER, "when it is due");
		fd_close(&n.fd);
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

/* ---- supervisor -------------------------------------------------------- */

static void
test_span_text(void)
{
	static const struct {
		int64_t ms;
		const char *want;
	} table[] = {
		{ -1, "0s" },
		{ 0, "0s" },
		{ 999, "0s" },
		{ 7000, "7s" },
		{ 59999, "59s" },
		{ 60000, "1m00s" },
		{ 90000, "1m30s" },
		{ 3599999, "59m59s" },
		{ 3600000, "1h00m" },
		{ 7500000, "2h05m" },
		{ 86399999, "23h59m" },
		{ 86400000, "1d00h" },
		{ 273600000, "3d04h" },
		{ INT64_MAX, "106751991167d07h" },
	};
	char buf[32];
	size_t i;

	for (i = 0; i < COUNT(table); i++)
		is_text(span_text(table[i].ms, buf), table[i].want,
		    "a length of time");
}

static void
test_status_summary(void)
{
	static const struct {
		struct status status;
		const char *want;
	} table[] = {
		{ { .state = WAITING, .reason = "" },
		    "starting ssh (start 5)" },
		{ { .state = WAITING, .reason = "Bye" },
		    "starting ssh (start 5) (ssh: Bye)" },
		{ { .state = WAITING, .start_in_ms = 10200, .reason = "" },
		    "down, start 5 in 11 s" },
		{ { .state = WAITING, .start_in_ms = 1, .reason = "Bye" },
		    "down, start 5 in 1 s (ssh: Bye)" },
		{ { .state = RUNNING, .reason = "" },
		    "started, ssh pid 4711 (start 4)" },
		{ { .state = RUNNING, .reason = "ssh: connect: x" },
		    "started, ssh pid 4711 (start 4) (ssh: connect: x)" },
		{ { .state = RUNNING, .metrics.up = true, .reason = "" },
		    "up, ssh pid 4711 (start 4)" },
		{ { .state = STOPPING, .reason = "" },
		    "ending, ssh pid 4711 (start 4)" },
		{ { .state = DONE, .reason = "" }, "stopped" },
	};
	struct status st;
	char text[256];
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		st = table[i].status;
		st.pid = 4711;
		st.metrics.starts = 4;
		status_summary(&st, text, sizeof(text));
		is_text(text, table[i].want, "STATUS=");
		if (st.state == RUNNING)
			continue;
		status_text(&st, text, sizeof(text));
		is_text(text, table[i].want, "SIGUSR2 says the same");
	}
}

static void
test_status_text(void)
{
	static const struct {
		struct status status;
		const char *want;
	} table[] = {
		{ { .test_in_ms = NEVER },
		    "started 1m30s, ssh pid 4711 (start 5), not monitored" },
		{ { .metrics.monitored = true, .test_in_ms = 509001 },
		    "started 1m30s, ssh pid 4711 (start 5), "
		    "no test has passed yet, next in 510 s" },
		{ { .metrics.monitored = true,
		      .metrics.up = true,
		      .refused = true,
		      .test_in_ms = 312000 },
		    "up 1m30s, ssh pid 4711 (start 5), "
		    "the server refuses tests, next in 312 s" },
		{ { .metrics.monitored = true,
		      .metrics.up = true,
		      .passed = true,
		      .test_in_ms = 312000 },
		    "up 1m30s, ssh pid 4711 (start 5), "
		    "last test 23 ms at 14:02:11, next in 312 s" },
		{ { .metrics.monitored = true,
		      .metrics.up = true,
		      .passed = true,
		      .testing = true,
		      .test_in_ms = NEVER },
		    "up 1m30s, ssh pid 4711 (start 5), "
		    "last test 23 ms at 14:02:11, testing now" },
	};
	struct status st;
	char text[256];
	size_t i;

	setenv("TZ", "UTC0", 1);
	tzset();
	for (i = 0; i < COUNT(table); i++) {
		st = table[i].status;
		st.state = RUNNING;
		st.pid = 4711;
		st.metrics.starts = 5;
		st.since_ms = 90000;
		st.reason = "";
		st.metrics.round_trip_ms = 23;
		st.metrics.passed_wall = 50531999;
		status_text(&st, text, sizeof(text));
		is_text(text, table[i].want, "SIGUSR2");
	}
}

/*
 * Every cell of the supervisor's table, as the manual's SIGNALS and the rules
 * on the death of ssh have it.  An event that is not listed does nothing.
 */
static void
test_actions(void)
{
	static const struct {
		enum event event;
		enum want want;
		int status;
		action_fn *waiting, *running, *stopping;
	} table[] = {
		{ EV_EXIT, WANT_EXIT, 1, enter_done, enter_stopping,
		    stop_at_once },
		{ EV_RESTART, WANT_RESTART_NOW, 0, start_now, enter_stopping,
		    NULL },
		{ EV_PROD, WANT_NONE, 0, start_now, test_now, NULL },
		{ EV_TERMINAL_GONE, WANT_EXIT, 1, enter_done, enter_stopping,
		    stop_to_exit },
		{ EV_CALLER_GONE, WANT_EXIT, 1, enter_done, enter_stopping,
		    stop_to_exit },
		{ EV_LIFETIME, WANT_EXIT, 0, enter_done, enter_stopping,
		    stop_to_exit },
		{ EV_DEADLINE, WANT_NONE, 0, start_ssh, running_overdue,
		    stop_overdue },
		{ EV_EXECUTED, WANT_NONE, 0, NULL, ssh_executed,
		    background_complete },
		{ EV_CHILD_GONE, WANT_NONE, 0, NULL, child_exited,
		    ssh_stopped },
		{ EV_TEST_PASSED, WANT_NONE, 0, NULL, test_answered, NULL },
		{ EV_TEST_FAILED, WANT_RESTART, 0, NULL, test_failed, NULL },
		{ EV_TEST_REFUSED, WANT_NONE, 0, NULL, test_answered, NULL },
		{ EV_NO_LOGIN, WANT_RESTART, 0, NULL, enter_stopping, NULL },
		{ EV_UNANSWERED, WANT_AS_FAILED, 0, NULL, enter_stopping,
		    NULL },
		{ EV_REJECTED, WANT_EXIT, 1, NULL, enter_stopping, NULL },
		{ EV_NETWORK_CHANGED, WANT_NONE, 0, start_after_change,
		    test_after_change, restart_now_after_change },
		{ EV_RESUMED, WANT_NONE, 0, start_after_change,
		    test_after_change, restart_now_after_change },
	};
	bool seen[NEVENTS] = { false };
	size_t i;
	int event;

	for (i = 0; i < COUNT(table); i++) {
		enum event e = table[i].event;

		seen[e] = true;
		ok(actions[WAITING][e] == table[i].waiting,
		    "event %d while waiting", (int)e);
		ok(actions[RUNNING][e] == table[i].running,
		    "event %d while ssh runs", (int)e);
		ok(actions[STOPPING][e] == table[i].stopping,
		    "event %d while ssh is being ended", (int)e);
		ok(event_table[e].want == table[i].want &&
			event_table[e].status == table[i].status,
		    "what event %d asks for", (int)e);
	}
	for (event = 0; event < NEVENTS; event++) {
		ok(actions[DONE][event] == NULL, "event %d at the end", event);
		ok(seen[event] || (actions[WAITING][event] == NULL &&
				      actions[RUNNING][event] == NULL &&
				      actions[STOPPING][event] == NULL),
		    "event %d is listed or does nothing", event);
	}
}

/*
 * A signal to exit between fork(2) and the execution of ssh: what the execution
 * calls for must not undo it.
 */
static void
test_exit_before_exec(void)
{
	static const struct timing timing = { .gate_ms = 0 };
	static struct settings settings;
	static struct supervisor s;

	s.settings = &settings;
	s.timing = &timing;
	s.notify.fd = s.ready_fd = s.ssh.pid = -1;
	s.state = RUNNING;
	s.exit_signal = SIGTERM;
	supervisor_event(&s, EV_EXIT, 0);
	supervisor_event(&s, EV_EXECUTED, 1);
	is_int(s.state, STOPPING, "TERM before exec: ssh is being ended");
	is_int(s.want, WANT_EXIT, "TERM before exec: autossh is to exit");
}

/* A resume in a pause that is over: the start is due, the network is not up. */
static void
test_start_after_change(void)
{
	static struct supervisor s;

	s.tries = s.tries_since_change = 9;
	s.deadline = 5000;
	start_after_change(&s, 5000);
	is_int(s.deadline, 5000, "a start that is due comes as it would");
	is_int(s.tries_since_change, 1, "and short pauses follow if it fails");
}

/* The network changes while an ssh is being ended. */
static void
test_restart_now_after_change(void)
{
	static struct supervisor s;

	s.tries = s.tries_since_change = 9;
	s.want = WANT_EXIT;
	restart_now_after_change(&s, 0);
	is_int(s.want, WANT_EXIT, "a network change: an exit stays one");
	is_int(s.tries_since_change, 9, "and its tries stay");
	s.want = WANT_RESTART;
	restart_now_after_change(&s, 0);
	is_int(s.want, WANT_RESTART_NOW, "a network change: a start at once");
	is_int(s.tries_since_change, 1, "and short pauses if it fails");
	is_int(s.tries, 9, "though tries stays as it is");
}

/* Whether the death of ssh shows that its server has rejected the answer. */
static void
test_supervisor_denied(void)
{
	static const struct {
		bool want;
		const char *name;
		int status;
		int64_t answered_at, last_at, now;
		bool own, auto_port, passed;
		const char *line;
	} table[] = {
#define DENIED "u@h: Permission denied (password)."
		{ true, "denied", EXITED(255), 1, 1, 2, true, true, false,
		    DENIED },
		{ true, "denied, without a private monitor", EXITED(255), 1, 1,
		    2, true, false, false, DENIED },
		{ true, "HostKeyAlias", EXITED(255), 1, 1, 2, true, true, false,
		    "u@10.1.1.1: Permission denied (password)." },
		{ false, "perhaps a remote ssh", EXITED(255), 1, 1, 2, true,
		    false, false, "u@10.1.1.1: Permission denied (password)." },
		{ false, "another status", EXITED(1), 1, 1, 2, true, true,
		    false, DENIED },
		{ false, "a signal", KILLED(SIGTERM), 1, 1, 2, true, true,
		    false, DENIED },
		{ false, "nothing was answered", EXITED(255), 0, 1, 2, true,
		    true, false, DENIED },
		{ false, "said before the answer", EXITED(255), 2, 1, 3, true,
		    true, false, DENIED },
		{ false, "not a line of ssh's own", EXITED(255), 1, 1, 2, false,
		    true, false, DENIED },
		{ false, "another line", EXITED(255), 1, 1, 2, true, true,
		    false, "Connection closed by 10.1.1.1 port 22" },
		{ false, "a test has passed", EXITED(255), 1, 1, 2, true, false,
		    true, DENIED },
		{ false, "long after the answer", EXITED(255), 1, 130000,
		    130001, true, false, false, DENIED },
	};
	static struct supervisor s;
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		s.askpass_server.server_answered_at = table[i].answered_at;
		snprintf(s.askpass_server.server,
		    sizeof(s.askpass_server.server), "u@h");
		snprintf(s.ssh_stderr.last, sizeof(s.ssh_stderr.last), "%s",
		    table[i].line);
		s.ssh_stderr.last_at = table[i].last_at;
		s.ssh_stderr.last_own = table[i].own;
		s.monitor.forwards.auto_port = table[i].auto_port;
		s.monitor.passed = table[i].passed;
		s.ssh.status = table[i].status;
		is_int(supervisor_denied(&s, table[i].now), table[i].want,
		    table[i].name);
	}
	s.monitor = (struct monitor){ .forwards.auto_port = true };
	s.ssh.status = EXITED(255);
	snprintf(s.ssh_stderr.last, sizeof(s.ssh_stderr.last), "%s", DENIED);
	s.askpass_server.server_answered_at = s.ssh_stderr.last_at = 1;
	ok(supervisor_denied(&s, 2), "ssh has not logged in");
	s.monitor.logged_in = true;
	ok(!supervisor_denied(&s, 2), "ssh had logged in, a probe has seen it");
	s.monitor.logged_in = false;
	s.ssh_stderr.read_fd = -1;
	ok(!supervisor_denied(&s, 2), "ssh is not heard");
}

int
main(void)
{
	test_number_parse();
	test_text_shown();
	test_mode_is_safe();
	test_earlier();
	test_pollset();
	test_settings_numbers();
	test_settings_texts();
	test_setting_allowed();
	test_settings_read();
	test_monitor_port_parse();
	test_timing_derive();
	test_commands();
	test_commands_ended();
	test_commands_noted();
	test_commands_options();
	test_commands_title();
	test_ntservice();
	test_policy_death();
	test_policy_tries();
	test_policy_pause();
	test_policy_spread();
	test_signals_exit();
	test_line_match();
	test_address_loopback();
	test_ifaddress_usable();
	test_network_compare();
	test_network_run();
	test_network_clock();
	test_network_messages();
	test_policy_changed_timeout();
	test_policy_probe_gap();
	test_forwards();
	test_monitor_prepare();
	test_monitor_end();
	test_monitor_start();
	test_monitor_test_now();
	test_monitor_accept_limit();
	test_monitor_connect_timeout();
	test_fd_is_own_peer();
	test_monitor_removed();
	test_monitor_refused_once();
	test_monitor_test_event();
	test_conns_make_room();
	test_conn_rank();
	test_passphrase_parse();
	test_passphrase_file_private();
	test_prompt_classify();
	test_prompt_server();
	test_secret_use();
	test_denial_matches();
	test_background_ready();
	test_askpass_prepare();
	test_secret_length();
	test_request_shows_rejection();
	test_helper_called();
	test_ssh_stderr();
	test_stderr_classify();
	test_text_has();
	test_ssh_stderr_explain();
	test_ssh_stderr_forward();
	test_label_text();
	test_standing_text();
	test_notify_open();
	test_span_text();
	test_status_summary();
	test_status_text();
	test_actions();
	test_exit_before_exec();
	test_start_after_change();
	test_restart_now_after_change();
	test_supervisor_denied();
	printf("1..%d\n", tests);
	return failures != 0;
}
