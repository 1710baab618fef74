/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

#include "children.h"
#include "log.h"
#include "mtgcpd.h"

/*
 * The command line of mt-gcpd(8).
 */

static __dead void
usage(void)
{
	fprintf(stderr,
	    "usage: mt-gcpd [-dnptVv] [-D macro=value] [-e file | "
	    "-f file] [-r events]\n");
	exit(2);
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
	const char *file;   /* NULL: none was named */
	bool env;	    /* it is an environment file */
	const char *replay; /* events, or NULL */
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

	while ((ch = getopt(argc, argv, "D:de:f:npr:tVv")) != -1) {
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
		case 'e':
		case 'f':
			if (options->file != NULL &&
			    options->env != (ch == 'e'))
				usage();
			options->file = optarg;
			options->env = ch == 'e';
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
	if (options->file == NULL)
		options->file = CONF_FILE;
}

int
main(int argc, char *argv[])
{
	struct options options = { 0 };
	struct conf *conf;
	int status = 0;

	get_options(&options, argc, argv);
	conf = options.env ? env_parse(options.file) : conf_parse(options.file);
	if (conf == NULL)
		return (errno == EINVAL ? 2 : 1);
	mtgcpd.file = options.file;
	mtgcpd.env = options.env;
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
	else if (options.check) {
		conf_check_limit(conf);
		fprintf(stderr, "configuration OK\n");
	} else if (options.test)
		return (mtgcpd_test(conf));
	else
		return (mtgcpd_run(conf, options.foreground));
	conf_free(conf);
	return (status);
}
