/* SPDX-License-Identifier: MIT */
/*
 * unwind.h: the calls in a copy of a stack, by the tables for exceptions (.eh_frame) of a process's program
 * and libraries, which nearly every one has, stripped or not. elfutils' libdw reads them; it is loaded when
 * first asked for, and looks for nothing on the network.
 */
#ifndef FL_UNWIND_H
#define FL_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FL_UNWIND_REGISTERS \
    17 /* of x86-64, by DWARF's numbers: the stack pointer is 7, the program counter 16 */

/* Returns NULL, or why a process cannot be unwound. There is one at a time. */
const char *fl_unwind_open(pid_t process);
void fl_unwind_close(void);

/* Finds the calls of a stack, of which so many bytes are known from the stack pointer on: return addresses,
 * the newest first, behind the program counter itself. Returns how many; whole: there are no more. */
unsigned fl_unwind(const uint64_t *registers, const unsigned char *stack, size_t bytes, uint64_t *calls,
                   unsigned calls_max, bool *whole);

#endif
