/* SPDX-License-Identifier: MIT */
/*
 * container.h: what the system says of the memory that the process may use: limits of the control groups that
 * it is in (version 1 and 2), and how long tasks had to wait for memory (PSI). Read from files each time; a
 * file that is not there, or says what is not understood, sets no limit and reports no wait.
 */
#ifndef FL_CONTAINER_H
#define FL_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

/*
 * The smallest limit in bytes of the process's control group and those above it: memory.max and memory.high
 * of version 2, memory.limit_in_bytes of version 1. 0: none. root goes in front of /proc and /sys: "" but in
 * tests.
 */
size_t fl_container_limit(const char *root);

/* Nanoseconds for which some task had to wait for memory, in all, ever: of the process's group where the
 * system counts that, else of the machine. */
uint64_t fl_container_stalls_ns(const char *root);

#endif
