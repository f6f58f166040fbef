// TBB behind five C functions, so that it takes its turn in the same run as the peers written in Rust.
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>
#include <oneapi/tbb/task_scheduler_observer.h>
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace {

// Pins each worker of the arena to the CPU of its slot, as the pool's workers are.
class pinned final : public tbb::task_scheduler_observer {
public:
    pinned(tbb::task_arena &arena, const std::int32_t *cpus, int count)
        : tbb::task_scheduler_observer(arena), cpus_(cpus), count_(count) {
        observe(true);
    }
    ~pinned() override { observe(false); }
    void on_scheduler_entry(bool worker) override {
        if (!worker)
            return;
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpus_[tbb::this_task_arena::current_thread_index() % count_], &set);
        pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    }

private:
    const std::int32_t *cpus_;
    int count_;
};

struct side {
    // One more than the workers: TBB counts the thread that submits, which this arena leaves no slot for.
    tbb::global_control threads;
    tbb::task_arena arena;
    pinned pin;

    side(int workers, const std::int32_t *cpus)
        : threads(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(workers) + 1),
          arena(workers, 0), pin(arena, cpus, workers) {}
};

unsigned fib(unsigned n) {
    if (n < 2)
        return n;
    unsigned left = 0;
    tbb::task_group group;
    group.run([&left, n] { left = fib(n - 1); });
    const unsigned right = fib(n - 2);
    group.wait();
    return left + right;
}

}  // namespace

extern "C" {

void *bench_tbb_new(int workers, const std::int32_t *cpus) { return new side(workers, cpus); }

void bench_tbb_free(void *self) { delete static_cast<side *>(self); }

void bench_tbb_submit(void *self, void (*fn)(std::uint64_t), std::uint64_t arg) {
    static_cast<side *>(self)->arena.enqueue([fn, arg] { fn(arg); });
}

// `count` tasks made by one task, in TBB's own way for that.
void bench_tbb_spawn_inside(void *self, std::uint64_t count, void (*fn)(std::uint64_t), std::uint64_t arg) {
    static_cast<side *>(self)->arena.enqueue([count, fn, arg] {
        tbb::task_group group;
        for (std::uint64_t i = 0; i < count; i++)
            group.run([fn, arg] { fn(arg); });
        group.wait();
    });
}

// The answer is handed to `done` on a worker.
void bench_tbb_fib(void *self, unsigned n, void (*done)(std::uint64_t)) {
    static_cast<side *>(self)->arena.enqueue([n, done] { done(fib(n)); });
}
}
