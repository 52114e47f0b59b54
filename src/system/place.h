/* SPDX-License-Identifier: MIT */
/*
 * place.h: names the place of a code address for people: the file that is mapped there and the distance from
 * its first mapping, which addr2line or a debugger can look up. It reads /proc/self/maps each time.
 *
 * Allocates nothing and takes no lock, so a signal handler may call it; only one thread at a time may.
 */
#ifndef FL_PLACE_H
#define FL_PLACE_H

#include <stdint.h>

#include "line.h"

/* Adds "/usr/bin/server+0x1234", or the bare address if no file is mapped there or the system does not
 * say. */
void fl_line_add_place(fl_line *line, uintptr_t address);

#endif
