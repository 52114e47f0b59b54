/* SPDX-License-Identifier: MIT */
/*
 * schedule.c: coroutines and the strategies by which the seed switches between them. It knows nothing of what
 * they do.
 *
 *   uniform      after a geometrically distributed number of points, anybody who can run
 *   priorities the highest priority runs; at a few points, drawn beforehand, who runs falls below all others
 *   (PCT:
 *                Burckhardt et al., "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs",
 *                2010)
 *   long runs    one thread alone for a number of points whose logarithm is uniform, then another
 *   places long runs; and who comes by one of a few places in the program, drawn beforehand, is held there
 *   while
 *                others run: what is rare in time is as likely as what is common
 */
#include "schedule.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"

#define STACKS_BASE ((uintptr_t)0x600000000000)
#define STACK_BYTES ((size_t)256 << 10)
#define PLACES_KEPT 4 /* for the program's own threads */
#define NS_A_STEP 5
#define OP_STEPS_CROWDED ((uint64_t)1 << 21) /* after so many, it is run alone */
#define OP_STEPS_ALONE ((uint64_t)1 << 20)   /* and must end within so many more */
#define NEVER UINT64_MAX

static struct {
    unsigned mean_bits; /* uniform */
    uint64_t change[5]; /* priorities: steps, ascending */
    unsigned changes, depth;
    uint64_t lowest;
    unsigned long_bits;
    unsigned hold_bits;
    uint64_t hold_one_in; /* places */
    sim_thread *solo;     /* nobody else is given a turn while it can run */
    uint64_t solo_until;
    const sim_switch *replay;
    size_t replay_count, replay_at;
    int record;
} schedule = {.record = -1};

/* --- coroutines ----------------------------------------------------------------------------------------- */

/* Saves what the ABI lets a function keep, changes stacks, and returns there. */
void sim_change_stack(void **from, void *to);
__asm__(".text\n"
        ".globl sim_change_stack\n"
        ".type sim_change_stack, @function\n"
        "sim_change_stack:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  ret\n"
        ".size sim_change_stack, .-sim_change_stack\n");

/* Recorded is each switch, and each time that somebody gives way, whoever goes on. */
static void run(sim_thread *next, bool waits) {
    sim_thread *self = sim.self;
    if (schedule.record >= 0 && (waits || next != self))
        dprintf(schedule.record, "%llu %u %d\n", (unsigned long long)sim.step, next->id, waits);
    if (next == self)
        return;
    sim.switches++;
    self->saved_errno = errno;
    sim.self = next;
    sim_change_stack(&self->stack_pointer, next->stack_pointer);
    errno = sim.self->saved_errno;
}

static sim_thread *choose(bool waits);

static void body(void) {
    sim_thread *self = sim.self;
    errno = 0;
    self->body(self->argument);
    sim_memory_release(sim.self);
    self->state = SIM_ENDED;
    sim_wake(self);
    run(choose(true), true);
    __builtin_unreachable();
}

static char *stack_of(unsigned id) {
    char *stack = (char *)STACKS_BASE + id * 2 * STACK_BYTES;
    if (mmap(stack, STACK_BYTES, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) != stack)
        sim_fail("no stack for thread %u: %s", id, strerror(errno));
    return stack;
}

sim_thread *sim_thread_new(void *(*function)(void *), void *argument, bool background) {
    if (sim.threads >= SIM_THREADS_MAX - (background ? PLACES_KEPT : 0))
        return NULL;
    sim_thread *thread = &sim.thread[sim.threads];
    thread->id = sim.threads++;
    thread->stack = stack_of(thread->id);
    thread->stack_end = thread->stack + STACK_BYTES;
    thread->body = function;
    thread->argument = argument;
    thread->background = background;
    void **top = (void **)thread->stack_end;
    *--top = NULL; /* so that the stack is aligned as after a call */
    *--top = (void *)body;
    thread->stack_pointer = top - 6;
    thread->priority = sim_random(SIM_SCHEDULE) >> 8 | 1u << 20;
    thread->state = SIM_RUNNABLE;
    return thread;
}

void sim_become_first(void) {
    sim_thread *thread = &sim.thread[sim.threads];
    thread->id = sim.threads++;
    thread->stack = (char *)__builtin_frame_address(0) - STACK_BYTES;
    thread->stack_end = (char *)UINTPTR_MAX;
    thread->state = SIM_RUNNABLE;
    thread->priority = 1u << 20;
    sim.self = thread;
}

/* --- the clock, waiting --------------------------------------------------------------------------------- */

uint64_t sim_now_ns(void) {
    return UINT64_C(1000000000) + sim.step * NS_A_STEP + sim.jumped_ns;
}

uint64_t sim_own_ns(void) {
    return sim.self ? sim.self->steps * NS_A_STEP : 0;
}

/* Who waits for a lock with a limit of time waits as if nothing had happened: no thread holds one for so
 * long. */
void sim_jump_ns(uint64_t duration_ns) {
    sim.jumped_ns += duration_ns;
    for (unsigned i = 0; i < sim.threads; i++)
        if (sim.thread[i].state != SIM_SLEEPS && sim.thread[i].wakes_ns)
            sim.thread[i].wakes_ns += duration_ns;
}

static bool can_run(sim_thread *thread) {
    if ((thread->state == SIM_SLEEPS || (thread->state == SIM_WAITS && thread->wakes_ns)) &&
        thread->wakes_ns <= sim_now_ns()) {
        thread->state = SIM_RUNNABLE;
        thread->waits_for = NULL;
    }
    return thread->state == SIM_RUNNABLE;
}

/* Those that can run; of these, if there are any, those that are not held. */
static size_t runnable(sim_thread **out) {
    size_t count = 0, free = 0;
    for (unsigned i = 0; i < sim.threads; i++) {
        sim_thread *thread = &sim.thread[i];
        if (!can_run(thread))
            continue;
        out[count++] = thread;
        if (thread->held_until <= sim.step) {
            out[count - 1] = out[free];
            out[free++] = thread;
        }
    }
    return free ? free : count;
}

/* Nobody can run: the clock goes on to when the next one wakes. */
static void pass_time(void) {
    uint64_t next_ns = NEVER;
    for (unsigned i = 0; i < sim.threads; i++) {
        const sim_thread *thread = &sim.thread[i];
        if ((thread->state == SIM_SLEEPS || thread->state == SIM_WAITS) && thread->wakes_ns &&
            thread->wakes_ns < next_ns)
            next_ns = thread->wakes_ns;
    }
    if (next_ns == NEVER) {
        for (unsigned i = 0; i < sim.threads; i++)
            if (sim.thread[i].state == SIM_WAITS)
                sim_note("thread %u waits in %s for %p", i, sim.thread[i].op ? sim.thread[i].op : "nothing",
                         sim.thread[i].waits_for);
        sim_fail("deadlock: every thread waits");
    }
    if (next_ns > sim_now_ns())
        sim.jumped_ns += next_ns - sim_now_ns();
}

/* --- who is next ---------------------------------------------------------------------------------------- */

static sim_thread *highest(sim_thread **threads, size_t count) {
    sim_thread *best = threads[0];
    for (size_t i = 1; i < count; i++)
        if (threads[i]->priority > best->priority)
            best = threads[i];
    return best;
}

/* Whom the recorded schedule has next, if that is here: where who ran had to wait, or was interrupted. */
static sim_thread *replayed(bool waits, sim_thread *anybody) {
    while (schedule.replay_at < schedule.replay_count && schedule.replay[schedule.replay_at].step < sim.step)
        schedule.replay_at++;
    const sim_switch *next = &schedule.replay[schedule.replay_at];
    if (schedule.replay_at < schedule.replay_count && next->step == sim.step && next->waits == waits) {
        schedule.replay_at++;
        if (next->to < sim.threads && can_run(&sim.thread[next->to]))
            return &sim.thread[next->to];
    }
    return sim.self->state == SIM_RUNNABLE ? sim.self : anybody;
}

/* Somebody who can run. */
static sim_thread *choose(bool waits) {
    sim_thread *threads[SIM_THREADS_MAX];
    size_t count;
    while ((count = runnable(threads)) == 0)
        pass_time();
    if (schedule.replay)
        return replayed(waits, threads[0]);
    if (schedule.solo && schedule.solo->state == SIM_RUNNABLE)
        return schedule.solo;
    return sim.strategy == SIM_PRIORITIES ? highest(threads, count) : threads[sim_below(SIM_SCHEDULE, count)];
}

static void draw_next_switch(void) {
    if (schedule.replay)
        sim.next_switch =
            schedule.replay_at < schedule.replay_count ? schedule.replay[schedule.replay_at].step : NEVER;
    else if (sim.strategy == SIM_UNIFORM)
        sim.next_switch = sim.step + 1 + (sim_random(SIM_SCHEDULE) & ((1u << schedule.mean_bits) - 1));
    else if (sim.strategy != SIM_PRIORITIES)
        sim.next_switch = sim.step + 1 + sim_log_uniform(SIM_SCHEDULE, 0, schedule.long_bits);
    else
        sim.next_switch = schedule.changes < schedule.depth ? schedule.change[schedule.changes] : NEVER;
}

static void set_next_event(void) {
    uint64_t stores = sim_memory_next_due();
    uint64_t watch = sim.step + (1u << 16);
    sim.next_event = sim.next_switch < stores ? sim.next_switch : stores;
    if (sim.next_signal < sim.next_event)
        sim.next_event = sim.next_signal;
    if (watch < sim.next_event)
        sim.next_event = watch;
}

static void due_switch(void) {
    if (sim.strategy == SIM_PRIORITIES && !schedule.replay) {
        sim.self->priority = --schedule.lowest;
        schedule.changes++;
    }
    sim_thread *next = choose(false);
    draw_next_switch();
    set_next_event(); /* for who runs next, and may be new */
    run(next, false);
}

/* An operation that does not come to an end in company is run alone: then it must. */
static void watch_progress(void) {
    sim_thread *self = sim.self;
    uint64_t steps = self->steps - self->op_began;
    if (!self->op || steps < OP_STEPS_CROWDED)
        return;
    if (!schedule.solo) {
        schedule.solo = self;
        schedule.solo_until = self->steps + OP_STEPS_ALONE;
    } else if (schedule.solo == self && self->steps > schedule.solo_until)
        sim_fail("no progress: %s has not ended after %llu steps, the last %llu of them alone", self->op,
                 (unsigned long long)steps, (unsigned long long)OP_STEPS_ALONE);
}

static bool is_held_here(bool at_place) {
    if (!at_place || schedule.solo || !sim_one_in(SIM_SCHEDULE, schedule.hold_one_in))
        return false;
    sim.self->held_until = sim.step + sim_log_uniform(SIM_SCHEDULE, 2, schedule.hold_bits);
    return true;
}

static void due_signal(void) {
    sim_thread *self = sim.self;
    sim.next_signal = sim.step + sim_log_uniform(SIM_SCHEDULE, 8, 17);
    if (!self->op || !self->takes_signals || self->interrupted)
        return;
    self->interrupted = true;
    sim.signal();
    self->interrupted = false;
}

void sim_event(bool at_place) {
    watch_progress();
    if (sim.signal && sim.step >= sim.next_signal)
        due_signal();
    sim_memory_let_due_go();
    if (is_held_here(at_place) || sim.step >= sim.next_switch)
        due_switch();
    set_next_event();
}

static void give_way(void) {
    sim_thread *next = choose(true);
    set_next_event();
    run(next, true);
    set_next_event();
}

void sim_wait(const void *thing, uint64_t until_ns) {
    sim.self->waits_for = thing;
    sim.self->wakes_ns = until_ns;
    sim.self->state = SIM_WAITS;
    give_way();
}

void sim_wake(const void *thing) {
    for (unsigned i = 0; i < sim.threads; i++)
        if (sim.thread[i].state == SIM_WAITS && sim.thread[i].waits_for == thing) {
            sim.thread[i].state = SIM_RUNNABLE;
            sim.thread[i].waits_for = NULL;
        }
}

void sim_sleep_until(uint64_t wakes_ns) {
    sim.self->wakes_ns = wakes_ns;
    sim.self->state = SIM_SLEEPS;
    give_way();
}

void sim_yield(void) {
    sim.step++; /* so that whoever is held comes to its turn */
    if (sim.strategy == SIM_PRIORITIES && !schedule.replay)
        sim.self->priority = --schedule.lowest;
    give_way();
}

void sim_be_alone(void) {
    for (unsigned i = 0; i < sim.threads; i++)
        if (&sim.thread[i] != sim.self)
            sim.thread[i].state = SIM_UNUSED;
    sim.next_switch = NEVER;
    sim.signal = NULL;
    sim.next_signal = NEVER;
    sim.place = UINT32_MAX;
    schedule.solo = NULL;
    schedule.record = -1;
}

void sim_op_begin(const char *name) {
    sim.self->op = name;
    sim.self->op_began = sim.self->steps;
}

void sim_op_end(void) {
    sim_thread *self = sim.self;
    uint64_t steps = self->steps - self->op_began;
    if (steps > sim.longest_op) {
        sim.longest_op = steps;
        sim.longest_op_name = self->op;
    }
    if (schedule.solo == self)
        schedule.solo = NULL;
    self->op = NULL;
}

/* --- the draw ------------------------------------------------------------------------------------------- */

static void draw_changes(void) {
    schedule.depth = 1 + (unsigned)sim_below(SIM_SCHEDULE, 5);
    uint64_t length = sim_log_uniform(SIM_SCHEDULE, 10, 17);
    for (unsigned i = 0; i < schedule.depth; i++) {
        uint64_t at = 1 + sim_below(SIM_SCHEDULE, length);
        unsigned place = i;
        for (; place > 0 && schedule.change[place - 1] > at; place--)
            schedule.change[place] = schedule.change[place - 1];
        schedule.change[place] = at;
    }
    for (unsigned i = 0; i < schedule.depth; i++)
        schedule.change[i] += sim.step;
}

static void draw_place(void) {
    bool all = sim_one_in(SIM_SCHEDULE, 2);
    sim.place_kind = all ? SIM_READ : SIM_ATOMIC_CHANGE;
    sim.place_bits = all ? SIM_PLACE_BITS_ALL : SIM_PLACE_BITS_CALLS;
    sim.place = sim.strategy == SIM_PLACES ? (uint32_t)sim_below(SIM_SCHEDULE, UINT64_C(1) << sim.place_bits)
                                           : UINT32_MAX;
}

void sim_schedule_begin(void) {
    static const sim_strategy drawn[] = {SIM_UNIFORM,   SIM_UNIFORM, SIM_PRIORITIES, SIM_LONG_RUNS,
                                         SIM_LONG_RUNS, SIM_PLACES,  SIM_PLACES,     SIM_PLACES};
    sim.strategy = drawn[sim_below(SIM_SCHEDULE, sizeof drawn / sizeof drawn[0])];
    draw_place();
    sim.plain_points = sim.strategy == SIM_PLACES || sim_one_in(SIM_SCHEDULE, 2);
    schedule.hold_bits = 4 + (unsigned)sim_below(SIM_SCHEDULE, 13);
    schedule.hold_one_in = UINT64_C(1) << (2 * sim_below(SIM_SCHEDULE, 4));
    schedule.mean_bits = 1 + (unsigned)sim_below(SIM_SCHEDULE, 10);
    schedule.long_bits = 6 + (unsigned)sim_below(SIM_SCHEDULE, 11);
    schedule.lowest = 1u << 20;
    draw_changes();
    if (sim.signal)
        sim.next_signal = sim.step + sim_log_uniform(SIM_SCHEDULE, 8, 17);
    draw_next_switch();
    set_next_event();
}

void sim_schedule_replay(const sim_switch *switches, size_t count) {
    schedule.replay = switches;
    schedule.replay_count = count;
}

void sim_schedule_record(int descriptor) {
    schedule.record = descriptor;
}
