/* coop::cpu_set: CPU numbers, 0 to 1023.
 *
 *     pool.submit({.cpus = coop::cpu_set{0, 2}}, work);
 *
 * An ordinary value. A set that is given and empty, or has a number past 1023, is refused by the call that takes it:
 * errc::invalid. To say "any CPU", give none. */
#ifndef COOP_CPU_SET_HPP
#define COOP_CPU_SET_HPP

#include <coop.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace coop {

class cpu_set {
public:
    static constexpr std::size_t limit = 1024;

    constexpr cpu_set() noexcept = default;
    constexpr cpu_set(std::initializer_list<std::size_t> cpus) noexcept {
        for (const std::size_t cpu : cpus) add(cpu);
    }

    /* From the bits of a mask: bit b is CPU b. */
    static constexpr cpu_set of_mask(std::uint64_t mask) noexcept {
        cpu_set set;
        set.words_[0] = mask;
        return set;
    }

    constexpr cpu_set &add(std::size_t cpu) noexcept {
        words_[word(cpu)] |= bit(cpu);
        return *this;
    }
    /* Of what is past the limit the set knows only that there was some. */
    constexpr cpu_set &remove(std::size_t cpu) noexcept {
        words_[word(cpu)] &= ~bit(cpu);
        return *this;
    }
    constexpr bool contains(std::size_t cpu) const noexcept { return cpu < limit && (words_[word(cpu)] & bit(cpu)) != 0; }
    constexpr bool empty() const noexcept { return *this == cpu_set{}; }

    constexpr bool operator==(const cpu_set &) const noexcept = default;

    /* The C view; valid while the set lives. */
    coop_cpu_set c() const noexcept { return {words_.data(), words_[valid] == 0 ? valid : words_.size()}; }

private:
    static constexpr std::size_t valid = limit / 64;
    static constexpr std::size_t word(std::size_t cpu) noexcept { return cpu < limit ? cpu / 64 : valid; }
    static constexpr std::uint64_t bit(std::size_t cpu) noexcept {
        return std::uint64_t{1} << (cpu < limit ? cpu % 64 : 0);
    }

    /* One word more than the library takes: a bit there is a number that it refuses. */
    std::array<std::uint64_t, valid + 1> words_{};
};

}  // namespace coop

#endif  // COOP_CPU_SET_HPP
