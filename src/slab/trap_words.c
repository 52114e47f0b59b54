/* SPDX-License-Identifier: MIT */
#include "trap_words.h"

#include <stdlib.h>

#include "../profile/frames.h"
#include "../system/fatal.h"
#include "../system/place.h"
#include "../system/report.h"
#include "../system/system.h"

/* Of the thread that has the report. */
static fl_line *line;
static uintptr_t calls[FL_FRAMES_MAX]; /* too large for a stack as well */

static void write_line(void) {
    fl_line_add(line, "\n");
    fl_line_write(line, 2);
    fl_line_start(line);
}

static void say_calls(const uintptr_t *of, uint32_t depth) {
    for (uint32_t i = 0; i < depth; i++) {
        fl_line_add(line, "    ");
        fl_line_add_place(line, of[i] - 1); /* the call, not the instruction behind it */
        write_line();
    }
}

static void say_who(const char *what, uint32_t thread) {
    fl_line_add(line, "  ");
    fl_line_add(line, what);
    if (thread) {
        fl_line_add(line, " by thread ");
        fl_line_add_number(line, thread);
    }
    fl_line_add(line, ":");
    write_line();
}

static void say_event(const char *what, const fl_trap_event *event) {
    say_who(what, event->thread);
    say_calls(event->calls, event->depth < FL_TRAP_CALLS ? event->depth : FL_TRAP_CALLS);
}

static void say_block(const fl_trap *trap) {
    say_event("allocated", &trap->allocated);
    if (fl_trap_state_of(trap) == FL_TRAP_FREED)
        say_event("freed", &trap->freed);
}

static void add_block(const fl_trap *trap) {
    fl_line_add(line, " a block of ");
    fl_line_add_number(line, trap->as_slab.block_bytes);
    fl_line_add(line, " bytes at ");
    fl_line_add_address(line, trap->as_slab.start);
}

static void add_bytes(size_t bytes, const char *where) {
    fl_line_add_number(line, bytes);
    fl_line_add(line, bytes == 1 ? " byte " : " bytes ");
    fl_line_add(line, where);
}

/* Returns how far outside of a block an address lies: 0 inside, 1 for the first byte beyond either end. */
static size_t distance(const fl_trap *trap, const char *address) {
    const char *start = trap->as_slab.start, *behind = start + trap->as_slab.block_bytes;
    return address < start     ? (size_t)(start - address)
           : address >= behind ? (size_t)(address - behind) + 1
                               : 0;
}

/* Returns the trap that an access is about. Of the two beside a guard it is the one with the nearer block, or
 * the only one with a live block. */
static const fl_trap *trap_of(const char *address) {
    const fl_trap *before = fl_trap_near(address), *behind;
    if (!before || address < fl_trap_page(before) + fl_the_traps.page_bytes ||
        before == &fl_the_traps.all[FL_TRAPS - 1])
        return before;
    behind = before + 1;
    if (fl_trap_state_of(behind) == FL_TRAP_UNUSED)
        return before;
    if (fl_trap_state_of(before) != fl_trap_state_of(behind))
        return fl_trap_state_of(behind) == FL_TRAP_LIVE || fl_trap_state_of(before) == FL_TRAP_UNUSED
                   ? behind
                   : before;
    return distance(before, address) <= distance(behind, address) ? before : behind;
}

static void add_found(const fl_trap *trap, const char *address) {
    size_t far = distance(trap, address);
    if (fl_trap_state_of(trap) == FL_TRAP_FREED)
        fl_line_add(line, "used after it was freed: ");
    else if (far)
        fl_line_add(line, address < trap->as_slab.start ? "an underflow: " : "an overflow: ");
    if (far)
        add_bytes(far, address < trap->as_slab.start ? "before" : "behind the end of");
    else
        add_bytes((size_t)(address - trap->as_slab.start), "behind the start of");
}

/* In code without frame pointers the register may hold anything. */
static void say_access(const fl_fault *fault) {
    say_who("accessed", fl_system_keeps_to_memory() ? 0 : fl_system_thread());
    if (fault->instruction)
        calls[0] = fault->instruction + 1;
    say_calls(calls, fault->instruction != 0);
    const uintptr_t *frame = fault->frame;
    if (frame && (uintptr_t)frame % sizeof *frame == 0 && fl_system_can_read(frame) &&
        fl_system_can_read(frame + 1))
        say_calls(calls, fl_frames_walk(frame, calls));
}

bool fl_trap_explain(const fl_fault *fault) {
    const fl_trap *trap = trap_of(fault->address);
    if (!trap || fl_trap_state_of(trap) == FL_TRAP_UNUSED)
        return false;
    line = fl_report_begin();
    fl_report_add_access(line, fault);
    add_found(trap, fault->address);
    add_block(trap);
    fl_line_add(line, " (it lies between inaccessible pages, option guard_sampling)");
    write_line();
    say_access(fault);
    say_block(trap);
    fl_report_end();
    return true;
}

_Noreturn void fl_misuse_of_trap(const fl_trap *trap, const char *doing, const void *block, const char *found,
                                 const void *frame) {
    line = fl_report_begin();
    fl_fatal_begin(line, doing, block, found);
    fl_line_add(line, ";");
    add_block(trap);
    fl_line_add(line, ", sampled (option guard_sampling)");
    write_line();
    say_who("here", 0);
    say_calls(calls, fl_frames_walk(frame, calls));
    say_block(trap);
    fl_report_end();
    abort();
}
