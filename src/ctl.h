/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_CTL_H
#define MTGCPD_CTL_H

#include <jansson.h>

#include "control.h"

/* ctl_clean.c */
void clean_text(char *);
void clean_answer(json_t *);

/* ctl_print.c */
void print_answer(enum control_command, json_t *answer);
void print_event(json_t *event);

/* ctl_words.c */
int words_parse(struct control_request *, int argc, char *argv[], char *why,
    size_t len);
void words_usage(void);

#endif /* MTGCPD_CTL_H */
