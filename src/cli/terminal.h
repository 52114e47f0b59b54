/* SPDX-License-Identifier: MIT */
/*
 * terminal.h: what little the commands want of a terminal: its width, and whether there may be colours.
 */
#ifndef FL_TERMINAL_H
#define FL_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

/* The terminal's, COLUMNS where that is set, 80 where there is neither; at least 40. */
unsigned fl_terminal_columns(FILE *to);

/* A terminal, and neither NO_COLOR nor TERM=dumb says no. */
bool fl_terminal_has_colours(FILE *to);

#endif
