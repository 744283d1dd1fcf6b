/*
 * row_subject.c: pseudonyms of subjects, and remembering the identities behind them, one by one or
 * a thousand at a time.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "ledger/pseudonym.h"
#include "node/shared.h"
#include "node/trusted.h"
#include "rows/row_subject.h"

#define SUBJECTS_BATCH 1000
#define SUBJECTS_KNOWN 100000	/* that a set keeps in mind; afterwards it begins anew */

/* Those that were asked for since the memory was last emptied. */
typedef struct KnownSubject
{
	const char *identity;		/* hash key */
	uint8_t		pseudonym[HASH_LEN];
	bool		remembered;
} KnownSubject;

struct RowSubjects
{
	MemoryContext context;
	MemoryContext memory;		/* of known, and of the texts in it */
	HTAB	   *known;
	int			nbatch;
	const KnownSubject *batch[SUBJECTS_BATCH];
};

void
row_subject_remember(const char *identity, const uint8_t pseudonym[HASH_LEN])
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {BYTEAOID, TEXTOID};
	Datum		values[2];
	TrustedScope scope;

	values[0] = trusted_bytea(pseudonym, HASH_LEN);
	values[1] = CStringGetTextDatum(identity);
	trusted_begin(&scope);
	trusted_execute(&plan, "INSERT INTO medchain.subject_identity (pseudonym, identity) VALUES "
					"($1, $2) "
					"ON CONFLICT (pseudonym) DO NOTHING", 2, types, values, NULL, false);
	if (SPI_processed > 0)
		shared_identities_changed();
	trusted_end(&scope);
}

PG_FUNCTION_INFO_V1(medchain_identities_changed);

/* identities_changed() -> void */
Datum
medchain_identities_changed(PG_FUNCTION_ARGS)
{
	shared_identities_changed();
	PG_RETURN_VOID();
}

static uint32
subjects_number(const void *key, Size keysize)
{
	const char *identity = *(const char *const *) key;

	return hash_bytes((const unsigned char *) identity, (int) strlen(identity));
}

static int
subjects_compare(const void *a, const void *b, Size keysize)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void
subjects_start(RowSubjects *subjects)
{
	HASHCTL		control = {0};

	subjects->memory = AllocSetContextCreate(subjects->context, "medchain row subjects",
											 ALLOCSET_DEFAULT_SIZES);
	control.keysize = sizeof(const char *);
	control.entrysize = sizeof(KnownSubject);
	control.hash = subjects_number;
	control.match = subjects_compare;
	control.hcxt = subjects->memory;
	subjects->known = hash_create("medchain row subjects", 256, &control,
								  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	subjects->nbatch = 0;
}

RowSubjects *
row_subjects_begin(MemoryContext context)
{
	RowSubjects *subjects = MemoryContextAllocZero(context, sizeof(RowSubjects));

	subjects->context = context;
	subjects_start(subjects);
	return subjects;
}

void
row_subjects_remember(RowSubjects *subjects)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {BYTEAARRAYOID, TEXTARRAYOID};
	Datum		values[2];
	Datum	   *pseudonyms;
	Datum	   *identities;
	TrustedScope scope;

	if (subjects->nbatch == 0)
		return;
	trusted_begin(&scope);
	pseudonyms = palloc(sizeof(Datum) * (size_t) subjects->nbatch);
	identities = palloc(sizeof(Datum) * (size_t) subjects->nbatch);
	for (int i = 0; i < subjects->nbatch; i++)
	{
		pseudonyms[i] = trusted_bytea(subjects->batch[i]->pseudonym, HASH_LEN);
		identities[i] = CStringGetTextDatum(subjects->batch[i]->identity);
	}
	values[0] = PointerGetDatum(construct_array(pseudonyms, subjects->nbatch, BYTEAOID, -1, false,
												TYPALIGN_INT));
	values[1] = PointerGetDatum(construct_array(identities, subjects->nbatch, TEXTOID, -1, false,
												TYPALIGN_INT));
	trusted_execute(&plan, "INSERT INTO medchain.subject_identity (pseudonym, identity) "
					"SELECT u.pseudonym, u.identity FROM unnest($1, $2) u (pseudonym, identity) "
					"WHERE NOT EXISTS (SELECT FROM medchain.subject_identity s "
					"WHERE s.pseudonym = u.pseudonym) "
	/* in one order, whatever that of the rows: others wait for us, and we may for them */
					"ORDER BY u.pseudonym "
					"ON CONFLICT (pseudonym) DO NOTHING", 2, types, values, NULL, false);
	if (SPI_processed > 0)
		shared_identities_changed();
	trusted_end(&scope);
}

static KnownSubject *
subjects_find(RowSubjects *subjects, const char *identity)
{
	KnownSubject *subject = hash_search(subjects->known, &identity, HASH_FIND, NULL);
	bool		found;
	uint8_t		pseudonym[HASH_LEN];
	const char *copy;

	if (subject != NULL)
		return subject;
	if (hash_get_num_entries(subjects->known) >= SUBJECTS_KNOWN)
	{
		row_subjects_remember(subjects);
		MemoryContextDelete(subjects->memory);
		subjects_start(subjects);
	}
	/* what can fail comes first: the table never has a key that is not there */
	pseudonym_of(identity, strlen(identity), pseudonym);
	copy = MemoryContextStrdup(subjects->memory, identity);
	subject = hash_search(subjects->known, &copy, HASH_ENTER, &found);
	memcpy(subject->pseudonym, pseudonym, HASH_LEN);
	subject->remembered = false;
	return subject;
}

const uint8_t *
row_subjects_pseudonym(RowSubjects *subjects, const char *identity, bool is_new)
{
	KnownSubject *subject = subjects_find(subjects, identity);

	if (is_new && !subject->remembered)
	{
		subject->remembered = true;
		subjects->batch[subjects->nbatch++] = subject;
		if (subjects->nbatch == SUBJECTS_BATCH)
		{
			row_subjects_remember(subjects);
			subjects->nbatch = 0;
		}
	}
	return subject->pseudonym;
}
