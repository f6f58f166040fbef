/* Loading the libraries of the test. */
#ifndef COOP_TEST_USERS_H
#define COOP_TEST_USERS_H

#include "check.h"
#include "user.h"

#include <dlfcn.h>

enum { ROUNDS = 2000 };

typedef struct {
    int (*rounds)(int);
    const coop_api *(*api)(void);
    const char *(*fails)(void);
} user;

static void *symbol_of(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (found == NULL) FAIL("%s", dlerror());
    return found;
}

static user load_user(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    user loaded;
    if (library == NULL) FAIL("%s", dlerror());
    *(void **)&loaded.rounds = symbol_of(library, "user_rounds");
    *(void **)&loaded.api = symbol_of(library, "user_api");
    *(void **)&loaded.fails = symbol_of(library, "user_fails");
    return loaded;
}

/* Which file a function of the table is in. */
static const char *file_of(const coop_api *api) {
    Dl_info info;
    CHECK(dladdr(*(void **)&api->pool_new, &info) != 0);
    return info.dli_fname;
}

static void *run_user(void *arg) {
    CHECK_EQ(((user *)arg)->rounds(ROUNDS), 2 * ROUNDS);
    return NULL;
}

/* All at once. */
static void run_users(user *users, size_t count) {
    pthread_t threads[4];
    size_t i;
    CHECK(count <= 4);
    for (i = 0; i < count; i++) CHECK(pthread_create(&threads[i], NULL, run_user, &users[i]) == 0);
    for (i = 0; i < count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

#endif
