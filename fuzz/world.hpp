// What one case works on: objects that several threads use and free, and a ledger of every callback that was offered.
//
// The rules that coop.h sets for callers are kept here: no call begins on an object that is being freed, and free waits for the
// calls of other threads. Everything else is fair.
#pragma once
#include <coop.h>

#include <array>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <utility>

#include "source.hpp"

namespace fuzz {

// A place for an object. The counts say who uses it.
struct place {
    enum kind { pool, event_loop, runtime, udp, port_set, stream, listener, event, async };

    std::mutex lock;
    std::condition_variable idle;
    kind what = pool;
    void *object = nullptr;
    std::uint64_t generation = 0;
    bool dying = false;
    int calls = 0;            // under way, but for those that run a loop
    int runs = 0;             // calls that run a loop
    int pins = 0;             // port sets that are served on it
    place *pinned = nullptr;  // the loop of a port set
    std::mutex receiving;     // one thread at a time receives
    std::array<std::atomic<int>, 64> telling{};  // callbacks of a stream that run, by its generation

    bool put(void *made) {
        std::lock_guard guard(lock);
        if (object != nullptr || dying) return false;
        object = made;
        generation++;
        return true;
    }

    void unpin() {
        if (pinned == nullptr) return;
        std::lock_guard guard(pinned->lock);
        pinned->pins--;
        pinned = nullptr;
    }

    // For a callback of this object: takes it if nobody else has begun a call on it, but for runs that this thread is inside of.
    void *take_inside(int own_runs, std::uint64_t wanted) {
        std::lock_guard guard(lock);
        if (object == nullptr || dying || calls > 0 || pins > 0 || runs != own_runs || generation != wanted) return nullptr;
        return std::exchange(object, nullptr);
    }
};

// Keeps an object from being freed while a call on it is under way.
class hold {
public:
    hold() = default;
    hold(const hold &) = delete;
    hold &operator=(const hold &) = delete;
    ~hold() { release(); }

    // generation 0: whatever is there.
    bool take(place &p, std::uint64_t generation = 0) {
        std::lock_guard guard(p.lock);
        if (p.object == nullptr || p.dying || (generation != 0 && p.generation != generation)) return false;
        p.calls++;
        place_ = &p;
        object_ = p.object;
        generation_ = p.generation;
        return true;
    }

    // The call is one that runs the loop: whoever frees the object has to stop it first.
    void becomes_run() {
        std::lock_guard guard(place_->lock);
        place_->calls--;
        place_->runs++;
        is_run_ = true;
    }

    void release() {
        if (place_ == nullptr) return;
        std::lock_guard guard(place_->lock);
        (is_run_ ? place_->runs : place_->calls)--;
        place_->idle.notify_all();
        place_ = nullptr;
    }

    place *where() const { return place_; }
    std::uint64_t generation() const { return generation_; }
    coop_runtime *runtime() const { return static_cast<coop_runtime *>(object_); }
    coop_udp *udp() const { return static_cast<coop_udp *>(object_); }
    coop_stream *stream() const { return static_cast<coop_stream *>(object_); }
    coop_listener *listener() const { return static_cast<coop_listener *>(object_); }
    coop_async *async() const { return static_cast<coop_async *>(object_); }
    coop_event *event() const { return static_cast<coop_event *>(object_); }
    coop_port_set *port_set() const { return static_cast<coop_port_set *>(object_); }
    coop_pool *pool() const {
        return place_->what == place::runtime ? coop_runtime_pool(runtime()) : static_cast<coop_pool *>(object_);
    }
    coop_event_loop *event_loop() const {
        return place_->what == place::runtime ? coop_runtime_event_loop(runtime()) : static_cast<coop_event_loop *>(object_);
    }

private:
    place *place_ = nullptr;
    void *object_ = nullptr;
    std::uint64_t generation_ = 0;
    bool is_run_ = false;
};

struct world;

// The argument of one callback that was offered to the library.
struct argument {
    enum fates { offered, accepted, refused };

    world *in = nullptr;
    const char *to = "";  // the function it was offered to
    std::uint64_t seed = 0;
    int depth = 0;
    bool once = false;   // runs at most once
    bool alone = false;  // its runs do not overlap
    bool nothing = false;  // has no function: where that is allowed, the argument stays the caller's
    bool told = false;   // runs before it is dropped, whatever happens
    std::atomic<std::thread::id> asker;         // who is inside the call that offers it
    std::unique_ptr<unsigned char[]> memory;    // the library's until it is told
    std::unique_ptr<std::int32_t[]> descriptors;
    std::unique_ptr<std::size_t> descriptor_count;
    place *home = nullptr;
    std::uint64_t generation = 0;
    std::atomic<int> fate{offered}, runs{0}, drops{0}, inside{0};
    std::atomic<std::uint64_t> id{0};
    std::shared_mutex context_lock;
    coop_port_context *context = nullptr;  // of a port's handler, until its drop

    void settle(coop_status status) {
        if (status != COOP_OK && (runs.load() != 0 || drops.load() != 0))
            fail("a callback was refused (%s), and run %d and dropped %d times", coop_status_str(status), runs.load(), drops.load());
        fate = status == COOP_OK && !nothing ? accepted : refused;
    }
};

struct world {
    std::array<place, 3> pools, event_loops, udps;
    std::array<place, 2> runtimes, port_sets, listeners, events, asyncs;
    std::array<place, 6> streams;
    int fds[8];  // four pairs of sockets, and they do not block
    std::atomic<int> budget{3000};  // calls from inside callbacks

    std::mutex lock;
    std::deque<argument> ledger;
    std::deque<argument *> handlers;  // the last few
    std::deque<coop_address> addresses;

    world() {
        for (place &p : pools) p.what = place::pool;
        for (place &p : event_loops) p.what = place::event_loop;
        for (place &p : udps) p.what = place::udp;
        for (place &p : runtimes) p.what = place::runtime;
        for (place &p : port_sets) p.what = place::port_set;
        for (place &p : streams) p.what = place::stream;
        for (place &p : listeners) p.what = place::listener;
        for (place &p : events) p.what = place::event;
        for (place &p : asyncs) p.what = place::async;
    }

    argument &offer() {
        std::lock_guard guard(lock);
        argument &made = ledger.emplace_back();
        made.in = this;
        return made;
    }
    void remember(const coop_address &address) {
        std::lock_guard guard(lock);
        addresses.push_back(address);
        if (addresses.size() > 16) addresses.pop_front();
    }
    // The id of one of this object's callbacks, live or not.
    std::uint64_t id_of(place *home, source &from) {
        std::lock_guard guard(lock);
        for (int tries = 0; tries < 32 && !ledger.empty(); tries++)
            if (argument &a = ledger[from.below(ledger.size())]; a.id != 0 && (home == nullptr || a.home == home)) return a.id;
        return 0;
    }
    // A port's handler that runs, if one is found; locked until the call is over.
    argument *handler(source &from, std::shared_lock<std::shared_mutex> &held) {
        std::lock_guard guard(lock);
        for (argument *a : handlers) {
            if (from.one_in(2)) continue;
            held = std::shared_lock(a->context_lock, std::try_to_lock);
            if (held.owns_lock() && a->context != nullptr) return a;
        }
        return nullptr;
    }

    template <class F>
    void for_each_place(F f) {
        for (place &p : port_sets) f(p);
        for (place &p : event_loops) f(p);
        for (place &p : runtimes) f(p);
        for (place &p : pools) f(p);
        for (place &p : udps) f(p);
        for (place &p : listeners) f(p);
        for (place &p : streams) f(p);
        for (place &p : events) f(p);
        for (place &p : asyncs) f(p);
    }
};

}  // namespace fuzz
