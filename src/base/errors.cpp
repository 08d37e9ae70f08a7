// SPDX-License-Identifier: BSL-1.0
#include <asyncio/errors.hpp>

namespace asyncio {

const std::string& detail::shared_text::none() noexcept {
  static const std::string empty;
  return empty;
}

timeout_error::timeout_error(const std::string& what)
    : std::system_error(std::make_error_code(std::errc::timed_out), what), what_(std::string(what)) {}

incomplete_read_error::incomplete_read_error(std::string partial, std::optional<std::size_t> expected)
    : std::runtime_error(std::to_string(partial.size()) + " bytes read on a total of " +
                         (expected ? std::to_string(*expected) : std::string("undefined")) + " expected bytes"),
      partial_(std::move(partial)),
      expected_(expected) {}

queue_empty::queue_empty() : std::runtime_error("the queue is empty") {}
queue_full::queue_full() : std::runtime_error("the queue is full") {}
queue_shut_down::queue_shut_down() : std::runtime_error("the queue is shut down") {}

}  // namespace asyncio
