/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <sha2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "mtgcpd.h"

/*
 * The state file: what outlives a restart, of all failovers (remember.c) and
 * of the last transitions.  It is one JSON object with a format number and a
 * checksum over the rest, written by rename after fsync.
 */

#define STATE_FORMAT	2
#define STATE_BYTES_MAX (64 * 1024 * 1024)
#define SAVE_EVERY	1000 /* milliseconds */

static struct {
	const char *path;
	struct event *timer;
	int lock;
	bool dirty;
	bool failing;	 /* a save failed, and that was said */
	uint64_t starts; /* of daemons with this file, us included */
} statefile = { .lock = -1 };

/*
 * Make sure that we are the only daemon with this state file: a lock on a file
 * beside it, which is kept until the process ends.  Returns -1 with errno set
 * (EWOULDBLOCK: another one runs).
 */
int
statefile_lock(const char *path)
{
	char name[PATH_MAX];

	if ((size_t)snprintf(name, sizeof(name), "%s.lock", path) >=
	    sizeof(name)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	statefile.lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	if (statefile.lock == -1)
		return (-1);
	return (flock(statefile.lock, LOCK_EX | LOCK_NB));
}

/* The checksum of the object, which must not contain one, as hex digits. */
static int
statefile_checksum(const json_t *root, char hex[SHA256_DIGEST_STRING_LENGTH])
{
	char *text;

	text = json_dumps(root, JSON_COMPACT);
	if (text == NULL)
		return (-1);
	SHA256Data((const uint8_t *)text, strlen(text), hex);
	free(text);
	return (0);
}

/* The text of one failover, made anew only if it has changed. */
static const char *
save_failover(struct failover *failover, int64_t shift)
{
	json_t *object;

	if (failover->remembered != NULL)
		return (failover->remembered);
	object = failover_remember(failover, shift);
	if (object != NULL)
		failover->remembered = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return (failover->remembered);
}

/* The whole text but its last brace, as jansson would write it: whoever reads
 * it makes the checksum of that. */
static int
save_body(FILE *text)
{
	struct failover *failover;
	const char *one;
	char *transitions;
	json_t *list;
	int64_t shift = wall_ms() - mono_ms();
	size_t i, count;

	fprintf(text, "{\"format\":%d,\"failovers\":[", STATE_FORMAT);
	count = engine_failovers(&failover);
	for (i = 0; i < count; i++) {
		one = save_failover(&failover[i], shift);
		if (one == NULL)
			return (-1);
		fprintf(text, "%s%s", i == 0 ? "" : ",", one);
	}
	list = history_remember();
	transitions = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	if (transitions == NULL)
		return (-1);
	fprintf(text, "],\"history\":%s,\"starts\":%llu", transitions,
	    (unsigned long long)statefile.starts);
	free(transitions);
	return (0);
}

/* The contents of the file, NUL-terminated, which the caller frees; NULL with
 * errno set if memory is short. */
static char *
save_text(size_t *len)
{
	char hex[SHA256_DIGEST_STRING_LENGTH];
	char *text = NULL;
	SHA2_CTX sha;
	FILE *stream;
	int r;

	stream = open_memstream(&text, len);
	if (stream == NULL)
		return (NULL);
	r = save_body(stream);
	if (r == 0 && fflush(stream) == 0) {
		SHA256Init(&sha);
		SHA256Update(&sha, (const uint8_t *)text, *len);
		SHA256Update(&sha, (const uint8_t *)"}", 1);
		SHA256End(&sha, hex);
		fprintf(stream, ",\"checksum\":\"%s\"}", hex);
	}
	if (fclose(stream) == EOF || r == -1) {
		free(text);
		errno = ENOMEM;
		return (NULL);
	}
	return (text);
}

/* fsync(2) of the directory makes the rename durable. */
static int
sync_directory(const char *path)
{
	char copy[PATH_MAX];
	int fd, r;

	strlcpy(copy, path, sizeof(copy));
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return (-1);
	r = fsync(fd);
	close(fd);
	return (r);
}

static int
write_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	for (; len > 0; text += n, len -= (size_t)n) {
		n = write(fd, text, len);
		if (n == -1)
			return (-1);
	}
	return (0);
}

static int
save_file(const char *text, size_t len)
{
	char name[PATH_MAX];
	int error, fd, r;

	snprintf(name, sizeof(name), "%s.new", statefile.path);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	if (fd == -1)
		return (-1);
	r = write_all(fd, text, len);
	if (r == 0)
		r = fsync(fd);
	error = errno;
	close(fd);
	errno = error;
	if (r == 0)
		r = rename(name, statefile.path);
	if (r == 0)
		r = sync_directory(statefile.path);
	return (r);
}

/*
 * Write the file now if there is something new.  Returns -1, having said so
 * once, if it cannot be written; it is tried again later.
 */
int
statefile_save(void)
{
	size_t len;
	char *text;
	int r = -1;

	if (!statefile.dirty || statefile.path == NULL)
		return (0);
	text = save_text(&len);
	if (text != NULL)
		r = save_file(text, len);
	free(text);
	if (r == 0) {
		if (statefile.failing)
			log_info("%s: written again", statefile.path);
		statefile.failing = false;
		statefile.dirty = false;
		return (0);
	}
	if (!statefile.failing)
		log_warn("%s: cannot be written", statefile.path);
	statefile.failing = true;
	return (-1);
}

/* Something changed that should outlive us, of that failover or, if it is
 * NULL, of none; it is written within a second. */
void
statefile_dirty(struct failover *failover)
{
	static const struct timeval soon = { SAVE_EVERY / 1000, 0 };

	if (failover != NULL) {
		free(failover->remembered);
		failover->remembered = NULL;
	}
	statefile.dirty = true;
	if (statefile.timer == NULL)
		return;
	if (!evtimer_pending(statefile.timer, NULL))
		evtimer_add(statefile.timer, &soon);
}

static void
save_later(evutil_socket_t fd __unused, short what __unused, void *arg __unused)
{
	if (statefile_save() == -1)
		statefile_dirty(NULL);
}

/* The same path, in memory that lives on. */
void
statefile_path(const char *path)
{
	statefile.path = path;
}

/* How often a daemon has been started with this file. */
uint64_t
statefile_starts(void)
{
	return (statefile.starts);
}

/* Keep the state in path, which must outlive us; one more start. */
void
statefile_init(struct event_base *base, const char *path)
{
	statefile.path = path;
	statefile.timer = evtimer_new(base, save_later, NULL);
	if (statefile.timer == NULL)
		fatalx("evtimer_new");
	statefile.starts++;
	statefile_dirty(NULL);
}

static void
load_failover(struct failover *failovers, size_t count, const json_t *object)
{
	const char *name = json_string_value(json_object_get(object, "name"));
	struct failover *failover;

	for (failover = failovers; failover < failovers + count; failover++)
		if (name != NULL && strcmp(failover->conf->name, name) == 0)
			break;
	if (failover < failovers + count) /* else no longer configured */
		failover_recall(failover, object, wall_ms() - mono_ms(),
		    mono_ms());
}

/* There has to be a number for the start that is coming, too. */
static void
load_starts(const json_t *starts)
{
	json_int_t number = json_integer_value(starts);

	if (number > 0 && number < INT64_MAX)
		statefile.starts = (uint64_t)number;
}

/* NULL if the file is whole and of our format, else what is wrong with it. */
static const char *
load_check(json_t *root)
{
	char hex[SHA256_DIGEST_STRING_LENGTH];
	const char *found;
	char expected[SHA256_DIGEST_STRING_LENGTH];

	if (!json_is_object(root))
		return ("is damaged (not a JSON object)");
	if (json_integer_value(json_object_get(root, "format")) > STATE_FORMAT)
		return ("was written by a newer version");
	found = json_string_value(json_object_get(root, "checksum"));
	strlcpy(expected, found == NULL ? "" : found, sizeof(expected));
	json_object_del(root, "checksum");
	if (statefile_checksum(root, hex) == -1 || strcmp(hex, expected) != 0)
		return ("is damaged (wrong checksum)");
	return (NULL);
}

static void
load_aside(const char *path, const char *why)
{
	char aside[PATH_MAX];

	snprintf(aside, sizeof(aside), "%s.bad", path);
	if (rename(path, aside) == -1)
		log_warn("%s %s and cannot be renamed; starting from unknown",
		    path, why);
	else
		log_warnx("%s %s; kept as %s, starting from unknown", path, why,
		    aside);
}

/*
 * Give the failovers back what the file remembers of them.  A file that is not
 * there is no error; one that cannot be understood is set aside.  Returns -1
 * with errno set if it cannot be read.
 */
int
statefile_load(const char *path, struct failover *failovers, size_t count)
{
	struct stat st;
	json_t *root, *object;
	const char *why;
	size_t i;
	int fd;

	statefile.starts = 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return (errno == ENOENT ? 0 : -1);
	if (fstat(fd, &st) == -1 || st.st_size > STATE_BYTES_MAX) {
		close(fd);
		load_aside(path, "is too large");
		return (0);
	}
	root = json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);
	close(fd);
	why = load_check(root);
	if (why != NULL)
		load_aside(path, why);
	else {
		json_array_foreach(json_object_get(root, "failovers"), i,
		    object)
			load_failover(failovers, count, object);
		history_recall(json_object_get(root, "history"));
		load_starts(json_object_get(root, "starts"));
	}
	json_decref(root);
	return (0);
}

/* Write what is not written yet, and let the lock go. */
void
statefile_close(void)
{
	(void)statefile_save();
	if (statefile.timer != NULL)
		event_free(statefile.timer);
	statefile.timer = NULL;
	statefile.path = NULL;
	if (statefile.lock != -1)
		close(statefile.lock);
	statefile.lock = -1;
}
