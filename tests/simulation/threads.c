/* SPDX-License-Identifier: MIT */
/*
 * threads.c: pthread_…, which the linker leads here (`--wrap`), on the threads of the world. A lock's owner
 * stands in the pthread_mutex_t itself, where glibc keeps it too, so that initialising one as text makes a
 * free one here as well.
 */
#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/system/lock.h"
#include "memory.h"
#include "schedule.h"

#define HERE __builtin_return_address(0)
#define HANDLERS_MAX 4
#define DESTRUCTOR_ROUNDS 4

static struct { void (*prepare)(void), (*parent)(void), (*child)(void); } handlers[HANDLERS_MAX];
static unsigned handler_count;

static void (*destructors[SIM_KEYS_MAX])(void *);
static unsigned key_count;

/* --- locks ---------------------------------------------------------------------------------------------- */

static int owner_number(const sim_thread *thread) {
    return (int)thread->id + 1;
}

sim_thread *sim_lock_owner(const void *mutex) {
    int owner = ((const pthread_mutex_t *)mutex)->__data.__owner;
    return owner ? &sim.thread[owner - 1] : NULL;
}

/* A shedder that is asked to free something may do whatever a program may. */
static bool counts(const pthread_mutex_t *mutex) {
    return ((const fl_lock *)mutex)->rank != FL_LOCK_SHED;
}

static void before(const void *mutex, const void *place, sim_kind kind) {
    sim_memory_settle();
    sim_point(kind, mutex, place);
    sim_memory_own(mutex, sizeof(pthread_mutex_t)); /* it may have been made just now */
}

/* On x86 a lock is taken by an instruction that empties the buffer. */
static void have(pthread_mutex_t *mutex) {
    if (sim.order == SIM_TOTAL_STORE_ORDER)
        sim_memory_release(sim.self);
    mutex->__data.__owner = owner_number(sim.self);
    sim.self->locks_held += counts(mutex);
}

static bool is_ignored(void) {
    return !sim.self || sim.deaf;
}

/* A second from when it begins to wait: between that and the look at the clock, the world's may have
 * jumped. */
static uint64_t in_a_second(void) {
    return sim_now_ns() + UINT64_C(1000000000);
}

static int take(pthread_mutex_t *mutex, bool in_time, const void *place) {
    if (is_ignored())
        return 0;
    before(mutex, place, SIM_LOCK);
    if (mutex->__data.__owner == owner_number(sim.self))
        return EDEADLK;
    uint64_t until_ns = in_time ? in_a_second() : 0;
    while (mutex->__data.__owner) {
        if (until_ns && sim_now_ns() >= until_ns)
            return ETIMEDOUT;
        sim_wait(mutex, until_ns);
        until_ns = sim.self->wakes_ns; /* which a jump of the clock has moved with it */
    }
    sim.self->wakes_ns = 0;
    have(mutex);
    return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *kind);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
    return take(mutex, false, HERE);
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex) {
    if (is_ignored())
        return 0;
    before(mutex, HERE, SIM_LOCK);
    if (mutex->__data.__owner)
        return EBUSY;
    have(mutex);
    return 0;
}

int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until) {
    (void)until;
    return take(mutex, true, HERE);
}

int __wrap_pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until) {
    (void)clock, (void)until;
    return take(mutex, true, HERE);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex) {
    if (is_ignored())
        return 0;
    before(mutex, HERE, SIM_UNLOCK);
    sim_memory_release(sim.self);
    if (mutex->__data.__owner != owner_number(sim.self)) {
        if (!sim.is_child) /* there, who was interrupted by the fork's signal drops a new lock */
            sim_fail("a lock is dropped by who does not hold it");
        return EPERM;
    }
    mutex->__data.__owner = 0;
    sim.self->locks_held -= counts(mutex);
    sim_wake(mutex);
    return 0;
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *kind) {
    (void)kind;
    *mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    return 0;
}

/* --- once ----------------------------------------------------------------------------------------------- */

enum { FRESH, BEGUN, DONE };

int __wrap_pthread_once(pthread_once_t *once, void (*body)(void));

int __wrap_pthread_once(pthread_once_t *once, void (*body)(void)) {
    before(once, HERE, SIM_LOCK);
    while (*once == BEGUN)
        sim_wait(once, 0);
    if (*once == DONE)
        return 0;
    *once = BEGUN;
    body();
    sim_memory_release(sim.self);
    *once = DONE;
    sim_wake(once);
    return 0;
}

/* --- threads and their keys ----------------------------------------------------------------------------- */

pthread_t __wrap_pthread_self(void);
int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);
void *__wrap_pthread_getspecific(pthread_key_t key);

pthread_t __wrap_pthread_self(void) {
    return (pthread_t)sim.self;
}

int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *)) {
    if (key_count == SIM_KEYS_MAX)
        return EAGAIN;
    destructors[key_count] = destructor;
    *key = key_count++;
    return 0;
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value) {
    sim.self->key_values[key] = (void *)value;
    return 0;
}

void *__wrap_pthread_getspecific(pthread_key_t key) {
    return sim.self->key_values[key];
}

void sim_keys_end(void) {
    for (unsigned round = 0; round < DESTRUCTOR_ROUNDS; round++)
        for (unsigned key = 0; key < key_count; key++) {
            void *value = sim.self->key_values[key];
            sim.self->key_values[key] = NULL;
            if (value && destructors[key])
                destructors[key](value);
            sim_memory_settle();
        }
}

/* --- fork ----------------------------------------------------------------------------------------------- */

int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
    if (handler_count == HANDLERS_MAX)
        return ENOMEM;
    handlers[handler_count].prepare = prepare;
    handlers[handler_count].parent = parent;
    handlers[handler_count++].child = child;
    return 0;
}

static void call_handlers(bool in_child) {
    for (unsigned i = 0; i < handler_count; i++)
        (in_child ? handlers[i].child : handlers[i].parent)();
    sim_memory_release(sim.self); /* the end of fork is a call of the system's */
}

bool sim_fork(void) {
    bool interrupted = sim.self->interrupted;
    sim.self->interrupted = true;
    for (unsigned i = handler_count; i-- > 0;)
        handlers[i].prepare();
    /* A kernel that forks has interrupted everybody: nothing is on its way any more. */
    sim_memory_release_all();
    pid_t child = fork();
    if (child < 0)
        sim_fail("no process for a fork");
    if (child == 0) {
        sim_watch_time();
        sim_be_alone();
        sim.is_child = true;
        call_handlers(true);
        sim.self->locks_held = 0;
        sim.self->interrupted = interrupted;
        return true;
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0)
        sim_fail("the child of a fork ended with status %d", status);
    call_handlers(false);
    sim.self->interrupted = interrupted;
    return false;
}
