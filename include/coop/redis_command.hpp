/* coop::redis_command: the words of a command, for those that are made one by one, and for pipelines and transactions.
 *
 *     coop::redis_command set("SET", "visits", 1);
 *     if (expires) set.arg("EX").arg(60);
 *     co_await redis.command(set);
 *
 * A word is a text of any bytes, or a number in decimal. */
#ifndef COOP_REDIS_COMMAND_HPP
#define COOP_REDIS_COMMAND_HPP

#include <coop.h>

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace coop {

/* One word, as it is handed over: a text that somebody else owns, or a number's digits. */
class redis_word {
public:
    template <class T>
        requires std::convertible_to<const T &, std::string_view>
    redis_word(const T &text) noexcept : text_(text) {}
    template <class N>
        requires(std::integral<N> && !std::same_as<N, bool> && !std::same_as<N, char>)
    redis_word(N number) noexcept {
        length_ = static_cast<std::size_t>(std::to_chars(digits_.data(), digits_.data() + digits_.size(), number).ptr - digits_.data());
    }
    /* As many digits as make it the same number again, with a point whatever the locale has. */
    redis_word(double number) noexcept {
        length_ = static_cast<std::size_t>(std::to_chars(digits_.data(), digits_.data() + digits_.size(), number).ptr - digits_.data());
    }
    /* Either would be a number: say which number, or which text. */
    template <class T>
        requires(std::same_as<T, bool> || std::same_as<T, char>)
    redis_word(T) = delete;

    std::string_view view() const noexcept { return length_ ? std::string_view(digits_.data(), length_) : text_; }

private:
    std::string_view text_;
    std::array<char, 32> digits_;
    std::size_t length_ = 0;
};

class redis_command {
public:
    redis_command() noexcept = default;
    template <class... W>
        requires(sizeof...(W) > 0 && (std::constructible_from<redis_word, const W &> && ...))
    explicit redis_command(const W &...words) {
        words_.reserve(sizeof...(W));
        (arg(words), ...);
    }

    /* One more word. */
    redis_command &arg(const redis_word &word) {
        words_.emplace_back(word.view());
        return *this;
    }

    const std::vector<std::string> &words() const noexcept { return words_; }

private:
    std::vector<std::string> words_;
};

namespace detail {

/* Words as C takes them; valid as long as the words are. */
class redis_words {
public:
    explicit redis_words(std::span<const std::string> words) { add(words); }
    redis_words() = default;

    void add(std::string_view word) {
        /* An empty view may have no data, which C takes for no word. */
        data_.push_back(word.data() ? word.data() : "");
        lengths_.push_back(word.size());
    }
    void add(std::span<const std::string> words) {
        for (const std::string &word : words) add(std::string_view(word));
    }
    coop_redis_words c() const noexcept { return {data_.data(), lengths_.data(), data_.size()}; }

private:
    std::vector<const char *> data_;
    std::vector<std::size_t> lengths_;
};

/* Several commands as C takes them. */
class redis_commands {
public:
    explicit redis_commands(std::span<const redis_command> commands) {
        words_.reserve(commands.size());
        c_.reserve(commands.size());
        for (const redis_command &command : commands) c_.push_back(words_.emplace_back(command.words()).c());
    }
    const coop_redis_words *data() const noexcept { return c_.data(); }
    std::size_t size() const noexcept { return c_.size(); }

private:
    std::vector<redis_words> words_;
    std::vector<coop_redis_words> c_;
};

}  // namespace detail
}  // namespace coop

#endif  // COOP_REDIS_COMMAND_HPP
