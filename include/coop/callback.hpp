/* Any callable as a C callback {fn, arg, drop}.
 *
 * A callable is moved (or copied, if it is an lvalue) into the library and destroyed exactly once: after its last run, or
 * instead of it, or at once when the call that takes it fails; on any thread, with no lock held. One that is trivially
 * copyable and no larger than a pointer travels in arg itself, without an allocation. It may take the callback's arguments
 * or none of them; what it returns is dropped. What runs more than once runs with the state that it left. A null pointer to a
 * function and an empty std::function are refused: errc::null.
 *
 * An exception that leaves a callable ends there: it is handed to the exception hook, once, and the worker or the loop goes
 * on. Nothing crosses the C ABI. Built with -fno-exceptions there is no hook, and an exception that comes out of code that
 * was built with them is std::terminate, as out of any noexcept function. Neither pthread_exit nor longjmp may leave a
 * callable. */
#ifndef COOP_CALLBACK_HPP
#define COOP_CALLBACK_HPP

#include <coop/result.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <type_traits>
#include <utility>

namespace coop {

#if defined(__cpp_exceptions)
/* Called with what a callback has thrown, on the thread that ran it. */
using exception_hook = void (*)(std::exception_ptr) noexcept;

/* Says on stderr what was thrown: the hook until another one is set. */
inline void print_exception(std::exception_ptr thrown) noexcept {
    try {
        std::rethrow_exception(std::move(thrown));
    } catch (const std::exception &exception) {
        std::fprintf(stderr, "coop: a callback has thrown: %s\n", exception.what());
    } catch (...) {
        std::fputs("coop: a callback has thrown what is no std::exception\n", stderr);
    }
}

namespace detail {
/* One for the whole program, however its shared libraries were built. */
[[gnu::visibility("default")]] inline std::atomic<exception_hook> hook{&print_exception};
}  // namespace detail

/* Has another function told of exceptions, and returns the one before. nullptr is print_exception. Any thread. */
inline exception_hook set_exception_hook(exception_hook hook) noexcept {
    return detail::hook.exchange(hook ? hook : &print_exception);
}
#endif

namespace detail {

/* Runs f; an exception goes to the hook. */
template <class F>
void guarded(F &&f) noexcept {
#if defined(__cpp_exceptions)
    try {
        std::forward<F>(f)();
    } catch (...) {
        hook.load()(std::current_exception());
    }
#else
    std::forward<F>(f)();
#endif
}

/* A callable that takes these arguments, or none. */
template <class F, class... Args>
concept callable_with = std::is_invocable_v<F, Args...> || std::is_invocable_v<F>;

template <class F, class... Args>
void call(F &&f, Args... args) {
    if constexpr (std::is_invocable_v<F, Args...>) {
        static_cast<void>(std::invoke(std::forward<F>(f), args...));
    } else {
        static_cast<void>(std::invoke(std::forward<F>(f)));
    }
}

template <class F>
inline constexpr bool may_be_null = std::is_pointer_v<F> || std::is_member_pointer_v<F>;
template <class Signature>
inline constexpr bool may_be_null<std::function<Signature>> = true;

/* How often a callback runs. */
enum class runs {
    once,        /* as an rvalue: it may give away what it holds */
    repeatedly,  /* one run after another */
    concurrently /* as const: several threads at a time */
};

/* What a callable is called as. */
template <class F, runs Runs>
using called_as = std::conditional_t<Runs == runs::once, F &&, std::conditional_t<Runs == runs::repeatedly, F &, const F &>>;

/* Whether F travels in arg itself. What runs again must not change, since each run has a copy. */
template <class F, runs Runs, class... Args>
inline constexpr bool fits_in_arg =
    sizeof(F) <= sizeof(void *) && std::is_trivially_copyable_v<F> &&
    (Runs == runs::once || callable_with<const F &, Args...>);

/* The functions behind {fn, arg, drop} for an F. Function is the C type of fn; Args are what F is given for its arguments. */
template <class Function, class F, runs Runs, class... Args>
struct trampoline;

template <class... Raw, class F, runs Runs, class... Args>
struct trampoline<void (*)(void *, Raw...), F, Runs, Args...> {
    static_assert(sizeof...(Raw) == sizeof...(Args));
    static constexpr bool in_arg = fits_in_arg<F, Runs, Args...>;

    template <class G>
    static void *wrap(G &&g) {
        if constexpr (!in_arg) {
            return new F(std::forward<G>(g));
        } else if constexpr (std::is_empty_v<F>) {
            return nullptr;
        } else {
            const F f(std::forward<G>(g));
            void *arg = nullptr;
            std::memcpy(&arg, &f, sizeof f);
            return arg;
        }
    }

    static void run(void *arg, Raw... raw) noexcept {
        if constexpr (in_arg) {
            std::array<unsigned char, sizeof(F)> bytes;
            std::memcpy(bytes.data(), &arg, sizeof(F));
            if constexpr (Runs == runs::once) {
                F f = std::bit_cast<F>(bytes);
                guarded([&] { call(std::move(f), static_cast<Args>(raw)...); });
            } else {
                const F f = std::bit_cast<F>(bytes);
                guarded([&] { call(f, static_cast<Args>(raw)...); });
            }
        } else {
            F *f = static_cast<F *>(arg);
            guarded([&] { call(static_cast<called_as<F, Runs>>(*f), static_cast<Args>(raw)...); });
        }
    }

    static void drop(void *arg) noexcept { delete static_cast<F *>(arg); }
};

/* A C callback that still owns its callable: until a call has taken it, its end is the callable's end. */
template <class C, runs Runs, class... Args>
class callback {
public:
    template <class G>
    explicit callback(G &&g) : c_{} {
        using F = std::decay_t<G>;
        static_assert(callable_with<called_as<F, Runs>, Args...>,
                      "the callable takes other arguments (or is not const, where several threads may call it)");
        static_assert(std::is_nothrow_destructible_v<F>, "the callable's destructor must not throw");
        using functions = trampoline<decltype(C::fn), F, Runs, Args...>;
        /* A null pointer to a function, and an empty std::function, stay NULL: the library refuses that in words. */
        if constexpr (may_be_null<std::remove_cvref_t<G>>) {
            if (g != nullptr) c_.fn = &functions::run;
        } else {
            c_.fn = &functions::run;
        }
        c_.arg = functions::wrap(std::forward<G>(g));
        if constexpr (!functions::in_arg) c_.drop = &functions::drop;
    }

    callback(const callback &) = delete;
    callback &operator=(const callback &) = delete;
    ~callback() {
        if (c_.drop) c_.drop(c_.arg);
    }

    /* Has take(C) hand the callback to the library. The words of a failure are taken before the callable is destroyed, whose
     * own calls may fail in turn. */
    template <class Take>
    result<void> give(Take &&take) {
        const coop_status status = std::forward<Take>(take)(c_);
        if (status == COOP_OK) c_.drop = nullptr;
        return answer(status);
    }

private:
    C c_;
};

}  // namespace detail
}  // namespace coop

#endif  // COOP_CALLBACK_HPP
