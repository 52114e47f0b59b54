/* SPDX-License-Identifier: MIT */
/*
 * survey.h: one walk over the tables of another process's fallow: every page that it holds, the page's state,
 * and what it is for.
 *
 * The tables are read while the program goes on. Each page is shown once, whatever they say, so sums stay
 * within what there is. If the program is idle meanwhile, all of it is exact.
 */
#ifndef FL_SURVEY_H
#define FL_SURVEY_H

#include "target.h"

typedef enum fl_use {
    FL_USE_SLAB,     /* blocks of a size class */
    FL_USE_LARGE,    /* a block with pages of its own */
    FL_USE_POOL,     /* granted, but in no table: a pool's, or on its way into or out of use */
    FL_USE_SPAN,     /* kept by a thread's heap for its next request */
    FL_USE_IDLE,     /* Ready and granted to nobody */
    FL_USE_STUCK,    /* the same, but the system does not take it back */
    FL_USE_PREPARED, /* free, with no memory behind it */
    FL_USE_GROWING,  /* about to be mapped */
    FL_USE_RESERVED, /* only address space */
    FL_USE_META,     /* fallow's own bookkeeping that is Ready; what is mapped ahead of it is PREPARED */
    FL_USE_COUNT
} fl_use;

#define FL_NO_OWNER UINT32_MAX /* in place of an arena or a heap */

/* A run of pages of one use, within one region unless it is a slab's. */
typedef struct fl_run {
    uint64_t start;
    uint64_t bytes;
    fl_use use;
    bool continues;       /* a block that began in an earlier run */
    uint32_t arena;       /* its index in the survey */
    uint32_t tag;         /* of the heap that owns it; 0: none */
    uint32_t size_class;  /* of a slab; so with the next three */
    uint32_t live;        /* blocks */
    uint64_t decommitted; /* a bit for each unit that is Prepared */
    uint32_t unit_shift;  /* log2 of a unit's bytes */
    uint64_t whole_pages; /* of the slab or block, in all its runs */
} fl_run;

typedef struct fl_seen_class {
    uint64_t block_bytes;
    uint32_t capacity, unit_shift;
} fl_seen_class;

typedef struct fl_seen_arena {
    uint64_t address, parent_address;
    uint32_t slot, parent; /* FL_NO_OWNER if it has none */
    char name[32];
    char *structure; /* as it was read, for fl_target_member */
} fl_seen_arena;

typedef struct fl_seen_place { /* of an arena in the array */
    uint64_t address;
    uint32_t index;
} fl_seen_place;

typedef struct fl_seen_heap {
    uint32_t arena, tag;
    bool has_thread;
} fl_seen_heap;

typedef struct fl_seen_span {
    uint64_t page, pages; /* of the window */
    uint32_t arena, tag;
} fl_seen_span;

typedef struct fl_survey {
    fl_target *target;
    uint64_t base; /* of the window */
    uint64_t pages, regions_at, table_at, os_page_bytes;
    uint64_t page_bytes, region_bytes;
    uint64_t start, end; /* all of fallow's addresses, bookkeeping and window */
    bool reserved_whole;
    fl_seen_class classes[128];
    size_t class_count;
    fl_seen_arena *arenas;
    size_t arena_count;
    fl_seen_place *places; /* by address */
    fl_seen_heap *heaps;   /* by tag */
    size_t heap_count;
    fl_seen_span *spans; /* by page */
    size_t span_count;
} fl_survey;

/* Reads what the walk needs to know. Returns false if that fails; target->wrong says why. */
bool fl_survey_begin(fl_survey *survey, fl_target *target);
void fl_survey_end(fl_survey *survey);

/* Returns the index of the arena at an address, or FL_NO_OWNER. */
uint32_t fl_survey_arena(const fl_survey *survey, uint64_t address);

/* Shows every run once, the lowest address first. */
typedef void fl_survey_visit(void *context, const fl_run *run);
bool fl_survey_walk(const fl_survey *survey, fl_survey_visit *visit, void *context);

uint64_t fl_run_decommitted_bytes(const fl_run *run);

#endif
