/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <cmocka.h>

#include "jwt.h"

static EVP_PKEY *rsa;
static char *rsa_pem;
static char *ec_pem;

static char *
pem_of(EVP_PKEY *pkey)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *pem;
	long len;

	assert_int_equal(
	    PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL),
	    1);
	len = BIO_get_mem_data(bio, &data);
	pem = strndup(data, (size_t)len);
	BIO_free(bio);
	return (pem);
}

static int
make_keys(void **state)
{
	EVP_PKEY *ec;

	(void)state;
	rsa = EVP_RSA_gen(2048);
	ec = EVP_EC_gen("P-256");
	rsa_pem = pem_of(rsa);
	ec_pem = pem_of(ec);
	EVP_PKEY_free(ec);
	return (0);
}

static int
free_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(rsa);
	free(rsa_pem);
	free(ec_pem);
	return (0);
}

/* A whole key file, whose one member is replaced (value NULL: left out). */
static char *
keyfile(const char *member, const char *value)
{
	json_t *root;
	char *text;

	root = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "type",
	    "service_account", "project_id", "p", "private_key_id", "kid-1",
	    "private_key", rsa_pem, "client_email",
	    "probe@p.iam.gserviceaccount.com", "token_uri",
	    "https://oauth2.googleapis.com/token");
	if (member != NULL && value == NULL)
		json_object_del(root, member);
	else if (member != NULL)
		json_object_set_new(root, member, json_string(value));
	text = json_dumps(root, 0);
	json_decref(root);
	return (text);
}

static unsigned char *
decode(const char *text, size_t len, size_t *out)
{
	unsigned char *bytes = calloc(1, len + 8);
	char *padded = calloc(1, len + 8);
	size_t i, pad = (4 - len % 4) % 4;

	for (i = 0; i < len; i++) {
		assert_true(text[i] != '+' && text[i] != '/' && text[i] != '=');
		padded[i] = text[i] == '-' ? '+' :
		    text[i] == '_'	   ? '/' :
					     text[i];
	}
	for (i = 0; i < pad; i++)
		padded[len + i] = '=';
	i = (size_t)EVP_DecodeBlock(bytes, (unsigned char *)padded,
	    (int)(len + pad));
	*out = i - pad;
	free(padded);
	return (bytes);
}

static json_t *
decode_json(const char *text, size_t len)
{
	size_t n;
	unsigned char *bytes = decode(text, len, &n);
	json_t *json = json_loadb((char *)bytes, n, 0, NULL);

	assert_non_null(json);
	free(bytes);
	return (json);
}

static void
is_text(const json_t *object, const char *name, const char *value)
{
	assert_string_equal(json_string_value(json_object_get(object, name)),
	    value);
}

/* The claims are right, and the public key verifies the signature. */
static void
test_assertion(void **state)
{
	char *text = keyfile(NULL, NULL), *jwt, *claims, *signature;
	json_t *header, *body;
	unsigned char *bytes;
	EVP_MD_CTX *ctx;
	struct key key;
	char why[256];
	size_t n;

	(void)state;
	assert_int_equal(key_parse(&key, text, strlen(text), why, sizeof(why)),
	    0);
	assert_string_equal(key.host, "oauth2.googleapis.com");
	assert_int_equal(key.port, 443);
	jwt = jwt_make(&key, "scope-1", 1700000000);
	claims = strchr(jwt, '.') + 1;
	signature = strchr(claims, '.') + 1;
	header = decode_json(jwt, (size_t)(claims - 1 - jwt));
	is_text(header, "alg", "RS256");
	is_text(header, "kid", "kid-1");
	body = decode_json(claims, (size_t)(signature - 1 - claims));
	is_text(body, "iss", "probe@p.iam.gserviceaccount.com");
	is_text(body, "scope", "scope-1");
	is_text(body, "aud", "https://oauth2.googleapis.com/token");
	assert_int_equal(json_integer_value(json_object_get(body, "iat")),
	    1700000000);
	assert_int_equal(json_integer_value(json_object_get(body, "exp")),
	    1700003600);
	assert_int_equal(json_object_size(body), 5);

	bytes = decode(signature, strlen(signature), &n);
	ctx = EVP_MD_CTX_new();
	assert_int_equal(
	    EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, rsa), 1);
	assert_int_equal(EVP_DigestVerify(ctx, bytes, n,
			     (const unsigned char *)jwt,
			     (size_t)(signature - 1 - jwt)),
	    1);
	EVP_MD_CTX_free(ctx);
	free(bytes);
	json_decref(header);
	json_decref(body);
	free(jwt);
	key_clear(&key);
	free(text);
}

static void
refused(char *text, const char *reason)
{
	char why[256], line[65];
	struct key key;

	assert_int_equal(key_parse(&key, text, strlen(text), why, sizeof(why)),
	    -1);
	if (strstr(why, reason) == NULL)
		fail_msg("%s, not %s", why, reason);
	/* No part of a key is in a reason. */
	strlcpy(line, strchr(rsa_pem, '\n') + 1, sizeof(line));
	assert_null(strstr(why, line));
	assert_null(key.pkey);
	free(text);
}

static void
test_broken_files(void **state)
{
	static const char *const needed[] = { "type", "private_key",
		"client_email", "token_uri" };
	char name[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		snprintf(name, sizeof(name), "has no \"%s\"", needed[i]);
		refused(keyfile(needed[i], NULL), name);
	}
	refused(strdup("not JSON"), "not a JSON object");
	refused(strdup("[]"), "not a JSON object");
	refused(keyfile("type", "authorized_user"), "service_account");
	refused(keyfile("private_key",
		    "-----BEGIN PRIVATE KEY-----\nAAAA\n"
		    "-----END PRIVATE KEY-----\n"),
	    "not a PEM");
	refused(keyfile("private_key", ec_pem), "not an RSA key");
	refused(keyfile("token_uri", "http://oauth2.googleapis.com/token"),
	    "not an https URL");
	refused(keyfile("token_uri", "https:///token"), "no valid host");
	refused(keyfile("token_uri", "https://h\nost/token"), "no valid host");
	refused(keyfile("token_uri", "https://u@h/token"), "no valid host");
	refused(keyfile("token_uri", "https://h:0/token"), "no valid port");
	refused(keyfile("token_uri", "https://h:65536/token"), "no valid port");
	refused(keyfile("token_uri", "https://h?x"), "plain URL");
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *uri;
		const char *host;
		uint16_t port;
	} good[] = {
		{ "https://127.0.0.1:8443/token", "127.0.0.1", 8443 },
		{ "https://[::1]/token", "::1", 443 },
		{ "https://[2001:db8::1]:444", "2001:db8::1", 444 },
	};
	struct key key;
	char why[256];
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		text = keyfile("token_uri", good[i].uri);
		assert_int_equal(
		    key_parse(&key, text, strlen(text), why, sizeof(why)), 0);
		assert_string_equal(key.host, good[i].host);
		assert_int_equal(key.port, good[i].port);
		key_clear(&key);
		free(text);
	}
}

/* Of the sanitizers' runtime; gcc comes without the header. */
size_t __sanitizer_get_allocated_size(const volatile void *);
int __sanitizer_install_malloc_and_free_hooks(
    void (*)(const volatile void *, size_t), void (*)(const volatile void *));

static char needle[65]; /* a line of the key */
static int copies;

/* A block is given back: whoever gets it next must not find the key in it. */
static void
on_free(const volatile void *block)
{
	const void *bytes = (const void *)(uintptr_t)block;

	if (block != NULL &&
	    memmem(bytes, __sanitizer_get_allocated_size(block), needle,
		strlen(needle)) != NULL)
		copies++;
}

static void
on_malloc(const volatile void *block, size_t size)
{
	(void)block;
	(void)size;
}

/* Neither what is taken nor what is refused leaves its text behind. */
static void
test_no_copies(void **state)
{
	char *good = keyfile(NULL, NULL), *bad = keyfile("token_uri", NULL);
	struct key key;
	char why[256];
	char *jwt;

	(void)state;
	strlcpy(needle, strchr(strchr(rsa_pem, '\n') + 1, '\n') + 1,
	    sizeof(needle));
	assert_non_null(strstr(good, needle));
	copies = 0;
	assert_true(
	    __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0);
	assert_int_equal(key_parse(&key, good, strlen(good), why, sizeof(why)),
	    0);
	jwt = jwt_make(&key, "scope-1", 1700000000);
	assert_non_null(jwt);
	free(jwt);
	key_clear(&key);
	assert_int_equal(key_parse(&key, bad, strlen(bad), why, sizeof(why)),
	    -1);
	assert_int_equal(copies, 0);
	free(good); /* not wiped: the hook does see what it is to see */
	assert_int_equal(copies, 1);
	free(bad);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_assertion),
		cmocka_unit_test(test_broken_files),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_no_copies), /* last: its hook stays */
	};

	return (cmocka_run_group_tests(tests, make_keys, free_keys));
}
