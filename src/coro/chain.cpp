// SPDX-License-Identifier: BSL-1.0
#include "coro/chain.hpp"

#include "coro/coro.hpp"

#include <asyncio/future.hpp>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace asyncio::coro {

using detail::coro_core;
using detail::future_core;
using detail::waiter;

const coro_core* innermost(const coro_core* task) noexcept {
  return task->is_done() ? nullptr : coro_core::of_frame(task->top);
}

const coro_core* awaiter_of(const coro_core* coroutine) noexcept {
  return coroutine->parent == nullptr ? nullptr : coro_core::of_frame(coroutine->parent);
}

namespace {

/// Namespaces of the library that no user calls into: what is not named below is hidden.
constexpr std::array<std::string_view, 5> internal_spaces{"detail::", "coro::", "streams::", "curl::", "{anonymous}::"};

/// Coroutines of the library that stand for another function which users have called; empty: for none. Without
/// namespaces and template arguments.
constexpr std::pair<std::string_view, std::string_view> stands_for[] = {
    {"wait_for_handles", "wait"},
    {"wait_in_time", "wait_for"},
    {"wait_no_longer", "wait_for"},
    {"completions::next_of", "as_completed"},
    {"outcome_of", "as_outcome"},
    {"with", "async_with"},
    {"with_finally", "async_finally"},
    {"move_on", "move_on_after"},
    {"enter_into", "async_exit_stack::enter_async_context"},
    {"group_state::leave", "task_group"},
    {"condition::wait_until_true", "condition::wait_for"},
    {"condition::wait_for_notification", ""},
    {"barrier::pass", ""},
    {"barrier::block", ""},
    {"barrier::wait_for_others", ""},
    {"barrier::start_anew", ""},
    {"barrier::break_it", ""},
    {"async_generator::promise_type::end", "async_generator::aclose"},
    {"call_in_thread", "to_thread"},
    {"call_in_thread_limited", "to_thread"},
    {"end_default_executor", "event_loop::shutdown_default_executor"},
    {"connect", "open_connection"},
    {"serve", "start_server"},
    {"read_until", "stream_reader::readuntil"},
    {"read_line", "stream_reader::readline"},
    {"next_line", "stream_reader::next"},
    {"wait_for_close", "stream_writer::wait_closed"},
    {"close_after", "stream_writer::aclose"},
    {"run_forever", "server::serve_forever"},
    {"wait_for_clients", "server::wait_closed"},
    {"wait_until_closed", "server::wait_closed"},
    {"close_and_wait", "server::aclose"},
    {"shut_down", "server::shutdown"},
    {"fetch", "curl::download"},
};

/// Calls whose awaitables are no coroutines, by the names of these.
constexpr std::pair<std::string_view, std::string_view> returned_by[] = {
    {"asyncio::sleep_operation", "asyncio::sleep"},
    {"asyncio::valued_sleep_operation", "asyncio::sleep"},
    {"asyncio::read_operation", "asyncio::stream_reader::read"},
    {"asyncio::readexactly_operation", "asyncio::stream_reader::readexactly"},
    {"asyncio::read_into_operation", "asyncio::stream_reader::read_into"},
    {"asyncio::drain_operation", "asyncio::stream_writer::drain"},
    {"asyncio::write_operation", "asyncio::stream_writer::write_all"},
};

constexpr std::string_view library = "asyncio::";

/// The folder of the library's sources, as the compiler was told it.
std::string_view source_folder() noexcept {
  std::string_view file = std::source_location::current().file_name();
  file.remove_suffix(std::string_view("coro/chain.cpp").size());
  return file;
}

bool is_library_file(std::string_view file) noexcept {
  return file.starts_with(source_folder()) || (file.ends_with(".hpp") && file.find("include/asyncio/") != file.npos);
}

std::string without_template_arguments(std::string_view name) {
  std::string text;
  int depth = 0;
  for (const char c : name) {
    if (c == '<') ++depth;
    if (depth == 0) text += c;
    if (c == '>') --depth;
  }
  return text;
}

/// Takes the internal namespaces off. Returns whether there were any.
bool strip_internal_spaces(std::string_view& name) noexcept {
  bool stripped = false;
  for (const std::string_view space : internal_spaces) {
    if (!name.starts_with(space)) continue;
    name.remove_prefix(space.size());
    stripped = true;
  }
  return stripped;
}

/// What a task awaits that was made of no coroutine, as the compiler spells the wrapper's parameter A.
std::string awaited_type(const std::source_location& wrapper) {
  std::string_view name = wrapper.function_name();
  constexpr std::string_view parameter = "A = ";
  const std::size_t from = name.find(parameter);
  if (from == std::string_view::npos) return {};
  name.remove_prefix(from + parameter.size());
  name = name.substr(0, name.find_first_of(";,<]"));
  for (const auto& [type, call] : returned_by)
    if (name == type) return std::string(call);
  return std::string(name);
}

/// On whose behalf `w` waits; null: a callback, or nobody at this moment.
future_core* behind(const waiter* w) noexcept {
  if (w->notify == &detail::future_wait::wake_task) return static_cast<const detail::future_wait*>(w)->task();
  if (future_core* gather = gather_behind(w)) return gather;
  if (future_core* waiting = wait_behind(w)) return waiting;
  return group_behind(w);
}

void add_once(std::vector<future_core*>& all, future_core* core) {
  if (std::ranges::find(all, core) == all.end()) all.push_back(core);
}

}  // namespace

bool is_internal(const std::source_location& function) {
  return is_library_file(function.file_name()) && function_name(function).starts_with(library);
}

std::string public_name(const std::source_location& function) {
  std::string full = function_name(function);
  if (!is_internal(function)) return full;
  const std::string plain = without_template_arguments(full);
  std::string_view name = plain;
  name.remove_prefix(library.size());
  const bool hidden = strip_internal_spaces(name);
  if (name == "await_one" || name == "run_operation") return awaited_type(function);
  const auto* found = std::ranges::find(stands_for, name, &std::pair<std::string_view, std::string_view>::first);
  if (found == std::end(stands_for)) return hidden ? std::string() : plain;
  return found->second.empty() ? std::string() : std::string(library) + std::string(found->second);
}

bool is_shown(const coro_core* coroutine) { return !coroutine->wrapper && !public_name(coroutine->origin).empty(); }

const coro_core* outermost_shown(const coro_core* task) {
  if (task->is_done()) return public_name(task->origin).empty() ? nullptr : task;
  if (is_shown(task)) return task;
  const coro_core* shown = nullptr;
  for (const coro_core* at = innermost(task); at != nullptr; at = awaiter_of(at))
    if (is_shown(at)) shown = at;
  return shown;
}

// A future that is no task waits for others only when it is the library's: of a gather, of a shield. Those may stand in
// each other, but never in a ring.
std::vector<future_core*> waiting_for(const future_core* core) {
  std::vector<future_core*> tasks;
  std::vector<const future_core*> open{core};
  while (!open.empty()) {
    const future_core* at = open.back();
    open.pop_back();
    const waiter* first = at->waiters;
    const waiter* w = first;
    std::vector<const future_core*> between;
    bool waited_for = false;
    for (bool more = first != nullptr; more; more = w != first) {
      future_core* who = behind(w);
      w = w->next;
      if (who == nullptr) continue;
      waited_for = true;
      if (who->is_task())
        add_once(tasks, who);
      else
        between.push_back(who);
    }
    if (!waited_for && at != core) add_once(tasks, const_cast<future_core*>(at));
    open.insert(open.end(), between.rbegin(), between.rend());
  }
  return tasks;
}

}  // namespace asyncio::coro
