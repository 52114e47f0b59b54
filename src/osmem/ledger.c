/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include "../system/fatal.h"
#include "../system/line.h"
#include "../system/lock.h"

/* In every build: what is taken from a stat that does not hold it was another's, or was never there. */
static _Noreturn void stop_at_underflow(const osmem_stat *stat, fl_state state, size_t bytes) {
    static const char *const names[] = {"None", "Reserved", "Prepared", "Ready"};
    fl_line line;
    fl_line_start(&line);
    fl_line_add_number(&line, bytes);
    fl_line_add(&line, " bytes taken out of ");
    fl_line_add(&line, names[state]);
    fl_line_add(&line, " in '");
    fl_line_add(&line, stat->name);
    fl_line_add(&line, "', which holds fewer (they count in another stat, or were given back before)");
    fl_line_add_part(&line, "", 1);
    fl_fatal("osmem: ledger", NULL, line.text);
}

static size_t less(const osmem_stat *stat, fl_state state, size_t count, size_t bytes) {
    if (count < bytes)
        stop_at_underflow(stat, state, bytes);
    return count - bytes;
}

static size_t more(size_t count, size_t bytes) {
    FL_ASSERT(count + bytes >= bytes);
    return count + bytes;
}

/* Changes one stat. Caller holds the lock. */
static inline void change(osmem_stat *stat, osmem_bytes out, osmem_bytes in) {
    osmem_bytes *its = &stat->bytes;
    its->reserved = more(less(stat, FL_RESERVED, its->reserved, out.reserved), in.reserved);
    its->prepared = more(less(stat, FL_PREPARED, its->prepared, out.prepared), in.prepared);
    its->ready = more(less(stat, FL_READY, its->ready, out.ready), in.ready);
    if (its->ready > stat->ready_peak_bytes)
        stat->ready_peak_bytes = its->ready;
}

void fl_ledger_change(osmem_stat *stat, osmem_bytes out, osmem_bytes in) {
    fl_lock_take(fl_lock_of(FL_LOCK_LEDGER));
    for (; stat; stat = stat->parent)
        change(stat, out, in);
    fl_lock_drop(fl_lock_of(FL_LOCK_LEDGER));
}

void osmem_stat_set_parent(osmem_stat *stat, osmem_stat *parent) {
    fl_lock_take(fl_lock_of(FL_LOCK_LEDGER));
    for (osmem_stat *it = stat->parent; it; it = it->parent)
        change(it, stat->bytes, (osmem_bytes){0});
    stat->parent = parent;
    for (osmem_stat *it = parent; it; it = it->parent)
        change(it, (osmem_bytes){0}, stat->bytes);
    fl_lock_drop(fl_lock_of(FL_LOCK_LEDGER));
}

osmem_bytes osmem_stat_read(const osmem_stat *stat, size_t *ready_peak_bytes) {
    fl_lock_take(fl_lock_of(FL_LOCK_LEDGER));
    osmem_bytes bytes = stat->bytes;
    if (ready_peak_bytes)
        *ready_peak_bytes = stat->ready_peak_bytes;
    fl_lock_drop(fl_lock_of(FL_LOCK_LEDGER));
    return bytes;
}
