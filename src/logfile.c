/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "logfile.h"

static int64_t
size_of(int fd)
{
	struct stat st;

	return (fstat(fd, &st) == -1 ? 0 : (int64_t)st.st_size);
}

/*
 * Open a file for lines, which path names for as long as it is in use; from
 * max_size bytes on it is rotated, and so many old ones are kept, as path.1,
 * the youngest, and so on.  Returns -1 with errno set, and the file as it was.
 */
int
logfile_open(struct logfile *file, const char *path, int64_t max_size,
    uint32_t keep)
{
	struct logfile new = { .path = path,
		.max_size = max_size,
		.keep = keep };

	new.fd = open(path,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (new.fd == -1)
		return (-1);
	new.size = size_of(new.fd);
	logfile_close(file);
	*file = new;
	return (0);
}

/* Open it anew, after somebody has moved the old one away.  Returns -1 with
 * errno set; the old one stays in use then. */
int
logfile_reopen(struct logfile *file)
{
	return (logfile_open(file, file->path, file->max_size, file->keep));
}

static bool
old_name(const struct logfile *file, uint32_t n, char name[PATH_MAX])
{
	int len = n == 0 ? snprintf(name, PATH_MAX, "%s", file->path) :
			   snprintf(name, PATH_MAX, "%s.%u", file->path, n);

	return (len > 0 && len < PATH_MAX);
}

/* Every old file grows older; the oldest one is overwritten. */
static int
move_away(const struct logfile *file)
{
	char from[PATH_MAX], to[PATH_MAX];
	uint32_t n;

	for (n = file->keep; n > 0; n--) {
		if (!old_name(file, n - 1, from) || !old_name(file, n, to)) {
			errno = ENAMETOOLONG;
			return (-1);
		}
		if (rename(from, to) == -1 && errno != ENOENT)
			return (-1);
	}
	return (0);
}

/* Begin a new file; without old ones the only one is emptied. */
static int
rotate(struct logfile *file)
{
	if (file->keep > 0)
		return (move_away(file) == -1 ? -1 : logfile_reopen(file));
	if (ftruncate(file->fd, 0) == -1)
		return (-1);
	file->size = 0;
	return (0);
}

/* A line is written whole or not at all: what is there of it goes again. */
static int
append(struct logfile *file, const char *line, size_t len)
{
	ssize_t n = write(file->fd, line, len);
	int error = errno;

	if (n == (ssize_t)len) {
		file->size += n;
		return (0);
	}
	if (n > 0) {
		(void)!ftruncate(file->fd, size_of(file->fd) - n);
		error = ENOSPC;
	}
	errno = error;
	return (-1);
}

/* Write a line, with its newline.  What is returned has to be said once. */
enum logfile_news
logfile_line(struct logfile *file, const char *line, size_t len)
{
	enum logfile_news news = LOGFILE_NONE;
	bool full = file->full;

	if (file->max_size > 0 && file->size > 0 &&
	    file->size + (int64_t)len > file->max_size) {
		if (rotate(file) == 0)
			file->stuck = false;
		else if (!file->stuck) {
			file->stuck = true;
			news = LOGFILE_STUCK;
		}
	}
	if (append(file, line, len) == 0) {
		file->full = false;
		return (full ? LOGFILE_AGAIN : news);
	}
	file->full = true;
	return (full ? news : LOGFILE_FULL);
}

/* The news in words. */
const char *
logfile_says(enum logfile_news news)
{
	static const char *const words[] = {
		[LOGFILE_NONE] = "",
		[LOGFILE_FULL] = "lines are being lost",
		[LOGFILE_AGAIN] = "can be written again",
		[LOGFILE_STUCK] = "cannot be rotated",
	};

	return (words[news]);
}

/* Close it, if it is open. */
void
logfile_close(struct logfile *file)
{
	if (file->path != NULL && file->fd != -1)
		close(file->fd);
	*file = (struct logfile){ .fd = -1 };
}
