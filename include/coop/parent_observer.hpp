/* coop::parent_observer: the events of the host that this process is a service of.
 *
 *     auto observer = coop::parent_observer::create({.path = "root/web"}).value();
 *     while (auto event = observer.next(1s)) look(*event);
 *
 * Lifetimes: 1. The callable belongs to the observer and is destroyed after the host's last event, or with the observer; if it is running,
 * when it returns. 2. What an event points to is there until the callable returns, or until the next call of next. 3. One that was moved
 * from or freed answers errc::null.
 *
 * Threads: every call from any thread; next by one at a time. Errors: as coop.h says. */
#ifndef COOP_PARENT_OBSERVER_HPP
#define COOP_PARENT_OBSERVER_HPP

#include <coop/callback.hpp>
#include <coop/observer.hpp>
#include <coop/result.hpp>
#include <coop/time.hpp>

#include <type_traits>
#include <utility>

namespace coop {

class parent_observer {
public:
    /* Has f(const service_event &) called with each event, one after another. */
    template <class F>
        requires(detail::callable_with<std::decay_t<F> &, const service_event &>)
    [[nodiscard]] static result<parent_observer> create(const observer_options &options, F &&f) {
        const coop_observer_options c = options.c();
        coop_parent_observer *made = nullptr;
        auto run = [f = std::decay_t<F>(std::forward<F>(f))](const coop_service_event *event) mutable {
            detail::call(f, static_cast<const service_event &>(service_event(*event)));
        };
        detail::callback<coop_service_event_callback, detail::runs::repeatedly, const coop_service_event *> callback(std::move(run));
        const result<void> given =
            callback.give([&](coop_service_event_callback taken) { return coop_parent_observer_new(&c, taken, &made); });
        if (!given) return given.failure();
        return parent_observer(made);
    }

    /* Has events wait for next. */
    [[nodiscard]] static result<parent_observer> create(const observer_options &options = {}) noexcept {
        const coop_observer_options c = options.c();
        coop_parent_observer *made = nullptr;
        const coop_status status = coop_parent_observer_new(&c, coop_service_event_callback{}, &made);
        return detail::answer<parent_observer>(status, made);
    }

    /* An empty one: errc::null. */
    parent_observer() noexcept = default;
    /* Owns a C observer from now on. */
    explicit parent_observer(coop_parent_observer *owned) noexcept : observer_(owned) {}
    parent_observer(parent_observer &&other) noexcept : observer_(other.release()) {}
    parent_observer &operator=(parent_observer &&other) noexcept {
        if (this != &other) {
            free();
            observer_ = other.release();
        }
        return *this;
    }
    ~parent_observer() { free(); }

    /* The next event, of an observer without a callable. */
    result<service_event> next(timeout limit = forever) const {
        const coop_service_event *event = nullptr;
        const coop_status status = coop_parent_observer_next(observer_, limit.ns(), &event);
        if (status != COOP_OK) return coop::error::last(status);
        return service_event(*event);
    }

    /* Ends it now, as the destructor does. */
    void free() noexcept { coop_parent_observer_free(release()); }

    /* The C observer; NULL in an empty one. */
    coop_parent_observer *get() const noexcept { return observer_; }
    explicit operator bool() const noexcept { return observer_ != nullptr; }

    /* Gives the C observer away; the caller frees it. */
    [[nodiscard]] coop_parent_observer *release() noexcept { return std::exchange(observer_, nullptr); }

private:
    coop_parent_observer *observer_ = nullptr;
};

}  // namespace coop

#endif  // COOP_PARENT_OBSERVER_HPP
