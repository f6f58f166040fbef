// TBB's flow graph behind C functions: a graph of empty nodes is built once and run again and again.
#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace {

using tick = void (*)(std::uint64_t);
using node = tbb::flow::continue_node<tbb::flow::continue_msg>;

struct flow {
    tbb::global_control threads;
    tbb::task_arena arena;
    std::unique_ptr<tbb::flow::graph> graph;
    std::vector<std::unique_ptr<node>> nodes;
    std::vector<std::size_t> sources;

    // The thread that waits works too, in the second slot.
    explicit flow(int workers)
        : threads(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(workers)), arena(workers, 1) {
        arena.execute([this] { graph = std::make_unique<tbb::flow::graph>(); });
    }
};

}  // namespace

extern "C" {

// `starts[n]..starts[n + 1]` are the places in `edges` of those that node n waits for.
void *bench_flow_new(int workers, std::size_t nodes, const std::uint32_t *starts, const std::uint32_t *edges, tick call) {
    auto *self = new flow(workers);
    self->arena.execute([&] {
        for (std::size_t i = 0; i < nodes; i++)
            self->nodes.push_back(
                std::make_unique<node>(*self->graph, [call](const tbb::flow::continue_msg &) { call(1); }));
        for (std::size_t i = 0; i < nodes; i++) {
            if (starts[i] == starts[i + 1])
                self->sources.push_back(i);
            for (std::uint32_t edge = starts[i]; edge < starts[i + 1]; edge++)
                tbb::flow::make_edge(*self->nodes[edges[edge]], *self->nodes[i]);
        }
    });
    return self;
}

void bench_flow_run(void *flow_graph) {
    auto *self = static_cast<flow *>(flow_graph);
    self->arena.execute([self] {
        for (const std::size_t source : self->sources)
            self->nodes[source]->try_put(tbb::flow::continue_msg());
        self->graph->wait_for_all();
    });
}

void bench_flow_free(void *flow_graph) { delete static_cast<flow *>(flow_graph); }
}
