//! The group coordinator machine: classic groups and committed offsets
