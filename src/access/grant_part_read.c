/*
 * grant_part_read.c: what a grant of some records says (see grant_part_read.h).
 *
 * What somebody has put on the ledger is read here, so it may be anything; the rules have seen that
 * it is JSON.
 */
#include "postgres.h"

#include "access/grant_part_read.h"
#include "rules/json_slice.h"

static char *
part_text(Pool *pool, JsonSlice value)
{
	return json_slice_type(value) == JSON_SLICE_STRING ? pstrdup(json_slice_text(pool, value)) :
		NULL;
}

/* NULL: a column has no such value. */
static PartKey *
part_read_key(Pool *pool, const char *column, JsonSlice value)
{
	PartKey    *key = palloc0(sizeof(PartKey));

	switch (json_slice_type(value))
	{
		case JSON_SLICE_NULL:
			key->kind = PART_NULL;
			break;
		case JSON_SLICE_BOOLEAN:
			key->kind = PART_BOOLEAN;
			break;
		case JSON_SLICE_NUMBER:
			key->kind = PART_NUMBER;
			break;
		case JSON_SLICE_STRING:
			key->kind = PART_STRING;
			break;
		default:
			return NULL;
	}
	key->column = pstrdup(column);
	key->text = key->kind == PART_NULL ? NULL : pstrdup(json_slice_text(pool, value));
	return key;
}

static bool
part_read_keys(Pool *pool, JsonSlice object, Part *part)
{
	JsonSliceStep step = {0};
	const char *column;
	JsonSlice	value;

	if (json_slice_type(object) != JSON_SLICE_OBJECT)
		return false;
	while (json_slice_next(object, &step, &column, &value))
		part->keys = lappend(part->keys, part_read_key(pool, column, value));
	return part->keys != NIL && !list_member_ptr(part->keys, NULL);
}

static bool
part_read_columns(Pool *pool, JsonSlice array, Part *part)
{
	JsonSliceStep step = {0};
	JsonSlice	item;

	if (json_slice_type(array) != JSON_SLICE_ARRAY)
		return false;
	part->all_columns = false;
	while (json_slice_next(array, &step, NULL, &item))
		part->columns = lappend(part->columns, part_text(pool, item));
	return !list_member_ptr(part->columns, NULL);
}

static bool
part_read_object(Pool *pool, JsonSlice object, Part *part)
{
	JsonSliceStep step = {0};
	const char *name;
	JsonSlice	value;

	if (json_slice_type(object) != JSON_SLICE_OBJECT)
		return false;
	while (json_slice_next(object, &step, &name, &value))
	{
		bool		known;

		if (strcmp(name, "relation") == 0)
			known = (part->relation = part_text(pool, value)) != NULL;
		else if (strcmp(name, "holder") == 0)
			known = (part->holder = part_text(pool, value)) != NULL;
		else if (strcmp(name, "key") == 0)
			known = part_read_keys(pool, value, part);
		else if (strcmp(name, "columns") == 0)
			known = part_read_columns(pool, value, part);
		else
			known = false;
		if (!known)
			return false;
	}
	return part->relation != NULL;
}

bool
part_read(const char *text, Part *part)
{
	Pool	   *pool = pool_new();
	bool		known = false;

	memset(part, 0, sizeof(Part));
	part->all_columns = true;
	PG_TRY();
	{
		known = part_read_object(pool, json_slice_read(pool, text, strlen(text), JSON_TEXT_UNIQUE),
								 part);
	}
	PG_FINALLY();
	{
		pool_free(pool);
	}
	PG_END_TRY();
	return known;
}

char *
grant_part_of(const char *relation)
{
	return psprintf("\001%s", relation);
}

char *
grant_part_name(const char *text)
{
	Part		part;

	return part_read(text, &part) ? grant_part_of(part.relation) : NULL;
}
