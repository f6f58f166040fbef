/* libcoop.so loaded and unloaded a hundred times, with a pool and a loop made, used and freed in between: no thread, descriptor or
 * memory is left. The program is not linked with it. */
#include "check.h"

#include <dirent.h>
#include <dlfcn.h>
#include <malloc.h>

enum { TIMES = 100, SETTLED = 20 };

static int entries(const char *directory) {
    DIR *all = opendir(directory);
    int count = 0;
    CHECK(all != NULL);
    while (readdir(all) != NULL) count++;
    closedir(all);
    return count;
}

static void function(void *library, const char *name, void *out) {
    *(void **)out = dlsym(library, name);
    if (*(void **)out == NULL) FAIL("%s", dlerror());
}

static void once(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const coop_api *(*get)(void);
    coop_pool_options options = {sizeof options, 2, 0, 0, NULL, 0, 0};
    coop_pool *pool = NULL;
    coop_event_loop *loop = NULL;
    probe p = {0, 0};
    if (library == NULL) FAIL("%s", dlerror());
    function(library, "coop_api_get", &get);
    const coop_api *api = get();
    CHECK(api->size == sizeof *api);
    CHECK(strcmp(api->version(), COOP_VERSION_STRING) == 0);
    CHECK_EQ(api->pool_new(&options, &pool), COOP_OK);
    CHECK_EQ(api->event_loop_new(NULL, &loop), COOP_OK);
    CHECK_EQ(api->event_loop_start(loop), COOP_OK);
    CHECK_EQ(api->pool_submit(pool, NULL, counted(&p)), COOP_OK);
    CHECK_EQ(api->event_loop_post(loop, counted(&p)), COOP_OK);
    CHECK_EQ(api->pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, LONG_NS), COOP_OK);
    CHECK_EQ(api->event_loop_stop(loop), COOP_OK);
    CHECK_EQ(api->event_loop_join(loop, LONG_NS), COOP_OK);
    api->pool_free(pool);
    api->event_loop_free(loop);
    CHECK_EQ(runs(&p), 2);
    CHECK_EQ(drops(&p), 2);
    CHECK(dlclose(library) == 0);
}

int main(int argc, char **argv) {
    int i, threads = 0, descriptors = 0;
    size_t bytes = 0, now;
    CHECK_EQ(argc, 2);
    for (i = 0; i < TIMES; i++) {
        once(argv[1]);
        /* By then what is made once and kept is there. */
        if (i == SETTLED) {
            threads = entries("/proc/self/task");
            descriptors = entries("/proc/self/fd");
            bytes = mallinfo2().uordblks;
        }
    }
    /* A joined thread may be a moment longer in the system's list. */
    for (i = 0; entries("/proc/self/task") > threads; i++) {
        CHECK(i < 30000);
        usleep(1000);
    }
    CHECK_EQ(entries("/proc/self/fd"), descriptors);
    now = mallinfo2().uordblks;
    /* Less than 100 bytes for each time. */
    if (now > bytes + 8000) FAIL("memory grew from %zu to %zu bytes", bytes, now);
    /* It stays mapped: threads and their destructors outlive a dlclose. */
    CHECK(dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) != NULL);
    return 0;
}
