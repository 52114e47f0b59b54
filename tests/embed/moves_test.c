/* SPDX-License-Identifier: MIT */
/*
 * Large blocks that realloc moves by pages, as often as a program likes: copies are seen as page faults, and
 * what moves leave behind in /proc/self/maps.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/resident.h"
#include "fallow/fallow.h"

#define MIB ((size_t)1 << 20)
#define MORE ((size_t)64 << 10)

static fallow_arena *arena;

static size_t mappings(void) {
    char text[65536];
    size_t lines = 0;
    int file = open("/proc/self/maps", O_RDONLY);
    CHECK(file >= 0);
    for (ssize_t length; (length = read(file, text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < length; i++)
            lines += text[i] == '\n';
    close(file);
    return lines;
}

static size_t faults(void) {
    struct rusage usage;
    CHECK_EQUAL(getrusage(RUSAGE_SELF, &usage), 0);
    return (size_t)usage.ru_minflt;
}

static size_t os_pages(size_t bytes) {
    return bytes / (size_t)sysconf(_SC_PAGESIZE);
}

static void *alloc(size_t bytes) {
    char *block = fallow_arena_alloc(arena, bytes);
    CHECK(block);
    block[0] = 42;
    return block;
}

/* So far in this test. */
static size_t moves, copies;

static void start(void) {
    arena = fallow_arena_create("moving", 0);
    CHECK(arena);
    moves = copies = 0;
}

/* Grows a block by a little; where another lies behind it, it comes to lie elsewhere. */
static char *grow(char *block, size_t bytes) {
    size_t before = faults();
    char *grown = fallow_arena_realloc(arena, block, bytes + MORE);
    CHECK(grown && grown[0] == 42);
    bool copied = faults() - before >= os_pages(bytes) / 2;
    copies += copied;
    moves += grown != block && !copied;
    return grown;
}

static size_t many = FL_CHECKS >= 2 ? 4000 : 20000; /* where each page's state is noted, they take long */

/* One block to and fro. */
static void moves_never_end(void) {
    start();
    size_t bytes = 64 * MIB, most = 0, first = mappings();
    char *block = alloc(bytes), *wall = alloc(bytes + MORE);
    while (moves < many && copies == 0) {
        block = grow(block, bytes);
        CHECK(fallow_arena_realloc(arena, block, bytes) == block);
        char *next = alloc(bytes + MORE);
        fallow_arena_free(arena, wall);
        wall = next;
        fallow_give_back(); /* pages are moved only to where there is no memory yet */
        size_t now = moves % 64 ? 0 : mappings();
        most = now > most ? now : most;
    }
    CHECK_EQUAL(copies, 0);
    CHECK(most <= first + 32);
    fallow_arena_destroy(arena);
    CHECK(mappings() <= first + 8);
}

/* Each that lives leaves two edges: beyond the bound they are copied, until some have gone. */
static void moves_are_bounded_by_what_lives(void) {
    enum {
        BLOCKS = 4500,
        FIRST = 4096,
        AGAIN = 2000,
        MARGIN = 64,          /* edges at the ends of regions are not counted */
        MAPPINGS = 16384 + 64 /* what two for each edge come to; how many merge is the kernel's affair */
    };
    static char *blocks[BLOCKS];
    start();
    size_t first = mappings();
    char *place = alloc(MIB);
    alloc(MIB); /* a wall behind the place */
    fallow_arena_free(arena, place);
    for (int i = 0; i < BLOCKS; i++) {
        fallow_give_back();
        blocks[i] = alloc(MIB);
        CHECK(blocks[i] == place);
        blocks[i] = grow(blocks[i], MIB);
        CHECK(copies == 0 || i >= FIRST);
    }
    CHECK(moves >= FIRST && moves < FIRST + MARGIN); /* edges at the ends of regions are not counted */
    CHECK(mappings() <= first + MAPPINGS);
    for (int i = 0; i < BLOCKS; i += 2)
        fallow_arena_free(arena, blocks[i]);
    moves = copies = 0;
    for (int i = 0; i < AGAIN; i++) {
        fallow_give_back();
        grow(alloc(MIB), MIB);
    }
    CHECK_EQUAL(moves + copies, AGAIN);
    CHECK(copies <= MARGIN); /* not every refused move looks for room */
    CHECK(mappings() <= first + MAPPINGS);
    fallow_arena_destroy(arena);
    CHECK(mappings() <= first + 8);
}

#define SPARSE_TO (600 * MIB)
#define TOUCHED_EVERY (16 * MIB) /* so much comes with a touch at most, where huge pages come by themselves */

/* Of a block that has been touched here and there, no more becomes resident when it grows: many times over,
 * and so in many mappings; or to where another has been. */
static void sparse_blocks_stay_sparse_when_they_move(void) {
    arena = fallow_arena_create("sparse", 0);
    CHECK(arena);
    size_t before = resident_bytes(), bytes = 8 * MIB;
    char *block = alloc(bytes), *other;
    for (size_t touched = 0; bytes < SPARSE_TO; bytes += bytes / 2) {
        for (; touched < bytes; touched += TOUCHED_EVERY)
            block[touched] = (char)(touched / TOUCHED_EVERY + 1);
        alloc(MIB); /* behind it */
        CHECK((block = fallow_arena_realloc(arena, block, bytes + bytes / 2)) != NULL);
        for (size_t i = 0; i < touched; i += TOUCHED_EVERY) {
            CHECK_EQUAL(block[i], (char)(i / TOUCHED_EVERY + 1));
            CHECK_EQUAL(block[i + MIB], 0);
        }
    }
    CHECK(!RESIDENT_IS_OURS || resident_bytes() - before < SPARSE_TO / 4);
    fallow_arena_destroy(arena);
    CHECK((arena = fallow_arena_create("sparse", 0)) != NULL);
    CHECK((other = alloc(200 * MIB)) && (block = alloc(150 * MIB)) && alloc(2 * MIB));
    memset(other, 1, 64 << 10);
    fallow_arena_free(arena, other);
    CHECK((block = fallow_arena_realloc(arena, block, 180 * MIB)) != NULL && *block == 42);
    CHECK(!RESIDENT_IS_OURS || resident_bytes() - before < 40 * MIB);
    fallow_arena_destroy(arena);
}

int main(int argc, char **argv) {
    if (argc > 1)
        many = strtoul(argv[1], NULL, 10);
    CHECK(many > 0);
    if (!RESIDENT_IS_OURS) {
        printf("skipped: sanitizers have mappings of their own\n");
        return 77;
    }
    RUN(sparse_blocks_stay_sparse_when_they_move);
    RUN(moves_are_bounded_by_what_lives);
    RUN(moves_never_end); /* what has gone does not count */
    return 0;
}
