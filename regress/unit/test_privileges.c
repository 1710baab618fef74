/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "children.h"
#include "confine.h"

/*
 * What root gives up: the parent its network, processes and capabilities, a
 * child its user and its root directory.  test_confine.c has what a child may
 * not do whoever it is.
 */

#define NOBODY	      65534
#define NO_CAPABILITY "0000000000000000"

static char directory[] = "/tmp/mt-gcpd.XXXXXX";

static void
as_parent(void)
{
	parent_confine();
}

static void
as_child(void)
{
	const struct confinement how = {
		.drop = 1,
		.uid = NOBODY,
		.gid = NOBODY,
		.chroot = directory,
	};

	confine(&how);
}

static void
as_nothing(void)
{
}

/* Calls that the parent must not make: outside they fail, or do nothing. */
static const struct {
	const char *name;
	long call;
	long args[3];
} forbidden[] = {
	{ "socket AF_INET", SYS_socket, { AF_INET, SOCK_STREAM, 0 } },
	{ "socket AF_INET6", SYS_socket, { AF_INET6, SOCK_DGRAM, 0 } },
	{ "socket AF_NETLINK", SYS_socket, { AF_NETLINK, SOCK_RAW, 0 } },
	{ "socket AF_PACKET", SYS_socket, { AF_PACKET, SOCK_RAW, 0 } },
	{ "clone", SYS_clone, { SIGCHLD, 0, 0 } },
	{ "clone3", SYS_clone3, { 0, 0, 0 } },
	{ "execve", SYS_execve, { 0, 0, 0 } },
	{ "execveat", SYS_execveat, { -1, 0, 0 } },
	{ "kill", SYS_kill, { 0, 0, 0 } },
	{ "ptrace", SYS_ptrace, { 0, 0, 0 } },
	{ "process_vm_readv", SYS_process_vm_readv, { 0, 0, 0 } },
	{ "process_vm_writev", SYS_process_vm_writev, { 0, 0, 0 } },
	{ "bpf", SYS_bpf, { -1, 0, 0 } },
	{ "perf_event_open", SYS_perf_event_open, { 0, 0, 0 } },
	{ "userfaultfd", SYS_userfaultfd, { -1, 0, 0 } },
	{ "io_uring_setup", SYS_io_uring_setup, { 0, 0, 0 } },
	{ "io_uring_enter", SYS_io_uring_enter, { -1, 0, 0 } },
	{ "io_uring_register", SYS_io_uring_register, { -1, 0, 0 } },
	{ "mount", SYS_mount, { 0, 0, 0 } },
	{ "umount2", SYS_umount2, { 0, 0, 0 } },
	{ "open_tree", SYS_open_tree, { -1, 0, 0 } },
	{ "move_mount", SYS_move_mount, { -1, 0, -1 } },
	{ "fsopen", SYS_fsopen, { 0, 0, 0 } },
	{ "fsmount", SYS_fsmount, { -1, 0, 0 } },
	{ "fspick", SYS_fspick, { -1, 0, 0 } },
	{ "mount_setattr", SYS_mount_setattr, { -1, 0, 0 } },
	{ "chroot", SYS_chroot, { 0, 0, 0 } },
	{ "unshare", SYS_unshare, { 0, 0, 0 } },
	{ "setns", SYS_setns, { -1, 0, 0 } },
	{ "finit_module", SYS_finit_module, { -1, 0, 0 } },
	{ "delete_module", SYS_delete_module, { 0, 0, 0 } },
	{ "kexec_file_load", SYS_kexec_file_load, { -1, -1, 0 } },
	{ "keyctl", SYS_keyctl, { -1, 0, 0 } },
	{ "personality", SYS_personality, { -1, 0, 0 } },
	{ "setresuid", SYS_setresuid, { -1, -1, -1 } },
};

/* Make a call in a process of its own.  Returns whether it was killed. */
static bool
killed(size_t i, void (*confined)(void))
{
	int status;
	pid_t pid;

	pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		confined();
		syscall(forbidden[i].call, forbidden[i].args[0],
		    forbidden[i].args[1], forbidden[i].args[2], 0, 0, 0);
		syscall(SYS_exit_group, 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status)) {
		assert_int_equal(WEXITSTATUS(status), 0);
		return (false);
	}
	assert_int_equal(WTERMSIG(status), SIGSYS);
	return (true);
}

static void
test_parent_forbidden(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		if (killed(i, as_nothing))
			fail_msg("%s: killed outside", forbidden[i].name);
		if (!killed(i, as_parent))
			fail_msg("%s: not killed", forbidden[i].name);
	}
}

/* Files and local sockets are the parent's business still. */
static void
test_parent_allowed(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		parent_confine();
		syscall(SYS_exit_group,
		    open("/dev/null", O_RDWR | O_CLOEXEC) == -1 ||
			socket(AF_UNIX, SOCK_STREAM, 0) == -1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A value in /proc/PID/status of a process that is confined like that. */
static void
status_of(void (*confined)(void), const char *name, char *value, size_t len)
{
	char path[64], line[256];
	int pair[2];
	FILE *file;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		confined();
		(void)!write(pair[1], "", 1);
		for (;;) /* until killed */
			(void)!read(pair[1], line, 1);
	}
	assert_int_equal(read(pair[0], line, 1), 1);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	*value = '\0';
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			strlcpy(value, line + strlen(name), len);
	value[strcspn(value, "\n")] = '\0';
	fclose(file);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(pair[0]);
	close(pair[1]);
}

static void
has(void (*confined)(void), const char *name, const char *expected)
{
	char value[256];

	status_of(confined, name, value, sizeof(value));
	if (strcmp(value, expected) != 0)
		fail_msg("%s%s, not %s", name, value, expected);
}

/* The bounding set as well, where we may. */
static void
test_parent_capabilities(void **state)
{
	char own[64];

	(void)state;
	has(as_parent, "CapInh:\t", NO_CAPABILITY);
	has(as_parent, "CapPrm:\t", NO_CAPABILITY);
	has(as_parent, "CapEff:\t", NO_CAPABILITY);
	has(as_parent, "CapAmb:\t", NO_CAPABILITY);
	has(as_parent, "NoNewPrivs:\t", "1");
	status_of(as_nothing, "CapEff:\t", own, sizeof(own));
	if (strtoull(own, NULL, 16) & (1ULL << CAP_SETPCAP))
		has(as_parent, "CapBnd:\t", NO_CAPABILITY);
}

static void
test_child_drops(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	has(as_child, "Uid:\t", "65534\t65534\t65534\t65534");
	has(as_child, "Gid:\t", "65534\t65534\t65534\t65534");
	has(as_child, "Groups:\t", " ");
	has(as_child, "CapPrm:\t", NO_CAPABILITY);
	has(as_child, "CapEff:\t", NO_CAPABILITY);
}

/* A directory that others could fill is not one to be confined to. */
static void
test_unsafe_chroot(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(directory, 0777), 0);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		close(STDERR_FILENO);
		as_child();
		syscall(SYS_exit_group, 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(chmod(directory, 0755), 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
}

static int
setup(void **state)
{
	const gid_t group = NOBODY - 1; /* to be given up */

	(void)state;
	if (geteuid() == 0 && setgroups(1, &group) == -1)
		return (-1);
	return (mkdtemp(directory) == NULL ? -1 : 0);
}

static int
teardown(void **state)
{
	(void)state;
	return (rmdir(directory));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parent_forbidden),
		cmocka_unit_test(test_parent_allowed),
		cmocka_unit_test(test_parent_capabilities),
		cmocka_unit_test(test_child_drops),
		cmocka_unit_test(test_unsafe_chroot),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
