/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "mtgcpd.h"

/*
 * The clockwork of the daemon: for every failover a cycle an interval, from
 * sample to decision to plan.
 */

#define GRACE	   (5 * 1000) /* what a prober may be late, in milliseconds */
#define EARLY_PART 4	      /* of the interval, to begin with the mates */

static struct {
	struct failover *failover;
	size_t count;
	struct channel *prober;
	struct channel *actuator;
	struct event_base *base;
	struct event *commit;
	uint64_t read_rate; /* requests in 1000 seconds */
	bool scarce;	    /* and that was said */
	bool finishing;	    /* no new plans */
	bool paused;	    /* no cycles either */
	bool stopping;
} engine;

static void engine_tick(evutil_socket_t, short, void *);
static void engine_late(evutil_socket_t, short, void *);
static void engine_commit(evutil_socket_t, short, void *);
static void engine_last_word(struct failover *);

/* All failovers, for the state file.  Returns how many. */
size_t
engine_failovers(struct failover **failovers)
{
	*failovers = engine.failover;
	return (engine.count);
}

static const struct reaction no_reaction = { -1, -1, -1, false };

static int
engine_add(struct failover *failover, const struct failover_conf *conf)
{
	failover->conf = conf;
	machine_init(&failover->machine);
	failover->began = BEGAN_START;
	failover->decision.interval = conf->policy.interval;
	failover->plan.routes_at = failover->ended = -1;
	failover->priority = -1;
	failover->reaction = no_reaction;
	failover->tick = evtimer_new(engine.base, engine_tick, failover);
	failover->deadline = evtimer_new(engine.base, engine_late, failover);
	return (failover->tick == NULL || failover->deadline == NULL ? -1 : 0);
}

static void
engine_drop(struct failover *failover)
{
	cycle_clear(failover);
	cycle_forget(failover);
	region_forget(&failover->memory[LOCAL]);
	region_forget(&failover->memory[REMOTE]);
	free(failover->remembered);
	json_decref(failover->inputs);
	event_free(failover->tick);
	event_free(failover->deadline);
}

/*
 * Make the failovers of the configuration, which must outlive the engine, with
 * nothing known.  Returns -1 if memory is short.
 */
int
engine_init(struct event_base *base, const struct conf *conf)
{
	const struct failover_conf *fc;

	engine.base = base;
	engine.read_rate = conf_read_rate(conf);
	engine.failover = calloc(conf->nfailovers, sizeof(*engine.failover));
	engine.commit = event_new(base, -1, 0, engine_commit, NULL);
	if (engine.failover == NULL || engine.commit == NULL)
		return (-1);
	TAILQ_FOREACH(fc, &conf->failovers, entry)
		if (engine_add(&engine.failover[engine.count++], fc) == -1)
			return (-1);
	return (0);
}

/* Is it the same that both look after, and not merely of the same name? */
static bool
engine_same_place(const struct failover_conf *a, const struct failover_conf *b)
{
	int side;

	for (side = LOCAL; side < SIDES; side++)
		if (strcmp(a->region[side], b->region[side]) != 0 ||
		    strcmp(a->router[side], b->router[side]) != 0 ||
		    strcmp(a->router_region[side], b->router_region[side]) != 0)
			return (false);
	return (strcmp(a->project, b->project) == 0 &&
	    strcmp(a->router_project, b->router_project) == 0);
}

/*
 * Move all that is remembered from a failover to the one of that name in the
 * new configuration.  What was seen of other regions or routers is worth
 * nothing there; and whatever was decided waits for the next cycle.
 */
static void
engine_inherit(struct failover *failover, struct failover *old)
{
	const struct failover_conf *conf = failover->conf;
	struct event *tick = failover->tick, *deadline = failover->deadline;
	int side;

	*failover = *old;
	memset(old->memory, 0, sizeof(old->memory));
	memset(old->side, 0, sizeof(old->side));
	memset(old->seen, 0, sizeof(old->seen));
	old->remembered = NULL;
	old->inputs = NULL;
	failover->conf = conf;
	failover->tick = tick;
	failover->deadline = deadline;
	cycle_clear(failover);
	failover->running = failover->unsaved = false;
	memset(&failover->plan, 0, sizeof(failover->plan));
	failover->plan.routes_at = -1;
	failover->reaction = no_reaction;
	failover->gate_told = failover->custom_told = false;
	if (!engine_same_place(conf, old->conf)) {
		cycle_forget(failover);
		machine_restore(&failover->machine, old->machine.current,
		    old->machine.entered);
		if (failover->began == BEGAN_NOT)
			failover->began = BEGAN_RELOAD;
		memset(failover->had_peers, 0, sizeof(failover->had_peers));
		memset(failover->breaker, 0, sizeof(failover->breaker));
		memset(failover->drift, 0, sizeof(failover->drift));
		for (side = LOCAL; side < SIDES; side++)
			region_forget(&failover->memory[side]);
	}
	failover->decision.read = STATE_NONE;
	failover->decision.interval = conf->policy.interval;
	operator_orders(failover);
	decision_order(&conf->policy, &failover->orders, &failover->decision);
}

static struct failover *
engine_named(struct failover *failover, size_t count, const char *name)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(failover[i].conf->name, name) == 0)
			return (&failover[i]);
	return (NULL);
}

/*
 * Go on with the failovers of another configuration, which must outlive the
 * engine; the one before is still needed here.  Failovers of the same name
 * keep their memory.  Returns -1, with everything as it was, if memory is
 * short.
 */
int
engine_reload(const struct conf *conf)
{
	const struct failover_conf *fc;
	struct failover *list, *failover, *old;
	size_t before = engine.count;
	size_t i;

	list = calloc(conf->nfailovers, sizeof(*list));
	if (list == NULL)
		return (-1);
	failover = list;
	TAILQ_FOREACH(fc, &conf->failovers, entry) {
		if (engine_add(failover, fc) == -1)
			fatalx("engine_reload");
		old = engine_named(engine.failover, before, fc->name);
		if (old != NULL) {
			engine_last_word(old);
			engine_inherit(failover, old);
		}
		statefile_dirty(failover);
		failover++;
	}
	for (i = 0; i < before; i++)
		engine_drop(&engine.failover[i]);
	free(engine.failover);
	engine.failover = list;
	engine.count = conf->nfailovers;
	engine.read_rate = conf_read_rate(conf);
	return (0);
}

/* Is nothing going on that calls for attention, in any failover? */
bool
engine_quiet(void)
{
	const struct failover *failover;

	for (failover = engine.failover;
	     failover < engine.failover + engine.count; failover++)
		if (failover->plan.progress == PROGRESS_RUNNING ||
		    failover->decision.pending != PENDING_NONE)
			return (false);
	return (true);
}

/* Begin no further plan; those that run go on, and cycles too. */
void
engine_finish(void)
{
	engine.finishing = true;
}

/* Begin no further cycle, and take no notice of what the prober still says. */
void
engine_pause(void)
{
	size_t i;

	engine.paused = true;
	for (i = 0; i < engine.count; i++) {
		evtimer_del(engine.failover[i].tick);
		evtimer_del(engine.failover[i].deadline);
		engine.failover[i].running = false;
	}
}

static void engine_unsaved(struct failover *);

static void
engine_after(struct event *timer, int64_t ms)
{
	struct timeval tv;

	if (ms < 0)
		ms = 0;
	tv.tv_sec = ms / 1000;
	tv.tv_usec = (ms % 1000) * 1000;
	if (evtimer_add(timer, &tv) == -1)
		fatalx("evtimer_add");
}

/* Begin to turn, or go on: the first cycles are spread over the interval. */
void
engine_start(struct channel *prober, struct channel *actuator)
{
	struct failover *failover;

	engine.prober = prober;
	engine.actuator = actuator;
	engine.finishing = engine.paused = false;
	spread_failovers(engine.failover, engine.count);
	for (failover = engine.failover;
	     failover < engine.failover + engine.count; failover++)
		engine_after(failover->tick, failover->first_cycle);
}

static json_t *
engine_verdicts(enum verdict local, enum verdict remote, enum verdict bgp)
{
	return (json_pack("{s:o, s:o, s:o}", "local_healthy",
	    event_verdict(local), "remote_healthy", event_verdict(remote),
	    "remote_bgp_up", event_verdict(bgp)));
}

static json_t *
engine_samples(const struct failover *failover)
{
	const struct sample *sample = &failover->sample;

	return (engine_verdicts(sample->services[LOCAL],
	    sample->services[REMOTE], sample->bgp[REMOTE]));
}

static void
engine_transition(struct failover *failover)
{
	const struct decision *decision = &failover->decision;
	const char *name = failover->conf->name;
	struct transition transition = {
		.at = wall_ms(),
		.from = decision->old,
		.to = decision->current,
		.local = decision->local,
		.remote = decision->remote,
		.remote_bgp = decision->remote_bgp,
	};
	struct event_head head = {
		.type = "state_transition",
		.result = RESULT_SUCCESS,
		.component = "state_machine",
		.operation = "state_transition",
		.failover = name,
		.corr = failover->corr,
		.duration = -1,
	};

	log_info("%s: state %d -> %d (local %s, remote %s, remote BGP %s)",
	    name, decision->old, decision->current,
	    v_name(decision->local, "healthy", "unhealthy"),
	    v_name(decision->remote, "healthy", "unhealthy"),
	    v_name(decision->remote_bgp, "up", "down"));
	event_emit(&head,
	    json_pack("{s:i, s:i, s:o, s:o, s:o, s:o, s:o}", "old_state",
		decision->old, "new_state", decision->current, "local_healthy",
		event_verdict(decision->local), "remote_healthy",
		event_verdict(decision->remote), "remote_bgp_up",
		event_verdict(decision->remote_bgp), "planned_actions",
		plan_actions(failover,
		    &failover->conf->policy.table[decision->current]),
		"samples", engine_samples(failover)));
	strlcpy(transition.failover, name, sizeof(transition.failover));
	history_add(&transition);
	report_moved(&transition);
	/* Restarts must not undo what is about to be done. */
	engine_unsaved(failover);
}

/* Say so, once, when there have been too many transitions. */
static void
engine_brake(struct failover *failover)
{
	const struct decision *decision = &failover->decision;
	const struct policy *policy = &failover->conf->policy;
	char error[REASON_LEN];
	struct event_head head = {
		.type = "brake_latched",
		.result = RESULT_FAILURE,
		.component = "state_machine",
		.operation = "brake_latched",
		.failover = failover->conf->name,
		.corr = failover->corr,
		.duration = -1,
		.error = error,
	};

	if (!decision->brake_latched)
		return;
	snprintf(error, sizeof(error),
	    "more than %u transitions within %lld s: state 1 is not entered "
	    "again until somebody acknowledges it",
	    policy->brake, (long long)(policy->brake_period / 1000));
	log_errorx("%s: %s", failover->conf->name, error);
	event_emit(&head,
	    json_pack("{s:o, s:i, s:i}", "candidate",
		decision->candidate == STATE_NONE ?
		    json_null() :
		    json_integer(decision->candidate),
		"current_state", decision->current, "count",
		(int)failover->machine.nmoves));
}

/* Say, once an occasion, what keeps a candidate waiting. */
static void
engine_pending(struct failover *failover, enum pending before, int candidate)
{
	static const char *const types[] = {
		[PENDING_VERIFY] = "verification_pending",
		[PENDING_DWELL] = "dwell_time_enforced",
		[PENDING_RETURN] = "return_delayed",
		[PENDING_BRAKE] = NULL, /* said when it latched */
	};
	const struct decision *decision = &failover->decision;
	const char *type;
	struct event_head head = {
		.result = RESULT_SUCCESS,
		.component = "state_machine",
		.failover = failover->conf->name,
		.corr = failover->corr,
		.duration = -1,
	};

	if (decision->pending == PENDING_NONE ||
	    (decision->pending == before && decision->candidate == candidate))
		return;
	type = types[decision->pending];
	head.type = head.operation = type;
	log_info("%s: state %d waits for %s", failover->conf->name,
	    decision->candidate, pending_name(decision->pending));
	if (type == NULL)
		return;
	if (decision->pending == PENDING_VERIFY)
		event_emit(&head,
		    json_pack("{s:i, s:i, s:i}", "candidate",
			decision->candidate, "current_state", decision->current,
			"count", (int)decision->verify_left));
	else
		event_emit(&head,
		    json_pack("{s:i, s:i, s:f}", "candidate",
			decision->candidate, "current_state", decision->current,
			"seconds_left",
			(double)decision->pending_left / 1000.0));
}

static void
engine_stuck(struct failover *failover)
{
	const struct failover_conf *conf = failover->conf;
	char error[REASON_LEN];
	char prefix[PREFIX_LEN];
	struct event_head head = {
		.type = "handover_stuck",
		.result = RESULT_FAILURE,
		.component = "state_machine",
		.operation = "handover_stuck",
		.failover = conf->name,
		.corr = failover->corr,
		.duration = -1,
		.error = error,
	};

	if (!failover->decision.handover_stuck)
		return;
	prefix_text(&conf->prefix[PRIMARY], prefix, sizeof(prefix));
	snprintf(error, sizeof(error),
	    "the remote side has not announced %s "
	    "for %lld s: acting without it",
	    prefix, (long long)(conf->policy.handover / 1000));
	log_errorx("%s: %s", conf->name, error);
	event_emit(&head,
	    json_pack("{s:i, s:i, s:f}", "candidate",
		failover->decision.current, "current_state",
		failover->decision.current, "seconds_left", 0.0));
}

static json_t *
engine_plan_details(const struct plan *plan)
{
	return (json_pack("{s:o, s:s}", "id",
	    plan->msg.plan == 0 ? json_null() :
				  json_integer((json_int_t)plan->msg.plan),
	    "status", plan_progress_name(plan)));
}

/* The summary of the cycle, the last of its events. */
static void
engine_cycle_event(struct failover *failover, int64_t now)
{
	static const struct actions nothing;
	const struct decision *decision = &failover->decision;
	const struct sample *sample = &failover->sample;
	double age = decision->current == STATE_NONE ?
	    0 :
	    (double)(now - failover->machine.entered) / 1000.0;
	struct event_head head = {
		.type = "health_check_cycle",
		.result = RESULT_SUCCESS,
		.component = "daemon",
		.operation = "health_check_cycle",
		.failover = failover->conf->name,
		.corr = failover->corr,
		.duration = now - failover->started,
		.error = "calls failed",
	};

	failover->reported = failover->cycle;
	if (failover->calls_failed)
		head.result = RESULT_FAILURE;
	else if (failover->plan.skipped ||
	    (failover->orders.hold && plan_waits(&failover->plan)))
		head.result = RESULT_SKIPPED;
	event_emit(&head,
	    json_pack("{s:i, s:i, s:f, s:o, s:o, s:{s:o, s:o}, s:o, s:o, s:o, "
		      "s:b, s:b, s:O?}",
		"state_code", decision->read, "current_state",
		decision->current, "time_in_state_seconds", age,
		"health_status",
		engine_verdicts(decision->local, decision->remote,
		    decision->remote_bgp),
		"samples", engine_samples(failover), "remote_announces",
		"primary", event_verdict(sample->remote_announces[PRIMARY]),
		"secondary", event_verdict(sample->remote_announces[SECONDARY]),
		"planned_actions",
		plan_actions(failover,
		    decision->read == STATE_NONE && !decision->overridden ?
			&nothing :
			&decision->actions),
		"plan", engine_plan_details(&failover->plan), "pending",
		event_waiting(decision), "passive_mode",
		failover->conf->passive, "held", failover->orders.hold,
		"inputs", failover->inputs));
	report_cycle(failover, head.result, now);
}

/* Keep, for the event, what the step that comes next is given.  Each file of
 * events begins with the memory that the step before has left. */
static void
engine_inputs(struct failover *failover, int64_t now)
{
	struct inputs inputs = {
		.clock = now,
		.local_bgp = failover->sample.bgp[LOCAL],
		.hold = failover->orders.hold,
		.force = failover->orders.force,
		.acknowledged = failover->acknowledged,
		.began = failover->began,
		.remembers = failover->began != BEGAN_NOT ||
		    failover->opened != event_opened(),
		.memory = failover->machine,
	};

	json_decref(failover->inputs);
	failover->inputs = inputs_write(&inputs);
	failover->acknowledged = false;
	failover->began = BEGAN_NOT;
	failover->opened = event_opened();
}

/* What is remembered of services and peers, in one number: has it changed? */
static size_t
engine_memory(const struct failover *failover)
{
	size_t sum = 0;
	size_t i;
	int side;

	for (side = LOCAL; side < SIDES; side++) {
		sum = sum * 31 + failover->memory[side].count;
		sum = sum * 31 + failover->had_peers[side];
		for (i = 0; i < failover->memory[side].count; i++)
			sum = sum * 31 +
			    failover->memory[side].service[i].empty;
	}
	return (sum);
}

/* Act on what has been decided, and say how the cycle ended. */
static void
engine_act(struct failover *failover)
{
	int64_t now = mono_ms();

	if (engine.stopping)
		return;
	log_setcorr(failover->corr);
	if (!engine.finishing)
		plan_next(failover, engine.actuator, now);
	if (failover->reported < failover->cycle && !failover->running)
		engine_cycle_event(failover, now);
	log_setcorr("");
}

/* Say how a cycle ended whose plan will not be made any more. */
static void
engine_last_word(struct failover *failover)
{
	if (failover->unsaved && !failover->running &&
	    failover->reported < failover->cycle)
		engine_cycle_event(failover, mono_ms());
}

/*
 * What was decided anew is written down before it is acted on; failovers that
 * decide at the same time are written together.
 */
static void
engine_commit(evutil_socket_t fd __unused, short what __unused,
    void *arg __unused)
{
	struct failover *failover;
	size_t i;

	(void)statefile_save();
	for (i = 0; i < engine.count; i++) {
		failover = &engine.failover[i];
		if (!failover->unsaved)
			continue;
		failover->unsaved = false;
		engine_act(failover);
	}
}

static void
engine_unsaved(struct failover *failover)
{
	failover->unsaved = true;
	statefile_dirty(failover);
	event_active(engine.commit, EV_TIMEOUT, 0);
}

/* Another state is acted as: what was contested may be ours again. */
static void
engine_forget_drift(struct failover *failover)
{
	int object;

	for (object = 0; object < OBJECTS; object++)
		drift_forget(&failover->drift[object]);
	statefile_dirty(failover);
}

/* The orders of the failover have changed: obey them at once. */
void
engine_orders(struct failover *failover)
{
	int acting = failover->decision.acting;

	operator_orders(failover);
	decision_order(&failover->conf->policy, &failover->orders,
	    &failover->decision);
	if (failover->decision.acting != acting)
		engine_forget_drift(failover);
	if (engine.actuator != NULL)
		engine_unsaved(failover);
	report_state(failover, mono_ms());
}

/* Say so if all that is read in an interval is more than the limit allows:
 * nobody should learn that in an outage. */
static void
engine_demand(void)
{
	const struct failover *failover;
	uint64_t need = 0;

	for (failover = engine.failover;
	     failover < engine.failover + engine.count; failover++)
		need += (uint64_t)failover->calls * 1000 * 1000 /
		    (uint64_t)failover->conf->policy.interval;
	if (need > engine.read_rate && !engine.scarce)
		log_warnx("\"limit requests\" leaves %.1f per second for "
			  "reading, and the failovers need %.1f: what they "
			  "cannot ask in time is unknown",
		    (double)engine.read_rate / 1000, (double)need / 1000);
	engine.scarce = need > engine.read_rate;
}

/* The cycle is over: decide, say so, and act. */
static void
engine_cycle_end(struct failover *failover)
{
	enum pending pending = failover->decision.pending;
	int candidate = failover->decision.candidate;
	int acting = failover->decision.acting;
	size_t memory = engine_memory(failover);
	int64_t now = mono_ms();

	failover->running = false;
	evtimer_del(failover->deadline);
	log_setcorr(failover->corr);
	breakers_cycle(failover, now);
	if (failover == engine.failover) /* once an interval is enough */
		engine_demand();
	cycle_sample(failover, now);
	cycle_keep(failover, now);
	operator_orders(failover);
	engine_inputs(failover, now);
	machine_step(&failover->machine, &failover->conf->policy,
	    &failover->orders, &failover->sample, now, &failover->decision);
	if (engine_memory(failover) != memory)
		statefile_dirty(failover);
	if (failover->decision.acting != acting)
		engine_forget_drift(failover);
	cycle_events(failover);
	report_decided(failover, now);
	if (failover->decision.changed)
		engine_transition(failover);
	engine_brake(failover);
	engine_pending(failover, pending, candidate);
	engine_stuck(failover);
	log_setcorr("");
	if (!failover->unsaved)
		engine_act(failover);
	if (!engine.stopping && !engine.paused)
		engine_after(failover->tick,
		    failover->started + failover->decision.interval -
			mono_ms());
}

static void
engine_begin(struct failover *failover, bool fresh)
{
	log_setcorr("");
	cycle_begin(failover, engine.prober, fresh);
	engine_after(failover->deadline,
	    failover->due + GRACE - failover->started);
}

/* Is its next cycle so near that it may begin now? */
static bool
engine_soon(const struct failover *failover, int64_t now)
{
	int64_t interval = failover->decision.interval;

	return (evtimer_pending(failover->tick, NULL) &&
	    failover->started + interval - now <= interval / EARLY_PART);
}

static void
engine_tick(evutil_socket_t fd __unused, short what __unused, void *arg)
{
	struct failover *failover = arg, *mate;

	/* One has nobody to share with. */
	engine_begin(failover, engine.count == 1);
	for (mate = failover->mate; mate != failover; mate = mate->mate)
		if (engine_soon(mate, failover->started)) {
			evtimer_del(mate->tick);
			engine_begin(mate, false);
		}
}

/* Milliseconds until the next cycle ends, as far as the last one tells. */
int64_t
engine_next(const struct failover *failover, int64_t now)
{
	int64_t start = failover->running ?
	    failover->started :
	    failover->started + failover->decision.interval;
	int64_t left = start + failover->took - now;

	return (left > 0 ? left : 0);
}

/* Begin a cycle now, unless one is running; false: that cannot be. */
bool
engine_probe(struct failover *failover)
{
	if (engine.prober == NULL || engine.stopping || engine.paused)
		return (false);
	if (!failover->running) {
		evtimer_del(failover->tick);
		engine_begin(failover, true);
	}
	return (true);
}

/* The prober keeps to the budget by itself; if it does not, all is unknown. */
static void
engine_late(evutil_socket_t fd __unused, short what __unused, void *arg)
{
	struct failover *failover = arg;

	log_warnx("%s: the prober is late; nothing is known of this cycle",
	    failover->conf->name);
	cycle_clear(failover);
	failover->calls_failed = true;
	engine_cycle_end(failover);
}

static struct failover *
engine_find(const struct imsg *imsg, enum role sender)
{
	if (imsg->hdr.id >= engine.count)
		fatalx("%s sent %s for an unknown failover", role_name(sender),
		    proto_name(imsg->hdr.type));
	return (&engine.failover[imsg->hdr.id]);
}

/* Take what the prober has seen. */
void
engine_prober(const struct imsg *imsg)
{
	struct failover *failover;

	if (engine.paused)
		return; /* of the configuration before */
	failover = engine_find(imsg, ROLE_PROBER);
	log_setcorr(failover->corr);
	if (cycle_message(failover, imsg)) {
		/* Who was stopped meanwhile finds it waiting: it is old. */
		if (mono_ms() >= failover->due + GRACE)
			engine_late(-1, EV_TIMEOUT, failover);
		else
			engine_cycle_end(failover);
	}
	log_setcorr("");
}

/* Take what the actuator has done. */
void
engine_actuator(const struct imsg *imsg)
{
	struct failover *failover = engine_find(imsg, ROLE_ACTUATOR);

	log_setcorr(failover->plan.msg.corr);
	(void)plan_message(failover, imsg);
	report_acted(failover, imsg, mono_ms());
	log_setcorr("");
}

/* Begin no further cycle and no further step. */
void
engine_stop(void)
{
	struct failover *failover;
	size_t i;

	engine.stopping = true;
	for (i = 0; i < engine.count; i++) {
		failover = &engine.failover[i];
		engine_last_word(failover);
		evtimer_del(failover->tick);
		evtimer_del(failover->deadline);
		failover->running = false;
	}
}

/* Release the failovers. */
void
engine_free(void)
{
	size_t i;

	for (i = 0; i < engine.count; i++)
		engine_drop(&engine.failover[i]);
	if (engine.commit != NULL)
		event_free(engine.commit);
	free(engine.failover);
	memset(&engine, 0, sizeof(engine));
}
