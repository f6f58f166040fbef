/* Graphs: values go from node to node and are dropped once, options say how nodes run, and runs are told and waited for. */
#include "dag.h"

static coop_pool *pool;
static coop_event_loop *loop;

static coop_status one(void *arg, coop_dag_call *call, coop_dag_value *result) {
    (void)arg;
    CHECK_EQ(coop_dag_call_reads(call), 0);
    *result = number(1);
    return COOP_OK;
}
static coop_status add(void *arg, coop_dag_call *call, coop_dag_value *result) {
    long long sum = 0;
    (void)arg;
    for (size_t i = 0; i < coop_dag_call_reads(call); i++) sum += read_number(call, i);
    *result = number(sum);
    return COOP_OK;
}

/* a -> b, c -> d, of which d reads both, on the pool alone. */
static void diamond(void) {
    coop_dag_builder *builder = new_builder();
    coop_dag_node_id a = cpu_node(builder, "a", one, NULL, 0, NULL);
    coop_dag_node_id b = cpu_node(builder, "b", add, NULL, 1, &a);
    coop_dag_node_id c = cpu_node(builder, "c", add, NULL, 1, &a);
    coop_dag_node_id both[2], d, found = 0;
    const char *name = NULL;
    size_t length = 0;
    both[0] = b;
    both[1] = c;
    d = cpu_node(builder, "d", add, NULL, 2, both);
    coop_dag *dag = built(builder);
    CHECK_OK(coop_dag_len(dag, &length));
    CHECK_EQ(length, 4);
    CHECK_OK(coop_dag_index(dag, NAME("d"), &found));
    CHECK(found == d);
    CHECK_OK(coop_dag_name(dag, c, &name, &length));
    CHECK(length == 1 && name[0] == 'c');
    CHECK_SAYS(coop_dag_index(dag, NAME("e"), &found), COOP_E_INVALID, "no node \"e\"");
    CHECK_SAYS(coop_dag_name(dag, 77, &name, &length), COOP_E_INVALID, "another graph");

    for (int i = 0; i < 100; i++) {
        coop_dag_outcome *outcome = ended(dag, pool, NULL);
        void *value = NULL;
        coop_dag_value taken;
        CHECK_OK(coop_dag_outcome_result(outcome));
        CHECK_EQ(result_of(outcome, d), 2);
        CHECK_EQ(state_of(outcome, a), COOP_DAG_DONE);
        CHECK_SAYS(coop_dag_outcome_value(outcome, a, &value), COOP_E_INVALID, "not kept");
        CHECK_OK(coop_dag_outcome_failure(outcome, d));
        CHECK_OK(coop_dag_outcome_take(outcome, d, &taken));
        CHECK_STATUS(coop_dag_outcome_value(outcome, d, &value), COOP_E_STALE);
        coop_dag_outcome_free(outcome);
        CHECK_EQ(*(long long *)taken.value, 2);
        taken.drop(taken.value);
    }
    coop_dag_free(dag);
    wait_for_no_values();
}

/* What a sole reader takes it may change and hand on; one of several may only look. */
static coop_status take_and_hand_on(void *arg, coop_dag_call *call, coop_dag_value *result) {
    void *gone = NULL;
    (void)arg;
    CHECK_OK(coop_dag_call_take(call, 0, result));
    CHECK_STATUS(coop_dag_call_value(call, 0, &gone), COOP_E_STALE);
    *(long long *)result->value += 10;
    return COOP_OK;
}
static coop_status only_look(void *arg, coop_dag_call *call, coop_dag_value *result) {
    latch *both = arg;
    coop_dag_value taken;
    void *value = NULL;
    /* The other reader waits too, so neither is the last. */
    CHECK_SAYS(coop_dag_call_take(call, 0, &taken), COOP_E_EXISTS, "others read it");
    CHECK_STATUS(coop_dag_call_value(call, 1, &value), COOP_E_INVALID);
    latch_open(&both[coop_dag_call_attempt(call)]);
    *result = number(read_number(call, 0));
    return COOP_OK;
}
static void taking(void) {
    static latch unused[2] = {LATCH, LATCH};
    coop_dag_builder *builder = new_builder();
    coop_dag_node_id input = 0;
    coop_dag_node_options keep = no_options();
    coop_dag_ref reads;
    coop_dag_function looks = {only_look, unused, NULL};
    coop_dag_run_callback nobody = {NULL, NULL, NULL};
    coop_dag_input given;
    coop_dag_run_id id = 0;
    coop_dag_node_id looked = 0, handed;
    CHECK_OK(coop_dag_builder_input(builder, NAME("n"), &input));
    handed = cpu_node(builder, "handed", take_and_hand_on, NULL, 1, &input);
    keep.keep = 1;
    /* Kept for the outcome, so its reader is not the only one. */
    coop_dag_function makes = {one, NULL, NULL};
    coop_dag_node_id kept = 0;
    CHECK_OK(coop_dag_builder_cpu(builder, NAME("kept"), &keep, makes, &kept));
    keep = no_options();
    reads = node_ref(kept);
    keep.reads = &reads;
    keep.read_count = 1;
    CHECK_OK(coop_dag_builder_cpu(builder, NAME("looked"), &keep, looks, &looked));
    coop_dag *dag = built(builder);
    given.node = name_ref("n");
    given.value = number(5);
    CHECK_OK(coop_dag_run(dag, pool, NULL, NULL, &given, 1, nobody, &id));
    coop_dag_outcome *outcome = joined(dag, id);
    CHECK_OK(coop_dag_outcome_result(outcome));
    CHECK_EQ(result_of(outcome, handed), 15);
    CHECK_EQ(result_of(outcome, kept), 1);
    CHECK_EQ(result_of(outcome, looked), 1);
    CHECK_STATUS(coop_dag_run_join(dag, id, 0, NULL), COOP_E_STALE);
    coop_dag_free(dag);
    /* It outlives its graph. */
    CHECK_EQ(result_of(outcome, handed), 15);
    coop_dag_outcome_free(outcome);
    wait_for_no_values();
}

/* An I/O node that a timer completes; its value is there until then. */
typedef struct {
    coop_dag_completer *completer;
    const long long *read;
} delayed;
static void timer_fires(void *arg, uint64_t times) {
    delayed *d = arg;
    (void)times;
    CHECK(!coop_dag_completer_is_ended(d->completer));
    CHECK_OK(coop_dag_completer_complete(d->completer, COOP_OK, number(*d->read * 2)));
}
static void double_later(void *arg, coop_dag_call *call, coop_dag_completer *completer) {
    coop_timer_options options;
    coop_timer_callback callback = {timer_fires, NULL, free};
    delayed *d = malloc(sizeof *d);
    void *value = NULL;
    (void)arg;
    CHECK(coop_event_loop_is_loop_thread(loop));
    CHECK_OK(coop_dag_call_value(call, 0, &value));
    d->completer = completer;
    d->read = value;
    callback.arg = d;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.after_ns = 1000000;
    CHECK_OK(coop_event_loop_timer(loop, &options, callback, NULL));
}
static void at_once(void *arg, coop_dag_call *call, coop_dag_completer *completer) {
    const char *name = NULL;
    size_t length = 0;
    (void)arg;
    CHECK_OK(coop_dag_call_name(call, &name, &length));
    CHECK(length == 7 && memcmp(name, "at once", 7) == 0);
    CHECK_OK(coop_dag_completer_complete(completer, COOP_OK, number(3)));
}
static void io_nodes(void) {
    coop_dag_builder *builder = new_builder();
    coop_dag_node_id first = io_node(builder, "at once", at_once, NULL, 0, NULL);
    coop_dag_node_id second = io_node(builder, "double", double_later, NULL, 1, &first);
    coop_dag_node_id third = cpu_node(builder, "add", add, NULL, 1, &second);
    coop_dag *dag = built(builder);
    coop_dag_run_callback nobody = {NULL, NULL, NULL};
    CHECK_SAYS(coop_dag_run(dag, pool, NULL, NULL, NULL, 0, nobody, NULL), COOP_E_INVALID, "an event loop is needed");
    for (int i = 0; i < 20; i++) {
        coop_dag_outcome *outcome = ended(dag, pool, loop);
        CHECK_OK(coop_dag_outcome_result(outcome));
        CHECK_EQ(result_of(outcome, third), 6);
        coop_dag_outcome_free(outcome);
    }
    coop_dag_free(dag);
    wait_for_no_values();
}

/* Skips and retries. */
static bool never(void *arg, coop_dag_call *call) {
    coop_dag_value taken;
    count_run(arg);
    CHECK_EQ(read_number(call, 0), 1);
    CHECK_STATUS(coop_dag_call_take(call, 0, &taken), COOP_E_EXISTS);
    return false;
}
static coop_status says_skip(void *arg, coop_dag_call *call, coop_dag_value *result) {
    (void)arg, (void)call, (void)result;
    return COOP_DAG_SKIP;
}
static coop_status runs_all_the_same(void *arg, coop_dag_call *call, coop_dag_value *result) {
    void *value = NULL;
    (void)arg;
    CHECK_STATUS(coop_dag_call_value(call, 0, &value), COOP_E_CANCELLED);
    *result = number(9);
    return COOP_OK;
}
static coop_status third_time(void *arg, coop_dag_call *call, coop_dag_value *result) {
    count_run(arg);
    if (coop_dag_call_attempt(call) < 2) return COOP_E_FAILED;
    *result = number(coop_dag_call_attempt(call));
    return COOP_OK;
}
static void third_time_io(void *arg, coop_dag_call *call, coop_dag_completer *completer) {
    count_run(arg);
    if (coop_dag_call_attempt(call) < 2)
        CHECK_OK(coop_dag_completer_fail(completer, COOP_E_OS, 5, NAME("no luck"), no_value()));
    else
        CHECK_OK(coop_dag_completer_complete(completer, COOP_OK, number(4)));
}
static void skips_and_retries(void) {
    probe asked = {0, 0}, tried = {0, 0}, tried_io = {0, 0};
    coop_dag_builder *builder = new_builder();
    coop_dag_node_id a = cpu_node(builder, "a", one, NULL, 0, NULL), conditional = 0, same = 0, tries = 0, tries_io = 0;
    coop_dag_node_id said = cpu_node(builder, "says", says_skip, NULL, 0, NULL);
    coop_dag_node_id behind = cpu_node(builder, "behind", add, NULL, 1, &said);
    coop_dag_node_options options = no_options();
    coop_dag_predicate only_if = {never, &asked, count_drop};
    coop_dag_function adds = {add, NULL, NULL}, all_the_same = {runs_all_the_same, NULL, NULL};
    coop_dag_function retried = {third_time, &tried, count_drop};
    coop_dag_io_function retried_io = {third_time_io, &tried_io, count_drop};
    coop_dag_ref reads = node_ref(a), after = name_ref("says");
    options.reads = &reads;
    options.read_count = 1;
    options.only_if = &only_if;
    CHECK_OK(coop_dag_builder_cpu(builder, NAME("conditional"), &options, adds, &conditional));
    reads = name_ref("conditional");
    options.only_if = NULL;
    options.after = &after;
    options.after_count = 1;
    options.even_if_skipped = 1;
    CHECK_OK(coop_dag_builder_cpu(builder, NAME("same"), &options, all_the_same, &same));
    options = no_options();
    options.retries = 2;
    CHECK_OK(coop_dag_builder_cpu(builder, NAME("tries"), &options, retried, &tries));
    options.backoff_ns = 1000;
    options.timeout_ns = LONG_NS;
    CHECK_OK(coop_dag_builder_io(builder, NAME("tries io"), &options, retried_io, &tries_io));
    coop_dag *dag = built(builder);
    coop_dag_outcome *outcome = ended(dag, pool, loop);
    CHECK_OK(coop_dag_outcome_result(outcome));
    CHECK_EQ(state_of(outcome, conditional), COOP_DAG_SKIPPED);
    CHECK_EQ(state_of(outcome, said), COOP_DAG_SKIPPED);
    CHECK_EQ(state_of(outcome, behind), COOP_DAG_SKIPPED);
    CHECK_EQ(result_of(outcome, same), 9);
    CHECK_EQ(result_of(outcome, tries), 2);
    CHECK_EQ(result_of(outcome, tries_io), 4);
    coop_dag_outcome_free(outcome);
    CHECK_EQ(runs(&asked), 1);
    CHECK_EQ(runs(&tried), 3);
    CHECK_EQ(runs(&tried_io), 3);
    coop_dag_free(dag);
    wait_for_no_values();
    for (long waited = 0; drops(&asked) + drops(&tried) + drops(&tried_io) < 3; waited++) {
        CHECK(waited < 60000);
        usleep(1000);
    }
    CHECK_EQ(drops(&asked), 1);
    CHECK_EQ(drops(&tried), 1);
    CHECK_EQ(drops(&tried_io), 1);
}

/* A graph inside of another one, twice. */
static void insertion(void) {
    coop_dag_builder *builder = new_builder();
    coop_dag_node_id x = 0, a, found = 0;
    coop_dag_binding binding;
    CHECK_OK(coop_dag_builder_input(builder, NAME("x"), &x));
    cpu_node(builder, "sum", add, NULL, 1, &x);
    coop_dag *inner = built(builder);
    builder = new_builder();
    a = cpu_node(builder, "a", one, NULL, 0, NULL);
    binding.input = "x";
    binding.input_length = 1;
    binding.node = node_ref(a);
    CHECK_SAYS(coop_dag_builder_insert(builder, NAME("p"), inner, NULL, 0), COOP_E_INVALID, "its input \"x\" is not given");
    CHECK_OK(coop_dag_builder_insert(builder, NAME("p"), inner, &binding, 1));
    binding.node = name_ref("p/sum");
    CHECK_OK(coop_dag_builder_insert(builder, NAME("q"), inner, &binding, 1));
    CHECK_STATUS(coop_dag_builder_insert(builder, NAME("q"), inner, &binding, 1), COOP_E_EXISTS);
    coop_dag_free(inner);
    coop_dag *dag = built(builder);
    CHECK_OK(coop_dag_index(dag, NAME("q/sum"), &found));
    coop_dag_outcome *outcome = ended(dag, pool, NULL);
    CHECK_EQ(result_of(outcome, found), 1);
    coop_dag_outcome_free(outcome);
    coop_dag_free(dag);
    wait_for_no_values();
}

/* Runs that are told, at once and later, and many at the same time. */
typedef struct {
    latch told;
    coop_dag_node_id node;
    long long result;
    int drops;
} listener;
static void hears(void *arg, const coop_error *error, coop_dag_outcome *outcome) {
    listener *l = arg;
    CHECK(error == NULL);
    l->result = result_of(outcome, l->node);
    coop_dag_outcome_free(outcome);
}
static void heard(void *arg) {
    listener *l = arg;
    l->drops++;
    latch_open(&l->told);
}
static void telling(void) {
    enum { MANY = 64 };
    static listener listeners[MANY];
    static const listener fresh = {LATCH, 0, 0, 0};
    coop_dag_builder *builder = new_builder();
    coop_dag_node_id a = cpu_node(builder, "a", one, NULL, 0, NULL);
    coop_dag_node_id b = io_node(builder, "b", double_later, NULL, 1, &a);
    coop_dag *dag = built(builder);
    for (int i = 0; i < MANY; i++) {
        coop_dag_run_callback callback = {hears, &listeners[i], heard};
        coop_dag_run_id id = 0;
        listeners[i] = fresh;
        listeners[i].node = b;
        if (i % 2 == 0) {
            CHECK_OK(coop_dag_run(dag, pool, loop, NULL, NULL, 0, callback, NULL));
        } else {
            id = started(dag, pool, loop);
            CHECK_OK(coop_dag_run_then(dag, id, callback));
            CHECK_OK(coop_dag_run_release(dag, id));
            CHECK_STATUS(coop_dag_run_then(dag, id, callback), COOP_E_STALE);
            CHECK_STATUS(coop_dag_run_release(dag, id), COOP_E_STALE);
        }
    }
    coop_dag_free(dag);
    for (int i = 0; i < MANY; i++) {
        latch_wait(&listeners[i].told);
        CHECK_EQ(listeners[i].result, 2);
        CHECK_EQ(listeners[i].drops, 1);
    }
    wait_for_no_values();
}

int main(void) {
    pool = new_pool(2);
    loop = new_loop();
    CHECK_OK(coop_event_loop_start(loop));
    diamond();
    taking();
    io_nodes();
    skips_and_retries();
    insertion();
    telling();
    coop_event_loop_free(loop);
    coop_pool_free(pool);
    return 0;
}
