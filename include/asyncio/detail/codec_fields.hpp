// SPDX-License-Identifier: BSL-1.0
// The members of a plain struct, one by one, by structured bindings; and which types have a way of their own to be
// written and read.
#pragma once
#include <cstddef>
#include <tuple>
#include <type_traits>

namespace asyncio::detail {

/// Stands in for an archive, to ask a type whether it has the functions that cereal looks for.
struct archive_probe {
  template <class... A>
  archive_probe& operator()(A&&...);
};

/// Types that say themselves how they are written: a member or a free function serialize(), or save() and load(). Only
/// <asyncio/codec/cereal.hpp> makes a codec of these; their members are never looked at behind their back.
template <class T>
concept says_how_itself = requires(T& value, archive_probe& archive) { value.serialize(archive); } ||
                          requires(T& value, archive_probe& archive) { value.serialize(archive, 0u); } ||
                          requires(T& value, archive_probe& archive) { serialize(archive, value); } ||
                          requires(T& value, archive_probe& archive) { serialize(archive, value, 0u); } ||
                          requires(const T& value, archive_probe& archive) { value.save(archive); } ||
                          requires(const T& value, archive_probe& archive) { save(archive, value); } ||
                          requires(const T& value, archive_probe& archive) { value.save_minimal(archive); } ||
                          requires(const T& value, archive_probe& archive) { save_minimal(archive, value); };

template <class T>
concept tuple_like = requires { std::tuple_size<T>::value; };

/// Becomes a base of T, and nothing else.
template <class T>
struct any_base {
  template <class U>
    requires(std::is_base_of_v<U, T> && !std::is_same_v<U, T>)
  operator U() const;
};

/// A class that is initialised member by member, has no base, and may be empty first and filled then.
template <class T>
concept plain_struct = std::is_class_v<T> && std::is_aggregate_v<T> && std::is_move_assignable_v<T> &&
                       requires { T{}; } && (std::is_empty_v<T> || !requires { T{any_base<T>()}; });

// Each {} initialises one member: an array or a struct among them does not count as its parts.
template <class T>
consteval int count_fields() {
  // clang-format off
  if constexpr (std::is_empty_v<T>) return 0;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 17;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 16;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 15;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 14;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 13;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 12;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 11;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 10;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 9;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}, {}, {}}; }) return 8;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}, {}}; }) return 7;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}}; }) return 6;
  else if constexpr (requires { T{{}, {}, {}, {}, {}}; }) return 5;
  else if constexpr (requires { T{{}, {}, {}, {}}; }) return 4;
  else if constexpr (requires { T{{}, {}, {}}; }) return 3;
  else if constexpr (requires { T{{}, {}}; }) return 2;
  else return 1;
  // clang-format on
}

/// use(member, member, …), in their order.
template <class T, class Use>
void with_fields(T& v, const Use& use) {
  constexpr int n = count_fields<std::remove_const_t<T>>();
  static_assert(n <= 16, "asyncio: a struct with more than 16 members needs an asyncio::codec of its own");
  // clang-format off
  if constexpr (n == 0) use();
  else if constexpr (n == 1) { auto& [a] = v; use(a); }
  else if constexpr (n == 2) { auto& [a, b] = v; use(a, b); }
  else if constexpr (n == 3) { auto& [a, b, c] = v; use(a, b, c); }
  else if constexpr (n == 4) { auto& [a, b, c, d] = v; use(a, b, c, d); }
  else if constexpr (n == 5) { auto& [a, b, c, d, e] = v; use(a, b, c, d, e); }
  else if constexpr (n == 6) { auto& [a, b, c, d, e, f] = v; use(a, b, c, d, e, f); }
  else if constexpr (n == 7) { auto& [a, b, c, d, e, f, g] = v; use(a, b, c, d, e, f, g); }
  else if constexpr (n == 8) { auto& [a, b, c, d, e, f, g, h] = v; use(a, b, c, d, e, f, g, h); }
  else if constexpr (n == 9) { auto& [a, b, c, d, e, f, g, h, i] = v; use(a, b, c, d, e, f, g, h, i); }
  else if constexpr (n == 10) { auto& [a, b, c, d, e, f, g, h, i, j] = v; use(a, b, c, d, e, f, g, h, i, j); }
  else if constexpr (n == 11) { auto& [a, b, c, d, e, f, g, h, i, j, k] = v; use(a, b, c, d, e, f, g, h, i, j, k); }
  else if constexpr (n == 12) { auto& [a, b, c, d, e, f, g, h, i, j, k, l] = v; use(a, b, c, d, e, f, g, h, i, j, k, l); }
  else if constexpr (n == 13) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = v;
    use(a, b, c, d, e, f, g, h, i, j, k, l, m);
  } else if constexpr (n == 14) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o] = v;
    use(a, b, c, d, e, f, g, h, i, j, k, l, m, o);
  } else if constexpr (n == 15) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p] = v;
    use(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p);
  } else if constexpr (n == 16) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q] = v;
    use(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q);
  }
  // clang-format on
}

}  // namespace asyncio::detail
