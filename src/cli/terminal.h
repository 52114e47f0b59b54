/* SPDX-License-Identifier: MIT */
/*
 * terminal.h: what little the commands want of a terminal: its width, and colours, by terminfo. Colours are numbers of the palette of
 * 256: those above 15 look the same everywhere, while the first 16 are the user's to choose. A terminal with fewer gets none.
 */
#ifndef FL_TERMINAL_H
#define FL_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

#define FL_TERMINAL_COLOURS 256

/* The terminal's, COLUMNS where that is set, 80 where there is neither; at least 40. */
unsigned fl_terminal_columns(FILE *to);

/* Whether this is a terminal of so many colours, and NO_COLOR is not set. */
bool fl_terminal_has_colours(FILE *to);

/* Whether NO_COLOR is set. */
bool fl_terminal_is_plain(void);

/* Sets the colour of the text that follows, on a terminal that has colours. -1 is the terminal's own. */
void fl_terminal_paint(FILE *to, int colour);

#endif
