/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/mman.h>
#include <sys/socket.h>

#include <fcntl.h>
#include <sys/ioctl.h>

#include "children.h"
#include "confine.h"

/*
 * What the parent may do once its children run: files and AF_UNIX sockets.  No
 * other socket, no new process or program, no way to change what it is or what
 * the system is.
 */

#define UNIX_SOCKET(type)                                                      \
	{                                                                      \
		RULE_ALLOW(socket), .nargs = 2, .args = {                      \
			INT_IS(0, AF_UNIX),                                    \
			TYPE_IS(1, type)                                       \
		}                                                              \
	}
#define FCNTL(command)                                                         \
	{                                                                      \
		RULE_ALLOW(fcntl), .nargs = 1, .args = { INT_IS(1, command) }  \
	}

const struct syscall_rule parent_rules[] = {
	{ RULE_ALLOW(exit_group) }, /* exit(3) */
	{ RULE_ALLOW(epoll_ctl) },  /* libevent: the loop, and signals */
	{ RULE_ALLOW(epoll_wait) },
	{ RULE_ALLOW(epoll_pwait) },
	{ RULE_ALLOW(rt_sigaction) },
	{ RULE_ALLOW(rt_sigprocmask) },
	{ RULE_ALLOW(rt_sigreturn) },
	{ RULE_ALLOW(restart_syscall) },
	{ RULE_ALLOW(wait4) }, /* children.c: which child has ended, and how */
	{ RULE_ALLOW(brk) },   /* malloc(3) */
	{ RULE_ALLOW(munmap) },
	{ RULE_ALLOW(mremap) },
	{ RULE_ALLOW(mmap), .nargs = 2,
	    .args = { NO_EXEC(2), INT_IS(3, MAP_PRIVATE | MAP_ANONYMOUS) } },
	{ RULE_ALLOW(mprotect), .nargs = 1, .args = { NO_EXEC(2) } },
	{ RULE_ALLOW(madvise), .nargs = 1,
	    .args = { INT_IS(2, MADV_DONTNEED) } },
	{ RULE_ALLOW(sysinfo) }, /* qsort(3): how much memory is there */
	{ RULE_ALLOW(futex) },
	{ RULE_ALLOW(getrandom) },     /* arc4random(3) */
	{ RULE_ALLOW(clock_gettime) }, /* where the vDSO cannot do these */
	{ RULE_ALLOW(gettimeofday) },
	{ RULE_ALLOW(time) },

	/* Files: configuration, credentials, logs, events, the state. */
	{ RULE_ALLOW(open) },
	{ RULE_ALLOW(openat) },
	{ RULE_ALLOW(close) },
	{ RULE_ALLOW(read) },
	{ RULE_ALLOW(readv) },
	{ RULE_ALLOW(write) },
	{ RULE_ALLOW(writev) },
	{ RULE_ALLOW(lseek) },
	{ RULE_ALLOW(stat) },
	{ RULE_ALLOW(lstat) },
	{ RULE_ALLOW(fstat) },
	{ RULE_ALLOW(newfstatat) },
	{ RULE_ALLOW(access) },
	{ RULE_ALLOW(faccessat) },
	{ RULE_ALLOW(readlink) }, /* realpath(3): what a path leads to */
	{ RULE_ALLOW(readlinkat) },
	{ RULE_ALLOW(getcwd) },
	{ RULE_ALLOW(rename) }, /* a new state; rotation */
	{ RULE_ALLOW(renameat) },
	{ RULE_ALLOW(renameat2) },
	{ RULE_ALLOW(unlink) },
	{ RULE_ALLOW(unlinkat) },
	{ RULE_ALLOW(ftruncate) }, /* a line that met a full disk */
	{ RULE_ALLOW(fsync) },
	{ RULE_ALLOW(fdatasync) },
	{ RULE_ALLOW(flock) },
	{ RULE_ALLOW(fchmod) },
	{ RULE_ALLOW(fchown) }, /* a new log is like the old one */
	{ RULE_ALLOW(umask) },
	{ RULE_ALLOW(geteuid) }, /* secretfile.c: whose may a file be */
	{ RULE_ALLOW(getpid) },	 /* events, syslog(3) */
	{ RULE_ALLOW(uname) },	 /* gethostname(3) */
	FCNTL(F_GETFL),
	FCNTL(F_SETFL),
	FCNTL(F_SETFD),
	{ RULE_ALLOW(ioctl), .nargs = 1,
	    .args = { INT_IS(1, TCGETS) } }, /* stdio: is it a terminal */

	/* The control socket, syslog(3), the service manager. */
	UNIX_SOCKET(SOCK_STREAM),
	UNIX_SOCKET(SOCK_DGRAM),
	{ RULE_ALLOW(connect) },
	{ RULE_ALLOW(accept4) },
	{ RULE_ALLOW(sendto) },
	{ RULE_ALLOW(recvfrom) },
	{ RULE_ALLOW(getsockopt), .nargs = 1,
	    .args = { INT_IS(1, SOL_SOCKET) } }, /* SO_PEERCRED */
	{ RULE_ALLOW(shutdown) },
};
const size_t parent_nrules = sizeof(parent_rules) / sizeof(parent_rules[0]);
