// SPDX-License-Identifier: BSL-1.0
// Calls that go from a loop to an executor's thread and come back: run_in_executor(), to_thread().
#include <asyncio/detail/offload.hpp>
#include <asyncio/threads.hpp>

#include "coro/executor_access.hpp"

#include "coro/event_loop_impl.hpp"

#include <stdexcept>

namespace asyncio {

namespace detail {

namespace {

class offload_use {
 public:
  explicit offload_use(offload* call) noexcept : call_(call) {}
  offload_use(const offload_use&) = delete;
  offload_use& operator=(const offload_use&) = delete;
  ~offload_use() {
    if (call_->uses.fetch_sub(1, order::acq_rel) == 1) call_->destroy(call_);
  }

 private:
  offload* call_;
};

bool begin(offload& call, offload::stage_t as) noexcept {
  std::uint8_t expected = offload::queued;
  while (!call.stage.compare_exchange_weak(expected, as, order::acq_rel, order::acquire))
    if (expected != offload::queued) return false;
  return true;
}

// In a thread of the executor.
void execute(job* self) noexcept {
  auto* me = static_cast<offload*>(self);
  if (!begin(*me, offload::running)) return;
  inbox* const outer = std::exchange(here.job_home, me->to->home);
  try {
    const callback_context inside(me->variables);
    me->call(me);
    me->has_result = true;
  } catch (...) {
    me->error = std::current_exception();
  }
  here.job_home = outer;
}

// Nobody is there to take it when the door is shut.
void go_home(job* self) noexcept {
  auto* me = static_cast<offload*>(self);
  inbox* home = me->to->home;
  if (home->post(me)) return;
  const offload_use last(me);
}

void give_outcome(offload& call) noexcept {
  if (call.error != nullptr) return call.to->finish_error(std::move(call.error));
  if (!call.has_result) return call.to->finish_cancelled({});
  try {
    call.give(&call);
  } catch (...) {
    return call.to->finish_error(std::current_exception());
  }
  call.to->finish_value();
}

// In the loop's thread; after the loop's end it has nothing more to do than to let everything die.
void arrive(op* self) noexcept {
  auto* me = static_cast<offload*>(self);
  const offload_use last(me);
  if (loop_core* loop = me->to->home->loop()) {
    if (me->waiter::linked()) me->to->remove_waiter(me);
    loop->remove_close_hook(*me);
    loop->post_came();
    me->to->home->free_clock();
    me->returned = {};
    if (!loop->closing() && !me->to->is_done()) give_outcome(*me);
  }
  me->clear(me);
}

// Destructors and stop callbacks are the user's code.
void let_go(offload& call) noexcept {
  if (call.stage.load(order::acquire) == offload::revoked)
    call.clear(&call);
  else
    call.stop.request();
}

// Destructors and stop callbacks come a turn later, and once, however often somebody asks: Ctrl-C, run()'s end and the
// future's owner may all do so before the turn comes.
void let_go_soon(offload& call, loop_core& loop) noexcept {
  if (std::exchange(call.refusing, true)) return;
  call.uses.fetch_add(1, order::relaxed);
  call.refusal.owner = &call;
  call.refusal.done = [](op* part) noexcept {
    offload* owner = static_cast<offload::part*>(part)->owner;
    const offload_use done(owner);
    owner->refusing = false;
    let_go(*owner);
  };
  loop.post(&call.refusal);
}

// The future was cancelled, or given another outcome: no thread begins the call any more.
void refuse_soon(waiter* self, future_core* future) noexcept {
  auto* me = static_cast<offload*>(self);
  loop_core* loop = future->home->loop();
  if (loop == nullptr) return;
  begin(*me, offload::revoked);
  let_go_soon(*me, *loop);
}

// The loop ends: from here on any thread may end the call.
void leave(close_hook* self) noexcept {
  auto* me = static_cast<offload*>(self);
  if (me->waiter::linked()) me->to->remove_waiter(me);
  me->returned = {};
  begin(*me, offload::revoked);
  let_go(*me);
}

}  // namespace

offload::offload(bool stoppable, const char* type) : stop(stoppable) {
  type_name = type;
  execute = &detail::execute;
  finish = &go_home;
  drop = &go_home;
  done = &arrive;
  notify = &refuse_soon;
  on_close = &leave;
}

void send_offload(event_loop& loop, executor* pool, offload_ptr call, future_core* to) {
  executor& used = pool != nullptr ? *pool : executor_access::default_of(loop);
  offload* sent = call.release();
  sent->by_default = pool == nullptr;
  sent->to = core_ref<>::share(to);
  if (here.task != nullptr && sent->where.line() == 0) sent->where = coro_core::of_frame(here.task->top)->origin;
  to->add_waiter(sent);
  loop_core& core = loop.core();
  core.add_close_hook(*sent);
  core.expect_post();
  core.box().hold_clock();
  executor_access::post(used, std::unique_ptr<job>(sent));
}

// One whose future has an outcome was asked when it got that.
void ask_default_calls_to_stop(event_loop& loop) noexcept {
  loop_core& core = loop.core();
  core.for_each_close_hook([&core](close_hook& hook) noexcept {
    if (hook.on_close != &leave) return;
    auto& call = static_cast<offload&>(hook);
    if (call.by_default && call.waiter::linked()) let_go_soon(call, core);
  });
}

// The running frame is to_thread()'s own; behind it stands the one that awaits it.
void send_to_thread(offload_ptr call, future_core* to, counted_thing returned) {
  call->variables = values_for_later();
  call->returned = std::move(returned);
  if (void* asking = coro_core::of_frame(here.task->top)->parent; asking != nullptr)
    call->where = coro_core::of_frame(asking)->site;
  send_offload(get_running_loop(), nullptr, std::move(call), to);
}

counted_thing token_of(counted_ptr<capacity_limiter::state> limiter) {
  struct token final : counted {
    explicit token(counted_ptr<capacity_limiter::state> from)
        : counted([](counted* self) noexcept { delete static_cast<token*>(self); }), limiter(std::move(from)) {}
    ~token() { limiter->tokens.give(); }
    counted_ptr<capacity_limiter::state> limiter;
  };
  try {
    return counted_thing(new token(limiter));
  } catch (...) {
    limiter->tokens.give();
    throw;
  }
}

}  // namespace detail

capacity_limiter::state::state(std::size_t number)
    : counted([](counted* self) noexcept { delete static_cast<state*>(self); }),
      tokens(detail::checked_permits(number), "capacity_limiter.acquire()"),
      total(number) {
  if (number == 0) throw std::invalid_argument("a capacity_limiter needs at least one token");
}

void capacity_limiter::state::give_back() {
  tokens.check_thread("capacity_limiter.release()");
  if (tokens.free() >= total) throw std::runtime_error("capacity_limiter.release(): no token is borrowed");
  tokens.give();
}

capacity_limiter::capacity_limiter(std::size_t total_tokens) : state_(new state(total_tokens)) {}

std::size_t capacity_limiter::borrowed_tokens() const {
  state_->tokens.check_thread("capacity_limiter.borrowed_tokens()");
  return state_->total - state_->tokens.free();
}

}  // namespace asyncio
