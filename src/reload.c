/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "children.h"
#include "log.h"
#include "mtgcpd.h"

/*
 * Reloading: the configuration is parsed anew and checked; the signer takes
 * the keys and the resolver the name servers; the actuator finishes what it
 * has begun and takes its part, then the prober; then we do.  Until the
 * actuator is asked everything can still be refused, and stays as it was.
 * Nobody waits for the reporter.
 */

enum phase {
	PHASE_NONE,
	PHASE_KEYS,	/* the signer looks at the keys */
	PHASE_RESTORE,	/* it gets the old ones back */
	PHASE_HOSTS,	/* new hosts are looked up */
	PHASE_ACTUATOR, /* finishes, and takes its configuration */
	PHASE_PROBER,
};

static struct {
	enum phase phase;
	struct conf *conf; /* the new one */
	uint64_t number;   /* of this one */
	struct msg_key key[ROLE_MAX];
	unsigned int keys;    /* that the signer has still to answer for */
	char why[REASON_LEN]; /* it is refused, once that is done */
} reload;

static void reload_keys_done(void);

/* What became of the last ones. */
static struct {
	uint64_t begun;
	uint64_t ended;
	char error[REASON_LEN]; /* of the last that ended; "": it was done */
} reloads;

/* The last one has a key only where there is Cloud Logging. */
static const enum role key_roles[] = { ROLE_PROBER, ROLE_ACTUATOR,
	ROLE_REPORTER };

static size_t
key_count(const struct conf *conf)
{
	return (conf->cloud_project != NULL ? 3 : 2);
}

static void
tell_log(const char *line)
{
	if (strstr(line, "warning: ") != NULL)
		log_warnx("%s", line);
	else
		log_errorx("%s", line);
}

/* The one that is under way has come to its end. */
static void
reload_ended(const char *error)
{
	reloads.ended = reload.number;
	strlcpy(reloads.error, error, sizeof(reloads.error));
	memset(&reload, 0, sizeof(reload));
	notify_ready();
	control_progress();
}

static void
reload_refuse(const char *why)
{
	log_errorx("reload refused, everything stays as it was: %s", why);
	lifecycle("reload", RESULT_FAILURE, why, NULL);
	conf_free(reload.conf);
	reload_ended(why);
}

/* The names of the failovers that one has and the other has not. */
static json_t *
reload_missing(const struct conf *in, const struct conf *from)
{
	const struct failover_conf *fc;
	json_t *list = json_array();

	TAILQ_FOREACH(fc, &from->failovers, entry)
		if (conf_failover(in, fc->name) == NULL)
			json_array_append_new(list, json_string(fc->name));
	return (list);
}

static bool
same_text(const char *a, const char *b)
{
	return (a == b || (a != NULL && b != NULL && strcmp(a, b) == 0));
}

/* What cannot change without a restart; NULL: nothing of that has changed. */
static const char *
reload_fixed(const struct conf *old, const struct conf *new)
{
	static char why[128];
	int role;

	for (role = ROLE_RESOLVER; role < ROLE_MAX; role++) {
		if (strcmp(old->user[role], new->user[role]) == 0)
			continue;
		snprintf(why, sizeof(why),
		    "\"user %s\" cannot change without a restart",
		    role_name((enum role)role));
		return (why);
	}
	if (strcmp(old->chroot, new->chroot) != 0)
		return ("\"chroot\" cannot change without a restart");
	if (!same_text(old->control_path, new->control_path) ||
	    !same_text(old->control_group, new->control_group) ||
	    !same_text(old->control_looks, new->control_looks))
		return ("\"control socket\" cannot change without a restart");
	if ((old->cloud_project == NULL) != (new->cloud_project == NULL))
		return ("\"log cloud\" cannot begin or end without a restart");
	if (old->listen_port != new->listen_port ||
	    strcmp(old->listen_address, new->listen_address) != 0)
		return ("\"metrics listen\" cannot change without a restart");
	if (strcmp(old->state_file, new->state_file) != 0)
		return ("\"state file\" cannot change without a restart");
	return (NULL);
}

/* May the child connect to that port?  Its confinement has a list of them. */
static bool
reload_port(enum role role, uint16_t port)
{
	size_t i;

	for (i = 0; i < mtgcpd.nports[role]; i++)
		if (mtgcpd.ports[role][i] == port)
			return (true);
	return (false);
}

static bool
reload_url(const char *url, enum role role, char *why, size_t len)
{
	char host[HOST_LEN];
	uint16_t port = url_split(url, host, sizeof(host));

	if (reload_port(role, port))
		return (true);
	snprintf(why, len,
	    "%s: the %s cannot use another port (%u) without a restart", url,
	    role_name(role), port);
	return (false);
}

static bool
reload_ports(const struct conf *conf, char *why, size_t len)
{
	const struct nameserver *server;

	TAILQ_FOREACH(server, &conf->nameservers, entry) {
		if (reload_port(ROLE_RESOLVER, server->port))
			continue;
		snprintf(why, len,
		    "nameserver %s: the resolver cannot use another port (%u) "
		    "without a restart",
		    server->address, server->port);
		return (false);
	}
	if (conf_wants_metadata(conf) &&
	    !reload_url(conf->url[URL_METADATA], ROLE_ACTUATOR, why, len))
		return (false);
	return (reload_url(conf->url[API_COMPUTE], ROLE_PROBER, why, len) &&
	    reload_url(conf->url[API_COMPUTE], ROLE_ACTUATOR, why, len) &&
	    reload_url(conf->url[API_CLOUDFLARE], ROLE_ACTUATOR, why, len) &&
	    (conf->cloud_project == NULL ||
		reload_url(conf->url[API_LOGGING], ROLE_REPORTER, why, len)));
}

/* Give the signer the keys that a configuration names. */
static int
reload_push_keys(const struct conf *conf)
{
	enum role role;
	size_t i;

	reload.keys = 0;
	for (i = 0; i < key_count(conf); i++) {
		role = key_roles[i];
		if (conf->metadata[role] != NULL) {
			push_metadata(conf, role, &reload.key[role]);
			continue;
		}
		if (push_key(mtgcpd.channel[ROLE_SIGNER], conf, role) == -1)
			return (-1);
		reload.keys++;
	}
	return (0);
}

/* NULL, or why none may begin now. */
static const char *
reload_busy(void)
{
	if (!mtgcpd.running || mtgcpd.stopping)
		return ("starting or stopping");
	if (reload.phase != PHASE_NONE)
		return ("the last one is still under way");
	return (NULL);
}

/*
 * Begin to reload, and return the number of this one, whose end
 * reload_result() knows.  One that is under way is finished first: another one
 * is refused meanwhile, with a message, and 0 is returned.
 */
uint64_t
reload_begin(void)
{
	char why[REASON_LEN];
	const char *fixed = reload_busy();

	if (fixed != NULL) {
		log_warnx("reload refused: %s", fixed);
		return (0);
	}
	reload.number = ++reloads.begun;
	notify_reloading();
	log_info("reading %s again", mtgcpd.file);
	conf_tell = tell_log;
	reload.conf = mtgcpd.env ? env_parse(mtgcpd.file) :
				   conf_parse(mtgcpd.file);
	if (reload.conf == NULL) {
		reload_refuse("the configuration is not valid");
		return (reloads.begun);
	}
	if (mtgcpd.verbose)
		reload.conf->log_level = LOG_DEBUG;
	if (TAILQ_EMPTY(&reload.conf->nameservers))
		hosts_nameservers(&reload.conf->nameservers);
	fixed = reload_fixed(mtgcpd.conf, reload.conf);
	if (fixed != NULL)
		reload_refuse(fixed);
	else if (!reload_ports(reload.conf, why, sizeof(why)))
		reload_refuse(why);
	else if (conf_check_files(reload.conf) != 0)
		reload_refuse("a file that it names cannot be used");
	else if (reload_push_keys(reload.conf) == -1)
		reload_refuse("a key cannot be read");
	else {
		reload.phase = PHASE_KEYS;
		if (reload.keys == 0)
			reload_keys_done();
	}
	return (reloads.begun);
}

/* Has the reload of that number ended?  error then says why it was refused, or
 * is "". */
bool
reload_result(uint64_t number, char *error, size_t len)
{
	if (reloads.ended < number)
		return (false);
	strlcpy(error, reloads.error, len);
	return (true);
}

bool
reload_running(void)
{
	return (reload.phase != PHASE_NONE);
}

/* All that can be refused has been accepted: the actuator comes first, for
 * what it is writing has to end before anything changes. */
static void
reload_actuator(void)
{
	struct channel *actuator = mtgcpd.channel[ROLE_ACTUATOR];

	reload.phase = PHASE_ACTUATOR;
	engine_finish();
	connectivity_stop();
	if (push_ca(actuator, reload.conf) == -1)
		log_warnx("the certificate authorities stay the old ones");
	if (push_actuator(actuator, reload.conf, reload.key) == -1)
		fatalx("reload: a token can no longer be read");
}

static void
reload_prober(void)
{
	struct channel *prober = mtgcpd.channel[ROLE_PROBER];

	reload.phase = PHASE_PROBER;
	engine_pause();
	if (push_ca(prober, reload.conf) == -1)
		log_warnx("the certificate authorities stay the old ones");
	push_prober(prober, reload.conf, reload.key[ROLE_PROBER].token_uri);
}

/* The signer has the keys: tell the resolver where to ask, and look up. */
static void
reload_hosts(void)
{
	struct channel *resolver = mtgcpd.channel[ROLE_RESOLVER];
	size_t i;

	reload.phase = PHASE_HOSTS;
	push_nameservers(resolver, &reload.conf->nameservers);
	for (i = 0; i < key_count(reload.conf); i++)
		if (reload.conf->metadata[key_roles[i]] == NULL)
			hosts_add(reload.key[key_roles[i]].token_uri,
			    key_roles[i]);
	if (conf_wants_metadata(reload.conf))
		hosts_add(reload.conf->url[URL_METADATA], ROLE_ACTUATOR);
	hosts_add(reload.conf->url[API_COMPUTE], ROLE_PROBER);
	hosts_add(reload.conf->url[API_COMPUTE], ROLE_ACTUATOR);
	hosts_add(reload.conf->url[API_CLOUDFLARE], ROLE_ACTUATOR);
	if (reload.conf->cloud_project != NULL)
		hosts_add(reload.conf->url[API_LOGGING], ROLE_REPORTER);
	hosts_wait(reload_actuator);
}

/* A key cannot be used: the signer gets the old ones back. */
static void
reload_keys_refused(const char *why)
{
	size_t i;

	reload.phase = PHASE_RESTORE;
	strlcpy(reload.why, why, sizeof(reload.why));
	for (i = 0; i < key_count(mtgcpd.conf); i++)
		if (mtgcpd.conf->metadata[key_roles[i]] == NULL &&
		    push_key(mtgcpd.channel[ROLE_SIGNER], mtgcpd.conf,
			key_roles[i]) == 0)
			reload.keys++;
	if (reload.keys == 0)
		reload_refuse(reload.why);
}

/* The signer has looked at all keys, and can use them. */
static void
reload_keys_done(void)
{
	char why[REASON_LEN];
	size_t i;

	for (i = 0; i < key_count(reload.conf); i++) {
		if (reload.conf->metadata[key_roles[i]] != NULL ||
		    reload_url(reload.key[key_roles[i]].token_uri, key_roles[i],
			why, sizeof(why)))
			continue;
		reload_keys_refused(why);
		return;
	}
	reload_hosts();
}

/*
 * The signer says of a role's key that it took it, or (key being NULL) why
 * not.  Returns false if that was not for us.
 */
bool
reload_key(enum role role, const struct msg_key *key, const char *why)
{
	char text[PATHNAME_LEN + REASON_LEN];

	if (reload.phase != PHASE_KEYS && reload.phase != PHASE_RESTORE)
		return (false);
	reload.keys--;
	if (reload.phase == PHASE_RESTORE) {
		if (reload.keys == 0)
			reload_refuse(reload.why);
		return (true);
	}
	if (key == NULL) {
		snprintf(text, sizeof(text), "%s: %s",
		    reload.conf->credentials[role], why);
		reload_keys_refused(text);
	} else {
		reload.key[role] = *key;
		if (reload.keys == 0)
			reload_keys_done();
	}
	return (true);
}

/* Tell the reporter, if there is one; the failovers that it hears of from here
 * on are those of the new configuration. */
static void
reload_reporter(const struct conf *conf)
{
	struct channel *reporter = mtgcpd.channel[ROLE_REPORTER];

	report_reload(conf);
	if (reporter == NULL)
		return;
	if (conf->cloud_project != NULL && push_ca(reporter, conf) == -1)
		log_warnx("the certificate authorities stay the old ones");
	push_reporter(reporter, conf, mtgcpd.key[ROLE_REPORTER].token_uri);
}

/* Everyone else has the new configuration: so do we, from now on. */
static void
reload_done(void)
{
	struct conf *old = mtgcpd.conf, *new = reload.conf;
	json_t *details;

	details = json_pack("{s:o, s:o}", "added", reload_missing(old, new),
	    "removed", reload_missing(new, old));
	if (engine_reload(new) == -1)
		fatal("reload");
	mtgcpd.conf = new;
	memcpy(mtgcpd.key, reload.key, sizeof(mtgcpd.key));
	children_conf(new);
	logs_level(new->log_level);
	output_reload(new, mtgcpd.foreground);
	event_reload(new);
	reload_reporter(new);
	statefile_path(new->state_file);
	conf_free(old);
	engine_start(mtgcpd.channel[ROLE_PROBER],
	    mtgcpd.channel[ROLE_ACTUATOR]);
	connectivity_start(mtgcpd.base, new, mtgcpd.channel[ROLE_PROBER],
	    mtgcpd.channel[ROLE_ACTUATOR]);
	log_info("reloaded: watching %u failovers", new->nfailovers);
	lifecycle("reload", RESULT_SUCCESS, NULL, details);
	reload_ended("");
}

/* The actuator or the prober has taken its part of the configuration into use,
 * and nothing of the one before is under way there. */
void
reload_in_use(enum role role)
{
	if (role == ROLE_ACTUATOR && reload.phase == PHASE_ACTUATOR)
		reload_prober();
	else if (role == ROLE_PROBER && reload.phase == PHASE_PROBER)
		reload_done();
}
