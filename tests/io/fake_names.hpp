// SPDX-License-Identifier: BSL-1.0
// For tests built with ASYNCIO_TEST_SEAMS: a getaddrinfo that knows what the test tells it, and can be made to hang.
#pragma once
#include "support/sys_faults.hpp"

#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace io_test {

class fake_names {
 public:
  explicit fake_names(test::sys_faults& faults) {
    active = this;
    using test::sys::table;
    faults.set<&table::getaddrinfo>(
        +[](const char* host, const char* service, const addrinfo* hints, addrinfo** found) noexcept {
          return active->look_up(host != nullptr ? host : "", service, *hints, found);
        });
  }
  fake_names(const fake_names&) = delete;
  fake_names& operator=(const fake_names&) = delete;
  ~fake_names() {
    let_go();
    std::unique_lock hold(mutex_);
    changed_.wait(hold, [this] { return inside_ == 0; });
    active = nullptr;
  }

  void add(const std::string& name, std::vector<std::string> addresses) {
    std::scoped_lock hold(mutex_);
    names_[name] = std::move(addresses);
  }
  void fail(const std::string& name, int code) {
    std::scoped_lock hold(mutex_);
    codes_[name] = code;
  }
  /// Lookups do not come back until let_go().
  void hang() {
    std::scoped_lock hold(mutex_);
    hanging_ = true;
  }
  void let_go() {
    std::scoped_lock hold(mutex_);
    hanging_ = false;
    changed_.notify_all();
  }
  /// Waits until so many lookups hang.
  void wait_for_hanging(int n) {
    std::unique_lock hold(mutex_);
    changed_.wait(hold, [&] { return inside_ >= n; });
  }
  int inside() {
    std::scoped_lock hold(mutex_);
    return inside_;
  }
  int calls() {
    std::scoped_lock hold(mutex_);
    return calls_;
  }

 private:
  int look_up(const std::string& host, const char* service, const addrinfo& hints, addrinfo** found) noexcept {
    std::unique_lock hold(mutex_);
    ++calls_;
    ++inside_;
    changed_.notify_all();
    changed_.wait(hold, [this] { return !hanging_; });
    const int code = answer(host, std::stoi(service), hints.ai_family, found);
    --inside_;
    changed_.notify_all();
    errno = EMFILE;  // what EAI_SYSTEM means here
    return code;
  }

  int answer(const std::string& host, int port, int family, addrinfo** found) {
    if (const auto at = codes_.find(host); at != codes_.end()) return at->second;
    const auto at = names_.find(host);
    if (at == names_.end()) return EAI_NONAME;
    *found = nullptr;
    addrinfo** link = found;
    for (const std::string& text : at->second) {
      const bool v6 = text.find(':') != std::string::npos;
      if (family != AF_UNSPEC && family != (v6 ? AF_INET6 : AF_INET)) continue;
      // One block each, as the C library's own freeaddrinfo() expects.
      auto* entry = static_cast<addrinfo*>(std::calloc(1, sizeof(addrinfo) + sizeof(sockaddr_storage)));
      auto* storage = reinterpret_cast<sockaddr_storage*>(entry + 1);
      storage->ss_family = v6 ? AF_INET6 : AF_INET;
      if (v6) {
        auto* in = reinterpret_cast<sockaddr_in6*>(storage);
        inet_pton(AF_INET6, text.c_str(), &in->sin6_addr);
        in->sin6_port = htons(static_cast<std::uint16_t>(port));
        entry->ai_addrlen = sizeof(sockaddr_in6);
      } else {
        auto* in = reinterpret_cast<sockaddr_in*>(storage);
        inet_pton(AF_INET, text.c_str(), &in->sin_addr);
        in->sin_port = htons(static_cast<std::uint16_t>(port));
        entry->ai_addrlen = sizeof(sockaddr_in);
      }
      entry->ai_family = storage->ss_family;
      entry->ai_addr = reinterpret_cast<sockaddr*>(storage);
      *link = entry;
      link = &entry->ai_next;
    }
    return *found != nullptr ? 0 : EAI_NODATA;
  }

  static inline fake_names* active = nullptr;
  std::map<std::string, std::vector<std::string>> names_;
  std::map<std::string, int> codes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool hanging_ = false;
  int inside_ = 0;
  int calls_ = 0;
};

}  // namespace io_test
