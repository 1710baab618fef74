/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/socket.h>

#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "proto.h"

/*
 * The table of all messages, and of what in them a receiver may not take on
 * trust: every string, every enum, every flag and every count.
 */

enum check {
	CHECK_TEXT,   /* a string, its NUL within size bytes */
	CHECK_RANGE,  /* an int32_t or uint32_t between low and high */
	CHECK_PREFIX, /* a struct prefix */
};

struct field {
	enum imsg_type type;
	enum check check;
	size_t offset;
	size_t size;  /* of one element */
	size_t count; /* more than one: an array */
	int32_t low;
	int32_t high;
};

#define BIT(role) (1U << (role))
#define PARENT	  BIT(ROLE_PARENT)
#define RESOLVER  BIT(ROLE_RESOLVER)
#define SIGNER	  BIT(ROLE_SIGNER)
#define PROBER	  BIT(ROLE_PROBER)
#define ACTUATOR  BIT(ROLE_ACTUATOR)
#define REPORTER  BIT(ROLE_REPORTER)
#define HTTPS	  (PROBER | ACTUATOR | REPORTER)
#define CHILDREN  (RESOLVER | SIGNER | HTTPS)

/* A route that a message may take; a type has one row, or two where the
 * parent passes it on.  size 0 and opaque: 1..OPAQUE_MAX bytes. */
struct route {
	enum imsg_type type;
	const char *name;
	uint32_t from;
	uint32_t to;
	size_t size;
	int opaque;
};

#define EMPTY(type, from, to)                                                  \
	{                                                                      \
		type, #type, from, to, 0, 0                                    \
	}
#define BYTES(type, from, to)                                                  \
	{                                                                      \
		type, #type, from, to, 0, 1                                    \
	}
#define STRUCT(type, from, to, name)                                           \
	{                                                                      \
		type, #type, from, to, sizeof(struct name), 0                  \
	}

static const struct route routes[] = {
	STRUCT(IMSG_HELLO, PARENT, CHILDREN, msg_hello),
	STRUCT(IMSG_PORT, PARENT, CHILDREN, msg_port),
	BYTES(IMSG_CA_CHUNK, PARENT, HTTPS),
	EMPTY(IMSG_CA_END, PARENT, HTTPS),
	EMPTY(IMSG_SETUP_END, PARENT, CHILDREN),
	STRUCT(IMSG_READY, CHILDREN, PARENT, msg_ready),
	STRUCT(IMSG_LOG, CHILDREN, PARENT, msg_log),
	STRUCT(IMSG_LOG_LEVEL, PARENT, CHILDREN, msg_level),

	STRUCT(IMSG_NAMESERVER, PARENT, RESOLVER, msg_nameserver),
	STRUCT(IMSG_RESOLVE, PARENT, RESOLVER, msg_resolve),
	STRUCT(IMSG_RESOLVED, RESOLVER, PARENT, msg_addresses),
	STRUCT(IMSG_ADDRESSES, PARENT, HTTPS, msg_addresses),

	BYTES(IMSG_KEY_CHUNK, PARENT, SIGNER),
	EMPTY(IMSG_KEY_END, PARENT, SIGNER),
	STRUCT(IMSG_KEY_LOADED, SIGNER, PARENT, msg_key),
	STRUCT(IMSG_KEY_FAILED, SIGNER, PARENT, msg_failure),
	STRUCT(IMSG_ASSERT, HTTPS, PARENT, msg_assert),
	STRUCT(IMSG_ASSERT, PARENT, SIGNER, msg_assert),
	BYTES(IMSG_ASSERTION, SIGNER, PARENT),
	BYTES(IMSG_ASSERTION, PARENT, HTTPS),
	STRUCT(IMSG_ASSERT_FAILED, SIGNER, PARENT, msg_failure),
	STRUCT(IMSG_ASSERT_FAILED, PARENT, HTTPS, msg_failure),
	EMPTY(IMSG_TOKEN_WANTED, HTTPS, PARENT),
	EMPTY(IMSG_TOKEN_WANTED, PARENT, ACTUATOR),
	STRUCT(IMSG_TOKEN, ACTUATOR, PARENT, msg_token),
	STRUCT(IMSG_TOKEN, PARENT, PROBER | REPORTER, msg_token),
	STRUCT(IMSG_TOKEN_FAILED, ACTUATOR, PARENT, msg_failure),
	STRUCT(IMSG_TOKEN_FAILED, PARENT, PROBER | REPORTER, msg_failure),

	EMPTY(IMSG_CONF_BEGIN, PARENT, HTTPS),
	STRUCT(IMSG_CONF_ENDPOINT, PARENT, HTTPS, msg_endpoint),
	STRUCT(IMSG_CONF_TOKEN_URI, PARENT, HTTPS, msg_token_uri),
	STRUCT(IMSG_CONF_PROBE, PARENT, PROBER, msg_conf_probe),
	STRUCT(IMSG_CONF_SERVICE, PARENT, PROBER, msg_name),
	STRUCT(IMSG_CONF_PEER, PARENT, PROBER | ACTUATOR, msg_name),
	STRUCT(IMSG_CONF_ACCOUNT, PARENT, ACTUATOR, msg_name),
	BYTES(IMSG_CONF_CF_TOKEN, PARENT, ACTUATOR),
	STRUCT(IMSG_CONF_ACT, PARENT, ACTUATOR, msg_conf_act),
	STRUCT(IMSG_CONF_LIMIT, PARENT, PROBER | ACTUATOR, msg_limit),
	STRUCT(IMSG_CONF_CLOUD, PARENT, REPORTER, msg_conf_cloud),
	STRUCT(IMSG_CONF_SHOWN, PARENT, REPORTER, msg_conf_shown),
	EMPTY(IMSG_CONF_COMMIT, PARENT, HTTPS),
	EMPTY(IMSG_CONF_IN_USE, PROBER | ACTUATOR, PARENT),

	STRUCT(IMSG_PROBE, PARENT, PROBER, msg_probe),
	STRUCT(IMSG_PROBE_SERVICE, PROBER, PARENT, msg_probe_service),
	STRUCT(IMSG_PROBE_ENDPOINT, PROBER, PARENT, msg_probe_endpoint),
	STRUCT(IMSG_PROBE_REGION, PROBER, PARENT, msg_probe_region),
	STRUCT(IMSG_PROBE_PEER, PROBER, PARENT, msg_probe_peer),
	STRUCT(IMSG_PROBE_ROUTER, PROBER, PARENT, msg_probe_router),
	STRUCT(IMSG_PROBE_DONE, PROBER, PARENT, msg_probe_done),

	STRUCT(IMSG_PLAN, PARENT, ACTUATOR, msg_plan),
	STRUCT(IMSG_PLAN_PERMIT, PARENT, ACTUATOR, msg_permit),
	STRUCT(IMSG_PLAN_ADVERT, ACTUATOR, PARENT, msg_plan_advert),
	STRUCT(IMSG_PLAN_ROUTES, ACTUATOR, PARENT, msg_plan_routes),
	STRUCT(IMSG_PLAN_DONE, ACTUATOR, PARENT, msg_plan_done),
	EMPTY(IMSG_CF_REFUSED, ACTUATOR, PARENT),

	STRUCT(IMSG_TEST, PARENT, PROBER | ACTUATOR, msg_test),
	STRUCT(IMSG_TESTED, PROBER | ACTUATOR, PARENT, msg_tested),
	STRUCT(IMSG_TEST_DONE, PROBER | ACTUATOR, PARENT, msg_test),

	STRUCT(IMSG_CALLS, PROBER | ACTUATOR, PARENT, msg_calls),
	STRUCT(IMSG_CALLS, PARENT, REPORTER, msg_calls),
	STRUCT(IMSG_REPORT_DAEMON, PARENT, REPORTER, msg_report_daemon),
	STRUCT(IMSG_REPORT_PEER, PARENT, REPORTER, msg_probe_peer),
	STRUCT(IMSG_REPORT_STATE, PARENT, REPORTER, msg_report_state),
	STRUCT(IMSG_REPORT_MOVE, PARENT, REPORTER, msg_report_move),
	STRUCT(IMSG_REPORT_EXPIRY, PARENT, REPORTER, msg_count),
	STRUCT(IMSG_REPORT_REACTION, PARENT, REPORTER, msg_report_reaction),
	BYTES(IMSG_EVENT_CHUNK, PARENT, REPORTER),
	EMPTY(IMSG_EVENT_END, PARENT, REPORTER),
	STRUCT(IMSG_EVENTS_DROPPED, PARENT, REPORTER, msg_count),

	EMPTY(IMSG_STOP, PARENT, ACTUATOR | REPORTER),
};

#define NROUTES (sizeof(routes) / sizeof(routes[0]))

#define MEMBER(name, member) (((struct name *)0)->member)
#define FIELD(type, check, name, member, element, low, high)                   \
	{                                                                      \
		type, check, offsetof(struct name, member), sizeof(element),   \
		    sizeof(MEMBER(name, member)) / sizeof(element), low, high  \
	}
#define TEXT(type, name, member)                                               \
	FIELD(type, CHECK_TEXT, name, member, MEMBER(name, member), 0, 0)
#define TEXTS(type, name, member)                                              \
	FIELD(type, CHECK_TEXT, name, member, MEMBER(name, member)[0], 0, 0)
#define RANGE(type, name, member, low, high)                                   \
	FIELD(type, CHECK_RANGE, name, member, int32_t, low, high)
#define PREFIX(type, name, member)                                             \
	FIELD(type, CHECK_PREFIX, name, member, struct prefix, 0, 0)
#define FLAG(type, name, member)    RANGE(type, name, member, 0, 1)
#define VERDICT(type, name, member) RANGE(type, name, member, V_UNKNOWN, V_YES)
#define STATE(type, name, member)   RANGE(type, name, member, 0, STATES)
#define SIDE(type, name)	    RANGE(type, name, side, 0, SIDES - 1)

static const struct field fields[] = {
	TEXT(IMSG_HELLO, msg_hello, version),
	TEXT(IMSG_HELLO, msg_hello, chroot),
	RANGE(IMSG_HELLO, msg_hello, role, ROLE_RESOLVER, ROLE_MAX - 1),
	RANGE(IMSG_HELLO, msg_hello, log_level, 0, 7),
	FLAG(IMSG_HELLO, msg_hello, drop),
	FLAG(IMSG_HELLO, msg_hello, listens),
	RANGE(IMSG_PORT, msg_port, port, 1, 65535),
	TEXT(IMSG_READY, msg_ready, version),
	RANGE(IMSG_LOG, msg_log, level, LOG_ERR, LOG_DEBUG),
	TEXT(IMSG_LOG, msg_log, corr),
	TEXT(IMSG_LOG, msg_log, text),
	RANGE(IMSG_LOG_LEVEL, msg_level, level, LOG_ERR, LOG_DEBUG),

	TEXT(IMSG_NAMESERVER, msg_nameserver, address),
	RANGE(IMSG_NAMESERVER, msg_nameserver, port, 0, 65535),
	TEXT(IMSG_RESOLVE, msg_resolve, host),
	TEXT(IMSG_RESOLVED, msg_addresses, host),
	TEXT(IMSG_RESOLVED, msg_addresses, error),
	TEXTS(IMSG_RESOLVED, msg_addresses, address),
	RANGE(IMSG_RESOLVED, msg_addresses, count, 0, ADDRESSES_MAX),
	TEXT(IMSG_ADDRESSES, msg_addresses, host),
	TEXT(IMSG_ADDRESSES, msg_addresses, error),
	TEXTS(IMSG_ADDRESSES, msg_addresses, address),
	RANGE(IMSG_ADDRESSES, msg_addresses, count, 0, ADDRESSES_MAX),

	TEXT(IMSG_KEY_LOADED, msg_key, token_uri),
	TEXT(IMSG_KEY_LOADED, msg_key, host),
	TEXT(IMSG_KEY_LOADED, msg_key, client_email),
	RANGE(IMSG_KEY_LOADED, msg_key, port, 1, 65535),
	TEXT(IMSG_KEY_FAILED, msg_failure, reason),
	FLAG(IMSG_ASSERT, msg_assert, refused),
	TEXT(IMSG_ASSERT_FAILED, msg_failure, reason),
	RANGE(IMSG_TOKEN, msg_token, lifetime, 1, LIFETIME_MAX),
	TEXT(IMSG_TOKEN, msg_token, token),
	TEXT(IMSG_TOKEN_FAILED, msg_failure, reason),

	RANGE(IMSG_CONF_ENDPOINT, msg_endpoint, api, 0, API_MAX - 1),
	TEXT(IMSG_CONF_ENDPOINT, msg_endpoint, url),
	TEXT(IMSG_CONF_TOKEN_URI, msg_token_uri, url),
	FLAG(IMSG_CONF_TOKEN_URI, msg_token_uri, metadata),
	TEXT(IMSG_CONF_PROBE, msg_conf_probe, project),
	TEXTS(IMSG_CONF_PROBE, msg_conf_probe, region),
	TEXT(IMSG_CONF_PROBE, msg_conf_probe, router_project),
	TEXTS(IMSG_CONF_PROBE, msg_conf_probe, router),
	TEXTS(IMSG_CONF_PROBE, msg_conf_probe, router_region),
	PREFIX(IMSG_CONF_PROBE, msg_conf_probe, prefix),
	RANGE(IMSG_CONF_PROBE, msg_conf_probe, require_percent, 1, 100),
	FLAG(IMSG_CONF_PROBE, msg_conf_probe, bgp_all),
	TEXT(IMSG_CONF_SERVICE, msg_name, name),
	TEXT(IMSG_CONF_PEER, msg_name, name),
	TEXT(IMSG_CONF_ACCOUNT, msg_name, name),
	TEXT(IMSG_CONF_ACT, msg_conf_act, project),
	TEXT(IMSG_CONF_ACT, msg_conf_act, region),
	TEXT(IMSG_CONF_ACT, msg_conf_act, router),
	TEXT(IMSG_CONF_ACT, msg_conf_act, match),
	PREFIX(IMSG_CONF_ACT, msg_conf_act, prefix),
	RANGE(IMSG_CONF_ACT, msg_conf_act, priority, 1, 1000),
	RANGE(IMSG_CONF_ACT, msg_conf_act, failed, 1, 1000),
	FLAG(IMSG_CONF_ACT, msg_conf_act, passive),

	RANGE(IMSG_CONF_LIMIT, msg_limit, rate, 1, LIMIT_MAX),
	RANGE(IMSG_CONF_LIMIT, msg_limit, burst, 1, LIMIT_MAX),

	TEXT(IMSG_PROBE, msg_probe, corr),
	RANGE(IMSG_PROBE, msg_probe, parts, 0, PARTS_ALL),
	FLAG(IMSG_PROBE, msg_probe, urgent),
	SIDE(IMSG_PROBE_SERVICE, msg_probe_service),
	VERDICT(IMSG_PROBE_SERVICE, msg_probe_service, verdict),
	FLAG(IMSG_PROBE_SERVICE, msg_probe_service, empty),
	TEXT(IMSG_PROBE_SERVICE, msg_probe_service, name),
	TEXT(IMSG_PROBE_SERVICE, msg_probe_service, reason),
	SIDE(IMSG_PROBE_ENDPOINT, msg_probe_endpoint),
	TEXT(IMSG_PROBE_ENDPOINT, msg_probe_endpoint, service),
	TEXT(IMSG_PROBE_ENDPOINT, msg_probe_endpoint, group),
	TEXT(IMSG_PROBE_ENDPOINT, msg_probe_endpoint, endpoint),
	TEXT(IMSG_PROBE_ENDPOINT, msg_probe_endpoint, state),
	TEXT(IMSG_PROBE_ENDPOINT, msg_probe_endpoint, reason),
	SIDE(IMSG_PROBE_REGION, msg_probe_region),
	FLAG(IMSG_PROBE_REGION, msg_probe_region, complete),
	TEXT(IMSG_PROBE_REGION, msg_probe_region, error),
	SIDE(IMSG_PROBE_PEER, msg_probe_peer),
	VERDICT(IMSG_PROBE_PEER, msg_probe_peer, status),
	FLAG(IMSG_PROBE_PEER, msg_probe_peer, enabled),
	FLAG(IMSG_PROBE_PEER, msg_probe_peer, custom),
	TEXT(IMSG_PROBE_PEER, msg_probe_peer, name),
	TEXT(IMSG_PROBE_PEER, msg_probe_peer, state),
	SIDE(IMSG_PROBE_ROUTER, msg_probe_router),
	VERDICT(IMSG_PROBE_ROUTER, msg_probe_router, verdict),
	FLAG(IMSG_PROBE_ROUTER, msg_probe_router, read),
	VERDICT(IMSG_PROBE_ROUTER, msg_probe_router, announces),
	RANGE(IMSG_PROBE_ROUTER, msg_probe_router, configured, PRESENCE_UNKNOWN,
	    PRESENCE_ALL),
	TEXT(IMSG_PROBE_ROUTER, msg_probe_router, error),

	RANGE(IMSG_PROBE_DONE, msg_probe_done, failed_parts, 0, PARTS_ALL),

	TEXT(IMSG_PLAN, msg_plan, corr),
	RANGE(IMSG_PLAN, msg_plan, prefix, ADVERT_KEEP, ADVERT_WITHDRAW),
	RANGE(IMSG_PLAN, msg_plan, cloudflare, STEER_KEEP, STEER_FAILED),
	FLAG(IMSG_PLAN, msg_plan, repair),
	RANGE(IMSG_PLAN, msg_plan, blocked, 0, HALVES_ALL),
	FLAG(IMSG_PLAN_PERMIT, msg_permit, proceed),
	RANGE(IMSG_PLAN_ADVERT, msg_plan_advert, which, 0, PREFIXES - 1),
	FLAG(IMSG_PLAN_ADVERT, msg_plan_advert, advertise),
	RANGE(IMSG_PLAN_ADVERT, msg_plan_advert, result, 0, RESULT_SKIPPED),
	VERDICT(IMSG_PLAN_ADVERT, msg_plan_advert, effect),
	TEXT(IMSG_PLAN_ADVERT, msg_plan_advert, operation_id),
	TEXT(IMSG_PLAN_ADVERT, msg_plan_advert, request_id),
	TEXT(IMSG_PLAN_ADVERT, msg_plan_advert, ranges_before),
	TEXT(IMSG_PLAN_ADVERT, msg_plan_advert, ranges_after),
	TEXT(IMSG_PLAN_ADVERT, msg_plan_advert, error),
	TEXT(IMSG_PLAN_ADVERT, msg_plan_advert, why),
	RANGE(IMSG_PLAN_ROUTES, msg_plan_routes, result, 0, RESULT_SKIPPED),
	TEXT(IMSG_PLAN_ROUTES, msg_plan_routes, error),
	TEXT(IMSG_PLAN_ROUTES, msg_plan_routes, why),
	RANGE(IMSG_PLAN_DONE, msg_plan_done, status, 0, PLAN_SKIPPED),
	RANGE(IMSG_PLAN_DONE, msg_plan_done, reached, 0, HALVES_ALL),
	RANGE(IMSG_PLAN_DONE, msg_plan_done, failed_at, 0, HALVES_ALL),
	TEXT(IMSG_PLAN_DONE, msg_plan_done, step),
	TEXT(IMSG_PLAN_DONE, msg_plan_done, error),
	RANGE(IMSG_TESTED, msg_tested, api, 0, API_MAX - 1),
	RANGE(IMSG_TESTED, msg_tested, result, 0, RESULT_SKIPPED),
	TEXT(IMSG_TESTED, msg_tested, operation),
	TEXT(IMSG_TESTED, msg_tested, subject),
	TEXT(IMSG_TESTED, msg_tested, error),

	TEXT(IMSG_CONF_CLOUD, msg_conf_cloud, project),
	TEXT(IMSG_CONF_CLOUD, msg_conf_cloud, log),
	TEXT(IMSG_CONF_CLOUD, msg_conf_cloud, location),
	TEXT(IMSG_CONF_CLOUD, msg_conf_cloud, node),
	TEXT(IMSG_CONF_SHOWN, msg_conf_shown, name),
	TEXT(IMSG_CONF_SHOWN, msg_conf_shown, project),
	TEXTS(IMSG_CONF_SHOWN, msg_conf_shown, region),
	TEXTS(IMSG_CONF_SHOWN, msg_conf_shown, router),
	PREFIX(IMSG_CONF_SHOWN, msg_conf_shown, prefix),

	RANGE(IMSG_CALLS, msg_calls, api, 0, CALLED_MAX - 1),
	RANGE(IMSG_CALLS, msg_calls, method, 0, METHODS - 1),
	RANGE(IMSG_CALLS, msg_calls, status, 0, 999),
	FLAG(IMSG_CALLS, msg_calls, skew_known),
	SIDE(IMSG_REPORT_PEER, msg_probe_peer),
	VERDICT(IMSG_REPORT_PEER, msg_probe_peer, status),
	FLAG(IMSG_REPORT_PEER, msg_probe_peer, enabled),
	FLAG(IMSG_REPORT_PEER, msg_probe_peer, custom),
	TEXT(IMSG_REPORT_PEER, msg_probe_peer, name),
	TEXT(IMSG_REPORT_PEER, msg_probe_peer, state),
	FLAG(IMSG_REPORT_STATE, msg_report_state, ended),
	RANGE(IMSG_REPORT_STATE, msg_report_state, result, 0, RESULT_SKIPPED),
	STATE(IMSG_REPORT_STATE, msg_report_state, read),
	STATE(IMSG_REPORT_STATE, msg_report_state, current),
	STATE(IMSG_REPORT_STATE, msg_report_state, acting),
	STATE(IMSG_REPORT_STATE, msg_report_state, candidate),
	VERDICT(IMSG_REPORT_STATE, msg_report_state, verdict),
	VERDICT(IMSG_REPORT_STATE, msg_report_state, announces),
	RANGE(IMSG_REPORT_STATE, msg_report_state, held, 0, HELD_ALL),
	FLAG(IMSG_REPORT_STATE, msg_report_state, passive),
	RANGE(IMSG_REPORT_STATE, msg_report_state, breaker, 0, 2),
	TEXT(IMSG_REPORT_STATE, msg_report_state, plan),
	RANGE(IMSG_REPORT_STATE, msg_report_state, prefix, ADVERT_KEEP,
	    ADVERT_WITHDRAW),
	RANGE(IMSG_REPORT_STATE, msg_report_state, cloudflare, STEER_KEEP,
	    STEER_FAILED),
	STATE(IMSG_REPORT_MOVE, msg_report_move, from),
	STATE(IMSG_REPORT_MOVE, msg_report_move, to),
	FLAG(IMSG_REPORT_MOVE, msg_report_move, fresh),
	VERDICT(IMSG_REPORT_MOVE, msg_report_move, local),
	VERDICT(IMSG_REPORT_MOVE, msg_report_move, remote),
	VERDICT(IMSG_REPORT_MOVE, msg_report_move, remote_bgp),
	TEXT(IMSG_REPORT_MOVE, msg_report_move, failover),
	RANGE(IMSG_REPORT_REACTION, msg_report_reaction, phase, 0,
	    REACTION_MAX - 1),
};

#define NFIELDS (sizeof(fields) / sizeof(fields[0]))

/* The name of a message type, for the log. */
const char *
proto_name(uint32_t type)
{
	size_t i;

	for (i = 0; i < NROUTES; i++)
		if (routes[i].type == type)
			return (routes[i].name);
	return ("a message of an unknown type");
}

/* The name of a process, as in its title. */
const char *
role_name(enum role role)
{
	static const char *const names[ROLE_MAX] = {
		[ROLE_PARENT] = "parent",
		[ROLE_RESOLVER] = "resolver",
		[ROLE_SIGNER] = "signer",
		[ROLE_PROBER] = "prober",
		[ROLE_ACTUATOR] = "actuator",
		[ROLE_REPORTER] = "reporter",
	};

	return (names[role]);
}

/*
 * The OAuth scope of the tokens of that process, which says what it may do at
 * most; NULL: it has none.
 */
const char *
role_scope(enum role role)
{
	static const char *const scopes[ROLE_MAX] = {
		[ROLE_PROBER] =
		    "https://www.googleapis.com/auth/compute.readonly",
		[ROLE_ACTUATOR] = "https://www.googleapis.com/auth/compute",
		[ROLE_REPORTER] =
		    "https://www.googleapis.com/auth/logging.write",
	};

	return (scopes[role]);
}

static const struct route *
find_route(uint32_t type, enum role sender, enum role receiver)
{
	const struct route *route;

	for (route = routes; route < routes + NROUTES; route++)
		if (route->type == type && (route->from & BIT(sender)) &&
		    (route->to & BIT(receiver)))
			return (route);
	return (NULL);
}

static int
check_prefix(const unsigned char *bytes)
{
	struct prefix prefix;

	memcpy(&prefix, bytes, sizeof(prefix));
	switch (prefix.family) {
	case AF_INET:
		return (prefix.length <= 32);
	case AF_INET6:
		return (prefix.length <= 128);
	default:
		return (0);
	}
}

static int
check_field(const struct field *field, const unsigned char *bytes)
{
	int32_t number;
	size_t i;

	for (i = 0; i < field->count; i++, bytes += field->size) {
		switch (field->check) {
		case CHECK_TEXT:
			if (memchr(bytes, '\0', field->size) == NULL)
				return (0);
			break;
		case CHECK_RANGE:
			memcpy(&number, bytes, sizeof(number));
			if (number < field->low || number > field->high)
				return (0);
			break;
		case CHECK_PREFIX:
			if (!check_prefix(bytes))
				return (0);
			break;
		}
	}
	return (1);
}

/*
 * May sender send this message to receiver, is it of the right length, and is
 * everything in it that can be wrong right?  Returns -1 and says why not.  A
 * message that fails means that its sender is compromised, or of another
 * build.
 */
int
proto_check(const struct imsg *imsg, enum role sender, enum role receiver,
    char *why, size_t len)
{
	const struct route *route;
	size_t i;

	route = find_route(imsg->hdr.type, sender, receiver);
	if (route == NULL) {
		snprintf(why, len, "sent %s (%u) to the %s, which it may not",
		    proto_name(imsg->hdr.type), imsg->hdr.type,
		    role_name(receiver));
		return (-1);
	}
	if (route->opaque ? imsg->len == 0 || imsg->len > OPAQUE_MAX :
			    imsg->len != route->size) {
		snprintf(why, len, "sent %s of %zu bytes, not %zu", route->name,
		    imsg->len, route->size);
		return (-1);
	}
	for (i = 0; i < NFIELDS; i++) {
		if (fields[i].type == imsg->hdr.type &&
		    !check_field(&fields[i],
			(const unsigned char *)imsg->data + fields[i].offset)) {
			snprintf(why, len,
			    "sent %s with a bad value at byte "
			    "%zu",
			    route->name, fields[i].offset);
			return (-1);
		}
	}
	return (0);
}
