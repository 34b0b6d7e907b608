//! KRaft: the metadata quorum as a machine
