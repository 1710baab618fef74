/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "confine.h"
#include "http.h"
#include "imsg.h"
#include "reporter.h"

/*
 * Forbidden acts, each in a process of its own: confined it fails or dies, and
 * unconfined it succeeds, so that the test can fail.
 */

static const struct syscall_rule *rules; /* of the process that is tried */
static size_t nrules;
static uint16_t listening; /* a port on loopback where somebody listens */
static void *page;	   /* a page of our own */

static long
act_open(void)
{
	return (syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY));
}

static long
act_stat(void)
{
	char buf[512];

	return (syscall(SYS_newfstatat, AT_FDCWD, "/", buf, 0));
}

static long
act_exec(void)
{
	static char *argv[] = { NULL };

	/* Refused only after a look at the file, where it is not forbidden. */
	return (syscall(SYS_execve, "/", argv, argv) == -1 && errno == EACCES ?
		0 :
		-1);
}

static long
act_fork(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return (pid);
}

static long
act_unix(void)
{
	return (syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));
}

static long
act_netlink(void)
{
	return (syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0));
}

static long
act_udp(void)
{
	return (syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0));
}

static long
act_executable(void)
{
	return (syscall(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC));
}

static long
act_map_executable(void)
{
	return (syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static long
act_ptrace(void)
{
	return (syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0));
}

static long
act_kill(void)
{
	return (syscall(SYS_kill, getppid(), 0));
}

static long
act_prctl(void)
{
	return (syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static long
act_harmless(void)
{
	return (syscall(SYS_getpid));
}

static long
act_listen(void)
{
	int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);

	return (fd == -1 ? -1 : syscall(SYS_listen, fd, 1));
}

/* To a port that is not one of ours. */
static long
act_connect(void)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(listening),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);

	return (fd == -1 ? -1 : syscall(SYS_connect, fd, &sin, sizeof(sin)));
}

/* Nobody connects, which is found out only where one may look. */
static long
accept_on(int fd)
{
	return (syscall(SYS_accept4, fd, NULL, NULL, SOCK_NONBLOCK) == -1 &&
		    errno == EAGAIN ?
		0 :
		-1);
}

static long
act_accept(void)
{
	return (accept_on(LISTEN_FD + 1));
}

static long
act_accept_ours(void)
{
	return (accept_on(LISTEN_FD));
}

static long
act_ioctl(void)
{
	int on = 1;

	return (syscall(SYS_ioctl, LISTEN_FD, FIONBIO, &on));
}

static long
act_bind(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);

	return (fd == -1 ? -1 : syscall(SYS_bind, fd, &sin, sizeof(sin)));
}

static long
act_tcp(void)
{
	return (syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
}

static const struct {
	const char *name;
	long (*act)(void);
} acts[] = {
	{ "open a file", act_open },
	{ "look at a file", act_stat },
	{ "execute", act_exec },
	{ "fork", act_fork },
	{ "an AF_UNIX socket", act_unix },
	{ "an AF_NETLINK socket", act_netlink },
	{ "an UDP socket", act_udp },
	{ "make a page executable", act_executable },
	{ "map an executable page", act_map_executable },
	{ "be traced", act_ptrace },
	{ "signal another process", act_kill },
	{ "become dumpable", act_prctl },
	{ "listen", act_listen },
	{ "connect to another port", act_connect },
	{ "bind a socket", act_bind },
	{ "take connections from another socket", act_accept },
	{ "change a descriptor", act_ioctl },
};

/* How the act ended in a process of its own: 0, it succeeded. */
static int
outcome(long (*act)(void), bool confined)
{
	static const uint16_t ports[] = { 1 };
	const struct confinement how = {
		.ports = ports,
		.nports = 1,
		.rules = rules,
		.nrules = nrules,
	};
	int status;
	pid_t pid;

	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		if (confined)
			confine(&how);
		/* _exit(2), but not the sanitizer's, which calls more. */
		syscall(SYS_exit_group, act() == -1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return (-1);
	}
	return (WEXITSTATUS(status));
}

static void
try_acts(void)
{
	size_t i;

	assert_int_equal(outcome(act_harmless, true), 0);
	for (i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		if (outcome(acts[i].act, false) != 0)
			fail_msg("unconfined: cannot %s", acts[i].name);
		if (outcome(acts[i].act, true) == 0)
			fail_msg("confined: could %s", acts[i].name);
	}
}

static void
test_https(void **state)
{
	(void)state;
	rules = http_rules;
	nrules = http_nrules;
	try_acts();
	assert_int_equal(outcome(act_tcp, true), 0);
	assert_int_not_equal(outcome(act_accept_ours, true), 0);
}

/* The reporter takes connections from its socket, and makes others only where
 * it has to. */
static void
test_reporter(void **state)
{
	struct syscall_rule *own;
	int speaks;

	(void)state;
	for (speaks = 0; speaks <= 1; speaks++) {
		rules = own = reporter_rules(speaks, &nrules);
		try_acts();
		assert_int_equal(outcome(act_accept_ours, true), 0);
		if (speaks)
			assert_int_equal(outcome(act_tcp, true), 0);
		else
			assert_int_not_equal(outcome(act_tcp, true), 0);
		free(own);
	}
}

/* A socket that listens, and to which nobody connects, for the reporter. */
static int
prepare_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (listen(fd, 1) == -1 || dup2(fd, LISTEN_FD) == -1 ||
	    dup2(fd, LISTEN_FD + 1) == -1)
		return (-1);
	return (0);
}

static int
prepare(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sin);
	int fd;

	(void)state;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(fd, 64) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1)
		return (-1);
	listening = ntohs(sin.sin_port);
	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return (page == MAP_FAILED ? -1 : prepare_socket());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_https),
		cmocka_unit_test(test_reporter),
	};

	return (cmocka_run_group_tests(tests, prepare, NULL));
}
