/* coop::redis_reply and coop::redis_view: what a server of redis has answered, as a tree that is read in place.
 *
 *     coop::redis_reply reply = (co_await redis.command("LRANGE", "list", 0, -1)).value();
 *     for (coop::redis_view part : reply) std::cout << part.string().value() << '\n';
 *
 * Lifetimes: a reply frees what it owns; views, and the texts they answer, are there as long as the reply that they are of.
 * Threads: any number may read a reply. */
#ifndef COOP_REDIS_REPLY_HPP
#define COOP_REDIS_REPLY_HPP

#include <coop/result.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

namespace coop {

/* COOP_REDIS_*: what a reply is. */
enum class redis_type : std::int32_t {
    null = COOP_REDIS_NULL,
    integer = COOP_REDIS_INTEGER,
    string = COOP_REDIS_STRING,
    status = COOP_REDIS_STATUS,
    error = COOP_REDIS_ERROR,
    array = COOP_REDIS_ARRAY,
    map = COOP_REDIS_MAP,
    set = COOP_REDIS_SET,
    double_ = COOP_REDIS_DOUBLE,
    boolean = COOP_REDIS_BOOLEAN,
    verbatim = COOP_REDIS_VERBATIM,
    big_number = COOP_REDIS_BIG_NUMBER,
    push = COOP_REDIS_PUSH
};

/* A reply, or a part of one, that somebody else owns. An empty view is nothing: redis_type::null. */
class redis_view {
public:
    constexpr redis_view() noexcept = default;
    constexpr explicit redis_view(const coop_redis_reply *reply) noexcept : reply_(reply) {}

    redis_type type() const noexcept { return reply_ ? static_cast<redis_type>(coop_redis_reply_type(reply_)) : redis_type::null; }
    bool is_null() const noexcept { return type() == redis_type::null; }
    bool is_error() const noexcept { return type() == redis_type::error; }

    /* errc::failed with the server's line, if the server has refused. */
    result<void> ok() const {
        if (!is_error()) return {};
        return coop::error(errc::failed, "redis: " + std::string(string().value()));
    }

    /* An integer, also of a boolean and of digits; errc::invalid for another reply. */
    result<std::int64_t> integer() const noexcept {
        std::int64_t number = 0;
        const coop_status status = coop_redis_reply_integer(reply_, &number);
        return detail::answer<std::int64_t>(status, number);
    }
    /* A number, also of an integer and of digits; errc::invalid for another reply. */
    result<double> number() const noexcept {
        double number = 0;
        const coop_status status = coop_redis_reply_double(reply_, &number);
        return detail::answer<double>(status, number);
    }
    /* The bytes of a string, a status, a verbatim text, a big number or an error; errc::invalid for another reply. */
    result<std::string_view> string() const noexcept {
        const char *data = nullptr;
        std::size_t length = 0;
        const coop_status status = coop_redis_reply_string(reply_, &data, &length);
        return detail::answer<std::string_view>(status, std::string_view(data, length));
    }
    /* The first word of an error: ERR, WRONGTYPE, MOVED; errc::invalid for another reply. */
    result<std::string_view> error_code() const noexcept {
        const char *data = nullptr;
        std::size_t length = 0;
        const coop_status status = coop_redis_reply_error_code(reply_, &data, &length);
        return detail::answer<std::string_view>(status, std::string_view(data, length));
    }

    /* How many parts there are: of an array, a set, a push; keys and values in turns of a map. */
    std::size_t size() const noexcept { return coop_redis_reply_length(reply_); }
    bool empty() const noexcept { return size() == 0; }
    /* A part; an empty view where there is none. */
    redis_view operator[](std::size_t index) const noexcept { return redis_view(coop_redis_reply_at(reply_, index)); }

    /* How many pairs there are: of a map, or of an array that is one in RESP2. */
    std::size_t pairs() const noexcept { return coop_redis_reply_pairs(reply_); }
    redis_view key(std::size_t index) const noexcept { return redis_view(coop_redis_reply_key(reply_, index)); }
    redis_view value(std::size_t index) const noexcept { return redis_view(coop_redis_reply_value(reply_, index)); }

    /* Through the parts. */
    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = redis_view;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = redis_view;

        constexpr iterator() noexcept = default;
        constexpr iterator(const coop_redis_reply *reply, std::size_t index) noexcept : reply_(reply), index_(index) {}
        redis_view operator*() const noexcept { return redis_view(coop_redis_reply_at(reply_, index_)); }
        iterator &operator++() noexcept {
            ++index_;
            return *this;
        }
        iterator operator++(int) noexcept { return {reply_, index_++}; }
        friend bool operator==(const iterator &, const iterator &) noexcept = default;

    private:
        const coop_redis_reply *reply_ = nullptr;
        std::size_t index_ = 0;
    };
    iterator begin() const noexcept { return {reply_, 0}; }
    iterator end() const noexcept { return {reply_, size()}; }

    /* The C reply; NULL in an empty one. */
    const coop_redis_reply *get() const noexcept { return reply_; }
    /* Whether there is one, be it a null. */
    explicit operator bool() const noexcept { return reply_ != nullptr; }

protected:
    const coop_redis_reply *reply_ = nullptr;
};

/* A reply of one's own. */
class redis_reply : public redis_view {
public:
    /* An empty one. */
    redis_reply() noexcept = default;
    /* Owns a C reply from now on. */
    explicit redis_reply(coop_redis_reply *owned) noexcept : redis_view(owned) {}
    redis_reply(redis_reply &&other) noexcept : redis_view(other.release()) {}
    redis_reply &operator=(redis_reply &&other) noexcept {
        if (this != &other) {
            free();
            reply_ = other.release();
        }
        return *this;
    }
    ~redis_reply() { free(); }

    /* The reply that a callback of C's was given, beyond it. */
    [[nodiscard]] static result<redis_reply> keep(coop_redis_reply *told) noexcept {
        coop_redis_reply *kept = nullptr;
        const coop_status status = coop_redis_reply_keep(told, &kept);
        return detail::answer<redis_reply>(status, kept);
    }

    /* Ends it now, as the destructor does. */
    void free() noexcept { coop_redis_reply_free(release()); }
    /* Gives the C reply away; the caller frees it. */
    [[nodiscard]] coop_redis_reply *release() noexcept {
        /* It was made for its owner. */
        return const_cast<coop_redis_reply *>(std::exchange(reply_, nullptr));
    }
};

}  // namespace coop

#endif  // COOP_REDIS_REPLY_HPP
