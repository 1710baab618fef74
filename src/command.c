/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "log.h"
#include "mtgcpd.h"

/*
 * What mt-gcpctl(8) may ask for: to be shown something, or to have something
 * done.  The answer to the latter says what has happened, not that it will.
 */

struct command {
	enum control_command command;
	struct control_request request;
	struct ucred cred;
	uint64_t *cycle; /* probe: that has to end, by failover; 0: none */
	size_t count;
	const struct conf *conf; /* that the failovers are of */
	uint64_t reload;	 /* reload: its number */
};

/* What is shown by the commands that only look. */
static const struct {
	const char *name;
	unsigned int show;
} commands[CONTROL_COMMANDS] = {
	[CONTROL_STATUS] = { "show status", SHOW_BREAKERS },
	[CONTROL_FAILOVER] = { "show failover", SHOW_ALL },
	[CONTROL_CHECKS] = { "show checks", SHOW_CHECKS },
	[CONTROL_ROUTES] = { "show routes", SHOW_ROUTES },
	[CONTROL_BREAKERS] = { "show breakers", SHOW_BREAKERS },
	[CONTROL_HISTORY] = { "show history", 0 },
	[CONTROL_EXPLAIN] = { "explain", SHOW_ALL },
	[CONTROL_MONITOR] = { "monitor", 0 },
	[CONTROL_HOLD] = { "hold", 0 },
	[CONTROL_FORCE] = { "force", 0 },
	[CONTROL_RELEASE] = { "release", 0 },
	[CONTROL_ACK] = { "ack", 0 },
	[CONTROL_PROBE] = { "probe", SHOW_CHECKS },
	[CONTROL_RELOAD] = { "reload", 0 },
	[CONTROL_LOG_BRIEF] = { "log brief", 0 },
	[CONTROL_LOG_VERBOSE] = { "log verbose", 0 },
	[CONTROL_LOG_REOPEN] = { "log reopen", 0 },
};

/* The failover of a request, or NULL: all. */
static struct failover *
named(const struct control_request *request)
{
	struct failover *failover;
	size_t count = engine_failovers(&failover);
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(failover[i].conf->name, request->failover) == 0)
			return (&failover[i]);
	return (NULL);
}

/* Is the request about this failover? */
static bool
meant(const struct control_request *request, const struct failover *failover)
{
	return (request->failover[0] == '\0' ||
	    strcmp(request->failover, failover->conf->name) == 0);
}

/* An answer, with what every one of them says. */
static json_t *
answer_new(enum control_command command)
{
	return (json_pack("{s:s, s:o}", "command", commands[command].name,
	    "daemon", show_daemon()));
}

static json_t *
look(const struct control_request *request)
{
	unsigned int what = commands[request->command].show;
	json_t *answer = answer_new((enum control_command)request->command);
	json_t *list = json_array(), *object;
	struct failover *failover;
	size_t count = engine_failovers(&failover);
	size_t i;

	if (request->command == CONTROL_HISTORY) {
		json_decref(list);
		json_object_set_new(answer, "transitions",
		    show_history(request->failover[0] == '\0' ?
			    NULL :
			    request->failover));
		return (answer);
	}
	for (i = 0; i < count; i++) {
		if (!meant(request, &failover[i]))
			continue;
		object = show_failover(&failover[i], what);
		if (request->command == CONTROL_EXPLAIN)
			explain(&failover[i],
			    request->failover[0] == '\0' ? count : 1, object);
		json_array_append_new(list, object);
	}
	json_object_set_new(answer, "failovers", list);
	return (answer);
}

/* The words of a request, as somebody might have typed them. */
static void
arguments(const struct control_request *request, char *text, size_t len)
{
	char word[64];

	strlcpy(text, request->failover, len);
	if (request->command == CONTROL_FORCE) {
		snprintf(word, sizeof(word), " state %u", request->state);
		strlcat(text, word, len);
	}
	if (request->seconds > 0) {
		snprintf(word, sizeof(word), "%sfor %u",
		    *text == '\0' ? "" : " ", request->seconds);
		strlcat(text, word, len);
	}
	if (request->anyway)
		strlcat(text, " anyway", len);
}

/* Who has ordered what, and whether it was done; error is NULL or "" if so. */
static void
command_event(const struct control_request *request, const struct ucred *cred,
    const char *failover, const char *error)
{
	const char *name = commands[request->command].name;
	char words[FAILOVER_LEN + 128];
	struct event_head head = {
		.type = "operator_command",
		.result = error == NULL || *error == '\0' ? RESULT_SUCCESS :
							    RESULT_FAILURE,
		.component = "control",
		.operation = name,
		.failover = failover,
		.duration = -1,
		.error = error,
	};

	arguments(request, words, sizeof(words));
	log_info("control: \"%s%s%s\" by user %u, process %d%s%s", name,
	    *words == '\0' ? "" : " ", words, (unsigned int)cred->uid,
	    (int)cred->pid, head.result == RESULT_FAILURE ? ": " : "",
	    head.result == RESULT_FAILURE ? error : "");
	event_emit(&head,
	    json_pack("{s:i, s:i, s:s, s:o}", "uid", (int)cred->uid, "pid",
		(int)cred->pid, "arguments", words, "reason",
		request->reason[0] == '\0' ? json_null() :
					     json_string(request->reason)));
}

static void append(char *text, size_t len, const char *format, ...)
    __attribute__((__format__(__printf__, 3, 4)));

static void
append(char *text, size_t len, const char *format, ...)
{
	size_t used = strlen(text);
	va_list ap;

	va_start(ap, format);
	vsnprintf(text + used, len - used, format, ap);
	va_end(ap);
}

static const char *
advert_word(enum advert advert)
{
	static const char *const words[] = {
		[ADVERT_KEEP] = "stays as it is",
		[ADVERT_ADVERTISE] = "advertised",
		[ADVERT_WITHDRAW] = "withdrawn",
	};

	return (words[advert]);
}

/* What a failover does from now on. */
static void
describe(const struct failover *failover, char *text, size_t len)
{
	const struct decision *decision = &failover->decision;
	const struct failover_conf *conf = failover->conf;
	struct msg_plan picture = { 0 };
	char prefix[PREFIXES][PREFIX_LEN];
	int i;

	if (conf->passive) {
		append(text, len, "; passive: nothing is written");
		return;
	}
	if (!decision->overridden && failover->orders.hold) {
		append(text, len,
		    "; no new step begins, the call in flight "
		    "finishes");
		return;
	}
	if (decision->acting == STATE_NONE ||
	    (!decision->overridden && decision->read == STATE_NONE)) {
		append(text, len,
		    "; nothing is written before enough is "
		    "known");
		return;
	}
	plan_picture(failover, &picture);
	for (i = 0; i < PREFIXES; i++)
		prefix_text(&conf->prefix[i], prefix[i], sizeof(prefix[i]));
	append(text, len, "; acts as state %d: %s %s, %s %s, Cloudflare ",
	    decision->acting, prefix[PRIMARY],
	    advert_word((enum advert)picture.prefix[PRIMARY]),
	    prefix[SECONDARY],
	    advert_word((enum advert)picture.prefix[SECONDARY]));
	if (picture.cloudflare == STEER_KEEP)
		append(text, len, "stays as it is");
	else
		append(text, len, "priority %u",
		    picture.cloudflare == STEER_PRIORITY ? conf->priority :
							   conf->failed);
}

static void
until(const struct order *order, char *text, size_t len)
{
	if (order->until == 0)
		append(text, len, " until released");
	else
		append(text, len, " for %lld s",
		    (long long)((order->until - wall_ms() + 500) / 1000));
}

static void
do_hold(struct failover *failover, const struct control_request *request,
    char *text, size_t len)
{
	operator_hold(failover, request->seconds, request->reason);
	append(text, len, "held");
	until(&failover->hold, text, len);
	if (failover->orders.force != STATE_NONE)
		append(text, len, ", but forced, which outranks it");
}

static void
do_release(struct failover *failover, char *text, size_t len)
{
	bool held = failover->hold.given, forced = failover->force.given;

	operator_release(failover);
	append(text, len, "%s",
	    held && forced ? "released from hold and force" :
		held	   ? "released from hold" :
		forced	   ? "released from force" :
			     "was neither held nor forced");
}

static void
do_ack(struct failover *failover, char *text, size_t len)
{
	bool braked = failover->machine.braked, contested = false;
	int object;

	for (object = 0; object < OBJECTS; object++)
		contested = contested || failover->drift[object].contested;
	operator_ack(failover);
	append(text, len, "%s%s%s", braked ? "brake ended" : "",
	    braked && contested ? ", " : "",
	    contested ? "contested objects are ours again" : "");
	if (!braked && !contested)
		append(text, len, "there was nothing to acknowledge");
}

/* Carry a request out for one failover; false: error says why not. */
static bool
carry_out(struct failover *failover, const struct control_request *request,
    char *text, size_t len, char error[CONTROL_ERROR_LEN])
{
	switch (request->command) {
	case CONTROL_HOLD:
		do_hold(failover, request, text, len);
		break;
	case CONTROL_FORCE:
		if (operator_force(failover, (int)request->state,
			request->seconds, request->anyway, request->reason,
			error, CONTROL_ERROR_LEN) == -1)
			return (false);
		append(text, len, "forced");
		until(&failover->force, text, len);
		break;
	case CONTROL_RELEASE:
		do_release(failover, text, len);
		break;
	default:
		do_ack(failover, text, len);
	}
	describe(failover, text, len);
	return (true);
}

static json_t *
order(const struct control_request *request, const struct ucred *cred,
    char error[CONTROL_ERROR_LEN])
{
	json_t *results = json_array(), *answer;
	struct failover *failover;
	size_t count = engine_failovers(&failover);
	char text[1024];
	size_t i;

	for (i = 0; i < count; i++) {
		if (!meant(request, &failover[i]))
			continue;
		text[0] = '\0';
		if (!carry_out(&failover[i], request, text, sizeof(text),
			error)) {
			command_event(request, cred, failover[i].conf->name,
			    error);
			json_decref(results);
			return (NULL);
		}
		command_event(request, cred, failover[i].conf->name, NULL);
		json_array_append_new(results,
		    json_pack("{s:s, s:s, s:o}", "failover",
			failover[i].conf->name, "text", text, "orders",
			show_orders(&failover[i])));
	}
	answer = answer_new((enum control_command)request->command);
	json_object_set_new(answer, "results", results);
	return (answer);
}

static json_t *
done(const struct control_request *request, const char *text)
{
	json_t *answer = answer_new((enum control_command)request->command);

	json_object_set_new(answer, "text", json_string(text));
	return (answer);
}

static json_t *
set_log(const struct control_request *request, const struct ucred *cred)
{
	command_event(request, cred, NULL, NULL);
	switch (request->command) {
	case CONTROL_LOG_REOPEN:
		logs_reopen();
		return (done(request, "log files opened again"));
	case CONTROL_LOG_VERBOSE:
		logs_level(LOG_DEBUG);
		return (done(request,
		    "debug messages are logged until "
		    "\"log brief\", a reload or a restart"));
	default:
		logs_level(mtgcpd.conf->log_level);
		return (done(request, "the log has its configured level"));
	}
}

static struct command *
command_new(const struct control_request *request, const struct ucred *cred)
{
	struct command *command = calloc(1, sizeof(*command));

	if (command == NULL)
		fatal("%s", __func__);
	command->command = (enum control_command)request->command;
	command->request = *request;
	command->cred = *cred;
	return (command);
}

/* Begin the cycles, or wait for those that run. */
static struct command *
probe(const struct control_request *request, const struct ucred *cred,
    char error[CONTROL_ERROR_LEN])
{
	struct command *command = command_new(request, cred);
	struct failover *failover;
	size_t i;

	command->conf = mtgcpd.conf;
	command->count = engine_failovers(&failover);
	command->cycle = calloc(command->count, sizeof(*command->cycle));
	if (command->cycle == NULL)
		fatal("%s", __func__);
	for (i = 0; i < command->count; i++) {
		if (!meant(request, &failover[i]))
			continue;
		if (!engine_probe(&failover[i])) {
			strlcpy(error,
			    "the daemon is starting, reloading or "
			    "stopping",
			    CONTROL_ERROR_LEN);
			command_event(request, cred, NULL, error);
			command_free(command);
			return (NULL);
		}
		command->cycle[i] = failover[i].cycle;
	}
	command_event(request, cred,
	    request->failover[0] == '\0' ? NULL : request->failover, NULL);
	return (command);
}

static bool
probe_done(const struct command *command, json_t **answer,
    char error[CONTROL_ERROR_LEN])
{
	struct failover *failover;
	size_t count = engine_failovers(&failover);
	size_t i;

	if (command->conf != mtgcpd.conf) {
		strlcpy(error, "reloaded meanwhile", CONTROL_ERROR_LEN);
		return (true);
	}
	for (i = 0; i < count; i++)
		if (failover[i].reported < command->cycle[i])
			return (false);
	*answer = look(&command->request);
	return (true);
}

static struct command *
reload(const struct control_request *request, const struct ucred *cred,
    char error[CONTROL_ERROR_LEN])
{
	struct command *command = command_new(request, cred);

	command->reload = reload_begin();
	if (command->reload == 0)
		strlcpy(error, "starting, stopping, or still reloading",
		    CONTROL_ERROR_LEN);
	command_event(request, cred, NULL, error);
	if (command->reload != 0)
		return (command);
	command_free(command);
	return (NULL);
}

static bool
reload_ended(const struct command *command, json_t **answer,
    char error[CONTROL_ERROR_LEN])
{
	if (!reload_result(command->reload, error, CONTROL_ERROR_LEN))
		return (false);
	if (error[0] == '\0')
		*answer = done(&command->request,
		    "reloaded: the new configuration is in use");
	return (true);
}

/*
 * Carry out a request, which has been checked.  Returns NULL with an answer,
 * which is then the caller's, or with an error; or a command whose end has to
 * be waited for.
 */
struct command *
command_begin(const struct control_request *request, const struct ucred *cred,
    json_t **answer, char error[CONTROL_ERROR_LEN])
{
	if (request->failover[0] != '\0' && named(request) == NULL) {
		snprintf(error, CONTROL_ERROR_LEN,
		    "there is no failover \"%s\"", request->failover);
		return (NULL);
	}
	switch (request->command) {
	case CONTROL_HOLD:
	case CONTROL_FORCE:
	case CONTROL_RELEASE:
	case CONTROL_ACK:
		*answer = order(request, cred, error);
		return (NULL);
	case CONTROL_PROBE:
		return (probe(request, cred, error));
	case CONTROL_RELOAD:
		return (reload(request, cred, error));
	case CONTROL_LOG_BRIEF:
	case CONTROL_LOG_VERBOSE:
	case CONTROL_LOG_REOPEN:
		*answer = set_log(request, cred);
		return (NULL);
	default:
		*answer = look(request);
		return (NULL);
	}
}

/* Has the command come to its end?  Then there is an answer, which is the
 * caller's, or an error. */
bool
command_done(struct command *command, json_t **answer,
    char error[CONTROL_ERROR_LEN])
{
	if (command->command == CONTROL_RELOAD)
		return (reload_ended(command, answer, error));
	return (probe_done(command, answer, error));
}

/* Nobody waits for it any more. */
void
command_free(struct command *command)
{
	if (command == NULL)
		return;
	free(command->cycle);
	free(command);
}
