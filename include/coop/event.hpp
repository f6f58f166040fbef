// Events: a flag that threads and coroutines wait for. Underneath each is a file descriptor, an eventfd, so that anything
// else which becomes readable (a socket, a pipe, a timerfd) may be waited for in the same way.
//
//     coop::event_t done;
//     done.init();
//     ...
//     done.signal();          // any thread
//     co_await done;          // in a coroutine, or done.wait() in a thread
//
// An event of init() resets itself: one signal lets one waiter through, and signals that nobody takes do not add up. One of
// init(true) stays signalled until reset(), and lets everybody through.
#ifndef COOP_EVENT_HPP
#define COOP_EVENT_HPP

#include <cerrno>
#include <coroutine>
#include <cstdint>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/eventfd.h>
#endif

#include <coop.h>

namespace coop {

class scheduler_t;
class event_t;
namespace coro {
class event_awaiter;
}

// A way to an event that somebody else owns. It is copied freely and must not be used once the event has gone.
class event_ref_t {
public:
    enum class status_e { normal, abandoned, timeout, failed };

    struct wait_result_t {
        status_e status;
        std::uint32_t index = 0;
    };

    // Waits until one of the events is signalled, and says which: the first one, if several are. It takes the signal of an
    // event that resets itself. Blocks the thread.
    //
    // abandoned: the descriptor of the event `index` was hung up or has an error. failed: no events, or the event `index`
    // was not initialised or is closed. timeout does not happen.
    static wait_result_t wait_many(event_ref_t *events, std::uint32_t count);

    event_ref_t() = default;
    // A file descriptor cast to a pointer; (void *)-1 and nullptr are none. Whatever makes it readable is its signal,
    // which is left there for the owner to read: so it is signalled until then.
    event_ref_t(void *handle) noexcept
        : fd_(handle ? static_cast<int>(reinterpret_cast<std::intptr_t>(handle)) : -1) {}

    // Makes the event, not signalled. label is for the reader of the source. If the process has no descriptor left the
    // event stays uninitialised, and waits fail.
    void init(bool manual_reset = false, char const *label = nullptr);

    // Whether it is signalled. It only looks: the signal of an event that resets itself is left to who waits.
    bool is_signaled() const;
    operator bool() const noexcept { return is_signaled(); }

    // Waits until it is signalled, and blocks the thread meanwhile. False: it cannot be, see wait_many.
    bool wait() const;

    // Sets it. Any thread; not for descriptors that are no eventfd, which it leaves alone.
    void signal();

    // Takes the signal away, if there is one.
    void reset();

protected:
    friend class scheduler_t;
    friend class event_t;
    friend class coro::event_awaiter;

    enum class kind_e : unsigned char { foreign, automatic, manual };

    // Takes what a waiter takes. False: not signalled, or another waiter was faster.
    bool take() const noexcept;
    bool drain() const noexcept;
    bool settable() const noexcept;

    int fd_ = -1;
    kind_e kind_ = kind_e::foreign;
};

// An event that is owned: it is closed with this. Coroutines that still wait for it then go on waiting, until their
// scheduler is destroyed.
class event_t final : public event_ref_t {
public:
    event_t() = default;
    // Takes over a file descriptor cast to a pointer; see event_ref_t.
    event_t(void *handle) noexcept : event_ref_t(handle) {}
    ~event_t() noexcept { close(); }
    event_t(event_t const &) = delete;
    event_t &operator=(event_t const &) = delete;
    event_t(event_t &&other) noexcept : event_ref_t(other), cpu_affinity_(other.cpu_affinity_), priority_(other.priority_) {
        other.fd_ = -1;
    }
    event_t &operator=(event_t &&other) noexcept {
        if (this != &other) {
            close();
            event_ref_t::operator=(other);
            cpu_affinity_ = other.cpu_affinity_;
            priority_ = other.priority_;
            other.fd_ = -1;
        }
        return *this;
    }

    void init(bool manual_reset = false, char const *label = nullptr) {
        close();
        event_ref_t::init(manual_reset, label);
    }

    event_ref_t ref() const noexcept { return *this; }

    // Where the coroutine that waits for it goes on: bit n of the mask is CPU n, 0 is any.
    void set_cpu_affinity(std::uint32_t affinity) noexcept { cpu_affinity_ = affinity; }
    // 0 is normal, 1 is high.
    void set_priority(std::uint32_t priority) noexcept { priority_ = priority; }

    bool await_ready() const noexcept { return is_signaled(); }

    // co_await event: goes on in scheduler_t::instance(), once the event is signalled; at once, without a hop, if it
    // is so already. Throws coroutine_error if the event cannot be waited for.
    auto operator co_await() const noexcept;

private:
    void close() noexcept {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }

    std::uint64_t cpu_affinity_ = 0;
    std::uint32_t priority_ = 0;
};

namespace coro {

// Whether the descriptor is readable or in trouble; poll's bits, 0 for neither. timeout_ms: -1 is for ever.
inline short poll_one(int fd, int timeout_ms) noexcept {
    pollfd entry{fd, POLLIN, 0};
    int ready;
    do {
        ready = ::poll(&entry, 1, timeout_ms);
    } while (ready < 0 && errno == EINTR && timeout_ms < 0);
    return ready > 0 ? entry.revents : static_cast<short>(0);
}

}  // namespace coro

inline void event_ref_t::init(bool manual_reset, char const *) {
    kind_ = manual_reset ? kind_e::manual : kind_e::automatic;
#if defined(__linux__)
    fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
#else
    fd_ = -1;
#endif
}

inline bool event_ref_t::drain() const noexcept {
    std::uint64_t count;
    ssize_t got;
    do {
        got = ::read(fd_, &count, sizeof count);
    } while (got < 0 && errno == EINTR);
    return got == static_cast<ssize_t>(sizeof count);
}

inline bool event_ref_t::is_signaled() const { return fd_ >= 0 && (coro::poll_one(fd_, 0) & POLLIN); }

inline bool event_ref_t::take() const noexcept {
    if (fd_ < 0) return false;
    return kind_ == kind_e::automatic ? drain() : is_signaled();
}

inline bool event_ref_t::settable() const noexcept {
    if (fd_ < 0) return false;
    if (kind_ != kind_e::foreign) return true;
#if defined(__linux__)
    // "/proc/self/fd/" and a number.
    char path[32] = "/proc/self/fd/", target[32], digits[12];
    std::size_t end = sizeof "/proc/self/fd/" - 1, count = 0;
    for (int rest = fd_; rest || !count; rest /= 10) digits[count++] = static_cast<char>('0' + rest % 10);
    while (count) path[end++] = digits[--count];
    path[end] = '\0';
    constexpr char wanted[] = "anon_inode:[eventfd]";
    const ssize_t length = ::readlink(path, target, sizeof target);
    if (length != static_cast<ssize_t>(sizeof wanted - 1)) return false;
    for (ssize_t i = 0; i < length; ++i)
        if (target[i] != wanted[i]) return false;
    return true;
#else
    return false;
#endif
}

inline void event_ref_t::signal() {
    if (!settable()) return;
    const std::uint64_t one = 1;
    while (::write(fd_, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

inline void event_ref_t::reset() {
    // Another's eventfd may be one that blocks.
    if (settable() && is_signaled()) drain();
}

inline bool event_ref_t::wait() const {
    event_ref_t self = *this;
    return wait_many(&self, 1).status == status_e::normal;
}

inline event_ref_t::wait_result_t event_ref_t::wait_many(event_ref_t *events, std::uint32_t count) {
    if (!events || count == 0) return {status_e::failed, 0};
    for (std::uint32_t i = 0; i < count; ++i)
        if (events[i].fd_ < 0) return {status_e::failed, i};
    std::unique_ptr<pollfd[]> entries(new pollfd[count]);
    for (std::uint32_t i = 0; i < count; ++i) entries[i] = {events[i].fd_, POLLIN, 0};
    for (;;) {
        if (::poll(entries.get(), count, -1) < 0) {
            if (errno == EINTR) continue;
            return {status_e::failed, 0};
        }
        for (std::uint32_t i = 0; i < count; ++i) {
            const short ready = entries[i].revents;
            if ((ready & POLLIN) && events[i].take()) return {status_e::normal, i};
            if (ready & POLLNVAL) return {status_e::failed, i};
            if (!(ready & POLLIN) && (ready & (POLLERR | POLLHUP))) return {status_e::abandoned, i};
        }
        // Another waiter was faster.
    }
}

}  // namespace coop

// co_await needs a scheduler.
#include <coop/scheduler.hpp>

#endif
