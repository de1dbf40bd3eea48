/* What the programs of the tests share. */

#include <sys/socket.h>
#include <sys/un.h>

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

struct signal_name {
	const char *name; /* without "SIG" */
	int number;
};

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

extern const char *program; /* opens each message of fail() */
extern const struct signal_name signal_names[];
extern const size_t nsignals;

void fail(const char *, ...)
    __attribute__((__noreturn__, __format__(__printf__, 1, 2)));
int64_t now_ms(void); /* CLOCK_MONOTONIC */
void sleep_ms(int64_t);
long number(const char *); /* fails unless it is one */
int signal_number(const char *);

/* host is an address, or a socket's path where port is 0. */
socklen_t address(union address *, const char *host, int port);
int listen_at(const char *host, int port);  /* -1: not possible */
int connect_to(const char *host, int port); /* -1: not possible */
void close_by_reset(int);
