/* Any bytes as a signed note; a block header that parses is written back as it was. */
#include "core/note.h"
#include "fuzz.h"

static const char pem[] =
"-----BEGIN PUBLIC KEY-----\n"
"MCowBQYDK2VwAyEAGlzZBxQ8OExB6DDFvOEqqIF+xWSaqr8sMTiLNbLXRNY=\n-----END PUBLIC KEY-----\n";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Key *key = NULL;
	NoteBlock	block;
	CoreError	error = {0};
	char		text[NOTE_TEXT_MAX];
	size_t		textlen;

	if (key == NULL)
		key = key_from_pem(pem, strlen(pem), &error);
	if (note_parse_block((const char *) data, size, &block, &error))
	{
		MUST(note_text_length((const char *) data, size, &textlen, &error));
		MUST(note_format_block(&block, text) == textlen);
		MUST(memcmp(text, data, textlen) == 0);
	}
	else
		MUST(error.message[0] != '\0');
	MUST(note_verify((const char *) data, size, NULL, key, &error) != KEY_VALID ||
		 memmem(data, size, "x08go/", 6) != NULL);
	return 0;
}
