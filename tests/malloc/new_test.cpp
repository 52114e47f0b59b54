// SPDX-License-Identifier: MIT
// Every form of new and delete lands in fallow, and fails as the standard says.
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include "../lib/check.h"

// The window's place tells whose a block is: malloc's blocks lie there too.
static bool is_ours(const void *block) {
    auto tebibytes = [](const void *at) { return reinterpret_cast<std::uintptr_t>(at) >> 40; };
    void *reference = std::calloc(1, 100); // gcc warns of a pointer to what was not written
    bool near = tebibytes(reference) - tebibytes(block) + 8 <= 16;
    std::free(reference);
    return near;
}

static void new_and_delete_in_all_forms() {
    const std::align_val_t aligned{128};
    const std::size_t sizes[] = {1, 24, 1000, 70000, 3000000};
    for (std::size_t size : sizes) {
        void *p;
        auto check = [&](std::size_t alignment) {
            CHECK(p && is_ours(p) && reinterpret_cast<std::uintptr_t>(p) % alignment == 0);
            CHECK(malloc_usable_size(p) >= size);
            std::memset(p, 1, size);
        };
        p = ::operator new(size), check(16), ::operator delete(p);
        p = ::operator new(size), check(16), ::operator delete(p, size);
        p = ::operator new(size, std::nothrow), check(16), ::operator delete(p, std::nothrow);
        p = ::operator new[](size), check(16), ::operator delete[](p);
        p = ::operator new[](size), check(16), ::operator delete[](p, size);
        p = ::operator new[](size, std::nothrow), check(16), ::operator delete[](p, std::nothrow);
        p = ::operator new(size, aligned), check(128), ::operator delete(p, aligned);
        p = ::operator new(size, aligned), check(128), ::operator delete(p, size, aligned);
        p = ::operator new(size, aligned, std::nothrow), check(128),
        ::operator delete(p, aligned, std::nothrow);
        p = ::operator new[](size, aligned), check(128), ::operator delete[](p, aligned);
        p = ::operator new[](size, aligned), check(128), ::operator delete[](p, size, aligned);
        p = ::operator new[](size, aligned, std::nothrow), check(128),
        ::operator delete[](p, aligned, std::nothrow);
    }
    ::operator delete(nullptr);
    ::operator delete[](nullptr);
}

static const std::size_t too_much = ~std::size_t{0} - 100;

template <class Exception> static bool throws(const std::function<void *()> &allocate) {
    try {
        allocate();
    } catch (const Exception &) {
        return true;
    }
    return false;
}

static void new_without_memory_throws() {
    volatile std::size_t n = too_much;
    const std::align_val_t aligned{64};
    CHECK(throws<std::bad_alloc>([&] { return ::operator new(n); }));
    CHECK(throws<std::bad_alloc>([&] { return ::operator new[](n); }));
    CHECK(throws<std::bad_alloc>([&] { return ::operator new(n, aligned); }));
    CHECK(throws<std::bad_alloc>([&] { return ::operator new[](n, aligned); }));
    CHECK(!::operator new(n, std::nothrow));
    CHECK(!::operator new[](n, std::nothrow));
    CHECK(!::operator new(n, aligned, std::nothrow));
    CHECK(!::operator new[](n, aligned, std::nothrow));
}

struct handler_gave_up {};
static int handler_calls;

static void new_asks_the_handler() {
    volatile std::size_t n = too_much;
    std::set_new_handler([] {
        if (++handler_calls == 3)
            std::set_new_handler(nullptr);
    });
    CHECK(throws<std::bad_alloc>([&] { return ::operator new(n); }));
    CHECK(handler_calls == 3);
    std::set_new_handler([] { throw handler_gave_up(); });
    CHECK(throws<handler_gave_up>([&] { return ::operator new[](n); }));
    std::set_new_handler([] { throw std::bad_alloc(); });
    CHECK(!::operator new(n, std::nothrow)); // what the handler throws does not come out
    std::set_new_handler(nullptr);
}

static void new_under_the_standard_library() {
    std::vector<std::string> words;
    for (int i = 0; i < 100000; i++)
        words.push_back(std::string(static_cast<std::size_t>(i % 100), 'x') + std::to_string(i));
    for (int i = 0; i < 100000; i++)
        CHECK(words[static_cast<std::size_t>(i)].size() >= static_cast<std::size_t>(i % 100));
}

int main() {
    new_and_delete_in_all_forms();
    new_without_memory_throws();
    new_asks_the_handler();
    new_under_the_standard_library();
    std::puts("ok new_test");
    return 0;
}
