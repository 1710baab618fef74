/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bucket.h"
#include "command.h"
#include "control.h"
#include "imsg.h"
#include "log.h"
#include "mtgcpd.h"

/*
 * The control socket.  A client sends one request, which has a fixed size, and
 * gets one answer; nobody may take his time over it, for there is a limit to
 * clients, to what is queued for one of them, and to how long he may be
 * silent.  What a request does is in command.c.
 */

#define CLIENTS_MAX    32
#define MONITORS_MAX   16
#define QUEUE_MAX      (1024 * 1024) /* bytes for a client who monitors */
#define SILENCE_MAX    5	     /* seconds to ask, or to take an answer */
#define REQUESTS_RATE  50	     /* in a second, of all clients */
#define REQUESTS_BURST 100

struct client {
	TAILQ_ENTRY(client) entry;
	struct imsgbuf *buf;
	struct event *readable;
	struct event *writable;
	struct event *silence;
	struct ucred cred;
	bool looks_only;
	bool monitors;
	bool asked;
	bool ended;		 /* goes when all is written */
	struct command *command; /* whose end is waited for, or NULL */
};

static struct listener {
	int fd;
	struct event *event;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
} listeners[2] = { { .fd = -1 }, { .fd = -1 } }; /* the second only looks */

static TAILQ_HEAD(, client) clients = TAILQ_HEAD_INITIALIZER(clients);
static size_t nclients;
static size_t nmonitors;
static struct bucket bucket;

static void client_write(evutil_socket_t, short, void *);

static void
listen_on(bool on)
{
	size_t i;

	for (i = 0; i < 2; i++) {
		if (listeners[i].event == NULL)
			continue;
		if (on)
			event_add(listeners[i].event, NULL);
		else
			event_del(listeners[i].event);
	}
}

static void
client_free(struct client *client)
{
	int fd = imsgbuf_fd(client->buf);

	TAILQ_REMOVE(&clients, client, entry);
	if (nclients-- == CLIENTS_MAX)
		listen_on(true);
	if (client->monitors)
		nmonitors--;
	command_free(client->command);
	event_free(client->readable);
	event_free(client->writable);
	event_free(client->silence);
	imsgbuf_free(client->buf);
	close(fd);
	free(client);
}

/* The client has to move within that time. */
static void
client_patience(struct client *client)
{
	static const struct timeval tv = { SILENCE_MAX, 0 };

	event_add(client->silence, &tv);
}

/* Queue a message; what cannot be queued ends the client, later. */
static void
client_compose(struct client *client, enum control_type type, const void *data,
    size_t len)
{
	if (imsgbuf_compose(client->buf, type, 0, data, len) == -1) {
		log_warn("control");
		client->ended = true;
	}
	event_add(client->writable, NULL);
}

static void
client_bytes(struct client *client, const char *bytes, size_t len)
{
	size_t n;

	for (; len > 0; len -= n, bytes += n) {
		n = len > CONTROL_PIECE ? CONTROL_PIECE : len;
		client_compose(client, CONTROL_DATA, bytes, n);
	}
}

/* The end of the answer: error is NULL, or says why there is none. */
static void
client_end(struct client *client, const char *error)
{
	struct control_end end;

	memset(&end, 0, sizeof(end));
	end.failed = error != NULL;
	strlcpy(end.error, error == NULL ? "" : error, sizeof(end.error));
	client_compose(client, CONTROL_END, &end, sizeof(end));
	client->ended = true;
	client_patience(client);
}

/* Answer with a document, which is taken over, or (NULL) with an error. */
static void
client_answer(struct client *client, json_t *document, const char *error)
{
	char *text;

	if (document == NULL) {
		client_end(client, error);
		return;
	}
	text = json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(13));
	json_decref(document);
	if (text == NULL) {
		client_end(client, "out of memory");
		return;
	}
	client_bytes(client, text, strlen(text));
	free(text);
	client_end(client, NULL);
}

static void
client_monitor(struct client *client)
{
	if (nmonitors == MONITORS_MAX) {
		client_end(client, "too many others follow the events");
		return;
	}
	nmonitors++;
	client->monitors = true;
	event_del(client->silence);
}

/* Is it a request as there may be?  NULL, or what is wrong with it. */
static const char *
request_wrong(const struct client *client, const struct imsg *imsg,
    struct control_request *request)
{
	if (imsg->hdr.type != CONTROL_REQUEST ||
	    imsg_get_data(imsg, request, sizeof(*request)) == -1)
		return ("not a request of this version of mt-gcpctl");
	if (request->version != CONTROL_VERSION)
		return ("mt-gcpctl and mt-gcpd are of different versions");
	if (request->command >= CONTROL_COMMANDS)
		return ("unknown command");
	if (memchr(request->failover, '\0', sizeof(request->failover)) ==
		NULL ||
	    memchr(request->reason, '\0', sizeof(request->reason)) == NULL ||
	    request->anyway > 1)
		return ("malformed request");
	if (!value_utf8(request->failover) || !value_utf8(request->reason))
		return ("expected UTF-8 without control characters");
	if (client->looks_only && request->command >= CONTROL_LOOKS)
		return ("this socket is read-only");
	if (!bucket_take(&bucket, mono_ms()))
		return ("too many requests: try again");
	return (NULL);
}

static void
client_request(struct client *client, const struct imsg *imsg)
{
	struct control_request request;
	const char *wrong = request_wrong(client, imsg, &request);
	char error[CONTROL_ERROR_LEN] = "";
	json_t *answer = NULL;

	client->asked = true;
	if (wrong != NULL) {
		client_end(client, wrong);
		return;
	}
	if (request.command == CONTROL_MONITOR) {
		client_monitor(client);
		return;
	}
	client->command = command_begin(&request, &client->cred, &answer,
	    error);
	if (client->command == NULL) {
		client_answer(client, answer, error);
		return;
	}
	/* It has an end of its own, which may have come already. */
	event_del(client->silence);
	control_progress();
}

static void
client_read(evutil_socket_t fd __unused, short what __unused, void *arg)
{
	struct client *client = arg;
	struct imsg imsg;
	ssize_t n;
	int r;

	n = imsgbuf_read(client->buf);
	if (n == -1 && errno == EAGAIN)
		return;
	/* One request, and no more: whoever goes on has lost his way. */
	if (n <= 0 || client->asked) {
		client_free(client);
		return;
	}
	r = imsgbuf_get(client->buf, &imsg);
	if (r == -1)
		client_free(client);
	else if (r == 1)
		client_request(client, &imsg);
}

static void
client_write(evutil_socket_t fd __unused, short what __unused, void *arg)
{
	struct client *client = arg;
	size_t before = imsgbuf_queued(client->buf);

	if (imsgbuf_write(client->buf) == -1) {
		if (errno != EAGAIN) {
			client_free(client);
			return;
		}
		if (imsgbuf_queued(client->buf) < before && client->ended)
			client_patience(client);
		event_add(client->writable, NULL);
	} else if (client->ended)
		client_free(client);
}

static void
client_silent(evutil_socket_t fd __unused, short what __unused, void *arg)
{
	log_debug("a client of the control socket was silent for too long");
	client_free(arg);
}

static void
client_new(int fd, bool looks_only)
{
	struct client *client;
	socklen_t len = sizeof(client->cred);

	client = calloc(1, sizeof(*client));
	if (client == NULL)
		fatal("%s", __func__);
	client->looks_only = looks_only;
	client->buf = imsgbuf_new(fd);
	client->readable = event_new(mtgcpd.base, fd, EV_READ | EV_PERSIST,
	    client_read, client);
	client->writable = event_new(mtgcpd.base, fd, EV_WRITE, client_write,
	    client);
	client->silence = evtimer_new(mtgcpd.base, client_silent, client);
	if (client->buf == NULL || client->readable == NULL ||
	    client->writable == NULL || client->silence == NULL ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &client->cred, &len) == -1)
		fatal("%s", __func__);
	TAILQ_INSERT_TAIL(&clients, client, entry);
	if (++nclients == CLIENTS_MAX)
		listen_on(false);
	event_add(client->readable, NULL);
	client_patience(client);
}

static void
control_accept(evutil_socket_t fd, short what __unused, void *arg)
{
	const struct listener *listener = arg;
	int client;

	client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (client != -1)
		client_new(client, listener == &listeners[1]);
	else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		log_warn("control socket");
}

/* Does anybody listen there? */
static bool
in_use(const struct sockaddr_un *address)
{
	bool connected;
	int fd;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return (false);
	connected = connect(fd, (const struct sockaddr *)address,
			sizeof(*address)) == 0;
	close(fd);
	return (connected);
}

static int
listener_bind(int fd, const struct sockaddr_un *address, mode_t mode)
{
	struct stat st;
	mode_t before;
	int r;

	if (lstat(address->sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(address->sun_path); /* of a daemon that is gone */
	before = umask(~mode & 0777);
	r = bind(fd, (const struct sockaddr *)address, sizeof(*address));
	(void)umask(before);
	return (r == -1 || listen(fd, CLIENTS_MAX) == -1 ? -1 : 0);
}

static int
group_own(const char *path, const char *name)
{
	const struct group *group;

	if (name == NULL)
		return (0);
	group = getgrnam(name);
	if (group == NULL) {
		log_errorx("control socket: there is no group %s", name);
		return (-1);
	}
	if (chown(path, (uid_t)-1, group->gr_gid) == 0)
		return (0);
	log_errorx("%s: cannot be given to group %s: %s", path, name,
	    strerror(errno));
	return (-1);
}

static int
listener_open(struct listener *listener, const char *path, const char *group,
    mode_t mode)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strlcpy(address.sun_path, path, sizeof(address.sun_path));
	if (in_use(&address)) {
		log_errorx("%s: another daemon listens there", path);
		return (-1);
	}
	listener->fd = socket(AF_UNIX,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener->fd == -1 ||
	    listener_bind(listener->fd, &address, mode) == -1) {
		log_errorx("%s: %s", path, strerror(errno));
		return (-1);
	}
	strlcpy(listener->path, path, sizeof(listener->path));
	listener->event = event_new(mtgcpd.base, listener->fd,
	    EV_READ | EV_PERSIST, control_accept, listener);
	if (listener->event == NULL || event_add(listener->event, NULL) == -1)
		fatalx("event_new");
	return (group_own(path, group));
}

/* Give an event to all who follow them; whoever is too slow is let go.  It may
 * also be what a command waits for. */
void
control_event(const char *line, size_t len)
{
	struct client *client, *next;

	TAILQ_FOREACH_SAFE(client, &clients, entry, next) {
		if (!client->monitors)
			continue;
		if (imsgbuf_queued(client->buf) + len > QUEUE_MAX)
			client_free(client);
		else
			client_bytes(client, line, len);
	}
	control_progress();
}

/* Something that a command may wait for has happened: those that are at their
 * end are answered. */
void
control_progress(void)
{
	struct client *client, *next;
	char error[CONTROL_ERROR_LEN];
	json_t *answer;

	TAILQ_FOREACH_SAFE(client, &clients, entry, next) {
		if (client->command == NULL)
			continue;
		answer = NULL;
		error[0] = '\0';
		if (!command_done(client->command, &answer, error))
			continue;
		command_free(client->command);
		client->command = NULL;
		client_answer(client, answer, error);
	}
}

/*
 * Listen where the configuration says: for administrators, and where only
 * looking is allowed for everybody.  Returns -1 and says why if that cannot be.
 */
int
control_open(const struct conf *conf)
{
	bucket_set(&bucket, REQUESTS_RATE * 1000, REQUESTS_BURST, mono_ms());
	if (listener_open(&listeners[0], conf->control_path,
		conf->control_group, 0660) == -1)
		return (-1);
	if (conf->control_looks != NULL &&
	    listener_open(&listeners[1], conf->control_looks, NULL, 0666) == -1)
		return (-1);
	return (0);
}

/* Stop listening, and let all clients go. */
void
control_close(void)
{
	struct client *client;
	size_t i;

	while ((client = TAILQ_FIRST(&clients)) != NULL)
		client_free(client);
	for (i = 0; i < 2; i++) {
		if (listeners[i].event != NULL)
			event_free(listeners[i].event);
		if (listeners[i].fd != -1)
			close(listeners[i].fd);
		if (listeners[i].path[0] != '\0')
			(void)unlink(listeners[i].path);
		listeners[i] = (struct listener){ .fd = -1 };
	}
}
