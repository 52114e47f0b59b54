/* SPDX-License-Identifier: MIT */
/*
 * printable.h: the one rule for names given by strangers: of programs, files, arenas, versions. It is applied
 * where such a name is read; code that prints one then needs to know only its own format.
 */
#ifndef FL_PRINTABLE_H
#define FL_PRINTABLE_H

#include <stddef.h>

/* Ends the text within so many bytes, and puts '?' in place of each byte that is not printable ASCII: control
 * characters are orders to a terminal, and nobody has said what other bytes mean. */
void fl_make_printable(char *text, size_t bytes);

#endif
