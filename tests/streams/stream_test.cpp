// SPDX-License-Identifier: BSL-1.0
#include "streams/stream_test.hpp"

#include <sys/socket.h>

namespace stream_test {

void reset_on_close(const stream_writer& writer) {
  const linger reset{1, 0};
  EXPECT_EQ(::setsockopt(writer.fileno(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
}

}  // namespace stream_test
