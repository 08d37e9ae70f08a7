// SPDX-License-Identifier: BSL-1.0
// What a pool and its workers say to each other, over a connected pair of stream sockets that have no name.
//
//     pool                                   worker
//                                     ◀──    hello   build
//     start   [initialiser]           ──▶
//                                     ◀──    ready           or  failed  exception
//     call    modules, function, arguments ──▶
//                                     ◀──    value  bytes    or  failed  exception
//     (the end of the stream)         ──▶    ends
//
// Each message is a header and as many bytes as that says. Nothing is believed: a header that is none, that announces more
// than `largest_message`, or that answers another call, ends the conversation.
#pragma once
#include "kernel/modules.hpp"

#include <asyncio/codec.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio::processes {

/// A message may have this many bytes.
inline constexpr std::uint64_t largest_message = std::uint64_t{1} << 31;

enum class message_kind : std::uint32_t { start = 1, hello, ready, call, value, failed };

/// The header of every message.
struct message_header {
  static constexpr std::uint32_t right_magic = 0x31507361;  // "asP1"
  std::uint32_t magic = right_magic;
  message_kind kind{};
  std::uint64_t number = 0;  ///< of the call: the answer has the same
  std::uint64_t size = 0;
};

/// A received one. Its bytes are not written before they come: a header that lies costs no memory.
struct message {
  message_kind kind{};
  std::uint64_t number = 0;
  std::unique_ptr<char[]> bytes;
  std::size_t size = 0;
  std::string_view view() const noexcept { return {bytes.get(), size}; }
};

/// How an attempt to send or to receive has ended.
enum class talk : std::uint8_t {
  done,
  ended,    ///< the other side has closed its end, having read all that was sent
  lost,     ///< it has closed its end, and something that was sent has never been read
  garbage,  ///< what came is no message
};

/// Sends a message whose bytes are `head` and then `body`. Blocks while the other side does not read.
/// Returns done or lost.
talk send_message(int fd, message_kind kind, std::uint64_t number, std::string_view head,
                  std::string_view body = {}) noexcept;

/// Blocks until one is there. Errors: std::bad_alloc.
talk receive_message(int fd, message& into);

/// Waits until something can be read, or the end of it. False: the time is over.
bool await_readable(int fd, int milliseconds) noexcept;

/// Functions by module and distance. The sender of a conversation tells about a module once, in front of the first call that
/// needs it; the receiver looks for it then, and says what is wrong with it each time that it is used.
class function_sender {
 public:
  /// Writes the modules that are new to this conversation, then the functions' places.
  /// Errors: std::runtime_error for code outside of all modules.
  void write(encoder& out, void (*entry)(), void (*target)());

 private:
  std::vector<std::uint32_t> told_;
};

class function_receiver {
 public:
  struct functions {
    void (*entry)() = nullptr;
    void (*target)() = nullptr;
  };
  /// Errors: codec_error; std::runtime_error when a module is not as it was in the sender.
  functions read(decoder& in);

 private:
  struct known {
    std::uint32_t number = 0;
    kernel::loaded_module module;
    std::string trouble;
  };
  void (*locate(std::uint32_t module, std::uint64_t offset) const)();
  std::vector<known> modules_;
};

}  // namespace asyncio::processes
