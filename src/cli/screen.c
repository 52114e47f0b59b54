/* SPDX-License-Identifier: MIT */
#include "screen.h"

#ifdef FL_CURSES
#include <curses.h>

#include "terminal.h"

/* The colours of map's shares, on whatever background the terminal has. */
#define COLOUR(share, name, mark, colour, help) colour,
static const int colours[] = {FL_SHARES(COLOUR)};

static SCREEN *screen;
static bool has_colours;

const char *fl_screen_open(void) {
    if (!screen)
        screen = newterm(NULL, stdout, stdin);
    if (!screen)
        return "the terminal type (TERM) is unknown";
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    curs_set(0);
    has_colours = !fl_terminal_is_plain() && has_colors() && start_color() == OK &&
                  COLORS >= FL_TERMINAL_COLOURS && use_default_colors() == OK;
    for (short share = 0; has_colours && share < FL_SHARE_COUNT; share++)
        init_pair((short)(share + 1), (short)colours[share], -1);
    return NULL;
}

void fl_screen_close(void) {
    if (screen)
        endwin();
}

void fl_screen_size(unsigned *lines, unsigned *columns) {
    *lines = LINES > 0 ? (unsigned)LINES : 1;
    *columns = COLS > 0 ? (unsigned)COLS : 1;
}

static attr_t attributes_of(unsigned char style) {
    if (style == FL_STYLE_STRONG)
        return A_BOLD;
    if (style == FL_STYLE_CHOSEN)
        return A_REVERSE;
    return style < FL_SHARE_COUNT && has_colours ? (attr_t)COLOR_PAIR(style + 1) : A_NORMAL;
}

void fl_screen_show(const fl_frame *frame) {
    erase();
    for (unsigned line = 0; line < frame->lines; line++)
        for (unsigned column = 0; column < frame->columns; column++) {
            size_t at = (size_t)line * frame->columns + column;
            mvaddch((int)line, (int)column,
                    (chtype)(unsigned char)frame->text[at] | attributes_of(frame->styles[at]));
        }
    refresh();
}

int fl_screen_key(int milliseconds) {
    timeout(milliseconds);
    int key = getch();
    return key == KEY_UP || key == 'k'                      ? FL_KEY_UP
           : key == KEY_DOWN || key == 'j'                  ? FL_KEY_DOWN
           : key == KEY_ENTER || key == '\n' || key == '\r' ? FL_KEY_ENTER
           : key > 0 && key < 256                           ? key
                                                            : FL_KEY_NONE;
}

#else

const char *fl_screen_open(void) {
    return "this command was built without ncurses; --once prints one picture";
}
void fl_screen_close(void) {
}
void fl_screen_size(unsigned *lines, unsigned *columns) {
    *lines = *columns = 1;
}
void fl_screen_show(const fl_frame *frame) {
    (void)frame;
}
int fl_screen_key(int milliseconds) {
    (void)milliseconds;
    return FL_KEY_NONE;
}

#endif
