/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_PREFIX_H
#define MTGCPD_PREFIX_H

#include <netinet/in.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PREFIX_LEN  (INET6_ADDRSTRLEN + 4) /* address, '/', length, NUL */
#define ADDRESS_LEN INET6_ADDRSTRLEN

/* An IPv4 or IPv6 prefix; prefixes are compared as addresses, never as text. */
struct prefix {
	uint8_t family; /* AF_INET, AF_INET6, or 0: not set */
	uint8_t length;
	uint8_t address[16]; /* network byte order, zero padded */
};

/* prefix.c */
int prefix_parse(const char *text, struct prefix *);
bool prefix_masked(const struct prefix *, struct prefix *masked);
bool prefix_equal(const struct prefix *, const struct prefix *);
bool prefix_overlap(const struct prefix *, const struct prefix *);
const char *prefix_text(const struct prefix *, char *, size_t);

#endif /* MTGCPD_PREFIX_H */
