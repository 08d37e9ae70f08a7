// SPDX-License-Identifier: BSL-1.0
// What the lint must leave alone: the allowed forms, and look-alikes of the forbidden ones.
#include "snippets.hpp"

task<> named_closure(owner s) {
  auto f = [s] { return s.get(); };
  int n = co_await call(f);
  (void)n;
}

task<> named_task(owner s) {
  auto t = call([s] { return s.get(); });
  int n = co_await t;
  (void)n;
}

task<> captures_that_own_nothing(owner s) {
  int k = 1;
  co_await call([&s, k] { return s.get() + k; });
  co_await call([] { return 1; });
  co_await call([p = &s] { return p->get(); });
}

task<> reference_capturing_body(owner s) {
  int n = co_await call_reference([&] { return s.get(); });
  (void)n;
}

task<> task_of_a_closure_is_no_await(group& tg, std::vector<std::string> urls) {
  for (const std::string& url : urls) {
    tg.create_task([url]() -> task<> { co_await take_int(static_cast<int>(url.size())); });
  }
  co_await truth();
}

task<> closures_in_a_body(group& tg, owner s) {
  co_await call([&] {
    tg.create_task([s] { return s.get(); });
    return 1;
  });
}

task<> options_that_own_nothing() {
  co_await take_plain({.a = 1, .b = 2});
  co_await take_plain();
  co_await take_plain(plain(1, 2));
}

task<> options_with_a_constructor(owner s) {
  co_await take_options(options(s, 1));
  co_await take_options();
  co_await take_options({});
  co_await take_options(options().with(1));
}

task<> named_aggregate(owner s) {
  job j{s, 1};
  co_await take(j);
  job k(s, 2);
  co_await take(std::move(k));
}

task<> aggregate_of_a_function() {
  auto make = [](int n) { return job{owner(n), 1}; };
  co_await take(make(1));
}

task<job> returned_aggregate(owner s) { co_return job{s, 1}; }

task<job> yielded_local(owner s) {
  job j{s, 1};
  co_yield std::move(j);
}

task<> built_in_place(stream& q) { co_await q.put(1, 2); }

task<> containers() {
  std::vector<int> v{1, 2, 3};
  int n = co_await take_int(v[0]);
  std::pair<int, owner> p(n, owner(1));
  co_await take_owner(p.second);
}

task<> pair_of_an_awaited_value() {
  std::pair<owner, int> p(co_await give(1), 7);
  co_await take_owner(p.first);
}

task<> conditions(stream& lines, bool a) {
  bool ok = co_await truth();
  if (ok) co_await truth();
  if (bool b = co_await truth(); b) co_await truth();
  if (auto line = co_await lines.next()) co_await truth();
  if (auto r = co_await truth(); !r && a) co_await truth();
  while (auto line = co_await lines.next()) co_await truth();
  while (a) {
    bool more = co_await truth();
    if (!more) break;
  }
  for (int i = 0; i < 3; ++i) co_await truth();
  int n = co_await take_int(1);
  switch (n) {
    case 1: co_await truth(); break;
    default: break;
  }
}

task<> a_condition_with_a_closure_that_awaits(group& tg) {
  auto start = [&tg](auto f) {
    tg.create_task(f);
    return true;
  };
  if (start([]() -> task<> { co_await truth(); })) co_await truth();
}

task<> choices(bool b, owner left, owner right) {
  int n = b ? co_await take_int(1) : 0;
  co_await take_int(b ? 1 : n);
  co_await take_owner(b ? left : right);
  co_await take_owner(*(b ? &left : &right));
  owner o(0);
  if (b)
    o = co_await give(1);
  else
    o = owner(2);
  owner chosen = b ? owner(1) : owner(2);
  co_await take_owner(chosen);
}

task<> temporaries_with_constructors(const std::string& base) {
  co_await take_int(static_cast<int>((base + ".org").size()));
  co_await take_owner(owner(1));
}

task<> aggregates_of_named_values() {
  owner name = co_await give(1);
  job j{std::move(name), 7};
  j.name = co_await give(2);
  co_await take(j);
}

task<> awaits_in_two_functions() {
  auto body = []() -> task<int> { co_return co_await take_int(1); };
  int n = co_await call([&body] {
    auto t = body();
    (void)t;
    return 1;
  });
  (void)n;
}

void no_coroutine(owner s, bool b) {
  (void)plainly([s] { return s.get(); });
  job j = b ? job{s, 1} : job(s, 2);
  alignas(64) char line[64] = {};
  (void)j;
  (void)line;
}

template <class T>
task<int> template_with_a_named_closure(T s) {
  auto f = [s] { return s.get(); };
  int n = co_await call(f);
  co_return n;
}
template task<int> template_with_a_named_closure(owner);
