// SPDX-License-Identifier: BSL-1.0
// channel<T>: between tasks of one loop, and what it promises to all. Across threads: channel_threads_test.cpp.
#include <asyncio/channel.hpp>

#include "spec/spec.hpp"

#include <asyncio/testing/inject_cancel.hpp>

#include <memory>
#include <optional>
#include <string>

namespace asyncio::spec {
namespace {

coroutine<std::string> next_of(channel<int> c) {
  const std::optional<int> item = co_await c.next();
  co_return item ? std::to_string(*item) : "nothing";
}

coroutine<> note_next(channel<int> c, journal& happened, const char* who) {
  const std::optional<int> item = co_await c.next();
  happened(std::string(who) + (item ? " " + std::to_string(*item) : " nothing"));
}

coroutine<> put_and_note(channel<int> c, int item, journal& happened) {
  co_await c.put(item);
  happened("put " + std::to_string(item));
}

TEST(Channel, gives_items_in_the_order_in_which_they_were_put) {
  testing::run([]() -> coroutine<> {
    const channel<int> c(3);
    for (int i = 0; i < 3; ++i) co_await c.put(i);
    EXPECT_TRUE(c.full());
    EXPECT_EQ(c.qsize(), 3u);
    EXPECT_EQ(c.maxsize(), 3u);
    for (int i = 0; i < 3; ++i) {
      const int item = co_await c.get();
      EXPECT_EQ(item, i);
    }
    EXPECT_TRUE(c.empty());
  });
}

TEST(Channel, without_room_for_one_item_is_refused) {
  EXPECT_EQ(thrown_by([] { const channel<int> c(0); }), "invalid_argument");
}

TEST(Channel, a_copy_is_the_same_channel) {
  const channel<int> a(1);
  const channel<int> b = a;
  channel<int> other(1);
  EXPECT_TRUE(a == b);
  EXPECT_FALSE(a == other);
  EXPECT_TRUE(b.try_put(5));
  EXPECT_EQ(a.try_get(), 5);
  other = a;
  EXPECT_TRUE(other == a);
}

TEST(Channel, who_gets_waits_in_line_first_come_first_served) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const channel<int> c(2);
    const task<> first = create_task(note_next(c, happened, "first"));
    const task<> second = create_task(note_next(c, happened, "second"));
    co_await settle();
    EXPECT_TRUE(c.try_put(1));  // it is the first one's from here on
    EXPECT_EQ(c.try_get(), std::nullopt);
    EXPECT_TRUE(c.try_put(2));
    co_await second;
    co_await first;
  });
  EXPECT_EQ(happened.seen(), (lines{"first 1", "second 2"}));
}

TEST(Channel, who_puts_waits_in_line_and_the_items_keep_that_order) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const channel<int> c(1);
    co_await c.put(0);
    const task<> first = create_task(put_and_note(c, 1, happened));
    const task<> second = create_task(put_and_note(c, 2, happened));
    co_await settle();
    EXPECT_FALSE(c.try_put(3));  // nobody overtakes
    for (int i = 0; i < 3; ++i) {
      const int item = co_await c.get();
      happened("got " + std::to_string(item));
      EXPECT_EQ(c.full(), i < 2) << i;  // the place is the next one's at once
      co_await settle();
    }
    co_await second;
    co_await first;
  });
  EXPECT_EQ(happened.seen(), (lines{"got 0", "put 1", "got 1", "put 2", "got 2"}));
}

TEST(Channel, a_task_that_never_has_to_wait_gives_way_all_the_same) {
  testing::run([]() -> coroutine<> {
    const channel<int> c(1);
    bool rang = false;
    get_running_loop().call_soon([&rang] { rang = true; });
    int rounds = 0;
    for (; !rang && rounds < 10'000; ++rounds) {
      co_await c.put(rounds);
      const int item = co_await c.get();
      EXPECT_EQ(item, rounds);
    }
    EXPECT_LT(rounds, 200);
  });
}

// ---- items

TEST(Channel, builds_the_item_in_place_and_carries_what_can_only_be_moved) {
  struct job {
    std::string name;
    std::unique_ptr<int> number;
  };
  testing::run([]() -> coroutine<> {
    const channel<job> c(1);
    auto number = std::make_unique<int>(7);
    co_await c.put("wash", std::move(number));
    const job got = co_await c.get();
    EXPECT_EQ(got.name, "wash");
    EXPECT_EQ(*got.number, 7);
  });
}

TEST(Channel, try_put_moves_from_its_argument_only_when_it_answers_true) {
  const channel<std::unique_ptr<int>> c(1);
  auto first = std::make_unique<int>(1);
  auto second = std::make_unique<int>(2);
  EXPECT_TRUE(c.try_put(std::move(first)));
  EXPECT_FALSE(c.try_put(std::move(second)));
  ASSERT_NE(second, nullptr);
  const channel<std::string> texts(1);
  std::string kept = "kept";
  EXPECT_TRUE(texts.try_put(kept));
  EXPECT_EQ(kept, "kept");
}

/// Throws when it is moved for the n-th time.
struct fragile {
  explicit fragile(int n) : moves_left(n) {}
  fragile(fragile&& other) : moves_left(other.moves_left - 1) {
    if (moves_left < 0) throw std::runtime_error("moved too often");
    other.moves_left = 100;
  }
  int moves_left;
};

TEST(Channel, an_item_that_cannot_be_moved_out_stays_the_first) {
  testing::run([]() -> coroutine<> {
    const channel<fragile> c(2);
    co_await c.put(0);
    co_await c.put(10);
    const std::string tried = thrown_by([&] { (void)c.try_get(); });
    EXPECT_EQ(tried, "runtime_error(moved too often)");
    EXPECT_EQ(c.qsize(), 2u);
    std::string got;
    try {
      const fragile item = co_await c.get();
      got = std::to_string(item.moves_left);
    } catch (const std::runtime_error& e) {
      got = e.what();
    }
    EXPECT_EQ(got, "moved too often");
    EXPECT_EQ(c.qsize(), 2u);
  });
}

TEST(Channel, a_place_whose_item_could_not_be_made_is_given_back) {
  const channel<fragile> c(1);
  EXPECT_EQ(thrown_by([&] { (void)c.try_put(fragile(0)); }), "runtime_error(moved too often)");
  EXPECT_TRUE(c.empty());
  EXPECT_TRUE(c.try_put(fragile(5)));
}

// ---- shutdown

TEST(Channel, shut_down_it_takes_nothing_and_gives_what_is_there) {
  testing::run([]() -> coroutine<> {
    const channel<int> c(2);
    co_await c.put(1);
    c.shutdown();
    c.shutdown();
    EXPECT_FALSE(c.try_put(2));
    const std::string put = co_await ending(c.put(2));
    const std::string first = co_await ending(c.get());
    const std::string second = co_await ending(c.get());
    const std::string third = co_await next_of(c);
    EXPECT_EQ((lines{put, first, second, third}), (lines{"queue_shut_down", "1", "queue_shut_down", "nothing"}));
  });
}

TEST(Channel, shut_down_at_once_it_throws_away_what_is_there) {
  const auto owned = std::make_shared<int>(1);
  const channel<std::shared_ptr<int>> c(2);
  EXPECT_TRUE(c.try_put(std::shared_ptr<int>(owned)));
  EXPECT_EQ(owned.use_count(), 2);
  c.shutdown(true);
  EXPECT_EQ(owned.use_count(), 1);
  EXPECT_EQ(c.try_get(), std::nullopt);
}

/// Shuts its channel down when it is moved for the first time: which is allowed, no lock being held.
struct last_item {
  explicit last_item(channel<last_item> c) : to_shut(std::move(c)) {}
  last_item(last_item&& other) : to_shut(std::move(other.to_shut)) {
    if (to_shut) std::exchange(to_shut, std::nullopt)->shutdown();
  }
  std::optional<channel<last_item>> to_shut;
};

TEST(Channel, an_item_that_is_being_put_when_it_is_shut_down_still_reaches_who_waits) {
  testing::run([]() -> coroutine<> {
    const channel<last_item> c(1);
    const auto gets = [](channel<last_item> from) -> coroutine<bool> {
      const std::optional<last_item> item = co_await from.next();
      co_return item.has_value();
    };
    const task<bool> waiting = create_task(gets(c));
    co_await settle();
    last_item item(c);
    EXPECT_TRUE(c.try_put(std::move(item)));
    const bool got = co_await waiting;
    EXPECT_TRUE(got);
    const bool more = co_await gets(c);
    EXPECT_FALSE(more);
  });
}

TEST(Channel, its_shutdown_wakes_everybody) {
  testing::run([]() -> coroutine<> {
    const channel<int> empty(1), full(1);
    co_await full.put(1);
    const task<std::string> gets = create_task(ending(empty.get()));
    const task<std::string> nexts = create_task(next_of(empty));
    const task<std::string> puts = create_task(ending(full.put(2)));
    co_await settle();
    empty.shutdown();
    full.shutdown();
    const std::string got = co_await gets;
    const std::string next = co_await nexts;
    const std::string put = co_await puts;
    EXPECT_EQ((lines{got, next, put}), (lines{"queue_shut_down", "nothing", "queue_shut_down"}));
    EXPECT_EQ(full.try_get(), 1);
    EXPECT_EQ(full.try_get(), std::nullopt);
  });
}

TEST(Channel, the_last_handle_shuts_it_down) {
  testing::run([]() -> coroutine<> {
    std::optional<channel<int>> c(std::in_place, 1);
    auto waits = [](channel<int>::get_operation get) -> coroutine<std::string> {
      std::string end = co_await ending(std::move(get));
      co_return end;
    };
    const task<std::string> waiting = create_task(waits(c->get()));
    co_await settle();
    c.reset();
    const std::string end = co_await waiting;
    EXPECT_EQ(end, "queue_shut_down");
  });
}

TEST(Channel, what_nobody_gets_dies_with_it) {
  const auto owned = std::make_shared<int>(1);
  {
    const channel<std::shared_ptr<int>> c(2);
    EXPECT_TRUE(c.try_put(std::shared_ptr<int>(owned)));
  }
  EXPECT_EQ(owned.use_count(), 1);
}

// ---- cancellation

TEST(Channel, a_cancelled_get_leaves_its_place_and_takes_nothing) {
  testing::run([]() -> coroutine<> {
    const channel<int> c(1);
    const task<std::string> first = create_task(next_of(c));
    const task<std::string> second = create_task(next_of(c));
    co_await settle();
    first.cancel();
    EXPECT_TRUE(c.try_put(1));
    const std::string end = co_await ending(first);
    const std::string got = co_await second;
    EXPECT_EQ((lines{end, got}), (lines{"cancelled_error", "1"}));
  });
}

TEST(Channel, an_item_that_was_handed_over_before_the_cancellation_is_delivered) {
  testing::run([]() -> coroutine<> {
    const channel<int> c(1);
    journal happened;
    const auto gets = [](channel<int> from, journal& log) -> coroutine<> {
      const int item = co_await from.get();
      log("got " + std::to_string(item));
      co_await sleep(1h);
    };
    const task<> waiting = create_task(gets(c, happened));
    co_await settle();
    EXPECT_TRUE(c.try_put(1));
    waiting.cancel();
    const std::string end = co_await ending(waiting);
    EXPECT_EQ(happened.seen(), lines{"got 1"});
    EXPECT_EQ(end, "cancelled_error");
  });
}

TEST(Channel, the_item_of_a_cancelled_put_dies_with_it) {
  testing::run([]() -> coroutine<> {
    const auto owned = std::make_shared<int>(1);
    const channel<std::shared_ptr<int>> c(1);
    co_await c.put(nullptr);
    const auto puts = [](channel<std::shared_ptr<int>> to, std::shared_ptr<int> item) -> coroutine<> {
      co_await to.put(std::move(item));
    };
    const task<> waiting = create_task(puts(c, owned));
    co_await settle();
    EXPECT_EQ(owned.use_count(), 2);
    waiting.cancel();
    const std::string end = co_await ending(waiting);
    EXPECT_EQ(end, "cancelled_error");
    EXPECT_EQ(owned.use_count(), 1);
    EXPECT_EQ(c.qsize(), 1u);
  });
}

// A task that is cancelled already and then begins to wait has taken nothing, even if there is something.
TEST(Channel, a_get_that_begins_cancelled_takes_nothing) {
  testing::run([]() -> coroutine<> {
    const channel<int> c(1);
    const auto gets = [](channel<int> from) -> coroutine<std::string> {
      current_task().cancel();
      std::string end = co_await ending(from.get());
      co_return end;
    };
    const std::string end = co_await ending(gets(c));
    EXPECT_EQ(end, "cancelled_error");
    EXPECT_TRUE(c.try_put(1));
    EXPECT_EQ(c.try_get(), 1);
    current_task().uncancel();
  });
}

// At every point at which one task or all may be cancelled: what was put is got once, by somebody, or is still there.
TEST(Channel, loses_and_doubles_nothing_wherever_who_waits_is_cancelled) {
  struct shared {
    channel<int> c{1};
    int put = 0;  // how many puts came back
    std::vector<int> got;
  };
  const auto gets = [](std::shared_ptr<shared> in) -> coroutine<> {
    while (const std::optional<int> item = co_await in->c.next()) in->got.push_back(*item);
  };
  const auto puts = [](std::shared_ptr<shared> in) -> coroutine<> {
    for (int i = 0; i < 4; ++i) {
      co_await in->c.put(i);
      ++in->put;
      if (i % 2 == 1) co_await sleep(1ms);
    }
  };
  const auto body = [&]() -> coroutine<> {
    const auto in = std::make_shared<shared>();
    const task<> first = create_task(gets(in));
    const task<> second = create_task(puts(in));
    const std::string end = co_await ending(second);
    in->c.shutdown();
    const std::string rest = co_await ending(first);
    while (const std::optional<int> left = in->c.try_get()) in->got.push_back(*left);
    EXPECT_EQ(in->got.size(), static_cast<std::size_t>(in->put)) << end << ", " << rest;
    for (std::size_t i = 0; i < in->got.size(); ++i) EXPECT_EQ(in->got[i], static_cast<int>(i));
    if (end != "done" || rest != "done") throw cancelled_error();
  };
  for (const bool all : {false, true}) EXPECT_GE(testing::inject_cancel(body, {.all_tasks = all}), 6u);
}

TEST(Channel, works_with_deadlines) {
  testing::run([]() -> coroutine<> {
    const channel<int> c(1);
    const std::string late = co_await ending(wait_for(c.get(), 1s));
    EXPECT_EQ(late, "timeout_error");
    co_await c.put(1);
    const std::string full = co_await ending(wait_for(c.put(2), 1s));
    EXPECT_EQ(full, "timeout_error");
    EXPECT_EQ(c.try_get(), 1);
    EXPECT_EQ(c.try_get(), std::nullopt);
  });
}

// ---- where it may be used

TEST(Channel, a_thread_in_which_a_loop_runs_must_not_block) {
  testing::run([]() -> coroutine<> {
    const channel<int> c(1);
    const std::string put = thrown_by([&] { c.put_blocking(1); });
    const std::string get = thrown_by([&] { (void)c.get_blocking(); });
    const std::string next = thrown_by([&] { (void)c.next_blocking(); });
    const std::string would = " would block the event loop that runs in this thread: co_await ";
    EXPECT_EQ(put, "runtime_error(channel.put_blocking()" + would + "put())");
    EXPECT_EQ(get, "runtime_error(channel.get_blocking()" + would + "get() or next())");
    EXPECT_EQ(next, "runtime_error(channel.next_blocking()" + would + "get() or next())");
    co_return;
  });
}

TEST(Channel, a_thread_waits_as_long_as_it_likes) {
  const channel<int> c(1);
  EXPECT_EQ(thrown_by([&] { (void)c.get_blocking(1ms); }), "timeout_error");
  c.put_blocking(1);
  EXPECT_EQ(thrown_by([&] { c.put_blocking(2, 1ms); }), "timeout_error");
  EXPECT_EQ(c.get_blocking(), 1);
  c.put_blocking(3, std::chrono::years(1000));
  EXPECT_EQ(c.next_blocking(std::chrono::years(1000)), 3);
  c.shutdown();
  EXPECT_EQ(thrown_by([&] { c.put_blocking(4); }), "queue_shut_down");
  EXPECT_EQ(thrown_by([&] { (void)c.get_blocking(); }), "queue_shut_down");
  EXPECT_EQ(c.next_blocking(), std::nullopt);
}

}  // namespace
}  // namespace asyncio::spec
