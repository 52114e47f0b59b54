/* SPDX-License-Identifier: MIT */
/*
 * memory.c: every access of the sources under test: a point at which the seed may switch, and then the access
 * itself, in sequence or through a store buffer.
 *
 * The compiler calls __tsan_… before each plain access, and in place of each atomic one. A plain store
 * happens after its call; at the thread's next call it is undone and put into the thread's buffer, which is
 * as good as not having happened, since nobody else has run in between.
 *
 * What is on its way leaves when the seed says: in order (total store order, as on x86), or in any order that
 * keeps stores to the same place in theirs, and a release behind all that came before it (weak stores; loads
 * still happen at once). A thread sees its own stores. A change (exchange, compare and swap, …) with release,
 * a lock dropped, a call of the system and a fence empty the buffer.
 */
#include "memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define HERE __builtin_return_address(0)

typedef struct sim_emutls {
    size_t bytes, alignment, index;
    const void *initial;
} sim_emutls;

void *__real_memcpy(void *to, const void *from, size_t bytes);
void *__real_memset(void *to, int byte, size_t bytes);
void *__real_memmove(void *to, const void *from, size_t bytes);

static const int *errno_at; /* one for all, changed with them */

void sim_memory_begin(void) {
    errno_at = &errno;
    sim.order = (sim_order)sim_below(SIM_MEMORY, 3);
    sim.linger_bits = 2 + (unsigned)sim_below(SIM_MEMORY, 13);
}

/* Is there a point, and a buffer, for the access? The world's own look at memory is none. */
static inline bool hears(void) {
    return sim.self && !sim.deaf;
}

static inline bool overlap(const sim_store *store, uintptr_t address, size_t bytes) {
    return store->address - address < bytes || address - store->address < store->bytes;
}

/* Nobody else sees a thread's stack and its own variables. */
static inline bool is_private(uintptr_t address) {
    const sim_thread *self = sim.self;
    return (address >= (uintptr_t)self->stack && address < (uintptr_t)self->stack_end) ||
           address - (uintptr_t)self->tls_memory < SIM_TLS_BYTES || address == (uintptr_t)errno_at;
}

static void put(uintptr_t address, const unsigned char *value, unsigned bytes) {
    switch (bytes) {
    case 1:
        *(unsigned char *)address = *value;
        return;
    case 8:
        __builtin_memcpy((void *)address, value, 8);
        return;
    default:
        for (unsigned i = 0; i < bytes; i++)
            ((unsigned char *)address)[i] = value[i];
    }
}

static void take_out(sim_thread *thread, unsigned at) {
    thread->store_count--;
    for (unsigned i = at; i < thread->store_count; i++)
        thread->stores[i] = thread->stores[i + 1];
}

static void leave_first(sim_thread *thread, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        put(thread->stores[i].address, thread->stores[i].value, thread->stores[i].bytes);
    thread->store_count -= count;
    for (unsigned i = 0; i < thread->store_count; i++)
        thread->stores[i] = thread->stores[i + count];
}

/* One leaves, and before it those that have to: all earlier ones, or none. */
static void leave(sim_thread *thread, unsigned at) {
    const sim_store *store = &thread->stores[at];
    bool in_order = store->release || sim.order == SIM_TOTAL_STORE_ORDER;
    for (unsigned i = 0; i < at && !in_order; i++)
        in_order = overlap(&thread->stores[i], store->address, store->bytes);
    if (in_order) {
        leave_first(thread, at + 1);
        return;
    }
    put(store->address, store->value, store->bytes);
    take_out(thread, at);
}

void sim_memory_release(sim_thread *thread) {
    if (thread == sim.self)
        sim_memory_settle();
    leave_first(thread, thread->store_count);
}

void sim_memory_release_all(void) {
    for (unsigned i = 0; i < sim.threads; i++)
        sim_memory_release(&sim.thread[i]);
}

/* Into the buffer of the thread that runs. */
static void push(uintptr_t address, const void *value, unsigned bytes, bool release) {
    sim_thread *self = sim.self;
    if (self->store_count == SIM_BUFFER_MAX)
        leave(self, 0);
    sim_store *store = &self->stores[self->store_count++];
    *store = (sim_store){.address = address, .bytes = bytes, .release = release};
    for (unsigned i = 0; i < bytes; i++)
        store->value[i] = ((const unsigned char *)value)[i];
    store->due = sim.step + 1 + (sim_random(SIM_MEMORY) & ((1u << sim.linger_bits) - 1));
    if (store->due < sim.next_event)
        sim.next_event = store->due;
}

void sim_memory_settle(void) {
    sim_thread *self = sim.self;
    sim_store *undone = &self->undone;
    if (!undone->bytes)
        return;
    unsigned char now[16];
    unsigned bytes = undone->bytes;
    for (unsigned i = 0; i < bytes; i++)
        now[i] = ((const unsigned char *)undone->address)[i];
    put(undone->address, undone->value, bytes);
    undone->bytes = 0;
    push(undone->address, now, bytes, false);
}

void sim_memory_let_due_go(void) {
    for (unsigned t = 0; t < sim.threads; t++) {
        sim_thread *thread = &sim.thread[t];
        for (unsigned i = 0; i < thread->store_count;) {
            if (thread->stores[i].due <= sim.step) {
                leave(thread, i);
                i = 0;
            } else
                i++;
        }
    }
}

uint64_t sim_memory_next_due(void) {
    uint64_t next = UINT64_MAX;
    for (unsigned t = 0; t < sim.threads; t++)
        for (unsigned i = 0; i < sim.thread[t].store_count; i++)
            if (sim.thread[t].stores[i].due < next)
                next = sim.thread[t].stores[i].due;
    return next;
}

/* What the thread itself has stored there leaves, so that memory holds it. */
static void see_own(uintptr_t address, size_t bytes) {
    sim_thread *self = sim.self;
    for (unsigned i = self->store_count; i-- > 0;)
        if (overlap(&self->stores[i], address, bytes)) {
            leave(self, i);
            i = self->store_count;
        }
}

void sim_memory_own(const void *start, size_t bytes) {
    sim_memory_settle();
    see_own((uintptr_t)start, bytes);
}

/* --- plain accesses ------------------------------------------------------------------------------------- */

static inline void before_read(sim_kind kind, const volatile void *address, size_t bytes, const void *place) {
    if (!hears())
        return;
    sim_memory_settle();
    sim_point(kind, address, place);
    if (sim.self->store_count)
        see_own((uintptr_t)address, bytes);
}

static inline void write_plain(void *address, unsigned bytes, const void *place) {
    if (!hears())
        return;
    sim_memory_settle();
    sim_point(SIM_WRITE, address, place);
    if (sim.order == SIM_CONSISTENT || is_private((uintptr_t)address))
        return;
    sim_store *undone = &sim.self->undone;
    undone->address = (uintptr_t)address;
    undone->bytes = bytes;
    for (unsigned i = 0; i < bytes; i++)
        undone->value[i] = ((const unsigned char *)address)[i];
}

#define PLAIN(bytes)                                    \
    void __tsan_read##bytes(void *address);             \
    void __tsan_write##bytes(void *address);            \
    void __tsan_unaligned_read##bytes(void *address);   \
    void __tsan_unaligned_write##bytes(void *address);  \
    void __tsan_read##bytes(void *address) {            \
        before_read(SIM_READ, address, bytes, HERE);    \
    }                                                   \
    void __tsan_write##bytes(void *address) {           \
        write_plain(address, bytes, HERE);              \
    }                                                   \
    void __tsan_unaligned_read##bytes(void *address) {  \
        before_read(SIM_READ, address, bytes, HERE);    \
    }                                                   \
    void __tsan_unaligned_write##bytes(void *address) { \
        write_plain(address, bytes, HERE);              \
    }
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_init(void);
void __tsan_init(void) {
}

/* --- copies --------------------------------------------------------------------------------------------- */

void *__wrap_memcpy(void *to, const void *from, size_t bytes);
void *__wrap_memmove(void *to, const void *from, size_t bytes);
void *__wrap_memset(void *to, int byte, size_t bytes);

#define SMALL_COPY_BYTES 64

/* A small copy goes by the buffer, like the stores that it is made of; a long one is seen at once, in its
 * place in the order. True: it is in the buffer. */
static bool before_copy(void *to, const void *from, size_t bytes, const void *place) {
    if (!hears())
        return false;
    sim_memory_settle();
    sim_point(SIM_COPY, to, place);
    if (from)
        see_own((uintptr_t)from, bytes);
    if (sim.order != SIM_CONSISTENT && bytes <= SMALL_COPY_BYTES && !is_private((uintptr_t)to))
        return true;
    if (sim.order == SIM_TOTAL_STORE_ORDER)
        sim_memory_release(sim.self);
    else
        see_own((uintptr_t)to, bytes);
    return false;
}

static void *push_copy(void *to, const unsigned char *value, size_t bytes) {
    for (size_t at = 0; at < bytes; at += 16)
        push((uintptr_t)to + at, value + at, bytes - at < 16 ? (unsigned)(bytes - at) : 16, false);
    return to;
}

static void *copy(void *to, const void *from, size_t bytes, const void *place) {
    unsigned char value[SMALL_COPY_BYTES];
    if (!before_copy(to, from, bytes, place))
        return __real_memmove(to, from, bytes);
    for (size_t at = 0; at < bytes; at++)
        value[at] = ((const unsigned char *)from)[at];
    return push_copy(to, value, bytes);
}

void *__wrap_memcpy(void *to, const void *from, size_t bytes) {
    return copy(to, from, bytes, HERE);
}

void *__wrap_memmove(void *to, const void *from, size_t bytes) {
    return copy(to, from, bytes, HERE);
}

void *__wrap_memset(void *to, int byte, size_t bytes) {
    unsigned char value[SMALL_COPY_BYTES];
    if (!before_copy(to, NULL, bytes, HERE))
        return __real_memset(to, byte, bytes);
    for (size_t at = 0; at < bytes; at++)
        value[at] = (unsigned char)byte;
    return push_copy(to, value, bytes);
}

/* --- atomic accesses ------------------------------------------------------------------------------------ */

static inline bool releases(int order) {
    return order == memory_order_release || order == memory_order_acq_rel || order == memory_order_seq_cst;
}

/* True: the store is in the buffer. */
static bool before_store(volatile void *address, const void *value, unsigned bytes, int order,
                         const void *place) {
    if (!hears())
        return false;
    sim_memory_settle();
    sim_point(SIM_ATOMIC_STORE, address, place);
    if (sim.order == SIM_CONSISTENT || order == memory_order_seq_cst) {
        sim_memory_release(sim.self);
        return false;
    }
    push((uintptr_t)address, value, bytes, releases(order));
    return true;
}

static void before_change(volatile void *address, unsigned bytes, int order, const void *place) {
    if (!hears())
        return;
    sim_memory_settle();
    sim_point(SIM_ATOMIC_CHANGE, address, place);
    if (sim.order == SIM_TOTAL_STORE_ORDER || releases(order))
        sim_memory_release(sim.self);
    else if (sim.self->store_count)
        see_own((uintptr_t)address, bytes);
}

#define CHANGE(bits, name, expression)                                                             \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *at, uint##bits##_t value, \
                                                int order);                                        \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *at, uint##bits##_t value, \
                                                int order) {                                       \
        before_change(at, bits / 8, order, HERE);                                                  \
        uint##bits##_t old = *at;                                                                  \
        *at = (uint##bits##_t)(expression);                                                        \
        return old;                                                                                \
    }

#define ATOMIC(bits)                                                                                         \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, int order);                 \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *at, uint##bits##_t value, int order);          \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                                               \
        volatile uint##bits##_t *at, uint##bits##_t expected, uint##bits##_t value, int order, int failed);  \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, int order) {                \
        (void)order;                                                                                         \
        before_read(SIM_ATOMIC_LOAD, at, bits / 8, HERE);                                                    \
        return *at;                                                                                          \
    }                                                                                                        \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *at, uint##bits##_t value, int order) {         \
        if (!before_store(at, &value, bits / 8, order, HERE))                                                \
            *at = value;                                                                                     \
    }                                                                                                        \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                                               \
        volatile uint##bits##_t *at, uint##bits##_t expected, uint##bits##_t value, int order, int failed) { \
        (void)failed;                                                                                        \
        before_change(at, bits / 8, order, HERE);                                                            \
        uint##bits##_t old = *at;                                                                            \
        if (old == expected)                                                                                 \
            *at = value;                                                                                     \
        return old;                                                                                          \
    }                                                                                                        \
    CHANGE(bits, exchange, value)                                                                            \
    CHANGE(bits, fetch_add, old + value)                                                                     \
    CHANGE(bits, fetch_sub, old - value)                                                                     \
    CHANGE(bits, fetch_and, old &value)                                                                      \
    CHANGE(bits, fetch_or, old | value)                                                                      \
    CHANGE(bits, fetch_xor, old ^ value)
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);

void __tsan_atomic_thread_fence(int order) {
    if (!hears())
        return;
    sim_memory_settle();
    sim_point(SIM_FENCE, NULL, HERE);
    if (releases(order))
        sim_memory_release(sim.self);
}

void __tsan_atomic_signal_fence(int order) {
    (void)order;
}

/* --- thread-local variables ----------------------------------------------------------------------------- */

void *__emutls_get_address(sim_emutls *variable);

void *__emutls_get_address(sim_emutls *variable) {
    static size_t last_index;
    static sim_thread nobody; /* before there is a thread */
    sim_thread *self = sim.self ? sim.self : &nobody;
    if (!variable->index) {
        variable->index = ++last_index;
        if (last_index == SIM_TLS_VARIABLES)
            sim_fail("more thread-local variables than there is room for");
    }
    void **at = &self->tls[variable->index];
    if (*at)
        return *at;
    size_t start = (self->tls_used + variable->alignment - 1) & ~(variable->alignment - 1);
    if (start + variable->bytes > SIM_TLS_BYTES)
        sim_fail("no room for a thread-local variable of %zu bytes", variable->bytes);
    self->tls_used = start + variable->bytes;
    *at = self->tls_memory + start;
    if (variable->initial)
        __real_memcpy(*at, variable->initial, variable->bytes);
    return *at;
}
