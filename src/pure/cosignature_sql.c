/*
 * cosignature_sql.c: verifier keys and cosignatures (C2SP signed-note, tlog-cosignature) in SQL.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/vkey.h"
#include "pure/pure.h"

#define COSIGNED_LATEST INT64CONST(9000000000000)	/* seconds since 1970: about as far as
													 * PostgreSQL's times go */

PG_FUNCTION_INFO_V1(medchain_vkey_text);

/* vkey_text(name text, public_key text, cosigner boolean) -> text */
Datum
medchain_vkey_text(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const Key  *key = pure_key(PG_GETARG_TEXT_PP(1));
	char		vkey[VKEY_MAX];
	CoreError	error = {0};

	if (!vkey_write(key, name, PG_GETARG_BOOL(2), vkey, &error))
		pure_error(&error, "An outside witness has an ed25519 key. medchain.rekey() gives the "
				   "member another one.");
	PG_RETURN_TEXT_P(cstring_to_text(vkey));
}

PG_FUNCTION_INFO_V1(medchain_cosigned);

/*
 * cosigned_at(note text, name text, public_key text, cosignature text) -> timestamptz: when that
 * key has cosigned it under that name by that signature line; null if it has not.
 */
Datum
medchain_cosigned(PG_FUNCTION_ARGS)
{
	text	   *note = PG_GETARG_TEXT_PP(0);
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	const Key  *key = pure_key(PG_GETARG_TEXT_PP(2));
	text	   *line = PG_GETARG_TEXT_PP(3);
	NoteSignature signature;
	size_t		textlen;
	int64_t		time;
	bool		is_theirs;
	CoreError	error = {0};

	if (!note_text_length(VARDATA_ANY(note), VARSIZE_ANY_EXHDR(note), &textlen, &error) ||
		!note_signature_read(VARDATA_ANY(line), VARSIZE_ANY_EXHDR(line), &signature))
		PG_RETURN_NULL();
	switch (cosignature_verify(VARDATA_ANY(note), textlen, name, key, &signature, &time,
							   &is_theirs, &error))
	{
		case KEY_VALID:
			break;
		case KEY_INVALID:
			PG_RETURN_NULL();
		case KEY_ERROR:
			pure_error(&error, NULL);
	}

	if (time > COSIGNED_LATEST)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(time_t_to_timestamptz((pg_time_t) time));
}
