/*
 * Files of signature vectors in test/vectors, whose README.md tells the format; sql/signature.sql
 * runs them through SQL.
 */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/keycache.h"
#include "tap.h"

static size_t
from_hex(const char *hex, uint8_t *bytes)
{
	if (strcmp(hex, "-") == 0)
		return 0;
	unhex(hex, bytes);
	return strlen(hex) / 2;
}

static void
run_vectors(const char *path)
{
	static char line[200000];
	static char pem[120000];
	static char word[4][100000];
	static uint8_t message[100000];
	static uint8_t sig[100000];
	FILE	   *file = fopen(path, "r");
	int			count = 0;
	int			wrong = 0;

	if (file == NULL)
		abort();
	while (fgets(line, sizeof(line), file) != NULL)
	{
		int			start = 0;
		CoreError	error = {0};
		const Key  *key;
		KeyAlgorithm algorithm = KEY_DEFAULT;
		KeyVerdict	got;
		size_t		len;
		size_t		siglen;
		bool		right;

		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (sscanf(line, "key %8000s", word[0]) == 1 || sscanf(line, "badkey %8000s", word[0]) == 1)
		{
			snprintf(pem, sizeof(pem), "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n",
					 word[0]);
			if (line[0] == 'k')
				continue;
			right = keycache_get(pem, strlen(pem), &error) == NULL;
		}
		else
		{
			if (sscanf(line, "%99999s %99999s %99999s %99999s %n", word[0], word[1], word[2],
					   word[3], &start) < 4 ||
				(strcmp(word[1], "-") != 0 && !key_algorithm_from_name(word[1], &algorithm)))
				abort();
			len = from_hex(word[2], message);
			siglen = from_hex(word[3], sig);
			key = keycache_get(pem, strlen(pem), &error);
			got = key ? key_verify(key, algorithm, message, len, sig, siglen, &error) : KEY_ERROR;
			right = strcmp(word[0], got == KEY_VALID ? "valid" : got == KEY_INVALID ? "invalid" :
						   "error") == 0;
		}
		count++;
		if (!right)
		{
			wrong++;
			printf("# wrong: %s %.200s", word[0], line + start);
		}
	}
	fclose(file);
	if (!ok(count > 0 && wrong == 0, strrchr(path, '/') + 1))
		printf("# %d of %d are wrong\n", wrong, count);
}

static void
run_all_vectors(void)
{
	const char *directory = access("../vectors", R_OK) == 0 ? "../vectors" : "test/vectors";
	DIR		   *dir = opendir(directory);
	struct dirent *entry;
	char		path[512];
	int			files = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (strlen(entry->d_name) > 4 &&
			strcmp(entry->d_name + strlen(entry->d_name) - 4, ".txt") == 0)
		{
			snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
			run_vectors(path);
			files++;
		}
	if (dir != NULL)
		closedir(dir);
	ok(files > 0, "there are files of vectors");
}

int
main(void)
{
	run_all_vectors();
	return done_testing();
}
