/* A timeline as a graph: whom a viewer follows, a call for each of them, then what is computed of the answers. 100 viewers at once.
 *
 *     viewer -> follow -> call 0 ... call 99 -> vm -> filter -> sort
 *
 * follow and the calls wait, for a timer here, and hold no thread; vm, filter and sort run in the pool. */
#include <coop.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS = 100, REQUESTS = 100 };

typedef struct {
    size_t count;
    long items[CALLS];
} list;

static coop_event_loop *loop;
static size_t numbers[CALLS];

static void check(coop_status status) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s\n", coop_status_str(status), coop_last_error());
    exit(1);
}

/* What stands for a remote call: it answers a number after a millisecond. */
typedef struct {
    coop_dag_completer *completer;
    coop_dag_value answer;
} request;

static void answered(void *arg, uint64_t times) {
    request *r = arg;
    (void)times;
    check(coop_dag_completer_complete(r->completer, COOP_OK, r->answer));
}

static void answer_later(coop_dag_completer *completer, void *value) {
    coop_timer_options options = {.size = sizeof options, .after_ns = 1000000, .on = COOP_ON_LOOP};
    request *r = malloc(sizeof *r);
    *r = (request){completer, {value, free}};
    check(coop_event_loop_timer(loop, &options, (coop_timer_callback){answered, r, free}, NULL));
}

static const void *read_value(coop_dag_call *call, size_t index) {
    void *value = NULL;
    check(coop_dag_call_value(call, index, &value));
    return value;
}

static void follow(void *arg, coop_dag_call *call, coop_dag_completer *completer) {
    const long *viewer = read_value(call, 0);
    list *followed = malloc(sizeof *followed);
    (void)arg;
    followed->count = CALLS;
    for (long i = 0; i < CALLS; i++) followed->items[i] = *viewer * 1000 + i;
    answer_later(completer, followed);
}

static void call_one(void *arg, coop_dag_call *call, coop_dag_completer *completer) {
    const list *followed = read_value(call, 0);
    long *post = malloc(sizeof *post);
    *post = followed->items[*(const size_t *)arg] * 7919 % 1009;
    answer_later(completer, post);
}

static coop_status vm(void *arg, coop_dag_call *call, coop_dag_value *result) {
    list *posts = malloc(sizeof *posts);
    (void)arg;
    posts->count = coop_dag_call_reads(call);
    for (size_t i = 0; i < posts->count; i++) posts->items[i] = *(const long *)read_value(call, i);
    *result = (coop_dag_value){posts, free};
    return COOP_OK;
}

/* The list has one reader, so it is changed in place and handed on. */
static coop_status filter(void *arg, coop_dag_call *call, coop_dag_value *result) {
    check(coop_dag_call_take(call, 0, result));
    list *posts = result->value;
    size_t kept = 0;
    (void)arg;
    for (size_t i = 0; i < posts->count; i++)
        if (posts->items[i] % 2 == 0) posts->items[kept++] = posts->items[i];
    posts->count = kept;
    return COOP_OK;
}

static int by_number(const void *left, const void *right) {
    const long a = *(const long *)left, b = *(const long *)right;
    return (a > b) - (a < b);
}

static coop_status sort(void *arg, coop_dag_call *call, coop_dag_value *result) {
    check(coop_dag_call_take(call, 0, result));
    list *posts = result->value;
    (void)arg;
    qsort(posts->items, posts->count, sizeof posts->items[0], by_number);
    return COOP_OK;
}

static coop_dag_node_id cpu(coop_dag_builder *builder, const char *name, const coop_dag_ref *reads, size_t count,
                            coop_dag_function function) {
    coop_dag_node_options options = {.size = sizeof options, .reads = reads, .read_count = count};
    coop_dag_node_id node = 0;
    check(coop_dag_builder_cpu(builder, name, strlen(name), &options, function, &node));
    return node;
}

static coop_dag_node_id io(coop_dag_builder *builder, const char *name, coop_dag_node_id read, coop_dag_io_function function) {
    coop_dag_ref reads = {.node = read};
    coop_dag_node_options options = {.size = sizeof options, .reads = &reads, .read_count = 1};
    coop_dag_node_id node = 0;
    check(coop_dag_builder_io(builder, name, strlen(name), &options, function, &node));
    return node;
}

/* The same without a graph. */
static void expected(long viewer, list *posts) {
    posts->count = 0;
    for (long i = 0; i < CALLS; i++) {
        const long post = (viewer * 1000 + i) * 7919 % 1009;
        if (post % 2 == 0) posts->items[posts->count++] = post;
    }
    qsort(posts->items, posts->count, sizeof posts->items[0], by_number);
}

int main(void) {
    coop_runtime *runtime = NULL;
    check(coop_runtime_new(NULL, &runtime));
    check(coop_runtime_start(runtime, COOP_START_RETURN));
    loop = coop_runtime_event_loop(runtime);

    coop_dag_builder *builder = NULL;
    coop_dag_node_id viewer = 0;
    coop_dag_ref calls[CALLS];
    check(coop_dag_builder_new(NULL, &builder));
    check(coop_dag_builder_input(builder, "viewer", 6, &viewer));
    coop_dag_node_id followed = io(builder, "follow", viewer, (coop_dag_io_function){follow, NULL, NULL});
    for (size_t i = 0; i < CALLS; i++) {
        char name[16];
        snprintf(name, sizeof name, "call %zu", i);
        numbers[i] = i;
        calls[i] = (coop_dag_ref){.node = io(builder, name, followed, (coop_dag_io_function){call_one, &numbers[i], NULL})};
    }
    coop_dag_ref posts = {.node = cpu(builder, "vm", calls, CALLS, (coop_dag_function){vm, NULL, NULL})};
    coop_dag_ref kept = {.node = cpu(builder, "filter", &posts, 1, (coop_dag_function){filter, NULL, NULL})};
    coop_dag_node_id sorted = cpu(builder, "sort", &kept, 1, (coop_dag_function){sort, NULL, NULL});
    coop_dag *dag = NULL;
    check(coop_dag_builder_build(builder, &dag));
    coop_dag_builder_free(builder);

    coop_dag_run_id runs[REQUESTS];
    for (long i = 0; i < REQUESTS; i++) {
        long *number = malloc(sizeof *number);
        *number = i;
        coop_dag_input input = {.node = {.node = viewer}, .value = {number, free}};
        check(coop_dag_run(dag, coop_runtime_pool(runtime), loop, NULL, &input, 1, (coop_dag_run_callback){NULL, NULL, NULL},
                           &runs[i]));
    }
    size_t total = 0;
    for (long i = 0; i < REQUESTS; i++) {
        coop_dag_outcome *outcome = NULL;
        void *value = NULL;
        list same;
        check(coop_dag_run_join(dag, runs[i], COOP_FOREVER, &outcome));
        check(coop_dag_outcome_result(outcome));
        check(coop_dag_outcome_value(outcome, sorted, &value));
        const list *timeline = value;
        expected(i, &same);
        if (timeline->count != same.count || memcmp(timeline->items, same.items, same.count * sizeof same.items[0]) != 0) {
            fprintf(stderr, "the timeline of viewer %ld is wrong\n", i);
            return 1;
        }
        total += timeline->count;
        coop_dag_outcome_free(outcome);
    }
    printf("%d timelines of %zu posts\n", REQUESTS, total);
    coop_dag_free(dag);
    coop_runtime_free(runtime);
    return 0;
}
