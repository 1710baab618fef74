/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/socket.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "imsg.h"
#include "proto.h"

/*
 * hostile directory key ca chroot port ...
 *
 * A parent that has been taken over, for the actuator: starts the programs in
 * the directory as the real one does, the signer with the key so that there are
 * tokens, and says to the actuator what standard input says, a line at a time.
 * The words of a line are separated by tabs:
 *
 *	address host ip; url api url; token-uri url; limit rate burst
 *	begin; commit; account n id; token n file; peer n name
 *	act n member=value ...; a member keeps its value for the next
 *	plan n number primary secondary steer [repair [blocked]]
 *	permit n number proceed; test n number; stop
 *	message type n length; zero bytes, whatever type and length
 *	bytes hexadecimal; no message at all
 *	descriptor n number; a permit, and a descriptor with it
 *	flood count rate n; plans for failover n that contradict each other
 *	deaf; does not read any more
 *	counts; plans that came to an end, by status
 *	close
 *
 * Standard output says what the actuator says, and in the end how it ended.
 */

static const char *directory, *chroot_path;
static struct imsgbuf *actuator, *signer;
static pid_t actuator_pid, signer_pid;
static struct msg_conf_act act;
static uint32_t counts[PLAN_SKIPPED + 1];
static int deaf, quiet;

static struct imsgbuf *
start(enum role role, pid_t *pid)
{
	char name[64], path[512];
	struct imsgbuf *buf;
	int null, pair[2];

	snprintf(name, sizeof(name), "mt-gcpd-%s", role_name(role));
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1 ||
	    (*pid = fork()) == -1)
		err(1, "%s", path);
	if (*pid == 0) {
		null = open("/dev/null", O_RDWR);
		if (null == -1 || dup2(null, 0) == -1 || dup2(null, 1) == -1 ||
		    dup2(null, 2) == -1)
			_exit(127);
		if (pair[1] == IMSG_FD)
			(void)fcntl(IMSG_FD, F_SETFD, 0);
		else if (dup2(pair[1], IMSG_FD) == -1)
			_exit(127);
		(void)close_range(IMSG_FD + 1, ~0U, 0);
		execle(path, name, NULL, (char *[]){ NULL });
		_exit(127);
	}
	close(pair[1]);
	buf = imsgbuf_new(pair[0]);
	if (buf == NULL || fcntl(pair[0], F_SETFL, O_NONBLOCK) == -1)
		err(1, "%s", path);
	return (buf);
}

static void
say(struct imsgbuf *buf, uint32_t type, uint32_t id, const void *data,
    size_t len)
{
	if (imsgbuf_compose(buf, type, id, data, len) == -1)
		err(1, "imsgbuf_compose");
}

static void
say_file(struct imsgbuf *buf, enum imsg_type chunk, uint32_t id,
    const char *path)
{
	char bytes[OPAQUE_MAX];
	FILE *file = fopen(path, "re");
	size_t n;

	if (file == NULL)
		err(1, "%s", path);
	while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0)
		say(buf, chunk, id, bytes, n);
	fclose(file);
}

static void
hello(struct imsgbuf *buf, enum role role)
{
	struct msg_hello msg = { .role = role, .log_level = LOG_DEBUG };
	const struct passwd *pw;
	char name[64];

	snprintf(name, sizeof(name), "mtgcpd-%s", role_name(role));
	strlcpy(msg.version, MTGCPD_VERSION, sizeof(msg.version));
	if (geteuid() == 0) {
		pw = getpwnam(name);
		if (pw == NULL)
			errx(1, "%s", name);
		msg.drop = 1;
		msg.uid = pw->pw_uid;
		msg.gid = pw->pw_gid;
	}
	strlcpy(msg.chroot, chroot_path, sizeof(msg.chroot));
	say(buf, IMSG_HELLO, 0, &msg, sizeof(msg));
}

static void
set_member(const char *member, const char *value)
{
	if (strcmp(member, "project") == 0)
		strlcpy(act.project, value, sizeof(act.project));
	else if (strcmp(member, "region") == 0)
		strlcpy(act.region, value, sizeof(act.region));
	else if (strcmp(member, "router") == 0)
		strlcpy(act.router, value, sizeof(act.router));
	else if (strcmp(member, "match") == 0)
		strlcpy(act.match, value, sizeof(act.match));
	else if (strcmp(member, "primary") == 0 ||
	    strcmp(member, "secondary") == 0) {
		if (prefix_parse(value, &act.prefix[*member == 's']) == -1)
			errx(1, "%s", value);
	} else if (strcmp(member, "account") == 0)
		act.account = (uint32_t)atoi(value);
	else if (strcmp(member, "priority") == 0)
		act.priority = (uint32_t)atoi(value);
	else if (strcmp(member, "failed") == 0)
		act.failed = (uint32_t)atoi(value);
	else if (strcmp(member, "passive") == 0)
		act.passive = (uint32_t)atoi(value);
	else
		errx(1, "%s", member);
}

static void
say_act(uint32_t id)
{
	char *value, *word;

	while ((word = strtok(NULL, "\t\n")) != NULL) {
		value = strchr(word, '=');
		if (value == NULL)
			errx(1, "%s", word);
		*value++ = '\0';
		set_member(word, value);
	}
	say(actuator, IMSG_CONF_ACT, id, &act, sizeof(act));
}

static const char *
next_word(void)
{
	const char *word = strtok(NULL, "\t\n");

	return (word == NULL ? "" : word);
}

static uint32_t
next_number(void)
{
	return ((uint32_t)strtol(next_word(), NULL, 0));
}

static void
say_name(enum imsg_type type, uint32_t id)
{
	struct msg_name msg = { 0 };

	strlcpy(msg.name, next_word(), sizeof(msg.name));
	say(actuator, type, id, &msg, sizeof(msg));
}

static void
say_plan(uint32_t id)
{
	struct msg_plan msg = { 0 };

	msg.plan = next_number();
	msg.prefix[PRIMARY] = (int32_t)next_number();
	msg.prefix[SECONDARY] = (int32_t)next_number();
	msg.cloudflare = (int32_t)next_number();
	msg.repair = next_number();
	msg.blocked = next_number();
	say(actuator, IMSG_PLAN, id, &msg, sizeof(msg));
}

static void
say_address(void)
{
	struct msg_addresses msg = { .ttl = 3600, .count = 1 };

	strlcpy(msg.host, next_word(), sizeof(msg.host));
	strlcpy(msg.address[0], next_word(), sizeof(msg.address[0]));
	say(actuator, IMSG_ADDRESSES, 0, &msg, sizeof(msg));
}

static void
say_url(void)
{
	struct msg_endpoint msg = { .api = next_number() };

	strlcpy(msg.url, next_word(), sizeof(msg.url));
	say(actuator, IMSG_CONF_ENDPOINT, 0, &msg, sizeof(msg));
}

static void
say_token_uri(void)
{
	struct msg_token_uri msg = { 0 };

	strlcpy(msg.url, next_word(), sizeof(msg.url));
	say(actuator, IMSG_CONF_TOKEN_URI, ROLE_ACTUATOR, &msg, sizeof(msg));
}

static void
say_limit(void)
{
	struct msg_limit msg;

	msg.rate = next_number();
	msg.burst = next_number();
	say(actuator, IMSG_CONF_LIMIT, 0, &msg, sizeof(msg));
}

static void
say_zeros(void)
{
	static const char zeros[IMSG_SIZE_MAX];
	uint32_t type = next_number(), id = next_number();

	say(actuator, type, id, zeros, next_number());
}

/* Not by way of a message: now, and whole. */
static void
say_bytes(void)
{
	const char *digits = next_word();
	unsigned char bytes[IMSG_SIZE_MAX];
	unsigned int byte;
	size_t n;

	for (n = 0; sscanf(digits + 2 * n, "%2x", &byte) == 1; n++)
		bytes[n] = (unsigned char)byte;
	if (imsgbuf_write(actuator) == -1 ||
	    write(imsgbuf_fd(actuator), bytes, n) != (ssize_t)n)
		err(1, "write");
}

static void
say_descriptor(uint32_t id)
{
	struct {
		struct imsg_hdr hdr;
		struct msg_permit msg;
	} data = { .hdr = { .type = IMSG_PLAN_PERMIT, .id = id } };
	union {
		struct cmsghdr hdr;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { &data, 0 };
	struct msghdr header = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	int fd = STDIN_FILENO;

	iov.iov_len = sizeof(data.hdr) + sizeof(data.msg);
	data.hdr.len = (uint32_t)iov.iov_len;
	data.msg.plan = next_number();
	control.hdr.cmsg_len = CMSG_LEN(sizeof(int));
	control.hdr.cmsg_level = SOL_SOCKET;
	control.hdr.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&control.hdr), &fd, sizeof(fd));
	if (imsgbuf_write(actuator) == -1 ||
	    sendmsg(imsgbuf_fd(actuator), &header, 0) != (ssize_t)iov.iov_len)
		err(1, "sendmsg");
}

static void
say_permit(uint32_t id)
{
	struct msg_permit msg = { 0 };

	msg.plan = next_number();
	msg.proceed = next_number();
	say(actuator, IMSG_PLAN_PERMIT, id, &msg, sizeof(msg));
}

static void
say_test(uint32_t id)
{
	struct msg_test msg = { .test = next_number() };

	say(actuator, IMSG_TEST, id, &msg, sizeof(msg));
}

static void
how_it_ended(void)
{
	int status;

	(void)kill(signer_pid, SIGTERM);
	close(imsgbuf_fd(signer));
	close(imsgbuf_fd(actuator));
	if (waitpid(actuator_pid, &status, 0) == -1)
		err(1, "waitpid");
	if (WIFEXITED(status))
		printf("exited\t%d\n", WEXITSTATUS(status));
	else
		printf("killed\t%d\n", WTERMSIG(status));
	(void)waitpid(signer_pid, NULL, 0);
	exit(0);
}

static void
heard_done(const struct imsg *imsg)
{
	struct msg_plan_done msg;

	if (imsg_get_data(imsg, &msg, sizeof(msg)) == -1)
		errx(1, "PLAN_DONE");
	counts[msg.status]++;
	if (!quiet)
		printf("done\t%u\t%llu\t%u\t%u\t%s\t%s\n", imsg->hdr.id,
		    (unsigned long long)msg.plan, msg.status, msg.changed,
		    msg.step, msg.error);
}

static void
heard_log(const struct imsg *imsg)
{
	struct msg_log msg;

	if (imsg_get_data(imsg, &msg, sizeof(msg)) == -1)
		errx(1, "LOG");
	if (!quiet)
		printf("log\t%d\t%s\n", msg.level, msg.text);
}

static void
heard(const struct imsg *imsg)
{
	switch (imsg->hdr.type) {
	case IMSG_ASSERT:
		say(signer, IMSG_ASSERT, ROLE_ACTUATOR, imsg->data, imsg->len);
		break;
	case IMSG_PLAN_DONE:
		heard_done(imsg);
		break;
	case IMSG_LOG:
		heard_log(imsg);
		break;
	case IMSG_READY:
		printf("ready\t%d\n", actuator_pid);
		break;
	default:
		if (!quiet)
			printf("%s\t%u\n", proto_name(imsg->hdr.type),
			    imsg->hdr.id);
	}
}

static void
heard_signer(const struct imsg *imsg)
{
	if (imsg->hdr.type == IMSG_ASSERTION ||
	    imsg->hdr.type == IMSG_ASSERT_FAILED)
		say(actuator, imsg->hdr.type, 0, imsg->data, imsg->len);
}

/* Read once and hand out what is whole. */
static void
listen_to(struct imsgbuf *buf, void (*cb)(const struct imsg *))
{
	struct imsg imsg;
	char why[256];
	ssize_t n = imsgbuf_read(buf);
	int r;

	if (n == -1 && errno == EAGAIN)
		return;
	while ((r = imsgbuf_get(buf, &imsg)) == 1) {
		if (buf == actuator &&
		    proto_check(&imsg, ROLE_ACTUATOR, ROLE_PARENT, why,
			sizeof(why)) == -1)
			printf("wrong\t%s\n", why);
		cb(&imsg);
	}
	if (n <= 0 && buf == actuator)
		how_it_ended();
	if (n <= 0 || r == -1)
		errx(1, "the signer is gone");
}

/* Speak and listen, for so many milliseconds or until standard input has
 * something to say. */
static void
serve(int ms, int wait_input)
{
	struct pollfd fds[3] = {
		{ .fd = imsgbuf_fd(actuator), .events = deaf ? 0 : POLLIN },
		{ .fd = imsgbuf_fd(signer), .events = POLLIN },
		{ .fd = wait_input ? STDIN_FILENO : -1, .events = POLLIN },
	};

	if (imsgbuf_queued(actuator) > 0)
		fds[0].events |= POLLOUT;
	if (imsgbuf_queued(signer) > 0)
		fds[1].events |= POLLOUT;
	if (poll(fds, 3, ms) == -1)
		err(1, "poll");
	if ((fds[0].revents & POLLHUP) != 0 && deaf)
		how_it_ended();
	if (fds[0].revents & (POLLIN | POLLHUP))
		listen_to(actuator, heard);
	if (fds[1].revents & (POLLIN | POLLHUP))
		listen_to(signer, heard_signer);
	(void)imsgbuf_write(actuator);
	(void)imsgbuf_write(signer);
}

static int64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

static void
flood(void)
{
	uint32_t count = next_number(), rate = next_number(), i;
	uint32_t id = next_number();
	struct msg_plan msg = { 0 };
	int64_t began = now();

	quiet = 1;
	for (i = 0; i < count; i++) {
		msg.plan = 1000 + i;
		msg.prefix[PRIMARY] = i % 2 ? ADVERT_ADVERTISE :
					      ADVERT_WITHDRAW;
		msg.prefix[SECONDARY] = ADVERT_KEEP;
		msg.cloudflare = i % 2 ? STEER_PRIORITY : STEER_FAILED;
		say(actuator, IMSG_PLAN, id, &msg, sizeof(msg));
		while (now() - began < (int64_t)i * 1000 / rate ||
		    imsgbuf_queued(actuator) > 1024 * 1024)
			serve(1, 0);
	}
	while (imsgbuf_queued(actuator) > 0)
		serve(1, 0);
	printf("flooded\t%lld\n", (long long)(now() - began));
}

static void
obey(char *line)
{
	const char *word = strtok(line, "\t\n");

	if (word == NULL)
		return;
	if (strcmp(word, "address") == 0)
		say_address();
	else if (strcmp(word, "url") == 0)
		say_url();
	else if (strcmp(word, "token-uri") == 0)
		say_token_uri();
	else if (strcmp(word, "limit") == 0)
		say_limit();
	else if (strcmp(word, "begin") == 0)
		say(actuator, IMSG_CONF_BEGIN, 0, NULL, 0);
	else if (strcmp(word, "commit") == 0)
		say(actuator, IMSG_CONF_COMMIT, 0, NULL, 0);
	else if (strcmp(word, "account") == 0)
		say_name(IMSG_CONF_ACCOUNT, next_number());
	else if (strcmp(word, "peer") == 0)
		say_name(IMSG_CONF_PEER, next_number());
	else if (strcmp(word, "token") == 0) {
		uint32_t id = next_number();
		say_file(actuator, IMSG_CONF_CF_TOKEN, id, next_word());
	} else if (strcmp(word, "act") == 0)
		say_act(next_number());
	else if (strcmp(word, "plan") == 0)
		say_plan(next_number());
	else if (strcmp(word, "permit") == 0)
		say_permit(next_number());
	else if (strcmp(word, "test") == 0)
		say_test(next_number());
	else if (strcmp(word, "stop") == 0)
		say(actuator, IMSG_STOP, 0, NULL, 0);
	else if (strcmp(word, "message") == 0)
		say_zeros();
	else if (strcmp(word, "bytes") == 0)
		say_bytes();
	else if (strcmp(word, "descriptor") == 0)
		say_descriptor(next_number());
	else if (strcmp(word, "flood") == 0)
		flood();
	else if (strcmp(word, "deaf") == 0)
		deaf = 1;
	else if (strcmp(word, "counts") == 0)
		printf("counts\t%u\t%u\t%u\t%u\t%u\n", counts[PLAN_DONE],
		    counts[PLAN_FAILED], counts[PLAN_SUPERSEDED],
		    counts[PLAN_REFUSED], counts[PLAN_SKIPPED]);
	else if (strcmp(word, "close") == 0)
		how_it_ended();
	else
		errx(1, "%s", word);
}

/* Lines of standard input, which is read without blocking. */
static void
read_lines(void)
{
	static char room[65536];
	static size_t len;
	char *end;
	ssize_t n;

	n = read(STDIN_FILENO, room + len, sizeof(room) - 1 - len);
	if (n == 0)
		how_it_ended();
	if (n == -1)
		return;
	len += (size_t)n;
	room[len] = '\0';
	while ((end = strchr(room, '\n')) != NULL) {
		*end = '\0';
		obey(room);
		len -= (size_t)(end + 1 - room);
		memmove(room, end + 1, len + 1);
	}
}

int
main(int argc, char *argv[])
{
	struct msg_port port;
	int i;

	if (argc < 6)
		errx(2, "usage: hostile directory key ca chroot port ...");
	directory = argv[1];
	chroot_path = argv[4];
	setvbuf(stdout, NULL, _IOLBF, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
	act.expect = -1;
	act.priority = 100;
	act.failed = 200;
	act.connect_timeout = act.api_timeout = 3000;
	act.bgp_update_timeout = act.cloudflare_timeout = 5000;
	act.cloudflare_bulk_timeout = 5000;
	signer = start(ROLE_SIGNER, &signer_pid);
	hello(signer, ROLE_SIGNER);
	say(signer, IMSG_SETUP_END, 0, NULL, 0);
	say_file(signer, IMSG_KEY_CHUNK, ROLE_ACTUATOR, argv[2]);
	say(signer, IMSG_KEY_END, ROLE_ACTUATOR, NULL, 0);
	actuator = start(ROLE_ACTUATOR, &actuator_pid);
	hello(actuator, ROLE_ACTUATOR);
	for (i = 5; i < argc; i++) {
		port.port = (uint32_t)atoi(argv[i]);
		say(actuator, IMSG_PORT, 0, &port, sizeof(port));
	}
	say_file(actuator, IMSG_CA_CHUNK, 0, argv[3]);
	say(actuator, IMSG_CA_END, 0, NULL, 0);
	say(actuator, IMSG_SETUP_END, 0, NULL, 0);
	for (;;) {
		serve(1000, 1);
		read_lines();
	}
}
