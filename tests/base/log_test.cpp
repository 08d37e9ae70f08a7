// SPDX-License-Identifier: BSL-1.0
#include "base/log.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace asyncio::base {
namespace {

TEST(LogSink, is_told_level_text_and_its_context) {
  std::vector<std::string> seen;
  set_log_sink(
      [](log_level level, std::string_view text, void* context) noexcept {
        static_cast<std::vector<std::string>*>(context)->push_back(std::to_string(static_cast<int>(level)) + " " +
                                                                   std::string(text));
      },
      &seen);
  log(log_level::warning, "careful");
  log(log_level::error, "broken");
  set_log_sink(nullptr);
  EXPECT_EQ(seen, (std::vector<std::string>{"2 careful", "3 broken"}));
}

TEST(LogSink, a_sink_may_replace_itself) {
  static int calls;
  calls = 0;
  set_log_sink([](log_level, std::string_view, void*) noexcept {
    ++calls;
    set_log_sink([](log_level, std::string_view, void*) noexcept { calls += 10; });
  });
  log(log_level::info, "first");
  log(log_level::info, "second");
  set_log_sink(nullptr);
  EXPECT_EQ(calls, 11);
}

TEST(LogSink, the_default_writes_lines_to_standard_error) {
  ::testing::internal::CaptureStderr();
  log(log_level::warning, "one");
  log(log_level::error, "two\nlines");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "one\ntwo\nlines\n");
}

TEST(Printable, shows_what_cannot_be_seen) {
  EXPECT_EQ(printable("plain text"), "plain text");
  EXPECT_EQ(printable("a\tb\nc\x1b[31m"), "a\\x09b\\x0ac\\x1b[31m");
  EXPECT_EQ(printable(std::string_view("\0\x7f", 2)), "\\x00\\x7f");
  EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(printable(""), "");
}

}  // namespace
}  // namespace asyncio::base
