//! Connections: accept, frame, order, budget, zero-copy responses
