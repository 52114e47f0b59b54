/* SPDX-License-Identifier: MIT */
#include "window.h"

#include <string.h>

#include "../system/arithmetic.h"
#include "../system/fatal.h"
#include "../system/lock.h"
#include "../system/poison.h"
#include "../system/system.h"

#define WINDOW_BYTES_MAX ((size_t)1 << 43)
#define WINDOW_BYTES_WHOLE ((size_t)1 << 36) /* if it has to be reserved whole */
#define WINDOW_BYTES_MIN ((size_t)1 << 28)
#define TABLE_REGION_BYTES (FL_REGION_PAGES * sizeof(fl_entry)) /* one region's entries */
#define STEP_BYTES_MIN ((size_t)64 << 10)
#define DESCRIPTOR_ROOM_BYTES 128

fl_window fl_the_window;
osmem_stat fl_stat_process;
osmem_stat fl_stat_meta;

/* The lock of the window guards both: regions below this have been taken at least once; a bit for each that
 * is taken. */
static size_t regions_reached;
static uint64_t regions_taken[(WINDOW_BYTES_MAX >> FL_REGION_SHIFT) / 64];
static fl_region *regions_kept; /* nobody's, but not free for everybody; linked by next */
static size_t regions_max;
static size_t step_bytes; /* in which bookkeeping grows: whole OS pages, and the system's */
static bool reserved_whole;
static fl_reservation table, descriptors, regions, meta;
fl_reservation fl_window_aside;
static size_t meta_used_bytes; /* guarded by the lock of bookkeeping */

static size_t rounded(size_t bytes) {
    return (bytes + step_bytes - 1) & ~(step_bytes - 1);
}

fl_reservation *const fl_window_parts[FL_WINDOW_PARTS] = {&table, &descriptors, &regions, &meta};

/* Sets where the parts lie for a window of this size at this place. Returns the bytes of them all. */
static size_t lay_out(char *start, size_t window_bytes) {
    size_t pages = window_bytes >> FL_PAGE_SHIFT;
    size_t sizes[FL_WINDOW_PARTS] = {pages * sizeof(fl_entry), pages / 4 * DESCRIPTOR_ROOM_BYTES,
                                     (window_bytes >> FL_REGION_SHIFT) * sizeof(fl_region),
                                     window_bytes / 64};
    char *at = start;
    for (size_t i = 0; i < FL_WINDOW_PARTS; i++) {
        *fl_window_parts[i] = (fl_reservation){
            .start = at, .bytes = rounded(sizes[i]), .step_bytes = step_bytes, .stat = &fl_stat_meta};
        at += rounded(sizes[i]);
    }
    fl_window_aside = (fl_reservation){.start = at,
                                       .bytes = rounded(FL_ASIDE_OS_PAGES * fl_the_window.os_page_bytes),
                                       .step_bytes = step_bytes,
                                       .stat = &fl_stat_meta};
    at += fl_window_aside.bytes;
    at = (char *)(((uintptr_t)at + FL_REGION_BYTES - 1) & ~(FL_REGION_BYTES - 1));
    fl_the_window.base = (uintptr_t)at;
    regions_max = window_bytes >> FL_REGION_SHIFT;
    return (size_t)(at - start) + window_bytes;
}

/* Makes a little of each part Ready: as much as the smallest program needs. */
static bool start_parts(void) {
    for (size_t i = 0; i < FL_WINDOW_PARTS; i++)
        if (!fl_reservation_grow(fl_window_parts[i], 1)) {
            while (i-- > 0)
                fl_reservation_release(fl_window_parts[i]);
            return false;
        }
    return true;
}

static bool place_in_quiet_addresses(void) {
    uintptr_t first, end;
    fl_system_quiet_addresses(&first, &end);
    uint64_t random = fl_system_random();
    size_t need = lay_out((char *)first, WINDOW_BYTES_MAX);
    for (int attempt = 0; attempt < 3 && end - first > need; attempt++) {
        size_t places = (end - first - need) >> FL_REGION_SHIFT;
        lay_out((char *)first + ((random % places) << FL_REGION_SHIFT), WINDOW_BYTES_MAX);
        random = random * 6364136223846793005u + 1442695040888963407u;
        if (start_parts())
            return true;
    }
    return false;
}

static bool place_whole(void) {
    for (size_t bytes = WINDOW_BYTES_WHOLE; bytes >= WINDOW_BYTES_MIN; bytes /= 2) {
        size_t need = lay_out(NULL, bytes) + FL_REGION_BYTES;
        char *start = osmem_reserve(NULL, need, FL_REGION_BYTES, &fl_stat_meta);
        if (!start)
            continue;
        lay_out(start, bytes);
        for (size_t i = 0; i < FL_WINDOW_PARTS; i++)
            fl_window_parts[i]->reserved = true;
        fl_window_aside.reserved = true;
        reserved_whole = true;
        return start_parts();
    }
    return false;
}

bool fl_window_is_reserved(void) {
    return reserved_whole;
}

bool fl_window_init(void) {
    osmem_stat_init(&fl_stat_process, "process", NULL, NULL);
    osmem_stat_init(&fl_stat_meta, "meta", NULL, &fl_stat_process);
    fl_the_window.os_page_bytes = osmem_os_page_bytes();
    fl_the_window.grain_pages =
        fl_the_window.os_page_bytes > FL_PAGE_BYTES ? fl_the_window.os_page_bytes >> FL_PAGE_SHIFT : 1;
    step_bytes =
        fl_larger(fl_larger(STEP_BYTES_MIN, fl_the_window.os_page_bytes), fl_stat_meta.traits.reserve_bytes);
    if (!place_in_quiet_addresses() && !place_whole())
        return false;
    if ((uintptr_t)(descriptors.start + descriptors.bytes) >> FL_ENTRY_HIGH_SHIFT)
        return false; /* an entry of the table has no room for such addresses */
    fl_the_window.table = (_Atomic fl_entry *)table.start;
    fl_the_window.descriptors = descriptors.start;
    fl_the_window.regions = (fl_region *)regions.start;
    return true;
}

/* Gives regions up to `end` a header and entries in the table. Caller holds the lock of the window. */
static bool reach(size_t end) {
    if (end > regions_max)
        return false;
    if (end <= regions_reached)
        return true;
    if (!fl_reservation_grow(&table, end * TABLE_REGION_BYTES) ||
        !fl_reservation_grow(&regions, end * sizeof(fl_region)))
        return false;
    for (size_t i = regions_reached; i < end; i++)
        fl_the_window.regions[i].reserved = reserved_whole ? FL_CHUNKS_ALL : 0;
    regions_reached = end;
    /* Release: a thread that reads this (acquire in fl_entry_of) finds the table that long. */
    atomic_store_explicit(&fl_the_window.pages, end * FL_REGION_PAGES, memory_order_release);
    return true;
}

size_t fl_window_pages_max(void) {
    return regions_max * FL_REGION_PAGES;
}

/* Makes a region what its next owner expects: chunks as they are, no page in use. */
static void reset(fl_region *region) {
    region->keeper = NULL;
    region->next = region->previous = NULL;
    region->branch = NULL;
    region->growing = region->lost = 0;
    region->idle = region->vacant = false;
    memcpy(region->in_use, region->gone, sizeof region->in_use);
    memset(region->kept, 0, sizeof region->kept);
}

/* Marks the regions that a back end has kept as free for it, or as taken. Caller holds the lock of the
 * window. */
static void offer_kept(const osmem_backend *backend, bool offered) {
    for (fl_region *region = regions_kept; region; region = region->next)
        if (region->keeper == backend)
            (offered ? fl_pagebits_clear : fl_pagebits_set)(regions_taken, fl_region_index(region), 1);
}

/* Takes those of [first, first + count) out of the list of kept ones. Caller holds the lock of the window. */
static void unlink_kept(const fl_region *first, size_t count) {
    for (fl_region **link = &regions_kept; *link;)
        if ((size_t)(*link - first) < count)
            *link = (*link)->next;
        else
            link = &(*link)->next;
}

fl_region *fl_window_take(size_t count, const osmem_backend *backend) {
    fl_region *first = NULL;
    fl_lock_take(fl_lock_of(FL_LOCK_WINDOW));
    offer_kept(backend, true);
    size_t place = fl_pagebits_find(regions_taken, regions_max, count, 1);
    if (place != FL_PAGEBITS_NONE && reach(place + count)) {
        first = &fl_the_window.regions[place];
        unlink_kept(first, count);
        fl_pagebits_set(regions_taken, place, count);
        for (size_t i = 0; i < count; i++)
            reset(&first[i]);
    }
    offer_kept(backend, false);
    fl_lock_drop(fl_lock_of(FL_LOCK_WINDOW));
    return first;
}

fl_region *fl_window_take_kept(const osmem_backend *backend) {
    fl_lock_take(fl_lock_of(FL_LOCK_WINDOW));
    fl_region *region = regions_kept;
    while (region && region->keeper != backend)
        region = region->next;
    if (region) {
        unlink_kept(region, 1);
        reset(region);
    }
    fl_lock_drop(fl_lock_of(FL_LOCK_WINDOW));
    return region;
}

void fl_window_give(fl_region *region, const osmem_backend *backend) {
    bool kept = region->mapped || (region->reserved && !reserved_whole);
    if (!fl_memcheck_is_there()) /* memcheck sees for itself what is mapped */
        fl_unpoison(fl_region_start(region), FL_REGION_BYTES);
    fl_lock_take(fl_lock_of(FL_LOCK_WINDOW));
    if (kept) {
        fl_region **last = &regions_kept; /* behind those that have waited longer for another try */
        while (*last)
            last = &(*last)->next;
        region->keeper = backend;
        region->next = NULL;
        *last = region;
    } else
        fl_pagebits_clear(regions_taken, fl_region_index(region), 1);
    fl_lock_drop(fl_lock_of(FL_LOCK_WINDOW));
}

void *fl_meta_alloc(size_t bytes) {
    bytes = (bytes + 63) & ~(size_t)63;
    fl_lock_take(fl_lock_of(FL_LOCK_META));
    char *got = NULL;
    if (fl_reservation_grow(&meta, meta_used_bytes + bytes)) {
        got = meta.start + meta_used_bytes;
        meta_used_bytes += bytes;
    }
    fl_lock_drop(fl_lock_of(FL_LOCK_META));
    return got;
}

bool fl_window_grow_descriptors(size_t count, size_t descriptor_bytes) {
    FL_ASSERT(descriptor_bytes <= DESCRIPTOR_ROOM_BYTES);
    fl_lock_take(fl_lock_of(FL_LOCK_META));
    bool grown = fl_reservation_grow(&descriptors, count * descriptor_bytes);
    fl_lock_drop(fl_lock_of(FL_LOCK_META));
    return grown;
}

#if FL_CHECKS >= 2
fl_window_books fl_window_look(void) {
    return (fl_window_books){regions_reached, regions_max, regions_taken, regions_kept};
}
#endif
