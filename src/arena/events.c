/* SPDX-License-Identifier: MIT */
#include "events.h"

#include "../system/probes.h"
#include "../system/system.h"
#include "window.h"

fl_events fl_the_events;

/* A thread that comes while another has the ring made goes without. */
static void make_ring(void) {
    if (atomic_load_explicit(&fl_the_events.ring, memory_order_relaxed) ||
        atomic_exchange_explicit(&fl_the_events.making, 1, memory_order_acquire))
        return;
    if (!atomic_load_explicit(&fl_the_events.ring, memory_order_relaxed)) {
        fl_event *ring = fl_meta_alloc(FL_EVENTS_KEPT * sizeof *ring);
        atomic_store_explicit(&fl_the_events.ring, ring, memory_order_release);
    }
    atomic_store_explicit(&fl_the_events.making, 0, memory_order_release);
}

/* Nobody goes on writing what a parent's thread was writing when the process came to be. */
static bool is_being_written(uint64_t stamp) {
    return (stamp & FL_EVENT_BUSY) &&
           (stamp & ~FL_EVENT_BUSY) >= atomic_load_explicit(&fl_the_events.first, memory_order_relaxed);
}

void fl_event_note(fl_event_kind kind, unsigned cause, uint64_t bytes, const struct fl_pagearena *arena,
                   uint64_t started_ns) {
    fl_event *ring = atomic_load_explicit(&fl_the_events.ring, memory_order_acquire);
    if (!ring)
        return;
    uint64_t number = atomic_fetch_add_explicit(&fl_the_events.last, 1, memory_order_relaxed) + 1;
    fl_event *event = &ring[number % FL_EVENTS_KEPT];
    uint64_t stamp = atomic_load_explicit(&event->stamp, memory_order_relaxed);
    if (is_being_written(stamp) ||
        (stamp & ~FL_EVENT_BUSY) > number || /* this thread was slow: a newer event has the place */
        !atomic_compare_exchange_strong_explicit(&event->stamp, &stamp, FL_EVENT_BUSY | number,
                                                 memory_order_acquire, memory_order_relaxed))
        return;
    atomic_thread_fence(memory_order_release); /* seen with any of what follows: the place is taken */
    uint64_t now_ns = fl_system_now_ns(), took = started_ns ? (now_ns - started_ns) / 1000 : 0;
    atomic_store_explicit(&event->time_ns, now_ns, memory_order_relaxed);
    atomic_store_explicit(&event->bytes, bytes, memory_order_relaxed);
    atomic_store_explicit(&event->arena, (uintptr_t)arena, memory_order_relaxed);
    atomic_store_explicit(&event->what,
                          (took < UINT32_MAX ? took : UINT32_MAX) << FL_EVENT_TOOK_SHIFT |
                              (uint64_t)cause << FL_EVENT_CAUSE_SHIFT | kind,
                          memory_order_relaxed);
    atomic_store_explicit(&event->stamp, number, memory_order_release);
}

void fl_event_note_grant(const struct fl_pagearena *arena, const char *start, size_t pages, size_t more) {
    FL_PROBE3(span_granted, start, pages << FL_PAGE_SHIFT, more << FL_PAGE_SHIFT);
    (void)start, (void)pages; /* where there are no probes */
    if (more == 0)
        return;
    make_ring();
    fl_event_note(FL_EVENT_GRANT, 0, more << FL_PAGE_SHIFT, arena, 0);
}

void fl_events_fork_child(void) {
    uint64_t last = atomic_load_explicit(&fl_the_events.last, memory_order_relaxed);
    atomic_store_explicit(&fl_the_events.first, last + 1, memory_order_relaxed);
    atomic_store_explicit(&fl_the_events.making, 0, memory_order_relaxed);
}
