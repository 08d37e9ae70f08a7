# SPDX-License-Identifier: BSL-1.0
# Our loop inside other main loops; each where that one is installed.
include(FindPkgConfig)

set(embedding)
# asyncio_embedding(name module): embed_<name>, which needs the library that pkg-config knows as `module`.
function(asyncio_embedding name module)
  pkg_check_modules(asyncio_${name} QUIET IMPORTED_TARGET ${module})
  if(NOT TARGET PkgConfig::asyncio_${name})
    message(STATUS "${module} is not installed: the example embed_${name} is left out (./dev install-deps test)")
    return()
  endif()
  asyncio_program(embed_${name} embed_${name}.cpp)
  target_link_libraries(embed_${name} PRIVATE asyncio::asyncio PkgConfig::asyncio_${name})
  set(embedding ${embedding} embed_${name} PARENT_SCOPE)
endfunction()

asyncio_embedding(glib glib-2.0)
asyncio_embedding(libuv libuv)
# For the test of their output.
set_property(GLOBAL PROPERTY asyncio_embedding_examples ${embedding})
