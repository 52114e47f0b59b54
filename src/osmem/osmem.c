/* SPDX-License-Identifier: MIT */
/*
 * osmem.c: the interface half of osmem: what is the same on every system. It rounds, refuses what breaks
 * the rules, asks the back end, and counts what the back end has done. No system call stands here.
 */
#include "fallow/osmem.h"

#include "../system/fatal.h"
#include "../system/system.h"
#include "checker.h"
#include "ledger.h"

size_t osmem_os_page_bytes(void) {
    return fl_system_page_bytes();
}

osmem_traits osmem_backend_traits(const osmem_backend *backend) {
    osmem_traits traits;
    backend->traits(backend->context, &traits);
    return traits;
}

void osmem_stat_init(osmem_stat *stat, const char *name, const osmem_backend *backend, osmem_stat *parent) {
    *stat =
        (osmem_stat){.name = name, .backend = backend ? backend : osmem_backend_system(), .parent = parent};
    stat->traits = osmem_backend_traits(stat->backend);
    stat->checked = FL_CHECKS >= 2;
}

void osmem_stat_check(osmem_stat *stat) {
    stat->checked = true;
}

/* Before the back end is asked, and after it has done what it was asked. */
static void expect(const osmem_stat *stat, fl_call call, const void *start, size_t bytes,
                   osmem_bytes expected) {
    if (stat->checked)
        fl_checker_expect(stat, call, start, bytes, expected);
}

static void note(const osmem_stat *stat, fl_call call, const void *start, size_t bytes, fl_state now) {
    if (stat->checked && bytes)
        fl_checker_note(stat, call, start, bytes, now);
}

static bool is_power_of_two(size_t n) {
    return n != 0 && (n & (n - 1)) == 0;
}

static bool range_is_legal(const osmem_stat *stat, const void *start, size_t bytes) {
    size_t mask = stat->traits.os_page_bytes - 1;
    uintptr_t address = (uintptr_t)start;
    return start && bytes && ((address | bytes) & mask) == 0 && address + bytes > address;
}

static bool size_is_legal(const osmem_stat *stat, size_t bytes) {
    return bytes && (bytes & (stat->traits.os_page_bytes - 1)) == 0;
}

/* A fresh mapping has no name yet. */
static void show_name(const osmem_stat *stat, void *start, size_t bytes) {
    if (stat->backend->show_name)
        stat->backend->show_name(stat->backend->context, start, bytes, stat->name);
}

void *osmem_alloc(size_t bytes, osmem_stat *stat) {
    if (!size_is_legal(stat, bytes))
        return NULL;
    void *start = stat->backend->alloc(stat->backend->context, bytes);
    if (start) {
        note(stat, FL_CALL_ALLOC, start, bytes, FL_READY);
        show_name(stat, start, bytes);
        fl_ledger_move(stat, FL_NONE, FL_READY, bytes);
    }
    return start;
}

/* Gives back what was reserved too much around an aligned range. Where that fails the excess stays counted
 * as Reserved: it costs address space and nothing else. */
static void trim(osmem_stat *stat, uintptr_t start, size_t bytes) {
    const osmem_backend *backend = stat->backend;
    if (bytes && backend->free(backend->context, (void *)start, bytes) != OSMEM_OK)
        fl_ledger_move(stat, FL_NONE, FL_RESERVED, bytes);
}

void *osmem_reserve(void *hint, size_t bytes, size_t alignment, osmem_stat *stat) {
    const osmem_backend *backend = stat->backend;
    size_t os_page_bytes = stat->traits.os_page_bytes;
    if (alignment < os_page_bytes)
        alignment = os_page_bytes;
    if (!size_is_legal(stat, bytes) || !is_power_of_two(alignment) || ((uintptr_t)hint & (os_page_bytes - 1)))
        return NULL;
    void *start = backend->reserve(backend->context, hint, bytes);
    if (start && ((uintptr_t)start & (alignment - 1))) {
        /* Not aligned by luck: reserve more, and trim both ends. */
        if (backend->free(backend->context, start, bytes) != OSMEM_OK)
            fl_ledger_move(stat, FL_NONE, FL_RESERVED, bytes);
        size_t more = bytes + alignment - os_page_bytes;
        start = more > bytes ? backend->reserve(backend->context, NULL, more) : NULL;
        if (start) {
            uintptr_t first = (uintptr_t)start;
            uintptr_t aligned = (first + alignment - 1) & ~(alignment - 1);
            trim(stat, first, aligned - first);
            trim(stat, aligned + bytes, first + more - (aligned + bytes));
            start = (void *)aligned;
        }
    }
    if (start) {
        note(stat, FL_CALL_RESERVE, start, bytes, FL_RESERVED);
        fl_ledger_move(stat, FL_NONE, FL_RESERVED, bytes);
    }
    return start;
}

osmem_result osmem_map(void *start, size_t bytes, osmem_stat *stat) {
    if (!range_is_legal(stat, start, bytes))
        return OSMEM_INVALID;
    expect(stat, FL_CALL_MAP, start, bytes, (osmem_bytes){.reserved = bytes});
    osmem_result result = stat->backend->map(stat->backend->context, start, bytes);
    if (result == OSMEM_OK) {
        note(stat, FL_CALL_MAP, start, bytes, FL_PREPARED);
        show_name(stat, start, bytes);
        fl_ledger_move(stat, FL_RESERVED, FL_PREPARED, bytes);
    }
    return result;
}

osmem_result osmem_used(void *start, size_t bytes, size_t prepared_bytes, osmem_stat *stat) {
    if (!range_is_legal(stat, start, bytes) || prepared_bytes > bytes)
        return OSMEM_INVALID;
    expect(stat, FL_CALL_USED, start, bytes,
           (osmem_bytes){.prepared = prepared_bytes, .ready = bytes - prepared_bytes});
    osmem_result result = stat->backend->used(stat->backend->context, start, bytes);
    if (result == OSMEM_OK) {
        note(stat, FL_CALL_USED, start, bytes, FL_READY);
        fl_ledger_move(stat, FL_PREPARED, FL_READY, prepared_bytes);
    }
    return result;
}

osmem_result osmem_unused(void *start, size_t bytes, osmem_stat *stat) {
    osmem_range range = {start, bytes};
    return osmem_unused_ranges(&range, 1, NULL, stat);
}

osmem_result osmem_unused_ranges(const osmem_range *ranges, size_t count, size_t *done, osmem_stat *stat) {
    for (size_t i = 0; i < count; i++)
        if (!range_is_legal(stat, ranges[i].start, ranges[i].bytes))
            return OSMEM_INVALID;
    for (size_t i = 0; i < count; i++)
        expect(stat, FL_CALL_UNUSED, ranges[i].start, ranges[i].bytes,
               (osmem_bytes){.ready = ranges[i].bytes});
    size_t finished = 0;
    osmem_result result = stat->backend->unused(stat->backend->context, ranges, count, &finished);
    size_t bytes = 0;
    for (size_t i = 0; i < finished; i++) {
        note(stat, FL_CALL_UNUSED, ranges[i].start, ranges[i].bytes, FL_PREPARED);
        bytes += ranges[i].bytes;
    }
    fl_ledger_move(stat, FL_READY, FL_PREPARED, bytes);
    if (done)
        *done = finished;
    return result;
}

osmem_result osmem_unmap(void *start, size_t bytes, osmem_stat *stat) {
    if (!range_is_legal(stat, start, bytes))
        return OSMEM_INVALID;
    expect(stat, FL_CALL_UNMAP, start, bytes, (osmem_bytes){.prepared = bytes});
    osmem_result result = stat->backend->unmap(stat->backend->context, start, bytes);
    if (result == OSMEM_OK) {
        note(stat, FL_CALL_UNMAP, start, bytes, FL_RESERVED);
        fl_ledger_move(stat, FL_PREPARED, FL_RESERVED, bytes);
    }
    return result;
}

osmem_result osmem_fault(void *start, size_t bytes, osmem_stat *stat) {
    if (!range_is_legal(stat, start, bytes))
        return OSMEM_INVALID;
    expect(stat, FL_CALL_FAULT, start, bytes, (osmem_bytes){.ready = bytes});
    osmem_result result = stat->backend->fault(stat->backend->context, start, bytes);
    if (result == OSMEM_OK) {
        note(stat, FL_CALL_FAULT, start, bytes, FL_RESERVED);
        fl_ledger_move(stat, FL_READY, FL_RESERVED, bytes);
    }
    return result;
}

osmem_result osmem_free(void *start, size_t bytes, osmem_bytes by_state, osmem_stat *stat) {
    if (!range_is_legal(stat, start, bytes) ||
        by_state.reserved + by_state.prepared + by_state.ready != bytes)
        return OSMEM_INVALID;
    if (stat->checked)
        fl_checker_free_begin(stat, start, bytes, by_state);
    osmem_result result = stat->backend->free(stat->backend->context, start, bytes);
    if (stat->checked)
        fl_checker_free_end(stat, start, bytes, result == OSMEM_OK);
    if (result == OSMEM_OK)
        fl_ledger_add(stat, by_state, -1);
    return result;
}

osmem_result osmem_move(void *from, void *to, size_t bytes, osmem_stat *stat) {
    uintptr_t first = (uintptr_t)from, second = (uintptr_t)to;
    if (!range_is_legal(stat, from, bytes) || !range_is_legal(stat, to, bytes) ||
        (first < second ? second - first : first - second) < bytes)
        return OSMEM_INVALID;
    expect(stat, FL_CALL_MOVE, from, bytes, (osmem_bytes){.ready = bytes});
    expect(stat, FL_CALL_MOVE, to, bytes, (osmem_bytes){.ready = bytes});
    return stat->backend->move ? stat->backend->move(stat->backend->context, from, to, bytes)
                               : OSMEM_UNSUPPORTED;
}

void osmem_transfer(osmem_bytes by_state, osmem_stat *from, osmem_stat *to) {
    /* Into the new one first: a common parent must not be seen too low in between. */
    fl_ledger_add(to, by_state, +1);
    fl_ledger_add(from, by_state, -1);
}

typedef osmem_result (*hint_function)(void *context, void *start, size_t bytes);

static osmem_result hint_whole_huge_pages(hint_function hint, void *start, size_t bytes, osmem_stat *stat) {
    size_t huge = stat->traits.huge_page_bytes;
    if (!range_is_legal(stat, start, bytes))
        return OSMEM_INVALID;
    if (stat->checked)
        fl_checker_expect_mapped(stat, start, bytes);
    if (huge == 0)
        return OSMEM_UNSUPPORTED;
    uintptr_t first = ((uintptr_t)start + huge - 1) & ~(huge - 1);
    uintptr_t end = ((uintptr_t)start + bytes) & ~(huge - 1);
    return first < end ? hint(stat->backend->context, (void *)first, end - first) : OSMEM_OK;
}

osmem_result osmem_huge_page(void *start, size_t bytes, osmem_stat *stat) {
    return hint_whole_huge_pages(stat->backend->huge_page, start, bytes, stat);
}

osmem_result osmem_collapse(void *start, size_t bytes, osmem_stat *stat) {
    return hint_whole_huge_pages(stat->backend->collapse, start, bytes, stat);
}

osmem_result osmem_no_huge_page(void *start, size_t bytes, osmem_stat *stat) {
    if (!range_is_legal(stat, start, bytes))
        return OSMEM_INVALID;
    if (stat->checked)
        fl_checker_expect_mapped(stat, start, bytes);
    return stat->backend->no_huge_page(stat->backend->context, start, bytes);
}
