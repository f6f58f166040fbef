/* coop::datagram: one that came, or is to be sent. It is the C struct with constructors and views, and has its layout.
 *
 * It does not own its bytes. Those of one that came lie where they are until the next receive on its socket, or until the
 * handler returns; those of one to be sent until send returns. */
#ifndef COOP_DATAGRAM_HPP
#define COOP_DATAGRAM_HPP

#include <coop/address.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace coop {

class datagram : public coop_datagram {
public:
    datagram() noexcept : coop_datagram{} {}
    /* To an address; to the connected peer if it is none. segment_size: see coop_datagram. */
    explicit datagram(std::span<const std::byte> bytes, const coop::address &to = {}, std::uint32_t segment = 0) noexcept
        : coop_datagram{bytes.data(), bytes.size(), to.c(), segment, 0} {}
    explicit datagram(std::string_view text, const coop::address &to = {}) noexcept
        : coop_datagram{text.data(), text.size(), to.c(), 0, 0} {}

    std::span<const std::byte> bytes() const noexcept { return {static_cast<const std::byte *>(data), length}; }
    std::string_view text() const noexcept { return {static_cast<const char *>(data), length}; }

    /* Who sent it, or who it is for. */
    coop::address peer() const noexcept { return address; }

    /* Of one that came: it was longer than the library takes and is cut. */
    bool truncated() const noexcept { return (flags & COOP_DATAGRAM_TRUNCATED) != 0; }
};

/* Arrays of one are arrays of the other. */
static_assert(sizeof(datagram) == sizeof(coop_datagram) && alignof(datagram) == alignof(coop_datagram));

}  // namespace coop

#endif  // COOP_DATAGRAM_HPP
