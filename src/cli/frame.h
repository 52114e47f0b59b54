/* SPDX-License-Identifier: MIT */
/*
 * frame.h: one picture of `fallow top`: lines of characters, each with a style; for a terminal, or printed as
 * text. What does not fit is cut off.
 */
#ifndef FL_FRAME_H
#define FL_FRAME_H

#include <stdio.h>

#include "map.h"

typedef enum fl_style {
    FL_STYLE_PLAIN = FL_SHARE_COUNT, /* smaller values: in the colour of a share, see FL_SHARES */
    FL_STYLE_STRONG,
    FL_STYLE_CHOSEN
} fl_style;

typedef struct fl_frame {
    unsigned lines, columns;
    char *text;            /* lines * columns of printable ASCII */
    unsigned char *styles; /* one for each */
} fl_frame;

/* Makes an empty picture. Returns false if out of memory. */
bool fl_frame_make(fl_frame *frame, unsigned lines, unsigned columns);
void fl_frame_free(fl_frame *frame);

/* Returns the column behind what it has written. */
unsigned fl_frame_put(fl_frame *frame, unsigned line, unsigned column, fl_style style, const char *format,
                      ...) __attribute__((format(printf, 5, 6)));
void fl_frame_fill(fl_frame *frame, unsigned line, unsigned column, unsigned count, fl_style style,
                   char mark);

void fl_frame_print(const fl_frame *frame, FILE *to);

#endif
