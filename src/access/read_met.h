/*
 * read_met.h: rows that INSERT ... ON CONFLICT DO UPDATE meets are read, too.
 */
#ifndef MEDCHAIN_ACCESS_READ_MET_H
#define MEDCHAIN_ACCESS_READ_MET_H

extern void read_met_install(void);

#endif
