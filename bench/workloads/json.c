/* SPDX-License-Identifier: MIT */
/*
 * json.c: four threads parse JSON documents and print them again. The tree is cJSON's: a block for each
 * value, a copy of each name and string; text grows by doubling. Documents have the shape of twitter.json,
 * which JSON benchmarks share (nativejson-benchmark): an array of objects with numbers, short names, strings
 * of up to 140 characters, and objects inside them. The text that comes out must be the text that went in.
 *
 * Keys: threads=4 documents=150 (a thread) posts=100 (in each)
 */
#include <stdarg.h>

#include "workload.h"

typedef struct node {
    struct node *next, *child;
    char *name, *string;
    double number;
    char kind; /* { [ " or 0, a number */
} node;

typedef struct text {
    char *bytes;
    size_t length, room;
} text;

static size_t documents, posts;

#define PIECE_MAX 512 /* of what is said at a time */

static void say(text *to, const char *format, ...) {
    va_list rest;
    if (to->length + PIECE_MAX > to->room) {
        to->room = 2 * (to->length + PIECE_MAX);
        to->bytes = realloc(to->bytes, to->room);
        if (!to->bytes)
            fail("out of memory");
    }
    va_start(rest, format);
    to->length += (size_t)vsnprintf(to->bytes + to->length, PIECE_MAX, format, rest);
    va_end(rest);
}

static const char *words(uint64_t *random, char *into, size_t longest) {
    size_t length = 1 + random_below(random, longest);
    for (size_t i = 0; i < length; i++) {
        uint64_t letter = next_random(random) % 32;
        into[i] = (char)(letter < 26 ? 'a' + letter : ' ');
    }
    into[length] = 0;
    return into;
}

static void say_post(text *to, uint64_t *random) {
    char a[160], b[160];
    say(to, "{\"id\":%zu,\"text\":\"%s\",", random_below(random, 1000000000), words(random, a, 140));
    say(to, "\"user\":{\"name\":\"%s\",\"description\":\"%s\"},", words(random, a, 20),
        words(random, b, 100));
    say(to, "\"hashtags\":[");
    for (size_t n = random_below(random, 4), i = 0; i < n; i++)
        say(to, "%s{\"start\":%zu,\"text\":\"%s\"}", i ? "," : "", random_below(random, 140),
            words(random, a, 12));
    say(to, "]}");
}

static char *copied(const char **at) {
    const char *start = ++*at, *end = strchr(start, '"');
    char *copy = malloc((size_t)(end - start) + 1);
    if (!copy)
        fail("out of memory");
    memcpy(copy, start, (size_t)(end - start));
    copy[end - start] = 0;
    *at = end + 1;
    return copy;
}

static node *parsed(const char **at) {
    node *it = calloc(1, sizeof *it), **last = &it->child;
    if (!it)
        fail("out of memory");
    if (**at == '"') {
        it->kind = '"';
        it->string = copied(at);
    } else if (**at == '{' || **at == '[') {
        it->kind = *(*at)++;
        while (**at != '}' && **at != ']') {
            char *name = it->kind == '{' ? copied(at) : NULL;
            *at += it->kind == '{'; /* the colon */
            *last = parsed(at);
            (*last)->name = name;
            last = &(*last)->next;
            *at += **at == ',';
        }
        ++*at;
    } else {
        char *end;
        it->number = strtod(*at, &end);
        *at = end;
    }
    return it;
}

static void print(text *to, const node *it) {
    if (it->name)
        say(to, "\"%s\":", it->name);
    if (it->kind == '"') {
        say(to, "\"%s\"", it->string);
    } else if (it->kind) {
        say(to, it->kind == '{' ? "{" : "[");
        for (const node *child = it->child; child; child = child->next) {
            print(to, child);
            say(to, child->next ? "," : "");
        }
        say(to, it->kind == '{' ? "}" : "]");
    } else {
        say(to, "%.0f", it->number);
    }
}

static void destroy(node *it) {
    while (it) {
        node *next = it->next;
        destroy(it->child);
        free(it->name);
        free(it->string);
        free(it);
        it = next;
    }
}

static void *serve(void *index) {
    uint64_t random = argument("seed", 1) + (size_t)index;
    for (size_t n = 0; n < documents; n++) {
        text in = {NULL, 0, 0}, out = in;
        say(&in, "[");
        for (size_t i = 0; i < posts; i++) {
            say(&in, i ? "," : "");
            say_post(&in, &random);
        }
        say(&in, "]");
        const char *at = in.bytes;
        node *tree = parsed(&at);
        print(&out, tree);
        if (in.length != out.length || memcmp(in.bytes, out.bytes, in.length) != 0)
            fail("a document is printed otherwise than it was read");
        destroy(tree);
        free(in.bytes);
        free(out.bytes);
    }
    return NULL;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    size_t threads = argument("threads", 4);
    documents = argument("documents", 150);
    posts = argument("posts", 100);
    run_threads(threads, serve);
    return finish(threads * documents * posts, 0);
}
