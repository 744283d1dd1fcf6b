/*
 * shown.h: what somebody gave, as an error shows it.
 */
#ifndef MEDCHAIN_NODE_SHOWN_H
#define MEDCHAIN_NODE_SHOWN_H

/* The value itself if it is short, or its beginning and "..."; in the current memory context. */
extern const char *shown(const char *value);

#endif
