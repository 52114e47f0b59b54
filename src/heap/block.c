/* SPDX-License-Identifier: MIT */
#include "block.h"

#include <errno.h>

#include "../arena/shed.h"
#include "../slab/large.h"
#include "../slab/misused.h"
#include "../slab/traps.h"
#include "../system/fatal.h"
#include "alloc.h"
#include "free.h"
#include "registry.h"
#include "sampled.h"
#include "self.h"

#define WORTH_KNOWING_BYTES 1025 /* clearing a smaller block is as fast as asking whether it is zero */

/* From here on, memory that was used before is not cleared but given back, to return as zeroes: a program
 * that touches little of it has little of it resident. One that touches all has a fault for each page
 * instead: seven times as dear with tables of up to 16 MiB, which glibc too clears; above 32 MiB glibc never
 * keeps a block. (A sparse table is four times as cheap this way.) */
#define RENEWED_BYTES ((size_t)32 << 20)

/* For a large block, or NULL. The sample's calls begin with those of the function that asks. */
static inline void finish_large(fl_heap *heap, const void *block, size_t bytes, const void *frame) {
    if (block && fl_sampling_shift() >= 0)
        fl_sampled_note_large(fl_entry_slab(fl_entry_of(block)), bytes, frame);
    fl_shed_ask_soft(&heap->arena->pages);
}

static __attribute__((noinline)) void *alloc_large_aligned(fl_heap *heap, size_t alignment_pages,
                                                           size_t bytes) {
    void *block = fl_large_alloc(heap->arena, &heap->kept, bytes, alignment_pages);
    finish_large(heap, block, bytes, __builtin_frame_address(0));
    return block ? block : fl_no_memory();
}

void *fl_block_alloc_aligned(fl_heap *heap, size_t alignment, size_t bytes) {
    if (alignment <= 16)
        return fl_heap_alloc(heap, bytes);
    if (bytes > PTRDIFF_MAX || alignment > PTRDIFF_MAX)
        return fl_no_memory();
    /* A slab starts at a page: a block whose size is a multiple of the alignment is aligned. */
    size_t least = bytes < alignment ? alignment : bytes;
    if (alignment <= FL_PAGE_BYTES && least <= FL_CLASS_BYTES_MAX)
        for (unsigned size_class = fl_sizeclass_of(least); size_class < FL_CLASS_COUNT; size_class++)
            if ((fl_classes[size_class].block_bytes & (alignment - 1)) == 0)
                return fl_heap_alloc(heap, fl_classes[size_class].block_bytes);
    return alloc_large_aligned(heap, alignment > FL_PAGE_BYTES ? alignment >> FL_PAGE_SHIFT : 1, bytes);
}

static __attribute__((noinline)) void *alloc_large_zeroed(fl_heap *heap, size_t bytes) {
    bool zeroed;
    void *block = fl_large_alloc_known(heap->arena, &heap->kept, bytes, 1, &zeroed);
    if (block && !zeroed && !(bytes >= RENEWED_BYTES && fl_large_renew(block)))
        memset(block, 0, bytes);
    finish_large(heap, block, bytes, __builtin_frame_address(0));
    return block;
}

void *fl_block_alloc_zeroed(fl_heap *heap, size_t bytes) {
    bool zeroed = false;
    void *block = NULL;
    FL_KEEP_FRAME();
    if (bytes > FL_CLASS_BYTES_MAX)
        return alloc_large_zeroed(heap, bytes);
    else if (bytes >= WORTH_KNOWING_BYTES)
        zeroed = (block = fl_heap_pop_fresh(heap, bytes)) != NULL;
    if (!block)
        block = fl_heap_alloc(heap, bytes);
    if (block && !zeroed)
        memset(block, 0, bytes);
    return block;
}

/* For a marked block: if it lies in one of the calling thread's slabs, it is looked for among the free
 * blocks. */
static __attribute__((noinline)) void check_marked(const fl_slab *slab, const void *block,
                                                   const char *doing) {
    uint32_t tag = fl_word_owner(atomic_load_explicit(&slab->word, memory_order_relaxed));
    fl_heap *heap = tag ? fl_heap_by_tag(tag) : NULL;
    if (!heap || fl_heap_thread(heap) != fl_thread_record() || !fl_looks_free(slab, block))
        return;
    if (fl_heap_take_in_hand(heap, slab, block))
        fl_check_unlisted(slab, block, doing);
    fl_heap_leave(heap);
}

static inline void check_live(const fl_slab *slab, const void *block, const char *doing) {
    fl_check_start(slab, block, doing);
    if (__builtin_expect(fl_is_marked(block), 0))
        check_marked(slab, block, doing);
}

/* For an address in no page of the window. (Apart, for the stack.) */
static __attribute__((noinline)) fl_slab *trapped(const void *block, const char *doing) {
    fl_slab *slab = fl_trap_slab(block, doing);
    if (!slab)
        fl_fatal(doing, block, "not a block of this heap (its page has no owner)");
    return slab;
}

fl_slab *fl_block_slab(const void *block, const char *doing) {
    fl_entry entry = fl_entry_of(block);
    if (entry == 0)
        return trapped(block, doing);
    fl_slab *slab = fl_entry_slab(entry);
    if (slab->kind == FL_KIND_SLAB)
        check_live(slab, block, doing);
    else if (slab->start != block)
        fl_fatal(doing, block, "not the start of a block (it lies inside a large one)");
    return slab;
}

size_t fl_block_usable_bytes(const fl_slab *slab) {
    return slab->kind == FL_KIND_LARGE ? slab->pages << FL_PAGE_SHIFT : slab->block_bytes;
}

bool fl_block_resize(fl_slab *slab, size_t bytes) {
    size_t usable = fl_block_usable_bytes(slab);
    if (slab->kind != FL_KIND_LARGE)
        return bytes <= usable && bytes >= usable / 2;
    if (bytes <= FL_CLASS_BYTES_MAX) /* sampled, or aligned: like a slab's */
        return bytes <= usable && bytes >= usable / 2;
    if (!fl_large_resize(slab, bytes))
        return false;
    if (fl_sampling_shift() >= 0)
        fl_sampled_note_large(slab, bytes, __builtin_frame_address(0));
    if (bytes > usable)
        fl_shed_ask_soft(&slab->arena->pages);
    return true;
}

void *fl_block_keep(fl_slab *slab, void *block, size_t bytes) {
    if (slab->kind == FL_KIND_LARGE)
        fl_large_resize(slab, bytes);
    return block;
}

static __attribute__((noinline)) void *move_large(fl_heap *heap, fl_slab *slab, size_t bytes) {
    void *block = fl_large_move(heap->arena, &heap->kept, slab, bytes);
    finish_large(heap, block, bytes, __builtin_frame_address(0));
    return block;
}

/* For a live block. */
static fl_slab *slab_of(const void *block) {
    fl_entry entry = fl_entry_of(block);
    return entry ? fl_entry_slab(entry) : &fl_trap_near(block)->as_slab;
}

/* Both apart: fl_block_move leaves just as much of the stack as it needs while it allocates. */
static __attribute__((noinline)) void *carry_over(fl_heap *heap, void *from, void *to, size_t bytes) {
    size_t usable = fl_block_usable_bytes(slab_of(from));
    memcpy(to, from, usable < bytes ? usable : bytes);
    fl_heap_free(heap, from);
    return to;
}

static __attribute__((noinline)) void *stay(void *block, size_t bytes, int saved_errno) {
    fl_slab *slab = slab_of(block);
    if (bytes > fl_block_usable_bytes(slab))
        return NULL;
    errno = saved_errno;
    return fl_block_keep(slab, block, bytes);
}

void *fl_block_move(fl_heap *heap, fl_slab *slab, void *block, size_t bytes) {
    if (slab->kind == FL_KIND_LARGE && bytes > fl_block_usable_bytes(slab))
        return move_large(heap, slab, bytes);
    FL_KEEP_FRAME();
    int saved_errno = errno;
    void *moved = fl_heap_alloc(heap, bytes);
    return moved ? carry_over(heap, block, moved, bytes) : stay(block, bytes, saved_errno);
}
