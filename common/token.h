/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_TOKEN_H
#define MTGCPD_TOKEN_H

#include <event2/event.h>

#include <stdint.h>

#include "http.h"
#include "proto.h"

/*
 * The access token of the process that calls: asks the signer (through the
 * parent) for an assertion and exchanges it at the key's token_uri, or asks the
 * actuator for one of a metadata server; and does so again well before it
 * expires.  One token a process, one attempt at a time.
 */

/* token.c */
void token_init(struct event_base *);
void token_source(const struct msg_token_uri *);
const char *token_current(void);
const char *token_problem(void);
void token_refused(const char *token);
void token_retry(void);
void token_when_ready(void (*cb)(void *), void *);
void token_forget_waiter(void (*cb)(void *), void *);
bool token_message(const struct imsg *);
void token_given(const struct msg_token *);
void token_not_given(const char *why);
int token_parse(const struct http_reply *, struct msg_token *, char *why,
    size_t len);

#endif /* MTGCPD_TOKEN_H */
