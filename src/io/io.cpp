// SPDX-License-Identifier: BSL-1.0
#include "io/io.hpp"

namespace asyncio::io {

void counted::destroy() noexcept { delete this; }

std::exception_ptr os_exception(int error, const std::string& text) noexcept {
  return std::make_exception_ptr(os_error(error, text));
}

}  // namespace asyncio::io
