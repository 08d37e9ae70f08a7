// SPDX-License-Identifier: BSL-1.0
// A canary for the compiler: every coroutine idiom that this project allows itself, run to its end and destroyed at
// each of its suspensions, on a runtime of its own that knows nothing of the library. When the library misbehaves and
// this program fails too, look at the compiler first.
//
// `tracked` knows the address of each of its living objects: one that is destroyed twice, never, or without having been
// constructed is named with its idiom, with or without a sanitizer.
#include <coroutine>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace {

std::set<const void*> living;
std::string complaint;

void complain(const std::string& what) {
  if (complaint.empty()) complaint = what;
}

void expect(bool ok, const char* what) {
  if (!ok) complain(what);
}

class tracked {
 public:
  explicit tracked(int value) : value_(std::make_unique<int>(value)) { born(); }
  tracked(const tracked& other) : value_(std::make_unique<int>(other.get())) { born(); }
  tracked(tracked&& other) noexcept : value_(std::move(other.value_)) { born(); }
  tracked& operator=(const tracked& other) {
    other.check();
    value_ = std::make_unique<int>(other.get());
    return *this;
  }
  tracked& operator=(tracked&& other) noexcept {
    other.check();
    value_ = std::move(other.value_);
    return *this;
  }
  ~tracked() {
    if (living.erase(this) == 0) {
      complain("an object was destroyed that is not alive");
      (void)value_.release();
    }
  }
  [[nodiscard]] int get() const {
    check();
    return value_ ? *value_ : -1;
  }

 private:
  void born() {
    if (!living.insert(this).second) complain("an object was constructed over a living one");
  }
  void check() const {
    if (!living.contains(this)) complain("an object was used that is not alive");
  }

  std::unique_ptr<int> value_;
};

// ---- the runtime: a trampoline, so that no handle is ever returned from await_suspend

std::coroutine_handle<> next_to_run;
std::coroutine_handle<> paused;

struct pause {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) const noexcept { paused = h; }
  void await_resume() const noexcept {}
};

struct promise_base {
  std::coroutine_handle<> continuation;
  std::exception_ptr error;

  struct final_awaiter {
    promise_base* promise;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) const noexcept { next_to_run = promise->continuation; }
    void await_resume() const noexcept {}
  };
  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  final_awaiter final_suspend() noexcept { return {this}; }
  void unhandled_exception() noexcept { error = std::current_exception(); }
};

template <class T>
struct promise_result : promise_base {
  std::optional<T> value;
  template <class U>
  void return_value(U&& u) {
    value.emplace(std::forward<U>(u));
  }
  T take() {
    if (error) std::rethrow_exception(error);
    return std::move(*value);
  }
};

template <>
struct promise_result<void> : promise_base {
  void return_void() const noexcept {}
  void take() const {
    if (error) std::rethrow_exception(error);
  }
};

template <class T = void>
class [[nodiscard]] task {
 public:
  struct promise_type : promise_result<T> {
    task get_return_object() noexcept { return task(std::coroutine_handle<promise_type>::from_promise(*this)); }
  };

  task(task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  task& operator=(task&&) = delete;
  ~task() {
    if (handle_) handle_.destroy();
  }

  class awaiter {
   public:
    explicit awaiter(std::coroutine_handle<promise_type> h) noexcept : handle_(h) {}
    [[nodiscard]] bool await_ready() const noexcept { return handle_.done(); }
    void await_suspend(std::coroutine_handle<> h) const noexcept {
      handle_.promise().continuation = h;
      next_to_run = handle_;
    }
    T await_resume() const { return handle_.promise().take(); }

   private:
    std::coroutine_handle<promise_type> handle_;
  };
  awaiter operator co_await() noexcept { return awaiter(handle_); }

  [[nodiscard]] std::coroutine_handle<promise_type> handle() const noexcept { return handle_; }

 private:
  explicit task(std::coroutine_handle<promise_type> h) noexcept : handle_(h) {}

  std::coroutine_handle<promise_type> handle_;
};

void drive() {
  while (next_to_run) std::exchange(next_to_run, {}).resume();
}

template <class T>
class [[nodiscard]] generator {
 public:
  struct promise_type {
    std::optional<T> value;
    generator get_return_object() noexcept {
      return generator(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
    [[nodiscard]] std::suspend_always final_suspend() const noexcept { return {}; }
    std::suspend_always yield_value(T v) {
      value.emplace(std::move(v));
      return {};
    }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  generator(generator&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  generator& operator=(generator&&) = delete;
  ~generator() {
    if (handle_) handle_.destroy();
  }
  std::optional<T> step() {
    handle_.promise().value.reset();
    handle_.resume();
    return std::move(handle_.promise().value);
  }

 private:
  explicit generator(std::coroutine_handle<promise_type> h) noexcept : handle_(h) {}

  std::coroutine_handle<promise_type> handle_;
};

// ---- what the idioms call

task<int> child(tracked t) {
  co_await pause{};
  co_return t.get();
}

task<int> by_reference(const tracked& t) {
  co_await pause{};
  co_return t.get();
}

task<tracked> give(int n) {
  tracked t(n);
  co_await pause{};
  co_return t;
}

task<int> at_once(int n) { co_return n; }

task<bool> truth(bool b) {
  co_await pause{};
  co_return b;
}

task<> fail() {
  tracked t(1);
  co_await pause{};
  throw std::runtime_error("expected");
}

template <class F, class... A>
task<int> call(F f, A... args) {
  co_await pause{};
  co_return f(args...);
}

template <class F>
task<int> call_body(F f) {
  auto body = f();
  int n = co_await body;
  co_return n;
}

struct plain_options {
  int limit = 0;
  const char* name = "";
  bool flag = false;
};
static_assert(std::is_trivially_copyable_v<plain_options>);

class owning_options {
 public:
  owning_options() = default;
  owning_options(tracked t, int n) : t_(std::move(t)), n_(n) {}
  owning_options&& with(int n) && {
    n_ = n;
    return std::move(*this);
  }
  [[nodiscard]] int sum() const { return t_.get() + n_; }

 private:
  tracked t_{5};
  int n_ = 0;
};

struct job {
  tracked name;
  int count;
};

task<int> take_plain(int n, plain_options o = {}) {
  co_await pause{};
  co_return n + o.limit + (o.flag ? 100 : 0);
}

task<int> take_owning(owning_options o) {
  co_await pause{};
  co_return o.sum();
}

task<int> take_job(job j) {
  co_await pause{};
  co_return j.name.get() + j.count;
}

class inbox {
 public:
  explicit inbox(int n) : left_(n) {}
  task<std::optional<tracked>> next() {
    co_await pause{};
    if (left_ == 0) co_return std::nullopt;
    co_return tracked(left_--);
  }
  template <class... A>
  task<> put(A... args) {
    jobs_.push_back(job{tracked(std::move(args)...), 1});
    co_await pause{};
  }
  [[nodiscard]] int total() const {
    int n = 0;
    for (const job& j : jobs_) n += j.name.get();
    return n;
  }

 private:
  int left_;
  std::vector<job> jobs_;
};

struct connection {
  connection(tracked r, tracked w) : reader(std::move(r)), writer(std::move(w)) {}
  tracked reader;
  tracked writer;
};

task<connection> connect() {
  co_await pause{};
  co_return connection(tracked(1), tracked(2));
}

template <class... T>
task<std::tuple<T...>> all(task<T>... tasks) {
  std::tuple<std::optional<T>...> values;
  auto each = [](auto& t, auto& into) -> task<> {
    auto v = co_await t;
    into.emplace(std::move(v));
  };
  std::vector<task<>> steps;
  std::apply([&](auto&... into) { (steps.push_back(each(tasks, into)), ...); }, values);
  for (task<>& step : steps) co_await step;
  co_return std::apply([](auto&... v) { return std::tuple<T...>(std::move(*v)...); }, values);
}

template <class F>
class taken {
 public:
  explicit taken(F& f) : f_(std::move(f)) {}
  decltype(auto) operator()() { return f_(); }

 private:
  F f_;
};

template <class T>
task<std::variant<T, std::exception_ptr>> as_outcome(task<T> t) {
  std::exception_ptr error;
  std::optional<T> value;
  try {
    auto v = co_await t;
    value.emplace(std::move(v));
  } catch (...) {
    error = std::current_exception();
  }
  if (error) co_return error;
  co_return std::move(*value);
}

// ---- the idioms

task<> named_closure() {
  tracked s(7);
  auto f = [s] { return s.get(); };
  int n = co_await call(f);
  expect(n == 7, "the closure lost its capture");
}

task<> named_task_of_a_closure() {
  tracked s(7);
  auto t = call([s] { return s.get(); });
  int n = co_await t;
  expect(n == 7, "the closure lost its capture");
}

task<> temporary_closure_with_trivial_captures() {
  tracked s(7);
  int k = 1;
  int n = co_await call([&s, k] { return s.get() + k; });
  expect(n == 8, "a reference capture went astray");
}

task<> arguments_instead_of_captures() {
  tracked s(7);
  int n = co_await call([](const tracked& t) { return t.get(); }, s);
  expect(n == 7, "the argument went astray");
}

task<> bound_function() {
  tracked s(7);
  int n = co_await call(std::bind([](const tracked& t) { return t.get(); }, s));
  expect(n == 7, "the bound argument went astray");
}

task<> closure_moved_by_a_wrapper() {
  auto f = [s = tracked(7)] { return s.get(); };
  int n = co_await call(taken(f));
  expect(n == 7, "the moved capture went astray");
}

task<> temporary_coroutine_closure_with_reference_captures() {
  tracked s(7);
  int n = co_await call_body([&]() -> task<int> {
    co_await pause{};
    co_return s.get();
  });
  expect(n == 7, "the body did not see the local");
}

task<> named_coroutine_closure() {
  auto body = [s = tracked(7)]() -> task<int> {
    co_await pause{};
    co_return s.get();
  };
  int n = co_await call_body(std::ref(body));
  expect(n == 7, "the body lost its capture");
}

task<> closure_started_without_await() {
  tracked s(7);
  auto t = call([s](int k) { return s.get() + k; }, 1);
  auto u = call([s](int k) { return s.get() + k; }, 2);
  int a = co_await u;
  int b = co_await t;
  expect(a + b == 17, "two closures disagree");
}

task<> trivial_options_in_place() {
  int n = co_await take_plain(1, {.limit = 5, .name = "x", .flag = true});
  expect(n == 106, "an option was lost");
}

task<> trivial_options_by_default() {
  int n = co_await take_plain(1);
  expect(n == 1, "a default option was lost");
}

task<> options_with_a_constructor() {
  int n = co_await take_owning(owning_options(tracked(3), 4));
  expect(n == 7, "an option was lost");
  n = co_await take_owning({});
  expect(n == 5, "a default option was lost");
}

task<> options_by_builder() {
  int n = co_await take_owning(owning_options().with(2));
  expect(n == 7, "an option was lost");
}

task<> named_aggregate() {
  job j{tracked(3), 4};
  int n = co_await take_job(j);
  expect(n == 7, "the aggregate was torn");
  n = co_await take_job(std::move(j));
  expect(n == 7, "the moved aggregate was torn");
}

task<> aggregate_from_a_function() {
  auto make = [] { return job{tracked(3), 4}; };
  int n = co_await take_job(make());
  expect(n == 7, "the aggregate was torn");
}

task<job> returned_aggregate_of(int n) {
  co_await pause{};
  co_return job{tracked(n), 4};
}

task<> returned_aggregate() {
  job j = co_await returned_aggregate_of(3);
  expect(j.name.get() + j.count == 7, "the aggregate was torn");
}

task<> aggregate_after_named_values() {
  tracked name = co_await give(3);
  job j{std::move(name), 4};
  co_await pause{};
  expect(j.name.get() + j.count == 7, "the aggregate was torn");
}

task<> aggregate_by_assignment() {
  job j{tracked(1), 4};
  j.name = co_await give(3);
  expect(j.name.get() == 3, "the assignment was lost");
}

task<> pair_of_an_awaited_value() {
  std::pair<tracked, int> p(co_await give(3), 4);
  co_await pause{};
  expect(p.first.get() == 3, "the pair was torn");
}

task<> item_built_in_place() {
  inbox box(0);
  co_await box.put(3);
  co_await box.put(4);
  expect(box.total() == 7, "an item was lost");
}

task<> if_with_initialiser_and_nothing_else() {
  if (bool ok = co_await truth(true); ok) co_await pause{};
}

task<> if_with_initialiser_and_else() {
  if (auto t = co_await give(3); t.get() == 4) {
    complain("the wrong branch ran");
  } else {
    co_await pause{};
    expect(t.get() == 3, "the condition's variable died early");
  }
}

task<> named_condition() {
  bool ok = co_await truth(true);
  if (ok) {
    tracked inner(1);
    co_await pause{};
    expect(inner.get() == 1, "a local of the branch was lost");
  }
}

task<> while_with_a_declared_condition() {
  inbox box(3);
  int sum = 0;
  while (auto t = co_await box.next()) sum += t->get();
  expect(sum == 6, "an item was lost");
}

task<> endless_loop_left_in_the_middle() {
  inbox box(2);
  while (true) {
    auto t = co_await box.next();
    if (!t) break;
    co_await pause{};
    if (t->get() == 1) continue;
  }
}

task<> for_loop_over_awaits() {
  tracked sum(0);
  for (int i = 0; i < 3; ++i) {
    tracked t = co_await give(i);
    sum = tracked(sum.get() + t.get());
  }
  expect(sum.get() == 3, "the loop lost a value");
}

task<> range_for_over_a_named_value() {
  std::vector<tracked> v;
  v.emplace_back(1);
  v.emplace_back(2);
  int sum = 0;
  for (const tracked& t : v) {
    int n = co_await by_reference(t);
    sum += n;
  }
  expect(sum == 3, "the range was torn");
}

task<> choice_by_assignment(bool left = true) {
  tracked t(0);
  if (left)
    t = co_await give(1);
  else
    t = co_await give(2);
  expect(t.get() == 1, "the wrong branch was assigned");
}

task<> scalar_and_pointer_choices() {
  tracked a(1);
  tracked b(2);
  bool first = co_await truth(true);
  int n = first ? co_await child(a) : 0;
  int m = co_await by_reference(*(first ? &b : &a));
  expect(n + m == 3, "a choice went astray");
}

task<> locals_then_a_container() {
  tracked a = co_await give(1);
  tracked b = co_await give(2);
  std::vector<tracked> v;
  v.push_back(std::move(a));
  v.push_back(std::move(b));
  co_await pause{};
  expect(v[0].get() + v[1].get() == 3, "the container lost an item");
}

task<> structured_bindings() {
  auto [reader, writer] = co_await connect();
  co_await pause{};
  expect(reader.get() + writer.get() == 3, "a binding was torn");
}

task<> structured_bindings_captured() {
  auto [reader, writer] = co_await connect();
  int n = co_await call_body([&reader, &writer]() -> task<int> {
    co_await pause{};
    co_return reader.get() + writer.get();
  });
  expect(n == 3, "a captured binding was torn");
}

task<> temporaries_as_arguments() {
  tracked s(3);
  int n = co_await child(tracked(s.get() + 4));
  int m = co_await by_reference(tracked(1));
  expect(n + m == 8, "a temporary died early");
}

task<> tasks_as_arguments() {
  auto [a, b] = co_await all(give(1), child(tracked(2)));
  expect(a.get() + b == 3, "a result was lost");
}

task<> try_around_await() {
  tracked outer(1);
  bool failed = false;
  try {
    tracked inner(2);
    co_await fail();
    complain("the exception was lost");
  } catch (const std::runtime_error&) {
    failed = true;
  }
  if (failed) co_await pause{};
  expect(failed && outer.get() == 1, "the handler did not run");
}

task<> outcome_instead_of_catch() {
  auto failing = []() -> task<int> {
    co_await fail();
    co_return 1;
  };
  auto r = co_await as_outcome(failing());
  expect(r.index() == 1, "the exception was lost");
  auto s = co_await as_outcome(child(tracked(3)));
  expect(s.index() == 0 && std::get<0>(s) == 3, "the value was lost");
}

task<> exception_through_three_frames() {
  auto inner = [](tracked t) -> task<int> {
    co_await fail();
    co_return t.get();
  };
  auto outer = [&inner](tracked t) -> task<int> {
    int n = co_await inner(t);
    co_return n;
  };
  bool failed = false;
  try {
    int n = co_await outer(tracked(1));
    expect(n < 0, "the exception was lost");
  } catch (const std::runtime_error&) {
    failed = true;
  }
  expect(failed, "the handler did not run");
}

task<tracked> forwards() { co_return co_await give(3); }

task<> forwarded_result() {
  tracked t = co_await forwards();
  expect(t.get() == 3, "the result was lost");
}

struct service {
  tracked state{3};
  task<int> work(tracked t) {
    co_await pause{};
    co_return state.get() + t.get();
  }
};

task<> member_coroutine() {
  service s;
  int n = co_await s.work(tracked(4));
  expect(n == 7, "this was lost");
}

template <class T>
task<int> generic(T t) {
  T copy = t;
  co_await pause{};
  co_return copy.get() + t.get();
}

task<> template_coroutine() {
  int n = co_await generic(tracked(2));
  expect(n == 4, "the parameter was lost");
}

task<> move_only_parameter() {
  auto f = [](std::unique_ptr<tracked> p) -> task<int> {
    co_await pause{};
    co_return p->get();
  };
  int n = co_await f(std::make_unique<tracked>(3));
  expect(n == 3, "the parameter was lost");
}

task<> over_aligned_on_the_heap() {
  struct alignas(64) line {
    char bytes[64] = {};
  };
  auto p = std::make_unique<line>();
  co_await pause{};
  expect(reinterpret_cast<std::uintptr_t>(p.get()) % 64 == 0, "the heap is not aligned");
}

generator<tracked> count_to(int n) {
  for (int i = 1; i <= n; ++i) {
    tracked t(i);
    co_yield std::move(t);
  }
}

task<> generator_of_named_values() {
  auto g = count_to(3);
  int sum = 0;
  while (auto t = g.step()) {
    sum += t->get();
    co_await pause{};
  }
  expect(sum == 6, "a yielded value was lost");
}

task<> early_return_from_nested_scopes() {
  tracked a(1);
  for (int i = 0; i < 2; ++i) {
    tracked b(2);
    co_await pause{};
    if (i == 1) {
      tracked c(3);
      co_await pause{};
      co_return;
    }
  }
  complain("the return was lost");
}

task<> switch_on_a_local() {
  int n = co_await at_once(2);
  switch (n) {
    case 2: {
      tracked t(1);
      co_await pause{};
      break;
    }
    default: complain("the wrong case ran");
  }
}

task<> many_children_that_finish_at_once() {
  int sum = 0;
  for (int i = 0; i < 200'000; ++i) {
    int n = co_await at_once(1);
    sum += n;
  }
  expect(sum == 200'000, "an await was lost");
}

task<int> nested(int depth) {
  if (depth == 0) co_return 0;
  int below = co_await nested(depth - 1);
  co_return below + 1;
}

task<> deep_recursion() {
  int n = co_await nested(2'000);
  expect(n == 2'000, "a level was lost");
}

struct idiom {
  const char* name;
  std::function<task<>()> make;
};

#define ASYNCIO_IDIOM(f)   \
  idiom {                  \
    #f, [] { return f(); } \
  }

const std::vector<idiom>& idioms() {
  static const std::vector<idiom> list{
      ASYNCIO_IDIOM(named_closure),
      ASYNCIO_IDIOM(named_task_of_a_closure),
      ASYNCIO_IDIOM(temporary_closure_with_trivial_captures),
      ASYNCIO_IDIOM(arguments_instead_of_captures),
      ASYNCIO_IDIOM(bound_function),
      ASYNCIO_IDIOM(closure_moved_by_a_wrapper),
      ASYNCIO_IDIOM(temporary_coroutine_closure_with_reference_captures),
      ASYNCIO_IDIOM(named_coroutine_closure),
      ASYNCIO_IDIOM(closure_started_without_await),
      ASYNCIO_IDIOM(trivial_options_in_place),
      ASYNCIO_IDIOM(trivial_options_by_default),
      ASYNCIO_IDIOM(options_with_a_constructor),
      ASYNCIO_IDIOM(options_by_builder),
      ASYNCIO_IDIOM(named_aggregate),
      ASYNCIO_IDIOM(aggregate_from_a_function),
      ASYNCIO_IDIOM(returned_aggregate),
      ASYNCIO_IDIOM(aggregate_after_named_values),
      ASYNCIO_IDIOM(aggregate_by_assignment),
      ASYNCIO_IDIOM(pair_of_an_awaited_value),
      ASYNCIO_IDIOM(item_built_in_place),
      ASYNCIO_IDIOM(if_with_initialiser_and_nothing_else),
      ASYNCIO_IDIOM(if_with_initialiser_and_else),
      ASYNCIO_IDIOM(named_condition),
      ASYNCIO_IDIOM(while_with_a_declared_condition),
      ASYNCIO_IDIOM(endless_loop_left_in_the_middle),
      ASYNCIO_IDIOM(for_loop_over_awaits),
      ASYNCIO_IDIOM(range_for_over_a_named_value),
      ASYNCIO_IDIOM(choice_by_assignment),
      ASYNCIO_IDIOM(scalar_and_pointer_choices),
      ASYNCIO_IDIOM(locals_then_a_container),
      ASYNCIO_IDIOM(structured_bindings),
      ASYNCIO_IDIOM(structured_bindings_captured),
      ASYNCIO_IDIOM(temporaries_as_arguments),
      ASYNCIO_IDIOM(tasks_as_arguments),
      ASYNCIO_IDIOM(try_around_await),
      ASYNCIO_IDIOM(outcome_instead_of_catch),
      ASYNCIO_IDIOM(exception_through_three_frames),
      ASYNCIO_IDIOM(forwarded_result),
      ASYNCIO_IDIOM(member_coroutine),
      ASYNCIO_IDIOM(template_coroutine),
      ASYNCIO_IDIOM(move_only_parameter),
      ASYNCIO_IDIOM(over_aligned_on_the_heap),
      ASYNCIO_IDIOM(generator_of_named_values),
      ASYNCIO_IDIOM(early_return_from_nested_scopes),
      ASYNCIO_IDIOM(switch_on_a_local),
      ASYNCIO_IDIOM(many_children_that_finish_at_once),
      ASYNCIO_IDIOM(deep_recursion),
  };
  return list;
}

// Runs one idiom and destroys it at its suspension number `stop`; returns true when it ended before that.
bool run_until(const idiom& what, int stop) {
  bool ended = false;
  {
    auto root = what.make();
    paused = root.handle();
    for (int n = 0; n < stop; ++n) {
      next_to_run = std::exchange(paused, {});
      drive();
      if (root.handle().done()) {
        if (root.handle().promise().error) complain("an exception escaped");
        ended = true;
        break;
      }
      if (!paused) {
        complain("nothing is left to resume");
        break;
      }
    }
    next_to_run = {};
    paused = {};
  }
  if (!living.empty()) complain(std::to_string(living.size()) + " objects were never destroyed");
  living.clear();
  return ended;
}

}  // namespace

int main() {
  int runs = 0;
  int failed = 0;
  for (const idiom& what : idioms()) {
    complaint.clear();
    int stop = 0;
    bool ended = false;
    while (!ended && complaint.empty()) {
      ended = run_until(what, stop++);
      ++runs;
    }
    if (!complaint.empty()) {
      std::printf("FAILED %s, destroyed at suspension %d: %s\n", what.name, stop - 1, complaint.c_str());
      ++failed;
    }
  }
  std::printf("coro_canary: %zu idioms, %d runs, %d failed\n", idioms().size(), runs, failed);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
