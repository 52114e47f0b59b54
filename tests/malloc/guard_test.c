/* SPDX-License-Identifier: MIT */
/*
 * Sampled blocks between inaccessible pages (option guard_sampling): each mistake in a process of its own,
 * which begins anew under the option, and is seen by its signal and by what it says; and all that is no
 * mistake.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/stops.h"

#define PAGE ((uintptr_t)sysconf(_SC_PAGESIZE))
#define LIVE_MAX 256 /* docs/security.md says so; and of the next */
#define TRAPS 512

extern const char __executable_start[];

static volatile char sink;
static bool (*option_set)(const char *, const char *);

/* Can the byte be read? */
static bool is_there(const void *byte) {
    static int ends[2];
    if (!ends[1])
        CHECK_EQUAL(pipe(ends), 0);
    char taken;
    if (write(ends[1], byte, 1) != 1)
        return false;
    CHECK_EQUAL(read(ends[0], &taken, 1), 1);
    return true;
}

/* Both pages beside that of the block are inaccessible. */
static bool is_trapped(const void *block) {
    uintptr_t page = (uintptr_t)block & ~(PAGE - 1);
    return !is_there((const void *)(page - 1)) && !is_there((const void *)(page + PAGE));
}

__attribute__((noinline)) static char *allocate_here(size_t bytes) {
    char *block = malloc(bytes);
    sink = 0; /* the call is none that ends in a jump */
    return block;
}

__attribute__((noinline)) static void free_here(void *block) {
    free(block);
    sink = 0;
}

/* One that begins, or ends, where its page does. */
static char *at_start(size_t bytes) {
    for (;;) {
        char *block = allocate_here(bytes);
        if ((uintptr_t)block % PAGE == 0)
            return block;
        CHECK_EQUAL(((uintptr_t)block + (bytes + 15) / 16 * 16) % PAGE, 0);
        free(block);
    }
}

static char *at_end(size_t bytes) {
    for (;;) {
        char *block = allocate_here(bytes);
        if ((uintptr_t)block % PAGE != 0)
            return block;
        free(block);
    }
}

/* Mistakes. */

static void overflow_write(void) {
    at_end(64)[64] = 1;
}
static void overflow_read(void) {
    sink = at_end(4080)[4080];
}
static void overflow_far(void) {
    at_end(64)[64 + 100] = 1;
}
static void underflow_write(void) {
    at_start(64)[-1] = 1;
}
static void underflow_read(void) {
    sink = at_start(7)[-16];
}
static char *freed(size_t bytes) {
    char *block = allocate_here(bytes);
    free_here(block);
    return block;
}
static void after_free_write(void) {
    freed(64)[5] = 1;
}
static void after_free_read(void) {
    sink = freed(64)[0];
}
static void after_free_write_in_a_child(void) {
    char *block = allocate_here(64), *other = allocate_here(64);
    pid_t child = fork();
    int status;
    if (child == 0) {
        free_here(block);
        block[63] = 1;
    }
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    block[63] = 1; /* here it lives */
    other[63] = 1;
    free(block);
    free(other);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    _exit(5);
}
static void double_free(void) {
    char *block = freed(64);
    free(block);
}
static void double_free_later(void) {
    char *block = freed(64);
    for (int i = 0; i < 100; i++)
        free(malloc(64));
    free(block);
}
static void free_inside(void) {
    free(allocate_here(64) + 16);
}
static void free_of_a_guard(void) {
    free((void *)(((uintptr_t)allocate_here(64) | (PAGE - 1)) + 1));
}
static void realloc_after_free(void) {
    sink = *(char *)realloc(freed(64), 100);
}
static void size_of_freed(void) {
    sink = (char)malloc_usable_size(freed(64));
}
static void written_behind(void) {
    char *block = at_start(40);
    block[40] = 0;
    free(block);
}
static void written_before(void) {
    char *block = at_end(64);
    block[-1] = 0;
    free(block);
}
static void *free_in_a_thread(void *block) {
    fprintf(stderr, "freed by thread %ld:\n", (long)syscall(SYS_gettid));
    free_here(block);
    return NULL;
}
static void *allocate_in_a_thread(void *block) {
    *(char **)block = allocate_here(64);
    fprintf(stderr, "allocated by thread %ld:\n", (long)syscall(SYS_gettid));
    return NULL;
}
static void in_a_thread(void *(*run)(void *), void *argument) {
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, run, argument), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
}
/* What is said of threads stands there twice then. */
static void by_three_threads(void) {
    char *block;
    in_a_thread(allocate_in_a_thread, &block);
    in_a_thread(free_in_a_thread, block);
    fprintf(stderr, "accessed by thread %ld:\n", (long)syscall(SYS_gettid));
    *block = 1;
}

/* The program's own handlers. */

static void own(int number) {
    (void)number;
    CHECK_EQUAL(write(2, "own\n", 4), 4);
    _exit(7);
}
static void own_handler_before(void) {
    signal(SIGSEGV, own);
    CHECK(option_set("guard_sampling", "1"));
    overflow_write();
}
static void own_handler_later(void) {
    signal(SIGSEGV, own);
    overflow_write();
}
static struct sigaction theirs;
static void pass_on(int number) {
    CHECK_EQUAL(write(2, "own\n", 4), 4);
    sigaction(number, &theirs, NULL);
}
static void own_handler_that_passes_on(void) {
    struct sigaction mine = {.sa_handler = pass_on};
    CHECK_EQUAL(sigaction(SIGSEGV, &mine, &theirs), 0);
    overflow_write();
}
static void call_theirs(int number, siginfo_t *info, void *context) {
    CHECK_EQUAL(write(2, "own\n", 4), 4);
    theirs.sa_sigaction(number, info, context);
}
static void own_handler_that_calls(void) {
    struct sigaction mine = {.sa_sigaction = call_theirs, .sa_flags = SA_SIGINFO};
    CHECK_EQUAL(sigaction(SIGSEGV, &mine, &theirs), 0);
    overflow_write();
}
static sigjmp_buf back;
static volatile int recovered;
static void recover(int number, siginfo_t *info, void *context) {
    CHECK(number == SIGSEGV && info->si_addr == (void *)16 && context);
    recovered++;
    siglongjmp(back, 1);
}
static void own_handler_that_recovers(void) {
    struct sigaction mine = {.sa_sigaction = recover, .sa_flags = SA_SIGINFO};
    CHECK_EQUAL(sigaction(SIGSEGV, &mine, NULL), 0);
    CHECK(option_set("guard_sampling", "1"));
    volatile int times = 0;
    if (sigsetjmp(back, 1) == 0 || ++times < 5)
        *(volatile char *)16 = 1;
    CHECK_EQUAL(recovered, 5);
    _exit(6);
}
static void of_no_block(void) {
    *(volatile char *)16 = 1;
}
static void sent_by_somebody(void) {
    kill(getpid(), SIGSEGV);
    _exit(1);
}
static void ignored(void) {
    signal(SIGSEGV, SIG_IGN);
    CHECK(option_set("guard_sampling", "1"));
    kill(getpid(), SIGSEGV);
    overflow_write();
}
/* On a stack of its own, as the program's handlers are who asks for that. */
static void on_a_stack_of_its_own(void) {
    static char stack[16384];
    stack_t its = {.ss_sp = stack, .ss_size = sizeof stack};
    CHECK_EQUAL(sigaltstack(&its, NULL), 0);
    after_free_read();
}

static const struct mistake {
    const char *name;
    void (*make)(void);
    int ends_by;         /* a signal; or, below 0, that status */
    const char *says[4]; /* NULL: nothing more. The first NULL: nothing of fallow's */
    const char *before;  /* of the option; NULL: guard_sampling:1 */
} mistakes[] = {
#define MISTAKE(body, how, ...)                                              \
    {                                                                        \
        .name = #body, .make = body, .ends_by = how, .says = { __VA_ARGS__ } \
    }
#define UNDER_NONE(body, how, ...) \
    { .name = #body, .make = body, .ends_by = how, .says = {__VA_ARGS__}, .before = "guard_sampling:0" }
#define FREED ": used after it was freed: "
#define OVER ": an overflow: "
#define BLOCK " a block of 64 bytes at 0x"
#define BY "  freed by thread "
    MISTAKE(overflow_write, SIGSEGV, "fallow: write to 0x", OVER "1 byte behind the end of" BLOCK,
            "  accessed by thread "),
    MISTAKE(overflow_read, SIGSEGV, "fallow: read of 0x",
            OVER "1 byte behind the end of a block of 4080 bytes at 0x"),
    MISTAKE(overflow_far, SIGSEGV, "fallow: write to 0x", OVER "101 bytes behind the end of" BLOCK),
    MISTAKE(underflow_write, SIGSEGV, "fallow: write to 0x", ": an underflow: 1 byte before" BLOCK),
    MISTAKE(underflow_read, SIGSEGV, "fallow: read of 0x",
            ": an underflow: 16 bytes before a block of 7 bytes at 0x"),
    MISTAKE(after_free_write, SIGSEGV, "fallow: write to 0x", FREED "5 bytes behind the start of" BLOCK, BY),
    MISTAKE(after_free_read, SIGSEGV, "fallow: read of 0x", FREED "0 bytes behind the start of" BLOCK, BY),
    MISTAKE(after_free_write_in_a_child, -5, FREED "63 bytes behind the start of" BLOCK),
    MISTAKE(double_free, SIGABRT, "fallow: free of 0x", ": freed twice;" BLOCK, BY),
    MISTAKE(double_free_later, SIGABRT, "fallow: free of 0x", ": freed twice;" BLOCK, BY),
    MISTAKE(free_inside, SIGABRT, "fallow: free of 0x", ": not the start of a block;" BLOCK),
    MISTAKE(free_of_a_guard, SIGABRT, "fallow: free of 0x", ": not the start of a block;" BLOCK),
    MISTAKE(realloc_after_free, SIGABRT, "fallow: realloc of 0x", ": used after it was freed;" BLOCK, BY),
    MISTAKE(size_of_freed, SIGABRT, "fallow: malloc_usable_size of 0x", ": used after it was freed;" BLOCK,
            BY),
    MISTAKE(written_behind, SIGABRT, "fallow: free of 0x", ": written to behind its end"),
    MISTAKE(written_before, SIGABRT, "fallow: free of 0x", ": written to before its start"),
    MISTAKE(by_three_threads, SIGSEGV, FREED),
    UNDER_NONE(own_handler_before, -7, OVER "1 byte", "own\n"),
    MISTAKE(own_handler_later, -7, NULL),
    MISTAKE(own_handler_that_passes_on, SIGSEGV, OVER "1 byte", "own\n"),
    MISTAKE(own_handler_that_calls, SIGSEGV, OVER "1 byte", "own\n"),
    UNDER_NONE(own_handler_that_recovers, -6, NULL),
    MISTAKE(of_no_block, SIGSEGV, NULL),
    MISTAKE(sent_by_somebody, SIGSEGV, NULL),
    UNDER_NONE(ignored, SIGSEGV, OVER "1 byte"),
    MISTAKE(on_a_stack_of_its_own, SIGSEGV, FREED),
};

static char text[1 << 16];

static const char *chosen, *under; /* a part of this program, and options */

static void be_chosen(void) {
    setenv("FALLOW_OPTIONS", under, 1);
    execl("/proc/self/exe", "guard_test", chosen, NULL);
    _exit(99);
}

/* What this program says under options, and how it ends. */
static int run_under(const char *options, const char *name) {
    under = options, chosen = name;
    int status = words_of(be_chosen, text, sizeof text);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void check_mistake(const struct mistake *it) {
    int ended_by = run_under(it->before ? it->before : "guard_sampling:1", it->name);
    bool right = ended_by == it->ends_by && (it->says[0] || !strstr(text, "fallow"));
    for (int i = 0; i < 4 && it->says[i]; i++)
        right = right && strstr(text, it->says[i]);
    if (right)
        return;
    fprintf(stderr, "%s: ended by %d, wanted %d, and said: %s\n", it->name, ended_by, it->ends_by, text);
    CHECK(false);
}

static void each_mistake_is_explained(void) {
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++)
        check_mistake(&mistakes[i]);
}

/* The first call below a heading lies in that function of this program. */
static void check_place(const char *heading, const void *function) {
    const char *at = strstr(text, heading);
    at = at ? strchr(at, '\n') : NULL;
    uintptr_t from = (uintptr_t)function - (uintptr_t)__executable_start, place = 0;
    char *plus = at ? strstr((char *)at, "guard_test+0x") : NULL;
    if (plus && plus < strchr(at + 1, '\n'))
        place = strtoul(plus + 13, NULL, 16);
    if (place < from || place - from > 200)
        fprintf(stderr, "'%s' not at %#lx: %s\n", heading, (unsigned long)from, text);
    CHECK(place >= from && place - from <= 200);
}

static void places_are_those_of_the_calls(void) {
    CHECK_EQUAL(run_under("guard_sampling:1", "after_free_write"), SIGSEGV);
    check_place("  accessed by", (const void *)after_free_write);
    check_place("  allocated by", (const void *)allocate_here);
    check_place("  freed by", (const void *)free_here);
    CHECK_EQUAL(run_under("guard_sampling:1", "double_free"), SIGABRT);
    check_place("  here", (const void *)double_free);
    check_place("  freed by", (const void *)free_here);
}

static void threads_are_named(void) {
    CHECK_EQUAL(run_under("guard_sampling:1", "by_three_threads"), SIGSEGV);
    for (const char *line = text, *end; line < strstr(text, "fallow:"); line = end + 1) {
        char said[80];
        end = strchr(line, '\n');
        snprintf(said, sizeof said, "  %.*s\n", (int)(end - line), line);
        if (!strstr(text, said))
            fprintf(stderr, "no '%s' in: %s\n", said, text);
        CHECK(strstr(text, said));
    }
}

/* No mistakes: this program itself, under the option. */

static void blocks_are_as_ever(void) {
    uint64_t random = 22;
    enum { BLOCKS = 400 };
    static unsigned char *blocks[BLOCKS];
    static size_t sizes[BLOCKS];
    size_t trapped = 0;
    for (int i = 0; i < 40000; i++) {
        size_t at = check_random(&random) % BLOCKS, bytes = check_random(&random) % (i % 100 ? 600 : 200000);
        if (blocks[at])
            CHECK(sizes[at] == 0 ||
                  (blocks[at][0] == (unsigned char)at && blocks[at][sizes[at] - 1] == (unsigned char)at));
        size_t alignment = (size_t)16 << check_random(&random) % 10;
        switch (i % 5) {
        case 0: {
            size_t kept = bytes < sizes[at] ? bytes : sizes[at];
            blocks[at] = realloc(blocks[at], bytes + 1);
            CHECK(kept == 0 || blocks[at][kept - 1] == (unsigned char)at);
            bytes++;
            break;
        }
        case 1:
            free(blocks[at]);
            blocks[at] = calloc(1, bytes);
            for (size_t byte = 0; byte < bytes; byte++)
                CHECK(blocks[at][byte] == 0);
            break;
        case 2:
            free(blocks[at]);
            blocks[at] = aligned_alloc(alignment, bytes);
            CHECK_EQUAL((uintptr_t)blocks[at] % alignment, 0);
            break;
        default:
            free(blocks[at]);
            blocks[at] = malloc(bytes);
        }
        CHECK(blocks[at] && (uintptr_t)blocks[at] % 16 == 0 && malloc_usable_size(blocks[at]) >= bytes);
        sizes[at] = bytes;
        memset(blocks[at], (int)at, malloc_usable_size(blocks[at]));
        trapped += i % 64 == 0 && is_trapped(blocks[at]);
    }
    CHECK(trapped > 100);
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
        blocks[i] = NULL;
    }
}

static void figures_follow(void) {
    struct mallinfo2 before = mallinfo2();
    char *blocks[20];
    for (int i = 0; i < 20; i++)
        CHECK(is_trapped(blocks[i] = malloc(100)));
    struct mallinfo2 between = mallinfo2();
    CHECK_EQUAL(between.hblks, before.hblks + 20);
    CHECK_EQUAL(between.hblkhd, before.hblkhd + 20 * PAGE);
    CHECK_EQUAL(between.uordblks, before.uordblks + 20 * PAGE);
    for (int i = 0; i < 20; i++) {
        CHECK_EQUAL(malloc_usable_size(blocks[i]), 100);
        free(blocks[i]);
    }
    malloc_trim(0);
    CHECK_EQUAL(mallinfo2().uordblks, before.uordblks);
}

/* Resident in mappings that lie wholly within so many bytes of an address. */
static size_t resident_around(uintptr_t address, size_t reach, size_t *mappings) {
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512];
    unsigned long start, end, kilobytes;
    size_t sum = 0;
    bool near = false;
    CHECK(file);
    *mappings = 0;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
            near = start + reach >= address && end <= address + reach && end - start <= 2 * reach;
            *mappings += near;
        } else if (near && sscanf(line, "Rss: %lu kB", &kilobytes) == 1)
            sum += kilobytes << 10;
    }
    fclose(file);
    return sum;
}

static void memory_is_bounded(void) {
    enum { BLOCKS = 3000 };
    static char *blocks[BLOCKS];
    char *first = malloc(100);
    CHECK(is_trapped(first));
    for (int round = 0; round < 3; round++) {
        size_t trapped = 0, mappings;
        for (int i = 0; i < BLOCKS; i++)
            memset(blocks[i] = malloc(100), 1, 100);
        for (int i = 0; i < BLOCKS; i++)
            trapped += is_trapped(blocks[i]);
        CHECK(trapped > LIVE_MAX / 2 && trapped < LIVE_MAX);
        CHECK(resident_around((uintptr_t)first, 2 * TRAPS * PAGE, &mappings) <= LIVE_MAX * PAGE);
        CHECK(mappings <= 2 * TRAPS + 1);
        for (int i = 0; i < BLOCKS; i++)
            free(blocks[i]);
        CHECK(resident_around((uintptr_t)first, 2 * TRAPS * PAGE, &mappings) <= LIVE_MAX / 2 * PAGE);
    }
    free(first);
}

/* What was freed is inaccessible until at least half of all traps have been used again. */
static void freed_ones_wait(void) {
    char *block = malloc(100);
    CHECK(is_trapped(block));
    free(block);
    for (int i = 0; i < TRAPS - LIVE_MAX - 1; i++) {
        CHECK(!is_there(block));
        free(malloc(100));
    }
    for (int i = 0; i < TRAPS && !is_there(block); i++)
        CHECK(malloc(1));
    CHECK(true);
}

static void in_the_child_of_a_fork(void) {
    int status;
    char *block = malloc(100);
    strcpy(block, "kept");
    pid_t child = fork();
    if (child == 0) {
        CHECK(!strcmp(block, "kept"));
        free(block);
        CHECK(!is_there(block));
        for (int i = 0; i < 2000; i++)
            free(malloc(50));
        _exit(0);
    }
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
    CHECK(is_there(block) && !strcmp(block, "kept"));
    free(block);
}

static void *churn(void *number) {
    uint64_t random = (uintptr_t)number;
    char *blocks[50] = {0};
    for (int i = 0; i < 5000; i++) {
        size_t at = check_random(&random) % 50;
        free(blocks[at]);
        blocks[at] = malloc(1 + check_random(&random) % 300);
        *blocks[at] = (char)i;
    }
    for (int i = 0; i < 50; i++)
        free(blocks[i]);
    return NULL;
}

static void threads_at_once(void) {
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
}

static void all_is_well(void) {
    blocks_are_as_ever();
    figures_follow();
    in_the_child_of_a_fork();
    threads_at_once();
    memory_is_bounded();
    freed_ones_wait();
}

/* Of pairs of malloc and free that never leave the fast path without the option: how many blocks are
 * sampled. */
static size_t sampled_of(size_t pairs) {
    size_t sampled = 0;
    void *usual = NULL;
    for (size_t i = 0; i < pairs; i++) {
        void *block = malloc(64);
        if (!usual && !is_trapped(block))
            usual = block;
        sampled += usual && block != usual;
        free(block);
    }
    return sampled;
}

static void one_in_a_hundred(void) {
    size_t sampled = sampled_of(200000);
    if (sampled < 1775 || sampled > 2225) /* five standard deviations */
        fprintf(stderr, "%zu of 200000\n", sampled);
    CHECK(sampled >= 1775 && sampled <= 2225);
}

/* By hand: guard_test count PAIRS. */
static void count(const char *pairs) {
    printf("%zu of %s\n", sampled_of(strtoul(pairs, NULL, 0)), pairs);
}

static void at_a_limit(void) {
    enum { BLOCKS = 40000 };
    static char *blocks[BLOCKS];
    size_t got = 0;
    while (got < BLOCKS && (blocks[got] = malloc(1000)) != NULL)
        memset(blocks[got++], 1, 1000);
    CHECK(got > 2000 && got < 9000); /* of 8 MiB */
    CHECK_EQUAL(errno, ENOMEM);
    while (got > 0)
        free(blocks[--got]);
    CHECK((blocks[0] = malloc(1000)) != NULL);
}

static void with_locked_memory(void) {
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        _exit(77);
    for (int i = 0; i < 3000; i++) {
        char *block = malloc(100);
        CHECK(block);
        memset(block, 1, 100);
        free(block);
    }
    CHECK(mallinfo2().hblks < 100);
}

static void nothing_is_asked_for(void) {
    struct sigaction now;
    CHECK_EQUAL(sigaction(SIGSEGV, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_DFL);
    CHECK(!is_trapped(malloc(64)));
}

static const struct mistake bodies[] = {
    MISTAKE(all_is_well, 0, NULL),          MISTAKE(one_in_a_hundred, 0, NULL),
    MISTAKE(at_a_limit, 0, NULL),           MISTAKE(with_locked_memory, 0, NULL),
    MISTAKE(nothing_is_asked_for, 0, NULL), MISTAKE(threads_at_once, 0, NULL)};

static void expect_well(const char *options, const char *name) {
    int ended_by = run_under(options, name);
    if (ended_by != 0 && ended_by != -77)
        fprintf(stderr, "%s under %s: ended by %d and said: %s\n", name, options, ended_by, text);
    CHECK(ended_by == 0 || ended_by == -77);
}

static void without_a_mistake_nothing_is_found(void) {
    expect_well("guard_sampling:1", "all_is_well");
    expect_well("guard_sampling:1,profile:4096", "threads_at_once");
    expect_well("guard_sampling:1,hard_limit:8m", "at_a_limit");
    expect_well("guard_sampling:1", "with_locked_memory");
    expect_well("guard_sampling:0", "nothing_is_asked_for");
}

static void pairs_are_sampled_as_often_as_asked_for(void) {
    expect_well("guard_sampling:100", "one_in_a_hundred");
}

static void wrong_values_are_named(void) {
    CHECK_EQUAL(run_under("guard_sampling:often", "nothing_is_asked_for"), 0);
    CHECK(strstr(text, "fallow: option 'guard_sampling:often' ignored; accepted: guard_sampling:a number"));
    CHECK_EQUAL(run_under("guard_sampling:1000000001", "nothing_is_asked_for"), 0);
    CHECK(strstr(text,
                 "fallow: option 'guard_sampling:1000000001' ignored; accepted: guard_sampling:a number"));
}

int main(int argc, char **argv) {
    *(void **)&option_set = dlsym(RTLD_DEFAULT, "fallow_option_set");
    for (size_t i = 0; argc == 2 && i < sizeof mistakes / sizeof *mistakes; i++)
        if (!strcmp(argv[1], mistakes[i].name)) {
            mistakes[i].make();
            return 0;
        }
    for (size_t i = 0; argc == 2 && i < sizeof bodies / sizeof *bodies; i++)
        if (!strcmp(argv[1], bodies[i].name)) {
            bodies[i].make();
            return 0;
        }
    if (argc == 3 && !strcmp(argv[1], "count")) {
        count(argv[2]);
        return 0;
    }
    CHECK(option_set && argc == 1);
    RUN(each_mistake_is_explained);
    RUN(places_are_those_of_the_calls);
    RUN(threads_are_named);
    RUN(without_a_mistake_nothing_is_found);
    RUN(pairs_are_sampled_as_often_as_asked_for);
    RUN(wrong_values_are_named);
    return 0;
}
