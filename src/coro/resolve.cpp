// SPDX-License-Identifier: BSL-1.0
// Names and addresses: event_loop::getaddrinfo() and getnameinfo().
#include <asyncio/event_loop.hpp>

#include "coro/resolve_wait.hpp"

#include "coro/event_loop_impl.hpp"

namespace asyncio {

namespace {

template <class Query>
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): the loop that runs it
coroutine<typename Query::answer> ask(const char* call, loop::loop& l, Query query) {
  coro::check_awaited_in(l, call);
  io::check_query(query);
  if (auto known = io::resolve_numeric(query)) co_return std::move(*known);
  coro::resolve_wait<Query> wait(l, std::move(query));
  co_await detail::in_place(wait);
  co_return std::move(wait.answer);
}

}  // namespace

coroutine<std::vector<socket_address>> event_loop::getaddrinfo(std::string_view host, int port,
                                                               getaddrinfo_options options) {
  check_thread("loop.getaddrinfo()");
  io::name_query query;
  query.host = host;
  query.port = port;
  query.family = options.family;
  query.type = options.type;
  query.protocol = options.proto;
  query.flags = options.flags;
  return ask("getaddrinfo", *impl_->loop, std::move(query));
}

coroutine<std::pair<std::string, std::string>> event_loop::getnameinfo(const socket_address& address, int flags) {
  check_thread("loop.getnameinfo()");
  return ask("getnameinfo", *impl_->loop, io::reverse_query{address, flags});
}

}  // namespace asyncio
