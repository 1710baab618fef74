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
 * What outlives a restart: the current state of every failover and since when,
 * and which services and routers once had something to report.  Not the
 * windows: after a start nothing is done before fresh samples allow it.
 *
 * The file is one JSON object with a format number and a checksum over the
 * rest, written by rename after fsync, at most once a second.
 */

#define STATE_FORMAT	1
#define STATE_BYTES_MAX (64 * 1024 * 1024)
#define SAVE_EVERY	1000 /* milliseconds */

static const char *const side_names[SIDES] = { "local", "remote" };

static struct {
	const char *path;
	struct event *timer;
	int lock;
	bool dirty;
	bool failing; /* a save failed, and that was said */
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

static json_t *
save_memory(const struct region_memory *memory, int64_t shift)
{
	const struct service_memory *service;
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < memory->count; i++) {
		service = &memory->service[i];
		json_array_append_new(list,
		    json_pack("{s:s, s:o}", "name", service->name,
			"empty_since",
			service->empty ?
			    json_integer(service->empty_since + shift) :
			    json_null()));
	}
	return (list);
}

/* One failover; shift: what makes an instant of ours one of the wall clock. */
static json_t *
save_failover(const struct failover *failover, int64_t shift)
{
	json_t *object;
	int side;

	object = json_pack("{s:s, s:i, s:I}", "name", failover->conf->name,
	    "state", failover->machine.current, "since",
	    (json_int_t)(failover->machine.entered + shift));
	for (side = LOCAL; side < SIDES; side++)
		json_object_set_new(object, side_names[side],
		    json_pack("{s:b, s:o}", "had_peers",
			failover->had_peers[side], "services",
			save_memory(&failover->memory[side], shift)));
	return (object);
}

static json_t *
save_root(void)
{
	char hex[SHA256_DIGEST_STRING_LENGTH];
	struct failover *failover;
	json_t *root, *list = json_array();
	int64_t shift = wall_ms() - mono_ms();
	size_t i, count;

	count = engine_failovers(&failover);
	for (i = 0; i < count; i++)
		json_array_append_new(list, save_failover(&failover[i], shift));
	root = json_pack("{s:i, s:o}", "format", STATE_FORMAT, "failovers",
	    list);
	if (root == NULL || statefile_checksum(root, hex) == -1) {
		json_decref(root);
		errno = ENOMEM;
		return (NULL);
	}
	json_object_set_new(root, "checksum", json_string(hex));
	return (root);
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
save_file(const json_t *root)
{
	char name[PATH_MAX];
	int fd, r;

	snprintf(name, sizeof(name), "%s.new", statefile.path);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	if (fd == -1)
		return (-1);
	r = json_dumpfd(root, fd, JSON_COMPACT);
	if (r == 0)
		r = fsync(fd);
	close(fd);
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
	json_t *root;
	int r = -1;

	if (!statefile.dirty || statefile.path == NULL)
		return (0);
	root = save_root();
	if (root != NULL)
		r = save_file(root);
	json_decref(root);
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

/* Something changed that should outlive us; it is written within a second. */
void
statefile_dirty(void)
{
	static const struct timeval soon = { SAVE_EVERY / 1000, 0 };

	statefile.dirty = true;
	if (!evtimer_pending(statefile.timer, NULL))
		evtimer_add(statefile.timer, &soon);
}

static void
save_later(evutil_socket_t fd __unused, short what __unused, void *arg __unused)
{
	if (statefile_save() == -1)
		statefile_dirty();
}

/* Keep the state in path, which must outlive us. */
void
statefile_init(struct event_base *base, const char *path)
{
	statefile.path = path;
	statefile.timer = evtimer_new(base, save_later, NULL);
	if (statefile.timer == NULL)
		fatalx("evtimer_new");
}

static void
load_side(struct failover *failover, int side, json_t *object, int64_t shift)
{
	json_t *service, *since;
	size_t i;

	failover->had_peers[side] = json_is_true(
	    json_object_get(object, "had_peers"));
	json_array_foreach(json_object_get(object, "services"), i, service) {
		since = json_object_get(service, "empty_since");
		if (region_remember(&failover->memory[side],
			json_string_value(json_object_get(service, "name")),
			json_integer_value(since) - shift,
			json_is_integer(since)) == -1)
			fatal("state file");
	}
}

static void
load_failover(struct failover *failovers, size_t count, json_t *object)
{
	const char *name = json_string_value(json_object_get(object, "name"));
	int64_t shift = wall_ms() - mono_ms();
	int64_t entered, now = mono_ms();
	struct failover *failover;
	int state, side;

	for (failover = failovers; failover < failovers + count; failover++)
		if (name != NULL && strcmp(failover->conf->name, name) == 0)
			break;
	if (failover == failovers + count)
		return; /* no longer configured */
	state = (int)json_integer_value(json_object_get(object, "state"));
	entered = json_integer_value(json_object_get(object, "since")) - shift;
	if (entered > now)
		entered = now; /* the wall clock was set back meanwhile */
	if (state >= 1 && state <= STATE_MAX)
		machine_restore(&failover->machine, state, entered);
	for (side = LOCAL; side < SIDES; side++)
		load_side(failover, side,
		    json_object_get(object, side_names[side]), shift);
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
	else
		json_array_foreach(json_object_get(root, "failovers"), i,
		    object)
			load_failover(failovers, count, object);
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
