/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "logfile.h"

/*
 * Files of whole lines: the log and the events.  A file grows to a size, if one
 * is given, and is then renamed to path.1, what was path.1 to path.2, and so on
 * to path.keep, which is replaced.  All this needs is that the directory may be
 * written.  A line is written by one call, so it is never in two files.
 */

#define ROTATED_LEN (PATH_MAX + 16)
#define DOUBT	    4096 /* bytes, of a page */

static int
append(const char *path, int flags)
{
	return (open(path,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags,
	    0640));
}

static uint64_t
size_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		return (0);
	return ((uint64_t)st.st_size);
}

static void
use(struct logfile *file, int fd)
{
	if (file->fd != -1)
		close(file->fd);
	file->fd = fd;
	file->begun++;
	file->size = size_of(fd);
	file->torn = false;
}

/*
 * Open the file at path, which must outlive its use, for appending; NULL: there
 * is none.  Returns -1 with errno set if it cannot be opened.
 */
int
logfile_open(struct logfile *file, const char *path,
    const struct rotation *rotation)
{
	int fd;

	file->path = path;
	file->rotation = *rotation;
	if (path == NULL)
		return (0);
	fd = append(path, 0);
	if (fd == -1)
		return (-1);
	use(file, fd);
	return (0);
}

/*
 * Go on with another path, which must outlive its use, and rotation.  A file
 * that cannot be opened is said, and leaves the old one in use.
 */
void
logfile_reload(struct logfile *file, const char *path,
    const struct rotation *rotation)
{
	bool moved = file->path == NULL || path == NULL ||
	    strcmp(file->path, path) != 0;

	file->path = path;
	file->rotation = *rotation;
	if (path == NULL)
		logfile_close(file);
	else if (moved)
		logfile_reopen(file);
}

/* Open the file anew, after somebody else has moved it away.  If it cannot be
 * opened this is said, and the old one stays in use. */
void
logfile_reopen(struct logfile *file)
{
	int fd;

	if (file->path == NULL)
		return;
	fd = append(file->path, 0);
	if (fd == -1)
		log_warn("%s: cannot be reopened", file->path);
	else
		use(file, fd);
}

static void
number(const char *path, uint32_t n, char *buf)
{
	snprintf(buf, ROTATED_LEN, n == 0 ? "%s" : "%s.%u", path, n);
}

/*
 * Make room at path.1.  Only what stands before the first gap moves, so trying
 * again after a failure throws nothing away.
 */
static int
shift(const char *path, uint32_t keep)
{
	char from[ROTATED_LEN], to[ROTATED_LEN];
	uint32_t n;

	for (n = 1; n < keep; n++) {
		number(path, n, to);
		if (access(to, F_OK) == -1 && errno == ENOENT)
			break;
	}
	for (; n > 1; n--) {
		number(path, n - 1, from);
		number(path, n, to);
		if (rename(from, to) == -1)
			return (-1);
	}
	return (0);
}

/* Begin a new file with the mode of the old one, and with its group if we may.
 */
static int
begin_file(const char *path, const struct stat *old)
{
	int fd;

	fd = append(path, O_EXCL);
	if (fd == -1)
		return (-1);
	if (fchown(fd, (uid_t)-1, old->st_gid) == -1)
		log_debug("%s: has another group than before: %s", path,
		    strerror(errno));
	if (fchmod(fd, old->st_mode & 0777) == -1) {
		close(fd);
		unlink(path);
		return (-1);
	}
	return (fd);
}

/* Move the file away and begin another; -1 with errno set: it is still in its
 * place and in use. */
static int
move_away(struct logfile *file, const struct stat *old)
{
	char first[ROTATED_LEN];
	int fd, saved;

	if (shift(file->path, file->rotation.keep) == -1)
		return (-1);
	number(file->path, 1, first);
	if (rename(file->path, first) == -1)
		return (-1);
	fd = begin_file(file->path, old);
	if (fd == -1) {
		saved = errno;
		(void)rename(first, file->path);
		errno = saved;
		return (-1);
	}
	use(file, fd);
	return (0);
}

/* Is the file that we write still the one at the path? */
static bool
in_place(const struct logfile *file, const struct stat *ours)
{
	struct stat st;

	return (lstat(file->path, &st) == 0 && st.st_dev == ours->st_dev &&
	    st.st_ino == ours->st_ino);
}

static int
rotate(struct logfile *file, size_t len)
{
	struct stat st;
	int fd;

	if (fstat(file->fd, &st) == -1)
		return (-1);
	if (!S_ISREG(st.st_mode))
		return (0);
	/* Somebody else may have cut it down or moved it. */
	file->size = (uint64_t)st.st_size;
	if (file->size + len <= file->rotation.size)
		return (0);
	if (!in_place(file, &st)) {
		fd = append(file->path, 0);
		if (fd == -1)
			return (-1);
		use(file, fd);
		return (0);
	}
	if (file->rotation.keep > 0)
		return (move_away(file, &st));
	if (ftruncate(file->fd, 0) == -1)
		return (-1);
	file->size = 0;
	file->begun++;
	return (0);
}

/* Rotate if the line would make the file too large. */
static void
make_room(struct logfile *file, size_t len)
{
	if (file->rotation.size == 0 || file->size == 0 ||
	    file->size + len <= file->rotation.size)
		return;
	if (rotate(file, len) == 0) {
		file->stuck = false;
		return;
	}
	if (file->stuck)
		return;
	file->stuck = true;
	log_warn("%s: cannot be rotated and goes on growing", file->path);
}

/* Take back the part of a line that was written, or remember it. */
static void
untear(struct logfile *file, size_t part)
{
	struct stat st;

	if (fstat(file->fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_size >= (off_t)part &&
	    ftruncate(file->fd, st.st_size - (off_t)part) == 0)
		return;
	file->torn = true;
}

/* Write all or nothing; returns -1 with errno set if it is nothing. */
static int
append_line(struct logfile *file, const char *line, size_t len)
{
	ssize_t n;

	if (file->torn && write(file->fd, "\n", 1) != 1)
		return (-1);
	file->torn = false;
	n = write(file->fd, line, len);
	if (n == (ssize_t)len) {
		file->size += len;
		return (0);
	}
	if (n > 0) {
		untear(file, (size_t)n);
		errno = ENOSPC; /* what a part means of a file */
	}
	return (-1);
}

/* A line was written.  After a failure that may be one that was short enough
 * for what is left of a full disk: so much has to be, before it is believed. */
static void
logfile_believe(struct logfile *file, size_t len)
{
	uint64_t lost = file->lost;

	if (lost == 0)
		return;
	file->doubt -= len < file->doubt ? len : file->doubt;
	if (file->doubt > 0)
		return;
	file->lost = 0;
	log_warnx("%s: can be written again; %llu %s were lost", file->path,
	    (unsigned long long)lost, file->what);
}

/*
 * Append a line, which ends in a newline.  If it cannot be written, this is
 * said once, and so is that it can be again, by log lines; the file does not
 * get those that tell of its own failure.
 */
void
logfile_write(struct logfile *file, const char *line, size_t len)
{
	if (file->fd == -1 || file->telling)
		return;
	make_room(file, len);
	if (append_line(file, line, len) == 0) {
		logfile_believe(file, len);
		return;
	}
	file->doubt = DOUBT;
	if (file->lost++ > 0)
		return;
	file->telling = true;
	log_errorx("%s: %s are being lost: %s", file->path, file->what,
	    strerror(errno));
	file->telling = false;
}

/* Close the file, if it is open. */
void
logfile_close(struct logfile *file)
{
	if (file->fd != -1)
		close(file->fd);
	file->fd = -1;
}
