/* Owners: move-only, empty once moved from, and every call of an empty one says so. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <array>
#include <span>
#include <type_traits>

template <class T>
constexpr bool owns = !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T> &&
                      std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> &&
                      std::is_nothrow_default_constructible_v<T> && std::is_nothrow_destructible_v<T> &&
                      sizeof(T) == sizeof(void *);
static_assert(owns<coop::pool> && owns<coop::event_loop> && owns<coop::runtime> && owns<coop::udp> && owns<coop::port_set>);

template <class T>
constexpr bool refers = std::is_trivially_copyable_v<T> && std::is_nothrow_default_constructible_v<T>;
static_assert(refers<coop::pool_ref> && refers<coop::event_loop_ref> && refers<coop::timer> && refers<coop::io_watch>);
static_assert(refers<coop::port_context> && refers<coop::address> && refers<coop::cpu_set>);
static_assert(std::is_convertible_v<coop::pool &, coop::pool_ref>);
static_assert(std::is_convertible_v<coop::event_loop &, coop::event_loop_ref>);
static_assert(!std::is_convertible_v<coop::pool_ref, coop::pool>);
static_assert(!std::is_convertible_v<coop_pool *, coop::pool> && !std::is_convertible_v<coop_pool *, coop::pool_ref>);

static_assert(!std::is_copy_constructible_v<coop::scoped<coop::timer>>);
static_assert(std::is_nothrow_move_constructible_v<coop::scoped<coop::io_watch>>);
static_assert(!std::is_copy_constructible_v<coop::port> && std::is_nothrow_move_constructible_v<coop::port>);

/* Every owner alike: moved, assigned to itself, given away and taken again, freed early and twice. */
template <class T, class Works>
static void lives(Works works) {
    T first = MUST(T::create());
    CHECK(first && first.get() != nullptr);
    works(first);
    auto *const place = first.get();

    T second = std::move(first);
    CHECK(!first && first.get() == nullptr && second.get() == place);
    works(second);

    T third = MUST(T::create());
    third = std::move(second); /* what third had is freed */
    CHECK(!second && third.get() == place);
    works(third);

    T &itself = third;
    third = std::move(itself);
    CHECK(third.get() == place);
    works(third);

    T taken(third.release());
    CHECK(!third && taken.get() == place);
    works(taken);

    taken.free();
    CHECK(!taken);
    taken.free();
    taken = T();
    CHECK(!taken && !T());

    taken = MUST(T::create());
    works(taken);
}

static void of_no_pool(coop::pool_ref pool) {
    REFUSED(coop::errc::null, pool.submit([] {}));
    REFUSED(coop::errc::null, pool.submit({.priority = coop::priority::low}, [] {}));
    REFUSED(coop::errc::null, pool.workers());
    REFUSED(coop::errc::null, pool.worker_cpu(0));
    REFUSED(coop::errc::null, pool.close());
    REFUSED(coop::errc::null, pool.shutdown());
    REFUSED(coop::errc::null, pool.shutdown(coop::shutdown_mode::discard, 0s));
    REFUSED(coop::errc::null, pool.join(0s));
    CHECK(!pool.is_worker_thread() && !pool && pool.get() == nullptr);
}

static void of_no_loop(coop::event_loop_ref loop) {
    REFUSED(coop::errc::null, loop.post([] {}));
    REFUSED(coop::errc::null, loop.timer({}, [] {}));
    REFUSED(coop::errc::null, loop.watch(0, [] {}));
    REFUSED(coop::errc::null, loop.run());
    REFUSED(coop::errc::null, loop.start());
    REFUSED(coop::errc::null, loop.stop());
    REFUSED(coop::errc::null, loop.interrupt());
    REFUSED(coop::errc::null, loop.join(0s));
    REFUSED(coop::errc::null, coop::timer(loop.get(), 1).cancel());
    REFUSED(coop::errc::null, coop::io_watch().cancel());
    CHECK(!loop.is_loop_thread() && !loop && loop.get() == nullptr);
}

static void of_nothing() {
    of_no_pool({});
    of_no_loop({});

    coop::runtime runtime;
    REFUSED(coop::errc::null, runtime.start());
    REFUSED(coop::errc::null, runtime.stop());
    of_no_pool(runtime.pool());
    of_no_loop(runtime.event_loop());

    coop::udp udp;
    std::array<coop::datagram, 1> room;
    REFUSED(coop::errc::null, udp.connect(MUST(coop::address::parse("127.0.0.1:1"))));
    REFUSED(coop::errc::null, udp.local_address());
    REFUSED(coop::errc::null, udp.fd());
    REFUSED(coop::errc::null, udp.receive(room));
    REFUSED(coop::errc::null, udp.send(room));
    REFUSED(coop::errc::null, udp.send(coop::datagram("lost")));

    coop::port_set set;
    REFUSED(coop::errc::null, set.start());
    REFUSED(coop::errc::null, set.stop(0s));
    REFUSED(coop::errc::null, set.join(0s));
    REFUSED(coop::errc::null, set.address("A"));
    REFUSED(coop::errc::null, set.stats("A"));

    const coop::port_context context;
    REFUSED(coop::errc::null, context.send(room));
    REFUSED(coop::errc::null, context.send(coop::datagram("lost")));
    REFUSED(coop::errc::null, context.set_timer(1s));
    REFUSED(coop::errc::null, context.cancel_timer(1));
    REFUSED(coop::errc::null, context.stop());
}

/* A scope cancels what it was given last, once. */
static void scopes() {
    counts c;
    coop::event_loop loop = MUST(coop::event_loop::create());
    {
        coop::scoped<coop::timer> empty;
        coop::scoped first = MUST(loop.timer({.after = 1h}, counted(c)));
        coop::scoped second = std::move(first);
        CHECK(c.drops == 0);
        empty = std::move(second);
        CHECK(c.drops == 0);
        empty = coop::scoped(MUST(loop.timer({.after = 1h}, counted(c))));
        CHECK(c.drops == 1);
        empty.cancel();
        CHECK(c.drops == 2);
        empty.cancel();
    }
    CHECK(c.drops == 2);
    coop::timer left;
    {
        coop::scoped released = MUST(loop.timer({.after = 1h}, counted(c)));
        left = released.release();
        CHECK(left.id() == released.get().id() && left.id() != 0);
    }
    CHECK(c.drops == 2);
    MUST(left.cancel());
    CHECK(c.drops == 3 && c.runs == 0);
}

int main() {
    lives<coop::pool>([](coop::pool &pool) { CHECK(MUST(pool.workers()) >= 1); });
    lives<coop::event_loop>([](coop::event_loop &loop) {
        bool ran = false;
        MUST(loop.post([&] { ran = true; }));
        MUST(loop.run(coop::run_mode::until_idle));
        CHECK(ran);
    });
    lives<coop::runtime>([](coop::runtime &runtime) { CHECK(MUST(runtime.pool().workers()) >= 1); });
    lives<coop::udp>([](coop::udp &udp) { CHECK(MUST(udp.fd()) >= 0); });
    of_nothing();
    scopes();
}
