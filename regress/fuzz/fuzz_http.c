/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * What a client of the metrics sends.
 */

#include <sys/socket.h>

#include <netinet/in.h>

#include <fcntl.h>
#include <unistd.h>

#include "fuzz.h"
#include "reporter.h"

static struct event_base *base;
static struct sockaddr_in address = { .sin_family = AF_INET };

static void
prepare(void)
{
	socklen_t len = sizeof(address);
	int fd;

	world_init();
	base = event_base_new();
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd == -1 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) == -1 ||
	    listen(fd, 16) == -1 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) == -1)
		abort();
	server_start(base, fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct linger at_once = { .l_onoff = 1 };
	static char answer[65536];
	ssize_t n = -1;
	int fd, i;

	if (base == NULL)
		prepare();
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd == -1 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
		abort();
	(void)send(fd, data, size, MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
	for (i = 0; i < 30 && n != 0; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		n = recv(fd, answer, sizeof(answer), 0);
	}
	/* No connection is left waiting for its time to be over. */
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
	event_base_loop(base, EVLOOP_NONBLOCK);
	return (0);
}
