// SPDX-License-Identifier: BSL-1.0
// TLS on both sides: an echo server, and a client that says one line to it and reads it back.
// See: build/dev/bin/tls_echo      shows what a client believes, with a certificate that `openssl` makes for it; and
//   build/dev/bin/tls_echo --port 8443 --tls cert.pem key.pem &  then  openssl s_client -connect localhost:8443
//   build/dev/bin/tls_echo --client --port 8443 --ca cert.pem --name localhost --message hello
// Exit status: 3 the certificate was refused, 4 the connection was cut off, 6 another connection error.
#include "support/program.hpp"
#include "support/serving.hpp"

#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>

#include <stdlib.h>

namespace {

struct client_settings {
  std::string host = "127.0.0.1", name, authority, message = "hello";
  int port = 0;
};

asyncio::coroutine<> echo(asyncio::stream_reader reader, asyncio::stream_writer writer) {
  while (auto line = co_await reader.next()) co_await writer.write_all(std::move(*line));
  co_await writer.aclose();
}

asyncio::coroutine<int> say(client_settings s) {
  asyncio::ssl_context context = asyncio::ssl_context::create_default_context();
  if (!s.authority.empty()) context.load_verify_locations(s.authority);
  auto connecting = asyncio::open_connection(s.host, s.port, {.ssl = context, .server_hostname = s.name});
  auto [reader, writer] = co_await std::move(connecting);
  co_await writer.write_all(s.message + "\n");
  std::string line = co_await reader.readuntil();
  if (const auto info = writer.ssl_info())
    std::printf("%s %s: %s", info->version.c_str(), info->session_reused ? "(resumed)" : "(new)", line.c_str());
  co_await writer.aclose();
  co_return example::exit_ok;
}

/// A folder with cert.pem and key.pem for localhost: what is needed to try things out, and not more.
asyncio::coroutine<std::string> make_certificate() {
  std::string folder = (std::filesystem::temp_directory_path() / "tls-echo-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("cannot make a folder for the certificate");
  asyncio::process openssl = co_await asyncio::create_subprocess_exec(
      asyncio::command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                       "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
                       folder + "/key.pem", "-out", folder + "/cert.pem"),
      {.err = asyncio::subprocess::devnull});
  const int status = co_await openssl.wait();
  if (status != 0) throw std::runtime_error("openssl made no certificate");
  co_return folder;
}

asyncio::coroutine<> try_to_say(std::string who, client_settings s) {
  std::printf("%s: ", who.c_str());
  try {
    co_await say(s);
  } catch (const asyncio::ssl_error& e) {
    std::printf("%s\n", e.what());
  }
}

asyncio::coroutine<int> show() {
  std::string folder = co_await make_certificate();
  asyncio::ssl_context context = asyncio::ssl_context::create_default_context(asyncio::ssl_purpose::client_auth);
  context.load_cert_chain(folder + "/cert.pem", folder + "/key.pem");
  asyncio::server server = co_await asyncio::start_server(echo, "127.0.0.1", 0, {.ssl = context});

  client_settings s;
  s.port = server.port();
  s.name = "localhost";
  co_await try_to_say("who trusts nobody but the system's authorities", s);
  s.authority = folder + "/cert.pem";
  co_await try_to_say("who trusts the certificate", s);
  s.name = "example.org";
  co_await try_to_say("who wants somebody else", s);
  co_await server.shutdown(std::chrono::seconds(1));
  std::filesystem::remove_all(folder);
  co_return example::exit_ok;
}

}  // namespace

int main(int argc, char** argv) {
  example::server_settings server;
  client_settings client;
  bool is_client = false;
  example::arguments args("tls_echo", "An echo server under TLS, and its client; without arguments, a demonstration.");
  args.flag("--client", "be the client, of the server at --host and --port", is_client);
  args.text("--ca", "FILE", "client: trust these certificates, too (PEM)", client.authority);
  args.text("--name", "NAME", "client: the name in the server's certificate (default: the host)", client.name);
  args.text("--message", "TEXT", "client: the line to say (default: hello)", client.message);
  example::parse_server_arguments(args, server, argc, argv);
  if (argc == 1) return example::run_program("tls_echo", server.backend, show);
  client.host = server.host;
  client.port = server.port;
  if (is_client) return example::run_program("tls_echo", server.backend, [&] { return say(client); });
  if (!server.tls) args.refuse("a server needs --tls CERT KEY");
  return example::run_program("tls_echo", server.backend, [&] { return example::serve(server, echo); });
}
