/*
 * Any bytes as an export or a receipt: whatever is accepted under their CA is a seed, to the byte.
 */
#include <string.h>

#include "bin/report.h"
#include "fuzz.h"

static char *
slurp(const char *path)
{
	FILE	   *file = fopen(path, "rb");
	char	   *text = calloc(1, 1 << 20);

	MUST(file != NULL && text != NULL && fread(text, 1, (1 << 20) - 1, file) > 0);
	fclose(file);
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Options options;
	static char *accepted[2];
	static const char export[] = "{\"type\": \"export\"";
	Derived		derived = {.state = true, .rejections = true, .as_of = INT64_MIN};
	Input		input = {0};
	CoreError	error = {0};
	json_t	   *result = json_object();
	Verdict		verdict;

	if (options.anchors == NULL)
	{
		options.anchors = slurp("../core/evidence/ca.crt");
		accepted[0] = slurp("seed_verify/export");
		accepted[1] = slurp("seed_verify/receipt");
	}
	input.file = size > 0 ? fmemopen((void *) data, size, "rb") : fopen("/dev/null", "rb");
	MUST(input.file != NULL && result != NULL);
	options.derived = size >= sizeof(export) && memcmp(data, export, sizeof(export) - 1) == 0 ?
		&derived : NULL;
	verdict = report_verify(&input, &options, result, &error);
	if (verdict == VERIFIED)
		MUST((size == strlen(accepted[0]) && memcmp(data, accepted[0], size) == 0) ||
			 (size == strlen(accepted[1]) && memcmp(data, accepted[1], size) == 0));
	else
		MUST(error.code != CORE_OK && error.message[0] != '\0');
	fclose(input.file);
	input_free(&input);
	json_decref(result);
	derived_free(&derived);
	return 0;
}
