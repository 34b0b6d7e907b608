//! A partition's log in Kafka's own files: segments, indexes, producer state, recovery, retention
