/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * How the HTTP client splits a URL, beside the parent's way, which has the same
 * name.
 */

#include "fuzz.h"
#include "urls.h"

#define http		http_of_urls
#define url_host	http_url_host
#define http_address	urls_address
#define host_resolve	urls_resolve
#define resolve_release urls_release
#include "../../common/http_host.c"

struct http_room http_of_urls;
