//! Tests of the whole machine: a world plays the log, the timers and the clients.

mod assignors;
mod beside_kafka;
mod clients;
mod consumer;
mod consumer_storm;
mod expiry;
mod failing;
mod joining;
mod leaving;
mod loading;
mod migration;
mod offsets;
mod preserved;
mod random;
mod records;
mod static_members;
mod syncing;
mod table;
mod world;
