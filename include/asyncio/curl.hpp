// SPDX-License-Identifier: BSL-1.0
// curl.hpp: files over http and https, by libcurl on our loop. The component asyncio::curl; not part of <asyncio/asyncio.hpp>.
#pragma once
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/plain_options.hpp>
#include <asyncio/time.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace asyncio::curl {

/// Why a download failed.
enum class errc {
  bad_address,          ///< not an http:// or https:// address
  unknown_host,         ///< no such name
  connection_failed,    ///< refused, unreachable, or reset before the answer began
  timed_out,            ///< `timeout` or `connect_timeout` passed
  stalled,              ///< no byte came for `stall_timeout`
  certificate_refused,  ///< the server could not prove who it is
  tls_failed,           ///< the secure connection could not be made
  refused_by_server,    ///< an answer other than 2xx: see http_status()
  too_many_redirects,   ///< more than `max_redirects`
  cut_off,              ///< the connection ended before the file did
  cannot_write,         ///< the disk is full, no permission, … : see os_error()
  other,                ///< what() has libcurl's words
};

/// A download that failed. what() is one sentence: the address (without user name and password), then the reason.
class transfer_error : public std::runtime_error {
 public:
  transfer_error(errc code, std::string_view url, std::string_view reason, int http_status = 0,
                 std::error_code os_error = {});

  errc code() const noexcept { return code_; }
  std::string_view url() const noexcept;
  std::string_view reason() const noexcept;
  /// The status of the last answer; 0 if there was none.
  int http_status() const noexcept { return http_status_; }
  /// What the system said, where it was the system that failed: ENOSPC, ECONNREFUSED, …
  std::error_code os_error() const noexcept { return os_error_; }

 private:
  errc code_;
  int http_status_;
  std::error_code os_error_;
  std::size_t url_size_;
};

/// Watches one download. Called in the loop's thread, between two steps of the tasks: count, hash, draw, but do not
/// block. An exception that it throws ends the download and comes out of it.
class download_observer {
 public:
  /// `piece` has been written to the file: the bytes come in order, each once. `so_far` counts it in; `total` is the
  /// size that the server announced, if it did.
  virtual void received(std::span<const std::byte> piece, std::uint64_t so_far, std::optional<std::uint64_t> total) = 0;

 protected:
  ~download_observer() = default;
};

struct download_options {
  /// For the whole download; none = as long as it takes.
  std::optional<timedelta> timeout = {};
  /// From the start to an open (for https: secured) connection, name resolution included; none = no limit.
  std::optional<timedelta> connect_timeout = timedelta(std::chrono::seconds(30));
  /// Give up when no byte of the file came for that long, the wait for the first one included; none = never.
  std::optional<timedelta> stall_timeout = timedelta(std::chrono::seconds(60));
  bool follow_redirects = true;
  int max_redirects = 20;
  /// The proxy that the environment names (https_proxy, no_proxy, …); false = directly, whatever that says.
  bool use_proxy = true;
  std::string_view user_agent = "asyncio-cpp";
  /// A PEM file of the authorities to trust in place of the system's.
  std::string_view ca_file = {};
  /// Lives until the download ended.
  download_observer* observer = nullptr;
};
static_assert(detail::plain_options<download_options>);

/// What a finished download tells.
struct download_result {
  download_result() = default;

  std::uint64_t bytes = 0;
  int http_status = 0;
  /// Where the file came from after all redirects.
  std::string effective_url;
  timedelta elapsed;
};

/// Fetch `url` (http or https, certificates verified) into the file `path`. The bytes go to a temporary file in the same
/// folder, which takes the name `path` (replacing the regular file that was there) when it is complete; on any failure,
/// and when cancelled, it is removed. A symbolic link at `path` stays, and the file behind it is meant; a directory, a
/// FIFO, a socket or a device is refused before anything is fetched (cannot_write). Connections are reused: a second download from the same server needs no new handshake.
/// The writes happen in the loop's thread: they go to the page cache, and are not forced to the disk.
/// Cancel: safe, at once; nothing is left behind.   Thread: the loop's.   Overlap: as many at once as you like.
/// Errors: transfer_error; at the call, std::invalid_argument for a user agent with control characters (CR and LF would
/// begin a header of its own) and for a `ca_file` with a null character.
coroutine<download_result> download(std::string_view url, std::string_view path, download_options options = {});

}  // namespace asyncio::curl
