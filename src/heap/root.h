/* SPDX-License-Identifier: MIT */
/*
 * root.h: where another process starts to find its way through this one's tables (`fallow stats PID`, `fallow
 * map PID`). It costs nothing until somebody looks: it is a constant in the library's data, recognized by its
 * mark and by the address that it states as its own.
 *
 * The reader was built apart from the library, perhaps with other options. So the root says where in each
 * structure a reader finds what it may want, and the reader asks for nothing else. What the values mean (the
 * bits of a slab's word, what a region's pages are) depends on the layout's number, which must go up whenever
 * that meaning or the list below changes. Counters are known by their names as well, so that a new one needs
 * no new number.
 */
#ifndef FL_ROOT_H
#define FL_ROOT_H

#include <stdint.h>

#include "../arena/counters.h"

#define FL_ROOT_MARK "fallow root" /* and zeroes up to 16 bytes */
#define FL_ROOT_MARK_BYTES 16
#define FL_ROOT_LAYOUT 5

#define FL_ROOT_PROCESS_COUNTER(X, name, ...) X(process_##name, fl_process_counters, name)
#define FL_ROOT_ARENA_COUNTER(X, name, ...) X(arena_##name, fallow_arena, pages.name)

/* X(name, structure, member); a member is a pointer, an integer or an array of integers. */
#define FL_ROOT_MEMBERS(X)                                              \
    X(window_base, fl_window, base)                                     \
    X(window_pages, fl_window, pages)                                   \
    X(window_table, fl_window, table)                                   \
    X(window_regions, fl_window, regions)                               \
    X(window_os_page_bytes, fl_window, os_page_bytes)                   \
    X(reservation_start, fl_reservation, start)                         \
    X(reservation_bytes, fl_reservation, bytes)                         \
    X(reservation_ready_bytes, fl_reservation, ready_bytes)             \
    X(reservation_prepared_bytes, fl_reservation, prepared_bytes)       \
    X(reservation_reserved, fl_reservation, reserved)                   \
    X(stat_reserved, osmem_stat, bytes.reserved)                        \
    X(stat_prepared, osmem_stat, bytes.prepared)                        \
    X(stat_ready, osmem_stat, bytes.ready)                              \
    X(stat_ready_peak, osmem_stat, ready_peak_bytes)                    \
    X(class_block_bytes, fl_class, block_bytes)                         \
    X(class_capacity, fl_class, capacity)                               \
    X(class_unit_shift, fl_class, unit_shift)                           \
    X(region_arena, fl_region, arena)                                   \
    X(region_mapped, fl_region, mapped)                                 \
    X(region_reserved, fl_region, reserved)                             \
    X(region_growing, fl_region, growing)                               \
    X(region_lost, fl_region, lost)                                     \
    X(region_in_use, fl_region, in_use)                                 \
    X(region_prepared, fl_region, prepared)                             \
    X(region_kept, fl_region, kept)                                     \
    X(region_gone, fl_region, gone)                                     \
    X(slab_countdown, fl_slab, countdown)                               \
    X(slab_threshold, fl_slab, threshold)                               \
    X(slab_decommitted, fl_slab, decommitted)                           \
    X(slab_word, fl_slab, word)                                         \
    X(slab_start, fl_slab, start)                                       \
    X(slab_arena, fl_slab, arena)                                       \
    X(slab_pages, fl_slab, pages)                                       \
    X(slab_size_class, fl_slab, size_class)                             \
    X(slab_kind, fl_slab, kind)                                         \
    X(traps_start, fl_traps, start)                                     \
    X(traps_bytes, fl_traps, bytes)                                     \
    X(traps_page_bytes, fl_traps, page_bytes)                           \
    X(traps_all, fl_traps, all)                                         \
    X(traps_count, fl_traps, count)                                     \
    X(trap_state, fl_trap, state)                                       \
    X(trap_ready_bytes, fl_trap, ready_bytes)                           \
    X(heap_thread, fl_heap, thread)                                     \
    X(heap_tag, fl_heap, tag)                                           \
    X(heap_next, fl_heap, next)                                         \
    X(heap_spans, fl_heap, kept.spans.slots)                            \
    X(heap_window_pages, fl_heap, window_pages)                         \
    X(site_next, fl_site, next)                                         \
    X(site_live_blocks, fl_site, live_blocks)                           \
    X(site_live_bytes, fl_site, live_bytes)                             \
    X(site_total_blocks, fl_site, total_blocks)                         \
    X(site_total_bytes, fl_site, total_bytes)                           \
    X(site_peak_blocks, fl_site, peak_blocks)                           \
    X(site_peak_bytes, fl_site, peak_bytes)                             \
    X(site_peak_round, fl_site, peak_round)                             \
    X(site_depth, fl_site, depth)                                       \
    X(site_arena, fl_site, arena)                                       \
    X(site_calls, fl_site, calls)                                       \
    X(sampling_wanted, fl_sampling, wanted)                             \
    X(sampling_active, fl_sampling, active)                             \
    X(books_sites, fl_profile_books, sites)                             \
    X(books_round, fl_profile_books, round)                             \
    X(books_past_peak, fl_profile_books, past_peak)                     \
    X(sample_copy, fl_sample, copy)                                     \
    X(copies_reader, fl_copies, reader)                                 \
    X(copies_ring, fl_copies, ring)                                     \
    X(copies_late, fl_copies, late)                                     \
    X(copies_foreign, fl_copies, foreign)                               \
    X(copy_full, fl_copy, full)                                         \
    X(copy_bytes, fl_copy, bytes)                                       \
    X(copy_number, fl_copy, number)                                     \
    X(copy_sample, fl_copy, sample)                                     \
    X(copy_site, fl_copy, site)                                         \
    X(copy_sample_blocks, fl_copy, sample_blocks)                       \
    X(copy_sample_bytes, fl_copy, sample_bytes)                         \
    X(copy_registers, fl_copy, registers)                               \
    X(copy_stack, fl_copy, stack)                                       \
    X(arena_name, fallow_arena, name)                                   \
    X(arena_handle, fallow_arena, handle)                               \
    X(arena_parent, fallow_arena, pages.parent)                         \
    X(arena_heaps, fallow_arena, heaps)                                 \
    X(arena_stat_prepared, fallow_arena, pages.stat.bytes.prepared)     \
    X(arena_stat_ready, fallow_arena, pages.stat.bytes.ready)           \
    X(arena_stat_ready_peak, fallow_arena, pages.stat.ready_peak_bytes) \
    X(arena_soft_bytes, fallow_arena, pages.limits.soft_bytes)          \
    X(arena_hard_bytes, fallow_arena, pages.limits.hard_bytes)          \
    X(arena_pages, fallow_arena, pages)                                 \
    FL_PROCESS_COUNTERS(FL_ROOT_PROCESS_COUNTER, X)                     \
    FL_ARENA_COUNTERS(FL_ROOT_ARENA_COUNTER, FL_NOT_COUNTED, X)         \
    FL_CAUSE_COUNTERS(FL_ROOT_ARENA_COUNTER, X)                         \
    X(events_ring, fl_events, ring)                                     \
    X(events_last, fl_events, last)                                     \
    X(events_first, fl_events, first)                                   \
    X(event_stamp, fl_event, stamp)                                     \
    X(event_time_ns, fl_event, time_ns)                                 \
    X(event_bytes, fl_event, bytes)                                     \
    X(event_arena, fl_event, arena)                                     \
    X(event_what, fl_event, what)

/* X(name, structure): structures whose sizes the root states. */
#define FL_ROOT_STRUCTURES(X)        \
    X(window, fl_window)             \
    X(reservation, fl_reservation)   \
    X(stat, osmem_stat)              \
    X(class, fl_class)               \
    X(region, fl_region)             \
    X(slab, fl_slab)                 \
    X(traps, fl_traps)               \
    X(trap, fl_trap)                 \
    X(heap, fl_heap)                 \
    X(site, fl_site)                 \
    X(sampling, fl_sampling)         \
    X(books, fl_profile_books)       \
    X(sample, fl_sample)             \
    X(copies, fl_copies)             \
    X(copy, fl_copy)                 \
    X(counters, fl_process_counters) \
    X(arena, fallow_arena)           \
    X(events, fl_events)             \
    X(event, fl_event)

#define FL_ROOT_STRUCTURE(name, structure) FL_OF_##name,
typedef enum fl_root_structure { FL_ROOT_STRUCTURES(FL_ROOT_STRUCTURE) FL_OF_COUNT } fl_root_structure;

#define FL_ROOT_MEMBER(name, structure, member) FL_AT_##name,
typedef enum fl_root_member { FL_ROOT_MEMBERS(FL_ROOT_MEMBER) FL_AT_COUNT } fl_root_member;

typedef struct fl_root_place {
    uint16_t offset; /* in its structure */
    uint16_t bytes;  /* of all of it */
} fl_root_place;

typedef struct fl_root {
    /* The same in every layout. */
    char mark[FL_ROOT_MARK_BYTES];
    const struct fl_root *self;
    uint32_t layout;
    uint32_t bytes; /* of the whole root */
    char version[16];
    _Atomic uint32_t opened; /* the library has served a first request: what follows leads somewhere */

    uint32_t page_shift;
    uint32_t region_shift;
    uint32_t chunk_pages;
    uint32_t entry_low_bits; /* so many bits of an entry of the page map are no address; see window.h */
    uint32_t entry_high_shift;
    uint32_t class_count;
    uint32_t parts_count;
    const void *window;
    const void *parts;   /* addresses of the reservations that hold its bookkeeping */
    const void *process; /* the ledger's stats: of everything, and of bookkeeping */
    const void *meta;
    const void *classes;
    const void *arenas; /* their addresses, by slot; then how many slots have been used */
    const void *arenas_used;
    const void *traps;    /* which begin with a slab's descriptor each: ../slab/trap.h */
    const void *sampling; /* written from outside: sampled.h; NULL: it does not sample (hardened) */
    const void *books;    /* of the profile */
    const void *copies;   /* of stacks, written from outside: ../profile/copies.h; NULL: none are made */
    const void *counters; /* of the process */
    const void *events;
    uint32_t events_kept;
    uint32_t copies_kept;
    char counter_names[sizeof FL_COUNTER_NAMES];
    uint32_t sizes[FL_OF_COUNT];
    fl_root_place places[FL_AT_COUNT];
} fl_root;

/* Called once everything is there. */
void fl_root_open(void);

#endif
