/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "place.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "call.h"
#include "system.h"

#define PATH_BYTES 512

/* A line of it: start-end permissions offset device inode path */
static char piece[1024];
static size_t piece_bytes, piece_at;
static char path[PATH_BYTES], previous_path[PATH_BYTES];

static bool next_letter(long maps, char *letter) {
    if (piece_at == piece_bytes) {
        long got = fl_call(SYS_read, maps, (long)piece, sizeof piece, 0);
        piece_at = 0;
        piece_bytes = got > 0 ? (size_t)got : 0;
    }
    if (piece_at == piece_bytes)
        return false;
    *letter = piece[piece_at++];
    return true;
}

static int value_of(char letter) {
    return letter >= '0' && letter <= '9'   ? letter - '0'
           : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10
                                            : -1;
}

/* Reads up to the letter behind the number, which is consumed too. */
static bool read_number(long maps, uintptr_t *number) {
    char letter;
    int value;
    *number = 0;
    while (next_letter(maps, &letter)) {
        if ((value = value_of(letter)) < 0)
            return true;
        *number = *number << 4 | (uintptr_t)value;
    }
    return false;
}

/* Reads the last field of a line, which may have blanks in it. */
static void read_path(long maps) {
    size_t length = 0;
    char letter;
    for (unsigned field = 0; next_letter(maps, &letter) && letter != '\n';) {
        field += letter == ' ' && field < 4;
        if (field == 4 && (letter != ' ' || length) && length < PATH_BYTES - 1)
            path[length++] = letter;
    }
    path[length] = '\0';
}

static bool find(long maps, uintptr_t address, uintptr_t *base) {
    uintptr_t start, end;
    piece_at = piece_bytes = 0;
    previous_path[0] = '\0';
    *base = 0;
    while (read_number(maps, &start) && read_number(maps, &end)) {
        read_path(maps);
        if (strcmp(path, previous_path) != 0) {
            memcpy(previous_path, path, sizeof path);
            *base = start;
        }
        if (address >= start && address < end)
            return path[0] == '/';
    }
    return false;
}

void fl_line_add_place(fl_line *line, uintptr_t address) {
    uintptr_t base;
    long maps = fl_system_keeps_to_memory()
                    ? -1
                    : fl_call(SYS_openat, AT_FDCWD, (long)"/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    bool found = maps >= 0 && find(maps, address, &base);
    if (maps >= 0)
        fl_call(SYS_close, maps, 0, 0, 0);
    if (!found) {
        fl_line_add_address(line, (const void *)address);
        return;
    }
    fl_line_add(line, path);
    fl_line_add(line, "+");
    fl_line_add_address(line, (const void *)(address - base));
}
