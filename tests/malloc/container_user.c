/* SPDX-License-Identifier: MIT */
/*
 * A program that stays within its container only if idle memory goes back before it grows: half of what it
 * has freed lies in holes too small for what it asks for next. Run by container.sh in a group of 256 MiB.
 */
#include <stdlib.h>

#include "../lib/check.h"
#include "../lib/resident.h"

int main(void) {
    enum { BLOCKS = 1400 };
    static char *small[BLOCKS], *large[40];
    for (int i = 0; i < BLOCKS; i++) {
        small[i] = malloc(140 << 10); /* a run of pages of its own */
        CHECK(small[i]);
        memset(small[i], 1, 140 << 10);
    }
    for (int i = 0; i < BLOCKS; i += 2)
        free(small[i]);
    for (int i = 0; i < 40; i++) {
        large[i] = malloc(3 << 20);
        CHECK(large[i]);
        memset(large[i], 2, 3 << 20);
    }
    for (int i = 1; i < BLOCKS; i += 2)
        CHECK_EQUAL(small[i][5000], 1);
    printf("resident %zu MiB\n", resident_bytes() >> 20);
    return 0;
}
