/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actuator.h"
#include "log.h"
#include "texts.h"

/*
 * Is what comes as a list of what may be written a list that can be believed?
 * The parent has checked the same in the words of the configuration, with the
 * place of what is wrong; here it is checked again because the parent may not
 * be what it was.  A name that is more than a name would lead to another URL,
 * a text that is empty would match all routes, and what belongs to two
 * failovers would be pulled both ways.
 */

#define LABEL_LEN 63 /* RFC 1035 */

static int
not_so(char *why, size_t len, size_t failover, const char *what)
{
	snprintf(why, len, "failover %zu: %s", failover, what);
	return (-1);
}

static bool
is_label(const char *text)
{
	size_t i, len = strlen(text);

	if (len == 0 || len > LABEL_LEN || !islower((unsigned char)text[0]) ||
	    text[len - 1] == '-')
		return (false);
	for (i = 0; i < len; i++)
		if (!islower((unsigned char)text[i]) &&
		    !isdigit((unsigned char)text[i]) && text[i] != '-')
			return (false);
	return (true);
}

/* The id of a project may begin with a domain. */
static bool
is_project(const char *text)
{
	const char *colon = strchr(text, ':'), *p;

	if (colon == NULL)
		return (is_label(text));
	if (colon == text || strchr(".-", text[0]) != NULL ||
	    strchr(".-", colon[-1]) != NULL)
		return (false);
	for (p = text; p < colon; p++)
		if (!islower((unsigned char)*p) &&
		    !isdigit((unsigned char)*p) && *p != '-' && *p != '.')
			return (false);
	return (is_label(colon + 1));
}

static bool
is_account(const char *text)
{
	size_t i;

	for (i = 0; isalnum((unsigned char)text[i]); i++)
		continue;
	return (i > 0 && text[i] == '\0');
}

/* What comes after a base is a path, and nothing else. */
static bool
is_base(const char *url)
{
	const char *p;

	if (strncmp(url, "https://", 8) != 0 || strpbrk(url, "?#\\") != NULL ||
	    memchr(url + 8, '@', strcspn(url + 8, "/")) != NULL)
		return (false);
	for (p = url; *p != '\0'; p++)
		if (!isgraph((unsigned char)*p))
			return (false);
	return (url[8] != '\0' && url[8] != '/');
}

static bool
is_masked(const struct prefix *prefix)
{
	struct prefix masked;

	return (prefix_masked(prefix, &masked));
}

static int
check_act(const struct config *config, size_t n, char *why, size_t len)
{
	const struct act *act = &config->act[n];
	const struct msg_conf_act *conf = &act->conf;
	size_t i;

	if (conf->account >= config->naccounts ||
	    config->account[conf->account].id[0] == '\0')
		return (not_so(why, len, n, "it has no account"));
	if (!is_project(conf->project))
		return (not_so(why, len, n, "the project is no id"));
	if (!is_label(conf->region))
		return (not_so(why, len, n, "the region is no name"));
	if (!is_label(conf->router))
		return (not_so(why, len, n, "the router is no name"));
	for (i = 0; i < act->npeers; i++)
		if (!is_label(act->peer[i]))
			return (not_so(why, len, n, "a peer is no name"));
	if (!is_masked(&conf->prefix[PRIMARY]) ||
	    !is_masked(&conf->prefix[SECONDARY]))
		return (not_so(why, len, n, "a prefix has host bits"));
	if (prefix_overlap(&conf->prefix[PRIMARY], &conf->prefix[SECONDARY]))
		return (not_so(why, len, n, "its prefixes overlap"));
	if (conf->match[0] == '\0')
		return (not_so(why, len, n, "its text matches every route"));
	if (conf->priority >= conf->failed)
		return (not_so(why, len, n,
		    "its failed priority is not the greater number"));
	return (0);
}

/* A prefix at a router, or a text at an account: what a failover claims. */
struct claim {
	const struct config *config;
	const struct msg_conf_act *conf;
	size_t failover;
	const struct prefix *prefix;
};

static int
compare_routers(const struct msg_conf_act *a, const struct msg_conf_act *b)
{
	int r;

	r = strcmp(a->project, b->project);
	if (r == 0)
		r = strcmp(a->region, b->region);
	if (r == 0)
		r = strcmp(a->router, b->router);
	return (r);
}

static int
compare_claims(const void *va, const void *vb)
{
	const struct claim *a = va, *b = vb;
	int r;

	r = compare_routers(a->conf, b->conf);
	if (r == 0)
		r = a->prefix->family - b->prefix->family;
	if (r == 0)
		r = memcmp(a->prefix->address, b->prefix->address,
		    sizeof(a->prefix->address));
	if (r == 0)
		r = a->prefix->length - b->prefix->length;
	return (r);
}

static const char *
account_of(const struct claim *claim)
{
	return (claim->config->account[claim->conf->account].id);
}

static int
compare_accounts(const void *va, const void *vb)
{
	return (strcmp(account_of(va), account_of(vb)));
}

/* Two prefixes are disjoint or one holds the other, so in sorted order it is
 * enough to compare each with the last one that was in no other. */
static int
check_prefixes(struct claim *claims, size_t n, char *why, size_t len)
{
	const struct claim *outer = claims, *claim;

	qsort(claims, n, sizeof(*claims), compare_claims);
	for (claim = claims + 1; claim < claims + n; claim++) {
		if (compare_routers(outer->conf, claim->conf) == 0 &&
		    prefix_overlap(outer->prefix, claim->prefix))
			return (not_so(why, len, claim->failover,
			    "another one has a prefix of it at its router"));
		outer = claim;
	}
	return (0);
}

/* No text of an account is in another one of it. */
static int
check_texts(struct claim *claims, size_t n, char *why, size_t len)
{
	const char **texts;
	size_t first = 0, i;
	int r = 0;

	texts = calloc(n + 1, sizeof(*texts));
	if (texts == NULL)
		fatal("%s", __func__);
	qsort(claims, n, sizeof(*claims), compare_accounts);
	for (i = 0; r == 0 && i < n; i++) {
		texts[i - first] = claims[i].conf->match;
		if (i + 1 < n &&
		    compare_accounts(&claims[i], &claims[i + 1]) == 0)
			continue;
		if (texts_overlap(texts, i + 1 - first))
			r = not_so(why, len, claims[i].failover,
			    "another one can match the same routes");
		first = i + 1;
	}
	free(texts);
	return (r);
}

/* All failovers, each so many times. */
static size_t
make_claims(const struct config *config, struct claim *claims, int times)
{
	size_t i, n = 0;
	int which;

	for (i = 0; i < config->nacts; i++) {
		if (!config->act[i].present)
			continue;
		for (which = PRIMARY; which < times; which++)
			claims[n++] = (struct claim){ .config = config,
				.conf = &config->act[i].conf,
				.failover = i,
				.prefix = &config->act[i].conf.prefix[which] };
	}
	return (n);
}

static int
check_together(const struct config *config, char *why, size_t len)
{
	struct claim *claims;
	size_t n;
	int r;

	claims = calloc(config->nacts + 1, PREFIXES * sizeof(*claims));
	if (claims == NULL)
		fatal("%s", __func__);
	n = make_claims(config, claims, PREFIXES);
	r = check_prefixes(claims, n, why, len);
	if (r == 0) {
		n = make_claims(config, claims, 1);
		r = check_texts(claims, n, why, len);
	}
	free(claims);
	return (r);
}

/*
 * May that be what we may write?  Returns -1 and why if not, naming the first
 * failover or account that cannot be so.
 */
int
allow_check(const struct config *config, char *why, size_t len)
{
	size_t i;

	for (i = 0; i < API_MAX; i++)
		if (config->url[i][0] != '\0' && !is_base(config->url[i])) {
			snprintf(why, len, "endpoint %zu is no URL", i);
			return (-1);
		}
	for (i = 0; i < config->naccounts; i++)
		if (config->account[i].id[0] != '\0' &&
		    !is_account(config->account[i].id)) {
			snprintf(why, len, "account %zu: its id is none", i);
			return (-1);
		}
	for (i = 0; i < config->nacts; i++)
		if (config->act[i].present &&
		    check_act(config, i, why, len) == -1)
			return (-1);
	return (check_together(config, why, len));
}
