/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/socket.h>

#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_room.h"
#include "log.h"

static struct host *host_get(const char *);
static struct resolve *resolve_get(struct host *, uint16_t);

/*
 * Where a host is.  Newer addresses replace the older ones, for new
 * connections; a look-up that failed leaves those that there are.
 */
void
http_address(const struct msg_addresses *msg)
{
	char list[ADDRESSES_MAX * (ADDRESS_LEN + 3)], ip[16];
	struct resolve *resolve;
	struct host *host;
	uint32_t i;
	size_t at;
	bool v6;

	host = host_get(msg->host);
	at = 0;
	for (i = 0; i < msg->count && i < ADDRESSES_MAX; i++) {
		v6 = strchr(msg->address[i], ':') != NULL;
		if (inet_pton(v6 ? AF_INET6 : AF_INET, msg->address[i], ip) !=
		    1) {
			log_warnx("%s: not an address of %s", __func__,
			    msg->host);
			continue;
		}
		at += (size_t)snprintf(list + at, sizeof(list) - at,
		    v6 ? "%s[%s]" : "%s%s", at > 0 ? "," : "", msg->address[i]);
	}
	if (at == 0) {
		strlcpy(host->error,
		    msg->error[0] != '\0' ? msg->error : "it has none",
		    sizeof(host->error));
		return;
	}
	if (host->addresses != NULL && strcmp(host->addresses, list) == 0)
		return;
	free(host->addresses);
	host->addresses = strdup(list);
	if (host->addresses == NULL)
		fatal("%s", __func__);
	while ((resolve = TAILQ_FIRST(&host->ports)) != NULL) {
		TAILQ_REMOVE(&host->ports, resolve, entry);
		resolve_release(resolve);
	}
}

/*
 * Find what libcurl has to know about the host of a URL; NULL for an address.
 * Returns -1 and why, with the reason, where nothing is known: libcurl must
 * never look a name up.  The caller has to resolve_release() what it got.
 */
int
host_resolve(const char *url, struct resolve **resolve, enum transport *failed,
    char *why, size_t len)
{
	char name[HOST_LEN], ip[16];
	struct host *host;
	uint16_t port;

	*resolve = NULL;
	if (url_host(url, name, sizeof(name), &port) == -1) {
		snprintf(why, len, "not a URL that can be called");
		*failed = TRANSPORT_REQUEST;
		return (-1);
	}
	if (inet_pton(AF_INET, name, ip) == 1 ||
	    inet_pton(AF_INET6, name, ip) == 1)
		return (0);
	host = host_get(name);
	if (host->addresses == NULL) {
		strlcpy(why, host->error, len);
		*failed = TRANSPORT_ADDRESS;
		return (-1);
	}
	*resolve = resolve_get(host, port);
	return (0);
}

/* The entry for CURLOPT_RESOLVE of a host and port, made if there is none. */
static struct resolve *
resolve_get(struct host *host, uint16_t port)
{
	struct resolve *resolve;
	char *entry;
	int n;

	TAILQ_FOREACH(resolve, &host->ports, entry) {
		if (resolve->port == port) {
			resolve->refs++;
			return (resolve);
		}
	}
	resolve = calloc(1, sizeof(*resolve));
	/* Without a "+" before it, it stays: libcurl would look the name up
	 * when its time is over. */
	n = asprintf(&entry, "%s:%u:%s", host->name, port, host->addresses);
	if (resolve == NULL || n == -1)
		fatal("%s", __func__);
	resolve->list = curl_slist_append(NULL, entry);
	if (resolve->list == NULL)
		fatal("%s", __func__);
	free(entry);
	resolve->port = port;
	resolve->refs = 2;
	TAILQ_INSERT_TAIL(&host->ports, resolve, entry);
	return (resolve);
}

void
resolve_release(struct resolve *resolve)
{
	if (--resolve->refs > 0)
		return;
	curl_slist_free_all(resolve->list);
	free(resolve);
}

/* The host of this name, made if it was not known. */
static struct host *
host_get(const char *name)
{
	struct host *host;

	TAILQ_FOREACH(host, &http.hosts, entry) {
		if (strcasecmp(host->name, name) == 0)
			return (host);
	}
	host = calloc(1, sizeof(*host));
	if (host == NULL)
		fatal("%s", __func__);
	strlcpy(host->name, name, sizeof(host->name));
	strlcpy(host->error, "it has not been looked up yet",
	    sizeof(host->error));
	TAILQ_INIT(&host->ports);
	TAILQ_INSERT_TAIL(&http.hosts, host, entry);
	return (host);
}

/*
 * Host (without brackets) and port of an https or http URL.  Stricter than
 * RFC 3986: no user, and nothing in the host that two readers could take
 * differently.
 */
int
url_host(const char *url, char *host, size_t len, uint16_t *port)
{
	const char *from, *end;
	size_t n, otherwise;

	if (strncmp(url, "https://", 8) == 0) {
		from = url + 8;
		otherwise = 443;
	} else if (strncmp(url, "http://", 7) == 0) {
		from = url + 7;
		otherwise = 80;
	} else
		return (-1);
	if (*from == '[') {
		from++;
		n = strspn(from, "0123456789abcdefABCDEF:.");
		if (from[n] != ']')
			return (-1);
		end = from + n + 1;
	} else {
		n = strspn(from,
		    "abcdefghijklmnopqrstuvwxyz"
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");
		end = from + n;
	}
	if (n == 0 || n >= len)
		return (-1);
	memcpy(host, from, n);
	host[n] = '\0';
	n = otherwise;
	if (*end == ':') {
		n = 0;
		for (end++; *end >= '0' && *end <= '9' && n < 65536; end++)
			n = n * 10 + (size_t)(*end - '0');
		if (n < 1 || n > 65535)
			return (-1);
	}
	if (*end != '\0' && strchr("/?#", *end) == NULL)
		return (-1);
	if (port != NULL)
		*port = (uint16_t)n;
	return (0);
}
