# SPDX-License-Identifier: BSL-1.0
# What `cmake --install` leaves behind: headers, libraries, a package for find_package(asyncio-cpp) and pkg-config files.
# All of it can be moved to another place afterwards. Each optional component has an export file of its own, so that
# asyncio::asyncio never asks for a library that only a component needs.

include(CMakePackageConfigHelpers)

set(asyncio_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/asyncio-cpp)

# asyncio_install(export-name target …)
function(asyncio_install export)
  install(TARGETS ${ARGN} EXPORT ${export}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT ${export} NAMESPACE asyncio:: DESTINATION ${asyncio_package_dir})
endfunction()

# asyncio_pkg_config(name description requires libs)
function(asyncio_pkg_config name description requires libs)
  file(RELATIVE_PATH prefix_from_pc /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" ASYNCIO_PC_PREFIX "\${pcfiledir}/${prefix_from_pc}")
  set(ASYNCIO_PC_NAME ${name})
  set(ASYNCIO_PC_DESCRIPTION ${description})
  set(ASYNCIO_PC_REQUIRES ${requires})
  set(ASYNCIO_PC_LIBS ${libs})
  set(ASYNCIO_PC_CFLAGS "")
  if(NOT ASYNCIO_FRAME_POOL)
    set(ASYNCIO_PC_CFLAGS " -DASYNCIO_NO_FRAME_POOL=1")
  endif()
  configure_file(${PROJECT_SOURCE_DIR}/cmake/asyncio-cpp.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

asyncio_install(asyncio-cpp-targets asyncio-core asyncio)
asyncio_pkg_config(asyncio-cpp "${PROJECT_DESCRIPTION}" "" "-lasyncio -lasyncio-core -pthread")

asyncio_install(asyncio-cpp-testing-targets asyncio-testing)
asyncio_pkg_config(asyncio-cpp-testing "Virtual time and other help for testing programs on asyncio-cpp"
  "asyncio-cpp = ${PROJECT_VERSION}" "-lasyncio-testing")

if(TARGET asyncio-tls)
  asyncio_install(asyncio-cpp-tls-targets asyncio-tls)
  asyncio_pkg_config(asyncio-cpp-tls "TLS for asyncio-cpp, by OpenSSL"
    "asyncio-cpp = ${PROJECT_VERSION} openssl >= 3.0" "-lasyncio-tls")
endif()

if(TARGET asyncio-curl)
  asyncio_install(asyncio-cpp-curl-targets asyncio-curl)
  asyncio_pkg_config(asyncio-cpp-curl "libcurl on asyncio-cpp's event loop"
    "asyncio-cpp = ${PROJECT_VERSION} libcurl" "-lasyncio-curl")
endif()

configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/asyncio-cpp-config.cmake.in ${PROJECT_BINARY_DIR}/asyncio-cpp-config.cmake
  INSTALL_DESTINATION ${asyncio_package_dir}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/asyncio-cpp-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/asyncio-cpp-config.cmake
  ${PROJECT_BINARY_DIR}/asyncio-cpp-config-version.cmake
  DESTINATION ${asyncio_package_dir})
