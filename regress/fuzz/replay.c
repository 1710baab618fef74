/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/stat.h>

#include <dirent.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <unistd.h>

#include "fuzz.h"

/*
 * Runs the files of the directories that are named through the target that it
 * is linked with.  The first directory has to be there and to have files.
 */

static const char *running; /* the file, for when it is the last one */

static void
died(void)
{
	if (running != NULL)
		dprintf(STDERR_FILENO, "input: %s\n", running);
}

static void
aborted(int signo)
{
	died();
	(void)signal(signo, SIG_DFL);
	raise(signo);
}

static void
run_file(const char *path)
{
	struct stat st;
	uint8_t *text;
	FILE *file;

	file = fopen(path, "re");
	if (file == NULL || fstat(fileno(file), &st) == -1 ||
	    (text = malloc((size_t)st.st_size + 1)) == NULL ||
	    fread(text, 1, (size_t)st.st_size, file) != (size_t)st.st_size) {
		dprintf(STDERR_FILENO, "%s: cannot be read\n", path);
		exit(1);
	}
	fclose(file);
	/* To its own size: what reads beyond it is to be seen. */
	text = realloc(text, st.st_size > 0 ? (size_t)st.st_size : 1);
	(void)LLVMFuzzerTestOneInput(text, (size_t)st.st_size);
	free(text);
}

static int
run_directory(const char *directory)
{
	char path[4096];
	struct dirent *entry;
	int count = 0;
	DIR *dir;

	dir = opendir(directory);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		running = path;
		run_file(path);
		running = NULL;
		count++;
	}
	if (dir != NULL)
		closedir(dir);
	return (count);
}

int
main(int argc, char *argv[])
{
	int i, count, all = 0;

	__sanitizer_set_death_callback(died);
	(void)signal(SIGABRT, aborted);
	for (i = 1; i < argc; i++) {
		count = run_directory(argv[i]);
		if (i == 1 && count == 0) {
			dprintf(STDERR_FILENO, "%s: no inputs\n", argv[i]);
			return (1);
		}
		all += count;
	}
	dprintf(STDOUT_FILENO, "%s: %d inputs\n", argv[0], all);
	return (argc < 2);
}
