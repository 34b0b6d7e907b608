use super::{Page, Pages};

/// A request may have so many bytes up to the empty line.
pub(super) const REQUEST_BYTES_MAX: usize = 8 << 10;

/// What is known of a request so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// Not all of it has come.
    Incomplete,
    /// What to answer.
    Answer(Vec<u8>),
}

/// Looks at what has come of a request, and answers when that is all of it or already wrong.
pub(super) fn parse(input: &[u8], pages: &dyn Pages) -> Parsed {
    let Some(head) = end_of_head(input).and_then(|end| input.get(..end)) else {
        if input.len() < REQUEST_BYTES_MAX {
            return Parsed::Incomplete;
        }
        return Parsed::Answer(status("431 Request Header Fields Too Large", "the request is too long\n"));
    };
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line.trim_ascii_end().split(|byte| *byte == b' ');
    let (method, target, version, rest) = (words.next(), words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some(version), None) = (method, target, version, rest) else {
        return Parsed::Answer(status("400 Bad Request", "this is no HTTP request\n"));
    };
    if !version.starts_with(b"HTTP/1.") {
        return Parsed::Answer(status("505 HTTP Version Not Supported", "HTTP/1.1 is spoken here\n"));
    }
    let is_head = method == b"HEAD";
    if !is_head && method != b"GET" {
        return Parsed::Answer(answer(
            "405 Method Not Allowed",
            "Allow: GET, HEAD\r\n",
            "text/plain",
            "only GET\n",
            false,
        ));
    }
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let page = core::str::from_utf8(path).ok().and_then(|path| pages.page(path));
    Parsed::Answer(match page {
        Some(Page { is_well, content_type, body }) => {
            let status = if is_well { "200 OK" } else { "503 Service Unavailable" };
            answer(status, "", content_type, &body, is_head)
        }
        None => status("404 Not Found", "there is no such page\n"),
    })
}

/// Where the empty line ends.
fn end_of_head(input: &[u8]) -> Option<usize> {
    let windows =
        |pattern: &[u8]| input.windows(pattern.len()).position(|bytes| bytes == pattern).map(|at| at + pattern.len());
    windows(b"\r\n\r\n").or_else(|| windows(b"\n\n"))
}

fn status(status: &str, body: &str) -> Vec<u8> {
    answer(status, "", "text/plain", body, false)
}

fn answer(status: &str, headers: &str, content_type: &str, body: &str, is_head: bool) -> Vec<u8> {
    let length = body.len();
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n"
    );
    if !is_head {
        text.push_str(body);
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl Pages for One {
        fn page(&self, path: &str) -> Option<Page> {
            let page = Page { is_well: path != "/bad", content_type: "text/x", body: "body".to_owned() };
            matches!(path, "/good" | "/bad").then_some(page)
        }
    }

    fn said(input: &[u8]) -> String {
        match parse(input, &One) {
            Parsed::Answer(bytes) => String::from_utf8(bytes).unwrap(),
            Parsed::Incomplete => "incomplete".to_owned(),
        }
    }

    #[test]
    fn a_page_is_answered_with_its_type_and_length() {
        let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody";
        assert_eq!(said(b"GET /good?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"), expected);
        assert_eq!(said(b"GET /good HTTP/1.0\n\n"), expected, "also with bare line ends");
        assert_eq!(said(b"HEAD /good HTTP/1.1\r\n\r\n"), expected.trim_end_matches("body"));
        assert!(said(b"GET /bad HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 503 "));
    }

    #[test]
    fn what_is_no_request_for_a_page_is_refused() {
        for (input, code) in [
            (&b"GET /other HTTP/1.1\r\n\r\n"[..], "404"),
            (b"GET /\xff HTTP/1.1\r\n\r\n", "404"),
            (b"POST /good HTTP/1.1\r\n\r\n", "405"),
            (b"GET /good HTTP/2\r\n\r\n", "505"),
            (b"GET /good\r\n\r\n", "400"),
            (b"GET  /good HTTP/1.1\r\n\r\n", "400"),
            (b"\0\0\0\x10\r\n\r\n", "400"),
            (b"\r\n\r\n", "400"),
            (&[b'a'; REQUEST_BYTES_MAX], "431"),
        ] {
            assert_eq!(said(input).get(9..12), Some(code), "{}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn a_part_of_a_request_waits_for_the_rest() {
        let whole = b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length], &One), Parsed::Incomplete, "{length}");
        }
    }
}
