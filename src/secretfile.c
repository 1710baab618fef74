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

enum kind {
	KIND_PUBLIC, /* others may read it */
	KIND_SECRET,
	KIND_HANDED, /* a secret that the service manager has put there */
	KIND_LAX,    /* a secret whose mode is told of, and no more */
};

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
check_owner(const struct stat *st, const char *path, char *why, size_t len)
{
	uid_t euid = geteuid();

	if (!S_ISREG(st->st_mode))
		return (
		    refuse(EPERM, why, len, "%s: not a regular file", path));
	if (st->st_uid == 0 || st->st_uid == euid)
		return (0);
	if (euid == 0)
		return (refuse(EPERM, why, len,
		    "%s: unsafe owner: "
		    "uid %u, expected root",
		    path, st->st_uid));
	return (refuse(EPERM, why, len,
	    "%s: unsafe owner: uid %u, "
	    "expected root or uid %u",
	    path, st->st_uid, euid));
}

/* The bits of the mode that must not be set.  A service manager lets the user
 * of the service read a file of root's by an access list, whose mask shows as
 * the rights of root's group. */
static mode_t
unsafe_bits(const struct stat *st, enum kind kind)
{
	if (kind == KIND_PUBLIC)
		return (PUBLIC_BAD);
	if (kind == KIND_HANDED && st->st_uid == 0 && st->st_gid == 0)
		return (SECRET_BAD & ~S_IRGRP);
	return (SECRET_BAD);
}

static int
check_mode(const struct stat *st, const char *path, enum kind kind, char *why,
    size_t len)
{
	mode_t unsafe = unsafe_bits(st, kind);

	if ((st->st_mode & unsafe) == 0)
		return (0);
	return (refuse(EPERM, why, len,
	    "%s: unsafe mode: %04o, "
	    "expected no %s for group and others (%04o)",
	    path, st->st_mode & ALLPERMS,
	    kind == KIND_PUBLIC ? "writing" : "access",
	    st->st_mode & ALLPERMS & ~unsafe));
}

static int
check_size(const struct stat *st, const char *path, char *why, size_t len)
{
	if (st->st_size == 0)
		return (refuse(EPERM, why, len, "%s: the file is empty", path));
	if (st->st_size > SECRET_MAX)
		return (refuse(EPERM, why, len,
		    "%s: %lld bytes are too many: "
		    "expected at most %d",
		    path, (long long)st->st_size, SECRET_MAX));
	return (0);
}

static int
check_file(int fd, const char *path, enum kind kind, char *why, size_t len)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return (
		    refuse(errno, why, len, "%s: %s", path, strerror(errno)));
	if (check_owner(&st, path, why, len) == -1 ||
	    (kind != KIND_PUBLIC && check_size(&st, path, why, len) == -1))
		return (-1);
	if (kind != KIND_LAX)
		return (check_mode(&st, path, kind, why, len));
	*why = '\0';
	(void)check_mode(&st, path, kind, why, len);
	return (0);
}

/* A FIFO must not make us wait, so it is opened without blocking. */
static int
open_checked(const char *path, enum kind kind, char *why, size_t len)
{
	int error, fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd == -1)
		return (
		    refuse(errno, why, len, "%s: %s", path, strerror(errno)));
	if (check_file(fd, path, kind, why, len) == -1) {
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
 * regular file of root's or the caller's that is neither empty nor large and
 * that nobody else has access to, but for root's group in that directory; or
 * -1, the reason with the path in why, and errno: EPERM where the file is
 * unsafe, otherwise that of open(2).
 */
int
secret_open(const char *path, char *why, size_t len)
{
	char full[PATH_MAX];
	const char *directory;
	int fd, n;

	directory = getenv("CREDENTIALS_DIRECTORY");
	if (*path == '/' || directory == NULL || *directory != '/')
		return (open_checked(path, KIND_SECRET, why, len));
	n = snprintf(full, sizeof(full), "%s/%s", directory, path);
	if (n < 0 || (size_t)n >= sizeof(full))
		return (refuse(ENAMETOOLONG, why, len, "%s: %s", path,
		    strerror(ENAMETOOLONG)));
	fd = open_checked(full, KIND_HANDED, why, len);
	if (fd != -1 || errno != ENOENT)
		return (fd);
	fd = open_checked(path, KIND_SECRET, why, len);
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
	return (open_checked(path, KIND_PUBLIC, why, len));
}

/*
 * As secret_open(), for an environment file and what it names: a mode that is
 * unsafe does not refuse it, but is in why, which is empty otherwise; and
 * there is no directory for it.
 */
int
lax_open(const char *path, char *why, size_t len)
{
	return (open_checked(path, KIND_LAX, why, len));
}

/*
 * Can the file be used?  Returns 0, perhaps with a warning told; 1 where the
 * caller may not read it, so there is no knowing; -1 where it cannot.
 */
static int
check_one(const char *what, const char *path,
    int (*open_file)(const char *, char *, size_t))
{
	char line[PATH_MAX + 512], why[PATH_MAX + 256];
	int fd, r;

	if (path == NULL)
		return (0);
	fd = open_file(path, why, sizeof(why));
	if (fd != -1) {
		close(fd);
		if (open_file != lax_open || *why == '\0')
			return (0);
		r = 0;
	} else
		r = errno == EACCES ? 1 : -1;
	snprintf(line, sizeof(line), "%s%s: %s",
	    r == -1 ? "" : "warning: ", what, why);
	conf_tell(line);
	return (r);
}

/* The worse one of two results of check_one(). */
static int
worse(int a, int b)
{
	return (a == -1 || b == -1 ? -1 : a | b);
}

/* What an environment file names; its own mode was looked at when it was
 * read. */
static int
check_env(const struct conf *conf)
{
	return (worse(check_one("GOOGLE_APPLICATION_CREDENTIALS",
			  conf->credentials[ROLE_PROBER], lax_open),
	    check_one("MTGCPD_CA_FILE", conf->ca_file, public_open)));
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
	int worst;

	if (conf->env)
		return (check_env(conf));
	worst = check_one("prober credentials", conf->credentials[ROLE_PROBER],
	    secret_open);
	worst = worse(worst,
	    check_one("actuator credentials", conf->credentials[ROLE_ACTUATOR],
		secret_open));
	worst = worse(worst,
	    check_one("log cloud credentials", conf->credentials[ROLE_REPORTER],
		secret_open));
	worst = worse(worst,
	    check_one("tls ca file", conf->ca_file, public_open));
	TAILQ_FOREACH(account, &conf->accounts, entry)
		worst = worse(worst,
		    check_one("cloudflare account token", account->token_file,
			secret_open));
	return (worst);
}
