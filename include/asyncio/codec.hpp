// SPDX-License-Identifier: BSL-1.0
// How values become bytes and values again, for another process of the same program: process_pool_executor's arguments
// and results. Numbers are little-endian and as wide as their type, sizes take eight bytes, every encoding at least one.
// Decoding believes no length that it reads: what is longer than the bytes that are there is a codec_error.
#pragma once
#include <asyncio/detail/codec_fields.hpp>
#include <asyncio/detail/smart_pointers.hpp>
#include <asyncio/time.hpp>

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace asyncio {

/// A value that cannot become bytes, or bytes that are not the value that they should be.
/// Python: pickle.PicklingError, pickle.UnpicklingError.
class codec_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// How a T travels. There is one for numbers, enums, strings, containers (whatever has `insert(end, value)`), std::array,
/// optional, variant, tuple, pair, unique_ptr, durations and time points, and structs whose members are all public, up to
/// 16 of them. <asyncio/codec/cereal.hpp> adds every type that cereal knows. For another type, specialise it:
///
///     template <>
///     struct asyncio::codec<money> {
///       static void encode(encoder& out, const money& m) { out.write(m.cents()); }
///       static money decode(decoder& in) { return money(in.read<long>()); }
///     };
template <class T>
struct codec;

class encoder;
class decoder;

namespace detail {

template <class T>
concept has_codec = requires(encoder& out, decoder& in, const T& value) {
  codec<T>::encode(out, value);
  { codec<T>::decode(in) } -> std::same_as<T>;
};

/// How deep values may lie in each other: bytes must not decide how much stack is used. Python's limit of recursion.
inline constexpr int deepest_codec = 1000;

[[noreturn]] void throw_codec_error(const char* what);
[[noreturn]] void throw_codec_too_deep();
[[noreturn]] void throw_codec_short(std::size_t wanted, std::size_t left);

class codec_nesting {
 public:
  explicit codec_nesting(int& depth) : depth_(depth) {
    if (depth_ == deepest_codec) throw_codec_too_deep();
    ++depth_;
  }
  ~codec_nesting() { --depth_; }
  codec_nesting(const codec_nesting&) = delete;
  codec_nesting& operator=(const codec_nesting&) = delete;

 private:
  int& depth_;
};

}  // namespace detail

/// Makes bytes of values.   Thread: plain data.
class encoder {
 public:
  /// Appends a value.   Errors: what its codec throws; codec_error for a variant that has lost its value, and when values
  /// lie more than 1000 deep in each other.
  template <class T>
  void write(const T& value) {
    static_assert(detail::has_codec<T>,
                  "asyncio: this type has no way to another process: specialise asyncio::codec for it, or give it "
                  "cereal's serialize() and include <asyncio/codec/cereal.hpp>");
    if constexpr (detail::has_codec<T>) {
      const detail::codec_nesting deeper(depth_);
      const std::size_t before = bytes_.size();
      codec<T>::encode(*this, value);
      if (bytes_.size() == before) bytes_.push_back('\0');
    }
  }
  /// Appends bytes as they are; whoever reads them knows how many.
  void raw(const void* from, std::size_t size) { bytes_.append(static_cast<const char*>(from), size); }
  /// Appends a size, to be read with decoder::size().
  void size(std::size_t n);

  std::string_view bytes() const noexcept { return bytes_; }
  /// The bytes, which are not here any more.
  std::string take() noexcept;

 private:
  std::string bytes_;
  int depth_ = 0;
};

/// Makes values of bytes, which stay the caller's.   Thread: plain data.
class decoder {
 public:
  explicit decoder(std::string_view bytes) noexcept : left_(bytes) {}

  /// The next value.   Errors: codec_error when the bytes are no T, and what its codec throws.
  template <class T>
  T read() {
    static_assert(detail::has_codec<T>,
                  "asyncio: this type has no way to another process: specialise asyncio::codec for it, or give it "
                  "cereal's serialize() and include <asyncio/codec/cereal.hpp>");
    const detail::codec_nesting deeper(depth_);
    const std::size_t before = left_.size();
    T value = codec<T>::decode(*this);
    if (left_.size() == before) raw(1);
    return value;
  }
  /// The next `size` bytes as they are.   Errors: codec_error when there are fewer.
  std::string_view raw(std::size_t size) {
    if (size > left_.size()) detail::throw_codec_short(size, left_.size());
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }
  /// A size that encoder::size() wrote, of something whose elements take `each` bytes or more.
  /// Errors: codec_error when there are not as many bytes left.
  std::size_t size(std::size_t each = 1);

  std::size_t left() const noexcept { return left_.size(); }
  /// Errors: codec_error when bytes are left over.
  void finish() const;

 private:
  std::string_view left_;
  int depth_ = 0;
};

namespace detail {

template <class T>
concept codec_number = (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) || std::is_enum_v<T>;

/// What grows by insert(end, value): the standard containers, and others that look like them.
template <class T>
concept codec_container =
    !says_how_itself<T> && std::default_initializable<T> && requires(T& c, const T& k, typename T::value_type&& value) {
      c.insert(c.end(), std::move(value));
      { k.size() } -> std::convertible_to<std::size_t>;
      k.begin() != k.end();
    };

/// Elements that may lie in a row as they travel.
template <class E>
concept codec_element = (std::is_arithmetic_v<E> && !std::is_same_v<E, bool>) || std::is_same_v<E, std::byte>;
/// What may look at the bytes as they came.
template <class E>
concept codec_byte = std::is_same_v<E, char> || std::is_same_v<E, unsigned char> || std::is_same_v<E, std::byte>;

/// A container whose elements lie in a row.
template <class T>
concept codec_block = codec_container<T> && codec_element<typename T::value_type> &&
                      std::endian::native == std::endian::little && requires(T& c, const T& k) {
                        { k.data() } -> std::same_as<const typename T::value_type*>;
                        c.resize(k.size());
                      };

/// std::array, by its shape.
template <class T>
concept codec_array = tuple_like<T> && requires(T& a) {
  typename T::value_type;
  a.fill(a[0]);
};

template <class Bytes>
void reverse_bytes(Bytes& bytes) noexcept {
  for (std::size_t i = 0, j = sizeof bytes - 1; i < j; ++i, --j) std::swap(bytes[i], bytes[j]);
}

}  // namespace detail

template <detail::codec_number T>
struct codec<T> {
  static void encode(encoder& out, const T& value) {
    unsigned char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof value);
    if constexpr (std::endian::native == std::endian::big) detail::reverse_bytes(bytes);
    out.raw(bytes, sizeof bytes);
  }
  static T decode(decoder& in) {
    unsigned char bytes[sizeof(T)];
    in.raw(sizeof bytes).copy(reinterpret_cast<char*>(bytes), sizeof bytes);
    if constexpr (std::endian::native == std::endian::big) detail::reverse_bytes(bytes);
    T value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
  }
};

template <>
struct codec<bool> {
  static void encode(encoder& out, bool value) { out.raw(value ? "\1" : "\0", 1); }
  static bool decode(decoder& in) {
    const char byte = in.raw(1)[0];
    if (byte != 0 && byte != 1) detail::throw_codec_error("a bool is neither true nor false");
    return byte == 1;
  }
};

template <detail::codec_container T>
struct codec<T> {
  using element = std::remove_const_t<typename T::value_type>;

  static void encode(encoder& out, const T& value) {
    out.size(value.size());
    if constexpr (detail::codec_block<T>) {
      out.raw(value.data(), value.size() * sizeof(element));
    } else {
      for (const element& each : value) out.write<element>(each);
    }
  }
  // What is reserved is never more than the bytes that came; what needs more grows as its elements are read.
  static T decode(decoder& in) {
    T value;
    if constexpr (detail::codec_block<T>) {
      const std::size_t size = in.size(sizeof(element));
      const std::string_view bytes = in.raw(size * sizeof(element));
      if constexpr (detail::codec_byte<element> && requires(const element* p) { value.assign(p, p); }) {
        const auto* first = reinterpret_cast<const element*>(bytes.data());
        value.assign(first, first + size);
      } else {
        value.resize(size);
        if (size != 0) std::memcpy(value.data(), bytes.data(), bytes.size());
      }
    } else {
      const std::size_t size = in.size();
      if constexpr (requires { value.reserve(size); }) {
        const std::size_t most = in.left() / sizeof(element);
        value.reserve(size < most ? size : most);
      }
      for (std::size_t i = 0; i < size; ++i) value.insert(value.end(), in.read<element>());
    }
    return value;
  }
};

template <detail::codec_array T>
struct codec<T> {
  static void encode(encoder& out, const T& value) {
    for (const auto& each : value) out.write(each);
  }
  static T decode(decoder& in) {
    return [&in]<std::size_t... I>(std::index_sequence<I...>) -> T {
      return T{((void)I, in.read<typename T::value_type>())...};  // braces: from the first to the last
    }(std::make_index_sequence<std::tuple_size<T>::value>());
  }
};

template <class A, class B>
struct codec<std::pair<A, B>> {
  static void encode(encoder& out, const std::pair<A, B>& value) {
    out.write(value.first);
    out.write(value.second);
  }
  static std::pair<A, B> decode(decoder& in) {
    auto first = in.read<std::remove_const_t<A>>();
    return std::pair<A, B>(std::move(first), in.read<std::remove_const_t<B>>());
  }
};

template <class... T>
struct codec<std::tuple<T...>> {
  static void encode(encoder& out, const std::tuple<T...>& value) {
    std::apply([&](const T&... each) { (out.write(each), ...); }, value);
  }
  static std::tuple<T...> decode([[maybe_unused]] decoder& in) { return std::tuple<T...>{in.read<T>()...}; }
};

template <class T>
struct codec<std::optional<T>> {
  static void encode(encoder& out, const std::optional<T>& value) {
    out.write(value.has_value());
    if (value.has_value()) out.write(*value);
  }
  static std::optional<T> decode(decoder& in) {
    std::optional<T> value;
    if (in.read<bool>()) value.emplace(in.read<T>());
    return value;
  }
};

template <class T>
struct codec<std::unique_ptr<T>> {
  static void encode(encoder& out, const std::unique_ptr<T>& value) {
    out.write(value != nullptr);
    if (value != nullptr) out.write<std::remove_const_t<T>>(*value);
  }
  static std::unique_ptr<T> decode(decoder& in) {
    if (!in.read<bool>()) return nullptr;
    return std::unique_ptr<T>(new T(in.read<std::remove_const_t<T>>()));
  }
};

template <class... T>
struct codec<std::variant<T...>> {
  static void encode(encoder& out, const std::variant<T...>& value) {
    if (value.valueless_by_exception()) detail::throw_codec_error("a variant has lost its value");
    out.write(static_cast<std::uint32_t>(value.index()));
    std::visit([&out](const auto& each) { out.write(each); }, value);
  }
  static std::variant<T...> decode(decoder& in) { return alternative<0>(in, in.read<std::uint32_t>()); }

 private:
  template <std::size_t I>
  static std::variant<T...> alternative(decoder& in, std::uint32_t index) {
    if constexpr (I == sizeof...(T)) {
      detail::throw_codec_error("a variant has no such alternative");
    } else {
      if (index != I) return alternative<I + 1>(in, index);
      return std::variant<T...>(std::in_place_index<I>, in.read<std::variant_alternative_t<I, std::variant<T...>>>());
    }
  }
};

template <class Rep, class Period>
struct codec<std::chrono::duration<Rep, Period>> {
  static void encode(encoder& out, std::chrono::duration<Rep, Period> value) { out.write(value.count()); }
  static std::chrono::duration<Rep, Period> decode(decoder& in) {
    return std::chrono::duration<Rep, Period>(in.read<Rep>());
  }
};

template <class Clock, class Duration>
struct codec<std::chrono::time_point<Clock, Duration>> {
  static void encode(encoder& out, std::chrono::time_point<Clock, Duration> value) {
    out.write(value.time_since_epoch());
  }
  static std::chrono::time_point<Clock, Duration> decode(decoder& in) {
    return std::chrono::time_point<Clock, Duration>(in.read<Duration>());
  }
};

template <>
struct codec<timedelta> {
  static void encode(encoder& out, timedelta value);
  static timedelta decode(decoder& in);
};

namespace detail {

/// A struct that is its public members and nothing else.
template <class T>
concept codec_struct = plain_struct<T> && !says_how_itself<T> && !codec_container<T> && !tuple_like<T>;

template <class T>
void write_field(encoder& out, const T& field) {
  if constexpr (std::is_array_v<T>) {
    for (const auto& each : field) write_field(out, each);
  } else {
    out.write(field);
  }
}

template <class T>
void read_field(decoder& in, T& field) {
  if constexpr (std::is_array_v<T>) {
    for (auto& each : field) read_field(in, each);
  } else {
    field = in.read<T>();
  }
}

}  // namespace detail

template <detail::codec_struct T>
struct codec<T> {
  static void encode([[maybe_unused]] encoder& out, const T& value) {
    detail::with_fields(value, [&](const auto&... field) { (detail::write_field(out, field), ...); });
  }
  static T decode([[maybe_unused]] decoder& in) {
    T value{};
    detail::with_fields(value, [&](auto&... field) { (detail::read_field(in, field), ...); });
    return value;
  }
};

}  // namespace asyncio
