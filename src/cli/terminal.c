/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

unsigned fl_terminal_columns(FILE *to) {
    struct winsize size;
    const char *told = getenv("COLUMNS");
    unsigned long columns = told ? strtoul(told, NULL, 10) : 0;
    if (columns == 0)
        columns = ioctl(fileno(to), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
    return columns < 40 ? 40 : columns > 1000 ? 1000 : (unsigned)columns;
}

bool fl_terminal_has_colours(FILE *to) {
    const char *term = getenv("TERM"), *none = getenv("NO_COLOR");
    return isatty(fileno(to)) && term && strcmp(term, "dumb") != 0 && !(none && *none);
}
