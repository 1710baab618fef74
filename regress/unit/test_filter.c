/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
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
#include "http.h"
#include "imsg.h"
#include "reporter.h"
#include "resolver.h"

/*
 * What the filter of each process says of a call, on both architectures: the
 * program that the kernel would run is run here.
 */

enum {
	RESOLVER = 1 << 0,
	SIGNER = 1 << 1,
	HTTPS = 1 << 2,	 /* prober and actuator */
	QUIET = 1 << 3,	 /* a reporter without Cloud Logging */
	SPEAKS = 1 << 4, /* a reporter with it */
	PARENT = 1 << 5,
	CHILDREN = RESOLVER | SIGNER | HTTPS | QUIET | SPEAKS,
	SOCKETS = RESOLVER | HTTPS | SPEAKS,
	EVERYONE = CHILDREN | PARENT,
};

enum {
	X86_64 = 1 << 0,
	ARM64 = 1 << 1,
	BOTH = X86_64 | ARM64,
};

#define NARCHS	   2
#define NTABLES	   6
#define KILL	   SECCOMP_RET_KILL_PROCESS
#define ALLOW	   SECCOMP_RET_ALLOW
#define FAIL(code) (SECCOMP_RET_ERRNO | (code))
#define ANY	   0xfeedU /* an argument that nobody looks at */
#define ANONYMOUS  (MAP_PRIVATE | MAP_ANONYMOUS)
#define NOT_A_FILE 0xffffffffU

/* A call, by whom, where it exists, and what becomes of it; from all others it
 * kills. */
static const struct {
	const char *call;
	int by;
	int on;
	uint32_t action;
	uint64_t args[6];
} calls[] = {
	{ "exit_group", EVERYONE, BOTH, ALLOW, { 0 } },
	{ "read", EVERYONE, BOTH, ALLOW, { 3, ANY, ANY } },
	{ "write", EVERYONE, BOTH, ALLOW, { 3, ANY, ANY } },
	{ "close", EVERYONE, BOTH, ALLOW, { 5 } },
	{ "epoll_ctl", EVERYONE, BOTH, ALLOW, { ANY, ANY, ANY, ANY } },
	{ "epoll_wait", EVERYONE, X86_64, ALLOW, { ANY, ANY, ANY, ANY } },
	{ "epoll_pwait", EVERYONE, BOTH, ALLOW, { ANY, ANY, ANY, ANY } },
	{ "brk", EVERYONE, BOTH, ALLOW, { ANY } },
	{ "munmap", EVERYONE, BOTH, ALLOW, { ANY, ANY } },
	{ "getrandom", EVERYONE, BOTH, ALLOW, { ANY, 32, 0 } },
	{ "sysinfo", EVERYONE, BOTH, ALLOW, { ANY } },
	{ "clock_gettime", EVERYONE, BOTH, ALLOW, { 1, ANY } },
	{ "time", EVERYONE, X86_64, ALLOW, { 0 } },
	{ "getpid", EVERYONE, BOTH, ALLOW, { 0 } },

	/* memory */
	{ "mmap", EVERYONE, BOTH, ALLOW,
	    { 0, 4096, PROT_READ | PROT_WRITE, ANONYMOUS, NOT_A_FILE, 0 } },
	{ "mmap", 0, BOTH, ALLOW,
	    { 0, 4096, PROT_READ | PROT_EXEC, ANONYMOUS, NOT_A_FILE, 0 } },
	{ "mmap", 0, BOTH, ALLOW, { 0, 4096, PROT_READ, MAP_PRIVATE, 3, 0 } },
	{ "mmap", 0, BOTH, ALLOW,
	    { 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		NOT_A_FILE, 0 } },
	{ "mmap", 0, BOTH, ALLOW,
	    { 4096, 4096, PROT_READ, ANONYMOUS | MAP_FIXED, NOT_A_FILE, 0 } },
	{ "mprotect", EVERYONE, BOTH, ALLOW, { ANY, 4096, PROT_READ } },
	{ "mprotect", 0, BOTH, ALLOW, { ANY, 4096, PROT_READ | PROT_EXEC } },
	{ "mprotect", 0, BOTH, ALLOW,
	    { ANY, 4096, PROT_READ | PROT_WRITE | PROT_EXEC } },
	{ "madvise", EVERYONE, BOTH, ALLOW, { ANY, 4096, MADV_DONTNEED } },
	{ "madvise", 0, BOTH, ALLOW, { ANY, 4096, MADV_DODUMP } },
	{ "pkey_mprotect", 0, BOTH, ALLOW, { ANY, 4096, PROT_EXEC, 0 } },
	{ "memfd_create", 0, BOTH, ALLOW, { ANY, 0 } },
	{ "remap_file_pages", 0, BOTH, ALLOW, { ANY, ANY, 0, 0, 0 } },
	{ "shmat", 0, BOTH, ALLOW, { 0, 0, 0 } },

	/* files */
	{ "open", CHILDREN, X86_64, FAIL(EACCES), { ANY, O_RDONLY } },
	{ "openat", CHILDREN, BOTH, FAIL(EACCES), { ANY, ANY, O_RDONLY } },
	{ "openat2", CHILDREN, BOTH, FAIL(EACCES), { ANY, ANY, ANY, 24 } },
	{ "stat", CHILDREN, X86_64, FAIL(EACCES), { ANY, ANY } },
	{ "lstat", CHILDREN, X86_64, FAIL(EACCES), { ANY, ANY } },
	{ "newfstatat", CHILDREN, BOTH, FAIL(EACCES), { ANY, ANY, ANY, 0 } },
	{ "statx", CHILDREN, BOTH, FAIL(EACCES), { ANY, ANY, 0, ANY, ANY } },
	{ "access", CHILDREN, X86_64, FAIL(EACCES), { ANY, R_OK } },
	{ "faccessat", CHILDREN, BOTH, FAIL(EACCES), { ANY, ANY, R_OK } },
	{ "faccessat2", CHILDREN, BOTH, FAIL(EACCES), { ANY, ANY, R_OK, 0 } },
	{ "readlink", CHILDREN, X86_64, FAIL(EACCES), { ANY, ANY, 1 } },
	{ "readlinkat", CHILDREN, BOTH, FAIL(EACCES), { ANY, ANY, ANY, 1 } },
	{ "openat", PARENT, BOTH, ALLOW, { ANY, ANY, O_RDONLY } },
	{ "newfstatat", PARENT, BOTH, ALLOW, { ANY, ANY, ANY, 0 } },
	{ "open", PARENT, X86_64, ALLOW, { ANY, O_RDONLY } },
	{ "stat", PARENT, X86_64, ALLOW, { ANY, ANY } },
	{ "lstat", PARENT, X86_64, ALLOW, { ANY, ANY } },
	{ "readlink", PARENT, X86_64, ALLOW, { ANY, ANY, 1 } },
	{ "readlinkat", PARENT, BOTH, ALLOW, { ANY, ANY, ANY, 1 } },
	{ "access", PARENT, X86_64, ALLOW, { ANY, R_OK } },
	{ "faccessat", PARENT, BOTH, ALLOW, { ANY, ANY, R_OK } },
	{ "renameat2", PARENT, BOTH, ALLOW, { ANY, ANY, ANY, ANY, 0 } },
	{ "unlinkat", PARENT, BOTH, ALLOW, { ANY, ANY, 0 } },
	{ "fsync", PARENT, BOTH, ALLOW, { 5 } },
	{ "flock", PARENT, BOTH, ALLOW, { 5, ANY } },
	{ "chown", 0, X86_64, ALLOW, { ANY, 0, 0 } },
	{ "fchownat", 0, BOTH, ALLOW, { ANY, ANY, 0, 0, 0 } },
	{ "fchmodat", 0, BOTH, ALLOW, { ANY, ANY, 04755 } },
	{ "linkat", 0, BOTH, ALLOW, { ANY, ANY, ANY, ANY, 0 } },
	{ "symlinkat", 0, BOTH, ALLOW, { ANY, ANY, ANY } },
	{ "mknodat", 0, BOTH, ALLOW, { ANY, ANY, S_IFCHR, 0 } },
	{ "setxattr", 0, BOTH, ALLOW, { ANY, ANY, ANY, 1, 0 } },
	{ "truncate", 0, BOTH, ALLOW, { ANY, 0 } },
	{ "getdents64", 0, BOTH, ALLOW, { 5, ANY, 512 } },

	/* sockets */
	{ "socket", SOCKETS, BOTH, ALLOW,
	    { AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0 } },
	{ "socket", SOCKETS, BOTH, ALLOW, { AF_INET6, SOCK_STREAM, 0 } },
	{ "socket", HTTPS | SPEAKS, BOTH, ALLOW,
	    { AF_INET, SOCK_STREAM, IPPROTO_TCP } },
	{ "socket", RESOLVER, BOTH, ALLOW,
	    { AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0 } },
	{ "socket", HTTPS | SPEAKS, BOTH, FAIL(EACCES),
	    { AF_INET6, SOCK_DGRAM, 0 } },
	{ "socket", RESOLVER, BOTH, ALLOW, { AF_INET6, SOCK_DGRAM, 0 } },
	{ "socket", HTTPS | SPEAKS, BOTH, FAIL(EACCES),
	    { AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0 } },
	{ "socket", HTTPS | SPEAKS, BOTH, FAIL(EACCES),
	    { AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0 } },
	{ "socket", PARENT, BOTH, ALLOW, { AF_UNIX, SOCK_STREAM, 0 } },
	{ "socket", PARENT, BOTH, ALLOW,
	    { AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0 } },
	{ "socket", 0, BOTH, ALLOW, { AF_UNIX, SOCK_SEQPACKET, 0 } },
	{ "socket", 0, BOTH, ALLOW, { AF_NETLINK, SOCK_RAW, 0 } },
	{ "socket", 0, BOTH, ALLOW, { AF_PACKET, SOCK_RAW, 0 } },
	{ "socket", 0, BOTH, ALLOW, { AF_INET, SOCK_RAW, IPPROTO_ICMP } },
	{ "socket", 0, BOTH, ALLOW, { AF_INET, SOCK_STREAM, 262 } }, /* MPTCP */
	{ "socket", 0, BOTH, ALLOW, { AF_INET, SOCK_STREAM, IPPROTO_SCTP } },
	{ "socket", 0, BOTH, ALLOW, { AF_VSOCK, SOCK_STREAM, 0 } },
	{ "socket", 0, BOTH, ALLOW, { AF_ALG, SOCK_SEQPACKET, 0 } },
	{ "socketpair", HTTPS | SPEAKS, BOTH, FAIL(EACCES),
	    { AF_UNIX, SOCK_STREAM, 0, ANY } },
	{ "connect", SOCKETS | PARENT, BOTH, ALLOW, { 5, ANY, 16 } },
	{ "bind", 0, BOTH, ALLOW, { 5, ANY, 16 } },
	{ "listen", 0, BOTH, ALLOW, { 5, 1 } },
	{ "accept", 0, BOTH, ALLOW, { 5, 0, 0 } },
	{ "accept4", PARENT, BOTH, ALLOW, { 7, 0, 0, 0 } },
	{ "accept4", QUIET | SPEAKS | PARENT, BOTH, ALLOW,
	    { LISTEN_FD, ANY, ANY, SOCK_NONBLOCK } },
	{ "sendto", SOCKETS | PARENT, BOTH, ALLOW,
	    { 5, ANY, 9, MSG_NOSIGNAL, 0, 0 } },
	{ "sendto", PARENT, BOTH, ALLOW, { 5, ANY, 9, MSG_NOSIGNAL, ANY, 16 } },
	{ "sendto", PARENT, BOTH, ALLOW,
	    { 5, ANY, 9, MSG_FASTOPEN, ANY, 16 } }, /* it has AF_UNIX only */
	{ "sendmsg", 0, BOTH, ALLOW, { 5, ANY, 0 } },
	{ "recvmsg", 0, BOTH, ALLOW, { 5, ANY, 0 } },
	{ "recvfrom", SOCKETS | PARENT, BOTH, ALLOW, { 5, ANY, 9, 0, 0, 0 } },
	{ "recvfrom", RESOLVER | PARENT, BOTH, ALLOW,
	    { 5, ANY, 9, 0, ANY, ANY } },
	{ "setsockopt", SOCKETS, BOTH, ALLOW,
	    { 5, IPPROTO_TCP, TCP_NODELAY, ANY, 4 } },
	{ "setsockopt", 0, BOTH, ALLOW,
	    { 5, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, ANY, 4 } },
	{ "setsockopt", 0, BOTH, ALLOW,
	    { 5, SOL_SOCKET, SO_BINDTODEVICE, ANY, 4 } },
	{ "setsockopt", 0, BOTH, ALLOW, { 5, SOL_SOCKET, SO_MARK, ANY, 4 } },
	{ "getsockopt", HTTPS | SPEAKS | PARENT, BOTH, ALLOW,
	    { 5, SOL_SOCKET, SO_ERROR, ANY, ANY } },
	{ "getsockopt", PARENT, BOTH, ALLOW,
	    { 5, SOL_SOCKET, SO_PEERCRED, ANY, ANY } },
	{ "poll", HTTPS | SPEAKS, X86_64, ALLOW, { ANY, 1, 0 } },
	{ "ppoll", HTTPS | SPEAKS, BOTH, ALLOW, { ANY, 1, ANY, 0 } },

	/* descriptors */
	{ "fcntl", SOCKETS | PARENT, BOTH, ALLOW, { 5, F_GETFL, 0 } },
	{ "fcntl", SOCKETS | PARENT, BOTH, ALLOW, { 5, F_SETFL, O_NONBLOCK } },
	{ "fcntl", 0, BOTH, ALLOW, { 5, F_DUPFD, 3 } },
	{ "fcntl", 0, BOTH, ALLOW, { 5, F_SETOWN, 1 } },
	{ "fcntl", 0, BOTH, ALLOW, { 5, F_NOTIFY, 1 } },
	{ "ioctl", QUIET | SPEAKS, BOTH, ALLOW, { 5, FIONREAD, ANY } },
	{ "ioctl", 0, BOTH, ALLOW, { 5, TIOCSTI, ANY } },
	{ "ioctl", 0, BOTH, ALLOW, { 5, FIONBIO, ANY } },
	{ "dup", 0, BOTH, ALLOW, { 5 } },
	{ "dup3", 0, BOTH, ALLOW, { 5, 6, 0 } },
	{ "pidfd_getfd", 0, BOTH, ALLOW, { 5, 3, 0 } },

	/* processes */
	{ "fork", 0, X86_64, ALLOW, { 0 } },
	{ "vfork", 0, X86_64, ALLOW, { 0 } },
	{ "clone", HTTPS | SPEAKS, BOTH, FAIL(EAGAIN), { 17, 0, 0, 0, 0 } },
	{ "clone3", CHILDREN, BOTH, FAIL(ENOSYS), { ANY, 64 } },
	{ "execve", 0, BOTH, ALLOW, { ANY, ANY, ANY } },
	{ "execveat", 0, BOTH, ALLOW, { 5, ANY, ANY, ANY, 0 } },
	{ "kill", 0, BOTH, ALLOW, { 1, 9 } },
	{ "tgkill", 0, BOTH, ALLOW, { 1, 1, 9 } },
	{ "pidfd_send_signal", 0, BOTH, ALLOW, { 5, 9, 0, 0 } },
	{ "ptrace", 0, BOTH, ALLOW, { 16, 1, 0, 0 } },
	{ "process_vm_readv", 0, BOTH, ALLOW, { 1, ANY, 1, ANY, 1, 0 } },
	{ "process_vm_writev", 0, BOTH, ALLOW, { 1, ANY, 1, ANY, 1, 0 } },
	{ "prctl", 0, BOTH, ALLOW, { PR_SET_DUMPABLE, 1, 0, 0, 0 } },
	{ "prctl", 0, BOTH, ALLOW, { PR_SET_NAME, ANY, 0, 0, 0 } },
	{ "seccomp", 0, BOTH, ALLOW, { 1, 0, ANY } },
	{ "setuid", 0, BOTH, ALLOW, { 0 } },
	{ "setresuid", 0, BOTH, ALLOW, { 0, 0, 0 } },
	{ "setresgid", 0, BOTH, ALLOW, { 0, 0, 0 } },
	{ "setgroups", 0, BOTH, ALLOW, { 0, 0 } },
	{ "capset", 0, BOTH, ALLOW, { ANY, ANY } },
	{ "prlimit64", 0, BOTH, ALLOW, { 0, 4, ANY, 0 } },
	{ "setrlimit", 0, BOTH, ALLOW, { 4, ANY } },
	{ "wait4", PARENT, BOTH, ALLOW, { ANY, ANY, 1, 0 } },

	/* the system */
	{ "mount", 0, BOTH, ALLOW, { ANY, ANY, ANY, 0, 0 } },
	{ "umount2", 0, BOTH, ALLOW, { ANY, 0 } },
	{ "chroot", 0, BOTH, ALLOW, { ANY } },
	{ "pivot_root", 0, BOTH, ALLOW, { ANY, ANY } },
	{ "unshare", 0, BOTH, ALLOW, { 0x10000000 } },
	{ "setns", 0, BOTH, ALLOW, { 5, 0 } },
	{ "bpf", 0, BOTH, ALLOW, { 5, ANY, 64 } },
	{ "perf_event_open", 0, BOTH, ALLOW, { ANY, 0, 0, 0, 0 } },
	{ "userfaultfd", 0, BOTH, ALLOW, { 0 } },
	{ "io_uring_setup", 0, BOTH, ALLOW, { 1, ANY } },
	{ "io_uring_enter", 0, BOTH, ALLOW, { 5, 1, 0, 0 } },
	{ "keyctl", 0, BOTH, ALLOW, { 0, 0, 0 } },
	{ "add_key", 0, BOTH, ALLOW, { ANY, ANY, ANY, 1, 0 } },
	{ "init_module", 0, BOTH, ALLOW, { ANY, 1, ANY } },
	{ "kexec_load", 0, BOTH, ALLOW, { 0, 0, 0, 0 } },
	{ "reboot", 0, BOTH, ALLOW, { 0, 0, 0, 0 } },
	{ "personality", 0, BOTH, ALLOW, { 0x400000 } },
	{ "clock_settime", 0, BOTH, ALLOW, { 0, ANY } },
	{ "sethostname", 0, BOTH, ALLOW, { ANY, 1 } },
	{ "open_by_handle_at", 0, BOTH, ALLOW, { 5, ANY, 0 } },
	{ "name_to_handle_at", 0, BOTH, ALLOW, { 5, ANY, ANY, ANY, 0 } },
	{ "modify_ldt", 0, X86_64, ALLOW, { 1, ANY, 16 } },
};

/* A filter as the kernel would get it. */
struct program {
	struct sock_filter *line;
	size_t n;
};

static const struct {
	uint32_t scmp;
	uint32_t audit;
} archs[NARCHS] = {
	{ SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64 },
	{ SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64 },
};

static struct program programs[NARCHS][NTABLES];

static scmp_filter_ctx
table_filter(int table, uint32_t arch)
{
	struct syscall_rule *own;
	scmp_filter_ctx filter;
	size_t n;

	switch (1 << table) {
	case RESOLVER:
		return (
		    filter_new_child(arch, resolver_rules, resolver_nrules));
	case SIGNER:
		return (filter_new_child(arch, NULL, 0));
	case HTTPS:
		return (filter_new_child(arch, http_rules, http_nrules));
	case PARENT:
		return (filter_new(arch, parent_rules, parent_nrules));
	default:
		own = reporter_rules((1 << table) == SPEAKS, &n);
		filter = filter_new_child(arch, own, n);
		free(own);
		return (filter);
	}
}

static void export(scmp_filter_ctx filter, struct program *program)
{
	int fd = memfd_create("filter", 0);
	struct stat st;

	assert_int_equal(seccomp_export_bpf(filter, fd), 0);
	assert_int_equal(fstat(fd, &st), 0);
	program->line = malloc((size_t)st.st_size);
	assert_non_null(program->line);
	assert_int_equal(pread(fd, program->line, (size_t)st.st_size, 0),
	    st.st_size);
	program->n = (size_t)st.st_size / sizeof(*program->line);
	close(fd);
}

static bool
jumps(const struct sock_filter *line, uint32_t a)
{
	switch (BPF_OP(line->code)) {
	case BPF_JEQ:
		return (a == line->k);
	case BPF_JGT:
		return (a > line->k);
	case BPF_JGE:
		return (a >= line->k);
	case BPF_JSET:
		return ((a & line->k) != 0);
	default:
		fail_msg("jump %#x", line->code);
		return (false);
	}
}

/* Run it as the kernel does. */
static uint32_t
run(const struct program *program, const struct seccomp_data *data)
{
	const struct sock_filter *line;
	uint32_t a = 0, memory[BPF_MEMWORDS] = { 0 };
	size_t i;

	for (i = 0; i < program->n; i++) {
		line = &program->line[i];
		switch (line->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (const char *)data + line->k, sizeof(a));
			break;
		case BPF_LD | BPF_MEM:
			a = memory[line->k];
			break;
		case BPF_ST:
			memory[line->k] = a;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= line->k;
			break;
		case BPF_JMP | BPF_JA:
			i += line->k;
			break;
		case BPF_RET | BPF_K:
			return (line->k);
		default:
			assert_int_equal(BPF_CLASS(line->code), BPF_JMP);
			i += jumps(line, a) ? line->jt : line->jf;
			break;
		}
	}
	fail_msg("the filter has no end");
	return (KILL);
}

static uint32_t
says(size_t arch, size_t table, int call, const uint64_t args[6])
{
	struct seccomp_data data = {
		.nr = call,
		.arch = archs[arch].audit,
	};

	memcpy(data.args, args, sizeof(data.args));
	return (run(&programs[arch][table], &data));
}

/* Another row says the same of this table and call. */
static bool
another_row(size_t row, int table)
{
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (i != row && strcmp(calls[i].call, calls[row].call) == 0 &&
		    memcmp(calls[i].args, calls[row].args,
			sizeof(calls[i].args)) == 0 &&
		    (calls[i].by & (1 << table)))
			return (true);
	return (false);
}

static void
check_call(size_t row, size_t arch, int table)
{
	uint32_t action, expected = KILL;
	int number;

	number = seccomp_syscall_resolve_name_arch(archs[arch].scmp,
	    calls[row].call);
	if (!(calls[row].on & (1 << arch))) {
		assert_true(number < 0);
		return;
	}
	assert_true(number >= 0);
	if (calls[row].by & (1 << table))
		expected = calls[row].action;
	else if (another_row(row, table))
		return;
	action = says(arch, (size_t)table, number, calls[row].args);
	if (action != expected)
		fail_msg("row %zu, %s, table %d, architecture %zu: %#x, not "
			 "%#x",
		    row, calls[row].call, table, arch, action, expected);
}

static void
test_calls(void **state)
{
	size_t row, arch;
	int table;

	(void)state;
	for (row = 0; row < sizeof(calls) / sizeof(calls[0]); row++)
		for (arch = 0; arch < NARCHS; arch++)
			for (table = 0; table < NTABLES; table++)
				check_call(row, arch, table);
}

/* Numbers that are no call's, and all those that no row names: but for the
 * handful that are allowed or refused, they kill. */
static void
test_all_others(void **state)
{
	static const uint64_t args[6] = { ANY, ANY, ANY, ANY, ANY, ANY };
	static const size_t most[NTABLES] = { 40, 36, 42, 42, 46, 68 };
	size_t arch, table, spared;
	int number;

	(void)state;
	for (arch = 0; arch < NARCHS; arch++) {
		for (table = 0; table < NTABLES; table++) {
			spared = 0;
			for (number = 0; number < 1024; number++)
				if (says(arch, table, number, args) != KILL)
					spared++;
			if (spared > most[table])
				fail_msg("table %zu, architecture %zu: %zu "
					 "calls do not kill",
				    table, arch, spared);
		}
	}
}

/* Calls by the way of another architecture have other numbers. */
static void
test_other_ways(void **state)
{
	struct seccomp_data data = { .arch = AUDIT_ARCH_I386 };
	size_t table;

	(void)state;
	for (table = 0; table < NTABLES; table++) {
		for (data.nr = 0; data.nr < 512; data.nr++) {
			data.arch = AUDIT_ARCH_I386;
			assert_int_equal(run(&programs[0][table], &data), KILL);
			data.arch = AUDIT_ARCH_ARM;
			assert_int_equal(run(&programs[1][table], &data), KILL);
			/* x32 */
			data.arch = AUDIT_ARCH_X86_64;
			data.nr |= 0x40000000;
			assert_int_equal(run(&programs[0][table], &data), KILL);
			data.nr &= ~0x40000000;
		}
	}
}

static int
prepare(void **state)
{
	scmp_filter_ctx filter;
	size_t arch;
	int table;

	(void)state;
	for (arch = 0; arch < NARCHS; arch++) {
		for (table = 0; table < NTABLES; table++) {
			filter = table_filter(table, archs[arch].scmp);
			export(filter, &programs[arch][table]);
			seccomp_release(filter);
		}
	}
	return (0);
}

static int
release(void **state)
{
	size_t arch, table;

	(void)state;
	for (arch = 0; arch < NARCHS; arch++)
		for (table = 0; table < NTABLES; table++)
			free(programs[arch][table].line);
	return (0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_all_others),
		cmocka_unit_test(test_other_ways),
	};

	return (cmocka_run_group_tests(tests, prepare, release));
}
