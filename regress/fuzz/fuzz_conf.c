/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * mt-gcpd.conf: the file, a NUL, and the one file that it may include, as
 * "inc".  What is accepted and printed is accepted again, and prints the same.
 */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "conf.h"
#include "fuzz.h"

static int file, included;

static void
tell(const char *line __unused)
{
}

/* Each time the same file, at its beginning. */
int
public_open(const char *path, char *why, size_t len)
{
	char name[32];

	if (strcmp(path, "conf") == 0 || strcmp(path, "inc") == 0) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d",
		    *path == 'c' ? file : included);
		return (open(name, O_RDONLY | O_CLOEXEC));
	}
	snprintf(why, len, "%s: is not there", path);
	errno = ENOENT;
	return (-1);
}

/* The configuration as text, of size bytes and a NUL. */
static char *
print(const struct conf *conf, size_t *size)
{
	char *text;
	FILE *fp;

	fp = open_memstream(&text, size);
	conf_print(conf, fp);
	fclose(fp);
	return (text);
}

static struct conf *
parse(const void *text, size_t len)
{
	struct conf *conf;

	file = fuzz_memory(text, len);
	conf = conf_parse("conf");
	close(file);
	return (conf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size }, first = take_part(&in);
	struct conf *conf;
	char *text, *again;
	size_t len;

	conf_tell = tell;
	included = fuzz_memory(in.data, in.len);
	conf = parse(first.data, first.len);
	close(included);
	if (conf == NULL)
		return (0);
	text = print(conf, &len);
	conf_free(conf);
	conf = parse(text, len);
	HOLDS(conf != NULL);
	again = print(conf, &len);
	HOLDS(strcmp(text, again) == 0);
	conf_free(conf);
	free(text);
	free(again);
	return (0);
}
