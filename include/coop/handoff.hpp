/* Tells ThreadSanitizer what the library orders. Its atomics are Rust's and not instrumented in a user's build, so without
 * this every callable that goes from one thread to another would be reported. Nothing in other builds. */
#ifndef COOP_HANDOFF_HPP
#define COOP_HANDOFF_HPP

#if defined(__SANITIZE_THREAD__)
#define COOP_DETAIL_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COOP_DETAIL_TSAN 1
#endif
#endif

#if defined(COOP_DETAIL_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace coop::detail {

#if defined(COOP_DETAIL_TSAN)
inline constexpr bool under_tsan = true;
/* What this thread has done so far is seen by who takes the object over next. */
inline void hand_over(void *object) noexcept { __tsan_release(object); }
inline void take_over(void *object) noexcept { __tsan_acquire(object); }
#else
inline constexpr bool under_tsan = false;
inline void hand_over(void *) noexcept {}
inline void take_over(void *) noexcept {}
#endif

/* Stands for the end of callbacks, which a call that waits for them sees: join, shutdown, stop, run, free. */
inline char callbacks_end = 0;
inline void callback_has_ended() noexcept { hand_over(&callbacks_end); }
inline void callbacks_have_ended() noexcept { take_over(&callbacks_end); }

}  // namespace coop::detail

#endif  // COOP_HANDOFF_HPP
