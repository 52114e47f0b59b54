/* SPDX-License-Identifier: MIT */
/*
 * pages.h: an arena of pages, the owner of regions. It grants runs of pages, takes them back, and gives idle
 * ones back to the system; it knows nothing of blocks, nor what to do at a limit (grant.h).
 *
 *     granted:   Prepared or idle Ready pages ──▶ in use      (Ready afterwards, all of them)
 *     returned:  in use ──▶ idle                              (still Ready: the cheapest to grant again)
 *     scavenged: idle ──▶ Prepared                            (the system has the memory back)
 *
 * Threads: everything may be called from any thread; the arena's lock makes it so. It is not held across system calls:
 * growth holds the arena's ground lock across them, and what gives memory back has the arena's upkeep. (But for two that are rare:
 * chunks that are unmapped because the system has no memory, and moved places that are mapped afresh.)
 */
#ifndef FL_PAGES_H
#define FL_PAGES_H

#include "pagearena.h"

/* parent: the stat that includes this arena's. backend NULL: the system's. name is kept, not copied. */
void fl_pagearena_init(fl_pagearena *arena, const char *name, const osmem_backend *backend,
                       osmem_stat *parent);

/* The same, below another arena, which must outlive it unless it goes to another parent first (family.h). */
void fl_pagearena_init_below(fl_pagearena *arena, const char *name, const osmem_backend *backend,
                             fl_pagearena *parent);

/* Everything to None; what the system does not take back now is tried again when another region is given back. Nobody may
 * use the arena or anything in it; table entries must be cleared before. */
void fl_pagearena_end(fl_pagearena *arena);

/*
 * Grants pages (a multiple of the window's grain) at an alignment in pages (a power of two), at the lowest address
 * where they fit. *zeroed says whether all of it reads as zero. NULL: *shortage says why; nothing is lost.
 */
char *fl_pages_try(fl_pagearena *arena, size_t pages, size_t alignment_pages, fl_how how, bool *zeroed,
                   fl_shortage *shortage);

/*
 * The same for who makes Ready himself, by and by, what he uses: pages that are Prepared stay so, are not counted for limits,
 * and get a bit in *prepared. At most 64 pages. The system alone can refuse this.
 */
char *fl_pages_try_lazily(fl_pagearena *arena, size_t pages, uint64_t *prepared, bool *zeroed,
                          fl_shortage *shortage);

/* Grants the pages right behind [start, start + pages) as well, if they are free and no limit is in the way. */
bool fl_pages_extend(fl_pagearena *arena, char *start, size_t pages, size_t more_pages);

/* Takes pages back; they need not be all that was granted together. */
void fl_pages_return(fl_pagearena *arena, char *start, size_t pages);

/* The same of pages behind which there is no memory any more: Prepared, not idle. */
void fl_pages_return_empty(fl_pagearena *arena, char *start, size_t pages);

/* The same of at most 64 pages, of which those with a bit in `prepared` are Prepared, count as decommitted, and no longer for limits. */
void fl_pages_return_partly(fl_pagearena *arena, char *start, size_t pages, uint64_t prepared);

/* Of granted pages, those with a bit in `prepared` are Prepared, likewise; all are about to be returned with all others. */
void fl_pages_note_prepared(fl_pagearena *arena, const char *start, uint64_t prepared);

/* Pages that were granted are None: the system took them away (OSMEM_LOST). Nobody is granted them again. */
void fl_pages_lose(fl_pagearena *arena, const char *start, size_t pages);

/* What the system kept (locked memory) counts as idle again, and is asked for again. */
void fl_pages_forget_kept(fl_pagearena *arena);

/* All that was granted, at once; nobody uses the arena or anything in it, the scavenger neither. */
void fl_pages_return_all(fl_pagearena *arena);

#endif
