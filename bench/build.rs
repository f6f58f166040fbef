//! Compiles the side of TBB, if it is asked for.

fn main() {
    println!("cargo::rerun-if-changed=tbb");
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
}
