// Random arguments, made by the type of the parameter: so a function that is new in coop.h is called too, as far as its types are
// known here. What is not known is NULL or zero.
#pragma once
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "world.hpp"

namespace fuzz {

// One call: what its arguments know of one another.
struct call {
    world &in;
    source &from;
    int depth;                // of callbacks
    argument *self;           // the callback that it is made from
    std::string_view name;
    place *home = nullptr;    // the first object among its arguments
    std::uint64_t generation = 0;
    bool null_object = false;
    std::size_t length = 8;   // of the array or text before it
    std::vector<argument *> offered;
    std::vector<std::unique_ptr<unsigned char[]>> kept;  // memory that ends where the callee may read last

    call(world &w, source &s, int depth = 0, argument *self = nullptr) : in(w), from(s), depth(depth), self(self) {}
    bool named(std::string_view part) const { return name.find(part) != std::string_view::npos; }
    unsigned char *bytes(std::size_t size) { return kept.emplace_back(new unsigned char[size]()).get(); }
};

void behave(argument &self, bool dropping);

// The functions that are handed to the library.
inline void dropped(void *arg) {
    argument &a = *static_cast<argument *>(arg);
    if (a.drops.fetch_add(1) != 0) fail("an argument was dropped twice");
    if (a.fate == argument::refused) fail("a refused argument was dropped");
    if (a.inside != 0) fail("an argument was dropped while its function runs");
    if (a.told && a.runs != 1) fail("%s: its callback was not told before it was dropped", a.to);
    if (a.descriptor_count)
        for (std::size_t i = 0; i < *a.descriptor_count; i++) close(a.descriptors[i]);
    a.memory.reset(), a.descriptors.reset(), a.descriptor_count.reset();
    behave(a, true);
    std::unique_lock guard(a.context_lock);
    a.context = nullptr;
}

// What a faulty library would do, for the test that such a fault is found.
inline bool drops_twice = false;
inline void dropped_twice(void *arg) {
    dropped(arg);
    dropped(arg);
}

struct inside {
    argument &a;
    explicit inside(void *arg) : a(*static_cast<argument *>(arg)) {
        if (a.drops != 0) fail("a function runs after its argument was dropped");
        if (a.fate == argument::refused) fail("a refused callback runs");
        if (a.inside.fetch_add(1) != 0 && a.alone) fail("two runs of one source overlap");
        if (a.runs.fetch_add(1) != 0 && a.once) fail("%s: its callback runs twice", a.to);
    }
    ~inside() { a.inside--; }
};

template <class R, class... A>
R ran(void *arg, A...) {
    inside here(arg);
    behave(here.a, false);
    return R();
}

// A callback that is handed a stream keeps it if there is a place.
inline void handed(void *arg, const coop_error *error, coop_stream *stream) {
    inside here(arg);
    if (here.a.asker == std::this_thread::get_id()) fail("%s tells its callback before it returns", here.a.to);
    if ((error == nullptr) != (stream != nullptr)) fail("neither a stream nor an error, or both");
    if (stream != nullptr) {
        source from(here.a.seed + static_cast<std::uint64_t>(here.a.runs.load()));
        if (from.one_in(5) || !here.a.in->streams[from.below(here.a.in->streams.size())].put(stream)) coop_stream_free(stream);
    }
    behave(here.a, false);
}

// How a read or a write ended.
inline void ended(void *arg, const coop_error *error, std::size_t) {
    inside here(arg);
    argument &a = here.a;
    if (a.asker == std::this_thread::get_id()) fail("%s tells its callback before it returns", a.to);
    if (error != nullptr && error->status == COOP_E_PANIC) fail("%s: %s", a.to, error->message);
    std::atomic<int> &telling = a.home->telling[a.generation % a.home->telling.size()];
    if (telling.fetch_add(1) != 0) fail("two callbacks of one stream overlap");
    behave(a, false);
    telling--;
}

// A struct { fn, arg, drop }.
template <class T>
concept callback = requires(T t) { t.fn, t.arg, t.drop; };

template <class T>
concept complete = requires { sizeof(T); };

template <class T>
concept sized = complete<T> && requires(T t) { t.size; };

template <class R, class... A>
auto ran_as(R (*)(void *, A...)) { return &ran<R, A...>; }

inline auto ran_as(void (*)(void *, const coop_error *, coop_stream *)) { return &handed; }
inline auto ran_as(void (*)(void *, const coop_error *, std::size_t)) { return &ended; }

inline argument &offer(call &c) {
    argument &a = c.in.offer();
    a.to = c.name.data();
    a.seed = c.from.next();
    a.depth = c.depth + 1;
    a.home = c.home;
    a.generation = c.generation;
    c.offered.push_back(&a);
    return a;
}

template <callback T>
T make_callback(call &c) {
    T made{};
    if (c.named("set_log") && c.from.one_in(2)) return made;
    argument &a = offer(c);
    a.told = std::is_same_v<T, coop_io_callback> || std::is_same_v<T, coop_resolve_callback> || std::is_same_v<T, coop_stream_callback>;
    a.once = a.told || std::is_same_v<T, coop_callback>;
    a.asker = std::this_thread::get_id();
    a.alone = !std::is_same_v<T, coop_log_callback>;
    if (!c.from.one_in(30)) made.fn = ran_as(decltype(made.fn){});
    a.nothing = made.fn == nullptr && !std::is_same_v<T, coop_log_callback>;
    made.arg = &a;
    made.drop = drops_twice ? dropped_twice : dropped;
    return made;
}

// A value that is mostly right.
inline std::int32_t choice(call &c, std::initializer_list<std::int32_t> right) {
    return c.from.one_in(25) ? c.from.of<std::int32_t>({-77, -1, 2, 3, 6, 77, INT32_MIN, INT32_MAX}) : c.from.of(right);
}
inline std::int64_t duration(call &c) {
    return c.from.one_in(20) ? c.from.of<std::int64_t>({-2, -1, INT64_MIN, INT64_MAX}) : c.from.of<std::int64_t>({0, 0, 1, 1000, 100000, 2000000});
}

inline const char *text(call &c, std::size_t &length) {
    static const std::string_view texts[] = {"127.0.0.1:0", "[::1]:0", "127.0.0.1:0", "A", "B", "", "worker", "\xff\xfe", "1.2.3.4.5:6", "[::1", "a name that is longer than the system takes"};
    std::string_view chosen = texts[c.from.below(std::size(texts))];
    // Nobody else is asked where a name is.
    if (c.name == "coop_event_loop_connect" || c.named("resolve")) chosen = c.from.of<std::string_view>({"127.0.0.1", "::1", "", "\xff\xfe"});
    length = c.from.one_in(40) ? c.from.of<std::size_t>({0, SIZE_MAX, SIZE_MAX / 2 + 1}) : chosen.size();
    if (c.from.one_in(12)) return nullptr;
    unsigned char *copy = c.bytes(chosen.size());
    std::memcpy(copy, chosen.data(), chosen.size());
    return reinterpret_cast<const char *>(copy);
}

// Only what this machine has said itself: nothing is sent to anybody else.
inline coop_address address(call &c) {
    coop_address made{};
    std::lock_guard guard(c.in.lock);
    if (!c.in.addresses.empty() && !c.from.one_in(6)) made = c.in.addresses[c.from.below(c.in.addresses.size())];
    if (c.from.one_in(20)) made.length = c.from.of<std::uint32_t>({1, 2, 15, 29, UINT32_MAX});
    return made;
}

// How options are filled. Those that are not known are all zero.
template <class T>
void fill(T &, call &) {}

inline void fill(coop_event_loop_options &o, call &c) {
    if (c.from.one_in(3)) o.name = text(c, o.name_length);
}
inline void fill(coop_pool_options &o, call &c) {
    o.workers = c.from.one_in(30) ? c.from.of<std::size_t>({0, 1025, SIZE_MAX}) : 1 + c.from.below(3);
    o.no_pin = choice(c, {0, 0, 0, 1});
    o.ageing = choice(c, {0, 0, 1, 3, COOP_NONE});
    if (c.from.one_in(3)) o.name = text(c, o.name_length);
    if (c.from.one_in(3)) o.capacity = c.from.of<std::size_t>({1, 2, 8, SIZE_MAX});
}
inline void fill(coop_cpu_set &set, call &c) {
    set.count = c.from.one_in(30) ? SIZE_MAX : c.from.below(20);
    auto *words = reinterpret_cast<std::uint64_t *>(c.bytes(20 * sizeof(std::uint64_t)));
    for (int i = 0; i < 20; i++) words[i] = c.from.of<std::uint64_t>({0, 0, 1, 3, UINT64_MAX});
    if (!c.from.one_in(12)) set.words = words;
}
inline void fill(coop_submit_options &o, call &c) {
    o.priority = choice(c, {-1, 0, 1});
    o.continues = choice(c, {0, 0, 0, 1});
    if (c.from.one_in(3)) o.timeout_ns = c.from.one_in(20) ? c.from.of<std::int64_t>({-2, INT64_MIN}) : c.from.of<std::int64_t>({1, 100000, 2000000});
    if (!c.from.one_in(4)) return;
    fill(o.cpus, c);
}
inline void fill(coop_timer_options &o, call &c) {
    o.after_ns = duration(c);
    o.every_ns = c.from.one_in(2) ? 0 : duration(c);
    o.unref = choice(c, {0, 0, 1});
    o.on = choice(c, {0, 0, 1, 2});
    if (o.on == COOP_ON_POOL) o.priority = choice(c, {-1, 0, 1});
    if (c.from.one_in(8)) fill(o.cpus, c);
}
inline void fill(coop_io_watch_options &o, call &c) {
    o.interest = c.from.one_in(25) ? static_cast<std::uint32_t>(c.from.next()) : static_cast<std::uint32_t>(c.from.below(4));
    o.edge = choice(c, {0, 1});
    o.on = choice(c, {0, 0, 1, 2});
    if (o.on == COOP_ON_POOL) o.priority = choice(c, {-1, 0, 1});
    if (c.from.one_in(8)) fill(o.cpus, c);
    o.unref = choice(c, {0, 1});
}
inline void fill(coop_udp_options &o, call &c) {
    o.address = text(c, o.address_length);
    o.recv_buffer = c.from.of<std::size_t>({0, 0, 1, 100000, 1 << 22});
    o.send_buffer = c.from.of<std::size_t>({0, 0, 1, 100000});
    o.reuse_port = choice(c, {0, 1});
    o.no_gro = choice(c, {0, 1});
    o.no_gso = choice(c, {0, 1});
}
inline void fill(coop_source_options &o, call &c) {
    o.on = choice(c, {0, 0, 1, 2});
    if (o.on == COOP_ON_POOL) o.priority = choice(c, {-1, 0, 1});
    if (c.from.one_in(8)) fill(o.cpus, c);
}
inline void fill(coop_stream_options &o, call &c) {
    o.on = choice(c, {0, 0, 1, 2});
    if (o.on == COOP_ON_POOL) o.priority = choice(c, {-1, 0, 1});
    if (c.from.one_in(8)) fill(o.cpus, c);
    o.nodelay = choice(c, {0, 1});
    o.keepalive_ns = duration(c);
    o.recv_buffer = c.from.of<std::size_t>({0, 0, 1, 100000});
    o.send_buffer = c.from.of<std::size_t>({0, 0, 1, 100000});
}
void fill(coop_event_options &o, call &c);
void fill(coop_listener_options &o, call &c);
void fill(coop_connect_options &o, call &c);
void fill(coop_runtime_options &o, call &c);

// NULL, right, or of a size that is wrong in one of the ways there are.
template <sized T>
T *make_sized(call &c, const T &known, bool or_null = true) {
    if (or_null && c.from.one_in(6)) return nullptr;
    std::size_t size = sizeof(T), room = sizeof(T);
    bool future = false;
    if (c.from.one_in(12)) {
        size = c.from.of<std::size_t>({0, 1, sizeof(T) - 1, sizeof(T) + 8, sizeof(T) + 64, 4097, SIZE_MAX});
        if (size > sizeof(T) && size <= 4096) room = size, future = c.from.one_in(2);
    }
    unsigned char *bytes = c.bytes(room);
    std::memcpy(bytes, &known, sizeof(T));
    std::memcpy(bytes, &size, sizeof size);
    if (future) bytes[room - 1] = 1;
    return reinterpret_cast<T *>(bytes);
}
template <sized T>
T *make_options(call &c) {
    T known{};
    fill(known, c);
    return make_sized(c, known);
}
inline void fill(coop_event_options &o, call &c) { o.manual_reset = choice(c, {0, 1}); }
inline void fill(coop_listener_options &o, call &c) {
    // No file is made: a path is a name without one, of this process.
    static const std::string name = std::string(1, '\0') + "coop fuzz " + std::to_string(getpid());
    if (c.from.one_in(4)) o.path = name.data(), o.path_length = name.size();
    else o.address = text(c, o.address_length);
    o.backlog = static_cast<std::uint32_t>(c.from.below(3));
    o.reuse_port = choice(c, {0, 1});
    o.no_reuse_address = choice(c, {0, 1});
    o.stream = make_options<coop_stream_options>(c);
}
inline void fill(coop_connect_options &o, call &c) {
    o.timeout_ns = duration(c);
    if (c.from.one_in(6)) o.local = text(c, o.local_length);
    o.stream = make_options<coop_stream_options>(c);
}
inline void fill(coop_runtime_options &o, call &c) {
    // As many workers as there are CPUs, at least 4, are too many for each case.
    coop_pool_options pool{};
    fill(pool, c);
    pool.workers = pool.workers == 0 ? 1 : pool.workers;
    o.pool = make_sized(c, pool, c.from.one_in(20));
    o.event_loop = make_options<coop_event_loop_options>(c);
}

inline coop_datagram *datagrams(call &c, std::size_t count) {
    auto *made = reinterpret_cast<coop_datagram *>(c.bytes(count * sizeof(coop_datagram)));
    for (std::size_t i = 0; i < count; i++) {
        made[i].length = c.from.one_in(30) ? c.from.of<std::size_t>({65507, 65508, 70000}) : c.from.below(3000);
        if (!c.from.one_in(60)) made[i].data = c.bytes(made[i].length);
        if (c.from.one_in(40)) made[i].length = SIZE_MAX;
        made[i].address = address(c);
        if (c.from.one_in(4)) made[i].segment_size = static_cast<std::uint32_t>(c.from.of<std::size_t>({1, 100, 1000, 70000, UINT32_MAX}));
        made[i].flags = c.from.one_in(60);
    }
    return made;
}

// An object of the world, held while the call is under way; sometimes NULL.
template <class T>
struct objects;
template <>
struct objects<coop_pool> {
    static place &pick(call &c) { return c.from.one_in(3) ? c.in.runtimes[c.from.below(2)] : c.in.pools[c.from.below(3)]; }
    static coop_pool *of(hold &h) { return h.pool(); }
};
template <>
struct objects<coop_event_loop> {
    static place &pick(call &c) { return c.from.one_in(3) ? c.in.runtimes[c.from.below(2)] : c.in.event_loops[c.from.below(3)]; }
    static coop_event_loop *of(hold &h) { return h.event_loop(); }
};
template <>
struct objects<coop_runtime> {
    static place &pick(call &c) { return c.in.runtimes[c.from.below(2)]; }
    static coop_runtime *of(hold &h) { return h.runtime(); }
};
template <>
struct objects<coop_udp> {
    static place &pick(call &c) { return c.in.udps[c.from.below(3)]; }
    static coop_udp *of(hold &h) { return h.udp(); }
};
template <>
struct objects<coop_stream> {
    static place &pick(call &c) { return c.in.streams[c.from.below(c.in.streams.size())]; }
    static coop_stream *of(hold &h) { return h.stream(); }
};
template <>
struct objects<coop_listener> {
    static place &pick(call &c) { return c.in.listeners[c.from.below(2)]; }
    static coop_listener *of(hold &h) { return h.listener(); }
};
template <>
struct objects<coop_event> {
    static place &pick(call &c) { return c.in.events[c.from.below(2)]; }
    static coop_event *of(hold &h) { return h.event(); }
};
template <>
struct objects<coop_async> {
    static place &pick(call &c) { return c.in.asyncs[c.from.below(2)]; }
    static coop_async *of(hold &h) { return h.async(); }
};
template <>
struct objects<coop_port_set> {
    static place &pick(call &c) { return c.in.port_sets[c.from.below(2)]; }
    static coop_port_set *of(hold &h) { return h.port_set(); }
};

template <class T>
concept known_object = requires(call &c) { objects<T>::pick(c); };

template <class T>
T *take(call &c, hold &h) {
    if (!c.from.one_in(40))
        for (int tries = 0; tries < 4 && h.where() == nullptr; tries++) {
            // Half of the calls in a callback are on what it is a callback of.
            place *where = &objects<T>::pick(c);
            if (c.self != nullptr && c.self->home != nullptr && c.self->home->what == where->what && c.from.one_in(2)) where = c.self->home;
            h.take(*where);
        }
    c.null_object = h.where() == nullptr;
    if (c.null_object) return nullptr;
    c.home = h.where();
    c.generation = h.generation();
    return objects<T>::of(h);
}

}  // namespace fuzz
