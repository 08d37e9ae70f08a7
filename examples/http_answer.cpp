// SPDX-License-Identifier: BSL-1.0
#include "http_answer.hpp"

#include <array>
#include <chrono>
#include <cstddef>

namespace example::http {
namespace {

constexpr asyncio::timedelta linger_timeout = std::chrono::seconds(2);
constexpr std::size_t linger_bytes = 1024 * 1024;
constexpr std::size_t linger_piece = 64 * 1024;

asyncio::coroutine<> read_to_the_end(asyncio::stream_reader& reader, asyncio::stream_writer& writer) {
  co_await writer.drain();
  if (!writer.can_write_eof()) co_return;  // TLS says goodbye, and waits for the peer's, when it is closed
  writer.write_eof();
  std::size_t discarded = 0;
  while (discarded < linger_bytes) {
    const std::string piece = co_await reader.read(linger_piece);
    if (piece.empty()) break;
    discarded += piece.size();
  }
}

}  // namespace

std::string_view phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 206: return "Partial Content";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 414: return "URI Too Long";
    case 416: return "Range Not Satisfiable";
    case 431: return "Request Header Fields Too Large";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Internal Server Error";
  }
}

std::string date(std::time_t moment) {
  std::tm fields{};
  gmtime_r(&moment, &fields);
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &fields)};
}

std::string head_of_answer(int status, bool keep_alive) {
  std::string head = "HTTP/1.1 " + std::to_string(status) + " ";
  head += phrase(status);
  head += "\r\nDate: " + date(std::time(nullptr));
  head += keep_alive ? "\r\nConnection: keep-alive" : "\r\nConnection: close";
  return head += "\r\n";
}

void write_refusal(asyncio::stream_writer& writer, const refusal& refused, bool keep_alive, bool with_body) {
  const std::string body = std::to_string(refused.status()) + " " + refused.what() + "\n";
  std::string head = head_of_answer(refused.status(), keep_alive);
  if (refused.status() == 405) head += "Allow: GET, HEAD\r\n";
  head += "Content-Type: text/plain; charset=utf-8\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  writer.write(head);
  if (with_body) writer.write(body);
}

asyncio::coroutine<> linger(asyncio::stream_reader& reader, asyncio::stream_writer& writer) {
  co_await asyncio::wait_for(read_to_the_end(reader, writer), linger_timeout);
}

}  // namespace example::http
