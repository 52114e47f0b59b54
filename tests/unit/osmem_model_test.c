/* SPDX-License-Identifier: MIT */
/* Random legal sequences of moves against a model (lib/osmem_model.h), on every back end. */
#include "../lib/osmem_model.h"

static uint64_t seed;

static void random_moves(unsigned steps, unsigned look_every, unsigned fault_every) {
    choices from = {.random = seed};
    start_model();
    for (unsigned i = 1; i <= steps; i++) {
        step(&from);
        check_ledger();
        if (i % look_every == 0)
            check_system();
        int k = (int)(choose(&from) % PAGES);
        if (i % fault_every == 0 && state[k] <= RESERVED)
            check_fault(k);
    }
    end_model();
}

static void osmem_model_linux(void) {
    backend = osmem_backend_system();
    random_moves(20000, 50, 400);
}

static void osmem_model_linux_lazy(void) {
    backend = osmem_backend_system_lazy();
    random_moves(20000, 50, 400);
}

static void osmem_model_posix(void) {
    backend = osmem_backend_posix();
    random_moves(20000, 50, 400);
}

static void osmem_model_sim_of_each_page_size(void) {
    for (size_t bytes = 4096; bytes <= 65536; bytes *= 4) {
        osmem_sim_config config = {.os_page_bytes = bytes};
        sim = osmem_sim_create(&config);
        CHECK(sim);
        backend = osmem_sim_backend(sim);
        random_moves(50000, 5, 5);
        CHECK_EQUAL(osmem_sim_read(sim).mappings, 0);
        osmem_sim_destroy(sim);
        sim = NULL;
    }
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    RUN(osmem_model_linux);
    RUN(osmem_model_linux_lazy);
    RUN(osmem_model_posix);
    RUN(osmem_model_sim_of_each_page_size);
    return 0;
}
