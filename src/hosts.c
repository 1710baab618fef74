/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "log.h"
#include "mtgcpd.h"

/*
 * The hosts that prober, actuator and reporter talk to.  They are looked up here
 * ahead of time and again before their time to live is over; the children are
 * told, and never ask.
 */

#define DNS_PORT   53
#define TTL_MIN	   30 /* seconds */
#define TTL_MAX	   3600
#define RETRY	   5 /* seconds until a failed lookup is repeated */
#define FIRST_WAIT 5 /* seconds that the first cycle waits for addresses */

struct host {
	TAILQ_ENTRY(host) entry;
	uint32_t id;
	uint32_t roles; /* bit of each role that needs it */
	bool answered;
	bool known; /* there has been an answer with addresses */
	struct msg_addresses addresses;
	struct event *timer;
};

static struct {
	struct event_base *base;
	struct channel *resolver;
	struct channel *child[ROLE_MAX];
	TAILQ_HEAD(, host) hosts;
	uint32_t next;
	struct event *patience;
	void (*ready)(void);
} dns;

static void hosts_lookup(evutil_socket_t, short, void *);

/* Begin with no hosts. */
void
hosts_init(struct event_base *base)
{
	TAILQ_INIT(&dns.hosts);
	dns.base = base;
}

/*
 * Take the host out of an http or https URL that the configuration check or
 * the signer has accepted: into host, without brackets.  Returns the port.
 */
uint16_t
url_split(const char *url, char *host, size_t len)
{
	const char *start, *end;
	unsigned long port = strncmp(url, "https:", 6) == 0 ? 443 : 80;
	size_t n;

	start = strstr(url, "://");
	start = start == NULL ? url : start + 3;
	if (*start == '[') {
		n = strcspn(++start, "]");
		end = start[n] == ']' ? start + n + 1 : start + n;
	} else {
		n = strcspn(start, ":/");
		end = start + n;
	}
	if (*end == ':')
		port = strtoul(end + 1, NULL, 10);
	if (n >= len)
		n = len - 1;
	memcpy(host, start, n);
	host[n] = '\0';
	return ((uint16_t)port);
}

/* The host of the URL is needed by the process of that role. */
void
hosts_add(const char *url, enum role role)
{
	char name[HOST_LEN];
	unsigned char address[sizeof(struct in6_addr)];
	struct host *host;

	url_split(url, name, sizeof(name));
	TAILQ_FOREACH(host, &dns.hosts, entry) {
		if (strcmp(host->addresses.host, name) == 0) {
			host->roles |= 1U << role;
			return;
		}
	}
	host = calloc(1, sizeof(*host));
	if (host == NULL)
		fatal("hosts_add");
	host->id = dns.next++;
	host->roles = 1U << role;
	strlcpy(host->addresses.host, name, sizeof(host->addresses.host));
	if (inet_pton(AF_INET, name, address) == 1 ||
	    inet_pton(AF_INET6, name, address) == 1) {
		host->answered = host->known = true;
		host->addresses.count = 1;
		strlcpy(host->addresses.address[0], name, ADDRESS_LEN);
	}
	host->timer = evtimer_new(dns.base, hosts_lookup, host);
	if (host->timer == NULL)
		fatalx("evtimer_new");
	TAILQ_INSERT_TAIL(&dns.hosts, host, entry);
}

static void
hosts_tell(const struct host *host)
{
	int role;

	for (role = 0; role < ROLE_MAX; role++)
		if ((host->roles & (1U << role)) && dns.child[role] != NULL)
			channel_send(dns.child[role], IMSG_ADDRESSES, 0,
			    &host->addresses, sizeof(host->addresses));
}

static void
hosts_lookup(evutil_socket_t fd __unused, short what __unused, void *arg)
{
	const struct host *host = arg;
	struct msg_resolve msg;

	memset(&msg, 0, sizeof(msg));
	strlcpy(msg.host, host->addresses.host, sizeof(msg.host));
	channel_send(dns.resolver, IMSG_RESOLVE, host->id, &msg, sizeof(msg));
}

/* All hosts have had an answer, or patience is over: the cycles may begin. */
static void
hosts_are_ready(evutil_socket_t fd __unused, short what __unused,
    void *arg __unused)
{
	void (*ready)(void) = dns.ready;

	if (ready == NULL)
		return;
	dns.ready = NULL;
	evtimer_del(dns.patience);
	ready();
}

static void
hosts_check_ready(void)
{
	const struct host *host;

	TAILQ_FOREACH(host, &dns.hosts, entry)
		if (!host->answered && host->roles != 1U << ROLE_REPORTER)
			return;
	hosts_are_ready(-1, 0, NULL);
}

/*
 * Begin to look up all hosts and to tell the children, whose channels stand
 * at their roles.  ready is called once, when every host that a cycle needs has
 * had its first answer or a few seconds have passed.
 */
void
hosts_start(struct channel *const *child, void (*ready)(void))
{
	dns.resolver = child[ROLE_RESOLVER];
	memcpy(dns.child, child, sizeof(dns.child));
	hosts_wait(ready);
}

/*
 * Look up, and tell the children, the hosts that have been added; ready as for
 * hosts_start().
 */
void
hosts_wait(void (*ready)(void))
{
	static const struct timeval wait = { FIRST_WAIT, 0 };
	struct host *host;

	dns.ready = ready;
	if (dns.patience == NULL)
		dns.patience = evtimer_new(dns.base, hosts_are_ready, NULL);
	if (dns.patience == NULL || evtimer_add(dns.patience, &wait) == -1)
		fatalx("evtimer_new");
	TAILQ_FOREACH(host, &dns.hosts, entry) {
		if (host->known)
			hosts_tell(host);
		else if (!host->answered)
			hosts_lookup(-1, 0, host);
	}
	hosts_check_ready();
}

/*
 * Take an answer of the resolver.  A failed lookup leaves the addresses that
 * are known in use, and is repeated soon.
 */
void
hosts_resolved(const struct imsg *imsg)
{
	struct msg_addresses msg;
	struct timeval again = { RETRY, 0 };
	struct host *host;

	imsg_get_data(imsg, &msg, sizeof(msg));
	TAILQ_FOREACH(host, &dns.hosts, entry)
		if (host->id == imsg->hdr.id)
			break;
	if (host == NULL || strcmp(host->addresses.host, msg.host) != 0)
		fatalx("resolver sent the addresses of an unknown host");
	if (msg.count > 0) {
		host->known = true;
		host->addresses = msg;
		again.tv_sec = msg.ttl < TTL_MIN ? TTL_MIN :
		    msg.ttl > TTL_MAX		 ? TTL_MAX :
						   msg.ttl;
		hosts_tell(host);
	} else if (!host->known) {
		host->addresses = msg;
		hosts_tell(host);
	}
	if (msg.count == 0 && (!host->answered || host->known))
		log_warnx("%s: %s", msg.host, msg.error);
	host->answered = true;
	evtimer_add(host->timer, &again);
	hosts_check_ready();
}

static void
add_nameserver(struct nameservers *list, const char *address)
{
	unsigned char bytes[sizeof(struct in6_addr)];
	struct nameserver *server;

	if (inet_pton(AF_INET, address, bytes) != 1 &&
	    inet_pton(AF_INET6, address, bytes) != 1)
		return; /* such as a link-local one with its interface */
	server = calloc(1, sizeof(*server));
	if (server == NULL)
		fatal("add_nameserver");
	strlcpy(server->address, address, sizeof(server->address));
	server->port = DNS_PORT;
	TAILQ_INSERT_TAIL(list, server, entry);
}

/* Add the name servers that a resolv.conf(5) names, as many as may be. */
static void
read_nameservers(FILE *file, struct nameservers *list)
{
	char line[256], address[ADDRESS_LEN];
	int count = 0;

	while (
	    count < NAMESERVERS_MAX && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "nameserver %45s", address) == 1) {
			add_nameserver(list, address);
			count++;
		}
}

/*
 * Add the name servers of resolv.conf(5) to the list, or the one on this host
 * if there are none.
 */
void
hosts_nameservers(struct nameservers *list)
{
	FILE *file;

	file = fopen("/etc/resolv.conf", "re");
	if (file != NULL) {
		read_nameservers(file, list);
		fclose(file);
	}
	if (TAILQ_EMPTY(list))
		add_nameserver(list, "127.0.0.1");
}

/* Forget all hosts. */
void
hosts_free(void)
{
	struct host *host;

	while ((host = TAILQ_FIRST(&dns.hosts)) != NULL) {
		TAILQ_REMOVE(&dns.hosts, host, entry);
		event_free(host->timer);
		free(host);
	}
	if (dns.patience != NULL)
		event_free(dns.patience);
	dns.patience = NULL;
}
