/* SPDX-License-Identifier: MIT */
#include "thread.h"

#include <pthread.h>

#include "../arena/driver.h"
#include "../system/fatal.h"
#include "../system/system.h"
#include "batches.h"
#include "heap_life.h"
#include "idle.h"
#include "registry.h"
#include "startup.h"

/* Arenas have slots. A thread finds its heap in an arena by slot, through pages of 64 places. The heap in
 * the process's arena stands in the thread's record instead, so that a thread which uses no other costs no
 * more than that. */
#define SLOTS_IN_A_PAGE 64
#define SLOT_PAGES 1024
_Static_assert(SLOTS_IN_A_PAGE *SLOT_PAGES == FL_ARENAS_MAX, "a place for each arena");

typedef struct slot_page {
    uint8_t places[SLOTS_IN_A_PAGE]; /* in directory->heaps, counted from 1; 0: no heap */
} slot_page;

/* A thread has heaps in at most so many arenas, besides the process's; for one more, it parts with one that
 * it has not looked up lately. This bounds the cost of many arenas that many threads use in turn. */
#ifndef FL_HEAPS_OF_A_THREAD
#define FL_HEAPS_OF_A_THREAD 64
#endif
_Static_assert(FL_HEAPS_OF_A_THREAD <= 64, "a bit for each");

typedef struct fl_directory {
    slot_page *pages[SLOT_PAGES];
    fl_heap *heaps[FL_HEAPS_OF_A_THREAD];
    uint64_t taken;     /* a bit for each place with a heap */
    uint64_t looked_up; /* a bit for each looked up since `hand` came by: it stays for another round */
    unsigned hand;
} fl_directory;

/* The lock of threads guards these, and which heaps stand in threads' directories. */
static fl_thread *recycled;
static pthread_key_t end_key;
static bool has_key;

static void thread_end(void *self);

/* Returns NULL if there is no memory, or if its end would not be seen. */
static fl_thread *thread_new(void) {
    fl_lock_take(fl_lock_of(FL_LOCK_THREADS));
    /* Here and not once for all, because fork waits for this lock. */
    has_key = has_key || pthread_key_create(&end_key, thread_end) == 0;
    bool can_end = has_key;
    fl_thread *self = can_end ? recycled : NULL;
    if (self)
        recycled = self->next;
    fl_lock_drop(fl_lock_of(FL_LOCK_THREADS));
    return self || !can_end ? self : fl_meta_alloc(sizeof *self);
}

/* Returns the calling thread's record; makes it if there is none. */
static fl_thread *thread_self(void) {
    if (fl_thread_self_record() != &fl_thread_unknown)
        return fl_thread_self_record();
    if (!fl_process_init())
        return NULL;
    fl_thread *self = thread_new();
    if (!self)
        return NULL;
    /* Ours first, then the C library's: setting that may allocate. */
    fl_thread_self = &self->recent;
    if (pthread_setspecific(end_key, self))
        fl_thread_self = &self->recent; /* its heaps stay behind at its end; the scavenger empties them */
    return self;
}

/* Returns where the directory has the place of an arena's heap; NULL if nowhere yet. Only the thread reads
 * it; the thread writes it, and whoever ends the arena, which is then unused. */
static uint8_t *place_of(const fl_thread *self, const fallow_arena *arena) {
    slot_page *page = self->directory ? self->directory->pages[arena->slot / SLOTS_IN_A_PAGE] : NULL;
    return page ? &page->places[arena->slot % SLOTS_IN_A_PAGE] : NULL;
}

/* The same, but makes it if there is none. Returns NULL if out of memory. */
static uint8_t *make_place(fl_thread *self, const fallow_arena *arena) {
    if (!self->directory && !(self->directory = fl_meta_alloc(sizeof *self->directory)))
        return NULL;
    slot_page **page = &self->directory->pages[arena->slot / SLOTS_IN_A_PAGE];
    if (!*page && !(*page = fl_meta_alloc(sizeof **page)))
        return NULL;
    return place_of(self, arena);
}

static uint64_t bit_of(unsigned place) {
    return UINT64_C(1) << (place - 1);
}

/* A guarded arena's heap is not kept at hand: each call is to come to where its blocks are looked at. NULL,
 * NULL: none is. */
static void set_recent(fl_thread *self, const fallow_arena *arena, fl_heap *heap) {
    if (arena && arena->waiting)
        return;
    atomic_store_explicit(&self->recent.arena, arena ? fl_arena_handle(arena) : NULL, memory_order_relaxed);
    atomic_store_explicit(&self->recent.heap, heap, memory_order_relaxed);
}

/* Returns the thread's heap in an arena, which need not be looked up next time; NULL if it has none. */
static fl_heap *find(fl_thread *self, const fallow_arena *arena) {
    fl_heap *heap = self->process_heap;
    if (arena != fl_process_arena) {
        const uint8_t *place = place_of(self, arena);
        if (!place || *place == 0)
            return NULL;
        self->directory->looked_up |= bit_of(*place);
        heap = self->directory->heaps[*place - 1];
    }
    if (heap)
        set_recent(self, arena, heap);
    return heap;
}

/* Caller holds the lock of threads. */
static void unlink_heap(fl_thread *self, const fl_heap *heap) {
    if (heap == self->process_heap)
        self->process_heap = NULL;
    else {
        uint8_t *place = place_of(self, heap->arena);
        FL_ASSERT(place && *place && self->directory->heaps[*place - 1] == heap);
        self->directory->heaps[*place - 1] = NULL;
        self->directory->taken &= ~bit_of(*place);
        *place = 0;
    }
    if (atomic_load_explicit(&self->recent.heap, memory_order_relaxed) == heap)
        set_recent(self, NULL, NULL);
}

/* Gives the heap, unless NULL, to its arena for the next thread. Caller holds the lock of threads. */
static void part_with(fl_thread *self, fl_heap *heap) {
    if (!heap)
        return;
    unlink_heap(self, heap);
    fl_idle_put(heap);
}

/* Chooses a place that is empty or can be: the hand goes round, and takes one that was not looked up since it
 * last came by. Returns 0 if all are pinned. Caller holds the lock of threads. */
static unsigned choose_place(fl_directory *directory) {
    for (unsigned place = 1; place <= FL_HEAPS_OF_A_THREAD && ~directory->taken; place++)
        if (!(directory->taken & bit_of(place)))
            return place;
    for (unsigned looks = 0; looks < 2 * FL_HEAPS_OF_A_THREAD; looks++) {
        unsigned place = 1 + directory->hand++ % FL_HEAPS_OF_A_THREAD;
        if (!(directory->looked_up & bit_of(place)) && !directory->heaps[place - 1]->pinned)
            return place;
        directory->looked_up &= ~bit_of(place);
    }
    return 0;
}

/* Puts the heap into a place, and gives the one that was there to its arena. Caller holds the lock of
 * threads. */
static void settle_in(fl_thread *self, fl_heap *heap, unsigned place) {
    fl_directory *directory = self->directory;
    part_with(self, directory->heaps[place - 1]);
    FL_ASSERT(!(directory->taken & bit_of(place)));
    directory->heaps[place - 1] = heap;
    directory->taken |= bit_of(place);
    directory->looked_up &= ~bit_of(place);
    *place_of(self, heap->arena) = (uint8_t)place;
    set_recent(self, heap->arena, heap);
}

/* For arenas other than the process's. */
static fl_heap *add_heap(fl_thread *self, fallow_arena *arena) {
    if (!make_place(self, arena))
        return NULL;
    /* All of it under the lock: a fork, and the end of the arena whose heap has to go, come before or
     * after. */
    fl_lock_take(fl_lock_of(FL_LOCK_THREADS));
    unsigned place = choose_place(self->directory);
    fl_thread *owner = place ? self : &fl_thread_ended; /* without a place, a heap for the moment */
    fl_heap *heap = fl_idle_take(arena, owner);
    if (!heap)
        heap = fl_heap_acquire(arena, owner);
    if (heap && place)
        settle_in(self, heap, place);
    fl_lock_drop(fl_lock_of(FL_LOCK_THREADS));
    return heap;
}

/* Nobody else looks for it, since the process's arena does not end. */
static fl_heap *add_process_heap(fl_thread *self) {
    fl_lock_take(fl_lock_of(FL_LOCK_THREADS));
    fl_heap *heap = fl_idle_take(fl_process_arena, self);
    if (!heap)
        heap = fl_heap_acquire(fl_process_arena, self);
    fl_lock_drop(fl_lock_of(FL_LOCK_THREADS));
    if (!heap)
        return NULL;
    self->process_heap = fl_thread_heap = heap;
    set_recent(self, fl_process_arena, heap);
    return heap;
}

fl_heap *fl_thread_heap_look_up(const fallow_arena *handle) {
    fl_thread *self = thread_self();
    if (!self)
        return NULL;
    fallow_arena *arena = fl_arena_at(handle, "allocation in arena");
    if (self == &fl_thread_ended)
        return fl_heap_acquire(arena, &fl_thread_ended);
    fl_heap *heap = find(self, arena);
    if (heap)
        return heap;
    return arena == fl_process_arena ? add_process_heap(self) : add_heap(self, arena);
}

void fl_thread_moment_over(fl_heap *heap) {
    if (heap == heap->arena->only_heap)
        return;
    fl_batches_empty(heap);
    fl_lock_take(fl_lock_of(FL_LOCK_THREADS)); /* as with every release: not in the middle of a fork */
    fl_heap_release(heap);
    fl_lock_drop(fl_lock_of(FL_LOCK_THREADS));
}

void fl_thread_attach(void) {
    if (fl_thread_self_record() != &fl_thread_ended)
        fl_thread_heap_in(fl_arena_handle(fl_process_arena)); /* if there is no memory for it, next time */
}

fl_heap *fl_thread_heap_look_up_if_any(const fallow_arena *handle) {
    fl_thread *self = fl_thread_self_record();
    const fallow_arena *arena = fl_arena_at(handle, "free in arena");
    fl_heap *heap = self != &fl_thread_unknown && self != &fl_thread_ended ? find(self, arena) : NULL;
    return heap ? heap : &fl_empty_heap;
}

static void thread_end(void *argument) {
    fl_thread *self = argument;
    if (fl_system_is_first_thread())
        fl_driver_end_main();
    fl_thread_heap = &fl_empty_heap;
    fl_thread_self = &fl_thread_ended.recent;
    fl_lock_take(fl_lock_of(FL_LOCK_THREADS));
    part_with(self, self->process_heap);
    for (unsigned i = 0; self->directory && i < FL_HEAPS_OF_A_THREAD; i++)
        part_with(self, self->directory->heaps[i]);
    self->next = recycled;
    recycled = self;
    fl_lock_drop(fl_lock_of(FL_LOCK_THREADS));
}

bool fl_thread_detach(fallow_arena *arena) {
    fl_thread *self = fl_thread_self_record();
    fl_heap *heap = self != &fl_thread_unknown && self != &fl_thread_ended ? find(self, arena) : NULL;
    if (heap && heap->pinned)
        return false;
    if (heap && heap == self->process_heap)
        fl_thread_heap = &fl_empty_heap;
    fl_lock_take(fl_lock_of(FL_LOCK_THREADS));
    part_with(self, heap);
    fl_lock_drop(fl_lock_of(FL_LOCK_THREADS));
    return true;
}

fl_heap *fl_thread_heap_of_nobody(fallow_arena *arena) {
    return fl_heap_acquire(arena, &fl_thread_ended);
}

void fl_threads_lock(void) {
    fl_lock_take(fl_lock_of(FL_LOCK_THREADS));
}

void fl_threads_unlock(void) {
    fl_lock_drop(fl_lock_of(FL_LOCK_THREADS));
}

void fl_thread_visit_locks(fl_fork_visit *visit) {
    const fl_thread *self = fl_thread_self_record();
    if (self == &fl_thread_ended)
        return;
    if (self->process_heap)
        visit(&self->process_heap->lock);
    for (unsigned i = 0; self->directory && i < FL_HEAPS_OF_A_THREAD; i++)
        if (self->directory->heaps[i])
            visit(&self->directory->heaps[i]->lock);
}

/* A heap goes with its arena, whichever thread had it. Caller holds the lock of threads. */
static void thread_forget(fl_heap *heap) {
    fl_thread *thread = fl_heap_thread(heap);
    if (thread && thread != &fl_thread_ended)
        unlink_heap(thread, heap);
}

void fl_threads_leave(fallow_arena *arena) {
    /* All of it, so that a thread that parts with a heap has done so before, or no longer finds it. */
    fl_threads_lock();
    fl_lock_take(&arena->heaps_lock);
    fl_heap *heap = arena->heaps;
    arena->heaps = NULL;
    arena->leaving_heaps = NULL; /* only in the child of a fork that came in between: they stay as they are */
    fl_lock_drop(&arena->heaps_lock);
    fl_idle_forget(arena);
    for (fl_heap *next; heap; heap = next) {
        next = heap->next;
        thread_forget(heap);
        fl_descriptors_give_kept(&heap->kept);
        fl_heap_recycle(heap);
    }
    fl_threads_unlock();
}
