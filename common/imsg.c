/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imsg.h"

#define READ_SIZE (4 * IMSG_SIZE_MAX)

struct imsgbuf {
	int fd;
	uint32_t pid;
	unsigned char *in; /* READ_SIZE bytes */
	size_t in_start;   /* first byte not yet given out */
	size_t in_end;
	size_t in_last; /* length of the message given out last */
	unsigned char *out;
	size_t out_start;
	size_t out_end;
	size_t out_size;
};

/*
 * Frame messages on the stream socket fd, which stays the caller's.  Returns
 * NULL if memory is short.
 */
struct imsgbuf *
imsgbuf_new(int fd)
{
	struct imsgbuf *buf;

	buf = calloc(1, sizeof(*buf));
	if (buf == NULL)
		return (NULL);
	buf->fd = fd;
	buf->pid = (uint32_t)getpid();
	buf->in = malloc(READ_SIZE);
	if (buf->in == NULL) {
		free(buf);
		return (NULL);
	}
	return (buf);
}

/* Wipe and release the buffers; the descriptor stays open. */
void
imsgbuf_free(struct imsgbuf *buf)
{
	if (buf == NULL)
		return;
	freezero(buf->in, READ_SIZE);
	freezero(buf->out, buf->out_size);
	free(buf);
}

/* The descriptor of the channel. */
int
imsgbuf_fd(const struct imsgbuf *buf)
{
	return (buf->fd);
}

/* The message given out last is no longer looked at: it may be a secret. */
static void
forget_last(struct imsgbuf *buf)
{
	explicit_bzero(buf->in + buf->in_start, buf->in_last);
	buf->in_start += buf->in_last;
	buf->in_last = 0;
	if (buf->in_start == buf->in_end)
		buf->in_start = buf->in_end = 0;
}

/*
 * Read once from the descriptor.  Returns the number of bytes, 0 when the peer
 * has closed its end, -1 with errno set (EAGAIN: nothing there, EMSGSIZE: get
 * the messages out first).
 */
ssize_t
imsgbuf_read(struct imsgbuf *buf)
{
	size_t left;
	ssize_t n;

	forget_last(buf);
	if (buf->in_start > 0) {
		left = buf->in_end - buf->in_start;
		memmove(buf->in, buf->in + buf->in_start, left);
		explicit_bzero(buf->in + left, buf->in_end - left);
		buf->in_start = 0;
		buf->in_end = left;
	}
	if (buf->in_end == READ_SIZE) {
		errno = EMSGSIZE;
		return (-1);
	}
	do {
		n = read(buf->fd, buf->in + buf->in_end,
		    READ_SIZE - buf->in_end);
	} while (n == -1 && errno == EINTR);
	if (n > 0)
		buf->in_end += (size_t)n;
	return (n);
}

/*
 * Give out the next whole message; its data stays valid until the next call.
 * Returns 1, 0 if there is none yet, -1 if the length in its header cannot be:
 * the stream is of no use any more.
 */
int
imsgbuf_get(struct imsgbuf *buf, struct imsg *imsg)
{
	size_t have;

	forget_last(buf);
	have = buf->in_end - buf->in_start;
	if (have < sizeof(imsg->hdr))
		return (0);
	memcpy(&imsg->hdr, buf->in + buf->in_start, sizeof(imsg->hdr));
	if (imsg->hdr.len < sizeof(imsg->hdr) || imsg->hdr.len > IMSG_SIZE_MAX)
		return (-1);
	if (have < imsg->hdr.len)
		return (0);
	imsg->len = imsg->hdr.len - sizeof(imsg->hdr);
	imsg->data = buf->in + buf->in_start + sizeof(imsg->hdr);
	buf->in_last = imsg->hdr.len;
	return (1);
}

static int
make_room(struct imsgbuf *buf, size_t len)
{
	unsigned char *bigger;
	size_t size;

	if (buf->out_size - buf->out_end >= len)
		return (0);
	size = buf->out_end - buf->out_start + len;
	size = size < READ_SIZE ? READ_SIZE : size * 2;
	bigger = malloc(size);
	if (bigger == NULL)
		return (-1);
	if (buf->out != NULL)
		memcpy(bigger, buf->out + buf->out_start,
		    buf->out_end - buf->out_start);
	freezero(buf->out, buf->out_size);
	buf->out = bigger;
	buf->out_end -= buf->out_start;
	buf->out_start = 0;
	buf->out_size = size;
	return (0);
}

/*
 * Queue a message; data is copied.  Returns -1 with errno set if it is too
 * large or memory is short.
 */
int
imsgbuf_compose(struct imsgbuf *buf, uint32_t type, uint32_t id,
    const void *data, size_t len)
{
	struct imsg_hdr hdr = {
		.type = type,
		.id = id,
		.pid = buf->pid,
	};

	if (len > IMSG_SIZE_MAX - sizeof(hdr)) {
		errno = EMSGSIZE;
		return (-1);
	}
	hdr.len = (uint32_t)(sizeof(hdr) + len);
	if (make_room(buf, hdr.len) == -1)
		return (-1);
	memcpy(buf->out + buf->out_end, &hdr, sizeof(hdr));
	if (len > 0)
		memcpy(buf->out + buf->out_end + sizeof(hdr), data, len);
	buf->out_end += hdr.len;
	return (0);
}

/*
 * Write what is queued, as far as the descriptor takes it, and wipe it.
 * Returns -1 with errno set (EAGAIN: try again when it is writable).
 */
int
imsgbuf_write(struct imsgbuf *buf)
{
	ssize_t n;

	while (buf->out_start < buf->out_end) {
		n = write(buf->fd, buf->out + buf->out_start,
		    buf->out_end - buf->out_start);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return (-1);
		explicit_bzero(buf->out + buf->out_start, (size_t)n);
		buf->out_start += (size_t)n;
	}
	buf->out_start = buf->out_end = 0;
	return (0);
}

/* Bytes that are still to be written. */
size_t
imsgbuf_queued(const struct imsgbuf *buf)
{
	return (buf->out_end - buf->out_start);
}

/*
 * Copy the payload of a message, whose length must be len to the byte.
 * Returns -1 with errno EBADMSG if it is not.
 */
int
imsg_get_data(const struct imsg *imsg, void *data, size_t len)
{
	if (imsg->len != len) {
		errno = EBADMSG;
		return (-1);
	}
	memcpy(data, imsg->data, len);
	return (0);
}
