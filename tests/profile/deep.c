/* SPDX-License-Identifier: MIT */
/* deep.c: a known leak through five functions, for a program whose functions keep no frame pointers. It leaks
 * on, until it is ended; by its argument, where: in main's thread, or in one with a stack of 16 KiB (thread);
 * many short ones that end at once (short), on a signal's stack (signal), on a coroutine's (coroutine); main
 * beside a child of its own, forked again and again (fork). It says so when it has begun. A secret lies on
 * its stack. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static void *volatile last;
static volatile int one = 1;

/* Each has work behind its call, and a local buffer, so that no call is a jump and no two frames are
 * alike. */
static __attribute__((noinline)) void fifth(size_t bytes) {
    volatile char secret[48];
    for (int i = 0; i < 48; i++)
        secret[i] = (char)(one + i * 7 % 48 + 64);
    last = malloc(bytes);
    one = secret[0] - 64;
}

#define CALLS(name, next, bytes_of_room)                       \
    static __attribute__((noinline)) void name(size_t bytes) { \
        volatile char room[bytes_of_room];                     \
        room[0] = (char)one;                                   \
        next(bytes);                                           \
        one = room[0];                                         \
    }
CALLS(fourth, fifth, 24)
CALLS(third, fourth, 200)
CALLS(second, third, 56)
CALLS(leak, second, 104)

static void nap(long ns) {
    struct timespec time = {0, ns};
    nanosleep(&time, NULL);
}

static __attribute__((noinline)) void rounds(int count) {
    for (int i = 0; i != count; i++) {
        leak(1000);
        nap(200000);
    }
    one = 1;
}

static void *forever(void *unused) {
    rounds(-1);
    return unused;
}

static void *once(void *unused) {
    rounds(2);
    return unused;
}

static void on_signal(int number) {
    (void)number;
    rounds(-1);
}

static ucontext_t home, away;
static void in_coroutine(void) {
    rounds(-1);
}

static void in_threads(void *(*what)(void *), size_t stack_bytes) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    for (;;) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, what, NULL) == 0)
            pthread_join(thread, NULL);
    }
}

static void with_children(void) {
    for (pid_t child = 0;;) {
        rounds(100);
        if (child > 0) {
            kill(child, SIGKILL);
            waitpid(child, NULL, 0);
        }
        child = fork();
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL); /* it must not outlive the test */
            for (;;)
                pause();
        }
    }
}

int main(int count, char **arguments) {
    const char *how = count > 1 ? arguments[1] : "main";
    puts("begun");
    fflush(stdout);
    char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!strcmp(how, "thread"))
        in_threads(forever, 16384);
    else if (!strcmp(how, "short"))
        in_threads(once, 16384);
    else if (!strcmp(how, "signal")) {
        sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = 65536}, NULL);
        sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal, .sa_flags = SA_ONSTACK}, NULL);
        raise(SIGUSR1);
    } else if (!strcmp(how, "coroutine")) {
        getcontext(&away);
        away.uc_stack.ss_sp = stack;
        away.uc_stack.ss_size = 65536;
        away.uc_link = &home;
        makecontext(&away, in_coroutine, 0);
        swapcontext(&home, &away);
    } else if (!strcmp(how, "fork"))
        with_children();
    else
        rounds(-1);
    return 0;
}
