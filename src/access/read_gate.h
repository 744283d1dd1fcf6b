/*
 * read_gate.h: no message goes to the client before what it may be about is recorded.
 */
#ifndef MEDCHAIN_ACCESS_READ_GATE_H
#define MEDCHAIN_ACCESS_READ_GATE_H

/*
 * From now on, in this session.  settle records what is to be recorded; false: that cannot be.  It
 * raises no error.
 */
extern void read_gate_close(bool (*settle) (void));

#endif
