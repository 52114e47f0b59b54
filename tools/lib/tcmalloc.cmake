# SPDX-License-Identifier: MIT
# Google's tcmalloc as one shared library, from its tree (TCMALLOC) and abseil's (ABSEIL), by their own lists of sources: without
# bazel, tests, and what only those need. tools/peers copies this file to where it builds.
cmake_minimum_required(VERSION 3.24)
project(peer CXX C ASM)
set(CMAKE_CXX_STANDARD 20) # as C++17, gcc 12 initializes some of its variables when the program already allocates
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(ABSL_PROPAGATE_CXX_STD ON)
set(ABSL_ENABLE_INSTALL OFF)
# Its authors link it statically. Nobody replaces its functions one by one, and it is there from the start: code as near to theirs as a
# shared library's can be.
add_compile_options(-fno-semantic-interposition -ftls-model=initial-exec)
add_link_options(-Wl,-Bsymbolic -Wl,-z,defs)
include_directories(${TCMALLOC})
add_subdirectory(${ABSEIL} abseil EXCLUDE_FROM_ALL)
include(${TCMALLOC}/tcmalloc/tcmalloc_helpers.cmake)
include(${TCMALLOC}/tcmalloc/tcmalloc_variants.cmake)
foreach(kind cc_test cc_test_variants cc_binary cc_binary_variants)
  function(tcmalloc_${kind})
  endfunction()
endforeach()
foreach(absent GTest::gtest GTest::gmock protobuf::libprotobuf)
  add_library(${absent} INTERFACE IMPORTED)
endforeach()
add_subdirectory(${TCMALLOC}/tcmalloc/internal internal EXCLUDE_FROM_ALL)
add_subdirectory(${TCMALLOC}/tcmalloc tcmalloc EXCLUDE_FROM_ALL)

# The list for bazel is the one that its authors build by; what the list for cmake forgot is added.
file(READ ${TCMALLOC}/tcmalloc/BUILD bazel)
string(REGEX MATCH "name = \"common\",[^]]*" common "${bazel}")
string(REGEX MATCHALL "[a-z0-9_]+[.]cc" listed "${common}")
get_target_property(known tcmalloc_common_8k_pages SOURCES)
foreach(source IN LISTS listed)
  if(NOT "${known}" MATCHES "(^|[/;])${source}")
    target_sources(tcmalloc_common_8k_pages PRIVATE ${TCMALLOC}/tcmalloc/${source})
  endif()
endforeach()

file(WRITE ${CMAKE_BINARY_DIR}/none.cc "")
add_library(tcmalloc SHARED ${CMAKE_BINARY_DIR}/none.cc)
set_target_properties(tcmalloc PROPERTIES LINK_LIBRARY_OVERRIDE "WHOLE_ARCHIVE,tcmalloc_tcmalloc,tcmalloc_common_8k_pages")
target_link_libraries(tcmalloc PRIVATE tcmalloc_tcmalloc tcmalloc_common_8k_pages)
