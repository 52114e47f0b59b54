/* SPDX-License-Identifier: MIT */
#include "one_life.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "../../src/arena/driver.h"
#include "../../src/embed/atfork.h"
#include "../../src/heap/startup.h"
#include "../../src/heap/thread.h"
#include "faults.h"
#include "memory.h"
#include "oracle.h"
#include "program.h"
#include "schedule.h"

static life_figures *the_figures;

void life_failed(void) {
    if (sim.logs)
        sim_log_show(2);
    _exit(LIFE_FAILED);
}

_Noreturn void __wrap_abort(void);
_Noreturn void __wrap_abort(void) {
    sim_fail("the library stopped the process");
}

static void crashed(int number, siginfo_t *info, void *context) {
    const ucontext_t *at = context;
    if (number == SIGPROF)
        sim_fail("hangs where there is no point, at %p", (void *)at->uc_mcontext.gregs[REG_RIP]);
    sim_fail("signal %d at %p, by the instruction at %p", number, info->si_addr,
             (void *)at->uc_mcontext.gregs[REG_RIP]);
}

static void watch(void) {
    static char stack[64 << 10];
    stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = crashed, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaltstack(&own, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
    sigaction(SIGPROF, &action, NULL);
    sim_watch_time();
}

static void join(sim_thread *thread) {
    while (thread->state != SIM_ENDED)
        sim_wait(thread, 0);
}

static void describe(void) {
    static const char *const strategies[] = {"uniform", "priorities", "long runs", "places"};
    static const char *const orders[] = {"in sequence", "total store order", "weak stores"};
    char system[96];
    sim_faults_describe(system, sizeof system);
    snprintf(the_figures->what, sizeof the_figures->what, "%s%s, %s, %u workers, %s",
             strategies[sim.strategy], sim.plain_points ? "" : " of atomics", orders[sim.order],
             the_program.workers, system);
}

static void count(void) {
    the_figures->steps = sim.step;
    the_figures->switches = sim.switches;
    the_figures->operations = the_program.operations;
    the_figures->longest_op = sim.longest_op;
    the_figures->fault_happened = sim_faults_has_happened();
    snprintf(the_figures->longest_op_name, sizeof the_figures->longest_op_name, "%s",
             sim.longest_op_name ? sim.longest_op_name : "");
}

static void start_library(bool background) {
    if (!fl_process_init())
        sim_fail("the library does not start");
    fl_fork_register();
    fl_driver_allow_thread(background);
}

static void work(void) {
    sim_thread *threads[SIM_THREADS_MAX];
    unsigned each = (unsigned)sim_log_uniform(SIM_WORK, 3, 8);
    for (unsigned i = 0; i < the_program.workers; i++)
        threads[i] = sim_thread_new(program_worker, program_new_worker(each), false);
    for (unsigned i = 0; i < the_program.workers; i++)
        join(threads[i]);
    for (unsigned i = 0; i < sim.threads; i++) /* those that they have started */
        if (&sim.thread[i] != sim.self && !sim.thread[i].background)
            join(&sim.thread[i]);
}

/* Time passes; what is idle goes, and the library's thread with it. */
static void rest(void) {
    for (unsigned i = 0; i < 4; i++) {
        sim_sleep_until(sim_now_ns() + UINT64_C(12000000000));
        sim_op_begin("tick");
        fallow_tick();
        sim_op_end();
        sim_op_begin("give back");
        fallow_give_back();
        sim_op_end();
    }
}

void life_run(const life_plan *plan, life_figures *figures) {
    the_figures = figures;
    sim_begin(plan->seed);
    sim.logs = plan->logs;
    watch();
    sim_become_first();
    sim_system_begin(plan->nth_fault != 0);
    start_library(sim_one_in(SIM_WORK, 2));
    program_begin(plan->only, plan->signals);
    sim_memory_begin();
    if (plan->switches)
        sim_schedule_replay(plan->switches, plan->switch_count);
    sim_schedule_begin();
    if (plan->record_to)
        sim_schedule_record(plan->record_to);
    describe();
    if (plan->nth_fault)
        sim_faults_at(plan->nth_fault, (osmem_result)plan->nth_result);
    else
        sim_faults_begin();
    work();
    sim_faults_end();
    join(sim_thread_new(program_clean_up, NULL, false));
    rest();
    oracle_end();
    count();
    _exit(0);
}
