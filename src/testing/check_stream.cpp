// SPDX-License-Identifier: BSL-1.0
// How a law is checked: on a loop of its own, on the machine's clock, by a body that makes as many pairs as it likes.
//
// - The body ends: what is left of the loop and of descriptors is counted, and that is a law too.
// - It throws a violation, or a stream's error that it did not expect: law_error.
// - `make` throws: that is no stream's fault, and comes out as it is.
// - Nothing goes on (the alarm that every new pair winds up rings): who waits for what is written down, the body is
//   cancelled, and the picture becomes the law_error.
// A body that fails leaves its pairs and tasks to the end of the run; no task of it refers to what dies before it does:
// together() waits for all of them.
#include "testing/stream_laws.hpp"

#include "base/clock.hpp"
#include "introspect/introspect.hpp"

#include <asyncio/run.hpp>
#include <asyncio/sleep.hpp>
#include <asyncio/testing/testing.hpp>
#include <asyncio/wait.hpp>

#include <algorithm>
#include <span>
#include <system_error>

namespace asyncio::testing {

namespace laws {

namespace {

constexpr const char* nothing_left = "nothing is left over when both ends are closed or dropped";

std::string seconds(timedelta t) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::nanoseconds(t)).count();
  return std::to_string(ms) + " ms";
}

/// What a byte looks like in a line of text.
std::string shown(char c) {
  if (c >= ' ' && c <= '~') return {'\'', c, '\''};
  return std::to_string(static_cast<unsigned char>(c));
}

}  // namespace

// ---- the run of a law

time_point law_clock::now() noexcept { return base::steady_clock_source().now(); }

void law_clock::cancel_at(std::size_t point, const any_task& victim) {
  cancelled_ = taken_ = false;
  victim_ = victim;
  arm(point);
}

void law_clock::disarm() noexcept {
  arm(0);
  victim_ = any_task();
}

bool law_clock::take_cancellation() noexcept { return cancelled_ && !std::exchange(taken_, true); }

void law_clock::inject() noexcept {
  if (!victim_ || victim_.done()) return;
  cancelled_ = true;
  victim_.cancel();
}

coroutine<ends> bench::make(int way) {
  progress();
  std::exception_ptr error;
  try {
    detail::connection_pair made = co_await make_();
    progress();
    if (way == 0) co_return ends(std::move(made.first), std::move(made.second));
    co_return ends(std::move(made.second), std::move(made.first));
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  failure_to_make_ = error;
  std::rethrow_exception(error);
}

void bench::progress() {
  if (alarm_) alarm_->cancel();
  alarm_ = get_running_loop().call_later(options_.patience, [this] { hang(); });
}

void bench::hang() {
  hung_ = "nothing went on for " + seconds(options_.patience);
  for (const any_task& task : all_tasks(get_running_loop())) hung_ += "\n" + introspect::describe(task, {.limit = 30});
  body_.cancel();
}

coroutine<> bench::run(coroutine<> body) {
  task<> running = create_task(std::move(body), {.name = "the law"});
  body_ = running;
  progress();
  std::exception_ptr error;
  try {
    co_await running;
  } catch (...) {
    error = std::current_exception();
  }
  if (alarm_) alarm_->cancel();
  alarm_.reset();
  clock_.disarm();
  body_ = any_task();
  if (!hung_.empty()) throw violation(hung_);
  if (error != nullptr) std::rethrow_exception(error);
}

coroutine<> bench::wait_until_closed(std::vector<int> before) {
  const time_point end = clock_.now() + std::chrono::nanoseconds(options_.patience);
  std::vector<int> now = ledger::now().descriptors;
  while (now != before && clock_.now() < end) {
    progress();
    co_await sleep(1ms);
    now = ledger::now().descriptors;
  }
  if (now.size() > before.size())
    throw violation("of " + std::to_string(now.size() - before.size()) + " descriptors that are still open");
}

// ---- bytes

std::string pattern(std::size_t size, std::size_t from) {
  std::string bytes(size, ' ');
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t at = from + i;
    bytes[i] = static_cast<char>('a' + (at * 7 + at / 26 + at / 677 + at / 60'000) % 26);
  }
  return bytes;
}

void require_prefix(std::string_view got, std::string_view wanted) {
  if (wanted.substr(0, got.size()) == got) return;
  const auto [g, w] = std::mismatch(got.begin(), got.end(), wanted.begin(), wanted.end());
  const std::string at = std::to_string(g - got.begin());
  if (w == wanted.end())
    throw violation("there were " + std::to_string(wanted.size()) + " bytes, and " + std::to_string(got.size()) +
                    " came");
  throw violation("byte " + at + " of " + std::to_string(wanted.size()) + " came as " + shown(*g) + " and was " +
                  shown(*w));
}

void require_same(std::string_view got, std::string_view wanted) {
  require_prefix(got, wanted);
  if (got.size() < wanted.size())
    throw violation("of " + std::to_string(wanted.size()) + " bytes " + std::to_string(got.size()) + " came");
}

std::string name_of(const std::exception_ptr& error) {
  if (error == nullptr) return "nothing was thrown";
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& e) {
    return std::string("std::system_error: ") + e.what();
  } catch (const incomplete_read_error& e) {
    return std::string("incomplete_read_error: ") + e.what();
  } catch (const std::invalid_argument& e) {
    return std::string("std::invalid_argument: ") + e.what();
  } catch (const std::runtime_error& e) {
    return std::string("std::runtime_error: ") + e.what();
  } catch (const std::exception& e) {
    return e.what();
  } catch (const cancelled_error&) {
    return "cancelled_error";
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

bool ending::is_system_error() const noexcept {
  if (error == nullptr) return false;
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error&) {
    return true;
  } catch (...) {
    return false;
  }
}

coroutine<ending> ending_of(coroutine<> awaited) {
  std::exception_ptr error;
  try {
    co_await std::move(awaited);
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  co_return ending(std::move(error));
}

coroutine<ending> read_to_end(stream_reader& reader) {
  std::string got;
  std::exception_ptr error;
  try {
    while (true) {
      const std::string bytes = co_await reader.read(64 * 1024);
      if (bytes.empty()) break;
      got += bytes;
    }
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  co_return ending(std::move(got), std::move(error));
}

// ---- what laws do

namespace {

/// Looks at all of them, so that none is reported as never retrieved.
std::exception_ptr first_error(const std::vector<task<>>& tasks) {
  std::exception_ptr first;
  for (const task<>& one : tasks) {
    const std::exception_ptr error = one.done() && !one.cancelled() ? one.exception() : nullptr;
    if (first == nullptr) first = error;
  }
  return first;
}

}  // namespace

coroutine<> finish(std::vector<task<>> running) {
  std::exception_ptr error;
  try {
    co_await wait(running, {.return_when = return_when::first_exception});
  } catch (...) {
    error = std::current_exception();
  }
  if (error == nullptr) error = first_error(running);
  for (const task<>& one : running) one.cancel();
  co_await wait(running);
  const std::exception_ptr later = first_error(running);
  if (error == nullptr) error = later;
  if (error != nullptr) std::rethrow_exception(error);
}

coroutine<> together(std::vector<coroutine<>> all) {
  std::vector<task<>> running;
  running.reserve(all.size());
  for (coroutine<>& one : all) running.push_back(create_task(std::move(one)));
  co_await finish(std::move(running));
}

coroutine<> turns(int n) {
  for (int i = 0; i < n; ++i) co_await sleep(0s);
}

coroutine<> send(stream_writer& writer, std::string_view bytes, std::size_t piece) {
  for (unsigned i = 0; !bytes.empty(); ++i) {
    const std::string_view now = bytes.substr(0, piece);
    bytes.remove_prefix(now.size());
    switch (i % 4) {
      case 0: writer.write(now); break;
      case 1: writer.write(std::string(now)); break;
      case 2: {
        const std::string_view halves[] = {now.substr(0, now.size() / 2), now.substr(now.size() / 2)};
        writer.writelines(halves);
        break;
      }
      default: co_await writer.write_all(now);
    }
    if (i % 8 == 7 || now.size() >= 4096) co_await writer.drain();
  }
}

coroutine<> receive(stream_reader& reader, std::string_view wanted, std::size_t piece, std::string& got) {
  const std::size_t size = wanted.size();
  std::string space(std::min(piece, size), ' ');
  for (unsigned i = 0; got.size() < size; ++i) {
    const std::size_t most = std::min(piece, size - got.size());
    std::string bytes;
    switch (i % 3) {
      case 0: bytes = co_await reader.read(static_cast<std::ptrdiff_t>(most)); break;
      case 1: bytes = co_await reader.readexactly(most); break;
      default: {
        const std::size_t n = co_await reader.read_into(std::span<char>(space.data(), most));
        bytes.assign(space, 0, n);
      }
    }
    if (bytes.empty())
      throw violation("the end came after " + std::to_string(got.size()) + " of " + std::to_string(size) + " bytes");
    if (bytes.size() > most) throw violation("a read gave more than it was asked for");
    const std::size_t before = got.size();
    got += bytes;
    if (wanted.substr(before, bytes.size()) != bytes) require_prefix(got, wanted);
  }
}

coroutine<> close_both(ends& e) {
  e.from.writer.close();
  e.to.writer.close();
  co_await ending_of(e.from.writer.wait_closed());
  co_await ending_of(e.to.writer.wait_closed());
}

coroutine<> answer_close(connection& c, std::string& got) {
  ending end = co_await read_to_end(c.reader);
  got = std::move(end.bytes);
  if (end.error != nullptr) throw violation("reading ended with " + name_of(end.error));
  co_await c.writer.aclose();
}

namespace {

/// One law, on a loop of its own.
void check(const law& l, detail::pair_maker make, const check_stream_options& options) {
  law_clock clock;
  bench b(make, options, clock);
  const ledger before = ledger::now();
  std::exception_ptr error;
  try {
    asyncio::run(b.run(l.body(b)), {.backend = options.backend, .clock = &clock});
  } catch (const violation& v) {
    throw law_error(l.sentence, v.seen);
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  if (b.failure_to_make() != nullptr) std::rethrow_exception(b.failure_to_make());
  if (error != nullptr) throw law_error(l.sentence, name_of(error));
  try {
    ledger::now().check_nothing_left_since(before);
  } catch (const std::logic_error& e) {
    throw law_error(nothing_left, std::string(e.what()) + " (after: " + l.sentence + ")");
  }
}

coroutine<> make_once(bench& b) {
  ends e = co_await b.make();
  co_await close_both(e);
}

/// What is made once, and kept, is no leak of a law.
void warm_up(detail::pair_maker make, const check_stream_options& options) {
  law_clock clock;
  bench b(make, options, clock);
  try {
    asyncio::run(b.run(make_once(b)), {.backend = options.backend, .clock = &clock});
  } catch (const violation& v) {
    throw law_error("closing both ends ends", v.seen);
  }
}

}  // namespace

}  // namespace laws

namespace detail {

coroutine<connection_pair> have_pair(connection_pair made) { co_return std::move(made); }

std::size_t check_laws(pair_maker make, check_stream_options options) {
  laws::warm_up(make, options);
  std::size_t checked = 0;
  for (const auto& all :
       {laws::laws_of_bytes(), laws::laws_of_ends(), laws::laws_of_flow(), laws::laws_of_cancellation()})
    for (const laws::law& l : all) {
      if (l.applies != nullptr && !l.applies(options)) continue;
      laws::check(l, make, options);
      ++checked;
    }
  return checked;
}

}  // namespace detail
}  // namespace asyncio::testing
