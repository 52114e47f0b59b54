/* SPDX-License-Identifier: MIT */
#include "stretch.h"

#define HUGE_PERHAPS_BYTES ((size_t)1 << 20) /* a mapping that is smaller holds no huge page */

osmem_result fl_reserve_exactly(char *start, size_t bytes, osmem_stat *stat) {
    char *got = osmem_reserve(start, bytes, 0, stat);
    if (got && got != start) {
        /* Elsewhere does not help. If it cannot be given back it stays counted, as address space only. */
        osmem_result ignored = osmem_free(got, bytes, (osmem_bytes){.reserved = bytes}, stat);
        (void)ignored;
    }
    return got == start ? OSMEM_OK : got ? OSMEM_UNSUPPORTED : OSMEM_NOMEM;
}

bool fl_stretch_grow(fl_stretch *stretch, size_t bytes, size_t step_bytes) {
    if (bytes <= stretch->ready_bytes)
        return true;
    bytes = (bytes + step_bytes - 1) & ~(step_bytes - 1);
    if (bytes > stretch->bytes)
        return false;
    size_t more_reserved = bytes > stretch->reserved_bytes ? bytes - stretch->reserved_bytes : 0;
    if (more_reserved) {
        if (fl_reserve_exactly(stretch->start + stretch->reserved_bytes, more_reserved, stretch->stat) !=
            OSMEM_OK)
            return false;
        stretch->reserved_bytes = bytes;
    }
    char *from = stretch->start + stretch->ready_bytes;
    size_t more = bytes - stretch->ready_bytes;
    if (osmem_map(from, more, stretch->stat) != OSMEM_OK)
        return false;
    if (osmem_used(from, more, more, stretch->stat) != OSMEM_OK)
        return false;
    stretch->ready_bytes = bytes;
    if (bytes >= HUGE_PERHAPS_BYTES) {
        /* Bookkeeping is touched here and there; where huge pages come by themselves, it wants none. */
        osmem_result ignored = osmem_no_huge_page(from, more, stretch->stat);
        (void)ignored;
    }
    return true;
}
