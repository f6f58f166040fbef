// parameter<T> draws one argument of type T, and looks at it again after the call.
#pragma once
#include <algorithm>

#include "arguments.hpp"

namespace fuzz {

// Numbers and what is not known. An int32_t is a mode, a level, a status: small, mostly.
template <class T>
struct parameter {
    T value{};
    void draw(call &) {}
    void settle(call &, coop_status) {}
};
template <>
struct parameter<std::int32_t> {
    std::int32_t value = 0;
    void draw(call &c) { value = choice(c, {0, 0, 1, 1, 2, 3}); }
    void settle(call &, coop_status) {}
};
template <>
struct parameter<std::int64_t> {
    std::int64_t value = 0;
    void draw(call &c) {
        value = c.from.one_in(20) ? c.from.of<std::int64_t>({-2, INT64_MIN}) : c.from.of<std::int64_t>({0, 0, 1000, 100000, 2000000});
        // What ends by itself may be waited for from outside.
        if (c.depth == 0 && (c.named("shutdown") || c.named("runtime_stop")) && c.from.one_in(3)) value = COOP_FOREVER;
    }
    void settle(call &, coop_status) {}
};
// Sizes and ids: the same type on 64 bits.
template <>
struct parameter<std::uint64_t> {
    std::uint64_t value = 0;
    void draw(call &c) {
        if (c.named("cancel") || c.named("_task_")) {
            value = c.in.id_of(c.home, c.from);
            if (c.from.one_in(10)) value = c.from.of<std::uint64_t>({0, 1, UINT64_MAX, c.from.next()});
        } else {
            value = c.from.one_in(20) ? c.from.of<std::uint64_t>({SIZE_MAX, SIZE_MAX / 2 + 1}) : c.length <= 64 && c.from.one_in(4) ? c.from.below(std::min<std::size_t>(c.length, 8) + 1) : c.length;
        }
    }
    void settle(call &, coop_status) {}
};

template <callback T>
struct parameter<T> {
    T value{};
    void draw(call &c) { value = make_callback<T>(c); }
    void settle(call &, coop_status) {}
};

template <class T>
    requires known_object<std::remove_const_t<T>>
struct parameter<T *> {
    T *value = nullptr;
    hold held;
    void draw(call &c) { value = take<std::remove_const_t<T>>(c, held); }
    void settle(call &, coop_status) {}
};

// Where an object is written to. It is put into the world, or freed if there is no room.
inline void destroy(coop_pool *object) { coop_pool_free(object); }
inline void destroy(coop_event_loop *object) { coop_event_loop_free(object); }
inline void destroy(coop_runtime *object) { coop_runtime_free(object); }
inline void destroy(coop_udp *object) { coop_udp_free(object); }
inline void destroy(coop_stream *object) { coop_stream_free(object); }
inline void destroy(coop_listener *object) { coop_listener_free(object); }
inline void destroy(coop_async *object) { coop_async_free(object); }
inline void destroy(coop_event *object) { coop_event_free(object); }
inline void destroy(coop_port_set *object) { coop_port_set_free(object); }

template <known_object T>
struct parameter<T **> {
    T *made = nullptr;
    T **value = nullptr;
    void draw(call &c) { value = c.from.one_in(40) ? nullptr : &made; }
    void settle(call &c, coop_status status) {
        if ((status == COOP_OK) != (made != nullptr)) fail("%s: %s, and the output is %p", c.name.data(), coop_status_str(status), static_cast<void *>(made));
        if (made == nullptr) return;
        for (int i = 0; i < 4; i++) {
            place &p = objects<T>::pick(c);
            // A runtime's loop and pool are not freed by themselves.
            if ((p.what == place::runtime) == std::is_same_v<T, coop_runtime> && p.put(made)) return;
        }
        destroy(made);
    }
};

// A handler's context: of the handler that calls, or of any other.
template <>
struct parameter<coop_port_context *> {
    coop_port_context *value = nullptr;
    std::shared_lock<std::shared_mutex> held;
    void draw(call &c) {
        if (c.self != nullptr && c.self->context != nullptr) {
            value = c.self->context;
            return;
        }
        // Stop may drop the handlers before it returns, and a drop waits for this lock.
        if (!c.named("_stop"))
            if (argument *other = c.in.handler(c.from, held)) value = other->context;
        c.null_object = value == nullptr;
    }
    void settle(call &, coop_status) {}
};

template <>
struct parameter<const char *> {
    const char *value = nullptr;
    void draw(call &c) { value = text(c, c.length); }
    void settle(call &, coop_status) {}
};

// Bytes that are as many as the size after them says.
template <>
struct parameter<const void *> {
    const void *value = nullptr;
    void draw(call &c) {
        c.length = c.from.below(c.from.one_in(10) ? 100000 : 65);
        if (!c.from.one_in(12)) value = c.bytes(c.length);
    }
    void settle(call &, coop_status) {}
};

template <sized T>
struct parameter<const T *> {
    const T *value = nullptr;
    void draw(call &c) { value = make_options<T>(c); }
    void settle(call &, coop_status) {}
};
// A program's entries, which nobody has asked for: each size as told, most names and functions right.
template <>
struct parameter<const coop_worker *> {
    const coop_worker *value = nullptr;
    void draw(call &c) {
        c.length = c.from.below(4);
        auto *made = reinterpret_cast<coop_worker *>(c.bytes((c.length + 1) * sizeof(coop_worker)));
        const std::size_t count = c.length;
        for (std::size_t i = 0; i < count; i++) {
            made[i].size = c.from.one_in(30) ? c.from.of<std::size_t>({0, 8, 4097, SIZE_MAX}) : sizeof(coop_worker);
            made[i].name = text(c, made[i].name_length);
            if (c.from.one_in(8)) made[i].async.start = [](void *, coop_service_context *) {};
            else made[i].thread.fn = [](void *, coop_service_context *) {};
        }
        c.length = count;
        if (!c.from.one_in(12)) value = made;
    }
    void settle(call &, coop_status) {}
};
// The same for a program's handlers.
template <>
struct parameter<const coop_named_handler *> {
    const coop_named_handler *value = nullptr;
    void draw(call &c) {
        c.length = c.from.below(4);
        auto *made = reinterpret_cast<coop_named_handler *>(c.bytes((c.length + 1) * sizeof(coop_named_handler)));
        const std::size_t count = c.length;
        for (std::size_t i = 0; i < count; i++) {
            made[i].size = c.from.one_in(30) ? c.from.of<std::size_t>({0, 8, 4097, SIZE_MAX}) : sizeof(coop_named_handler);
            made[i].name = text(c, made[i].name_length);
            if (!c.from.one_in(12))
                made[i].init = [](const void *, std::size_t, coop_port_handler *) -> coop_status { return COOP_E_FAILED; };
        }
        c.length = count;
        if (!c.from.one_in(12)) value = made;
    }
    void settle(call &, coop_status) {}
};
template <>
struct parameter<const coop_datagram *> {
    const coop_datagram *value = nullptr;
    void draw(call &c) {
        c.length = c.from.below(9);
        value = datagrams(c, c.length);
        if (c.from.one_in(30)) value = nullptr;
    }
    void settle(call &, coop_status) {}
};
template <>
struct parameter<const coop_address *> {
    coop_address drawn{};
    const coop_address *value = nullptr;
    void draw(call &c) {
        drawn = address(c);
        value = c.from.one_in(30) ? nullptr : &drawn;
    }
    void settle(call &, coop_status) {}
};

// Outputs lie in memory of their own size, full of a pattern that a call that fails leaves as it is.
template <class T>
concept plain_output = complete<T> && !std::is_const_v<T> && !std::is_pointer_v<T> && !std::is_function_v<T>;

template <plain_output T>
struct parameter<T *> {
    T *value = nullptr;
    std::size_t room = std::is_same_v<T, char> ? 64 : sizeof(T);
    std::size_t written_first = 0;  // by the caller: the size of a struct that has one
    void draw(call &c) {
        unsigned char *bytes = c.bytes(room);
        std::memset(bytes, 0xa5, room);
        if constexpr (sized<T>) {
            std::size_t size = c.from.one_in(6) ? c.from.of<std::size_t>({0, 1, 8, 16, SIZE_MAX}) : sizeof(T);
            std::memcpy(bytes, &size, sizeof size);
            written_first = sizeof size;
        }
        if (std::is_same_v<T, char>) c.length = room;
        if (!c.from.one_in(30)) value = reinterpret_cast<T *>(bytes);
    }
    void settle(call &c, coop_status status) {
        if (value == nullptr) return;
        auto *bytes = reinterpret_cast<const unsigned char *>(value);
        // Says how far it came, also when it failed.
        bool documented = c.name == "coop_port_context_send";
        if (status < 0 && !documented)
            for (std::size_t i = written_first; i < room; i++)
                if (bytes[i] != 0xa5) fail("%s failed (%s), and has written to an output", c.name.data(), coop_status_str(status));
        if (status != COOP_OK) return;
        if constexpr (std::is_same_v<T, coop_address>)
            if (!c.named("parse")) c.in.remember(*value);
        if constexpr (std::is_same_v<T, std::uint64_t>)
            if (!c.offered.empty()) c.offered.back()->id = *value;
    }
};

}  // namespace fuzz
