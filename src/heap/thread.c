/* SPDX-License-Identifier: MIT */
#include "thread.h"

#include <pthread.h>

#include "../arena/driver.h"
#include "../arena/scavenger.h"
#include "../system/fatal.h"
#include "../system/system.h"

/* Arenas have slots; a thread finds its heap in one by slot, through pages of 64. The process's arena has none: its heap
 * stands in the thread's record, so that a thread which uses no other costs no more than that. */
#define SLOTS_IN_A_PAGE 64
#define SLOT_PAGES 1024
_Static_assert(SLOTS_IN_A_PAGE *SLOT_PAGES == FL_ARENAS_MAX, "a place for each arena");

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
    fl_recent_heap recent;  /* first: read without knowing the rest */
    fl_heap *heaps;         /* all of them, through next_of_thread */
    struct fl_thread *next; /* recycled ones */
    fl_heap *process_heap;
    directory *directory; /* NULL: no arena but the process's was ever used */
} fl_thread;

/* What stands for a thread that has no record yet, and for one whose end has been seen to: what that still allocates is from
 * a heap of the moment. Nobody writes either. */
static fl_thread no_record, ended;
#define ENDED (&ended)

_Thread_local fl_heap *fl_thread_heap = &fl_empty_heap;
_Thread_local fl_recent_heap *fl_thread_self = &no_record.recent;

static fl_thread *record(void) {
    return (fl_thread *)fl_thread_self; /* its first member */
}

/* Threads' lists of heaps, their directories, and these are guarded by the lock of threads. */
static fl_thread *recycled;
static pthread_key_t end_key;

static void thread_end(void *self);

static pthread_once_t init_once = PTHREAD_ONCE_INIT;
fallow_arena *fl_process_arena;

static void init(void) {
    fl_sizeclass_init();
    fl_driver_start();
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
    fl_lock_take(fl_lock_of(FL_LOCK_THREADS));
    fl_thread *self = recycled;
    if (self)
        recycled = self->next;
    fl_lock_drop(fl_lock_of(FL_LOCK_THREADS));
    if (!self)
        self = fl_meta_alloc(sizeof *self);
    return self;
}

/* The calling thread's record; made where there is none. */
static fl_thread *thread_self(void) {
    if (record() != &no_record)
        return record();
    if (!fl_process_init())
        return NULL;
    fl_thread *self = thread_new();
    if (!self)
        return NULL;
    /* First ours, then the C library's word: setting it may allocate. */
    fl_thread_self = &self->recent;
    if (pthread_setspecific(end_key, self))
        fl_thread_self = &self->recent; /* its heaps stay behind when it ends; the scavenger empties them */
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

static void set_recent(fl_thread *self, const fallow_arena *arena, fl_heap *heap) {
    atomic_store_explicit(&self->recent.arena, arena, memory_order_relaxed);
    atomic_store_explicit(&self->recent.heap, heap, memory_order_relaxed);
}

/* Holds the lock of threads. */
static void unlink_heap(fl_thread *self, const fl_heap *heap) {
    fl_heap **link = &self->heaps;
    while (*link && *link != heap)
        link = &(*link)->next_of_thread;
    if (*link)
        *link = heap->next_of_thread;
    *slot_of(self, heap->arena) = NULL;
    if (atomic_load_explicit(&self->recent.heap, memory_order_relaxed) == heap)
        set_recent(self, NULL, NULL);
    for (unsigned i = 0; self->directory && i < HEAPS_OF_A_THREAD; i++)
        if (self->directory->recent[i] == heap)
            self->directory->recent[i] = NULL;
}

/* Makes the heap one of the recent ones; returns the one that has to go for it, or NULL. Holds the lock of threads. */
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
    fl_lock_take(fl_lock_of(FL_LOCK_THREADS));
    heap->next_of_thread = self->heaps;
    self->heaps = heap;
    /* Released under the lock: its arena's end, which takes the same lock, comes before or after. */
    fl_heap *oldest = arena == fl_process_arena ? NULL : note_recent(self, heap);
    if (oldest)
        fl_heap_release(oldest);
    fl_lock_drop(fl_lock_of(FL_LOCK_THREADS));
    *slot = heap;
    if (arena == fl_process_arena)
        fl_thread_heap = heap;
    return heap;
}

/* So that it need not be looked up the next time. */
static fl_heap *remember(fl_thread *self, const fallow_arena *arena, fl_heap *heap) {
    set_recent(self, arena, heap);
    return heap;
}

fl_heap *fl_thread_heap_look_up(fallow_arena *arena) {
    fl_thread *self = thread_self();
    if (!self)
        return NULL;
    if (self == ENDED)
        return fl_heap_acquire(arena, ENDED);
    fl_heap **slot = slot_of(self, arena);
    fl_heap *heap = slot && *slot ? *slot : add_heap(self, arena);
    return heap ? remember(self, arena, heap) : NULL;
}

void fl_thread_heap_done(fl_heap *heap) {
    if (heap->thread != ENDED || heap == heap->arena->only_heap)
        return;
    fl_lock_take(fl_lock_of(FL_LOCK_THREADS)); /* as wherever one is released: not in the middle of a fork */
    fl_heap_release(heap);
    fl_lock_drop(fl_lock_of(FL_LOCK_THREADS));
}

void fl_thread_become_known(void) {
    if (record() != ENDED)
        fl_thread_heap_in(fl_process_arena); /* if there is no memory for it: the next time */
}

fl_heap *fl_thread_heap_look_up_if_any(fallow_arena *arena) {
    fl_thread *self = record();
    fl_heap **slot = self != &no_record && self != ENDED ? slot_of(self, arena) : NULL;
    if (!slot || !*slot)
        return &fl_empty_heap;
    return remember(self, arena, *slot);
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
    if (fl_system_is_first_thread())
        fl_driver_end_main();
    fl_thread_heap = &fl_empty_heap;
    fl_thread_self = &ended.recent;
    fl_lock_take(fl_lock_of(FL_LOCK_THREADS));
    for (fl_heap *heap; (heap = self->heaps) != NULL;) {
        unlink_heap(self, heap);
        fl_heap_release(heap);
    }
    self->next = recycled;
    recycled = self;
    fl_lock_drop(fl_lock_of(FL_LOCK_THREADS));
}

fl_heap *fl_thread_heap_of_nobody(fallow_arena *arena) {
    return fl_heap_acquire(arena, ENDED);
}

void fl_threads_lock(void) {
    fl_lock_take(fl_lock_of(FL_LOCK_THREADS));
}

void fl_threads_unlock(void) {
    fl_lock_drop(fl_lock_of(FL_LOCK_THREADS));
}

const struct fl_thread *fl_thread_record(void) {
    return record() == ENDED ? NULL : record(); /* what belongs to that one is many threads' */
}

void fl_thread_forget(fl_heap *heap) {
    fl_thread *thread = heap->thread;
    if (thread && thread != ENDED)
        unlink_heap(thread, heap);
}
