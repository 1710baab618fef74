/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * The grammar of mt-gcpd.conf(5): the rules, what they do with the values,
 * the lexer, and the files and macros that feed it.
 */

%{
#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <arpa/inet.h>

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "conf.h"

#define TEXT_MAX     8192 /* bytes of a string */
#define NUMBER_MAX   1000000000000LL
#define DAY	     86400
#define RATE_MAX     100000 /* requests in a second */
#define BURST_SECONDS 5 /* of the rate, unless it is given */
#define BACKOFF_MAX  (300 * 1000) /* milliseconds */
#define LOG_MIN      4096 /* bytes of a log file before it is rotated */
#define LOG_MAX	     (100LL << 30)
#define KEEP_MAX     999 /* files of a log that were rotated */
#define KEEP_DEFAULT 5
#define EXPAND_MAX   1000 /* macros in a line */
#define EXPECTED_MAX 8 /* alternatives that a message names */

/*
 * Where characters come from: a file, or the value of a macro.  The newest is
 * read to its end before the one below it goes on.
 */
struct input {
	SLIST_ENTRY(input) entry;
	FILE *fp; /* NULL: a macro */
	const char *name;
	int line;
	int last; /* character that was read last */
	int pushed[2]; /* characters to be read again, the last one first */
	int npushed;
	dev_t dev;
	ino_t ino;
	char *value; /* a copy of the macro's, which may change meanwhile */
	const char *next;
};

struct macro {
	TAILQ_ENTRY(macro) entry;
	char *name;
	char *value;
	bool fixed; /* from the command line: files do not change it */
};

/* What was said of a row of the table of states; columns by bit. */
struct row {
	struct actions actions;
	unsigned int columns;
};

/* Where the tokens of a process come from: a key file, or a service account of
 * this machine; both NULL: not given. */
struct credentials {
	char *file;
	char *metadata;
};

static SLIST_HEAD(, input) inputs = SLIST_HEAD_INITIALIZER(inputs);
static TAILQ_HEAD(, macro) macros = TAILQ_HEAD_INITIALIZER(macros);

static struct conf *conf;
static struct failover_conf *cur; /* block that is read, or conf->top */
static uint32_t unreadable;	  /* errors that the files are to blame for */

/* What the lexer remembers, for messages and to find out of an error. */
static struct {
	int token;
	int last;	 /* the token before */
	int first;	 /* of the statement */
	int depth;	 /* braces that the statement has opened */
	int expanded;	 /* macros in this line of a file */
	bool recovering; /* skipping the rest of a statement */
	char text[64];	 /* of the token, as it was written */
	char first_text[64];
} lex;

static int yylex(void);
static void yyerror(const char *, ...)
    __attribute__((__format__(__printf__, 1, 2)));
static void recovered(void);
static struct failover_conf *block_open(const char *);
static void block_close(struct failover_conf *);
static void include(char *);
static void set_macro(char *, char *);
static char *number_text(int64_t);
static int64_t within(const char *, int64_t, int64_t, int64_t);
static void set_string(int, char **, char *, const char *(*)(const char *));
static int64_t size_of(char *);
static struct rotation rotation(int64_t, int64_t);
static void set_endpoint(int, char *);
static void set_control(char *, char *, char *);
static void set_account(char *, char *);
static void set_nameserver(char *, int64_t);
static bool credentials_good(const struct credentials *);
static void set_credentials(int, enum role, struct credentials);
static void set_cloud(char *, char *, struct credentials);
static void set_listen(char *, int64_t);
static void set_interval(int64_t, int64_t);
static void set_window(int64_t, int64_t, int64_t);
static void set_unknown_after(int64_t);
static void set_names(int, struct names *, struct names *);
static void set_verify(int64_t, int64_t);
static void set_row(int64_t, const struct row *);
static void set_router_region(int, char *);
static void set_prefix(int, char *);
static void set_routes(char *, int64_t, int64_t, int64_t);
static void set_timeout(int, int64_t);
static void set_backoff(int64_t, int64_t);
static void set_limit(int64_t, int64_t);
static struct row merge_rows(const struct row *, const struct row *);
static int64_t add_state(int64_t, int64_t);
static struct names *list_add(struct names *, char *);
static void list_free(struct names *);
%}

%define parse.error custom
%define parse.lac full
%define api.token.prefix {T_}
%expect 0

%union {
	int64_t number;
	char *string;
	struct names *names;
	struct failover_conf *failover;
	struct row row;
	struct rotation rotation;
	struct credentials credentials;
}

%destructor { free($$); } <string>
%destructor { list_free($$); } <names>
%destructor { free($$.file); free($$.metadata); } <credentials>

%token NL "end of line" OPEN "{" CLOSE "}" COMMA "," EQUALS "="
%token BAD UNSUPPORTED
%token <string> STRING "a string"
%token <number> NUMBER "a whole number" FRACTION "a number"

/* Keep sorted, as messages name alternatives in this order.  Every one of
 * these is in keywords[] as well. */
%token ACCOUNT "account" ACTUATOR "actuator" ADVERTISE "advertise" ALL "all"
%token ANY "any" API "api" BACKOFF "backoff" BGP "bgp" BGPCHECK "bgp-check"
%token BGPUPDATE "bgp-update" BRAKE "brake" BREAKER "breaker" BURST "burst"
%token CA "ca" CHROOT "chroot" CLOUD "cloud" CLOUDFLARE "cloudflare"
%token CLOUDFLAREBULK "cloudflare-bulk" COMPUTE "compute" CONNECT "connect"
%token CONTROL "control" CREDENTIALS "credentials" DEBUG "debug" DOWN "down"
%token DOWNAFTER "down-after" DRAIN "drain" DWELL "dwell" ENDPOINT "endpoint"
%token ERROR "error" EVENTS "events" EXCEPT "except" EXPECT "expect"
%token FAILED "failed" FAILOVER "failover" FAST "fast" FILENAME "file"
%token GROUP "group" HANDOVER "handover" HEALTH "health" IGNORE "ignore"
%token INCLUDE "include" INFO "info" INITIAL "initial" INTERVAL "interval"
%token KEEP "keep"
%token LEVEL "level" LIMIT "limit" LISTEN "listen" LOCAL "local" LOG "log"
%token LOGGING "logging" MATCHING "matching" MAX "max" MAXSIZE "max-size"
%token METADATA "metadata" METRICS "metrics" NAME "name"
%token NAMESERVER "nameserver" NO "no" ON "on" PASSIVE "passive" PEER "peer"
%token PEERS "peers" PER "per" PERCENT "percent" PORT "port" PREFIX "prefix"
%token PRIMARY "primary" PRIORITY "priority" PROBER "prober" PROJECT "project"
%token READONLY "read-only" REGION "region" REMOTE "remote"
%token REPORTER "reporter" REQUESTS "requests"
%token REQUIRE "require" RESOLVER "resolver" RETRIES "retries"
%token RETURNAFTER "return-after" ROUTER "router" ROUTES "routes"
%token SECOND "second" SECONDARY "secondary" SERVICES "services"
%token SIGNER "signer" SOCKET "socket" STATE "state" STDERR "stderr"
%token SYSLOG "syslog"
%token THRESHOLD "threshold" TIMEOUT "timeout" TLS "tls" TOKEN "token"
%token UNKNOWNAFTER "unknown-after" UP "up" USER "user" VERIFY "verify"
%token WAIT "wait" WARNING "warning" WINDOW "window" WITHDRAW "withdraw"
%token YES "yes"

%type <number> yesno decimal endpoint user level port fast require except
%type <number> side which timeout retries burst states numbers advert steer
%type <number> failed expect size keep
%type <names> list strings
%type <string> group readonly cloudname account
%type <credentials> credentials cloudcredentials
%type <row> actions action
%type <rotation> rotation

%%

statements	: %empty
		| statements NL
		| statements statement NL
		| statements failover NL
		| statements INCLUDE STRING NL {
			include($3);
		}
		| statements FAILOVER error NL {
			yyerrok;
			recovered();
		}
		| statements error NL {
			yyerrok;
			recovered();
		}
		;

failover	: FAILOVER STRING "{" <failover>{
			$$ = block_open($2);
		} body {
			free($2);
			block_close($4);
		}
		| FAILOVER error "{" <failover>{
			yyerrok;
			recovered();
			$$ = block_open(NULL);
		} body {
			block_close($4);
		}
		;

body		: statements "}"
		| statements statement "}"
		| statements error "}" {
			yyerrok;
			recovered();
		}
		;

statement	: macro
		| global
		| logging
		| health
		| bgp
		| state
		| acting
		| place
		;

macro		: STRING "=" STRING {
			set_macro($1, $3);
		}
		| STRING "=" NUMBER {
			set_macro($1, number_text($3));
		}
		;

global		: PROBER credentials {
			set_credentials(ST_PROBER_CREDENTIALS, ROLE_PROBER, $2);
		}
		| ACTUATOR credentials {
			set_credentials(ST_ACTUATOR_CREDENTIALS, ROLE_ACTUATOR,
			    $2);
		}
		| CLOUDFLARE ACCOUNT STRING TOKEN FILENAME STRING {
			set_account($3, $6);
		}
		| ENDPOINT endpoint STRING {
			set_endpoint($2, $3);
		}
		| TLS CA FILENAME STRING {
			set_string(ST_CA, &conf->ca_file, $4, value_absolute);
		}
		| NAMESERVER STRING port {
			set_nameserver($2, $3);
		}
		| USER user STRING {
			set_string(ST_USER + $2, &conf->user[$2], $3,
			    value_user);
		}
		| CHROOT STRING {
			set_string(ST_CHROOT, &conf->chroot, $2, value_chroot);
		}
		| CONTROL SOCKET STRING group readonly {
			set_control($3, $4, $5);
		}
		| STATE FILENAME STRING {
			set_string(ST_STATE_FILE, &conf->state_file, $3,
			    value_absolute);
		}
		;

credentials	: CREDENTIALS FILENAME STRING {
			$$.file = $3;
			$$.metadata = NULL;
		}
		| CREDENTIALS METADATA account {
			$$.file = NULL;
			$$.metadata = $3;
		}
		;

account		: %empty {
			$$ = conf_strdup("default");
		}
		| ACCOUNT STRING {
			$$ = $2;
		}
		;

group		: %empty {
			$$ = NULL;
		}
		| GROUP STRING {
			$$ = $2;
		}
		;

readonly	: %empty {
			$$ = NULL;
		}
		| READONLY STRING {
			$$ = $2;
		}
		;

logging		: LOG LEVEL level {
			if (conf_once(conf, cur, ST_LOG_LEVEL))
				conf->log_level = $3;
		}
		| LOG SYSLOG yesno {
			if (conf_once(conf, cur, ST_LOG_SYSLOG))
				conf->log_syslog = $3;
		}
		| LOG STDERR yesno {
			if (conf_once(conf, cur, ST_LOG_STDERR))
				conf->log_stderr = $3;
		}
		| LOG FILENAME STRING rotation {
			set_string(ST_LOG_FILE, &conf->log_file, $3,
			    value_absolute);
			conf->log_rotation = $4;
		}
		| LOG EVENTS FILENAME STRING rotation {
			set_string(ST_EVENTS_FILE, &conf->events_file, $4,
			    value_absolute);
			conf->events_rotation = $5;
		}
		| LOG EVENTS STDERR yesno {
			if (conf_once(conf, cur, ST_EVENTS_STDERR))
				conf->events_stderr = $4;
		}
		| LOG CLOUD PROJECT STRING cloudname cloudcredentials {
			set_cloud($4, $5, $6);
		}
		| METRICS LISTEN ON STRING PORT NUMBER {
			set_listen($4, $6);
		}
		;

health		: INTERVAL decimal fast {
			set_interval($2, $3);
		}
		| HEALTH WINDOW NUMBER UP NUMBER DOWN NUMBER {
			set_window($3, $5, $7);
		}
		| HEALTH REQUIRE require {
			if (conf_once(conf, cur, ST_REQUIRE))
				cur->require_percent = within("the percentage",
				    $3, 1, 100);
		}
		| HEALTH SERVICES list {
			set_names(ST_SERVICES, &cur->services, $3);
		}
		| HEALTH UNKNOWNAFTER decimal {
			set_unknown_after($3);
		}
		;

bgp		: BGP PEERS ANY {
			if (conf_once(conf, cur, ST_BGP_PEERS))
				cur->bgp_all = false;
		}
		| BGP PEERS ALL {
			if (conf_once(conf, cur, ST_BGP_PEERS))
				cur->bgp_all = true;
		}
		| BGP DOWNAFTER NUMBER {
			if (conf_once(conf, cur, ST_BGP_DOWN_AFTER))
				cur->policy.bgp_down_after = 1000 *
				    within("down-after", $3, 0, DAY);
		}
		| BGP LOCAL REQUIRE {
			if (conf_once(conf, cur, ST_BGP_LOCAL))
				cur->policy.local_bgp = true;
		}
		| BGP LOCAL IGNORE {
			if (conf_once(conf, cur, ST_BGP_LOCAL))
				cur->policy.local_bgp = false;
		}
		;

state		: VERIFY NUMBER {
			set_verify(0, $2);
		}
		| VERIFY STATE states NUMBER {
			if ($3 != 0)
				set_verify($3, $4);
		}
		| DWELL NUMBER except {
			if (conf_once(conf, cur, ST_DWELL)) {
				cur->policy.dwell = 1000 *
				    within("dwell", $2, 0, DAY);
				cur->policy.dwell_except = $3;
			}
		}
		| RETURNAFTER NUMBER {
			if (conf_once(conf, cur, ST_RETURN_AFTER))
				cur->policy.return_after = 1000 *
				    within("return-after", $2, 0, DAY);
		}
		| BRAKE NUMBER PER NUMBER {
			if (conf_once(conf, cur, ST_BRAKE)) {
				cur->policy.brake = within("brake", $2, 1,
				    BRAKE_MAX);
				cur->policy.brake_period = 1000 *
				    within("the period of the brake", $4, 1,
				    7 * DAY);
			}
		}
		| BRAKE NO {
			if (conf_once(conf, cur, ST_BRAKE))
				cur->policy.brake = 0;
		}
		| STATE NUMBER actions {
			set_row($2, &$3);
		}
		;

acting		: HANDOVER WAIT NUMBER {
			if (conf_once(conf, cur, ST_HANDOVER))
				cur->policy.handover = 1000 *
				    within("handover wait", $3, 0, DAY);
		}
		| HANDOVER NO {
			if (conf_once(conf, cur, ST_HANDOVER))
				cur->policy.handover = -1;
		}
		| DRAIN NUMBER {
			if (conf_once(conf, cur, ST_DRAIN))
				cur->drain = 1000 *
				    within("drain", $2, 0, 3600);
		}
		| PASSIVE yesno {
			if (conf_once(conf, cur, ST_PASSIVE))
				cur->passive = $2;
		}
		| ADVERTISE ON ROUTER {
			set_names(ST_ADVERTISE, &cur->peers, NULL);
		}
		| ADVERTISE ON PEER list {
			set_names(ST_ADVERTISE, &cur->peers, $4);
		}
		| TIMEOUT timeout NUMBER {
			set_timeout($2, $3);
		}
		| RETRIES retries NUMBER {
			if (conf_once(conf, cur, ST_RETRIES + $2))
				cur->retries[$2] = within("retries", $3, 0, 10);
		}
		| BACKOFF INITIAL decimal MAX decimal {
			set_backoff($3, $5);
		}
		| BREAKER THRESHOLD NUMBER TIMEOUT NUMBER {
			if (conf_once(conf, cur, ST_BREAKER)) {
				cur->breaker_threshold = within("threshold",
				    $3, 1, 1000);
				cur->breaker_timeout = 1000 *
				    within("the timeout of a breaker", $5, 1,
				    DAY);
			}
		}
		| LIMIT REQUESTS NUMBER PER SECOND burst {
			set_limit($3, $6);
		}
		;

place		: PROJECT STRING {
			set_string(ST_PROJECT, &cur->project, $2,
			    value_project);
		}
		| side REGION STRING {
			set_string(ST_REGION + $1, &cur->region[$1], $3,
			    value_label);
		}
		| ROUTER PROJECT STRING {
			set_string(ST_ROUTER_PROJECT, &cur->router_project, $3,
			    value_project);
		}
		| side ROUTER STRING {
			set_string(ST_ROUTER + $1, &cur->router[$1], $3,
			    value_label);
		}
		| side ROUTER STRING REGION STRING {
			set_string(ST_ROUTER + $1, &cur->router[$1], $3,
			    value_label);
			set_router_region($1, $5);
		}
		| which PREFIX STRING {
			set_prefix($1, $3);
		}
		| CLOUDFLARE ROUTES MATCHING STRING expect {
			set_routes($4, 100, 200, $5);
		}
		| CLOUDFLARE ROUTES MATCHING STRING PRIORITY NUMBER failed
		    expect {
			set_routes($4, $6, $7, $8);
		}
		;

yesno		: YES		{ $$ = 1; }
		| NO		{ $$ = 0; }
		;

decimal		: NUMBER	{ $$ = $1 * 1000; }
		| FRACTION
		;

fast		: %empty	{ $$ = -1; }
		| FAST decimal	{ $$ = $2; }
		;

port		: %empty	{ $$ = 53; }
		| PORT NUMBER	{ $$ = $2; }
		;

cloudname	: %empty	{ $$ = conf_strdup(CLOUD_NAME); }
		| NAME STRING	{ $$ = $2; }
		;

cloudcredentials : %empty	{ $$.file = $$.metadata = NULL; }
		| credentials
		;

failed		: FAILED NUMBER	{ $$ = $2; }
		;

expect		: %empty	{ $$ = -1; }
		| EXPECT NUMBER	{
			$$ = within("expect", $2, 1, 10000);
		}
		;

require		: ALL			{ $$ = 100; }
		| NUMBER PERCENT	{ $$ = $1; }
		;

except		: %empty		{ $$ = 0; }
		| EXCEPT states	{ $$ = $2; }
		;

endpoint	: COMPUTE	{ $$ = API_COMPUTE; }
		| CLOUDFLARE	{ $$ = API_CLOUDFLARE; }
		| LOGGING	{ $$ = API_LOGGING; }
		| METADATA	{ $$ = URL_METADATA; }
		;

user		: RESOLVER	{ $$ = ROLE_RESOLVER; }
		| SIGNER	{ $$ = ROLE_SIGNER; }
		| PROBER	{ $$ = ROLE_PROBER; }
		| ACTUATOR	{ $$ = ROLE_ACTUATOR; }
		| REPORTER	{ $$ = ROLE_REPORTER; }
		;

level		: DEBUG		{ $$ = LOG_DEBUG; }
		| INFO		{ $$ = LOG_INFO; }
		| WARNING	{ $$ = LOG_WARNING; }
		| ERROR		{ $$ = LOG_ERR; }
		;

rotation	: %empty {
			memset(&$$, 0, sizeof($$));
		}
		| MAXSIZE size keep {
			$$ = rotation($2, $3);
		}
		;

size		: NUMBER
		| STRING {
			$$ = size_of($1);
		}
		;

keep		: %empty	{ $$ = KEEP_DEFAULT; }
		| KEEP NUMBER	{ $$ = $2; }
		;

timeout		: CONNECT	{ $$ = TIMEOUT_CONNECT; }
		| API		{ $$ = TIMEOUT_API; }
		| HEALTH	{ $$ = TIMEOUT_HEALTH; }
		| BGPUPDATE	{ $$ = TIMEOUT_BGP_UPDATE; }
		| CLOUDFLARE	{ $$ = TIMEOUT_CLOUDFLARE; }
		| CLOUDFLAREBULK	{ $$ = TIMEOUT_CLOUDFLARE_BULK; }
		;

retries		: HEALTH	{ $$ = RETRIES_HEALTH; }
		| BGPCHECK	{ $$ = RETRIES_BGP_CHECK; }
		| BGPUPDATE	{ $$ = RETRIES_BGP_UPDATE; }
		| CLOUDFLARE	{ $$ = RETRIES_CLOUDFLARE; }
		;

burst		: %empty	{ $$ = -1; }
		| BURST NUMBER	{ $$ = $2; }
		;

side		: LOCAL		{ $$ = LOCAL; }
		| REMOTE	{ $$ = REMOTE; }
		;

which		: PRIMARY	{ $$ = PRIMARY; }
		| SECONDARY	{ $$ = SECONDARY; }
		;

advert		: ADVERTISE	{ $$ = ADVERT_ADVERTISE; }
		| WITHDRAW	{ $$ = ADVERT_WITHDRAW; }
		| KEEP		{ $$ = ADVERT_KEEP; }
		;

steer		: PRIORITY	{ $$ = STEER_PRIORITY; }
		| FAILED	{ $$ = STEER_FAILED; }
		| KEEP		{ $$ = STEER_KEEP; }
		;

actions		: action
		| actions action {
			$$ = merge_rows(&$1, &$2);
		}
		;

action		: which advert {
			memset(&$$, 0, sizeof($$));
			$$.actions.prefix[$1] = $2;
			$$.columns = 1U << ($1 == PRIMARY ? COLUMN_PRIMARY :
			    COLUMN_SECONDARY);
		}
		| CLOUDFLARE steer {
			memset(&$$, 0, sizeof($$));
			$$.actions.cloudflare = $2;
			$$.columns = 1U << COLUMN_CLOUDFLARE;
		}
		;

states		: "{" nl numbers comma "}" {
			$$ = $3;
		}
		| "{" nl "}" {
			yyerror("the list is empty");
			$$ = 0;
		}
		;

numbers		: NUMBER {
			$$ = add_state(0, $1);
		}
		| numbers comma NUMBER {
			$$ = add_state($1, $3);
		}
		;

list		: "{" nl strings comma "}" {
			$$ = $3;
		}
		| "{" nl "}" {
			yyerror("the list is empty");
			$$ = NULL;
		}
		;

strings		: STRING {
			$$ = list_add(NULL, $1);
		}
		| strings comma STRING {
			$$ = list_add($1, $3);
		}
		;

comma		: nl
		| nl "," nl
		;

nl		: %empty
		| nl NL
		;

%%

/*
 * What the rules do with the values.
 */

static void
yyerror(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	conf_error(conf, "%s", text);
}

/* The number, or the least that is allowed and an error. */
static int64_t
within(const char *what, int64_t value, int64_t min, int64_t max)
{
	if (value >= min && value <= max)
		return (value);
	yyerror("%s must be from %lld to %lld, not %lld", what,
	    (long long)min, (long long)max, (long long)value);
	return (min);
}

/*
 * Begin a failover block; a NULL name: what stood there was none.  Returns
 * what the end of the block goes back to.
 */
static struct failover_conf *
block_open(const char *name)
{
	struct failover_conf *outer = cur;
	const char *error = NULL;

	if (outer != conf->top)
		yyerror("a failover block inside that of line %d: is its "
		    "\"}\" missing?", outer->place.line);
	if (name != NULL)
		error = value_name(name);
	if (error != NULL)
		yyerror("failover \"%s\": %s", name, error);
	cur = failover_new(conf, name == NULL ? "" : name);
	cur->given->broken = name == NULL;
	cur->index = conf->nfailovers++;
	TAILQ_INSERT_TAIL(&conf->failovers, cur, entry);
	lex.depth = 0;
	lex.token = T_NL;
	return (outer);
}

static void
block_close(struct failover_conf *outer)
{
	cur = outer;
}

/* Takes the value over. */
static void
set_string(int st, char **dest, char *value, const char *(*check)(const char *))
{
	const char *error;

	if (conf_once(conf, cur, st)) {
		error = check(value);
		if (error == NULL) {
			free(*dest);
			*dest = value;
			return;
		}
		yyerror("\"%s\": %s", value, error);
	}
	free(value);
}

/* Bytes, from a number with K or M behind it, which is freed; -1: an error. */
static int64_t
size_of(char *text)
{
	int64_t size = 0, unit = 0;
	const char *p = text;

	for (; isdigit((u_char)*p); p++) {
		if (size < LOG_MAX)
			size = size * 10 + (*p - '0');
	}
	if (p != text && strcmp(p, "K") == 0)
		unit = 1024;
	else if (p != text && strcmp(p, "M") == 0)
		unit = 1024 * 1024;
	if (unit == 0)
		yyerror("max-size \"%s\": expected a number of bytes, "
		    "kilobytes (K) or megabytes (M)", text);
	free(text);
	return (unit == 0 ? -1 : size * unit);
}

static struct rotation
rotation(int64_t size, int64_t keep)
{
	struct rotation result = { 0 };

	if (size != -1)
		result.size = within("max-size", size, LOG_MIN, LOG_MAX);
	result.keep = within("keep", keep, 0, KEEP_MAX);
	return (result);
}

/* Takes the region over; the router has told if this is not its place. */
static void
set_router_region(int side, char *region)
{
	const char *error;

	error = value_label(region);
	if (error != NULL)
		yyerror("\"%s\": %s", region, error);
	if (error != NULL || cur == conf->top ||
	    cur->router_region[side] != NULL)
		free(region);
	else
		cur->router_region[side] = region;
}

static bool
control_value(const char *value, const char *error)
{
	if (error == NULL)
		return (true);
	yyerror("\"%s\": %s", value, error);
	return (false);
}

static void
set_control(char *path, char *group, char *looks)
{
	if (!conf_once(conf, cur, ST_CONTROL) ||
	    !control_value(path, value_socket(path)) ||
	    (group != NULL && !control_value(group, value_group(group))) ||
	    (looks != NULL && !control_value(looks, value_socket(looks)))) {
		free(path);
		free(group);
		free(looks);
		return;
	}
	free(conf->control_path);
	conf->control_path = path;
	conf->control_group = group;
	conf->control_looks = looks;
	if (looks != NULL && strcmp(looks, path) == 0)
		yyerror("\"%s\": both sockets cannot be the same", path);
}


/* Paths are put behind it, so it does not end in a slash. */
static void
set_endpoint(int which, char *url)
{
	size_t len;

	len = strlen(url);
	while (len > 0 && url[len - 1] == '/')
		url[--len] = '\0';
	set_string(ST_ENDPOINT + which, &conf->url[which], url,
	    which == URL_METADATA ? value_url : value_https);
}

/* The id is not repeated in the message: it may be a token that went astray. */
static void
set_account(char *id, char *token_file)
{
	const char *error;

	if (!conf_once(conf, cur, ST_ACCOUNT))
		goto unused;
	error = value_account(id);
	if (error != NULL)
		yyerror("the id of the account: %s", error);
	else {
		error = value_path(token_file);
		if (error != NULL)
			yyerror("\"%s\": %s", token_file, error);
	}
	if (error == NULL) {
		cur->given->account = id;
		cur->given->token_file = token_file;
		return;
	}
unused:
	free(id);
	free(token_file);
}

/*
 * Read an address of either family into buf, of ADDRESS_LEN bytes, in its
 * usual form.  Takes the text over; returns false and tells if it is none.
 */
static bool
get_address(char *text, char *buf)
{
	u_char address[sizeof(struct in6_addr)];
	int family;
	bool good;

	family = strchr(text, ':') == NULL ? AF_INET : AF_INET6;
	good = inet_pton(family, text, address) == 1;
	if (good)
		inet_ntop(family, address, buf, ADDRESS_LEN);
	else
		yyerror("\"%s\": expected an IPv4 or IPv6 address", text);
	free(text);
	return (good);
}

/* Checks one part of "log cloud", which may be NULL. */
static bool
cloud_part(const char *text, const char *(*check)(const char *))
{
	const char *error;

	error = text == NULL ? NULL : check(text);
	if (error != NULL)
		yyerror("\"%s\": %s", text, error);
	return (error == NULL);
}

/* Can they be used?  Says why not. */
static bool
credentials_good(const struct credentials *given)
{
	const char *error = NULL;

	if (given->file != NULL)
		error = value_path(given->file);
	else if (given->metadata != NULL)
		error = value_service_account(given->metadata);
	if (error != NULL)
		yyerror("\"%s\": %s",
		    given->file != NULL ? given->file : given->metadata, error);
	return (error == NULL);
}

/* Takes them over. */
static void
set_credentials(int what, enum role role, struct credentials given)
{
	if (!conf_once(conf, cur, what) || !credentials_good(&given)) {
		free(given.file);
		free(given.metadata);
		return;
	}
	conf->credentials[role] = given.file;
	conf->metadata[role] = given.metadata;
}

/* Takes all three over. */
static void
set_cloud(char *project, char *name, struct credentials given)
{
	bool good = conf_once(conf, cur, ST_LOG_CLOUD);

	if (good) {
		good = cloud_part(project, value_project);
		good = cloud_part(name, value_log) && good;
		good = credentials_good(&given) && good;
	}
	if (!good) {
		free(project);
		free(name);
		free(given.file);
		free(given.metadata);
		return;
	}
	conf->cloud_project = project;
	conf->cloud_name = name;
	conf->credentials[ROLE_REPORTER] = given.file;
	conf->metadata[ROLE_REPORTER] = given.metadata;
}

/* Takes the address over. */
static void
set_listen(char *address, int64_t port)
{
	if (!conf_once(conf, cur, ST_METRICS)) {
		free(address);
		return;
	}
	port = within("the port", port, 1, 65535);
	if (get_address(address, conf->listen_address))
		conf->listen_port = port;
}

static void
set_nameserver(char *text, int64_t port)
{
	struct nameserver *ns, *other;
	char address[ADDRESS_LEN];
	int count = 0;

	if (cur != conf->top)
		yyerror("\"nameserver\" does not belong into a failover block");
	port = within("the port", port, 1, 65535);
	if (!get_address(text, address))
		return;
	ns = conf_alloc(1, sizeof(*ns));
	ns->port = port;
	strlcpy(ns->address, address, sizeof(ns->address));
	TAILQ_FOREACH(other, &conf->nameservers, entry) {
		if (++count == NAMESERVERS_MAX)
			yyerror("more than %d name servers", NAMESERVERS_MAX);
		if (other->port == ns->port &&
		    strcmp(other->address, ns->address) == 0)
			yyerror("nameserver %s is given twice", ns->address);
	}
	TAILQ_INSERT_TAIL(&conf->nameservers, ns, entry);
}

/* Milliseconds; fast -1: not given. */
static void
set_interval(int64_t interval, int64_t fast)
{
	if (!conf_once(conf, cur, ST_INTERVAL))
		return;
	if (interval < 100 || interval > 3600 * 1000) {
		yyerror("interval must be from 0.1 to 3600 seconds");
		return;
	}
	if (fast == -1)
		fast = cur->policy.fast < interval ? cur->policy.fast :
		    interval;
	if (fast < 100 || fast > interval) {
		yyerror("fast must be from 0.1 seconds to the interval");
		return;
	}
	cur->policy.interval = interval;
	cur->policy.fast = fast;
}

static void
set_window(int64_t window, int64_t up, int64_t down)
{
	uint32_t errors = conf->errors;

	if (!conf_once(conf, cur, ST_WINDOW))
		return;
	window = within("the window", window, 1, WINDOW_MAX);
	if (errors != conf->errors)
		return;
	up = within("up", up, 1, window);
	down = within("down", down, 1, window);
	if (errors == conf->errors && up + down <= window)
		yyerror("up and down together must be more than the window, "
		    "or a window could be both healthy and unhealthy");
	cur->policy.window = window;
	cur->policy.up = up;
	cur->policy.down = down;
}

/* Milliseconds. */
static void
set_unknown_after(int64_t value)
{
	if (!conf_once(conf, cur, ST_UNKNOWN_AFTER))
		return;
	if (value < 100 || value > DAY * 1000)
		yyerror("unknown-after must be from 0.1 to %d seconds", DAY);
	else
		cur->policy.unknown_after = value;
}

/* Takes the list over; NULL: an empty one. */
static void
set_names(int st, struct names *dest, struct names *list)
{
	if (conf_once(conf, cur, st) && list != NULL)
		TAILQ_CONCAT(dest, list, entry);
	list_free(list);
}

/* states: a bit for each, or 0 for all that have no line of their own. */
static void
set_verify(int64_t states, int64_t count)
{
	int state;

	count = within("verify", count, 1, 1000);
	if (states == 0 && conf_once(conf, cur, ST_VERIFY))
		cur->policy.verify[0] = count;
	for (state = 1; state <= STATE_MAX; state++) {
		if ((states & 1 << state) != 0 &&
		    conf_once(conf, cur, ST_VERIFY_STATE + state))
			cur->policy.verify[state] = count;
	}
}

static void
set_row(int64_t state, const struct row *row)
{
	struct actions *actions;
	int column;

	if (state < 1 || state > STATE_MAX) {
		within("the state", state, 1, STATE_MAX);
		return;
	}
	if (!conf_once(conf, cur, ST_ROW + state))
		return;
	for (column = 0; column < COLUMNS; column++)
		cur->given->column[state][column] =
		    (row->columns & 1U << column) != 0;
	actions = &cur->policy.table[state];
	if (cur->given->column[state][COLUMN_PRIMARY])
		actions->prefix[PRIMARY] = row->actions.prefix[PRIMARY];
	if (cur->given->column[state][COLUMN_SECONDARY])
		actions->prefix[SECONDARY] = row->actions.prefix[SECONDARY];
	if (cur->given->column[state][COLUMN_CLOUDFLARE])
		actions->cloudflare = row->actions.cloudflare;
}

static struct row
merge_rows(const struct row *a, const struct row *b)
{
	struct row row = *a;

	if ((a->columns & b->columns) != 0)
		yyerror("the same is said twice of a state");
	row.columns |= b->columns;
	if ((b->columns & 1U << COLUMN_PRIMARY) != 0)
		row.actions.prefix[PRIMARY] = b->actions.prefix[PRIMARY];
	if ((b->columns & 1U << COLUMN_SECONDARY) != 0)
		row.actions.prefix[SECONDARY] = b->actions.prefix[SECONDARY];
	if ((b->columns & 1U << COLUMN_CLOUDFLARE) != 0)
		row.actions.cloudflare = b->actions.cloudflare;
	return (row);
}

/* Takes the text over. */
static void
set_prefix(int which, char *text)
{
	struct prefix prefix, masked;
	char buf[PREFIX_LEN];

	if (!conf_once(conf, cur, ST_PREFIX + which)) {
		free(text);
		return;
	}
	if (strchr(text, '/') == NULL || prefix_parse(text, &prefix) == -1)
		yyerror("\"%s\": expected a prefix, address/length", text);
	else if (!prefix_masked(&prefix, &masked))
		yyerror("\"%s\" has host bits set: the prefix is %s", text,
		    prefix_text(&masked, buf, sizeof(buf)));
	else
		cur->prefix[which] = prefix;
	free(text);
}

/* Takes the text over. */
static void
set_routes(char *text, int64_t priority, int64_t failed, int64_t expect)
{
	uint32_t errors;

	errors = conf->errors;
	set_string(ST_ROUTES, &cur->match, text, value_text);
	if (cur == conf->top)
		return;
	cur->priority = within("priority", priority, 1, 1000);
	cur->failed = within("failed", failed, 1, 1000);
	cur->expect = expect;
	if (errors == conf->errors && priority >= failed)
		yyerror("priority must be less than failed: the lower wins");
}

static void
set_timeout(int which, int64_t value)
{
	if (conf_once(conf, cur, ST_TIMEOUT + which))
		*conf_timeout(&cur->timeout, which) = 1000 *
		    within("a timeout", value, 1, 300);
}

/* Milliseconds. */
static void
set_backoff(int64_t initial, int64_t max)
{
	if (!conf_once(conf, cur, ST_BACKOFF))
		return;
	if (initial < 10 || max > BACKOFF_MAX || max < initial) {
		yyerror("backoff must be from 0.01 to %d seconds, the first no "
		    "longer than the last", BACKOFF_MAX / 1000);
		return;
	}
	cur->backoff_initial = initial;
	cur->backoff_max = max;
}

/* burst -1: not given. */
static void
set_limit(int64_t rate, int64_t burst)
{
	if (!conf_once(conf, cur, ST_LIMIT))
		return;
	conf->limit_rate = within("the limit", rate, 1, RATE_MAX);
	if (burst == -1)
		burst = BURST_SECONDS * (int64_t)conf->limit_rate;
	conf->limit_burst = within("burst", burst, 1,
	    BURST_SECONDS * RATE_MAX);
}

static int64_t
add_state(int64_t states, int64_t state)
{
	if (state < 1 || state > STATE_MAX) {
		within("a state", state, 1, STATE_MAX);
		return (states);
	}
	if ((states & 1 << state) != 0)
		yyerror("state %d is in the list twice", (int)state);
	return (states | 1 << state);
}

/* Append to the list, or to a new one; takes the text over. */
static struct names *
list_add(struct names *list, char *text)
{
	const char *error;

	if (list == NULL) {
		list = conf_alloc(1, sizeof(*list));
		TAILQ_INIT(list);
	}
	error = value_label(text);
	if (error != NULL)
		yyerror("\"%s\": %s", text, error);
	else if (names_have(list, text))
		yyerror("\"%s\" is in the list twice", text);
	names_add(list, text);
	free(text);
	return (list);
}

static void
list_free(struct names *list)
{
	if (list == NULL)
		return;
	names_free(list);
	free(list);
}

static char *
number_text(int64_t number)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%lld", (long long)number);
	return (conf_strdup(buf));
}

/*
 * The lexer.
 */

struct keyword {
	const char *text;
	int token;
};

/*
 * Keep sorted.  What is UNSUPPORTED begins statements and options that this
 * version does not know, so that nobody gives their names to other things.
 */
static const struct keyword keywords[] = {
	{ "account", T_ACCOUNT },
	{ "actuator", T_ACTUATOR },
	{ "advertise", T_ADVERTISE },
	{ "all", T_ALL },
	{ "any", T_ANY },
	{ "api", T_API },
	{ "backoff", T_BACKOFF },
	{ "bgp", T_BGP },
	{ "bgp-check", T_BGPCHECK },
	{ "bgp-update", T_BGPUPDATE },
	{ "brake", T_BRAKE },
	{ "breaker", T_BREAKER },
	{ "burst", T_BURST },
	{ "ca", T_CA },
	{ "chroot", T_CHROOT },
	{ "cloud", T_CLOUD },
	{ "cloudflare", T_CLOUDFLARE },
	{ "cloudflare-bulk", T_CLOUDFLAREBULK },
	{ "compute", T_COMPUTE },
	{ "connect", T_CONNECT },
	{ "control", T_CONTROL },
	{ "credentials", T_CREDENTIALS },
	{ "debug", T_DEBUG },
	{ "down", T_DOWN },
	{ "down-after", T_DOWNAFTER },
	{ "drain", T_DRAIN },
	{ "dwell", T_DWELL },
	{ "endpoint", T_ENDPOINT },
	{ "error", T_ERROR },
	{ "events", T_EVENTS },
	{ "except", T_EXCEPT },
	{ "expect", T_EXPECT },
	{ "failed", T_FAILED },
	{ "failover", T_FAILOVER },
	{ "fast", T_FAST },
	{ "file", T_FILENAME },
	{ "group", T_GROUP },
	{ "handover", T_HANDOVER },
	{ "health", T_HEALTH },
	{ "ignore", T_IGNORE },
	{ "include", T_INCLUDE },
	{ "info", T_INFO },
	{ "initial", T_INITIAL },
	{ "interval", T_INTERVAL },
	{ "keep", T_KEEP },
	{ "level", T_LEVEL },
	{ "limit", T_LIMIT },
	{ "listen", T_LISTEN },
	{ "local", T_LOCAL },
	{ "log", T_LOG },
	{ "logging", T_LOGGING },
	{ "matching", T_MATCHING },
	{ "max", T_MAX },
	{ "max-size", T_MAXSIZE },
	{ "metadata", T_METADATA },
	{ "metrics", T_METRICS },
	{ "name", T_NAME },
	{ "nameserver", T_NAMESERVER },
	{ "no", T_NO },
	{ "on", T_ON },
	{ "passive", T_PASSIVE },
	{ "peer", T_PEER },
	{ "peers", T_PEERS },
	{ "per", T_PER },
	{ "percent", T_PERCENT },
	{ "port", T_PORT },
	{ "prefix", T_PREFIX },
	{ "primary", T_PRIMARY },
	{ "priority", T_PRIORITY },
	{ "prober", T_PROBER },
	{ "project", T_PROJECT },
	{ "proxy", T_UNSUPPORTED },
	{ "read-only", T_READONLY },
	{ "region", T_REGION },
	{ "remote", T_REMOTE },
	{ "reporter", T_REPORTER },
	{ "requests", T_REQUESTS },
	{ "require", T_REQUIRE },
	{ "resolver", T_RESOLVER },
	{ "retries", T_RETRIES },
	{ "return-after", T_RETURNAFTER },
	{ "router", T_ROUTER },
	{ "routes", T_ROUTES },
	{ "second", T_SECOND },
	{ "secondary", T_SECONDARY },
	{ "services", T_SERVICES },
	{ "signer", T_SIGNER },
	{ "socket", T_SOCKET },
	{ "state", T_STATE },
	{ "stderr", T_STDERR },
	{ "syslog", T_SYSLOG },
	{ "threshold", T_THRESHOLD },
	{ "timeout", T_TIMEOUT },
	{ "tls", T_TLS },
	{ "token", T_TOKEN },
	{ "unknown-after", T_UNKNOWNAFTER },
	{ "up", T_UP },
	{ "user", T_USER },
	{ "verify", T_VERIFY },
	{ "wait", T_WAIT },
	{ "warning", T_WARNING },
	{ "window", T_WINDOW },
	{ "withdraw", T_WITHDRAW },
	{ "yes", T_YES },
};

static int
compare_keyword(const void *text, const void *keyword)
{
	return (strcmp(text, ((const struct keyword *)keyword)->text));
}

/* The token of a keyword, or 0. */
static int
keyword_token(const char *text)
{
	const struct keyword *keyword;

	keyword = bsearch(text, keywords, sizeof(keywords) /
	    sizeof(keywords[0]), sizeof(keywords[0]), compare_keyword);
	return (keyword == NULL ? 0 : keyword->token);
}

static void
input_pop(void)
{
	struct input *in = SLIST_FIRST(&inputs);

	SLIST_REMOVE_HEAD(&inputs, entry);
	if (in->fp != NULL)
		fclose(in->fp);
	free(in->value);
	free(in);
}

/* The file that is read, below the macros that it uses. */
static struct input *
input_file(void)
{
	struct input *in;

	SLIST_FOREACH(in, &inputs, entry) {
		if (in->fp != NULL)
			break;
	}
	return (in);
}

/* The next character of a file; its last line may lack the newline. */
static int
file_char(struct input *in)
{
	int c;

	if (in->last == EOF)
		return (EOF);
	c = getc(in->fp);
	if (c == EOF && in->last != '\n') {
		in->last = '\n';
		return ('\n');
	}
	if (in->last == '\n' && c != EOF)
		in->line++;
	in->last = c;
	return (c);
}

/* The next character, or EOF at the end of the file that was begun with. */
static int
raw_char(void)
{
	struct input *in;
	int c;

	for (;;) {
		in = SLIST_FIRST(&inputs);
		if (in->npushed > 0)
			return (in->pushed[--in->npushed]);
		if (in->fp != NULL)
			c = file_char(in);
		else
			c = *in->next != '\0' ? (u_char)*in->next++ : EOF;
		if (c != EOF || SLIST_NEXT(in, entry) == NULL)
			return (c);
		input_pop();
	}
}

/* Have the character read again: two of them at the most. */
static void
unread_char(int c)
{
	struct input *in = SLIST_FIRST(&inputs);

	if (c != EOF)
		in->pushed[in->npushed++] = c;
}

/* As raw_char(), but a backslash at the end of a line joins the next one. */
static int
next_char(void)
{
	int c, next;

	while ((c = raw_char()) == '\\') {
		next = raw_char();
		if (next != '\n') {
			unread_char(next);
			break;
		}
	}
	return (c);
}

/* What is wrong within a token; nobody hears of what is skipped. */
static int
bad(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (!lex.recovering) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		yyerror("%s", text);
	}
	return (T_BAD);
}

static int
string_token(const char *text)
{
	strlcpy(lex.text, text, sizeof(lex.text));
	if (!value_utf8(text))
		return (bad("expected UTF-8 without control characters"));
	yylval.string = conf_strdup(text);
	return (T_STRING);
}

/* A string in quotes; a backslash takes the meaning from \ and ". */
static int
scan_quoted(void)
{
	char text[TEXT_MAX];
	size_t len = 0;
	int c, next;

	while ((c = next_char()) != '"') {
		if (c == '\n' || c == EOF) {
			unread_char(c);
			return (bad("the closing quote is missing"));
		}
		if (c == '\\') {
			next = raw_char();
			if (next == '"' || next == '\\')
				c = next;
			else
				unread_char(next);
		}
		if (c == '\0')
			c = '\1'; /* no less wrong, and seen by the check */
		if (len == sizeof(text) - 1)
			return (bad("the string is too long"));
		text[len++] = c;
	}
	text[len] = '\0';
	return (string_token(text));
}

static bool
is_word(int c)
{
	return (c != EOF && c != '\0' &&
	    (isalnum(c) || c >= 0x80 || strchr("_-.:/@%+~*", c) != NULL));
}

/* Digits, perhaps a point and up to three more of them; otherwise 0. */
static int
number_token(const char *text)
{
	int64_t value = 0, unit = 1000;
	const char *p = text;

	if (!isdigit((u_char)*p))
		return (0);
	for (; isdigit((u_char)*p); p++) {
		if (value < NUMBER_MAX)
			value = value * 10 + (*p - '0');
	}
	yylval.number = value;
	if (*p == '\0')
		return (T_NUMBER);
	if (*p++ != '.' || !isdigit((u_char)*p))
		return (0);
	value *= 1000;
	for (; isdigit((u_char)*p) && unit > 1; p++) {
		unit /= 10;
		value += unit * (*p - '0');
	}
	yylval.number = value;
	return (*p == '\0' ? T_FRACTION : 0);
}

/* A keyword, a number, or a string without quotes. */
static int
scan_word(int c)
{
	char text[TEXT_MAX];
	size_t len = 0;
	int token;

	do {
		if (len == sizeof(text) - 1)
			return (bad("the word is too long"));
		text[len++] = c;
		c = next_char();
	} while (is_word(c));
	unread_char(c);
	text[len] = '\0';
	strlcpy(lex.text, text, sizeof(lex.text));
	token = keyword_token(text);
	if (token == 0)
		token = number_token(text);
	if (token == 0)
		token = string_token(text);
	return (token);
}

static struct macro *
macro_find(const char *name)
{
	struct macro *macro;

	TAILQ_FOREACH(macro, &macros, entry) {
		if (strcmp(macro->name, name) == 0)
			break;
	}
	return (macro);
}

/* Read the value of the macro next.  Returns 0, or T_BAD. */
static int
scan_macro(void)
{
	char name[64];
	const struct macro *macro;
	struct input *in;
	size_t len = 0;
	int c;

	while (isalnum(c = next_char()) || c == '_') {
		if (len == sizeof(name) - 1)
			return (bad("the name of the macro is too long"));
		name[len++] = c;
	}
	unread_char(c);
	name[len] = '\0';
	macro = macro_find(name);
	if (macro == NULL)
		return (bad("macro \"%s\" is not defined", name));
	if (++lex.expanded > EXPAND_MAX)
		return (bad("too many macros in a line: does \"%s\" use "
		    "itself?", name));
	in = conf_alloc(1, sizeof(*in));
	in->name = macro->name;
	in->value = conf_strdup(macro->value);
	in->next = in->value;
	SLIST_INSERT_HEAD(&inputs, in, entry);
	return (0);
}

/* The next token, and where it stands. */
static int
scan(void)
{
	int c, token;

again:
	do
		c = next_char();
	while (c == ' ' || c == '\t' || c == '\r');
	conf->here.file = input_file()->name;
	conf->here.line = input_file()->line;
	if (c == '#') {
		while ((c = raw_char()) != '\n' && c != EOF)
			continue;
	}
	if (c == '$') {
		token = scan_macro();
		if (token == 0)
			goto again;
		return (token);
	}
	if (c == '"')
		return (scan_quoted());
	if (is_word(c))
		return (scan_word(c));
	snprintf(lex.text, sizeof(lex.text), "%c", c);
	switch (c) {
	case EOF:
		return (0);
	case '\n':
		lex.expanded = 0;
		return (T_NL);
	case '{':
		return (T_OPEN);
	case '}':
		return (T_CLOSE);
	case ',':
		return (T_COMMA);
	case '=':
		return (T_EQUALS);
	}
	if (isprint(c))
		return (bad("unexpected character '%c'", c));
	return (bad("unexpected character 0x%02x", (unsigned int)c));
}

/*
 * The next token for the parser.  After an error the rest of the statement is
 * skipped, with the lines in the braces that it has opened.
 */
static int
yylex(void)
{
	bool closes, skip;

	do {
		lex.last = lex.token;
		lex.token = scan();
		if (lex.last == T_NL && lex.depth == 0) {
			lex.first = lex.token;
			strlcpy(lex.first_text, lex.text,
			    sizeof(lex.first_text));
		}
		closes = lex.token == T_CLOSE && lex.depth > 0;
		if (lex.token == T_OPEN)
			lex.depth++;
		else if (closes)
			lex.depth--;
		skip = lex.recovering && (closes ||
		    (lex.token == T_NL && lex.depth > 0));
	} while (skip);
	return (lex.token);
}

static void
recovered(void)
{
	lex.recovering = false;
	lex.depth = 0;
}

/*
 * Errors of grammar.
 */

/* What stands here belongs to versions to come, or NULL. */
static const char *
unsupported(void)
{
	if (lex.token != T_UNSUPPORTED)
		return (NULL);
	return (lex.text);
}

static void
add_expected(char *buf, size_t len, yysymbol_kind_t kind, const char *before)
{
	bool plain;

	plain = kind == YYSYMBOL_NL || kind == YYSYMBOL_STRING ||
	    kind == YYSYMBOL_NUMBER || kind == YYSYMBOL_FRACTION;
	strlcat(buf, before, len);
	strlcat(buf, plain ? "" : "\"", len);
	strlcat(buf, yysymbol_name(kind), len);
	strlcat(buf, plain ? "" : "\"", len);
}

static bool
is_expected(const yysymbol_kind_t *kinds, int n, yysymbol_kind_t kind)
{
	int i;

	for (i = 0; i < n; i++) {
		if (kinds[i] == kind)
			return (true);
	}
	return (false);
}

/*
 * Leave out what need not be told: in a list the separators, elsewhere that a
 * block may end here where a line may.  Returns how many are left.
 */
static int
thin_out(yysymbol_kind_t *kinds, int n)
{
	int i, left = 0;

	for (i = 0; i < n; i++) {
		if (kinds[i] == YYSYMBOL_NUMBER &&
		    is_expected(kinds, n, YYSYMBOL_FRACTION))
			continue;
		if (kinds[i] == YYSYMBOL_COMMA || (lex.depth > 0 &&
		    kinds[i] == YYSYMBOL_NL && n > 1))
			continue;
		if (lex.depth == 0 && kinds[i] == YYSYMBOL_CLOSE && n > 1)
			continue;
		kinds[left++] = kinds[i];
	}
	return (left);
}

static void
tell_unexpected(const yysymbol_kind_t *kinds, int n)
{
	char got[sizeof(lex.text) + 2], expected[512] = "";
	const char *hint = "";
	int i;

	for (i = 0; i < n; i++)
		add_expected(expected, sizeof(expected), kinds[i],
		    i == 0 ? "" : i == n - 1 ? " or " : ", ");
	if (lex.token == T_NL || lex.token == 0)
		strlcpy(got, lex.token == 0 ? "end of file" : "end of line",
		    sizeof(got));
	else
		snprintf(got, sizeof(got), "\"%s\"", lex.text);
	if (is_expected(kinds, n, YYSYMBOL_STRING)) {
		if (lex.token == T_NUMBER || lex.token == T_FRACTION)
			hint = ": a number that is meant as a string needs "
			    "quotes";
		else if (keyword_token(lex.text) == lex.token)
			hint = ": a keyword that is meant as a name needs "
			    "quotes";
	}
	/* Somebody may have put a secret where its file should be named. */
	if (lex.token == T_STRING && (lex.first == T_PROBER ||
	    lex.first == T_ACTUATOR || lex.first == T_CLOUDFLARE))
		yyerror("expected %s", expected);
	else
		yyerror("expected %s, got %s%s", expected, got, hint);
}

/* What follows the token, white space aside. */
static int
peek_char(void)
{
	int c;

	do
		c = next_char();
	while (c == ' ' || c == '\t' || c == '\r');
	unread_char(c);
	return (c);
}

/*
 * Is the first token of a line a statement's, after a list that was left
 * open, and not a member of the list that needs quotes?
 */
static bool
begins_statement(void)
{
	int c;

	if (lex.token == T_STRING || keyword_token(lex.text) != lex.token)
		return (false);
	c = peek_char();
	return (c != '\n' && c != ',' && c != '}' && c != '#' && c != EOF);
}

/* Is it a macro that bears the name of a keyword? */
static bool
is_keyword_macro(void)
{
	if (lex.depth > 0 || keyword_token(lex.first_text) != lex.first)
		return (false);
	if (strcmp(lex.first_text, lex.text) == 0 && lex.last == T_NL)
		return (peek_char() == '=');
	return (lex.token == T_EQUALS && lex.last == lex.first);
}

/* Called by the parser. */
static int
yyreport_syntax_error(const yypcontext_t *context)
{
	yysymbol_kind_t kinds[YYNTOKENS];
	const char *later;
	int n;

	lex.recovering = true;
	cur->given->broken = true;
	if (lex.token == T_BAD)
		return (0);
	n = yypcontext_expected_tokens(context, kinds, YYNTOKENS);
	n = thin_out(kinds, n);
	later = unsupported();
	if (is_keyword_macro())
		yyerror("\"%s\" is a keyword: a macro needs another name",
		    lex.first_text);
	else if (later != NULL)
		yyerror("\"%s\" is not supported by this version", later);
	else if (lex.token == 0 && cur != conf->top)
		yyerror("the failover block of line %d is not closed: "
		    "expected \"}\"", cur->place.line);
	else if (n == 1 && kinds[0] == YYSYMBOL_EQUALS)
		yyerror("\"%s\" is not a statement", lex.first_text);
	else if (n > EXPECTED_MAX)
		yyerror("expected a statement, got \"%s\"", lex.text);
	else
		tell_unexpected(kinds, n);
	if (lex.depth > 0 && lex.last == T_NL && begins_statement())
		lex.depth = 0;
	return (0);
}

/*
 * Macros and files.
 */

static void
macro_store(const char *name, const char *value, bool fixed)
{
	struct macro *macro;

	macro = macro_find(name);
	if (macro == NULL) {
		macro = conf_alloc(1, sizeof(*macro));
		macro->name = conf_strdup(name);
		TAILQ_INSERT_TAIL(&macros, macro, entry);
	} else if (macro->fixed && !fixed)
		return;
	free(macro->value);
	macro->value = conf_strdup(value);
	macro->fixed = fixed;
}

static bool
is_macro_name(const char *name)
{
	size_t i;

	for (i = 0; isalnum((u_char)name[i]) || name[i] == '_'; i++)
		continue;
	return (i > 0 && i < 64 && name[i] == '\0');
}

/* Takes both over. */
static void
set_macro(char *name, char *value)
{
	if (is_macro_name(name))
		macro_store(name, value, false);
	else
		yyerror("\"%s\": expected the name of a macro, of letters, "
		    "digits and underscores", name);
	free(name);
	free(value);
}

/*
 * Define a macro as the command line wants it, "name=value", for every file
 * that is read from now on; files do not change it.  Returns 0, or -1 where
 * the assignment is none.
 */
int
conf_macro(const char *assignment)
{
	char name[64];
	const char *equals;

	equals = strchr(assignment, '=');
	if (equals == NULL || (size_t)(equals - assignment) >= sizeof(name) ||
	    !value_utf8(equals + 1))
		return (-1);
	memcpy(name, assignment, equals - assignment);
	name[equals - assignment] = '\0';
	if (!is_macro_name(name))
		return (-1);
	macro_store(name, equals + 1, true);
	return (0);
}

/* Forget the macros of the files. */
static void
macros_drop(void)
{
	struct macro *macro, *next;

	TAILQ_FOREACH_SAFE(macro, &macros, entry, next) {
		if (macro->fixed)
			continue;
		TAILQ_REMOVE(&macros, macro, entry);
		free(macro->name);
		free(macro->value);
		free(macro);
	}
}

/*
 * Read the file next.  Returns 0, or -1, errno, and the reason in why: EEXIST
 * where it is being read already.
 */
static int
file_push(const char *path, char *why, size_t len)
{
	struct input *in, *other;
	struct stat st;
	int fd;

	fd = public_open(path, why, len);
	if (fd == -1)
		return (-1);
	in = conf_alloc(1, sizeof(*in));
	in->fp = fdopen(fd, "r");
	if (in->fp == NULL || fstat(fd, &st) == -1) {
		snprintf(why, len, "%s: %s", path, strerror(errno));
		goto fail;
	}
	in->dev = st.st_dev;
	in->ino = st.st_ino;
	SLIST_FOREACH(other, &inputs, entry) {
		if (other->fp != NULL && other->dev == in->dev &&
		    other->ino == in->ino) {
			snprintf(why, len, "%s: includes itself", path);
			errno = EEXIST;
			goto fail;
		}
	}
	names_add(&conf->files, path);
	in->name = TAILQ_LAST(&conf->files, names)->text;
	in->line = 1;
	SLIST_INSERT_HEAD(&inputs, in, entry);
	return (0);
fail:
	if (in->fp != NULL)
		fclose(in->fp);
	else
		close(fd);
	free(in);
	return (-1);
}

/* Takes the name over: relative to the directory of the file it stands in. */
static void
include(char *name)
{
	const char *from = input_file()->name, *slash;
	char path[TEXT_MAX + PATH_MAX], why[TEXT_MAX + PATH_MAX + 256];

	slash = strrchr(from, '/');
	if (*name == '/' || slash == NULL)
		strlcpy(path, name, sizeof(path));
	else
		snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - from),
		    from, name);
	if (file_push(path, why, sizeof(why)) == -1) {
		if (errno != ENOENT && errno != EEXIST)
			unreadable++;
		yyerror("include: %s", why);
		/* What is missing may be in there. */
		cur->given->broken = true;
		conf->top->given->broken = true;
	}
	free(name);
}

/*
 * Read the configuration.  What is wrong with it is told by conf_tell(), all
 * of it.  Returns the complete configuration, which belongs to the caller
 * (conf_free()), or NULL and errno: EINVAL where grammar or meaning are
 * wrong or an included file is missing, anything else where a file cannot be
 * read or is unsafe.
 */
struct conf *
conf_parse(const char *path)
{
	char why[TEXT_MAX];
	uint32_t errors;
	int error, r;

	conf = conf_new();
	conf->file = conf_strdup(path);
	cur = conf->top;
	unreadable = 0;
	memset(&lex, 0, sizeof(lex));
	lex.token = T_NL;
	if (file_push(path, why, sizeof(why)) == -1) {
		error = errno == EINVAL ? EIO : errno;
		conf_tell(why);
		conf_free(conf);
		errno = error;
		return (NULL);
	}
	yyparse();
	conf->here.file = input_file()->name;
	conf->here.line = input_file()->line;
	while (!SLIST_EMPTY(&inputs))
		input_pop();
	macros_drop();
	r = conf_finish(conf);
	if (r == 0)
		return (conf);
	errors = conf->errors;
	conf_free(conf);
	errno = errors == unreadable ? EPERM : EINVAL;
	return (NULL);
}
