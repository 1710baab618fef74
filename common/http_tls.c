/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "http_room.h"
#include "log.h"

static X509_STORE *store_new(const char *, size_t);

/*
 * Use these certificate authorities (PEM, len bytes) for new connections.
 * Returns -1 if there is no certificate among them: then nothing changes.
 */
int
http_set_ca(const char *ca, size_t ca_len)
{
	X509_STORE *store;

	store = store_new(ca, ca_len);
	if (store == NULL)
		return (-1);
	X509_STORE_free(http.store);
	http.store = store;
	return (0);
}

/* libcurl: a new TLS context. */
CURLcode
tls_context(CURL *easy, void *ctx, void *arg)
{
	(void)easy;
	(void)arg;
	SSL_CTX_set1_cert_store(ctx, http.store);
	return (CURLE_OK);
}

/* The certificates of a PEM text, or NULL if there are none. */
static X509_STORE *
store_new(const char *ca, size_t len)
{
	X509_STORE *store;
	unsigned long error;
	size_t good;
	X509 *cert;
	BIO *bio;

	store = X509_STORE_new();
	bio = BIO_new_mem_buf(ca, (int)len);
	if (store == NULL || bio == NULL)
		fatalx("%s: out of memory", __func__);
	ERR_clear_error();
	for (good = 0;;) {
		cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		if (cert != NULL) {
			good += X509_STORE_add_cert(store, cert) == 1;
			X509_free(cert);
			continue;
		}
		error = ERR_peek_last_error();
		ERR_clear_error();
		if (ERR_GET_REASON(error) == PEM_R_NO_START_LINE)
			break;
		log_warnx("a certificate authority cannot be read: %s",
		    ERR_reason_error_string(error));
	}
	BIO_free(bio);
	if (good == 0) {
		X509_STORE_free(store);
		return (NULL);
	}
	/* An intermediate authority may be the one that is trusted. */
	X509_STORE_set_flags(store,
	    X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
	return (store);
}
