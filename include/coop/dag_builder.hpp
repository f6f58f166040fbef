/* coop::dag_builder: the nodes and edges of a graph of tasks, until they are a graph. See coop/dag.hpp.
 *
 * What is refused is kept and answered by build(), so nodes may be added one after another without a look at each. */
#ifndef COOP_DAG_BUILDER_HPP
#define COOP_DAG_BUILDER_HPP

#include <coop/dag_node.hpp>
#include <coop/detail/dag_function.hpp>

#include <concepts>
#include <initializer_list>
#include <tuple>

namespace coop {

class dag;

/* How a builder is made. */
struct dag_builder_options {
    /* For how many nodes it has room from the beginning. */
    std::size_t nodes = 0;
};

/* A node that stands for an input of a graph that is inserted. */
struct dag_binding {
    std::string_view input;
    dag_ref node;
};

class dag_builder {
public:
    [[nodiscard]] static result<dag_builder> create(const dag_builder_options &options = {}) noexcept {
        coop_dag_builder_options c{};
        c.size = sizeof c;
        c.nodes = options.nodes;
        coop_dag_builder *made = nullptr;
        const coop_status status = coop_dag_builder_new(&c, &made);
        return detail::answer<dag_builder>(status, made);
    }

    /* An empty one: errc::null. */
    dag_builder() noexcept = default;
    explicit dag_builder(coop_dag_builder *owned) noexcept : builder_(owned) {}
    dag_builder(dag_builder &&other) noexcept
        : builder_(std::exchange(other.builder_, nullptr)), refused_(std::move(other.refused_)) {}
    dag_builder &operator=(dag_builder &&other) noexcept {
        if (this != &other) {
            free();
            builder_ = std::exchange(other.builder_, nullptr);
            refused_ = std::move(other.refused_);
        }
        return *this;
    }
    ~dag_builder() { free(); }

    /* A node whose value each run is given. */
    template <class T>
    dag_node<T> input(std::string_view name) {
        coop_dag_node_id id = 0;
        keep(coop_dag_builder_input(builder_, name.data(), name.size(), &id));
        return dag_node<T>(id);
    }

    /* A node that a worker of the pool runs: f(results of reads...), or f(dag_call &, ...). What it returns is the node's result; a
     * coop::result is unwrapped, and what it throws is the node's failure. It is const, for several runs call it at once. reads: nodes,
     * vectors of them, and dag_optional ones. A node of void is waited for. */
    template <class F, class... Reads>
    auto cpu(std::string_view name, const dag_node_options &options, F &&f, const Reads &...reads) {
        using node = detail::dag_cpu<std::decay_t<F>, Reads...>;
        using kept = detail::dag_kept<std::decay_t<F>, Reads...>;
        auto made = std::make_unique<kept>(kept{std::forward<F>(f), std::tuple(detail::dag_read<Reads>(reads)...)});
        const coop_dag_function function{&node::run, made.get(), &kept::drop};
        const coop_dag_node_id id = add(options, [&](const coop_dag_node_options *c, coop_dag_node_id *out) {
            return coop_dag_builder_cpu(builder_, name.data(), name.size(), c, function, out);
        }, reads...);
        if (id != 0) static_cast<void>(made.release());
        return dag_node<typename node::value>(id);
    }
    template <class F, class... Reads>
        requires(!std::same_as<std::remove_cvref_t<F>, dag_node_options>)
    auto cpu(std::string_view name, F &&f, const Reads &...reads) {
        return cpu(name, dag_node_options{}, std::forward<F>(f), reads...);
    }

    /* A node that waits: f returns a coop::task, which is begun on the loop's thread; f(results of reads...), or f(const dag_completer &,
     * ...) to ask whether somebody still waits. A coroutine whose run has ended goes on, and its result is dropped. */
    template <class F, class... Reads>
    auto io(std::string_view name, const dag_node_options &options, F &&f, const Reads &...reads) {
        using node = detail::dag_io<std::decay_t<F>, Reads...>;
        using kept = detail::dag_kept<std::decay_t<F>, Reads...>;
        auto made = std::make_unique<typename node::kept>(
            std::make_shared<kept>(kept{std::forward<F>(f), std::tuple(detail::dag_read<Reads>(reads)...)}));
        const coop_dag_io_function function{&node::run, made.get(), &node::drop};
        const coop_dag_node_id id = add(options, [&](const coop_dag_node_options *c, coop_dag_node_id *out) {
            return coop_dag_builder_io(builder_, name.data(), name.size(), c, function, out);
        }, reads...);
        if (id != 0) static_cast<void>(made.release());
        return dag_node<typename node::value>(id);
    }
    template <class F, class... Reads>
        requires(!std::same_as<std::remove_cvref_t<F>, dag_node_options>)
    auto io(std::string_view name, F &&f, const Reads &...reads) {
        return io(name, dag_node_options{}, std::forward<F>(f), reads...);
    }

    /* A node that somebody else completes: f(dag_promise<T>, results of reads...) is called on the loop's thread, begins something and
     * returns; the results stay until the promise is used. */
    template <class T, class F, class... Reads>
    dag_node<T> callback(std::string_view name, const dag_node_options &options, F &&f, const Reads &...reads) {
        using node = detail::dag_callback<T, std::decay_t<F>, Reads...>;
        using kept = detail::dag_kept<std::decay_t<F>, Reads...>;
        auto made = std::make_unique<kept>(kept{std::forward<F>(f), std::tuple(detail::dag_read<Reads>(reads)...)});
        const coop_dag_io_function function{&node::run, made.get(), &kept::drop};
        const coop_dag_node_id id = add(options, [&](const coop_dag_node_options *c, coop_dag_node_id *out) {
            return coop_dag_builder_io(builder_, name.data(), name.size(), c, function, out);
        }, reads...);
        if (id != 0) static_cast<void>(made.release());
        return dag_node<T>(id);
    }

    /* later begins when earlier has ended, and does not read its result. */
    void after(const dag_ref &later, const dag_ref &earlier) noexcept {
        keep(coop_dag_builder_after(builder_, later.c(), earlier.c()));
    }
    void after(std::string_view later, std::string_view earlier) noexcept {
        keep(coop_dag_builder_after(builder_, {0, later.data(), later.size()}, {0, earlier.data(), earlier.size()}));
    }

    /* All the nodes of another graph, their names behind prefix and a "/"; its inputs become nodes of this one. */
    void insert(std::string_view prefix, const dag &graph, std::initializer_list<dag_binding> bindings = {});

    /* The graph, or what was refused first; the builder is used up. */
    [[nodiscard]] result<dag> build();

    /* Ends it now, as the destructor does. */
    void free() noexcept { coop_dag_builder_free(std::exchange(builder_, nullptr)); }
    explicit operator bool() const noexcept { return builder_ != nullptr; }
    coop_dag_builder *get() const noexcept { return builder_; }

private:
    void keep(coop_status status) noexcept {
        if (status != COOP_OK && !refused_) refused_ = coop::error::last(status);
    }

    struct lists {
        std::vector<coop_dag_ref> reads, after;

        template <class T>
        void add(const dag_node<T> &node) {
            (std::is_void_v<T> ? after : reads).push_back(node.c());
        }
        template <class T>
        void add(const dag_optional<T> &optional) {
            reads.push_back(optional.node.c());
        }
        template <class T>
        void add(const std::vector<dag_node<T>> &nodes) {
            for (const dag_node<T> &node : nodes) add(node);
        }
    };

    template <class Add, class... Reads>
    coop_dag_node_id add(const dag_node_options &options, Add &&add, const Reads &...reads) {
        lists all;
        (all.add(reads), ...);
        for (const dag_ref &earlier : options.after) all.after.push_back(earlier.c());
        coop_dag_node_options c{};
        c.size = sizeof c;
        c.reads = all.reads.data();
        c.read_count = all.reads.size();
        c.after = all.after.data();
        c.after_count = all.after.size();
        c.priority = static_cast<std::int32_t>(options.priority);
        c.retries = options.retries;
        c.backoff_ns = options.backoff.ns();
        c.timeout_ns = detail::dag_deadline(options.timeout);
        if (options.cpus) c.cpus = options.cpus->c();
        c.even_if_skipped = options.even_if_skipped;
        c.keep = options.keep;
        coop_dag_predicate predicate{};
        std::unique_ptr<std::function<bool(const dag_call &)>> asked;
        if (options.only_if) {
            asked = std::make_unique<std::function<bool(const dag_call &)>>(options.only_if);
            predicate = {&ask, asked.get(), &drop_asked};
            c.only_if = &predicate;
        }
        coop_dag_node_id id = 0;
        const coop_status status = add(&c, &id);
        keep(status);
        if (status == COOP_OK) static_cast<void>(asked.release());
        return id;
    }
    static bool ask(void *arg, coop_dag_call *call) noexcept {
        bool answer = false;
        detail::guarded([&] { answer = (*static_cast<const std::function<bool(const dag_call &)> *>(arg))(dag_call(call)); });
        return answer;
    }
    static void drop_asked(void *arg) noexcept { delete static_cast<std::function<bool(const dag_call &)> *>(arg); }

    coop_dag_builder *builder_ = nullptr;
    std::optional<coop::error> refused_;
};

}  // namespace coop

#endif  // COOP_DAG_BUILDER_HPP
