// SPDX-License-Identifier: BSL-1.0
#include <asyncio/context.hpp>

#include "coro/context_cell.hpp"
#include "coro/coro.hpp"

#include <algorithm>
#include <stdexcept>

// Which context is the current one?
//
//   1. What context::run() or a callback has entered (`here.context`), as long as the task is still the one it was
//      entered in: an eager task that starts inside has its own.
//   2. The running task's. It gets one when it is made by somebody who has values, or at its first set().
//   3. The thread's own.

namespace asyncio::detail {

namespace {

atomic_cell<std::uint64_t> last_id{0};
thread_local counted_thing of_thread;

counted_thing new_cell(counted_thing values) {
  auto* cell = new context_cell;
  cell->values = std::move(values);
  return counted_thing(cell);
}
context_cell* cell_in(const counted_thing& thing) noexcept { return static_cast<context_cell*>(thing.get()); }

/// The current context; null when it has not been made.
context_cell* current_cell() noexcept {
  if (here.context != nullptr && here.context_task == here.task) return here.context;
  if (here.task == nullptr) return cell_in(of_thread);
  return here.task->extra == nullptr ? nullptr : cell_in(here.task->extra->context);
}

context_cell& make_current_cell() {
  callback_context* const callback = here.callback;
  if (callback != nullptr && callback->has_no_context()) callback->enter(current_values());
  if (context_cell* cell = current_cell()) return *cell;
  counted_thing& place = here.task == nullptr ? of_thread : extra_of(here.task).context;
  place = new_cell({});
  return *cell_in(place);
}

struct change final : counted {
  change() noexcept : counted([](counted* self) noexcept { delete static_cast<change*>(self); }) {}
  std::uint64_t id = 0;
  counted_ptr<context_value> before;  // null: there was none
  counted_thing where;
  bool undone = false;
};

auto place_in(const context_map& map, std::uint64_t id) {
  return std::lower_bound(map.entries.begin(), map.entries.end(), id,
                          [](const context_binding& b, std::uint64_t i) { return b.id < i; });
}

const context_map* map_in(const counted_thing& thing) noexcept { return static_cast<context_map*>(thing.get()); }

/// A map in which the variable has `value`; without it when that is null.
counted_thing with_value(const context_map* old, std::uint64_t id, counted_ptr<context_value> value) {
  auto* made = new context_map;
  counted_thing result(made);
  if (old != nullptr) made->entries = old->entries;
  const auto at = made->entries.begin() + (place_in(*made, id) - made->entries.begin());
  const bool known = at != made->entries.end() && at->id == id;
  if (!value) {
    if (known) made->entries.erase(at);
  } else if (known) {
    at->value = std::move(value);
  } else {
    made->entries.insert(at, {id, std::move(value)});
  }
  return result;
}

}  // namespace

const counted_ptr<context_value>* context_map::find(std::uint64_t id) const noexcept {
  const auto at = place_in(*this, id);
  return at != entries.end() && at->id == id ? &at->value : nullptr;
}

constinit atomic_cell<bool> contexts_in_use{false};

counted_thing current_values() {
  const context_cell* cell = current_cell();
  return cell == nullptr ? counted_thing() : cell->values;
}

void inherit_context(coro_core* task) {
  if (task->extra != nullptr && task->extra->context) return;  // it was given one
  try {
    counted_thing values = current_values();
    if (values) extra_of(task).context = new_cell(std::move(values));
  } catch (...) {
    discard(task);
    throw;
  }
}

counted_thing new_context() { return counted_thing(new context_cell); }

context_entry::context_entry(const counted_thing& context)
    : entered_(cell_in(context)), outer_(here.context), outer_task_(here.context_task) {
  if (entered_->entered) throw std::runtime_error("the context is already entered");
  entered_->entered = true;
  here.context = entered_;
  here.context_task = here.task;
}
context_entry::~context_entry() {
  entered_->entered = false;
  here.context = outer_;
  here.context_task = outer_task_;
}

void callback_context::enter(const counted_thing& values) {
  own_ = new_cell(values);
  outer_task_ = here.context_task;
  here.context = cell_in(own_);
  here.context_task = here.task;
}
void callback_context::leave() noexcept {
  here.context = outer_;
  here.context_task = outer_task_;
}

std::uint64_t new_context_id() noexcept { return last_id.fetch_add(1, order::relaxed) + 1; }

namespace {
const counted_ptr<context_value>* value_in(const context_cell* cell, std::uint64_t id) noexcept {
  return cell == nullptr || !cell->values ? nullptr : map_in(cell->values)->find(id);
}
}  // namespace

const void* context_find(std::uint64_t id) noexcept {
  if (!contexts_in_use.load(order::relaxed)) return nullptr;
  const counted_ptr<context_value>* value = value_in(current_cell(), id);
  return value == nullptr ? nullptr : (*value)->data;
}

counted_thing context_set(std::uint64_t id, counted_ptr<context_value> value) {
  auto* done = new change;
  counted_thing token(done);
  context_cell& cell = make_current_cell();
  cell.uses.fetch_add(1, order::relaxed);
  done->where = counted_thing(&cell);
  done->id = id;
  if (const counted_ptr<context_value>* before = value_in(&cell, id)) done->before = *before;
  cell.values = with_value(map_in(cell.values), id, std::move(value));
  contexts_in_use.store(true, order::relaxed);
  tasks_need_more.store(true, order::relaxed);
  return token;
}

void context_reset(std::uint64_t id, const counted_thing& token) {
  auto* done = static_cast<change*>(token.get());
  if (done == nullptr || done->id != id)
    throw std::invalid_argument("context_var.reset(): the token was made by another variable");
  if (done->undone) throw std::runtime_error("context_var.reset(): the token has been used already");
  context_cell* cell = current_cell();
  if (done->where.get() != cell)
    throw std::invalid_argument("context_var.reset(): the token was made in another context");
  cell->values = with_value(map_in(cell->values), id, done->before);
  done->undone = true;
}

void throw_unset(const std::string& name) {
  throw std::out_of_range("the context_var '" + name + "' is not set and has no default");
}

}  // namespace asyncio::detail

namespace asyncio {

detail::counted_thing coro::context_of(detail::coro_core* task) {
  detail::counted_thing& context = detail::extra_of(task).context;
  if (!context) context = detail::new_context();
  return context;
}

// Whoever drops a failed task's last handle may stand in that task's context already. A task of which no memory is left
// for a context is told of in the present one.
coro::handler_context::handler_context(detail::future_core* failed) noexcept {
  if (failed == nullptr || !failed->is_task() || !detail::contexts_in_use.load(detail::order::relaxed)) return;
  try {
    const detail::counted_thing context = context_of(static_cast<detail::coro_core*>(failed));
    if (!detail::cell_in(context)->entered) inside_.emplace(context);
  } catch (...) {}
}

context copy_context() { return context(detail::new_cell(detail::current_values())); }

}  // namespace asyncio
