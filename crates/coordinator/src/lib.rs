//! The runtime that hosts one replicated machine on one partition's log
