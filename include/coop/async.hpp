/* coop::async: what a signal handler may wake a loop with.
 *
 *     auto wake = coop::async::create(loop, [] { reload(); }).value();     // reload() runs on the loop, and may do anything
 *     ... in the handler: wake.send();
 *
 * For a handler of the program's own. coop::event_loop::signal needs none.
 *
 * Lifetimes: 1. The object ends it: its callable does not begin any more, and is destroyed when it has returned. It may end inside that, and
 * after its loop. 2. No handler may send, nor be about to, when it ends. 3. One that was moved from or freed sends nothing.
 *
 * Threads: send from any thread and any signal handler; create, move, free and the destructor as for any object, by one thread
 * and with no call under way. */
#ifndef COOP_ASYNC_HPP
#define COOP_ASYNC_HPP

#include <coop/callback.hpp>
#include <coop/event_loop.hpp>
#include <coop/result.hpp>
#include <coop/source_options.hpp>

#include <utility>

namespace coop {

class async {
public:
    /* Has the loop call f() after each send, or once after several. */
    template <class F>
    [[nodiscard]] static result<async> create(event_loop_ref loop, const source_options &options, F &&f) {
        detail::callback<coop_async_callback, detail::runs::repeatedly> callback(std::forward<F>(f));
        const coop_source_options c = options.c();
        coop_async *made = nullptr;
        result<void> taken =
            callback.give([&](coop_async_callback given) { return coop_async_new(loop.get(), &c, given, &made); });
        if (!taken) return std::move(taken).failure();
        return async(made);
    }
    template <class F>
    [[nodiscard]] static result<async> create(event_loop_ref loop, F &&f) {
        return create(loop, source_options{}, std::forward<F>(f));
    }

    /* An empty one. */
    async() noexcept = default;
    /* Owns a C object from now on. */
    explicit async(coop_async *owned) noexcept : async_(owned) {}

    async(async &&other) noexcept : async_(other.release()) {}
    async &operator=(async &&other) noexcept {
        if (this != &other) {
            free();
            async_ = other.release();
        }
        return *this;
    }
    ~async() { free(); }

    /* Has the callable called. Async-signal-safe, and leaves errno alone. False, and nothing happens, in a forked child and for an
     * empty one; no words are kept for it. */
    bool send() const noexcept { return coop_async_send(async_) == COOP_OK; }

    /* Ends it now, as the destructor does. */
    void free() noexcept { coop_async_free(release()); }

    /* The C object; NULL in an empty one. */
    coop_async *get() const noexcept { return async_; }
    explicit operator bool() const noexcept { return async_ != nullptr; }

    /* Gives the C object away; the caller frees it. */
    [[nodiscard]] coop_async *release() noexcept { return std::exchange(async_, nullptr); }

private:
    coop_async *async_ = nullptr;
};

}  // namespace coop

#endif  // COOP_ASYNC_HPP
