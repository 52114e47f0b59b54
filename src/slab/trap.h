/* SPDX-License-Identifier: MIT */
/*
 * trap.h: a trap is an OS page between two inaccessible pages, for one sampled block (option
 * guard_sampling). Here is where traps lie, what is known about a block in one, and which trap an address
 * belongs to.
 *
 *     aside of the window (../arena/window.h), Reserved
 *     ├── guard ──┼── page 0 ──┼── guard ──┼── page 1 ──┼── guard ──┼ …
 *                      Ready while its block lives; Reserved before and afterwards
 *
 * The block lies at the start of its page or, aligned to 16, at the end; the rest of the page is filled with
 * FL_TRAP_FILL. A trap contains a slab's descriptor, of its own kind, so that the usual code can find out a
 * block's size and arena.
 *
 * Threads: a trap is written with the lock of traps. Whoever was handed its block may read everything except
 * `freed` without the lock; whoever explains a fault or a mistake reads it as it is at that moment.
 */
#ifndef FL_TRAP_H
#define FL_TRAP_H

#include "slab.h"

#define FL_TRAPS 512
#define FL_TRAPS_LIVE (FL_TRAPS / 2) /* so many hold a live block at most; the others wait */
#define FL_TRAP_CALLS 16
#define FL_TRAP_FILL 0xa7

_Static_assert(FL_ASIDE_OS_PAGES == 2 * FL_TRAPS + 1, "there is room for them");

/* A block's allocation or its free: which thread did it (0: unknown), and from which calls. */
typedef struct fl_trap_event {
    uint32_t thread;
    uint32_t depth;
    uintptr_t calls[FL_TRAP_CALLS];
} fl_trap_event;

typedef enum fl_trap_state { FL_TRAP_UNUSED, FL_TRAP_LIVE, FL_TRAP_FREED } fl_trap_state;

typedef struct fl_trap {
    fl_slab as_slab; /* kind, start (of the block), block_bytes (as asked for), arena */
    _Atomic uint32_t state;
    uint32_t ready_bytes; /* 0 or the page; not 0 after a free only if the system keeps the page */
    fl_trap_event allocated, freed;
} fl_trap;

/* Written once, before `count`. Other processes read it too (../heap/root.h). */
typedef struct fl_traps {
    char *start;  /* of the first guard */
    size_t bytes; /* from there on, all Ready or Reserved */
    size_t page_bytes;
    fl_trap *all;
    _Atomic size_t count; /* 0: there are none yet */
} fl_traps;

_Static_assert(offsetof(fl_trap, as_slab) == 0, "it is read as one");

extern fl_traps fl_the_traps;

/* Publishes the traps. Release: whoever sees `count` (acquire, below) sees the rest too. */
void fl_traps_are_there(char *start, size_t bytes, size_t page_bytes, fl_trap *all);

static inline char *fl_trap_page(const fl_trap *trap) {
    return fl_the_traps.start + (2 * (size_t)(trap - fl_the_traps.all) + 1) * fl_the_traps.page_bytes;
}

/* Returns the trap that an address lies in, or, for an address in a guard, the trap before that guard.
 * Returns NULL for any other address. */
static inline fl_trap *fl_trap_near(const void *address) {
    size_t count = atomic_load_explicit(&fl_the_traps.count, memory_order_acquire);
    if (!count)
        return NULL;
    size_t page = ((uintptr_t)address - (uintptr_t)fl_the_traps.start) / fl_the_traps.page_bytes;
    if (page > 2 * count)
        return NULL;
    return &fl_the_traps.all[page ? (page - 1) / 2 : 0];
}

static inline fl_trap_state fl_trap_state_of(const fl_trap *trap) {
    return (fl_trap_state)atomic_load_explicit(&trap->state, memory_order_acquire);
}

static inline bool fl_trap_is_live(const fl_trap *trap, const void *block) {
    return fl_trap_state_of(trap) == FL_TRAP_LIVE && trap->as_slab.start == block;
}

#endif
