/* Nodes of a graph of tasks: their names with the type of their result, how they run, and what their functions are given. */
#ifndef COOP_DAG_NODE_HPP
#define COOP_DAG_NODE_HPP

#include <coop/callback.hpp>
#include <coop/cpu_set.hpp>
#include <coop/priority.hpp>
#include <coop/result.hpp>
#include <coop/time.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coop {

/* A node that another one waits for, whatever its result: one that was added, or a name, which may be that of a node to come. */
class dag_ref {
public:
    dag_ref() noexcept = default;
    explicit dag_ref(coop_dag_node_id id) noexcept : id_(id) {}
    explicit dag_ref(std::string name) : name_(std::move(name)) {}

    /* The C id; 0 of a name, and of a node that was refused. */
    coop_dag_node_id id() const noexcept { return id_; }
    explicit operator bool() const noexcept { return id_ != 0 || !name_.empty(); }

    /* The C view; valid while this object is. */
    coop_dag_ref c() const noexcept { return {id_, name_.data(), name_.size()}; }

private:
    coop_dag_node_id id_ = 0;
    std::string name_;
};

/* A node whose result is a T; void if it has none. A name says so of the node that it is of. */
template <class T>
class dag_node : public dag_ref {
public:
    using value_type = T;
    using dag_ref::dag_ref;
};

/* A node that may have been skipped: its reader is given a pointer, which is nullptr then. */
template <class T>
struct dag_optional {
    dag_node<T> node;
};
template <class T>
dag_optional(dag_node<T>) -> dag_optional<T>;

/* The results of many nodes of one type, in their order; there as long as the arguments are. */
template <class T>
class dag_values {
public:
    explicit dag_values(std::vector<const T *> values) noexcept : values_(std::move(values)) {}

    std::size_t size() const noexcept { return values_.size(); }
    const T &operator[](std::size_t index) const noexcept { return *values_[index]; }

    class iterator {
    public:
        explicit iterator(const T *const *at) noexcept : at_(at) {}
        const T &operator*() const noexcept { return **at_; }
        iterator &operator++() noexcept { return ++at_, *this; }
        bool operator!=(const iterator &other) const noexcept { return at_ != other.at_; }

    private:
        const T *const *at_;
    };
    iterator begin() const noexcept { return iterator(values_.data()); }
    iterator end() const noexcept { return iterator(values_.data() + values_.size()); }

private:
    std::vector<const T *> values_;
};

namespace detail {

/* Results travel as pointers to what was made for them. */
template <class T>
struct dag_box {
    template <class... U>
    static coop_dag_value make(U &&...value) {
        return {new T(std::forward<U>(value)...), [](void *made) noexcept { delete static_cast<T *>(made); }};
    }
};
inline constexpr coop_dag_value dag_nothing{nullptr, nullptr};

/* A deadline among options. In C 0 is the default, none; here it is one that has passed. */
constexpr std::int64_t dag_deadline(timeout limit) noexcept { return limit.ns() == 0 ? 1 : limit.ns(); }

#if defined(__cpp_exceptions)
/* Calls fail(status, words, cause) with what was thrown. */
template <class Fail>
void dag_thrown(std::exception_ptr thrown, Fail &&fail) noexcept {
    coop_dag_value cause = dag_nothing;
    try {
        cause = dag_box<std::exception_ptr>::make(thrown);
        std::rethrow_exception(std::move(thrown));
    } catch (const std::system_error &error) {
        const bool own = error.code().category() == make_error_code(errc::failed).category();
        fail(own ? static_cast<coop_status>(error.code().value()) : COOP_E_FAILED, std::string_view(error.what()), cause);
    } catch (const std::exception &exception) {
        fail(COOP_E_FAILED, std::string_view(exception.what()), cause);
    } catch (...) {
        fail(COOP_E_FAILED, std::string_view("what it has thrown is no std::exception"), cause);
    }
}
#endif

}  // namespace detail

/* One call of a node's function, which asks for it by taking a dag_call & first; there until it returns, for its thread. */
class dag_call {
public:
    explicit dag_call(coop_dag_call *call) noexcept : call_(call) {}

    /* How many values the node reads. */
    std::size_t reads() const noexcept { return coop_dag_call_reads(call_); }

    /* A look at one of them, which is a T. */
    template <class T>
    result<const T *> value(std::size_t index) const {
        void *found = nullptr;
        const coop_status status = coop_dag_call_value(call_, index, &found);
        return detail::answer<const T *>(status, static_cast<const T *>(found));
    }

    /* One of them, which is a T, if nobody else has it any more: else errc::exists. */
    template <class T>
    result<T> take(std::size_t index) const {
        coop_dag_value found{};
        if (const coop_status status = coop_dag_call_take(call_, index, &found)) return coop::error::last(status);
        const std::unique_ptr<T> own(static_cast<T *>(found.value));
        return std::move(*own);
    }

    /* The node's name. */
    std::string_view name() const noexcept {
        const char *text = nullptr;
        std::size_t length = 0;
        return coop_dag_call_name(call_, &text, &length) == COOP_OK ? std::string_view(text, length) : std::string_view();
    }
    /* 0 for the first attempt. */
    std::uint32_t attempt() const noexcept { return coop_dag_call_attempt(call_); }
    /* Whether the run has ended: who takes long may look, and give up. */
    bool is_ended() const noexcept { return coop_dag_call_is_ended(call_); }
    /* Ends the run with errc::cancelled. */
    result<void> cancel() const noexcept { return detail::answer(coop_dag_call_cancel(call_)); }

    /* The node has failed, whatever its function returns. */
    result<void> fail(errc status, std::string_view why) noexcept {
        failed_ = static_cast<coop_status>(status);
        return detail::answer(coop_dag_call_fail(call_, failed_, 0, why.data(), why.size(), detail::dag_nothing));
    }
    /* The node is skipped, with what depends on it, whatever its function returns. */
    void skip() noexcept { failed_ = COOP_DAG_SKIP; }

    /* What was said of it, as a status; COOP_OK if nothing was. */
    coop_status told() const noexcept { return failed_; }
    coop_dag_call *get() const noexcept { return call_; }

private:
    coop_dag_call *call_;
    coop_status failed_ = COOP_OK;
};

/* How a node is run. */
struct dag_node_options {
    coop::priority priority = coop::priority::normal;
    /* Where a CPU node may run. None: on every worker. */
    std::optional<cpu_set> cpus = {};
    /* Nodes that must have ended before, though their results are not read. */
    std::vector<dag_ref> after = {};
    /* How often the node is tried again when it fails. */
    std::uint32_t retries = 0;
    /* How long to wait before the first of these, and twice as long before each one more. */
    delay backoff = {};
    /* How long the node may take, all its attempts together. */
    coop::timeout timeout = forever;
    /* If it answers no, the node is skipped. */
    std::function<bool(const dag_call &)> only_if = {};
    /* Runs also when what it reads or waits for was skipped. */
    bool even_if_skipped = false;
    /* Its result is kept for the outcome although other nodes read it. */
    bool keep = false;
};

/* The end of an I/O node that was begun: completed once, or the node has failed when this is gone. Any thread. */
class dag_completer {
public:
    dag_completer() noexcept = default;
    explicit dag_completer(coop_dag_completer *owned) noexcept : completer_(owned) {}
    dag_completer(dag_completer &&other) noexcept : completer_(std::exchange(other.completer_, nullptr)) {}
    dag_completer &operator=(dag_completer &&other) noexcept {
        if (this != &other) {
            free();
            completer_ = std::exchange(other.completer_, nullptr);
        }
        return *this;
    }
    ~dag_completer() { free(); }

    /* The node has ended like this: COOP_OK, COOP_DAG_SKIP, or a COOP_E_*. */
    result<void> complete(coop_status status, coop_dag_value value = detail::dag_nothing) noexcept {
        const coop_status taken = coop_dag_completer_complete(completer_, status, value);
        if (taken == COOP_OK) completer_ = nullptr;
        return detail::answer(taken);
    }
    result<void> fail(errc status, std::string_view why, coop_dag_value cause = detail::dag_nothing, int os_errno = 0) noexcept {
        const coop_status taken =
            coop_dag_completer_fail(completer_, static_cast<coop_status>(status), os_errno, why.data(), why.size(), cause);
        if (taken == COOP_OK) completer_ = nullptr;
        return detail::answer(taken);
    }
#if defined(__cpp_exceptions)
    /* It has failed with what was thrown. */
    void fail(std::exception_ptr thrown) noexcept {
        detail::dag_thrown(std::move(thrown), [this](coop_status status, std::string_view why, coop_dag_value cause) {
            if (!fail(static_cast<errc>(status), why, cause)) cause.drop(cause.value);
        });
    }
#endif

    /* Has the loop's thread call f() if the run or the node ends before, to give up what was begun. */
    template <class F>
    result<void> on_cancel(F &&f) const {
        detail::callback<coop_callback, detail::runs::once> callback(std::forward<F>(f));
        return callback.give([&](coop_callback c) { return coop_dag_completer_on_cancel(completer_, c); });
    }
    /* Whether nobody waits for the result any more. */
    bool is_ended() const noexcept { return coop_dag_completer_is_ended(completer_); }

    /* Gives it up: the node has failed. */
    void free() noexcept { coop_dag_completer_free(std::exchange(completer_, nullptr)); }
    explicit operator bool() const noexcept { return completer_ != nullptr; }
    coop_dag_completer *get() const noexcept { return completer_; }

private:
    coop_dag_completer *completer_ = nullptr;
};

/* The completer of a node whose result is a T. */
template <class T>
class dag_promise : public dag_completer {
public:
    using dag_completer::dag_completer;

    /* The node has this result. */
    template <class... U>
    result<void> complete(U &&...value) {
        if constexpr (std::is_void_v<T>) {
            return dag_completer::complete(COOP_OK);
        } else {
            const coop_dag_value made = detail::dag_box<T>::make(std::forward<U>(value)...);
            result<void> taken = dag_completer::complete(COOP_OK, made);
            if (!taken) made.drop(made.value);
            return taken;
        }
    }
    /* The node is skipped, with what depends on it. */
    result<void> skip() noexcept { return dag_completer::complete(COOP_DAG_SKIP); }
};

}  // namespace coop

#endif  // COOP_DAG_NODE_HPP
