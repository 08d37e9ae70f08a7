// SPDX-License-Identifier: BSL-1.0
// What one sees while files are being fetched: a bar per active source on a terminal, plain lines elsewhere.
#pragma once

#include <asyncio/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace example {

class download_board {
 public:
  /// Bars if the standard output is a terminal that can move its cursor.
  download_board();

  /// A source that will be fetched; the number that the other calls take.
  std::size_t add(std::string name);
  void started(std::size_t source, asyncio::time_point now);
  void advanced(std::size_t source, std::uint64_t so_far, std::optional<std::uint64_t> total);
  void finished(std::size_t source, asyncio::time_point now);
  void failed(std::size_t source, const std::string& reason);

  /// Call it every `redraw_interval`: nothing else moves on the terminal.
  void tick(asyncio::time_point now);
  /// Takes the bars away and prints what waited for the next tick. Draws nothing afterwards.
  void close();

  static constexpr std::chrono::milliseconds redraw_interval{100};

 private:
  struct source {
    std::string name;
    asyncio::time_point since;
    std::uint64_t received = 0;
    std::uint64_t received_at_tick = 0;
    std::optional<std::uint64_t> total;
    double rate = 0;  // bytes a second, smoothed
    bool active = false;
  };

  void say(std::string line);
  std::string fresh_frame();
  void draw_bars();
  void measure_rates(asyncio::time_point now);
  std::string bar(const source& s, std::size_t width) const;
  std::string summary() const;

  std::vector<source> sources_;
  std::vector<std::size_t> active_;  // in the order they started
  std::vector<std::string> waiting_lines_;
  std::uint64_t received_ = 0;
  double rate_ = 0;
  std::size_t done_ = 0, failed_ = 0;
  std::size_t drawn_lines_ = 0;
  std::optional<asyncio::time_point> last_tick_, last_summary_;
  bool bars_;
  bool closed_ = false;
};

}  // namespace example
