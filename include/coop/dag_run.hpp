/* coop::dag_run and coop::dag_outcome: a run of a graph, and what it has made. See coop/dag.hpp. */
#ifndef COOP_DAG_RUN_HPP
#define COOP_DAG_RUN_HPP

#include <coop/dag_node.hpp>
#include <coop/detail/later.hpp>

namespace coop {

/* COOP_DAG_*: what became of a node. */
enum class dag_state : std::int32_t {
    cancelled = COOP_DAG_CANCELLED, /* the run ended before it did, or what it depends on failed */
    running = COOP_DAG_RUNNING,     /* in the pool, although its run has ended */
    done = COOP_DAG_DONE,
    skipped = COOP_DAG_SKIPPED,
    failed = COOP_DAG_FAILED
};

/* COOP_DAG_*: how a trace is written. */
enum class dag_format : std::int32_t {
    chrome_json = COOP_DAG_CHROME_JSON, /* for chrome://tracing and Perfetto */
    dot = COOP_DAG_DOT                  /* for Graphviz, with times */
};

namespace detail {

/* What ask(callback) has told, as a string. */
template <class Ask>
result<std::string> dag_text(Ask &&ask) {
    std::string told;
    callback<coop_text_callback, runs::once, const char *, std::size_t> keep(
        [&told](const char *text, std::size_t length) { told.assign(text, length); });
    result<void> asked = keep.give(std::forward<Ask>(ask));
    if (!asked) return std::move(asked).failure();
    return told;
}

}  // namespace detail

/* How a run ended, and the results that nobody has taken. It outlives its graph. */
class dag_outcome {
public:
    dag_outcome() noexcept = default;
    explicit dag_outcome(coop_dag_outcome *owned) noexcept : outcome_(owned) {}
    dag_outcome(dag_outcome &&other) noexcept : outcome_(std::exchange(other.outcome_, nullptr)) {}
    dag_outcome &operator=(dag_outcome &&other) noexcept {
        if (this != &other) {
            free();
            outcome_ = std::exchange(other.outcome_, nullptr);
        }
        return *this;
    }
    ~dag_outcome() { free(); }

    /* How the run ended: the words name the first node that failed. */
    coop::result<void> result() const noexcept { return detail::answer(coop_dag_outcome_result(outcome_)); }

    /* What became of a node. */
    coop::result<dag_state> state(const dag_ref &node) const noexcept {
        std::int32_t state = 0;
        const coop_status status = coop_dag_outcome_state(outcome_, node.id(), &state);
        return detail::answer<dag_state>(status, static_cast<dag_state>(state));
    }

    /* Why a node has failed; no error if it has not. */
    coop::result<void> failure(const dag_ref &node) const noexcept {
        return detail::answer(coop_dag_outcome_failure(outcome_, node.id()));
    }
#if defined(__cpp_exceptions)
    /* What a node has thrown; null if it has not. */
    std::exception_ptr cause(const dag_ref &node) const noexcept {
        void *thrown = nullptr;
        if (coop_dag_outcome_cause(outcome_, node.id(), &thrown) != COOP_OK || !thrown) return nullptr;
        return *static_cast<const std::exception_ptr *>(thrown);
    }
#endif

    /* A node's result, there until it is taken, or the outcome is gone. */
    template <class T>
        requires(!std::is_void_v<T>)
    coop::result<const T *> value(const dag_node<T> &node) const {
        void *found = nullptr;
        const coop_status status = coop_dag_outcome_value(outcome_, node.id(), &found);
        return detail::answer<const T *>(status, static_cast<const T *>(found));
    }
    /* A node's result, once. */
    template <class T>
        requires(!std::is_void_v<T>)
    coop::result<T> take(const dag_node<T> &node) const {
        coop_dag_value found{};
        if (const coop_status status = coop_dag_outcome_take(outcome_, node.id(), &found)) return coop::error::last(status);
        const std::unique_ptr<T> own(static_cast<T *>(found.value));
        return std::move(*own);
    }

    /* When its nodes were ready, began and ended, of a run with dag_run_options::trace. */
    coop::result<std::string> trace(dag_format format = dag_format::chrome_json) const {
        return detail::dag_text([&](coop_text_callback c) { return coop_dag_outcome_trace(outcome_, static_cast<std::int32_t>(format), c); });
    }

    /* Ends it now, as the destructor does. */
    void free() noexcept { coop_dag_outcome_free(std::exchange(outcome_, nullptr)); }
    explicit operator bool() const noexcept { return outcome_ != nullptr; }
    coop_dag_outcome *get() const noexcept { return outcome_; }

private:
    coop_dag_outcome *outcome_ = nullptr;
};

namespace coro {

class dag_awaiter : public later<dag_outcome> {
public:
    dag_awaiter(coop_dag *dag, coop_dag_run_id id, const std::optional<coop::error> &refused) : dag_(dag), id_(id) {
        if (refused) result_ = *refused;
        else ready_ = false;
    }
    bool await_ready() const noexcept { return ready_; }

    template <class P>
    bool await_suspend(std::coroutine_handle<P> coroutine) {
        return suspend(coroutine, [this](record *mine) { return coop_dag_run_then(dag_, id_, {&told, mine, nullptr}); });
    }

private:
    static void told(void *arg, const coop_error *, coop_dag_outcome *made) noexcept {
        dag_outcome outcome(made);
        tell(arg, [&](later &) { return result<dag_outcome>(std::move(outcome)); });
    }

    coop_dag *dag_;
    coop_dag_run_id id_;
    bool ready_ = true;
};

}  // namespace coro

/* A run that was started, or why it was not: to wait for it, or to end it.
 *
 * Lifetimes: its end lets the run go on. It ends before its graph does. Threads: any thread may join and cancel; one awaits it. */
class dag_run {
public:
    /* An empty one: errc::null. */
    dag_run() noexcept = default;
    /* Owns a C id from now on. */
    dag_run(coop_dag *dag, coop_dag_run_id id) noexcept : dag_(dag), id_(id) {}
    /* One that was not started. */
    explicit dag_run(coop::error why) noexcept : refused_(std::move(why)) {}

    dag_run(dag_run &&other) noexcept
        : dag_(std::exchange(other.dag_, nullptr)), id_(std::exchange(other.id_, 0)), refused_(std::move(other.refused_)) {}
    dag_run &operator=(dag_run &&other) noexcept {
        if (this != &other) {
            let_go();
            dag_ = std::exchange(other.dag_, nullptr);
            id_ = std::exchange(other.id_, 0);
            refused_ = std::move(other.refused_);
        }
        return *this;
    }
    ~dag_run() { let_go(); }

    /* Waits for the run's end, once. errc::timeout and errc::would_deadlock change nothing. */
    result<dag_outcome> join(timeout limit = forever) const {
        if (refused_) return *refused_;
        coop_dag_outcome *made = nullptr;
        const coop_status status = coop_dag_run_join(dag_, id_, limit.ns(), &made);
        return detail::answer<dag_outcome>(status, made);
    }
    /* The same, and the outcome is that of a run that has ended well: else its failure. */
    result<dag_outcome> get(timeout limit = forever) const {
        result<dag_outcome> outcome = join(limit);
        if (!outcome) return outcome;
        if (result<void> ended = outcome->result(); !ended) return std::move(ended).failure();
        return outcome;
    }
    /* co_await run: the outcome, without a thread that waits. Once. */
    auto operator co_await() const { return coro::dag_awaiter(dag_, id_, refused_); }

    /* Has f(result<void> ended, dag_outcome) called once, by the thread that ends the run, or here and now if it has ended. */
    template <class F>
    result<void> then(F &&f) const {
        if (refused_) return *refused_;
        auto told = [f = std::decay_t<F>(std::forward<F>(f))](const coop_error *failed, coop_dag_outcome *made) mutable {
            dag_outcome outcome(made);
            std::invoke(std::move(f), failed ? result<void>(coop::error::of(*failed)) : result<void>(), std::move(outcome));
        };
        detail::callback<coop_dag_run_callback, detail::runs::once, const coop_error *, coop_dag_outcome *> callback(std::move(told));
        return callback.give([&](coop_dag_run_callback c) { return coop_dag_run_then(dag_, id_, c); });
    }

    /* Ends it with errc::cancelled; errc::timeout if it has ended. */
    result<void> cancel() const {
        if (refused_) return *refused_;
        return detail::answer(coop_dag_run_cancel(dag_, id_));
    }
    /* Lets it go on, as the destructor does. */
    result<void> release() noexcept { return detail::answer(coop_dag_run_release(dag_, std::exchange(id_, 0))); }

    /* Whether it was started. */
    explicit operator bool() const noexcept { return id_ != 0; }
    /* Why it was not. */
    result<void> started() const {
        if (refused_) return *refused_;
        return {};
    }
    coop_dag_run_id id() const noexcept { return id_; }

private:
    void let_go() noexcept {
        if (const coop_dag_run_id id = std::exchange(id_, 0); id != 0) static_cast<void>(coop_dag_run_release(dag_, id));
    }

    coop_dag *dag_ = nullptr;
    coop_dag_run_id id_ = 0;
    std::optional<coop::error> refused_;
};

}  // namespace coop

#endif  // COOP_DAG_RUN_HPP
