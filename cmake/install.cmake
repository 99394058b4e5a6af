# `cmake --install`: the program, the libraries with their headers, the facts, and a package for find_package(orrery).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

if(TARGET orrery)
  install(TARGETS orrery RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY data/ DESTINATION ${CMAKE_INSTALL_DATADIR}/orrery)
get_property(rooms GLOBAL PROPERTY ORRERY_ROOMS)
list(TRANSFORM rooms PREPEND orrery_ OUTPUT_VARIABLE libraries)
install(TARGETS ${libraries} orrery_all EXPORT orrery ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY src/orrery DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h" PATTERN "test_*.h" EXCLUDE)
install(EXPORT orrery NAMESPACE orrery:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/orrery FILE orreryTargets.cmake)
configure_package_config_file(cmake/orreryConfig.cmake.in ${CMAKE_BINARY_DIR}/orreryConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/orrery)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/orreryConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/orreryConfig.cmake ${CMAKE_BINARY_DIR}/orreryConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/orrery)
