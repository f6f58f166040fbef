/* Two libraries in one process, as when a plugin brings a version of its own: a copy of the library, loaded beside the one that this
 * program is linked with, has its own threads, its own last error and its own log, and each works with its own objects. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>

#include "check.h"

/* A file of its own is another library to the loader, whatever is in it. */
static void copy_library(char *to) {
    Dl_info info;
    char bytes[65536];
    CHECK(dladdr((void *)(uintptr_t)coop_version, &info) != 0);
    int from = open(info.dli_fname, O_RDONLY), copy = mkstemp(to);
    CHECK(from >= 0 && copy >= 0);
    for (ssize_t count; (count = read(from, bytes, sizeof bytes)) != 0;) {
        CHECK(count > 0);
        CHECK(write(copy, bytes, (size_t)count) == count);
    }
    close(from);
    close(copy);
}

static void *function(void *library, const char *name) {
    void *found = dlsym(library, name);
    CHECK(found != NULL);
    return found;
}

int main(void) {
    char path[] = "/tmp/libcoop-copy-XXXXXX";
    probe here = {0, 0}, there = {0, 0};
    coop_pool_options one = {sizeof one, 1, 0, 0, NULL, 0, 0};
    coop_pool *pool = new_pool(1), *other = NULL;

    copy_library(path);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    unlink(path);
    if (library == NULL) FAIL("%s", dlerror());
    /* POSIX's way from an object pointer to a function pointer. */
    coop_status (*new_there)(const coop_pool_options *, coop_pool **);
    coop_status (*submit_there)(coop_pool *, const coop_submit_options *, coop_callback);
    coop_status (*shutdown_there)(coop_pool *, int32_t, int64_t);
    void (*free_there)(coop_pool *);
    const char *(*error_there)(void);
    *(void **)&new_there = function(library, "coop_pool_new");
    *(void **)&submit_there = function(library, "coop_pool_submit");
    *(void **)&shutdown_there = function(library, "coop_pool_shutdown");
    *(void **)&free_there = function(library, "coop_pool_free");
    *(void **)&error_there = function(library, "coop_last_error");
    CHECK(new_there != coop_pool_new);

    CHECK_OK(new_there(&one, &other));
    CHECK_OK(submit_there(other, NULL, counted(&there)));
    CHECK_OK(coop_pool_submit(pool, NULL, counted(&here)));
    CHECK_STATUS(new_there(NULL, NULL), COOP_E_NULL);
    CHECK(strcmp(coop_last_error(), "") == 0 && strstr(error_there(), "out") != NULL);
    CHECK_OK(shutdown_there(other, COOP_SHUTDOWN_DRAIN, LONG_NS));
    CHECK_OK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, LONG_NS));
    free_there(other);
    coop_pool_free(pool);
    CHECK(runs(&here) == 1 && drops(&here) == 1 && runs(&there) == 1 && drops(&there) == 1);
    /* Never unloaded: the library is marked so, for its threads run its code. */
    CHECK(dlclose(library) == 0);
    CHECK_STATUS(new_there(NULL, NULL), COOP_E_NULL);
    return 0;
}
