/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * The framing of messages: a stream that comes in pieces of the size that the
 * first byte says.  What is given out is what came, byte for byte.
 */

#include <sys/socket.h>

#include <unistd.h>

#include "fuzz.h"
#include "imsg.h"

/* The message is what stands there in the stream. */
static void
same(const struct imsg *imsg, const uint8_t *stream, size_t left)
{
	HOLDS(imsg->hdr.len <= left);
	HOLDS(imsg->hdr.len == imsg->len + sizeof(imsg->hdr));
	HOLDS(memcmp(&imsg->hdr, stream, sizeof(imsg->hdr)) == 0);
	HOLDS(imsg->len == 0 ||
	    memcmp(imsg->data, stream + sizeof(imsg->hdr), imsg->len) == 0);
}

/* Made anew, the message is the same but for the process that sends it. */
static void
again(const struct imsg *imsg)
{
	uint8_t bytes[IMSG_SIZE_MAX];
	struct imsgbuf *buf;
	struct imsg other;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == -1)
		abort();
	buf = imsgbuf_new(pair[0]);
	HOLDS(imsgbuf_compose(buf, imsg->hdr.type, imsg->hdr.id, imsg->data,
		  imsg->len) == 0);
	HOLDS(imsgbuf_write(buf) == 0 && imsgbuf_queued(buf) == 0);
	HOLDS(read(pair[1], bytes, sizeof(bytes)) == (ssize_t)imsg->hdr.len);
	other = *imsg;
	memcpy(&other.hdr.pid, bytes + offsetof(struct imsg_hdr, pid),
	    sizeof(other.hdr.pid));
	same(&other, bytes, imsg->hdr.len);
	HOLDS(imsg_get_data(imsg, bytes, imsg->len) == 0);
	HOLDS(imsg_get_data(imsg, bytes, imsg->len + 1) == -1);
	imsgbuf_free(buf);
	close(pair[0]);
	close(pair[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	size_t piece = (size_t)take_byte(&in) * 64 + 1;
	size_t at = 0, sent = 0, n;
	struct imsgbuf *buf;
	struct imsg imsg;
	int pair[2], r = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == -1)
		abort();
	buf = imsgbuf_new(pair[0]);
	while (r != -1 && sent < in.len) {
		n = in.len - sent < piece ? in.len - sent : piece;
		HOLDS(write(pair[1], in.data + sent, n) == (ssize_t)n);
		sent += n;
		HOLDS(imsgbuf_read(buf) == (ssize_t)n);
		while ((r = imsgbuf_get(buf, &imsg)) == 1) {
			same(&imsg, in.data + at, sent - at);
			again(&imsg);
			at += imsg.hdr.len;
		}
	}
	imsgbuf_free(buf);
	close(pair[0]);
	close(pair[1]);
	return (0);
}
