// SPDX-License-Identifier: BSL-1.0
// exception_group: several exceptions at once, and what `except*` does with them.
#include "spec/spec.hpp"

#include <optional>

namespace asyncio::spec {
namespace {

template <class E>
std::exception_ptr make(E e) {
  return std::make_exception_ptr(std::move(e));
}

exception_group sample() {
  return {"outer",
          {make(std::runtime_error("a")),
           make(exception_group("inner", {make(std::invalid_argument("b")), make(std::runtime_error("c"))})),
           make(cancelled_error("d")), make(7)}};
}

std::string shape(const exception_group& group) {
  std::string text = group.message() + "[";
  for (const std::exception_ptr& e : group.exceptions()) {
    if (text.back() != '[') text += ", ";
    try {
      std::rethrow_exception(e);
    } catch (const exception_group& inner) {
      text += shape(inner);
    } catch (...) {
      text += name_of(e);
    }
  }
  return text + "]";
}
std::string shape(const std::optional<exception_group>& group) { return group ? shape(*group) : "none"; }

TEST(ExceptionGroup, has_a_message_members_and_a_text_that_counts_them) {
  const exception_group group = sample();
  EXPECT_EQ(group.message(), "outer");
  EXPECT_EQ(group.exceptions().size(), 4u);
  EXPECT_STREQ(group.what(), "outer (4 sub-exceptions)");
  EXPECT_STREQ(exception_group("one", {make(1)}).what(), "one (1 sub-exception)");
  EXPECT_EQ(shape(group),
            "outer[runtime_error(a), inner[invalid_argument, runtime_error(c)], cancelled_error(d), int(7)]");
}

TEST(ExceptionGroup, of_nothing_is_refused) {
  EXPECT_EQ(thrown_by([] { exception_group("none", {}); }), "invalid_argument");
  EXPECT_EQ(thrown_by([] { exception_group("null", {make(1), nullptr}); }), "invalid_argument");
}

TEST(ExceptionGroup, is_split_by_type_and_both_parts_keep_its_shape) {
  const auto [matching, rest] = sample().split<std::runtime_error>();
  EXPECT_EQ(shape(matching), "outer[runtime_error(a), inner[runtime_error(c)]]");
  EXPECT_EQ(shape(rest), "outer[inner[invalid_argument], cancelled_error(d), int(7)]");
  const auto [all_std, others] = sample().split<std::exception>();
  EXPECT_EQ(shape(all_std), "outer[runtime_error(a), inner[invalid_argument, runtime_error(c)]]");
  EXPECT_EQ(shape(others), "outer[cancelled_error(d), int(7)]");
}

TEST(ExceptionGroup, a_part_without_exceptions_is_missing) {
  const auto [matching, rest] = sample().split<std::bad_alloc>();
  EXPECT_FALSE(matching);
  EXPECT_EQ(shape(rest), shape(sample()));
  const auto [whole, nothing] = sample().split<exception_group>();
  EXPECT_EQ(shape(whole), shape(sample()));
  EXPECT_FALSE(nothing);
}

TEST(ExceptionGroup, members_of_a_part_are_the_same_exceptions) {
  const exception_group group = sample();
  const auto parts = group.split<int>();
  EXPECT_EQ(parts.second->exceptions().front(), group.exceptions().front());
}

TEST(ExceptionGroup, subgroup_takes_whole_groups_for_which_the_predicate_is_true) {
  const auto says_inner = [](const std::exception_ptr& e) {
    try {
      std::rethrow_exception(e);
    } catch (const exception_group& g) {
      return g.message() == "inner";
    } catch (const std::runtime_error& r) {
      return std::string(r.what()) == "c";
    } catch (...) {
      return false;
    }
  };
  EXPECT_EQ(shape(sample().subgroup(says_inner)), "outer[inner[invalid_argument, runtime_error(c)]]");
  EXPECT_EQ(shape(sample().subgroup([](const std::exception_ptr&) { return true; })), shape(sample()));
  EXPECT_FALSE(sample().subgroup([](const std::exception_ptr&) { return false; }));
}

TEST(ExceptionGroup, handle_takes_out_what_it_calls_the_function_with) {
  exception_group group = sample();
  lines handled;
  group.handle<std::invalid_argument>([&](const std::invalid_argument& e) { handled.push_back(e.what()); })
      .handle<std::runtime_error>([&](auto& e) { handled.push_back(e.what()); })
      .handle<int>([&](int n) { handled.push_back(std::to_string(n)); });
  EXPECT_EQ(handled, (lines{"b", "a", "c", "7"}));
  EXPECT_EQ(shape(group), "outer[cancelled_error(d)]");
  EXPECT_STREQ(group.what(), "outer (1 sub-exception)");
  EXPECT_EQ(thrown_by([&] { group.rethrow_rest(); }), "exception(outer (1 sub-exception))");
  group.handle<cancelled_error>([](const cancelled_error&) {}).rethrow_rest();
  EXPECT_TRUE(group.exceptions().empty());
}

TEST(ExceptionGroup, is_as_it_was_when_the_function_throws) {
  exception_group group = sample();
  const auto fail = [](const std::runtime_error& e) {
    if (std::string(e.what()) == "c") throw std::logic_error("in the handler");
  };
  EXPECT_EQ(thrown_by([&] { group.handle<std::runtime_error>(fail); }), "exception(in the handler)");
  EXPECT_EQ(shape(group), shape(sample()));
}

}  // namespace
}  // namespace asyncio::spec
