/* SPDX-License-Identifier: MIT */
/*
 * System calls that malloc makes, by a filter that ends the process at any other: with
 * background_thread:0,container:0 nothing but what memory needs, ever after start; else the same until much
 * is idle.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/refuse.h"

#define MIB ((size_t)1 << 20)

#ifdef __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

/* A handler, for the name of what was refused: the process ends all the same. */
static void tell(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    int call = info->si_syscall;
    char text[] = "system call 000\n";
    for (int at = 14; call && at >= 12; at--, call /= 10)
        text[at] = (char)('0' + call % 10);
    syscall(SYS_write, 2, text, sizeof text - 1);
    syscall(SYS_exit_group, 9);
}

/* Of memory, and what the program itself needs: threads and its own end. */
static bool confine(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(mmap),
        ALLOW(munmap),
        ALLOW(mprotect),
        ALLOW(madvise),
        ALLOW(mremap),
        ALLOW(futex),
        ALLOW(clone3),
        ALLOW(clone),
        ALLOW(wait4),
        ALLOW(set_robust_list),
        ALLOW(rseq),
        ALLOW(rt_sigprocmask),
        ALLOW(rt_sigaction),
        ALLOW(exit),
        ALLOW(exit_group),
        ALLOW(write),
        ALLOW(rt_sigreturn),
        ALLOW(sched_yield),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    struct sigaction action = {.sa_sigaction = tell, .sa_flags = SA_SIGINFO};
    CHECK_EQUAL(sigaction(SIGSYS, &action, NULL), 0);
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

static size_t most; /* bytes in use at a time, of each thread */

static void *work(void *number) {
    uint64_t random = (uint64_t)(uintptr_t)number;
    enum { BLOCKS = 600 };
    void *blocks[BLOCKS] = {0};
    size_t bytes[BLOCKS] = {0}, used = 0;
    for (int i = 0; i < 60000; i++) {
        size_t at = check_random(&random) % BLOCKS,
               wanted = check_random(&random) % (i % 40 || most < MIB ? 3000 : 200000);
        used -= bytes[at];
        if (used + wanted > most)
            wanted = 10;
        if (i % 3 == 0) {
            void *moved = realloc(blocks[at], wanted + 1);
            CHECK(moved);
            blocks[at] = moved;
        } else {
            free(blocks[at]);
            blocks[at] = i % 3 == 1 ? malloc(wanted) : calloc(1, wanted);
            CHECK(blocks[at]);
        }
        bytes[at] = wanted;
        used += wanted;
        memset(blocks[at], 1, wanted);
    }
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    return NULL;
}

static void work_in_threads(void) {
    pthread_t threads[3];
    for (int round = 0; round < 4; round++) {
        for (uintptr_t i = 0; i < 3; i++)
            CHECK_EQUAL(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
        for (int i = 0; i < 3; i++)
            CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    }
}

static void fork_once(void) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        free(malloc(100000));
        syscall(SYS_exit_group, 0);
    }
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
}

static void anything(void) {
    most = 64 * MIB;
    work_in_threads();
    fork_once();
    for (int round = 0; round < 20; round++) {
        static char *blocks[300];
        for (int i = 0; i < 300; i++)
            blocks[i] = memset(malloc(MIB / 2), 1, MIB / 2);
        for (int i = 0; i < 300; i++)
            free(blocks[i]);
        free(realloc(memset(malloc(40 * MIB), 1, 40 * MIB), 90 * MIB));
    }
}

static void little(void) {
    most = MIB / 4;
    work_in_threads();
}

static void in_a_sandbox(void (*body)(void)) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (!confine())
            _exit(77);
        body();
        _exit(0);
    }
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    if (status == 77 << 8) {
        printf("skipped: no filters here\n");
        exit(77);
    }
    CHECK_EQUAL(status, 0);
}

static void sandbox_little_by_default(void) {
    in_a_sandbox(little);
}

static void sandbox_everything_where_nothing_else_is_wanted(void) {
    in_a_sandbox(anything);
}

/* Refused, not fatal: all works, and with verbose:1 a line says it. */
static void use_without(void) {
    if (!refuse_calls(SYS_membarrier, SYS_membarrier, EPERM))
        _exit(77);
    execl("/proc/self/exe", "sandbox_test", "without", NULL);
    _exit(1);
}

static void sandbox_says_what_is_refused(void) {
    int ends[2], status;
    char text[1024];
    fflush(stdout);
    CHECK_EQUAL(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        use_without();
    }
    close(ends[1]);
    ssize_t length = read(ends[0], text, sizeof text - 1);
    text[length > 0 ? length : 0] = '\0';
    close(ends[0]);
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK(status == 0 || status == 77 << 8);
    CHECK(status || (strstr(text, "fallow: refused by the system: membarrier") && strchr(text, '\n')));
}

/* Begins again under other options. */
static void go_on_with(const char *options, char **argv) {
    fflush(stdout);
    setenv("FALLOW_OPTIONS", options, 1);
    execv(argv[0], argv);
    _exit(1);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "without") == 0) {
        anything();
        return 0;
    }
    const char *options = getenv("FALLOW_OPTIONS");
    (void)argc;
    if (!options) {
        RUN(sandbox_little_by_default);
        go_on_with("background_thread:0,container:0", argv);
    }
    if (strstr(options, "container")) {
        RUN(sandbox_everything_where_nothing_else_is_wanted);
        go_on_with(strstr(options, "guard") ? "verbose:1"
                                            : "background_thread:0,container:0,guard_sampling:20",
                   argv);
    }
    RUN(sandbox_says_what_is_refused);
    return 0;
}
