/* What the tests of graphs share: nodes in one line, counted values, and runs that are waited for. */
#ifndef COOP_TEST_DAG_H
#define COOP_TEST_DAG_H

#include "check.h"

#define NAME(text) (text), strlen(text)

static UNUSED coop_dag_builder *new_builder(void) {
    coop_dag_builder *builder = NULL;
    CHECK_OK(coop_dag_builder_new(NULL, &builder));
    return builder;
}

static UNUSED coop_dag_ref node_ref(coop_dag_node_id node) {
    coop_dag_ref ref = {node, NULL, 0};
    return ref;
}
static UNUSED coop_dag_ref name_ref(const char *name) {
    coop_dag_ref ref = {0, name, 0};
    ref.name_length = strlen(name);
    return ref;
}
static UNUSED coop_dag_node_options no_options(void) {
    coop_dag_node_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    return options;
}

/* Every value here is a number that lives in memory of its own, and how many are there is counted. */
static int live_values;
static UNUSED int live(void) { return __atomic_load_n(&live_values, __ATOMIC_SEQ_CST); }
static UNUSED void drop_number(void *value) {
    free(value);
    __atomic_sub_fetch(&live_values, 1, __ATOMIC_SEQ_CST);
}
static UNUSED coop_dag_value number(long long n) {
    coop_dag_value value = {malloc(sizeof(long long)), drop_number};
    *(long long *)value.value = n;
    __atomic_add_fetch(&live_values, 1, __ATOMIC_SEQ_CST);
    return value;
}
static UNUSED coop_dag_value no_value(void) {
    coop_dag_value value = {NULL, NULL};
    return value;
}
static UNUSED long long read_number(coop_dag_call *call, size_t index) {
    void *value = NULL;
    CHECK_OK(coop_dag_call_value(call, index, &value));
    return *(long long *)value;
}

enum { MOST_READS = 8 };

/* Options of a node that reads these; refs is theirs. */
static UNUSED coop_dag_node_options reading(coop_dag_ref *refs, size_t count, const coop_dag_node_id *reads) {
    coop_dag_node_options options = no_options();
    CHECK(count <= MOST_READS);
    for (size_t i = 0; i < count; i++) refs[i] = node_ref(reads[i]);
    options.reads = refs;
    options.read_count = count;
    return options;
}

/* Adds a node that reads these. */
static UNUSED coop_dag_node_id cpu_node(coop_dag_builder *builder, const char *name,
                                        coop_status (*fn)(void *, coop_dag_call *, coop_dag_value *), void *arg,
                                        size_t count, const coop_dag_node_id *reads) {
    coop_dag_function function = {fn, arg, NULL};
    coop_dag_ref refs[MOST_READS];
    coop_dag_node_options options = reading(refs, count, reads);
    coop_dag_node_id made = 0;
    CHECK_OK(coop_dag_builder_cpu(builder, NAME(name), &options, function, &made));
    return made;
}
static UNUSED coop_dag_node_id io_node(coop_dag_builder *builder, const char *name,
                                       void (*fn)(void *, coop_dag_call *, coop_dag_completer *), void *arg,
                                       size_t count, const coop_dag_node_id *reads) {
    coop_dag_io_function function = {fn, arg, NULL};
    coop_dag_ref refs[MOST_READS];
    coop_dag_node_options options = reading(refs, count, reads);
    coop_dag_node_id made = 0;
    CHECK_OK(coop_dag_builder_io(builder, NAME(name), &options, function, &made));
    return made;
}

static UNUSED coop_dag *built(coop_dag_builder *builder) {
    coop_dag *dag = NULL;
    CHECK_OK(coop_dag_builder_build(builder, &dag));
    coop_dag_builder_free(builder);
    return dag;
}

static UNUSED coop_dag_run_id started(coop_dag *dag, coop_pool *pool, coop_event_loop *loop) {
    coop_dag_run_callback nobody = {NULL, NULL, NULL};
    coop_dag_run_id id = 0;
    CHECK_OK(coop_dag_run(dag, pool, loop, NULL, NULL, 0, nobody, &id));
    return id;
}
static UNUSED coop_dag_outcome *joined(coop_dag *dag, coop_dag_run_id id) {
    coop_dag_outcome *outcome = NULL;
    CHECK_OK(coop_dag_run_join(dag, id, LONG_NS * 2, &outcome));
    return outcome;
}
static UNUSED coop_dag_outcome *ended(coop_dag *dag, coop_pool *pool, coop_event_loop *loop) {
    return joined(dag, started(dag, pool, loop));
}
static UNUSED long long result_of(coop_dag_outcome *outcome, coop_dag_node_id node) {
    void *value = NULL;
    CHECK_OK(coop_dag_outcome_value(outcome, node, &value));
    return *(long long *)value;
}
static UNUSED int state_of(coop_dag_outcome *outcome, coop_dag_node_id node) {
    int32_t state = -1;
    CHECK_OK(coop_dag_outcome_state(outcome, node, &state));
    return state;
}
/* What a worker still holds of a run that has ended is dropped soon after. */
static UNUSED void wait_for_no_values(void) {
    for (long waited = 0; live() != 0; waited++) {
        if (waited > 60000) FAIL("%d values were not dropped", live());
        usleep(1000);
    }
}

#endif
