/* coop::port_handlers: handlers by their names, so that the mode of a set is one argument.
 *
 *     int main() {
 *         coop::port_handlers handlers;
 *         handlers.handler<echo>("echo");
 *         if (const auto status = handlers.run().value()) return *status;  // in a worker: its port has been served
 *
 *         auto ports = coop::port_set::create({.mode = coop::port_mode::process, .handlers = &handlers},
 *                                             coop::port::named("ECHO", "echo")).value();
 *         ports.start().value();
 *
 * A handler is of any class that coop::port takes; it is made inside its port's worker, from the port's args if it has a constructor of
 * std::span<const std::byte>, else without. An exception there goes to the exception hook, and fails the start. Errors and threads: as coop.h says. */
#ifndef COOP_PORT_HANDLERS_HPP
#define COOP_PORT_HANDLERS_HPP

#include <coop/port.hpp>
#include <coop/result.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace coop {

class port_handlers {
public:
    /* A handler of class H under this name. */
    template <class H>
    port_handlers &handler(std::string name) {
        names_.push_back(std::make_unique<std::string>(std::move(name)));
        coop_named_handler entry{};
        entry.size = sizeof entry;
        entry.name = names_.back()->data();
        entry.name_length = names_.back()->size();
        entry.init = &make<H>;
        entries_.push_back(entry);
        return *this;
    }

    /* Serves the port that this process was started for: the status to return from main. None at once if it is no worker of a port. */
    result<std::optional<int>> run() const noexcept {
        std::int32_t status = 0;
        const coop_status ran = coop_port_worker_main(entries_.data(), entries_.size(), &status);
        if (ran != COOP_OK) return coop::error::last(ran);
        return status == COOP_NONE ? std::optional<int>() : std::optional<int>(status);
    }

    /* The C view; valid until another is added. */
    std::span<const coop_named_handler> c() const noexcept { return entries_; }

private:
    template <class H>
    static coop_status make(const void *args, std::size_t length, coop_port_handler *out) noexcept {
        coop_status status = COOP_E_FAILED;
        detail::guarded([&] {
            const std::span<const std::byte> given(static_cast<const std::byte *>(args), length);
            if constexpr (std::is_constructible_v<H, std::span<const std::byte>>)
                *out = detail::port_handler<H>::table(new H(given));
            else
                *out = detail::port_handler<H>::table(new H());
            status = COOP_OK;
        });
        return status;
    }

    /* Each at a place of its own: entries point there. */
    std::vector<std::unique_ptr<std::string>> names_;
    std::vector<coop_named_handler> entries_;
};

}  // namespace coop

#endif  // COOP_PORT_HANDLERS_HPP
