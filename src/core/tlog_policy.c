/*
 * tlog_policy.c: reading a tlog-policy, and asking it about a checkpoint.
 *
 * A name stands for a witness or for a group of names that stood before it; each can be in one
 * group only, so a checkpoint is judged in one pass over them, in their order.
 */
#include <stdlib.h>
#include <string.h>

#include "core/tlog_policy.h"

/* A witness, or a group. */
typedef struct PolicyName
{
	char	   *name;
	bool		is_group;
	Vkey		vkey;			/* of a witness */
	int			group;			/* in which this is; -1: none */
	int			members;		/* of a group */
	int			threshold;
} PolicyName;

struct TlogPolicy
{
	Vkey	   *logs;
	int			nlogs;
	PolicyName *names;
	int			nnames;
	int			quorum;			/* a name; -1: none has to have cosigned; -2: not said */
};

TlogPolicy *
tlog_policy_new(void)
{
	TlogPolicy *policy = calloc(1, sizeof(TlogPolicy));

	if (policy != NULL)
		policy->quorum = -2;
	return policy;
}

void
tlog_policy_free(TlogPolicy *policy)
{
	if (policy == NULL)
		return;
	for (int i = 0; i < policy->nlogs; i++)
		key_free(policy->logs[i].key);
	for (int i = 0; i < policy->nnames; i++)
	{
		key_free(policy->names[i].vkey.key);
		free(policy->names[i].name);
	}
	free(policy->logs);
	free(policy->names);
	free(policy);
}

/* Room for one more of count; NULL, with an error, if there are too many. */
static void *
policy_grow(void *items, int count, size_t size, CoreError *error)
{
	void	   *grown = NULL;

	if (count >= TLOG_POLICY_NAMES_MAX)
	{
		error_set(error, CORE_UNSUPPORTED, "more than %d names", TLOG_POLICY_NAMES_MAX);
		return NULL;
	}
	if (count > 0 && (count & (count - 1)) != 0)
		return items;
	grown = realloc(items, size * (count > 0 ? 2 * (size_t) count : 1));
	if (grown == NULL)
		error_set(error, CORE_INTERNAL, "out of memory");
	return grown;
}

static int
policy_find(const TlogPolicy *policy, const char *name, size_t len)
{
	for (int i = 0; i < policy->nnames; i++)
		if (strlen(policy->names[i].name) == len && memcmp(policy->names[i].name, name, len) == 0)
			return i;
	return -1;
}

bool
tlog_policy_add_log(TlogPolicy *policy, const char *vkey, size_t len, CoreError *error)
{
	Vkey	   *logs = policy_grow(policy->logs, policy->nlogs, sizeof(Vkey), error);
	Vkey	   *log;

	if (logs == NULL)
		return false;
	policy->logs = logs;
	log = &logs[policy->nlogs];
	if (!vkey_read(vkey, len, log, error))
		return false;
	policy->nlogs++;
	if (log->type != VKEY_ED25519)
		return error_set(error, CORE_MALFORMED, "the key of a log has type 0x01, not 0x%02x",
						 log->type);
	for (int i = 0; i < policy->nlogs - 1; i++)
		if (memcmp(logs[i].bytes, log->bytes, KEY_ED25519_BYTES) == 0)
			return error_set(error, CORE_MALFORMED, "a log's key twice");
	return true;
}

/* A name that was not there before; NULL, with an error. */
static PolicyName *
policy_add_name(TlogPolicy *policy, const char *name, size_t len, CoreError *error)
{
	PolicyName *names = policy_grow(policy->names, policy->nnames, sizeof(PolicyName), error);
	PolicyName *added;

	if (names == NULL)
		return NULL;
	policy->names = names;
	if ((len == 4 && memcmp(name, "none", 4) == 0) || policy_find(policy, name, len) >= 0)
	{
		error_set(error, CORE_MALFORMED, "the name \"%.*s\" is taken", len < 100 ? (int) len : 100,
				  name);
		return NULL;
	}
	added = &names[policy->nnames];
	memset(added, 0, sizeof(*added));
	added->group = -1;
	added->name = strndup(name, len);
	if (added->name == NULL)
	{
		error_set(error, CORE_INTERNAL, "out of memory");
		return NULL;
	}
	policy->nnames++;
	return added;
}

bool
tlog_policy_add_witness(TlogPolicy *policy, const char *name, size_t namelen, const char *vkey,
						size_t len, CoreError *error)
{
	PolicyName *witness = policy_add_name(policy, name, namelen, error);

	if (witness == NULL || !vkey_read(vkey, len, &witness->vkey, error))
		return false;
	if (witness->vkey.type != COSIGNATURE_TYPE)
		return error_set(error, CORE_MALFORMED, "the key of a witness has type 0x04, not 0x%02x",
						 witness->vkey.type);
	for (int i = 0; i < policy->nnames - 1; i++)
		if (!policy->names[i].is_group &&
			memcmp(policy->names[i].vkey.bytes, witness->vkey.bytes, KEY_ED25519_BYTES) == 0)
			return error_set(error, CORE_MALFORMED, "a witness' key twice");
	return true;
}

/* ----- reading ----- */

typedef struct PolicyWord
{
	const char *text;
	size_t		len;
} PolicyWord;

/* The next word of a line. */
static bool
policy_word(const char **line, const char *end, PolicyWord *word)
{
	while (*line < end && (**line == ' ' || **line == '\t'))
		(*line)++;
	word->text = *line;
	while (*line < end && **line != ' ' && **line != '\t')
		(*line)++;
	word->len = (size_t) (*line - word->text);
	return word->len > 0;
}

static bool
policy_is(const PolicyWord *word, const char *text)
{
	return word->len == strlen(text) && memcmp(word->text, text, word->len) == 0;
}

static bool
policy_number(const PolicyWord *word, int *number)
{
	*number = 0;
	if (word->len > 6 || word->text[0] == '0')
		return false;
	for (size_t i = 0; i < word->len; i++)
	{
		if (word->text[i] < '0' || word->text[i] > '9')
			return false;
		*number = *number * 10 + (word->text[i] - '0');
	}
	return true;
}

static bool
policy_group(TlogPolicy *policy, const char *line, const char *end, CoreError *error)
{
	PolicyWord	name;
	PolicyWord	threshold;
	PolicyWord	member;
	PolicyName *group;
	int			index;
	int			number = 1;

	if (!policy_word(&line, end, &name) || !policy_word(&line, end, &threshold))
		return error_set(error, CORE_MALFORMED, "a group has a name, a threshold and members");
	group = policy_add_name(policy, name.text, name.len, error);
	if (group == NULL)
		return false;
	group->is_group = true;
	index = policy->nnames - 1;
	while (policy_word(&line, end, &member))
	{
		int			found = policy_find(policy, member.text, member.len);

		if (found < 0 || found == index)
			return error_set(error, CORE_MALFORMED, "\"%.*s\" is defined nowhere before",
							 member.len < 100 ? (int) member.len : 100, member.text);
		if (policy->names[found].group >= 0)
			return error_set(error, CORE_MALFORMED, "\"%.100s\" is in a group already",
							 policy->names[found].name);
		policy->names[found].group = index;
		group->members++;
	}
	if (policy_is(&threshold, "all"))
		number = group->members;
	else if (!policy_is(&threshold, "any") && !policy_number(&threshold, &number))
		return error_set(error, CORE_MALFORMED, "a threshold is \"all\", \"any\" or a number");
	group->threshold = number;
	return (number >= 1 && number <= group->members) ||
		error_set(error, CORE_MALFORMED, "%d of %d members is no threshold", number,
				  group->members);
}

static bool
policy_quorum(TlogPolicy *policy, const char *line, const char *end, CoreError *error)
{
	PolicyWord	name;
	PolicyWord	more;

	if (policy->quorum != -2)
		return error_set(error, CORE_MALFORMED, "a second quorum");
	if (!policy_word(&line, end, &name) || policy_word(&line, end, &more))
		return error_set(error, CORE_MALFORMED, "a quorum is one name");
	policy->quorum = policy_is(&name, "none") ? -1 : policy_find(policy, name.text, name.len);
	if (policy->quorum < 0 && !policy_is(&name, "none"))
	{
		policy->quorum = -2;
		return error_set(error, CORE_MALFORMED, "\"%.*s\" is defined nowhere before",
						 name.len < 100 ? (int) name.len : 100, name.text);
	}
	return true;
}

static bool
policy_line(TlogPolicy *policy, const char *line, const char *end, CoreError *error)
{
	PolicyWord	keyword;
	PolicyWord	name;
	PolicyWord	vkey;
	PolicyWord	url;

	for (const char *c = line; c < end; c++)
		if (((unsigned char) *c < 0x20 && *c != '\t') || *c == 0x7f)
			return error_set(error, CORE_MALFORMED, "a control character");
	if (!policy_word(&line, end, &keyword) || keyword.text[0] == '#')
		return true;
	if (policy_is(&keyword, "group"))
		return policy_group(policy, line, end, error);
	if (policy_is(&keyword, "quorum"))
		return policy_quorum(policy, line, end, error);
	if (policy_is(&keyword, "log"))
	{
		if (!policy_word(&line, end, &vkey) ||
			(policy_word(&line, end, &url) && policy_word(&line, end, &url)))
			return error_set(error, CORE_MALFORMED, "a log has a verifier key and perhaps a URL");
		return tlog_policy_add_log(policy, vkey.text, vkey.len, error);
	}
	if (!policy_is(&keyword, "witness"))
		return error_set(error, CORE_MALFORMED, "\"%.*s\" is no word of a policy",
						 keyword.len < 40 ? (int) keyword.len : 40, keyword.text);
	if (!policy_word(&line, end, &name) || !policy_word(&line, end, &vkey) ||
		(policy_word(&line, end, &url) && policy_word(&line, end, &url)))
		return error_set(error, CORE_MALFORMED, "a witness has a name, a verifier key and perhaps "
						 "a URL");
	return tlog_policy_add_witness(policy, name.text, name.len, vkey.text, vkey.len, error);
}

TlogPolicy *
tlog_policy_read(const char *text, size_t len, CoreError *error)
{
	TlogPolicy *policy = len <= TLOG_POLICY_MAX ? tlog_policy_new() : NULL;
	const char *end = text + len;
	CoreError	reason = {0};
	int			number = 0;

	if (policy == NULL)
	{
		error_set(error, CORE_UNSUPPORTED, "a policy of more than %d bytes", TLOG_POLICY_MAX);
		return NULL;
	}
	while (text < end)
	{
		const char *newline = memchr(text, '\n', (size_t) (end - text));

		number++;
		if (newline == NULL)
			error_set(&reason, CORE_MALFORMED, "it does not end with a newline");
		if (newline == NULL || !policy_line(policy, text, newline, &reason))
		{
			error_set(error, reason.code, "line %d of the policy: %.200s", number, reason.message);
			tlog_policy_free(policy);
			return NULL;
		}
		text = newline + 1;
	}
	if (policy->quorum == -2)
	{
		error_set(error, CORE_MALFORMED, "the policy names no quorum");
		tlog_policy_free(policy);
		return NULL;
	}
	return policy;
}

/* ----- asking ----- */

/* What is found of a note, line by line. */
typedef struct PolicyCheck
{
	const TlogPolicy *policy;
	const char *text;
	size_t		textlen;
	const char *origin;
	bool	   *cosigned;		/* by name */
	int64_t    *times;
	TlogVerdict *verdict;
} PolicyCheck;

static bool
policy_check_refused(const NoteSignature *signature, CoreError *error)
{
	return error_set(error, CORE_MALFORMED, "the signature of \"%.*s\" does not verify",
					 (int) signature->namelen, signature->name);
}

static bool
policy_check_log(PolicyCheck *check, const NoteSignature *signature, CoreError *error)
{
	for (int i = 0; i < check->policy->nlogs; i++)
	{
		const Vkey *log = &check->policy->logs[i];
		uint8_t		id[NOTE_KEY_ID_LEN];

		if (strcmp(log->name, check->origin) != 0 || !note_signature_is_of(signature, log->name))
			continue;
		if (!key_note_id(log->key, log->name, id))
			return error_set(error, CORE_INTERNAL, "could not compute the key id");
		if (memcmp(signature->bytes, id, NOTE_KEY_ID_LEN) != 0)
			continue;
		switch (key_verify(log->key, KEY_ED25519, check->text, check->textlen,
						   signature->bytes + NOTE_KEY_ID_LEN,
						   signature->len - NOTE_KEY_ID_LEN, error))
		{
			case KEY_VALID:
				check->verdict->signed_by_log = true;
				break;
			case KEY_INVALID:
				return policy_check_refused(signature, error);
			case KEY_ERROR:
				return false;
		}
	}
	return true;
}

static bool
policy_check_witness(PolicyCheck *check, const NoteSignature *signature, CoreError *error)
{
	for (int i = 0; i < check->policy->nnames; i++)
	{
		const PolicyName *name = &check->policy->names[i];
		bool		is_theirs;

		if (name->is_group || !note_signature_is_of(signature, name->vkey.name))
			continue;
		switch (cosignature_verify(check->text, check->textlen, name->vkey.name, name->vkey.key,
								   signature, &check->times[i], &is_theirs, error))
		{
			case KEY_VALID:
				check->cosigned[i] = true;
				break;
			case KEY_INVALID:
				if (is_theirs)
					return policy_check_refused(signature, error);
				break;
			case KEY_ERROR:
				return false;
		}
	}
	return true;
}

/* Groups come behind what is in them. */
static bool
policy_check_quorum(const PolicyCheck *check, int quorum)
{
	const TlogPolicy *policy = check->policy;
	int			counts[TLOG_POLICY_NAMES_MAX];

	if (quorum >= 0)
		return check->verdict->witnesses >= quorum;
	if (policy->quorum < 0)
		return policy->quorum == -1;
	memset(counts, 0, sizeof(int) * (size_t) policy->nnames);
	for (int i = 0; i < policy->nnames; i++)
	{
		const PolicyName *name = &policy->names[i];
		bool		met = name->is_group ? counts[i] >= name->threshold : check->cosigned[i];

		if (i == policy->quorum)
			return met;
		if (met && name->group >= 0)
			counts[name->group]++;
	}
	return false;
}

static bool
policy_check_lines(PolicyCheck *check, const char *note, size_t len, CoreError *error)
{
	const char *at = NULL;
	NoteSignature signature;
	CoreError	reason = {0};
	int			lines = 0;

	while (note_signature_next(note, len, &at, &signature, &reason))
	{
		if (++lines > NOTE_SIGNATURES_MAX)
			return error_set(error, CORE_MALFORMED, "signed note has more than %d signatures",
							 NOTE_SIGNATURES_MAX);
		if (!policy_check_log(check, &signature, error) ||
			!policy_check_witness(check, &signature, error))
			return false;
	}
	return reason.code == CORE_OK ||
		error_set(error, reason.code, "%.200s", reason.message);
}

bool
tlog_policy_check(const TlogPolicy *policy, const char *note, size_t len, int quorum,
				  TlogCosigned cosigned, void *state, TlogVerdict *verdict, CoreError *error)
{
	NoteCheckpoint checkpoint;
	PolicyCheck check = {.policy = policy, .text = note, .verdict = verdict};
	bool		fine;

	memset(verdict, 0, sizeof(*verdict));
	if (!note_parse_checkpoint(note, len, &checkpoint, error) ||
		!note_text_length(note, len, &check.textlen, error))
		return false;
	check.origin = checkpoint.origin;
	check.cosigned = calloc((size_t) policy->nnames + 1, sizeof(bool));
	check.times = calloc((size_t) policy->nnames + 1, sizeof(int64_t));
	fine = check.cosigned != NULL && check.times != NULL ?
		policy_check_lines(&check, note, len, error) :
		error_set(error, CORE_INTERNAL, "out of memory");
	for (int i = 0; fine && i < policy->nnames; i++)
	{
		verdict->of += !policy->names[i].is_group;
		if (!check.cosigned[i])
			continue;
		if (verdict->witnesses++ == 0 || check.times[i] < verdict->earliest)
			verdict->earliest = check.times[i];
		if (check.times[i] > verdict->latest)
			verdict->latest = check.times[i];
		if (cosigned != NULL)
			cosigned(state, policy->names[i].name, check.times[i]);
	}
	if (fine)
		verdict->quorum = policy_check_quorum(&check, quorum);
	free(check.cosigned);
	free(check.times);
	return fine;
}
