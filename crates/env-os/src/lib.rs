//! The world of the operating system behind the traits of ottla-env
