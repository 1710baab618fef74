/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * The resolver: messages of the parent, and what the DNS answers: for each
 * lookup a status and how many addresses, of a byte each that says what they
 * are.
 */

#define main resolver_main
int main(int, char *[]);
#include "../../proc/resolver/resolver.c"
#undef main

#include "messages.h"
#include "clouds.h"

static struct bytes in;

const char *__asan_default_options(void);

/* When it ends it forgets what it holds. */
const char *
__asan_default_options(void)
{
	return ("detect_leaks=0");
}

void
ares_freeaddrinfo(struct ares_addrinfo *info)
{
	struct ares_addrinfo_node *node;

	while ((node = info->nodes) != NULL) {
		info->nodes = node->ai_next;
		free(node->ai_addr);
		free(node);
	}
	free(info);
}

void
ares_getaddrinfo(ares_channel channel __unused, const char *host __unused,
    const char *service __unused,
    const struct ares_addrinfo_hints *hints __unused,
    ares_addrinfo_callback callback, void *arg)
{
	struct ares_addrinfo *info = calloc(1, sizeof(*info));
	struct ares_addrinfo_node *node;
	int status = take_byte(&in) % (ARES_ECANCELLED + 1);
	int n = take_byte(&in) % 40;

	while (n-- > 0) {
		node = calloc(1, sizeof(*node));
		node->ai_family = (int[]){ AF_INET, AF_INET6,
			AF_UNIX }[take_byte(&in) % 3];
		take_bytes(&in, &node->ai_ttl, sizeof(node->ai_ttl));
		node->ai_addr = calloc(1, sizeof(struct sockaddr_in6));
		take_bytes(&in, node->ai_addr, sizeof(struct sockaddr_in6));
		node->ai_next = info->nodes;
		info->nodes = node;
	}
	if (status != ARES_SUCCESS) {
		ares_freeaddrinfo(info);
		info = NULL;
	}
	callback(arg, status, 0, info);
}

static void
hear(void *arg)
{
	dispatch(arg, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t payload[IMSG_SIZE_MAX];
	struct imsg imsg;

	own_role = ROLE_RESOLVER;
	if (ares == NULL)
		prepare(NULL, NULL);
	in = (struct bytes){ data, size };
	while (take_message(&in, ROLE_PARENT, own_role, &imsg, payload))
		(void)fuzz_ends(hear, &imsg);
	servers[0] = '\0';
	return (0);
}
