// SPDX-License-Identifier: BSL-1.0
// How a program is tested: other orders of its tasks, cancellation at every point, a connection in memory.
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <stdexcept>
#include <string>

using asyncio::coroutine;
using namespace std::chrono_literals;
namespace testing = asyncio::testing;

coroutine<> deposit(int& account, int amount) {
  account += amount;
  co_return;
}
coroutine<> withdraw(int& account, int amount) {
  if (account < amount) throw std::runtime_error("not enough money");
  account -= amount;
  co_return;
}

coroutine<> both_at_once() {  // the deposit runs first, as it happens
  int account = 0;
  co_await asyncio::gather(deposit(account, 100), withdraw(account, 80));
}
coroutine<> when_the_money_is_there() {
  int account = 0;
  co_await deposit(account, 100);
  co_await asyncio::gather(deposit(account, 5), withdraw(account, 80));
}
// The money is nowhere while it is under way: who is cancelled here must put it back.
coroutine<> transfer(int& from, int& to, int amount) {
  from -= amount;
  try {
    co_await asyncio::sleep(24h);
  } catch (const asyncio::cancelled_error&) {
    from += amount;
    throw;
  }
  to += amount;
}
coroutine<> serve(int& account, asyncio::stream_reader reader, asyncio::stream_writer writer) {
  while (auto line = co_await reader.next()) {
    account += std::stoi(*line);
    co_await writer.write_all("balance " + std::to_string(account) + "\n");
  }
}
coroutine<std::string> conversation() {
  int account = 0;
  auto [client, server] = testing::stream_pair();
  auto serving = asyncio::create_task(serve(account, std::move(server.reader), std::move(server.writer)));
  co_await client.writer.write_all("10\n20\n");
  client.writer.write_eof();
  std::string answers = co_await client.reader.read();
  co_await serving;
  co_return answers;
}

void print(asyncio::log_level, std::string_view line, void*) noexcept {
  std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
}

int main() {
  asyncio::set_log_sink(print);
  testing::run(both_at_once);
  std::puts("both at once: passes, first come first served");
  try {
    testing::for_each_order(1000, both_at_once);
  } catch (const std::runtime_error& e) {
    std::printf("both at once, in another order: %s\n", e.what());
  }
  std::printf("when the money is there: %zu orders pass\n", testing::for_each_order(1000, when_the_money_is_there));
  int mine = 50, yours = 0;
  const auto nothing_is_lost = [&] {
    if (mine + yours != 50) throw std::logic_error("money was lost");
  };
  const auto pay = [&] { return transfer(mine, yours, 50); };
  std::printf("transfer: cancelled at %zu points, nothing is lost\n", testing::inject_cancel(pay, nothing_is_lost));
  std::printf("conversation:\n%s", testing::run(conversation()).c_str());
}
