// SPDX-License-Identifier: BSL-1.0
// ssl=True, ssl=context, server with its certificate, start_tls
#include <asyncio/asyncio.hpp>
#include <iostream>
#include <string>
using namespace asyncio;

coroutine<> handler(stream_reader r, stream_writer w) { auto line = co_await r.readline(); co_await w.write_all(line); }

coroutine<> amain() {
  auto [reader, writer] = co_await open_connection("example.org", 443, {.ssl = true, .server_hostname = "example.org"});
  if (auto info = writer.ssl_info()) std::cout << info->version << ' ' << info->cipher << '\n';

  auto client = ssl_context::create_default_context();
  client.load_verify_locations("ca.pem");
  client.set_alpn_protocols({"h2", "http/1.1"});
  client.set_minimum_version(tls_version::tls1_3);
  client.set_check_hostname(false);
  client.set_verify_mode(verify_mode::required);
  auto [r2, w2] = co_await open_connection("localhost", 8443, {.ssl = client});

  auto ctx = ssl_context::create_default_context(ssl_purpose::client_auth);
  ctx.load_cert_chain("cert.pem", "key.pem");
  auto s = co_await start_server(handler, "", 8443, {.ssl = ctx, .backlog = 10});

  auto [r3, w3] = co_await open_connection("localhost", 25);
  w3.write("STARTTLS\r\n");
  co_await w3.drain();
  auto answer = co_await r3.readline();
  co_await w3.start_tls(client, {.server_hostname = "localhost"});
  try { co_await w2.write_all(answer); } catch (const ssl_error& e) { std::cerr << e.what() << '\n'; }
}
int main() { run(amain()); }
