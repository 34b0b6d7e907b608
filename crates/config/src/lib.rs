//! Every configuration key once, and the parser of Java properties files
