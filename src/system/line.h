/* SPDX-License-Identifier: MIT */
/*
 * line.h: text put together in a fixed buffer, for reports that may be made where nothing can be
 * allocated. What does not fit is cut off; never fails, never allocates, never touches errno.
 */
#ifndef FL_LINE_H
#define FL_LINE_H

#include <stddef.h>
#include <stdint.h>

#define FL_LINE_MAX_BYTES 1024

typedef struct fl_line {
    size_t length;
    char text[FL_LINE_MAX_BYTES];
} fl_line;

static inline void fl_line_start(fl_line *line) {
    line->length = 0;
}

void fl_line_add(fl_line *line, const char *text);
void fl_line_add_part(fl_line *line, const char *text, size_t length);
void fl_line_add_number(fl_line *line, uint64_t number);
void fl_line_add_address(fl_line *line, const void *address);

/* Writes what is there to a file descriptor, in one write where the system takes it in one. */
void fl_line_write(const fl_line *line, int descriptor);

#endif
