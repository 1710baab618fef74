/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_LOGFILE_H
#define MTGCPD_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"

/* A file to which lines are appended, and its rotation. */
struct logfile {
	const char *path; /* NULL: there is none */
	const char *what; /* that is lost if it cannot be written, plural */
	struct rotation rotation;
	int fd;		    /* -1: not open */
	unsigned int begun; /* how often a file has been, up to now */
	uint64_t size;	    /* bytes, unless somebody else writes it too */
	uint64_t lost;	    /* lines that could not be written; that was said */
	size_t doubt;	    /* bytes to be written well before that is over */
	bool stuck;	    /* it cannot be rotated; that was said */
	bool torn;	    /* it ends within a line */
	bool telling;	    /* of the file itself, on the other outputs */
};

int logfile_open(struct logfile *, const char *path, const struct rotation *);
void logfile_reload(struct logfile *, const char *path,
    const struct rotation *);
void logfile_reopen(struct logfile *);
void logfile_write(struct logfile *, const char *line, size_t len);
void logfile_close(struct logfile *);

#endif /* MTGCPD_LOGFILE_H */
