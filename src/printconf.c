/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "conf.h"

static const char *
yesno(bool value)
{
	return (value ? "yes" : "no");
}

static const char *
level_name(int level)
{
	switch (level) {
	case LOG_DEBUG:
		return ("debug");
	case LOG_WARNING:
		return ("warning");
	case LOG_ERR:
		return ("error");
	default:
		return ("info");
	}
}

static const char *
advert_name(enum advert advert)
{
	switch (advert) {
	case ADVERT_ADVERTISE:
		return ("advertise");
	case ADVERT_WITHDRAW:
		return ("withdraw");
	case ADVERT_KEEP:
		break;
	}
	return ("keep");
}

static const char *
steer_name(enum steer steer)
{
	switch (steer) {
	case STEER_PRIORITY:
		return ("priority");
	case STEER_FAILED:
		return ("failed");
	case STEER_KEEP:
		break;
	}
	return ("keep");
}

/* A string as the lexer reads it back. */
static void
print_string(FILE *fp, const char *before, const char *text, const char *after)
{
	fprintf(fp, "%s\"", before);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', fp);
		fputc(*text, fp);
	}
	fprintf(fp, "\"%s", after);
}

/* What may be left out has no default that could be printed. */
static void
print_optional(FILE *fp, const char *before, const char *text)
{
	if (text != NULL)
		print_string(fp, before, text, "\n");
}

/* Milliseconds as seconds, with as much of a fraction as there is. */
static void
print_seconds(FILE *fp, const char *before, int64_t ms, const char *after)
{
	int fraction = ms % 1000, digits = 3;

	fprintf(fp, "%s%lld", before, (long long)(ms / 1000));
	if (fraction != 0) {
		for (; fraction % 10 == 0; fraction /= 10)
			digits--;
		fprintf(fp, ".%0*d", digits, fraction);
	}
	fputs(after, fp);
}

static void
print_names(FILE *fp, const char *before, const struct names *names)
{
	const struct name *name;

	fprintf(fp, "%s{", before);
	TAILQ_FOREACH(name, names, entry)
		print_string(fp, " ", name->text, "");
	fputs(" }\n", fp);
}

static void
print_states(FILE *fp, const char *before, uint32_t states, const char *after)
{
	int state;

	fprintf(fp, "%s{", before);
	for (state = 1; state <= STATE_MAX; state++) {
		if ((states & 1U << state) != 0)
			fprintf(fp, " %d", state);
	}
	fprintf(fp, " }%s", after);
}

static void
print_users(FILE *fp, const struct conf *conf)
{
	print_string(fp, "user resolver ", conf->user[ROLE_RESOLVER], "\n");
	print_string(fp, "user signer ", conf->user[ROLE_SIGNER], "\n");
	print_string(fp, "user prober ", conf->user[ROLE_PROBER], "\n");
	print_string(fp, "user actuator ", conf->user[ROLE_ACTUATOR], "\n");
	print_string(fp, "user reporter ", conf->user[ROLE_REPORTER], "\n");
	print_string(fp, "chroot ", conf->chroot, "\n");
}

static void
print_log(FILE *fp, const char *before, const char *path,
    const struct rotation *rotation)
{
	uint64_t size = rotation->size;
	const char *unit = "";

	if (path == NULL)
		return;
	print_string(fp, before, path, "");
	if (size > 0) {
		if (size % (1024 * 1024) == 0) {
			size /= 1024 * 1024;
			unit = "M";
		} else if (size % 1024 == 0) {
			size /= 1024;
			unit = "K";
		}
		fprintf(fp, " max-size %llu%s keep %u",
		    (unsigned long long)size, unit, rotation->keep);
	}
	fputc('\n', fp);
}

static void
print_credentials(FILE *fp, const char *before, const struct conf *conf,
    enum role role)
{
	fputs(before, fp);
	if (conf->credentials[role] != NULL)
		print_string(fp, "credentials file ", conf->credentials[role],
		    "\n");
	else if (strcmp(conf->metadata[role], "default") == 0)
		fputs("credentials metadata\n", fp);
	else
		print_string(fp, "credentials metadata account ",
		    conf->metadata[role], "\n");
}

static void
print_logging(FILE *fp, const struct conf *conf)
{
	fprintf(fp, "log level %s\n", level_name(conf->log_level));
	if (conf->log_ident != NULL)
		fputs("# No statement has LOGGER_NAME: the syslog's "
		      "name is mt-gcpd.\n",
		    fp);
	fprintf(fp, "log syslog %s\n", yesno(conf->log_syslog));
	fprintf(fp, "log stderr %s\n", yesno(conf->log_stderr));
	print_log(fp, "log file ", conf->log_file, &conf->log_rotation);
	print_log(fp, "log events file ", conf->events_file,
	    &conf->events_rotation);
	fprintf(fp, "log events stderr %s\n", yesno(conf->events_stderr));
	if (conf->cloud_project != NULL) {
		print_string(fp, "log cloud project ", conf->cloud_project, "");
		print_string(fp, " name ", conf->cloud_name, "");
		print_credentials(fp, " ", conf, ROLE_REPORTER);
	}
	if (conf->listen_port != 0)
		fprintf(fp, "metrics listen on %s port %u\n",
		    conf->listen_address, conf->listen_port);
}

static void
print_control(FILE *fp, const struct conf *conf)
{
	print_string(fp, "control socket ", conf->control_path, "");
	if (conf->control_group != NULL)
		print_string(fp, " group ", conf->control_group, "");
	if (conf->control_looks != NULL)
		print_string(fp, " read-only ", conf->control_looks, "");
	fprintf(fp, "\n");
}

static void
print_global(FILE *fp, const struct conf *conf)
{
	const struct nameserver *ns;

	print_credentials(fp, "prober ", conf, ROLE_PROBER);
	print_credentials(fp, "actuator ", conf, ROLE_ACTUATOR);
	print_string(fp, "endpoint compute ", conf->url[API_COMPUTE], "\n");
	print_string(fp, "endpoint cloudflare ", conf->url[API_CLOUDFLARE],
	    "\n");
	print_string(fp, "endpoint logging ", conf->url[API_LOGGING], "\n");
	print_string(fp, "endpoint metadata ", conf->url[URL_METADATA], "\n");
	print_optional(fp, "tls ca file ", conf->ca_file);
	TAILQ_FOREACH(ns, &conf->nameservers, entry)
		fprintf(fp, "nameserver %s port %u\n", ns->address, ns->port);
	print_users(fp, conf);
	print_logging(fp, conf);
	print_control(fp, conf);
	print_string(fp, "state file ", conf->state_file, "\n");
	fprintf(fp, "limit requests %u per second burst %u\n", conf->limit_rate,
	    conf->limit_burst);
}

/* The token itself is in an environment file, which is not of use here. */
static void
print_account(FILE *fp, const struct account *account)
{
	if (account->env)
		fputs("\t# To be filled in: a file, of mode 0600, with the "
		      "value of CLOUDFLARE_API_TOKEN.\n",
		    fp);
	print_string(fp, "\tcloudflare account ", account->id, "");
	print_string(fp, " token file ",
	    account->env ? "" : account->token_file, "\n");
}

static void
print_sides(FILE *fp, const struct failover_conf *f)
{
	char buf[PREFIX_LEN];

	print_string(fp, "\tproject ", f->project, "\n");
	print_string(fp, "\tlocal region ", f->region[LOCAL], "\n");
	print_string(fp, "\tremote region ", f->region[REMOTE], "\n");
	print_string(fp, "\trouter project ", f->router_project, "\n");
	print_string(fp, "\tlocal router ", f->router[LOCAL], "");
	print_string(fp, " region ", f->router_region[LOCAL], "\n");
	print_string(fp, "\tremote router ", f->router[REMOTE], "");
	print_string(fp, " region ", f->router_region[REMOTE], "\n");
	fprintf(fp, "\tprimary prefix %s\n",
	    prefix_text(&f->prefix[PRIMARY], buf, sizeof(buf)));
	fprintf(fp, "\tsecondary prefix %s\n",
	    prefix_text(&f->prefix[SECONDARY], buf, sizeof(buf)));
	print_account(fp, f->account);
	print_string(fp, "\tcloudflare routes matching ", f->match, "");
	fprintf(fp, " priority %u failed %u", f->priority, f->failed);
	if (f->expect != -1)
		fprintf(fp, " expect %d", f->expect);
	fputc('\n', fp);
}

static void
print_health(FILE *fp, const struct failover_conf *f)
{
	const struct policy *p = &f->policy;

	print_seconds(fp, "\tinterval ", p->interval, "");
	print_seconds(fp, " fast ", p->fast, "\n");
	fprintf(fp, "\thealth window %u up %u down %u\n", p->window, p->up,
	    p->down);
	if (f->require_percent == 100)
		fputs("\thealth require all\n", fp);
	else
		fprintf(fp, "\thealth require %u percent\n",
		    f->require_percent);
	if (!TAILQ_EMPTY(&f->services))
		print_names(fp, "\thealth services ", &f->services);
	print_seconds(fp, "\thealth unknown-after ", p->unknown_after, "\n");
	fprintf(fp, "\tbgp peers %s\n", f->bgp_all ? "all" : "any");
	print_seconds(fp, "\tbgp down-after ", p->bgp_down_after, "\n");
	fprintf(fp, "\tbgp local %s\n", p->local_bgp ? "require" : "ignore");
}

/* "verify n" and a line for the states that have another number each. */
static void
print_verify(FILE *fp, const struct policy *p)
{
	uint32_t states, done = 0;
	int other, state;

	fprintf(fp, "\tverify %u\n", p->verify[0]);
	for (state = 1; state <= STATE_MAX; state++) {
		if (p->verify[state] == p->verify[0] ||
		    (done & 1U << state) != 0)
			continue;
		states = 0;
		for (other = state; other <= STATE_MAX; other++) {
			if (p->verify[other] == p->verify[state])
				states |= 1U << other;
		}
		print_states(fp, "\tverify state ", states, "");
		fprintf(fp, " %u\n", p->verify[state]);
		done |= states;
	}
}

static void
print_policy(FILE *fp, const struct failover_conf *f)
{
	const struct policy *p = &f->policy;
	const struct actions *row;
	int state;

	print_verify(fp, p);
	print_seconds(fp, "\tdwell ", p->dwell,
	    p->dwell_except == 0 ? "\n" : "");
	if (p->dwell_except != 0)
		print_states(fp, " except ", p->dwell_except, "\n");
	print_seconds(fp, "\treturn-after ", p->return_after, "\n");
	if (p->brake == 0)
		fputs("\tbrake no\n", fp);
	else {
		fprintf(fp, "\tbrake %u", p->brake);
		print_seconds(fp, " per ", p->brake_period, "\n");
	}
	if (p->handover == -1)
		fputs("\thandover no\n", fp);
	else
		print_seconds(fp, "\thandover wait ", p->handover, "\n");
	print_seconds(fp, "\tdrain ", f->drain, "\n");
	for (state = 1; state <= STATE_MAX; state++) {
		row = &p->table[state];
		fprintf(fp,
		    "\tstate %d primary %s secondary %s cloudflare "
		    "%s\n",
		    state, advert_name(row->prefix[PRIMARY]),
		    advert_name(row->prefix[SECONDARY]),
		    steer_name(row->cloudflare));
	}
	fprintf(fp, "\tpassive %s\n", yesno(f->passive));
	if (TAILQ_EMPTY(&f->peers))
		fputs("\tadvertise on router\n", fp);
	else
		print_names(fp, "\tadvertise on peer ", &f->peers);
}

static void
print_timeouts(FILE *fp, const struct timeouts *t)
{
	print_seconds(fp, "\ttimeout connect ", t->connect, "\n");
	print_seconds(fp, "\ttimeout api ", t->api, "\n");
	print_seconds(fp, "\ttimeout health ", t->health, "\n");
	print_seconds(fp, "\ttimeout bgp-update ", t->bgp_update, "\n");
	print_seconds(fp, "\ttimeout cloudflare ", t->cloudflare, "\n");
	print_seconds(fp, "\ttimeout cloudflare-bulk ", t->cloudflare_bulk,
	    "\n");
}

static void
print_retries(FILE *fp, const struct failover_conf *f)
{
	static const char *const names[RETRIES_MAX] = {
		[RETRIES_HEALTH] = "health",
		[RETRIES_BGP_CHECK] = "bgp-check",
		[RETRIES_BGP_UPDATE] = "bgp-update",
		[RETRIES_CLOUDFLARE] = "cloudflare",
	};
	int i;

	for (i = 0; i < RETRIES_MAX; i++)
		fprintf(fp, "\tretries %s %u\n", names[i], f->retries[i]);
	print_seconds(fp, "\tbackoff initial ", f->backoff_initial, "");
	print_seconds(fp, " max ", f->backoff_max, "\n");
	fprintf(fp, "\tbreaker threshold %u", f->breaker_threshold);
	print_seconds(fp, " timeout ", f->breaker_timeout, "\n");
}

/*
 * Print a complete configuration, as conf_parse() returns it, so that parsing
 * what was printed gives the same.  Defaults and what was said at the top for
 * all failovers are written into every block.  There are no secrets in it:
 * they are in the files that it names; and the file of a token that was in an
 * environment file is left to be filled in.
 */
void
conf_print(const struct conf *conf, FILE *fp)
{
	const struct failover_conf *f;

	print_global(fp, conf);
	TAILQ_FOREACH(f, &conf->failovers, entry) {
		print_string(fp, "\nfailover ", f->name, " {\n");
		print_sides(fp, f);
		print_health(fp, f);
		print_policy(fp, f);
		print_timeouts(fp, &f->timeout);
		print_retries(fp, f);
		fputs("}\n", fp);
	}
}
