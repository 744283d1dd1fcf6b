/*
 * block_kinds.c: how many entries of each kind a block has, and which of them everybody takes.
 */
#include <stdlib.h>
#include <string.h>

#include "core/block.h"
#include "rules/block_kinds.h"
#include "rules/claim.h"
#include "rules/entry.h"
#include "rules/json_slice.h"

bool
block_kind_is_governance(const char *kind)
{
	ClaimKind	claim;

	return claim_kind_from_name(kind, &claim) || strcmp(kind, "witness") == 0;
}

bool
block_kinds_count(const char *text, size_t len, BlockKindWanted wanted, void *arg, int64_t *count,
				  int64_t *all)
{
	Pool	   *pool = pool_new();
	JsonSlice	object = json_slice_read(pool, text, len, JSON_TEXT_STRICT);
	JsonSliceStep step = {0};
	JsonSlice	value;
	const char *name;
	bool		fine = len <= BLOCK_KINDS_MAX &&
	json_slice_type(object) == JSON_SLICE_OBJECT;

	*count = 0;
	*all = 0;
	while (fine && json_slice_next(object, &step, &name, &value))
	{
		char	   *number = json_slice_type(value) == JSON_SLICE_NUMBER ?
		json_slice_text(pool, value) : NULL;

		fine = number != NULL && strlen(number) <= 8 && *all <= BLOCK_ENTRIES_MAX &&
			strspn(number, "0123456789") == strlen(number) && entry_kind_valid(name);
		if (fine)
		{
			*all += atoi(number);
			if (wanted(name, arg))
				*count += atoi(number);
		}
	}
	pool_free(pool);
	return fine;
}
