/*
 * log_limit.h: what processes that serve peers say in the log, and how often.
 */
#ifndef MEDCHAIN_SYNC_LOG_LIMIT_H
#define MEDCHAIN_SYNC_LOG_LIMIT_H

extern void log_limit_install(void);

#endif
