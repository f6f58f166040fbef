/* coop::redis_options: how to speak to a server of redis, beside what its URL says. See coop_redis_options. */
#ifndef COOP_REDIS_OPTIONS_HPP
#define COOP_REDIS_OPTIONS_HPP

#include <coop/time.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace coop {

/* COOP_REDIS_*: the version of the protocol. */
enum class redis_protocol : std::int32_t {
    newest = COOP_REDIS_NEWEST,
    resp2 = COOP_REDIS_RESP2,
    resp3 = COOP_REDIS_RESP3
};

/* What is not set is the default, or what the URL says. */
struct redis_options {
    std::string_view user = {};
    std::string_view password = {};
    /* What the server lists the connection as. */
    std::string_view client_name = {};
    /* With a rediss:// URL: files in PEM, or what would be in them; and the name that the server's certificate must be for. */
    std::string_view tls_authorities = {};
    std::string_view tls_certificates = {};
    std::string_view tls_key = {};
    std::string_view tls_server_name = {};
    /* How many connections the calls are spread over; 0: 1. */
    std::size_t connections = 0;
    /* How many calls may wait for an end; 0: 100000. How many bytes may wait to be sent, and how large a reply may be; 0: 64 MiB. */
    std::size_t max_calls = 0;
    std::size_t max_queued_bytes = 0;
    std::size_t max_reply_bytes = 0;
    /* How long a connection may take to be made; none: 3 s. */
    std::optional<timeout> connect_timeout = {};
    /* How long a call may take that says nothing else; none: as long as it takes. */
    std::optional<coop::timeout> call_timeout = {};
    /* How long a call waits while there is no connection; none: 5 s. */
    std::optional<timeout> patience = {};
    /* A connection that owes a reply nobody waits for, and is silent for so long, is given up; one for messages that is silent for so long is
     * sent a PING, and given up if it is for so long again. None: 30 s. */
    std::optional<timeout> stalled_after = {};
    /* The first pause between two attempts to connect, which doubles, and the longest. 0: 20 ms, 2 s. */
    delay backoff = {};
    delay backoff_cap = {};
    /* The database's number; 0: the URL's. */
    std::int32_t database = 0;
    redis_protocol protocol = redis_protocol::newest;
    /* How many connections of one's own, own(), there may be at once: one more is errc::queue_full; 0: 128. */
    std::size_t max_own = 0;

    /* The C view; valid while the texts are. */
    coop_redis_options c() const noexcept {
        coop_redis_options options{};
        options.size = sizeof options;
        options.user = user.data();
        options.user_length = user.size();
        options.password = password.data();
        options.password_length = password.size();
        options.client_name = client_name.data();
        options.client_name_length = client_name.size();
        options.tls_authorities = tls_authorities.data();
        options.tls_authorities_length = tls_authorities.size();
        options.tls_certificates = tls_certificates.data();
        options.tls_certificates_length = tls_certificates.size();
        options.tls_key = tls_key.data();
        options.tls_key_length = tls_key.size();
        options.tls_server_name = tls_server_name.data();
        options.tls_server_name_length = tls_server_name.size();
        options.connections = connections;
        options.max_calls = max_calls;
        options.max_queued_bytes = max_queued_bytes;
        options.max_reply_bytes = max_reply_bytes;
        options.connect_timeout_ns = told(connect_timeout);
        options.timeout_ns = told(call_timeout);
        options.patience_ns = told(patience);
        options.stalled_after_ns = told(stalled_after);
        options.backoff_ns = backoff.ns();
        options.backoff_cap_ns = backoff_cap.ns();
        options.database = database;
        options.protocol = static_cast<std::int32_t>(protocol);
        options.max_own = max_own;
        return options;
    }

private:
    /* 0 is C's default: no time at all is a nanosecond. */
    static std::int64_t told(const std::optional<timeout> &limit) noexcept {
        if (!limit) return 0;
        return limit->ns() == 0 ? 1 : limit->ns();
    }
};

}  // namespace coop

#endif  // COOP_REDIS_OPTIONS_HPP
