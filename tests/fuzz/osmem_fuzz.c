/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target over sequences of moves on the sim, against the model.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../lib/fuzz_main.h"
#include "../lib/osmem_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    if (count < 2)
        return 0;
    osmem_sim_config config = {.os_page_bytes = (size_t)4096 << bytes[0] % 3 * 2,
                               .address_bytes = (size_t)64 << 20,
                               .mappings_max = 200,
                               .dirty_after_unused = bytes[1] & 1};
    sim = osmem_sim_create(&config);
    CHECK(sim);
    backend = osmem_sim_backend(sim);
    start_model();
    for (choices from = {.bytes = bytes + 2, .left = count - 2}; from.left >= 8;) {
        step(&from);
        check_ledger();
        check_system();
        int k = (int)(choose(&from) % PAGES);
        if (state[k] <= RESERVED)
            check_fault(k);
    }
    end_model();
    osmem_sim_destroy(sim);
    return 0;
}

#ifndef FUZZER
int main(int argc, char **argv) {
    fuzz_main(argc, argv, 2000, sizeof fuzz_input);
    puts("ok osmem_fuzz_random_inputs");
    return 0;
}
#endif
