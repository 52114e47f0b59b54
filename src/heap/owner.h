/* SPDX-License-Identifier: MIT */
/*
 * owner.h: where ownership is settled: slabs whose owner others notify, and slabs that are abandoned. Caller
 * holds heap->lock unless said otherwise.
 */
#ifndef FL_OWNER_H
#define FL_OWNER_H

#include "heap.h"

/* Takes the slabs that the heap is notified of. They have the reuse minimum free and go to the front; drained
 * ones are abandoned. */
void fl_owner_take_notified(fl_heap *heap);

/* The same on the owner's behalf: another thread does not know how far the owner has drained a slab. */
void fl_owner_take_notified_for(fl_heap *heap);

/* Claims a slab and abandons it if it is (still) in that state. Returns false, with nothing changed, if it is
 * not: another thread may make a parked slab NOTIFIED at any time. A NOTIFIED one that its pusher has needs
 * no lock. */
bool fl_owner_let_go(fl_heap *heap, fl_slab *slab, fl_slab_state from);

/* Called after a push that freed the reuse minimum of a parked slab. Caller holds no heap's lock. */
void fl_owner_notify(fl_slab *slab, uint32_t tag);

/* Publishes what is live in a claimed slab, whose former owner can no longer touch it, and settles it. Needs
 * no lock. */
void fl_owner_settle_claimed(fl_slab *slab);

/* Makes a slab taken out of the stack of notified ones PARKED again. Returns its previous word. */
fl_word fl_slab_unnotify(fl_slab *slab);

#define FL_NOTIFIED_CLOSED ((fl_slab *)1)

#endif
