// SPDX-License-Identifier: BSL-1.0
#pragma once
// A channel in front of another one that breaks one promise: what the laws of streams must notice.
#include "io/channel.hpp"
#include "streams/stream_core.hpp"
#include "testing/memory_channel.hpp"

#include <asyncio/asyncio.hpp>

#include <cerrno>
#include <cstddef>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace stream_test {

enum class fault {
  none,
  drops_a_byte,
  doubles_a_piece,
  swaps_two_pieces,
  holds_back_single_bytes,
  translates_line_ends,
  sends_something_for_nothing,
  never_tells_the_end,
  ends_both_ways,
  takes_writes_after_eof,
  refuses_eof,
  drops_at_close,
  leaves_open_what_has_unread_input,
  sends_after_close,
  denies_that_it_closes,
  never_tells_the_loss,
  keeps_its_number,
  forgets_who_reads_when_it_closes,
  ignores_abort,
  sends_all_at_abort,
  forgets_its_peer,
  swallows_writes_to_nobody,
  never_makes_wait,
  never_lets_go_on,
  lets_go_on_at_the_high_mark,
  takes_any_limits,
  does_not_read_while_it_is_full,
  loses_what_a_cancelled_read_asked_for,
  loses_writes_while_it_is_full,
  leaves_open_what_ends_in_the_midst,
};

/// Descriptors that broken channels have left open; who looks closes them.
inline std::vector<int>& left_open() {
  static std::vector<int> all;
  return all;
}

class broken_channel final : public asyncio::io::channel, private asyncio::io::channel_user {
 public:
  using channel = asyncio::io::channel;
  using read_state = asyncio::io::read_state;

  broken_channel(asyncio::io::ref<channel> lower, fault f)
      : lower_(std::move(lower)), fault_(f), number_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

  void set_user(asyncio::io::channel_user* user) noexcept override {
    user_ = user;
    lower_->set_user(user != nullptr ? this : nullptr);
  }

  // ---- input
  read_state read(std::size_t most, std::string_view& bytes) noexcept override {
    if (is(fault::does_not_read_while_it_is_full) && lower_->congested()) return read_state::later;
    lossy_ |= asked_ && is(fault::loses_what_a_cancelled_read_asked_for);
    const read_state state = lower_->read(most, bytes);
    asked_ = state == read_state::later;
    if (state == read_state::bytes) received_ += bytes.size();
    if (state == read_state::end && is(fault::never_tells_the_end)) return read_state::later;
    return state;
  }
  std::int64_t read_into(std::byte* to, std::size_t size) noexcept override {
    if (is(fault::does_not_read_while_it_is_full) && lower_->congested()) return -EAGAIN;
    const std::int64_t n = lower_->read_into(to, size);
    if (n > 0) received_ += static_cast<std::size_t>(n);
    return n == 0 && is(fault::never_tells_the_end) ? -EAGAIN : n;
  }

  // ---- output
  void write(std::string&& text) override { write(std::string_view(text)); }
  void write(std::string_view bytes) override {
    if (eof_wanted_ && is(fault::takes_writes_after_eof)) return;
    if (lower_->closing()) return;
    if (is(fault::loses_writes_while_it_is_full) && lower_->congested() && bytes.size() == 40'000) return;
    std::string out(bytes);
    if (is(fault::sends_something_for_nothing) && out.empty() && written_ == 0) out = " ";
    if (is(fault::translates_line_ends)) std::erase(out, '\r');
    if (is(fault::holds_back_single_bytes)) {
      out = std::exchange(held_, {}) + out;
      if (out.size() == 1) {
        held_ = out;
        return;
      }
    }
    const std::size_t before = std::exchange(written_, written_ + out.size());
    const bool here = before <= 1000 && written_ > 1000;
    if (is(fault::drops_a_byte) && here) out.erase(1000 - before, 1);
    if (is(fault::doubles_a_piece) && here) out += out;
    if (is(fault::swaps_two_pieces) && written_ > 1000 && out.size() > 1 && !std::exchange(swapped_, true))
      out = out.substr(out.size() / 2) + out.substr(0, out.size() / 2);
    lower_->write(std::move(out));
  }
  void flush() noexcept override { lower_->flush(); }
  std::size_t buffered() const noexcept override { return lower_->buffered(); }
  bool congested() const noexcept override { return !is(fault::never_makes_wait) && lower_->congested(); }
  void set_limits(std::size_t high, std::size_t low) override {
    if (is(fault::takes_any_limits) && low > high) return;
    lower_->set_limits(high, is(fault::lets_go_on_at_the_high_mark) ? high : low);
  }

  // ---- the end
  bool can_write_eof() const noexcept override { return !is(fault::refuses_eof); }
  void write_eof() noexcept override {
    eof_wanted_ = true;
    if (is(fault::ends_both_ways))
      lower_->close();
    else
      lower_->write_eof();
  }
  void close() noexcept override {
    if (is(fault::drops_at_close)) return lower_->abort();
    if (is(fault::sends_after_close) && !std::exchange(closed_, true)) {
      asyncio::get_running_loop().call_soon([self = asyncio::io::ref<channel>::share(lower_.get())] { self->close(); });
      return;
    }
    if (is(fault::leaves_open_what_ends_in_the_midst) && asked_ && received_ > 1000) leaves_open_ = true;
    if (is(fault::leaves_open_what_has_unread_input) && !lower_->closing() && !asked_ && has_input())
      leaves_open_ = true;
    lower_->close();
  }
  void abort() noexcept override {
    if (is(fault::ignores_abort)) return;
    if (is(fault::sends_all_at_abort)) return lower_->close();
    lower_->abort();
  }
  bool closing() const noexcept override { return !is(fault::denies_that_it_closes) && (closed_ || lower_->closing()); }
  asyncio::detail::inbox& box() const noexcept override { return lower_->box(); }
  int fd() const noexcept override { return is(fault::keeps_its_number) ? number_ : lower_->fd(); }
  asyncio::socket_address peer() const noexcept override {
    static const asyncio::socket_address somebody("127.0.0.1", 1);
    return is(fault::forgets_its_peer) && !lower_->closing() ? somebody : asyncio::socket_address();
  }

 private:
  ~broken_channel() override {
    if (leaves_open_)
      left_open().push_back(number_);
    else
      ::close(number_);
  }

  bool is(fault f) const noexcept { return fault_ == f; }
  bool has_input() noexcept {
    std::byte some[1000];
    return lower_->read_into(some, sizeof some) > 100;
  }

  void received(std::string_view bytes) noexcept override {
    asked_ = false;
    received_ += bytes.size();
    if (std::exchange(lossy_, false)) bytes.remove_prefix(1);
    if (user_ != nullptr) user_->received(bytes);
  }
  void received_eof() noexcept override {
    if (is(fault::never_tells_the_end)) return;
    asked_ = false;
    if (user_ != nullptr) user_->received_eof();
  }
  void output_drained() noexcept override {
    if (!is(fault::never_lets_go_on) && user_ != nullptr) user_->output_drained();
  }
  void lost(std::exception_ptr error) noexcept override {
    if (is(fault::never_tells_the_loss)) return;
    if (is(fault::forgets_who_reads_when_it_closes) && asked_ && error == nullptr) return;
    if (is(fault::swallows_writes_to_nobody) && !asked_ && error != nullptr) return;
    asked_ = false;
    if (auto* user = std::exchange(user_, nullptr)) user->lost(std::move(error));
  }

  const asyncio::io::ref<channel> lower_;
  const fault fault_;
  const int number_;  // an open descriptor: what is left over shows
  asyncio::io::channel_user* user_ = nullptr;
  std::string held_;
  std::size_t written_ = 0;
  std::size_t received_ = 0;
  bool asked_ = false;
  bool lossy_ = false;
  bool swapped_ = false;
  bool leaves_open_ = false;
  bool eof_wanted_ = false;
  bool closed_ = false;
};

/// Two ends in memory, both broken in the same way.
inline std::pair<asyncio::connection, asyncio::connection> broken_pair(fault f) {
  using asyncio::testing::memory_channel;
  asyncio::loop::loop& l = asyncio::loop::loop::of(asyncio::detail::running_loop());
  const auto a = memory_channel::make(l, 10'000);
  const auto b = memory_channel::make(l, 10'000);
  const auto wrap = [f](const asyncio::io::ref<memory_channel>& lower) {
    auto below = asyncio::io::ref<asyncio::io::channel>::share(lower.get());
    return asyncio::io::ref<asyncio::io::channel>::adopt(new broken_channel(std::move(below), f));
  };
  asyncio::connection first = asyncio::streams::make_connection(wrap(a), 64 * 1024);
  asyncio::connection second = asyncio::streams::make_connection(wrap(b), 64 * 1024);
  memory_channel::join(*a, *b);
  return {std::move(first), std::move(second)};
}

}  // namespace stream_test
