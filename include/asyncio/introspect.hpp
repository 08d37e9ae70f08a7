// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/context_core.hpp>
#include <asyncio/task.hpp>

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

namespace asyncio {

/// One line of a call stack: a coroutine, and the place where it stands.   Python: asyncio.FrameCallGraphEntry.
class frame_call_graph_entry {
 public:
  frame_call_graph_entry(std::source_location function, std::source_location place, bool is_coroutine) noexcept
      : function_(function), place_(place), is_coroutine_(is_coroutine) {}

  /// Its name, without result type and parameters. What the library does inside a function has that function's name.
  std::string function_name() const;
  /// Where it awaits; of one that has not begun, where it is defined; of the one that asks, where it asks. Empty and 0
  /// inside the library.
  const char* file_name() const noexcept;
  std::uint_least32_t line() const noexcept;
  /// False: a plain function, called by the coroutine below.
  bool is_coroutine() const noexcept { return is_coroutine_; }
  /// "File 'main.cpp', line 12, in async fetch()".
  std::string text() const;

 private:
  std::source_location function_;
  std::source_location place_;
  bool is_coroutine_;
};

/// How much is captured. `limit`: so many entries of each call stack, the innermost; negative: so many of the outermost;
/// 0: none.
struct call_graph_options {
  std::optional<int> limit = {};
};

/// A task or future, the coroutines that it has suspended, and who waits for it: as it was at one moment. It keeps the
/// tasks that it names. Thread: the loop's.   Python: asyncio.FutureCallGraph.
class call_graph {
 public:
  /// What one task or future is like; `awaited_by` are places in `nodes`.
  struct node {
    any_task future;
    std::vector<frame_call_graph_entry> call_stack;
    std::vector<std::size_t> awaited_by;
  };
  /// All that a capture has met, each once; shared by the graphs that are made of it.
  struct nodes : detail::counted {
    nodes() noexcept;
    ~nodes();
    std::vector<node> all;
  };

  /// Nothing: `if (graph)` is false.
  call_graph() noexcept = default;
  call_graph(detail::counted_ptr<nodes> all, std::size_t place) noexcept;
  explicit operator bool() const noexcept { return static_cast<bool>(all_); }

  /// The task or future; empty in an empty graph.
  any_task future() const;
  /// Its coroutines, the innermost first. None of a future, or when it is done.
  const std::vector<frame_call_graph_entry>& call_stack() const& noexcept;
  /// A temporary graph gives a copy, for `for (auto& entry : t.get_stack().call_stack())`.
  std::vector<frame_call_graph_entry> call_stack() &&;
  /// How many they are.
  std::size_t size() const noexcept { return call_stack().size(); }
  /// The same of every task that waits for it, whether by co_await, gather(), wait(), wait_for(), shield(),
  /// as_completed() or as its task group. Tasks that wait for each other in a ring are met again.
  std::vector<call_graph> awaited_by() const;
  /// The text of format_call_graph(), without a line feed at its end.
  std::string to_string() const;

 private:
  const node& here() const noexcept;
  detail::counted_ptr<nodes> all_;
  std::size_t place_ = 0;
};

/// What the running task is doing and who waits for it; empty in a callback, where no task runs. The plain function that
/// asks is the first entry.
/// Errors: std::runtime_error when no loop runs in this thread.   Python: asyncio.capture_call_graph().
call_graph capture_call_graph(call_graph_options options = {},
                              std::source_location where = std::source_location::current());
/// The same of a task or future. Errors: invalid_state_error for an empty handle; std::runtime_error in a wrong thread.
call_graph capture_call_graph(const any_task& future, call_graph_options options = {},
                              std::source_location where = std::source_location::current());

/// The same as text, for people; empty where capture_call_graph() gives nothing. Each task is described once, so that a
/// ring ends, and chains of more than 50 tasks are cut.   Python: asyncio.format_call_graph().
std::string format_call_graph(call_graph_options options = {},
                              std::source_location where = std::source_location::current());
std::string format_call_graph(const any_task& future, call_graph_options options = {},
                              std::source_location where = std::source_location::current());

/// Writes the text and a line feed to `stream`; to the standard output when there is none.
/// Python: asyncio.print_call_graph().
void print_call_graph(std::ostream& stream, call_graph_options options = {},
                      std::source_location where = std::source_location::current());
void print_call_graph(std::ostream& stream, const any_task& future, call_graph_options options = {},
                      std::source_location where = std::source_location::current());
void print_call_graph(call_graph_options options = {}, std::source_location where = std::source_location::current());
void print_call_graph(const any_task& future, call_graph_options options = {},
                      std::source_location where = std::source_location::current());

template <class T>
call_graph task<T>::get_stack() const {
  return any_task(*this).get_stack();
}

}  // namespace asyncio
