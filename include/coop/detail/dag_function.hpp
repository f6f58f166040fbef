/* Any callable as the function of a node: what it reads becomes its arguments, what it returns the node's result.
 *
 * An argument is a const T & where the callable takes that; else a T &&: the result itself if nobody else has it any more, or a copy. */
#ifndef COOP_DETAIL_DAG_FUNCTION_HPP
#define COOP_DETAIL_DAG_FUNCTION_HPP

#include <coop/dag_node.hpp>
#include <coop/detail/promise.hpp>

#include <cstring>
#include <tuple>

namespace coop {

template <class T>
class task;

namespace detail {

/* One argument of a call. load answers why it is not there, and counts what was read. */
template <class Read, bool Moves>
class dag_arg;

template <class T, bool Moves>
class dag_arg<dag_node<T>, Moves> {
public:
    using passed = std::conditional_t<Moves, std::tuple<T &&>, std::tuple<const T &>>;

    coop_status load(coop_dag_call *call, std::size_t &index) {
        void *found = nullptr;
        if constexpr (Moves) {
            coop_dag_value taken{};
            coop_status status = coop_dag_call_take(call, index, &taken);
            found = taken.value;
            if constexpr (std::is_copy_constructible_v<T>) {
                if (status == COOP_E_EXISTS) {
                    status = coop_dag_call_value(call, index, &found);
                    if (status == COOP_OK) found = new T(*static_cast<const T *>(found));
                }
            }
            if (status != COOP_OK) return status;
            own_.reset(static_cast<T *>(found));
        } else {
            if (const coop_status status = coop_dag_call_value(call, index, &found)) return status;
            value_ = static_cast<const T *>(found);
        }
        index++;
        return COOP_OK;
    }
    passed pass() noexcept {
        if constexpr (Moves)
            return passed(std::move(*own_));
        else
            return passed(*value_);
    }

private:
    const T *value_ = nullptr;
    std::unique_ptr<T> own_;
};

template <bool Moves>
class dag_arg<dag_node<void>, Moves> {
public:
    using passed = std::tuple<>;
    coop_status load(coop_dag_call *, std::size_t &) noexcept { return COOP_OK; }
    passed pass() noexcept { return {}; }
};

template <class T, bool Moves>
class dag_arg<dag_optional<T>, Moves> {
public:
    using passed = std::tuple<const T *>;
    coop_status load(coop_dag_call *call, std::size_t &index) noexcept {
        void *found = nullptr;
        const coop_status status = coop_dag_call_value(call, index++, &found);
        value_ = static_cast<const T *>(found);
        return status == COOP_E_CANCELLED ? COOP_OK : status;
    }
    passed pass() noexcept { return passed(value_); }

private:
    const T *value_ = nullptr;
};

template <class T, bool Moves>
class dag_arg<std::vector<dag_node<T>>, Moves> {
public:
    using passed = std::tuple<const dag_values<T> &>;
    explicit dag_arg(std::size_t count) : count_(count) {}
    coop_status load(coop_dag_call *call, std::size_t &index) {
        std::vector<const T *> all(count_);
        for (const T *&one : all) {
            void *found = nullptr;
            if (const coop_status status = coop_dag_call_value(call, index++, &found)) return status;
            one = static_cast<const T *>(found);
        }
        values_.emplace(std::move(all));
        return COOP_OK;
    }
    passed pass() noexcept { return passed(*values_); }

private:
    std::size_t count_;
    std::optional<dag_values<T>> values_;
};

/* What is remembered of a read, of which each call makes its argument. */
template <class Read>
struct dag_read {
    explicit dag_read(const Read &) noexcept {}
    template <bool Moves>
    dag_arg<Read, Moves> arg() const {
        return {};
    }
};
template <class T>
struct dag_read<std::vector<dag_node<T>>> {
    std::size_t count;
    explicit dag_read(const std::vector<dag_node<T>> &nodes) noexcept : count(nodes.size()) {}
    template <bool Moves>
    dag_arg<std::vector<dag_node<T>>, Moves> arg() const {
        return dag_arg<std::vector<dag_node<T>>, Moves>(count);
    }
};

template <class Read>
inline constexpr bool dag_copies = true;
template <class T>
inline constexpr bool dag_copies<dag_node<T>> = std::is_void_v<T> || std::is_copy_constructible_v<T>;

/* Which arguments are moved: none, those that cannot be copied, or all. */
enum class dag_moves { none, some, all };
template <class Read, dag_moves Moves>
inline constexpr bool dag_is_moved = Moves == dag_moves::all || (Moves == dag_moves::some && !dag_copies<Read>);
template <dag_moves Moves, class... Reads>
using dag_passed = decltype(std::tuple_cat(std::declval<typename dag_arg<Reads, dag_is_moved<Reads, Moves>>::passed>()...));

template <class F, class Tuple>
inline constexpr bool dag_applies = false;
template <class F, class... Args>
inline constexpr bool dag_applies<F, std::tuple<Args...>> = std::is_invocable_v<const F &, Args...>;
template <class F, class Tuple>
struct dag_applied;
template <class F, class... Args>
struct dag_applied<F, std::tuple<Args...>> : std::invoke_result<const F &, Args...> {};

/* How F is called: with First in front, if it takes that. */
template <class F, class First, class... Reads>
struct dag_signature {
    template <dag_moves Moves>
    using with_first = decltype(std::tuple_cat(std::declval<std::tuple<First>>(), std::declval<dag_passed<Moves, Reads...>>()));
    template <dag_moves Moves>
    static constexpr bool fits = dag_applies<F, dag_passed<Moves, Reads...>> || dag_applies<F, with_first<Moves>>;

    static constexpr dag_moves moves =
        fits<dag_moves::none> ? dag_moves::none : fits<dag_moves::some> ? dag_moves::some : dag_moves::all;
    static_assert(fits<moves>, "the function of a node is const, and takes what the node reads: const T &, T && or T of each");
    static constexpr bool takes_first = !dag_applies<F, dag_passed<moves, Reads...>>;
    using passed = std::conditional_t<takes_first, with_first<moves>, dag_passed<moves, Reads...>>;
    using returned = typename dag_applied<F, passed>::type;

    template <class Read>
    using arg = dag_arg<Read, dag_is_moved<Read, moves>>;
    using args = std::tuple<arg<Reads>...>;

    static args make(const std::tuple<dag_read<Reads>...> &reads) {
        return std::apply(
            [](const auto &...read) { return args(read.template arg<dag_is_moved<Reads, moves>>()...); }, reads);
    }
    static coop_status load(args &made, coop_dag_call *call) {
        std::size_t index = 0;
        coop_status status = COOP_OK;
        std::apply([&](auto &...one) { ((status == COOP_OK ? void(status = one.load(call, index)) : void()), ...); }, made);
        return status;
    }
    static returned apply(const F &f, args &made, [[maybe_unused]] First first) {
        return std::apply(
            [&](auto &...one) -> returned {
                auto all = std::tuple_cat(one.pass()...);
                return std::apply(
                    [&](auto &&...each) -> returned {
                        if constexpr (takes_first)
                            return std::invoke(f, static_cast<First>(first), std::forward<decltype(each)>(each)...);
                        else
                            return std::invoke(f, std::forward<decltype(each)>(each)...);
                    },
                    std::move(all));
            },
            made);
    }
};

template <class T>
struct dag_result_of {
    using type = T;
};
template <class T>
struct dag_result_of<result<T>> {
    using type = T;
};
template <class T>
struct dag_task_value {
    static constexpr bool is_task = false;
};
template <class T>
struct dag_task_value<task<T>> {
    static constexpr bool is_task = true;
    using type = T;
};
/* The node's type, of what its function returns. */
template <class T>
using dag_result = typename dag_result_of<std::remove_cvref_t<T>>::type;

template <class F, class... Reads>
struct dag_kept {
    F f;
    std::tuple<dag_read<Reads>...> reads;

    static void drop(void *arg) noexcept { delete static_cast<dag_kept *>(arg); }
};

/* A CPU node. */
template <class F, class... Reads>
struct dag_cpu {
    using signature = dag_signature<F, dag_call &, Reads...>;
    using value = dag_result<typename signature::returned>;

    static coop_status run(void *arg, coop_dag_call *call, coop_dag_value *made) noexcept {
#if defined(__cpp_exceptions)
        try {
            return run_it(*static_cast<const dag_kept<F, Reads...> *>(arg), call, made);
        } catch (...) {
            coop_status answered = COOP_E_FAILED;
            dag_thrown(std::current_exception(), [&](coop_status status, std::string_view why, coop_dag_value cause) {
                answered = status;
                if (coop_dag_call_fail(call, status, 0, why.data(), why.size(), cause) != COOP_OK) cause.drop(cause.value);
            });
            return answered;
        }
#else
        return run_it(*static_cast<const dag_kept<F, Reads...> *>(arg), call, made);
#endif
    }

private:
    static coop_status failed(coop_dag_call *call, const coop::error &why) noexcept {
        const auto status = static_cast<coop_status>(why.status());
        static_cast<void>(coop_dag_call_fail(call, status, why.os_errno(), why.message().data(), why.message().size(), dag_nothing));
        return status;
    }

    static coop_status run_it(const dag_kept<F, Reads...> &kept, coop_dag_call *call, coop_dag_value *made) {
        typename signature::args args = signature::make(kept.reads);
        if (const coop_status status = signature::load(args, call)) return failed(call, coop::error::last(status));
        dag_call told(call);
        using returned = std::remove_cvref_t<typename signature::returned>;
        if constexpr (std::is_void_v<returned>) {
            signature::apply(kept.f, args, told);
        } else {
            returned answer = signature::apply(kept.f, args, told);
            if constexpr (is_result<returned>) {
                if (!answer) return failed(call, answer.failure());
                if constexpr (!std::is_void_v<value>) {
                    if (told.told() == COOP_OK) *made = dag_box<value>::make(std::move(*answer));
                }
            } else {
                if (told.told() == COOP_OK) *made = dag_box<value>::make(std::move(answer));
            }
        }
        return told.told();
    }
};

/* A node that somebody else completes. */
template <class T, class F, class... Reads>
struct dag_callback {
    using signature = dag_signature<F, dag_promise<T> &&, Reads...>;
    static_assert(signature::takes_first, "the function of such a node takes a coop::dag_promise<T> first");

    static void run(void *arg, coop_dag_call *call, coop_dag_completer *completer) noexcept {
        dag_promise<T> promise(completer);
        guarded([&] {
            const auto &kept = *static_cast<const dag_kept<F, Reads...> *>(arg);
            typename signature::args args = signature::make(kept.reads);
            if (const coop_status status = signature::load(args, call)) {
                const coop::error why = coop::error::last(status);
                static_cast<void>(promise.fail(why.status(), why.message()));
                return;
            }
            signature::apply(kept.f, args, std::move(promise));
        });
    }
};

/* The coroutine that runs an I/O node's, and completes it. */
struct dag_driver {
    struct promise_type : coro::promise_root {
        dag_driver get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { std::abort(); }
    };
};

/* An I/O node that is a coroutine. The callable is held by each run of it too: it may outlive its graph. */
template <class F, class... Reads>
struct dag_io {
    using signature = dag_signature<F, const dag_completer &, Reads...>;
    using returned = std::remove_cvref_t<typename signature::returned>;
    static_assert(dag_task_value<returned>::is_task, "the function of an I/O node is a coroutine: it returns a coop::task");
    using answered = typename dag_task_value<returned>::type;
    using value = dag_result<answered>;
    using kept = std::shared_ptr<dag_kept<F, Reads...>>;

    static void drop(void *arg) noexcept { delete static_cast<kept *>(arg); }

    static void run(void *arg, coop_dag_call *call, coop_dag_completer *completer) noexcept {
        dag_promise<value> promise(completer);
        guarded([&] {
            const kept &held = *static_cast<kept *>(arg);
            typename signature::args args = signature::make(held->reads);
            if (const coop_status status = signature::load(args, call)) {
                const coop::error why = coop::error::last(status);
                static_cast<void>(promise.fail(why.status(), why.message()));
                return;
            }
            drive(held, std::move(promise), std::move(args));
        });
    }

private:
    template <class Answer>
    static void done(dag_promise<value> &promise, Answer &&answer) {
        if constexpr (is_result<Answer>) {
            if (!answer) return static_cast<void>(promise.fail(answer.failure().status(), answer.failure().message(), dag_nothing, answer.failure().os_errno()));
            if constexpr (std::is_void_v<value>)
                static_cast<void>(promise.complete());
            else
                static_cast<void>(promise.complete(std::move(*answer)));
        } else {
            static_cast<void>(promise.complete(std::move(answer)));
        }
    }

    static dag_driver drive(kept held, dag_promise<value> promise, typename signature::args args) {
#if COOP_CORO_EXCEPTIONS
        try {
#endif
            if constexpr (std::is_void_v<answered>) {
                co_await signature::apply(held->f, args, promise);
                static_cast<void>(promise.complete());
            } else {
                done(promise, co_await signature::apply(held->f, args, promise));
            }
#if COOP_CORO_EXCEPTIONS
        } catch (...) {
            promise.fail(std::current_exception());
        }
#endif
    }
};

}  // namespace detail
}  // namespace coop

#endif  // COOP_DETAIL_DAG_FUNCTION_HPP
