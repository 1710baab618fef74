/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * Cloud Logging, entries.write: requests are held against what the API says,
 * and entries are kept, those with the same insertId and timestamp once.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cloudsim.h"

#define ID_MAX	 512
#define KEPT_MAX 100000

static json_t *kept; /* array, in the order in which they came */
static json_t *seen; /* object: insertId and timestamp */

/* All entries that are stored; the caller owns the value. */
json_t *
logging_entries(void)
{
	return (kept == NULL ? json_array() : json_deep_copy(kept));
}

void
logging_clear(void)
{
	json_decref(kept);
	json_decref(seen);
	kept = json_array();
	seen = json_object();
}

/* projects/P/logs/ID, the id URL-encoded. */
static bool
log_name_valid(const char *name)
{
	const char *id;
	size_t i;

	if (name == NULL || strncmp(name, "projects/", 9) != 0)
		return (false);
	id = strstr(name, "/logs/");
	if (id == NULL || id == name + 9)
		return (false);
	id += 6;
	for (i = 0; id[i] != '\0'; i++)
		if (!isalnum((unsigned char)id[i]) &&
		    strchr("_.-%", id[i]) == NULL)
			return (false);
	return (i > 0 && i < ID_MAX);
}

static bool
resource_valid(json_t *resource)
{
	static const char *const wanted[] = { "project_id", "location",
		"namespace", "node_id" };
	const char *type = json_str(resource, "type");
	json_t *labels = json_object_get(resource, "labels");
	size_t i;

	if (type == NULL || strcmp(type, "generic_node") != 0)
		return (type != NULL && strcmp(type, "global") == 0);
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (json_str(labels, wanted[i]) == NULL)
			return (false);
	return (json_object_size(labels) == i);
}

static bool
severity_valid(const char *severity)
{
	static const char *const names[] = { "DEFAULT", "DEBUG", "INFO",
		"NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT",
		"EMERGENCY" };
	size_t i;

	for (i = 0; severity != NULL && i < sizeof(names) / sizeof(names[0]);
	     i++)
		if (strcmp(severity, names[i]) == 0)
			return (true);
	return (severity == NULL);
}

/* What is wrong with an entry, or NULL. */
static const char *
entry_check(json_t *entry)
{
	const char *stamp = json_str(entry, "timestamp");
	const char *id = json_str(entry, "insertId");
	int payloads;

	payloads = json_is_object(json_object_get(entry, "jsonPayload"));
	payloads += json_is_string(json_object_get(entry, "textPayload"));
	if (payloads != 1)
		return ("exactly one payload is required");
	if (!severity_valid(json_str(entry, "severity")))
		return ("Invalid value at 'entries[].severity'");
	if (stamp == NULL || strlen(stamp) < 20 || stamp[10] != 'T' ||
	    stamp[strlen(stamp) - 1] != 'Z')
		return ("Invalid value at 'entries[].timestamp'");
	if (id == NULL || *id == '\0' || strlen(id) >= ID_MAX)
		return ("Invalid value at 'entries[].insertId'");
	return (NULL);
}

static void
entry_store(json_t *entry)
{
	char *key;

	key = xasprintf("%s %s", json_str(entry, "insertId"),
	    json_str(entry, "timestamp"));
	if (json_object_get(seen, key) == NULL &&
	    json_array_size(kept) < KEPT_MAX) {
		json_object_set_new(seen, key, json_true());
		json_array_append(kept, entry);
	}
	free(key);
}

/* With partialSuccess the valid entries are stored although others are not. */
static const char *
entries_write(json_t *body)
{
	json_t *entries = json_object_get(body, "entries"), *entry;
	const char *why, *first = NULL;
	size_t i;

	json_array_foreach(entries, i, entry) {
		why = entry_check(entry);
		if (why != NULL && first == NULL)
			first = why;
	}
	if (first != NULL &&
	    !json_is_true(json_object_get(body, "partialSuccess")))
		return (first);
	json_array_foreach(entries, i, entry)
		if (entry_check(entry) == NULL)
			entry_store(entry);
	return (first);
}

void
logging_handle(struct request *req, struct response *res)
{
	const char *why;

	req->op = "logging.write";
	if (kept == NULL)
		logging_clear();
	if (req->grant == NULL || token_expired(req->grant))
		google_error(res, 401, "authError", "Invalid Credentials");
	else if (!token_has_scope(req->grant, "logging.write"))
		google_error(res, 403, "insufficientPermissions",
		    "Request had insufficient authentication scopes.");
	else if (strcmp(req->method, "POST") != 0 ||
	    json_array_size(json_object_get(req->json, "entries")) == 0)
		google_error(res, 400, "badRequest", "Invalid request.");
	else if (!log_name_valid(json_str(req->json, "logName")))
		google_error(res, 400, "badRequest", "Invalid log name.");
	else if (!resource_valid(json_object_get(req->json, "resource")))
		google_error(res, 400, "badRequest", "Invalid resource.");
	else if ((why = entries_write(req->json)) != NULL)
		google_error(res, 400, "badRequest", "%s", why);
	else
		http_error(res, 200, json_object());
}
