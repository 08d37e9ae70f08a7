// SPDX-License-Identifier: BSL-1.0
#include <asyncio/curl.hpp>

#include "curl/part_file.hpp"
#include "curl/session.hpp"
#include "curl/transfer.hpp"

#include <asyncio/coroutine.hpp>
#include <asyncio/event_loop.hpp>
#include <asyncio/sleep.hpp>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

namespace asyncio::curl {
namespace {

/// A transfer's stay in its session; ends it on every way out of the coroutine, cancellation and loop close included.
class stay {
 public:
  stay(std::shared_ptr<session> host, transfer& guest) : host_(std::move(host)), guest_(guest) {
    host_->attach(guest_);
  }
  stay(const stay&) = delete;
  stay& operator=(const stay&) = delete;
  ~stay() { host_->detach(guest_); }

 private:
  std::shared_ptr<session> host_;
  transfer& guest_;
};

[[noreturn]] void raise_file_error(const request& asked, const std::system_error& error) {
  throw transfer_error(errc::cannot_write, presentable(asked.url), error.what(), 0, error.code());
}

std::unique_ptr<part_file> create_file(const request& asked) {
  try {
    return std::make_unique<part_file>(asked.path);
  } catch (const std::system_error& error) {
    raise_file_error(asked, error);
  }
}

void commit_file(part_file& file, const request& asked) {
  try {
    file.commit();
  } catch (const std::system_error& error) {
    raise_file_error(asked, error);
  }
}

coroutine<download_result> fetch(std::unique_ptr<const request> asked) {
  event_loop& loop = get_running_loop();
  std::shared_ptr<session> host = session::of(loop);
  while (host->busy()) {  // started eagerly by an observer
    co_await asyncio::sleep(timedelta());
    host = session::of(loop);
  }
  const std::unique_ptr<part_file> file = create_file(*asked);
  transfer work(loop, *asked, *file);
  {
    const stay attached(std::move(host), work);
    co_await work.finished();
    work.check();
  }
  commit_file(*file, *asked);
  co_return work.result();
}

}  // namespace

transfer_error::transfer_error(errc code, std::string_view url, std::string_view reason, int http_status,
                               std::error_code os_error)
    : std::runtime_error(std::string(url).append(": ").append(reason)),
      code_(code),
      http_status_(http_status),
      os_error_(os_error),
      url_size_(url.size()) {}

std::string_view transfer_error::url() const noexcept { return {what(), url_size_}; }

std::string_view transfer_error::reason() const noexcept {
  const char* start = what() + url_size_ + 2;
  return {start, std::strlen(start)};
}

coroutine<download_result> download(std::string_view url, std::string_view path, download_options options) {
  return fetch(std::make_unique<const request>(url, path, options));
}

}  // namespace asyncio::curl
