/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_PROTO_H
#define MTGCPD_PROTO_H

#include <stddef.h>
#include <stdint.h>

#include "imsg.h"
#include "prefix.h"
#include "verdict.h"

/*
 * What the processes say to each other.  Every type has one sender, one
 * receiver (or: parent to any child, any child to parent) and one payload: a
 * fixed-size struct, or opaque bytes of bounded length where a key, a token,
 * an assertion or a CA bundle travels.  proto_check() holds every message
 * against this before anyone looks at it.
 */

#define NAMESERVERS_MAX 8

#define VERSION_LEN   64
#define PROJECT_LEN   96
#define REGION_LEN    64
#define NAME_LEN      64 /* routers, peers, services: RFC 1035 labels */
#define FAILOVER_LEN  64
#define ACCOUNT_LEN   64
#define MATCH_LEN     256
#define URL_LEN	      512
#define HOST_LEN      256
#define CORR_LEN      48  /* correlation id */
#define REASON_LEN    512 /* the text of an error */
#define LOGTEXT_LEN   1024
#define LOG_NAME_LEN  256 /* of a log at Cloud Logging */
#define GROUP_LEN     256
#define ENDPOINT_LEN  192
#define STATE_LEN     32
#define ID_LEN	      64 /* operation and request ids */
#define RANGES_LEN    4096
#define PATHNAME_LEN  256
#define ADDRESSES_MAX 16
#define OPAQUE_MAX    8192
#define TOKEN_LEN     8192	  /* of an access token */
#define LIFETIME_MAX  (24 * 3600) /* of an access token; seconds */
#define EVENT_MAX     (64 * 1024) /* bytes of an event, as JSON */
#define UNHEALTHY_MAX 20	  /* sick endpoints reported for a region */
#define LIMIT_MAX     1000000000  /* of both numbers of msg_limit */

enum role {
	ROLE_PARENT,
	ROLE_RESOLVER,
	ROLE_SIGNER,
	ROLE_PROBER,
	ROLE_ACTUATOR,
	ROLE_REPORTER,
	ROLE_MAX,
};

enum api {
	API_COMPUTE,
	API_CLOUDFLARE,
	API_LOGGING,
	API_MAX,
};

/* Whom a request was made to; counted, see struct msg_calls. */
enum called {
	CALLED_COMPUTE,
	CALLED_CLOUDFLARE,
	CALLED_OAUTH,
	CALLED_LOGGING,
	CALLED_MAX,
};

#define STATES 8 /* numbered from 1; 0: not known enough */

#define METHODS	     4 /* of HTTP: see http.h */
#define CALL_BUCKETS 13

/* The parts of a cycle, each behind a circuit breaker of its own; bits of
 * msg_probe.parts and msg_probe_done.failed_parts. */
enum part {
	PART_HEALTH_LOCAL = 1 << 0,
	PART_HEALTH_REMOTE = 1 << 1,
	PART_BGP = 1 << 2, /* both routers */
	PARTS_ALL = (1 << 3) - 1,
};

/* The halves of a plan, likewise; bits of msg_plan.blocked and of
 * msg_plan_done.reached and .failed_at. */
enum half {
	HALF_ROUTER = 1 << 0,
	HALF_ROUTES = 1 << 1,
	HALVES_ALL = (1 << 2) - 1,
};

enum imsg_type {
	IMSG_NONE,

	/* Start-up: what a child needs before it confines itself. */
	IMSG_HELLO,	/* parent -> any: struct msg_hello */
	IMSG_PORT,	/* parent -> any: struct msg_port */
	IMSG_CA_CHUNK,	/* parent -> prober, actuator, reporter: opaque (PEM) */
	IMSG_CA_END,	/* parent -> prober, actuator, reporter: nothing */
	IMSG_SETUP_END, /* parent -> any: nothing */
	IMSG_READY,	/* any -> parent: struct msg_ready */
	IMSG_LOG,	/* any -> parent: struct msg_log */
	IMSG_LOG_LEVEL, /* parent -> any: struct msg_level */

	/* Names.  id: the parent's number of the lookup. */
	IMSG_NAMESERVER, /* parent -> resolver: struct msg_nameserver */
	IMSG_RESOLVE,	 /* parent -> resolver: struct msg_resolve */
	IMSG_RESOLVED,	 /* resolver -> parent: struct msg_addresses */
	IMSG_ADDRESSES,	 /* parent -> prober, actuator, reporter:
				 struct msg_addresses */

	/* Keys and assertions.  id of keys: the role that the key serves. */
	IMSG_KEY_CHUNK,	    /* parent -> signer: opaque (JSON) */
	IMSG_KEY_END,	    /* parent -> signer: nothing */
	IMSG_KEY_LOADED,    /* signer -> parent: struct msg_key */
	IMSG_KEY_FAILED,    /* signer -> parent: struct msg_failure */
	IMSG_ASSERT,	    /* prober, actuator, reporter -> parent:
				 struct msg_assert;
				 parent -> signer: the same, id: the role */
	IMSG_ASSERTION,	    /* signer -> parent -> who asked: opaque (JWT) */
	IMSG_ASSERT_FAILED, /* signer -> parent -> who asked:
				 struct msg_failure */

	/* Tokens of a metadata server, which the actuator fetches for all.  id:
	 * the role whose token it is. */
	IMSG_TOKEN_WANTED, /* prober, actuator, reporter -> parent -> actuator:
				 nothing */
	IMSG_TOKEN,	   /* actuator -> parent -> prober, reporter:
				 struct msg_token */
	IMSG_TOKEN_FAILED, /* actuator -> parent -> prober, reporter:
				 struct msg_failure */

	/* Configuration of prober, actuator and reporter: BEGIN, the rest in
	 * any order, COMMIT.  id: the index of the failover or account. */
	IMSG_CONF_BEGIN,     /* parent -> those three: nothing */
	IMSG_CONF_ENDPOINT,  /* parent -> those three: struct msg_endpoint */
	IMSG_CONF_TOKEN_URI, /* parent -> those three:
				 struct msg_token_uri; id: the role whose tokens
				 come from there, another one only to the
				 actuator and only where it fetches them */
	IMSG_CONF_PROBE,     /* parent -> prober: struct msg_conf_probe */
	IMSG_CONF_SERVICE,   /* parent -> prober: struct msg_name */
	IMSG_CONF_PEER,	     /* parent -> prober, actuator: struct msg_name */
	IMSG_CONF_ACCOUNT,   /* parent -> actuator: struct msg_name */
	IMSG_CONF_CF_TOKEN,  /* parent -> actuator: opaque */
	IMSG_CONF_ACT,	     /* parent -> actuator: struct msg_conf_act */
	IMSG_CONF_LIMIT,     /* parent -> prober, actuator: struct msg_limit */
	IMSG_CONF_CLOUD,     /* parent -> reporter: struct msg_conf_cloud */
	IMSG_CONF_SHOWN,     /* parent -> reporter: struct msg_conf_shown */
	IMSG_CONF_COMMIT,    /* parent -> those three: nothing */
	IMSG_CONF_IN_USE,    /* prober, actuator -> parent: nothing; nothing of
				 the configuration before is under way */

	/* Probing.  id: the failover. */
	IMSG_PROBE,	     /* parent -> prober: struct msg_probe */
	IMSG_PROBE_SERVICE,  /* prober -> parent: struct msg_probe_service */
	IMSG_PROBE_ENDPOINT, /* prober -> parent: struct msg_probe_endpoint */
	IMSG_PROBE_REGION,   /* prober -> parent: struct msg_probe_region */
	IMSG_PROBE_PEER,     /* prober -> parent: struct msg_probe_peer */
	IMSG_PROBE_ROUTER,   /* prober -> parent: struct msg_probe_router */
	IMSG_PROBE_DONE,     /* prober -> parent: struct msg_probe_done */

	/* Acting.  id: the failover; of CF_REFUSED: the account. */
	IMSG_PLAN,	  /* parent -> actuator: struct msg_plan */
	IMSG_PLAN_PERMIT, /* parent -> actuator: struct msg_permit */
	IMSG_PLAN_ADVERT, /* actuator -> parent: struct msg_plan_advert */
	IMSG_PLAN_ROUTES, /* actuator -> parent: struct msg_plan_routes */
	IMSG_PLAN_DONE,	  /* actuator -> parent: struct msg_plan_done */
	IMSG_CF_REFUSED,  /* actuator -> parent: nothing; the token file is
				 read again and CONF_CF_TOKEN sent */

	/* Connectivity tests.  id: the failover. */
	IMSG_TEST,	/* parent -> prober, actuator: struct msg_test */
	IMSG_TESTED,	/* prober, actuator -> parent: struct msg_tested */
	IMSG_TEST_DONE, /* prober, actuator -> parent: struct msg_test */

	/* Reports.  id: the failover, where there is one. */
	IMSG_CALLS,	      /* prober, actuator -> parent -> reporter:
				 struct msg_calls */
	IMSG_REPORT_DAEMON,   /* parent -> reporter: struct msg_report_daemon */
	IMSG_REPORT_PEER,     /* parent -> reporter: struct msg_probe_peer */
	IMSG_REPORT_STATE,    /* parent -> reporter: struct msg_report_state */
	IMSG_REPORT_MOVE,     /* parent -> reporter: struct msg_report_move */
	IMSG_REPORT_EXPIRY,   /* parent -> reporter: struct msg_count; when the
				 Cloudflare token ends, in seconds since the
				 epoch, 0: not known */
	IMSG_REPORT_REACTION, /* parent -> reporter:
				 struct msg_report_reaction */
	IMSG_EVENT_CHUNK,     /* parent -> reporter: opaque (JSON) */
	IMSG_EVENT_END,	      /* parent -> reporter: nothing */
	IMSG_EVENTS_DROPPED,  /* parent -> reporter: struct msg_count */

	IMSG_STOP, /* parent -> actuator, reporter: nothing; finish the call
				 in flight and exit.  The actuator begins no
				 other; the reporter writes what is queued */

	IMSG_MAX,
};

struct msg_hello {
	char version[VERSION_LEN];
	uint32_t role;	   /* enum role: who the child is to be */
	int32_t log_level; /* syslog(3) priority */
	uint32_t drop;	   /* 1: chroot and change user as below */
	uint32_t uid;
	uint32_t gid;
	uint32_t listens; /* 1: descriptor LISTEN_FD is a socket that listens */
	char chroot[PATHNAME_LEN];
};

struct msg_port {
	uint32_t port; /* TCP, 1..65535: where the child may connect to */
};

struct msg_ready {
	char version[VERSION_LEN];
	int32_t landlock_abi; /* 0: the kernel has none */
};

struct msg_log {
	int32_t level; /* syslog(3) priority */
	char corr[CORR_LEN];
	char text[LOGTEXT_LEN];
};

struct msg_level {
	int32_t level; /* syslog(3) priority, up to which lines are sent */
};

/* One more name server; an empty address begins a new list. */
struct msg_nameserver {
	char address[ADDRESS_LEN];
	uint32_t port;
};

struct msg_resolve {
	char host[HOST_LEN];
};

/* The addresses of a host; none: error says why. */
struct msg_addresses {
	char host[HOST_LEN];
	uint32_t ttl; /* seconds */
	uint32_t count;
	char address[ADDRESSES_MAX][ADDRESS_LEN];
	char error[REASON_LEN];
};

/* A key that the signer took: where its assertions are exchanged. */
struct msg_key {
	char token_uri[URL_LEN];
	char host[HOST_LEN]; /* of token_uri, without brackets */
	uint32_t port;
	char client_email[HOST_LEN];
};

struct msg_failure {
	char reason[REASON_LEN];
};

struct msg_assert {
	uint32_t refused; /* 1: the last token was answered with 401, so the
			     key file may have changed */
};

struct msg_endpoint {
	uint32_t api; /* enum api */
	char url[URL_LEN];
};

struct msg_token_uri {
	char url[URL_LEN];
	uint32_t metadata; /* 1: of a metadata server, asked by the actuator */
};

struct msg_token {
	uint32_t lifetime; /* seconds */
	char token[TOKEN_LEN];
};

struct msg_name {
	char name[NAME_LEN];
};

/* What the prober looks at for one failover.  Times in milliseconds. */
struct msg_conf_probe {
	char project[PROJECT_LEN];
	char region[SIDES][REGION_LEN];
	char router_project[PROJECT_LEN];
	char router[SIDES][NAME_LEN];
	char router_region[SIDES][REGION_LEN];
	struct prefix prefix[PREFIXES]; /* the local daemon's */
	uint32_t require_percent;
	uint32_t bgp_all; /* 1: all enabled peers must be up */
	uint32_t connect_timeout;
	uint32_t api_timeout;
	uint32_t health_timeout;
	uint32_t health_retries;
	uint32_t bgp_retries;
	uint32_t backoff_initial;
	uint32_t backoff_max;
};

/* What the actuator may touch for one failover, and nothing else. */
struct msg_conf_act {
	char project[PROJECT_LEN]; /* of the router */
	char region[REGION_LEN];
	char router[NAME_LEN];
	struct prefix prefix[PREFIXES];
	uint32_t account; /* index */
	char match[MATCH_LEN];
	uint32_t priority;
	uint32_t failed;
	int32_t expect; /* -1: not given */
	uint32_t passive;
	uint32_t drain;
	uint32_t connect_timeout;
	uint32_t api_timeout;
	uint32_t bgp_update_timeout;
	uint32_t cloudflare_timeout;
	uint32_t cloudflare_bulk_timeout;
	uint32_t bgp_retries;
	uint32_t cloudflare_retries;
	uint32_t backoff_initial;
	uint32_t backoff_max;
	uint32_t look_every; /* a list of routes that is younger serves all who
				only look */
};

/* This process's share of the requests to Compute: a token bucket. */
struct msg_limit {
	uint32_t rate;	/* requests in 1000 seconds */
	uint32_t burst; /* requests */
};

struct msg_probe {
	uint64_t cycle;
	char corr[CORR_LEN];
	uint32_t budget; /* milliseconds; what is missing then is unknown */
	uint32_t parts;	 /* bits of enum part; the others are not asked for */
	uint32_t share;	 /* milliseconds: what another failover asked so short
			    a time ago need not be asked again; 0: all is */
	uint32_t urgent; /* 1: its requests go before those that are not */
};

struct msg_probe_service {
	uint64_t cycle;
	uint32_t side;	 /* enum side */
	int32_t verdict; /* enum verdict */
	uint32_t empty;	 /* 1: all groups answered, nothing to count */
	uint32_t healthy;
	uint32_t sick;
	uint32_t unknown;
	char name[NAME_LEN];
	char reason[REASON_LEN]; /* why it is unknown */
};

/* A sick endpoint, for the health_check_result event. */
struct msg_probe_endpoint {
	uint64_t cycle;
	uint32_t side;
	char service[NAME_LEN];
	char group[GROUP_LEN];
	char endpoint[ENDPOINT_LEN];
	char state[STATE_LEN];
	char reason[REASON_LEN];
};

/* End of a region's services.  complete 0: the list is not whole, or a named
 * service does not exist; error says why. */
struct msg_probe_region {
	uint64_t cycle;
	uint32_t side;
	uint32_t complete;
	uint32_t services; /* PROBE_SERVICE messages sent before */
	uint32_t duration; /* milliseconds */
	char error[REASON_LEN];
};

struct msg_probe_peer {
	uint64_t cycle;
	uint32_t side;
	int32_t status; /* enum verdict: up, down, unknown */
	uint32_t enabled;
	uint32_t custom; /* 1: its own advertise mode, not named by us */
	char name[NAME_LEN];
	char state[STATE_LEN]; /* for people */
};

/* Where a prefix stands in the advertised ranges that we look after. */
enum presence {
	PRESENCE_UNKNOWN = -1,
	PRESENCE_NONE = 0, /* in none of the targets */
	PRESENCE_SOME = 1,
	PRESENCE_ALL = 2, /* in all of the targets */
};

/* End of a router's peers.  peers: the enabled ones that were counted. */
struct msg_probe_router {
	uint64_t cycle;
	uint32_t side;
	int32_t verdict; /* enum verdict; V_UNKNOWN where not read */
	uint32_t read;	 /* 1: the status was read */
	uint32_t peers;
	int32_t announces[PREFIXES];  /* enum verdict: told to a peer that is
					 up */
	int32_t configured[PREFIXES]; /* enum presence; local router only */
	uint32_t duration;
	char error[REASON_LEN];
};

struct msg_probe_done {
	uint64_t cycle;
	uint32_t duration;
	uint32_t calls;	 /* those whose answers others asked for left out */
	uint32_t failed; /* calls without a usable answer */
	uint32_t failed_parts; /* bits of enum part that had one */
};

/* The whole desired picture of a failover. */
struct msg_plan {
	uint64_t plan;
	char corr[CORR_LEN];
	int32_t prefix[PREFIXES]; /* enum advert */
	int32_t cloudflare;	  /* enum steer */
	uint32_t repair;  /* 1: nothing was decided anew; what is found changed
			     has drifted */
	uint32_t blocked; /* bits of enum half that must not be called */
};

/* May the plan begin its next step?  It may until told otherwise. */
struct msg_permit {
	uint64_t plan;
	uint32_t proceed;
};

enum outcome {
	RESULT_SUCCESS,
	RESULT_FAILURE,
	RESULT_NO_CHANGE,
	RESULT_SKIPPED,
};

/* What became of one prefix. */
struct msg_plan_advert {
	uint64_t plan;
	uint32_t which;	    /* enum which */
	uint32_t advertise; /* 1: to be advertised, 0: withdrawn */
	uint32_t result;    /* enum outcome */
	int32_t effect;	    /* enum verdict: seen by the peers */
	int32_t http_status;
	uint32_t duration;
	char operation_id[ID_LEN];
	char request_id[ID_LEN];
	char ranges_before[RANGES_LEN]; /* separated by spaces */
	char ranges_after[RANGES_LEN];
	char error[REASON_LEN];
	char why[REASON_LEN];
};

/* What became of the Magic Transit routes. */
struct msg_plan_routes {
	uint64_t plan;
	uint32_t result; /* enum outcome */
	uint32_t matching;
	uint32_t modified;
	int32_t desired; /* priority */
	int32_t http_status;
	uint32_t duration;
	uint32_t age; /* of the list that was looked at, milliseconds */
	char error[REASON_LEN];
	char why[REASON_LEN];
};

enum plan_status {
	PLAN_DONE,
	PLAN_FAILED,
	PLAN_SUPERSEDED,
	PLAN_REFUSED, /* outside the actuator's allow-list */
	PLAN_SKIPPED, /* passive */
};

struct msg_plan_done {
	uint64_t plan;
	uint32_t status;  /* enum plan_status */
	uint32_t changed; /* writes that were made */
	uint32_t duration;
	uint32_t reached;    /* bits of enum half: all calls were answered */
	uint32_t failed_at;  /* bits of enum half: a call failed; not that
				what was answered is not as it should be */
	char step[NAME_LEN]; /* the one that failed */
	char error[REASON_LEN];
};

struct msg_test {
	uint64_t test; /* number of the round, given back */
};

/* What became of one connectivity test. */
struct msg_tested {
	uint64_t test;
	uint32_t api;	 /* enum api */
	uint32_t result; /* enum outcome: success or failure; skipped where
			    there was nothing to try it on */
	int32_t http_status;
	uint32_t duration;
	int64_t expires; /* seconds since the epoch, of Cloudflare's token where
			    that was asked; 0: not known, or never */
	char operation[NAME_LEN];
	char subject[URL_LEN]; /* what was tested */
	char error[REASON_LEN];
};

/* Where events go.  Times in milliseconds. */
struct msg_conf_cloud {
	char project[PROJECT_LEN];
	char log[LOG_NAME_LEN];
	char location[REGION_LEN]; /* of this host, as the resource says it */
	char node[HOST_LEN];
	uint32_t connect_timeout;
	uint32_t api_timeout;
	uint32_t backoff_initial;
	uint32_t backoff_max;
};

/* What of a failover's configuration is shown to people. */
struct msg_conf_shown {
	char name[FAILOVER_LEN];
	char project[PROJECT_LEN];
	char region[SIDES][REGION_LEN];
	char router[SIDES][NAME_LEN];
	struct prefix prefix[PREFIXES]; /* the local daemon's */
	uint32_t late_after;		/* milliseconds without a cycle */
};

/*
 * Requests of one kind that were made since the last message of it: how many,
 * and how long they took.  A bucket has those of the bounds of tally.c that it
 * is the first to hold, the last one all others.
 */
struct msg_calls {
	uint32_t api;	 /* enum called */
	uint32_t method; /* enum http_method */
	int32_t status;	 /* of HTTP; 0: no answer */
	uint32_t count;
	uint64_t duration; /* milliseconds, of all together */
	uint32_t bucket[CALL_BUCKETS];
	uint32_t skew_known; /* 1: the last answer said what time it is */
	int32_t skew;	     /* milliseconds that the server's clock is ahead */
};

struct msg_report_daemon {
	uint64_t starts; /* this one included; of all that the state file
			    remembers */
	uint32_t pid;
};

/* The verdicts of a failover. */
enum watched {
	WATCHED_LOCAL,
	WATCHED_REMOTE,
	WATCHED_LOCAL_BGP,
	WATCHED_REMOTE_BGP,
	WATCHED_MAX,
};

/* What keeps a failover from what it would do: bits of
 * msg_report_state.held. */
enum held {
	HELD_HOLD = 1 << 0,
	HELD_FORCE = 1 << 1,
	HELD_VERIFY = 1 << 2,
	HELD_DWELL = 1 << 3,
	HELD_RETURN = 1 << 4,
	HELD_BRAKE = 1 << 5,
	HELD_HANDOVER = 1 << 6,
	HELD_ALL = (1 << 7) - 1,
};
#define HELD_MAX 7

#define BREAKERS_SHOWN 5 /* enum service of the parent */

/* A failover as it stands.  Times in milliseconds. */
struct msg_report_state {
	uint64_t cycle;
	uint32_t ended;	   /* 1: that cycle has just ended, with ... */
	uint32_t result;   /* enum outcome */
	uint32_t duration; /* and took so long */
	int32_t read;
	int32_t current;
	int32_t acting;	   /* as that state */
	int32_t candidate; /* 0: none */
	int64_t in_state;  /* -1: in none yet */
	int32_t verdict[WATCHED_MAX];
	int64_t age[WATCHED_MAX]; /* of the last known sample, -1: none */
	uint32_t endpoints[SIDES];
	uint32_t healthy[SIDES]; /* of those */
	uint32_t sick[SIDES];
	int32_t announces[SIDES][PREFIXES]; /* enum verdict */
	int32_t priority; /* of our routes at Cloudflare, -1: not known */
	uint32_t held;	  /* bits of enum held */
	uint32_t passive;
	uint32_t contested; /* objects */
	uint32_t breaker[BREAKERS_SHOWN];
	int32_t prefix[PREFIXES]; /* enum advert */
	int32_t cloudflare;	  /* enum steer */
	char plan[STATE_LEN];	  /* how it stands, for people */
};

/* A move from one state to another. */
struct msg_report_move {
	int64_t at;	/* wall clock, milliseconds */
	uint32_t fresh; /* 0: it was before the start */
	int32_t from;
	int32_t to;
	int32_t local; /* enum verdict */
	int32_t remote;
	int32_t remote_bgp;
	char failover[FAILOVER_LEN];
};

/* The phases of a reaction, in their order. */
enum reaction_phase {
	REACTION_DETECT,
	REACTION_VERIFY,
	REACTION_WRITE,
	REACTION_EFFECT,
	REACTION_MAX,
};

struct msg_report_reaction {
	uint32_t phase;	   /* enum reaction_phase */
	uint32_t duration; /* milliseconds */
};

struct msg_count {
	uint64_t count;
};

/* proto.c */
int proto_check(const struct imsg *, enum role sender, enum role receiver,
    char *why, size_t len);
const char *proto_name(uint32_t type);
const char *role_name(enum role);
const char *role_scope(enum role);

#endif /* MTGCPD_PROTO_H */
