// SPDX-License-Identifier: BSL-1.0
// async methods, lambdas that capture this, inheritance, a connection pool with a condition
#include <asyncio/asyncio.hpp>
#include <deque>
#include <string>
#include <utility>
using namespace asyncio;

class pool {
 public:
  pool(std::string host, std::size_t n) : host_(std::move(host)), limit_(n) {}
  coroutine<connection> get() {
    auto guard = co_await cond_.scoped();
    co_await cond_.wait_for([this] { return !idle_.empty() || open_ < limit_; });
    if (!idle_.empty()) { connection c = std::move(idle_.front()); idle_.pop_front(); co_return std::move(c); }
    ++open_;
    co_return co_await open_connection(host_, 5432);
  }
  coroutine<> put(connection c) {
    co_await async_with(cond_, [&] { idle_.push_back(std::move(c)); cond_.notify(); });
  }
  template <class F> auto with(F f) -> coroutine<detail::async_result_t<F&, connection&>> {
    connection c = co_await get();
    co_return co_await async_finally([&] { return f(c); }, [&] { return put(std::move(c)); });
  }
 private:
  std::string host_; std::size_t limit_, open_ = 0; condition cond_; std::deque<connection> idle_;
};
coroutine<> amain() {
  pool p("db", 3);
  auto rows = co_await p.with([](connection& c) -> coroutine<std::string> { co_await c.writer.write_all("select 1\n"); co_return co_await c.reader.readline(); });
  co_await async_with(timeout(1s), [&, n = rows.size()]() -> coroutine<> { auto c = co_await p.get(); co_await sleep(std::chrono::milliseconds(n)); co_await p.put(std::move(c)); });
}
int main() { run(amain()); }
