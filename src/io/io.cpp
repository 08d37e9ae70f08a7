// SPDX-License-Identifier: BSL-1.0
#include "io/io.hpp"

namespace asyncio::io {

void counted::destroy() noexcept { delete this; }

std::exception_ptr os_exception(int error, const char* text) noexcept {
  try {
    return std::make_exception_ptr(os_error(error, text));
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace asyncio::io
