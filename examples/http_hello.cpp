// SPDX-License-Identifier: BSL-1.0
// Answers every GET over HTTP/1.1 with the same few words, and keeps the connection: the server that load generators ask.
// Requests that come one behind the other (pipelined) are answered in that order; a peer that does not read its answers is
// not read from. A request with a body is answered and its connection closed: what follows would be no request.
// See: build/release/bin/http_hello --port 8080 &  then  curl -i http://127.0.0.1:8080/, or wrk -c 50 http://127.0.0.1:8080/
#include "http_answer.hpp"
#include "http_request.hpp"
#include "support/program.hpp"
#include "support/serving.hpp"

#include <asyncio/asyncio.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace http = example::http;
using idle_timeout = std::optional<asyncio::timedelta>;

constexpr std::string_view greeting = "Hello, world!\n";

http::request parse(std::string_view head) {
  http::head_parser parser;
  bool complete = false;
  while (!complete) {
    const std::size_t end = head.find('\n');
    if (end == std::string_view::npos) throw http::refusal(400, "not a request line");
    complete = parser.feed(head.substr(0, end + 1));
    head.remove_prefix(end + 1);
  }
  return parser.finish();
}

bool answer(const http::request& request, asyncio::stream_writer& writer) {
  const bool is_head = request.method == "HEAD";
  if (!is_head && request.method != "GET") throw http::refusal(405, "only GET and HEAD are answered");
  const bool keep_alive = request.keep_alive && !request.has_body;
  std::string text = http::head_of_answer(200, keep_alive);
  text += "Content-Type: text/plain; charset=utf-8\r\nContent-Length: " + std::to_string(greeting.size()) + "\r\n\r\n";
  if (!is_head) text += greeting;
  writer.write(std::move(text));
  return keep_alive;
}

/// One request and its answer. True when the connection can take another.
asyncio::coroutine<bool> greet(asyncio::stream_reader& reader, asyncio::stream_writer& writer) {
  bool keep_alive = false;
  std::optional<http::refusal> refused;
  try {
    const std::string head = co_await reader.readuntil("\n\r\n", "\n\n");
    keep_alive = answer(parse(head), writer);
  } catch (const asyncio::incomplete_read_error&) {
    co_return false;  // the peer has no more requests
  } catch (const asyncio::limit_overrun_error&) {
    refused.emplace(431, "the head is longer than 16 KiB");
  } catch (const http::refusal& e) {
    refused = e;
  }
  if (refused) http::write_refusal(writer, *refused, false, true);
  co_await writer.drain();
  co_return keep_alive;
}

asyncio::coroutine<> serve_connection(idle_timeout idle, asyncio::stream_reader reader, asyncio::stream_writer writer) {
  try {
    bool more = true;
    while (more) more = co_await asyncio::wait_for(greet(reader, writer), idle);
    co_await http::linger(reader, writer);
  } catch (const asyncio::timeout_error&) {
    writer.abort();  // what the peer does not read must not keep the connection open
  }
}

int main(int argc, char** argv) {
  example::server_settings settings;
  settings.line_limit = http::longest_head;
  example::arguments args("http_hello", "Answers every GET with a greeting, over HTTP/1.1.");
  example::parse_server_arguments(args, settings, argc, argv);
  auto handler = [&settings](asyncio::stream_reader reader, asyncio::stream_writer writer) {
    return serve_connection(settings.idle_timeout, std::move(reader), std::move(writer));
  };
  return example::run_program("http_hello", settings.backend, [&] { return example::serve(settings, handler); });
}
