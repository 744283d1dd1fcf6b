/* Any bytes as an entry: what is taken has the form that is promised; stricter rules take less. */
#include "core/encode.h"
#include "fuzz.h"
#include "rules/entry.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	Entry		entry;
	CoreError	error = {0};
	bool		fine = entry_read(text, size, &entry, &error);

	if (!fine)
		MUST(error.message[0] != '\0');
	else
	{
		MUST(encode_is_utf8(text, size));
		MUST(entry_kind_valid(entry.kind) && entry_name_valid(entry.origin));
		MUST(entry.body >= text && entry.body + entry.body_len <= text + size);
		MUST(entry_read_old(text, size, &entry, NULL));
	}
	if (json_text_object(text, size, JSON_TEXT_STRICT, NULL, NULL, NULL))
		MUST(json_text_object(text, size, JSON_TEXT_UNIQUE, NULL, NULL, NULL));
	if (json_text_object(text, size, JSON_TEXT_UNIQUE, NULL, NULL, NULL))
		MUST(json_text_object(text, size, JSON_TEXT_READABLE, NULL, NULL, NULL));
	return 0;
}
