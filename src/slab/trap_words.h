/* SPDX-License-Identifier: MIT */
/*
 * trap_words.h: says what a trap has caught: what kind of access or free it was, how far from which block and
 * by which thread, and where that block was allocated and freed.
 *
 * May run in a signal handler: takes no lock and no memory. One thread at a time speaks (report.h).
 */
#ifndef FL_TRAP_WORDS_H
#define FL_TRAP_WORDS_H

#include "../system/fault.h"
#include "trap.h"

/* Says what a fault was. Returns false, in silence, if it was not in a trap. */
bool fl_trap_explain(const fl_fault *fault);

/* Stops the process, like fl_misuse. `frame` is where the calls that led here begin. */
_Noreturn void fl_misuse_of_trap(const fl_trap *trap, const char *doing, const void *block, const char *found,
                                 const void *frame);

#endif
