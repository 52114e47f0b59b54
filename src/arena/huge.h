/* SPDX-License-Identifier: MIT */
/*
 * huge.h: which regions of an arena should be in huge pages, and how the system is advised. The advice is
 * given without the arena's lock, but where pages are mapped afresh (moves.c); and nothing here may depend on
 * whether the system heeds it.
 *
 * The arena asks for huge pages where it is large and grows for what is filled from its start to its end.
 * That means one page fault for 2 MiB instead of 512. It starts once slabs all of whose blocks have been
 * handed out take 16 MiB, so at most an eighth of the arena is resident before it is used, and less the
 * larger the arena is. What becomes resident with the first touch becomes Ready then: the rest of such a huge
 * page is idle, counts for limits, and goes back as other idle pages do.
 *
 * The arena does not want huge pages (THP "always") while it is small, since its first touch would cost 2
 * MiB; nor in a region of which something has gone back, since khugepaged would make it resident again. Such
 * a region may have them again once it is in use without a gap, or once nothing of it is in use or Ready.
 */
#ifndef FL_HUGE_H
#define FL_HUGE_H

#include "chunks.h"
#include "pagearena.h"

/* Says whether to ask at all, for the whole process; before any arena grows. */
void fl_huge_pages_ask(bool asks);

/* Returns whether the system makes huge pages of the arena's memory by itself. */
bool fl_huge_pages_come(const fl_pagearena *arena);

/* Return whether to ask for huge pages when mapping a region for such a grant; whether to decline them when
 * growing by so many chunks. Caller holds the arena's lock. */
bool fl_huge_is_wanted(const fl_pagearena *arena, fl_how how);
bool fl_huge_is_unwanted(const fl_pagearena *arena, const fl_region *region, size_t chunks);

/* Records the advice for a region that is being mapped. */
void fl_huge_note(fl_region *region, bool asked, bool small);

/*
 * Advice for a region that differs from its neighbours' costs two mappings, and so does taking it back: the
 * system cannot forget advice. So no more regions of the process than these are advised after they have
 * grown, or ask; for others the system does as it likes. A region counts until nothing of it is mapped. (One
 * that asked may be advised again, and must be: otherwise what has gone of it would come back.)
 */
#define FL_ADVISED_MAX ((size_t)4096)

/* Relaxed: the number guards nothing. */
extern _Atomic size_t fl_advised;

/*
 * Keeps the regions of pages that are about to go, or have gone in part, from becoming whole again by huge
 * pages. Returns at most max mapped ranges, of regions that are not small yet, for the caller to pass to
 * osmem_no_huge_page without the lock. Caller holds the arena's lock.
 */
size_t fl_huge_make_small(const fl_pagearena *arena, const osmem_range *pages, osmem_range *mapped,
                          size_t max);

/* Returns whether a range of Ready pages that is about to go ends within a huge page that is whole, as far as
 * is known, and should be split; counts it as split from then on. Caller holds the arena's lock. */
bool fl_huge_splits(const fl_pagearena *arena, const osmem_range *range);

/*
 * Returns whether the huge page that a page of a region lies in is to stay as it is while the program is at
 * work: it is whole, as far as is known, and less than a quarter of it could go: what is idle, and so many
 * pages more. To split it costs a miss in the processor's table, or more, for each of its pages, and the
 * system seldom makes it whole again. (As C. Hunter et al., "Beyond malloc efficiency to fleet efficiency",
 * OSDI 2021, prefer whole huge pages.) Caller holds the arena's lock.
 */
bool fl_huge_is_to_stay(const fl_pagearena *arena, const fl_region *region, size_t page, size_t more_pages);

/* Records that parts of what is in use in a region have gone. */
void fl_huge_note_purged(const fl_pagearena *arena, fl_region *region);

/* Records a fork: a huge page cannot be split while the child has it too, and nobody tells when that ends. */
void fl_huge_note_fork(void);

/* Before pages of a region are granted: the region may have huge pages again, since it is as it was when it
 * grew; or is to have no more, since what will lie in whole new ones may stay empty. After it: it may have
 * them again, since all of it is in use. Caller holds the arena's lock; if true, it calls fl_huge_leave_small
 * once it has dropped the lock. */
bool fl_huge_changes_mind(const fl_pagearena *arena, const fl_piece *piece, fl_how how);
bool fl_huge_is_dense_again(const fl_region *region);

/* Restores regions that were new again, after the grant has failed. Caller holds the arena's lock. */
void fl_huge_stay_small(size_t page, size_t pages);

/* Gives the advice for those regions of a run for which it has changed: a system call for each, so without
 * the lock. The run was just granted and nobody else knows it yet, so its regions stay. */
void fl_huge_leave_small(fl_pagearena *arena, size_t page, size_t pages);

/* Returns whether huge pages of a region may be there or come. Caller holds the arena's lock. */
bool fl_huge_is_expected(const fl_pagearena *arena, const fl_region *region);

/* Tells what becomes resident when pages of a region are touched: [*first, *end) if the region is in huge
 * pages, as far as anybody knows; returns false if only these pages. Caller holds the arena's lock. */
bool fl_huge_widen(const fl_pagearena *arena, const fl_region *region, size_t *first, size_t *end);

/* Forgets the advice for a region of which nothing is mapped any more. Caller holds what guards its
 * chunks. */
void fl_huge_forget(fl_region *region);

#endif
