/*
 * Goal: show that the functions of autossh.c that decide, which take facts and
 * return a verdict, do so as the tables here say.
 */

#define main autossh_main
#include "../autossh.c"
#undef main

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static int tests, failures;

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
		printf("# got %" PRId64 ", want %" PRId64 "\n", got, want);
}

/* The same for two strings. */
static void
is_text(const char *got, const char *want, const char *name)
{
	ok(strcmp(got, want) == 0, "%s", name);
	if (strcmp(got, want) != 0)
		printf("# got  %s\n# want %s\n", got, want);
}

static void
test_number_parse(void)
{
	static const struct {
		const char *text;
		int64_t least, most, want;
		bool good;
	} table[] = {
		{ "0", 0, 10, 0, true },
		{ "10", 0, 10, 10, true },
		{ "11", 0, 10, 0, false },
		{ "0", 1, 10, 0, false },
		{ "010", 0, 10, 10, true },
		{ "00000000000000000000000001", 0, 10, 1, true },
		{ "2147483647", 0, SECONDS_MOST, SECONDS_MOST, true },
		{ "2147483648", 0, SECONDS_MOST, 0, false },
		{ "4294967296", 0, 65534, 0, false },
		{ "18446744073709551616", 0, 65534, 0, false },
		{ "99999999999999999999999999999999", 0, SECONDS_MOST, 0,
		    false },
		{ "", 0, 10, 0, false },
		{ "-", 0, 10, 0, false },
		{ "-1", 0, 10, 0, false },
		{ "+1", 0, 10, 0, false },
		{ " 1", 0, 10, 0, false },
		{ "1 ", 0, 10, 0, false },
		{ "1x", 0, 10, 0, false },
		{ "0x1", 0, 10, 0, false },
		{ "1.0", 0, 10, 0, false },
		{ "1e1", 0, 10, 0, false },
		{ "1\n", 0, 10, 0, false },
		{ "/", 0, 10, 0, false },
		{ ":", 0, 10, 0, false },
		{ "\xb2", 0, 10, 0, false },
		{ "-1", -1, 10, -1, true },
		{ "-7", -1, 10, -1, true },
		{ "-99999999999999999999", -1, SECONDS_MOST, -1, true },
		{ "-0", -1, 10, 0, true },
		{ "-", -1, 10, 0, false },
		{ "--1", -1, 10, 0, false },
		{ "5", -1, 10, 5, true },
	};
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		int64_t got = 4711;
		bool good = number_parse(
		    table[i].text, table[i].least, table[i].most, &got);

		ok(good == table[i].good &&
			got == (good ? table[i].want : 4711),
		    "number \"%s\" of %" PRId64 "..%" PRId64, table[i].text,
		    table[i].least, table[i].most);
	}
}

int
main(void)
{
	test_number_parse();
	printf("1..%d\n", tests);
	return failures != 0;
}
