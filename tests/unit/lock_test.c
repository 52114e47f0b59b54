/* SPDX-License-Identifier: MIT */
/*
 * The order of locks, which a checking build verifies; and fork, which finds all of them free.
 *
 * Usage: lock_test [FORKS]
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/slab/arenas.h"
#include "../../src/system/lock.h"
#include "../lib/check.h"
#include "../lib/stops.h"
#include "fallow/fallow.h"

#define ROW(name, kind, text, what) {#kind, text},
static const struct { const char *kind, *text; } table[] = {FL_LOCKS(ROW)};

static void expect_wrong_order(void (*run)(void), const char *first, const char *second) {
    int signal_number;
    const char *text = last_words(run, &signal_number);
    if (FL_CHECKS < 2) {
        CHECK_EQUAL(signal_number, 0);
        return;
    }
    CHECK_EQUAL(signal_number, SIGABRT);
    CHECK(strncmp(text, "fallow: ", 8) == 0 && strchr(text, '\n') == text + strlen(text) - 1);
    CHECK(strstr(text, first) && strstr(text, second));
}

static void take_upwards(void) {
    fl_lock_take(fl_lock_of(FL_LOCK_WINDOW));
    fl_lock_take(fl_lock_of(FL_LOCK_THREADS));
}

static void take_two_of_a_kind(void) {
    fl_lock one, other;
    fl_lock_init(&one, FL_LOCK_PAGES);
    fl_lock_init(&other, FL_LOCK_PAGES);
    fl_lock_take(&one);
    fl_lock_take(&other);
}

/* An object's lock, under one that the process has once, with others taken and dropped before and between. */
static void take_an_objects_upwards(void) {
    fl_lock pages;
    fl_lock_init(&pages, FL_LOCK_PAGES);
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS));
    fl_lock_take(&pages);
    fl_lock_take(fl_lock_of(FL_LOCK_META));
    fl_lock_drop(&pages);
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
    fl_lock_take(&pages);
}

static void drop_what_is_not_held(void) {
    fl_lock_drop(fl_lock_of(FL_LOCK_LEDGER));
}

static void lock_wrong_order_names_both(void) {
    expect_wrong_order(take_upwards, "'threads'", "'window'");
    expect_wrong_order(take_two_of_a_kind, "'pages'", "'pages'");
    expect_wrong_order(take_an_objects_upwards, "'pages'", "'meta'");
    expect_wrong_order(drop_what_is_not_held, "ledger", "not held");
}

/* All of them together, in their order; those of shedders, one in the other. */
static void lock_right_order_is_silent(void) {
    fl_lock sheds[2];
    for (int i = 0; i < 2; i++) {
        fl_lock_init_checking(&sheds[i], FL_LOCK_SHED);
        CHECK(fl_lock_take_unless_mine(&sheds[i]));
        CHECK(!fl_lock_take_unless_mine(&sheds[i]));
    }
    for (int rank = FL_LOCK_THREADS; rank < FL_LOCK_COUNT; rank++)
        if (strcmp(table[rank].kind, "ONE") == 0)
            fl_lock_take(fl_lock_of((fl_rank)rank));
    CHECK(fl_lock_is_mine(fl_lock_of(FL_LOCK_META)));
    CHECK(FL_CHECKS < 2 || !fl_lock_is_mine(fl_lock_of(FL_LOCK_FORK)));
    for (int rank = FL_LOCK_THREADS; rank < FL_LOCK_COUNT; rank++)
        if (strcmp(table[rank].kind, "ONE") == 0)
            fl_lock_drop(fl_lock_of((fl_rank)rank));
    for (int i = 0; i < 2; i++)
        fl_lock_drop(&sheds[i]);
}

/* What is left in the child of a handler's fork that came between having a lock and writing that down: free,
 * with an owner. */
static void lock_that_is_free_is_had_whoever_it_names(void) {
#if defined(__GLIBC__) && !defined(__SANITIZE_THREAD__)
    fl_lock lock;
    fl_lock_init(&lock, FL_LOCK_PAGES);
    for (int in_time = 0; in_time < 2; in_time++) {
        lock.mutex.__data.__owner = (int)gettid();
        if (in_time) {
            CHECK_EQUAL(fl_lock_take_in_time(&lock, 1000), FL_LOCK_HAD);
            CHECK_EQUAL(fl_lock_take_in_time(&lock, 1000), FL_LOCK_MINE);
            pthread_mutex_unlock(&lock.mutex);
        } else {
            fl_lock_take(&lock);
            fl_lock_drop(&lock);
        }
        CHECK_EQUAL(pthread_mutex_trylock(&lock.mutex), 0);
        pthread_mutex_unlock(&lock.mutex);
    }
    fl_lock_init_checking(&lock, FL_LOCK_SHED);
    lock.mutex.__data.__owner = (int)gettid();
    CHECK(fl_lock_take_unless_mine(&lock));
    fl_lock_drop(&lock);
#endif
}

static fallow_arena *arenas[3];
static _Atomic int stop;
static int forks_beside = 300; /* of threads that take all locks */

static fl_lock *lock_number(unsigned i) {
    if (i < FL_LOCK_COUNT)
        return strcmp(table[i].kind, "ONE") == 0 ? fl_lock_of((fl_rank)i) : NULL;
    fallow_arena *arena = fl_arena_find(arenas[(i - FL_LOCK_COUNT) / 3]);
    fl_lock *of_arena[] = {&arena->heaps_lock, &arena->lists_lock, &arena->pages.lock};
    return of_arena[(i - FL_LOCK_COUNT) % 3];
}

#define LOCKS (FL_LOCK_COUNT + 9)

/* How many of all locks cannot be taken. */
static unsigned stuck(void) {
    unsigned count = 0;
    for (unsigned i = 0; i < LOCKS; i++) {
        fl_lock *lock = lock_number(i);
        if (!lock)
            continue;
        if (fl_lock_try(lock))
            fl_lock_drop(lock);
        else
            count++;
    }
    return count;
}

/* A child's end: past ThreadSanitizer, which would miss the parent's threads. */
static void leave(void) {
    syscall(SYS_exit_group, stuck() > 0);
}

/* One after the other, and some inside others, all the time. */
static void *take_all(void *unused) {
    (void)unused;
    while (!stop)
        for (unsigned i = FL_LOCK_THREADS; i < LOCKS; i++) {
            if (!lock_number(i))
                continue;
            fl_lock_take(lock_number(i));
            if (i < FL_LOCK_LEDGER) {
                fl_lock_take(fl_lock_of(FL_LOCK_LEDGER));
                fl_lock_drop(fl_lock_of(FL_LOCK_LEDGER));
            }
            fl_lock_drop(lock_number(i));
        }
    return NULL;
}

static void expect_good_child(pid_t child) {
    int status;
    CHECK(child > 0);
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
}

static void fork_leaves_all_locks_usable(void) {
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, take_all, NULL), 0);
    for (int round = 0; round < forks_beside; round++) {
        pid_t child = fork();
        if (child == 0)
            leave();
        expect_good_child(child);
    }
    stop = 1;
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    CHECK_EQUAL(stuck(), 0);
}

static volatile pid_t child_of_handler; /* raise is said to call nothing back */

static void fork_in_handler(int number) {
    (void)number;
    child_of_handler = fork();
}

/* In the child all are new, the one that its thread was interrupted with too, and going on with it does no
 * harm; in the parent that one is as it was. */
static void fork_in_a_handler_leaves_what_was_interrupted(void) {
    CHECK(signal(SIGUSR1, fork_in_handler) != SIG_ERR);
    for (unsigned i = FL_LOCK_THREADS; i < LOCKS; i++) {
        fl_lock *lock = lock_number(i);
        if (!lock)
            continue;
        fl_lock_take(lock);
        raise(SIGUSR1);
        if (child_of_handler == 0) {
            fl_lock_drop(lock);
            leave();
        }
        CHECK(!fl_lock_try(lock));
        fl_lock_drop(lock);
        CHECK_EQUAL(stuck(), 0);
        expect_good_child(child_of_handler);
    }
}

static void *count_stuck(void *count) {
    *(unsigned *)count = stuck();
    return NULL;
}

/* For another thread. */
static unsigned closed(void) {
    pthread_t thread;
    unsigned count;
    CHECK_EQUAL(pthread_create(&thread, NULL, count_stuck, &count), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    return count;
}

/* A fork inside another's preparation, as a signal handler could bring it about: for others all stays closed,
 * and who forks may use the heap. This handler was registered before fallow's, hence runs when that has
 * closed all. (The thread that looks has no thread-local storage of its own to be made: that is had
 * before.) */
static int forks;
static unsigned closed_inside, closed_after, stuck_inside;

static void fork_once_more(void) {
    if (forks != 1)
        return;
    forks = 2;
    closed_inside = closed();
    stuck_inside = stuck();
    fallow_arena_free(arenas[0], fallow_arena_alloc(arenas[0], 1000000));
    pid_t child = fork();
    if (child == 0)
        leave();
    closed_after = closed();
    expect_good_child(child);
}

static void fork_inside_a_fork_keeps_all_closed(void) {
    forks = 1;
    pid_t child = fork();
    if (child == 0)
        leave();
    expect_good_child(child);
    CHECK(closed_inside > FL_LOCK_COUNT / 2);
    CHECK_EQUAL(closed_after, closed_inside);
    CHECK_EQUAL(stuck_inside, 1); /* that of forks */
    CHECK_EQUAL(closed(), 0);
}

/* Somebody who holds a lock for longer than a fork would like is waited for, also if others want to fork. */
static void *hold_long(void *lock) {
    fl_lock_take(lock);
    stop = 2;
    usleep(1500000);
    stop = 3;
    fl_lock_drop(lock);
    return NULL;
}

static void *fork_too(void *unused) {
    (void)unused;
    pid_t child = fork();
    if (child == 0)
        leave();
    expect_good_child(child);
    return NULL;
}

static void fork_waits_for_who_holds_a_lock_long(void) {
    pthread_t holder, other;
    stop = 0;
    CHECK_EQUAL(pthread_create(&holder, NULL, hold_long, &fl_arena_find(arenas[0])->pages.lock), 0);
    while (!stop)
        sched_yield();
    CHECK_EQUAL(pthread_create(&other, NULL, fork_too, NULL), 0);
    pid_t child = fork();
    CHECK(child == 0 || stop == 3); /* it is over */
    if (child == 0)
        leave();
    expect_good_child(child);
    CHECK_EQUAL(pthread_join(holder, NULL), 0);
    CHECK_EQUAL(pthread_join(other, NULL), 0);
}

/* One forks and finds a lock held by another, which a signal handler has interrupted that forks as well: both
 * are done soon. */
static void fork_lets_who_was_interrupted_pass(void) {
    pthread_t other;
    stop = 0;
    fl_lock_take(&fl_arena_find(arenas[0])->pages.lock);
    CHECK_EQUAL(pthread_create(&other, NULL, fork_too, NULL), 0);
    usleep(20000); /* until it waits for that lock: if it does not yet, nothing is tried */
    child_of_handler = -1;
    raise(SIGUSR1);
    if (child_of_handler == 0) {
        fl_lock_drop(&fl_arena_find(arenas[0])->pages.lock);
        leave();
    }
    fl_lock_drop(&fl_arena_find(arenas[0])->pages.lock);
    expect_good_child(child_of_handler);
    CHECK_EQUAL(pthread_join(other, NULL), 0);
}

/* A child that was made by hand while fallow's own thread held locks, of which it hears nothing. */
__attribute__((unused)) static void *hold_as_the_guest(void *unused) {
    (void)unused;
    fl_locks_know_guest((uint32_t)gettid());
    fl_lock_take(&fl_arena_find(arenas[0])->pages.lock);
    fl_lock_take(fl_lock_of(FL_LOCK_META));
    stop = 2;
    while (stop == 2)
        usleep(1000);
    fl_lock_drop(fl_lock_of(FL_LOCK_META));
    fl_lock_drop(&fl_arena_find(arenas[0])->pages.lock);
    return NULL;
}

static void child_made_by_hand_takes_over_from_the_guest(void) {
#if defined(__GLIBC__) && !defined(__SANITIZE_THREAD__)
    pthread_t holder;
    stop = 0;
    CHECK_EQUAL(pthread_create(&holder, NULL, hold_as_the_guest, NULL), 0);
    while (stop != 2)
        sched_yield();
    for (int forks_itself = 0; forks_itself < 2; forks_itself++) {
        pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        if (child == 0) {
            alarm(20);
            if (forks_itself) {
                pid_t its = fork();
                if (its == 0)
                    leave();
                int status;
                syscall(SYS_exit_group, waitpid(its, &status, 0) != its || status);
            }
            for (size_t i = 0; i < 200; i++)
                fallow_arena_free(arenas[0], fallow_arena_alloc(arenas[0], i * 5000));
            leave();
        }
        expect_good_child(child);
    }
    stop = 0;
    CHECK_EQUAL(pthread_join(holder, NULL), 0);
    fl_locks_know_guest(0);
#endif
}

int main(int argc, char **argv) {
    if (argc > 1)
        forks_beside = atoi(argv[1]);
    CHECK(forks_beside > 0);
    CHECK_EQUAL(pthread_atfork(fork_once_more, NULL, NULL), 0);
    for (int i = 0; i < 3; i++)
        CHECK((arenas[i] = fallow_arena_create("locks", 0)) != NULL);
    RUN(lock_right_order_is_silent);
    RUN(lock_that_is_free_is_had_whoever_it_names);
    if (FL_CHECKS >= 2)
        RUN(lock_wrong_order_names_both);
    else
        printf("skipped lock_wrong_order_names_both: a build without checks\n");
    RUN(fork_leaves_all_locks_usable);
    RUN(fork_in_a_handler_leaves_what_was_interrupted);
    RUN(fork_inside_a_fork_keeps_all_closed);
    RUN(fork_waits_for_who_holds_a_lock_long);
    RUN(fork_lets_who_was_interrupted_pass);
    RUN(child_made_by_hand_takes_over_from_the_guest);
    return 0;
}
