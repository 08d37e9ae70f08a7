// SPDX-License-Identifier: BSL-1.0
#include <asyncio/testing/testing.hpp>

#include "coro/task_list.hpp"
#include "introspect/introspect.hpp"
#include "kernel/process.hpp"

#include <asyncio/detail/inbox.hpp>

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <string>

namespace asyncio::testing {

namespace {

constexpr std::size_t most_shown = 50;

/// "2 tasks, 1 future": what there is none of is left out.
class counted_list {
 public:
  void add(std::size_t count, const char* one, const char* many) {
    if (count == 0) return;
    text_ += (text_.empty() ? "" : ", ") + std::to_string(count) + " " + (count == 1 ? one : many);
  }
  const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

/// The lines below the first one, and no more than can be read.
class detail_lines {
 public:
  void add(const std::string& text) {
    if (++count_ > most_shown) return;
    text_ += "\n  ";
    for (const char c : text) text_ += c == '\n' ? std::string("\n  ") : std::string(1, c);
  }
  std::string text() const {
    return count_ <= most_shown ? text_ : text_ + "\n  and " + std::to_string(count_ - most_shown) + " more";
  }

 private:
  std::string text_;
  std::size_t count_ = 0;
};

}  // namespace

ledger ledger::now() {
  coro::list_new_tasks();
  return {asyncio::detail::inbox::last_number(), kernel::open_descriptors()};
}

void ledger::check_nothing_left_since(const ledger& before) const {
  const auto left = asyncio::detail::inbox::count_after(before.last_loop);
  std::vector<int> opened;
  std::ranges::set_difference(descriptors, before.descriptors, std::back_inserter(opened));
  std::erase_if(opened, &asyncio::detail::inbox::owns_descriptor);
  if (left.loops == 0 && opened.empty()) return;
  counted_list counts;
  counts.add(left.tasks, "task", "tasks");
  counts.add(left.futures, "future", "futures");
  counts.add(left.callbacks, "callback or timer", "callbacks or timers");
  counts.add(left.others, "other object of a loop", "other objects of a loop");
  counts.add(left.open, "loop that is not closed", "loops that are not closed");
  counts.add(opened.size(), "descriptor", "descriptors");
  detail_lines lines;
  const coro::listed_tasks tasks = coro::tasks_of_loops_after(before.last_loop);
  for (const any_task& task : tasks.here) lines.add(introspect::describe(task));
  for (const std::string& text : tasks.texts) lines.add("* " + text);
  for (const int fd : opened) lines.add("* descriptor " + std::to_string(fd) + ": " + kernel::describe_descriptor(fd));
  throw std::logic_error("left over: " + counts.text() + lines.text());
}

}  // namespace asyncio::testing
