// SPDX-License-Identifier: BSL-1.0
#include "support/arguments.hpp"

#include "support/printable.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace example {
namespace {

std::string quoted(std::string_view text) { return "'" + printable(text) + "'"; }

/// The whole of `text` as a number, or nothing.
template <class Number> std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// A number from 0 to a billion, or nothing; also nothing for "-0" and "nan".
std::optional<double> parse_seconds(std::string_view text) {
  constexpr double longest = 1e9;
  std::optional<double> number = parse_number<double>(text);
  if (!number || std::signbit(*number) || !(*number <= longest)) return std::nullopt;
  return number;
}

}  // namespace

arguments& arguments::option(std::string name, std::string value, std::string help,
                             std::function<void(std::string_view)> take) {
  options_.push_back({std::move(name), std::move(value), std::move(help), std::move(take)});
  return *this;
}

arguments& arguments::pair(std::string name, std::string values, std::string help,
                           std::function<void(std::string_view, std::string_view)> take) {
  options_.push_back({std::move(name), std::move(values), std::move(help), nullptr, std::move(take)});
  return *this;
}

arguments& arguments::flag(std::string name, std::string help, bool& into) {
  return option(std::move(name), "", std::move(help), [&into](std::string_view) { into = true; });
}

arguments& arguments::text(std::string name, std::string value, std::string help, std::string& into) {
  return option(std::move(name), std::move(value), std::move(help), [&into](std::string_view text) { into = text; });
}

arguments& arguments::seconds(std::string name, std::string help, std::optional<asyncio::timedelta>& into) {
  auto take = [this, name, &into](std::string_view text) {
    std::optional<double> number = parse_seconds(text);
    if (!number || *number == 0) refuse(name + ": " + quoted(text) + " is not a number of seconds above 0");
    into = asyncio::timedelta(std::chrono::duration<double>(*number));
  };
  return option(std::move(name), "S", std::move(help), std::move(take));
}

arguments& arguments::seconds(std::string name, std::string help, asyncio::timedelta& into) {
  auto take = [this, name, &into](std::string_view text) {
    std::optional<double> number = parse_seconds(text);
    if (!number) refuse(name + ": " + quoted(text) + " is not a number of seconds, 0 or above");
    into = asyncio::timedelta(std::chrono::duration<double>(*number));
  };
  return option(std::move(name), "S", std::move(help), std::move(take));
}

arguments& arguments::whole_number(std::string name, std::string value, std::string help, std::int64_t least,
                                   std::int64_t most, std::function<void(std::int64_t)> take) {
  auto take_text = [this, name, least, most, take = std::move(take)](std::string_view text) {
    std::optional<std::int64_t> number = parse_number<std::int64_t>(text);
    if (!number || *number < least || *number > most)
      refuse(name + ": " + quoted(text) + " is not a whole number from " + std::to_string(least) + " to " +
             std::to_string(most));
    take(*number);
  };
  return option(std::move(name), std::move(value), std::move(help), std::move(take_text));
}

arguments& arguments::rest(std::string value, std::string help, std::vector<std::string>& into) {
  rest_value_ = std::move(value);
  rest_help_ = std::move(help);
  rest_ = &into;
  return *this;
}

arguments& arguments::note(std::string text) {
  note_ = std::move(text);
  return *this;
}

void arguments::parse(int argc, char** argv) {
  bool options_ended = false;
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    if (argument == "--" && !options_ended) {
      options_ended = true;
      continue;
    }
    if (options_ended || !argument.starts_with("-")) {
      if (rest_ == nullptr) refuse("unexpected argument " + quoted(argument));
      rest_->emplace_back(argument);
      continue;
    }
    if (argument == "--help") print_help();
    std::size_t equals = argument.find('=');
    std::string_view name = argument.substr(0, equals);
    auto found = std::ranges::find(options_, name, &known_option::name);
    if (found == options_.end()) refuse("unknown option " + quoted(name) + ", --help lists those there are");
    const auto next_value = [&](const char* wanted) {
      if (i + 1 == argc || std::string_view(argv[i + 1]).starts_with("--")) refuse(found->name + wanted);
      return std::string_view(argv[++i]);
    };
    if (found->take_both) {
      if (equals != std::string_view::npos) refuse(found->name + " takes its two values as arguments of their own");
      found->given = true;
      const std::string_view first = next_value(" needs two values");
      found->take_both(first, next_value(" needs two values"));
      continue;
    }
    std::string_view value;
    if (equals != std::string_view::npos) {
      if (found->value.empty()) refuse(found->name + " takes no value");
      value = argument.substr(equals + 1);
    } else if (!found->value.empty()) {
      value = next_value(" needs a value");
    }
    found->given = true;
    found->take(value);
  }
}

bool arguments::given(std::string_view name) const {
  auto found = std::ranges::find(options_, name, &known_option::name);
  return found != options_.end() && found->given;
}

void arguments::refuse(std::string_view why) const {
  std::fprintf(stderr, "%s: %.*s\n", program_.c_str(), static_cast<int>(why.size()), why.data());
  std::exit(2);
}

void arguments::print_help() const {
  std::string usage = "usage: " + program_ + " [OPTION]..." + (rest_ == nullptr ? "" : " [" + rest_value_ + "]...");
  std::printf("%s\n%s\n\n", usage.c_str(), about_.c_str());
  auto line = [](const std::string& left, const std::string& help) {
    std::printf("  %-28s %s\n", left.c_str(), help.c_str());
  };
  if (rest_ != nullptr) line(rest_value_, rest_help_);
  for (const known_option& o : options_) line(o.value.empty() ? o.name : o.name + " " + o.value, o.help);
  line("--help", "print this and exit");
  if (rest_ != nullptr) line("--", "ends the options: every argument after it is a " + rest_value_);
  if (!note_.empty()) std::printf("\n%s\n", note_.c_str());
  std::exit(0);
}

}  // namespace example
