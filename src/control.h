/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_CONTROL_H
#define MTGCPD_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "imsg.h"
#include "proto.h"

/*
 * What mt-gcpctl(8) and the daemon say to each other over the control socket:
 * one request for each connection, and an answer of JSON in pieces with an end
 * that says whether it was done.  "monitor" has no end.
 */

#define CONTROL_SOCKET	   "/run/mt-gcpd/mt-gcpd.sock" /* by default */
#define CONTROL_VERSION	   1			       /* of this protocol */
#define CONTROL_PIECE	   (IMSG_SIZE_MAX - sizeof(struct imsg_hdr))
#define CONTROL_REASON_LEN 128
#define CONTROL_ERROR_LEN  512

enum control_type {
	CONTROL_REQUEST = 1,
	CONTROL_DATA, /* bytes of JSON */
	CONTROL_END,
};

enum control_command {
	CONTROL_STATUS,
	CONTROL_FAILOVER,
	CONTROL_CHECKS,
	CONTROL_ROUTES,
	CONTROL_BREAKERS,
	CONTROL_HISTORY,
	CONTROL_EXPLAIN,
	CONTROL_MONITOR,
	CONTROL_LOOKS, /* those above change nothing */
	CONTROL_HOLD = CONTROL_LOOKS,
	CONTROL_FORCE,
	CONTROL_RELEASE,
	CONTROL_ACK,
	CONTROL_PROBE,
	CONTROL_RELOAD,
	CONTROL_LOG_BRIEF,
	CONTROL_LOG_VERBOSE,
	CONTROL_LOG_REOPEN,
	CONTROL_COMMANDS,
};

struct control_request {
	uint32_t version;
	uint32_t command;	     /* enum control_command */
	char failover[FAILOVER_LEN]; /* "": all */
	uint32_t seconds;	     /* hold and force; 0: until released */
	uint32_t state;		     /* force */
	uint32_t anyway;	     /* force; 0 or 1 */
	char reason[CONTROL_REASON_LEN];
};

struct control_end {
	uint32_t failed;	       /* 0 or 1 */
	char error[CONTROL_ERROR_LEN]; /* "" unless failed */
};

#endif /* MTGCPD_CONTROL_H */
