/* SPDX-License-Identifier: MIT */
/*
 * fixed.c: blocks inside memory that the caller gives, with boundary tags. Nothing here asks the system for anything, nor
 * touches what lies outside the memory.
 *
 *     chunk  │ tag: bytes of the chunk, and two bits │ block …                                       │
 *     free   │ tag                                   │ next │ previous (offsets) │ …    │ bytes again │
 *
 * A chunk's bytes are a multiple of 16 and its tag lies 8 bytes before a multiple of 16. IN_USE is about the chunk itself,
 * PREVIOUS_IN_USE about the one before it: only where that is free do the last 8 bytes before the tag hold its size.
 */
#include "fallow/fixed.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "../system/fatal.h"
#include "../system/lock.h"

#define MAGIC UINT64_C(0x64786966776c6166)
#define IN_USE ((size_t)1)
#define PREVIOUS_IN_USE ((size_t)2)
#define TAG_BITS ((size_t)15)
#define CHUNK_MIN ((size_t)32)
#define EXACT_BYTES ((size_t)512) /* below, a list holds chunks of one size */
#define LISTS 64
#define LOOKS 16

struct fallow_fixed {
    uint64_t magic;
    size_t bytes; /* of all, with this */
    fl_shared_lock lock;
    uint64_t filled;     /* a bit for each list that is not empty */
    size_t first[LISTS]; /* offsets of chunks; 0: none */
    size_t used_bytes;
    size_t blocks;
};

/* Where the first chunk's tag lies: the blocks are aligned. */
#define FIRST_CHUNK (((sizeof(fallow_fixed) + 15) & ~(size_t)15) + 8)

_Static_assert(FIRST_CHUNK + 8 + 8 + 16 <= FALLOW_FIXED_OVERHEAD_BYTES - 63, "the promise on size");

static void take_lock(fallow_fixed *fixed) {
    fl_shared_lock_take(&fixed->lock, FL_LOCK_FIXED);
}

static void drop_lock(fallow_fixed *fixed) {
    fl_shared_lock_drop(&fixed->lock, FL_LOCK_FIXED);
}

static size_t *tag_at(const fallow_fixed *fixed, size_t chunk) {
    return (size_t *)((char *)fixed + chunk);
}

static size_t bytes_of(const fallow_fixed *fixed, size_t chunk) {
    return *tag_at(fixed, chunk) & ~TAG_BITS;
}

/* The last tag, which is always in use. */
static size_t end_of(const fallow_fixed *fixed) {
    return (fixed->bytes & ~(size_t)15) - 8;
}

static size_t *next_of(const fallow_fixed *fixed, size_t chunk) {
    return tag_at(fixed, chunk) + 1;
}

static size_t *previous_of(const fallow_fixed *fixed, size_t chunk) {
    return tag_at(fixed, chunk) + 2;
}

static unsigned list_for(size_t bytes) {
    if (bytes < EXACT_BYTES)
        return (unsigned)(bytes / 16);
    unsigned list = 32 + (63 - (unsigned)__builtin_clzll(bytes)) - 9;
    return list < LISTS ? list : LISTS - 1;
}

static void put_in_list(fallow_fixed *fixed, size_t chunk) {
    unsigned list = list_for(bytes_of(fixed, chunk));
    size_t first = fixed->first[list];
    *next_of(fixed, chunk) = first;
    *previous_of(fixed, chunk) = 0;
    if (first)
        *previous_of(fixed, first) = chunk;
    fixed->first[list] = chunk;
    fixed->filled |= UINT64_C(1) << list;
}

static void take_out_of_list(fallow_fixed *fixed, size_t chunk) {
    unsigned list = list_for(bytes_of(fixed, chunk));
    size_t next = *next_of(fixed, chunk), previous = *previous_of(fixed, chunk);
    *(previous ? next_of(fixed, previous) : &fixed->first[list]) = next;
    if (next)
        *previous_of(fixed, next) = previous;
    if (!fixed->first[list])
        fixed->filled &= ~(UINT64_C(1) << list);
}

/* Writes a free chunk's tags, and tells the one behind it. */
static void make_free(fallow_fixed *fixed, size_t chunk, size_t bytes) {
    *tag_at(fixed, chunk) = bytes | PREVIOUS_IN_USE; /* two free neighbours would be one */
    *(size_t *)((char *)fixed + chunk + bytes - 8) = bytes;
    *tag_at(fixed, chunk + bytes) &= ~PREVIOUS_IN_USE;
    put_in_list(fixed, chunk);
}

/* The first `bytes` of a chunk that is in no list, as a block; the rest, where it is enough for a chunk, is free. */
static void make_used(fallow_fixed *fixed, size_t chunk, size_t have, size_t bytes) {
    size_t before = *tag_at(fixed, chunk) & PREVIOUS_IN_USE;
    if (have - bytes < CHUNK_MIN)
        bytes = have;
    *tag_at(fixed, chunk) = bytes | IN_USE | before;
    if (have > bytes)
        make_free(fixed, chunk + bytes, have - bytes);
    else
        *tag_at(fixed, chunk + bytes) |= PREVIOUS_IN_USE;
    fixed->used_bytes += bytes;
}

/* A free chunk of at least so many bytes, taken out of its list; 0: none. */
static size_t find_chunk(fallow_fixed *fixed, size_t bytes) {
    unsigned list = list_for(bytes);
    size_t best = 0, best_bytes = SIZE_MAX;
    unsigned looks = list == LISTS - 1 ? UINT32_MAX : LOOKS; /* nothing lies behind the last list */
    for (size_t chunk = fixed->first[list]; chunk && looks > 0; chunk = *next_of(fixed, chunk), looks--) {
        size_t have = bytes_of(fixed, chunk);
        if (have >= bytes && have < best_bytes) {
            best = chunk;
            best_bytes = have;
        }
    }
    uint64_t longer = list == LISTS - 1 ? 0 : fixed->filled & (UINT64_MAX << (list + 1));
    if (!best && longer)
        best = fixed->first[__builtin_ctzll(longer)];
    if (best)
        take_out_of_list(fixed, best);
    return best;
}

/* What a block takes as a chunk; 0: too much. */
static size_t chunk_bytes(size_t bytes) {
    if (bytes > PTRDIFF_MAX)
        return 0;
    size_t chunk = (bytes + 8 + 15) & ~(size_t)15;
    return chunk < CHUNK_MIN ? CHUNK_MIN : chunk;
}

static void start(fallow_fixed *fixed) {
    size_t end = end_of(fixed);
    fixed->filled = 0;
    memset(fixed->first, 0, sizeof fixed->first);
    fixed->used_bytes = fixed->blocks = 0;
    *tag_at(fixed, end) = IN_USE;
    make_free(fixed, FIRST_CHUNK, end - FIRST_CHUNK);
}

static void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

/* The allocator's place in the memory, and what is left from there on. */
static fallow_fixed *place_in(void *memory, size_t *bytes) {
    uintptr_t first = ((uintptr_t)memory + 63) & ~(uintptr_t)63;
    size_t skipped = first - (uintptr_t)memory;
    if (!memory || *bytes < skipped || *bytes - skipped < FALLOW_FIXED_OVERHEAD_BYTES + 64) {
        errno = EINVAL;
        return NULL;
    }
    *bytes -= skipped;
    return (fallow_fixed *)first;
}

fallow_fixed *fallow_fixed_create(void *memory, size_t bytes, unsigned flags) {
    fallow_fixed *fixed = place_in(memory, &bytes);
    if (!fixed || (flags & ~FALLOW_FIXED_SHARED)) {
        errno = EINVAL;
        return NULL;
    }
    fl_shared_lock_init(&fixed->lock, flags & FALLOW_FIXED_SHARED);
    fixed->bytes = bytes;
    start(fixed);
    fixed->magic = MAGIC;
    return fixed;
}

fallow_fixed *fallow_fixed_open(void *memory, size_t bytes) {
    fallow_fixed *fixed = place_in(memory, &bytes);
    if (fixed && (fixed->magic != MAGIC || fixed->bytes > bytes)) {
        errno = EINVAL;
        return NULL;
    }
    return fixed;
}

/* Holds the lock. */
static void *alloc(fallow_fixed *fixed, size_t bytes) {
    size_t wanted = chunk_bytes(bytes), chunk = wanted ? find_chunk(fixed, wanted) : 0;
    if (!chunk)
        return NULL;
    make_used(fixed, chunk, bytes_of(fixed, chunk), wanted);
    fixed->blocks++;
    return (char *)fixed + chunk + 8;
}

void *fallow_fixed_alloc(fallow_fixed *fixed, size_t bytes) {
    take_lock(fixed);
    void *block = alloc(fixed, bytes);
    drop_lock(fixed);
    return block ? block : no_memory();
}

/* A block that is long enough for any start, cut at both ends. Holds the lock. */
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
    if (front) {
        make_free(fixed, chunk, front); /* clears the bit in the tag behind, which make_used keeps */
        *tag_at(fixed, chunk + front) = 0;
        chunk += front;
    }
    make_used(fixed, chunk, have - front, wanted);
    fixed->blocks++;
    return (void *)aligned;
}

void *fallow_fixed_alloc_aligned(fallow_fixed *fixed, size_t alignment, size_t bytes) {
    if (alignment == 0 || (alignment & (alignment - 1))) {
        errno = EINVAL;
        return NULL;
    }
    if (alignment <= 16)
        return fallow_fixed_alloc(fixed, bytes);
    take_lock(fixed);
    void *block = alloc_aligned(fixed, alignment, bytes);
    drop_lock(fixed);
    return block ? block : no_memory();
}

/* The chunk of a block. Stops the process where it cannot be one. Holds the lock. */
static size_t chunk_of(const fallow_fixed *fixed, const void *block, const char *doing) {
    size_t chunk = (size_t)((const char *)block - (const char *)fixed) - 8;
    if (chunk < FIRST_CHUNK || chunk >= end_of(fixed) || chunk % 16 != 8)
        fl_fatal(doing, block, "not a block of this allocator (found by its place)");
    size_t bytes = bytes_of(fixed, chunk);
    if (!(*tag_at(fixed, chunk) & IN_USE))
        fl_fatal(doing, block, "freed twice, or not the start of a block (its tag says that it is free)");
    size_t behind = chunk + bytes;
    bool agree = bytes >= CHUNK_MIN && behind <= end_of(fixed) && (*tag_at(fixed, behind) & PREVIOUS_IN_USE);
    if (agree && behind < end_of(fixed))
        agree = bytes_of(fixed, behind) >= CHUNK_MIN && bytes_of(fixed, behind) <= end_of(fixed) - behind;
    if (!agree)
        fl_fatal(doing, block, "its tag is damaged (it does not agree with that of the block behind)");
    return chunk;
}

/* A chunk that is in no list, counted neither as used nor as free, with its neighbours that are free. */
static void give(fallow_fixed *fixed, size_t chunk, size_t bytes) {
    if (!(*tag_at(fixed, chunk) & PREVIOUS_IN_USE)) {
        size_t before = *(size_t *)((char *)fixed + chunk - 8);
        if (before < CHUNK_MIN || before > chunk - FIRST_CHUNK || bytes_of(fixed, chunk - before) != before)
            fl_fatal("free of", (char *)fixed + chunk + 8, "the free block before it is damaged");
        chunk -= before;
        bytes += before;
        take_out_of_list(fixed, chunk);
    }
    size_t behind = chunk + bytes;
    if (!(*tag_at(fixed, behind) & IN_USE)) {
        take_out_of_list(fixed, behind);
        bytes += bytes_of(fixed, behind);
    }
    make_free(fixed, chunk, bytes);
}

void fallow_fixed_free(fallow_fixed *fixed, void *block) {
    if (!block)
        return;
    take_lock(fixed);
    size_t chunk = chunk_of(fixed, block, "free of"), bytes = bytes_of(fixed, chunk);
    fixed->used_bytes -= bytes;
    fixed->blocks--;
    give(fixed, chunk, bytes);
    drop_lock(fixed);
}

/* Longer into what is free behind it, or shorter. Holds the lock. */
static bool resize(fallow_fixed *fixed, size_t chunk, size_t wanted) {
    size_t bytes = bytes_of(fixed, chunk), behind = chunk + bytes, have = bytes;
    if (!(*tag_at(fixed, behind) & IN_USE))
        have += bytes_of(fixed, behind);
    if (have < wanted)
        return false;
    if (wanted > bytes || have - wanted >= CHUNK_MIN) {
        if (have > bytes)
            take_out_of_list(fixed, behind);
        fixed->used_bytes -= bytes;
        make_used(fixed, chunk, have, wanted);
    }
    return true;
}

void *fallow_fixed_realloc(fallow_fixed *fixed, void *block, size_t bytes) {
    if (!block)
        return fallow_fixed_alloc(fixed, bytes);
    size_t wanted = chunk_bytes(bytes);
    void *result = NULL;
    take_lock(fixed);
    size_t chunk = chunk_of(fixed, block, "realloc of"), had = bytes_of(fixed, chunk) - 8;
    if (wanted && resize(fixed, chunk, wanted))
        result = block;
    else if (wanted && (result = alloc(fixed, bytes)) != NULL)
        memcpy(result, block, had < bytes ? had : bytes);
    drop_lock(fixed);
    if (result && result != block)
        fallow_fixed_free(fixed, block);
    return result ? result : no_memory();
}

size_t fallow_fixed_usable_bytes(const void *block) {
    return (((const size_t *)block)[-1] & ~TAG_BITS) - 8;
}

void fallow_fixed_reset(fallow_fixed *fixed) {
    take_lock(fixed);
    start(fixed);
    drop_lock(fixed);
}

fallow_fixed_figures fallow_fixed_read(fallow_fixed *fixed) {
    fallow_fixed_figures figures = {0};
    take_lock(fixed);
    figures.total_bytes = end_of(fixed) - FIRST_CHUNK;
    figures.used_bytes = fixed->used_bytes;
    figures.blocks = fixed->blocks;
    size_t longest = 0;
    if (fixed->filled)
        for (size_t chunk = fixed->first[63 - __builtin_clzll(fixed->filled)]; chunk;
             chunk = *next_of(fixed, chunk))
            longest = bytes_of(fixed, chunk) > longest ? bytes_of(fixed, chunk) : longest;
    figures.largest_bytes = longest ? longest - 8 : 0;
    drop_lock(fixed);
    return figures;
}

bool fallow_fixed_walk(fallow_fixed *fixed, bool (*visit)(void *context, void *block, size_t bytes),
                       void *context) {
    bool on = true;
    take_lock(fixed);
    size_t end = end_of(fixed);
    for (size_t chunk = FIRST_CHUNK; on && chunk < end; chunk += bytes_of(fixed, chunk))
        if (*tag_at(fixed, chunk) & IN_USE)
            on = visit(context, (char *)fixed + chunk + 8, bytes_of(fixed, chunk) - 8);
    drop_lock(fixed);
    return on;
}
