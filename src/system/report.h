/* SPDX-License-Identifier: MIT */
/*
 * report.h: the line that a signal handler says of an access to memory, too large for its stack: there is one
 * in the process, and one thread at a time has it.
 *
 * Runs in a signal handler: takes no lock and no memory.
 */
#ifndef FL_REPORT_H
#define FL_REPORT_H

#include "fault.h"
#include "line.h"

/* Returns the line, empty, and the caller's until it calls fl_report_end. Others wait, for about a second at
 * most: a thread that does not get it in time was perhaps interrupted while it had it, and has it all the
 * same. */
fl_line *fl_report_begin(void);
void fl_report_end(void);

/* Adds how a report of a fault begins: what was done, and where. */
void fl_report_add_access(fl_line *line, const fl_fault *fault);

#endif
