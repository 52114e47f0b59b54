/* SPDX-License-Identifier: MIT */
/*
 * spans.h: a few spans that one heap gave up lately and keeps for its next requests, so that most of these
 * take no lock: a slab that has died, a large block that was freed.
 *
 * They are bounded: FL_SPANS_PAGES_MAX in all, and beside these one span of more than half of that and no
 * more than all of it. The long span gives way to everything: when a request finds no span, it goes back to
 * the arena before pages are granted. So it never stands beside what could have been made of it, and does not
 * raise the heap's peak.
 *
 * To their arena the spans are still granted. Each lies in a slot as one word (page, length) and is taken out
 * by an exchange, so the scavenger can take spans too, from a heap whose thread sleeps. Only the heap's own
 * thread puts spans in.
 */
#ifndef FL_SPANS_H
#define FL_SPANS_H

#include "grant.h"
#include "limits.h"
#include "pagearena.h"

#define FL_SPANS_LARGE 32 /* the slot for a long one */
#define FL_SPANS_SLOTS (FL_SPANS_LARGE + 1)
#define FL_SPANS_PAGES_MAX ((size_t)128) /* in all other slots together, and in that one */

typedef struct fl_spans {
    _Atomic uint64_t slots[FL_SPANS_SLOTS]; /* page << 32 | pages; 0: empty */
    unsigned next;                          /* the next to give way when all are full; the owner's */
} fl_spans;

/* Takes a span of so many pages. Returns NULL if there is none; the long one has then been returned. */
char *fl_spans_take(fl_spans *spans, fl_pagearena *arena, size_t pages);

/* The same of an eighth more at most; *pages becomes its length. */
char *fl_spans_take_longer(fl_spans *spans, fl_pagearena *arena, size_t *pages);

/*
 * The same two, but what is not kept is granted (grant.h): NULL if that is refused. *zeroed says whether all
 * of it reads as zero. For a slab, which makes Ready what it uses: near a limit, pages that are Prepared stay
 * so, with a bit in *prepared. Inline, since the deepest path of malloc has no room for one more frame.
 */
static inline char *fl_spans_take_or_grant(fl_spans *spans, fl_pagearena *arena, size_t pages, fl_how how,
                                           uint64_t *prepared, bool *zeroed) {
    *prepared = 0;
    *zeroed = false;
    char *start = fl_spans_take(spans, arena, pages);
    return start ? start
           : fl_limits_are_far(arena, pages << FL_PAGE_SHIFT)
               ? fl_grant(arena, pages, 1, how, zeroed)
               : fl_grant_lazily(arena, pages, prepared, zeroed);
}

static inline char *fl_spans_take_longer_or_grant(fl_spans *spans, fl_pagearena *arena, size_t *pages,
                                                  bool *zeroed) {
    *zeroed = false;
    char *start = fl_spans_take_longer(spans, arena, pages);
    return start ? start : fl_grant(arena, *pages, 1, FL_FILLED_PERHAPS, zeroed);
}

/* Keeps a span, or returns it to the arena; an older one may have to go for it. Owner only. */
void fl_spans_put(fl_spans *spans, fl_pagearena *arena, char *start, size_t pages);

/* Returns all to the arena. From any thread. */
void fl_spans_flush(fl_spans *spans, fl_pagearena *arena);

#endif
