/*
 * fixture.h: keys and certificates for the tests, made with the openssl command
 * in a temporary directory that is removed at the end.
 */
#ifndef MEDCHAIN_TEST_FIXTURE_H
#define MEDCHAIN_TEST_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char fixture_dir[64];

static inline void
fixture_remove(void)
{
	char		command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", fixture_dir);
	if (system(command) != 0)
		perror("rm");
}

/* Run a shell command in the directory; the test can't go on if it fails. */
static inline void
fixture_run(const char *command)
{
	char		line[4096];

	if (fixture_dir[0] == '\0')
	{
		strcpy(fixture_dir, "/tmp/medchain-core-XXXXXX");
		if (mkdtemp(fixture_dir) == NULL)
			abort();
		atexit(fixture_remove);
	}
	snprintf(line, sizeof(line), "cd '%s' && { %s ; } >log 2>&1 || { cat log >&2; false; }",
			 fixture_dir, command);
	if (system(line) != 0)
	{
		printf("Bail out! fixture failed: %s\n", command);
		fflush(stdout);
		exit(1);
	}
}

static inline const char *
fixture_path(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", fixture_dir, name);
	return path;
}

/* Contents of a file of the directory, terminated; lives until the process ends. */
static inline char *
fixture_read(const char *name, size_t *len)
{
	static char *kept[64];
	static int	nkept = 0;
	FILE	   *file = fopen(fixture_path(name), "rb");
	char	   *data = malloc(1 << 20);

	if (file == NULL || data == NULL || nkept == 64)
		abort();
	*len = fread(data, 1, (1 << 20) - 1, file);
	data[*len] = '\0';
	fclose(file);
	return kept[nkept++] = data;
}

#endif
