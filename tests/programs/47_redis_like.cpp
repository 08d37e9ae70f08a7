// SPDX-License-Identifier: BSL-1.0
// a command table of lambdas, pipelining, a shared store, idle timeout per read, shutdown on SIGTERM
#include <asyncio/asyncio.hpp>
#include <csignal>
#include <cstdio>
#include <functional>
#include <map>
#include <sstream>
#include <string>
using namespace asyncio;

struct store {
  std::map<std::string, std::string> data;
  std::map<std::string, std::function<std::string(std::istringstream&)>> commands;
  store() {
    commands["PING"] = [](std::istringstream&) { return "+PONG\r\n"; };
    commands["SET"] = [this](std::istringstream& in) { std::string k, v; in >> k >> v; data[k] = v; return "+OK\r\n"; };
    commands["GET"] = [this](std::istringstream& in) { std::string k; in >> k; return "$" + data[k] + "\r\n"; };
  }
};
coroutine<> client(store& s, stream_reader r, stream_writer w) {
  try {
    while (true) {
      auto line = co_await wait_for(r.readline(), 30s);
      if (line.empty()) break;
      std::istringstream in(line);
      std::string name;
      in >> name;
      auto it = s.commands.find(name);
      w.write(it == s.commands.end() ? std::string("-ERR\r\n") : it->second(in));
      co_await w.drain();
    }
  } catch (const timeout_error&) {
  } catch (const std::system_error& e) { std::fprintf(stderr, "%s\n", e.what()); }
}
coroutine<> amain() {
  store s;
  auto handler = [&s](stream_reader r, stream_writer w) { return client(s, std::move(r), std::move(w)); };
  auto srv = co_await start_server(handler, "127.0.0.1", 6379);
  signal_receiver term({SIGTERM, SIGINT});
  auto sig = co_await term.next();
  std::printf("signal %d\n", sig.value_or(0));
  co_await srv.shutdown(5s);
}
int main() { run(amain()); }
