/* coop::error and coop::result<T>: what a call that can fail returns.
 *
 *     coop::result<coop::pool> made = coop::pool::create({.workers = 2});
 *     if (!made) std::fputs(made.message().c_str(), stderr);
 *
 *     coop::pool pool = coop::pool::create().value();  // throws std::system_error
 *
 * The words are taken from coop_last_error() when the call fails, so they stay with the result. Built with
 * -fno-exceptions, value() of a failure prints them and aborts. A program builds all its parts that use these headers
 * one way or the other. A result is an ordinary object: one thread at a time uses it. */
#ifndef COOP_RESULT_HPP
#define COOP_RESULT_HPP

#include <coop/errc.hpp>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

namespace coop {

/* Why a call failed: the error, the system's number beside errc::os, and the words. */
class error {
public:
    explicit error(errc status, std::string words = {}, int os_number = 0) noexcept
        : status_(status), os_errno_(os_number), message_(std::move(words)) {}

    /* What the last C call of this thread that failed has left. Without memory for the words there are none. */
    static error last(coop_status status) noexcept {
        error failure(static_cast<errc>(status), {}, status == COOP_E_OS ? coop_last_os_errno() : 0);
#if defined(__cpp_exceptions)
        try {
            failure.message_ = coop_last_error();
        } catch (...) {
        }
#else
        failure.message_ = coop_last_error();
#endif
        return failure;
    }

    /* What a callback of C's is told. */
    static error of(const coop_error &told) noexcept {
        error failure(static_cast<errc>(told.status), {}, told.os_errno);
#if defined(__cpp_exceptions)
        try {
            failure.message_ = told.message;
        } catch (...) {
        }
#else
        failure.message_ = told.message;
#endif
        return failure;
    }

    errc status() const noexcept { return status_; }
    std::error_code code() const noexcept { return status_; }

    /* EADDRINUSE, EMFILE, ... beside errc::os; else 0. */
    int os_errno() const noexcept { return os_errno_; }

    /* The same to compare with std::errc: os_code() == std::errc::address_in_use. */
    std::error_code os_code() const noexcept { return {os_errno_, std::system_category()}; }

    /* "cpu set {5} names no worker; workers are on {0, 1}" */
    const std::string &message() const noexcept { return message_; }

private:
    errc status_;
    int os_errno_;
    std::string message_;
};

template <class T>
class result;

namespace detail {

[[noreturn]] inline void raise(const coop::error &failure) {
#if defined(__cpp_exceptions)
    throw std::system_error(failure.code(), failure.message());
#else
    std::fprintf(stderr, "coop: no value: %s: %s\n", coop_status_str(static_cast<coop_status>(failure.status())),
                 failure.message().c_str());
    std::abort();
#endif
}

template <class R>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<result<T>> = true;

/* What both kinds of result say about a failure. */
template <class Result>
class failure_of {
public:
    /* The error; no error if there is a value. Compares with coop::errc and, where it fits, std::errc. */
    [[nodiscard]] std::error_code error() const noexcept { return self() ? std::error_code{} : self().failure().code(); }

    /* Why, in words; "" if there is a value. */
    [[nodiscard]] const std::string &message() const noexcept {
        static const std::string none;
        return self() ? none : self().failure().message();
    }

    /* The system's error beside errc::os: EADDRINUSE as std::errc::address_in_use. Else no error. */
    [[nodiscard]] std::error_code os_error() const noexcept {
        return self() ? std::error_code{} : self().failure().os_code();
    }

private:
    const Result &self() const noexcept { return static_cast<const Result &>(*this); }
};

}  // namespace detail

/* A T, or why there is none. Like std::expected<T, coop::error>. */
template <class T>
class [[nodiscard]] result : public detail::failure_of<result<T>> {
public:
    using value_type = T;

    template <class U = T>
        requires(std::is_constructible_v<T, U> && !std::is_same_v<std::remove_cvref_t<U>, result> &&
                 !std::is_same_v<std::remove_cvref_t<U>, coop::error>)
    result(U &&value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}
    result(coop::error why) noexcept : state_(std::in_place_index<1>, std::move(why)) {}

    explicit operator bool() const noexcept { return state_.index() == 0; }
    [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }

    /* The value. Of a failure: throws std::system_error, or aborts where there are no exceptions. */
    T &value() & { return need(), **this; }
    const T &value() const & { return need(), **this; }
    /* By value, so that `for (auto &x : f().value())` has something to hold on to. */
    T value() && { return need(), *std::move(*this); }

    /* The value, which must be there. */
    T &operator*() & noexcept { return *std::get_if<0>(&state_); }
    const T &operator*() const & noexcept { return *std::get_if<0>(&state_); }
    T operator*() && noexcept(std::is_nothrow_move_constructible_v<T>) { return std::move(*std::get_if<0>(&state_)); }
    T *operator->() noexcept { return std::get_if<0>(&state_); }
    const T *operator->() const noexcept { return std::get_if<0>(&state_); }

    template <class U>
    T value_or(U &&other) && {
        return *this ? *std::move(*this) : static_cast<T>(std::forward<U>(other));
    }
    template <class U>
    T value_or(U &&other) const & {
        return *this ? **this : static_cast<T>(std::forward<U>(other));
    }

    /* The failure, which must be one; to return it from a function with another result. */
    const coop::error &failure() const & noexcept { return *std::get_if<1>(&state_); }
    coop::error &&failure() && noexcept { return std::move(*std::get_if<1>(&state_)); }

    /* f(value), which returns a result; or the failure. */
    template <class F>
    auto and_then(F &&f) && -> std::invoke_result_t<F, T &&> {
        static_assert(detail::is_result<std::invoke_result_t<F, T &&>>, "and_then: f returns a result");
        if (!*this) return std::move(*this).failure();
        return std::invoke(std::forward<F>(f), *std::move(*this));
    }

    /* f(value) as a result; or the failure. */
    template <class F>
    auto transform(F &&f) && -> result<std::remove_cv_t<std::invoke_result_t<F, T &&>>> {
        if (!*this) return std::move(*this).failure();
        if constexpr (std::is_void_v<std::invoke_result_t<F, T &&>>) {
            std::invoke(std::forward<F>(f), *std::move(*this));
            return {};
        } else {
            return std::invoke(std::forward<F>(f), *std::move(*this));
        }
    }

    /* The value; or f(failure), which returns a result of the same type. */
    template <class F>
    result or_else(F &&f) && {
        if (*this) return std::move(*this);
        return std::invoke(std::forward<F>(f), std::move(*this).failure());
    }

private:
    void need() const {
        if (!*this) detail::raise(failure());
    }

    std::variant<T, coop::error> state_;
};

/* Done, or why not. */
template <>
class [[nodiscard]] result<void> : public detail::failure_of<result<void>> {
public:
    using value_type = void;

    result() noexcept : state_(none) {}
    result(coop::error why) noexcept : state_(std::move(why)) {}

    explicit operator bool() const noexcept { return state_.status() == none; }
    [[nodiscard]] bool has_value() const noexcept { return static_cast<bool>(*this); }

    /* Returns if it was done. Else throws std::system_error, or aborts where there are no exceptions. */
    void value() const {
        if (!*this) detail::raise(state_);
    }

    const coop::error &failure() const & noexcept { return state_; }
    coop::error &&failure() && noexcept { return std::move(state_); }

    template <class F>
    auto and_then(F &&f) && -> std::invoke_result_t<F> {
        static_assert(detail::is_result<std::invoke_result_t<F>>, "and_then: f returns a result");
        if (!*this) return std::move(state_);
        return std::invoke(std::forward<F>(f));
    }

    template <class F>
    auto transform(F &&f) && -> result<std::remove_cv_t<std::invoke_result_t<F>>> {
        if (!*this) return std::move(state_);
        if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
            std::invoke(std::forward<F>(f));
            return {};
        } else {
            return std::invoke(std::forward<F>(f));
        }
    }

    template <class F>
    result or_else(F &&f) && {
        if (*this) return {};
        return std::invoke(std::forward<F>(f), std::move(state_));
    }

private:
    static constexpr errc none = static_cast<errc>(COOP_OK);

    coop::error state_;
};

namespace detail {

/* The answer of a C function that has no output. */
inline result<void> answer(coop_status status) noexcept {
    if (status == COOP_OK) return {};
    return coop::error::last(status);
}

/* The answer of a C function with an output, which is looked at only if it was written. */
template <class T, class Output>
result<T> answer(coop_status status, Output &&output) {
    if (status != COOP_OK) return coop::error::last(status);
    return T(std::forward<Output>(output));
}

}  // namespace detail
}  // namespace coop

#endif  // COOP_RESULT_HPP
