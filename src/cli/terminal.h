/* SPDX-License-Identifier: MIT */
/*
 * terminal.h: what little the commands want of a terminal, by terminfo: its width, and colours. Colours are
 * numbers of the palette of 256: those above 15 look the same everywhere, while the first 16 are the user's
 * to choose. A terminal with fewer gets none.
 */
#ifndef FL_TERMINAL_H
#define FL_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

#define FL_TERMINAL_COLOURS 256

/* Returns the terminal's width, or COLUMNS if that is set, or 80 if there is neither; at least 40. */
unsigned fl_terminal_columns(FILE *to);

/* Returns whether this is a terminal of so many colours, and NO_COLOR is not set. */
bool fl_terminal_has_colours(FILE *to);

/* Returns whether NO_COLOR is set. */
bool fl_terminal_is_plain(void);

/* Sets the colour of the text that follows, if the terminal has colours. -1 is the terminal's own. */
void fl_terminal_paint(FILE *to, int colour);

#endif
