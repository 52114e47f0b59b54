/* SPDX-License-Identifier: MIT */
/* Misuse, each in a process of its own: one line that says what and how it was found, and SIGABRT. */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pthread.h>

#include "../lib/check.h"
#include "../lib/stops.h"

static char global[64];

static void free_of_a_local(void) {
    char local[64];
    free(local + (local[0] = 0));
}
static void free_of_a_global(void) {
    free(global + 16);
}
static void free_of_a_mapping(void) {
    free(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
static void free_of_a_wild_pointer(void) {
    free((void *)(uintptr_t)0x123456789abc);
}
static void free_of_a_small_integer(void) {
    free((void *)16);
}
static void free_of_heap_never_granted(void) {
    char *block = malloc(100);
    free(block + (32 << 20));
}
static void realloc_of_a_local(void) {
    char local[64];
    if (realloc(local + (local[0] = 0), 100))
        local[1] = 1;
}
static void realloc_inside_a_block(void) {
    char *block = malloc(200);
    if (realloc(block + 16, 300))
        block[0] = 1;
}
/* Found when the block would be handed out again, at the latest. */
static void small_freed_twice_in_a_row(void) {
    char *block = malloc(64);
    free(block);
    free(block);
    block = malloc(64);
}
static void medium_freed_twice_in_a_row(void) {
    char *block = malloc(3000);
    free(block);
    free(block);
    block = malloc(3000);
}
static void first_of_many_freed_twice_in_a_row(void) {
    char *blocks[5000];
    for (int i = 0; i < 5000; i++)
        blocks[i] = malloc(48);
    for (int i = 0; i < 1000; i++)
        free(blocks[i]);
    free(blocks[999]);
    for (int i = 0; i < 2000; i++)
        blocks[i] = malloc(48);
}
static void freed_twice_and_then_the_rest(void) {
    char *blocks[5000];
    for (int i = 0; i < 5000; i++)
        blocks[i] = malloc(48);
    free(blocks[0]);
    for (int i = 0; i < 5000; i++)
        free(blocks[i]);
}
static void freed_twice_after_its_slab_is_gone(void) {
    char *blocks[5000];
    for (int i = 0; i < 5000; i++)
        blocks[i] = malloc(1000);
    for (int i = 0; i < 5000; i++)
        free(blocks[i]);
    free(blocks[100]);
}
static void large_freed_twice_in_a_row(void) {
    char *block = malloc(10 << 20);
    free(block);
    free(block);
}
static void *free_it_twice(void *block) {
    free(block);
    free(block);
    return NULL;
}
static void freed_twice_in_a_row_by_another_thread(void) {
    pthread_t thread;
    void *blocks[3] = {malloc(64), malloc(64), malloc(64)};
    pthread_create(&thread, NULL, free_it_twice, blocks[1]);
    pthread_join(thread, NULL);
}
static void inside_a_large_block(void) {
    char *block = malloc(1 << 20);
    free(block + 16384);
}
static void *free_it(void *block) {
    free(block);
    return NULL;
}
static void *free_inside(void *block) {
    free((char *)block + 8);
    return NULL;
}
static void inside_a_large_block_that_is_gone(void) {
    char *block = malloc(1 << 20);
    free(block);
    free(block + 16384);
}
static void inside_a_small_block_by_another_thread(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, free_inside, malloc(64));
    pthread_join(thread, NULL);
}

/* No misuse: what stands in a free block is in live ones as well, because the program writes it there, of
 * several sizes; and they are freed, by other threads too. */
static void free_blocks_look_alike(void) {
    static const size_t sizes[] = {24, 100, 1000, 5000, 50000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char looks[16];
        char *block = malloc(sizes[i]), *volatile freed = block;
        pthread_t thread;
        free(block);
        memcpy(looks, freed, sizeof looks);
        char *blocks[3] = {malloc(sizes[i]), malloc(sizes[i]), malloc(sizes[i])};
        for (int j = 0; j < 3; j++)
            memcpy(blocks[j], looks, sizeof looks);
        free(blocks[0]);
        pthread_create(&thread, NULL, free_it, blocks[1]);
        pthread_join(thread, NULL);
        free(realloc(blocks[2], sizes[i] * 3));
    }
}

static const struct misuse {
    const char *name;
    void (*commit)(void);
    const char *wanted; /* in the line */
} misuses[] = {
#define CASE(function, wanted) \
    { #function, function, wanted }
    CASE(free_of_a_local, "not a block of this heap"),
    CASE(free_of_a_global, "not a block of this heap"),
    CASE(free_of_a_mapping, "not a block of this heap"),
    CASE(free_of_a_wild_pointer, "not a block of this heap"),
    CASE(free_of_a_small_integer, "free of 0x10: not a block of this heap"),
    CASE(free_of_heap_never_granted, "not a block of this heap"),
    CASE(realloc_of_a_local, "realloc of 0x"),
    CASE(realloc_inside_a_block, "not the start of a block"),
    CASE(small_freed_twice_in_a_row, "freed twice"),
    CASE(medium_freed_twice_in_a_row, "freed twice"),
    CASE(first_of_many_freed_twice_in_a_row, "freed twice"),
    CASE(freed_twice_and_then_the_rest, "freed twice"),
    CASE(freed_twice_after_its_slab_is_gone, "not a block of this heap"),
    CASE(large_freed_twice_in_a_row, "not a block of this heap"),
    CASE(freed_twice_in_a_row_by_another_thread, "freed twice"),
    CASE(inside_a_large_block, "inside a large one"),
    CASE(inside_a_large_block_that_is_gone, "not a block of this heap"),
    CASE(inside_a_small_block_by_another_thread, "not the start of a block"),
};

static void expect_line_and_abort(const struct misuse *it) {
    int signal_number;
    const char *text = last_words(it->commit, &signal_number);
    if (signal_number != SIGABRT || !strstr(text, it->wanted))
        fprintf(stderr, "%s: signal %d, wrote: %s\n", it->name, signal_number, text);
    CHECK_EQUAL(signal_number, SIGABRT);
    CHECK(!strncmp(text, "fallow: ", 8));
    CHECK(strstr(text, it->wanted));
    CHECK(strchr(text, '\n') == text + strlen(text) - 1); /* one line */
}

static void expect_nothing(void (*run)(void)) {
    int signal_number;
    const char *text = last_words(run, &signal_number);
    CHECK_EQUAL(signal_number, 0);
    CHECK(*text == '\0');
}

int main(void) {
    expect_nothing(free_blocks_look_alike);
    printf("ok misuse_of_nothing_free_blocks_look_alike\n");
    for (size_t i = 0; i < sizeof misuses / sizeof *misuses; i++) {
        expect_line_and_abort(&misuses[i]);
        printf("ok misuse_%s\n", misuses[i].name);
    }
    return 0;
}
