/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <err.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "conf.h"
#include "texts.h"

#define TELL_LEN 8192 /* of a message, without its place */

/* One prefix of one failover, to be compared with those of others. */
struct claim {
	struct failover_conf *failover;
	struct prefix prefix;
};

/*
 * Memory for the configuration, zeroed.  There is no going on without it,
 * so this does not return where there is none.
 */
void *
conf_alloc(size_t count, size_t size)
{
	void *p;

	p = calloc(count, size);
	if (p == NULL)
		err(1, NULL);
	return (p);
}

/* A copy of the text, or NULL of NULL; otherwise as conf_alloc(). */
char *
conf_strdup(const char *text)
{
	char *copy;

	if (text == NULL)
		return (NULL);
	copy = strdup(text);
	if (copy == NULL)
		err(1, NULL);
	return (copy);
}

/* Append a copy of the text. */
void
names_add(struct names *names, const char *text)
{
	struct name *name;

	name = conf_alloc(1, sizeof(*name));
	name->text = conf_strdup(text);
	TAILQ_INSERT_TAIL(names, name, entry);
}

bool
names_have(const struct names *names, const char *text)
{
	const struct name *name;

	TAILQ_FOREACH(name, names, entry)
		if (strcmp(name->text, text) == 0)
			return (true);
	return (false);
}

/* Empty the list. */
void
names_free(struct names *names)
{
	struct name *name;

	while ((name = TAILQ_FIRST(names)) != NULL) {
		TAILQ_REMOVE(names, name, entry);
		free(name->text);
		free(name);
	}
}

/* The member of that number, in milliseconds. */
uint32_t *
conf_timeout(struct timeouts *timeouts, enum timeout which)
{
	switch (which) {
	case TIMEOUT_CONNECT:
		return (&timeouts->connect);
	case TIMEOUT_API:
		return (&timeouts->api);
	case TIMEOUT_HEALTH:
		return (&timeouts->health);
	case TIMEOUT_BGP_UPDATE:
		return (&timeouts->bgp_update);
	case TIMEOUT_CLOUDFLARE:
		return (&timeouts->cloudflare);
	case TIMEOUT_CLOUDFLARE_BULK:
	case TIMEOUT_MAX:
		break;
	}
	return (&timeouts->cloudflare_bulk);
}

/*
 * A failover block with the defaults in it, which belongs to the caller until
 * it is put into a list of conf's.  A NULL name: what stands at the top.
 */
struct failover_conf *
failover_new(struct conf *conf, const char *name)
{
	struct failover_conf *f;
	int state;

	f = conf_alloc(1, sizeof(*f));
	f->given = conf_alloc(1, sizeof(*f->given));
	f->name = conf_strdup(name);
	f->place = conf->here;
	TAILQ_INIT(&f->services);
	TAILQ_INIT(&f->peers);
	f->priority = 100;
	f->failed = 200;
	f->expect = -1;
	f->require_percent = 50;
	f->drain = 30 * 1000;
	f->timeout.connect = 5 * 1000;
	f->timeout.api = 30 * 1000;
	f->timeout.health = 45 * 1000;
	f->timeout.bgp_update = 60 * 1000;
	f->timeout.cloudflare = 10 * 1000;
	f->timeout.cloudflare_bulk = 60 * 1000;
	f->retries[RETRIES_HEALTH] = 5;
	f->retries[RETRIES_BGP_CHECK] = 4;
	f->retries[RETRIES_BGP_UPDATE] = 2;
	f->retries[RETRIES_CLOUDFLARE] = 3;
	f->backoff_initial = 1000;
	f->backoff_max = 60 * 1000;
	f->breaker_threshold = 5;
	f->breaker_timeout = 300 * 1000;
	policy_default(&f->policy);
	for (state = 0; state <= STATE_MAX; state++)
		f->policy.verify[state] = 1;
	return (f);
}

/*
 * A configuration with nothing but defaults, to be filled by conf_parse();
 * conf_free() when done.
 */
struct conf *
conf_new(void)
{
	struct conf *conf;

	conf = conf_alloc(1, sizeof(*conf));
	TAILQ_INIT(&conf->nameservers);
	TAILQ_INIT(&conf->accounts);
	TAILQ_INIT(&conf->failovers);
	TAILQ_INIT(&conf->files);
	conf->url[API_COMPUTE] = conf_strdup(COMPUTE_URL);
	conf->url[API_CLOUDFLARE] = conf_strdup(CLOUDFLARE_URL);
	conf->url[API_LOGGING] = conf_strdup(LOGGING_URL);
	conf->url[URL_METADATA] = conf_strdup(METADATA_URL);
	conf->user[ROLE_RESOLVER] = conf_strdup(USER_PREFIX "resolver");
	conf->user[ROLE_SIGNER] = conf_strdup(USER_PREFIX "signer");
	conf->user[ROLE_PROBER] = conf_strdup(USER_PREFIX "prober");
	conf->user[ROLE_ACTUATOR] = conf_strdup(USER_PREFIX "actuator");
	conf->user[ROLE_REPORTER] = conf_strdup(USER_PREFIX "reporter");
	conf->chroot = conf_strdup(CHROOT_DIR);
	conf->log_level = LOG_INFO;
	conf->log_syslog = true;
	conf->control_path = conf_strdup(CONTROL_SOCKET);
	conf->state_file = conf_strdup(STATE_FILE);
	conf->limit_rate = 10;
	conf->limit_burst = 50;
	conf->top = failover_new(conf, NULL);
	return (conf);
}

static void
given_free(struct failover_conf *f)
{
	if (f->given == NULL)
		return;
	free(f->given->account);
	free(f->given->token_file);
	free(f->given);
	f->given = NULL;
}

static void
failover_free(struct failover_conf *f)
{
	int side;

	if (f == NULL)
		return;
	given_free(f);
	for (side = LOCAL; side < SIDES; side++) {
		free(f->region[side]);
		free(f->router[side]);
		free(f->router_region[side]);
	}
	names_free(&f->services);
	names_free(&f->peers);
	free(f->name);
	free(f->project);
	free(f->router_project);
	free(f->match);
	free(f);
}

static void
conf_free_lists(struct conf *conf)
{
	struct failover_conf *f;
	struct account *account;
	struct nameserver *ns;

	while ((f = TAILQ_FIRST(&conf->failovers)) != NULL) {
		TAILQ_REMOVE(&conf->failovers, f, entry);
		failover_free(f);
	}
	while ((account = TAILQ_FIRST(&conf->accounts)) != NULL) {
		TAILQ_REMOVE(&conf->accounts, account, entry);
		free(account->id);
		free(account->token_file);
		free(account);
	}
	while ((ns = TAILQ_FIRST(&conf->nameservers)) != NULL) {
		TAILQ_REMOVE(&conf->nameservers, ns, entry);
		free(ns);
	}
	names_free(&conf->files);
}

/* Free the configuration and all that belongs to it; NULL is fine. */
void
conf_free(struct conf *conf)
{
	int i;

	if (conf == NULL)
		return;
	conf_free_lists(conf);
	failover_free(conf->top);
	for (i = 0; i < ROLE_MAX; i++) {
		free(conf->credentials[i]);
		free(conf->metadata[i]);
	}
	for (i = 0; i < URL_MAX; i++)
		free(conf->url[i]);
	for (i = 0; i < ROLE_MAX; i++)
		free(conf->user[i]);
	free(conf->file);
	free(conf->ca_file);
	free(conf->chroot);
	free(conf->log_ident);
	free(conf->log_file);
	free(conf->events_file);
	free(conf->control_path);
	free(conf->control_group);
	free(conf->control_looks);
	free(conf->cloud_project);
	free(conf->cloud_name);
	free(conf->state_file);
	free(conf);
}

/* The failover of that name, or NULL; it belongs to the configuration. */
struct failover_conf *
conf_failover(const struct conf *conf, const char *name)
{
	struct failover_conf *f;

	TAILQ_FOREACH(f, &conf->failovers, entry)
		if (strcmp(f->name, name) == 0)
			return (f);
	return (NULL);
}

/* Do the tokens of any process come from a metadata server? */
bool
conf_wants_metadata(const struct conf *conf)
{
	int role;

	for (role = 0; role < ROLE_MAX; role++)
		if (conf->metadata[role] != NULL)
			return (true);
	return (false);
}

/* Is there anything for a reporter to do? */
bool
conf_reports(const struct conf *conf)
{
	return (conf->cloud_project != NULL || conf->listen_port != 0);
}

static void
tell_stderr(const char *line)
{
	fprintf(stderr, "%s\n", line);
}

void (*conf_tell)(const char *) = tell_stderr;

/*
 * The one way in which errors of the configuration are told: a line of their
 * own, with the place that conf->here says.
 */
void
conf_error(struct conf *conf, const char *fmt, ...)
{
	char line[PATH_MAX + TELL_LEN], text[TELL_LEN];
	va_list ap;

	conf->errors++;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (conf->here.file == NULL)
		snprintf(line, sizeof(line), "%s", text);
	else
		snprintf(line, sizeof(line), "%s:%d: %s", conf->here.file,
		    conf->here.line, text);
	conf_tell(line);
}

static const char *const statement_names[ST_MAX] = {
	[ST_PROBER_CREDENTIALS] = "prober credentials",
	[ST_ACTUATOR_CREDENTIALS] = "actuator credentials",
	[ST_ENDPOINT + API_COMPUTE] = "endpoint compute",
	[ST_ENDPOINT + API_CLOUDFLARE] = "endpoint cloudflare",
	[ST_ENDPOINT + API_LOGGING] = "endpoint logging",
	[ST_ENDPOINT + URL_METADATA] = "endpoint metadata",
	[ST_CA] = "tls ca file",
	[ST_USER + ROLE_RESOLVER] = "user resolver",
	[ST_USER + ROLE_SIGNER] = "user signer",
	[ST_USER + ROLE_PROBER] = "user prober",
	[ST_USER + ROLE_ACTUATOR] = "user actuator",
	[ST_USER + ROLE_REPORTER] = "user reporter",
	[ST_CHROOT] = "chroot",
	[ST_LOG_LEVEL] = "log level",
	[ST_LOG_SYSLOG] = "log syslog",
	[ST_LOG_STDERR] = "log stderr",
	[ST_LOG_FILE] = "log file",
	[ST_EVENTS_FILE] = "log events file",
	[ST_EVENTS_STDERR] = "log events stderr",
	[ST_CONTROL] = "control socket",
	[ST_LOG_CLOUD] = "log cloud",
	[ST_METRICS] = "metrics listen",
	[ST_STATE_FILE] = "state file",
	[ST_LIMIT] = "limit requests",
	[ST_RETURN_AFTER] = "return-after",
	[ST_BRAKE] = "brake",
	[ST_HANDOVER] = "handover",
	[ST_DRAIN] = "drain",
	[ST_ACCOUNT] = "cloudflare account",
	[ST_INTERVAL] = "interval",
	[ST_WINDOW] = "health window",
	[ST_REQUIRE] = "health require",
	[ST_SERVICES] = "health services",
	[ST_UNKNOWN_AFTER] = "health unknown-after",
	[ST_BGP_PEERS] = "bgp peers",
	[ST_BGP_DOWN_AFTER] = "bgp down-after",
	[ST_BGP_LOCAL] = "bgp local",
	[ST_VERIFY] = "verify",
	[ST_DWELL] = "dwell",
	[ST_PASSIVE] = "passive",
	[ST_ADVERTISE] = "advertise on",
	[ST_BACKOFF] = "backoff",
	[ST_BREAKER] = "breaker",
	[ST_RETRIES + RETRIES_HEALTH] = "retries health",
	[ST_RETRIES + RETRIES_BGP_CHECK] = "retries bgp-check",
	[ST_RETRIES + RETRIES_BGP_UPDATE] = "retries bgp-update",
	[ST_RETRIES + RETRIES_CLOUDFLARE] = "retries cloudflare",
	[ST_TIMEOUT + TIMEOUT_CONNECT] = "timeout connect",
	[ST_TIMEOUT + TIMEOUT_API] = "timeout api",
	[ST_TIMEOUT + TIMEOUT_HEALTH] = "timeout health",
	[ST_TIMEOUT + TIMEOUT_BGP_UPDATE] = "timeout bgp-update",
	[ST_TIMEOUT + TIMEOUT_CLOUDFLARE] = "timeout cloudflare",
	[ST_TIMEOUT + TIMEOUT_CLOUDFLARE_BULK] = "timeout cloudflare-bulk",
	[ST_PROJECT] = "project",
	[ST_REGION + LOCAL] = "local region",
	[ST_REGION + REMOTE] = "remote region",
	[ST_ROUTER_PROJECT] = "router project",
	[ST_ROUTER + LOCAL] = "local router",
	[ST_ROUTER + REMOTE] = "remote router",
	[ST_PREFIX + PRIMARY] = "primary prefix",
	[ST_PREFIX + SECONDARY] = "secondary prefix",
	[ST_ROUTES] = "cloudflare routes",
};

/* How a statement begins, for messages. */
static const char *
statement_name(int st, char *buf, size_t len)
{
	if (statement_names[st] != NULL)
		strlcpy(buf, statement_names[st], len);
	else if (st > ST_ROW)
		snprintf(buf, len, "state %d", st - ST_ROW);
	else
		snprintf(buf, len, "verify state %d", st - ST_VERIFY_STATE);
	return (buf);
}

static bool
is_given(const struct failover_conf *f, int st)
{
	return (f->given->place[st].file != NULL);
}

/*
 * A statement was read at conf->here, in block f or, where f is conf->top,
 * outside of any.  Returns whether it may be used: false, and an error told,
 * where it does not belong there or was given before.
 */
bool
conf_once(struct conf *conf, struct failover_conf *f, int st)
{
	struct place *first = &f->given->place[st];
	char name[64];

	statement_name(st, name, sizeof(name));
	if (f == conf->top && st >= ST_BLOCK) {
		conf_error(conf, "\"%s\" belongs into a failover block", name);
		return (false);
	}
	if (f != conf->top && st < ST_BOTH) {
		conf_error(conf,
		    "\"%s\" does not belong into a failover "
		    "block",
		    name);
		return (false);
	}
	if (first->file == NULL) {
		*first = conf->here;
		return (true);
	}
	if (strcmp(first->file, conf->here.file) == 0)
		conf_error(conf, "\"%s\" is given twice: first in line %d",
		    name, first->line);
	else
		conf_error(conf, "\"%s\" is given twice: first in %s, line %d",
		    name, first->file, first->line);
	return (false);
}

static void
inherit_names(struct names *names, const struct names *from)
{
	const struct name *name;

	TAILQ_FOREACH(name, from, entry)
		names_add(names, name->text);
}

/* The parts of verify and of the table of states, each on its own. */
static void
inherit_states(struct failover_conf *f, const struct failover_conf *top)
{
	struct actions *row;
	const struct actions *from;
	int state;

	if (!is_given(f, ST_VERIFY))
		f->policy.verify[0] = top->policy.verify[0];
	for (state = 1; state <= STATE_MAX; state++) {
		/* The state's own line wins, wherever it stands. */
		if (!is_given(f, ST_VERIFY_STATE + state))
			f->policy.verify[state] = is_given(top,
						      ST_VERIFY_STATE + state) ?
			    top->policy.verify[state] :
			    f->policy.verify[0];
		row = &f->policy.table[state];
		from = &top->policy.table[state];
		if (!f->given->column[state][COLUMN_PRIMARY])
			row->prefix[PRIMARY] = from->prefix[PRIMARY];
		if (!f->given->column[state][COLUMN_SECONDARY])
			row->prefix[SECONDARY] = from->prefix[SECONDARY];
		if (!f->given->column[state][COLUMN_CLOUDFLARE])
			row->cloudflare = from->cloudflare;
	}
}

/* What is said at the top and not in the block, defaults included. */
static void
inherit_policy(struct policy *p, const struct policy *from,
    const struct failover_conf *f)
{
	if (!is_given(f, ST_INTERVAL)) {
		p->interval = from->interval;
		p->fast = from->fast;
	}
	if (!is_given(f, ST_WINDOW)) {
		p->window = from->window;
		p->up = from->up;
		p->down = from->down;
	}
	if (!is_given(f, ST_UNKNOWN_AFTER))
		p->unknown_after = from->unknown_after;
	if (!is_given(f, ST_BGP_DOWN_AFTER))
		p->bgp_down_after = from->bgp_down_after;
	if (!is_given(f, ST_BGP_LOCAL))
		p->local_bgp = from->local_bgp;
	if (!is_given(f, ST_DWELL)) {
		p->dwell = from->dwell;
		p->dwell_except = from->dwell_except;
	}
	if (!is_given(f, ST_RETURN_AFTER))
		p->return_after = from->return_after;
	if (!is_given(f, ST_BRAKE)) {
		p->brake = from->brake;
		p->brake_period = from->brake_period;
	}
	if (!is_given(f, ST_HANDOVER))
		p->handover = from->handover;
}

/* How calls are made, and how often. */
static void
inherit_calls(struct failover_conf *f, struct failover_conf *top)
{
	int i;

	if (!is_given(f, ST_DRAIN))
		f->drain = top->drain;
	if (!is_given(f, ST_BACKOFF)) {
		f->backoff_initial = top->backoff_initial;
		f->backoff_max = top->backoff_max;
	}
	if (!is_given(f, ST_BREAKER)) {
		f->breaker_threshold = top->breaker_threshold;
		f->breaker_timeout = top->breaker_timeout;
	}
	for (i = 0; i < RETRIES_MAX; i++)
		if (!is_given(f, ST_RETRIES + i))
			f->retries[i] = top->retries[i];
	for (i = 0; i < TIMEOUT_MAX; i++)
		if (!is_given(f, ST_TIMEOUT + i))
			*conf_timeout(&f->timeout,
			    i) = *conf_timeout(&top->timeout, i);
}

static void
inherit(struct conf *conf, struct failover_conf *f)
{
	struct failover_conf *top = conf->top;

	inherit_policy(&f->policy, &top->policy, f);
	inherit_states(f, top);
	inherit_calls(f, top);
	if (!is_given(f, ST_REQUIRE))
		f->require_percent = top->require_percent;
	if (!is_given(f, ST_SERVICES))
		inherit_names(&f->services, &top->services);
	if (!is_given(f, ST_BGP_PEERS))
		f->bgp_all = top->bgp_all;
	if (!is_given(f, ST_PASSIVE))
		f->passive = top->passive;
	if (!is_given(f, ST_ADVERTISE))
		inherit_names(&f->peers, &top->peers);
}

/*
 * Fill in unknown-after, which depends on the interval, and see that both
 * agree.  They may come from two places, which are told to be at fault only
 * where something was said about either.
 */
static void
check_unknown_after(struct conf *conf, struct failover_conf *f)
{
	struct policy *p = &f->policy;
	bool said = is_given(f, ST_UNKNOWN_AFTER);

	if (!said && !is_given(conf->top, ST_UNKNOWN_AFTER)) {
		p->unknown_after = 3 * p->interval;
		return;
	}
	if (p->unknown_after >= p->interval ||
	    (!said && !is_given(f, ST_INTERVAL)))
		return;
	conf->here = f->given->place[said ? ST_UNKNOWN_AFTER : ST_INTERVAL];
	conf_error(conf,
	    "\"health unknown-after\" must be at least the "
	    "interval: %g is less than %g",
	    p->unknown_after / 1000.0, p->interval / 1000.0);
}

static void
check_required(struct conf *conf, struct failover_conf *f)
{
	char name[64];
	int st;

	if (f->given->broken)
		return;
	for (st = ST_BLOCK; st < ST_MAX; st++) {
		if (st != ST_ROUTER_PROJECT && !is_given(f, st))
			conf_error(conf, "failover \"%s\": \"%s\" is missing",
			    f->name, statement_name(st, name, sizeof(name)));
	}
	if (!is_given(f, ST_ACCOUNT) && !is_given(conf->top, ST_ACCOUNT) &&
	    !conf->top->given->broken)
		conf_error(conf,
		    "failover \"%s\": \"cloudflare account\" is "
		    "missing, in the block and at the top",
		    f->name);
}

/* The account that the failover uses; made when first used. */
static struct account *
find_account(struct conf *conf, const struct failover_conf *f)
{
	const struct given *given;
	struct account *account, *last;

	given = is_given(f, ST_ACCOUNT) ? f->given : conf->top->given;
	if (given->account == NULL)
		return (NULL);
	TAILQ_FOREACH(account, &conf->accounts, entry)
		if (strcmp(account->id, given->account) == 0 &&
		    strcmp(account->token_file, given->token_file) == 0)
			return (account);
	last = TAILQ_LAST(&conf->accounts, accounts);
	account = conf_alloc(1, sizeof(*account));
	account->index = last == NULL ? 0 : last->index + 1;
	account->id = conf_strdup(given->account);
	account->token_file = conf_strdup(given->token_file);
	TAILQ_INSERT_TAIL(&conf->accounts, account, entry);
	return (account);
}

/* Complete one failover and look at it on its own. */
static void
check_failover(struct conf *conf, struct failover_conf *f)
{
	int side;

	inherit(conf, f);
	check_unknown_after(conf, f);
	conf->here = f->place;
	check_required(conf, f);
	f->account = find_account(conf, f);
	if (f->router_project == NULL)
		f->router_project = conf_strdup(f->project);
	for (side = LOCAL; side < SIDES; side++) {
		if (f->router_region[side] == NULL)
			f->router_region[side] = conf_strdup(f->region[side]);
	}
	if (f->router[LOCAL] != NULL && f->router[REMOTE] != NULL &&
	    f->router_region[LOCAL] != NULL &&
	    f->router_region[REMOTE] != NULL &&
	    strcmp(f->router[LOCAL], f->router[REMOTE]) == 0 &&
	    strcmp(f->router_region[LOCAL], f->router_region[REMOTE]) == 0)
		conf_error(conf,
		    "failover \"%s\": local and remote router "
		    "are the same",
		    f->name);
	if (prefix_overlap(&f->prefix[PRIMARY], &f->prefix[SECONDARY]))
		conf_error(conf,
		    "failover \"%s\": primary and secondary "
		    "prefix overlap",
		    f->name);
}

static int
compare_names(const void *va, const void *vb)
{
	const struct failover_conf *a, *b;
	int r;

	a = *(struct failover_conf *const *)va;
	b = *(struct failover_conf *const *)vb;
	r = strcmp(a->name, b->name);
	return (r != 0 ? r : (a->index > b->index) - (a->index < b->index));
}

static void
check_names(struct conf *conf, struct failover_conf **list, size_t n)
{
	size_t i;

	qsort(list, n, sizeof(*list), compare_names);
	for (i = 1; i < n; i++) {
		if (*list[i]->name == '\0' ||
		    strcmp(list[i - 1]->name, list[i]->name) != 0)
			continue;
		conf->here = list[i]->place;
		conf_error(conf,
		    "failover \"%s\": the name is taken by the "
		    "block at %s:%d",
		    list[i]->name, list[i - 1]->place.file,
		    list[i - 1]->place.line);
	}
}

static int
compare_accounts(const void *va, const void *vb)
{
	const struct failover_conf *a, *b;
	int r;

	a = *(struct failover_conf *const *)va;
	b = *(struct failover_conf *const *)vb;
	r = strcmp(a->account->id, b->account->id);
	return (r != 0 ? r : (a->index > b->index) - (a->index < b->index));
}

/* Say of each of the failovers, which have an account in common, that its text
 * and that of one before can match the same routes. */
static void
tell_texts(struct conf *conf, struct failover_conf **list, size_t n)
{
	struct failover_conf *a, *b;
	size_t i, j;

	for (i = 1; i < n; i++) {
		b = list[i];
		for (j = 0; j < i; j++) {
			a = list[j];
			if (strstr(a->match, b->match) == NULL &&
			    strstr(b->match, a->match) == NULL)
				continue;
			conf->here = b->place;
			conf_error(conf,
			    "failover \"%s\": its text \"%s\" "
			    "and that of failover \"%s\", \"%s\", can match "
			    "the same routes",
			    b->name, b->match, a->name, a->match);
			break;
		}
	}
}

/* Routes of an account that two failovers pick would be pulled both ways. */
static void
check_texts(struct conf *conf, struct failover_conf **list, size_t n)
{
	const char **texts;
	size_t first = 0, i;

	texts = conf_alloc(n + 1, sizeof(*texts));
	qsort(list, n, sizeof(*list), compare_accounts);
	for (i = 0; i < n; i++) {
		texts[i - first] = list[i]->match;
		if (i + 1 < n &&
		    strcmp(list[i]->account->id, list[i + 1]->account->id) == 0)
			continue;
		if (texts_overlap(texts, i + 1 - first))
			tell_texts(conf, list + first, i + 1 - first);
		first = i + 1;
	}
	free(texts);
}

static int
compare_routers(const struct failover_conf *a, const struct failover_conf *b)
{
	int r;

	r = strcmp(a->router_project, b->router_project);
	if (r == 0)
		r = strcmp(a->router_region[LOCAL], b->router_region[LOCAL]);
	if (r == 0)
		r = strcmp(a->router[LOCAL], b->router[LOCAL]);
	return (r);
}

static int
compare_claims(const void *va, const void *vb)
{
	const struct claim *a = va, *b = vb;
	int r;

	r = compare_routers(a->failover, b->failover);
	if (r == 0)
		r = a->prefix.family - b->prefix.family;
	if (r == 0)
		r = memcmp(a->prefix.address, b->prefix.address,
		    sizeof(a->prefix.address));
	if (r == 0)
		r = a->prefix.length - b->prefix.length;
	if (r == 0)
		r = (a->failover->index > b->failover->index) -
		    (a->failover->index < b->failover->index);
	return (r);
}

static void
claim_conflict(struct conf *conf, const struct claim *a, const struct claim *b)
{
	const struct claim *other;
	char one[PREFIX_LEN], two[PREFIX_LEN];

	if (a->failover == b->failover)
		return; /* check_failover() has told it */
	if (a->failover->index > b->failover->index) {
		other = a;
		a = b;
		b = other;
	}
	conf->here = b->failover->place;
	conf_error(conf,
	    "failover \"%s\": its prefix %s and that of failover "
	    "\"%s\", %s, overlap, and both share the router \"%s\"",
	    b->failover->name, prefix_text(&b->prefix, one, sizeof(one)),
	    a->failover->name, prefix_text(&a->prefix, two, sizeof(two)),
	    b->failover->router[LOCAL]);
}

/*
 * No prefix of a router belongs to two failovers.  Two prefixes are disjoint
 * or one holds the other, so in sorted order it is enough to compare each
 * with the last one that was in no other.
 */
static void
check_prefixes(struct conf *conf, struct failover_conf **list, size_t n)
{
	struct claim *claims, *outer, *claim;
	size_t count = 0, i;
	int which;

	claims = conf_alloc(n + 1, PREFIXES * sizeof(*claims));
	for (i = 0; i < n; i++) {
		for (which = PRIMARY; which < PREFIXES; which++) {
			claims[count].failover = list[i];
			claims[count++].prefix = list[i]->prefix[which];
		}
	}
	qsort(claims, count, sizeof(*claims), compare_claims);
	outer = claims;
	for (claim = claims + 1; claim < claims + count; claim++) {
		if (compare_routers(outer->failover, claim->failover) == 0 &&
		    prefix_overlap(&outer->prefix, &claim->prefix))
			claim_conflict(conf, outer, claim);
		else
			outer = claim;
	}
	free(claims);
}

/* Is all there that comparing failovers with each other looks at? */
static bool
is_whole(const struct failover_conf *f)
{
	return (f->router_project != NULL && f->router_region[LOCAL] != NULL &&
	    f->router[LOCAL] != NULL && f->account != NULL && f->match != NULL);
}

static void
check_together(struct conf *conf)
{
	struct failover_conf **list, *f;
	size_t n = 0;

	list = conf_alloc(conf->nfailovers + 1, sizeof(struct failover_conf *));
	TAILQ_FOREACH(f, &conf->failovers, entry)
		list[n++] = f;
	check_names(conf, list, n);
	n = 0;
	TAILQ_FOREACH(f, &conf->failovers, entry)
		if (is_whole(f))
			list[n++] = f;
	check_texts(conf, list, n);
	check_prefixes(conf, list, n);
	free(list);
}

/* The URL of each account's tokens is made of these. */
static void
check_metadata(struct conf *conf)
{
	size_t len;
	int role;

	for (role = 0; role < ROLE_MAX; role++) {
		if (conf->metadata[role] == NULL)
			continue;
		len = strlen(conf->url[URL_METADATA]) + strlen(METADATA_PATH) +
		    strlen(conf->metadata[role]) + strlen("/token");
		if (len < URL_LEN)
			continue;
		conf_error(conf,
		    "\"endpoint metadata\" is too long for the "
		    "service account %s",
		    conf->metadata[role]);
		return;
	}
}

/* What must stand at the top; conf->here is the end of the file. */
static void
check_top(struct conf *conf)
{
	struct failover_conf *top = conf->top;

	if (!top->given->broken) {
		if (!is_given(top, ST_PROBER_CREDENTIALS))
			conf_error(conf, "\"prober credentials\" is missing");
		if (!is_given(top, ST_ACTUATOR_CREDENTIALS))
			conf_error(conf, "\"actuator credentials\" is missing");
		if (TAILQ_EMPTY(&conf->failovers))
			conf_error(conf, "no failover block");
	}
	check_unknown_after(conf, top);
	check_metadata(conf);
	/* One key or account may serve all roles. */
	if (conf->cloud_project != NULL &&
	    conf->credentials[ROLE_REPORTER] == NULL &&
	    conf->metadata[ROLE_REPORTER] == NULL) {
		conf->credentials[ROLE_REPORTER] = conf_strdup(
		    conf->credentials[ROLE_ACTUATOR]);
		conf->metadata[ROLE_REPORTER] = conf_strdup(
		    conf->metadata[ROLE_ACTUATOR]);
	}
}

/*
 * Requests to Compute that may read, in 1000 seconds: of the limit the prober
 * gets four fifths, so that reading never uses up what a write needs.
 */
uint64_t
conf_read_rate(const struct conf *conf)
{
	uint64_t rate = (uint64_t)conf->limit_rate * 1000;

	return (rate - rate / 5);
}

/*
 * Complete what was read: fill in defaults and what the failover blocks take
 * from the top, and check the whole.  Every error is told.  Returns 0, or -1
 * where there was any, also before.
 */
int
conf_finish(struct conf *conf)
{
	struct failover_conf *f;

	check_top(conf);
	TAILQ_FOREACH(f, &conf->failovers, entry)
		check_failover(conf, f);
	check_together(conf);
	TAILQ_FOREACH(f, &conf->failovers, entry)
		given_free(f);
	failover_free(conf->top);
	conf->top = NULL;
	return (conf->errors == 0 ? 0 : -1);
}

/*
 * Warn if the limit is certainly too low: the least that is read of a failover
 * in an interval is a group of each side, for what is asked of regions and
 * routers may be shared.
 */
void
conf_check_limit(const struct conf *conf)
{
	const struct failover_conf *f;
	char line[TELL_LEN];
	uint64_t need = 0;

	TAILQ_FOREACH(f, &conf->failovers, entry)
		need += 2 * 1000 * 1000 / (uint64_t)f->policy.interval;
	if (need <= conf_read_rate(conf))
		return;
	snprintf(line, sizeof(line),
	    "warning: \"limit requests\" leaves %.1f per second for reading, "
	    "and the failovers need %.1f at least",
	    (double)conf_read_rate(conf) / 1000, (double)need / 1000);
	conf_tell(line);
}
