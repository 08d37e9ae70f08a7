// SPDX-License-Identifier: BSL-1.0
// Serves the files of a folder over HTTP/1.1 (GET and HEAD, kept connections, ranges), any number at once, each in pieces
// as fast as its reader takes them. Only regular files beneath the folder are served; there are no listings.
// See: build/dev/bin/file_server --root . --port 8080 &  then  curl -O http://127.0.0.1:8080/README.md
#include "http_answer.hpp"
#include "http_request.hpp"
#include "served_folder.hpp"
#include "support/program.hpp"
#include "support/serving.hpp"

#include <asyncio/asyncio.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace {

namespace http = example::http;
using idle_timeout = std::optional<asyncio::timedelta>;

constexpr std::size_t piece_size = 128 * 1024;
constexpr asyncio::timedelta head_timeout = std::chrono::seconds(30);  // from a head's first line to its last

std::string_view content_type(std::string_view path) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 10> types{{
      {".html", "text/html; charset=utf-8"},
      {".md", "text/plain; charset=utf-8"},
      {".txt", "text/plain; charset=utf-8"},
      {".cpp", "text/plain; charset=utf-8"},
      {".hpp", "text/plain; charset=utf-8"},
      {".css", "text/css"},
      {".js", "text/javascript"},
      {".json", "application/json"},
      {".png", "image/png"},
      {".svg", "image/svg+xml"},
  }};
  for (const auto& [ending, type] : types) {
    if (path.ends_with(ending)) return type;
  }
  return "application/octet-stream";
}

/// How requests are answered.
struct service {
  const example::served_folder& folder;
  idle_timeout idle;
  asyncio::timedelta delay;
};

/// What of a file is sent.
struct extent {
  std::uint64_t offset = 0, size = 0;
  bool whole = true;
};

extent wanted_extent(const std::optional<http::byte_range>& range, std::uint64_t size) {
  if (!range) return {0, size, true};
  if (!range->first) {
    const std::uint64_t count = std::min(range->last.value_or(0), size);
    if (count == 0) throw http::refusal(416, "nothing lies in that range");
    return {size - count, count, false};
  }
  if (*range->first >= size) throw http::refusal(416, "nothing lies in that range");
  const std::uint64_t last = range->last ? std::min(*range->last, size - 1) : size - 1;
  return {*range->first, last - *range->first + 1, false};
}

int status_of(const std::system_error& error) {
  if (error.code() == std::errc::no_such_file_or_directory) return 404;
  if (error.code() == std::errc::permission_denied) return 403;
  if (error.code() == std::errc::too_many_files_open || error.code() == std::errc::too_many_files_open_in_system) {
    return 503;
  }
  return 500;
}

example::served_file open_file(const example::served_folder& folder, const http::request& request) {
  if (request.method != "GET" && request.method != "HEAD") throw http::refusal(405, "only GET and HEAD are answered");
  try {
    return folder.open(http::relative_path(request.target));
  } catch (const std::system_error& error) {
    throw http::refusal(status_of(error), std::string(http::phrase(status_of(error))));
  }
}

/// The next request of a connection, nothing when the peer has no more.
asyncio::coroutine<std::optional<http::request>> read_request(asyncio::stream_reader& reader, idle_timeout idle) {
  http::head_parser parser;
  asyncio::event_loop& loop = asyncio::get_running_loop();
  std::optional<asyncio::time_point> deadline;
  bool complete = false;
  while (!complete) {
    idle_timeout patience = idle;
    if (deadline) patience = std::max<std::chrono::nanoseconds>(*deadline - loop.time(), {});
    try {
      std::string line = co_await asyncio::wait_for(reader.readuntil("\n"), patience);
      complete = parser.feed(line);
    } catch (const asyncio::limit_overrun_error&) {
      throw http::refusal(parser.started() ? 431 : 414, "a line longer than 16 KiB");
    } catch (const asyncio::incomplete_read_error&) {
      co_return std::nullopt;
    }
    if (!deadline && parser.started()) deadline = loop.time() + static_cast<std::chrono::nanoseconds>(head_timeout);
  }
  co_return parser.finish();
}

/// False when the file has shrunk: the peer must see that it did not get what was promised.
asyncio::coroutine<bool> send_pieces(asyncio::stream_writer& writer, const example::served_file& file, extent part,
                                     idle_timeout idle) {
  std::string piece(std::min<std::uint64_t>(part.size, piece_size), '\0');
  while (part.size > 0) {
    const std::size_t n =
        file.read_at(part.offset, std::span(piece.data(), std::min<std::uint64_t>(part.size, piece.size())));
    if (n == 0) co_return false;
    writer.write(std::string_view(piece.data(), n));
    co_await asyncio::wait_for(writer.drain(), idle);
    part.offset += n;
    part.size -= n;
  }
  co_return true;
}

/// Bodies are not read: what follows one is no request.
bool can_stay(const http::request& request) { return request.keep_alive && !request.has_body; }

/// True when the connection can take another request.
asyncio::coroutine<bool> answer(const example::served_folder& folder, const http::request& request,
                                asyncio::stream_writer& writer, idle_timeout idle) {
  const example::served_file file = open_file(folder, request);
  const extent part = wanted_extent(request.range, file.size());
  const bool keep_alive = can_stay(request);

  std::string head = http::head_of_answer(part.whole ? 200 : 206, keep_alive);
  head += "Content-Type: ";
  head += content_type(request.target);
  head += "\r\nContent-Length: " + std::to_string(part.size);
  head += "\r\nLast-Modified: " + http::date(file.modified());
  head += "\r\nAccept-Ranges: bytes";
  if (!part.whole) {
    head += "\r\nContent-Range: bytes " + std::to_string(part.offset) + "-" +
            std::to_string(part.offset + part.size - 1) + "/" + std::to_string(file.size());
  }
  head += "\r\n\r\n";
  writer.write(head);
  if (request.method == "HEAD") co_return keep_alive;
  const bool sent = co_await send_pieces(writer, file, part, idle);
  if (!sent) writer.abort();
  co_return sent&& keep_alive;
}

/// The way to a distant server and back takes its time, and that server is not busy meanwhile.
asyncio::coroutine<> be_far_away(const service& how) {
  if (how.delay > asyncio::timedelta()) co_await asyncio::sleep(how.delay);
}

/// One request and its answer. True when the connection can take another.
asyncio::coroutine<bool> serve_request(const service& how, asyncio::stream_reader& reader,
                                       asyncio::stream_writer& writer) {
  std::optional<http::request> request;
  std::optional<http::refusal> refused;
  bool keep_alive = false;
  try {
    request = co_await read_request(reader, how.idle);
    if (!request) co_return false;
    co_await be_far_away(how);
    keep_alive = co_await answer(how.folder, *request, writer, how.idle);
  } catch (const http::refusal& e) {
    refused = e;
  }
  if (refused) {
    if (!request) co_await be_far_away(how);
    keep_alive = request && can_stay(*request);
    http::write_refusal(writer, *refused, keep_alive, !request || request->method != "HEAD");
  }
  if (!keep_alive && !writer.is_closing()) co_await http::linger(reader, writer);
  co_return keep_alive;
}

asyncio::coroutine<> serve_connection(const service& how, asyncio::stream_reader reader,
                                      asyncio::stream_writer writer) {
  while (true) {
    const bool more = co_await serve_request(how, reader, writer);
    if (!more) break;
  }
}

}  // namespace

int main(int argc, char** argv) {
  example::server_settings settings;
  settings.line_limit = http::longest_head;
  std::string root = ".";
  asyncio::timedelta delay;
  example::arguments args("file_server", "Serves the files of a folder over HTTP/1.1.");
  args.text("--root", "DIR", "the folder to serve (default: the current one)", root);
  args.seconds("--delay", "begin each answer S seconds after its request, as a distant server's (default 0)", delay);
  example::parse_server_arguments(args, settings, argc, argv);

  std::optional<example::served_folder> folder;
  try {
    folder.emplace(root);
  } catch (const std::system_error& error) {
    args.refuse(std::string("--root: ") + error.what());
  }
  const service how{*folder, settings.idle_timeout, delay};
  auto handler = [&how](asyncio::stream_reader reader, asyncio::stream_writer writer) {
    return serve_connection(how, std::move(reader), std::move(writer));
  };
  return example::run_program("file_server", settings.backend, [&] { return example::serve(settings, handler); });
}
