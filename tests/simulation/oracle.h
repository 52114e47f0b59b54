/* SPDX-License-Identifier: MIT */
/*
 * oracle.h: what must be true at any moment, between operations, when everybody stands still, and at the end.
 * Each look stops the life at the first thing that is not.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include "world.h"

/* The caller has come to the end of an operation. */
void oracle_after_operation(void);

/* The books of everything whose lock is free. */
void oracle_full(void);

/* Nobody is in an operation. */
void oracle_quiet(void);

/* All that can go has just been asked for, by a thread that nobody disturbed: no slab without an owner has an
 * idle page. */
void oracle_given_back(void);

/* All threads have ended, all was freed and given back. */
void oracle_end(void);

/* The caller must not hold the lock of any arena's pages: it is about to make a call of the system that may
 * take long. */
void oracle_no_pages_lock(const char *what);

#endif
