// SPDX-License-Identifier: BSL-1.0
#include <asyncio/streams.hpp>

#include "streams/stream_core.hpp"

#include <asyncio/errors.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <stdexcept>

namespace asyncio {

namespace {

using streams::core_ref;
using streams::stream_core;
using streams::turn_wait;

constexpr std::size_t as_much_as_possible = 256 * 1024;

/// Looks for the separator that ends first; remembers how far it has looked.
class separator_search {
 public:
  explicit separator_search(std::vector<std::string> separators) : separators_(std::move(separators)) {
    for (const std::string& s : separators_) {
      if (s.empty()) throw std::invalid_argument("a separator should be at least one byte long");
      longest_ = std::max(longest_, s.size());
    }
  }

  bool look(std::string_view bytes) noexcept {
    end_ = std::string_view::npos;
    for (const std::string& s : separators_) {
      const std::size_t at = bytes.find(s, looked_);
      if (at == std::string_view::npos || at + s.size() >= end_) continue;
      begin_ = at;
      end_ = at + s.size();
    }
    if (end_ != std::string_view::npos) return true;
    looked_ = bytes.size() + 1 > longest_ ? bytes.size() + 1 - longest_ : 0;
    return false;
  }

  std::size_t begin() const noexcept { return begin_; }
  std::size_t end() const noexcept { return end_; }
  /// No separator begins before here.
  std::size_t looked() const noexcept { return looked_; }

 private:
  std::vector<std::string> separators_;
  std::size_t longest_ = 0;
  std::size_t looked_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// How a search ended: at a separator, at the end of the stream, or beyond the limit.
struct found_separator {
  enum state_t : std::uint8_t { found, end, not_found_in_limit, found_too_far };
  state_t state;
  std::size_t begin;   // of the separator; not_found_in_limit: no separator begins before here
  std::size_t behind;  // the first byte after it
};

/// Reads until the search succeeds, or cannot. Nothing is taken from the buffer.
coroutine<found_separator> find_separator(core_ref core, const char* call, std::vector<std::string> separators) {
  separator_search search(std::move(separators));
  while (!search.look(core->input().view())) {
    found_separator none{found_separator::not_found_in_limit, search.looked(), 0};
    if (none.begin > core->limit()) co_return none;
    none.state = found_separator::end;
    if (core->eof()) co_return none;
    if (!core->fetch(call, 0)) {
      core->has_waited();
      co_await core->wait_for_data();
    }
  }
  found_separator result{found_separator::found, search.begin(), search.end()};
  if (result.begin > core->limit()) result.state = found_separator::found_too_far;
  co_return result;
}

constexpr const char* not_found_text = "Separator is not found, and chunk exceed the limit";
constexpr const char* too_far_text = "Separator is found, but chunk is longer than limit";

coroutine<std::string> read_until(core_ref core, std::vector<std::string> separators) {
  if (core->used_up_its_turn()) co_await turn_wait();
  const found_separator at = co_await find_separator(core, "readuntil()", std::move(separators));
  if (at.state == found_separator::end) throw incomplete_read_error(core->input().take_all(), std::nullopt);
  if (at.state == found_separator::found_too_far) throw limit_overrun_error(too_far_text, at.begin);
  if (at.state == found_separator::not_found_in_limit) throw limit_overrun_error(not_found_text, at.begin);
  co_return core->input().take(at.behind);
}

coroutine<std::string> read_line(core_ref core) {
  if (core->used_up_its_turn()) co_await turn_wait();
  std::vector<std::string> newline(1, "\n");
  const found_separator at = co_await find_separator(core, "readline()", std::move(newline));
  if (at.state == found_separator::end) co_return core->input().take_all();
  if (at.state == found_separator::found_too_far) {
    core->input().drop(at.behind);
    throw std::invalid_argument(too_far_text);
  }
  if (at.state == found_separator::not_found_in_limit) {
    core->input().clear();
    throw std::invalid_argument(not_found_text);
  }
  co_return core->input().take(at.behind);
}

coroutine<std::optional<std::string>> next_line(core_ref core) {
  std::string line = co_await read_line(std::move(core));
  if (line.empty()) co_return std::optional<std::string>();
  co_return std::optional<std::string>(std::move(line));
}

}  // namespace

coroutine<> streams::receive_everything(core_ref core, const char* call) {
  while (!core->eof()) {
    if (core->used_up_its_turn()) co_await turn_wait();
    if (core->fetch(call, as_much_as_possible)) continue;
    core->has_waited();
    co_await core->wait_for_data();
  }
}

stream_reader::stream_reader(std::size_t limit) : core_(stream_core::make({}, limit).detach()) {}

stream_reader& stream_reader::operator=(stream_reader&& other) noexcept {
  stream_reader taken(std::move(other));
  std::swap(core_, taken.core_);
  return *this;
}

stream_reader::~stream_reader() {
  if (core_ != nullptr) core_->release();
}

stream_core& stream_reader::core(const char* call) const {
  if (core_ == nullptr) throw std::runtime_error(std::string(call) + ": the stream_reader was moved away");
  core_->check_thread(call);
  return *core_;
}

read_operation stream_reader::read(std::ptrdiff_t n) {
  using call = read_operation::call;
  stream_core* const c = core_ref::share(&core("stream_reader.read()")).detach();
  return n < 0 ? read_operation(c, call::read_all, as_much_as_possible)
               : read_operation(c, call::read, static_cast<std::size_t>(n));
}

read_into_operation stream_reader::read_into(buffer_view buffer) {
  return read_into_operation(core_ref::share(&core("stream_reader.read_into()")).detach(), buffer);
}

coroutine<std::string> stream_reader::readline() {
  return read_line(core_ref::share(&core("stream_reader.readline()")));
}

readexactly_operation stream_reader::readexactly(std::size_t n) {
  return readexactly_operation(core_ref::share(&core("stream_reader.readexactly()")).detach(), n);
}

coroutine<std::string> stream_reader::readuntil(bytes_view separator) {
  const std::string_view one = separator;
  return read_until_any(&one, 1);
}

coroutine<std::string> stream_reader::read_until_any(const std::string_view* separators, std::size_t count) {
  std::vector<std::string> kept(separators, separators + count);
  return read_until(core_ref::share(&core("stream_reader.readuntil()")), std::move(kept));
}

coroutine<std::optional<std::string>> stream_reader::next() {
  return next_line(core_ref::share(&core("stream_reader.next()")));
}

bool stream_reader::at_eof() const {
  stream_core& c = core("stream_reader.at_eof()");
  return c.eof() && c.input().empty();
}

void stream_reader::feed_data(bytes_view data) {
  stream_core& c = core("stream_reader.feed_data()");
  if (c.eof()) throw std::runtime_error("feed_data() after feed_eof()");
  if (!data.empty()) c.feed(data);
}

void stream_reader::feed_eof() { core("stream_reader.feed_eof()").feed_eof(); }

void stream_reader::set_exception(std::exception_ptr error) {
  core("stream_reader.set_exception()").set_error(std::move(error));
}

std::exception_ptr stream_reader::exception() const { return core("stream_reader.exception()").error(); }

}  // namespace asyncio
