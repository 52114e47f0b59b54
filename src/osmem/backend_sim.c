/* SPDX-License-Identifier: MIT */
/*
 * backend_sim.c: the simulated system: a sorted array of mappings, a bit for each resident page, a few
 * budgets. It must never look at the memory that it stands for: there is none.
 */
#include <stdatomic.h>
#include <string.h>

#include "fallow/osmem_sim.h"

#include "../system/lock.h"
#include "checker.h"

/* Where sims lie: each behind the one before, so that two of them do not look alike. */
#define SIMS_BASE ((uintptr_t)1 << 47)
#define SIMS_BYTES ((size_t)1 << 47)
#define SIM_ALIGNMENT ((size_t)1 << 32)
#define ADDRESS_BYTES_MAX ((size_t)1 << 46)
#define ADDRESS_BYTES_USUAL ((size_t)1 << 42)
#define MAPPINGS_USUAL 65530

typedef enum kind { NOTHING, INACCESSIBLE, ACCESSIBLE } kind;

/* Page numbers, from the sim's base. */
typedef struct mapping {
    size_t first, end;
    kind kind;
} mapping;

struct osmem_sim {
    osmem_backend backend;
    osmem_sim_config config;
    uintptr_t base;
    fl_lock lock;
    mapping *mappings; /* sorted, apart or of different kinds */
    size_t mapping_count;
    uint64_t *resident; /* a bit for each page */
    size_t pages_of[3]; /* by kind */
    size_t resident_pages;
    uint64_t faults;
    uint64_t calls;
    _Atomic uint64_t now_ns;
    osmem_sim_call fail_call;
    uint64_t fail_countdown; /* 0: every one, if fail_result is an error */
    osmem_result fail_result;
    size_t fail_partial;
    _Atomic bool failed;
    size_t own_bytes;
};

static size_t round_up(size_t bytes) {
    size_t page = osmem_os_page_bytes();
    return (bytes + page - 1) & ~(page - 1);
}

static size_t page_of(const osmem_sim *sim, const void *address) {
    return ((uintptr_t)address - sim->base) / sim->config.os_page_bytes;
}

static void *address_of(const osmem_sim *sim, size_t page) {
    return (void *)(sim->base + page * sim->config.os_page_bytes);
}

/* The first mapping that ends behind a page. */
static size_t find(const osmem_sim *sim, size_t page) {
    size_t low = 0, high = sim->mapping_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (sim->mappings[middle].end <= page)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Pages of one kind in [first, end). */
static size_t count_kind(const osmem_sim *sim, size_t first, size_t end, kind kind) {
    size_t pages = 0;
    for (size_t i = find(sim, first); i < sim->mapping_count && sim->mappings[i].first < end; i++) {
        const mapping *it = &sim->mappings[i];
        size_t from = it->first > first ? it->first : first, to = it->end < end ? it->end : end;
        pages += it->kind == kind ? to - from : 0;
    }
    return pages;
}

static size_t resident_in(const osmem_sim *sim, size_t first, size_t end) {
    size_t pages = 0;
    for (size_t page = first; page < end;) {
        if (page % 64 == 0 && end - page >= 64) {
            pages += (size_t)__builtin_popcountll(sim->resident[page / 64]);
            page += 64;
        } else {
            pages += sim->resident[page / 64] >> (page % 64) & 1;
            page++;
        }
    }
    return pages;
}

static void drop_resident(osmem_sim *sim, size_t first, size_t end) {
    sim->resident_pages -= resident_in(sim, first, end);
    for (size_t page = first; page < end;) {
        if (page % 64 == 0 && end - page >= 64) {
            if (sim->resident[page / 64]) /* untouched parts of the bitmap stay so */
                sim->resident[page / 64] = 0;
            page += 64;
        } else {
            sim->resident[page / 64] &= ~(UINT64_C(1) << page % 64);
            page++;
        }
    }
}

/* What stays of the mappings i to j - 1 outside [first, end), and what is new, in order; at most three. */
static size_t pieces_for(const osmem_sim *sim, size_t i, size_t j, mapping new, mapping pieces[3]) {
    size_t count = 0;
    if (i < j && sim->mappings[i].first < new.first)
        pieces[count++] = (mapping){sim->mappings[i].first, new.first, sim->mappings[i].kind};
    if (new.kind != NOTHING)
        pieces[count++] = new;
    if (i < j && sim->mappings[j - 1].end > new.end)
        pieces[count++] = (mapping){new.end, sim->mappings[j - 1].end, sim->mappings[j - 1].kind};
    return count;
}

/* Neighbours of one kind become one. */
static size_t merged(mapping *pieces, size_t count) {
    size_t kept = 0;
    for (size_t k = 0; k < count; k++) {
        mapping *last = kept ? &pieces[kept - 1] : NULL;
        if (last && last->end == pieces[k].first && last->kind == pieces[k].kind)
            last->end = pieces[k].end;
        else
            pieces[kept++] = pieces[k];
    }
    return kept;
}

/* Makes a range of one kind, whatever it was. Refused where that would take too many mappings. */
static osmem_result set_kind(osmem_sim *sim, size_t first, size_t end, kind kind) {
    size_t i = find(sim, first), j = i;
    while (j < sim->mapping_count && sim->mappings[j].first < end)
        j++;
    mapping pieces[5];
    size_t count = 0;
    /* The neighbours too: they may be of the same kind. */
    size_t from = i > 0 ? i - 1 : i, to = j < sim->mapping_count ? j + 1 : j;
    if (from < i)
        pieces[count++] = sim->mappings[from];
    count += pieces_for(sim, i, j, (mapping){first, end, kind}, pieces + count);
    if (to > j)
        pieces[count++] = sim->mappings[j];
    count = merged(pieces, count);
    if (sim->mapping_count - (to - from) + count > sim->config.mappings_max)
        return OSMEM_NOMEM;
    for (int k = INACCESSIBLE; k <= ACCESSIBLE; k++)
        sim->pages_of[k] -= count_kind(sim, first, end, (enum kind)k);
    sim->pages_of[kind] += kind != NOTHING ? end - first : 0;
    drop_resident(sim, first, end);
    memmove(&sim->mappings[from + count], &sim->mappings[to], (sim->mapping_count - to) * sizeof(mapping));
    memcpy(&sim->mappings[from], pieces, count * sizeof(mapping));
    sim->mapping_count = sim->mapping_count - (to - from) + count;
    return OSMEM_OK;
}

/* May so many pages more be mapped read-write? */
static bool commit_allows(const osmem_sim *sim, size_t more_pages) {
    size_t page = sim->config.os_page_bytes;
    switch (sim->config.overcommit) {
    case OSMEM_SIM_HEURISTIC:
        return !sim->config.memory_bytes || more_pages <= sim->config.memory_bytes / page;
    case OSMEM_SIM_STRICT:
        return sim->pages_of[ACCESSIBLE] + more_pages <= sim->config.commit_limit_bytes / page;
    case OSMEM_SIM_ALWAYS:
        break;
    }
    return true;
}

/* Takes the lock for a call; an error: it is to fail. */
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

static void sim_traits(void *context, osmem_traits *out) {
    osmem_sim *sim = context;
    *out = (osmem_traits){.os_page_bytes = sim->config.os_page_bytes,
                          .huge_page_bytes = sim->config.huge_page_bytes,
                          .zero_after_unused = !sim->config.dirty_after_unused,
                          .prepared_is_charged = sim->config.overcommit == OSMEM_SIM_STRICT};
}

/* The lowest free run; or the hint's, if that is free. */
static bool find_gap(const osmem_sim *sim, const void *hint, size_t pages, size_t *first) {
    size_t all = sim->config.address_bytes / sim->config.os_page_bytes;
    if (pages > all)
        return false;
    if ((uintptr_t)hint >= sim->base) {
        size_t wanted = page_of(sim, hint), i = find(sim, wanted);
        if (wanted <= all - pages && (i == sim->mapping_count || sim->mappings[i].first >= wanted + pages)) {
            *first = wanted;
            return true;
        }
    }
    *first = 0;
    for (size_t i = 0; i < sim->mapping_count && sim->mappings[i].first - *first < pages; i++)
        *first = sim->mappings[i].end;
    return *first <= all - pages;
}

static void *take_gap(osmem_sim *sim, osmem_sim_call call, const void *hint, size_t bytes, kind kind) {
    size_t pages = bytes / sim->config.os_page_bytes, first;
    bool done = enter(sim, call) == OSMEM_OK && (kind != ACCESSIBLE || commit_allows(sim, pages)) &&
                find_gap(sim, hint, pages, &first) && set_kind(sim, first, first + pages, kind) == OSMEM_OK;
    leave(sim, OSMEM_OK);
    return done ? address_of(sim, first) : NULL;
}

static void *sim_alloc(void *context, size_t bytes) {
    return take_gap(context, OSMEM_SIM_ALLOC, NULL, bytes, ACCESSIBLE);
}

static void *sim_reserve(void *context, void *hint, size_t bytes) {
    return take_gap(context, OSMEM_SIM_RESERVE, hint, bytes, INACCESSIBLE);
}

static osmem_result change(osmem_sim *sim, osmem_sim_call call, void *start, size_t bytes, kind kind) {
    size_t first = page_of(sim, start), end = first + bytes / sim->config.os_page_bytes;
    osmem_result result = enter(sim, call);
    if (result == OSMEM_OK && kind == ACCESSIBLE &&
        !commit_allows(sim, end - first - count_kind(sim, first, end, ACCESSIBLE)))
        result = OSMEM_NOMEM;
    if (result == OSMEM_OK)
        result = set_kind(sim, first, end, kind);
    return leave(sim, result);
}

static osmem_result sim_map(void *context, void *start, size_t bytes) {
    return change(context, OSMEM_SIM_MAP, start, bytes, ACCESSIBLE);
}

static osmem_result sim_reserve_again(void *context, void *start, size_t bytes) {
    return change(context, OSMEM_SIM_UNMAP, start, bytes, INACCESSIBLE);
}

static osmem_result sim_free(void *context, void *start, size_t bytes) {
    return change(context, OSMEM_SIM_FREE, start, bytes, NOTHING);
}

static osmem_result sim_used(void *context, void *start, size_t bytes) {
    (void)start, (void)bytes;
    return leave(context, enter(context, OSMEM_SIM_USED));
}

static osmem_result sim_unused(void *context, const osmem_range *ranges, size_t count, size_t *done) {
    osmem_sim *sim = context;
    osmem_result result = enter(sim, OSMEM_SIM_UNUSED);
    size_t to_do = result == OSMEM_OK ? count : sim->fail_partial < count ? sim->fail_partial : count - 1;
    for (*done = 0; *done < to_do; ++*done) {
        size_t first = page_of(sim, ranges[*done].start);
        drop_resident(sim, first, first + ranges[*done].bytes / sim->config.os_page_bytes);
    }
    return leave(sim, result);
}

static osmem_result sim_hint(void *context, void *start, size_t bytes) {
    (void)start, (void)bytes;
    return leave(context, enter(context, OSMEM_SIM_HINT));
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
    if (its.os_page_bytes < 4096 || (its.os_page_bytes & (its.os_page_bytes - 1)) ||
        its.address_bytes > ADDRESS_BYTES_MAX)
        return NULL;
    /* One piece: the sim, its mappings, its bits. Untouched parts of it cost nothing. */
    size_t head = round_up(sizeof(osmem_sim)), array = round_up((its.mappings_max + 5) * sizeof(mapping));
    size_t bits = round_up(its.address_bytes / its.os_page_bytes / 8 + 8);
    const osmem_backend *system = osmem_backend_system();
    char *own = system->alloc(system->context, head + array + bits);
    if (!own)
        return NULL;
    osmem_sim *sim = (osmem_sim *)own;
    sim->config = its;
    sim->base = next_base(its.address_bytes);
    sim->mappings = (mapping *)(own + head);
    sim->resident = (uint64_t *)(own + head + array);
    sim->own_bytes = head + array + bits;
    fl_lock_init(&sim->lock, FL_LOCK_SIM);
    sim->backend = (osmem_backend){.name = "sim",
                                   .context = sim,
                                   .traits = sim_traits,
                                   .alloc = sim_alloc,
                                   .reserve = sim_reserve,
                                   .map = sim_map,
                                   .used = sim_used,
                                   .unused = sim_unused,
                                   .unmap = sim_reserve_again,
                                   .fault = sim_reserve_again,
                                   .free = sim_free,
                                   .huge_page = sim_hint,
                                   .no_huge_page = sim_hint,
                                   .collapse = sim_hint};
    return sim;
}

void osmem_sim_destroy(osmem_sim *sim) {
    const osmem_backend *system = osmem_backend_system();
    if (sim) {
        fl_checker_forget(sim->base, sim->config.address_bytes);
        osmem_result ignored = system->free(system->context, sim, sim->own_bytes);
        (void)ignored;
    }
}

const osmem_backend *osmem_sim_backend(osmem_sim *sim) {
    return &sim->backend;
}

osmem_sim_access osmem_sim_touch(osmem_sim *sim, void *start, size_t bytes) {
    size_t first = page_of(sim, start), end = first + bytes / sim->config.os_page_bytes;
    osmem_sim_access access = OSMEM_SIM_FINE;
    fl_lock_take(&sim->lock);
    for (size_t page = first; page < end && access == OSMEM_SIM_FINE; page++) {
        size_t i = find(sim, page);
        if (i == sim->mapping_count || sim->mappings[i].first > page || sim->mappings[i].kind != ACCESSIBLE)
            access = OSMEM_SIM_FAULT;
        else if (!(sim->resident[page / 64] >> page % 64 & 1)) {
            if (sim->config.memory_bytes &&
                (sim->resident_pages + 1) * sim->config.os_page_bytes > sim->config.memory_bytes)
                access = OSMEM_SIM_NO_MEMORY;
            else {
                sim->resident[page / 64] |= UINT64_C(1) << page % 64;
                sim->resident_pages++;
                sim->faults++;
            }
        }
    }
    fl_lock_drop(&sim->lock);
    return access;
}

osmem_sim_figures osmem_sim_read(osmem_sim *sim) {
    size_t page = sim->config.os_page_bytes;
    fl_lock_take(&sim->lock);
    osmem_sim_figures figures = {.inaccessible_bytes = sim->pages_of[INACCESSIBLE] * page,
                                 .accessible_bytes = sim->pages_of[ACCESSIBLE] * page,
                                 .resident_bytes = sim->resident_pages * page,
                                 .mappings = sim->mapping_count,
                                 .faults = sim->faults,
                                 .calls = sim->calls};
    fl_lock_drop(&sim->lock);
    return figures;
}

size_t osmem_sim_resident_bytes(osmem_sim *sim, const void *start, size_t bytes) {
    size_t first = page_of(sim, start);
    fl_lock_take(&sim->lock);
    size_t pages = resident_in(sim, first, first + bytes / sim->config.os_page_bytes);
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
