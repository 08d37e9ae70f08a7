// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/plain_options.hpp>
#include <asyncio/detail/shared_text.hpp>
#include <asyncio/event_loop.hpp>
#include <asyncio/streams.hpp>
#include <asyncio/testing/callable_ref.hpp>
#include <asyncio/time.hpp>

#include <concepts>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace asyncio::testing {

/// A stream broke a law. what() is "law: what was seen".
class law_error : public std::logic_error {
 public:
  law_error(const std::string& law, const std::string& seen)
      : std::logic_error(law + ": " + seen), law_(law), seen_(seen) {}
  /// The law, in one sentence.
  const std::string& law() const noexcept { return law_.str(); }
  /// What was seen instead.
  const std::string& seen() const noexcept { return seen_.str(); }

 private:
  asyncio::detail::shared_text law_;
  asyncio::detail::shared_text seen_;
};

/// What a kind of stream cannot do, and how it is run. `half_close`: write_eof() ends one direction alone; false: it is
/// refused, as under TLS. `one_way`: bytes go from the first connection's writer to the second's reader only, as through a
/// pipe. `abort_is_told`: an abort is an error to the peer, never an end: true of TLS and of stream_pair(), where TCP ends
/// in silence. `patience`: in real time; so long may nothing go on before it counts as a hang. `backend`: of the loops.
struct check_stream_options {
  bool half_close = true;
  bool one_way = false;
  bool abort_is_told = false;
  timedelta patience = std::chrono::seconds(10);
  backend_kind backend = backend_kind::automatic;
};
static_assert(asyncio::detail::plain_options<check_stream_options>);

namespace detail {

using connection_pair = std::pair<connection, connection>;
using pair_maker = callable_ref<coroutine<connection_pair>>;

template <class X>
concept makes_pair = std::convertible_to<X, connection_pair>;
template <class X>
concept awaits_pair = awaitable<X> && makes_pair<asyncio::detail::value_t<X>>;

coroutine<connection_pair> have_pair(connection_pair made);
template <class A>
coroutine<connection_pair> await_pair(A awaited) {
  connection_pair made = co_await std::move(awaited);
  co_return std::move(made);
}

std::size_t check_laws(pair_maker make, check_stream_options options);

}  // namespace detail

/// Holds a kind of two-way stream to the laws of streams: order and wholeness, ends, half-close, abort, backpressure both
/// ways, cancellation at every await, closing and dropping in every order. `make` is called again and again, in a loop
/// that runs; each time it gives a fresh pair of connections that are each other's peer, at once or by an awaitable. What
/// keeps them alive, a relay for example, it leaves to tasks that end when the connections do. Each law has a loop of its
/// own, on the machine's clock, and may leave nothing behind.
/// Returns how many laws were checked.
/// Errors: law_error; what `make` threw.   Thread: any in which no loop runs.   Python: trio's check_two_way_stream().
template <class F>
  requires std::invocable<F&> &&
           (detail::makes_pair<std::invoke_result_t<F&>> || detail::awaits_pair<std::invoke_result_t<F&>>)
std::size_t check_stream(F&& make, check_stream_options options = {}) {
  const auto call = [&make]() -> coroutine<detail::connection_pair> {
    if constexpr (detail::makes_pair<std::invoke_result_t<F&>>)
      return detail::have_pair(make());
    else
      return detail::await_pair<std::invoke_result_t<F&>>(make());
  };
  return detail::check_laws(detail::pair_maker(call), options);
}

}  // namespace asyncio::testing
