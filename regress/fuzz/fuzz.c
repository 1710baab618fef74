/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/mman.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <unistd.h>

#include "fuzz.h"

/*
 * What the targets share.  fatal(), fatalx() and exit() of the code under test
 * come here (ld --wrap): they are a finding, unless the target has said that
 * what it tries may end so.
 */

static jmp_buf end;
static bool may_end;

void __real_exit(int) __dead;
void __wrap_exit(int) __dead;
void __wrap_fatal(const char *, ...) __dead;
void __wrap_fatalx(const char *, ...) __dead;

/* Nobody reads what is said to people, but it has to be made. */
static void
sink(int priority __unused, const char *corr __unused,
    const char *text __unused)
{
}

/* The streams, not the descriptors: those are for what is found. */
static void __attribute__((__constructor__)) begin(void)
{
	FILE *null = fopen("/dev/null", "w");

	if (null == NULL)
		abort();
	stdout = stderr = null;
	log_init("fuzz", LOG_DEBUG, sink);
}

/* Something does not hold: that is a finding. */
void
fuzz_broken(const char *file, int line, const char *what)
{
	dprintf(STDERR_FILENO, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

static void __dead
ended(const char *how, const char *what)
{
	if (may_end)
		longjmp(end, 1);
	fuzz_broken(how, 0, what);
}

void
__wrap_exit(int status)
{
	if (may_end)
		longjmp(end, 1);
	__real_exit(status);
}

void
__wrap_fatal(const char *format, ...)
{
	ended("fatal", format);
}

void
__wrap_fatalx(const char *format, ...)
{
	ended("fatalx", format);
}

/*
 * Call what may, by design, end the process.  Returns whether it would have.
 * What it held then leaks, so such a target must not look for leaks.
 */
bool
fuzz_ends(void (*what)(void *), void *arg)
{
	bool before = may_end;

	may_end = true;
	if (setjmp(end) == 0) {
		what(arg);
		may_end = before;
		return (false);
	}
	may_end = before;
	return (true);
}

/* The next byte, 0 at the end. */
uint8_t
take_byte(struct bytes *in)
{
	if (in->len == 0)
		return (0);
	in->len--;
	return (*in->data++);
}

/* The next bytes; zeros at the end. */
void
take_bytes(struct bytes *in, void *to, size_t len)
{
	size_t n = len < in->len ? len : in->len;

	memset(to, 0, len);
	if (n == 0)
		return;
	memcpy(to, in->data, n);
	in->data += n;
	in->len -= n;
}

/* What comes up to the next NUL, or the end. */
struct bytes
take_part(struct bytes *in)
{
	const uint8_t *nul = NULL;
	struct bytes part = *in;

	if (in->len > 0)
		nul = memchr(in->data, '\0', in->len);
	if (nul != NULL)
		part.len = (size_t)(nul - in->data);
	if (part.len > 0)
		in->data += part.len;
	in->len -= part.len;
	if (nul != NULL)
		(void)take_byte(in);
	return (part);
}

/* The same as a string of its own, which the caller frees. */
char *
take_text(struct bytes *in)
{
	struct bytes part = take_part(in);
	size_t len = part.len;
	char *text = malloc(len + 1);

	if (text == NULL)
		abort();
	take_bytes(&part, text, len);
	text[len] = '\0';
	return (text);
}

/* The same as JSON, as answers are read; NULL if it is none. */
json_t *
take_json(struct bytes *in)
{
	struct bytes part = take_part(in);

	return (json_loadb((const char *)part.data, part.len,
	    JSON_REJECT_DUPLICATES, NULL));
}

/* A file with these bytes, in memory, which passes for a secret one. */
int
fuzz_memory(const void *bytes, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd == -1 || fchmod(fd, 0600) == -1 ||
	    pwrite(fd, bytes, len, 0) != (ssize_t)len)
		abort();
	return (fd);
}
