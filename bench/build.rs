//! Compiles the sides of TBB and of libuv, if they are asked for.

fn main() {
    println!("cargo::rerun-if-changed=tbb");
    println!("cargo::rerun-if-changed=libuv_timers");
    if std::env::var_os("CARGO_FEATURE_TBB").is_some() {
        cc::Build::new()
            .cpp(true)
            .std("c++17")
            .opt_level(2)
            .warnings(true)
            .file("tbb/side.cpp")
            .compile("coop_bench_tbb");
        println!("cargo::rustc-link-lib=tbb");
    }
    if std::env::var_os("CARGO_FEATURE_LIBUV").is_some() {
        cc::Build::new()
            .std("c11")
            .define("_GNU_SOURCE", None)
            .opt_level(2)
            .warnings(true)
            .file("libuv_timers/side.c")
            .compile("coop_bench_libuv");
        println!("cargo::rustc-link-lib=uv");
    }
}
