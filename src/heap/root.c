/* SPDX-License-Identifier: MIT */
#include "root.h"

#include <stddef.h>

#include "../arena/charge.h"
#include "../arena/events.h"
#include "../profile/copies.h"
#include "../profile/sites.h"
#include "../slab/arenas.h"
#include "../slab/trap.h"
#include "heap.h"

#define PLACE(name, structure, member) \
    [FL_AT_##name] = {offsetof(structure, member), sizeof(((structure *)NULL)->member)},

#define SIZE(name, structure) [FL_OF_##name] = sizeof(structure),

/* Nothing in this library reads it. */
__attribute__((used)) static fl_root root = {
    .mark = FL_ROOT_MARK,
    .self = &root,
    .layout = FL_ROOT_LAYOUT,
    .bytes = sizeof(fl_root),
    .version = FALLOW_VERSION,
    .page_shift = FL_PAGE_SHIFT,
    .region_shift = FL_REGION_SHIFT,
    .chunk_pages = FL_CHUNK_PAGES,
    .entry_low_bits = FL_ENTRY_LOW_BITS,
    .entry_high_shift = FL_ENTRY_HIGH_SHIFT,
    .class_count = FL_CLASS_COUNT,
    .parts_count = FL_WINDOW_PARTS,
    .window = &fl_the_window,
    .parts = fl_window_parts,
    .process = &fl_stat_process,
    .meta = &fl_stat_meta,
    .classes = fl_classes,
    .arenas = fl_arenas,
    .arenas_used = &fl_arenas_used,
    .traps = &fl_the_traps,
    .sampling = FL_HARDENED ? NULL : &fl_the_sampling,
    .books = &fl_the_books,
    .copies = FL_HARDENED || !FL_COPIES_ARE_MADE ? NULL : &fl_the_copies,
    .counters = &fl_the_process,
    .events = &fl_the_events,
    .events_kept = FL_EVENTS_KEPT,
    .copies_kept = FL_COPIES,
    .counter_names = FL_COUNTER_NAMES,
    .sizes = {FL_ROOT_STRUCTURES(SIZE)},
    .places = {FL_ROOT_MEMBERS(PLACE)},
};

void fl_root_open(void) {
    atomic_store_explicit(&root.opened, 1, memory_order_release);
}
