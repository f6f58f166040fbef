/* coop::io_watch: names a watch of a file descriptor; event_loop_ref::watch makes one. Options and the name only: the
 * callable belongs to the loop, the descriptor to the caller. */
#ifndef COOP_IO_WATCH_HPP
#define COOP_IO_WATCH_HPP

#include <coop/cpu_set.hpp>
#include <coop/priority.hpp>
#include <coop/result.hpp>

#include <cstdint>
#include <optional>

namespace coop {

/* COOP_IO_*: a set of them is one made with |. */
enum class io : std::uint32_t {
    none = 0,
    read = COOP_IO_READ,      /* a read would not block */
    write = COOP_IO_WRITE,    /* a write would not block */
    error = COOP_IO_ERROR,    /* told unasked: there is an error to fetch */
    hang_up = COOP_IO_HANG_UP /* told unasked: the other side has closed */
};

constexpr io operator|(io a, io b) noexcept {
    return static_cast<io>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
constexpr io operator&(io a, io b) noexcept {
    return static_cast<io>(static_cast<std::uint32_t>(a) & static_cast<std::uint32_t>(b));
}
/* Whether any of the wanted is in the set. */
constexpr bool has(io set, io wanted) noexcept { return (set & wanted) != io::none; }

/* How to watch a descriptor. */
struct io_watch_options {
    io interest = io::read;
    /* Tells once for each change: read or write until it would block. */
    bool edge = false;
    coop::on on = coop::on::default_;
    /* Only beside on::pool. */
    coop::priority priority = coop::priority::normal;
    /* On which CPUs; none: on any. Only beside on::pool. */
    std::optional<cpu_set> cpus = {};
    /* run_mode::until_idle does not wait for this watch. */
    bool unref = false;

    /* The C view; valid while this object is. */
    coop_io_watch_options c() const noexcept {
        coop_io_watch_options options{};
        options.size = sizeof options;
        options.interest = static_cast<std::uint32_t>(interest);
        options.edge = edge;
        options.on = static_cast<std::int32_t>(on);
        options.priority = static_cast<std::int32_t>(priority);
        if (cpus) options.cpus = cpus->c();
        options.unref = unref;
        return options;
    }
};

/* The name of a watch. Copied freely; losing it leaves the watch alone. Must not be used after the loop's end. */
class io_watch {
public:
    constexpr io_watch() noexcept = default;
    constexpr io_watch(coop_event_loop *loop, coop_io_watch_id id) noexcept : loop_(loop), id_(id) {}

    /* Ends the watch: its callable does not begin any more, and is destroyed now; if it runs (it may be the caller), when it
     * returns. The descriptor may be closed after this. errc::stale if it has ended before. Any thread. */
    result<void> cancel() const noexcept { return detail::answer(coop_io_watch_cancel(loop_, id_)); }

    /* Watches other directions from now on: io::read, io::write or both. What is ready in them is told anew. Any thread. */
    result<void> set_interest(io interest) const noexcept {
        return detail::answer(coop_io_watch_set_interest(loop_, id_, static_cast<std::uint32_t>(interest)));
    }

    /* Whether run_mode::until_idle waits for the watch. */
    result<void> ref() const noexcept { return detail::answer(coop_io_watch_ref(loop_, id_)); }
    result<void> unref() const noexcept { return detail::answer(coop_io_watch_unref(loop_, id_)); }

    constexpr coop_io_watch_id id() const noexcept { return id_; }

private:
    coop_event_loop *loop_ = nullptr;
    coop_io_watch_id id_ = 0;
};

}  // namespace coop

#endif  // COOP_IO_WATCH_HPP
