/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/mman.h>

#include <jansson.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "child.h"
#include "jwt.h"
#include "log.h"

/*
 * The signer: holds the private keys, and signs one kind of assertion: for the
 * role that asks, with the scope that belongs to that role.  It has no socket
 * but its channel.
 */

#define KEYFILE_MAX (64 * 1024)
#define HEAP	    (1024 * 1024) /* all that malloc(3) will need, and more */
#define SECURE_HEAP (256 * 1024)  /* where OpenSSL keeps the keys */

static bool locked; /* the heap is never paged out */

static struct key keys[ROLE_MAX];

/* The key file that is being sent, wiped when it is whole. */
static struct {
	char *text;
	size_t len;
} incoming[ROLE_MAX];

static enum role
role_of(const struct imsg *imsg)
{
	if (imsg->hdr.id >= ROLE_MAX ||
	    role_scope((enum role)imsg->hdr.id) == NULL)
		fatalx("%s for no role", proto_name(imsg->hdr.type));
	return ((enum role)imsg->hdr.id);
}

static void
fail(enum imsg_type type, enum role role, const char *why)
{
	struct msg_failure msg;

	memset(&msg, 0, sizeof(msg));
	strlcpy(msg.reason, why, sizeof(msg.reason));
	child_send(type, role, &msg, sizeof(msg));
}

static void
key_chunk(enum role role, const struct imsg *imsg)
{
	if (incoming[role].text == NULL) {
		incoming[role].text = malloc(KEYFILE_MAX);
		if (incoming[role].text == NULL)
			fatal("key");
	}
	if (imsg->len > KEYFILE_MAX - incoming[role].len)
		fatalx("a key file of more than %d bytes", KEYFILE_MAX);
	memcpy(incoming[role].text + incoming[role].len, imsg->data, imsg->len);
	incoming[role].len += imsg->len;
}

/* A key that cannot be used leaves the old one, if any, in its place. */
static void
key_end(enum role role)
{
	char why[REASON_LEN];
	struct msg_key msg;
	struct key key;
	int r;

	r = key_parse(&key,
	    incoming[role].text == NULL ? "" : incoming[role].text,
	    incoming[role].len, why, sizeof(why));
	freezero(incoming[role].text, KEYFILE_MAX);
	incoming[role].text = NULL;
	incoming[role].len = 0;
	if (r == -1) {
		fail(IMSG_KEY_FAILED, role, why);
		return;
	}
	key_clear(&keys[role]);
	keys[role] = key;
	/* The first signature takes longer, and shows that there will be one. */
	free(jwt_make(&keys[role], role_scope(role), (int64_t)time(NULL)));
	memset(&msg, 0, sizeof(msg));
	strlcpy(msg.token_uri, key.uri, sizeof(msg.token_uri));
	strlcpy(msg.host, key.host, sizeof(msg.host));
	strlcpy(msg.client_email, key.email, sizeof(msg.client_email));
	msg.port = key.port;
	child_send(IMSG_KEY_LOADED, role, &msg, sizeof(msg));
}

static void
assert_role(enum role role)
{
	char *jwt = NULL;
	size_t len;

	if (keys[role].pkey != NULL)
		jwt = jwt_make(&keys[role], role_scope(role),
		    (int64_t)time(NULL));
	len = jwt == NULL ? 0 : strlen(jwt);
	if (len == 0 || len > OPAQUE_MAX)
		fail(IMSG_ASSERT_FAILED, role, "the key cannot sign");
	else
		child_send(IMSG_ASSERTION, role, jwt, len);
	freezero(jwt, len);
}

static void
dispatch(const struct imsg *imsg, void *arg __unused)
{
	enum role role = role_of(imsg);

	switch (imsg->hdr.type) {
	case IMSG_KEY_CHUNK:
		key_chunk(role, imsg);
		break;
	case IMSG_KEY_END:
		key_end(role);
		break;
	case IMSG_ASSERT:
		assert_role(role);
		break;
	default:
		fatalx("the parent sent %s", proto_name(imsg->hdr.type));
	}
}

/*
 * Have the memory that key files come in, and are taken apart in, never be
 * paged out: lock so much of the heap, and then give it to malloc(3), which
 * keeps it.  To be called before anything else is allocated.
 */
static void
lock_heap(void)
{
	void *heap;

	(void)mallopt(M_MMAP_THRESHOLD, 2 * HEAP);
	(void)mallopt(M_TRIM_THRESHOLD, -1);
	heap = malloc(HEAP);
	if (heap == NULL)
		return;
	locked = mlock(heap, HEAP) == 0;
	free(heap);
}

/* jansson and OpenSSL look at files only here. */
static void
prepare(struct event_base *base __unused,
    const struct child_setup *setup __unused)
{
	json_object_seed(0);
	if (OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG |
		    OPENSSL_INIT_ADD_ALL_DIGESTS,
		NULL) != 1)
		fatalx("OPENSSL_init_crypto");
	if (CRYPTO_secure_malloc_init(SECURE_HEAP, 32) != 1 || !locked)
		log_warnx("the keys are in memory that may be paged out");
}

static const char *
libraries(void)
{
	return (OpenSSL_version(OPENSSL_VERSION));
}

int
main(int argc, char *argv[])
{
	static const struct child_program program = {
		.role = ROLE_SIGNER,
		.libraries = libraries,
		.prepare = prepare,
		.handler = dispatch,
	};

	lock_heap();
	return (child_main(&program, argc, argv));
}
