/*
 * read_filter.h: rows that a scan's filter may tell of, and does not let pass, are read, too.
 */
#ifndef MEDCHAIN_ACCESS_READ_FILTER_H
#define MEDCHAIN_ACCESS_READ_FILTER_H

#include "postgres.h"
#include "nodes/execnodes.h"

/*
 * From here on the scan calls found(arg) with each row that it is at, before a condition is
 * evaluated that may tell of it what it likes.  False: none of its conditions does.  guarded: row
 * security applies, which is asked first.  To be called in the executor's memory.
 */
extern bool read_filter_watch(ScanState * scan, bool guarded, void (*found) (void *), void *arg);

#endif
