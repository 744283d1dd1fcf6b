/*
 * read_gate.c: no message goes to the client before what it may be about is recorded.
 *
 * Result rows are held back, and errors wait; but a function may say in a notice what it likes,
 * while the query that calls it is still at work.  So in front of what sends messages to the client
 * there is a look whether something is to be recorded first.  If it cannot be, the notice is
 * dropped, and the query fails when it comes to its end.
 */
#include "postgres.h"

#include "libpq/libpq.h"

#include "access/read_gate.h"

static const PQcommMethods *behind = NULL;
static PQcommMethods gate;
static bool (*gate_settle) (void);

static int
gate_put(char type, const char *text, size_t len)
{
	if (!gate_settle() && type == 'N')
		return 0;
	return behind->putmessage(type, text, len);
}

void
read_gate_close(bool (*settle) (void))
{
	if (PqCommMethods == &gate || PqCommMethods == NULL)
		return;
	gate_settle = settle;
	behind = PqCommMethods;
	gate = *behind;
	gate.putmessage = gate_put;
	PqCommMethods = &gate;
}
