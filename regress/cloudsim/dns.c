/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * A name server for one domain, over UDP: whatever lies below sim.test has
 * the address 127.0.0.1.
 */

#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <err.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cloudsim.h"

#define HEADER_LEN     12
#define ANSWER_LEN     16
#define TYPE_A	       1
#define TYPE_AAAA      28
#define RCODE_OK       0
#define RCODE_FORMERR  1
#define RCODE_SERVFAIL 2
#define RCODE_NXDOMAIN 3

struct question {
	char name[256];
	size_t len; /* of the question section */
	int type;
};

/* Reads the one question; -1 if there is none or it is not well-formed. */
static int
question_parse(const unsigned char *msg, size_t len, struct question *q)
{
	size_t at = HEADER_LEN, out = 0, label;

	if (len < HEADER_LEN || msg[4] != 0 || msg[5] != 1)
		return (-1);
	while (at < len && msg[at] != 0) {
		label = msg[at++];
		if (label > 63 || at + label > len ||
		    out + label + 2 > sizeof(q->name))
			return (-1);
		if (out > 0)
			q->name[out++] = '.';
		memcpy(q->name + out, msg + at, label);
		out += label;
		at += label;
	}
	q->name[out] = '\0';
	if (at + 5 > len)
		return (-1);
	q->type = msg[at + 1] << 8 | msg[at + 2];
	q->len = at + 5 - HEADER_LEN;
	return (0);
}

static bool
name_ours(const char *name)
{
	size_t have = strlen(name), want = strlen(SIM_DOMAIN);

	if (have < want || strcasecmp(name + have - want, SIM_DOMAIN) != 0)
		return (false);
	return (have == want || name[have - want - 1] == '.');
}

/* Turns the query in msg into its answer and returns that one's length. */
static size_t
answer_make(unsigned char *msg, const struct question *q, int rcode)
{
	static const unsigned char address[] = { 127, 0, 0, 1 };
	unsigned char *p = msg + HEADER_LEN + q->len;
	uint32_t ttl = htonl((uint32_t)sim.set.dns_ttl);
	bool has = rcode == RCODE_OK && q->type == TYPE_A;

	msg[2] = (unsigned char)(0x84 | (msg[2] & 0x01));
	msg[3] = (unsigned char)(0x80 | rcode);
	memset(msg + 6, 0, 6);
	msg[7] = has;
	if (!has)
		return (HEADER_LEN + q->len);
	/* The name is that of the question, at offset 12. */
	memcpy(p, "\xc0\x0c\x00\x01\x00\x01", 6);
	memcpy(p + 6, &ttl, 4);
	memcpy(p + 10, "\x00\x04", 2);
	memcpy(p + 12, address, 4);
	return (HEADER_LEN + q->len + ANSWER_LEN);
}

static int
decide(const struct question *q)
{
	switch (sim.set.dns_mode) {
	case DNS_SERVFAIL:
		return (RCODE_SERVFAIL);
	case DNS_NXDOMAIN:
		return (RCODE_NXDOMAIN);
	default:
		return (name_ours(q->name) ? RCODE_OK : RCODE_NXDOMAIN);
	}
}

static void
dns_read(evutil_socket_t fd, short what, void *arg)
{
	unsigned char msg[512 + ANSWER_LEN];
	struct sockaddr_in from;
	socklen_t fromlen = sizeof(from);
	struct question q;
	ssize_t n;
	int rcode;

	(void)what;
	(void)arg;
	n = recvfrom(fd, msg, 512, 0, (struct sockaddr *)&from, &fromlen);
	if (n < HEADER_LEN || (msg[2] & 0x80) != 0)
		return;
	if (question_parse(msg, (size_t)n, &q) == -1) {
		q.len = 0;
		msg[5] = 0;
		rcode = RCODE_FORMERR;
	} else {
		rcode = decide(&q);
		if (sim.set.journal)
			journal_event(
			    json_pack("{s:s, s:o, s:i, s:o}", "event", "dns",
				"name", jstr(q.name), "type", q.type, "rcode",
				sim.set.dns_mode == DNS_SILENT ?
				    json_null() :
				    json_integer(rcode)));
	}
	if (sim.set.dns_mode == DNS_SILENT)
		return;
	n = (ssize_t)answer_make(msg, &q, rcode);
	(void)sendto(fd, msg, (size_t)n, 0, (struct sockaddr *)&from, fromlen);
}

int
dns_listen(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	struct event *ev;
	int fd;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1)
		err(1, "DNS socket");
	ev = event_new(sim.base, fd, EV_READ | EV_PERSIST, dns_read, NULL);
	if (ev == NULL || event_add(ev, NULL) == -1)
		errx(1, "DNS event");
	return (ntohs(sin.sin_port));
}
