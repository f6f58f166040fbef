/* coop::redis: calls to a server of redis, of which thousands are in flight at once, on the thread of one loop.
 *
 *     auto redis = coop::redis::create(loop, "redis://localhost/0").value();
 *     (co_await redis.set("greeting", "hello")).value();
 *     std::optional<std::string> greeting = (co_await redis.get("greeting")).value();
 *     coop::redis_reply reply = (co_await redis.command("SET", "visits", 1, "EX", 60)).value();
 *
 * A call is made when it is called, not when it is awaited: several are on their way at once, and go out in one write. An error of the
 * server's is a reply to command, and to those with replies (redis_view::ok); to the others it is errc::failed with the server's line.
 *
 *     redis.command_with([](coop::result<coop::redis_reply> reply) { ... }, "GET", "key").value();   // with a callable
 *     coop::redis_reply reply = redis.call("GET", "key").value();                                   // on a plain thread
 *
 * Lifetimes: 1. At its end calls that are left end with errc::closed. 2. A call ends, or is destroyed, before its client is. 3. A callable
 * is destroyed after its only run, or when the call is refused. 4. One that was moved from or freed answers errc::null.
 *
 * Threads: every call from any thread; the end with no call under way. Callables run on the loop's thread. */
#ifndef COOP_REDIS_HPP
#define COOP_REDIS_HPP

#include <coop/callback.hpp>
#include <coop/detail/given.hpp>
#include <coop/redis_call.hpp>
#include <coop/redis_command.hpp>
#include <coop/redis_options.hpp>
#include <coop/redis_reply.hpp>
#include <coop/redis_subscriber.hpp>
#include <coop/result.hpp>
#include <coop/time.hpp>

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coop {

namespace detail {

/* Replies as what the commands by name answer. */
inline result<redis_reply> redis_as_it_is(redis_reply reply) { return reply; }

inline result<void> redis_done(redis_reply reply) { return reply.ok(); }

inline result<std::int64_t> redis_integer(redis_reply reply) {
    if (result<void> ok = reply.ok(); !ok) return std::move(ok).failure();
    return reply.integer();
}

inline result<bool> redis_yes(redis_reply reply) {
    result<std::int64_t> number = redis_integer(std::move(reply));
    if (!number) return std::move(number).failure();
    return *number != 0;
}

inline result<std::optional<std::string>> redis_text(redis_reply reply) {
    if (result<void> ok = reply.ok(); !ok) return std::move(ok).failure();
    if (reply.is_null()) return std::optional<std::string>();
    result<std::string_view> text = reply.string();
    if (!text) return std::move(text).failure();
    return std::optional<std::string>(*text);
}

inline result<std::vector<std::string>> redis_texts(redis_reply reply) {
    if (result<void> ok = reply.ok(); !ok) return std::move(ok).failure();
    std::vector<std::string> texts;
    texts.reserve(reply.size());
    for (const redis_view part : reply) {
        result<std::string_view> text = part.string();
        if (!text) return std::move(text).failure();
        texts.emplace_back(*text);
    }
    return texts;
}

/* What is not there is nothing. */
inline result<std::vector<std::optional<std::string>>> redis_values(redis_reply reply) {
    if (result<void> ok = reply.ok(); !ok) return std::move(ok).failure();
    std::vector<std::optional<std::string>> values;
    values.reserve(reply.size());
    for (const redis_view part : reply) {
        if (part.is_null()) {
            values.emplace_back();
            continue;
        }
        result<std::string_view> text = part.string();
        if (!text) return std::move(text).failure();
        values.emplace_back(std::string(*text));
    }
    return values;
}

using redis_pairs = std::vector<std::pair<std::string, std::string>>;

inline result<redis_pairs> redis_fields(redis_reply reply) {
    if (result<void> ok = reply.ok(); !ok) return std::move(ok).failure();
    redis_pairs pairs;
    pairs.reserve(reply.pairs());
    for (std::size_t index = 0; index < reply.pairs(); index++) {
        result<std::string_view> key = reply.key(index).string(), value = reply.value(index).string();
        if (!key) return std::move(key).failure();
        if (!value) return std::move(value).failure();
        pairs.emplace_back(*key, *value);
    }
    return pairs;
}

}  // namespace detail

/* What a client has done so far; see coop_redis_statistics. */
struct redis_stats : coop_redis_statistics {
    redis_stats() noexcept : coop_redis_statistics{} { size = sizeof(coop_redis_statistics); }
};

class redis {
public:
    /* Begins to connect, and answers without waiting for that. url: redis://[user][:password@]host[:port][/database], rediss://..., unix://.../path.
     * See coop_redis_new. */
    template <class Loop>
    [[nodiscard]] static result<redis> create(Loop &&loop, std::string_view url, const redis_options &options = {}) {
        const coop_redis_options c = options.c();
        coop_redis *made = nullptr;
        const coop_status status = coop_redis_new(coro::loop_of(loop), &c, url.data(), url.size(), &made);
        return detail::answer<redis>(status, made);
    }

    /* An empty one: errc::null. */
    redis() noexcept = default;
    /* Owns a C client from now on. */
    explicit redis(coop_redis *owned) noexcept : redis_(owned) {}
    redis(redis &&other) noexcept : redis_(other.release()) {}
    redis &operator=(redis &&other) noexcept {
        if (this != &other) {
            free();
            redis_ = other.release();
        }
        return *this;
    }
    ~redis() { free(); }

    /* Any command: its words are texts and numbers. co_await: a result<redis_reply>. */
    template <class... W>
        requires(sizeof...(W) > 0 && (std::constructible_from<redis_word, const W &> && ...))
    auto command(const W &...words) const {
        return call_of<redis_reply>(nullptr, &detail::redis_as_it_is, words...);
    }
    redis_call<redis_reply> command(const redis_command &command) const {
        const detail::redis_words words(std::span<const std::string>(command.words()));
        return started<redis_reply>(nullptr, &detail::redis_as_it_is, words.c());
    }
    /* The same with a deadline: errc::timeout. */
    template <class... W>
        requires(sizeof...(W) > 0 && (std::constructible_from<redis_word, const W &> && ...))
    auto command_within(timeout limit, const W &...words) const {
        const coop_redis_call_options options = options_of(limit);
        return call_of<redis_reply>(&options, &detail::redis_as_it_is, words...);
    }
    redis_call<redis_reply> command_within(timeout limit, const redis_command &command) const {
        const coop_redis_call_options options = options_of(limit);
        const detail::redis_words words(std::span<const std::string>(command.words()));
        return started<redis_reply>(&options, &detail::redis_as_it_is, words.c());
    }

    /* Any command, with f(result<redis_reply>) told its end, on the loop's thread. The call's id, for cancel. */
    template <class F, class... W>
        requires(sizeof...(W) > 0 && (std::constructible_from<redis_word, const W &> && ...))
    result<coop_redis_call_id> command_with(F &&f, const W &...words) const {
        return with_words([&](const coop_redis_words &c) {
            return give(std::forward<F>(f), [&](coop_redis_callback told, coop_redis_call_id *id) {
                return coop_redis_command(redis_, nullptr, c.words, c.lengths, c.count, told, id);
            });
        }, words...);
    }
    template <class F>
    result<coop_redis_call_id> command_with(F &&f, const redis_command &command) const {
        const detail::redis_words words(std::span<const std::string>(command.words()));
        const coop_redis_words c = words.c();
        return give(std::forward<F>(f), [&](coop_redis_callback told, coop_redis_call_id *id) {
            return coop_redis_command(redis_, nullptr, c.words, c.lengths, c.count, told, id);
        });
    }

    /* Any command, waited for on this thread. */
    template <class... W>
        requires(sizeof...(W) > 0 && (std::constructible_from<redis_word, const W &> && ...))
    result<redis_reply> call(const W &...words) const {
        return with_words([&](const coop_redis_words &c) {
            coop_redis_reply *reply = nullptr;
            const coop_status status = coop_redis_call(redis_, nullptr, c.words, c.lengths, c.count, &reply);
            return detail::answer<redis_reply>(status, reply);
        }, words...);
    }

    /* Several commands in one piece; an array of their replies. */
    redis_call<redis_reply> pipeline(std::span<const redis_command> commands) const {
        const detail::redis_commands c(commands);
        return {redis_, &detail::redis_as_it_is, [&](coop_redis_callback told, coop_redis_call_id *id) {
                    return coop_redis_pipeline(redis_, nullptr, c.data(), c.size(), told, id);
                }};
    }
    template <class... C>
        requires(sizeof...(C) > 0 && (std::same_as<C, redis_command> && ...))
    redis_call<redis_reply> pipeline(const C &...commands) const {
        const std::array<redis_command, sizeof...(C)> all{commands...};
        return pipeline(std::span<const redis_command>(all));
    }
    template <class F>
    result<coop_redis_call_id> pipeline_with(F &&f, std::span<const redis_command> commands) const {
        const detail::redis_commands c(commands);
        return give(std::forward<F>(f), [&](coop_redis_callback told, coop_redis_call_id *id) {
            return coop_redis_pipeline(redis_, nullptr, c.data(), c.size(), told, id);
        });
    }

    /* Several commands that are done in one piece, or not at all. The reply of EXEC: an array; a null if a watched key had changed; an error
     * if one of them was refused. */
    redis_call<redis_reply> transaction(std::span<const redis_command> commands) const {
        const detail::redis_commands c(commands);
        return {redis_, &detail::redis_as_it_is, [&](coop_redis_callback told, coop_redis_call_id *id) {
                    return coop_redis_transaction(redis_, nullptr, c.data(), c.size(), told, id);
                }};
    }
    template <class... C>
        requires(sizeof...(C) > 0 && (std::same_as<C, redis_command> && ...))
    redis_call<redis_reply> transaction(const C &...commands) const {
        const std::array<redis_command, sizeof...(C)> all{commands...};
        return transaction(std::span<const redis_command>(all));
    }
    template <class F>
    result<coop_redis_call_id> transaction_with(F &&f, std::span<const redis_command> commands) const {
        const detail::redis_commands c(commands);
        return give(std::forward<F>(f), [&](coop_redis_callback told, coop_redis_call_id *id) {
            return coop_redis_transaction(redis_, nullptr, c.data(), c.size(), told, id);
        });
    }

    /* A Lua script: by its digest, and by its source if the server does not know that. */
    redis_call<redis_reply> script(std::string_view source, const std::vector<std::string> &keys = {},
                                   const std::vector<std::string> &args = {}) const {
        const detail::redis_words k{std::span<const std::string>(keys)}, a{std::span<const std::string>(args)};
        return {redis_, &detail::redis_as_it_is, [&](coop_redis_callback told, coop_redis_call_id *id) {
                    return coop_redis_script(redis_, nullptr, source.data(), source.size(), k.c(), a.c(), told, id);
                }};
    }
    template <class F>
    result<coop_redis_call_id> script_with(F &&f, std::string_view source, const std::vector<std::string> &keys = {},
                                           const std::vector<std::string> &args = {}) const {
        const detail::redis_words k{std::span<const std::string>(keys)}, a{std::span<const std::string>(args)};
        return give(std::forward<F>(f), [&](coop_redis_callback told, coop_redis_call_id *id) {
            return coop_redis_script(redis_, nullptr, source.data(), source.size(), k.c(), a.c(), told, id);
        });
    }

    /* Ends a call with a callable: errc::cancelled. errc::stale if it has ended. */
    result<void> cancel(coop_redis_call_id id) const noexcept { return detail::answer(coop_redis_cancel(redis_, id)); }

    /* GET: the value of a key, if there is one. */
    auto get(std::string_view key) const { return call_of<std::optional<std::string>>(nullptr, &detail::redis_text, "GET", key); }
    /* MGET. */
    redis_call<std::vector<std::optional<std::string>>> mget(std::span<const std::string> keys) const {
        return call_of_many<std::vector<std::optional<std::string>>>(&detail::redis_values, "MGET", keys);
    }
    /* SET; with a time to live from 1 ms, PX. */
    auto set(std::string_view key, const redis_word &value) const { return call_of<void>(nullptr, &detail::redis_done, "SET", key, value); }
    auto set(std::string_view key, const redis_word &value, std::chrono::milliseconds time_to_live) const {
        return call_of<void>(nullptr, &detail::redis_done, "SET", key, value, "PX", time_to_live.count());
    }
    /* DEL and EXISTS: how many of the keys there were. */
    auto del(std::string_view key) const { return call_of<std::int64_t>(nullptr, &detail::redis_integer, "DEL", key); }
    redis_call<std::int64_t> del(std::span<const std::string> keys) const {
        return call_of_many<std::int64_t>(&detail::redis_integer, "DEL", keys);
    }
    auto exists(std::string_view key) const { return call_of<bool>(nullptr, &detail::redis_yes, "EXISTS", key); }
    /* PEXPIRE: whether there is such a key. */
    auto expire(std::string_view key, std::chrono::milliseconds time_to_live) const {
        return call_of<bool>(nullptr, &detail::redis_yes, "PEXPIRE", key, time_to_live.count());
    }
    /* INCRBY: the number after it. */
    auto incr_by(std::string_view key, std::int64_t by) const {
        return call_of<std::int64_t>(nullptr, &detail::redis_integer, "INCRBY", key, by);
    }
    auto incr(std::string_view key) const { return incr_by(key, 1); }
    /* HGET, HSET (how many fields are new), HGETALL. */
    auto hget(std::string_view key, std::string_view field) const {
        return call_of<std::optional<std::string>>(nullptr, &detail::redis_text, "HGET", key, field);
    }
    auto hset(std::string_view key, std::string_view field, const redis_word &value) const {
        return call_of<std::int64_t>(nullptr, &detail::redis_integer, "HSET", key, field, value);
    }
    auto hgetall(std::string_view key) const { return call_of<detail::redis_pairs>(nullptr, &detail::redis_fields, "HGETALL", key); }
    /* LPUSH and RPUSH: the length after it. */
    auto lpush(std::string_view key, const redis_word &value) const {
        return call_of<std::int64_t>(nullptr, &detail::redis_integer, "LPUSH", key, value);
    }
    auto rpush(std::string_view key, const redis_word &value) const {
        return call_of<std::int64_t>(nullptr, &detail::redis_integer, "RPUSH", key, value);
    }
    /* LRANGE: both ends included; from the end, if below 0. */
    auto lrange(std::string_view key, std::int64_t from, std::int64_t to) const {
        return call_of<std::vector<std::string>>(nullptr, &detail::redis_texts, "LRANGE", key, from, to);
    }
    /* PUBLISH: how many subscribers it has reached. */
    auto publish(std::string_view channel, const redis_word &message) const {
        return call_of<std::int64_t>(nullptr, &detail::redis_integer, "PUBLISH", channel, message);
    }
    /* PING: whether there is a connection, and a server that lets the client in. */
    auto ping() const { return call_of<void>(nullptr, &detail::redis_done, "PING"); }

    /* A connection for messages; f(const redis_message &), or f(), is told them on the loop's thread. */
    template <class F>
    result<redis_subscriber> subscriber(F &&f) const {
        return redis_subscriber::create(redis_, std::forward<F>(f));
    }
    /* A connection of one's own: for WATCH, MULTI, SELECT, and commands that block for long. */
    result<redis> own() const noexcept {
        coop_redis *made = nullptr;
        const coop_status status = coop_redis_own(redis_, &made);
        return detail::answer<redis>(status, made);
    }

    result<redis_stats> stats() const noexcept {
        redis_stats filled;
        const coop_status status = coop_redis_stats(redis_, &filled);
        return detail::answer<redis_stats>(status, filled);
    }
    /* Calls are refused from now on, and those that have not ended do, with errc::closed. */
    result<void> close() const noexcept { return detail::answer(coop_redis_close(redis_)); }
    /* Calls are refused from now on; waits for those there are, on this thread. */
    result<void> drain(timeout limit = forever) const noexcept { return detail::answer(coop_redis_drain(redis_, limit.ns())); }

    /* Ends it now, as the destructor does. */
    void free() noexcept { coop_redis_free(release()); }
    /* The C client; NULL in an empty one. */
    coop_redis *get() const noexcept { return redis_; }
    explicit operator bool() const noexcept { return redis_ != nullptr; }
    /* Gives the C client away; the caller frees it. */
    [[nodiscard]] coop_redis *release() noexcept { return std::exchange(redis_, nullptr); }

private:
    static coop_redis_call_options options_of(timeout limit) noexcept {
        // A deadline that has passed is one nanosecond: 0 is the client's default.
        return {sizeof(coop_redis_call_options), limit.ns() == 0 ? 1 : limit.ns()};
    }

    template <class Use, class... W>
    static auto with_words(Use &&use, const W &...words) {
        const std::array<redis_word, sizeof...(W)> kept{redis_word(words)...};
        std::array<const char *, sizeof...(W)> data;
        std::array<std::size_t, sizeof...(W)> lengths;
        for (std::size_t at = 0; at < kept.size(); at++) {
            const std::string_view word = kept[at].view();
            data[at] = word.data() ? word.data() : "";
            lengths[at] = word.size();
        }
        return use(coop_redis_words{data.data(), lengths.data(), data.size()});
    }

    template <class T, class... W>
    redis_call<T> call_of(const coop_redis_call_options *options, typename redis_call<T>::read how, const W &...words) const {
        return with_words([&](const coop_redis_words &c) { return started<T>(options, how, c); }, words...);
    }
    template <class T>
    redis_call<T> call_of_many(typename redis_call<T>::read how, std::string_view name, std::span<const std::string> keys) const {
        detail::redis_words words;
        words.add(name);
        words.add(keys);
        return started<T>(nullptr, how, words.c());
    }
    template <class T>
    redis_call<T> started(const coop_redis_call_options *options, typename redis_call<T>::read how, const coop_redis_words &c) const {
        return {redis_, how, [&](coop_redis_callback told, coop_redis_call_id *id) {
                    return coop_redis_command(redis_, options, c.words, c.lengths, c.count, told, id);
                }};
    }

    template <class F, class Start>
    result<coop_redis_call_id> give(F &&f, Start &&start) const {
        auto told = [f = std::decay_t<F>(std::forward<F>(f))](const coop_error *failed, coop_redis_reply *reply) mutable {
            std::invoke(std::move(f), failed ? result<redis_reply>(coop::error::of(*failed)) : redis_reply::keep(reply));
        };
        detail::callback<coop_redis_callback, detail::runs::once, const coop_error *, coop_redis_reply *> callback(std::move(told));
        coop_redis_call_id id = 0;
        result<void> given = callback.give([&](coop_redis_callback c) { return start(c, &id); });
        if (!given) return std::move(given).failure();
        return id;
    }

    coop_redis *redis_ = nullptr;
};

}  // namespace coop

#endif  // COOP_REDIS_HPP
