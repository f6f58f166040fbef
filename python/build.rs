//! Has the module call its own copy of the C functions.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // A libcoop.so in the same process offers functions of the same names; native handlers are given this copy's.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-Bsymbolic");
    }
}
