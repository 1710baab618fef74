/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "log.h"

/*
 * The way in which every child starts: what the parent says on descriptor 3,
 * then whatever needs files or privileges, then the drop, then the loop.
 */

#define CA_MAX (4 * 1024 * 1024)

struct channel *parent_channel;

static struct imsgbuf *setup_buf; /* until the channel is made of it */
static enum role own_role;
static channel_handler own_handler;

/* A line of the log, which the parent will write. */
static void
send_log(int priority, const char *corr, const char *text)
{
	struct msg_log msg;

	memset(&msg, 0, sizeof(msg));
	msg.level = priority;
	strlcpy(msg.corr, corr, sizeof(msg.corr));
	strlcpy(msg.text, text, sizeof(msg.text));
	if (parent_channel != NULL)
		channel_send(parent_channel, IMSG_LOG, 0, &msg, sizeof(msg));
	else if (imsgbuf_compose(setup_buf, IMSG_LOG, 0, &msg, sizeof(msg)) ==
	    0)
		(void)imsgbuf_write(setup_buf);
}

/* Send a message to the parent; data is copied. */
void
child_send(enum imsg_type type, uint32_t id, const void *data, size_t len)
{
	channel_send(parent_channel, type, id, data, len);
}

/* The next message of the set-up, waiting for it if need be. */
static void
setup_next(struct imsg *imsg)
{
	char why[128];
	ssize_t n;
	int r;

	while ((r = imsgbuf_get(setup_buf, imsg)) == 0) {
		n = imsgbuf_read(setup_buf);
		if (n == 0)
			exit(0); /* the parent is gone */
		if (n == -1)
			fatal("set-up");
	}
	if (r == -1)
		fatalx("the parent sent a message of an impossible length");
	if (proto_check(imsg, ROLE_PARENT, own_role, why, sizeof(why)) == -1)
		fatalx("the parent %s", why);
}

static void
setup_hello(struct child_setup *setup)
{
	struct imsg imsg;

	setup_next(&imsg);
	if (imsg.hdr.type != IMSG_HELLO)
		fatalx("the parent sent %s first", proto_name(imsg.hdr.type));
	imsg_get_data(&imsg, &setup->hello, sizeof(setup->hello));
	if (strcmp(setup->hello.version, MTGCPD_VERSION) != 0)
		fatalx("the parent is of version %s, not %s",
		    setup->hello.version, MTGCPD_VERSION);
	if (setup->hello.role != own_role)
		fatalx("the parent takes the %s for the %s",
		    role_name(own_role), role_name(setup->hello.role));
	log_setlevel(setup->hello.log_level);
	setup->listener = setup->hello.listens ? LISTEN_FD : -1;
}

static void
setup_port(struct child_setup *setup, const struct imsg *imsg)
{
	struct msg_port msg;

	imsg_get_data(imsg, &msg, sizeof(msg));
	if (setup->nports == PORTS_MAX)
		fatalx("more than %d ports in use", PORTS_MAX);
	setup->port[setup->nports++] = (uint16_t)msg.port;
}

static void
setup_ca(struct child_setup *setup, const struct imsg *imsg)
{
	char *ca;

	if (imsg->len > CA_MAX - setup->ca_len)
		fatalx("the CA bundle is too large");
	ca = realloc(setup->ca, setup->ca_len + imsg->len + 1);
	if (ca == NULL)
		fatal("the CA bundle");
	memcpy(ca + setup->ca_len, imsg->data, imsg->len);
	setup->ca = ca;
	setup->ca_len += imsg->len;
	setup->ca[setup->ca_len] = '\0';
}

/* Take what the parent says until it has said all. */
static void
setup_receive(struct child_setup *setup)
{
	struct imsg imsg;

	setup_hello(setup);
	for (;;) {
		setup_next(&imsg);
		switch (imsg.hdr.type) {
		case IMSG_PORT:
			setup_port(setup, &imsg);
			break;
		case IMSG_CA_CHUNK:
			setup_ca(setup, &imsg);
			break;
		case IMSG_CA_END:
			break;
		case IMSG_SETUP_END:
			return;
		default:
			fatalx("the parent sent %s during set-up",
			    proto_name(imsg.hdr.type));
		}
	}
}

/* A message of the parent: one that is the same for all, or the program's. */
static void
child_dispatch(const struct imsg *imsg, void *arg)
{
	struct msg_level msg;

	if (imsg->hdr.type != IMSG_LOG_LEVEL) {
		own_handler(imsg, arg);
		return;
	}
	imsg_get_data(imsg, &msg, sizeof(msg));
	log_setlevel(msg.level);
}

/* The parent has closed its end, or is not what it should be. */
static void
parent_lost(const char *why, void *arg __unused)
{
	if (why != NULL)
		_exit(1); /* there is nobody left to tell */
	exit(0);
}

/* Signals are the parent's business: a child ends when its channel does. */
static void
ignore_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGTERM, SIGUSR1,
		SIGUSR2, SIGPIPE };
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)signal(signals[i], SIG_IGN);
}

static void
drop(const struct child_program *program, const struct child_setup *setup)
{
	const struct confinement how = {
		.drop = (int)setup->hello.drop,
		.uid = setup->hello.uid,
		.gid = setup->hello.gid,
		.chroot = setup->hello.chroot,
		.ports = setup->port,
		.nports = setup->nports,
		.rules = program->rules,
		.nrules = program->nrules,
	};
	struct msg_ready ready;

	memset(&ready, 0, sizeof(ready));
	strlcpy(ready.version, MTGCPD_VERSION, sizeof(ready.version));
	ready.landlock_abi = confine(&how);
	child_send(IMSG_READY, 0, &ready, sizeof(ready));
}

/*
 * The main program of every child.  The order is that in which each step is
 * still possible: time zone, event loop and whatever the program prepares need
 * files and sockets; then confine(); and only then anything from the network.
 * Returns the exit status.
 */
int
child_main(const struct child_program *program, int argc, char *argv[])
{
	struct child_setup setup;
	struct event_base *base;
	unsigned char random;

	if (argc == 2 && strcmp(argv[1], "-V") == 0) {
		printf("%s: %s\n", role_name(program->role),
		    program->libraries());
		return (0);
	}
	if (argc != 1 || fcntl(IMSG_FD, F_GETFL) == -1) {
		static const char text[] =
		    "this program is started by mt-gcpd(8)\n";
		(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
		return (2);
	}
	setproctitle_init(argc, argv, environ);
	setproctitle("%s", role_name(program->role));
	own_role = program->role;
	own_handler = program->handler;
	setup_buf = imsgbuf_new(IMSG_FD);
	if (setup_buf == NULL)
		return (1);
	log_init(role_name(own_role), LOG_INFO, send_log);
	ignore_signals();
	memset(&setup, 0, sizeof(setup));
	setup_receive(&setup);

	if (setenv("TZ", "UTC0", 1) == -1)
		fatal("setenv");
	tzset();
	base = channel_loop();
	program->prepare(base, &setup);
	free(setup.ca);
	setup.ca = NULL;
	parent_channel = channel_new(base, setup_buf, own_role, ROLE_PARENT,
	    child_dispatch, parent_lost, NULL);
	if (parent_channel == NULL)
		fatal("channel");
	/* The first random number may have libc ask for memory in a way that
	 * the filter does not know. */
	arc4random_buf(&random, sizeof(random));
	drop(program, &setup);
	if (event_base_dispatch(base) == -1)
		fatalx("event_base_dispatch");
	return (0);
}
