/* SPDX-License-Identifier: MIT */
/* mismatch.cpp: C++'s delete is told another size or alignment than new was, or of what is no object of its
 * own. Most allocators believe what they are told; some check, and glibc never hears of it. */
#include <new>

#include "misuse.h"

namespace {

void sized_delete(size_t bytes, size_t said) {
    void *object = unknown(::operator new(bytes));
    ::operator delete(object, said);
    goes_on(bytes);
}

void aligned_delete(size_t bytes, size_t said) {
    void *object = unknown(::operator new(bytes));
    ::operator delete(object, std::align_val_t(said));
    goes_on(bytes);
}

/* The array begins with its count, and delete is given what lies behind that. */
struct counted {
    ~counted() {
        use(&byte);
    }
    char byte = 'x';
};

void delete_of_an_array(size_t count, size_t) {
    counted *array = static_cast<counted *>(unknown(new counted[count]));
    ::operator delete(array);
    goes_on(count);
}

void delete_twice(size_t bytes, size_t) {
    void *object = unknown(::operator new(bytes)), *another = unknown(::operator new(bytes));
    void *same = unknown(object);
    ::operator delete(object);
    ::operator delete(another);
    ::operator delete(same);
}

struct base {
    char bytes[48];
};
struct other {
    char bytes[32];
};
struct derived : other, base {};

/* Of a part that does not lie at the start of its object. */
void delete_of_a_second_base(size_t, size_t) {
    base *part = static_cast<derived *>(unknown(new derived));
    ::operator delete(unknown(part));
    goes_on(sizeof(derived));
}

const misuse cases[] = {
    CASE(sized_delete, 200, 20),      CASE(sized_delete, 20, 200),         CASE(sized_delete, 5000, 300000),
    CASE(sized_delete, 300000, 5000), CASE(aligned_delete, 100, 4096),     CASE(delete_of_an_array, 20, 0),
    CASE(delete_of_an_array, 500, 0), CASE(delete_of_a_second_base, 0, 0), CASE(delete_twice, 40, 0),
    CASE(delete_twice, 300000, 0),
};

} // namespace

extern "C" const misuse_kind mismatches = KIND("mismatched delete", cases);
