// SPDX-License-Identifier: BSL-1.0
#pragma once
// What the tests of executors share.
#include "spec/spec.hpp"

#include <asyncio/executor.hpp>
#include <asyncio/threads.hpp>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>

namespace asyncio::spec {

/// A door that threads wait at.
class gate {
 public:
  void open() {
    const std::scoped_lock hold(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock hold(mutex_);
    ++visitors_;
    changed_.notify_all();
    changed_.wait(hold, [this] { return open_; });
  }
  int visitors() {
    const std::scoped_lock hold(mutex_);
    return visitors_;
  }
  void wait_for(int visitors) {
    std::unique_lock hold(mutex_);
    changed_.wait(hold, [&] { return visitors_ >= visitors; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int visitors_ = 0;
};

/// Notes where each of its objects died.
class mortal {
 public:
  struct grave {
    std::mutex mutex;
    std::vector<std::thread::id> died_in;
    std::size_t count() {
      const std::scoped_lock hold(mutex);
      return died_in.size();
    }
    bool all_in(std::thread::id id) {
      const std::scoped_lock hold(mutex);
      return !died_in.empty() && std::ranges::all_of(died_in, [&](std::thread::id d) { return d == id; });
    }
  };
  explicit mortal(grave& g) : grave_(&g) {}
  mortal(const mortal& other) = default;
  mortal& operator=(const mortal&) = delete;
  ~mortal() {
    const std::scoped_lock hold(grave_->mutex);
    grave_->died_in.push_back(std::this_thread::get_id());
  }

 private:
  grave* grave_;
};

inline std::string name_of_this_thread() {
  char name[16] = {};
  pthread_getname_np(pthread_self(), name, sizeof name);
  return name;
}

inline int square(int n) { return n * n; }
struct account {
  int balance = 10;
  int add(int n) { return balance += n; }
};

}  // namespace asyncio::spec
