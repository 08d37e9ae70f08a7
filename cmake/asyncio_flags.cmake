# SPDX-License-Identifier: BSL-1.0
# asyncio-flags: how this project compiles its own files. Linked by each target inside $<BUILD_INTERFACE:…>, so that
# nothing of it reaches whoever uses the installed library.

add_library(asyncio-flags INTERFACE)

target_compile_features(asyncio-flags INTERFACE cxx_std_20)
target_compile_options(asyncio-flags INTERFACE -Wall -Wextra)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # Clang blames the caller for what libstdc++ 12 does inside stable_sort and stable_partition. GCC names real uses.
  target_compile_options(asyncio-flags INTERFACE -Wno-deprecated-declarations)
endif()
if(ASYNCIO_WERROR)
  target_compile_options(asyncio-flags INTERFACE -Werror)
endif()
if(ASYNCIO_STL_ASSERTIONS)
  target_compile_definitions(asyncio-flags INTERFACE _GLIBCXX_ASSERTIONS)
endif()
if(ASYNCIO_TEST_SEAMS)
  target_compile_definitions(asyncio-flags INTERFACE ASYNCIO_TEST_SEAMS=1)
endif()
if(ASYNCIO_SANITIZE)
  set(asyncio_sanitize -fsanitize=${ASYNCIO_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(asyncio-flags INTERFACE ${asyncio_sanitize})
  target_link_options(asyncio-flags INTERFACE ${asyncio_sanitize})
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  # Hundreds of programs are linked: by the quicker linker, where there is one.
  include(CheckLinkerFlag)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    set(asyncio_quick_linker -fuse-ld=lld)
  else()
    set(asyncio_quick_linker -fuse-ld=gold)
  endif()
  check_linker_flag(CXX ${asyncio_quick_linker} ASYNCIO_HAS_QUICK_LINKER)
  if(ASYNCIO_HAS_QUICK_LINKER)
    target_link_options(asyncio-flags INTERFACE ${asyncio_quick_linker})
  endif()
endif()
if(ASYNCIO_COVERAGE)
  target_compile_options(asyncio-flags INTERFACE -fprofile-instr-generate -fcoverage-mapping)
  target_link_options(asyncio-flags INTERFACE -fprofile-instr-generate)
endif()

# asyncio_target(name): what every target of this project has in common.
function(asyncio_target name)
  target_link_libraries(${name} PRIVATE $<BUILD_INTERFACE:asyncio-flags>)
  set_target_properties(${name} PROPERTIES CXX_EXTENSIONS OFF)
endfunction()

# asyncio_program(name …): an executable for people, in build/<preset>/bin.
function(asyncio_program name)
  add_executable(${name} ${ARGN})
  asyncio_target(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endfunction()
