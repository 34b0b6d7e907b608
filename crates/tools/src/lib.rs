//! Kafka's command-line tools, one file each
