/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/resource.h>
#include <sys/stat.h>

#include <fcntl.h>
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
#include <event2/event.h>

#include "log.h"
#include "logfile.h"
#include "mtgcpd.h"
#include "repeats.h"

static char directory[64];
static struct logfile file;

static struct {
	int count;
	char text[LOGTEXT_LEN];
} said;

static void
sink(int priority, const char *corr, const char *text)
{
	(void)priority;
	(void)corr;
	said.count++;
	strlcpy(said.text, text, sizeof(said.text));
	/* As the log itself does, whose lines go to the file. */
	logfile_write(&file, "told\n", 5);
}

static int
setup(void **state)
{
	(void)state;
	strlcpy(directory, "/tmp/test_logfile.XXXXXX", sizeof(directory));
	if (mkdtemp(directory) == NULL || chdir(directory) == -1)
		return (-1);
	umask(027);
	memset(&file, 0, sizeof(file));
	file.fd = -1;
	file.what = "lines";
	memset(&said, 0, sizeof(said));
	log_init("test", LOG_INFO, sink);
	return (0);
}

static int
teardown(void **state)
{
	char command[128];

	(void)state;
	logfile_close(&file);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return (chdir("/") == -1 || system(command) != 0 ? -1 : 0);
}

static void
begin(uint64_t size, uint32_t keep)
{
	struct rotation rotation = { size, keep };

	assert_int_equal(logfile_open(&file, "log", &rotation), 0);
}

static void
put(const char *line)
{
	logfile_write(&file, line, strlen(line));
}

/* NULL: there must be no such file. */
static void
holds(const char *name, const char *text)
{
	char buf[8192];
	ssize_t n;
	int fd;

	fd = open(name, O_RDONLY);
	if (text == NULL) {
		assert_int_equal(fd, -1);
		return;
	}
	assert_int_not_equal(fd, -1);
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	assert_true(n >= 0);
	buf[n] = '\0';
	assert_string_equal(buf, text);
}

static void
write_file(const char *name, const char *text)
{
	FILE *fp = fopen(name, "w");

	assert_non_null(fp);
	fputs(text, fp);
	fclose(fp);
}

/* A line that fits exactly stays; what does not begins a new file; so many are
 * kept as were asked for. */
static void
test_rotation(void **state)
{
	(void)state;
	begin(8, 2);
	put("aaa\n");
	put("bbb\n");
	holds("log", "aaa\nbbb\n");
	holds("log.1", NULL);
	put("c\n");
	holds("log", "c\n");
	holds("log.1", "aaa\nbbb\n");
	put("ddddddd\n");
	put("eeeeeeeeeeee\n");
	put("f\n");
	holds("log", "f\n");
	holds("log.1", "eeeeeeeeeeee\n");
	holds("log.2", "ddddddd\n");
	holds("log.3", NULL);
	assert_int_equal(said.count, 0);
}

/* What a file had when it was opened counts. */
static void
test_size_at_start(void **state)
{
	(void)state;
	write_file("log", "before\n");
	begin(8, 1);
	put("aaa\n");
	holds("log.1", "before\n");
	holds("log", "aaa\n");
}

static void
test_never(void **state)
{
	int i;

	(void)state;
	begin(0, 5);
	for (i = 0; i < 2000; i++)
		put("aaa\n");
	holds("log.1", NULL);
}

static void
test_keep_none(void **state)
{
	(void)state;
	begin(8, 0);
	put("aaa\n");
	put("bbb\n");
	put("c\n");
	holds("log", "c\n");
	holds("log.1", NULL);
}

static void
test_mode(void **state)
{
	struct stat st;

	(void)state;
	begin(4, 1);
	assert_int_equal(stat("log", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(chmod("log", 0606), 0);
	put("aaa\n");
	put("bbb\n");
	assert_int_equal(stat("log", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0606);
	assert_int_equal(stat("log.1", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0606);
}

/* A rotation that fails is told of once, loses nothing, is tried again, and
 * told of again if it fails another time. */
static void
test_stuck(void **state)
{
	(void)state;
	assert_int_equal(mkdir("log.1", 0700), 0);
	begin(4, 1);
	put("aaa\n");
	put("bbb\n");
	put("ccc\n");
	assert_int_equal(said.count, 1);
	assert_non_null(strstr(said.text, "log: cannot be rotated"));
	holds("log", "aaa\ntold\nbbb\nccc\n");
	assert_int_equal(rmdir("log.1"), 0);
	put("ddd\n");
	holds("log", "ddd\n");
	holds("log.1", "aaa\ntold\nbbb\nccc\n");
	assert_int_equal(said.count, 1);
	assert_int_equal(unlink("log.1"), 0);
	assert_int_equal(mkdir("log.1", 0700), 0);
	put("eee\n");
	assert_int_equal(said.count, 2);
}

/* Old files move as far as there is a gap, and trying again loses none. */
static void
test_gap(void **state)
{
	(void)state;
	write_file("log.1", "1\n");
	write_file("log.3", "3\n");
	begin(4, 4);
	put("aaa\n");
	put("bbb\n");
	holds("log", "bbb\n");
	holds("log.1", "aaa\n");
	holds("log.2", "1\n");
	holds("log.3", "3\n");
	holds("log.4", NULL);
}

/* The last is the one that goes. */
static void
test_replaced(void **state)
{
	(void)state;
	write_file("log.1", "1\n");
	write_file("log.2", "2\n");
	write_file("log.3", "not ours\n");
	begin(4, 2);
	put("aaa\n");
	put("bbb\n");
	holds("log.1", "aaa\n");
	holds("log.2", "1\n");
	holds("log.3", "not ours\n");
}

/* Somebody else moved the file away, or cut it down. */
static void
test_others(void **state)
{
	(void)state;
	begin(8, 2);
	put("aaa\n");
	put("bbb\n");
	assert_int_equal(rename("log", "moved"), 0);
	put("ccc\n");
	holds("moved", "aaa\nbbb\n");
	holds("log", "ccc\n");
	holds("log.1", NULL);
	put("ddd\n");
	assert_int_equal(truncate("log", 0), 0);
	put("eee\n");
	holds("log", "eee\n");
	holds("log.1", NULL);
}

static void
test_reopen(void **state)
{
	(void)state;
	begin(0, 0);
	put("aaa\n");
	assert_int_equal(rename("log", "moved"), 0);
	put("bbb\n");
	logfile_reopen(&file);
	put("ccc\n");
	holds("moved", "aaa\nbbb\n");
	holds("log", "ccc\n");
	assert_int_equal(rename("log", "again"), 0);
	assert_int_equal(mkdir("log", 0700), 0);
	logfile_reopen(&file);
	put("ddd\n");
	holds("again", "ccc\ntold\nddd\n");
	assert_int_equal(said.count, 1);
}

static void
test_reload(void **state)
{
	const struct rotation small = { 4, 1 }, none = { 0, 0 };

	(void)state;
	begin(0, 0);
	put("aaa\n");
	put("bbb\n");
	logfile_reload(&file, "log", &small);
	put("ccc\n");
	holds("log.1", "aaa\nbbb\n");
	logfile_reload(&file, "other", &none);
	put("ddd\n");
	holds("log", "ccc\n");
	holds("other", "ddd\n");
	logfile_reload(&file, NULL, &none);
	put("eee\n");
	holds("other", "ddd\n");
}

static void
test_cannot_open(void **state)
{
	struct rotation none = { 0, 0 };

	(void)state;
	assert_int_equal(symlink("elsewhere", "log"), 0);
	assert_int_equal(logfile_open(&file, "log", &none), -1);
	put("aaa\n");
	holds("elsewhere", NULL);
}

static void
limit(rlim_t bytes)
{
	struct rlimit size = { bytes, RLIM_INFINITY };

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &size), 0);
}

/* Half a line is taken back; what is lost is told of once, and so is the end of
 * it; the file has nothing of the former. */
static void
test_unwritable(void **state)
{
	static char line[4096 + 2];

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	begin(0, 0);
	put("aaa\n");
	limit(6);
	put("bbb\n");
	assert_int_equal(said.count, 1);
	assert_string_equal(said.text,
	    "log: lines are being lost: No space left on device");
	holds("log", "aaa\n");
	limit(4);
	put("ccc\n");
	assert_int_equal(said.count, 1);
	/* a line that is short enough proves nothing */
	limit(8);
	put("ddd\n");
	put("eee\n");
	assert_int_equal(said.count, 1);
	holds("log", "aaa\nddd\n");
	limit(RLIM_INFINITY);
	memset(line, 'x', sizeof(line) - 2);
	line[sizeof(line) - 2] = '\n';
	put("fff\n");
	assert_int_equal(said.count, 1);
	put(line);
	assert_int_equal(said.count, 2);
	assert_string_equal(said.text,
	    "log: can be written again; 3 lines were lost");
}

/* What is no regular file is never renamed. */
static void
test_device(void **state)
{
	struct rotation small = { 4, 1 };
	int i;

	(void)state;
	assert_int_equal(logfile_open(&file, "/dev/null", &small), 0);
	for (i = 0; i < 10; i++)
		put("aaaaa\n");
	holds("/dev/null.1", NULL);
	assert_int_equal(said.count, 0);
}

/* The first three are written, the others are counted, whatever their
 * correlation id. */
static void
test_repeats(void **state)
{
	struct repeats repeats = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_false(repeats_hold(&repeats, LOG_ERR, "a", "text", i));
	assert_true(repeats_hold(&repeats, LOG_ERR, "b", "text", 3));
	assert_true(repeats_hold(&repeats, LOG_ERR, "c", "text", 4));
	assert_string_equal(repeats.corr, "c");
	assert_int_equal(repeats_take(&repeats), 2);
	assert_int_equal(repeats_take(&repeats), 0);
	assert_true(repeats_hold(&repeats, LOG_ERR, "d", "text", 5));
	assert_false(repeats_hold(&repeats, LOG_ERR, "d", "texts", 6));
	assert_false(repeats_hold(&repeats, LOG_ERR, "d", "text", 7));
}

/* Another level is another line; and a minute without it begins anew. */
static void
test_no_repeats(void **state)
{
	struct repeats repeats = { 0 };
	int i;

	(void)state;
	assert_false(repeats_same(&repeats, 0, "", 0));
	for (i = 0; i < 3; i++)
		assert_false(repeats_hold(&repeats, LOG_ERR, "", "text", 0));
	assert_true(repeats_same(&repeats, LOG_ERR, "text", 59999));
	assert_false(repeats_same(&repeats, LOG_ERR, "text", 60000));
	assert_false(repeats_same(&repeats, LOG_INFO, "text", 0));
	assert_true(repeats_hold(&repeats, LOG_ERR, "", "text", 59999));
	assert_true(repeats_hold(&repeats, LOG_ERR, "", "text", 119998));
	assert_false(repeats_hold(&repeats, LOG_ERR, "", "text", 179998));
}

/* Lines of the file without their times, which have a fixed width. */
static void
output_holds(const char *text)
{
	char buf[4096] = "", line[1024];
	FILE *fp = fopen("out", "r");

	assert_non_null(fp);
	while (fgets(line, sizeof(line), fp) != NULL) {
		assert_true(strlen(line) > 25);
		strlcat(buf, line + 25, sizeof(buf));
	}
	fclose(fp);
	assert_string_equal(buf, text);
}

static int
fire(const struct event_base *base, const struct event *event, void *due)
{
	(void)base;
	assert_true(event_pending(event, EV_TIMEOUT, due));
	event_active((struct event *)(uintptr_t)event, EV_TIMEOUT, 1);
	return (0);
}

/* What is held back is written before another line, when its minute is over,
 * and at the end. */
static void
test_output(void **state)
{
	struct event_base *base = event_base_new();
	struct conf conf = { .log_file = (char[]){ "out" } };
	struct timeval due = { 0, 0 }, now;
	int i;

	(void)state;
	assert_int_equal(output_open(base, &conf, false), 0);
	for (i = 0; i < 5; i++)
		output_put(LOG_ERR, i == 4 ? "id" : "", "text");
	output_put(LOG_INFO, "x", "other");
	output_holds("error text\nerror text\nerror text\n"
		     "error [id] last message repeated 2 times\n"
		     "info [x] other\n");
	assert_int_equal(truncate("out", 0), 0);
	assert_int_equal(
	    event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	for (i = 0; i < 4; i++)
		output_put(LOG_ERR, "", "text");
	assert_int_equal(
	    event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
	gettimeofday(&now, NULL);
	(void)event_base_foreach_event(base, fire, &due);
	assert_in_range(due.tv_sec - now.tv_sec, 55, 61);
	(void)event_base_loop(base, EVLOOP_NONBLOCK);
	output_put(LOG_ERR, "", "text");
	output_holds("error text\nerror text\nerror text\n"
		     "error last message repeated 1 time\n");
	output_close();
	output_holds("error text\nerror text\nerror text\n"
		     "error last message repeated 1 time\n"
		     "error last message repeated 1 time\n");
	event_base_free(base);
}

/* Standard error has priorities if it is what JOURNAL_STREAM names. */
static void
test_journal(void **state)
{
	struct event_base *base = event_base_new();
	struct conf conf = { .log_stderr = true };
	int saved = dup(STDERR_FILENO),
	    fd = open("journal", O_RDWR | O_CREAT | O_APPEND, 0600);
	char stream[64];
	struct stat st;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu",
	    (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(output_open(base, &conf, false), 0);
	output_put(LOG_ERR, "", "an error");
	output_put(LOG_DEBUG, "id", "a detail");
	output_close();
	holds("journal", "<3>an error\n<7>[id] a detail\n");

	strlcat(stream, "1", sizeof(stream));
	assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
	assert_int_equal(output_open(base, &conf, false), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	output_put(LOG_ERR, "", "an error");
	output_close();
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(rename("journal", "out"), 0);
	output_holds("error an error\n");
	unsetenv("JOURNAL_STREAM");
	close(saved);
	close(fd);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_size_at_start, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_never, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keep_none, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_mode, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stuck, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reopen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cannot_open, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_unwritable, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_device, setup, teardown),
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_no_repeats),
		cmocka_unit_test_setup_teardown(test_output, setup, teardown),
		cmocka_unit_test_setup_teardown(test_journal, setup, teardown),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
