//! Newtypes for every number with a meaning: offsets, epochs, ids, timestamps
