/* SPDX-License-Identifier: MIT */
/*
 * fixed.c: blocks inside memory that the caller gives, with boundary tags. Nothing here asks the system for
 * anything, nor touches what lies outside the memory, whatever the memory holds: it follows an offset only
 * after a look at where that leads.
 */
#include <errno.h>
#include <string.h>

#include "../system/arithmetic.h"
#include "../system/poison.h"
#include "../system/sized.h"
#include "fixedcheck.h"
#include "fixedlists.h"
#include "fixedlog.h"

#define LOOKS 16

extern void *__asan_region_is_poisoned(void *start, size_t bytes) __attribute__((weak));

/* Under AddressSanitizer, free memory is poisoned, and so are tags and what a block has beyond the bytes
 * asked for; but not in memory of several processes: what one poisons, another may hand out. */
static bool is_poisoning(const fallow_fixed *fixed) {
    return fl_poison_may_stay() && !fixed->is_shared;
}

/* Lets the program touch so many bytes of a block. */
static void *show(const fallow_fixed *fixed, void *block, size_t bytes) {
    if (block && is_poisoning(fixed)) {
        size_t chunk = (size_t)((char *)block - (const char *)fixed) - 8, whole = bytes_of(fixed, chunk) - 8;
        fl_unpoison(block, bytes);
        fl_poison((char *)block + bytes, whole - bytes);
    }
    return block;
}

static void hide(const fallow_fixed *fixed, size_t chunk, size_t bytes) {
    if (is_poisoning(fixed))
        fl_poison((const char *)fixed + chunk, bytes);
}

static void count(fallow_fixed *fixed, size_t used_bytes, size_t blocks) {
    fixed_note(fixed, 0, &fixed->used_bytes);
    fixed_note(fixed, 1, &fixed->blocks);
    fixed_noted(fixed, 2);
    fixed->used_bytes += used_bytes;
    fixed->blocks += blocks;
}

/* Makes a block of the first `bytes` of a chunk that is in no list; the rest becomes free, if it is enough
 * for a chunk. before: PREVIOUS_IN_USE, or 0. blocks: how many more blocks there are by that. */
static void make_used(fallow_fixed *fixed, size_t chunk, size_t before, size_t have, size_t bytes,
                      size_t blocks) {
    if (have - bytes < CHUNK_MIN)
        bytes = have;
    count(fixed, bytes, blocks);
    fixed_set(fixed, tag_at(fixed, chunk), bytes | IN_USE | before);
    if (have > bytes)
        fl_fixed_make_free(fixed, chunk + bytes, have - bytes);
    else
        fixed_set(fixed, tag_at(fixed, chunk + bytes), *tag_at(fixed, chunk + bytes) | PREVIOUS_IN_USE);
}

/* Returns the best of a few looks in the list for that size; 0 if there is none. In the last list it looks at
 * all: nothing lies behind that. */
static size_t best_in_list(fallow_fixed *fixed, unsigned list, size_t bytes) {
    size_t best = 0, best_bytes = SIZE_MAX, looks = LOOKS + (fixed->bytes >> LAST_LIST_SHIFT);
    for (size_t chunk = first_in_list(fixed, list); chunk && looks > 0;
         chunk = *next_of(fixed, chunk), looks--) {
        if (!is_chunk_place(fixed, chunk)) {
            fl_fixed_damaged(fixed, "a list of free blocks is damaged");
            return 0;
        }
        size_t have = bytes_of(fixed, chunk);
        if (have == bytes)
            return chunk;
        if (have > bytes && have < best_bytes) {
            best = chunk;
            best_bytes = have;
        }
    }
    return best;
}

/* Takes a free chunk of at least so many bytes out of its list. Returns 0 if there is none. */
static size_t find_chunk(fallow_fixed *fixed, size_t bytes) {
    unsigned list = list_for(bytes);
    size_t chunk = best_in_list(fixed, list, bytes);
    size_t longer = list == LISTS - 1 ? 0 : fixed->filled & (SIZE_MAX << (list + 1));
    if (!chunk && longer) {
        chunk = fixed->first[__builtin_ctzll(longer)];
        if (!is_chunk_place(fixed, chunk) || bytes_of(fixed, chunk) < bytes)
            return fl_fixed_damaged(fixed, "a list of free blocks is damaged");
    }
    return chunk && fl_fixed_take_out(fixed, chunk) ? chunk : 0;
}

/* Returns what a block takes as a chunk; 0 if that is too much. No memory is that long, and to what is less
 * callers can add. */
static size_t chunk_bytes(size_t bytes) {
    if (bytes > PTRDIFF_MAX / 2)
        return 0;
    size_t chunk = (bytes + 8 + 15) & ~(size_t)15;
    return chunk < CHUNK_MIN ? CHUNK_MIN : chunk;
}

/* Makes all of the memory one free chunk. */
static void start(fallow_fixed *fixed) {
    size_t end = end_of(fixed);
    fixed_set(fixed, &fixed->lost_from, 0);
    fixed_set(fixed, &fixed->lost_bytes, 0);
    fixed_set(fixed, &fixed->used_bytes, 0);
    fixed_set(fixed, &fixed->blocks, 0);
    fixed_set(fixed, &fixed->filled, 0);
    fixed_set(fixed, tag_at(fixed, end), IN_USE);
    fl_fixed_make_free(fixed, FIRST_CHUNK, end - FIRST_CHUNK);
    fixed_done(fixed);
    hide(fixed, FIRST_CHUNK, end + 8 - FIRST_CHUNK);
}

static void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

fallow_fixed *fallow_fixed_create(void *memory, size_t bytes, unsigned flags) {
    fallow_fixed *fixed = fl_fixed_place_in(memory, &bytes);
    if (!fixed || (flags & ~FALLOW_FIXED_SHARED)) {
        errno = EINVAL;
        return NULL;
    }
    if (fl_poison_may_stay()) /* whatever was here before */
        fl_unpoison(fixed, bytes);
    fixed->magic = 0;
    atomic_signal_fence(memory_order_seq_cst); /* one that is killed in here leaves no allocator */
    fl_shared_lock_init(&fixed->lock, flags & FALLOW_FIXED_SHARED);
    fixed->bytes = bytes;
    fixed->bytes_inverted = ~bytes;
    fixed->is_shared = flags & FALLOW_FIXED_SHARED;
    fixed->damaged = fixed->logged = 0;
    start(fixed);
    fixed->magic = FIXED_MAGIC;
    return fixed;
}

/* Ends the call, and returns its block, if there is one. */
static void *result_of(fallow_fixed *fixed, void *block) {
    if (!fl_fixed_leave(fixed))
        return NULL;
    return block ? block : no_memory();
}

/* Makes a block in a chunk that is in no list. */
static void *place(fallow_fixed *fixed, size_t chunk, size_t before, size_t have, size_t wanted) {
    make_used(fixed, chunk, before, have, wanted, 1);
    return (char *)fixed + chunk + 8;
}

void *fallow_fixed_alloc(fallow_fixed *fixed, size_t bytes) {
    if (!fl_fixed_enter(fixed))
        return NULL;
    size_t wanted = chunk_bytes(bytes), chunk = wanted ? find_chunk(fixed, wanted) : 0;
    void *block = chunk ? place(fixed, chunk, PREVIOUS_IN_USE, bytes_of(fixed, chunk), wanted) : NULL;
    return show(fixed, result_of(fixed, block), bytes);
}

/* Takes a block that is long enough for any start, and cuts it at both ends. Caller holds the lock. */
static void *alloc_aligned(fallow_fixed *fixed, size_t alignment, size_t bytes) {
    size_t wanted = chunk_bytes(bytes);
    if (!wanted || alignment > PTRDIFF_MAX - wanted - CHUNK_MIN)
        return NULL;
    size_t chunk = find_chunk(fixed, wanted + alignment + CHUNK_MIN);
    if (!chunk)
        return NULL;
    size_t have = bytes_of(fixed, chunk);
    uintptr_t block = (uintptr_t)fixed + chunk + 8;
    uintptr_t aligned = (block + alignment - 1) & ~(uintptr_t)(alignment - 1);
    if (aligned != block && aligned - block < CHUNK_MIN)
        aligned = (block + CHUNK_MIN + alignment - 1) & ~(uintptr_t)(alignment - 1);
    size_t front = aligned - block;
    if (front)
        fl_fixed_make_free(fixed, chunk, front);
    return place(fixed, chunk + front, front ? 0 : PREVIOUS_IN_USE, have - front, wanted);
}

void *fallow_fixed_alloc_aligned(fallow_fixed *fixed, size_t alignment, size_t bytes) {
    if (!fl_is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    if (alignment <= 16)
        return fallow_fixed_alloc(fixed, bytes);
    if (!fl_fixed_enter(fixed))
        return NULL;
    return show(fixed, result_of(fixed, alloc_aligned(fixed, alignment, bytes)), bytes);
}

/* What is said of a block does not agree: if the books are sound, that is the caller's mistake, otherwise
 * damage. */
static size_t no_block(fallow_fixed *fixed, const void *block, const char *doing, const char *found) {
    if (fl_fixed_is_sound(fixed))
        fl_fatal(doing, block, found);
    return fl_fixed_damaged(fixed, found);
}

/* Returns the chunk of a block; 0 if that is damaged. Stops the process if there cannot be one. Caller holds
 * the lock. */
static size_t chunk_of(fallow_fixed *fixed, const void *block, const char *doing) {
    size_t chunk = (size_t)((const char *)block - (const char *)fixed) - 8;
    if (!is_chunk_place(fixed, chunk))
        fl_fatal(doing, block, "not a block of this allocator (found by its place)");
    if (is_lost(fixed, chunk))
        return chunk;
    size_t bytes = bytes_of(fixed, chunk), left = end_of(fixed) - chunk;
    if (!(*tag_at(fixed, chunk) & IN_USE))
        return no_block(fixed, block, doing,
                        "freed twice, or not the start of a block (its tag says that it is free)");
    bool agree = bytes >= CHUNK_MIN && bytes <= left && (*tag_at(fixed, chunk + bytes) & PREVIOUS_IN_USE);
    if (agree && bytes < left)
        agree = bytes_of(fixed, chunk + bytes) >= CHUNK_MIN && bytes_of(fixed, chunk + bytes) <= left - bytes;
    return agree ? chunk
                 : no_block(fixed, block, doing,
                            "its tag is damaged (it does not agree with that of the block behind)");
}

/* Makes a block's chunk free, joined with free neighbours. What is lost gives nothing back. */
static void give(fallow_fixed *fixed, size_t chunk) {
    size_t bytes = bytes_of(fixed, chunk), behind = chunk + bytes;
    if (is_lost(fixed, chunk))
        return;
    hide(fixed, chunk, bytes);
    count(fixed, -bytes, (size_t)-1);
    if (!(*tag_at(fixed, behind) & IN_USE)) {
        if (!fl_fixed_take_out(fixed, behind))
            return;
        bytes += bytes_of(fixed, behind);
    }
    if (!(*tag_at(fixed, chunk) & PREVIOUS_IN_USE)) {
        size_t before = *fixed_word(fixed, chunk - 8);
        if (!is_chunk_place(fixed, chunk - before) || bytes_of(fixed, chunk - before) != before) {
            fl_fixed_damaged(fixed, "the free block before a block is damaged");
            return;
        }
        if (!fl_fixed_take_out(fixed, chunk - before))
            return;
        chunk -= before;
        bytes += before;
    }
    fl_fixed_make_free(fixed, chunk, bytes);
}

bool fallow_fixed_free(fallow_fixed *fixed, void *block) {
    if (!block)
        return true;
    if (!fl_fixed_enter(fixed))
        return false;
    size_t chunk = chunk_of(fixed, block, "free of");
    if (chunk)
        give(fixed, chunk);
    return fl_fixed_leave(fixed);
}

/* Makes a block longer, into what is free behind it, or shorter. Caller holds the lock. */
static bool resize(fallow_fixed *fixed, size_t chunk, size_t wanted) {
    size_t bytes = bytes_of(fixed, chunk), behind = chunk + bytes, have = bytes;
    if (is_lost(fixed, chunk))
        return false;
    if (!(*tag_at(fixed, behind) & IN_USE))
        have += bytes_of(fixed, behind);
    if (have < wanted)
        return false;
    if (wanted > bytes || have - wanted >= CHUNK_MIN) {
        if (have > bytes && !fl_fixed_take_out(fixed, behind))
            return false;
        count(fixed, -bytes, 0);
        make_used(fixed, chunk, *tag_at(fixed, chunk) & PREVIOUS_IN_USE, have, wanted, 0);
    }
    return true;
}

/* Up to where it is poisoned, if anywhere. */
size_t fallow_fixed_usable_bytes(const void *block) {
    size_t whole = (((const size_t *)block)[-1] & ~TAG_BITS) - 8;
    char *end = fl_poison_may_stay() ? __asan_region_is_poisoned((void *)(uintptr_t)block, whole) : NULL;
    return end ? (size_t)(end - (const char *)block) : whole;
}

/* Returns what may belong to a block: where one that is lost ends, nobody knows. */
static size_t contents_of(const fallow_fixed *fixed, size_t chunk) {
    if (is_lost(fixed, chunk))
        return fixed->lost_from + fixed->lost_bytes - chunk - 8;
    return bytes_of(fixed, chunk) - 8;
}

/* Moves to another place. It records, too, what the contents overwrite: that is a free chunk's again if this
 * is undone. Caller holds the lock. */
static void *move(fallow_fixed *fixed, size_t from, size_t bytes, size_t wanted) {
    size_t to = find_chunk(fixed, wanted), had = contents_of(fixed, from);
    if (!to)
        return NULL;
    size_t have = bytes_of(fixed, to);
    fixed_note(fixed, 0, next_of(fixed, to));
    fixed_note(fixed, 1, previous_of(fixed, to));
    fixed_note(fixed, 2, last_word_of(fixed, to, have));
    fixed_noted(fixed, 3);
    void *block = place(fixed, to, PREVIOUS_IN_USE, have, wanted);
    show(fixed, block, bytes);
    memcpy(block, (char *)fixed + from + 8, had < bytes ? had : bytes);
    give(fixed, from);
    return block;
}

void *fallow_fixed_realloc(fallow_fixed *fixed, void *block, size_t bytes) {
    if (!block)
        return fallow_fixed_alloc(fixed, bytes);
    if (!fl_fixed_enter(fixed))
        return NULL;
    size_t wanted = chunk_bytes(bytes), chunk = chunk_of(fixed, block, "realloc of");
    if (!wanted || !chunk)
        return result_of(fixed, NULL);
    void *before = block;
    size_t had = fallow_fixed_usable_bytes(block);
    if (is_poisoning(fixed)) /* it is copied, or gets another end */
        fl_unpoison(block, contents_of(fixed, chunk));
    if (!resize(fixed, chunk, wanted))
        block = fixed->damaged ? NULL : move(fixed, chunk, bytes, wanted);
    if (!block && !is_lost(fixed, chunk))
        show(fixed, before, had);
    return show(fixed, result_of(fixed, block), bytes);
}

bool fallow_fixed_reset(fallow_fixed *fixed) {
    if (!fl_fixed_lock(fixed))
        return false;
    bool can = fixed_knows_bytes(fixed);
    if (can) {
        fixed_done(fixed); /* drops whatever a damaged log says */
        start(fixed);
        fixed->damaged = 0;
    }
    fl_fixed_unlock(fixed);
    return can;
}

bool fallow_fixed_read_sized(fallow_fixed *fixed, fallow_fixed_figures *figures, size_t figures_bytes) {
    fallow_fixed_figures ours = {0};
    if (!fl_fixed_enter(fixed))
        return false;
    size_t longest = 0, before = 0;
    unsigned list = fixed->filled ? 63 - (unsigned)__builtin_clzll(fixed->filled) : 0;
    for (size_t chunk = first_in_list(fixed, list); chunk; chunk = *next_of(fixed, chunk)) {
        if (!is_free_chunk(fixed, chunk) || *previous_of(fixed, chunk) != before) {
            fl_fixed_damaged(fixed, "a list of free blocks is damaged");
            break;
        }
        longest = bytes_of(fixed, chunk) > longest ? bytes_of(fixed, chunk) : longest;
        before = chunk;
    }
    ours.total_bytes = end_of(fixed) - FIRST_CHUNK;
    ours.used_bytes = fixed->used_bytes;
    ours.lost_bytes = fixed->lost_bytes;
    ours.blocks = fixed->blocks;
    ours.largest_bytes = longest ? longest - 8 : 0;
    if (!fl_fixed_leave(fixed))
        return false;
    if (fl_sized_fill(figures, figures_bytes, &ours, sizeof ours, sizeof ours))
        return true;
    errno = EINVAL;
    return false;
}

bool fallow_fixed_walk(fallow_fixed *fixed, bool (*visit)(void *context, void *block, size_t bytes),
                       void *context) {
    if (!fl_fixed_enter(fixed))
        return false;
    bool on = true;
    size_t end = end_of(fixed), bytes;
    for (size_t chunk = FIRST_CHUNK; on && chunk < end; chunk += bytes) {
        bool lost = is_lost(fixed, chunk);
        bytes = lost ? fixed->lost_bytes : bytes_of(fixed, chunk);
        if (bytes < CHUNK_MIN || bytes > end - chunk || bytes % 16) {
            fl_fixed_damaged(fixed, "a tag is damaged");
            break;
        }
        if (!lost && (*tag_at(fixed, chunk) & IN_USE))
            on = visit(context, (char *)fixed + chunk + 8,
                       fallow_fixed_usable_bytes((char *)fixed + chunk + 8));
    }
    return fl_fixed_leave(fixed) && on;
}
