/* SPDX-License-Identifier: MIT */
#include "printable.h"

void fl_make_printable(char *text, size_t bytes) {
    text[bytes - 1] = '\0';
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}
