/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include "../system/fatal.h"
#include "../system/lock.h"

#define ledger_lock (*fl_lock_of(FL_LOCK_LEDGER))

static size_t *counter(osmem_stat *stat, fl_state state) {
    switch (state) {
    case FL_RESERVED:
        return &stat->bytes.reserved;
    case FL_PREPARED:
        return &stat->bytes.prepared;
    case FL_READY:
        return &stat->bytes.ready;
    case FL_NONE:
        break;
    }
    return NULL;
}

static void take(osmem_stat *stat, fl_state state, size_t bytes) {
    size_t *count = counter(stat, state);
    if (!count)
        return;
    FL_ASSERT(*count >= bytes);
    *count -= bytes;
}

static void give(osmem_stat *stat, fl_state state, size_t bytes) {
    size_t *count = counter(stat, state);
    if (!count)
        return;
    FL_ASSERT(*count + bytes >= bytes);
    *count += bytes;
    if (state == FL_READY && *count > stat->ready_peak_bytes)
        stat->ready_peak_bytes = *count;
}

void fl_ledger_move(osmem_stat *stat, fl_state from, fl_state to, size_t bytes) {
    if (bytes == 0)
        return;
    fl_lock_take(&ledger_lock);
    for (; stat; stat = stat->parent) {
        take(stat, from, bytes);
        give(stat, to, bytes);
    }
    fl_lock_drop(&ledger_lock);
}

void fl_ledger_add(osmem_stat *stat, osmem_bytes by_state, int sign) {
    void (*change)(osmem_stat *, fl_state, size_t) = sign < 0 ? take : give;
    fl_lock_take(&ledger_lock);
    for (; stat; stat = stat->parent) {
        change(stat, FL_RESERVED, by_state.reserved);
        change(stat, FL_PREPARED, by_state.prepared);
        change(stat, FL_READY, by_state.ready);
    }
    fl_lock_drop(&ledger_lock);
}

osmem_bytes osmem_stat_read(const osmem_stat *stat, size_t *ready_peak_bytes) {
    fl_lock_take(&ledger_lock);
    osmem_bytes bytes = stat->bytes;
    if (ready_peak_bytes)
        *ready_peak_bytes = stat->ready_peak_bytes;
    fl_lock_drop(&ledger_lock);
    return bytes;
}
