/* SPDX-License-Identifier: MIT */
#include "copies.h"

#include <string.h>

#include "../arena/window.h"
#include "../system/system.h"

#define PAGE_BYTES ((uintptr_t)4096)
#define UNREAD_NS_MAX UINT64_C(2000000000)

_Static_assert(sizeof(fl_copy) == FL_COPY_BYTES, "a copy fills its place");

fl_copies fl_the_copies;

/* Of the ring, when it was found full and nobody had read since; the profile's lock guards it. */
static uint64_t unread_since_ns;

#if FL_COPIES_ARE_MADE
/* The kernel leaves that much below the main thread's stack to it, whatever the limit. */
#define MAIN_BYTES_MAX ((uintptr_t)128 << 20)
#define THREAD_BYTES_MAX ((uintptr_t)1 << 20) /* a question for each page of them */

/* Of the loader, in glibc; elsewhere the main thread's stack is not copied. */
extern void *__libc_stack_end __attribute__((weak));

/* Of the main thread; 0: it has not been seen. Guards nothing. */
static _Atomic uintptr_t main_pointer;

static uintptr_t thread_pointer(void) {
    uintptr_t pointer;
    __asm__("movq %%fs:0, %0" : "=r"(pointer));
    return pointer;
}

/* Returns the end of the main thread's stack, or 0 if this is another. It is one mapping to its end. */
static uintptr_t main_stack_end(uintptr_t here) {
    uintptr_t end = &__libc_stack_end ? (uintptr_t)__libc_stack_end : 0;
    if (end <= here || end - here > MAIN_BYTES_MAX)
        return 0;
    if (!atomic_load_explicit(&main_pointer, memory_order_relaxed))
        atomic_store_explicit(&main_pointer, thread_pointer(), memory_order_relaxed);
    return end;
}

/* Returns where the thread's own stack ends, or 0 if this is another, or it is not known. A thread's is below
 * its thread pointer, and has an inaccessible page at its other end: all that can be read between here and
 * there is of the same stack. It stays while the thread runs on it, so that what could be read once can be
 * read. (Only the main thread's pointer is elsewhere, where other memory may be next to it.) */
static uintptr_t stack_end(uintptr_t here) {
    uintptr_t end = main_stack_end(here), mains = atomic_load_explicit(&main_pointer, memory_order_relaxed);
    if (end)
        return end;
    end = thread_pointer();
    if (!mains || end == mains || end <= here || end - here > THREAD_BYTES_MAX)
        return 0;
    for (uintptr_t page = (here | (PAGE_BYTES - 1)) + 1; page < end; page += PAGE_BYTES)
        if (!fl_system_can_read((const void *)page))
            return 0;
    return end;
}

void fl_copies_know_main(void) {
    main_stack_end((uintptr_t)__builtin_frame_address(0));
}

/* One instruction, that no sanitizer looks into: a stack has parts that none but its owner may touch. */
static void copy_words(void *to, uintptr_t from, size_t bytes) {
    size_t words = bytes / 8;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

/* Numbers as in the psABI's table for DWARF. What a called function may change is of no use to an
 * unwinder. */
#define STORE_REGISTERS(into)                                         \
    __asm__ volatile("leaq 0f(%%rip), %%rax\n0:\n\t"                  \
                     "movq %%rbx, 24(%0)\n\tmovq %%rbp, 48(%0)\n\t"   \
                     "movq %%rsp, 56(%0)\n\tmovq %%r12, 96(%0)\n\t"   \
                     "movq %%r13, 104(%0)\n\tmovq %%r14, 112(%0)\n\t" \
                     "movq %%r15, 120(%0)\n\tmovq %%rax, 128(%0)"     \
                     :                                                \
                     : "r"(into)                                      \
                     : "rax", "memory")
#else
#define STORE_REGISTERS(into) ((void)(into))
void fl_copies_know_main(void) {
}
static uintptr_t stack_end(uintptr_t here) {
    return here & 0;
}
static void copy_words(void *to, uintptr_t from, size_t bytes) {
    (void)to, (void)from, (void)bytes;
}
#endif

static fl_copy *ring(void) {
    fl_copy *all = atomic_load_explicit(&fl_the_copies.ring, memory_order_relaxed);
    if (!all && (all = fl_meta_alloc(FL_COPIES * sizeof *all)) != NULL)
        atomic_store_explicit(&fl_the_copies.ring, all, memory_order_release); /* zeroes: free */
    return all;
}

/* Acquire: the reader's wiping is over. */
static fl_copy *free_place(void) {
    fl_copy *all = ring();
    for (unsigned i = 0; all && i < FL_COPIES; i++)
        if (!atomic_load_explicit(&all[i].full, memory_order_acquire))
            return &all[i];
    return NULL;
}

/* A reader that was killed leaves a full ring: it is wiped as soon as that shows. */
static void note_full(void) {
    uint64_t now = fl_system_now_ns();
    fl_the_copies.late++;
    if (!unread_since_ns)
        unread_since_ns = now;
    else if (now - unread_since_ns > UNREAD_NS_MAX)
        fl_copies_drop();
}

__attribute__((noinline)) fl_copy *fl_copies_take(void) {
    fl_copy *copy = free_place();
    if (!copy) {
        note_full();
        return NULL;
    }
    unread_since_ns = 0;
    STORE_REGISTERS(copy->registers);
    uintptr_t here = (uintptr_t)copy->registers[7], end = stack_end(here);
    if (!end) {
        fl_the_copies.foreign++;
        return NULL;
    }
    copy->bytes =
        (uint32_t)(end - here < sizeof copy->stack ? (end - here) & ~(uintptr_t)7 : sizeof copy->stack);
    copy_words(copy->stack, here, copy->bytes);
    copy->number = ++fl_the_copies.number;
    return copy;
}

void fl_copies_finish(fl_copy *copy) {
    atomic_store_explicit(&copy->full, 1, memory_order_release);
}

void fl_copies_drop(void) {
    fl_copy *all = atomic_load_explicit(&fl_the_copies.ring, memory_order_relaxed);
    if (!fl_copies_are_wanted())
        return;
    atomic_store_explicit(&fl_the_copies.reader, 0, memory_order_relaxed);
    unread_since_ns = 0;
    if (all)
        memset((void *)all, 0, FL_COPIES * sizeof *all);
}
