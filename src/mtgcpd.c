/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/stat.h>

#include <errno.h>
#include <seccomp.h>
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

static __dead void
usage(void)
{
	fprintf(stderr,
	    "usage: mt-gcpd [-dnptVv] [-D macro=value] [-f file] "
	    "[-r events]\n");
	exit(2);
}

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
	if (imsg->hdr.id != ROLE_PROBER && imsg->hdr.id != ROLE_ACTUATOR)
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
	if (msg.refused && !reload_running()) {
		log_info("the %s's key or token was refused; reading %s again",
		    role_name(role), mtgcpd.conf->credentials[role]);
		(void)push_key(mtgcpd.channel[ROLE_SIGNER], mtgcpd.conf, role);
	}
	channel_send(mtgcpd.channel[ROLE_SIGNER], IMSG_ASSERT, (uint32_t)role,
	    &msg, sizeof(msg));
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
	else if (imsg->hdr.type == IMSG_ASSERT)
		ask_signer(ROLE_PROBER, imsg);
	else if (imsg->hdr.type == IMSG_CONF_IN_USE)
		reload_in_use(ROLE_PROBER);
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
	else if (imsg->hdr.type == IMSG_ASSERT)
		ask_signer(ROLE_ACTUATOR, imsg);
	else if (imsg->hdr.type == IMSG_CF_REFUSED)
		cf_refused(imsg->hdr.id);
	else if (imsg->hdr.type == IMSG_CONF_IN_USE)
		reload_in_use(ROLE_ACTUATOR);
	else if (is_test(imsg))
		connectivity_message(ROLE_ACTUATOR, imsg);
	else
		engine_actuator(imsg);
}

/* Note the ports that the prober or the actuator connects to. */
static void
network_ports(enum role role)
{
	const char *urls[] = { mtgcpd.key[role].token_uri,
		mtgcpd.conf->url[API_COMPUTE],
		mtgcpd.conf->url[API_CLOUDFLARE] };
	size_t n = role == ROLE_ACTUATOR ? 3 : 2;
	char host[HOST_LEN];
	size_t i;

	for (i = 0; i < n; i++) {
		mtgcpd.ports[role][i] = url_host(urls[i], host, sizeof(host));
		hosts_add(urls[i], role);
	}
	mtgcpd.nports[role] = n;
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
	if (push_actuator(actuator, mtgcpd.conf,
		mtgcpd.key[ROLE_ACTUATOR].token_uri) == -1)
		exit(1);
	if (mtgcpd.test) {
		connectivity_once(mtgcpd.base, mtgcpd.conf, prober, actuator,
		    tested);
		return;
	}
	engine_start(prober, actuator);
	connectivity_start(mtgcpd.base, mtgcpd.conf, prober, actuator);
	lifecycle("startup_complete", RESULT_SUCCESS, NULL, NULL);
	log_info("watching %u failovers", mtgcpd.conf->nfailovers);
}

/*
 * Start-up goes on whenever a child is ready or a key is loaded: first the
 * resolver and the signer, who has to say where the keys are exchanged; then
 * the prober and the actuator; then the parent itself is confined, and the
 * hosts are looked up.
 */
static void
start_next(void)
{
	if (!mtgcpd.key_loaded[ROLE_PROBER] ||
	    !mtgcpd.key_loaded[ROLE_ACTUATOR] || mtgcpd.running)
		return;
	if (!mtgcpd.network) {
		mtgcpd.network = true;
		start_network(ROLE_PROBER, from_prober);
		start_network(ROLE_ACTUATOR, from_actuator);
		parent_confine();
	}
	if (!mtgcpd.ready[ROLE_RESOLVER] || !mtgcpd.ready[ROLE_PROBER] ||
	    !mtgcpd.ready[ROLE_ACTUATOR])
		return;
	mtgcpd.running = true;
	hosts_start(mtgcpd.channel[ROLE_RESOLVER], mtgcpd.channel[ROLE_PROBER],
	    mtgcpd.channel[ROLE_ACTUATOR], start_cycles);
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

static void
start_signer(void)
{
	struct channel *channel;

	channel = child_start(ROLE_SIGNER, NULL, 0, from_signer);
	mtgcpd.channel[ROLE_SIGNER] = channel;
	channel_send(channel, IMSG_SETUP_END, 0, NULL, 0);
	if (push_key(channel, mtgcpd.conf, ROLE_PROBER) == -1 ||
	    push_key(channel, mtgcpd.conf, ROLE_ACTUATOR) == -1)
		exit(1);
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

static void
reopen(evutil_socket_t signo __unused, short what __unused, void *arg __unused)
{
	output_reopen();
	event_reopen();
	log_info("log files opened again");
}

static void
on_hangup(evutil_socket_t signo __unused, short what __unused,
    void *arg __unused)
{
	reload_begin();
}

static void
on_signal(int signo, event_callback_fn callback)
{
	struct event *event;

	event = evsignal_new(mtgcpd.base, signo, callback, NULL);
	if (event == NULL || event_add(event, NULL) == -1)
		fatalx("evsignal_new");
}

/* Everything that can fail because of files, before the children start. */
static void
open_files(struct conf *conf, bool foreground)
{
	struct failover *failovers;
	size_t count;

	if (output_open(conf, foreground) == -1 || event_open(conf) == -1)
		exit(1);
	log_init("mt-gcpd", conf->log_level, output_put);
	if (engine_init(mtgcpd.base, conf) == -1)
		fatal("engine_init");
	count = engine_failovers(&failovers);
	if (statefile_load(conf->state_file, failovers, count) == -1)
		fatal("%s", conf->state_file);
	statefile_init(mtgcpd.base, conf->state_file);
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

static int
run(struct conf *conf, bool foreground)
{
	if (statefile_lock(conf->state_file) == -1) {
		if (errno == EWOULDBLOCK)
			fatalx("already running (%s is locked)",
			    conf->state_file);
		fatal("%s", conf->state_file);
	}
	/* A relative path of a key or a token stays what it was. */
	if (!foreground && daemon(1, 0) == -1)
		fatal("daemon");
	(void)signal(SIGPIPE, SIG_IGN);
	umask(027);
	mtgcpd.conf = conf;
	mtgcpd.base = channel_loop();
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
	close_children();
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
static int
run_tests(struct conf *conf)
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

static __dead void
print_version(void)
{
	const struct scmp_version *seccomp = seccomp_version();

	printf("mt-gcpd %s\nparent: libevent %s, jansson %s, libseccomp "
	       "%u.%u.%u\n",
	    MTGCPD_VERSION, event_get_version(), jansson_version_str(),
	    seccomp->major, seccomp->minor, seccomp->micro);
	fflush(stdout);
	children_versions();
	exit(0);
}

struct options {
	const char *file;
	const char *replay;
	bool foreground;
	bool check;
	bool print;
	bool test;
	bool verbose;
};

static void
get_options(struct options *options, int argc, char *argv[])
{
	int ch;

	options->file = CONF_FILE;
	while ((ch = getopt(argc, argv, "D:df:npr:tVv")) != -1) {
		switch (ch) {
		case 'D':
			if (conf_macro(optarg) == -1) {
				fprintf(stderr,
				    "mt-gcpd: -D %s: expected "
				    "macro=value\n",
				    optarg);
				exit(2);
			}
			break;
		case 'd':
			options->foreground = true;
			break;
		case 'f':
			options->file = optarg;
			break;
		case 'n':
			options->check = true;
			break;
		case 'p':
			options->print = true;
			break;
		case 'r':
			options->replay = optarg;
			break;
		case 't':
			options->test = true;
			break;
		case 'V':
			print_version();
		case 'v':
			options->verbose = true;
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
}

int
main(int argc, char *argv[])
{
	struct options options = { 0 };
	struct conf *conf;
	int status = 0;

	get_options(&options, argc, argv);
	conf = conf_parse(options.file);
	if (conf == NULL)
		return (errno == EINVAL ? 2 : 1);
	mtgcpd.file = options.file;
	mtgcpd.foreground = options.foreground;
	mtgcpd.verbose = options.verbose;
	if (options.verbose)
		conf->log_level = LOG_DEBUG;
	if (options.replay != NULL)
		status = replay_file(conf, options.replay);
	else if (options.print)
		conf_print(conf, stdout);
	else if (conf_check_files(conf) == -1)
		status = 1;
	else if (options.check)
		fprintf(stderr, "configuration OK\n");
	else if (options.test)
		return (run_tests(conf));
	else
		return (run(conf, options.foreground));
	conf_free(conf);
	return (status);
}
