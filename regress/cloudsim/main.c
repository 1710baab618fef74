/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * cloudsim: start-up, and the files that tell a test where everything is.
 */

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cloudsim.h"

struct sim sim;

static void __attribute__((__noreturn__)) usage(void)
{
	fprintf(stderr, "usage: cloudsim [-av] -d directory [-w world.json]\n");
	exit(2);
}

static void
stop(evutil_socket_t signo, short what, void *arg)
{
	(void)signo;
	(void)what;
	event_base_loopbreak(arg);
}

static void catch (int signo)
{
	struct event *ev;

	ev = evsignal_new(sim.base, signo, stop, sim.base);
	if (ev == NULL || event_add(ev, NULL) == -1)
		errx(1, "signal %d", signo);
}

/* Tests leave nothing behind: when the parent dies, so do we. */
static void
follow_parent(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) == -1)
		err(1, "prctl");
	if (getppid() != parent)
		errx(1, "the parent is gone already");
}

/* Thousands of connections are thousands of descriptors. */
static void
raise_limits(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
}

static json_t *
url(const char *host, const char *path)
{
	char *text;
	json_t *v;

	text = xasprintf("https://%s:%d%s", host, sim.https_port, path);
	v = json_string(text);
	free(text);
	return (v);
}

/* Comes last: whoever sees it may rely on everything else. */
static void
write_ready(void)
{
	char metadata[64];

	snprintf(metadata, sizeof(metadata), "http://127.0.0.1:%d",
	    sim.control_port);
	pki_write_json("ready.json",
	    json_pack("{s:i, s:i, s:i, s:i, s:i, s:o, s:o,"
		      " s:o, s:o, s:o, s:s, s:s, s:s}",
		"pid", (int)getpid(), "https_port", sim.https_port, "http_port",
		sim.http_port, "control_port", sim.control_port, "dns_port",
		sim.dns_port, "compute",
		url("compute." SIM_DOMAIN, "/compute/v1"), "cloudflare",
		url("api." SIM_DOMAIN, "/client/v4"), "compute_ip",
		url("127.0.0.1", "/compute/v1"), "cloudflare_ip",
		url("127.0.0.1", "/client/v4"), "logging",
		url("logging." SIM_DOMAIN, "/v2"), "token_uri", sim.token_uri,
		"metadata", metadata, "cloudflare_token", sim.cf_token));
}

static void
make_token(void)
{
	char hex[41], line[64];
	int n;

	random_hex(hex, sizeof(hex));
	snprintf(sim.cf_token, sizeof(sim.cf_token), "cfut_%s", hex);
	n = snprintf(line, sizeof(line), "%s\n", sim.cf_token);
	pki_write("cloudflare.token", line, (size_t)n);
}

static void
forget_old(void)
{
	char *path;

	path = xasprintf("%s/ready.json", sim.dir);
	(void)unlink(path);
	free(path);
}

static void
start(const char *world_file)
{
	SSL_CTX *ctx;

	sim.base = event_base_new();
	if (sim.base == NULL)
		errx(1, "event_base_new");
	catch (SIGTERM);
	catch (SIGINT);
	forget_old();
	ctx = pki_init();
	make_token();
	if (world_init(world_file) == -1)
		exit(1);
	sim.https_port = http_listen(ctx, false);
	sim.http_port = http_listen(NULL, false);
	sim.control_port = http_listen(NULL, true);
	sim.dns_port = dns_listen();
	snprintf(sim.token_uri, sizeof(sim.token_uri), "https://%s:%d/token",
	    sim.by_address ? "127.0.0.1" : "oauth." SIM_DOMAIN, sim.https_port);
	pki_write_accounts();
	write_ready();
}

int
main(int argc, char *argv[])
{
	const char *world_file = NULL;
	pid_t parent = getppid();
	int ch;

	while ((ch = getopt(argc, argv, "ad:vw:")) != -1) {
		switch (ch) {
		case 'a':
			sim.by_address = true;
			break;
		case 'd':
			sim.dir = optarg;
			break;
		case 'v':
			sim.verbose = true;
			break;
		case 'w':
			world_file = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind != argc || sim.dir == NULL)
		usage();
	follow_parent(parent);
	raise_limits();
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	start(world_file);
	event_base_dispatch(sim.base);
	return (0);
}
