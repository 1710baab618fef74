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
	STAILQ_INIT(&queue->writing);
	STAILQ_INIT(&queue->waiting);
}

/* Drop the first entry of one of the lists of the queue. */
static void
drop_first(struct queue *queue, struct entries *list)
{
	struct entry *entry = STAILQ_FIRST(list);

	STAILQ_REMOVE_HEAD(list, entry);
	queue->count--;
	queue->bytes -= entry->len;
	free(entry->text);
	free(entry);
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
	STAILQ_INSERT_TAIL(&queue->waiting, entry, entry);
	queue->count++;
	queue->bytes += len;
	while (queue->count > QUEUE_ENTRIES || queue->bytes > QUEUE_BYTES) {
		drop_first(queue, &queue->waiting);
		dropped++;
	}
	return (dropped);
}

/*
 * Begin to write the oldest entries: at most so many, of at most so many bytes
 * together, but one at least.  Returns how many; they are in queue->writing.
 */
size_t
queue_take(struct queue *queue, size_t most, size_t bytes)
{
	struct entry *entry;
	size_t sum = 0;

	queue_untake(queue);
	while ((entry = STAILQ_FIRST(&queue->waiting)) != NULL) {
		sum += entry->len;
		if (queue->taken == most || (queue->taken > 0 && sum > bytes))
			break;
		STAILQ_REMOVE_HEAD(&queue->waiting, entry);
		STAILQ_INSERT_TAIL(&queue->writing, entry, entry);
		queue->taken++;
	}
	return (queue->taken);
}

/* They have not been written, and are to be taken again. */
void
queue_untake(struct queue *queue)
{
	STAILQ_CONCAT(&queue->writing, &queue->waiting);
	STAILQ_CONCAT(&queue->waiting, &queue->writing);
	queue->taken = 0;
}

/* They have been written, or never can be. */
void
queue_remove(struct queue *queue)
{
	while (!STAILQ_EMPTY(&queue->writing))
		drop_first(queue, &queue->writing);
	queue->taken = 0;
}

/* Forget all. */
void
queue_clear(struct queue *queue)
{
	queue_remove(queue);
	while (!STAILQ_EMPTY(&queue->waiting))
		drop_first(queue, &queue->waiting);
}
