/* SPDX-License-Identifier: MIT */
/*
 * fixedrepair.c: checks whether the books of an allocator in given memory agree, and makes them anew from the
 * chunks themselves. It must never take for free what may be somebody's. A chunk is free if its tag, its last
 * word and the tag behind say so. Behind a damaged tag, everything up to the next chunk that is free without
 * doubt is lost, that is, stays as it is.
 */
#include <errno.h>

#include "fixedcheck.h"
#include "fixedlists.h"
#include "fixedlog.h"

/* Returns the lowest chunk above `place` that is free without doubt: lists begin in the books, not in what
 * blocks hold. Returns the end if there is none. */
static size_t free_chunk_above(const fallow_fixed *fixed, size_t place) {
    size_t lowest = end_of(fixed);
    for (unsigned list = 0; list < LISTS; list++) {
        size_t chunk = 0;
        while (fl_fixed_next_in_list(fixed, list, &chunk))
            lowest = chunk > place && chunk < lowest ? chunk : lowest;
    }
    return lowest;
}

/*
 * Finds what is lost: from the first contradiction to where chunks are known again behind the last one. Of
 * two chunks that contradict each other, the first may be the one with the wrong tag, unless it is free.
 */
static void find_lost(fallow_fixed *fixed, size_t *from, size_t *to) {
    size_t end = end_of(fixed), before = PREVIOUS_IN_USE, previous = 0;
    *from = fixed->lost_bytes ? fixed->lost_from : end;
    *to = fixed->lost_from + fixed->lost_bytes;
    for (size_t chunk = FIRST_CHUNK, next; chunk < end; chunk = next) {
        next = fl_fixed_behind(fixed, chunk, before);
        if (next) {
            before = fl_fixed_bit_behind(fixed, chunk);
        } else {
            size_t start = previous && before ? previous : chunk;
            next = free_chunk_above(fixed, chunk);
            *from = start < *from ? start : *from;
            *to = next > *to ? next : *to;
            next = *to;
            before = PREVIOUS_IN_USE;
        }
        previous = chunk;
    }
}

static void note_lost(fallow_fixed *fixed) {
    size_t from, to;
    if (!fl_fixed_is_lost_possible(fixed)) {
        fixed_set(fixed, &fixed->lost_from, 0);
        fixed_set(fixed, &fixed->lost_bytes, 0);
    }
    find_lost(fixed, &from, &to);
    bool any = to > from;
    fixed_set(fixed, &fixed->lost_from, any ? from : 0);
    fixed_set(fixed, &fixed->lost_bytes, any ? to - from : 0);
    if (any) { /* its owner may ask how long it is: no block is shorter */
        size_t tag = *tag_at(fixed, from), bytes = tag & ~TAG_BITS;
        bool possible = (tag & IN_USE) && bytes >= CHUNK_MIN && bytes <= to - from;
        fixed_set(fixed, tag_at(fixed, from),
                  (possible ? bytes : CHUNK_MIN) | IN_USE | (tag & PREVIOUS_IN_USE));
    }
    fixed_done(fixed);
}

/* Makes lists, counts, and what chunks say of those before them. Each chunk is done before the next is looked
 * at: a process killed here leaves each chunk as it was or as it is to be. */
static void rebuild(fallow_fixed *fixed) {
    size_t end = end_of(fixed), before = PREVIOUS_IN_USE;
    fixed_set(fixed, &fixed->filled, 0);
    fixed_set(fixed, &fixed->used_bytes, 0);
    fixed_set(fixed, &fixed->blocks, 0);
    fixed_set(fixed, tag_at(fixed, end), IN_USE | (*tag_at(fixed, end) & PREVIOUS_IN_USE));
    fixed_done(fixed);
    for (size_t chunk = FIRST_CHUNK, next; chunk < end; chunk = next) {
        bool lost = is_lost(fixed, chunk);
        size_t tag = *tag_at(fixed, chunk), bytes = tag & ~TAG_BITS;
        next = chunk + (lost ? fixed->lost_bytes : bytes);
        if (tag & IN_USE) {
            fixed_set(fixed, tag_at(fixed, chunk), bytes | IN_USE | before);
            fixed_set(fixed, tag_at(fixed, next), *tag_at(fixed, next) | PREVIOUS_IN_USE);
            fixed_set(fixed, &fixed->used_bytes, fixed->used_bytes + (lost ? 0 : bytes));
            fixed_set(fixed, &fixed->blocks, fixed->blocks + !lost);
        } else {
            fl_fixed_make_free(fixed, chunk, bytes);
        }
        before = tag & IN_USE ? PREVIOUS_IN_USE : 0;
        fixed_done(fixed);
    }
}

/* Returns whether an allocator has been made there, and fits. */
static bool is_there(const fallow_fixed *fixed, size_t bytes) {
    if (!fixed || fixed->magic != FIXED_MAGIC)
        return false;
    return !fixed_knows_bytes(fixed) || (fixed->bytes <= bytes && fixed->bytes >= FIXED_BYTES_MIN);
}

static fallow_fixed *fail(int error) {
    errno = error;
    return NULL;
}

fallow_fixed *fallow_fixed_open(void *memory, size_t bytes) {
    fallow_fixed *fixed = fl_fixed_place_in(memory, &bytes);
    if (!is_there(fixed, bytes))
        return fail(EINVAL);
    if (!fl_fixed_enter(fixed))
        return NULL;
    if (!fl_fixed_is_sound(fixed))
        fixed->damaged = 1;
    return fl_fixed_leave(fixed) ? fixed : NULL;
}

fallow_fixed *fallow_fixed_repair(void *memory, size_t bytes, unsigned flags) {
    fallow_fixed *fixed = fl_fixed_place_in(memory, &bytes);
    if (!is_there(fixed, bytes) || (flags & ~(FALLOW_FIXED_SHARED | FALLOW_FIXED_ALONE)))
        return fail(EINVAL);
    if (flags & FALLOW_FIXED_ALONE) {
        fixed->is_shared = flags & FALLOW_FIXED_SHARED;
        fl_shared_lock_init(&fixed->lock, fixed->is_shared);
    }
    if (!fl_fixed_lock(fixed))
        return fail(ENOTRECOVERABLE);
    if (!fixed_knows_bytes(fixed)) { /* damaged is set, and stays so if this is cut off in between */
        fixed->bytes = bytes;
        fixed->bytes_inverted = ~bytes;
    }
    if (!fl_fixed_undo(fixed))
        fixed_done(fixed);
    if (!fl_fixed_is_sound(fixed)) {
        fixed->damaged = 1;
        note_lost(fixed);
        rebuild(fixed);
        FL_ASSERT_AT(2, fl_fixed_is_sound(fixed));
    }
    atomic_signal_fence(memory_order_seq_cst);
    fixed->damaged = 0;
    fl_fixed_unlock(fixed);
    return fixed;
}
