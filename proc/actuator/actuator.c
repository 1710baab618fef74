/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "actuator.h"
#include "checkup.h"
#include "child.h"
#include "log.h"
#include "token.h"

/*
 * The actuator: holds the tokens that can write, and the list of what it may
 * write.  Whatever else the parent asks for is refused.
 */

#define ACTS_MAX     100000
#define ACCOUNTS_MAX 10000
#define CA_MAX	     (4 * 1024 * 1024)
#define UNREAD_MAX   (16 * 1024 * 1024) /* of what we tell, bytes */

struct event_base *base;

static struct config *running; /* NULL: none has come yet */
static struct config *staged;  /* between BEGIN and COMMIT */
static struct config *coming;  /* to be used when nothing is under way */
static struct bucket bucket;   /* of all requests to Compute */
static bool stopping;
static char *ca; /* a bundle that is coming in */
static size_t ca_len;

/* Roles that asked for a token while a configuration was coming. */
static bool token_wanted[ROLE_MAX];

/* The test that the parent has asked for last. */
static struct {
	bool waits;
	uint32_t id;
	struct msg_test msg;
} test;

/* The configuration that new plans begin with. */
struct config *
config_current(void)
{
	return (running);
}

/* What may be touched for a failover; NULL: there is none of that number. */
const struct act *
config_act(uint32_t failover)
{
	if (running == NULL || failover >= running->nacts ||
	    !running->act[failover].present)
		return (NULL);
	return (&running->act[failover]);
}

/* What requests to Compute count against; NULL: there is no limit. */
struct bucket *
config_bucket(void)
{
	return (bucket.burst == 0 ? NULL : &bucket);
}

/* The parent has asked us to come to an end. */
bool
actuator_stopping(void)
{
	return (stopping);
}

/* Let go of a configuration; the last one to do so frees it. */
void
config_release(struct config *config)
{
	size_t i;

	if (config == NULL || --config->refs > 0)
		return;
	for (i = 0; i < config->nacts; i++)
		free(config->act[i].peer);
	for (i = 0; i < config->naccounts; i++)
		if (config->account[i].token != NULL)
			freezero(config->account[i].token,
			    strlen(config->account[i].token));
	free(config->act);
	free(config->account);
	free(config);
}

static void
conf_begin(void)
{
	config_release(staged);
	staged = calloc(1, sizeof(*staged));
	if (staged == NULL)
		fatal("configuration");
	staged->refs = 1;
}

static void
need_staged(const struct imsg *imsg)
{
	if (staged == NULL)
		fatalx("the parent sent %s outside of a configuration",
		    proto_name(imsg->hdr.type));
}

/* Make room for that index and as many again; all that is new is zero. */
static void *
conf_grow(void *array, size_t *n, size_t index, size_t size)
{
	array = recallocarray(array, *n, 2 * index + 1, size);
	if (array == NULL)
		fatal("configuration");
	*n = 2 * index + 1;
	return (array);
}

static struct act *
conf_get_act(uint32_t index)
{
	if (index >= ACTS_MAX)
		fatalx("failover %u", index);
	if (index >= staged->nacts)
		staged->act = conf_grow(staged->act, &staged->nacts, index,
		    sizeof(*staged->act));
	return (&staged->act[index]);
}

static void
conf_peer(const struct imsg *imsg)
{
	struct act *act = conf_get_act(imsg->hdr.id);
	char(*bigger)[NAME_LEN];
	struct msg_name msg;

	imsg_get_data(imsg, &msg, sizeof(msg));
	bigger = reallocarray(act->peer, act->npeers + 1, sizeof(*bigger));
	if (bigger == NULL)
		fatal("configuration");
	act->peer = bigger;
	strlcpy(act->peer[act->npeers++], msg.name, NAME_LEN);
}

static struct account *
conf_get_account(uint32_t index)
{
	if (index >= ACCOUNTS_MAX)
		fatalx("account %u", index);
	if (index >= staged->naccounts)
		staged->account = conf_grow(staged->account, &staged->naccounts,
		    index, sizeof(*staged->account));
	return (&staged->account[index]);
}

static void
conf_account(const struct imsg *imsg)
{
	struct account *account = conf_get_account(imsg->hdr.id);
	struct msg_name msg;

	imsg_get_data(imsg, &msg, sizeof(msg));
	strlcpy(account->id, msg.name, sizeof(account->id));
}

/* The account whose token has come: of the configuration that is coming in,
 * or between two of them of the one in use. */
static struct account *
token_account(uint32_t index)
{
	if (staged != NULL)
		return (conf_get_account(index));
	if (running == NULL || index >= running->naccounts)
		fatalx("a token for unknown account %u", index);
	return (&running->account[index]);
}

/* The token of an account: a line of printable text, its end left out. */
static void
conf_cf_token(const struct imsg *imsg)
{
	struct account *account = token_account(imsg->hdr.id);
	const char *text = imsg->data;
	size_t i, len = imsg->len;

	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	for (i = 0; i < len; i++)
		if (!isgraph((unsigned char)text[i]))
			break;
	if (len == 0 || i < len) {
		log_errorx("account %s: the file has no token in it",
		    account->id);
		return;
	}
	if (account->token != NULL)
		freezero(account->token, strlen(account->token));
	account->token = strndup(text, len);
	if (account->token == NULL)
		fatal("token");
	if (staged == NULL) {
		account_new_token(account->id);
		rehearse_new_token(account->id);
	}
}

static void
conf_url(const struct imsg *imsg)
{
	struct msg_endpoint msg;

	imsg_get_data(imsg, &msg, sizeof(msg));
	strlcpy(staged->url[msg.api], msg.url, URL_LEN);
}

static void
conf_token_uri(const struct imsg *imsg)
{
	enum role role = imsg->hdr.id;
	struct msg_token_uri msg;

	imsg_get_data(imsg, &msg, sizeof(msg));
	if (imsg->hdr.id >= ROLE_MAX || role_scope(role) == NULL ||
	    (role != ROLE_ACTUATOR && !msg.metadata))
		fatalx("the parent sent the token endpoint of another role");
	staged->token[role] = msg;
}

static void
conf_limit(const struct imsg *imsg)
{
	imsg_get_data(imsg, &staged->limit, sizeof(staged->limit));
}

static void
conf_act(const struct imsg *imsg)
{
	struct act *act = conf_get_act(imsg->hdr.id);

	imsg_get_data(imsg, &act->conf, sizeof(act->conf));
	act->present = true;
}

/* Test what the parent has asked for last; a configuration that is coming
 * comes first. */
static void
begin_test(void)
{
	if (!test.waits || coming != NULL)
		return;
	test.waits = false;
	if (config_act(test.id) != NULL && !stopping)
		rehearse(test.id, &test.msg);
	else
		child_send(IMSG_TEST_DONE, test.id, &test.msg,
		    sizeof(test.msg));
}

static void
take_test(const struct imsg *imsg)
{
	imsg_get_data(imsg, &test.msg, sizeof(test.msg));
	test.id = imsg->hdr.id;
	test.waits = true;
	begin_test();
}

/* A process asks for a token; a configuration that is coming comes first. */
static void
fetch_token(enum role role)
{
	if (coming != NULL)
		token_wanted[role] = true;
	else
		metadata_fetch(role);
}

static void
take_wish(const struct imsg *imsg)
{
	if (imsg->hdr.id >= ROLE_MAX ||
	    role_scope((enum role)imsg->hdr.id) == NULL)
		fatalx("the parent sent %s for no role",
		    proto_name(imsg->hdr.type));
	fetch_token((enum role)imsg->hdr.id);
}

/* Nothing is under way any more: the new configuration is the one in use. */
static void
conf_use(void)
{
	enum role role;

	config_release(running);
	running = coming;
	coming = NULL;
	plans_forget_steering();
	told_forget();
	account_forget_lists();
	bucket_set(&bucket, running->limit.rate, running->limit.burst,
	    http_now());
	metadata_configure(running->token);
	for (role = ROLE_PARENT; role < ROLE_MAX; role++) {
		if (token_wanted[role])
			metadata_fetch(role);
		token_wanted[role] = false;
	}
	token_source(&running->token[ROLE_ACTUATOR]);
	child_send(IMSG_CONF_IN_USE, 0, NULL, 0);
	begin_test();
}

/* A configuration is whole.  What has begun with the one before ends first. */
static void
conf_commit(void)
{
	char why[REASON_LEN];

	if (allow_check(staged, why, sizeof(why)) == -1)
		fatalx("the parent sent a configuration that cannot be: %s",
		    why);
	if (coming != NULL)
		fatalx("the parent sent a configuration too soon");
	coming = staged;
	staged = NULL;
	checkups_end();
	plans_finish(conf_use);
}

static void
take_plan(const struct imsg *imsg)
{
	struct msg_plan plan;
	uint32_t id = imsg->hdr.id;

	imsg_get_data(imsg, &plan, sizeof(plan));
	if (config_act(id) == NULL)
		plan_refuse(id, &plan, "the failover is not known here");
	else if (stopping || coming != NULL)
		plan_refuse(id, &plan, "stopping, or taking a configuration");
	else
		plan_start(id, &plan);
}

static void
take_permit(const struct imsg *imsg)
{
	struct msg_permit permit;

	imsg_get_data(imsg, &permit, sizeof(permit));
	plan_permit(imsg->hdr.id, &permit);
}

static void
take_addresses(const struct imsg *imsg)
{
	struct msg_addresses msg;

	imsg_get_data(imsg, &msg, sizeof(msg));
	http_address(&msg);
	token_retry();
}

static void
ca_chunk(const struct imsg *imsg)
{
	char *bigger;

	if (imsg->len > CA_MAX - ca_len)
		fatalx("the CA bundle is too large");
	bigger = realloc(ca, ca_len + imsg->len);
	if (bigger == NULL)
		fatal("the CA bundle");
	memcpy(bigger + ca_len, imsg->data, imsg->len);
	ca = bigger;
	ca_len += imsg->len;
}

static void
ca_end(void)
{
	if (http_set_ca(ca, ca_len) == -1)
		log_errorx("the CA bundle has no certificate; the old one "
			   "stays in use");
	free(ca);
	ca = NULL;
	ca_len = 0;
}

/* A message that belongs into a configuration. */
static void
dispatch_conf(const struct imsg *imsg)
{
	need_staged(imsg);
	switch (imsg->hdr.type) {
	case IMSG_CONF_ENDPOINT:
		conf_url(imsg);
		break;
	case IMSG_CONF_TOKEN_URI:
		conf_token_uri(imsg);
		break;
	case IMSG_CONF_PEER:
		conf_peer(imsg);
		break;
	case IMSG_CONF_ACCOUNT:
		conf_account(imsg);
		break;
	case IMSG_CONF_ACT:
		conf_act(imsg);
		break;
	case IMSG_CONF_LIMIT:
		conf_limit(imsg);
		break;
	case IMSG_CONF_COMMIT:
		conf_commit();
		break;
	default:
		fatalx("the parent sent %s", proto_name(imsg->hdr.type));
	}
}

/* A parent that asks and does not listen would have us keep all answers. */
static void
need_listener(void)
{
	if (parent_channel != NULL &&
	    channel_queued(parent_channel) > UNREAD_MAX)
		fatalx("the parent does not read what it is told");
}

static void
dispatch(const struct imsg *imsg, void *arg __unused)
{
	need_listener();
	switch (imsg->hdr.type) {
	case IMSG_ADDRESSES:
		take_addresses(imsg);
		break;
	case IMSG_CA_CHUNK:
		ca_chunk(imsg);
		break;
	case IMSG_CA_END:
		ca_end();
		break;
	case IMSG_CONF_BEGIN:
		conf_begin();
		break;
	case IMSG_CONF_CF_TOKEN:
		conf_cf_token(imsg);
		break;
	case IMSG_PLAN:
		take_plan(imsg);
		break;
	case IMSG_PLAN_PERMIT:
		take_permit(imsg);
		break;
	case IMSG_TEST:
		take_test(imsg);
		break;
	case IMSG_TOKEN_WANTED:
		take_wish(imsg);
		break;
	case IMSG_STOP:
		stopping = true;
		plans_stop();
		break;
	default:
		if (!token_message(imsg))
			dispatch_conf(imsg);
	}
}

static void
prepare(struct event_base *loop, const struct child_setup *setup)
{
	base = loop;
	json_object_seed(0);
	http_prepare(base, setup->ca, setup->ca_len);
	token_init(base);
	checkups_init(base);
}

int
main(int argc, char *argv[])
{
	struct child_program program = {
		.role = ROLE_ACTUATOR,
		.libraries = http_libraries,
		.prepare = prepare,
		.rules = http_rules,
		.nrules = http_nrules,
		.handler = dispatch,
	};

	return (child_main(&program, argc, argv));
}
