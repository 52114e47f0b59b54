/* SPDX-License-Identifier: MIT */
#include "guarded.h"

#include <errno.h>
#include <string.h>

#include "../heap/block.h"
#include "../heap/free.h"
#include "../heap/thread.h"
#include "../system/fatal.h"
#include "../system/poison.h"

/* Freed blocks wait here, so many of a size; what is larger than all that does not wait. A thread that frees
 * puts its block in the place of the one that has waited longest, and gives that to its heap; without a lock,
 * so nothing is in the way of a fork. */
#define SMALL_WAIT 256
#define SMALL_BYTES ((size_t)4096)
#define LARGE_WAIT 8
#define LARGE_BYTES ((size_t)256 << 10)

struct fl_waiting {
    _Atomic(void *) small[SMALL_WAIT];
    _Atomic(void *) large[LARGE_WAIT];
    _Atomic unsigned next_small, next_large;
};

/* The last 16 bytes of a block. The seal depends on the address, so that a copy of it proves nothing. */
typedef struct note {
    size_t bytes;
    uintptr_t seal;
} note;

#define SEAL_LIVE ((uintptr_t)UINT64_C(0x9e3779b97f4a7c15))
#define SEAL_FREED ((uintptr_t)UINT64_C(0xc2b2ae3d27d4eb4f))

extern int __asan_address_is_poisoned(const volatile void *address) __attribute__((weak));
extern void __lsan_register_root_region(const void *start, size_t bytes) __attribute__((weak));
extern void __asan_report_error(void *pc, void *bp, void *sp, void *address, int is_write, size_t bytes)
    __attribute__((weak));

void fl_show_leak_roots(void) {
    static _Atomic bool shown;
    if (__lsan_register_root_region && !atomic_exchange_explicit(&shown, true, memory_order_relaxed))
        __lsan_register_root_region((const void *)fl_the_window.base, fl_window_pages_max() << FL_PAGE_SHIFT);
}

/* AddressSanitizer may be there but have been told not to listen (ASAN_OPTIONS=allow_user_poisoning=0). */
static bool is_wanted(void) {
    static char probe[16] __attribute__((aligned(16)));
    if (fl_memcheck_is_there())
        return true;
    if (!__asan_poison_memory_region || !__asan_address_is_poisoned)
        return false;
    __asan_poison_memory_region(probe, sizeof probe);
    bool listens = __asan_address_is_poisoned(probe);
    __asan_unpoison_memory_region(probe, sizeof probe);
    return listens;
}

bool fl_guarded_begin(fallow_arena *arena) {
    if (!is_wanted())
        return true;
    if (!arena->waiting) /* kept from the last arena with this descriptor */
        arena->waiting = fl_meta_alloc(sizeof *arena->waiting);
    return arena->waiting != NULL;
}

void fl_guarded_end(fallow_arena *arena) {
    if (!arena->waiting)
        return;
    memset(arena->waiting, 0, sizeof *arena->waiting);
}

/* The pages may go, and come anew, in this state; a region that leaves the arena loses it (window.c). */
void fl_guarded_forbid(const fallow_arena *arena) {
    if (!fl_is_guarded(arena) || !fl_poison_may_stay())
        return;
    fl_lock *lock = (fl_lock *)&arena->pages.lock;
    fl_lock_take(lock); /* upkeep may be giving regions of it back */
    for (const fl_region *region = arena->pages.regions; region; region = region->next)
        fl_poison(fl_region_start(region), FL_REGION_BYTES);
    fl_lock_drop(lock);
}

fl_slab *fl_guarded_slab(const void *block, const char *doing) {
    fl_entry entry = fl_entry_of(block);
    if (entry == 0)
        fl_fatal(doing, block, "not a block of this heap (its page has no owner)");
    fl_slab *slab = fl_entry_slab(entry);
    if (slab->kind == FL_KIND_SLAB)
        fl_check_start(slab, block, doing);
    else if (slab->start != block)
        fl_fatal(doing, block, "not the start of a block (it lies inside a large one)");
    return slab;
}

/* The same, in this arena. */
static fl_slab *slab_here(const fallow_arena *arena, const void *block, const char *doing) {
    fl_slab *slab = fl_guarded_slab(block, doing);
    if (slab->arena != arena)
        fl_fatal(doing, block, "a block of another arena");
    return slab;
}

static note *note_of(const fl_slab *slab, const void *block) {
    return (note *)((char *)block + fl_block_usable_bytes(slab)) - 1;
}

/* A note lies in poison: it is read and written behind the checkers' backs. */
__attribute__((no_sanitize("address"))) static note read_note(const note *from) {
    if (fl_memcheck_is_there())
        VALGRIND_MAKE_MEM_DEFINED(from, sizeof *from);
    note got = {((const volatile note *)from)->bytes, ((const volatile note *)from)->seal};
    if (fl_memcheck_is_there())
        VALGRIND_MAKE_MEM_NOACCESS(from, sizeof *from);
    return got;
}

__attribute__((no_sanitize("address"))) static void write_note(note *to, const void *block, size_t bytes,
                                                               uintptr_t seal) {
    if (fl_memcheck_is_there())
        VALGRIND_MAKE_MEM_UNDEFINED(to, sizeof *to);
    ((volatile note *)to)->bytes = bytes;
    ((volatile note *)to)->seal = seal ^ (uintptr_t)block;
    if (fl_memcheck_is_there())
        VALGRIND_MAKE_MEM_NOACCESS(to, sizeof *to);
}

/* Lets the program touch so many bytes of a block, and writes its note. */
static void guard(const fl_slab *slab, void *block, size_t bytes) {
    size_t whole = fl_block_usable_bytes(slab);
    fl_poison((char *)block + bytes, whole - bytes);
    write_note(note_of(slab, block), block, bytes, SEAL_LIVE);
}

/* Has the checker report a mistake of the program's in its own words, at the caller's place. */
static void report(void *block) {
    if (fl_memcheck_is_there())
        VALGRIND_FREELIKE_BLOCK(block, 0); /* once more: an invalid free, with where it was freed before */
    else if (__asan_report_error)
        __asan_report_error(__builtin_return_address(0), __builtin_frame_address(0),
                            __builtin_frame_address(0), block, 0, 1);
}

/* Reads the note of a live block. Returns false if it was freed, which has then been reported. Stops the
 * process at anything else. */
static bool find_live(const fl_slab *slab, void *block, const char *doing, size_t *bytes) {
    note found = read_note(note_of(slab, block));
    uintptr_t seal = found.seal ^ (uintptr_t)block;
    if (seal == SEAL_FREED) {
        report(block);
        return false;
    }
    if (seal != SEAL_LIVE || found.bytes > fl_block_usable_bytes(slab) - sizeof(note))
        fl_fatal(doing, block, "not a live block, or its end is damaged (found by the note behind it)");
    *bytes = found.bytes;
    return true;
}

/* Returns a block to the heap. What nobody of ours looks into stays poisoned until it is handed out again. */
static void release(void *block) {
    fl_slab *slab = fl_guarded_slab(block, "free of");
    fallow_arena *arena = slab->arena;
    if (!fl_poison_may_stay() || slab->kind != FL_KIND_SLAB)
        fl_unpoison(block, fl_block_usable_bytes(slab));
    fl_heap_free(fl_thread_heap_if_any(fl_arena_handle(arena)), block);
}

/* Puts a block into a place, and releases the one that waited there. Acquire and release: whoever takes a
 * block out finds it as its free left it. */
static void put(_Atomic(void *) *place, void *block) {
    void *before = atomic_exchange_explicit(place, block, memory_order_acq_rel);
    if (before)
        release(before);
}

void fl_guarded_flush(fallow_arena *arena) {
    for (size_t i = 0; i < SMALL_WAIT; i++)
        put(&arena->waiting->small[i], NULL);
    for (size_t i = 0; i < LARGE_WAIT; i++)
        put(&arena->waiting->large[i], NULL);
}

static void *alloc(fallow_arena *arena, size_t alignment, size_t bytes) {
    fl_heap *heap = fl_thread_heap_in(fl_arena_handle(arena));
    if (!heap)
        return NULL;
    void *block = fl_block_alloc_aligned(heap, alignment, bytes);
    fl_thread_heap_done(heap);
    return block;
}

void *fl_guarded_alloc(fallow_arena *arena, size_t alignment, size_t bytes, bool zeroed) {
    void *block = NULL;
    if (bytes <= PTRDIFF_MAX - sizeof(note)) {
        int saved_errno = errno;
        block = alloc(arena, alignment, bytes + sizeof(note));
        if (!block) { /* perhaps because of what was freed */
            fl_guarded_flush(arena);
            block = alloc(arena, alignment, bytes + sizeof(note));
        }
        if (block)
            errno = saved_errno;
    }
    if (!block) {
        errno = ENOMEM;
        return NULL;
    }
    const fl_slab *slab = fl_guarded_slab(block, "allocation of");
    fl_unpoison_new(block, bytes);
    guard(slab, block, bytes);
    if (fl_memcheck_is_there())
        VALGRIND_MALLOCLIKE_BLOCK(block, bytes, 0, 0);
    return zeroed ? memset(block, 0, bytes) : block;
}

void fl_guarded_free(fallow_arena *arena, void *block) {
    size_t bytes;
    fl_slab *slab = slab_here(arena, block, "free of");
    if (!find_live(slab, block, "free of", &bytes))
        return;
    size_t whole = fl_block_usable_bytes(slab);
    if (fl_memcheck_is_there())
        VALGRIND_FREELIKE_BLOCK(block, 0);
    fl_poison(block, whole);
    write_note(note_of(slab, block), block, bytes, SEAL_FREED);
    struct fl_waiting *waiting = arena->waiting;
    if (whole <= SMALL_BYTES)
        put(&waiting->small[atomic_fetch_add_explicit(&waiting->next_small, 1, memory_order_relaxed) %
                            SMALL_WAIT],
            block);
    else if (whole <= LARGE_BYTES)
        put(&waiting->large[atomic_fetch_add_explicit(&waiting->next_large, 1, memory_order_relaxed) %
                            LARGE_WAIT],
            block);
    else
        release(block);
}

/* Gives the block another length, for which its place is known to have room. */
static void *change(fl_slab *slab, void *block, size_t had, size_t bytes) {
    if (bytes > had)
        fl_unpoison_new((char *)block + had, bytes - had);
    guard(slab, block, bytes);
    if (fl_memcheck_is_there())
        VALGRIND_RESIZEINPLACE_BLOCK(block, had, bytes, 0);
    return block;
}

bool fl_guarded_resize(fallow_arena *arena, void *block, size_t bytes) {
    size_t had;
    fl_slab *slab = slab_here(arena, block, "resize of");
    if (!find_live(slab, block, "resize of", &had) || bytes > PTRDIFF_MAX - sizeof(note))
        return false;
    if (slab->kind != FL_KIND_SLAB) /* pages of it may go back to the arena */
        fl_unpoison((char *)block + had, fl_block_usable_bytes(slab) - had);
    size_t whole = fl_block_usable_bytes(slab);
    /* Memcheck forbids what a block no longer has, but would hear of it when the pages may be another's: so
     * they stay. */
    bool fits = fl_memcheck_is_there() ? bytes + sizeof(note) <= whole && bytes >= whole / 2
                                       : fl_block_resize(slab, bytes + sizeof(note));
    change(slab, block, had, fits ? bytes : had);
    return fits;
}

/* Always moves, so that whoever still looks at the old place is found; stays, if that is possible, when there
 * is no memory for two. */
void *fl_guarded_realloc(fallow_arena *arena, void *block, size_t alignment, size_t bytes) {
    size_t had;
    fl_slab *slab = slab_here(arena, block, "realloc of");
    if (!find_live(slab, block, "realloc of", &had))
        return NULL;
    int saved_errno = errno;
    void *moved = fl_guarded_alloc(arena, alignment, bytes, false);
    if (moved) {
        memcpy(moved, block, had < bytes ? had : bytes);
        fl_guarded_free(arena, block);
        return moved;
    }
    if ((uintptr_t)block % alignment != 0 || (bytes > had && !fl_guarded_resize(arena, block, bytes)))
        return NULL;
    errno = saved_errno;
    return bytes > had ? block : change(slab, block, had, bytes);
}

size_t fl_guarded_bytes(const fl_slab *slab, const void *block) {
    size_t asked = 0;
    return find_live(slab, (void *)(uintptr_t)block, "usable bytes of", &asked) ? asked : 0;
}
