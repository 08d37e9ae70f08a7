// SPDX-License-Identifier: BSL-1.0
// What most tests include, precompiled; tests/CMakeLists.txt says for whom.
#include <asyncio/asyncio.hpp>
#include <asyncio/testing/testing.hpp>

#include <gtest/gtest.h>
