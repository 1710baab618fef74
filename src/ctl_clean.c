/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <err.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

/*
 * What the daemon says may have come from a network: nothing in it is for a
 * terminal to obey.
 */

/* Replace control characters, those of Unicode as well, in valid UTF-8. */
void
clean_text(char *text)
{
	unsigned char *p;

	for (p = (unsigned char *)text; *p != '\0'; p++) {
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';
	}
}

/* Replace a key that is not clean: names of peers are keys.  False: there is
 * none. */
static bool
clean_key(json_t *object)
{
	const char *key;
	json_t *value;
	char *clean;
	bool same;

	json_object_foreach(object, key, value) {
		clean = strdup(key);
		if (clean == NULL)
			err(1, NULL);
		clean_text(clean);
		same = strcmp(clean, key) == 0;
		if (!same) {
			json_object_set(object, clean, value);
			json_object_del(object, key);
		}
		free(clean);
		if (!same)
			return (true);
	}
	return (false);
}

/* The same in all texts of an answer, in their places. */
void
clean_answer(json_t *json)
{
	const char *key;
	json_t *value;
	size_t i;

	/* The text of jansson is as long as before. */
	if (json_is_string(json))
		clean_text((char *)(uintptr_t)json_string_value(json));
	else if (json_is_object(json)) {
		while (clean_key(json))
			continue;
		json_object_foreach(json, key, value)
			clean_answer(value);
	} else
		json_array_foreach(json, i, value)
			clean_answer(value);
}
