// SPDX-License-Identifier: BSL-1.0
#include "curl/transfer.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <limits>
#include <new>
#include <stdexcept>
#include <utility>

namespace asyncio::curl {
namespace {

using std::chrono::nanoseconds;

constexpr long receive_buffer = 256 * 1024;
constexpr std::int64_t longest_ms = std::numeric_limits<std::int32_t>::max();  // 24 days; libcurl counts in long

/// Rounded up and at least 1: for libcurl 0 means "no limit", which a limit of 0 s does not.
long milliseconds_of(timedelta limit) {
  const std::int64_t ms = std::chrono::ceil<std::chrono::milliseconds>(static_cast<nanoseconds>(limit)).count();
  return static_cast<long>(std::clamp<std::int64_t>(ms, 1, longest_ms));
}

std::string seconds_text(timedelta t) {
  const std::chrono::duration<double> seconds = static_cast<nanoseconds>(t);
  std::array<char, 32> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), seconds.count(), std::chars_format::general, 6);
  return std::string(text.data(), end.ptr) + " s";
}

bool is_control(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

/// libcurl's words may quote the peer: control characters are not passed on to a terminal.
std::string escaped(std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    if (!is_control(c)) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += "\\x";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

}  // namespace

request::request(std::string_view url_text, std::string_view path_text, const download_options& asked)
    : url(url_text), path(path_text), user_agent(asked.user_agent), ca_file(asked.ca_file), options(asked) {
  if (std::ranges::any_of(user_agent, is_control)) {
    throw std::invalid_argument("the user agent \"" + escaped(user_agent) + "\" contains control characters");
  }
  if (ca_file.find('\0') != std::string::npos) {
    throw std::invalid_argument("the ca_file \"" + escaped(ca_file) + "\" contains a null character");
  }
}

std::string presentable(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return escaped(url);
  const std::size_t start = scheme + 3;
  const std::string_view authority = url.substr(start, url.find_first_of("/?#", start) - start);
  const std::size_t at = authority.rfind('@');
  if (at == std::string_view::npos) return escaped(url);
  return escaped(url.substr(0, start)) + escaped(url.substr(start + at + 1));
}

transfer::transfer(event_loop& loop, const request& asked, part_file& file)
    : asked_(asked), file_(file), loop_(loop), finished_(loop), started_(loop.time()), last_bytes_(started_) {
  parse_address();
  easy_.reset(curl_easy_init());
  if (!easy_) throw std::bad_alloc();
  set_options();
  watch_for_stall();
}

transfer::~transfer() {
  if (stall_timer_) stall_timer_->cancel();
}

void transfer::parse_address() {
  if (std::ranges::any_of(asked_.url, is_control)) {
    raise(errc::bad_address, "the address contains control characters");
  }
  address_.reset(curl_url());
  if (!address_) throw std::bad_alloc();
  if (const CURLUcode code = curl_url_set(address_.get(), CURLUPART_URL, asked_.url.c_str(), 0); code != CURLUE_OK) {
    if (code == CURLUE_OUT_OF_MEMORY) throw std::bad_alloc();
    if (code == CURLUE_BAD_SCHEME) raise(errc::bad_address, "the address does not begin with http:// or https://");
    raise(errc::bad_address, std::string("not a usable address: ") + curl_url_strerror(code));
  }
  char* scheme = nullptr;
  if (curl_url_get(address_.get(), CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK) throw std::bad_alloc();
  const std::string name = scheme;
  curl_free(scheme);
  if (name != "http" && name != "https") raise(errc::bad_address, "only http:// and https:// addresses can be fetched");
}

template <class Value> void transfer::set(CURLoption option, Value value) {
  if (const CURLcode code = curl_easy_setopt(easy_.get(), option, value); code != CURLE_OK) {
    if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
    raise(errc::other, std::string("libcurl lacks an option: ") + curl_easy_strerror(code));
  }
}

void transfer::set_options() {
  const download_options& wanted = asked_.options;
  set(CURLOPT_CURLU, address_.get());
  set(CURLOPT_PRIVATE, static_cast<void*>(this));
  set(CURLOPT_ERRORBUFFER, message_.data());
  set(CURLOPT_WRITEFUNCTION, &transfer::on_bytes);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(CURLOPT_BUFFERSIZE, receive_buffer);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_FAILONERROR, 1L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  set(CURLOPT_FOLLOWLOCATION, wanted.follow_redirects ? 1L : 0L);
  set(CURLOPT_MAXREDIRS, static_cast<long>(std::max(wanted.max_redirects, 0)));
#if LIBCURL_VERSION_NUM >= 0x075500
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
  set(CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
  set(CURLOPT_REDIR_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
  // libcurl resolves names in a thread of its own. Without this, removing the handle (a cancellation) would block the
  // loop until that thread's lookup has returned; with it, the thread ends by itself and frees what it holds.
  set(CURLOPT_QUICK_EXIT, 1L);
#endif
  if (!wanted.use_proxy) set(CURLOPT_PROXY, "");
  if (!asked_.user_agent.empty()) set(CURLOPT_USERAGENT, asked_.user_agent.c_str());
  if (!asked_.ca_file.empty()) set(CURLOPT_CAINFO, asked_.ca_file.c_str());
  if (wanted.timeout) set(CURLOPT_TIMEOUT_MS, milliseconds_of(*wanted.timeout));
  // Unset, libcurl's own limit of 300 s would apply.
  set(CURLOPT_CONNECTTIMEOUT_MS,
      wanted.connect_timeout ? milliseconds_of(*wanted.connect_timeout) : static_cast<long>(longest_ms));
}

std::size_t transfer::on_bytes(char* data, std::size_t size, std::size_t count, void* self) noexcept {
  auto& me = *static_cast<transfer*>(self);
  try {
    if (me.take(std::as_bytes(std::span(data, size * count)))) return size * count;
  } catch (...) {
    me.thrown_ = std::current_exception();
  }
  return size * count == 0 ? 1 : 0;  // another number than was given: libcurl ends the transfer
}

bool transfer::take(std::span<const std::byte> piece) {
  write_error_ = file_.write(piece);
  if (write_error_) return false;
  received_ += piece.size();
  last_bytes_ = loop_.time();
  if (asked_.options.observer != nullptr) {
    const auto announced = info<curl_off_t>(CURLINFO_CONTENT_LENGTH_DOWNLOAD_T);
    std::optional<std::uint64_t> total;
    if (announced >= 0) total = static_cast<std::uint64_t>(announced);
    asked_.options.observer->received(piece, received_, total);
  }
  return true;
}

// libcurl's own limit looks at the average of the last five seconds; this one is exact, and costs a timer that is set
// again only when it fires.
void transfer::watch_for_stall() {
  if (!asked_.options.stall_timeout) return;
  const nanoseconds patience = *asked_.options.stall_timeout;
  const nanoseconds silence = loop_.time() - last_bytes_;
  if (silence >= patience) {
    finish(std::make_exception_ptr(error(errc::stalled, "stalled after " + std::to_string(received_) +
                                                            " bytes: nothing came for " + seconds_text(patience))));
    return;
  }
  stall_timer_ = loop_.call_later(patience - silence, [this] { watch_for_stall(); });
}

void transfer::finish(CURLcode code) noexcept {
  if (finished_.done()) return;  // cancelled in the same turn
  code_ = code;
  finished_.set_result();
}

void transfer::finish(std::exception_ptr why) noexcept {
  if (finished_.done()) return;
  thrown_ = std::move(why);
  finished_.set_result();
}

void transfer::check() const {
  if (thrown_) std::rethrow_exception(thrown_);
  if (code_ != CURLE_OK) fail();
  if (const long status = info<long>(CURLINFO_RESPONSE_CODE); status / 100 != 2) {
    raise(errc::refused_by_server, "the server answered " + std::to_string(status));
  }
}

download_result transfer::result() const {
  download_result out;
  out.bytes = received_;
  out.http_status = static_cast<int>(info<long>(CURLINFO_RESPONSE_CODE));
  if (const char* url = info<const char*>(CURLINFO_EFFECTIVE_URL)) out.effective_url = url;
  out.elapsed = loop_.time() - started_;
  return out;
}

template <class Value> Value transfer::info(CURLINFO key) const noexcept {
  Value value{};
  curl_easy_getinfo(easy_.get(), key, &value);
  return value;
}

std::string transfer::host() const {
  char* name = nullptr;
  // After a redirect the host that failed is another one than the address names.
  const std::unique_ptr<CURLU, address_cleanup> last(curl_url());
  const char* effective = info<const char*>(CURLINFO_EFFECTIVE_URL);
  if (!last || effective == nullptr || curl_url_set(last.get(), CURLUPART_URL, effective, 0) != CURLUE_OK ||
      curl_url_get(last.get(), CURLUPART_HOST, &name, 0) != CURLUE_OK) {
    return "host";
  }
  std::string out = escaped(name);
  curl_free(name);
  return out;
}

transfer_error transfer::error(errc code, std::string_view reason, std::error_code os_error) const {
  const int status = easy_ ? static_cast<int>(info<long>(CURLINFO_RESPONSE_CODE)) : 0;
  return {code, presentable(asked_.url), reason, status, os_error};
}

void transfer::raise(errc code, std::string_view reason, std::error_code os_error) const {
  throw error(code, reason, os_error);
}

void transfer::fail_timed_out() const {
  const download_options& wanted = asked_.options;
  const timedelta elapsed = loop_.time() - started_;
  const bool connected = info<curl_off_t>(CURLINFO_PRETRANSFER_TIME_T) > 0;
  if (wanted.timeout && elapsed >= *wanted.timeout) {
    raise(errc::timed_out, "not complete within " + seconds_text(*wanted.timeout));
  }
  if (!connected && wanted.connect_timeout && elapsed >= *wanted.connect_timeout) {
    raise(errc::timed_out, "no connection within " + seconds_text(*wanted.connect_timeout));
  }
  raise(errc::timed_out, escaped(message_.data()));
}

void transfer::fail_cut_off(std::error_code os_error) const {
  const std::string cause = os_error ? ": " + os_error.message() : std::string();
  if (info<long>(CURLINFO_RESPONSE_CODE) == 0) {
    raise(errc::connection_failed, "the connection was lost before the answer" + cause, os_error);
  }
  std::string reason = "cut off after " + std::to_string(received_);
  if (const auto total = info<curl_off_t>(CURLINFO_CONTENT_LENGTH_DOWNLOAD_T); total >= 0) {
    reason += " of " + std::to_string(total);
  }
  raise(errc::cut_off, reason + " bytes" + cause, os_error);
}

void transfer::fail() const {
  const std::error_code os_error(static_cast<int>(info<long>(CURLINFO_OS_ERRNO)), std::generic_category());
  switch (code_) {
    case CURLE_OUT_OF_MEMORY: throw std::bad_alloc();
    case CURLE_WRITE_ERROR:
      if (!write_error_) break;
      raise(errc::cannot_write, "cannot write " + escaped(asked_.path) + ": " + write_error_.message(), write_error_);
    case CURLE_COULDNT_RESOLVE_HOST: raise(errc::unknown_host, "unknown host " + host());
    case CURLE_COULDNT_CONNECT:
      raise(errc::connection_failed,
            "cannot connect to " + host() + (os_error ? ": " + os_error.message() : std::string()), os_error);
    case CURLE_GOT_NOTHING: raise(errc::connection_failed, "the server closed the connection without an answer");
    case CURLE_SEND_ERROR: fail_cut_off(os_error);
    case CURLE_OPERATION_TIMEDOUT: fail_timed_out();
    case CURLE_PEER_FAILED_VERIFICATION:
      raise(errc::certificate_refused, "certificate refused: " + escaped(message_.data()));
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CONNECT_ERROR: raise(errc::tls_failed, "no secure connection: " + escaped(message_.data()));
    case CURLE_HTTP_RETURNED_ERROR:
      raise(errc::refused_by_server, "the server answered " + std::to_string(info<long>(CURLINFO_RESPONSE_CODE)));
    case CURLE_TOO_MANY_REDIRECTS:
      raise(errc::too_many_redirects, "more than " + std::to_string(asked_.options.max_redirects) + " redirects");
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2_STREAM: fail_cut_off(os_error);
    default: break;
  }
  raise(errc::other, message_.front() != '\0' ? escaped(message_.data()) : curl_easy_strerror(code_), os_error);
}

}  // namespace asyncio::curl
