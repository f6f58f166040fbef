// A program as users of jeremyong/coop write them: frames of a game, assets that are loaded beside them, and a result that
// main waits for. It uses what that library documents, as it documents it, and nothing of ours.
#include <chrono>
#include <coop/task.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "coop_check.hpp"

namespace {

struct mesh_t {
    std::string name;
    size_t vertices = 0;
};

coop::task_t<mesh_t> load_mesh(std::string name) {
    // Low on CPU 0 if there is one
    co_await coop::suspend(coop::scheduler_t::instance(), 0x1);
    mesh_t mesh;
    mesh.name = name;
    mesh.vertices = name.size() * 100;
    co_return mesh;
}

coop::task_t<size_t> load_level(size_t count) {
    COOP_SUSPEND();
    std::vector<coop::task_t<mesh_t>> loads;
    for (size_t i = 0; i != count; ++i) {
        loads.push_back(load_mesh("mesh" + std::to_string(i)));
    }
    size_t vertices = 0;
    for (auto& load : loads) {
        mesh_t mesh = co_await load;
        vertices += mesh.vertices;
    }
    co_return vertices;
}

class world_t {
public:
    coop::task_t<> simulate(float dt) {
        COOP_SUSPEND4(1 << 2);
        for (auto& position : positions_) position += dt;
    }

    coop::task_t<> collide() {
        COOP_SUSPEND5(1 << 5 | 1, 1);
        ++collisions_;
    }

    coop::task_t<> frame(float dt) {
        auto physics = simulate(dt);
        auto contacts = collide();
        co_await physics;
        co_await contacts;
        ++frames_;
    }

    coop::task_t<size_t, true> run(size_t frames) {
        COOP_SUSPEND();
        auto level = load_level(20);
        for (size_t i = 0; i != frames; ++i) {
            co_await frame(0.5f);
        }
        size_t vertices = co_await level;
        co_return vertices + frames_;
    }

    size_t collisions() const { return collisions_; }
    float first() const { return positions_[0]; }

private:
    std::vector<float> positions_ = std::vector<float>(64, 0.f);
    size_t collisions_ = 0;
    size_t frames_ = 0;
};

coop::task_t<void, true> render(coop::event_t& vsync, std::thread::id& drawn_on) {
    vsync.set_cpu_affinity(0);
    vsync.set_priority(1);
    co_await vsync;
    drawn_on = std::this_thread::get_id();
}

coop::task_t<int> branch(int core) {
    COOP_SUSPEND4(1 << core);
    co_return core;
}

coop::task_t<int> two_branches() {
    COOP_SUSPEND4(1 << 3);
    auto t1 = branch(5);
    auto t2 = branch(6);
    co_return co_await t1 + co_await t2;
}

coop::task_t<void, true> branches(int& result) {
    COOP_SUSPEND4(1 << 4);
    result = co_await two_branches();
}

coop::task_t<void, true> measure() {
    auto t1 = std::chrono::system_clock::now();
    COOP_SUSPEND();
    auto t2 = std::chrono::system_clock::now();
    size_t us = std::chrono::duration_cast<std::chrono::microseconds>(t2 - t1).count();
    std::printf("suspended for %zu us\n", us);
}

coop::task_t<> nice_loop(std::atomic<int>& turns) {
    for (int i = 0; i != 1000; ++i) {
        co_await coop::suspend(); // let the others do something useful
        ++turns;
    }
}

coop::task_t<void, true> nice_loops(std::atomic<int>& turns) {
    coop::task_t<> tasks[3];
    for (size_t i = 0; i != 3; ++i) {
        tasks[i] = nice_loop(turns);
    }
    for (size_t i = 0; i != 3; ++i) {
        co_await tasks[i];
    }
}

} // namespace

int main(int, char**) {
    // Spawn thread pool
    coop::scheduler_t::instance();

    measure().join();

    world_t world;
    coop::task_t<size_t, true> game = world.run(30);
    game.join();
    CHECK(game);
    size_t total = *game;
    CHECK(total == 20 * 500 + 10 * 100 + 30);
    CHECK(world.collisions() == 30 && world.first() == 15.f);

    int sum = 0;
    auto task = branches(sum);
    task.join();
    CHECK(sum == 11);

    coop::event_t vsync;
    vsync.init(false, "vsync");
    std::thread::id drawn_on = std::this_thread::get_id();
    auto drawing = render(vsync, drawn_on);
    vsync.signal();
    drawing.join();
    CHECK(drawn_on != std::this_thread::get_id());

    std::atomic<int> turns{0};
    auto waiter = std::thread([&turns] {
        auto loops = nice_loops(turns);
        loops.join();
    });
    waiter.join();
    CHECK(turns == 3000);
    std::printf("%zu vertices and frames\n", total);
    return 0;
}
