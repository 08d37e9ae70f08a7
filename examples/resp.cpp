// SPDX-License-Identifier: BSL-1.0
#include "resp.hpp"

#include <charconv>
#include <sstream>
#include <utility>

namespace example::resp {

void parser::feed(std::string_view bytes) {
  if (at_ == buffer_.size() || at_ > longest_line) {
    buffer_.erase(0, at_);
    at_ = 0;
  }
  buffer_ += bytes;
}

std::optional<command> parser::next() {
  while (missing_ == 0) {
    const auto line = take_line("too big inline request");
    if (!line) return std::nullopt;
    if (line->starts_with('*')) {
      const auto count = to_number(line->substr(1));
      if (!count || *count > most_arguments) throw protocol_error("invalid multibulk length");
      if (*count > 0) missing_ = *count;
    } else {
      std::istringstream words{std::string(*line)};
      command typed;
      for (std::string word; words >> word;) typed.push_back(std::move(word));
      if (!typed.empty()) return typed;
    }
  }
  while (missing_ > 0) {
    if (!take_argument()) return std::nullopt;
    --missing_;
  }
  held_ = 0;
  return std::exchange(command_, {});
}

bool parser::take_argument() {
  if (argument_ < 0) {
    const auto line = take_line("too big bulk count string");
    if (!line) return false;
    if (!line->starts_with('$')) throw protocol_error("expected '$' before an argument");
    const auto size = to_number(line->substr(1));
    if (!size || *size < 0 || *size > longest_argument) throw protocol_error("invalid bulk length");
    held_ += *size;
    if (held_ > longest_command) throw protocol_error("too long a command");
    argument_ = *size;
  }
  const auto size = static_cast<std::size_t>(argument_);
  if (buffer_.size() - at_ < size + 2) return false;
  if (std::string_view(buffer_).substr(at_ + size, 2) != "\r\n") throw protocol_error("an argument of another length");
  command_.emplace_back(buffer_, at_, size);
  at_ += size + 2;
  argument_ = -1;
  return true;
}

/// Without its line end; valid until the next feed().
std::optional<std::string_view> parser::take_line(const char* what) {
  const std::size_t end = buffer_.find('\n', at_);
  const std::size_t size = (end == std::string::npos ? buffer_.size() : end) - at_;
  if (size > longest_line) throw protocol_error(what);
  if (end == std::string::npos) return std::nullopt;
  std::string_view line = std::string_view(buffer_).substr(at_, size);
  at_ = end + 1;
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::optional<std::int64_t> to_number(std::string_view text) {
  std::int64_t n = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return n;
}

std::string simple(std::string_view text) { return "+" + std::string(text) + "\r\n"; }

std::string error(std::string_view text) {
  std::string line = "-ERR " + std::string(text);
  for (char& c : line)
    if (c == '\r' || c == '\n') c = ' ';
  return line + "\r\n";
}

std::string integer(std::int64_t n) { return ":" + std::to_string(n) + "\r\n"; }

std::string bulk(std::string_view bytes) {
  std::string reply = "$" + std::to_string(bytes.size()) + "\r\n";
  reply += bytes;
  return reply += "\r\n";
}

std::string array(std::size_t size) { return "*" + std::to_string(size) + "\r\n"; }

}  // namespace example::resp
