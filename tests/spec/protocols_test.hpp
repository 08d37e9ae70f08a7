// SPDX-License-Identifier: BSL-1.0
#pragma once
// Protocols that write down what happens to them.
#include "spec/sock_test.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio::spec {

inline std::string text_of(std::span<const std::byte> bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

/// What an exception_ptr of connection_lost() is: "nothing", "errno 104", or its name.
inline std::string loss_of(const std::exception_ptr& error) {
  if (error == nullptr) return "nothing";
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& e) {
    return "errno " + std::to_string(e.code().value());
  } catch (...) {
    return name_of(error);
  }
}

/// Writes everything down; `during` is called with the name of each callback, and may throw.
struct recorder : protocol {
  void connection_made(transport& t) override {
    through = &t;
    note("made");
  }
  void data_received(std::span<const std::byte> data) override {
    received += text_of(data);
    note("data " + text_of(data).substr(0, 20));
  }
  bool eof_received() override {
    note("eof");
    return stays_open;
  }
  void connection_lost(std::exception_ptr error) override {
    through = nullptr;
    lost = true;
    note("lost " + loss_of(error));
  }
  void pause_writing() override { note("pause"); }
  void resume_writing() override { note("resume"); }

  void note(const std::string& what) {
    seen.push_back(what);
    if (during) during(*this, what.substr(0, what.find(' ')));
  }
  lines seen;
  std::string received;
  transport* through = nullptr;
  bool stays_open = false;
  bool lost = false;
  std::function<void(recorder&, const std::string&)> during;
};

/// The same with memory of its own.
struct buffered_recorder : buffered_protocol {
  explicit buffered_recorder(std::size_t size = 8) : memory(size) {}
  void connection_made(transport& t) override {
    through = &t;
    note("made");
  }
  std::span<std::byte> get_buffer(std::size_t) override {
    if (during) during(*this, "get_buffer");
    return memory;
  }
  void buffer_updated(std::size_t n) override {
    received += text_of(std::span<const std::byte>(memory).first(n));
    ++updates;
    if (during) during(*this, "updated");
  }
  bool eof_received() override {
    note("eof");
    return false;
  }
  void connection_lost(std::exception_ptr error) override {
    lost = true;
    note("lost " + loss_of(error));
  }
  void note(const std::string& what) {
    seen.push_back(what);
    if (during) during(*this, what.substr(0, what.find(' ')));
  }
  lines seen;
  std::vector<std::byte> memory;
  std::string received;
  int updates = 0;
  transport* through = nullptr;
  bool lost = false;
  std::function<void(buffered_recorder&, const std::string&)> during;
};

/// Until nothing happens any more: virtual time passes only then.
inline coroutine<> quiet() { co_await sleep(1ms); }

/// Lets the loop turn until `reached` holds, for what is real: some thousand turns, and ten seconds.
template <class Condition>
coroutine<> until(Condition reached) {
  bool there = reached();
  const auto patience = std::chrono::steady_clock::now() + 10s;
  for (int i = 0; !there && (i < 5000 || std::chrono::steady_clock::now() < patience); ++i) {
    co_await sleep(0s);
    there = reached();
  }
  EXPECT_TRUE(there);
}

/// A recorder on one end of a pair of sockets, the other end a descriptor.
template <class P>
struct made_on_pair {
  std::shared_ptr<transport> t;
  std::shared_ptr<P> p;
  std::shared_ptr<socket_pair> sockets;  // `b` is the peer
  int peer() const { return sockets->b; }
};
template <class P = recorder>
coroutine<made_on_pair<P>> on_pair(std::shared_ptr<P> p = std::make_shared<P>()) {
  auto sockets = std::make_shared<socket_pair>();
  auto factory = [p] { return p; };
  auto [t, made] = co_await get_running_loop().connect_accepted_socket(factory, std::exchange(sockets->a, -1));
  made_on_pair<P> both;
  both.t = t;
  both.p = made;
  both.sockets = sockets;
  co_return both;
}

/// What the loop's exception handler was told.
struct reports {
  reports() {
    get_running_loop().set_exception_handler([this](event_loop&, const exception_context& context) {
      all.push_back(context.message + ": " + name_of(context.exception));
    });
  }
  reports(const reports&) = delete;
  ~reports() { get_running_loop().set_exception_handler(nullptr); }
  lines all;
};

}  // namespace asyncio::spec
