/* SPDX-License-Identifier: MIT */
/*
 * sim_arena.h: arenas of pages on a simulated system, of any page size and with any budget. A sim has
 * addresses of its own; the back end made here shifts them to where fallow's window lies.
 */
#ifndef SIM_ARENA_H
#define SIM_ARENA_H

#include "../../src/arena/grant.h"
#include "../../src/arena/limits.h"
#include "../../src/osmem/osmem_sim.h"
#include "check.h"

typedef struct sim_system {
    osmem_sim *sim;
    const osmem_backend *inner;
    uintptr_t shift; /* window address + shift = sim address */
    osmem_backend backend;
} sim_system;

static void *sim_in(const sim_system *it, const void *start) {
    return (void *)((uintptr_t)start + it->shift);
}

static void sim_traits(void *context, osmem_traits *out) {
    const sim_system *it = context;
    it->inner->traits(it->inner->context, out);
}

static osmem_result sim_reserve(void *context, const osmem_request *request, osmem_reservation *out) {
    const sim_system *it = context;
    osmem_request shifted = *request;
    if (request->hint)
        shifted.hint = sim_in(it, request->hint);
    osmem_result result = it->inner->reserve(it->inner->context, &shifted, out);
    if (result == OSMEM_OK)
        out->start = (void *)((uintptr_t)out->start - it->shift);
    return result;
}

static osmem_result sim_unused(void *context, const osmem_range *ranges, size_t count, size_t *done) {
    const sim_system *it = context;
    osmem_range shifted[64];
    CHECK(count <= 64);
    for (size_t i = 0; i < count; i++)
        shifted[i] = (osmem_range){sim_in(it, ranges[i].start), ranges[i].bytes};
    return it->inner->unused(it->inner->context, shifted, count, done);
}

#define SIM_CALL(call)                                                         \
    static osmem_result sim_##call(void *context, void *start, size_t bytes) { \
        const sim_system *it = context;                                        \
        return it->inner->call(it->inner->context, sim_in(it, start), bytes);  \
    }
SIM_CALL(map)
SIM_CALL(used)
SIM_CALL(unmap)
SIM_CALL(fault)
SIM_CALL(free)
SIM_CALL(huge_page)
SIM_CALL(no_huge_page)
SIM_CALL(collapse)

/* Where the window had to be reserved as a whole (under ThreadSanitizer), its addresses are not the sim's to
 * give. */
static void sim_skip_unless_possible(void) {
    if (fl_window_pages_max() < ((size_t)1 << 43) >> FL_PAGE_SHIFT) {
        printf("skipped: the window is reserved whole\n");
        exit(77);
    }
}

/* The address that every sim's window begins at, for the sim's own. */
static void sim_start(sim_system *it, const osmem_sim_config *config) {
    it->sim = osmem_sim_create(config);
    CHECK(it->sim);
    it->inner = osmem_sim_backend(it->sim);
    size_t page = config->os_page_bytes ? config->os_page_bytes : 4096;
    it->shift = osmem_sim_base(it->sim) - fl_the_window.base;
    it->backend = (osmem_backend){.struct_bytes = sizeof(osmem_backend),
                                  .name = "shifted sim",
                                  .context = it,
                                  .traits = sim_traits,
                                  .reserve = sim_reserve,
                                  .map = sim_map,
                                  .used = sim_used,
                                  .unused = sim_unused,
                                  .unmap = sim_unmap,
                                  .fault = sim_fault,
                                  .free = sim_free,
                                  .huge_page = sim_huge_page,
                                  .no_huge_page = sim_no_huge_page,
                                  .collapse = sim_collapse};
    fl_the_window.os_page_bytes = page;
    fl_the_window.grain_pages = page > FL_PAGE_BYTES ? page >> FL_PAGE_SHIFT : 1;
}

/* Everything that was mapped must be gone. */
static void sim_end(sim_system *it) {
    osmem_sim_figures left = osmem_sim_read(it->sim);
    CHECK_EQUAL(left.accessible_bytes, 0);
    CHECK_EQUAL(left.inaccessible_bytes, 0);
    CHECK_EQUAL(left.broken, 0);
    osmem_sim_destroy(it->sim);
    fl_the_window.os_page_bytes = osmem_os_page_bytes();
    fl_the_window.grain_pages = 1;
}

/* What the program would do with its pages. */
static inline void sim_touch(sim_system *it, char *start, size_t pages) {
    CHECK_EQUAL(osmem_sim_touch(it->sim, sim_in(it, start), pages << FL_PAGE_SHIFT), OSMEM_SIM_FINE);
}

static inline size_t sim_resident_pages(sim_system *it, const char *start, size_t pages) {
    return osmem_sim_resident_bytes(it->sim, sim_in(it, start), pages << FL_PAGE_SHIFT) >> FL_PAGE_SHIFT;
}

#endif
