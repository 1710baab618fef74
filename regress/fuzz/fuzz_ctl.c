/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * What mt-gcpctl prints of an answer: a byte with the command, and the JSON.
 */

#include "control.h"
#include "ctl.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	enum control_command command = take_byte(&in) % CONTROL_COMMANDS;
	json_t *json = json_loadb((const char *)in.data, in.len, 0, NULL);

	if (json == NULL)
		return (0);
	if (command == CONTROL_MONITOR)
		print_event(json);
	else
		print_answer(command, json);
	json_decref(json);
	return (0);
}
