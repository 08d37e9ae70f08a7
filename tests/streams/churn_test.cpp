// SPDX-License-Identifier: BSL-1.0
// Many connections, slow peers, and cancellation at every turn: F12, F16, F35.
#include "streams/stream_test.hpp"

#include <random>

namespace {

using namespace stream_test;

coroutine<> echo_lines(stream_reader reader, stream_writer writer) {
  while (auto line = co_await reader.next()) co_await writer.write_all(std::move(*line));
}

/// Connects, and is sure that what comes back is its own.
coroutine<> one_client(int port, int number, int& good) {
  connection c = co_await open_connection("127.0.0.1", port);
  const std::string token = "client " + std::to_string(number) + "\n";
  co_await c.writer.write_all(token);
  std::string back = co_await c.reader.readline();
  good += back == token;
  if (number % 3 == 0) {
    c.writer.abort();
  } else if (number % 3 == 1) {
    reset_on_close(c.writer);
    c.writer.close();
  } else {
    co_await c.writer.aclose();
  }
}

TEST(Churn, AThousandConnectionsLeaveNothingBehind) {
  run_clean([]() -> coroutine<> {
    int good = 0;
    server s = co_await start_server(echo_lines, "127.0.0.1", 0);
    for (int round = 0; round < 20; ++round) {
      std::vector<task<>> clients;
      for (int i = 0; i < 50; ++i) clients.push_back(create_task(one_client(s.port(), round * 50 + i, good)));
      for (auto& client : clients) co_await client;
    }
    EXPECT_EQ(good, 1000);
    co_await s.shutdown(60s);
    reports().clear();  // a reset is an exception that the handler did not expect
    const loop_metrics metrics = get_running_loop().metrics();
    EXPECT_EQ(metrics.timers, 0u);
    EXPECT_EQ(metrics.tasks, 1u);
  });
}

TEST(Churn, NoConnectionGetsWhatBelongsToAnother) {  // F16: numbers of descriptors come back at once
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo_lines, "127.0.0.1", 0);
    std::mt19937 random(20240607);
    int good = 0;
    for (int round = 0; round < 60; ++round) {
      std::vector<task<>> clients;
      for (int i = 0; i < 12; ++i) clients.push_back(create_task(one_client(s.port(), round * 12 + i, good)));
      co_await turns(static_cast<int>(random() % 60));
      std::vector<any_task> cancelled;
      for (auto& client : clients)
        if (random() % 2 == 0 && client.cancel()) cancelled.push_back(client);
      for (auto& client : clients) {
        outcome<> end = co_await as_outcome(client);
        EXPECT_TRUE(client.cancelled() || end.has_value()) << text_of(end.exception());
      }
    }
    EXPECT_GT(good, 0);
    co_await s.shutdown(60s);
    reports().clear();
  });
}

TEST(Churn, NoConnectionGetsWhatBelongsToAnotherWhenAnInterruptCameBetween) {
  const std::unique_ptr<event_loop> loop = new_event_loop();
  test::socket_pair a, b, trap;
  const auto connect = [&](int end) { return loop->run_until_complete(open_connection("", 0, {.sock = end})); };
  connection to_a = connect(std::exchange(a.a, -1));
  connection to_b = connect(std::exchange(b.a, -1));
  task<std::string> read_a = loop->create_task(to_a.reader.read(100));
  task<std::string> read_b = loop->create_task(to_b.reader.read(100));
  // Both wait, and turns take so long that each of them asks the kernel.
  for (int i = 0; i < 70; ++i) {
    loop->call_soon([] { std::this_thread::sleep_for(100us); });
    loop->run_once(0s);
  }
  loop->add_reader(trap.a, [&] {
    loop->remove_reader(trap.a);
    throw keyboard_interrupt();
  });
  // In the batch of the interrupt, behind it: bytes that are received and not yet handed over.
  EXPECT_EQ(::send(trap.b, "!", 1, 0), 1);
  EXPECT_EQ(::send(a.b, "for A", 5, 0), 5);
  EXPECT_THROW(loop->run_forever(), keyboard_interrupt);
  EXPECT_FALSE(read_a.done());
  EXPECT_EQ(::send(b.b, "for B", 5, 0), 5);
  std::this_thread::sleep_for(100us);
  loop->run_until_complete(gather(read_a, read_b));
  EXPECT_EQ(read_a.result(), "for A");
  EXPECT_EQ(read_b.result(), "for B");
}

TEST(Churn, ASlowReaderDoesNotSlowTheOthers) {
  run_clean([]() -> coroutine<> {
    auto flood = [](stream_reader reader, stream_writer writer) -> coroutine<> {
      std::string wish = co_await reader.readline();
      const std::string block(100'000, 'f');
      for (int i = 0; i < 100; ++i) co_await writer.write_all(block);
    };
    server s = co_await start_server(flood, "127.0.0.1", 0);
    connection slow = co_await open_connection("127.0.0.1", s.port());
    co_await slow.writer.write_all("go\n");
    std::string begun = co_await slow.reader.readexactly(1);
    for (int i = 0; i < 3; ++i) {
      connection quick = co_await open_connection("127.0.0.1", s.port());
      co_await quick.writer.write_all("go\n");
      std::string all = co_await quick.reader.read();
      EXPECT_EQ(all.size(), 10'000'000u);
    }
    std::string rest = co_await slow.reader.read();
    EXPECT_EQ(rest.size(), 10'000'000u - 1) << "and loses nothing";
    co_await s.shutdown(60s);
  });
}

/// Runs `scenario` again and again, cancelling it after 0, 1, 2 … turns, until it ends before it is cancelled. Each time
/// nothing may stay open.
template <class Scenario>
void cancel_everywhere(Scenario scenario) {
  bool in_time = true;
  int runs = 0;
  for (int n = 0; in_time && n < 100'000; n += 1 + n / 10, ++runs) {
    run_clean([&]() -> coroutine<> {
      task<> victim = create_task(scenario());
      co_await turns(n);
      in_time = victim.cancel();
      outcome<> end = co_await as_outcome(victim);
      EXPECT_TRUE(in_time || end.has_value()) << text_of(end.exception());
      co_await until([] { return get_running_loop().metrics().tasks == 1; });
      co_await turns(2);
      reports().clear();  // of a handler whose client went away, in the turn after its end
    });
  }
  EXPECT_FALSE(in_time);
  EXPECT_GT(runs, 3);
}

TEST(CancelEverywhere, AnExchangeOfLines) {
  cancel_everywhere([]() -> coroutine<> {
    server s = co_await start_server(echo_lines, "localhost", 0);
    connection c = co_await open_connection("localhost", s.port());
    for (int i = 0; i < 3; ++i) {
      co_await c.writer.write_all("line\n");
      std::string line = co_await c.reader.readline();
      EXPECT_EQ(line, "line\n");
    }
    co_await c.writer.aclose();
    co_await s.shutdown(60s);
  });
}

TEST(CancelEverywhere, AWriterThatIsHeldUp) {
  cancel_everywhere([]() -> coroutine<> {
    auto slow = [](stream_reader reader, stream_writer) -> coroutine<> {
      char room[64 * 1024];
      while (true) {
        const std::size_t n = co_await reader.read_into(room);
        if (n == 0) break;
        co_await turns(2);
      }
    };
    server s = co_await start_server(slow, "127.0.0.1", 0);
    connection c = co_await open_connection("127.0.0.1", s.port());
    const std::string block(1'000'000, 'b');
    for (int i = 0; i < 8; ++i) co_await c.writer.write_all(block);
    co_await c.writer.aclose();
    co_await s.shutdown(60s);
  });
}

TEST(CancelEverywhere, AServerThatServesForEver) {
  cancel_everywhere([]() -> coroutine<> {
    server s = co_await start_server(echo_lines, "127.0.0.1", 0);
    auto one = [](int port) -> coroutine<int> {
      int good = 0;
      co_await one_client(port, 2, good);
      co_return good;
    };
    task<int> client = create_task(one(s.port()));
    auto body = [&client](server& inside) -> coroutine<> {
      task<> serving = create_task(inside.serve_forever());
      co_await wait({}, client);
      serving.cancel();
      outcome<> end = co_await as_outcome(serving);
    };
    co_await async_with(std::move(s), body);
    const int good = co_await client;
    EXPECT_EQ(good, 1) << "served as long as nobody cancels";
  });
}

TEST(CancelEverywhere, AShutdownWithClients) {
  cancel_everywhere([]() -> coroutine<> {
    server s = co_await start_server(echo_lines, "127.0.0.1", 0);
    connection c = co_await open_connection("127.0.0.1", s.port());
    co_await c.writer.write_all("line\n");
    std::string line = co_await c.reader.readline();
    co_await s.shutdown(0s);
    std::string end = co_await c.reader.read();
    EXPECT_EQ(end, "");
  });
}

}  // namespace
