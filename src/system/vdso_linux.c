/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "vdso.h"

#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

#ifdef __x86_64__
#define CLOCK_NAME "__vdso_clock_gettime"
#elif defined(__aarch64__)
#define CLOCK_NAME "__kernel_clock_gettime"
#else
#define CLOCK_NAME ""
#endif

#define VDSO_BYTES_MAX ((size_t)64 << 10)
#define HEAD_BYTES_MAX ((size_t)4096) /* mapped for sure: the image begins with a page */

typedef struct vdso_image {
    const char *start;
    size_t bytes;
    uintptr_t moved; /* address in the image less address in its tables */
} vdso_image;

/* Returns `count` items of `each` bytes at an offset; NULL if they are not wholly in the image, or not
 * aligned. */
static const void *part(const vdso_image *image, size_t at, size_t count, size_t each, size_t alignment) {
    if (at > image->bytes || at % alignment || (each && count > (image->bytes - at) / each))
        return NULL;
    return image->start + at;
}

static const void *part_at(const vdso_image *image, uintptr_t address, size_t count, size_t each,
                           size_t alignment) {
    return part(image, address + image->moved, count, each, alignment);
}

/* The image ends where its first loaded segment does. */
static const ElfW(Phdr) * find_segments(vdso_image *image, size_t *count) {
    struct vdso_image first = {image->start, image->bytes < HEAD_BYTES_MAX ? image->bytes : HEAD_BYTES_MAX,
                               0};
    const ElfW(Ehdr) *head = part(&first, 0, 1, sizeof *head, _Alignof(ElfW(Ehdr)));
    if (!head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || head->e_phentsize != sizeof(ElfW(Phdr)))
        return NULL;
    *count = head->e_phnum;
    const ElfW(Phdr) *segments =
        part(&first, head->e_phoff, head->e_phnum, sizeof *segments, _Alignof(ElfW(Phdr)));
    for (size_t i = 0; segments && i < *count; i++)
        if (segments[i].p_type == PT_LOAD) {
            size_t end = segments[i].p_offset + segments[i].p_filesz;
            image->moved = (uintptr_t)segments[i].p_offset - (uintptr_t)segments[i].p_vaddr;
            image->bytes = end < image->bytes ? end : image->bytes;
            return segments;
        }
    return NULL;
}

static const ElfW(Dyn) *
    find_dynamic(const vdso_image *image, const ElfW(Phdr) * segments, size_t count, size_t *entries) {
    for (size_t i = 0; i < count; i++)
        if (segments[i].p_type == PT_DYNAMIC) {
            *entries = segments[i].p_memsz / sizeof(ElfW(Dyn));
            return part(image, segments[i].p_offset, *entries, sizeof(ElfW(Dyn)), _Alignof(ElfW(Dyn)));
        }
    return NULL;
}

/* Returns how many symbols there are, which only the hash tables say. */
static size_t count_by_hash(const vdso_image *image, uintptr_t address) {
    const uint32_t *head = part_at(image, address, 2, sizeof *head, sizeof *head);
    return head ? head[1] : 0;
}

static size_t count_by_gnu_hash(const vdso_image *image, uintptr_t address) {
    const uint32_t *head = part_at(image, address, 4, sizeof *head, sizeof *head);
    if (!head)
        return 0;
    uintptr_t buckets_at = address + 16 + (uintptr_t)head[2] * sizeof(ElfW(Addr));
    uintptr_t chains_at = buckets_at + (uintptr_t)head[0] * 4;
    const uint32_t *buckets = part_at(image, buckets_at, head[0], 4, 4);
    uint32_t last = 0;
    for (uint32_t i = 0; buckets && i < head[0]; i++)
        last = buckets[i] > last ? buckets[i] : last;
    if (last < head[1])
        return 0;
    for (;; last++) {
        const uint32_t *chain = part_at(image, chains_at + (uintptr_t)(last - head[1]) * 4, 1, 4, 4);
        if (!chain)
            return 0;
        if (*chain & 1)
            return (size_t)last + 1;
    }
}

static size_t find_symbol(const vdso_image *image, const ElfW(Dyn) * dynamic, size_t entries,
                          const char *name) {
    uintptr_t symbols_at = 0, names_at = 0;
    size_t count = 0, names_bytes = 0, wanted = strlen(name) + 1;
    for (size_t i = 0; i < entries && dynamic[i].d_tag != DT_NULL; i++) {
        uintptr_t value = dynamic[i].d_un.d_val;
        if (dynamic[i].d_tag == DT_SYMTAB)
            symbols_at = value;
        else if (dynamic[i].d_tag == DT_STRTAB)
            names_at = value;
        else if (dynamic[i].d_tag == DT_STRSZ)
            names_bytes = value;
        else if (dynamic[i].d_tag == DT_HASH)
            count = count_by_hash(image, value);
        else if (dynamic[i].d_tag == DT_GNU_HASH && count == 0)
            count = count_by_gnu_hash(image, value);
    }
    const ElfW(Sym) *symbols = part_at(image, symbols_at, count, sizeof *symbols, _Alignof(ElfW(Sym)));
    const char *names = part_at(image, names_at, names_bytes, 1, 1);
    for (size_t i = 0; symbols && names && i < count; i++) {
        const ElfW(Sym) *symbol = &symbols[i];
        if ((symbol->st_info & 15) == STT_FUNC && symbol->st_shndx != SHN_UNDEF &&
            symbol->st_name < names_bytes && names_bytes - symbol->st_name >= wanted &&
            memcmp(names + symbol->st_name, name, wanted) == 0 && part_at(image, symbol->st_value, 1, 1, 1))
            return symbol->st_value + image->moved;
    }
    return 0;
}

size_t fl_vdso_find(const void *start, size_t bytes, const char *name) {
    vdso_image image = {start, bytes, 0};
    size_t count, entries;
    const ElfW(Phdr) *segments = find_segments(&image, &count);
    const ElfW(Dyn) *dynamic = segments ? find_dynamic(&image, segments, count, &entries) : NULL;
    return dynamic ? find_symbol(&image, dynamic, entries, name) : 0;
}

fl_vdso_clock *fl_vdso_find_clock(void) {
    static _Atomic uintptr_t known; /* 0: not looked yet, 1: there is none; the same whoever writes it */
    uintptr_t clock = atomic_load_explicit(&known, memory_order_relaxed);
    if (clock == 0) {
        const char *start = (const char *)getauxval(AT_SYSINFO_EHDR);
        size_t at = start && *CLOCK_NAME ? fl_vdso_find(start, VDSO_BYTES_MAX, CLOCK_NAME) : 0;
        clock = at ? (uintptr_t)start + at : 1;
        atomic_store_explicit(&known, clock, memory_order_relaxed);
    }
    return clock == 1 ? NULL : (fl_vdso_clock *)clock;
}
