//! Hostile bytes at a running server: each gets its answer or its end, the memory stays small, and a client that behaves is
//! served all the while. `docs/hostile-inputs.md` lists what is tried.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

#[path = "hostile/bodies.rs"]
mod bodies;
#[path = "hostile/compression.rs"]
mod compression;
#[path = "hostile/connections.rs"]
mod connections;
#[path = "hostile/crowds.rs"]
mod crowds;
#[path = "hostile/descriptors.rs"]
mod descriptors;
#[path = "hostile/files.rs"]
mod files;
#[path = "hostile/framing.rs"]
mod framing;
#[path = "hostile/groups.rs"]
mod groups;
#[path = "hostile/headers.rs"]
mod headers;
#[path = "hostile/multitudes.rs"]
mod multitudes;
#[path = "hostile/records.rs"]
mod records;
#[path = "hostile/servers.rs"]
mod servers;
#[path = "hostile/settings.rs"]
mod settings;
