/* SPDX-License-Identifier: MIT */
/*
 * fuzz_main.h: what runs a fuzz target: libFuzzer, or where there is none, this: the files named, then a
 * number of random inputs. And how a target reads its input.
 */
#ifndef FUZZ_MAIN_H
#define FUZZ_MAIN_H

#include "check.h"
#include "resident.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* What is left of an input; zeroes when it is at its end. */
typedef struct fuzz_rest {
    const uint8_t *bytes;
    size_t left;
} fuzz_rest;

static inline unsigned fuzz_byte(fuzz_rest *rest) {
    return rest->left ? rest->left--, *rest->bytes++ : 0;
}

/* Of uniform logarithm, below 256 << most. */
static inline size_t fuzz_size(fuzz_rest *rest, unsigned most) {
    size_t bytes = fuzz_byte(rest);
    return bytes << fuzz_byte(rest) % (most + 1);
}

#ifndef FUZZER
static uint8_t fuzz_input[4096];

static void fuzz_file(const char *path) {
    FILE *file = fopen(path, "rb");
    CHECK(file);
    LLVMFuzzerTestOneInput(fuzz_input, fread(fuzz_input, 1, sizeof fuzz_input, file));
    fclose(file);
}

/* So many inputs of fewer than usual_bytes; each fourth is of any length. */
static void fuzz_at_random(int rounds, size_t usual_bytes) {
    uint64_t random = 1;
    for (int i = 0; i < rounds; i++) {
        size_t count = check_random(&random) % (i % 4 ? usual_bytes : sizeof fuzz_input);
        for (size_t k = 0; k < count; k++)
            fuzz_input[k] = (uint8_t)check_random(&random);
        LLVMFuzzerTestOneInput(fuzz_input, count);
    }
}

static void fuzz_main(int argc, char **argv, int rounds, size_t usual_bytes) {
    for (int i = 1; i < argc; i++)
        fuzz_file(argv[i]);
    fuzz_at_random(RESIDENT_IS_OURS ? rounds : rounds / 3, usual_bytes); /* sanitizers take their time */
}
#endif

#endif
