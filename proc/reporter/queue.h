/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_QUEUE_H
#define MTGCPD_QUEUE_H

#include <sys/types.h>
#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

/*
 * The events that are still to be written: in order, and never more than a
 * bound of entries and bytes.  The oldest that are not being written make room
 * for new ones.
 */

#define QUEUE_ENTRIES 2000
#define QUEUE_BYTES   (8 * 1024 * 1024)

struct entry {
	STAILQ_ENTRY(entry) entry;
	uint64_t number; /* of the event, since the start */
	char *text;	 /* JSON, NUL-terminated */
	size_t len;
};
STAILQ_HEAD(entries, entry);

struct queue {
	struct entries writing; /* come before those that wait */
	struct entries waiting;
	size_t count; /* of both */
	size_t bytes;
	size_t taken; /* are being written */
	uint64_t next;
};

/* queue.c */
void queue_init(struct queue *);
size_t queue_add(struct queue *, char *text, size_t len);
size_t queue_take(struct queue *, size_t most, size_t bytes);
void queue_untake(struct queue *);
void queue_remove(struct queue *);
void queue_clear(struct queue *);

#endif /* MTGCPD_QUEUE_H */
