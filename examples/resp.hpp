// SPDX-License-Identifier: BSL-1.0
// RESP2, the protocol of Redis: commands as they arrive, in whatever pieces, and the forms of replies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace example::resp {

/// A command's name and its arguments.
using command = std::vector<std::string>;

/// Bytes that are no command; what follows them cannot be understood either.
struct protocol_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Cuts commands out of a stream: arrays of bulk strings, or a line of words, as people type them.
class parser {
 public:
  static constexpr std::size_t longest_line = 64 * 1024;
  static constexpr std::int64_t most_arguments = 1024 * 1024, longest_argument = 512 * 1024 * 1024;
  static constexpr std::int64_t longest_command = 1024 * 1024 * 1024;  // all arguments together

  void feed(std::string_view bytes);
  /// The next command that has arrived whole; it has a name. Errors: protocol_error.
  std::optional<command> next();

 private:
  std::optional<std::string_view> take_line(const char* what);
  bool take_argument();

  std::string buffer_;
  std::size_t at_ = 0;          // what is before it is read
  std::int64_t missing_ = 0;    // arguments of the array that has begun
  std::int64_t argument_ = -1;  // the size of the one that has begun
  std::int64_t held_ = 0;       // bytes of those before it
  command command_;
};

/// A whole number in decimal, and nothing else.
std::optional<std::int64_t> to_number(std::string_view text);

std::string simple(std::string_view text);
std::string error(std::string_view text);  // its line ends become spaces
std::string integer(std::int64_t n);
std::string bulk(std::string_view bytes);
std::string array(std::size_t size);  // the elements follow
inline constexpr std::string_view nothing = "$-1\r\n";

}  // namespace example::resp
