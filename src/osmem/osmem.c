/* SPDX-License-Identifier: MIT */
/*
 * osmem.c: the interface half of osmem: what is the same on every system. It rounds, refuses what breaks the
 * rules, asks the back end, and counts what the back end has done. It makes no system call.
 */
#include "fallow/osmem.h"

#include "../system/arithmetic.h"
#include "../system/fatal.h"
#include "backend.h"
#include "checker.h"
#include "ledger.h"

void osmem_stat_init(osmem_stat *stat, const char *name, const osmem_backend *backend, osmem_stat *parent) {
    *stat =
        (osmem_stat){.name = name, .backend = backend ? backend : osmem_backend_system(), .parent = parent};
    if (!fl_backend_is_whole(stat->backend))
        fl_fatal("back end", stat->backend, "its struct_bytes is not sizeof(osmem_backend)");
    stat->traits = fl_backend_traits(stat->backend);
    if (stat->traits.reserve_bytes == 0)
        stat->traits.reserve_bytes = stat->traits.os_page_bytes;
    stat->checked = FL_CHECKS >= 2;
}

void osmem_stat_check(osmem_stat *stat) {
    stat->checked = true;
}

static bool range_is_legal(const osmem_stat *stat, const void *start, size_t bytes) {
    size_t mask = stat->traits.os_page_bytes - 1;
    uintptr_t address = (uintptr_t)start;
    return start && bytes && ((address | bytes) & mask) == 0 && address + bytes > address;
}

static bool size_is_legal(const osmem_stat *stat, size_t bytes) {
    return bytes && (bytes & (stat->traits.os_page_bytes - 1)) == 0;
}

/* What the caller says of a range adds up to it; each part is bounded first, so that no sum can wrap
 * around. */
static bool parts_are_legal(osmem_bytes parts, size_t bytes) {
    return parts.reserved <= bytes && parts.prepared <= bytes - parts.reserved &&
           parts.ready == bytes - parts.reserved - parts.prepared;
}

/* The checker's part, if the stat is checked: before the back end is asked, and when it has done what it was
 * asked. */
static void expect(const osmem_stat *stat, fl_call call, const void *start, size_t bytes,
                   osmem_bytes expected) {
    if (stat->checked)
        fl_checker_expect(stat, call, start, bytes, expected);
}

static void note(const osmem_stat *stat, fl_call call, const void *start, size_t bytes, fl_state now) {
    if (stat->checked && bytes)
        fl_checker_note(stat, call, start, bytes, now);
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

/* None → Reserved or Prepared, as the request says. *start becomes where. */
static osmem_result reserve(const osmem_request *request, osmem_stat *stat, void **start) {
    osmem_reservation got = {NULL, 0};
    osmem_result result = stat->backend->reserve(stat->backend->context, request, &got);
    if (got.excess_bytes)
        fl_ledger_move(stat, FL_NONE, FL_RESERVED, got.excess_bytes);
    if (result != OSMEM_OK)
        return result;
    fl_state now = request->mapped ? FL_PREPARED : FL_RESERVED;
    note(stat, request->mapped ? FL_CALL_PREPARE : FL_CALL_RESERVE, got.start, request->bytes, now);
    if (request->mapped)
        show_name(stat, got.start, request->bytes);
    fl_ledger_move(stat, FL_NONE, now, request->bytes);
    *start = got.start;
    return OSMEM_OK;
}

void *osmem_reserve(void *hint, size_t bytes, size_t alignment, osmem_stat *stat) {
    size_t os_page_bytes = stat->traits.os_page_bytes;
    if (alignment && !fl_is_power_of_two(alignment))
        return NULL;
    if (alignment < os_page_bytes)
        alignment = os_page_bytes;
    if (!size_is_legal(stat, bytes) || bytes + alignment < bytes || ((uintptr_t)hint & (os_page_bytes - 1)))
        return NULL;
    osmem_request request = {.hint = hint, .bytes = bytes, .alignment = alignment};
    void *start = NULL;
    return reserve(&request, stat, &start) == OSMEM_OK ? start : NULL;
}

static osmem_result reserve_exactly(void *start, size_t bytes, bool mapped, osmem_stat *stat) {
    if (!range_is_legal(stat, start, bytes))
        return OSMEM_INVALID;
    osmem_request request = {.hint = start,
                             .bytes = bytes,
                             .alignment = stat->traits.os_page_bytes,
                             .exactly = true,
                             .mapped = mapped};
    return reserve(&request, stat, &start);
}

osmem_result osmem_reserve_at(void *start, size_t bytes, osmem_stat *stat) {
    return reserve_exactly(start, bytes, false, stat);
}

osmem_result osmem_prepare(void *start, size_t bytes, osmem_stat *stat) {
    return reserve_exactly(start, bytes, true, stat);
}

typedef osmem_result (*range_call)(void *context, void *start, size_t bytes);

/* One move of a range that never becomes None. */
static osmem_result move_range(fl_call call, range_call ask, void *start, size_t bytes, fl_state from,
                               fl_state to, osmem_stat *stat) {
    if (!range_is_legal(stat, start, bytes))
        return OSMEM_INVALID;
    expect(stat, call, start, bytes, fl_bytes_in(from, bytes));
    osmem_result result = ask(stat->backend->context, start, bytes);
    if (result == OSMEM_OK) {
        note(stat, call, start, bytes, to);
        fl_ledger_move(stat, from, to, bytes);
    }
    return result;
}

/* One move of a range, whose parts are `before`, that may become None, by intention or by loss. What is given
 * back may be another thread's before this one has recorded that, so the checker is kept locked from the one
 * to the other. */
static osmem_result move_or_lose(fl_call call, range_call ask, void *start, size_t bytes, osmem_bytes before,
                                 fl_state to, osmem_stat *stat) {
    if (!range_is_legal(stat, start, bytes))
        return OSMEM_INVALID;
    if (stat->checked)
        fl_checker_begin(stat, call, start, bytes, before);
    osmem_result result = ask(stat->backend->context, start, bytes);
    fl_state now = result == OSMEM_OK ? to : FL_NONE;
    bool moved = result == OSMEM_OK || result == OSMEM_LOST;
    if (stat->checked)
        fl_checker_end(stat, call, start, bytes, moved, now);
    if (moved)
        fl_ledger_change(stat, before, fl_bytes_in(now, bytes));
    return result;
}

osmem_result osmem_map(void *start, size_t bytes, osmem_stat *stat) {
    osmem_result result =
        move_range(FL_CALL_MAP, stat->backend->map, start, bytes, FL_RESERVED, FL_PREPARED, stat);
    if (result == OSMEM_OK)
        show_name(stat, start, bytes);
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
    if (done)
        *done = 0;
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
    return move_or_lose(FL_CALL_UNMAP, stat->backend->unmap, start, bytes, (osmem_bytes){.prepared = bytes},
                        FL_RESERVED, stat);
}

osmem_result osmem_fault(void *start, size_t bytes, osmem_stat *stat) {
    return move_range(FL_CALL_FAULT, stat->backend->fault, start, bytes, FL_READY, FL_RESERVED, stat);
}

osmem_result osmem_free(void *start, size_t bytes, osmem_bytes by_state, osmem_stat *stat) {
    if (!parts_are_legal(by_state, bytes))
        return OSMEM_INVALID;
    return move_or_lose(FL_CALL_FREE, stat->backend->free, start, bytes, by_state, FL_NONE, stat);
}

osmem_result osmem_move(void *from, void *to, size_t bytes, osmem_stat *stat) {
    uintptr_t first = (uintptr_t)from, second = (uintptr_t)to;
    if (!range_is_legal(stat, from, bytes) || !range_is_legal(stat, to, bytes) ||
        (first < second ? second - first : first - second) < bytes)
        return OSMEM_INVALID;
    expect(stat, FL_CALL_MOVE, from, bytes, fl_bytes_in(FL_READY, bytes));
    if (!stat->backend->move) {
        expect(stat, FL_CALL_MOVE, to, bytes, fl_bytes_in(FL_READY, bytes));
        return OSMEM_UNSUPPORTED;
    }
    if (stat->checked)
        fl_checker_begin(stat, FL_CALL_MOVE, to, bytes, fl_bytes_in(FL_READY, bytes));
    osmem_result result = stat->backend->move(stat->backend->context, from, to, bytes);
    if (stat->checked)
        fl_checker_end(stat, FL_CALL_MOVE, to, bytes, result == OSMEM_LOST, FL_NONE);
    if (result == OSMEM_LOST)
        fl_ledger_move(stat, FL_READY, FL_NONE, bytes);
    return result;
}

void osmem_transfer(void *start, size_t bytes, osmem_bytes by_state, osmem_stat *from, osmem_stat *to) {
    if (from->checked || to->checked)
        fl_checker_transfer(start, bytes, by_state, from, to);
    /* First into the new one: a common parent must not be seen too low in between. */
    fl_ledger_change(to, (osmem_bytes){0}, by_state);
    fl_ledger_change(from, by_state, (osmem_bytes){0});
}

static bool may_be_hinted(const void *start, size_t bytes, const osmem_stat *stat) {
    if (!range_is_legal(stat, start, bytes))
        return false;
    if (stat->checked)
        fl_checker_expect_ours(stat, start, bytes);
    return true;
}

/* Asks for the whole huge pages of the range. */
static osmem_result ask_for_huge_pages(range_call ask, void *start, size_t bytes, osmem_stat *stat) {
    size_t huge = stat->traits.huge_page_bytes;
    if (!may_be_hinted(start, bytes, stat))
        return OSMEM_INVALID;
    if (huge == 0)
        return OSMEM_UNSUPPORTED;
    uintptr_t first = ((uintptr_t)start + huge - 1) & ~(huge - 1);
    uintptr_t end = ((uintptr_t)start + bytes) & ~(huge - 1);
    return first < end ? ask(stat->backend->context, (void *)first, end - first) : OSMEM_OK;
}

osmem_result osmem_huge_page(void *start, size_t bytes, osmem_stat *stat) {
    return ask_for_huge_pages(stat->backend->huge_page, start, bytes, stat);
}

osmem_result osmem_collapse(void *start, size_t bytes, osmem_stat *stat) {
    return ask_for_huge_pages(stat->backend->collapse, start, bytes, stat);
}

osmem_result osmem_no_huge_page(void *start, size_t bytes, osmem_stat *stat) {
    return may_be_hinted(start, bytes, stat)
               ? stat->backend->no_huge_page(stat->backend->context, start, bytes)
               : OSMEM_INVALID;
}

osmem_result osmem_split(void *start, size_t bytes, osmem_stat *stat) {
    if (!may_be_hinted(start, bytes, stat))
        return OSMEM_INVALID;
    return fl_backend_can_split(stat->backend) ? stat->backend->split(stat->backend->context, start, bytes)
                                               : OSMEM_UNSUPPORTED;
}
