// SPDX-License-Identifier: BSL-1.0
#include <asyncio/timeout.hpp>

#include "coro/own_request.hpp"

#include <asyncio/errors.hpp>

#include <stdexcept>

namespace asyncio {

namespace detail {

namespace {

// A deadline that has passed already when it is set: it expires in the next turn, in its place among what is ready.
struct past_deadline : op {
  timeout_state* state = nullptr;  // null: it was moved, or its scope left, meanwhile
};

}  // namespace

struct timeout_state : timer_op {
  enum phase_t : std::uint8_t { entered, expiring, expired, exited };

  explicit timeout_state(coro_core* in) noexcept : request(in), task(in) {}

  coro::own_request request;
  coro_core* task;
  loop_bond home;
  phase_t phase = entered;
  past_deadline* past = nullptr;

  void expire() noexcept {
    phase = expiring;
    request.make();
  }
  void disarm() noexcept {
    if (armed()) task->loop()->remove_timer(*this);
    if (past != nullptr) past->state = nullptr;
    past = nullptr;
  }
  void arm(time_point when) {
    loop_core& loop = *task->loop();
    if (when <= loop.now()) {
      past = new past_deadline;
      past->state = this;
      past->done = [](op* self) noexcept {
        auto* p = static_cast<past_deadline*>(self);
        if (p->state != nullptr) {
          p->state->past = nullptr;
          p->state->expire();
        }
        delete p;
      };
      loop.post(past);
      return;
    }
    deadline = when;
    done = [](op* self) noexcept { static_cast<timeout_state*>(self)->expire(); };
    loop.add_timer(*this);
  }
};

}  // namespace detail

using detail::timeout_state;

timeout::timeout(std::optional<timedelta> delay) noexcept {
  if (delay && detail::here.loop != nullptr)
    when_ = detail::here.loop->now() + *delay;
  else
    delay_ = delay;
}

timeout::timeout(timeout&& other) noexcept
    : delay_(other.delay_), when_(other.when_), state_(std::exchange(other.state_, nullptr)) {}

timeout::~timeout() {
  if (state_ == nullptr) return;
  if (state_->phase == timeout_state::entered) state_->disarm();
  delete state_;
}

timeout timeout_at(std::optional<time_point> when) noexcept {
  timeout t{std::nullopt};
  t.when_ = when;
  return t;
}

void timeout::check_thread(const char* call) const {
  if (state_ != nullptr) state_->home.check_thread(call);
}

std::optional<time_point> timeout::when() const {
  check_thread("timeout.when()");
  return when_;
}

bool timeout::expired() const {
  check_thread("timeout.expired()");
  return state_ != nullptr && (state_->phase == timeout_state::expiring || state_->phase == timeout_state::expired);
}

void timeout::reschedule(std::optional<time_point> when) {
  if (state_ == nullptr) throw std::runtime_error("timeout has not been entered");
  check_thread("timeout.reschedule()");
  if (state_->phase != timeout_state::entered) {
    static constexpr const char* names[] = {"active", "expiring", "expired", "finished"};
    throw std::runtime_error(std::string("cannot change the deadline of ") + names[state_->phase] + " timeout");
  }
  when_ = when;
  state_->disarm();
  if (when_) state_->arm(*when_);
}

void timeout::enter() {
  check_thread("timeout.enter()");
  if (state_ != nullptr) throw std::runtime_error("timeout has already been entered");
  detail::coro_core* task = detail::here.task;
  if (task == nullptr) throw std::runtime_error("timeout should be used inside a task");
  state_ = new timeout_state(task);
  state_->home.bind_here();
  if (delay_) when_ = task->loop()->now() + *delay_;
  if (when_) state_->arm(*when_);
}

// The deadline's own request is taken back. Only when that brings the count to where it was at entry is a cancellation
// this deadline's alone, and becomes timeout_error; else somebody outside cancels too, and shall see it.
void timeout::exit(const std::exception_ptr& error) {
  check_thread("timeout.exit()");
  if (state_ == nullptr) throw std::runtime_error("timeout has not been entered");
  if (state_->phase >= timeout_state::expired) throw std::runtime_error("timeout has already been left");
  if (state_->phase == timeout_state::entered) {
    state_->disarm();
    state_->phase = timeout_state::exited;
    return;
  }
  state_->phase = timeout_state::expired;
  state_->request.take_back();
  if (!state_->request.others_request() && coro::is_cancellation(error)) throw timeout_error();
}

}  // namespace asyncio
