/* SPDX-License-Identifier: MIT */
#include "blocks.h"

#include "memory.h"

#define WHOLE_BYTES \
    256 /* to here every byte is written; of longer ones a word of each stretch, and the last ones */
#define SPARE SIM_THREADS_MAX

static block blocks[BLOCKS_MAX];
static uint64_t patterns;

block *blocks_first(void) {
    return blocks;
}

size_t blocks_bytes(void) {
    size_t bytes = 0;
    BLOCKS_EACH(it)
    bytes += it->start ? it->bytes : 0;
    return bytes;
}

typedef bool each_byte(char *at, unsigned char value);

static bool write_byte(char *at, unsigned char value) {
    *at = (char)value;
    return true;
}

static bool is_byte(char *at, unsigned char value) {
    return (unsigned char)*at == value;
}

/* Every page that is touched costs a fault: of long blocks, fewer are. */
static size_t stretch_of(size_t bytes) {
    return bytes <= 65536 ? 4096 : bytes < 300000 ? 16384 : 131072;
}

/* The first byte that is not as wanted; NULL: all are. */
static char *go_through(const block *it, size_t bytes, each_byte *each) {
    size_t stretch = stretch_of(bytes);
    for (size_t at = 0; at < bytes; at++) {
        if (bytes > WHOLE_BYTES && at % stretch == 16 && at + 16 < bytes)
            at = (at + stretch - 16 < bytes - 16) ? at + stretch - 16 : bytes - 16;
        if (!each(it->start + at, (unsigned char)(it->pattern * 31 + at)))
            return it->start + at;
    }
    return NULL;
}

void blocks_verify(const block *it, const char *when) {
    sim_memory_own(it->start, it->bytes);
    const char *wrong = go_through(it, it->bytes, is_byte);
    if (wrong)
        sim_fail("%s: block %p of %zu bytes is not as it was left, at offset %zu", when, (void *)it->start,
                 it->bytes, (size_t)(wrong - it->start));
}

void blocks_verify_zero(const void *start, size_t bytes) {
    sim_memory_own(start, bytes);
    for (size_t at = 0; at < bytes; at++)
        if (((const char *)start)[at])
            sim_fail("block %p of %zu bytes that should be zero is not, at offset %zu", start, bytes, at);
}

static void check_apart(const void *start, size_t bytes) {
    BLOCKS_EACH(other)
    if (other->start && (const char *)start < other->start + other->bytes &&
        other->start < (const char *)start + bytes)
        sim_fail("block %p of %zu bytes overlaps %p of %zu bytes", start, bytes, (void *)other->start,
                 other->bytes);
}

/* Some places stay for who puts a block back. */
static block *room(size_t spare) {
    block *found = NULL;
    size_t free = 0;
    BLOCKS_EACH(it)
    if (!it->start) {
        found = it;
        free++;
    }
    return free > spare ? found : NULL;
}

block *blocks_add(void *start, size_t bytes, size_t alignment, int arena, int owner) {
    if (alignment < 16)
        alignment = 16;
    if ((uintptr_t)start % alignment)
        sim_fail("block %p is not aligned to %zu", start, alignment);
    check_apart(start, bytes);
    block *it = room(SPARE);
    if (!it)
        return NULL;
    *it = (block){start, bytes, ++patterns, arena, owner, NULL};
    sim_memory_own(start, bytes);
    (void)go_through(it, bytes, write_byte);
    return it;
}

block blocks_remove(block *it) {
    blocks_verify(it, "before it is freed");
    block was = *it;
    it->start = NULL;
    return was;
}

block *blocks_put_back(const block *was, void *start, size_t bytes) {
    block moved = *was;
    moved.start = start;
    moved.bytes = bytes < was->bytes ? bytes : was->bytes;
    check_apart(start, bytes);
    sim_memory_own(start, bytes);
    size_t stretch = stretch_of(was->bytes);
    /* Of a longer block the last bytes were written, of a shorter one they were not: only what both have in
     * common. */
    const char *wrong = NULL;
    for (size_t at = 0; at < 16 && at < moved.bytes; at++)
        if ((unsigned char)moved.start[at] != (unsigned char)(moved.pattern * 31 + at))
            wrong = moved.start + at;
    for (size_t at = stretch; at + 32 < moved.bytes; at += stretch)
        if ((unsigned char)moved.start[at] != (unsigned char)(moved.pattern * 31 + at))
            wrong = moved.start + at;
    if (wrong)
        sim_fail("block %p of %zu bytes that was resized to %zu at %p has lost its contents at offset %zu",
                 (void *)was->start, was->bytes, bytes, start, (size_t)(wrong - moved.start));
    moved.bytes = bytes;
    block *it = room(0);
    *it = moved;
    (void)go_through(it, bytes, write_byte);
    return it;
}

static block *pick(int owner, int arena, uint64_t from) {
    for (size_t i = 0; i < BLOCKS_MAX; i++) {
        block *it = &blocks[(from + i) % BLOCKS_MAX];
        if (it->start && it->owner == owner && !it->pool && (arena < 0 || it->arena == arena))
            return it;
    }
    return NULL;
}

block *blocks_pick(int owner, sim_stream stream) {
    return pick(owner, -1, sim_below(stream, 64));
}

block *blocks_pick_in(int owner, int arena) {
    return pick(owner, arena, sim_below(SIM_WORK, BLOCKS_MAX));
}
