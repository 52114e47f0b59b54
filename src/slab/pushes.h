/* SPDX-License-Identifier: MIT */
/*
 * pushes.h: frees by threads other than the owner: an atomic push of one or more blocks onto the list in the
 * slab's word, and what follows from it.
 */
#ifndef FL_PUSHES_H
#define FL_PUSHES_H

#include "slab.h"

/* Moves all that others freed to the free list; the state stays. Caller is the owner. Returns false if there
 * was nothing. */
bool fl_slab_collect(fl_slab *slab);

/* Takes the list of what others freed out of a claimed slab's word. Returns the previous word. */
fl_word fl_slab_take_pushed(fl_slab *slab);

/* Puts the list behind a head taken out of the word in front of the slab's free list. */
void fl_slab_splice(fl_slab *slab, uint32_t head);

/* The slab's word before a push and after it. (Two words are returned in registers.) */
typedef struct fl_pushed {
    fl_word before;
    fl_word after;
} fl_pushed;

/* Pushes `count` blocks that a thread other than the owner frees, linked from the newest, `first`, to
 * `last`. */
fl_pushed fl_slab_push(fl_slab *slab, void *first, void *last, uint32_t count);

/* What the pushing thread must do next. */
typedef enum fl_push_duty {
    FL_PUSH_DONE,   /* nothing */
    FL_PUSH_NOTE,   /* half of what lived in the slab has gone: the scavenger may want to know */
    FL_PUSH_NOTIFY, /* the owner that `before` names */
    FL_PUSH_SETTLE, /* the slab, which was FLOATING and is the thread's now */
    FL_PUSH_UNLIST  /* the slab, which was LISTED and is the thread's now */
} fl_push_duty;

fl_push_duty fl_push_duty_of(fl_pushed pushed);

/* Most pushes have no duty. */
static inline bool fl_push_has_no_duty(fl_pushed pushed) {
    return fl_word_state(pushed.before) == fl_word_state(pushed.after) &&
           fl_word_state(pushed.after) != FL_LISTED;
}

/* What a push means to an arena at a limit. */
typedef enum fl_push_news {
    FL_NEWS_NONE,
    FL_NEWS_IDLE, /* a unit of an abandoned slab may have become idle */
    FL_NEWS_OWNED /* likewise, of an owned slab */
} fl_push_news;

/* The slab may be gone by now. A thread at a limit that looked at it after this push has seen the push,
 * whatever the descriptor is now; one that looked before has left idle_below for us. */
static inline fl_push_news fl_push_news_of(const fl_slab *slab, fl_pushed pushed) {
    if (fl_word_owner(pushed.after))
        return FL_NEWS_OWNED;
    uint32_t idle_below = atomic_load_explicit(&slab->idle_below, memory_order_relaxed);
    return fl_word_live(pushed.after) <= idle_below ? FL_NEWS_IDLE : FL_NEWS_NONE;
}

#endif
