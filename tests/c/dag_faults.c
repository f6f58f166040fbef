/* What goes wrong with graphs: what is no graph is refused by name, nodes that fail or never end, runs that are ended from inside, and pools and
 * loops that go under them. Every value, function and callback is dropped once. */
#include "dag.h"

static coop_status one(void *arg, coop_dag_call *call, coop_dag_value *result) {
    (void)arg, (void)call;
    *result = number(1);
    return COOP_OK;
}
static coop_status counts_run(void *arg, coop_dag_call *call, coop_dag_value *result) {
    (void)call, (void)result;
    count_run(arg);
    return COOP_OK;
}

static void wait_for_drops(const probe *p, int count) {
    for (long waited = 0; drops(p) < count; waited++) {
        if (waited > 60000) FAIL("%d drops, not %d", drops(p), count);
        usleep(1000);
    }
    CHECK_EQ(drops(p), count);
}

static coop_status add_named(coop_dag_builder *builder, const char *name, const char *after, probe *p) {
    coop_dag_function function = {counts_run, p, count_drop};
    coop_dag_node_options options = no_options();
    coop_dag_ref earlier = name_ref(after ? after : "");
    options.after = &earlier;
    options.after_count = after != NULL;
    return coop_dag_builder_cpu(builder, NAME(name), &options, function, NULL);
}

static void no_graph(void) {
    probe p = {0, 0};
    coop_dag_builder *builder;
    coop_dag *dag = NULL;
    const char *wrong[][4] = {
        {"a", "b", "b", "a"}, {"a", "a", NULL, NULL}, {"a", "zebra", NULL, NULL}, {"a", NULL, NULL, NULL}};
    const char *says[] = {"cycle: a -> b -> a", "node \"a\" depends on itself", "\"zebra\"", "twice"};
    int taken = 0;
    for (int i = 0; i < 4; i++) {
        builder = new_builder();
        for (int k = 0; k < 4 && wrong[i][k]; k += 2) {
            CHECK_OK(add_named(builder, wrong[i][k], wrong[i][k + 1], &p));
            taken++;
        }
        if (i == 3) {
            CHECK_OK(add_named(builder, "b", "a", &p));
            taken++;
            CHECK_OK(coop_dag_builder_after(builder, name_ref("b"), name_ref("a")));
        }
        CHECK_SAYS(coop_dag_builder_build(builder, &dag), COOP_E_INVALID, says[i]);
        CHECK(dag == NULL);
        CHECK_EQ(drops(&p), taken);
        CHECK_SAYS(add_named(builder, "later", NULL, &p), COOP_E_CLOSED, "closed");
        CHECK_STATUS(coop_dag_builder_build(builder, &dag), COOP_E_CLOSED);
        coop_dag_builder_free(builder);
    }

    /* What is refused stays the caller's. */
    builder = new_builder();
    coop_dag_builder *other = new_builder();
    coop_dag_node_id foreign = 0;
    coop_dag_node_options options = no_options();
    coop_dag_function function = {counts_run, &p, count_drop};
    coop_dag_predicate only_if = {NULL, &p, count_drop};
    const uint64_t no_cpus[1] = {0};
    coop_dag_ref reads;
    CHECK_OK(coop_dag_builder_input(other, NAME("x"), &foreign));
    CHECK_OK(add_named(builder, "a", NULL, &p));
    CHECK_SAYS(add_named(builder, "a", NULL, &p), COOP_E_EXISTS, "\"a\"");
    CHECK_SAYS(add_named(builder, "", NULL, &p), COOP_E_INVALID, "name must not be empty");
    reads = node_ref(foreign);
    options.reads = &reads;
    options.read_count = 1;
    CHECK_SAYS(coop_dag_builder_cpu(builder, NAME("b"), &options, function, NULL), COOP_E_INVALID, "of another builder");
    options.reads = NULL;
    CHECK_SAYS(coop_dag_builder_cpu(builder, NAME("b"), &options, function, NULL), COOP_E_NULL, "reads");
    options.read_count = SIZE_MAX;
    options.reads = &reads;
    CHECK_SAYS(coop_dag_builder_cpu(builder, NAME("b"), &options, function, NULL), COOP_E_INVALID, "do not fit into memory");
    options = no_options();
    options.only_if = &only_if;
    CHECK_SAYS(coop_dag_builder_cpu(builder, NAME("b"), &options, function, NULL), COOP_E_NULL, "only_if.fn");
    options = no_options();
    options.cpus.words = no_cpus;
    options.cpus.count = 1;
    CHECK_SAYS(coop_dag_builder_cpu(builder, NAME("b"), &options, function, NULL), COOP_E_INVALID, "\"b\": cpu set {} is empty");
    options = no_options();
    options.timeout_ns = -5;
    CHECK_SAYS(coop_dag_builder_cpu(builder, NAME("b"), &options, function, NULL), COOP_E_INVALID, "timeout_ns is -5");
    options = no_options();
    options.keep = 2;
    CHECK_SAYS(coop_dag_builder_cpu(builder, NAME("b"), &options, function, NULL), COOP_E_INVALID, "keep is 2");
    options = no_options();
    options.priority = 9;
    CHECK_STATUS(coop_dag_builder_cpu(builder, NAME("b"), &options, function, NULL), COOP_E_INVALID);
    function.fn = NULL;
    CHECK_SAYS(coop_dag_builder_cpu(builder, NAME("b"), NULL, function, NULL), COOP_E_NULL, "function.fn");
    CHECK_EQ(drops(&p), taken);
    coop_dag_builder_free(other);
    coop_dag_builder_free(builder);
    CHECK_EQ(drops(&p), taken + 1);
    CHECK_EQ(runs(&p), 0);

    coop_dag_builder_options many = {sizeof many, SIZE_MAX};
    coop_dag_builder *none = NULL;
    CHECK_SAYS(coop_dag_builder_new(&many, &none), COOP_E_INVALID, "at most");
    many.nodes = ((size_t)1 << 28) + 1;
    CHECK_STATUS(coop_dag_builder_new(&many, &none), COOP_E_INVALID);
    CHECK(none == NULL);
}

/* Inputs that do not fit: nothing runs, and the values are the caller's. */
static void wrong_inputs(coop_pool *pool) {
    probe p = {0, 0}, dropped = {0, 0};
    coop_dag_builder *builder = new_builder();
    coop_dag_node_id x = 0;
    CHECK_OK(coop_dag_builder_input(builder, NAME("x"), &x));
    CHECK_OK(add_named(builder, "a", "x", &p));
    coop_dag *dag = built(builder);
    coop_dag_run_callback nobody = {NULL, &dropped, count_drop};
    coop_dag_input inputs[2];
    coop_dag_run_options options = {sizeof options, 0, 7, 0};
    coop_dag_run_id id = 0;
    for (int i = 0; i < 2; i++) {
        inputs[i].node = node_ref(x);
        inputs[i].value.value = &dropped;
        inputs[i].value.drop = count_drop;
    }
    CHECK_SAYS(coop_dag_run(dag, pool, NULL, NULL, NULL, 0, nobody, &id), COOP_E_INVALID, "\"x\" is not given");
    CHECK_SAYS(coop_dag_run(dag, pool, NULL, NULL, inputs, 2, nobody, &id), COOP_E_INVALID, "given twice");
    CHECK_SAYS(coop_dag_run(dag, pool, NULL, &options, inputs, 1, nobody, &id), COOP_E_INVALID, "on_failure 7");
    options.on_failure = 0;
    options.timeout_ns = 5;
    CHECK_SAYS(coop_dag_run(dag, pool, NULL, &options, inputs, 1, nobody, &id), COOP_E_INVALID, "an event loop is needed");
    inputs[0].node = name_ref("y");
    CHECK_SAYS(coop_dag_run(dag, pool, NULL, NULL, inputs, 1, nobody, &id), COOP_E_INVALID, "\"y\"");
    inputs[0].node = name_ref("a");
    CHECK_STATUS(coop_dag_run(dag, pool, NULL, NULL, inputs, 1, nobody, &id), COOP_E_INVALID);
    CHECK_EQ(drops(&dropped), 0);
    CHECK(id == 0);
    inputs[0].node = name_ref("x");
    CHECK_OK(coop_dag_run(dag, pool, NULL, NULL, inputs, 1, nobody, &id));
    CHECK_OK(coop_dag_run_join(dag, id, LONG_NS, NULL));
    CHECK_EQ(runs(&p), 1);
    coop_dag_free(dag);
    wait_for_drops(&p, 1);
    wait_for_drops(&dropped, 1);
}

static coop_status fails(void *arg, coop_dag_call *call, coop_dag_value *result) {
    (void)result;
    CHECK_STATUS(coop_dag_call_fail(call, 3, 0, NULL, 0, no_value()), COOP_E_INVALID);
    CHECK_OK(coop_dag_call_fail(call, COOP_E_STALE, 0, NAME("on purpose"), number(77)));
    (void)arg;
    return COOP_E_STALE;
}
static coop_status odd(void *arg, coop_dag_call *call, coop_dag_value *result) {
    (void)arg, (void)call, (void)result;
    return 42;
}
static coop_status cancels(void *arg, coop_dag_call *call, coop_dag_value *result) {
    (void)arg;
    CHECK(!coop_dag_call_is_ended(call));
    CHECK_OK(coop_dag_call_cancel(call));
    CHECK(coop_dag_call_is_ended(call));
    CHECK_STATUS(coop_dag_call_cancel(call), COOP_E_STALE);
    *result = number(1);
    return COOP_OK;
}
static void gives_up(void *arg, coop_dag_call *call, coop_dag_completer *completer) {
    (void)arg, (void)call;
    CHECK_SAYS(coop_dag_completer_complete(completer, 7, no_value()), COOP_E_INVALID, "status is 7");
    coop_dag_completer_free(completer);
}

static void failing(coop_pool *pool, coop_event_loop *loop) {
    probe p = {0, 0};
    void *cause = NULL;
    coop_dag_builder *builder = new_builder();
    coop_dag_node_id bad = cpu_node(builder, "bad", fails, NULL, 0, NULL), behind = 0;
    coop_dag_node_id strange = cpu_node(builder, "odd", odd, NULL, 0, NULL);
    coop_dag_node_id given_up = io_node(builder, "gives up", gives_up, NULL, 0, NULL);
    coop_dag_node_id good = cpu_node(builder, "good", one, NULL, 0, NULL);
    CHECK_OK(add_named(builder, "behind", "bad", &p));
    coop_dag *dag = built(builder);
    CHECK_OK(coop_dag_index(dag, NAME("behind"), &behind));
    coop_dag_outcome *outcome = ended(dag, pool, loop);
    CHECK(coop_dag_outcome_result(outcome) != COOP_OK);
    CHECK_SAYS(coop_dag_outcome_failure(outcome, bad), COOP_E_STALE, "on purpose");
    CHECK_OK(coop_dag_outcome_cause(outcome, bad, &cause));
    CHECK_EQ(*(long long *)cause, 77);
    CHECK_SAYS(coop_dag_outcome_failure(outcome, strange), COOP_E_INVALID, "answered 42");
    CHECK_SAYS(coop_dag_outcome_failure(outcome, given_up), COOP_E_FAILED, "its completer was freed");
    CHECK_EQ(state_of(outcome, behind), COOP_DAG_CANCELLED);
    CHECK_EQ(state_of(outcome, bad), COOP_DAG_FAILED);
    CHECK_EQ(result_of(outcome, good), 1);
    CHECK_SAYS(coop_dag_outcome_value(outcome, bad, &cause), COOP_E_FAILED, "node \"bad\": on purpose");
    coop_dag_outcome_free(outcome);
    CHECK_EQ(runs(&p), 0);
    coop_dag_free(dag);
    wait_for_drops(&p, 1);
    wait_for_no_values();

    builder = new_builder();
    cpu_node(builder, "cancels", cancels, NULL, 0, NULL);
    CHECK_OK(add_named(builder, "after", "cancels", &p));
    dag = built(builder);
    outcome = ended(dag, pool, NULL);
    CHECK_SAYS(coop_dag_outcome_result(outcome), COOP_E_CANCELLED, "cancelled");
    coop_dag_outcome_free(outcome);
    coop_dag_free(dag);
    wait_for_drops(&p, 2);
    wait_for_no_values();
    CHECK_EQ(runs(&p), 0);
}

/* Nodes that never end by themselves: deadlines of the node and of the run, and cancels. */
typedef struct {
    coop_dag_completer *completer;
    probe given_up;
    latch begun;
} hanging;
static void hangs(void *arg, coop_dag_call *call, coop_dag_completer *completer) {
    hanging *h = arg;
    (void)call;
    h->completer = completer;
    CHECK_OK(coop_dag_completer_on_cancel(completer, counted(&h->given_up)));
    latch_open(&h->begun);
}
static void never_ends(coop_pool *pool, coop_event_loop *loop) {
    for (int how = 0; how < 3; how++) {
        static hanging h;
        static const hanging fresh = {NULL, {0, 0}, LATCH};
        coop_dag_builder *builder = new_builder();
        coop_dag_io_function function = {hangs, &h, NULL};
        coop_dag_node_options options = no_options();
        coop_dag_run_options of_run = {sizeof of_run, how == 1 ? 1000000 : how == 2 ? COOP_FOREVER : 0, 0, 0};
        coop_dag_run_callback nobody = {NULL, NULL, NULL};
        coop_dag_node_id node = 0;
        coop_dag_run_id id = 0;
        h = fresh;
        options.timeout_ns = how == 0 ? 1000000 : COOP_FOREVER;
        CHECK_OK(coop_dag_builder_io(builder, NAME("hangs"), &options, function, &node));
        coop_dag *dag = built(builder);
        CHECK_OK(coop_dag_run(dag, pool, loop, &of_run, NULL, 0, nobody, &id));
        if (how == 2) {
            latch_wait(&h.begun);
            CHECK_STATUS(coop_dag_run_join(dag, id, 0, NULL), COOP_E_TIMEOUT);
            CHECK_OK(coop_dag_run_cancel(dag, id));
            CHECK_SAYS(coop_dag_run_cancel(dag, id), COOP_E_TIMEOUT, "too late");
        }
        coop_dag_outcome *outcome = joined(dag, id);
        CHECK_STATUS(coop_dag_outcome_result(outcome), how == 2 ? COOP_E_CANCELLED : COOP_E_TIMEOUT);
        coop_dag_outcome_free(outcome);
        /* The run's deadline may come before the node has begun. */
        if (how == 1) {
            CHECK_STATUS(coop_dag_run_cancel(dag, id), COOP_E_STALE);
        }
        coop_dag_free(dag);
        coop_event_loop_post_and_wait(loop, counted(&(probe){0, 0}), LONG_NS);
        if (h.completer != NULL) {
            wait_for_drops(&h.given_up, 1);
            CHECK_EQ(runs(&h.given_up), 1);
            CHECK(coop_dag_completer_is_ended(h.completer));
            CHECK_STATUS(coop_dag_completer_on_cancel(h.completer, counted(&h.given_up)), COOP_E_CANCELLED);
            /* Too late, and dropped. */
            CHECK_OK(coop_dag_completer_complete(h.completer, COOP_OK, number(5)));
        }
        CHECK_EQ(live(), 0);
    }
}

/* The object under a run is freed while nodes of it run, wait and are queued: each run is told COOP_E_CLOSED, once. */
typedef struct {
    latch begun, go;
    probe told;
    coop_dag_completer *completers[64];
    int count, may_end_well;
} under;
static coop_status stays(void *arg, coop_dag_call *call, coop_dag_value *result) {
    under *u = arg;
    (void)call;
    latch_open(&u->begun);
    latch_wait(&u->go);
    *result = number(1);
    return COOP_OK;
}
static void waits(void *arg, coop_dag_call *call, coop_dag_completer *completer) {
    under *u = arg;
    (void)call;
    u->completers[u->count++] = completer;
    latch_open(&u->begun);
}
static void is_closed(void *arg, const coop_error *error, coop_dag_outcome *outcome) {
    under *u = arg;
    if (error != NULL || !u->may_end_well) {
        CHECK(error != NULL);
        CHECK_EQ(error->status, COOP_E_CLOSED);
        CHECK_STATUS(coop_dag_outcome_result(outcome), COOP_E_CLOSED);
    }
    count_run(&u->told);
    coop_dag_outcome_free(outcome);
}
static void told_dropped(void *arg) { count_drop(&((under *)arg)->told); }
static void goes(void *arg) { latch_open(&((under *)arg)->go); }
static void *opens_soon(void *arg) {
    usleep(20000);
    goes(arg);
    return NULL;
}

static void freed_under_runs(void) {
    enum { RUNS = 32 };
    for (int how = 0; how < 3; how++) {
        static under u;
        static const under fresh = {LATCH, LATCH, {0, 0}, {NULL}, 0, 0};
        coop_runtime *runtime = how == 2 ? new_runtime() : NULL;
        coop_pool *pool = runtime ? coop_runtime_pool(runtime) : new_pool(2);
        coop_event_loop *loop = runtime ? coop_runtime_event_loop(runtime) : new_loop();
        coop_dag_builder *builder = new_builder();
        coop_dag_run_callback callback = {is_closed, &u, told_dropped};
        pthread_t helper;
        u = fresh;
        /* What runs in the pool may be the last of its run. */
        u.may_end_well = how == 1;
        if (runtime) CHECK_OK(coop_runtime_start(runtime, COOP_START_RETURN));
        else CHECK_OK(coop_event_loop_start(loop));
        if (how != 1) io_node(builder, "waits", waits, &u, 0, NULL);
        else cpu_node(builder, "stays", stays, &u, 0, NULL);
        coop_dag *dag = built(builder);
        for (int i = 0; i < RUNS; i++) CHECK_OK(coop_dag_run(dag, pool, loop, NULL, NULL, 0, callback, NULL));
        latch_wait(&u.begun);
        coop_dag_free(dag);
        CHECK_EQ(pthread_create(&helper, NULL, opens_soon, &u), 0);
        if (how == 0) coop_event_loop_free(loop);
        if (how == 1) coop_pool_free(pool);
        if (how == 2) coop_runtime_free(runtime);
        pthread_join(helper, NULL);
        if (how == 0) coop_pool_free(pool);
        if (how == 1) coop_event_loop_free(loop);
        wait_for_drops(&u.told, RUNS);
        CHECK_EQ(runs(&u.told), RUNS);
        for (int i = 0; i < u.count; i++) CHECK_OK(coop_dag_completer_complete(u.completers[i], COOP_OK, number(1)));
        wait_for_no_values();
    }
}

/* 10^5 nodes side by side, and 10^6 in a row. */
static coop_status next(void *arg, coop_dag_call *call, coop_dag_value *result) {
    (void)arg;
    CHECK_OK(coop_dag_call_take(call, 0, result));
    ++*(long long *)result->value;
    return COOP_OK;
}
static void large(coop_pool *pool) {
    const size_t scale = UNDER_ASAN || UNDER_TSAN ? 10 : 1;
    for (int deep = 0; deep < 2; deep++) {
        const size_t nodes = (deep ? 1000000 : 100000) / scale;
        probe p = {0, 0};
        coop_dag_builder_options room = {sizeof room, nodes + 1};
        coop_dag_builder *builder = NULL;
        coop_dag_node_options options = no_options();
        coop_dag_function function = {deep ? next : counts_run, &p, NULL}, first = {one, NULL, NULL};
        coop_dag_node_id node = 0;
        coop_dag_ref reads;
        char name[32];
        CHECK_OK(coop_dag_builder_new(&room, &builder));
        CHECK_OK(coop_dag_builder_cpu(builder, NAME("first"), NULL, first, &node));
        for (size_t i = 0; i < nodes; i++) {
            snprintf(name, sizeof name, "%zu", i);
            reads = deep ? node_ref(node) : name_ref("first");
            if (deep) options.reads = &reads, options.read_count = 1;
            else options.after = &reads, options.after_count = 1;
            CHECK_OK(coop_dag_builder_cpu(builder, NAME(name), &options, function, &node));
        }
        coop_dag *dag = built(builder);
        coop_dag_outcome *outcome = ended(dag, pool, NULL);
        CHECK_OK(coop_dag_outcome_result(outcome));
        if (deep) CHECK_EQ(result_of(outcome, node), (long long)nodes + 1);
        else CHECK_EQ(runs(&p), nodes);
        coop_dag_outcome_free(outcome);
        coop_dag_free(dag);
        wait_for_no_values();
    }
}

int main(void) {
    coop_pool *pool = new_pool(2);
    coop_event_loop *loop = new_loop();
    CHECK_OK(coop_event_loop_start(loop));
    no_graph();
    wrong_inputs(pool);
    failing(pool, loop);
    never_ends(pool, loop);
    large(pool);
    freed_under_runs();
    coop_event_loop_free(loop);
    coop_pool_free(pool);
    return 0;
}
