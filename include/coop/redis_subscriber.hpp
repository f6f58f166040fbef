/* coop::redis_subscriber: messages of channels, on a connection of their own.
 *
 *     auto subscriber = redis.subscriber([](const coop::redis_message &message) { std::cout << message.payload; }).value();
 *     (co_await subscriber.subscribe("news")).value();
 *
 * A lost connection is made anew, and subscribed as before; what is published meanwhile is lost. So is one whose server has gone without a
 * word: redis_options.stalled_after. See coop_redis_subscriber_new.
 *
 * Lifetimes: the callable is destroyed when the connection has ended, after the subscriber's end. Threads: every call from any thread; the
 * callable runs on the loop's, once at a time. */
#ifndef COOP_REDIS_SUBSCRIBER_HPP
#define COOP_REDIS_SUBSCRIBER_HPP

#include <coop/callback.hpp>
#include <coop/redis_call.hpp>
#include <coop/redis_command.hpp>
#include <coop/result.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace coop {

/* COOP_REDIS_*: what can be subscribed to. */
enum class redis_channel : std::int32_t {
    channel = COOP_REDIS_CHANNEL,
    pattern = COOP_REDIS_PATTERN,
    shard = COOP_REDIS_SHARD
};

/* What was published; the texts are there until the callable returns. */
struct redis_message {
    redis_channel by = redis_channel::channel;
    std::string_view channel = {};
    std::string_view payload = {};
    /* Of one that came by a pattern. */
    std::string_view pattern = {};

    redis_message() noexcept = default;
    explicit redis_message(const coop_redis_message &c) noexcept
        : by(static_cast<redis_channel>(c.by)), channel(c.channel, c.channel_length), payload(c.payload, c.payload_length),
          pattern(c.pattern, c.pattern_length) {}
};

class redis_subscriber {
public:
    /* f(const redis_message &), or f(). */
    template <class F>
    [[nodiscard]] static result<redis_subscriber> create(coop_redis *redis, F &&f) {
        auto told = [f = std::decay_t<F>(std::forward<F>(f))](const coop_redis_message *message) mutable {
            if constexpr (std::is_invocable_v<std::decay_t<F> &, const redis_message &>)
                static_cast<void>(std::invoke(f, redis_message(*message)));
            else
                static_cast<void>(std::invoke(f));
        };
        detail::callback<coop_redis_message_callback, detail::runs::repeatedly, const coop_redis_message *> callback(std::move(told));
        coop_redis_subscriber *made = nullptr;
        result<void> given = callback.give([&](coop_redis_message_callback c) { return coop_redis_subscriber_new(redis, c, &made); });
        if (!given) return std::move(given).failure();
        return redis_subscriber(made);
    }

    /* An empty one: errc::null. */
    redis_subscriber() noexcept = default;
    /* Owns a C subscriber from now on. */
    explicit redis_subscriber(coop_redis_subscriber *owned) noexcept : subscriber_(owned) {}
    redis_subscriber(redis_subscriber &&other) noexcept : subscriber_(other.release()) {}
    redis_subscriber &operator=(redis_subscriber &&other) noexcept {
        if (this != &other) {
            free();
            subscriber_ = other.release();
        }
        return *this;
    }
    ~redis_subscriber() { free(); }

    /* From now on; the names are texts, or one span of them. co_await: a result<void>, when the server has confirmed all of them. */
    template <class... N>
    redis_call<void> subscribe(redis_channel by, const N &...names) const {
        return say(&coop_redis_subscribe, by, names...);
    }
    template <class... N>
        requires(std::convertible_to<const N &, std::string_view> && ...)
    redis_call<void> subscribe(const N &...names) const {
        return say(&coop_redis_subscribe, redis_channel::channel, names...);
    }
    template <class... N>
    redis_call<void> unsubscribe(redis_channel by, const N &...names) const {
        return say(&coop_redis_unsubscribe, by, names...);
    }
    template <class... N>
        requires(std::convertible_to<const N &, std::string_view> && ...)
    redis_call<void> unsubscribe(const N &...names) const {
        return say(&coop_redis_unsubscribe, redis_channel::channel, names...);
    }

    /* Ends it now, as the destructor does. */
    void free() noexcept { coop_redis_subscriber_free(release()); }
    coop_redis_subscriber *get() const noexcept { return subscriber_; }
    explicit operator bool() const noexcept { return subscriber_ != nullptr; }
    /* Gives the C subscriber away; the caller frees it. */
    [[nodiscard]] coop_redis_subscriber *release() noexcept { return std::exchange(subscriber_, nullptr); }

private:
    using ask = coop_status (*)(coop_redis_subscriber *, std::int32_t, coop_redis_words, coop_redis_callback);

    template <class... N>
    redis_call<void> say(ask asked, redis_channel by, const N &...names) const {
        detail::redis_words words;
        (words.add(names), ...);
        return {nullptr, [](redis_reply reply) { return reply.ok(); }, [&](coop_redis_callback told, coop_redis_call_id *) {
                    return asked(subscriber_, static_cast<std::int32_t>(by), words.c(), told);
                }};
    }

    coop_redis_subscriber *subscriber_ = nullptr;
};

}  // namespace coop

#endif  // COOP_REDIS_SUBSCRIBER_HPP
