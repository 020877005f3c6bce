// Words of shared memory that processes read and write without a lock: the server's atomics with a type.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::pg {

// A bool, a number or an enum of 4 bytes, or one of 8 bytes. Zeroed memory is the value zero.
// load and store are no barriers: other processes may see accesses before or after them in another order. Everything
// else that changes the value is a full barrier. init is for memory that no other process sees yet.
template <typename T>
class Atomic {
    static_assert(std::is_integral_v<T> || std::is_enum_v<T>);
    static_assert(std::is_same_v<T, bool> || sizeof(T) == sizeof(uint32) || sizeof(T) == sizeof(uint64));
    static constexpr bool is_wide = sizeof(T) == sizeof(uint64);
    static constexpr bool is_number = std::is_integral_v<T> && !std::is_same_v<T, bool>;
    using Word = std::conditional_t<is_wide, uint64, uint32>;
    using Signed = std::conditional_t<is_wide, int64, int32>;

public:
    void init(T value) {
        if constexpr (is_wide)
            pg_atomic_init_u64(&atom, static_cast<Word>(value));
        else
            pg_atomic_init_u32(&atom, static_cast<Word>(value));
    }
    // No barrier.
    T load() const {
        if constexpr (is_wide)
            return static_cast<T>(pg_atomic_read_u64(&atom));
        else
            return static_cast<T>(pg_atomic_read_u32(&atom));
    }
    // No barrier.
    void store(T value) {
        if constexpr (is_wide)
            pg_atomic_write_u64(&atom, static_cast<Word>(value));
        else
            pg_atomic_write_u32(&atom, static_cast<Word>(value));
    }
    // Returns the former value. Full barrier.
    T exchange(T value) {
        if constexpr (is_wide)
            return static_cast<T>(pg_atomic_exchange_u64(&atom, static_cast<Word>(value)));
        else
            return static_cast<T>(pg_atomic_exchange_u32(&atom, static_cast<Word>(value)));
    }
    // Writes `value` and returns true if the value is *expected. Otherwise writes the present value to *expected. Full
    // barrier.
    bool compare_exchange(T *expected, T value) {
        auto seen = static_cast<Word>(*expected);
        bool done;
        if constexpr (is_wide)
            done = pg_atomic_compare_exchange_u64(&atom, &seen, static_cast<Word>(value));
        else
            done = pg_atomic_compare_exchange_u32(&atom, &seen, static_cast<Word>(value));
        *expected = static_cast<T>(seen);
        return done;
    }
    // The same for callers that do not need the present value. Full barrier.
    bool replace(T expected, T value) { return compare_exchange(&expected, value); }

    // Both return the former value. Full barriers.
    T fetch_add(T more) requires(is_number) {
        if constexpr (is_wide)
            return static_cast<T>(pg_atomic_fetch_add_u64(&atom, static_cast<Signed>(more)));
        else
            return static_cast<T>(pg_atomic_fetch_add_u32(&atom, static_cast<Signed>(more)));
    }
    T fetch_sub(T less) requires(is_number) {
        if constexpr (is_wide)
            return static_cast<T>(pg_atomic_fetch_sub_u64(&atom, static_cast<Signed>(less)));
        else
            return static_cast<T>(pg_atomic_fetch_sub_u32(&atom, static_cast<Signed>(less)));
    }

private:
    mutable std::conditional_t<is_wide, pg_atomic_uint64, pg_atomic_uint32>
        atom;  // the server reads through no pointer to const
};

// The number of an entry or of a process, or -1 for none. Zeroed memory means none, because the word is the number + 1.
// Barriers as above.
class AtomicSlot {
public:
    void init(int32 no) { word.init(no + 1); }
    int32 load() const { return word.load() - 1; }
    void store(int32 no) { word.store(no + 1); }
    bool replace(int32 expected, int32 no) { return word.replace(expected + 1, no + 1); }

private:
    Atomic<int32> word;
};

template <typename A, typename Atom>
constexpr bool is_plain =
    sizeof(A) == sizeof(Atom) && alignof(A) == alignof(Atom) &&
    std::is_standard_layout_v<A> &&std::is_trivially_copyable_v<A> &&std::is_trivially_default_constructible_v<A>;
static_assert(is_plain<Atomic<bool>, pg_atomic_uint32> && is_plain<Atomic<int32>, pg_atomic_uint32>);
static_assert(is_plain<Atomic<int64>, pg_atomic_uint64> && is_plain<AtomicSlot, pg_atomic_uint32>);

}  // namespace pgqueue::pg
