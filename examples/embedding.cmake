# SPDX-License-Identifier: BSL-1.0
# Our loop inside other main loops; each where that one is installed.
include(FindPkgConfig)

set(embedding)
# asyncio_embedding(name source module): an example that needs the library that pkg-config knows as `module`.
function(asyncio_embedding name source module)
  pkg_check_modules(asyncio_${name} QUIET IMPORTED_TARGET ${module})
  if(NOT TARGET PkgConfig::asyncio_${name})
    message(STATUS "${module} is not installed: the example ${name} is left out (./dev install-deps test)")
    return()
  endif()
  asyncio_program(${name} ${source})
  target_link_libraries(${name} PRIVATE asyncio::asyncio PkgConfig::asyncio_${name})
  set(embedding ${embedding} ${name} PARENT_SCOPE)
endfunction()

asyncio_embedding(embed_glib embed_glib.cpp glib-2.0)
asyncio_embedding(embed_libuv embed_libuv.cpp libuv)
# For the test of their output.
set_property(GLOBAL PROPERTY asyncio_embedding_examples ${embedding})
