/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "confine.h"
#include "log.h"

/*
 * Landlock (landlock(7)).  The headers of Debian 12 know neither its network
 * nor its scoped parts, so the kernel's structures are written down here.
 */
struct ruleset_attr {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

struct net_port_attr {
	uint64_t access;
	uint64_t port;
} __attribute__((__packed__));

#define RULESET_VERSION 1U
#define RULE_NET_PORT	2
#define NET_BIND_TCP	(1ULL << 0)
#define NET_CONNECT_TCP (1ULL << 1)
#define SCOPE_ALL	3ULL /* abstract sockets, signals */

#define FILES_MAX 1024 /* descriptors of a child, nearly all of them sockets */

static int
landlock_abi(void)
{
	long abi;

	abi = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);
	return (abi < 0 ? 0 : (int)abi);
}

/* All rights on files that this version of the interface can take away. */
static uint64_t
landlock_fs(int abi)
{
	int bits = 13;

	if (abi >= 2)
		bits = 14; /* refer */
	if (abi >= 3)
		bits = 15; /* truncate */
	if (abi >= 5)
		bits = 16; /* ioctl of devices */
	return ((1ULL << bits) - 1);
}

static size_t
landlock_size(int abi)
{
	if (abi >= 6)
		return (3 * sizeof(uint64_t));
	return (abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t));
}

/*
 * No file system at all, TCP connections to these ports only, no listening, no
 * signals and abstract sockets of others: as much of it as the kernel knows.
 * Returns the version of its interface, 0 if it has none; needs no_new_privs.
 */
int
confine_landlock(const uint16_t *ports, size_t nports)
{
	struct net_port_attr rule = { .access = NET_CONNECT_TCP };
	struct ruleset_attr attr;
	int abi, fd;
	size_t i;

	abi = landlock_abi();
	if (abi == 0)
		return (0);
	attr.fs = landlock_fs(abi);
	attr.net = NET_BIND_TCP | NET_CONNECT_TCP;
	attr.scoped = SCOPE_ALL;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr,
	    landlock_size(abi), 0);
	if (fd == -1)
		fatal("landlock_create_ruleset");
	for (i = 0; abi >= 4 && i < nports; i++) {
		rule.port = ports[i];
		if (syscall(SYS_landlock_add_rule, fd, RULE_NET_PORT, &rule,
			0) == -1)
			fatal("landlock_add_rule");
	}
	if (syscall(SYS_landlock_restrict_self, fd, 0) == -1)
		fatal("landlock_restrict_self");
	close(fd);
	return (abi);
}

/*
 * Give up all capabilities: the bounding set, where we may, then effective,
 * permitted and inheritable.
 */
void
confine_capabilities(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	unsigned long cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != -1; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	memset(data, 0, sizeof(data));
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &header, data) == -1)
		fatal("capset");
}

/* The directory must be root's and nobody else's to write. */
static void
change_root(const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		fatal("%s", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022) != 0)
		fatalx("%s: must be a directory of root's that nobody else "
		       "can write",
		    path);
	if (chroot(path) == -1 || chdir("/") == -1)
		fatal("chroot %s", path);
}

/* For good: there is no way back to root. */
static void
change_user(uid_t uid, gid_t gid)
{
	if (setgroups(0, NULL) == -1)
		fatal("setgroups");
	if (setresgid(gid, gid, gid) == -1)
		fatal("setresgid %u", gid);
	if (setresuid(uid, uid, uid) == -1)
		fatal("setresuid %u", uid);
	if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0)
		fatalx("root can be regained");
}

static void
limit(int resource, rlim_t value)
{
	struct rlimit limit = { value, value };

	if (setrlimit((__rlimit_resource_t)resource, &limit) == -1)
		fatal("setrlimit %d", resource);
}

/*
 * Confine this process for good, in the order in which each step is still
 * possible: chroot, groups, user, capabilities, limits, no new privileges,
 * not dumpable (which setresuid would undo), Landlock, seccomp.  Any failure
 * is fatal.  Returns the version of Landlock's interface.
 */
int
confine(const struct confinement *how)
{
	int abi;

	if (how->drop) {
		change_root(how->chroot);
		change_user(how->uid, how->gid);
	}
	confine_capabilities();
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_NPROC, 0);
	limit(RLIMIT_NOFILE, FILES_MAX);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal("PR_SET_NO_NEW_PRIVS");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		fatal("PR_SET_DUMPABLE");
	/* Of no use if the parent has another user: then it may not kill us. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1)
		fatal("PR_SET_PDEATHSIG");
	abi = confine_landlock(how->ports, how->nports);
	filter_load(
	    filter_new_child(SCMP_ARCH_NATIVE, how->rules, how->nrules));
	return (abi);
}
