/* SPDX-License-Identifier: MIT */
/*
 * misuse.c: commits each misuse in a process of its own, and says what came of it. With any malloc: that
 * which is preloaded.
 *
 *   misuse                  each case, and a table of how many of each kind were found
 *   misuse table            the table alone
 *   misuse check FILE stops where a case comes out otherwise than FILE says, for better or for worse; then
 *   the table misuse better FILE the same, but a case may come out better (for builds with more checks)
 *   misuse outcomes the lines of such a file; where chance decides, somebody joins several by a bar:
 *   stopped|unnoticed misuse run CASE one case, in this process
 *
 * Where a line says "at-least N", so many have to be found in all.
 *
 * Outcomes: "stopped": SIGABRT, and one line that begins with "fallow: "; "aborted": the same without that
 * line, as other allocators do; "explained": any other signal, after such a line; "faulted": without it;
 * "refused": the call failed as it should; "unnoticed". All but the last are found.
 */
#include "misuse.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

static const misuse_kind *const kinds[] = {&double_frees, &bad_frees,         &overflows,
                                           &underflows,   &writes_after_free, &reads_after_free,
                                           &bad_calls,    &mismatches,        &bad_sizes};
#define KINDS (sizeof kinds / sizeof *kinds)

void *unknown(void *pointer) {
    static void *volatile known;
    known = pointer;
    return known;
}

void use(const volatile char *byte) {
    (void)*byte;
}

char *filled(size_t bytes) {
    char *block = unknown(malloc(bytes));
    memset(block, 'x', bytes);
    return block;
}

size_t usable(void *block) {
    return malloc_usable_size(block);
}

void others(size_t bytes, size_t count) {
    while (count--)
        filled(bytes);
}

void others_come_and_go(size_t bytes, size_t count) {
    char *blocks[256];
    for (size_t i = 0; i < count; i++)
        blocks[i] = filled(bytes);
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
}

void goes_on(size_t bytes) {
    others_come_and_go(bytes, 8);
    others_come_and_go(bytes, 8);
}

void in_a_thread(void *(*run)(void *), void *argument) {
    pthread_t thread;
    pthread_create(&thread, NULL, run, argument);
    pthread_join(thread, NULL);
}

void *free_it(void *block) {
    free(block);
    return NULL;
}

static char name[128];

static const char *name_of(const misuse *it) {
    snprintf(name, sizeof name, "%s/%zu/%zu", it->name, it->bytes, it->extent);
    return name;
}

/* NULL: there is none of that name. */
static const misuse *case_of(const char *wanted) {
    for (size_t kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; i < kinds[kind]->count; i++)
            if (strcmp(name_of(&kinds[kind]->cases[i]), wanted) == 0)
                return &kinds[kind]->cases[i];
    return NULL;
}

static int run_here(const char *wanted) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    alarm(60);
    const misuse *it = case_of(wanted);
    if (it)
        it->commit(it->bytes, it->extent);
    else
        fprintf(stderr, "misuse: no case '%s'\n", wanted);
    return it ? 0 : 2;
}

/* The last line that the child wrote on standard error is in `text`. */
static const char *outcome_of(int status, const char *text) {
    size_t length = strlen(text);
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == REFUSED_STATUS ? "refused"
               : WEXITSTATUS(status)                 ? "failed"
                                                     : "unnoticed";
    if (WTERMSIG(status) == SIGALRM)
        return "hung";
    bool one_line = length && strchr(text, '\n') == text + length - 1;
    bool says_why = strncmp(text, "fallow: ", 8) == 0 && one_line;
    if (WTERMSIG(status) != SIGABRT)
        return says_why ? "explained" : "faulted";
    return says_why ? "stopped" : "aborted";
}

/* The program itself again, so that each case finds a heap that is as at the start of any program. */
static const char *commit(const misuse *it, char *text, size_t text_bytes) {
    int ends[2], status;
    size_t length = 0;
    const char *which = name_of(it);
    if (pipe(ends) != 0)
        abort();
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        execl("/proc/self/exe", "misuse", "run", which, (char *)NULL);
        _exit(2);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], text + length, text_bytes - 1 - length)) > 0;)
        length += (size_t)got;
    text[length] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    return outcome_of(status, text);
}

static bool is_found(const char *outcome) {
    return strcmp(outcome, "unnoticed") != 0 && strcmp(outcome, "hung") != 0 &&
           strcmp(outcome, "failed") != 0;
}

/* What the file says of a case; empty: nothing. */
static const char *expected_of(FILE *file, const misuse *it) {
    static char outcome[64];
    char line[256], which[128];
    rewind(file);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "%127s %63s", which, outcome) == 2 && strcmp(which, name_of(it)) == 0)
            return outcome;
    return "";
}

typedef struct judge {
    FILE *expected;  /* NULL: nothing is expected */
    size_t at_least; /* found in all */
    bool may_be_better;
    size_t wrong;
} judge;

/* Is it one of those that the file says? */
static bool is_expected(const char *outcome, const char *expected) {
    for (size_t length; *expected; expected += length + (expected[length] == '|')) {
        length = strcspn(expected, "|");
        if (length == strlen(outcome) && strncmp(outcome, expected, length) == 0)
            return true;
    }
    return false;
}

static void judge_case(judge *judge, const misuse *it, const char *outcome, const char *text) {
    const char *expected = expected_of(judge->expected, it);
    if (is_expected(outcome, expected) ||
        (judge->may_be_better && *expected && (!is_found(expected) || strcmp(outcome, "stopped") == 0)))
        return;
    printf("failed: %s: %s, expected: %s; it wrote: %s\n", name_of(it), outcome, expected, text);
    judge->wrong++;
}

/* Lines of what has gone, and second ones: they would say something else than what is tested. */
static void judge_lines(judge *judge) {
    char line[256], which[128];
    size_t lines = 0, all = 0;
    rewind(judge->expected);
    for (; fgets(line, sizeof line, judge->expected); lines++)
        if (sscanf(line, "at-least %zu", &judge->at_least) == 1)
            lines--;
        else if (sscanf(line, "%127s", which) != 1 || !case_of(which)) {
            printf("failed: there is no such case: %s", line);
            judge->wrong++;
        }
    for (size_t kind = 0; kind < KINDS; kind++)
        all += kinds[kind]->count;
    if (lines != all) {
        printf("failed: %zu lines for %zu cases\n", lines, all);
        judge->wrong++;
    }
}

enum listing { NOTHING, EACH_CASE, OUTCOMES };

static size_t commit_kind(const misuse_kind *kind, enum listing listing, judge *judge) {
    char text[2048];
    size_t found = 0;
    for (size_t i = 0; i < kind->count; i++) {
        const misuse *it = &kind->cases[i];
        const char *outcome = commit(it, text, sizeof text);
        found += is_found(outcome);
        if (listing == OUTCOMES)
            printf("%s %s\n", name_of(it), outcome);
        else if (listing == EACH_CASE)
            printf("%-52s %-10s %s%s", name_of(it), outcome, text, *text ? "" : "\n");
        if (judge->expected)
            judge_case(judge, it, outcome, text);
    }
    return found;
}

static int commit_all(enum listing listing, judge *judge) {
    size_t found[KINDS], all_found = 0, all = 0;
    for (size_t kind = 0; kind < KINDS; kind++) {
        found[kind] = commit_kind(kinds[kind], listing, judge);
        all_found += found[kind];
        all += kinds[kind]->count;
    }
    for (size_t kind = 0; kind < KINDS && listing != OUTCOMES; kind++)
        printf("%-20s %4zu of %4zu\n", kinds[kind]->name, found[kind], kinds[kind]->count);
    if (listing != OUTCOMES)
        printf("%-20s %4zu of %4zu (%zu %%)\n", "all", all_found, all, all_found * 100 / all);
    if (all_found < judge->at_least) {
        printf("failed: %zu found, at least %zu expected\n", all_found, judge->at_least);
        judge->wrong++;
    }
    return judge->wrong != 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    judge judge = {NULL, 0, strcmp(what, "better") == 0, 0};
    if (argc == 1)
        return commit_all(EACH_CASE, &judge);
    if (strcmp(what, "table") == 0 && argc == 2)
        return commit_all(NOTHING, &judge);
    if (strcmp(what, "outcomes") == 0 && argc == 2)
        return commit_all(OUTCOMES, &judge);
    if (strcmp(what, "run") == 0 && argc == 3)
        return run_here(argv[2]);
    if ((strcmp(what, "check") != 0 && !judge.may_be_better) || argc != 3) {
        fputs("usage: misuse [table | check FILE | better FILE | outcomes | run CASE]\n", stderr);
        return 2;
    }
    judge.expected = fopen(argv[2], "r");
    if (!judge.expected) {
        perror(argv[2]);
        return 2;
    }
    judge_lines(&judge);
    return commit_all(NOTHING, &judge);
}
