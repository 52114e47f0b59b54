/* SPDX-License-Identifier: MIT */
#include "growth.h"

#include "../system/fatal.h"
#include "chunks.h"
#include "huge.h"
#include "regions.h"

/* Chunks are numbered like pages: from the window's start on. */

typedef struct growth_step {
    size_t first, end; /* chunks of the arena, all None or all Reserved, all to be small or none */
    bool reserved;
    bool reserves; /* reserves their region whole first */
    bool small;    /* no huge pages are wanted here */
    bool huge;     /* huge pages are asked for */
} growth_step;

static fl_region *region_of_chunk(size_t chunk) {
    return &fl_the_window.regions[chunk / FL_REGION_CHUNKS];
}

static size_t chunks_reached(void) {
    return atomic_load_explicit(&fl_the_window.pages, memory_order_relaxed) / FL_CHUNK_PAGES;
}

/* Free, the arena's, and not mapped. */
static bool can_grow(const fl_pagearena *arena, size_t chunk) {
    const fl_region *region = region_of_chunk(chunk);
    return fl_region_is_of(region, arena) &&
           !fl_has_chunk(region->mapped | region->lost, chunk % FL_REGION_CHUNKS);
}

static bool is_reserved(size_t chunk) {
    return fl_has_chunk(region_of_chunk(chunk)->reserved, chunk % FL_REGION_CHUNKS);
}

static bool is_mapped(size_t page, size_t pages) {
    for (fl_piece piece; fl_next_piece(&page, &pages, &piece);) {
        fl_chunks chunks = fl_chunk_bits(piece.first / FL_CHUNK_PAGES,
                                         (piece.first + piece.pages + FL_CHUNK_PAGES - 1) / FL_CHUNK_PAGES);
        if (chunks & ~piece.region->mapped)
            return false;
    }
    return true;
}

#define AHEAD_CHUNKS_MAX FL_REGION_CHUNKS

static size_t region_end(size_t chunk) {
    return (chunk / FL_REGION_CHUNKS + 1) * FL_REGION_CHUNKS;
}

/* The first chunks that are missing below needed_end, and up to AHEAD_CHUNKS_MAX beyond, so that mappings
 * double. */
static growth_step next_step(const fl_pagearena *arena, size_t first, size_t needed_end, fl_how how) {
    while (fl_has_chunk(region_of_chunk(first)->mapped, first % FL_REGION_CHUNKS))
        first++;
    FL_ASSERT(first < needed_end && can_grow(arena, first));
    growth_step it = {.first = first, .end = first + 1, .reserved = is_reserved(first)};
    size_t ahead = arena->chunks_mapped < AHEAD_CHUNKS_MAX ? arena->chunks_mapped : AHEAD_CHUNKS_MAX;
    size_t limit = first + ahead > needed_end ? first + ahead : needed_end;
    bool wanted = fl_huge_is_wanted(arena, how);
    it.huge = wanted && first % FL_REGION_CHUNKS == 0 && !region_of_chunk(first)->mapped;
    if (it.huge)
        limit = region_end(limit - 1); /* whole regions, so that the next step is one too */
    else if (wanted && limit > region_end(first))
        limit = region_end(first); /* ends this step there, for the same reason */
    if (limit > chunks_reached())
        limit = chunks_reached();
    if (arena->stat.traits.reservations_apart) {
        limit = limit < region_end(first) ? limit : region_end(first);
        it.reserves = !region_of_chunk(first)->reserved && !region_of_chunk(first)->mapped;
    }
    it.small = !it.huge && fl_huge_is_unwanted(arena, region_of_chunk(first), limit - first);
    while (it.end < limit && can_grow(arena, it.end) && is_reserved(it.end) == it.reserved &&
           (it.end % FL_REGION_CHUNKS ||
            (it.huge ? !region_of_chunk(it.end)->mapped
                     : fl_huge_is_unwanted(arena, region_of_chunk(it.end), limit - first) == it.small)))
        it.end++;
    return it;
}

typedef enum chunk_change { BEGINS, FAILS, GROWS, IS_LOST } chunk_change;

static void change_chunks(fl_pagearena *arena, fl_region *region, fl_chunks chunks, chunk_change change) {
    size_t first = (size_t)__builtin_ctz(chunks) * FL_CHUNK_PAGES;
    size_t pages = (size_t)__builtin_popcount(chunks) * FL_CHUNK_PAGES;
    FL_ASSERT((region->growing & chunks) == (change == BEGINS ? 0 : chunks));
    if (change == BEGINS) {
        region->growing |= chunks;
        fl_pagebits_set(region->in_use, first, pages);
    } else
        region->growing &= ~chunks;
    if (change == GROWS) {
        region->mapped |= chunks;
        region->reserved &= ~chunks;
        fl_pagebits_set(region->prepared, first, pages);
        arena->chunks_mapped += pages / FL_CHUNK_PAGES;
    }
    if (change == IS_LOST)
        region->lost |= chunks;
    else if (change != BEGINS)
        fl_pagebits_clear(region->in_use, first, pages);
    fl_pagetree_update(region);
}

static void change_all(fl_pagearena *arena, size_t first, size_t end, chunk_change change,
                       const growth_step *step) {
    for (size_t chunk = first, next; chunk < end; chunk = next) {
        fl_region *region = region_of_chunk(chunk);
        next = region_end(chunk) < end ? region_end(chunk) : end;
        if (change == GROWS && !region->mapped)
            fl_huge_note(region, step->huge && next - chunk == FL_REGION_CHUNKS, step->small);
        size_t place = chunk % FL_REGION_CHUNKS;
        change_chunks(arena, region, fl_chunk_bits(place, place + next - chunk), change);
    }
}

static char *address_of_chunk(size_t chunk) {
    return fl_chunk_start(region_of_chunk(chunk), chunk % FL_REGION_CHUNKS);
}

/*
 * The system's part, without the arena's lock. It makes a new mapping each time, which the kernel merges with
 * the one before if that is unchanged. To mremap the one before would hand down what the program has made of
 * its last blocks (locked, read-only, not for children).
 */
static osmem_result prepare(fl_pagearena *arena, growth_step *step) {
    char *start = address_of_chunk(step->first);
    size_t bytes = (step->end - step->first) * FL_CHUNK_BYTES;
    osmem_result result = OSMEM_OK;
    if (step->reserves) {
        result =
            osmem_reserve_at(fl_region_start(region_of_chunk(step->first)), FL_REGION_BYTES, &arena->stat);
        step->reserved = result == OSMEM_OK;
        step->reserves = !step->reserved;
    }
    if (result == OSMEM_OK)
        result = step->reserved ? osmem_map(start, bytes, &arena->stat)
                                : osmem_prepare(start, bytes, &arena->stat);
    /* Whatever else the system says (a sandbox), it would say of the next chunk too. */
    return result == OSMEM_OK || (result == OSMEM_TAKEN && !step->reserved) ? result : OSMEM_NOMEM;
}

/* Each try after the first is shorter, so this ends: first no chunk beyond what is needed; then one chunk, to
 * find out who is in the way. */
static osmem_result prepare_some(fl_pagearena *arena, growth_step *step, size_t needed_end, size_t *calls) {
    osmem_result result;
    for (;; step->end = result == OSMEM_NOMEM ? needed_end : step->first + 1) {
        *calls += step->reserves ? 2 : 1;
        result = prepare(arena, step);
        if (result == OSMEM_OK || (result == OSMEM_NOMEM && step->end <= needed_end) ||
            (result == OSMEM_TAKEN && step->end == step->first + 1))
            break;
    }
    size_t whole = (step->end - step->first) / FL_REGION_CHUNKS * FL_REGION_CHUNKS;
    size_t advised = step->huge ? whole : step->small ? step->end - step->first : 0;
    if (result == OSMEM_OK && advised) {
        /* A hint, on a mapping that nobody else knows yet; it does not matter whether it is heeded. */
        osmem_result ignored = (step->huge ? osmem_huge_page : osmem_no_huge_page)(
            address_of_chunk(step->first), advised * FL_CHUNK_BYTES, &arena->stat);
        (void)ignored;
        ++*calls;
    }
    return result;
}

/*
 * Takes one step towards a run of free pages of the arena that is not mapped in full; if all of it can be
 * had, some beyond it too. Returns OSMEM_OK, or OSMEM_TAKEN if somebody else sits in a chunk, which from now
 * on counts as in use; after either, look again: others may have been granted what was free before. Returns
 * OSMEM_NOMEM: not now. Caller holds the ground lock and the arena's, which the step drops and takes again.
 */
static osmem_result take_step(fl_pagearena *arena, size_t page, size_t pages, fl_how how) {
    size_t needed_end = (page + pages + FL_CHUNK_PAGES - 1) / FL_CHUNK_PAGES, calls = 0;
    growth_step step = next_step(arena, page / FL_CHUNK_PAGES, needed_end, how);
    size_t marked_end = step.end;
    bool was_reserved = step.reserved;
    change_all(arena, step.first, marked_end, BEGINS, &step);
    fl_lock_drop(&arena->lock);
    osmem_result result = prepare_some(arena, &step, needed_end, &calls);
    fl_lock_take(&arena->lock);
    fl_counter_add(&arena->system_calls, calls);
    if (step.reserved && !was_reserved)
        region_of_chunk(step.first)->reserved = FL_CHUNKS_ALL;
    change_all(arena, step.first, step.end,
               result == OSMEM_OK      ? GROWS
               : result == OSMEM_TAKEN ? IS_LOST
                                       : FAILS,
               &step);
    change_all(arena, step.end, marked_end, FAILS, &step);
    return result;
}

static size_t aligned_up(size_t page, size_t alignment) {
    size_t first = fl_the_window.base >> FL_PAGE_SHIFT; /* addresses are aligned, not page numbers */
    return ((first + page + alignment - 1) & ~(alignment - 1)) - first;
}

/* Finds the lowest run, if it is long enough from an aligned page on; else the lowest that is long enough for
 * any. */
static size_t find_aligned(const fl_pagearena *arena, size_t pages, size_t alignment) {
    size_t page = fl_pagetree_find(&arena->tree, pages);
    if (page == FL_PAGEBITS_NONE || aligned_up(page, alignment) == page)
        return page;
    page = fl_pagetree_find(&arena->tree, pages + alignment - fl_the_window.grain_pages);
    return page == FL_PAGEBITS_NONE ? page : aligned_up(page, alignment);
}

/* Finds the lowest free run that is mapped, without growth, for when no more can be mapped. Looks
 * everywhere. */
static size_t find_mapped(const fl_pagearena *arena, size_t pages, size_t alignment) {
    size_t start = 0, end = 0; /* of the run so far */
    for (size_t index = 0;; index++) {
        const fl_region *region = fl_pagetree_next(&arena->tree, index);
        if (!region)
            return FL_PAGEBITS_NONE;
        uint64_t taken[FL_REGION_WORDS];
        for (size_t word = 0; word < FL_REGION_WORDS; word++)
            taken[word] = region->in_use[word] | ~fl_region_mapped_word(region, word);
        index = fl_region_index(region);
        size_t base = index * FL_REGION_PAGES, past;
        for (size_t at = 0; (at = fl_pagebits_next_clear(taken, at, FL_REGION_PAGES)) < FL_REGION_PAGES;
             at = past) {
            past = fl_pagebits_next_set(taken, at, FL_REGION_PAGES);
            if (base + at != end)
                start = base + at;
            end = base + past;
            size_t aligned = aligned_up(start, alignment);
            if (aligned < end && end - aligned >= pages)
                return aligned;
        }
    }
}

/* Finds a run, with growth if needed. Caller holds the ground lock too; the arena's is dropped in between. */
static size_t grow_ground(fl_pagearena *arena, size_t pages, size_t alignment, fl_how how) {
    for (;;) {
        size_t page = find_aligned(arena, pages, alignment);
        if (page == FL_PAGEBITS_NONE) {
            fl_lock_drop(&arena->lock);
            bool added =
                fl_regions_add(arena, pages + (alignment > fl_the_window.grain_pages ? alignment : 0));
            fl_lock_take(&arena->lock);
            if (!added)
                return find_mapped(arena, pages, alignment);
        } else if (is_mapped(page, pages))
            return page;
        else if (take_step(arena, page, pages, how) == OSMEM_NOMEM)
            return find_mapped(arena, pages, alignment);
    }
}

size_t fl_growth_find(fl_pagearena *arena, size_t pages, size_t alignment, fl_how how) {
    size_t page = find_aligned(arena, pages, alignment);
    if (page != FL_PAGEBITS_NONE && is_mapped(page, pages))
        return page;
    fl_lock_drop(&arena->lock);
    fl_lock_take(&arena->ground_lock);
    fl_lock_take(&arena->lock);
    page = grow_ground(arena, pages, alignment, how);
    fl_lock_drop(&arena->ground_lock);
    return page;
}

static bool is_free(const fl_pagearena *arena, size_t page, size_t pages) {
    if (page + pages > atomic_load_explicit(&fl_the_window.pages, memory_order_relaxed))
        return false;
    for (fl_piece piece; fl_next_piece(&page, &pages, &piece);)
        if (!fl_region_is_of(piece.region, arena) ||
            fl_pagebits_next_set(piece.region->in_use, piece.first, piece.first + piece.pages) <
                piece.first + piece.pages)
            return false;
    return true;
}

/* Grows into that run and no other, unless somebody is quicker. Drops the arena's lock in between. */
static bool grow_into(fl_pagearena *arena, size_t page, size_t pages) {
    bool grown = false, refused = false;
    fl_lock_drop(&arena->lock);
    fl_lock_take(&arena->ground_lock);
    fl_lock_take(&arena->lock);
    while (!grown && !refused && is_free(arena, page, pages)) {
        grown = is_mapped(page, pages);
        refused = !grown && take_step(arena, page, pages, FL_FILLED_PERHAPS) == OSMEM_NOMEM;
    }
    fl_lock_drop(&arena->ground_lock);
    return grown;
}

bool fl_growth_into(fl_pagearena *arena, size_t page, size_t pages) {
    return is_free(arena, page, pages) && (is_mapped(page, pages) || grow_into(arena, page, pages));
}
