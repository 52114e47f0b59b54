/* SPDX-License-Identifier: MIT */
/*
 * grant.h: pages under limits: what happens between a request and a refusal.
 *
 * A hard limit is kept by giving back what is idle, then by asking the owner to shed, then by failing. A soft
 * limit is kept by giving back what is idle before growing; it refuses nothing. Limits are on Ready pages, of an
 * arena and of all arenas of the process together (fallow's own bookkeeping is not counted).
 *
 * Threads: any. No lock may be held: the owner's call-back runs in here, and may allocate and free.
 */
#ifndef FL_GRANT_H
#define FL_GRANT_H

#include "pages.h"

/* As fl_pages_try, up the whole ladder. NULL: nothing is lost. */
char *fl_grant(fl_arena *arena, size_t pages, size_t alignment_pages, bool *zeroed);

/* A limit of an arena or the process in bytes, as it was set; 0: none. */
static inline size_t fl_limit_bytes(size_t pages) {
    return pages == SIZE_MAX ? 0 : pages << FL_PAGE_SHIFT;
}

/* In bytes; 0: none. They hold for what is asked for from now on. */
void fl_limits_set(fl_arena *arena, size_t soft_bytes, size_t hard_bytes);
void fl_limits_set_process(size_t soft_bytes, size_t hard_bytes);

/* No more idle memory than so many bytes, but for a moment. */
void fl_limits_set_idle_max(fl_arena *arena, size_t bytes);

/* keeps: idle pages stay but at limits, under pressure and on request. at_once: none stays at all. Neither: the usual. */
void fl_limits_set_policy(fl_arena *arena, bool keeps, bool at_once);

/*
 * Who sheds at the arena's hard limit, at the process's, and when the system has no memory: frees what it can
 * spare of so many bytes, and returns whether it is worth trying again. One thread at a time is in it, and what
 * it allocates itself does not call it again. NULL: nobody.
 */
void fl_limits_on_shortage(fl_arena *arena, bool (*shed)(void *context, size_t bytes), void *context);

/* In the child of a fork: who was being asked, in another thread, is not here. */
void fl_limits_fork_child(fl_arena *arena);

/* Whether the container's limit is followed at all. On to begin with. */
void fl_limits_heed_container(bool heed);

/* Reads the container's memory limit: 90 % of it is the process's soft limit unless the program has set one. Opens files: at
 * start, and by who may (driver.h). */
void fl_limits_follow_container(void);

#endif
