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
 * parent) for an assertion, exchanges it at the key's token_uri, and does so
 * again well before it expires.  One token a process, one exchange at a time.
 */

/* token.c */
void token_init(struct event_base *);
void token_uri(const char *uri);
const char *token_current(void);
const char *token_problem(void);
void token_refused(const char *token);
void token_retry(void);
void token_when_ready(void (*cb)(void *), void *);
void token_forget_waiter(void (*cb)(void *), void *);
void token_assertion(const struct imsg *);
void token_assert_failed(const struct imsg *);

#endif /* MTGCPD_TOKEN_H */
