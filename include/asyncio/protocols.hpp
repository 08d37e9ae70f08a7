// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/coroutine.hpp>
#include <asyncio/event_loop.hpp>
#include <asyncio/net.hpp>
#include <asyncio/streams.hpp>
#include <asyncio/transports.hpp>

#include <concepts>
#include <string_view>
#include <type_traits>
#include <utility>

// The event_loop's functions that connect a protocol and a transport.
//
// A factory is a function without arguments that returns the std::shared_ptr of a new protocol; it is copied, or moved in,
// by the call, as all arguments are. auto [transport, protocol] = co_await loop.create_connection(factory, host, port).
// They return when connection_made() has been called. Callbacks run in the context of the call.
// Thread: the loop's.   Cancel: safe, nothing stays open.   Errors: those of the function for streams, and what the factory
// throws.

namespace asyncio {

namespace detail {

/// A factory of protocols, its type forgotten.
struct protocol_factory : client_callback {
  using client_callback::client_callback;
  std::shared_ptr<base_protocol> (*make)(protocol_factory*) = nullptr;
  counted_thing variables = values_for_later();  ///< of the context that it was given in
};
using protocol_factory_ptr = counted_ptr<protocol_factory>;

template <class F>
using made_by = std::invoke_result_t<std::decay_t<F>&>;
template <class F>
concept makes_shared = std::invocable<std::decay_t<F>&> && requires {
  typename made_by<F>::element_type;
  requires std::same_as<made_by<F>, std::shared_ptr<typename made_by<F>::element_type>>;
};
template <class P>
concept stream_protocol = std::derived_from<P, protocol> || std::derived_from<P, buffered_protocol>;
template <class F>
concept stream_factory = makes_shared<F> && stream_protocol<typename made_by<F>::element_type>;
template <class F>
concept datagram_factory = makes_shared<F> && std::derived_from<typename made_by<F>::element_type, datagram_protocol>;

#define ASYNCIO_PROTOCOL_SENTENCE                                                                      \
  "a factory takes nothing and returns std::shared_ptr<P>, P being derived from asyncio::protocol or " \
  "buffered_protocol"
#define ASYNCIO_DATAGRAM_PROTOCOL_SENTENCE \
  "a factory takes nothing and returns std::shared_ptr<P>, P being derived from asyncio::datagram_protocol"

template <class F>
struct typed_protocol_factory final : protocol_factory {
  using made = made_by<F>;
  template <class G>
  explicit typed_protocol_factory(std::in_place_t, G&& g)
      : protocol_factory([](counted* self) noexcept { delete static_cast<typed_protocol_factory*>(self); }),
        factory(std::forward<G>(g)) {
    this->makes_protocols = true;
    this->make = [](protocol_factory* self) -> std::shared_ptr<base_protocol> {
      auto* me = static_cast<typed_protocol_factory*>(self);
      made fresh = detail::invoke(me->factory);
      if (me->keeps) me->last = fresh;
      return fresh;
    };
  }
  F factory;
  bool keeps = false;  ///< of one connection: what it has made is part of the result
  made last;
};
template <class F>
using typed_factory_ptr = counted_ptr<typed_protocol_factory<std::decay_t<F>>>;

template <class F>
typed_factory_ptr<F> make_protocol_factory(F&& factory) {
  return typed_factory_ptr<F>(new typed_protocol_factory<std::decay_t<F>>(std::in_place, std::forward<F>(factory)));
}
template <class F>
protocol_factory_ptr forget_type(const typed_factory_ptr<F>& factory) {
  factory->keeps = true;
  factory->uses.fetch_add(1, order::relaxed);
  return protocol_factory_ptr(factory.get());
}
template <class T, class F>
using made_pair = std::pair<std::shared_ptr<T>, made_by<F>>;
template <class T, class F>
coroutine<made_pair<T, F>> with_protocol(coroutine<std::shared_ptr<T>> connecting, typed_factory_ptr<F> factory) {
  std::shared_ptr<T> made = co_await std::move(connecting);
  co_return made_pair<T, F>(std::move(made), std::move(factory->last));
}

coroutine<std::shared_ptr<transport>> connect_protocol(event_loop& loop, protocol_factory_ptr factory,
                                                       std::string_view host, int port,
                                                       const connection_options& options);
coroutine<std::shared_ptr<transport>> connect_unix_protocol(event_loop& loop, protocol_factory_ptr factory,
                                                            std::string_view path, const connection_options& options);
coroutine<std::shared_ptr<transport>> adopt_protocol(event_loop& loop, protocol_factory_ptr factory, int sock);
coroutine<std::shared_ptr<transport>> connect_pipe(event_loop& loop, protocol_factory_ptr factory, int fd, bool reads);
coroutine<std::shared_ptr<datagram_transport>> open_datagram_protocol(event_loop& loop, protocol_factory_ptr factory,
                                                                      const datagram_options& options);
coroutine<server> serve_protocols(event_loop& loop, client_callback_ptr factory, std::string_view host, int port,
                                  server_options options);
coroutine<server> serve_unix_protocols(event_loop& loop, client_callback_ptr factory, std::string_view path,
                                       server_options options);

}  // namespace detail

#define ASYNCIO_CHECK_FACTORY(kind, sentence)         \
  static_assert(detail::kind##_factory<F>, sentence); \
  static_assert(closure_has_a_name<F>, ASYNCIO_CLOSURE_SENTENCE)

template <class F>
auto event_loop::create_connection(F&& factory, std::string_view host, int port, connection_options options) {
  ASYNCIO_CHECK_FACTORY(stream, ASYNCIO_PROTOCOL_SENTENCE);
  auto typed = detail::make_protocol_factory(std::forward<F>(factory));
  return detail::with_protocol<transport, F>(
      detail::connect_protocol(*this, detail::forget_type<F>(typed), host, port, options), typed);
}

template <class F>
auto event_loop::create_unix_connection(F&& factory, std::string_view path, connection_options options) {
  ASYNCIO_CHECK_FACTORY(stream, ASYNCIO_PROTOCOL_SENTENCE);
  auto typed = detail::make_protocol_factory(std::forward<F>(factory));
  return detail::with_protocol<transport, F>(
      detail::connect_unix_protocol(*this, detail::forget_type<F>(typed), path, options), typed);
}

template <class F>
auto event_loop::connect_accepted_socket(F&& factory, int sock) {
  ASYNCIO_CHECK_FACTORY(stream, ASYNCIO_PROTOCOL_SENTENCE);
  auto typed = detail::make_protocol_factory(std::forward<F>(factory));
  return detail::with_protocol<transport, F>(detail::adopt_protocol(*this, detail::forget_type<F>(typed), sock), typed);
}

template <class F>
auto event_loop::connect_read_pipe(F&& factory, int fd) {
  ASYNCIO_CHECK_FACTORY(stream, ASYNCIO_PROTOCOL_SENTENCE);
  auto typed = detail::make_protocol_factory(std::forward<F>(factory));
  return detail::with_protocol<transport, F>(detail::connect_pipe(*this, detail::forget_type<F>(typed), fd, true),
                                             typed);
}

template <class F>
auto event_loop::connect_write_pipe(F&& factory, int fd) {
  ASYNCIO_CHECK_FACTORY(stream, ASYNCIO_PROTOCOL_SENTENCE);
  auto typed = detail::make_protocol_factory(std::forward<F>(factory));
  return detail::with_protocol<transport, F>(detail::connect_pipe(*this, detail::forget_type<F>(typed), fd, false),
                                             typed);
}

template <class F>
auto event_loop::create_datagram_endpoint(F&& factory, datagram_options options) {
  ASYNCIO_CHECK_FACTORY(datagram, ASYNCIO_DATAGRAM_PROTOCOL_SENTENCE);
  auto typed = detail::make_protocol_factory(std::forward<F>(factory));
  return detail::with_protocol<datagram_transport, F>(
      detail::open_datagram_protocol(*this, detail::forget_type<F>(typed), options), typed);
}

template <class F>
auto event_loop::create_server(F&& factory, std::string_view host, int port, server_options options) {
  ASYNCIO_CHECK_FACTORY(stream, ASYNCIO_PROTOCOL_SENTENCE);
  detail::client_callback_ptr made(
      new detail::typed_protocol_factory<std::decay_t<F>>(std::in_place, std::forward<F>(factory)));
  return detail::serve_protocols(*this, std::move(made), host, port, options);
}

template <class F>
auto event_loop::create_unix_server(F&& factory, std::string_view path, server_options options) {
  ASYNCIO_CHECK_FACTORY(stream, ASYNCIO_PROTOCOL_SENTENCE);
  detail::client_callback_ptr made(
      new detail::typed_protocol_factory<std::decay_t<F>>(std::in_place, std::forward<F>(factory)));
  return detail::serve_unix_protocols(*this, std::move(made), path, options);
}

#undef ASYNCIO_CHECK_FACTORY

}  // namespace asyncio
