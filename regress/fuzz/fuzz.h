/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef FUZZ_H
#define FUZZ_H

#include <sys/types.h>

#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

/*
 * What the targets share.  A target is one file with LLVMFuzzerTestOneInput(),
 * which libFuzzer or replay.c calls.
 */

/* What is left of an input. */
struct bytes {
	const uint8_t *data;
	size_t len;
};

/* What has to hold, whatever the input is. */
#define HOLDS(condition)                                                       \
	do {                                                                   \
		if (!(condition))                                              \
			fuzz_broken(__FILE__, __LINE__, #condition);           \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* fuzz.c */
void fuzz_broken(const char *file, int line, const char *what) __dead;
uint8_t take_byte(struct bytes *);
void take_bytes(struct bytes *, void *, size_t);
struct bytes take_part(struct bytes *);
char *take_text(struct bytes *);
json_t *take_json(struct bytes *);
bool fuzz_ends(void (*)(void *), void *);
int fuzz_memory(const void *, size_t);

#endif /* FUZZ_H */
