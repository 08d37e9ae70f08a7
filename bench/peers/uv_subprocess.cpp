// SPDX-License-Identifier: BSL-1.0
// libuv's side of bench/subprocess.cpp.
#include <uv.h>

#include <cstdint>
#include <vector>

namespace {

struct run;

struct child {
  uv_process_t handle{};
  run* owner = nullptr;
};

struct run {
  int to_start = 0;
  void start(child& c);
};

void run::start(child& c) {
  --to_start;
  char program[] = "/bin/true";
  char* argv[] = {program, nullptr};
  uv_process_options_t options{};
  options.file = program;
  options.args = argv;
  options.exit_cb = [](uv_process_t* handle, std::int64_t, int) {
    uv_close(reinterpret_cast<uv_handle_t*>(handle), [](uv_handle_t* closed) {
      auto* ended = static_cast<child*>(closed->data);
      if (ended->owner->to_start > 0) ended->owner->start(*ended);
    });
  };
  c.owner = this;
  c.handle = {};
  c.handle.data = &c;
  uv_spawn(uv_default_loop(), &c.handle, &options);
}

}  // namespace

/// Starts /bin/true `count` times, at most `at_once` at a time, and hears of each end.
void uv_spawn_and_wait(int count, int at_once) {
  run all;
  all.to_start = count;
  std::vector<child> children(static_cast<std::size_t>(at_once));
  for (child& each : children) all.start(each);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
