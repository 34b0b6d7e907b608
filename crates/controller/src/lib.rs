//! The controller: decides changes of cluster metadata as records
