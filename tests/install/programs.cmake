# Each program with each of the two targets: c_shared, c_static, cpp_shared, cpp_static.
foreach(kind shared static)
    add_executable(c_${kind} "${CMAKE_CURRENT_LIST_DIR}/program.c")
    add_executable(cpp_${kind} "${CMAKE_CURRENT_LIST_DIR}/program.cpp")
    target_compile_features(cpp_${kind} PRIVATE cxx_std_20)
    target_link_libraries(c_${kind} PRIVATE coop::${kind})
    target_link_libraries(cpp_${kind} PRIVATE coop::${kind})
endforeach()
