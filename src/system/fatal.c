/* SPDX-License-Identifier: MIT */
#include "fatal.h"

#include <stdlib.h>

void fl_fatal_begin(fl_line *line, const char *what, const void *address, const char *found) {
    fl_line_start(line);
    fl_line_add(line, "fallow: ");
    fl_line_add(line, what);
    if (address) {
        fl_line_add(line, " ");
        fl_line_add_address(line, address);
    }
    fl_line_add(line, ": ");
    fl_line_add(line, found);
}

_Noreturn void fl_fatal_end(fl_line *line) {
    fl_line_add(line, "\n");
    fl_line_write(line, 2);
    abort();
}

_Noreturn void fl_fatal(const char *what, const void *address, const char *found) {
    fl_line line;
    fl_fatal_begin(&line, what, address, found);
    fl_fatal_end(&line);
}

void fl_warn(const char *what, const char *detail, const char *accepted) {
    fl_line line;
    fl_line_start(&line);
    fl_line_add(&line, "fallow: ");
    fl_line_add(&line, what);
    fl_line_add(&line, " '");
    fl_line_add(&line, detail);
    fl_line_add(&line, "' ignored; accepted: ");
    fl_line_add(&line, accepted);
    fl_line_add(&line, "\n");
    fl_line_write(&line, 2);
}
