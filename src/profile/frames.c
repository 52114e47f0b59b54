/* SPDX-License-Identifier: MIT */
#include "frames.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "../system/system.h"

#define PAGE_BYTES ((uintptr_t)4096) /* at most the system's */
#define FRAME_BYTES_MAX ((uintptr_t)1 << 20)
#define NEW_BYTES_MAX 96 /* of one operator new */

static _Atomic(const uintptr_t *) news;

void fl_frames_know_new(const uintptr_t *entries) {
    atomic_store_explicit(&news, entries, memory_order_release);
}

static uintptr_t page_of(const uintptr_t *address) {
    return (uintptr_t)address & ~(PAGE_BYTES - 1);
}

/* Returns whether two words can be read: on the page that has been read, or on one that can be. */
static bool can_read(const uintptr_t *words, const uintptr_t *known) {
    return (page_of(words) == page_of(known) || fl_system_can_read(words)) &&
           (page_of(words + 1) == page_of(words) || fl_system_can_read(words + 1));
}

/* The next frame lies above, and not too far. */
static bool leads_on(const uintptr_t *frame) {
    uintptr_t next = frame[0], here = (uintptr_t)frame;
    return next > here && next - here <= FRAME_BYTES_MAX && next % sizeof(uintptr_t) == 0 &&
           can_read((const uintptr_t *)next, frame);
}

/* Returns whether an entry begins by saving a register that is not the frame's. (If it saves the frame's, its
 * frame is in the chain.) */
static bool saves_one(uintptr_t entry) {
#ifdef __x86_64__
    const unsigned char *code = (const unsigned char *)entry;
    if (code[0] == 0xf3 && code[1] == 0x0f) /* endbr64 */
        code += 4;
    return code[0] == 0x53; /* push %rbx */
#else
    (void)entry;
    return false;
#endif
}

/* Returns whether a return address lies in an operator new without a frame, whose own return address lies
 * behind the register that it has saved. */
static bool is_in_new(uintptr_t call) {
    const uintptr_t *entry = atomic_load_explicit(&news, memory_order_acquire);
    for (; entry && *entry; entry++)
        if (call - *entry < NEW_BYTES_MAX && call > *entry)
            return saves_one(*entry);
    return false;
}

unsigned fl_frames_walk(const void *start, uintptr_t calls[FL_FRAMES_MAX]) {
    const uintptr_t *frame = start;
    unsigned count = 0;
    for (bool on = true; on; frame = (const uintptr_t *)frame[0]) {
        uintptr_t call = frame[1];
        if (call < PAGE_BYTES)
            break;
        if (count < 8 && is_in_new(call) && can_read(frame + 2, frame))
            call = frame[3];
        calls[count++] = call;
        on = count < FL_FRAMES_MAX && leads_on(frame);
    }
    return count;
}
