/* coop::result and coop::error. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <array>
#include <memory>
#include <span>
#include <sys/wait.h>

using coop::result;

static result<int> half(int number) {
    if (number % 2 != 0) return coop::error(coop::errc::invalid, "odd");
    return number / 2;
}

/* A span knows nothing of the result that it came in, and neither may a loop over it. */
static void a_loop_over_a_value_outlives_its_result() {
    static std::array<int, 3> numbers{1, 2, 3};
    const auto spans = [] { return result<std::span<int>>(std::span<int>(numbers)); };
    int sum = 0;
    for (int number : spans().value()) sum += number;
    for (int number : *spans()) sum += number;
    CHECK(sum == 12);
    static_assert(!std::is_reference_v<decltype(spans().value())> && !std::is_reference_v<decltype(*spans())>);
}

static void a_value() {
    result<int> r = half(8);
    CHECK(r && r.has_value() && *r == 4 && r.value() == 4);
    CHECK(!r.error() && !r.os_error() && r.message().empty());
    *r = 5;
    CHECK(std::as_const(r).value() == 5 && std::move(r).value_or(0) == 5);
    CHECK(half(3).value_or(-1) == -1);
    const result<int> odd = half(3);
    CHECK(odd.value_or(7L) == 7);
}

static void a_failure() {
    const result<int> r = half(7);
    CHECK(!r && !r.has_value());
    CHECK(r.error() == coop::errc::invalid && r.error() == std::errc::invalid_argument);
    CHECK(r.message() == "odd" && r.failure().message() == "odd" && r.failure().os_errno() == 0);
    const result<std::string> handed_on = r.failure();
    CHECK(handed_on.error() == coop::errc::invalid && handed_on.message() == "odd");
}

static void nothing_or_a_failure() {
    result<void> done;
    CHECK(done && done.has_value() && !done.error() && done.message().empty());
    done.value();
    result<void> failed = coop::error(coop::errc::closed, "over");
    CHECK(!failed && failed.error() == coop::errc::closed && failed.message() == "over");
    result<void> moved = std::move(failed);
    CHECK(!moved && moved.message() == "over");
}

static void one_after_another() {
    CHECK(half(8).and_then(half).and_then(half).value() == 1);
    CHECK(half(6).and_then(half).and_then(half).message() == "odd");
    CHECK(half(6).transform([](int three) { return std::to_string(three); }).value() == "3");
    int seen = 0;
    const result<void> told = half(6).transform([&](int three) { seen = three; });
    CHECK(told && seen == 3);
    CHECK(!half(5).transform([](int) { fail(__FILE__, __LINE__, "called without a value"); }));
    CHECK(half(5).or_else([](coop::error why) { return result<int>(static_cast<int>(why.message().size())); }).value() == 3);
    CHECK(half(4).or_else([](coop::error) -> result<int> { fail(__FILE__, __LINE__, "called with a value"); }).value() == 2);

    CHECK(result<void>().and_then([] { return half(2); }).value() == 1);
    CHECK(result<void>().transform([] { return 3; }).value() == 3);
    CHECK(result<void>().transform([] {}));
    const auto refused = [] { return result<void>(coop::error(coop::errc::stale, "gone")); };
    CHECK(refused().and_then([] { return half(2); }).message() == "gone");
    CHECK(refused().transform([] { return 3; }).error() == coop::errc::stale);
    CHECK(refused().or_else([](coop::error why) { return result<void>(std::move(why)); }).message() == "gone");
    CHECK(refused().or_else([](const coop::error &) { return result<void>(); }));
}

static void what_only_moves_moves() {
    result<std::unique_ptr<int>> r = std::make_unique<int>(3);
    CHECK(**r == 3 && *r.value() == 3);
    result<std::unique_ptr<int>> taken = std::move(r).and_then([](std::unique_ptr<int> &&p) {
        *p += 1;
        return result<std::unique_ptr<int>>(std::move(p));
    });
    const std::unique_ptr<int> out = std::move(taken).value();
    CHECK(*out == 4);
    struct base {
        int number = 5;
    };
    result<base> arrow = base{};
    arrow->number++;
    CHECK(std::as_const(arrow)->number == 6);
}

/* The words stay as they were when the thread's next call fails. */
static void the_words_are_kept() {
    const result<void> first = coop::pool_ref().close();
    const std::string words = first.message();
    CHECK(words.find("pool") != std::string::npos);
    REFUSED(coop::errc::null, coop::runtime().stop());
    CHECK(coop_last_error() != words);
    CHECK(first.message() == words);
}

static void the_systems_error_is_told() {
    const coop::udp first = MUST(coop::udp::create({.address = "127.0.0.1:0"}));
    const std::string taken = MUST(MUST(first.local_address()).text());
    const result<coop::udp> second = coop::udp::create({.address = taken});
    CHECK(second.error() == coop::errc::os);
    CHECK(second.os_error() == std::errc::address_in_use);
    CHECK(second.failure().os_errno() == EADDRINUSE);
    /* Of an error that is not the system's, the number of the one before is not told. */
    CHECK(!coop::pool_ref().close().os_error());
}

#if defined(__cpp_exceptions)
template <class F>
static void throws(F f, coop::errc code, const char *words) {
    try {
        f();
    } catch (const std::system_error &error) {
        CHECK(error.code() == code);
        CHECK(std::string(error.what()).find(words) != std::string::npos);
        return;
    }
    fail(__FILE__, __LINE__, "nothing was thrown");
}

static void no_value() {
    throws([] { half(7).value(); }, coop::errc::invalid, "odd");
    throws([] { const auto r = half(7); r.value(); }, coop::errc::invalid, "odd");
    throws([] { auto r = half(7); r.value(); }, coop::errc::invalid, "odd");
    throws([] { result<void>(coop::error(coop::errc::timeout, "late")).value(); }, coop::errc::timeout, "late");
}
#else
/* The child's last words, and how it ended. */
static void no_value() {
    int out[2];
    CHECK(pipe(out) == 0);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dup2(out[1], STDERR_FILENO);
        half(7).value();
        _exit(0);
    }
    close(out[1]);
    std::string said;
    char buffer[256];
    for (ssize_t n; (n = read(out[0], buffer, sizeof buffer)) > 0;) said.append(buffer, static_cast<std::size_t>(n));
    close(out[0]);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(said.find("COOP_E_INVALID: odd") != std::string::npos);
}
#endif

static_assert(!std::is_convertible_v<result<int>, bool>);
static_assert(std::is_nothrow_move_constructible_v<result<coop::pool>>);
static_assert(!std::is_copy_constructible_v<result<coop::pool>>);
static_assert(std::is_nothrow_move_constructible_v<result<void>>);
static_assert(!std::is_constructible_v<result<coop::pool>, int>);

int main() {
    a_value();
    a_loop_over_a_value_outlives_its_result();
    a_failure();
    nothing_or_a_failure();
    one_after_another();
    what_only_moves_moves();
    the_words_are_kept();
    the_systems_error_is_told();
    no_value();
}
