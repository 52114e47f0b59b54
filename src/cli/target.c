/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fallow/version.h"
#include "rights.h"

#define PIECE_BYTES ((size_t)1 << 20)
#define CLASSES_MAX 128
#define PARTS_MAX 16

/* Whom it is about, and what of it. */
static bool is_wrong(fl_target *target, const char *what) {
    snprintf(target->wrong, sizeof target->wrong, "process %d%s%s%s: %s", (int)target->process,
             *target->program ? " (" : "", target->program, *target->program ? ")" : "", what);
    return false;
}

/* What strangers have named: nothing in it is to reach a terminal that is more than a letter. */
static void make_printable(char *text, size_t bytes) {
    text[bytes - 1] = '\0';
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

static bool is_forbidden(fl_target *target, int code) {
    char why[400];
    fl_rights_missing(target->process, code, why, sizeof why);
    return is_wrong(target, why);
}

#define KERNELS_FLAG 0x200000 /* among a process's: a thread of the kernel's */

typedef struct state {
    char program[32], letter;
    uint64_t flags, began;
} state;

/* False: there is no such process. */
static bool read_state(const fl_target *target, state *its) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)target->process);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    char *name = strchr(text, '('), *end = strrchr(text, ')');
    if (!name || !end)
        return false;
    snprintf(its->program, sizeof its->program, "%.*s", (int)(end - name - 1), name + 1);
    its->letter = end[1] ? end[2] : '?';
    for (int field = 3; (end = strchr(end + 1, ' ')) != NULL; field++)
        if (field == 9)
            its->flags = strtoull(end, NULL, 10);
        else if (field == 22)
            its->began = strtoull(end, NULL, 10);
    return true;
}

static bool has_ended(const state *its) {
    return its->letter == 'Z' || its->letter == 'X';
}

bool fl_target_read(const fl_target *target, uint64_t address, void *into, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        if (address + done > INT64_MAX)
            return false;
        ssize_t got = pread(target->memory, (char *)into + done, bytes - done, (off_t)(address + done));
        if (got <= 0 && !(got < 0 && errno == EINTR))
            return false;
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

bool fl_target_lost(fl_target *target) {
    char byte;
    state now = {0};
    if (!read_state(target, &now) || now.began != target->began || has_ended(&now))
        return !is_wrong(
            target, "has ended meanwhile. (What goes on as a child, as daemons do, has another number.)");
    /* What was opened is the memory of one program: when the process becomes another, it is empty. */
    return !fl_target_read(target, (uint64_t)(uintptr_t)target->root.self, &byte, 1) &&
           !is_wrong(target, "has become another program meanwhile (exec); ask again for that");
}

bool fl_target_give_up(fl_target *target) {
    return !fl_target_lost(target) && is_wrong(target, "its tables cannot be followed");
}

FILE *fl_target_file(fl_target *target, const char *name) {
    char path[96];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)target->process, name);
    FILE *file = fopen(path, "re");
    if (!file && errno == ENOENT)
        is_wrong(target, "has ended meanwhile");
    else if (!file)
        is_forbidden(target, errno);
    return file;
}

uint64_t fl_target_item(const fl_target *target, const void *structure, fl_root_member member, size_t index,
                        size_t bytes) {
    fl_root_place place = target->root.places[member];
    uint64_t value = 0; /* and so the bytes above, where it is of fewer: the lowest come first */
    if (bytes <= sizeof value && index < place.bytes / bytes)
        memcpy(&value, (const char *)structure + place.offset + index * bytes, bytes);
    return value;
}

uint64_t fl_target_member(const fl_target *target, const void *structure, fl_root_member member) {
    size_t bytes = target->root.places[member].bytes;
    return bytes <= sizeof(uint64_t) ? fl_target_item(target, structure, member, 0, bytes) : 0;
}

/* What it says of itself, so that all that follows stays within what was read. */
static bool is_sane(const fl_root *root) {
    static const uint8_t structure_of[] = {
#define FL_OF_fl_window FL_OF_window
#define FL_OF_fl_stretch FL_OF_stretch
#define FL_OF_osmem_stat FL_OF_stat
#define FL_OF_fl_class FL_OF_class
#define FL_OF_fl_region FL_OF_region
#define FL_OF_fl_slab FL_OF_slab
#define FL_OF_fl_heap FL_OF_heap
#define FL_OF_fallow_arena FL_OF_arena
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
           root->entry_low_bits < 12 && root->entry_high_shift > 32 && root->entry_high_shift < 64;
}

/* The root in [start, end), if there is one; one that is open is taken for better than one that is not. */
static void look_for_root(fl_target *target, uint64_t start, uint64_t end, char *piece) {
    static const char mark[FL_ROOT_MARK_BYTES] = FL_ROOT_MARK;
    for (uint64_t at = start; at < end; at += PIECE_BYTES) {
        size_t bytes = end - at < PIECE_BYTES ? end - at : PIECE_BYTES;
        if (!fl_target_read(target, at, piece, bytes))
            return;
        for (size_t i = 0; i + sizeof mark <= bytes; i += sizeof(void *)) {
            fl_root root = {0};
            if (memcmp(piece + i, mark, sizeof mark) || !fl_target_read(target, at + i, &root, sizeof root))
                continue;
            if ((uint64_t)(uintptr_t)root.self == at + i && (!target->root.self || root.opened))
                target->root = root;
        }
    }
}

/* The data of each file that is mapped: the root lies in that of a library, or of the program itself. */
static bool find_root(fl_target *target, bool *named) {
    FILE *maps = fl_target_file(target, "maps");
    char *piece = malloc(PIECE_BYTES), line[4352];
    if (maps && !piece)
        is_wrong(target, strerror(ENOMEM));
    while (maps && piece && fgets(line, sizeof line, maps)) {
        unsigned long long start, end, inode;
        char rights[8];
        if (sscanf(line, "%llx-%llx %7s %*s %*s %llu", &start, &end, rights, &inode) != 4)
            continue;
        *named = *named || strstr(line, "/libfallow");
        if (inode && rights[0] == 'r' && rights[1] == 'w' && rights[3] == 'p')
            look_for_root(target, start, end, piece);
    }
    if (maps)
        fclose(maps);
    free(piece);
    return maps && piece;
}

static bool check_root(fl_target *target, bool named) {
    const fl_root *root = &target->root;
    char why[256];
    if (!root->self)
        return is_wrong(target, named
                                    ? "runs a fallow that is older than this command and cannot be asked"
                                    : "there is no fallow in it (fallow run -- PROGRAM starts one with it)");
    if (root->layout != FL_ROOT_LAYOUT || root->bytes != sizeof *root) {
        snprintf(why, sizeof why,
                 "runs fallow %.15s, whose tables (layout %u) this command, of fallow " FALLOW_VERSION
                 " (layout %d), does not know: use the one that came with it",
                 root->version, root->layout, FL_ROOT_LAYOUT);
        return is_wrong(target, why);
    }
    if (!is_sane(root))
        return is_wrong(target, "what stands where fallow describes its tables makes no sense");
    if (!root->opened)
        return is_wrong(target, "fallow is loaded and has served nothing yet; is the malloc another's?");
    return true;
}

bool fl_target_open(fl_target *target, const char *number) {
    char *end, path[64];
    state now = {0};
    *target = (fl_target){.memory = -1};
    long process = strtol(number, &end, 10);
    if (!*number || *end || process <= 0 || process > INT32_MAX) {
        snprintf(target->wrong, sizeof target->wrong, "%.64s: not the number of a process", number);
        return false;
    }
    target->process = (pid_t)process;
    if (!read_state(target, &now))
        return is_wrong(
            target,
            "there is none of that number here. (In a container they have others than outside of it.)");
    memcpy(target->program, now.program, sizeof target->program);
    make_printable(target->program, sizeof target->program);
    target->began = now.began;
    if (has_ended(&now))
        return is_wrong(target, "has ended; only its status is left, for its parent");
    if (now.flags & KERNELS_FLAG)
        return is_wrong(target, "is a thread of the kernel's, without memory of its own");
    snprintf(path, sizeof path, "/proc/%ld/mem", process);
    target->memory = open(path, O_RDONLY | O_CLOEXEC);
    if (target->memory < 0)
        return is_forbidden(target, errno);
    bool named = false;
    if (!find_root(target, &named))
        return false;
    make_printable(target->root.version, sizeof target->root.version);
    return check_root(target, named);
}

void fl_target_close(fl_target *target) {
    if (target->memory >= 0)
        close(target->memory);
    target->memory = -1;
}
