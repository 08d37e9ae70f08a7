// SPDX-License-Identifier: BSL-1.0
#include <asyncio/codec.hpp>

namespace asyncio {

namespace detail {

void throw_codec_error(const char* what) { throw codec_error(what); }

void throw_codec_too_deep() {
  throw codec_error("values lie more than " + std::to_string(deepest_codec) + " deep in each other");
}

void throw_codec_short(std::size_t wanted, std::size_t left) {
  throw codec_error("the value should have " + std::to_string(wanted) + " more bytes, and " + std::to_string(left) +
                    " are left");
}

}  // namespace detail

void codec<timedelta>::encode(encoder& out, timedelta value) { out.write(value.count()); }

timedelta codec<timedelta>::decode(decoder& in) { return in.read<std::chrono::nanoseconds>(); }

std::string encoder::take() noexcept { return std::exchange(bytes_, {}); }

void encoder::size(std::size_t n) { write(static_cast<std::uint64_t>(n)); }

std::size_t decoder::size(std::size_t each) {
  const auto n = read<std::uint64_t>();
  if (n > left() / each) {
    throw codec_error("the value should have " + std::to_string(n) + " more elements, and " + std::to_string(left()) +
                      " bytes are left");
  }
  return static_cast<std::size_t>(n);
}

void decoder::finish() const {
  if (left() != 0) throw codec_error(std::to_string(left()) + " bytes are left over");
}

}  // namespace asyncio
