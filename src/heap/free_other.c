/* SPDX-License-Identifier: MIT */
/*
 * free_other.c: frees that the owner's fast path passed on: NULL, another thread's block, nobody's, a large
 * one, no block at all, or one that may be free already.
 */
#include "../arena/driver.h"
#include "../arena/scarce.h"
#include "../system/fatal.h"
#include "heap.h"
#include "large.h"
#include "misused.h"
#include "owner.h"
#include "thread.h"

/* With what the push has to do afterwards. */
static void push(fl_slab *slab, void *block) {
    fl_arena *arena = &slab->arena->pages;
    size_t bytes = slab->pages << FL_PAGE_SHIFT;
    uint32_t owner;
    switch (fl_slab_push(slab, block, &owner)) {
    case FL_PUSH_DONE:
        return;
    case FL_PUSH_NOTE:
        fl_driver_note_freed(arena, bytes);
        return;
    case FL_PUSH_TELL:
        fl_owner_tell(slab, owner);
        return;
    case FL_PUSH_UNLIST:
        fl_slab_unlist_and_settle(slab);
        break;
    case FL_PUSH_SETTLE:
        fl_slab_settle(slab, NULL);
        break;
    }
    fl_driver_note(arena);
}

void fl_heap_free_doubtful(void *block, fl_heap *heap) {
    fl_slab *slab = fl_entry_slab(fl_entry_of(block));
    fl_check_live(slab, block, "free of");
    fl_heap_put(heap, slab, block);
}

void fl_heap_free_other(void *block, fl_heap *heap) {
    if (!block)
        return;
    fl_heap_leave(heap);
    fl_entry entry = fl_entry_of(block);
    if (entry == 0)
        fl_fatal("free of", block, "not a block of this heap (its page has no owner)");
    if (fl_page_of(block) >= heap->window_pages && heap != &fl_empty_heap) {
        heap->window_pages = atomic_load_explicit(&fl_the_window.pages, memory_order_acquire);
        fl_heap_free(heap, block);
        return;
    }
    fl_slab *slab = fl_entry_slab(entry);
    if (slab->kind == FL_KIND_LARGE) {
        fl_large_free(heap, slab, block);
        return;
    }
    fl_check_live(slab, block, "free of");
    /* A thread that only frees gets a heap all the same: the hazard pointer of the empty one is on a line that all such
     * threads would write. */
    if (heap == &fl_empty_heap && slab->arena == fl_process_arena)
        fl_thread_become_known();
    /* Read before the push: afterwards the slab is out of reach, unless this push claimed it. */
    fl_arena *arena = &slab->arena->pages;
    push(slab, block);
    fl_scarce_note(arena, block);
}
