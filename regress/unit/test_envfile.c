/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/stat.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf.h"
#include "log.h"

#define TOKEN "s3cret-Token_42"
#define ID    "0123456789abcdef0123456789abcdef"
#define BASE                                                                   \
	"GCP_PROJECT=my-project\n"                                             \
	"GOOGLE_APPLICATION_CREDENTIALS=key.json\n"                            \
	"LOCAL_GCP_REGION=us-east1\n"                                          \
	"REMOTE_GCP_REGION=us-west1\n"                                         \
	"LOCAL_BGP_ROUTER=router-a\n"                                          \
	"REMOTE_BGP_ROUTER=router-b\n"                                         \
	"PRIMARY_PREFIX=192.0.2.0/24\n"                                        \
	"SECONDARY_PREFIX=198.51.100.0/24\n"                                   \
	"CLOUDFLARE_ACCOUNT_ID=" ID "\n"                                       \
	"CLOUDFLARE_API_TOKEN=" TOKEN "\n"                                     \
	"DESCRIPTION_SUBSTRING=site A\n"
#define BASE_LINES 11

static char told[16384];

static void
tell(const char *line)
{
	strlcat(told, line, sizeof(told));
	strlcat(told, "\n", sizeof(told));
}

static struct conf *
read_text(const char *text)
{
	struct conf *conf;
	char *copy;
	FILE *fp;

	*told = '\0';
	copy = strdup(text);
	assert_non_null(copy);
	fp = fmemopen(copy, strlen(copy), "r");
	assert_non_null(fp);
	conf = env_read(fp, "/etc/x/.env");
	assert_int_equal(fclose(fp), 0);
	free(copy);
	assert_null(strstr(told, TOKEN));
	return (conf);
}

/* What BASE and more say; nothing is told. */
static struct conf *
good(const char *more)
{
	char text[16384];
	struct conf *conf;

	snprintf(text, sizeof(text), "%s%s", BASE, more);
	conf = read_text(text);
	assert_string_equal(told, "");
	assert_non_null(conf);
	return (conf);
}

static const struct failover_conf *
only(const struct conf *conf)
{
	assert_int_equal(conf->nfailovers, 1);
	return (TAILQ_FIRST(&conf->failovers));
}

/* One line more is wrong, and that is what is told of it. */
static void
bad(const char *more, const char *message)
{
	char text[16384], expected[1024];

	snprintf(text, sizeof(text), "%s%s\n", BASE, more);
	assert_null(read_text(text));
	assert_int_equal(errno, EINVAL);
	snprintf(expected, sizeof(expected), "/etc/x/.env:%d: %s\n",
	    BASE_LINES + 1, message);
	assert_string_equal(told, expected);
}

/* One line more makes that warning, and no more. */
static struct conf *
warned(const char *more, const char *message)
{
	char text[16384], expected[1024];
	struct conf *conf;

	snprintf(text, sizeof(text), "%s%s\n", BASE, more);
	conf = read_text(text);
	assert_non_null(conf);
	snprintf(expected, sizeof(expected), "/etc/x/.env:%d: warning: %s\n",
	    BASE_LINES + 1, message);
	assert_string_equal(told, expected);
	return (conf);
}

/* The value that a line has, or "!" and what is wrong with it. */
static void
is_value(const char *text, const char *value)
{
	struct env_line line = { .number = 0 };
	char copy[256];
	FILE *fp;

	strlcpy(copy, text, sizeof(copy));
	fp = fmemopen(copy, strlen(copy), "r");
	assert_non_null(fp);
	assert_true(env_line(fp, &line));
	if (*value == '!')
		assert_string_equal(line.error, value + 1);
	else {
		assert_null(line.error);
		assert_string_equal(line.key, "K");
		assert_string_equal(line.value, value);
	}
	assert_false(env_line(fp, &line));
	fclose(fp);
}

static void
test_values(void **arg __unused)
{
	is_value("K=v", "v");
	is_value("K=v\n", "v");
	is_value("K=v\r\n", "v");
	is_value("\xef\xbb\xbfK=v\r\n", "v");
	is_value("# K=1\n\n \t\n  # x\n\r\nK=v\n", "v");
	is_value("  K = v w \t", "v w");
	is_value("export K=v", "v");
	is_value("\texport\t K=v", "v");
	is_value("K=", "");
	is_value("K=\r\n", "");
	is_value("K=   # text", "");
	is_value("K=\t#", "");
	is_value("K=v # text # more", "v");
	is_value("K=v w\t \t#text", "v w");
	is_value("K=v#w", "v#w");
	is_value("K=#v", "#v");
	is_value("K=a=b", "a=b");
	is_value("K=a'b\"", "a'b\"");
	is_value("K=\"v # w\"", "v # w");
	is_value("K=\"v\" # w", "v");
	is_value("K='v'#w\r\n", "v");
	is_value("K=\"\"", "");
	is_value("K=''", "");
	is_value("K=\" v \"", " v ");
	is_value("K=\"a\\\"b\\\\c\\d\"", "a\"b\\c\\d");
	is_value("K='a\\'", "a\\");
	is_value("K='a\"b'", "a\"b");
	is_value("K=\"it's\"", "it's");
}

static void
test_bad_lines(void **arg __unused)
{
	is_value("K", "!expected KEY=value");
	is_value("export K", "!expected KEY=value");
	is_value("=v", "!expected KEY=value");
	is_value("1K=v", "!expected KEY=value");
	is_value("K-L=v", "!expected KEY=value");
	is_value("K L=v", "!expected KEY=value");
	is_value("exportK v", "!expected KEY=value");
	is_value("K=\"v", "!the closing quote is missing");
	is_value("K='v\"", "!the closing quote is missing");
	is_value("K=\"v\\\"", "!the closing quote is missing");
	is_value("K=\"v\"w", "!expected nothing behind the closing quote");
	is_value("K='v' w", "!expected nothing behind the closing quote");
}

/* Lines may be as long as there is room, and no longer; comments may. */
static void
test_long_lines(void **arg __unused)
{
	struct env_line line = { .number = 0 };
	static char text[4 * ENV_LINE_LEN];
	FILE *fp;
	size_t n;

	memset(text, 'x', sizeof(text));
	memcpy(text, "K=", 2);
	n = ENV_LINE_LEN - 1;
	text[n++] = '\n';
	memcpy(text + n, "K=", 2);
	n += ENV_LINE_LEN;
	text[n++] = '\n';
	text[n] = '#';
	n += ENV_LINE_LEN;
	text[n++] = '\n';
	memcpy(text + n, "K=v", 4);
	fp = fmemopen(text, strlen(text), "r");
	assert_non_null(fp);
	assert_true(env_line(fp, &line));
	assert_null(line.error);
	assert_int_equal(strlen(line.value), ENV_LINE_LEN - 3);
	assert_true(env_line(fp, &line));
	assert_string_equal(line.error, "the line is too long");
	assert_int_equal(line.number, 2);
	assert_true(env_line(fp, &line));
	assert_null(line.error);
	assert_string_equal(line.value, "v");
	assert_int_equal(line.number, 4);
	fclose(fp);
}

/* What a file says that says only what it must. */
static void
test_contract(void **arg __unused)
{
	struct conf *conf = good("");
	const struct failover_conf *f = only(conf);
	const struct policy *p = &f->policy;
	int i;

	assert_true(conf->env);
	assert_string_equal(conf->credentials[ROLE_PROBER], "/etc/x/key.json");
	assert_string_equal(conf->credentials[ROLE_ACTUATOR],
	    "/etc/x/key.json");
	assert_int_equal(conf->log_level, LOG_INFO);
	assert_null(conf->log_file);
	assert_null(conf->events_file);
	assert_null(conf->log_ident);
	assert_false(conf->events_stderr);
	assert_string_equal(conf->state_file, STATE_FILE);
	assert_string_equal(f->name, "default");
	assert_string_equal(f->router_project, "my-project");
	assert_string_equal(f->router_region[LOCAL], "us-east1");
	assert_string_equal(f->router_region[REMOTE], "us-west1");
	assert_string_equal(f->account->id, ID);
	assert_string_equal(f->account->token_file, "/etc/x/.env");
	assert_true(f->account->env);
	assert_int_equal(f->priority, 100);
	assert_int_equal(f->failed, 200);
	assert_int_equal(f->require_percent, 100);
	assert_int_equal(f->drain, 0);
	assert_false(f->passive);
	assert_int_equal(p->interval, 60000);
	assert_int_equal(p->fast, 60000);
	assert_int_equal(p->unknown_after, 180000);
	assert_int_equal(p->bgp_down_after, 0);
	assert_false(p->local_bgp);
	assert_int_equal(p->return_after, 0);
	assert_int_equal(p->brake, 0);
	assert_int_equal(p->handover, -1);
	assert_int_equal(p->window, 1);
	assert_int_equal(p->up, 1);
	assert_int_equal(p->down, 1);
	assert_int_equal(p->dwell, 0);
	assert_int_equal(p->dwell_except, 0);
	for (i = 0; i <= STATE_MAX; i++)
		assert_int_equal(p->verify[i], 1);
	for (i = 0; i < RETRIES_MAX; i++)
		assert_int_equal(f->retries[i], 3);
	assert_int_equal(f->backoff_initial, 1000);
	assert_int_equal(f->backoff_max, 60000);
	assert_int_equal(f->breaker_threshold, 5);
	assert_int_equal(f->breaker_timeout, 300000);
	assert_int_equal(f->timeout.api, 30000);
	assert_int_equal(f->timeout.health, 45000);
	assert_int_equal(f->timeout.bgp_update, 60000);
	assert_int_equal(f->timeout.cloudflare, 10000);
	assert_int_equal(f->timeout.cloudflare_bulk, 60000);
	conf_free(conf);
}

/* Any key of the later generation brings the defaults of the others. */
static void
test_later_generation(void **arg __unused)
{
	static const char *const later[] = {
		"STATE_2_VERIFICATION_THRESHOLD=2",
		"STATE_3_VERIFICATION_THRESHOLD=2",
		"STATE_4_VERIFICATION_THRESHOLD=2",
		"HEALTH_CHECK_WINDOW=5",
		"HEALTH_CHECK_THRESHOLD=3",
		"ASYMMETRIC_HYSTERESIS=no",
		"MIN_STATE_DWELL_TIME=120",
		"DWELL_TIME_EXCEPTION_STATES=1,4",
	};
	struct conf *conf;
	const struct policy *p;
	size_t i;
	int state;

	for (i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		conf = good(later[i]);
		p = &only(conf)->policy;
		assert_int_equal(p->window, 5);
		assert_int_equal(p->up, 3);
		assert_int_equal(p->down, 3);
		assert_int_equal(p->dwell, 120000);
		assert_int_equal(p->dwell_except, 1U << 1 | 1U << 4);
		for (state = 1; state <= STATE_MAX; state++)
			assert_int_equal(p->verify[state],
			    state >= 2 && state <= 4 ? 2 : 1);
		conf_free(conf);
	}
	/* An empty one is as good as none. */
	conf = good("MIN_STATE_DWELL_TIME=\nHEALTH_CHECK_WINDOW=  # 5\n");
	assert_int_equal(only(conf)->policy.window, 1);
	assert_int_equal(only(conf)->policy.dwell, 0);
	conf_free(conf);
}

static void
test_window(void **arg __unused)
{
	struct conf *conf;
	const struct policy *p;

	conf = good("HEALTH_CHECK_WINDOW=10\nHEALTH_CHECK_THRESHOLD=7\n");
	p = &only(conf)->policy;
	assert_int_equal(p->window, 10);
	assert_int_equal(p->up, 7);
	assert_int_equal(p->down, 4);
	conf_free(conf);
	conf = good("ASYMMETRIC_HYSTERESIS=True\n");
	p = &only(conf)->policy;
	assert_int_equal(p->window, 5);
	assert_int_equal(p->up, 4);
	assert_int_equal(p->down, 4);
	conf_free(conf);
	conf = warned("ASYMMETRIC_HYSTERESIS=1\nHEALTH_CHECK_WINDOW=9",
	    "ASYMMETRIC_HYSTERESIS: it is 4 of 5, HEALTH_CHECK_WINDOW and "
	    "HEALTH_CHECK_THRESHOLD have no effect beside it");
	assert_int_equal(only(conf)->policy.window, 5);
	conf_free(conf);
	bad("HEALTH_CHECK_THRESHOLD=6",
	    "HEALTH_CHECK_THRESHOLD: expected at most HEALTH_CHECK_WINDOW, 5, "
	    "not 6");
}

static void
test_dwell(void **arg __unused)
{
	struct conf *conf;

	conf = good("DWELL_TIME_EXCEPTION_STATES=\" 2, 8 3\"\n"
		    "MIN_STATE_DWELL_TIME=0");
	assert_int_equal(only(conf)->policy.dwell, 0);
	assert_int_equal(only(conf)->policy.dwell_except,
	    1U << 2 | 1U << 3 | 1U << 8);
	conf_free(conf);
	bad("DWELL_TIME_EXCEPTION_STATES=1,9",
	    "DWELL_TIME_EXCEPTION_STATES: expected states from 1 to 8, with "
	    "commas between them, not \"1,9\"");
	bad("DWELL_TIME_EXCEPTION_STATES=14",
	    "DWELL_TIME_EXCEPTION_STATES: expected states from 1 to 8, with "
	    "commas between them, not \"14\"");
}

static void
are_retries(const char *more, uint32_t health, uint32_t check, uint32_t update,
    uint32_t cloudflare)
{
	struct conf *conf = good(more);
	const struct failover_conf *f = only(conf);

	assert_int_equal(f->retries[RETRIES_HEALTH], health);
	assert_int_equal(f->retries[RETRIES_BGP_CHECK], check);
	assert_int_equal(f->retries[RETRIES_BGP_UPDATE], update);
	assert_int_equal(f->retries[RETRIES_CLOUDFLARE], cloudflare);
	conf_free(conf);
}

static void
test_retries(void **arg __unused)
{
	are_retries("MAX_RETRIES=0\n", 0, 0, 0, 0);
	are_retries("MAX_RETRIES=7\nMAX_RETRIES_BGP_CHECK=1\n", 7, 1, 7, 7);
	are_retries("MAX_RETRIES_BGP_CHECK=1\n", 5, 1, 2, 3);
	are_retries("MAX_RETRIES_HEALTH_CHECK=10\nMAX_RETRIES_BGP_UPDATE=0\n"
		    "MAX_RETRIES_CLOUDFLARE=9\n",
	    10, 4, 0, 9);
}

static void
test_keys(void **arg __unused)
{
	struct conf *conf;
	const struct failover_conf *f;

	conf = good("LOGGER_NAME=mt\nLOG_LEVEL=debug\nLOG_FILE=./a/b.log\n"
		    "ENABLE_STRUCTURED_CONSOLE=ON\nSTRUCTURED_LOG_FILE=/e\n"
		    "BGP_PEER_PROJECT=example.com:hub\nLOCAL_BGP_REGION=r-1\n"
		    "REMOTE_BGP_REGION=r-2\nCLOUDFLARE_PRIMARY_PRIORITY=90\n"
		    "CLOUDFLARE_SECONDARY_PRIORITY=91\nRUN_PASSIVE=yes\n"
		    "CHECK_INTERVAL_SECONDS=2.25\nINITIAL_BACKOFF_SECONDS=0.5\n"
		    "MAX_BACKOFF_SECONDS=0.5\nCIRCUIT_BREAKER_THRESHOLD=7\n"
		    "CIRCUIT_BREAKER_TIMEOUT_SECONDS=8\nGCP_API_TIMEOUT=9\n"
		    "GCP_BACKEND_HEALTH_TIMEOUT=10\n"
		    "GCP_BGP_OPERATION_TIMEOUT=11\nCLOUDFLARE_API_TIMEOUT=12\n"
		    "CLOUDFLARE_BULK_TIMEOUT=13\nMTGCPD_CA_FILE=ca.pem\n"
		    "MTGCPD_STATE_FILE=/s\n"
		    "MTGCPD_COMPUTE_ENDPOINT=https://a:1/v1/\n"
		    "MTGCPD_CLOUDFLARE_ENDPOINT=https://b\n"
		    "MTGCPD_LOGGING_ENDPOINT=https://c/d\n");
	f = only(conf);
	assert_string_equal(conf->log_ident, "mt");
	assert_int_equal(conf->log_level, LOG_DEBUG);
	assert_string_equal(conf->log_file, "/etc/x/a/b.log");
	assert_true(conf->events_stderr);
	assert_string_equal(conf->events_file, "/e");
	assert_string_equal(conf->ca_file, "/etc/x/ca.pem");
	assert_string_equal(conf->state_file, "/s");
	assert_string_equal(conf->url[API_COMPUTE], "https://a:1/v1");
	assert_string_equal(conf->url[API_CLOUDFLARE], "https://b");
	assert_string_equal(conf->url[API_LOGGING], "https://c/d");
	assert_string_equal(f->router_project, "example.com:hub");
	assert_string_equal(f->router_region[LOCAL], "r-1");
	assert_string_equal(f->router_region[REMOTE], "r-2");
	assert_int_equal(f->priority, 90);
	assert_int_equal(f->failed, 91);
	assert_true(f->passive);
	assert_int_equal(f->policy.interval, 2250);
	assert_int_equal(f->policy.fast, 2250);
	assert_int_equal(f->backoff_initial, 500);
	assert_int_equal(f->backoff_max, 500);
	assert_int_equal(f->breaker_threshold, 7);
	assert_int_equal(f->breaker_timeout, 8000);
	assert_int_equal(f->timeout.api, 9000);
	assert_int_equal(f->timeout.health, 10000);
	assert_int_equal(f->timeout.bgp_update, 11000);
	assert_int_equal(f->timeout.cloudflare, 12000);
	assert_int_equal(f->timeout.cloudflare_bulk, 13000);
	conf_free(conf);
	conf = good("LOG_LEVEL=CRITICAL\nSTRUCTURED_LOG_FILE=/e\n"
		    "ENABLE_STRUCTURED_FILE=false\nENABLE_GCP_LOGGING=false\n");
	assert_int_equal(conf->log_level, LOG_ERR);
	assert_null(conf->events_file);
	conf_free(conf);
}

/* Of every kind of value one that is just wrong. */
static void
test_bad_values(void **arg __unused)
{
	static const char *const errors[][2] = {
		{ "LOG_LEVEL=loud",
		    "LOG_LEVEL: expected DEBUG, INFO, WARNING, ERROR or "
		    "CRITICAL, not \"loud\"" },
		{ "RUN_PASSIVE=maybe",
		    "RUN_PASSIVE: expected true or false, not \"maybe\"" },
		{ "MAX_RETRIES=11",
		    "MAX_RETRIES: expected a whole number from 0 to 10, not "
		    "\"11\"" },
		{ "MAX_RETRIES=-1",
		    "MAX_RETRIES: expected a whole number from 0 to 10, not "
		    "\"-1\"" },
		{ "MAX_RETRIES='+1'",
		    "MAX_RETRIES: expected a whole number from 0 to 10, not "
		    "\"+1\"" },
		{ "GCP_API_TIMEOUT=1.5",
		    "GCP_API_TIMEOUT: expected a whole number from 1 to 300, "
		    "not \"1.5\"" },
		{ "CHECK_INTERVAL_SECONDS=0.099",
		    "CHECK_INTERVAL_SECONDS: expected a number of seconds "
		    "from 0.1 to 3600, not \"0.099\"" },
		{ "CHECK_INTERVAL_SECONDS=3600.001",
		    "CHECK_INTERVAL_SECONDS: expected a number of seconds "
		    "from 0.1 to 3600, not \"3600.001\"" },
		{ "CHECK_INTERVAL_SECONDS=60s",
		    "CHECK_INTERVAL_SECONDS: expected a number of seconds "
		    "from 0.1 to 3600, not \"60s\"" },
		{ "CHECK_INTERVAL_SECONDS=1.",
		    "CHECK_INTERVAL_SECONDS: expected a number of seconds "
		    "from 0.1 to 3600, not \"1.\"" },
		{ "CHECK_INTERVAL_SECONDS=1.2.3",
		    "CHECK_INTERVAL_SECONDS: expected a number of seconds "
		    "from 0.1 to 3600, not \"1.2.3\"" },
		{ "INITIAL_BACKOFF_SECONDS=61",
		    "INITIAL_BACKOFF_SECONDS: expected at most "
		    "MAX_BACKOFF_SECONDS, 60" },
		{ "CLOUDFLARE_PRIMARY_PRIORITY=200",
		    "CLOUDFLARE_PRIMARY_PRIORITY: expected less than "
		    "CLOUDFLARE_SECONDARY_PRIORITY, 200: the lower wins" },
		{ "LOCAL_BGP_REGION=US",
		    "LOCAL_BGP_REGION: \"US\": expected at most 63 lower-case "
		    "letters, digits and hyphens, a letter first and no hyphen "
		    "last" },
		{ "MTGCPD_COMPUTE_ENDPOINT=http://x",
		    "MTGCPD_COMPUTE_ENDPOINT: \"http://x\": expected a URL "
		    "that begins with https://" },
		{ "LOGGER_NAME=\"a\x01\"",
		    "LOGGER_NAME: expected UTF-8 without control characters" },
		{ "LOG_BACKUP_COUNT=x",
		    "LOG_BACKUP_COUNT: expected a whole number from 0 to 999, "
		    "not \"x\"" },
		{ "LOG_LEVEL=\"INFO",
		    "LOG_LEVEL: the closing quote is missing" },
		{ "no assignment", "expected KEY=value" },
	};
	size_t i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		bad(errors[i][0], errors[i][1]);
}

/* What is given again counts, and is warned of; so it is with errors. */
static void
again(const char *more, const char *key, int first, const char *message)
{
	char text[16384], expected[1024];
	struct conf *conf;

	snprintf(text, sizeof(text), "%s%s\n", BASE, more);
	conf = read_text(text);
	snprintf(expected, sizeof(expected),
	    "/etc/x/.env:%d: warning: %s: was given in line %d, which counts "
	    "no more\n",
	    BASE_LINES + 1, key, first);
	if (message == NULL)
		assert_non_null(conf);
	else {
		assert_null(conf);
		snprintf(expected + strlen(expected),
		    sizeof(expected) - strlen(expected),
		    "/etc/x/.env:%d: %s: %s\n", BASE_LINES + 1, key, message);
	}
	assert_string_equal(told, expected);
	conf_free(conf);
}

static void
test_again(void **arg __unused)
{
	again("GCP_PROJECT=another", "GCP_PROJECT", 1, NULL);
	again("GCP_PROJECT=", "GCP_PROJECT", 1, "expected a value");
	again("GCP_PROJECT=P", "GCP_PROJECT", 1,
	    "\"P\": expected the id of a project: lower-case letters, digits "
	    "and hyphens, a letter first and no hyphen last");
	again("CLOUDFLARE_API_TOKEN=", "CLOUDFLARE_API_TOKEN", 10,
	    "expected a value");
	again("CLOUDFLARE_API_TOKEN='" TOKEN " " TOKEN "'",
	    "CLOUDFLARE_API_TOKEN", 10,
	    "expected a token: letters, digits and punctuation, without white "
	    "space");
	again("CLOUDFLARE_API_TOKEN=\"" TOKEN, "CLOUDFLARE_API_TOKEN", 10,
	    "the closing quote is missing");
	again("CLOUDFLARE_ACCOUNT_ID=" TOKEN, "CLOUDFLARE_ACCOUNT_ID", 9,
	    "expected at most 63 letters and digits");
	again("REMOTE_BGP_ROUTER=router-a\nREMOTE_BGP_REGION=us-west1",
	    "REMOTE_BGP_ROUTER", 6, NULL);
	again("SECONDARY_PREFIX=192.0.0.0/16", "SECONDARY_PREFIX", 8,
	    "expected a prefix that does not overlap PRIMARY_PREFIX");
	again("SECONDARY_PREFIX=192.0.2.0", "SECONDARY_PREFIX", 8,
	    "expected a prefix, address/length, not \"192.0.2.0\"");
}

static void
test_warnings(void **arg __unused)
{
	struct conf *conf;

	conf_free(warned("FOO=" TOKEN, "FOO: unknown key"));
	conf_free(warned("ENABLE_STRUCTURED_FILE=true",
	    "ENABLE_STRUCTURED_FILE: no effect without STRUCTURED_LOG_FILE"));
	*told = '\0';
	conf = read_text("PRIMARY_PREFIX=192.0.2.9/24\nBGP_PEER_PROJECT=\n");
	assert_null(conf);
	assert_non_null(strstr(told,
	    ".env:1: warning: PRIMARY_PREFIX: \"192.0.2.9/24\" has host bits "
	    "set: 192.0.2.0/24 is used\n"));
}

/* The project and the name are those of all else. */
static void
test_cloud(void **arg __unused)
{
	struct conf *conf = good("ENABLE_GCP_LOGGING=true");

	assert_string_equal(conf->cloud_project, "my-project");
	assert_string_equal(conf->cloud_name, "mt-gcpd");
	conf_free(conf);
}

/* All that is missing is told, each in a line; but not where a line was not
 * understood, which may be it. */
static void
test_missing(void **arg __unused)
{
	const char *p;
	int n = 0;

	assert_null(read_text("# nothing\n\nRUN_PASSIVE=1\n"));
	for (p = told; (p = strstr(p, ".env:3: ")) != NULL; p++)
		n++;
	assert_int_equal(n, BASE_LINES);
	assert_non_null(strstr(told, "CLOUDFLARE_API_TOKEN is missing\n"));
	assert_null(read_text("GCP_PROJECT\n"));
	assert_string_equal(told, "/etc/x/.env:1: expected KEY=value\n");
}

static void
write_file(const char *path, const char *text, mode_t mode)
{
	FILE *fp;

	fp = fopen(path, "w");
	assert_non_null(fp);
	assert_int_equal(fchmod(fileno(fp), mode), 0);
	assert_true(fputs(text, fp) >= 0);
	assert_int_equal(fclose(fp), 0);
}

/* The token is that of the file now; modes make a warning. */
static void
test_files(void **arg __unused)
{
	char path[] = "/tmp/test_envfile.XXXXXX", why[256], *token;
	struct conf *conf;
	size_t len = 0;
	int fd;

	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	write_file(path, BASE, 0600);
	*told = '\0';
	conf = env_parse(path);
	assert_non_null(conf);
	assert_string_equal(told, "");
	assert_string_equal(TAILQ_FIRST(&conf->accounts)->token_file, path);
	token = env_token(path, &len, why, sizeof(why));
	assert_string_equal(token, TOKEN);
	assert_int_equal(len, strlen(TOKEN));
	free(token);
	write_file(path, BASE "export CLOUDFLARE_API_TOKEN='other' # new\n",
	    0644);
	token = env_token(path, &len, why, sizeof(why));
	assert_string_equal(token, "other");
	free(token);
	conf_free(conf);
	conf = env_parse(path);
	assert_non_null(conf);
	assert_non_null(strstr(told, "warning: /tmp/"));
	assert_non_null(strstr(told, "unsafe mode: 0644"));
	assert_int_equal(conf_check_files(conf), -1);
	assert_non_null(strstr(told,
	    "GOOGLE_APPLICATION_CREDENTIALS: /tmp/key.json: No such file"));
	conf_free(conf);
	write_file(path, BASE "CLOUDFLARE_API_TOKEN=\n", 0600);
	assert_null(env_token(path, &len, why, sizeof(why)));
	assert_non_null(strstr(why, "no usable CLOUDFLARE_API_TOKEN in it"));
	write_file(path, BASE "CLOUDFLARE_API_TOKEN=\"" TOKEN "\n", 0600);
	assert_null(env_token(path, &len, why, sizeof(why)));
	assert_null(strstr(why, TOKEN));
	unlink(path);
	assert_null(env_parse(path));
	assert_int_equal(errno, ENOENT);
	assert_null(env_token(path, &len, why, sizeof(why)));
	assert_null(env_parse("/tmp"));
	assert_int_equal(errno, EPERM);
}

/* A relative path of the file is one of the working directory. */
static void
test_directory(void **arg __unused)
{
	char copy[] = BASE, cwd[512], expected[600];
	struct conf *conf;
	FILE *fp;

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	fp = fmemopen(copy, strlen(copy), "r");
	assert_non_null(fp);
	conf = env_read(fp, "sub/.env");
	assert_non_null(conf);
	fclose(fp);
	snprintf(expected, sizeof(expected), "%s/sub/key.json", cwd);
	assert_string_equal(conf->credentials[ROLE_PROBER], expected);
	conf_free(conf);
}

/* No text makes it stumble: all the beginnings of a file, and each with
 * something odd at its end. */
static void
test_beginnings(void **arg __unused)
{
	static const char text[] = BASE "A='x' # y\nexport B=\"\\\"\"\r\nC\n";
	static const char *const odd[] = { "", "\"", "'", "\\", "#", "=", "\r",
		"\xff", " " };
	char copy[sizeof(text) + 8];
	size_t i, len;

	for (len = 0; len < sizeof(text) - 1; len++) {
		for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
			snprintf(copy, sizeof(copy), "%.*s%s", (int)len, text,
			    odd[i]);
			if (*copy != '\0')
				conf_free(read_text(copy));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_contract),
		cmocka_unit_test(test_later_generation),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_dwell),
		cmocka_unit_test(test_retries),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_cloud),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_beginnings),
	};

	conf_tell = tell;
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
