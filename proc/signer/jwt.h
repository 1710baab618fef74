/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_JWT_H
#define MTGCPD_JWT_H

#include <openssl/evp.h>

#include <stddef.h>
#include <stdint.h>

#include "proto.h"

/* A service account's key. */
struct key {
	EVP_PKEY *pkey; /* NULL: none */
	char email[HOST_LEN];
	char id[128]; /* may be "" */
	char uri[URL_LEN];
	char host[HOST_LEN];
	uint16_t port;
};

/* jwt.c */
int key_parse(struct key *, const char *text, size_t textlen, char *why,
    size_t len);
void key_clear(struct key *);
char *jwt_make(const struct key *, const char *scope, int64_t now);

#endif /* MTGCPD_JWT_H */
