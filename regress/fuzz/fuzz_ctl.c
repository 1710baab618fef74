/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * What mt-gcpctl prints of an answer: a byte with the command, and the JSON.
 * There is nothing in it that a terminal would obey, but the ends of lines.
 */

#include "control.h"
#include "ctl.h"
#include "fuzz.h"

static void
plain(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t i;

	for (i = 0; i < len; i++) {
		HOLDS((p[i] >= ' ' && p[i] != 0x7f) || p[i] == '\n');
		HOLDS(p[i] != 0xc2 || p[i + 1] >= 0xa0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *before = stdout;
	char *text = NULL;
	size_t len = 0;
	struct bytes in = { data, size };
	enum control_command command = take_byte(&in) % CONTROL_COMMANDS;
	json_t *json = json_loadb((const char *)in.data, in.len, 0, NULL);

	if (json == NULL)
		return (0);
	stdout = open_memstream(&text, &len);
	HOLDS(stdout != NULL);
	if (command == CONTROL_MONITOR)
		print_event(json);
	else
		print_answer(command, json);
	fclose(stdout);
	stdout = before;
	plain(text, len);
	free(text);
	json_decref(json);
	return (0);
}
