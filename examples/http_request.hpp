// SPDX-License-Identifier: BSL-1.0
// The head of an HTTP/1.x request, line by line and strictly: whatever two readers could understand differently (the stuff
// of request smuggling) is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace example::http {

inline constexpr std::size_t longest_head = 16 * 1024;
inline constexpr std::size_t longest_target = 8 * 1024;
inline constexpr std::size_t most_header_lines = 100;

/// The answer to a request that gets no file: a status of 400 or above, and the reason in a few words.
class refusal : public std::runtime_error {
 public:
  refusal(int status, const std::string& reason) : std::runtime_error(reason), status_(status) {}
  int status() const noexcept { return status_; }

 private:
  int status_;
};

/// `Range: bytes=first-last`; without `first` the last `last` bytes.
struct byte_range {
  std::optional<std::uint64_t> first, last;
};

struct request {
  request() = default;

  std::string method;
  std::string target;  // as it was sent, without the query
  bool keep_alive = false;
  bool has_body = false;
  std::optional<byte_range> range;
};

/// Builds a request from its lines.
class head_parser {
 public:
  /// One line with its line end. True when it was the last of the head.
  /// Errors: refusal.
  bool feed(std::string_view line);
  bool started() const noexcept { return stage_ != stage::request_line; }
  /// Once, after feed() returned true.
  /// Errors: refusal for a head whose lines are right and whose whole is not.
  request finish();

 private:
  enum class stage { request_line, headers, complete };

  void read_request_line(std::string_view line);
  void read_header(std::string_view line);
  void read_connection(std::string_view value);
  void read_range(std::string_view value);

  stage stage_ = stage::request_line;
  request request_;
  int minor_version_ = 1;
  std::size_t bytes_ = 0;
  std::size_t lines_ = 0;
  bool skipped_empty_line_ = false;
  bool wants_close_ = false;
  bool conditional_range_ = false;
  std::size_t hosts_ = 0;
  std::size_t transfer_encodings_ = 0;
  std::optional<std::uint64_t> content_length_;
};

/// The file that a target names, relative to the served folder: percent-decoded, without empty segments; "" is the folder
/// itself. Errors: refusal, 403 for a way out of the folder.
std::string relative_path(std::string_view target);

}  // namespace example::http
