/* SPDX-License-Identifier: MIT */
/*
 * leaks.h: what the programs of profile_test.sh do, in C and in C++: they keep one block of KEPT_BYTES in a
 * hundred rounds, and have allocated and freed one of PAIR_BYTES in each. With an argument, slowly and for
 * long, until they are ended.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUNDS 2000000
#define KEPT_BYTES 300
#define PAIR_BYTES 100

static void *kept[ROUNDS / 100];

/* The compiler is to make neither a jump of the call nor nothing of the pair. */
static void *seen(void *block) {
    __asm__ volatile("" : "+r"(block) : : "memory");
    return block;
}

static void work(void *(*keep)(void), void (*pair)(void), int slowly) {
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 100 == 0)
            kept[i / 100] = keep();
        pair();
        if (slowly && i % 100 == 0)
            usleep(500);
    }
}
