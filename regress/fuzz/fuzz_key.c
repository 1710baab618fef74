/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * A service account's key file.  A key that is taken signs, or cannot; host
 * and port of its token_uri are those that the HTTP client would take, for the
 * process that connects is confined to them.
 */

#include "fuzz.h"
#include "jwt.h"
#include "urls.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[REASON_LEN] = "", host[HOST_LEN];
	struct key key;
	uint16_t port;
	char *jwt;

	if (key_parse(&key, (const char *)data, size, why, sizeof(why)) == -1) {
		HOLDS(why[0] != '\0' && key.pkey == NULL);
		return (0);
	}
	if (url_host(key.uri, host, sizeof(host), &port) == 0)
		HOLDS(strcmp(host, key.host) == 0 && port == key.port);
	jwt = jwt_make(&key, "scope", 1790000000);
	if (jwt != NULL)
		HOLDS(strspn(jwt,
			  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			  "abcdefghijklmnopqrstuvwxyz0123456789-_.") ==
		    strlen(jwt));
	free(jwt);
	key_clear(&key);
	return (0);
}
