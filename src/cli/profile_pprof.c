/* SPDX-License-Identifier: MIT */
/*
 * profile_pprof.c: a profile in pprof's format: the few messages of profile.proto that it needs, written
 * field by field. Samples have an address for each call, which pprof looks up in the files of the mappings,
 * known by their build ids.
 */
#include <stdlib.h>
#include <string.h>

#include "profiled.h"

typedef struct buffer {
    unsigned char *bytes;
    size_t count, room;
    bool failed;
} buffer;

static void put(buffer *to, const void *bytes, size_t count) {
    if (to->count + count > to->room) {
        size_t room = (to->count + count) * 2;
        unsigned char *more = realloc(to->bytes, room);
        if (!more) {
            to->failed = true;
            return;
        }
        to->bytes = more;
        to->room = room;
    }
    memcpy(to->bytes + to->count, bytes, count);
    to->count += count;
}

static void put_number(buffer *to, uint64_t number) {
    unsigned char bytes[10];
    size_t count = 0;
    for (; number >= 128; number >>= 7)
        bytes[count++] = (unsigned char)(number | 128);
    bytes[count++] = (unsigned char)number;
    put(to, bytes, count);
}

static void put_field(buffer *to, unsigned field, uint64_t number) {
    put_number(to, field << 3);
    put_number(to, number);
}

static void put_bytes(buffer *to, unsigned field, const void *bytes, size_t count) {
    put_number(to, field << 3 | 2);
    put_number(to, count);
    put(to, bytes, count);
}

/* Puts a message into a message; its buffer is then empty, for the next. */
static void put_message(buffer *to, unsigned field, buffer *message) {
    put_bytes(to, field, message->bytes, message->count);
    to->failed |= message->failed;
    message->count = 0;
}

/* Strings have numbers; each is written where it is first asked for. */
typedef struct writer {
    buffer all, message, part;
    uint64_t strings;
} writer;

static uint64_t put_string(writer *its, const char *text) {
    put_bytes(&its->all, 6, text, strlen(text));
    return its->strings++;
}

static void put_type(writer *its, unsigned field, const char *type, const char *unit) {
    uint64_t type_string = put_string(its, type), unit_string = put_string(its, unit);
    put_field(&its->message, 1, type_string);
    put_field(&its->message, 2, unit_string);
    put_message(&its->all, field, &its->message);
}

static int by_value(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* Returns every call once, in order: a location's number is its place, from 1. */
static uint64_t *all_calls(const fl_profile *profile, size_t *count) {
    size_t all = 0, kept = 0;
    for (size_t i = 0; i < profile->stack_count; i++)
        all += profile->stacks[i].depth;
    uint64_t *calls = calloc(all + 1, sizeof *calls);
    for (size_t i = 0; calls && i < profile->stack_count; i++)
        for (unsigned c = 0; c < profile->stacks[i].depth; c++)
            calls[kept++] = profile->stacks[i].calls[c];
    if (!calls)
        return NULL;
    qsort(calls, kept, sizeof *calls, by_value);
    *count = 0;
    for (size_t i = 0; i < kept; i++)
        if (*count == 0 || calls[*count - 1] != calls[i])
            calls[(*count)++] = calls[i];
    return calls;
}

static void put_sample(writer *its, const fl_stack *stack, const uint64_t *calls, size_t count,
                       uint64_t key) {
    for (unsigned c = 0; c < stack->depth; c++) {
        const uint64_t *found = bsearch(&stack->calls[c], calls, count, sizeof *calls, by_value);
        put_number(&its->part, (uint64_t)(found - calls) + 1);
    }
    put_message(&its->message, 1, &its->part);
    static const fl_measure order[] = {FL_TOTAL, FL_PEAK, FL_LIVE};
    for (int i = 0; i < 3; i++) {
        put_number(&its->part, (uint64_t)(int64_t)stack->of[order[i]].blocks);
        put_number(&its->part, (uint64_t)(int64_t)stack->of[order[i]].bytes);
    }
    put_message(&its->message, 2, &its->part);
    put_field(&its->part, 1, key);
    put_field(&its->part, 2, put_string(its, stack->arena));
    put_message(&its->message, 3, &its->part);
    put_message(&its->all, 2, &its->message);
}

static void put_mapping(writer *its, const fl_mapping *mapping, uint64_t number) {
    uint64_t file = put_string(its, mapping->path), build_id = put_string(its, mapping->build_id);
    put_field(&its->message, 1, number);
    put_field(&its->message, 2, mapping->start);
    put_field(&its->message, 3, mapping->end);
    put_field(&its->message, 4, mapping->offset);
    put_field(&its->message, 5, file);
    put_field(&its->message, 6, build_id);
    put_message(&its->all, 3, &its->message);
}

bool fl_profile_print_pprof(const fl_profile *profile, FILE *out) {
    static const char *const types[] = {"alloc_objects", "alloc_space",   "peak_objects",
                                        "peak_space",    "inuse_objects", "inuse_space"};
    writer its = {0};
    size_t count = 0;
    uint64_t *calls = all_calls(profile, &count);
    if (!calls)
        return false;
    put_string(&its, "");
    for (int i = 0; i < 6; i++)
        put_type(&its, 1, types[i], i % 2 ? "bytes" : "count");
    uint64_t key = put_string(&its, "arena");
    for (size_t i = 0; i < profile->stack_count; i++)
        put_sample(&its, &profile->stacks[i], calls, count, key);
    for (size_t i = 0; i < profile->mapping_count; i++)
        put_mapping(&its, &profile->mappings[i], i + 1);
    for (size_t i = 0; i < count; i++) {
        const fl_mapping *mapping = fl_profile_mapping(profile, calls[i] - 1);
        put_field(&its.message, 1, i + 1);
        if (mapping)
            put_field(&its.message, 2, (uint64_t)(mapping - profile->mappings) + 1);
        put_field(&its.message, 3, calls[i] - 1);
        put_message(&its.all, 4, &its.message);
    }
    put_type(&its, 11, "space", "bytes");
    put_field(&its.all, 12, profile->mean_bytes);
    put_field(&its.all, 14, put_string(&its, "inuse_space"));
    bool good = !its.all.failed;
    if (good)
        fwrite(its.all.bytes, 1, its.all.count, out);
    free(its.all.bytes), free(its.message.bytes), free(its.part.bytes), free(calls);
    return good;
}
