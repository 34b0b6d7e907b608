//! One partition's leader and follower state: high watermark and in-sync replicas
