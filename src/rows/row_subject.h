/*
 * row_subject.h: the pseudonyms of rows' subjects, and which identities they stand for: what fills
 * medchain.subject_identity.
 */
#ifndef MEDCHAIN_ROWS_ROW_SUBJECT_H
#define MEDCHAIN_ROWS_ROW_SUBJECT_H

#include "postgres.h"

#include "core/hash.h"

/* One of them. */
extern void row_subject_remember(const char *identity, const uint8_t pseudonym[HASH_LEN]);

/* Those of many rows, each once, and many at a time. */
typedef struct RowSubjects RowSubjects;

/* In that context, and a subtransaction that it does not outlive. */
extern RowSubjects *row_subjects_begin(MemoryContext context);

/* The pseudonym, until the next call; is_new: what it stands for is to be remembered. */
extern const uint8_t *row_subjects_pseudonym(RowSubjects *subjects, const char *identity,
											 bool is_new);

/* What is to be remembered is so now; and again with the next call, if this one is rolled back. */
extern void row_subjects_remember(RowSubjects *subjects);

#endif
