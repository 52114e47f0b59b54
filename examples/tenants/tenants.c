/* SPDX-License-Identifier: MIT */
/*
 * tenants.c: a server for many tenants, each a Lua script with a virtual machine of its own whose memory is
 * an arena: bounded, visible, and gone in one call. One pool for each request.
 *
 *     cc tenants.c $(pkg-config --cflags --libs fallow libmicrohttpd lua5.4) -o tenants
 *     ./tenants PORT SCRIPTS [LIMIT-MIB] [malloc]
 *
 *     GET /t/NAME/WHAT SCRIPTS/NAME.lua is loaded at the first request; its function handle(WHAT) answers
 *     DELETE /t/NAME the tenant is gone, with all its memory GET /metrics each tenant's memory by state
 *     (OpenMetrics)
 *
 * With a fourth argument the same server runs on malloc, without limits: for comparison.
 */
#include <fallow/fallow.h>
#include <lauxlib.h>
#include <lualib.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TENANTS_MAX 1024

typedef struct tenant {
    char name[32];
    fallow_arena *arena; /* NULL: on malloc */
    lua_State *lua;
    unsigned long requests, refused;
    pthread_mutex_t lock; /* a virtual machine is used by one thread at a time */
} tenant;

static tenant *tenants[TENANTS_MAX];
static pthread_rwlock_t tenants_lock = PTHREAD_RWLOCK_INITIALIZER; /* held while a tenant is used */
static const char *scripts;
static size_t limit_bytes;
static bool on_malloc;
static fallow_arena *requests; /* the pools' */

/* lua_Alloc: all that a virtual machine allocates. Lua collects its garbage and asks again when this
 * fails. */
static void *alloc_for_lua(void *arena, void *block, size_t old_bytes, size_t bytes) {
    if (bytes == 0) {
        fallow_arena_free(arena, block);
        return NULL;
    }
    (void)old_bytes;
    return fallow_arena_realloc(arena, block,
                                bytes); /* Lua takes it that a block can always become smaller: it can */
}

static void *alloc_by_malloc(void *unused, void *block, size_t old_bytes, size_t bytes) {
    (void)unused, (void)old_bytes;
    if (bytes == 0) {
        free(block);
        return NULL;
    }
    return realloc(block, bytes);
}

static void tenant_end(tenant *it) {
    if (on_malloc) {
        if (it->lua)
            lua_close(it->lua);
    } else /* no lua_close: every block of the machine goes with the arena */
        fallow_arena_destroy(it->arena);
    pthread_mutex_destroy(&it->lock);
    free(it);
}

/* Everything that may run out of memory happens in here, under lua_pcall. */
static int load(lua_State *lua) {
    const char *path = lua_touserdata(lua, 1);
    luaL_openlibs(lua);
    if (luaL_loadfile(lua, path) != LUA_OK)
        return lua_error(lua);
    lua_call(lua, 0, 0);
    return 0;
}

static tenant *tenant_new(fallow_pool *pool, const char *name) {
    tenant *it = calloc(1, sizeof *it);
    if (!it)
        return NULL;
    snprintf(it->name, sizeof it->name, "%s", name);
    pthread_mutex_init(&it->lock, NULL);
    if (!on_malloc && !(it->arena = fallow_arena_create(name, limit_bytes))) {
        free(it);
        return NULL;
    }
    it->lua = lua_newstate(on_malloc ? alloc_by_malloc : alloc_for_lua, it->arena);
    char *path = fallow_pool_printf(pool, "%s/%s.lua", scripts, name);
    if (it->lua && path) {
        lua_pushcfunction(it->lua, load);
        lua_pushlightuserdata(it->lua, path);
        if (lua_pcall(it->lua, 1, 0, 0) == LUA_OK)
            return it;
    }
    tenant_end(it);
    return NULL;
}

static tenant **place_of(const char *name) {
    tenant **free_place = NULL;
    for (int i = 0; i < TENANTS_MAX; i++) {
        if (tenants[i] && !strcmp(tenants[i]->name, name))
            return &tenants[i];
        if (!tenants[i] && !free_place)
            free_place = &tenants[i];
    }
    return free_place;
}

typedef struct answer {
    unsigned status;
    const char *text;
    size_t length;
} answer;

static answer say(unsigned status, const char *text) {
    return (answer){status, text, strlen(text)};
}

/* handle(what), which may run out of memory: under lua_pcall. */
static int call_handle(lua_State *lua) {
    const char *what = lua_touserdata(lua, 1);
    lua_getglobal(lua, "handle");
    lua_pushstring(lua, what);
    lua_call(lua, 1, 1);
    luaL_checkstring(lua, -1);
    return 1;
}

/* What the tenant answers, copied into the request's pool. */
static answer ask(fallow_pool *pool, tenant *it, const char *what) {
    pthread_mutex_lock(&it->lock);
    it->requests++;
    lua_settop(it->lua, 0);
    lua_pushcfunction(it->lua, call_handle);
    lua_pushlightuserdata(it->lua, (void *)what);
    int code = lua_pcall(it->lua, 1, 1, 0);
    answer result = say(500, "no answer\n");
    if (code == LUA_ERRMEM) {
        it->refused++;
        result = say(507, "this tenant has no memory left\n");
    } else if (lua_type(it->lua, -1) == LUA_TSTRING) { /* the answer, or the error */
        const char *text = lua_tolstring(it->lua, -1, &result.length);
        result.status = code == LUA_OK ? 200 : 500;
        result.text = fallow_pool_copy(pool, text, result.length);
    }
    lua_settop(it->lua, 0);
    pthread_mutex_unlock(&it->lock);
    return result.text ? result : say(503, "no memory for the answer\n");
}

static answer serve(fallow_pool *pool, const char *name, const char *what) {
    answer result = say(404, "no such tenant\n");
    pthread_rwlock_rdlock(&tenants_lock);
    tenant **place = place_of(name);
    if (place && *place)
        result = ask(pool, *place, what);
    else {
        pthread_rwlock_unlock(&tenants_lock);
        pthread_rwlock_wrlock(&tenants_lock);
        place = place_of(name);
        if (place && !*place)
            *place = tenant_new(pool, name);
        if (place && *place)
            result = ask(pool, *place, what);
    }
    pthread_rwlock_unlock(&tenants_lock);
    return result;
}

static answer evict(const char *name) {
    pthread_rwlock_wrlock(&tenants_lock);
    tenant **place = place_of(name), *it = place ? *place : NULL;
    if (it)
        *place = NULL;
    pthread_rwlock_unlock(&tenants_lock);
    if (!it)
        return say(404, "no such tenant\n");
    tenant_end(it);
    return say(200, "gone\n");
}

/* Written into one string of the pool, a tenant after the other. */
static answer metrics(fallow_pool *pool) {
    char *text = fallow_pool_strdup(pool, "# TYPE tenant_memory_bytes gauge\n");
    pthread_rwlock_rdlock(&tenants_lock);
    for (int i = 0; i < TENANTS_MAX && text; i++) {
        const tenant *it = tenants[i];
        fallow_arena_figures now;
        if (!it || !it->arena || !fallow_arena_read_sized(it->arena, &now, sizeof now))
            continue;
        text = fallow_pool_printf(pool,
                                  "%stenant_memory_bytes{tenant=\"%s\",state=\"ready\"} %zu\n"
                                  "tenant_memory_bytes{tenant=\"%s\",state=\"prepared\"} %zu\n"
                                  "tenant_memory_bytes{tenant=\"%s\",state=\"limit\"} %zu\n"
                                  "tenant_requests_total{tenant=\"%s\"} %lu\n"
                                  "tenant_refused_total{tenant=\"%s\"} %lu\n",
                                  text, it->name, now.ready_bytes, it->name, now.prepared_bytes, it->name,
                                  now.limit_bytes, it->name, it->requests, it->name, it->refused);
    }
    pthread_rwlock_unlock(&tenants_lock);
    text = text ? fallow_pool_printf(pool, "%s# EOF\n", text) : NULL;
    return text ? say(200, text) : say(503, "no memory for the answer\n");
}

/* "/t/NAME/WHAT" */
static answer route(fallow_pool *pool, const char *method, const char *url) {
    if (!strcmp(url, "/metrics"))
        return metrics(pool);
    if (strncmp(url, "/t/", 3))
        return say(404, "GET /t/NAME/WHAT, DELETE /t/NAME, GET /metrics\n");
    char *name = fallow_pool_strdup(pool, url + 3);
    char *what = name ? strchr(name, '/') : NULL;
    if (what)
        *what++ = '\0';
    if (!name || !*name || strpbrk(name, "./\\") || strlen(name) > 31)
        return say(400, "a name is of letters and digits\n");
    return strcmp(method, "DELETE") ? serve(pool, name, what ? what : "") : evict(name);
}

static enum MHD_Result handle(void *unused, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **context) {
    static int begun;
    (void)unused, (void)version, (void)upload;
    if (!*context) { /* the headers are there: wait for the whole request */
        *context = &begun;
        return MHD_YES;
    }
    *upload_bytes = 0;
    fallow_pool *pool = fallow_pool_create(requests);
    answer it = pool ? route(pool, method, url) : say(503, "no memory for the request\n");
    struct MHD_Response *response =
        MHD_create_response_from_buffer(it.length, (void *)it.text, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = response ? MHD_queue_response(connection, it.status, response) : MHD_NO;
    if (response)
        MHD_destroy_response(response);
    fallow_pool_destroy(pool); /* all of the request's memory */
    return result;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: tenants PORT SCRIPTS [LIMIT-MIB] [malloc]\n");
        return 2;
    }
    sigset_t ends;
    scripts = argv[2];
    limit_bytes = (argc > 3 ? strtoul(argv[3], NULL, 10) : 32) << 20;
    on_malloc = argc > 4;
    requests = fallow_arena_create("requests", 0);
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, (uint16_t)strtoul(argv[1], NULL, 10), NULL, NULL,
                         handle, NULL, MHD_OPTION_THREAD_POOL_SIZE, 4u, MHD_OPTION_END);
    if (!daemon) {
        fprintf(stderr, "tenants: cannot listen on port %s\n", argv[1]);
        return 1;
    }
    printf("listening on %s\n", argv[1]);
    fflush(stdout);
    struct timespec tenth = {0, 100000000};
    while (sigtimedwait(&ends, NULL, &tenth) < 0)
        fallow_tick(); /* idle memory goes back, without a thread of fallow's own */
    MHD_stop_daemon(daemon);
    for (int i = 0; i < TENANTS_MAX; i++)
        if (tenants[i])
            tenant_end(tenants[i]);
    fallow_arena_destroy(requests);
    return 0;
}
