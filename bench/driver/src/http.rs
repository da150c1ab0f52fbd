//! As much of HTTP/1.1 as the measured programs speak: keep-alive, and bodies with a length.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Larger answers than this are none of the programs'.
const MAX_RESPONSE: usize = 64 * 1024;

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, inside the buffer of its connection.
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

    /// Sends a whole request and waits for the whole answer.
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
    /// The value of the first such header.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name).and_then(|value| std::str::from_utf8(value).ok())
    }
}

struct Ends {
    status: u16,
    head: usize,
}

/// Where the parts of the answer end; `None` until it is there whole.
fn ends(buffer: &[u8]) -> io::Result<Option<Ends>> {
    let Some(blank) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if buffer.len() > MAX_RESPONSE {
            Err(invalid("its head never ends"))
        } else {
            Ok(None)
        };
    };
    let head = blank + 4;
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<usize>().ok();
    let status = buffer.get(9..12).and_then(number).and_then(|status| u16::try_from(status).ok());
    let status = status.ok_or_else(|| invalid("it has no status"))?;
    let length = header(&buffer[..head], "content-length").and_then(number);
    let length = length.ok_or_else(|| invalid("it has no length"))?;
    match buffer.len().cmp(&(head + length.min(MAX_RESPONSE))) {
        std::cmp::Ordering::Less => Ok(None),
        std::cmp::Ordering::Equal => Ok(Some(Ends { status, head })),
        std::cmp::Ordering::Greater => Err(invalid("more came than it announced")),
    }
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
    fn an_answer_is_whole_or_not() {
        let whole = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nOK";
        assert_eq!(status(whole), Some(202));
        for cut in 0..whole.len() {
            assert_eq!(status(&whole[..cut]), None, "{cut}");
        }
        assert!(ends(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nmore").is_err());
        assert!(ends(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn headers_have_any_case() {
        let head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\n\r\n";
        let response = Response { status: 200, head, body: b"" };
        assert_eq!(response.header("set-cookie"), Some("a=b; Path=/"));
        assert_eq!(response.header("set"), None);
    }
}
