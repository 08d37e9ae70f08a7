// SPDX-License-Identifier: BSL-1.0
// Command lines of the example programs: `--name VALUE` or `--name=VALUE`, `--help`, and one clear line for every mistake.
#pragma once

#include <asyncio/asyncio.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace example {

/// The options of one program. Each is declared with the variable that receives it; an absent option leaves it as it is.
class arguments {
 public:
  arguments(std::string program, std::string about) : program_(std::move(program)), about_(std::move(about)) {}
  arguments(const arguments&) = delete;  // the options' functions point here

  arguments& flag(std::string name, std::string help, bool& into);
  arguments& text(std::string name, std::string value, std::string help, std::string& into);
  /// A value of any other kind: `take` reads it, and calls refuse() when it is wrong.
  arguments& option(std::string name, std::string value, std::string help, std::function<void(std::string_view)> take);
  /// Two values, one behind the other: `--name A B`.
  arguments& pair(std::string name, std::string values, std::string help,
                  std::function<void(std::string_view, std::string_view)> take);
  /// A duration in seconds above 0, fractions allowed.
  arguments& seconds(std::string name, std::string help, std::optional<asyncio::timedelta>& into);
  /// The same, or 0.
  arguments& seconds(std::string name, std::string help, asyncio::timedelta& into);
  template <std::integral I>
  arguments& number(std::string name, std::string value, std::string help, I& into, std::int64_t least = 0,
                    std::int64_t most = std::numeric_limits<std::int32_t>::max()) {
    return whole_number(std::move(name), std::move(value), std::move(help), least, most,
                        [&into](std::int64_t n) { into = static_cast<I>(n); });
  }
  /// Arguments that are no options; without this call they are mistakes.
  arguments& rest(std::string value, std::string help, std::vector<std::string>& into);
  /// What `--help` says after the options.
  arguments& note(std::string text);

  /// Fills the variables. After `--` nothing is an option. `--help` prints the options and ends the program with 0, a wrong
  /// argument as refuse() does.
  void parse(int argc, char** argv);
  /// Whether parse() met this option.
  bool given(std::string_view name) const;
  /// For checks after parse(): prints one line on stderr and ends the program with exit status 2.
  [[noreturn]] void refuse(std::string_view why) const;

 private:
  struct known_option {
    std::string name, value, help;
    std::function<void(std::string_view)> take;
    std::function<void(std::string_view, std::string_view)> take_both = nullptr;  // when it has two values
    bool given = false;
  };

  arguments& whole_number(std::string name, std::string value, std::string help, std::int64_t least, std::int64_t most,
                          std::function<void(std::int64_t)> take);
  [[noreturn]] void print_help() const;

  std::string program_, about_, rest_value_, rest_help_, note_;
  std::vector<known_option> options_;
  std::vector<std::string>* rest_ = nullptr;
};

}  // namespace example
