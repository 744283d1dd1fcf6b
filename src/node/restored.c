/*
 * restored.c: knowing that the data directory was restored from a backup (see restored.h).
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/fd.h"

#include "core/encode.h"
#include "node/restored.h"

static char id[RESTORED_ID_LEN + 1] = "";	/* children have it from the postmaster */

static bool
restored_is_there(const char *file)
{
	struct stat st;

	return stat(file, &st) == 0;
}

static void
restored_read(void)
{
	FILE	   *file = AllocateFile(RESTORED_FILE, "r");

	if (file == NULL && errno == ENOENT)
		return;
	if (file == NULL || fread(id, 1, RESTORED_ID_LEN, file) != RESTORED_ID_LEN)
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not read \"%s\" in the data directory: %m", RESTORED_FILE)));
	FreeFile(file);
}

/* Durably, before anything tells recovery that it has been begun. */
static void
restored_write(void)
{
	const char *temporary = RESTORED_FILE ".tmp";
	uint8		random[RESTORED_ID_LEN / 2];
	FILE	   *file;

	if (!pg_strong_random(random, sizeof(random)))
		ereport(FATAL,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	encode_hex(random, sizeof(random), id);
	file = AllocateFile(temporary, "w");
	if (file == NULL || fwrite(id, 1, RESTORED_ID_LEN, file) != RESTORED_ID_LEN ||
		FreeFile(file) != 0)
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not write \"%s\" in the data directory: %m", temporary)));
	(void) durable_rename(temporary, RESTORED_FILE, FATAL);
}

void
restored_look(void)
{
	if (IsUnderPostmaster || IsBinaryUpgrade)
		return;
	if (!restored_is_there(STANDBY_SIGNAL_FILE) &&
		(restored_is_there(BACKUP_LABEL_FILE) || restored_is_there(RECOVERY_SIGNAL_FILE)))
		restored_write();
	else
		restored_read();
}

const char *
restored_id(void)
{
	return id;
}
