/*
 * node_store_stream.c: claims that are read one after the other, and not kept.
 *
 * The rules may be in the middle of several such readings at once, and judge claims meanwhile,
 * which are judged in what was read ahead as well.
 */
#include "postgres.h"

#include "alliance/node_store_internal.h"

#define STREAM_FIRST 16			/* claims that are read at first, and then */
#define STREAM_NEXT 256

static bool
stream_same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
stream_is(const ClaimStream *stream, const ClaimQuery *query)
{
	const ClaimQuery *known = &stream->query;

	return stream->pool != NULL && known->kinds == query->kinds &&
		stream_same_text(known->origin, query->origin) &&
		(query->origin == NULL || (known->first == query->first && known->last == query->last)) &&
		stream_same_text(known->about, query->about) &&
		(known->subject == NULL) == (query->subject == NULL) &&
		(query->subject == NULL || memcmp(known->subject, query->subject, HASH_LEN) == 0);
}

static int
stream_order(const char *origin, int64 seq, const Claim *claim)
{
	int			order = strcmp(origin, claim->origin);

	return order != 0 ? order : seq < claim->seq ? -1 : seq > claim->seq;
}

/* The place of the first claim in it that does not come before that one. */
static size_t
stream_position(const ClaimStream *stream, const char *origin, int64 seq)
{
	size_t		low = 0;
	size_t		high = stream->count;

	while (low < high)
	{
		size_t		middle = (low + high) / 2;

		if (stream_order(origin, seq, &stream->items[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

Claim *
stream_find(const ClaimStream *stream, const char *origin, int64 seq)
{
	size_t		position = stream->pool != NULL ? stream_position(stream, origin, seq) : 0;

	return stream->pool != NULL && position < stream->count &&
		stream_order(origin, seq, &stream->items[position]) == 0 ?
		&stream->items[position] : NULL;
}

/* The stream of that query, or one that was not used for longest. */
static ClaimStream *
stream_of(NodeStore *store, const ClaimQuery *query)
{
	ClaimStream *oldest = &store->streams[0];

	for (int i = 0; i < STREAMS; i++)
	{
		if (stream_is(&store->streams[i], query))
			return &store->streams[i];
		if (store->streams[i].pool == NULL ||
			(oldest->pool != NULL && store->streams[i].used < oldest->used))
			oldest = &store->streams[i];
	}
	return oldest;
}

static void
stream_read(NodeStore *store, ClaimStream *stream, const ClaimQuery *query, const Claim *after)
{
	Pool	   *pool = pool_new();
	int			limit = after == NULL ? STREAM_FIRST : STREAM_NEXT;

	store_flush(store);
	store_read(store, query, after, limit, pool, &stream->items, &stream->count);
	stream->complete = stream->count < (size_t) limit;
	stream->query = *query;
	stream->query.origin = pool_text(pool, query->origin);
	stream->query.about = pool_text(pool, query->about);
	if (query->subject != NULL)
		stream->query.subject = (const uint8_t *) pool_copy(pool, query->subject, HASH_LEN);
	pool_free(stream->pool);
	stream->pool = pool;
}

bool
stream_next(NodeStore *store, const ClaimQuery *query, const Claim *after, Claim *claim)
{
	ClaimStream *stream = stream_of(store, query);
	Claim	   *place = NULL;
	size_t		next = 0;

	if (after != NULL && stream_is(stream, query))
		place = stream_find(stream, after->origin, after->seq);
	if (place != NULL)
		next = (size_t) (place - stream->items) + 1;
	else
		stream_read(store, stream, query, after);
	stream->used = ++store->clock;
	for (;;)
	{
		for (; next < stream->count; next++)
			if (!query->effective || stream->items[next].effective)
			{
				*claim = stream->items[next];
				return true;
			}
		if (stream->complete)
			return false;
		/* what is behind the last one */
		{
			Claim		last = stream->items[stream->count - 1];
			Pool	   *pool = stream->pool;

			stream->pool = NULL;
			stream_read(store, stream, query, &last);
			pool_free(pool);
			next = 0;
		}
	}
}
