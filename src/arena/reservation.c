/* SPDX-License-Identifier: MIT */
#include "reservation.h"

#define HUGE_PERHAPS_BYTES ((size_t)1 << 20) /* a smaller mapping holds no huge page */

/* Makes at least the first `bytes` Prepared. */
static bool prepare(fl_reservation *reservation, size_t bytes) {
    if (bytes <= reservation->prepared_bytes)
        return true;
    char *from = reservation->start + reservation->prepared_bytes;
    size_t more = bytes - reservation->prepared_bytes;
    osmem_result result = reservation->reserved ? osmem_map(from, more, reservation->stat)
                                                : osmem_prepare(from, more, reservation->stat);
    if (result != OSMEM_OK)
        return false;
    reservation->prepared_bytes = bytes;
    if (bytes >= HUGE_PERHAPS_BYTES) {
        /* Bookkeeping is touched here and there; it wants no huge pages where they come by themselves. */
        osmem_result ignored = osmem_no_huge_page(from, more, reservation->stat);
        (void)ignored;
    }
    return true;
}

/* Makes the first `bytes` of what is Prepared Ready. */
static bool use(fl_reservation *reservation, size_t bytes) {
    if (bytes <= reservation->ready_bytes)
        return true;
    size_t more = bytes - reservation->ready_bytes;
    if (osmem_used(reservation->start + reservation->ready_bytes, more, more, reservation->stat) != OSMEM_OK)
        return false;
    reservation->ready_bytes = bytes;
    return true;
}

bool fl_reservation_grow(fl_reservation *reservation, size_t bytes) {
    if (bytes <= reservation->ready_bytes)
        return true;
    bytes = (bytes + reservation->step_bytes - 1) & ~(reservation->step_bytes - 1);
    if (bytes > reservation->bytes)
        return false;
    /* What an earlier call prepared and could not use comes first: not every system takes one call for what
     * two have mapped. */
    size_t before = bytes < reservation->prepared_bytes ? bytes : reservation->prepared_bytes;
    return use(reservation, before) && prepare(reservation, bytes) && use(reservation, bytes);
}

void fl_reservation_release(fl_reservation *reservation) {
    size_t bytes = reservation->prepared_bytes, ready = reservation->ready_bytes;
    if (reservation->reserved || bytes == 0)
        return;
    osmem_bytes by_state = {.prepared = bytes - ready, .ready = ready};
    osmem_result ignored = osmem_free(reservation->start, bytes, by_state, reservation->stat);
    (void)ignored;
    reservation->prepared_bytes = reservation->ready_bytes = 0;
}
