// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

namespace asyncio::threads {

/// "name_3", as much of the name as leaves room for the number in the 15 characters that the system keeps.
std::string numbered_name(std::string_view name, std::size_t number);

/// Starts a thread that debuggers and `ps -L` show by this name, and that is born deaf to signals: they belong to the
/// program's own threads.   Errors: std::system_error, std::bad_alloc.
std::thread start_thread(const std::string& name, std::function<void()> body);

}  // namespace asyncio::threads
