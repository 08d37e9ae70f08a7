// SPDX-License-Identifier: BSL-1.0
// What redis_like keeps, without a socket in sight: values that may expire, and who listens to which channel.
#pragma once

#include <asyncio/asyncio.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace example::redis {

/// A call that is due later, and is not made when this dies first.
class timer {
 public:
  timer(std::chrono::seconds after, std::function<void()> call)
      : handle_(asyncio::get_running_loop().call_later(after, std::move(call))) {}
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;
  ~timer() { handle_.cancel(); }
  asyncio::time_point when() const { return handle_.when(); }

 private:
  asyncio::timer_handle handle_;
};

/// Keys and their values. One that is to expire has a timer in the loop, which takes it out.
class store {
 public:
  const std::string* find(const std::string& key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second.text;
  }

  /// The value of a key, which goes on to expire when it did; empty when it is new.
  std::string& at(const std::string& key) { return values_[key].text; }

  /// The new value does not expire.
  void set(const std::string& key, std::string text) {
    value& kept = values_[key];
    kept.expiry.reset();
    kept.text = std::move(text);
  }

  bool erase(const std::string& key) { return values_.erase(key) > 0; }

  bool expire(const std::string& key, std::chrono::seconds after) {
    const auto found = values_.find(key);
    if (found == values_.end()) return false;
    if (after <= std::chrono::seconds(0)) return erase(key);
    found->second.expiry.emplace(after, [this, key] {
      const std::string expired = key;  // this closure goes with the value
      values_.erase(expired);
    });
    return true;
  }

  /// When the value expires; nothing when it does not.
  std::optional<asyncio::time_point> expiry(const std::string& key) const {
    const auto found = values_.find(key);
    if (found == values_.end() || !found->second.expiry) return std::nullopt;
    return found->second.expiry->when();
  }

 private:
  struct value {
    std::string text;
    std::optional<timer> expiry;
  };
  std::unordered_map<std::string, value> values_;
};

/// Who listens to which channel. Listeners are known by their writers.
class channels {
 public:
  using listener = asyncio::stream_writer*;

  void subscribe(const std::string& channel, listener who) { listeners_[channel].insert(who); }

  void unsubscribe(const std::string& channel, listener who) {
    const auto found = listeners_.find(channel);
    if (found == listeners_.end()) return;
    found->second.erase(who);
    if (found->second.empty()) listeners_.erase(found);
  }

  /// Writes to all who listen, and says how many. A listener that is too far behind is cut off: it must not fill memory.
  std::size_t publish(const std::string& channel, std::string_view text) {
    const auto found = listeners_.find(channel);
    if (found == listeners_.end()) return 0;
    for (const listener who : found->second) {
      who->write(text);
      if (who->get_write_buffer_size() > most_unread) who->abort();
    }
    return found->second.size();
  }

 private:
  static constexpr std::size_t most_unread = 32 * 1024 * 1024;
  std::map<std::string, std::set<listener>> listeners_;
};

}  // namespace example::redis
