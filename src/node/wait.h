/*
 * wait.h: what the workers wait for longer than is good.
 */
#ifndef MEDCHAIN_NODE_WAIT_H
#define MEDCHAIN_NODE_WAIT_H

#define WAIT_LIMIT 5000			/* milliseconds a worker may wait for a lock before it is said; the
								 * same is in lock_waits(), in wait.sql */

/*
 * A line in the log for each of our workers, and of those that apply what peers send, that waits
 * longer: when it is noticed, and then once a minute.  Called now and then, by a process that waits
 * for no lock itself, connected to any database or none.
 */
extern void wait_watch(void);

#endif
