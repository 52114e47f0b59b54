/* SPDX-License-Identifier: MIT */
#include "checker.h"

#include <stdint.h>
#include <string.h>

#include "../system/fatal.h"
#include "../system/line.h"
#include "../system/lock.h"

/*
 * One byte for each OS page of at least 4 KiB, in leaves of 32,768 that are made on first use: state in the
 * low two bits, the last call above. Addresses up to 48 bits.
 */
#define LEAF_SHIFT 15
#define LEAF_PAGES ((size_t)1 << LEAF_SHIFT)
#define PAGE_SHIFT_MIN 12
#define LEAVES ((size_t)1 << (48 - PAGE_SHIFT_MIN - LEAF_SHIFT))
#define STATE_MASK 3

#define shadow_lock (*fl_lock_of(FL_LOCK_CHECKER))
static uint8_t **leaves; /* made on first use: a process that checks nothing has none of it */

static const char *const state_names[] = {"None", "Reserved", "Prepared", "Ready"};
static const char *const call_names[] = {"nothing", "alloc", "reserve", "map",    "used", "unused",
                                         "unmap",   "fault", "free",    "a hint", "move"};

static size_t page_number(const void *address) {
    return (uintptr_t)address >> PAGE_SHIFT_MIN;
}

static void *memory_for_shadow(size_t bytes) {
    const osmem_backend *system = osmem_backend_system();
    void *memory = system->alloc(system->context, bytes);
    if (!memory)
        fl_fatal("osmem", NULL, "no memory for the checker");
    return memory;
}

/* The shadow of one page; NULL for a page of a leaf that was never needed, which is None. */
static uint8_t *shadow_of(size_t page, bool make) {
    if (page >> LEAF_SHIFT >= LEAVES)
        fl_fatal("osmem: address", (void *)(page << PAGE_SHIFT_MIN),
                 "beyond the 48 bits that the checker keeps");
    if (!leaves)
        leaves = memory_for_shadow(LEAVES * sizeof *leaves);
    uint8_t **leaf = &leaves[page >> LEAF_SHIFT];
    if (!*leaf && make)
        *leaf = memory_for_shadow(LEAF_PAGES);
    return *leaf ? *leaf + page % LEAF_PAGES : NULL;
}

static void add_bytes(fl_line *line, const char *name, size_t bytes) {
    fl_line_add(line, name);
    fl_line_add_number(line, bytes);
}

/* One line: call, range, page and state found, when it got there, what was needed. */
static _Noreturn void stop(const osmem_stat *stat, fl_call call, const void *start, size_t bytes, size_t page,
                           uint8_t found, const char *needed) {
    fl_line line;
    fl_line_start(&line);
    fl_line_add(&line, call_names[call]);
    fl_line_add(&line, " of [");
    fl_line_add_address(&line, start);
    add_bytes(&line, ", +", bytes);
    fl_line_add(&line, ") in '");
    fl_line_add(&line, stat->name);
    fl_line_add(&line, "': page ");
    fl_line_add_address(&line, (void *)(page << PAGE_SHIFT_MIN));
    fl_line_add(&line, " is ");
    fl_line_add(&line, state_names[found & STATE_MASK]);
    fl_line_add(&line, " since ");
    fl_line_add(&line, call_names[found >> 2]);
    fl_line_add(&line, "; needed: ");
    fl_line_add(&line, needed);
    fl_line_add_part(&line, "", 1);
    fl_fatal("osmem: wrong move", NULL, line.text);
}

static const char *needed_states(osmem_bytes expected) {
    if (expected.prepared && expected.ready)
        return expected.reserved ? "what the caller says (all three states)"
                                 : "Prepared and Ready, as the caller says";
    if (expected.reserved)
        return expected.prepared || expected.ready ? "Reserved and others, as the caller says" : "Reserved";
    return expected.prepared ? "Prepared" : "Ready";
}

/* Holds the lock. */
static void expect(const osmem_stat *stat, fl_call call, const void *start, size_t bytes,
                   osmem_bytes expected) {
    size_t step = stat->traits.os_page_bytes;
    size_t left[] = {0, expected.reserved, expected.prepared, expected.ready};
    for (size_t at = 0; at < bytes; at += step) {
        size_t page = page_number((const char *)start + at);
        const uint8_t *shadow = shadow_of(page, false);
        uint8_t found = shadow ? *shadow : 0;
        size_t *of_state = &left[found & STATE_MASK];
        if (*of_state < step)
            stop(stat, call, start, bytes, page, found, needed_states(expected));
        *of_state -= step;
    }
}

/* Holds the lock. */
static void note(const osmem_stat *stat, fl_call call, const void *start, size_t bytes, fl_state now) {
    size_t step = stat->traits.os_page_bytes;
    bool from_none = call == FL_CALL_ALLOC || call == FL_CALL_RESERVE;
    for (size_t at = 0; at < bytes; at += step) {
        size_t page = page_number((const char *)start + at);
        uint8_t *shadow = shadow_of(page, true);
        if (from_none && (*shadow & STATE_MASK) != FL_NONE)
            stop(stat, call, start, bytes, page, *shadow, "None (the back end gave what is not free)");
        *shadow = (uint8_t)(now | (unsigned)call << 2);
    }
}

void fl_checker_expect(const osmem_stat *stat, fl_call call, const void *start, size_t bytes,
                       osmem_bytes expected) {
    fl_lock_take(&shadow_lock);
    expect(stat, call, start, bytes, expected);
    fl_lock_drop(&shadow_lock);
}

void fl_checker_expect_mapped(const osmem_stat *stat, const void *start, size_t bytes) {
    size_t step = stat->traits.os_page_bytes;
    fl_lock_take(&shadow_lock);
    for (size_t at = 0; at < bytes; at += step) {
        size_t page = page_number((const char *)start + at);
        const uint8_t *shadow = shadow_of(page, false);
        uint8_t found = shadow ? *shadow : 0;
        if ((found & STATE_MASK) < FL_PREPARED)
            stop(stat, FL_CALL_HINT, start, bytes, page, found, "Prepared or Ready");
    }
    fl_lock_drop(&shadow_lock);
}

void fl_checker_note(const osmem_stat *stat, fl_call call, const void *start, size_t bytes, fl_state now) {
    fl_lock_take(&shadow_lock);
    note(stat, call, start, bytes, now);
    fl_lock_drop(&shadow_lock);
}

void fl_checker_free_begin(const osmem_stat *stat, const void *start, size_t bytes, osmem_bytes expected) {
    fl_lock_take(&shadow_lock);
    expect(stat, FL_CALL_FREE, start, bytes, expected);
}

void fl_checker_free_end(const osmem_stat *stat, const void *start, size_t bytes, bool freed) {
    if (freed)
        note(stat, FL_CALL_FREE, start, bytes, FL_NONE);
    fl_lock_drop(&shadow_lock);
}

void fl_checker_forget(uintptr_t start, size_t bytes) {
    size_t first = start >> PAGE_SHIFT_MIN >> LEAF_SHIFT;
    size_t count = ((bytes >> PAGE_SHIFT_MIN) + LEAF_PAGES - 1) >> LEAF_SHIFT;
    fl_lock_take(&shadow_lock);
    for (size_t i = 0; leaves && i < count; i++)
        if (leaves[first + i])
            memset(leaves[first + i], 0, LEAF_PAGES);
    fl_lock_drop(&shadow_lock);
}
