//! Gives the shared library its name, and keeps it loaded.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    let part = |name| std::env::var(name).expect("cargo sets the package version for build scripts");
    // Until 1.0 a minor version may break the ABI, so it is part of the name that programs are linked to.
    let soname = format!("libcoop.so.{}.{}", part("CARGO_PKG_VERSION_MAJOR"), part("CARGO_PKG_VERSION_MINOR"));
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{soname}");
    // A second copy of the library in the process, linked into the program, must not be called by this one: handles never cross.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-Bsymbolic");
    // Threads and thread-local destructors outlive a dlclose; the code they run must not be unmapped under them.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
