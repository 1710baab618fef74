/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_PAGE_H
#define MTGCPD_PAGE_H

#include <event2/buffer.h>

/* page.c */
void page_write(struct evbuffer *);
const char *page_policy(void);

#endif /* MTGCPD_PAGE_H */
