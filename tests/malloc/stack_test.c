/* SPDX-License-Identifier: MIT */
/*
 * How much stack malloc and its family need at most, on slow paths too: every call runs on a stack of its own
 * that is painted before and looked at after it. What is not measured: the making of fallow's own thread, and
 * reports that end the process.
 *
 * And threads with the least stack that there is run through slow paths, fallow's thread started on the way.
 *
 * The program runs itself once for each set of options. The figure is that of fallow as it is built for use:
 * with assertions or without optimization it is printed and not judged.
 */
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../lib/check.h"

#define DEPTH_MAX 2048
#define STACK_BYTES ((size_t)64 << 10)
#define PAINTED_BYTES ((size_t)20 << 10)
#define PAINT UINT64_C(0x5ca1ab1e0ddba115)

typedef enum op { MALLOC, CALLOC, REALLOC, MEMALIGN, FREE, OPS } op;

static const char *const names[] = {"malloc", "calloc", "realloc", "memalign", "free"};
static size_t deepest[OPS]; /* guarded by the turns that threads take here */

static void *call_of(op op) {
    static void *const calls[] = {(void *)malloc, (void *)calloc, (void *)realloc, (void *)memalign,
                                  (void *)free};
    return calls[op];
}

/* The first arguments of a function on another stack. */
static void *on_stack(void *top, void *function, uintptr_t first, size_t second) {
    void *result;
    __asm__ volatile("movq %%rsp, %%rbx\n\tmovq %[top], %%rsp\n\tcall *%[function]\n\tmovq %%rbx, %%rsp"
                     : "=a"(result), "+D"(first), "+S"(second)
                     : [top] "r"(top), [function] "r"(function)
                     : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
    return result;
}

static void *measured(op op, uintptr_t first, size_t second) {
    static _Alignas(64) unsigned char stack[STACK_BYTES];
    uint64_t *end = (uint64_t *)(stack + STACK_BYTES), *bottom = end - PAINTED_BYTES / 8;
    for (uint64_t *at = bottom; at < end; at++)
        *at = PAINT;
    void *got = on_stack(end, call_of(op), first, second);
    while (bottom < end && *bottom == PAINT)
        bottom++;
    size_t depth = (size_t)(end - bottom) * 8;
    if (depth > deepest[op])
        deepest[op] = depth;
    return got;
}

static void *get(size_t bytes) {
    return measured(MALLOC, bytes, 0);
}

static void give(void *block) {
    measured(FREE, (uintptr_t)block, 0);
}

/* Any size, any call. */
static void mix(uint64_t seed, int rounds, size_t max) {
    enum { BLOCKS = 300 };
    void *blocks[BLOCKS] = {0};
    for (int round = 0; round < rounds; round++) {
        size_t i = check_random(&seed) % BLOCKS, bits = check_random(&seed) % 23;
        size_t bytes = check_random(&seed) % (((size_t)1 << bits) % max + 1);
        if (blocks[i] && check_random(&seed) % 4 == 0) {
            void *moved = measured(REALLOC, (uintptr_t)blocks[i], bytes + 1);
            blocks[i] = moved ? moved : blocks[i];
            continue;
        }
        give(blocks[i]);
        blocks[i] = round % 5 == 0   ? measured(CALLOC, 1, bytes)
                    : round % 7 == 0 ? measured(MEMALIGN, (uintptr_t)16 << check_random(&seed) % 12, bytes)
                                     : get(bytes);
        if (blocks[i])
            memset(blocks[i], 1, bytes < 5000 ? bytes : 5000);
    }
    for (int i = 0; i < BLOCKS; i++)
        give(blocks[i]);
}

/* Much at once, of which little stays; then, for a while, now and then a call that finds time for a tick. */
static void burst(size_t bytes, size_t total, int ticks) {
    static void *blocks[20000];
    size_t count = total / bytes < 20000 ? total / bytes : 20000;
    for (size_t i = 0; i < count; i++) {
        blocks[i] = get(bytes);
        if (blocks[i])
            memset(blocks[i], 1, bytes);
    }
    for (size_t i = 0; i < count; i++)
        if (i % 50) {
            give(blocks[i]);
            blocks[i] = NULL;
        }
    for (int tick = 0; tick < ticks; tick++) {
        struct timespec pause = {0, 105000000};
        nanosleep(&pause, NULL);
        for (size_t i = 1; i < 6; i++) { /* large ones: their free looks whether there is something to do */
            void *block = get(i * 200000);
            if (block)
                memset(block, 1, 1000);
            give(block);
        }
    }
    for (size_t i = 0; i < count; i++)
        give(blocks[i]);
}

enum { HANDED = 6000 };
static void *handed[HANDED];

static void *allocate_many(void *unused) {
    uint64_t seed = 7;
    (void)unused;
    mix(8, 3000, 100000);
    for (size_t i = 0; i < HANDED; i++) {
        size_t bytes = (size_t)16 << check_random(&seed) % 11;
        handed[i] = get(bytes);
        if (handed[i])
            memset(handed[i], 1, bytes);
    }
    return NULL;
}

static void *free_even(void *unused) {
    (void)unused;
    for (size_t i = 0; i < HANDED; i += 2) {
        give(handed[i]);
        handed[i] = NULL;
    }
    return NULL;
}

static void in_a_thread(void *(*body)(void *)) {
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, body, NULL), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
}

/* Frees of what others allocated, and who are gone. */
static void hand_over(void) {
    in_a_thread(allocate_many);
    in_a_thread(free_even);
    burst(3000, (size_t)30 << 20, 3);
    for (size_t i = 0; i < HANDED; i++)
        give(handed[i]);
}

static void grow_one(void) {
    void *block = get(1000);
    for (size_t bytes = 2000; bytes < (size_t)40 << 20 && block; bytes += bytes / 3) {
        void *moved = measured(REALLOC, (uintptr_t)block, bytes);
        if (!moved)
            break;
        block = memset(moved, 1, bytes);
    }
    give(measured(REALLOC, (uintptr_t)block, 100));
}

static void everything(void) {
    mix(1, 30000, 300000);
    grow_one();
    burst((size_t)1 << 20, (size_t)100 << 20, 4);
    burst(20000, (size_t)80 << 20, 20);
    hand_over();
    burst(300, (size_t)6 << 20, 2);
    mix(2, 20000, 4 << 20);
}

/* On the least stack that a thread can have, with the C library's own frames: slow paths of all kinds. */
static void *work_on_little(void *unused) {
    uint64_t seed = 3;
    enum { BLOCKS = 4000 };
    static void *blocks[BLOCKS];
    (void)unused;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < BLOCKS; i++) {
            size_t bytes = i % 40 ? check_random(&seed) % 40000 : (size_t)1 << 20;
            blocks[i] = i % 7 ? malloc(bytes) : calloc(1, bytes);
            if (blocks[i] && i % 3 == 0) {
                void *moved = realloc(blocks[i], bytes + bytes / 2 + 1);
                blocks[i] = moved ? moved : blocks[i];
            }
            if (blocks[i])
                memset(blocks[i], 1, 1000 < bytes ? 1000 : bytes);
        }
        for (int i = 0; i < BLOCKS; i++)
            free(blocks[i]);
        for (int tick = 0; tick < 5; tick++) {
            struct timespec pause = {0, 105000000};
            nanosleep(&pause, NULL);
            free(malloc(400000));
        }
    }
    return NULL;
}

static void use_little(void) {
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK_EQUAL(pthread_attr_init(&attributes), 0);
    CHECK_EQUAL(pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN)), 0);
    CHECK_EQUAL(pthread_create(&thread, &attributes, work_on_little, NULL), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
}

static void measure(const char *options) {
    size_t most = 0;
    use_little();
    if (strstr(options, "background_thread:1"))
        return; /* the making of the thread is a call on whose stack it is not for us to decide */
    everything();
    printf("stack with %s:", options);
    for (int i = 0; i < OPS; i++) {
        printf(" %s %zu", names[i], deepest[i]);
        most = deepest[i] > most ? deepest[i] : most;
    }
    printf("\n");
#ifdef STACK_IS_JUDGED
    CHECK(most <= DEPTH_MAX);
#endif
}

int main(int argc, char **argv) {
    static const char *const options[] = {"background_thread:0", "background_thread:0,soft_limit:24m",
                                          "background_thread:0,hard_limit:64m",
                                          "background_thread:0,idle_max:1m", "background_thread:1"};
    if (argc > 1) {
        measure(argv[1]);
        return 0;
    }
    enum { RUNS = sizeof options / sizeof *options };
    pid_t children[RUNS];
    for (size_t i = 0; i < RUNS; i++) { /* side by side: they sleep most of the time */
        fflush(stdout);
        children[i] = fork();
        if (children[i] == 0) {
            setenv("FALLOW_OPTIONS", options[i], 1);
            execl(argv[0], argv[0], options[i], (char *)NULL);
            _exit(2);
        }
    }
    for (size_t i = 0; i < RUNS; i++) {
        int status;
        CHECK_EQUAL(waitpid(children[i], &status, 0), children[i]);
        CHECK_EQUAL(status, 0);
    }
    printf("ok stack_is_little\n");
    return 0;
}
