/* SPDX-License-Identifier: MIT */
/*
 * A back end of one's own: memory from a memfd, shared with another process.
 *
 * Reserved is the file without access; map gives access; unused punches a hole into it, so that the memory
 * goes back for both processes and reads as zero. The interface of osmem checks and counts as for any other
 * back end.
 */
#define _GNU_SOURCE
#include <fallow/osmem.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct shared {
    int file;
    char *base; /* the file's first byte lies here */
    size_t bytes;
} shared;

static void shared_traits(void *context, osmem_traits *out) {
    (void)context;
    *out = (osmem_traits){.os_page_bytes = osmem_os_page_bytes(), .zero_after_unused = true};
}

/* One range, as long as the file, which lies there without access at first. */
static osmem_result shared_reserve(void *context, const osmem_request *request, osmem_reservation *out) {
    shared *it = context;
    if (request->exactly || request->mapped || it->base || request->bytes > it->bytes)
        return OSMEM_UNSUPPORTED;
    void *got = mmap(NULL, request->bytes, PROT_NONE, MAP_SHARED, it->file, 0);
    if (got == MAP_FAILED)
        return OSMEM_NOMEM;
    out->start = it->base = got;
    return OSMEM_OK;
}

static osmem_result shared_map(void *context, void *start, size_t bytes) {
    (void)context;
    return mprotect(start, bytes, PROT_READ | PROT_WRITE) ? OSMEM_NOMEM : OSMEM_OK;
}

static osmem_result shared_used(void *context, void *start, size_t bytes) {
    (void)context, (void)start, (void)bytes;
    return OSMEM_OK;
}

static osmem_result shared_unused(void *context, const osmem_range *ranges, size_t count, size_t *done) {
    shared *it = context;
    for (*done = 0; *done < count; ++*done)
        if (fallocate(it->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      (char *)ranges[*done].start - it->base, (off_t)ranges[*done].bytes))
            return OSMEM_UNSUPPORTED;
    return OSMEM_OK;
}

static osmem_result shared_free(void *context, void *start, size_t bytes) {
    (void)context;
    return munmap(start, bytes) ? OSMEM_NOMEM : OSMEM_OK;
}

static osmem_result cannot(void *context, void *start, size_t bytes) {
    (void)context, (void)start, (void)bytes;
    return OSMEM_UNSUPPORTED;
}

static void *cannot_alloc(void *context, size_t bytes) {
    (void)context, (void)bytes;
    return NULL;
}

static long file_kib(int file) {
    struct stat status;
    return fstat(file, &status) ? -1 : (long)status.st_blocks / 2;
}

int main(void) {
    size_t bytes = 64 * osmem_os_page_bytes();
    shared memory = {.file = memfd_create("fallow example", MFD_CLOEXEC), .bytes = bytes};
    osmem_backend backend = {.struct_bytes = sizeof backend,
                             .name = "memfd",
                             .context = &memory,
                             .traits = shared_traits,
                             .alloc = cannot_alloc,
                             .reserve = shared_reserve,
                             .map = shared_map,
                             .used = shared_used,
                             .unused = shared_unused,
                             .unmap = cannot,
                             .fault = cannot,
                             .free = shared_free,
                             .huge_page = cannot,
                             .no_huge_page = cannot,
                             .collapse = cannot};
    osmem_stat stat;
    if (memory.file < 0 || ftruncate(memory.file, (off_t)bytes))
        return 1;
    osmem_stat_init(&stat, "shared", &backend, NULL);
    osmem_stat_check(&stat);

    char *start = osmem_reserve(NULL, bytes, 0, &stat);
    if (!start || osmem_map(start, bytes, &stat) || osmem_used(start, bytes, bytes, &stat))
        return 1;
    pid_t child = fork();
    if (child == 0) {
        memset(start, 'x', bytes);
        strcpy(start, "written by another process");
        _exit(0);
    }
    if (waitpid(child, NULL, 0) != child)
        return 1;
    printf("%s: %ld KiB resident\n", start, file_kib(memory.file));

    if (osmem_unused(start, bytes, &stat))
        return 1;
    long after = file_kib(memory.file);
    if (osmem_used(start, bytes, bytes, &stat))
        return 1;
    printf("given back: %ld KiB resident, first byte %d\n", after, start[0]);
    return after != 0 || start[0] != 0 || osmem_free(start, bytes, (osmem_bytes){.ready = bytes}, &stat);
}
