//! The part of HTTP/1.1 that the measured programs use: keep-alive, bodies with a length, and
//! chunked bodies.

use std::cmp::Ordering;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The maximum size of a response. The programs send no larger ones.
const MAX_RESPONSE: usize = 64 * 1024;

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A response in the buffer of its connection.
#[derive(Debug, PartialEq)]
pub struct Response<'a> {
    pub status: u16,
    pub head: &'a [u8],
    pub body: &'a [u8],
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a complete request and waits for the complete response.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Response<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(ends) = ends(&self.buffer)? {
                let (head, body) = self.buffer.split_at(ends.head);
                return Ok(Response { status: ends.status, head, body });
            }
        }
    }
}

impl Response<'_> {
    /// Returns the value of the first header with this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name).and_then(|value| std::str::from_utf8(value).ok())
    }
}

struct Ends {
    status: u16,
    head: usize,
}

/// Returns where the parts of the response end; `None` until it is complete.
fn ends(buffer: &[u8]) -> io::Result<Option<Ends>> {
    if buffer.len() > MAX_RESPONSE {
        return Err(invalid("the response is too long"));
    }
    let Some(blank) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let (head, body) = buffer.split_at(blank + 4);
    let status = head.get(9..12).and_then(|status| number(status, 10));
    let status = status.and_then(|status| u16::try_from(status).ok());
    let status = status.ok_or_else(|| invalid("the response has no status"))?;
    let length = match header(head, "content-length") {
        Some(length) => {
            Some(number(length, 10).ok_or_else(|| invalid("the content length is not a number"))?)
        }
        None if header(head, "transfer-encoding") == Some(b"chunked") => chunked_length(body)?,
        None => return Err(invalid("the response has neither a content length nor chunks")),
    };
    match length.map(|length| body.len().cmp(&length)) {
        None | Some(Ordering::Less) => Ok(None),
        Some(Ordering::Equal) => Ok(Some(Ends { status, head: head.len() })),
        Some(Ordering::Greater) => Err(invalid("the response is longer than its content length")),
    }
}

/// Returns the length of a chunked body with its framing; `None` until its last chunk has arrived.
fn chunked_length(body: &[u8]) -> io::Result<Option<usize>> {
    let mut read = 0;
    loop {
        let rest = body.get(read..).unwrap_or_default();
        let Some(line) = rest.windows(2).position(|window| window == b"\r\n") else {
            return Ok(None);
        };
        let size = number(&rest[..line], 16).filter(|size| *size <= MAX_RESPONSE);
        let size = size.ok_or_else(|| invalid("a chunk has no length"))?;
        read += line + 2 + size + 2;
        if size == 0 {
            return Ok((read <= body.len()).then_some(read));
        }
    }
}

fn number(digits: &[u8], base: u32) -> Option<usize> {
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, base).ok()
}

fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|&byte| byte == b'\n').find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        found.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
    })
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(bytes: &[u8]) -> Option<u16> {
        ends(bytes).unwrap().map(|ends| ends.status)
    }

    #[test]
    fn a_complete_response_is_recognised() {
        let whole = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nOK";
        assert_eq!(status(whole), Some(202));
        for cut in 0..whole.len() {
            assert_eq!(status(&whole[..cut]), None, "{cut}");
        }
        assert!(ends(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nmore").is_err());
        assert!(ends(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn a_complete_chunked_response_is_recognised() {
        let head = "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n";
        for chunks in ["0\r\n\r\n", "2\r\nOK\r\na\r\n0123456789\r\n0\r\n\r\n"] {
            let whole = format!("{head}{chunks}").into_bytes();
            assert_eq!(status(&whole), Some(202));
            for cut in 0..whole.len() {
                assert_eq!(status(&whole[..cut]), None, "{cut}");
            }
        }
        assert!(ends(format!("{head}x\r\n").as_bytes()).is_err());
    }

    #[test]
    fn header_names_are_case_insensitive() {
        let head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\n\r\n";
        let response = Response { status: 200, head, body: b"" };
        assert_eq!(response.header("set-cookie"), Some("a=b; Path=/"));
        assert_eq!(response.header("set"), None);
    }
}
