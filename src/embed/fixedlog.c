/* SPDX-License-Identifier: MIT */
/*
 * fixedlog.c: how a call on an allocator in given memory begins and ends: the lock, undoing what a killed
 * call had begun, and the error for memory that is damaged. It must never write by a log that it has not
 * looked at first.
 */
#include <errno.h>

#include "fixedlog.h"

bool fl_fixed_damaged(fallow_fixed *fixed, const char *found) {
    if (!fixed->is_shared)
        fl_fatal("use of the allocator in given memory at", fixed, found);
    fixed->damaged = 1;
    return false;
}

static bool can_be_undone(const fallow_fixed *fixed) {
    if (fixed->logged > LOG_WORDS)
        return false;
    for (size_t i = 0; i < fixed->logged; i++) {
        size_t place = fixed->log[i].place;
        if (place < offsetof(fallow_fixed, lost_from) || place > fixed->bytes - 8 || place % 8)
            return false;
    }
    return true;
}

bool fl_fixed_undo(fallow_fixed *fixed) {
    if (!can_be_undone(fixed))
        return false;
    for (size_t i = fixed->logged; i-- > 0;) /* puts a word's first value there last */
        *fixed_word(fixed, fixed->log[i].place) = fixed->log[i].was;
    fixed_done(fixed);
    return true;
}

bool fl_fixed_lock(fallow_fixed *fixed) {
    if (!fl_shared_lock_take(&fixed->lock, FL_LOCK_FIXED))
        return false;
    if (__builtin_expect(!fixed_knows_bytes(fixed) || (fixed->logged && !fl_fixed_undo(fixed)), 0))
        fixed->damaged = 1;
    return true;
}

void fl_fixed_unlock(fallow_fixed *fixed) {
    fl_shared_lock_drop(&fixed->lock, FL_LOCK_FIXED);
}

static bool not_recoverable(void) {
    errno = ENOTRECOVERABLE;
    return false;
}

bool fl_fixed_enter(fallow_fixed *fixed) {
    if (!fl_fixed_lock(fixed))
        return not_recoverable();
    if (!fixed->damaged)
        return true;
    fl_fixed_unlock(fixed);
    return not_recoverable();
}

bool fl_fixed_leave(fallow_fixed *fixed) {
    bool damaged = fixed->damaged;
    if (damaged)
        fl_fixed_undo(fixed);
    else
        fixed_done(fixed);
    fl_fixed_unlock(fixed);
    return damaged ? not_recoverable() : true;
}
