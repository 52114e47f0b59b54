/* SPDX-License-Identifier: MIT */
#include "thread.h"

#include <pthread.h>

#include "../arena/grant.h"
#include "../arena/regions.h"
#include "../arena/scavenger.h"
#include "../osmem/checker.h"
#include "../osmem/fatal.h"
#include "../osmem/ledger.h"
#include "purge.h"

/* Arenas have slots; a thread finds its heap in one by slot, through pages of 64. The process's arena has none: its heap
 * stands in the thread's record, so that a thread which uses no other costs no more than that. */
#define SLOTS_IN_A_PAGE 64
#define SLOT_PAGES 512
#define ARENAS_MAX (SLOTS_IN_A_PAGE * SLOT_PAGES)

typedef struct slot_page {
    fl_heap *heaps[SLOTS_IN_A_PAGE];
} slot_page;

/* A thread has heaps in so many arenas at most, besides the process's; for one more, the oldest lets its slabs go. So what
 * many arenas cost that are used by many threads in turn is bounded. */
#define HEAPS_OF_A_THREAD 64

typedef struct directory {
    slot_page *pages[SLOT_PAGES];
    fl_heap *recent[HEAPS_OF_A_THREAD]; /* in the order in which they came, from `next` on */
    unsigned next;
} directory;

typedef struct fl_thread {
    fl_heap *heaps;         /* all of them, through next_of_thread */
    struct fl_thread *next; /* recycled ones */
    fl_heap *process_heap;
    directory *directory; /* NULL: no arena but the process's was ever used */
} fl_thread;

/* A thread whose end has been seen to: what it still allocates is from a heap of the moment. */
#define ENDED ((fl_thread *)1)

_Thread_local fl_heap *fl_thread_heap = &fl_empty_heap;
_Thread_local fl_thread *fl_thread_self;

/* Threads' lists of heaps, and their directories: registry rank. */
static fl_lock threads_lock = FL_LOCK_INIT;
static fl_thread *recycled;
static pthread_key_t end_key;

static void thread_end(void *self);

static pthread_once_t init_once = PTHREAD_ONCE_INIT;
fallow_arena *fl_process_arena;

static void init(void) {
    fl_sizeclass_init();
    if (!fl_window_init())
        return;
    fl_scavenger_init(fl_heap_reclaim);
    if (pthread_key_create(&end_key, thread_end))
        return;
    fl_process_arena = fl_arena_new("malloc", NULL, NULL);
}

bool fl_process_init(void) {
    pthread_once(&init_once, init);
    return fl_process_arena != NULL;
}

static fl_thread *thread_new(void) {
    fl_lock_take(&threads_lock);
    fl_thread *self = recycled;
    if (self)
        recycled = self->next;
    fl_lock_drop(&threads_lock);
    if (!self)
        self = fl_meta_alloc(sizeof *self);
    return self;
}

/* The calling thread's record; made where there is none. */
static fl_thread *thread_self(void) {
    if (fl_thread_self)
        return fl_thread_self;
    if (!fl_process_init())
        return NULL;
    fl_thread *self = thread_new();
    if (!self)
        return NULL;
    /* First ours, then the C library's word: setting it may allocate. */
    fl_thread_self = self;
    if (pthread_setspecific(end_key, self))
        fl_thread_self = self; /* its heaps stay behind when it ends; the scavenger empties them */
    return self;
}

/* Slots are read by their thread only, and written by it or by who destroys the arena meanwhile unused. */
static fl_heap **slot_of(fl_thread *self, const fallow_arena *arena) {
    if (arena == fl_process_arena)
        return &self->process_heap;
    slot_page *page = self->directory ? self->directory->pages[arena->slot / SLOTS_IN_A_PAGE] : NULL;
    return page ? &page->heaps[arena->slot % SLOTS_IN_A_PAGE] : NULL;
}

/* The place for an arena's heap; made where there is none. NULL: out of memory. */
static fl_heap **make_slot(fl_thread *self, const fallow_arena *arena) {
    fl_heap **slot = slot_of(self, arena);
    if (slot)
        return slot;
    if (!self->directory && !(self->directory = fl_meta_alloc(sizeof *self->directory)))
        return NULL;
    slot_page **page = &self->directory->pages[arena->slot / SLOTS_IN_A_PAGE];
    if (!*page && !(*page = fl_meta_alloc(sizeof **page)))
        return NULL;
    return slot_of(self, arena);
}

/* Holds threads_lock. */
static void unlink_heap(fl_thread *self, const fl_heap *heap) {
    fl_heap **link = &self->heaps;
    while (*link && *link != heap)
        link = &(*link)->next_of_thread;
    if (*link)
        *link = heap->next_of_thread;
    *slot_of(self, heap->arena) = NULL;
    for (unsigned i = 0; self->directory && i < HEAPS_OF_A_THREAD; i++)
        if (self->directory->recent[i] == heap)
            self->directory->recent[i] = NULL;
}

/* Makes the heap one of the recent ones; returns the one that has to go for it, or NULL. Holds threads_lock. */
static fl_heap *note_recent(fl_thread *self, fl_heap *heap) {
    directory *directory = self->directory;
    fl_heap **place;
    unsigned tries = 0;
    do
        place = &directory->recent[directory->next++ % HEAPS_OF_A_THREAD];
    while (*place && (*place)->pinned && ++tries < HEAPS_OF_A_THREAD);
    fl_heap *oldest = *place;
    if (oldest && oldest->pinned)
        return NULL; /* all are: one more than usual, until its arena or its thread ends */
    if (oldest)
        unlink_heap(self, oldest);
    *place = heap;
    return oldest;
}

static fl_heap *add_heap(fl_thread *self, fallow_arena *arena) {
    fl_heap **slot = make_slot(self, arena);
    if (!slot)
        return NULL;
    fl_heap *heap = fl_heap_acquire(arena, self);
    if (!heap)
        return NULL;
    fl_lock_take(&threads_lock);
    heap->next_of_thread = self->heaps;
    self->heaps = heap;
    /* Released under the lock: its arena's end, which takes the same lock, comes before or after. */
    fl_heap *oldest = arena == fl_process_arena ? NULL : note_recent(self, heap);
    if (oldest)
        fl_heap_release(oldest);
    fl_lock_drop(&threads_lock);
    *slot = heap;
    if (arena == fl_process_arena)
        fl_thread_heap = heap;
    return heap;
}

fl_heap *fl_thread_heap_in(fallow_arena *arena) {
    if (arena->only_heap)
        return arena->only_heap;
    fl_thread *self = thread_self();
    if (!self)
        return NULL;
    if (self == ENDED)
        return fl_heap_acquire(arena, ENDED);
    fl_heap **slot = slot_of(self, arena);
    return slot && *slot ? *slot : add_heap(self, arena);
}

void fl_thread_heap_done(fl_heap *heap) {
    if (heap->thread == ENDED && heap != heap->arena->only_heap)
        fl_heap_release(heap);
}

void fl_thread_become_known(void) {
    if (fl_thread_self != ENDED)
        fl_thread_heap_in(fl_process_arena); /* if there is no memory for it: the next time */
}

fl_heap *fl_thread_heap_if_any(fallow_arena *arena) {
    if (arena->only_heap)
        return arena->only_heap;
    fl_thread *self = fl_thread_self;
    fl_heap **slot = self && self != ENDED ? slot_of(self, arena) : NULL;
    return slot && *slot ? *slot : &fl_empty_heap;
}

void *fl_thread_alloc_first(size_t bytes) {
    fl_heap *heap = fl_process_init() ? fl_thread_heap_in(fl_process_arena) : NULL;
    if (!heap)
        return NULL;
    void *block = fl_heap_alloc(heap, bytes);
    fl_thread_heap_done(heap);
    return block;
}

static void thread_end(void *argument) {
    fl_thread *self = argument;
    fl_thread_heap = &fl_empty_heap;
    fl_thread_self = ENDED;
    fl_lock_take(&threads_lock);
    for (fl_heap *heap; (heap = self->heaps) != NULL;) {
        unlink_heap(self, heap);
        fl_heap_release(heap);
    }
    self->next = recycled;
    recycled = self;
    fl_lock_drop(&threads_lock);
}

void fl_thread_forget(fl_heap *heap) {
    fl_lock_take(&threads_lock);
    fl_thread *thread = heap->thread;
    if (thread && thread != ENDED)
        unlink_heap(thread, heap);
    fl_lock_drop(&threads_lock);
}

/* Arenas. */

static fl_lock arenas_lock = FL_LOCK_INIT;
static fallow_arena *arenas_free;
static fallow_arena *arenas[ARENAS_MAX]; /* by slot, living or not */
static uint32_t slots_used;

static fallow_arena *arena_descriptor(void) {
    fl_lock_take(&arenas_lock);
    fallow_arena *arena = arenas_free;
    if (arena)
        arenas_free = arena->next_free;
    else if (slots_used < ARENAS_MAX && (arena = fl_meta_alloc(sizeof *arena)) != NULL) {
        arena->slot = slots_used;
        arenas[slots_used++] = arena;
    }
    fl_lock_drop(&arenas_lock);
    return arena;
}

/* Table entries of a region, and the descriptors behind them. */
static void forget_blocks(const fl_region *region) {
    _Atomic fl_entry *entries = &fl_the_window.table[fl_region_index(region) * FL_REGION_PAGES];
    for (size_t page = 0; page < FL_REGION_PAGES; page++) {
        if (!(region->mapped >> (page / FL_CHUNK_PAGES) & 1)) {
            page += FL_CHUNK_PAGES - 1;
            continue;
        }
        fl_entry entry = atomic_load_explicit(&entries[page], memory_order_relaxed);
        if (entry == 0)
            continue;
        fl_slab *slab = fl_entry_slab(entry);
        atomic_store_explicit(&entries[page], 0, memory_order_relaxed);
        if (slab->start == fl_region_start(region) + (page << FL_PAGE_SHIFT)) {
            if (slab->kind == FL_KIND_SLAB)
                fl_slab_restore(slab);
            fl_descriptor_give(slab);
        }
    }
}

/* What it had is gone: blocks, heaps, lists. Its pages stay. */
static void forget_everything(fallow_arena *arena) {
    fl_heap_abandon_all(arena);
    for (fl_region *region = arena->pages.regions; region; region = region->next)
        forget_blocks(region);
    memset(arena->listed, 0, sizeof arena->listed);
    memset(arena->purged, 0, sizeof arena->purged);
    atomic_store_explicit(&arena->listed_count, 0, memory_order_relaxed);
    atomic_store_explicit(&arena->heap_count, 0, memory_order_relaxed);
    arena->unsettled = NULL;
}

/* Among its parent's children, or out of there. */
static void link_to_parent(fallow_arena *arena, fallow_arena *parent) {
    arena->parent = parent;
    arena->children = arena->next_sibling = arena->previous_sibling = NULL;
    if (!parent)
        return;
    fl_lock_take(&arenas_lock);
    arena->next_sibling = parent->children;
    if (arena->next_sibling)
        arena->next_sibling->previous_sibling = arena;
    parent->children = arena;
    fl_lock_drop(&arenas_lock);
}

static void unlink_from_parent(fallow_arena *arena) {
    if (!arena->parent)
        return;
    fl_lock_take(&arenas_lock);
    *(arena->previous_sibling ? &arena->previous_sibling->next_sibling : &arena->parent->children) =
        arena->next_sibling;
    if (arena->next_sibling)
        arena->next_sibling->previous_sibling = arena->previous_sibling;
    fl_lock_drop(&arenas_lock);
}

fallow_arena *fl_arena_new(const char *name, const osmem_backend *backend, fallow_arena *parent) {
    fallow_arena *arena = arena_descriptor();
    if (!arena)
        return NULL;
    size_t length = 0;
    while (name && name[length] && length < sizeof arena->name - 1) {
        arena->name[length] = name[length];
        length++;
    }
    arena->name[length] = '\0';
    if (parent)
        fl_arena_init_below(&arena->pages, arena->name, backend, &parent->pages);
    else
        fl_arena_init(&arena->pages, arena->name, backend, &fl_stat_process);
    link_to_parent(arena, parent);
    arena->only_heap = NULL;
    fl_lock_init(&arena->lists_lock);
    fl_lock_init(&arena->heaps_lock);
    arena->heaps = NULL;
    forget_everything(arena);
    arena->alive = true;
    fl_scavenger_join(&arena->pages);
    return arena;
}

bool fl_arena_use_by_one_thread(fallow_arena *arena) {
    arena->only_heap = fl_heap_acquire(arena, ENDED);
    return arena->only_heap != NULL;
}

void fl_arena_reset(fallow_arena *arena, size_t keep_bytes) {
    fl_scavenger_leave(&arena->pages);
    bool one_thread = arena->only_heap != NULL;
    forget_everything(arena);
    if (one_thread) /* takes the heap that has just become free: this cannot fail */
        fl_arena_use_by_one_thread(arena);
    fl_pages_return_all(&arena->pages);
    fl_scavenger_join(&arena->pages);
    size_t keep = keep_bytes >> FL_PAGE_SHIFT, idle = arena->pages.ready_pages;
    if (idle > keep)
        fl_scavenger_give_back(&arena->pages, idle - keep, FL_CAUSE_REQUEST, false);
}

void fl_arena_destroy(fallow_arena *arena) {
    while (arena->children)
        fl_arena_destroy(arena->children);
    fl_scavenger_leave(&arena->pages);
    forget_everything(arena);
    fl_arena_end(&arena->pages);
    unlink_from_parent(arena);
    fl_lock_take(&arenas_lock);
    arena->alive = false;
    arena->next_free = arenas_free;
    arenas_free = arena;
    fl_lock_drop(&arenas_lock);
}

/* Fork. */

static void fork_prepare(void) {
    fl_lock_take(&threads_lock);
    fl_lock_take(&arenas_lock);
    fl_scavenger_fork_prepare();
    for (uint32_t slot = 0; slot < slots_used; slot++) {
        fl_lock_take(&arenas[slot]->heaps_lock);
        fl_lock_take(&arenas[slot]->lists_lock);
        fl_lock_take(&arenas[slot]->pages.lock);
    }
    fl_heap_fork_prepare();
    fl_descriptor_fork_prepare();
    fl_pagetree_fork_prepare();
    fl_regions_fork_prepare();
    fl_window_fork_prepare();
    fl_checker_fork_prepare();
    fl_ledger_fork_prepare();
}

static void release_shared(void) {
    fl_ledger_fork_done();
    fl_checker_fork_done();
    fl_window_fork_done();
    fl_regions_fork_done();
    fl_pagetree_fork_done();
    fl_descriptor_fork_done();
    fl_heap_fork_done();
    for (uint32_t slot = slots_used; slot-- > 0;) {
        fl_lock_drop(&arenas[slot]->pages.lock);
        fl_lock_drop(&arenas[slot]->lists_lock);
        fl_lock_drop(&arenas[slot]->heaps_lock);
    }
}

static void fork_parent(void) {
    release_shared();
    fl_scavenger_fork_parent();
    fl_lock_drop(&arenas_lock);
    fl_lock_drop(&threads_lock);
}

static void fork_child(void) {
    const fl_thread *self = fl_thread_self;
    for (uint32_t slot = 0; slot < slots_used; slot++)
        if (arenas[slot]->alive) {
            fl_heap_fork_child(arenas[slot], self);
            fl_limits_fork_child(&arenas[slot]->pages);
        }
    release_shared();
    fl_scavenger_fork_child();
    fl_lock_drop(&arenas_lock);
    fl_lock_drop(&threads_lock);
}

void fl_fork_register(void) {
    static _Atomic bool registered;
    if (!atomic_exchange_explicit(&registered, true, memory_order_relaxed))
        pthread_atfork(fork_prepare, fork_parent, fork_child);
}
