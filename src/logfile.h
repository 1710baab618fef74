/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_LOGFILE_H
#define MTGCPD_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file of lines, which may be rotated by size. */
struct logfile {
	const char *path; /* of whoever opened it */
	int64_t max_size; /* bytes; 0: it may grow */
	uint32_t keep;	  /* old ones */
	int fd;		  /* -1: closed */
	int64_t size;
	bool full;  /* lines are being lost */
	bool stuck; /* it cannot be rotated */
};

/* What has changed with a line, to be said elsewhere; errno says why. */
enum logfile_news {
	LOGFILE_NONE,
	LOGFILE_FULL,  /* it is lost, and so will others be */
	LOGFILE_AGAIN, /* no more of them are */
	LOGFILE_STUCK, /* the file cannot be rotated, and grows */
};

/* logfile.c */
int logfile_open(struct logfile *, const char *path, int64_t max_size,
    uint32_t keep);
int logfile_reopen(struct logfile *);
enum logfile_news logfile_line(struct logfile *, const char *line, size_t len);
const char *logfile_says(enum logfile_news);
void logfile_close(struct logfile *);

#endif /* MTGCPD_LOGFILE_H */
