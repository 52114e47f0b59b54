// SPDX-License-Identifier: MIT
// malloc and free as a program calls them: any allocator by LD_PRELOAD. Names: operation/size or
// operation/order/size.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

namespace {

constexpr size_t batch = 1000;

void *checked(void *block) {
    if (!block)
        std::abort();
    benchmark::DoNotOptimize(block);
    return block;
}

void pair(benchmark::State &state) {
    const size_t bytes = static_cast<size_t>(state.range(0));
    for (auto _ : state)
        std::free(checked(std::malloc(bytes)));
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(pair)->Arg(16)->Arg(64)->Arg(256)->Arg(1024)->Arg(4096)->Arg(16384)->Arg(65536)->Arg(262144)->Arg(
    2097152);

enum order { in_order, reversed, shuffled };

// A batch allocated, then freed in some order; touched, as a program would.
void batches(benchmark::State &state) {
    const size_t bytes = static_cast<size_t>(state.range(1));
    std::vector<size_t> places(batch);
    std::iota(places.begin(), places.end(), size_t{0});
    if (state.range(0) == reversed)
        std::reverse(places.begin(), places.end());
    if (state.range(0) == shuffled)
        std::shuffle(places.begin(), places.end(), std::mt19937(1));
    std::vector<char *> blocks(batch);
    for (auto _ : state) {
        for (auto &block : blocks)
            *(block = static_cast<char *>(checked(std::malloc(bytes)))) = 1;
        for (size_t place : places)
            std::free(blocks[place]);
    }
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(batch));
    state.SetLabel(state.range(0) == in_order   ? "in order"
                   : state.range(0) == reversed ? "reversed"
                                                : "shuffled");
}
BENCHMARK(batches)->ArgsProduct({{in_order, reversed, shuffled}, {64, 1024, 16384}});

void zeroed(benchmark::State &state) {
    for (auto _ : state)
        std::free(checked(std::calloc(1, static_cast<size_t>(state.range(0)))));
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(zeroed)->Arg(64)->Arg(1024)->Arg(65536)->Arg(1048576);

void grown(benchmark::State &state) {
    const size_t last = static_cast<size_t>(state.range(0));
    for (auto _ : state) {
        void *block = nullptr;
        for (size_t bytes = 16; bytes <= last; bytes *= 2)
            block = checked(std::realloc(block, bytes));
        std::free(block);
    }
}
BENCHMARK(grown)->Arg(4096)->Arg(1 << 20)->Arg(32 << 20);

void aligned(benchmark::State &state) {
    const size_t alignment = static_cast<size_t>(state.range(0));
    for (auto _ : state) {
        void *block = nullptr;
        if (posix_memalign(&block, alignment, 200))
            std::abort();
        std::free(checked(block));
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(aligned)->Arg(32)->Arg(64)->Arg(4096);

void new_delete(benchmark::State &state) {
    for (auto _ : state)
        ::operator delete(checked(::operator new(64)));
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(new_delete);

void new_delete_sized(benchmark::State &state) {
    for (auto _ : state)
        ::operator delete (checked(::operator new(64)), size_t{64});
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(new_delete_sized);

// Blocks that another thread frees: both sides' cost together.
void handed_over(benchmark::State &state) {
    const size_t bytes = static_cast<size_t>(state.range(0));
    std::vector<void *> blocks(batch);
    for (auto _ : state) {
        for (auto &block : blocks)
            block = checked(std::malloc(bytes));
        std::thread([&] { std::for_each(blocks.begin(), blocks.end(), std::free); }).join();
    }
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(batch));
}
BENCHMARK(handed_over)->Arg(64)->Arg(4096)->UseRealTime();

void thread_that_allocates_once(benchmark::State &state) {
    for (auto _ : state)
        std::thread([] { std::free(checked(std::malloc(100))); }).join();
}
BENCHMARK(thread_that_allocates_once)->UseRealTime();

} // namespace

BENCHMARK_MAIN();
