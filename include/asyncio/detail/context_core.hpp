// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/inbox.hpp>
#include <asyncio/detail/pointers.hpp>

#include <cstdint>
#include <string>
#include <utility>

namespace asyncio::detail {

struct coro_core;

/// What is shared by counting, in any thread.
struct counted {
  explicit counted(void (*d)(counted*) noexcept) noexcept : destroy(d) {}
  atomic_cell<int> uses{1};
  void (*destroy)(counted*) noexcept;
};
template <class X>
class counted_ptr {
 public:
  counted_ptr() noexcept = default;
  /// Takes over one use.
  explicit counted_ptr(X* x) noexcept : x_(x) {}
  counted_ptr(const counted_ptr& other) noexcept : x_(other.x_) {
    if (x_ != nullptr) x_->uses.fetch_add(1, order::relaxed);
  }
  counted_ptr(counted_ptr&& other) noexcept : x_(taken(other.x_)) {}
  counted_ptr& operator=(counted_ptr other) noexcept {
    swap_pointers(x_, other.x_);
    return *this;
  }
  ~counted_ptr() {
    if (x_ != nullptr && x_->uses.fetch_sub(1, order::acq_rel) == 1) x_->destroy(x_);
  }
  X* get() const noexcept { return x_; }
  X* operator->() const noexcept { return x_; }
  explicit operator bool() const noexcept { return x_ != nullptr; }

 private:
  X* x_ = nullptr;
};

/// A variable's value, immutable.
struct context_value : counted {
  using counted::counted;
  const void* data = nullptr;
};
template <class T>
counted_ptr<context_value> make_context_value(T value) {
  struct holder final : context_value {
    explicit holder(T v)
        : context_value([](counted* self) noexcept { delete static_cast<holder*>(self); }), kept(std::move(v)) {
      data = &kept;
    }
    T kept;
  };
  return counted_ptr<context_value>(new holder(std::move(value)));
}

/// A context, or what a set() did: defined where they are used.
using counted_thing = counted_ptr<counted>;
struct context_cell;

counted_thing new_context();
/// Runs what follows in that context. Errors: std::runtime_error when somebody runs in it already.
class context_entry {
 public:
  explicit context_entry(const counted_thing& context);
  context_entry(const context_entry&) = delete;
  context_entry& operator=(const context_entry&) = delete;
  ~context_entry();

 private:
  context_cell* entered_;
  context_cell* outer_;
  coro_core* outer_task_;
};

/// Has any variable ever been set? While it is false nobody looks further.
extern atomic_cell<bool> contexts_in_use;

/// The values of the context that runs here; null for none.
counted_thing current_values();
inline counted_thing values_for_later() {
  return contexts_in_use.load(order::relaxed) ? current_values() : counted_thing();
}

/// For as long as it lives, what runs here has a context of its own, with these values (of values_for_later()) at first.
/// While no variable was ever set it enters none; the first set() makes it.
class callback_context {
 public:
  explicit callback_context(const counted_thing& values) : callback_context() {
    if (contexts_in_use.load(order::relaxed)) [[unlikely]]
      enter(values);
  }
  /// Stays in the present context; a set() where there is none makes one, which ends with this.
  callback_context() noexcept : outer_(here.context), outer_callback_(here.callback) { here.callback = this; }
  callback_context(const callback_context&) = delete;
  callback_context& operator=(const callback_context&) = delete;
  ~callback_context() {
    here.callback = outer_callback_;
    if (own_) [[unlikely]]
      leave();
  }
  /// No task runs in it, and no context has been entered.
  bool has_no_context() const noexcept { return here.task == nullptr && here.context == outer_; }
  void enter(const counted_thing& values);

 private:
  void leave() noexcept;
  counted_thing own_;
  context_cell* outer_;
  coro_core* outer_task_ = nullptr;
  callback_context* outer_callback_;
};

std::uint64_t new_context_id() noexcept;
/// The variable's value in the current context; null when it has none.
const void* context_find(std::uint64_t id) noexcept;
/// What reset() needs.
counted_thing context_set(std::uint64_t id, counted_ptr<context_value> value);
void context_reset(std::uint64_t id, const counted_thing& change);
[[noreturn]] void throw_unset(const std::string& name);

}  // namespace asyncio::detail
