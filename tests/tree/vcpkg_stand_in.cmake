# SPDX-License-Identifier: MIT
# What packaging/vcpkg/portfile.cmake calls, as far as it goes without vcpkg: the port's options configure the tree, and what is
# then installed was built before (BUILT). Run by packaged_test.sh with cmake -P; everything comes to lie below HERE.
cmake_policy(VERSION 3.19)
set(PORT fallow)
set(VCPKG_LIBRARY_LINKAGE ${LINKAGE})
set(VCPKG_BUILD_TYPE release)
set(CURRENT_PACKAGES_DIR ${HERE}/packages)

function(vcpkg_from_github)
  cmake_parse_arguments(arg "" "OUT_SOURCE_PATH;REPO;REF;SHA512;HEAD_REF" "" ${ARGN})
  if(NOT arg_REF STREQUAL "v${VERSION}" OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "vcpkg_from_github: ${ARGN}")
  endif()
  set(${arg_OUT_SOURCE_PATH} ${SOURCE} PARENT_SCOPE)
endfunction()

function(vcpkg_configure_meson)
  cmake_parse_arguments(arg "" "SOURCE_PATH" "OPTIONS" ${ARGN})
  execute_process(COMMAND meson setup ${arg_OPTIONS} --prefix=${CURRENT_PACKAGES_DIR} --libdir=lib ${HERE}/configured ${arg_SOURCE_PATH}
                  COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(vcpkg_install_meson)
  file(GLOB libraries ${BUILT}/libfallow.* ${BUILT}/libfallow-malloc.*)
  list(FILTER libraries EXCLUDE REGEX "\\.p$")
  file(COPY ${libraries} DESTINATION ${CURRENT_PACKAGES_DIR}/lib)
  file(GLOB configs ${HERE}/configured/*.cmake)
  file(COPY ${configs} DESTINATION ${CURRENT_PACKAGES_DIR}/lib/cmake/fallow)
  file(COPY ${SOURCE}/include/fallow DESTINATION ${CURRENT_PACKAGES_DIR}/include)
  file(COPY ${BUILT}/fallow DESTINATION ${CURRENT_PACKAGES_DIR}/bin)
endfunction()

function(vcpkg_fixup_pkgconfig)
endfunction()

# Moves the files to share/, two steps below the prefix; and this is the line that it then mends.
function(vcpkg_cmake_config_fixup)
  cmake_parse_arguments(arg "" "CONFIG_PATH" "" ${ARGN})
  file(GLOB files ${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}/*.cmake)
  foreach(file ${files})
    get_filename_component(name ${file} NAME)
    file(READ ${file} text)
    string(REGEX REPLACE "(\\(PACKAGE_PREFIX_DIR \"\\\${CMAKE_CURRENT_LIST_DIR})[./]*(\" ABSOLUTE\\))" "\\1/../..\\2" text "${text}")
    file(WRITE ${CURRENT_PACKAGES_DIR}/share/${PORT}/${name} "${text}")
  endforeach()
  file(REMOVE_RECURSE ${CURRENT_PACKAGES_DIR}/lib/cmake)
endfunction()

function(vcpkg_copy_tools)
  cmake_parse_arguments(arg "AUTO_CLEAN" "" "TOOL_NAMES" ${ARGN})
  foreach(name ${arg_TOOL_NAMES})
    file(COPY ${CURRENT_PACKAGES_DIR}/bin/${name} DESTINATION ${CURRENT_PACKAGES_DIR}/tools/${PORT})
  endforeach()
  file(REMOVE_RECURSE ${CURRENT_PACKAGES_DIR}/bin)
endfunction()

function(vcpkg_install_copyright)
  cmake_parse_arguments(arg "" "" "FILE_LIST" ${ARGN})
  configure_file(${arg_FILE_LIST} ${CURRENT_PACKAGES_DIR}/share/${PORT}/copyright COPYONLY)
endfunction()

include(${PORT_DIR}/portfile.cmake)
