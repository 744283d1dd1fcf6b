/*
 * gate.h: what somebody may not do is refused before it waits for a lock.
 */
#ifndef MEDCHAIN_NODE_GATE_H
#define MEDCHAIN_NODE_GATE_H

/* From _PG_init, while preloading, behind all others that watch commands: it comes before them. */
extern void gate_install(void);

#endif
