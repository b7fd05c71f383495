//! Tells the linker to put the functions of `link/order.txt` together: those that run when the
//! gateway starts and while it serves. They are a third of the program, and where they lie among
//! the rest, most of the rest is brought into memory with them (docs/performance.md, "Memory").
//!
//! Nothing depends on it. It is left out where the linker was chosen by hand, for not every one
//! reads scripts, and a name that the program does not have matches nothing.

#![expect(clippy::expect_used, reason = "a build script that cannot work should stop the build")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// One pattern a line, as `cargo bench --bench count -- --order` writes them.
const ORDER: &str = "link/order.txt";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ORDER}");
    if reads_scripts() {
        let script = write_script();
        println!("cargo::rustc-link-arg-bin=zec-gateway=-T");
        println!("cargo::rustc-link-arg-bin=zec-gateway={}", script.display());
    }
}

/// Whether this build ends with GNU's linker or LLVM's, as on Linux by default, and is one that ships.
fn reads_scripts() -> bool {
    let says = |name: &str, value: &str| env::var(name).is_ok_and(|said| said == value);
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let is_chosen = env::var_os("RUSTC_LINKER").is_some()
        || ["linker=", "fuse-ld", "linker-flavor"].iter().any(|flag| flags.contains(flag));
    says("CARGO_CFG_TARGET_OS", "linux") && says("PROFILE", "release") && !is_chosen
}

/// A script that adds a section before `.text`; everything else stays as the linker has it.
fn write_script() -> PathBuf {
    let order = fs::read_to_string(ORDER).expect("link/order.txt is a part of the sources");
    let name = |line: &str| format!("    *(.text.{line} .text.unlikely.{line})\n");
    let functions: String = order.lines().filter(|line| !line.starts_with('#')).map(name).collect();
    let script =
        format!("SECTIONS\n{{\n  .text.order :\n  {{\n{functions}  }}\n}}\nINSERT BEFORE .text;\n");
    let path = Path::new(&env::var_os("OUT_DIR").expect("cargo sets it")).join("order.ld");
    fs::write(&path, script).expect("cargo made the directory");
    path
}
