// SPDX-License-Identifier: MIT
// Arenas and pools of libfallow; beside them the malloc that the program is given.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "fallow/fallow.h"

namespace {

constexpr int request = 200; // allocations of a request

void arena_pair(benchmark::State &state) {
    fallow_arena *arena = fallow_arena_create("pair", 0);
    for (auto _ : state) {
        void *block = fallow_arena_alloc(arena, 64);
        benchmark::DoNotOptimize(block);
        fallow_arena_free(arena, block);
    }
    fallow_arena_destroy(arena);
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(arena_pair);

void pool_request(benchmark::State &state) {
    fallow_pool *pool = fallow_pool_create(nullptr);
    for (auto _ : state) {
        for (int i = 0; i < request; i++)
            benchmark::DoNotOptimize(fallow_pool_alloc(pool, static_cast<size_t>(16 + i)));
        fallow_pool_reset(pool);
    }
    fallow_pool_destroy(pool);
    state.SetItemsProcessed(state.iterations() * request);
}
BENCHMARK(pool_request);

void malloc_request(benchmark::State &state) {
    void *blocks[request];
    for (auto _ : state) {
        for (int i = 0; i < request; i++)
            benchmark::DoNotOptimize(blocks[i] = std::malloc(static_cast<size_t>(16 + i)));
        for (void *block : blocks)
            std::free(block);
    }
    state.SetItemsProcessed(state.iterations() * request);
}
BENCHMARK(malloc_request);

void arena_life(benchmark::State &state) {
    for (auto _ : state) {
        fallow_arena *arena = fallow_arena_create("short", 0);
        for (int i = 0; i < state.range(0); i++)
            benchmark::DoNotOptimize(fallow_arena_alloc(arena, 100));
        fallow_arena_destroy(arena);
    }
}
BENCHMARK(arena_life)->Arg(1)->Arg(10000)->Unit(benchmark::kMicrosecond);

} // namespace

BENCHMARK_MAIN();
