/* Callables for what ends later: with a number of bytes, a stream, or addresses, or with an error.
 *
 * A callable is called once with a result; see the functions that take one. What it may be is said in coop/callback.hpp. */
#ifndef COOP_DETAIL_IO_CALLBACK_HPP
#define COOP_DETAIL_IO_CALLBACK_HPP

#include <coop/callback.hpp>

#include <type_traits>
#include <utility>

namespace coop::detail {

/* F, called with what Read makes of the C arguments. */
template <class F, class Read>
class reading {
public:
    template <class G>
    explicit reading(G &&f) : f_(std::forward<G>(f)) {}

    template <class... Raw>
    void operator()(const coop_error *failed, Raw... raw) {
        Read::call(f_, failed, raw...);
    }

private:
    F f_;
};

/* Has take(C) hand the callable to the library as a C; Raw are C's arguments behind the error. */
template <class C, runs Runs, class Read, class... Raw, class F, class Take>
result<void> give_reading(F &&f, Take &&take) {
    using made = reading<std::decay_t<F>, Read>;
    if constexpr (may_be_null<std::remove_cvref_t<F>>) {
        if (f == nullptr) {
            /* Refused in words, as everywhere. */
            callback<C, Runs, const coop_error *, Raw...> none(static_cast<void (*)(const coop_error *, Raw...)>(nullptr));
            return none.give(std::forward<Take>(take));
        }
    }
    callback<C, Runs, const coop_error *, Raw...> given(made(std::forward<F>(f)));
    return given.give(std::forward<Take>(take));
}

/* A count of bytes: f(result<std::size_t>), f(result<std::size_t>, std::size_t moved), where moved counts beside an error too, or f(). */
struct read_count {
    template <class F>
    static void call(F &f, const coop_error *failed, std::size_t count) {
        result<std::size_t> done = failed ? result<std::size_t>(coop::error::of(*failed)) : result<std::size_t>(count);
        if constexpr (std::is_invocable_v<F &, result<std::size_t>, std::size_t>)
            static_cast<void>(std::invoke(f, std::move(done), count));
        else if constexpr (std::is_invocable_v<F &, result<std::size_t>>)
            static_cast<void>(std::invoke(f, std::move(done)));
        else
            static_cast<void>(std::invoke(f));
    }
};

}  // namespace coop::detail

#endif  // COOP_DETAIL_IO_CALLBACK_HPP
