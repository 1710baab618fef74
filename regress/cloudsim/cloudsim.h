/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * cloudsim: the two clouds that mt-gcpd talks to, small and obedient, for
 * tests and demonstrations.  One process, one thread, one event loop.
 */

#ifndef CLOUDSIM_H
#define CLOUDSIM_H

#include <sys/types.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#define SIM_DOMAIN   "sim.test"
#define SCOPE_PREFIX "https://www.googleapis.com/auth/"
#define SELF_LINK    "https://www.googleapis.com/compute/v1/"
#define DEMO_PROJECT "demo-project"
#define DEMO_ACCOUNT "0123456789abcdef0123456789abcdef"

/* Bounds on what a client may send us. */
#define MAX_HEAD_BYTES	  (64 * 1024)
#define MAX_API_BYTES	  (1024 * 1024)
#define MAX_CONTROL_BYTES (256 * 1024 * 1024)
#define MAX_RANGES	  200
#define MAX_MAGIC_ROUTES  100
#define MAX_PATH_SEGMENTS 16

enum dns_mode {
	DNS_OK,
	DNS_SERVFAIL,
	DNS_SILENT,
	DNS_NXDOMAIN,
};

enum cf_mode {
	CF_OK,
	CF_NOT_MODIFIED,
	CF_PARTIAL,
};

/* The world's "settings", read once whenever the world changes. */
struct settings {
	int op_delay_ms;
	int advert_lag_ms;
	int page_size_max;
	int page_size;
	int token_ttl;
	int token_pad;
	int dns_ttl;
	int latency_ms;
	int journal_max;
	int cf_rate_limit;
	int compute_quota;
	int date_skew_s;
	int keepalive_max;
	int dns_mode;
	int cf_mode;
	int list_warning;
	int journal;
	int bgp_members;
	int host_bits;
	int cf_validate;
	int empty_page;
	json_t *op_error;
};

struct sim {
	struct event_base *base;
	const char *dir;
	int https_port;
	int http_port;
	int control_port;
	int dns_port;
	bool by_address;
	bool verbose;
	char token_uri[128];
	char cf_token[64];
	struct settings set;
	json_t *world;
};

extern struct sim sim;

/* How an answer leaves the building. */
enum send_mode {
	SEND_NORMAL,
	SEND_HANG,
	SEND_RESET,
	SEND_CLOSE,
	SEND_TRUNCATE,
	SEND_DRIP,
	SEND_NOISE,
};

struct request {
	uint64_t conn_id;
	int64_t t_ms;
	int64_t mono_ms;
	char method[16];
	char *head;
	const char *path;
	const char *query;
	const char *host;
	const char *authz;
	const char *ctype;
	const char *flavor;
	char *body;
	size_t body_len;
	bool keepalive;

	/* What the APIs find out on their way. */
	json_t *json;	     /* body, if it is JSON */
	json_t *note;	     /* what the journal shows instead */
	json_t *grant;	     /* borrowed: who the token is */
	json_t *op_override; /* of a fault with action "op" */
	const char *op;	     /* name of the call */
	bool cloudflare;
	bool write;
	bool forbidden;
	struct line *line; /* of the journal */
};

struct response {
	int status;
	json_t *json;
	char *body;
	size_t body_len;
	const char *ctype;
	bool pretty;
	char headers[1024];
	enum send_mode mode;
	long delay_ms;
	long drip_ms;
	json_t *after; /* patches to the world, once sent */
	json_t *fault; /* for the journal */
};

/* An address prefix, compared by value and never as text. */
struct prefix {
	int family;
	int len;
	unsigned char addr[16];
};

/* util.c */
void *xcalloc(size_t, size_t);
char *xstrdup(const char *);
char *xasprintf(const char *, ...) __attribute__((__format__(printf, 1, 2)));
char *xvasprintf(const char *, va_list)
    __attribute__((__format__(printf, 1, 0)));
int64_t now_ms(void);
int64_t mono_ms(void);
void stamp_google(char *, size_t);
void stamp_cloudflare(char *, size_t);
void random_hex(char *, size_t);
uint64_t random_u64(void);
int prefix_parse(const char *, struct prefix *);
bool prefix_equal(const struct prefix *, const struct prefix *);
bool prefix_same_text(const char *, const char *);
bool address_valid(const char *);
bool uuid_valid(const char *);
char *url_decode(const char *, size_t);
char *query_get(const char *, const char *);
int b64url_decode(const char *, size_t, unsigned char **);
char *b64_encode(const char *);
char *b64_decode(const char *);
json_t *jstr(const char *);
json_t *jtime(int64_t);
json_t *json_merge(json_t *, json_t *);
void json_prune(json_t *);
json_t *json_without(json_t *, const char *);
const char *json_str(json_t *, const char *);
size_t path_split(char *, char **, size_t);

/* pki.c */
SSL_CTX *pki_init(void);
EVP_PKEY *pki_account_key(const char *);
void pki_write_accounts(void);
void pki_write(const char *, const void *, size_t);
void pki_write_json(const char *, json_t *);

/* http.c */
int http_listen(SSL_CTX *, bool);
void http_error(struct response *, int, json_t *);
void http_header(struct response *, const char *, const char *);
void request_parse_json(struct request *);
json_t *http_stats(void);
void http_stats_reset(void);

/* api.c */
void api_handle(struct request *, struct response *);
json_t *api_stats(void);
void api_stats_reset(void);
void google_error(struct response *, int, const char *, const char *, ...)
    __attribute__((__format__(printf, 4, 5)));
void google_detail(struct response *, const char *, const char *, const char *,
    const char *);

/* token.c */
void token_handle(struct request *, struct response *);
void token_identify(struct request *);
char *token_asker(const struct request *);
bool token_expired(const json_t *);
bool token_has_scope(const json_t *, const char *);
void token_revoke_all(void);
void token_error(struct response *, int, const char *, const char *);
bool metadata_handle(struct request *, struct response *);

/* compute.c */
struct call {
	struct request *req;
	struct response *res;
	char *seg[MAX_PATH_SEGMENTS];
	size_t nseg;
	const char *project;
	const char *region;
	const char *name;
	json_t *region_obj;
	json_t *object;
	bool path_known;
};

void compute_handle(struct request *, struct response *);
void compute_classify(struct request *);
void compute_answer(struct call *, json_t *);
void compute_not_found(struct call *, const char *, const char *);

/* logging.c */
void logging_handle(struct request *, struct response *);
json_t *logging_entries(void);
void logging_clear(void);

/* router.c */
void router_get(struct call *);
void router_status(struct call *);
void router_patch(struct call *);
int router_validate(json_t *, struct response *);
int router_check_names(json_t *, json_t *, struct response *);

/* oper.c */
void oper_get(struct call *);
json_t *oper_begin(struct call *, const char *, const char *);
json_t *oper_repeat(const char *, const char *);
void oper_cancel_all(void);
bool oper_running(const char *);

/* mask.c */
json_t *mask_apply(json_t *, const char *);

/* magic.c */
void magic_handle(struct request *, struct response *);
void magic_classify(struct request *);
void magic_diff(json_t *, json_t *, const char *);
void cloudflare_error(struct response *, int, int, const char *);

/* world.c */
int world_init(const char *);
json_t *world_default(void);
const char *world_replace(json_t *);
const char *world_patch(json_t *, const char *);
void world_changed(void);
json_t *world_region(const char *, const char *);
json_t *world_router(const char *, const char *, const char *);
json_t *world_account(const char *);

/* announce.c */
bool announce_sync(void);
void announce_reset(void);
json_t *announce_told(const char *, const char *);
int64_t announce_up_since(const char *, const char *);
bool announce_has(const char *, const struct prefix *);
bool announce_alive(const char *);

/* clockwork.c */
void clockwork_eval(void);
void clockwork_reset(void);
json_t *clockwork_json(void);

/* fault.c */
struct fault;
struct fault_plan {
	struct fault *fault;
	bool apply;
};
void fault_plan(struct request *, struct response *, struct fault_plan *);
void fault_answer(struct fault_plan *, struct request *, struct response *);
json_t *fault_add(json_t *, const char **);
json_t *fault_list(void);
int fault_remove(long);

/* journal.c */
void journal_reserve(struct request *);
void journal_request(struct request *, struct response *);
void journal_event(json_t *);
char *journal_read(uint64_t, size_t *);
void journal_clear(void);

/* control.c */
void control_handle(struct request *, struct response *);

/* dns.c */
int dns_listen(void);

#endif /* CLOUDSIM_H */
