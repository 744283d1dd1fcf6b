/*
 * The offline verifier, on a receipt and an export that a server made (evidence/): accepted as they
 * are, and with any byte changed, cut or added not.  What an alliance does is in
 * test/t/012_offline.pl.
 */
#include "bin/report.h"
#include "tap.h"

static char *
slurp(const char *path, size_t *len)
{
	FILE	   *file = fopen(path, "rb");
	char	   *text = calloc(1, 1 << 16);

	*len = file != NULL && text != NULL ? fread(text, 1, (1 << 16) - 1, file) : 0;
	if (file != NULL)
		fclose(file);
	return text;
}

static bool with_state = false;

static Verdict
verify(const char *text, size_t len, const Options *options)
{
	Derived		derived = {.state = true, .rejections = true, .as_of = INT64_MIN};
	Options		asked = *options;
	Input		input = {.file = fmemopen((void *) text, len, "rb")};
	CoreError	error = {0};
	json_t	   *result = json_object();
	Verdict		verdict;

	asked.derived = with_state ? &derived : NULL;
	verdict = report_verify(&input, &asked, result, &error);
	if (verdict != VERIFIED && error.message[0] == '\0')
		verdict = VERIFIED;		/* without a reason it fails the test */
	fclose(input.file);
	input_free(&input);
	json_decref(result);
	derived_free(&derived);
	return verdict;
}

static void
every_byte(const char *path, const Options *options)
{
	size_t		len;
	char	   *text = slurp(path, &len);
	int			accepted = 0;

	ok(len > 1000 && verify(text, len, options) == VERIFIED, path);
	for (size_t i = 0; i < len; i++)
	{
		char		kept = text[i];

		text[i] = (char) (kept ^ (i % 2 ? 0x01 : 0x20));
		accepted += verify(text, len, options) == VERIFIED;
		text[i] = kept;
	}
	is_number(accepted, 0, "it does not verify with any byte changed");
	for (size_t i = 1; i < len; i += 7)
		accepted += verify(text, i, options) == VERIFIED ||
			verify(text + i, len - i, options) == VERIFIED;
	is_number(accepted, 0, "nor cut anywhere");
	for (size_t i = 0; i <= len; i += 7)
	{
		char		next = text[len];

		memmove(text + i + 1, text + i, len - i);
		text[i] = " 0-x\n{"[i / 7 % 6];
		accepted += verify(text, len + 1, options) == VERIFIED;
		memmove(text + i, text + i + 1, len - i);
		text[len] = next;
	}
	is_number(accepted, 0, "nor with a byte more");
	free(text);
}

/* Several receipts: the worst verdict is that of all. */
static void
several_receipts(const char *path, const Options *options)
{
	size_t		len;
	char	   *text = slurp(path, &len);
	char	   *two = calloc(2, len + 1);
	char	   *digit;

	memcpy(two, text, len);
	memcpy(two + len, text, len);
	ok(verify(two, 2 * len, options) == VERIFIED, "two receipts verify, one a line");
	ok(verify(two, 2 * len - 1, options) == UNUSABLE, "a second line that is cut off is unusable");
	digit = strstr(two + len, "\"index\": ") + strlen("\"index\": ");
	*digit = *digit == '1' ? '2' : '1';
	ok(verify(two, 2 * len, options) == NOT_VERIFIED, "nor with another index in the second");
	two[len] = 'x';
	ok(verify(two, 2 * len, options) == UNUSABLE, "nor with a second that is no JSON");
	free(two);
	free(text);
}

/*
 * An alliance of a forger's: genesis and a renewal of trust anchors, both with his own CA, in one
 * block.  The user's anchors are others, and the renewal must not vouch for genesis.
 */
static void
forged_alliance(void)
{
	size_t		len;
	char	   *text = slurp("evidence/forged", &len);
	Options		his = {.anchors = slurp("evidence/forger.crt", &len)};
	Options		others = {.anchors = slurp("evidence/other-ca.crt", &len)};

	ok(verify(text, strlen(text), &his) == VERIFIED, "under its own CA an alliance verifies");
	ok(verify(text, strlen(text), &others) == NOT_VERIFIED,
	   "anchors that it renews do not vouch for its beginning");
	free(his.anchors);
	free(others.anchors);
	free(text);
}

int
main(void)
{
	size_t		len;
	Options		options = {.anchors = slurp("evidence/ca.crt", &len)};

	every_byte("evidence/receipt", &options);
	every_byte("evidence/export", &options);
	with_state = true;
	every_byte("evidence/export", &options);
	with_state = false;
	several_receipts("evidence/receipt", &options);
	forged_alliance();
	free(options.anchors);
	return done_testing();
}
