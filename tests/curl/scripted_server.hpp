// SPDX-License-Identifier: BSL-1.0
// An HTTP server that answers each path as a test has written it, in the same loop as what it tests.
#pragma once

#include <asyncio/asyncio.hpp>

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace curl_test {

/// What is sent for a path, byte by byte as it stands here, and what happens then.
struct reply {
  enum class ending { keep, close, reset, hang };

  reply() = default;
  explicit reply(std::string bytes, ending then = ending::keep) : bytes(std::move(bytes)), then(then) {}

  std::string bytes;
  ending then = ending::keep;
};

inline reply ok(std::string_view body) {
  std::string bytes = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  return reply(bytes += body);
}

inline reply status(std::string_view line, std::string_view headers = {}) {
  std::string bytes = "HTTP/1.1 ";
  bytes += line;
  bytes += "\r\nContent-Length: 0\r\n";
  bytes += headers;
  return reply(bytes += "\r\n");
}

/// `size` bytes that are not the same anywhere near.
inline std::string some_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  std::size_t state = size * 2654435761U + 1;
  for (char& c : bytes) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    c = static_cast<char>(state >> 56);
  }
  return bytes;
}

class scripted_server {
 public:
  scripted_server() = default;
  scripted_server(const scripted_server&) = delete;
  scripted_server& operator=(const scripted_server&) = delete;

  reply& operator[](std::string path) { return script_[std::move(path)]; }
  asyncio::coroutine<> start() {
    auto handler = [this](asyncio::stream_reader reader, asyncio::stream_writer writer) {
      return serve(std::move(reader), std::move(writer));
    };
    server_.emplace(co_await asyncio::start_server(handler, "127.0.0.1", 0));
  }
  /// The connections end with the server: none is left in the loop.
  asyncio::coroutine<> stop() {
    server_->close();
    server_->abort_clients();
    co_await server_->wait_closed();
  }
  std::string url(std::string_view path, std::string_view user = {}) const {
    std::string out = "http://";
    out += user;
    out += "127.0.0.1:" + std::to_string(server_->port());
    return out += path;
  }
  int connections() const noexcept { return connections_; }
  int requests() const noexcept { return requests_; }
  /// Of the last request.
  const std::string& head() const noexcept { return head_; }

 private:
  asyncio::coroutine<> serve(asyncio::stream_reader reader, asyncio::stream_writer writer) {
    ++connections_;
    try {
      while (true) {
        head_ = co_await reader.readuntil("\r\n\r\n");
        ++requests_;
        const std::size_t start = head_.find(' ') + 1;
        const reply answer = script_.at(head_.substr(start, head_.find(' ', start) - start));
        writer.write(answer.bytes);
        co_await writer.drain();
        if (answer.then == reply::ending::close) break;
        if (answer.then == reply::ending::reset) writer.abort();
        if (answer.then == reply::ending::hang) co_await asyncio::future<>();
      }
    } catch (const asyncio::incomplete_read_error&) {  // the client has no more requests
    } catch (const std::system_error&) {               // the client broke off, as many tests do
    }
  }

  std::map<std::string, reply> script_;
  std::optional<asyncio::server> server_;
  std::string head_;
  int connections_ = 0;
  int requests_ = 0;
};

}  // namespace curl_test
