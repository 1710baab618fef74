/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * A state file: as it is, if the first byte is odd, or else with its checksum
 * made right.  What has been read is written, and read again.
 */

#include <sha2.h>
#include <unistd.h>

#include "daemon.h"

static char directory[64], path[80], bad[96];

static void
clean(void)
{
	unlink(path);
	unlink(bad);
	rmdir(directory);
}

static void
prepare(void)
{
	const char *room = getenv("TMPDIR");

	snprintf(directory, sizeof(directory), "%s/fuzz.XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" :
		room == NULL		  ? "/tmp" :
					    room);
	if (mkdtemp(directory) == NULL)
		abort();
	snprintf(path, sizeof(path), "%s/state", directory);
	snprintf(bad, sizeof(bad), "%s.bad", path);
	atexit(clean);
}

/* The text with a checksum that is right, if there can be one. */
static char *
mended(const char *text, size_t len)
{
	char hex[SHA256_DIGEST_STRING_LENGTH];
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	char *body = NULL;

	if (json_is_object(root)) {
		json_object_del(root, "checksum");
		body = json_dumps(root, JSON_COMPACT);
		SHA256Data((const uint8_t *)body, strlen(body), hex);
		free(body);
		json_object_set_new(root, "checksum", json_string(hex));
		body = json_dumps(root, JSON_COMPACT);
	}
	json_decref(root);
	return (body);
}

static void
write_file(const char *text, size_t len)
{
	FILE *file = fopen(path, "w");

	if (file == NULL || fwrite(text, 1, len, file) != len)
		abort();
	fclose(file);
}

static void
load(void)
{
	struct failover *failovers;
	size_t count = engine_failovers(&failovers);

	HOLDS(statefile_load(path, failovers, count) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	bool odd = take_byte(&in) & 1;
	const char *text = (const char *)in.data;
	char *mend = NULL;

	if (directory[0] == '\0')
		prepare();
	if (!odd)
		mend = mended(text, in.len);
	if (mend != NULL)
		write_file(mend, strlen(mend));
	else
		write_file(text, in.len);
	free(mend);
	(void)daemon_begin();
	load();
	statefile_init(mtgcpd.base, path);
	HOLDS(statefile_save() == 0);
	statefile_close();
	daemon_end();
	(void)unlink(bad);
	(void)daemon_begin();
	load();
	daemon_end();
	HOLDS(access(bad, F_OK) == -1);
	return (0);
}
