// SPDX-License-Identifier: BSL-1.0
// curl: libcurl's multi interface on our loop; the pattern for any C library that brings its own sockets.
// May include: the public headers, <curl/…> (no other room does). No OS headers: the loop watches the descriptors.
// Thread: the loop's. libcurl looks names up in threads of its own, which never call us.
// Owns: one multi handle a loop, shared by the downloads under way. Borrows: their easy handles.
// Laws: no exception crosses a frame of C; no callback of libcurl resumes a coroutine or removes a handle.
#pragma once
#include "curl/transfer.hpp"

#include <asyncio/event_loop.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include <curl/curl.h>

namespace asyncio::curl {

/// A loop's multi handle. libcurl tells which descriptors to watch and when to wake it; the loop calls back; a transfer
/// that ends finishes its future. Lives while a download uses it, and a moment longer, so that the next one finds the
/// connections open; it dies with the loop.
class session : public std::enable_shared_from_this<session> {
 public:
  /// The session of `loop`: the present one, or a new one.
  static std::shared_ptr<session> of(event_loop& loop);

  explicit session(event_loop& loop);
  session(const session&) = delete;
  session& operator=(const session&) = delete;
  ~session();

  /// True while libcurl is on the stack (an observer is being called): it then takes no new transfer.
  bool busy() const noexcept { return busy_; }
  void attach(transfer& t);
  void detach(transfer& t) noexcept;

 private:
  static int on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) noexcept;
  static int on_timer(CURLM*, long ms, void* self) noexcept;
  template <class F> int guarded(F&& body) noexcept;
  void watch(curl_socket_t fd, unsigned wanted);
  void set_timer(long ms);
  void act(curl_socket_t fd, int events);
  void collect_finished();
  void give_up(std::exception_ptr why) noexcept;
  void linger() noexcept;

  struct multi_cleanup {
    void operator()(CURLM* multi) const noexcept { curl_multi_cleanup(multi); }
  };
  event_loop& loop_;
  std::unique_ptr<CURLM, multi_cleanup> multi_;
  std::optional<timer_handle> timer_;
  std::unordered_map<curl_socket_t, unsigned> watched_;  // CURL_POLL_IN | CURL_POLL_OUT
  std::unordered_set<transfer*> attached_;
  std::exception_ptr broken_;  // thrown in a callback: libcurl has given this multi handle up, and so have we
  bool busy_ = false;
  bool lingering_ = false;
};

}  // namespace asyncio::curl
