// SPDX-License-Identifier: BSL-1.0
#include "loop/signals.hpp"

#include "kernel/signals.hpp"
#include "loop/loop.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace asyncio::loop {

// An entry may be removed while its op stands in the ready queue: `queued` keeps it until that has run. Or from within its
// own action: `running` keeps the context, too.
struct signal_table::entry : detail::op {
  signal_table* table = nullptr;
  listener who = listener::handler;
  int number = 0;
  action act = nullptr;
  void* context = nullptr;
  void (*release)(void*) noexcept = nullptr;
  entry* below = nullptr;
  unsigned count = 0;
  std::uint64_t arrival = 0;
  bool queued = false;
  bool running = false;
  bool removed = false;
};

void signal_table::check(listener who, int number) const {
  const std::string signal = "signal " + std::to_string(number);
  if (!kernel::is_catchable_signal(number)) throw std::invalid_argument(signal + " cannot be caught");
  if (!kernel::is_main_thread()) throw std::runtime_error("signal handlers are installed in the main thread");
  const auto at = entries_.find(number);
  if (at == entries_.end()) return;
  const listener there = at->second->who;
  if (there == listener::receiver) throw std::runtime_error(signal + " is received by a signal_receiver already");
  if (there == listener::handler && who != listener::handler)
    throw std::runtime_error(signal + " is handled by add_signal_handler() already");
}

void signal_table::add(listener who, int number, action act, void* context, void (*release)(void*) noexcept) {
  entry* e = nullptr;
  try {
    check(who, number);
    e = new entry;
  } catch (...) {
    release(context);
    throw;
  }
  e->table = this;
  e->who = who;
  e->number = number;
  e->act = act;
  e->context = context;
  e->release = release;
  e->done = &signal_table::run;
  const auto at = entries_.find(number);
  if (at == entries_.end()) return begin(e);
  entry* const before = std::exchange(at->second, e);
  const bool replaced = before->who == who;
  e->below = replaced ? before->below : before;
  settle_escape(number);
  if (!replaced) return;
  pass_on(*before, *e);
  end(before);
}

// The first to listen to this signal.
void signal_table::begin(entry* e) {
  try {
    entries_.emplace(e->number, e);
    kernel::watch_signal(e->number, loop_.box().wake_fd());
  } catch (...) {
    entries_.erase(e->number);
    end(e);
    throw;
  }
  settle_escape(e->number);
  loop_.set_signal_look(&signal_table::look, this);
}

bool signal_table::remove(listener who, int number, unsigned* unheard) noexcept {
  const auto at = entries_.find(number);
  if (at == entries_.end()) return false;
  entry** link = &at->second;
  while (*link != nullptr && (*link)->who != who) link = &(*link)->below;
  if (*link == nullptr) return false;
  entry* const e = *link;
  const bool was_heard = link == &at->second;
  *link = e->below;
  if (was_heard && e->below != nullptr) pass_on(*e, *e->below);
  if (at->second == nullptr) {
    entries_.erase(at);
    const unsigned unseen = kernel::unwatch_signal(number);
    if (unheard != nullptr) *unheard = e->count + unseen;
    if (entries_.empty()) loop_.set_signal_look(nullptr, nullptr);
  }
  settle_escape(number);
  end(e);
  return true;
}

void signal_table::settle_escape(int number) noexcept {
  const auto at = entries_.find(number);
  kernel::set_escape(number, at != entries_.end() && at->second->who == listener::standby);
}

// `from` is about to go. What it has seen and not run yet, `to` runs in its stead.
void signal_table::pass_on(entry& from, entry& to) noexcept {
  if (!from.queued || from.count == 0) return;
  to.count += std::exchange(from.count, 0u);
  if (std::exchange(to.queued, true)) return;
  to.arrival = from.arrival;
  loop_.post(&to);
}

bool signal_table::has_more_than_standbys() const noexcept {
  return std::ranges::any_of(entries_, [](const auto& each) { return each.second->who != listener::standby; });
}

void signal_table::remove_all() noexcept {
  while (!entries_.empty()) remove(entries_.begin()->second->who, entries_.begin()->first);
}

// The last thing that a change of the table does: what is released may be a closure whose destructor adds and removes
// signal handlers.
void signal_table::end(entry* e) noexcept {
  e->removed = true;
  if (e->running) return;
  const auto release = e->release;
  void* const context = e->context;
  if (!e->queued) delete e;
  release(context);
}

void signal_table::look(void* self) noexcept {
  auto* table = static_cast<signal_table*>(self);
  std::array<entry*, kernel::most_signals> came;
  std::size_t how_many = 0;
  for (auto& [number, e] : table->entries_) {
    const kernel::taken_signals taken = kernel::take_signals(number);
    if (taken.count == 0) continue;
    e->count += taken.count;
    if (e->queued) continue;
    e->queued = true;
    e->arrival = taken.arrival;
    came[how_many++] = e;
  }
  const auto in_order = std::span(came).first(how_many);
  std::ranges::sort(in_order, {}, &entry::arrival);
  for (entry* e : in_order) table->loop_.post(e);
}

void signal_table::run(detail::op* self) noexcept {
  auto* e = static_cast<entry*>(self);
  e->queued = false;
  if (e->removed) {
    delete e;
    return;
  }
  if (e->table->loop_.closing()) return;
  e->running = true;
  e->act(e->number, std::exchange(e->count, 0u), e->context);
  e->running = false;
  if (e->removed) end(e);
}

}  // namespace asyncio::loop
