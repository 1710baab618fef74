/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * Everything with a key in it, made anew at every start: the CA, the server's
 * certificate, another CA that signed nothing, the two service accounts, and
 * a third key that pretends to be one of them.
 */

#include <sys/stat.h>

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "cloudsim.h"

#define ACCOUNT_DOMAIN DEMO_PROJECT ".iam.gserviceaccount.com"

static struct {
	const char *email;
	const char *file;
	EVP_PKEY *key;
} accounts[] = {
	{ "mtgcpd-prober@" ACCOUNT_DOMAIN, "prober.json", NULL },
	{ "mtgcpd-actuator@" ACCOUNT_DOMAIN, "actuator.json", NULL },
};

#define NACCOUNTS (sizeof(accounts) / sizeof(accounts[0]))

static X509 *server_cert;
static EVP_PKEY *server_key;

/* Writes DIR/name for its owner alone, and makes it appear complete. */
void
pki_write(const char *name, const void *data, size_t len)
{
	char *path, *tmp;
	ssize_t n;
	int fd;

	path = xasprintf("%s/%s", sim.dir, name);
	tmp = xasprintf("%s/.%s.tmp", sim.dir, name);
	(void)unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		err(1, "%s", tmp);
	n = write(fd, data, len);
	if (n == -1 || (size_t)n != len)
		err(1, "%s: write", tmp);
	if (close(fd) == -1 || rename(tmp, path) == -1)
		err(1, "%s", path);
	free(path);
	free(tmp);
}

void
pki_write_json(const char *name, json_t *value)
{
	char *text;

	text = json_dumps(value, JSON_INDENT(2));
	if (text == NULL)
		errx(1, "%s: cannot be written as JSON", name);
	pki_write(name, text, strlen(text));
	free(text);
	json_decref(value);
}

static void
cert_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (ext == NULL || !X509_add_ext(cert, ext, -1))
		errx(1, "certificate extension %s", value);
	X509_EXTENSION_free(ext);
}

/* A certificate without its extensions and signature. */
static X509 *
cert_new(const char *cn, EVP_PKEY *key, X509 *issuer)
{
	X509_NAME *name;
	X509 *cert;

	cert = X509_new();
	if (cert == NULL)
		errx(1, "X509_new");
	X509_set_version(cert, 2);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), random_u64());
	/* An hour back, for clients whose clock a test has moved. */
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 30L * 86400);
	X509_set_pubkey(cert, key);
	name = X509_get_subject_name(cert);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(cert,
	    issuer != NULL ? X509_get_subject_name(issuer) : name);
	return (cert);
}

static X509 *
cert_authority(const char *cn, EVP_PKEY *key)
{
	X509 *cert;

	cert = cert_new(cn, key, NULL);
	cert_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
	cert_extension(cert, cert, NID_key_usage,
	    "critical,keyCertSign,cRLSign");
	cert_extension(cert, cert, NID_subject_key_identifier, "hash");
	if (X509_sign(cert, key, EVP_sha256()) == 0)
		errx(1, "signing %s", cn);
	return (cert);
}

static X509 *
cert_server(EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key)
{
	X509 *cert;

	cert = cert_new("cloudsim", key, ca);
	cert_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE");
	cert_extension(cert, ca, NID_key_usage, "critical,digitalSignature");
	cert_extension(cert, ca, NID_ext_key_usage, "serverAuth");
	cert_extension(cert, ca, NID_subject_key_identifier, "hash");
	cert_extension(cert, ca, NID_authority_key_identifier, "keyid:always");
	cert_extension(cert, ca, NID_subject_alt_name,
	    "IP:127.0.0.1,IP:::1,DNS:localhost,DNS:" SIM_DOMAIN
	    ",DNS:*." SIM_DOMAIN);
	if (X509_sign(cert, ca_key, EVP_sha256()) == 0)
		errx(1, "signing the server certificate");
	return (cert);
}

static void
write_cert(const char *file, X509 *cert)
{
	BIO *bio;
	char *data;
	long len;

	bio = BIO_new(BIO_s_mem());
	if (bio == NULL || !PEM_write_bio_X509(bio, cert))
		errx(1, "%s: PEM", file);
	len = BIO_get_mem_data(bio, &data);
	pki_write(file, data, (size_t)len);
	BIO_free(bio);
}

/* A private key as PEM, in a BIO that the caller frees. */
static BIO *
key_pem(const char *file, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (bio == NULL ||
	    !PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL))
		errx(1, "%s: PEM", file);
	return (bio);
}

static void
write_key(const char *file, EVP_PKEY *key)
{
	BIO *bio = key_pem(file, key);
	char *data;
	long len;

	len = BIO_get_mem_data(bio, &data);
	pki_write(file, data, (size_t)len);
	BIO_free(bio);
}

static EVP_PKEY *
new_key(bool rsa)
{
	EVP_PKEY *key;

	key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	if (key == NULL)
		errx(1, "key generation failed");
	return (key);
}

static int
choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
    const unsigned char *in, unsigned int inlen, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *sel;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&sel, outlen, ours, sizeof(ours) - 1, in,
		inlen) != OPENSSL_NPN_NEGOTIATED)
		return (SSL_TLSEXT_ERR_NOACK);
	*out = sel;
	return (SSL_TLSEXT_ERR_OK);
}

static void
make_certificates(void)
{
	EVP_PKEY *ca_key, *other_key;
	X509 *ca, *other;

	ca_key = new_key(false);
	other_key = new_key(false);
	server_key = new_key(false);
	ca = cert_authority("cloudsim CA", ca_key);
	other = cert_authority("cloudsim other CA", other_key);
	server_cert = cert_server(server_key, ca, ca_key);
	write_cert("ca.pem", ca);
	write_cert("wrong-ca.pem", other);
	write_cert("server.pem", server_cert);
	write_key("server-key.pem", server_key);
	X509_free(ca);
	X509_free(other);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(other_key);
}

SSL_CTX *
pki_init(void)
{
	static const unsigned char sid[] = "cloudsim";
	SSL_CTX *ctx;
	size_t i;

	make_certificates();
	for (i = 0; i < NACCOUNTS; i++)
		accounts[i].key = new_key(true);
	ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL)
		errx(1, "SSL_CTX_new");
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_session_id_context(ctx, sid, sizeof(sid) - 1);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
	if (SSL_CTX_use_certificate(ctx, server_cert) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, server_key) != 1)
		errx(1, "server certificate");
	X509_free(server_cert);
	EVP_PKEY_free(server_key);
	return (ctx);
}

/* The public half of an account, to verify what it signed. */
EVP_PKEY *
pki_account_key(const char *email)
{
	size_t i;

	for (i = 0; i < NACCOUNTS; i++)
		if (strcmp(accounts[i].email, email) == 0)
			return (accounts[i].key);
	return (NULL);
}

static void
write_account(const char *file, const char *email, EVP_PKEY *key)
{
	char kid[41], id[24], *pem;
	json_t *text;
	BIO *bio = key_pem(file, key);
	long len;

	len = BIO_get_mem_data(bio, &pem);
	text = json_stringn(pem, (size_t)len);
	BIO_free(bio);
	random_hex(kid, sizeof(kid));
	snprintf(id, sizeof(id), "%llu", (unsigned long long)random_u64());
	pki_write_json(file,
	    json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:s, s:s}",
		"type", "service_account", "project_id", DEMO_PROJECT,
		"private_key_id", kid, "private_key", text, "client_email",
		email, "client_id", id, "auth_uri",
		"https://accounts.google.com/o/oauth2/auth", "token_uri",
		sim.token_uri, "auth_provider_x509_cert_url",
		"https://www.googleapis.com/oauth2/v1/certs", "universe_domain",
		"googleapis.com"));
}

/* Needs the token endpoint's port, so it comes after the listener. */
void
pki_write_accounts(void)
{
	EVP_PKEY *wrong;
	size_t i;

	for (i = 0; i < NACCOUNTS; i++)
		write_account(accounts[i].file, accounts[i].email,
		    accounts[i].key);
	/* Well-formed and of a known account, but its signature is worthless. */
	wrong = new_key(true);
	write_account("wrong.json", accounts[1].email, wrong);
	EVP_PKEY_free(wrong);
}
