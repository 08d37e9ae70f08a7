// SPDX-License-Identifier: BSL-1.0
// datagrams, both ends
#include <asyncio/asyncio.hpp>
#include <iostream>
using namespace asyncio;

coroutine<> amain() {
  datagram_endpoint server_side = co_await open_datagram_endpoint({.local_addr = {"127.0.0.1", 0}});
  auto client = co_await open_datagram_endpoint({.remote_addr = {"127.0.0.1", server_side.port()}});
  co_await client.send("ping");
  auto [data, address] = co_await server_side.recvfrom();
  std::cout << data << " from " << address.to_string() << '\n';
  co_await server_side.sendto("pong", address);
  co_await server_side.sendto(data, socket_address("127.0.0.1", 9));
  auto reply = co_await wait_for(client.recvfrom(), 1s);
  if (reply.address == server_side.sockname()) client.close();
}
int main() { run(amain()); }
