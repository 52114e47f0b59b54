/* SPDX-License-Identifier: MIT */
/*
 * faults.c: a back end in front of the simulated system's: every call of it is a point, empties the caller's
 * store buffer (it would be a system call), and may be refused. Locks under which a call is forbidden are
 * looked at here.
 */
#include "faults.h"

#include <string.h>

#include "../../src/osmem/standin.h"
#include "memory.h"
#include "oracle.h"

#define CALLS (OSMEM_SIM_HINT + 2)
#define CALL_MOVE (OSMEM_SIM_HINT + 1)
#define ADDRESS_BYTES ((size_t)1 << 46)

static struct {
    osmem_sim *sim;
    const osmem_backend *inner;
    osmem_sim_config config;
    const char *rules;
    bool on;
    uint32_t chance[CALLS]; /* of 65536 */
    uint32_t fence_chance, thread_chance;
    uint64_t countdown; /* not 0: this one alone */
    osmem_result result;
    bool happened;
    bool is_short; /* no memory was granted lately: then the system takes what it is given */
} faults;

static const struct {
    const char *name;
    osmem_sim_config config;
} systems[] = {
    {"linux", {.os_page_bytes = 4096}},
    {"linux, pages of 16 KiB", {.os_page_bytes = 16384}},
    {"linux, strict",
     {.os_page_bytes = 4096, .overcommit = OSMEM_SIM_STRICT, .commit_limit_bytes = (size_t)96 << 20}},
    {"linux, few mappings", {.os_page_bytes = 4096, .mappings_max = 24}},
    {"windows",
     {.os_page_bytes = 4096, .reserve_bytes = 65536, .reservations_apart = true, .prepared_faults = true}},
    {"never frees", {.os_page_bytes = 4096, .never_frees = true}},
    {"linux, huge pages", {.os_page_bytes = 4096, .huge_page_bytes = 65536}},
    {"32 bits", {.os_page_bytes = 4096, .address_bytes = (size_t)3 << 30}},
};
#define SYSTEMS (sizeof systems / sizeof systems[0])

/* The simulated system itself: at one moment. */
#define INNER(call, ...)                                                                 \
    __extension__({                                                                      \
        sim.deaf++;                                                                      \
        __auto_type its_result = faults.inner->call(faults.inner->context, __VA_ARGS__); \
        sim.deaf--;                                                                      \
        its_result;                                                                      \
    })

static bool draw(osmem_sim_call call, osmem_result *result) {
    if (!faults.on)
        return false;
    if (faults.countdown) {
        if (--faults.countdown)
            return false;
        faults.on = false;
        faults.happened = true;
        *result = faults.result;
        return true;
    }
    return sim_chance(SIM_FAULTS, faults.chance[call]);
}

static void point(void) {
    if (!sim.self || sim.deaf)
        return;
    sim_memory_release(sim.self);
    sim_point(SIM_SYSTEM, NULL, __builtin_return_address(0));
}

static osmem_result one_of(osmem_result a, osmem_result b) {
    return sim_one_in(SIM_FAULTS, 2) ? a : b;
}

/* Of a call that may only run out of memory, or cannot be at all. */
static bool refused(osmem_sim_call call, osmem_result *result) {
    point();
    *result = OSMEM_NOMEM;
    return draw(call, result);
}

static void traits(void *context, osmem_traits *out) {
    (void)context;
    faults.inner->traits(faults.inner->context, out);
}

static void *alloc(void *context, size_t bytes) {
    osmem_result result;
    (void)context;
    return refused(OSMEM_SIM_ALLOC, &result) ? NULL : INNER(alloc, bytes);
}

static osmem_result reserve(void *context, const osmem_request *request, osmem_reservation *out) {
    osmem_result result;
    (void)context;
    if (refused(OSMEM_SIM_RESERVE, &result))
        return request->exactly && !faults.countdown ? one_of(result, OSMEM_TAKEN) : result;
    return INNER(reserve, request, out);
}

static osmem_result map(void *context, void *start, size_t bytes) {
    osmem_result result;
    (void)context;
    return refused(OSMEM_SIM_MAP, &result) ? result : INNER(map, start, bytes);
}

static osmem_result used(void *context, void *start, size_t bytes) {
    osmem_result result;
    (void)context;
    faults.is_short = refused(OSMEM_SIM_USED, &result);
    return faults.is_short ? result : INNER(used, start, bytes);
}

static osmem_result unused(void *context, const osmem_range *ranges, size_t count, size_t *done) {
    osmem_result result = OSMEM_NOMEM, each;
    (void)context;
    point();
    oracle_no_pages_lock("memory is given back");
    if (faults.is_short || !draw(OSMEM_SIM_UNUSED, &result))
        return INNER(unused, ranges, count, done);
    if (!faults.happened)
        result = one_of(OSMEM_KEPT, OSMEM_NOMEM);
    *done = 0;
    size_t part = sim_below(SIM_FAULTS, count);
    if (part == 0)
        return result;
    each = INNER(unused, ranges, part, done);
    return each == OSMEM_OK ? result : each;
}

/* Where it is lost, somebody else has come in between: the range is None. */
static osmem_result unmap(void *context, void *start, size_t bytes) {
    osmem_result result;
    bool can_be_lost = !faults.config.reservations_apart && !faults.config.never_frees;
    (void)context;
    if (refused(OSMEM_SIM_UNMAP, &result)) {
        if (!can_be_lost || sim_one_in(SIM_FAULTS, 2))
            return one_of(result, OSMEM_KEPT);
        sim.deaf++;
        osmem_sim_fail(faults.sim, OSMEM_SIM_UNMAP, 1, OSMEM_LOST, 0);
        sim.deaf--;
    }
    return INNER(unmap, start, bytes);
}

static osmem_result fault(void *context, void *start, size_t bytes) {
    osmem_result result;
    (void)context;
    return refused(OSMEM_SIM_UNMAP, &result) ? result : INNER(fault, start, bytes);
}

static osmem_result give(void *context, void *start, size_t bytes) {
    osmem_result result;
    (void)context;
    if (!refused(OSMEM_SIM_FREE, &result))
        return INNER(free, start, bytes);
    return one_of(result, OSMEM_KEPT);
}

static osmem_result hint(void *context, void *start, size_t bytes) {
    osmem_result result;
    (void)context, (void)start, (void)bytes;
    return refused(OSMEM_SIM_HINT, &result) ? OSMEM_UNSUPPORTED : OSMEM_OK;
}

/* What was moved from reads as anything. Where the move is lost, there is nothing at its end. */
static osmem_result move(void *context, void *from, void *to, size_t bytes) {
    osmem_result result;
    (void)context;
    if (refused((osmem_sim_call)CALL_MOVE, &result)) {
        if (faults.happened || sim_one_in(SIM_FAULTS, 2) || faults.config.reservations_apart ||
            faults.config.never_frees)
            return OSMEM_UNSUPPORTED;
        return INNER(free, to, bytes) == OSMEM_OK ? OSMEM_LOST : OSMEM_UNSUPPORTED;
    }
    sim.deaf++;
    memcpy(to, from, bytes);
    sim.deaf--;
    for (size_t at = 0; at < bytes; at += 4096)
        *(uint64_t *)((char *)from + at) = UINT64_C(0xdeadbeefdeadbeef);
    return OSMEM_OK;
}

static osmem_backend backend = {.struct_bytes = sizeof(osmem_backend),
                                .name = "simulated",
                                .traits = traits,
                                .alloc = alloc,
                                .reserve = reserve,
                                .map = map,
                                .used = used,
                                .unused = unused,
                                .unmap = unmap,
                                .fault = fault,
                                .free = give,
                                .huge_page = hint,
                                .no_huge_page = hint,
                                .collapse = hint,
                                .move = move};

void sim_system_begin(bool plain) {
    size_t which = plain || sim_one_in(SIM_FAULTS, 2) ? 0 : sim_below(SIM_FAULTS, SYSTEMS);
    faults.rules = systems[which].name;
    faults.config = systems[which].config;
    faults.config.real = true;
    if (!faults.config.address_bytes)
        faults.config.address_bytes = ADDRESS_BYTES;
    faults.sim = osmem_sim_create(&faults.config);
    if (!faults.sim)
        sim_fail("no simulated system");
    faults.inner = osmem_sim_backend(faults.sim);
    if (!sim_one_in(SIM_FAULTS, 3))
        backend.move = NULL;
    if (!plain && sim_one_in(SIM_FAULTS, 2)) {
        bool all = sim_one_in(SIM_FAULTS, 2);
        uint32_t chance = (uint32_t)sim_log_uniform(SIM_FAULTS, 7, 14);
        for (unsigned call = 0; call < CALLS; call++)
            faults.chance[call] = all || sim_one_in(SIM_FAULTS, 4) ? chance : 0;
    }
    if (!plain && sim_one_in(SIM_FAULTS, 8))
        faults.fence_chance = sim_one_in(SIM_FAULTS, 2) ? 65536 : 16384;
    if (!plain && sim_one_in(SIM_FAULTS, 4))
        faults.thread_chance = sim_one_in(SIM_FAULTS, 2) ? 65536 : 16384;
    fl_backend_stand_in(&backend);
}

void sim_faults_begin(void) {
    faults.on = true;
}

void sim_faults_end(void) {
    faults.on = false;
}

void sim_faults_at(uint64_t nth, osmem_result result) {
    faults.on = true;
    faults.countdown = nth;
    faults.result = result;
    faults.happened = false;
}

bool sim_faults_has_happened(void) {
    return faults.happened;
}

bool sim_faults_are_there(void) {
    if (faults.countdown || faults.happened || faults.config.overcommit == OSMEM_SIM_STRICT ||
        faults.config.mappings_max || faults.config.address_bytes < ADDRESS_BYTES)
        return true;
    for (unsigned call = 0; call < CALLS; call++)
        if (faults.chance[call])
            return true;
    return false;
}

bool sim_fences_fail(void) {
    return faults.fence_chance != 0;
}

bool sim_fault_of_fence(void) {
    return faults.on && faults.fence_chance && sim_chance(SIM_FAULTS, faults.fence_chance);
}

bool sim_fault_of_thread(void) {
    return faults.on && faults.thread_chance && sim_chance(SIM_FAULTS, faults.thread_chance);
}

osmem_sim *sim_system(void) {
    return faults.sim;
}

void sim_faults_describe(char *text, size_t bytes) {
    uint32_t most = 0;
    for (unsigned call = 0; call < CALLS; call++)
        most = faults.chance[call] > most ? faults.chance[call] : most;
    snprintf(text, bytes, "%s%s%s%s", faults.rules, most ? ", refuses" : "",
             faults.fence_chance ? ", no fence" : "", faults.thread_chance ? ", no thread" : "");
}
