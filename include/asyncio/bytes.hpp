// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <concepts>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <type_traits>
#include <utility>

namespace asyncio {

namespace detail {

template <class T>
concept byte_like = std::same_as<std::remove_cv_t<T>, char> || std::same_as<std::remove_cv_t<T>, unsigned char> ||
                    std::same_as<std::remove_cv_t<T>, std::byte>;

template <class C>
concept byte_range = requires(C& c) {
  { std::size(c) } -> std::convertible_to<std::size_t>;
  requires byte_like<std::remove_pointer_t<decltype(std::data(c))>>;
};

template <class C>
concept writable_byte_range =
    byte_range<C> && !std::is_const_v<std::remove_pointer_t<decltype(std::data(std::declval<C&>()))>>;

}  // namespace detail

/// Bytes to read from: a std::string, a string_view, a "literal" (without its final NUL; a char array counts up to the
/// first NUL, as a C string), any contiguous range of char, unsigned char or std::byte. Borrows them: functions that
/// take one copy it before they return.   Python: a bytes-like object.
class bytes_view {
 public:
  constexpr bytes_view() noexcept = default;
  constexpr bytes_view(std::string_view text) noexcept : data_(text.data()), size_(text.size()) {}
  constexpr bytes_view(const char* text) noexcept : bytes_view(std::string_view(text)) {}
  constexpr bytes_view(std::nullptr_t) = delete;
  template <class C>
    requires(detail::byte_range<const C> && !std::convertible_to<const C&, const char*> &&
             !std::same_as<C, std::string_view>)
  constexpr bytes_view(const C& bytes) noexcept
      : data_(reinterpret_cast<const char*>(std::data(bytes))), size_(std::size(bytes)) {}

  constexpr const char* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr operator std::string_view() const noexcept { return {data_, size_}; }

 private:
  const char* data_ = "";
  std::size_t size_ = 0;
};

/// Memory to write to: `char buffer[4096]`, a std::string, a vector, array or span of char, unsigned char or std::byte.
/// It must outlive the await that fills it.   Python: a writable bytes-like object.
class buffer_view {
 public:
  template <class C>
    requires(detail::writable_byte_range<std::remove_reference_t<C>> &&
             !std::same_as<std::remove_cvref_t<C>, buffer_view>)
  constexpr buffer_view(C&& buffer) noexcept
      : data_(reinterpret_cast<std::byte*>(std::data(buffer))), size_(std::size(buffer)) {}
  constexpr buffer_view(std::byte* data, std::size_t size) noexcept : data_(data), size_(size) {}

  constexpr std::byte* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }

 private:
  std::byte* data_;
  std::size_t size_;
};

}  // namespace asyncio
