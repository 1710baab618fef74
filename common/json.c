/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcp.h"
#include "log.h"

/* The longest run of token characters that a name may be: RFC 1035. */
#define RUN_MAX 63

static bool token_char(unsigned char);
static size_t secret_run(const char *);

/*
 * Parse the body of an answer, len bytes.  Returns a JSON object that the
 * caller has to json_decref(), or NULL with the reason in why.  A member that
 * occurs twice is an error: the two readers of such a text could differ
 * (RFC 8259 section 4).  The depth is bounded by jansson.
 */
json_t *
json_answer(const char *body, size_t len, char *why, size_t whylen)
{
	json_error_t error;
	json_t *value;

	value = json_loadb(body, len, JSON_REJECT_DUPLICATES, &error);
	if (value == NULL) {
		char text[JSON_ERROR_TEXT_LENGTH];

		text_clean(error.text, text, sizeof(text));
		snprintf(why, whylen,
		    "the answer is not JSON: line %d, column %d: %s",
		    error.line, error.column, text);
		return (NULL);
	}
	if (!json_is_object(value)) {
		json_decref(value);
		snprintf(why, whylen, "the answer is not a JSON object");
		return (NULL);
	}
	return (value);
}

/*
 * The text of a member, or NULL where it is absent, null or no string.  The
 * text belongs to the object.
 */
const char *
json_text(const json_t *object, const char *key)
{
	return (json_string_value(json_object_get(object, key)));
}

/*
 * The part of a self link that names the resource, from "/projects/" on: the
 * host and version before it differ between links to one resource.
 */
const char *
link_path(const char *selflink)
{
	const char *path;

	path = strstr(selflink, "/projects/");
	return (path != NULL ? path : selflink);
}

/* The last part of a link: the name of the resource. */
const char *
link_name(const char *selflink)
{
	const char *slash;

	slash = strrchr(selflink, '/');
	return (slash != NULL ? slash + 1 : selflink);
}

/*
 * base, without slashes at its end, followed by the formatted text, which
 * begins with one.  The caller owns the string; no memory is fatal.
 */
char *
url_join(const char *base, const char *format, ...)
{
	char *path, *url;
	size_t len;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&path, format, ap);
	va_end(ap);
	if (n == -1)
		fatal("%s", __func__);
	for (len = strlen(base); len > 0 && base[len - 1] == '/'; len--)
		continue;
	n = asprintf(&url, "%.*s%s", (int)len, base, path);
	if (n == -1)
		fatal("%s", __func__);
	free(path);
	return (url);
}

/*
 * text as a part of a query (RFC 3986 section 2.3: all but the unreserved
 * characters are percent-encoded).  The caller owns the string.
 */
char *
url_escape(const char *text)
{
	static const char hex[] = "0123456789ABCDEF";
	const unsigned char *p;
	char *escaped, *to;

	escaped = reallocarray(NULL, strlen(text) + 1, 3);
	if (escaped == NULL)
		fatal("%s", __func__);
	to = escaped;
	for (p = (const unsigned char *)text; *p != '\0'; p++) {
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		    (*p >= '0' && *p <= '9') || strchr("-._~", *p) != NULL) {
			*to++ = (char)*p;
			continue;
		}
		*to++ = '%';
		*to++ = hex[*p >> 4];
		*to++ = hex[*p & 15];
	}
	*to = '\0';
	return (escaped);
}

/*
 * Copy text that came from the network to where people read it: whatever is
 * not printable ASCII is escaped, what could be a token is hidden, and what
 * does not fit is cut off.  dst is always terminated.
 */
void
text_clean(const char *text, char *dst, size_t size)
{
	static const char hidden[] = "[hidden]";
	size_t at, run;
	unsigned char c;

	if (size == 0)
		return;
	at = 0;
	while (*text != '\0') {
		run = secret_run(text);
		if (run > 0) {
			if (at + sizeof(hidden) > size)
				break;
			memcpy(dst + at, hidden, sizeof(hidden) - 1);
			at += sizeof(hidden) - 1;
			text += run;
			continue;
		}
		/* Token characters go in one piece, so that a run is judged
		 * from its start. */
		do {
			c = (unsigned char)*text;
			if (at + 5 > size)
				goto out;
			if (c >= ' ' && c < 0x7f && c != '\\')
				dst[at++] = (char)c;
			else
				at += (size_t)snprintf(dst + at, size - at,
				    "\\x%02x", c);
			text++;
		} while (token_char(c) && token_char((unsigned char)*text));
	}
out:
	dst[at] = '\0';
}

/* A character of a bearer token (RFC 6750 section 2.1), but for the slash:
 * that separates the names in a link. */
static bool
token_char(unsigned char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr("-._~+=", c) != NULL));
}

/* How many characters at text are to be hidden; 0: none. */
static size_t
secret_run(const char *text)
{
	static const char *const heads[] = { "ya29.", "cfut_", "cfat_", "eyJ" };
	size_t i, n;

	for (n = 0; token_char((unsigned char)text[n]); n++)
		continue;
	if (n > RUN_MAX)
		return (n);
	for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		if (n > 16 && strncmp(text, heads[i], strlen(heads[i])) == 0)
			return (n);
	}
	return (0);
}
