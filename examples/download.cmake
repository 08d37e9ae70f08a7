# SPDX-License-Identifier: BSL-1.0
# file_server, and download, which fetches from it; the latter where libcurl and OpenSSL (for SHA-256) are installed.
asyncio_program(file_server file_server.cpp
  served_folder.cpp served_folder.hpp)
target_link_libraries(file_server PRIVATE asyncio-example-http)

find_package(OpenSSL COMPONENTS Crypto)
if(TARGET asyncio-curl AND OPENSSL_FOUND)
  asyncio_program(download download.cpp
    download_board.cpp download_board.hpp
    download_names.cpp download_names.hpp
    download_report.cpp download_report.hpp
    download_samples.cpp download_samples.hpp
    download_text.cpp download_text.hpp
    server_process.cpp server_process.hpp
    sha256.cpp sha256.hpp)
  target_link_libraries(download PRIVATE asyncio-example-support asyncio::curl OpenSSL::Crypto)
  # The samples that it fetches without arguments.
  set_property(SOURCE download_samples.cpp APPEND PROPERTY
    COMPILE_DEFINITIONS ASYNCIO_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_dependencies(download file_server)
endif()
