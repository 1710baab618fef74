/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "imsg.h"

/* A socketpair, with a buffer at one end. */
struct ends {
	int fd[2];
	struct imsgbuf *buf;
};

static int
setup(void **state)
{
	struct ends *ends = calloc(1, sizeof(*ends));

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends->fd), 0);
	assert_int_equal(fcntl(ends->fd[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(ends->fd[1], F_SETFL, O_NONBLOCK), 0);
	ends->buf = imsgbuf_new(ends->fd[0]);
	assert_non_null(ends->buf);
	*state = ends;
	return (0);
}

static int
teardown(void **state)
{
	struct ends *ends = *state;

	imsgbuf_free(ends->buf);
	close(ends->fd[0]);
	if (ends->fd[1] != -1)
		close(ends->fd[1]);
	free(ends);
	return (0);
}

static void
put(const struct ends *ends, const void *bytes, size_t len)
{
	assert_int_equal(write(ends->fd[1], bytes, len), (ssize_t)len);
}

/* A message arrives byte by byte, and is given out when it is whole. */
static void
test_byte_by_byte(void **state)
{
	struct ends *ends = *state;
	struct imsg_hdr hdr = { .type = 7, .len = sizeof(hdr) + 5, .id = 9 };
	unsigned char bytes[sizeof(hdr) + 5];
	char text[5];
	struct imsg imsg;
	size_t i;

	memcpy(bytes, &hdr, sizeof(hdr));
	memcpy(bytes + sizeof(hdr), "hello", 5);
	for (i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(imsgbuf_get(ends->buf, &imsg), 0);
		put(ends, bytes + i, 1);
		assert_int_equal(imsgbuf_read(ends->buf), 1);
	}
	assert_int_equal(imsgbuf_get(ends->buf, &imsg), 1);
	assert_int_equal(imsg.hdr.type, 7);
	assert_int_equal(imsg.hdr.id, 9);
	assert_int_equal(imsg_get_data(&imsg, text, 5), 0);
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(imsgbuf_get(ends->buf, &imsg), 0);
}

/* A payload is taken only if its length is exactly the expected one. */
static void
test_exact_length(void **state)
{
	struct ends *ends = *state;
	struct imsg imsg;
	uint32_t value;
	uint64_t larger;
	uint16_t smaller;

	(void)ends;
	value = 42;
	memset(&imsg, 0, sizeof(imsg));
	imsg.data = &value;
	imsg.len = sizeof(value);
	errno = 0;
	assert_int_equal(imsg_get_data(&imsg, &larger, sizeof(larger)), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(imsg_get_data(&imsg, &smaller, sizeof(smaller)), -1);
	assert_int_equal(imsg_get_data(&imsg, &value, sizeof(value)), 0);
}

/* A length that cannot be ends the stream. */
static void
test_impossible_length(void **state)
{
	static const uint32_t lengths[] = { 0, 1, sizeof(struct imsg_hdr) - 1,
		IMSG_SIZE_MAX + 1, UINT32_MAX };
	struct ends *ends = *state;
	struct imsg_hdr hdr = { .type = 1 };
	struct imsg imsg;
	size_t i;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		imsgbuf_free(ends->buf);
		ends->buf = imsgbuf_new(ends->fd[0]);
		hdr.len = lengths[i];
		put(ends, &hdr, sizeof(hdr));
		assert_int_equal(imsgbuf_read(ends->buf), sizeof(hdr));
		assert_int_equal(imsgbuf_get(ends->buf, &imsg), -1);
	}
}

/* The largest message passes, one byte more cannot be composed. */
static void
test_largest(void **state)
{
	struct ends *ends = *state;
	struct imsgbuf *other = imsgbuf_new(ends->fd[1]);
	size_t max = IMSG_SIZE_MAX - sizeof(struct imsg_hdr);
	char *bytes = malloc(max + 1);
	struct imsg imsg;

	memset(bytes, 'x', max + 1);
	assert_int_equal(imsgbuf_compose(other, 3, 0, bytes, max + 1), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(imsgbuf_compose(other, 3, 0, bytes, max), 0);
	assert_int_equal(imsgbuf_write(other), 0);
	while (imsgbuf_get(ends->buf, &imsg) == 0)
		assert_true(imsgbuf_read(ends->buf) > 0);
	assert_int_equal(imsg.len, max);
	assert_memory_equal(imsg.data, bytes, max);
	free(bytes);
	imsgbuf_free(other);
}

/* More than the socket takes is queued, and arrives whole and in order. */
static void
test_queue(void **state)
{
	struct ends *ends = *state;
	struct imsgbuf *other = imsgbuf_new(ends->fd[1]);
	uint32_t payload[1000];
	uint32_t sent, got = 0;
	struct imsg imsg;

	for (sent = 0; sent < 500; sent++) {
		memset(payload, (int)(sent & 0xff), sizeof(payload));
		assert_int_equal(
		    imsgbuf_compose(other, 5, sent, payload, sizeof(payload)),
		    0);
	}
	while (got < sent) {
		if (imsgbuf_write(other) == -1)
			assert_int_equal(errno, EAGAIN);
		assert_true(imsgbuf_read(ends->buf) > 0);
		while (imsgbuf_get(ends->buf, &imsg) == 1) {
			assert_int_equal(imsg.hdr.id, got);
			assert_int_equal(*(const unsigned char *)imsg.data,
			    got & 0xff);
			got++;
		}
	}
	assert_int_equal(imsgbuf_queued(other), 0);
	imsgbuf_free(other);
}

/* The peer is gone: 0; nothing there: EAGAIN. */
static void
test_end(void **state)
{
	struct ends *ends = *state;

	assert_int_equal(imsgbuf_read(ends->buf), -1);
	assert_int_equal(errno, EAGAIN);
	close(ends->fd[1]);
	ends->fd[1] = -1;
	assert_int_equal(imsgbuf_read(ends->buf), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_byte_by_byte, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_exact_length, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_impossible_length, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_largest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
