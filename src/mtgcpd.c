/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/stat.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "children.h"
#include "log.h"
#include "mtgcpd.h"

/*
 * The parent: reads the configuration, starts the children and tells them what
 * they need, passes messages between them, and runs the engine.
 */

struct parent mtgcpd;

static void start_next(void);

/* Emit an event of the daemon's own life.  details, or NULL, is taken over, and
 * what all of these events say is added. */
void
lifecycle(const char *operation, enum outcome result, const char *error,
    json_t *details)
{
	struct event_head head = {
		.type = "daemon_lifecycle",
		.result = result,
		.component = "daemon",
		.operation = operation,
		.duration = -1,
		.error = error,
	};

	if (details == NULL)
		details = json_object();
	json_object_set_new(details, "version", json_string(MTGCPD_VERSION));
	json_object_set_new(details, "pid", json_integer(getpid()));
	event_emit(&head, details);
}

/* A message that any child may send.  Returns false if it is another one. */
static bool
from_any(enum role role, const struct imsg *imsg)
{
	struct msg_ready ready;
	struct msg_log line;
	char text[LOGTEXT_LEN + 16];

	switch (imsg->hdr.type) {
	case IMSG_READY:
		imsg_get_data(imsg, &ready, sizeof(ready));
		if (strcmp(ready.version, MTGCPD_VERSION) != 0)
			fatalx("%s is of version %s, not %s", role_name(role),
			    ready.version, MTGCPD_VERSION);
		if (ready.landlock_abi < 4 && role == ROLE_PROBER)
			log_warnx("Landlock of this kernel (ABI %d) does not "
				  "cover everything; seccomp does what it can",
			    ready.landlock_abi);
		log_debug("%s is ready (Landlock ABI %d)", role_name(role),
		    ready.landlock_abi);
		mtgcpd.ready[role] = true;
		start_next();
		return (true);
	case IMSG_LOG:
		imsg_get_data(imsg, &line, sizeof(line));
		snprintf(text, sizeof(text), "%s: %s", role_name(role),
		    line.text);
		log_put(line.level, line.corr, text);
		return (true);
	default:
		return (false);
	}
}

static __dead void
unexpected(enum role role, const struct imsg *imsg)
{
	fatalx("%s sent %s out of turn", role_name(role),
	    proto_name(imsg->hdr.type));
}

static void
from_resolver(const struct imsg *imsg, void *arg __unused)
{
	if (from_any(ROLE_RESOLVER, imsg))
		return;
	if (imsg->hdr.type == IMSG_RESOLVED && mtgcpd.running)
		hosts_resolved(imsg);
	else
		unexpected(ROLE_RESOLVER, imsg);
}

static void
key_loaded(const struct imsg *imsg)
{
	enum role role = (enum role)imsg->hdr.id;
	struct msg_key key;

	imsg_get_data(imsg, &key, sizeof(key));
	if (reload_key(role, &key, NULL))
		return;
	if (mtgcpd.key_loaded[role] &&
	    strcmp(mtgcpd.key[role].token_uri, key.token_uri) != 0)
		log_warnx("the %s's key has another token_uri now: a restart "
			  "is needed",
		    role_name(role));
	else
		mtgcpd.key[role] = key;
	mtgcpd.key_loaded[role] = true;
	log_debug("the %s's key is that of %s", role_name(role),
	    key.client_email);
}

static void
key_failed(const struct imsg *imsg)
{
	enum role role = (enum role)imsg->hdr.id;
	struct msg_failure failure;

	imsg_get_data(imsg, &failure, sizeof(failure));
	if (reload_key(role, NULL, failure.reason))
		return;
	log_errorx("%s: %s", mtgcpd.conf->credentials[role], failure.reason);
	if (!mtgcpd.key_loaded[role])
		exit(1);
}

static void
from_signer(const struct imsg *imsg, void *arg __unused)
{
	if (from_any(ROLE_SIGNER, imsg))
		return;
	if (imsg->hdr.id != ROLE_PROBER && imsg->hdr.id != ROLE_ACTUATOR &&
	    (imsg->hdr.id != ROLE_REPORTER ||
		mtgcpd.conf->cloud_project == NULL))
		fatalx("signer sent %s for no role",
		    proto_name(imsg->hdr.type));
	switch (imsg->hdr.type) {
	case IMSG_KEY_LOADED:
		key_loaded(imsg);
		start_next();
		break;
	case IMSG_KEY_FAILED:
		key_failed(imsg);
		break;
	case IMSG_ASSERTION:
	case IMSG_ASSERT_FAILED:
		if (!mtgcpd.running)
			unexpected(ROLE_SIGNER, imsg);
		channel_send(mtgcpd.channel[imsg->hdr.id], imsg->hdr.type, 0,
		    imsg->data, imsg->len);
		break;
	default:
		unexpected(ROLE_SIGNER, imsg);
	}
}

/* Pass a wish for an assertion on; the role is that of the channel. */
static void
ask_signer(enum role role, const struct imsg *imsg)
{
	struct msg_assert msg;

	imsg_get_data(imsg, &msg, sizeof(msg));
	if (msg.refused && !reload_running() &&
	    mtgcpd.conf->credentials[role] != NULL) {
		log_info("the %s's key or token was refused; reading %s again",
		    role_name(role), mtgcpd.conf->credentials[role]);
		(void)push_key(mtgcpd.channel[ROLE_SIGNER], mtgcpd.conf, role);
	}
	channel_send(mtgcpd.channel[ROLE_SIGNER], IMSG_ASSERT, (uint32_t)role,
	    &msg, sizeof(msg));
}

/* A wish for an assertion, or for a token of the metadata server.  Returns
 * false if it is something else. */
static bool
wants_token(enum role role, const struct imsg *imsg)
{
	if (imsg->hdr.type == IMSG_ASSERT)
		ask_signer(role, imsg);
	else if (imsg->hdr.type == IMSG_TOKEN_WANTED)
		channel_send(mtgcpd.channel[ROLE_ACTUATOR], IMSG_TOKEN_WANTED,
		    (uint32_t)role, NULL, 0);
	else
		return (false);
	return (true);
}

/* A token of the metadata server, or why there is none, for another. */
static void
give_token(const struct imsg *imsg)
{
	enum role role = (enum role)imsg->hdr.id;

	if (imsg->hdr.id != ROLE_PROBER && imsg->hdr.id != ROLE_REPORTER)
		fatalx("actuator sent %s for no role",
		    proto_name(imsg->hdr.type));
	if (mtgcpd.channel[role] != NULL)
		channel_send(mtgcpd.channel[role], imsg->hdr.type, 0,
		    imsg->data, imsg->len);
}

static bool
is_test(const struct imsg *imsg)
{
	return (
	    imsg->hdr.type == IMSG_TESTED || imsg->hdr.type == IMSG_TEST_DONE);
}

static void
from_prober(const struct imsg *imsg, void *arg __unused)
{
	if (from_any(ROLE_PROBER, imsg))
		return;
	if (!mtgcpd.running)
		unexpected(ROLE_PROBER, imsg);
	else if (wants_token(ROLE_PROBER, imsg))
		return;
	else if (imsg->hdr.type == IMSG_CONF_IN_USE)
		reload_in_use(ROLE_PROBER);
	else if (imsg->hdr.type == IMSG_CALLS)
		report_calls(imsg);
	else if (is_test(imsg))
		connectivity_message(ROLE_PROBER, imsg);
	else
		engine_prober(imsg);
}

/* Cloudflare refused the token of an account: its file may have changed. */
static void
cf_refused(uint32_t index)
{
	const struct account *account;

	TAILQ_FOREACH(account, &mtgcpd.conf->accounts, entry)
		if (account->index == index)
			break;
	if (account == NULL)
		fatalx("actuator named an unknown account");
	log_info("the token of account %s was refused; reading %s again",
	    account->id, account->token_file);
	(void)push_cf_token(mtgcpd.channel[ROLE_ACTUATOR], account);
}

static void
from_actuator(const struct imsg *imsg, void *arg __unused)
{
	if (from_any(ROLE_ACTUATOR, imsg))
		return;
	if (!mtgcpd.running)
		unexpected(ROLE_ACTUATOR, imsg);
	else if (wants_token(ROLE_ACTUATOR, imsg))
		return;
	else if (imsg->hdr.type == IMSG_TOKEN ||
	    imsg->hdr.type == IMSG_TOKEN_FAILED)
		give_token(imsg);
	else if (imsg->hdr.type == IMSG_CF_REFUSED)
		cf_refused(imsg->hdr.id);
	else if (imsg->hdr.type == IMSG_CONF_IN_USE)
		reload_in_use(ROLE_ACTUATOR);
	else if (imsg->hdr.type == IMSG_CALLS)
		report_calls(imsg);
	else if (is_test(imsg))
		connectivity_message(ROLE_ACTUATOR, imsg);
	else
		engine_actuator(imsg);
}

static void
from_reporter(const struct imsg *imsg, void *arg __unused)
{
	if (from_any(ROLE_REPORTER, imsg))
		return;
	if (!mtgcpd.running)
		unexpected(ROLE_REPORTER, imsg);
	else if (mtgcpd.conf->cloud_project == NULL ||
	    !wants_token(ROLE_REPORTER, imsg))
		unexpected(ROLE_REPORTER, imsg);
}

/* The process of that role connects to the host and the port of the URL. */
static void
network_port(enum role role, const char *url)
{
	char host[HOST_LEN];

	mtgcpd.ports[role][mtgcpd.nports[role]++] = url_split(url, host,
	    sizeof(host));
	hosts_add(url, role);
}

/* Note where a child that speaks HTTP connects to.  Only the actuator has a
 * way to the metadata server. */
static void
network_ports(enum role role)
{
	const struct conf *conf = mtgcpd.conf;

	if (conf->metadata[role] == NULL)
		network_port(role, mtgcpd.key[role].token_uri);
	network_port(role,
	    conf->url[role == ROLE_REPORTER ? API_LOGGING : API_COMPUTE]);
	if (role != ROLE_ACTUATOR)
		return;
	network_port(role, conf->url[API_CLOUDFLARE]);
	if (conf_wants_metadata(conf))
		network_port(role, conf->url[URL_METADATA]);
}

/* Does the reporter write to Cloud Logging?  Not when only testing. */
static bool
wants_cloud(void)
{
	return (!mtgcpd.test && mtgcpd.conf->cloud_project != NULL);
}

static void
start_network(enum role role, channel_handler handler)
{
	network_ports(role);
	mtgcpd.channel[role] = child_start(role, mtgcpd.ports[role],
	    mtgcpd.nports[role], handler);
	if (push_ca(mtgcpd.channel[role], mtgcpd.conf) == -1)
		exit(1);
	channel_send(mtgcpd.channel[role], IMSG_SETUP_END, 0, NULL, 0);
}

/* The reporter, where there is anything to report: it connects nowhere, and
 * needs no authorities, without Cloud Logging. */
static void
start_reporter(void)
{
	if (mtgcpd.test || !conf_reports(mtgcpd.conf)) {
		mtgcpd.ready[ROLE_REPORTER] = true;
		return;
	}
	children_listener(mtgcpd.listener);
	if (mtgcpd.conf->cloud_project != NULL)
		start_network(ROLE_REPORTER, from_reporter);
	else {
		mtgcpd.channel[ROLE_REPORTER] = child_start(ROLE_REPORTER, NULL,
		    0, from_reporter);
		channel_send(mtgcpd.channel[ROLE_REPORTER], IMSG_SETUP_END, 0,
		    NULL, 0);
	}
	if (mtgcpd.listener != -1)
		close(mtgcpd.listener);
	mtgcpd.listener = -1;
}

/* The tests that -t asks for are done. */
static void
tested(bool failed)
{
	mtgcpd.status = failed;
	event_base_loopbreak(mtgcpd.base);
}

/* The hosts are known: tell the children everything, and begin to turn. */
static void
start_cycles(void)
{
	struct channel *prober = mtgcpd.channel[ROLE_PROBER];
	struct channel *actuator = mtgcpd.channel[ROLE_ACTUATOR];

	push_prober(prober, mtgcpd.conf, mtgcpd.key[ROLE_PROBER].token_uri);
	if (push_actuator(actuator, mtgcpd.conf, mtgcpd.key) == -1)
		exit(1);
	if (mtgcpd.test) {
		connectivity_once(mtgcpd.base, mtgcpd.conf, prober, actuator,
		    tested);
		return;
	}
	if (mtgcpd.channel[ROLE_REPORTER] != NULL) {
		push_reporter(mtgcpd.channel[ROLE_REPORTER], mtgcpd.conf,
		    mtgcpd.key[ROLE_REPORTER].token_uri);
		report_open(mtgcpd.channel[ROLE_REPORTER]);
	}
	engine_start(prober, actuator);
	connectivity_start(mtgcpd.base, mtgcpd.conf, prober, actuator);
	lifecycle("startup_complete", RESULT_SUCCESS, NULL, NULL);
	notify_ready();
	log_info("watching %u failovers", mtgcpd.conf->nfailovers);
}

/*
 * Start-up goes on whenever a child is ready or a key is loaded: first the
 * resolver and the signer, who has to say where the keys are exchanged; then
 * the prober, the actuator and the reporter; then the parent itself is confined, and the
 * hosts are looked up.
 */
static void
start_next(void)
{
	if (!mtgcpd.key_loaded[ROLE_PROBER] ||
	    !mtgcpd.key_loaded[ROLE_ACTUATOR] ||
	    (wants_cloud() && !mtgcpd.key_loaded[ROLE_REPORTER]) ||
	    mtgcpd.running)
		return;
	if (!mtgcpd.network) {
		mtgcpd.network = true;
		start_network(ROLE_PROBER, from_prober);
		start_network(ROLE_ACTUATOR, from_actuator);
		start_reporter();
		parent_confine();
	}
	if (!mtgcpd.ready[ROLE_RESOLVER] || !mtgcpd.ready[ROLE_PROBER] ||
	    !mtgcpd.ready[ROLE_ACTUATOR] || !mtgcpd.ready[ROLE_REPORTER])
		return;
	mtgcpd.running = true;
	hosts_start(mtgcpd.channel, start_cycles);
}

static void
start_resolver(void)
{
	const struct nameserver *server;
	struct channel *channel;
	size_t n = 0;

	TAILQ_FOREACH(server, &mtgcpd.conf->nameservers, entry)
		if (n < PORTS_USED)
			mtgcpd.ports[ROLE_RESOLVER][n++] = server->port;
	mtgcpd.nports[ROLE_RESOLVER] = n;
	channel = child_start(ROLE_RESOLVER, mtgcpd.ports[ROLE_RESOLVER], n,
	    from_resolver);
	mtgcpd.channel[ROLE_RESOLVER] = channel;
	channel_send(channel, IMSG_SETUP_END, 0, NULL, 0);
	push_nameservers(channel, &mtgcpd.conf->nameservers);
}

/* Give the signer the role's key, if it has one. */
static void
start_key(enum role role)
{
	if (mtgcpd.conf->metadata[role] != NULL) {
		push_metadata(mtgcpd.conf, role, &mtgcpd.key[role]);
		mtgcpd.key_loaded[role] = true;
	} else if (push_key(mtgcpd.channel[ROLE_SIGNER], mtgcpd.conf, role) ==
	    -1)
		exit(1);
}

/* The signer runs without any key as well: the next configuration may bring
 * one. */
static void
start_signer(void)
{
	struct channel *channel;

	channel = child_start(ROLE_SIGNER, NULL, 0, from_signer);
	mtgcpd.channel[ROLE_SIGNER] = channel;
	channel_send(channel, IMSG_SETUP_END, 0, NULL, 0);
	start_key(ROLE_PROBER);
	start_key(ROLE_ACTUATOR);
	if (wants_cloud())
		start_key(ROLE_REPORTER);
}

/* A child has gone: so do we, with a message that names it. */
static void
child_gone(enum role role, const char *how)
{
	static const struct timeval soon = { 0, 50 * 1000 };
	char error[REASON_LEN];

	if (mtgcpd.stopping) {
		/* What it said last is still to be read. */
		if (role == ROLE_ACTUATOR)
			event_base_loopexit(mtgcpd.base, &soon);
		else if (role == ROLE_REPORTER)
			event_base_loopbreak(mtgcpd.base);
		return;
	}
	log_errorx("the %s %s; ending", role_name(role), how);
	snprintf(error, sizeof(error), "the %s %s", role_name(role), how);
	lifecycle("child_lost", RESULT_FAILURE, error,
	    json_pack("{s:s}", "child", role_name(role)));
	mtgcpd.status = 1;
	event_base_loopbreak(mtgcpd.base);
}

/* Long enough for the write in flight, whose calls have timeouts. */
static time_t
stop_seconds(void)
{
	const struct failover_conf *fc;
	uint32_t longest = 0;

	TAILQ_FOREACH(fc, &mtgcpd.conf->failovers, entry) {
		if (fc->timeout.bgp_update > longest)
			longest = fc->timeout.bgp_update;
		if (fc->timeout.cloudflare_bulk > longest)
			longest = fc->timeout.cloudflare_bulk;
	}
	return ((time_t)(longest / 1000 + 5));
}

static void
stop_now(evutil_socket_t fd __unused, short what __unused, void *arg __unused)
{
	event_base_loopbreak(mtgcpd.base);
}

/* Stop: no new cycle and no new step, but what is in flight is finished. */
static void
stop(evutil_socket_t signo, short what __unused, void *arg __unused)
{
	const struct timeval patience = { stop_seconds(), 0 };

	if (mtgcpd.stopping)
		return;
	mtgcpd.stopping = true;
	log_info("%s: stopping", strsignal((int)signo));
	notify_stopping();
	engine_stop();
	connectivity_stop();
	if (!mtgcpd.running) {
		event_base_loopbreak(mtgcpd.base);
		return;
	}
	channel_send(mtgcpd.channel[ROLE_ACTUATOR], IMSG_STOP, 0, NULL, 0);
	mtgcpd.patience = evtimer_new(mtgcpd.base, stop_now, NULL);
	if (mtgcpd.patience == NULL ||
	    evtimer_add(mtgcpd.patience, &patience) == -1)
		event_base_loopbreak(mtgcpd.base);
}

/* Open the log files anew: others have moved them away. */
void
logs_reopen(void)
{
	output_reopen();
	event_reopen();
	log_info("log files opened again");
}

/* Log up to that syslog(3) priority from now on, here and in the children. */
void
logs_level(int level)
{
	const struct msg_level msg = { level };
	int role;

	log_setlevel(level);
	for (role = ROLE_RESOLVER; role < ROLE_MAX; role++)
		if (mtgcpd.channel[role] != NULL)
			channel_send(mtgcpd.channel[role], IMSG_LOG_LEVEL, 0,
			    &msg, sizeof(msg));
}

static void
reopen(evutil_socket_t signo __unused, short what __unused, void *arg __unused)
{
	logs_reopen();
}

static void
on_hangup(evutil_socket_t signo __unused, short what __unused,
    void *arg __unused)
{
	(void)reload_begin();
}

static void
on_signal(int signo, event_callback_fn callback)
{
	struct event *event;

	event = evsignal_new(mtgcpd.base, signo, callback, NULL);
	if (event == NULL || event_add(event, NULL) == -1)
		fatalx("evsignal_new");
}

/* An event has been written: others want to know. */
static void
followed(const char *line, size_t len)
{
	control_event(line, len);
	notify_status();
}

/* Everything that can fail because of files, before the children start. */
static void
open_files(struct conf *conf, bool foreground)
{
	struct failover *failovers;
	size_t count;

	if (output_open(mtgcpd.base, conf, foreground) == -1 ||
	    event_open(conf) == -1)
		exit(1);
	log_init("mt-gcpd", conf->log_level, output_put);
	if (engine_init(mtgcpd.base, conf) == -1)
		fatal("engine_init");
	count = engine_failovers(&failovers);
	if (statefile_load(conf->state_file, failovers, count) == -1)
		fatal("%s", conf->state_file);
	statefile_init(mtgcpd.base, conf->state_file);
	if (control_open(conf) == -1)
		exit(1);
	event_follow(followed);
}

/* Start the children: all else follows from what they say. */
static void
turn(struct conf *conf)
{
	hosts_init(mtgcpd.base);
	if (children_init(mtgcpd.base, conf, child_gone) == -1)
		exit(1);
	if (TAILQ_EMPTY(&conf->nameservers))
		hosts_nameservers(&conf->nameservers);
	start_resolver();
	start_signer();
	if (event_base_dispatch(mtgcpd.base) == -1)
		fatalx("event_base_dispatch");
}

static void
close_children(void)
{
	int role;

	connectivity_stop();
	for (role = ROLE_RESOLVER; role < ROLE_MAX; role++)
		child_close((enum role)role);
}

/* Give the reporter a moment to write the last events. */
static void
report_last(void)
{
	static const struct timeval patience = { 2, 0 };

	if (mtgcpd.channel[ROLE_REPORTER] == NULL || !mtgcpd.running ||
	    mtgcpd.status != 0)
		return;
	report_close();
	channel_send(mtgcpd.channel[ROLE_REPORTER], IMSG_STOP, 0, NULL, 0);
	(void)event_base_loopexit(mtgcpd.base, &patience);
	(void)event_base_dispatch(mtgcpd.base);
}

/* Be the daemon, with a configuration that is then no longer the caller's,
 * until it ends.  Returns the exit status. */
int
mtgcpd_run(struct conf *conf, bool foreground)
{
	if (statefile_lock(conf->state_file) == -1) {
		if (errno == EWOULDBLOCK)
			fatalx("already running (%s is locked)",
			    conf->state_file);
		fatal("%s", conf->state_file);
	}
	mtgcpd.listener = -1;
	if (conf->listen_port != 0) {
		mtgcpd.listener = report_listen(conf);
		if (mtgcpd.listener == -1)
			fatal("metrics listen on %s port %u",
			    conf->listen_address, conf->listen_port);
	}
	/* A relative path of a key or a token stays what it was. */
	if (!foreground && daemon(1, 0) == -1)
		fatal("daemon");
	(void)signal(SIGPIPE, SIG_IGN);
	umask(027);
	mtgcpd.conf = conf;
	mtgcpd.base = channel_loop();
	mtgcpd.started = mono_ms();
	notify_open();
	report_reload(conf);
	open_files(conf, foreground);
	lifecycle("startup", RESULT_SUCCESS, NULL, NULL);
	log_info("version %s", MTGCPD_VERSION);
	on_signal(SIGTERM, stop);
	on_signal(SIGINT, stop);
	on_signal(SIGUSR1, reopen);
	on_signal(SIGHUP, on_hangup);
	turn(conf);

	if (mtgcpd.status == 0)
		lifecycle("shutdown", RESULT_SUCCESS, NULL, NULL);
	else
		lifecycle("shutdown", RESULT_FAILURE, "a child was lost", NULL);
	log_info("stopped");
	report_last();
	close_children();
	event_follow(NULL);
	control_close();
	notify_close();
	statefile_close();
	hosts_free();
	engine_free();
	event_close();
	output_close();
	conf_free(mtgcpd.conf);
	return (mtgcpd.status);
}

static void
give_up(evutil_socket_t signo, short what __unused, void *arg __unused)
{
	log_warnx("%s: not all has been tested", strsignal((int)signo));
	mtgcpd.status = 1;
	event_base_loopbreak(mtgcpd.base);
}

/*
 * Test the connectivity with the children as they always are, but turn to
 * nothing else: no state, no log, no cycle, no plan.  So it can be done while
 * the daemon runs.
 */
int
mtgcpd_test(struct conf *conf)
{
	if (!mtgcpd.verbose)
		conf->log_level = LOG_WARNING;
	log_init("mt-gcpd", conf->log_level, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	mtgcpd.conf = conf;
	mtgcpd.base = channel_loop();
	mtgcpd.test = true;
	on_signal(SIGTERM, give_up);
	on_signal(SIGINT, give_up);
	turn(conf);
	close_children();
	hosts_free();
	conf_free(conf);
	return (mtgcpd.status);
}
