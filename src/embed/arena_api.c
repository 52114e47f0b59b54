/* SPDX-License-Identifier: MIT */
/*
 * arena_api.c: the public face of arenas.
 */
#include "fallow/arena.h"

#include <errno.h>
#include <string.h>

#include "../arena/driver.h"
#include "../arena/family.h"
#include "../arena/grant.h"
#include "../arena/limits.h"
#include "../arena/scavenger.h"
#include "../arena/shed.h"
#include "../heap/alloc.h"
#include "../heap/block.h"
#include "../heap/free.h"
#include "../heap/startup.h"
#include "../heap/thread.h"
#include "../osmem/backend.h"
#include "../profile/frames.h"
#include "../slab/trap.h"
#include "../system/arithmetic.h"
#include "../system/fatal.h"
#include "../system/sized.h"
#include "arena_api.h"
#include "arena_life.h"
#include "atfork.h"
#include "guarded.h"

static bool are_valid(const fallow_arena_options *options) {
    return !(options->flags & ~FALLOW_ARENA_ONE_THREAD) &&
           (unsigned)options->give_back <= FALLOW_GIVE_BACK_AT_ONCE &&
           (!options->backend ||
            (fl_backend_is_whole(options->backend) && fl_backend_traits(options->backend).os_page_bytes <=
                                                          fl_the_window.grain_pages << FL_PAGE_SHIFT));
}

static fallow_arena *create(const fallow_arena_options *options) {
    bool began = fl_process_init();
    if (began && !are_valid(options)) {
        errno = EINVAL;
        return NULL;
    }
    fallow_arena *parent =
        began && options->parent ? fl_arena_at(options->parent, "arena below arena") : NULL;
    fl_fork_register();
    fallow_arena *arena = began ? fl_arena_make(options, parent) : NULL;
    if (began)
        fl_show_leak_roots();
    if (!arena) {
        errno = ENOMEM;
        return NULL;
    }
    return fl_arena_handle(arena);
}

fallow_arena *fallow_arena_create_sized(const fallow_arena_options *options, size_t options_bytes) {
    fallow_arena_options ours = {0};
    if (!fl_sized_take(&ours, sizeof ours, options, options_bytes, sizeof ours)) {
        errno = EINVAL;
        return NULL;
    }
    return create(&ours);
}

fallow_arena *fallow_arena_create(const char *name, size_t limit_bytes) {
    return create(&(fallow_arena_options){.name = name, .limit_bytes = limit_bytes});
}

const char *fallow_arena_name(const fallow_arena *arena) {
    return fl_arena_at(arena, "name of arena")->name;
}

fallow_arena *fallow_arena_parent(const fallow_arena *arena) {
    fallow_arena *it = fl_arena_at(arena, "parent of arena");
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS)); /* else it may be another's once we look at it */
    const fallow_arena *parent = fl_arena_parent(it);
    fallow_arena *handle = parent ? fl_arena_handle(parent) : NULL;
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
    return handle;
}

#define TRIES_MAX 64 /* others allocate meanwhile */

/* Tries as often as that makes sense. What is idle in the arena goes first: it need not count at the new
 * parent. */
static fl_move move_below(fallow_arena *arena, fallow_arena *parent) {
    fl_shortage shortage = {FL_REFUSED_NEVER, 0, NULL};
    fl_ladder ladder = {0};
    for (unsigned tries = 0;; tries++) {
        fl_move result = fl_arena_set_parent(arena, parent, &shortage);
        if (result != FL_MOVE_REFUSED ||
            ((tries == TRIES_MAX ||
              !fl_scavenger_give_back(&arena->pages, shortage.bytes, FL_CAUSE_LIMIT, true)) &&
             !fl_make_room(&parent->pages, &shortage, &ladder,
                           fallow_arena_ready_bytes(fl_arena_handle(arena)))))
            return result;
    }
}

bool fallow_arena_set_parent(fallow_arena *handle, fallow_arena *parent_handle) {
    static const int errors[] = {[FL_MOVED] = 0, [FL_MOVE_REFUSED] = ENOMEM, [FL_MOVE_CIRCLE] = EINVAL};
    fallow_arena *arena = fl_arena_at(handle, "another parent for arena");
    fallow_arena *parent = parent_handle ? fl_arena_at(parent_handle, "arena below arena") : NULL;
    fl_call_back here; /* neither may end in a shedder that is asked */
    fl_call_back_begin(&here, &arena->pages, parent ? &parent->pages : NULL, false);
    fl_move result = arena == fl_process_arena ? FL_MOVE_CIRCLE : move_below(arena, parent);
    fl_call_back_end(&here);
    if (result != FL_MOVED)
        errno = errors[result];
    return result == FL_MOVED;
}

void fallow_arena_reset(fallow_arena *arena, size_t keep_bytes) {
    fl_arena_reset(fl_arena_at(arena, "reset of arena"), keep_bytes);
}

void fallow_arena_destroy(fallow_arena *arena) {
    if (arena)
        fl_arena_destroy(fl_arena_at(arena, "destroy of arena"));
}

static void *finish(fl_heap *heap, void *block) {
    if (heap)
        fl_thread_heap_done(heap);
    if (!block)
        errno = ENOMEM;
    return block;
}

/* For an arena that is not the one the thread used last, nor has one heap for all: the first place where it
 * may be a guarded one. */
static __attribute__((noinline)) void *alloc_looked_up(fallow_arena *arena, size_t alignment, size_t bytes,
                                                       bool zeroed) {
    FL_KEEP_FRAME();
    fallow_arena *guarded = fl_guarded_find(arena);
    if (guarded)
        return fl_guarded_alloc(guarded, alignment, bytes, zeroed);
    fl_heap *heap = fl_thread_heap_look_up(arena);
    if (heap && zeroed)
        return finish(heap, fl_block_alloc_zeroed(heap, bytes));
    return finish(heap, heap ? fl_block_alloc_aligned(heap, alignment, bytes) : NULL);
}

/* For another arena than the one that the thread used last. */
static __attribute__((noinline)) void *alloc_elsewhere(fallow_arena *arena, size_t bytes) {
    fl_heap *heap = fl_thread_heap_of_all(arena);
    return heap ? fl_heap_alloc(heap, bytes) : alloc_looked_up(arena, 1, bytes, false);
}

void *fallow_arena_alloc(fallow_arena *arena, size_t bytes) {
    fl_heap *heap = fl_thread_heap_recent(arena);
    return __builtin_expect(heap != NULL, 1) ? fl_heap_alloc(heap, bytes) : alloc_elsewhere(arena, bytes);
}

void *fallow_arena_alloc_zeroed(fallow_arena *arena, size_t bytes) {
    FL_KEEP_FRAME();
    fl_heap *heap = fl_thread_heap_at_hand(arena);
    return heap ? finish(heap, fl_block_alloc_zeroed(heap, bytes)) : alloc_looked_up(arena, 1, bytes, true);
}

void *fallow_arena_alloc_aligned(fallow_arena *arena, size_t alignment, size_t bytes) {
    FL_KEEP_FRAME();
    if (!fl_is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    fl_heap *heap = fl_thread_heap_at_hand(arena);
    return heap ? finish(heap, fl_block_alloc_aligned(heap, alignment, bytes))
                : alloc_looked_up(arena, alignment, bytes, false);
}

void *fallow_arena_alloc_at_least(fallow_arena *arena, size_t bytes, size_t *got) {
    FL_KEEP_FRAME();
    void *block = fallow_arena_alloc(arena, bytes);
    if (block)
        *got = fallow_arena_usable_bytes(block);
    return block;
}

size_t fallow_arena_usable_bytes(const void *block) {
    if (fl_guarded_of(block))
        return fl_guarded_bytes(fl_guarded_slab(block, "usable bytes of"), block);
    return fl_block_usable_bytes(fl_block_slab(block, "usable bytes of"));
}

/* A block of another arena would get into this one's books. */
static fl_slab *slab_here(fallow_arena *arena, const void *block, const char *doing) {
    fl_slab *slab = fl_block_slab(block, doing);
    if (__builtin_expect(fl_arena_handle(slab->arena) != arena, 0))
        fl_fatal(doing, block, "a block of another arena");
    return slab;
}

/* For callers that have no heap to look up first. The arena that the thread used last is not guarded. */
static fallow_arena *find_guarded(const fallow_arena *arena) {
    return fl_thread_heap_recent(arena) ? NULL : fl_guarded_find(arena);
}

bool fallow_arena_resize(fallow_arena *arena, void *block, size_t bytes) {
    FL_KEEP_FRAME();
    fallow_arena *guarded = find_guarded(arena);
    if (guarded)
        return fl_guarded_resize(guarded, block, bytes);
    return fl_block_resize(slab_here(arena, block, "resize of"), bytes);
}

void *fallow_arena_realloc(fallow_arena *arena, void *block, size_t bytes) {
    FL_KEEP_FRAME();
    if (!block)
        return fallow_arena_alloc(arena, bytes);
    fallow_arena *guarded = find_guarded(arena);
    if (guarded)
        return fl_guarded_realloc(guarded, block, 1, bytes + (bytes == 0));
    fl_slab *slab = slab_here(arena, block, "realloc of");
    bytes += bytes == 0;
    if (fl_block_resize(slab, bytes))
        return block;
    fl_heap *heap = fl_thread_heap_in(arena);
    return finish(heap, heap ? fl_block_move(heap, slab, block, bytes) : NULL);
}

/* Returns an aligned block of at least `bytes`, in place of one that is not aligned or cannot be made to
 * fit. */
static void *move_aligned(fallow_arena *arena, fl_slab *slab, void *block, size_t alignment, size_t bytes) {
    FL_KEEP_FRAME();
    size_t usable = fl_block_usable_bytes(slab);
    int saved_errno = errno;
    void *moved = fallow_arena_alloc_aligned(arena, alignment, bytes);
    if (moved) {
        memcpy(moved, block, usable < bytes ? usable : bytes);
        fallow_arena_free(arena, block);
    } else if (bytes <= usable && (uintptr_t)block % alignment == 0) {
        errno = saved_errno;
        return fl_block_keep(slab, block, bytes);
    }
    return moved;
}

void *fallow_arena_realloc_aligned(fallow_arena *arena, void *block, size_t alignment, size_t bytes) {
    FL_KEEP_FRAME();
    if (!block || !fl_is_power_of_two(alignment))
        return fallow_arena_alloc_aligned(arena, alignment, bytes);
    fallow_arena *guarded = find_guarded(arena);
    if (guarded)
        return fl_guarded_realloc(guarded, block, alignment, bytes + (bytes == 0));
    fl_slab *slab = slab_here(arena, block, "realloc of");
    bytes += bytes == 0;
    if ((uintptr_t)block % alignment == 0 && fl_block_resize(slab, bytes))
        return block;
    return move_aligned(arena, slab, block, alignment, bytes);
}

static bool multiply(size_t count, size_t each, size_t *bytes) {
    if (!__builtin_mul_overflow(count, each, bytes))
        return true;
    errno = ENOMEM;
    return false;
}

void *fallow_arena_alloc_array(fallow_arena *arena, size_t count, size_t each_bytes) {
    size_t bytes;
    return multiply(count, each_bytes, &bytes) ? fallow_arena_alloc(arena, bytes) : NULL;
}

void *fallow_arena_alloc_zeroed_array(fallow_arena *arena, size_t count, size_t each_bytes) {
    size_t bytes;
    return multiply(count, each_bytes, &bytes) ? fallow_arena_alloc_zeroed(arena, bytes) : NULL;
}

void *fallow_arena_realloc_array(fallow_arena *arena, void *block, size_t count, size_t each_bytes) {
    size_t bytes;
    return multiply(count, each_bytes, &bytes) ? fallow_arena_realloc(arena, block, bytes) : NULL;
}

static __attribute__((noinline)) void free_looked_up(fallow_arena *arena, void *block) {
    fallow_arena *guarded = fl_guarded_find(arena);
    if (guarded) {
        if (block)
            fl_guarded_free(guarded, block);
        return;
    }
    fl_heap *heap = fl_thread_heap_look_up_if_any(arena);
    if (heap != &fl_empty_heap) {
        fl_heap_free_here(heap, block);
        return;
    }
    if (block)
        slab_here(arena, block, "free of");
    fl_heap_free(&fl_empty_heap, block);
}

/* For another arena than the one that the thread used last. */
static __attribute__((noinline)) void free_elsewhere(fallow_arena *arena, void *block) {
    fl_heap *heap = fl_thread_heap_of_all(arena);
    if (heap)
        fl_heap_free_here(heap, block);
    else
        free_looked_up(arena, block);
}

void fallow_arena_free(fallow_arena *arena, void *block) {
    fl_heap *heap = fl_thread_heap_recent(arena);
    if (__builtin_expect(heap != NULL, 1))
        fl_heap_free_here(heap, block);
    else
        free_elsewhere(arena, block);
}

void fallow_free(void *block) {
    fallow_arena *guarded = block ? fl_guarded_of(block) : NULL;
    if (guarded)
        fl_guarded_free(guarded, block);
    else if (block)
        fl_heap_free(fl_thread_heap_if_any(fl_arena_handle(fl_block_slab(block, "free of")->arena)), block);
}

size_t fallow_arena_give_back(fallow_arena *arena) {
    fl_pagearena *pages = &fl_arena_at(arena, "give-back of arena")->pages;
    return fl_scavenger_give_back(pages, SIZE_MAX, FL_CAUSE_REQUEST, true);
}

void fallow_arena_set_limits(fallow_arena *arena, size_t soft_bytes, size_t hard_bytes) {
    fl_pagearena *pages = &fl_arena_at(arena, "limits of arena")->pages;
    fl_limits_set(pages, soft_bytes, hard_bytes);
    fl_driver_note(pages); /* what is idle may be too much now */
}

void fallow_arena_set_idle_max(fallow_arena *arena, size_t idle_bytes) {
    fl_pagearena *pages = &fl_arena_at(arena, "limits of arena")->pages;
    fl_limits_set_idle_max(pages, idle_bytes);
    fl_driver_note(pages);
}

void fallow_arena_on_soft_limit(fallow_arena *arena, fallow_shed *shed, void *context) {
    fl_shed_set_soft(&fl_arena_at(arena, "limits of arena")->pages, shed, context);
}

void fallow_arena_on_limit(fallow_arena *arena, fallow_shed *shed, void *context) {
    fl_shed_set(&fl_arena_at(arena, "limits of arena")->pages, shed, context);
}

/* For a limit of an arena: the arena's own. */
static fallow_refused_by refused_by(fl_refusal why) {
    switch (why) {
    case FL_REFUSED_ARENA:
        return FALLOW_REFUSED_BY_ARENA;
    case FL_REFUSED_PROCESS:
        return FALLOW_REFUSED_BY_PROCESS;
    case FL_REFUSED_SYSTEM:
        return FALLOW_REFUSED_BY_SYSTEM;
    default:
        return FALLOW_REFUSED_BY_SIZE;
    }
}

/* Returns the handle of an arena, or of one above it; NULL if it is neither any more, and may be gone. */
static fallow_arena *handle_above(const fl_pagearena *arena, const fl_pagearena *whose) {
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS));
    bool is = whose && (whose == arena || fl_family_is_below(arena, whose));
    fallow_arena *handle =
        is ? fl_arena_handle((const fallow_arena *)whose) : NULL; /* pages are its first member */
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
    return handle;
}

fallow_refused_by fallow_arena_last_refusal(const fallow_arena *arena, const fallow_arena **whose) {
    const fl_pagearena *pages = &fl_arena_at(arena, "figures of arena")->pages;
    fl_shortage last = {FL_REFUSED_NEVER, 0, NULL};
    bool refused = fl_last_refusal(pages, &last);
    if (whose)
        *whose = handle_above(pages, last.whose);
    return !refused                                              ? FALLOW_REFUSED_BY_NOBODY
           : last.why == FL_REFUSED_ARENA && last.whose != pages ? FALLOW_REFUSED_BY_PARENT
                                                                 : refused_by(last.why);
}

_Static_assert((int)FALLOW_CAUSE_REQUEST + 1 == (int)FL_CAUSE_COUNT && FL_CAUSE_COUNT <= FALLOW_CAUSES_MAX,
               "the same causes, and room for them");

fallow_arena_figures fl_arena_figures(const fallow_arena *arena) {
    fallow_arena_figures figures = {0};
    const fl_pagearena *pages = &arena->pages;
    fl_lock *lock = (fl_lock *)&pages->lock;
    fl_lock_take(lock);
    osmem_bytes bytes = osmem_stat_read(&pages->stat, &figures.ready_peak_bytes);
    figures.prepared_bytes = bytes.prepared;
    figures.ready_bytes = bytes.ready;
    figures.granted_bytes = pages->used_pages << FL_PAGE_SHIFT;
    figures.decommitted_bytes = atomic_load_explicit(&pages->decommitted_bytes, memory_order_relaxed);
    figures.idle_bytes = fl_pagearena_idle_pages(pages) << FL_PAGE_SHIFT;
    figures.largest_free_bytes = fl_pagetree_longest(&pages->tree) << FL_PAGE_SHIFT;
    figures.soft_limit_bytes = fl_limit_shown(pages->limits.soft_bytes);
    figures.limit_bytes = fl_limit_shown(pages->limits.hard_bytes);
    figures.idle_max_bytes =
        pages->limits.idle_pages == SIZE_MAX ? 0 : pages->limits.idle_pages << FL_PAGE_SHIFT;
    figures.grown_bytes = atomic_load_explicit(&pages->grown_bytes, memory_order_relaxed);
    figures.system_calls = atomic_load_explicit(&pages->system_calls, memory_order_relaxed);
    figures.refusals = atomic_load_explicit(&pages->refusals, memory_order_relaxed);
    figures.sheds = atomic_load_explicit(&pages->sheds, memory_order_relaxed);
    figures.heaps = atomic_load_explicit(&pages->heap_count, memory_order_relaxed);
    figures.refused[FALLOW_REFUSED_BY_PARENT] =
        atomic_load_explicit(&pages->refused_above, memory_order_relaxed);
    for (unsigned why = 0; why < FL_REFUSED_COUNT; why++)
        figures.refused[refused_by((fl_refusal)why)] +=
            atomic_load_explicit(&pages->refused[why], memory_order_relaxed);
    for (size_t cause = 0; cause < FL_CAUSE_COUNT; cause++) {
        figures.given[cause].bytes = atomic_load_explicit(&pages->given_bytes[cause], memory_order_relaxed);
        figures.given[cause].ns = atomic_load_explicit(&pages->given_ns[cause], memory_order_relaxed);
    }
    fl_lock_drop(lock);
    return figures;
}

size_t fallow_arena_ready_bytes(const fallow_arena *arena) {
    const fl_pagearena *pages = &fl_arena_at(arena, "figures of arena")->pages;
    return atomic_load_explicit(&pages->family_bytes, memory_order_relaxed);
}

size_t fallow_arena_used_bytes(const fallow_arena *arena) {
    const fl_pagearena *pages = &fl_arena_at(arena, "figures of arena")->pages;
    fl_lock *lock = (fl_lock *)&pages->lock;
    fl_lock_take(lock);
    size_t granted = pages->used_pages << FL_PAGE_SHIFT;
    size_t decommitted = atomic_load_explicit(&pages->decommitted_bytes, memory_order_relaxed);
    fl_lock_drop(lock);
    return fl_above(granted, decommitted);
}

bool fallow_arena_detach(fallow_arena *arena) {
    return fl_thread_detach(fl_arena_at(arena, "detaching from arena"));
}

bool fallow_arena_read_sized(const fallow_arena *arena, fallow_arena_figures *figures, size_t figures_bytes) {
    fallow_arena_figures ours = fl_arena_figures(fl_arena_at(arena, "figures of arena"));
    if (fl_sized_fill(figures, figures_bytes, &ours, sizeof ours, sizeof ours))
        return true;
    errno = EINVAL;
    return false;
}

fallow_arena *fallow_arena_of(const void *block) {
    fl_entry entry = fl_entry_of(block);
    const fl_trap *trap = entry ? NULL : fl_trap_near(block);
    return entry                                            ? fl_arena_handle(fl_entry_slab(entry)->arena)
           : trap && fl_trap_state_of(trap) == FL_TRAP_LIVE ? fl_arena_handle(trap->as_slab.arena)
                                                            : NULL;
}
