// SPDX-License-Identifier: BSL-1.0
// Text of strangers, made safe to show on a terminal.
#pragma once

#include <string>
#include <string_view>

namespace example {

/// UTF-8 passes; control characters (C0, DEL, C1), bidirectional overrides and bytes that are no UTF-8 become \xNN, a backslash
/// becomes two. The result is one line, and no two different inputs give the same one.
std::string printable(std::string_view text);

}  // namespace example
