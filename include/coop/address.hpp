/* coop::address: where an IPv4 or IPv6 socket is.
 *
 *     auto address = coop::address::parse("127.0.0.1:7000").value();
 *
 * An ordinary value, the C struct inside. An empty one is no address. */
#ifndef COOP_ADDRESS_HPP
#define COOP_ADDRESS_HPP

#include <coop/result.hpp>

#include <cstring>
#include <string>
#include <string_view>

namespace coop {

class address {
public:
    constexpr address() noexcept = default;
    constexpr address(const coop_address &c) noexcept : c_(c) {}

    /* "127.0.0.1:7000", "[::1]:7000". Names are not looked up. */
    static result<address> parse(std::string_view text) noexcept {
        coop_address parsed{};
        const coop_status status = coop_address_parse(text.data(), text.size(), &parsed);
        return detail::answer<address>(status, parsed);
    }

    /* As parse reads it. errc::invalid for no address. */
    result<std::string> text() const {
        char buffer[COOP_ADDRESS_TEXT];
        const coop_status status = coop_address_text(&c_, buffer, sizeof buffer);
        if (status != COOP_OK) return coop::error::last(status);
        return std::string(buffer);
    }

    explicit operator bool() const noexcept { return c_.length != 0; }
    bool operator==(const address &other) const noexcept {
        return c_.length == other.c_.length && std::memcmp(c_.bytes, other.c_.bytes, c_.length) == 0;
    }

    /* The bytes of a struct sockaddr_in or sockaddr_in6, with their length. */
    const coop_address &c() const noexcept { return c_; }

private:
    coop_address c_{};
};

}  // namespace coop

#endif  // COOP_ADDRESS_HPP
