/* SPDX-License-Identifier: MIT */
/*
 * target_root.c: the root of fallow's tables in another process: where to look for it, what it says of
 * itself, and which one it is if there are several.
 *
 * It lies in the data of a program or a library. A root that leads somewhere has been written: by whoever
 * loaded the library, or by the library at its first request. So this leaves alone pages that are as in the
 * file, and whatever else a program has mapped: to look at them would fill its memory with them.
 */
#define _GNU_SOURCE
#include "target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fallow/version.h"
#include "pagemap.h"
#include "printable.h"

#define PIECE_BYTES ((uint64_t)1 << 20)
#define DATA_MAX ((uint64_t)256 << 20) /* so much of one mapping is looked at */
#define ROOTS_MAX 8
#define CLASSES_MAX 128
#define PARTS_MAX 16
#define EVENTS_MAX 65536

uint64_t fl_target_item(const fl_target *target, const void *structure, fl_root_member member, size_t index,
                        size_t bytes) {
    fl_root_place place = target->root.places[member];
    uint64_t value = 0; /* also the bytes above, if it has fewer: the lowest come first */
    if (bytes <= sizeof value && index < place.bytes / bytes)
        memcpy(&value, (const char *)structure + place.offset + index * bytes, bytes);
    return value;
}

uint64_t fl_target_member(const fl_target *target, const void *structure, fl_root_member member) {
    size_t bytes = target->root.places[member].bytes;
    return bytes <= sizeof(uint64_t) ? fl_target_item(target, structure, member, 0, bytes) : 0;
}

/* Returns whether what it says of itself keeps all that follows within what was read. */
static bool is_sane(const fl_root *root) {
    static const uint8_t structure_of[] = {
#define FL_OF_fl_window FL_OF_window
#define FL_OF_fl_reservation FL_OF_reservation
#define FL_OF_osmem_stat FL_OF_stat
#define FL_OF_fl_class FL_OF_class
#define FL_OF_fl_region FL_OF_region
#define FL_OF_fl_slab FL_OF_slab
#define FL_OF_fl_traps FL_OF_traps
#define FL_OF_fl_trap FL_OF_trap
#define FL_OF_fl_heap FL_OF_heap
#define FL_OF_fl_site FL_OF_site
#define FL_OF_fl_sampling FL_OF_sampling
#define FL_OF_fl_profile_books FL_OF_books
#define FL_OF_fl_process_counters FL_OF_counters
#define FL_OF_fl_sample FL_OF_sample
#define FL_OF_fl_copies FL_OF_copies
#define FL_OF_fl_copy FL_OF_copy
#define FL_OF_fallow_arena FL_OF_arena
#define FL_OF_fl_events FL_OF_events
#define FL_OF_fl_event FL_OF_event
#define STRUCTURE(name, structure, member) FL_OF_##structure,
        FL_ROOT_MEMBERS(STRUCTURE)};
    for (size_t i = 0; i < FL_AT_COUNT; i++)
        if (root->places[i].bytes == 0 ||
            root->places[i].offset + root->places[i].bytes > root->sizes[structure_of[i]])
            return false;
    for (size_t i = 0; i < FL_OF_COUNT; i++)
        if (root->sizes[i] == 0 || root->sizes[i] > UINT16_MAX)
            return false;
    return root->page_shift >= 12 && root->page_shift <= 20 && root->region_shift == root->page_shift + 8 &&
           root->chunk_pages == 8 && root->class_count <= CLASSES_MAX && root->parts_count <= PARTS_MAX &&
           root->events_kept > 0 && root->events_kept <= EVENTS_MAX && root->entry_low_bits < 12 &&
           root->entry_high_shift > 32 && root->entry_high_shift < 64;
}

typedef struct found {
    fl_root root;
    char file[64];
} found;

typedef struct search {
    fl_target *target;
    fl_pagemap pages;
    char piece[PIECE_BYTES];
    bool swapped; /* looks for swapped pages now: no other page had an open root */
    bool named;   /* a library of fallow's is mapped, of whatever version */
    size_t count;
    found found[ROOTS_MAX];
} search;

/* Copies the name of a file in a line of maps, without folders. */
static void copy_name(char *name, size_t bytes, const char *path) {
    const char *slash = strrchr(path, '/');
    snprintf(name, bytes, "%s", slash ? slash + 1 : path);
    name[strcspn(name, "\n")] = '\0';
    fl_make_printable(name, bytes);
}

/* A root begins with its mark, and says where it is: a copy is none. */
static void look_at(search *its, uint64_t start, uint64_t bytes, const char *path) {
    static const char mark[FL_ROOT_MARK_BYTES] = FL_ROOT_MARK;
    fl_root root;
    if (!fl_target_read(its->target, start, its->piece, bytes))
        return;
    for (uint64_t i = 0; i + sizeof mark <= bytes && its->count < ROOTS_MAX; i += sizeof(void *)) {
        if (memcmp(its->piece + i, mark, sizeof mark) ||
            !fl_target_read(its->target, start + i, &root, sizeof root) ||
            (uint64_t)(uintptr_t)root.self != start + i)
            continue;
        fl_make_printable(root.version, sizeof root.version);
        found *new = &its->found[its->count++];
        new->root = root;
        copy_name(new->file, sizeof new->file, path);
    }
}

static bool is_wanted(search *its, uint64_t address) {
    fl_backing backing = fl_pagemap_backing(&its->pages, address);
    return its->swapped ? backing == FL_BACKING_SWAPPED
                        : backing == FL_BACKING_PRIVATE || backing == FL_BACKING_UNKNOWN;
}

static void look_through(search *its, uint64_t start, uint64_t end, const char *path) {
    uint64_t page_bytes = its->pages.page_bytes, left = DATA_MAX;
    for (uint64_t at = start, stop = start; at < end && left; at = stop + page_bytes) {
        for (stop = at; stop < end && stop - at < PIECE_BYTES && is_wanted(its, stop);)
            stop += page_bytes;
        if (stop > at)
            look_at(its, at, stop - at, path);
        left -= stop - at < left ? stop - at : left;
        if (stop - at == PIECE_BYTES)
            stop -= page_bytes; /* that page has not been asked for */
    }
}

/* What the loader has mapped has the file's first bytes before its data. */
static bool is_program(const fl_target *target, uint64_t header) {
    char magic[4];
    return fl_target_read(target, header, magic, sizeof magic) && !memcmp(magic, "\177ELF", sizeof magic);
}

static bool look_everywhere(search *its) {
    char line[4352], device[32], rights[8], header_device[32] = "";
    unsigned long long start, end, offset, inode, header = 0, header_inode = 0;
    int path = 0;
    FILE *maps = fl_target_file(its->target, "maps");
    if (!maps)
        return false;
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%llx-%llx %7s %llx %31s %llu %n", &start, &end, rights, &offset, device, &inode,
                   &path) != 6)
            continue;
        its->named = its->named || strstr(line, "/libfallow");
        if (inode && (offset == 0 || inode != header_inode || strcmp(device, header_device))) {
            header = start; /* a file in an archive begins further on */
            header_inode = inode;
            memcpy(header_device, device, sizeof device);
        }
        if (inode && rights[0] == 'r' && rights[1] == 'w' && rights[3] == 'p' &&
            is_program(its->target, header))
            look_through(its, start, end, line + path);
    }
    fclose(maps);
    return true;
}

static bool has_open_root(const search *its) {
    for (size_t i = 0; i < its->count; i++)
        if (its->found[i].root.opened)
            return true;
    return false;
}

/* Open roots first, then the one that serves malloc. */
static int rank(const found *it) {
    return 2 * (it->root.opened != 0) + !strncmp(it->file, "libfallow-malloc", 16);
}

static void choose(const search *its, fl_target *target) {
    const found *best = its->found;
    size_t length = 0;
    for (size_t i = 1; i < its->count; i++)
        best = rank(&its->found[i]) > rank(best) ? &its->found[i] : best;
    if (its->count == 0)
        return;
    target->root = best->root;
    memcpy(target->library, best->file, sizeof target->library);
    for (const found *it = its->found; it < its->found + its->count && length < sizeof target->others; it++)
        if (it != best && it->root.opened)
            length += (size_t)snprintf(target->others + length, sizeof target->others - length, "%s%s",
                                       length ? ", " : "", it->file);
}

static bool find_root(fl_target *target, bool *named) {
    search *its = calloc(1, sizeof *its);
    if (!its)
        return fl_target_wrong(target, strerror(ENOMEM));
    its->target = target;
    fl_pagemap_open(&its->pages, target);
    bool done = look_everywhere(its);
    its->swapped = true;
    if (done && !has_open_root(its))
        done = look_everywhere(its);
    choose(its, target);
    *named = its->named;
    fl_pagemap_close(&its->pages);
    free(its);
    return done;
}

static bool check_root(fl_target *target, bool named) {
    const fl_root *root = &target->root;
    char why[256];
    if (fl_target_lost(target))
        return false;
    if (!root->self)
        return fl_target_wrong(
            target, named ? "runs a fallow older than this command, which it cannot read"
                          : "does not run on fallow (fallow run -- PROGRAM starts a program that does)");
    if (root->layout != FL_ROOT_LAYOUT || root->bytes != sizeof *root ||
        memcmp(root->counter_names, FL_COUNTER_NAMES, sizeof root->counter_names)) {
        snprintf(why, sizeof why,
                 "runs fallow %.15s, whose tables (layout %u) this command of fallow " FALLOW_VERSION
                 " (layout %d) does not know: use the command that came with that library",
                 root->version, root->layout, FL_ROOT_LAYOUT);
        return fl_target_wrong(target, why);
    }
    if (!is_sane(root))
        return fl_target_wrong(target, "has a damaged description of fallow's tables");
    if (!root->opened)
        return fl_target_wrong(
            target, "has loaded fallow, which has served no request yet; does another malloc serve it?");
    return true;
}

bool fl_target_open(fl_target *target, const char *number) {
    bool named = false;
    return fl_target_attach(target, number) && find_root(target, &named) && check_root(target, named);
}
