/* SPDX-License-Identifier: MIT */
/*
 * guard_words.h: the hardened build's line about an access to a guard page, behind a slab (../slab/units.h)
 * or beside a large block (sealed.h), or to a large block that waits in quarantine.
 *
 * Runs in a signal handler: takes no lock and no memory. What it reads may change meanwhile; then the line is
 * wrong or missing, and the fault is what it was.
 */
#ifndef FL_GUARD_WORDS_H
#define FL_GUARD_WORDS_H

#include "../system/fault.h"

/* Says what a fault was. Returns false, in silence, if it was in none of these. */
bool fl_guard_explain(const fl_fault *fault);

#endif
