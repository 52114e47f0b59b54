/* SPDX-License-Identifier: MIT */
/*
 * fault.h: explains accesses to memory that cannot be accessed (SIGSEGV), for a floor above that knows about
 * some of them.
 *
 * Until somebody asks for it, nothing is asked of the system. From then on a handler stands in front of the
 * disposition that was there. If the fault is one that can be explained, the handler has it explained, puts
 * that disposition back and returns: the access is made again, and the process goes the way it would have
 * gone. Any other fault it passes on at once. A program that sets a handler of its own afterwards gets all
 * faults, and this handler gets none unless the program's puts back, or calls, the one it replaced.
 *
 * The explanation runs in a signal handler, on any stack and in any state of the process: it must take no
 * lock, allocate nothing, and use little stack.
 */
#ifndef FL_FAULT_H
#define FL_FAULT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct fl_fault {
    const void *address;
    uintptr_t instruction; /* that accessed it; 0: unknown */
    const void *frame;     /* the frame pointer; in code without frame pointers, any value */
    bool writes;           /* meaningful only if the instruction is known */
} fl_fault;

/* Returns false if it does not know about this fault. */
typedef bool fl_fault_explain(const fl_fault *fault);

/* Has faults explained from now on; later calls change nothing. Returns false if the system refuses. */
bool fl_system_explain_faults(fl_fault_explain *explain);

#endif
