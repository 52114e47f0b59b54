/* SPDX-License-Identifier: MIT */
/*
 * world.h: the simulated world in which fallow's shipped sources run: threads that are coroutines, memory
 * with store buffers, locks, a clock and a system for memory that may refuse. Everything in it follows from
 * one seed; one kernel thread runs it all.
 *
 * The compiler turns every access of the sources under test into a call (`-fsanitize=thread`, memory.c), the
 * linker every call of pthread_… (`--wrap`, threads.c), and the floors below osmem are replaced
 * (system_simulated.c, faults.c). The world's own files are compiled without that: what they do happens at
 * one moment.
 */
#ifndef WORLD_H
#define WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Streams of random numbers, so that what one part draws does not shift what another does. */
typedef enum sim_stream { SIM_SCHEDULE, SIM_MEMORY, SIM_FAULTS, SIM_WORK, SIM_STREAMS } sim_stream;

uint64_t sim_random(sim_stream stream);

/* Below `limit`, which is not 0. True with a chance of 1 to `to`; of so many in 65536. A number whose
 * logarithm is uniform. */
static inline uint64_t sim_below(sim_stream stream, uint64_t limit) {
    return sim_random(stream) % limit;
}

static inline bool sim_one_in(sim_stream stream, uint64_t to) {
    return sim_random(stream) % to == 0;
}

static inline bool sim_chance(sim_stream stream, uint32_t of_65536) {
    return (sim_random(stream) & 65535) < of_65536;
}

uint64_t sim_log_uniform(sim_stream stream, unsigned bits_min, unsigned bits_max);

/* What happens at a point; the first ones are plain. */
typedef enum sim_kind {
    SIM_READ,
    SIM_WRITE,
    SIM_COPY,
    SIM_ATOMIC_LOAD,
    SIM_ATOMIC_STORE,
    SIM_ATOMIC_CHANGE,
    SIM_FENCE,
    SIM_LOCK,
    SIM_UNLOCK,
    SIM_SYSTEM,
    SIM_TEXT
} sim_kind;

/* How memory behaves. Weaker than sequentially consistent: what stores are still on their way (memory.c). */
typedef enum sim_order { SIM_CONSISTENT, SIM_TOTAL_STORE_ORDER, SIM_WEAK_STORES } sim_order;

typedef enum sim_strategy { SIM_UNIFORM, SIM_PRIORITIES, SIM_LONG_RUNS, SIM_PLACES } sim_strategy;

typedef enum sim_state { SIM_UNUSED, SIM_RUNNABLE, SIM_WAITS, SIM_SLEEPS, SIM_ENDED } sim_state;

#define SIM_THREADS_MAX 40
#define SIM_KEYS_MAX 8
#define SIM_TLS_BYTES 8192
#define SIM_TLS_VARIABLES 64
#define SIM_BUFFER_MAX 64

typedef struct sim_store {
    uintptr_t address;
    unsigned bytes;
    bool release; /* stays behind all that came before it */
    uint64_t due; /* it leaves at this step at the latest */
    unsigned char value[16];
} sim_store;

typedef struct sim_thread {
    unsigned id;
    sim_state state;
    void *stack_pointer; /* while it does not run */
    char *stack, *stack_end;
    void *(*body)(void *);
    void *argument;
    int saved_errno;
    const void *waits_for; /* a mutex or a once */
    uint64_t wakes_ns;     /* while it sleeps; while it waits, 0: for ever */
    uint64_t priority;
    uint64_t held_until; /* a step: it has no turn before, unless nobody else can run */
    unsigned locks_held;
    uint64_t steps, op_began; /* its own */
    const char *op;           /* what it is doing; NULL: it is between two operations */
    bool background;          /* the library's own */
    bool takes_signals;
    bool interrupted; /* in a handler, or a fork, where no other comes */
    void *key_values[SIM_KEYS_MAX];
    void *tls[SIM_TLS_VARIABLES];
    char tls_memory[SIM_TLS_BYTES] __attribute__((aligned(64)));
    size_t tls_used;
    sim_store stores[SIM_BUFFER_MAX]; /* the oldest first */
    unsigned store_count;
    sim_store undone; /* the plain store that is about to be made: where, and what was there. bytes 0: none */
} sim_thread;

typedef struct sim_world {
    uint64_t seed;
    uint64_t step;       /* points so far */
    uint64_t next_event; /* the step at which something is due: a switch, a store that leaves */
    uint64_t next_switch;
    uint64_t next_signal;
    void (*signal)(void); /* a handler that interrupts whoever runs, at any point; NULL: there is none */
    uint64_t switches;
    uint64_t jumped_ns;
    sim_thread *self; /* who runs; NULL: nobody yet */
    unsigned deaf;    /* not 0: no point is one, and memory is only memory: the oracle is looking */
    bool plain_points;
    bool logs;
    bool is_child; /* of a fork: alone */
    sim_order order;
    sim_kind place_kind;
    unsigned place_bits;
    uint32_t place;       /* who comes by one of these is interrupted; UINT32_MAX: none */
    unsigned linger_bits; /* a store stays for up to two to the power of this many steps */
    sim_strategy strategy;
    unsigned threads; /* slots used */
    uint64_t longest_op;
    const char *longest_op_name;
    sim_thread thread[SIM_THREADS_MAX];
} sim_world;

extern sim_world sim;

/* Begins the world of a seed; with nothing in it. */
void sim_begin(uint64_t seed);

/* The seed has failed: says why, shows the log if there is one, and ends the process. */
_Noreturn void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A life that takes so much CPU time hangs where there is no point: SIGPROF. For the process alone, not for
 * its children. */
void sim_watch_time(void);

/* A line of the log that is no access: what an operation is asked and returns. */
void sim_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sim_log(sim_kind kind, const void *address, const void *place);
void sim_log_show(int descriptor);

/* schedule.c: what is due at this step; at_place: the caller is at one of the places that the seed has
 * drawn. */
void sim_event(bool at_place);

/* Places in the program, as classes of which one is drawn: some of all the thousands, or of those of changes,
 * locks and calls. */
#define SIM_PLACE_BITS_ALL 9
#define SIM_PLACE_BITS_CALLS 6

static inline bool sim_is_place(sim_kind kind, const void *place) {
    return kind >= sim.place_kind &&
           ((uint32_t)(uintptr_t)place * 2654435761u) >> (32 - sim.place_bits) == sim.place;
}

/* Every access, lock and call of the system comes by here, before it happens. */
static inline void sim_point(sim_kind kind, const volatile void *address, const void *place) {
    if (sim.logs)
        sim_log(kind, (const void *)address, place);
    if (kind >= SIM_ATOMIC_LOAD || sim.plain_points) {
        sim.step++;
        sim.self->steps++;
        bool at_place = sim_is_place(kind, place);
        if (__builtin_expect(at_place | (sim.step >= sim.next_event), 0))
            sim_event(at_place);
    }
}

#endif
