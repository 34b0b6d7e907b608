//! Pages for machines that watch a node: GET over HTTP, each connection one request, all on one thread.
//!
//! What is served is small and for few; what matters is that nobody who connects can hurt the node. So there are few
//! connections, the oldest makes room for the next, a request has few bytes and little time, an answer is made once and sent as
//! the reader takes it, and the thread waits for nobody but the system.

mod exchange;
mod server;

pub use server::{HttpListener, HttpServer};

/// What a path answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Whether all is well: 200, else 503.
    pub is_well: bool,
    /// The content type.
    pub content_type: &'static str,
    /// The text.
    pub body: String,
}

/// Gives the pages. Called on the one thread that serves them.
pub trait Pages: Send + Sync + 'static {
    /// The page of a path without its query; `None` when there is none.
    fn page(&self, path: &str) -> Option<Page>;
}
