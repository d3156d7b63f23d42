# `cmake --install build/release --prefix DIR`: the program and its model, the library with its headers, CMake package and pkg-config
# file, man page and shell completions. `cpack --config build/release/CPackConfig.cmake`: a .deb and a .tar.gz of the same. All paths
# inside are relative, so that an installed prefix can be moved.
include(CMakePackageConfigHelpers)

install(DIRECTORY models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/hotset/models)
install(FILES LICENSE docs/embedding.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY runtime/include/hotset DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(TARGETS hotset_shared hotset_static EXPORT hotset_targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(HOTSET_PROGRAM)
  file(RELATIVE_PATH library_from_program ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  set_target_properties(hotset PROPERTIES INSTALL_RPATH "$ORIGIN/${library_from_program}")
  install(TARGETS hotset RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(HOTSET_PROGRAM AND NOT CMAKE_CROSSCOMPILING)
  install(FILES ${PROJECT_BINARY_DIR}/manual/hotset.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${PROJECT_BINARY_DIR}/manual/hotset.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME hotset)
  install(FILES ${PROJECT_BINARY_DIR}/manual/_hotset DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  install(FILES ${PROJECT_BINARY_DIR}/manual/hotset.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/hotset)
install(EXPORT hotset_targets NAMESPACE hotset:: DESTINATION ${package_dir} FILE hotset-targets.cmake)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/hotset-config.cmake.in ${PROJECT_BINARY_DIR}/hotset-config.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/hotset-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/hotset-config.cmake ${PROJECT_BINARY_DIR}/hotset-config-version.cmake DESTINATION ${package_dir})

# pkg-config: the way back from lib/pkgconfig to the prefix.
file(RELATIVE_PATH prefix_from_pc ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
set(private_needs "libpcre2-8")
if(LIBURING_FOUND)
  string(APPEND private_needs " liburing")
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/hotset.pc.in ${PROJECT_BINARY_DIR}/hotset.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/hotset.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(WIN32)
  set(CPACK_GENERATOR "ZIP")
else()
  set(CPACK_GENERATOR "DEB;TGZ")
endif()
set(CPACK_PACKAGE_NAME hotset)
set(CPACK_PACKAGE_CONTACT "the Hotset developers <hotset@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Runs Mixture-of-Experts language models that are larger than the GPU")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR})  # the program's libhotset lies beside it in the package
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "mesa-vulkan-drivers")
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libvulkan1")
include(CPack)
