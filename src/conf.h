/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_CONF_H
#define MTGCPD_CONF_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "control.h"
#include "prefix.h"
#include "proto.h"
#include "state.h"

#define CONF_FILE      "/etc/mt-gcpd/mt-gcpd.conf"
#define STATE_FILE     "/var/lib/mt-gcpd/state.json"
#define CHROOT_DIR     "/run/mt-gcpd/empty"
#define COMPUTE_URL    "https://compute.googleapis.com/compute/v1"
#define CLOUDFLARE_URL "https://api.cloudflare.com/client/v4"
#define CLOUD_NAME     "mt-gcpd"
#define LOGGING_URL    "https://logging.googleapis.com/v2"
#define METADATA_URL   "http://169.254.169.254"
#define METADATA_PATH  "/computeMetadata/v1/instance/service-accounts/"

#define USER_PREFIX "mtgcpd-" /* and the name of the role */

#define ENV_LINE_LEN 8192 /* of a line in an environment file, with its NUL */

/* A server that is configured, though no process speaks to it. */
enum conf_url {
	URL_METADATA = API_MAX,
	URL_MAX,
};

enum timeout {
	TIMEOUT_CONNECT,
	TIMEOUT_API,
	TIMEOUT_HEALTH,
	TIMEOUT_BGP_UPDATE,
	TIMEOUT_CLOUDFLARE,
	TIMEOUT_CLOUDFLARE_BULK,
	TIMEOUT_MAX,
};

enum retries {
	RETRIES_HEALTH,
	RETRIES_BGP_CHECK,
	RETRIES_BGP_UPDATE,
	RETRIES_CLOUDFLARE,
	RETRIES_MAX,
};

/* A line of a configuration file. */
struct place {
	const char *file; /* belongs to conf->files */
	int line;
};

/*
 * Every statement that can be given once in a place.  The order matters:
 * first those that stand at the top only, then those that may stand in both
 * places, then those of a failover block only.
 */
enum statement {
	ST_PROBER_CREDENTIALS,
	ST_ACTUATOR_CREDENTIALS,
	ST_ENDPOINT, /* + enum api or enum conf_url */
	ST_CA = ST_ENDPOINT + URL_MAX,
	ST_USER, /* + enum role */
	ST_CHROOT = ST_USER + ROLE_MAX,
	ST_LOG_LEVEL,
	ST_LOG_SYSLOG,
	ST_LOG_STDERR,
	ST_LOG_FILE,
	ST_EVENTS_FILE,
	ST_EVENTS_STDERR,
	ST_CONTROL,
	ST_LOG_CLOUD,
	ST_METRICS,
	ST_STATE_FILE,
	ST_LIMIT,

	ST_BOTH, /* from here on in failover blocks as well */
	ST_ACCOUNT = ST_BOTH,
	ST_INTERVAL,
	ST_WINDOW,
	ST_REQUIRE,
	ST_SERVICES,
	ST_UNKNOWN_AFTER,
	ST_BGP_PEERS,
	ST_BGP_DOWN_AFTER,
	ST_BGP_LOCAL,
	ST_VERIFY,
	ST_VERIFY_STATE, /* + number of the state */
	ST_DWELL = ST_VERIFY_STATE + STATE_MAX + 1,
	ST_RETURN_AFTER,
	ST_BRAKE,
	ST_HANDOVER,
	ST_DRAIN,
	ST_ROW, /* + number of the state */
	ST_PASSIVE = ST_ROW + STATE_MAX + 1,
	ST_ADVERTISE,
	ST_BACKOFF,
	ST_BREAKER,
	ST_RETRIES,			       /* + enum retries */
	ST_TIMEOUT = ST_RETRIES + RETRIES_MAX, /* + enum timeout */

	ST_BLOCK = ST_TIMEOUT +
	    TIMEOUT_MAX, /* from here on in failover blocks only */
	ST_PROJECT = ST_BLOCK,
	ST_REGION, /* + enum side */
	ST_ROUTER_PROJECT = ST_REGION + SIDES,
	ST_ROUTER,		       /* + enum side */
	ST_PREFIX = ST_ROUTER + SIDES, /* + enum which */
	ST_ROUTES = ST_PREFIX + PREFIXES,
	ST_MAX,
};

/* What was said about one prefix, or about Cloudflare, in a row of a state. */
enum column {
	COLUMN_PRIMARY,
	COLUMN_SECONDARY,
	COLUMN_CLOUDFLARE,
	COLUMNS,
};

/*
 * What was said in one place, a failover block or the top, and where; needed
 * until defaults, top and block are merged.
 */
struct given {
	struct place place[ST_MAX]; /* file NULL: not said */
	bool column[STATE_MAX + 1][COLUMNS];
	bool broken; /* a statement was not understood: none is missing */
	char *account;
	char *token_file;
};

/* A member of a list of names: services, peers. */
struct name {
	TAILQ_ENTRY(name) entry;
	char *text;
};
TAILQ_HEAD(names, name);

/* "nameserver address [port n]" */
struct nameserver {
	TAILQ_ENTRY(nameserver) entry;
	char address[ADDRESS_LEN];
	uint16_t port;
};
TAILQ_HEAD(nameservers, nameserver);

/* A Cloudflare account and the file that holds its token; shared by all
 * failovers that name the same account and file. */
struct account {
	TAILQ_ENTRY(account) entry;
	uint32_t index; /* 0, 1, ... in the order of the list */
	char *id;
	char *token_file;
	bool env; /* token_file is an environment file */
};
TAILQ_HEAD(accounts, account);

/* Durations of one failover, in milliseconds. */
struct timeouts {
	uint32_t connect;
	uint32_t api;
	uint32_t health;
	uint32_t bgp_update;
	uint32_t cloudflare;
	uint32_t cloudflare_bulk;
};

struct failover_conf {
	TAILQ_ENTRY(failover_conf) entry;
	uint32_t index; /* 0, 1, ... in the order of the list */
	char *name;
	char *project;
	char *region[SIDES];
	char *router_project; /* never NULL after the check */
	char *router[SIDES];
	char *router_region[SIDES];
	struct prefix prefix[PREFIXES];
	struct account *account;
	char *match; /* text in the description of our routes */
	uint32_t priority;
	uint32_t failed;
	int32_t expect;		  /* -1: any number of routes above none */
	uint32_t require_percent; /* 100: all */
	struct names services;	  /* empty: all in the region */
	struct names peers;	  /* empty: advertise on router */
	bool bgp_all;
	uint32_t drain; /* milliseconds */
	bool passive;
	struct timeouts timeout;
	uint32_t retries[RETRIES_MAX];
	uint32_t backoff_initial; /* milliseconds */
	uint32_t backoff_max;
	uint32_t breaker_threshold; /* failing cycles */
	uint32_t breaker_timeout;   /* milliseconds, at most, to a trial */
	struct policy policy;
	struct place place;  /* of the block */
	struct given *given; /* NULL once the configuration is complete */
};
TAILQ_HEAD(failover_confs, failover_conf);

/* How a log is rotated. */
struct rotation {
	uint64_t size; /* bytes that a file has at most; 0: never rotated */
	uint32_t keep; /* files, beside the one that is written */
};

struct conf {
	char *file; /* where it came from, for messages */
	bool env;   /* that is an environment file */
	/* Of prober, actuator and, for Cloud Logging, reporter: */
	char *credentials[ROLE_MAX]; /* key files, or ... */
	char *metadata[ROLE_MAX]; /* service accounts attached to this machine,
					   whose tokens its metadata server
					   gives */
	char *url[URL_MAX];	  /* without a slash at the end */
	char *ca_file;		  /* NULL: the system's bundle */
	struct nameservers nameservers; /* empty: resolv.conf */
	char *user[ROLE_MAX];		/* NULL: the parent's */
	char *chroot;
	int log_level; /* LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG */
	bool log_syslog;
	char *log_ident; /* in the syslog; NULL: mt-gcpd */
	bool log_stderr;
	char *log_file;
	struct rotation log_rotation;
	char *events_file;
	struct rotation events_rotation;
	bool events_stderr;
	char *control_path;
	char *control_group; /* NULL: root's */
	char *control_looks; /* where only looking is allowed, or NULL */
	char *cloud_project; /* NULL: no Cloud Logging */
	char *cloud_name;    /* of the log there */
	char listen_address[ADDRESS_LEN];
	uint16_t listen_port; /* of the metrics; 0: nobody listens */
	char *state_file;
	uint32_t limit_rate; /* requests to Compute in a second */
	uint32_t limit_burst;
	struct accounts accounts;
	struct failover_confs failovers;
	uint32_t nfailovers;

	/* While it is read. */
	struct failover_conf *top; /* what stands outside the blocks */
	struct names files;	   /* those that were read */
	struct place here;	   /* what conf_error() is about */
	uint32_t errors;
};

/* parse.y */
struct conf *conf_parse(const char *file);
int conf_macro(const char *assignment);

/* A line of an environment file. */
struct env_line {
	int number;
	char *key;	   /* NULL: not understood */
	char *value;	   /* without its quotes */
	const char *error; /* what is wrong with the line, or NULL */
	char text[ENV_LINE_LEN];
};

/* envline.c */
bool env_line(FILE *, struct env_line *);

/* envfile.c */
struct conf *env_read(FILE *, const char *file);
struct conf *env_parse(const char *file);
char *env_token(const char *file, size_t *len, char *why, size_t whylen);

/* conf.c */
struct conf *conf_new(void);
struct failover_conf *failover_new(struct conf *, const char *name);
int conf_finish(struct conf *);
uint64_t conf_read_rate(const struct conf *);
void conf_check_limit(const struct conf *);
void conf_free(struct conf *);
bool conf_wants_metadata(const struct conf *);
bool conf_reports(const struct conf *);
struct failover_conf *conf_failover(const struct conf *, const char *name);
void conf_error(struct conf *, const char *, ...)
    __attribute__((__format__(__printf__, 2, 3)));
/* Where a line about the configuration goes: at first standard error. */
extern void (*conf_tell)(const char *);
bool conf_once(struct conf *, struct failover_conf *, int statement);
uint32_t *conf_timeout(struct timeouts *, enum timeout);
void *conf_alloc(size_t count, size_t size);
char *conf_strdup(const char *);
void names_add(struct names *, const char *);
bool names_have(const struct names *, const char *);
void names_free(struct names *);

/* value.c: NULL, or what is wrong with the value */
const char *value_label(const char *);
const char *value_project(const char *);
const char *value_account(const char *);
const char *value_user(const char *);
const char *value_group(const char *);
const char *value_socket(const char *);
const char *value_text(const char *);
const char *value_name(const char *);
const char *value_log(const char *);
const char *value_path(const char *);
const char *value_service_account(const char *);
const char *value_absolute(const char *);
const char *value_chroot(const char *);
const char *value_https(const char *);
const char *value_url(const char *);
bool value_utf8(const char *);

/* printconf.c */
void conf_print(const struct conf *, FILE *);

/* secretfile.c */
int secret_open(const char *path, char *why, size_t len);
int public_open(const char *path, char *why, size_t len);
int lax_open(const char *path, char *why, size_t len);
int conf_check_files(const struct conf *);

#endif /* MTGCPD_CONF_H */
