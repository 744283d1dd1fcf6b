/*
 * trusted_settings.c: the settings that our SQL depends on, and what each has to be.
 *
 * ALTER DATABASE and ALTER ROLE ... SET reach every process, background and apply workers too, and
 * a session sets what it likes.  What an entry means, who may do what and what a row's content is
 * must not follow: two members whose databases differ in such a setting would derive different
 * states from the same ledger.
 *
 * There is one table.  A process of our own fixes all of it for good.  A scope, and the text of a
 * row, fix the part that changes the meaning of a statement or of a value's text, and only what
 * differs: most sessions have most of it anyway, and to compare a variable costs nothing.
 * Functions in SQL carry the part that they need as SET clauses, which sql/install/settings.sql
 * makes from the same table.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "jit/jit.h"
#include "miscadmin.h"
#include "parser/parse_expr.h"
#include "parser/parser.h"
#include "pgtime.h"
#include "replication/logicalworker.h"
#include "replication/walsender.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/rls.h"
#include "utils/tuplestore.h"
#include "utils/xml.h"

#include "compat.h"
#include "node/trusted.h"

/* How to see cheaply whether a setting is what it has to be. */
typedef enum SettingLook
{
	LOOK_NAME,					/* ask for it by its name, and compare texts */
	LOOK_BOOL,
	LOOK_INT,
	LOOK_DATE_STYLE,
	LOOK_TIME_ZONE
} SettingLook;

/* Who fixes it. */
#define FOR_SCOPES		0x01
#define FOR_TEXTS		0x02	/* of values */
#define FOR_FUNCTIONS	0x04	/* in SQL: anybody may set it, and no version is without it */
#define FOR_PROCESSES	0x08	/* of our own */
#define FOR_APPLY		0x10	/* workers of subscriptions to peers */
#define FOR_SENDERS		0x20	/* WAL senders of a node's database */

#define EVERYWHERE		(FOR_SCOPES | FOR_TEXTS | FOR_FUNCTIONS | FOR_PROCESSES | FOR_APPLY)
#define IN_C			(FOR_SCOPES | FOR_TEXTS | FOR_PROCESSES | FOR_APPLY)
#define IN_WORKERS		(FOR_PROCESSES | FOR_APPLY)

typedef struct Setting
{
	const char *name;
	const char *value;
	int			fixed_by;
	SettingLook look;
	const void *variable;		/* NULL: there is none any more, as there is no choice */
	int			wanted;
} Setting;

static const Setting settings[] = {
	/* how statements are read */
	{"standard_conforming_strings", "on", EVERYWHERE, LOOK_BOOL,
	COMPAT_STRING_SETTING(standard_conforming_strings), true},
	{"escape_string_warning", "off", IN_C, LOOK_BOOL,
	COMPAT_STRING_SETTING(escape_string_warning), false},
	{"backslash_quote", "safe_encoding", IN_C, LOOK_INT,
	&backslash_quote, BACKSLASH_QUOTE_SAFE_ENCODING},
	{"transform_null_equals", "off", EVERYWHERE, LOOK_BOOL, &Transform_null_equals, false},
	{"row_security", "off", FOR_SCOPES | IN_WORKERS, LOOK_BOOL, &row_security, false},
	{"restrict_nonsystem_relation_kind", "", IN_C, LOOK_NAME},

	/* how values are read and written */
	{"DateStyle", "ISO, YMD", EVERYWHERE, LOOK_DATE_STYLE},
	{"IntervalStyle", "iso_8601", EVERYWHERE, LOOK_INT, &IntervalStyle, INTSTYLE_ISO_8601},
	{"TimeZone", "UTC", EVERYWHERE, LOOK_TIME_ZONE},
	{"bytea_output", "hex", EVERYWHERE, LOOK_INT, &bytea_output, BYTEA_OUTPUT_HEX},
	{"extra_float_digits", "1", EVERYWHERE, LOOK_INT, &extra_float_digits, 1},
	{"quote_all_identifiers", "off", EVERYWHERE, LOOK_BOOL, &quote_all_identifiers, false},
	{"array_nulls", "on", EVERYWHERE, LOOK_BOOL, &Array_nulls, true},
	{"xmlbinary", "base64", IN_C, LOOK_INT, &xmlbinary, XMLBINARY_BASE64},
	{"xmloption", "content", IN_C, LOOK_INT, &xmloption, XMLOPTION_CONTENT},
	{"lc_monetary", "C", FOR_TEXTS | IN_WORKERS, LOOK_NAME},
	{"lc_numeric", "C", IN_WORKERS},
	{"lc_time", "C", IN_WORKERS},
	{"lc_messages", "C", IN_WORKERS},
	{"timezone_abbreviations", "Default", IN_WORKERS},

	/* how the first copy of a peer's tables is read; a node's database has this encoding */
	{"client_encoding", "UTF8", FOR_APPLY},

	/*
	 * an error that is caught is none, and a slot that a subscriber wants gone and that is not
	 * there is no reason to hang up; this one makes it the end of the process
	 */
	{"exit_on_error", "off", EVERYWHERE | FOR_SENDERS, LOOK_BOOL, &ExitOnAnyError, false},

	/* what the functions in PL/pgSQL take for a mistake */
	{"plpgsql.variable_conflict", "error", IN_WORKERS},
	{"plpgsql.extra_errors", "none", IN_WORKERS},
	{"plpgsql.extra_warnings", "none", IN_WORKERS},

	/*
	 * what kind of transaction a worker gets: an older snapshot than the lock it waited for makes
	 * a wrong fold
	 */
	{"default_transaction_read_only", "off", IN_WORKERS},
	{"default_transaction_isolation", "read committed", IN_WORKERS},
	{"default_transaction_deferrable", "off", IN_WORKERS},
	{"session_replication_role", "origin", FOR_PROCESSES},
	{"role", "none", FOR_APPLY},

	/* nobody is there to be told, or to try again; of a first copy, all would be for nothing */
	{"statement_timeout", "0", IN_WORKERS | FOR_SENDERS},
	{"lock_timeout", "0", IN_WORKERS | FOR_SENDERS},
	{"transaction_timeout", "0", IN_WORKERS | FOR_SENDERS},
	{"idle_in_transaction_session_timeout", "0", IN_WORKERS | FOR_SENDERS},
	{"idle_session_timeout", "0", IN_WORKERS},
	{"vacuum_cost_delay", "0", FOR_PROCESSES},

	/* where things are put, and how statements this small are run */
	{"default_tablespace", "", IN_WORKERS},
	{"temp_tablespaces", "", IN_WORKERS},
	{"default_table_access_method", "heap", IN_WORKERS},
	{"gin_fuzzy_search_limit", "0", IN_WORKERS},
	{"plan_cache_mode", "auto", IN_WORKERS},
	{"jit", "off", EVERYWHERE, LOOK_BOOL, &jit_enabled, false},
	{"debug_parallel_query", "off", IN_WORKERS},
	{"force_parallel_mode", "off", IN_WORKERS}, /* 15 calls it so */
};

/* Etc/UTC is what Debian's servers have: the same zone with the same abbreviation. */
static bool
setting_is_utc(void)
{
	const char *name = pg_get_timezone_name(session_timezone);

	return strcmp(name, "UTC") == 0 || strcmp(name, "Etc/UTC") == 0;
}

static bool
setting_holds(const Setting *setting)
{
	switch (setting->look)
	{
		case LOOK_BOOL:
			return setting->variable == NULL ||
				*(const bool *) setting->variable == (bool) setting->wanted;
		case LOOK_INT:
			return *(const int *) setting->variable == setting->wanted;
		case LOOK_DATE_STYLE:
			return DateStyle == USE_ISO_DATES && DateOrder == DATEORDER_YMD;
		case LOOK_TIME_ZONE:
			return setting_is_utc();
		case LOOK_NAME:
			break;
	}
	{
		const char *value = GetConfigOption(setting->name, true, false);

		/* not in this version */
		return value == NULL || strcmp(value, setting->value) == 0;
	}
}

/* Custom ones are kept for the module that defines them, whether or not it is loaded by now. */
static bool
setting_exists(const Setting *setting)
{
	return strchr(setting->name, '.') != NULL ||
		GetConfigOption(setting->name, true, false) != NULL;
}

/* Until the end of the GUC nest level that the caller has begun. */
static void
settings_fix(int who, const char *search_path)
{
	if (namespace_search_path == NULL || strcmp(namespace_search_path, search_path) != 0)
		(void) set_config_option("search_path", search_path, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE,
								 true, 0, false);
	for (size_t i = 0; i < lengthof(settings); i++)
		if ((settings[i].fixed_by & who) && !setting_holds(&settings[i]))
			(void) set_config_option(settings[i].name, settings[i].value, PGC_USERSET,
									 PGC_S_SESSION,
									 GUC_ACTION_SAVE, true, 0, false);
}

void
trusted_fix_statements(void)
{
	settings_fix(FOR_SCOPES, TRUSTED_SEARCH_PATH);
}

void
trusted_fix_texts(void)
{
	settings_fix(FOR_TEXTS, "pg_catalog, pg_temp");
}

void
trusted_plan_by_index(void)
{
	static const char *const off[] = {
		"enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_material"
	};

	for (size_t i = 0; i < lengthof(off); i++)
		(void) set_config_option(off[i], "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
								 0, false);
}

void
trusted_pin_settings(void)
{
	int			who = am_walsender ? FOR_SENDERS : IsLogicalWorker() ? FOR_APPLY : FOR_PROCESSES;

	if (who == FOR_PROCESSES)
		SetConfigOption("search_path", TRUSTED_SEARCH_PATH, PGC_SUSET, PGC_S_SESSION);
	for (size_t i = 0; i < lengthof(settings); i++)
		if ((settings[i].fixed_by & who) && setting_exists(&settings[i]))
			SetConfigOption(settings[i].name, settings[i].value, PGC_SUSET, PGC_S_SESSION);
}

PG_FUNCTION_INFO_V1(medchain_fixed_settings);

/* fixed_settings() -> setof (name text, value text): SET clauses of functions beside search_path */
Datum
medchain_fixed_settings(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (size_t i = 0; i < lengthof(settings); i++)
	{
		Datum		values[2];
		bool		nulls[2] = {false};

		if (!(settings[i].fixed_by & FOR_FUNCTIONS))
			continue;
		values[0] = CStringGetTextDatum(settings[i].name);
		values[1] = CStringGetTextDatum(settings[i].value);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
