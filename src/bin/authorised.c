/*
 * authorised.c: which accesses and changes in an export were covered by a protocol, by the rules.
 *
 * Protocols may stand behind what they cover, on another chain; so what has to be asked waits in a
 * temporary file until the whole export has been read.
 */
#include <string.h>

#include "authorised.h"

/* In front of each text in the file. */
typedef struct Spooled
{
	bool		is_leaf;
	bool		in_part;		/* other leaves of its set are not here */
	char		origin[ENTRY_NAME_MAX + 1];
	int64_t		seq;
	size_t		len;
} Spooled;

void
authorised_begin(Authorised *authorised)
{
	authorised->pool = pool_new();
	authorised->spool = tmpfile();
	authorised->failed = authorised->spool == NULL;
}

static void
authorised_write(Authorised *authorised, const Spooled *head, const void *data)
{
	if (!authorised->failed &&
		(fwrite(head, sizeof(*head), 1, authorised->spool) != 1 ||
		 fwrite(data, 1, head->len, authorised->spool) != head->len))
		authorised->failed = true;
}

void
authorised_entry(Authorised *authorised, const char *kind, const char *origin, int64_t seq,
				 const char *text, size_t len)
{
	Spooled		head = {.seq = seq, .len = len};

	if (!oversight_wants(kind) || strlen(origin) > ENTRY_NAME_MAX)
		return;
	strcpy(head.origin, origin);
	authorised_write(authorised, &head, text);
}

void
authorised_leaf(Authorised *authorised, const uint8_t leaf[OVERSIGHT_LEAF], bool in_part)
{
	Spooled		head = {.is_leaf = true, .in_part = in_part, .len = OVERSIGHT_LEAF};

	authorised_write(authorised, &head, leaf);
}

/* One that was not covered is kept. */
static void
authorised_take(Authorised *authorised, const OversightCase *found)
{
	OversightCase *kept;

	authorised->asked++;
	if (found->reason == NULL)
		return;
	authorised->cases = pool_grow(authorised->pool, authorised->cases, authorised->ncases,
								  sizeof(OversightCase));
	kept = &authorised->cases[authorised->ncases++];
	*kept = *found;
	kept->origin = pool_text(authorised->pool, found->origin);
	kept->kind = pool_text(authorised->pool, found->kind);
	kept->actor = pool_text(authorised->pool, found->actor);
	kept->operation = pool_text(authorised->pool, found->operation);
	kept->relation = pool_text(authorised->pool, found->relation);
}

void
authorised_end(Authorised *authorised, Rules *rules, int64_t until)
{
	Oversight  *oversight = oversight_new(rules);
	Pool	   *pool = pool_new();
	OversightCase found;
	Spooled		head;
	bool		awaits = false; /* leaves of the last access */

	if (!authorised->failed && fseeko(authorised->spool, 0, SEEK_SET) != 0)
		authorised->failed = true;
	while (!authorised->failed && fread(&head, sizeof(head), 1, authorised->spool) == 1)
	{
		char	   *data = pool_alloc(pool, head.len + 1);

		if (fread(data, 1, head.len, authorised->spool) != head.len)
			authorised->failed = true;
		else if (head.is_leaf)
		{
			if (oversight_leaf(oversight, (const uint8_t *) data, head.len, &found))
			{
				authorised_take(authorised, &found);
				if (awaits && !head.in_part)
				{
					authorised->sets--;
					awaits = false;
				}
			}
		}
		else if (oversight_entry(oversight, data, head.len, head.origin, head.seq, &found) &&
				 found.time <= until)
		{
			awaits = found.by_set;
			authorised->sets += awaits;
			if (!found.by_set)
				authorised_take(authorised, &found);
		}
		pool_reset(pool);
	}
	if (!authorised->failed && ferror(authorised->spool))
		authorised->failed = true;
	pool_free(pool);
	oversight_free(oversight);
}

void
authorised_free(Authorised *authorised)
{
	if (authorised->spool != NULL)
		fclose(authorised->spool);
	pool_free(authorised->pool);
}
