/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * The journal: every request and every event of the world in one order, so
 * that a test can tell what came before what.  Kept as text, ready to send.
 */

#include <sys/queue.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudsim.h"

struct line {
	TAILQ_ENTRY(line) entry;
	uint64_t seq;
	size_t len;
	char *text;
};

static TAILQ_HEAD(lines, line) lines = TAILQ_HEAD_INITIALIZER(lines);
static uint64_t next_seq = 1;
static int kept;

static void
line_free(struct line *line)
{
	TAILQ_REMOVE(&lines, line, entry);
	free(line->text);
	free(line);
	kept--;
}

static struct line *
line_new(void)
{
	struct line *line;

	line = xcalloc(1, sizeof(*line));
	line->seq = next_seq++;
	TAILQ_INSERT_TAIL(&lines, line, entry);
	kept++;
	return (line);
}

/* Writes the entry on its line; takes it over. */
static void
line_write(struct line *line, json_t *entry, int64_t t, int64_t mono)
{
	if (entry == NULL)
		errx(1, "a journal entry that is not JSON");
	json_object_set_new(entry, "seq", json_integer((json_int_t)line->seq));
	json_object_set_new(entry, "t", jtime(t));
	json_object_set_new(entry, "t_mono_ms", json_integer(mono));
	line->text = json_dumps(entry, JSON_COMPACT | JSON_REAL_PRECISION(15));
	if (line->text == NULL)
		errx(1, "a journal entry that cannot be written");
	line->len = strlen(line->text);
	json_decref(entry);
	if (sim.verbose)
		fprintf(stderr, "%s\n", line->text);
	/* A line that is still to be written stays, and those after it. */
	while (kept > sim.set.journal_max && TAILQ_FIRST(&lines)->text != NULL)
		line_free(TAILQ_FIRST(&lines));
}

/* An event of the world; taken over. */
void
journal_event(json_t *event)
{
	line_write(line_new(), event, now_ms(), mono_ms());
}

/* The body as it came, unless it holds a secret. */
static json_t *
request_shown(struct request *req)
{
	if (strcmp(req->path, "/token") == 0)
		return (
		    req->note != NULL ? json_incref(req->note) : json_null());
	if (req->json != NULL)
		return (json_incref(req->json));
	return (req->body_len > 0 ? jstr(req->body) : json_null());
}

static json_t *
scope_shown(struct request *req)
{
	if (req->cloudflare)
		return (json_string("cloudflare"));
	return (jstr(json_str(req->grant, "scope")));
}

/*
 * Keeps a place for a request that is about to be carried out, so that it
 * comes before the events that it causes.
 */
void
journal_reserve(struct request *req)
{
	if (sim.set.journal)
		req->line = line_new();
}

void
journal_request(struct request *req, struct response *res)
{
	bool answered;
	json_t *e;

	if (req->line == NULL)
		return;
	answered = res->mode == SEND_NORMAL || res->mode == SEND_DRIP ||
	    res->mode == SEND_TRUNCATE;
	e = json_pack("{s:I, s:s, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o}",
	    "conn", (json_int_t)req->conn_id, "op", req->op, "method",
	    jstr(req->method), "host", jstr(req->host), "path", jstr(req->path),
	    "query", "", "scope", scope_shown(req), "sa",
	    jstr(json_str(req->grant, "sa")), "request", request_shown(req),
	    "status", answered ? json_integer(res->status) : json_null());
	if (*req->query != '\0')
		json_object_set_new(e, "query", jstr(req->query));
	if (req->write && res->json != NULL)
		json_object_set(e, "response", res->json);
	if (req->write && req->ctype != NULL)
		json_object_set_new(e, "content_type", jstr(req->ctype));
	if (req->forbidden)
		json_object_set_new(e, "forbidden", json_true());
	if (res->fault != NULL)
		json_object_set(e, "fault", res->fault);
	line_write(req->line, e, req->t_ms, req->mono_ms);
}

static struct line *
first_since(uint64_t since)
{
	struct line *line, *found = NULL;

	/* Readers want what is new: begin at the end. */
	TAILQ_FOREACH_REVERSE(line, &lines, lines, entry)
	{
		if (line->seq < since)
			break;
		found = line;
	}
	return (found);
}

/* Entries from since on, as the body of an answer. */
char *
journal_read(uint64_t since, size_t *len)
{
	struct line *line, *first;
	size_t need = 128, at;
	char *out;

	first = first_since(since);
	for (line = first; line != NULL; line = TAILQ_NEXT(line, entry))
		need += line->len + 2;
	out = xcalloc(1, need);
	at = (size_t)snprintf(out, need, "{\"entries\":[");
	for (line = first; line != NULL; line = TAILQ_NEXT(line, entry)) {
		if (line != first)
			out[at++] = ',';
		memcpy(out + at, line->text, line->len);
		at += line->len;
	}
	at += (size_t)snprintf(out + at, need - at, "],\"next\":%llu}",
	    (unsigned long long)next_seq);
	*len = at;
	return (out);
}

/* Forgets the entries; the numbers go on. */
void
journal_clear(void)
{
	struct line *line, *next;

	for (line = TAILQ_FIRST(&lines); line != NULL; line = next) {
		next = TAILQ_NEXT(line, entry);
		line_free(line);
	}
}
