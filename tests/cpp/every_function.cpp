// Every function of coop.h with each of its arguments wrong in turn: NULL, sizes 0, 1 and huge, numbers out of range, ids of nothing.
// It answers an error in words, or does nothing, and does not crash. The functions come from ffi/coop.symbols and the arguments from
// the types of the parameters, so a new function is tested without being named here.
#include <coop.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <limits>
#include <string_view>
#include <sys/socket.h>
#include <tuple>
#include <type_traits>
#include <unistd.h>
#include <utility>

namespace {

enum class wrong { nothing, null, zero, one, huge, negative };

[[noreturn]] void fail(const char *function, const char *what, int parameter) {
    std::fprintf(stderr, "%s: parameter %d: %s\n", function, parameter, what);
    std::fflush(stderr);
    std::_Exit(1);
}

// How many arguments were dropped, of each call in turn: they stay where they are until the program's end.
std::deque<std::atomic<int>> counters;

// The objects that right arguments are; made anew for each call.
struct objects {
    coop_pool *pool = nullptr;
    coop_event_loop *event_loop = nullptr;
    coop_runtime *runtime = nullptr;
    coop_udp *udp = nullptr;
    coop_event *event = nullptr;
    coop_async *async = nullptr;
    coop_stream *stream = nullptr;
    coop_listener *listener = nullptr;
    int peer = -1;
    coop_host *host = nullptr;
    coop_port_set *port_set = nullptr;
    coop_port_context *port_context = nullptr;
    coop_dag_builder *dag_builder = nullptr;
    coop_dag *dag = nullptr;
    coop_redis *redis = nullptr;
    coop_redis_subscriber *redis_subscriber = nullptr;
    // Not the next one's: an observer's argument is dropped on a thread that outlives the host.
    std::atomic<int> &dropped = counters.emplace_back(0);

    objects() {
        coop_pool_options small{};
        small.size = sizeof small;
        small.workers = 1;
        coop_runtime_options options{};
        options.size = sizeof options;
        options.pool = &small;
        coop_port_handler handler{};
        handler.size = sizeof handler;
        handler.arg = this;
        handler.on_start = [](void *arg, coop_port_context *context) -> coop_status {
            static_cast<objects *>(arg)->port_context = context;
            return COOP_OK;
        };
        handler.on_batch = [](void *, coop_port_context *, const coop_datagram *, std::size_t) {};
        coop_port port{};
        port.size = sizeof port;
        port.name = "A";
        port.name_length = 1;
        port.handler = &handler;
        coop_port_set_options threads{};
        threads.size = sizeof threads;
        threads.mode = COOP_MODE_THREAD;
        if (coop_pool_new(&small, &pool) != COOP_OK || coop_event_loop_new(nullptr, &event_loop) != COOP_OK ||
            coop_runtime_new(&options, &runtime) != COOP_OK || coop_udp_new(nullptr, &udp) != COOP_OK ||
            coop_event_new(nullptr, &event) != COOP_OK || coop_host_new(nullptr, &host) != COOP_OK ||
            coop_async_new(event_loop, nullptr, {[](void *) {}, nullptr, nullptr}, &async) != COOP_OK ||
            coop_port_set_new(&threads, &port, 1, &port_set) != COOP_OK || coop_port_set_start(port_set) != COOP_OK)
            fail("the objects", coop_last_error(), 0);
        coop_dag_builder *empty = nullptr;
        if (coop_dag_builder_new(nullptr, &dag_builder) != COOP_OK || coop_dag_builder_new(nullptr, &empty) != COOP_OK ||
            coop_dag_builder_build(empty, &dag) != COOP_OK)
            fail("the graphs", coop_last_error(), 0);
        coop_dag_builder_free(empty);
        int pair[2];
        coop_listener_options anywhere{};
        anywhere.size = sizeof anywhere;
        anywhere.address = "127.0.0.1:0";
        anywhere.address_length = std::strlen(anywhere.address);
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || coop_stream_new(event_loop, nullptr, pair[0], &stream) != COOP_OK ||
            coop_listener_new(event_loop, &anywhere, {nullptr, nullptr, nullptr}, &listener) != COOP_OK)
            fail("the streams", coop_last_error(), 0);
        peer = pair[1];
        // Its loop does not run, so no server is needed.
        const char url[] = "unix:///nowhere/redis.sock";
        if (coop_redis_new(event_loop, nullptr, url, sizeof url - 1, &redis) != COOP_OK ||
            coop_redis_subscriber_new(redis, {[](void *, const coop_redis_message *) {}, nullptr, nullptr}, &redis_subscriber) != COOP_OK)
            fail("the redis client", coop_last_error(), 0);
    }
    ~objects() {
        coop_redis_subscriber_free(redis_subscriber);
        coop_redis_free(redis);
        coop_dag_free(dag);
        coop_dag_builder_free(dag_builder);
        coop_host_free(host);
        coop_port_set_free(port_set);
        coop_udp_free(udp);
        coop_event_free(event);
        coop_async_free(async);
        coop_stream_free(stream);
        coop_listener_free(listener);
        close(peer);
        coop_runtime_free(runtime);
        coop_event_loop_free(event_loop);
        coop_pool_free(pool);
    }

    // What a function frees is not freed again.
    template <class T>
    T *give(T *&object, bool away) {
        return away ? std::exchange(object, nullptr) : object;
    }
};

template <class T>
concept complete = requires { sizeof(T); };
template <class T>
concept object = std::is_class_v<T> && !complete<T>;
template <class T>
concept sized = complete<T> && requires(T t) { t.size; };
template <class T>
concept callback = requires(T t) { t.fn, t.arg, t.drop; };

// What a callback is given to keep is freed.
template <class T>
void free_given(T given) {
    if constexpr (std::is_same_v<T, coop_stream *>) coop_stream_free(given);
    if constexpr (std::is_same_v<T, coop_dag_outcome *>) coop_dag_outcome_free(given);
}

template <class R, class... A>
auto nothing(R (*)(A...)) -> R (*)(A...) {
    return [](A... given) -> R {
        (free_given(given), ...);
        return R();
    };
}

struct call {
    objects &has;
    std::string_view name;
    bool frees = name.ends_with("_free");
    bool null_object = false;
};

// An argument of this type, right or wrong. Big enough for whatever a right one points to.
template <class T>
struct argument {
    alignas(16) unsigned char memory[4096] = {};

    T make(call &c, wrong how) {
        if constexpr (std::is_pointer_v<T>) {
            using what = std::remove_const_t<std::remove_pointer_t<T>>;
            if (how == wrong::null) {
                // A graph that does not wait needs no loop.
                c.null_object = object<what> && !(std::is_same_v<what, coop_event_loop> && c.name == "coop_dag_run");
                return nullptr;
            }
            if constexpr (std::is_same_v<what, coop_pool>) return c.has.give(c.has.pool, c.frees);
            else if constexpr (std::is_same_v<what, coop_event_loop>) return c.has.give(c.has.event_loop, c.frees);
            else if constexpr (std::is_same_v<what, coop_runtime>) return c.has.give(c.has.runtime, c.frees);
            else if constexpr (std::is_same_v<what, coop_udp>) return c.has.give(c.has.udp, c.frees);
            else if constexpr (std::is_same_v<what, coop_event>) return c.has.give(c.has.event, c.frees);
            else if constexpr (std::is_same_v<what, coop_async>) return c.has.give(c.has.async, c.frees);
            else if constexpr (std::is_same_v<what, coop_stream>) return c.has.give(c.has.stream, c.frees);
            else if constexpr (std::is_same_v<what, coop_listener>) return c.has.give(c.has.listener, c.frees);
            else if constexpr (std::is_same_v<what, coop_port_set>) return c.has.give(c.has.port_set, c.frees);
            else if constexpr (std::is_same_v<what, coop_host>) return c.has.give(c.has.host, c.frees);
            else if constexpr (std::is_same_v<what, coop_port_context>) return c.has.port_context;
            else if constexpr (std::is_same_v<what, coop_dag_builder>) return c.has.give(c.has.dag_builder, c.frees);
            else if constexpr (std::is_same_v<what, coop_dag>) return c.has.give(c.has.dag, c.frees);
            else if constexpr (std::is_same_v<what, coop_redis>) {
                // What waits for the loop is given none.
                if (c.name == "coop_redis_call" || c.name == "coop_redis_drain") return nullptr;
                return c.has.give(c.has.redis, c.frees);
            } else if constexpr (std::is_same_v<what, coop_redis_subscriber>) return c.has.give(c.has.redis_subscriber, c.frees);
            else if constexpr (std::is_void_v<what>) return memory;
            else if constexpr (!complete<what>) return nullptr;
            else if constexpr (std::is_same_v<what, char>) {
                if (std::is_const_v<std::remove_pointer_t<T>>) memory[0] = 'A';
                return reinterpret_cast<T>(memory);
            } else {
                std::size_t size = how == wrong::zero ? 0 : how == wrong::one ? 1 : how == wrong::huge ? SIZE_MAX : sizeof(what);
                if constexpr (sized<what>) std::memcpy(memory, &size, sizeof size);
                return reinterpret_cast<T>(memory);
            }
        } else if constexpr (callback<T>) {
            T made{};
            if (how != wrong::null) made.fn = nothing(decltype(made.fn){});
            made.arg = &c.has.dropped;
            made.drop = [](void *arg) { ++*static_cast<std::atomic<int> *>(arg); };
            return made;
        } else if constexpr (std::is_arithmetic_v<T>) {
            // Right is 0, where that does not wait or begin something: a mode that is none, and a time that is over at once.
            if (how == wrong::huge) return std::numeric_limits<T>::max();
            if (how == wrong::negative) return std::numeric_limits<T>::min();
            return how == wrong::one ? T(1) : T(0);
        } else {
            return T{};
        }
    }
};

// Whether this way of being wrong is one for a parameter of this type.
template <class T>
constexpr bool applies(wrong how) {
    if constexpr (std::is_pointer_v<T>) {
        if constexpr (sized<std::remove_const_t<std::remove_pointer_t<T>>>)
            return how == wrong::null || how == wrong::zero || how == wrong::one || how == wrong::huge;
        return how == wrong::null;
    }
    if constexpr (callback<T>) return how == wrong::null;
    // A deadline of centuries is right, and is waited for.
    if constexpr (std::is_same_v<T, std::int64_t>) return how == wrong::negative;
    if constexpr (std::is_signed_v<T>) return how == wrong::huge || how == wrong::negative;
    return how == wrong::zero || how == wrong::one || how == wrong::huge;
}

// What a call made of a right argument is freed: it is the test's.
template <class T>
void free_made(T made) {
    if constexpr (std::is_pointer_v<T> && std::is_pointer_v<std::remove_pointer_t<T>>) {
        if (made == nullptr) return;
        using what = std::remove_pointer_t<std::remove_pointer_t<T>>;
        if constexpr (std::is_same_v<what, coop_pool>) coop_pool_free(*made);
        if constexpr (std::is_same_v<what, coop_event_loop>) coop_event_loop_free(*made);
        if constexpr (std::is_same_v<what, coop_runtime>) coop_runtime_free(*made);
        if constexpr (std::is_same_v<what, coop_udp>) coop_udp_free(*made);
        if constexpr (std::is_same_v<what, coop_event>) coop_event_free(*made);
        if constexpr (std::is_same_v<what, coop_async>) coop_async_free(*made);
        if constexpr (std::is_same_v<what, coop_stream>) coop_stream_free(*made);
        if constexpr (std::is_same_v<what, coop_listener>) coop_listener_free(*made);
        if constexpr (std::is_same_v<what, coop_port_set>) coop_port_set_free(*made);
        if constexpr (std::is_same_v<what, coop_dag_builder>) coop_dag_builder_free(*made);
        if constexpr (std::is_same_v<what, coop_dag>) coop_dag_free(*made);
        if constexpr (std::is_same_v<what, coop_dag_outcome>) coop_dag_outcome_free(*made);
        if constexpr (std::is_same_v<what, coop_redis>) coop_redis_free(*made);
        if constexpr (std::is_same_v<what, coop_redis_subscriber>) coop_redis_subscriber_free(*made);
        if constexpr (std::is_same_v<what, coop_host>) coop_host_free(*made);
        if constexpr (std::is_same_v<what, coop_parent_observer>) coop_parent_observer_free(*made);
    }
}

// What must be refused, whatever the function: the others may be fine.
template <class T>
constexpr bool must_fail(wrong how) {
    if constexpr (std::is_pointer_v<T>) {
        using what = std::remove_const_t<std::remove_pointer_t<T>>;
        // An array of none: its first is not looked at.
        if constexpr (std::is_same_v<what, coop_named_handler>) return false;
        if constexpr (sized<what> && std::is_const_v<std::remove_pointer_t<T>>) return how != wrong::null;
        return how == wrong::null && object<what> && !std::is_same_v<what, coop_event_loop>;
    }
    return std::is_signed_v<T>;
}

template <class R, class... A, std::size_t... I>
void one_call(const char *name, R (*function)(A...), std::size_t at, wrong how, std::index_sequence<I...>) {
    objects has;
    call c{has, name};
    std::tuple<argument<A>...> arguments;
    // In their order, and what is wrong is one of them.
    std::tuple<A...> made{std::get<I>(arguments).make(c, I == at ? how : wrong::nothing)...};
    bool refused = ((I == at && applies<A>(how) && must_fail<A>(how)) || ...);
    int dropped = 0;
    if constexpr (std::is_same_v<R, coop_status>) {
        coop_status status = std::apply(function, made);
        bool is_status = !c.name.ends_with("_fd") && !c.name.ends_with("_errno");
        if (status == COOP_E_PANIC) fail(name, coop_last_error(), static_cast<int>(at));
        if (status < 0 && coop_last_error()[0] == '\0') fail(name, "an error without words", static_cast<int>(at));
        if (is_status && status > 0) fail(name, "no status", static_cast<int>(at));
        if (is_status && refused && status == COOP_OK) fail(name, "taken, and must be refused", static_cast<int>(at));
        if (c.null_object && status != COOP_E_NULL) fail(name, "an object that is NULL is not COOP_E_NULL", static_cast<int>(at));
        dropped = status < 0 ? has.dropped.load() : 0;
    } else if constexpr (std::is_same_v<R, const char *>) {
        if (std::apply(function, made) == nullptr) fail(name, "no text", static_cast<int>(at));
    } else {
        (void)std::apply(function, made);
    }
    if (dropped != 0) fail(name, "refused, and the argument was dropped", static_cast<int>(at));
    (free_made(std::get<I>(made)), ...);
}

template <class R, class... A>
void every_argument(const char *name, R (*function)(A...)) {
    constexpr wrong ways[] = {wrong::null, wrong::zero, wrong::one, wrong::huge, wrong::negative};
    for (std::size_t at = 0; at < sizeof...(A); at++)
        for (wrong how : ways) {
            std::size_t index = 0;
            if (((index++ == at && applies<A>(how)) || ...)) one_call(name, function, at, how, std::index_sequence_for<A...>{});
        }
}

// All at once: what is NULL comes first, so nothing is waited for.
template <class R, class... A>
void all_null(const char *name, R (*function)(A...)) {
    R (*volatile call)(A...) = function;
    if constexpr (std::is_same_v<R, coop_status> && sizeof...(A) > 0) {
        constexpr bool takes_pointers = ((std::is_pointer_v<A> || callback<A>) || ...);
        coop_status status = call(A{}...);
        if (takes_pointers && std::string_view(name) != "coop_set_log" && status != COOP_E_NULL) fail(name, coop_status_str(status), -1);
    } else {
        (void)call(A{}...);
    }
}

}  // namespace

int main() {
#define COOP_FUNCTION(f) all_null(#f, f);
#include "coop_functions.inc"
#undef COOP_FUNCTION
#define COOP_FUNCTION(f) every_argument(#f, f);
#include "coop_functions.inc"
#undef COOP_FUNCTION
    return 0;
}
