// SPDX-License-Identifier: MIT
// What each move between the states costs, by size and back end: the call itself, the first touch after it,
// and the mappings that it leaves. Sizes in bytes; time is for the whole range.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "fallow/osmem.h"

namespace {

const osmem_backend *backends[] = {osmem_backend_system(), osmem_backend_system_lazy(),
                                   osmem_backend_posix()};

// Of the process, as the kernel counts them.
std::size_t mappings() {
    std::size_t lines = 0;
    std::FILE *maps = std::fopen("/proc/self/maps", "r");
    for (int c; maps && (c = std::fgetc(maps)) != EOF;)
        lines += c == '\n';
    if (maps)
        std::fclose(maps);
    return lines;
}

// A range of one back end, and the stat that counts it.
class Range {
  public:
    Range(benchmark::State &state, std::size_t bytes) : bytes_(bytes), mappings_before_(mappings()) {
        const osmem_backend *backend = backends[state.range(0)];
        state.SetLabel(backend->name);
        osmem_stat_init(&stat_, "bench", backend, nullptr);
        start_ = static_cast<char *>(osmem_reserve(nullptr, bytes, 0, &stat_));
        if (!start_)
            state.SkipWithError("no address space");
    }
    ~Range() {
        osmem_bytes by_state = osmem_stat_read(&stat_, nullptr);
        if (start_ && osmem_free(start_, bytes_, by_state, &stat_) != OSMEM_OK)
            std::abort();
    }
    void map() {
        check(osmem_map(start_, bytes_, &stat_));
    }
    void used() {
        check(osmem_used(start_, bytes_, bytes_, &stat_));
    }
    void unused() {
        check(osmem_unused(start_, bytes_, &stat_));
    }
    void unmap() {
        check(osmem_unmap(start_, bytes_, &stat_));
    }
    void touch() {
        for (std::size_t at = 0; at < bytes_; at += osmem_os_page_bytes())
            start_[at] = 1;
        benchmark::ClobberMemory();
    }
    // Left by what was measured: 1 is the range itself.
    void count_mappings(benchmark::State &state) {
        state.counters["mappings"] = static_cast<double>(mappings()) - static_cast<double>(mappings_before_);
    }
    char *start() {
        return start_;
    }
    osmem_stat *stat() {
        return &stat_;
    }

  private:
    static void check(osmem_result result) {
        if (result != OSMEM_OK)
            std::abort();
    }
    osmem_stat stat_;
    char *start_;
    std::size_t bytes_, mappings_before_;
};

std::size_t bytes_of(const benchmark::State &state) {
    return static_cast<std::size_t>(state.range(1));
}

void map_and_unmap(benchmark::State &state) {
    Range range(state, bytes_of(state));
    for (auto _ : state) {
        range.map();
        range.unmap();
    }
    range.map();
    range.count_mappings(state);
}

// Growth by a step, as the arena's: reserved and mapped by two calls, or prepared in one. What has grown is
// given back in one piece every 64 steps.
void grow(benchmark::State &state, bool in_one) {
    constexpr int steps = 64;
    std::size_t step = bytes_of(state);
    osmem_stat stat;
    const osmem_backend *backend = backends[state.range(0)];
    state.SetLabel(backend->name);
    osmem_stat_init(&stat, "growth", backend, nullptr);
    char *start = static_cast<char *>(osmem_reserve(nullptr, (steps + 1) * step, 0, &stat));
    if (!start || osmem_free(start, (steps + 1) * step, {(steps + 1) * step, 0, 0}, &stat) != OSMEM_OK ||
        osmem_prepare(start, step, &stat) != OSMEM_OK)
        std::abort();
    int done = 0;
    std::uint64_t calls = osmem_system_calls(), left = 0;
    for (auto _ : state) {
        char *at = start + (1 + static_cast<std::size_t>(done)) * step;
        osmem_result result = in_one ? osmem_prepare(at, step, &stat) : osmem_reserve_at(at, step, &stat);
        if (result == OSMEM_OK && !in_one)
            result = osmem_map(at, step, &stat);
        if (result != OSMEM_OK)
            std::abort();
        if (++done == steps) {
            state.PauseTiming();
            if (osmem_free(start + step, steps * step, {0, steps * step, 0}, &stat) != OSMEM_OK)
                std::abort();
            left++;
            done = 0;
            state.ResumeTiming();
        }
    }
    state.counters["calls"] =
        static_cast<double>(osmem_system_calls() - calls - left) / static_cast<double>(state.iterations());
    osmem_bytes all = osmem_stat_read(&stat, nullptr);
    if (osmem_free(start, (1 + static_cast<std::size_t>(done)) * step, all, &stat) != OSMEM_OK)
        std::abort();
}

void used_untouched(benchmark::State &state) {
    Range range(state, bytes_of(state));
    range.map();
    for (auto _ : state) {
        range.used();
        state.PauseTiming();
        range.unused();
        state.ResumeTiming();
    }
    range.count_mappings(state);
}

void first_touch(benchmark::State &state) {
    Range range(state, bytes_of(state));
    range.map();
    for (auto _ : state) {
        range.used();
        range.touch();
        state.PauseTiming();
        range.unused();
        state.ResumeTiming();
    }
    range.count_mappings(state);
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes_of(state)));
}

void unused_touched(benchmark::State &state) {
    Range range(state, bytes_of(state));
    range.map();
    for (auto _ : state) {
        state.PauseTiming();
        range.used();
        range.touch();
        state.ResumeTiming();
        range.unused();
    }
    range.count_mappings(state);
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes_of(state)));
}

// Every second page of the range given back: in one call for all of them, or in one call for each.
void unused_scattered(benchmark::State &state, bool together) {
    Range range(state, bytes_of(state));
    std::size_t page = osmem_os_page_bytes();
    std::vector<osmem_range> ranges;
    for (std::size_t at = 0; at < bytes_of(state); at += 2 * page)
        ranges.push_back({range.start() + at, page});
    range.map();
    range.used();
    for (auto _ : state) {
        state.PauseTiming();
        range.touch();
        state.ResumeTiming();
        if (together) {
            if (osmem_unused_ranges(ranges.data(), ranges.size(), nullptr, range.stat()) != OSMEM_OK)
                std::abort();
        } else
            for (const osmem_range &it : ranges)
                if (osmem_unused(it.start, it.bytes, range.stat()) != OSMEM_OK)
                    std::abort();
        state.PauseTiming();
        if (osmem_used(range.start(), bytes_of(state), ranges.size() * page, range.stat()) != OSMEM_OK)
            std::abort();
        state.ResumeTiming();
    }
    range.count_mappings(state);
    state.counters["ranges"] = static_cast<double>(ranges.size());
}

void sizes(benchmark::internal::Benchmark *bench) {
    for (int backend = 0; backend < 3; backend++)
        for (int64_t bytes : {64 << 10, 1 << 20, 16 << 20})
            bench->Args({backend, bytes});
    bench->ArgNames({"backend", "bytes"});
}

BENCHMARK(map_and_unmap)->Apply(sizes);
BENCHMARK_CAPTURE(grow, apart, false)->Args({0, 4 << 20})->ArgNames({"backend", "bytes"});
BENCHMARK_CAPTURE(grow, in_one, true)->Args({0, 4 << 20})->ArgNames({"backend", "bytes"});
BENCHMARK(used_untouched)->Apply(sizes);
BENCHMARK(first_touch)->Apply(sizes);
BENCHMARK(unused_touched)->Apply(sizes);
BENCHMARK_CAPTURE(unused_scattered, together, true)->Args({0, 1 << 20})->ArgNames({"backend", "bytes"});
BENCHMARK_CAPTURE(unused_scattered, one_by_one, false)->Args({0, 1 << 20})->ArgNames({"backend", "bytes"});

} // namespace

BENCHMARK_MAIN();
