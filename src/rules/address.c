/*
 * address.c: where a member's database is, as the member says.
 *
 * What others connect to with certificates of their own is said by somebody whom they need not
 * trust.  So an address is the few fields that one needs, each of them what it is called and
 * nothing else: no directory of sockets, no list, no service, no option of libpq's.
 */
#include <string.h>

#include "rules/rules_internal.h"

#define ADDRESS_HOST_MAX 253	/* RFC 1035 */
#define ADDRESS_NAME_MAX 63		/* of a database */

#define ADDRESS_DIGITS "0123456789"
#define ADDRESS_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Between one and so many of these characters, and the first of them no sign of an option. */
static bool
address_is_of(const char *text, size_t most, const char *characters)
{
	size_t		len = strlen(text);

	return len >= 1 && len <= most && text[0] != '-' && text[0] != '.' &&
		strspn(text, characters) == len;
}

static bool
address_port(const char *text)
{
	size_t		len = strlen(text);
	long		port = 0;

	if (len < 1 || len > 5 || strspn(text, ADDRESS_DIGITS) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		port = port * 10 + (text[i] - '0');
	return port >= 1 && port <= 65535;
}

/* No character that means something in a connection string, or that nobody sees. */
static bool
address_database(const char *text)
{
	size_t		len = strlen(text);

	if (len < 1 || len > ADDRESS_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char) text[i] < ' ' || text[i] == '\x7f' ||
			strchr("=/\\'\"", text[i]) != NULL)
			return false;
	return true;
}

/* A field of the body that is a string, or is not there (NULL); false: it is something else. */
static bool
address_field(Pool *pool, const Claim *claim, const char *name, char **text)
{
	JsonSlice	value = rules_field(claim, name);

	*text = NULL;
	if (value.value == NULL)
		return true;
	if (json_slice_type(value) != JSON_SLICE_STRING)
		return false;
	*text = json_slice_text(pool, value);
	return true;
}

static bool
address_is_well_formed(Pool *pool, const Claim *claim)
{
	char	   *host;
	char	   *hostaddr;
	char	   *port;
	char	   *dbname;

	if (!address_field(pool, claim, "host", &host) ||
		!address_field(pool, claim, "hostaddr", &hostaddr) ||
		!address_field(pool, claim, "port", &port) ||
		!address_field(pool, claim, "dbname", &dbname))
		return false;
	return (host != NULL || hostaddr != NULL) && dbname != NULL && address_database(dbname) &&
		(host == NULL || address_is_of(host, ADDRESS_HOST_MAX,
									   ADDRESS_LETTERS ADDRESS_DIGITS "-_.:")) &&
		(hostaddr == NULL || address_is_of(hostaddr, ADDRESS_HOST_MAX,
										   ADDRESS_DIGITS "abcdefABCDEF.:")) &&
		(port == NULL || address_port(port));
}

/* Rule: a member that takes part says where its database is.  (doc/ledger.md, "Addresses") */
const char *
address_reason(Rules *rules, Pool *pool, const Claim *claim)
{
	Party	   *author = rules_author(rules, claim);
	const char *reason;

	if (claim_is_empty(claim))
		return "malformed entry";
	reason = standing_excluded(author, claim->seq, claim->time);
	if (reason == NULL)
		reason = standing_reason(author, claim->seq, claim->time, claim->sealed, 0,
								 "the author takes no part");
	if (reason == NULL && !address_is_well_formed(pool, claim))
		reason = "it is no address";
	return reason;
}
