// SPDX-License-Identifier: BSL-1.0
// The server of bench/net.py with libuv.
#include "listen.hpp"

#include <uv.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t most = 256 * 1024;
constexpr std::size_t request = 1024;
constexpr std::size_t piece = 64;

bool in_pieces = false;

struct client {
  uv_tcp_t handle{};
  std::array<uv_write_t, request / piece> writes;
  std::vector<char> buffer = std::vector<char>(in_pieces ? request : most);
  std::size_t gathered = 0;
  bool paused = false;

  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&handle); }
};

client& owner(const void* data) { return *static_cast<client*>(const_cast<void*>(data)); }

void room_for(uv_handle_t* handle, std::size_t, uv_buf_t* room) {
  client& c = owner(handle->data);
  *room = uv_buf_init(c.buffer.data() + c.gathered, static_cast<unsigned>(c.buffer.size() - c.gathered));
}

void over(client& c) {
  uv_close(reinterpret_cast<uv_handle_t*>(&c.handle), [](uv_handle_t* handle) { delete &owner(handle->data); });
}

void received(uv_stream_t* stream, ssize_t n, const uv_buf_t*);

void written(uv_write_t* write, int error) {
  client& c = owner(write->handle->data);
  if (error != 0 || !c.paused || c.handle.write_queue_size > 0) return;
  c.paused = false;
  uv_read_start(c.stream(), room_for, received);
}

// At once as far as the kernel takes it: a uv_write() that succeeds costs a call of epoll_ctl besides.
void write_back(client& c, uv_write_t& write, char* from, std::size_t size) {
  uv_buf_t bytes = uv_buf_init(from, static_cast<unsigned>(size));
  const int sent = std::max(uv_try_write(c.stream(), &bytes, 1), 0);
  if (static_cast<std::size_t>(sent) == size) return;
  bytes = uv_buf_init(from + sent, static_cast<unsigned>(size) - static_cast<unsigned>(sent));
  uv_write(&write, c.stream(), &bytes, 1, written);
}

void received(uv_stream_t* stream, ssize_t n, const uv_buf_t*) {
  client& c = owner(stream->data);
  if (n == 0) return;
  if (n < 0) return over(c);
  if (in_pieces) {
    c.gathered += static_cast<std::size_t>(n);
    if (c.gathered < request) return;
    c.gathered = 0;
    for (std::size_t i = 0; i < c.writes.size(); ++i) write_back(c, c.writes[i], c.buffer.data() + i * piece, piece);
  } else {
    write_back(c, c.writes[0], c.buffer.data(), static_cast<std::size_t>(n));
  }
  if (c.handle.write_queue_size == 0) return;
  c.paused = true;  // the buffer is in use
  uv_read_stop(stream);
}

void connected(uv_stream_t* listener, int error) {
  if (error != 0) return;
  auto* c = new client;
  uv_tcp_init(listener->loop, &c->handle);
  c->handle.data = c;
  if (uv_accept(listener, c->stream()) != 0) return over(*c);
  uv_tcp_nodelay(&c->handle, 1);
  uv_read_start(c->stream(), room_for, received);
}

}  // namespace

int main(int argc, char** argv) {
  in_pieces = argc > 1 && std::string_view(argv[1]) == "pieces";
  uv_tcp_t listener;
  uv_tcp_init(uv_default_loop(), &listener);
  uv_tcp_open(&listener, bench::listen_somewhere());
  uv_listen(reinterpret_cast<uv_stream_t*>(&listener), bench::backlog, connected);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
