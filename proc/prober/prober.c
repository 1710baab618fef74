/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdlib.h>
#include <string.h>

#include "checkup.h"
#include "child.h"
#include "http.h"
#include "log.h"
#include "prober.h"
#include "token.h"

/*
 * The prober: reads the health of backend services and the state of routers,
 * with a token that cannot write, and tells the parent what it saw.
 */

#define TARGETS_MAX  100000
#define CA_MAX	     (4 * 1024 * 1024)
#define COMPUTE_BASE "https://compute.googleapis.com/compute/v1"

static void prepare(struct event_base *, const struct child_setup *);
static void dispatch(const struct imsg *, void *);
static void ca_chunk(const struct imsg *);
static void ca_end(void);
static void conf_begin(void);
static void conf_endpoint(const struct imsg *);
static void conf_token_uri(const struct imsg *);
static void conf_limit(const struct imsg *);
static void conf_probe(const struct imsg *);
static void conf_name(const struct imsg *, bool);
static void conf_commit(void);
static struct target *conf_target(uint32_t);
static void config_free(struct config *);
static void probe(const struct imsg *);
static void test(const struct imsg *);
static bool known(uint32_t);
static void get(const struct imsg *, void *, size_t);

static struct config *running; /* NULL until the first COMMIT */
static struct config *staged;  /* between BEGIN and COMMIT */
static struct bucket bucket;   /* of all requests to Compute */
static char *ca;	       /* chunks that came so far */
static size_t ca_len;

int
main(int argc, char *argv[])
{
	struct child_program program;

	memset(&program, 0, sizeof(program));
	program.role = ROLE_PROBER;
	program.libraries = http_libraries;
	program.prepare = prepare;
	program.rules = http_rules;
	program.nrules = http_nrules;
	program.handler = dispatch;
	return (child_main(&program, argc, argv));
}

static void
prepare(struct event_base *base, const struct child_setup *setup)
{
	http_prepare(base, setup->ca, setup->ca_len);
	token_init(base);
	cycle_init(base);
	checkups_init(base);
}

/* A message of the parent's; its length and texts have been checked. */
static void
dispatch(const struct imsg *imsg, void *arg)
{
	struct msg_addresses addresses;

	(void)arg;
	switch (imsg->hdr.type) {
	case IMSG_CA_CHUNK:
		ca_chunk(imsg);
		break;
	case IMSG_CA_END:
		ca_end();
		break;
	case IMSG_ADDRESSES:
		get(imsg, &addresses, sizeof(addresses));
		http_address(&addresses);
		token_retry();
		break;
	case IMSG_CONF_BEGIN:
		conf_begin();
		break;
	case IMSG_CONF_ENDPOINT:
		conf_endpoint(imsg);
		break;
	case IMSG_CONF_TOKEN_URI:
		conf_token_uri(imsg);
		break;
	case IMSG_CONF_LIMIT:
		conf_limit(imsg);
		break;
	case IMSG_CONF_PROBE:
		conf_probe(imsg);
		break;
	case IMSG_CONF_SERVICE:
		conf_name(imsg, true);
		break;
	case IMSG_CONF_PEER:
		conf_name(imsg, false);
		break;
	case IMSG_CONF_COMMIT:
		conf_commit();
		break;
	case IMSG_PROBE:
		probe(imsg);
		break;
	case IMSG_TEST:
		test(imsg);
		break;
	default:
		if (!token_message(imsg))
			log_warnx("%s: unexpected %s", __func__,
			    proto_name(imsg->hdr.type));
		break;
	}
}

/* Certificate authorities after the start replace those of before. */
static void
ca_chunk(const struct imsg *imsg)
{
	char *grown;

	if (imsg->len > CA_MAX - ca_len)
		fatalx("%s: too much", __func__);
	grown = realloc(ca, ca_len + imsg->len + 1);
	if (grown == NULL)
		fatal("%s", __func__);
	ca = grown;
	memcpy(ca + ca_len, imsg->data, imsg->len);
	ca_len += imsg->len;
}

static void
ca_end(void)
{
	if (ca == NULL || http_set_ca(ca, ca_len) == -1)
		log_warnx("the new certificate authorities cannot be used; the "
			  "old ones stay");
	free(ca);
	ca = NULL;
	ca_len = 0;
}

/* A configuration comes in parts and is used once it is whole. */
static void
conf_begin(void)
{
	config_free(staged);
	staged = calloc(1, sizeof(*staged));
	if (staged == NULL)
		fatal("%s", __func__);
	strlcpy(staged->compute, COMPUTE_BASE, sizeof(staged->compute));
}

static void
conf_endpoint(const struct imsg *imsg)
{
	struct msg_endpoint msg;

	get(imsg, &msg, sizeof(msg));
	if (staged != NULL && msg.api == API_COMPUTE)
		strlcpy(staged->compute, msg.url, sizeof(staged->compute));
}

static void
conf_token_uri(const struct imsg *imsg)
{
	if (staged != NULL)
		get(imsg, &staged->token, sizeof(staged->token));
}

static void
conf_limit(const struct imsg *imsg)
{
	struct msg_limit msg;

	get(imsg, &msg, sizeof(msg));
	if (staged != NULL)
		staged->limit = msg;
}

static void
conf_probe(const struct imsg *imsg)
{
	struct target *target;

	target = conf_target(imsg->hdr.id);
	if (target == NULL)
		return;
	get(imsg, &target->probe, sizeof(target->probe));
	target->present = true;
}

/* A service that is to be looked at, or a peer that is written by name. */
static void
conf_name(const struct imsg *imsg, bool service)
{
	char(**list)[NAME_LEN];
	char(*grown)[NAME_LEN];
	struct target *target;
	struct msg_name msg;
	size_t *n;

	get(imsg, &msg, sizeof(msg));
	target = conf_target(imsg->hdr.id);
	if (target == NULL)
		return;
	list = service ? &target->service : &target->peer;
	n = service ? &target->nservices : &target->npeers;
	grown = reallocarray(*list, *n + 1, sizeof(**list));
	if (grown == NULL)
		fatal("%s", __func__);
	*list = grown;
	strlcpy(grown[(*n)++], msg.name, sizeof(grown[0]));
}

/* What still runs ends now, with what it knows of the old configuration. */
static void
conf_commit(void)
{
	struct target *target;
	size_t i;

	if (staged == NULL) {
		log_warnx("%s: nothing has begun", __func__);
		return;
	}
	for (i = 0; i < staged->ntargets; i++) {
		target = &staged->target[i];
		if (target->nservices > 0)
			qsort(target->service, target->nservices,
			    sizeof(target->service[0]), names_order);
	}
	cycles_end();
	checkups_end();
	config_free(running);
	running = staged;
	staged = NULL;
	if (running->limit.burst > 0) {
		bucket_set(&bucket, running->limit.rate, running->limit.burst,
		    http_now());
		running->bucket = &bucket;
	}
	token_source(&running->token);
	child_send(IMSG_CONF_IN_USE, 0, NULL, 0);
}

/* The failover of this number in the configuration that is coming in. */
static struct target *
conf_target(uint32_t id)
{
	struct target *array;

	if (staged == NULL || id >= TARGETS_MAX) {
		log_warnx("%s: failover %u out of place", __func__, id);
		return (NULL);
	}
	if (id >= staged->ntargets) {
		array = recallocarray(staged->target, staged->ntargets,
		    2 * id + 1, sizeof(*array));
		if (array == NULL)
			fatal("%s", __func__);
		staged->target = array;
		staged->ntargets = 2 * id + 1;
	}
	return (&staged->target[id]);
}

static void
config_free(struct config *config)
{
	size_t i;

	if (config == NULL)
		return;
	for (i = 0; i < config->ntargets; i++) {
		free(config->target[i].service);
		free(config->target[i].peer);
		kept_clear(&config->target[i].kept[LOCAL]);
		kept_clear(&config->target[i].kept[REMOTE]);
	}
	free(config->target);
	free(config);
}

static void
probe(const struct imsg *imsg)
{
	struct msg_probe msg;
	uint32_t id;

	get(imsg, &msg, sizeof(msg));
	id = imsg->hdr.id;
	if (known(id))
		cycle_start(running, id, &msg);
}

static void
test(const struct imsg *imsg)
{
	struct msg_test msg;

	get(imsg, &msg, sizeof(msg));
	if (known(imsg->hdr.id))
		rights_start(running, imsg->hdr.id, &msg);
	else
		child_send(IMSG_TEST_DONE, imsg->hdr.id, &msg, sizeof(msg));
}

static bool
known(uint32_t id)
{
	if (running != NULL && id < running->ntargets &&
	    running->target[id].present)
		return (true);
	log_warnx("there is no failover %u", id);
	return (false);
}

/* The length has been checked when the message came in. */
static void
get(const struct imsg *imsg, void *data, size_t len)
{
	if (imsg_get_data(imsg, data, len) == -1)
		fatalx("%s: %s has the wrong size", __func__,
		    proto_name(imsg->hdr.type));
}
