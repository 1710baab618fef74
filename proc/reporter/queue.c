/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "queue.h"

/* Begin with an empty queue. */
void
queue_init(struct queue *queue)
{
	memset(queue, 0, sizeof(*queue));
	TAILQ_INIT(&queue->entries);
}

static void
drop(struct queue *queue, struct entry *entry)
{
	TAILQ_REMOVE(&queue->entries, entry, entry);
	queue->count--;
	queue->bytes -= entry->len;
	free(entry->text);
	free(entry);
}

/* The oldest entry that is not being written, or NULL. */
static struct entry *
oldest(const struct queue *queue)
{
	struct entry *entry = TAILQ_FIRST(&queue->entries);
	size_t i;

	for (i = 0; i < queue->taken && entry != NULL; i++)
		entry = TAILQ_NEXT(entry, entry);
	return (entry);
}

/*
 * Append an event, len bytes of JSON and a NUL, which is taken over.  Returns
 * how many events had to make room for it.
 */
size_t
queue_add(struct queue *queue, char *text, size_t len)
{
	struct entry *entry;
	size_t dropped = 0;

	entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		fatal("%s", __func__);
	entry->number = queue->next++;
	entry->text = text;
	entry->len = len;
	TAILQ_INSERT_TAIL(&queue->entries, entry, entry);
	queue->count++;
	queue->bytes += len;
	while (queue->count > QUEUE_ENTRIES || queue->bytes > QUEUE_BYTES) {
		drop(queue, oldest(queue));
		dropped++;
	}
	return (dropped);
}

/*
 * Begin to write the oldest entries: at most so many, of at most so many bytes
 * together, but one at least.  Returns how many; they stay first in the queue.
 */
size_t
queue_take(struct queue *queue, size_t most, size_t bytes)
{
	const struct entry *entry;
	size_t sum = 0;

	queue->taken = 0;
	TAILQ_FOREACH(entry, &queue->entries, entry) {
		sum += entry->len;
		if (queue->taken == most || (queue->taken > 0 && sum > bytes))
			break;
		queue->taken++;
	}
	return (queue->taken);
}

/* They have not been written, and are to be taken again. */
void
queue_untake(struct queue *queue)
{
	queue->taken = 0;
}

/* They have been written, or never can be. */
void
queue_remove(struct queue *queue)
{
	for (; queue->taken > 0; queue->taken--)
		drop(queue, TAILQ_FIRST(&queue->entries));
}

/* Forget all. */
void
queue_clear(struct queue *queue)
{
	struct entry *entry;

	while ((entry = TAILQ_FIRST(&queue->entries)) != NULL)
		drop(queue, entry);
	queue->taken = 0;
}
