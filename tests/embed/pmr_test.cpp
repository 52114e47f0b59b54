// SPDX-License-Identifier: MIT
// C++ containers in arenas and pools: their memory is the arena's, its limit throws, and its end takes all.
#include <fallow/pmr.hpp>

#include <cstdio>
#include <cstdlib>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "../lib/check.h"

static void pmr_containers_lie_in_the_arena() {
    fallow_arena *arena = fallow_arena_create("pmr", 0);
    fallow::arena_resource resource(arena), same(arena);
    {
        std::pmr::vector<std::pmr::string> words(&resource);
        for (int i = 0; i < 10000; i++)
            words.emplace_back(std::string(static_cast<std::size_t>(i % 200), 'x'));
        CHECK(fallow_arena_of(words.data()) == arena);
        CHECK(fallow_arena_of(words.back().data()) == arena);
        struct alignas(128) wide {
            char bytes[128];
        };
        std::pmr::vector<wide> wides(100, &resource);
        CHECK(reinterpret_cast<std::uintptr_t>(wides.data()) % 128 == 0);
        std::pmr::map<int, std::pmr::string> numbers(&resource);
        for (int i = 0; i < 1000; i++)
            numbers.emplace(i, "a number that is too long for the string itself");
        CHECK(numbers.size() == 1000);
    }
    CHECK(resource.is_equal(same) && !resource.is_equal(*std::pmr::new_delete_resource()));
    fallow_arena_destroy(arena);
}

static void pmr_limit_throws() {
    fallow_arena *arena = fallow_arena_create("limited", 1 << 20);
    fallow::arena_resource resource(arena);
    bool thrown = false;
    try {
        std::pmr::list<std::pmr::vector<char>> all(&resource);
        for (int i = 0; i < 1000; i++)
            all.emplace_back(std::size_t{10000});
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    CHECK(thrown);
    { std::pmr::vector<char> again(std::size_t{500000}, &resource); } // what was there is gone
    fallow_arena_destroy(arena);
}

static void pmr_pool_takes_all_at_once() {
    fallow_pool *pool = fallow_pool_create(nullptr);
    fallow::pool_resource resource(pool);
    for (int request = 0; request < 100; request++) {
        std::pmr::vector<std::pmr::string> words(&resource);
        for (int i = 0; i < 100; i++)
            words.emplace_back("a word that is too long for the string itself");
        CHECK(fallow_pool_used_bytes(pool) > 100 * 40);
        words = std::pmr::vector<std::pmr::string>(&resource);
        fallow_pool_reset(pool);
    }
    CHECK(fallow_pool_held_bytes(pool) < 1 << 20);
    fallow_pool_destroy(pool);
}

static void pmr_standard_allocator() {
    fallow_arena *arena = fallow_arena_create("standard", 0), *other = fallow_arena_create("other", 0);
    fallow::allocator<int> here(arena), there(other);
    std::vector<int, fallow::allocator<int>> numbers(here), elsewhere(there);
    for (int i = 0; i < 100000; i++)
        numbers.push_back(i);
    CHECK(fallow_arena_of(numbers.data()) == arena);
    elsewhere.push_back(1);
    elsewhere = numbers;
    CHECK(elsewhere.size() == 100000 && elsewhere.get_allocator() == here);
    std::list<double, fallow::allocator<double>> list{fallow::allocator<double>(here)};
    list.push_back(1);
    CHECK(fallow_arena_of(&list.front()) == arena);
    bool thrown = false;
    try {
        here.allocate(SIZE_MAX / 2);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    CHECK(thrown);
}

int main() {
    pmr_containers_lie_in_the_arena();
    pmr_limit_throws();
    pmr_pool_takes_all_at_once();
    pmr_standard_allocator();
    std::puts("ok pmr_test");
    return 0;
}
