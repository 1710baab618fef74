/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * The environment file, a complete configuration of one failover in the keys
 * of the daemon that mt-gcpd succeeds.  Its lines are collected first, as the
 * last one of a key counts; then each key says what its statement would have
 * said in mt-gcpd.conf.  The Cloudflare token alone is not kept: env_token()
 * reads it when it is needed.
 */

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <unistd.h>

#include "conf.h"

#define DAY	      86400
#define NUMBER_DIGITS 15
#define LOG_BYTES_MIN 4096 /* of a file that is rotated */
#define LOG_BYTES_MAX (INT64_C(102400) << 20)
#define BUFFER_LEN    4096 /* of a stream, to be wiped */

enum key {
	KEY_LOGGER_NAME,
	KEY_LOG_LEVEL,
	KEY_LOG_FILE,
	KEY_LOG_MAX_BYTES,
	KEY_LOG_BACKUP_COUNT,
	KEY_GCP_LOGGING,
	KEY_STRUCTURED_CONSOLE,
	KEY_STRUCTURED_FILE,
	KEY_STRUCTURED_LOG_FILE,
	KEY_PROJECT,
	KEY_CREDENTIALS,
	KEY_LOCAL_REGION,
	KEY_REMOTE_REGION,
	KEY_ROUTER_PROJECT,
	KEY_LOCAL_ROUTER_REGION,
	KEY_LOCAL_ROUTER,
	KEY_REMOTE_ROUTER_REGION,
	KEY_REMOTE_ROUTER,
	KEY_PRIMARY_PREFIX,
	KEY_SECONDARY_PREFIX,
	KEY_ACCOUNT,
	KEY_TOKEN,
	KEY_MATCH,
	KEY_PRIORITY,
	KEY_FAILED,
	KEY_INTERVAL,
	KEY_RETRIES,
	KEY_BACKOFF_INITIAL,
	KEY_BACKOFF_MAX,
	KEY_BREAKER_THRESHOLD,
	KEY_BREAKER_TIMEOUT,
	KEY_PASSIVE,
	KEY_RETRIES_HEALTH,
	KEY_RETRIES_BGP_CHECK,
	KEY_RETRIES_BGP_UPDATE,
	KEY_RETRIES_CLOUDFLARE,
	KEY_VERIFY_2,
	KEY_VERIFY_3,
	KEY_VERIFY_4,
	KEY_WINDOW,
	KEY_THRESHOLD,
	KEY_ASYMMETRIC,
	KEY_DWELL,
	KEY_DWELL_EXCEPT,
	KEY_TIMEOUT_API,
	KEY_TIMEOUT_HEALTH,
	KEY_TIMEOUT_BGP_UPDATE,
	KEY_TIMEOUT_CLOUDFLARE,
	KEY_TIMEOUT_BULK,
	KEY_COMPUTE_ENDPOINT,
	KEY_CLOUDFLARE_ENDPOINT,
	KEY_LOGGING_ENDPOINT,
	KEY_CA_FILE,
	KEY_STATE_FILE,
	KEY_CONTROL_SOCKET,
	KEY_MAX,
};

struct key_info {
	const char *name;
	const char *fallback; /* value of one that is absent or empty */
	bool required;
	bool later;  /* one that makes a file one of the later generation's */
	int64_t min; /* of a number; seconds with a fraction: milliseconds */
	int64_t max;
};

/* clang-format off */
static const struct key_info keys[KEY_MAX] = {
	[KEY_LOGGER_NAME] = { .name = "LOGGER_NAME" },
	[KEY_LOG_LEVEL] = { .name = "LOG_LEVEL", .fallback = "INFO" },
	[KEY_LOG_FILE] = { .name = "LOG_FILE" },
	[KEY_LOG_MAX_BYTES] = { .name = "LOG_MAX_BYTES",
	    .fallback = "10485760", .max = LOG_BYTES_MAX },
	[KEY_LOG_BACKUP_COUNT] = { .name = "LOG_BACKUP_COUNT",
	    .fallback = "5", .max = 999 },
	[KEY_GCP_LOGGING] = { .name = "ENABLE_GCP_LOGGING",
	    .fallback = "false" },
	[KEY_STRUCTURED_CONSOLE] = { .name = "ENABLE_STRUCTURED_CONSOLE",
	    .fallback = "false" },
	[KEY_STRUCTURED_FILE] = { .name = "ENABLE_STRUCTURED_FILE",
	    .fallback = "true" },
	[KEY_STRUCTURED_LOG_FILE] = { .name = "STRUCTURED_LOG_FILE" },
	[KEY_PROJECT] = { .name = "GCP_PROJECT", .required = true },
	[KEY_CREDENTIALS] = { .name = "GOOGLE_APPLICATION_CREDENTIALS",
	    .required = true },
	[KEY_LOCAL_REGION] = { .name = "LOCAL_GCP_REGION", .required = true },
	[KEY_REMOTE_REGION] = { .name = "REMOTE_GCP_REGION",
	    .required = true },
	[KEY_ROUTER_PROJECT] = { .name = "BGP_PEER_PROJECT" },
	[KEY_LOCAL_ROUTER_REGION] = { .name = "LOCAL_BGP_REGION" },
	[KEY_LOCAL_ROUTER] = { .name = "LOCAL_BGP_ROUTER", .required = true },
	[KEY_REMOTE_ROUTER_REGION] = { .name = "REMOTE_BGP_REGION" },
	[KEY_REMOTE_ROUTER] = { .name = "REMOTE_BGP_ROUTER",
	    .required = true },
	[KEY_PRIMARY_PREFIX] = { .name = "PRIMARY_PREFIX", .required = true },
	[KEY_SECONDARY_PREFIX] = { .name = "SECONDARY_PREFIX",
	    .required = true },
	[KEY_ACCOUNT] = { .name = "CLOUDFLARE_ACCOUNT_ID", .required = true },
	[KEY_TOKEN] = { .name = "CLOUDFLARE_API_TOKEN", .required = true },
	[KEY_MATCH] = { .name = "DESCRIPTION_SUBSTRING", .required = true },
	[KEY_PRIORITY] = { .name = "CLOUDFLARE_PRIMARY_PRIORITY",
	    .fallback = "100", .min = 1, .max = 1000 },
	[KEY_FAILED] = { .name = "CLOUDFLARE_SECONDARY_PRIORITY",
	    .fallback = "200", .min = 1, .max = 1000 },
	[KEY_INTERVAL] = { .name = "CHECK_INTERVAL_SECONDS",
	    .fallback = "60", .min = 100, .max = 3600 * 1000 },
	[KEY_RETRIES] = { .name = "MAX_RETRIES", .fallback = "3", .max = 10 },
	[KEY_BACKOFF_INITIAL] = { .name = "INITIAL_BACKOFF_SECONDS",
	    .fallback = "1", .min = 10, .max = 300 * 1000 },
	[KEY_BACKOFF_MAX] = { .name = "MAX_BACKOFF_SECONDS",
	    .fallback = "60", .min = 10, .max = 300 * 1000 },
	[KEY_BREAKER_THRESHOLD] = { .name = "CIRCUIT_BREAKER_THRESHOLD",
	    .fallback = "5", .min = 1, .max = 1000 },
	[KEY_BREAKER_TIMEOUT] = { .name = "CIRCUIT_BREAKER_TIMEOUT_SECONDS",
	    .fallback = "300", .min = 1, .max = DAY },
	[KEY_PASSIVE] = { .name = "RUN_PASSIVE", .fallback = "false" },
	[KEY_RETRIES_HEALTH] = { .name = "MAX_RETRIES_HEALTH_CHECK",
	    .fallback = "5", .max = 10 },
	[KEY_RETRIES_BGP_CHECK] = { .name = "MAX_RETRIES_BGP_CHECK",
	    .fallback = "4", .max = 10 },
	[KEY_RETRIES_BGP_UPDATE] = { .name = "MAX_RETRIES_BGP_UPDATE",
	    .fallback = "2", .max = 10 },
	[KEY_RETRIES_CLOUDFLARE] = { .name = "MAX_RETRIES_CLOUDFLARE",
	    .fallback = "3", .max = 10 },
	[KEY_VERIFY_2] = { .name = "STATE_2_VERIFICATION_THRESHOLD",
	    .fallback = "2", .later = true, .min = 1, .max = 1000 },
	[KEY_VERIFY_3] = { .name = "STATE_3_VERIFICATION_THRESHOLD",
	    .fallback = "2", .later = true, .min = 1, .max = 1000 },
	[KEY_VERIFY_4] = { .name = "STATE_4_VERIFICATION_THRESHOLD",
	    .fallback = "2", .later = true, .min = 1, .max = 1000 },
	[KEY_WINDOW] = { .name = "HEALTH_CHECK_WINDOW",
	    .fallback = "5", .later = true, .min = 1, .max = WINDOW_MAX },
	[KEY_THRESHOLD] = { .name = "HEALTH_CHECK_THRESHOLD",
	    .fallback = "3", .later = true, .min = 1, .max = WINDOW_MAX },
	[KEY_ASYMMETRIC] = { .name = "ASYMMETRIC_HYSTERESIS",
	    .fallback = "false", .later = true },
	[KEY_DWELL] = { .name = "MIN_STATE_DWELL_TIME",
	    .fallback = "120", .later = true, .max = DAY },
	[KEY_DWELL_EXCEPT] = { .name = "DWELL_TIME_EXCEPTION_STATES",
	    .fallback = "1,4", .later = true },
	[KEY_TIMEOUT_API] = { .name = "GCP_API_TIMEOUT",
	    .fallback = "30", .min = 1, .max = 300 },
	[KEY_TIMEOUT_HEALTH] = { .name = "GCP_BACKEND_HEALTH_TIMEOUT",
	    .fallback = "45", .min = 1, .max = 300 },
	[KEY_TIMEOUT_BGP_UPDATE] = { .name = "GCP_BGP_OPERATION_TIMEOUT",
	    .fallback = "60", .min = 1, .max = 300 },
	[KEY_TIMEOUT_CLOUDFLARE] = { .name = "CLOUDFLARE_API_TIMEOUT",
	    .fallback = "10", .min = 1, .max = 300 },
	[KEY_TIMEOUT_BULK] = { .name = "CLOUDFLARE_BULK_TIMEOUT",
	    .fallback = "60", .min = 1, .max = 300 },
	[KEY_COMPUTE_ENDPOINT] = { .name = "MTGCPD_COMPUTE_ENDPOINT" },
	[KEY_CLOUDFLARE_ENDPOINT] = { .name = "MTGCPD_CLOUDFLARE_ENDPOINT" },
	[KEY_LOGGING_ENDPOINT] = { .name = "MTGCPD_LOGGING_ENDPOINT" },
	[KEY_CA_FILE] = { .name = "MTGCPD_CA_FILE" },
	[KEY_STATE_FILE] = { .name = "MTGCPD_STATE_FILE" },
	[KEY_CONTROL_SOCKET] = { .name = "MTGCPD_CONTROL_SOCKET" },
};
/* clang-format on */

/* What the file says. */
struct env {
	struct conf *conf;
	struct failover_conf *f;
	const char *file;     /* belongs to conf->files */
	char *value[KEY_MAX]; /* NULL: absent or empty, or the token */
	int line[KEY_MAX];    /* 0: absent */
	bool bad[KEY_MAX];    /* was told to be so: not missing */
	bool token;	      /* there is one */
	bool broken;	      /* a line was not understood: none is missing */
	bool later;	      /* a key of the later generation's is there */
	char directory[2 * PATH_MAX]; /* of the file, with a slash; or empty */
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The key of that name, or KEY_MAX. */
static enum key
find_key(const char *name)
{
	enum key key;

	for (key = 0; key < KEY_MAX; key++)
		if (strcmp(keys[key].name, name) == 0)
			break;
	return (key);
}

/* Tell of something, at conf->here, that is no error. */
static void warning(const struct env *env, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));

static void
warning(const struct env *env, const char *fmt, ...)
{
	char line[PATH_MAX + 1024], text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(line, sizeof(line), "%s:%d: warning: %s", env->file,
	    env->conf->here.line, text);
	conf_tell(line);
}

/*
 * The file's lines.
 */

/* NULL, or what is wrong with a token; it is never repeated. */
static const char *
check_token(const char *text)
{
	size_t len;

	for (len = 0; isgraph((u_char)text[len]); len++)
		continue;
	if (text[len] != '\0' || len > OPAQUE_MAX)
		return ("expected a token: letters, digits and punctuation, "
			"without white space");
	return (NULL);
}

/* The last line of a key counts, also an empty one. */
static void
store_line(struct env *env, enum key key, const struct env_line *line)
{
	const char *error = line->error;

	if (env->line[key] != 0)
		warning(env, "%s: was given in line %d, which counts no more",
		    keys[key].name, env->line[key]);
	env->line[key] = line->number;
	free(env->value[key]);
	env->value[key] = NULL;
	if (key == KEY_TOKEN)
		env->token = *line->value != '\0';
	if (error == NULL && key == KEY_TOKEN)
		error = check_token(line->value);
	if (error == NULL && !value_utf8(line->value))
		error = "expected UTF-8 without control characters";
	env->bad[key] = error != NULL;
	if (error != NULL)
		conf_error(env->conf, "%s: %s", keys[key].name, error);
	else if (key != KEY_TOKEN && *line->value != '\0')
		env->value[key] = conf_strdup(line->value);
}

static void
read_lines(struct env *env, FILE *fp)
{
	struct env_line line = { .number = 0 };
	enum key key;

	while (env_line(fp, &line)) {
		env->conf->here.line = line.number;
		key = line.key == NULL ? KEY_MAX : find_key(line.key);
		if (key != KEY_MAX)
			store_line(env, key, &line);
		else if (line.error != NULL) {
			conf_error(env->conf, "%s", line.error);
			env->broken = true;
		} else
			warning(env, "%.64s: unknown key", line.key);
	}
	env->conf->here.line = line.number;
	explicit_bzero(&line, sizeof(line));
	for (key = 0; key < KEY_MAX; key++)
		if (keys[key].later && env->value[key] != NULL)
			env->later = true;
}

static void
check_required(struct env *env)
{
	int end = env->conf->here.line;
	enum key key;

	for (key = 0; key < KEY_MAX; key++) {
		if (!keys[key].required || env->bad[key] ||
		    env->value[key] != NULL || (key == KEY_TOKEN && env->token))
			continue;
		env->conf->here.line = env->line[key];
		if (env->line[key] != 0)
			conf_error(env->conf, "%s: expected a value",
			    keys[key].name);
		else if (!env->broken) {
			env->conf->here.line = end;
			conf_error(env->conf, "%s is missing", keys[key].name);
		}
	}
}

/*
 * Values.
 */

/* The value of the key, or its default, or NULL; conf->here is its place. */
static const char *
value(struct env *env, enum key key)
{
	env->conf->here.line = env->line[key];
	return (env->value[key] != NULL ? env->value[key] : keys[key].fallback);
}

/* May the statement be used, which the key of conf->here has in its place? */
static bool
claim(struct env *env, int statement)
{
	struct failover_conf *f;

	f = statement < ST_BOTH ? env->conf->top : env->f;
	return (conf_once(env->conf, f, statement));
}

/* A whole number, or the least that is allowed and an error. */
static int64_t
number(struct env *env, enum key key)
{
	const struct key_info *info = &keys[key];
	const char *error = NULL, *text = value(env, key);
	int64_t n = 0;

	if (text[strspn(text, "0123456789")] == '\0')
		n = strtonum(text, info->min, info->max, &error);
	else
		error = "invalid";
	if (error == NULL)
		return (n);
	conf_error(env->conf,
	    "%s: expected a whole number from %lld to %lld, not \"%s\"",
	    info->name, (long long)info->min, (long long)info->max, text);
	return (info->min);
}

/* Digits, perhaps a point and up to three more, times 1000; otherwise -1. */
static int64_t
thousandths(const char *text)
{
	int64_t n = 0;
	int digits = 0, places = -1;

	for (; *text != '\0'; text++) {
		if (*text == '.' && places == -1 && digits > 0)
			places = 0;
		else if (!isdigit((u_char)*text) || ++digits > NUMBER_DIGITS ||
		    (places != -1 && ++places > 3))
			return (-1);
		else
			n = n * 10 + (*text - '0');
	}
	if (digits == 0 || places == 0)
		return (-1);
	for (; places < 3; places++)
		n *= places == -1 ? 1 : 10;
	return (n);
}

/* Seconds, perhaps with a fraction, in milliseconds; as number(). */
static int64_t
milliseconds(struct env *env, enum key key)
{
	const struct key_info *info = &keys[key];
	const char *text = value(env, key);
	int64_t n = thousandths(text);

	if (n >= info->min && n <= info->max)
		return (n);
	conf_error(env->conf,
	    "%s: expected a number of seconds from %g to %g, not \"%s\"",
	    info->name, (double)info->min / 1000, (double)info->max / 1000,
	    text);
	return (info->min);
}

static bool
yes(struct env *env, enum key key)
{
	static const char *const words[] = { "false", "true", "no", "yes",
		"off", "on", "0", "1" };
	const char *text = value(env, key);
	size_t i;

	for (i = 0; i < COUNT(words); i++)
		if (strcasecmp(text, words[i]) == 0)
			return (i % 2 == 1);
	conf_error(env->conf, "%s: expected true or false, not \"%s\"",
	    keys[key].name, text);
	return (false);
}

/* What is wrong about two keys is in the line of the first or, where that has
 * its default, of the other. */
static void
blame(struct env *env, enum key key, enum key other)
{
	env->conf->here.line = env->value[key] != NULL ? env->line[key] :
							 env->line[other];
}

/* Use a text, which may be absent, for what the statement says. */
static void
set_text(struct env *env, enum key key, int statement, char **dest,
    const char *text, const char *(*check)(const char *))
{
	const char *error;

	if (text == NULL || !claim(env, statement))
		return;
	error = check(text);
	if (error != NULL) {
		conf_error(env->conf, "%s: \"%s\": %s", keys[key].name, text,
		    error);
		return;
	}
	free(*dest);
	*dest = conf_strdup(text);
}

static void
set_string(struct env *env, enum key key, int statement, char **dest,
    const char *(*check)(const char *))
{
	set_text(env, key, statement, dest, value(env, key), check);
}

/* A path: a relative one begins at the file's directory. */
static void
set_path(struct env *env, enum key key, int statement, char **dest,
    const char *(*check)(const char *))
{
	const char *text = value(env, key);
	char path[2 * PATH_MAX + ENV_LINE_LEN];

	if (text != NULL && *text != '/') {
		while (strncmp(text, "./", 2) == 0)
			text += 2;
		snprintf(path, sizeof(path), "%s%s", env->directory, text);
		text = path;
	}
	set_text(env, key, statement, dest, text, check);
}

/*
 * What the keys say.
 */

static void
set_level(struct env *env)
{
	static const struct {
		const char *name;
		int level;
	} levels[] = {
		{ "DEBUG", LOG_DEBUG },
		{ "INFO", LOG_INFO },
		{ "WARNING", LOG_WARNING },
		{ "ERROR", LOG_ERR },
		{ "CRITICAL", LOG_ERR },
	};
	const char *text = value(env, KEY_LOG_LEVEL);
	size_t i;

	(void)claim(env, ST_LOG_LEVEL);
	for (i = 0; i < COUNT(levels); i++) {
		if (strcasecmp(text, levels[i].name) == 0) {
			env->conf->log_level = levels[i].level;
			return;
		}
	}
	conf_error(env->conf,
	    "%s: expected DEBUG, INFO, WARNING, ERROR or CRITICAL, not \"%s\"",
	    keys[KEY_LOG_LEVEL].name, text);
}

static void
set_ident(struct env *env)
{
	const char *error, *text = value(env, KEY_LOGGER_NAME);

	if (text == NULL)
		return;
	error = value_name(text);
	if (error != NULL)
		conf_error(env->conf, "%s: \"%s\": %s",
		    keys[KEY_LOGGER_NAME].name, text, error);
	else
		env->conf->log_ident = conf_strdup(text);
}

/* Both files are rotated alike; 0 bytes: not at all. */
static void
set_rotation(struct env *env)
{
	int64_t size = number(env, KEY_LOG_MAX_BYTES);
	struct rotation rotation = { .size = (uint64_t)size };

	if (size > 0 && size < LOG_BYTES_MIN)
		conf_error(env->conf, "%s: expected 0, or %d at the least",
		    keys[KEY_LOG_MAX_BYTES].name, LOG_BYTES_MIN);
	rotation.keep = (uint32_t)number(env, KEY_LOG_BACKUP_COUNT);
	if (size == 0)
		return;
	env->conf->log_rotation = rotation;
	env->conf->events_rotation = rotation;
}

/* Cloud Logging, in the project of all else, by the name of the syslog. */
static void
set_cloud(struct env *env)
{
	struct conf *conf = env->conf;
	const char *name;

	if (!yes(env, KEY_GCP_LOGGING) || env->value[KEY_PROJECT] == NULL ||
	    !claim(env, ST_LOG_CLOUD))
		return;
	name = conf->log_ident == NULL ? "mt-gcpd" : conf->log_ident;
	if (value_log(name) != NULL)
		conf_error(conf, "%s: \"%s\" cannot be the name of a log: %s",
		    keys[KEY_GCP_LOGGING].name, name, value_log(name));
	conf->cloud_project = conf_strdup(env->value[KEY_PROJECT]);
	conf->cloud_name = conf_strdup(name);
}

static void
set_logging(struct env *env)
{
	struct conf *conf = env->conf;

	set_ident(env);
	set_level(env);
	set_path(env, KEY_LOG_FILE, ST_LOG_FILE, &conf->log_file,
	    value_absolute);
	set_rotation(env);
	set_cloud(env);
	conf->events_stderr = yes(env, KEY_STRUCTURED_CONSOLE);
	(void)claim(env, ST_EVENTS_STDERR);
	if (!yes(env, KEY_STRUCTURED_FILE))
		return;
	if (env->value[KEY_STRUCTURED_FILE] != NULL &&
	    env->value[KEY_STRUCTURED_LOG_FILE] == NULL)
		warning(env, "%s: no effect without %s",
		    keys[KEY_STRUCTURED_FILE].name,
		    keys[KEY_STRUCTURED_LOG_FILE].name);
	set_path(env, KEY_STRUCTURED_LOG_FILE, ST_EVENTS_FILE,
	    &conf->events_file, value_absolute);
}

/* Paths are put behind it, so it does not end in a slash. */
static void
set_endpoint(struct env *env, enum key key, int which)
{
	char *url = env->value[key];
	size_t len;

	if (url != NULL) {
		len = strlen(url);
		while (len > 0 && url[len - 1] == '/')
			url[--len] = '\0';
	}
	set_string(env, key, ST_ENDPOINT + which, &env->conf->url[which],
	    value_https);
}

static void
set_global(struct env *env)
{
	struct conf *conf = env->conf;

	set_path(env, KEY_CREDENTIALS, ST_PROBER_CREDENTIALS,
	    &conf->credentials[ROLE_PROBER], value_path);
	if (conf->credentials[ROLE_PROBER] != NULL &&
	    claim(env, ST_ACTUATOR_CREDENTIALS))
		conf->credentials[ROLE_ACTUATOR] = conf_strdup(
		    conf->credentials[ROLE_PROBER]);
	set_endpoint(env, KEY_COMPUTE_ENDPOINT, API_COMPUTE);
	set_endpoint(env, KEY_CLOUDFLARE_ENDPOINT, API_CLOUDFLARE);
	set_endpoint(env, KEY_LOGGING_ENDPOINT, API_LOGGING);
	set_path(env, KEY_CA_FILE, ST_CA, &conf->ca_file, value_absolute);
	set_path(env, KEY_STATE_FILE, ST_STATE_FILE, &conf->state_file,
	    value_absolute);
	set_path(env, KEY_CONTROL_SOCKET, ST_CONTROL, &conf->control_path,
	    value_socket);
}

/* A router's region has no statement of its own. */
static void
set_router_region(struct env *env, enum key key, enum side side)
{
	const char *error, *text = value(env, key);

	if (text == NULL)
		return;
	error = value_label(text);
	if (error != NULL)
		conf_error(env->conf, "%s: \"%s\": %s", keys[key].name, text,
		    error);
	else
		env->f->router_region[side] = conf_strdup(text);
}

/* The region that the router is in, or NULL. */
static const char *
router_region(const struct failover_conf *f, enum side side)
{
	if (f->router_region[side] != NULL)
		return (f->router_region[side]);
	return (f->region[side]);
}

static void
set_sides(struct env *env)
{
	struct failover_conf *f = env->f;
	const char *here, *there;

	set_string(env, KEY_PROJECT, ST_PROJECT, &f->project, value_project);
	set_string(env, KEY_LOCAL_REGION, ST_REGION + LOCAL, &f->region[LOCAL],
	    value_label);
	set_string(env, KEY_REMOTE_REGION, ST_REGION + REMOTE,
	    &f->region[REMOTE], value_label);
	set_string(env, KEY_ROUTER_PROJECT, ST_ROUTER_PROJECT,
	    &f->router_project, value_project);
	set_string(env, KEY_LOCAL_ROUTER, ST_ROUTER + LOCAL, &f->router[LOCAL],
	    value_label);
	set_router_region(env, KEY_LOCAL_ROUTER_REGION, LOCAL);
	set_router_region(env, KEY_REMOTE_ROUTER_REGION, REMOTE);
	set_string(env, KEY_REMOTE_ROUTER, ST_ROUTER + REMOTE,
	    &f->router[REMOTE], value_label);
	here = router_region(f, LOCAL);
	there = router_region(f, REMOTE);
	if (here != NULL && there != NULL && strcmp(here, there) == 0 &&
	    f->router[LOCAL] != NULL && f->router[REMOTE] != NULL &&
	    strcmp(f->router[LOCAL], f->router[REMOTE]) == 0)
		conf_error(env->conf, "%s: expected another router than %s",
		    keys[KEY_REMOTE_ROUTER].name, keys[KEY_LOCAL_ROUTER].name);
}

static void
set_prefix(struct env *env, enum key key, enum which which)
{
	const char *text = value(env, key);
	struct prefix prefix, masked;
	char buf[PREFIX_LEN];

	if (text == NULL || !claim(env, ST_PREFIX + which))
		return;
	if (strchr(text, '/') == NULL || prefix_parse(text, &prefix) == -1) {
		conf_error(env->conf,
		    "%s: expected a prefix, address/length, not \"%s\"",
		    keys[key].name, text);
		return;
	}
	if (!prefix_masked(&prefix, &masked))
		warning(env, "%s: \"%s\" has host bits set: %s is used",
		    keys[key].name, text,
		    prefix_text(&masked, buf, sizeof(buf)));
	env->f->prefix[which] = masked;
}

static void
set_prefixes(struct env *env)
{
	const struct prefix *prefix = env->f->prefix;

	set_prefix(env, KEY_PRIMARY_PREFIX, PRIMARY);
	set_prefix(env, KEY_SECONDARY_PREFIX, SECONDARY);
	if (prefix_overlap(&prefix[PRIMARY], &prefix[SECONDARY]))
		conf_error(env->conf,
		    "%s: expected a prefix that does not overlap %s",
		    keys[KEY_SECONDARY_PREFIX].name,
		    keys[KEY_PRIMARY_PREFIX].name);
}

/* The id is not repeated in the message: it may be a token that went astray. */
static void
set_cloudflare(struct env *env)
{
	const char *error, *id = value(env, KEY_ACCOUNT);
	struct failover_conf *f = env->f;
	int64_t failed, priority;
	uint32_t errors;

	if (id != NULL && claim(env, ST_ACCOUNT)) {
		error = value_account(id);
		if (error != NULL)
			conf_error(env->conf, "%s: %s", keys[KEY_ACCOUNT].name,
			    error);
		f->given->account = conf_strdup(id);
		f->given->token_file = conf_strdup(env->file);
	}
	set_string(env, KEY_MATCH, ST_ROUTES, &f->match, value_text);
	errors = env->conf->errors;
	failed = number(env, KEY_FAILED);
	priority = number(env, KEY_PRIORITY);
	blame(env, KEY_PRIORITY, KEY_FAILED);
	if (errors == env->conf->errors && priority >= failed)
		conf_error(env->conf,
		    "%s: expected less than %s, %lld: the lower wins",
		    keys[KEY_PRIORITY].name, keys[KEY_FAILED].name,
		    (long long)failed);
	f->priority = (uint32_t)priority;
	f->failed = (uint32_t)failed;
}

/*
 * Symmetric: up and down leave nothing between them.  Asymmetric: four of
 * five, whatever the other two keys say.
 */
static void
set_window(struct env *env)
{
	struct policy *p = &env->f->policy;
	bool asymmetric = yes(env, KEY_ASYMMETRIC);
	int64_t threshold, window;
	uint32_t errors = env->conf->errors;

	window = number(env, KEY_WINDOW);
	threshold = number(env, KEY_THRESHOLD);
	blame(env, KEY_THRESHOLD, KEY_WINDOW);
	if (!asymmetric && errors == env->conf->errors && threshold > window)
		conf_error(env->conf, "%s: expected at most %s, %lld, not %lld",
		    keys[KEY_THRESHOLD].name, keys[KEY_WINDOW].name,
		    (long long)window, (long long)threshold);
	if (asymmetric && (window != 5 || threshold != 3)) {
		blame(env, KEY_ASYMMETRIC, KEY_WINDOW);
		warning(env,
		    "%s: it is 4 of 5, %s and %s have no effect beside it",
		    keys[KEY_ASYMMETRIC].name, keys[KEY_WINDOW].name,
		    keys[KEY_THRESHOLD].name);
	}
	p->window = asymmetric ? 5 : (uint32_t)window;
	p->up = asymmetric ? 4 : (uint32_t)threshold;
	p->down = asymmetric ? 4 : (uint32_t)(window - threshold + 1);
}

/* Numbers of states, with commas or white space between them. */
static uint32_t
state_list(struct env *env)
{
	const char *text = value(env, KEY_DWELL_EXCEPT), *p;
	uint32_t states = 0;

	for (p = text + strspn(text, ", \t"); *p != '\0';
	     p += strspn(p, ", \t")) {
		if (*p < '1' || *p > '0' + STATE_MAX ||
		    (p[1] != '\0' && strchr(", \t", p[1]) == NULL)) {
			conf_error(env->conf,
			    "%s: expected states from 1 to %d, with commas "
			    "between them, not \"%s\"",
			    keys[KEY_DWELL_EXCEPT].name, STATE_MAX, text);
			return (0);
		}
		states |= 1U << (*p++ - '0');
	}
	return (states);
}

/* What came with the later generation; a file without any of its keys acts
 * on every sample, at once. */
static void
set_evidence(struct env *env)
{
	struct policy *p = &env->f->policy;

	(void)claim(env, ST_WINDOW);
	(void)claim(env, ST_VERIFY);
	(void)claim(env, ST_DWELL);
	p->window = p->up = p->down = 1;
	p->verify[0] = 1;
	p->dwell = 0;
	p->dwell_except = 0;
	if (!env->later)
		return;
	set_window(env);
	p->verify[2] = (uint32_t)number(env, KEY_VERIFY_2);
	(void)claim(env, ST_VERIFY_STATE + 2);
	p->verify[3] = (uint32_t)number(env, KEY_VERIFY_3);
	(void)claim(env, ST_VERIFY_STATE + 3);
	p->verify[4] = (uint32_t)number(env, KEY_VERIFY_4);
	(void)claim(env, ST_VERIFY_STATE + 4);
	p->dwell = 1000 * number(env, KEY_DWELL);
	p->dwell_except = state_list(env);
}

/* What the predecessor does, and no key changes. */
static void
set_contract(struct env *env)
{
	static const int statements[] = { ST_REQUIRE, ST_BGP_DOWN_AFTER,
		ST_BGP_LOCAL, ST_RETURN_AFTER, ST_BRAKE, ST_HANDOVER,
		ST_DRAIN };
	struct failover_conf *f = env->f;
	size_t i;

	env->conf->here.line = 0;
	for (i = 0; i < COUNT(statements); i++)
		(void)claim(env, statements[i]);
	f->require_percent = 100;
	f->policy.bgp_down_after = 0;
	f->policy.local_bgp = false;
	f->policy.return_after = 0;
	f->policy.brake = 0;
	f->policy.handover = -1;
	f->drain = 0;
}

/*
 * A kind of call has retries of its own, or those of all, or its own default;
 * but in a file that names no kind, MAX_RETRIES's default is that of all.
 */
static void
set_retries(struct env *env)
{
	static const enum key own[RETRIES_MAX] = {
		[RETRIES_HEALTH] = KEY_RETRIES_HEALTH,
		[RETRIES_BGP_CHECK] = KEY_RETRIES_BGP_CHECK,
		[RETRIES_BGP_UPDATE] = KEY_RETRIES_BGP_UPDATE,
		[RETRIES_CLOUDFLARE] = KEY_RETRIES_CLOUDFLARE,
	};
	bool all = true;
	uint32_t common;
	int i;

	for (i = 0; i < RETRIES_MAX; i++)
		all = all && env->value[own[i]] == NULL;
	all = all || env->value[KEY_RETRIES] != NULL;
	common = (uint32_t)number(env, KEY_RETRIES);
	for (i = 0; i < RETRIES_MAX; i++) {
		env->f->retries[i] = all && env->value[own[i]] == NULL ?
		    common :
		    (uint32_t)number(env, own[i]);
		(void)claim(env, ST_RETRIES + i);
	}
}

static void
set_timeouts(struct env *env)
{
	static const struct {
		enum key key;
		enum timeout timeout;
	} timeouts[] = {
		{ KEY_TIMEOUT_API, TIMEOUT_API },
		{ KEY_TIMEOUT_HEALTH, TIMEOUT_HEALTH },
		{ KEY_TIMEOUT_BGP_UPDATE, TIMEOUT_BGP_UPDATE },
		{ KEY_TIMEOUT_CLOUDFLARE, TIMEOUT_CLOUDFLARE },
		{ KEY_TIMEOUT_BULK, TIMEOUT_CLOUDFLARE_BULK },
	};
	size_t i;

	for (i = 0; i < COUNT(timeouts); i++) {
		*conf_timeout(&env->f->timeout, timeouts[i].timeout) = 1000 *
		    (uint32_t)number(env, timeouts[i].key);
		(void)claim(env, ST_TIMEOUT + (int)timeouts[i].timeout);
	}
}

static void
set_calls(struct env *env)
{
	struct failover_conf *f = env->f;
	uint32_t errors;

	f->passive = yes(env, KEY_PASSIVE);
	(void)claim(env, ST_PASSIVE);
	f->policy.interval = f->policy.fast = milliseconds(env, KEY_INTERVAL);
	(void)claim(env, ST_INTERVAL);
	f->breaker_threshold = (uint32_t)number(env, KEY_BREAKER_THRESHOLD);
	f->breaker_timeout = 1000 * (uint32_t)number(env, KEY_BREAKER_TIMEOUT);
	(void)claim(env, ST_BREAKER);
	errors = env->conf->errors;
	f->backoff_max = (uint32_t)milliseconds(env, KEY_BACKOFF_MAX);
	f->backoff_initial = (uint32_t)milliseconds(env, KEY_BACKOFF_INITIAL);
	(void)claim(env, ST_BACKOFF);
	blame(env, KEY_BACKOFF_INITIAL, KEY_BACKOFF_MAX);
	if (errors == env->conf->errors && f->backoff_initial > f->backoff_max)
		conf_error(env->conf, "%s: expected at most %s, %g",
		    keys[KEY_BACKOFF_INITIAL].name, keys[KEY_BACKOFF_MAX].name,
		    f->backoff_max / 1000.0);
	set_retries(env);
	set_timeouts(env);
}

/*
 * The file.
 */

/* Where relative paths begin: beside the file, whose own path may be relative
 * to the working directory. */
static void
find_directory(struct env *env)
{
	char cwd[PATH_MAX], *end;

	if (*env->file != '/' && getcwd(cwd, sizeof(cwd)) != NULL) {
		strlcpy(env->directory, cwd, sizeof(env->directory));
		strlcat(env->directory, "/", sizeof(env->directory));
	}
	strlcat(env->directory, env->file, sizeof(env->directory));
	end = strrchr(env->directory, '/');
	if (end == NULL)
		*env->directory = '\0';
	else
		end[1] = '\0';
}

static struct failover_conf *
add_failover(struct conf *conf)
{
	struct failover_conf *f;

	f = failover_new(conf, "default");
	f->index = conf->nfailovers++;
	TAILQ_INSERT_TAIL(&conf->failovers, f, entry);
	return (f);
}

static void
apply(struct env *env)
{
	check_required(env);
	set_logging(env);
	set_global(env);
	set_sides(env);
	set_prefixes(env);
	set_cloudflare(env);
	set_contract(env);
	set_evidence(env);
	set_calls(env);
}

/*
 * Read an environment file, whose name is for messages and relative paths,
 * from an open stream.  All that is wrong with it is told by conf_tell(), and
 * so are warnings.  Returns the complete configuration, which belongs to the
 * caller (conf_free()), or NULL and errno: EINVAL where it is wrong, another
 * where it cannot be read.  The stream's buffer has seen the Cloudflare token
 * and is for the caller to wipe.
 */
struct conf *
env_read(FILE *fp, const char *file)
{
	struct env env = { .conf = conf_new() };
	struct conf *conf = env.conf;
	enum key key;
	int error = EINVAL;

	conf->file = conf_strdup(file);
	names_add(&conf->files, file);
	env.file = TAILQ_FIRST(&conf->files)->text;
	conf->here.file = env.file;
	find_directory(&env);
	env.f = add_failover(conf);
	read_lines(&env, fp);
	if (ferror(fp)) {
		error = errno == 0 ? EIO : errno;
		conf_error(conf, "%s", strerror(error));
	} else
		apply(&env);
	for (key = 0; key < KEY_MAX; key++)
		free(env.value[key]);
	if (conf->errors != 0 || conf_finish(conf) == -1) {
		conf_free(conf);
		errno = error;
		return (NULL);
	}
	conf->env = true;
	TAILQ_FIRST(&conf->accounts)->env = true;
	return (conf);
}

/*
 * Open the file as a stream that leaves nothing behind but in buffer.  Its
 * mode may be unsafe; *why then says so, and is empty otherwise.  Returns
 * NULL, errno and the reason in why if that fails.
 */
static FILE *
open_stream(const char *file, char *buffer, char *why, size_t len)
{
	FILE *fp;
	int error, fd;

	fd = lax_open(file, why, len);
	if (fd == -1)
		return (NULL);
	fp = fdopen(fd, "r");
	if (fp == NULL) {
		error = errno;
		snprintf(why, len, "%s: %s", file, strerror(error));
		close(fd);
		errno = error;
		return (NULL);
	}
	(void)setvbuf(fp, buffer, _IOFBF, BUFFER_LEN);
	return (fp);
}

/*
 * Read an environment file.  As conf_parse(), but an unsafe mode of the file
 * is a warning.
 */
struct conf *
env_parse(const char *file)
{
	char buffer[BUFFER_LEN], line[PATH_MAX + 512], why[PATH_MAX + 256];
	struct conf *conf;
	FILE *fp;
	int error;

	fp = open_stream(file, buffer, why, sizeof(why));
	if (fp == NULL) {
		error = errno == EINVAL ? EIO : errno;
		conf_tell(why);
		errno = error;
		return (NULL);
	}
	if (*why != '\0') {
		snprintf(line, sizeof(line), "warning: %s", why);
		conf_tell(line);
	}
	conf = env_read(fp, file);
	error = errno;
	fclose(fp);
	explicit_bzero(buffer, sizeof(buffer));
	errno = error;
	return (conf);
}

/*
 * The Cloudflare token that an environment file holds now, of *len bytes,
 * which the caller wipes and frees; or NULL and the reason in why.
 */
char *
env_token(const char *file, size_t *len, char *why, size_t whylen)
{
	struct env_line line = { .number = 0 };
	char buffer[BUFFER_LEN];
	char *token = NULL;
	bool usable = false;
	FILE *fp;

	fp = open_stream(file, buffer, why, whylen);
	if (fp == NULL)
		return (NULL);
	while (env_line(fp, &line)) {
		if (line.key == NULL || find_key(line.key) != KEY_TOKEN)
			continue;
		if (token != NULL)
			freezero(token, strlen(token));
		token = conf_strdup(line.value);
		usable = line.error == NULL && *token != '\0' &&
		    check_token(token) == NULL;
	}
	usable = usable && !ferror(fp);
	fclose(fp);
	explicit_bzero(buffer, sizeof(buffer));
	explicit_bzero(&line, sizeof(line));
	if (token != NULL && !usable) {
		freezero(token, strlen(token));
		token = NULL;
	}
	if (token == NULL)
		snprintf(why, whylen, "%s: no usable %s in it", file,
		    keys[KEY_TOKEN].name);
	else
		*len = strlen(token);
	return (token);
}
