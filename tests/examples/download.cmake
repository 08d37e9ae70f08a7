# SPDX-License-Identifier: BSL-1.0
# The main job, and the server that it fetches from.
example_test_on_both(file_server 180)
if(TARGET download)
  example_test(download 240)
endif()
