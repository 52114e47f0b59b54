/* SPDX-License-Identifier: MIT */
/*
 * profile_text.c: a profile for people, and as collapsed stacks for flame graphs. Names come from binutils'
 * addr2line: it finds separate symbols, and knows C++.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "printable.h"
#include "profiled.h"

#define SHOWN 20

extern char **environ;

/* Reads two lines, or fewer if there are no more. */
static void ask(const fl_mapping *mapping, uint64_t address, char *text, size_t bytes) {
    char number[32];
    int ends[2];
    pid_t child;
    posix_spawn_file_actions_t actions;
    snprintf(number, sizeof number, "0x%llx", (unsigned long long)address);
    char *arguments[] = {"addr2line", "-C", "-f", "-e", (char *)(uintptr_t)mapping->path, number, NULL};
    text[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) < 0)
        return;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    bool started = posix_spawnp(&child, arguments[0], &actions, NULL, arguments, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    size_t length = 0;
    for (ssize_t got = 1; started && got > 0 && length + 1 < bytes; length += got > 0 ? (size_t)got : 0)
        got = read(ends[0], text + length, bytes - 1 - length);
    text[length] = '\0';
    close(ends[0]);
    if (started)
        waitpid(child, NULL, 0);
}

/* Returns an address as the file has it: the file's own parts say where each is to lie. */
static uint64_t in_file(const fl_mapping *mapping, uint64_t address) {
    unsigned char head[64];
    uint64_t at, offset = address - mapping->start + mapping->offset;
    uint16_t count;
    FILE *file = fopen(mapping->path, "re");
    if (!file || fread(head, 1, sizeof head, file) != sizeof head || memcmp(head, "\177ELF\2", 5)) {
        if (file)
            fclose(file);
        return offset;
    }
    memcpy(&at, head + 32, sizeof at);
    memcpy(&count, head + 56, sizeof count);
    fseek(file, (long)at, SEEK_SET);
    for (struct {
             uint32_t type, flags;
             uint64_t offset, address, unused, bytes, memory, align;
         } part;
         count-- && fread(&part, sizeof part, 1, file) == 1;)
        if (part.type == 1 && (part.flags & 1) && offset - part.offset < part.bytes) {
            offset = offset - part.offset + part.address;
            break;
        }
    fclose(file);
    return offset;
}

void fl_profile_place(const fl_profile *profile, uint64_t call, fl_place *place) {
    static struct known {
        uint64_t call;
        fl_place place;
    } known[4096];
    struct known *its = &known[call * UINT64_C(0x9e3779b97f4a7c15) >> 52];
    if (its->call != call) {
        char text[4096], file[512];
        /* The instruction before the return address. */
        const fl_mapping *mapping = fl_profile_mapping(profile, call - 1);
        *its = (struct known){.call = call};
        uint64_t address = mapping ? in_file(mapping, call - 1) : call;
        snprintf(file, sizeof file, "%s", mapping ? mapping->path : "?");
        ask(mapping ? mapping : &(fl_mapping){.path = "/dev/null"}, address, text, sizeof text);
        char *line = strchr(text, '\n');
        if (line)
            *line++ = '\0';
        if (line)
            line[strcspn(line, "\n ")] = '\0';
        if (line && text[0] != '?')
            snprintf(its->place.function, sizeof its->place.function, "%.159s", text);
        else
            snprintf(its->place.function, sizeof its->place.function, "%.120s+0x%llx",
                     strrchr(file, '/') ? strrchr(file, '/') + 1 : file, (unsigned long long)address);
        if (line && line[0] != '?')
            snprintf(its->place.line, sizeof its->place.line, "%.159s",
                     strrchr(line, '/') ? strrchr(line, '/') + 1 : line);
        fl_make_printable(its->place.function, sizeof its->place.function);
        fl_make_printable(its->place.line, sizeof its->place.line);
    }
    *place = its->place;
}

static fl_measure sorted_by;

static int by_bytes(const void *a, const void *b) {
    double left = ((const fl_stack *)a)->of[sorted_by].bytes,
           right = ((const fl_stack *)b)->of[sorted_by].bytes;
    return left < right ? 1 : left > right ? -1 : 0;
}

static void print_size(double bytes, FILE *out) {
    if (bytes < 1024 * 1024 && bytes > -1024 * 1024)
        fprintf(out, "%10.1f KiB", bytes / 1024);
    else
        fprintf(out, "%10.1f MiB", bytes / (1024 * 1024));
}

void fl_profile_print(const fl_profile *profile, fl_measure measure, FILE *out) {
    static const char *const names[] = {"live", "allocated", "live at the peak"};
    double all = 0;
    size_t shown = 0;
    for (size_t i = 0; i < profile->stack_count; i++)
        all += profile->stacks[i].of[measure].bytes;
    sorted_by = measure;
    if (profile->stack_count)
        qsort(profile->stacks, profile->stack_count, sizeof *profile->stacks, by_bytes);
    print_size(all, out);
    fprintf(out, "  %s, as estimated from a sample", names[measure]);
    if (profile->mean_bytes)
        fprintf(out, " of one in %llu bytes", (unsigned long long)profile->mean_bytes);
    fputs("\n", out);
    if (profile->pool_bytes) {
        print_size((double)profile->pool_bytes, out);
        fputs("  in pools (or on its way between uses), which are not sampled\n", out);
    }
    for (const fl_stack *stack = profile->stacks; shown < profile->stack_count && shown < SHOWN;
         stack++, shown++) {
        if (stack->of[measure].bytes <= 0)
            break;
        fputs("\n", out);
        print_size(stack->of[measure].bytes, out);
        fprintf(out, "  %.0f blocks, in arena %s\n", stack->of[measure].blocks, stack->arena);
        for (unsigned i = 0; i < stack->depth; i++) {
            fl_place place;
            fl_profile_place(profile, stack->calls[i], &place);
            fprintf(out, "%16s%s%s%s\n", "", place.function, *place.line ? "  " : "", place.line);
        }
    }
}

void fl_profile_print_collapsed(const fl_profile *profile, fl_measure measure, FILE *out) {
    for (size_t s = 0; s < profile->stack_count; s++) {
        const fl_stack *stack = &profile->stacks[s];
        if (stack->of[measure].bytes < 1)
            continue;
        fprintf(out, "%s", stack->arena);
        for (unsigned i = stack->depth; i-- > 0;) {
            fl_place place;
            fl_profile_place(profile, stack->calls[i], &place);
            for (char *letter = place.function; *letter; letter++)
                *letter = *letter == ';' ? ':' : *letter;
            fprintf(out, ";%s", place.function);
        }
        fprintf(out, " %.0f\n", stack->of[measure].bytes);
    }
}
