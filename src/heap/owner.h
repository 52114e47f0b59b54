/* SPDX-License-Identifier: MIT */
/*
 * owner.h: the ends of ownership: slabs that others notify their owner of, slabs that are let go. Unless said otherwise, the caller holds heap->lock.
 */
#ifndef FL_OWNER_H
#define FL_OWNER_H

#include "heap.h"

/* Takes the slabs that the heap is notified of: they have the reuse minimum free, and go to the front; what is drained is let go. */
void fl_owner_take_notified(fl_heap *heap);

/* The same in the owner's place: another thread does not know how far the owner has drained a slab. */
void fl_owner_take_notified_for(fl_heap *heap);

/* Claims a slab and gives it up, if it is (still) in that state. False: it is not, and nothing has changed;
 * a parked slab becomes NOTIFIED whenever another thread likes. For a CURRENT slab no lock is needed. */
bool fl_owner_let_go(fl_heap *heap, fl_slab *slab, fl_slab_state from);

/* The caller's push freed the reuse minimum of a parked slab. No heap's lock may be held. */
void fl_owner_notify(fl_slab *slab, uint32_t tag);

/* A claimed slab whose former owner can no longer touch it: publishes what is live, and settles it. No lock
 * need be held. */
void fl_owner_settle_claimed(fl_slab *slab);

/* A slab taken out of the stack of notified ones: PARKED again. Returns its word as it was when that happened. */
fl_word fl_slab_unnotify(fl_slab *slab);

#define FL_NOTIFIED_CLOSED ((fl_slab *)1)

#endif
