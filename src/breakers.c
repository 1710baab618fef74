/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include "log.h"
#include "mtgcpd.h"

/*
 * The circuit breakers of a failover: what a cycle may ask for, which half of
 * a plan may be called, and what is said when one opens or closes.
 */

/* The services that are read, and the part of a cycle that each is. */
static const struct {
	enum service service;
	enum part part;
} read_services[] = {
	{ SERVICE_HEALTH_LOCAL, PART_HEALTH_LOCAL },
	{ SERVICE_HEALTH_REMOTE, PART_HEALTH_REMOTE },
	{ SERVICE_BGP, PART_BGP },
};

/* Those that are written, and the half of a plan. */
static const struct {
	enum service service;
	enum half half;
} write_services[] = {
	{ SERVICE_ADVERTISEMENT, HALF_ROUTER },
	{ SERVICE_CLOUDFLARE, HALF_ROUTES },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The name of a service in events. */
const char *
service_name(enum service service)
{
	static const char *const names[SERVICES] = {
		[SERVICE_HEALTH_LOCAL] = "gcp_health",
		[SERVICE_HEALTH_REMOTE] = "gcp_health",
		[SERVICE_BGP] = "gcp_bgp",
		[SERVICE_ADVERTISEMENT] = "gcp_local_advertisement",
		[SERVICE_CLOUDFLARE] = "cloudflare",
	};

	return (names[service]);
}

/* Where a service is; NULL where that is no single region. */
const char *
service_region(const struct failover *failover, enum service service)
{
	switch (service) {
	case SERVICE_HEALTH_LOCAL:
		return (failover->conf->region[LOCAL]);
	case SERVICE_HEALTH_REMOTE:
		return (failover->conf->region[REMOTE]);
	case SERVICE_ADVERTISEMENT:
		return (failover->conf->router_region[LOCAL]);
	default:
		return (NULL);
	}
}

static void
breakers_event(const struct failover *failover, enum service service,
    const char *operation, enum outcome result, int64_t now)
{
	const struct breaker *breaker = &failover->breaker[service];
	const char *region = service_region(failover, service);
	int64_t left = breaker->trial - now;
	struct event_head head = {
		.type = "circuit_breaker_event",
		.result = result,
		.component = "circuit_breaker",
		.operation = operation,
		.failover = failover->conf->name,
		.corr = failover->corr,
		.duration = -1,
		.error = "too many failures running",
		.debug = result == RESULT_SKIPPED,
	};

	event_emit(&head,
	    json_pack("{s:s, s:o, s:i, s:o}", "service", service_name(service),
		"region", region == NULL ? json_null() : json_string(region),
		"failure_count", (int)breaker->failures, "retry_in_seconds",
		breaker->state == BREAKER_OPEN && left > 0 ?
		    json_real((double)left / 1000.0) :
		    json_null()));
}

/* May the service be called?  Says so when it is for a trial, or is not. */
static bool
breakers_allow(struct failover *failover, enum service service, int64_t now)
{
	struct breaker *breaker = &failover->breaker[service];
	enum breaker_state before = breaker->state;

	if (!breaker_allows(breaker, now)) {
		breakers_event(failover, service, "call_blocked",
		    RESULT_SKIPPED, now);
		return (false);
	}
	if (breaker->state != before) {
		log_info("%s: circuit breaker %s: one trial",
		    failover->conf->name, service_name(service));
		breakers_event(failover, service, "half_open", RESULT_SUCCESS,
		    now);
	}
	return (true);
}

/* What became of the calls to a service in this cycle, or in this plan. */
static void
breakers_result(struct failover *failover, enum service service, bool ok,
    int64_t now)
{
	const struct failover_conf *conf = failover->conf;
	struct breaker *breaker = &failover->breaker[service];
	const struct breaker_policy policy = {
		.threshold = conf->breaker_threshold,
		.first = conf->policy.interval,
		.timeout = conf->breaker_timeout,
	};

	if (!breaker_result(breaker, &policy, ok, now))
		return;
	if (ok) {
		log_info("%s: circuit breaker %s closed", conf->name,
		    service_name(service));
		breakers_event(failover, service, "closed", RESULT_SUCCESS,
		    now);
	} else {
		log_warnx("%s: circuit breaker %s open after %u failures; next "
			  "trial in %lld s",
		    conf->name, service_name(service), breaker->failures,
		    (long long)(breaker->wait / 1000));
		breakers_event(failover, service, "opened", RESULT_FAILURE,
		    now);
	}
}

/* The parts that a cycle may ask for at now: bits of enum part. */
uint32_t
breakers_parts(struct failover *failover, int64_t now)
{
	uint32_t parts = 0;
	size_t i;

	for (i = 0; i < COUNT(read_services); i++)
		if (breakers_allow(failover, read_services[i].service, now))
			parts |= read_services[i].part;
	return (parts);
}

/* The cycle has ended: what it asked for was answered, or not. */
void
breakers_cycle(struct failover *failover, int64_t now)
{
	size_t i;

	for (i = 0; i < COUNT(read_services); i++)
		if (failover->parts & read_services[i].part)
			breakers_result(failover, read_services[i].service,
			    !(failover->failed_parts & read_services[i].part),
			    now);
}

/* Which of the halves that a plan is about must it not call at now?  Bits of
 * enum half. */
uint32_t
breakers_blocked(struct failover *failover, uint32_t halves, int64_t now)
{
	uint32_t blocked = 0;
	size_t i;

	for (i = 0; i < COUNT(write_services); i++)
		if ((halves & write_services[i].half) &&
		    !breakers_allow(failover, write_services[i].service, now))
			blocked |= write_services[i].half;
	return (blocked);
}

/* A plan has ended. */
void
breakers_plan(struct failover *failover, const struct msg_plan_done *done,
    int64_t now)
{
	enum half half;
	size_t i;

	for (i = 0; i < COUNT(write_services); i++) {
		half = write_services[i].half;
		if (done->failed_at & half)
			breakers_result(failover, write_services[i].service,
			    false, now);
		else if (done->reached & half)
			breakers_result(failover, write_services[i].service,
			    true, now);
	}
}
