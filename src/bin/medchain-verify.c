/*
 * medchain-verify.c: the offline verifier: arguments, input, and what comes out.
 *
 * It knows OpenSSL, JSON and src/core, and nothing of PostgreSQL: what it says
 * does not depend on any database's word.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

static const char help[] =
"medchain-verify checks what a medchain ledger exported, without trusting the database it came from.\n"
"\n"
"Usage:\n"
"  medchain-verify [OPTION]... [FILE]\n"
"\n"
"FILE is the output of medchain.export(), or a receipt by medchain.receipt(); standard input without it.\n"
"\n"
"Options:\n"
"  -a, --anchors=FILE      trust anchors (PEM) that the members' certificates must lead to; for an export, without\n"
"                          them, those of its genesis block are taken, which proves less\n"
"  -c, --checkpoint=FILE   a checkpoint of one of the chains that was kept elsewhere: the export must contain it\n"
"  -j, --json              write the result as one JSON object\n"
"  -q, --quiet             show no progress\n"
"  -h, --help              show this help\n"
"\n"
"Exit status: 0 verified, 1 not verified, 2 the input cannot be used.\n";

/* A whole file, terminated; exits with 2 if it can't be read. */
static char *
main_read_file(const char *path, size_t *len)
{
	FILE	   *file = fopen(path, "rb");
	char	   *data = malloc(CERTIFICATE_MAX + 2);

	if (file == NULL || data == NULL)
	{
		fprintf(stderr, "medchain-verify: could not open \"%s\": %s\n", path, strerror(errno));
		exit(UNUSABLE);
	}
	*len = fread(data, 1, CERTIFICATE_MAX + 1, file);
	if (ferror(file) || *len > CERTIFICATE_MAX)
	{
		fprintf(stderr, "medchain-verify: could not read \"%s\", or it is too long\n", path);
		exit(UNUSABLE);
	}
	fclose(file);
	data[*len] = '\0';
	return data;
}

static void
main_report(Verdict verdict, json_t *result, const CoreError *error, bool json)
{
	static const char *const words[] = {"verified", "not verified", "unusable"};
	json_t	   *chains = json_object_get(result, "chains");
	size_t		i;
	json_t	   *chain;

	json_object_set_new(result, "verdict", json_string(words[verdict]));
	if (verdict != VERIFIED && json_object_get(result, "fault") == NULL)
		json_object_set_new(result, "fault", json_string(error->message));
	if (json)
	{
		json_dumpf(result, stdout, JSON_SORT_KEYS);
		putchar('\n');
		return;
	}
	json_array_foreach(chains, i, chain)
		printf("%s: %lld blocks, %lld entries, head %s\n", json_string_value(json_object_get(chain, "origin")),
			   (long long) json_integer_value(json_object_get(chain, "blocks")),
			   (long long) json_integer_value(json_object_get(chain, "entries")),
			   json_string_value(json_object_get(chain, "head")));
	if (json_object_get(result, "index") != NULL && verdict == VERIFIED)
		printf("entry %lld of \"%s\" is in the tree of %lld entries that was sealed %s\n",
			   (long long) json_integer_value(json_object_get(result, "index")), json_string_value(json_object_get(result, "origin")),
			   (long long) json_integer_value(json_object_get(result, "tree_size")), json_string_value(json_object_get(result, "sealed")));
	if (verdict == VERIFIED && chains != NULL)
		printf("trust anchors: %s\n", json_string_value(json_object_get(result, "trust_anchors")));
	if (verdict != VERIFIED && json_object_get(result, "where") != NULL)
		printf("%s, %s: ", json_string_value(json_object_get(result, "chain")), json_string_value(json_object_get(result, "where")));
	if (verdict != VERIFIED)
		printf("%s\n", json_string_value(json_object_get(result, "fault")));
	printf("%s\n", words[verdict]);
}

/* The first line says what the input is. */
static Verdict
main_verify(Input *input, const Options *options, json_t *result, CoreError *error)
{
	json_t	   *first = input_next(input, error);
	const char *type;
	Verdict		verdict = UNUSABLE;

	if (first == NULL)
	{
		if (error->code == CORE_OK)
			error_set(error, CORE_MALFORMED, "there is no input");
		return UNUSABLE;
	}
	if (!input_string(first, "type", &type, NULL, error))
		;
	else if (strcmp(type, "export") == 0)
		verdict = verify_export(input, first, options, result, error);
	else if (strcmp(type, "receipt") == 0)
	{
		verdict = verify_receipt(first, options, result, error);
		if (verdict == VERIFIED && fgetc(input->file) != EOF)
		{
			error_set(error, CORE_MALFORMED, "something follows the receipt");
			verdict = UNUSABLE;
		}
	}
	else
		error_set(error, CORE_MALFORMED, "the input is neither an export nor a receipt");
	json_decref(first);
	return verdict;
}

int
main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"anchors", required_argument, NULL, 'a'},
		{"checkpoint", required_argument, NULL, 'c'},
		{"json", no_argument, NULL, 'j'},
		{"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}
	};
	Options		options = {.progress = isatty(STDERR_FILENO)};
	Input		input = {.file = stdin};
	CoreError	error = {0};
	json_t	   *result = json_object();
	size_t		len;
	int			option;
	Verdict		verdict;

	while ((option = getopt_long(argc, argv, "a:c:jqh", long_options, NULL)) != -1)
		switch (option)
		{
			case 'a':
				options.anchors = main_read_file(optarg, &len);
				break;
			case 'c':
				options.checkpoint = main_read_file(optarg, &options.checkpoint_len);
				/* psql ends what it prints with a newline of its own */
				while (options.checkpoint_len > 1 && options.checkpoint[options.checkpoint_len - 2] == '\n' &&
					   options.checkpoint[options.checkpoint_len - 1] == '\n')
					options.checkpoint_len--;
				break;
			case 'j':
				options.json = true;
				break;
			case 'q':
				options.progress = false;
				break;
			case 'h':
				fputs(help, stdout);
				return 0;
			default:
				fputs("Try \"medchain-verify --help\".\n", stderr);
				return UNUSABLE;
		}
	if (argc - optind > 1)
	{
		fputs("medchain-verify: one file at a time\nTry \"medchain-verify --help\".\n", stderr);
		return UNUSABLE;
	}
	if (optind < argc && (input.file = fopen(argv[optind], "rb")) == NULL)
	{
		fprintf(stderr, "medchain-verify: could not open \"%s\": %s\n", argv[optind], strerror(errno));
		return UNUSABLE;
	}
	verdict = main_verify(&input, &options, result, &error);
	main_report(verdict, result, &error, options.json);
	input_free(&input);
	json_decref(result);
	free(options.anchors);
	free(options.checkpoint);
	return verdict;
}
