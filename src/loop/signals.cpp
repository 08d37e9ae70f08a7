// SPDX-License-Identifier: BSL-1.0
#include "loop/signals.hpp"

#include "kernel/signals.hpp"
#include "loop/loop.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace asyncio::loop {

// An entry may be removed while its op stands in the ready queue, or from within its own action: `queued` and `running`
// keep it until the op has run.
struct signal_table::entry : detail::op {
  signal_table* table = nullptr;
  int number = 0;
  action act = nullptr;
  void* context = nullptr;
  void (*release)(void*) noexcept = nullptr;
  unsigned count = 0;
  bool queued = false;
  bool removed = false;
};

void signal_table::add(int number, action act, void* context, void (*release)(void*) noexcept) {
  if (!kernel::is_catchable_signal(number)) {
    release(context);
    throw std::invalid_argument("signal " + std::to_string(number) + " cannot be caught");
  }
  if (!kernel::is_main_thread()) {
    release(context);
    throw std::runtime_error("signal handlers are installed in the main thread");
  }
  entry* e = nullptr;
  try {
    e = new entry;
  } catch (...) {
    release(context);
    throw;
  }
  e->table = this;
  e->number = number;
  e->act = act;
  e->context = context;
  e->release = release;
  e->done = &signal_table::run;
  const auto old = entries_.find(number);
  if (old != entries_.end()) return end(std::exchange(old->second, e));
  try {
    entries_.emplace(number, e);
    kernel::watch_signal(number, loop_.box().wake_fd());
  } catch (...) {
    entries_.erase(number);
    end(e);
    throw;
  }
  loop_.set_signal_look(&signal_table::look, this);
}

bool signal_table::remove(int number) noexcept {
  const auto at = entries_.find(number);
  if (at == entries_.end()) return false;
  entry* const e = at->second;
  entries_.erase(at);
  kernel::unwatch_signal(number);
  if (entries_.empty()) loop_.set_signal_look(nullptr, nullptr);
  end(e);
  return true;
}

bool signal_table::has_other_than(action act) const noexcept {
  return std::ranges::any_of(entries_, [act](const auto& each) { return each.second->act != act; });
}

void signal_table::remove_all() noexcept {
  while (!entries_.empty()) remove(entries_.begin()->first);
}

// The last thing that a change of the table does: what is released may be a closure whose destructor adds and removes
// signal handlers.
void signal_table::end(entry* e) noexcept {
  e->removed = true;
  if (e->queued) return;
  e->release(e->context);
  delete e;
}

void signal_table::look(void* self) noexcept {
  auto* table = static_cast<signal_table*>(self);
  for (auto& [number, e] : table->entries_) {
    const unsigned count = kernel::take_signal_count(number);
    if (count == 0) continue;
    e->count += count;
    if (e->queued) continue;
    e->queued = true;
    table->loop_.post(e);
  }
}

void signal_table::run(detail::op* self) noexcept {
  auto* e = static_cast<entry*>(self);
  const unsigned count = std::exchange(e->count, 0u);
  if (!e->removed && !e->table->loop_.closing()) e->act(e->number, count, e->context);
  e->queued = false;
  if (!e->removed) return;
  e->release(e->context);
  delete e;
}

}  // namespace asyncio::loop
