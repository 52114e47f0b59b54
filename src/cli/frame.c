/* SPDX-License-Identifier: MIT */
#include "frame.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

bool fl_frame_make(fl_frame *frame, unsigned lines, unsigned columns) {
    size_t cells = (size_t)lines * columns;
    *frame = (fl_frame){lines, columns, malloc(cells + 1), malloc(cells + 1)};
    if (!frame->text || !frame->styles) {
        fl_frame_free(frame);
        return false;
    }
    memset(frame->text, ' ', cells);
    memset(frame->styles, FL_STYLE_PLAIN, cells);
    return true;
}

void fl_frame_free(fl_frame *frame) {
    free(frame->text);
    free(frame->styles);
    *frame = (fl_frame){0};
}

static void put_mark(fl_frame *frame, unsigned line, unsigned column, fl_style style, char mark) {
    if (line >= frame->lines || column >= frame->columns)
        return;
    frame->text[(size_t)line * frame->columns + column] = mark;
    frame->styles[(size_t)line * frame->columns + column] = (unsigned char)style;
}

unsigned fl_frame_put(fl_frame *frame, unsigned line, unsigned column, fl_style style, const char *format,
                      ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (const char *at = text; *at; at++)
        put_mark(frame, line, column++, style, *at >= ' ' && *at <= '~' ? *at : '?');
    return column;
}

void fl_frame_fill(fl_frame *frame, unsigned line, unsigned column, unsigned count, fl_style style,
                   char mark) {
    for (unsigned i = 0; i < count; i++)
        put_mark(frame, line, column + i, style, mark);
}

void fl_frame_print(const fl_frame *frame, FILE *to) {
    for (unsigned line = 0; line < frame->lines; line++) {
        const char *text = frame->text + (size_t)line * frame->columns;
        unsigned length = frame->columns;
        while (length > 0 && text[length - 1] == ' ')
            length--;
        fprintf(to, "%.*s\n", (int)length, text);
    }
}
