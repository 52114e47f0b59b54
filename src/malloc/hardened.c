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
#include "../heap/thread.h"
#include "../system/fatal.h"

#if FL_HARDENED

#define SLAB_BYTES_MAX (FL_CLASS_BYTES_MAX - FL_END_BYTES)
#define BLOCK_BYTES_MIN ((size_t)17) /* of the second class: mark, link and end word take three words */

/* So much of a block is zeroed when it is freed, and checked before it is handed out again. */
#define ZEROED_BYTES_MAX ((size_t)64)

/* One in so many allocations checks the end word of one of so many blocks beside its own, in turn. */
#define LOOKED_ONCE_IN 4u
#define NEAR_BLOCKS 8u

static size_t with_end(size_t bytes) {
    return bytes + FL_END_BYTES < BLOCK_BYTES_MIN ? BLOCK_BYTES_MIN : bytes + FL_END_BYTES;
}

static char *end_of(const fl_slab *slab, const void *block) {
    return (char *)(uintptr_t)block + slab->block_bytes;
}

/* Returns whether what lies behind the contents is as it should be: the fill's first word, which an overflow
 * that begins there hits. */
static inline bool has_fill(const char *end, size_t gap) {
    uint64_t fill, wanted = fl_the_secrets.fill;
    memcpy(&fill, end - FL_END_BYTES - gap, sizeof fill);
    return gap >= 8 ? fill == wanted : ((fill ^ wanted) & (((uint64_t)1 << gap * 8) - 1)) == 0;
}

static inline void set_fill(char *end, size_t gap) {
    const uint64_t wanted = fl_the_secrets.fill;
    if (gap >= 8)
        memcpy(end - FL_END_BYTES - gap, &wanted, sizeof wanted);
    else if (gap) { /* together with the contents before; never the end word, which others look at */
        uint64_t last, kept = ~(uint64_t)0 >> gap * 8;
        memcpy(&last, end - 2 * FL_END_BYTES, sizeof last);
        last = (last & kept) | wanted << (64 - gap * 8);
        memcpy(end - 2 * FL_END_BYTES, &last, sizeof last);
    }
}

/* Returns whether what stands at a block's end is as it should be. */
static inline bool has_whole_end(const fl_slab *slab, const char *block, uint64_t word) {
    uint64_t said = fl_end_code(block, word);
    if (word == 0)
        return true;
    if (!fl_end_is_valid(said))
        return false;
    return fl_end_state_of(said) != FL_END_LIVE || has_fill(block + slab->block_bytes, fl_end_gap(said));
}

/* Another thread may free the block, or resize it, between two of our loads. So what is wrong has to stay so,
 * with the same word. */
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

/* Checks a block that has been carved, and need not be the caller's. */
static inline void look_at_end(const fl_slab *slab, const char *block) {
    uint64_t word = fl_end_read(block + slab->block_bytes);
    if (__builtin_expect(!has_whole_end(slab, block, word), 0))
        look_again(slab, block, word);
}

/* Returns whether the end word of the block before is as it should be: it shows what was written in front of
 * this one. */
static inline bool is_whole_before(const fl_slab *slab, const char *block) {
    if (block == slab->start)
        return true;
    uint64_t word = fl_end_read(block);
    return fl_end_is_valid(fl_end_code(block - slab->block_bytes, word)) || word == 0;
}

/* Checks a block beside, in a slab of the calling thread's. (What is carved of another thread's slab is
 * unknown; and end words of decommitted pages could be read, but need not be there.) Returns the block, so
 * that the caller needs no frame. */
static __attribute__((noinline)) void *look_beside(fl_heap *heap, const fl_slab *slab, char *block) {
    if (slab->decommitted || fl_entry_of(block) != fl_entry_make(slab, heap->tag))
        return block;
    uint64_t inverse = fl_classes[slab->size_class].inverse;
    uint32_t index = (uint32_t)(((size_t)(block - slab->start) * inverse) >> FL_CLASS_INVERSE_SHIFT);
    uint32_t turn = heap->quarantine.near / LOOKED_ONCE_IN;
    uint32_t other = (index & ~(NEAR_BLOCKS - 1)) + (turn & (NEAR_BLOCKS - 1));
    if (other < slab->carved)
        look_at_end(slab, slab->start + (size_t)other * slab->block_bytes);
    return block;
}

typedef uint64_t __attribute__((vector_size(16), may_alias)) two_words;

/* At once for the usual size, without a loop. */
static inline void zero(const fl_slab *slab, char *block) {
    if (__builtin_expect(slab->block_bytes >= ZEROED_BYTES_MAX + FL_END_BYTES, 1)) {
        memset(block + 16, 0, ZEROED_BYTES_MAX - 16);
        return;
    }
    size_t end = slab->block_bytes - FL_END_BYTES;
    for (size_t at = 16; at + 16 <= end; at += 16)
        *(two_words *)(block + at) = (two_words){0, 0};
    *(fl_end_word *)(block + end - 8) = 0;
}

static inline bool is_zero(const fl_slab *slab, const char *block) {
    const two_words *all = (const two_words *)block;
    two_words any;
    if (__builtin_expect(slab->block_bytes >= ZEROED_BYTES_MAX + FL_END_BYTES, 1)) {
        any = all[1] | all[2] | all[3];
        return (any[0] | any[1]) == 0;
    }
    size_t end = slab->block_bytes - FL_END_BYTES;
    any = (two_words){*(const fl_end_word *)(block + end - 8), 0};
    for (size_t at = 16; at + 16 <= end; at += 16)
        any |= *(const two_words *)(block + at);
    return (any[0] | any[1]) == 0;
}

static inline void set_live(const fl_slab *slab, char *block, size_t bytes, unsigned alignment_shift) {
    size_t gap = slab->block_bytes - FL_END_BYTES - bytes;
    set_fill(end_of(slab, block), gap);
    fl_end_write(end_of(slab, block), fl_end_make(block, FL_END_LIVE, alignment_shift, gap));
}

/* Hands out a block from the heap whose end word is not a freed one's: new, or never handed out. */
static __attribute__((noinline)) void *hand_out_new(const fl_slab *slab, char *block, size_t bytes,
                                                    unsigned alignment_shift, bool zeroed) {
    uint64_t word = fl_end_read(end_of(slab, block));
    if (word != 0 && fl_end_code(block, word) != (uint64_t)FL_END_UNKNOWN << 8)
        fl_misuse(
            slab, "allocation of", block,
            "written to before it was handed out, or from the block beside it (its end word is damaged)");
    if (zeroed)
        memset(block, 0, bytes);
    set_live(slab, block, bytes, alignment_shift);
    return block;
}

/* Hands out a block that the heap gave from a slab. It is this thread's now. */
static inline void *hand_out(fl_heap *heap, const fl_slab *slab, char *block, size_t bytes,
                             unsigned alignment_shift, bool zeroed) {
    fl_mark_of(block)[1] = 0; /* no program should see a link */
    if (__builtin_expect(fl_end_read(end_of(slab, block)) != fl_end_make(block, FL_END_FREE, 0, 0), 0))
        return hand_out_new(slab, block, bytes, alignment_shift, zeroed);
    if (__builtin_expect(!is_zero(slab, block), 0))
        fl_misuse(slab, "allocation of", block,
                  "written to after it was freed, or from the block before it (it is not zero)");
    if (zeroed && slab->block_bytes > ZEROED_BYTES_MAX)
        memset(block, 0, bytes);
    set_live(slab, block, bytes, alignment_shift);
    if (__builtin_expect((++heap->quarantine.near & (LOOKED_ONCE_IN - 1)) == 0, 0))
        return look_beside(heap, slab, block);
    return block;
}

static __attribute__((noinline)) void *alloc_large(size_t alignment, size_t bytes, bool zeroed) {
    fl_heap *heap = fl_thread_heap_of_process();
    if (!heap)
        return fl_no_memory();
    void *block = fl_sealed_alloc(heap, alignment, bytes, zeroed);
    fl_thread_heap_done(heap);
    return block ? block : fl_no_memory();
}

/* Allocates what is not at hand. */
static __attribute__((noinline)) void *alloc_slow(size_t bytes, bool zeroed) {
    char *block = fl_heap_alloc_slow(with_end(bytes), fl_thread_heap);
    if (!block)
        return NULL;
    /* Read again: a thread's first allocation gives it its heap. */
    return hand_out(fl_thread_heap, fl_entry_slab(fl_entry_of(block)), block, bytes, 0, zeroed);
}

/* Like fl_heap_alloc, but knows the block's slab, which stays as long as the block is live. */
static inline void *alloc(size_t bytes, bool zeroed) {
    if (__builtin_expect(bytes > SLAB_BYTES_MAX, 0))
        return alloc_large(16, bytes, zeroed);
    size_t all = with_end(bytes);
    if (__builtin_expect(all > FL_DIRECT_BYTES_MAX, 0))
        return alloc_slow(bytes, zeroed);
    fl_heap *heap = fl_thread_heap;
    fl_slab *slab;
    fl_heap_enter(heap, heap);
    FL_LOAD(slab, heap->direct[(all + 15) / 16]);
    char *block = fl_slab_pop(slab);
    fl_heap_leave(heap);
    if (__builtin_expect(!block, 0))
        return alloc_slow(bytes, zeroed);
    return hand_out(heap, slab, block, bytes, 0, zeroed);
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
    fl_heap *heap = fl_thread_heap_of_process();
    if (!heap)
        return fl_no_memory();
    char *block = NULL;
    size_t least = with_end(bytes) < alignment ? alignment : with_end(bytes);
    /* A slab starts at a page: a block whose size is a multiple of the alignment is aligned. */
    for (unsigned size_class = fl_sizeclass_of(least); size_class < FL_CLASS_COUNT; size_class++)
        if ((fl_classes[size_class].block_bytes & (alignment - 1)) == 0) {
            block = fl_heap_alloc(heap, fl_classes[size_class].block_bytes);
            if (block)
                hand_out(heap, fl_entry_slab(fl_entry_of(block)), block, bytes,
                         (unsigned)__builtin_ctzl(alignment), false);
            fl_thread_heap_done(heap);
            return block ? block : fl_no_memory();
        }
    fl_thread_heap_done(heap);
    return alloc_large(alignment, bytes, false);
}

static const char *what_it_is(const void *block, uint64_t word) {
    uint64_t end = fl_end_code(block, word);
    if (word == 0)
        return "never handed out, or given back meanwhile (it has no end word)";
    if (!fl_end_is_valid(end))
        return "written to behind its end (its end word is damaged)";
    if (fl_end_state_of(end) != FL_END_FREE)
        return "never handed out (its end word says so)";
    return fl_quarantine_is_waiting(block)
               ? "freed twice, or used after it was freed (it waits in quarantine)"
               : "freed twice, or used after it was freed (its end word says that it is free)";
}

/* Stops the process if it is no live block of a slab. Returns what its end word says. */
static inline uint64_t check_live(const fl_slab *slab, const void *block, const char *doing) {
    const char *end = end_of(slab, block);
    bool is_inside = end <= slab->start + (size_t)slab->capacity * slab->block_bytes;
    uint64_t word = is_inside ? fl_end_read(end) : 0, said = fl_end_code(block, word);
    if (__builtin_expect(!fl_end_is_live(said), 0)) {
        fl_check_start(slab, block, doing); /* this one would cost each free a multiplication */
        fl_misuse(slab, doing, block, what_it_is(block, word));
    }
    if (__builtin_expect(!has_fill(end, fl_end_gap(said)), 0))
        fl_misuse(slab, doing, block, "written to behind its end (what lies there is not as it was)");
    return said;
}

/* Returns the slab or run of a live block of the process's arena; NULL for another arena's, whose blocks have
 * no end words. */
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

/* Gives a block to its slab. It was checked when it was freed, so nothing need be checked again. */
static inline void give(fl_heap *heap, void *block) {
    size_t page = ((uintptr_t)block - heap->window_base) >> FL_PAGE_SHIFT;
    if (__builtin_expect(page < heap->window_pages, 1)) {
        fl_heap_enter(heap, block);
        fl_entry mine = heap->entry_tag ^ atomic_load_explicit(&heap->table[page], memory_order_relaxed);
        if (__builtin_expect((mine & heap->tag_bits) == 0, 1)) {
            fl_heap_put(heap, (fl_slab *)(uintptr_t)mine, block);
            return;
        }
    }
    fl_heap_free_other(block, heap);
}

static __attribute__((noinline)) void free_first(const fl_slab *slab, void *block);

static inline void free_live(const fl_slab *slab, char *block) {
    fl_heap *heap = fl_thread_heap;
    if (__builtin_expect(heap == &fl_empty_heap, 0)) {
        free_first(slab, block);
        return;
    }
    /* The end word first: whoever looks at that then looks at nothing else that is zeroed. */
    fl_end_write(end_of(slab, block), fl_end_make(block, FL_END_FREE, 0, 0));
    zero(slab, block);
    fl_quarantine_begin(block);
    void *over = fl_quarantine_put(heap, block, slab->block_bytes);
    if (over)
        give(heap, over);
}

/* For a thread that has no heap, and perhaps gets none. */
static __attribute__((noinline)) void free_first(const fl_slab *slab, void *block) {
    fl_thread_attach();
    if (fl_thread_heap != &fl_empty_heap) {
        free_live(slab, block);
        return;
    }
    fl_end_write(end_of(slab, block), fl_end_make(block, FL_END_FREE, 0, 0));
    zero(slab, block);
    fl_heap_free(fl_thread_heap, block);
}

static __attribute__((noinline)) void free_doubtful(const fl_slab *slab, char *block) {
    look_again(slab, block - slab->block_bytes, fl_end_read(block));
    free_live(slab, block);
}

void fl_hardened_free(void *block) {
    if (!block)
        return;
    fl_slab *slab = slab_of(block, "free of");
    if (__builtin_expect(!slab, 0)) {
        fl_heap_free_other(block, fl_thread_heap);
        return;
    }
    if (__builtin_expect(slab->kind == FL_KIND_LARGE, 0)) {
        free_large(slab, block);
        return;
    }
    check_live(slab, block, "free of");
    if (__builtin_expect(is_whole_before(slab, block), 1))
        free_live(slab, block);
    else
        free_doubtful(slab, block);
}

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

/* Resizes in place. Returns NULL if the block is not of the right size for that. */
static void *resize_in_place(fl_slab *slab, void *block, size_t bytes) {
    fl_heap *heap = fl_thread_heap_of_process();
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
        errno = saved_errno; /* becoming smaller needs no memory: it stays as long as it is */
        return block;
    }
    memcpy(resized, block, before < bytes ? before : bytes);
    fl_hardened_free(block);
    return resized;
}

#else
typedef int fl_not_hardened; /* a file must not be empty */
#endif
