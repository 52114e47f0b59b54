/* SPDX-License-Identifier: MIT */
#include "line.h"

#include <errno.h>
#include <string.h>

#include "call.h"

void fl_line_add_part(fl_line *line, const char *text, size_t length) {
    size_t room = FL_LINE_MAX_BYTES - line->length;
    if (length > room)
        length = room;
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

void fl_line_add(fl_line *line, const char *text) {
    fl_line_add_part(line, text, strlen(text));
}

static void add_digits(fl_line *line, uint64_t number, unsigned base) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number != 0);
    fl_line_add_part(line, digits + at, sizeof digits - at);
}

void fl_line_add_number(fl_line *line, uint64_t number) {
    add_digits(line, number, 10);
}

void fl_line_add_address(fl_line *line, const void *address) {
    fl_line_add(line, "0x");
    add_digits(line, (uintptr_t)address, 16);
}

void fl_line_write(const fl_line *line, int descriptor) {
    size_t written = 0;
    while (written < line->length) {
        long n =
            fl_call(SYS_write, descriptor, (long)(line->text + written), (long)(line->length - written), 0);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            break;
        written += (size_t)n;
    }
}
