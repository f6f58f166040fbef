/* coop::dag: graphs of tasks. What is computed runs in a pool, what waits waits on a loop, and each node begins when what it needs is
 * there.
 *
 *     auto builder = coop::dag_builder::create().value();
 *     auto name = builder.input<std::string>("name");
 *     auto length = builder.cpu("length", [](const std::string &name) { return name.size(); }, name);
 *     auto reply = builder.io("reply", [loop](const std::string &name) -> coop::task<std::string> {
 *         co_await coop::sleep_for(loop, 1ms);  // holds no thread
 *         co_return "hello " + name;
 *     }, name);
 *     auto both = builder.cpu("both", [](std::size_t length, std::string reply) { return reply + std::to_string(length); }, length, reply);
 *     coop::dag graph = builder.build().value();
 *
 *     coop::dag_run run = graph.run(runtime, std::move(coop::dag_inputs().with(name, "world")));
 *     coop::dag_outcome outcome = run.get().value();   // or co_await run
 *     std::string result = outcome.take(both).value();
 *
 * Lifetimes: 1. A graph ends while runs go on; what its functions hold is destroyed after the last of them. 2. Runs end before their graph
 * object, outcomes do not. 3. A result is destroyed once, after its last reader. A type that cannot be copied has one reader, who takes it.
 *
 * Threads: every call from any thread. Errors: as coop.h says. */
#ifndef COOP_DAG_HPP
#define COOP_DAG_HPP

#include <coop/dag_builder.hpp>
#include <coop/dag_run.hpp>
#include <coop/event_loop.hpp>
#include <coop/pool.hpp>

namespace coop {

/* COOP_DAG_*: what becomes of the rest of a run when a node fails. */
enum class on_failure : std::int32_t {
    cancel_dependents = COOP_DAG_CANCEL_DEPENDENTS, /* what depends on it is cancelled, and the rest runs */
    fail_fast = COOP_DAG_FAIL_FAST                  /* the run ends at once */
};

/* How a graph is run. */
struct dag_run_options {
    /* The run ends with errc::timeout if it takes longer; 0: at once. */
    coop::timeout timeout = forever;
    coop::on_failure on_failure = coop::on_failure::cancel_dependents;
    /* Takes the time of each node, for dag_outcome::trace and dag::stats. */
    bool trace = false;

    coop_dag_run_options c() const noexcept {
        coop_dag_run_options options{};
        options.size = sizeof options;
        options.timeout_ns = detail::dag_deadline(timeout);
        options.on_failure = static_cast<std::int32_t>(on_failure);
        options.trace = trace;
        return options;
    }
};

/* Values for the inputs of a graph; move only. */
class dag_inputs {
public:
    dag_inputs() = default;
    dag_inputs(dag_inputs &&other) noexcept : inputs_(std::exchange(other.inputs_, {})) {}
    dag_inputs &operator=(dag_inputs &&other) noexcept {
        std::swap(inputs_, other.inputs_);
        return *this;
    }
    ~dag_inputs() {
        for (const coop_dag_input &input : inputs_)
            if (input.value.drop) input.value.drop(input.value.value);
    }

    /* These, and a value for this one. */
    template <class T, class U = T>
    dag_inputs &with(const dag_node<T> &input, U &&value) & {
        inputs_.reserve(inputs_.size() + 1);
        inputs_.push_back({{input.id(), nullptr, 0}, detail::dag_box<T>::make(std::forward<U>(value))});
        return *this;
    }
    template <class T, class U = T>
    dag_inputs &&with(const dag_node<T> &input, U &&value) && {
        return std::move(with(input, std::forward<U>(value)));
    }

    const std::vector<coop_dag_input> &c() const noexcept { return inputs_; }
    /* They are the library's now. */
    void release() noexcept { inputs_.clear(); }

private:
    std::vector<coop_dag_input> inputs_;
};

/* What a node took, over the traced runs of its graph. */
using dag_statistics = coop_dag_statistics;

class dag {
public:
    /* An empty one: errc::null. */
    dag() noexcept = default;
    explicit dag(coop_dag *owned) noexcept : dag_(owned) {}
    dag(dag &&other) noexcept : dag_(std::exchange(other.dag_, nullptr)) {}
    dag &operator=(dag &&other) noexcept {
        if (this != &other) {
            free();
            dag_ = std::exchange(other.dag_, nullptr);
        }
        return *this;
    }
    ~dag() { free(); }

    /* Starts a run. Why it was not started is answered by the run: by join, get and co_await. */
    dag_run run(pool_ref pool, event_loop_ref loop, dag_inputs inputs = {}, const dag_run_options &options = {}) const {
        const coop_dag_run_options c = options.c();
        coop_dag_run_id id = 0;
        const coop_status status = coop_dag_run(dag_, pool.get(), loop.get(), &c, inputs.c().data(), inputs.c().size(),
                                                {nullptr, nullptr, nullptr}, &id);
        if (status != COOP_OK) return dag_run(coop::error::last(status));
        inputs.release();
        return dag_run(dag_, id);
    }
    /* On the pool and the loop of a runtime. */
    template <class Runtime>
        requires requires(const Runtime &runtime) { runtime.pool(), runtime.event_loop(); }
    dag_run run(const Runtime &runtime, dag_inputs inputs = {}, const dag_run_options &options = {}) const {
        return run(runtime.pool(), runtime.event_loop(), std::move(inputs), options);
    }

    /* How many nodes it has. */
    std::size_t len() const noexcept {
        std::size_t nodes = 0;
        static_cast<void>(coop_dag_len(dag_, &nodes));
        return nodes;
    }
    /* The node of this name, whose result is a T; also one that was inserted. */
    template <class T = void>
    result<dag_node<T>> index(std::string_view name) const {
        coop_dag_node_id id = 0;
        const coop_status status = coop_dag_index(dag_, name.data(), name.size(), &id);
        return detail::answer<dag_node<T>>(status, id);
    }
    /* The name of a node, there as long as the graph is. */
    result<std::string_view> name(const dag_ref &node) const noexcept {
        const char *text = nullptr;
        std::size_t length = 0;
        const coop_status status = coop_dag_name(dag_, node.id(), &text, &length);
        return detail::answer<std::string_view>(status, std::string_view(text, length));
    }

    /* What it looks like, for Graphviz: nodes that wait on the loop are round, edges that carry no result are dashed. */
    result<std::string> dot() const {
        return detail::dag_text([&](coop_text_callback c) { return coop_dag_dot(dag_, c); });
    }
    /* What a node took in all runs with dag_run_options::trace that have ended. */
    result<dag_statistics> stats(const dag_ref &node) const noexcept {
        dag_statistics counted{};
        counted.size = sizeof counted;
        const coop_status status = coop_dag_stats(dag_, node.id(), &counted);
        return detail::answer<dag_statistics>(status, counted);
    }

    /* Ends it now, as the destructor does; runs go on. */
    void free() noexcept { coop_dag_free(std::exchange(dag_, nullptr)); }
    explicit operator bool() const noexcept { return dag_ != nullptr; }
    coop_dag *get() const noexcept { return dag_; }

private:
    coop_dag *dag_ = nullptr;
};

inline void dag_builder::insert(std::string_view prefix, const dag &graph, std::initializer_list<dag_binding> bindings) {
    std::vector<coop_dag_binding> all;
    for (const dag_binding &one : bindings) all.push_back({one.input.data(), one.input.size(), one.node.c()});
    keep(coop_dag_builder_insert(builder_, prefix.data(), prefix.size(), graph.get(), all.data(), all.size()));
}

inline result<dag> dag_builder::build() {
    if (refused_) return *refused_;
    coop_dag *made = nullptr;
    const coop_status status = coop_dag_builder_build(builder_, &made);
    return detail::answer<dag>(status, made);
}

}  // namespace coop

#endif  // COOP_DAG_HPP
