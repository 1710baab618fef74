/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef URLS_H
#define URLS_H

#include <stddef.h>
#include <stdint.h>

/* Of common/http_host.c, whose header has names that the parent's has, too. */
int url_host(const char *url, char *host, size_t, uint16_t *port);

#endif /* URLS_H */
