/* SPDX-License-Identifier: MIT */
/*
 * filewindow.h: a part of a file as memory, shared with the file: what is written there is in the file however the process ends.
 * The part moves along the file, which grows as far as it reaches.
 *
 *     None ──▶ Ready      fl_file_window_move; where the system has no memory or the file cannot grow, it stays None
 *     Ready ──▶ None      fl_file_window_move (of what was there before), fl_file_window_end
 *
 * Nothing of it is counted in a stat: the memory is the file's. errno is kept. Threads: one at a time.
 */
#ifndef FL_FILEWINDOW_H
#define FL_FILEWINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fl_file_window {
    uint8_t *start; /* NULL: there is none */
    size_t bytes;
    uint64_t at; /* its place in the file */
} fl_file_window;

/* To bytes [at, at + bytes) of a file that may be read and written, multiples of the OS page. False: there is none now. */
bool fl_file_window_move(fl_file_window *window, int file, uint64_t at, size_t bytes);

void fl_file_window_end(fl_file_window *window);

#endif
