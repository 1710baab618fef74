/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MESSAGES_H
#define MESSAGES_H

#include "fuzz.h"
#include "imsg.h"
#include "proto.h"

/* messages.c */
bool take_message(struct bytes *, enum role from, enum role to, struct imsg *,
    uint8_t *payload);

#endif /* MESSAGES_H */
