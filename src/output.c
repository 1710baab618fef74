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

/*
 * Where log lines go: the log file, syslog, standard error.  The children have
 * none of these; their lines arrive here by message.
 */

#define REPEATS_SHOWN  5	   /* of the same line running */
#define REPEATS_SILENT (60 * 1000) /* milliseconds; then their number is told */

static struct {
	struct logfile file;
	bool to_syslog;
	bool to_stderr;
	bool journal; /* standard error is that of systemd's journal */
} output = { .file = { .fd = -1 } };

/* The last line, and how often it has come since. */
static struct {
	char text[LOGTEXT_LEN];
	int priority;
	uint32_t count;
	uint32_t untold;
	int64_t told; /* when that was told last */
} last;

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

/* Is standard error a stream to the journal?  See systemd.exec(5). */
static bool
is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return (stream != NULL &&
	    sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	    fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
	    st.st_ino == inode);
}

static int
output_file(const struct conf *conf)
{
	return (logfile_open(&output.file, conf->log_file,
	    conf->log_rotation.max_size, conf->log_rotation.keep));
}

/*
 * Open the log file that the configuration names, if any, for appending.
 * Returns -1 and says why on standard error if that fails.  conf must outlive
 * the output.
 */
int
output_open(const struct conf *conf, bool foreground)
{
	output.to_syslog = conf->log_syslog;
	output.to_stderr = foreground || conf->log_stderr;
	output.journal = is_journal();
	if (output.to_syslog)
		open_syslog(conf);
	if (conf->log_file == NULL || output_file(conf) == 0)
		return (0);
	fprintf(stderr, "mt-gcpd: %s: %s\n", conf->log_file, strerror(errno));
	return (-1);
}

/* Go on as a new configuration, which must outlive the output, says; a file
 * that cannot be opened leaves the old one in use. */
void
output_reload(const struct conf *conf, bool foreground)
{
	if (output.to_syslog && !conf->log_syslog)
		closelog();
	else if (conf->log_syslog)
		open_syslog(conf);
	output.to_syslog = conf->log_syslog;
	output.to_stderr = foreground || conf->log_stderr;
	if (conf->log_file == NULL)
		logfile_close(&output.file);
	else if (output_file(conf) == -1) {
		output.file.path = conf->log_file;
		log_warn("%s: cannot be opened; the old log stays in use",
		    conf->log_file);
	}
}

/* Open the log file anew, after a log rotation has moved the old one away. */
void
output_reopen(void)
{
	if (output.file.fd != -1 && logfile_reopen(&output.file) == -1)
		log_warn("%s: cannot be reopened", output.file.path);
}

static const char *
timestamp(char *buf, size_t len)
{
	int64_t now = wall_ms();
	time_t seconds = (time_t)(now / 1000);
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(buf, len, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, len - n, ".%03dZ", (int)(now % 1000));
	return (buf);
}

static void
to_stderr(int priority, const char *line, const char *text)
{
	if (output.journal)
		fprintf(stderr, "<%d>%s\n", priority, text);
	else
		fputs(line, stderr);
}

/* What there is to be said of the log file itself goes elsewhere. */
static void
tell_news(enum logfile_news news, int error)
{
	int priority = news == LOGFILE_AGAIN ? LOG_INFO : LOG_ERR;
	char text[LOGTEXT_LEN], line[LOGTEXT_LEN + 64], stamp[32];

	if (news == LOGFILE_AGAIN)
		snprintf(text, sizeof(text), "%s: %s", output.file.path,
		    logfile_says(news));
	else
		snprintf(text, sizeof(text), "%s: %s: %s", output.file.path,
		    logfile_says(news), strerror(error));
	snprintf(line, sizeof(line), "%s %s %s\n",
	    timestamp(stamp, sizeof(stamp)), level_name(priority), text);
	if (output.to_stderr)
		to_stderr(priority, line, text);
	if (output.to_syslog)
		syslog(priority, "%s", text);
}

static void
output_line(int priority, const char *corr, const char *text)
{
	char line[LOGTEXT_LEN + CORR_LEN + 64], stamp[32];
	enum logfile_news news;
	bool brackets = *corr != '\0';
	int n;

	n = snprintf(line, sizeof(line), "%s %s %s%s%s%s\n",
	    timestamp(stamp, sizeof(stamp)), level_name(priority),
	    brackets ? "[" : "", corr, brackets ? "] " : "", text);
	if ((size_t)n >= sizeof(line)) {
		n = sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	if (output.file.fd != -1) {
		news = logfile_line(&output.file, line, (size_t)n);
		if (news != LOGFILE_NONE)
			tell_news(news, errno);
	}
	if (output.to_stderr)
		to_stderr(priority, line, text);
	if (output.to_syslog)
		syslog(priority, "%s", text);
}

/* How often has the last line come that was not shown? */
static void
tell_repeats(void)
{
	char text[64];

	if (last.untold == 0)
		return;
	snprintf(text, sizeof(text), "last message repeated %u times",
	    last.untold);
	output_line(last.priority, "", text);
	last.untold = 0;
	last.told = mono_ms();
}

/*
 * The sink of the parent's log; see log.h.  What comes again and again is
 * shown a few times, and then counted.
 */
void
output_put(int priority, const char *corr, const char *text)
{
	if (priority != last.priority || strcmp(text, last.text) != 0) {
		tell_repeats();
		strlcpy(last.text, text, sizeof(last.text));
		last.priority = priority;
		last.count = 0;
	}
	if (++last.count <= REPEATS_SHOWN) {
		last.told = mono_ms();
		output_line(priority, corr, text);
		return;
	}
	last.untold++;
	if (mono_ms() - last.told >= REPEATS_SILENT)
		tell_repeats();
}

/* Close the log. */
void
output_close(void)
{
	tell_repeats();
	logfile_close(&output.file);
	if (output.to_syslog)
		closelog();
}
