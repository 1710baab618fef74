/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "mtgcpd.h"

/*
 * Where log lines go: the log file, syslog, standard error.  The children have
 * none of these; their lines arrive here by message.
 */

static struct {
	const char *path;
	int fd;
	bool full; /* a write failed, and that was said */
	bool to_syslog;
	bool to_stderr;
} output = { .fd = -1 };

/* The name in the syslog, which goes with the configuration. */
static void
open_syslog(const struct conf *conf)
{
	openlog(conf->log_ident == NULL ? "mt-gcpd" : conf->log_ident,
	    LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

static const char *
level_name(int priority)
{
	switch (priority) {
	case LOG_ERR:
		return ("error");
	case LOG_WARNING:
		return ("warning");
	case LOG_INFO:
		return ("info");
	default:
		return ("debug");
	}
}

/*
 * Open the log file that the configuration names, if any, for appending.
 * Returns -1 and says why on standard error if that fails.  conf must outlive
 * the output.
 */
int
output_open(const struct conf *conf, bool foreground)
{
	output.path = conf->log_file;
	output.to_syslog = conf->log_syslog;
	output.to_stderr = foreground || conf->log_stderr;
	if (output.to_syslog)
		open_syslog(conf);
	if (output.path == NULL)
		return (0);
	output.fd = open(output.path,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (output.fd == -1) {
		fprintf(stderr, "mt-gcpd: %s: %s\n", output.path,
		    strerror(errno));
		return (-1);
	}
	return (0);
}

/* Go on as a new configuration, which must outlive the output, says; a file
 * that cannot be opened leaves the old one in use. */
void
output_reload(const struct conf *conf, bool foreground)
{
	bool moved = output.path == NULL || conf->log_file == NULL ||
	    strcmp(output.path, conf->log_file) != 0;

	if (output.to_syslog && !conf->log_syslog)
		closelog();
	else if (conf->log_syslog)
		open_syslog(conf);
	output.to_syslog = conf->log_syslog;
	output.to_stderr = foreground || conf->log_stderr;
	output.path = conf->log_file;
	if (output.path == NULL && output.fd != -1) {
		close(output.fd);
		output.fd = -1;
	} else if (output.path != NULL && moved)
		output_reopen();
}

/* Open the log file anew, after a log rotation has moved the old one away. */
void
output_reopen(void)
{
	int fd;

	if (output.path == NULL)
		return;
	fd = open(output.path,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd == -1) {
		log_warn("%s: cannot be reopened", output.path);
		return;
	}
	if (output.fd != -1)
		close(output.fd);
	output.fd = fd;
}

/* Write one line to the file; a full disk is said once, on the other ways. */
static void
output_file(const char *line, size_t len)
{
	if (write(output.fd, line, len) == (ssize_t)len) {
		output.full = false;
		return;
	}
	if (!output.full && output.to_syslog)
		syslog(LOG_ERR, "%s: %s", output.path, strerror(errno));
	output.full = true;
}

/* The sink of the parent's log; see log.h. */
void
output_put(int priority, const char *corr, const char *text)
{
	char line[LOGTEXT_LEN + CORR_LEN + 64];
	char stamp[32];
	int64_t now = wall_ms();
	time_t seconds = (time_t)(now / 1000);
	struct tm tm;
	int n;

	gmtime_r(&seconds, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	if (*corr != '\0')
		n = snprintf(line, sizeof(line), "%s.%03dZ %s [%s] %s\n", stamp,
		    (int)(now % 1000), level_name(priority), corr, text);
	else
		n = snprintf(line, sizeof(line), "%s.%03dZ %s %s\n", stamp,
		    (int)(now % 1000), level_name(priority), text);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof(line)) {
		n = sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	if (output.fd != -1)
		output_file(line, (size_t)n);
	if (output.to_stderr)
		(void)!write(STDERR_FILENO, line, (size_t)n);
	if (output.to_syslog)
		syslog(priority, "%s", text);
}

/* Close the log file and syslog. */
void
output_close(void)
{
	if (output.fd != -1)
		close(output.fd);
	output.fd = -1;
	if (output.to_syslog)
		closelog();
}
