/* SPDX-License-Identifier: MIT */
/*
 * backend.h: the back ends by name, for this floor and for tests.
 */
#ifndef FL_BACKEND_H
#define FL_BACKEND_H

#include "fallow/osmem.h"

/* The system's own, whatever stands in for it. */
const osmem_backend *fl_backend_native(void);

/* From now on, osmem_backend_system and osmem_os_page_bytes mean this one: for running a whole program under the rules of
 * another system (osmem_sim.h). Before anything else of fallow is used. NULL: the system's own again. */
void fl_backend_stand_in(const osmem_backend *backend);

/* A reservation of got_bytes becomes an aligned one of `bytes` inside of it; what the system does not take back of the rest is
 * excess. */
static inline void fl_backend_trim(void *got, size_t got_bytes, size_t bytes, size_t alignment,
                                   osmem_result (*free)(void *context, void *start, size_t bytes),
                                   osmem_reservation *out) {
    uintptr_t first = (uintptr_t)got, start = (first + alignment - 1) & ~(alignment - 1);
    size_t before = start - first, behind = got_bytes - before - bytes;
    out->start = (void *)start;
    if (before && free(NULL, got, before) != OSMEM_OK)
        out->excess_bytes += before;
    if (behind && free(NULL, (void *)(start + bytes), behind) != OSMEM_OK)
        out->excess_bytes += behind;
}

#endif
