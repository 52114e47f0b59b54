/* SPDX-License-Identifier: MIT */
/*
 * pushes.h: blocks that others than the owner free: one atomic push each, onto the list in the slab's word, and what it brings about.
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

/* What a push has to do afterwards. */
typedef enum fl_push_duty {
    FL_PUSH_DONE,
    FL_PUSH_NOTE,
    FL_PUSH_TELL,
    FL_PUSH_SETTLE,
    FL_PUSH_UNLIST
} fl_push_duty;

/* What a push means to who is at a limit. */
typedef enum fl_push_news {
    FL_NEWS_NONE,
    FL_NEWS_IDLE, /* a unit of a slab of nobody's may have become idle */
    FL_NEWS_OWNED /* the same of one that is somebody's */
} fl_push_news;

/* Pushes a block that another thread than the owner frees. scarce: of its arena. *owner is set for FL_PUSH_TELL. */
fl_push_duty fl_slab_push(fl_slab *slab, void *block, bool scarce, uint32_t *owner, fl_push_news *news);

#endif
