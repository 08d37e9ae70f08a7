// SPDX-License-Identifier: BSL-1.0
// both: a handler of a Unix server that takes references
#include <asyncio/asyncio.hpp>
using namespace asyncio;

coroutine<> h(stream_reader&, stream_writer&) { co_return; }
coroutine<> x() { co_await start_unix_server(h, "/run/x.sock"); }
