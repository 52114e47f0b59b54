/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "terminal.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifdef FL_CURSES
#include <curses.h>
#include <term.h> /* has macros with names as short as `columns` */
#endif

unsigned fl_terminal_columns(FILE *to) {
    struct winsize size;
    const char *told = getenv("COLUMNS");
    unsigned long wide = told ? strtoul(told, NULL, 10) : 0;
    if (wide == 0)
        wide = ioctl(fileno(to), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
    return wide < 40 ? 40 : wide > 1000 ? 1000 : (unsigned)wide;
}

bool fl_terminal_is_plain(void) {
    const char *none = getenv("NO_COLOR");
    return none && *none;
}

#ifdef FL_CURSES

bool fl_terminal_has_colours(FILE *to) {
    int known;
    return !fl_terminal_is_plain() && isatty(fileno(to)) && setupterm(NULL, fileno(to), &known) == OK &&
           tigetnum("colors") >= FL_TERMINAL_COLOURS;
}

void fl_terminal_paint(FILE *to, int colour) {
    fputs(colour < 0 ? tigetstr("op") : tparm(tigetstr("setaf"), colour), to);
}

#else

bool fl_terminal_has_colours(FILE *to) {
    (void)to;
    return false;
}

void fl_terminal_paint(FILE *to, int colour) {
    (void)to, (void)colour;
}

#endif
