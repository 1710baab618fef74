/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "actuator.h"
#include "backoff.h"
#include "budget.h"
#include "checkup.h"
#include "child.h"
#include "log.h"
#include "pick.h"

/*
 * A rehearsal of what a plan would do, but for the writing: are the tokens
 * good, is the router there, are the routes ours, and would an update of them
 * be taken?  The update leaves all routes as they are, and the server is asked
 * to validate it only.
 */

#define DAY	     INT64_C(86400) /* seconds */
#define TOKEN_WAIT   2000 /* milliseconds that a new Cloudflare token may take */
#define EXPIRES_SOON 30	  /* days */

/* The tests of a rehearsal that follow from others. */
struct rehearsal {
	TAILQ_ENTRY(rehearsal) entry;
	const struct act *act;
	struct account *account;
	struct check *verify;
	struct check *routes;
	struct check *validate;
	bool owned;	  /* the token was looked for in the account */
	bool asked_token; /* of the parent, after a 401 */
	bool waiting;	  /* for it */
	json_t *list;	  /* the answer */
	json_t *ours;
	size_t validated; /* so many of those */
};

static TAILQ_HEAD(, rehearsal) rehearsals = TAILQ_HEAD_INITIALIZER(rehearsals);

/*
 * What an account has answered in the round that runs or ran last.  The
 * failovers of a round come one after another, and all those of an account
 * would ask it the same.
 */
static struct {
	uint64_t number; /* of the round */
	char account[NAME_LEN];
	bool verified;
	struct msg_tested verify;
	json_t *list; /* NULL: none */
} last;

static void validate_next(struct check *);

static struct rehearsal *
rehearsal_of(const struct check *check)
{
	return (check->checkup->more);
}

/* Has the account of this test been asked in this round before? */
static bool
last_is(const struct check *check)
{
	return (last.number == check->checkup->number &&
	    strcmp(last.account, rehearsal_of(check)->account->id) == 0);
}

static void
last_begin(const struct check *check)
{
	if (last_is(check))
		return;
	json_decref(last.list);
	memset(&last, 0, sizeof(last));
	last.number = check->checkup->number;
	strlcpy(last.account, rehearsal_of(check)->account->id,
	    sizeof(last.account));
}

static char *
routes_url(const struct check *check, const char *query)
{
	return (url_join(config_current()->url[API_CLOUDFLARE],
	    "/accounts/%s/magic/routes%s", rehearsal_of(check)->account->id,
	    query));
}

/* May the account be called for no more than a look?  What is left for writes
 * is not for us. */
static bool
may_look(struct check *check)
{
	struct rehearsal *rehearsal = rehearsal_of(check);
	struct budget *budget = account_budget(rehearsal->account->id);
	char why[REASON_LEN];
	int64_t until;

	if (budget_ask(budget, http_now(), true, &until) == BUDGET_MAY) {
		budget_spend(budget, http_now());
		return (true);
	}
	snprintf(why, sizeof(why),
	    "the account is called for nothing but writes for %lld s: it has "
	    "been called too often",
	    (long long)(until - http_now() + 999) / 1000);
	check_end(check, RESULT_SKIPPED, "%s", why);
	if (check == rehearsal->routes)
		check_end(rehearsal->validate, RESULT_SKIPPED, "%s", why);
	return (false);
}

/* A call to Cloudflare, if there is a token for it. */
static void
cloudflare_call(struct check *check, enum http_method method, char *url,
    char *body, uint32_t timeout)
{
	const char *token = rehearsal_of(check)->account->token;

	if (token != NULL && may_look(check)) {
		check_call(check, method, url, body, token, timeout);
		return;
	}
	free(url);
	free(body);
	if (token == NULL)
		check->answered(check, ANSWER_PERMANENT, NULL,
		    "there is no Cloudflare token");
}

/* Every answer of an account counts for all who call it. */
static void
cloudflare_heard(const struct check *check, const struct http_reply *reply)
{
	if (check->msg.api == API_CLOUDFLARE && reply->answered)
		budget_answer(account_budget(rehearsal_of(check)->account->id),
		    http_now(), reply->status,
		    retry_after(reply->retry_after, time(NULL)),
		    reply->ratelimit);
}

/* Days of the Gregorian calendar since the epoch. */
static int64_t
days_since_epoch(int64_t year, int64_t month, int64_t day)
{
	/* Years that begin in March have the leap day at their end. */
	year -= month <= 2;
	month += month <= 2 ? 9 : -3;
	return (365 * year + year / 4 - year / 100 + year / 400 +
	    (153 * month + 2) / 5 + day - 1 - 719468);
}

/* How many days are left until the date of an RFC 3339 time?  The time of day
 * does not matter here.  Returns false if it is none. */
static bool
days_left(const char *date, int64_t *days)
{
	int year, month, day;

	if (date == NULL ||
	    sscanf(date, "%4d-%2d-%2dT", &year, &month, &day) != 3)
		return (false);
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31)
		return (false);
	*days = days_since_epoch(year, month, day) -
	    (int64_t)time(NULL) / (24 * 3600);
	return (true);
}

/* The offset at the end of an RFC 3339 time, in seconds. */
static int64_t
time_offset(const char *rest)
{
	int hours, minutes;
	char sign;

	rest += strspn(rest, ".0123456789"); /* a fraction */
	if (sscanf(rest, "%c%2d:%2d", &sign, &hours, &minutes) != 3 ||
	    (sign != '+' && sign != '-'))
		return (0);
	return ((sign == '-' ? -60 : 60) * (hours * 60 + minutes));
}

/* An RFC 3339 time in seconds since the epoch; 0 if it is none. */
static int64_t
expiry(const char *date)
{
	int year, month, day, hour, minute, second, end;

	if (date == NULL ||
	    sscanf(date, "%4d-%2d-%2dT%2d:%2d:%2d%n", &year, &month, &day,
		&hour, &minute, &second, &end) != 6)
		return (0);
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 ||
	    hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
	    second > 60)
		return (0);
	return (days_since_epoch(year, month, day) * DAY + hour * 3600 +
	    minute * 60 + second - time_offset(date + end));
}

/* What Cloudflare says of the token. */
static void
verify_judge(struct check *check, const json_t *json)
{
	const json_t *result = json_object_get(json, "result");
	const char *status = json_text(result, "status");
	char shown[64];
	int64_t days;

	text_clean(status == NULL ? "not told" : status, shown, sizeof(shown));
	if (status == NULL || strcmp(status, "active") != 0) {
		check_end(check, RESULT_FAILURE, "the token's status is %s",
		    shown);
		return;
	}
	check->msg.expires = expiry(json_text(result, "expires_on"));
	if (!days_left(json_text(result, "expires_on"), &days) ||
	    days > EXPIRES_SOON) {
		check_end(check, RESULT_SUCCESS, "%s", "");
		return;
	}
	text_clean(json_text(result, "expires_on"), shown, sizeof(shown));
	check_end(check, RESULT_SUCCESS,
	    "the token expires on %s, in %lld days", shown, (long long)days);
}

/*
 * The token is a user's, or the account's own; each is known at its own place
 * only.  To be refused here proves nothing: what the token may do shows when
 * it does it.
 */
static void
verified(struct check *check, enum answer answer, const json_t *json,
    const char *why)
{
	struct rehearsal *rehearsal = rehearsal_of(check);
	const struct msg_conf_act *conf = &rehearsal->act->conf;

	if (answer == ANSWER_TOKEN && !rehearsal->owned) {
		rehearsal->owned = true;
		cloudflare_call(check, HTTP_GET,
		    url_join(config_current()->url[API_CLOUDFLARE],
			"/accounts/%s/tokens/verify", rehearsal->account->id),
		    NULL, conf->cloudflare_timeout);
		return;
	}
	if (answer == ANSWER_OK)
		verify_judge(check, json);
	else
		check_end(check, RESULT_SKIPPED, "%s", why);
	last_begin(check);
	last.verified = true;
	last.verify = check->msg;
}

static void
verify(struct check *check)
{
	if (last_is(check) && last.verified) {
		check->msg.http_status = last.verify.http_status;
		check->msg.expires = last.verify.expires;
		check_end(check, last.verify.result, "%s", last.verify.error);
		return;
	}
	cloudflare_call(check, HTTP_GET,
	    url_join(config_current()->url[API_CLOUDFLARE],
		"/user/tokens/verify"),
	    NULL, rehearsal_of(check)->act->conf.cloudflare_timeout);
}

/* Our routes, and the texts of the account's other failovers, whose routes are
 * not ours.  The caller frees others. */
static void
picker_init(struct picker *picker, const struct rehearsal *rehearsal)
{
	const struct config *config = config_current();
	const struct act *act;
	size_t i;

	picker->match = rehearsal->act->conf.match;
	picker->expect = rehearsal->act->conf.expect;
	picker->nothers = 0;
	picker->others = reallocarray(NULL, config->nacts,
	    sizeof(*picker->others));
	if (picker->others == NULL)
		fatal("rehearsal");
	for (i = 0; i < config->nacts; i++) {
		act = &config->act[i];
		if (act->present && act != rehearsal->act &&
		    strcmp(config->account[act->conf.account].id,
			rehearsal->account->id) == 0)
			picker->others[picker->nothers++] = act->conf.match;
	}
}

/*
 * The last look before the only PUT that is not a plan's.  Even if everything
 * else here were wrong: not in passive mode, only to be validated, and nothing
 * but the failover's own routes, as they were listed.
 */
static bool
may_validate(const struct check *check, const char *url, const char *body)
{
	const struct rehearsal *rehearsal = rehearsal_of(check);
	struct picker picker;
	json_t *json;
	char *expected;
	bool may;

	json = body == NULL ? NULL : json_loads(body, 0, NULL);
	expected = routes_url(check, "?validate_only=true");
	picker_init(&picker, rehearsal);
	may = json != NULL && !rehearsal->act->conf.passive &&
	    strcmp(url, expected) == 0 &&
	    pick_only_unchanged(json, rehearsal->list, &picker);
	free(picker.others);
	free(expected);
	json_decref(json);
	return (may);
}

static void
validated(struct check *check, enum answer answer, const json_t *json __unused,
    const char *why)
{
	struct rehearsal *rehearsal = rehearsal_of(check);
	size_t n = json_array_size(rehearsal->ours);

	if (answer != ANSWER_OK) {
		check_end(check, RESULT_FAILURE, "%s", why);
		return;
	}
	rehearsal->validated += BULK_MAX;
	if (rehearsal->validated < n)
		validate_next(check);
	else
		check_end(check, RESULT_SUCCESS, "%zu route%s", n,
		    n == 1 ? "" : "s");
}

static void
validate_next(struct check *check)
{
	const struct rehearsal *rehearsal = rehearsal_of(check);
	json_t *json;
	char *body, *url;

	json = pick_unchanged(rehearsal->ours, rehearsal->validated);
	body = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	url = routes_url(check, "?validate_only=true");
	if (may_validate(check, url, body)) {
		cloudflare_call(check, HTTP_PUT, url, body,
		    rehearsal->act->conf.cloudflare_bulk_timeout);
		return;
	}
	log_errorx("refused to validate what is not ours: %s", url);
	free(url);
	free(body);
	check_end(check, RESULT_FAILURE, "outside of what may be written");
}

static void
validate(struct check *check)
{
	if (rehearsal_of(check)->act->conf.passive)
		check_end(check, RESULT_SKIPPED,
		    "passive: nothing will be written");
	else
		validate_next(check);
}

/* A list has come: are our routes in it? */
static void
routes_found(struct check *check)
{
	struct rehearsal *rehearsal = rehearsal_of(check);
	struct picker picker;
	char why[REASON_LEN];
	size_t n;
	int r;

	rehearsal->list = json_incref(last.list);
	picker_init(&picker, rehearsal);
	r = pick_routes(rehearsal->list, &picker, &rehearsal->ours, why,
	    sizeof(why));
	free(picker.others);
	if (r == -1) {
		check_end(check, RESULT_FAILURE, "%s", why);
		check_end(rehearsal->validate, RESULT_SKIPPED,
		    "list_routes failed");
		return;
	}
	n = json_array_size(rehearsal->ours);
	check_end(check, RESULT_SUCCESS, "%zu route%s \"%s\"", n,
	    n == 1 ? " matches" : "s match", picker.match);
	validate(rehearsal->validate);
}

/* No new token has come: the refusal stands. */
static void
token_late(struct check *check)
{
	struct rehearsal *rehearsal = rehearsal_of(check);

	rehearsal->waiting = false;
	check_end(check, RESULT_FAILURE,
	    "HTTP 401: Cloudflare refused the token");
	check_end(rehearsal->validate, RESULT_SKIPPED, "list_routes failed");
}

static void
listed(struct check *check, enum answer answer, const json_t *json,
    const char *why)
{
	struct rehearsal *rehearsal = rehearsal_of(check);

	if (answer == ANSWER_OK) {
		last_begin(check);
		json_decref(last.list);
		last.list = json_deep_copy(json);
		routes_found(check);
		return;
	}
	if (answer == ANSWER_TOKEN && !rehearsal->asked_token) {
		/* Its file may have changed. */
		rehearsal->asked_token = rehearsal->waiting = true;
		check_after(check, TOKEN_WAIT, token_late);
		child_send(IMSG_CF_REFUSED, rehearsal->act->conf.account, NULL,
		    0);
		return;
	}
	check_end(check, RESULT_FAILURE, "%s", why);
	if (check->msg.http_status == 0)
		check_end(rehearsal->validate, RESULT_FAILURE, "%s", why);
	else
		check_end(rehearsal->validate, RESULT_SKIPPED,
		    "list_routes failed");
}

static void
routes_ask(struct check *check)
{
	if (last_is(check) && last.list != NULL) {
		check->msg.http_status = 200;
		routes_found(check);
	} else
		cloudflare_call(check, HTTP_GET, routes_url(check, ""), NULL,
		    rehearsal_of(check)->act->conf.cloudflare_timeout);
}

/* The token of an account has come anew: list the routes again with it. */
void
rehearse_new_token(const char *account)
{
	struct rehearsal *rehearsal;

	TAILQ_FOREACH(rehearsal, &rehearsals, entry) {
		if (!rehearsal->waiting ||
		    strcmp(rehearsal->account->id, account) != 0)
			continue;
		rehearsal->waiting = false;
		routes_ask(rehearsal->routes);
	}
}

static void
router_answered(struct check *check, enum answer answer, const json_t *json,
    const char *why)
{
	const char *router = rehearsal_of(check)->act->conf.router;
	const char *name;

	name = json_text(json, "name");
	if (answer != ANSWER_OK)
		check_end(check, RESULT_FAILURE, "%s", why);
	else if (name == NULL || strcmp(name, router) != 0)
		check_end(check, RESULT_FAILURE,
		    "the answer is not about this router");
	else
		check_end(check, RESULT_SUCCESS, "%s", "");
}

static void
rehearse_router(struct checkup *checkup, const struct msg_conf_act *conf)
{
	struct check *check;

	check = checkup_add(checkup, API_COMPUTE, "get_router", router_answered,
	    "%s/%s/%s", conf->project, conf->region, conf->router);
	check_call(check, HTTP_GET,
	    url_join(config_current()->url[API_COMPUTE],
		"/projects/%s/regions/%s/routers/%s"
		"?prettyPrint=false&fields=name",
		conf->project, conf->region, conf->router),
	    NULL, NULL, conf->api_timeout);
}

static void
rehearsal_end(struct checkup *checkup)
{
	struct rehearsal *rehearsal = checkup->more;

	TAILQ_REMOVE(&rehearsals, rehearsal, entry);
	json_decref(rehearsal->list);
	json_decref(rehearsal->ours);
}

/*
 * Begin a round of tests for a failover of the configuration in use, which
 * ends before another one comes.
 */
void
rehearse(uint32_t failover, const struct msg_test *msg)
{
	const struct act *act = config_act(failover);
	const struct msg_conf_act *conf = &act->conf;
	struct rehearsal *rehearsal;
	struct checkup *checkup;

	rehearsal = calloc(1, sizeof(*rehearsal));
	if (rehearsal == NULL)
		fatal("rehearsal");
	rehearsal->act = act;
	rehearsal->account = &config_current()->account[conf->account];
	TAILQ_INSERT_TAIL(&rehearsals, rehearsal, entry);
	/* The token and the router; or two lists, and the update. */
	checkup = checkup_new(failover, msg->test,
	    3 * (int64_t)conf->api_timeout +
		3 * (int64_t)conf->cloudflare_timeout +
		conf->cloudflare_bulk_timeout + TOKEN_WAIT);
	checkup->connect_timeout = conf->connect_timeout;
	checkup->more = rehearsal;
	checkup->end = rehearsal_end;
	checkup->heard = cloudflare_heard;
	checkup->bucket = config_bucket();

	checkup_token(checkup, ROLE_ACTUATOR);
	rehearse_router(checkup, conf);
	rehearsal->verify = checkup_add(checkup, API_CLOUDFLARE, "verify_token",
	    verified, "%s", rehearsal->account->id);
	rehearsal->routes = checkup_add(checkup, API_CLOUDFLARE, "list_routes",
	    listed, "%s", rehearsal->account->id);
	rehearsal->validate = checkup_add(checkup, API_CLOUDFLARE,
	    "validate_routes", validated, "%s", rehearsal->account->id);
	verify(rehearsal->verify);
	routes_ask(rehearsal->routes);
}
