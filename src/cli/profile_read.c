/* SPDX-License-Identifier: MIT */
/*
 * profile_read.c: where a profile comes from: the books of a running process (src/profile/sites.h), or a
 * file. It treats what it reads as a stranger's: counts are bounded, and names printable.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "printable.h"
#include "profiled.h"

#define MAPPINGS_MAX 65536

static void *grown(void *array, size_t count, size_t each) {
    if (count & (count - 1))
        return array;
    void *more = realloc(array, (count ? 2 * count : 1) * each);
    if (!more)
        abort();
    return more;
}

fl_stack *fl_profile_add_stack(fl_profile *profile) {
    profile->stacks = grown(profile->stacks, profile->stack_count, sizeof *profile->stacks);
    fl_stack *stack = &profile->stacks[profile->stack_count++];
    memset(stack, 0, sizeof *stack);
    return stack;
}

/* Reads the note in a file's first page or two; an older file of that name may have been replaced
 * meanwhile. */
static void read_build_id(fl_mapping *mapping) {
    static char head[16384];
    FILE *file = fopen(mapping->path, "re");
    size_t bytes = file ? fread(head, 1, sizeof head, file) : 0;
    if (file)
        fclose(file);
    const Elf64_Ehdr *elf = (const Elf64_Ehdr *)head;
    if (bytes < sizeof *elf || memcmp(head, ELFMAG, SELFMAG) || head[EI_CLASS] != ELFCLASS64)
        return;
    for (unsigned i = 0; i < elf->e_phnum; i++) {
        uint64_t at = elf->e_phoff + (uint64_t)i * sizeof(Elf64_Phdr);
        if (at > sizeof head || at + sizeof(Elf64_Phdr) > bytes)
            return;
        const Elf64_Phdr *part = (const Elf64_Phdr *)(head + at);
        if (part->p_type != PT_NOTE || part->p_offset > bytes || part->p_filesz > bytes - part->p_offset)
            continue;
        for (uint64_t note = part->p_offset, end = note + part->p_filesz;
             note + sizeof(Elf64_Nhdr) + 4 <= end;) {
            const Elf64_Nhdr *its = (const Elf64_Nhdr *)(head + note);
            uint64_t name = note + sizeof *its, what = name + ((its->n_namesz + 3ull) & ~3ull);
            if (what > end || its->n_descsz > end - what)
                break;
            if (its->n_type == NT_GNU_BUILD_ID && its->n_namesz == 4 && !memcmp(head + name, "GNU", 4))
                for (unsigned b = 0; b < its->n_descsz && b < 20; b++)
                    snprintf(mapping->build_id + 2 * b, 3, "%02x", (unsigned char)head[what + b]);
            note = what + ((its->n_descsz + 3ull) & ~3ull);
        }
    }
}

static void read_maps(fl_profile *profile, FILE *maps) {
    char line[1024], rights[8];
    unsigned long long start, end, offset, inode;
    while (fgets(line, sizeof line, maps) && profile->mapping_count < MAPPINGS_MAX) {
        int path = 0;
        if (sscanf(line, "%llx-%llx %7s %llx %*s %llu %n", &start, &end, rights, &offset, &inode, &path) !=
                5 ||
            !path || rights[2] != 'x' || start >= end)
            continue;
        profile->mappings = grown(profile->mappings, profile->mapping_count, sizeof *profile->mappings);
        fl_mapping *mapping = &profile->mappings[profile->mapping_count++];
        *mapping = (fl_mapping){.start = start, .end = end, .offset = offset, .is_code = true};
        snprintf(mapping->path, sizeof mapping->path, "%s", line + path);
        mapping->path[strcspn(mapping->path, "\n")] = '\0';
        fl_make_printable(mapping->path, sizeof mapping->path);
        if (mapping->path[0] == '/')
            read_build_id(mapping);
    }
}

const fl_mapping *fl_profile_mapping(const fl_profile *profile, uint64_t address) {
    for (size_t i = 0; i < profile->mapping_count; i++)
        if (address - profile->mappings[i].start < profile->mappings[i].end - profile->mappings[i].start)
            return &profile->mappings[i];
    return NULL;
}

static bool is_fallows(const fl_mapping *mapping) {
    const char *name = strrchr(mapping->path, '/');
    return name && !strncmp(name, "/libfallow", 10);
}

void fl_profile_trim(const fl_profile *profile, fl_stack *stack) {
    unsigned from = 0, to = 0;
    const fl_mapping *mapping;
    while (from < stack->depth && (mapping = fl_profile_mapping(profile, stack->calls[from])) != NULL &&
           is_fallows(mapping))
        from++;
    for (; from < stack->depth && fl_profile_mapping(profile, stack->calls[from] - 1); from++)
        stack->calls[to++] = stack->calls[from];
    stack->depth = to;
}

static void trim_calls(fl_profile *profile) {
    for (size_t i = 0; i < profile->stack_count; i++)
        fl_profile_trim(profile, &profile->stacks[i]);
}

static fl_amount amount(uint64_t blocks, uint64_t bytes) {
    return (fl_amount){(double)blocks / FL_WEIGHT_ONE, (double)bytes};
}

static bool read_site(fl_profile *profile, char *line) {
    unsigned long long n[7];
    int at = 0;
    if (sscanf(line, "site %llu %llu %llu %llu %llu %llu %llu%n", &n[0], &n[1], &n[2], &n[3], &n[4], &n[5],
               &n[6], &at) != 7 ||
        n[6] > FL_FRAMES_MAX)
        return false;
    fl_stack *stack = fl_profile_add_stack(profile);
    for (int i = 0; i < FL_MEASURES; i++)
        stack->of[i] = amount(n[2 * i], n[2 * i + 1]);
    for (char *end = line + at; stack->depth < n[6]; line = end, at = 0)
        stack->calls[stack->depth++] = strtoull(line + at, &end, 10);
    line += at;
    snprintf(stack->arena, sizeof stack->arena, "%.31s", *line == ' ' ? line + 1 : "");
    stack->arena[strcspn(stack->arena, "\n")] = '\0';
    fl_make_printable(stack->arena, sizeof stack->arena);
    return true;
}

bool fl_profile_read_file(fl_profile *profile, const char *path) {
    char line[4096];
    unsigned long long mean = 0;
    memset(profile, 0, sizeof *profile);
    FILE *file = fopen(path, "re");
    if (!file)
        return !fl_fail(path, strerror(errno));
    bool good = fgets(line, sizeof line, file) && !strcmp(line, "fallow profile 1\n") &&
                fgets(line, sizeof line, file) && sscanf(line, "mean %llu", &mean) == 1;
    profile->mean_bytes = mean;
    bool ended = false;
    while (good && !ended && fgets(line, sizeof line, file)) {
        ended = !strcmp(line, "maps\n");
        good = ended || read_site(profile, line);
    }
    if (good && ended)
        read_maps(profile, file);
    fclose(file);
    if (!good || !ended)
        return !fl_fail(path, "not a profile that fallow has written, or not all of one");
    trim_calls(profile);
    return true;
}

static uint64_t number(const fl_target *target, const void *structure, fl_root_member member) {
    return fl_target_member(target, structure, member);
}

bool fl_profile_read_target(fl_profile *profile, fl_target *target) {
    static char books[4096], site[4096], sampling[256];
    const fl_root *root = &target->root;
    memset(profile, 0, sizeof *profile);
    fl_root_place calls = root->places[FL_AT_site_calls], name = root->places[FL_AT_site_arena];
    if (root->sizes[FL_OF_books] > sizeof books || root->sizes[FL_OF_site] > sizeof site ||
        root->sizes[FL_OF_sampling] > sizeof sampling ||
        !fl_target_read(target, (uintptr_t)root->books, books, root->sizes[FL_OF_books]) ||
        !fl_target_read(target, (uintptr_t)root->sampling, sampling, root->sizes[FL_OF_sampling]))
        return fl_target_give_up(target);
    uint64_t active = number(target, sampling, FL_AT_sampling_active);
    profile->mean_bytes = active ? (uint64_t)1 << ((active - 1) & 63) : 0;
    uint64_t at = number(target, books, FL_AT_books_sites);
    for (; at && profile->stack_count <= FL_SITES_MAX; at = number(target, site, FL_AT_site_next)) {
        if (!fl_target_read(target, at, site, calls.offset))
            return fl_target_give_up(target);
        uint64_t depth = number(target, site, FL_AT_site_depth);
        if (depth > FL_FRAMES_MAX || depth * 8 > calls.bytes)
            return fl_target_give_up(target);
        fl_stack *stack = fl_profile_add_stack(profile);
        if (!fl_target_read(target, at + calls.offset, stack->calls, depth * 8))
            return fl_target_give_up(target);
        stack->depth = (unsigned)depth;
        stack->site = at;
        memcpy(stack->arena, site + name.offset,
               name.bytes < sizeof stack->arena ? name.bytes : sizeof stack->arena);
        fl_make_printable(stack->arena, sizeof stack->arena);
        stack->of[FL_LIVE] =
            amount(number(target, site, FL_AT_site_live_blocks), number(target, site, FL_AT_site_live_bytes));
        stack->of[FL_TOTAL] = amount(number(target, site, FL_AT_site_total_blocks),
                                     number(target, site, FL_AT_site_total_bytes));
        bool kept = number(target, books, FL_AT_books_past_peak) &&
                    number(target, books, FL_AT_books_round) == number(target, site, FL_AT_site_peak_round);
        stack->of[FL_PEAK] = kept ? amount(number(target, site, FL_AT_site_peak_blocks),
                                           number(target, site, FL_AT_site_peak_bytes))
                                  : stack->of[FL_LIVE];
    }
    FILE *maps = fl_target_file(target, "maps");
    if (!maps)
        return false;
    read_maps(profile, maps);
    fclose(maps);
    trim_calls(profile);
    return !fl_target_lost(target);
}

/* Sites whose calls differ only in what was trimmed are the same to people; of one process, addresses
 * tell. */
static bool are_of_one_site(const fl_stack *a, const fl_stack *b) {
    if (a->site && b->site)
        return a->site == b->site;
    return a->depth == b->depth && !strcmp(a->arena, b->arena) &&
           !memcmp(a->calls, b->calls, a->depth * sizeof *a->calls);
}

void fl_profile_subtract(fl_profile *profile, const fl_profile *before) {
    for (size_t i = 0; i < before->stack_count; i++) {
        const fl_stack *old = &before->stacks[i];
        fl_stack *its = profile->stacks, *end = its + profile->stack_count;
        while (its < end && !are_of_one_site(its, old))
            its++;
        for (int m = 0; its < end && m < FL_MEASURES; m++) {
            its->of[m].blocks -= old->of[m].blocks;
            its->of[m].bytes -= old->of[m].bytes;
        }
    }
}
