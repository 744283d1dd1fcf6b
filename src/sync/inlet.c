/*
 * inlet.c: what of a peer's stream reaches PostgreSQL's apply worker.
 *
 * The publisher decides what it publishes, and its superuser may change that at any time: updates,
 * deletions and TRUNCATE, other tables, more columns, columns of other types, values that are none.
 * An apply worker ends with an error at most of these, is started again, and finds the same; for a
 * TRUNCATE it asks, before any trigger is called, for a lock behind which everybody waits.  So each
 * message is looked at as it stands in the connection's buffer.  Rows that are inserted into
 * medchain.entry and medchain.block, of the columns that followers take and of the types that those
 * have here, go on to the triggers (apply.c).  Everything else becomes one of the messages that
 * apply workers pass over, and one row of quarantine for each kind and transaction.
 *
 * What is taken away makes a message shorter and never longer, so all is done in place.
 */
#include "postgres.h"

#include <ctype.h>
#include <errno.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "port/pg_bswap.h"
#include "replication/logicalproto.h"
#include "replication/walreceiver.h"
#include "utils/snapmgr.h"

#include "sync/accept.h"
#include "sync/apply.h"
#include "sync/inlet.h"

#define INLET_DATA 'w'			/* a message of the WAL sender that has one of these in it, ... */
#define INLET_HEADER (1 + 3 * (int) sizeof(int64))	/* ... behind that, two positions and a time */
#define INLET_DIGITS 20			/* of an int8, with its sign */

typedef struct InletColumn
{
	const char *name;
	Oid			type;
} InletColumn;

static const InletColumn entry_columns[] = {
	{"origin", TEXTOID}, {"seq", INT8OID}, {"payload", TEXTOID}, {NULL, InvalidOid}
};

static const InletColumn block_columns[] = {
	{"origin", TEXTOID}, {"height", INT8OID}, {"note", TEXTOID}, {"leaves", BYTEAOID},
	{"kinds", TEXTOID}, {"kinds_note", TEXTOID}, {NULL, InvalidOid}
};

/* Both, as the peer has said last what they are like there. */
typedef struct InletTable
{
	const char *name;
	const InletColumn *columns;
	const char *reason;			/* of quarantine, for rows that cannot be read */
	bool		known;
	uint32		id;
	int			natts;
	const InletColumn *sent[MaxHeapAttributeNumber];	/* NULL: one that is left out */
} InletTable;

static InletTable tables[] = {
	{.name = "entry", .columns = entry_columns, .reason = "bad entry"},
	{.name = "block", .columns = block_columns, .reason = "bad note"}
};

#define INLET_TABLES lengthof(tables)

/* What is told once in each transaction: of either table, or of any other. */
typedef enum InletFault
{
	INLET_CHANGE,
	INLET_UNREADABLE = INLET_CHANGE + INLET_TABLES,
	INLET_STRANGE = INLET_UNREADABLE + INLET_TABLES
} InletFault;

/* What is left of a message, and where what stays of it ends. */
typedef struct InletReader
{
	char	   *at;
	char	   *end;
	char	   *kept;
} InletReader;

static WalReceiverFunctionsType inlet_functions;
static const WalReceiverFunctionsType *plain_functions = NULL;

static bool streaming = false;	/* not a COPY */
static bool in_transaction = false; /* of the peer's */
static bool in_part = false;	/* of one that is sent before it has ended */
static uint32 told = 0;			/* 1 << InletFault */

/* Outside of a transaction here begins the one that the peer's will be. */
static void
inlet_refuse(InletFault fault, const char *reason, const char *detail)
{
	MemoryContext caller = CurrentMemoryContext;

	if (!in_transaction || (told & (1U << fault)) != 0)
		return;
	told |= 1U << fault;
	if (!IsTransactionState())
		StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	apply_refuse_message(reason, detail);
	PopActiveSnapshot();
	MemoryContextSwitchTo(caller);
}

static bool
inlet_has(const InletReader *in, Size len)
{
	return (Size) (in->end - in->at) >= len;
}

static bool
inlet_int32(InletReader *in, uint32 *value)
{
	if (!inlet_has(in, sizeof(*value)))
		return false;
	memcpy(value, in->at, sizeof(*value));
	*value = pg_ntoh32(*value);
	in->at += sizeof(*value);
	return true;
}

static bool
inlet_int16(InletReader *in, uint16 *value)
{
	if (!inlet_has(in, sizeof(*value)))
		return false;
	memcpy(value, in->at, sizeof(*value));
	*value = pg_ntoh16(*value);
	in->at += sizeof(*value);
	return true;
}

static void
inlet_put_int16(char *at, uint16 value)
{
	value = pg_hton16(value);
	memcpy(at, &value, sizeof(value));
}

/* A string with its zero byte, or NULL. */
static const char *
inlet_string(InletReader *in)
{
	const char *start = in->at;
	char	   *zero = memchr(in->at, '\0', in->end - in->at);

	if (zero == NULL)
		return NULL;
	in->at = zero + 1;
	return start;
}

/* From start on it stays, behind what stays before it. */
static void
inlet_keep(InletReader *in, const char *start)
{
	Size		len = in->at - start;

	if (in->kept != start)
		memmove(in->kept, start, len);
	in->kept += len;
}

static const InletColumn *
inlet_column(const InletTable *table, const char *name)
{
	for (const InletColumn *column = table->columns; column->name != NULL; column++)
		if (strcmp(column->name, name) == 0)
			return column;
	return NULL;
}

static InletTable *
inlet_named(const char *schema, const char *name)
{
	for (int i = 0; i < INLET_TABLES && strcmp(schema, "medchain") == 0; i++)
		if (strcmp(tables[i].name, name) == 0)
			return &tables[i];
	return NULL;
}

static InletTable *
inlet_numbered(uint32 id)
{
	for (int i = 0; i < INLET_TABLES; i++)
		if (tables[i].known && tables[i].id == id)
			return &tables[i];
	return NULL;
}

/* The worker keeps what it knows of a table by this number: there shall be one of each. */
static void
inlet_put_number(char *at, const InletTable *table)
{
	uint32		number = pg_hton32((uint32) (table - tables) + 1);

	memcpy(at, &number, sizeof(number));
}

/*
 * What a table is like: its number, schema and name, a byte, and its columns, each with a byte, a
 * name, and the number and modifier of its type.  False: none of ours.
 */
static bool
inlet_relation(InletReader *in)
{
	char	   *number = in->at;
	char	   *count;
	const char *schema;
	const char *name;
	uint32		id;
	uint16		natts;
	uint16		wanted = 0;
	InletTable *table;

	if (!inlet_int32(in, &id) || (schema = inlet_string(in)) == NULL ||
		(name = inlet_string(in)) == NULL || !inlet_has(in, 1))
		return false;
	in->at++;
	count = in->at;
	table = inlet_named(schema, name);

	/* whose number it was before has another one now, or is gone */
	if (inlet_numbered(id) != NULL)
		inlet_numbered(id)->known = false;
	if (table == NULL || !inlet_int16(in, &natts) || natts > lengthof(table->sent))
		return false;
	table->known = false;
	in->kept = in->at;
	for (int i = 0; i < natts; i++)
	{
		char	   *start = in->at;

		if (!inlet_has(in, 1))
			return false;
		in->at++;
		name = inlet_string(in);
		if (name == NULL || !inlet_has(in, 2 * sizeof(uint32)))
			return false;
		in->at += 2 * sizeof(uint32);
		table->sent[i] = inlet_column(table, name);
		if (table->sent[i] != NULL)
		{
			inlet_keep(in, start);
			wanted++;
		}
	}
	inlet_put_int16(count, wanted);
	inlet_put_number(number, table);
	table->id = id;
	table->natts = natts;
	table->known = true;
	return true;
}

/* As int8out writes it. */
static bool
inlet_is_number(const char *value, uint32 len)
{
	char		digits[INLET_DIGITS + 1];
	char	   *end;

	if (len == 0 || len > INLET_DIGITS)
		return false;
	memcpy(digits, value, len);
	digits[len] = '\0';
	if (!isdigit((unsigned char) digits[digits[0] == '-' ? 1 : 0]))
		return false;
	errno = 0;
	(void) strtoll(digits, &end, 10);
	return errno == 0 && end == digits + len;
}

/* As byteaout writes it, in either of its ways. */
static bool
inlet_is_bytes(const char *value, uint32 len)
{
	if (len >= 2 && value[0] == '\\' && value[1] == 'x')
	{
		for (uint32 i = 2; i < len; i++)
			if (!isxdigit((unsigned char) value[i]))
				return false;
		return len % 2 == 0;
	}
	for (uint32 i = 0; i < len; i++)
	{
		if (value[i] == '\0')
			return false;
		if (value[i] != '\\')
			continue;
		if (len - i >= 2 && value[i + 1] == '\\')
			i++;
		else if (len - i >= 4 && memchr("0123", value[i + 1], 4) != NULL &&
				 memchr("01234567", value[i + 2], 8) != NULL &&
				 memchr("01234567", value[i + 3], 8) != NULL)
			i += 3;
		else
			return false;
	}
	return true;
}

/*
 * A value of a row: its format, and in most of these its length and bytes.  Texts are the same in
 * both formats, but in binary PostgreSQL looks whether they are any: ours does that later.
 */
static bool
inlet_value(InletReader *in, const InletColumn *column)
{
	char	   *format = in->at;
	uint32		len;

	if (!inlet_has(in, 1))
		return false;
	in->at++;
	if (*format == LOGICALREP_COLUMN_NULL || *format == LOGICALREP_COLUMN_UNCHANGED)
		return true;
	if ((*format != LOGICALREP_COLUMN_TEXT && *format != LOGICALREP_COLUMN_BINARY) ||
		!inlet_int32(in, &len) || !inlet_has(in, len))
		return false;
	in->at += len;
	if (column == NULL)
		return true;
	if (column->type == TEXTOID)
		*format = LOGICALREP_COLUMN_TEXT;
	else if (column->type == INT8OID)
		return *format == LOGICALREP_COLUMN_BINARY ? len == sizeof(int64) :
			inlet_is_number(in->at - len, len);
	else
		return *format == LOGICALREP_COLUMN_BINARY || inlet_is_bytes(in->at - len, len);
	return true;
}

/* A row: the number of its table, a byte, how many values it has, and these. */
static bool
inlet_insert(InletReader *in)
{
	char	   *number = in->at;
	char	   *count;
	uint32		id;
	uint16		natts;
	uint16		wanted = 0;
	bool		fine;
	InletTable *table;

	if (!inlet_int32(in, &id) || (table = inlet_numbered(id)) == NULL)
	{
		inlet_refuse(INLET_STRANGE, "bad operation", "a row of another table was to be added");
		return false;
	}
	inlet_put_number(number, table);
	fine = inlet_has(in, 1);
	in->at += fine;
	count = in->at;
	fine = fine && inlet_int16(in, &natts) && natts == table->natts;
	in->kept = in->at;
	for (int i = 0; i < table->natts && fine; i++)
	{
		char	   *start = in->at;

		fine = inlet_value(in, table->sent[i]);
		if (fine && table->sent[i] != NULL)
		{
			inlet_keep(in, start);
			wanted++;
		}
	}
	if (!fine)
		inlet_refuse(INLET_UNREADABLE + (table - tables), table->reason,
					 "a value is none of its column's type");
	else
		inlet_put_int16(count, wanted);
	return fine;
}

static void
inlet_refuse_change(uint32 id)
{
	const InletTable *table = inlet_numbered(id);

	if (table != NULL)
		inlet_refuse(INLET_CHANGE + (table - tables), "bad operation",
					 psprintf("rows of medchain.%s were to be changed or removed", table->name));
	else
		inlet_refuse(INLET_STRANGE, "bad operation", "rows of another table were to be changed");
}

/* How many tables, a byte, and their numbers. */
static void
inlet_truncate(InletReader *in)
{
	uint32		count;
	uint32		id;

	if (!inlet_int32(in, &count) || !inlet_has(in, 1))
		return;
	in->at++;
	while (count-- > 0 && inlet_int32(in, &id))
		inlet_refuse_change(id);
}

/* One message of the stream; its end, as far as it goes on to the worker. */
static char *
inlet_message(char *message, char *end)
{
	InletReader in = {.at = message + 1, .end = end, .kept = end};
	uint32		id;
	bool		passes = false;

	switch (*message)
	{
		case LOGICAL_REP_MSG_BEGIN:
		case LOGICAL_REP_MSG_STREAM_START:
			in_transaction = true;
			in_part = *message == LOGICAL_REP_MSG_STREAM_START;
			told = 0;
			return end;
		case LOGICAL_REP_MSG_COMMIT:
		case LOGICAL_REP_MSG_STREAM_STOP:
			if (*message == LOGICAL_REP_MSG_COMMIT && in_transaction && !in_part)
				accept_run();
			in_transaction = in_part = false;
			return end;
		case LOGICAL_REP_MSG_RELATION:
		case LOGICAL_REP_MSG_INSERT:
		case LOGICAL_REP_MSG_UPDATE:
		case LOGICAL_REP_MSG_DELETE:
		case LOGICAL_REP_MSG_TRUNCATE:
			break;
		default:
			return end;
	}

	/* there, each says of which transaction it is */
	if (in_part && !inlet_int32(&in, &id))
		return end;
	switch (*message)
	{
		case LOGICAL_REP_MSG_RELATION:
			passes = inlet_relation(&in);
			break;
		case LOGICAL_REP_MSG_INSERT:
			passes = inlet_insert(&in);
			break;
		case LOGICAL_REP_MSG_TRUNCATE:
			inlet_truncate(&in);
			break;
		default:
			if (inlet_int32(&in, &id))
				inlet_refuse_change(id);
			break;
	}
	if (!passes)
	{
		*message = LOGICAL_REP_MSG_MESSAGE;
		return end;
	}
	*in.kept = '\0';
	return in.kept;
}

static int
inlet_receive(WalReceiverConn *connection, char **buffer, pgsocket *wait_fd)
{
	int			len = (plain_functions->walrcv_receive) (connection, buffer, wait_fd);

	if (!streaming || len <= INLET_HEADER || **buffer != INLET_DATA)
		return len;
	return (int) (inlet_message(*buffer + INLET_HEADER, *buffer + len) - *buffer);
}

static bool
inlet_start(WalReceiverConn *connection, const WalRcvStreamOptions *options)
{
	streaming = (plain_functions->walrcv_startstreaming) (connection, options);
	return streaming;
}

static void
inlet_end(WalReceiverConn *connection, TimeLineID *next)
{
	streaming = false;
	(plain_functions->walrcv_endstreaming) (connection, next);
}

void
inlet_open(void)
{
	load_file("libpqwalreceiver", false);
	plain_functions = WalReceiverFunctions;
	inlet_functions = *plain_functions;
	inlet_functions.walrcv_startstreaming = inlet_start;
	inlet_functions.walrcv_endstreaming = inlet_end;
	inlet_functions.walrcv_receive = inlet_receive;
	WalReceiverFunctions = &inlet_functions;
}
