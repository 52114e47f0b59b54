// SPDX-License-Identifier: MIT
// The arena floor's own parts: bitmaps of pages and their summaries. (Transitions: osmem_bench; grants:
// memory/scale.c.)
#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <vector>

extern "C" {
#include "../../src/arena/pagebits.h"
}

namespace {

constexpr size_t chunk_pages = 256, region_pages = 4096;

// Bits set at random: every n-th on average; 0: none.
std::vector<uint64_t> some_bits(size_t pages, int64_t every) {
    std::vector<uint64_t> bits(pages / 64);
    std::mt19937_64 random(1);
    for (size_t page = 0; every && page < pages; page++)
        if (random() % static_cast<uint64_t>(every) == 0)
            fl_pagebits_set(bits.data(), page, 1);
    return bits;
}

void find_in_region(benchmark::State &state) {
    auto bits = some_bits(region_pages, state.range(0));
    for (auto _ : state)
        benchmark::DoNotOptimize(
            fl_pagebits_find(bits.data(), region_pages, static_cast<size_t>(state.range(1)), 1));
}
BENCHMARK(find_in_region)->ArgsProduct({{0, 4, 32}, {1, 16, 256}});

void summary_of_chunk(benchmark::State &state) {
    auto bits = some_bits(chunk_pages, state.range(0));
    for (auto _ : state)
        benchmark::DoNotOptimize(fl_pagebits_runs(bits.data(), chunk_pages));
}
BENCHMARK(summary_of_chunk)->Arg(0)->Arg(4)->Arg(32);

void join_of_region(benchmark::State &state) {
    auto bits = some_bits(region_pages, 32);
    std::vector<fl_runs> parts;
    for (size_t i = 0; i < region_pages / chunk_pages; i++)
        parts.push_back(fl_pagebits_runs(&bits[i * chunk_pages / 64], chunk_pages));
    for (auto _ : state)
        benchmark::DoNotOptimize(fl_runs_join(parts.data(), parts.size(), chunk_pages));
}
BENCHMARK(join_of_region);

} // namespace

BENCHMARK_MAIN();
