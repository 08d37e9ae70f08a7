// SPDX-License-Identifier: BSL-1.0
#include "support/read_line.hpp"

#include <cstddef>
#include <stdexcept>

namespace example {

asyncio::coroutine<std::optional<std::string>> read_line(asyncio::stream_reader& reader) {
  std::string line;
  bool too_long = false, ended = false;
  for (std::size_t excess = 1; excess > 0;) {
    excess = 0;
    try {
      line = co_await reader.readuntil("\n");
      line.pop_back();
    } catch (const asyncio::limit_overrun_error& e) {
      excess = e.consumed();
    } catch (const asyncio::incomplete_read_error& e) {
      line = e.partial();
      ended = line.empty();
    }
    if (excess > 0) {
      too_long = true;
      line = co_await reader.readexactly(excess);
    }
  }
  if (too_long) throw std::length_error("line too long");
  if (ended) co_return std::nullopt;
  if (line.ends_with('\r')) line.pop_back();
  co_return line;
}

}  // namespace example
