//! Tells the linker to put the functions that `link/order.txt` lists next to each other: those that run when the
//! gateway starts and while it serves. They are a third of the program. Scattered among the rest, they would bring most
//! of the rest into memory with them (docs/performance.md, "Memory").
//!
//! The linkers of GNU and LLVM accept such a script; mold and gold fail on it. The build leaves the script out if it
//! can see that another linker was chosen, or if `ZEC_GATEWAY_LINK_ORDER=0` is set. Nothing but memory depends on the
//! script. A name that the program does not have matches nothing.

#![expect(clippy::expect_used, reason = "a build script that cannot work should stop the build")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// One pattern per line, as `cargo bench --bench count -- --order` writes them.
const ORDER: &str = "link/order.txt";

/// The environment variable that turns the script off: `0` leaves the order to the linker.
const SWITCH: &str = "ZEC_GATEWAY_LINK_ORDER";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ORDER}");
    println!("cargo::rerun-if-env-changed={SWITCH}");
    if reads_scripts() {
        let script = write_script();
        println!("cargo::rustc-link-arg-bin=zec-gateway=-T");
        println!("cargo::rustc-link-arg-bin=zec-gateway={}", script.display());
    }
}

/// Whether this is a release build for Linux whose linker, as far as the build can see, is GNU's or LLVM's. On Linux,
/// one of the two is the default.
fn reads_scripts() -> bool {
    let says = |name: &str, value: &str| env::var(name).is_ok_and(|said| said == value);
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let is_chosen = env::var_os("RUSTC_LINKER").is_some()
        || ["linker=", "fuse-ld", "linker-flavor", "mold", "=-B"]
            .iter()
            .any(|one| flags.contains(one))
        || says(SWITCH, "0");
    says("CARGO_CFG_TARGET_OS", "linux") && says("PROFILE", "release") && !is_chosen
}

/// Writes a script that adds a section before `.text` and leaves everything else to the linker. Returns the script's
/// path.
fn write_script() -> PathBuf {
    let order = fs::read_to_string(ORDER).expect("link/order.txt is a part of the sources");
    let name = |line: &str| format!("    *(.text.{line} .text.unlikely.{line})\n");
    let functions: String = order.lines().filter(|line| !line.starts_with('#')).map(name).collect();
    let script = format!(
        "/* For linkers that cannot read this: {SWITCH}=0 */\nSECTIONS\n{{\n  .text.order :\n  {{\n{functions}  }}\n}}\nINSERT BEFORE .text;\n"
    );
    let path = Path::new(&env::var_os("OUT_DIR").expect("cargo sets it")).join("order.ld");
    fs::write(&path, script).expect("cargo made the directory");
    path
}
