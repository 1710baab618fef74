/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * Google's response mask, the "fields" parameter:
 *
 *	mask = field { "," field }
 *	field = path [ "(" mask ")" ]
 *	path = name { "/" name }		name may be "*"
 *
 * A mask goes through arrays as if it were written for each element.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cloudsim.h"

#define MASK_DEPTH 16

struct mask {
	const char *p;
	int depth;
	bool bad;
};

static json_t *mask_parse(struct mask *);

/* One field becomes {name: sub-mask or true}, added to the fields so far. */
static void
mask_field(struct mask *m, json_t *into)
{
	json_t *old, *sub;
	char name[128];
	size_t len = 0;

	while (isalnum((unsigned char)*m->p) || strchr("*_-@.$", *m->p)) {
		if (*m->p == '\0' || len + 1 >= sizeof(name))
			break;
		name[len++] = *m->p++;
	}
	name[len] = '\0';
	if (len == 0 || ++m->depth > MASK_DEPTH) {
		m->bad = true;
		return;
	}
	sub = json_true();
	if (*m->p == '/') {
		m->p++;
		sub = json_object();
		mask_field(m, sub);
	} else if (*m->p == '(') {
		m->p++;
		sub = mask_parse(m);
		if (*m->p++ != ')') {
			m->p--;
			m->bad = true;
		}
	}
	m->depth--;
	/* a(b),a(c) asks for both; a alone asks for all of it. */
	old = json_object_get(into, name);
	if (json_is_object(old) && json_is_object(sub)) {
		json_object_update_missing(old, sub);
		json_decref(sub);
	} else if (json_is_true(old))
		json_decref(sub);
	else
		json_object_set_new(into, name, sub);
}

static json_t *
mask_parse(struct mask *m)
{
	json_t *fields = json_object();

	for (;;) {
		mask_field(m, fields);
		if (m->bad || *m->p != ',')
			return (fields);
		m->p++;
	}
}

static json_t *
mask_pick(json_t *value, json_t *mask)
{
	json_t *out, *child, *sub, *all;
	const char *key;
	size_t i;

	if (!json_is_object(mask))
		return (json_incref(value));
	if (json_is_array(value)) {
		out = json_array();
		json_array_foreach(value, i, child) {
			json_array_append_new(out, mask_pick(child, mask));
		}
		return (out);
	}
	if (!json_is_object(value))
		return (json_incref(value));
	out = json_object();
	all = json_object_get(mask, "*");
	json_object_foreach(value, key, child) {
		sub = json_object_get(mask, key);
		if (sub == NULL)
			sub = all;
		if (sub != NULL)
			json_object_set_new(out, key, mask_pick(child, sub));
	}
	return (out);
}

/* A new value with what the mask leaves, or NULL if it is not a mask. */
json_t *
mask_apply(json_t *value, const char *text)
{
	struct mask m = { text, 0, false };
	json_t *mask, *out = NULL;

	mask = mask_parse(&m);
	if (!m.bad && *m.p == '\0')
		out = mask_pick(value, mask);
	json_decref(mask);
	return (out);
}
