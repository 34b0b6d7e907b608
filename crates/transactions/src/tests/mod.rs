mod ending;
mod failing;
mod initializing;
mod listing;
mod random;
mod records;
mod timers;
mod world;
