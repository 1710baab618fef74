/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <limits.h>
#include <unistd.h>

#include "fuzz.h"

/*
 * Runs the files of the directories that are named through the target that it
 * is linked with.  The first directory has to be there and to have files.  They
 * are run by a child, so that whatever ends it can be said of which file.
 */

static char *running; /* the path of the file, shared with the child */

static void
run_file(void)
{
	struct stat st;
	uint8_t *text;
	FILE *file;

	file = fopen(running, "re");
	if (file == NULL || fstat(fileno(file), &st) == -1 ||
	    (text = malloc((size_t)st.st_size + 1)) == NULL ||
	    fread(text, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
		abort();
	fclose(file);
	/* To its own size: what reads beyond it is to be seen. */
	text = realloc(text, st.st_size > 0 ? (size_t)st.st_size : 1);
	(void)LLVMFuzzerTestOneInput(text, (size_t)st.st_size);
	free(text);
}

static int
is_input(const struct dirent *entry)
{
	return (entry->d_name[0] != '.');
}

/* By name: what one leaves behind in the process, the next one finds. */
static int
run_directory(const char *directory)
{
	struct dirent **entries;
	int count, i;

	count = scandir(directory, &entries, is_input, alphasort);
	if (count == -1)
		return (0);
	for (i = 0; i < count; i++) {
		snprintf(running, PATH_MAX, "%s/%s", directory,
		    entries[i]->d_name);
		run_file();
		free(entries[i]);
	}
	free(entries);
	return (count);
}

static int
run(int argc, char *argv[])
{
	int i, count, all = 0;

	for (i = 1; i < argc; i++) {
		count = run_directory(argv[i]);
		if (i == 1 && count == 0) {
			dprintf(STDERR_FILENO, "%s: no inputs\n", argv[i]);
			return (1);
		}
		all += count;
	}
	dprintf(STDOUT_FILENO, "%s: %d inputs\n", argv[0], all);
	strlcpy(running, "the end", PATH_MAX);
	return (0);
}

int
main(int argc, char *argv[])
{
	int status;
	pid_t pid;

	running = mmap(NULL, PATH_MAX, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (running == MAP_FAILED || argc < 2)
		return (1);
	pid = fork();
	if (pid == 0)
		exit(run(argc, argv));
	if (pid == -1 || waitpid(pid, &status, 0) == -1)
		return (1);
	if (status == 0)
		return (0);
	if (*running != '\0')
		dprintf(STDERR_FILENO, "%s: ended by %s\n", argv[0], running);
	return (1);
}
