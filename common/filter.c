/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "confine.h"
#include "log.h"

/*
 * Filters of system calls (seccomp(2)).  Each process has a table of what it
 * may do, beside its code; here is what all children may, and who needs it.
 * Whatever is in no table kills the process at once.
 */

static const struct syscall_rule child_rules[] = {
	{ RULE_ALLOW(exit_group) }, /* exit(3) */
	{ RULE_ALLOW(read) },	    /* the channel; TLS; DNS over TCP */
	{ RULE_ALLOW(write) },
	{ RULE_ALLOW(close) },	   /* connections that are over */
	{ RULE_ALLOW(epoll_ctl) }, /* libevent: the loop */
	{ RULE_ALLOW(epoll_wait) },
	{ RULE_ALLOW(epoll_pwait) },
	{ RULE_ALLOW(brk) }, /* malloc(3): never executable, never a file */
	{ RULE_ALLOW(munmap) },
	{ RULE_ALLOW(mremap) },
	{ RULE_ALLOW(mmap), .nargs = 3,
	    .args = { NO_EXEC(2), INT_IS(3, MAP_PRIVATE | MAP_ANONYMOUS),
		INT_IS(4, 0xffffffffU) } },
	{ RULE_ALLOW(mprotect), .nargs = 1, .args = { NO_EXEC(2) } },
	{ RULE_ALLOW(madvise), .nargs = 1,
	    .args = { INT_IS(2, MADV_DONTNEED) } },
	{ RULE_ALLOW(sysinfo) },       /* qsort(3): how much memory is there */
	{ RULE_ALLOW(futex) },	       /* OpenSSL: run once */
	{ RULE_ALLOW(getpid) },	       /* OpenSSL: are we still the same */
	{ RULE_ALLOW(getrandom) },     /* OpenSSL, arc4random(3) */
	{ RULE_ALLOW(clock_gettime) }, /* where the vDSO cannot do these */
	{ RULE_ALLOW(gettimeofday) },
	{ RULE_ALLOW(time) },
	{ RULE_ALLOW(restart_syscall) }, /* the kernel, after a SIGSTOP */
	/* Libraries that would like to look at a file do without it, and those
	 * that would like to have a thread: see http_rules. */
	{ RULE_REFUSE(open, EACCES) },
	{ RULE_REFUSE(openat, EACCES) },
	{ RULE_REFUSE(openat2, EACCES) },
	{ RULE_REFUSE(stat, EACCES) },
	{ RULE_REFUSE(lstat, EACCES) },
	{ RULE_REFUSE(newfstatat, EACCES) },
	{ RULE_REFUSE(statx, EACCES) },
	{ RULE_REFUSE(access, EACCES) },
	{ RULE_REFUSE(faccessat, EACCES) },
	{ RULE_REFUSE(faccessat2, EACCES) },
	{ RULE_REFUSE(readlink, EACCES) },
	{ RULE_REFUSE(readlinkat, EACCES) },
	{ RULE_REFUSE(clone3, ENOSYS) },
};

#define NCHILD (sizeof(child_rules) / sizeof(child_rules[0]))

#ifdef MTGCPD_SECCOMP_TRAP
/*
 * A build for developers: with MTGCPD_SECCOMP=trap in the environment, a call
 * that is in no table is named before it ends the process.
 */
static void
trapped(int signo __unused, siginfo_t *info, void *context __unused)
{
	char *name;

	name = seccomp_syscall_resolve_num_arch(info->si_arch,
	    info->si_syscall);
	log_errorx("the filter of system calls does not have %s (%d)",
	    name != NULL ? name : "this one", info->si_syscall);
	_exit(1);
}

static bool
traps(void)
{
	struct sigaction action = {
		.sa_sigaction = trapped,
		.sa_flags = SA_SIGINFO,
	};
	const char *wish = getenv("MTGCPD_SECCOMP");

	if (wish == NULL || strcmp(wish, "trap") != 0)
		return (false);
	if (sigaction(SIGSYS, &action, NULL) == -1)
		fatal("sigaction");
	return (true);
}

#define OTHERWISE (traps() ? SCMP_ACT_TRAP : SCMP_ACT_KILL_PROCESS)
#else
#define OTHERWISE SCMP_ACT_KILL_PROCESS
#endif

static void
add_rules(scmp_filter_ctx filter, const struct syscall_rule *rules, size_t n)
{
	const struct syscall_rule *rule;
	int r;

	for (rule = rules; rule < rules + n; rule++) {
		r = seccomp_rule_add_array(filter, rule->action, rule->syscall,
		    rule->nargs, rule->args);
		/* EDOM, a call that this architecture does not have */
		if (r != 0 && r != -EDOM) {
			errno = -r;
			fatal("seccomp_rule_add %d", rule->syscall);
		}
	}
}

/*
 * A filter for an architecture (SCMP_ARCH_NATIVE: this one) that does what the
 * n rules say, several of one call being alternatives, and kills the process
 * otherwise.  The caller loads it.
 */
scmp_filter_ctx
filter_new(uint32_t arch, const struct syscall_rule *rules, size_t n)
{
	scmp_filter_ctx filter;

	filter = seccomp_init(OTHERWISE);
	if (filter == NULL)
		fatalx("seccomp_init");
	if (arch != SCMP_ARCH_NATIVE && arch != seccomp_arch_native() &&
	    (seccomp_arch_add(filter, arch) != 0 ||
		seccomp_arch_remove(filter, SCMP_ARCH_NATIVE) != 0))
		fatalx("seccomp_arch_add");
	/* Calls of another architecture, as by int $0x80. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH,
	    SCMP_ACT_KILL_PROCESS);
	/* A tree, and not a list, of calls: the same speed for all. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	add_rules(filter, rules, n);
	return (filter);
}

/* The filter of a child: what all may do, and its own n rules. */
scmp_filter_ctx
filter_new_child(uint32_t arch, const struct syscall_rule *own, size_t n)
{
	scmp_filter_ctx filter = filter_new(arch, child_rules, NCHILD);

	add_rules(filter, own, n);
	return (filter);
}

/* Put the filter into force, for good, and release it. */
void
filter_load(scmp_filter_ctx filter)
{
	int r = seccomp_load(filter);

	if (r != 0) {
		errno = -r;
		fatal("seccomp_load");
	}
	seccomp_release(filter);
}
