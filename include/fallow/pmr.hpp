// SPDX-License-Identifier: MIT
//
// pmr.hpp: C++ containers in an arena or a pool.
//
//     fallow::arena_resource tenant(arena);                       // std::pmr::memory_resource
//     std::pmr::vector<std::pmr::string> words(&tenant);
//
//     fallow::pool_resource request(pool);                        // deallocate does nothing
//
//     std::vector<int, fallow::allocator<int>> numbers(fallow::allocator<int>(arena));
//
// If memory cannot be had, they throw std::bad_alloc; without exceptions they end the process, as the
// standard library does. They do not own their arena or pool, which must outlive every container. Or no
// container is destroyed, and its arena is instead, at once ("wink out"): right if the elements own nothing
// but memory of the same arena, and the container itself lies in it or nobody runs its destructor
// (docs/embedding.md, "C++").
//
// Threads: as with the arena or pool.
//
// C++17 for the resources (if the library has them), C++11 for the allocator; also without exceptions and
// without RTTI. Without RTTI a resource is equal only to itself. No code beyond this header.
//
#ifndef FALLOW_PMR_HPP
#define FALLOW_PMR_HPP

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <type_traits>

#include "arena.h"
#include "pool.h"

#if __cplusplus >= 201703L && defined(__has_include)
#if __has_include(<memory_resource>)
#include <memory_resource>
#define FALLOW_HAS_MEMORY_RESOURCE 1
#endif
#endif

namespace fallow {

namespace detail {
[[noreturn]] inline void no_memory() {
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
    throw std::bad_alloc();
#else
    std::abort();
#endif
}
inline void *or_throw(void *block) {
    if (!block)
        no_memory();
    return block;
}
} // namespace detail

#ifdef FALLOW_HAS_MEMORY_RESOURCE

/* Memory of an arena (arena.h). Two are equal if their arenas are the same. */
class arena_resource final : public std::pmr::memory_resource {
  public:
    explicit arena_resource(fallow_arena *arena) noexcept : arena_(arena) {
    }
    fallow_arena *arena() const noexcept {
        return arena_;
    }

  private:
    void *do_allocate(std::size_t bytes, std::size_t alignment) override {
        return detail::or_throw(fallow_arena_alloc_aligned(arena_, alignment, bytes));
    }
    void do_deallocate(void *block, std::size_t, std::size_t) override {
        fallow_arena_free(arena_, block);
    }
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
#if defined(__cpp_rtti) || defined(__GXX_RTTI)
        const auto *same = dynamic_cast<const arena_resource *>(&other);
        return same && same->arena_ == arena_;
#else
        return this == &other;
#endif
    }
    fallow_arena *arena_;
};

/* Memory of a pool (pool.h): deallocated memory comes back when the pool is reset, rewound or destroyed. */
class pool_resource final : public std::pmr::memory_resource {
  public:
    explicit pool_resource(fallow_pool *pool) noexcept : pool_(pool) {
    }
    fallow_pool *pool() const noexcept {
        return pool_;
    }

  private:
    void *do_allocate(std::size_t bytes, std::size_t alignment) override {
        return detail::or_throw(fallow_pool_alloc_aligned(pool_, alignment, bytes));
    }
    void do_deallocate(void *, std::size_t, std::size_t) override {
    }
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
#if defined(__cpp_rtti) || defined(__GXX_RTTI)
        const auto *same = dynamic_cast<const pool_resource *>(&other);
        return same && same->pool_ == pool_;
#else
        return this == &other;
#endif
    }
    fallow_pool *pool_;
};

#endif

/* A standard allocator over an arena, without a virtual call. It goes along when a container is moved,
 * copied or swapped. */
template <class T> class allocator {
  public:
    using value_type = T;
    using propagate_on_container_copy_assignment = std::true_type;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap = std::true_type;
    using is_always_equal = std::false_type;

    explicit allocator(fallow_arena *arena) noexcept : arena_(arena) {
    }
    template <class U> allocator(const allocator<U> &other) noexcept : arena_(other.arena()) {
    }
    T *allocate(std::size_t count) {
        if (count > SIZE_MAX / sizeof(T))
            detail::no_memory();
        return static_cast<T *>(
            detail::or_throw(fallow_arena_alloc_aligned(arena_, alignof(T), count * sizeof(T))));
    }
    void deallocate(T *block, std::size_t) noexcept {
        fallow_arena_free(arena_, block);
    }
    fallow_arena *arena() const noexcept {
        return arena_;
    }

  private:
    fallow_arena *arena_;
};

template <class T, class U> bool operator==(const allocator<T> &a, const allocator<U> &b) noexcept {
    return a.arena() == b.arena();
}
template <class T, class U> bool operator!=(const allocator<T> &a, const allocator<U> &b) noexcept {
    return !(a == b);
}

} // namespace fallow

#endif
