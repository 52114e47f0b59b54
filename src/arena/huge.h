/* SPDX-License-Identifier: MIT */
/*
 * huge.h: which regions of an arena are to be in huge pages, as the system is advised. Advice is said without the arena's lock, and
 * nothing here may depend on whether the system heeds it.
 *
 * Asked for are they where a large arena grows for what is filled from its start to its end: a page fault for 2 MiB in place of 512,
 * and, as it begins with 16 MiB in slabs all of whose blocks have been handed out, an eighth of the arena at most, and less the larger
 * it is, resident before it is used. What becomes resident with the first touch becomes Ready then: the
 * rest of such a huge page is idle, counts for limits, and goes back as other idle pages do.
 *
 * Not wanted are they (THP "always") in a small arena, whose first touch would cost 2 MiB; and in a region of which something
 * has gone back, or khugepaged would make it resident again. Such a region may have them again once it is in use without a gap, or
 * once nothing of it is in use or Ready.
 */
#ifndef FL_HUGE_H
#define FL_HUGE_H

#include "chunks.h"
#include "pagearena.h"

/* For the whole process; before any arena grows. */
void fl_huge_pages_ask(bool asks);

/* Does the system make huge pages of the arena's memory by itself? */
bool fl_huge_pages_come(const fl_pagearena *arena);

/* Are they to be asked for where a region is mapped for such a grant? Not wanted, where an arena grows by so many chunks? Under the
 * arena's lock. */
bool fl_huge_is_wanted(const fl_pagearena *arena, fl_how how);
bool fl_huge_is_unwanted(const fl_pagearena *arena, const fl_region *region, size_t chunks);

/* The region is being mapped, and the advice is said. */
void fl_huge_note(fl_region *region, bool asked, bool small);

/*
 * Advice for a region that differs from its neighbours' costs two mappings, and so it does when it is taken back: the system
 * knows no way to take back what was never said. So of all regions of the process no more than these are advised after they
 * have grown, or ask; beyond, the system does as it likes. A region counts until nothing of it is mapped. (One that asked can
 * be advised again, and has to: or what has gone of it would come back.)
 */
#define FL_ADVISED_MAX ((size_t)4096)

/* Counted with no order: the number guards nothing. */
extern _Atomic size_t fl_advised;

/*
 * Part of these pages is about to go, or has gone: their regions are not to become whole again by huge pages. Returns mapped
 * ranges for osmem_no_huge_page, to be called without the lock: at most max, of regions that are not small yet. Under
 * the arena's lock.
 */
size_t fl_huge_make_small(const fl_pagearena *arena, const osmem_range *pages, osmem_range *mapped,
                          size_t max);

/* A range of Ready pages is about to go: does it end within a huge page that is whole, as far as is known, and is to be split?
 * From then on it is. Under the arena's lock. */
bool fl_huge_splits(const fl_pagearena *arena, const osmem_range *range);

/* Parts of what is in use in a region have gone. */
void fl_huge_note_purged(const fl_pagearena *arena, fl_region *region);

/* A fork: its huge pages are not split as long as the child has them too, and nobody says so. */
void fl_huge_note_fork(void);

/* Before pages of a region are granted: it may have huge pages again, since it is as it was when it grew; or is to have no more, since
 * what comes to lie in whole new ones may stay empty. After it: may have them again, since all of it is used. Under the arena's lock;
 * true: who holds it calls fl_huge_leave_small when he has let go of it. */
bool fl_huge_changes_mind(const fl_pagearena *arena, const fl_piece *piece, fl_how how);
bool fl_huge_is_dense_again(const fl_region *region);

/* The grant has failed: regions that were new again are as they were before. Under the arena's lock. */
void fl_huge_stay_small(size_t page, size_t pages);

/* Advice is said for those regions of a run of which it has changed: a system call for each, so without the lock. The
 * run was granted and nobody else knows of it yet, so that its regions stay. */
void fl_huge_leave_small(fl_pagearena *arena, size_t page, size_t pages);

/* Of a region that is in huge pages as far as anybody knows, these pages are about to be touched: [*first, *end) becomes resident.
 * False: only they do. Under the arena's lock. */
bool fl_huge_widen(const fl_pagearena *arena, const fl_region *region, size_t *first, size_t *end);

/* Nothing of a region is mapped any more. Has what guards its chunks. */
void fl_huge_forget(fl_region *region);

#endif
