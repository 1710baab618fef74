/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_H
#define MTGCPD_H

#include <sys/types.h>

#include <event2/event.h>
#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "breaker.h"
#include "channel.h"
#include "conf.h"
#include "health.h"
#include "proto.h"
#include "state.h"

/* What every event says, beside its details; see event_emit(). */
struct event_head {
	const char *type;
	enum outcome result;
	const char *component;
	const char *operation;
	const char *failover; /* NULL: the daemon's */
	const char *corr;     /* NULL: outside cycles */
	int64_t duration;     /* milliseconds, -1: nothing to say */
	const char *error;    /* NULL unless result is failure */
	bool debug;	      /* for debugging only */
};

/* What the cycle that is running has seen of one side. */
struct cycle_side {
	struct service_result *service;
	size_t nservices;
	size_t size;
	uint32_t endpoints;
	uint32_t healthy;
	uint32_t sick;
	json_t *unhealthy;	  /* list, for the event */
	char unknown[REASON_LEN]; /* why the first unknown service is so */
	bool region_seen;
	struct msg_probe_region region;
	bool router_seen;
	struct msg_probe_router router;
	json_t *peers; /* name: status */
};

/* What the last cycle that ended saw of one side, for people. */
struct cycle_seen {
	size_t services;
	uint32_t endpoints;
	uint32_t healthy;
	json_t *unhealthy;		 /* list, or NULL */
	char services_error[REASON_LEN]; /* why they are unknown, or "" */
	bool router_seen;
	int32_t announces[PREFIXES];  /* enum verdict */
	int32_t configured[PREFIXES]; /* enum presence */
	json_t *peers;		      /* name: status, or NULL */
	char router_error[REASON_LEN];
};

/* How far the plan of a failover has come. */
enum plan_progress {
	PROGRESS_NONE,
	PROGRESS_RUNNING,
	PROGRESS_DONE,
	PROGRESS_FAILED,
	PROGRESS_SUPERSEDED,
	PROGRESS_SKIPPED,
};

/* The plan that was sent to the actuator last, and what became of it. */
struct plan {
	struct msg_plan msg; /* the whole picture that is desired */
	bool look;	     /* only the routes were sent, to be looked at */
	enum plan_progress progress;
	uint32_t stopped; /* the blocked half at which it failed, or 0 */
	bool permitted;
	bool waits;   /* another is to be sent: not now, for a hold, hand-over,
		       a state read as 0 or a circuit breaker */
	bool skipped; /* passive or held: something would have been written */
	char told[REASON_LEN + NAME_LEN +
	    16];		       /* the failure that was logged last */
	struct msg_plan_routes routes; /* what was said of them last */
	int64_t routes_at;	       /* when; -1: never */
	int64_t ended;	/* when the last one that may have written the router
			   did */
	int64_t looked; /* when Cloudflare was looked at last; -1: never */
};

/* Why a plan is to be sent. */
enum want {
	WANT_NOTHING,
	WANT_DECIDED, /* something else than before */
	WANT_AGAIN,   /* it failed */
	WANT_REPAIR,
	WANT_LOOK,
};

/* What is ours at the clouds, each with a memory of repairs of its own. */
enum object {
	OBJECT_PRIMARY,
	OBJECT_SECONDARY,
	OBJECT_ROUTES,
	OBJECTS,
};

/* What a circuit breaker stands in front of. */
enum service {
	SERVICE_HEALTH_LOCAL,
	SERVICE_HEALTH_REMOTE,
	SERVICE_BGP,
	SERVICE_ADVERTISEMENT,
	SERVICE_CLOUDFLARE,
	SERVICES,
};

/* No time of the wall clock is later: the end of the year 9999. */
#define WALL_MAX INT64_C(253402300799999)

#define ORDER_REASON_LEN 128

/* What the administrator has ordered of a failover. */
struct order {
	bool given;
	int64_t until; /* wall clock, milliseconds; 0: until it is released */
	char reason[ORDER_REASON_LEN];
};

/* A move from one state to another, for people. */
struct transition {
	int64_t at; /* wall clock, milliseconds */
	char failover[FAILOVER_LEN];
	int from;
	int to;
	enum verdict local;
	enum verdict remote;
	enum verdict remote_bgp;
};

#define PORTS_USED 16 /* TCP ports of one child */

#define HISTORY_MAX 200 /* transitions that are remembered, of all failovers */

/* How often Cloudflare is asked for drift, at most; milliseconds. */
#define LOOK_EVERY (60 * 1000)

/* How quickly the failover reacts: since when is there something to react to?
 * Times of the monotonic clock; -1: nothing of that. */
struct reaction {
	int64_t sampled; /* a sample that calls for another state */
	int64_t read;	 /* the verdicts that do */
	int64_t decided; /* the last transition, until its plan is done */
	bool written;	 /* of that plan */
};

/* Why a state machine knows nothing but its current state before a step. */
enum began {
	BEGAN_NOT,
	BEGAN_START,  /* of the daemon, or of this failover in it */
	BEGAN_RELOAD, /* it looks after another place now */
};

/* What a step of the state machine was given, beside the samples. */
struct inputs {
	int64_t clock;
	enum verdict local_bgp;
	bool hold;
	int force;	   /* a state; STATE_NONE: none */
	bool acknowledged; /* since the step before */
	enum began began;
	bool remembers; /* memory is that of the machine before the step */
	struct machine memory;
};

/* A failover at run time. */
struct failover {
	const struct failover_conf *conf;
	struct machine machine;
	struct decision decision;
	struct region_memory memory[SIDES];
	bool had_peers[SIDES];
	struct order hold;
	struct order force;
	int force_state; /* while force is given */
	struct orders orders;
	struct drift drift[OBJECTS];
	struct breaker breaker[SERVICES];
	char *remembered; /* as the state file has it; NULL: to be made */
	bool unsaved;	  /* decided anew; to be acted on once it is saved */
	bool custom_told; /* of an enabled peer that ignores the router */
	bool gate_told;	  /* that the secondary prefix waits for hand-over */
	struct event *tick;
	struct event *deadline;
	struct failover *mate; /* begins its cycles when we do: a ring */
	int64_t first_cycle;   /* milliseconds after the start */
	uint64_t cycle;	       /* number of the cycle that runs or ran last */
	uint64_t reported;     /* the last one whose end was told */
	bool running;
	char corr[CORR_LEN];
	int64_t started;
	int64_t due; /* when the prober has to have reported */
	struct cycle_side side[SIDES];
	struct sample sample;
	enum began began;      /* before the next step */
	bool acknowledged;     /* since the last one */
	unsigned int opened;   /* event file that the memory was told to */
	json_t *inputs;	       /* of the last step; NULL: none yet */
	uint32_t parts;	       /* that this cycle asks for */
	uint32_t failed_parts; /* of those, in which a call failed */
	bool calls_failed;
	uint32_t calls; /* of the last cycle that told */
	struct cycle_seen seen[SIDES];
	int64_t ended; /* when the last cycle did; -1: none has */
	int64_t took;  /* milliseconds that it took */
	bool lost;     /* a call of it failed */
	uint64_t next_plan;
	struct plan plan;
	struct reaction reaction;
	int32_t priority; /* of our routes as seen last, -1: not known */
};

/* The parent itself. */
struct parent {
	struct event_base *base;
	struct conf *conf;
	const char *file; /* that the configuration was read from */
	bool env;	  /* it is an environment file */
	bool foreground;
	bool test; /* the connectivity, and no more */
	int64_t started;
	bool verbose; /* debug messages, whatever the configuration says */
	struct channel *channel[ROLE_MAX];
	bool ready[ROLE_MAX];
	struct msg_key key[ROLE_MAX];
	bool key_loaded[ROLE_MAX];
	uint16_t ports[ROLE_MAX][PORTS_USED]; /* that a child may connect to */
	size_t nports[ROLE_MAX];
	int listener; /* of the metrics, until the reporter has it; -1: none */
	bool network; /* the prober and the actuator have been started */
	bool running; /* all children are ready */
	bool stopping;
	struct event *patience; /* until the actuator has finished */
	int status;		/* to exit with */
};

/* breakers.c */
uint32_t breakers_parts(struct failover *, int64_t now);
void breakers_cycle(struct failover *, int64_t now);
uint32_t breakers_blocked(struct failover *, uint32_t halves, int64_t now);
void breakers_plan(struct failover *, const struct msg_plan_done *,
    int64_t now);
const char *service_name(enum service);
const char *service_region(const struct failover *, enum service);

/* clock.c */
int64_t mono_ms(void);
int64_t wall_ms(void);
void correlation_id(char *, size_t);

/* control.c */
int control_open(const struct conf *);
void control_event(const char *line, size_t len);
void control_progress(void);
void control_close(void);

/* cycle.c */
void cycle_begin(struct failover *, struct channel *prober, bool fresh);
bool cycle_message(struct failover *, const struct imsg *);
void cycle_sample(struct failover *, int64_t now);
void cycle_events(struct failover *);
void cycle_keep(struct failover *, int64_t now);
void cycle_clear(struct failover *);
void cycle_forget(struct failover *);

/* connectivity.c */
void connectivity_start(struct event_base *, const struct conf *,
    struct channel *prober, struct channel *actuator);
void connectivity_once(struct event_base *, const struct conf *,
    struct channel *prober, struct channel *actuator,
    void (*done)(bool failed));
void connectivity_message(enum role, const struct imsg *);
void connectivity_stop(void);

/* engine.c */
bool engine_quiet(void);
int engine_init(struct event_base *, const struct conf *);
void engine_start(struct channel *prober, struct channel *actuator);
void engine_prober(const struct imsg *);
void engine_actuator(const struct imsg *);
void engine_orders(struct failover *);
int64_t engine_next(const struct failover *, int64_t now);
bool engine_probe(struct failover *);
void engine_finish(void);
void engine_pause(void);
int engine_reload(const struct conf *);
void engine_stop(void);
void engine_free(void);
size_t engine_failovers(struct failover **);

/* event.c */
int event_open(const struct conf *);
void event_reload(const struct conf *);
void event_reopen(void);
unsigned int event_opened(void);
void event_emit(const struct event_head *, json_t *details);
json_t *event_verdict(enum verdict);
json_t *event_waiting(const struct decision *);
const char *event_result(enum outcome);
void event_follow(void (*)(const char *line, size_t len));
void event_close(void);

/* explain.c */
void explain(const struct failover *, size_t others, json_t *object);

/* history.c */
void history_add(const struct transition *);
const struct transition *history_get(size_t);
json_t *history_remember(void);
void history_recall(const json_t *);

/* hosts.c */
void hosts_init(struct event_base *);
void hosts_add(const char *url, enum role);
void hosts_start(struct channel *const *child, void (*ready)(void));
void hosts_wait(void (*ready)(void));
void hosts_resolved(const struct imsg *);
void hosts_nameservers(struct nameservers *);
uint16_t url_split(const char *url, char *host, size_t);
void hosts_free(void);

/* inputs.c */
json_t *inputs_write(const struct inputs *);
int inputs_read(struct inputs *, const json_t *);
int inputs_verdict(enum verdict *, const json_t *);
int inputs_number(int64_t *, const json_t *, int64_t min, int64_t max);

/* notify.c */
void notify_open(void);
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_status(void);
void notify_close(void);

/* operator.c */
void operator_hold(struct failover *, int64_t seconds, const char *reason);
int operator_force(struct failover *, int state, int64_t seconds, bool anyway,
    const char *reason, char *why, size_t len);
void operator_release(struct failover *);
void operator_ack(struct failover *);
void operator_orders(struct failover *);

/* output.c */
int output_open(struct event_base *, const struct conf *, bool foreground);
void output_reload(const struct conf *, bool foreground);
void output_reopen(void);
void output_put(int priority, const char *corr, const char *text);
void output_close(void);

/* mtgcpd.c */
extern struct parent mtgcpd;
int mtgcpd_run(struct conf *, bool foreground);
int mtgcpd_test(struct conf *);
void logs_reopen(void);
void logs_level(int level);
void lifecycle(const char *operation, enum outcome result, const char *error,
    json_t *details);

/* plan.c */
void plan_next(struct failover *, struct channel *actuator, int64_t now);
bool plan_message(struct failover *, const struct imsg *);
void plan_picture(const struct failover *, struct msg_plan *);
enum want plan_wants(const struct failover *, const struct msg_plan *,
    int64_t now);
bool plan_waits(const struct plan *);
const char *plan_progress_name(const struct plan *);
json_t *plan_actions(const struct failover *, const struct actions *);
uint32_t look_every(const struct failover_conf *);

/* push.c */
int push_key(struct channel *signer, const struct conf *, enum role);
int push_ca(struct channel *, const struct conf *);
void push_reporter(struct channel *, const struct conf *,
    const char *token_uri);
void push_nameservers(struct channel *resolver, const struct nameservers *);
void push_prober(struct channel *, const struct conf *, const char *token_uri);
int push_cf_token(struct channel *actuator, const struct account *);
int push_actuator(struct channel *, const struct conf *,
    const struct msg_key key[ROLE_MAX]);
void push_metadata(const struct conf *, enum role, struct msg_key *);

/* reload.c */
uint64_t reload_begin(void);
bool reload_result(uint64_t number, char *error, size_t len);
bool reload_running(void);
bool reload_key(enum role, const struct msg_key *, const char *why);
void reload_in_use(enum role);

/* remember.c */
json_t *failover_remember(const struct failover *, int64_t shift);
void failover_recall(struct failover *, const json_t *, int64_t shift,
    int64_t now);

/* replay.c */
int replay(const struct conf *, FILE *in, const char *name, FILE *out);
int replay_file(const struct conf *, const char *path);

/* show.c; the parts of show_failover() */
enum show {
	SHOW_CHECKS = 1,
	SHOW_ROUTES = 2,
	SHOW_BREAKERS = 4,
	SHOW_ALL = 7,
};
json_t *show_daemon(void);
json_t *show_failover(const struct failover *, unsigned int what);
json_t *show_history(const char *name);
json_t *show_orders(const struct failover *);

/* report.c */
int report_listen(const struct conf *);
void report_open(struct channel *);
void report_reload(const struct conf *);
void report_event(const char *text, size_t len);
void report_calls(const struct imsg *);
void report_expiry(uint32_t failover, int64_t expires);
void report_peer(const struct failover *, const struct msg_probe_peer *);
void report_decided(struct failover *, int64_t now);
void report_moved(const struct transition *);
void report_acted(struct failover *, const struct imsg *, int64_t now);
void report_state(const struct failover *, int64_t now);
void report_cycle(const struct failover *, enum outcome, int64_t now);
void report_close(void);

/* spread.c */
void spread_failovers(struct failover *, size_t);

/* statefile.c */
uint64_t statefile_starts(void);
int statefile_lock(const char *path);
int statefile_load(const char *path, struct failover *, size_t);
void statefile_dirty(struct failover *);
int statefile_save(void);
void statefile_init(struct event_base *, const char *path);
void statefile_path(const char *path);
void statefile_close(void);

#endif /* MTGCPD_H */
