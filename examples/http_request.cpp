// SPDX-License-Identifier: BSL-1.0
#include "http_request.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace example::http {
namespace {

bool is_token_char(char c) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         marks.find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) { return !text.empty() && std::ranges::all_of(text, is_token_char); }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The whole of `text` as a number of digits only (from_chars alone would take more).
std::optional<std::uint64_t> decimal(std::string_view text) {
  std::uint64_t number = 0;
  if (text.empty() || !std::ranges::all_of(text, is_digit)) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  return number;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

bool same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

/// A line without its CR LF; refuses any other line end and control characters within.
std::string_view content(std::string_view line) {
  if (!line.ends_with("\r\n")) throw refusal(400, "a line that does not end with CR LF");
  line.remove_suffix(2);
  const auto forbidden = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  };
  if (std::ranges::any_of(line, forbidden)) throw refusal(400, "a control character in the head");
  return line;
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) throw refusal(400, "a % that two hexadecimal digits do not follow");
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

}  // namespace

bool head_parser::feed(std::string_view line) {
  bytes_ += line.size();
  if (bytes_ > longest_head) {
    throw refusal(stage_ == stage::request_line ? 414 : 431, "the head is longer than 16 KiB");
  }
  const std::string_view text = content(line);
  if (stage_ == stage::request_line) {
    if (text.empty() && !std::exchange(skipped_empty_line_, true)) return false;  // RFC 9112 §2.2 allows one
    read_request_line(text);
    stage_ = stage::headers;
    return false;
  }
  if (text.empty()) {
    stage_ = stage::complete;
    return true;
  }
  if (++lines_ > most_header_lines) throw refusal(431, "more than 100 header lines");
  read_header(text);
  return false;
}

void head_parser::read_request_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) throw refusal(400, "not a request line");
  const std::string_view method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(method) || target.empty() || target.find_first_of(" \t#") != std::string_view::npos) {
    throw refusal(400, "not a request line");
  }
  if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) || version[6] != '.' ||
      !is_digit(version[7])) {
    throw refusal(400, "not a request line");
  }
  if (version[5] != '1') throw refusal(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  if (target.size() > longest_target) throw refusal(414, "the target is longer than 8 KiB");
  if (target.front() != '/') {  // a proxy's form, http://host/path, which every server must take
    constexpr std::string_view scheme = "http://";
    if (!same_word(target.substr(0, scheme.size()), scheme)) throw refusal(400, "not a target that names a file");
    target.remove_prefix(scheme.size());
    const std::size_t slash = target.find_first_of("/?");
    target = slash == std::string_view::npos || target[slash] == '?' ? "/" : target.substr(slash);
  }
  minor_version_ = version[7] == '0' ? 0 : 1;
  request_.keep_alive = minor_version_ == 1;
  request_.method = method;
  request_.target = target.substr(0, target.find('?'));
}

void head_parser::read_header(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') throw refusal(400, "a header line that is folded");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) throw refusal(400, "not a header line");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));

  if (same_word(name, "host")) {
    if (++hosts_ > 1) throw refusal(400, "more than one Host");
    if (value.find_first_of(" \t/?#@,") != std::string_view::npos) throw refusal(400, "not a host");
  } else if (same_word(name, "content-length")) {
    if (content_length_) throw refusal(400, "more than one Content-Length");
    content_length_ = decimal(value);
    if (!content_length_) throw refusal(400, "a Content-Length that is not a number");
  } else if (same_word(name, "transfer-encoding")) {
    ++transfer_encodings_;
  } else if (same_word(name, "connection")) {
    read_connection(value);
  } else if (same_word(name, "range")) {
    read_range(value);
  } else if (same_word(name, "if-range")) {
    conditional_range_ = true;
  }
}

void head_parser::read_connection(std::string_view value) {
  while (true) {
    const std::size_t comma = value.find(',');
    const std::string_view word = trimmed(value.substr(0, comma));
    if (same_word(word, "close")) wants_close_ = true;
    if (same_word(word, "keep-alive") && minor_version_ == 0) request_.keep_alive = true;
    if (wants_close_) request_.keep_alive = false;
    if (comma == std::string_view::npos) return;
    value.remove_prefix(comma + 1);
  }
}

void head_parser::read_range(std::string_view value) {
  constexpr std::string_view unit = "bytes=";
  if (!value.starts_with(unit)) return;  // a range that is not understood is as none
  value.remove_prefix(unit.size());
  const std::size_t dash = value.find('-');
  if (dash == std::string_view::npos) return;
  const std::string_view first = trimmed(value.substr(0, dash)), last = trimmed(value.substr(dash + 1));
  byte_range range;
  range.first = decimal(first);
  range.last = decimal(last);
  const bool understood = (first.empty() || range.first) && (last.empty() || range.last) &&
                          (range.first || range.last) && !(range.first && range.last && *range.last < *range.first);
  if (understood) request_.range = range;
}

request head_parser::finish() {
  if (transfer_encodings_ > 0 && (content_length_ || minor_version_ == 0)) {
    throw refusal(400, "two ways to tell the length of a body");
  }
  if (transfer_encodings_ > 0) throw refusal(501, "a request with a body of coded length");
  if (minor_version_ == 1 && hosts_ == 0) throw refusal(400, "no Host");
  if (conditional_range_) request_.range.reset();  // no validators are handed out: whatever it asks about has changed
  request_.has_body = content_length_.value_or(0) > 0;
  return std::move(request_);
}

std::string relative_path(std::string_view target) {
  const bool folder = target.ends_with('/');
  std::string path;
  while (!target.empty()) {
    const std::size_t slash = target.find('/');
    const std::string segment = percent_decoded(target.substr(0, slash));
    if (segment == "." || segment == "..") throw refusal(403, "a way out of the served folder");
    if (segment.find('\0') != std::string::npos) throw refusal(400, "a null character in the path");
    if (segment.find('/') != std::string::npos) throw refusal(403, "a hidden slash in the path");
    if (!segment.empty()) path += (path.empty() ? "" : "/") + segment;
    if (slash == std::string_view::npos) break;
    target.remove_prefix(slash + 1);
  }
  if (folder && !path.empty()) path += '/';
  return path;
}

}  // namespace example::http
