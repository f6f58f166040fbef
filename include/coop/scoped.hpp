/* coop::scoped<T>: cancels a timer or a watch at the end of a scope.
 *
 *     coop::scoped ticker = loop.timer({.every = 1s}, tick).value();
 *
 * It must end before the loop does. That what it names has ended already is no error. */
#ifndef COOP_SCOPED_HPP
#define COOP_SCOPED_HPP

#include <utility>

namespace coop {

template <class T>
class [[nodiscard]] scoped {
public:
    scoped() noexcept = default;
    scoped(T named) noexcept : named_(named), active_(true) {}

    scoped(scoped &&other) noexcept : named_(other.named_), active_(std::exchange(other.active_, false)) {}
    scoped &operator=(scoped &&other) noexcept {
        if (this != &other) {
            cancel();
            named_ = other.named_;
            active_ = std::exchange(other.active_, false);
        }
        return *this;
    }
    ~scoped() { cancel(); }

    /* Cancels it now. */
    void cancel() noexcept {
        if (std::exchange(active_, false)) static_cast<void>(named_.cancel());
    }

    /* Leaves it alone from now on, and returns its name. */
    T release() noexcept {
        active_ = false;
        return named_;
    }

    const T &get() const noexcept { return named_; }

private:
    T named_{};
    bool active_ = false;
};

}  // namespace coop

#endif  // COOP_SCOPED_HPP
