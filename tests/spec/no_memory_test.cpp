// SPDX-License-Identifier: BSL-1.0
// Out of memory at every place in turn, and closures that cannot be copied.
#include "spec/spec.hpp"

#include <unistd.h>
#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace {
constexpr long never = -1;
long until_failure = never;  // how many allocations still succeed; from then on none does

void* take(std::size_t size, std::size_t alignment) {
  if (until_failure == 0) throw std::bad_alloc();
  if (until_failure > 0) --until_failure;
  const std::size_t whole = (std::max<std::size_t>(size, 1) + alignment - 1) / alignment * alignment;
  void* block = alignment <= alignof(std::max_align_t) ? std::malloc(whole) : std::aligned_alloc(alignment, whole);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
}  // namespace

void* operator new(std::size_t size) { return take(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return take(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }

namespace asyncio::spec {
namespace {

/// No memory after `n` more allocations, for its life or until enough().
struct memory_for {
  explicit memory_for(long n) { until_failure = n; }
  memory_for(const memory_for&) = delete;
  ~memory_for() { enough(); }
  static void enough() { until_failure = never; }
};

/// Counts how many of it there are; a copy may throw.
struct counted {
  static inline int alive = 0;
  static inline int good_copies = -1;  // how many succeed still; -1: all
  counted() { ++alive; }
  counted(const counted&) {
    if (good_copies == 0) throw std::runtime_error("copy");
    if (good_copies > 0) --good_copies;
    ++alive;
  }
  counted& operator=(const counted&) = default;
  ~counted() { --alive; }
};

const std::exception_ptr long_trouble =
    std::make_exception_ptr(std::runtime_error("a text that is too long to be kept without memory of its own"));

/// Throws, and leaves no memory for whoever reports it.
[[noreturn]] void fail_without_memory() {
  until_failure = 0;
  std::rethrow_exception(long_trouble);
}

class NoMemory : public ::testing::Test {
 protected:
  NoMemory() {
    loop_->set_exception_handler([this](event_loop&, const exception_context& context) {
      memory_for::enough();
      reported_.push_back(name_of(context.exception));
    });
  }
  ~NoMemory() override { memory_for::enough(); }
  void run_for(timedelta time) {
    loop_->call_later(time, [this] { loop_->stop(); });
    loop_->run_forever();
    memory_for::enough();
  }
  const lines trouble_{name_of(long_trouble)};
  testing::virtual_clock clock_;
  std::unique_ptr<event_loop> loop_ = new_event_loop({.clock = clock_});
  lines reported_;
};

TEST_F(NoMemory, an_exception_of_a_callback_is_reported_all_the_same) {
  loop_->call_soon(&fail_without_memory);
  run_for(1s);
  EXPECT_EQ(reported_, trouble_);
}

TEST_F(NoMemory, an_exception_of_a_done_callback_is_reported_all_the_same) {
  future<> f(*loop_);
  f.add_done_callback([](future<>) { fail_without_memory(); });
  f.set_result();
  run_for(1s);
  EXPECT_EQ(reported_, trouble_);
}

TEST_F(NoMemory, an_exception_of_a_reader_is_reported_all_the_same) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  loop_->add_writer(ends[1], [this, fd = ends[1]] {
    loop_->remove_writer(fd);
    fail_without_memory();
  });
  run_for(1s);
  ::close(ends[0]);
  ::close(ends[1]);
  EXPECT_EQ(reported_, trouble_);
}

TEST_F(NoMemory, an_exception_of_a_signal_handler_is_reported_all_the_same) {
  loop_->add_signal_handler(SIGUSR1, &fail_without_memory);
  ::raise(SIGUSR1);
  run_for(1s);
  EXPECT_EQ(reported_, trouble_);
}

TEST_F(NoMemory, without_a_handler_an_exception_is_logged_all_the_same) {
  static int logged;
  logged = 0;
  loop_->set_exception_handler(nullptr);
  set_log_sink([](log_level, std::string_view, void*) noexcept { ++logged; });
  loop_->call_soon(&fail_without_memory);
  run_for(1s);
  set_log_sink(nullptr);
  EXPECT_EQ(logged, 1);
}

TEST_F(NoMemory, a_slow_step_is_no_trouble) {
  static int logged;
  logged = 0;
  set_log_sink([](log_level, std::string_view, void*) noexcept { ++logged; });
  loop_->set_debug(true);
  loop_->set_slow_callback_duration(0s);
  loop_->call_soon([] { until_failure = 0; });
  run_for(1s);
  auto t = loop_->create_task([]() -> coroutine<> {
    until_failure = 0;
    co_return;
  }());
  run_for(1s);
  set_log_sink(nullptr);
  EXPECT_TRUE(t.done());
  EXPECT_GE(logged, 2);
}

/// Adds and removes with less and less trouble; what could not be added has gone when that was said.
template <class Add>
int failures_until_it_works(Add add) {
  for (int n = 0;; ++n) {
    const int before = counted::alive;
    bool failed = false;
    {
      const memory_for some(n);
      try {
        add();
      } catch (const std::bad_alloc&) {
        failed = true;
      }
    }
    if (!failed) return n;
    EXPECT_EQ(counted::alive, before) << "after " << n << " allocations";
  }
}

TEST_F(NoMemory, a_signal_handler_that_cannot_be_added_is_let_go) {
  counted c;
  EXPECT_GT(failures_until_it_works([&] { loop_->add_signal_handler(SIGUSR1, [c] {}); }), 1);
  EXPECT_EQ(counted::alive, 2);
  EXPECT_TRUE(loop_->remove_signal_handler(SIGUSR1));
  EXPECT_EQ(counted::alive, 1);
}

TEST_F(NoMemory, a_receiver_that_cannot_be_made_listens_to_nothing) {
  auto t = loop_->create_task([]() -> coroutine<> {
    std::optional<signal_receiver> receiver;
    EXPECT_GT(failures_until_it_works([&] {
                try {
                  receiver.emplace(std::initializer_list<int>{SIGUSR1, SIGUSR2});
                } catch (...) {
                  for (const int number : {SIGUSR1, SIGUSR2}) {
                    struct sigaction now{};
                    EXPECT_EQ(::sigaction(number, nullptr, &now), 0);
                    EXPECT_EQ(now.sa_handler, SIG_DFL);
                  }
                  throw;
                }
              }),
              4);
    ::raise(SIGUSR2);
    const std::optional<int> number = co_await receiver->next();
    EXPECT_EQ(number, SIGUSR2);
  }());
  loop_->run_until_complete(t);
}

TEST_F(NoMemory, a_reader_that_cannot_be_added_is_let_go) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  loop_->add_reader(ends[0], [] {});  // from here on the kernel's side has its memory
  loop_->remove_reader(ends[0]);
  run_for(1s);
  {
    counted c;
    EXPECT_GT(failures_until_it_works([&] { loop_->add_reader(ends[0], [c] {}); }), 1);
    EXPECT_EQ(counted::alive, 2);
    EXPECT_TRUE(loop_->remove_reader(ends[0]));
    run_for(1s);
    EXPECT_EQ(counted::alive, 1);
  }
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(NoMemory, a_callback_whose_copy_fails_leaves_nothing_behind) {
  counted c;
  future<> f(*loop_);
  const auto every_copy_fails_once = [&](auto add) {
    for (int n = 0;; ++n) {
      const int before = counted::alive;
      counted::good_copies = n;
      const std::string thrown = thrown_by(add);
      counted::good_copies = -1;
      if (thrown == "nothing") return n;
      EXPECT_EQ(thrown, "runtime_error(copy)");
      EXPECT_EQ(counted::alive, before) << "after " << n << " copies";
    }
  };
  EXPECT_GT(every_copy_fails_once([&] { loop_->call_soon([c] {}); }), 0);
  EXPECT_GT(every_copy_fails_once([&] { loop_->call_soon([c](counted) {}, c); }), 1);
  EXPECT_GT(every_copy_fails_once([&] { loop_->call_later(1s, [c](counted) {}, c); }), 1);
  EXPECT_GT(every_copy_fails_once([&] { f.add_done_callback([c](future<>) {}); }), 0);
}

TEST_F(NoMemory, a_condition_is_left_with_its_lock_held) {
  for (int n = 0;; ++n) {
    condition c;
    bool failed = false;
    const auto waits = [&]() -> coroutine<> {
      auto guard = co_await c.scoped();
      try {
        until_failure = n;
        co_await c.wait();
      } catch (const std::bad_alloc&) {
        failed = true;
      }
      memory_for::enough();
      EXPECT_TRUE(c.locked()) << "after " << n << " allocations";
    };
    const auto notifies = [&]() -> coroutine<> {
      auto guard = co_await c.scoped();
      c.notify();
    };
    auto a = loop_->create_task(waits());
    auto b = loop_->create_task(notifies());
    run_for(1s);
    EXPECT_TRUE(a.done() && b.done());
    EXPECT_FALSE(c.locked());
    if (!failed) {
      EXPECT_GT(n, 0);
      return;
    }
  }
}

}  // namespace
}  // namespace asyncio::spec
