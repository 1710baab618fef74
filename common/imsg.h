/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_IMSG_H
#define MTGCPD_IMSG_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

/*
 * Messages over a stream socketpair, after OpenBSD's imsg: a fixed header and
 * a payload.  Both ends are parts of one build on one machine, so the header
 * travels in host byte order.
 */

#define IMSG_FD	      3	    /* the channel to the parent, in every child */
#define LISTEN_FD     4	    /* in a child that serves: its socket */
#define IMSG_SIZE_MAX 16384 /* header and payload */

struct imsg_hdr {
	uint32_t type; /* enum imsg_type */
	uint32_t len;  /* header and payload */
	uint32_t id;   /* meaning by type */
	uint32_t pid;  /* of the sender, for the log */
};

struct imsg {
	struct imsg_hdr hdr;
	const void *data; /* into the imsgbuf; valid until the next get */
	size_t len;	  /* of data */
};

struct imsgbuf;

/* imsg.c */
struct imsgbuf *imsgbuf_new(int fd);
void imsgbuf_free(struct imsgbuf *);
int imsgbuf_fd(const struct imsgbuf *);
ssize_t imsgbuf_read(struct imsgbuf *);
int imsgbuf_get(struct imsgbuf *, struct imsg *);
int imsgbuf_compose(struct imsgbuf *, uint32_t type, uint32_t id,
    const void *data, size_t len);
int imsgbuf_write(struct imsgbuf *);
size_t imsgbuf_queued(const struct imsgbuf *);
int imsg_get_data(const struct imsg *, void *, size_t);

#endif /* MTGCPD_IMSG_H */
