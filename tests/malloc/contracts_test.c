/* SPDX-License-Identifier: MIT */
/*
 * What test suites of C libraries ask of malloc beyond one call after the other: failures of the whole
 * aligned family at every alignment, counts that move with blocks, threads that wait for each other's blocks,
 * and storms of signals whose handlers fork.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../lib/check.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* From the largest that a pointer difference can be, upwards; with each, what alignment and rounding take
 * beyond the end. */
static void aligned_too_much_is_enomem_for_every_alignment(void) {
    for (size_t alignment = 16; alignment <= SIZE_MAX / 4; alignment *= 2) {
        const size_t sizes[] = {SIZE_MAX,
                                SIZE_MAX - 15,
                                SIZE_MAX - alignment,
                                SIZE_MAX - alignment + 1,
                                (size_t)PTRDIFF_MAX + 1,
                                SIZE_MAX - 2 * alignment,
                                SIZE_MAX / 2 + alignment};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            size_t bytes = sizes[i] > PTRDIFF_MAX ? sizes[i] : SIZE_MAX;
            int untouched = 0;
            void *out = &untouched;
            CHECK_NO_MEMORY(memalign(alignment, bytes));
            CHECK_NO_MEMORY(aligned_alloc(alignment, bytes));
            errno = 77;
            CHECK_EQUAL(posix_memalign(&out, alignment, bytes), ENOMEM);
            CHECK(out == &untouched);
            CHECK_EQUAL(errno, ENOMEM); /* as glibc leaves it, and musl */
        }
    }
    for (size_t less = 0; less < 3 * 4096; less += 511) {
        CHECK_NO_MEMORY(valloc(SIZE_MAX - less));
        CHECK_NO_MEMORY(pvalloc(SIZE_MAX - less));
        CHECK_NO_MEMORY(valloc((size_t)PTRDIFF_MAX + 1 + less));
        CHECK_NO_MEMORY(pvalloc((size_t)PTRDIFF_MAX + 1 + less));
    }
}

/* Alignments that no address space has room for, of little: refused, not undefined. */
static void aligned_beyond_the_address_space(void) {
    for (unsigned bits = 48; bits < 63; bits++) {
        void *out = NULL;
        CHECK_NO_MEMORY(memalign((size_t)1 << bits, 1));
        CHECK_NO_MEMORY(aligned_alloc((size_t)1 << bits, 1));
        CHECK_EQUAL(posix_memalign(&out, (size_t)1 << bits, 1), ENOMEM);
    }
}

static void reallocarray_overflow_keeps_the_block(void) {
    static const size_t factors[][2] = {{SIZE_MAX, 2},
                                        {SIZE_MAX / 2 + 1, 2},
                                        {(size_t)1 << 32, (size_t)1 << 32},
                                        {3, SIZE_MAX / 3 + 1},
                                        {SIZE_MAX, SIZE_MAX}};
    char *block = memset(malloc(100), 9, 100);
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        volatile size_t count = factors[i][0], bytes = factors[i][1];
        CHECK_NO_MEMORY(reallocarray(block, count, bytes));
        CHECK_NO_MEMORY(reallocarray(NULL, count, bytes));
        CHECK_NO_MEMORY(calloc(count, bytes));
        for (int k = 0; k < 100; k++)
            CHECK_EQUAL(block[k], 9);
    }
    free(block);
}

/* Bytes in use follow each block to itself, and come back to where they were. */
static void mallinfo_moves_with_blocks(void) {
    static const size_t sizes[] = {20, 100, 1 * KIB, 20 * KIB, 100 * KIB, 160 * KIB, 1 * MIB, 5 * MIB};
    static char *blocks[50];
    free(malloc(1));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t bytes = 0, odd_bytes = 0;
        struct mallinfo2 before = mallinfo2();
        for (int k = 0; k < 50; k++) {
            CHECK(blocks[k] = malloc(sizes[i]));
            bytes += malloc_usable_size(blocks[k]);
            odd_bytes += k % 2 ? malloc_usable_size(blocks[k]) : 0;
        }
        struct mallinfo2 with = mallinfo2();
        CHECK_EQUAL(with.uordblks - before.uordblks, bytes);
        CHECK(with.arena >= with.uordblks);
        CHECK_EQUAL(with.arena, with.uordblks + with.fordblks);
        CHECK_EQUAL(with.hblks - before.hblks, sizes[i] > 128 * KIB ? 50 : 0);
        for (int k = 0; k < 50; k += 2)
            free(blocks[k]);
        struct mallinfo2 half = mallinfo2();
        CHECK(half.uordblks - before.uordblks - odd_bytes < KIB); /* fallow's own thread may have come */
        CHECK(sizes[i] > 128 * KIB || half.ordblks >= 25);
        for (int k = 1; k < 50; k += 2)
            free(blocks[k]);
        CHECK(mallinfo2().uordblks - before.uordblks < KIB);
        CHECK_EQUAL(mallinfo2().hblks, before.hblks);
    }
}

/* Each waits for the block of the one before it, frees that, and hands the next one a block of its own. */
#define WAITERS 8
#define TURNS 2000

static sem_t turns[WAITERS];
static char *handed[WAITERS];

static void *wait_and_hand_on(void *number) {
    size_t self = (size_t)(uintptr_t)number, next = (self + 1) % WAITERS;
    uint64_t random = self;
    for (int i = 0; i < TURNS; i++) {
        CHECK_EQUAL(sem_wait(&turns[self]), 0);
        char *block = handed[self];
        size_t bytes = block ? malloc_usable_size(block) : 0;
        for (size_t k = 0; k < bytes; k += 64)
            CHECK_EQUAL(block[k], (char)bytes);
        size_t wanted = 1 + check_random(&random) % (i % 100 ? 3000 : 300000);
        char *mine = i % 3 ? malloc(wanted) : realloc(block, wanted);
        CHECK(mine);
        if (i % 3)
            free(block);
        bytes = malloc_usable_size(mine);
        handed[next] = memset(mine, (int)(char)bytes, bytes);
        CHECK_EQUAL(sem_post(&turns[next]), 0);
    }
    return NULL;
}

static void threads_wait_for_each_others_blocks(void) {
    pthread_t threads[WAITERS];
    for (size_t i = 0; i < WAITERS; i++)
        CHECK_EQUAL(sem_init(&turns[i], 0, i == 0), 0);
    for (size_t i = 0; i < WAITERS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, wait_and_hand_on, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < WAITERS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    free(handed[0]);
    handed[0] = NULL;
}

/* All threads are hit, wherever in malloc they are. A child ends at once. */
#define STORM_THREADS 4
#define STORM_FORKS 300

static _Atomic int stormed, storm_is_over, failures;
static _Atomic int in_handler;

static void fork_in_the_storm(int number) {
    int saved_errno = errno;
    (void)number;
    if (stormed >= STORM_FORKS || in_handler++ > 0) { /* one at a time: children are of one process */
        if (stormed < STORM_FORKS)
            in_handler--;
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        signal(SIGUSR2, SIG_IGN);
        alarm(60);
        _exit(7);
    }
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    failures += child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 7;
    stormed++;
    in_handler--;
    errno = saved_errno;
}

static void *allocate_in_the_storm(void *number) {
    uint64_t random = (uintptr_t)number;
    char *blocks[100] = {0};
    while (!storm_is_over) {
        size_t i = check_random(&random) % 100, bytes = 1 + check_random(&random) % (i % 10 ? 5000 : 400000);
        free(blocks[i]);
        errno = 77;
        blocks[i] = i % 2 ? malloc(bytes) : memalign(64, bytes);
        CHECK(blocks[i] && errno == 77);
        blocks[i][0] = blocks[i][bytes - 1] = 1;
    }
    for (size_t i = 0; i < 100; i++)
        free(blocks[i]);
    return NULL;
}

static void storm_of_signals_whose_handlers_fork(void) {
    pthread_t threads[STORM_THREADS];
    struct sigaction action = {.sa_handler = fork_in_the_storm, .sa_flags = SA_RESTART};
    CHECK_EQUAL(sigaction(SIGUSR2, &action, NULL), 0);
    alarm(250); /* a storm that hangs ends the test */
    for (size_t i = 0; i < STORM_THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, allocate_in_the_storm, (void *)(uintptr_t)(i + 1)), 0);
    for (unsigned i = 0; stormed < STORM_FORKS; i++) {
        CHECK_EQUAL(pthread_kill(threads[i % STORM_THREADS], SIGUSR2), 0);
        nanosleep(&(struct timespec){0, 50000}, NULL);
    }
    storm_is_over = 1;
    for (size_t i = 0; i < STORM_THREADS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    alarm(0);
    CHECK_EQUAL(failures, 0);
}

int main(void) {
    RUN(aligned_too_much_is_enomem_for_every_alignment);
    RUN(aligned_beyond_the_address_space);
    RUN(reallocarray_overflow_keeps_the_block);
    RUN(mallinfo_moves_with_blocks);
    RUN(threads_wait_for_each_others_blocks);
    RUN(storm_of_signals_whose_handlers_fork);
    return 0;
}
