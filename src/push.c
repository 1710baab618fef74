/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "mtgcpd.h"

/*
 * What the children are told: configuration, credentials, the CA bundle.  The
 * parent reads the files and understands none of their bytes; what is secret
 * is wiped as soon as it is sent.
 */

#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"
#define FILE_MAX  (4 * 1024 * 1024)
#define LATE_MORE (10 * 1000) /* beyond what a cycle may take; milliseconds */

/*
 * The whole of an open file, at most FILE_MAX bytes.  Closes fd.  Returns NULL
 * with errno set; the caller owns the bytes, and wipes them if need be.
 */
static char *
read_file(int fd, size_t *len)
{
	struct stat st;
	char *bytes = NULL;
	ssize_t n = -1;

	if (fstat(fd, &st) == -1)
		goto done;
	if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > FILE_MAX) {
		errno = st.st_size > FILE_MAX ? EFBIG : EINVAL;
		goto done;
	}
	bytes = malloc((size_t)st.st_size);
	if (bytes == NULL)
		goto done;
	n = read(fd, bytes, (size_t)st.st_size);
	if (n != st.st_size) {
		if (n != -1)
			errno = EIO; /* it changed under us */
		freezero(bytes, (size_t)st.st_size);
		bytes = NULL;
	}
done:
	close(fd);
	*len = bytes == NULL ? 0 : (size_t)n;
	return (bytes);
}

/* lax: what an environment file names may have an unsafe mode. */
static char *
read_secret(const char *path, bool lax, size_t *len)
{
	char why[REASON_LEN];
	char *bytes;
	int fd;

	fd = lax ? lax_open(path, why, sizeof(why)) :
		   secret_open(path, why, sizeof(why));
	if (fd == -1) {
		log_errorx("%s", why);
		return (NULL);
	}
	bytes = read_file(fd, len);
	if (bytes == NULL)
		log_warn("%s", path);
	return (bytes);
}

/* Tell the resolver whom to ask, instead of those of before. */
void
push_nameservers(struct channel *resolver, const struct nameservers *servers)
{
	const struct nameserver *server;
	struct msg_nameserver msg;

	memset(&msg, 0, sizeof(msg));
	channel_send(resolver, IMSG_NAMESERVER, 0, &msg, sizeof(msg));
	TAILQ_FOREACH(server, servers, entry) {
		memset(&msg, 0, sizeof(msg));
		strlcpy(msg.address, server->address, sizeof(msg.address));
		msg.port = server->port;
		channel_send(resolver, IMSG_NAMESERVER, 0, &msg, sizeof(msg));
	}
}

/*
 * Send the key file of the role to the signer.  Returns -1, having said why,
 * if the file cannot be read or is unsafe.
 */
int
push_key(struct channel *signer, const struct conf *conf, enum role role)
{
	char *bytes;
	size_t len;

	bytes = read_secret(conf->credentials[role], conf->env, &len);
	if (bytes == NULL)
		return (-1);
	channel_send_chunks(signer, IMSG_KEY_CHUNK, IMSG_KEY_END,
	    (uint32_t)role, bytes, len);
	freezero(bytes, len);
	return (0);
}

/*
 * Send the CA bundle of the configuration, or the system's.  Returns -1, having
 * said why, if it cannot be read.
 */
int
push_ca(struct channel *child, const struct conf *conf)
{
	const char *path = conf->ca_file == NULL ? SYSTEM_CA : conf->ca_file;
	char why[REASON_LEN];
	char *bytes;
	size_t len;
	int fd;

	fd = public_open(path, why, sizeof(why));
	if (fd == -1) {
		log_errorx("%s", why);
		return (-1);
	}
	bytes = read_file(fd, &len);
	if (bytes == NULL) {
		log_warn("%s", path);
		return (-1);
	}
	channel_send_chunks(child, IMSG_CA_CHUNK, IMSG_CA_END, 0, bytes, len);
	free(bytes);
	return (0);
}

static void
push_names(struct channel *child, enum imsg_type type, uint32_t id,
    const struct names *list)
{
	const struct name *name;
	struct msg_name msg;

	TAILQ_FOREACH(name, list, entry) {
		memset(&msg, 0, sizeof(msg));
		strlcpy(msg.name, name->text, sizeof(msg.name));
		channel_send(child, type, id, &msg, sizeof(msg));
	}
}

static void
push_endpoint(struct channel *child, const struct conf *conf, enum api api)
{
	struct msg_endpoint msg;

	memset(&msg, 0, sizeof(msg));
	msg.api = api;
	strlcpy(msg.url, conf->url[api], sizeof(msg.url));
	channel_send(child, IMSG_CONF_ENDPOINT, 0, &msg, sizeof(msg));
}

/*
 * The role's tokens come from a metadata server: there is no key, but a place
 * that they are fetched from, as a loaded key would say.
 */
void
push_metadata(const struct conf *conf, enum role role, struct msg_key *key)
{
	const char *url = conf->url[URL_METADATA];

	memset(key, 0, sizeof(*key));
	snprintf(key->token_uri, sizeof(key->token_uri), "%s%s%s/token", url,
	    METADATA_PATH, conf->metadata[role]);
	key->port = url_split(url, key->host, sizeof(key->host));
}

/* Where the tokens of the role come from. */
static void
push_token_uri(struct channel *child, const struct conf *conf, enum role role,
    const char *uri)
{
	struct msg_token_uri msg;

	memset(&msg, 0, sizeof(msg));
	strlcpy(msg.url, uri, sizeof(msg.url));
	msg.metadata = conf->metadata[role] != NULL;
	channel_send(child, IMSG_CONF_TOKEN_URI, (uint32_t)role, &msg,
	    sizeof(msg));
}

/* Compute counts the requests of both: what the prober does not get of the
 * limit, the actuator has. */
static void
push_limit(struct channel *child, const struct conf *conf, enum role role)
{
	uint64_t rate = conf_read_rate(conf);
	uint64_t burst = conf->limit_burst;
	struct msg_limit msg;

	if (role == ROLE_PROBER)
		burst -= (burst + 4) / 5;
	else {
		rate = (uint64_t)conf->limit_rate * 1000 - rate;
		burst = (burst + 4) / 5;
	}
	memset(&msg, 0, sizeof(msg));
	msg.rate = rate > LIMIT_MAX ? LIMIT_MAX : (uint32_t)rate;
	msg.burst = burst > LIMIT_MAX ? LIMIT_MAX : (uint32_t)burst;
	if (msg.burst == 0)
		msg.burst = 1;
	channel_send(child, IMSG_CONF_LIMIT, 0, &msg, sizeof(msg));
}

static void
push_probe(struct channel *prober, const struct failover_conf *fc)
{
	struct msg_conf_probe msg;
	int side;

	memset(&msg, 0, sizeof(msg));
	strlcpy(msg.project, fc->project, sizeof(msg.project));
	strlcpy(msg.router_project, fc->router_project,
	    sizeof(msg.router_project));
	for (side = LOCAL; side < SIDES; side++) {
		strlcpy(msg.region[side], fc->region[side],
		    sizeof(msg.region[side]));
		strlcpy(msg.router[side], fc->router[side],
		    sizeof(msg.router[side]));
		strlcpy(msg.router_region[side], fc->router_region[side],
		    sizeof(msg.router_region[side]));
	}
	memcpy(msg.prefix, fc->prefix, sizeof(msg.prefix));
	msg.require_percent = fc->require_percent;
	msg.bgp_all = fc->bgp_all;
	msg.connect_timeout = fc->timeout.connect;
	msg.api_timeout = fc->timeout.api;
	msg.health_timeout = fc->timeout.health;
	msg.health_retries = fc->retries[RETRIES_HEALTH];
	msg.bgp_retries = fc->retries[RETRIES_BGP_CHECK];
	msg.backoff_initial = fc->backoff_initial;
	msg.backoff_max = fc->backoff_max;
	channel_send(prober, IMSG_CONF_PROBE, fc->index, &msg, sizeof(msg));
	push_names(prober, IMSG_CONF_SERVICE, fc->index, &fc->services);
	push_names(prober, IMSG_CONF_PEER, fc->index, &fc->peers);
}

/* Tell the prober the whole configuration, in one transaction. */
void
push_prober(struct channel *prober, const struct conf *conf,
    const char *token_uri)
{
	const struct failover_conf *fc;

	channel_send(prober, IMSG_CONF_BEGIN, 0, NULL, 0);
	push_endpoint(prober, conf, API_COMPUTE);
	push_limit(prober, conf, ROLE_PROBER);
	push_token_uri(prober, conf, ROLE_PROBER, token_uri);
	TAILQ_FOREACH(fc, &conf->failovers, entry)
		push_probe(prober, fc);
	channel_send(prober, IMSG_CONF_COMMIT, 0, NULL, 0);
}

static void
push_act(struct channel *actuator, const struct failover_conf *fc)
{
	struct msg_conf_act msg;

	memset(&msg, 0, sizeof(msg));
	strlcpy(msg.project, fc->router_project, sizeof(msg.project));
	strlcpy(msg.region, fc->router_region[LOCAL], sizeof(msg.region));
	strlcpy(msg.router, fc->router[LOCAL], sizeof(msg.router));
	memcpy(msg.prefix, fc->prefix, sizeof(msg.prefix));
	msg.account = fc->account->index;
	strlcpy(msg.match, fc->match, sizeof(msg.match));
	msg.priority = fc->priority;
	msg.failed = fc->failed;
	msg.expect = fc->expect;
	msg.passive = fc->passive;
	msg.drain = fc->drain;
	msg.connect_timeout = fc->timeout.connect;
	msg.api_timeout = fc->timeout.api;
	msg.bgp_update_timeout = fc->timeout.bgp_update;
	msg.cloudflare_timeout = fc->timeout.cloudflare;
	msg.cloudflare_bulk_timeout = fc->timeout.cloudflare_bulk;
	msg.bgp_retries = fc->retries[RETRIES_BGP_UPDATE];
	msg.cloudflare_retries = fc->retries[RETRIES_CLOUDFLARE];
	msg.backoff_initial = fc->backoff_initial;
	msg.backoff_max = fc->backoff_max;
	msg.look_every = look_every(fc);
	channel_send(actuator, IMSG_CONF_ACT, fc->index, &msg, sizeof(msg));
	push_names(actuator, IMSG_CONF_PEER, fc->index, &fc->peers);
}

/* The token as its file has it now; as read_secret(). */
static char *
read_token(const struct account *account, size_t *len)
{
	char why[REASON_LEN];
	char *bytes;

	if (!account->env)
		return (read_secret(account->token_file, false, len));
	bytes = env_token(account->token_file, len, why, sizeof(why));
	if (bytes == NULL)
		log_errorx("%s", why);
	return (bytes);
}

/*
 * Send the Cloudflare token of an account.  Returns -1, having said why, if the
 * file cannot be read, is unsafe or too long to be a token.
 */
int
push_cf_token(struct channel *actuator, const struct account *account)
{
	char *bytes;
	size_t len;
	int r = 0;

	bytes = read_token(account, &len);
	if (bytes == NULL)
		return (-1);
	if (len > OPAQUE_MAX) {
		log_errorx("%s: too long for a token", account->token_file);
		r = -1;
	} else
		channel_send(actuator, IMSG_CONF_CF_TOKEN, account->index,
		    bytes, len);
	freezero(bytes, len);
	return (r);
}

/*
 * Tell the actuator the whole configuration, in one transaction: what it may
 * touch, and nothing else, and where it gets its tokens and those of others
 * that a metadata server gives.  Returns -1, having said why, if a token cannot be
 * read.
 */
int
push_actuator(struct channel *actuator, const struct conf *conf,
    const struct msg_key key[ROLE_MAX])
{
	enum role role;
	const struct failover_conf *fc;
	const struct account *account;
	struct msg_name msg;

	channel_send(actuator, IMSG_CONF_BEGIN, 0, NULL, 0);
	push_endpoint(actuator, conf, API_COMPUTE);
	push_limit(actuator, conf, ROLE_ACTUATOR);
	push_endpoint(actuator, conf, API_CLOUDFLARE);
	for (role = ROLE_RESOLVER; role < ROLE_MAX; role++)
		if (role == ROLE_ACTUATOR || conf->metadata[role] != NULL)
			push_token_uri(actuator, conf, role,
			    key[role].token_uri);
	TAILQ_FOREACH(account, &conf->accounts, entry) {
		memset(&msg, 0, sizeof(msg));
		strlcpy(msg.name, account->id, sizeof(msg.name));
		channel_send(actuator, IMSG_CONF_ACCOUNT, account->index, &msg,
		    sizeof(msg));
		if (push_cf_token(actuator, account) == -1)
			return (-1);
	}
	TAILQ_FOREACH(fc, &conf->failovers, entry)
		push_act(actuator, fc);
	channel_send(actuator, IMSG_CONF_COMMIT, 0, NULL, 0);
	return (0);
}

/* Where events go, and how hard it is tried: as for the first failover. */
static void
push_cloud(struct channel *reporter, const struct conf *conf)
{
	const struct failover_conf *fc = TAILQ_FIRST(&conf->failovers);
	struct msg_conf_cloud msg;

	memset(&msg, 0, sizeof(msg));
	strlcpy(msg.project, conf->cloud_project, sizeof(msg.project));
	strlcpy(msg.log, conf->cloud_name, sizeof(msg.log));
	strlcpy(msg.location, fc->region[LOCAL], sizeof(msg.location));
	if (gethostname(msg.node, sizeof(msg.node) - 1) == -1)
		strlcpy(msg.node, "localhost", sizeof(msg.node));
	msg.connect_timeout = fc->timeout.connect;
	msg.api_timeout = fc->timeout.api;
	msg.backoff_initial = fc->backoff_initial;
	msg.backoff_max = fc->backoff_max;
	channel_send(reporter, IMSG_CONF_CLOUD, 0, &msg, sizeof(msg));
}

static void
push_shown(struct channel *reporter, const struct failover_conf *fc)
{
	struct msg_conf_shown msg;
	int side;

	memset(&msg, 0, sizeof(msg));
	strlcpy(msg.name, fc->name, sizeof(msg.name));
	strlcpy(msg.project, fc->project, sizeof(msg.project));
	for (side = LOCAL; side < SIDES; side++) {
		strlcpy(msg.region[side], fc->region[side],
		    sizeof(msg.region[side]));
		strlcpy(msg.router[side], fc->router[side],
		    sizeof(msg.router[side]));
	}
	memcpy(msg.prefix, fc->prefix, sizeof(msg.prefix));
	msg.late_after = (uint32_t)fc->policy.interval + fc->timeout.health +
	    LATE_MORE;
	channel_send(reporter, IMSG_CONF_SHOWN, fc->index, &msg, sizeof(msg));
}

/*
 * Tell the reporter the whole configuration, in one transaction.  token_uri is
 * of use where there is Cloud Logging only.
 */
void
push_reporter(struct channel *reporter, const struct conf *conf,
    const char *token_uri)
{
	const struct failover_conf *fc;

	channel_send(reporter, IMSG_CONF_BEGIN, 0, NULL, 0);
	if (conf->cloud_project != NULL) {
		push_endpoint(reporter, conf, API_LOGGING);
		push_token_uri(reporter, conf, ROLE_REPORTER, token_uri);
		push_cloud(reporter, conf);
	}
	TAILQ_FOREACH(fc, &conf->failovers, entry)
		push_shown(reporter, fc);
	channel_send(reporter, IMSG_CONF_COMMIT, 0, NULL, 0);
}
