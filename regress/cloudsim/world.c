/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * The world: one JSON tree, how it may change, and the settings in it.
 */

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudsim.h"

enum setting_type {
	SET_INT,
	SET_BOOL,
	SET_WORD,
	SET_OBJECT,
};

struct setting {
	const char *name;
	enum setting_type type;
	size_t offset;
	int standard;
	int min;
	const char *const *words;
};

static const char *const dns_words[] = {
	"ok",
	"servfail",
	"silent",
	"nxdomain",
	NULL,
};
static const char *const cf_words[] = {
	"ok",
	"not_modified",
	"partial",
	NULL,
};
static const char *const warning_words[] = {
	"",
	"PARTIAL_SUCCESS",
	"UNREACHABLE",
	NULL,
};

#define OFF(m) offsetof(struct settings, m)

static const struct setting settings[] = {
	{ "op_delay_ms", SET_INT, OFF(op_delay_ms), 100, -1, NULL },
	{ "op_error", SET_OBJECT, OFF(op_error), 0, 0, NULL },
	{ "advert_lag_ms", SET_INT, OFF(advert_lag_ms), 200, 0, NULL },
	{ "page_size_max", SET_INT, OFF(page_size_max), 500, 1, NULL },
	{ "page_size", SET_INT, OFF(page_size), 0, 0, NULL },
	{ "empty_page", SET_BOOL, OFF(empty_page), 0, 0, NULL },
	{ "list_warning", SET_WORD, OFF(list_warning), 0, 0, warning_words },
	{ "token_ttl", SET_INT, OFF(token_ttl), 3599, 0, NULL },
	{ "token_pad", SET_INT, OFF(token_pad), 0, 0, NULL },
	{ "dns_mode", SET_WORD, OFF(dns_mode), 0, 0, dns_words },
	{ "dns_ttl", SET_INT, OFF(dns_ttl), 60, 0, NULL },
	{ "latency_ms", SET_INT, OFF(latency_ms), 0, 0, NULL },
	{ "journal", SET_BOOL, OFF(journal), 1, 0, NULL },
	{ "journal_max", SET_INT, OFF(journal_max), 50000, 1, NULL },
	{ "bgp_members", SET_BOOL, OFF(bgp_members), 1, 0, NULL },
	{ "host_bits", SET_BOOL, OFF(host_bits), 0, 0, NULL },
	{ "cf_mode", SET_WORD, OFF(cf_mode), 0, 0, cf_words },
	{ "cf_rate_limit", SET_INT, OFF(cf_rate_limit), 1200, 0, NULL },
	{ "cf_validate", SET_BOOL, OFF(cf_validate), 1, 0, NULL },
	{ "compute_quota", SET_INT, OFF(compute_quota), 0, 0, NULL },
	{ "date_skew_s", SET_INT, OFF(date_skew_s), 0, -1000000000, NULL },
	{ "keepalive_max", SET_INT, OFF(keepalive_max), 0, 0, NULL },
};

#define NSETTINGS (sizeof(settings) / sizeof(settings[0]))

static const char *
setting_word(const struct setting *def, json_t *value, int *number)
{
	const char *text = json_string_value(value);
	int i;

	for (i = 0; text != NULL && def->words[i] != NULL; i++) {
		if (strcmp(text, def->words[i]) == 0) {
			*number = i;
			return (NULL);
		}
	}
	return ("a setting has a value that is not one of its words");
}

/* Puts one value into its place; returns what is wrong with it, or NULL. */
static const char *
setting_read(const struct setting *def, json_t *value, struct settings *out)
{
	void *where = (char *)out + def->offset;

	if (def->type == SET_OBJECT) {
		*(json_t **)where = json_is_object(value) ? value : NULL;
		return (json_is_object(value) || value == NULL ||
			    json_is_null(value) ?
			NULL :
			"op_error is not an object");
	}
	*(int *)where = def->standard;
	if (value == NULL)
		return (NULL);
	switch (def->type) {
	case SET_INT:
		if (!json_is_integer(value) ||
		    json_integer_value(value) < def->min ||
		    json_integer_value(value) > 1000000000)
			return ("a setting is not a number in its range");
		*(int *)where = (int)json_integer_value(value);
		return (NULL);
	case SET_BOOL:
		if (!json_is_boolean(value))
			return ("a setting is not true or false");
		*(int *)where = json_is_true(value);
		return (NULL);
	default:
		return (setting_word(def, value, where));
	}
}

static const char *
settings_read(json_t *world, struct settings *out)
{
	json_t *obj = json_object_get(world, "settings"), *value;
	const char *key, *error;
	size_t i;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < NSETTINGS; i++) {
		value = json_object_get(obj, settings[i].name);
		error = setting_read(&settings[i], value, out);
		if (error != NULL)
			return (error);
	}
	/* A setting that nobody reads is a typing error in a test. */
	json_object_foreach(obj, key, value) {
		for (i = 0; i < NSETTINGS; i++)
			if (strcmp(settings[i].name, key) == 0)
				break;
		if (i == NSETTINGS)
			return ("a setting has an unknown name");
	}
	return (NULL);
}

/* Every level that the handlers walk must be an object. */
static const char *
world_check(json_t *world)
{
	static const char *const members[] = {
		"settings",
		"projects",
		"cloudflare",
		"sites",
		"prefixes",
		"accounts",
	};
	const char *pname, *rname;
	json_t *project, *region, *value;
	size_t i;

	if (!json_is_object(world))
		return ("the world is not an object");
	for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		value = json_object_get(world, members[i]);
		if (value != NULL && !json_is_object(value))
			return ("a top member of the world is not an object");
	}
	json_object_foreach(json_object_get(world, "projects"), pname,
	    project) {
		json_object_foreach(json_object_get(project, "regions"), rname,
		    region) {
			value = json_object_get(region, "services");
			if (value != NULL && !json_is_object(value))
				return ("services is not an object");
			value = json_object_get(region, "routers");
			if (value != NULL && !json_is_object(value))
				return ("routers is not an object");
		}
	}
	return (NULL);
}

/* The generated Cloudflare token works in every world that has no own. */
static void
world_add_token(json_t *world)
{
	json_t *cf, *tokens;

	cf = json_object_get(world, "cloudflare");
	if (cf == NULL || json_object_get(cf, "tokens") != NULL)
		return;
	tokens = json_pack("{s:{s:s, s:s, s:s, s:s}}", sim.cf_token, "id",
	    "ed17574386854bf78a67040be0a770b0", "kind", "user", "status",
	    "active", "not_before", "2025-01-01T00:00:00Z");
	json_object_set_new(cf, "tokens", tokens);
}

static void
diff_accounts(json_t *old, json_t *new, const char *who)
{
	json_t *before, *after, *account;
	const char *id;

	before = json_object_get(json_object_get(old, "cloudflare"),
	    "accounts");
	after = json_object_get(json_object_get(new, "cloudflare"), "accounts");
	json_object_foreach(after, id, account) {
		json_t *was = json_object_get(json_object_get(before, id),
		    "routes");
		json_t *is = json_object_get(account, "routes");

		if (was != is)
			magic_diff(was, is, who);
	}
}

/*
 * Makes a new tree the world, or says why it cannot be.  Takes it over.  The
 * patch is for the journal, which tells it before what came of it.
 */
static const char *
world_install(json_t *new, const char *who, json_t *patch)
{
	struct settings set;
	const char *error;
	json_t *old = sim.world;

	error = world_check(new);
	if (error == NULL)
		error = settings_read(new, &set);
	if (error != NULL) {
		json_decref(new);
		return (error);
	}
	world_add_token(new);
	if (patch == NULL) {
		/*
		 * All is new: nothing that the old world had under way, be
		 * it an operation or an announcement, reaches into it.
		 */
		oper_cancel_all();
		announce_reset();
	}
	sim.world = new;
	sim.set = set;
	journal_event(json_pack("{s:s, s:s, s:O*}", "event", "world", "by", who,
	    "patch", patch));
	if (old != NULL)
		diff_accounts(old, new, who);
	json_decref(old);
	world_changed();
	return (NULL);
}

const char *
world_replace(json_t *new)
{
	return (world_install(json_deep_copy(new), "put", NULL));
}

/* One merge patch: all of it or nothing. */
const char *
world_patch(json_t *patch, const char *who)
{
	return (world_install(json_merge(sim.world, patch), who, patch));
}

/* To be called after every change, so that everything derived follows. */
void
world_changed(void)
{
	(void)announce_sync();
	clockwork_eval();
}

json_t *
world_region(const char *project, const char *region)
{
	json_t *v;

	v = json_object_get(json_object_get(sim.world, "projects"), project);
	return (json_object_get(json_object_get(v, "regions"), region));
}

json_t *
world_router(const char *project, const char *region, const char *router)
{
	if (project == NULL || region == NULL || router == NULL)
		return (NULL);
	return (json_object_get(
	    json_object_get(world_region(project, region), "routers"), router));
}

/* What the world says of a service account, or NULL. */
json_t *
world_account(const char *email)
{
	if (email == NULL)
		return (NULL);
	return (json_object_get(json_object_get(sim.world, "accounts"), email));
}

int
world_init(const char *file)
{
	json_error_t jerr;
	const char *error;
	json_t *world;

	if (file != NULL) {
		world = json_load_file(file, JSON_REJECT_DUPLICATES, &jerr);
		if (world == NULL) {
			warnx("%s:%d: %s", file, jerr.line, jerr.text);
			return (-1);
		}
	} else
		world = world_default();
	error = world_install(world, "start", NULL);
	if (error != NULL) {
		warnx("%s: %s", file != NULL ? file : "default world", error);
		return (-1);
	}
	return (0);
}
