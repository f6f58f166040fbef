// What the coroutine headers ask of the compiler: which sanitizers watch, whether there are exceptions, what may not be
// inlined. Nothing here is for users.
#ifndef COOP_DETAIL_PLATFORM_HPP
#define COOP_DETAIL_PLATFORM_HPP

#if defined(__has_feature)
#define COOP_CORO_FEATURE(name) __has_feature(name)
#else
#define COOP_CORO_FEATURE(name) 0
#endif

#if defined(__SANITIZE_THREAD__) || COOP_CORO_FEATURE(thread_sanitizer)
#define COOP_CORO_TSAN 1
extern "C" void __tsan_acquire(void *address);
extern "C" void __tsan_release(void *address);
#else
#define COOP_CORO_TSAN 0
#endif

// Under AddressSanitizer a frame is not used again for another one: then it sees every use after the end.
#if defined(__SANITIZE_ADDRESS__) || COOP_CORO_FEATURE(address_sanitizer)
#define COOP_CORO_RECYCLE 0
#else
#define COOP_CORO_RECYCLE 1
#endif

#if defined(__cpp_exceptions) && __cpp_exceptions
#define COOP_CORO_EXCEPTIONS 1
#else
#define COOP_CORO_EXCEPTIONS 0
#endif

// Two things must not be inlined into a coroutine. What reads a thread's variables: clang before 15 takes their address for
// the same before and after a suspension, which may have changed the thread. And every await_suspend that lets another
// thread go on with the coroutine: clang before 17 may keep its local variables in the frame, which is gone by then.
#if defined(__GNUC__) || defined(__clang__)
#define COOP_CORO_NOINLINE __attribute__((noinline))
#else
#define COOP_CORO_NOINLINE
#endif

namespace coop::coro {

// The library is not instrumented, so ThreadSanitizer does not see that what was written before a submit is visible to the
// callback. These two say so.
inline void hand_off([[maybe_unused]] void *what) noexcept {
#if COOP_CORO_TSAN
    __tsan_release(what);
#endif
}
inline void take_over([[maybe_unused]] void *what) noexcept {
#if COOP_CORO_TSAN
    __tsan_acquire(what);
#endif
}

}  // namespace coop::coro

#endif
