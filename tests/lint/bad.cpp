// SPDX-License-Identifier: BSL-1.0
// Every way to write a miscompiled coroutine that the lint must find. A line that it must flag says so at its end.
#include "snippets.hpp"

// ---- G1: a closure that owns something, as a temporary beside co_await

task<> g1_by_value(owner s) {
  int n = co_await call([s] { return s.get(); });  // lint: G1
  (void)n;
}

task<> g1_by_forwarding_reference(owner s) {
  co_await call_reference([s] { return s.get(); });  // lint: G1
}

task<> g1_by_const_reference(owner s) {
  co_await call_const([s] { return s.get(); });  // lint: G1
}

task<> g1_as_std_function(owner s) {
  co_await call_function([s] { return s.get(); });  // lint: G1
}

task<> g1_passed_to_a_plain_function(owner s) {
  co_await take_int(plainly([s] { return s.get(); }));  // lint: G1
}

task<> g1_called_in_place(owner s) {
  co_await [s]() -> task<int> { co_return s.get(); }();  // lint: G1
}

task<> g1_moved_capture(owner s) {
  co_await call([s = std::move(s)] { return s.get(); });  // lint: G1
}

task<int> g1_in_co_return(owner s) {
  co_return co_await call([s] { return s.get(); });  // lint: G1
}

task<> g1_over_several_lines(owner s) {
  int n = co_await call(
      [s] {  // lint: G1
        return s.get();
      });
  (void)n;
}

task<int> g1_beside_a_co_await(owner s) {
  int n = plainly([s] { return s.get(); }) + co_await take_int(1);  // lint: G1
  co_return n;
}

task<> g1_inside_a_coroutine_closure(owner s) {
  auto body = [&s]() -> task<int> {
    co_return co_await call([s] { return s.get(); });  // lint: G1
  };
  co_await body();
}

task<> g1_coroutine_closure_as_argument(owner s) {
  int n = co_await call([s]() -> int { return s.get(); });  // lint: G1
  (void)n;
}

template <class T>
task<int> g1_in_a_template(T s) {
  int n = co_await call([s] { return s.get(); });  // lint: G1
  co_return n;
}
template task<int> g1_in_a_template(owner);

struct g1_member {
  owner state{1};
  task<int> method() {
    owner copy = state;
    int n = co_await call([copy] { return copy.get(); });  // lint: G1
    co_return n;
  }
};

// ---- G2: an aggregate that owns something, as a temporary beside co_await

task<> g2_named(owner s) {
  co_await take(job{s, 1});  // lint: G2
}

task<> g2_designated(owner s) {
  co_await take({.name = s, .count = 1});  // lint: G2
}

task<> g2_by_reference(owner s) {
  co_await take_const(job{s, 1});  // lint: G2
}

task<> g2_empty_braces() {
  co_await take_default({});  // lint: G2
}

task<> g2_default_argument() {
  co_await take_default();  // lint: G2
}

task<> g2_awaiter(owner s) {
  co_await aggregate_awaiter<int>{s};  // lint: G2
}

task<> g2_member_of_a_temporary(owner s) {
  co_await take_owner(job{s, 1}.name);  // lint: G2
}

task<job> g2_yielded(owner s) {
  co_yield job{s, 1};  // lint: G2
}

task<int> g2_in_co_return(owner s) {
  co_return co_await take(job{s, 1});  // lint: G2
}

// ---- G3: co_await in a condition

task<> g3_if() {
  if (co_await truth()) co_await truth();  // lint: G3
}

task<> g3_if_not() {
  if (!co_await truth()) co_await truth();  // lint: G3
}

task<> g3_if_and(bool a) {
  if (a && co_await truth()) co_await truth();  // lint: G3
}

task<> g3_while() {
  while (co_await truth()) {  // lint: G3
  }
}

task<> g3_do() {
  do {  // lint: G3
  } while (co_await truth());
}

task<> g3_for() {
  for (; co_await truth();) {  // lint: G3
  }
}

task<> g3_switch() {
  switch (co_await take_int(1)) {  // lint: G3
    default: break;
  }
}

task<> g3_inside_a_loop() {
  while (true) {
    if (co_await truth()) break;  // lint: G3
  }
}

task<> g3_compared() {
  if (co_await take_int(1) == 1) co_await truth();  // lint: G3
}

template <class T>
task<> g3_in_a_template_nobody_uses(T awaitable) {
  if (co_await awaitable) co_await truth();  // lint: G3
}

task<> g3_inside_a_closure() {
  auto body = []() -> task<> {
    if (co_await truth()) co_return;  // lint: G3
  };
  co_await body();
}

// ---- G4: a choice between objects beside co_await

task<> g4_of_awaits(bool b) {
  owner o = b ? co_await give(1) : co_await give(2);  // lint: G4
  (void)o;
}

task<> g4_one_await(bool b) {
  owner o = b ? co_await give(1) : owner(2);  // lint: G4
  (void)o;
}

task<> g4_as_argument(bool b) {
  co_await take_owner(b ? owner(1) : owner(2));  // lint: G4
}

task<> g4_with_a_copy(bool b, owner s) {
  co_await take_owner(b ? owner(1) : s);  // lint: G4
}

task<> g4_of_functions(bool b) {
  auto make = [](int n) { return owner(n); };
  co_await take_owner(b ? make(1) : make(2));  // lint: G4
}

task<owner> g4_in_co_return(bool b) {
  co_return b ? co_await give(1) : owner(1);  // lint: G4
}

task<> g4_in_parentheses(bool b) {
  co_await take_int((b ? co_await give(1) : owner(2)).get());  // lint: G4 G15
}

// ---- G7: an over-aligned local

task<> g7_local() {
  alignas(64) char line[64] = {};  // lint: G7
  co_await take_int(line[0]);
}

// ---- G15: two co_awaits in one expression, none inside the other

task<> g15_sum() {
  int n = co_await take_int(1) + co_await take_int(2);  // lint: G15
  (void)n;
}

task<> g15_nested() {
  int n = co_await take_int(co_await take_int(2));  // lint: G15
  (void)n;
}

// ---- G16: co_await inside the braces of an aggregate

task<> g16_local() {
  job j{co_await give(1), 7};  // lint: G16
  (void)j;
}

task<> g16_assigned() {
  job j = {co_await give(1), 7};  // lint: G16
  (void)j;
}

task<job> g16_in_co_return() {
  co_return job{co_await give(1), 1};  // lint: G16 G2
}

task<> g16_inside_a_call() {
  job j{owner(co_await take_int(1)), 7};  // lint: G16
  (void)j;
}

// ---- G17: an aggregate in parentheses beside co_await

task<> g17_argument(owner s) {
  co_await take(job(s, 1));  // lint: G17
}

task<job> g17_yielded(owner s) {
  co_yield job(s, 1);  // lint: G17
}

task<> g17_awaiter(owner s) {
  co_await aggregate_awaiter<int>(s);  // lint: G17
}
