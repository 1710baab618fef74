/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"
#include "proto.h"

static struct {
	int count;
	int priority;
	char corr[CORR_LEN];
	char text[2 * LOGTEXT_LEN];
} seen;

static void
sink(int priority, const char *corr, const char *text)
{
	seen.count++;
	seen.priority = priority;
	strlcpy(seen.corr, corr, sizeof(seen.corr));
	strlcpy(seen.text, text, sizeof(seen.text));
	errno = EBADF;
}

static int
setup(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	log_init("test", LOG_INFO, sink);
	log_setcorr("");
	return (0);
}

/* What is less important than the level is dropped. */
static void
test_level(void **state)
{
	(void)state;
	log_debug("no");
	log_put(LOG_DEBUG, "", "no, from a child");
	assert_int_equal(seen.count, 0);
	log_info("yes");
	assert_int_equal(seen.priority, LOG_INFO);
	log_setlevel(LOG_DEBUG);
	log_debug("yes");
	assert_int_equal(seen.priority, LOG_DEBUG);
	log_errorx("yes");
	assert_int_equal(seen.priority, LOG_ERR);
	assert_int_equal(seen.count, 3);
}

/* errno is added where it says something, and is as it was afterwards. */
static void
test_errno(void **state)
{
	(void)state;
	errno = ENOENT;
	log_warn("file %d", 1);
	assert_int_equal(errno, ENOENT);
	assert_string_equal(seen.text, "file 1: No such file or directory");
	log_warnx("file %d", 2);
	assert_int_equal(errno, ENOENT);
	assert_string_equal(seen.text, "file 2");
}

/* A text of the network begins no line and speaks to no terminal. */
static void
test_control_characters(void **state)
{
	(void)state;
	log_setcorr("hc-1");
	log_info("%s", "a\r\nb\tc\033[2J\177 caf\303\251 \302\233m \302\240.");
	assert_string_equal(seen.text, "a??b?c?[2J? caf\303\251 ??m \302\240.");
	assert_string_equal(seen.corr, "hc-1");
}

/* The lines of a child, which may have been taken over, are no better. */
static void
test_lines_of_children(void **state)
{
	(void)state;
	log_put(LOG_INFO, "hc-1\n2026 info [x", "prober: a\n2026 error forged");
	assert_string_equal(seen.corr, "hc-1?2026 info [x");
	assert_string_equal(seen.text, "prober: a?2026 error forged");
}

/* What is too long is cut, be it of our own or of a child. */
static void
test_long(void **state)
{
	char text[3 * LOGTEXT_LEN];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	assert_int_equal(strlen(seen.text), LOGTEXT_LEN - 1);
	log_put(LOG_INFO, text, text);
	assert_int_equal(strlen(seen.corr), CORR_LEN - 1);
	assert_true(strlen(seen.text) >= LOGTEXT_LEN);
	assert_true(strlen(seen.text) < sizeof(text) - 1);
}

/* fatal() says why, then exits 1. */
static void
test_fatal(void **state)
{
	char text[64] = "";
	int pipes[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		dup2(pipes[1], STDERR_FILENO);
		log_init("test", LOG_INFO, NULL);
		errno = EACCES;
		fatal("the %s", "end");
	}
	close(pipes[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(read(pipes[0], text, sizeof(text) - 1) > 0);
	close(pipes[0]);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_string_equal(text, "test: the end: Permission denied\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_level, setup),
		cmocka_unit_test_setup(test_errno, setup),
		cmocka_unit_test_setup(test_control_characters, setup),
		cmocka_unit_test_setup(test_lines_of_children, setup),
		cmocka_unit_test_setup(test_long, setup),
		cmocka_unit_test_setup(test_fatal, setup),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
