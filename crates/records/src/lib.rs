//! Record batches: view, iterate, build, validate, compress; the older message formats for reading
