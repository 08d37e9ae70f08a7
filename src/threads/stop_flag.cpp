// SPDX-License-Identifier: BSL-1.0
#include <asyncio/detail/stop_token.hpp>

#include <stop_token>

namespace asyncio::detail {

struct stop_flag::state {
  std::stop_source source;
  std::stop_token token = source.get_token();
};

stop_flag::stop_flag(bool wanted) : state_(wanted ? new state : nullptr) {}
stop_flag::~stop_flag() { delete state_; }
const std::stop_token& stop_flag::token() const noexcept { return state_->token; }
void stop_flag::request() const noexcept {
  if (state_ != nullptr) state_->source.request_stop();
}

}  // namespace asyncio::detail
