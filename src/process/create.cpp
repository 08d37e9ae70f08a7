// SPDX-License-Identifier: BSL-1.0
#include "io/transport.hpp"
#include "process/process.hpp"
#include "process/spawn_plan.hpp"
#include "streams/wait_line.hpp"

namespace asyncio {

namespace {

using processes::child_request;
using processes::process_core;
using processes::process_ref;

/// Everything that can fail comes before the child is there.
process start(loop::loop& l, child_request r) {
  r.check();
  processes::wiring wires(r);
  io::ref<io::child> child = io::child::make(l);
  const process_ref core = process_core::make(child);
  auto& [in, out, err] = wires.ours;
  const auto channel = [&l](io::unique_fd& fd, io::stream_kind kind) -> io::ref<io::channel> {
    return io::stream_transport::make_pipe(l, std::move(fd), kind);
  };
  if (in.get() >= 0) core->set_input(channel(in, io::stream_kind::pipe_to_write), r.limit);
  if (out.get() >= 0) core->set_output(channel(out, io::stream_kind::pipe_to_read), r.limit);
  if (err.get() >= 0) core->set_errors(channel(err, io::stream_kind::pipe_to_read), r.limit);
  child->start(r.spawn);
  return process::from_core(process_ref(core).detach());
}

// Others run before each child is started; a cancellation that comes until then starts none.
coroutine<process> create(child_request r) {
  co_await streams::turn_wait();
  co_return start(loop::loop::of(detail::running_loop()), std::move(r));
}

}  // namespace

void command::add(std::string_view word) { argv_.emplace_back(word); }

coroutine<process> create_subprocess_exec(command program, subprocess_options options) {
  return create(child_request(std::move(program).argv(), options));
}

coroutine<process> create_subprocess_shell(std::string_view text, subprocess_options options) {
  return create(child_request(processes::shell_command(text), options));
}

}  // namespace asyncio
