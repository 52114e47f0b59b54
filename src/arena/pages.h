/* SPDX-License-Identifier: MIT */
/*
 * pages.h: an arena of pages, the owner of regions. It grants runs of pages, takes them back, and gives idle
 * ones back to the system. It knows nothing of blocks, nor of what to do at a limit (grant.h).
 *
 *     granted:   Prepared or idle Ready pages ──▶ in use      (Ready afterwards; but see fl_pages_try_lazily)
 *     returned:  in use ──▶ idle                              (still Ready: the cheapest to grant again)
 *     scavenged: idle ──▶ Prepared                            (the system has the memory back)
 *
 * Threads: any thread may call any function; the arena's lock makes it so. The lock is not held across system
 * calls: growth holds the arena's ground lock across them, and giving back holds the arena's upkeep. (There
 * are three rare exceptions: unmapping chunks because the system has no memory, mapping afresh what was moved
 * to, and a slab that dies at a limit with a page that is Ready in part: fl_slab_level.)
 */
#ifndef FL_PAGES_H
#define FL_PAGES_H

#include "pagearena.h"

/* parent: the stat that includes this arena's. backend NULL: the system's. name is kept, not copied. */
void fl_pagearena_init(fl_pagearena *arena, const char *name, const osmem_backend *backend,
                       osmem_stat *parent);

/* The same, below another arena, which must outlive this one unless this one goes to another parent first
 * (family.h). */
void fl_pagearena_init_below(fl_pagearena *arena, const char *name, const osmem_backend *backend,
                             fl_pagearena *parent);

/* Makes everything None; what the system does not take back now is tried again when another region is given
 * back. Nobody may use the arena or anything in it any more; its table entries have been cleared. */
void fl_pagearena_end(fl_pagearena *arena);

/*
 * Grants pages (a multiple of the window's grain) at an alignment in pages (a power of two), at the lowest
 * address where they fit. *zeroed says whether all of it reads as zero. Returns NULL, and nothing is lost;
 * *shortage says why.
 */
char *fl_pages_try(fl_pagearena *arena, size_t pages, size_t alignment_pages, fl_how how, bool *zeroed,
                   fl_shortage *shortage);

/*
 * The same for a caller that makes Ready what it uses, little by little: Prepared pages stay so, do not count
 * for limits, and get a bit in *prepared. At most 64 pages. Only the system can refuse this.
 */
char *fl_pages_try_lazily(fl_pagearena *arena, size_t pages, uint64_t *prepared, bool *zeroed,
                          fl_shortage *shortage);

/* Grants the pages right behind [start, start + pages) as well. Returns false if they are not free or a limit
 * is in the way. */
bool fl_pages_extend(fl_pagearena *arena, char *start, size_t pages, size_t more_pages);

/* Takes pages back; they need not be all that was granted together. */
void fl_pages_return(fl_pagearena *arena, char *start, size_t pages);

/* The same for pages that are Prepared by now: they do not become idle. */
void fl_pages_return_empty(fl_pagearena *arena, char *start, size_t pages);

/* The same for at most 64 pages; those with a bit in `prepared` are Prepared, count as decommitted, and do
 * not count for limits. */
void fl_pages_return_partly(fl_pagearena *arena, char *start, size_t pages, uint64_t prepared);

/* Records that of granted pages those with a bit in `prepared` are such; all are about to be returned with
 * all others. */
void fl_pages_note_prepared(fl_pagearena *arena, const char *start, uint64_t prepared);

/* Records that granted pages are None: the system took them away (OSMEM_LOST). Nobody is granted them
 * again. */
void fl_pages_lose(fl_pagearena *arena, const char *start, size_t pages);

/* Counts what the system kept (locked memory) as idle again, to be asked for again. */
void fl_pages_forget_kept(fl_pagearena *arena);

/* Takes back all that was granted, at once. Nobody uses the arena or anything in it, the scavenger
 * included. */
void fl_pages_return_all(fl_pagearena *arena);

#endif
