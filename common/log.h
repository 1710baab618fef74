/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_LOG_H
#define MTGCPD_LOG_H

#include <stdarg.h>
#include <syslog.h>

/*
 * Where the lines go is the business of the process: the parent writes them,
 * a child sends them to the parent.  Without a sink they go to standard error.
 * corr is the correlation id that was set last, or "".
 */
typedef void (*log_sink)(int priority, const char *corr, const char *text);

#define __printf(n) __attribute__((__format__(__printf__, n, n + 1)))
#define __dead	    __attribute__((__noreturn__))
#define __unused    __attribute__((__unused__))

/* log.c */
void log_init(const char *process, int level, log_sink);
void log_setlevel(int level);
void log_setcorr(const char *corr);
void log_put(int priority, const char *corr, const char *text);
void log_warn(const char *, ...) __printf(1);
void log_warnx(const char *, ...) __printf(1);
void log_errorx(const char *, ...) __printf(1);
void log_info(const char *, ...) __printf(1);
void log_debug(const char *, ...) __printf(1);
void fatal(const char *, ...) __printf(1) __dead;
void fatalx(const char *, ...) __printf(1) __dead;

#endif /* MTGCPD_LOG_H */
