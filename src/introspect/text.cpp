// SPDX-License-Identifier: BSL-1.0
#include "introspect/introspect.hpp"

#include <asyncio/detail/coro_core.hpp>

#include <algorithm>
#include <cstdio>
#include <ostream>
#include <utility>

namespace asyncio {

namespace {

constexpr std::size_t deepest_level = 50;

// A task by its name and number, which tells apart those that share a name; a future by its address.
std::string title(const any_task& future) {
  const detail::future_core* core = future.raw_core().get();
  if (!core->is_task()) {
    char id[32];
    std::snprintf(id, sizeof id, "%p", static_cast<const void*>(core));
    return std::string("Future(id=") + id + ")";
  }
  const std::uint64_t number = static_cast<const detail::coro_core*>(core)->number;
  return "Task(name='" + detail::task_name(core) + "', id=" + std::to_string(number) + ")";
}

class text_builder {
 public:
  void add(std::size_t level, const std::string& line) {
    if (!text_.empty()) text_ += '\n';
    text_.append(level * 4, ' ');
    text_ += line;
  }
  void add_stack(std::size_t level, const call_graph& graph) {
    if (graph.size() == 0) return;
    add(level, "  + Call stack:");
    for (const frame_call_graph_entry& entry : graph.call_stack()) add(level, "  |   " + entry.text());
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

struct level_to_write {
  call_graph graph;
  std::size_t level;
};

}  // namespace

std::string frame_call_graph_entry::text() const {
  std::string name = (is_coroutine_ ? "in async " : "in ") + function_name() + "()";
  if (line() == 0) return name;
  return "File '" + std::string(file_name()) + "', line " + std::to_string(line()) + ", " + name;
}

// Depth first, without recursion. Who was described before, in a ring or on two ways, is named only.
std::string call_graph::to_string() const {
  text_builder text;
  std::vector<level_to_write> open;
  std::vector<any_task> described;
  if (*this) open.push_back({*this, 0});
  while (!open.empty()) {
    const auto [graph, level] = std::move(open.back());
    open.pop_back();
    const any_task future = graph.future();
    if (std::ranges::find(described, future) != described.end()) {
      text.add(level, "* " + title(future) + ", see above");
      continue;
    }
    if (level > deepest_level) {
      text.add(level, "* and so on, deeper than " + std::to_string(deepest_level) + " tasks");
      continue;
    }
    described.push_back(future);
    text.add(level, "* " + title(future));
    text.add_stack(level, graph);
    std::vector<call_graph> awaited_by = graph.awaited_by();
    if (!awaited_by.empty()) text.add(level, "  + Awaited by:");
    for (auto g = awaited_by.rbegin(); g != awaited_by.rend(); ++g) open.push_back({std::move(*g), level + 1});
  }
  return text.take();
}

std::string format_call_graph(call_graph_options options, std::source_location where) {
  return capture_call_graph(options, where).to_string();
}

std::string format_call_graph(const any_task& future, call_graph_options options, std::source_location where) {
  return capture_call_graph(future, options, where).to_string();
}

void print_call_graph(std::ostream& stream, call_graph_options options, std::source_location where) {
  stream << format_call_graph(options, where) << '\n';
}

void print_call_graph(std::ostream& stream, const any_task& future, call_graph_options options,
                      std::source_location where) {
  stream << format_call_graph(future, options, where) << '\n';
}

void print_call_graph(call_graph_options options, std::source_location where) {
  std::puts(format_call_graph(options, where).c_str());
}

void print_call_graph(const any_task& future, call_graph_options options, std::source_location where) {
  std::puts(format_call_graph(future, options, where).c_str());
}

void any_task::print_stack(std::ostream& stream) const {
  const call_graph graph = get_stack();
  if (graph.size() == 0) {
    stream << "No stack for " << to_string(*this) << '\n';
    return;
  }
  stream << "Stack for " << to_string(*this) << " (most recent call last):\n";
  for (auto entry = graph.call_stack().rbegin(); entry != graph.call_stack().rend(); ++entry)
    stream << "  " << entry->text() << '\n';
}

namespace introspect {

std::string describe(const any_task& task, call_graph_options options) {
  text_builder text;
  const call_graph graph = capture_alone(task, options);
  text.add(0, "* " + title(task));
  text.add_stack(0, graph);
  std::string names;
  for (const call_graph& waiting : graph.awaited_by()) names += (names.empty() ? "" : ", ") + title(waiting.future());
  if (!names.empty()) text.add(0, "  + Awaited by: " + names);
  return text.take();
}

}  // namespace introspect
}  // namespace asyncio
