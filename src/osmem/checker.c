/* SPDX-License-Identifier: MIT */
#include "checker.h"

#include <stdint.h>
#include <string.h>

#include "../system/fatal.h"
#include "../system/line.h"
#include "../system/lock.h"
#include "../system/system.h"
#include "backend.h"

/* What is known of one OS page of at least 4 KiB. */
typedef struct shadow {
    uint8_t state;  /* fl_state */
    uint8_t since;  /* the fl_call that brought it there */
    uint16_t owner; /* the number of the stat that counts it; 0: no matter which */
} shadow;

/* In leaves that are made on first use. Addresses have up to 48 bits. */
#define LEAF_SHIFT 15
#define LEAF_PAGES ((size_t)1 << LEAF_SHIFT)
#define PAGE_SHIFT_MIN 12
#define STEP ((size_t)1 << PAGE_SHIFT_MIN) /* whatever the OS page's size */
#define LEAVES ((size_t)1 << (48 - PAGE_SHIFT_MIN - LEAF_SHIFT))
#define OWNERS ((size_t)1 << 16)

/* A leaf that waits to be used again leads to the next one. */
typedef union leaf {
    shadow pages[LEAF_PAGES];
    union leaf *next;
} leaf;

/* Made on first use, in one piece: a process that checks nothing has none of it. */
typedef struct tables {
    leaf *leaves[LEAVES];
    leaf *spare;                      /* leaves of what was forgotten */
    const osmem_stat *owners[OWNERS]; /* by number: a hash table of addresses, which are never taken out */
} tables;

static tables *known;

static const char *const state_names[] = {"None", "Reserved", "Prepared", "Ready"};
static const char *const call_names[] = {"nothing", "alloc",  "reserve", "prepare", "map",
                                         "used",    "unused", "unmap",   "fault",   "free",
                                         "a hint",  "move",   "transfer"};

static size_t page_number(const void *address) {
    return (uintptr_t)address >> PAGE_SHIFT_MIN;
}

static void *memory_for_shadow(size_t bytes) {
    const osmem_backend *system = fl_backend_native();
    size_t mask = fl_system_page_bytes() - 1;
    void *memory = system->alloc(system->context, (bytes + mask) & ~mask);
    if (!memory)
        fl_fatal("osmem", NULL, "no memory for the checker");
    return memory;
}

static leaf *new_leaf(void) {
    leaf *it = known->spare;
    if (!it)
        return memory_for_shadow(sizeof *it);
    known->spare = it->next;
    it->next = NULL;
    return it;
}

/* Returns the shadow of a page; NULL for a page of a leaf that was never needed, which is None. */
static shadow *shadow_of(size_t page, bool make) {
    if (page >> LEAF_SHIFT >= LEAVES)
        fl_fatal("osmem: address", (void *)(page << PAGE_SHIFT_MIN),
                 "beyond the 48 bits that the checker keeps");
    if (!known)
        known = memory_for_shadow(sizeof *known);
    leaf **it = &known->leaves[page >> LEAF_SHIFT];
    if (!*it && make)
        *it = new_leaf();
    return *it ? &(*it)->pages[page % LEAF_PAGES] : NULL;
}

static shadow look_at(size_t page) {
    const shadow *it = shadow_of(page, false);
    return it ? *it : (shadow){FL_NONE, FL_CALL_NONE, 0};
}

static size_t first_number(const osmem_stat *stat) {
    return ((uintptr_t)stat >> 4) * 0x9e3779b1u % OWNERS;
}

/* Returns a stat's number, always the same; 0 if there are none left. */
static uint16_t number_of(const osmem_stat *stat) {
    size_t at = first_number(stat);
    for (size_t looks = 0; looks < 64; looks++, at = (at + 1) % OWNERS) {
        if (at != 0 && !known->owners[at])
            known->owners[at] = stat;
        if (known->owners[at] == stat)
            return (uint16_t)at;
    }
    return 0;
}

static void add_bytes(fl_line *line, const char *name, size_t bytes) {
    fl_line_add(line, name);
    fl_line_add_number(line, bytes);
}

/* Writes one line: call, range, page and state found, when it got there, what was needed. */
static _Noreturn void stop(const osmem_stat *stat, fl_call call, const void *start, size_t bytes, size_t page,
                           shadow found, const char *needed) {
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
    fl_line_add(&line, state_names[found.state]);
    fl_line_add(&line, " since ");
    fl_line_add(&line, call_names[found.since]);
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

static bool is_owner(const shadow *page, uint16_t owner) {
    return page->state == FL_NONE || page->owner == owner || !page->owner || !owner;
}

/* Caller holds the lock. */
static void expect(const osmem_stat *stat, fl_call call, const void *start, size_t bytes,
                   osmem_bytes expected) {
    size_t left[] = {0, expected.reserved, expected.prepared, expected.ready};
    for (size_t at = 0; at < bytes; at += STEP) {
        size_t page = page_number((const char *)start + at);
        shadow found = look_at(page);
        if (left[found.state] < STEP)
            stop(stat, call, start, bytes, page, found, needed_states(expected));
        if (!is_owner(&found, number_of(stat)))
            stop(stat, call, start, bytes, page, found,
                 "a page that is counted in this stat, not in another one");
        left[found.state] -= STEP;
    }
}

/* Caller holds the lock. */
static void note(const osmem_stat *stat, fl_call call, const void *start, size_t bytes, fl_state now) {
    bool from_none = call == FL_CALL_ALLOC || call == FL_CALL_RESERVE || call == FL_CALL_PREPARE;
    for (size_t at = 0; at < bytes; at += STEP) {
        size_t page = page_number((const char *)start + at);
        shadow *it = shadow_of(page, true);
        if (from_none && it->state != FL_NONE)
            stop(stat, call, start, bytes, page, *it, "None (the back end gave what is not free)");
        *it = (shadow){(uint8_t)now, (uint8_t)call, number_of(stat)};
    }
}

void fl_checker_expect(const osmem_stat *stat, fl_call call, const void *start, size_t bytes,
                       osmem_bytes expected) {
    fl_lock_take(fl_lock_of(FL_LOCK_CHECKER));
    expect(stat, call, start, bytes, expected);
    fl_lock_drop(fl_lock_of(FL_LOCK_CHECKER));
}

void fl_checker_expect_ours(const osmem_stat *stat, const void *start, size_t bytes) {
    fl_lock_take(fl_lock_of(FL_LOCK_CHECKER));
    for (size_t at = 0; at < bytes; at += STEP) {
        size_t page = page_number((const char *)start + at);
        shadow found = look_at(page);
        if (found.state == FL_NONE || !is_owner(&found, number_of(stat)))
            stop(stat, FL_CALL_HINT, start, bytes, page, found, "any state but None, in this stat");
    }
    fl_lock_drop(fl_lock_of(FL_LOCK_CHECKER));
}

void fl_checker_note(const osmem_stat *stat, fl_call call, const void *start, size_t bytes, fl_state now) {
    fl_lock_take(fl_lock_of(FL_LOCK_CHECKER));
    note(stat, call, start, bytes, now);
    fl_lock_drop(fl_lock_of(FL_LOCK_CHECKER));
}

void fl_checker_begin(const osmem_stat *stat, fl_call call, const void *start, size_t bytes,
                      osmem_bytes expected) {
    fl_lock_take(fl_lock_of(FL_LOCK_CHECKER));
    expect(stat, call, start, bytes, expected);
}

void fl_checker_end(const osmem_stat *stat, fl_call call, const void *start, size_t bytes, bool moved,
                    fl_state now) {
    if (moved)
        note(stat, call, start, bytes, now);
    fl_lock_drop(fl_lock_of(FL_LOCK_CHECKER));
}

void fl_checker_transfer(const void *start, size_t bytes, osmem_bytes expected, const osmem_stat *from,
                         const osmem_stat *to) {
    fl_lock_take(fl_lock_of(FL_LOCK_CHECKER));
    if (from->checked)
        expect(from, FL_CALL_TRANSFER, start, bytes, expected);
    for (size_t at = 0; at < bytes; at += STEP)
        shadow_of(page_number((const char *)start + at), true)->owner = number_of(to);
    fl_lock_drop(fl_lock_of(FL_LOCK_CHECKER));
}

#if FL_CHECKS >= 2
/* What others record meanwhile is about other pages: a number or a leaf that was there stays, one that
 * appears is not ours. */
#define READ_WITHOUT_LOCK __attribute__((no_sanitize("thread")))

/* Returns the number that a stat has; 0 if it has none yet, and counts nothing. */
READ_WITHOUT_LOCK static uint16_t number_if_any(const osmem_stat *stat) {
    size_t at = first_number(stat);
    for (size_t looks = 0; looks < 64; looks++, at = (at + 1) % OWNERS)
        if (known->owners[at] == stat)
            return (uint16_t)at;
    return 0;
}

READ_WITHOUT_LOCK static fl_state state_for(uint16_t number, size_t page) {
    const leaf *it = page >> LEAF_SHIFT < LEAVES ? known->leaves[page >> LEAF_SHIFT] : NULL;
    const shadow *found = it ? &it->pages[page % LEAF_PAGES] : NULL;
    return found && (found->owner == number || !found->owner) ? (fl_state)found->state : FL_NONE;
}

READ_WITHOUT_LOCK fl_state fl_checker_state_of(const osmem_stat *stat, const void *start, size_t *bytes) {
    uint16_t number = known ? number_if_any(stat) : 0;
    size_t first = page_number(start), end = page_number((const char *)start + *bytes), page = first + 1;
    if (!number)
        return FL_NONE;
    fl_state state = state_for(number, first);
    while (page < end && state_for(number, page) == state)
        page++;
    *bytes = (page - first) << PAGE_SHIFT_MIN;
    return state;
}
#endif

void fl_checker_forget(uintptr_t start, size_t bytes) {
    size_t first = start >> PAGE_SHIFT_MIN >> LEAF_SHIFT;
    size_t count = ((bytes >> PAGE_SHIFT_MIN) + LEAF_PAGES - 1) >> LEAF_SHIFT;
    fl_lock_take(fl_lock_of(FL_LOCK_CHECKER));
    for (size_t i = 0; known && i < count; i++)
        if (known->leaves[first + i]) {
            leaf *it = known->leaves[first + i];
            memset(it, 0, sizeof *it);
            it->next = known->spare;
            known->spare = it;
            known->leaves[first + i] = NULL;
        }
    fl_lock_drop(fl_lock_of(FL_LOCK_CHECKER));
}
