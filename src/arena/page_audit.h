/* SPDX-License-Identifier: MIT */
/*
 * page_audit.h: walks the books of an arena's pages, of a heap's spans and of the window, and stops the
 * process at the first two entries that contradict each other: "audit of <address>: <what> is so, but <other>
 * …". For checking builds only.
 *
 * Threads: an audit takes no lock, so a simulator that has stopped every other thread may call it whatever
 * these hold. The caller holds the lock that guards the structure, or has stopped every other thread at a
 * moment when nobody holds it. An audit changes nothing, and never looks at the memory that the books are
 * about.
 */
#ifndef FL_PAGE_AUDIT_H
#define FL_PAGE_AUDIT_H

#include "spans.h"

#if FL_CHECKS >= 2

/*
 * Checks regions, tree, bits, sums, and page by page what osmem's checker has recorded. Caller holds
 * arena->lock. Not for use from fl_pagearena_end on, which works without the lock.
 */
void fl_audit_pages(const fl_pagearena *arena);

/* Checks the pages of spans in their slots: granted, nobody's in the table, each in one slot. Threads that
 * take spans out or grant pages are stopped, or have none of this arena's in their hands. */
void fl_audit_spans(const fl_spans *spans, const fl_pagearena *arena);

/* Checks regions taken, owned, kept. Caller holds the lock of the window. Returns how many are on their way:
 * taken but nobody's, in the hands of a thread that releases them. */
size_t fl_audit_window(void);

/* Checks that these pages are granted to the arena, and Ready as far as its books say. */
void fl_audit_granted(const fl_pagearena *arena, const char *start, size_t pages, const char *otherwise);

/* Stop the process if what an audit finds contradicts the books, and say so. */
void fl_audit_that(bool holds, const void *address, const char *otherwise);
void fl_audit_equal(const void *address, const char *what, size_t is, const char *other, size_t comes_to);

#endif

#endif
