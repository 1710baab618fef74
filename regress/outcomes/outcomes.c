/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <err.h>
#include <jansson.h>
#include <stdio.h>

#include "outcome.h"

/*
 * Print the table of outcomes, a JSON object a line, for the tests that make
 * every one of them happen.  "write" is what is known of a write that ended
 * so: "unknown" where it may have been carried out.
 */

static const char *const apis[] = { "compute", "cloudflare", "token" };

static const char *const transports[TRANSPORT_MAX] = {
	[TRANSPORT_OTHER] = "other",
	[TRANSPORT_REQUEST] = "request",
	[TRANSPORT_ADDRESS] = "address",
	[TRANSPORT_QUEUE] = "queue",
	[TRANSPORT_LIMIT] = "limit",
	[TRANSPORT_CONNECT] = "connect",
	[TRANSPORT_SLOW] = "slow",
	[TRANSPORT_TLS] = "tls",
	[TRANSPORT_CERTIFICATE] = "certificate",
	[TRANSPORT_TIMEOUT] = "timeout",
	[TRANSPORT_LOST] = "lost",
	[TRANSPORT_TRUNCATED] = "truncated",
	[TRANSPORT_GARBLED] = "garbled",
	[TRANSPORT_BODY] = "body",
	[TRANSPORT_HEADER] = "header",
};

static const char *const contents[CONTENT_MAX] = {
	[CONTENT_ANY] = "any",
	[CONTENT_JSON] = "json",
	[CONTENT_NOT_JSON] = "not_json",
	[CONTENT_TYPE] = "type",
	[CONTENT_SHAPE] = "shape",
	[CONTENT_FAILURE] = "failure",
	[CONTENT_PARTIAL] = "partial",
	[CONTENT_LOOP] = "loop",
	[CONTENT_PAGES] = "pages",
};

static const char *const answers[] = {
	[ANSWER_OK] = "ok",
	[ANSWER_TRANSIENT] = "transient",
	[ANSWER_PERMANENT] = "permanent",
	[ANSWER_TOKEN] = "token",
};

static json_t *
row_json(const struct outcome_row *row)
{
	json_t *json, *list;
	size_t i;

	list = json_array();
	for (i = 0; i < sizeof(apis) / sizeof(apis[0]); i++) {
		if ((row->apis & 1U << i) != 0)
			json_array_append_new(list, json_string(apis[i]));
	}
	json = json_pack("{s:s, s:o, s:s?, s:s?, s:s?, s:s, s:s, s:s?}", "name",
	    row->name, "apis", list, "code", row->code, "message", row->message,
	    "text", row->text, "answer", answers[row->answer], "write",
	    row->unknown ? "unknown" : answers[row->answer], "transport",
	    row->status == 0 ? transports[row->transport] : NULL);
	if (json == NULL)
		return (NULL);
	if (row->status != 0) {
		json_object_set_new(json, "status", json_integer(row->status));
		json_object_set_new(json, "last", json_integer(row->last));
		json_object_set_new(json, "content",
		    json_string(contents[row->content]));
	}
	return (json);
}

int
main(void)
{
	const struct outcome_row *row;
	json_t *json;
	size_t i, n;

	n = outcome_rows(&row);
	for (i = 0; i < n; i++) {
		json = row_json(&row[i]);
		if (json == NULL)
			errx(1, "%s", row[i].name);
		json_dumpf(json, stdout, JSON_COMPACT);
		printf("\n");
		json_decref(json);
	}
	if (fflush(stdout) != 0)
		err(1, "stdout");
	return (0);
}
