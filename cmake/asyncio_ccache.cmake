# SPDX-License-Identifier: BSL-1.0
# ccache in front of the compiler, where there is one. The two relaxations are what precompiled headers need: they carry
# a time stamp and macros that ccache would otherwise count as differences.

find_program(ASYNCIO_CCACHE ccache)
if(PROJECT_IS_TOP_LEVEL AND ASYNCIO_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros
    ${ASYNCIO_CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  endif()
endif()
