/* SPDX-License-Identifier: MIT */
/*
 * backend_sim.c: the simulated system: a sorted array of mappings, a bit for each resident page, a few
 * budgets, and the rules of other systems. It must never look at the memory that it stands for: mostly there
 * is none. If a real system stands behind it, that is asked to do the same once the rules are kept.
 */
#include <stdatomic.h>
#include <string.h>

#include "osmem_sim.h"

#include "../system/fatal.h"
#include "../system/lock.h"
#include "../system/system.h"
#include "backend.h"
#include "checker.h"
#include "simspace.h"

/* Where sims lie: each behind the last, so that no two look alike. */
#define SIMS_BASE ((uintptr_t)1 << 47)
#define REAL_BASE ((uintptr_t)1 << 45)
#define SIMS_BYTES ((size_t)1 << 47)
#define SIM_ALIGNMENT ((size_t)1 << 32)
#define ADDRESS_BYTES_MAX ((size_t)1 << 46)
#define ADDRESS_BYTES_USUAL ((size_t)1 << 42)
#define MAPPINGS_USUAL 65530

struct osmem_sim {
    osmem_backend backend;
    osmem_sim_config config;
    uintptr_t base;
    fl_lock lock;
    fl_simspace space;
    uint64_t faults;
    uint64_t calls, broken;
    uint32_t last_reservation;
    _Atomic uint64_t now_ns;
    osmem_sim_call fail_call;
    uint64_t fail_countdown; /* 0: every one, if fail_result is an error */
    osmem_result fail_result;
    size_t fail_partial;
    _Atomic bool failed;
    size_t own_bytes;
};

static size_t round_up(size_t bytes) {
    size_t page = fl_system_page_bytes();
    return (bytes + page - 1) & ~(page - 1);
}

static size_t page_of(const osmem_sim *sim, const void *address) {
    return ((uintptr_t)address - sim->base) / sim->config.os_page_bytes;
}

static void *address_of(const osmem_sim *sim, size_t page) {
    return (void *)(sim->base + page * sim->config.os_page_bytes);
}

/* Returns whether so many pages more may be mapped read-write. */
static bool commit_allows(const osmem_sim *sim, size_t more_pages) {
    size_t page = sim->config.os_page_bytes;
    switch (sim->config.overcommit) {
    case OSMEM_SIM_HEURISTIC:
        return !sim->config.memory_bytes || more_pages <= sim->config.memory_bytes / page;
    case OSMEM_SIM_STRICT:
        return sim->space.pages_of[FL_ACCESSIBLE] + more_pages <= sim->config.commit_limit_bytes / page;
    case OSMEM_SIM_ALWAYS:
        break;
    }
    return true;
}

/* Takes the lock for a call. Returns an error if the call is to fail. */
static osmem_result enter(osmem_sim *sim, osmem_sim_call call) {
    fl_lock_take(&sim->lock);
    sim->calls++;
    if (sim->fail_result == OSMEM_OK || (sim->fail_call != OSMEM_SIM_ANY && sim->fail_call != call))
        return OSMEM_OK;
    if (sim->fail_countdown > 1) {
        sim->fail_countdown--;
        return OSMEM_OK;
    }
    osmem_result result = sim->fail_result;
    if (sim->fail_countdown == 1)
        sim->fail_result = OSMEM_OK;
    atomic_store_explicit(&sim->failed, true, memory_order_relaxed);
    return result;
}

static osmem_result leave(osmem_sim *sim, osmem_result result) {
    fl_lock_drop(&sim->lock);
    return result;
}

/* For a call that no system with these rules would make sense of. Caller holds the lock. */
static osmem_result broken(osmem_sim *sim) {
    sim->broken++;
    return OSMEM_INVALID;
}

static void sim_traits(void *context, osmem_traits *out) {
    osmem_sim *sim = context;
    *out = (osmem_traits){.os_page_bytes = sim->config.os_page_bytes,
                          .huge_page_bytes = sim->config.huge_page_bytes,
                          .reserve_bytes = sim->config.reserve_bytes,
                          .address_bytes = sim->config.address_bytes,
                          .zero_after_unused = !sim->config.dirty_after_unused,
                          .prepared_is_charged = sim->config.overcommit == OSMEM_SIM_STRICT,
                          .reservations_apart = sim->config.reservations_apart,
                          .never_frees = sim->config.never_frees};
}

static osmem_request real_request(void *start, const osmem_request *request, bool accessible) {
    osmem_request exactly = *request;
    exactly.hint = start;
    exactly.exactly = true;
    exactly.mapped = accessible;
    return exactly;
}

/* Has the real system, if there is one, do the same, at the same addresses. */
static osmem_result reserve_for_real(const osmem_sim *sim, void *start, const osmem_request *request,
                                     bool ready) {
    if (!sim->config.real)
        return OSMEM_OK;
    const osmem_backend *native = fl_backend_native();
    osmem_request exactly =
        real_request(start, request, request->mapped && (ready || !sim->config.prepared_faults));
    osmem_reservation out = {NULL, 0};
    return native->reserve(native->context, &exactly, &out);
}

/* Finds where a request may lie. Caller holds the lock. */
static osmem_result find_place(osmem_sim *sim, const osmem_request *request, size_t pages, size_t *first) {
    size_t granule = sim->config.reserve_bytes;
    size_t alignment = request->alignment > granule ? request->alignment : granule;
    uintptr_t hint = (uintptr_t)request->hint;
    if (hint >= sim->base && (hint & (alignment - 1)) == 0 &&
        fl_simspace_is_free(&sim->space, page_of(sim, request->hint), pages)) {
        *first = page_of(sim, request->hint);
        return OSMEM_OK;
    }
    if (request->exactly)
        return hint & (granule - 1) ? broken(sim) : OSMEM_TAKEN;
    if (alignment > SIM_ALIGNMENT) /* pages are counted from the base, which is aligned to that */
        return OSMEM_NOMEM;
    return fl_simspace_find_gap(&sim->space, pages, alignment / sim->config.os_page_bytes, first)
               ? OSMEM_OK
               : OSMEM_NOMEM;
}

/* Caller holds the lock. */
static osmem_result reserve_pages(osmem_sim *sim, const osmem_request *request, bool ready, void **start) {
    size_t pages = request->bytes / sim->config.os_page_bytes, first = 0;
    fl_kind kind = request->mapped ? FL_ACCESSIBLE : FL_INACCESSIBLE;
    if (kind == FL_ACCESSIBLE && !commit_allows(sim, pages))
        return OSMEM_NOMEM;
    osmem_result result = find_place(sim, request, pages, &first);
    uint32_t reservation = sim->config.reservations_apart ? ++sim->last_reservation : 0;
    if (result == OSMEM_OK)
        result = fl_simspace_set(&sim->space, first, first + pages, kind, reservation);
    if (result != OSMEM_OK)
        return result;
    *start = address_of(sim, first);
    result = reserve_for_real(sim, *start, request, ready);
    if (result != OSMEM_OK)
        (void)fl_simspace_set(&sim->space, first, first + pages, FL_NOTHING, 0);
    return result;
}

static void *sim_alloc(void *context, size_t bytes) {
    osmem_sim *sim = context;
    osmem_request request = {.bytes = bytes, .alignment = sim->config.os_page_bytes, .mapped = true};
    void *start = NULL;
    osmem_result result = enter(sim, OSMEM_SIM_ALLOC);
    if (result == OSMEM_OK)
        result = reserve_pages(sim, &request, true, &start);
    return leave(sim, result) == OSMEM_OK ? start : NULL;
}

static osmem_result sim_reserve(void *context, const osmem_request *request, osmem_reservation *out) {
    osmem_sim *sim = context;
    osmem_result result = enter(sim, OSMEM_SIM_RESERVE);
    if (result == OSMEM_OK)
        result = reserve_pages(sim, request, false, &out->start);
    return leave(sim, result);
}

typedef osmem_result (*native_call)(void *context, void *start, size_t bytes);

/* Makes pages of one kind into another; asks the real system by `ask`, unless that is NULL. */
static osmem_result change(osmem_sim *sim, osmem_sim_call call, void *start, size_t bytes, fl_kind from,
                           fl_kind to, native_call ask) {
    size_t first = page_of(sim, start), end = first + bytes / sim->config.os_page_bytes;
    uint32_t reservation;
    osmem_result result = enter(sim, call);
    bool lost = result == OSMEM_LOST;
    if (result == OSMEM_OK || lost) {
        if (!fl_simspace_is_all(&sim->space, first, end, from, &reservation))
            result = broken(sim);
        else if (to == FL_ACCESSIBLE && !commit_allows(sim, end - first))
            result = OSMEM_NOMEM;
        else if (fl_simspace_set(&sim->space, first, end, lost ? FL_NOTHING : to, lost ? 0 : reservation) !=
                 OSMEM_OK)
            result = OSMEM_NOMEM;
    }
    if ((result == OSMEM_OK || lost) && sim->config.real && (ask || lost)) {
        const osmem_backend *native = fl_backend_native();
        osmem_result really = (lost ? native->free : ask)(native->context, start, bytes);
        if (really != OSMEM_OK) {
            (void)fl_simspace_set(&sim->space, first, end, from, reservation);
            result = really;
        }
    }
    return leave(sim, result);
}

static osmem_result sim_map(void *context, void *start, size_t bytes) {
    const osmem_sim *sim = context;
    return change(context, OSMEM_SIM_MAP, start, bytes, FL_INACCESSIBLE, FL_ACCESSIBLE,
                  sim->config.prepared_faults ? NULL : fl_backend_native()->map);
}

static osmem_result sim_unmap(void *context, void *start, size_t bytes) {
    const osmem_sim *sim = context;
    return change(context, OSMEM_SIM_UNMAP, start, bytes, FL_ACCESSIBLE, FL_INACCESSIBLE,
                  sim->config.prepared_faults ? NULL : fl_backend_native()->unmap);
}

static osmem_result sim_fault(void *context, void *start, size_t bytes) {
    return change(context, OSMEM_SIM_UNMAP, start, bytes, FL_ACCESSIBLE, FL_INACCESSIBLE,
                  fl_backend_native()->fault);
}

static osmem_result sim_free(void *context, void *start, size_t bytes) {
    osmem_sim *sim = context;
    size_t first = page_of(sim, start), end = first + bytes / sim->config.os_page_bytes;
    osmem_result result = enter(sim, OSMEM_SIM_FREE);
    if (result == OSMEM_OK && sim->config.never_frees)
        result = OSMEM_KEPT;
    if (result == OSMEM_OK && sim->config.reservations_apart &&
        !fl_simspace_is_whole(&sim->space, first, end))
        result = broken(sim);
    if (result == OSMEM_OK)
        result = fl_simspace_set(&sim->space, first, end, FL_NOTHING, 0);
    if (result == OSMEM_OK && sim->config.real &&
        fl_backend_native()->free(fl_backend_native()->context, start, bytes) != OSMEM_OK)
        fl_fatal("sim: free of", start, "the real system refused what the simulated one has done");
    return leave(sim, result);
}

static osmem_result sim_used(void *context, void *start, size_t bytes) {
    osmem_sim *sim = context;
    uint32_t ignored;
    size_t first = page_of(sim, start);
    osmem_result result = enter(sim, OSMEM_SIM_USED);
    if (result == OSMEM_OK &&
        !fl_simspace_is_all(&sim->space, first, first + bytes / sim->config.os_page_bytes, FL_ACCESSIBLE,
                            &ignored))
        result = broken(sim);
    if (result == OSMEM_OK && sim->config.real && sim->config.prepared_faults)
        result = fl_backend_native()->map(fl_backend_native()->context, start, bytes);
    return leave(sim, result);
}

/* Forgets one range of several. Caller holds the lock. */
static osmem_result forget(osmem_sim *sim, const osmem_range *range) {
    const osmem_backend *native = fl_backend_native();
    size_t first = page_of(sim, range->start), end = first + range->bytes / sim->config.os_page_bytes, done;
    uint32_t ignored;
    if (!fl_simspace_is_all(&sim->space, first, end, FL_ACCESSIBLE, &ignored))
        return broken(sim);
    fl_simspace_forget(&sim->space, first, end);
    if (!sim->config.real || (sim->config.dirty_after_unused && !sim->config.prepared_faults))
        return OSMEM_OK;
    return sim->config.prepared_faults ? native->fault(native->context, range->start, range->bytes)
                                       : native->unused(native->context, range, 1, &done);
}

static osmem_result sim_unused(void *context, const osmem_range *ranges, size_t count, size_t *done) {
    osmem_sim *sim = context;
    osmem_result result = enter(sim, OSMEM_SIM_UNUSED), each = OSMEM_OK;
    size_t to_do = result == OSMEM_OK ? count : sim->fail_partial < count ? sim->fail_partial : count - 1;
    for (*done = 0; *done < to_do && (each = forget(sim, &ranges[*done])) == OSMEM_OK;)
        ++*done;
    return leave(sim, each == OSMEM_OK ? result : each);
}

/* Takes any range that is ours. */
static osmem_result sim_hint(void *context, void *start, size_t bytes) {
    osmem_sim *sim = context;
    uint32_t ignored;
    size_t first = page_of(sim, start);
    osmem_result result = enter(sim, OSMEM_SIM_HINT);
    if (result == OSMEM_OK && !sim->config.reservations_apart &&
        !fl_simspace_is_all(&sim->space, first, first + bytes / sim->config.os_page_bytes, FL_NOTHING,
                            &ignored))
        result = broken(sim);
    return leave(sim, result);
}

static uintptr_t next_base(size_t address_bytes) {
    static size_t used_bytes;
    size_t bytes = (address_bytes + SIM_ALIGNMENT - 1) & ~(SIM_ALIGNMENT - 1);
    fl_lock_take(fl_lock_of(FL_LOCK_SIMS));
    if (SIMS_BYTES - used_bytes < bytes)
        used_bytes = 0;
    uintptr_t base = SIMS_BASE + used_bytes;
    used_bytes += bytes;
    fl_lock_drop(fl_lock_of(FL_LOCK_SIMS));
    return base;
}

osmem_sim *osmem_sim_create(const osmem_sim_config *config) {
    osmem_sim_config its = *config;
    its.os_page_bytes = its.os_page_bytes ? its.os_page_bytes : 4096;
    its.address_bytes = its.address_bytes ? its.address_bytes : ADDRESS_BYTES_USUAL;
    its.mappings_max = its.mappings_max ? its.mappings_max : MAPPINGS_USUAL;
    its.reserve_bytes = its.reserve_bytes > its.os_page_bytes ? its.reserve_bytes : its.os_page_bytes;
    if (its.os_page_bytes < 4096 || (its.os_page_bytes & (its.os_page_bytes - 1)) ||
        (its.reserve_bytes & (its.reserve_bytes - 1)) || its.address_bytes > ADDRESS_BYTES_MAX ||
        (its.real && its.memory_bytes))
        return NULL;
    /* One piece: the sim, its mappings, its bits. Untouched parts of it cost nothing. */
    size_t head = round_up(sizeof(osmem_sim)), array = round_up((its.mappings_max + 5) * sizeof(fl_mapping));
    size_t bits = its.real ? 0 : round_up(its.address_bytes / its.os_page_bytes / 8 + 8);
    const osmem_backend *system = fl_backend_native();
    char *own = system->alloc(system->context, head + array + bits);
    if (!own)
        return NULL;
    osmem_sim *sim = (osmem_sim *)own;
    sim->config = its;
    sim->base = its.real ? REAL_BASE : next_base(its.address_bytes);
    sim->space = (fl_simspace){.pages = its.address_bytes / its.os_page_bytes,
                               .mappings = (fl_mapping *)(own + head),
                               .mappings_max = its.mappings_max,
                               .resident = its.real ? NULL : (uint64_t *)(own + head + array)};
    sim->own_bytes = head + array + bits;
    fl_lock_init(&sim->lock, FL_LOCK_SIM);
    sim->backend = (osmem_backend){.struct_bytes = sizeof(osmem_backend),
                                   .name = "sim",
                                   .context = sim,
                                   .traits = sim_traits,
                                   .alloc = sim_alloc,
                                   .reserve = sim_reserve,
                                   .map = sim_map,
                                   .used = sim_used,
                                   .unused = sim_unused,
                                   .unmap = sim_unmap,
                                   .fault = sim_fault,
                                   .free = sim_free,
                                   .huge_page = sim_hint,
                                   .no_huge_page = sim_hint,
                                   .collapse = sim_hint};
    return sim;
}

void osmem_sim_destroy(osmem_sim *sim) {
    const osmem_backend *system = fl_backend_native();
    if (sim) {
        fl_checker_forget(sim->base, sim->config.address_bytes);
        osmem_result ignored = system->free(system->context, sim, sim->own_bytes);
        (void)ignored;
    }
}

const osmem_backend *osmem_sim_backend(osmem_sim *sim) {
    return &sim->backend;
}

uintptr_t osmem_sim_base(const osmem_sim *sim) {
    return sim->base;
}

osmem_sim_access osmem_sim_touch(osmem_sim *sim, void *start, size_t bytes) {
    size_t first = page_of(sim, start), end = first + bytes / sim->config.os_page_bytes;
    osmem_sim_access access = OSMEM_SIM_FINE;
    fl_lock_take(&sim->lock);
    uint32_t ignored;
    for (size_t page = first; page < end && access == OSMEM_SIM_FINE; page++) {
        if (!fl_simspace_is_all(&sim->space, page, page + 1, FL_ACCESSIBLE, &ignored))
            access = OSMEM_SIM_FAULT;
        else if (sim->config.memory_bytes && !fl_simspace_resident(&sim->space, page, page + 1) &&
                 (sim->space.resident_pages + 1) * sim->config.os_page_bytes > sim->config.memory_bytes)
            access = OSMEM_SIM_NO_MEMORY;
        else
            sim->faults += fl_simspace_touch(&sim->space, page);
    }
    fl_lock_drop(&sim->lock);
    return access;
}

osmem_sim_figures osmem_sim_read(osmem_sim *sim) {
    size_t page = sim->config.os_page_bytes;
    fl_lock_take(&sim->lock);
    osmem_sim_figures figures = {.inaccessible_bytes = sim->space.pages_of[FL_INACCESSIBLE] * page,
                                 .accessible_bytes = sim->space.pages_of[FL_ACCESSIBLE] * page,
                                 .resident_bytes = sim->space.resident_pages * page,
                                 .mappings = sim->space.count_of_mappings,
                                 .faults = sim->faults,
                                 .calls = sim->calls,
                                 .broken = sim->broken};
    fl_lock_drop(&sim->lock);
    return figures;
}

size_t osmem_sim_resident_bytes(osmem_sim *sim, const void *start, size_t bytes) {
    uintptr_t first = (uintptr_t)start, end = first + bytes, sims_end = sim->base + sim->config.address_bytes;
    first = first > sim->base ? first : sim->base;
    end = end < sims_end ? end : sims_end;
    if (!sim->space.resident || first >= end)
        return 0;
    fl_lock_take(&sim->lock);
    size_t pages = fl_simspace_resident(&sim->space, page_of(sim, (void *)first), page_of(sim, (void *)end));
    fl_lock_drop(&sim->lock);
    return pages * sim->config.os_page_bytes;
}

void osmem_sim_fail(osmem_sim *sim, osmem_sim_call call, uint64_t nth, osmem_result result,
                    size_t partial_ranges) {
    fl_lock_take(&sim->lock);
    sim->fail_call = call;
    sim->fail_countdown = nth;
    sim->fail_result = result;
    sim->fail_partial = partial_ranges;
    atomic_store_explicit(&sim->failed, false, memory_order_relaxed);
    fl_lock_drop(&sim->lock);
}

bool osmem_sim_has_failed(const osmem_sim *sim) {
    return atomic_load_explicit(&sim->failed, memory_order_relaxed);
}

uint64_t osmem_sim_now_ns(const osmem_sim *sim) {
    return atomic_load_explicit(&sim->now_ns, memory_order_relaxed);
}

void osmem_sim_advance_ns(osmem_sim *sim, uint64_t duration_ns) {
    atomic_fetch_add_explicit(&sim->now_ns, duration_ns, memory_order_relaxed);
}
