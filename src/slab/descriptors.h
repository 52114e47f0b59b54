/* SPDX-License-Identifier: MIT */
/*
 * descriptors.h: descriptors that wait to be used again. Those that all share lie in chains, so that a whole chain changes hands
 * in one step under their lock: a heap that has none left takes one, and gives one where it has too many.
 */
#ifndef FL_DESCRIPTORS_H
#define FL_DESCRIPTORS_H

#include "../arena/spans.h"
#include "slab.h"

/*
 * What a heap keeps for its next slabs and large blocks, so that most of these take no lock that others take: spans, and
 * descriptors, at most FL_DESCRIPTORS_KEPT of them. Descriptors are the heap's own thread's. Each step changes one word, in an
 * order in which the child of a fork finds a descriptor either kept or in use: the end of the arena gives it back there too.
 */
typedef struct fl_kept {
    fl_spans spans;
    _Atomic(fl_slab *) descriptors; /* linked through next */
} fl_kept;

#define FL_DESCRIPTORS_KEPT 32

/* Descriptors, for slabs and large blocks alike, taken from what the caller's heap keeps and given to it; NULL: to and from
 * those that all share. Returns NULL: out of memory. */
fl_slab *fl_descriptor_take(fl_kept *kept);
void fl_descriptor_give(fl_kept *kept, fl_slab *slab);

/* A list of them, linked through next, to those that all share. */
void fl_descriptors_give_list(fl_slab *list);

/* All that a heap keeps, likewise: by its own thread, or when nobody uses its arena any more. */
void fl_descriptors_give_kept(fl_kept *kept);

#if FL_CHECKS >= 2
/* Taken and not given back. For comparing before and after. */
size_t fl_audit_descriptors_out(void);
#endif

#endif
