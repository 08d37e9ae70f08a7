// SPDX-License-Identifier: BSL-1.0
#include "coro/coro.hpp"

#include "base/log.hpp"

#include <asyncio/coroutine.hpp>
#include <asyncio/errors.hpp>

#include <cxxabi.h>
#include <stdexcept>
#include <string_view>
#include <typeinfo>

namespace asyncio::detail {

void store_exception(coro_core* core) noexcept {
  const std::type_info* type = abi::__cxa_current_exception_type();
  core->ended_interrupted = type != nullptr && *type == typeid(keyboard_interrupt);
  core->ended_cancelled = type != nullptr && *type == typeid(cancelled_error);
  core->error = std::current_exception();
  core->rare = true;
}

void rethrow_error(coro_core* core) { std::rethrow_exception(std::exchange(core->error, nullptr)); }

void throw_no_value(coro_core* core) {
  if (core->error == nullptr) std::rethrow_exception(coro::no_return(core));
  rethrow_error(core);
}

void destroy_frame(void* frame) noexcept { std::coroutine_handle<>::from_address(frame).destroy(); }

void discard(coro_core* core) noexcept { destroy_frame(core->frame()); }

void drop_unawaited(coro_core* core) noexcept {
  try {
    base::log(log_level::warning, "coroutine '" + coro::function_name(core->origin) + "' was never awaited (" +
                                      coro::place(core->origin) + ")");
  } catch (const std::bad_alloc&) {
    base::log(log_level::warning, "a coroutine was never awaited");
  }
  discard(core);
}

void throw_awaited_twice() { throw std::runtime_error("cannot reuse an already awaited coroutine"); }

void throw_outside_task() {
  throw std::runtime_error("no task is running here: co_await works in coroutines that a loop runs (asyncio::run)");
}

}  // namespace asyncio::detail

namespace asyncio::coro {

std::exception_ptr no_return(const detail::coro_core* core) noexcept {
  try {
    return std::make_exception_ptr(std::logic_error("the coroutine '" + function_name(core->origin) +
                                                    "' ended without a co_return (" + place(core->origin) + ")"));
  } catch (...) {
    return std::current_exception();
  }
}

std::string place(const std::source_location& where) {
  return std::string(where.file_name()) + ":" + std::to_string(where.line());
}

namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

}  // namespace

// "asyncio::coroutine<int> ns::fetch(std::string)" → "ns::fetch"; lambdas keep the name of the function they stand in.
std::string function_name(const std::source_location& where) {
  std::string name = where.function_name();
  if (name.empty()) return "?";
  // What Clang writes with parentheses that are not those of the parameters.
  replace_all(name, "(anonymous namespace)", "{anonymous}");
  replace_all(name, "(anonymous class)::operator()", "{lambda}");
  int depth = 0;
  std::size_t open = std::string::npos;
  for (std::size_t i = 0; i < name.size() && open == std::string::npos; ++i) {
    if (name[i] == '<') ++depth;
    if (name[i] == '>') --depth;
    if (name[i] == '(' && depth == 0 && i > 0) open = i;
  }
  if (open == std::string::npos) return name;
  std::size_t start = 0;
  depth = 0;
  for (std::size_t i = 0; i < open; ++i) {
    if (name[i] == '<') ++depth;
    if (name[i] == '>') --depth;
    if (name[i] == ' ' && depth == 0) start = i + 1;
  }
  const bool lambda = name.find("lambda") != std::string::npos;
  return name.substr(start, open - start) + (lambda ? "::<lambda>" : "");
}

}  // namespace asyncio::coro
