/* Connecting, and looking up names.
 *
 *     coop::stream stream = (co_await coop::connect(loop, "localhost", 7000, {.timeout = 5s})).value();
 *     std::vector<coop::address> where = (co_await coop::resolve(loop, "example.org", 80)).value();
 *
 * With a callable: event_loop_ref::connect, connect_unix and resolve. */
#ifndef COOP_CONNECT_HPP
#define COOP_CONNECT_HPP

#include <coop/stream.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coop {

/* How to connect. */
struct connect_options {
    /* For all of it, the look-up of the name too: errc::timeout. 0: as long as the system tries. */
    delay timeout = {};
    /* The address to connect from: "192.0.2.1:0". Empty: any. */
    std::string_view local = {};
    /* How the stream is, and where its callables run; the one that is handed the stream, too. */
    stream_options stream = {};

    /* The C view, which refers to `of_streams`, this object and its texts. */
    coop_connect_options c(const coop_stream_options &of_streams) const noexcept {
        coop_connect_options options{};
        options.size = sizeof options;
        options.timeout_ns = timeout.ns();
        options.local = local.data();
        options.local_length = local.size();
        options.stream = &of_streams;
        return options;
    }
};

namespace detail {

inline coop_status connect(coop_event_loop *loop, std::string_view host, std::uint16_t port, const connect_options &options,
                           coop_stream_callback callback) noexcept {
    const coop_stream_options of_streams = options.stream.c();
    const coop_connect_options c = options.c(of_streams);
    return coop_event_loop_connect(loop, &c, host.data(), host.size(), port, callback);
}

inline coop_status connect_unix(coop_event_loop *loop, std::string_view path, const connect_options &options,
                                coop_stream_callback callback) noexcept {
    const coop_stream_options of_streams = options.stream.c();
    const coop_connect_options c = options.c(of_streams);
    return coop_event_loop_connect_unix(loop, &c, path.data(), path.size(), callback);
}

/* Addresses: f(result<std::vector<address>>), or f(). */
struct read_addresses {
    template <class F>
    static void call(F &f, const coop_error *failed, const coop_address *addresses, std::size_t count) {
        using found = std::vector<address>;
        result<found> resolved = failed ? result<found>(coop::error::of(*failed)) : result<found>(found(addresses, addresses + count));
        if constexpr (std::is_invocable_v<F &, result<found>>)
            static_cast<void>(std::invoke(f, std::move(resolved)));
        else
            static_cast<void>(std::invoke(f));
    }
};

}  // namespace detail

/* co_await connect(loop, host, port): a result<stream>. A name is looked up beside the loop, its addresses are tried in turn. The errors of
 * coop_event_loop_connect. The texts are copied when it is awaited. */
template <class Loop>
[[nodiscard]] auto connect(Loop &&loop, std::string_view host, std::uint16_t port, connect_options options = {}) {
    auto start = [loop = coro::loop_of(loop), host, port, options = std::move(options)](coop_stream_callback callback) {
        return detail::connect(loop, host, port, options, callback);
    };
    return coro::connecting<stream, decltype(start)>(std::move(start));
}

/* The same to a Unix socket. */
template <class Loop>
[[nodiscard]] auto connect_unix(Loop &&loop, std::string_view path, connect_options options = {}) {
    auto start = [loop = coro::loop_of(loop), path, options = std::move(options)](coop_stream_callback callback) {
        return detail::connect_unix(loop, path, options, callback);
    };
    return coro::connecting<stream, decltype(start)>(std::move(start));
}

/* co_await resolve(loop, host, port): a result<std::vector<address>>, in the order in which to try them. */
template <class Loop>
[[nodiscard]] auto resolve(Loop &&loop, std::string_view host, std::uint16_t port) {
    auto start = [loop = coro::loop_of(loop), host, port](coop_resolve_callback callback) {
        coop_source_options on_loop{};
        on_loop.size = sizeof on_loop;
        on_loop.on = COOP_ON_LOOP;
        return coop_event_loop_resolve(loop, &on_loop, host.data(), host.size(), port, callback);
    };
    return coro::resolving<decltype(start)>(std::move(start));
}

}  // namespace coop

#endif  // COOP_CONNECT_HPP
