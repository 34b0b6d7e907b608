//! Assembly of a node: partitions, fetch sessions, purgatory, one file per API
