/* SPDX-License-Identifier: MIT */
/* calloc of much: it is zero, whatever was in the memory before, and what is not touched is not resident. */
#include <stdlib.h>
#include <string.h>

#include "../lib/check.h"
#include "../lib/resident.h"

#define BYTES ((size_t)256 << 20)
#define TOUCHED 64

static void calloc_of_much_touches_nothing(void) {
    size_t before = resident_bytes();
    for (int round = 0; round < 4; round++) {
        char *block = calloc(1, BYTES);
        CHECK(block);
        for (size_t i = 0; i < TOUCHED; i++) {
            char *byte = &block[(BYTES / TOUCHED * i + 12345 * i) % BYTES];
            CHECK_EQUAL(*byte, 0);
            *byte = 1;
        }
        CHECK(resident_bytes() < before + ((size_t)16 << 20));
        free(block);
    }
}

/* With all of it used in between. */
static void calloc_of_much_is_zero(void) {
    char *block = malloc(BYTES);
    memset(block, 1, BYTES);
    free(block);
    block = calloc(BYTES / 16, 16);
    for (size_t i = 0; i < BYTES; i += 4096)
        CHECK_EQUAL(block[i] | block[i + 4095], 0);
    free(block);
}

int main(void) {
    RUN(calloc_of_much_touches_nothing);
    RUN(calloc_of_much_is_zero);
    return 0;
}
