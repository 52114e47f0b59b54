/* SPDX-License-Identifier: MIT */
/*
 * filewindow.h: maps a part of a file, shared: what is written to it reaches the file however the process
 * ends. The window moves along the file, which grows as far as the window reaches.
 *
 *     None ──▶ Ready      fl_file_window_move; stays None if the system has no memory or the file cannot grow
 *     Ready ──▶ None      fl_file_window_move (the previous window), fl_file_window_end
 *
 * No stat counts it: the memory is the file's. Keeps errno. One thread at a time.
 */
#ifndef FL_FILEWINDOW_H
#define FL_FILEWINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fl_file_window {
    uint8_t *start; /* NULL: there is no window */
    size_t bytes;
    uint64_t at; /* its place in the file */
} fl_file_window;

/* Moves the window to bytes [at, at + bytes) of a file open for reading and writing; both are multiples of
 * the OS page. Returns false if there is now no window. */
bool fl_file_window_move(fl_file_window *window, int file, uint64_t at, size_t bytes);

void fl_file_window_end(fl_file_window *window);

#endif
