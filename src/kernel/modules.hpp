// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <cstdint>
#include <string>

namespace asyncio::kernel {

/// How one process tells another of the same program which function it means. An address is worth nothing there: the
/// system puts every module (the executable, each shared library) at an address of its own choice. What stays the same is
/// how far the function lies from the start of its module, as long as both have the same build of that module; so a module
/// is described by its name and its identity, the linker's build id or, without one, a hash of its machine code.

/// A function of this process: the number that this process has given to its module, and the distance.
struct code_place {
  std::uint32_t module = 0;
  std::uint64_t offset = 0;
};

struct module_description {
  std::string name;  ///< the path that it was loaded from; "" is the executable itself
  std::string identity;
};

/// Thread: any.  Errors: std::runtime_error for code that lies in no module, such as a compiler made at run time.
code_place place_of(void (*function)());
/// By its number. Numbers are given from 0 upwards, and never again to another module.   Thread: any.
module_description describe_module(std::uint32_t number);

/// A module of this process.
struct loaded_module {
  std::uintptr_t start = 0;
  std::uintptr_t code_begin = 0, code_end = 0;  ///< where its machine code lies

  /// Errors: std::runtime_error when no code lies there.
  void (*at(std::uint64_t offset) const)();
};
/// The one that is described. Errors: std::runtime_error when it is not loaded here, or is another build.
loaded_module find_module(const module_description& wanted);

}  // namespace asyncio::kernel
