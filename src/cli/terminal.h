/* SPDX-License-Identifier: MIT */
/*
 * terminal.h: what little the commands want of a terminal: its width, and colours, by terminfo. Colours are numbers of the palette of
 * 256, of which those above 15 look the same whatever the user's own sixteen are; a terminal that has fewer gets none.
 */
#ifndef FL_TERMINAL_H
#define FL_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

#define FL_TERMINAL_COLOURS 256

/* The terminal's, COLUMNS where that is set, 80 where there is neither; at least 40. */
unsigned fl_terminal_columns(FILE *to);

/* A terminal of so many colours, and NO_COLOR does not say no. */
bool fl_terminal_has_colours(FILE *to);

/* Does NO_COLOR say no? */
bool fl_terminal_is_plain(void);

/* For one that has colours: text from here on; -1: the terminal's own. */
void fl_terminal_paint(FILE *to, int colour);

#endif
