/* SPDX-License-Identifier: MIT */
/* A tenant whose memory is bounded, visible, and gone in one call. */
#include <fallow/fallow.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    fallow_arena *tenant = fallow_arena_create("tenant 42", 32 << 20);
    if (!tenant)
        return 1;

    /* The tenant stores what it likes, until its limit; its neighbours notice nothing. */
    size_t stored = 0;
    char *document;
    while ((document = fallow_arena_alloc(tenant, 10000)) != NULL) {
        memset(document, 'x', 10000);
        stored++;
    }
    fallow_arena_figures figures;
    if (fallow_arena_read_sized(tenant, &figures, sizeof figures))
        printf("stored %zu documents, %zu KiB Ready of %zu KiB\n", stored, figures.ready_bytes >> 10,
               figures.limit_bytes >> 10);

    /* Evicted: every document, whoever allocated it, and every page. */
    fallow_arena_destroy(tenant);
    return 0;
}
