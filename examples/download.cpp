// SPDX-License-Identifier: BSL-1.0
// Collects many files from several sources at once: libcurl's transfers on our loop, a bound on how many run together,
// progress, checksums, and how long each source took by itself.
// See: build/dev/bin/download                 fetches sample files from a file_server of its own
//      build/dev/bin/download URL... --dir D  fetches those
#include "download_board.hpp"
#include "download_names.hpp"
#include "download_report.hpp"
#include "download_samples.hpp"
#include "server_process.hpp"
#include "sha256.hpp"
#include "support/printable.hpp"
#include "support/program.hpp"

#include <asyncio/asyncio.hpp>
#include <asyncio/curl.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

constexpr const char* sample_delay = "0.025";  // seconds: about a continent away

struct settings {
  std::vector<std::string> urls;
  std::string folder;  // empty: not given
  std::size_t limit = 16;
  bool one_by_one = false;
  bool use_proxy = true;
  std::optional<asyncio::timedelta> timeout;
  std::optional<asyncio::timedelta> stall_timeout = asyncio::timedelta(std::chrono::seconds(60));
  std::string ca_file;
  asyncio::backend_kind backend = asyncio::backend_kind::automatic;
};

/// One source: where it comes from, where it goes, what it must be.
struct order {
  order(std::string url, std::string path, std::string sha256 = {})
      : url(std::move(url)), path(std::move(path)), sha256(std::move(sha256)) {}
  std::string url, path;
  std::string sha256;  // empty: not known
};

/// The fetching of one order: watches the bytes as they come, and keeps the record.
class fetch final : public asyncio::curl::download_observer {
 public:
  fetch(order what, const settings& how, example::download_board& board)
      : what_(std::move(what)), how_(how), board_(board), number_(board.add(what_.url)) {
    record_.url = what_.url;
    record_.path = what_.path;
  }

  /// Cancel: leaves no file. An error of the source ends in the record.
  asyncio::coroutine<> run() {
    asyncio::event_loop& loop = asyncio::get_running_loop();
    const asyncio::time_point start = loop.time();
    board_.started(number_, start);
    try {
      const asyncio::curl::download_result got = co_await asyncio::curl::download(what_.url, what_.path,
                                                                                  {.timeout = how_.timeout,
                                                                                   .stall_timeout = how_.stall_timeout,
                                                                                   .use_proxy = how_.use_proxy,
                                                                                   .ca_file = how_.ca_file,
                                                                                   .observer = this});
      record_.bytes = got.bytes;
      record_.sha256 = sum_.finish();
      if (!what_.sha256.empty() && what_.sha256 != record_.sha256) record_.failure = "the checksum is another one";
    } catch (const asyncio::curl::transfer_error& error) {
      record_.failure = error.reason();
    } catch (const std::exception& error) {
      record_.failure = error.what();
    }
    record_.own_time = loop.time() - start;
    if (record_.failure.empty()) {
      board_.finished(number_, loop.time());
    } else {
      board_.failed(number_, record_.failure);
    }
  }

  asyncio::coroutine<> run_within(asyncio::semaphore& slots) {
    const auto slot = co_await slots.scoped();
    co_await run();
  }

  void received(std::span<const std::byte> piece, std::uint64_t so_far, std::optional<std::uint64_t> total) override {
    sum_.update(piece);
    record_.bytes = so_far;
    board_.advanced(number_, so_far, total);
  }

  const example::download_record& record() const noexcept { return record_; }

 private:
  order what_;
  const settings& how_;
  example::download_board& board_;
  std::size_t number_;
  example::sha256 sum_;
  example::download_record record_;
};

asyncio::coroutine<> keep_drawing(example::download_board& board) {
  asyncio::event_loop& loop = asyncio::get_running_loop();
  while (true) {
    board.tick(loop.time());
    co_await asyncio::sleep(example::download_board::redraw_interval);
  }
}

/// Draws the board until the end of its scope, also when that is left by a cancellation.
class drawing {
 public:
  explicit drawing(example::download_board& board) : board_(board), task_(asyncio::create_task(keep_drawing(board))) {}
  drawing(const drawing&) = delete;
  drawing& operator=(const drawing&) = delete;
  ~drawing() {
    task_.cancel();
    board_.close();
  }

 private:
  example::download_board& board_;
  asyncio::task<> task_;
};

/// Fetches all orders and prints the report; the exit status.
asyncio::coroutine<int> fetch_all(const std::vector<order>& orders, const settings& how) {
  example::download_board board;
  std::vector<std::unique_ptr<fetch>> fetches;
  fetches.reserve(orders.size());
  for (const order& what : orders) fetches.push_back(std::make_unique<fetch>(what, how, board));
  asyncio::event_loop& loop = asyncio::get_running_loop();
  const asyncio::time_point start = loop.time();
  {
    const drawing on_screen(board);
    if (how.one_by_one) {
      for (const auto& one : fetches) co_await one->run();
    } else {
      asyncio::semaphore slots(how.limit);
      std::vector<asyncio::coroutine<>> all;
      all.reserve(fetches.size());
      for (const auto& one : fetches) all.push_back(one->run_within(slots));
      co_await asyncio::gather(std::move(all));
    }
  }
  const std::chrono::nanoseconds wall = loop.time() - start;
  std::vector<example::download_record> records;
  records.reserve(fetches.size());
  int status = example::exit_ok;
  for (const auto& one : fetches) {
    records.push_back(one->record());
    if (!one->record().failure.empty()) status = example::exit_failed;
  }
  example::print_report(records, wall, how.one_by_one);
  co_return status;
}

asyncio::coroutine<int> fetch_given(const settings& how) {
  const std::filesystem::path folder = how.folder.empty() ? "." : how.folder;
  std::filesystem::create_directories(folder);
  example::file_names names(folder);
  std::vector<order> orders;
  orders.reserve(how.urls.size());
  for (const std::string& url : how.urls) orders.emplace_back(url, names.path_for(url));
  co_return co_await fetch_all(orders, how);
}

/// Without addresses: files of our own, served by a process of our own that answers as from afar. What is fetched stays
/// where --dir says, and goes with the rest without it.
asyncio::coroutine<int> fetch_samples(const settings& how) {
  const example::temporary_folder work;
  const std::filesystem::path served = work.path() / "served";
  const std::filesystem::path into = how.folder.empty() ? work.path() / "fetched" : std::filesystem::path(how.folder);
  std::filesystem::create_directories(into);
  const std::vector<example::sample> samples = co_await example::make_samples(served);

  const std::filesystem::path server_program = example::program_folder() / "file_server";
  const std::vector<std::string> command{server_program.string(), "--root", served.string(), "--delay", sample_delay};
  example::server_process server(command);
  const int port = co_await server.port();
  const std::string origin = "http://127.0.0.1:" + std::to_string(port) + "/";
  std::printf("file_server serves %zu files on port %d; each answer begins %s s after its request, as from afar\n",
              samples.size(), port, sample_delay);
  std::fflush(stdout);

  example::file_tree names(into);
  std::vector<order> orders;
  orders.reserve(samples.size());
  for (const example::sample& one : samples) {
    orders.emplace_back(origin + example::url_path(one.path), names.path_for(one.path), one.sha256);
  }
  settings direct = how;
  direct.use_proxy = false;  // the server is on this machine
  const int status = co_await fetch_all(orders, direct);
  if (status == example::exit_ok) std::printf("all checksums are right\n");
  if (!how.folder.empty()) std::printf("the files are in %s\n", example::printable(how.folder).c_str());
  co_return status;
}

asyncio::coroutine<int> fetch_what_is_asked(const settings& how) {
  if (how.urls.empty()) co_return co_await fetch_samples(how);
  co_return co_await fetch_given(how);
}

/// SIGTERM and SIGHUP end the program as Ctrl-C does: nothing unfinished stays behind.
asyncio::coroutine<int> until_told_to_stop(const settings& how) {
  asyncio::event_loop& loop = asyncio::get_running_loop();
  const asyncio::any_task self = asyncio::current_task();
  const asyncio::future<int> told;
  constexpr std::array<int, 2> signals{SIGTERM, SIGHUP};
  for (const int signal : signals) {
    loop.add_signal_handler(signal, [self, signal, told] {
      if (!told.done()) told.set_result(signal);
      self.cancel();
    });
  }
  try {
    co_return co_await fetch_what_is_asked(how);
  } catch (const asyncio::cancelled_error&) {
    if (!told.done()) throw;
  }
  co_return 128 + told.result();
}

}  // namespace

int main(int argc, char** argv) {
  settings how;
  example::arguments args("download",
                          "Fetches files over http and https, many at once; without addresses, sample files.");
  args.rest("URL", "http:// or https:// addresses", how.urls);
  args.text("--dir", "DIR", "where the files go (default: the current folder; sample files are not kept)", how.folder);
  args.number("--limit", "N", "at most N at once (default 16)", how.limit, 1);
  args.flag("--one-by-one", "one after another", how.one_by_one);
  args.seconds("--timeout", "give up a source after S seconds (default: never)", how.timeout);
  args.seconds("--stall-timeout", "give up a source that sends nothing for S seconds (default 60)", how.stall_timeout);
  args.text("--ca-file", "FILE", "trust the certificate authorities in FILE, not the system's", how.ca_file);
  example::add_backend_argument(args, how.backend);
  args.parse(argc, argv);
  if (args.given("--dir") && how.folder.empty()) args.refuse("--dir is empty");
  if (how.one_by_one && args.given("--limit")) args.refuse("--one-by-one and --limit exclude each other");

  std::signal(SIGPIPE, SIG_IGN);  // `download | head` must not leave files and a server behind
  return example::run_program("download", how.backend, [&how] { return until_told_to_stop(how); });
}
