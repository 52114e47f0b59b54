/* SPDX-License-Identifier: MIT */
#include "traps.h"

#include "../arena/charge.h"
#include "../profile/frames.h"
#include "../system/arithmetic.h"
#include "../system/lock.h"
#include "arenas.h"
#include "trap_words.h"

#define ALIGNMENT ((size_t)16)

/* The lock of traps guards all of these. */
static osmem_stat stat;
static fl_trap *records;
static uint16_t ring[FL_TRAPS]; /* traps without a live block; the one that has waited longest comes first */
static size_t ring_first, ring_count;
static uint64_t chance;
static uintptr_t calls[FL_FRAMES_MAX]; /* too large for malloc's stack */

static void enqueue(size_t index) {
    ring[(ring_first + ring_count++) % FL_TRAPS] = (uint16_t)index;
}

/* None → Reserved. If the window is reserved as a whole, only the count moves. */
static bool take_place(fallow_arena *arena) {
    const fl_reservation *place = &fl_window_aside;
    osmem_stat *parent = &arena->pages.stat;
    osmem_stat_init(&stat, "traps", parent->backend, parent);
    if (!place->reserved)
        return osmem_reserve_at(place->start, place->bytes, &stat) == OSMEM_OK;
    if (place->stat->backend != stat.backend)
        return false;
    osmem_transfer(place->start, place->bytes, (osmem_bytes){.reserved = place->bytes}, place->stat, &stat);
    return true;
}

static bool are_there(fallow_arena *arena) {
    if (atomic_load_explicit(&fl_the_traps.count, memory_order_relaxed))
        return true;
    if (!records)
        records = fl_meta_alloc(FL_TRAPS * sizeof *records);
    if (!records || !take_place(arena))
        return false;
    for (size_t i = 0; i < FL_TRAPS; i++)
        enqueue(i);
    fl_traps_are_there(fl_window_aside.start, fl_window_aside.bytes, fl_the_window.os_page_bytes, records);
    return true;
}

/* Counts an arena's bytes, under its lock (charge.h). */
static bool charge(fallow_arena *arena, size_t bytes) {
    fl_shortage ignored;
    fl_lock_take(&arena->pages.lock);
    bool charged = fl_pagearena_charge(&arena->pages, bytes, false, &ignored);
    fl_lock_drop(&arena->pages.lock);
    return charged;
}

static void refund(fallow_arena *arena, size_t bytes) {
    fl_lock_take(&arena->pages.lock);
    fl_pagearena_count_ready(&arena->pages, bytes, false);
    fl_lock_drop(&arena->pages.lock);
}

/* Reserved → Ready. A page that the system kept at its last free is still Ready. */
static bool make_ready(fl_trap *trap, fallow_arena *arena) {
    size_t bytes = fl_the_traps.page_bytes;
    if (trap->ready_bytes)
        return true;
    if (!charge(arena, bytes))
        return false;
    bool mapped = osmem_map(fl_trap_page(trap), bytes, &stat) == OSMEM_OK;
    if (mapped && osmem_used(fl_trap_page(trap), bytes, bytes, &stat) == OSMEM_OK) {
        trap->ready_bytes = (uint32_t)bytes;
        return true;
    }
    refund(arena, bytes);
    /* A page that stays Prepared, or is lost, costs a trap. Linux refuses only the first step. */
    if (mapped && osmem_unmap(fl_trap_page(trap), bytes, &stat) != OSMEM_OK)
        ring_first++, ring_count--;
    return false;
}

/* Ready → Reserved. Locked memory stays Ready, and is used again as it is. */
static void make_inaccessible(fl_trap *trap) {
    if (osmem_fault(fl_trap_page(trap), fl_the_traps.page_bytes, &stat) != OSMEM_OK)
        return;
    refund(trap->as_slab.arena, fl_the_traps.page_bytes);
    trap->ready_bytes = 0;
}

static void note(fl_trap_event *event, const void *frame) {
    unsigned depth = fl_frames_walk(frame, calls);
    event->depth = depth < FL_TRAP_CALLS ? depth : FL_TRAP_CALLS;
    memcpy(event->calls, calls, event->depth * sizeof *calls);
    event->thread = fl_lock_owner(fl_lock_of(FL_LOCK_TRAPS)); /* known without a call */
}

static void *occupy(fl_trap *trap, fallow_arena *arena, size_t bytes, const void *frame) {
    char *page = fl_trap_page(trap);
    size_t whole = ((bytes ? bytes : 1) + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    bool at_end = fl_mixed(chance += FL_MIXED_STEP) & 1;
    trap->as_slab = (fl_slab){.kind = FL_KIND_TRAP,
                              .arena = arena,
                              .block_bytes = (uint32_t)bytes,
                              .start = at_end ? page + fl_the_traps.page_bytes - whole : page};
    memset(page, FL_TRAP_FILL, fl_the_traps.page_bytes);
    note(&trap->allocated, frame);
    trap->freed.depth = trap->freed.thread = 0;
    atomic_store_explicit(&trap->state, FL_TRAP_LIVE, memory_order_release);
    return trap->as_slab.start;
}

void *fl_trap_alloc(fallow_arena *arena, size_t bytes, const void *frame) {
    void *block = NULL;
    if (bytes > fl_the_window.os_page_bytes)
        return NULL;
    fl_lock_take(fl_lock_of(FL_LOCK_TRAPS));
    if (are_there(arena) && ring_count > FL_TRAPS - FL_TRAPS_LIVE) {
        fl_trap *trap = &records[ring[ring_first % FL_TRAPS]];
        if (make_ready(trap, arena)) {
            ring_first++, ring_count--;
            block = occupy(trap, arena, bytes, frame);
        }
    }
    fl_lock_drop(fl_lock_of(FL_LOCK_TRAPS));
    return block;
}

static bool is_filled(const char *from, const char *end) {
    while (from < end && (unsigned char)*from == FL_TRAP_FILL)
        from++;
    return from == end;
}

/* Returns what is wrong with the free of a block; NULL: nothing. */
static const char *wrong(const fl_trap *trap, const char *block) {
    const char *start = trap->as_slab.start, *page = fl_trap_page(trap);
    fl_trap_state state = fl_trap_state_of(trap);
    if (state == FL_TRAP_UNUSED)
        return "not a block (it was never handed out)";
    if (block != start)
        return "not the start of a block";
    if (state == FL_TRAP_FREED)
        return "freed twice";
    if (!is_filled(page, start))
        return "written to before its start (what lies there is not as it was)";
    return is_filled(start + trap->as_slab.block_bytes, page + fl_the_traps.page_bytes)
               ? NULL
               : "written to behind its end (what lies there is not as it was)";
}

void fl_trap_free(void *block) {
    fl_trap *trap = fl_trap_near(block);
    const void *frame = __builtin_frame_address(0);
    fl_lock_take(fl_lock_of(FL_LOCK_TRAPS));
    const char *found = wrong(trap, block);
    if (!found) {
        note(&trap->freed, frame);
        atomic_store_explicit(&trap->state, FL_TRAP_FREED, memory_order_release);
        make_inaccessible(trap);
        enqueue((size_t)(trap - records));
    }
    fl_lock_drop(fl_lock_of(FL_LOCK_TRAPS));
    if (found)
        fl_misuse_of_trap(trap, "free of", block, found, frame);
}

fl_slab *fl_trap_slab(const void *block, const char *doing) {
    fl_trap *trap = fl_trap_near(block);
    if (!trap)
        return NULL;
    if (!fl_trap_is_live(trap, block))
        fl_misuse_of_trap(trap, doing, block,
                          trap->as_slab.start == block && fl_trap_state_of(trap) == FL_TRAP_FREED
                              ? "used after it was freed"
                              : "not the start of a block",
                          __builtin_frame_address(0));
    return &trap->as_slab;
}

fl_traps_seen fl_traps_see(void) {
    fl_traps_seen seen = {0};
    fl_lock_take(fl_lock_of(FL_LOCK_TRAPS));
    for (size_t i = 0; i < atomic_load_explicit(&fl_the_traps.count, memory_order_relaxed); i++) {
        bool live = fl_trap_state_of(&records[i]) == FL_TRAP_LIVE;
        seen.live_blocks += live;
        *(live ? &seen.live_bytes : &seen.stuck_bytes) += records[i].ready_bytes;
    }
    fl_lock_drop(fl_lock_of(FL_LOCK_TRAPS));
    return seen;
}
