/* SPDX-License-Identifier: MIT */
/* top_picture.h: what `fallow top` shows of a process: figures, rates, bars, rows, events, keys. */
#ifndef FL_TOP_PICTURE_H
#define FL_TOP_PICTURE_H

#include "frame.h"
#include "statistics.h"

typedef struct fl_top {
    fl_statistics now, before; /* rates are of the time between them */
    double seconds;            /* that time; 0: there is none */
    fl_group view;             /* arenas, classes or heaps */
    unsigned sort;             /* the column to sort by */
    bool paused;
} fl_top;

unsigned fl_top_columns(fl_group view);

void fl_top_draw(const fl_top *top, fl_frame *frame);

#endif
