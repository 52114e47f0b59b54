/* SPDX-License-Identifier: MIT */
/*
 * fallow's own thread is a guest in the program: normal policy and all processors, whoever brought it; no
 * number of the program's descriptors; room for the program's thread-local storage; gone when main ends by
 * pthread_exit. The program's own threads open nothing after start. And with address randomization switched
 * off, addresses are the same in each run.
 *
 * The program runs itself once for each scene. What the kernel is asked is seen by a thread that answers for
 * the filter of system calls of all others.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/resident.h"

#define SKIPPED 77

/* More than a small stack holds, and less than is refused for it. */
static _Thread_local volatile char static_storage[116 << 10];

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

enum { BLOCKS = 100 };

static void burst(size_t bytes) {
    char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(bytes);
        CHECK(blocks[i]);
        memset(blocks[i], 1, bytes);
    }
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static pid_t program_threads[2];

static void *burst_in_thread(void *unused) {
    program_threads[1] = gettid();
    burst(1 << 20);
    return unused;
}

/* The thread that is not one of ours. */
static pid_t find_guest(void) {
    for (double end_s = now_s() + 10; now_s() < end_s; rest_ms(1)) {
        pid_t found = 0;
        DIR *tasks = opendir("/proc/self/task");
        CHECK(tasks);
        for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
            pid_t tid = atoi(entry->d_name);
            if (tid && tid != getpid() && tid != program_threads[1])
                found = tid;
        }
        closedir(tasks);
        if (found)
            return found;
    }
    CHECK(!"a guest");
    return 0;
}

static void *be_difficult(void *unused) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    CHECK_EQUAL(sched_setaffinity(0, sizeof one, &one), 0);
    struct sched_param first = {.sched_priority = 1};
    if (sched_setscheduler(0, SCHED_FIFO, &first))
        printf("no SCHED_FIFO here\n");
    return burst_in_thread(unused);
}

static void scene_pinned(void) {
    cpu_set_t all, its;
    pthread_t thread;
    CHECK_EQUAL(sched_getaffinity(0, sizeof all, &all), 0);
    CHECK_EQUAL(pthread_create(&thread, NULL, be_difficult, NULL), 0);
    pthread_join(thread, NULL);
    pid_t tid = find_guest();
    bool right = false; /* it sees to that itself, when it first runs */
    for (double end_s = now_s() + 10; !right && now_s() < end_s; rest_ms(1))
        right = sched_getscheduler(tid) == SCHED_OTHER && sched_getaffinity(tid, sizeof its, &its) == 0 &&
                CPU_EQUAL(&all, &its);
    CHECK(right);
}

static void scene_numbers(void) {
    int first = open("/dev/null", O_RDONLY);
    close(first);
    for (double end_s = now_s() + 5; now_s() < end_s;) {
        burst(1 << 20);
        for (int i = 0; i < 300000; i++) {
            int file = open("/dev/null", O_RDONLY);
            CHECK_EQUAL(file, first);
            CHECK_EQUAL(close(file), 0);
        }
    }
    CHECK(fcntl(0, F_GETFD) >= 0 && fcntl(1, F_GETFD) >= 0); /* and none was closed */
}

/* Who asks the kernel for what. */
static int listener = -1;
static volatile unsigned by_program, by_guest;
static int answer; /* 0: the kernel goes on */

static void *watch(void *unused) {
    while (listener < 0)
        rest_ms(1);
    for (;;) {
        struct seccomp_notif asked;
        memset(&asked, 0, sizeof asked);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked))
            continue;
        pid_t who = (pid_t)asked.pid;
        if (who == program_threads[0] || who == program_threads[1])
            by_program++;
        else
            by_guest++;
        struct seccomp_notif_resp reply = {.id = asked.id, .error = answer};
        if (!answer)
            reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
    }
    return unused;
}

/* From here on, in the calling thread and those that it makes. */
static void watch_calls(unsigned call, unsigned other) {
    pthread_t watcher;
    CHECK_EQUAL(pthread_create(&watcher, NULL, watch, NULL), 0);
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, other, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    program_threads[0] = gettid();
    CHECK_EQUAL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    long got = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
    if (got < 0)
        _exit(SKIPPED);
    listener = (int)got;
}

static volatile bool worker_stops;

static void *use_small(void *unused) {
    enum { SMALL = 40000 };
    static char *blocks[SMALL];
    program_threads[1] = gettid();
    while (!worker_stops) {
        for (int i = 0; i < SMALL; i++)
            blocks[i] = memset(malloc(1000), 1, 1000);
        for (int i = 0; i < SMALL; i++)
            free(blocks[i]);
        rest_ms(10);
    }
    return unused;
}

static void scene_files(void) {
    pthread_t worker;
    bool has_guest = getenv("FALLOW_OPTIONS") == NULL;
    watch_calls(SYS_openat, SYS_open);
    CHECK_EQUAL(pthread_create(&worker, NULL, use_small, NULL), 0);
    for (double end_s = now_s() + 2.5; now_s() < end_s; rest_ms(5))
        burst(1 << 20);
    worker_stops = true;
    pthread_join(worker, NULL);
    CHECK_EQUAL(by_program, 0);
    CHECK_EQUAL(by_guest > 0, has_guest); /* else nothing was seen */
}

static void scene_refused(void) {
    watch_calls(SYS_clone3, SYS_clone);
    answer = -EAGAIN;
    double start_s = now_s();
    while (now_s() < start_s + 2.5)
        burst(1 << 20);
    double passed_s = now_s() - start_s;
    printf("%u threads refused in %.1f s\n", by_program, passed_s);
    CHECK(by_program >= 1);
    /* The C library asks for each in two ways. */
    CHECK(by_program <= 2 * (unsigned)(passed_s + 1));
}

static pid_t guest;

static void at_exit(void) {
    volatile char room[200 << 10];
    for (size_t i = 0; i < sizeof room; i += 4096)
        room[i] = 1;
    if (gettid() != guest)
        printf("said at exit\n"); /* flushed later still */
}

static void scene_main_ends(void) {
    pthread_t thread;
    atexit(at_exit);
    CHECK_EQUAL(pthread_create(&thread, NULL, burst_in_thread, NULL), 0);
    pthread_join(thread, NULL);
    guest = find_guest();
    pthread_exit(NULL);
}

static void scene_addresses(void) {
    for (size_t bytes = 100; bytes < 1 << 20; bytes *= 10)
        printf("%p\n", malloc(bytes));
}

static void scene_storage(void) {
    enum { SMALL = 100000 };
    static char *blocks[SMALL];
    burst(1 << 20);
    for (int i = 0; i < SMALL; i++)
        blocks[i] = memset(malloc(1000), 1, 1000);
    for (int i = 0; i < SMALL; i++)
        if (i % 50)
            free(blocks[i]);
    find_guest();
    rest_ms(1500);
    CHECK_EQUAL(static_storage[1000], 0);
}

static const struct scene {
    const char *name;
    void (*play)(void);
    const char *options;
} scenes[] = {
    {"pinned", scene_pinned, NULL},       {"numbers", scene_numbers, NULL},
    {"files", scene_files, NULL},         {"files", scene_files, "background_thread:0"},
    {"refused", scene_refused, NULL},     {"storage", scene_storage, NULL},
    {"main_ends", scene_main_ends, NULL}, {"addresses", scene_addresses, NULL},
};

/* Returns its status; and what it printed. */
static int run(const char *self, const struct scene *scene, unsigned long persona, char *text, size_t bytes) {
    int ends[2], status;
    CHECK_EQUAL(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (persona && personality(persona) < 0)
            _exit(SKIPPED);
        if (scene->options)
            setenv("FALLOW_OPTIONS", scene->options, 1);
        else
            unsetenv("FALLOW_OPTIONS");
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        execl(self, self, scene->name, (char *)NULL);
        _exit(2);
    }
    close(ends[1]);
    size_t got = 0;
    for (ssize_t part; (part = read(ends[0], text + got, bytes - 1 - got)) > 0;)
        got += (size_t)part;
    text[got] = '\0';
    close(ends[0]);
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    return status;
}

int main(int argc, char **argv) {
    char text[4096], again[4096];
    size_t count = sizeof scenes / sizeof *scenes;
    for (size_t i = 0; argc > 1 && i < count; i++)
        if (strcmp(argv[1], scenes[i].name) == 0) {
            scenes[i].play();
            return 0;
        }
    for (size_t i = 0; i < count; i++) {
        const struct scene *it = &scenes[i];
        bool addresses = it->play == scene_addresses;
        int status = run(argv[0], it, addresses ? ADDR_NO_RANDOMIZE : 0, text, sizeof text);
        if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
            printf("skipped guest_%s: refused here\n", it->name);
            continue;
        }
        if (status)
            printf("guest_%s: status 0x%x, said: %s\n", it->name, (unsigned)status, text);
        CHECK_EQUAL(status, 0);
        if (it->play == scene_main_ends)
            CHECK(strcmp(text, "said at exit\n") == 0);
        if (addresses) {
            CHECK_EQUAL(run(argv[0], it, ADDR_NO_RANDOMIZE, again, sizeof again), 0);
            CHECK(*text && strcmp(text, again) == 0);
        }
        printf("ok guest_%s %s\n", it->name, it->options ? it->options : "");
        fflush(stdout);
    }
    return 0;
}
