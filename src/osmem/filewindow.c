/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "filewindow.h"

#include <errno.h>
#include <sys/mman.h>

#include "../system/system.h"

bool fl_file_window_move(fl_file_window *window, int file, uint64_t at, size_t bytes) {
    fl_file_window_end(window);
    /* Touching memory behind a file's end is a trap. */
    if (!fl_system_set_file_bytes(file, at + bytes))
        return false;
    int saved_errno = errno;
    void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)at);
    errno = saved_errno;
    if (start == MAP_FAILED)
        return false;
    *window = (fl_file_window){start, bytes, at};
    return true;
}

void fl_file_window_end(fl_file_window *window) {
    int saved_errno = errno;
    if (window->start)
        munmap(window->start, window->bytes); /* whole, as it was mapped: it cannot fail */
    errno = saved_errno;
    window->start = NULL;
    window->bytes = 0;
}
