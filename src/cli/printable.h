/* SPDX-License-Identifier: MIT */
/*
 * printable.h: the one rule for what strangers have named: programs, files, arenas, versions. It is applied
 * where such a name is read; who prints one then needs to know of its own format alone.
 */
#ifndef FL_PRINTABLE_H
#define FL_PRINTABLE_H

#include <stddef.h>

/* Ends the text within so many bytes, and puts '?' in place of each byte that is not printable ASCII: control
 * characters are orders to a terminal, and what other bytes mean, nobody has said. */
void fl_make_printable(char *text, size_t bytes);

#endif
