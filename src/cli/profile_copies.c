/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "copied.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "grow.h"
#include "unwind.h"

#define STACKS_MAX 65536
#define SAMPLES_MAX ((size_t)1 << 22)
#define BUCKETS 4096
#define HEAD_BYTES 256

/* A site's samples with one full stack. */
typedef struct full_stack {
    size_t next; /* in its bucket, plus one */
    uint64_t site;
    fl_amount total, live;
    unsigned depth;
    bool whole;
    uint64_t calls[FL_FRAMES_MAX];
} full_stack;

typedef struct copied_sample {
    uint64_t at, number; /* it lives while that number is there */
    uint64_t blocks, bytes;
    size_t stack;
} copied_sample;

static full_stack *stacks;
static copied_sample *samples;
static size_t stack_count, sample_count, buckets[BUCKETS];
static int memory;
static uint32_t reader; /* this process's number; 0 once no more copies are wanted */
static bool taken_over; /* by another command, which has them from then on: for good */
static uint64_t late_before, foreign_before, late, foreign, failed;

static void *grown(void *array, size_t count, size_t each) {
    void *more = fl_grow(array, count, each);
    if (!more)
        abort();
    return more;
}

static bool write_at(uint64_t address, const void *from, size_t bytes) {
    return address <= INT64_MAX && pwrite(memory, from, bytes, (off_t)address) == (ssize_t)bytes;
}

static bool read_head(fl_target *target, char *head, size_t room) {
    return target->root.sizes[FL_OF_copies] <= room &&
           fl_target_read(target, (uintptr_t)target->root.copies, head, target->root.sizes[FL_OF_copies]);
}

static bool set_reader(const fl_target *target, uint32_t to) {
    return write_at((uintptr_t)target->root.copies + target->root.places[FL_AT_copies_reader].offset, &to,
                    sizeof to);
}

static size_t place_of(const full_stack *like) {
    uint64_t hash = like->site;
    for (unsigned i = 0; i < like->depth; i++)
        hash = (hash ^ like->calls[i]) * UINT64_C(0x9e3779b97f4a7c15) + (hash >> 29);
    return (hash >> 32) % BUCKETS;
}

static bool are_same(const full_stack *a, const full_stack *b) {
    return a->site == b->site && a->depth == b->depth && a->whole == b->whole &&
           !memcmp(a->calls, b->calls, a->depth * sizeof *a->calls);
}

/* Returns its index; SIZE_MAX: there are too many. */
static size_t stack_of(const full_stack *like) {
    size_t place = place_of(like), i = buckets[place];
    for (; i; i = stacks[i - 1].next)
        if (are_same(&stacks[i - 1], like))
            return i - 1;
    if (stack_count == STACKS_MAX)
        return SIZE_MAX;
    stacks = grown(stacks, stack_count, sizeof *stacks);
    stacks[stack_count] = *like;
    stacks[stack_count].next = buckets[place];
    buckets[place] = ++stack_count;
    return stack_count - 1;
}

static void take(const fl_target *target, const char *copy) {
    const fl_root *root = &target->root;
    fl_root_place stack = root->places[FL_AT_copy_stack];
    uint64_t registers[FL_UNWIND_REGISTERS], bytes = fl_target_member(target, copy, FL_AT_copy_bytes);
    for (size_t i = 0; i < FL_UNWIND_REGISTERS; i++)
        registers[i] = fl_target_item(target, copy, FL_AT_copy_registers, i, sizeof *registers);
    full_stack like = {.site = fl_target_member(target, copy, FL_AT_copy_site)};
    like.depth = fl_unwind(registers, (const unsigned char *)copy + stack.offset,
                           bytes < stack.bytes ? bytes : stack.bytes, like.calls, FL_FRAMES_MAX, &like.whole);
    size_t its = like.depth > 1 && sample_count < SAMPLES_MAX ? stack_of(&like) : SIZE_MAX;
    if (its == SIZE_MAX) {
        failed++;
        return;
    }
    samples = grown(samples, sample_count, sizeof *samples);
    samples[sample_count++] = (copied_sample){fl_target_member(target, copy, FL_AT_copy_sample),
                                              fl_target_member(target, copy, FL_AT_copy_number),
                                              fl_target_member(target, copy, FL_AT_copy_sample_blocks),
                                              fl_target_member(target, copy, FL_AT_copy_sample_bytes), its};
}

/* Wipes a place, and frees it last: its next writer finds nothing on the way. */
static bool wipe(const fl_target *target, uint64_t at) {
    static const char zeroes[16384];
    size_t full = target->root.places[FL_AT_copy_full].offset, behind = full + sizeof(uint32_t);
    return write_at(at + behind, zeroes, target->root.sizes[FL_OF_copy] - behind) &&
           write_at(at, zeroes, behind);
}

/* Takes one out, if there is one. */
static bool take_one(fl_target *target, uint64_t at, bool wanted) {
    static char copy[16384];
    size_t each = target->root.sizes[FL_OF_copy];
    if (!fl_target_read(target, at, copy, sizeof(uint64_t)))
        return false;
    if (!fl_target_member(target, copy, FL_AT_copy_full))
        return true;
    if (!fl_target_read(target, at, copy, each) || !wipe(target, at))
        return false;
    if (wanted && fl_target_member(target, copy, FL_AT_copy_full)) /* still: nobody has wiped it meanwhile */
        take(target, copy);
    explicit_bzero(copy, sizeof copy);
    return true;
}

/* Returns whether another command has come and says that it reads. Two that see the same /proc cannot both
 * begin; one outside of a container and one inside can. */
static bool is_taken_over(fl_target *target, uint64_t reads) {
    taken_over = taken_over || (reads != 0 && reads != reader);
    return taken_over &&
           !fl_target_wrong(target, "another `fallow profile --unwind` has taken it over, so that "
                                    "this one has not seen all; sampling goes on for that one");
}

static bool take_all(fl_target *target, bool wanted) {
    static char head[HEAD_BYTES];
    const fl_root *root = &target->root;
    if (!read_head(target, head, sizeof head))
        return fl_target_give_up(target);
    uint64_t ring = fl_target_member(target, head, FL_AT_copies_ring);
    late = fl_target_member(target, head, FL_AT_copies_late) - late_before;
    foreign = fl_target_member(target, head, FL_AT_copies_foreign) - foreign_before;
    uint64_t reads = fl_target_member(target, head, FL_AT_copies_reader);
    if (is_taken_over(target, reads))
        return false;
    if (reads == 0 && !set_reader(target, reader)) /* the process has found that nobody read for a while */
        return fl_target_give_up(target);
    for (uint32_t i = 0; ring && i < root->copies_kept && i < 4096; i++)
        if (!take_one(target, ring + (uint64_t)i * root->sizes[FL_OF_copy], wanted))
            return fl_target_give_up(target);
    return true;
}

bool fl_copied_are_being_taken(fl_target *target) {
    static char head[HEAD_BYTES];
    return target->root.copies && read_head(target, head, sizeof head) &&
           fl_target_member(target, head, FL_AT_copies_reader) != 0;
}

bool fl_copied_begin(fl_target *target, int to_write) {
    static char head[HEAD_BYTES];
    const fl_root *root = &target->root;
    memory = to_write;
    if (!root->copies)
        return fl_target_wrong(target, "runs on a processor for which stacks are not copied");
    if (root->sizes[FL_OF_copy] > 16384 || root->places[FL_AT_copy_full].offset != 0 ||
        !read_head(target, head, sizeof head))
        return fl_target_give_up(target);
    const char *wrong = fl_unwind_open(target->process);
    if (wrong)
        return fl_target_wrong(target, wrong);
    late_before = fl_target_member(target, head, FL_AT_copies_late);
    foreign_before = fl_target_member(target, head, FL_AT_copies_foreign);
    reader = (uint32_t)getpid();
    bool begun = set_reader(target, reader) ? take_all(target, false)
                                            : fl_target_wrong(target, "its memory can be read and not be "
                                                                      "written from here");
    if (!begun)
        fl_unwind_close();
    return begun;
}

bool fl_copied_take(fl_target *target) {
    return take_all(target, true);
}

/* The first look takes what was there, the second what was being made meanwhile. */
bool fl_copied_end(fl_target *target) {
    bool good = take_all(target, true);
    if (good && set_reader(target, 0)) {
        usleep(10000);
        reader = 0;
        good = take_all(target, true);
    }
    fl_unwind_close();
    return good;
}

bool fl_copied_is_taken_over(void) {
    return taken_over;
}

static void add(fl_amount *to, double sign, fl_amount amount) {
    to->blocks += sign * amount.blocks;
    to->bytes += sign * amount.bytes;
}

static void count_samples(fl_target *target) {
    static char sample[256];
    size_t bytes = target->root.sizes[FL_OF_sample];
    for (size_t i = 0; i < sample_count; i++) {
        const copied_sample *its = &samples[i];
        fl_amount amount = {(double)its->blocks / FL_WEIGHT_ONE, (double)its->bytes};
        add(&stacks[its->stack].total, 1, amount);
        if (bytes <= sizeof sample && fl_target_read(target, its->at, sample, bytes) &&
            fl_target_member(target, sample, FL_AT_sample_copy) == its->number)
            add(&stacks[its->stack].live, 1, amount);
    }
}

/* Takes over the calls of a full stack from the first on that the site has, which is the one of malloc.
 * Returns false if frame pointers show more: the copy was too short. */
static bool take_calls(fl_stack *to, const fl_stack *site, const full_stack *full) {
    unsigned from = 0;
    for (unsigned i = 0; i < full->depth && site->depth; i++)
        if (full->calls[i] == site->calls[0]) {
            from = i;
            break;
        }
    to->depth = full->depth - from;
    memcpy(to->calls, full->calls + from, to->depth * sizeof *to->calls);
    return to->depth > 0;
}

static fl_stack *site_at(fl_profile *profile, size_t count, uint64_t site) {
    for (size_t i = 0; i < count; i++)
        if (profile->stacks[i].site == site)
            return &profile->stacks[i];
    return NULL;
}

static fl_stack *same_stack(fl_profile *profile, size_t from, const fl_stack *like) {
    for (size_t i = from; i < profile->stack_count; i++) {
        fl_stack *its = &profile->stacks[i];
        if (its->depth == like->depth && !strcmp(its->arena, like->arena) &&
            !memcmp(its->calls, like->calls, like->depth * sizeof *like->calls))
            return its;
    }
    return fl_profile_add_stack(profile);
}

void fl_copied_divide(fl_target *target, fl_profile *profile) {
    size_t sites = profile->stack_count, unwound = 0, in_part = 0;
    count_samples(target);
    for (size_t i = 0; i < stack_count; i++) {
        full_stack *full = &stacks[i];
        fl_stack *site = site_at(profile, sites, full->site), like = {0};
        if (!site || !take_calls(&like, site, full))
            continue;
        fl_profile_trim(profile, &like);
        if (like.depth == 0 || (!full->whole && like.depth < site->depth))
            continue;
        memcpy(like.arena, site->arena, sizeof like.arena);
        fl_stack *to = same_stack(profile, sites, &like);
        site = site_at(profile, sites, full->site); /* it may have moved */
        fl_amount peak = {0};
        if (site->of[FL_TOTAL].bytes > 0) {
            double share = full->total.bytes / site->of[FL_TOTAL].bytes;
            peak = (fl_amount){site->of[FL_PEAK].blocks * share, site->of[FL_PEAK].bytes * share};
        }
        fl_amount parts[FL_MEASURES] = {[FL_LIVE] = full->live, [FL_TOTAL] = full->total, [FL_PEAK] = peak};
        like.site = 0;
        if (to->depth == 0)
            *to = like;
        for (int m = 0; m < FL_MEASURES; m++) {
            add(&to->of[m], 1, parts[m]);
            add(&site->of[m], -1, parts[m]);
        }
        full->site = 0; /* divided */
    }
    for (size_t i = 0; i < sample_count; i++) {
        const full_stack *its = &stacks[samples[i].stack];
        unwound += its->site == 0;
        in_part += its->site == 0 && !its->whole;
    }
    fprintf(
        stderr,
        "fallow: %zu samples are unwound, %zu of them as far as their copies go; %llu have what frame "
        "pointers "
        "show: %llu were too many at once, %llu not on their thread's own stack, %llu not to be unwound\n",
        unwound, in_part, (unsigned long long)(late + foreign + failed + sample_count - unwound),
        (unsigned long long)late, (unsigned long long)foreign,
        (unsigned long long)(failed + sample_count - unwound));
}
