# What libcoop.a itself is linked with. rustc names them: cargo rustc -p coop-ffi --release -- --print native-static-libs
if(APPLE)
    set(COOP_PRIVATE_LIBRARIES -lSystem -lc -lm)
else()
    set(COOP_PRIVATE_LIBRARIES -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc)
endif()
