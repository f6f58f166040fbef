/* coop::workers: what a program can be when a host starts it as a service in a process of its own.
 *
 *     int main() {
 *         coop::workers workers;
 *         workers.service("echo", echo());                      // an object with start(coop::service_context)
 *         workers.service("count", [](coop::service_context context) { context.wait_stopping(); });
 *         if (const auto status = workers.run().value()) return *status;
 *
 *         auto host = coop::host::create().value();
 *         host.root().add(coop::service("echo", coop::worker{"echo"}, {.liveness = 2s})).value();
 *
 * An object lives on the process's main loop, context.event_loop(); a callable has a thread of its own beside it.
 *
 * Lifetimes: 1. A callable or object is moved in, and destroyed once: by run, or with the workers. 2. In a process that is no worker none of
 * them is called. Errors and threads: as coop.h says. */
#ifndef COOP_WORKERS_HPP
#define COOP_WORKERS_HPP

#include <coop/result.hpp>
#include <coop/service.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace coop {

class workers {
public:
    workers() noexcept = default;
    workers(workers &&other) noexcept : names_(std::move(other.names_)), entries_(std::exchange(other.entries_, {})) {}
    workers &operator=(workers &&) = delete;
    ~workers() {
        for (const coop_worker &entry : entries_) drop(entry);
    }

    /* An entry of this name: an object of the main loop's, if it has start(service_context); else a callable. */
    template <class F>
    workers &service(std::string name, F &&f) {
        using callable = std::decay_t<F>;
        coop_worker entry{};
        entry.size = sizeof entry;
        names_.push_back(std::move(name));
        entries_.reserve(names_.size());
        if constexpr (detail::loop_service<callable>) {
            using functions = detail::async_service<callable>;
            entry.async = {&functions::start, functions::has_stop ? &functions::stop : nullptr, new callable(std::forward<F>(f)),
                           &functions::drop};
        } else {
            using functions = detail::thread_service<callable>;
            /* A null pointer to a function stays NULL: the library refuses that in words. */
            bool is_null = false;
            if constexpr (detail::may_be_null<std::remove_cvref_t<F>>) is_null = f == nullptr;
            if (!is_null)
                entry.thread = {&functions::run, new callable(std::forward<F>(f)), &functions::drop};
        }
        entries_.push_back(entry);
        return *this;
    }

    /* Runs the entry that this process was started for: the status to return from main. None at once if it is no worker. Once. */
    result<std::optional<int>> run() {
        for (std::size_t at = 0; at < entries_.size(); at++) {
            entries_[at].name = names_[at].c_str();
            entries_[at].name_length = names_[at].size();
        }
        std::int32_t status = 0;
        const coop_status ran = coop_workers_run(entries_.data(), entries_.size(), &status);
        if (ran != COOP_OK) return coop::error::last(ran);
        entries_.clear();
        names_.clear();
        return status == COOP_NONE ? std::optional<int>() : std::optional<int>(status);
    }

private:
    static void drop(const coop_worker &entry) noexcept {
        if (entry.thread.drop) entry.thread.drop(entry.thread.arg);
        if (entry.async.drop) entry.async.drop(entry.async.arg);
    }

    std::vector<std::string> names_;
    std::vector<coop_worker> entries_;
};

}  // namespace coop

#endif  // COOP_WORKERS_HPP
