/* SPDX-License-Identifier: MIT */
/*
 * world.c: one world: its random numbers, its log, and how it ends.
 */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "one_life.h"

#define LOG_LINES 1000
#define NOTE_LINES 200
#define TEXT_BYTES 160
#define WATCH_SECONDS 20

sim_world sim;

static uint64_t streams[SIM_STREAMS];

typedef struct line {
    uint64_t step;
    sim_kind kind;
    unsigned thread;
    const void *address, *place;
    char text[TEXT_BYTES];
} line;

/* The last accesses, and the last operations apart, which would be lost among them. */
static line lines[LOG_LINES], notes[NOTE_LINES];
static uint64_t line_count, note_count;

/* Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014). */
uint64_t sim_random(sim_stream stream) {
    uint64_t z = (streams[stream] += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t sim_log_uniform(sim_stream stream, unsigned bits_min, unsigned bits_max) {
    unsigned bits = bits_min + (unsigned)sim_below(stream, bits_max - bits_min + 1);
    return (UINT64_C(1) << bits) + (sim_random(stream) & ((UINT64_C(1) << bits) - 1));
}

void sim_begin(uint64_t seed) {
    sim.seed = seed;
    for (unsigned i = 0; i < SIM_STREAMS; i++) {
        streams[i] = seed * SIM_STREAMS + i;
        streams[i] = sim_random((sim_stream)i);
    }
    sim.place = UINT32_MAX;
    sim.place_bits = SIM_PLACE_BITS_ALL;
    sim.next_event = sim.next_signal = sim.next_switch = UINT64_MAX;
}

static line *next_line(sim_kind kind) {
    line *it = kind == SIM_TEXT ? &notes[note_count++ % NOTE_LINES] : &lines[line_count++ % LOG_LINES];
    it->step = sim.step;
    it->kind = kind;
    it->thread = sim.self ? sim.self->id : 0;
    return it;
}

void sim_log(sim_kind kind, const void *address, const void *place) {
    line *it = next_line(kind);
    it->address = address;
    it->place = place;
}

void sim_note(const char *format, ...) {
    if (!sim.logs)
        return;
    line *it = next_line(SIM_TEXT);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(it->text, sizeof it->text, format, arguments);
    va_end(arguments);
}

static const char *const kind_names[] = {"read",   "write", "copy", "load",   "store",
                                         "change", "fence", "lock", "unlock", "system"};

static void show_note(int descriptor, const line *it) {
    dprintf(descriptor, "%9llu  thread %-2u %s\n", (unsigned long long)it->step, it->thread, it->text);
}

/* Places in the program as addr2line wants them; tools/simulate puts their names there. */
static void show_access(int descriptor, const line *it) {
    dprintf(descriptor, "%9llu  thread %-2u   %-7s %14p at %p\n", (unsigned long long)it->step, it->thread,
            kind_names[it->kind], it->address, (void *)((uintptr_t)it->place - 1));
}

void sim_log_show(int descriptor) {
    uint64_t first = line_count > LOG_LINES ? line_count - LOG_LINES : 0;
    uint64_t note = note_count > NOTE_LINES ? note_count - NOTE_LINES : 0;
    for (uint64_t i = first; i < line_count; i++) {
        for (; note < note_count && notes[note % NOTE_LINES].step <= lines[i % LOG_LINES].step; note++)
            show_note(descriptor, &notes[note % NOTE_LINES]);
        show_access(descriptor, &lines[i % LOG_LINES]);
    }
    for (; note < note_count; note++)
        show_note(descriptor, &notes[note % NOTE_LINES]);
}

void sim_watch_time(void) {
    struct itimerval time = {.it_value = {.tv_sec = WATCH_SECONDS}};
    setitimer(ITIMER_PROF, &time, NULL);
}

void sim_fail(const char *format, ...) {
    va_list arguments;
    sim.deaf++;
    dprintf(2, "seed %llu, step %llu, thread %u", (unsigned long long)sim.seed, (unsigned long long)sim.step,
            sim.self ? sim.self->id : 0);
    if (sim.self && sim.self->op)
        dprintf(2, " in %s", sim.self->op);
    dprintf(2, ": ");
    va_start(arguments, format);
    vdprintf(2, format, arguments);
    va_end(arguments);
    dprintf(2, "\n");
    life_failed();
}
