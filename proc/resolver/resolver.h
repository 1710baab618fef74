/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_RESOLVER_H
#define MTGCPD_RESOLVER_H

#include "confine.h"

/* rules.c */
extern const struct syscall_rule resolver_rules[];
extern const size_t resolver_nrules;

#endif /* MTGCPD_RESOLVER_H */
