/* SPDX-License-Identifier: MIT */
/*
 * screen.h: the terminal as `fallow top` uses it, by ncurses: a picture on it, keys from it. In a command
 * built without ncurses, it cannot be opened.
 */
#ifndef FL_SCREEN_H
#define FL_SCREEN_H

#include "frame.h"

typedef enum fl_key {
    FL_KEY_NONE = 256,
    FL_KEY_UP,
    FL_KEY_DOWN,
    FL_KEY_ENTER
} fl_key; /* smaller values: a character */

/* Returns NULL, or why there is none, for people. */
const char *fl_screen_open(void);
void fl_screen_close(void);

void fl_screen_size(unsigned *lines, unsigned *columns);
void fl_screen_show(const fl_frame *frame);

/* Waits so long for a key. Returns FL_KEY_NONE if there was none, or the size has changed. */
int fl_screen_key(int milliseconds);

#endif
