/* Any bytes as a public key, and as a signature. */
#include "core/key.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CoreError	error = {0};
	Key		   *key = key_from_pem((const char *) data, size, &error);

	if (key == NULL)
	{
		MUST(error.code != CORE_OK && error.message[0] != '\0');
		return 0;
	}
	MUST(key_verify(key, KEY_DEFAULT, data, size, data, size < KEY_SIGNATURE_MAX ? size :
					KEY_SIGNATURE_MAX, &error) != KEY_VALID);
	{
		char	   *pem = key_to_pem(key, &error);
		Key		   *again = key_from_pem(pem, strlen(pem), &error);

		MUST(again != NULL && key_same(key, again));
		key_free(again);
		key_free_text(pem);
	}
	key_free(key);
	return 0;
}
