/*
 * plugins.c: which libraries of this server are output plugins of logical decoding.
 *
 * Nothing in PostgreSQL lists them: a plugin is whatever library has the function that
 * CREATE_REPLICATION_SLOT calls.  To load each would run its code; so the files are searched for
 * that function's name, which the dynamic linker needs to find it by.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#define PLUGINS_SUFFIX ".so"

/*
 * As a library has it, in a table of names that end with zero bytes; but here, where it must not
 * be found, with another byte in front.
 */
static const char plugins_symbol[] = "\001_PG_output_plugin_init";

/* Is that name in the file?  A file that cannot be read is none that a server loads. */
static bool
plugins_has_symbol(const char *path)
{
	int			fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	struct stat st;
	bool		found = false;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
	{
		void	   *bytes = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

		if (bytes != MAP_FAILED)
		{
			char		name[sizeof(plugins_symbol)];

			memcpy(name, plugins_symbol, sizeof(name));
			name[0] = '\0';
			found = memmem(bytes, (size_t) st.st_size, name, sizeof(name)) != NULL;
			(void) munmap(bytes, (size_t) st.st_size);
		}
	}
	CloseTransientFile(fd);
	return found;
}

/* The name by which a slot would ask for the library; NULL: that is none. */
static char *
plugins_name(const char *file)
{
	size_t		len = strlen(file);
	size_t		suffix = strlen(PLUGINS_SUFFIX);

	if (len <= suffix || strcmp(file + len - suffix, PLUGINS_SUFFIX) != 0)
		return NULL;
	return pnstrdup(file, len - suffix);
}

PG_FUNCTION_INFO_V1(medchain_output_plugins);

/* output_plugins() -> setof text */
Datum
medchain_output_plugins(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	DIR		   *dir = AllocateDir(pkglib_path);
	struct dirent *entry;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	while ((entry = ReadDir(dir, pkglib_path)) != NULL)
	{
		char	   *name = plugins_name(entry->d_name);
		Datum		value;
		bool		isnull = false;

		CHECK_FOR_INTERRUPTS();
		if (name == NULL || strcmp(name, "pgoutput") == 0 ||
			!plugins_has_symbol(psprintf("%s/%s", pkglib_path, entry->d_name)))
			continue;
		value = CStringGetTextDatum(name);
		tuplestore_putvalues(result->setResult, result->setDesc, &value, &isnull);
	}
	FreeDir(dir);
	return (Datum) 0;
}
