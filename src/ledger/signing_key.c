/*
 * signing_key.c: the node's private key, as the settings name it.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "storage/fd.h"

#include "ledger/signing_key.h"
#include "node/settings.h"

#define SIGNING_KEY_PROMPT "Enter passphrase of medchain.signing_key:"

/* As for ssl_passphrase_command: %p is the prompt, %% a percent sign. */
static char *
signing_key_command(const char *setting)
{
	StringInfoData command;

	initStringInfo(&command);
	for (const char *p = setting; *p; p++)
	{
		if (p[0] == '%' && p[1] == 'p')
		{
			appendStringInfoString(&command, SIGNING_KEY_PROMPT);
			p++;
		}
		else if (p[0] == '%' && p[1] == '%')
		{
			appendStringInfoChar(&command, '%');
			p++;
		}
		else
			appendStringInfoChar(&command, *p);
	}
	return command.data;
}

/*
 * KeyPassphrase: the first line that the command writes.  A failure is logged without the command,
 * which may hold a secret, and without what it wrote.
 */
static int
signing_key_ask(char *buffer, int size, void *arg)
{
	bool	   *asked = (bool *) arg;
	char	   *command;
	FILE	   *pipe;
	int			status;
	bool		got;

	if (setting_signing_key_passphrase_command == NULL ||
		setting_signing_key_passphrase_command[0] == '\0')
		return -1;
	*asked = true;
	command = signing_key_command(setting_signing_key_passphrase_command);
	pipe = OpenPipeStream(command, "r");
	pfree(command);
	if (pipe == NULL)
	{
		ereport(LOG, (errcode_for_file_access(),
				  errmsg("medchain: could not run medchain.signing_key_passphrase_command: %m")));
		return -1;
	}
	got = fgets(buffer, size, pipe) != NULL;
	status = ClosePipeStream(pipe);
	if (!got || status != 0)
	{
		explicit_bzero(buffer, size);
		ereport(LOG, (errmsg("medchain: medchain.signing_key_passphrase_command gave no passphrase "
							 "(%s)",
							 status == 0 ? "no output" : status == -1 ? "its status is unknown" :
							 wait_result_to_str(status))));
		return -1;
	}
	return (int) strcspn(buffer, "\r\n");
}

Key *
signing_key_load(bool *asked, CoreError *error)
{
	*asked = false;
	if (setting_signing_key == NULL || setting_signing_key[0] == '\0')
	{
		error_set(error, CORE_ACCESS, "medchain.signing_key is not set");
		return NULL;
	}
	if (!key_protect_process(error))
		return NULL;
	return key_load_private(setting_signing_key, signing_key_ask, asked, error);
}
