// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/asyncio.hpp>

#include "tls/certificates.hpp"

#include <gtest/gtest.h>

#include <exception>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace asyncio::tls_test {

/// A server with a certificate.
inline ssl_context server_context(const std::string& certificate) {
  ssl_context context = ssl_context::create_default_context(ssl_purpose::client_auth);
  context.load_cert_chain(certificate);
  return context;
}

/// A client that trusts an authority.
inline ssl_context client_context(const std::string& authority) {
  ssl_context context = ssl_context::create_default_context();
  context.load_verify_locations(authority);
  return context;
}

/// Both contexts of tests that are not about certificates.
struct contexts {
  contexts() : server(server_context(maker.issue("good"))), client(client_context(maker.trusted())) {}
  certificate_maker maker;
  ssl_context server;
  ssl_context client;
};

inline std::string text_of(const std::exception_ptr& error) {
  if (error == nullptr) return {};
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  }
}

inline int code_of(const std::exception_ptr& error) {
  if (error == nullptr) return 0;
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& e) {
    return e.code().value();
  }
}

template <class E>
bool is_a(const std::exception_ptr& error) {
  if (error == nullptr) return false;
  try {
    std::rethrow_exception(error);
  } catch (const E&) {
    return true;
  } catch (...) {
    return false;
  }
}

/// What a coroutine throws; null for nothing.
inline coroutine<std::exception_ptr> failure_of(coroutine<> awaited) {
  std::exception_ptr error;
  try {
    co_await std::move(awaited);
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  co_return error;
}

inline coroutine<> read_and_forget(stream_reader& reader) { const std::string bytes = co_await reader.read(); }

inline coroutine<> read_a_little(stream_reader& reader) { const std::string bytes = co_await reader.read(10); }
inline coroutine<> read_everything(stream_reader& reader) {
  while (true) {
    const std::string bytes = co_await reader.read(100);
    if (bytes.empty()) co_return;
  }
}
inline coroutine<> write_slowly(stream_writer& writer, int bytes) {
  for (int i = 0; i < bytes; ++i) {
    co_await writer.write_all("x");
    co_await sleep(300ms);
  }
}
template <class T>
coroutine<> wait_and_forget(task<T> t) {
  co_await std::move(t);
}

/// Two ends in memory after a handshake, and how it went on either side.
struct secured {
  secured(connection c, connection s) : client(std::move(c)), served(std::move(s)) {}
  connection client;
  connection served;
  std::exception_ptr client_error;
  std::exception_ptr server_error;
};

inline coroutine<secured> shake_hands(ssl_context client, ssl_context server, std::string name = "localhost",
                                      std::size_t buffer = 64 * 1024) {
  auto [a, b] = testing::stream_pair({.buffer = buffer});
  secured both(std::move(a), std::move(b));
  auto [client_error, server_error] =
      co_await gather(failure_of(both.client.writer.start_tls(client, {.server_hostname = name})),
                      failure_of(both.served.writer.start_tls(server, {.server_side = true})));
  both.client_error = client_error;
  both.server_error = server_error;
  co_return std::move(both);
}

/// The same, where it must go well.
inline coroutine<secured> make_secured(const contexts& c, std::size_t buffer = 64 * 1024) {
  secured both = co_await shake_hands(c.client, c.server, "localhost", buffer);
  EXPECT_EQ(text_of(both.client_error), "");
  EXPECT_EQ(text_of(both.server_error), "");
  co_return std::move(both);
}

/// Both say goodbye, as each waits for the other.
inline coroutine<> close_both(secured& both) {
  co_await gather(both.client.writer.aclose(), both.served.writer.aclose());
}

}  // namespace asyncio::tls_test
