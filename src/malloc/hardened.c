/* SPDX-License-Identifier: MIT */
#include "hardened.h"

#include <errno.h>
#include <string.h>

#include "../arena/driver.h"
#include "../heap/alloc.h"
#include "../heap/block.h"
#include "../heap/free.h"
#include "../heap/quarantine.h"
#include "../heap/sealed.h"
#include "../heap/startup.h"
#include "../heap/thread.h"
#include "../system/fatal.h"

#if FL_HARDENED

#define SLAB_BYTES_MAX (FL_CLASS_BYTES_MAX - FL_END_BYTES)
#define BLOCK_BYTES_MIN ((size_t)17) /* of the second class: mark, link and end word are three words */
#define FILL_BYTES_MAX ((size_t)128) /* of what lies between contents and end word */

/* When a block is handed out or freed, the end word of one of so many beside it is looked at, in turn. */
#define NEAR_BLOCKS 8u

static void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

static size_t with_end(size_t bytes) {
    return bytes + FL_END_BYTES < BLOCK_BYTES_MIN ? BLOCK_BYTES_MIN : bytes + FL_END_BYTES;
}

static char *end_of(const fl_slab *slab, const void *block) {
    return (char *)(uintptr_t)block + slab->block_bytes;
}

static size_t fill_bytes(size_t gap) {
    return gap < FILL_BYTES_MAX ? gap : FILL_BYTES_MAX;
}

/* Is what stands at a block's end as it should be? What begins the fill is looked at too. */
static inline bool has_whole_end(const fl_slab *slab, const char *block, uint64_t word) {
    if (word == 0)
        return true;
    if (!fl_end_is_valid(block, word))
        return false;
    size_t gap = fl_end_gap(word);
    if (fl_end_state_of(word) != FL_END_LIVE || gap == 0)
        return true;
    uint64_t fill;
    memcpy(&fill, block + slab->block_bytes - FL_END_BYTES - gap, sizeof fill);
    return ((fill ^ fl_the_secrets.fill) & (gap < 8 ? ((uint64_t)1 << gap * 8) - 1 : ~(uint64_t)0)) == 0;
}

/* Another thread may free the block, or resize it, between two of our loads; so what is wrong has to stay so, and the word the same. */
#define LOOKS_BEFORE_IT_IS_SAID 16

static __attribute__((noinline)) void look_again(const fl_slab *slab, const char *block, uint64_t word) {
    for (unsigned look = 0; look < LOOKS_BEFORE_IT_IS_SAID; look++)
        if (has_whole_end(slab, block, word) || fl_end_read(block + slab->block_bytes) != word)
            return;
    fl_misuse(slab, "look at", block,
              "written to behind its end, or before the block that follows (what lies there is not as it "
              "was; found "
              "by a look at blocks beside one that was used)");
}

/* Of a block that has been carved, and need not be the caller's. */
static inline void look_at_end(const fl_slab *slab, const char *block) {
    uint64_t word = fl_end_read(block + slab->block_bytes);
    if (__builtin_expect(!has_whole_end(slab, block, word), 0))
        look_again(slab, block, word);
}

/*
 * At the block before, which shows what was written before this one; and, in a slab of the calling thread's, at some more. (What is
 * carved of another's is not known; and where pages of it are decommitted, their words could be read, but need not be there.)
 */
static inline void look_around(fl_heap *heap, const fl_slab *slab, const char *block) {
    if (block > slab->start)
        look_at_end(slab, block - slab->block_bytes);
    if (slab->decommitted || fl_entry_of(block) != fl_entry_make(slab, heap->tag))
        return;
    uint64_t inverse = fl_classes[slab->size_class].inverse;
    uint32_t index = (uint32_t)(((size_t)(block - slab->start) * inverse) >> FL_CLASS_INVERSE_SHIFT);
    uint32_t other = (index & ~(NEAR_BLOCKS - 1)) + (heap->quarantine.near++ & (NEAR_BLOCKS - 1));
    if (other < slab->carved)
        look_at_end(slab, slab->start + (size_t)other * slab->block_bytes);
}

/* It is this thread's now; says whether it is zero. */
static bool take(const fl_slab *slab, char *block) {
    uint64_t word = fl_end_read(end_of(slab, block));
    fl_end_state state = fl_end_state_of(word);
    if (word != 0 && (!fl_end_is_valid(block, word) || state == FL_END_LIVE || state == FL_END_WAITING))
        fl_misuse(
            slab, "allocation of", block,
            "written to before it was handed out, or from the block beside it (its end word is damaged)");
    bool is_free = word != 0 && state == FL_END_FREE;
    if (is_free && !fl_is_zero(block + 16, fl_zeroed_bytes(slab->block_bytes)))
        fl_misuse(slab, "allocation of", block,
                  "written to after it was freed, or from the block before it (it is not zero)");
    fl_mark_of(block)[1] = 0; /* no link is for a program to see */
    return is_free && slab->block_bytes <= FL_ZEROED_BYTES_MAX;
}

static void set_live(const fl_slab *slab, char *block, size_t bytes, unsigned alignment_shift) {
    size_t gap = slab->block_bytes - FL_END_BYTES - bytes;
    /* By words, of which the last two may overlap; never the end word, which others look at. */
    char *fill = block + bytes;
    size_t filled = fill_bytes(gap);
    if (filled >= sizeof(uint64_t)) {
        for (size_t at = 0; at + sizeof(uint64_t) <= filled; at += sizeof(uint64_t))
            memcpy(fill + at, &fl_the_secrets.fill, sizeof(uint64_t));
        memcpy(fill + filled - sizeof(uint64_t), &fl_the_secrets.fill, sizeof(uint64_t));
    } else
        for (size_t i = 0; i < filled; i++)
            fill[i] = (char)fl_the_secrets.fill;
    fl_end_write(end_of(slab, block), fl_end_make(block, FL_END_LIVE, alignment_shift, gap));
}

/* From a slab: what the heap gave. */
static inline void *hand_out(fl_heap *heap, char *block, size_t bytes, unsigned alignment_shift,
                             bool zeroed) {
    const fl_slab *slab = fl_entry_slab(fl_entry_of(block));
    bool is_zero = take(slab, block);
    if (zeroed && !is_zero)
        memset(block, 0, bytes);
    set_live(slab, block, bytes, alignment_shift);
    look_around(heap, slab, block);
    fl_quarantine_look(heap, slab->block_bytes);
    return block;
}

/* The calling thread's heap, made if there is none; NULL: out of memory. fl_thread_heap_done when finished. */
static fl_heap *heap_here(void) {
    fl_heap *heap = fl_thread_heap;
    if (heap != &fl_empty_heap)
        return heap;
    return fl_process_init() ? fl_thread_heap_in(fl_arena_handle(fl_process_arena)) : NULL;
}

static __attribute__((noinline)) void *alloc_large(size_t alignment, size_t bytes, bool zeroed) {
    fl_heap *heap = heap_here();
    if (!heap)
        return no_memory();
    void *block = fl_sealed_alloc(heap, alignment, bytes, zeroed);
    fl_thread_heap_done(heap);
    return block ? block : no_memory();
}

static inline void *alloc(size_t bytes, bool zeroed) {
    if (__builtin_expect(bytes > SLAB_BYTES_MAX, 0))
        return alloc_large(16, bytes, zeroed);
    char *block = fl_heap_alloc(fl_thread_heap, with_end(bytes));
    /* Read again: the first allocation of a thread gives it its heap. */
    return block ? hand_out(fl_thread_heap, block, bytes, 0, zeroed) : NULL;
}

void *fl_hardened_alloc(size_t bytes) {
    return alloc(bytes, false);
}

void *fl_hardened_alloc_zeroed(size_t bytes) {
    return alloc(bytes, true);
}

void *fl_hardened_alloc_aligned(size_t alignment, size_t bytes) {
    if (alignment <= 16)
        return fl_hardened_alloc(bytes);
    if (bytes > SLAB_BYTES_MAX || alignment > FL_PAGE_BYTES)
        return alloc_large(alignment, bytes, false);
    fl_heap *heap = heap_here();
    if (!heap)
        return no_memory();
    char *block = NULL;
    size_t least = with_end(bytes) < alignment ? alignment : with_end(bytes);
    /* A slab starts at a page: a block whose size is a multiple of the alignment is aligned. */
    for (unsigned size_class = fl_sizeclass_of(least); size_class < FL_CLASS_COUNT; size_class++)
        if ((fl_classes[size_class].block_bytes & (alignment - 1)) == 0) {
            block = fl_heap_alloc(heap, fl_classes[size_class].block_bytes);
            if (block)
                hand_out(heap, block, bytes, (unsigned)__builtin_ctzl(alignment), false);
            fl_thread_heap_done(heap);
            return block ? block : no_memory();
        }
    fl_thread_heap_done(heap);
    return alloc_large(alignment, bytes, false);
}

static const char *what_it_is(const void *block, uint64_t end) {
    if (end == 0)
        return "never handed out, or given back meanwhile (it has no end word)";
    if (!fl_end_is_valid(block, end))
        return "written to behind its end (its end word is damaged)";
    switch (fl_end_state_of(end)) {
    case FL_END_WAITING:
        return "freed twice, or used after it was freed (it waits in quarantine)";
    case FL_END_FREE:
        return "freed twice, or used after it was freed (its end word says that it is free)";
    default:
        return "never handed out (its end word says so)";
    }
}

/* Stops the process, if it is no live block of a slab. Returns its end word. */
static inline uint64_t check_live(const fl_slab *slab, const void *block, const char *doing) {
    fl_check_start(slab, block, doing);
    uint64_t end = fl_end_read(end_of(slab, block));
    if (__builtin_expect(!fl_end_is_valid(block, end) || fl_end_state_of(end) != FL_END_LIVE, 0))
        fl_misuse(slab, doing, block, what_it_is(block, end));
    size_t gap = fl_end_gap(end), filled = fill_bytes(gap);
    const char *fill = end_of(slab, block) - FL_END_BYTES - gap;
    uint64_t wrong = 0, word;
    for (; filled >= sizeof word; filled -= sizeof word, fill += sizeof word) {
        memcpy(&word, fill, sizeof word);
        wrong |= word ^ fl_the_secrets.fill;
    }
    if (filled) { /* and some of the end word, which counts for nothing */
        memcpy(&word, fill, sizeof word);
        wrong |= (word ^ fl_the_secrets.fill) << (64 - 8 * filled);
    }
    if (__builtin_expect(wrong, 0))
        fl_misuse(slab, doing, block, "written to behind its end (what lies there is not as it was)");
    return end;
}

/* The slab or run of a block of the process's arena that is live; NULL: it is another arena's, whose blocks have no end words. */
static inline fl_slab *slab_of(const void *block, const char *doing) {
    fl_entry entry = fl_entry_of(block);
    if (__builtin_expect(entry == 0, 0))
        fl_fatal(doing, block, "not a block of this heap (its page has no owner)");
    fl_slab *slab = fl_entry_slab(entry);
    return slab->arena == fl_process_arena ? slab : NULL;
}

static __attribute__((noinline)) void free_large(fl_slab *run, void *block) {
    fl_sealed_check(run, block, "free of");
    fl_heap *heap = fl_thread_heap;
    fl_pagearena *arena = &run->arena->pages;
    fl_slab *over = run;
    bool waits = heap != &fl_empty_heap && run->pages << FL_PAGE_SHIFT <= FL_QUARANTINE_RUN_BYTES &&
                 fl_quarantine_is_open(heap) && fl_sealed_close(run);
    while (waits && (over = fl_quarantine_put_run(heap, run)) != NULL && over != run)
        fl_sealed_give(&heap->kept, over);
    if (over)
        fl_sealed_give(heap != &fl_empty_heap ? &heap->kept : NULL, over);
    fl_driver_note(arena);
}

void fl_hardened_free(void *block) {
    if (!block)
        return;
    fl_slab *slab = slab_of(block, "free of");
    if (__builtin_expect(!slab, 0)) {
        fl_heap_free(fl_thread_heap, block);
        return;
    }
    if (__builtin_expect(slab->kind == FL_KIND_LARGE, 0)) {
        free_large(slab, block);
        return;
    }
    uint64_t end = check_live(slab, block, "free of");
    fl_heap *heap = fl_thread_heap;
    if (__builtin_expect(heap == &fl_empty_heap, 0)) {
        fl_thread_attach();
        heap = fl_thread_heap;
    }
    look_around(heap, slab, block);
    fl_quarantine_begin(slab, block, end);
    void *over = block;
    if (heap != &fl_empty_heap) {
        over = fl_quarantine_put(heap, block, slab->block_bytes);
        if (!over)
            return;
    }
    fl_quarantine_end(fl_entry_slab(fl_entry_of(over)), over);
    fl_heap_free(heap, over);
}

/* Of a checked block. */
static size_t bytes_of(const fl_slab *slab, uint64_t end) {
    return slab->block_bytes - FL_END_BYTES - fl_end_gap(end);
}

static size_t bytes_and_alignment(const void *block, const char *doing, unsigned *alignment_shift) {
    const fl_slab *slab = slab_of(block, doing);
    *alignment_shift = 0;
    if (!slab)
        return fl_block_usable_bytes(fl_block_slab(block, doing));
    if (slab->kind == FL_KIND_LARGE) {
        fl_sealed_check(slab, block, doing);
        *alignment_shift = fl_sealed_alignment_shift(slab);
        return fl_sealed_bytes(slab, block);
    }
    uint64_t end = check_live(slab, block, doing);
    *alignment_shift = fl_end_alignment_shift(end);
    return bytes_of(slab, end);
}

size_t fl_hardened_bytes(const void *block) {
    unsigned ignored;
    return bytes_and_alignment(block, "malloc_usable_size of", &ignored);
}

void fl_hardened_check_size(const void *block, size_t alignment, size_t bytes) {
    unsigned shift;
    bool is_size = bytes_and_alignment(block, "sized free of", &shift) == bytes;
    if (!is_size || (alignment > 16 && (size_t)1 << shift != alignment))
        fl_fatal("sized free of", block, "not of the size, or the alignment, that was said");
}

void fl_hardened_check_alignment(const void *block, size_t alignment) {
    unsigned shift;
    bytes_and_alignment(block, "delete of", &shift);
    if ((alignment > 16 ? (size_t)__builtin_ctzl(alignment) : 0) != shift)
        fl_fatal("delete of", block, "not of the alignment that was said");
}

/* In place, where the block is of the right size for it; NULL: it is not. */
static void *resize_in_place(fl_slab *slab, void *block, size_t bytes) {
    fl_heap *heap = heap_here();
    if (!heap)
        return NULL;
    void *resized = NULL;
    if (slab->kind == FL_KIND_LARGE)
        resized = fl_sealed_resize(heap, slab, block, bytes);
    else if (with_end(bytes) <= slab->block_bytes && with_end(bytes) >= slab->block_bytes / 2) {
        set_live(slab, block, bytes, 0);
        resized = block;
    }
    fl_thread_heap_done(heap);
    return resized;
}

void *fl_hardened_resize(void *block, size_t bytes) {
    unsigned ignored;
    size_t before = bytes_and_alignment(block, "realloc of", &ignored);
    fl_slab *slab = slab_of(block, "realloc of");
    void *resized = slab ? resize_in_place(slab, block, bytes) : NULL;
    if (resized)
        return resized;
    int saved_errno = errno;
    resized = fl_hardened_alloc(bytes);
    if (!resized) {
        if (bytes > before)
            return NULL;
        errno = saved_errno; /* to become smaller needs no memory: it stays as long as it is */
        return block;
    }
    memcpy(resized, block, before < bytes ? before : bytes);
    fl_hardened_free(block);
    return resized;
}

#else
typedef int fl_not_hardened; /* a file must not be empty */
#endif
