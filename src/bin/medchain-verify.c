/*
 * medchain-verify.c: the offline verifier: its arguments.
 *
 * It knows OpenSSL, JSON, src/core and src/rules, and nothing of PostgreSQL: what it says
 * does not depend on any database's word.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "report.h"

#define ENTRY_FILE_MAX (JSON_TEXT_MAX + 1)	/* an entry, and a newline behind it */

static const char help[] =
"medchain-verify checks what a medchain ledger exported, without trusting the database it came "
"from.\n"
"\n"
"Usage:\n"
"  medchain-verify [OPTION]... [FILE]\n"
"\n"
"FILE is the output of medchain.export(), or of medchain.receipt() and medchain.row_proof(), one "
"receipt a line;\n"
"or a C2SP tlog-proof, of medchain.proof() or of any other log, or a checkpoint; standard input "
"without it.\n"
"\n"
"Options:\n"
"  -a, --anchors=FILE      trust anchors (PEM) that the members' certificates must lead to; for an "
"export, without\n"
"                          them, those of its genesis block are taken, which proves less\n"
"  -c, --checkpoint=FILE   a checkpoint of one of the chains that was kept elsewhere: the export "
"must contain it,\n"
"                          a receipt be of it; may be given more than once\n"
"  -o, --other=FILE        another export, of another member's database: blocks that are in both "
"must be the same\n"
"  -p, --policy=FILE       a C2SP tlog-policy: the logs whose tlog-proofs and checkpoints are "
"believed, and the\n"
"                          witnesses that must have cosigned them\n"
"  -k, --vkey=KEY          instead of a policy, the verifier key of a log or of a witness; may be "
"given more than once\n"
"  -Q, --quorum=NUMBER     so many witnesses must have cosigned, whatever the policy says; of an "
"export, a block of\n"
"                          each chain\n"
"  -e, --entry=FILE        the entry that a tlog-proof is about: its payload, byte by byte\n"
"  -j, --json              write the result as one JSON object (see the manual, "
"medchain-verify(1))\n"
"  -s, --state             of an export, show the state that follows from it: members, contracts, "
"keys, certificates,\n"
"                          what is excluded, protocols with grants and data index, examinees' "
"keys\n"
"  -r, --rejections        of an export, show the entries that have no effect, with the reason\n"
"  -A, --authorised        of an export, show the accesses to records, and changes of them, that "
"no protocol\n"
"                          covered; exit status 1 if there are any\n"
"  -t, --as-of=TIME        --state, --rejections or --authorised as of then: by what had been "
"sealed, and as was valid; else\n"
"                          as of the newest block; like 2026-01-31T23:59:59Z, with or without a "
"fraction\n"
"  -n, --node=MEMBER       with the login roles that are bound to members in this member's "
"database\n"
"  -q, --quiet             show no progress; it is shown when standard error is a terminal\n"
"  -h, --help              show this help\n"
"  -V, --version           show the version of this program, and of OpenSSL\n"
"\n"
"Exit status: 0 verified, 1 not verified, 2 the input cannot be used.\n";

/* A whole file, terminated; exits with 2 if it can't be read. */
static char *
main_read_file(const char *path, size_t max, size_t *len)
{
	FILE	   *file = fopen(path, "rb");
	char	   *data = malloc(max + 2);

	if (file == NULL || data == NULL)
	{
		fprintf(stderr, "medchain-verify: could not open \"%s\": %s\n", path, strerror(errno));
		exit(UNUSABLE);
	}
	*len = fread(data, 1, max + 1, file);
	if (ferror(file) || *len > max)
	{
		fprintf(stderr, "medchain-verify: could not read \"%s\", or it is too long\n", path);
		exit(UNUSABLE);
	}
	fclose(file);
	data[*len] = '\0';
	return data;
}

/*
 * Trust anchors; exits with 2 if there is none in the file, as then nothing could be said of any
 * evidence.
 */
static char *
main_read_anchors(const char *path)
{
	size_t		len;
	char	   *anchors = main_read_file(path, CERTIFICATE_MAX, &len);
	CertificateInfo first;
	CoreError	error = {0};
	char		problem[CORE_TEXT_LEN];

	if (!certificate_info(anchors, len, &first, &error))
	{
		error_text(&error, problem);
		fprintf(stderr, "medchain-verify: trust anchors in \"%s\": %s\n", path, problem);
		exit(UNUSABLE);
	}
	return anchors;
}

static void
main_add_checkpoint(Options *options, const char *path)
{
	size_t		len;
	char	   *note = main_read_file(path, CERTIFICATE_MAX, &len);

	/* psql ends what it prints with a newline of its own */
	while (len > 1 && note[len - 2] == '\n' && note[len - 1] == '\n')
		len--;
	options->checkpoints = realloc(options->checkpoints,
							sizeof(*options->checkpoints) * (size_t) (options->ncheckpoints + 1));
	if (options->checkpoints == NULL)
	{
		fputs("medchain-verify: out of memory\n", stderr);
		exit(UNUSABLE);
	}
	options->checkpoints[options->ncheckpoints].note = note;
	options->checkpoints[options->ncheckpoints++].len = len;
}

/* Exits with 2, and what is wrong with it. */
static void
main_refuse(const char *what, const CoreError *error)
{
	char		problem[CORE_TEXT_LEN];

	error_text(error, problem);
	fprintf(stderr, "medchain-verify: %s: %s\n", what, problem);
	exit(UNUSABLE);
}

static TlogPolicy *
main_read_policy(const char *path)
{
	size_t		len;
	char	   *text = main_read_file(path, TLOG_POLICY_MAX, &len);
	CoreError	error = {0};
	TlogPolicy *policy = tlog_policy_read(text, len, &error);

	if (policy == NULL)
		main_refuse(path, &error);
	free(text);
	return policy;
}

/* A log's verifier key, or a witness'; all of these have to have cosigned, unless it is said. */
static void
main_add_vkey(Options *options, const char *text, int *witnesses)
{
	CoreError	error = {0};
	Vkey		vkey;

	if (options->policy == NULL)
		options->policy = tlog_policy_new();
	if (options->policy == NULL || !vkey_read(text, strlen(text), &vkey, &error))
		main_refuse("verifier key", &error);
	key_free(vkey.key);
	*witnesses += vkey.type == COSIGNATURE_TYPE;
	if (vkey.type == COSIGNATURE_TYPE ?
		!tlog_policy_add_witness(options->policy, vkey.name, strlen(vkey.name), text,
								 strlen(text), &error) :
		!tlog_policy_add_log(options->policy, text, strlen(text), &error))
		main_refuse("verifier key", &error);
}

static int
main_quorum(const char *text)
{
	char	   *end;
	long		number = strtol(text, &end, 10);

	if (end == text || *end != '\0' || number < 0 || number > TLOG_POLICY_NAMES_MAX)
	{
		fprintf(stderr, "medchain-verify: \"%s\" is no number of witnesses\n", text);
		exit(UNUSABLE);
	}
	return (int) number;
}

/*
 * The date and the time of day, in the ledger's spelling, and then the fraction and the zone: at
 * most microseconds, and at most a day.
 */
static bool
main_read_time(const char *text, int64_t *time)
{
	char		spelled[ENTRY_TIME_LEN + 1] = "0000-00-00T00:00:00.000000Z";
	const char *at = text + 19;
	long		offset = 0;
	int			hours;
	int			minutes;
	int			read = 0;

	if (strlen(text) < 20)
		return false;
	memcpy(spelled, text, 19);
	if (text[10] == 't' || text[10] == ' ')
		spelled[10] = 'T';
	if (*at == '.')
	{
		size_t		digits = strspn(at + 1, "0123456789");

		if (digits < 1 || digits > 9)
			return false;
		memcpy(spelled + 20, at + 1, digits < 6 ? digits : 6);
		at += digits + 1;
	}
	if (strcmp(at, "Z") != 0 && strcmp(at, "z") != 0)
	{
		if ((*at != '+' && *at != '-') || strspn(at + 1, "0123456789:") != 5 ||
			sscanf(at + 1, "%2d:%2d%n", &hours, &minutes, &read) != 2 || read != 5 ||
			at[6] != '\0' || hours > 23 || minutes > 59)
			return false;
		offset = (*at == '-' ? -1 : 1) * (hours * 60L + minutes) * 60;
	}
	if (!period_time(spelled, time))
		return false;
	*time -= offset * PERIOD_SECOND;
	return true;
}

/*
 * A time in RFC 3339's spelling, with whatever fraction and zone; exits with 2 if it is none.
 */
static int64_t
main_time(const char *text)
{
	int64_t		time;

	if (!main_read_time(text, &time))
	{
		fprintf(stderr, "medchain-verify: \"%s\" is no time like 2026-01-31T23:59:59Z\n", text);
		exit(UNUSABLE);
	}
	return time;
}

int
main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"anchors", required_argument, NULL, 'a'},
		{"checkpoint", required_argument, NULL, 'c'},
		{"other", required_argument, NULL, 'o'},
		{"policy", required_argument, NULL, 'p'},
		{"vkey", required_argument, NULL, 'k'},
		{"quorum", required_argument, NULL, 'Q'},
		{"entry", required_argument, NULL, 'e'},
		{"json", no_argument, NULL, 'j'},
		{"state", no_argument, NULL, 's'},
		{"rejections", no_argument, NULL, 'r'},
		{"authorised", no_argument, NULL, 'A'},
		{"as-of", required_argument, NULL, 't'},
		{"node", required_argument, NULL, 'n'},
		{"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0}
	};
	Options		options = {.progress = isatty(STDERR_FILENO), .quorum = -1};
	bool		has_vkeys = false;
	int			witnesses = 0;	/* whose verifier keys are given */
	Derived		derived = {.as_of = INT64_MIN};
	Authorised	authorised = {0};
	Input		input = {.file = stdin};
	CoreError	error = {0};
	json_t	   *result;
	int			option;
	Verdict		verdict;

	while ((option = getopt_long(argc, argv, "a:c:o:p:k:Q:e:jsrAt:n:qhV", long_options,
								 NULL)) != -1)
		switch (option)
		{
			case 'a':
				options.anchors = main_read_anchors(optarg);
				break;
			case 'c':
				main_add_checkpoint(&options, optarg);
				break;
			case 'o':
				options.other = optarg;
				break;
			case 'p':
				if (options.policy != NULL)
				{
					fputs("medchain-verify: one policy, or verifier keys\n", stderr);
					return UNUSABLE;
				}
				options.policy = main_read_policy(optarg);
				break;
			case 'k':
				if (options.policy != NULL && !has_vkeys)
				{
					fputs("medchain-verify: one policy, or verifier keys\n", stderr);
					return UNUSABLE;
				}
				has_vkeys = true;
				main_add_vkey(&options, optarg, &witnesses);
				break;
			case 'Q':
				options.quorum = main_quorum(optarg);
				break;
			case 'e':
				free(options.entry);
				options.entry = main_read_file(optarg, ENTRY_FILE_MAX, &options.entry_len);
				break;
			case 'j':
				options.json = true;
				break;
			case 's':
				derived.state = true;
				break;
			case 'r':
				derived.rejections = true;
				break;
			case 'A':
				derived.authorised = &authorised;
				break;
			case 't':
				derived.as_of = main_time(optarg);
				derived.as_of_given = true;
				break;
			case 'n':
				derived.node = optarg;
				break;
			case 'q':
				options.progress = false;
				break;
			case 'h':
				fputs(help, stdout);
				return 0;
			case 'V':
				printf("medchain-verify %s (%s)\n", MEDCHAIN_VERSION,
					   OpenSSL_version(OPENSSL_VERSION));
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
		fprintf(stderr, "medchain-verify: could not open \"%s\": %s\n", argv[optind],
				strerror(errno));
		return UNUSABLE;
	}
	if (has_vkeys && options.quorum < 0)
		options.quorum = witnesses;
	derived.state = derived.state || derived.node != NULL ||
		(derived.as_of_given && !derived.rejections && derived.authorised == NULL);
	if (derived.authorised != NULL)
		authorised_begin(&authorised);
	if (derived.state || derived.rejections || derived.authorised != NULL)
		options.derived = &derived;
	result = json_object();
	verdict = report_verify(&input, &options, result, &error);
	report_write(verdict, result, &error, &options);
	if (verdict == VERIFIED && authorised.ncases > 0)
		verdict = NOT_VERIFIED;
	derived_free(&derived);
	authorised_free(&authorised);
	input_free(&input);
	json_decref(result);
	free(options.anchors);
	free(options.entry);
	tlog_policy_free(options.policy);
	for (int i = 0; i < options.ncheckpoints; i++)
		free(options.checkpoints[i].note);
	free(options.checkpoints);
	return verdict;
}
