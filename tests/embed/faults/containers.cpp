// SPDX-License-Identifier: MIT
#include "memory_faults.h"

#include <fallow/pmr.hpp>
#include <map>
#include <vector>

typedef std::vector<int, fallow::allocator<int>> numbers;

void containers_use(fallow_arena *arena, fallow_pool *pool) {
    std::map<int, int, std::less<int>, fallow::allocator<std::pair<const int, int>>> map{
        std::less<int>(), fallow::allocator<std::pair<const int, int>>(arena)};
    numbers list{fallow::allocator<int>(arena)};
    for (int i = 0; i < 2000; i++) {
        map[i * 7919 % 2000] = i;
        list.push_back(i);
    }
    for (int i = 0; i < 2000; i += 2)
        map.erase(i);
#ifdef FALLOW_HAS_MEMORY_RESOURCE
    fallow::pool_resource resource(pool);
    std::pmr::vector<int> in_pool(&resource);
    for (int i = 0; i < 2000; i++)
        in_pool.push_back(i);
#endif
    (void)pool;
}

void containers_after_free(fallow_arena *arena) {
    numbers list(100, 1, fallow::allocator<int>(arena));
    volatile int *first = &list[0];
    list.reserve(1000);
    *first = 2;
}

void containers_beyond_reserved(fallow_arena *arena) {
    numbers list(100, 1, fallow::allocator<int>(arena));
    volatile int *first = &list[0];
    first[100] = 2;
}
