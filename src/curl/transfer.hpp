// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/curl.hpp>
#include <asyncio/event_loop.hpp>
#include <asyncio/future.hpp>

#include "curl/part_file.hpp"

#include <array>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <curl/curl.h>

namespace asyncio::curl {

/// What download() was asked for, with everything that its options only pointed at.
/// Errors: std::invalid_argument for texts that would end up in places where they mean something else.
struct request {
  request(std::string_view url_text, std::string_view path_text, const download_options& asked);

  std::string url;
  std::string path;
  std::string user_agent;
  std::string ca_file;
  download_options options;  // its views are not used
};

/// `url` as it may be shown: without user name and password, control characters escaped.
std::string presentable(std::string_view url);

/// One easy handle and the file it fills. Lives in the frame of the coroutine that waits for it; the session must have
/// let go of easy() before it dies.
/// Errors: the constructor throws transfer_error for an address that is not one.
class transfer {
 public:
  transfer(event_loop& loop, const request& asked, part_file& file);
  transfer(const transfer&) = delete;
  transfer& operator=(const transfer&) = delete;
  ~transfer();

  CURL* easy() const noexcept { return easy_.get(); }
  /// Done when libcurl is, or when the session cannot go on; its cancellation is the task's.
  const future<>& finished() const noexcept { return finished_; }
  void finish(CURLcode code) noexcept;
  /// `why` comes out of the download.
  void finish(std::exception_ptr why) noexcept;

  /// After finished(): throws what went wrong, if something did.
  void check() const;
  download_result result() const;

 private:
  struct easy_cleanup {
    void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
  };
  struct address_cleanup {
    void operator()(CURLU* address) const noexcept { curl_url_cleanup(address); }
  };

  static std::size_t on_bytes(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  bool take(std::span<const std::byte> piece);
  void parse_address();
  void set_options();
  void watch_for_stall();
  template <class Value> void set(CURLoption option, Value value);
  template <class Value> Value info(CURLINFO key) const noexcept;
  [[noreturn]] void fail() const;
  [[noreturn]] void fail_timed_out() const;
  [[noreturn]] void fail_cut_off(std::error_code os_error) const;
  transfer_error error(errc code, std::string_view reason, std::error_code os_error = {}) const;
  [[noreturn]] void raise(errc code, std::string_view reason, std::error_code os_error = {}) const;
  std::string host() const;

  const request& asked_;
  part_file& file_;
  event_loop& loop_;
  future<> finished_;
  time_point started_;
  time_point last_bytes_;
  std::optional<timer_handle> stall_timer_;
  std::unique_ptr<CURLU, address_cleanup> address_;  // outlives easy_, which borrows it
  std::unique_ptr<CURL, easy_cleanup> easy_;
  std::array<char, CURL_ERROR_SIZE> message_{};
  std::uint64_t received_ = 0;
  std::error_code write_error_;
  std::exception_ptr thrown_;  // not libcurl's: by the observer, by the session, for a stall
  CURLcode code_ = CURLE_OK;
};

}  // namespace asyncio::curl
