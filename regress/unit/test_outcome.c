/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../common/outcome.c"

#ifndef REGRESS_DIR
#define REGRESS_DIR "regress"
#endif

typedef enum answer judge(const struct http_reply *, char *, size_t);

static char *
sample(const char *name)
{
	char path[512], *text;
	FILE *fp;
	size_t n;

	snprintf(path, sizeof(path), "%s/samples/%s.json", REGRESS_DIR, name);
	fp = fopen(path, "r");
	assert_non_null(fp);
	text = calloc(1, 65536);
	assert_non_null(text);
	n = fread(text, 1, 65535, fp);
	assert_true(n > 0);
	fclose(fp);
	return (text);
}

/* Judge a body that came with a status; the reason stays until next time. */
static enum answer
judge_type(judge *f, long status, const char *type, const char *body,
    const char **why)
{
	static char reason[REASON_LEN];
	struct http_reply reply;

	memset(&reply, 0, sizeof(reply));
	reply.answered = reply.sent = true;
	reply.status = status;
	reply.body = body;
	reply.body_len = strlen(body);
	strlcpy(reply.content_type, type, sizeof(reply.content_type));
	memset(reason, 'x', sizeof(reason));
	*why = reason;
	return (f(&reply, reason, sizeof(reason)));
}

static enum answer
judge_body(judge *f, long status, const char *body, const char **why)
{
	return (judge_type(f, status, "application/json; charset=UTF-8", body,
	    why));
}

static enum answer
judge_sample(judge *f, long status, const char *name, const char **why)
{
	enum answer answer;
	char *text;

	text = sample(name);
	answer = judge_body(f, status, text, why);
	free(text);
	return (answer);
}

static void
google(void **state)
{
	static const struct {
		long status;
		const char *sample;
		enum answer answer;
		const char *reason;
	} cases[] = {
		{ 400, "gcp.error--400-advertise-mode-default",
		    ANSWER_PERMANENT, "HTTP 400 invalid: Invalid value" },
		{ 400, "gcp.error--400-bad-cidr", ANSWER_PERMANENT,
		    "Must be a CIDR" },
		{ 400, "gcp.error--400-resource-not-ready", ANSWER_TRANSIENT,
		    "HTTP 400 resourceNotReady: " },
		{ 401, "gcp.error--401-token", ANSWER_TOKEN,
		    "HTTP 401 authError: " },
		{ 403, "gcp.error--403-api-disabled", ANSWER_PERMANENT,
		    "HTTP 403 accessNotConfigured: " },
		{ 403, "gcp.error--403-permission", ANSWER_PERMANENT,
		    "'compute.routers.update'" },
		{ 403, "gcp.error--403-rate-limit", ANSWER_TRANSIENT,
		    "HTTP 403 rateLimitExceeded: Quota exceeded" },
		{ 403, "gcp.error--403-scope", ANSWER_PERMANENT,
		    "HTTP 403 insufficientPermissions: " },
		{ 404, "gcp.error--404-router", ANSWER_PERMANENT,
		    "routers/edge-rtr' was not found" },
		{ 412, "gcp.error--412-condition-not-met", ANSWER_TRANSIENT,
		    "HTTP 412 conditionNotMet: " },
		{ 429, "gcp.error--429", ANSWER_TRANSIENT,
		    "HTTP 429 RESOURCE_EXHAUSTED: " },
		{ 503, "gcp.error--503", ANSWER_TRANSIENT,
		    "HTTP 503 backendError: " },
	};
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(judge_sample(outcome_google, cases[i].status,
				     cases[i].sample, &why),
		    cases[i].answer);
		assert_non_null(strstr(why, cases[i].reason));
	}
	assert_int_equal(judge_sample(outcome_google, 200,
			     "router.get.response--default-mode", &why),
	    ANSWER_OK);
	assert_string_equal(why, "");
	/* quotaExceeded is another name of the rate limit */
	assert_int_equal(
	    judge_body(outcome_google, 403,
		"{\"error\":{\"errors\":[{\"reason\":\"quotaExceeded\"}]}}",
		&why),
	    ANSWER_TRANSIENT);
}

/* Front ends and proxies answer in HTML, or not at all: nothing is known. */
static void
not_the_api(void **state)
{
	static judge *const judges[] = { outcome_google, outcome_token,
		outcome_cloudflare };
	static const char *const bodies[] = { "", "<html>Not found</html>",
		"[1]", "{\"error\":", "{\"a\":1,\"a\":2}" };
	static const long statuses[] = { 403, 404, 500, 502 };
	struct http_reply reply;
	char reason[REASON_LEN];
	const char *why;
	size_t i, j, k;

	(void)state;
	for (i = 0; i < 3; i++) {
		for (j = 0; j < 5; j++) {
			for (k = 0; k < 4; k++) {
				assert_int_equal(judge_type(judges[i],
						     statuses[k], "text/html",
						     bodies[j], &why),
				    ANSWER_TRANSIENT);
				assert_non_null(strstr(why, "not JSON"));
				assert_null(strstr(why, "<html>"));
			}
		}
		assert_int_equal(judge_body(judges[i], 200, "<html>", &why),
		    ANSWER_TRANSIENT);
		assert_int_equal(judge_body(judges[i], 302, "", &why),
		    ANSWER_TRANSIENT);
		memset(&reply, 0, sizeof(reply));
		reply.body = "";
		strlcpy(reply.error, "h: refused", sizeof(reply.error));
		assert_int_equal(judges[i](&reply, reason, sizeof(reason)),
		    ANSWER_TRANSIENT);
		assert_string_equal(reason, "h: refused");
	}
}

static void
token_endpoint(void **state)
{
	const char *why;

	(void)state;
	assert_int_equal(judge_sample(outcome_token, 200,
			     "token.response--service-account", &why),
	    ANSWER_OK);
	assert_int_equal(judge_sample(outcome_token, 400,
			     "token.error--bad-signature", &why),
	    ANSWER_PERMANENT);
	assert_string_equal(why,
	    "HTTP 400 invalid_grant: Invalid JWT Signature.");
	assert_int_equal(
	    judge_sample(outcome_token, 400, "token.error--clock-skew", &why),
	    ANSWER_PERMANENT);
	assert_non_null(strstr(why, "clock of this machine"));
	assert_int_equal(
	    judge_sample(outcome_token, 400, "token.error--account-gone", &why),
	    ANSWER_PERMANENT);
	assert_null(strstr(why, "clock"));
	assert_int_equal(
	    judge_sample(outcome_token, 401, "token.error--bad-scope", &why),
	    ANSWER_PERMANENT);
	assert_int_equal(judge_body(outcome_token, 503,
			     "{\"error\":\"internal_failure\"}", &why),
	    ANSWER_TRANSIENT);
	assert_string_equal(why, "HTTP 503 internal_failure: no description");
	assert_int_equal(
	    judge_sample(outcome_token, 429, "gcp.error--429", &why),
	    ANSWER_TRANSIENT);
}

static void
cloudflare(void **state)
{
	const char *why;

	(void)state;
	assert_int_equal(judge_sample(outcome_cloudflare, 200,
			     "magic.routes.list.response--scope-and-weight",
			     &why),
	    ANSWER_OK);
	/* success is the member, not the status, and not a number */
	assert_int_equal(judge_sample(outcome_cloudflare, 200,
			     "cloudflare.error--500", &why),
	    ANSWER_TRANSIENT);
	assert_int_equal(judge_body(outcome_cloudflare, 200,
			     "{\"success\":true,\"errors\":[{\"code\":10000,"
			     "\"message\":\"Authentication error\"}]}",
			     &why),
	    ANSWER_OK);
	assert_int_equal(
	    judge_body(outcome_cloudflare, 500, "{\"success\":true}", &why),
	    ANSWER_TRANSIENT);
	assert_int_equal(judge_sample(outcome_cloudflare, 400,
			     "cloudflare.error--400-malformed-authorization",
			     &why),
	    ANSWER_PERMANENT);
	assert_string_equal(why,
	    "HTTP 400: 6003 Invalid request headers (6111 Invalid format for "
	    "Authorization header)");
	assert_int_equal(judge_sample(outcome_cloudflare, 401,
			     "cloudflare.error--401-verify-wrong-token-kind",
			     &why),
	    ANSWER_TOKEN);
	assert_int_equal(judge_sample(outcome_cloudflare, 403,
			     "cloudflare.error--403-no-permission", &why),
	    ANSWER_PERMANENT);
	assert_int_equal(judge_sample(outcome_cloudflare, 404,
			     "cloudflare.error--404-route-not-found", &why),
	    ANSWER_PERMANENT);
	assert_int_equal(judge_sample(outcome_cloudflare, 429,
			     "cloudflare.error--429", &why),
	    ANSWER_TRANSIENT);
	assert_int_equal(judge_sample(outcome_cloudflare, 500,
			     "cloudflare.error--500", &why),
	    ANSWER_TRANSIENT);
	assert_int_equal(judge_body(outcome_cloudflare, 403, "{}", &why),
	    ANSWER_PERMANENT);
}

/* A success is JSON that says so, where it says anything. */
static void
media_types(void **state)
{
	static const struct {
		const char *type;
		bool good;
	} cases[] = {
		{ "", true },
		{ "application/json", true },
		{ "application/json; charset=UTF-8", true },
		{ "Application/JSON;charset=utf-8", true },
		{ "application/problem+json", true },
		{ "application/vnd.api+json ; v=1", true },
		{ "text/html", false },
		{ "text/html; charset=application/json", false },
		{ "text/plain", false },
		{ "application/jsonp", false },
		{ "application/json5", false },
		{ "+json", false },
		{ "json", false },
	};
	static judge *const judges[] = { outcome_google, outcome_token,
		outcome_cloudflare };
	const char *why;
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (j = 0; j < 3; j++) {
			assert_int_equal(judge_type(judges[j], 200,
					     cases[i].type,
					     "{\"success\":true}", &why),
			    cases[i].good ? ANSWER_OK : ANSWER_TRANSIENT);
			if (!cases[i].good)
				assert_non_null(strstr(why,
				    "HTTP 200: the answer is not JSON ("));
		}
		/* what an error says is taken as it comes */
		assert_int_equal(judge_type(outcome_google, 403, cases[i].type,
				     "{\"error\":{\"message\":\"m\"}}", &why),
		    ANSWER_PERMANENT);
		assert_string_equal(why, "HTTP 403 error: m");
	}
	judge_type(outcome_google, 200, "text/html", "{}", &why);
	assert_string_equal(why,
	    "HTTP 200: the answer is not JSON (text/html, 2 bytes)");
}

/* The example of a row, as each of its APIs would say it. */
static void
make_body(const struct outcome_row *row, unsigned int api, char *body,
    size_t size)
{
	const char *code = row->code != NULL ? row->code : "other";
	const char *message = row->message != NULL ? row->message : "m";

	if (row->content == CONTENT_NOT_JSON)
		snprintf(body, size, "<html>");
	else if (api == OUTCOME_TOKEN)
		snprintf(body, size,
		    "{\"error\":\"%s\",\"error_description\":\"%s\"}", code,
		    message);
	else if (api == OUTCOME_CLOUDFLARE)
		snprintf(body, size,
		    "{\"success\":%s,\"errors\":[{\"code\":1,\"message\":"
		    "\"%s\"}]}",
		    row->answer == ANSWER_OK ? "true" : "false", message);
	else
		snprintf(body, size,
		    "{\"error\":{\"message\":\"%s\",\"details\":[{\"@type\":"
		    "\"google.rpc.ErrorInfo\",\"reason\":\"%s\"}]}}",
		    message, code);
}

static void
row_judged(const struct outcome_row *row, unsigned int api, judge *f)
{
	char body[512], reason[REASON_LEN];
	struct http_reply reply;
	const char *why;
	enum answer answer;

	if (row->status == 0) {
		memset(&reply, 0, sizeof(reply));
		reply.transport = row->transport;
		strlcpy(reply.error, "h: what", sizeof(reply.error));
		answer = f(&reply, reason, sizeof(reason));
		assert_string_equal(reason, "h: what");
		assert_string_equal(outcome_text(row->transport), row->text);
		why = row->text;
	} else if (row->content >= CONTENT_SHAPE &&
	    row->content != CONTENT_FAILURE) {
		answer = outcome_content(row->content, "detail", reason,
		    sizeof(reason));
		why = reason;
		assert_non_null(strstr(why, "detail"));
	} else {
		make_body(row, api, body, sizeof(body));
		answer = judge_type(f, row->status,
		    row->content == CONTENT_TYPE ? "text/html" : "", body,
		    &why);
	}
	assert_int_equal(answer, row->answer);
	if (row->answer == ANSWER_OK)
		assert_string_equal(why, "");
	else if (row->text != NULL)
		assert_non_null(strstr(why, row->text));
	if (row->code != NULL)
		assert_non_null(strstr(why, row->code));
}

/* Every row is reached by its own example, for each of its APIs. */
static void
all_rows(void **state)
{
	static judge *const judges[] = { outcome_google, outcome_cloudflare,
		outcome_token };
	const struct outcome_row *row;
	struct ending ending;
	unsigned int api;
	size_t i, j, n;

	(void)state;
	n = outcome_rows(&row);
	assert_true(n > 40);
	for (i = 0; i < n; i++) {
		assert_true(row[i].last >= row[i].status);
		for (j = 0; j < n; j++)
			assert_true(
			    i == j || strcmp(row[i].name, row[j].name) != 0);
		for (j = 0; j < 3; j++) {
			api = 1U << j;
			if ((row[i].apis & api) == 0)
				continue;
			memset(&ending, 0, sizeof(ending));
			ending.api = api;
			ending.transport = row[i].transport;
			ending.status = row[i].status;
			ending.content = row[i].content;
			ending.code[0] = row[i].code;
			ending.message = row[i].message;
			assert_ptr_equal(row_find(&ending), &row[i]);
			row_judged(&row[i], api, judges[j]);
		}
	}
}

/* And there is one for whatever may come. */
static void
no_gaps(void **state)
{
	struct ending ending;
	const struct outcome_row *row;
	unsigned int api;
	enum content content;

	(void)state;
	memset(&ending, 0, sizeof(ending));
	for (api = OUTCOME_COMPUTE; api < OUTCOME_ALL; api <<= 1) {
		ending.api = api;
		ending.status = 0;
		for (ending.transport = 0; ending.transport < TRANSPORT_MAX;
		     ending.transport++) {
			row = row_find(&ending);
			assert_int_equal(row->transport, ending.transport);
			assert_int_equal(row->status, 0);
			assert_non_null(row->text);
		}
		ending.transport = 0;
		for (ending.status = 200; ending.status < 1000;
		     ending.status++) {
			for (content = CONTENT_JSON;
			     content <= CONTENT_NOT_JSON; content++) {
				ending.content = content;
				row = row_find(&ending);
				assert_true(row->status <= ending.status);
				assert_true(row->last >= ending.status);
				assert_int_equal(row->answer == ANSWER_OK,
				    ending.status < 300 &&
					content == CONTENT_JSON);
			}
		}
	}
}

/* What came from the network cannot forge log lines, nor show a secret. */
static void
clean(void **state)
{
	char dst[64], big[200];
	const char *why;

	(void)state;
	text_clean("a\nb\x1b[2J\xc3\xa4\\", dst, sizeof(dst));
	assert_string_equal(dst, "a\\x0ab\\x1b[2J\\xc3\\xa4\\x5c");
	memset(big, 'A', sizeof(big));
	big[199] = '\0';
	text_clean(big, dst, sizeof(dst));
	assert_string_equal(dst, "[hidden]");
	big[63] = '\0';
	text_clean(big, dst, sizeof(dst));
	assert_int_equal(strlen(dst), 60);
	text_clean("Bearer ya29.c.b0AXv0zTNabcdefgh is bad", dst, sizeof(dst));
	assert_string_equal(dst, "Bearer [hidden] is bad");
	text_clean("abc", dst, 1);
	assert_string_equal(dst, "");
	assert_int_equal(judge_body(outcome_google, 404,
			     "{\"error\":{\"message\":\"x\\ny\\u001b\"}}",
			     &why),
	    ANSWER_PERMANENT);
	assert_string_equal(why, "HTTP 404 error: x\\x0ay\\x1b");
	judge_body(outcome_google, 404,
	    "{\"error\":{\"status\":\"a\x7f\\u001b\\u009b\",\"message\":\"m\"}}",
	    &why);
	assert_string_equal(why, "HTTP 404 a\\x7f\\x1b\\xc2\\x9b: m");
}

static void
urls(void **state)
{
	char *text;

	(void)state;
	text = url_join("https://h/v1//", "/projects/%s", "p");
	assert_string_equal(text, "https://h/v1/projects/p");
	free(text);
	text = url_escape("Cl Q+/=&%\xc3~");
	assert_string_equal(text, "Cl%20Q%2B%2F%3D%26%25%C3~");
	free(text);
	assert_string_equal(
	    link_path("https://www.googleapis.com/compute/v1/projects/p/x"),
	    "/projects/p/x");
	assert_string_equal(link_path("x"), "x");
	assert_string_equal(link_name("a/b/c"), "c");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(google),
		cmocka_unit_test(not_the_api),
		cmocka_unit_test(token_endpoint),
		cmocka_unit_test(cloudflare),
		cmocka_unit_test(media_types),
		cmocka_unit_test(all_rows),
		cmocka_unit_test(no_gaps),
		cmocka_unit_test(clean),
		cmocka_unit_test(urls),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
