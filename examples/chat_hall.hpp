// SPDX-License-Identifier: BSL-1.0
// The chat's state, without a socket in sight: who is in which room, and what waits to be sent to each.
#pragma once

#include <asyncio/asyncio.hpp>

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

/// Lines on their way to one client. put() never waits: when the client reads too slowly and `limit` bytes wait for it, lines
/// are dropped until it catches up, and a note tells it how many.
class outbox {
 public:
  static constexpr std::size_t limit = 1024 * 1024;

  void put(std::string_view line) {
    if (dropped_ > 0 || text_.size() + line.size() >= limit)
      ++dropped_;
    else
      text_.append(line) += '\n';
    news_.set();
  }

  void close() {
    closed_ = true;
    news_.set();
  }

  /// Waits for lines and takes all of them; empty after close(), when all are taken.
  asyncio::coroutine<std::string> take() {
    while (text_.empty() && !closed_) {
      news_.clear();
      co_await news_.wait();
    }
    if (dropped_ > 0)
      text_ += "! " + std::to_string(std::exchange(dropped_, 0)) + " lines dropped: you read too slowly\n";
    co_return std::exchange(text_, {});
  }

 private:
  std::string text_;
  std::size_t dropped_ = 0;
  bool closed_ = false;
  asyncio::event news_;
};

struct client {
  std::string name, room;
  outbox box;
};

class hall {
 public:
  /// Names of clients and rooms: 1 to 32 letters, digits, '_' or '-'.
  static bool is_name(std::string_view name) {
    constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    return !name.empty() && name.size() <= 32 && name.find_first_not_of(allowed) == std::string_view::npos;
  }

  void enter(client& c) {
    do c.name = "guest" + std::to_string(++guests_);
    while (!names_.insert(c.name).second);
    join(c, "lobby");
  }

  void leave(client& c) {
    leave_room(c);
    names_.erase(c.name);
  }

  void join(client& c, std::string room) {
    leave_room(c);
    c.room = std::move(room);
    rooms_[c.room].insert(&c);
    tell_others(c, "* " + c.name + " joined " + c.room);
  }

  /// False if somebody else has the name.
  bool rename(client& c, const std::string& name) {
    if (!names_.insert(name).second) return name == c.name;
    names_.erase(c.name);
    tell_others(c, "* " + c.name + " is now " + name);
    c.name = name;
    return true;
  }

  void tell_others(const client& c, std::string_view line) {
    for (client* other : rooms_[c.room])
      if (other != &c) other->box.put(line);
  }

  std::string list_rooms() const {
    std::string list = "* rooms:";
    for (const auto& [room, members] : rooms_) list += " " + room + " (" + std::to_string(members.size()) + ")";
    return list;
  }

  std::string list_members(const std::string& room) const {
    std::set<std::string_view> sorted;
    for (const client* member : rooms_.at(room)) sorted.insert(member->name);
    std::string list = "* in " + room + ":";
    for (std::string_view name : sorted) list.append(" ").append(name);
    return list;
  }

 private:
  void leave_room(client& c) {
    if (c.room.empty()) return;
    tell_others(c, "* " + c.name + " left " + c.room);
    auto room = rooms_.find(c.room);
    room->second.erase(&c);
    if (room->second.empty()) rooms_.erase(room);
    c.room.clear();
  }

  std::set<std::string> names_;
  std::map<std::string, std::set<client*>> rooms_;
  std::size_t guests_ = 0;
};
