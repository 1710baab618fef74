/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/socket.h>
#include <sys/un.h>

#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "log.h"

/*
 * mt-gcpctl(8): asks the daemon over its control socket, and writes what it
 * answers, as text for people or as the JSON that came.
 */

static bool as_json;

/* The bytes of an answer. */
static struct {
	char *text;
	size_t len;
	size_t size;
} answer;

static __dead void
usage(const char *why)
{
	if (why != NULL)
		fprintf(stderr, "mt-gcpctl: %s\n", why);
	fprintf(stderr, "usage: mt-gcpctl [-j] [-s socket] command\n");
	words_usage();
	exit(2);
}

static struct imsgbuf *
connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct imsgbuf *buf;
	int fd;

	if (strlcpy(address.sun_path, path, sizeof(address.sun_path)) >=
	    sizeof(address.sun_path))
		errx(1, "%s: too long for a socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		err(1, "socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1)
		err(1, "%s%s", path,
		    errno == ECONNREFUSED || errno == ENOENT ?
			": is mt-gcpd running?" :
			"");
	buf = imsgbuf_new(fd);
	if (buf == NULL)
		err(1, NULL);
	return (buf);
}

static void
add(const void *bytes, size_t len)
{
	if (answer.size - answer.len < len + 1) {
		answer.size = (answer.len + len + 1) * 2;
		answer.text = realloc(answer.text, answer.size);
		if (answer.text == NULL)
			err(1, NULL);
	}
	memcpy(answer.text + answer.len, bytes, len);
	answer.len += len;
	answer.text[answer.len] = '\0';
}

static json_t *
parse(const char *text, size_t len)
{
	json_error_t error;
	json_t *json = json_loadb(text, len, 0, &error);

	if (json == NULL)
		errx(1, "the daemon's answer is not JSON: %s", error.text);
	return (json);
}

/* Events come as lines; a piece may end within one. */
static void
print_events(void)
{
	char *line = answer.text, *end;
	json_t *event;

	while ((end = memchr(line, '\n',
		    answer.len - (size_t)(line - answer.text))) != NULL) {
		if (as_json)
			printf("%.*s\n", (int)(end - line), line);
		else {
			event = parse(line, (size_t)(end - line));
			print_event(event);
			json_decref(event);
		}
		line = end + 1;
	}
	answer.len -= (size_t)(line - answer.text);
	memmove(answer.text, line, answer.len);
	if (fflush(stdout) == EOF)
		exit(1);
}

static void
print_all(enum control_command command)
{
	json_t *json = parse(answer.text, answer.len);

	if (as_json)
		printf("%s\n", answer.text);
	else
		print_answer(command, json);
	json_decref(json);
	if (fflush(stdout) == EOF)
		err(1, "standard output");
}

static __dead void
end(const struct imsg *imsg, enum control_command command)
{
	struct control_end how;
	json_t *json;

	if (imsg_get_data(imsg, &how, sizeof(how)) == -1)
		errx(1, "the daemon is of another version");
	how.error[sizeof(how.error) - 1] = '\0';
	if (!how.failed) {
		print_all(command);
		exit(0);
	}
	if (as_json) {
		json = json_pack("{s:s}", "error", how.error);
		json_dumpf(json, stdout, JSON_COMPACT);
		printf("\n");
		json_decref(json);
	}
	clean_text(how.error);
	errx(1, "%s", how.error);
}

static void
take(struct imsgbuf *buf, enum control_command command)
{
	struct imsg imsg;
	int r;

	while ((r = imsgbuf_get(buf, &imsg)) == 1) {
		if (imsg.hdr.type == CONTROL_END)
			end(&imsg, command);
		if (imsg.hdr.type != CONTROL_DATA)
			errx(1, "the daemon is of another version");
		add(imsg.data, imsg.len);
		if (command == CONTROL_MONITOR)
			print_events();
	}
	if (r == -1)
		errx(1, "the daemon sent something else than an answer");
}

static void
ask(struct imsgbuf *buf, const struct control_request *request)
{
	if (imsgbuf_compose(buf, CONTROL_REQUEST, 0, request,
		sizeof(*request)) == -1 ||
	    imsgbuf_write(buf) == -1)
		err(1, "cannot ask the daemon");
}

int
main(int argc, char *argv[])
{
	const char *path = CONTROL_SOCKET;
	struct control_request request;
	struct imsgbuf *buf;
	char why[256];
	ssize_t n;
	int ch;

	while ((ch = getopt(argc, argv, "+js:")) != -1) {
		switch (ch) {
		case 'j':
			as_json = true;
			break;
		case 's':
			path = optarg;
			break;
		default:
			usage(NULL);
		}
	}
	if (optind == argc)
		usage(NULL);
	if (words_parse(&request, argc - optind, argv + optind, why,
		sizeof(why)) == -1)
		usage(why);
	buf = connect_to(path);
	ask(buf, &request);
	while ((n = imsgbuf_read(buf)) > 0)
		take(buf, (enum control_command)request.command);
	if (n == -1)
		err(1, "%s", path);
	errx(1, "the daemon has closed the connection");
}
