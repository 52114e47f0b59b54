/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target over traces, as `fallow replay` reads them: an input is a file, or what stands between the
 * header and the end of one. It is refused, or what is made of it is what a reader of its own finds, which
 * keeps all blocks in a list.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/cli/script.h"
#include "../../src/record/trace.h"
#include "../lib/fuzz_main.h"

#define BODY_BYTES 4096
#define EVENTS_MAX BODY_BYTES

static uint8_t image[FL_TRACE_HEADER_BYTES + BODY_BYTES + 1];
static size_t image_bytes;

/* What the trace means: who lives where. */
typedef struct meaning {
    const uint8_t *at;
    uint64_t address, thread;
    struct {
        uint64_t address;
        uint32_t slot;
    } live[EVENTS_MAX];
    size_t live_count;
    uint64_t moving_thread[EVENTS_MAX]; /* of each REALLOC that was not MOVED, the newest last */
    uint32_t moving_slot[EVENTS_MAX];
    size_t moving_count;
    size_t events, slots, unknown, live_bytes, live_peak;
    size_t bytes[EVENTS_MAX]; /* of each slot */
    struct {
        uint8_t what;
        uint64_t log2, thread;
        uint32_t from, to;
    } event[EVENTS_MAX];
    bool wrong;
} meaning;

static meaning is;

static uint64_t number(void) {
    const uint8_t *end = image + image_bytes;
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (is.at == end) {
            is.wrong = true;
            return 0;
        }
        uint8_t byte = *is.at++;
        value |= (uint64_t)(byte % 128) << shift;
        if (byte < 128)
            break;
    }
    return value;
}

static uint64_t address(void) {
    uint64_t zigzag = number();
    is.address += 16 * (zigzag & 1 ? ~(zigzag >> 1) : zigzag >> 1);
    return is.address;
}

static size_t find(uint64_t where) {
    size_t i = 0;
    while (i < is.live_count && is.live[i].address != where)
        i++;
    return i;
}

static uint32_t take(uint64_t where) {
    size_t i = find(where);
    if (i == is.live_count) {
        is.unknown++;
        return FL_NONE;
    }
    uint32_t slot = is.live[i].slot;
    is.live[i] = is.live[--is.live_count];
    is.live_bytes -= is.bytes[slot];
    return slot;
}

static void lives(uint64_t where, uint32_t slot) {
    size_t i = find(where);
    is.live[i].address = where;
    is.live[i].slot = slot;
    is.live_count += i == is.live_count;
}

static uint32_t new_slot(void) {
    uint32_t slot = (uint32_t)is.slots++;
    is.bytes[slot] = number();
    is.live_bytes += is.bytes[slot];
    is.live_peak = is.live_bytes > is.live_peak ? is.live_bytes : is.live_peak;
    return slot;
}

static void moved(void) {
    for (size_t i = is.moving_count; i-- > 0;)
        if (is.moving_thread[i] == is.thread) {
            lives(address(), is.moving_slot[i]);
            for (size_t k = i; k-- > 0;) /* what the thread moved before is lost */
                if (is.moving_thread[k] == is.thread)
                    is.moving_thread[k] = UINT64_MAX;
            is.moving_thread[i] = UINT64_MAX;
            return;
        }
    is.wrong = true;
}

static void one_event(uint8_t what) {
    uint32_t from = FL_NONE, to = FL_NONE;
    uint64_t log2 = 0;
    switch (what) {
    case FL_TRACE_THREAD:
        is.thread = number();
        is.wrong |= is.thread >= image_bytes / 2;
        return;
    case FL_TRACE_MOVED:
        moved();
        return;
    case FL_TRACE_ALIGNED:
        log2 = number();
        is.wrong |= log2 > 40;
        /* fall through */
    case FL_TRACE_MALLOC:
    case FL_TRACE_CALLOC:
        to = new_slot();
        lives(address(), to);
        break;
    case FL_TRACE_FREE:
        if ((from = take(address())) == FL_NONE)
            return;
        break;
    case FL_TRACE_REALLOC:
        from = take(address());
        to = new_slot();
        is.moving_thread[is.moving_count] = is.thread;
        is.moving_slot[is.moving_count++] = to;
        break;
    default:
        is.wrong = true;
        return;
    }
    size_t i = is.events++;
    is.event[i].what = what, is.event[i].log2 = log2, is.event[i].thread = is.thread;
    is.event[i].from = from, is.event[i].to = to;
}

static void understand(void) {
    const uint8_t *end = image + image_bytes;
    memset(&is, 0, sizeof is);
    is.wrong = image_bytes < FL_TRACE_HEADER_BYTES || end[-1] != FL_TRACE_END ||
               memcmp(image, FL_TRACE_HEADER, FL_TRACE_HEADER_BYTES);
    is.at = image + FL_TRACE_HEADER_BYTES;
    while (!is.wrong && is.at < end && *is.at != FL_TRACE_END)
        one_event(*is.at++);
    is.wrong |= is.at == end;
}

/* Each event, in its thread's order; and each block goes at most once, after it came. */
static void compare(const fl_script *script) {
    static uint8_t came[EVENTS_MAX], went[EVENTS_MAX];
    memset(came, 0, sizeof came);
    memset(went, 0, sizeof went);
    CHECK_EQUAL(script->event_count, is.events);
    CHECK_EQUAL(script->slot_count, is.slots);
    CHECK_EQUAL(script->unknown, is.unknown);
    CHECK_EQUAL(script->live_end_bytes, is.live_bytes);
    CHECK_EQUAL(script->live_peak_bytes, is.live_peak);
    CHECK(script->thread_count <= FL_SCRIPT_THREADS);
    for (size_t i = 0; i < is.slots; i++)
        CHECK_EQUAL(script->slots[i].bytes, is.bytes[i]);
    for (size_t i = 0; i < is.events; i++) {
        const fl_event *it = &script->events[i];
        CHECK_EQUAL(it->what, is.event[i].what);
        CHECK_EQUAL(it->log2_alignment, is.event[i].log2);
        CHECK_EQUAL(it->from, is.event[i].from);
        CHECK_EQUAL(it->to, is.event[i].to);
        CHECK_EQUAL(it->thread, is.event[i].thread % FL_SCRIPT_THREADS);
        CHECK(it->thread < script->thread_count);
        CHECK(it->to == FL_NONE || !came[it->to]++);
        CHECK(it->from == FL_NONE || (came[it->from] && !went[it->from]++));
    }
    size_t seen = 0;
    for (size_t thread = 0; thread < FL_SCRIPT_THREADS; thread++)
        for (uint32_t i = script->first[thread]; i != FL_NONE; i = script->events[i].next, seen++) {
            CHECK(i < is.events && script->events[i].thread == thread);
            CHECK(script->events[i].next > i);
        }
    CHECK_EQUAL(seen, is.events);
}

static void load_and_compare(void) {
    static int file = -1;
    static char path[64];
    if (file < 0) {
        CHECK((file = memfd_create("trace", 0)) >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    CHECK_EQUAL(ftruncate(file, (off_t)image_bytes), 0);
    CHECK_EQUAL(pwrite(file, image, image_bytes, 0), image_bytes);
    fl_script script;
    const char *wrong = fl_script_load(&script, path);
    understand();
    CHECK_EQUAL(!wrong, !is.wrong);
    CHECK(!wrong || strcmp(wrong, "not enough memory to read it"));
    if (!wrong)
        compare(&script);
    size_t most = image_bytes / 2 ? image_bytes / 2 : 1;
    if (script.events)
        munmap(script.events, most * sizeof *script.events);
    if (script.slots)
        munmap(script.slots, most * sizeof *script.slots);
}

/* Events with numbers of a byte each, so that most of them are what could have been recorded. */
static void put_events(fuzz_rest *from) {
    static const uint8_t numbers[] = {0, 1, 2, 2, 3, 1, 2, 1};
    while (from->left && image_bytes + 4 < sizeof image) {
        uint8_t what = (uint8_t)(1 + fuzz_byte(from) % 7);
        image[image_bytes++] = what;
        for (unsigned i = 0; i < numbers[what]; i++)
            image[image_bytes++] = (uint8_t)(fuzz_byte(from) % (i ? 128 : 32));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    fuzz_rest from = {bytes, count};
    unsigned how = fuzz_byte(&from);
    image_bytes = how % 8 ? FL_TRACE_HEADER_BYTES : 0;
    memcpy(image, FL_TRACE_HEADER, image_bytes);
    if (how < 128) {
        from.left = from.left < BODY_BYTES ? from.left : BODY_BYTES;
        memcpy(image + image_bytes, from.bytes, from.left);
        image_bytes += from.left;
    } else
        put_events(&from);
    if (how % 8 > 1)
        image[image_bytes++] = FL_TRACE_END;
    if (image_bytes)
        load_and_compare();
    return 0;
}

#ifndef FUZZER
int main(int argc, char **argv) {
    fuzz_main(argc, argv, 20000, 60);
    puts("ok trace_fuzz_random_inputs");
    return 0;
}
#endif
