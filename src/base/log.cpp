// SPDX-License-Identifier: BSL-1.0
#include "base/log.hpp"

#include <cstdio>
#include <mutex>
#include <string>

namespace asyncio {

namespace {

std::mutex sink_mutex;
log_sink current_sink = nullptr;
void* current_context = nullptr;

void write_to_stderr(log_level, std::string_view text) noexcept {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
}

}  // namespace

void set_log_sink(log_sink sink, void* context) noexcept {
  std::scoped_lock hold(sink_mutex);
  current_sink = sink;
  current_context = context;
}

namespace base {

void log(log_level level, std::string_view text) noexcept {
  log_sink sink;
  void* context;
  {
    std::scoped_lock hold(sink_mutex);
    sink = current_sink;
    context = current_context;
  }
  if (sink != nullptr)
    sink(level, text, context);
  else
    write_to_stderr(level, text);
}

std::string printable(std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out += c;
    } else {
      out += "\\x";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

}  // namespace base
}  // namespace asyncio
