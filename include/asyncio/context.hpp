// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/detail/context_core.hpp>

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio {

/// What every context_var is at one place: an own set of values. Each task runs in a copy of its creator's, each
/// callback in a copy of that in which it was scheduled. A handle: copies name the same context.
/// Thread: any, one at a time.   Python: contextvars.Context.
class context {
 public:
  /// An empty one: every variable has its default.
  context() : cell_(detail::new_context()) {}

  /// Calls f(args...) in this context: what it sets stays here. Errors: std::runtime_error when the context is entered
  /// already; what f throws.
  template <class F, class... A>
    requires std::invocable<F, A...>
  decltype(auto) run(F&& f, A&&... args) {
    const detail::context_entry inside(cell_);
    return detail::invoke(std::forward<F>(f), std::forward<A>(args)...);
  }

  /// The library's own.
  explicit context(detail::counted_thing cell) noexcept : cell_(std::move(cell)) {}
  const detail::counted_thing& raw_cell() const noexcept { return cell_; }

 private:
  detail::counted_thing cell_;
};

/// A copy of the context that the caller runs in; cheap.   Python: contextvars.copy_context().
context copy_context();

/// A variable whose value belongs to the context: set in one task, it is unseen by those that run beside it, and
/// inherited by those that it starts from then on. A program that sets none pays nothing.
/// Usually at namespace scope.   Thread: any; each thread and task has its own context.   Python: contextvars.ContextVar.
template <class T>
class context_var {
 public:
  /// What set() replaced; for reset(), once.
  class token {
   public:
    token() noexcept = default;

   private:
    friend context_var;
    explicit token(detail::counted_thing change) noexcept : change_(std::move(change)) {}
    detail::counted_thing change_;
  };

  explicit context_var(std::string_view name) : name_(name) {}
  context_var(std::string_view name, T default_value) : name_(name), default_(std::move(default_value)) {}
  context_var(const context_var&) = delete;
  context_var& operator=(const context_var&) = delete;

  /// The value here; the default when none was set. Errors: std::out_of_range when there is no default either.
  T get() const {
    if (const T* value = find()) return *value;
    if (!default_) detail::throw_unset(name_);
    return *default_;
  }
  /// The value here; `default_value` when none was set.
  T get(T default_value) const {
    if (const T* value = find()) return *value;
    return default_value;
  }
  /// Sets the value here.
  token set(T value) { return token(detail::context_set(id_, detail::make_context_value<T>(std::move(value)))); }
  /// Puts back what the set() that gave `t` replaced. Errors: std::runtime_error for the second time;
  /// std::invalid_argument for another variable's token, or in another context.
  void reset(token t) { detail::context_reset(id_, t.change_); }
  std::string_view name() const noexcept { return name_; }

 private:
  const T* find() const noexcept { return static_cast<const T*>(detail::context_find(id_)); }

  std::string name_;
  std::optional<T> default_;
  std::uint64_t id_ = detail::new_context_id();
};

}  // namespace asyncio
