//! Compiles the clients, and the sides that are written in C and C++ if they are asked for.

use std::{env, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=tbb");
    println!("cargo::rerun-if-changed=dag");
    println!("cargo::rerun-if-changed=loops");
    println!("cargo::rerun-if-changed=redis");
    c().file("loops/client.c").file("loops/socket.c").compile("coop_bench_client");
    if env::var_os("CARGO_FEATURE_TBB").is_some() {
        cpp().file("tbb/side.cpp").compile("coop_bench_tbb");
        cpp().file("dag/side.cpp").compile("coop_bench_dag");
        println!("cargo::rustc-link-lib=tbb");
    }
    if env::var_os("CARGO_FEATURE_HIREDIS").is_some() {
        c().file("redis/hiredis.c").compile("coop_bench_hiredis");
        println!("cargo::rustc-link-lib=hiredis");
        println!("cargo::rustc-link-lib=uv");
    }
    if env::var_os("CARGO_FEATURE_LOOPS").is_some() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
        let library = root.join("target/release");
        c().files(
            ["coop_echo.c", "coop_post.c", "coop_udp.c", "epoll.c", "libuv_net.c", "libuv_post.c", "libuv_timers.c"]
                .map(|file| format!("loops/{file}")),
        )
        .include(root.join("include"))
        .compile("coop_bench_loops");
        cpp().file("loops/asio.cpp").compile("coop_bench_asio");
        println!("cargo::rustc-link-search=native={}", library.display());
        println!("cargo::rustc-link-lib=dylib=coop");
        println!("cargo::rustc-link-lib=dylib=uv");
        println!("cargo::rustc-link-arg-bins=-Wl,-rpath,{}", library.display());
    }
}

fn c() -> cc::Build {
    let mut build = cc::Build::new();
    build.std("c11").define("_GNU_SOURCE", None).opt_level(2).warnings(true).extra_warnings(true);
    build
}

fn cpp() -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").opt_level(2).warnings(true);
    build
}
