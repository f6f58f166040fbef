/* coop::errc against the C numbers and names, and against std::errc. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>

struct entry {
    coop::errc code;
    coop_status status;
    const char *name;
};

#define ENTRY(lower, upper) {coop::errc::lower, COOP_E_##upper, #lower}
static constexpr entry ALL[] = {
    ENTRY(invalid, INVALID),
    ENTRY(null, NULL),
    ENTRY(stale, STALE),
    ENTRY(closed, CLOSED),
    ENTRY(queue_full, QUEUE_FULL),
    ENTRY(timeout, TIMEOUT),
    ENTRY(affinity, AFFINITY),
    ENTRY(would_deadlock, WOULD_DEADLOCK),
    ENTRY(forked, FORKED),
    ENTRY(unsupported, UNSUPPORTED),
    ENTRY(panic, PANIC),
    ENTRY(os, OS),
    ENTRY(exists, EXISTS),
    ENTRY(failed, FAILED),
    ENTRY(cancelled, CANCELLED),
    ENTRY(would_block, WOULD_BLOCK),
    ENTRY(resolve, RESOLVE),
};

/* Numbers are given one after another, so the library's errors are those up to the first that it has no name for. */
static void every_error_of_the_library_is_an_enumerator() {
    int count = 0;
    while (std::strcmp(coop_status_str(-count - 1), "(no coop_status)") != 0) count++;
    CHECK(count == static_cast<int>(std::size(ALL)));
    for (const entry &one : ALL) {
        CHECK(static_cast<coop_status>(one.code) == one.status);
        std::string name = "COOP_E_";
        for (const char *c = one.name; *c; c++) name += static_cast<char>(std::toupper(static_cast<unsigned char>(*c)));
        const std::error_code code = one.code;
        CHECK(code.message() == name);
        CHECK(code.value() == one.status);
        CHECK(code.category() == coop::error_category());
        CHECK(code && code == one.code);
    }
    CHECK(coop::error_category().name() == std::string("coop"));
}

static void what_std_has_a_name_for_is_equal_to_it() {
    const auto same = [](coop::errc code, std::errc generic) { return std::error_code(code) == generic; };
    CHECK(same(coop::errc::invalid, std::errc::invalid_argument));
    CHECK(same(coop::errc::null, std::errc::invalid_argument));
    CHECK(same(coop::errc::affinity, std::errc::invalid_argument));
    CHECK(same(coop::errc::queue_full, std::errc::resource_unavailable_try_again));
    CHECK(same(coop::errc::timeout, std::errc::timed_out));
    CHECK(same(coop::errc::would_deadlock, std::errc::resource_deadlock_would_occur));
    CHECK(same(coop::errc::unsupported, std::errc::not_supported));
    CHECK(same(coop::errc::cancelled, std::errc::operation_canceled));
    CHECK(!same(coop::errc::timeout, std::errc::invalid_argument));
    for (coop::errc alone : {coop::errc::stale, coop::errc::closed, coop::errc::forked, coop::errc::panic, coop::errc::os,
                             coop::errc::exists, coop::errc::failed}) {
        const std::error_condition condition = std::error_code(alone).default_error_condition();
        CHECK(condition.category() == coop::error_category() && condition.value() == static_cast<int>(alone));
    }
}

static void codes_of_other_categories_are_others() {
    const std::error_code other(static_cast<int>(coop::errc::timeout), std::system_category());
    CHECK(other != coop::errc::timeout);
    CHECK(std::error_code(coop::errc::timeout) != coop::errc::closed);
    CHECK(std::error_code(12345, coop::error_category()).message() == "(no coop_status)");
}

static_assert(std::is_error_code_enum_v<coop::errc>);
static_assert(std::is_same_v<std::underlying_type_t<coop::errc>, coop_status>);

int main() {
    every_error_of_the_library_is_an_enumerator();
    what_std_has_a_name_for_is_equal_to_it();
    codes_of_other_categories_are_others();
}
