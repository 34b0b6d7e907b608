//! Reads the message schema notation and writes the Rust types of ottla-protocol
