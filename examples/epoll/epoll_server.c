/* SPDX-License-Identifier: MIT */
/*
 * epoll_server.c: an HTTP server in one thread, all of its memory in pools: one for the server, a child of it
 * for each connection, a child of that for each request, and one below for what is needed for a moment.
 * Nothing is freed by itself, on no way out.
 *
 *     cc epoll_server.c $(pkg-config --cflags --libs fallow) -o epoll_server
 *     ./epoll_server PORT [0: any; the first line says which]
 *
 *     GET /sort/WORD,WORD,...   the words in order
 *     GET /memory               what the pools hold, in bytes
 *
 * A request that does not fit into its pool's limit is answered 431, and its connection ends. SIGTERM ends
 * the server.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fallow/fallow.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_BYTES_MAX ((size_t)256 << 10) /* that the pools of a request may hold */
#define READ_BYTES ((size_t)4096)

typedef struct connection {
    fallow_pool *pool;    /* this lies in it; as long as the connection */
    fallow_pool *request; /* its child; until the answer has been sent */
    char *in;             /* what has come of the request, of the next ones too; in its pool */
    size_t in_used, in_room;
    size_t taken;    /* of these: the request that is being answered */
    const char *out; /* what is left of the answer */
    size_t out_left;
    int file;
    bool ends; /* when the answer has been sent */
} connection;

static fallow_pool *server; /* all connections are children of it */
static int events;

/* A pool's clean-up: whatever ends it, the connection is closed. */
static void close_file(void *context) {
    close(((connection *)context)->file);
}

static bool begin_request(connection *it) {
    it->request = fallow_pool_create_child(it->pool);
    it->in_used = it->in_room = it->taken = 0;
    if (it->request)
        fallow_pool_set_limit(it->request, REQUEST_BYTES_MAX);
    return it->request != NULL;
}

static void accept_one(int listener) {
    int file = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (file < 0)
        return;
    fallow_pool *pool = fallow_pool_create_child(server);
    connection *it = pool ? fallow_pool_alloc_zeroed(pool, sizeof *it) : NULL;
    if (it) {
        it->pool = pool;
        it->file = file;
    }
    if (!it || !fallow_pool_on_clean_up(pool, close_file, it)) {
        close(file);
        fallow_pool_destroy(pool);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = it};
    if (!begin_request(it) || epoll_ctl(events, EPOLL_CTL_ADD, file, &event))
        fallow_pool_destroy(pool);
}

/* text NULL: there was no memory for it. */
static void answer(connection *it, const char *status, const char *text) {
    char *all = text ? fallow_pool_printf(it->request, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n%s",
                                          status, strlen(text), it->ends ? "Connection: close\r\n" : "", text)
                     : NULL;
    it->out = all;
    if (!all) { /* not even for saying so: a constant needs none */
        it->out =
            "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        it->ends = true;
    }
    it->out_left = strlen(it->out);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "one,two,three" in order. What it takes on the way is gone before the answer is sent. */
static char *sorted(fallow_pool *request, const char *words) {
    fallow_pool *scratch = fallow_pool_create_child(request);
    char *copy = scratch ? fallow_pool_strdup(scratch, words) : NULL, *rest = NULL, *text = NULL;
    char **list = copy ? fallow_pool_alloc(scratch, (strlen(words) / 2 + 1) * sizeof *list) : NULL;
    if (list) {
        size_t count = 0;
        for (char *word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
            list[count++] = word;
        qsort(list, count, sizeof *list, by_text);
        char *at = text = fallow_pool_alloc(request, strlen(words) + 2);
        for (size_t i = 0; at && i < count; i++)
            at = stpcpy(stpcpy(at, list[i]), i + 1 < count ? "," : "");
        if (at)
            strcpy(at, "\n");
    }
    fallow_pool_destroy(scratch);
    return text;
}

/* "GET PATH HTTP/1.1", without its headers. */
static void handle(connection *it, char *head) {
    char *path = strncmp(head, "GET ", 4) ? NULL : head + 4, *end = path ? strchr(path, ' ') : NULL;
    if (!end) {
        it->ends = true;
        answer(it, "400 Bad Request", "not a GET\n");
        return;
    }
    *end = '\0';
    if (!strncmp(path, "/sort/", 6))
        answer(it, "200 OK", sorted(it->request, path + 6));
    else if (!strcmp(path, "/memory"))
        answer(it, "200 OK", fallow_pool_printf(it->request, "%zu\n", fallow_pool_held_bytes(server)));
    else
        answer(it, "404 Not Found", "there is /sort/ and /memory\n");
}

/* Room for so many bytes more of the request. Its pool keeps what was outgrown, until the request ends. */
static bool make_room(connection *it, size_t bytes) {
    if (it->in_room - it->in_used >= bytes)
        return true;
    size_t room = it->in_room * 2 + bytes + READ_BYTES;
    char *in = fallow_pool_alloc(it->request, room);
    if (!in)
        return false;
    if (it->in_used)
        memcpy(in, it->in, it->in_used);
    it->in = in;
    it->in_room = room;
    return true;
}

/* The request is over: its pool goes, but for what has come of the next one. */
static bool next_request(connection *it) {
    fallow_pool *old = it->request;
    const char *rest = it->in + it->taken;
    size_t bytes = it->in_used - it->taken;
    bool begun = begin_request(it) && make_room(it, bytes);
    if (begun && bytes)
        memcpy(it->in, rest, bytes);
    it->in_used = bytes;
    fallow_pool_destroy(old);
    return begun;
}

typedef enum progress { WAITS, GOES_ON, IS_OVER } progress;

static progress send_some(connection *it) {
    ssize_t sent = send(it->file, it->out, it->out_left, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN ? WAITS : IS_OVER;
    it->out += sent;
    it->out_left -= (size_t)sent;
    if (it->out_left)
        return GOES_ON;
    return !it->ends && next_request(it) ? GOES_ON : IS_OVER;
}

static progress receive_some(connection *it) {
    char *end = it->in_used ? memmem(it->in, it->in_used, "\r\n\r\n", 4) : NULL;
    if (end) {
        it->taken = (size_t)(end + 4 - it->in);
        handle(it, it->in);
        return GOES_ON;
    }
    if (!make_room(it, READ_BYTES)) {
        it->ends = true;
        answer(it, NULL, NULL);
        return GOES_ON;
    }
    ssize_t got = recv(it->file, it->in + it->in_used, READ_BYTES, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN ? WAITS : IS_OVER;
    it->in_used += (size_t)got;
    return GOES_ON;
}

/* What can be done without waiting. The end of its pool is the end of the connection. */
static void serve(connection *it) {
    progress now = GOES_ON;
    while (now == GOES_ON)
        now = it->out_left ? send_some(it) : receive_some(it);
    struct epoll_event event = {.events = it->out_left ? EPOLLOUT : EPOLLIN, .data.ptr = it};
    if (now == IS_OVER || epoll_ctl(events, EPOLL_CTL_MOD, it->file, &event))
        fallow_pool_destroy(it->pool);
}

static int listen_at(int port) {
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) ||
        bind(listener, (struct sockaddr *)&at, bytes) || listen(listener, 128) ||
        getsockname(listener, (struct sockaddr *)&at, &bytes))
        return -1;
    printf("port %d\n", ntohs(at.sin_port));
    fflush(stdout);
    return listener;
}

/* SIGTERM as an event like any other. */
static int listen_for_the_end(void) {
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    return sigprocmask(SIG_BLOCK, &end, NULL) ? -1 : signalfd(-1, &end, SFD_CLOEXEC);
}

int main(int count, char **arguments) {
    int listener = listen_at(count > 1 ? atoi(arguments[1]) : 0), end = listen_for_the_end();
    events = epoll_create1(EPOLL_CLOEXEC);
    server = fallow_pool_create(NULL);
    struct epoll_event one = {.events = EPOLLIN, .data.ptr = &listener};
    struct epoll_event two = {.events = EPOLLIN, .data.ptr = &end};
    if (listener < 0 || end < 0 || events < 0 || !server ||
        epoll_ctl(events, EPOLL_CTL_ADD, listener, &one) || epoll_ctl(events, EPOLL_CTL_ADD, end, &two)) {
        perror("epoll_server");
        return 1;
    }
    for (;;) {
        struct epoll_event event;
        int got = epoll_wait(events, &event, 1, 100);
        fallow_tick(); /* idle memory goes back */
        if (got < 1)
            continue;
        if (event.data.ptr == &end)
            break;
        if (event.data.ptr == &listener)
            accept_one(listener);
        else
            serve(event.data.ptr);
    }
    fallow_pool_destroy(server); /* closes every connection that is left */
    return 0;
}
