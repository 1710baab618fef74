/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/stat.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "logfile.h"
#include "mtgcpd.h"
#include "repeats.h"

/*
 * Where log lines go: the log file, syslog, standard error.  The children have
 * none of these; their lines arrive here by message.
 */

static struct {
	struct logfile file;
	struct repeats repeats;
	struct event *flush; /* while lines are held back */
	bool to_syslog;
	bool to_stderr;
	bool journal; /* standard error is systemd's journal */
} output = { .file = { .fd = -1, .what = "lines" } };

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
 * Is standard error a stream of systemd's journal?  It is if it has the device
 * and inode that JOURNAL_STREAM names; systemd.exec(5).
 */
static bool
stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char ours[64];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) == -1)
		return (false);
	snprintf(ours, sizeof(ours), "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino);
	return (strcmp(stream, ours) == 0);
}

/* The journal takes what goes to the system log, too, and one line is enough.
 */
static void
choose(const struct conf *conf, bool foreground)
{
	output.to_syslog = conf->log_syslog;
	output.to_stderr = (foreground || conf->log_stderr) &&
	    !(output.journal && output.to_syslog);
}

/* The file, and standard error where nobody adds the time. */
static void
put_file(int priority, const char *corr, const char *text)
{
	char line[LOGTEXT_LEN + CORR_LEN + 96];
	char stamp[32];
	int64_t now = wall_ms();
	time_t seconds = (time_t)(now / 1000);
	bool id = *corr != '\0';
	struct tm tm;
	int n;

	gmtime_r(&seconds, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	n = snprintf(line, sizeof(line), "%s.%03dZ %s %s%s%s%s\n", stamp,
	    (int)(now % 1000), level_name(priority), id ? "[" : "", corr,
	    id ? "] " : "", text);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof(line)) {
		n = sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	logfile_write(&output.file, line, (size_t)n);
	if (output.to_stderr && !output.journal)
		(void)!write(STDERR_FILENO, line, (size_t)n);
}

/* The journal has the time of its own; see sd-daemon(3). */
static void
put_journal(int priority, const char *corr, const char *text)
{
	char line[LOGTEXT_LEN + CORR_LEN + 96];
	bool id = *corr != '\0';
	int n;

	n = snprintf(line, sizeof(line), "<%d>%s%s%s%s\n", priority,
	    id ? "[" : "", corr, id ? "] " : "", text);
	if (n > 0 && (size_t)n < sizeof(line))
		(void)!write(STDERR_FILENO, line, (size_t)n);
}

static void
put(int priority, const char *corr, const char *text)
{
	put_file(priority, corr, text);
	if (output.to_stderr && output.journal)
		put_journal(priority, corr, text);
	if (output.to_syslog)
		syslog(priority, "%s", text);
}

/* Say how many lines were held back, if any. */
static void
flush_repeats(void)
{
	uint32_t n = repeats_take(&output.repeats);
	char text[64];

	if (output.flush != NULL)
		evtimer_del(output.flush);
	if (n == 0)
		return;
	snprintf(text, sizeof(text), "last message repeated %u time%s", n,
	    n == 1 ? "" : "s");
	put(output.repeats.priority, output.repeats.corr, text);
}

static void
flush_due(evutil_socket_t fd __unused, short what __unused, void *arg __unused)
{
	flush_repeats();
}

/*
 * Open the log file that the configuration names, if any, for appending.
 * Returns -1 and says why on standard error if that fails.  conf must outlive
 * the output.
 */
int
output_open(struct event_base *base, const struct conf *conf, bool foreground)
{
	output.journal = stderr_is_journal();
	choose(conf, foreground);
	if (output.to_syslog)
		open_syslog(conf);
	if (logfile_open(&output.file, conf->log_file, &conf->log_rotation) ==
	    -1) {
		fprintf(stderr, "mt-gcpd: %s: %s\n", conf->log_file,
		    strerror(errno));
		return (-1);
	}
	output.flush = evtimer_new(base, flush_due, NULL);
	/* Some errors end the daemon at once. */
	if (output.flush == NULL || atexit(flush_repeats) != 0) {
		fprintf(stderr, "mt-gcpd: out of memory\n");
		return (-1);
	}
	return (0);
}

/* Go on as a new configuration, which must outlive the output, says; a file
 * that cannot be opened leaves the old one in use. */
void
output_reload(const struct conf *conf, bool foreground)
{
	flush_repeats();
	if (output.to_syslog && !conf->log_syslog)
		closelog();
	else if (conf->log_syslog)
		open_syslog(conf);
	choose(conf, foreground);
	logfile_reload(&output.file, conf->log_file, &conf->log_rotation);
}

/* Open the log file anew, after a log rotation has moved the old one away. */
void
output_reopen(void)
{
	flush_repeats();
	logfile_reopen(&output.file);
}

/*
 * The sink of the parent's log; see log.h.  A line that repeats the ones before
 * is held back, and their number is written before another line, after a
 * minute, or at the end.
 */
void
output_put(int priority, const char *corr, const char *text)
{
	static const struct timeval minute = { REPEATS_MS / 1000, 0 };
	int64_t now = mono_ms();

	if (!repeats_same(&output.repeats, priority, text, now))
		flush_repeats();
	if (!repeats_hold(&output.repeats, priority, corr, text, now)) {
		put(priority, corr, text);
		return;
	}
	if (output.flush == NULL ||
	    (!evtimer_pending(output.flush, NULL) &&
		evtimer_add(output.flush, &minute) == -1))
		flush_repeats();
}

/* Close the log file and syslog. */
void
output_close(void)
{
	flush_repeats();
	logfile_close(&output.file);
	if (output.flush != NULL)
		event_free(output.flush);
	output.flush = NULL;
	if (output.to_syslog)
		closelog();
}
