/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * The OAuth token endpoint: verifies an assertion as strictly as the real one
 * and hands out opaque tokens; and what those tokens are good for later.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "cloudsim.h"

#define CLOCK_SKEW_S   300
#define LIFETIME_MAX_S 3600
#define PRUNE_ABOVE    1000

#define GRANT_JWT "urn:ietf:params:oauth:grant-type:jwt-bearer"
#define TIMEFRAME_TEXT                                                         \
	"Invalid JWT: Token must be a short-lived token (60 minutes) and in "  \
	"a reasonable timeframe. Check your iat and exp values in the JWT "    \
	"claim."
#define NO_SCOPE_TEXT                                                          \
	"Client is unauthorized to retrieve access tokens using this method, " \
	"or client not authorized for any of the scopes requested."

/* Token -> {"sa", "scope", "exp_ms"}. */
static json_t *grants;

void
token_error(struct response *res, int status, const char *error,
    const char *text)
{
	http_error(res, status,
	    json_pack("{s:s, s:s}", "error", error, "error_description", text));
}

static bool
scope_known(const char *scope)
{
	static const char *known[] = {
		"compute.readonly",
		"compute",
		"logging.write",
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(scope, known[i]) == 0)
			return (true);
	return (false);
}

/* May this account have this scope?  The world can narrow it. */
static bool
scope_allowed(const char *email, const char *scope)
{
	json_t *allowed, *one;
	size_t i;

	allowed = json_object_get(world_account(email), "scopes");
	if (allowed == NULL)
		return (true);
	json_array_foreach(allowed, i, one) {
		if (json_is_string(one) &&
		    strcmp(json_string_value(one), scope) == 0)
			return (true);
	}
	return (false);
}

/*
 * Turns the claim into our short form, "compute logging.write"; returns an
 * error code of RFC 6749, or NULL if all is well.
 */
static const char *
scope_shorten(const char *email, const char *claim, char *out, size_t len)
{
	const char *error = NULL;
	char *copy, *p, *one;

	*out = '\0';
	copy = xstrdup(claim);
	p = copy;
	while ((one = strsep(&p, " ")) != NULL && error == NULL) {
		if (*one == '\0')
			continue;
		if (strncmp(one, SCOPE_PREFIX, strlen(SCOPE_PREFIX)) != 0 ||
		    !scope_known(one + strlen(SCOPE_PREFIX))) {
			error = "invalid_scope";
			break;
		}
		one += strlen(SCOPE_PREFIX);
		if (!scope_allowed(email, one))
			error = "unauthorized_client";
		if (*out != '\0')
			strlcat(out, " ", len);
		strlcat(out, one, len);
	}
	free(copy);
	if (error == NULL && *out == '\0')
		error = "invalid_scope";
	return (error);
}

static bool
signature_good(EVP_PKEY *key, const char *signed_part, size_t signed_len,
    const char *sig64)
{
	unsigned char *sig;
	EVP_MD_CTX *ctx;
	bool good;
	int len;

	len = b64url_decode(sig64, strlen(sig64), &sig);
	if (len == -1)
		return (false);
	ctx = EVP_MD_CTX_new();
	good = ctx != NULL &&
	    EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestVerify(ctx, sig, (size_t)len,
		(const unsigned char *)signed_part, signed_len) == 1;
	EVP_MD_CTX_free(ctx);
	free(sig);
	return (good);
}

static json_t *
jwt_part(const char *s, size_t len)
{
	unsigned char *text;
	json_t *v;
	int n;

	n = b64url_decode(s, len, &text);
	if (n == -1)
		return (NULL);
	v = json_loadb((char *)text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	return (v);
}

/* The claims if the JWT is one and its signature verifies. */
static json_t *
jwt_verify(const char *jwt, struct request *req, struct response *res)
{
	const char *dot1, *dot2, *alg, *iss;
	json_t *header = NULL, *claims = NULL;
	EVP_PKEY *key = NULL;

	dot1 = strchr(jwt, '.');
	dot2 = dot1 != NULL ? strchr(dot1 + 1, '.') : NULL;
	if (dot2 != NULL) {
		header = jwt_part(jwt, (size_t)(dot1 - jwt));
		claims = jwt_part(dot1 + 1, (size_t)(dot2 - dot1 - 1));
	}
	json_decref(req->note);
	req->note = json_incref(claims);
	alg = json_str(header, "alg");
	iss = json_str(claims, "iss");
	if (alg == NULL || strcmp(alg, "RS256") != 0 || iss == NULL) {
		token_error(res, 400, "invalid_grant",
		    "Invalid JWT: Failed to parse.");
		goto fail;
	}
	key = pki_account_key(iss);
	if (key == NULL ||
	    json_is_true(json_object_get(world_account(iss), "disabled"))) {
		token_error(res, 400, "invalid_grant",
		    "Invalid grant: account not found");
		goto fail;
	}
	if (!signature_good(key, jwt, (size_t)(dot2 - jwt), dot2 + 1)) {
		token_error(res, 400, "invalid_grant",
		    "Invalid JWT Signature.");
		goto fail;
	}
	json_decref(header);
	return (claims);
fail:
	json_decref(header);
	json_decref(claims);
	return (NULL);
}

static bool
claims_in_time(json_t *claims)
{
	json_t *iat, *exp;
	json_int_t now, from, to;

	iat = json_object_get(claims, "iat");
	exp = json_object_get(claims, "exp");
	if (!json_is_integer(iat) || !json_is_integer(exp))
		return (false);
	now = now_ms() / 1000 + sim.set.date_skew_s;
	from = json_integer_value(iat);
	to = json_integer_value(exp);
	return (to > from && to - from <= LIFETIME_MAX_S &&
	    from <= now + CLOCK_SKEW_S && from >= now - CLOCK_SKEW_S);
}

static void
grants_prune(void)
{
	int64_t now = mono_ms();
	const char *key;
	json_t *grant;
	void *tmp;

	if (json_object_size(grants) < PRUNE_ABOVE)
		return;
	json_object_foreach_safe(grants, tmp, key, grant)
	{
		if (json_integer_value(json_object_get(grant, "exp_ms")) < now)
			json_object_del(grants, key);
	}
}

static void
token_grant(struct response *res, const char *sa, const char *scope)
{
	char id[49], *token;

	if (grants == NULL)
		grants = json_object();
	grants_prune();
	random_hex(id, sizeof(id));
	/* Real tokens can be long, and clients must not care. */
	token = sim.set.token_pad > 0 ?
	    xasprintf("ya29.sim-%s%0*d", id, sim.set.token_pad, 0) :
	    xasprintf("ya29.sim-%s", id);
	json_object_set_new(grants, token,
	    json_pack("{s:s, s:s, s:I}", "sa", sa, "scope", scope, "exp_ms",
		(json_int_t)(mono_ms() + sim.set.token_ttl * 1000LL)));
	http_error(res, 200,
	    json_pack("{s:s, s:i, s:s}", "access_token", token, "expires_in",
		sim.set.token_ttl, "token_type", "Bearer"));
	free(token);
}

static void
token_exchange(struct request *req, struct response *res, const char *jwt)
{
	const char *aud, *claim, *iss, *error;
	char scope[256];
	json_t *claims;

	claims = jwt_verify(jwt, req, res);
	if (claims == NULL)
		return;
	iss = json_str(claims, "iss");
	aud = json_str(claims, "aud");
	claim = json_str(claims, "scope");
	if (aud == NULL || strcmp(aud, sim.token_uri) != 0)
		token_error(res, 400, "invalid_grant",
		    "Invalid JWT: Failed audience check.");
	else if (!claims_in_time(claims))
		token_error(res, 400, "invalid_grant", TIMEFRAME_TEXT);
	else if (claim == NULL)
		token_error(res, 400, "invalid_scope",
		    "Invalid OAuth scope or ID token audience provided.");
	else if ((error = scope_shorten(iss, claim, scope, sizeof(scope))) ==
	    NULL)
		token_grant(res, iss, scope);
	else if (strcmp(error, "invalid_scope") == 0)
		token_error(res, 400, error,
		    "Invalid OAuth scope or ID token audience provided.");
	else
		token_error(res, 401, error, NO_SCOPE_TEXT);
	json_decref(claims);
}

void
token_handle(struct request *req, struct response *res)
{
	static const char form[] = "application/x-www-form-urlencoded";
	char *type, *jwt;

	req->op = "token";
	if (strcmp(req->method, "POST") != 0) {
		token_error(res, 405, "invalid_request", "Use POST.");
		return;
	}
	type = query_get(req->body, "grant_type");
	jwt = query_get(req->body, "assertion");
	if (req->ctype == NULL ||
	    strncmp(req->ctype, form, sizeof(form) - 1) != 0)
		token_error(res, 400, "invalid_request",
		    "Could not parse the form.");
	else if (type == NULL || strcmp(type, GRANT_JWT) != 0)
		token_error(res, 400, "unsupported_grant_type",
		    "Invalid grant_type");
	else if (jwt == NULL)
		token_error(res, 400, "invalid_request",
		    "Missing required parameter: assertion");
	else
		token_exchange(req, res, jwt);
	free(type);
	free(jwt);
}

/* Who is asking, whether or not the token is still good. */
void
token_identify(struct request *req)
{
	const char *token;

	if (req->authz == NULL || strncmp(req->authz, "Bearer ", 7) != 0)
		return;
	token = req->authz + 7;
	req->grant = json_incref(json_object_get(grants, token));
}

/* Who asks for a token with an assertion, whatever that is worth; NULL: nobody
 * does, else the caller's to free. */
char *
token_asker(const struct request *req)
{
	char *jwt, *dot, *end, *name = NULL;
	json_t *claims;

	if (strcmp(req->path, "/token") != 0 || req->body == NULL)
		return (NULL);
	jwt = query_get(req->body, "assertion");
	dot = jwt == NULL ? NULL : strchr(jwt, '.');
	end = dot == NULL ? NULL : strchr(dot + 1, '.');
	if (end != NULL) {
		claims = jwt_part(dot + 1, (size_t)(end - dot - 1));
		if (json_str(claims, "iss") != NULL)
			name = xasprintf("%s", json_str(claims, "iss"));
		json_decref(claims);
	}
	free(jwt);
	return (name);
}

bool
token_expired(const json_t *grant)
{
	return (
	    json_integer_value(json_object_get(grant, "exp_ms")) < mono_ms());
}

/* Is the scope one of the words of the grant? */
bool
token_has_scope(const json_t *grant, const char *scope)
{
	const char *p;
	size_t len, want = strlen(scope);

	p = json_string_value(json_object_get(grant, "scope"));
	while (p != NULL && *p != '\0') {
		len = strcspn(p, " ");
		if (len == want && strncmp(p, scope, len) == 0)
			return (true);
		p += len + (p[len] == ' ');
	}
	return (false);
}

/* Every token becomes unknown at once, as if revoked. */
void
token_revoke_all(void)
{
	json_decref(grants);
	grants = NULL;
}

/*
 * The metadata server, on the control port because it speaks plain HTTP.
 * Returns false if the path is not one of its own.
 */
bool
metadata_handle(struct request *req, struct response *res)
{
	static const char top[] =
	    "/computeMetadata/v1/instance/service-accounts/";
	char scope[256] = "", *want, *p, *one;
	const char *rest;

	if (strncmp(req->path, top, sizeof(top) - 1) != 0)
		return (false);
	rest = strchr(req->path + sizeof(top) - 1, '/');
	req->op = "metadata.token";
	if (req->flavor == NULL || strcmp(req->flavor, "Google") != 0 ||
	    rest == NULL || strcmp(rest, "/token") != 0) {
		http_error(res, rest == NULL ? 404 : 403, NULL);
		return (true);
	}
	http_header(res, "Metadata-Flavor", "Google");
	want = query_get(req->query, "scopes");
	p = want;
	while (p != NULL && (one = strsep(&p, ",")) != NULL) {
		if (strncmp(one, SCOPE_PREFIX, strlen(SCOPE_PREFIX)) == 0)
			one += strlen(SCOPE_PREFIX);
		if (*scope != '\0')
			strlcat(scope, " ", sizeof(scope));
		strlcat(scope, one, sizeof(scope));
	}
	free(want);
	token_grant(res, "metadata", *scope != '\0' ? scope : "compute");
	journal_reserve(req);
	journal_request(req, res);
	return (true);
}
