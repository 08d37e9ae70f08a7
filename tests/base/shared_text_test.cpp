// SPDX-License-Identifier: BSL-1.0
#include <asyncio/detail/shared_text.hpp>

#include <gtest/gtest.h>

#include <thread>
#include <type_traits>
#include <vector>

namespace asyncio::detail {
namespace {

static_assert(sizeof(shared_text) == sizeof(void*));
static_assert(std::is_nothrow_copy_constructible_v<shared_text> && std::is_nothrow_move_constructible_v<shared_text>);

TEST(SharedText, copies_share_one_string) {
  shared_text a(std::string(100, 'x'));
  shared_text b = a;
  EXPECT_EQ(&a.str(), &b.str());
  shared_text c = std::move(a);
  EXPECT_EQ(&c.str(), &b.str());
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): that is the test
  EXPECT_EQ(a.str(), "");
}

TEST(SharedText, the_empty_string_costs_nothing) {
  const shared_text none, made{std::string()};
  EXPECT_TRUE(none.empty());
  EXPECT_TRUE(made.empty());
  EXPECT_EQ(&none.str(), &made.str());
}

TEST(SharedText, assignment_lets_go_of_the_old_one_and_survives_itself) {
  shared_text a(std::string("first")), b(std::string("second"));
  shared_text& same = a;
  a = same;
  EXPECT_EQ(a.str(), "first");
  a = b;
  EXPECT_EQ(a.str(), "second");
  a = shared_text();
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(b.str(), "second");
}

TEST(SharedText, may_be_copied_and_dropped_in_many_threads) {
  const shared_text text(std::string(200, 'y'));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([mine = text] {
      for (int k = 0; k < 5000; ++k) {
        shared_text copy = mine;
        EXPECT_EQ(copy.str().size(), 200u);
      }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(text.str().size(), 200u);
}

}  // namespace
}  // namespace asyncio::detail
