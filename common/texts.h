/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_TEXTS_H
#define MTGCPD_TEXTS_H

#include <stdbool.h>
#include <stddef.h>

bool texts_overlap(const char **texts, size_t n);

#endif /* MTGCPD_TEXTS_H */
