// SPDX-License-Identifier: BSL-1.0
#include "download_board.hpp"

#include "download_text.hpp"
#include "support/printable.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <sys/ioctl.h>
#include <unistd.h>

namespace example {
namespace {

constexpr std::chrono::seconds summary_interval{10};  // of the plain lines, so that a long download is not silent

struct screen_size {
  std::size_t columns = 80, rows = 24;
};

screen_size terminal_size() {
  winsize size{};
  screen_size out;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return out;
  if (size.ws_col > 0) out.columns = size.ws_col;
  if (size.ws_row > 0) out.rows = size.ws_row;
  return out;
}

bool can_draw() {
  const char* terminal = std::getenv("TERM");
  return isatty(STDOUT_FILENO) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

double smoothed(double before, double present) { return before == 0 ? present : 0.7 * before + 0.3 * present; }

std::chrono::nanoseconds time_for(double bytes, double rate) {
  constexpr double longest = 359'999;  // 99:59:59
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(std::min(bytes / rate, longest)));
}

}  // namespace

download_board::download_board() : bars_(can_draw()) {}

std::size_t download_board::add(std::string name) {
  sources_.emplace_back().name = printable(name);
  return sources_.size() - 1;
}

void download_board::started(std::size_t i, asyncio::time_point now) {
  sources_[i].active = true;
  sources_[i].since = now;
  active_.push_back(i);
}

void download_board::advanced(std::size_t i, std::uint64_t so_far, std::optional<std::uint64_t> total) {
  source& s = sources_[i];
  received_ += so_far - s.received;
  s.received = so_far;
  s.total = total;
}

void download_board::finished(std::size_t i, asyncio::time_point now) {
  source& s = sources_[i];
  s.active = false;
  ++done_;
  std::erase(active_, i);
  if (!bars_) {
    say("done    " + fitted(size_text(static_cast<double>(s.received)), 8) + "  " +
        fitted(seconds_text(now - s.since), 8) + "  " + s.name);
  }
}

void download_board::failed(std::size_t i, const std::string& reason) {
  sources_[i].active = false;
  ++failed_;
  std::erase(active_, i);
  say("FAILED  " + sources_[i].name + ": " + printable(reason));
}

void download_board::say(std::string line) {
  line += '\n';
  if (bars_ && !closed_) {
    waiting_lines_.push_back(std::move(line));
    return;
  }
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

void download_board::measure_rates(asyncio::time_point now) {
  if (last_tick_ && now > *last_tick_) {
    const double seconds = std::chrono::duration<double>(now - *last_tick_).count();
    double all = 0;
    for (source& s : sources_) {
      const auto fresh = static_cast<double>(s.received - s.received_at_tick);
      s.received_at_tick = s.received;
      all += fresh;
      if (s.active) s.rate = smoothed(s.rate, fresh / seconds);
    }
    rate_ = smoothed(rate_, all / seconds);
  }
  last_tick_ = now;
}

void download_board::tick(asyncio::time_point now) {
  if (closed_) return;
  measure_rates(now);
  if (bars_) {
    draw_bars();
  } else if (!last_summary_) {
    last_summary_ = now;
  } else if (now - *last_summary_ >= summary_interval) {
    last_summary_ = now;
    say("        " + summary());
  }
}

std::string download_board::summary() const {
  std::string out = std::to_string(done_) + " of " + std::to_string(sources_.size()) + " done";
  if (failed_ > 0) out += ", " + std::to_string(failed_) + " failed";
  out += ", " + std::to_string(active_.size()) + " active, " + size_text(static_cast<double>(received_)) + ", " +
         size_text(rate_) + "/s";
  return out;
}

std::string download_board::bar(const source& s, std::size_t width) const {
  std::string left = "   -:--";
  std::string percent = "    ";
  constexpr std::size_t bar_width = 20;
  std::string blocks(bar_width, '.');
  if (s.total && *s.total > 0) {
    const double part = std::min(1.0, static_cast<double>(s.received) / static_cast<double>(*s.total));
    std::fill_n(blocks.begin(), static_cast<std::size_t>(part * bar_width), '#');
    const std::string number = std::to_string(static_cast<int>(part * 100)) + "%";
    percent = std::string(4 - std::min<std::size_t>(4, number.size()), ' ') + number;
    if (s.rate > 0) {
      const std::string time =
          clock_text(time_for(static_cast<double>(*s.total - std::min(*s.total, s.received)), s.rate));
      left = std::string(7 - std::min<std::size_t>(7, time.size()), ' ') + time;
    }
  }
  const std::string figures =
      " " + fitted(size_text(static_cast<double>(s.received)), 8) + " " + fitted(size_text(s.rate) + "/s", 10) + left;
  std::string tail = " [" + blocks + "] " + percent + figures;
  constexpr std::size_t least_name = 12;
  if (width < tail.size() + least_name) tail = " " + percent + figures;  // too narrow for a bar
  if (width < tail.size() + least_name) return fitted(s.name, width);
  return fitted(s.name, width - tail.size()) + tail;
}

/// Takes the drawn lines back and gives out the lines that waited; what follows is drawn in their place.
std::string download_board::fresh_frame() {
  std::string frame;
  if (drawn_lines_ > 0) frame = "\r\x1b[" + std::to_string(drawn_lines_) + "A\x1b[J";  // up, and clear from there on
  drawn_lines_ = 0;
  for (const std::string& line : waiting_lines_) frame += line;
  waiting_lines_.clear();
  return frame;
}

void download_board::draw_bars() {
  const screen_size screen = terminal_size();
  const std::size_t width = screen.columns - 1;  // a full line would wrap on some terminals
  const std::size_t room = screen.rows > 3 ? screen.rows - 3 : 1;
  std::string frame = fresh_frame();
  for (std::size_t n = 0; n < std::min(room, active_.size()); ++n) {
    frame += bar(sources_[active_[n]], width) + "\n";
    ++drawn_lines_;
  }
  std::string last = summary();
  if (active_.size() > room) last += ", " + std::to_string(active_.size() - room) + " not shown";
  frame += fitted(last, width) + "\n";
  ++drawn_lines_;
  std::fputs(frame.c_str(), stdout);
  std::fflush(stdout);
}

void download_board::close() {
  if (closed_) return;
  closed_ = true;
  std::fputs(fresh_frame().c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace example
