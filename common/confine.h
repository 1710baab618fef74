/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_CONFINE_H
#define MTGCPD_CONFINE_H

#include <seccomp.h>

#include <stddef.h>
#include <stdint.h>

/* One line of a table of system calls: the call, the conditions on its
 * arguments (all must hold), and what happens when it is made. */
struct syscall_rule {
	int syscall;	 /* SCMP_SYS() */
	uint32_t action; /* SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(...) */
	unsigned int nargs;
	struct scmp_arg_cmp args[4];
};

/* Terms of such tables. */
#define RULE_ALLOW(name) .syscall = SCMP_SYS(name), .action = SCMP_ACT_ALLOW
#define RULE_REFUSE(name, error)                                               \
	.syscall = SCMP_SYS(name), .action = SCMP_ACT_ERRNO(error)
/* Conditions on the n-th argument; the kernel looks at the lower half of an
 * int, and a socket's type carries flags. */
#define INT_IS(n, value)  SCMP_CMP(n, SCMP_CMP_MASKED_EQ, 0xffffffffU, value)
#define TYPE_IS(n, value) SCMP_CMP(n, SCMP_CMP_MASKED_EQ, 0xf, value)
#define NULL_IS(n)	  SCMP_CMP(n, SCMP_CMP_EQ, 0, 0)
#define NO_EXEC(n)	  SCMP_CMP(n, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)

struct confinement {
	int drop; /* chroot and change user */
	uint32_t uid;
	uint32_t gid;
	const char *chroot;
	const uint16_t *ports; /* TCP ports that may be connected to */
	size_t nports;
	const struct syscall_rule *rules; /* beside those of all children */
	size_t nrules;
};

/* confine.c */
int confine(const struct confinement *);
void confine_capabilities(void);
int confine_landlock(const uint16_t *ports, size_t nports);

/* filter.c */
scmp_filter_ctx filter_new(uint32_t arch, const struct syscall_rule *,
    size_t n);
scmp_filter_ctx filter_new_child(uint32_t arch, const struct syscall_rule *own,
    size_t n);
void filter_load(scmp_filter_ctx);

#endif /* MTGCPD_CONFINE_H */
