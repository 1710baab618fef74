/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_COMMAND_H
#define MTGCPD_COMMAND_H

#include <sys/socket.h>

#include <jansson.h>

#include <stdbool.h>

#include "control.h"

/* A command whose end is waited for. */
struct command;

/* command.c */
struct command *command_begin(const struct control_request *,
    const struct ucred *, json_t **answer, char error[CONTROL_ERROR_LEN]);
bool command_done(struct command *, json_t **answer,
    char error[CONTROL_ERROR_LEN]);
void command_free(struct command *);

#endif /* MTGCPD_COMMAND_H */
