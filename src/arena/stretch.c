/* SPDX-License-Identifier: MIT */
#include "stretch.h"

#define HUGE_PERHAPS_BYTES ((size_t)1 << 20) /* a mapping that is smaller holds no huge page */

/* Makes the first `bytes` Prepared at least. */
static bool prepare(fl_stretch *stretch, size_t bytes) {
    if (bytes <= stretch->prepared_bytes)
        return true;
    char *from = stretch->start + stretch->prepared_bytes;
    size_t more = bytes - stretch->prepared_bytes;
    osmem_result result =
        stretch->reserved ? osmem_map(from, more, stretch->stat) : osmem_prepare(from, more, stretch->stat);
    if (result != OSMEM_OK)
        return false;
    stretch->prepared_bytes = bytes;
    if (bytes >= HUGE_PERHAPS_BYTES) {
        /* Bookkeeping is touched here and there; where huge pages come by themselves, it wants none. */
        osmem_result ignored = osmem_no_huge_page(from, more, stretch->stat);
        (void)ignored;
    }
    return true;
}

bool fl_stretch_grow(fl_stretch *stretch, size_t bytes) {
    if (bytes <= stretch->ready_bytes)
        return true;
    bytes = (bytes + stretch->step_bytes - 1) & ~(stretch->step_bytes - 1);
    if (bytes > stretch->bytes || !prepare(stretch, bytes))
        return false;
    size_t more = bytes - stretch->ready_bytes;
    if (osmem_used(stretch->start + stretch->ready_bytes, more, more, stretch->stat) != OSMEM_OK)
        return false;
    stretch->ready_bytes = bytes;
    return true;
}

void fl_stretch_release(fl_stretch *stretch) {
    size_t bytes = stretch->prepared_bytes, ready = stretch->ready_bytes;
    if (stretch->reserved || bytes == 0)
        return;
    osmem_bytes by_state = {.prepared = bytes - ready, .ready = ready};
    osmem_result ignored = osmem_free(stretch->start, bytes, by_state, stretch->stat);
    (void)ignored;
    stretch->prepared_bytes = stretch->ready_bytes = 0;
}
