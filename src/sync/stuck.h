/*
 * stuck.h: chains whose next block is held, and does not get further.
 */
#ifndef MEDCHAIN_SYNC_STUCK_H
#define MEDCHAIN_SYNC_STUCK_H

/*
 * Have peers asked again for chains that stand where they stood at the last call, though their next
 * block came from that peer: what it closes over did not, whoever kept it back.  In a trusted
 * scope.
 */
extern void stuck_look(void);

#endif
