/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"

#define SECRET_MAX (64 * 1024) /* bytes of a key or a token */
#define SECRET_BAD (S_IRWXG | S_IRWXO)
#define PUBLIC_BAD (S_IWGRP | S_IWOTH)

/* Why a file is not used.  Returns -1, with errno set to error. */
static int
refuse(int error, char *why, size_t len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, len, fmt, ap);
	va_end(ap);
	errno = error;
	return (-1);
}

/*
 * Is it safe to believe what is in the file?  The answer is about what was
 * opened, not about what the path leads to by now.
 */
static int
check_file(int fd, const char *path, mode_t unsafe, char *why, size_t len)
{
	struct stat st;
	uid_t euid = geteuid();

	if (fstat(fd, &st) == -1)
		return (
		    refuse(errno, why, len, "%s: %s", path, strerror(errno)));
	if (!S_ISREG(st.st_mode))
		return (
		    refuse(EPERM, why, len, "%s: not a regular file", path));
	if (st.st_uid != 0 && st.st_uid != euid) {
		if (euid == 0)
			return (refuse(EPERM, why, len,
			    "%s: unsafe owner: "
			    "uid %u, expected root",
			    path, st.st_uid));
		return (refuse(EPERM, why, len,
		    "%s: unsafe owner: uid %u, "
		    "expected root or uid %u",
		    path, st.st_uid, euid));
	}
	if ((st.st_mode & unsafe) != 0)
		return (refuse(EPERM, why, len,
		    "%s: unsafe mode: %04o, "
		    "expected no %s for group and others (%04o)",
		    path, st.st_mode & ALLPERMS,
		    unsafe == SECRET_BAD ? "access" : "writing",
		    st.st_mode & ALLPERMS & ~unsafe));
	if (unsafe == SECRET_BAD && st.st_size == 0)
		return (refuse(EPERM, why, len, "%s: the file is empty", path));
	if (unsafe == SECRET_BAD && st.st_size > SECRET_MAX)
		return (refuse(EPERM, why, len,
		    "%s: %lld bytes are too many: "
		    "expected at most %d",
		    path, (long long)st.st_size, SECRET_MAX));
	return (0);
}

/* A FIFO must not make us wait, so it is opened without blocking. */
static int
open_checked(const char *path, mode_t unsafe, char *why, size_t len)
{
	int error, fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd == -1)
		return (
		    refuse(errno, why, len, "%s: %s", path, strerror(errno)));
	if (check_file(fd, path, unsafe, why, len) == -1) {
		error = errno;
		close(fd);
		errno = error;
		return (-1);
	}
	return (fd);
}

/*
 * Open a file that holds a key or a token.  A relative path is looked up in
 * $CREDENTIALS_DIRECTORY first, where the service manager puts them, then in
 * the working directory.  Returns a descriptor, for the caller to close, of a
 * regular file of root's or the caller's that nobody else has access to and
 * that is neither empty nor large; or -1, the reason with the path in why,
 * and errno: EPERM where the file is unsafe, otherwise that of open(2).
 */
int
secret_open(const char *path, char *why, size_t len)
{
	char full[PATH_MAX];
	const char *directory;
	int fd, n;

	directory = getenv("CREDENTIALS_DIRECTORY");
	if (*path == '/' || directory == NULL || *directory != '/')
		return (open_checked(path, SECRET_BAD, why, len));
	n = snprintf(full, sizeof(full), "%s/%s", directory, path);
	if (n < 0 || (size_t)n >= sizeof(full))
		return (refuse(ENAMETOOLONG, why, len, "%s: %s", path,
		    strerror(ENAMETOOLONG)));
	fd = open_checked(full, SECRET_BAD, why, len);
	if (fd != -1 || errno != ENOENT)
		return (fd);
	fd = open_checked(path, SECRET_BAD, why, len);
	if (fd == -1 && errno == ENOENT)
		return (refuse(ENOENT, why, len, "%s: %s, nor is it in %s",
		    path, strerror(ENOENT), directory));
	return (fd);
}

/*
 * Open a file that need not be secret but must be trusted: a configuration, a
 * CA bundle.  As secret_open(), but others may read it, its size does not
 * matter, and there is no directory for it.
 */
int
public_open(const char *path, char *why, size_t len)
{
	return (open_checked(path, PUBLIC_BAD, why, len));
}

/*
 * Can the file be used?  Returns 0; 1 where the caller may not read it, so
 * there is no knowing; -1 where it cannot.
 */
static int
check_one(const char *what, const char *path,
    int (*open_file)(const char *, char *, size_t))
{
	char line[PATH_MAX + 512], why[PATH_MAX + 256];
	int fd;

	if (path == NULL)
		return (0);
	fd = open_file(path, why, sizeof(why));
	if (fd != -1) {
		close(fd);
		return (0);
	}
	if (errno == EACCES) {
		snprintf(line, sizeof(line), "warning: %s: %s", what, why);
		conf_tell(line);
		return (1);
	}
	snprintf(line, sizeof(line), "%s: %s", what, why);
	conf_tell(line);
	return (-1);
}

/*
 * Look at every file that the configuration names, and tell by conf_tell()
 * what is wrong.  Returns 0; 1 where nothing is wrong but what the caller may
 * not read (a warning when only checking, fatal when starting); -1 where a
 * file is missing or unsafe.
 */
int
conf_check_files(const struct conf *conf)
{
	const struct account *account;
	int result[4], r, worst = 0;
	size_t i;

	result[0] = check_one("prober credentials",
	    conf->credentials[ROLE_PROBER], secret_open);
	result[1] = check_one("actuator credentials",
	    conf->credentials[ROLE_ACTUATOR], secret_open);
	result[2] = check_one("tls ca file", conf->ca_file, public_open);
	result[3] = check_one("log cloud credentials",
	    conf->credentials[ROLE_REPORTER], secret_open);
	for (i = 0; i < sizeof(result) / sizeof(result[0]); i++) {
		if (result[i] != 0 && worst != -1)
			worst = result[i];
	}
	TAILQ_FOREACH(account, &conf->accounts, entry) {
		r = check_one("cloudflare account token", account->token_file,
		    secret_open);
		if (r != 0 && worst != -1)
			worst = r;
	}
	return (worst);
}
