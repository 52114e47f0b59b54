/* SPDX-License-Identifier: MIT */
/*
 * Ways to make a process that deadlock other allocators: fork while others hold the locks of stdio, fork and
 * _Fork from a signal handler that has interrupted malloc, exit from one; vfork and posix_spawn from many
 * threads. Each in a process of its own.
 */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../lib/check.h"

static _Atomic int stop;

static void expect_exit(pid_t child, int wanted) {
    int status;
    CHECK(child > 0);
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQUAL(WEXITSTATUS(status), wanted);
}

static void allocate_a_little(void) {
    char *blocks[100];
    for (size_t i = 0; i < 100; i++)
        blocks[i] = memset(malloc(i * 50 + 1), 1, i * 50 + 1);
    for (size_t i = 0; i < 100; i++)
        free(blocks[i]);
}

static ssize_t write_and_allocate(void *cookie, const char *text, size_t bytes) {
    (void)cookie, (void)text;
    for (size_t i = 1; i < 30; i++)
        free(malloc(i * 100000)); /* slow paths, with locks */
    return (ssize_t)bytes;
}

/* fflush(NULL) holds the list of all streams while this stream's own function allocates. */
static void *flush_all(void *unused) {
    (void)unused;
    while (!stop) {
        FILE *stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_and_allocate});
        for (int i = 0; i < 50; i++) {
            fprintf(stream, "%0500d", i);
            fflush(NULL);
        }
        fclose(stream);
    }
    return NULL;
}

static void fork_while_others_hold_stdio(void) {
    pthread_t threads[3];
    stop = 0;
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, flush_all, NULL), 0);
    for (int i = 0; i < 300; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            allocate_a_little();
            FILE *null = fopen("/dev/null", "w");
            fprintf(null, "%d", i);
            fclose(null);
            _exit(7);
        }
        expect_exit(child, 7);
    }
    stop = 1;
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
}

/* A signal comes at some moment while this thread is in malloc and free, in slow paths too; the next when it
 * is there again. */
static _Atomic int forks;
static timer_t timer;
static pid_t first_process;

static void interrupt_with(void (*handler)(int)) {
    first_process = getpid();
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_EQUAL(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
}

static void allocate_until(int count) {
    uint64_t random = 1;
    void *blocks[200] = {0};
    for (int seen = -1; forks < count;) {
        if (seen != forks) {
            struct itimerspec soon = {{0, 0}, {0, 1000 + (long)(check_random(&random) % 100000)}};
            seen = forks;
            CHECK(timer_settime(timer, 0, &soon, NULL) == 0 ||
                  getpid() != first_process); /* children have none */
        }
        size_t i = check_random(&random) % 200;
        free(blocks[i]);
        blocks[i] = malloc(check_random(&random) % (i % 10 ? 9000 : 700000));
    }
}

static void fork_in_handler(int number) {
    pid_t child = fork();
    (void)number;
    if (child == 0) {
        signal(SIGUSR1, SIG_IGN);
        _exit(7); /* at once: what was interrupted is not to be used in here */
    }
    if (child > 0)
        waitpid(child, NULL, 0);
    forks++;
}

static void underscore_fork_in_handler(int number) {
    pid_t child = _Fork();
    (void)number;
    if (child == 0)
        _exit(7);
    if (child > 0)
        waitpid(child, NULL, 0);
    forks++;
}

static void fork_in_a_handler_that_interrupts_malloc(void) {
    interrupt_with(fork_in_handler);
    allocate_until(400);
}

static void underscore_fork_in_a_handler(void) {
    interrupt_with(underscore_fork_in_handler);
    allocate_until(400);
}

/* The child goes on where the parent was interrupted: its malloc is as good as the parent's. */
static void fork_and_go_on_in_handler(int number) {
    (void)number;
    if (getpid() != first_process || forks >= 100)
        return;
    pid_t child = fork();
    if (child == 0) {
        alarm(120);
        signal(SIGUSR1, SIG_IGN);
        forks = 1000; /* leaves the loop, which then allocates no more; the caller does */
        return;
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
        _exit(3);
    forks++;
}

static void fork_in_a_handler_and_go_on(void) {
    interrupt_with(fork_and_go_on_in_handler);
    allocate_until(100);
    if (getpid() != first_process) {
        allocate_a_little();
        _exit(7);
    }
}

static void exit_in_handler(int number) {
    (void)number;
    exit(7);
}

static void exit_in_a_handler_that_interrupts_malloc(void) {
    for (int i = 0; i < 100; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            forks = 0;
            interrupt_with(exit_in_handler);
            allocate_until(1);
        }
        expect_exit(child, 7);
    }
}

static void *spawn_many(void *unused) {
    extern char **environ;
    (void)unused;
    for (int i = 0; i < 30; i++) {
        char *arguments[] = {"true", NULL};
        pid_t child;
        CHECK_EQUAL(posix_spawnp(&child, "true", NULL, NULL, arguments, environ), 0);
        expect_exit(child, 0);
        child = vfork();
        if (child == 0)
            _exit(7);
        expect_exit(child, 7);
        allocate_a_little();
    }
    return NULL;
}

static void spawn_and_vfork_from_many_threads(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, spawn_many, NULL), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
}

/* Each in a process of its own, and not for ever. */
static void in_a_process(const char *name, void (*test)(void)) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(120);
        test();
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    if (status) {
        fprintf(stderr, "%s: status %d%s\n", name, status,
                WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? " (it hung)" : "");
        exit(1);
    }
    printf("ok %s\n", name);
}

#define IN_A_PROCESS(test) in_a_process(#test, test)

int main(void) {
    IN_A_PROCESS(fork_while_others_hold_stdio);
    IN_A_PROCESS(fork_in_a_handler_that_interrupts_malloc);
    IN_A_PROCESS(underscore_fork_in_a_handler);
    IN_A_PROCESS(fork_in_a_handler_and_go_on);
    IN_A_PROCESS(exit_in_a_handler_that_interrupts_malloc);
    IN_A_PROCESS(spawn_and_vfork_from_many_threads);
    return 0;
}
