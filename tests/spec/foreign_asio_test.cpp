// SPDX-License-Identifier: BSL-1.0
// Asio's coroutines beside ours, each library on a thread of its own: they await each other.
#include "spec/spec.hpp"

#include <asyncio/interop.hpp>

#include <coroutine>
#include <exception>
#include <optional>
#include <thread>

// Asio looks for the coroutines of the technical specification under Clang, unless it is told.
#define ASIO_HAS_CO_AWAIT 1
#define ASIO_HAS_STD_COROUTINE 1
#include <asio.hpp>

namespace asyncio::spec {
namespace {

/// An io_context that runs in a thread of its own.
class asio_thread {
 public:
  asio_thread() : work_(asio::make_work_guard(context_)), thread_([this] { context_.run(); }) {}
  ~asio_thread() {
    work_.reset();
    thread_.join();
  }
  asio_thread(const asio_thread&) = delete;
  asio_thread& operator=(const asio_thread&) = delete;
  asio::io_context& context() noexcept { return context_; }
  std::thread::id id() const noexcept { return thread_.get_id(); }

 private:
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::thread thread_;
};

/// What somebody writes once to await Asio's coroutines elsewhere: an awaiter around co_spawn.
template <class T>
class spawned {
 public:
  spawned(asio::io_context& where, asio::awaitable<T> body) : where_(&where), body_(std::move(body)) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) {
    asio::co_spawn(*where_, std::move(body_), [this, h](std::exception_ptr error, T value) {
      error_ = error;
      value_ = std::move(value);
      h.resume();
    });
  }
  T await_resume() {
    if (error_ != nullptr) std::rethrow_exception(error_);
    return std::move(*value_);
  }

 private:
  asio::io_context* where_;
  asio::awaitable<T> body_;
  std::exception_ptr error_;
  std::optional<T> value_;
};

asio::awaitable<int> twice(int n) {
  asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(1));
  co_await timer.async_wait(asio::use_awaitable);
  if (n < 0) throw std::invalid_argument("negative");
  co_return 2 * n;
}

coroutine<int> ask_asio(asio::io_context& context, int n) {
  spawned<int> there(context, twice(n));
  int got = co_await there;
  co_return got;
}

TEST(foreign_asio, our_tasks_await_asios_coroutines_and_come_back_to_their_loop) {
  asio_thread asio_side;
  asyncio::run([&]() -> coroutine<> {
    const std::thread::id mine = std::this_thread::get_id();
    auto [a, b, c] = co_await gather(ask_asio(asio_side.context(), 1), ask_asio(asio_side.context(), 2),
                                     ask_asio(asio_side.context(), 3));
    EXPECT_EQ(a + b + c, 12);
    EXPECT_EQ(std::this_thread::get_id(), mine);
    auto end = co_await ending(ask_asio(asio_side.context(), -1));
    EXPECT_EQ(end, "invalid_argument");
  });
}

TEST(foreign_asio, a_cancelled_task_waits_for_asio_and_ends_cancelled) {
  asio_thread asio_side;
  asyncio::run([&]() -> coroutine<> {
    auto t = create_task(ask_asio(asio_side.context(), 1));
    co_await sleep(0s);
    t.cancel();
    auto end = co_await ending(t);
    EXPECT_TRUE(end == "cancelled_error" || end == "2") << end;
  });
}

/// Runs `body` elsewhere, and completes Asio's handler on its own executor.
struct carrier {
  struct promise_type {
    carrier get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};

template <class Handler>
carrier carry(event_loop& loop, int n, Handler handler, std::thread::id* resumed_in) {
  std::exception_ptr error;
  int value = 0;
  const auto work = asio::make_work_guard(asio::get_associated_executor(handler));
  try {
    auto ours = [](int x) -> coroutine<int> {
      co_await sleep(1ms);
      if (x < 0) throw std::invalid_argument("negative");
      co_return 3 * x;
    };
    value = co_await as_awaitable_on(loop, ours(n));
  } catch (...) {
    error = std::current_exception();
  }
  *resumed_in = std::this_thread::get_id();
  const auto executor = asio::get_associated_executor(handler);
  asio::post(executor, [h = std::move(handler), error, value]() mutable { std::move(h)(error, value); });
}

asio::awaitable<int> ask_us(event_loop& loop, int n, std::thread::id* resumed_in) {
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr, int)>(
      [&loop, n, resumed_in](auto handler) { carry(loop, n, std::move(handler), resumed_in); }, asio::use_awaitable);
}

TEST(foreign_asio, asios_coroutines_await_ours) {
  asio_thread asio_side;
  asyncio::run([&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    std::thread::id resumed_in;
    spawned<int> there(asio_side.context(), ask_us(loop, 5, &resumed_in));
    int got = co_await there;
    EXPECT_EQ(got, 15);
    EXPECT_EQ(resumed_in, std::this_thread::get_id());
    spawned<int> wrong(asio_side.context(), ask_us(loop, -5, &resumed_in));
    std::string thrown;
    try {
      co_await wrong;
    } catch (const std::invalid_argument& e) {
      thrown = e.what();
    }
    EXPECT_EQ(thrown, "negative");
  });
}

}  // namespace
}  // namespace asyncio::spec
