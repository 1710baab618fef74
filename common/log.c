/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "proto.h"

static struct {
	const char *process;
	int level;
	log_sink sink;
	char corr[CORR_LEN];
} logger = { .process = "mt-gcpd", .level = LOG_INFO };

/*
 * Log as this process (a literal), what is as important as level or more, to
 * the sink; NULL: to standard error.
 */
void
log_init(const char *process, int level, log_sink sink)
{
	logger.process = process;
	logger.level = level;
	logger.sink = sink;
}

/* Change the syslog(3) priority from which lines are dropped. */
void
log_setlevel(int level)
{
	logger.level = level;
}

/* The correlation id of what is being done; "" outside cycles. */
void
log_setcorr(const char *corr)
{
	strlcpy(logger.corr, corr, sizeof(logger.corr));
}

/*
 * Text may have come from the network: no control character of it, be it of
 * ASCII or of C1 in UTF-8, reaches a terminal or begins a line of the log.
 */
static void
make_safe(char *text)
{
	unsigned char c, before = 0;

	for (; *text != '\0'; text++) {
		c = (unsigned char)*text;
		if (before == 0xc2 && c >= 0x80 && c < 0xa0)
			text[-1] = *text = '?';
		else if (c < ' ' || c == 0x7f)
			*text = '?';
		before = c;
	}
}

/*
 * Log a text that is complete, such as a child's line.  A child may have been
 * taken over, so neither its text nor its correlation id is taken on trust.
 */
void
log_put(int priority, const char *corr, const char *text)
{
	char safe[LOGTEXT_LEN + 32], safe_corr[CORR_LEN];
	char line[LOGTEXT_LEN + 64];
	int n;

	if (priority > logger.level)
		return;
	strlcpy(safe, text, sizeof(safe));
	make_safe(safe);
	if (logger.sink != NULL) {
		strlcpy(safe_corr, corr, sizeof(safe_corr));
		make_safe(safe_corr);
		logger.sink(priority, safe_corr, safe);
		return;
	}
	n = snprintf(line, sizeof(line), "%s: %s\n", logger.process, safe);
	if (n > 0)
		(void)!write(STDERR_FILENO, line,
		    (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

static void __attribute__((__format__(__printf__, 3, 0)))
vlog(int priority, int error, const char *format, va_list ap)
{
	char text[LOGTEXT_LEN];
	int n, saved = errno;

	if (priority <= logger.level) {
		n = vsnprintf(text, sizeof(text), format, ap);
		if (error != 0 && n >= 0 && (size_t)n < sizeof(text))
			snprintf(text + n, sizeof(text) - (size_t)n, ": %s",
			    strerror(error));
		log_put(priority, logger.corr, text);
	}
	errno = saved;
}

/* A warning about a system call that failed; errno is added. */
void
log_warn(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vlog(LOG_WARNING, errno, format, ap);
	va_end(ap);
}

/* A warning. */
void
log_warnx(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vlog(LOG_WARNING, 0, format, ap);
	va_end(ap);
}

/* An error that an administrator has to look at; the daemon goes on. */
void
log_errorx(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vlog(LOG_ERR, 0, format, ap);
	va_end(ap);
}

/* A change of state. */
void
log_info(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vlog(LOG_INFO, 0, format, ap);
	va_end(ap);
}

/* A detail. */
void
log_debug(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vlog(LOG_DEBUG, 0, format, ap);
	va_end(ap);
}

/* Say why, with errno, and exit 1. */
void
fatal(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vlog(LOG_ERR, errno, format, ap);
	va_end(ap);
	exit(1);
}

/* Say why and exit 1. */
void
fatalx(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vlog(LOG_ERR, 0, format, ap);
	va_end(ap);
	exit(1);
}
