// SPDX-License-Identifier: BSL-1.0
// A stream of one's own is held to the laws of streams: here the two far ends of a relay.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <string>
#include <system_error>
#include <utility>

using asyncio::connection;
using asyncio::coroutine;
namespace testing = asyncio::testing;

/// What a relay does when one side has said everything: ends that direction, or hangs up.
enum class manners { polite, hasty };

coroutine<> pump(connection& from, connection& to, manners m) {
  try {
    while (true) {
      std::string bytes = co_await from.reader.read(16 * 1024);
      if (bytes.empty()) break;
      co_await to.writer.write_all(std::move(bytes));
    }
    if (m == manners::polite)
      to.writer.write_eof();
    else
      to.writer.close();
  } catch (const std::system_error&) {  // one side is gone: the other shall hear of it
    from.writer.abort();
    to.writer.abort();
  }
}

coroutine<> relay(connection a, connection b, manners m) { co_await asyncio::gather(pump(a, b, m), pump(b, a, m)); }

void judge(const char* name, manners m) {
  const auto make = [m]() -> std::pair<connection, connection> {
    auto [client, front] = testing::stream_pair();
    auto [back, server] = testing::stream_pair();
    asyncio::create_task(relay(std::move(front), std::move(back), m));
    return {std::move(client), std::move(server)};
  };
  try {
    testing::check_stream(make);
    std::printf("%s: every law holds\n", name);
  } catch (const testing::law_error& e) {
    std::printf("%s: broken: %s\n", name, e.law().c_str());
  }
}

int main() {
  judge("a polite relay", manners::polite);
  judge("a hasty relay", manners::hasty);
}
