//! The cluster metadata image and its deltas
