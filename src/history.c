/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <string.h>

#include "log.h"
#include "mtgcpd.h"

/*
 * The last transitions of all failovers, the newest last; they outlive a
 * restart.
 */

static struct {
	struct transition list[HISTORY_MAX];
	size_t next;
	size_t count;
} history;

/* Remember a transition; the oldest one makes room. */
void
history_add(const struct transition *transition)
{
	history.list[history.next] = *transition;
	history.next = (history.next + 1) % HISTORY_MAX;
	if (history.count < HISTORY_MAX)
		history.count++;
}

/* The i'th transition, 0 the oldest that is remembered; NULL: no more. */
const struct transition *
history_get(size_t i)
{
	if (i >= history.count)
		return (NULL);
	return (&history.list[(history.next + HISTORY_MAX - history.count + i) %
	    HISTORY_MAX]);
}

/* A list for the state file, which the caller owns. */
json_t *
history_remember(void)
{
	const struct transition *t;
	json_t *list = json_array();
	size_t i;

	for (i = 0; (t = history_get(i)) != NULL; i++)
		json_array_append_new(list,
		    json_pack("[I, s, i, i, i, i, i]", (json_int_t)t->at,
			t->failover, t->from, t->to, t->local, t->remote,
			t->remote_bgp));
	return (list);
}

static enum verdict
recall_verdict(json_int_t verdict)
{
	if (verdict != V_YES && verdict != V_NO)
		return (V_UNKNOWN);
	return ((enum verdict)verdict);
}

/* Returns -1 if the entry is none of ours. */
static int
recall_transition(struct transition *t, json_t *entry)
{
	json_int_t at, from, to, local, remote, remote_bgp;
	const char *name;

	if (json_unpack(entry, "[I, s, I, I, I, I, I]", &at, &name, &from, &to,
		&local, &remote, &remote_bgp) == -1)
		return (-1);
	if (at < 0 || at > WALL_MAX || from < 0 || from > STATE_MAX || to < 1 ||
	    to > STATE_MAX)
		return (-1);
	memset(t, 0, sizeof(*t));
	t->at = at;
	t->from = (int)from;
	t->to = (int)to;
	t->local = recall_verdict(local);
	t->remote = recall_verdict(remote);
	t->remote_bgp = recall_verdict(remote_bgp);
	strlcpy(t->failover, name, sizeof(t->failover));
	return (0);
}

/* What history_remember() made; what cannot be understood is left out. */
void
history_recall(const json_t *list)
{
	struct transition t;
	json_t *entry;
	size_t i;

	memset(&history, 0, sizeof(history));
	json_array_foreach(list, i, entry) {
		if (recall_transition(&t, entry) == 0)
			history_add(&t);
	}
}
