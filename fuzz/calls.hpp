// Every function of coop.h, with random arguments. Those that wait, that free, or whose arguments must fit together are written out
// here; the others are called by their type.
#pragma once
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <span>

#include "parameters.hpp"

namespace fuzz {

// The places whose loop this thread runs just now.
inline thread_local std::vector<place *> running;
inline int own_runs(place *p) { return static_cast<int>(std::count(running.begin(), running.end(), p)); }

inline void check_status(call &c, coop_status status) {
    const char *name = coop_status_str(status);
    if (status == COOP_OK) return;
    if (status > 0 || std::strncmp(name, "COOP_E_", 7) != 0) fail("%s answered %d", c.name.data(), status);
    if (status == COOP_E_PANIC || status == COOP_E_FORKED) fail("%s answered %s: %s", c.name.data(), name, coop_last_error());
    if (coop_last_error()[0] == '\0') fail("%s failed (%s) without a word", c.name.data(), name);
    if ((coop_last_os_errno() != 0) != (status == COOP_E_OS)) fail("%s: %s with errno %d", c.name.data(), name, coop_last_os_errno());
}

template <class R, class... P, class... A>
R called(R (*function)(A...), std::tuple<P...> &drawn) {
    return std::apply([&](auto &...p) { return function(p.value...); }, drawn);
}

template <class R, class... A>
void by_type(call &c, R (*function)(A...)) {
    std::tuple<parameter<A>...> drawn;
    std::apply([&](auto &...p) { (p.draw(c), ...); }, drawn);
    coop_status status = COOP_OK;
    if constexpr (std::is_void_v<R>) {
        called(function, drawn);
    } else if constexpr (std::is_same_v<R, coop_status>) {
        status = called(function, drawn);
        if (c.named("_fd") || c.named("errno")) status = std::min(status, 0);
        check_status(c, c.named("errno") ? COOP_OK : status);
        if (c.null_object && status != COOP_E_NULL) fail("%s of NULL answered %s", c.name.data(), coop_status_str(status));
    } else if constexpr (std::is_same_v<R, const char *>) {
        if (std::strlen(called(function, drawn)) > 10000) fail("%s has no end", c.name.data());
    } else {
        (void)called(function, drawn);
    }
    for (argument *a : c.offered) a->asker = std::thread::id(), a->settle(status);
    std::apply([&](auto &...p) { (p.settle(c, status), ...); }, drawn);
}

// Frees what is in a place once nobody else uses it. Only from outside: callbacks must not wait for one another.
template <known_object T>
void free_there(place &p) {
    std::unique_lock guard(p.lock);
    if (p.object == nullptr || p.dying || p.pins > 0) return;
    p.dying = true;
    T *object = static_cast<T *>(p.object);
    guard.unlock();
    // Threads that run the loop come back.
    if constexpr (std::is_same_v<T, coop_event_loop>) coop_event_loop_stop(object);
    if constexpr (std::is_same_v<T, coop_runtime>) coop_event_loop_stop(coop_runtime_event_loop(object));
    guard.lock();
    p.idle.wait(guard, [&] { return p.calls == 0 && p.runs == 0; });
    p.object = nullptr;
    guard.unlock();
    destroy(object);
    p.unpin();
    guard.lock();
    p.dying = false;
}

inline void free_there(place &p) {
    switch (p.what) {
    case place::pool: return free_there<coop_pool>(p);
    case place::event_loop: return free_there<coop_event_loop>(p);
    case place::runtime: return free_there<coop_runtime>(p);
    case place::udp: return free_there<coop_udp>(p);
    case place::port_set: return free_there<coop_port_set>(p);
    case place::stream: return free_there<coop_stream>(p);
    case place::listener: return free_there<coop_listener>(p);
    case place::event: return free_there<coop_event>(p);
    case place::async: return free_there<coop_async>(p);
    }
}

template <known_object T>
void free_one(call &c) {
    if (c.from.one_in(4)) return destroy(static_cast<T *>(nullptr));
    place &p = objects<T>::pick(c);
    // What a runtime has is the runtime's: such a free is answered with a warning.
    if constexpr (std::is_same_v<T, coop_pool> || std::is_same_v<T, coop_event_loop>)
        if (p.what == place::runtime) {
            hold h;
            if (T *object = take<T>(c, h); object != nullptr && h.where()->what == place::runtime) destroy(object);
            return;
        }
    if (c.depth == 0) free_there<T>(p);
}

// From inside a callback, what it is a callback of is freed at once.
inline void free_home(argument &self) {
    place *home = self.home;
    if (home == nullptr) return;
    hold h;
    if (!h.take(*home, self.generation)) return;
    bool own = false;
    if (home->what == place::pool) own = coop_pool_is_worker_thread(h.pool());
    if (home->what == place::event_loop) own = coop_event_loop_is_loop_thread(h.event_loop());
    if (home->what == place::runtime) own = coop_pool_is_worker_thread(h.pool()) || coop_event_loop_is_loop_thread(h.event_loop());
    // A handler's on_start is inside coop_port_set_start, which holds it.
    if (home->what == place::port_set) own = true;
    if (home->what >= place::stream) own = true;
    h.release();
    void *object = own ? home->take_inside(own_runs(home), self.generation) : nullptr;
    if (object == nullptr) return;
    switch (home->what) {
    case place::pool: destroy(static_cast<coop_pool *>(object)); break;
    case place::event_loop: destroy(static_cast<coop_event_loop *>(object)); break;
    case place::runtime: destroy(static_cast<coop_runtime *>(object)); break;
    case place::port_set: destroy(static_cast<coop_port_set *>(object)), home->unpin(); break;
    case place::stream: destroy(static_cast<coop_stream *>(object)); break;
    case place::listener: destroy(static_cast<coop_listener *>(object)); break;
    case place::event: destroy(static_cast<coop_event *>(object)); break;
    case place::async: destroy(static_cast<coop_async *>(object)); break;
    case place::udp: break;
    }
}

template <class F>
void run_there(call &c, hold &h, F function) {
    h.becomes_run();
    place *where = h.where();
    running.push_back(where);
    check_status(c, function());
    running.pop_back();
}

inline void event_loop_run(call &c) {
    hold h;
    coop_event_loop *event_loop = take<coop_event_loop>(c, h);
    std::int32_t mode = choice(c, {COOP_RUN_DEFAULT, COOP_RUN_ONCE, COOP_RUN_NOWAIT, COOP_RUN_UNTIL_IDLE});
    if (c.depth > 0 && mode != 77) mode = COOP_RUN_NOWAIT;
    if (event_loop == nullptr) return check_status(c, coop_event_loop_run(event_loop, mode));
    run_there(c, h, [&] { return coop_event_loop_run(event_loop, mode); });
}

inline void runtime_start(call &c) {
    hold h;
    coop_runtime *runtime = take<coop_runtime>(c, h);
    std::int32_t mode = c.depth > 0 ? COOP_START_RETURN : choice(c, {COOP_START_WAIT, COOP_START_RETURN, COOP_START_RETURN});
    if (runtime == nullptr || mode != COOP_START_WAIT) return check_status(c, coop_runtime_start(runtime, mode));
    run_there(c, h, [&] { return coop_runtime_start(runtime, mode); });
}

// Descriptors: the world's sockets, which stay open longer than every loop, and such as there are none of.
inline void event_loop_watch(call &c) {
    hold h;
    coop_event_loop *event_loop = take<coop_event_loop>(c, h);
    std::int32_t fd = c.from.one_in(12) ? c.from.of<std::int32_t>({-1, INT32_MIN, INT32_MAX, 1000000}) : c.in.fds[c.from.below(8)];
    coop_io_watch_options *options = make_options<coop_io_watch_options>(c);
    auto callback = make_callback<coop_io_watch_callback>(c);
    coop_io_watch_id id = 0;
    coop_status status = coop_event_loop_watch(event_loop, fd, options, callback, c.from.one_in(8) ? nullptr : &id);
    check_status(c, status);
    if (status != COOP_OK && id != 0) fail("coop_event_loop_watch failed and has set the id");
    for (argument *a : c.offered) a->settle(status), a->id = id;
}

inline coop_status on_start(void *arg, coop_port_context *context) {
    inside here(arg);
    {
        std::unique_lock guard(here.a.context_lock);
        here.a.context = context;
    }
    {
        std::lock_guard guard(here.a.in->lock);
        here.a.in->handlers.push_back(&here.a);
        if (here.a.in->handlers.size() > 6) here.a.in->handlers.pop_front();
    }
    behave(here.a, false);
    return here.a.seed % 9 == 0 ? COOP_E_INVALID : COOP_OK;
}

inline void port_set_new(call &c) {
    hold h;
    coop_port_set_options options{};
    options.mode = choice(c, {COOP_MODE_SINGLE, COOP_MODE_THREAD});
    options.buffer_bytes = c.from.of<std::size_t>({0, 0, 1, 100000, 1 << 20});
    if (!c.from.one_in(6)) options.event_loop = take<coop_event_loop>(c, h);
    c.home = nullptr;
    std::size_t count = c.from.below(4);
    std::vector<coop_port> ports(3);
    for (std::size_t i = 0; i < 3; i++) {
        argument &a = offer(c);
        a.alone = true;
        coop_port_handler handler{};
        handler.arg = &a;
        handler.on_start = on_start;
        handler.on_batch = c.from.one_in(40) ? nullptr : &ran<void, coop_port_context *, const coop_datagram *, std::size_t>;
        if (c.from.one_in(4)) {
            handler.on_data = &ran<coop_status, coop_port_context *, coop_connection_id, const void *, std::size_t>;
            handler.on_connect = &ran<coop_status, coop_port_context *, coop_connection_id>;
            handler.on_close = &ran<void, coop_port_context *, coop_connection_id, std::int32_t, const coop_error *>;
            ports[i].kind = c.from.of<std::int32_t>({0, 1, 1, 1, 2, 3, 4, 5, -1, INT32_MAX});
            if (ports[i].kind == COOP_PORT_PASSED) ports[i].path = "0", ports[i].path_length = 1;
            if (ports[i].kind == COOP_PORT_LISTENING) ports[i].fd = c.from.of<std::int32_t>({-1, INT32_MIN, 1000000});
        }
        if (c.from.one_in(2)) handler.on_timer = &ran<void, coop_port_context *, coop_timer_id>;
        if (c.from.one_in(2)) handler.on_message = &ran<void, coop_port_context *, const char *, std::size_t, const void *, std::size_t>;
        if (c.from.one_in(2)) handler.on_stop = &ran<void, coop_port_context *>;
        if (c.from.one_in(2)) handler.on_hand_over = &ran<void, coop_port_context *>;
        handler.drop = dropped;
        ports[i].size = c.from.one_in(60) ? 3 : sizeof(coop_port);
        ports[i].name = c.from.one_in(20) ? "A" : i == 0 ? "A" : i == 1 ? "B" : "C";
        ports[i].name_length = !c.from.one_in(40);
        ports[i].handler = make_sized(c, handler, c.from.one_in(10));
        if (c.from.one_in(10)) ports[i].connect = address(c);
    }
    place &p = objects<coop_port_set>::pick(c);
    coop_port_set *made = nullptr;
    coop_port_set_options *sent = make_sized(c, options);
    // The place is taken before its handlers can run, and given back if there is no set.
    std::unique_lock guard(p.lock);
    bool room = p.object == nullptr && !p.dying;
    if (room) p.dying = true;
    std::uint64_t next = p.generation + 1;
    guard.unlock();
    for (argument *a : c.offered) a->home = room ? &p : nullptr, a->generation = next;
    coop_status status = coop_port_set_new(sent, c.from.one_in(40) ? nullptr : ports.data(), c.from.one_in(40) ? SIZE_MAX : count, c.from.one_in(40) ? nullptr : &made);
    check_status(c, status);
    if ((status == COOP_OK) != (made != nullptr)) fail("coop_port_set_new: %s, and the output is %p", coop_status_str(status), static_cast<void *>(made));
    for (std::size_t i = 0; i < 3; i++) c.offered[i]->settle(i < count ? status : COOP_E_INVALID);
    bool single = made != nullptr && options.mode == COOP_MODE_SINGLE;
    if (made != nullptr && !room) destroy(made), made = nullptr;
    if (!room) return;
    if (made != nullptr && single) {
        std::lock_guard pinning(h.where()->lock);
        h.where()->pins++;
        p.pinned = h.where();
    }
    guard.lock();
    p.dying = false;
    p.object = made;
    p.generation++;
}

inline void udp_receive(call &c) {
    hold h;
    coop_udp *udp = take<coop_udp>(c, h);
    coop_datagram out[8];
    std::size_t count = 77, capacity = c.from.one_in(12) ? 0 : 1 + c.from.below(8);
    if (udp == nullptr) return check_status(c, coop_udp_receive(udp, out, capacity, &count));
    std::lock_guard receiving(h.where()->receiving);
    coop_status status = coop_udp_receive(udp, c.from.one_in(30) ? nullptr : out, capacity, c.from.one_in(30) ? nullptr : &count);
    check_status(c, status);
    if (status != COOP_OK) return;
    unsigned sum = 0;
    for (const coop_datagram &d : std::span(out, count))
        for (std::size_t i = 0; i < d.length; i++) sum += static_cast<const unsigned char *>(d.data)[i];
    if (sum != 0) fail("a datagram of zeros came as something else");
}

inline void pool_submit_batch(call &c) {
    hold h;
    coop_pool *pool = take<coop_pool>(c, h);
    coop_submit_options *options = make_options<coop_submit_options>(c);
    std::size_t count = c.from.below(9), accepted = 77;
    auto *tasks = reinterpret_cast<coop_callback *>(c.bytes(count * sizeof(coop_callback)));
    for (std::size_t i = 0; i < count; i++) tasks[i] = make_callback<coop_callback>(c);
    std::size_t *out = c.from.one_in(40) ? nullptr : &accepted;
    coop_status status = c.from.one_in(40) ? coop_pool_submit_batch(pool, options, nullptr, count, out)
                                           : coop_pool_submit_batch(pool, options, tasks, c.from.one_in(40) ? SIZE_MAX : count, out);
    check_status(c, status);
    if (status == COOP_OK ? accepted == 0 || accepted > count : accepted != 77)
        fail("coop_pool_submit_batch of %zu: %s, and it took %zu", count, coop_status_str(status), accepted);
    // The arguments of those that it did not take are the caller's.
    for (std::size_t i = 0; i < count; i++) c.offered[i]->settle(status == COOP_OK && i < accepted ? COOP_OK : COOP_E_CLOSED);
}

// Each number of the range once, or of none twice if the loop was not finished.
struct range {
    argument &a;
    std::size_t begin;
    std::array<std::atomic<int>, 256> seen{};
};

inline void piece(void *arg, std::size_t begin, std::size_t end) {
    range &r = *static_cast<range *>(arg);
    inside here(&r.a);
    if (begin >= end || begin < r.begin || end - r.begin > r.seen.size()) fail("a piece from %zu to %zu", begin, end);
    for (std::size_t i = begin; i < end; i++)
        if (r.seen[i - r.begin].fetch_add(1) != 0) fail("coop_pool_parallel_for told %zu twice", i);
    behave(r.a, false);
}

inline void pool_parallel_for(call &c) {
    hold h;
    coop_pool *pool = take<coop_pool>(c, h);
    // Callbacks must not wait for one another: only a task of this pool may, whose worker takes part.
    if (c.depth > 0 && pool != nullptr && !coop_pool_is_worker_thread(pool)) return;
    range r{offer(c), c.from.one_in(4) ? c.from.of<std::size_t>({1, 77, SIZE_MAX / 2, SIZE_MAX - 256}) : 0};
    r.a.alone = false;
    coop_submit_options *options = make_options<coop_submit_options>(c);
    std::size_t length = c.from.below(c.from.one_in(4) ? r.seen.size() + 1 : 9);
    std::size_t grain = c.from.of<std::size_t>({0, 0, 1, 2, 7, 300, SIZE_MAX / 2 + 1, SIZE_MAX});
    bool backwards = r.begin > 0 && c.from.one_in(20);
    coop_status status = coop_pool_parallel_for(pool, options, r.begin, backwards ? r.begin - 1 : r.begin + length, grain,
                                                c.from.one_in(40) ? nullptr : piece, &r);
    check_status(c, status);
    // The argument stays the caller's. Nothing calls it any more.
    if (r.a.inside != 0) fail("coop_pool_parallel_for has returned (%s) before its pieces", coop_status_str(status));
    if (backwards && status == COOP_OK) fail("a range that ends before it begins was taken");
    for (std::size_t i = 0; i < length && status == COOP_OK; i++)
        if (r.seen[i] != 1) fail("coop_pool_parallel_for left %zu out", r.begin + i);
    r.a.fate = argument::refused;
}

// What a foreign loop does: sleeps in the loop's stead, and runs it.
inline void embed(call &c) {
    hold h;
    coop_event_loop *event_loop = take<coop_event_loop>(c, h);
    if (event_loop == nullptr || c.from.one_in(8)) return by_type(c, coop_event_loop_backend_fd);
    std::int32_t fd = -1;
    coop_status status = coop_event_loop_backend_fd(event_loop, &fd);
    check_status(c, status);
    for (std::size_t turns = c.depth > 0 ? 1 : c.from.below(6); turns > 0 && status == COOP_OK; turns--) {
        std::int64_t left = -1;
        status = coop_event_loop_backend_timeout(event_loop, &left);
        check_status(c, status);
        if (status != COOP_OK) break;
        if (left < COOP_FOREVER) fail("coop_event_loop_backend_timeout tells %lld", static_cast<long long>(left));
        pollfd readable{fd, POLLIN, 0};
        if (left != 0 && c.depth == 0) (void)!poll(&readable, 1, 1);
        // A run is counted as one, so that whoever frees the loop waits for it.
        hold again;
        if (!again.take(*h.where(), h.generation())) return;
        run_there(c, again, [&] { return coop_event_loop_run(event_loop, COOP_RUN_NOWAIT); });
    }
}

inline void port_set_start(call &c) {
    if (c.depth == 0) by_type(c, coop_port_set_start);
}

// Puts into the world what was made, or frees it.
template <known_object T>
void keep(call &c, T *made) {
    for (int i = 0; i < 4; i++)
        if (objects<T>::pick(c).put(made)) return;
    destroy(made);
}

// Both ends of a pair, each for a loop.
inline void stream_new(call &c) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) fail("no sockets left");
    for (int fd : pair) {
        hold h;
        coop_event_loop *event_loop = take<coop_event_loop>(c, h);
        coop_stream *made = nullptr;
        coop_status status = coop_stream_new(event_loop, make_options<coop_stream_options>(c), c.from.one_in(20) ? -1 : fd, c.from.one_in(40) ? nullptr : &made);
        check_status(c, status);
        if ((status == COOP_OK) != (made != nullptr)) fail("coop_stream_new: %s, and the output is %p", coop_status_str(status), static_cast<void *>(made));
        if (made == nullptr) close(fd);
        else keep(c, made);
    }
}

// A listener without a function does not look at the argument.
inline void listener_new(call &c) {
    hold h;
    coop_event_loop *event_loop = take<coop_event_loop>(c, h);
    auto *options = make_options<coop_listener_options>(c);
    auto callback = make_callback<coop_stream_callback>(c);
    argument &a = *c.offered.back();
    a.once = a.told = false;
    a.asker = std::thread::id();  // it may be called before out is set
    if (c.from.one_in(2)) callback.fn = nullptr, a.nothing = true;
    coop_listener *made = nullptr;
    coop_status status = coop_listener_new(event_loop, options, callback, c.from.one_in(40) ? nullptr : &made);
    check_status(c, status);
    if ((status == COOP_OK) != (made != nullptr)) fail("coop_listener_new: %s, and the output is %p", coop_status_str(status), static_cast<void *>(made));
    c.offered.back()->settle(status);
    if (made != nullptr) keep(c, made);
}

// To a port that this machine has told, of a listener or not.
inline void event_loop_connect(call &c) {
    hold h;
    coop_event_loop *event_loop = take<coop_event_loop>(c, h);
    auto *options = make_options<coop_connect_options>(c);
    coop_address to = address(c);
    std::size_t length = 0;
    const char *host = text(c, length);
    auto port = static_cast<std::uint16_t>(to.bytes[2] << 8 | to.bytes[3]);
    auto callback = make_callback<coop_stream_callback>(c);
    coop_status status = coop_event_loop_connect(event_loop, options, host, length, port, callback);
    check_status(c, status);
    c.offered.back()->asker = std::thread::id(), c.offered.back()->settle(status);
}
inline void event_loop_connect_unix(call &c) {
    hold h;
    coop_event_loop *event_loop = take<coop_event_loop>(c, h);
    auto *options = make_options<coop_connect_options>(c);
    coop_listener_options where{};
    while (where.path == nullptr) fill(where, c);
    auto callback = make_callback<coop_stream_callback>(c);
    coop_status status = coop_event_loop_connect_unix(event_loop, options, where.path, where.path_length, callback);
    check_status(c, status);
    c.offered.back()->asker = std::thread::id(), c.offered.back()->settle(status);
}

// What waits: its memory is the argument's until that is dropped, and has its very size.
inline void stream_io(call &c) {
    hold h;
    coop_stream *stream = take<coop_stream>(c, h);
    std::size_t length = c.from.below(c.from.one_in(6) ? 300000 : 200), count = 1 + c.from.below(3);
    auto callback = make_callback<coop_io_callback>(c);
    argument &a = *c.offered.back();
    if (stream == nullptr) callback.fn = nullptr;  // then there is no stream whose callback it is
    a.memory.reset(new unsigned char[length]());
    a.descriptors.reset(new std::int32_t[count]);
    if (c.named("receive")) a.descriptor_count.reset(new std::size_t(0));
    for (std::size_t i = 0; i < count; i++) a.descriptors[i] = c.from.one_in(40) ? -1 : c.in.fds[c.from.below(8)];
    void *memory = c.from.one_in(40) ? nullptr : a.memory.get();
    std::int32_t *descriptors = c.from.one_in(40) ? nullptr : a.descriptors.get();
    coop_status status;
    if (c.named("read_exactly")) status = coop_stream_read_exactly(stream, memory, length, callback);
    else if (c.named("read")) status = coop_stream_read(stream, memory, length, callback);
    else if (c.named("write")) status = coop_stream_write(stream, memory, length, callback);
    else if (c.named("send")) status = coop_stream_send_descriptors(stream, memory, length, descriptors, count, callback);
    else status = coop_stream_receive_descriptors(stream, memory, length, descriptors, c.from.one_in(40) ? 254 : count, a.descriptor_count.get(), callback);
    check_status(c, status);
    if (stream == nullptr && status == COOP_OK) fail("%s of NULL was taken", c.name.data());
    a.asker = std::thread::id(), a.settle(status);
}
inline void stream_try(call &c) {
    hold h;
    coop_stream *stream = take<coop_stream>(c, h);
    std::size_t length = c.from.below(c.from.one_in(6) ? 100000 : 200), count = 77777777;
    unsigned char *memory = c.from.one_in(40) ? nullptr : c.bytes(length);
    std::size_t *out = c.from.one_in(40) ? nullptr : &count;
    coop_status status = c.named("read") ? coop_stream_try_read(stream, memory, length, out) : coop_stream_try_write(stream, memory, length, out);
    check_status(c, status);
    if (status == COOP_OK ? count > length : count != 77777777) fail("%s of %zu: %s, and it took %zu", c.name.data(), length, coop_status_str(status), count);
}
// It leaves the last error alone.
inline void async_send(call &c) {
    hold h;
    coop_async *async = take<coop_async>(c, h);
    coop_status status = coop_async_send(async);
    if (status != (async == nullptr ? COOP_E_NULL : COOP_OK)) fail("coop_async_send answered %s", coop_status_str(status));
}
inline void stream_cancel(call &c) {
    hold h;
    check_status(c, coop_stream_cancel(take<coop_stream>(c, h), static_cast<std::uint32_t>(choice(c, {1, 2, 3}))));
}

// Bytes for the watches.
inline void poke(call &c) {
    char bytes[64] = {};
    int fd = c.in.fds[c.from.below(8)];
    if (c.from.one_in(2)) (void)!write(fd, bytes, 1 + c.from.below(64));
    else (void)!read(fd, bytes, sizeof bytes);
}

using action = void (*)(call &);
struct named_action {
    const char *name;
    action act;
};

inline const named_action by_hand[] = {
    {"coop_pool_free", free_one<coop_pool>},
    {"coop_event_loop_free", free_one<coop_event_loop>},
    {"coop_runtime_free", free_one<coop_runtime>},
    {"coop_udp_free", free_one<coop_udp>},
    {"coop_port_set_free", free_one<coop_port_set>},
    {"coop_event_loop_run", event_loop_run},
    {"coop_runtime_start", runtime_start},
    {"coop_event_loop_watch", event_loop_watch},
    {"coop_port_set_new", port_set_new},
    {"coop_port_set_start", port_set_start},
    {"coop_udp_receive", udp_receive},
    {"coop_pool_submit_batch", pool_submit_batch},
    {"coop_pool_parallel_for", pool_parallel_for},
    {"coop_event_loop_backend_fd", embed},
    {"coop_stream_free", free_one<coop_stream>},
    {"coop_listener_free", free_one<coop_listener>},
    {"coop_event_free", free_one<coop_event>},
    {"coop_async_free", free_one<coop_async>},
    {"coop_async_send", async_send},
    {"coop_stream_new", stream_new},
    {"coop_listener_new", listener_new},
    {"coop_event_loop_connect", event_loop_connect},
    {"coop_event_loop_connect_unix", event_loop_connect_unix},
    {"coop_stream_read", stream_io},
    {"coop_stream_read_exactly", stream_io},
    {"coop_stream_write", stream_io},
    {"coop_stream_send_descriptors", stream_io},
    {"coop_stream_receive_descriptors", stream_io},
    {"coop_stream_try_read", stream_try},
    {"coop_stream_try_write", stream_try},
    {"coop_stream_cancel", stream_cancel},
    {"(a byte for a watch)", poke},
};

// From ffi/coop.symbols.
inline const named_action all[] = {
#define COOP_FUNCTION(f) {#f, [](call &c) { by_type(c, f); }},
#include "coop_functions.inc"
#undef COOP_FUNCTION
};

// What ends an object ends much of the case with it.
inline bool ends(std::string_view name) {
    for (const char *end : {"_free", "_close", "_shutdown", "_stop", "_runtime_start"})
        if (name.ends_with(end)) return true;
    return false;
}

inline void act(call &c) {
    std::size_t at = c.from.below(std::size(all) + 1);
    named_action chosen = at < std::size(all) ? all[at] : by_hand[std::size(by_hand) - 1];
    for (const named_action &other : by_hand)
        if (std::strcmp(other.name, chosen.name) == 0) chosen = other;
    c.name = chosen.name;
    if (!ends(c.name) || c.from.one_in(6)) chosen.act(c);
}

// What every callback does: a few calls, and what is true inside it.
inline void behave(argument &self, bool dropping) {
    world &in = *self.in;
    int run = self.runs.load();
    source from(self.seed + static_cast<std::uint64_t>(run) * 31 + dropping);
    std::uint64_t id = self.id;
    if (!dropping && run > 20 && id != 0 && self.home != nullptr) {
        hold h;
        if ((self.home->what == place::event_loop || self.home->what == place::runtime) && h.take(*self.home, self.generation)) {
            coop_timer_cancel(h.event_loop(), id);
            coop_io_watch_cancel(h.event_loop(), id);
        }
    }
    for (std::size_t n = from.below(3); n > 0 && self.depth < 4 && in.budget.fetch_sub(1) > 0; n--) {
        call c(in, from, self.depth, &self);
        act(c);
    }
    // A port's handler is not waited for while on_start, which is inside coop_port_set_start, so it cannot be freed there.
    if (from.one_in(40) && (!dropping || self.home == nullptr || self.home->what != place::port_set)) free_home(self);
}

}  // namespace fuzz
