/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
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

#define TOP                                                                    \
	"prober credentials file \"p.json\"\n"                                 \
	"actuator credentials file \"a.json\"\n"                               \
	"cloudflare account \"a1\" token file \"t\"\n"
#define BLOCK(name, router, text, more)                                        \
	"failover \"" name "\" {\n"                                            \
	"project \"p-1\"\nlocal region \"east\"\nremote region \"west\"\n"     \
	"local router \"" router "\"\nremote router \"far\"\n"                 \
	"primary prefix 192.0.2.0/24\nsecondary prefix 198.51.100.0/24\n"      \
	"cloudflare routes matching \"" text "\"\n" more "}\n"

static char directory[] = "/tmp/test_conf.XXXXXX";
static char path[64];
static char why[512];

static void
write_file(const char *text, mode_t mode)
{
	FILE *fp;

	unlink(path);
	fp = fopen(path, "w");
	assert_non_null(fp);
	assert_int_equal(fchmod(fileno(fp), mode), 0);
	assert_true(fputs(text, fp) >= 0);
	assert_int_equal(fclose(fp), 0);
}

static struct conf *
parse(const char *text)
{
	struct conf *conf;

	write_file(text, 0600);
	conf = conf_parse(path);
	assert_non_null(conf);
	return (conf);
}

/* What is told is looked at by regress/config; here it would be noise. */
static void
parse_bad(const char *text, int error)
{
	int null, saved;

	write_file(text, 0600);
	fflush(stderr);
	saved = dup(STDERR_FILENO);
	null = open("/dev/null", O_WRONLY);
	dup2(null, STDERR_FILENO);
	assert_null(conf_parse(path));
	assert_int_equal(errno, error);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
}

static void
test_defaults(void **state)
{
	struct conf *conf;
	struct failover_conf *f;

	(void)state;
	conf = parse(TOP BLOCK("one", "r", "x", ""));
	assert_string_equal(conf->file, path);
	assert_string_equal(conf->credentials[ROLE_PROBER], "p.json");
	assert_string_equal(conf->credentials[ROLE_ACTUATOR], "a.json");
	assert_string_equal(conf->url[API_COMPUTE], COMPUTE_URL);
	assert_string_equal(conf->url[URL_METADATA], METADATA_URL);
	assert_string_equal(conf->user[ROLE_SIGNER], "mtgcpd-signer");
	assert_string_equal(conf->user[ROLE_REPORTER], "mtgcpd-reporter");
	assert_string_equal(conf->chroot, CHROOT_DIR);
	assert_string_equal(conf->state_file, STATE_FILE);
	assert_null(conf->ca_file);
	assert_null(conf->log_file);
	assert_true(TAILQ_EMPTY(&conf->nameservers));
	assert_int_equal(conf->log_level, LOG_INFO);
	assert_true(conf->log_syslog);
	assert_false(conf->log_stderr);
	assert_int_equal(conf->limit_rate, 10);
	assert_int_equal(conf->limit_burst, 50);
	assert_int_equal(conf->nfailovers, 1);
	f = conf_failover(conf, "one");
	assert_non_null(f);
	assert_null(conf_failover(conf, "two"));
	assert_null(f->given);
	assert_string_equal(f->router_project, "p-1");
	assert_string_equal(f->router_region[REMOTE], "west");
	assert_int_equal(f->priority, 100);
	assert_int_equal(f->failed, 200);
	assert_int_equal(f->expect, -1);
	assert_int_equal(f->require_percent, 50);
	assert_int_equal(f->drain, 30000);
	assert_string_equal(f->account->id, "a1");
	conf_free(conf);
}

static void
test_default_policy(void **state)
{
	struct conf *conf;
	struct failover_conf *f;
	const struct policy *p;
	int n;

	(void)state;
	conf = parse(TOP BLOCK("one", "r", "x", ""));
	f = TAILQ_FIRST(&conf->failovers);
	p = &f->policy;
	assert_int_equal(p->window, 5);
	assert_int_equal(p->up, 4);
	assert_int_equal(p->down, 3);
	assert_int_equal(p->interval, 15000);
	assert_int_equal(p->fast, 5000);
	assert_int_equal(p->unknown_after, 45000);
	assert_int_equal(p->bgp_down_after, 60000);
	assert_true(p->local_bgp);
	assert_int_equal(p->dwell, 0);
	assert_int_equal(p->dwell_except, 0);
	assert_int_equal(p->return_after, 300000);
	assert_int_equal(p->handover, 60000);
	assert_int_equal(p->brake, 6);
	assert_int_equal(p->brake_period, 3600000);
	for (n = 1; n <= STATE_MAX; n++) {
		assert_int_equal(p->verify[n], 1);
		assert_true(actions_equal(&p->table[n], &state_table[n]));
	}
	assert_int_equal(f->timeout.connect, 5000);
	assert_int_equal(f->timeout.api, 30000);
	assert_int_equal(f->timeout.health, 45000);
	assert_int_equal(f->timeout.bgp_update, 60000);
	assert_int_equal(f->timeout.cloudflare, 10000);
	assert_int_equal(f->timeout.cloudflare_bulk, 60000);
	assert_int_equal(f->retries[RETRIES_HEALTH], 5);
	assert_int_equal(f->retries[RETRIES_BGP_CHECK], 4);
	assert_int_equal(f->retries[RETRIES_BGP_UPDATE], 2);
	assert_int_equal(f->retries[RETRIES_CLOUDFLARE], 3);
	assert_int_equal(f->backoff_initial, 1000);
	assert_int_equal(f->backoff_max, 60000);
	assert_int_equal(f->breaker_threshold, 5);
	assert_int_equal(f->breaker_timeout, 300000);
	conf_free(conf);
}

static void
test_inheritance(void **state)
{
	struct conf *conf;
	struct failover_conf *one, *two;

	(void)state;
	conf = parse(BLOCK("one", "r", "x",
	    "interval 4\nverify 5\nstate 4 primary keep\nbgp peers any\n"
	    "timeout api 9\nhealth services { b }\nretries health 4\n"
	    "brake 2 per 9\nhandover wait 8\nreturn-after 1\ndrain 2\n"
	    "backoff initial 1 max 2\n") BLOCK("two", "s", "y",
	    "cloudflare account \"a2\" token file \"u\"\n") TOP
	    "interval 20 fast 10\nverify 2\n"
	    "verify state { 3 4 } 7\nstate 4 cloudflare priority\n"
	    "bgp peers all\ntimeout api 8\ntimeout connect 3\n"
	    "health services { a, c }\nreturn-after 7\nhandover no\n"
	    "drain 3\npassive yes\nretries health 1\nretries cloudflare 9\n"
	    "backoff initial 0.5 max 8\nbreaker threshold 2 timeout 9\n"
	    "brake no\nlimit requests 7 per second\n");
	one = conf_failover(conf, "one");
	two = conf_failover(conf, "two");
	assert_int_equal(one->policy.interval, 4000);
	assert_int_equal(one->policy.fast, 4000);
	assert_int_equal(one->policy.unknown_after, 12000);
	assert_int_equal(two->policy.interval, 20000);
	assert_int_equal(two->policy.unknown_after, 60000);
	assert_int_equal(one->policy.verify[2], 5);
	assert_int_equal(one->policy.verify[3], 7);
	assert_int_equal(two->policy.verify[2], 2);
	assert_int_equal(one->policy.table[4].prefix[PRIMARY], ADVERT_KEEP);
	assert_int_equal(one->policy.table[4].cloudflare, STEER_PRIORITY);
	assert_int_equal(two->policy.table[4].prefix[PRIMARY],
	    ADVERT_ADVERTISE);
	assert_false(one->bgp_all);
	assert_true(two->bgp_all);
	assert_int_equal(one->timeout.api, 9000);
	assert_int_equal(one->timeout.connect, 3000);
	assert_int_equal(two->timeout.api, 8000);
	assert_true(names_have(&one->services, "b"));
	assert_false(names_have(&one->services, "a"));
	assert_true(names_have(&two->services, "c"));
	assert_int_equal(two->policy.return_after, 7000);
	assert_int_equal(two->policy.handover, -1);
	assert_int_equal(two->drain, 3000);
	assert_true(two->passive);
	assert_int_equal(one->policy.return_after, 1000);
	assert_int_equal(one->policy.handover, 8000);
	assert_int_equal(one->drain, 2000);
	assert_int_equal(one->policy.brake, 2);
	assert_int_equal(one->policy.brake_period, 9000);
	assert_int_equal(two->policy.brake, 0);
	assert_int_equal(one->retries[RETRIES_HEALTH], 4);
	assert_int_equal(two->retries[RETRIES_HEALTH], 1);
	assert_int_equal(one->retries[RETRIES_CLOUDFLARE], 9);
	assert_int_equal(one->retries[RETRIES_BGP_CHECK], 4);
	assert_int_equal(one->backoff_initial, 1000);
	assert_int_equal(one->backoff_max, 2000);
	assert_int_equal(two->backoff_initial, 500);
	assert_int_equal(two->backoff_max, 8000);
	assert_int_equal(one->breaker_threshold, 2);
	assert_int_equal(two->breaker_timeout, 9000);
	assert_int_equal(conf->limit_rate, 7);
	assert_int_equal(conf->limit_burst, 35);
	assert_int_equal(one->account->index, 0);
	assert_int_equal(two->account->index, 1);
	assert_string_equal(two->account->token_file, "u");
	conf_free(conf);
}

/* "no" in a block is said as well, and so is a number where the top says no. */
static void
test_inheritance_of_no(void **state)
{
	struct conf *conf;
	struct failover_conf *one, *two;

	(void)state;
	conf = parse(BLOCK("one", "r", "x", "brake no\nhandover no\n") BLOCK(
	    "two", "s", "y", "") TOP "brake 9 per 80\nhandover wait 2\n");
	one = conf_failover(conf, "one");
	two = conf_failover(conf, "two");
	assert_int_equal(one->policy.brake, 0);
	assert_int_equal(one->policy.handover, -1);
	assert_int_equal(two->policy.brake, 9);
	assert_int_equal(two->policy.brake_period, 80000);
	assert_int_equal(two->policy.handover, 2000);
	conf_free(conf);
	conf = parse(TOP "brake no\nhandover no\n" BLOCK("one", "r", "x",
	    "brake 100 per 604800\nhandover wait 0\n"));
	one = conf_failover(conf, "one");
	assert_int_equal(one->policy.brake, BRAKE_MAX);
	assert_int_equal(one->policy.brake_period, 604800000);
	assert_int_equal(one->policy.handover, 0);
	conf_free(conf);
}

static void
limit_is(const char *text, uint32_t rate, uint32_t burst)
{
	struct conf *conf;
	char whole[2048];

	snprintf(whole, sizeof(whole), "%s%s\n", TOP BLOCK("one", "r", "x", ""),
	    text);
	conf = parse(whole);
	assert_int_equal(conf->limit_rate, rate);
	assert_int_equal(conf->limit_burst, burst);
	conf_free(conf);
}

/* Without a burst it is five times the rate. */
static void
test_limit(void **state)
{
	(void)state;
	limit_is("limit requests 1 per second", 1, 5);
	limit_is("limit requests 100000 per second", 100000, 500000);
	limit_is("limit requests 100000 per second burst 1", 100000, 1);
	limit_is("limit requests 1 per second burst 500000", 1, 500000);
}

static void
test_errors(void **state)
{
	(void)state;
	parse_bad("", EINVAL);
	parse_bad(TOP BLOCK("one", "r", "x", "interval 0\n"), EINVAL);
	parse_bad(TOP BLOCK("one", "r", "x", "") BLOCK("one", "s", "y", ""),
	    EINVAL);
	parse_bad(TOP BLOCK("one", "r", "x", "") BLOCK("two", "r", "y", ""),
	    EINVAL);
	parse_bad(TOP BLOCK("one", "r", "x", "") BLOCK("two", "s", "xy", ""),
	    EINVAL);
	parse_bad(TOP "include \"/nonexistent/file\"\n", EINVAL);
	parse_bad(TOP BLOCK("one", "r", "x", "") "include \"/etc\"\n", EPERM);
	parse_bad(TOP BLOCK("one", "r", "x", "") "\xff", EINVAL);
	parse_bad("failover \"a\" {\nfailover \"b\" {\nhealth services { a",
	    EINVAL);
}

/* Memory of an error must not end up in what is read next. */
static void
test_again(void **state)
{
	struct conf *conf;

	(void)state;
	parse_bad("m = \"5\"\nhealth services { a", EINVAL);
	parse_bad(TOP BLOCK("one", "r", "x", "dwell $m\n"), EINVAL);
	conf = parse(TOP BLOCK("one", "r", "x", "dwell 5\n"));
	conf_free(conf);
}

static void
test_macro(void **state)
{
	struct conf *conf;

	(void)state;
	assert_int_equal(conf_macro(""), -1);
	assert_int_equal(conf_macro("name"), -1);
	assert_int_equal(conf_macro("=value"), -1);
	assert_int_equal(conf_macro("na-me=value"), -1);
	assert_int_equal(conf_macro("name=a\nb"), -1);
	assert_int_equal(conf_macro("dwell_time=8"), 0);
	assert_int_equal(conf_macro("dwell_time=9"), 0);
	conf = parse("dwell_time = 5\n" TOP BLOCK("one", "r", "x",
	    "dwell $dwell_time\n"));
	assert_int_equal(TAILQ_FIRST(&conf->failovers)->policy.dwell, 9000);
	conf_free(conf);
}

static void
test_round_trip(void **state)
{
	struct conf *conf;
	char *text, *again;
	size_t len;
	FILE *fp;

	(void)state;
	conf = parse(TOP BLOCK("o\\\"ne", "r", "x\\\\", "interval 0.125\n"));
	fp = open_memstream(&text, &len);
	conf_print(conf, fp);
	fclose(fp);
	conf_free(conf);
	conf = parse(text);
	assert_non_null(conf_failover(conf, "o\"ne"));
	assert_string_equal(TAILQ_FIRST(&conf->failovers)->match, "x\\");
	fp = open_memstream(&again, &len);
	conf_print(conf, fp);
	fclose(fp);
	conf_free(conf);
	assert_string_equal(text, again);
	free(text);
	free(again);
}

static void
refused(int error, const char *text)
{
	assert_int_equal(secret_open(path, why, sizeof(why)), -1);
	assert_int_equal(errno, error);
	assert_non_null(strstr(why, path));
	assert_non_null(strstr(why, text));
}

static void
test_secret(void **state)
{
	int fd;

	(void)state;
	write_file("secret", 0600);
	fd = secret_open(path, why, sizeof(why));
	assert_true(fd != -1);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	close(fd);
	write_file("secret", 0640);
	refused(EPERM, "0640");
	write_file("secret", 0604);
	refused(EPERM, "(0600)");
	write_file("", 0600);
	refused(EPERM, "empty");
	unlink(path);
	refused(ENOENT, "No such file");
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(EPERM, "not a regular file");
	unlink(path);
	assert_int_equal(symlink("/etc", path), 0);
	refused(EPERM, "not a regular file");
	if (geteuid() == 0) {
		write_file("secret", 0600);
		assert_int_equal(chown(path, 12345, 0), 0);
		refused(EPERM, "uid 12345");
	}
	write_file("public", 0644);
	fd = public_open(path, why, sizeof(why));
	assert_true(fd != -1);
	close(fd);
	write_file("public", 0664);
	assert_int_equal(public_open(path, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "0664"));
}

static void
test_credentials_directory(void **state)
{
	int fd;

	(void)state;
	write_file("secret", 0600);
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", directory, 1), 0);
	fd = secret_open("file", why, sizeof(why));
	assert_true(fd != -1);
	close(fd);
	assert_int_equal(secret_open("other", why, sizeof(why)), -1);
	assert_int_equal(errno, ENOENT);
	assert_non_null(strstr(why, directory));
	/* What is there and unsafe is not looked for elsewhere. */
	write_file("secret", 0604);
	assert_int_equal(secret_open("file", why, sizeof(why)), -1);
	assert_int_equal(errno, EPERM);
	assert_non_null(strstr(why, path));
	assert_non_null(strstr(why, "unsafe mode: 0604"));
	/* An access list of systemd's, which names the user of the service. */
	write_file("secret", 0440);
	if (geteuid() == 0) {
		fd = secret_open("file", why, sizeof(why));
		assert_true(fd != -1);
		close(fd);
		refused(EPERM, "unsafe mode: 0440");
		assert_int_equal(chown(path, 0, 12345), 0);
	}
	assert_int_equal(secret_open("file", why, sizeof(why)), -1);
	assert_non_null(strstr(why, "unsafe mode: 0440"));
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(secret_open("no-file-here", why, sizeof(why)), -1);
	assert_int_equal(errno, ENOENT);
}

static void
test_values(void **state)
{
	(void)state;
	assert_null(value_label("a"));
	assert_null(value_label("us-east1"));
	assert_non_null(value_label(""));
	assert_non_null(value_label("-a"));
	assert_non_null(value_label("a/b"));
	assert_non_null(value_label("a%2f"));
	assert_null(value_project("example.com:my-project"));
	assert_non_null(value_project(":my-project"));
	assert_non_null(value_project("example.com:"));
	assert_non_null(value_project("../x"));
	assert_null(value_https("https://example.net"));
	assert_null(value_https("https://[::1]:1/x/y"));
	assert_non_null(value_https("https://"));
	assert_non_null(value_https("https://[::1]x"));
	assert_non_null(value_https("https://a..b/"));
	assert_non_null(value_https("https://a:/"));
	assert_non_null(value_https("https://a:65536/"));
	assert_non_null(value_https("http://example.net"));
	assert_null(value_url("http://192.0.2.1:80"));
	assert_true(value_utf8("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"));
	assert_false(value_utf8("\xc3"));
	assert_false(value_utf8("\xc0\x80"));
	assert_false(value_utf8("\xed\xa0\x80"));
	assert_false(value_utf8("\xf4\x90\x80\x80"));
	assert_false(value_utf8("a\x7f"));
	assert_false(value_utf8("\xc2\x85"));
}

static int
setup(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return (-1);
	snprintf(path, sizeof(path), "%s/file", directory);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	unlink(path);
	return (rmdir(directory));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_default_policy),
		cmocka_unit_test(test_inheritance),
		cmocka_unit_test(test_inheritance_of_no),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_macro),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_credentials_directory),
		cmocka_unit_test(test_values),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
