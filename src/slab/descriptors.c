/* SPDX-License-Identifier: MIT */
#include "descriptors.h"

#define BATCH (FL_DESCRIPTORS_KEPT / 2)

/* Both guarded by the lock of descriptors. */
static fl_slab *chains; /* their first ones, linked by notified_next; each chain by next */
/* Not from 0: the first slab's descriptor and its entry in the table would have the same place in their OS
 * pages, and processors that compare only the low bits of a load with stores before it made a pair of malloc
 * and free wait (8.0 instead of 5.5 ns). */
static size_t descriptors_count = 1;

static void put_in_front(fl_slab *slab, fl_slab *chain) {
    slab->next = chain;
    slab->chained = chain ? (uint8_t)(chain->chained + 1) : 1;
}

static void push_chain(fl_slab *chain) {
    chain->notified_next = chains;
    chains = chain;
}

static fl_slab *pop_chain(void) {
    fl_slab *chain = chains;
    if (chain)
        chains = chain->notified_next;
    return chain;
}

/* Makes a chain of the first ones of a list, at most a batch. Returns the rest. */
static fl_slab *push_batch(fl_slab *list) {
    fl_slab *chain = NULL;
    for (fl_slab *next; list && !(chain && chain->chained == BATCH); list = next) {
        next = list->next;
        put_in_front(list, chain);
        chain = list;
    }
    push_chain(chain);
    return list;
}

static fl_slab *take_shared(fl_kept *kept) {
    fl_lock_take(fl_lock_of(FL_LOCK_DESCRIPTORS));
    fl_slab *slab = pop_chain();
    if (!slab) {
        /* One that was never used costs memory when it is touched: take no more than are wanted. */
        if (fl_window_grow_descriptors(descriptors_count + 1, sizeof *slab))
            slab = (fl_slab *)fl_the_window.descriptors + descriptors_count++;
    } else if (kept)
        atomic_store_explicit(&kept->descriptors, slab->next, memory_order_relaxed);
    else if (slab->next)
        push_chain(slab->next);
    fl_lock_drop(fl_lock_of(FL_LOCK_DESCRIPTORS));
    return slab;
}

fl_slab *fl_descriptor_take(fl_kept *kept) {
    fl_slab *slab = kept ? atomic_load_explicit(&kept->descriptors, memory_order_relaxed) : NULL;
    if (!slab)
        return take_shared(kept);
    /* An exchange, so that what is written to the descriptor comes after it: for the child of a fork. */
    atomic_exchange_explicit(&kept->descriptors, slab->next, memory_order_acq_rel);
    return slab;
}

/* Into the first chain, while that is less than a batch. */
static void give_shared(fl_slab *slab) {
    fl_lock_take(fl_lock_of(FL_LOCK_DESCRIPTORS));
    put_in_front(slab, chains && chains->chained < BATCH ? pop_chain() : NULL);
    push_chain(slab);
    fl_lock_drop(fl_lock_of(FL_LOCK_DESCRIPTORS));
}

/* The lock is held until the rest stands where it belongs, for fork: a child finds none of them in two places
 * or in none. */
static void give_batch(fl_kept *kept, fl_slab *first) {
    fl_lock_take(fl_lock_of(FL_LOCK_DESCRIPTORS));
    atomic_store_explicit(&kept->descriptors, push_batch(first), memory_order_relaxed);
    fl_lock_drop(fl_lock_of(FL_LOCK_DESCRIPTORS));
}

void fl_descriptor_give(fl_kept *kept, fl_slab *slab) {
    if (!kept) {
        give_shared(slab);
        return;
    }
    fl_slab *first = atomic_load_explicit(&kept->descriptors, memory_order_relaxed);
    if (first && first->chained == FL_DESCRIPTORS_KEPT) {
        give_batch(kept, first);
        first = atomic_load_explicit(&kept->descriptors, memory_order_relaxed);
    }
    put_in_front(slab, first);
    /* Release: the link, for the child of a fork. */
    atomic_store_explicit(&kept->descriptors, slab, memory_order_release);
}

void fl_descriptors_give_list(fl_slab *list) {
    while (list) {
        fl_lock_take(fl_lock_of(FL_LOCK_DESCRIPTORS));
        list = push_batch(list);
        fl_lock_drop(fl_lock_of(FL_LOCK_DESCRIPTORS));
    }
}

void fl_descriptors_give_kept(fl_kept *kept) {
    fl_slab *first = atomic_load_explicit(&kept->descriptors, memory_order_relaxed);
    if (!first)
        return;
    fl_lock_take(fl_lock_of(FL_LOCK_DESCRIPTORS));
    push_chain(first);
    atomic_store_explicit(&kept->descriptors, NULL, memory_order_relaxed);
    fl_lock_drop(fl_lock_of(FL_LOCK_DESCRIPTORS));
}

#if FL_CHECKS >= 2
size_t fl_audit_descriptors_out(void) {
    size_t out = descriptors_count - 1;
    for (const fl_slab *chain = chains; chain; chain = chain->notified_next)
        for (const fl_slab *slab = chain; slab; slab = slab->next)
            out--;
    return out;
}
#endif
