/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <jansson.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "jwt.h"
#include "log.h"

#define LIFETIME 3600 /* seconds; the longest that Google accepts */

static int refuse(char *, size_t, const char *, ...) __printf(3);

static int
refuse(char *why, size_t len, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, len, format, ap);
	va_end(ap);
	return (-1);
}

/* Copy a member that must be there, and fit. */
static int
take(const json_t *root, const char *name, char *value, size_t size, char *why,
    size_t len)
{
	const char *text = json_string_value(json_object_get(root, name));

	if (text == NULL || *text == '\0')
		return (refuse(why, len, "has no \"%s\"", name));
	if (strlcpy(value, text, size) >= size)
		return (refuse(why, len, "\"%s\" is too long", name));
	return (0);
}

/* Split token_uri: https, a host, perhaps a port, a path. */
static int
take_uri(struct key *key, char *why, size_t len)
{
	const char *host, *end, *error;
	char number[8];
	size_t n;

	key->port = 443;
	if (strncmp(key->uri, "https://", 8) != 0)
		return (refuse(why, len, "\"token_uri\" is not an https URL"));
	host = key->uri + 8;
	if (*host == '[') {
		n = strcspn(++host, "]");
		end = host[n] == ']' ? host + n + 1 : host + n;
	} else {
		n = strcspn(host, ":/?#");
		end = host + n;
	}
	if (n == 0 || n >= sizeof(key->host) ||
	    strspn(host,
		"0123456789abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ.-:") < n)
		return (refuse(why, len, "\"token_uri\" has no valid host"));
	memcpy(key->host, host, n);
	key->host[n] = '\0';
	if (*end == ':') {
		n = strcspn(++end, "/?#");
		if (n >= sizeof(number))
			n = sizeof(number) - 1;
		memcpy(number, end, n);
		number[n] = '\0';
		key->port = (uint16_t)strtonum(number, 1, 65535, &error);
		if (error != NULL)
			return (refuse(why, len,
			    "\"token_uri\" has no valid "
			    "port"));
		end += n;
	}
	if (*end != '/' && *end != '\0')
		return (refuse(why, len, "\"token_uri\" is not a plain URL"));
	return (0);
}

static int
take_private_key(struct key *key, const json_t *root, char *why, size_t len)
{
	const char *pem;
	BIO *bio;

	pem = json_string_value(json_object_get(root, "private_key"));
	if (pem == NULL || *pem == '\0')
		return (refuse(why, len, "has no \"private_key\""));
	bio = BIO_new_mem_buf(pem, -1);
	if (bio == NULL)
		return (refuse(why, len, "out of memory"));
	/* "" as password: never ask for one */
	key->pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, (char[]){ "" });
	BIO_free(bio);
	if (key->pkey == NULL)
		return (refuse(why, len,
		    "\"private_key\" is not a PEM "
		    "private key"));
	if (EVP_PKEY_base_id(key->pkey) != EVP_PKEY_RSA)
		return (refuse(why, len, "\"private_key\" is not an RSA key"));
	return (0);
}

/*
 * jansson makes copies of what it reads, in more places than the value that it
 * gives out: each is wiped when it is released, whoever allocated it.
 */
static void
wipe_and_free(void *memory)
{
	if (memory != NULL)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

/*
 * Take a service account's key file.  The text is the caller's, to wipe.
 * Returns -1 and why, which never has a byte of the key in it; the key is then
 * clear.
 */
int
key_parse(struct key *key, const char *text, size_t textlen, char *why,
    size_t len)
{
	char type[64];
	json_error_t error;
	json_t *root;
	int r = -1;

	memset(key, 0, sizeof(*key));
	json_set_alloc_funcs(malloc, wipe_and_free);
	root = json_loadb(text, textlen, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(root)) {
		json_decref(root);
		return (refuse(why, len, "is not a JSON object (line %d)",
		    error.line));
	}
	if (take(root, "type", type, sizeof(type), why, len) == -1)
		goto done;
	if (strcmp(type, "service_account") != 0) {
		refuse(why, len,
		    "is not the key of a service account: "
		    "expected \"type\": \"service_account\"");
		goto done;
	}
	if (take(root, "client_email", key->email, sizeof(key->email), why,
		len) == -1 ||
	    take(root, "token_uri", key->uri, sizeof(key->uri), why, len) ==
		-1 ||
	    take_uri(key, why, len) == -1 ||
	    take_private_key(key, root, why, len) == -1)
		goto done;
	if (json_object_get(root, "private_key_id") != NULL &&
	    take(root, "private_key_id", key->id, sizeof(key->id), why, len) ==
		-1)
		goto done;
	r = 0;
done:
	json_decref(root);
	if (r == -1)
		key_clear(key);
	return (r);
}

/* Release the key; OpenSSL wipes its numbers. */
void
key_clear(struct key *key)
{
	EVP_PKEY_free(key->pkey);
	memset(key, 0, sizeof(*key));
}

/* base64url without padding, as RFC 7515 wants it.  Caller frees. */
static char *
base64url(const void *bytes, size_t len)
{
	char *text, *p;

	text = malloc(4 * ((len + 2) / 3) + 1);
	if (text == NULL)
		return (NULL);
	EVP_EncodeBlock((unsigned char *)text, bytes, (int)len);
	for (p = text; *p != '\0'; p++) {
		if (*p == '+')
			*p = '-';
		else if (*p == '/')
			*p = '_';
		else if (*p == '=')
			*p-- = '\0';
	}
	return (text);
}

static char *
base64url_json(json_t *object)
{
	char *json, *text = NULL;

	json = json_dumps(object, JSON_COMPACT);
	if (json != NULL)
		text = base64url(json, strlen(json));
	free(json);
	json_decref(object);
	return (text);
}

/* RSASSA-PKCS1-v1_5 with SHA-256 over the text, encoded. */
static char *
sign(EVP_PKEY *pkey, const char *text)
{
	EVP_MD_CTX *ctx;
	unsigned char *signature = NULL;
	char *encoded = NULL;
	size_t len;

	ctx = EVP_MD_CTX_new();
	if (ctx != NULL &&
	    EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1 &&
	    EVP_DigestSign(ctx, NULL, &len, (const unsigned char *)text,
		strlen(text)) == 1 &&
	    (signature = malloc(len)) != NULL &&
	    EVP_DigestSign(ctx, signature, &len, (const unsigned char *)text,
		strlen(text)) == 1)
		encoded = base64url(signature, len);
	free(signature);
	EVP_MD_CTX_free(ctx);
	return (encoded);
}

/*
 * An assertion (RFC 7523) that the key's account asks its token_uri for a
 * token of this scope, made at now (seconds since the epoch) and good for an
 * hour.  Caller owns it, and frees it.  Returns NULL if it cannot be signed.
 */
char *
jwt_make(const struct key *key, const char *scope, int64_t now)
{
	char *header, *claims, *text = NULL, *jwt = NULL, *signature = NULL;
	json_t *head;

	head = json_pack("{s:s, s:s}", "alg", "RS256", "typ", "JWT");
	if (key->id[0] != '\0')
		json_object_set_new(head, "kid", json_string(key->id));
	header = base64url_json(head);
	claims = base64url_json(json_pack("{s:s, s:s, s:s, s:I, s:I}", "iss",
	    key->email, "scope", scope, "aud", key->uri, "iat", (json_int_t)now,
	    "exp", (json_int_t)(now + LIFETIME)));
	if (header != NULL && claims != NULL &&
	    asprintf(&text, "%s.%s", header, claims) == -1)
		text = NULL;
	if (text != NULL)
		signature = sign(key->pkey, text);
	if (signature != NULL && asprintf(&jwt, "%s.%s", text, signature) == -1)
		jwt = NULL;
	free(header);
	free(claims);
	free(text);
	free(signature);
	return (jwt);
}
