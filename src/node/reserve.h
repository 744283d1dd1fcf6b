/*
 * reserve.h: parallel queries leave room for the workers that a node needs.
 */
#ifndef MEDCHAIN_NODE_RESERVE_H
#define MEDCHAIN_NODE_RESERVE_H

/* Count what is needed.  Called now and then by the launcher, in a transaction of its own. */
extern void reserve_watch(void);

/* From _PG_init, while preloading. */
extern void reserve_install(void);

#endif
