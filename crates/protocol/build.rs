//! Writes the message types from the schema files.

use std::path::Path;
use std::{env, process};

fn main() {
    println!("cargo::rerun-if-changed=schema");
    let (Some(root), Some(output)) = (env::var_os("CARGO_MANIFEST_DIR"), env::var_os("OUT_DIR")) else {
        eprintln!("cargo sets CARGO_MANIFEST_DIR and OUT_DIR for a build script");
        process::exit(1);
    };
    if let Err(error) = ottla_protocol_generator::generate(&Path::new(&root).join("schema"), Path::new(&output)) {
        eprintln!("{error}");
        process::exit(1);
    }
}
