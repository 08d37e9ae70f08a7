// SPDX-License-Identifier: BSL-1.0
// Just enough of a coroutine type for the snippets beside it to be parsed. Nothing here is ever run.
#pragma once

#include <coroutine>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

struct owner {
  explicit owner(int);
  owner(const owner&);
  owner& operator=(const owner&);
  ~owner();
  [[nodiscard]] int get() const;
};

template <class T>
struct promise_of {
  void return_value(T);
  std::suspend_always yield_value(T);
};

template <>
struct promise_of<void> {
  void return_void();
};

template <class T = void>
struct task {
  struct promise_type : promise_of<T> {
    task get_return_object() noexcept;
    std::suspend_always initial_suspend() noexcept;
    std::suspend_always final_suspend() noexcept;
    void unhandled_exception() noexcept;
  };
  struct awaiter {
    bool await_ready();
    void await_suspend(std::coroutine_handle<>);
    T await_resume();
  };
  awaiter operator co_await();
  task(task&&) noexcept;
  ~task();
};

struct job {
  owner name;
  int count = 0;
};

struct job_with_defaults {
  owner name{1};
  int count = 0;
};

struct plain {
  int a = 0;
  int b = 0;
};

class options {
 public:
  options() = default;
  options(owner, int);
  options&& with(int) &&;

 private:
  owner name_{1};
};

template <class T>
struct aggregate_awaiter {
  owner guard;
  bool await_ready();
  void await_suspend(std::coroutine_handle<>);
  int await_resume();
};

struct group {
  template <class F>
  void create_task(F) {}
};

struct stream {
  task<std::optional<std::string>> next();
  task<> put(int, int);
};

template <class F>
task<int> call(F f) {
  co_return f();
}
template <class F>
task<int> call_reference(F&& f) {
  co_return f();
}
template <class F>
task<int> call_const(const F& f) {
  co_return f();
}
template <class F>
int plainly(F f) {
  return f();
}
task<int> call_function(std::function<int()> f);
task<int> take(job j);
task<int> take_const(const job& j);
task<int> take_default(job_with_defaults j = {});
task<int> take_plain(plain p = {});
task<int> take_options(options o = {});
task<int> take_owner(const owner& o);
task<int> take_int(int n);
task<owner> give(int n);
task<bool> truth();
