/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/socket.h>

#include <ares.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "log.h"
#include "resolver.h"

/*
 * The resolver: asks the configured name servers, and nobody else, for the
 * addresses of the hosts that the parent names.
 */

#define TIMEOUT	    2000 /* milliseconds, for the first try */
#define TRIES	    3
#define SOCKETS_MAX 16

/* A socket of c-ares's, in our loop. */
struct watch {
	int fd;
	struct event *event;
};

static struct event_base *base;
static ares_channel ares;
static struct event *timer;
static struct watch watches[SOCKETS_MAX];
static char servers[NAMESERVERS_MAX * (ADDRESS_LEN + 10)];

/* One lookup. */
struct lookup {
	uint32_t id;
	char host[HOST_LEN];
};

/* c-ares wants to be called back after a while, even if nothing comes. */
static void
set_timer(void)
{
	struct timeval tv, *left;

	left = ares_timeout(ares, NULL, &tv);
	if (left == NULL)
		evtimer_del(timer);
	else
		evtimer_add(timer, left);
}

static void
on_timer(evutil_socket_t fd __unused, short what __unused, void *arg __unused)
{
	ares_process_fd(ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer();
}

static void
on_socket(evutil_socket_t fd, short what, void *arg __unused)
{
	ares_process_fd(ares, what & EV_READ ? fd : ARES_SOCKET_BAD,
	    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	set_timer();
}

/* c-ares opens, uses or closes a socket. */
static void
on_state(void *arg __unused, ares_socket_t fd, int readable, int writable)
{
	short what = (short)(EV_PERSIST | (readable ? EV_READ : 0) |
	    (writable ? EV_WRITE : 0));
	struct watch *watch, *unused = NULL;

	for (watch = watches; watch < watches + SOCKETS_MAX; watch++) {
		if (watch->event != NULL && watch->fd == fd)
			break;
		if (watch->event == NULL)
			unused = watch;
	}
	if (watch == watches + SOCKETS_MAX)
		watch = unused;
	else {
		event_free(watch->event);
		watch->event = NULL;
	}
	if (!readable && !writable)
		return;
	if (watch == NULL)
		fatalx("more than %d sockets", SOCKETS_MAX);
	watch->fd = fd;
	watch->event = event_new(base, fd, what, on_socket, NULL);
	if (watch->event == NULL || event_add(watch->event, NULL) == -1)
		fatalx("event_new");
}

/* All addresses, as text, and the shortest of their times to live. */
static void
take_addresses(struct msg_addresses *msg, const struct ares_addrinfo *info)
{
	const struct ares_addrinfo_node *node;
	const void *address;
	uint32_t ttl = UINT32_MAX;

	for (node = info->nodes; node != NULL && msg->count < ADDRESSES_MAX;
	     node = node->ai_next) {
		if (node->ai_family == AF_INET)
			address = &((const struct sockaddr_in *)(const void *)
					node->ai_addr)
				       ->sin_addr;
		else if (node->ai_family == AF_INET6)
			address = &((const struct sockaddr_in6 *)(const void *)
					node->ai_addr)
				       ->sin6_addr;
		else
			continue;
		inet_ntop(node->ai_family, address, msg->address[msg->count++],
		    ADDRESS_LEN);
		if (node->ai_ttl >= 0 && (uint32_t)node->ai_ttl < ttl)
			ttl = (uint32_t)node->ai_ttl;
	}
	msg->ttl = ttl;
}

static void
on_answer(void *arg, int status, int timeouts __unused,
    struct ares_addrinfo *info)
{
	struct lookup *lookup = arg;
	struct msg_addresses msg;

	memset(&msg, 0, sizeof(msg));
	strlcpy(msg.host, lookup->host, sizeof(msg.host));
	if (status == ARES_SUCCESS)
		take_addresses(&msg, info);
	if (msg.count == 0)
		strlcpy(msg.error,
		    status == ARES_SUCCESS ? "the name has no address" :
					     ares_strerror(status),
		    sizeof(msg.error));
	if (info != NULL)
		ares_freeaddrinfo(info);
	if (status != ARES_EDESTRUCTION)
		child_send(IMSG_RESOLVED, lookup->id, &msg, sizeof(msg));
	free(lookup);
}

static void
resolve(const struct imsg *imsg)
{
	/* Without NOSORT c-ares would probe for source addresses. */
	static const struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT,
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	struct msg_resolve msg;
	struct lookup *lookup;

	imsg_get_data(imsg, &msg, sizeof(msg));
	lookup = calloc(1, sizeof(*lookup));
	if (lookup == NULL)
		fatal("lookup");
	lookup->id = imsg->hdr.id;
	strlcpy(lookup->host, msg.host, sizeof(lookup->host));
	ares_getaddrinfo(ares, lookup->host, NULL, &hints, on_answer, lookup);
	set_timer();
}

/* One more name server; an empty address begins a new list. */
static void
nameserver(const struct imsg *imsg)
{
	struct msg_nameserver msg;
	char text[ADDRESS_LEN + 16];
	int r;

	imsg_get_data(imsg, &msg, sizeof(msg));
	if (*msg.address == '\0') {
		servers[0] = '\0';
		return;
	}
	snprintf(text, sizeof(text),
	    strchr(msg.address, ':') == NULL ? "%s%s:%u" : "%s[%s]:%u",
	    servers[0] == '\0' ? "" : ",", msg.address, msg.port);
	if (strlcat(servers, text, sizeof(servers)) >= sizeof(servers))
		fatalx("more than %d name servers", NAMESERVERS_MAX);
	/* c-ares takes no other servers while it waits for an answer of these;
	 * who waits is told, and asks again. */
	ares_cancel(ares);
	r = ares_set_servers_ports_csv(ares, servers);
	if (r != ARES_SUCCESS)
		log_warnx("name servers %s: %s", servers, ares_strerror(r));
}

static void
dispatch(const struct imsg *imsg, void *arg __unused)
{
	switch (imsg->hdr.type) {
	case IMSG_NAMESERVER:
		nameserver(imsg);
		break;
	case IMSG_RESOLVE:
		resolve(imsg);
		break;
	default:
		fatalx("the parent sent %s", proto_name(imsg->hdr.type));
	}
}

/* c-ares reads files and probes the machine only here. */
static void
prepare(struct event_base *loop, const struct child_setup *setup __unused)
{
	char lookups[] = "b"; /* the DNS only, no /etc/hosts */
	struct ares_options options = {
		.flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH |
		    ARES_FLAG_NOALIASES,
		.timeout = TIMEOUT,
		.tries = TRIES,
		.lookups = lookups,
		.sock_state_cb = on_state,
	};
	int r;

	base = loop;
	timer = evtimer_new(base, on_timer, NULL);
	if (timer == NULL)
		fatalx("evtimer_new");
	r = ares_library_init(ARES_LIB_INIT_ALL);
	if (r == ARES_SUCCESS)
		r = ares_init_options(&ares, &options,
		    ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
			ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
	if (r != ARES_SUCCESS)
		fatalx("c-ares: %s", ares_strerror(r));
}

static const char *
libraries(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "c-ares %s", ares_version(NULL));
	return (text);
}

int
main(int argc, char *argv[])
{
	struct child_program program = {
		.role = ROLE_RESOLVER,
		.libraries = libraries,
		.prepare = prepare,
		.rules = resolver_rules,
		.nrules = resolver_nrules,
		.handler = dispatch,
	};

	return (child_main(&program, argc, argv));
}
