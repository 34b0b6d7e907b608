//! The world as traits: clock, random, disk
