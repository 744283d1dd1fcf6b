/*
 * question.h: medchain's question is asked of every protected table, whatever policies it has.
 */
#ifndef MEDCHAIN_ACCESS_QUESTION_H
#define MEDCHAIN_ACCESS_QUESTION_H

/* From _PG_init, while preloading. */
extern void question_install(void);

#endif
