# SPDX-License-Identifier: MIT
# REPO and SHA512 are filled in for a release (packaging/README.md).
vcpkg_from_github(
  OUT_SOURCE_PATH SOURCE_PATH
  REPO fallow/fallow
  REF "v${VERSION}"
  SHA512 0
  HEAD_REF main
)
vcpkg_configure_meson(SOURCE_PATH "${SOURCE_PATH}" OPTIONS -Dtests=disabled -Dbench=disabled -Dcurses=disabled -Dprobes=disabled)
vcpkg_install_meson()
vcpkg_fixup_pkgconfig()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/fallow)

# Both kinds are built: one is left. The preload library is shared whatever the triplet is; a static one leaves libfallow.a alone to link.
if(VCPKG_LIBRARY_LINKAGE STREQUAL "static")
  set(other "lib/libfallow*.so*" "debug/lib/libfallow*.so*")
else()
  set(other "lib/libfallow*.a" "debug/lib/libfallow*.a")
endif()
list(TRANSFORM other PREPEND "${CURRENT_PACKAGES_DIR}/")
file(GLOB unwanted ${other})
if(unwanted)
  file(REMOVE ${unwanted})
endif()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")
vcpkg_copy_tools(TOOL_NAMES fallow AUTO_CLEAN)
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
