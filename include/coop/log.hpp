/* coop::set_log: where the library's messages go.
 *
 *     coop::set_log(coop::log_level::warn, [](coop::log_level, std::string_view text) { std::clog << text << '\n'; });
 *     coop::set_log(coop::log_level::off);
 *
 * The callable is the library's until another one is set and its last call has returned. It is called from any thread,
 * perhaps from several at once, so it must be callable as const. It may call the library; those calls are not logged. */
#ifndef COOP_LOG_HPP
#define COOP_LOG_HPP

#include <coop/callback.hpp>
#include <coop/result.hpp>

#include <cstdint>
#include <string_view>
#include <utility>

namespace coop {

/* COOP_LOG_*: how much is told, and how severe a message is. */
enum class log_level : std::int32_t {
    off = COOP_LOG_OFF,
    error = COOP_LOG_ERROR, /* something was lost: a callback failed, a source ended */
    warn = COOP_LOG_WARN,   /* the program does something that it probably does not mean */
    info = COOP_LOG_INFO,
    debug = COOP_LOG_DEBUG,
    trace = COOP_LOG_TRACE
};

/* Has f(log_level, std::string_view) called with each message of this level or a more severe one, instead of what was set
 * before. The text is valid during the call. Any thread. */
template <class F>
result<void> set_log(log_level level, F &&f) {
    detail::callback<coop_log_callback, detail::runs::concurrently, log_level, std::string_view> callback(
        std::forward<F>(f));
    return callback.give([&](coop_log_callback c) { return coop_set_log(static_cast<std::int32_t>(level), c); });
}

/* With log_level::off, the only level that has no callable: no more messages. */
inline result<void> set_log(log_level level) noexcept {
    return detail::answer(coop_set_log(static_cast<std::int32_t>(level), coop_log_callback{}));
}

}  // namespace coop

#endif  // COOP_LOG_HPP
