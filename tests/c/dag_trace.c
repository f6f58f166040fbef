/* What is told of runs: a trace as JSON that parses and as a graph, the graph itself, and what nodes took over several runs. */
#include "dag.h"

static coop_pool *pool;
static coop_event_loop *loop;

/* A text that a callback was handed, and what was done with the callback. */
typedef struct {
    char *text;
    size_t length;
    int told, dropped;
} heard;
static void hear(void *arg, const char *text, size_t length) {
    heard *h = arg;
    CHECK(h->dropped == 0);
    h->told++;
    h->length = length;
    h->text = malloc(length + 1);
    memcpy(h->text, text, length);
    h->text[length] = '\0';
    CHECK_EQ(strlen(h->text), length);
}
static void heard_dropped(void *arg) { ((heard *)arg)->dropped++; }
static coop_text_callback into(heard *h) {
    coop_text_callback callback = {hear, h, heard_dropped};
    memset(h, 0, sizeof *h);
    return callback;
}
static void told_once(const heard *h) { CHECK(h->told == 1 && h->dropped == 1 && h->text != NULL); }
static void not_told(const heard *h) { CHECK(h->told == 0 && h->dropped == 0); }

/* Enough of a JSON parser to refuse what is none: each function returns what is behind a value. */
static const char *blanks(const char *at) { return at + strspn(at, " \t\r\n"); }
static const char *expect(const char *at, char what) {
    at = blanks(at);
    if (*at != what) FAIL("'%c' is missing at: %.40s", what, at);
    return blanks(at + 1);
}
static const char *json_string(const char *at) {
    for (at = expect(at, '"'); *at != '"'; at++) {
        CHECK((unsigned char)*at >= 0x20);
        if (*at != '\\') continue;
        at++;
        CHECK(*at != '\0' && strchr("\"\\/bfnrtu", *at) != NULL);
        if (*at == 'u') CHECK_EQ(strspn(at + 1, "0123456789abcdefABCDEF") >= 4, 1);
    }
    return blanks(at + 1);
}
static const char *json_value(const char *at) {
    at = blanks(at);
    if (*at == '"') return json_string(at);
    if (*at == '{' || *at == '[') {
        const char end = *at == '{' ? '}' : ']';
        at = blanks(at + 1);
        while (*at != end) {
            if (end == '}') at = expect(json_string(at), ':');
            at = json_value(at);
            if (*at != end) at = expect(at, ',');
        }
        return blanks(at + 1);
    }
    char *behind = NULL;
    strtod(at, &behind);
    if (behind == at) FAIL("no JSON at: %.40s", at);
    return blanks(behind);
}
/* The value of a key in the object that begins here; NULL if it has none. */
static const char *member(const char *object, const char *key) {
    const char *at = expect(object, '{');
    while (*at != '}') {
        const char *name = at + 1;
        at = expect(json_string(at), ':');
        if (strncmp(name, key, strlen(key)) == 0 && name[strlen(key)] == '"') return at;
        at = json_value(at);
        if (*at == ',') at = blanks(at + 1);
    }
    return NULL;
}
static bool is_string(const char *at, const char *text) {
    return at != NULL && *at == '"' && strncmp(at + 1, text, strlen(text)) == 0 && at[1 + strlen(text)] == '"';
}
static double number_at(const char *at) {
    CHECK(at != NULL);
    return strtod(at, NULL);
}
/* The event of this name and phase. */
static const char *event(const char *json, const char *name, const char *phase) {
    const char *at = expect(member(json, "traceEvents"), '[');
    while (*at != ']') {
        if (is_string(member(at, "name"), name) && is_string(member(at, "ph"), phase)) return at;
        at = json_value(at);
        if (*at == ',') at = blanks(at + 1);
    }
    return NULL;
}

static coop_status works(void *arg, coop_dag_call *call, coop_dag_value *result) {
    (void)arg, (void)call;
    usleep(2000);
    *result = number(1);
    return COOP_OK;
}
static coop_status fails(void *arg, coop_dag_call *call, coop_dag_value *result) {
    (void)arg, (void)call, (void)result;
    return COOP_E_FAILED;
}
static void answers(void *arg, coop_dag_call *call, coop_dag_completer *completer) {
    (void)arg, (void)call;
    CHECK_OK(coop_dag_completer_complete(completer, COOP_OK, number(2)));
}

static coop_dag_outcome *run(coop_dag *dag, int trace) {
    coop_dag_run_options options = {sizeof options, 0, 0, trace};
    coop_dag_run_callback nobody = {NULL, NULL, NULL};
    coop_dag_run_id id = 0;
    CHECK_OK(coop_dag_run(dag, pool, loop, &options, NULL, 0, nobody, &id));
    return joined(dag, id);
}

int main(void) {
    pool = new_pool(2);
    loop = new_loop();
    CHECK_OK(coop_event_loop_start(loop));

    coop_dag_builder *builder = new_builder();
    coop_dag_node_id cpu = cpu_node(builder, "a \"b\" \\ \n \xc3\xa4", works, NULL, 0, NULL);
    coop_dag_node_id io = io_node(builder, "io", answers, NULL, 1, &cpu);
    coop_dag_node_id bad = cpu_node(builder, "bad", fails, NULL, 0, NULL), behind = 0;
    coop_dag_function function = {works, NULL, NULL};
    coop_dag_node_options options = no_options();
    coop_dag_ref earlier = node_ref(bad);
    options.after = &earlier;
    options.after_count = 1;
    CHECK_OK(coop_dag_builder_cpu(builder, NAME("behind"), &options, function, &behind));
    coop_dag *dag = built(builder);

    heard h;
    coop_dag_statistics stats = {.size = sizeof stats};
    CHECK_OK(coop_dag_stats(dag, cpu, &stats));
    CHECK(stats.count == 0 && stats.ran_max_ns == 0);

    /* Without a trace there is none, and nothing is counted. */
    coop_dag_outcome *outcome = run(dag, 0);
    CHECK_SAYS(coop_dag_outcome_trace(outcome, COOP_DAG_CHROME_JSON, into(&h)), COOP_E_INVALID, "coop_dag_run_options.trace");
    not_told(&h);
    coop_dag_outcome_free(outcome);
    CHECK_OK(coop_dag_stats(dag, cpu, &stats));
    CHECK(stats.count == 0);

    coop_dag_outcome_free(run(dag, 1));
    outcome = run(dag, 1);
    CHECK_SAYS(coop_dag_outcome_trace(outcome, 2, into(&h)), COOP_E_INVALID, "format 2 is out of range");
    CHECK_STATUS(coop_dag_outcome_trace(outcome, -1, into(&h)), COOP_E_INVALID);
    not_told(&h);
    coop_text_callback nothing = {NULL, &h, heard_dropped};
    CHECK_SAYS(coop_dag_outcome_trace(outcome, 0, nothing), COOP_E_NULL, "callback.fn");
    CHECK_STATUS(coop_dag_dot(dag, nothing), COOP_E_NULL);
    CHECK_STATUS(coop_dag_dot(NULL, into(&h)), COOP_E_NULL);
    CHECK_STATUS(coop_dag_outcome_trace(NULL, 0, into(&h)), COOP_E_NULL);
    not_told(&h);

    CHECK_OK(coop_dag_outcome_trace(outcome, COOP_DAG_CHROME_JSON, into(&h)));
    told_once(&h);
    CHECK(*json_value(h.text) == '\0');
    const char *ran = event(h.text, "a \\\"b\\\" \\\\ \\n \xc3\xa4", "X");
    CHECK(ran != NULL && is_string(member(ran, "cat"), "cpu"));
    CHECK(number_at(member(ran, "dur")) >= 2000 && number_at(member(ran, "tid")) >= 1 && number_at(member(ran, "ts")) >= 0);
    CHECK(is_string(member(member(ran, "args"), "state"), "Done"));
    CHECK(number_at(member(member(ran, "args"), "waited_us")) >= 0);
    const char *began = event(h.text, "io", "b"), *ended_at = event(h.text, "io", "e");
    CHECK(began != NULL && ended_at != NULL);
    CHECK(number_at(member(began, "id")) == number_at(member(ended_at, "id")));
    /* What is read is there before, also by the clock. */
    CHECK(number_at(member(began, "ts")) + 0.001 >= number_at(member(ran, "ts")) + number_at(member(ran, "dur")));
    CHECK(number_at(member(ended_at, "ts")) >= number_at(member(began, "ts")));
    const char *failed = event(h.text, "bad", "X");
    CHECK(failed != NULL && is_string(member(member(failed, "args"), "state"), "Failed"));
    CHECK(event(h.text, "behind", "X") == NULL);
    free(h.text);

    CHECK_OK(coop_dag_outcome_trace(outcome, COOP_DAG_DOT, into(&h)));
    told_once(&h);
    CHECK(strncmp(h.text, "digraph", 7) == 0 && strstr(h.text, " us, waited ") != NULL && strstr(h.text, "lightcoral") != NULL);
    free(h.text);
    CHECK_OK(coop_dag_dot(dag, into(&h)));
    told_once(&h);
    CHECK(strncmp(h.text, "digraph", 7) == 0 && strstr(h.text, " us, waited ") == NULL);
    CHECK(strstr(h.text, "a \\\"b\\\" \\\\ ") != NULL && strstr(h.text, "label=\"io\", shape=ellipse") != NULL);
    CHECK(strstr(h.text, "n0 -> n1;") != NULL && strstr(h.text, "n2 -> n3 [style=dashed];") != NULL);
    free(h.text);

    CHECK_OK(coop_dag_stats(dag, cpu, &stats));
    CHECK(stats.count == 2 && stats.failures == 0);
    CHECK(stats.ran_min_ns >= 2000000 && stats.ran_min_ns <= stats.ran_mean_ns && stats.ran_mean_ns <= stats.ran_max_ns);
    CHECK(stats.ran_min_ns + stats.ran_max_ns == stats.ran_total_ns && stats.ran_total_ns / 2 == stats.ran_mean_ns);
    CHECK(stats.waited_min_ns >= 0 && stats.waited_min_ns + stats.waited_max_ns == stats.waited_total_ns);
    CHECK(stats.waited_min_ns <= stats.waited_mean_ns && stats.waited_mean_ns <= stats.waited_max_ns);
    CHECK_OK(coop_dag_stats(dag, bad, &stats));
    CHECK(stats.count == 2 && stats.failures == 2);
    CHECK_OK(coop_dag_stats(dag, io, &stats));
    CHECK(stats.count == 2 && stats.failures == 0);
    CHECK_OK(coop_dag_stats(dag, behind, &stats));
    CHECK(stats.count == 0 && stats.failures == 0 && stats.ran_total_ns == 0);
    CHECK_SAYS(coop_dag_stats(dag, 77, &stats), COOP_E_INVALID, "another graph");
    CHECK_STATUS(coop_dag_stats(dag, cpu, NULL), COOP_E_NULL);
    stats.size = 8;
    CHECK_SAYS(coop_dag_stats(dag, cpu, &stats), COOP_E_INVALID, "sizeof(coop_dag_statistics)");

    /* A trace outlives its graph. */
    coop_dag_free(dag);
    CHECK_OK(coop_dag_outcome_trace(outcome, COOP_DAG_CHROME_JSON, into(&h)));
    CHECK(event(h.text, "io", "b") != NULL);
    free(h.text);
    coop_dag_outcome_free(outcome);
    wait_for_no_values();
    coop_event_loop_free(loop);
    coop_pool_free(pool);
    return 0;
}
