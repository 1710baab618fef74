/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mtgcpd.h"

/*
 * Replay: the state machine is given, under a configuration that may be another
 * one, what recorded events say that it was given, and the transitions that it
 * makes are shown beside those that were recorded.
 */

/* A transition of either kind; to is STATE_NONE if there was none. */
struct move {
	int from;
	int to;
};

/* A cycle, as its event has it. */
struct heard {
	int64_t wall; /* milliseconds */
	const char *corr;
	int current;
	int64_t age; /* of the current state */
	bool held;
	struct sample sample; /* but for the local router's BGP sessions */
	bool exact;	      /* there are inputs */
	struct inputs inputs;
};

/* A failover, on its way through the record. */
struct player {
	const struct failover_conf *conf;
	struct machine machine;
	bool begun;   /* a cycle has been replayed */
	bool fresh;   /* the daemon has started since the last one */
	bool told;    /* that its cycles come without their inputs */
	bool acked;   /* by a command, since the last cycle */
	int64_t wall; /* of the last cycle */
	int64_t clock;
	int recorded; /* the current state, as recorded */
	struct move move;
	int64_t moved;	     /* when, by the wall clock */
	size_t line;	     /* where it is */
	char corr[CORR_LEN]; /* in which cycle */
	enum verdict local_bgp;
	char bgp_corr[CORR_LEN];
	uint64_t cycles;
	uint64_t moves_recorded;
	uint64_t moves_replayed;
	uint64_t different;
	int64_t spent_recorded[STATE_MAX + 1];
	int64_t spent_replayed[STATE_MAX + 1];
};

/* One replay. */
struct replay {
	const char *name; /* of the record, for messages */
	size_t line;
	FILE *out;
	int width; /* of the names of failovers */
	struct player *player;
	size_t count;
	json_t *strangers; /* failovers that the configuration does not have */
};

/* A line about the record, on standard error. */
static void __attribute__((__format__(__printf__, 3, 4)))
tell(const struct replay *replay, size_t line, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%zu: ", replay->name, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* Leave out the line, for a reason that may quote from it what no terminal
 * should see. */
static void
skip(const struct replay *replay, const char *why)
{
	char text[JSON_ERROR_TEXT_LENGTH];
	char *c;

	strlcpy(text, why, sizeof(text));
	for (c = text; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	tell(replay, replay->line, "%s; skipped", text);
}

/* An instant of the wall clock, in UTC: 24 characters. */
static void
print_time(FILE *out, int64_t wall)
{
	time_t seconds = wall / 1000;
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(out, "%s.%03dZ", text, (int)(wall % 1000));
}

static void
print_move(FILE *out, const struct move *move)
{
	char text[16] = "-";

	if (move->to != STATE_NONE)
		snprintf(text, sizeof(text), "%d -> %d", move->from, move->to);
	fprintf(out, "  %-8s", text);
}

/* One line for what was recorded and what was replayed of the same cycle. */
static void
print_row(struct replay *replay, struct player *player, int64_t wall,
    const struct move *recorded, const struct move *replayed)
{
	bool same = recorded->from == replayed->from &&
	    recorded->to == replayed->to;

	player->moves_recorded += recorded->to != STATE_NONE;
	player->moves_replayed += replayed->to != STATE_NONE;
	player->different += !same;
	print_time(replay->out, wall);
	fprintf(replay->out, "  %-*s", replay->width, player->conf->name);
	print_move(replay->out, recorded);
	print_move(replay->out, replayed);
	fprintf(replay->out, "%s\n", same ? "" : "  differs");
}

/* A transition was recorded, but not the cycle that it was made in. */
static void
flush_move(struct replay *replay, struct player *player)
{
	static const struct move none;

	if (player->move.to == STATE_NONE)
		return;
	tell(replay, player->line, "the cycle of this transition is missing");
	print_row(replay, player, player->moved, &player->move, &none);
	player->recorded = player->move.to;
	player->move = none;
}

/* The player of that failover; one that there is not is told of once. */
static struct player *
find_player(struct replay *replay, const json_t *event)
{
	const char *name = json_string_value(
	    json_object_get(event, "failover"));
	char *quoted;
	size_t i;

	if (name == NULL) {
		skip(replay, "the event names no failover");
		return (NULL);
	}
	for (i = 0; i < replay->count; i++)
		if (strcmp(replay->player[i].conf->name, name) == 0)
			return (&replay->player[i]);
	if (json_object_get(replay->strangers, name) != NULL)
		return (NULL);
	json_object_set_new(replay->strangers, name, json_true());
	quoted = json_dumps(json_object_get(event, "failover"),
	    JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	tell(replay, replay->line, "failover %s is not in the configuration",
	    quoted == NULL ? "" : quoted);
	free(quoted);
	return (NULL);
}

static const char *
event_text(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return (text == NULL ? "" : text);
}

/* The instant of an event, in milliseconds of the wall clock, or -1. */
static int64_t
event_wall(const json_t *event)
{
	const json_t *value = json_object_get(event, "timestamp");
	double seconds = json_number_value(value);

	if (!json_is_number(value) || !(seconds >= 0) ||
	    seconds > (double)(WALL_MAX / 1000))
		return (-1);
	return ((int64_t)(seconds * 1000 + 0.5));
}

static int
hear_samples(struct sample *sample, const json_t *details)
{
	const json_t *services = json_object_get(details, "samples");
	const json_t *announces = json_object_get(details, "remote_announces");

	sample->bgp[LOCAL] = V_UNKNOWN;
	if (inputs_verdict(&sample->services[LOCAL],
		json_object_get(services, "local_healthy")) == -1 ||
	    inputs_verdict(&sample->services[REMOTE],
		json_object_get(services, "remote_healthy")) == -1 ||
	    inputs_verdict(&sample->bgp[REMOTE],
		json_object_get(services, "remote_bgp_up")) == -1 ||
	    inputs_verdict(&sample->remote_announces[PRIMARY],
		json_object_get(announces, "primary")) == -1 ||
	    inputs_verdict(&sample->remote_announces[SECONDARY],
		json_object_get(announces, "secondary")) == -1)
		return (-1);
	return (0);
}

/* Returns -1 if it is no event of a cycle as the daemon writes them. */
static int
hear(struct heard *heard, const json_t *event)
{
	const json_t *details = json_object_get(event, "details");
	const json_t *inputs = json_object_get(details, "inputs");
	double age = json_number_value(
	    json_object_get(details, "time_in_state_seconds"));
	int64_t current;

	memset(heard, 0, sizeof(*heard));
	heard->wall = event_wall(event);
	heard->corr = event_text(event, "correlation_id");
	heard->held = json_is_true(json_object_get(details, "held"));
	heard->exact = inputs != NULL;
	if (heard->wall == -1 ||
	    inputs_number(&current, json_object_get(details, "current_state"),
		STATE_NONE, STATE_MAX) == -1 ||
	    hear_samples(&heard->sample, details) == -1)
		return (-1);
	heard->current = (int)current;
	if (age > 0 && age < (double)(WALL_MAX / 1000))
		heard->age = (int64_t)(age * 1000 + 0.5);
	if (!heard->exact)
		return (0);
	if (inputs_read(&heard->inputs, inputs) == -1)
		return (-1);
	heard->sample.bgp[LOCAL] = heard->inputs.local_bgp;
	return (0);
}

/*
 * Events that somebody else wrote, or has cut, may lack the inputs.  The wall
 * clock stands in, as far as it runs forwards; what was seen of the local
 * router has an event of its own.
 */
static void
guess_inputs(struct replay *replay, struct player *player, struct heard *heard)
{
	struct inputs *inputs = &heard->inputs;
	int64_t elapsed = heard->wall - player->wall;

	if (!player->told)
		tell(replay, replay->line,
		    "%s: no inputs are recorded: the clock is that of the "
		    "timestamps, and where nothing is said of the local "
		    "router it counts as up",
		    player->conf->name);
	player->told = true;
	inputs->clock = heard->wall;
	if (player->begun)
		inputs->clock = player->clock + (elapsed > 0 ? elapsed : 0);
	inputs->hold = heard->held;
	heard->sample.bgp[LOCAL] = V_YES;
	if (strcmp(player->bgp_corr, heard->corr) == 0)
		heard->sample.bgp[LOCAL] = player->local_bgp;
}

/* The record begins: with the memory of the machine, if all is well. */
static void
player_begin(struct replay *replay, struct player *player,
    const struct heard *heard)
{
	bool moved = player->move.to != STATE_NONE;

	if (heard->inputs.remembers) {
		player->machine = heard->inputs.memory;
		return;
	}
	if (!player->fresh)
		tell(replay, replay->line,
		    "%s: what came before is not recorded: every verdict "
		    "begins as unknown",
		    player->conf->name);
	machine_restore(&player->machine,
	    moved ? player->move.from : heard->current,
	    heard->inputs.clock - (moved ? 0 : heard->age));
}

/* Keep what the state file keeps, on a clock that may be another one. */
static void
player_restore(struct player *player, const struct heard *heard)
{
	struct machine old = player->machine;
	int64_t now = heard->inputs.clock;
	int64_t shift = player->wall - player->clock - (heard->wall - now);
	uint32_t i;

#define RECALL(at) ((at) + shift > now ? now : (at) + shift)
	machine_restore(&player->machine, old.current, RECALL(old.entered));
	player->machine.braked = old.braked;
	for (i = 0; i < old.nmoves; i++)
		machine_move(&player->machine, RECALL(old.moves[i]));
#undef RECALL
}

/*
 * The daemon has started anew.  It takes its state, and the times to the
 * millisecond, from its file; those of the replay may be others by now, and are
 * kept then.  But if the file was not what the daemon had left there, it is the
 * file that counts.
 */
static void
player_restart(struct player *player, const struct heard *heard)
{
	const struct machine *memory = &heard->inputs.memory;
	const struct machine *own = &player->machine;

	if (heard->inputs.remembers &&
	    (memory->current != player->recorded ||
		(player->different == 0 && memory->current == own->current &&
		    memory->nmoves == own->nmoves &&
		    memory->braked == own->braked)))
		player->machine = *memory;
	else
		player_restore(player, heard);
}

/* What has happened to the machine since the last cycle? */
static void
player_prepare(struct replay *replay, struct player *player,
    const struct heard *heard)
{
	const struct inputs *inputs = &heard->inputs;
	bool back = player->begun && inputs->clock < player->clock;

	if (!player->begun)
		player_begin(replay, player, heard);
	else if (player->fresh || back || inputs->began == BEGAN_START)
		player_restart(player, heard);
	else if (inputs->began == BEGAN_RELOAD)
		machine_restore(&player->machine, player->machine.current,
		    player->machine.entered);
	if (back && !player->fresh && inputs->began != BEGAN_START)
		tell(replay, replay->line,
		    "%s: the clock has been set back: taken for a restart",
		    player->conf->name);
	if (player->acked || inputs->acknowledged)
		machine_ack(&player->machine);
	player->fresh = player->acked = false;
}

/* The states up to this cycle have lasted since the one before. */
static void
player_spend(struct player *player, const struct heard *heard)
{
	int64_t spent = heard->wall - player->wall;

	if (!player->begun)
		return;
	if (!player->fresh && heard->inputs.began != BEGAN_START &&
	    heard->inputs.clock >= player->clock)
		spent = heard->inputs.clock - player->clock;
	if (spent < 0)
		spent = 0;
	player->spent_recorded[player->recorded] += spent;
	player->spent_replayed[player->machine.current] += spent;
}

static void
player_step(struct replay *replay, struct player *player,
    const struct heard *heard)
{
	static const struct move none;
	struct decision decision;
	struct move move = none;
	struct orders orders = {
		.passive = player->conf->passive,
		.hold = heard->inputs.hold,
		.force = heard->inputs.force,
	};

	machine_step(&player->machine, &player->conf->policy, &orders,
	    &heard->sample, heard->inputs.clock, &decision);
	if (decision.changed) {
		move.from = decision.old;
		move.to = decision.current;
	}
	if (move.to != STATE_NONE || player->move.to != STATE_NONE)
		print_row(replay, player,
		    player->move.to != STATE_NONE ? player->moved : heard->wall,
		    &player->move, &move);
	player->move = none;
	player->recorded = heard->current;
	player->wall = heard->wall;
	player->clock = heard->inputs.clock;
	player->begun = true;
	player->cycles++;
}

/*
 * A cycle.  The end of one may be told twice, and one that was given up is told
 * without a step: neither is one more step.
 */
static void
play_cycle(struct replay *replay, const json_t *event)
{
	struct player *player = find_player(replay, event);
	struct heard heard;

	if (player == NULL ||
	    json_is_null(
		json_object_get(json_object_get(event, "details"), "inputs")))
		return;
	if (hear(&heard, event) == -1) {
		skip(replay, "not a cycle that can be replayed");
		return;
	}
	if (heard.exact && player->begun && !player->fresh &&
	    heard.inputs.began == BEGAN_NOT &&
	    heard.inputs.clock == player->clock)
		return;
	if (strcmp(player->corr, heard.corr) != 0)
		flush_move(replay, player);
	if (!heard.exact)
		guess_inputs(replay, player, &heard);
	player_spend(player, &heard);
	player_prepare(replay, player, &heard);
	player_step(replay, player, &heard);
}

/* A transition: it is told before its cycle. */
static void
play_transition(struct replay *replay, const json_t *event)
{
	const json_t *details = json_object_get(event, "details");
	struct player *player = find_player(replay, event);
	int64_t from, to, wall = event_wall(event);

	if (player == NULL)
		return;
	if (wall == -1 ||
	    inputs_number(&from, json_object_get(details, "old_state"),
		STATE_NONE, STATE_MAX) == -1 ||
	    inputs_number(&to, json_object_get(details, "new_state"), 1,
		STATE_MAX) == -1) {
		skip(replay, "not a transition");
		return;
	}
	flush_move(replay, player);
	player->move.from = (int)from;
	player->move.to = (int)to;
	player->moved = wall;
	player->line = replay->line;
	strlcpy(player->corr, event_text(event, "correlation_id"),
	    sizeof(player->corr));
}

/* What a cycle saw: of interest is the local router, for cycles without their
 * inputs. */
static void
play_result(struct replay *replay, const json_t *event)
{
	const json_t *details = json_object_get(event, "details");
	const struct failover_conf *conf;
	struct player *player = find_player(replay, event);

	if (player == NULL)
		return;
	conf = player->conf;
	if (strcmp(event_text(event, "operation"), "check_bgp_sessions") != 0 ||
	    strcmp(event_text(details, "router"), conf->router[LOCAL]) != 0 ||
	    strcmp(event_text(details, "region"), conf->router_region[LOCAL]) !=
		0)
		return;
	if (inputs_verdict(&player->local_bgp,
		json_object_get(details, "sample")) == -1) {
		skip(replay, "not the result of a check");
		return;
	}
	strlcpy(player->bgp_corr, event_text(event, "correlation_id"),
	    sizeof(player->bgp_corr));
}

static void
play_lifecycle(struct replay *replay, const json_t *event)
{
	size_t i;

	if (strcmp(event_text(event, "operation"), "startup") != 0)
		return;
	for (i = 0; i < replay->count; i++)
		replay->player[i].fresh = true;
}

/* Hold and force are among the inputs of the cycles. */
static void
play_command(struct replay *replay, const json_t *event)
{
	struct player *player;

	if (strcmp(event_text(event, "operation"), "ack") != 0 ||
	    strcmp(event_text(event, "result"), "success") != 0)
		return;
	player = find_player(replay, event);
	if (player != NULL)
		player->acked = true;
}

static const struct {
	const char *type;
	void (*play)(struct replay *, const json_t *);
} players[] = {
	{ "health_check_cycle", play_cycle },
	{ "state_transition", play_transition },
	{ "health_check_result", play_result },
	{ "daemon_lifecycle", play_lifecycle },
	{ "operator_command", play_command },
};

static void
play_line(struct replay *replay, const char *text, size_t len)
{
	json_error_t error;
	json_t *event = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	const char *type = event_text(event, "event_type");
	size_t i;

	if (event == NULL)
		skip(replay, error.text);
	else if (*type == '\0')
		skip(replay, "not an event");
	for (i = 0; i < sizeof(players) / sizeof(players[0]); i++)
		if (strcmp(type, players[i].type) == 0)
			players[i].play(replay, event);
	json_decref(event);
}

static void
print_summary(struct replay *replay, const struct player *player)
{
	int state;

	fprintf(replay->out,
	    "%s: %llu cycles; transitions: %llu recorded, %llu replayed, "
	    "%llu different; seconds recorded, replayed",
	    player->conf->name, (unsigned long long)player->cycles,
	    (unsigned long long)player->moves_recorded,
	    (unsigned long long)player->moves_replayed,
	    (unsigned long long)player->different);
	for (state = STATE_NONE; state <= STATE_MAX; state++)
		if (player->spent_recorded[state] != 0 ||
		    player->spent_replayed[state] != 0)
			fprintf(replay->out, "; state %d: %.1f, %.1f", state,
			    (double)player->spent_recorded[state] / 1000.0,
			    (double)player->spent_replayed[state] / 1000.0);
	fputc('\n', replay->out);
}

static void
replay_begin(struct replay *replay, const struct conf *conf)
{
	const struct failover_conf *fc;
	struct player *player;

	replay->strangers = json_object();
	replay->player = conf_alloc(conf->nfailovers, sizeof(*replay->player));
	replay->width = (int)strlen("failover");
	TAILQ_FOREACH(fc, &conf->failovers, entry) {
		player = &replay->player[replay->count++];
		player->conf = fc;
		machine_init(&player->machine);
		if ((int)strlen(fc->name) > replay->width)
			replay->width = (int)strlen(fc->name);
	}
	fprintf(replay->out, "%-24s  %-*s  %-8s  %-8s\n", "time", replay->width,
	    "failover", "recorded", "replayed");
}

/* Returns 1 if anything differs, or there was nothing to compare. */
static int
replay_end(struct replay *replay)
{
	struct player *player;
	uint64_t cycles = 0, different = 0;
	size_t i;

	for (i = 0; i < replay->count; i++)
		flush_move(replay, &replay->player[i]);
	for (i = 0; i < replay->count; i++) {
		player = &replay->player[i];
		print_summary(replay, player);
		cycles += player->cycles;
		different += player->different;
	}
	if (cycles == 0)
		fprintf(stderr, "%s: no cycle to replay\n", replay->name);
	json_decref(replay->strangers);
	free(replay->player);
	return (cycles == 0 || different > 0);
}

/*
 * Replay the events that can be read from in, under the configuration, and
 * print to out.  name is that of the record, for messages, which go to standard
 * error.  Returns 0 if the transitions are those recorded, else 1.
 */
int
replay(const struct conf *conf, FILE *in, const char *name, FILE *out)
{
	struct replay replay = { .name = name, .out = out };
	char *text = NULL;
	size_t size = 0;
	ssize_t len;
	int status;

	replay_begin(&replay, conf);
	while ((len = getline(&text, &size, in)) != -1) {
		replay.line++;
		play_line(&replay, text, (size_t)len);
	}
	if (ferror(in))
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
	free(text);
	status = replay_end(&replay);
	return (ferror(in) ? 1 : status);
}

/* Replay a file of events, or standard input where path is "-", to standard
 * output.  Returns the status to exit with. */
int
replay_file(const struct conf *conf, const char *path)
{
	bool standard = strcmp(path, "-") == 0;
	FILE *in = standard ? stdin : fopen(path, "re");
	int status;

	if (in == NULL) {
		fprintf(stderr, "mt-gcpd: %s: %s\n", path, strerror(errno));
		return (1);
	}
	status = replay(conf, in, standard ? "stdin" : path, stdout);
	if (fflush(stdout) == EOF) {
		fprintf(stderr, "mt-gcpd: stdout: %s\n", strerror(errno));
		status = 1;
	}
	if (!standard)
		fclose(in);
	return (status);
}
