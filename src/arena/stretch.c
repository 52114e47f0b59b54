/* SPDX-License-Identifier: MIT */
#include "stretch.h"

#define HUGE_PERHAPS_BYTES ((size_t)1 << 20) /* a mapping that is smaller holds no huge page */

static osmem_result prepare(const fl_stretch *stretch, char *from, size_t bytes) {
    return stretch->reserved      ? osmem_map(from, bytes, stretch->stat)
           : stretch->ready_bytes ? osmem_extend(from, bytes, stretch->stat)
                                  : osmem_prepare(from, bytes, stretch->stat);
}

/* Bookkeeping is touched here and there; where huge pages come by themselves, it wants none. Said once: what is added
 * later is more of the same. */
static void advise(fl_stretch *stretch) {
    if (stretch->advised || stretch->ready_bytes < HUGE_PERHAPS_BYTES)
        return;
    osmem_result ignored = osmem_no_huge_page(stretch->start, stretch->ready_bytes, stretch->stat);
    (void)ignored;
    stretch->advised = true;
}

bool fl_stretch_grow(fl_stretch *stretch, size_t bytes) {
    if (bytes <= stretch->ready_bytes)
        return true;
    bytes = (bytes + stretch->step_bytes - 1) & ~(stretch->step_bytes - 1);
    if (bytes > stretch->bytes)
        return false;
    char *from = stretch->start + stretch->ready_bytes;
    size_t more = bytes - stretch->ready_bytes;
    if (prepare(stretch, from, more) != OSMEM_OK)
        return false;
    if (osmem_used(from, more, more, stretch->stat) != OSMEM_OK) {
        /* Refused on systems with a commit step. What is Prepared would be in the way of the next try. */
        osmem_bytes by_state = {.prepared = more};
        osmem_result ignored = stretch->reserved ? osmem_unmap(from, more, stretch->stat)
                                                 : osmem_free(from, more, by_state, stretch->stat);
        (void)ignored;
        return false;
    }
    stretch->ready_bytes = bytes;
    advise(stretch);
    return true;
}

void fl_stretch_release(fl_stretch *stretch) {
    if (stretch->reserved || stretch->ready_bytes == 0)
        return;
    osmem_bytes by_state = {.ready = stretch->ready_bytes};
    osmem_result ignored = osmem_free(stretch->start, stretch->ready_bytes, by_state, stretch->stat);
    (void)ignored;
    stretch->ready_bytes = 0;
}
