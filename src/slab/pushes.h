/* SPDX-License-Identifier: MIT */
/*
 * pushes.h: blocks that others than the owner free: an atomic push, of one or of several, onto the list in the slab's word, and what
 * it brings about.
 */
#ifndef FL_PUSHES_H
#define FL_PUSHES_H

#include "slab.h"

/* Takes all that others freed into the free list, keeping the state; for the owner. False: nothing there. */
bool fl_slab_collect(fl_slab *slab);

/* Takes the list of what others freed out of the word of a claimed slab. Returns the word as it was. */
fl_word fl_slab_take_pushed(fl_slab *slab);

/* The list behind a head that was taken out of the word, put in front of the slab's free list. */
void fl_slab_splice(fl_slab *slab, uint32_t head);

/* How a push ended: the slab's word before it and after. (Two words are returned in registers.) */
typedef struct fl_pushed {
    fl_word before;
    fl_word after;
} fl_pushed;

/* Pushes blocks that another thread than the owner frees: `count` of them, linked from the newest, `first`, to `last`. */
fl_pushed fl_slab_push(fl_slab *slab, void *first, void *last, uint32_t count);

/* What a push has to do afterwards. */
typedef enum fl_push_duty {
    FL_PUSH_DONE,
    FL_PUSH_NOTE,
    FL_PUSH_NOTIFY, /* the owner that `before` names */
    FL_PUSH_SETTLE,
    FL_PUSH_UNLIST
} fl_push_duty;

fl_push_duty fl_push_duty_of(fl_pushed pushed);

/* Most have none. */
static inline bool fl_push_has_no_duty(fl_pushed pushed) {
    return fl_word_state(pushed.before) == fl_word_state(pushed.after) &&
           fl_word_state(pushed.after) != FL_LISTED;
}

/* What a push means to who is at a limit. */
typedef enum fl_push_news {
    FL_NEWS_NONE,
    FL_NEWS_IDLE, /* a unit of an abandoned slab may have become idle */
    FL_NEWS_OWNED /* the same of one that is somebody's */
} fl_push_news;

/* Of a slab that may be gone by now: who looked at it after this push has seen it, whatever the descriptor is by now; who did so
 * before it has left its word for us. */
static inline fl_push_news fl_push_news_of(const fl_slab *slab, fl_pushed pushed) {
    if (fl_word_owner(pushed.after))
        return FL_NEWS_OWNED;
    uint32_t idle_below = atomic_load_explicit(&slab->idle_below, memory_order_relaxed);
    return fl_word_live(pushed.after) <= idle_below ? FL_NEWS_IDLE : FL_NEWS_NONE;
}

#endif
