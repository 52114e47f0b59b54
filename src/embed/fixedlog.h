/* SPDX-License-Identifier: MIT */
/*
 * fixedlog.h: the log of a fixed allocator's call that is under way, by which the next caller can undo it;
 * and how a call begins and ends. (The log itself: fixedbooks.h.)
 */
#ifndef FL_FIXEDLOG_H
#define FL_FIXEDLOG_H

#include "fixedbooks.h"

/* Records a word as it is, as the nth that the log has yet to count; fixed_noted makes that many count. Only
 * then may the words be written. */
static inline void fixed_note(fallow_fixed *fixed, size_t nth, const size_t *word) {
    fixed_undo *undo = &fixed->log[fixed->logged + nth];
    FL_ASSERT(fixed->logged + nth < LOG_WORDS);
    undo->place = (size_t)((const char *)word - (const char *)fixed);
    undo->was = *word;
}

static inline void fixed_noted(fallow_fixed *fixed, size_t words) {
    atomic_signal_fence(memory_order_seq_cst);
    fixed->logged += words;
    atomic_signal_fence(memory_order_seq_cst);
}

static inline void fixed_set(fallow_fixed *fixed, size_t *word, size_t value) {
    fixed_note(fixed, 0, word);
    fixed_noted(fixed, 1);
    *word = value;
}

/* Makes the changes final. */
static inline void fixed_done(fallow_fixed *fixed) {
    atomic_signal_fence(memory_order_seq_cst);
    fixed->logged = 0;
    atomic_signal_fence(memory_order_seq_cst);
}

/* Says that the memory contradicts itself: the call's changes will be undone, and every later call fails. If
 * one process owns the memory, it has written there itself, and is stopped. Returns false. */
bool fl_fixed_damaged(fallow_fixed *fixed, const char *found);

/* Takes the lock, and undoes what a killed caller had begun. Returns false, without the lock, if what lies
 * there is no lock. Memory of unknown length is `damaged`, as is a log that no call can have written. */
bool fl_fixed_lock(fallow_fixed *fixed);
void fl_fixed_unlock(fallow_fixed *fixed);

/* Returns false, and writes nothing, if no call can have logged that. */
bool fl_fixed_undo(fallow_fixed *fixed);

/* Bracket each call, which fails with ENOTRECOVERABLE in damaged memory. */
bool fl_fixed_enter(fallow_fixed *fixed);
bool fl_fixed_leave(fallow_fixed *fixed);

#endif
