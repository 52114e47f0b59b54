/* SPDX-License-Identifier: MIT */
/*
 * descriptors.h: keeps descriptors to be used again. The shared ones lie in chains, and a whole chain changes
 * hands in one step under their lock: a heap takes one when it has run out, and gives one when it has too
 * many.
 */
#ifndef FL_DESCRIPTORS_H
#define FL_DESCRIPTORS_H

#include "../arena/spans.h"
#include "slab.h"

/*
 * What a heap keeps for its next slabs and large blocks, so that most of them take no shared lock: spans, and
 * at most FL_DESCRIPTORS_KEPT descriptors, which only the heap's thread touches. Each step changes one word,
 * in an order in which the child of a fork finds a descriptor either kept or in use, so that the arena's end
 * gives it back there, too.
 */
typedef struct fl_kept {
    fl_spans spans;
    _Atomic(fl_slab *) descriptors; /* linked through next */
} fl_kept;

#define FL_DESCRIPTORS_KEPT 32

/* Take a descriptor, for a slab or a large block, from what the caller's heap keeps, and give one to it.
 * `kept` may be NULL: then from and to the shared ones. Returns NULL if out of memory. */
fl_slab *fl_descriptor_take(fl_kept *kept);
void fl_descriptor_give(fl_kept *kept, fl_slab *slab);

/* Gives a list of descriptors, linked through `next`, to the shared ones. */
void fl_descriptors_give_list(fl_slab *list);

/* Gives all that a heap keeps to the shared ones. Called by the heap's thread, or once nobody uses its arena
 * any more. */
void fl_descriptors_give_kept(fl_kept *kept);

#if FL_CHECKS >= 2
/* Returns how many are taken and not given back, to be compared before and after. */
size_t fl_audit_descriptors_out(void);
#endif

#endif
