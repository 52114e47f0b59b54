/* SPDX-License-Identifier: MIT */
/*
 * system_simulated.c: src/system/system.h and its like, of the world. The clock is the world's, files there
 * are none, and what the system can refuse (a thread, the fence in every thread) it refuses when the seed
 * says.
 */
#include "../../src/system/system.h"

#include <errno.h>

#include "../../src/system/container.h"
#include "../../src/system/guest.h"
#include "../../src/system/place.h"
#include "faults.h"
#include "memory.h"
#include "schedule.h"

/* A window and its tables find room here (backend_sim.c lies its real memory there). */
#define QUIET_FIRST ((uintptr_t)0x200000000000)
#define QUIET_END ((uintptr_t)0x300000000000)

static void point(const void *place) {
    if (!sim.self || sim.deaf)
        return;
    sim_memory_settle();
    sim_point(SIM_SYSTEM, NULL, place);
}

#define POINT() point(__builtin_return_address(0))

size_t fl_system_page_bytes(void) {
    return 4096;
}

size_t fl_system_huge_page_bytes(void) {
    return 0;
}

bool fl_system_huge_pages_always(void) {
    return false;
}

bool fl_system_huge_pages_asked(void) { /* where the back end has any */
    return true;
}

void fl_system_follow_huge_pages(void) {
}

void fl_system_quiet_addresses(uintptr_t *first, uintptr_t *end) {
    *first = QUIET_FIRST;
    *end = QUIET_END;
}

uint64_t fl_system_random(void) {
    return 0;
}

uint64_t fl_system_now_ns(void) {
    POINT();
    return sim_now_ns();
}

uint64_t fl_system_date_ns(void) {
    return sim_now_ns();
}

void fl_system_sleep_ns(uint64_t duration_ns) {
    POINT();
    if (sim.self->locks_held &&
        !sim.self->interrupted) /* a signal handler's fork cannot drop what its thread holds */
        sim_fail("a thread sleeps with a lock held");
    sim_sleep_until(sim_now_ns() + duration_ns);
}

/* Nothing there wakes anybody. */
void fl_system_sleep_while(_Atomic uint32_t *word, uint32_t value, uint64_t duration_ns) {
    if (*word == value)
        fl_system_sleep_ns(duration_ns);
}

void fl_system_wake(_Atomic uint32_t *word) {
    (void)word;
}

uint64_t fl_system_process_cpu_ns(void) {
    return sim_now_ns() * 2; /* a program at work on two processors */
}

uint64_t fl_system_thread_cpu_ns(void) {
    return sim_own_ns();
}

size_t fl_container_limit(const char *root) {
    (void)root;
    return 0;
}

uint64_t fl_container_stalls_ns(const char *root) {
    (void)root;
    return 0;
}

bool fl_system_has_fence(void) {
    return true;
}

/* First the caller's own, as membarrier has it (membarrier_private_expedited in the kernel's source), so that
 * what it has stored is there when others come out of theirs; then one thread after the other, as their
 * processors are interrupted; they go on meanwhile. */
bool fl_system_fence_everywhere(void) {
    POINT();
    if (sim_fault_of_fence())
        return false;
    sim_memory_release(sim.self);
    unsigned first = sim.threads ? (unsigned)sim_below(SIM_MEMORY, sim.threads) : 0;
    for (unsigned i = 0, count = sim.threads; i < count; i++) {
        sim_memory_release(&sim.thread[(first + i) % count]);
        POINT();
    }
    sim_memory_release(sim.self);
    return true;
}

bool fl_system_is_threaded(void) {
    return true;
}

static void *background(void *argument) {
    void *(*body)(void *) = (void *(*)(void *))argument;
    return body(NULL);
}

bool fl_guest_start(void *(*body)(void *), void *argument) {
    POINT();
    if (sim.self->locks_held)
        sim_fail("a thread is started with a lock held");
    (void)argument;
    sim_memory_release(sim.self);
    return !sim_fault_of_thread() && sim_thread_new(background, (void *)body, true) != NULL;
}

void fl_guest_prepare(void) {
}

bool fl_guest_may_start(void) {
    return true;
}

bool fl_guest_settle_in(void) {
    return true;
}

uint32_t fl_system_thread(void) {
    return 1;
}

void fl_guest_await_end(uint32_t thread) {
    (void)thread;
}

/* The world's first thread ends with it. */
void fl_system_be_first_thread(void) {
}

int fl_system_write(int descriptor, const char *text, size_t bytes) {
    (void)descriptor, (void)text, (void)bytes;
    return EBADF;
}

int fl_system_write_maps(int descriptor) {
    (void)descriptor;
    return EBADF;
}

bool fl_system_can_read(const void *word) {
    (void)word;
    return false;
}

void fl_line_add_place(fl_line *line, uintptr_t address) {
    fl_line_add_address(line, (const void *)address);
}

bool fl_system_has_thread(uint32_t thread) {
    (void)thread;
    return true;
}

bool fl_system_keeps_to_memory(void) {
    return false;
}

bool fl_system_is_first_thread(void) {
    return false;
}

size_t fl_system_read_file(const char *path, char *buffer, size_t bytes) {
    (void)path, (void)buffer, (void)bytes;
    return 0;
}

const char *fl_system_environment(const char *name) {
    (void)name;
    return NULL;
}

void fl_system_fork_prepare(void) {
}

void fl_system_fork_done(bool in_child) {
    (void)in_child;
}
