// SPDX-License-Identifier: BSL-1.0
#pragma once
// What happened, in words that both languages know.
#include <asyncio/asyncio.hpp>

#include <exception>
#include <string>

namespace oracle {

using namespace asyncio;

inline std::string describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const cancelled_error& e) {
    return e.message().empty() ? "cancelled" : "cancelled(" + e.message() + ")";
  } catch (const timeout_error&) {
    return "timeout";
  } catch (const exception_group& group) {
    std::string all;
    for (const std::exception_ptr& e : group.exceptions()) all += (all.empty() ? "" : ", ") + describe(e);
    return "group[" + all + "]";
  } catch (const std::exception& e) {
    return std::string("error(") + e.what() + ")";
  }
}

/// A truth as Python writes it.
inline std::string yes(bool truth) { return truth ? "True" : "False"; }
inline std::string text(auto number) { return std::to_string(number); }

}  // namespace oracle
