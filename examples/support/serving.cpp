// SPDX-License-Identifier: BSL-1.0
#include "support/serving.hpp"

#include "support/printable.hpp"
#include "support/program.hpp"

#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <system_error>
#include <utility>

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

namespace example {
namespace {

constexpr asyncio::timedelta shutdown_grace = std::chrono::seconds(5);
constexpr int accept_backlog = 4096;

constexpr const char* signals_and_statuses =
    "The first line of output is LISTENING <port> (with --unix: <path>), when connections are accepted.\n"
    "Signals:\n"
    "  SIGTERM  stops accepting, gives open connections up to 5 s to end, cuts the rest, exits with 0;\n"
    "           a second one cuts at once\n"
    "  SIGINT   cuts at once and exits with 130, also after SIGTERM\n"
    "  SIGUSR1  prints one line: STATS conns= tasks= fds= inflight= rss_kb=\n"
    "Exit status: 0 after SIGTERM, 1 failed, 2 a wrong argument, 6 cannot listen, 130 after SIGINT.";

using connection_count = std::shared_ptr<std::size_t>;

/// Every descriptor but the one that looks.
std::size_t open_descriptors() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  std::size_t entries = 0;
  while (const dirent* entry = readdir(directory)) entries += entry->d_name[0] != '.';
  closedir(directory);
  return entries - 1;
}

std::size_t resident_kilobytes() {
  std::size_t total_pages = 0, resident_pages = 0;
  std::ifstream("/proc/self/statm") >> total_pages >> resident_pages;
  return resident_pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) / 1024;
}

void print_stats(std::size_t connections) {
  asyncio::event_loop& loop = asyncio::get_running_loop();
  std::printf("STATS conns=%zu tasks=%zu fds=%zu inflight=%zu rss_kb=%zu\n", connections,
              asyncio::all_tasks(loop).size(), open_descriptors(), loop.metrics().inflight, resident_kilobytes());
  std::fflush(stdout);
}

/// A descriptor a connection: the usual soft limit of 1024 would be the first thing a test meets.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

asyncio::coroutine<> serve_connection(connection_count connections, connection_handler handler,
                                      asyncio::stream_reader reader, asyncio::stream_writer writer) {
  struct counted {
    explicit counted(connection_count& count) : count(count) { ++*count; }
    ~counted() { --*count; }
    connection_count& count;
  } one(connections);
  try {
    co_await handler(std::move(reader), std::move(writer));
  } catch (const std::system_error&) {
    // The peer went away or fell silent: its connection ends, nothing else does.
  }
}

asyncio::coroutine<asyncio::server> listen(const server_settings& settings, const connection_handler& handler) {
  asyncio::server_options options{
      .backlog = accept_backlog, .limit = settings.line_limit, .max_connections = settings.max_connections};
#if ASYNCIO_EXAMPLE_TLS
  if (settings.tls) options.ssl = *settings.tls;
#endif
  if (!settings.unix_path.empty()) return asyncio::start_unix_server(handler, settings.unix_path, options);
  return asyncio::start_server(handler, settings.host, settings.port, options);
}

void print_listening(const server_settings& settings, const asyncio::server& server) {
  const bool is_unix = !settings.unix_path.empty();
  std::printf("LISTENING %s\n", (is_unix ? printable(settings.unix_path) : std::to_string(server.port())).c_str());
  std::fflush(stdout);
}

#if ASYNCIO_EXAMPLE_TLS
void add_tls_argument(arguments& args, std::optional<asyncio::ssl_context>& into) {
  auto take = [&args, &into](std::string_view certificate, std::string_view key) {
    try {
      into = asyncio::ssl_context::create_default_context(asyncio::ssl_purpose::client_auth);
      into->load_cert_chain(certificate, key);
    } catch (const std::system_error& e) {
      args.refuse(std::string("--tls: ") + e.what());
    }
  };
  args.pair("--tls", "CERT KEY", "speak TLS, with this certificate and its key (PEM)", std::move(take));
}
#endif

}  // namespace

void parse_server_arguments(arguments& args, server_settings& into, int argc, char** argv) {
  args.number("--port", "P", "listen there (default 0: a free port, see the first line of output)", into.port, 0,
              65535);
  args.text("--host", "H", "listen on this address (default 127.0.0.1; an empty one: all)", into.host);
  add_unix_argument(args, "listen on the Unix socket PATH instead; a stale one is replaced", into.unix_path);
#if ASYNCIO_EXAMPLE_TLS
  add_tls_argument(args, into.tls);
#endif
  add_backend_argument(args, into.backend);
  args.seconds("--idle-timeout", "close connections that are silent for S seconds (default: never)", into.idle_timeout);
  args.number("--max-conns", "N", "at most N connections at a time (default 0: no bound)", into.max_connections);
  args.note(signals_and_statuses);
  args.parse(argc, argv);
  check_unix_argument(args);
}

asyncio::coroutine<int> serve(server_settings settings, connection_handler handler) {
  raise_descriptor_limit();
  auto connections = std::make_shared<std::size_t>(0);
  auto counting_handler = [connections, handler](asyncio::stream_reader reader, asyncio::stream_writer writer) {
    return serve_connection(connections, handler, std::move(reader), std::move(writer));
  };
  asyncio::server server = co_await listen(settings, counting_handler);

  asyncio::event_loop& loop = asyncio::get_running_loop();
  asyncio::future<> stop;
  loop.add_signal_handler(SIGUSR1, [connections] { print_stats(*connections); });
  loop.add_signal_handler(SIGTERM, [stop] {
    if (!stop.done()) stop.set_result();
  });
  print_listening(settings, server);

  co_await stop;
  const asyncio::future<> hurry;
  const asyncio::task<> ending = asyncio::create_task(server.shutdown(shutdown_grace));
  loop.add_signal_handler(SIGTERM, [ending, hurry] {
    if (!hurry.done()) hurry.set_result();
    ending.cancel();
  });
  try {
    co_await ending;
  } catch (const asyncio::cancelled_error&) {
    if (!hurry.done()) throw;
  }
  co_return exit_ok;
}

}  // namespace example
