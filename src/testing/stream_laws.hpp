// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "testing/injector.hpp"

#include <asyncio/testing/check_stream.hpp>

#include <asyncio/coroutine.hpp>
#include <asyncio/event_loop.hpp>
#include <asyncio/streams.hpp>
#include <asyncio/task.hpp>

#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio::testing::laws {

/// The machine's time, with a cancellation of a task at the n-th point from now: real sockets know no other time.
class law_clock final : public clock_source, public injector {
 public:
  time_point now() noexcept override;
  void arrange(asyncio::detail::op_queue& batch) noexcept override { put_among(batch, true); }
  void cancel_at(std::size_t point, const any_task& victim);
  /// Nobody is cancelled any more.
  void disarm() noexcept;
  bool has_cancelled() const noexcept { return cancelled_; }
  /// The victim has noticed its cancellation, and takes it upon itself. False: it is another one.
  bool take_cancellation() noexcept;

 private:
  void inject() noexcept override;
  any_task victim_;
  bool cancelled_ = false;
  bool taken_ = false;
};

/// Both ends, as one direction sees them: `from` writes, `to` reads.
struct ends {
  ends(connection f, connection t) noexcept : from(std::move(f)), to(std::move(t)) {}
  connection from;
  connection to;
};

/// What a law's body sees of its run.
class bench {
 public:
  bench(detail::pair_maker make, const check_stream_options& options, law_clock& clock) noexcept
      : make_(make), options_(options), clock_(clock) {}

  const check_stream_options& options() const noexcept { return options_; }
  law_clock& clock() noexcept { return clock_; }
  /// How many directions there are.
  int ways() const noexcept { return options_.one_way ? 1 : 2; }
  /// A fresh pair, for one of them. Its being made is progress.
  coroutine<ends> make(int way = 0);
  /// The body went on: the time in which something must happen begins anew.
  void progress();
  /// Waits until this process has no other descriptors than it had.   Errors: violation.
  coroutine<> wait_until_closed(std::vector<int> before);

  /// Runs a law's body. A hang ends it by a violation that says who waits.
  coroutine<> run(coroutine<> body);
  /// What `make` threw, if that is what ended the body.
  std::exception_ptr failure_to_make() const noexcept { return failure_to_make_; }

 private:
  void hang();
  const detail::pair_maker make_;
  const check_stream_options& options_;
  law_clock& clock_;
  any_task body_;
  std::optional<timer_handle> alarm_;
  std::string hung_;
  std::exception_ptr failure_to_make_;
};

struct law {
  const char* sentence;
  coroutine<> (*body)(bench&);
  bool (*applies)(const check_stream_options&) = nullptr;  // null: to every stream
};
std::vector<law> laws_of_bytes();
std::vector<law> laws_of_ends();
std::vector<law> laws_of_flow();
std::vector<law> laws_of_cancellation();

/// A law is broken: what was seen. Not a std::exception: no body takes it for a stream's error.
struct violation {
  explicit violation(std::string text) : seen(std::move(text)) {}
  std::string seen;
};
inline void require(bool holds, const char* otherwise) {
  if (!holds) throw violation(otherwise);
}

/// Bytes that look different wherever they are cut. `from`: how many came before.
std::string pattern(std::size_t size, std::size_t from = 0);
/// Errors: violation that says where they begin to differ.
void require_same(std::string_view got, std::string_view wanted);
/// The same; nothing is missing but at the end.
void require_prefix(std::string_view got, std::string_view wanted);
/// "std::runtime_error: …", "nothing was thrown".
std::string name_of(const std::exception_ptr& error);

/// How a wait of a stream ended.
struct ending {
  // NOLINTNEXTLINE(bugprone-throw-keyword-missing): it is kept
  explicit ending(std::exception_ptr e) noexcept : error(std::move(e)) {}
  ending(std::string b, std::exception_ptr e) noexcept : bytes(std::move(b)), error(std::move(e)) {}
  std::string bytes;
  std::exception_ptr error;
  bool is_system_error() const noexcept;
};
/// Awaits; a std::exception is no failure but the answer.
coroutine<ending> ending_of(coroutine<> awaited);
/// Everything that comes up to the end, or to an error.
coroutine<ending> read_to_end(stream_reader& reader);

/// Awaits all of them. The first error cancels the others, and comes out when they have ended.
coroutine<> finish(std::vector<task<>> running);
/// Runs them at once. The first error cancels the others, and comes out when they have ended.
coroutine<> together(std::vector<coroutine<>> all);
template <class... C>
coroutine<> together(C... all) {
  std::vector<coroutine<>> list;
  list.reserve(sizeof...(C));
  (list.push_back(std::move(all)), ...);
  return together(std::move(list));
}

coroutine<> turns(int n);
/// Writes all of it, in pieces, by every means that there is for it.
coroutine<> send(stream_writer& writer, std::string_view bytes, std::size_t piece);
/// Reads that, in pieces, by every means that there is for it.   Errors: violation for another byte.
coroutine<> receive(stream_reader& reader, std::string_view wanted, std::size_t piece, std::string& got);
/// Closes both sides and waits for both. What becomes of bytes that are still under way is nobody's business.
coroutine<> close_both(ends& e);
/// The peer of one that closes: reads up to the end, and closes too.
coroutine<> answer_close(connection& c, std::string& got);

}  // namespace asyncio::testing::laws
