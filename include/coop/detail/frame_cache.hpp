// Memory of coroutine frames: a list of free blocks for each thread and size.
//
// A block may be freed by another thread than the one that asked for it; it then stays with the freeing thread. A list has a
// limit, and what is above it goes back to operator delete, so a thread that only frees does not hoard. A thread's lists are
// freed when it ends; what it frees after that goes to operator delete at once. Nothing is shared, so nothing is locked.
#ifndef COOP_DETAIL_FRAME_CACHE_HPP
#define COOP_DETAIL_FRAME_CACHE_HPP

#include <cstddef>
#include <cstdint>
#include <new>

#include <coop/detail/platform.hpp>

namespace coop::coro {

#if COOP_CORO_RECYCLE

// Sizes are rounded up to multiples of STEP; larger ones than STEP * CLASSES are not kept.
inline constexpr std::size_t FRAME_STEP = 64;
inline constexpr std::size_t FRAME_CLASSES = 16;
// How many blocks of a size a thread keeps.
inline constexpr std::uint32_t FRAME_LIMIT = 512;

struct free_frame {
    free_frame *next;
};

struct frame_lists {
    free_frame *head[FRAME_CLASSES];
    std::uint32_t count[FRAME_CLASSES];
    // 0 before the first use and after the thread's end.
    std::uint32_t limit;
    bool ended;
};

// No constructor and no destructor of its own, so that looking at it costs no more than a load.
inline constinit thread_local frame_lists frames{};

struct frame_sweeper {
    bool armed = false;
    ~frame_sweeper() {
        frames.limit = 0;
        frames.ended = true;
        for (std::size_t size = 0; size < FRAME_CLASSES; ++size) {
            while (free_frame *block = frames.head[size]) {
                frames.head[size] = block->next;
                ::operator delete(block);
            }
            frames.count[size] = 0;
        }
    }
};

inline thread_local frame_sweeper sweeper;

COOP_CORO_NOINLINE inline void *allocate_frame(std::size_t bytes) {
    const std::size_t size = (bytes - 1) / FRAME_STEP;
    if (size >= FRAME_CLASSES) return ::operator new(bytes);
    frame_lists &lists = frames;
    if (free_frame *block = lists.head[size]) {
        lists.head[size] = block->next;
        --lists.count[size];
        return block;
    }
    return ::operator new((size + 1) * FRAME_STEP);
}

COOP_CORO_NOINLINE inline void free_frame_slowly(void *block) noexcept {
    if (!frames.ended && frames.limit == 0) {
        sweeper.armed = true;  // Registers the destructor.
        frames.limit = FRAME_LIMIT;
    }
    ::operator delete(block);
}

COOP_CORO_NOINLINE inline void deallocate_frame(void *block, std::size_t bytes) noexcept {
    const std::size_t size = (bytes - 1) / FRAME_STEP;
    frame_lists &lists = frames;
    if (size >= FRAME_CLASSES || lists.count[size] >= lists.limit) return free_frame_slowly(block);
    ++lists.count[size];
    lists.head[size] = ::new (block) free_frame{lists.head[size]};
}

#else

inline void *allocate_frame(std::size_t bytes) { return ::operator new(bytes); }
inline void deallocate_frame(void *block, std::size_t) noexcept { ::operator delete(block); }

#endif

}  // namespace coop::coro

#endif
