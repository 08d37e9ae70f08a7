// SPDX-License-Identifier: BSL-1.0
#include <asyncio/signals.hpp>

#include "coro/event_loop_impl.hpp"
#include "io/io.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

namespace asyncio::detail {

/// A receiver's signals, those that wait to be taken, and who waits for them. References have: the receiver, each wait,
/// each of the loop's entries for its signals. Closed by its owner, or by the end of its loop, whichever comes first.
class receiver_core final : public io::counted, private op {
 public:
  explicit receiver_core(event_loop& loop) : loop_(&loop), home_(loop::loop::of(loop.core())) {
    done = &receiver_core::closed_from_elsewhere;
  }

  /// Errors: as of the public constructor; then it listens to none.
  void listen(std::initializer_list<int> signals);
  void close() noexcept;
  /// close(), from any thread; in a forked child nothing.
  void close_from_anywhere() noexcept;

  /// Errors: std::runtime_error in a thread that is not the loop's.
  void check_thread(const char* call) const { home_.box().check_thread(call); }
  /// Errors: std::runtime_error when a different loop runs.
  void check_loop() const;
  bool may_take() const noexcept { return closed_ || !kept_.empty(); }
  std::optional<int> take() noexcept;
  void call_first() noexcept {
    if (!kept_.empty()) line_.call_first();
  }
  parking& line() noexcept { return line_; }

 private:
  ~receiver_core() override = default;
  static void arrived(int number, unsigned count, void* self);
  static void listens_no_more(void* self) noexcept;
  static void closed_from_elsewhere(op* self) noexcept;
  void end() noexcept;
  void give_back() noexcept;

  event_loop* loop_;
  io::home home_;
  loop_bond bond_;
  std::vector<int> numbers_;
  std::vector<int> kept_;  // in the order of their arrival; has room for each number once
  parking line_{bond_};
  bool closed_ = true;  // until it listens to all
};

void receiver_core::listen(std::initializer_list<int> signals) {
  if (signals.size() == 0) throw std::invalid_argument("a signal_receiver without a signal");
  numbers_.reserve(signals.size());
  kept_.reserve(signals.size());
  try {
    for (const int number : signals) {
      if (std::ranges::find(numbers_, number) != numbers_.end()) continue;
      retain();
      loop_->state().signals.add(loop::listener::receiver, number, &receiver_core::arrived, this,
                                 &receiver_core::listens_no_more);
      numbers_.push_back(number);
    }
  } catch (...) {
    give_back();
    throw;
  }
  closed_ = false;
}

void receiver_core::close() noexcept {
  if (closed_) return;
  end();
  give_back();
}

void receiver_core::give_back() noexcept {
  for (const int number : numbers_) loop_->state().signals.remove(loop::listener::receiver, number);
}

void receiver_core::end() noexcept {
  closed_ = true;
  kept_.clear();
  line_.call_all();
}

// A closed loop has closed it before it shut its inbox.
void receiver_core::close_from_anywhere() noexcept {
  if (home_.box().forked()) return;
  if (home_.owned_here()) return close();
  retain();
  if (!home_.box().post(this)) release();
}

void receiver_core::closed_from_elsewhere(op* self) noexcept {
  auto* core = static_cast<receiver_core*>(self);
  core->close();
  core->release();
}

// The loop's entry for one of the signals is gone: by close(), or because the loop is being closed.
void receiver_core::listens_no_more(void* self) noexcept {
  auto* core = static_cast<receiver_core*>(self);
  core->end();
  core->release();
}

void receiver_core::arrived(int number, unsigned, void* self) {
  auto* core = static_cast<receiver_core*>(self);
  if (core->closed_ || std::ranges::find(core->kept_, number) != core->kept_.end()) return;
  core->kept_.push_back(number);
  core->line_.call_first();
}

void receiver_core::check_loop() const {
  if (!closed_ && here.loop != &home_.get())
    throw std::runtime_error("signal_receiver.next(): the receiver belongs to a different event loop");
}

std::optional<int> receiver_core::take() noexcept {
  if (kept_.empty()) return std::nullopt;
  const int number = kept_.front();
  kept_.erase(kept_.begin());
  return number;
}

receiver_ref::receiver_ref(const receiver_ref& other) noexcept : core_(other.core_) { core_->retain(); }
receiver_ref::~receiver_ref() {
  if (core_ != nullptr) core_->release();
}

bool signal_wait::await_ready() const {
  get()->check_thread("signal_receiver.next()");
  get()->check_loop();
  return get()->may_take() && within_budget();
}

void signal_wait::await_suspend(std::coroutine_handle<> frame) {
  get()->line().park(*this, frame, &signal_wait::collect, &signal_wait::call_another);
  if (get()->may_take()) get()->line().call_first();
}

std::optional<int> signal_wait::await_resume() {
  check_cancelled();
  return get()->take();
}

bool signal_wait::collect(parked& p) noexcept { return static_cast<signal_wait&>(p).get()->may_take(); }
void signal_wait::call_another(parked& p) noexcept { static_cast<signal_wait&>(p).get()->call_first(); }

}  // namespace asyncio::detail

namespace asyncio {

signal_receiver::signal_receiver(std::initializer_list<int> signals)
    : core_(new detail::receiver_core(get_running_loop())) {
  core_.get()->listen(signals);
}

signal_receiver::~signal_receiver() { core_.get()->close_from_anywhere(); }

void signal_receiver::close() {
  core_.get()->check_thread("signal_receiver.close()");
  core_.get()->close();
}

}  // namespace asyncio
